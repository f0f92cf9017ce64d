-- Executions that equal all filters, newest first, of several partitions.
-- KEYS: bases of partitions. Derived: <base>:x:<id>, :all, :w:<workflow>, :s:<status>,
--   :c:<correlation id>, :p:<parent>, :pairs, :paired.
-- ARGV: 1 packed {workflow, status, correlation id, parent (each may be false), the start from which on
--   they are wanted or "", how many at most, how many are looked at where no index holds just
--   those}; then for each wanted partition, in the order of KEYS, the member after which, or
--   "".
-- Returns for each {rows, how many were looked at, the member after which it goes on, or false}; a
--   row is {id, workflow, correlation id or false, version, started at, status as it is stored,
--   parent or false, 1 if its definition is inline}.
--@flags no-writes
--@needs call heads pairs

local workflow, status, correlation_id, parent, first_start, limit, look_max

-- Indexes that hold all that is wanted: {key, prefix of the members, whether it holds nothing
-- else}.
local function indexes_of(base)
  local found = {}
  local function add(name, prefix, is_exact)
    found[#found + 1] = { key = base .. ":" .. name, prefix = prefix, is_exact = is_exact }
  end
  if correlation_id then add("c:" .. correlation_id, "", not (workflow or status or parent)) end
  if parent then add("p:" .. parent, "", not (workflow or status or correlation_id)) end
  if workflow and status and call("GET", base .. ":paired") == "done" then
    add("pairs", pair_prefix(status, workflow), not (correlation_id or parent))
  else
    if status then add("s:" .. status, "", not (workflow or correlation_id or parent)) end
    if workflow then add("w:" .. workflow, "", not (status or correlation_id or parent)) end
  end
  if #found == 0 then add("all", "", true) end
  return found
end

-- Members begin with a digit, and ":" comes after all of them.
local function count_of(index)
  if index.prefix == "" then return call("ZCARD", index.key) end
  return call("ZLEXCOUNT", index.key, "[" .. index.prefix, "(" .. index.prefix .. ":")
end

local function smallest_of(indexes)
  local best, fewest = indexes[1], nil
  for i = 1, #indexes > 1 and #indexes or 0 do
    local count = count_of(indexes[i])
    if not fewest or count < fewest then best, fewest = indexes[i], count end
  end
  return best
end

-- The row of an execution, if it equals the filters: an index may hold what a server of an
-- older version has changed since.
local function row_of(base, member)
  local id = id_in(member)
  local fields = call("HMGET", base .. ":x:" .. id, "l", "r")
  if not fields[1] or not fields[2] then return end
  local _, of_workflow, of_correlation, version, started_at, of_parent, inline = unpacked(fields[1])
  local _, _, stored = read_head(fields[2])
  local equals = (not workflow or workflow == of_workflow)
    and (not status or status == match(stored, "^%S+"))
    and (not correlation_id or correlation_id == of_correlation)
    and (not parent or parent == of_parent)
  if not equals then return end
  return { id, of_workflow, of_correlation, version, started_at, stored, of_parent or false, inline }
end

local function list(base, after)
  local index = smallest_of(indexes_of(base))
  local most = index.is_exact and limit or math.max(limit, look_max)
  local last = "(" .. index.prefix .. (after == "" and ":" or after)
  local first = "[" .. index.prefix .. first_start
  local members = call("ZRANGE", index.key, last, first, "BYLEX", "REV", "LIMIT", 0, most)
  local rows = {}
  for looked, member in ipairs(members) do
    member = sub(member, #index.prefix + 1)
    rows[#rows + 1] = row_of(base, member)
    local is_end = looked == #members and looked < most
    if not is_end and (#rows == limit or looked == most) then return { rows, looked, member } end
  end
  return { rows, #members, false }
end

operations["list"] = function()
  workflow, status, correlation_id, parent, first_start, limit, look_max =
    unpack(unpacked(ARGV[1]))
  local answers = {}
  for i = 2, #ARGV do answers[i - 1] = list(KEYS[i - 1], ARGV[i]) end
  return answers
end
