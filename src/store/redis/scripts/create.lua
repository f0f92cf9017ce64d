-- Creates executions, each for itself. Not allowed when Redis has no memory left.
-- KEYS: bases of partitions, which are also their wake channels. Derived: as for commit, and
--   :all, :w:<workflow>, :c:<correlation id>, :p:<parent>, :pairs, :graves.
-- ARGV: see lib/batch.lua. An entry is what create unpacks.
-- Returns for each: 1, {"exists", revision, commit id, status, request hash or false},
--   {"tombstone", request hash or false, status or false}, {"skewed"}, {"failed", message}.
--@flags
--@needs call clock indexes executions batch heads additions listings removal

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

-- The answer when the execution, or its tombstone, exists.
local function answer_known(x, row, commit_id, now)
  local head, trace, tombstone_until, request_hash, kept_status = unpack(row)
  if tombstone_until then
    if make_room(x, tonumber(tombstone_until), now) then return end
    return { "tombstone", request_hash, kept_status }
  end
  if commit_in(trace) == commit_id then return 1 end
  local revision, latest, status = read_head(head)
  return { "exists", revision, latest, status, request_hash }
end

-- The values of an entry stand one after the other, as those of a commit do. more: false, or {puts
-- (put_all), tasks and messages (add_all)}.
local function create(entry)
  local base, id, commit_id, now, first, last, status, member, workflow, correlation_id, parent,
    more = unpacked(entry)
  if skewed(now) then return { "skewed" } end
  local x = new_context(KEYS[base], id)
  local row = call("HMGET", x.key, "r", "n:1", "g", "q", "s")
  if row[1] or row[3] then
    local answer = answer_known(x, row, commit_id, now)
    if answer then return answer end
  end
  x.tasks, x.lone, x.held, x.is_new = {}, false, false, true
  local listing = {
    status = status, member = member, workflow = workflow, correlation_id = correlation_id,
    parent = parent,
  }
  list_in(x.base, listing, 0)
  if more then
    if more.puts then put_all(x.base, more.puts) end
    add_all(x, more.tasks, more.messages, now)
    write_fields(x)
  end
  call("HSET", x.key, unpack(ARGV, fields_of(x.key, first, last)))
  return 1
end

operations["create"] = function() return apply_all(create) end
