-- What creates and commits add, where it is more than one task that follows on another.
--@needs call indexes executions batch records tasks

-- added {id, text: false when it is large, then it is among the fields of the entry}, and {record
-- but for its place, until_moment} when it is leased at once, else {queue, priority, timeout,
-- heartbeat, queue_timeout or nil}. A task whose id exists is replaced.
local function add_task(x, added, now)
  local id, text, place = added.id, added.text, next_place(x.base)
  local known = not x.is_new and find_task(x, id)
  if known then delete_task(x, known) end
  local slot = free_slot(x, id, text)
  if slot ~= LONE then x.has_others = true end
  if added.record then
    set_field(x, "t:" .. slot, added.record .. "\0" .. place .. "\0" .. added.until_moment)
    know_task(x, slot, {})
    return index_lease(x, slot, added.until_moment)
  end
  enqueue(x, {
    [QUEUE] = added.queue, [UNTIL] = false, [LEFT] = added.queue_timeout or false, [CLAIM] = false,
    [WORKER] = false, [LEASED_AT] = false, [DEADLINE] = false,
    [PRIORITY] = added.priority, [QUEUED_AT] = now,
    [TIMEOUT] = added.timeout, [HEARTBEAT] = added.heartbeat,
    [PLACE] = place, [TOKEN] = "", [ID] = id, [SLOT] = slot, [TEXT] = text or "", [SCORE] = "",
  }, now)
end

-- Each may be missing: tasks (add_task), each id once; messages {{id, body}, …}.
local function add_all(x, tasks, messages, now)
  for i = 1, tasks and #tasks or 0 do add_task(x, tasks[i], now) end
  for i = 1, messages and #messages or 0 do
    local id, body = messages[i].id, messages[i].body
    set_field(x, "o:" .. id, pack({ body, 0, now, false }))
    put(key_of(x.base, "out"), x.id .. "\0" .. id, next_place(x.base))
  end
end
