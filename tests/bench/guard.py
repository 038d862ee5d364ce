"""Instructions that hot paths take in earlgrey.so, held against instructions.txt: a regression that no noise hides.

    guard.py            a line for each path: ok, or not ok where it takes more than 10 % more
    guard.py --update   writes instructions.txt anew (make bench-guard-update)

Counted by callgrind over a small capture of flowgen's, with one thread. Only what is executed in earlgrey.so counts:
SQLite, libc and the codecs choose their code by processor and version, ours is the same wherever the compiler is.
So a path that calls a library more often is seen by what it does around the calls only.
"""

import os
import re
import subprocess
import sys
import tempfile

FILE = "tests/bench/instructions.txt"
RECORDS = 50000
ALLOWED = 1.10
ADDRESS = "122.166.31.148"  # the busiest source of these records, 1,637 flows
MINUTE = "start_time >= '2007-07-26 21:12:00' AND start_time < '2007-07-26 21:13:00'"
COLUMNS = "start_time, srcaddr, srcport, dstaddr, dstport, protocol, packets, bytes"

# {flows} is the capture, {text} and {uint32} are datasets of it, {new} is a name that is not there.
PATHS = (
    ("count, capture", "SELECT count(*) FROM netflow_pcap('{flows}')"),
    ("sum, capture", "SELECT sum(bytes) FROM netflow_pcap('{flows}')"),
    ("rows, capture", "SELECT sum(length(%s)) FROM netflow_pcap('{flows}')" % COLUMNS.replace(", ", " || ")),
    ("pairs, capture", "SELECT * FROM netflow_active('{flows}', 10)"),
    ("five-tuples, capture", "SELECT * FROM netflow_top('{flows}', 'srcaddr,dstaddr,srcport,dstport,protocol', 'bytes', 10)"),
    ("pairs, uint32 shards", "SELECT * FROM netflow_active('{uint32}', 10)"),
    ("pairs, text shards", "SELECT * FROM netflow_active('{text}', 10)"),
    ("sum, text shards", "SELECT sum(bytes) FROM netflow('{text}')"),
    ("pairs of a port, uint32 shards", "SELECT * FROM netflow_active('{uint32}', 10) WHERE dstport = 53"),
    ("one address, uint32 shards", "SELECT %s FROM netflow('{uint32}') WHERE srcaddr = '%s'" % (COLUMNS, ADDRESS)),
    ("one address, text shards", "SELECT %s FROM netflow('{text}') WHERE srcaddr = '%s'" % (COLUMNS, ADDRESS)),
    ("one minute, text shards", "SELECT count(*), sum(bytes) FROM netflow('{text}') WHERE " + MINUTE),
    ("ingest, text shards", "SELECT rows FROM netflow_ingest('{flows}', '{new}')"),
    ("ingest, uint32 shards", "SELECT rows FROM netflow_ingest('{flows}', '{new}', 'addresses=uint32')"),
    ("ingest, SQLite store", "SELECT rows FROM netflow_ingest('{flows}', '{new}.db')"),
)


def built_by():
    """What the counts depend on besides the sources: compiler and processor."""
    comment = subprocess.run(["readelf", "-p", ".comment", "earlgrey.so"], check=True, capture_output=True, text=True).stdout
    compilers = sorted(set(re.findall(r"\]\s+(.*)", comment)))
    return "%s, %s" % (os.uname().machine, "; ".join(compilers))


def sqlite3(statement, *before):
    command = [*before, "sqlite3", "-batch", "-bail", "-init", os.devnull, "-cmd", ".load ./earlgrey", ":memory:", statement]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "EARLGREY_THREADS": "1"})
    if done.returncode != 0 or not done.stdout.strip():
        raise RuntimeError("%s\nstatus %d, answer %r\n%s" % (statement, done.returncode, done.stdout[:200], done.stderr[-2000:]))
    return done.stdout


def in_object(path, name):
    """The instructions of an object in callgrind's file: its own lines, without the sums behind `calls=`."""
    total, here, names, is_call = 0, False, {}, False
    with open(path) as f:
        for line in f:
            if line.startswith("ob="):
                number, _, text = line[3:].strip().partition(" ")
                names[number] = text or names.get(number, "")
                here = os.path.basename(names[number]) == name
            elif line.startswith("cob="):
                number, _, text = line[4:].strip().partition(" ")
                if text:
                    names[number] = text
            elif line.startswith("calls="):
                is_call = True
            elif line[0] in "0123456789+-*":
                if here and not is_call:
                    total += int(line.split()[1])
                is_call = False
    return total


def instructions(statement, folder):
    out = os.path.join(folder, "callgrind.out")
    sqlite3(statement, "valgrind", "--tool=callgrind", "--callgrind-out-file=" + out)
    found = in_object(out, "earlgrey.so")
    os.remove(out)
    if found == 0:
        raise RuntimeError("callgrind saw nothing of earlgrey.so")
    return found


def counted(folder):
    """(path, instructions or the error) of every path."""
    names = {name: os.path.join(folder, name) for name in ("uint32", "text")}
    names["flows"] = os.path.join(folder, "flows.pcap")
    subprocess.run(["build/bench/flowgen", "-n", str(RECORDS), names["flows"]], check=True, capture_output=True)
    for kind in ("uint32", "text"):
        sqlite3("SELECT rows FROM netflow_ingest('%s', '%s', 'addresses=%s')" % (names["flows"], names[kind], kind))
    for i, (path, statement) in enumerate(PATHS):
        try:
            yield path, instructions(statement.format(new=os.path.join(folder, "new%d" % i), **names), folder)
        except RuntimeError as e:
            yield path, str(e)


def read_file():
    """The recorded counts by path, and what they were built by."""
    counts, built = {}, ""
    with open(FILE) as f:
        for line in f:
            if line.startswith("# built: "):
                built = line[9:].strip()
            elif not line.startswith("#"):
                path, count = line.rsplit(None, 1)
                counts[path] = int(count.replace(",", ""))
    return counts, built


def update(found):
    with open(FILE, "w") as f:
        f.write("# Instructions in earlgrey.so over %s records. make bench-guard-update writes this file.\n" % format(RECORDS, ","))
        f.write("# built: %s\n" % built_by())
        for path, count in found:
            f.write("%-30s %15s\n" % (path, format(count, ",")))


def verdict(path, found, recorded):
    """The line of a path, and whether it is good."""
    if isinstance(found, str):
        return "%s\n# %s" % (path, found.replace("\n", "\n# ")), False
    if recorded is None:
        return "%s: not in %s; run make bench-guard-update" % (path, FILE), False
    text = "%s: %s, %+.1f %%" % (path, format(found, ","), 100 * (found / recorded - 1))
    if found > recorded * ALLOWED:
        return text + "\n# recorded are %s; where the growth is meant, run make bench-guard-update" % format(recorded, ","), False
    return text, True


def main():
    recorded, built = ({}, built_by()) if "--update" in sys.argv else read_file()
    if built != built_by():
        print("SKIP instructions: recorded of %s, this is %s" % (built, built_by()))
        return 0
    failures, found = 0, []
    with tempfile.TemporaryDirectory(prefix="earlgrey-guard.") as folder:
        for path, count in counted(folder):
            if "--update" in sys.argv and not isinstance(count, str):
                found.append((path, count))
                continue
            line, good = verdict(path, count, recorded.get(path))
            print(("ok " if good else "not ok ") + line, flush=True)
            failures += not good
    if "--update" in sys.argv and not failures:
        update(found)
    elif set(recorded) - {path for path, _ in PATHS}:
        print("not ok %s names paths that are not there: %s" % (FILE, ", ".join(sorted(set(recorded) - {p for p, _ in PATHS}))))
        failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
