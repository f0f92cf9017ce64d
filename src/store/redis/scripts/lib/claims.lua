-- Hand-outs to workers that ask.
--@needs records tasks

-- A worker's claim of a queued task: out of the queue, into a lease whose terms are in the record.
-- The task's own heartbeat wins over the worker's.
local function claim_task(x, task, worker)
  index_task(x, task, false)
  stand_still(task, worker.now)
  local heartbeat = task[HEARTBEAT] > 0 and task[HEARTBEAT] or worker.heartbeat
  task[DEADLINE] = worker.now + task[TIMEOUT]
  task[UNTIL] = heartbeat > 0 and math.min(worker.now + heartbeat, task[DEADLINE]) or task[DEADLINE]
  task[SCORE] = task[UNTIL]
  task[TOKEN] = SHORT .. worker.prefix
  task[WORKER] = worker.id
  task[STATE] = "L"
  task[LEASED_AT] = worker.now
  task[CLAIM] = false
  save_task(x, task)
  index_task(x, task, true)
end

local function leased_view(x, task, worker)
  local heartbeat = task[HEARTBEAT] > 0 and task[HEARTBEAT] or worker.heartbeat
  return {
    x.id, task[ID], task[QUEUE], task[TOKEN],
    task[LEASED_AT], task[UNTIL], task[DEADLINE], heartbeat, text_of(x, task),
  }
end

local function is_leased_under(task, prefix)
  return task and task[STATE] == "L" and task[TOKEN] == SHORT .. prefix
end
