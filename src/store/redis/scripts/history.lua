-- Entries of an execution's history.
-- KEYS: 1 base of the partition. Derived: <base>:x:<id>, :h:<id>.
-- ARGV: 1 id; 2 sequence after which; 3 how many at most.
-- Returns the entries.
--@flags no-writes
--@needs call inline-history

operations["history"] = function()
  local key = KEYS[1] .. ":x:" .. ARGV[1]
  local skip, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
  local answers = {}
  if call("HEXISTS", key, "g") == 1 then return answers end

  local function add(entries)
    for i = 1, #entries do
      if skip > 0 then
        skip = skip - 1
      elseif #answers < limit then
        answers[#answers + 1] = entries[i]
      end
    end
  end

  for _, trace in ipairs(call("HMGET", key, unpack(inline_names()))) do
    if not trace then return answers end
    add(entries_in(trace))
  end
  local room = limit - #answers
  if room > 0 then
    local list = call("LRANGE", KEYS[1] .. ":h:" .. ARGV[1], skip, skip + room - 1)
    skip = 0
    add(list)
  end
  return answers
end
