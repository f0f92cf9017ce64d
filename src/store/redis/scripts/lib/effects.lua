-- What creates and commits add. An entry's lists are false when they are empty:
--   tasks {id, queue, priority, timeout, heartbeat, queue timeout, text, token or false, worker,
--   lease until, deadline}…, timers {id, at, …}, messages {id, body, …}, history {entry, …}.
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
  local known = find_task(x, id)
  if known then delete_task(x, id, known) end
  local queue_timeout = added[6]
  local task = {
    "Q", false, added[2], false, false, false, false,
    queue_timeout > 0 and queue_timeout, false, added[3], next_place(x.base), now, added[4], added[5],
  }
  x.fields["b:" .. id] = added[7]
  if not added[8] then return enqueue(x, id, task, now) end
  task[TOKEN], task[WORKER], task[UNTIL], task[DEADLINE] = added[8], added[9], added[10], added[11]
  lease(x, id, task, now)
end

local function delete_timer(x, id)
  x.fields["m:" .. id] = false
  put(x.base .. ":timers", pack({ x.id, id }), false)
end

local function delete_message(x, id)
  x.fields["o:" .. id] = false
  put(x.base .. ":out", pack({ x.id, id }), false)
end

local function add_effects(x, effects, now)
  local tasks, timers, messages, history = effects[1], effects[2], effects[3], effects[4]
  if tasks then
    for i = 1, #tasks do add_task(x, tasks[i], now) end
  end
  if timers then
    for i = 1, #timers, 2 do
      x.fields["m:" .. timers[i]] = pack({ timers[i + 1], false })
      put(x.base .. ":timers", pack({ x.id, timers[i] }), timers[i + 1])
    end
  end
  if messages then
    for i = 1, #messages, 2 do
      x.fields["o:" .. messages[i]] = pack({ messages[i + 1], 0, now, false })
      put(x.base .. ":out", pack({ x.id, messages[i] }), next_place(x.base))
    end
  end
  if history then call_many("RPUSH", x.base .. ":h:" .. x.id, history) end
end
