-- Shows a server among the live ones.
-- KEYS: 1 hash of servers, id -> packed {until, body}.
-- ARGV: 1 clock tolerance; 2 packed {id, body, now, how long}.
--@flags allow-oom
--@needs call clock

operations["beat-server"] = function()
  local id, body, now, ttl = unpack(unpacked(ARGV[2]))
  if skewed(now) then return SKEWED end
  call("HSET", KEYS[1], id, pack({ now + ttl, body }))
  return true
end
