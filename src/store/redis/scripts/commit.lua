#!lua flags=allow-oom
-- Commits of several executions, each checked and applied for itself.
-- KEYS: bases of partitions, which are also their wake channels. Derived: <base>:x:<id>, :h:<id>,
--   :q:<queue>, :queues, :leases, :waits, :dropped, :held, :timers, :out, :seq, :s:<status>.
-- ARGV: 1 clock tolerance; 2 number of commits; then a packed entry for each {1 number of its base,
--   2 id, 3 fields to read: r c g s h e, then t: and m: of what it touches, 4 expected revision as
--   text, 5 expected commit id, 6 commit id, 7 now, 8 status, 9 fields to set {name, value, …},
--   10 fields to remove, 11 long texts among the fields (fill_texts), 12 leases to settle {position
--   among the read, beginning of the record, …}, 13 changes of sets (put_all), 14 tasks (add_task),
--   15 history, 16 the rest {1 hold (0 as before, 1 yes, 2 no), 2 tasks to expire {id, token or
--   false, until, …}, 3 timers to consume {position among the read, claim id, …}, 4 tasks to drop,
--   5 messages {id, body, …}}}; then texts. Lists may be false, and so may the rest.
-- Returns for each: {"committed"|"already"|"conflict", revision, commit id}, {"stale", tasks,
--   timers}, {"not_found"}, {"skewed"}, {"failed", message}.
--@include clock
--@include indexes
--@include executions
--@include records
--@include tasks
--@include effects

-- limits.commitIdsKept
local COMMITS_KEPT = 16
-- Fields that every commit reads come first.
local FIRST_RECORD = 7
local TASK_MARK = string.byte("t")

-- Names what is not as the commit expects it.
local function stale_of(x, entry, row)
  local tasks, timers = {}, {}
  local reads, leases, rest = entry[3], entry[12], entry[16]
  for i = 1, leases and #leases or 0, 2 do
    local record, expected = row[leases[i]], leases[i + 1]
    if not record or string.sub(record, 1, #expected) ~= expected then
      tasks[#tasks + 1] = string.sub(reads[leases[i]], 3)
    end
  end
  local expire, consume = rest and rest[2], rest and rest[3]
  for i = 1, expire and #expire or 0, 3 do
    local task, token = find_task(x, expire[i]), expire[i + 1]
    local matches = task and task[UNTIL] == expire[i + 2]
      and (not token and task[STATE] == "Q" or task[STATE] == "L" and task[TOKEN] == token)
    if not matches then tasks[#tasks + 1] = expire[i] end
  end
  for i = 1, consume and #consume or 0, 2 do
    local record = row[consume[i]]
    if not record or unpacked(record)[2] ~= consume[i + 1] then
      timers[#timers + 1] = string.sub(reads[consume[i]], 3)
    end
  end
  if #tasks > 0 or #timers > 0 then return { "stale", tasks, timers } end
end

-- All queued tasks go out of the queues, or back into them; their timeouts stand still meanwhile.
-- They are written at once: what the commit itself sets and removes must come after that.
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
  local sets = x.sets
  x.sets = { "h", held and "1" or "0" }
  for id, task in pairs(queued) do
    stand_still(task, now)
    enqueue(x, id, task, now)
  end
  call_many("HSET", x.key, x.sets)
  x.sets = sets
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

-- What depends on records: a commit of one step that hands on the next has nothing of it.
local function apply_rest(x, rest, now)
  local hold, expire, drops = rest[1], rest[2], rest[4]
  for i = 1, expire and #expire or 0, 3 do
    if find_task(x, expire[i]) then delete_task(x, expire[i]) end
  end
  if hold > 0 then set_held(x, hold == 1, now) end
  for i = 1, drops and #drops or 0 do drop_task(x, drops[i]) end
end

local function follow_status(x, before, after)
  local member = unpacked(call("HGET", x.key, "l"))[1]
  put(x.base .. ":s:" .. before, member, false)
  put(x.base .. ":s:" .. after, member, 0)
  set_field(x, "s", after)
end

local function next_commits(commits, revision, commit_id)
  if revision >= COMMITS_KEPT then
    commits = string.sub(commits, string.find(commits, "\n", 2, true), -1)
  end
  return commits .. commit_id .. "\n"
end

-- What of the read records is of tasks, under their ids.
local function know_tasks(x, reads, row)
  for i = FIRST_RECORD, #reads do
    local name = reads[i]
    if string.byte(name) == TASK_MARK then x.tasks[string.sub(name, 3)] = row[i] end
  end
end

local function commit(entry)
  local now, reads = entry[7], entry[3]
  if skewed(now) then return { "skewed" } end
  local base, id = KEYS[entry[1]], entry[2]
  local key = base .. ":x:" .. id
  local row = call("HMGET", key, unpack(reads))
  local revision, commits = tonumber(row[1]), row[2]
  if not revision or row[3] then return { "not_found" } end
  if has_commit(commits, entry[6]) then return { "already", revision, last_commit(commits) } end
  if row[1] ~= entry[4] or not ends_with_commit(commits, entry[5]) then
    return { "conflict", revision, last_commit(commits) }
  end
  local x = { base = base, id = id, key = key, sets = entry[9], gone = entry[10] or {}, tasks = {} }
  x.held = row[5] == "1"
  know_tasks(x, reads, row)
  local stale = stale_of(x, entry, row)
  if stale then return stale end

  local refs, leases, rest, tasks = entry[11], entry[12], entry[16], entry[14]
  if refs then fill_texts(x.sets, refs) end
  for i = 1, leases and #leases or 0, 2 do x.tasks[string.sub(reads[leases[i]], 3)] = false end
  if rest then apply_rest(x, rest, now) end
  if entry[13] then put_all(base, entry[13]) end
  for i = 1, tasks and #tasks or 0 do add_task(x, tasks[i], now) end
  if rest and rest[5] then add_messages(x, rest[5], now) end
  set_field(x, "c", next_commits(commits, revision, entry[6]))
  if row[4] ~= entry[8] then follow_status(x, row[4], entry[8]) end
  if row[6] then drop_field(x, "e") end
  write_fields(x)
  if entry[15] then call_many("RPUSH", base .. ":h:" .. id, entry[15]) end
  return { "committed", revision + 1, entry[6] }
end

local entries = {}
for i = 1, tonumber(ARGV[2]) do
  local entry = unpacked(ARGV[2 + i])
  entries[i] = entry
  reserve(KEYS[entry[1]], entry[14], entry[16] and entry[16][5])
end
reserve_places()
--@include batch
return answer_all(commit)
