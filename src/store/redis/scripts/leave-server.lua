-- Takes a server off the list.
-- KEYS: 1 hash of servers.
-- ARGV: 1 id.
--@flags allow-oom
--@needs call

operations["leave-server"] = function()
  call("HDEL", KEYS[1], ARGV[1])
  return true
end
