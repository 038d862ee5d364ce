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

tap.case("so is one that is no integer", function()
  sh(("cp %s/flows.db %s/text.sqlite; sqlite3 %s/text.sqlite \"UPDATE flow SET bytes = 'many' WHERE id = 9; "
    .. "UPDATE flow SET exporter_num = -1 WHERE id = 11\""):format(DIR, DIR, DIR))
  local conn <close> = assert(earlgrey.open())
  tap.fails("text%.sqlite: flow 9: bytes is 'many': expected an integer", "SQLITE_ERROR",
    conn:row("SELECT sum(bytes) FROM netflow(?1)", DIR .. "/text.sqlite"))
  tap.fails("text%.sqlite: flow 11: exporter_num is %-1: expected 0 to 4294967295", "SQLITE_ERROR",
    conn:row("SELECT count(exporter) FROM netflow(?1)", DIR .. "/text.sqlite"))
end)

-- Rows from pages against rows from SQLite, which reads tables that were altered and stores with a log.
tap.case("read page by page a store answers as SQLite does", function()
  sh(("cd %s; rm -f odd.db; cp flows.db pages.db; sqlite3 pages.db \"INSERT INTO flow(id, start_ms, srcaddr_num, "
    .. "dstaddr_num, exporter_num, duration_ms) VALUES (9223372036854775807, 7, 1, 2, '2001:db8::1', 9), (-9000000000000000000, "
    .. "5, 4294967295, 0, 3, 2); UPDATE flow SET capture = NULL WHERE id %% 50 = 0; DELETE FROM flow WHERE id BETWEEN 100 AND "
    .. "180\"; cp pages.db altered.db; sqlite3 altered.db 'ALTER TABLE flow ADD COLUMN note'; cp pages.db log.db; "
    .. "sqlite3 log.db 'PRAGMA journal_mode = WAL'"):format(DIR))
  local conn <close> = assert(earlgrey.open())
  local all = "SELECT *, start_ms, end_ms, proto, packets_est, bytes_est, time_flag, file FROM netflow('%s/%s')"
  for _, name in ipairs { "altered.db", "log.db" } do
    local one, other = all:format(DIR, "pages.db"), all:format(DIR, name)
    tap.equal(assert(conn:row(("SELECT count(*) AS n FROM (%s EXCEPT %s)"):format(one, other))).n, 0)
    tap.equal(assert(conn:row(("SELECT count(*) AS n FROM (%s EXCEPT %s)"):format(other, one))).n, 0)
    tap.equal(flows(DIR .. "/" .. name), flows(DIR .. "/pages.db"))
    local ranking = "SELECT group_concat(addr1 || addr2 || bytes) AS a FROM netflow_active('%s/%s', 500)"
    tap.equal(conn:row(ranking:format(DIR, name)).a, conn:row(ranking:format(DIR, "pages.db")).a)
  end
  tap.equal(sh(("sqlite3 %s/pages.db 'SELECT count(*) FROM flow'"):format(DIR)), flows(DIR .. "/pages.db") .. "\n")
end)

tap.case("a damaged page is named", function()
  local page = assert(tonumber((sh(("sqlite3 %s/pages.db 'SELECT max(pageno) FROM dbstat WHERE name = \"flow\" AND "
    .. "pagetype = \"leaf\"'"):format(DIR)))))
  for name, message in pairs { pages = "pages%.db: page " .. page .. ": expected a leaf of a table", altered = "malformed" } do
    local path = ("%s/%s.db"):format(DIR, name)
    local file <close> = assert(io.open(path, "r+b"))
    file:seek("set", (page - 1) * 4096)
    file:write("\255")
    file:close()
    tap.matches(flows(path), message)
  end
end)

tap.case("a file of more than one name, or with a log, is never exchanged", function()
  ingest(("%s/text.db --to %s/one.db"):format(DIR, DIR))
  sh(("cd %s; cp one.db log2.db; ln one.db two-names.db; sqlite3 log2.db 'PRAGMA journal_mode = WAL'"):format(DIR))
  local reader <close> = assert(earlgrey.open(DIR .. "/log2.db")) -- keeps the log
  assert(reader:row("SELECT count(*) FROM flow"))
  for _, name in ipairs { "one", "log2" } do
    tap.equal(select(3, ingest(("%s/a.pcap --to %s/%s.db"):format(DIR, DIR, name))), 0)
  end
  tap.equal(flows(DIR .. "/two-names.db"), 90)
  tap.equal(reader:row("SELECT count(*) AS n FROM flow").n, 90)
  reader:close()
  tap.equal(sh(("sqlite3 %s/log2.db 'PRAGMA integrity_check'"):format(DIR)), "ok\n")
end)

tap.case("files of other stores are left alone", function()
  tap.write_file(DIR .. "/flows.db-2.db-77.tmp", "of another's")
  tap.write_file(DIR .. "/flows.db-77.tmp", "of one who died")
  ingest(("%s/a.pcap --to %s/flows.db"):format(DIR, DIR))
  tap.equal(sh(("cd %s; ls flows.db*"):format(DIR)), "flows.db\nflows.db-2.db-77.tmp\n")
  os.remove(DIR .. "/flows.db-2.db-77.tmp")
end)

tap.case("a store of an older version, or of none, is refused", function()
  sh(("cd %s; cp flows.db old.db; sqlite3 old.db 'PRAGMA user_version = 0'"):format(DIR))
  tap.matches(flows(DIR .. "/old.db"), "old%.db: store version 0: expected 1")
  local _, err, code = ingest(("%s/a.pcap --to %s/old.db"):format(DIR, DIR))
  tap.matches(err, "old%.db: store version 0: expected 1")
  tap.equal(code, 1)
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
  -- The file was exchanged between one's opening it and looking which it is: a capture was lost, or
  -- SQLite took the new file's log for the old one's. And the lock was left between looking a
  -- capture up and storing it.
  for _ = 1, 20 do
    local out, err = sh(("rm -f %s/race.db; for i in 1 2 3; do (%s scripts/ingest.lua %s/[abc].pcap --to %s/race.db > /dev/null "
      .. "|| echo failed) & done; wait"):format(DIR, tap.program, DIR, DIR))
    tap.equal(out, "", err)
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

tap.case("old days are dropped, and what was stored stays known", function()
  local lines = {
    db = { "2023%-11%-14%s+8115%s+%d+\n.*days 1, flows 8115", "2026%-11%-23%s+870" },
    days = { "2023%-11%-14%s+8115%s+%d+\n.*days 1, flows 8115", "2026%-11%-23%s+870" },
  }
  for _, name in ipairs { "db", "days" } do
    local target = name == "db" and DIR .. "/old-and-new.db" or DIR .. "/old-and-new"
    ingest("samples --to " .. target)
    if name == "days" then
      ingest("--compact " .. target)
    end
    local before = tonumber((sh("du -sb " .. target):match("^%d+")))
    tap.matches(ingest("--expire 2023-11-14 " .. target), "days 0, flows 0, bytes 0")
    tap.equal(flows(target), 8985)
    local out, err, code = ingest("--expire 2026-11-23 " .. target)
    tap.matches(out, lines[name][1], err)
    tap.equal(code, 0)
    tap.equal(flows(target), 870)
    tap.ok(tonumber((sh("du -sb " .. target):match("^%d+"))) < before / 2, "its room is given back")
    tap.matches(ingest("samples --to " .. target), "captures stored 0, already there 3")
    tap.equal(flows(target), 870)
    if name == "days" then
      tap.matches(ingest("--verify " .. target), "files 2, not ok 0")
      tap.equal(tap.exists(target .. "/year=2023"), false)
    end
    tap.matches(ingest("--expire 2999-01-01 " .. target), lines[name][2])
    tap.equal(flows(target), 0)
    if name == "days" then
      tap.matches(ingest("--verify " .. target), "files 1, not ok 0")
    else
      tap.equal(sh(("sqlite3 %s 'PRAGMA integrity_check; SELECT count(*) FROM capture; PRAGMA journal_mode'"):format(target)),
        "ok\n3\ndelete\n")
    end
  end
end)

tap.case("days are counted from today, UTC", function()
  local day <const> = 86400
  local now = os.time()
  local datagrams = {}
  for i, age in ipairs { 0, 1, 2, 3 } do
    datagrams[i] = { sequence = i - 1, seconds = now // day * day - age * day,
      records = { { src = "10.0.0." .. i, dst = "10.9.9.9", bytes = 1, packets = 1 } } }
  end
  synth.write(DIR .. "/days.pcap", datagrams)
  ingest(("%s/days.pcap --to %s/days.db"):format(DIR, DIR))
  tap.equal(flows(DIR .. "/days.db"), 4)
  tap.matches(ingest(("--expire 2d %s/days.db"):format(DIR)), "days 1, flows 1")
  tap.matches(ingest(("--expire 0d %s/days.db"):format(DIR)), "days 2, flows 2")
end)

tap.case("what cannot be expired is refused", function()
  for args, message in pairs {
    ["--expire 30 %s/flows.db"] = "%-%-expire: '30' is not a number of days, as 30d, or a day, as 2007%-07%-26",
    ["--expire 2007-02-30 %s/flows.db"] = "age '2007%-02%-30': expected days, as 30d, or the first day to keep, as 2007%-07%-26",
    ["--expire 30d %s/nowhere"] = "nowhere: no dataset there: expected a directory with a _earlgrey%.db, or an SQLite store",
    ["--expire 30d %s/other.db"] = "other%.db: a database, but no store of flows",
    ["--expire 30d"] = "%-%-expire takes an age, then one store",
  } do
    local _, err, code = ingest(args:format(DIR))
    tap.matches(err, message)
    tap.ok(code == 1 or code == 2)
  end
  tap.equal(tap.exists(DIR .. "/nowhere"), false)
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
