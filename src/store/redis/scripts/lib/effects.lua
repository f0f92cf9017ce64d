-- What a batch is given. ARGV: 1 clock tolerance; 2 number of entries; then for each base how
-- many places its entries need; then the entries; then what they put into fields {name, value, …}, of
-- which an entry names its own by the first and the last. Whatever does not depend on what is stored
-- was put together by the caller, and goes from there to Redis without becoming part of a table.
local FIRST_ENTRY = 3 + #KEYS
local FIELDS = 2 + #KEYS + tonumber(ARGV[2])

-- Places in queues and in the outbox, for all entries of a batch at once.
local places = {}
for i = 1, #KEYS do
  local count = tonumber(ARGV[2 + i])
  places[KEYS[i]] = count > 0 and call("INCRBY", KEYS[i] .. ":seq", count) - count
end

local function next_place(base)
  local place = places[base] + 1
  places[base] = place
  return place
end

-- Where the fields of an entry are among the arguments; more than one call takes are set here.
local function fields_of(key, first, last)
  first, last = FIELDS + first, FIELDS + last
  while last - first >= ARGUMENTS_MAX do
    call("HSET", key, unpack(ARGV, first, first + ARGUMENTS_MAX - 1))
    first = first + ARGUMENTS_MAX
  end
  return first, last
end
