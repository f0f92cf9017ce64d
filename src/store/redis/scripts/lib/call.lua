-- What every operation works with. Redis loads the library once, and its functions live on between
-- calls: what belongs to one call is set here, or by a function in `resets`, when the call begins.
--@needs

local KEYS, ARGV
-- Set by the first call: none of them exists yet while Redis loads a library.
local call, pack, unpacked, match, find, sub
-- By the name of the operation.
local operations = {}
local resets = {}

local function run(name, keys, arguments)
  call, pack, unpacked = redis.call, cmsgpack.pack, cmsgpack.unpack
  match, find, sub = string.match, string.find, string.sub
  KEYS, ARGV = keys, arguments
  for i = 1, #resets do resets[i]() end
  return operations[name]()
end
