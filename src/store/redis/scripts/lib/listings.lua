-- The indexes of lists: sets ordered by member, which begins with the moment of the start. Score 0:
-- into them; false: out of them. listing {status as it is stored, member, workflow,
-- correlation_id, parent}.
--@needs indexes executions pairs

local function list_in(base, listing, score)
  local member, workflow = listing.member, listing.workflow
  put(key_of(base, "all"), member, score)
  put(key_of(base, "w:" .. workflow), member, score)
  put(key_of(base, status_index(listing.status)), member, score)
  put(key_of(base, "pairs"), pair_prefix(listing.status, workflow) .. member, score)
  local correlation_id = listing.correlation_id
  if correlation_id then put(key_of(base, "c:" .. correlation_id), member, score) end
  if listing.parent then put(key_of(base, "p:" .. listing.parent), member, score) end
end
