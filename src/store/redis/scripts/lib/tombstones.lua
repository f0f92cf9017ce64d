-- Tombstones expire without a word, so they are counted when they are made, by the moment of their
-- end: the hash <base>:buried has a count for every STEP_MS in which some end, or for each day
-- where that is further off.
--@needs call indexes

local STEP_MS, DAY_MS = 600000, 86400000

local function count_tombstone(base, until_moment, now)
  if until_moment <= now then return end
  local step = until_moment - now > 2 * DAY_MS and DAY_MS or STEP_MS
  local key = key_of(base, "buried")
  local ends = string.format("%.0f", math.ceil(until_moment / step) * step)
  if call("HINCRBY", key, ends, 1) > 1 then return end
  for _, moment in ipairs(call("HKEYS", key)) do
    if tonumber(moment) <= now then call("HDEL", key, moment) end
  end
end
