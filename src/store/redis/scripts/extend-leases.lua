-- Moves the ends of leases: never nearer, never past the deadline, never later than `late` after
-- them.
-- KEYS: 1 base of the partition. Derived: <base>:leases, :x:<id>.
-- ARGV: 1 clock tolerance; 2 packed {now, late, {execution, task, token, until, …}}.
-- Returns for each: the moment until which it is extended, -1 for cancelled, 0 for stale.
--@flags allow-oom
--@needs call clock executions records tasks

local now, late

local function extend(x, id, token, wanted)
  local task = find_task(x, id)
  if not task or task[TOKEN] ~= token or task[STATE] == "Q" then return 0 end
  if now > task[UNTIL] + late then return 0 end
  if task[STATE] == "D" then return -1 end
  local until_moment = math.max(task[UNTIL], math.min(wanted, task[DEADLINE]))
  if until_moment ~= task[UNTIL] then
    task[UNTIL], task[SCORE] = until_moment, until_moment
    task[CLAIM] = false
    save_task(x, task)
    index_task(x, task, true)
  end
  return until_moment
end

operations["extend-leases"] = function()
  local request = unpacked(ARGV[2])
  local leases = request[3]
  now, late = request[1], request[2]
  if skewed(now) then return SKEWED end
  local answers = {}
  for i = 1, #leases, 4 do
    local x = open(KEYS[1], leases[i])
    answers[#answers + 1] = extend(x, leases[i + 1], leases[i + 2], leases[i + 3])
  end
  write_all()
  return answers
end
