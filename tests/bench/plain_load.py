"""Loads flows into SQLite the plain way: a prepared INSERT, one transaction, then CREATE INDEX.

    plain_load.py CAPTURE STORE.db

The table has the stored columns of a store of flows, with its generated columns and its indexes,
and the rows are read from the capture beforehand, so that only SQLite's work is measured."""

import os
import sqlite3
import sys
import tempfile
import time

COLUMNS = ("start_ms, duration_ms, ip4_num(srcaddr), ip4_num(dstaddr), srcport, dstport, proto, packets, bytes, tcp_flags, "
           "tos, input, output, ip4_num(nexthop), src_as, dst_as, src_mask, dst_mask, ip4_num(exporter), engine_type, "
           "engine_id, sampling_mode, sampling_interval, flow_sequence, time_flag, 1")


def schema_of_a_store(db):
    """CREATE statements of a new store: its table `flow`, and the indexes of that."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "empty.db")
        empty = os.path.join(folder, "empty.pcap")
        open(empty, "wb").write(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
        db.execute("SELECT * FROM netflow_ingest(?, ?)", (empty, path)).fetchall()
        rows = sqlite3.connect(path).execute(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = 'flow' AND sql IS NOT NULL AND type IN ('table', 'index') "
            "ORDER BY type DESC").fetchall()
    return [sql for sql, in rows]


def main(capture, target):
    source = sqlite3.connect(":memory:")
    source.enable_load_extension(True)
    source.load_extension(os.environ.get("EARLGREY", "./earlgrey"))
    table, *indexes = schema_of_a_store(source)
    rows = source.execute("SELECT %s FROM netflow_pcap(?)" % COLUMNS, (capture,)).fetchall()
    db = sqlite3.connect(target, isolation_level=None)
    db.execute("PRAGMA cache_size = -131072")
    db.execute(table.replace(" REFERENCES capture(id)", ""))
    clock = [(time.monotonic(), time.process_time())]

    def say(what):
        clock.append((time.monotonic(), time.process_time()))
        print("%s: %.1f s, %.1f s of the processor" % (what, clock[-1][0] - clock[-2][0], clock[-1][1] - clock[-2][1]))

    db.execute("BEGIN")
    db.executemany("INSERT INTO flow VALUES (NULL%s)" % (", ?" * 26), rows)
    db.execute("COMMIT")
    say("%d flows inserted" % len(rows))
    for sql in indexes:
        db.execute(sql)
        say(sql)
    print("%.0f MB" % (os.path.getsize(target) / 1e6))


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(*sys.argv[1:])
