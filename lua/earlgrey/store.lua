-- Where jobs and their results are kept: one interface, two backends.
--
--   store.open([url]) -> store | nil, message, code
--
-- A path is an SQLite file, made where there is none ("earlgrey-jobs.db" unless told);
-- mongodb://… is a MongoDB server. Several processes may have one store open and write
-- at once. What follows is the contract of both backends; tests/lua/store_suite.lua is
-- its test.
--
-- Methods. Expected failures give nil, message, code (code: the backend's name of what
-- went wrong; store.AWAY where the store cannot be reached or is locked for now, so that
-- trying again later may help). Misuse raises: a closed store, a field that is none.
--
--   s:create_job{type=, name=, params=} -> id
--       status "Created", progress 0, createdTime. The id is new_id()'s.
--   s:job(id) -> document | nil
--       nil alone where there is none; also where id is no id (is_id).
--   s:jobs([{status=, type=, offset=, limit=}]) -> list
--       Oldest first (by _id). status may be a list. No limit: all.
--   s:count_jobs() -> { Created = n, Started = n, End = n, Failed = n, Canceled = n }
--   s:update_job(id, fields [, from]) -> true | false
--       Sets these fields and no others; json.null takes one away. With `from` (a status,
--       or a list of them) only where the job is in such a status. Test and change are one
--       atomic step. false: there is no such job, or not in such a status.
--   s:delete_job(id [, from]) -> true | false
--       The job first, by the same test, then its results.
--   s:add_results(id, documents) -> n
--       All of them, or a failure (then some may be there). `_id` of a document is its
--       position in the job's answer, an integer from 1 and without gaps, so that a page is
--       found by it; one that is there already counts as written and stays as it is. So a batch of which it is not known whether it
--       arrived is simply added again. Fails with store.NO_JOB where the job is gone.
--   s:results(id [, offset [, limit]]) -> list
--       By _id. offset 0 and limit 100 unless told.
--   s:count_results(id) -> n
--   s:drop_results(id) -> n, how many there were
--   s:close(); twice is harmless; also __close and __gc.
--
-- A job document has the fields of FIELDS, those that are nil left out:
--   _id            text, 24 hexadecimal digits
--   type           "FlowQuery", "ActiveFlow", "Ingest", "Test"
--   name           text of the user's
--   status         one of STATUSES
--   createdTime, startedTime, endedTime
--                  ISO 8601 text, UTC, ms: "2007-07-26T22:15:38.120Z" (now_text)
--   params         object of texts, numbers, booleans and lists of them, {} at least
--   progress       integer, 0 to 100
--   statusDetail   text: what it does, or why it failed
--   rowsScanned    integer: flow records that were read
--   queued         integer: the order in which jobs were started
--   pid, pidStart  integers: the process that runs it, and when that began (process.start_of)
--
-- A result document has `_id` and, of RESULT_FIELDS, what the type of job gives:
--   FlowQuery   srcAddress, dstAddress, srcPort, dstPort, protocol, time, duration, bytes, packets
--   ActiveFlow  srcAddress, dstAddress, bytes, packets, flows
-- time is "2007-07-26-22:15:38", UTC; duration milliseconds; ports and counters integers.
--
-- MongoDB: database of the URL, "EarlGrey" without one; collections "Jobs", and
-- "<type>-<id>" for the results of a job (result_name). SQLite: see store_sqlite.lua.

local earlgrey = require "earlgrey"

local M = {}

M.DEFAULT = "earlgrey-jobs.db"

M.STATUSES = { "Created", "Started", "End", "Failed", "Canceled" }

M.FIELDS = {
  "_id", "type", "name", "status", "createdTime", "startedTime", "endedTime", "params", "progress",
  "statusDetail", "rowsScanned", "queued", "pid", "pidStart",
}

M.RESULT_FIELDS = {
  "srcAddress", "dstAddress", "srcPort", "dstPort", "protocol", "time", "duration", "bytes",
  "packets", "flows",
}

-- The fields of a result by the type of its job, in the order in which they are shown.
M.ANSWERS = {
  FlowQuery = {
    "_id", "srcAddress", "dstAddress", "srcPort", "dstPort", "protocol", "time", "duration", "bytes", "packets",
  },
  ActiveFlow = { "_id", "srcAddress", "dstAddress", "bytes", "packets", "flows" },
}

-- Codes that do not depend on the backend.
M.AWAY = "STORE_AWAY"
M.NO_JOB = "STORE_NO_JOB"
M.NOT_A_STORE = "STORE_WRONG_KIND"

-- ---- ids and times ----

local function random_hex(n_bytes)
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  return (assert(file:read(n_bytes)):gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

local process_part, counter = nil, 0

-- A new id, of the form of an ObjectId: seconds since 1970, five bytes of this process,
-- a counter. So ids of one process rise.
function M.new_id()
  process_part = process_part or random_hex(5)
  counter = (counter + 1) & 0xffffff
  return ("%08x%s%06x"):format(earlgrey.clock_ms() // 1000 & 0xffffffff, process_part, counter)
end

function M.is_id(id)
  return type(id) == "string" and #id == 24 and not id:find("[^0-9a-f]")
end

-- A time of clock_ms (now, unless told) as job documents have it.
function M.now_text(clock_ms)
  clock_ms = clock_ms or earlgrey.clock_ms()
  return os.date("!%Y-%m-%dT%H:%M:%S", clock_ms // 1000) .. (".%03dZ"):format(clock_ms % 1000)
end

-- The collection of the results of a job.
function M.result_name(kind, id)
  return kind .. "-" .. id
end

-- ---- checks that the backends share ----

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do
    set[name] = true
  end
  return set
end

local IS_FIELD, IS_STATUS = set_of(M.FIELDS), set_of(M.STATUSES)

-- Raises where fields of an update are none, or cannot be changed.
function M.check_fields(fields)
  for name, value in pairs(fields) do
    if not IS_FIELD[name] or name == "_id" then
      error(("a job has no field '%s' to change"):format(tostring(name)), 3)
    elseif name == "status" and not IS_STATUS[value] then
      error(("'%s' is no status"):format(tostring(value)), 3)
    end
  end
end

-- A list of statuses of a status, a list, or nil (gives nil); raises for what is none.
function M.status_list(from)
  if from == nil then
    return nil
  end
  local list = type(from) == "table" and from or { from }
  for _, status in ipairs(list) do
    if not IS_STATUS[status] then
      error(("'%s' is no status"):format(tostring(status)), 3)
    end
  end
  return list
end

-- The document of a new job.
function M.new_job(job)
  for _, name in ipairs { "type", "name" } do
    if type(job[name]) ~= "string" then
      error(("a job needs the text '%s'"):format(name), 3)
    end
  end
  return {
    _id = M.new_id(),
    type = job.type,
    name = job.name,
    status = "Created",
    createdTime = M.now_text(),
    params = job.params or {},
    progress = 0,
  }
end

-- Counts by status, 0 where there are none.
function M.no_counts()
  local counts = {}
  for _, status in ipairs(M.STATUSES) do
    counts[status] = 0
  end
  return counts
end

-- ---- opening ----

local BACKENDS = { mongodb = "earlgrey.store_mongo", ["mongodb+srv"] = "earlgrey.store_mongo" }

-- A URL as it may be shown: without the password.
function M.shown(url)
  return (url:gsub("^(%a[%w+.-]*://[^/@]-):[^/@]*@", "%1:***@"))
end

function M.open(url)
  url = url or M.DEFAULT
  if url == "" then
    return nil, "the store is an empty text: expected a path or mongodb://host/", M.NOT_A_STORE
  end
  local scheme, rest = url:match("^(%a[%w+.-]*)://(.*)$")
  if not scheme then
    return require("earlgrey.store_sqlite").open(url)
  elseif scheme == "sqlite" then
    return require("earlgrey.store_sqlite").open(rest)
  end
  local name = BACKENDS[scheme:lower()]
  if not name then
    return nil, ("%s: expected a path of an SQLite file or mongodb://host/"):format(M.shown(url)), M.NOT_A_STORE
  end
  local found, backend = pcall(require, name)
  if not found then
    return nil, ("%s: %s"):format(M.shown(url), (tostring(backend):gsub("\n.*", ""))), M.NOT_A_STORE
  end
  return backend.open(url)
end

return M
