#!lua
-- Creates executions, each for itself. Not allowed when Redis has no memory left.
-- KEYS: bases of partitions, which are also their wake channels. Derived: as for commit, and
--   :all, :w:<workflow>, :c:<correlation id>, :graves.
-- ARGV: 1 clock tolerance; 2 number of creates; then a packed entry for each {1 number of its base,
--   2 id, 3 commit id, 4 now, 5 fields to set {name, value, …}, 6 long texts among them (fill_texts),
--   7 changes of sets (put_all), 8 tasks (add_task), 9 history, 10 messages {id, body, …}}; then
--   texts. Lists may be false.
-- Returns for each: {"created"}, {"exists", revision, commit id, status, request hash or false},
--   {"tombstone"}, {"skewed"}, {"failed", message}.
--@include clock
--@include indexes
--@include executions
--@include records
--@include tasks
--@include ends
--@include effects
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
  local base, id, commit_id, now = KEYS[entry[1]], entry[2], entry[3], entry[4]
  if skewed(now) then return { "skewed" } end
  local x = { base = base, id = id, key = base .. ":x:" .. id, sets = {}, gone = {}, tasks = {} }
  local row = call("HMGET", x.key, "r", "c", "g", "k", "s", "q")
  if row[3] then
    if not make_room(x, tonumber(row[3]), now) then return { "tombstone" } end
  elseif row[1] then
    if row[4] == commit_id then return { "created" } end
    return { "exists", tonumber(row[1]), last_commit(row[2]), row[5], row[6] }
  end
  x.sets, x.gone, x.tasks, x.held, x.is_new = entry[5], {}, {}, false, true
  local tasks = entry[8]
  if entry[6] then fill_texts(x.sets, entry[6]) end
  if entry[7] then put_all(base, entry[7]) end
  for i = 1, tasks and #tasks or 0 do add_task(x, tasks[i], now) end
  if entry[10] then add_messages(x, entry[10], now) end
  write_fields(x)
  if entry[9] then call_many("RPUSH", base .. ":h:" .. id, entry[9]) end
  return { "created" }
end

local entries = {}
for i = 1, tonumber(ARGV[2]) do
  local entry = unpacked(ARGV[2 + i])
  entries[i] = entry
  reserve(KEYS[entry[1]], entry[8], entry[10])
end
reserve_places()
--@include batch
return answer_all(create)
