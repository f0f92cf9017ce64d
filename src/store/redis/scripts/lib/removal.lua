-- Removing what an execution owns, in chunks: first what could still be handed out.
--@needs call indexes executions heads inline-history tasks ends

local ROWS_MAX = 500
-- The key of a tombstone outlives its moment, as callers' clocks may be a little apart.
local GRACE_MS = 60000

-- Removes entries of the history from the hash, up to a bound; returns how many, and how many it
-- leaves there.
local function delete_inline_history(x, room)
  local removed, left = 0, 0
  for revision, trace in ipairs(call("HMGET", x.key, unpack(inline_names()))) do
    if not trace then break end
    local entries = entries_in(trace)
    local going = math.min(#entries, room - removed)
    removed, left = removed + going, left + #entries - going
    if going > 0 then
      entries[going] = commit_in(trace)
      set_field(x, "n:" .. revision, table.concat(entries, "\0", going))
    end
  end
  return removed, left
end

-- Deletes at most ROWS_MAX rows; returns whether something is left.
local function delete_rows(x)
  local rows = { ["t"] = {}, ["m"] = {}, ["o"] = {}, ["d"] = {} }
  for _, name in ipairs(call("HKEYS", x.key)) do
    local of = sub(name, 2, 2) == ":" and rows[sub(name, 1, 1)]
    if of then of[#of + 1] = sub(name, 3) end
  end
  local room = ROWS_MAX
  local function delete_some(of, delete)
    for i = 1, math.min(room, #of) do delete(of[i]) end
    local left = math.max(0, #of - room)
    room = math.max(0, room - #of)
    return left
  end
  local left = delete_some(rows.t, function(slot) delete_task(x, task_at(x, slot)) end)
  left = left + delete_some(rows.m, function(id) delete_timer(x, id) end)
  left = left + delete_some(rows.o, function(id) delete_message(x, id) end)
  left = left + delete_some(rows.d, function(name) drop_field(x, "d:" .. name) end)
  local removed, inline_left = delete_inline_history(x, room)
  room = room - removed
  local history = x.base .. ":h:" .. x.id
  left = left + inline_left + math.max(0, call("LLEN", history) - room)
  if room > 0 then call("LTRIM", history, room, -1) end
  drop_field(x, "S")
  return left > 0
end

-- Nothing is left of it but the tombstone, which goes by itself; it holds the request hash and the
-- last status where both are given. grave {head, until_moment, now, request_hash, status}.
local function bury(x, grave)
  put(x.base .. ":graves", x.id, false)
  x.fields = {}
  call("DEL", x.key)
  call("HSET", x.key, "g", grave.until_moment, "R", grave.head)
  if grave.request_hash and grave.status then
    call("HSET", x.key, "q", grave.request_hash, "s", grave.status)
  end
  call("PEXPIRE", x.key, math.max(0, grave.until_moment - grave.now) + GRACE_MS)
end

local function forget(x)
  put(x.base .. ":graves", x.id, false)
  x.fields = {}
  call("DEL", x.key)
end
