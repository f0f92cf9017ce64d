-- Puts leased tasks back to the place of their adding.
-- KEYS: 1 base of the partition, which is also its wake channel. Derived: <base>:leases, :waits,
--   :held, :q:<queue>, :queues, :x:<id>.
-- ARGV: 1 clock tolerance; 2 packed {now, {execution, task, token, …}}.
-- Returns for each: 1 released, 0 stale.
--@flags allow-oom
--@needs call clock executions records tasks

-- The token stays with the queued task, so that a repeat is recognised.
local function release(x, id, token, now)
  local task = find_task(x, id)
  if not task or task[TOKEN] ~= token or task[STATE] == "D" then return 0 end
  if task[STATE] == "Q" then return 1 end
  index_task(x, task, false)
  enqueue(x, task, now)
  return 1
end

operations["release-tasks"] = function()
  local request = unpacked(ARGV[2])
  local now, leases = request[1], request[2]
  if skewed(now) then return SKEWED end
  local answers = {}
  for i = 1, #leases, 3 do
    local x = open(KEYS[1], leases[i])
    answers[#answers + 1] = release(x, leases[i + 1], leases[i + 2], now)
  end
  write_all()
  return answers
end
