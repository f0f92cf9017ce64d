-- Reads a document.
-- KEYS: 1 hash of the kind's documents.
-- ARGV: 1 id.
-- Returns {version, body}, or nothing.
--@flags no-writes
--@needs call

operations["get-document"] = function()
  local record = call("HGET", KEYS[1], ARGV[1])
  return record and unpacked(record)
end
