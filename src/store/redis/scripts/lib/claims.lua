-- Hand-outs to workers that ask.
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
