-- Counts one use, unless the window is full. It touches one key, as a Redis cluster requires.
-- KEYS: the counter. ARGV: now and the end of a window that starts now (microseconds), the maximum, the time to live (milliseconds).
-- Returns whether the use was counted, and the end of the window.
local held = redis.call('HMGET', KEYS[1], 'count', 'expires_at')
local count, expires_at = tonumber(held[1]), tonumber(held[2])
if not count or expires_at <= tonumber(ARGV[1]) then
    count, expires_at = 0, tonumber(ARGV[2])
    redis.call('HSET', KEYS[1], 'count', 0, 'expires_at', ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
if count >= tonumber(ARGV[3]) then
    return {0, expires_at}
end
redis.call('HINCRBY', KEYS[1], 'count', 1)
return {1, expires_at}
