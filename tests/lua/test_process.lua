-- require "process" and "files": children, signals, locks, paths.

local files = require "files"
local process = require "process"
local tap = require "tests.lua.tap"

local folder <close> = tap.folder()
local DIR <const> = folder.path

local function shell(command, log)
  return process.spawn { argv = { "/bin/sh", "-c", command }, log = log }
end

-- Until it is so, two seconds at most: what comes of it is for the test to ask.
local function wait_until(is_so)
  for _ = 1, 400 do
    if is_so() then
      return
    end
    process.sleep(5)
  end
end

tap.case("a child's end is told once it is there, and again", function()
  local child = assert(shell "sleep 0.1; exit 7")
  tap.equal(child:poll(), nil)
  tap.ok(child:pid() > 1)
  local how, code = child:wait()
  tap.equal(how, "exit")
  tap.equal(code, 7)
  how, code = child:poll()
  tap.equal(how, "exit")
  tap.equal(code, 7)
  tap.equal(child:kill "TERM", false)
end)

tap.case("arguments reach the child as they are, without a shell", function()
  local log = DIR .. "/arguments.log"
  local odd = { "/usr/bin/printf", "[%s]", "a b", "$HOME", "'; exit 1", "*", "", "\n" }
  local how, code = assert(process.spawn { argv = odd, log = log }):wait()
  tap.equal(how .. code, "exit0")
  tap.equal(tap.read_file(log), "[a b][$HOME]['; exit 1][*][][\n]")
end)

tap.case("the environment is ours, with what is told", function()
  local log = DIR .. "/environment.log"
  assert(process.spawn {
    argv = { "/bin/sh", "-c", 'echo "$A|$PATH"' }, environment = { "A=x=y", "PATH=/nowhere" }, log = log,
  }):wait()
  tap.equal(tap.read_file(log), "x=y|/nowhere\n")
end)

tap.case("a signal reaches the whole group, and is told", function()
  local child = assert(shell("sleep 60 & echo $!; wait", DIR .. "/group.log"))
  while tap.read_file(DIR .. "/group.log") == "" do
    process.sleep(5)
  end
  local grandchild = tonumber(tap.read_file(DIR .. "/group.log"))
  tap.ok(process.start_of(grandchild))
  tap.equal(child:kill "TERM", true)
  local how, signal = child:wait()
  tap.equal(how, "signal")
  tap.equal(signal, 15)
  wait_until(function()
    return not process.start_of(grandchild)
  end)
  tap.equal(process.start_of(grandchild), nil)
end)

tap.case("a child that does not end is waited for no longer than told", function()
  local child = assert(shell "exec sleep 60")
  tap.equal(child:wait(30), nil)
  tap.equal(child:kill "KILL", true)
  tap.equal(select(2, child:wait()), 9)
end)

tap.case("the log is locked as long as the child lives, and only so long", function()
  local log = DIR .. "/locked.log"
  tap.equal(files.is_locked(log), false)
  local child = assert(shell("sleep 60", log))
  tap.equal(files.is_locked(log), true)
  tap.fails("locked%.log: Resource temporarily unavailable", "EAGAIN", shell("true", log))
  child:kill "KILL"
  child:wait()
  -- The shell has ended; what it ran was killed, too, but may take a moment more.
  wait_until(function()
    return not files.is_locked(log)
  end)
  tap.equal(files.is_locked(log), false)
end)

tap.case("a process is known by its number and its beginning", function()
  local child = assert(shell "exec sleep 60")
  local began = process.start_of(child:pid())
  tap.equal(math.type(began), "integer")
  tap.ok(began >= process.start_of(process.id()))
  tap.equal(process.kill(child:pid(), began + 1, "KILL"), false)
  tap.equal(child:poll(), nil)
  tap.equal(process.kill(child:pid(), began, "KILL"), true)
  while process.start_of(child:pid()) do -- gone, though nobody has waited for it
    process.sleep(1)
  end
  tap.equal(process.kill(child:pid(), began, "KILL"), false)
  tap.equal(select(2, child:wait()), 9)
end)

tap.case("what cannot be started is told", function()
  tap.fails("/no/such/program: cannot be started: No such file", "ENOENT", process.spawn { argv = { "/no/such/program" } })
  tap.fails("/no/such/folder/log: No such file", "ENOENT", shell("true", "/no/such/folder/log"))
  tap.raises("argv is empty", process.spawn, { argv = {} })
  tap.raises("argument 2 is no text", process.spawn, { argv = { "/bin/true", "a\0b" } })
  tap.raises("argument 1 is no text", process.spawn, { argv = { 7 } })
  tap.raises("a signal expected", process.kill, process.id(), 1, "NONSENSE")
  tap.raises("no process of this number", process.kill, 0, 1, "KILL")
  tap.raises("no process of this number", process.kill, -1, 1, "KILL")
end)

tap.case("signals are read, and are as before once closed", function()
  do
    local signals <close> = assert(process.signals("TERM", "CHLD"))
    tap.equal(signals:next(), nil)
    os.execute("kill -TERM " .. process.id())
    local seen = {}
    for name in function() return signals:next() end do
      seen[name] = true
    end
    tap.ok(seen.TERM)
    -- A child does not inherit that they are blocked.
    local child = assert(shell "exec sleep 60")
    child:kill "TERM"
    tap.equal(select(2, child:wait()), 15)
    tap.equal(signals:next(), "CHLD")
    signals:close()
    tap.raises("closed signals", signals.next, signals)
  end
  local _, _, code = tap.run(tap.program .. [[ -e '
    local s = require("process").signals("TERM")
    s:close()
    os.execute("kill -TERM " .. require("process").id())']])
  tap.equal(code, 128 + 15)
end)

tap.case("real paths, kinds and folders", function()
  os.execute(("mkdir %s/a; ln -s a %s/link; : > %s/a/file"):format(DIR, DIR, DIR))
  local real = files.real(DIR)
  tap.equal(files.real(DIR .. "/link/../link/file"), real .. "/a/file")
  tap.fails("nothing: No such file", "ENOENT", files.real(DIR .. "/nothing"))
  tap.equal(files.identity(DIR .. "/link/file"), files.identity(DIR .. "/a/file"))
  tap.ok(files.identity(DIR .. "/link") ~= files.identity(DIR .. "/a/file"))
  tap.fails("No such file", "ENOENT", files.identity(DIR .. "/nothing"))
  tap.equal(files.kind(DIR .. "/link"), "folder")
  tap.equal(files.kind(DIR .. "/a/file"), "file")
  tap.equal(files.kind "/dev/null", "other")
  tap.fails("No such file", "ENOENT", files.kind(DIR .. "/nothing"))
  tap.equal(files.make_folder(DIR .. "/new"), true)
  tap.equal(files.make_folder(DIR .. "/new"), true)
  tap.fails("cannot make a folder", "ENOENT", files.make_folder(DIR .. "/no/where"))
  tap.raises("zero byte", files.real, "a\0b")
end)

tap.case("a lock is one's own until it is closed or collected", function()
  local path = DIR .. "/lock"
  do
    local lock <close> = assert(files.lock(path))
    tap.equal(files.is_locked(path), true)
    tap.fails("cannot be locked", "EAGAIN", files.lock(path))
    tap.ok(lock)
  end
  tap.equal(files.is_locked(path), false)
  assert(files.lock(path))
  collectgarbage()
  tap.equal(files.is_locked(path), false)
end)

return tap.finish()
