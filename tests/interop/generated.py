"""flowgen's captures: the same bytes whatever the compiler, and every sum as the generator counted it."""

import os
import re
import subprocess
import tempfile

from report import check, connect, equal, finish, quote

FLOWGEN = "build/bench/flowgen"
START_MS, HOURS_3 = 1185480000000, 10800000


def generate(path, *options, program=FLOWGEN):
    run = subprocess.run([program, *options, path], check=True, capture_output=True, text=True)
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", run.stderr)}


def sums_agree(db, path, *options):
    made = generate(path, *options)
    keys = "records packets bytes duration_ms ports addresses".split()
    found = db.execute(
        "SELECT count(*), sum(packets), sum(bytes), sum(duration_ms), sum(srcport + dstport),"
        " sum(ip4_num(srcaddr) + ip4_num(dstaddr)) FROM netflow_pcap(%s)" % quote(path)
    ).fetchone()
    equal(dict(zip(keys, found)), {k: made[k] for k in keys}, "sums")
    odd = db.execute(
        "SELECT count(*) FROM netflow_pcap(%s) WHERE time_flag <> 0 OR start_ms < %d OR end_ms > %d OR start_ms > end_ms"
        % (quote(path), START_MS, START_MS + HOURS_3)
    ).fetchone()[0]
    equal(odd, 0, "records outside of the three hours")
    audit = db.execute("SELECT reason, sum(seen), sum(records) FROM netflow_audit(%s) GROUP BY 1" % quote(path))
    equal(audit.fetchall(), [("v5", made["datagrams"], made["records"])], "audit")
    loss = db.execute("SELECT count(*) FROM netflow_loss(%s)" % quote(path)).fetchone()[0]
    equal(loss, 0, "breaks of the sequence")
    grouped = db.execute(
        "SELECT count(*), sum(bytes), sum(packets), sum(flows) FROM netflow_active(%s)" % quote(path)
    ).fetchone()
    plain = db.execute(
        "SELECT count(DISTINCT min(ip4_num(srcaddr), ip4_num(dstaddr)) << 32 | max(ip4_num(srcaddr), ip4_num(dstaddr))),"
        " sum(bytes), sum(packets), count(*) FROM netflow_pcap(%s)" % quote(path)
    ).fetchone()
    equal(grouped, plain, "pairs and sums of netflow_active")


def same_bytes(folder):
    """Another compiler, no optimisation: the same file."""
    other = os.path.join(folder, "flowgen-clang")
    subprocess.run(["clang", "-std=c11", "-O0", "-o", other, "tests/bench/flowgen.c"], check=True)
    for options in (["-n", "5000"], ["-n", "777", "-s", "9", "-u", "4294967000"]):
        a, b = os.path.join(folder, "a.pcap"), os.path.join(folder, "b.pcap")
        equal(generate(a, *options), generate(b, *options, program=other), "summary")
        assert open(a, "rb").read() == open(b, "rb").read(), "the files differ"


def checksums_right(folder):
    """Counted here again, on a few hundred datagrams."""
    path = os.path.join(folder, "c.pcap")
    generate(path, "-n", "10001")
    data, at, sequence = open(path, "rb").read(), 24, 0

    def total(b):
        return sum(int.from_bytes(b[i : i + 2], "big") for i in range(0, len(b), 2)) % 65535

    while at < len(data):
        n = int.from_bytes(data[at + 8 : at + 12], "little")
        ip = data[at + 30 : at + 16 + n]
        equal(total(ip[:20]), 0, "IPv4 header sum")
        equal(total(ip[12:20] + bytes([0, 17]) + ip[24:26] + ip[20:]), 0, "UDP sum")
        equal(int.from_bytes(ip[28 + 16 : 28 + 20], "big"), sequence, "flow_sequence")
        sequence += int.from_bytes(ip[30:32], "big")
        at += 16 + n
    equal(sequence, 10001, "records")


def light_rows(db, folder):
    """Rankings of a dataset pass over rows whose addresses weigh too little, and say what those of the capture say.

    With this little memory rows wait so shortly that a million are enough; groups of the others are spilled."""
    capture = os.path.join(folder, "light.pcap")
    generate(capture, "-n", "1200000")

    def ranked(call, source):
        rows = db.execute("SELECT * FROM " + call % quote(source)).fetchall()
        return rows, db.execute("SELECT bytes_spilled FROM netflow_scan_stats()").fetchone()[0]

    rankings = ["netflow_active(%s, 10)", "netflow_active(%s, 300)"]
    for keys in ("srcaddr,dstaddr", "srcaddr", "dstaddr,dstport", "srcaddr,srcport,dstaddr,dstport,protocol"):
        rankings += ["netflow_top(%%s, '%s', '%s', 10)" % (keys, measure) for measure in ("bytes", "packets", "flows")]
    old = db.execute("SELECT earlgrey_memory_limit(), earlgrey_threads()").fetchone()
    for addresses in ("text", "uint32"):
        dataset = os.path.join(folder, "light-" + addresses)
        db.execute("SELECT * FROM netflow_ingest(%s, %s, 'addresses=%s')" % (quote(capture), quote(dataset), addresses)).fetchall()
        for threads in (1, 2):
            db.execute("SELECT earlgrey_memory_limit('1 kb'), earlgrey_threads(%d)" % threads).fetchall()
            spilled = []
            for ranking in rankings:
                (expected, more), (found, fewer) = ranked(ranking, capture), ranked(ranking, dataset)
                equal(found, expected, "%s, %s, %d threads" % (ranking, addresses, threads))
                spilled.append((more, fewer))
            assert spilled[0][0] > spilled[0][1], "pairs of the capture spill %d bytes, of the dataset %d" % spilled[0]
    db.execute("SELECT earlgrey_memory_limit(%d), earlgrey_threads(%d)" % old).fetchall()


def main():
    db = connect()
    with tempfile.TemporaryDirectory(prefix="earlgrey-generated.") as folder:
        path = os.path.join(folder, "flows.pcap")
        check("100,000 records", sums_agree, db, path, "-n", "100000")
        check("rankings pass over light rows", light_rows, db, folder)
        check("100,000 records while the exporter's clock wraps", sums_agree, db, path, "-n", "100000", "-s", "2", "-u", "4290000000")
        check("one record", sums_agree, db, path, "-n", "1")
        check("gcc and clang write the same bytes", same_bytes, folder)
        check("checksums and sequence are right", checksums_right, folder)


main()
finish()
