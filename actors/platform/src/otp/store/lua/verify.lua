-- Finds the live code with this keyed hash, and consumes it on request. Without one, each live code loses an attempt, on request.
-- KEYS: the codes of one address and purpose. ARGV: now (milliseconds), keyed hash, 1 to consume, 1 to take attempts.
-- Returns id and claim of the newest such code, or nothing.
-- A write that changes nothing: a Redis that refuses writes then fails for every key, whether it has live codes or not.
redis.call('HSET', KEYS[1], '', '')
redis.call('HDEL', KEYS[1], '')
local live, right = {}, nil
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
    local code = cjson.decode(fields[at + 1])
    if code.tries > 0 and code.expires_at > tonumber(ARGV[1]) then
        live[fields[at]] = code
        if code.mac == ARGV[2] and (not right or code.minted_at > live[right].minted_at) then
            right = fields[at]
        end
    end
end
if not right then
    for id, code in pairs(ARGV[4] == '1' and live or {}) do
        code.tries = code.tries - 1
        redis.call('HSET', KEYS[1], id, cjson.encode(code))
    end
    return false
end
if ARGV[3] == '1' then
    -- Below zero: consumed. The number without its sign is the attempts left.
    live[right].tries = -live[right].tries
    redis.call('HSET', KEYS[1], right, cjson.encode(live[right]))
end
return {right, live[right].claim}
