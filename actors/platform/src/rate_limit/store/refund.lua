-- Takes one use back, if the window is still the one in which it was counted.
-- KEYS: the counter. ARGV: the end of that window (microseconds).
local held = redis.call('HMGET', KEYS[1], 'count', 'expires_at')
if held[2] == ARGV[1] and tonumber(held[1]) > 0 then
    redis.call('HINCRBY', KEYS[1], 'count', -1)
end
