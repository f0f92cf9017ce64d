#!lua flags=allow-oom
-- Commits of several executions, each checked and applied for itself.
-- KEYS: bases of partitions, which are also their wake channels. Derived: <base>:x:<id>, :h:<id>,
--   :q:<queue>, :queues, :leases, :waits, :dropped, :held, :timers, :out, :seq, :s:<status>.
-- ARGV: 1 clock tolerance; 2 number of commits; then a packed entry for each {1 number of its base, 2 id,
--   3 expected revision, 4 expected commit id, 5 commit id, 6 now, 7 status, 8 ended at or false,
--   9 hold (0 as before, 1 yes, 2 no), 10 state, 11 data {name, value or false, …},
--   12 settle {task, token, …}, 13 expire {task, token or false, until, …},
--   14 consume {timer, claim id, …}, 15 drop tasks, 16 drop timers, 17 effects}; then texts, which
--   entries name by number. Lists may be false.
-- Returns for each: {"committed"|"already"|"conflict", revision, commit id}, {"stale", tasks,
--   timers}, {"not_found"}, {"skewed"}, {"failed", message}.
--@include clock
--@include indexes
--@include executions
--@include records
--@include tasks
--@include ends
--@include effects

-- limits.commitIdsKept
local COMMITS_KEPT = 16

-- Names of the records that the commit touches, behind those of the head.
local function names_of(entry)
  local names = { "r", "c", "g", "s", "h", "e" }
  local ids = {}
  local function add(list, step)
    if not list then return end
    for i = 1, #list, step do
      names[#names + 1] = "t:" .. list[i]
      ids[#ids + 1] = list[i]
    end
  end
  add(entry[12], 2)
  add(entry[13], 3)
  add(entry[15], 1)
  local tasks = entry[17] and entry[17][1]
  if tasks then
    for i = 1, #tasks do
      names[#names + 1] = "t:" .. tasks[i][1]
      ids[#ids + 1] = tasks[i][1]
    end
  end
  local consume = entry[14]
  if consume then
    for i = 1, #consume, 2 do names[#names + 1] = "m:" .. consume[i] end
  end
  return names, ids
end

-- Names what is not as the commit expects it.
local function stale_of(x, entry, row, first_timer)
  local tasks, timers = {}, {}
  local settle, expire, consume = entry[12], entry[13], entry[14]
  if settle then
    for i = 1, #settle, 2 do
      if not is_held(x, settle[i], settle[i + 1]) then tasks[#tasks + 1] = settle[i] end
    end
  end
  if expire then
    for i = 1, #expire, 3 do
      local task, token = find_task(x, expire[i]), expire[i + 1]
      local matches = task and task[UNTIL] == expire[i + 2]
        and (token and is_held(x, expire[i], token) or not token and task[STATE] == "Q")
      if not matches then tasks[#tasks + 1] = expire[i] end
    end
  end
  if consume then
    for i = 1, #consume, 2 do
      local record = row[first_timer + (i - 1) / 2]
      local timer = record and unpacked(record)
      if not timer or timer[2] ~= consume[i + 1] then timers[#timers + 1] = consume[i] end
    end
  end
  if #tasks > 0 or #timers > 0 then return { "stale", tasks, timers } end
end

-- All queued tasks go out of the queues, or back into them; their timeouts stand still meanwhile.
local function set_held(x, held, now)
  if x.held == held then return end
  local queued = {}
  for _, name in ipairs(call("HKEYS", x.key)) do
    if string.sub(name, 1, 2) == "t:" then
      local id = string.sub(name, 3)
      local task = find_task(x, id)
      if task and task[STATE] == "Q" then
        index_task(x, id, task, false)
        queued[id] = task
      end
    end
  end
  x.held = held
  if held then set_field(x, "h", "1") else drop_field(x, "h") end
  for id, task in pairs(queued) do
    stand_still(task, now)
    enqueue(x, id, task, now)
  end
  write_fields(x)
end

local function drop_task(x, id)
  local task = find_task(x, id)
  if not task or task[STATE] == "D" then return end
  if task[STATE] == "Q" then return delete_task(x, id) end
  index_task(x, id, task, false)
  task[STATE] = "D"
  save_task(x, id, task)
  index_task(x, id, task, true)
end

local function end_and_drop(x, entry, now)
  local settle, expire, consume, drop_timers = entry[12], entry[13], entry[14], entry[16]
  if settle then
    for i = 1, #settle, 2 do end_lease(x, settle[i]) end
  end
  if expire then
    for i = 1, #expire, 3 do
      if find_task(x, expire[i]) then delete_task(x, expire[i]) end
    end
  end
  if consume then
    for i = 1, #consume, 2 do delete_timer(x, consume[i]) end
  end
  if entry[9] > 0 then set_held(x, entry[9] == 1, now) end
  if entry[15] then
    for _, id in ipairs(entry[15]) do drop_task(x, id) end
  end
  if drop_timers then
    for _, id in ipairs(drop_timers) do delete_timer(x, id) end
  end
end

local function follow_status(x, before, after)
  local listing = unpacked(call("HGET", x.key, "l"))
  put(x.base .. ":s:" .. before, listing[1], false)
  put(x.base .. ":s:" .. after, listing[1], 0)
  set_field(x, "s", after)
end

local function advance(x, entry, row)
  local revision, commits, status = tonumber(row[1]), row[2], entry[7]
  if revision >= COMMITS_KEPT then commits = string.sub(commits, string.find(commits, "\n", 2, true), -1) end
  set_field(x, "r", revision + 1)
  set_field(x, "c", commits .. entry[5] .. "\n")
  set_field(x, "S", text_of(entry[10]))
  if entry[8] then set_field(x, "e", entry[8]) elseif row[6] then drop_field(x, "e") end
  if status ~= row[4] then follow_status(x, row[4], status) end
  return { "committed", revision + 1, entry[5] }
end

local function commit(entry)
  local now = entry[6]
  if skewed(now) then return { "skewed" } end
  local x = open(KEYS[entry[1]], entry[2])
  x.tasks, x.sets, x.gone = {}, {}, {}
  local names, ids = names_of(entry)
  local row = call("HMGET", x.key, unpack(names))
  if not row[1] or row[3] then return { "not_found" } end
  if has_commit(row[2], entry[5]) then
    return { "already", tonumber(row[1]), last_commit(row[2]) }
  end
  if not is_head(row[1], row[2], entry[3], entry[4]) then
    return { "conflict", tonumber(row[1]), last_commit(row[2]) }
  end
  x.held = row[5] == "1"
  for i = 1, #ids do
    x.tasks[ids[i]] = row[6 + i]
  end
  local stale = stale_of(x, entry, row, 7 + #ids)
  if stale then return stale end

  end_and_drop(x, entry, now)
  if entry[11] then set_data(x, entry[11]) end
  if entry[17] then add_effects(x, entry[17], now) end
  local answer = advance(x, entry, row)
  write_fields(x)
  return answer
end

local entries = {}
for i = 1, tonumber(ARGV[2]) do
  local entry = unpacked(ARGV[2 + i])
  entries[i] = entry
  if entry[17] then reserve(KEYS[entry[1]], entry[17][1], entry[17][3]) end
end
reserve_places()
--@include batch
return answer_all(commit)
