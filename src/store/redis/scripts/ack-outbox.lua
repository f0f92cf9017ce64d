-- Forgets messages that were delivered.
-- KEYS: 1 base of the partition. Derived: <base>:out, :x:<id>.
-- ARGV: execution, message, …
--@flags allow-oom
--@needs call

operations["ack-outbox"] = function()
  for i = 1, #ARGV, 2 do
    call("HDEL", KEYS[1] .. ":x:" .. ARGV[i], "o:" .. ARGV[i + 1])
    call("ZREM", KEYS[1] .. ":out", ARGV[i] .. "\0" .. ARGV[i + 1])
  end
  return true
end
