-- Counts one use, unless the window is full. One key, as a cluster needs it.
-- KEYS: counter. ARGV: now, when a window that begins now ends (microseconds), most, how long to keep it (milliseconds).
-- Returns whether it was counted, and when the window ends.
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
