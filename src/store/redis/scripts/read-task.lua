-- A task as it is stored.
-- KEYS: 1 base of the partition. Derived: <base>:x:<id>.
-- ARGV: 1 execution; 2 task.
-- Returns {"Q" or "L", until or false, queue, timeout, text}, or nothing.
--@flags no-writes
--@needs call executions records tasks

operations["read-task"] = function()
  local x = open(KEYS[1], ARGV[1])
  local task = find_task(x, ARGV[2])
  if not task or task[STATE] == "D" then return false end
  return { task[STATE], task[UNTIL], task[QUEUE], task[TIMEOUT], text_of(x, task) }
end
