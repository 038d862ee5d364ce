-- The HTTP service: from a request to its answer, and the loop around it. scripts/server.lua
-- makes one of its options.

local earlgrey = require "earlgrey"
local files = require "files"
local guard = require "earlgrey.service_guard"
local http = require "http"
local jobs = require "earlgrey.service_jobs"
local json = require "earlgrey.json"
local metrics = require "earlgrey.service_metrics"
local process = require "process"
local routes = require "earlgrey.service_routes"
local store = require "earlgrey.store"

local M = {}

-- For the answers under way, once the server was told to end.
local END_MS <const> = 5000

local HEADERS <const> = {
  ["Content-Type"] = "application/json; charset=utf-8",
  ["Cache-Control"] = "no-store",
  ["X-Content-Type-Options"] = "nosniff",
}

local function response(status, value, more)
  local headers = {}
  for _, list in ipairs { HEADERS, more or {} } do
    for name, text in pairs(list) do
      headers[name] = text
    end
  end
  return { status = status, body = type(value) == "string" and value or json.encode(value) .. "\n", headers = headers }
end

local function refusal(status, message, description, more)
  return response(status, { message = message, description = description }, more)
end

local REFUSAL_HEADERS <const> = {
  [401] = { ["WWW-Authenticate"] = "Bearer" },
  [503] = { ["Retry-After"] = "1" },
}

-- Answers by a route that was found.
local function serve(service, request, route, query_text)
  local refuse = route.refuse or refusal
  local query, description = routes.query(route, query_text)
  if not query then
    return refuse(400, "Bad query", description)
  end
  request.query = query
  if route.body and not (route.only_reads and request.body == "") then
    local message
    request.json, message = json.decode(request.body)
    if request.json == nil then
      return refuse(400, "Bad JSON", message)
    end
  end
  local status, value, more = route.run(service, request)
  if type(status) == "table" then
    return response(status.status, status.body, status.headers)
  end
  return response(status, value, more or REFUSAL_HEADERS[status])
end

local function answer(service, request)
  local route, status_or_id, message, description, allowed = routes.find(request.method, request.target)
  if request.too_large == "headers" then
    return refusal(431, "Too many headers", "at most 64 are read"), route
  elseif request.too_large then
    return refusal(413, "The body is too large", ("at most %d bytes are read"):format(service.body_bytes)), route
  end
  local refused, why, what = service.guard(request, route)
  if refused then
    return refusal(refused, why, what, REFUSAL_HEADERS[refused]), route
  elseif not route then
    return refusal(status_or_id, message, description, allowed and { Allow = allowed })
  end
  request.id = status_or_id
  return serve(service, request, route, message), route
end

local function handle(service, request)
  local started_us = http.now_us()
  local result, route = answer(service, request)
  local name = route and route.path or "none"
  service.metrics:count("earlgrey_http_requests_total", { "route", name, "method", route and route.method or "other",
    "status", result.status })
  service.metrics:observe("earlgrey_http_request_seconds", { "route", name }, (http.now_us() - started_us) / 1e6)
  return result
end

-- ---- starting ----

-- Where the logs of jobs lie: beside an SQLite store, else in the current folder.
local function logs_folder(url)
  local path = url:match "^sqlite://(.*)$" or not url:find "^%a[%w+.-]*://" and url
  return (path or "earlgrey-jobs") .. ".logs"
end

-- An absolute form of the store's name, since runners may be asked from elsewhere.
local function absolute(url)
  local path = url:match "^sqlite://(.*)$" or not url:find "^%a[%w+.-]*://" and url
  return path and files.real(path) or url
end

-- Makes folder and lock of the logs: one server a store.
local function take_logs(path)
  local made, message = files.make_folder(path)
  if not made then
    return nil, message
  end
  local lock, why, code = files.lock(path .. "/server.lock")
  if not lock and code == "EAGAIN" then
    return nil, path .. ": another server keeps the logs of its jobs here; give this one a --store of its own"
  end
  return lock, why
end

local function put(service, name, value, message)
  service[name] = value
  return value ~= nil, message
end

-- options: data, store, address, port, places, token, names, log (a function), and limits of
-- http.listen. Gives a service, or nil and a message.
function M.start(options)
  local service = setmetatable({ log = options.log, token = options.token, metrics = metrics.new(),
    body_bytes = options.body_bytes or 65536 }, { __index = M })
  local function failed(message)
    service:close()
    return nil, message
  end
  local data, message = files.real(options.data)
  if not data then
    return nil, message
  end
  service.data = data
  service.root = files.kind(data) == "folder" and data or nil
  local url = options.store or store.DEFAULT
  local ok
  ok, message = put(service, "store", store.open(url))
  if not ok then
    return failed(message)
  end
  local logs = options.logs or logs_folder(url)
  ok, message = put(service, "lock", take_logs(logs))
  if not ok then
    return failed(message)
  end
  ok, message = put(service, "conn", earlgrey.open())
  if not ok then
    return failed(message)
  end
  ok, message = put(service, "server", http.listen {
    address = options.address, port = options.port, body_bytes = service.body_bytes,
    connections = options.connections, per_address = options.per_address, request_ms = options.request_ms,
    handler = function(request)
      return handle(service, request)
    end,
    log = options.log,
  })
  if not ok then
    return failed(message)
  end
  service.port = service.server:port()
  service.guard = guard.new { host = options.address, port = service.port, names = options.names, token = options.token }
  service.jobs = jobs.new { store = service.store, url = absolute(url), data = data, logs = files.real(logs),
    places = options.places or process.cores(), metrics = service.metrics, log = options.log }
  ok, message = service.jobs:recover()
  if not ok then
    return failed(message)
  end
  return service
end

-- ---- running ----

-- Serves until SIGTERM or SIGINT. Jobs that run go on: the next server finds them.
function M:run(signals)
  local wait_ms = 0
  while true do
    self.server:run(wait_ms, signals:fd())
    local is_ended = false
    for name in function() return signals:next() end do
      is_ended = is_ended or name == "TERM" or name == "INT"
    end
    if is_ended then
      break
    end
    wait_ms = self.jobs:tick()
  end
  self.server:stop_listening()
  local give_up_ms = earlgrey.now_ms() + END_MS
  while select(2, self.server:connections()) > 0 and earlgrey.now_ms() < give_up_ms do
    self.server:run(50)
  end
end

function M:close()
  for _, name in ipairs { "server", "searched", "conn", "store", "lock" } do
    if self[name] then
      self[name]:close()
      self[name] = nil
    end
  end
end

return M
