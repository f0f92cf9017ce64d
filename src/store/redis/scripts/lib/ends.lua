-- Timers and messages that are done with.
--@needs executions indexes

local function delete_timer(x, id)
  drop_field(x, "m:" .. id)
  put(key_of(x.base, "timers"), x.id .. "\0" .. id, false)
end

local function delete_message(x, id)
  drop_field(x, "o:" .. id)
  put(key_of(x.base, "out"), x.id .. "\0" .. id, false)
end
