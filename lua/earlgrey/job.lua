-- What the job scripts share: how they start, where their input is, how they
-- end.
--
-- A job is a table { name, usage, options, run }. `run(options, source, conn)`
-- does the work and gives the exit code, or nil and a message (and true where the
-- usage was wrong). Without operands the source is the samples; nil where
-- `no_samples` is set.

local args = require "earlgrey.args"
local earlgrey = require "earlgrey"

local M = {}

M.DONE, M.FAILED, M.WRONG_USAGE, M.REJECTED = 0, 1, 2, 3

-- The samples folder, beside the folder of the script.
local function samples(script)
  local folder = script:match("^(.*)/[^/]*$")
  if not folder then
    return "../samples"
  elseif folder == "scripts" then
    return "samples"
  end
  return folder:match("^(.*/)scripts$") and folder:match("^(.*/)scripts$") .. "samples"
    or folder .. "/../samples"
end

-- One source of many: they are joined by newlines.
local function join(operands)
  for _, operand in ipairs(operands) do
    if operand == "" then
      return nil, "a source is empty"
    elseif operand:find("\n", 1, true) then
      return nil, ("'%s': a source cannot have a newline in its name"):format((operand:gsub("\n", "\\n")))
    end
  end
  return table.concat(operands, "\n")
end

-- The figures of the last scan of a connection, as the summaries name them.
function M.figures(conn)
  local stats, message = conn:row "SELECT * FROM netflow_scan_stats()"
  if not stats then
    return nil, message or "netflow_scan_stats gave no row"
  end
  return {
    captures = stats.files or 0,
    datagrams = stats.datagrams or 0,
    flows = stats.rows_read or 0,
    lost_flows = stats.flows_lost or 0,
    rejected = stats.rejected or 0,
  }
end

function M.summary(figures)
  return ("captures %d, datagrams %d, flows %d, lost flows %d, rejected %d"):format(
    figures.captures, figures.datagrams, figures.flows, figures.lost_flows, figures.rejected)
end

function M.exit_code(figures)
  return figures.rejected > 0 and M.REJECTED or M.DONE
end

local function complain(job, message)
  io.stdout:flush()
  io.stderr:write(job.name, ": ", message, "\n")
end

-- Runs a job with the global `arg`; gives the exit code of the process.
function M.run(job)
  job.options.help = { flag = true }
  job.options.h = { same = "help" }
  local options, operands = args.parse(arg, job.options)
  if not options then
    complain(job, operands .. "; see --help")
    return M.WRONG_USAGE
  end
  if options.help then
    io.stdout:write(job.usage)
    return M.DONE
  end
  if #operands == 0 and not job.no_samples then
    operands[1] = samples(arg[0])
  end
  local source, message
  if #operands > 0 then
    source, message = join(operands)
  end
  if message then
    complain(job, message .. "; see --help")
    return M.WRONG_USAGE
  end
  local conn <close>, open_message = earlgrey.open()
  if not conn then
    complain(job, open_message)
    return M.FAILED
  end
  local code, why, is_usage = job.run(options, source, conn)
  if not code then
    complain(job, why)
    return is_usage and M.WRONG_USAGE or M.FAILED
  end
  return code
end

return M
