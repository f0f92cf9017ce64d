-- Reads an execution.
-- KEYS: 1 base of its partition. Derived: <base>:x:<id>.
-- ARGV: 1 id; 2 "all", or "some" and then the names of the fields wanted.
-- Returns {"loaded", revision, commit ids, status as it is stored, held, state, {name, value, …}},
--   {"not_found"} or {"tombstone"}.
--@flags no-writes
--@needs call heads

local function all_data(key)
  local data, fields = {}, call("HGETALL", key)
  for i = 1, #fields, 2 do
    if sub(fields[i], 1, 2) == "d:" then
      data[#data + 1] = sub(fields[i], 3)
      data[#data + 1] = fields[i + 1]
    end
  end
  return data
end

operations["load"] = function()
  local key = KEYS[1] .. ":x:" .. ARGV[1]
  local names = { "r", "g", "h", "S" }
  for i = 3, #ARGV do names[#names + 1] = "d:" .. ARGV[i] end
  local row = call("HMGET", key, unpack(names))
  if row[2] then return { "tombstone" } end
  if not row[1] then return { "not_found" } end
  local data = ARGV[2] == "all" and all_data(key) or {}
  for i = 3, #ARGV do
    local value = row[2 + i]
    if value then
      data[#data + 1] = ARGV[i]
      data[#data + 1] = value
    end
  end
  local revision, _, status = read_head(row[1])
  local commits = recent_commits(key, revision)
  return { "loaded", revision, commits, status, row[3] == "1" and 1 or 0, row[4], data }
end
