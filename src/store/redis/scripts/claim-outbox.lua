-- Gives messages in the order of their sending and hides them; or what is still under this claim
-- id. A hidden message holds back what its source sent after it.
-- KEYS: 1 base of the partition. Derived: <base>:out, :x:<id>, :claim:outbox:<claim id>.
-- ARGV: as for claim-due.
-- Returns {messages, next due or false}; a message is {execution, id, body, deliveries}.
--@flags allow-oom
--@needs call clock indexes executions

-- How many are gone through before the rest must wait for a later call.
local LOOKED_MAX, PIECE = 10000, 100
local base, claim_id, limit, hide, now
local answers, remembered, is_earlier, blocked, next_due

local function read(member)
  local execution, id = names_of_member(member)
  local x = open(base, execution)
  local record = call("HGET", x.key, "o:" .. id)
  return x, id, record and unpacked(record)
end

local function give(x, id, message)
  answers[#answers + 1] = { x.id, id, message[1], message[2] }
end

local function give_earlier(members)
  for _, member in ipairs(members) do
    local x, id, message = read(member)
    if message and message[4] == claim_id then
      give(x, id, message)
      is_earlier[member] = true
    end
  end
end

-- True: nothing beyond this one is of interest.
local function look(member, wanted)
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

local function search(wanted)
  for first = 0, LOOKED_MAX - 1, PIECE do
    local piece = call("ZRANGE", base .. ":out", first, first + PIECE - 1)
    for _, member in ipairs(piece) do
      if look(member, wanted) then return end
    end
    if #piece < PIECE then return end
  end
end

operations["claim-outbox"] = function()
  local remembered_seconds
  base = KEYS[1]
  claim_id, limit, hide, now, remembered_seconds = unpack(unpacked(ARGV[2]))
  answers, remembered, is_earlier, blocked, next_due = {}, {}, {}, {}, nil
  if skewed(now) then return SKEWED end
  local claim_key = base .. ":claim:outbox:" .. claim_id
  local known = call("GET", claim_key)
  if known then give_earlier(unpacked(known)) end
  search(#answers > 0 and #answers or limit)
  if #remembered > 0 then call("SET", claim_key, pack(remembered), "EX", remembered_seconds) end
  write_all()
  return { answers, next_due or false }
end
