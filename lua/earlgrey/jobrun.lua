-- Runs one job of a store, in a process of its own: the one that server.lua starts
-- (main), or a script that was given --store (from_script).
--
-- A job that runs is Started and has this process's number. It is over when the runner has made it End or
-- Failed, always from Started: a job that was canceled meanwhile stays what it is. A process that
-- dies says nothing; whoever watches it does (service_jobs.lua).

local earlgrey = require "earlgrey"
local flow_filter = require "earlgrey.flow_filter"
local job = require "earlgrey.job"
local json = require "earlgrey.json"
local process = require "process"
local store = require "earlgrey.store"

local M = {}

-- Results that are added at once, and milliseconds between two reports.
local BATCH <const> = 2000
local REPORT_MS <const> = 500

M.STORE_OPTION = {
  value = function(text)
    return text ~= "" and text or nil, "a path or mongodb://host/"
  end,
}

M.JOB_OPTION = {
  value = function(text)
    return store.is_id(text) and text or nil, "the id of a job (24 hexadecimal digits)"
  end,
}

-- Runs f until it gives anything but a store that is away, for a minute at most: a server that
-- restarts costs a wait, and no result.
local PATIENCE_MS <const> = 60000
local function patiently(f)
  local give_up_ms = earlgrey.now_ms() + PATIENCE_MS
  while true do
    local result, message, code = f()
    if result ~= nil or code ~= store.AWAY or earlgrey.now_ms() > give_up_ms then
      return result, message, code
    end
    process.sleep(200)
  end
end

-- A store that waits by itself, where it knows how: one that tries again by its own means also finds out
-- whether a change arrived whose answer was lost, which a caller that asks again does not.
local function open_store(url)
  local s, message, code = store.open(url)
  if s and s.patience_ms then
    s.patience_ms = PATIENCE_MS
  end
  return s, message, code
end

-- ---- a job that runs ----

local run_methods = {}

-- A change that is not worth waiting for.
local function update_now(s, ...)
  local patience_ms = s.patience_ms
  s.patience_ms = patience_ms and 0
  local ok, message, code = s:update_job(...)
  s.patience_ms = patience_ms
  return ok, message, code
end

-- Says how far it is, now and then; false where the job was canceled or deleted.
function run_methods:report(percent, detail)
  local now_ms = earlgrey.now_ms()
  if now_ms < self.report_due_ms then
    return true
  end
  self.report_due_ms = now_ms + REPORT_MS
  local ok = update_now(self.store, self.id, {
    progress = math.max(0, math.min(99, percent)),
    statusDetail = detail,
  }, "Started")
  return ok ~= false -- a store that is away for a moment is no reason to stop
end

-- Reports while statements of a connection run.
function run_methods:watch(conn)
  conn:progress(function(done, total, rows)
    if not self:report(total > 0 and done * 100 // total or 0, ("%d flows read"):format(rows)) then
      self.is_canceled = true
      return true
    end
  end, REPORT_MS)
end

-- Adds documents, given one at a time; flush() adds the rest.
function run_methods:add(document)
  self.n_results = self.n_results + 1
  document._id = self.n_results
  self.batch[#self.batch + 1] = document
  if #self.batch == BATCH then
    return self:flush()
  end
  return true
end

function run_methods:flush()
  local batch = self.batch
  self.batch = {}
  if #batch == 0 then
    return true
  end
  local n, message, code
  do -- SIGTERM waits: a server may carry out what it was sent after the sender's death, and after the cleaning-up
    local held <close> = assert(process.signals "TERM")
    n, message, code = patiently(function()
      return self.store:add_results(self.id, batch)
    end)
  end
  if not n then
    return nil, message, code
  end
  if not self:report(self.percent or 0, ("%d results"):format(self.n_results)) then
    self.is_canceled = true
    return nil, "canceled"
  end
  return true
end

-- ---- the types of jobs ----

-- Each runs a job with these parameters over a source, and gives what is to be said of it and
-- how many flows it read; nil and a message where it failed.
local TYPES = {}

local function rows_read(conn)
  local figures = assert(job.figures(conn))
  return figures.flows, figures.rejected > 0 and (", %d of %d datagrams rejected"):format(figures.rejected,
    figures.datagrams) or ""
end

-- Parameters as the options of a command line are read.
local function parsed(params, spec)
  local options = {}
  for name, option in pairs(spec) do
    if params[name] ~= nil then
      local value, expected = option.value(tostring(params[name]))
      if value == nil then
        return nil, ("%s: '%s' is not %s"):format(name, params[name], expected)
      end
      options[name] = value
    end
  end
  return options
end

local FLOW_SQL <const> = [[
SELECT srcaddr, dstaddr, srcport, dstport, protocol, replace(substr(start_time, 1, 19), ' ', '-'),
duration_ms, bytes, packets FROM netflow(?)]]

local function where(terms)
  return #terms > 0 and " WHERE " .. table.concat(terms, " AND ") or ""
end

-- Runs a statement and adds a document for each row; true, or nil and a message.
local function add_rows(run, conn, sql, values, document_of)
  local stmt <close>, message = conn:prepare(sql)
  if not stmt then
    return nil, message
  end
  assert(stmt:bind(table.unpack(values)))
  while true do
    local row, why = stmt:values()
    if not row then
      if why then
        return nil, why
      end
      return run:flush()
    end
    local ok
    ok, why = run:add(document_of(row))
    if not ok then
      return nil, why
    end
  end
end

function TYPES.FlowQuery(run, params, source)
  local options, message = parsed(params, flow_filter.OPTIONS)
  if not options then
    return nil, message
  end
  local conn <close> = assert(earlgrey.open())
  run:watch(conn)
  local terms, values = flow_filter.terms(options, conn)
  if not terms then
    return nil, values
  end
  table.insert(values, 1, source)
  local ok, why = add_rows(run, conn, FLOW_SQL .. where(terms), values, function(row)
    return {
      srcAddress = row[1], dstAddress = row[2], srcPort = row[3], dstPort = row[4], protocol = row[5],
      time = row[6], duration = row[7], bytes = row[8], packets = row[9],
    }
  end)
  if not ok then
    return nil, why
  end
  local rows, rejected = rows_read(conn)
  return ("%d flows match, %d read%s"):format(run.n_results, rows, rejected), rows
end

local SPAN <const> = { start = flow_filter.TIME, ["end"] = flow_filter.TIME }

function TYPES.ActiveFlow(run, params, source)
  local options, message = parsed(params, SPAN)
  if not options then
    return nil, message
  end
  local conn <close> = assert(earlgrey.open())
  run:watch(conn)
  local terms, values = {}, { source, params.print or 10 }
  local ok, why = flow_filter.add_span(options, terms, values)
  if not ok then
    return nil, why
  end
  ok, why = add_rows(run, conn, "SELECT addr1, addr2, bytes, packets, flows FROM netflow_active(?, ?)" .. where(terms),
    values, function(row)
      return { srcAddress = row[1], dstAddress = row[2], bytes = row[3], packets = row[4], flows = row[5] }
    end)
  if not ok then
    return nil, why
  end
  local rows, rejected = rows_read(conn)
  return ("%d pairs, %d flows read%s"):format(run.n_results, rows, rejected), rows
end

function TYPES.Ingest(run, params, _, root)
  local captures = {}
  for i, path in ipairs(params.captures) do
    captures[i] = root .. "/" .. path
  end
  local conn <close> = assert(earlgrey.open())
  run:watch(conn)
  local result, message = conn:query("SELECT capture, status, rows, detail FROM netflow_ingest(?, ?)",
    table.concat(captures, "\n"), root .. "/" .. params.to)
  if not result then
    return nil, message
  end
  local counts, rows = {}, 0
  for _, row in ipairs(result) do
    print(("%s: %s, %d flows%s"):format(row.capture, row.status, row.rows, row.detail and ", " .. row.detail or ""))
    counts[row.status] = (counts[row.status] or 0) + 1
    rows = rows + row.rows
  end
  local parts = {}
  for status, n in pairs(counts) do
    parts[#parts + 1] = ("%d captures %s"):format(n, status)
  end
  table.sort(parts)
  return ("%s; %d flows"):format(table.concat(parts, ", "), rows), rows
end

-- Does nothing, for so many seconds.
function TYPES.Test(run, params)
  local total_ms = math.floor(params.running_time * 1000)
  local started_ms = earlgrey.now_ms()
  while true do
    local elapsed_ms = earlgrey.now_ms() - started_ms
    if elapsed_ms >= total_ms then
      return ("ran for %d ms"):format(elapsed_ms), 0
    elseif not run:report(elapsed_ms * 100 // total_ms, ("ran for %d ms"):format(elapsed_ms)) then
      run.is_canceled = true
      return nil, "canceled"
    end
    process.sleep(math.min(20, total_ms - elapsed_ms))
  end
end

-- ---- from start to end ----

-- Makes the job of `id` this process's.
local function take(s, id, fields)
  fields.pid = process.id()
  fields.pidStart = process.start_of(process.id())
  local is_taken, message, code = s:update_job(id, fields, fields.status == "Started" and "Created" or "Started")
  if is_taken == false then
    return nil, ("job %s is not there, or not to be started"):format(id), store.NO_JOB
  end
  return is_taken, message, code
end

-- Runs a job that was taken, and tells the store how it ended. true, or nil and a message.
local function execute(s, document, source, root)
  local run = setmetatable({ store = s, id = document._id, batch = {}, n_results = 0, report_due_ms = 0 },
    { __index = run_methods })
  local f = TYPES[document.type]
  if not f then
    return nil, ("'%s' is no type of job"):format(document.type)
  end
  local detail, rows = f(run, document.params, source, root)
  if not detail then
    return nil, run.is_canceled and "canceled" or rows
  end
  print(detail)
  local ended, message = patiently(function()
    return s:update_job(document._id, {
      status = "End", progress = 100, endedTime = store.now_text(), statusDetail = detail, rowsScanned = rows,
      pid = json.null, pidStart = json.null,
    }, "Started")
  end)
  if ended == nil then
    return nil, message
  elseif not ended then
    return nil, "canceled"
  end
  return true, detail, run.n_results
end

-- What a child of the server is: the job `id` of the store in EARLGREY_STORE, over the folder
-- or file in EARLGREY_DATA. Its failure is an error, which ends in its log.
function M.main(id)
  local s <close> = assert(patiently(function()
    return open_store(os.getenv "EARLGREY_STORE")
  end))
  local root = assert(os.getenv "EARLGREY_DATA")
  assert(patiently(function()
    return take(s, id, {})
  end))
  local document = assert(s:job(id))
  local source = document.params.source and root .. "/" .. document.params.source or root
  local ok, message = execute(s, document, source, root)
  if not ok then
    error(message, 0)
  end
end

-- A job script with --store: a new job, or the one of --job. Gives an exit code, or nil and
-- a message.
function M.from_script(kind, name, options, params, source)
  if not options.store then
    return nil, "--job needs --store; see --help", true
  elseif options.job and next(params) ~= nil then
    return nil, "--job has its filters in the store; see --help", true
  end
  local s <close>, message = open_store(options.store)
  if not s then
    return nil, message
  end
  local id = options.job
  if not id then
    id, message = s:create_job { type = kind, name = name, params = params }
    if not id then
      return nil, message
    end
  end
  local document, why = s:job(id)
  if not document then
    return nil, why or ("there is no job %s"):format(id)
  elseif document.type ~= kind then
    return nil, ("job %s is of type %s, not %s"):format(id, document.type, kind)
  end
  local taken
  taken, message = take(s, id, { status = "Started", startedTime = store.now_text() })
  if not taken then
    return nil, message
  end
  local fine, ok, detail, n_results = pcall(execute, s, document, source)
  if not fine or not ok then
    message = tostring(not fine and ok or detail)
    s:update_job(id, { status = "Failed", endedTime = store.now_text(), statusDetail = message,
      pid = json.null, pidStart = json.null }, "Started")
    s:drop_results(id)
    return nil, message
  end
  print(("job %s: %d results in %s"):format(id, n_results, store.shown(options.store)))
  return job.DONE
end

return M
