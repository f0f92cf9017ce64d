-- The index of pairs of a status and a workflow: one set, ordered by member, which is the status, a
-- NUL, the workflow, a NUL, and the member that the other indexes of lists have.
local function pair_prefix(status, workflow)
  return string.match(status, "^%S+") .. "\0" .. workflow .. "\0"
end
