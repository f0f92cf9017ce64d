#!lua flags=no-writes
-- Reads a document.
-- KEYS: 1 hash of the kind's documents.
-- ARGV: 1 id.
-- Returns {version, body}, or nothing.
local record = redis.call("HGET", KEYS[1], ARGV[1])
return record and cmsgpack.unpack(record)
