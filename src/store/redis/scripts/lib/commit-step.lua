-- The hot path of commits: at most one task is settled, and at most one small one is added and
-- leased at once, both in the lone slot (lib/records.lua). Nearly every step is one of these. It
-- unpacks no record of a task, and the record that it writes was made by the caller, but for its
-- end.
--@needs call indexes batch

-- The score at the end of a record, and the NUL before it, are not longer.
local SCORE_MAX = 20

-- Whether the added task comes into the lone slot: that is free, and no other slot holds a task of
-- the same id. has_others: "+" if the execution has or had a task elsewhere.
local function fits_lone_slot(key, added, is_free, has_others)
  return is_free and (has_others ~= "+" or call("HEXISTS", key, added) == 0)
end

-- The record of the added task, from now on in the lone slot. before: the record that it follows
-- on, if any. What names the slot among the leases stays while its score, that of the lease before,
-- is not too late.
local function lone_record(base, id, record, until_moment, before)
  local score = before and match(sub(before, -SCORE_MAX), "%z([%d.]+)$")
  if not score or tonumber(score) > until_moment then
    score = until_moment
    put(key_of(base, "leases"), id .. "\0", score)
  end
  return record .. "\0" .. next_place(base) .. "\0" .. score
end

-- The settled task leaves the lone slot, and none follows.
local function leave_lone_slot(base, id, key)
  put(key_of(base, "leases"), id .. "\0", false)
  call("HDEL", key, "t:")
end
