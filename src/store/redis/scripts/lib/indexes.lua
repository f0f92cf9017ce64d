-- Changes of sorted sets, gathered by key and written once, when the script has made up its mind:
-- a batch of commits costs a call for each set, not for each task. The last change of a member
-- wins, so its order with others never matters. Nothing that decides reads what is gathered here.
--@needs call

-- Lua cannot pass more than some 8,000 arguments; even, so that pairs stay together.
local ARGUMENTS_MAX = 4000

-- By key what becomes of its members; by key of a queue its base and its name; by base the keys
-- made.
local changed_sets, changed_queues, known_keys

resets[#resets + 1] = function() changed_sets, changed_queues, known_keys = {}, {}, {} end

-- The key of a set of the partition: made once, as Lua hashes every string that it makes.
local function key_of(base, name)
  local of = known_keys[base]
  if not of then
    of = {}
    known_keys[base] = of
  end
  local key = of[name]
  if not key then
    key = base .. ":" .. name
    of[name] = key
  end
  return key
end

-- Members name an execution and what it owns (a slot, a timer, a message). No id holds a NUL.
local function names_of_member(member)
  return match(member, "^(%Z*)%z(.*)$")
end

-- score false: the member is removed.
local function put(key, member, score)
  local of = changed_sets[key]
  if not of then
    of = {}
    changed_sets[key] = of
  end
  of[member] = score
end

-- list {set, member, score or false, …}.
local function put_all(base, list)
  for i = 1, #list, 3 do put(key_of(base, list[i]), list[i + 1], list[i + 2]) end
end

local function put_queue(base, queue, member, score)
  local key = key_of(base, "q:" .. queue)
  if not changed_queues[key] then changed_queues[key] = { base, queue } end
  put(key, member, score)
end

-- Returns the sum of what the calls return.
local function call_many(command, key, list)
  if #list <= ARGUMENTS_MAX then return call(command, key, unpack(list)) end
  local sum = 0
  for first = 1, #list, ARGUMENTS_MAX do
    sum = sum + call(command, key, unpack(list, first, math.min(first + ARGUMENTS_MAX - 1, #list)))
  end
  return sum
end

-- Returns how many were added that were not there.
local function write_set(key, of)
  local added, removed = {}, {}
  for member, score in pairs(of) do
    if score then
      added[#added + 1] = score
      added[#added + 1] = member
    else
      removed[#removed + 1] = member
    end
  end
  if #removed > 0 then call_many("ZREM", key, removed) end
  return #added > 0 and call_many("ZADD", key, added) or 0
end

-- A queue that gets its first task is named among the claimable ones, and servers are woken; those
-- who hear nothing look for themselves.
local function write_queue(key, queue, added)
  local count = call("ZCARD", key)
  if count == 0 then
    call("SREM", queue[1] .. ":queues", queue[2])
  elseif count == added then
    call("SADD", queue[1] .. ":queues", queue[2])
    redis.pcall("SPUBLISH", queue[1], queue[2])
  end
end

local function write_changed(key, of)
  local queue, added = changed_queues[key], write_set(key, of)
  if queue then write_queue(key, queue, added) end
end

-- A set that cannot be written keeps none of the others from it.
local function write_changes()
  local failure
  for key, of in pairs(changed_sets) do
    local written, reason = pcall(write_changed, key, of)
    if not written then failure = reason end
  end
  changed_sets, changed_queues = {}, {}
  if failure then error(failure) end
end
