-- Puts a code back that was used up, with the tries it had.
-- KEYS: the codes of one address and purpose. ARGV: id.
local held = redis.call('HGET', KEYS[1], ARGV[1])
local code = held and cjson.decode(held)
if code and code.tries < 0 then
    code.tries = -code.tries
    redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(code))
end
