-- Writes a document as it is, its version too. Not allowed when Redis has no memory left.
-- KEYS: 1 hash of the kind's documents, id -> packed {version, body}; 2 set of their ids.
-- ARGV: 1 id; 2 version; 3 body.
--@flags
--@needs call

operations["restore-document"] = function()
  call("HSET", KEYS[1], ARGV[1], pack({ tonumber(ARGV[2]), ARGV[3] }))
  call("ZADD", KEYS[2], 0, ARGV[1])
  return true
end
