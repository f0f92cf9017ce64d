-- Raises the format of the namespace, never lowers it.
-- KEYS: 1 hash of settings.
-- ARGV: 1 format.
-- Returns the format that holds; nothing where the namespace is not there.
--@flags allow-oom
--@needs call

operations["raise-format"] = function()
  local held = tonumber(call("HGET", KEYS[1], "layout"))
  if held and held < tonumber(ARGV[1]) then
    held = tonumber(ARGV[1])
    call("HSET", KEYS[1], "layout", held)
  end
  return held
end
