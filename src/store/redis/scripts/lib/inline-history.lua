-- The part of a history that is in the execution's hash: see lib/heads.lua.
--@needs heads

local function inline_names()
  local names = {}
  for revision = 1, INLINE_MAX do names[revision] = "n:" .. revision end
  return names
end

local function entries_in(trace)
  local entries = {}
  for entry in string.gmatch(trace, "%z(%Z*)") do entries[#entries + 1] = entry end
  return entries
end
