-- Jobs and results in an SQLite file: the contract, and what is this backend's own.

local earlgrey = require "earlgrey"
local store = require "earlgrey.store"
local suite = require "tests.lua.store_suite"
local tap = require "tests.lua.tap"

local folder <close> = tap.folder()
local DIR <const> = folder.path
local FILE <const> = DIR .. "/jobs.db"

suite.run(function()
  return assert(store.open(FILE))
end)

tap.case("a store is one file that any client reads", function()
  local s <close> = assert(store.open("sqlite://" .. FILE))
  local id = assert(s:create_job { type = "ActiveFlow", name = "for reading" })
  assert(s:add_results(id, { { _id = 1, srcAddress = "1.1.1.1", dstAddress = "2.2.2.2", bytes = 5, packets = 1, flows = 1 } }))
  local out = tap.run(("sqlite3 %s \"SELECT name, srcAddress, bytes FROM answer WHERE id = '%s'\""):format(FILE, id))
  tap.equal(out, "for reading|1.1.1.1|5\n")
  tap.equal(tap.run(("sqlite3 %s 'PRAGMA journal_mode'"):format(FILE)), "wal\n")
  assert(s:delete_job(id))
end)

tap.case("other files are refused and stay as they are", function()
  local function refused(path, pattern)
    local before = tap.exists(path) and tap.read_file(path)
    local s, message, code = store.open(path)
    tap.equal(s, nil, path)
    tap.matches(message, pattern, path)
    tap.equal(tap.exists(path) and tap.read_file(path), before, path)
    return code
  end
  os.execute(("sqlite3 %s/other.db 'CREATE TABLE t(a)'"):format(DIR))
  tap.equal(refused(DIR .. "/other.db", "no store of jobs"), store.NOT_A_STORE)
  tap.write_file(DIR .. "/text.db", ("text that is no database\n"):rep(100))
  refused(DIR .. "/text.db", "not a database")
  refused(DIR .. "/no/such/folder.db", "unable to open")
  refused(DIR, "unable to open")
  os.execute(("sqlite3 %s/later.db 'PRAGMA application_id = %d; PRAGMA user_version = 2; CREATE TABLE t(a)'")
    :format(DIR, 0x45474a53))
  tap.equal(refused(DIR .. "/later.db", "of version 2, expected 1"), store.NOT_A_STORE)
  tap.fails("expected a path", store.NOT_A_STORE, store.open "")
  tap.fails("http://%*: expected a path of an SQLite file or mongodb://", store.NOT_A_STORE, store.open "http://*")
end)

tap.case("a password is not shown", function()
  tap.equal(store.shown "mongodb://me:secret@host/db?a=b", "mongodb://me:***@host/db?a=b")
  tap.equal(store.shown "mongodb://host:1/db", "mongodb://host:1/db")
  tap.equal(store.shown "/a/path:x@y", "/a/path:x@y")
end)

tap.case("many processes open a new store at once, and write into it at once", function()
  local path = DIR .. "/shared.db"
  tap.write_file(DIR .. "/writer.lua", [[
    local store = require "earlgrey.store"
    local s <close> = assert(store.open(arg[1]))
    for n = 1, 5 do
      local id = assert(s:create_job { type = "FlowQuery", name = arg[2] })
      assert(s:update_job(id, { status = "Started" }, "Created"))
      for first = 1, 2000, 500 do
        local list = {}
        for i = first, first + 499 do
          list[#list + 1] = { _id = i, srcAddress = "10.0.0.1", dstAddress = "10.0.0.2", bytes = i, packets = 1 }
        end
        assert(s:add_results(id, list))
        assert(s:update_job(id, { progress = first // 20 }, "Started"))
      end
      assert(s:update_job(id, { status = "End" }, "Started"))
    end]])
  local commands = {}
  for i = 1, 8 do
    commands[i] = ("%s %s/writer.lua %s w%d & p%d=$!"):format(tap.program, DIR, path, i, i)
  end
  local waits = {}
  for i = 1, 8 do
    waits[i] = ("wait $p%d || echo bad"):format(i)
  end
  local out, err = tap.run(table.concat(commands, "\n") .. "\n" .. table.concat(waits, "\n"))
  tap.equal(out, "")
  tap.equal(err, "")
  local s <close> = assert(store.open(path))
  tap.equal(s:count_jobs().End, 40)
  for _, d in ipairs(s:jobs()) do
    tap.equal(s:count_results(d._id), 2000)
  end
end)

tap.case("a store that is locked says that it is away, and is none the worse", function()
  local path = DIR .. "/locked.db"
  local s <close> = assert(store.open(path))
  local id = assert(s:create_job { type = "Test", name = "before" })
  do
    local other <close> = assert(earlgrey.open(path))
    assert(other:exec "BEGIN IMMEDIATE")
    s.conn:exec "PRAGMA busy_timeout = 50"
    tap.fails("locked", store.AWAY, s:create_job { type = "Test", name = "during" })
    tap.fails("locked", store.AWAY, s:update_job(id, { progress = 5 }))
    tap.equal(s:job(id).progress, 0) -- readers go on
  end
  tap.equal(s:update_job(id, { progress = 5 }), true)
  tap.equal(#s:jobs(), 1)
end)

tap.case("ids rise, and no two are the same", function()
  local last, seen = "", {}
  for _ = 1, 5000 do
    local id = store.new_id()
    tap.ok(store.is_id(id) and id > last and not seen[id], id)
    last, seen[id] = id, true
  end
end)

return tap.finish()
