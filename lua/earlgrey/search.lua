-- Elasticsearch's _search over flows: a query of its language becomes one SQL
-- statement whose values are all bound, the answer has its shape.
--
--   search.answer(conn, from, index, body [, options]) -> status, JSON text
--
-- `from` says where the flows are: search.store() for the table flow of the
-- SQLite store that conn has open, search.source(path) for anything that
-- netflow() reads. `body` is the decoded request, nil for none. What is not
-- answered here gives 400 and Elasticsearch's shape of errors.
--
-- Known: term, terms, range, exists, ids, bool (must, filter, should, must_not,
-- minimum_should_match), constant_score, match_all, match_none; from, size,
-- sort, _source, track_total_hits. Every hit scores 1.0.

local earlgrey = require "earlgrey"
local json = require "earlgrey.json"
local time = require "earlgrey.time"

local M = {}

local MAX_WINDOW <const> = 10000 -- from + size, as Elasticsearch's max_result_window
local MAX_DEPTH <const> = 20
local MAX_TERMS <const> = 65536
local LIMIT_MS <const> = 30000

-- ---- what documents have ----

-- The fields in the order of a document.
local FIELDS <const> = {
  { name = "srcAddress", kind = "address", column = "srcaddr" },
  { name = "dstAddress", kind = "address", column = "dstaddr" },
  { name = "srcPort", kind = "number", column = "srcport" },
  { name = "dstPort", kind = "number", column = "dstport" },
  { name = "protocol", kind = "protocol", column = "protocol" },
  { name = "time", kind = "time", column = "start_ms" },
  { name = "duration", kind = "number", column = "duration_ms" },
  { name = "bytes", kind = "number", column = "bytes" },
  { name = "packets", kind = "number", column = "packets" },
  { name = "tcpFlags", kind = "number", column = "tcp_flags" },
  { name = "tos", kind = "number", column = "tos" },
}

local BY_NAME <const> = {}
for _, field in ipairs(FIELDS) do
  BY_NAME[field.name] = field
end

-- Where flows are: the FROM clause, what it binds, the rows' id, and an
-- address's column as a number.
function M.store()
  return { sql = "flow", values = {}, id = "id", number = "%s_num" }
end

function M.source(path)
  return { sql = "netflow(?)", values = { path }, id = "rowid", number = "ip4_num(%s)" }
end

-- ---- refusals ----

local REFUSAL <const> = { __name = "search refusal" }

local function refuse(kind, reason, ...)
  error(setmetatable({ type = kind, reason = reason:format(...) }, REFUSAL), 0)
end

local function parsing(reason, ...)
  refuse("parsing_exception", reason, ...)
end

function M.error(status, kind, reason)
  local cause = { type = kind, reason = reason }
  return status, json.encode {
    error = { root_cause = json.array { cause }, type = kind, reason = reason }, status = status,
  }
end

-- ---- values ----

local function show(value)
  return type(value) == "table" and json.encode(value) or tostring(value)
end

local function address_number(text)
  local a, b, c, d = text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")
  if not a then
    return nil
  end
  local number = 0
  for _, part in ipairs { a, b, c, d } do
    local n = math.tointeger(part)
    if n > 255 or (#part > 1 and part:sub(1, 1) == "0") then
      return nil
    end
    number = number << 8 | n
  end
  return number
end

-- First and last address of what a text names: an address, a network.
local function address_range(field, value)
  if type(value) == "string" then
    local address, bits = value:match("^([^/]+)/(%d%d?)$")
    local number = address_number(address or value)
    bits = math.tointeger(bits or 32)
    if number and bits <= 32 then
      local host = (1 << 32 - bits) - 1
      return number & ~host, number | host
    end
  end
  refuse("query_shard_exception", "failed to create query: [%s] of field [%s] is no IPv4 address or network",
    show(value), field.name)
end

local function number_of(field, value)
  local number = math.tointeger(value) or (type(value) == "number" and value)
    or (type(value) == "string" and value:match("^%-?%d+$") and math.tointeger(value))
  if not number then
    refuse("query_shard_exception", "failed to create query: [%s] of field [%s] is no number", show(value), field.name)
  end
  return number
end

-- First and last millisecond of a time; a number is milliseconds since 1970.
local function time_range(field, value)
  if math.type(value) == "integer" then
    return value, value
  end
  local first, last
  if type(value) == "string" then
    first, last = time.parse(value)
  end
  if not first then
    refuse("query_shard_exception", "failed to parse date field [%s] of [%s]: expected %s, or milliseconds since 1970",
      show(value), field.name, time.EXPECTED)
  end
  return first, last
end

-- ---- SQL ----

-- A statement being made: conditions as texts, and the values they bind.
local Writer = {}
Writer.__index = Writer

function Writer:bind(value)
  self.values[#self.values + 1] = value
  return "?"
end

function Writer:number_column(field)
  return self.from.number:format(field.column)
end

local equals = {}

function equals.address(w, field, value)
  local first, last = address_range(field, value)
  if first == last then
    return ("%s = %s"):format(field.column, w:bind(value:match("^[^/]+")))
  end
  return ("%s BETWEEN %s AND %s"):format(w:number_column(field), w:bind(first), w:bind(last))
end

function equals.number(w, field, value)
  return ("%s = %s"):format(field.column, w:bind(number_of(field, value)))
end

function equals.protocol(w, field, value)
  local number = math.tointeger(value)
  if number then
    return "proto = " .. w:bind(number)
  elseif type(value) ~= "string" then
    refuse("query_shard_exception", "failed to create query: [%s] of field [%s] is no protocol: expected a keyword or a number",
      show(value), field.name)
  end
  return ("%s = %s"):format(field.column, w:bind(value))
end

function equals.time(w, field, value)
  local first, last = time_range(field, value)
  return ("%s BETWEEN %s AND %s"):format(field.column, w:bind(first), w:bind(last))
end

local OPERATORS <const> = { gte = ">=", gt = ">", lte = "<=", lt = "<" }

-- A bound that names more than one value (a second, a network) is taken as a
-- whole: gte from its first, gt behind its last.
local function bound(field, operator, value)
  if field.kind == "number" then
    return number_of(field, value)
  elseif field.kind == "protocol" then
    refuse("query_shard_exception", "field [%s] has no range: expected a term", field.name)
  end
  local first, last = (field.kind == "time" and time_range or address_range)(field, value)
  return (operator == "gte" or operator == "lt") and first or last
end

-- ---- queries ----

local query_of -- below

local function field_of(name)
  local field = type(name) == "string" and BY_NAME[name:match("^(.-)%.keyword$") or name]
  if not field then
    local names = {}
    for i, known in ipairs(FIELDS) do
      names[i] = known.name
    end
    refuse("query_shard_exception", "No mapping found for [%s]: expected one of %s", show(name), table.concat(names, ", "))
  end
  return field
end

-- The one key of an object and its value.
local function only(kind, object)
  local key, value = nil, nil
  if json.is_object(object) then
    key, value = next(object)
  end
  if type(key) ~= "string" or next(object, key) ~= nil then
    parsing("[%s] query malformed: expected an object with one key", kind)
  end
  return key, value
end

local function list_of(value)
  if type(value) == "table" and (#value > 0 or next(value) == nil) then
    return value
  end
  return { value }
end

local queries = {}

function queries.match_all()
  return "1"
end

function queries.match_none()
  return "0"
end

function queries.term(w, body)
  local name, value = only("term", body)
  if type(value) == "table" and value ~= json.null then
    value = value.value
  end
  if value == nil or value == json.null then
    parsing("[term] query malformed: field [%s] has no value", name)
  end
  local field = field_of(name)
  return equals[field.kind](w, field, value)
end

function queries.terms(w, body)
  local name, values = only("terms", body)
  if type(values) ~= "table" or (#values == 0 and next(values) ~= nil) then
    parsing("[terms] query malformed: field [%s] has no array", name)
  elseif #values > MAX_TERMS then
    refuse("illegal_argument_exception", "The number of terms [%d] used in the Terms Query request has exceeded the allowed "
      .. "maximum of [%d].", #values, MAX_TERMS)
  end
  local field = field_of(name)
  local plain, parts = {}, {}
  for _, value in ipairs(values) do
    if field.kind == "number" then
      plain[#plain + 1] = number_of(field, value)
    elseif field.kind == "address" and type(value) == "string" and address_number(value) then
      plain[#plain + 1] = value
    elseif #parts == 500 then
      refuse("illegal_argument_exception", "[terms] on [%s]: more than 500 values that are ranges", name)
    else
      parts[#parts + 1] = equals[field.kind](w, field, value)
    end
  end
  if #plain > 0 then -- one parameter, however many they are
    parts[#parts + 1] = ("%s IN (SELECT value FROM json_each(%s))"):format(field.column,
      w:bind(json.encode(json.array(plain))))
  end
  return #parts > 0 and table.concat(parts, " OR ") or "0"
end

function queries.range(w, body)
  local name, bounds = only("range", body)
  local field = field_of(name)
  if type(bounds) ~= "table" then
    parsing("[range] query malformed: field [%s] has no bounds", name)
  end
  local names, parts = {}, {}
  for operator in pairs(bounds) do
    if not OPERATORS[operator] then
      parsing("[range] query does not support [%s]: expected gte, gt, lte, lt", show(operator))
    end
    names[#names + 1] = operator
  end
  table.sort(names) -- so that one request makes one statement
  local column = field.kind == "address" and w:number_column(field) or field.column
  for _, operator in ipairs(names) do
    local value = bounds[operator]
    if value ~= json.null then
      parts[#parts + 1] = ("%s %s %s"):format(column, OPERATORS[operator], w:bind(bound(field, operator, value)))
    end
  end
  return #parts > 0 and table.concat(parts, " AND ") or "1"
end

function queries.exists(_, body)
  local field = field_of(type(body) == "table" and body.field)
  return field.column .. " IS NOT NULL"
end

function queries.ids(w, body)
  local values = type(body) == "table" and body.values
  if type(values) ~= "table" then
    parsing("[ids] query malformed: no array of values")
  end
  local ids = json.array()
  for _, value in ipairs(values) do
    ids[#ids + 1] = math.tointeger(value) -- another one is no flow's
  end
  return ("%s IN (SELECT value FROM json_each(%s))"):format(w.from.id, w:bind(json.encode(ids)))
end

function queries.constant_score(w, body, depth)
  if type(body) ~= "table" or not body.filter then
    parsing("[constant_score] requires a filter element")
  end
  return query_of(w, body.filter, depth)
end

local BOOL_KEYS <const> = { must = true, filter = true, should = true, must_not = true, minimum_should_match = true, boost = true }

queries["bool"] = function(w, body, depth)
  if not json.is_object(body) then
    parsing("[bool] query malformed, no object")
  end
  for key in pairs(body) do
    if not BOOL_KEYS[key] then
      parsing("[bool] query does not support [%s]", show(key))
    end
  end
  local parts = {}
  local function add(clauses, form)
    for _, clause in ipairs(list_of(clauses or {})) do
      parts[#parts + 1] = form:format("(" .. query_of(w, clause, depth) .. ")")
    end
  end
  add(body.must, "%s")
  add(body.filter, "%s")
  local is_optional = #parts > 0
  local should, n_values = {}, #w.values
  for i, clause in ipairs(list_of(body.should or {})) do
    should[i] = "(" .. query_of(w, clause, depth) .. ")"
  end
  local least = math.tointeger(body.minimum_should_match) or (is_optional and 0 or 1)
  if body.minimum_should_match ~= nil and not math.tointeger(body.minimum_should_match) then
    parsing("[minimum_should_match] is [%s]: expected a whole number", show(body.minimum_should_match))
  end
  if #should > 0 and least == 1 then
    parts[#parts + 1] = "(" .. table.concat(should, " OR ") .. ")"
  elseif #should > 0 and least > 1 then
    for i, clause in ipairs(should) do
      should[i] = clause .. " IS TRUE"
    end
    parts[#parts + 1] = ("((%s) >= %d)"):format(table.concat(should, ") + ("), least)
  else -- they change scores only
    for i = #w.values, n_values + 1, -1 do
      w.values[i] = nil
    end
  end
  add(body.must_not, "%s IS NOT TRUE")
  return #parts > 0 and table.concat(parts, " AND ") or "1"
end

function query_of(w, query, depth)
  local kind, body = only("query", query)
  if depth == MAX_DEPTH then
    parsing("the query is nested deeper than %d", MAX_DEPTH)
  elseif not queries[kind] then
    parsing("unknown query [%s]", kind)
  end
  return queries[kind](w, body, depth + 1)
end

-- ---- what is shown ----

-- SQL for a field's value as JSON.
local function json_value(field)
  if field.kind == "time" then
    return "'\"' || strftime('%Y-%m-%d-%H:%M:%S', start_ms / 1000, 'unixepoch') || '\"'"
  elseif field.kind == "number" then
    return ("coalesce(%s, 'null')"):format(field.column)
  end
  return ("coalesce('\"' || %s || '\"', 'null')"):format(field.column)
end

local function wants_field(filter, name)
  for _, pattern in ipairs(filter) do
    if type(pattern) ~= "string" then
      parsing("[_source] expected true, false, or names of fields")
    end
    local lua_pattern = "^" .. pattern:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0"):gsub("%*", ".*") .. "$"
    if name:find(lua_pattern) then
      return true
    end
  end
  return false
end

-- SQL for a document's _source, nil where it is not wanted.
local function source_sql(filter)
  if filter == false then
    return nil
  end
  local includes, excludes = { "*" }, {}
  if type(filter) == "table" and (filter.includes or filter.excludes) then
    includes, excludes = list_of(filter.includes or "*"), list_of(filter.excludes or {})
  elseif filter ~= nil and filter ~= true then
    includes = list_of(filter)
  end
  local parts = {}
  for _, field in ipairs(FIELDS) do
    if wants_field(includes, field.name) and not wants_field(excludes, field.name) then
      parts[#parts + 1] = ("'%s\"%s\":' || %s"):format(#parts > 0 and "," or "", field.name, json_value(field))
    end
  end
  if #parts == 0 then
    return "'{}'"
  end
  return "'{' || " .. table.concat(parts, " || ") .. " || '}'"
end

-- ORDER BY, and SQL for what a hit's "sort" shows.
local function sort_sql(w, sort)
  local order, shown = {}, {}
  for _, entry in ipairs(list_of(sort)) do
    local name, how = entry, nil
    if type(entry) == "table" then
      name, how = only("sort", entry)
      how = type(how) == "table" and how.order or how
    end
    local direction = how == nil and "asc" or how
    if direction == json.null or type(direction) == "table" then
      direction = "asc"
    end
    if direction ~= "asc" and direction ~= "desc" then
      refuse("illegal_argument_exception", "Unknown SortOrder [%s]", show(direction))
    end
    if name == "_doc" then
      order[#order + 1] = w.from.id .. " " .. direction
      shown[#shown + 1] = w.from.id
    elseif name == "_score" then
      shown[#shown + 1] = "'1.0'"
    else
      local field = field_of(name)
      local column = field.kind == "address" and w:number_column(field) or field.column
      order[#order + 1] = column .. " " .. direction
      shown[#shown + 1] = field.kind == "time" and "start_ms" or json_value(field)
    end
  end
  return #order > 0 and " ORDER BY " .. table.concat(order, ", ") or "",
    #shown > 0 and table.concat(shown, " || ',' || ") or nil
end

-- ---- the request ----

local KEYS <const> = { query = true, from = true, size = true, sort = true, _source = true, track_total_hits = true,
  track_scores = true, version = true, timeout = true }

local function window(body)
  local from, size = body.from or 0, body.size or 10
  for name, value in pairs { from = from, size = size } do
    if not math.tointeger(value) or value < 0 then
      refuse("illegal_argument_exception", "[%s] parameter cannot be negative or a fraction, found [%s]", name, show(value))
    end
  end
  from, size = math.tointeger(from), math.tointeger(size)
  if from > MAX_WINDOW or size > MAX_WINDOW - from then
    refuse("illegal_argument_exception", "Result window is too large, from + size must be less than or equal to: [%d] but "
      .. "was [%.0f].", MAX_WINDOW, from + 0.0 + size)
  end
  return from, size
end

-- The total as far as it is asked for: SQL, and the threshold.
local function total_sql(body, from_sql, where)
  local track = body.track_total_hits
  if track == false then
    return nil
  elseif track == nil or track == true then
    return ("SELECT count(*) AS n FROM %s WHERE %s"):format(from_sql, where)
  elseif math.tointeger(track) and track >= 0 then
    return ("SELECT count(*) AS n FROM (SELECT 1 FROM %s WHERE %s LIMIT %d)"):format(from_sql, where, track + 1), track
  end
  refuse("illegal_argument_exception", "[track_total_hits] is [%s]: expected true, false or a number", show(track))
end

local function make(from, index, body)
  if not json.is_object(body) then
    parsing("the request is no object")
  end
  for key in pairs(body) do
    if not KEYS[key] then
      parsing("Unknown key [%s]: expected query, from, size, sort, _source, track_total_hits", show(key))
    end
  end
  local w = setmetatable({ from = from, values = table.move(from.values, 1, #from.values, 1, {}) }, Writer)
  local skip, size = window(body)
  local where = query_of(w, body.query or { match_all = {} }, 0)
  local order, sort = "", nil
  if body.sort ~= nil and body.sort ~= json.null then
    order, sort = sort_sql(w, body.sort)
  end
  local source = source_sql(body._source)
  local head = ('{"_index":%s,"_type":"_doc","_id":"'):format(json.encode(index)):gsub("'", "''")
  local hit = ("'%s' || %s || '\",\"_score\":%s'"):format(head, from.id, sort and "null" or "1.0")
  if source then
    hit = hit .. " || ',\"_source\":' || " .. source
  end
  if sort then
    hit = hit .. " || ',\"sort\":[' || " .. sort .. " || ']'"
  end
  local total, threshold = total_sql(body, from.sql, where)
  return {
    values = w.values,
    total = total,
    threshold = threshold,
    is_sorted = sort ~= nil,
    hits = size > 0 and ("SELECT group_concat(hit, ',') AS hits FROM (SELECT %s || '}' AS hit FROM %s WHERE %s%s LIMIT %d OFFSET %d)")
      :format(hit, from.sql, where, order, size, skip),
  }
end

-- ---- the answer ----

local function shape(plan, took, n, hits, as_integer)
  local total = ""
  if n and as_integer then
    total = ('"total":%d,'):format(n)
  elseif n then
    local is_more = plan.threshold and n > plan.threshold
    total = ('"total":{"value":%d,"relation":"%s"},'):format(is_more and plan.threshold or n, is_more and "gte" or "eq")
  end
  local max_score = (plan.is_sorted or not hits or hits == "") and "null" or "1.0"
  return ('{"took":%d,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{%s"max_score":%s,'
    .. '"hits":[%s]}}'):format(took, total, max_score, hits or "")
end

-- options.limit_ms: how long it may take (30 s); rest_total_hits_as_int: the
-- total as a number, as before Elasticsearch 7.
function M.answer(conn, from, index, body, options)
  options = options or {}
  local started = earlgrey.now_ms()
  if body == nil then
    body = {}
  end
  local ok, plan = pcall(make, from, index, body)
  if not ok then
    if getmetatable(plan) ~= REFUSAL then
      error(plan, 0)
    end
    return M.error(400, plan.type, plan.reason)
  end
  local limit_ms = options.limit_ms or LIMIT_MS
  conn:progress(function()
    return earlgrey.now_ms() - started > limit_ms
  end, 4)
  local n, hits
  local row, message, code = {}, nil, nil
  local has_begun = conn:exec "BEGIN" -- total and hits of one state
  if plan.total then
    row, message, code = conn:row(plan.total, table.unpack(plan.values))
    n = row and row.n
  end
  if row and plan.hits then
    row, message, code = conn:row(plan.hits, table.unpack(plan.values))
    hits = row and row.hits
  end
  if has_begun then
    conn:exec "COMMIT"
  end
  conn:progress(nil)
  if not row and code == "SQLITE_INTERRUPT" then
    return M.error(503, "timeout_exception", ("the search took more than %d ms"):format(limit_ms))
  elseif not row then
    return M.error(500, "search_phase_execution_exception", message)
  end
  return 200, shape(plan, earlgrey.now_ms() - started, n, hits, options.rest_total_hits_as_int)
end

-- ---- for people ----

-- JSON text with line breaks and indents, as ?pretty asks for.
function M.pretty(text)
  local parts, depth, at = {}, 0, 1
  local function line()
    parts[#parts + 1] = "\n" .. ("  "):rep(depth)
  end
  while at <= #text do
    local c = text:sub(at, at)
    local stop
    if c == '"' then
      stop = at
      repeat
        stop = text:find('["\\]', stop + 1)
        local is_escape = text:sub(stop, stop) == "\\"
        stop = is_escape and stop + 1 or stop
      until not is_escape
      parts[#parts + 1] = text:sub(at, stop)
    elseif (c == "{" or c == "[") and text:find("^[}%]]", at + 1) then
      stop = at + 1
      parts[#parts + 1] = text:sub(at, stop)
    elseif c == "{" or c == "[" then
      parts[#parts + 1] = c
      depth = depth + 1
      line()
    elseif c == "}" or c == "]" then
      depth = depth - 1
      line()
      parts[#parts + 1] = c
    elseif c == "," then
      parts[#parts + 1] = c
      line()
    elseif c == ":" then
      parts[#parts + 1] = " : "
    else
      stop = text:find('[^%w%.%+%-]', at) or #text + 1
      stop = math.max(stop - 1, at)
      parts[#parts + 1] = text:sub(at, stop)
    end
    at = (stop or at) + 1
  end
  parts[#parts + 1] = "\n"
  return table.concat(parts)
end

return M
