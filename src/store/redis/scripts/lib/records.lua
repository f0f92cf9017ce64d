-- The record of a task, t:<slot> of its execution: its state (a letter: Q queued, L leased, D dropped),
-- its token (may be empty), a NUL, its id and a NUL, so that a lease is recognised without unpacking;
-- then a packed array, its fixed text (nothing when that is large: then it is b:<id>), a NUL and its
-- place. The slot is the id, or nothing for one task of the execution, the lone one: a task that
-- follows on another takes its slot over, and what names the slot (lib/tasks.lua) may stay.
local QUEUE, UNTIL, WORKER, LEASED_AT, DEADLINE, LEFT, CLAIM = 1, 2, 3, 4, 5, 6, 7
local PRIORITY, QUEUED_AT, TIMEOUT, HEARTBEAT = 8, 9, 10, 11
-- Not in the packed array.
local PLACE, STATE, TOKEN, ID, SLOT, TEXT = 12, 13, 14, 15, 16, 17
local LONE = ""
-- Tokens begin with this when the rest is their prefix: the task's id completes them.
local SHORT = "~"
-- No place has more digits.
local PLACE_DIGITS_MAX = 16

-- Of two priorities the higher comes first; of two places the lower. Both fit a double exactly.
local PRIORITY_TOP, PRIORITY_STEP = 100, 2 ^ 45

local function read_task(record, slot)
  if not record then return false end
  local state, token, id, packed_at = string.match(record, "^(.)(%Z*)%z(%Z*)%z()")
  local text_at, task = cmsgpack.unpack_limit(record, 1, packed_at - 1)
  local place = string.match(string.sub(record, -PLACE_DIGITS_MAX - 1), "%z(%d+)$")
  task[PLACE], task[STATE], task[TOKEN], task[ID], task[SLOT] = tonumber(place), state, token, id, slot
  task[TEXT] = string.sub(record, text_at + 1, -#place - 2)
  return task
end

-- All but the place.
local function write_task(task)
  local packed = cmsgpack.pack({ unpack(task, 1, HEARTBEAT) })
  return task[STATE] .. task[TOKEN] .. "\0" .. task[ID] .. "\0" .. packed .. task[TEXT]
end

local function with_place(record, place)
  return record .. "\0" .. place
end
