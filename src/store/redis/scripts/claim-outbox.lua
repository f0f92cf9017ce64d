#!lua flags=allow-oom
-- Gives messages in the order of their sending and hides them; or what is still under this claim
-- id. A hidden message holds back what its source sent after it.
-- KEYS: 1 base of the partition. Derived: <base>:out, :x:<id>, :claim:outbox:<claim id>.
-- ARGV: as for claim-due.
-- Returns {messages, next due or false}; a message is {execution, id, body, deliveries}.
--@include clock
--@include indexes
--@include executions
-- How many are gone through before the rest must wait for a later call.
local LOOKED_MAX, PIECE = 10000, 100
local base = KEYS[1]
local request = unpacked(ARGV[2])
local claim_id, limit, hide, now = request[1], request[2], request[3], request[4]
local claim_key = base .. ":claim:outbox:" .. claim_id
if skewed(now) then return SKEWED end

local answers, remembered, is_earlier = {}, {}, {}

local function read(member)
  local execution, id = names_of_member(member)
  local x = open(base, execution)
  local record = call("HGET", x.key, "o:" .. id)
  return x, id, record and unpacked(record)
end

local function give(x, id, message)
  answers[#answers + 1] = { x.id, id, message[1], message[2] }
end

local known = call("GET", claim_key)
for _, member in ipairs(known and unpacked(known) or {}) do
  local x, id, message = read(member)
  if message and message[4] == claim_id then
    give(x, id, message)
    is_earlier[member] = true
  end
end
if #answers > 0 then limit = 0 end
local wanted = #answers + limit

local blocked, next_due = {}, nil
-- True: nothing beyond this one is of interest.
local function look(member)
  if is_earlier[member] or blocked[names_of_member(member)] then return false end
  local x, id, message = read(member)
  if not message then
    put(base .. ":out", member, false)
    return false
  end
  if message[3] <= now and #answers < wanted then
    message[2], message[3], message[4] = message[2] + 1, now + hide, claim_id
    set_field(x, "o:" .. id, pack(message))
    remembered[#remembered + 1] = member
    give(x, id, message)
    return false
  end
  next_due = math.min(next_due or message[3], message[3])
  blocked[x.id] = true
  return message[3] <= now
end

local function search()
  for first = 0, LOOKED_MAX - 1, PIECE do
    local piece = call("ZRANGE", base .. ":out", first, first + PIECE - 1)
    for _, member in ipairs(piece) do
      if look(member) then return end
    end
    if #piece < PIECE then return end
  end
end

search()
if #remembered > 0 then call("SET", claim_key, pack(remembered), "EX", request[5]) end
write_all()
return { answers, next_due or false }
