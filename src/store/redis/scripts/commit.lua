-- Commits of several executions, each checked and applied for itself.
-- KEYS: bases of partitions, which are also their wake channels. Derived: <base>:x:<id>, :h:<id>,
--   :q:<queue>, :queues, :leases, :waits, :dropped, :held, :timers, :out, :seq, :s:<status>,
--   :pairs.
-- ARGV: see lib/batch.lua. An entry is what read_commit unpacks.
-- Returns for each: 1, {"already"|"conflict", revision, commit id}, {"stale", tasks, timers},
--   {"not_found"}, {"skewed"}, {"failed", message}.
--@flags allow-oom
--@needs call clock indexes executions pairs batch heads commit-step commit-changes

-- Characters of the ends of commit ids that a head takes over from the one before it.
local ENDS_KEPT = 30

-- Why the head is not as the commit expects it. new: the head that it would have, up to its
-- newline.
local function mismatch(key, head, new)
  if not head then return { "not_found" } end
  local revision, latest = read_head(head)
  local is_repeated = is_recent(key, revision, match(new, " (.*)\n$"))
  return { is_repeated and "already" or "conflict", revision, latest }
end

-- The id of another commit ends alike; perhaps it is the same.
local function repeated(key, head, new)
  local answer = mismatch(key, head, new)
  return answer[1] == "already" and answer
end

local function follow_status(base, key, before, after)
  local member, workflow = unpacked(call("HGET", key, "l"))
  put(key_of(base, status_index(before)), member, false)
  put(key_of(base, status_index(after)), member, 0)
  put(key_of(base, "pairs"), pair_prefix(before, workflow) .. member, false)
  put(key_of(base, "pairs"), pair_prefix(after, workflow) .. member, 0)
end

-- What few commits have: {gone: fields to remove, puts (put_all), history that is not among the
-- fields, changes (lib/commit-changes.lua)}.
local function write_more(base, id, key, more)
  if more.gone then call_many("HDEL", key, more.gone) end
  if more.puts then put_all(base, more.puts) end
  if more.history then call_many("RPUSH", key_of(base, "h:") .. id, more.history) end
end

-- What an entry holds stands one value after the other, and stays in local variables: a map of them
-- costs 3 % of a step. expected: the head that is there before, up to its newline; id_end: how the
-- new commit id ends; settled: how the record of the settled task begins, or false; added: t:<id>
-- of the added one, or false; until_moment: the end of its lease; more: false, or what write_more
-- takes. Two of the fields are not written as they are: the new head up to its first newline, and
-- the status as it is stored. The record of the added task, but for its end, follows on the last
-- field.
local function apply(entry)
  local base, id, expected, id_end, now, first, last, settled, added, until_moment, more =
    unpacked(entry)
  if skewed(now) then return { "skewed" } end
  base = KEYS[base]
  local key = base .. ":x:" .. id
  local head, status = ARGV[fields_at + first], ARGV[fields_at + first + 1]
  local record = ARGV[fields_at + last + 1]
  local row = call("HMGET", key, "r", "t:")
  local before, lone = row[1], row[2]
  if not before or find(before, expected, 1, true) ~= 1 then return mismatch(key, before, head) end
  local has_others, ends, status_before = match(before, "^(.)([^\n]*)\n(.*)$", #expected + 1)
  if find(ends, id_end, 1, true) then
    local answer = repeated(key, before, head)
    if answer then return answer end
  end
  local follows = settled and lone and find(lone, settled, 1, true) == 1
  local changes = more and more.changes
  local is_step = not changes and (follows or not settled)
    and (not added or fits_lone_slot(key, added, follows or not lone, has_others))
  if not is_step then
    local x = new_context(base, id, key)
    x.lone = lone
    changes = changes or changes_of(settled, added, record, until_moment)
    local stale = apply_changes(x, changes, now)
    if stale then return stale end
    if x.has_others then has_others = "+" end
    write_fields(x)
  end
  if status_before ~= status then follow_status(base, key, status_before, status) end
  if more then write_more(base, id, key, more) end
  head = head .. has_others .. sub(ends, -ENDS_KEPT) .. id_end .. "\n" .. status
  first, last = fields_of(key, first + 2, last)
  if is_step and added then
    record = lone_record(base, id, record, until_moment, follows and lone)
    call("HSET", key, "r", head, "t:", record, unpack(ARGV, first, last))
  else
    if is_step and settled then leave_lone_slot(base, id, key) end
    call("HSET", key, "r", head, unpack(ARGV, first, last))
  end
  return 1
end

operations["commit"] = function() return apply_all(apply) end
