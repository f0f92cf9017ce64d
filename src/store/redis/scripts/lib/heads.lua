-- What every commit reads and writes of an execution is one field, r: "<revision> <commit id>" and
-- a newline; "+" if a task is or was outside of the lone slot, else "-" (lib/records.lua); the last
-- two characters of each of the latest COMMITS_KEPT commit ids, as only an id that is like one of
-- them is looked up; a newline; and the status and, behind a space, when it ended.
-- What a commit leaves is named by its revision: n:<revision> holds its id and the entries of its
-- history, a NUL before each (JSON has none). Of those after the first INLINE_MAX,
-- c<revision modulo COMMITS_KEPT> holds the id, and the history is in a list, as a hash of many
-- fields is slow to go through.
--@needs call

local INLINE_MAX = 64
-- limits.commitIdsKept
local COMMITS_KEPT = 16

-- Its revision, its commit id, and the status as it is stored.
local function read_head(head)
  local revision, commit_id, status = match(head, "^(%d+) ([^\n]*)\n[^\n]*\n(.*)$")
  return tonumber(revision), commit_id, status
end

-- Whether it begins with the revision and the commit id that are given, and a newline.
local function has_head(head, expected)
  return head and sub(head, 1, #expected) == expected
end

local function commit_in(trace)
  return match(trace, "^%Z*")
end

-- The latest commit ids, the oldest first.
local function recent_commits(key, revision)
  local names = {}
  for i = math.max(1, revision - COMMITS_KEPT + 1), revision do
    names[#names + 1] = i <= INLINE_MAX and "n:" .. i or "c" .. i % COMMITS_KEPT
  end
  local ids = call("HMGET", key, unpack(names))
  for i, trace in ipairs(ids) do ids[i] = commit_in(trace) end
  return ids
end

local function is_recent(key, revision, commit_id)
  for _, recent in ipairs(recent_commits(key, revision)) do
    if recent == commit_id then return true end
  end
  return false
end
