-- Jobs over HTTP: flow queries, rankings and ingests that run as processes of their own,
-- with their results in a store.

local args = require "earlgrey.args"
local guard = require "earlgrey.service_guard"
local job = require "earlgrey.job"
local process = require "process"
local service = require "earlgrey.service"
local store = require "earlgrey.store"

local USAGE <const> = [[
usage: server --data DATA [--store STORE] [--listen ADDRESS:PORT] [--jobs N]
              [--token TOKEN|@FILE] [--host NAME] [--logs FOLDER]

Serves jobs over HTTP; GET /openapi.json describes the routes.

  --data DATA     what jobs read: a dataset, a .db store, captures, or a folder
                  that holds some of these, which jobs name by `source`
  --store STORE   where jobs and results are kept: an SQLite file (the default:
                  earlgrey-jobs.db) or mongodb://host/
  --listen A:P    where to listen, 127.0.0.1:8080 unless told; port 0: a free
                  one. Other addresses than the loopback need a token
  --jobs N        jobs that run at once, the number of cores unless told
  --token T       a bearer token that every request but /healthz must have;
                  @FILE: the first line of a file. Also EARLGREY_TOKEN
  --host NAME     a name by which clients may call this server, besides the
                  address it listens on and localhost; separated by commas
  --logs FOLDER   where the logs of jobs are kept, beside the store unless told
  -h, --help      this

SIGTERM and SIGINT end it; jobs that run go on, and the next server finds them.
Exit codes: 0 done, 1 failed, 2 wrong usage.
]]

local MIN_TOKEN_BYTES <const> = 16

local function text_option(expected)
  return {
    value = function(text)
      return text ~= "" and text or nil, expected
    end,
  }
end

local LISTEN <const> = {
  value = function(text)
    local address, port = text:match "^%[([%x:.]+)%]:(%d+)$"
    if not address then
      address, port = text:match "^([^:%[%]]+):(%d+)$"
    end
    if not address or #port > 5 or tonumber(port) > 65535 then
      return nil, "ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080"
    end
    return { address = address == "localhost" and "127.0.0.1" or address, port = tonumber(port) }
  end,
}

local TOKEN <const> = {
  value = function(text)
    local path = text:match "^@(.+)$"
    if path then
      local file <close> = io.open(path)
      text = file and file:read "l" or ""
    end
    if #text >= MIN_TOKEN_BYTES and not text:find "[^%w%p]" then
      return text
    end
    return nil, ("a token of at least %d printable characters, or @ and a file that begins with one")
      :format(MIN_TOKEN_BYTES)
  end,
}

local function names_of(text)
  local names = {}
  for name in (text or ""):gmatch "[^,]+" do
    names[#names + 1] = name
  end
  return names
end

local function log(text)
  io.stderr:write(os.date "!%Y-%m-%d %H:%M:%S ", text, "\n")
  io.stderr:flush()
end

local function run(options, source)
  local listen = options.listen or LISTEN.value "127.0.0.1:8080"
  local token = options.token
  if not token and os.getenv "EARLGREY_TOKEN" then
    local expected
    token, expected = TOKEN.value(os.getenv "EARLGREY_TOKEN")
    if not token then
      return nil, "EARLGREY_TOKEN is not " .. expected, true
    end
  end
  if source then
    return nil, "a source is named by --data; see --help", true
  elseif not options.data then
    return nil, "--data is missing; see --help", true
  elseif not guard.is_loopback(listen.address) and not token then
    return nil, ("%s is not the loopback: --token is needed; see --help"):format(listen.address), true
  end
  -- PIPE too: who reads our log may go away before us.
  local signals <close> = assert(process.signals("TERM", "INT", "CHLD", "PIPE"))
  local s, message = service.start {
    data = options.data, store = options.store, address = listen.address, port = listen.port, places = options.jobs,
    token = token, names = names_of(options.host), logs = options.logs, log = log,
    per_address = not guard.is_loopback(listen.address) and 64 or nil,
  }
  if not s then
    return nil, message
  end
  local shown = listen.address:find(":", 1, true) and "[" .. listen.address .. "]" or listen.address
  print(("http://%s:%d/ serves %s, jobs in %s"):format(shown, s.port, options.data,
    store.shown(options.store or store.DEFAULT)))
  io.stdout:flush()
  s:run(signals)
  s:close()
  return job.DONE
end

return job.run {
  name = "server",
  usage = USAGE,
  no_samples = true,
  options = {
    data = text_option "a path",
    store = text_option "a path or mongodb://host/",
    listen = LISTEN,
    jobs = args.integer(1, 1000),
    token = TOKEN,
    host = text_option "a name",
    logs = text_option "a folder",
  },
  run = run,
}
