-- SQLite stores: what is refused, what goes on meanwhile, odd names and places.

local earlgrey = require "earlgrey"
local synth = require "tests.lua.synth"
local tap = require "tests.lua.tap"

local folder <close> = tap.folder()
local DIR <const> = folder.path

local function sh(command)
  return tap.run(command)
end

local function ingest(args)
  return tap.run(tap.program .. " scripts/ingest.lua " .. args)
end

local function flows(source)
  local conn <close> = assert(earlgrey.open())
  local row, message = conn:row("SELECT count(*) AS n FROM netflow(?1)", source)
  return row and row.n or message
end

local function write(name, first, last)
  local datagrams = {}
  for i = first, last do
    datagrams[#datagrams + 1] = {
      sequence = i - 1,
      records = { { src = "10.0." .. i // 256 .. "." .. i % 256, dst = "10.9.9.9", bytes = i, packets = 1 } },
    }
  end
  synth.write(DIR .. "/" .. name, datagrams)
end

write("a.pcap", 1, 90)
write("b.pcap", 91, 200)
write("c.pcap", 201, 300)

tap.case("files of captures become one store, each once", function()
  local out, _, code = ingest(("%s/a.pcap %s/b.pcap --to %s/flows.db"):format(DIR, DIR, DIR))
  tap.matches(out, "captures stored 2, already there 0")
  tap.equal(code, 0)
  out = ingest(("%s/b.pcap %s/c.pcap --to %s/flows.db"):format(DIR, DIR, DIR))
  tap.matches(out, "captures stored 1, already there 1")
  tap.equal(flows(DIR .. "/flows.db"), 300)
  tap.equal(sh("ls " .. DIR .. " | grep flows"), "flows.db\n")
end)

tap.case("any name will do, and a link stays one", function()
  local odd = DIR .. "/it's 100%s [a] *.sqlite"
  tap.equal(select(3, ingest(tap.quote(DIR .. "/a.pcap") .. " --to " .. tap.quote(odd))), 0)
  tap.equal(flows(odd), 90)
  sh(("mkdir %s/elsewhere; ln -s elsewhere/real.db %s/link.db; : > %s/elsewhere/real.db"):format(DIR, DIR, DIR))
  tap.equal(select(3, ingest(("%s/a.pcap --to %s/link.db"):format(DIR, DIR))), 0)
  tap.equal(sh(("readlink %s/link.db"):format(DIR)), "elsewhere/real.db\n")
  tap.equal(flows(DIR .. "/elsewhere/real.db"), 90)
end)

tap.case("other databases and other files are refused, and stay as they are", function()
  sh(("sqlite3 %s/other.db 'CREATE TABLE t(a)'; echo text that is no database > %s/text.db; sqlite3 %s/later.db "
    .. "'PRAGMA application_id = 1162310502; PRAGMA user_version = 99; CREATE TABLE flow(a)'"):format(DIR, DIR, DIR))
  local sums = sh(("cksum %s/other.db %s/text.db %s/later.db"):format(DIR, DIR, DIR))
  for name, message in pairs {
    other = "other%.db: a database, but no store of flows: expected one that netflow_ingest%(%) made, or a new name",
    text = "text%.db: file is not a database",
    later = "later%.db: store version 99: expected 1",
  } do
    local _, err, code = ingest(("%s/a.pcap --to %s/%s.db"):format(DIR, DIR, name))
    tap.matches(err, message)
    tap.equal(code, 1)
  end
  tap.matches(flows(DIR .. "/other.db"), "other%.db: a database, but no store of flows")
  tap.matches(flows(DIR .. "/later.db"), "later%.db: store version 99: expected 1")
  tap.equal(sh(("cksum %s/other.db %s/text.db %s/later.db"):format(DIR, DIR, DIR)), sums)
  local _, err = ingest(("%s/a.pcap --to %s/new.db --addresses text"):format(DIR, DIR))
  tap.matches(err, "new%.db: an SQLite store has no addresses= and compression=")
  tap.equal(tap.exists(DIR .. "/new.db"), false)
  tap.matches(flows("samples\n" .. DIR .. "/flows.db"), "flows%.db")
  tap.matches(flows(DIR .. "/flows.db\nsamples"), "flows%.db: a store in a list of sources: expected it alone")
end)

tap.case("a value that no flow has is named with its row", function()
  sh(("cp %s/flows.db %s/odd.db; sqlite3 %s/odd.db 'UPDATE flow SET srcport = 65536 WHERE id = 7'"):format(DIR, DIR, DIR))
  local conn <close> = assert(earlgrey.open())
  tap.fails("odd%.db: flow 7: srcport is 65536: expected 0 to 65535", "SQLITE_ERROR",
    conn:row("SELECT sum(srcport) FROM netflow(?1)", DIR .. "/odd.db"))
  tap.equal(conn:row("SELECT count(*) AS n FROM netflow(?1) WHERE srcport < 9", DIR .. "/odd.db").n, 299)
end)

tap.case("objects of the user's own keep a store from being written anew", function()
  ingest(("%s/text.db --to %s/own.db"):format(DIR, DIR)) -- no capture: the store is made, and empty
  tap.equal(select(3, sh(("sqlite3 %s/own.db 'CREATE TABLE mine AS SELECT 42 AS a'"):format(DIR))), 0)
  tap.equal(select(3, ingest(("%s/a.pcap --to %s/own.db"):format(DIR, DIR))), 0)
  tap.equal(sh(("sqlite3 %s/own.db 'SELECT a FROM mine; SELECT count(*) FROM flow; PRAGMA integrity_check'"):format(DIR)),
    "42\n90\nok\n")
end)

tap.case("without its indexes a store still answers", function()
  sh(("cp %s/flows.db %s/bare.db; sqlite3 %s/bare.db 'DROP INDEX flow_by_srcaddr; DROP INDEX flow_by_time'"):format(DIR,
    DIR, DIR))
  local conn <close> = assert(earlgrey.open())
  tap.equal(conn:row("SELECT sum(bytes) AS n FROM netflow(?1) WHERE srcaddr = '10.0.0.5'", DIR .. "/bare.db").n, 5)
end)

tap.case("readers go on while captures are inserted, and see whole ones", function()
  local reader <close> = assert(earlgrey.open(DIR .. "/flows.db"))
  assert(reader:exec("PRAGMA busy_timeout = 0"))
  write("d.pcap", 301, 9000)
  sh(("%s scripts/ingest.lua %s/d.pcap --to %s/flows.db & echo $! > %s/pid"):format(tap.program, DIR, DIR, DIR))
  local seen = {}
  for _ = 1, 100000 do
    local n = assert(reader:row("SELECT count(*) AS n FROM flow NOT INDEXED")).n
    seen[n] = true
    if n == 9000 then
      break
    end
  end
  tap.ok(seen[9000], "the capture came")
  seen[300], seen[9000] = nil, nil
  tap.equal(next(seen), nil)
end)

tap.case("two ingests at once store each capture once", function()
  for _, target in ipairs { "two.db", "flows.db" } do
    local one = ("%s scripts/ingest.lua %s/a.pcap %s/b.pcap %s/d.pcap --to %s/%s"):format(tap.program, DIR, DIR, DIR, DIR,
      target)
    local out, err, code = sh(one .. " > /dev/null & " .. one .. " > /dev/null; a=$?; wait $!; echo $a $?")
    tap.equal(out, "0 0\n", err)
    tap.equal(code, 0)
    tap.equal(sh(("sqlite3 %s/%s 'SELECT count(DISTINCT hash) = count(*) FROM capture; PRAGMA integrity_check'"):format(DIR,
      target)), "1\nok\n")
  end
  tap.equal(flows(DIR .. "/two.db"), 8900)
  tap.equal(flows(DIR .. "/flows.db"), 9000)
  -- The file was exchanged between one's opening it and looking which it is: a capture was lost.
  for _ = 1, 12 do
    sh(("rm -f %s/race.db; for i in 1 2 3; do %s scripts/ingest.lua %s/[abc].pcap --to %s/race.db > /dev/null & done; wait")
      :format(DIR, tap.program, DIR, DIR))
    tap.equal(flows(DIR .. "/race.db"), 300)
  end
end)

tap.case("where no more can be written, nothing is stored and the next ingest works", function()
  for _, target in ipairs { "limited.db", "two.db" } do
    write("e.pcap", 9001, 30000)
    local n = target == "two.db" and 8900 or 0
    local ingest_it = ("%s scripts/ingest.lua %s/e.pcap --to %s/%s"):format(tap.program, DIR, DIR, target)
    -- A limit for files instead of a full disk.
    local _, err, code = sh("trap '' XFSZ; ulimit -f " .. (n > 0 and 2500 or 500) .. "; " .. ingest_it)
    tap.matches(err, target:gsub("%.", "%%.") .. ".*: ")
    tap.equal(code, 1)
    tap.equal(sh(("sqlite3 %s/%s 'SELECT count(*) FROM flow; PRAGMA integrity_check'"):format(DIR, target)), n .. "\nok\n")
    tap.equal(select(3, sh(ingest_it)), 0)
    tap.equal(flows(DIR .. "/" .. target), n + 21000)
    tap.equal(sh(("cd %s; ls | grep -F %s"):format(DIR, target)), target .. "\n")
  end
end)

tap.case("a grown capture replaces its partial one", function()
  write("grown.pcap", 1, 20)
  local whole = tap.read_file(DIR .. "/grown.pcap")
  tap.write_file(DIR .. "/grown.pcap", whole:sub(1, #whole - 300))
  tap.equal(select(3, ingest(("%s/grown.pcap --partial --to %s/part.db"):format(DIR, DIR))), 3)
  local n = flows(DIR .. "/part.db")
  tap.ok(n > 0 and n < 20)
  tap.write_file(DIR .. "/grown.pcap", whole)
  tap.equal(select(3, ingest(("%s/grown.pcap --partial --to %s/part.db"):format(DIR, DIR))), 0)
  tap.equal(flows(DIR .. "/part.db"), 20)
end)

tap.case("Python's module reads it without the extension", function()
  local out, err = sh(([[/usr/bin/python3 - <<'EOF'
import sqlite3
db = sqlite3.connect("file:%s/flows.db?mode=ro", uri=True)
print(db.execute("SELECT srcaddr, dstaddr, bytes, protocol FROM flow WHERE srcaddr = '10.0.0.7'").fetchall())
print(db.execute("SELECT count(*) FROM flow_readable").fetchone())
EOF]]):format(DIR))
  tap.equal(out, "[('10.0.0.7', '10.9.9.9', 7, 'TCP')]\n(9000,)\n", err)
end)

return tap.finish()
