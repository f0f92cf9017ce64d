-- A batch answers for each entry: one that fails spoils none of the others.
local function answer_all(apply)
  local answers = {}
  for i = 1, #entries do
    local done, answer = pcall(apply, entries[i])
    if not done then answer = { "failed", type(answer) == "table" and answer.err or tostring(answer) } end
    answers[i] = answer
  end
  write_changes()
  return answers
end
