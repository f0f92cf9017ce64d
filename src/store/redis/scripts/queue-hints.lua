-- Queues with claimable tasks.
-- KEYS: 1 base of the partition. Derived: <base>:queues.
-- Returns their names.
--@flags no-writes
--@needs call

operations["queue-hints"] = function()
  return call("SMEMBERS", KEYS[1] .. ":queues")
end
