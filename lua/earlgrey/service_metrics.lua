-- Counters and histograms, as text for Prometheus.
--
--   m:count(name, labels [, n])     a counter grows
--   m:observe(name, labels, value)  a histogram of seconds
--   m:text(gauges)                  all of them, and gauges { { name=, labels=, value= }, … }
--
-- Names must be in HELP. Labels are an ordered list { "route", "/Jobs", … } of few values each:
-- never what a client chose.

local M = {}

local HELP <const> = {
  earlgrey_jobs = { "gauge", "Jobs in the store by status" },
  earlgrey_jobs_pending = { "gauge", "Started jobs that wait for a free place" },
  earlgrey_jobs_running = { "gauge", "Jobs that a process runs" },
  earlgrey_connections = { "gauge", "Open HTTP connections" },
  earlgrey_jobs_ended_total = { "counter", "Jobs that ended while this server ran" },
  earlgrey_rows_scanned_total = { "counter", "Flow records read by the jobs that ended while this server ran" },
  earlgrey_job_seconds = { "histogram", "Run time of jobs, from their process's start to its end" },
  earlgrey_http_requests_total = { "counter", "Requests answered" },
  earlgrey_http_request_seconds = { "histogram", "Time to answer a request that is whole" },
}

local BUCKETS <const> = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600 }

local function escaped(value)
  return (tostring(value):gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }))
end

local function label_text(labels, more)
  local parts = {}
  for i = 1, #labels, 2 do
    parts[#parts + 1] = ('%s="%s"'):format(labels[i], escaped(labels[i + 1]))
  end
  parts[#parts + 1] = more
  return #parts > 0 and "{" .. table.concat(parts, ",") .. "}" or ""
end

local methods = {}

-- The series of a name and labels.
local function series(self, name, labels)
  local of_name = self.series[name]
  if not of_name then
    assert(HELP[name], name)
    of_name = {}
    self.series[name] = of_name
  end
  local key = label_text(labels)
  local s = of_name[key]
  if not s then
    s = { labels = labels, value = 0, sum = 0, buckets = {} }
    for i = 1, #BUCKETS do
      s.buckets[i] = 0
    end
    of_name[key] = s
  end
  return s
end

function methods:count(name, labels, n)
  local s = series(self, name, labels)
  s.value = s.value + (n or 1)
end

function methods:observe(name, labels, seconds)
  local s = series(self, name, labels)
  s.value = s.value + 1
  s.sum = s.sum + seconds
  for i, bound in ipairs(BUCKETS) do
    if seconds <= bound then
      s.buckets[i] = s.buckets[i] + 1
      break
    end
  end
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function add_histogram(lines, name, s)
  local sum = 0
  for i, bound in ipairs(BUCKETS) do
    sum = sum + s.buckets[i]
    lines[#lines + 1] = ("%s_bucket%s %d"):format(name, label_text(s.labels, ('le="%g"'):format(bound)), sum)
  end
  lines[#lines + 1] = ("%s_bucket%s %d"):format(name, label_text(s.labels, 'le="+Inf"'), s.value)
  lines[#lines + 1] = ("%s_sum%s %.6f"):format(name, label_text(s.labels), s.sum)
  lines[#lines + 1] = ("%s_count%s %d"):format(name, label_text(s.labels), s.value)
end

function methods:text(gauges)
  local lines, by_name = {}, {}
  for _, gauge in ipairs(gauges) do
    by_name[gauge.name] = by_name[gauge.name] or {}
    table.insert(by_name[gauge.name], ("%s%s %d"):format(gauge.name, label_text(gauge.labels), gauge.value))
  end
  for _, name in ipairs(sorted_keys(HELP)) do
    if by_name[name] or self.series[name] then
      lines[#lines + 1] = ("# HELP %s %s"):format(name, HELP[name][2])
      lines[#lines + 1] = ("# TYPE %s %s"):format(name, HELP[name][1])
    end
    for _, line in ipairs(by_name[name] or {}) do
      lines[#lines + 1] = line
    end
    for _, key in ipairs(sorted_keys(self.series[name] or {})) do
      local s = self.series[name][key]
      if HELP[name][1] == "histogram" then
        add_histogram(lines, name, s)
      else
        lines[#lines + 1] = ("%s%s %d"):format(name, key, s.value)
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

function M.new()
  return setmetatable({ series = {} }, { __index = methods })
end

return M
