-- The flows of NetFlow v5 captures that pass a filter.

local aligned = require "earlgrey.table"
local args = require "earlgrey.args"
local csv = require "earlgrey.csv"
local earlgrey = require "earlgrey"
local flow_filter = require "earlgrey.flow_filter"
local job = require "earlgrey.job"
local jobrun = require "earlgrey.jobrun"
local json = require "earlgrey.json"
local progress = require "earlgrey.progress"

local USAGE <const> = [[
usage: flowquery [filters] [--format table|csv|json] [--limit N] [SOURCE...]
       flowquery [filters] --store STORE [SOURCE...]
       flowquery --store STORE --job ID [SOURCE...]

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
  --store S     keep the flows as the results of a job in S, an SQLite file or
                mongodb://host/, instead of showing them; shows the job's id
  --job ID      of a job that is in S and not yet started: runs that one
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

-- The same as texts of many rows each, several times as fast: functions that
-- give the next one, or nil, and a message where the statement fails behind it.
local TEXTS = {
  table = function(stmt)
    return aligned.texts(stmt, LOOKAHEAD)
  end,
  csv = function(stmt)
    local columns = stmt:columns()
    local text = csv.line(columns, #columns)
    return function()
      if text then
        local head = text
        text = nil
        return head
      end
      return stmt:csv()
    end
  end,
  json = function(stmt)
    local before = "[\n"
    return function()
      local rows, message = nil, nil
      if before then
        rows, message = stmt:json(json.encode)
      end
      if rows then
        rows, before = before .. rows, ",\n"
      elseif before and not message then
        rows, before = before == "[\n" and "[]\n" or "\n]\n", nil
      end
      return rows, message
    end
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
  local writer, next_text
  if earlgrey.is_terminal("stdout") then -- which gets each row at once
    writer = WRITERS[format](stmt:columns(), write)
  else
    next_text = TEXTS[format](stmt)
  end
  while not write_error do
    local part, message
    if writer then
      part, message = stmt:values()
    else
      part, message = next_text()
    end
    if part and writer then
      line:close() -- rows show progress enough
      writer:row(part)
    elseif part then
      write(part)
    end
    if message then
      return nil, message
    elseif not part then
      break
    end
  end
  line:close()
  if writer then
    writer:finish()
  end
  if write_error then
    return nil, write_error
  end
  return true
end

-- The filters as the parameters of a job.
local function params_of(options)
  local params = {}
  for name in pairs(flow_filter.OPTIONS) do
    params[name] = options[name] and flow_filter.given(options[name])
  end
  return params
end

local function run(options, source, conn)
  if options.store or options.job then
    if options.format or options.limit then
      return nil, "--format and --limit do not go with --store; see --help", true
    end
    return jobrun.from_script("FlowQuery", "flowquery", options, params_of(options), source)
  end
  local format = options.format or "table"
  local terms, values = flow_filter.terms(options, conn, "--")
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
  options = flow_filter.options {
    format = args.choice("table", "csv", "json"),
    limit = args.integer(1, math.maxinteger),
    store = jobrun.STORE_OPTION,
    job = jobrun.JOB_OPTION,
  },
  run = run,
}
