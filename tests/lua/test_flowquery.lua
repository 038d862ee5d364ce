-- scripts/flowquery.lua: filters, times, output forms, exit codes; and the times
-- that it accepts.

local json = require "json"
local synth = require "tests.lua.synth"
local tap = require "tests.lua.tap"
local time = require "earlgrey.time"

local folder <close> = tap.folder()
local DIR <const> = folder.path
local FILE <const> = DIR .. "/q.pcap"

local function flowquery(args)
  return tap.run(tap.program .. " scripts/flowquery.lua " .. args)
end

-- Header time 2007-07-26 22:15:38; `first` counts against an uptime of 100 s.
local SECONDS <const> = 1185488138
synth.write(FILE, {
  { seconds = SECONDS, uptime_ms = 100000, records = {
    { src = "10.1.0.1", dst = "10.2.0.1", src_port = 1000, dst_port = 80, protocol = 6, tos = 0,
      packets = 3, bytes = 300, first = 90000, last = 95000 },
    { src = "10.1.0.2", dst = "10.2.0.1", src_port = 2000, dst_port = 53, protocol = 17, tos = 8,
      packets = 1, bytes = 60, first = 99000, last = 99000 },
    { src = "192.168.7.7", dst = "10.1.0.1", src_port = 0, dst_port = 2048, protocol = 1, tos = 0,
      packets = 2, bytes = 128, first = 100000, last = 100000 },
    { src = "10.1.9.9", dst = "10.2.0.9", src_port = 65535, dst_port = 1, protocol = 253, tos = 255,
      packets = 4, bytes = 400, first = 40000, last = 100000 },
  } },
})

-- The bytes of the flows that a query gives, in order of the capture: they tell
-- the flows apart.
local function flows(args)
  local out, err, code = flowquery(args .. " --format csv " .. FILE)
  tap.equal(err, "")
  tap.equal(code, 0)
  local list = {}
  for bytes in out:gmatch(",(%d+)\r\n") do
    list[#list + 1] = bytes
  end
  return table.concat(list, " ")
end

tap.case("without a filter all flows come, aligned", function()
  local out, _, code = flowquery(FILE)
  tap.equal(code, 0)
  tap.equal(out, [[
start_time               duration_ms  protocol  srcaddr      srcport  dstaddr   dstport  packets  bytes
-----------------------  -----------  --------  -----------  -------  --------  -------  -------  -----
2007-07-26 22:15:28.000         5000  TCP       10.1.0.1        1000  10.2.0.1       80        3    300
2007-07-26 22:15:37.000            0  UDP       10.1.0.2        2000  10.2.0.1       53        1     60
2007-07-26 22:15:38.000            0  ICMP      192.168.7.7        0  10.1.0.1     2048        2    128
2007-07-26 22:14:38.000        60000  253       10.1.9.9       65535  10.2.0.9        1        4    400
]])
end)

tap.case("addresses and networks filter either end", function()
  tap.equal(flows "--src_addr 10.1.0.1", "300")
  tap.equal(flows "--dst_addr 10.1.0.1", "128")
  tap.equal(flows "--src_addr 10.1.0.0/24", "300 60")
  tap.equal(flows "--src_addr 10.1.200.200/16", "300 60 400")
  tap.equal(flows "--src_addr 0.0.0.0/0 --dst_addr=10.2.0.9/32", "400")
  tap.equal(flows "-src-addr 1.2.3.4", "")
end)

tap.case("ports, also 0 and 65535, and type of service filter", function()
  tap.equal(flows "--src_port 0", "128")
  tap.equal(flows "--src_port 65535", "400")
  tap.equal(flows "--dst_port 53", "60")
  tap.equal(flows "--tos 255", "400")
  tap.equal(flows "--tos 0x08", "60")
  tap.equal(flows "--tos 0 --dst_port 80", "300")
end)

tap.case("a protocol is a keyword in any case or a number", function()
  tap.equal(flows "--prot tcp", "300")
  tap.equal(flows "--prot UDP", "60")
  tap.equal(flows "--prot Icmp", "128")
  tap.equal(flows "--prot 17", "60")
  tap.equal(flows "--prot 253", "400")
  tap.equal(flows "--prot 254", "")
end)

tap.case("the range of start times includes both ends, as exactly as they are given", function()
  tap.equal(flows "--start 20070726221537", "60 128")
  tap.equal(flows "--start 2007-07-26-22:15:37 --end 2007-07-26-22:15:37", "60")
  tap.equal(flows "--end 2007-07-26T22:14:38.000Z", "400")
  tap.equal(flows "--end 2007-07-26T22:14:37.999Z", "")
  tap.equal(flows "--start '2007-07-26 22:15' --end '2007-07-26 22:15'", "300 60 128")
  tap.equal(flows "--start 2007-07-26 --end 2007-07-26", "300 60 128 400")
  tap.equal(flows "--start 2007-07-27", "")
  tap.equal(flows "--start 2007-07-27T00:15:37+02:00 --end 2007-07-26T20:15:37-02", "60")
end)

tap.case("json has every column that SQL shows", function()
  local out = flowquery("--format json --dst_port 53 " .. FILE)
  local rows = assert(json.decode(out))
  tap.equal(#rows, 1)
  local row = rows[1]
  tap.equal(row.start_time, "2007-07-26 22:15:37.000")
  tap.equal(row.srcaddr, "10.1.0.2")
  tap.equal(row.exporter, "192.0.2.1")
  tap.equal(row.flow_sequence, 1)
  tap.equal(row.start_ms, nil)
  local n = 0
  for _ in pairs(row) do
    n = n + 1
  end
  tap.equal(n, 25)
  tap.equal((flowquery("--format json --dst_port 9 " .. FILE)), "[]\n")
end)

tap.case("--limit ends after so many flows", function()
  tap.equal(flows "--limit 2", "300 60")
  tap.equal(flows "--limit 1 --prot udp", "60")
end)

tap.case("a bad value names option, value and what was expected, with exit code 2", function()
  local wrong = {
    ["--src_addr 10.0.0"] = "%-%-src_addr: '10%.0%.0' is not an IPv4 address or a network",
    ["--src_addr 10.0.0.256"] = "is not an IPv4 address",
    ["--src_addr 10.0.0.08"] = "is not an IPv4 address",
    ["--src_addr 10.0.0.0/33"] = "is not an IPv4 address",
    ["--src_addr 10.0.0.0/"] = "is not an IPv4 address",
    ["--dst_addr ::1"] = "%-%-dst_addr: '::1' is not an IPv4 address",
    ["--src_port 65536"] = "%-%-src_port: '65536' is not a whole number from 0 to 65535",
    ["--dst_port -1"] = "%-%-dst_port: '%-1' is not a whole number",
    ["--dst_port http"] = "'http' is not a whole number",
    ["--tos 256"] = "from 0 to 255",
    ["--prot tcpp"] = "%-%-prot: 'tcpp' is not a protocol keyword",
    ["--prot 256"] = "%-%-prot: '256'",
    ["--prot ''"] = "%-%-prot",
    ["--start yesterday"] = "%-%-start: 'yesterday' is not a time as yyyyMMddHHmmss",
    ["--end 2007-02-29"] = "%-%-end: '2007%-02%-29' is not a time",
    ["--start 2008-01-02 --end 2008-01-01"] = "%-%-end is before %-%-start",
    ["--limit 0"] = "at least 1",
    ["--format tuple"] = "is not table, csv or json",
    ["--nonsense 1"] = "unknown option",
  }
  for args, pattern in pairs(wrong) do
    local out, err, code = flowquery(args .. " " .. FILE)
    tap.equal(out, "", args)
    tap.matches(err, "^flowquery: [^\n]*" .. pattern .. "[^\n]*; see %-%-help\n$", args)
    tap.equal(code, 2, args)
  end
end)

tap.case("values are never part of the SQL text", function()
  local _, err, code = flowquery("--prot \"x' OR 1=1 --\" " .. FILE)
  tap.matches(err, "is not a protocol keyword")
  tap.equal(code, 2)
  _, err, code = flowquery("\"/nonexistent') --\"")
  tap.matches(err, "^flowquery: .*/nonexistent'%) %-%-")
  tap.equal(code, 1)
end)

tap.case("rejected datagrams are told on standard error and give exit code 3", function()
  local path = DIR .. "/mixed.pcap"
  synth.write(path, {
    { records = { { src = "1.1.1.1", dst = "2.2.2.2", bytes = 5 } } },
    { version = 7, records = { { src = "1.1.1.1", dst = "2.2.2.2" } } },
  })
  local out, err, code = flowquery("--format csv " .. path)
  tap.equal(select(2, out:gsub("\n", "")), 2)
  tap.equal(err, "flowquery: rejected 1 of 2 datagrams; netflow_audit tells why\n")
  tap.equal(code, 3)
end)

tap.case("a large answer streams: its reader can go away at once", function()
  local path = DIR .. "/large.pcap"
  local records = {}
  for i = 1, 30 do
    records[i] = { src = "10.0.0." .. i, dst = "10.9.9.9", bytes = i }
  end
  synth.write(path, { { records = records } }, 2000)
  local out, err = tap.run(tap.program .. " scripts/flowquery.lua --format json " .. path .. " | head -n 2")
  tap.matches(out, '^%[\n{"start_time":')
  tap.equal(err, "")
  local all = flowquery("--format csv --src_addr 10.0.0.7 " .. path)
  tap.equal(select(2, all:gsub("\n", "")), 2001)
end)

tap.case("times are checked and converted exactly", function()
  local good = {
    ["19700101000000"] = { 0, 999 },
    ["1970-01-01"] = { 0, 86399999 },
    ["2000-02-29T00:00:00Z"] = { 951782400000, 951782400999 },
    ["2007-07-26T22:15:38.120Z"] = { 1185488138120, 1185488138120 },
    ["2007-07-26T22:15:38.1Z"] = { 1185488138100, 1185488138199 },
    ["2007-07-26t22:15:38,123456z"] = { 1185488138123, 1185488138123 },
    ["2007-07-27 00:15:38 +02:00"] = false,
    ["2007-07-27 00:15:38+0200"] = { 1185488138000, 1185488138999 },
    ["1969-12-31T23:59:59Z"] = { -1000, -1 },
    ["0000-01-01"] = { -62167219200000, -62167132800001 },
  }
  for text, expected in pairs(good) do
    local first, last = time.parse(text)
    tap.equal(first, expected and expected[1] or nil, text)
    tap.equal(last, expected and expected[2] or nil, text)
  end
  for _, text in ipairs { "", "2007", "20070726", "2007-7-26", "2007-13-01", "2007-00-10", "2007-04-31",
    "1900-02-29", "2007-07-26T24:00:00", "2007-07-26T23:60", "2007-07-26T23:59:60", "2007-07-26T",
    "2007-07-26T22", "2007-07-26T22:15:38.Z", "2007-07-26T22:15:38+25:00", "2007-07-26T22:15:38X",
    "20070726221560", "2007-07-26-22:15:38 ", "x2007-07-26" } do
    tap.equal(time.parse(text), nil, text)
  end
end)

local NDPI <const> = "../shared/captures/made/softflowd-v5-ndpi-adj.pcap"
if tap.exists(NDPI) then
  tap.case("filters on a real capture find what SQLite finds in tshark's records", function()
    local function count(args)
      local out, _, code = flowquery(args .. " --format csv " .. NDPI)
      tap.equal(code, 0, args)
      return select(2, out:gsub("\n", "")) - 1
    end
    tap.equal(count "", 7627)
    tap.equal(count "--prot udp", 2383)
    tap.equal(count "--prot sctp", 4)
    tap.equal(count "--src_addr 77.111.247.69", 62)
    tap.equal(count "--prot 6 --dst_port 443" + count "--prot 17 --dst_port 443", 627)
  end)
else
  tap.skip("filters on a real capture find what SQLite finds in tshark's records", "no " .. NDPI)
end

tap.case("--store keeps the flows as a job's results", function()
  local store = require "earlgrey.store"
  local path = DIR .. "/jobs.db"
  local out, err, code = flowquery(("--store %s --dst_addr 10.9.9.0/24 %s/large.pcap"):format(path, DIR))
  tap.equal(err, "")
  tap.equal(code, 0)
  local id = out:match "job (%x+): 60000 results in "
  local s <close> = assert(store.open(path))
  local d = assert(s:job(tap.ok(id, out)))
  tap.equal(d.status, "End")
  tap.equal(d.progress, 100)
  tap.equal(d.rowsScanned, 60000)
  tap.equal(d.params.dst_addr, "10.9.9.0/24")
  tap.equal(d.pid, nil)
  tap.equal(s:count_results(id), 60000)
  local first = s:results(id, 0, 1)[1]
  tap.equal(first.srcAddress, "10.0.0.1")
  tap.equal(first.time, "1970-01-01-00:00:00")
end)

tap.case("--job runs a job that is in the store, once; one that fails says so", function()
  local store = require "earlgrey.store"
  local path = DIR .. "/jobs.db"
  local s <close> = assert(store.open(path))
  local function made(kind, params)
    return assert(s:create_job { type = kind, name = "by hand", params = params })
  end
  local id = made("FlowQuery", { src_addr = "10.0.0.7", dst_port = "0" })
  local out, _, code = flowquery(("--store %s --job %s %s/large.pcap"):format(path, id, DIR))
  tap.matches(out, "job " .. id .. ": 2000 results")
  tap.equal(code, 0)
  local wrong = {
    [("--store %s --job %s"):format(path, id)] = { "not to be started", 1 },
    [("--store %s --job %s"):format(path, ("0"):rep(24))] = { "there is no job 0000", 1 },
    [("--store %s --job %s"):format(path, made("ActiveFlow", {}))] = { "is of type ActiveFlow, not FlowQuery", 1 },
    [("--store %s --job %s --prot tcp"):format(path, id)] = { "has its filters in the store", 2 },
    ["--job " .. id] = { "%-%-job needs %-%-store", 2 },
    ["--job x"] = { "is not the id of a job", 2 },
    [("--store %s --limit 3"):format(path)] = { "do not go with %-%-store", 2 },
    ["--store " .. FILE] = { "not a database", 1 },
    ["--store http://x/"] = { "expected a path of an SQLite file or mongodb", 1 },
  }
  for args, expected in pairs(wrong) do
    local _, err, got = flowquery(args .. " " .. FILE)
    tap.matches(err, "^flowquery: .*" .. expected[1], args)
    tap.equal(got, expected[2], args)
  end
  id = made("FlowQuery", { src_port = 1 })
  local _, err, failed = flowquery(("--store %s --job %s /nonexistent.pcap"):format(path, id))
  tap.matches(err, "nonexistent")
  tap.equal(failed, 1)
  tap.equal(s:job(id).status, "Failed")
  tap.matches(s:job(id).statusDetail, "nonexistent")
end)

return tap.finish()
