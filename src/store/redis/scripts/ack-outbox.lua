#!lua flags=allow-oom
-- Forgets messages that were delivered.
-- KEYS: 1 base of the partition. Derived: <base>:out, :x:<id>.
-- ARGV: execution, message, …
for i = 1, #ARGV, 2 do
  redis.call("HDEL", KEYS[1] .. ":x:" .. ARGV[i], "o:" .. ARGV[i + 1])
  redis.call("ZREM", KEYS[1] .. ":out", ARGV[i] .. "\0" .. ARGV[i + 1])
end
return true
