-- The record of a task, t:<id> of its execution: its state (a letter: Q queued, L leased, D dropped),
-- its token (may be empty) and a NUL, so that a lease is recognised without unpacking; then a packed
-- array and, behind it, the task's place.
local QUEUE, UNTIL, WORKER, LEASED_AT, DEADLINE, LEFT, CLAIM = 1, 2, 3, 4, 5, 6, 7
local PRIORITY, QUEUED_AT, TIMEOUT, HEARTBEAT = 8, 9, 10, 11
-- Not in the packed array.
local PLACE, STATE, TOKEN = 12, 13, 14
-- Tokens begin with this when the rest is their prefix: the task's id completes them.
local SHORT = "~"

-- Of two priorities the higher comes first; of two places the lower. Both fit a double exactly.
local PRIORITY_TOP, PRIORITY_STEP = 100, 2 ^ 45

local function read_task(record)
  if not record then return false end
  local state, token, packed_at = string.match(record, "^(.)(%Z*)%z()")
  local _, task, place = cmsgpack.unpack_limit(record, 2, packed_at - 1)
  task[PLACE], task[STATE], task[TOKEN] = place, state, token
  return task
end
