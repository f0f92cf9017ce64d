-- What commits change of tasks and timers when it is more than the lone slot (lib/commit-step.lua).
-- changes {hold: true or false, settle {{id, token or false}, …}, expire {{id, token or false,
-- until_moment}, …}, consume: timers {{id, claim}, …}, drop: tasks {id, …}, tasks and messages
-- (add_all)}: each may be missing.
--@needs call executions records tasks additions

local NONE = {}

-- The changes of a commit that is given as a step, but is none.
local function changes_of(settled, added, record, until_moment)
  local changes = {}
  if settled then
    local token, id = match(settled, "^L(%Z*)%z(%Z*)%z$")
    changes.settle = { { id = id, token = token } }
  end
  if added then
    local id = sub(added, 3)
    changes.tasks = { { id = id, text = "", record = record, until_moment = until_moment } }
  end
  return changes
end

local function is_held_by(task, token)
  return task and task[STATE] == "L" and task[TOKEN] == token
end

-- token false: the task is on offer.
local function may_settle(x, task, token)
  if token then return is_held_by(task, token) end
  return task and task[STATE] == "Q" and not is_held(x)
end

local function is_as_expected(task, expired)
  if not task or task[UNTIL] ~= expired.until_moment then return false end
  if not expired.token then return task[STATE] == "Q" end
  return is_held_by(task, expired.token)
end

-- Names what is not as the commit expects it.
local function stale_of(x, changes)
  local tasks, timers = {}, {}
  for _, settled in ipairs(changes.settle or NONE) do
    local task = find_task(x, settled.id)
    if not may_settle(x, task, settled.token) then tasks[#tasks + 1] = settled.id end
  end
  for _, expired in ipairs(changes.expire or NONE) do
    local task = find_task(x, expired.id)
    if not is_as_expected(task, expired) then tasks[#tasks + 1] = expired.id end
  end
  for _, timer in ipairs(changes.consume or NONE) do
    local record = call("HGET", x.key, "m:" .. timer.id)
    if not record or unpacked(record)[2] ~= timer.claim then timers[#timers + 1] = timer.id end
  end
  if #tasks > 0 or #timers > 0 then return { "stale", tasks, timers } end
end

-- All queued tasks go out of the queues, or back into them; their timeouts stand still meanwhile.
local function set_held(x, held, now)
  if is_held(x) == held then return end
  local queued = {}
  for _, name in ipairs(call("HKEYS", x.key)) do
    local task = sub(name, 1, 2) == "t:" and task_at(x, sub(name, 3))
    if task and task[STATE] == "Q" then
      index_task(x, task, false)
      queued[#queued + 1] = task
    end
  end
  x.held = held
  set_field(x, "h", held and "1" or "0")
  for _, task in ipairs(queued) do
    stand_still(task, now)
    enqueue(x, task, now)
  end
end

local function delete_all(x, ended)
  for _, one in ipairs(ended or NONE) do
    local task = find_task(x, one.id)
    if task then delete_task(x, task) end
  end
end

local function drop_task(x, id)
  local task = find_task(x, id)
  if not task or task[STATE] == "D" then return end
  if task[STATE] == "Q" then return delete_task(x, task) end
  index_task(x, task, false)
  task[STATE] = "D"
  save_task(x, task)
  index_task(x, task, true)
end

-- Returns what is stale, if anything is; else notes all changes.
local function apply_changes(x, changes, now)
  local stale = stale_of(x, changes)
  if stale then return stale end
  delete_all(x, changes.settle)
  delete_all(x, changes.expire)
  if changes.hold ~= nil then set_held(x, changes.hold, now) end
  for _, id in ipairs(changes.drop or NONE) do drop_task(x, id) end
  add_all(x, changes.tasks, changes.messages, now)
end
