#!lua flags=allow-oom
-- Removes an execution in chunks, behind a tombstone that goes by itself.
-- KEYS: 1 base of the partition. Derived: <base>:x:<id>, :h:<id>, and every set that may hold
--   something of it.
-- ARGV: 1 clock tolerance; 2 packed {id, head, tombstone until, now}.
-- Returns "removed", "more", "conflict" or "not_found".
--@include clock
--@include indexes
--@include executions
--@include heads
--@include inline-history
--@include records
--@include tasks
--@include ends
--@include listings
--@include removal
local request = unpacked(ARGV[2])
local x, head, now = open(KEYS[1], request[1]), request[2], request[4]
if skewed(now) then return SKEWED end
local row = call("HMGET", x.key, "r", "R", "g", "l")
if row[1] and not has_head(row[1], head) then return "conflict" end
if not row[1] and row[2] ~= head then return "not_found" end
local tombstone_until = tonumber(row[3]) or request[3]
if row[1] then
  local member, workflow, correlation_id = unpacked(row[4])
  local _, _, status = read_head(row[1])
  list_in(x.base, status, member, workflow, correlation_id, false)
  set_field(x, "g", tombstone_until)
  set_field(x, "R", head)
  drop_field(x, "r")
end
if delete_rows(x) then
  put(x.base .. ":graves", x.id, tombstone_until)
  write_all()
  return "more"
end
bury(x, head, tombstone_until, now)
write_all()
return "removed"
