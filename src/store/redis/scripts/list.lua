#!lua flags=no-writes
-- Executions of an index, newest first.
-- KEYS: 1 base of the partition; 2 the index's set, ordered by member. Derived: <base>:x:<id>.
-- ARGV: 1 "+", or "(" and the member after which; 2 how many at most.
-- Returns for each {id, workflow, correlation id or false, version, started at, status as it is
--   stored}.
--@include heads
local ID_AT = 18
local answers = {}
local members = redis.call("ZRANGE", KEYS[2], ARGV[1], "-", "BYLEX", "REV", "LIMIT", 0, ARGV[2])
for _, member in ipairs(members) do
  local id = string.sub(member, ID_AT)
  local row = redis.call("HMGET", KEYS[1] .. ":x:" .. id, "l", "r")
  if row[1] then
    local _, workflow, correlation_id, version, started_at = cmsgpack.unpack(row[1])
    local _, _, status = read_head(row[2])
    answers[#answers + 1] = { id, workflow, correlation_id, version, started_at, status }
  end
end
return answers
