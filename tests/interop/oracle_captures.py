"""Compares what Earlgrey reads from the shared captures with what tshark and nfdump read from them.

Per capture: NAME.tshark.tsv record by record, NAME.nfdump.tsv for absolute times and scaled counters, the
README's table for counts and sums, the audit's arithmetic, and the loss by flow_sequence. Then QUERIES.md, and the
same captures as a directory, a list and an archive. Where Earlgrey departs from a tool on purpose, the reason
stands here beside the expectation.
"""

import csv
import glob
import os
import re
import struct
import tarfile
import tempfile

from report import CAPTURES, check, connect, equal, finish, not_ok, ok, quote, skip

M32 = 1 << 32

# (records, packets, octets) where the README's figure, which is tshark's, is not the rule here.
DEVIATIONS = {
    # tshark trusts no count; a count above 30 is rejected whole here.
    "neg-wrapped-logstash-v5-invalid01-count55582.pcap": (0, 0, 0),
    "neg-wrapped-logstash-v5-invalid02-count163.pcap": (0, 0, 0),
    "malformed-v5-variants.pcap": "decode",
    # tshark has no xz.
    "netgraph.pcap.xz": (120, 19355, 6765997),
    # Five datagrams to sFlow's port are NetFlow v5 by their content; tshark says the same when it is told to
    # dissect the port so (-d udp.port==6343,cflow). The second file contains the first.
    "neg-tcpdump-sflow-30pdus.pcap": (7, 12, 1953),
    "merged-multi-if-mixed-versions.pcapng": (3674 + 7, 57528 + 12, 35029439 + 1953),
}

# Decoded datagrams, likewise: of the nine malformed ones four are kept.
DECODED = {
    "neg-wrapped-logstash-v5-invalid01-count55582.pcap": 0,
    "neg-wrapped-logstash-v5-invalid02-count163.pcap": 0,
    "malformed-v5-variants.pcap": 4,
    "netgraph.pcap.xz": 4,
    "neg-tcpdump-sflow-30pdus.pcap": 5,
    "merged-multi-if-mixed-versions.pcapng": 127 + 5,
}

# Files that are no capture: the error must name the file and say what was found.
NOT_CAPTURES = {"empty-0bytes.pcap": "empty", "neg-netgraph.snoop": "snoop"}

# Frames that tshark counts and Earlgrey does not, or the other way round.
FRAMES = {
    "netgraph.pcap.xz": 4,
    "netgraph-cut-midpacket.pcap": 4,  # the cut packet is in the audit, as file_cut
    "netgraph-cut-midrecheader.pcap": 4,
    "netgraph-cut.pcapng": 4,
    "netgraph-two-sections-mixed-endian.pcapng": None,  # tshark counts the unknown block
    "netgraph-simplepackets.pcapng": None,
}

LOST = {"ndpi-lost4datagrams.pcap": 117}


def captures():
    found = {}
    for folder in ("third-party", "made", "derived"):
        for path in sorted(glob.glob(os.path.join(CAPTURES, folder, "*"))):
            name = os.path.basename(path)
            if not name.endswith((".tsv", ".md")):
                found[name] = path
    return found


def stem(path):
    return re.sub(r"\.(pcap|pcapng)(\.\w+)?$", "", path)


def read_tsv(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f, delimiter="\t"))


def readme_tables():
    """file name -> dict of the columns, from both tables."""
    rows, head = {}, None
    with open(os.path.join(CAPTURES, "README.md")) as f:
        for line in f:
            if not line.startswith("|"):
                head = None
                continue
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if head is None:
                head = cells
            elif not cells[0].startswith("---"):
                rows[cells[0]] = dict(zip(head, cells))
    return rows


def first_number(text):
    return int(text.split()[0])


# ---- Rules of time, written again from the design


def expected_times(uptime, secs, nsecs, first, last):
    flag = 0
    header_ms = secs * 1000
    if nsecs >= 10**9:
        flag |= 2
    else:
        header_ms += nsecs // 10**6
    behind = (uptime - last) % M32
    if behind >= M32 - 600000:
        behind -= M32
    end = header_ms - behind
    duration = (last - first) % M32
    if duration >= 1 << 31:
        flag |= 1
        duration = 0
    if end - duration < 0:
        flag |= 4
    return end - duration, end, duration, flag


# ---- Cases


TSHARK_COLUMNS = (
    "frame exporter engine_type engine_id sampling_mode sampling_interval flow_sequence srcaddr dstaddr nexthop"
    " input output packets bytes srcport dstport tcp_flags proto tos src_as dst_as src_mask dst_mask"
    " start_ms end_ms duration_ms time_flag"
).split()


def compare_rows(found, expected, columns):
    for i, (a, b) in enumerate(zip(found, expected)):
        if a != b:
            differing = ["%s: found %r, expected %r" % (c, x, y) for c, x, y in zip(columns, a, b) if x != y]
            raise AssertionError("record %d: %s" % (i, "; ".join(differing)))
    equal(len(found), len(expected), "records")


def against_tshark(db, path, tsv):
    expected = []
    for r in read_tsv(tsv):
        n = {k: int(v) for k, v in r.items() if re.fullmatch(r"\d+", v or "")}
        if n["count"] > 30:
            continue  # tshark shows them, a count above 30 is rejected whole here
        equal(n["version"], 5, "version in the .tsv")
        expected.append(
            (n["frame"], r["exporter"], n["engine_type"], n["engine_id"], n["sampling_mode"], n["sampling_rate"])
            + (n["sequence"] + n["rec"], r["srcaddr"], r["dstaddr"], r["nexthop"], n["input"], n["output"])
            + (n["packets"], n["octets"], n["srcport"], n["dstport"], n["tcpflags"], n["prot"], n["tos"])
            + (n["src_as"], n["dst_as"], n["src_mask"], n["dst_mask"])
            + expected_times(n["sysuptime_ms"], n["unix_secs"], n["unix_nsecs"], n["first_ms"], n["last_ms"])
        )
    found = db.execute("SELECT %s FROM netflow_pcap(%s)" % (",".join(TSHARK_COLUMNS), quote(path))).fetchall()
    compare_rows(found, expected, TSHARK_COLUMNS)
    # The readable columns say the same as the numbers.
    odd = db.execute(
        "SELECT count(*) FROM netflow_pcap(%s) WHERE"
        " start_time IS NOT strftime('%%Y-%%m-%%d %%H:%%M:%%S', (start_ms - ms(start_ms)) / 1000, 'unixepoch') ||"
        " printf('.%%03d', ms(start_ms))"
        " OR end_time IS NOT strftime('%%Y-%%m-%%d %%H:%%M:%%S', (end_ms - ms(end_ms)) / 1000, 'unixepoch') ||"
        " printf('.%%03d', ms(end_ms)) OR protocol IS NOT protocol_name(proto)"
        " OR ip4_text(ip4_num(srcaddr)) IS NOT srcaddr" % quote(path)
    ).fetchone()[0]
    equal(odd, 0, "rows whose text and number differ")


NFDUMP_COLUMNS = (
    "start_ms end_ms srcaddr dstaddr srcport dstport proto packets_est bytes_est tcp_flags tos input output"
    " src_as dst_as nexthop"
).split()


def against_nfdump(db, path, tsv):
    expected = []
    for r in read_tsv(tsv):
        if r["icmp"]:  # nfdump splits what v5 has in dstport
            kind, code = r["icmp"].split(".")
            sport, dport = None, int(kind) * 256 + int(code)
        else:
            sport, dport = int(r["srcport"]), int(r["dstport"])
        expected.append(
            [int(r["first_epoch_ms"]), int(r["last_epoch_ms"]), r["srcaddr"], r["dstaddr"], sport, dport]
            + [int(r[k]) for k in ("prot", "packets_x_sampling", "octets_x_sampling", "tcpflags")]
            + [int(r["tos"]) if r["tos"] else None]  # left out by nfdump for ICMP
            + [int(r[k]) for k in ("input", "output", "src_as", "dst_as")]
            + [r["nexthop"]]
        )
    found = db.execute(
        "SELECT %s, time_flag FROM netflow_pcap(%s)" % (",".join(NFDUMP_COLUMNS), quote(path))
    ).fetchall()
    for f, e in zip(found, expected):
        e[:] = [x if y is None else y for x, y in zip(f, e)]
        if f[6] == 1 and f[4]:
            e[5] = f[5]  # fprobe has ICMP's type in srcport and its code in dstport; nfdump guesses
        if f[-1] & 1:
            e[0] = f[0]  # First after Last: nfdump puts the start 49.7 days back, here it is the end
    compare_rows([f[:-1] for f in found], [tuple(e) for e in expected], NFDUMP_COLUMNS)


def decode_by_rule(path):
    """(records, packets, octets) of an Ethernet pcap by the rule: count 1 to 30, the whole records that are there."""
    data = open(path, "rb").read()
    at, total = 24, [0, 0, 0]
    while at + 16 <= len(data):
        n = struct.unpack_from("<I", data, at + 8)[0]
        udp = data[at + 16 + 34 : at + 16 + n]
        at += 16 + n
        payload = udp[8 : struct.unpack_from(">H", udp, 4)[0]]
        if len(payload) < 24:
            continue
        version, count = struct.unpack_from(">HH", payload)
        if version == 5 and 1 <= count <= 30:
            for i in range(min(count, (len(payload) - 24) // 48)):
                packets, octets = struct.unpack_from(">II", payload, 24 + 48 * i + 16)
                total = [total[0] + 1, total[1] + packets, total[2] + octets]
    return tuple(total)


def against_readme(db, path, row):
    name = os.path.basename(path)
    expected = DEVIATIONS.get(name)
    if expected == "decode":
        expected = decode_by_rule(path)
        assert expected[0] > 60, "the decoder of this test found %r" % (expected,)
    if expected is None:
        expected = tuple(first_number(row[k]) for k in ("v5 rec", "pkts", "octets"))
    found = db.execute(
        "SELECT count(*), coalesce(sum(packets), 0), coalesce(sum(bytes), 0) FROM netflow_pcap(%s)" % quote(path)
    ).fetchone()
    equal(found, expected, "records, packets, octets")


def audit_adds_up(db, path, row):
    name = os.path.basename(path)
    rows = db.execute(
        "SELECT reason, decoded, rejected, seen, frames, records FROM netflow_audit(%s)" % quote(path)
    ).fetchall()
    decoded, rejected, seen, frames, records = (sum(r[i] for r in rows) for i in range(1, 6))
    equal(decoded + rejected, seen, "decoded + rejected")
    equal([r for r in rows if r[1] + r[2] != r[3] or (r[1] and r[2])], [], "rows that do not add up")
    equal(sum(r[5] for r in rows if r[2]), 0, "records of rejected datagrams")
    count = db.execute("SELECT count(*) FROM netflow_pcap(%s)" % quote(path)).fetchone()[0]
    equal(records, count, "records of the audit and of the table")
    stats = db.execute("SELECT datagrams, rejected, rows_read FROM netflow_scan_stats()").fetchone()
    equal(stats, (seen, rejected, count), "scan statistics: datagrams, rejected, rows")
    expected = FRAMES.get(name, first_number(row["frames"]))
    if expected is not None:
        equal(frames, expected, "frames of the audit and of the README")
    equal(decoded, DECODED.get(name, first_number(row["v5 pk"])), "decoded datagrams")


def expected_loss(tsv):
    """Missing flows between neighbours of a stream; None where the stream is not in order."""
    lost, state, seen = 0, {}, set()
    for r in read_tsv(tsv):
        key = (r["frame"], r["sequence"])
        if key in seen:
            continue
        seen.add(key)
        stream = (r["exporter"], r["engine_type"], r["engine_id"])
        sequence, count = int(r["sequence"]), int(r["count"])
        if stream in state:
            gap = (sequence - state[stream]) % M32
            if gap >= 3600000:
                return None
            lost += gap
        state[stream] = (sequence + count) % M32
    return lost


def loss_of(db, path):
    return db.execute("SELECT coalesce(sum(flows_lost), 0) FROM netflow_loss(%s)" % quote(path)).fetchone()[0]


def against_loss(db, path, expected):
    equal(loss_of(db, path), expected, "flows lost")


def is_error(db, path, words):
    import sqlite3

    for query in ("SELECT count(*) FROM netflow_pcap(%s)", "SELECT * FROM netflow_active(%s)"):
        try:
            found = db.execute(query % quote(path)).fetchall()
        except sqlite3.Error as e:
            assert os.path.basename(path) in str(e), "the message does not name the file: %s" % e
            assert words in str(e), "the message does not say %r: %s" % (words, e)
        else:
            raise AssertionError("%s gave %r instead of an error" % (query, found))


def queries():
    """(capture, title, sql, expected rows) of QUERIES.md."""
    found, capture, pending = [], None, None
    with open(os.path.join(CAPTURES, "QUERIES.md")) as f:
        for line in f:
            line = line.rstrip("\n")
            if line.startswith("## "):
                capture = line[3:].strip()
            elif re.match(r"^[^`]+: `.*`$", line):
                title, sql = re.match(r"^([^`]+): `(.*)`$", line).groups()
                pending = (capture, title, sql, [])
                found.append(pending)
            elif line.startswith("    ") and pending:
                pending[3].append([c.strip() for c in line.split(" | ")])
    return found


def query_answers(db, path, sql, expected):
    db.execute("DROP VIEW IF EXISTS temp.f")
    db.execute(
        "CREATE TEMP VIEW f AS SELECT srcaddr, dstaddr, srcport, dstport, proto AS prot, packets, bytes AS octets,"
        " tcp_flags AS tcpflags, tos, start_ms AS first_ms, end_ms AS last_ms FROM netflow_pcap(%s)" % quote(path)
    )
    found = [[str(v) for v in row] for row in db.execute(sql).fetchall()]
    equal(found, expected, sql)


def together(db, source, expected):
    found = db.execute(
        "SELECT count(*), sum(packets), sum(bytes) FROM netflow_pcap(%s)" % quote(source)
    ).fetchone()
    equal(found, expected, "records, packets, octets")
    grouped = db.execute(
        "SELECT sum(flows), sum(packets), sum(bytes) FROM netflow_active(%s)" % quote(source)
    ).fetchone()
    equal(grouped, expected, "the same by netflow_active")


def main():
    if not os.path.isdir(CAPTURES):
        skip("captures", CAPTURES + " is not there")
        return
    db = connect()
    db.create_function("ms", 1, lambda t: t % 1000)  # of times before 1970 too
    files = captures()
    table = readme_tables()

    for name in sorted(set(table) - set(files)):
        not_ok(name, "the README has it, the folders have not")
    for name, path in files.items():
        if name in NOT_CAPTURES:
            check(name + ": an error that says what was found", is_error, db, path, NOT_CAPTURES[name])
            continue
        row = table.get(name)
        if row is None:
            not_ok(name, "not in the README's tables")
            continue
        check(name + ": counts and sums", against_readme, db, path, row)
        check(name + ": audit", audit_adds_up, db, path, row)
        tshark, nfdump = stem(path) + ".tshark.tsv", stem(path) + ".nfdump.tsv"
        expected = LOST.get(name)
        if os.path.exists(tshark):
            check(name + ": every record as tshark", against_tshark, db, path, tshark)
            if expected is None:
                expected = expected_loss(tshark)
        if os.path.exists(nfdump):
            check(name + ": every record as nfdump", against_nfdump, db, path, nfdump)
        if expected is not None:
            check(name + ": %d flows lost" % expected, against_loss, db, path, expected)

    for capture, title, sql, expected in queries():
        path = next(p for n, p in files.items() if stem(n) == os.path.basename(capture))
        check("%s: %s" % (capture, title), query_answers, db, path, sql, expected)

    made = [p for n, p in files.items() if "/made/" in p]
    expected = tuple(
        sum(c)
        for c in zip(*[tuple(first_number(table[os.path.basename(p)][k]) for k in ("v5 rec", "pkts", "octets")) for p in made])
    )
    check("made/ as a directory", together, db, os.path.join(CAPTURES, "made"), expected)
    check("made/ as globs", together, db, CAPTURES + "/made/*.pcap\n" + CAPTURES + "/made/*.pcapng", expected)
    check("made/ as a list", together, db, "\n".join(made), expected)
    with tempfile.TemporaryDirectory(prefix="earlgrey-oracle.") as tmp:
        for mode, ending in (("w", "tar"), ("w:gz", "tar.gz"), ("w:bz2", "tar.bz2"), ("w:xz", "tar.xz")):
            archive = os.path.join(tmp, "made." + ending)
            with tarfile.open(archive, mode) as t:
                for p in made:
                    t.add(p, arcname="captures/" + os.path.basename(p))
            check("made/ as ." + ending, together, db, archive, expected)
        packed = [p for n, p in files.items() if re.search(r"\.(gz|zst|xz|lz4)$", n)]
        archive = os.path.join(tmp, "packed.tar")
        with tarfile.open(archive, "w") as t:
            for p in packed:
                t.add(p, arcname=os.path.basename(p))
        sums = [db.execute("SELECT count(*), sum(packets), sum(bytes) FROM netflow_pcap(%s)" % quote(p)).fetchone() for p in packed]
        check("compressed captures in a .tar", together, db, archive, tuple(sum(c) for c in zip(*sums)))


main()
finish()
