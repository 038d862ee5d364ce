-- The busiest pairs of addresses in NetFlow v5 captures, both directions summed.

local args = require "earlgrey.args"
local job = require "earlgrey.job"
local jobrun = require "earlgrey.jobrun"
local progress = require "earlgrey.progress"

local USAGE <const> = [[
usage: activeflow [-print N] [--format tuple|table|csv|json] [SOURCE...]
       activeflow [-print N] --store STORE [SOURCE...]
       activeflow --store STORE --job ID [SOURCE...]

Shows the pairs of addresses that exchanged most bytes, both directions summed.
A SOURCE is a capture (pcap or pcapng, compressed or in a tar), a directory of
them, or a glob; without one the samples that come with Earlgrey are read.

  -print N    how many pairs, 10 unless told
  --format F  table  aligned, then a line of totals (the default)
              tuple  (addr1,addr2,bytes), a line each
              csv    RFC 4180 with a header line
              json   an array of objects
  --store S   keep the pairs as the results of a job in S, an SQLite file or
              mongodb://host/, instead of showing them; shows the job's id
  --job ID    of a job that is in S and not yet started: runs that one
  -h, --help  this

With tuple, csv and json the totals go to standard error.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but with rejected input.
]]

local SQL <const> = "SELECT addr1, addr2, bytes, packets, flows FROM netflow_active(?1, ?2)"

local WRITERS = {
  table = function(result)
    return result:table()
  end,
  csv = function(result)
    return result:csv()
  end,
  json = function(result)
    return result:json() .. "\n"
  end,
  tuple = function(result)
    local lines = {}
    for i, row in ipairs(result) do
      lines[i] = ("(%s,%s,%d)\n"):format(row.addr1, row.addr2, row.bytes)
    end
    return table.concat(lines)
  end,
}

local function query(conn, source, limit)
  local line <close> = progress.show(conn, "activeflow")
  return conn:query(SQL, source, limit)
end

local function run(options, source, conn)
  if options.store or options.job then
    if options.format then
      return nil, "--format does not go with --store; see --help", true
    end
    return jobrun.from_script("ActiveFlow", "activeflow", options, { print = options.print }, source)
  end
  local format = options.format or "table"
  local result, message = query(conn, source, options.print or 10)
  if not result then
    return nil, message
  end
  local figures, why = job.figures(conn)
  if not figures then
    return nil, why
  end
  local ok, write_error = io.stdout:write(WRITERS[format](result))
  if not ok then
    return nil, write_error
  end
  local totals = format == "table" and io.stdout or io.stderr
  io.stdout:flush()
  totals:write(job.summary(figures), "\n")
  return job.exit_code(figures)
end

return job.run {
  name = "activeflow",
  usage = USAGE,
  options = {
    print = args.integer(1, math.maxinteger),
    format = args.choice("tuple", "table", "csv", "json"),
    store = jobrun.STORE_OPTION,
    job = jobrun.JOB_OPTION,
  },
  run = run,
}
