-- What an execution owns.
-- KEYS: 1 base of the partition. Derived: <base>:x:<id>, :out.
-- ARGV: 1 id.
-- Returns {tasks {id, place, queue, "Q" or "L", worker, token, until}, timers {id, at}, messages
--   {id, place}}.
--@flags no-writes
--@needs call records

operations["holdings"] = function()
  local base, id = KEYS[1], ARGV[1]
  local key = base .. ":x:" .. id
  local tasks, timers, messages = {}, {}, {}
  -- By name, as other fields hold megabytes.
  for _, name in ipairs(call("HKEYS", key)) do
    if name == "g" then return { {}, {}, {} } end
    local kind, rest = sub(name, 1, 2), sub(name, 3)
    if kind == "t:" then
      local task = read_task(call("HGET", key, name), rest)
      if task[STATE] ~= "D" then
        tasks[#tasks + 1] = {
          task[ID], task[PLACE], task[QUEUE], task[STATE], task[WORKER], task[TOKEN], task[UNTIL],
        }
      end
    elseif kind == "m:" then
      timers[#timers + 1] = { rest, unpacked(call("HGET", key, name))[1] }
    elseif kind == "o:" then
      local place = call("ZSCORE", base .. ":out", id .. "\0" .. rest)
      messages[#messages + 1] = { rest, tonumber(place) }
    end
  end
  return { tasks, timers, messages }
end
