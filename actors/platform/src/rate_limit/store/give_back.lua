-- Takes back one use, if its window is still the one it was counted in.
-- KEYS: counter. ARGV: when that window ends (microseconds).
local held = redis.call('HMGET', KEYS[1], 'count', 'expires_at')
if held[2] == ARGV[1] and tonumber(held[1]) > 0 then
    redis.call('HINCRBY', KEYS[1], 'count', -1)
end
