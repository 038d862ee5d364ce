-- Jobs and results in an SQLite file. The contract is at the head of store.lua.
--
--   job     a row a job: number, id, and a column for each field
--   result  a row a result: job (its number), position, and the fields of the document
--   answer  a view: result with the job's id in front
--
-- A write-ahead log, so that the server reads what it is asked for while jobs write; that
-- wants a local disk, as every write-ahead log does. Each commit is synced: a job that was
-- acknowledged outlives a power cut. Writers take turns, for as long as a batch of results
-- takes, and wait for one another for up to BUSY_MS.

local earlgrey = require "earlgrey"
local json = require "earlgrey.json"
local store = require "earlgrey.store"

local M = {}

local APPLICATION_ID <const> = 0x45474a53 -- "EGJS"
local VERSION <const> = 1
local BUSY_MS <const> = 5000

local SCHEMA <const> = [[
CREATE TABLE job(
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('Created', 'Started', 'End', 'Failed', 'Canceled')),
  created_time TEXT NOT NULL,
  started_time TEXT,
  ended_time TEXT,
  params TEXT NOT NULL,
  progress INTEGER NOT NULL,
  status_detail TEXT,
  rows_scanned INTEGER,
  queued INTEGER,
  pid INTEGER,
  pid_start INTEGER
);
CREATE INDEX job_by_status ON job(status);
CREATE TABLE result(
  job INTEGER NOT NULL REFERENCES job(number) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  srcAddress TEXT, dstAddress TEXT, srcPort INTEGER, dstPort INTEGER, protocol TEXT,
  time TEXT, duration INTEGER, bytes INTEGER, packets INTEGER, flows INTEGER,
  PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE VIEW answer AS SELECT job.id, job.type, job.name, result.position, srcAddress, dstAddress,
  srcPort, dstPort, protocol, time, duration, bytes, packets, flows
  FROM result JOIN job ON job.number = result.job;
]]

-- Fields of a job document, and their columns.
local COLUMN <const> = {
  _id = "id", type = "type", name = "name", status = "status", createdTime = "created_time",
  startedTime = "started_time", endedTime = "ended_time", params = "params", progress = "progress",
  statusDetail = "status_detail", rowsScanned = "rows_scanned", queued = "queued", pid = "pid", pidStart = "pid_start",
}

local N_RESULT_FIELDS <const> = #store.RESULT_FIELDS

local SQL <const> = {
  insert = "INSERT INTO job(id, type, name, status, created_time, params, progress) VALUES (?, ?, ?, ?, ?, ?, ?)",
  job = "SELECT * FROM job WHERE id = ?",
  count = "SELECT status, count(*) AS n FROM job GROUP BY status",
  number = "SELECT number FROM job WHERE id = ?",
  add = "INSERT INTO result(job, position, " .. table.concat(store.RESULT_FIELDS, ", ") .. ") VALUES (?, ?"
    .. (", ?"):rep(N_RESULT_FIELDS) .. ") ON CONFLICT DO NOTHING",
  results = "SELECT position, " .. table.concat(store.RESULT_FIELDS, ", ")
    .. " FROM result WHERE job = (SELECT number FROM job WHERE id = ?) AND position > ? ORDER BY position LIMIT ?",
  -- Positions have no gaps: no row needs to be counted or skipped.
  results_count = "SELECT ifnull(max(position), 0) AS n FROM result WHERE job = (SELECT number FROM job WHERE id = ?)",
  results_drop = "DELETE FROM result WHERE job = (SELECT number FROM job WHERE id = ?)",
}

local methods = {}

-- ---- failures and transactions ----

-- A failure as the contract has it: what waiting may help is AWAY.
local function failed(message, code)
  if code and (code:find("^SQLITE_BUSY") or code:find("^SQLITE_LOCKED")) then
    code = store.AWAY
  end
  return nil, message, code
end

local function connection(self)
  return self.conn or error("attempt to use a closed store", 3)
end

-- A statement that is kept, with these values.
local function bound(self, name, ...)
  local stmt = self.stmts[name]
  if not stmt then
    local message, code
    stmt, message, code = self.conn:prepare(SQL[name])
    if not stmt then
      return failed(message, code)
    end
    self.stmts[name] = stmt
  end
  return stmt:bind(...)
end

-- Runs f inside a transaction that writes; gives what f gives. A failure of f (nil, message,
-- code) undoes it.
local function write(self, f)
  local ok, message, code = self.conn:exec "BEGIN IMMEDIATE"
  if not ok then
    return failed(message, code)
  end
  local fine, result, why, what = pcall(f)
  if fine and result ~= nil then
    ok, message, code = self.conn:exec "COMMIT"
    if ok then
      return result
    end
    self.conn:exec "ROLLBACK"
    return failed(message, code)
  end
  self.conn:exec "ROLLBACK"
  if not fine then
    error(result, 0)
  end
  return failed(why, what)
end

-- The first row of a kept statement; nil alone where there is none.
local function first_row(self, name, ...)
  local stmt, message, code = bound(self, name, ...)
  if not stmt then
    return failed(message, code)
  end
  local row
  row, message, code = stmt:row()
  if not row and message then
    return failed(message, code)
  end
  stmt:reset()
  return row
end

-- ---- jobs ----

local function document_of(row)
  local document = {}
  for field, column in pairs(COLUMN) do
    document[field] = row[column]
  end
  document.params = json.decode(row.params)
  return document
end

local function params_text(params)
  return next(params) == nil and "{}" or json.encode(params)
end

function methods:create_job(job)
  connection(self)
  local d = store.new_job(job)
  local params = params_text(d.params)
  return write(self, function()
    local stmt, message, code = bound(self, "insert", d._id, d.type, d.name, d.status, d.createdTime, params, d.progress)
    if not stmt then
      return nil, message, code
    end
    local _, why, what = stmt:row()
    if why then
      return nil, why, what
    end
    return d._id
  end)
end

function methods:job(id)
  connection(self)
  if not store.is_id(id) then
    return nil
  end
  local row, message, code = first_row(self, "job", id)
  if not row then
    if message then
      return nil, message, code
    end
    return nil
  end
  return document_of(row)
end

-- "(?, ?)" for a list of values, which are added to `values`.
local function in_list(list, values)
  for _, value in ipairs(list) do
    values[#values + 1] = value
  end
  return "(" .. ("?, "):rep(#list):sub(1, -3) .. ")"
end

function methods:jobs(options)
  local conn = connection(self)
  options = options or {}
  local terms, values = {}, {}
  local statuses = store.status_list(options.status)
  if statuses then
    terms[#terms + 1] = "status IN " .. in_list(statuses, values)
  end
  if options.type then
    terms[#terms + 1] = "type = ?"
    values[#values + 1] = options.type
  end
  values[#values + 1] = options.limit or -1
  values[#values + 1] = options.offset or 0
  local result, message, code = conn:query("SELECT * FROM job"
    .. (#terms > 0 and " WHERE " .. table.concat(terms, " AND ") or "")
    .. " ORDER BY id LIMIT ? OFFSET ?", table.unpack(values))
  if not result then
    return failed(message, code)
  end
  local list = {}
  for i, row in ipairs(result) do
    list[i] = document_of(row)
  end
  return list
end

function methods:count_jobs()
  local result, message, code = connection(self):query(SQL.count)
  if not result then
    return failed(message, code)
  end
  local counts = store.no_counts()
  for _, row in ipairs(result) do
    counts[row.status] = row.n
  end
  return counts
end

-- One statement that changes the job `id`; true where it did.
local function change(self, sql, id, values, from)
  values[#values + 1] = id
  sql = sql .. " WHERE id = ?"
  if from then
    sql = sql .. " AND status IN " .. in_list(from, values)
  end
  return write(self, function()
    local result, message, code = self.conn:query(sql, table.unpack(values))
    if not result then
      return nil, message, code
    end
    return self.conn:changes() > 0
  end)
end

function methods:update_job(id, fields, from)
  connection(self)
  store.check_fields(fields)
  from = store.status_list(from)
  local sets, values = {}, {}
  for field, value in pairs(fields) do
    if value == json.null then
      sets[#sets + 1] = COLUMN[field] .. " = NULL"
    else
      sets[#sets + 1] = COLUMN[field] .. " = ?"
      values[#values + 1] = field == "params" and params_text(value) or value
    end
  end
  if #sets == 0 then
    sets[1] = "id = id"
  end
  return change(self, "UPDATE job SET " .. table.concat(sets, ", "), id, values, from)
end

-- The results go with the job: ON DELETE CASCADE.
function methods:delete_job(id, from)
  connection(self)
  return change(self, "DELETE FROM job", id, {}, store.status_list(from))
end

-- ---- results ----

function methods:add_results(id, documents)
  connection(self)
  local fields = store.RESULT_FIELDS
  return write(self, function()
    local job, message, code = first_row(self, "number", id)
    if not job then
      return nil, message or ("there is no job '%s'"):format(tostring(id)), code or store.NO_JOB
    end
    local values = {}
    for _, document in ipairs(documents) do
      for i = 1, N_RESULT_FIELDS do
        values[i] = document[fields[i]]
      end
      local stmt, why, what = bound(self, "add", job.number, document._id, table.unpack(values, 1, N_RESULT_FIELDS))
      if stmt then
        stmt, why, what = stmt:row()
      end
      if why then
        return nil, why, what
      end
    end
    return #documents
  end)
end

function methods:results(id, offset, limit)
  connection(self)
  local stmt, message, code = bound(self, "results", id, offset or 0, limit or 100)
  if not stmt then
    return nil, message, code
  end
  local fields, list = store.RESULT_FIELDS, {}
  while true do
    local values
    values, message, code = stmt:values()
    if not values then
      if message then
        return failed(message, code)
      end
      return list
    end
    local document = { _id = values[1] }
    for i = 1, N_RESULT_FIELDS do
      document[fields[i]] = values[i + 1]
    end
    list[#list + 1] = document
  end
end

function methods:count_results(id)
  connection(self)
  local row, message, code = first_row(self, "results_count", id)
  if not row then
    return nil, message, code
  end
  return row.n
end

function methods:drop_results(id)
  connection(self)
  return write(self, function()
    local stmt, message, code = bound(self, "results_drop", id)
    if stmt then
      stmt, message, code = stmt:row()
    end
    if message then
      return nil, message, code
    end
    return self.conn:changes()
  end)
end

-- ---- opening and closing ----

function methods:close()
  if self.conn then
    self.conn:close() -- its statements too
    self.conn, self.stmts = nil, nil
  end
end

local meta = {
  __name = "earlgrey.store",
  __index = methods,
  __close = methods.close,
  __gc = methods.close,
  __tostring = function(self)
    return ("store (%s)"):format(self.conn and self.path or "closed")
  end,
}

-- Whose the database is: "ours", "empty", or nil, message, code.
local function owner(conn, path)
  local state, message, code = conn:row [[
    SELECT application_id AS id, user_version AS version, (SELECT count(*) FROM sqlite_schema) AS n
    FROM pragma_application_id, pragma_user_version]]
  if not state then
    return nil, ("%s: %s"):format(path, message), code
  elseif state.id == APPLICATION_ID and state.version == VERSION then
    return "ours"
  elseif state.id == APPLICATION_ID then
    return nil, ("%s: a store of jobs of version %d, expected %d"):format(path, state.version, VERSION),
      store.NOT_A_STORE
  elseif state.id ~= 0 or state.n > 0 then
    return nil, ("%s: a database, but no store of jobs: expected one that was made as such, or a new name")
      :format(path), store.NOT_A_STORE
  end
  return "empty"
end

-- The change of the journal's mode does not wait for others by itself.
local function use_write_ahead_log(conn, path)
  local give_up_ms = earlgrey.now_ms() + BUSY_MS
  while true do
    local mode, message, code = conn:row "PRAGMA journal_mode = WAL"
    if mode then
      return true
    elseif not code:find("^SQLITE_BUSY") or earlgrey.now_ms() > give_up_ms then
      return failed(("%s: %s"):format(path, message), code)
    end
  end
end

-- Makes the tables in an empty database; refuses one of others.
local function prepare(self)
  local conn, path = self.conn, self.path
  local whose, message, code = owner(conn, path)
  if whose ~= "empty" then
    return whose, message, code
  end
  local ok
  ok, message, code = use_write_ahead_log(conn, path)
  if not ok then
    return nil, message, code
  end
  return write(self, function()
    local now_whose, why, what = owner(conn, path) -- another process may have been quicker
    if now_whose ~= "empty" then
      return now_whose, why, what
    end
    return conn:exec(SCHEMA .. ("PRAGMA application_id = %d; PRAGMA user_version = %d;")
      :format(APPLICATION_ID, VERSION))
  end)
end

function M.open(path)
  local conn, message, code = earlgrey.open(path)
  if not conn then
    return failed(message, code)
  end
  local self = setmetatable({ conn = conn, stmts = {}, path = path }, meta)
  local ok
  ok, message, code = conn:exec(("PRAGMA busy_timeout = %d; PRAGMA foreign_keys = ON;"):format(BUSY_MS))
  if ok then
    ok, message, code = prepare(self)
  end
  if not ok then
    self:close()
    return failed(message, code)
  end
  return self
end

return M
