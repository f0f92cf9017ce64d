-- An execution is one hash, `<base>:x:<id>`:
--   r revision, c the latest commit ids ("\n" before and after each), k the commit id of the create,
--   q request hash, s status, e ended at, h "1" while held, S state, g tombstone until,
--   l what lists show (packed: member, workflow, correlation id or false, version, started at),
--   d:<field> data, t:<task> record, b:<task> its fixed text, m:<timer> {at, claim id or false},
--   o:<message> {body, deliveries, visible at, claim id or false}.
-- Its history is the list `<base>:h:<id>`.
local opened = {}
local NEWLINE = 10

-- What a script knows and changes of one execution. Fields are removed first and set then, and of
-- two values the later one wins: whoever removes what was set before must write in between.
local function open(base, id)
  local key = base .. ":x:" .. id
  local known = opened[key]
  if known then return known end
  local x = { base = base, id = id, key = key, sets = {}, gone = {}, tasks = {} }
  opened[key] = x
  return x
end

local function set_field(x, name, value)
  local sets = x.sets
  local count = #sets
  sets[count + 1] = name
  sets[count + 2] = value
end

local function drop_field(x, name)
  x.gone[#x.gone + 1] = name
end

local function write_fields(x)
  if #x.gone > 0 then call_many("HDEL", x.key, x.gone) end
  if #x.sets > 0 then call_many("HSET", x.key, x.sets) end
  x.sets, x.gone = {}, {}
end

local function write_all()
  for _, x in pairs(opened) do write_fields(x) end
  opened = {}
  write_changes()
end

local function ends_with_commit(commits, commit_id)
  return string.sub(commits, -#commit_id - 1, -2) == commit_id
    and string.byte(commits, -#commit_id - 2) == NEWLINE
end

local function has_commit(commits, commit_id)
  -- Nearly always no part of them is equal; only then it is worth the making of a text.
  return string.find(commits, commit_id, 1, true)
    and string.find(commits, "\n" .. commit_id .. "\n", 1, true)
end

local function last_commit(commits)
  return string.match(commits, "([^\n]*)\n$")
end
