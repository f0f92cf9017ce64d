#!lua flags=allow-oom
-- Takes a server off the list.
-- KEYS: 1 hash of servers.
-- ARGV: 1 id.
redis.call("HDEL", KEYS[1], ARGV[1])
return true
