-- require "http": requests and answers, failing handlers, misuse. The clients are other
-- processes; what they say is in a log.

local http = require "http"
local json = require "json"
local process = require "process"
local tap = require "tests.lua.tap"

local folder <close> = tap.folder()
local LOG <const> = folder.path .. "/client.log"

-- Runs a Python client against a server; what it prints.
local function client(server, code)
  local file = assert(io.open(LOG, "w"))
  file:close()
  local child = assert(process.spawn {
    argv = { "/usr/bin/python3", "-c", ([[
import http.client, json, socket
c = http.client.HTTPConnection("127.0.0.1", %d, timeout=10)
def ask(method, path, body=None, headers={}):
    c.request(method, path, body, headers)
    r = c.getresponse()
    return r.status, r.headers, r.read().decode()
]]):format(server:port()) .. code }, log = LOG,
  })
  repeat
    server:run(20)
    local how, status = child:poll()
  until how
  local how, status = child:poll()
  local text = tap.read_file(LOG)
  tap.equal(how .. status, "exit0", text)
  return text
end

local function echo(request)
  return { status = 201, body = json.encode(request), headers = { ["X-Odd"] = "a b" } }
end

tap.case("a request comes as it was sent, an answer goes as it was given", function()
  local server <close> = assert(http.listen { handler = echo })
  local out = client(server, [[
status, headers, body = ask("POST", "/a%2Fb/%00?x=1&y=%20", b"\x00\xff{}", {"X-One": "1", "Content-Type": "q"})
print(status, headers["X-Odd"], headers["Content-Length"] == str(len(body.encode())))
r = json.loads(body)
print(r["method"], r["target"], r["headers"]["x-one"], r["headers"]["content-type"], r["address"], len(r["body"]))
status, headers, body = ask("GET", "/", headers={"A": "1", "a": "2"})
print(status, json.loads(body)["body"] == "")
]])
  tap.equal(out, "201 a b True\nPOST /a%2Fb/%00?x=1&y=%20 1 q 127.0.0.1 4\n201 True\n")
end)

tap.case("a handler that fails costs its request only, and is logged with its place", function()
  local logged = {}
  local answers = {
    function() error("boom") end,
    function() error(setmetatable({}, { __tostring = function() error "worse" end })) end,
    function() return "no table" end,
    function() return { status = 99 } end,
    function() return { body = {} } end,
    function() return { headers = { a = "x\r\nSet-Cookie: y" } } end,
    function() return { headers = { [1] = "x" } } end,
    function() return { body = "fine" } end,
  }
  local n = 0
  local server <close> = assert(http.listen {
    handler = function()
      n = n + 1
      return answers[n]()
    end,
    log = function(text)
      logged[#logged + 1] = text
    end,
  })
  local out = client(server, [[
for i in range(8):
    status, headers, body = ask("GET", "/")
    print(status, body.strip())
]])
  tap.equal(select(2, out:gsub("500 {\"message\":\"Internal error\"", "")), 7)
  tap.matches(out, "200 fine\n$")
  tap.matches(logged[1], "test_http%.lua:%d+: boom.*traceback")
  tap.matches(logged[2], "worse")
  tap.matches(logged[3], "the handler gave a string, expected a table")
end)

tap.case("a body or headers beyond the limits are told to the handler, which sees none of it", function()
  local server <close> = assert(http.listen { body_bytes = 100, handler = function(request)
    return { body = ("%s %d"):format(request.too_large, #request.body) }
  end })
  local out = client(server, [[
print(ask("POST", "/", b"x" * 100)[2])
print(ask("POST", "/", b"x" * 101)[2])
print(ask("GET", "/", headers={"A%d" % i: "x" for i in range(100)})[2])
]])
  tap.equal(out, "nil 100\nbody 0\nheaders 0\n")
end)

-- What a client was cut off from is seen when its connection is gone, not by a clock: on a
-- busy machine the server's times run out at any point of its work.
tap.case("a client that is slow to ask is cut off", function()
  local server <close> = assert(http.listen { request_ms = 200, handler = echo })
  local out = client(server, [[
s = socket.create_connection(("127.0.0.1", c.port), timeout=60)
s.sendall(b"GET / HTT")
print(s.recv(10))
]])
  tap.equal(out, "b''\n")
  server:run(0)
  tap.equal(server:connections(), 0)
end)

tap.case("a client that is slow to read is cut off", function()
  local server
  server = assert(http.listen { answer_ms = 300, handler = function(request)
    return { body = request.target == "/connections" and tostring(server:connections()) or ("x"):rep(50000000) }
  end })
  local _ <close> = server
  local out = client(server, [[
import time
s = socket.create_connection(("127.0.0.1", c.port), timeout=60)
s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
s.recv(1, socket.MSG_PEEK)
for _ in range(600):
    if ask("GET", "/connections")[2] == "1": break
    c.close()
    time.sleep(0.1)
n = 0
try:
    while True:
        piece = s.recv(1 << 16)
        if not piece: break
        n += len(piece)
except ConnectionResetError:
    pass
print(n < 50000000)
]])
  tap.equal(out, "True\n")
  server:run(0)
  tap.equal(server:connections(), 0)
end)

tap.case("addresses and ports that cannot be had are told", function()
  local server <close> = assert(http.listen { handler = echo })
  tap.fails("cannot listen: Address already in use", "EADDRINUSE", http.listen { handler = echo, port = server:port() })
  tap.fails("is no numeric address", "EINVAL", http.listen { handler = echo, address = "localhost" })
  tap.fails("cannot listen", "EADDRNOTAVAIL", http.listen { handler = echo, address = "192.0.2.1" })
  tap.raises("'port' is no whole number", http.listen, { handler = echo, port = 70000 })
  tap.raises("'connections' is no whole number", http.listen, { handler = echo, connections = "many" })
  tap.raises("function expected", http.listen, {})
  tap.raises("table expected", http.listen)
end)

tap.case("a server is closed once, and not used after or inside its handler", function()
  local inside = {}
  local server
  server = assert(http.listen { handler = function()
    for _, name in ipairs { "run", "close", "stop_listening" } do
      inside[name] = select(2, pcall(server[name], server))
    end
    return {}
  end })
  client(server, 'ask("GET", "/")')
  for _, message in pairs(inside) do
    tap.matches(message, "inside its own handler")
  end
  tap.equal(inside.run ~= nil and inside.close ~= nil, true)
  server:stop_listening()
  server:stop_listening()
  server:close()
  server:close()
  tap.raises("closed server", server.run, server)
  tap.equal(tostring(server), "http server (closed)")
end)

tap.case("a server that nobody holds is closed, with clients connected", function()
  local port
  do
    local server = assert(http.listen { handler = echo })
    port = server:port()
    client(server, 's = socket.create_connection(("127.0.0.1", c.port)); s.sendall(b"GET"); ask("GET", "/")')
  end
  collectgarbage()
  collectgarbage()
  local again <close> = assert(http.listen { handler = echo, port = port })
  tap.equal(again:port(), port)
end)

return tap.finish()
