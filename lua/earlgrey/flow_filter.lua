-- The filters of a flow query: what each may be, and the SQL terms they become. Values
-- are parameters of the statement, never part of its text.

local args = require "earlgrey.args"
local time = require "earlgrey.time"

local M = {}

-- A time, as { text =, first_ms =, last_ms = }.
M.TIME = {
  value = function(text)
    local first_ms, last_ms = time.parse(text)
    if not first_ms then
      return nil, time.EXPECTED
    end
    return { text = text, first_ms = first_ms, last_ms = last_ms }
  end,
}

local PROTOCOL = {
  value = function(text)
    return text ~= "" and text or nil, "a protocol keyword or number"
  end,
}

-- Name of each filter, and how its text is read (see args.lua).
M.OPTIONS = {
  src_addr = args.address(),
  dst_addr = args.address(),
  src_port = args.integer(0, 65535),
  dst_port = args.integer(0, 65535),
  prot = PROTOCOL,
  tos = args.integer(0, 255),
  start = M.TIME,
  ["end"] = M.TIME,
}

-- The filters and some options more, in one table.
function M.options(more)
  for name, option in pairs(M.OPTIONS) do
    more[name] = option
  end
  return more
end

-- What a value that was read looked like before.
function M.given(value)
  return type(value) == "table" and value.text or value
end

-- The number of a protocol given by keyword or number.
local function protocol_number(conn, text)
  if text:find("^%d+$") then
    local n = math.tointeger(text)
    return n and n <= 255 and n or nil
  end
  local row = assert(conn:row([[
    WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 255)
    SELECT min(n) AS n FROM number WHERE protocol_name(n) = ? COLLATE NOCASE]], text))
  return row.n
end

-- Adds the terms of a span of time to terms and values; false and a message where it ends before
-- it begins. `prefix` stands before the names of options in messages.
function M.add_span(options, terms, values, prefix)
  if options.start then
    terms[#terms + 1] = "start_ms >= ?"
    values[#values + 1] = options.start.first_ms
  end
  if options["end"] then
    terms[#terms + 1] = "start_ms <= ?"
    values[#values + 1] = options["end"].last_ms
  end
  if options.start and options["end"] and options.start.first_ms > options["end"].last_ms then
    prefix = prefix or ""
    return false, ("%send is before %sstart"):format(prefix, prefix)
  end
  return true
end

-- The terms of the WHERE clause and the values of their parameters, of options that were
-- read by OPTIONS. nil and a message; `prefix` stands before the names of options in it.
function M.terms(options, conn, prefix)
  local terms, values = {}, {}
  local function add(term, value)
    terms[#terms + 1] = term
    values[#values + 1] = value
  end
  for _, end_name in ipairs { "src", "dst" } do
    local address, column = options[end_name .. "_addr"], end_name .. "addr"
    if address then
      add(address.is_network and "ip4_in(" .. column .. ", ?)" or column .. " = ?", address.text)
    end
    if options[end_name .. "_port"] then
      add(end_name .. "port = ?", options[end_name .. "_port"])
    end
  end
  if options.tos then
    add("tos = ?", options.tos)
  end
  if options.prot then
    local number = protocol_number(conn, options.prot)
    if not number then
      return nil, ("%sprot: '%s' is not a protocol keyword (tcp, udp, icmp, ...) or a number "
        .. "from 0 to 255"):format(prefix or "", options.prot)
    end
    add("proto = ?", number)
  end
  local ok, message = M.add_span(options, terms, values, prefix)
  if not ok then
    return nil, message
  end
  return terms, values
end

return M
