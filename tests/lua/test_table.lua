-- Aligned tables, CSV, and the result object that shows them.

local csv = require "earlgrey.csv"
local tap = require "tests.lua.tap"
local aligned = require "earlgrey.table"
local result = require "earlgrey.result"

tap.case("numbers stand right, text left, without blanks at the ends of lines", function()
  tap.equal(aligned.format({ "name", "n" }, { { "a", 1 }, { "long name", 12345 } }), [[
name           n
---------  -----
a              1
long name  12345
]])
end)

tap.case("a column with both text and numbers stands left", function()
  tap.equal(aligned.format({ "mix", "z" }, { { 1, 1 }, { "text", 2 } }), [[
mix   z
----  -
1     1
text  2
]])
end)

tap.case("NULL is an empty cell, also in the last column and in a whole row", function()
  tap.equal(aligned.format({ "a", "b" }, { { nil, 7 }, { "x" }, {} }), "a  b\n-  -\n   7\nx\n\n")
end)

tap.case("no rows give the header alone", function()
  tap.equal(aligned.format({ "addr1", "bytes" }, {}), "addr1  bytes\n-----  -----\n")
end)

tap.case("widths count characters, not bytes", function()
  tap.equal(aligned.format({ "é", "b" }, { { "äöü", 1 }, { "x", 2 } }),
    "é    b\n---  -\näöü  1\nx    2\n")
end)

tap.case("64-bit integers and floats keep their digits", function()
  tap.equal(aligned.format({ "n" }, { { math.maxinteger }, { 2.0 }, { 0.1 } }),
    "                  n\n-------------------\n9223372036854775807\n                2.0\n"
      .. "                0.1\n")
end)

tap.case("control characters and bytes that are no UTF-8 are shown as escapes", function()
  local text = aligned.format({ "v" }, { { "a\nb\tc" }, { "\27[2J" }, { "\xff\xfe" }, { "\u{9b}2J" },
    { "zero\0byte" } })
  tap.equal(text, "v\n------------\na\\nb\\tc\n\\x1b[2J\n\\xff\\xfe\n\\u{9b}2J\nzero\\x00byte\n")
end)

tap.case("a writer with lookahead shows rows before the end, in the widths so far", function()
  local parts = {}
  local writer = aligned.writer({ "v" }, function(text)
    parts[#parts + 1] = text
  end, 2)
  writer:row { 10 }
  tap.equal(#parts, 0)
  writer:row { 2 }
  tap.equal(table.concat(parts), " v\n--\n10\n 2\n")
  writer:row { 12345 }
  writer:row { 3 }
  writer:finish()
  tap.equal(table.concat(parts), " v\n--\n10\n 2\n12345\n 3\n")
end)

tap.case("CSV quotes commas, quotes and line ends, and ends lines with CR LF", function()
  tap.equal(csv.format({ "a", "b,c" }, { { 'say "x"', "l1\r\nl2" }, { 5, "plain" } }),
    'a,"b,c"\r\n"say ""x""","l1\r\nl2"\r\n5,plain\r\n')
end)

tap.case("CSV tells NULL from an empty string", function()
  tap.equal(csv.format({ "a", "b" }, { { nil, "" } }), 'a,b\r\n,""\r\n')
end)

tap.case("a result counts rows, gives them by number and name, and prints as a table", function()
  local r = result.new({ "a", "b" }, { { 1, "x" }, { 2 } })
  tap.equal(#r, 2)
  tap.equal(r[1].a, 1)
  tap.equal(r[1].b, "x")
  tap.equal(r[2].b, nil)
  tap.equal(r[3], nil)
  tap.equal(tostring(r), "a  b\n-  -\n1  x\n2\n")
  tap.equal(r:csv(), "a,b\r\n1,x\r\n2,\r\n")
  tap.equal(r:json(), '[\n{"a":1,"b":"x"},\n{"a":2,"b":null}\n]')
  local n = 0
  for i, row in ipairs(r) do
    n = n + i * row.a
  end
  tap.equal(n, 5)
end)

tap.case("of two columns with one name the first counts", function()
  local r = result.new({ "a", "a" }, { { 1, 2 } })
  tap.equal(r[1].a, 1)
  tap.equal(r:json(), '[\n{"a":1}\n]')
end)

tap.case("a result without rows is an empty array in JSON", function()
  tap.equal(result.new({ "a" }, {}):json(), "[]")
end)

return tap.finish()
