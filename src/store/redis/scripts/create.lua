#!lua
-- Creates executions, each for itself. Not allowed when Redis has no memory left.
-- KEYS: bases of partitions, which are also their wake channels. Derived: as for commit, and
--   :all, :w:<workflow>, :c:<correlation id>, :graves.
-- ARGV: 1 clock tolerance; 2 number of creates; then a packed entry for each {1 number of its base, 2 id,
--   3 commit id, 4 now, 5 status, 6 ended at or false, 7 request hash or false, 8 listing {member,
--   workflow, correlation id or false, version, started at}, 9 state, 10 data {name, value, …} or
--   false, 11 effects or false}; then texts, which entries name by number.
-- Returns for each: {"created"}, {"exists", revision, commit id, status, request hash or false},
--   {"tombstone"}, {"skewed"}, {"failed", message}.
--@include clock
--@include indexes
--@include executions
--@include records
--@include tasks
--@include ends
--@include effects
--@include listings
--@include removal

-- An ended tombstone makes room, once nothing is left behind it.
local function make_room(x, tombstone_until, now)
  if now < tombstone_until then return false end
  local left = delete_rows(x)
  if left then
    write_fields(x)
    return false
  end
  forget(x)
  return true
end

local function create(entry)
  local commit_id, now, status, listing = entry[3], entry[4], entry[5], entry[8]
  if skewed(now) then return { "skewed" } end
  local x = open(KEYS[entry[1]], entry[2])
  x.tasks, x.sets, x.gone = {}, {}, {}
  local row = call("HMGET", x.key, "r", "c", "g", "k", "s", "q")
  if row[3] then
    if not make_room(x, tonumber(row[3]), now) then return { "tombstone" } end
  elseif row[1] then
    if row[4] == commit_id then return { "created" } end
    return { "exists", tonumber(row[1]), last_commit(row[2]), row[5], row[6] }
  end
  x.tasks, x.held, x.is_new = {}, false, true
  x.sets = {
    "r", 1, "c", "\n" .. commit_id .. "\n", "k", commit_id, "s", status,
    "S", text_of(entry[9]), "l", pack(listing),
  }
  if entry[6] then set_field(x, "e", entry[6]) end
  if entry[7] then set_field(x, "q", entry[7]) end
  for _, key in ipairs(list_keys(x.base, listing[2], listing[3])) do put(key, listing[1], 0) end
  put(x.base .. ":s:" .. status, listing[1], 0)
  if entry[10] then set_data(x, entry[10]) end
  if entry[11] then add_effects(x, entry[11], now) end
  write_fields(x)
  return { "created" }
end

local entries = {}
for i = 1, tonumber(ARGV[2]) do
  local entry = unpacked(ARGV[2 + i])
  entries[i] = entry
  if entry[11] then reserve(KEYS[entry[1]], entry[11][1], entry[11][3]) end
end
reserve_places()
--@include batch
return answer_all(create)
