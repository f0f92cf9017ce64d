-- An execution is one hash, `<base>:x:<id>`:
--   r its head, n:<revision> and c<number> what commits leave (lib/heads.lua), q request hash,
--   h "1" while held, S state, l what lists show (packed, one value after the other: member,
--   workflow, correlation id or false, version, started at), d:<field> data,
--   t:<slot> tasks, b:<task> large texts of tasks (lib/records.lua, lib/tasks.lua),
--   m:<timer> {at, claim id or false}, o:<message> {body, deliveries, visible at, claim id or
--   false}.
-- Of a removed one g, tombstone until, and R, its last head, are left; and where its start is kept
-- q, and s, its last status as it was stored.
-- The history that is not in the hash is the list `<base>:h:<id>`.
--@needs call indexes

local opened

resets[#resets + 1] = function() opened = {} end

-- What a script knows and changes of one execution: fields by name, false where one is removed;
-- tasks by slot, and that of the lone slot, false where there is none.
local function new_context(base, id, key)
  return { base = base, id = id, key = key or base .. ":x:" .. id, fields = {}, tasks = {} }
end

local function open(base, id)
  local key = base .. ":x:" .. id
  local known = opened[key]
  if known then return known end
  local x = new_context(base, id, key)
  opened[key] = x
  return x
end

local function set_field(x, name, value)
  x.fields[name] = value
end

local function drop_field(x, name)
  x.fields[name] = false
end

local function write_fields(x)
  local sets, gone = {}, {}
  for name, value in pairs(x.fields) do
    if value then
      sets[#sets + 1] = name
      sets[#sets + 1] = value
    else
      gone[#gone + 1] = name
    end
  end
  if #gone > 0 then call_many("HDEL", x.key, gone) end
  if #sets > 0 then call_many("HSET", x.key, sets) end
  x.fields = {}
end

local function write_all()
  for _, x in pairs(opened) do write_fields(x) end
  opened = {}
  write_changes()
end

-- The name of the index of a status, which may be followed by when it ended.
local function status_index(status)
  return "s:" .. match(status, "^%S+")
end
