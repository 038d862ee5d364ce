-- A MongoDB server for the tests. Which one:
--
--   EARLGREY_MONGO_URI=mongodb://…   that one; it is never stopped, and its data are left alone
--                                    but for the databases that the tests make
--   EARLGREY_FERRETDB=PROGRAM        FerretDB, as tests/interop/ferretdb builds it
--   otherwise                        tests/lua/mongo_standin.py
--
--   server.start() -> s | nil, why there is none
--   s.name, s.uri                    without a database; s:database(name) gives the URI with one
--   s.is_own                         may be stopped; s.is_standin: takes the command `standin`
--   s:kill(), s:pause(), s:resume(), s:restart(), s:stop(); __close stops it

local mongo = require "mongo"
local tap = require "tests.lua.tap"

local M = {}

local PYTHON <const> = "/usr/bin/python3"
local START_MS <const> = 30000

local Server = {}
Server.__index = Server

-- Whether it still runs; one that only waits for its parent to notice its end does not.
local function is_running(self)
  local file <close> = io.open(("/proc/%d/stat"):format(self.pid))
  local state = file and (file:read "a" or ""):match "%) (%a)"
  return state ~= nil and state ~= "Z"
end

-- Starts the program and waits for the line in which it tells its URI.
local function run(self, address)
  local out = self.folder.path .. "/uri"
  local command = ("%s %s %s > %s 2> %s.err < /dev/null & echo $!"):format(self.program, address,
    tap.quote(self.folder.path), out, out)
  self.pid = assert(tonumber((tap.run(command))))
  for _ = 1, START_MS // 20 do
    local uri = tap.read_file(out):match("^(mongodb://[%d.:]+/)\n")
    if uri then
      self.uri = uri
      return true
    elseif not is_running(self) then
      break
    end
    mongo.sleep(20)
  end
  return nil, ("%s does not start: %s"):format(self.name, tap.read_file(out .. ".err"))
end

local function signal(self, name)
  assert(self.is_own, "the server is not ours")
  os.execute(("kill -%s %d 2> /dev/null"):format(name, self.pid))
end

function Server:kill()
  signal(self, "KILL")
  while is_running(self) do
    mongo.sleep(2)
  end
end

function Server:pause()
  signal(self, "STOP")
end

function Server:resume()
  signal(self, "CONT")
end

function Server:restart()
  assert(run(self, self.uri:match("//([^/]+)/")))
end

function Server:stop()
  if self.pid then
    signal(self, "CONT")
    self:kill()
    self.pid = nil
  end
end

function Server:database(name)
  local scheme, hosts, options = self.uri:match("^(%a[%w+]*://)([^/]+)/?[^?]*(.*)$")
  return scheme .. hosts .. "/" .. name .. options
end

function Server:__close()
  if self.is_own then
    self:stop()
    local folder <close> = self.folder
  end
end

-- A name for a database of this run.
function M.database_name()
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  return ("earlgrey_test_%08x"):format(string.unpack("<I4", file:read(4)))
end

-- With `options`, which may be "", it is the stand-in with these.
function M.start(options)
  local uri, ferretdb = os.getenv "EARLGREY_MONGO_URI", os.getenv "EARLGREY_FERRETDB"
  if uri and uri ~= "" and not options then
    return setmetatable({ name = "the server of EARLGREY_MONGO_URI", uri = uri }, Server)
  end
  local self = setmetatable({ is_own = true, folder = tap.folder() }, Server)
  if ferretdb and ferretdb ~= "" and not options then
    self.name, self.program = "FerretDB", tap.quote(ferretdb)
  else
    if not os.execute(PYTHON .. " -c 'import bson, mongomock' 2> /dev/null") then
      return nil, "no server, and no python3-mongomock and python3-pymongo for the stand-in"
    end
    self.name, self.is_standin = "the stand-in", true
    self.program = PYTHON .. " tests/lua/mongo_standin.py " .. (options or "")
  end
  local ok, why = run(self, "127.0.0.1:0")
  if not ok then
    error(why, 0)
  end
  return self
end

return M
