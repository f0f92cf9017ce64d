-- A batch answers for each entry, 1 when it is done: one that fails spoils none of the others. Mostly
-- all are done, and the answer is 1 instead of a list.
local function answer_all(apply)
  local answers, done_count = {}, 0
  for i = 1, tonumber(ARGV[2]) do
    local returned, answer = pcall(apply, unpacked(ARGV[FIRST_ENTRY + i - 1]))
    if not returned then
      answer = { "failed", type(answer) == "table" and answer.err or tostring(answer) }
    end
    answers[i] = answer
    if answer == 1 then done_count = done_count + 1 end
  end
  write_changes()
  return done_count == #answers and 1 or answers
end
