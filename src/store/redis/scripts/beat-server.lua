#!lua flags=allow-oom
-- Shows a server among the live ones.
-- KEYS: 1 hash of servers, id -> packed {until, body}.
-- ARGV: 1 clock tolerance; 2 packed {id, body, now, how long}.
--@include clock
local server = cmsgpack.unpack(ARGV[2])
if skewed(server[3]) then return SKEWED end
redis.call("HSET", KEYS[1], server[1], cmsgpack.pack({ server[3] + server[4], server[2] }))
return true
