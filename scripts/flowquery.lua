-- The flows of NetFlow v5 captures that pass a filter.

local aligned = require "earlgrey.table"
local args = require "earlgrey.args"
local csv = require "earlgrey.csv"
local earlgrey = require "earlgrey"
local job = require "earlgrey.job"
local json = require "earlgrey.json"
local progress = require "earlgrey.progress"
local time = require "earlgrey.time"

local USAGE <const> = [[
usage: flowquery [filters] [--format table|csv|json] [--limit N] [SOURCE...]

Shows the flows that pass all filters. A SOURCE is a capture (pcap or pcapng,
compressed or in a tar), a directory of them, or a glob; without one the samples
that come with Earlgrey are read.

  --src_addr A  source address, or network as 10.0.0.0/8
  --dst_addr A  destination address, or network
  --src_port P  source port
  --dst_port P  destination port
  --prot P      protocol: keyword in any case (tcp) or number
  --tos N       type of service
  --start T     flows that started at T or later
  --end T       flows that started at T or earlier
  --format F    table (the default), csv (RFC 4180), or json (all columns)
  --limit N     at most N flows
  -h, --help    this

Times are yyyyMMddHHmmss, yyyy-MM-dd-HH:mm:ss or ISO 8601 (2007-07-26T22:15:38.120Z,
2007-07-26 22:15+02:00, 2007-07-26), UTC unless they say otherwise. Both ends are
included, as exactly as given: --end 2007-07-26 takes in that whole day.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but with rejected input.
]]

local COLUMNS <const> =
  "start_time, duration_ms, protocol, srcaddr, srcport, dstaddr, dstport, packets, bytes"

-- Rows that are looked at for the widths of the table.
local LOOKAHEAD <const> = 10000

local time_option = {
  value = function(text)
    local first_ms, last_ms = time.parse(text)
    if not first_ms then
      return nil, time.EXPECTED
    end
    return { first_ms = first_ms, last_ms = last_ms }
  end,
}

local function text_option(expected)
  return {
    value = function(text)
      return text ~= "" and text or nil, expected
    end,
  }
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

-- The terms of the WHERE clause and the values of their parameters.
local function filters(options, conn)
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
      return nil, ("--prot: '%s' is not a protocol keyword (tcp, udp, icmp, ...) or a number "
        .. "from 0 to 255"):format(options.prot)
    end
    add("proto = ?", number)
  end
  if options.start then
    add("start_ms >= ?", options.start.first_ms)
  end
  if options["end"] then
    add("start_ms <= ?", options["end"].last_ms)
  end
  if options.start and options["end"] and options.start.first_ms > options["end"].last_ms then
    return nil, "--end is before --start"
  end
  return terms, values
end

-- Writers: row(values) for each, finish() at the end.
local WRITERS = {
  table = function(columns, write)
    return aligned.writer(columns, write, LOOKAHEAD)
  end,
  csv = function(columns, write)
    local n = #columns
    write(csv.line(columns, n))
    return {
      row = function(_, values)
        write(csv.line(values, n))
      end,
      finish = function() end,
    }
  end,
  json = function(columns, write)
    local encode, separator = json.row_encoder(columns), "[\n"
    return {
      row = function(_, values)
        write(separator .. encode(values))
        separator = ",\n"
      end,
      finish = function()
        write(separator == "[\n" and "[]\n" or "\n]\n")
      end,
    }
  end,
}

-- Writes all rows; true, or nil and a message.
local function write_rows(conn, stmt, format)
  local line <close> = progress.show(conn, "flowquery")
  local write_error
  local function write(text)
    if not write_error then
      local ok, message = io.stdout:write(text)
      write_error = not ok and (message or "cannot write") or nil
    end
  end
  local writer = WRITERS[format](stmt:columns(), write)
  local shares_terminal = earlgrey.is_terminal("stdout")
  local in_texts = format == "csv" and not shares_terminal -- a terminal gets each row at once
  while not write_error do
    local values, message
    if in_texts then
      local text
      text, message = stmt:csv()
      if text then
        write(text)
      end
      values = not message and text
    else
      values, message = stmt:values()
    end
    if not values then
      if message then
        return nil, message
      end
      break
    end
    if shares_terminal then -- rows show progress enough
      line:close()
      shares_terminal = false
    end
    if not in_texts then
      writer:row(values)
    end
  end
  line:close()
  writer:finish()
  if write_error then
    return nil, write_error
  end
  return true
end

local function run(options, source, conn)
  local format = options.format or "table"
  local terms, values = filters(options, conn)
  if not terms then
    return nil, values .. "; see --help", true
  end
  local sql = "SELECT " .. (format == "json" and "*" or COLUMNS) .. " FROM netflow(?)"
  if #terms > 0 then
    sql = sql .. " WHERE " .. table.concat(terms, " AND ")
  end
  table.insert(values, 1, source)
  if options.limit then
    sql = sql .. " LIMIT ?"
    values[#values + 1] = options.limit
  end
  local stmt, message = conn:prepare(sql)
  if not stmt then
    return nil, message
  end
  assert(stmt:bind(table.unpack(values)))
  local ok, why = write_rows(conn, stmt, format)
  stmt:close()
  if not ok then
    return nil, why
  end
  local figures, figures_error = job.figures(conn)
  if not figures then
    return nil, figures_error
  end
  if figures.rejected > 0 then
    io.stdout:flush()
    io.stderr:write("flowquery: rejected ", figures.rejected, " of ", figures.datagrams,
      " datagrams; netflow_audit tells why\n")
  end
  return job.exit_code(figures)
end

return job.run {
  name = "flowquery",
  usage = USAGE,
  options = {
    src_addr = args.address(),
    dst_addr = args.address(),
    src_port = args.integer(0, 65535),
    dst_port = args.integer(0, 65535),
    prot = text_option("a protocol keyword or number"),
    tos = args.integer(0, 255),
    start = time_option,
    ["end"] = time_option,
    format = args.choice("table", "csv", "json"),
    limit = args.integer(1, math.maxinteger),
  },
  run = run,
}
