-- A batch of entries, each applied for itself. ARGV: 1 clock tolerance; 2 number of entries; then
-- for each base how many places its entries need; then the entries, packed; then the fields {name,
-- value, …} of which an entry names its own by the first and the last. Whatever does not depend on
-- what is stored was put together by the caller, and goes from there to Redis without becoming part
-- of a table.
--@needs call indexes

local entries_at, fields_at

-- Places in queues and in the outbox: by base, the last one given.
local places

-- Takes the places of all entries at once.
local function begin_batch()
  entries_at, fields_at = 2 + #KEYS, 2 + #KEYS + tonumber(ARGV[2])
  places = {}
  for i = 1, #KEYS do
    local count = tonumber(ARGV[2 + i])
    places[KEYS[i]] = count > 0 and call("INCRBY", KEYS[i] .. ":seq", count) - count
  end
end

local function next_place(base)
  local place = places[base] + 1
  places[base] = place
  return place
end

-- Where the fields of an entry are among the arguments; more than one call takes are set here.
local function fields_of(key, first, last)
  first, last = fields_at + first, fields_at + last
  while last - first >= ARGUMENTS_MAX do
    call("HSET", key, unpack(ARGV, first, first + ARGUMENTS_MAX - 1))
    first = first + ARGUMENTS_MAX
  end
  return first, last
end

-- Returns for each entry what `apply` returns, 1 when it is done, or {"failed", message}: an entry
-- that fails spoils none of the others. Mostly all are done: then it returns 1 instead of a list.
local function apply_all(apply)
  begin_batch()
  local answers, done_count = {}, 0
  for i = 1, tonumber(ARGV[2]) do
    local returned, answer = pcall(apply, ARGV[entries_at + i])
    if not returned then
      answer = { "failed", type(answer) == "table" and answer.err or tostring(answer) }
    end
    answers[i] = answer
    if answer == 1 then done_count = done_count + 1 end
  end
  write_changes()
  return done_count == #answers and 1 or answers
end
