-- The route of Elasticsearch's _search, over the data of the server. What the query says is
-- search.lua's; here are the request around it and where the flows are.
--
-- It runs inside the server's loop, so it may not take long: LIMIT_MS, then 503. That is plenty
-- for an indexed store. It only reads, hence any content type will do, as curl -d sends it.

local earlgrey = require "earlgrey"
local files = require "files"
local search = require "earlgrey.search"

local M = {}

local LIMIT_MS <const> = 2000

local JSON_HEADERS <const> = { ["Content-Type"] = "application/json; charset=utf-8" }

local function answer_of(status, text)
  return { status = status, body = text, headers = JSON_HEADERS }
end

-- Failures of the request, in Elasticsearch's shape.
local function refuse(status, _, description)
  return answer_of(search.error(status, status == 400 and "parsing_exception" or "status_exception", description))
end

-- The connection to a store of flows, kept until an ingest has put a new file in its place; nil
-- where the data is none.
local function store_connection(service)
  local identity = files.kind(service.data) == "file" and files.identity(service.data)
  if service.searched and service.searched_identity == identity then
    return service.searched
  elseif service.searched then
    service.searched:close()
    service.searched = nil
  end
  local conn = identity and earlgrey.open(service.data, { readonly = true })
  if conn and not conn:row "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'flow'" then
    conn:close()
    return nil
  end
  service.searched, service.searched_identity = conn or nil, identity
  return service.searched
end

local function run(service, request)
  local index, query = request.id, request.query
  if not index:find "^[a-z0-9][a-z0-9_.-]*$" or #index > 255 then
    return refuse(400, nil, ("'%s' is no name of an index"):format(index))
  end
  local store = store_connection(service)
  local from = store and search.store() or search.source(service.data)
  local status, text = search.answer(store or service.conn, from, index, request.json, {
    limit_ms = LIMIT_MS, rest_total_hits_as_int = query.rest_total_hits_as_int,
  })
  return answer_of(status, query.pretty and search.pretty(text) or text)
end

local SWITCH <const> = {
  check = function(text)
    if text == "" or text == "true" then
      return true
    elseif text == "false" then
      return false
    end
    return nil, "true or false"
  end,
  schema = { type = "boolean", default = false },
}

local function route(method, name)
  return {
    method = method, path = "/{id}/_search", name = name,
    summary = "Elasticsearch's query for the common forms; any name of an index stands for the data of the server",
    query = { pretty = SWITCH, rest_total_hits_as_int = SWITCH }, run = run, refuse = refuse, only_reads = true,
    body = { type = "object" },
    answers = {
      [200] = { "took, timed_out, _shards, hits", "application/json", { type = "object" } },
      [400] = { "What is not answered, in Elasticsearch's shape of errors", "application/json", { type = "object" } },
      [503] = { ("It took more than %d ms"):format(LIMIT_MS), "application/json", { type = "object" } },
    },
    errors = { 413 },
  }
end

M.ROUTES = { route("POST", "search"), route("GET", "searchByGet") }

return M
