-- Deletes a document.
-- KEYS: 1 hash of the kind's documents; 2 set of their ids.
-- ARGV: 1 id.
-- Returns whether it was there.
--@flags allow-oom
--@needs call

operations["delete-document"] = function()
  call("ZREM", KEYS[2], ARGV[1])
  return call("HDEL", KEYS[1], ARGV[1])
end
