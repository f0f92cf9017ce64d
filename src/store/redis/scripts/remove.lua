#!lua flags=allow-oom
-- Removes an execution in chunks, behind a tombstone that goes by itself.
-- KEYS: 1 base of the partition. Derived: <base>:x:<id>, :h:<id>, and every set that may hold
--   something of it.
-- ARGV: 1 clock tolerance; 2 packed {id, revision, commit id, tombstone until, now}.
-- Returns "removed", "more", "conflict" or "not_found".
--@include clock
--@include indexes
--@include executions
--@include records
--@include tasks
--@include ends
--@include listings
--@include removal
local request = unpacked(ARGV[2])
local x, now = open(KEYS[1], request[1]), request[5]
if skewed(now) then return SKEWED end
local row = call("HMGET", x.key, "r", "c", "g", "s", "l")
if not row[1] then return "not_found" end
if tonumber(row[1]) ~= request[2] or not ends_with_commit(row[2], request[3]) then
  return row[3] and "not_found" or "conflict"
end
local tombstone_until = tonumber(row[3]) or request[4]
if not row[3] then
  local listing = unpacked(row[5])
  list_in(x.base, row[4], listing[1], listing[2], listing[3], false)
  set_field(x, "g", tombstone_until)
end
if delete_rows(x) then
  put(x.base .. ":graves", x.id, tombstone_until)
  write_all()
  return "more"
end
bury(x, tombstone_until, now)
write_all()
return "removed"
