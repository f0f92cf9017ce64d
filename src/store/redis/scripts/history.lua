#!lua flags=no-writes
-- Entries of an execution's history.
-- KEYS: 1 base of the partition. Derived: <base>:x:<id>, :h:<id>.
-- ARGV: 1 id; 2 sequence after which; 3 how many at most.
-- Returns the entries.
if redis.call("HEXISTS", KEYS[1] .. ":x:" .. ARGV[1], "g") == 1 then return {} end
local first, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
if limit < 1 then return {} end
return redis.call("LRANGE", KEYS[1] .. ":h:" .. ARGV[1], first, first + limit - 1)
