-- The caller's now against this node's TIME. ARGV[1]: how far they may be apart, in milliseconds;
-- negative: any now is taken (tests of the contract make up their own).
--@needs call

local tolerance, clock

resets[#resets + 1] = function() tolerance, clock = nil, nil end

local function skewed(now)
  tolerance = tolerance or tonumber(ARGV[1])
  if tolerance < 0 then return false end
  if not clock then
    local time = call("TIME")
    clock = time[1] * 1000 + time[2] / 1000
  end
  return math.abs(now - clock) > tolerance
end

local SKEWED = { err = "SKEWED the caller's clock and this node's are too far apart" }
