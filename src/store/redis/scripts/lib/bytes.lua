-- Lua compares text by the locale of the server, sorted sets by bytes.
--@needs

local function comes_after(a, b)
  for i = 1, math.min(#a, #b) do
    local of_a, of_b = string.byte(a, i), string.byte(b, i)
    if of_a ~= of_b then return of_a > of_b end
  end
  return #a > #b
end
