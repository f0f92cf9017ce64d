-- The indexes of lists: sets ordered by member, which begins with the moment of the start. Score 0:
-- into them; false: out of them.
local function list_in(base, status, member, workflow, correlation_id, score)
  put(key_of(base, "all"), member, score)
  put(key_of(base, "w:" .. workflow), member, score)
  put(key_of(base, status_index(status)), member, score)
  put(key_of(base, "pairs"), pair_prefix(status, workflow) .. member, score)
  if correlation_id then put(key_of(base, "c:" .. correlation_id), member, score) end
end
