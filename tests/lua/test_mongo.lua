-- The module mongo against a server: clients, collections, cursors, failures, lifetimes.

local json = require "json"
local tap = require "tests.lua.tap"

local found, mongo = pcall(require, "mongo")
if not found then
  tap.skip("the module mongo", mongo)
  return tap.finish()
end
local server = require "tests.lua.mongo_server"
local s <close>, why = server.start()
if not s then
  tap.skip("the module mongo against a server", why)
  return tap.finish()
end
print("# against " .. s.name)

local DB <const> = server.database_name()
local DEAD <const> = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"

local function open()
  return assert(mongo.open(s.uri))
end

-- A case with an empty collection; nothing may be left open.
local function with_collection(claim, f)
  tap.case(claim, function()
    do
      local client <close> = open()
      local coll = client:collection(DB, "things")
      assert(coll:drop() ~= nil)
      f(coll, client)
    end
    collectgarbage()
    local n_clients, n_cursors = mongo.handles()
    tap.equal(n_clients, 0, "clients left open")
    tap.equal(n_cursors, 0, "cursors left open")
  end)
end

local function numbers(first, last)
  local list = {}
  for i = first, last do
    list[#list + 1] = { _id = i, square = i * i, odd = i % 2 == 1 }
  end
  return list
end

local function ids(cursor, ...)
  local list = {}
  for document in assert(cursor, ...) do
    list[#list + 1] = tostring(document._id)
  end
  return table.concat(list, " ")
end

-- ---- clients ----

tap.case("a client opens, answers, and closes once and for all", function()
  local client = open()
  tap.equal(client:ping(), true)
  tap.equal(client:database(), nil)
  tap.matches(tostring(client), "^client %(.+:%d+%)$")
  local coll = client:collection(DB, "things")
  tap.equal(tostring(coll), "collection (" .. DB .. ".things)")
  client:close()
  client:close()
  tap.equal(tostring(client), "client (closed)")
  for _, method in ipairs { "ping", "collection", "collections", "command", "database" } do
    tap.raises("attempt to use a closed client", client[method], client, "x", "y")
  end
  tap.raises("attempt to use a closed client", coll.find, coll, {})
  for _, value in ipairs { client, coll, mongo.date(0) } do
    tap.equal(getmetatable(value), false, "the metatable is locked")
  end
end)

tap.case("what a URI says wrongly is told, also what the library would ignore", function()
  tap.fails("Invalid URI Schema", "MONGO_URI", mongo.open "nonsense")
  tap.fails('Unsupported URI option "nonsense"', "MONGO_URI", mongo.open "mongodb://127.0.0.1/?nonsense=1")
  tap.fails("sockettimeoutms", "MONGO_URI", mongo.open "mongodb://127.0.0.1/?socketTimeoutMS=soon")
  tap.raises("zero byte", mongo.open, "mongodb://a\0b")
  tap.raises("bad argument #1 to '[%a.]*open'", mongo.open, {})
  tap.raises("the only option is connect", mongo.open, s.uri, { conect = false })
  local client <close> = assert(mongo.open("mongodb://127.0.0.1:1/mine", { connect = false }))
  tap.equal(client:database(), "mine")
end)

tap.case("a server that is not there is told with its address, by open and by what comes later", function()
  tap.fails("^no server answers: %[127%.0%.0%.1:1: Connection refused%]", "MONGO_NO_SERVER", mongo.open(DEAD))
  tap.fails("^no server answers", "MONGO_NO_SERVER", mongo.open "mongodb://no.such.host.invalid/?serverSelectionTimeoutMS=100")
  local client <close> = assert(mongo.open(DEAD, { connect = false }))
  local coll = client:collection("a", "b")
  tap.fails("no server", "MONGO_NO_SERVER", client:ping())
  tap.fails("no server", "MONGO_NO_SERVER", client:collections "a")
  tap.fails("no server", "MONGO_NO_SERVER", coll:find())
  tap.fails("no server", "MONGO_NO_SERVER", coll:find_one {})
  tap.fails("no server", "MONGO_NO_SERVER", coll:bulk { { _id = 1 } })
  tap.fails("no server", "MONGO_NO_SERVER", coll:insert { _id = 1 })
  tap.fails("no server", "MONGO_NO_SERVER", coll:update({}, { a = 1 }))
  tap.fails("no server", "MONGO_NO_SERVER", coll:delete {})
  tap.fails("no server", "MONGO_NO_SERVER", coll:count())
  tap.fails("no server", "MONGO_NO_SERVER", coll:aggregate {})
  tap.fails("no server", "MONGO_NO_SERVER", coll:drop())
  tap.fails("no server", "MONGO_NO_SERVER", coll:create_index { a = 1 })
end)

tap.case("a server that is too old or too new is told so", function()
  for wire, pattern in pairs { ["0,5"] = "requires at least 6", ["18,21"] = "only supports up to 17" } do
    local other <close> = assert(server.start("--wire " .. wire))
    tap.fails(pattern, "MONGO_WIRE_VERSION", mongo.open(other.uri .. "?serverSelectionTimeoutMS=100"))
  end
  local other <close> = assert(server.start "--wire 0,21")
  local client <close> = assert(mongo.open(other.uri))
  tap.equal(client:ping(), true)
end)

tap.case("TLS is spoken, and only with whom the certificate is for", function()
  local folder <close> = tap.folder()
  local pem = folder.path .. "/server.pem"
  local _, err, code = tap.run(("cd %s; openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
    .. "-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem; cat cert.pem key.pem > server.pem"):format(folder))
  tap.equal(code, 0, err)
  local other <close> = assert(server.start("--tls " .. pem))
  local port = other.uri:match(":(%d+)/")
  local function try(host, options)
    return mongo.open(("mongodb://%s:%s/?serverSelectionTimeoutMS=100&%s"):format(host, port, options))
  end
  do
    local client <close> = assert(try("localhost", "tls=true&tlsCAFile=" .. folder.path .. "/cert.pem"))
    tap.equal(client:ping(), true)
    local again <close> = assert(try("127.0.0.1", "tls=true&tlsInsecure=true"))
    tap.equal(again:ping(), true)
  end
  tap.fails("certificate verify failed", "MONGO_NO_SERVER", try("localhost", "tls=true"))
  tap.fails("TLS handshake failed", "MONGO_NO_SERVER",
    try("127.0.0.1", "tls=true&tlsCAFile=" .. folder.path .. "/cert.pem"))
  tap.fails("no server", "MONGO_NO_SERVER", try("localhost", "tls=false"))
  tap.fails("TLS cannot be set up", "MONGO_NO_SERVER", try("localhost", "tls=true&tlsCAFile=/no/such/file"))
end)

tap.case("names that servers refuse raise, and options that are none", function()
  local client <close> = open()
  for _, name in ipairs { "", "a/b", "a.b", "a b", "a$", "a\0b", ("x"):rep(200) } do
    tap.raises("cannot be a name", client.collection, client, name, "c")
  end
  for _, name in ipairs { "", "$cmd", "a\0b" } do
    tap.raises("cannot be a name", client.collection, client, "db", name)
  end
  local coll = client:collection("a", "b")
  tap.raises("there is no option 'limits'", coll.find, coll, {}, { limits = 1 })
  tap.raises("there is no option '1'", coll.find, coll, {}, { "sort" })
  tap.raises("option 'limit': an integer from 0 expected, got string", coll.find, coll, {}, { limit = "1" })
  tap.raises("option 'skip': an integer from 0", coll.find_one, coll, {}, { skip = -1 })
  tap.raises("there is no option 'order'", coll.bulk, coll, {}, { order = true })
  tap.raises("option 'many': a boolean", coll.delete, coll, {}, { many = 1 })
  tap.raises("there is no option 'x'", coll.update, coll, {}, {}, { x = 1 })
  tap.raises("option 'unique'", coll.create_index, coll, { a = 1 }, { unique = 1 })
  tap.raises("order of these keys counts", coll.find, coll, {}, { sort = { a = 1, b = 1 } })
  tap.raises("a list expected", coll.aggregate, coll, { ["$match"] = {} })
  tap.raises("table expected, got nil", coll.delete, coll)
  tap.raises("table expected", coll.bulk, coll)
  tap.raises("operators such as %$set expected", coll.update, coll, {}, { a = 1 }, { many = true })
  tap.raises("mongo.collection expected", coll.find, client)
end)

-- ---- documents ----

with_collection("what is inserted is found as it was", function(coll)
  local document = {
    _id = "caf\u{e9}", whole = 1, large = 1 << 62, least = math.mininteger, real = 1.0, no = false, none = json.null,
    list = { 1, "two", { three = 3 } }, empty = json.array(), inner = { a = { b = { c = 1 } } }, blank = "",
    date = mongo.date(1185487200123), bytes = mongo.binary "a\0b\xff", id = mongo.objectid "0123456789abcdef01234567",
  }
  tap.equal(assert(coll:insert(document)), "caf\u{e9}")
  local got = assert(coll:find_one { _id = "caf\u{e9}" })
  for _, name in ipairs { "_id", "whole", "large", "least", "real", "no", "none", "blank" } do
    tap.equal(got[name], document[name], name)
  end
  for _, name in ipairs { "list", "empty", "inner" } do
    tap.equal(json.encode(got[name]), json.encode(document[name]), name)
  end
  for _, name in ipairs { "date", "bytes", "id" } do
    tap.ok(got[name] == document[name], name)
  end
  tap.equal(got.date.value, 1185487200123)
  tap.equal(tostring(got.date), "2007-07-26T22:00:00.123Z")
  tap.equal(got.bytes.value, "a\0b\xff")
  tap.equal(got.id.value, "0123456789abcdef01234567")
  tap.equal(coll:find_one { _id = "other" }, nil)
  tap.equal(select("#", coll:find_one { _id = "other" }), 1)
end)

with_collection("a document without _id gets one, and it is told", function(coll)
  local id = assert(coll:insert { a = 1 })
  tap.equal(id.type, "objectid")
  tap.equal(coll:find_one({ _id = id }).a, 1)
  tap.equal(assert(coll:insert(mongo.ordered { { "z", 1 }, { "_id", "given" }, { "a", 2 } })), "given")
  tap.equal(coll:count(), 2)
end)

with_collection("text never becomes an operator", function(coll)
  local text = '{"$ne": 0} $where this.a'
  assert(coll:insert { _id = 1, a = text })
  assert(coll:insert { _id = 2, a = "b" })
  tap.equal(ids(coll:find { a = text }), "1")
end)

-- ---- reading ----

with_collection("find takes sort, skip, limit and projection, over any number of batches", function(coll)
  assert(coll:bulk(numbers(1, 1000)))
  tap.equal(ids(coll:find({ odd = true }, { sort = { _id = -1 }, skip = 2, limit = 3 })), "995 993 991")
  tap.equal(ids(coll:find({}, { sort = { { "odd", 1 }, { "_id", -1 } }, limit = 2 })), "1000 998")
  tap.equal(ids(coll:find({ _id = { ["$gte"] = 997, ["$lt"] = 999 } }, { sort = { _id = 1 } })), "997 998")
  local n, last = 0, 0
  for document in assert(coll:find({}, { sort = { _id = 1 }, batch_size = 7 })) do
    n = n + 1
    tap.equal(document._id, last + 1)
    last = document._id
  end
  tap.equal(n, 1000)
  local one = assert(coll:find_one({ _id = 12 }, { projection = { square = 1 } }))
  tap.equal(one.square, 144)
  tap.equal(one.odd, nil)
  tap.equal(coll:find_one({}, { sort = { _id = -1 } })._id, 1000)
  tap.equal(ids(coll:find({ _id = 0 })), "")
end)

with_collection("a cursor closes at its end, with its loop, by hand, and when nobody holds it", function(coll, client)
  assert(coll:bulk(numbers(1, 50)))
  local function open_cursors()
    return (select(2, mongo.handles()))
  end
  for _ in assert(coll:find({}, { batch_size = 5 })) do
    tap.equal(open_cursors(), 1)
    break
  end
  tap.equal(open_cursors(), 0)
  local cursor = assert(coll:find({}, { batch_size = 5 }))
  tap.equal(tostring(cursor), "cursor")
  tap.equal(type(cursor:next()), "table")
  cursor:close()
  cursor:close()
  tap.equal(tostring(cursor), "cursor (closed)")
  tap.raises("attempt to use a closed cursor", cursor.next, cursor)
  cursor = assert(coll:find({ _id = 1 }))
  tap.equal(cursor:next()._id, 1)
  tap.equal(cursor:next(), nil)
  tap.equal(cursor:next(), nil)
  tap.equal(tostring(cursor), "cursor (at its end)")
  tap.equal(open_cursors(), 0)
  for _ = 1, 3 do
    assert(coll:find({}, { batch_size = 5 }))
  end
  collectgarbage()
  collectgarbage()
  tap.equal(open_cursors(), 0)
  cursor = assert(coll:find({}, { batch_size = 5 }))
  client:close()
  tap.raises("attempt to use a closed cursor", cursor.next, cursor)
end)

tap.case("a cursor keeps its client alive", function()
  local cursor
  do
    local client = open()
    local coll = client:collection(DB, "alive")
    assert(coll:bulk(numbers(1, 20)))
    cursor = assert(coll:find({}, { batch_size = 3 }))
  end
  collectgarbage()
  collectgarbage()
  local n = 0
  while cursor:next() do
    n = n + 1
  end
  tap.equal(n, 20)
end)

with_collection("aggregate groups, and what it refuses is told with the server's number", function(coll)
  assert(coll:bulk(numbers(1, 10)))
  local sums = {}
  for group in assert(coll:aggregate { { ["$match"] = { _id = { ["$gt"] = 2 } } },
    { ["$group"] = { _id = "$odd", n = { ["$sum"] = 1 } } } }) do
    sums[group._id] = group.n
  end
  tap.equal(sums[true], 4)
  tap.equal(sums[false], 4)
  tap.equal(ids(coll:aggregate({}, { batch_size = 3 })), "1 2 3 4 5 6 7 8 9 10")
  local _, message, code, number = coll:aggregate { { ["$nonsense"] = 1 } }
  tap.equal(code, "MONGO_SERVER", message)
  tap.equal(math.type(number), "integer")
end)

with_collection("count is of all, or of what a filter takes", function(coll)
  tap.equal(coll:count(), 0)
  assert(coll:bulk(numbers(1, 30)))
  tap.equal(coll:count(), 30)
  tap.equal(coll:count {}, 30)
  tap.equal(coll:count { odd = true }, 15)
end)

-- ---- writing ----

with_collection("bulk counts what was there already as written", function(coll)
  local r = assert(coll:bulk(numbers(1, 500)))
  tap.equal(r.inserted, 500)
  tap.equal(r.duplicates, 0)
  tap.equal(#r.errors, 0)
  r = assert(coll:bulk(numbers(401, 900)))
  tap.equal(r.inserted, 400)
  tap.equal(r.duplicates, 100)
  tap.equal(#r.errors, 0)
  tap.equal(coll:count(), 900)
  r = assert(coll:bulk {})
  tap.equal(r.inserted, 0)
  r = assert(coll:bulk({ { _id = 1001 }, { _id = 5 }, { _id = 1002 } }, { ordered = true }))
  tap.equal(r.inserted, 1)
  tap.equal(r.duplicates, 1)
  tap.equal(coll:count(), 901)
end)

with_collection("a bulk of which one document can be none sends nothing", function(coll)
  tap.raises("cannot hold a function", coll.bulk, coll, { { _id = 1 }, { _id = 2, f = print } })
  tap.raises("table expected", coll.bulk, coll, { { _id = 1 }, 2 })
  tap.equal(coll:count(), 0)
end)

with_collection("an inserted duplicate is a failure of its own code", function(coll)
  tap.equal(coll:insert { _id = 1 }, 1)
  local _, message, code, number = coll:insert { _id = 1 }
  tap.equal(code, "MONGO_DUPLICATE_KEY", message)
  tap.equal(number, 11000)
end)

with_collection("update says how many matched, so that it serves as compare and set", function(coll)
  assert(coll:bulk(numbers(1, 6)))
  local function update(...)
    local r = assert(coll:update(...))
    return ("%d %d %d"):format(r.matched, r.modified, r.upserted)
  end
  tap.equal(update({ _id = 1, square = 1 }, { ["$set"] = { square = 100 } }), "1 1 0")
  tap.equal(update({ _id = 1, square = 1 }, { ["$set"] = { square = 100 } }), "0 0 0")
  tap.equal(update({ _id = 1 }, { ["$unset"] = { odd = "" } }), "1 1 0")
  tap.equal(coll:find_one({ _id = 1 }).odd, nil)
  tap.equal(update({ odd = false }, { ["$inc"] = { square = 1 } }, { many = true }), "3 3 0")
  tap.equal(update({ _id = 7 }, { ["$set"] = { square = 49 } }), "0 0 0")
  tap.equal(update({ _id = 7 }, { ["$set"] = { square = 49 } }, { upsert = true }), "0 0 1")
  tap.equal(update({ _id = 2 }, { name = "two" }), "1 1 0")
  tap.equal(coll:find_one({ _id = 2 }).square, nil)
  tap.equal(coll:delete { odd = true }, 1)
  tap.equal(coll:delete({ odd = true }, { many = true }), 1)
  tap.equal(coll:delete { _id = "nobody" }, 0)
end)

with_collection("indexes get a name, and a unique one is kept", function(coll)
  tap.equal(coll:create_index { { "a", 1 }, { "b", -1 } }, "a_1_b_-1")
  tap.equal(coll:create_index({ c = 1 }, { unique = true, name = "only_c" }), "only_c")
  assert(coll:insert { _id = 1, a = 1, c = 5 })
  tap.fails("", "MONGO_DUPLICATE_KEY", coll:insert { _id = 2, a = 1, c = 5 })
  tap.raises("keys with 1 or %-1", coll.create_index, coll, {})
end)

with_collection("collections are listed and dropped, one that is not there too", function(coll, client)
  assert(coll:insert { _id = 1 })
  local listed = table.concat(assert(client:collections(DB)), " ")
  tap.matches(listed, "things")
  tap.equal(coll:drop(), true)
  listed = table.concat(assert(client:collections(DB)), " ")
  tap.equal(listed:find "things", nil)
  tap.ok(coll:drop() ~= nil)
  tap.equal(coll:count(), 0)
end)

tap.case("command runs what has no method, and tells the server's refusal", function()
  local client <close> = open()
  tap.equal(type(assert(client:command("admin", { buildInfo = 1 })).version), "string")
  local _, message, code, number = client:command("admin", { noSuchThing = 1 })
  tap.matches(message, "noSuchThing")
  tap.equal(code, "MONGO_SERVER")
  tap.equal(number, 59)
end)

-- ---- Ctrl-C ----

tap.case("Ctrl-C ends a find that waits for its server, and a sleep", function()
  local other <close> = assert(server.start "")
  -- os.execute ignores Ctrl-C while it runs: what it does comes before "ready". A server stops when one of
  -- its threads is next given a processor; until then the others answer.
  local stop = ("os.execute [[kill -STOP %d; until grep -q '^State:.T' /proc/%d/status; do sleep 0.01; done]]"):format(other.pid, other.pid)
  for what, commands in pairs {
    find = { stop, 'print(c:collection("a", "b"):find_one {}, "came back")' },
    connect = { "c:close() " .. stop, 'print(mongo.open(arg[1]), "came back")' },
    sleep = { "", "mongo.sleep(600000)" },
  } do
    local folder <close> = tap.folder()
    tap.write_file(folder.path .. "/wait.lua", ([[
      local mongo = require "mongo"
      local c = assert(mongo.open(arg[1]))
      %s
      io.stderr:write "ready\n"
      %s]]):format(commands[1], commands[2]))
    -- A shell starts what is in its background with SIGINT ignored.
    local out, err, code = tap.run(([[cd %s; : > err
      env --default-signal=INT %s wait.lua '%s?socketTimeoutMS=60000&connectTimeoutMS=60000' 2> err &
      for _ in $(seq 400); do if grep -q . err; then break; fi; sleep 0.05; done
      sleep 0.3
      kill -INT $!
      wait $!
      status=$?
      kill -CONT %d
      cat err >&2
      exit $status]]):format(folder.path, tap.program, other.uri, other.pid))
    tap.equal(out, "", what)
    tap.matches(err, "^ready\n.*interrupted\n$", what)
    tap.equal(code, 130, what)
  end
end)

do
  local client <close> = open()
  client:command(DB, { dropDatabase = 1 })
end
return tap.finish()
