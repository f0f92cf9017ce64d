-- What an execution is, for a dump.
-- KEYS: 1 base of its partition. Derived: <base>:x:<id>.
-- ARGV: 1 id.
-- Returns {"execution", revision, commit ids, commit id of the creation, request hash or false,
--   values of what lists show, status as it is stored, held, state}, {"tombstone", last head, until,
--   request hash or false, status or false}, or nothing.
--@flags no-writes
--@needs call heads

operations["dump-head"] = function()
  local key = KEYS[1] .. ":x:" .. ARGV[1]
  local row = call("HMGET", key, "r", "R", "g", "q", "s", "l", "h", "S", "n:1")
  if row[3] then return { "tombstone", row[2], tonumber(row[3]), row[4], row[5] } end
  if not row[1] then return false end
  local revision, _, status = read_head(row[1])
  local listed, held = { unpacked(row[6]) }, row[7] == "1" and 1 or 0
  local created_by = commit_in(row[9])
  local commits = recent_commits(key, revision)
  return { "execution", revision, commits, created_by, row[4], listed, status, held, row[8] }
end
