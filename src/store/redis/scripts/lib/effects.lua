-- What creates and commits add. Lists are false when they are empty: tasks {{id, queue, text,
--   priority, timeout, heartbeat, queue timeout} or, leased at once, {id, queue, text, record,
--   until}, …}, timers {id, at, …}, messages {id, body, …}, history {entry, …}.
-- A long text is an argument of its own, and a number says which: as part of what is unpacked it
-- would be copied and hashed twice.
local TEXTS = 2 + tonumber(ARGV[2])

local function text_of(value)
  return type(value) == "number" and ARGV[TEXTS + value] or value
end

local places = {}

-- Places in queues and in the outbox, for all entries of a batch at once.
local function reserve(base, tasks, messages)
  places[base] = (places[base] or 0) + (tasks and #tasks or 0) + (messages and #messages / 2 or 0)
end

local function reserve_places()
  for base, count in pairs(places) do
    if count > 0 then places[base] = call("INCRBY", base .. ":seq", count) - count end
  end
end

local function next_place(base)
  places[base] = places[base] + 1
  return places[base]
end

-- One whose id exists is replaced.
local function add_task(x, added, now)
  local id = added[1]
  local known = x.tasks[id]
  if known or known == nil and not x.is_new and find_task(x, id) then delete_task(x, id) end
  local queue, place, record = added[2], next_place(x.base), added[4]
  set_field(x, "b:" .. id, text_of(added[3]))
  if type(record) == "string" then
    record = record .. pack(place)
    set_field(x, "t:" .. id, record)
    x.tasks[id] = record
    put(key_of(x.base, "leases"), x.id .. "\0" .. id, added[5])
    return
  end
  local queue_timeout = added[7]
  local task = {
    queue, false, false, false, false, queue_timeout > 0 and queue_timeout, false,
    added[4], now, added[5], added[6], place, "Q", "",
  }
  enqueue(x, id, task, now)
end

local function add_effects(x, effects, now)
  local tasks, timers, messages, history = effects[1], effects[2], effects[3], effects[4]
  if tasks then
    for i = 1, #tasks do add_task(x, tasks[i], now) end
  end
  if timers then
    for i = 1, #timers, 2 do
      set_field(x, "m:" .. timers[i], pack({ timers[i + 1], false }))
      put(key_of(x.base, "timers"), x.id .. "\0" .. timers[i], timers[i + 1])
    end
  end
  if messages then
    for i = 1, #messages, 2 do
      set_field(x, "o:" .. messages[i], pack({ text_of(messages[i + 1]), 0, now, false }))
      put(key_of(x.base, "out"), x.id .. "\0" .. messages[i], next_place(x.base))
    end
  end
  if history then
    for i = 1, #history do history[i] = text_of(history[i]) end
    call_many("RPUSH", x.base .. ":h:" .. x.id, history)
  end
end

-- Data: names and values; false removes. A name is given once.
local function set_data(x, data)
  for i = 1, #data, 2 do
    local value = data[i + 1]
    if value then set_field(x, "d:" .. data[i], text_of(value)) else drop_field(x, "d:" .. data[i]) end
  end
end
