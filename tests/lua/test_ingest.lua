-- scripts/ingest.lua: what is stored, what is refused, exit codes.

local earlgrey = require "earlgrey"
local json = require "json"
local synth = require "tests.lua.synth"
local tap = require "tests.lua.tap"

local folder <close> = tap.folder()
local DIR <const> = folder.path

local function ingest(args)
  return tap.run(tap.program .. " scripts/ingest.lua " .. args)
end

local function rows(source)
  local conn <close> = assert(earlgrey.open())
  return conn:row("SELECT count(*) AS n, sum(bytes) AS bytes FROM netflow(?1)", source)
end

local function write(name, first, last)
  local datagrams = {}
  for i = first, last do
    datagrams[#datagrams + 1] = {
      sequence = i - 1,
      records = { { src = "10.0.0." .. i, dst = "10.9.9.9", bytes = i, packets = 1 } },
    }
  end
  synth.write(DIR .. "/" .. name, datagrams)
end

-- Old enough not to be taken for growing when it is cut.
local function age(name)
  os.execute("touch -d '2 hours ago' " .. tap.quote(DIR .. "/" .. name))
end

write("a.pcap", 1, 9)
write("b.pcap", 10, 20)

tap.case("captures are stored, and a line of totals says what", function()
  local out, err, code = ingest(("%s/a.pcap %s/b.pcap --to %s/flows"):format(DIR, DIR, DIR))
  tap.matches(out, "a%.pcap +stored +9 ")
  tap.matches(out, "captures stored 2, already there 0, refused 0; flows 20, lost flows 0, rejected 0, bytes %d+\n$")
  tap.equal(err, "")
  tap.equal(code, 0)
  tap.equal(rows(DIR .. "/flows").n, 20)
  tap.equal(rows(DIR .. "/flows").bytes, 210)
end)

tap.case("the same content under another name and compression is already there", function()
  os.execute(("gzip -c %s > %s"):format(tap.quote(DIR .. "/a.pcap"), tap.quote(DIR .. "/other.gz")))
  local out, err, code = ingest(("%s/other.gz --to %s/flows --format json"):format(DIR, DIR))
  local list = json.decode(out)
  tap.equal(#list, 1)
  tap.equal(list[1].status, "already there")
  tap.equal(list[1].rows, 0)
  tap.matches(err, "already there 1")
  tap.equal(code, 0)
  tap.equal(rows(DIR .. "/flows").n, 20)
end)

tap.case("a capture that ends within a packet and is young is refused, and stored with --partial", function()
  local whole = tap.read_file(DIR .. "/b.pcap")
  tap.write_file(DIR .. "/growing.pcap", whole:sub(1, -40))
  local out, _, code = ingest(("%s/growing.pcap --to %s/partial"):format(DIR, DIR))
  tap.matches(out, "growing +0 .*less than a minute ago")
  tap.equal(code, 3)
  tap.equal(rows(DIR .. "/partial").n, 0)
  out, _, code = ingest(("%s/growing.pcap --to %s/partial --partial"):format(DIR, DIR))
  tap.matches(out, "stored +10 ")
  tap.equal(code, 3) -- the packet that is cut counts as rejected
  tap.equal(rows(DIR .. "/partial").n, 10)
end)

tap.case("the grown capture replaces its partial one; the part alone is then already there", function()
  tap.write_file(DIR .. "/growing.pcap", tap.read_file(DIR .. "/b.pcap"))
  local out, _, code = ingest(("%s/growing.pcap --to %s/partial"):format(DIR, DIR))
  tap.matches(out, "stored +11 .*replaces the part of it that was stored before")
  tap.equal(code, 0)
  tap.equal(rows(DIR .. "/partial").n, 11)
  tap.write_file(DIR .. "/growing.pcap", tap.read_file(DIR .. "/b.pcap"):sub(1, -40))
  out = ingest(("%s/growing.pcap --to %s/partial"):format(DIR, DIR))
  tap.matches(out, "already there")
  tap.equal(rows(DIR .. "/partial").n, 11)
end)

tap.case("an old capture that is cut is stored, and exits 3", function()
  tap.write_file(DIR .. "/cut.pcap", tap.read_file(DIR .. "/a.pcap"):sub(1, -40))
  age("cut.pcap")
  local out, _, code = ingest(("%s/cut.pcap --to %s/cut"):format(DIR, DIR))
  tap.matches(out, "stored +8 .*ends within a packet")
  tap.equal(code, 3)
end)

tap.case("--compact merges the shards of a day", function()
  local out, err, code = ingest("--compact " .. DIR .. "/flows")
  tap.matches(out, "\n +1 +2 +1 ")
  tap.equal(err, "")
  tap.equal(code, 0)
  tap.equal(rows(DIR .. "/flows").n, 20)
end)

-- The dataset's shards by path.
local function shards_of(dataset)
  local conn <close> = assert(earlgrey.open(dataset .. "/_earlgrey.db"))
  local list = {}
  for _, row in ipairs(assert(conn:query("SELECT path FROM shard WHERE state = 'stored' ORDER BY path"))) do
    list[#list + 1] = dataset .. "/" .. row.path
  end
  return list
end

tap.case("--verify finds nothing wrong with a dataset", function()
  local out, err, code = ingest("--verify " .. DIR .. "/flows")
  tap.matches(out, "_earlgrey%.db +ok +20\n")
  tap.matches(out, "%.parquet +ok +20 ")
  tap.matches(out, "files 2, not ok 0\n$")
  tap.equal(err, "")
  tap.equal(code, 0)
end)

tap.case("--verify names what is damaged, of another size, missing or not listed", function()
  local dataset = DIR .. "/verified"
  local _, _, done = ingest(("%s/a.pcap %s/b.pcap --to %s"):format(DIR, DIR, dataset))
  tap.equal(done, 0)
  local a, b = table.unpack(shards_of(dataset))
  local bytes = tap.read_file(a)
  local function check(pattern)
    local out, _, code = ingest("--verify " .. dataset)
    tap.matches(out, pattern)
    tap.equal(code, 3)
  end
  tap.write_file(a, bytes:sub(1, 99) .. string.char(bytes:byte(100) ~ 8) .. bytes:sub(101))
  check("%.parquet +damaged .* row group 0.*files 3, not ok 1")
  local at = assert(bytes:find("earlgrey.datagrams", 1, true)) -- means nothing to any reader
  tap.write_file(a, bytes:sub(1, at - 1) .. "E" .. bytes:sub(at + 1))
  check("%.parquet +differs .*some byte is another")
  tap.write_file(a, bytes:sub(1, -9))
  check("%.parquet +damaged .*not ok 1")
  tap.write_file(a, tap.read_file(b))
  check("%.parquet +differs .*the manifest has")
  tap.write_file(a, bytes)
  tap.write_file(dataset .. "/copy.parquet", bytes)
  check("copy%.parquet +not listed .*not of this dataset")
  os.remove(dataset .. "/copy.parquet")
  os.remove(b)
  check("%.parquet +missing .*the manifest lists it")
end)

tap.case("progress never falls, never passes the total, and counts flows", function()
  local conn <close> = assert(earlgrey.open())
  synth.write(DIR .. "/p1.pcap", (function()
    local datagrams = {}
    for i = 1, 20000 do
      datagrams[i] = { sequence = i - 1, records = { { src = "10.1.1.1", dst = "10.9.9.9", bytes = i, packets = 1 } } }
    end
    return datagrams
  end)())
  os.execute(("gzip -c %s/p1.pcap > %s/p2.pcap.gz"):format(DIR, DIR)) -- the same once more
  local seen, last, total, most_rows = 0, 0, nil, 0
  conn:progress(function(done, of, rows)
    if of > 0 then
      seen = seen + 1
      assert(done >= last and done <= of and (total or of) == of, ("%d of %d after %d"):format(done, of, last))
      last, total, most_rows = done, of, math.max(most_rows, rows)
    end
  end, 1)
  assert(conn:query("SELECT * FROM netflow_ingest(?1, ?2)", DIR .. "/p1.pcap\n" .. DIR .. "/p2.pcap.gz", DIR .. "/progress"))
  conn:progress(nil)
  assert(seen >= 1 and last > 0 and most_rows > 0, seen)
  tap.equal(total, #tap.read_file(DIR .. "/p1.pcap") + #tap.read_file(DIR .. "/p2.pcap.gz"))
end)

tap.case("the line of progress says how much, how fast and how long", function()
  local progress = require "earlgrey.progress"
  tap.equal(progress.text("ingest", 2000, 250, 1000, 3000000),
    "ingest: [#####               ] 25 %, 250 B of 1.0 kB, 125 B/s, 1.50 M flows/s, 6 s left")
  tap.equal(progress.text("ingest", 4000, 1000, 1000, 0), "ingest: [####################] 100 %, 1.0 kB of 1.0 kB, 250 B/s")
  tap.equal(progress.text("compact", 1500, 0, 0, 0), "compact: 1.5 s")
end)

tap.case("addresses of another kind than the dataset's are refused", function()
  local _, err, code = ingest(("%s/a.pcap --to %s/flows --addresses uint32"):format(DIR, DIR))
  tap.matches(err, "flows: holds addresses=text: expected the same")
  tap.equal(code, 1)
  local _, _, same = ingest(("%s/a.pcap --to %s/flows --addresses text"):format(DIR, DIR))
  tap.equal(same, 0)
end)

tap.case("the manifest keeps audit and losses of captures that are gone", function()
  local datagrams = {}
  for i = 1, 5 do -- between the third and the fourth, seven flows are missing
    datagrams[i] = { sequence = i - 1 + (i > 3 and 7 or 0), records = { { src = "10.0.0.1", dst = "10.9.9.9" } } }
  end
  synth.write(DIR .. "/gap.pcap", datagrams)
  local conn <close> = assert(earlgrey.open())
  for _, name in ipairs { "netflow_audit", "netflow_loss" } do
    local sql = "SELECT * FROM " .. name .. "(?1)"
    local of_capture = assert(conn:query(sql, DIR .. "/gap.pcap")):json()
    assert(conn:query("SELECT * FROM netflow_ingest(?1, ?2)", DIR .. "/gap.pcap", DIR .. "/gaps"))
    tap.equal(assert(conn:query(sql, DIR .. "/gaps")):json(), of_capture)
  end
  tap.equal(conn:row("SELECT flows_lost FROM netflow_loss(?1)", DIR .. "/gaps").flows_lost, 7)
end)

local function sh(command)
  return tap.run("sh -c " .. tap.quote(command))
end

-- Captures whose shard is larger than what may be written.
local function write_large()
  local datagrams = {}
  for i = 1, 400 do
    local records = {}
    for k = 1, 30 do
      local n = i * 30 + k
      records[k] = { src = ("10.%d.%d.%d"):format(n * 7 % 251, n * 13 % 241, n % 239), dst = "10.9.9.9", bytes = n * 7919, packets = n }
    end
    datagrams[i] = { sequence = (i - 1) * 30, records = records }
  end
  synth.write(DIR .. "/large.pcap", datagrams)
end

tap.case("netflow_parquet reads the shards of a directory that holds captures, too", function()
  os.execute(("mkdir %s/mixed && cp %s/a.pcap %s/mixed/ && cp %s %s/mixed/x.parquet"):format(DIR, DIR, DIR,
    tap.quote(shards_of(DIR .. "/gaps")[1]), DIR))
  local conn <close> = assert(earlgrey.open())
  local count = function(name)
    return conn:row("SELECT count(*) AS n FROM " .. name .. "(?1)", DIR .. "/mixed").n
  end
  tap.equal(count("netflow_parquet"), 5)
  tap.equal(count("netflow_pcap"), 9)
end)

tap.case("where no more can be written, nothing is stored and the next ingest works", function()
  write_large()
  local ingest_it = ("%s scripts/ingest.lua %s/large.pcap --to %s/limited"):format(tap.program, DIR, DIR)
  -- A limit for files instead of a full disk: writing fails in the same place.
  local _, err, code = sh("trap '' XFSZ; ulimit -f 140; " .. ingest_it)
  tap.matches(err, "limited/_earlgrey%.tmp/.*: write: File too large")
  tap.equal(code, 1)
  tap.equal(rows(DIR .. "/limited").n, 0)
  local left = sh("find " .. DIR .. "/limited -type f ! -name '_earlgrey.db' ! -name '_earlgrey.lock'")
  tap.equal(left, "")
  local _, _, again = sh(ingest_it)
  tap.equal(again, 0)
  tap.equal(rows(DIR .. "/limited").n, 12000)
end)

tap.case("a dataset that cannot be written is read, and an ingest names it", function()
  -- Root may write everywhere but for these capabilities.
  local as = sh("id -u") == "0\n" and "setpriv --bounding-set -dac_override,-dac_read_search " or ""
  sh(("chmod -R a-w %s/limited"):format(DIR))
  local out = sh(("%s%s -e %s"):format(as, tap.program, tap.quote(([[
    local conn <close> = assert(require("earlgrey").open())
    print(conn:row("SELECT count(*) AS n FROM netflow(?1)", "%s/limited").n)]]):format(DIR))))
  tap.equal(out, "12000\n")
  local _, err, code = sh(("%s%s scripts/ingest.lua %s/a.pcap --to %s/limited"):format(as, tap.program, DIR, DIR))
  tap.matches(err, "limited.*: .*%f[%w][Pp]ermission denied\n$")
  tap.equal(code, 1)
  sh(("chmod -R u+w %s/limited"):format(DIR))
  tap.equal(rows(DIR .. "/limited").n, 12000)
end)

tap.case("captures stay stored where a later one fails", function()
  tap.write_file(DIR .. "/text.txt", "no capture")
  write("c.pcap", 30, 33)
  local _, err, code = ingest(("%s/c.pcap %s/text.txt --to %s/flows"):format(DIR, DIR, DIR))
  tap.matches(err, "text%.txt: not a pcap or pcapng capture")
  tap.equal(code, 1)
  tap.equal(rows(DIR .. "/flows").n, 24)
end)

tap.case("wrong usage is told", function()
  for args, message in pairs {
    [""] = "a capture is missing",
    ["samples"] = "%-%-to is missing",
    ["samples --compact x"] = "%-%-compact takes nothing else",
    ["--verify x --to y"] = "%-%-verify takes nothing else",
    ["--verify x --compact y"] = "takes nothing else",
    ["samples --to x --addresses int"] = "'int' is not text or uint32",
    ["samples --to ''"] = "'' is not a path",
  } do
    local _, err, code = ingest(args)
    tap.matches(err, message)
    tap.equal(code, 2, args)
  end
end)

tap.case("a target that is no directory is an error that names it", function()
  local _, err, code = ingest(("samples --to %s/a.pcap"):format(DIR))
  tap.matches(err, "a%.pcap: Not a directory")
  tap.equal(code, 1)
end)

return tap.finish()
