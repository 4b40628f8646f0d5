-- Looks for the code with this keyed hash among the live ones. Right: uses it up, if asked to. Wrong: each live one loses a try.
-- KEYS: the codes of one address and purpose. ARGV: now (milliseconds), keyed hash, 1 to use it up.
-- Returns id and claim of the right one, the newest if several are, or nothing.
local live, right = {}, nil
local held = redis.call('HGETALL', KEYS[1])
for at = 1, #held, 2 do
    local code = cjson.decode(held[at + 1])
    if code.tries > 0 and code.expires_at > tonumber(ARGV[1]) then
        live[held[at]] = code
        if code.mac == ARGV[2] and (not right or code.minted_at > live[right].minted_at) then
            right = held[at]
        end
    end
end
if not right then
    for id, code in pairs(live) do
        code.tries = code.tries - 1
        redis.call('HSET', KEYS[1], id, cjson.encode(code))
    end
    return false
end
if ARGV[3] == '1' then
    -- Below zero: used up, with so many tries to come back with.
    live[right].tries = -live[right].tries
    redis.call('HSET', KEYS[1], right, cjson.encode(live[right]))
end
return {right, live[right].claim}
