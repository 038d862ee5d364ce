-- What conn:query gives: all rows of a statement, and ways to show them.
--
--   result.columns   array of the names
--   result.rows      array of rows, each an array of values (nil for NULL)
--   result[i]        row i as a table by column name; of two columns with one
--                    name the first counts
--   #result          how many rows
--   result:table()   aligned text, as tostring(result)
--   result:csv()     RFC 4180
--   result:json()    an array of objects

local csv = require "earlgrey.csv"
local json = require "earlgrey.json"
local aligned = require "earlgrey.table"

local M = {}
local methods = {}

function methods:table()
  return aligned.format(self.columns, self.rows)
end

function methods:csv()
  return csv.format(self.columns, self.rows)
end

function methods:json()
  local encode = json.row_encoder(self.columns)
  local parts = {}
  for i, row in ipairs(self.rows) do
    parts[i] = encode(row)
  end
  if #parts == 0 then
    return "[]"
  end
  return "[\n" .. table.concat(parts, ",\n") .. "\n]"
end

local function by_name(result, i)
  local values = result.rows[i]
  if not values then
    return nil
  end
  local row = {}
  for k = #result.columns, 1, -1 do
    row[result.columns[k]] = values[k]
  end
  return row
end

local meta = {
  __name = "earlgrey.result",
  __index = function(result, key)
    if math.type(key) == "integer" then
      return by_name(result, key)
    end
    return methods[key]
  end,
  __len = function(result)
    return #result.rows
  end,
  __tostring = methods.table,
}

function M.new(columns, rows)
  return setmetatable({ columns = columns, rows = rows }, meta)
end

return M
