#!lua flags=no-writes
-- Queues with claimable tasks.
-- KEYS: 1 base of the partition. Derived: <base>:queues.
-- Returns their names.
return redis.call("SMEMBERS", KEYS[1] .. ":queues")
