-- The OpenAPI 3.0 description of a table of routes (service_routes.lua) and the types of jobs
-- (service_params.lua): there is no second list that could differ.

local earlgrey = require "earlgrey"
local json = require "earlgrey.json"
local params = require "earlgrey.service_params"
local store = require "earlgrey.store"

local M = {}

local function sorted(t)
  local names = json.array {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- The body that makes a job of this type.
local function new_job_schema(kind)
  local about = params.TYPES[kind]
  local properties = {
    type = { type = "string", enum = json.array { kind } },
    name = { type = "string", maxLength = 200 },
  }
  for name, field in pairs(about.fields) do
    properties[name] = field.schema
  end
  local required = json.array { "type" }
  for _, name in ipairs(about.required or {}) do
    required[#required + 1] = name
  end
  return {
    type = "object", description = about.summary, properties = properties, required = required,
    additionalProperties = false,
  }
end

local function nullable(kind)
  return { type = kind, nullable = true }
end

local RESULT_TYPES <const> = {
  srcPort = "integer", dstPort = "integer", duration = "integer", bytes = "integer", packets = "integer",
  flows = "integer",
}

local function schemas()
  local result = { _id = { type = "integer", description = "position in the answer, from 1" } }
  for _, name in ipairs(store.RESULT_FIELDS) do
    result[name] = { type = RESULT_TYPES[name] or "string" }
  end
  local all = {
    Error = {
      type = "object", required = json.array { "message", "description" },
      properties = { message = { type = "string" }, description = { type = "string" } },
    },
    Job = {
      type = "object",
      properties = {
        _id = { type = "string", pattern = "^[0-9a-f]{24}$" },
        type = { type = "string", enum = sorted(params.TYPES) },
        name = { type = "string" },
        status = { type = "string", enum = json.array { table.unpack(store.STATUSES) } },
        createdTime = { type = "string", format = "date-time" },
        startedTime = nullable "string",
        endedTime = nullable "string",
        params = { type = "object" },
        progress = { type = "integer", minimum = 0, maximum = 100 },
        statusDetail = nullable "string",
        rowsScanned = nullable "integer",
      },
    },
    Result = { type = "object", properties = result },
    NewJob = { oneOf = json.array {}, discriminator = { propertyName = "type", mapping = {} } },
  }
  for _, kind in ipairs(sorted(params.TYPES)) do
    local name = "New" .. kind
    all[name] = new_job_schema(kind)
    local reference = "#/components/schemas/" .. name
    table.insert(all.NewJob.oneOf, { ["$ref"] = reference })
    all.NewJob.discriminator.mapping[kind] = reference
  end
  return all
end

local function content(kind, schema)
  return { [kind] = { schema = schema } }
end

local ERROR <const> = { ["$ref"] = "#/components/schemas/Error" }

local function operation(route)
  local o = { operationId = route.name, summary = route.summary, responses = {}, parameters = json.array {} }
  for name in route.path:gmatch "{(%w+)}" do
    table.insert(o.parameters, { name = name, ["in"] = "path", required = true, schema = { type = "string" } })
  end
  for _, name in ipairs(sorted(route.query or {})) do
    local about = route.query[name]
    table.insert(o.parameters, { name = name, ["in"] = "query", required = about.required or false,
      schema = about.schema, description = about.description })
  end
  if route.body then
    o.requestBody = { required = true, content = content("application/json", route.body) }
  end
  for status, about in pairs(route.answers) do
    o.responses[tostring(status)] = { description = about[1], content = content(about[2] or "application/json", about[3]) }
  end
  for _, status in ipairs(route.errors or {}) do
    o.responses[tostring(status)] = { description = M.REASONS[status], content = content("application/json", ERROR) }
  end
  if route.is_open then
    o.security = json.array {}
  end
  return o
end

M.REASONS = {
  [400] = "The request is not as it should be",
  [404] = "There is no such job",
  [409] = "The state of the job forbids it",
  [413] = "The body is too large",
  [415] = "The content type is not application/json",
  [503] = "The store cannot be reached, or there are too many jobs",
}

function M.describe(routes, has_token)
  local paths = {}
  for _, route in ipairs(routes) do
    paths[route.path] = paths[route.path] or {}
    paths[route.path][route.method:lower()] = operation(route)
  end
  return {
    openapi = "3.0.3",
    info = { title = "Earlgrey", version = earlgrey.version, description = "Jobs over NetFlow v5 captures and stores" },
    paths = paths,
    components = { schemas = schemas(), securitySchemes = { bearer = { type = "http", scheme = "bearer" } } },
    security = has_token and json.array { { bearer = json.array {} } } or json.array {},
  }
end

return M
