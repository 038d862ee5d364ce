-- Stores NetFlow v5 captures in a Parquet dataset or an SQLite file, each exactly once.

local args = require "earlgrey.args"
local job = require "earlgrey.job"
local progress = require "earlgrey.progress"

local USAGE <const> = [[
usage: ingest CAPTURE... --to DATASET|STORE.db [--addresses text|uint32]
              [--compression zstd|gzip|none] [--partial] [--format table|json]
       ingest --compact DATASET
       ingest --verify DATASET [--format table|json]
       ingest --expire AGE DATASET|STORE.db [--format table|json]

Stores captures (pcap or pcapng, compressed or in a tar; directories; globs) as
Parquet shards in the directory DATASET, or as rows of the indexed SQLite file
STORE.db, made where there is none. A capture is known by its content: storing
it again, under any name or compression, adds nothing. So an ingest that was
stopped is simply run again.

  --to DATASET       where to store
  --addresses A      text: dotted, as other tools expect (the default)
                     uint32: numbers, which other engines rank faster
  --compression C    zstd (the default), gzip or none
  --partial          store captures that may still grow, too; ingesting them
                     again later replaces what was stored
  --compact DATASET  merge the small shards of each day
  --verify DATASET   read every shard and hold it against the manifest: what is
                     damaged, missing, different or not listed
  --expire AGE       drop the flows of old UTC days, by their start: 30d keeps
                     today and the 30 days before it, 2007-07-26 that day and
                     all later ones. The captures stay known.
  --format F         table (the default), or json: an array of objects
  -h, --help         this

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but with rejected input,
captures that were refused or files that are not as they should be.
]]

local INGEST <const> = [[
SELECT capture, status, rows, rejected, lost, shards, bytes, detail
FROM netflow_ingest(?1, ?2, ?3)]]
local COMPACT <const> = "SELECT * FROM netflow_compact(?1)"
local EXPIRE <const> = "SELECT * FROM netflow_expire(?1, ?2)"
local VERIFY <const> = "SELECT * FROM netflow_verify(?1)"

local WRITERS = {
  table = function(result)
    return result:table()
  end,
  json = function(result)
    return result:json() .. "\n"
  end,
}

local function write(options, result)
  local ok, message = io.stdout:write(WRITERS[options.format or "table"](result))
  if not ok then
    return nil, message
  end
  io.stdout:flush()
  return true
end

local function query(conn, what, ...)
  local line <close> = progress.show(conn, what)
  return conn:query(...)
end

local function words(options)
  local list = {}
  for _, name in ipairs { "addresses", "compression" } do
    if options[name] then
      list[#list + 1] = name .. "=" .. options[name]
    end
  end
  if options.partial then
    list[#list + 1] = "partial=yes"
  end
  return table.concat(list, " ")
end

-- One line of totals, and whether anything was left out.
local function totals(result)
  local count = { rows = 0, rejected = 0, lost = 0, bytes = 0, stored = 0, known = 0, refused = 0 }
  for _, row in ipairs(result) do
    for _, name in ipairs { "rows", "rejected", "lost", "bytes" } do
      count[name] = count[name] + row[name]
    end
    local kind = row.status == "stored" and "stored" or row.status == "already there" and "known" or "refused"
    count[kind] = count[kind] + 1
  end
  local text = ("captures stored %d, already there %d, refused %d; flows %d, lost flows %d, rejected %d, bytes %d"):format(
    count.stored, count.known, count.refused, count.rows, count.lost, count.rejected, count.bytes)
  return text, count.rejected > 0 or count.refused > 0
end

local function totals_of_files(result)
  local wrong = 0
  for _, row in ipairs(result) do
    wrong = wrong + (row.status == "ok" and 0 or 1)
  end
  return ("files %d, not ok %d"):format(#result, wrong), wrong > 0
end

local function totals_of_days(result)
  local flows, bytes = 0, 0
  for _, row in ipairs(result) do
    flows, bytes = flows + row.flows, bytes + row.bytes
  end
  return ("days %d, flows %d, bytes %d"):format(#result, flows, bytes), false
end

-- Runs a statement and writes its rows, then the line that summed_up (nil for none) makes of them.
local function answer(options, conn, what, summed_up, ...)
  local result, message = query(conn, what, ...)
  if not result then
    return nil, message
  end
  local ok, why = write(options, result)
  if not ok then
    return nil, why
  end
  if not summed_up then
    return job.DONE
  end
  local text, is_incomplete = summed_up(result)
  local to = (options.format or "table") == "table" and io.stdout or io.stderr
  to:write(text, "\n")
  return is_incomplete and job.REJECTED or job.DONE
end

local function run(options, source, conn)
  local alone = options.compact and "compact" or options.verify and "verify"
  if options.expire then
    if options.to or alone or not source then
      return nil, "--expire takes an age, then one store, and nothing else; see --help", true
    end
    return answer(options, conn, "expire", totals_of_days, EXPIRE, source, options.expire)
  elseif alone and (options.to or source or options.compact and options.verify) then
    return nil, ("--%s takes nothing else; see --help"):format(alone), true
  elseif options.compact then
    return answer(options, conn, "compact", nil, COMPACT, options.compact)
  elseif options.verify then
    return answer(options, conn, "verify", totals_of_files, VERIFY, options.verify)
  elseif not source then
    return nil, "a capture is missing; see --help", true
  elseif not options.to then
    return nil, "--to is missing; see --help", true
  end
  return answer(options, conn, "ingest", totals, INGEST, source, options.to, words(options))
end

local function path(text)
  if text ~= "" then
    return text
  end
  return nil, "a path"
end

return job.run {
  name = "ingest",
  usage = USAGE,
  no_samples = true,
  options = {
    to = { value = path },
    compact = { value = path },
    verify = { value = path },
    expire = {
      value = function(text)
        if text:find("^%d+d$") or text:find("^%d%d%d%d%-%d%d%-%d%d$") then
          return text
        end
        return nil, "a number of days, as 30d, or a day, as 2007-07-26"
      end,
    },
    addresses = args.choice("text", "uint32"),
    compression = args.choice("zstd", "gzip", "none"),
    partial = { flag = true },
    format = args.choice("table", "json"),
  },
  run = run,
}
