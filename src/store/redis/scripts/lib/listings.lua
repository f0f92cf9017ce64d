-- The indexes of lists: sets ordered by member, which begins with the moment of the start.
local function list_keys(base, workflow, correlation_id)
  local keys = { base .. ":all", base .. ":w:" .. workflow }
  if correlation_id then keys[3] = base .. ":c:" .. correlation_id end
  return keys
end
