-- Jobs and results in MongoDB: the contract, and what this backend promises of a server
-- that goes away and comes back.

local earlgrey = require "earlgrey"
local store = require "earlgrey.store"
local suite = require "tests.lua.store_suite"
local tap = require "tests.lua.tap"

local found, mongo = pcall(require, "mongo")
if not found then
  tap.skip("a job store in MongoDB", mongo)
  return tap.finish()
end
local server = require "tests.lua.mongo_server"
local s <close>, why = server.start()
if not s then
  tap.skip("a job store in MongoDB", why)
  return tap.finish()
end
print("# against " .. s.name)

local DB <const> = server.database_name()
local URL <const> = s:database(DB)

suite.run(function()
  return assert(store.open(URL))
end)

local function result(i)
  return { _id = i, srcAddress = "10.0.0.1", dstAddress = "10.0.0.2", srcPort = 53, dstPort = 65535, protocol = "UDP",
    time = "2007-07-26-22:15:38", duration = 120, bytes = i, packets = 1 }
end

local function results(first, last)
  local list = {}
  for i = first, last do
    list[#list + 1] = result(i)
  end
  return list
end

-- All of 1..n are there, each once.
local function complete(st, id, n)
  tap.equal(st:count_results(id), n)
  local list = assert(st:results(id, 0, n + 1))
  tap.equal(#list, n)
  for i, document in ipairs(list) do
    tap.equal(document._id, i)
    tap.equal(document.bytes, i)
  end
end

tap.case("other clients find jobs and results where the original had them", function()
  local st <close> = assert(store.open(URL))
  local client <close> = assert(mongo.open(s.uri))
  local id = assert(st:create_job { type = "FlowQuery", name = "n", params = { dst_port = 53 } })
  assert(st:add_results(id, results(1, 3)))
  local job = assert(client:collection(DB, "Jobs"):find_one { _id = mongo.objectid(id) })
  tap.equal(job.status, "Created")
  tap.equal(job.params.dst_port, 53)
  tap.equal(client:collection(DB, "FlowQuery-" .. id):count(), 3)
  tap.equal(client:collection(DB, "FlowQuery-" .. id):find_one({ _id = 2 }).time, "2007-07-26-22:15:38")
  tap.equal(st:delete_job(id), true)
  tap.equal(client:collection(DB, "FlowQuery-" .. id):count(), 0)
end)

tap.case("a URL without a database means EarlGrey, one that is wrong is told without its password", function()
  do
    local st <close> = assert(store.open(s.uri))
    tap.equal(st.database, "EarlGrey")
  end
  local _, message, code = store.open "mongodb://me:secret@127.0.0.1:1/db?serverSelectionTimeoutMS=50"
  tap.matches(message, "^mongodb://me:%*%*%*@127%.0%.0%.1:1/db.*: no server answers: .*refused")
  tap.equal(code, store.AWAY)
  _, message, code = store.open "mongodb://127.0.0.1/?nonsense=1"
  tap.matches(message, 'nonsense"$')
  tap.equal(code, "MONGO_URI")
end)

-- The stand-in's speed says nothing.
if not s.is_standin then
  tap.case("the results of a job of usual size are stored; how fast is told", function()
    local st <close> = assert(store.open(URL))
    for _, size in ipairs { 2000, 22500 } do
      local id = assert(st:create_job { type = "FlowQuery", name = "n" })
      local started_ms = earlgrey.now_ms()
      for first = 1, 22500, size do
        assert(st:add_results(id, results(first, math.min(first + size - 1, 22500))))
      end
      local ms = earlgrey.now_ms() - started_ms
      print(("# 22,500 results in batches of %d: %d ms, %d documents a second"):format(size, ms, 22500 * 1000 // ms))
      tap.equal(st:count_results(id), 22500)
      tap.equal(st:delete_job(id), true)
    end
  end)
end

-- ---- networks: on the stand-in, which can be told to fail ----

local standin <close> = assert(server.start "")

-- A case with an empty store; fail(command, fault [, times]) is the stand-in's command.
local function with_faults(claim, f)
  tap.case(claim, function()
    local control <close> = assert(mongo.open(standin.uri))
    local st <close> = assert(store.open(standin:database(server.database_name())))
    f(st, function(on, fault, times)
      assert(control:command("admin", { { "standin", 1 }, { "on", on }, { "fault", fault }, { "times", times or 1 } }))
    end)
  end)
end

for _, fault in ipairs { "drop", "lose", 11600 } do
  with_faults(("results that end in '%s' are there once"):format(fault), function(st, fail)
    local id = assert(st:create_job { type = "FlowQuery", name = "n" })
    fail("insert", fault, 3)
    tap.equal(st:add_results(id, results(1, 500)), 500)
    tap.equal(st:add_results(id, results(501, 600)), 100)
    complete(st, id, 600)
  end)
end

with_faults("a job is made once though its reply was lost", function(st, fail)
  for _, fault in ipairs { "drop", "lose" } do
    fail("insert", fault)
    local id = assert(st:create_job { type = "Test", name = fault })
    tap.equal(st:job(id).name, fault)
  end
  tap.equal(#st:jobs(), 2)
end)

with_faults("an update that asks for a status is told as made exactly where it was", function(st, fail)
  for _, fault in ipairs { "drop", "lose" } do
    local id = assert(st:create_job { type = "Test", name = fault })
    fail("update", fault)
    tap.equal(st:update_job(id, { status = "Started", pid = 7 }, "Created"), true, fault)
    tap.equal(st:job(id).pid, 7)
    fail("update", fault)
    tap.equal(st:update_job(id, { status = "Started", pid = 8 }, "Created"), false, fault)
    tap.equal(st:job(id).pid, 7)
    fail("update", fault)
    tap.equal(st:update_job(id, { progress = 50 }), true, fault)
  end
end)

with_faults("a job is deleted once though the reply was lost", function(st, fail)
  for _, fault in ipairs { "drop", "lose" } do
    local id = assert(st:create_job { type = "Test", name = fault })
    assert(st:add_results(id, results(1, 3)))
    fail("delete", fault)
    tap.equal(st:delete_job(id, "Started"), false, fault)
    fail("delete", fault)
    tap.equal(st:delete_job(id, "Created"), true, fault)
    tap.equal(st:job(id), nil)
  end
end)

with_faults("reading goes on over a lost connection", function(st, fail)
  local id = assert(st:create_job { type = "FlowQuery", name = "n" })
  assert(st:add_results(id, results(1, 20)))
  for _, command in ipairs { "find", "aggregate", "count", "drop" } do
    fail(command, "drop")
    tap.equal(#assert(st:jobs()), 1, command)
    fail(command, "drop")
    tap.equal(assert(st:count_jobs()).Created, 1, command)
    fail(command, "drop")
    complete(st, id, 20)
  end
  fail("drop", "lose")
  tap.equal(st:drop_results(id), 20)
  tap.equal(st:count_results(id), 0)
end)

with_faults("what a server refuses is a failure at once, and nothing is hidden", function(st, fail)
  local id = assert(st:create_job { type = "FlowQuery", name = "n" })
  fail("insert", 13)
  tap.fails("made for a test", "MONGO_SERVER", st:add_results(id, results(1, 3)))
  fail("update", 13)
  tap.fails("made for a test", "MONGO_SERVER", st:update_job(id, { progress = 1 }, "Created"))
  fail("find", 13)
  tap.fails("made for a test", "MONGO_SERVER", st:jobs())
  tap.equal(st:count_results(id), 0)
end)

tap.case("where the server stays away, calls end with that, and the store is none the worse", function()
  local st <close> = assert(store.open(standin:database "jobs" .. "?serverSelectionTimeoutMS=50"))
  local id = assert(st:create_job { type = "FlowQuery", name = "n" })
  assert(st:add_results(id, results(1, 10)))
  st.results_patience_ms = 200
  standin:kill()
  tap.fails("", store.AWAY, st:add_results(id, results(11, 20)))
  tap.fails("no server answers", store.AWAY, st:add_results(id, results(11, 20)))
  tap.fails("", store.AWAY, st:job(id))
  tap.fails("", store.AWAY, st:jobs())
  tap.fails("", store.AWAY, st:count_jobs())
  tap.fails("", store.AWAY, st:update_job(id, { progress = 5 }, "Created"))
  tap.fails("", store.AWAY, st:delete_job(id))
  tap.fails("", store.AWAY, st:results(id))
  tap.fails("", store.AWAY, st:create_job { type = "Test", name = "n" })
  standin:restart()
  tap.equal(st:add_results(id, results(11, 20)), 10)
  complete(st, id, 20)
end)

-- ---- the server itself: killed and stopped in the middle of inserts ----

local N_TIMES <const> = s.is_own and not s.is_standin and 10 or 4

-- A process that adds `n` results in 40 batches and notes how far it is.
local WRITER <const> = [[
  local store = require "earlgrey.store"
  local url, id, n, note = arg[1], arg[2], tonumber(arg[3]), assert(io.open(arg[4], "w"))
  local st <close> = assert(store.open(url))
  local size = n // 40
  for first = 1, n, size do
    local list = {}
    for i = first, first + size - 1 do
      list[#list + 1] = { _id = i, srcAddress = "10.0.0.1", dstAddress = "10.0.0.2", bytes = i, packets = 1 }
    end
    assert(st:add_results(id, list))
    note:write(first, "\n")
    note:flush()
  end
  note:write "done\n"
]]

-- Starts it; the function given back waits until it has noted k batches (or its end).
local function start_writer(folder, url, id, n)
  tap.write_file(folder.path .. "/writer.lua", WRITER)
  local note = folder.path .. "/note"
  tap.write_file(note, "")
  tap.write_file(folder.path .. "/log", "")
  os.execute(("%s %s/writer.lua '%s' %s %d %s > %s/log 2>&1 &"):format(tap.program, folder.path, url, id, n, note, folder.path))
  return function(k)
    local give_up_ms = earlgrey.now_ms() + 120000
    while earlgrey.now_ms() < give_up_ms do
      local text = tap.read_file(note)
      if text:find "done" then
        return false
      elseif k and select(2, text:gsub("\n", "")) >= k then
        return true
      elseif tap.read_file(folder.path .. "/log") ~= "" then
        error("the writer failed: " .. tap.read_file(folder.path .. "/log"), 0)
      end
      mongo.sleep(2)
    end
    error("the writer does not go on", 0)
  end
end

-- Where the server is not ours to stop, the stand-in is.
local own = s.is_own and s or standin
local OWN_URL <const> = own:database(server.database_name())

local function disturbed(claim, options, n_times, disturb)
  tap.case(claim, function()
    local folder <close> = tap.folder()
    local n, id = own.is_standin and 4000 or 20000, nil
    do
      local st <close> = assert(store.open(OWN_URL))
      id = assert(st:create_job { type = "FlowQuery", name = claim })
    end
    local wait = start_writer(folder, OWN_URL .. options, id, n)
    local n_disturbed = 0
    for k = 1, n_times do
      if not wait(k * 36 // n_times) then
        break
      end
      disturb(k)
      n_disturbed = n_disturbed + 1
    end
    tap.equal(n_disturbed, n_times)
    while wait() do
    end
    local st <close> = assert(store.open(OWN_URL))
    complete(st, id, n)
    tap.equal(st:delete_job(id), true)
  end)
end

disturbed("kill -9 of the server, again and again in the middle of a job, loses and doubles nothing", "", N_TIMES, function(k)
  mongo.sleep(k * 7 % 20)
  own:kill()
  mongo.sleep(100)
  own:restart()
end)

disturbed("a server that stops answering until its time is over loses and doubles nothing",
  "?socketTimeoutMS=300&connectTimeoutMS=300", N_TIMES // 2, function(k)
    mongo.sleep(k * 7 % 20)
    own:pause()
    mongo.sleep(1000)
    own:resume()
  end)

do
  local client <close> = assert(mongo.open(s.uri))
  client:command(DB, { dropDatabase = 1 })
end
return tap.finish()
