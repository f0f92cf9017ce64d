-- The life of a task: queued, leased, dropped, and back. Its fixed text, b:<id>, is stored and given
-- back as it came. Depending on its state it is a member of these sets, always as the same
-- <execution> NUL <task>:
--   Q: <base>:q:<queue> by priority and place, or <base>:held by the moment of queueing, and
--      <base>:waits by the end of its wait, when it has one; L: <base>:leases; D: <base>:dropped.
-- A queue timeout runs only while the task is on offer.
-- x.tasks holds what is known of tasks: a record, still packed or not; false where there is none.
local function find_task(x, id)
  local task = x.tasks[id]
  if task == nil then task = call("HGET", x.key, "t:" .. id) end
  if type(task) == "string" then task = read_task(task) end
  x.tasks[id] = task
  return task
end

local function save_task(x, id, task)
  local place, state, token = task[PLACE], task[STATE], task[TOKEN]
  task[PLACE], task[STATE], task[TOKEN] = nil, nil, nil
  set_field(x, "t:" .. id, state .. token .. "\0" .. pack(task, place))
  task[PLACE], task[STATE], task[TOKEN] = place, state, token
  x.tasks[id] = task
end

-- Into the sets of its present state, or out of them: before any change of the record.
local function index_task(x, id, task, present)
  local member = x.id .. "\0" .. id
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

local function delete_task(x, id)
  index_task(x, id, find_task(x, id), false)
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
