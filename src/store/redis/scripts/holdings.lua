#!lua flags=no-writes
-- What an execution owns.
-- KEYS: 1 base of the partition. Derived: <base>:x:<id>, :out.
-- ARGV: 1 id.
-- Returns {tasks {id, place, queue, "Q" or "L", worker, token, until}, timers {id, at}, messages
--   {id, place}}.
--@include records
local base, id = KEYS[1], ARGV[1]
local fields = redis.call("HGETALL", base .. ":x:" .. id)
local tasks, timers, messages = {}, {}, {}
for i = 1, #fields, 2 do
  local name = fields[i]
  if name == "g" then return { {}, {}, {} } end
  local kind, rest = string.sub(name, 1, 2), string.sub(name, 3)
  if kind == "t:" then
    local task = read_task(fields[i + 1], rest)
    if task[STATE] ~= "D" then
      tasks[#tasks + 1] = {
        task[ID], task[PLACE], task[QUEUE], task[STATE], task[WORKER], task[TOKEN], task[UNTIL],
      }
    end
  elseif kind == "m:" then
    timers[#timers + 1] = { rest, cmsgpack.unpack(fields[i + 1])[1] }
  elseif kind == "o:" then
    local place = redis.call("ZSCORE", base .. ":out", id .. "\0" .. rest)
    messages[#messages + 1] = { rest, tonumber(place) }
  end
end
return { tasks, timers, messages }
