-- The life of a task: queued, leased, dropped, and back. Its record, t:<id>, is a packed array and
-- behind it its place; its fixed text, b:<id>, is stored and given back as it came. Depending on its
-- state it is a member of these sets, always as the same <execution> NUL <task> NUL <queue>:
--   Q: <base>:q:<queue> by priority and place, or <base>:held by the moment of queueing, and
--      <base>:waits by the end of its wait, when it has one; L: <base>:leases; D: <base>:dropped.
-- A queue timeout runs only while the task is on offer.
local STATE, TOKEN, QUEUE, UNTIL, WORKER, LEASED_AT, DEADLINE = 1, 2, 3, 4, 5, 6, 7
local LEFT, CLAIM, PRIORITY, QUEUED_AT, TIMEOUT, HEARTBEAT = 8, 9, 10, 11, 12, 13
local PLACE = 14
-- Tokens begin with this when the rest is their prefix: the task's id completes them.
local SHORT = "~"

-- Of two priorities the higher comes first; of two places the lower. Both fit a double exactly.
local PRIORITY_TOP, PRIORITY_STEP = 100, 2 ^ 45

local function read_task(record)
  if not record then return false end
  local task, place = unpacked(record)
  task[PLACE] = place
  return task
end

local function find_task(x, id)
  local task = x.tasks[id]
  if task == nil then
    task = read_task(call("HGET", x.key, "t:" .. id))
    x.tasks[id] = task
  end
  return task
end

local function save_task(x, id, task)
  local place = task[PLACE]
  task[PLACE] = nil
  set_field(x, "t:" .. id, pack(task, place))
  task[PLACE] = place
  x.tasks[id] = task
end

-- Into the sets of its present state, or out of them: before any change of the record.
local function index_task(x, id, task, present)
  local member = x.id .. "\0" .. id .. "\0" .. task[QUEUE]
  local state = task[STATE]
  if state == "L" then return put(key_of(x.base, "leases"), member, present and task[UNTIL]) end
  if state == "D" then return put(key_of(x.base, "dropped"), member, present and task[UNTIL]) end
  if x.held then
    put(key_of(x.base, "held"), member, present and task[QUEUED_AT])
  else
    local score = (PRIORITY_TOP - task[PRIORITY]) * PRIORITY_STEP + task[PLACE]
    put_queue(x.base, task[QUEUE], member, present and score)
  end
  if task[UNTIL] then put(key_of(x.base, "waits"), member, present and task[UNTIL]) end
end

local function delete_task(x, id, task)
  index_task(x, id, task, false)
  x.tasks[id] = false
  drop_field(x, "t:" .. id)
  drop_field(x, "b:" .. id)
end

local function enqueue(x, id, task, now)
  task[STATE] = "Q"
  task[UNTIL] = task[LEFT] and not x.held and now + task[LEFT]
  task[CLAIM] = false
  save_task(x, id, task)
  index_task(x, id, task, true)
end

local function stand_still(task, now)
  if task[UNTIL] then task[LEFT] = math.max(0, task[UNTIL] - now) end
end

-- Out of the queue, into a lease whose terms are in the record.
local function lease(x, id, task, now)
  task[STATE] = "L"
  task[LEASED_AT] = now
  task[CLAIM] = false
  save_task(x, id, task)
  index_task(x, id, task, true)
end

-- A worker's claim of a queued task; its own heartbeat wins over the worker's.
local function claim_task(x, id, task, worker)
  index_task(x, id, task, false)
  stand_still(task, worker.now)
  local heartbeat = task[HEARTBEAT] > 0 and task[HEARTBEAT] or worker.heartbeat
  task[DEADLINE] = worker.now + task[TIMEOUT]
  task[UNTIL] = heartbeat > 0 and math.min(worker.now + heartbeat, task[DEADLINE]) or task[DEADLINE]
  task[TOKEN] = SHORT .. worker.prefix
  task[WORKER] = worker.id
  lease(x, id, task, worker.now)
end

local function leased_view(x, id, task, worker, body)
  local heartbeat = task[HEARTBEAT] > 0 and task[HEARTBEAT] or worker.heartbeat
  return {
    x.id, id, task[QUEUE], task[TOKEN], task[LEASED_AT], task[UNTIL], task[DEADLINE], heartbeat, body,
  }
end

local function is_leased_under(task, prefix)
  return task and task[STATE] == "L" and task[TOKEN] == SHORT .. prefix
end
