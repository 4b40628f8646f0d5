-- Uses a code up, if it is live.
-- KEYS: the codes of one address and purpose. ARGV: now (milliseconds), id.
-- Returns whether it was this call that used it up.
local held = redis.call('HGET', KEYS[1], ARGV[2])
local code = held and cjson.decode(held)
if not code or code.tries <= 0 or code.expires_at <= tonumber(ARGV[1]) then
    return 0
end
code.tries = -code.tries
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(code))
return 1
