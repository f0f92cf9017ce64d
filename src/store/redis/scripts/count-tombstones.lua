-- How many tombstones a partition has that have not ended, about: see lib/tombstones.lua.
-- KEYS: 1 base of the partition. Derived: <base>:buried.
-- Returns the number.
--@flags no-writes
--@needs call

operations["count-tombstones"] = function()
  local time = call("TIME")
  local now, sum = time[1] * 1000, 0
  local counts = call("HGETALL", KEYS[1] .. ":buried")
  for i = 1, #counts, 2 do
    if tonumber(counts[i]) > now then sum = sum + tonumber(counts[i + 1]) end
  end
  return sum
end
