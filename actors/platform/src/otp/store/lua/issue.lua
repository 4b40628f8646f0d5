-- Stores a code, within the quota.
-- KEYS: the codes of one address and purpose, a JSON object each.
-- ARGV: the start of the quota's window (milliseconds); the most mail jobs in it; of them, the most of one client; the most codes for one
--       job; the code's id; the code as JSON; the expiry of the key (milliseconds); the prefix of a client whose network is known; the
--       most attempts of a code, beyond which it is a link, which has no quota.
-- Returns whether the code was stored. Expired codes that the quota does not count are deleted.
local code = cjson.decode(ARGV[6])
local function is_known(client)
    return string.sub(client, 1, #ARGV[8]) == ARGV[8]
end
local function is_link(previous)
    return math.abs(previous.tries) > tonumber(ARGV[9])
end
local seen, jobs, of_client, attempts = {}, 0, 0, 0
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
    local previous = cjson.decode(fields[at + 1])
    if previous.minted_at <= tonumber(ARGV[1]) then
        if previous.expires_at <= code.minted_at then
            redis.call('HDEL', KEYS[1], fields[at])
        end
    elseif is_link(previous) then
        -- It is in a mail whose code is counted.
    elseif previous.intent == code.intent then
        attempts = attempts + 1
    elseif not seen[previous.intent] and is_known(previous.client) == is_known(code.client) then
        seen[previous.intent] = true
        jobs = jobs + 1
        if previous.client == code.client then
            of_client = of_client + 1
        end
    end
end
local again = attempts > 0 and attempts < tonumber(ARGV[4])
local first = attempts == 0 and jobs < tonumber(ARGV[2]) and of_client < tonumber(ARGV[3])
if not again and not first then
    return 0
end
redis.call('HSET', KEYS[1], ARGV[5], ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return 1
