-- The life of a task: queued, leased, dropped, and back. Depending on its state it is a member of
-- these sets, always as the same <execution> NUL <slot>:
--   Q: <base>:q:<queue> by priority and place, or <base>:held by the moment of queueing, and
--      <base>:waits by the end of its wait, when it has one; L: <base>:leases; D: <base>:dropped.
-- A queue timeout runs only while the task is on offer. The score of the lone slot among the leases
-- may be earlier than the lease ends, as a task that follows on another leaves it.
--@needs call indexes executions records

local function lone_task(x)
  if x.lone == nil then x.lone = call("HGET", x.key, "t:") end
  if type(x.lone) == "string" then x.lone = read_task(x.lone, LONE) end
  return x.lone
end

local function task_at(x, slot)
  if slot == LONE then return lone_task(x) end
  if x.tasks[slot] == nil then
    x.tasks[slot] = read_task(call("HGET", x.key, "t:" .. slot), slot)
  end
  return x.tasks[slot]
end

local function find_task(x, id)
  local lone = x.tasks[id] == nil and lone_task(x)
  if lone and lone[ID] == id then return lone end
  return task_at(x, id)
end

local function know_task(x, slot, task)
  if slot == LONE then x.lone = task else x.tasks[slot] = task end
end

-- Only small texts are in the record.
local function free_slot(x, id, text)
  return text and not lone_task(x) and LONE or id
end

local function text_of(x, task)
  return task[TEXT] ~= "" and task[TEXT] or call("HGET", x.key, "b:" .. task[ID])
end

local function save_task(x, task)
  set_field(x, "t:" .. task[SLOT], write_task(task))
  know_task(x, task[SLOT], task)
end

local function index_lease(x, slot, until_moment)
  put(key_of(x.base, "leases"), x.id .. "\0" .. slot, until_moment)
end

local function is_held(x)
  if x.held == nil then x.held = call("HGET", x.key, "h") == "1" end
  return x.held
end

-- Into the sets of its present state, or out of them: before any change of the record.
local function index_task(x, task, present)
  local member = x.id .. "\0" .. task[SLOT]
  local state = task[STATE]
  if state == "L" then return index_lease(x, task[SLOT], present and task[UNTIL]) end
  if state == "D" then return put(key_of(x.base, "dropped"), member, present and task[UNTIL]) end
  if is_held(x) then
    put(key_of(x.base, "held"), member, present and task[QUEUED_AT])
  else
    local score = (PRIORITY_TOP - task[PRIORITY]) * PRIORITY_STEP + task[PLACE]
    put_queue(x.base, task[QUEUE], member, present and score)
  end
  if task[UNTIL] then put(key_of(x.base, "waits"), member, present and task[UNTIL]) end
end

local function delete_task(x, task)
  index_task(x, task, false)
  know_task(x, task[SLOT], false)
  drop_field(x, "t:" .. task[SLOT])
  if task[TEXT] == "" then drop_field(x, "b:" .. task[ID]) end
end

local function enqueue(x, task, now)
  task[STATE] = "Q"
  task[UNTIL] = task[LEFT] and not is_held(x) and now + task[LEFT]
  task[CLAIM] = false
  save_task(x, task)
  index_task(x, task, true)
end

local function stand_still(task, now)
  if task[UNTIL] then task[LEFT] = math.max(0, task[UNTIL] - now) end
end
