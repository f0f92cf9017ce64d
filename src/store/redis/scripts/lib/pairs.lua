-- The index of pairs of a status and a workflow: one set, ordered by member, which is the status, a
-- NUL, the workflow, a NUL, and the member that the other indexes of lists have: the moment of the
-- start, a colon and the id.
--@needs call

local ID_AT = 18

local function pair_prefix(status, workflow)
  return match(status, "^%S+") .. "\0" .. workflow .. "\0"
end

local function id_in(member)
  return sub(member, ID_AT)
end
