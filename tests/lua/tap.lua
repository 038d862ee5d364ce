-- The harness of the Lua tests: cases that print "ok - claim", checks that raise,
-- and a look for handles that a case left open.
--
--   tap.case(claim, f)   runs f; "not ok" where it raises or leaks
--   tap.skip(claim, why)
--   return tap.finish()  the exit code

local earlgrey = require "earlgrey"

local M = { n_failed = 0, n_cases = 0 }

-- ---- checks ----

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

function M.equal(got, expected, what)
  if got ~= expected or math.type(got) ~= math.type(expected) then
    error(("%s: got %s, expected %s"):format(what or "value", show(got), show(expected)), 2)
  end
end

function M.ok(value, what)
  if not value then
    error(what or "not true", 2)
  end
  return value
end

function M.matches(text, pattern, what)
  if type(text) ~= "string" or not text:find(pattern) then
    error(("%s: %s does not match %s"):format(what or "text", show(text), show(pattern)), 2)
  end
end

-- f(...) must raise an error whose text has `pattern`.
function M.raises(pattern, f, ...)
  local ok, message = pcall(f, ...)
  if ok then
    error(("no error, expected one like %s"):format(show(pattern)), 2)
  end
  M.matches(tostring(message), pattern, "error")
end

-- The values must be nil, a message with `pattern`, and `code`.
function M.fails(pattern, code, ...)
  local value, message, got = ...
  if value ~= nil then
    error(("got %s, expected a failure like %s"):format(show(value), show(pattern)), 2)
  end
  M.matches(message, pattern, "message")
  M.equal(got, code, "code")
end

-- ---- cases ----

local function report(ok, claim, why)
  print(ok and "ok - " .. claim or "not ok - " .. claim .. ": " .. tostring(why):gsub("\n", "\n# "))
end

function M.case(claim, f)
  M.n_cases = M.n_cases + 1
  local ok, why = xpcall(f, debug.traceback)
  collectgarbage()
  collectgarbage()
  local n_conns, n_stmts = earlgrey.handles()
  if ok and n_conns + n_stmts > 0 then
    ok, why = false, ("left open: %d connections, %d statements"):format(n_conns, n_stmts)
  end
  if not ok then
    M.n_failed = M.n_failed + 1
  end
  report(ok, claim, why)
end

function M.skip(claim, why)
  print(("ok - %s # SKIP %s"):format(claim, why))
end

function M.finish()
  print(("1..%d"):format(M.n_cases))
  return M.n_failed > 0 and 1 or 0
end

-- ---- files and programs ----

function M.quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

function M.read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

function M.write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

function M.exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

-- What a shell command writes to standard output and error, and its exit code
-- (128 + the signal that ended it).
function M.run(command)
  local error_path = os.tmpname()
  local pipe = assert(io.popen(("{ %s\n} 2>%s"):format(command, M.quote(error_path))))
  local out = pipe:read("a")
  local _, how, code = pipe:close()
  local err = M.read_file(error_path)
  os.remove(error_path)
  return out, err, how == "signal" and 128 + code or code
end

-- The first output line of a command.
local function line_of(command)
  return (M.run(command):gsub("\n.*$", ""))
end

-- The program under test: what runs this test.
M.program = M.quote(line_of("realpath -- " .. M.quote(arg[-1])))

-- A new empty folder; removed when the variable that holds it is closed.
function M.folder()
  local path = line_of("mktemp -d")
  return setmetatable({ path = path }, {
    __close = function()
      os.execute("rm -rf -- " .. M.quote(path))
    end,
    __tostring = function()
      return path
    end,
  })
end

return M
