-- scripts/activeflow.lua: output forms, totals, exit codes.

local json = require "json"
local synth = require "tests.lua.synth"
local tap = require "tests.lua.tap"

local folder <close> = tap.folder()
local DIR <const> = folder.path

local function activeflow(args)
  return tap.run(tap.program .. " scripts/activeflow.lua " .. args)
end

-- Two directions of one pair, a tie, and a pair with itself.
synth.write(DIR .. "/a.pcap", {
  { records = {
    { src = "10.0.0.2", dst = "10.0.0.1", bytes = 100, packets = 1 },
    { src = "10.0.0.1", dst = "10.0.0.2", bytes = 50, packets = 2 },
    { src = "9.9.9.9", dst = "10.0.0.1", bytes = 150, packets = 3 },
  } },
  { sequence = 3, records = { { src = "8.8.8.8", dst = "8.8.8.8", bytes = 7, packets = 1 } } },
})
synth.write(DIR .. "/b.pcap", {
  { sequence = 4, records = { { src = "10.0.0.1", dst = "10.0.0.2", bytes = 4000000000, packets = 9 } } },
})
synth.write(DIR .. "/mixed.pcap", {
  { records = { { src = "1.1.1.1", dst = "2.2.2.2", bytes = 5, packets = 1 } } },
  { version = 9, records = { { src = "1.1.1.1", dst = "2.2.2.2" } } },
})

tap.case("the default is a table, largest first, ties by address, then the totals", function()
  local out, err, code = activeflow(DIR .. "/a.pcap")
  tap.equal(out, [[
addr1     addr2     bytes  packets  flows
--------  --------  -----  -------  -----
9.9.9.9   10.0.0.1    150        3      1
10.0.0.1  10.0.0.2    150        3      2
8.8.8.8   8.8.8.8       7        1      1
captures 1, datagrams 2, flows 4, lost flows 0, rejected 0
]])
  tap.equal(err, "")
  tap.equal(code, 0)
end)

tap.case("tuples are printed as (addr1,addr2,bytes), the totals go to standard error", function()
  local out, err, code = activeflow("--format tuple " .. DIR .. "/a.pcap")
  tap.equal(out, "(9.9.9.9,10.0.0.1,150)\n(10.0.0.1,10.0.0.2,150)\n(8.8.8.8,8.8.8.8,7)\n")
  tap.equal(err, "captures 1, datagrams 2, flows 4, lost flows 0, rejected 0\n")
  tap.equal(code, 0)
end)

tap.case("several sources are summed together, beyond 32 bits", function()
  local out, err = activeflow(("-print 1 --format=tuple %s/a.pcap %s/b.pcap"):format(DIR, DIR))
  tap.equal(out, "(10.0.0.1,10.0.0.2,4000000150)\n")
  tap.equal(err, "captures 2, datagrams 3, flows 5, lost flows 0, rejected 0\n")
end)

tap.case("-print, --print and --print= limit the pairs", function()
  for _, option in ipairs { "-print 2", "--print 2", "--print=2", "-print=2" } do
    local out = activeflow(option .. " --format tuple " .. DIR .. "/a.pcap")
    tap.equal(select(2, out:gsub("\n", "")), 2, option)
  end
end)

tap.case("csv has a header and CR LF, json an array of objects with exact numbers", function()
  local out = activeflow("--format csv -print 1 " .. DIR .. "/b.pcap")
  tap.equal(out, "addr1,addr2,bytes,packets,flows\r\n10.0.0.1,10.0.0.2,4000000000,9,1\r\n")
  local rows = assert(json.decode((activeflow("--format json " .. DIR .. "/b.pcap"))))
  tap.equal(#rows, 1)
  tap.equal(rows[1].bytes, 4000000000)
  tap.equal(rows[1].addr2, "10.0.0.2")
end)

tap.case("a rejected datagram is counted and gives exit code 3", function()
  local out, _, code = activeflow(DIR .. "/mixed.pcap")
  tap.matches(out, "captures 1, datagrams 2, flows 1, lost flows 0, rejected 1\n$")
  tap.equal(code, 3)
end)

tap.case("a source that is missing or is no capture is named, with exit code 1", function()
  local out, err, code = activeflow("/nonexistent/x.pcap")
  tap.equal(out, "")
  tap.matches(err, "^activeflow: .*/nonexistent/x%.pcap")
  tap.equal(code, 1)
  _, err, code = activeflow("README.nonexistent")
  tap.matches(err, "README%.nonexistent")
  tap.equal(code, 1)
  tap.write_file(DIR .. "/text.pcap", "this is no capture at all, only some text\n")
  _, err, code = activeflow(DIR .. "/text.pcap")
  tap.matches(err, "text%.pcap")
  tap.equal(code, 1)
end)

tap.case("wrong usage gives one line that names what is wrong, and exit code 2", function()
  local wrong = {
    ["-print 0"] = "%-print: '0' is not a whole number of at least 1",
    ["-print ten"] = "%-print: 'ten' is not a whole number",
    ["-print"] = "%-print needs a value",
    ["--print 1 --print 2"] = "given twice",
    ["--format xml"] = "%-%-format: 'xml' is not tuple, table, csv or json",
    ["--frobnicate"] = "unknown option '%-%-frobnicate'",
    ["--help=1"] = "takes no value",
    ["''"] = "source is empty",
    ["\"$(printf 'a\\nb')\""] = "newline in its name",
  }
  for args, pattern in pairs(wrong) do
    local out, err, code = activeflow(args)
    tap.equal(out, "", args)
    tap.matches(err, "^activeflow: [^\n]*" .. pattern .. "[^\n]*; see %-%-help\n$", args)
    tap.equal(code, 2, args)
  end
end)

tap.case("--help and -h show the usage", function()
  for _, option in ipairs { "--help", "-h" } do
    local out, err, code = activeflow(option)
    tap.matches(out, "^usage: activeflow")
    tap.equal(err, "")
    tap.equal(code, 0)
  end
end)

tap.case("a name that begins with a dash can follow --", function()
  synth.write(DIR .. "/-x.pcap", { { records = { { src = "1.1.1.1", dst = "2.2.2.2", bytes = 5 } } } })
  local script = (tap.run "realpath scripts/activeflow.lua"):gsub("\n", "")
  local out = tap.run(("cd %s && %s %s --format tuple -- -x.pcap"):format(DIR, tap.program, script))
  tap.equal(out, "(1.1.1.1,2.2.2.2,5)\n")
end)

tap.case("without a source it reads the samples, from anywhere and by name", function()
  local expected, _, code = activeflow("--format tuple samples")
  tap.ok(code == 0 or code == 3, "samples can be read")
  tap.matches(expected, "^%(")
  tap.equal((activeflow "--format tuple"), expected)
  local script = (tap.run "realpath scripts/activeflow.lua"):gsub("\n", "")
  tap.equal((tap.run(("cd / && %s %s --format tuple"):format(tap.program, script))), expected)
  if tap.exists((tap.program:match("^'(.*)/[^/]*'$") or "") .. "/scripts/activeflow.lua") then
    tap.equal((tap.run(("cd / && %s activeflow --format tuple"):format(tap.program))), expected)
  end
end)

tap.case("a reader that goes away ends it quietly, a full disk is a failure", function()
  local _, err = tap.run(tap.program .. " scripts/activeflow.lua --format csv " .. DIR .. "/a.pcap | head -c 1 >/dev/null")
  tap.ok(not err:find("lua:"), err)
  local _, full_err, code = activeflow(DIR .. "/a.pcap >/dev/full")
  tap.matches(full_err, "standard output")
  tap.equal(code, 1)
end)

local NETGRAPH <const> = "../shared/captures/third-party/graylog-netgraph-v5.pcap"
if tap.exists(NETGRAPH) then
  tap.case("pairs of a real capture sum up to its totals", function()
    local rows = json.decode((activeflow("--format json -print 100000 " .. NETGRAPH)))
    local bytes, packets, flows = 0, 0, 0
    for _, row in ipairs(rows) do
      bytes, packets, flows = bytes + row.bytes, packets + row.packets, flows + row.flows
    end
    tap.equal(bytes, 6765997)
    tap.equal(packets, 19355)
    tap.equal(flows, 120)
  end)
else
  tap.skip("pairs of a real capture sum up to its totals", "no " .. NETGRAPH)
end

tap.case("--store keeps the pairs as a job's results, in their order", function()
  local store = require "earlgrey.store"
  local folder <close> = tap.folder()
  local path = folder.path .. "/jobs.db"
  local out, _, code = tap.run(tap.program .. " scripts/activeflow.lua -print 3 --store " .. path)
  tap.equal(code, 0)
  local s <close> = assert(store.open(path))
  local id = tap.ok(out:match "job (%x+): 3 results in ", out)
  local expected = tap.run(tap.program .. " scripts/activeflow.lua -print 3 --format tuple")
  local lines = {}
  for i, d in ipairs(s:results(id)) do
    tap.equal(d._id, i)
    lines[i] = ("(%s,%s,%d)\n"):format(d.srcAddress, d.dstAddress, d.bytes)
  end
  tap.equal(table.concat(lines), expected:match "^%(.*%)\n")
  tap.equal(s:job(id).type, "ActiveFlow")
  local _, err, wrong = tap.run(tap.program .. " scripts/activeflow.lua --format csv --store " .. path)
  tap.matches(err, "%-%-format does not go with %-%-store")
  tap.equal(wrong, 2)
end)

return tap.finish()
