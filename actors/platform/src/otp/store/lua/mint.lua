-- Stores a code, within the budget.
-- KEYS: the codes of one address and purpose, a JSON object each.
-- ARGV: where the budget's window begins (milliseconds); intents in it at most, and of one client; codes of one intent at most;
--       the code's id; the code as JSON; how long to keep the whole (milliseconds).
-- Returns whether it was stored. What the budget counts no more and nobody can type any more is dropped.
local code = cjson.decode(ARGV[6])
local seen, intents, of_client, attempts = {}, 0, 0, 0
local held = redis.call('HGETALL', KEYS[1])
for at = 1, #held, 2 do
    local earlier = cjson.decode(held[at + 1])
    if earlier.minted_at <= tonumber(ARGV[1]) then
        if earlier.expires_at <= code.minted_at then
            redis.call('HDEL', KEYS[1], held[at])
        end
    elseif earlier.intent == code.intent then
        attempts = attempts + 1
    elseif not seen[earlier.intent] then
        seen[earlier.intent] = true
        intents = intents + 1
        if earlier.client == code.client then
            of_client = of_client + 1
        end
    end
end
local again = attempts > 0 and attempts < tonumber(ARGV[4])
local first = attempts == 0 and intents < tonumber(ARGV[2]) and of_client < tonumber(ARGV[3])
if not again and not first then
    return 0
end
redis.call('HSET', KEYS[1], ARGV[5], ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return 1
