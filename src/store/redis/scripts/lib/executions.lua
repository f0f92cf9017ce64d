-- An execution is one hash, `<base>:x:<id>`:
--   r revision, c the latest commit ids ("\n" before and after each), k the commit id of the create,
--   q request hash, s status, e ended at, h "1" while held, S state, g tombstone until,
--   l what lists show (packed: member, workflow, correlation id or false, version, started at),
--   d:<field> data, t:<task> record, b:<task> its fixed text, m:<timer> {at, claim id or false},
--   o:<message> {body, deliveries, visible at, claim id or false}.
-- Its history is the list `<base>:h:<id>`.
local opened = {}

-- What a script knows and changes of one execution; `fields` is written by `write_fields`.
local function open(base, id)
  local key = base .. ":x:" .. id
  local known = opened[key]
  if known then return known end
  local x = { base = base, id = id, key = key, fields = {}, tasks = {} }
  opened[key] = x
  return x
end

local function write_fields(x)
  local set, gone = {}, {}
  for name, value in pairs(x.fields) do
    if value then
      set[#set + 1] = name
      set[#set + 1] = value
    else
      gone[#gone + 1] = name
    end
  end
  x.fields = {}
  if #gone > 0 then call_many("HDEL", x.key, gone) end
  if #set > 0 then call_many("HSET", x.key, set) end
end

local function write_all()
  for _, x in pairs(opened) do write_fields(x) end
  opened = {}
  write_changes()
end

-- Whether the head is the one of this revision and commit id.
local function is_head(row_revision, row_commits, revision, commit_id)
  return tonumber(row_revision) == revision
    and string.sub(row_commits, -#commit_id - 2) == "\n" .. commit_id .. "\n"
end

local function last_commit(commits)
  return string.match(commits, "([^\n]*)\n$")
end
