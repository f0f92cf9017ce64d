#!lua flags=allow-oom
-- Commits of several executions, each checked and applied for itself.
-- KEYS: bases of partitions, which are also their wake channels. Derived: <base>:x:<id>, :h:<id>,
--   :q:<queue>, :queues, :leases, :waits, :dropped, :held, :timers, :out, :seq, :s:<status>.
-- ARGV: see lib/effects.lua. An entry is packed, one value after the other: number of its base, id,
--   expected revision as text, expected commit id, commit id, now, status, its first and last field,
--   fields to remove (packed), history (packed); and then, where one task at most is settled and one
--   at most added, leased at once: id and beginning of the record of the settled task (or false), id,
--   record and end of the lease of the added one (or false). Otherwise, instead of these, false,
--   false, false, false, false and the rest (packed): {1 hold (0 as before, 1 yes, 2 no), 2 tasks to
--   settle {id, token, …}, 3 tasks to expire {id, token or false, until, …}, 4 timers to consume {id,
--   claim id, …}, 5 tasks to drop, 6 what is added (add_all)}. Lists may be false.
-- Returns for each: the new revision, {"already"|"conflict", revision, commit id}, {"stale", tasks,
--   timers}, {"not_found"}, {"skewed"}, {"failed", message}.
--@include clock
--@include indexes
--@include executions
--@include effects

-- limits.commitIdsKept
local COMMITS_KEPT = 16

-- What few commits need is made when one needs it: Redis makes all functions anew at each call.
local function define_rest()
--@include records
--@include tasks
--@include additions

  -- Names what is not as the commit expects it.
  local function stale_of(x, rest)
    local tasks, timers = {}, {}
    local settle, expire, consume = rest[2], rest[3], rest[4]
    for i = 1, settle and #settle or 0, 2 do
      local task = find_task(x, settle[i])
      if not task or task[STATE] ~= "L" or task[TOKEN] ~= settle[i + 1] then
        tasks[#tasks + 1] = settle[i]
      end
    end
    for i = 1, expire and #expire or 0, 3 do
      local task, token = find_task(x, expire[i]), expire[i + 1]
      local matches = task and task[UNTIL] == expire[i + 2]
        and (not token and task[STATE] == "Q" or task[STATE] == "L" and task[TOKEN] == token)
      if not matches then tasks[#tasks + 1] = expire[i] end
    end
    for i = 1, consume and #consume or 0, 2 do
      local record = call("HGET", x.key, "m:" .. consume[i])
      if not record or unpacked(record)[2] ~= consume[i + 1] then timers[#timers + 1] = consume[i] end
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

  local function apply_rest(x, rest, now)
    local hold, drops = rest[1], rest[5]
    for list, step in pairs({ [2] = 2, [3] = 3 }) do
      local ended = rest[list]
      for i = 1, ended and #ended or 0, step do
        if find_task(x, ended[i]) then delete_task(x, ended[i]) end
      end
    end
    if hold > 0 then set_held(x, hold == 1, now) end
    for i = 1, drops and #drops or 0 do drop_task(x, drops[i]) end
    add_all(x, rest[6], now)
  end

  return { stale_of = stale_of, apply = apply_rest, delete_task = delete_task }
end

local rest_functions

local function for_rest()
  rest_functions = rest_functions or define_rest()
  return rest_functions
end

local function follow_status(base, key, before, after)
  local member = unpacked(call("HGET", key, "l"))[1]
  put(base .. ":s:" .. before, member, false)
  put(base .. ":s:" .. after, member, 0)
  call("HSET", key, "s", after)
end

local function next_commits(commits, revision, commit_id)
  if revision >= COMMITS_KEPT then
    commits = string.sub(commits, string.find(commits, "\n", 2, true), -1)
  end
  return commits .. commit_id .. "\n"
end

local function context(base, id, key, held)
  return { base = base, id = id, key = key, held = held == "1", sets = {}, gone = {}, tasks = {} }
end

local function commit(
  base_number, id, expected_revision, expected_commit, commit_id, now, status, first, last, gone,
  history, settled, beginning, added, record, until_moment, rest
)
  if skewed(now) then return { "skewed" } end
  local base = KEYS[base_number]
  local key = base .. ":x:" .. id
  local row = call("HMGET", key, "r", "c", "g", "s", "h", "e",
    settled and "t:" .. settled or "", added and "t:" .. added or "")
  local revision, commits = tonumber(row[1]), row[2]
  if not revision or row[3] then return { "not_found" } end
  if has_commit(commits, commit_id) then return { "already", revision, last_commit(commits) } end
  if row[1] ~= expected_revision or not ends_with_commit(commits, expected_commit) then
    return { "conflict", revision, last_commit(commits) }
  end
  if settled and (not row[7] or string.sub(row[7], 1, #beginning) ~= beginning) then
    return { "stale", { settled }, {} }
  end
  local x
  if rest then
    rest = unpacked(rest)
    x = context(base, id, key, row[5])
    local functions = for_rest()
    local stale = functions.stale_of(x, rest)
    if stale then return stale end
    functions.apply(x, rest, now)
  end
  if settled then put(key_of(base, "leases"), id .. "\0" .. settled, false) end
  if row[8] and added ~= settled then
    x = context(base, id, key, row[5])
    x.tasks[added] = row[8]
    for_rest().delete_task(x, added)
  end

  if gone then call("HDEL", key, unpacked(gone)) end
  if row[6] then call("HDEL", key, "e") end
  if x then write_fields(x) end
  commits = next_commits(commits, revision, commit_id)
  if added then
    put(key_of(base, "leases"), id .. "\0" .. added, until_moment)
    record = record .. pack(next_place(base))
    call("HSET", key, "c", commits, "t:" .. added, record, unpack(ARGV, fields_of(key, first, last)))
  else
    call("HSET", key, "c", commits, unpack(ARGV, fields_of(key, first, last)))
  end
  if row[4] ~= status then follow_status(base, key, row[4], status) end
  if history then call("RPUSH", key_of(base, "h:") .. id, unpacked(history)) end
  return revision + 1
end

--@include batch
return answer_all(commit)
