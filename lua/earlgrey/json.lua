-- JSON (RFC 8259). Integers are 64-bit and pass unchanged in both directions.
--
--   json.null          stands for null inside tables
--   json.array(t)      marks a table as an array, so that an empty one is []
--   json.is_array(v)   whether v is written as an array
--   json.is_object(v)  whether v is written as an object
--   json.encode(v)     raises for what JSON cannot say
--   json.decode(text)  value | nil, message, "JSON_SYNTAX"
--
-- A table is an array when it is marked or has the keys 1..n and n > 0; keys of
-- objects are written in order. Bytes that are no UTF-8 become U+FFFD.

local M = {}

local MAX_DEPTH = 200

M.null = setmetatable({}, {
  __name = "json.null",
  __tostring = function()
    return "null"
  end,
  __newindex = function()
    error("json.null cannot be changed", 2)
  end,
})

local ARRAY = { __name = "json.array" }

function M.array(t)
  return setmetatable(t or {}, ARRAY)
end

-- ---- encoding ----

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
  ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}

local function escape(c)
  return ESCAPES[c] or ("\\u%04x"):format(c:byte())
end

-- Puts U+FFFD where `text` stops being UTF-8.
local function mend(text)
  local parts, at = {}, 1
  while at <= #text do
    local ok, bad = utf8.len(text, at)
    if ok then
      parts[#parts + 1] = text:sub(at)
      break
    end
    parts[#parts + 1] = text:sub(at, bad - 1)
    parts[#parts + 1] = "\u{fffd}"
    at = bad + 1
  end
  return table.concat(parts)
end

local find, format = string.find, string.format

local function encode_string(text)
  if find(text, '[\0-\31"\\\127-\255]') then
    if not utf8.len(text) then
      text = mend(text)
    end
    text = text:gsub('[\0-\31"\\\127]', escape)
  end
  return '"' .. text .. '"'
end

local function encode_number(value)
  if math.type(value) == "integer" then
    return format("%d", value)
  end
  if value ~= value then
    error("JSON has no NaN", 0)
  end
  if value == math.huge or value == -math.huge then
    return value > 0 and "9e999" or "-9e999" -- as SQLite writes it
  end
  local text = ("%.15g"):format(value)
  if tonumber(text) ~= value then
    text = ("%.17g"):format(value)
  end
  return text:find("[.e]") and text or text .. ".0"
end

local encode_value

local function is_array(t)
  if getmetatable(t) == ARRAY then
    return true
  end
  local n = #t
  if n == 0 then
    return false
  end
  local count = 0
  for key in pairs(t) do
    if math.type(key) ~= "integer" or key < 1 or key > n then
      return false
    end
    count = count + 1
  end
  return count == n
end

function M.is_array(value)
  return type(value) == "table" and is_array(value)
end

function M.is_object(value)
  return type(value) == "table" and value ~= M.null and not is_array(value)
end

local function encode_table(t, depth)
  if depth > MAX_DEPTH then
    error("JSON value is nested deeper than " .. MAX_DEPTH .. " (or contains itself)", 0)
  end
  local parts = {}
  if is_array(t) then
    for i = 1, #t do
      parts[i] = encode_value(t[i], depth)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local keys = {}
  for key in pairs(t) do
    if type(key) ~= "string" then
      error("JSON object has a " .. type(key) .. " as key", 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = encode_string(key) .. ":" .. encode_value(t[key], depth)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

function encode_value(value, depth)
  local kind = type(value)
  if kind == "string" then
    return encode_string(value)
  elseif value == nil or value == M.null then
    return "null"
  elseif kind == "number" then
    return encode_number(value)
  elseif kind == "boolean" then
    return tostring(value)
  elseif kind == "table" then
    return encode_table(value, depth + 1)
  end
  error("JSON has no " .. kind, 0)
end

function M.encode(value)
  return encode_value(value, 0)
end

-- A function that makes an object of an array of values, with these names in
-- this order; nil becomes null. Of two equal names the first stays.
function M.row_encoder(columns)
  local n = #columns
  local names, seen = {}, {}
  for i = 1, n do
    names[i] = not seen[columns[i]] and encode_string(columns[i]) .. ":" or false
    seen[columns[i]] = true
  end
  return function(values)
    local parts, n_parts = {}, 0
    for i = 1, n do
      local name = names[i]
      if name then
        n_parts = n_parts + 1
        parts[n_parts] = name .. encode_value(values[i], 0)
      end
    end
    return "{" .. table.concat(parts, ",") .. "}"
  end
end

-- ---- decoding ----

local UNESCAPES = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}

local function fail(at, what)
  error({ at = at, what = what }, 0)
end

local function skip(text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

local function hex4(text, at)
  local digits = text:match("^%x%x%x%x", at)
  if not digits then
    fail(at, "four hexadecimal digits expected after \\u")
  end
  return tonumber(digits, 16)
end

-- The text between the quotes; `at` stands after the first. Returns it and the
-- place after the last.
local function decode_string(text, at)
  local parts = {}
  while true do
    local stop = text:find('[\0-\31"\\]', at)
    if not stop then
      fail(#text + 1, "string without its closing quote")
    end
    parts[#parts + 1] = text:sub(at, stop - 1)
    local c = text:sub(stop, stop)
    if c == '"' then
      return table.concat(parts), stop + 1
    elseif c ~= "\\" then
      fail(stop, "control character inside a string")
    end
    local e = text:sub(stop + 1, stop + 1)
    if e ~= "u" then
      if not UNESCAPES[e] then
        fail(stop, "unknown escape")
      end
      parts[#parts + 1] = UNESCAPES[e]
      at = stop + 2
    else
      local code = hex4(text, stop + 2)
      at = stop + 6
      if code >= 0xd800 and code <= 0xdbff and text:sub(at, at + 1) == "\\u" then
        local low = hex4(text, at + 2)
        if low >= 0xdc00 and low <= 0xdfff then
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
          at = at + 6
        end
      end
      if code >= 0xd800 and code <= 0xdfff then
        code = 0xfffd -- half of a pair
      end
      parts[#parts + 1] = utf8.char(code)
    end
  end
end

local function decode_number(text, at)
  local digits = text:match("^-?%d+", at)
  if not digits or digits:find("^-?0%d") then
    fail(at, "number expected")
  end
  local stop = at + #digits
  local fraction = text:match("^%.%d+", stop) or ""
  local exponent = text:match("^[eE][+-]?%d+", stop + #fraction) or ""
  local whole = digits .. fraction .. exponent
  if fraction == "" and exponent == "" then
    return math.tointeger(digits) or tonumber(digits) + 0.0, stop
  end
  return tonumber(whole) + 0.0, at + #whole
end

local WORDS = { t = { "true", true }, f = { "false", false }, n = { "null", M.null } }

local decode_value

local function decode_array(text, at, depth)
  local array, n = M.array(), 0
  at = skip(text, at)
  if text:sub(at, at) == "]" then
    return array, at + 1
  end
  while true do
    n = n + 1
    array[n], at = decode_value(text, at, depth)
    at = skip(text, at)
    local c = text:sub(at, at)
    if c == "]" then
      return array, at + 1
    elseif c ~= "," then
      fail(at, "',' or ']' expected")
    end
    at = at + 1
  end
end

local function decode_object(text, at, depth)
  local object = {}
  at = skip(text, at)
  if text:sub(at, at) == "}" then
    return object, at + 1
  end
  while true do
    at = skip(text, at)
    if text:sub(at, at) ~= '"' then
      fail(at, "name of a member expected")
    end
    local key
    key, at = decode_string(text, at + 1)
    at = skip(text, at)
    if text:sub(at, at) ~= ":" then
      fail(at, "':' expected")
    end
    object[key], at = decode_value(text, at + 1, depth)
    at = skip(text, at)
    local c = text:sub(at, at)
    if c == "}" then
      return object, at + 1
    elseif c ~= "," then
      fail(at, "',' or '}' expected")
    end
    at = at + 1
  end
end

function decode_value(text, at, depth)
  at = skip(text, at)
  local c = text:sub(at, at)
  if c == '"' then
    return decode_string(text, at + 1)
  elseif c == "{" or c == "[" then
    if depth >= MAX_DEPTH then
      fail(at, "nested deeper than " .. MAX_DEPTH)
    end
    return (c == "{" and decode_object or decode_array)(text, at + 1, depth + 1)
  elseif c:find("[-%d]") then
    return decode_number(text, at)
  end
  local word = WORDS[c]
  if word and text:sub(at, at + #word[1] - 1) == word[1] then
    return word[2], at + #word[1]
  end
  fail(at, c == "" and "value expected, found the end" or "value expected")
end

function M.decode(text)
  if type(text) ~= "string" then
    error(("bad argument #1 to 'decode' (string expected, got %s)"):format(type(text)), 2)
  end
  local ok, value, at = pcall(decode_value, text, 1, 0)
  if ok then
    at = skip(text, at)
    if at <= #text then
      ok, value = false, { at = at, what = "something follows the value" }
    end
  end
  if ok then
    return value
  elseif type(value) ~= "table" then
    error(value, 0) -- not ours: interrupted, out of memory
  end
  return nil, ("JSON: %s at byte %d"):format(value.what, value.at), "JSON_SYNTAX"
end

return M
