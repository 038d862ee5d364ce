-- Aligned tables for people. Numbers stand right, everything else left; NULL
-- (nil) is empty; cells are never cut. Control characters and bytes that are
-- no UTF-8 are shown as escapes, so that data cannot steer the terminal.

local M = {}

-- Rows of a statement that become one text.
local BLOCK_ROWS <const> = 500

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(c)
  return ESCAPES[c] or ("\\x%02x"):format(c:byte())
end

-- The text of a cell and its width in characters.
local function cell(value)
  if value == nil then
    return "", 0
  end
  local text
  if type(value) == "string" then
    text = value
  elseif math.type(value) == "integer" then
    text = ("%d"):format(value)
    return text, #text
  elseif math.type(value) == "float" then
    text = ("%.15g"):format(value)
    if text:find("^-?%d+$") then
      text = text .. ".0"
    end
  else
    text = tostring(value)
  end
  if not text:find("[^\32-\126]") then
    return text, #text
  end
  if not utf8.len(text) then
    text = text:gsub("[\128-\255]", escape)
  end
  text = text:gsub("[\0-\31\127]", escape)
  text = text:gsub("\194[\128-\159]", function(c) -- the control characters of Latin-1
    return ("\\u{%x}"):format(utf8.codepoint(c))
  end)
  return text, utf8.len(text)
end

-- n blanks; a negative n gives none.
local PADS = setmetatable({}, {
  __index = function(pads, n)
    pads[n] = (" "):rep(n)
    return pads[n]
  end,
})

-- Lines of one table: widths, which columns stand right, and a line of texts
-- whose widths in characters are `sizes`.
local function line_of(texts, sizes, widths, is_right)
  local n, parts = #widths, {}
  for i = 1, n do
    local pad = PADS[widths[i] - sizes[i]]
    if is_right[i] then
      parts[i] = pad .. texts[i]
    else
      parts[i] = i < n and texts[i] .. pad or texts[i]
    end
  end
  local text = table.concat(parts, "  ")
  local last = #text
  while text:byte(last) == 32 do
    last = last - 1
  end
  return (last < #text and text:sub(1, last) or text) .. "\n"
end

-- The two lines above the rows.
local function head_of(names, widths, is_right)
  local sizes, rules = {}, {}
  for i = 1, #names do
    sizes[i] = utf8.len(names[i])
    rules[i] = ("-"):rep(widths[i])
  end
  return line_of(names, sizes, widths, is_right) .. line_of(rules, widths, widths, is_right)
end

-- Makes a writer for rows of `columns` (names). `write(text)` takes the output.
-- The widths come from the first `lookahead` rows (default: all of them); later
-- rows that are wider only stand out of line.
--   writer:row(values)   an array of the values, nil for NULL
--   writer:finish()      writes what is left
function M.writer(columns, write, lookahead)
  local n = #columns
  local widths, is_text, has_number, is_right = {}, {}, {}, {}
  local names = {}
  for i = 1, n do
    names[i], widths[i] = cell(tostring(columns[i]))
  end
  local held, is_started = {}, false
  local n_held = 0

  local function start()
    is_started = true
    for i = 1, n do
      is_right[i] = has_number[i] and not is_text[i]
    end
    write(head_of(names, widths, is_right))
    for i = 1, n_held do
      write(line_of(held[i][1], held[i][2], widths, is_right))
    end
    held = nil
  end

  local writer = {}

  function writer:row(values)
    local texts, sizes = {}, {}
    for i = 1, n do
      local value = values[i]
      texts[i], sizes[i] = cell(value)
      if held then
        if sizes[i] > widths[i] then
          widths[i] = sizes[i]
        end
        if type(value) == "number" then
          has_number[i] = true
        elseif value ~= nil then
          is_text[i] = true
        end
      end
    end
    if is_started then
      return write(line_of(texts, sizes, widths, is_right))
    end
    n_held = n_held + 1
    held[n_held] = { texts, sizes }
    if lookahead and n_held >= lookahead then
      start()
    end
  end

  function writer:finish()
    if not is_started then
      start()
    end
  end

  return writer
end

-- The table of a statement's rows as an iterator over texts of many lines each,
-- which together are what a writer with this lookahead (default 10000) writes; after a failure
-- the last one, or nil, has the message and the code behind it.
function M.texts(stmt, lookahead)
  local names, widths, is_right = {}, {}, nil
  return function()
    local first = not is_right
    local cells, message, code = stmt:cells(first and (lookahead or 10000) or BLOCK_ROWS, cell)
    if not first then
      return cells and cells:lines(widths, is_right), message, code
    elseif message then
      return nil, message, code
    end
    local found, columns = {}, stmt:columns()
    is_right = {}
    if cells then
      found, is_right = cells:widths()
    end
    for i = 1, #columns do
      names[i], widths[i] = cell(columns[i])
      widths[i] = math.max(widths[i], found[i] or 0)
    end
    return head_of(names, widths, is_right) .. (cells and cells:lines(widths, is_right) or "")
  end
end

-- The whole table as one string.
function M.format(columns, rows)
  local parts = {}
  local writer = M.writer(columns, function(text)
    parts[#parts + 1] = text
  end)
  for i = 1, #rows do
    writer:row(rows[i])
  end
  writer:finish()
  return table.concat(parts)
end

return M
