#!lua flags=allow-oom
-- Commits of several executions, each checked and applied for itself.
-- KEYS: bases of partitions, which are also their wake channels. Derived: <base>:x:<id>, :h:<id>,
--   :q:<queue>, :queues, :leases, :waits, :dropped, :held, :timers, :out, :seq, :s:<status>, :pairs.
-- ARGV: see lib/effects.lua; what an entry puts there begins with the new head up to the first newline,
--   and the status as it is stored. An entry is packed, one value after the other: number of its base,
--   id, expected head up to the newline, end of the commit id, now, its first and last field, fields to
--   remove (packed), history that is not among the fields (packed), changes of sets (packed, put_all);
--   and then, where one task at most is settled, and one small one at most added and leased at once: the
--   beginning of the record of the settled task (or false), and t:<id> and the end of the lease of the
--   added one (or false), whose record, but for its end, follows on the last field. Otherwise, instead
--   of these, false, false, false and the rest (packed): {1 hold (0 as before, 1 yes, 2 no), 2 tasks to
--   settle {id, token, …}, 3 tasks to expire {id, token or false, until, …}, 4 timers to consume {id,
--   claim id, …}, 5 tasks to drop, 6 what is added (add_all)}. Lists may be false.
-- Returns for each (see lib/batch.lua): 1, {"already"|"conflict", revision, commit id},
--   {"stale", tasks, timers}, {"not_found"}, {"skewed"}, {"failed", message}.
--@include clock
--@include indexes
--@include executions
--@include pairs
--@include effects

-- Characters of the ends of commit ids that a head takes over from the one before it.
local ENDS_KEPT = 30
-- The score at the end of a record, and the NUL before it, are not longer.
local SCORE_MAX = 20

-- What few commits need is made when one needs it: Redis makes all functions anew at each call.
local function define_rest()
--@include heads
--@include records
--@include tasks
--@include additions

  -- Why the head is not as the commit expects it.
  local function mismatch(key, head, wanted)
    if not head then return { "not_found" } end
    local revision, latest = read_head(head)
    local is_repeated = is_recent(key, revision, match(wanted, " (.*)\n$"))
    return { is_repeated and "already" or "conflict", revision, latest }
  end

  -- The id of another commit ends alike; perhaps it is the same.
  local function repeated(key, head, wanted)
    local answer = mismatch(key, head, wanted)
    return answer[1] == "already" and answer
  end

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
  local function set_held(x, held, now)
    if is_held(x) == held then return end
    local queued = {}
    for _, name in ipairs(call("HKEYS", x.key)) do
      local task = string.sub(name, 1, 2) == "t:" and task_at(x, string.sub(name, 3))
      if task and task[STATE] == "Q" then
        index_task(x, task, false)
        queued[#queued + 1] = task
      end
    end
    x.held = held
    set_field(x, "h", held and "1" or "0")
    for _, task in ipairs(queued) do
      stand_still(task, now)
      enqueue(x, task, now)
    end
  end

  local function drop_task(x, id)
    local task = find_task(x, id)
    if not task or task[STATE] == "D" then return end
    if task[STATE] == "Q" then return delete_task(x, task) end
    index_task(x, task, false)
    task[STATE] = "D"
    save_task(x, task)
    index_task(x, task, true)
  end

  -- The rest of a commit that is given without one, but whose tasks are not in the lone slot.
  local function rest_of(settled, added, record, until_moment)
    local settle
    if settled then
      local token, id = match(settled, "^L(%Z*)%z(%Z*)%z$")
      settle = { id, token }
    end
    local tasks = added and { { sub(added, 3), "", record, until_moment } }
    return { 0, settle, false, false, false, { tasks, false } }
  end

  -- Answers what is stale, if anything is; else notes all changes.
  local function apply(x, rest, now)
    local stale = stale_of(x, rest)
    if stale then return stale end
    local hold, drops = rest[1], rest[5]
    for list, step in pairs({ [2] = 2, [3] = 3 }) do
      local ended = rest[list]
      for i = 1, ended and #ended or 0, step do
        local task = find_task(x, ended[i])
        if task then delete_task(x, task) end
      end
    end
    if hold > 0 then set_held(x, hold == 1, now) end
    for i = 1, drops and #drops or 0 do drop_task(x, drops[i]) end
    add_all(x, rest[6], now)
  end

  return { mismatch = mismatch, repeated = repeated, rest_of = rest_of, apply = apply }
end

local rest_functions

local function for_rest()
  rest_functions = rest_functions or define_rest()
  return rest_functions
end

local function follow_status(base, key, before, after)
  local member, workflow = unpacked(call("HGET", key, "l"))
  put(key_of(base, status_index(before)), member, false)
  put(key_of(base, status_index(after)), member, 0)
  put(key_of(base, "pairs"), pair_prefix(before, workflow) .. member, false)
  put(key_of(base, "pairs"), pair_prefix(after, workflow) .. member, 0)
end

-- One task follows on another in the lone slot, or comes into it, or leaves it. What names the slot
-- among the leases stays as long as its score, the earlier one's, is not too late.
local function write_lone(base, id, key, added, record, until_moment, score, head, first, last)
  if not added then
    put(key_of(base, "leases"), id .. "\0", false)
    call("HDEL", key, "t:")
    return call("HSET", key, "r", head, unpack(ARGV, first, last))
  end
  if not score or tonumber(score) > until_moment then
    score = until_moment
    put(key_of(base, "leases"), id .. "\0", score)
  end
  record = record .. "\0" .. next_place(base) .. "\0" .. score
  call("HSET", key, "r", head, "t:", record, unpack(ARGV, first, last))
end

local function commit(
  base_number, id, expected, id_end, now, first, last, gone, history, puts,
  settled, added, until_moment, rest
)
  if skewed(now) then return { "skewed" } end
  local base = KEYS[base_number]
  local key = base .. ":x:" .. id
  local row = call("HMGET", key, "r", "t:")
  local before, lone = row[1], row[2]
  local head, status, record = ARGV[FIELDS + first], ARGV[FIELDS + first + 1], ARGV[FIELDS + last + 1]
  if not before or find(before, expected, 1, true) ~= 1 then
    return for_rest().mismatch(key, before, head)
  end
  local others, ends, status_before = match(before, "^(.)([^\n]*)\n(.*)$", #expected + 1)
  if find(ends, id_end, 1, true) then
    local answer = for_rest().repeated(key, before, head)
    if answer then return answer end
  end
  local follows = settled and lone and find(lone, settled, 1, true) == 1
  local is_known = added and others == "+" and call("HEXISTS", key, added) == 1
  local x
  if rest or settled and not follows or added and (is_known or lone and not follows) then
    x = new_context(base, id, key)
    x.lone = lone
    local functions = for_rest()
    rest = rest and unpacked(rest) or functions.rest_of(settled, added, record, until_moment)
    local stale = functions.apply(x, rest, now)
    if stale then return stale end
    if x.has_others then others = "+" end
  end
  if gone then call_many("HDEL", key, unpacked(gone)) end
  if status_before ~= status then follow_status(base, key, status_before, status) end
  head = head .. others .. sub(ends, -ENDS_KEPT) .. id_end .. "\n" .. status
  if x then write_fields(x) end
  first, last = fields_of(key, first + 2, last)
  if not x and (settled or added) then
    local score = follows and match(sub(lone, -SCORE_MAX), "%z([%d.]+)$")
    write_lone(base, id, key, added, record, until_moment, score, head, first, last)
  else
    call("HSET", key, "r", head, unpack(ARGV, first, last))
  end
  if puts then put_all(base, unpacked(puts)) end
  if history then call_many("RPUSH", key_of(base, "h:") .. id, unpacked(history)) end
  return 1
end

--@include batch
return answer_all(commit)
