-- What a job may be asked to do: the fields of each type, how each is checked, and its part
-- of the OpenAPI description.
--
--   params.check(body, root, conn) -> { type=, name=, params= } | nil, description
--
-- A field is { check = function(value, root) -> value | nil, what was expected; schema = … }.
-- Numbers may come as texts and, where they are whole, the other way round.

local files = require "files"
local flow_filter = require "earlgrey.flow_filter"
local json = require "earlgrey.json"

local M = {}

local MAX_NAME_BYTES <const> = 200
local MAX_PRINT <const> = 10000
local MAX_CAPTURES <const> = 1000

-- ---- paths below the root ----

-- A path inside the folder `root` (a real path): relative, without dots, globs or anything
-- that a link takes elsewhere. The last part need not be there where may_be_new.
local function inside(root, path, may_be_new)
  local expected = "a relative path inside the data folder"
  if type(path) ~= "string" or path == "" or #path > 1000 or path:find("[%c*?%[\\]") or not utf8.len(path) then
    return nil, expected
  end
  for part in (path .. "/"):gmatch("([^/]*)/") do
    if part == "" or part == "." or part == ".." then
      return nil, expected
    end
  end
  local full = root .. "/" .. path
  local real = files.real(full)
  if not real and may_be_new then
    local parent = path:match("^(.*)/[^/]*$")
    real = files.real(parent and root .. "/" .. parent or root)
  elseif not real then
    return nil, "there (a relative path inside the data folder)"
  end
  if real ~= root and (not real or real:sub(1, #root + 1) ~= root .. "/") then
    return nil, expected
  end
  return path
end

local function path_field(may_be_new, description)
  return {
    check = function(value, root)
      if not root then
        return nil, "possible: the data of this server is one file"
      end
      return inside(root, value, may_be_new)
    end,
    schema = { type = "string", description = description },
  }
end

-- ---- fields ----

local function option_field(option, schema)
  return {
    check = function(value)
      if type(value) ~= "string" and math.type(value) ~= "integer" then
        return nil, select(2, option.value "")
      end
      local parsed, expected = option.value(tostring(value))
      if parsed == nil then
        return nil, expected
      end
      return flow_filter.given(parsed)
    end,
    schema = schema,
  }
end

local TIME_SCHEMA <const> = {
  type = "string",
  description = "yyyyMMddHHmmss, yyyy-MM-dd-HH:mm:ss or ISO 8601; UTC unless it says otherwise; included",
}

local function number_schema(hi, description)
  return {
    oneOf = json.array { { type = "integer", minimum = 0, maximum = hi }, { type = "string", pattern = "^[0-9]+$" } },
    description = description,
  }
end

local ADDRESS_SCHEMA <const> = { type = "string", description = "an IPv4 address, or a network as 10.0.0.0/8" }

local FLOW_FIELDS <const> = {
  src_addr = option_field(flow_filter.OPTIONS.src_addr, ADDRESS_SCHEMA),
  dst_addr = option_field(flow_filter.OPTIONS.dst_addr, ADDRESS_SCHEMA),
  src_port = option_field(flow_filter.OPTIONS.src_port, number_schema(65535)),
  dst_port = option_field(flow_filter.OPTIONS.dst_port, number_schema(65535)),
  tos = option_field(flow_filter.OPTIONS.tos, number_schema(255, "IP type of service")),
  prot = option_field(flow_filter.OPTIONS.prot, {
    oneOf = json.array { { type = "integer", minimum = 0, maximum = 255 }, { type = "string" } },
    description = "keyword in any case (tcp) or number",
  }),
}

local START <const> = option_field(flow_filter.TIME, TIME_SCHEMA)
local SOURCE <const> = path_field(false, "what to read, inside the data folder; all of it without one")

local CAPTURES <const> = {
  check = function(value, root)
    local list = type(value) == "string" and { value } or value
    local expected = "a path, or a list of 1 to " .. MAX_CAPTURES .. " of them, inside the data folder"
    if not root then
      return nil, "possible: the data of this server is one file"
    elseif type(list) ~= "table" or #list == 0 or #list > MAX_CAPTURES then
      return nil, expected
    end
    local paths = json.array {}
    for i, path in ipairs(list) do
      local checked, why = inside(root, path)
      if not checked then
        return nil, why
      end
      paths[i] = checked
    end
    return paths
  end,
  schema = {
    oneOf = json.array {
      { type = "string" },
      { type = "array", items = { type = "string" }, minItems = 1, maxItems = MAX_CAPTURES },
    },
    description = "captures, or folders of them, inside the data folder",
  },
}

local function number_field(lo, hi, is_whole, description)
  return {
    check = function(value)
      local n = tonumber(value)
      n = n and (math.tointeger(n) or n)
      if n and n >= lo and n <= hi and (math.type(n) == "integer" or not is_whole) then
        return n
      end
      return nil, ("a %snumber from %d to %d"):format(is_whole and "whole " or "", lo, hi)
    end,
    schema = { type = is_whole and "integer" or "number", minimum = lo, maximum = hi, description = description },
  }
end

local function ends_before_start(params)
  local ok, message = flow_filter.add_span({
    start = params.start and flow_filter.TIME.value(params.start),
    ["end"] = params["end"] and flow_filter.TIME.value(params["end"]),
  }, {}, {})
  return not ok and message or nil
end

-- The types: their fields, which of them are required, and what they must be together.
M.TYPES = {
  FlowQuery = {
    summary = "The flows that pass all filters; at least one address or port",
    fields = flow_filter.options { source = SOURCE },
    together = function(params, conn)
      if not (params.src_addr or params.dst_addr or params.src_port or params.dst_port) then
        return "at least one of src_addr, dst_addr, src_port and dst_port is needed"
      end
      local terms, message = flow_filter.terms({ prot = params.prot and tostring(params.prot) }, conn)
      return not terms and message or ends_before_start(params)
    end,
  },
  ActiveFlow = {
    summary = "The pairs of addresses that exchanged most bytes, both directions summed",
    fields = {
      start = START, ["end"] = START, source = SOURCE,
      print = number_field(1, MAX_PRINT, true, "how many pairs, 10 unless told"),
    },
    together = ends_before_start,
  },
  Ingest = {
    summary = "Stores captures, each exactly once",
    fields = {
      captures = CAPTURES,
      to = path_field(true, "a dataset or a .db file inside the data folder, made where there is none"),
    },
    required = { "captures", "to" },
  },
  Test = {
    summary = "Does nothing, for so many seconds",
    fields = { running_time = number_field(0, 3600, false, "seconds") },
    required = { "running_time" },
  },
}

for name in pairs(flow_filter.OPTIONS) do
  M.TYPES.FlowQuery.fields[name] = FLOW_FIELDS[name] or START
end

-- ---- the check ----

-- The types of jobs, in order.
function M.type_names()
  local names = {}
  for name in pairs(M.TYPES) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- Names of a table in order, so that the same mistake gives the same message.
local function sorted_names(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

function M.check(body, root, conn)
  if type(body) ~= "table" or #body > 0 or getmetatable(body) ~= nil then
    return nil, "a JSON object expected"
  end
  local kind = M.TYPES[body.type]
  if not kind then
    return nil, "type: " .. table.concat(M.type_names(), ", ") .. " expected"
  end
  local name = body.name == nil and body.type or body.name
  if type(name) ~= "string" or #name > MAX_NAME_BYTES or not utf8.len(name) or name:find("%c") then
    return nil, ("name: a text of at most %d bytes without control characters expected"):format(MAX_NAME_BYTES)
  end
  local params = {}
  for _, field in ipairs(sorted_names(body)) do
    if field ~= "type" and field ~= "name" then
      local about, value = kind.fields[field], body[field]
      if not about then
        return nil, ("%s: a %s has no such field, but %s"):format(field, body.type,
          table.concat(sorted_names(kind.fields), ", "))
      end
      if value ~= json.null then
        local expected
        params[field], expected = about.check(value, root)
        if params[field] == nil then
          local shown = type(value) == "table" and "what was given" or ("'%s'"):format(tostring(value):sub(1, 100))
          return nil, ("%s: %s is not %s"):format(field, shown, expected)
        end
      end
    end
  end
  for _, field in ipairs(kind.required or {}) do
    if params[field] == nil then
      return nil, field .. ": missing"
    end
  end
  local message = kind.together and kind.together(params, conn)
  if message then
    return nil, message
  end
  return { type = body.type, name = name, params = params }
end

return M
