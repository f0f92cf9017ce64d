-- Writes a piece of a dumped execution. Not allowed when Redis has no memory left.
-- KEYS: 1 base of the partition. Derived: as for create.
-- ARGV: 1 packed {id, now, first, fields {name, value, …}, history {after, entries}, tasks, timers {id,
--   at, …}, messages {id, body, deliveries, …}}. first: false, or the map that begin takes; a task: a
--   list of the record's values from queue to heartbeat, then id, state, token, text, place, and
--   whether the text is small.
-- Returns whether the execution is there.
--@flags
--@needs call indexes executions heads inline-history records tasks listings removal tombstones

-- Nothing is left of what is there under the id.
local function clear(x)
  local row = call("HMGET", x.key, "r", "l")
  if row[1] then
    local _, _, status = read_head(row[1])
    local member, workflow, correlation_id, _, _, parent = unpacked(row[2])
    local listing = {
      status = status, member = member, workflow = workflow, correlation_id = correlation_id,
      parent = parent,
    }
    list_in(x.base, listing, false)
    while delete_rows(x) do write_fields(x) end
    write_fields(x)
  end
  forget(x)
  write_changes()
  call("DEL", x.base .. ":h:" .. x.id)
  x.tasks, x.lone, x.held = {}, nil, nil
end

-- first {until_moment, head, request_hash, status} of a tombstone, or {fields {name, value, …}, status,
-- member, workflow, correlation_id, parent}.
local function begin(x, first, now)
  clear(x)
  if not first.until_moment then
    call("HSET", x.key, unpack(first.fields))
    list_in(x.base, first, 0)
  elseif first.until_moment > now then
    count_tombstone(x.base, first.until_moment, now)
    first.now = now
    bury(x, first)
  end
end

-- Of an execution with few commits so far the history goes on in its hash: all of it is there.
local function add_history(x, revision, after, added)
  if #added == 0 then return end
  if revision > INLINE_MAX then
    local key = x.base .. ":h:" .. x.id
    if after == 0 then call("DEL", key) else call("LTRIM", key, 0, after - 1) end
    call_many("RPUSH", key, added)
    return
  end
  local trace = call("HGET", x.key, "n:" .. revision)
  local parts, before = { commit_in(trace) }, entries_in(trace)
  for i = 1, math.min(after, #before) do parts[#parts + 1] = before[i] end
  for i = 1, #added do parts[#parts + 1] = added[i] end
  set_field(x, "n:" .. revision, table.concat(parts, "\0"))
end

local function add_task(x, values)
  local id, state, token, text, place, is_small = unpack(values, HEARTBEAT + 1)
  local known = find_task(x, id)
  if known then delete_task(x, known) end
  local task = { unpack(values, 1, HEARTBEAT) }
  task[ID], task[SLOT], task[STATE], task[TOKEN], task[PLACE] = id, id, state, token, place
  task[TEXT], task[SCORE] = is_small and text or "", task[UNTIL] or ""
  if not is_small then set_field(x, "b:" .. id, text) end
  save_task(x, task)
  index_task(x, task, true)
  return place
end

-- New tasks come behind all that were restored.
local function raise_places(base, place)
  local key = base .. ":seq"
  if place > tonumber(call("GET", key) or 0) then call("SET", key, string.format("%.0f", place)) end
end

local function add_messages(x, messages, now)
  if #messages == 0 then return end
  local place = call("INCRBY", x.base .. ":seq", #messages / 3) - #messages / 3
  for i = 1, #messages, 3 do
    place = place + 1
    set_field(x, "o:" .. messages[i], pack({ messages[i + 1], messages[i + 2], now, false }))
    put(x.base .. ":out", x.id .. "\0" .. messages[i], place)
  end
end

operations["restore"] = function()
  local id, now, first, data, history, tasks, timers, messages = unpack(unpacked(ARGV[1]))
  local x = open(KEYS[1], id)
  if first then begin(x, first, now) end
  local head = call("HGET", x.key, "r")
  if head then
    for i = 1, #data, 2 do set_field(x, "d:" .. data[i], data[i + 1]) end
    add_history(x, read_head(head), history[1], history[2])
    for i = 1, #tasks do raise_places(x.base, add_task(x, tasks[i])) end
    for i = 1, #timers, 2 do
      set_field(x, "m:" .. timers[i], pack({ timers[i + 1], false }))
      put(x.base .. ":timers", x.id .. "\0" .. timers[i], timers[i + 1])
    end
    add_messages(x, messages, now)
  end
  write_all()
  return head and 1 or 0
end
