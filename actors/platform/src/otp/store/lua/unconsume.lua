-- Makes a consumed code valid again, with the attempts it had left.
-- KEYS: the codes of one address and purpose. ARGV: id.
local field = redis.call('HGET', KEYS[1], ARGV[1])
local code = field and cjson.decode(field)
if code and code.tries < 0 then
    code.tries = -code.tries
    redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(code))
end
