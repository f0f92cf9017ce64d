#!lua
-- Creates executions, each for itself. Not allowed when Redis has no memory left.
-- KEYS: bases of partitions, which are also their wake channels. Derived: as for commit, and
--   :all, :w:<workflow>, :c:<correlation id>, :pairs, :graves.
-- ARGV: see lib/effects.lua. An entry is packed, one value after the other: number of its base, id,
--   commit id, now, its first and last field, status, its member in lists, workflow, correlation id or
--   false, changes of sets (packed, put_all, or false), what is added (packed, add_all, or false).
-- Returns for each (see lib/batch.lua): 1, {"exists", revision, commit id, status, request hash or
--   false}, {"tombstone", request hash or false, status or false}, {"skewed"}, {"failed", message}.
--@include clock
--@include indexes
--@include executions
--@include heads
--@include inline-history
--@include records
--@include tasks
--@include ends
--@include effects
--@include additions
--@include pairs
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

local function create(
  base_number, id, commit_id, now, first, last, status, member, workflow, correlation_id, puts, added
)
  if skewed(now) then return { "skewed" } end
  local base = KEYS[base_number]
  local x = new_context(base, id)
  local row = call("HMGET", x.key, "r", "n:1", "g", "q", "s")
  if row[3] then
    if not make_room(x, tonumber(row[3]), now) then return { "tombstone", row[4], row[5] } end
  elseif row[1] then
    if commit_in(row[2]) == commit_id then return 1 end
    local revision, latest, status_now = read_head(row[1])
    return { "exists", revision, latest, status_now, row[4] }
  end
  x.tasks, x.lone, x.held, x.is_new = {}, false, false, true
  list_in(base, status, member, workflow, correlation_id, 0)
  if puts then put_all(base, unpacked(puts)) end
  if added then add_all(x, unpacked(added), now) end
  write_fields(x)
  call("HSET", x.key, unpack(ARGV, fields_of(x.key, first, last)))
  return 1
end

--@include batch
return answer_all(create)
