-- Saves a document if it has the expected version. Not allowed when Redis has no memory left.
-- KEYS: 1 hash of the kind's documents, id -> packed {version, body}; 2 set of their ids.
-- ARGV: 1 id; 2 expected version, 0: it must not exist; 3 body.
-- Returns {1, version} when it is saved, {0, version that it has} when it is not.
--@flags
--@needs call

operations["put-document"] = function()
  local id, expected, body = ARGV[1], tonumber(ARGV[2]), ARGV[3]
  local record = call("HGET", KEYS[1], id)
  local known = record and unpacked(record)
  local version = known and known[1] or 0
  if version == expected + 1 and known and known[2] == body then return { 1, version } end
  if version ~= expected then return { 0, version } end
  call("HSET", KEYS[1], id, pack({ version + 1, body }))
  call("ZADD", KEYS[2], 0, id)
  return { 1, version + 1 }
end
