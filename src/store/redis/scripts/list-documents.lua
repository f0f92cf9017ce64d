-- Documents in the order of their ids.
-- KEYS: 1 hash of the kind's documents; 2 set of their ids.
-- ARGV: 1 prefix, may be empty; 2 how many at most; 3 the id after which, if any.
-- Returns for each {id, version, body}.
--@flags no-writes
--@needs call bytes

operations["list-documents"] = function()
  local prefix, after = ARGV[1], ARGV[3]
  local first = after and not comes_after(prefix, after) and "(" .. after or "[" .. prefix
  -- No text in UTF-8 holds this byte.
  local last = prefix == "" and "+" or "(" .. prefix .. "\255"
  local answers = {}
  for _, id in ipairs(call("ZRANGE", KEYS[2], first, last, "BYLEX", "LIMIT", 0, ARGV[2])) do
    local document = unpacked(call("HGET", KEYS[1], id))
    answers[#answers + 1] = { id, document[1], document[2] }
  end
  return answers
end
