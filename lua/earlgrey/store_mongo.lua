-- Jobs and results in MongoDB. The contract is at the head of store.lua.
--
--   Jobs           a document a job: its fields, _id an ObjectId; and `change`, a mark of the
--                  last update that asked for a status
--   <type>-<id>    a document a result, _id its position in the answer
--
-- A server that goes away and comes back costs time and nothing else. What is not known
-- to have arrived is done again, and nothing is done twice: results and jobs have their
-- _id from the start, so that one that is there already tells so (no upserts: on FerretDB
-- each of these reads the whole collection), and an update finds its own mark.
--
-- Two fields of a store may be set: patience_ms, how long a call goes on trying while the
-- server is away, after its first failure (0: what waits is the server's selection time, 5 s);
-- and results_patience_ms, the same for results, which are kept and sent again (60,000).

local earlgrey = require "earlgrey"
local json = require "earlgrey.json"
local mongo = require "mongo"
local store = require "earlgrey.store"

local M = {}

local DATABASE <const> = "EarlGrey"
local FIRST_PAUSE_MS <const>, LONGEST_PAUSE_MS <const> = 50, 2000

local methods = {}

-- ---- failures ----

-- Whether an operation may, or may not, have been carried out.
local function is_unknown(code)
  return code == "MONGO_NETWORK"
end

local function is_away(code)
  return code == "MONGO_NETWORK" or code == "MONGO_NO_SERVER"
end

local function failed(message, code)
  return nil, message, is_away(code) and store.AWAY or code
end

local function check_open(self)
  if not self.client then
    error("attempt to use a closed store", 3)
  end
end

-- Calls f(n) until it succeeds, fails for another reason than that the server is away, or
-- the time is over; n counts the calls from 1. A connection that was lost is tried once
-- more in any case: the server may have been started anew since it was last used.
local function persist(patience_ms, f)
  local give_up_ms, pause_ms, n = nil, FIRST_PAUSE_MS, 0
  while true do
    n = n + 1
    local result, message, code = f(n)
    if result ~= nil or not message then
      return result
    elseif not is_away(code) then
      return failed(message, code)
    end
    local now_ms = earlgrey.now_ms()
    give_up_ms = give_up_ms or now_ms + patience_ms
    if now_ms >= give_up_ms and not (is_unknown(code) and n == 1) then
      return failed(message, code)
    end
    if n > 1 then
      mongo.sleep(pause_ms)
      pause_ms = math.min(2 * pause_ms, LONGEST_PAUSE_MS)
    end
  end
end

local function try(self, f)
  return persist(self.patience_ms, f)
end

-- All documents of a cursor's answer as a list.
local function list_of(cursor, message, code)
  if not cursor then
    return nil, message, code
  end
  local list <close> = cursor
  local documents = {}
  while true do
    local document
    document, message, code = cursor:next()
    if not document then
      if message then
        return nil, message, code
      end
      return documents
    end
    documents[#documents + 1] = document
  end
end

-- ---- jobs ----

local function job_of(document)
  local job = {}
  for _, field in ipairs(store.FIELDS) do
    job[field] = document[field]
  end
  job._id = document._id.value
  return job
end

-- The filter of a job, in one of the statuses where these are given.
local function filter_of(id, from)
  return { _id = mongo.objectid(id), status = from and { ["$in"] = json.array(from) } }
end

function methods:create_job(job)
  check_open(self)
  local document = store.new_job(job)
  local id = document._id
  document._id = mongo.objectid(id)
  return try(self, function()
    local written, message, code = self.jobs_collection:bulk { document }
    if written and #written.errors > 0 then
      written, message, code = nil, written.errors[1].message, "MONGO_SERVER"
    end
    return written and id, message, code
  end)
end

function methods:job(id)
  check_open(self)
  if not store.is_id(id) then
    return nil
  end
  return try(self, function()
    local document, message, code = self.jobs_collection:find_one(filter_of(id))
    return document and job_of(document), message, code
  end)
end

function methods:jobs(options)
  check_open(self)
  options = options or {}
  local statuses = store.status_list(options.status)
  if options.limit == 0 then
    return {} -- to MongoDB, 0 is no limit
  end
  local filter = { status = statuses and { ["$in"] = json.array(statuses) }, type = options.type }
  return try(self, function()
    local list, message, code = list_of(self.jobs_collection:find(filter,
      { sort = { _id = 1 }, skip = options.offset, limit = options.limit }))
    for i, document in ipairs(list or {}) do
      list[i] = job_of(document)
    end
    return list, message, code
  end)
end

function methods:count_jobs()
  check_open(self)
  return try(self, function()
    local list, message, code = list_of(self.jobs_collection:aggregate {
      { ["$group"] = { _id = "$status", n = { ["$sum"] = 1 } } },
    })
    if not list then
      return nil, message, code
    end
    local counts = store.no_counts()
    for _, group in ipairs(list) do
      counts[group._id] = group.n
    end
    return counts
  end)
end

-- What became of an update of which it is not known: true where its mark is there.
local function was_made(self, id, mark)
  local document, message, code = self.jobs_collection:find_one(filter_of(id), { projection = { change = 1 } })
  if not document and message then
    return nil, message, code
  end
  return document ~= nil and document.change == mark
end

function methods:update_job(id, fields, from)
  check_open(self)
  store.check_fields(fields)
  from = store.status_list(from)
  if not store.is_id(id) then
    return false
  end
  local mark = store.new_id()
  local set, unset = { change = mark }, {}
  for field, value in pairs(fields) do
    if value == json.null then
      unset[field] = ""
    else
      set[field] = value
    end
  end
  local change = { ["$set"] = set, ["$unset"] = next(unset) and unset }
  return try(self, function(n)
    if n > 1 and from then
      local made, message, code = was_made(self, id, mark)
      if made ~= false then
        return made, message, code
      end
    end
    local result, message, code = self.jobs_collection:update(filter_of(id, from), change)
    if not result then
      return nil, message, code
    end
    return result.matched > 0
  end)
end

-- The type of a job as it is in the store: false where there is no such job.
local function read_type(self, id, patience_ms)
  return persist(patience_ms, function()
    local document, message, code = self.jobs_collection:find_one(filter_of(id), { projection = { type = 1 } })
    if not document and message then
      return nil, message, code
    end
    return document ~= nil and document.type
  end)
end

-- The collection of a job's results: false where there is no such job. The type of a job
-- never changes, so it is asked for once.
local function results_of(self, id, patience_ms)
  if not store.is_id(id) then
    return false
  end
  if not self.types[id] then
    local kind, message, code = read_type(self, id, patience_ms or self.patience_ms)
    if not kind then
      return kind, message, code
    end
    self.types[id] = kind
  end
  return self.client:collection(self.database, store.result_name(self.types[id], id))
end

function methods:delete_job(id, from)
  check_open(self)
  from = store.status_list(from)
  local results, message, code = results_of(self, id)
  if not results then
    return results, message, code
  end
  local deleted
  deleted, message, code = try(self, function(n)
    local n_deleted, why, what = self.jobs_collection:delete(filter_of(id, from))
    if n_deleted == 0 and n > 1 then -- an earlier try may have done it
      local document
      document, why, what = self.jobs_collection:find_one(filter_of(id))
      if not document and why then
        return nil, why, what
      end
      return document == nil
    end
    return n_deleted and n_deleted > 0, why, what
  end)
  if not deleted then
    return deleted, message, code
  end
  self.types[id] = nil
  local dropped
  dropped, message, code = try(self, function()
    return results:drop()
  end)
  if dropped == nil then
    return nil, message, code
  end
  return true
end

-- ---- results ----

local function no_job(id)
  return nil, ("there is no job '%s'"):format(tostring(id)), store.NO_JOB
end

function methods:add_results(id, documents)
  check_open(self)
  local patience_ms = self.results_patience_ms
  local results, message, code = results_of(self, id, patience_ms)
  if not results then
    if message then
      return nil, message, code
    end
    return no_job(id)
  end
  local n
  n, message, code = persist(patience_ms, function()
    local written, why, what = results:bulk(documents)
    if written and #written.errors > 0 then
      written, why, what = nil, written.errors[1].message, "MONGO_SERVER"
    end
    return written and #documents, why, what
  end)
  if not n then
    return nil, message, code
  end
  -- The job may have been deleted meanwhile: then nobody would ever drop these.
  local kind
  kind, message, code = read_type(self, id, patience_ms)
  if kind then
    return n
  elseif message then
    return nil, message, code
  end
  self.types[id] = nil
  results:drop()
  return no_job(id)
end

function methods:results(id, offset, limit)
  check_open(self)
  local results, message, code = results_of(self, id)
  if results == nil then
    return nil, message, code
  elseif not results or limit == 0 then
    return {}
  end
  return try(self, function()
    return list_of(results:find({}, { sort = { _id = 1 }, skip = offset or 0, limit = limit or 100 }))
  end)
end

function methods:count_results(id)
  check_open(self)
  local results, message, code = results_of(self, id)
  if results == nil then
    return nil, message, code
  end
  return results and try(self, function()
    return results:count()
  end) or 0
end

function methods:drop_results(id)
  check_open(self)
  local results, message, code = results_of(self, id)
  if results == nil then
    return nil, message, code
  elseif not results then
    return 0
  end
  local n
  return try(self, function()
    local there, why, what = results:count()
    n = n or there -- what was there before the first try
    if not there then
      return nil, why, what
    end
    local dropped
    dropped, why, what = results:drop()
    if dropped == nil then
      return nil, why, what
    end
    return n
  end)
end

-- ---- opening and closing ----

function methods:close()
  if self.client then
    self.client:close()
    self.client, self.jobs_collection = nil, nil
  end
end

local meta = {
  __name = "earlgrey.store",
  __index = methods,
  __close = methods.close,
  __gc = methods.close,
  __tostring = function(self)
    return ("store (%s)"):format(self.client and self.url or "closed")
  end,
}

function M.open(url)
  local client, message, code = mongo.open(url)
  if not client then
    return failed(("%s: %s"):format(store.shown(url), message), code)
  end
  local database = client:database() or DATABASE
  return setmetatable({
    client = client,
    database = database,
    jobs_collection = client:collection(database, "Jobs"),
    patience_ms = 0,
    results_patience_ms = 60000,
    types = {},
    url = store.shown(url),
  }, meta)
end

return M
