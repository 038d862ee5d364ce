-- The route of Elasticsearch's _search, over the data of the server. What the query says is
-- search.lua's; here are the request around it and where the flows are.
--
-- It runs inside the server's loop, so it may not take long: LIMIT_MS, then 503. That is plenty
-- for an indexed store. It only reads, hence any content type will do, as curl -d sends it.

local earlgrey = require "earlgrey"
local files = require "files"
local json = require "earlgrey.json"
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

-- What an index is: in a folder of data the dataset, store or capture of that name, with or
-- without ".db" behind it; all of the data where there is none, and where the data is one thing.
local function data_of(service, index)
  if files.kind(service.data) == "folder" then
    for _, ending in ipairs { "", ".db" } do
      local path = files.real(service.data .. "/" .. index .. ending)
      if path and path:sub(1, #service.data + 1) == service.data .. "/" then
        return path
      end
    end
  end
  return service.data
end

-- The connection to a store of flows, kept until another is asked or an ingest has put a new
-- file in its place; nil where the data is none.
local function store_connection(service, data)
  local identity = files.kind(data) == "file" and files.identity(data)
  if service.searched and service.searched_identity == identity then
    return service.searched
  elseif service.searched then
    service.searched:close()
    service.searched = nil
  end
  local conn = identity and earlgrey.open(data, { readonly = true })
  if conn and not conn:row "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'flow'" then
    conn:close()
    return nil
  end
  service.searched, service.searched_identity = conn or nil, identity
  return service.searched
end

-- ---- parameters ----

local TRUTHS <const> = { ["true"] = true, ["false"] = false }

local SWITCH <const> = {
  check = function(text)
    if text == "" then
      return true
    end
    return TRUTHS[text], "true or false"
  end,
  schema = { type = "boolean", default = false },
}

local WHOLE <const> = {
  check = function(text)
    return text:find "^%d+$" and math.tointeger(text), "a whole number"
  end,
  schema = { type = "integer", minimum = 0 },
}

local function list_of(text)
  local list = json.array()
  for part in text:gmatch "[^,]+" do
    list[#list + 1] = part
  end
  return list
end

-- What clients also say in the query, which then goes before the body; as the body has it.
local OVERRIDES <const> = {
  from = WHOLE,
  size = WHOLE,
  sort = {
    check = function(text)
      local list = list_of(text)
      for i, part in ipairs(list) do
        local name, direction = part:match "^(.*):(.*)$"
        list[i] = name and { [name] = direction } or part
      end
      return list
    end,
    schema = { type = "string", description = "field or field:desc; separated by commas" },
  },
  _source = {
    check = function(text)
      if TRUTHS[text] ~= nil then
        return TRUTHS[text]
      end
      return list_of(text)
    end,
    schema = { type = "string", description = "true, false, or names of fields separated by commas" },
  },
  track_total_hits = {
    check = function(text)
      if TRUTHS[text] ~= nil then
        return TRUTHS[text]
      end
      return WHOLE.check(text) or nil, "true, false or a whole number"
    end,
    schema = { type = "string", description = "true, false or a number" },
  },
}

-- The body with what the query of the request says instead.
local function overridden(body, query)
  local result = {}
  for name in pairs(OVERRIDES) do
    result[name] = query[name]
  end
  if next(result) == nil or body ~= nil and not json.is_object(body) then
    return body -- no object is refused by search.lua
  end
  for name, value in pairs(body or {}) do
    if result[name] == nil then
      result[name] = value
    end
  end
  return result
end

-- ---- the route ----

local function run(service, request)
  local index, query = request.id, request.query
  if not index:find "^[a-z0-9][a-z0-9_.-]*$" or #index > 255 then
    return refuse(400, nil, ("'%s' is no name of an index"):format(index))
  end
  local data = data_of(service, index)
  local store = store_connection(service, data)
  local from = store and search.store() or search.source(data)
  local status, text = search.answer(store or service.conn, from, index, overridden(request.json, query), {
    limit_ms = LIMIT_MS, rest_total_hits_as_int = query.rest_total_hits_as_int,
  })
  return answer_of(status, query.pretty and search.pretty(text) or text)
end

local QUERY <const> = { pretty = SWITCH, rest_total_hits_as_int = SWITCH }
for name, about in pairs(OVERRIDES) do
  QUERY[name] = about
end

local function route(method, name)
  return {
    method = method, path = "/{id}/_search", name = name,
    summary = "Elasticsearch's query for the common forms; an index is a dataset, store or capture in the data folder, or any name for all of the data",
    query = QUERY, run = run, refuse = refuse, only_reads = true,
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
