-- Leases one task by its ticket, if it is queued and not held, and was not released from under this
-- token prefix.
-- KEYS: 1 base of the partition. Derived: <base>:q:<queue>, :queues, :leases, :waits, :x:<id>.
-- ARGV: 1 clock tolerance; 2 packed {execution, task, token prefix, worker, heartbeat, now}.
-- Returns {"claimed", the task as claim-tasks does}, {"leased", until}, {"held"} or {"unknown"}.
--@flags allow-oom
--@needs call clock executions records tasks claims

operations["claim-task"] = function()
  local request = unpacked(ARGV[2])
  local x, id = open(KEYS[1], request[1]), request[2]
  local worker = { prefix = request[3], id = request[4], heartbeat = request[5], now = request[6] }
  if skewed(worker.now) then return SKEWED end
  local task = find_task(x, id)
  if not task or task[STATE] == "D" then return { "unknown" } end
  if task[STATE] == "L" and not is_leased_under(task, worker.prefix) then
    return { "leased", task[UNTIL] }
  end
  if task[STATE] == "Q" then
    if task[TOKEN] == SHORT .. worker.prefix then return { "unknown" } end
    if is_held(x) then return { "held" } end
    claim_task(x, task, worker)
    write_all()
  end
  return { "claimed", leased_view(x, task, worker) }
end
