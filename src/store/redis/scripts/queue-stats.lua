-- Counts of one queue, or of all that hold something.
-- KEYS: 1 base of the partition. Derived: <base>:queues, :q:<queue>, :held, :leases, :x:<id>.
-- ARGV: 1 the queue, if only one is wanted.
-- Returns for each {queue, queued, leased, oldest at or false}.
--@flags no-writes
--@needs call indexes records

local base, only, found, order

local function task_of(member)
  local execution, slot = names_of_member(member)
  return read_task(call("HGET", base .. ":x:" .. execution, "t:" .. slot), slot)
end

local function stats_of(queue)
  if only and queue ~= only then return end
  if not found[queue] then
    found[queue] = { queue, 0, 0, false }
    order[#order + 1] = found[queue]
  end
  return found[queue]
end

local function older(stats, at)
  if not stats[4] or at < stats[4] then stats[4] = at end
end

-- The first of each priority is its oldest.
local function count_claimable(queue)
  local key = base .. ":q:" .. queue
  local queued = call("ZCARD", key)
  if queued == 0 then return end
  local stats = stats_of(queue)
  stats[2] = queued
  local first = call("ZRANGE", key, 0, 0, "WITHSCORES")
  while #first > 0 do
    local task = task_of(first[1])
    if task then older(stats, task[QUEUED_AT]) end
    local beyond = (math.floor(tonumber(first[2]) / PRIORITY_STEP) + 1) * PRIORITY_STEP
    first = call("ZRANGE", key, beyond, "+inf", "BYSCORE", "LIMIT", 0, 1, "WITHSCORES")
  end
end

operations["queue-stats"] = function()
  base, only, found, order = KEYS[1], ARGV[1], {}, {}
  local queues = only and { only } or call("SMEMBERS", base .. ":queues")
  for _, queue in ipairs(queues) do count_claimable(queue) end
  local held = call("ZRANGE", base .. ":held", 0, -1, "WITHSCORES")
  for i = 1, #held, 2 do
    local task = task_of(held[i])
    local stats = task and stats_of(task[QUEUE])
    if stats then
      stats[2] = stats[2] + 1
      older(stats, tonumber(held[i + 1]))
    end
  end
  for _, member in ipairs(call("ZRANGE", base .. ":leases", 0, -1)) do
    local task = task_of(member)
    local stats = task and stats_of(task[QUEUE])
    if stats then stats[3] = stats[3] + 1 end
  end
  return order
end
