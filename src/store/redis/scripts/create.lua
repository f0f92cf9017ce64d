#!lua
-- Creates executions, each for itself. Not allowed when Redis has no memory left.
-- KEYS: bases of partitions, which are also their wake channels. Derived: as for commit, and
--   :all, :w:<workflow>, :c:<correlation id>, :graves.
-- ARGV: 1 clock tolerance; then one packed entry for each: {1 number of its base, 2 id,
--   3 commit id, 4 now, 5 status, 6 ended at or false, 7 request hash or false, 8 listing {member,
--   workflow, correlation id or false, version, started at}, 9 state, 10 data {name, value, …} or
--   false, 11 effects or false}.
-- Returns for each: {"created"}, {"exists", revision, commit id, status, request hash or false},
--   {"tombstone"}, {"skewed"}, {"failed", message}.
--@include clock
--@include indexes
--@include executions
--@include tasks
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
  x.tasks, x.fields = {}, {}
  local row = call("HMGET", x.key, "r", "c", "g", "k", "s", "q")
  if row[3] then
    if not make_room(x, tonumber(row[3]), now) then return { "tombstone" } end
  elseif row[1] then
    if row[4] == commit_id then return { "created" } end
    return { "exists", tonumber(row[1]), last_commit(row[2]), row[5], row[6] }
  end
  x.tasks, x.held = {}, false
  local fields = x.fields
  fields.r, fields.c, fields.k, fields.q = 1, "\n" .. commit_id .. "\n", commit_id, entry[7]
  fields.s, fields.e, fields.S, fields.l = status, entry[6], entry[9], pack(listing)
  for _, key in ipairs(list_keys(x.base, listing[2], listing[3])) do put(key, listing[1], 0) end
  put(x.base .. ":s:" .. status, listing[1], 0)
  local data = entry[10]
  if data then
    for i = 1, #data, 2 do fields["d:" .. data[i]] = data[i + 1] end
  end
  if entry[11] then add_effects(x, entry[11], now) end
  write_fields(x)
  return { "created" }
end

local entries = {}
for i = 2, #ARGV do
  local entry = unpacked(ARGV[i])
  entries[i - 1] = entry
  if entry[11] then reserve(KEYS[entry[1]], entry[11][1], entry[11][3]) end
end
reserve_places()
--@include batch
return answer_all(create)
