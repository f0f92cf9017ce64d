-- The caller's now against this node's TIME. ARGV[1]: how far they may be apart, in milliseconds;
-- negative: any now is taken (tests of the contract make up their own).
local tolerance = tonumber(ARGV[1])
local clock

local function skewed(now)
  if tolerance < 0 then return false end
  if not clock then
    local time = redis.call("TIME")
    clock = time[1] * 1000 + time[2] / 1000
  end
  return math.abs(now - clock) > tolerance
end

local SKEWED = { err = "SKEWED the caller's clock and this node's are too far apart" }
