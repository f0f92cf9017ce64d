-- A batch answers for each entry: one that fails spoils none of the others.
local function answer_all(apply)
  local answers = {}
  for i = 1, tonumber(ARGV[2]) do
    local done, answer = pcall(apply, unpacked(ARGV[FIRST_ENTRY + i - 1]))
    if not done then
      answer = { "failed", type(answer) == "table" and answer.err or tostring(answer) }
    end
    answers[i] = answer
  end
  write_changes()
  return answers
end
