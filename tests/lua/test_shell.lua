-- The program earlgrey-lua: options, scripts, exit codes, Ctrl-C, and the prompt,
-- both from a pipe and on a pseudo-terminal.

local shell = require "earlgrey.shell"
local tap = require "tests.lua.tap"

local folder <close> = tap.folder()
local DIR <const> = folder.path

local function earlgrey(args)
  return tap.run(tap.program .. " " .. args)
end

-- Feeds text to the prompt through a pipe.
local function prompt(text)
  tap.write_file(DIR .. "/input", text)
  return earlgrey("< " .. DIR .. "/input")
end

-- ---- options and scripts ----

tap.case("-v, -h and their long forms show version and help", function()
  for _, option in ipairs { "-v", "--version" } do
    local out, err, code = earlgrey(option)
    tap.matches(out, "^earlgrey%-lua %d+%.%d+%.%d+ %(Lua 5%.4%.%d+, SQLite 3%.[%d.]+%)\n$")
    tap.equal(err, "")
    tap.equal(code, 0)
  end
  for _, option in ipairs { "-h", "--help" } do
    tap.matches((earlgrey(option)), "^usage: earlgrey%-lua")
  end
end)

tap.case("wrong options give one line and exit code 2", function()
  for args, pattern in pairs { ["-x"] = "'%-x' is no option", ["-e"] = "'%-e' needs a piece of Lua" } do
    local out, err, code = earlgrey(args)
    tap.equal(out, "")
    tap.matches(err, "^earlgrey%-lua: [^\n]*" .. pattern .. "[^\n]*\n$")
    tap.equal(code, 2)
  end
end)

tap.case("-e runs pieces of Lua in order, before the script", function()
  tap.write_file(DIR .. "/s.lua", "print('script', x)")
  tap.equal((earlgrey("-e 'x = 1' -e'x = x + 1' " .. DIR .. "/s.lua")), "script\t2\n")
  local _, err, code = earlgrey("-e 'x ='")
  tap.matches(err, "^earlgrey%-lua: %-e:1: ")
  tap.equal(code, 1)
end)

tap.case("a script gets its arguments in arg and ..., and its result is the exit code", function()
  tap.write_file(DIR .. "/a.lua", "print(arg[0], #arg, arg[1], arg[2], select('#', ...), (...))\nreturn 3")
  local out, _, code = earlgrey(DIR .. "/a.lua one -v")
  tap.equal(out, DIR .. "/a.lua\t2\tone\t-v\t2\tone\n")
  tap.equal(code, 3)
  out, _, code = earlgrey("- x < " .. DIR .. "/a.lua")
  tap.equal(out, "-\t1\tx\tnil\t1\tx\n")
  tap.equal(code, 3)
  tap.equal(select(3, earlgrey("-- " .. DIR .. "/a.lua")), 3)
end)

tap.case("a script that fails gives its message with a traceback and exit code 1", function()
  tap.write_file(DIR .. "/f.lua", "local function f() error('boom') end\nf()\n")
  local out, err, code = earlgrey(DIR .. "/f.lua")
  tap.equal(out, "")
  tap.matches(err, "^earlgrey%-lua: .*f%.lua:1: boom\nstack traceback:\n")
  tap.equal(code, 1)
  _, err, code = earlgrey(DIR .. "/missing.lua")
  tap.matches(err, "cannot open .*missing%.lua")
  tap.equal(code, 1)
  _, err, code = earlgrey("-e 'error(setmetatable({}, {__tostring = function() return \"own\" end}))'")
  tap.equal(err, "earlgrey-lua: own\n")
  tap.equal(code, 1)
end)

tap.case("bytecode is refused", function()
  tap.write_file(DIR .. "/b.luac", string.dump(function() end))
  local _, err, code = earlgrey(DIR .. "/b.luac")
  tap.matches(err, "binary chunk")
  tap.equal(code, 1)
end)

tap.case("the modules are found from any folder and cannot be shadowed by one", function()
  tap.run("mkdir -p " .. DIR .. "/earlgrey")
  tap.write_file(DIR .. "/earlgrey/table.lua", "error('shadowed')")
  local out, err = tap.run("cd " .. DIR .. " && " .. tap.program
    .. " -e 'for _, m in ipairs{\"args\",\"csv\",\"job\",\"json\",\"progress\",\"result\",\"shell\",\"table\",\"time\"} do assert(require(\"earlgrey.\"..m)) end print(require(\"json\").encode{1})'")
  tap.equal(err, "")
  tap.equal(out, "[1]\n")
end)

tap.case("output that cannot be written is a failure, a closed pipe ends quietly", function()
  local _, err, code = earlgrey("-e 'print(1)' >/dev/full")
  tap.matches(err, "cannot write to standard output")
  tap.equal(code, 1)
  local out, quiet = tap.run(tap.program .. " -e 'for i = 1, 1e6 do print(i) end' | head -n 1")
  tap.equal(out, "1\n")
  tap.equal(quiet, "")
end)

-- ---- Ctrl-C ----

-- Runs a chunk, sends SIGINT once it has written "ready"; gives its exit code
-- (-9 where it had to be killed) and messages. SIGINT is made to count even where
-- the tests run in the background of a shell that has it ignored.
local INTERRUPT <const> = [[
import signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                     preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
p.stdout.readline()
time.sleep(0.05)
p.send_signal(signal.SIGINT)
try:
    out, err = p.communicate(timeout=20)
except subprocess.TimeoutExpired:
    p.kill()
    out, err = p.communicate()
print(p.returncode, err.decode().strip())
]]

local PYTHON <const> = "/usr/bin/python3"
local has_python = tap.exists(PYTHON)

local function interrupt_case(claim, chunk)
  if not has_python then
    return tap.skip(claim, "no " .. PYTHON)
  end
  tap.case(claim, function()
    tap.write_file(DIR .. "/interrupt.py", INTERRUPT)
    local out = tap.run(table.concat({ PYTHON, DIR .. "/interrupt.py", tap.program, "-e",
      tap.quote("print('ready') io.stdout:flush() " .. chunk) }, " "))
    local code, err = out:match("^(%-?%d+) (.*)\n$")
    tap.ok(code, "no answer: " .. out)
    tap.equal(code, "-2", "ended by SIGINT")
    tap.equal(err, "earlgrey-lua: interrupted")
  end)
end

interrupt_case("Ctrl-C stops Lua", "while true do end")
interrupt_case("Ctrl-C stops a coroutine", "coroutine.wrap(function() while true do end end)()")
interrupt_case("Ctrl-C stops nested coroutines",
  [[local co = coroutine.create(function() coroutine.wrap(function() while true do end end)() end)
    print(coroutine.resume(co)) while true do end]])
interrupt_case("Ctrl-C stops a running SQL statement", [[
  local conn = earlgrey.open()
  conn:query "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"]])
interrupt_case("Ctrl-C stops waiting for input", "io.read()")

-- ---- telling Lua from SQL ----

tap.case("texts are told apart as Lua, SQL, incomplete and wrong", function()
  local kinds = {
    ["1 + 1"] = "lua", ["x = 5"] = "lua", ["for i = 1, 2 do"] = "more", ["print("] = "more",
    ["SELECT 1;"] = "sql", ["select * from t;"] = "sql", ["SELECT 1"] = "more", ["SELECT ';'"] = "more",
    ["  with a as (select 1) select * from a;"] = "sql", ["BEGIN;"] = "sql", ["commit ;"] = "sql",
    ["COMMIT"] = "more", ["VACUUM;"] = "sql", ["select(2, 'a', 'b')"] = "lua", ["select(2,"] = "more",
    ["SELECT ("] = "more", ["update = 5"] = "lua", ["values = {"] = "more", ["local t = {"] = "more",
    ["x = = 1"] = "wrong", ["selectx 1;"] = "wrong", ["explain query plan select 1;"] = "sql",
    ["create trigger t after insert on a begin select 1;"] = "more",
    ["create trigger t after insert on a begin select 1; end;"] = "sql",
    ["PRAGMA user_version;"] = "sql", ["values (1), (2);"] = "sql", ["replace into t values (1);"] = "sql",
    ["[["] = "more", ["SELECT\n1\n;"] = "sql", ["analyze;"] = "sql", ["insert into t values ('"] = "more",
  }
  for text, kind in pairs(kinds) do
    tap.equal((shell.classify(text)), kind, text)
  end
end)

tap.case("completion offers tables, columns, functions, globals and fields", function()
  local lib = require "earlgrey"
  local db <close> = assert(lib.open())
  assert(db:exec("CREATE TABLE flowtab(alpha, beta)"))
  local function offers(word, before)
    return " " .. table.concat(shell.complete(db, word, before), " ") .. " "
  end
  tap.matches(offers("flow", "SELECT * FROM "), " flowtab ")
  tap.matches(offers("al", "select "), " alpha ")
  tap.matches(offers("f.be", "select * from flowtab f where "), " f.beta ")
  tap.matches(offers("ip4_n", "select "), " ip4_num%( ")
  tap.matches(offers("netflow_ac", "SELECT * FROM "), " netflow_active ")
  tap.matches(offers("srca", "SELECT * FROM netflow_pcap('x') WHERE "), " srcaddr ")
  tap.matches(offers("string.form", "x = "), " string.format ")
  tap.matches(offers("earlgrey.op", ""), " earlgrey.open ")
  tap.matches(offers("SEL", ""), " SELECT ")
  tap.matches(offers("sel", ""), " select ")
  tap.matches(offers(".ti", ""), " .timer ")
  tap.equal(offers("nosuch.thing.x", ""), "  ")
  _G.db_test = db
  tap.matches(offers("db_test:qu", ""), " db_test:query ")
  _G.db_test = nil
end)

-- ---- the prompt, from a pipe ----

tap.case("the prompt evaluates Lua and SQL, without prompting a pipe", function()
  local out, err, code = prompt [[
1 + 1, "x"
SELECT 1 AS one,
  'é' AS two;
for i = 1, 2 do
  print(i)
end
x = 7
x
nil
]]
  tap.equal(out, '2\tx\none  two\n---  ---\n  1  é\n1\n2\n7\nnil\n')
  tap.equal(err, "")
  tap.equal(code, 0)
end)

tap.case("db is the connection of the prompt, results show as tables and CSV", function()
  local out, err = prompt [[
CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'x'), (22, NULL);
BEGIN;
DELETE FROM t WHERE a = 1;
ROLLBACK;
r = db:query("SELECT * FROM t")
r
r:csv()
#r
]]
  tap.equal(err, "")
  tap.equal(out, " a  b\n--  -\n 1  x\n22\na,b\r\n1,x\r\n22,\r\n2\n")
end)

tap.case("mistakes are told, the next input runs, the exit code is 1", function()
  local out, err, code = prompt [[
SELECT * FROM nosuch;
x = = 1
error("boo")
.bogus
nosuch()
db = nil
SELECT 1;
print("still here")
]]
  tap.equal(out, "still here\n")
  tap.equal(code, 1)
  tap.matches(err, "no such table: nosuch\n")
  tap.matches(err, "prompt:1: unexpected symbol near '='\n")
  tap.matches(err, "prompt:1: boo\n")
  tap.matches(err, "unknown command '.bogus'")
  tap.matches(err, "attempt to call a nil value")
  tap.matches(err, "there is no connection")
  tap.ok(not err:find("shell.lua"), "no traceback of the prompt itself: " .. err)
end)

tap.case("the end of input ends the last statement", function()
  tap.equal((prompt "SELECT 5 AS five"), "five\n----\n   5\n")
  local _, err, code = prompt "for i = 1, 2 do"
  tap.matches(err, "expected near <eof>")
  tap.equal(code, 1)
end)

tap.case("dot commands: .help, .tables, .timer, .quit", function()
  local out, err, code = prompt [[
.help
CREATE TABLE mine(a);
.tables
.timer on
SELECT 1;
.timer off
.quit
print("not reached")
]]
  tap.equal(err, "")
  tap.equal(code, 0)
  tap.matches(out, "%.timer on|off")
  tap.matches(out, "\nmine\n")
  tap.matches(out, "\nnetflow_pcap\n")
  tap.matches(out, "\ntime %d+%.%d%d%d s\n$")
end)

tap.case("-i shows the prompt after a script and keeps its globals", function()
  tap.write_file(DIR .. "/g.lua", "x = 41")
  tap.write_file(DIR .. "/input", "x + 1\n")
  tap.equal((earlgrey("-i " .. DIR .. "/g.lua < " .. DIR .. "/input")), "42\n")
end)

-- ---- the prompt, on a terminal ----

-- Types the first part of each step and waits for the second to appear. After a
-- prompt it waits until the terminal edits; a Ctrl-C is repeated, because one that
-- comes just before the program waits for a key has nothing to interrupt.
local TERMINAL <const> = [[
import os, pty, select, sys, termios, time
steps = eval(open(sys.argv[1]).read())
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
out = b""
for send, until in steps:
    start, end = len(out), time.monotonic() + 20
    time.sleep(0.05)
    os.write(fd, send)
    while until not in out[start:]:
        if time.monotonic() > end:
            print("TIMEOUT waiting for", until, "after", send)
            os.kill(pid, 9)
            break
        if not select.select([fd], [], [], 2)[0]:
            if send == b"\x03":
                os.write(fd, send)
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        if not data:
            break
        out += data
    if until.endswith(b"> "):
        while termios.tcgetattr(fd)[3] & termios.ICANON and time.monotonic() < end:
            time.sleep(0.005)
while True:
    try:
        if not os.read(fd, 65536): break
    except OSError:
        break
print("STATUS", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
sys.stdout.flush()
os.write(1, out)
]]

local function terminal(steps)
  tap.write_file(DIR .. "/terminal.py", TERMINAL)
  tap.write_file(DIR .. "/steps", steps)
  return (tap.run(("TERM=xterm LC_ALL=C.UTF-8 EARLGREY_HISTORY=%s/history %s %s/terminal.py %s/steps %s"):format(
    DIR, PYTHON, DIR, DIR, tap.program)))
end

local function terminal_case(claim, f)
  if has_python then
    tap.case(claim, f)
  else
    tap.skip(claim, "no " .. PYTHON)
  end
end

terminal_case("on a terminal: prompt, completion, Ctrl-C, continuation, Ctrl-D", function()
  local out = terminal [=[[
    (b"", b"earlgrey> "),
    (b"21 * 2\r", b"42\r\nearlgrey> "),
    (b"CREATE TABLE flowtab(alpha, beta);\r", b"earlgrey> "),
    (b"SELECT * FROM flowt\t;\r", b"alpha  beta\r\n-----  ----\r\nearlgrey> "),
    (b"string.rep(\"ab\", 2)\r", b"abab\r\nearlgrey> "),
    (b"earlgrey.vers\t\r", b"earlgrey> "),
    (b"half a line", b"half a line"),
    (b"\x03", b"earlgrey> "),
    (b"SELECT 7\r", b"      ...> "),
    (b"AS seven;\r", b"    7\r\nearlgrey> "),
    (b"while true do end\r", b"\n"),
    (b"\x03", b"interrupted\r\nearlgrey> "),
    (b"\"\xc3\xa9\"\r", b"\xc3\xa9\r\nearlgrey> "),
    (b"\x04", b"\n"),
  ]]=]
  tap.ok(not out:find("TIMEOUT"), out)
  tap.matches(out, "STATUS 0\n")
  tap.matches(out, "Earlgrey " .. require("earlgrey").version:gsub("%.", "%%."))
end)

terminal_case("history is kept from one session to the next", function()
  local out = terminal [=[[
    (b"", b"earlgrey> "),
    (b"6 * 111\r", b"666\r\nearlgrey> "),
    (b".quit\r", b"\n"),
  ]]=]
  tap.matches(out, "STATUS 0\n")
  tap.matches(tap.read_file(DIR .. "/history"), "6\\040%*\\040111\n%.quit\n$")
  out = terminal [=[[
    (b"", b"earlgrey> "),
    (b"\x1b[A\x1b[A\r", b"666\r\nearlgrey> "),
    (b".quit\r", b"\n"),
  ]]=]
  tap.ok(not out:find("TIMEOUT"), out)
  local mode = tap.run("stat -c %a " .. DIR .. "/history")
  tap.equal(mode, "600\n", "only its owner may read it")
end)

return tap.finish()
