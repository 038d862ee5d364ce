-- Aligned tables, CSV, and the result object that shows them.

local csv = require "earlgrey.csv"
local json = require "json"
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

tap.case("a statement's own CSV is the module's, to the byte", function()
  local conn <close> = assert(earlgrey.open())
  local sql = [[WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
    SELECT i * 4611686018427387 * (1 - i % 2 * 2) AS n, i / 7.0 AS x, 1e15 * i AS y, NULL AS z, '' AS "e, f",
    substr('a"b,c' || char(13, 10), 1, i % 8) AS t, CAST('x,' AS BLOB) AS b, CAST(x'410042' AS TEXT) AS u, zeroblob(0) AS o FROM n
    UNION ALL SELECT -9223372036854775807 - 1, 0, 9e999, 'é', '"', 'plain', x'22', '', NULL]]
  local stmt <close> = assert(conn:prepare(sql))
  local n, lines, texts = #stmt:columns(), {}, {}
  for values in stmt.values, stmt do
    lines[#lines + 1] = csv.line(values, n)
  end
  stmt:reset()
  for text, message in stmt.csv, stmt do
    tap.equal(message, nil)
    texts[#texts + 1] = text
  end
  tap.ok(#texts > 3, "a part at a time")
  tap.ok(table.concat(texts) == table.concat(lines))
  tap.equal(stmt:csv(), nil)
end)

-- Values of every kind in more rows than one text has, and two columns of one name.
local KINDS <const> = [[WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
  SELECT i * 4611686018427387 * (1 - i % 2 * 2) AS n, i / 7.0 AS x, NULL AS z, '' AS "e\f", 1e15 * i AS n,
  substr('a"\c' || char(13, 10, 127), 1, i % 9) AS t, CAST(x'78ff' AS BLOB) AS b, iif(i % 50, '', 'héé') AS u,
  iif(i = 2500, 'wider than all before', 'é' || i) AS w, iif(i % 2, i, 'text') AS m FROM n
  UNION ALL SELECT -9223372036854775807 - 1, 0, 9e999, char(155), '"', 'plain ', x'22', x'c328', char(65533), NULL]]

local function all_rows(stmt)
  local rows = {}
  for values in stmt.values, stmt do
    rows[#rows + 1] = values
  end
  stmt:reset()
  return rows
end

tap.case("a statement's own JSON is the module's, to the byte", function()
  local conn <close> = assert(earlgrey.open())
  local stmt <close> = assert(conn:prepare(KINDS))
  local encode, objects, texts = json.row_encoder(stmt:columns()), {}, {}
  for i, values in ipairs(all_rows(stmt)) do
    objects[i] = encode(values)
  end
  local n_encoded = 0
  local function encode_one(value)
    n_encoded = n_encoded + 1
    return json.encode(value)
  end
  repeat
    local text, message = stmt:json(encode_one)
    tap.equal(message, nil)
    texts[#texts + 1] = text
  until not text
  tap.ok(#texts > 3, "a part at a time")
  tap.ok(table.concat(texts, ",\n") == table.concat(objects, ",\n"))
  tap.ok(n_encoded < #objects * 6, "numbers and plain texts do not become Lua's")
  tap.equal(stmt:json(json.encode), nil)
end)

tap.case("a statement's own aligned table is the writer's, to the byte, whatever the lookahead", function()
  local conn <close> = assert(earlgrey.open())
  local stmt <close> = assert(conn:prepare(KINDS))
  local rows = all_rows(stmt)
  for _, lookahead in ipairs { 1, 2, 499, 2999, 3001, 3002, 10000 } do
    local lines, texts = {}, {}
    local writer = aligned.writer(stmt:columns(), function(text)
      lines[#lines + 1] = text
    end, lookahead)
    for _, values in ipairs(rows) do
      writer:row(values)
    end
    writer:finish()
    for text, message in aligned.texts(stmt, lookahead) do
      tap.equal(message, nil)
      texts[#texts + 1] = text
    end
    tap.ok(table.concat(texts) == table.concat(lines), "lookahead " .. lookahead)
    stmt:reset()
  end
  local nothing <close> = assert(conn:prepare("SELECT 1 AS a, 'x' AS longer WHERE 0"))
  tap.equal(aligned.texts(nothing, 10)(), aligned.format({ "a", "longer" }, {}))
end)

tap.case("JSON and tables of a statement that fails: the rows before it, or none under a lookahead", function()
  local conn <close> = assert(earlgrey.open())
  local stmt <close> = assert(conn:prepare("SELECT abs(a) AS b FROM (SELECT -5 AS a UNION ALL SELECT 7 UNION ALL "
    .. "SELECT -9223372036854775807 - 1)"))
  local text, message, code = stmt:json(json.encode)
  tap.equal(text, '{"b":5},\n{"b":7}')
  tap.equal(message, "integer overflow")
  tap.equal(code, "SQLITE_ERROR")
  stmt:reset()
  text, message, code = aligned.texts(stmt, 3)()
  tap.equal(text, nil)
  tap.equal(message, "integer overflow")
  tap.equal(code, "SQLITE_ERROR")
  stmt:reset()
  local next_text = aligned.texts(stmt, 1)
  tap.equal(next_text(), "b\n-\n5\n")
  text, message = next_text()
  tap.equal(text, "7\n")
  tap.equal(message, "integer overflow")
end)

tap.case("functions that close or reset the statement they write for are harmless", function()
  local conn <close> = assert(earlgrey.open())
  for _, method in ipairs { "json", "cells" } do
    for _, what in ipairs { "close", "reset" } do
      local stmt = assert(conn:prepare("SELECT 'é' AS a, 'é' AS b UNION ALL SELECT 'ö', 'x'"))
      local n, said_closed = 0, nil
      local function spoil(value)
        n = n + 1
        if n == 3 then
          stmt[what](stmt)
        end
        return tostring(value), 1
      end
      local arguments = method == "json" and { spoil } or { 5, spoil }
      local ok, message = pcall(stmt[method], stmt, table.unpack(arguments))
      said_closed = not ok and message:find("closed statement", 1, true)
      tap.ok(ok == (what == "reset") and (ok or said_closed), method .. " " .. what)
      stmt:close()
    end
  end
end)

tap.case("cells wants a number of rows and widths that can be", function()
  local conn <close> = assert(earlgrey.open())
  local stmt <close> = assert(conn:prepare("SELECT 1 AS a"))
  tap.raises("expected 1 to 100000 rows", stmt.cells, stmt, 0, tostring)
  tap.raises("expected 1 to 100000 rows", stmt.cells, stmt, 100001, tostring)
  tap.raises("function expected", stmt.cells, stmt, 1)
  tap.raises("function expected", stmt.json, stmt)
  local blob <close> = assert(conn:prepare("SELECT x'ff' AS a"))
  tap.raises("encode gave a nil, expected a string", blob.json, blob, function() end)
  blob:reset()
  tap.raises("encode gave a boolean, expected a string", blob.json, blob, function(value)
    return value == "a" and "'a'"
  end)
  local cells = stmt:cells(1, tostring)
  tap.raises("a width is out of range", cells.lines, cells, { -1 }, {})
  tap.raises("number expected", cells.lines, cells, {}, {})
  tap.equal(cells:lines({ 3 }, { true }), "  1\n")
end)

tap.case("a statement that fails behind some rows gives them as CSV, too", function()
  local conn <close> = assert(earlgrey.open())
  local stmt <close> = assert(conn:prepare("SELECT abs(a) AS b FROM (SELECT -5 AS a UNION ALL SELECT 7 UNION ALL "
    .. "SELECT -9223372036854775807 - 1)"))
  local text, message, code = stmt:csv()
  tap.equal(text, "5\r\n7\r\n")
  tap.equal(message, "integer overflow")
  tap.equal(code, "SQLITE_ERROR")
  local nothing <close> = assert(conn:prepare("SELECT abs(-9223372036854775807 - 1)"))
  text, message = nothing:csv()
  tap.equal(text, nil)
  tap.equal(message, "integer overflow")
end)

return tap.finish()
