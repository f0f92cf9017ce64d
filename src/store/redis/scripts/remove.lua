#!lua flags=allow-oom
-- Removes an execution in chunks, behind a tombstone that goes by itself.
-- KEYS: 1 base of the partition. Derived: <base>:x:<id>, :h:<id>, :buried, and every set that may hold
--   something of it.
-- ARGV: 1 clock tolerance; 2 packed {id, head, tombstone until, now, 1 if what create
--   returns of a kept start is kept}.
-- Returns "removed", "more", "conflict" or "not_found".
--@include clock
--@include indexes
--@include executions
--@include heads
--@include inline-history
--@include records
--@include tasks
--@include ends
--@include pairs
--@include listings
--@include removal
--@include tombstones
-- limits.keptHashChars
local HASH_CHARS = 32
local request = unpacked(ARGV[2])
local x, head, now = open(KEYS[1], request[1]), request[2], request[4]
if skewed(now) then return SKEWED end
local row = call("HMGET", x.key, "r", "R", "g", "l", "q", "s")
if row[1] and not has_head(row[1], head) then return "conflict" end
if not row[1] and row[2] ~= head then return "not_found" end
local tombstone_until, kept_status = tonumber(row[3]) or request[3], row[6]
local request_hash = row[5] and string.sub(row[5], 1, HASH_CHARS)
if row[1] then
  local member, workflow, correlation_id = unpacked(row[4])
  local _, _, status = read_head(row[1])
  kept_status = request[5] == 1 and status
  count_tombstone(x.base, tombstone_until, now)
  list_in(x.base, status, member, workflow, correlation_id, false)
  set_field(x, "g", tombstone_until)
  set_field(x, "R", head)
  drop_field(x, "r")
  if kept_status then set_field(x, "s", kept_status) end
end
if delete_rows(x) then
  put(x.base .. ":graves", x.id, tombstone_until)
  write_all()
  return "more"
end
bury(x, head, tombstone_until, now, request_hash, kept_status)
write_all()
return "removed"
