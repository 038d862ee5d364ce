-- The module earlgrey: connections, statements, values, failures, lifetimes.

local earlgrey = require "earlgrey"
local tap = require "tests.lua.tap"

local function with_conn(claim, f)
  tap.case(claim, function()
    local conn <close> = assert(earlgrey.open())
    f(conn)
  end)
end

-- ---- opening and closing ----

tap.case("open without a path is a database in memory with the extension built in", function()
  local conn <close> = assert(earlgrey.open())
  tap.equal(conn:row("SELECT earlgrey_version() AS v").v, earlgrey.version)
  tap.equal(tostring(conn), "connection (:memory:)")
end)

tap.case("open fails with nil, a message that names the path, and a code", function()
  tap.fails("^/nonexistent/x%.db: unable to open", "SQLITE_CANTOPEN", earlgrey.open("/nonexistent/x.db"))
  tap.fails("/nonexistent.db", "SQLITE_CANTOPEN", earlgrey.open("/nonexistent.db", { readonly = true }))
end)

tap.case("a read-only connection reads and does not write", function()
  local folder <close> = tap.folder()
  local path = folder.path .. "/x.db"
  do
    local conn <close> = assert(earlgrey.open(path))
    assert(conn:exec("CREATE TABLE t(a); INSERT INTO t VALUES (1)"))
  end
  local conn <close> = assert(earlgrey.open(path, { readonly = true }))
  tap.equal(conn:row("SELECT a FROM t").a, 1)
  tap.fails("readonly", "SQLITE_READONLY", conn:exec("INSERT INTO t VALUES (2)"))
end)

tap.case("wrong arguments raise", function()
  tap.raises("bad argument #1 to '[%a.]*open'", earlgrey.open, {})
  tap.raises("bad argument #2 to '[%a.]*open'", earlgrey.open, ":memory:", 5)
  tap.raises("zero byte", earlgrey.open, "a\0b")
  local conn <close> = assert(earlgrey.open())
  tap.raises("zero byte", conn.exec, conn, "SELECT 1\0; DROP TABLE t")
  tap.raises("earlgrey.connection expected", conn.exec, io.stdout, "SELECT 1")
  tap.equal(getmetatable(conn), false, "the metatable is locked")
end)

tap.case("closing twice is harmless, using a closed handle raises", function()
  local conn = assert(earlgrey.open())
  local stmt = assert(conn:prepare("SELECT 1"))
  conn:close()
  conn:close()
  stmt:close()
  tap.equal(tostring(conn), "connection (closed)")
  tap.equal(tostring(stmt), "statement (closed)")
  for _, method in ipairs { "exec", "prepare", "rows", "row", "query", "changes", "interrupt", "progress" } do
    tap.raises("attempt to use a closed connection", conn[method], conn, "SELECT 1")
  end
  for _, method in ipairs { "bind", "row", "values", "rows", "columns", "reset" } do
    tap.raises("attempt to use a closed statement", stmt[method], stmt)
  end
end)

tap.case("a statement keeps its connection alive", function()
  local stmt
  do
    local conn = assert(earlgrey.open())
    stmt = assert(conn:prepare("SELECT 5 AS five"))
  end
  collectgarbage()
  collectgarbage()
  tap.equal(earlgrey.handles(), 1)
  tap.equal(stmt:row().five, 5)
end)

tap.case("handles that nobody holds are collected, also with statements half read", function()
  for _ = 1, 20 do
    local conn = assert(earlgrey.open())
    local stmt = assert(conn:prepare("SELECT 1 UNION SELECT 2"))
    stmt:row()
  end
  collectgarbage()
  collectgarbage()
  tap.equal(select(2, earlgrey.handles()), 0)
end)

tap.case("closing a connection in the midst of rows ends them with an error", function()
  local conn = assert(earlgrey.open())
  tap.raises("attempt to use a closed statement", function()
    for _ in assert(conn:rows("SELECT 1 UNION SELECT 2")) do
      conn:close()
    end
  end)
end)

-- ---- statements and rows ----

with_conn("exec runs every statement of a text and counts changes", function(conn)
  assert(conn:exec [[
    CREATE TABLE t(a, b); -- a comment; with a semicolon
    INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL); /* the end ; */ ]])
  tap.equal(conn:changes(), 3)
  tap.ok(conn:exec(""))
end)

with_conn("exec stops at the first statement that fails", function(conn)
  tap.fails("no such table: missing", "SQLITE_ERROR",
    conn:exec("CREATE TABLE t(a); INSERT INTO missing VALUES (1); INSERT INTO t VALUES (1)"))
  tap.equal(conn:row("SELECT count(*) AS n FROM t").n, 0)
end)

with_conn("rows come by name, NULL is absent", function(conn)
  local seen = {}
  for row in assert(conn:rows("SELECT 1 AS a, NULL AS b UNION ALL SELECT 2, 'x'")) do
    seen[#seen + 1] = row.a .. tostring(row.b)
  end
  tap.equal(table.concat(seen, " "), "1nil 2x")
end)

with_conn("leaving a loop over rows early closes its statement", function(conn)
  for _ in assert(conn:rows("SELECT 1 UNION SELECT 2")) do
    break
  end
  tap.equal(select(2, earlgrey.handles()), 0)
end)

with_conn("row gives the first row, nil where there is none", function(conn)
  tap.equal(conn:row("SELECT 7 AS n UNION ALL SELECT 8").n, 7)
  tap.equal(select("#", conn:row("SELECT 1 WHERE 0")), 1)
  tap.fails("no such column: x", "SQLITE_ERROR", conn:row("SELECT x"))
end)

with_conn("query gives all rows and the columns even of an empty result", function(conn)
  local r = assert(conn:query("SELECT 1 AS one, 'b' AS two UNION ALL SELECT NULL, 'c'"))
  tap.equal(#r, 2)
  tap.equal(table.concat(r.columns, " "), "one two")
  tap.equal(r.rows[2][1], nil)
  tap.equal(r.rows[2][2], "c")
  tap.equal(table.concat(assert(conn:query("SELECT 1 AS a, 2 AS b WHERE 0")).columns, " "), "a b")
end)

with_conn("a text without a statement or with several is refused where one is wanted", function(conn)
  tap.fails("no SQL statement", "SQLITE_MISUSE", conn:query(" -- nothing"))
  tap.fails("no SQL statement", "SQLITE_MISUSE", conn:prepare("/* open"))
  tap.fails("more than one SQL statement", "SQLITE_MISUSE", conn:query("SELECT 1; SELECT 2"))
  tap.equal(conn:row("SELECT 1 AS a; -- the end\n ; /* of it */ ").a, 1)
end)

with_conn("prepare gives the rest of the text", function(conn)
  local stmt <close>, rest = conn:prepare("SELECT 1; SELECT 2; ")
  tap.equal(rest, "SELECT 2; ")
  tap.equal(stmt:values()[1], 1)
  local last <close>, nothing = conn:prepare(rest)
  tap.equal(nothing, "")
  tap.equal(last:values()[1], 2)
end)

with_conn("a statement stays at its end until it is reset or bound anew", function(conn)
  local stmt <close> = assert(conn:prepare("SELECT ?1 AS v"))
  assert(stmt:bind(4))
  tap.equal(stmt:row().v, 4)
  tap.equal(stmt:row(), nil)
  tap.equal(stmt:row(), nil)
  tap.equal(stmt:reset():values()[1], 4)
  tap.equal(assert(stmt:bind(5)):row().v, 5)
  local n = 0
  for row in stmt:rows() do
    n = n + row.v
  end
  tap.equal(n, 5)
end)

with_conn("of two columns with one name the first counts", function(conn)
  tap.equal(conn:row("SELECT 1 AS a, 2 AS a").a, 1)
end)

with_conn("columns follow a change of the schema", function(conn)
  assert(conn:exec("CREATE TABLE t(a); INSERT INTO t VALUES (1)"))
  local stmt <close> = assert(conn:prepare("SELECT * FROM t"))
  tap.equal(stmt:row().a, 1)
  stmt:reset()
  assert(conn:exec("ALTER TABLE t ADD COLUMN b DEFAULT 9"))
  tap.equal(stmt:row().b, 9)
  tap.equal(#stmt:columns(), 2)
end)

-- ---- values ----

with_conn("values pass unchanged: 64-bit integers, floats, text and blobs with zero bytes", function(conn)
  local stmt <close> = assert(conn:prepare("SELECT ?1 AS v, typeof(?1) AS t"))
  local values = {
    { math.maxinteger, "integer" }, { math.mininteger, "integer" }, { 0.1, "real" }, { 2.0, "real" },
    { "tea\0pot", "text" }, { "", "text" }, { "é", "text" },
  }
  for _, pair in ipairs(values) do
    local row = assert(stmt:bind(pair[1])):row()
    tap.equal(row.v, pair[1])
    tap.equal(row.t, pair[2])
  end
  for _, bytes in ipairs { "\0\255", "" } do
    local row = assert(stmt:bind(earlgrey.blob(bytes))):row()
    tap.equal(row.v, bytes)
    tap.equal(row.t, "blob")
  end
  tap.equal(assert(stmt:bind(nil)):row().t, "null")
  tap.equal(assert(stmt:bind(true)):row().v, 1)
  tap.equal(assert(stmt:bind(false)):row().v, 0)
end)

with_conn("parameters bind by position and by name", function(conn)
  tap.equal(conn:row("SELECT ? - ? AS v", 5, 3).v, 2)
  tap.equal(conn:row("SELECT ?2 AS v", nil, "b").v, "b")
  tap.equal(conn:row("SELECT :a || @b || $c AS v", { a = "x", b = "y", ["$c"] = "z" }).v, "xyz")
  tap.equal(conn:row("SELECT ?1 || ?2 AS v", { "p", "q" }).v, "pq")
  tap.equal(conn:row("SELECT :a IS NULL AS v", {}).v, 1)
end)

with_conn("values that do not fit the parameters raise", function(conn)
  tap.raises("has 1 parameter, got 0 values", conn.query, conn, "SELECT ?")
  tap.raises("has 0 parameters, got 1 value$", conn.query, conn, "SELECT 1", 5)
  tap.raises("no parameter 'b'", conn.query, conn, "SELECT :a", { b = 1 })
  tap.raises("no parameter '2'", conn.query, conn, "SELECT ?", { 1, 2 })
  tap.raises("cannot bind a function", conn.query, conn, "SELECT ?", print)
  tap.raises("string expected", earlgrey.blob, 5)
end)

with_conn("values are data, never SQL", function(conn)
  assert(conn:exec("CREATE TABLE t(a)"))
  assert(conn:query("INSERT INTO t VALUES (?)", "'); DROP TABLE t; --"))
  tap.equal(conn:row("SELECT a FROM t").a, "'); DROP TABLE t; --")
end)

-- ---- failures ----

with_conn("failures carry SQLite's message and the name of the extended code", function(conn)
  assert(conn:exec("CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES (1)"))
  tap.fails("UNIQUE constraint failed: t.a", "SQLITE_CONSTRAINT_UNIQUE",
    conn:query("INSERT INTO t VALUES (1)"))
  tap.fails("syntax error", "SQLITE_ERROR", conn:query("SELEC 1"))
  tap.fails("syntax error", "SQLITE_ERROR", conn:rows("SELEC 1"))
end)

with_conn("an iterator raises when a row fails, and the statement can be used again", function(conn)
  local stmt <close> = assert(conn:prepare("SELECT abs(?1) AS v"))
  assert(stmt:bind(math.mininteger))
  tap.raises("integer overflow", function()
    for _ in stmt:rows() do
    end
  end)
  tap.fails("integer overflow", "SQLITE_ERROR", stmt:reset():row())
  tap.equal(assert(stmt:bind(-4)):row().v, 4)
end)

with_conn("a capture that is missing is a failure that names it", function(conn)
  tap.fails("/nonexistent/x%.pcap", "SQLITE_ERROR",
    conn:query("SELECT * FROM netflow_pcap(?)", "/nonexistent/x.pcap"))
end)

-- ---- progress and interrupt ----

local ENDLESS <const> = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

with_conn("the progress function is called while a statement runs and may stop it", function(conn)
  local n = 0
  conn:progress(function()
    n = n + 1
    return n == 3
  end, 5)
  tap.fails("interrupted", "SQLITE_INTERRUPT", conn:query(ENDLESS))
  tap.equal(n, 3)
  conn:progress(nil)
  tap.equal(conn:row("SELECT 1 AS a").a, 1)
end)

with_conn("an error of the progress function stops the statement and is raised", function(conn)
  local thrown = setmetatable({}, { __tostring = function()
    return "mine"
  end })
  conn:progress(function()
    error(thrown)
  end, 1)
  local ok, got = pcall(conn.query, conn, ENDLESS)
  tap.ok(not ok and got == thrown, "the error object itself arrives")
  conn:progress(nil)
  tap.equal(conn:row("SELECT 1 AS a").a, 1)
end)

with_conn("the connection cannot be used inside its own progress function", function(conn)
  conn:progress(function()
    conn:close()
  end, 1)
  tap.raises("inside its own progress function", conn.query, conn, ENDLESS)
  conn:progress(function()
    conn:interrupt()
  end, 1)
  tap.fails("interrupted", "SQLITE_INTERRUPT", conn:query(ENDLESS))
end)

with_conn("progress works in a coroutine too", function(conn)
  local co = coroutine.wrap(function()
    conn:progress(function()
      return true
    end, 1)
    coroutine.yield("first")
    return conn:query(ENDLESS)
  end)
  tap.equal(co(), "first")
  tap.fails("interrupted", "SQLITE_INTERRUPT", co())
end)

with_conn("wrong arguments of progress raise", function(conn)
  tap.raises("function expected", conn.progress, conn, 5)
  tap.raises("milliseconds from 1", conn.progress, conn, print, 0)
end)

-- ---- WHERE terms ----

with_conn("comparisons with literals that the engine settles are not checked again by SQLite", function(conn)
  local function is_checked(term)
    for op in conn:rows("EXPLAIN SELECT 1 FROM netflow('x') WHERE " .. term) do
      if op.opcode == "VColumn" then
        return true
      end
    end
    return false
  end
  for _, term in ipairs { "start_time >= '2007-07-26 22:30'", "'2007' < end_time", "dstport = 53", "bytes < 1000",
    "srcaddr = '10.0.0.1'", "srcaddr BETWEEN '10' AND '11'", "start_ms = 5" } do
    tap.equal(is_checked(term), false, term)
  end
  for _, term in ipairs { "srcaddr = 10", "srcaddr > 'é'", "exporter = '10.0.0.1'", "protocol = 'UDP'", "dstport = '53'",
    "dstport = 53.5", "dstport <> 53", "dstport IS 53", "srcaddr = upper('x')",
    "srcaddr = '10.0.0.1' COLLATE NOCASE", "srcaddr = dstaddr" } do
    tap.equal(is_checked(term), true, term)
  end
end)

-- ---- the rest ----

tap.case("complete tells whether SQL text ends a statement", function()
  tap.equal(earlgrey.complete("SELECT 1"), false)
  tap.equal(earlgrey.complete("SELECT ';"), false)
  tap.equal(earlgrey.complete("SELECT 1; -- done"), true)
end)

tap.case("the clock goes forward, terminals are told", function()
  local a = earlgrey.now_ms()
  tap.equal(math.type(a), "integer")
  tap.ok(earlgrey.now_ms() >= a)
  tap.equal(type(earlgrey.is_terminal("stderr")), "boolean")
  tap.raises("invalid option", earlgrey.is_terminal, "stdlog")
end)

return tap.finish()
