-- Timers in the order of their moments, due or not.
-- KEYS: 1 base of the partition. Derived: <base>:timers.
-- ARGV: 1 how many at most; 2 the moment and 3 the member ("" for none) after which.
-- Returns for each {execution, timer, moment}.
--@flags no-writes
--@needs call bytes indexes

operations["list-timers"] = function()
  local key, limit, from, after = KEYS[1] .. ":timers", tonumber(ARGV[1]), ARGV[2], ARGV[3]
  local answers, seen = {}, 0
  while #answers < limit do
    local row = call("ZRANGE", key, from, "+inf", "BYSCORE", "LIMIT", seen, limit, "WITHSCORES")
    for i = 1, #row, 2 do
      local is_tie = tonumber(row[i + 1]) == tonumber(from)
      if #answers < limit and (not is_tie or comes_after(row[i], after)) then
        local execution, timer = names_of_member(row[i])
        answers[#answers + 1] = { execution, timer, tonumber(row[i + 1]) }
      end
    end
    seen = seen + limit
    if #row < limit * 2 then break end
  end
  return answers
end
