-- What creates and commits add, where it is more than one task that follows on another.
-- A task is {id, its text or false when that is large, record but for its place, until} when it is
-- leased at once, and {id, text or false, false, queue, priority, timeout, heartbeat, queue timeout or
-- false} otherwise. One whose id exists is replaced; large texts are among the fields of the entry.
local function add_task(x, added, now)
  local id, text, record, place = added[1], added[2], added[3], next_place(x.base)
  local known = not x.is_new and find_task(x, id)
  if known then delete_task(x, known) end
  local slot = free_slot(x, id, text)
  if slot ~= LONE then x.has_others = true end
  if record then
    set_field(x, "t:" .. slot, record .. "\0" .. place .. "\0" .. added[4])
    know_task(x, slot, {})
    return index_lease(x, slot, added[4])
  end
  enqueue(x, {
    added[4], false, false, false, false, added[8], false,
    added[5], now, added[6], added[7], place, "Q", "", id, slot, text or "", "",
  }, now)
end

-- changes {1 tasks (add_task), each id once, 2 messages {id, body, …}}.
local function add_all(x, changes, now)
  local tasks, messages = changes[1], changes[2]
  for i = 1, tasks and #tasks or 0 do add_task(x, tasks[i], now) end
  for i = 1, messages and #messages or 0, 2 do
    set_field(x, "o:" .. messages[i], pack({ messages[i + 1], 0, now, false }))
    put(key_of(x.base, "out"), x.id .. "\0" .. messages[i], next_place(x.base))
  end
end
