-- Consumes a live code.
-- KEYS: the codes of one address and purpose. ARGV: now (milliseconds), id.
-- Returns whether this call consumed it.
local field = redis.call('HGET', KEYS[1], ARGV[2])
local code = field and cjson.decode(field)
if not code or code.tries <= 0 or code.expires_at <= tonumber(ARGV[1]) then
    return 0
end
code.tries = -code.tries
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(code))
return 1
