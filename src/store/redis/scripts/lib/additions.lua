-- What creates and commits add, where it is more than one task that is leased at once.
-- changes {set, member, score or false, …}.
local function put_all(base, list)
  for i = 1, #list, 3 do put(key_of(base, list[i]), list[i + 1], list[i + 2]) end
end

-- A task is {id, record, until} when it is leased at once, and {id, false, queue, priority, timeout,
-- heartbeat, queue timeout or false} otherwise. One whose id exists is replaced; its text is among
-- the fields of the entry.
local function add_task(x, added, now)
  local id, record, place = added[1], added[2], next_place(x.base)
  if not x.is_new and find_task(x, id) or x.tasks[id] then delete_task(x, id) end
  if record then
    record = record .. pack(place)
    set_field(x, "t:" .. id, record)
    x.tasks[id] = record
    return put(key_of(x.base, "leases"), x.id .. "\0" .. id, added[3])
  end
  enqueue(x, id, {
    added[3], false, false, false, false, added[7], false,
    added[4], now, added[5], added[6], place, "Q", "",
  }, now)
end

-- changes {1 changes of sets (put_all), 2 tasks (add_task), 3 messages {id, body, …}}.
local function add_all(x, changes, now)
  local puts, tasks, messages = changes[1], changes[2], changes[3]
  if puts then put_all(x.base, puts) end
  for i = 1, tasks and #tasks or 0 do add_task(x, tasks[i], now) end
  for i = 1, messages and #messages or 0, 2 do
    set_field(x, "o:" .. messages[i], pack({ messages[i + 1], 0, now, false }))
    put(key_of(x.base, "out"), x.id .. "\0" .. messages[i], next_place(x.base))
  end
end
