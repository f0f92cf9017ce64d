-- The record of a task, t:<slot> of its execution: its state (a letter: Q queued, L leased, D
-- dropped), its token (may be empty), a NUL, its id and a NUL, so that a lease is recognised
-- without unpacking; then a packed array, its fixed text (nothing when that is large: then it is
-- b:<id>), a NUL, its place, a NUL and, of a leased one, its score among the leases. The slot is
-- the id, or nothing for one task of the execution, the lone one: a task that follows on another
-- takes its slot over, and what names the slot (lib/tasks.lua) may stay.
--@needs call

local QUEUE, UNTIL, WORKER, LEASED_AT, DEADLINE, LEFT, CLAIM = 1, 2, 3, 4, 5, 6, 7
local PRIORITY, QUEUED_AT, TIMEOUT, HEARTBEAT = 8, 9, 10, 11
-- Not in the packed array.
local PLACE, STATE, TOKEN, ID, SLOT, TEXT, SCORE = 12, 13, 14, 15, 16, 17, 18
local LONE = ""
-- Tokens begin with this when the rest is their prefix: the task's id completes them.
local SHORT = "~"
-- Place and score together are not longer.
local TAIL_MAX = 40

-- Of two priorities the higher comes first; of two places the lower. Both fit a double exactly.
local PRIORITY_TOP, PRIORITY_STEP = 100, 2 ^ 45

local function read_task(record, slot)
  if not record then return false end
  local state, token, id, packed_at = match(record, "^(.)(%Z*)%z(%Z*)%z()")
  local text_at, task = cmsgpack.unpack_limit(record, 1, packed_at - 1)
  local place, score = match(sub(record, -TAIL_MAX), "%z(%d+)%z([%d.]*)$")
  task[STATE], task[TOKEN], task[ID], task[SLOT] = state, token, id, slot
  task[PLACE] = tonumber(place)
  task[SCORE], task[TEXT] = score, sub(record, text_at + 1, -#place - #score - 3)
  return task
end

-- Put together at once: Redis's Lua hashes every byte of every text that it makes.
local function write_task(task)
  return task[STATE] .. task[TOKEN] .. "\0" .. task[ID] .. "\0"
    .. pack({ unpack(task, 1, HEARTBEAT) }) .. task[TEXT]
    .. "\0" .. task[PLACE] .. "\0" .. (task[STATE] == "L" and task[SCORE] or "")
end
