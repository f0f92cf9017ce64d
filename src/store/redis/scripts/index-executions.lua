-- Goes on with entering executions into the index of pairs, the newest first. Not allowed when
-- Redis has no memory left.
-- KEYS: 1 base of the partition. Derived: <base>:all, :pairs, :paired, :x:<id>.
-- ARGV: 1 how many at most; 0: none, and the next call begins anew.
-- Returns 1 when all are entered, else 0.
--@flags
--@needs call indexes heads pairs

operations["index-executions"] = function()
  local base, limit = KEYS[1], tonumber(ARGV[1])
  local paired = base .. ":paired"
  if limit == 0 then
    call("DEL", paired)
    return 0
  end
  local last = call("GET", paired)
  if last == "done" then return 1 end
  if not last then
    -- Servers of older versions may have removed what is in it.
    call("UNLINK", base .. ":pairs")
    last = ":"
  end
  local all = base .. ":all"
  local members = call("ZRANGE", all, "(" .. last, "-", "BYLEX", "REV", "LIMIT", 0, limit)
  for _, member in ipairs(members) do
    local fields = call("HMGET", base .. ":x:" .. id_in(member), "l", "r")
    if fields[1] and fields[2] then
      local _, workflow = unpacked(fields[1])
      local _, _, status = read_head(fields[2])
      put(base .. ":pairs", pair_prefix(status, workflow) .. member, 0)
    end
  end
  write_changes()
  local is_done = #members < limit
  call("SET", paired, is_done and "done" or members[#members] or last)
  return is_done and 1 or 0
end
