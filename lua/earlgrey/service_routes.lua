-- The routes: one table, from which requests are served and /openapi.json is made.
--
-- A route is { method, path with {id}, name, summary, query = { NAME = { check, schema } }, body
-- = schema, answers = { [status] = { description, content type, schema } }, errors, is_open,
-- only_reads, refuse, run }. `run(service, request)` gets request.id, request.query (checked) and request.json; it
-- gives a status and a value to be JSON (a text: that is), or what fail() gives, or a response of its own.

local args = require "earlgrey.args"
local json = require "earlgrey.json"
local openapi = require "earlgrey.service_openapi"
local params = require "earlgrey.service_params"
local store = require "earlgrey.store"

local M = {}

local MAX_JOBS <const> = 10000
local LOG_BYTES <const> = 65536

-- ---- failures ----

local function fail(status, message, description)
  return status, { message = message, description = description }
end
M.fail = fail

local function no_job(id)
  return fail(404, "No such job", ("there is no job '%s'"):format(id))
end

local function store_failed(service, message, code)
  if code == store.NO_JOB then
    return fail(404, "No such job", message)
  end
  service.log("store: " .. tostring(message))
  return fail(503, "The store cannot be reached", "try again later")
end

-- ---- jobs as they are shown ----

local SHOWN <const> = {
  "_id", "type", "name", "status", "createdTime", "startedTime", "endedTime", "params", "progress",
  "statusDetail", "rowsScanned",
}

local function shown(service, document)
  local job = {}
  for _, name in ipairs(SHOWN) do
    job[name] = document[name] == nil and json.null or document[name]
  end
  if document.status == "Started" and not document.startedTime then
    local before = service.jobs:place_of(document._id)
    job.statusDetail = before and ("pending: waits for a free place, %d before it"):format(before)
      or "pending: waits for a free place"
  end
  return job
end

-- The job of a request; nil, and what is to be answered.
local function find(service, request)
  local document, message, code = service.store:job(request.id)
  if document then
    return document
  elseif message then
    return nil, store_failed(service, message, code)
  end
  return nil, no_job(request.id)
end

-- ---- query parameters ----

local function whole(lo, hi, unless_told)
  return {
    check = function(text)
      local n = text:find "^%d+$" and #text <= 15 and math.tointeger(text)
      if n and n >= lo and n <= hi then
        return n
      end
      return nil, ("a whole number from %d to %d"):format(lo, hi)
    end,
    unless_told = unless_told,
    schema = { type = "integer", minimum = lo, maximum = hi, default = unless_told },
  }
end

local function one_of(words, required)
  return {
    check = args.choice(table.unpack(words)).value,
    required = required,
    schema = { type = "string", enum = json.array { table.unpack(words) } },
  }
end

-- ---- what the routes do ----

local function create_job(service, request)
  local counts, message, code = service.store:count_jobs()
  if not counts then
    return store_failed(service, message, code)
  end
  local n = 0
  for _, of_status in pairs(counts) do
    n = n + of_status
  end
  if n >= MAX_JOBS then
    return fail(503, "Too many jobs", ("there are %d; delete some"):format(n))
  end
  local job, description = params.check(request.json, service.root, service.conn)
  if not job then
    return fail(400, "Invalid job", description)
  end
  local id
  id, message, code = service.store:create_job(job)
  if not id then
    return store_failed(service, message, code)
  end
  return 201, { jobId = id }, { Location = "/Jobs/" .. id }
end

local function list_jobs(service, request)
  local query = request.query
  local list, message, code = service.store:jobs { status = query.status, type = query.type, offset = query.offset,
    limit = query.limit }
  if not list then
    return store_failed(service, message, code)
  end
  local jobs = json.array {}
  for i, document in ipairs(list) do
    jobs[i] = shown(service, document)
  end
  return 200, { jobs = jobs, offset = query.offset, limit = query.limit }
end

local function get_job(service, request)
  local document, status, answer = find(service, request)
  if not document then
    return status, answer
  end
  return 200, shown(service, document)
end

-- start, cancel and delete: what the jobs say to it, as an answer.
local function act(service, request, action)
  local done, message, code = service.jobs[action](service.jobs, request.id)
  if done == nil then
    return store_failed(service, message, code)
  end
  local document, status, answer = find(service, request)
  if not done then
    if not document then
      return status, answer
    end
    local why = service.jobs.running[request.id] and document.status == "Canceled" and "its process is being ended"
      or "it is " .. document.status
    return fail(409, ("Cannot %s the job"):format(action), why)
  elseif action == "delete" then
    return 200, { jobId = request.id, deleted = true }
  elseif not document then
    return status, answer
  end
  return 200, shown(service, document)
end

local function change_job(service, request)
  return act(service, request, request.query.action)
end

local function delete_job(service, request)
  return act(service, request, "delete")
end

local function get_log(service, request)
  local document, status, answer = find(service, request)
  if not document then
    return status, answer
  end
  return {
    status = 200, body = service.jobs:log_text(request.id, LOG_BYTES),
    headers = { ["Content-Type"] = "text/plain; charset=utf-8" },
  }
end

-- JSON of a page of results. The encoder that knows the names takes a third of the time.
local function page_text(kind, list, total, query)
  local names, values, objects = store.ANSWERS[kind], {}, {}
  local encode = json.row_encoder(names)
  for i, result in ipairs(list) do
    for k, name in ipairs(names) do
      values[k] = result[name]
    end
    objects[i] = encode(values)
  end
  return ('{"total":%d,"offset":%d,"limit":%d,"results":[%s]}\n'):format(total, query.offset, query.limit,
    table.concat(objects, ",\n"))
end

local function results_of(kind)
  return function(service, request)
    local document, status, answer = find(service, request)
    if not document then
      return status, answer
    elseif document.type ~= kind then
      return fail(404, "No such job", ("job '%s' is a %s, not a %s"):format(request.id, document.type, kind))
    end
    local query, list, total = request.query, {}, 0
    if document.status ~= "Canceled" then -- whose results go away
      local message, code
      total, message, code = service.store:count_results(request.id)
      if total then
        list, message, code = service.store:results(request.id, query.offset, query.limit)
      end
      if not total or not list then
        return store_failed(service, message, code)
      end
    end
    return 200, page_text(kind, list, total, query)
  end
end

local function health(service)
  local counts, message = service.store:count_jobs()
  if not counts then
    service.log("store: " .. tostring(message))
    return 503, { status = "the store cannot be reached" }
  end
  return 200, { status = "ok" }
end

local function metrics(service)
  local gauges = {
    { name = "earlgrey_jobs_pending", labels = {}, value = #service.jobs.queue },
    { name = "earlgrey_jobs_running", labels = {}, value = service.jobs.n_running },
    { name = "earlgrey_connections", labels = {}, value = (service.server:connections()) },
  }
  local counts = service.store:count_jobs()
  for _, status in ipairs(counts and store.STATUSES or {}) do
    gauges[#gauges + 1] = { name = "earlgrey_jobs", labels = { "status", status }, value = counts[status] }
  end
  return {
    status = 200, body = service.metrics:text(gauges),
    headers = { ["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8" },
  }
end

local function describe(service)
  return 200, openapi.describe(M.ROUTES, service.token ~= nil)
end

-- ---- the table ----

local function reference(name)
  return { ["$ref"] = "#/components/schemas/" .. name }
end

local JOB <const> = { "The job", "application/json", reference "Job" }

local function list_schema(name, item)
  return {
    type = "object",
    properties = {
      [name] = { type = "array", items = reference(item) }, total = { type = "integer" },
      offset = { type = "integer" }, limit = { type = "integer" },
    },
  }
end

local OFFSET <const>, LIMIT <const> = whole(0, 10 ^ 15 // 1 | 0, 0), whole(0, 10000, 100)

local function results_route(path, name, kind)
  return {
    method = "GET", path = path, name = name, summary = ("The results of a %s job, in their order"):format(kind),
    query = { offset = OFFSET, limit = LIMIT }, run = results_of(kind),
    answers = { [200] = { "A page of results", "application/json", list_schema("results", "Result") } },
    errors = { 400, 404, 503 },
  }
end

M.ROUTES = {
  {
    method = "POST", path = "/Jobs", name = "createJob", summary = "Makes a job; it is started by PUT",
    body = reference "NewJob", run = create_job,
    answers = {
      [201] = { "The job was made", "application/json", { type = "object", properties = { jobId = { type = "string" } } } },
    },
    errors = { 400, 413, 415, 503 },
  },
  {
    method = "GET", path = "/Jobs", name = "listJobs", summary = "Jobs, oldest first", run = list_jobs,
    query = { offset = OFFSET, limit = LIMIT, status = one_of(store.STATUSES), type = one_of(params.type_names()) },
    answers = { [200] = { "A page of jobs", "application/json", list_schema("jobs", "Job") } },
    errors = { 400, 503 },
  },
  {
    method = "GET", path = "/Jobs/{id}", name = "getJob", summary = "One job", run = get_job,
    answers = { [200] = JOB }, errors = { 404, 503 },
  },
  {
    method = "PUT", path = "/Jobs/{id}", name = "changeJob", summary = "Starts, cancels or deletes a job",
    query = { action = one_of({ "start", "cancel", "delete" }, true) }, run = change_job,
    answers = { [200] = JOB }, errors = { 400, 404, 409, 415, 503 },
  },
  {
    method = "DELETE", path = "/Jobs/{id}", name = "deleteJob", summary = "Deletes a job and its results",
    run = delete_job,
    answers = {
      [200] = { "The job is gone", "application/json",
        { type = "object", properties = { jobId = { type = "string" }, deleted = { type = "boolean" } } } },
    },
    errors = { 404, 409, 503 },
  },
  {
    method = "GET", path = "/Jobs/{id}/log", name = "getLog", summary = "The end of what a job's process wrote",
    run = get_log, answers = { [200] = { "Up to 64 KiB of text", "text/plain", { type = "string" } } },
    errors = { 404, 503 },
  },
  results_route("/FlowQueries/{id}/results", "getFlowQueryResults", "FlowQuery"),
  results_route("/ActiveFlows/{id}/results", "getActiveFlowResults", "ActiveFlow"),
  {
    method = "GET", path = "/healthz", name = "getHealth", summary = "Whether the server and its store are well",
    is_open = true, run = health,
    answers = {
      [200] = { "Well", "application/json", { type = "object", properties = { status = { type = "string" } } } },
      [503] = { "The store cannot be reached", "application/json",
        { type = "object", properties = { status = { type = "string" } } } },
    },
  },
  {
    method = "GET", path = "/metrics", name = "getMetrics", summary = "Figures, as text for Prometheus", run = metrics,
    answers = { [200] = { "Figures", "text/plain", { type = "string" } } },
  },
  {
    method = "GET", path = "/openapi.json", name = "getDescription", summary = "This description", run = describe,
    answers = { [200] = { "OpenAPI 3.0", "application/json", { type = "object" } } },
  },
}

for _, route in ipairs(require("earlgrey.service_search").ROUTES) do
  M.ROUTES[#M.ROUTES + 1] = route
end

-- ---- finding a route ----

-- Decodes %XX; nil where that is none, or stands for what cannot be in a name.
local function decoded(text)
  local is_bad = false
  local plain = text:gsub("%%(.?.?)", function(digits)
    local code = digits:find "^%x%x$" and tonumber(digits, 16)
    is_bad = is_bad or not code or code < 32 or code == 127
    return code and string.char(code) or ""
  end)
  if is_bad or not utf8.len(plain) then
    return nil
  end
  return plain
end

local function split(path)
  local parts = {}
  for part in path:gmatch "/([^/]*)" do
    parts[#parts + 1] = part
  end
  return parts
end

for _, route in ipairs(M.ROUTES) do
  route.parts = split(route.path)
end

local function matches(route, parts)
  if #route.parts ~= #parts then
    return false
  end
  local id
  for i, part in ipairs(route.parts) do
    if part == "{id}" then
      id = parts[i]
      if id == "" or id:find("/", 1, true) then
        return false
      end
    elseif part ~= parts[i] then
      return false
    end
  end
  return true, id
end

-- The route of a method and target, its id, and the text of the query; nil, and what is to be
-- answered, with the methods that are allowed where only the method was wrong.
function M.find(method, target)
  local path, query = target:match "^([^?#]*)%??([^#]*)$"
  if not path or path:sub(1, 1) ~= "/" then
    return nil, 400, "Bad path", "a path that begins with / expected"
  end
  local parts = split(path)
  for i, part in ipairs(parts) do
    local plain = decoded(part)
    if not plain then
      return nil, 400, "Bad path", "the path holds an escape that is none"
    end
    parts[i] = plain
  end
  local allowed = {}
  for _, route in ipairs(M.ROUTES) do
    local is_path, id = matches(route, parts)
    if is_path and (route.method == method or route.method == "GET" and method == "HEAD") then
      return route, id, query
    elseif is_path then
      allowed[#allowed + 1] = route.method
    end
  end
  if #allowed > 0 then
    return nil, 405, "Method not allowed", "allowed: " .. table.concat(allowed, ", "), table.concat(allowed, ", ")
  end
  return nil, 404, "No such route", "see /openapi.json"
end

-- The checked parameters of a query; nil and a description.
function M.query(route, text)
  local values, known = {}, route.query or {}
  for pair in text:gmatch "[^&]+" do
    local name, value = pair:match "^([^=]*)=?(.*)$"
    name, value = decoded(name), decoded((value:gsub("%+", " ")))
    local about = name and known[name]
    if not name or not value then
      return nil, "the query holds an escape that is none"
    elseif not about then
      return nil, ("'%s' is no parameter of this route"):format(name)
    elseif values[name] ~= nil then
      return nil, name .. " is given twice"
    end
    local checked, expected = about.check(value)
    if checked == nil then
      return nil, ("%s: '%s' is not %s"):format(name, value, expected)
    end
    values[name] = checked
  end
  for name, about in pairs(known) do
    if values[name] == nil then
      if about.required then
        return nil, ("%s: missing, expected %s"):format(name, select(2, about.check ""))
      end
      values[name] = about.unless_told
    end
  end
  return values
end

return M
