-- Leases tasks of some queues, in their order; or, when an earlier call with this token prefix was
-- given some, answers those that it still holds.
-- KEYS: 1 base of the partition, which is also its wake channel. Derived: <base>:q:<queue>,
--   :queues, :leases, :waits, :x:<id>, :claim:tasks:<prefix>.
-- ARGV: 1 clock tolerance; 2 packed {token prefix, worker, heartbeat, now, limit, how long the
--   claim is remembered in seconds, queues {name, limit, …}}.
-- Returns {tasks, names of the queues that still hold some}; a task is {execution, id, queue,
--   token, leased at, lease until, deadline, heartbeat, text}.
--@flags allow-oom
--@needs call clock indexes executions records tasks claims

local base, worker, tasks, claimed

local function view_earlier(members)
  for _, member in ipairs(members) do
    local execution, slot = names_of_member(member)
    local x = open(base, execution)
    local task = task_at(x, slot)
    if is_leased_under(task, worker.prefix) then
      tasks[#tasks + 1] = leased_view(x, task, worker)
    end
  end
end

local function claim(queue, room)
  for _, member in ipairs(call("ZRANGE", base .. ":q:" .. queue, 0, room - 1)) do
    local execution, slot = names_of_member(member)
    local x = open(base, execution)
    -- None of what is in a queue is held.
    x.held = false
    local task = task_at(x, slot)
    if task and task[STATE] == "Q" then
      claim_task(x, task, worker)
      tasks[#tasks + 1] = leased_view(x, task, worker)
      claimed[#claimed + 1] = member
    else
      put_queue(base, queue, member, false)
    end
  end
end

-- Names of the queues that still hold something; servers are woken for it.
local function left_in(queues)
  local more = {}
  for i = 1, #queues, 2 do
    if call("EXISTS", base .. ":q:" .. queues[i]) == 1 then
      more[#more + 1] = queues[i]
      if #claimed > 0 then redis.pcall("SPUBLISH", base, queues[i]) end
    end
  end
  return more
end

operations["claim-tasks"] = function()
  local request = unpacked(ARGV[2])
  base, tasks, claimed = KEYS[1], {}, {}
  worker = { prefix = request[1], id = request[2], heartbeat = request[3], now = request[4] }
  local limit, remembered_seconds, queues = request[5], request[6], request[7]
  if skewed(worker.now) then return SKEWED end
  local claim_key = base .. ":claim:tasks:" .. worker.prefix
  local earlier = call("GET", claim_key)
  if earlier then
    view_earlier(unpacked(earlier))
    return { tasks, left_in(queues) }
  end
  for i = 1, #queues, 2 do
    local room = math.min(queues[i + 1], limit - #tasks)
    if room > 0 then claim(queues[i], room) end
  end
  if #claimed > 0 then call("SET", claim_key, pack(claimed), "EX", remembered_seconds) end
  write_all()
  return { tasks, left_in(queues) }
end
