-- The servers that live; those whose time is over are forgotten.
-- KEYS: 1 hash of servers.
-- ARGV: 1 clock tolerance; 2 now.
-- Returns for each {id, body}.
--@flags allow-oom
--@needs call clock

operations["list-servers"] = function()
  local now = tonumber(ARGV[2])
  if skewed(now) then return SKEWED end
  local answers = {}
  local servers = call("HGETALL", KEYS[1])
  for i = 1, #servers, 2 do
    local server = unpacked(servers[i + 1])
    if server[1] > now then
      answers[#answers + 1] = { servers[i], server[2] }
    else
      call("HDEL", KEYS[1], servers[i])
    end
  end
  return answers
end
