-- CSV as RFC 4180 has it: commas, CR LF after every line, quotes where a field
-- needs them. NULL (nil) is an empty field, an empty string is "".

local M = {}

local find, gsub, concat = string.find, string.gsub, table.concat

-- One line of n values.
function M.line(values, n)
  local fields = {}
  for i = 1, n do
    local value = values[i]
    if math.type(value) == "integer" then
      fields[i] = value
    elseif value == nil then
      fields[i] = ""
    else
      local text = tostring(value)
      if text == "" or find(text, '[",\r\n]') then
        text = '"' .. gsub(text, '"', '""') .. '"'
      end
      fields[i] = text
    end
  end
  return concat(fields, ",") .. "\r\n"
end

-- A line of names and a line for each row.
function M.format(columns, rows)
  local n = #columns
  local lines = { M.line(columns, n) }
  for i = 1, #rows do
    lines[i + 1] = M.line(rows[i], n)
  end
  return table.concat(lines)
end

return M
