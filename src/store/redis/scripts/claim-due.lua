-- Gives what is due, earliest first, and hides it; or what is still under this claim id. Sweeps up
-- the traces of dropped tasks, and goes on with removals that were left unfinished.
-- KEYS: 1 base of the partition. Derived: <base>:timers, :leases, :waits, :dropped, :held, :graves,
--   :out, :q:<queue>, :queues, :x:<id>, :h:<id>, :claim:due:<claim id>.
-- ARGV: 1 clock tolerance; 2 packed {claim id, limit, hide, now, how long the claim is remembered
--   in seconds}.
-- Returns {items, next due or false}; an item is {"timer", execution, timer, at}, {"lease",
--   execution, task, token, worker, lease until, deadline} or {"queue", execution, task, until}.
--   The next due moment may be too early where there are very many leases.
--@flags allow-oom
--@needs call clock indexes executions records tasks removal

local DROPPED_MAX, GRAVES_MAX = 200, 10
-- Leases whose score is put right in one call, or a few more: a partition may have thousands of
-- them.
local CORRECTIONS_MAX = 400
local KINDS = { "timers", "leases", "waits" }
local base, claim_id, limit, hide, now
local corrections

local function sweep()
  local function until_now(set, last, most)
    return call("ZRANGE", base .. ":" .. set, "-inf", last, "BYSCORE", "LIMIT", 0, most)
  end
  local dropped = until_now("dropped", "(" .. now, DROPPED_MAX)
  for _, member in ipairs(dropped) do
    local execution, slot = names_of_member(member)
    local x = open(base, execution)
    local task = task_at(x, slot)
    if task then delete_task(x, task) else put(base .. ":dropped", member, false) end
  end
  for _, id in ipairs(until_now("graves", now, GRAVES_MAX)) do
    local x = open(base, id)
    if not delete_rows(x) then forget(x) end
  end
  write_all()
end

-- The record behind a member, its claim id, and what is answered of it.
local function look(kind, member)
  local execution, id = names_of_member(member)
  local x = open(base, execution)
  if kind == "timers" then
    local record = call("HGET", x.key, "m:" .. id)
    if not record then return end
    local timer = unpacked(record)
    local function claim() set_field(x, "m:" .. id, pack({ timer[1], claim_id })) end
    return { claim = timer[2], hide = claim, item = { "timer", x.id, id, timer[1] } }
  end
  local task = task_at(x, id)
  if not task then return end
  local function claim()
    task[CLAIM], task[SCORE] = claim_id, now + hide
    save_task(x, task)
  end
  local item = { "queue", x.id, task[ID], task[UNTIL] }
  if kind == "leases" then
    item = { "lease", x.id, task[ID], task[TOKEN], task[WORKER], task[UNTIL], task[DEADLINE] }
  end
  return { claim = task[CLAIM], hide = claim, item = item }
end

local function earlier_items(remembered)
  local items, members = {}, {}
  for _, one in ipairs(remembered and unpacked(remembered) or {}) do
    local found = look(one[1], one[2])
    if found and found.claim == claim_id and call("ZSCORE", base .. ":" .. one[1], one[2]) then
      items[#items + 1] = found.item
      members[one[2]] = true
    end
  end
  return items, members
end

-- A task that follows on another may leave its lease's score too early: that is put right here,
-- where it matters. Returns whether nothing had to be.
local function correct(members)
  local before = corrections
  for i = 1, #members, 2 do
    local execution, slot = names_of_member(members[i])
    local x = open(base, execution)
    local task = slot == LONE and lone_task(x)
    if task and not task[CLAIM] and task[UNTIL] > tonumber(members[i + 1]) then
      call("ZADD", base .. ":leases", task[UNTIL], members[i])
      task[SCORE] = task[UNTIL]
      save_task(x, task)
      corrections = corrections + 1
    end
  end
  return corrections == before
end

-- Returns whether those that are due are all over; if not, the next call goes on.
local function correct_leases()
  local key = base .. ":leases"
  repeat
    local due = call("ZRANGE", key, "-inf", now, "BYSCORE", "LIMIT", 0, limit + 1, "WITHSCORES")
    if correct(due) then return true end
  until corrections >= CORRECTIONS_MAX
  return false
end

-- The earliest moment of what is not among these members.
local function first_of_others(members, count)
  local first
  for _, kind in ipairs(KINDS) do
    local others
    repeat
      local row = call("ZRANGE", base .. ":" .. kind, 0, count, "WITHSCORES")
      others = {}
      for i = 1, #row, 2 do
        if not members[row[i]] then
          others[#others + 1] = row[i]
          others[#others + 1] = row[i + 1]
        end
      end
    until kind ~= "leases" or corrections >= CORRECTIONS_MAX or correct(others)
    local score = tonumber(others[2])
    if score and (not first or score < first) then first = score end
  end
  return first or false
end

local function due_now(are_leases_right)
  local found = {}
  for rank, kind in ipairs(KINDS) do
    local most = (kind ~= "leases" or are_leases_right) and limit or 0
    local key = base .. ":" .. kind
    local row = call("ZRANGE", key, "-inf", now, "BYSCORE", "LIMIT", 0, most, "WITHSCORES")
    for i = 1, #row, 2 do
      found[#found + 1] = { kind, row[i], tonumber(row[i + 1]), rank * 2 * limit + i }
    end
  end
  table.sort(found, function(a, b)
    if a[3] ~= b[3] then return a[3] < b[3] end
    return a[4] < b[4]
  end)
  return found
end

-- Gives what is due and hides it: the items, and their members by name.
local function give(are_leases_right, claim_key, remembered_seconds)
  local items, given, members = {}, {}, {}
  for _, due in ipairs(due_now(are_leases_right)) do
    if #items == limit then break end
    local kind, member = due[1], due[2]
    local found = look(kind, member)
    if found then
      found.hide()
      put(base .. ":" .. kind, member, now + hide)
      items[#items + 1] = found.item
      given[#given + 1] = { kind, member }
      members[member] = true
    else
      put(base .. ":" .. kind, member, false)
    end
  end
  if #given > 0 then call("SET", claim_key, pack(given), "EX", remembered_seconds) end
  return items, members
end

operations["claim-due"] = function()
  local remembered_seconds
  base, corrections = KEYS[1], 0
  claim_id, limit, hide, now, remembered_seconds = unpack(unpacked(ARGV[2]))
  if skewed(now) then return SKEWED end
  local claim_key = base .. ":claim:due:" .. claim_id
  sweep()
  local are_leases_right = correct_leases()
  local items, members = earlier_items(call("GET", claim_key))
  if #items == 0 then items, members = give(are_leases_right, claim_key, remembered_seconds) end
  local next_due = first_of_others(members, #items)
  write_all()
  return { items, next_due }
end
