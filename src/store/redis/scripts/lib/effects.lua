-- What creates and commits add. Whatever does not depend on what is stored was put together by the
-- caller: fields to set and to remove, changes of sets. A long text is an argument of its own, and
-- a number says which: as part of what is unpacked it would be copied and hashed twice.
local TEXTS = 2 + tonumber(ARGV[2])

local function text_of(value)
  return type(value) == "number" and ARGV[TEXTS + value] or value
end

-- refs {position among the fields, number of its text, …}.
local function fill_texts(sets, refs)
  for i = 1, #refs, 2 do sets[refs[i]] = ARGV[TEXTS + refs[i + 1]] end
end

-- changes {set, member, score or false, …}.
local function put_all(base, list)
  for i = 1, #list, 3 do put(key_of(base, list[i]), list[i + 1], list[i + 2]) end
end

local places = {}

-- Places in queues and in the outbox, for all entries of a batch at once.
local function reserve(base, tasks, messages)
  places[base] = (places[base] or 0) + (tasks and #tasks or 0) + (messages and #messages / 2 or 0)
end

local function reserve_places()
  for base, count in pairs(places) do
    if count > 0 then places[base] = call("INCRBY", key_of(base, "seq"), count) - count end
  end
end

local function next_place(base)
  local place = places[base] + 1
  places[base] = place
  return place
end

-- A task is {id, record, until} when it is leased at once, and {id, false, queue, priority, timeout,
-- heartbeat, queue timeout or false} otherwise. One whose id exists is replaced; its text is among
-- the fields already.
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

local function add_messages(x, messages, now)
  for i = 1, #messages, 2 do
    set_field(x, "o:" .. messages[i], pack({ text_of(messages[i + 1]), 0, now, false }))
    put(key_of(x.base, "out"), x.id .. "\0" .. messages[i], next_place(x.base))
  end
end
