-- What an execution owns of one kind, in order, for a dump.
-- KEYS: 1 base of its partition. Derived: <base>:x:<id>, :out.
-- ARGV: 1 id; 2 "fields", "tasks", "timers" or "messages"; 3 how many are left out at the beginning;
--   4 how many at most; 5 after how many bytes none is added.
-- Returns for each: {name, value}; {task, the record's values from queue to heartbeat, state, token,
--   text}; {timer, at}; {message, body, deliveries}.
--@flags no-writes
--@needs call executions records tasks

local PREFIXES = { fields = "d:", tasks = "t:", timers = "m:", messages = "o:" }

local function names_of(key, kind)
  local names = {}
  for _, name in ipairs(call("HKEYS", key)) do
    if sub(name, 1, 2) == PREFIXES[kind] then names[#names + 1] = sub(name, 3) end
  end
  table.sort(names)
  return names
end

-- rank: by name, what a row is ordered by; ties go by name.
local function sort_by(names, rank)
  table.sort(names, function(a, b)
    if rank[a] ~= rank[b] then return rank[a] < rank[b] end
    return a < b
  end)
end

-- Reads of one kind: the row of a name, and how long it is.
local read = {}

function read.fields(x, name)
  local value = call("HGET", x.key, "d:" .. name)
  return { name, value }, #value
end

function read.tasks(x, slot)
  local task = task_at(x, slot)
  local text = text_of(x, task)
  local values = { unpack(task, 1, HEARTBEAT) }
  return { task[ID], values, task[STATE], task[TOKEN], text }, #text
end

function read.timers(x, name)
  return { name, unpacked(call("HGET", x.key, "m:" .. name))[1] }, #name
end

function read.messages(x, name)
  local message = unpacked(call("HGET", x.key, "o:" .. name))
  return { name, message[1], message[2] }, #message[1]
end

local function rank_of(x, kind, names)
  local rank = {}
  for _, name in ipairs(names) do
    if kind == "tasks" then rank[name] = task_at(x, name)[PLACE] end
    if kind == "messages" then
      rank[name] = tonumber(call("ZSCORE", x.base .. ":out", x.id .. "\0" .. name) or 0)
    end
  end
  return rank
end

operations["dump-rows"] = function()
  local x, kind = open(KEYS[1], ARGV[1]), ARGV[2]
  local skip, limit, bytes_max = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  local names = names_of(x.key, kind)
  if kind == "tasks" or kind == "messages" then sort_by(names, rank_of(x, kind, names)) end
  local rows, bytes = {}, 0
  for i = skip + 1, math.min(#names, skip + limit) do
    local row, length = read[kind](x, names[i])
    rows[#rows + 1], bytes = row, bytes + length
    if bytes >= bytes_max then break end
  end
  return rows
end
