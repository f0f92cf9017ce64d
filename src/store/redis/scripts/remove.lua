-- Removes an execution in chunks, behind a tombstone that goes by itself.
-- KEYS: 1 base of the partition. Derived: <base>:x:<id>, :h:<id>, :buried, and every set that may
--   hold something of it.
-- ARGV: 1 clock tolerance; 2 packed {id, head, tombstone until, now, 1 if what create
--   returns of a kept start is kept}.
-- Returns "removed", "more", "conflict" or "not_found".
--@flags allow-oom
--@needs call clock indexes executions heads listings removal tombstones

-- limits.keptHashChars
local HASH_CHARS = 32

-- The first chunk: from now on it is a tombstone, which no list shows.
local function begin_removal(x, row, grave)
  local member, workflow, correlation_id, _, _, parent = unpacked(row[4])
  local _, _, status = read_head(row[1])
  count_tombstone(x.base, grave.until_moment, grave.now)
  local listing = {
    status = status, member = member, workflow = workflow, correlation_id = correlation_id,
    parent = parent,
  }
  list_in(x.base, listing, false)
  set_field(x, "g", grave.until_moment)
  set_field(x, "R", grave.head)
  drop_field(x, "r")
  grave.status = grave.keeps_start and status
  if grave.status then set_field(x, "s", grave.status) end
end

operations["remove"] = function()
  local request = unpacked(ARGV[2])
  local x, head, now = open(KEYS[1], request[1]), request[2], request[4]
  if skewed(now) then return SKEWED end
  local row = call("HMGET", x.key, "r", "R", "g", "l", "q", "s")
  if row[1] and not has_head(row[1], head) then return "conflict" end
  if not row[1] and row[2] ~= head then return "not_found" end
  local grave = {
    head = head,
    until_moment = tonumber(row[3]) or request[3],
    now = now,
    keeps_start = request[5] == 1,
    request_hash = row[5] and sub(row[5], 1, HASH_CHARS),
    status = row[6],
  }
  if row[1] then begin_removal(x, row, grave) end
  if delete_rows(x) then
    put(x.base .. ":graves", x.id, grave.until_moment)
    write_all()
    return "more"
  end
  bury(x, grave)
  write_all()
  return "removed"
end
