"""A capture cut anywhere gives exactly the records before the cut, no error, and says that it was cut.

Every cut of a small pcap (both byte orders) and pcapng; for compressed ones and archives every cut too, where the
rows must be a beginning of the whole. Made from captures in tests/data and from a generated one.
"""

import bz2
import gzip
import os
import subprocess
import tempfile

from capture_files import big_endian, flowgen, packets_of, pcapng, tar_of
from report import check, connect, equal, finish, quote


def rows(db, path):
    return db.execute("SELECT count(*) FROM netflow_pcap(%s)" % quote(path)).fetchone()[0]


def damage(db, path):
    return db.execute(
        "SELECT coalesce(sum(seen), 0) FROM netflow_audit(%s) WHERE reason IN ('file_cut', 'file_damaged')" % quote(path)
    ).fetchone()[0]


def every_cut(db, path, data, ends, head, step=1):
    """Packets complete before the cut, and the mark of a cut wherever it is not between packets."""
    for cut in list(range(head, len(data), step)) + [len(data)]:
        with open(path, "wb") as f:
            f.write(data[:cut])
        expected = sum(records for end, records in ends if end <= cut)
        equal(rows(db, path), expected, "records of the first %d bytes" % cut)
        between = cut in {end for end, _ in ends} or cut == head
        equal(damage(db, path), 0 if between else 1, "marks of a cut at %d bytes" % cut)


def every_cut_grows(db, path, data, whole, step):
    """Compressed: never more than the whole, never fewer for more bytes, never an unexplained end."""
    before = 0
    for cut in list(range(64, len(data), step)) + [len(data)]:
        with open(path, "wb") as f:
            f.write(data[:cut])
        try:
            found = rows(db, path)
        except Exception as e:
            assert before == 0 and os.path.basename(path) in str(e), "%d bytes: %s" % (cut, e)
            continue
        assert before <= found <= whole, "%d records of the first %d bytes, %d of fewer" % (found, cut, before)
        if found < whole:
            assert damage(db, path) >= 1, "%d of %d records of %d bytes without a mark" % (found, whole, cut)
        before = found
    equal(before, whole, "records of the whole")


def main():
    db = connect()
    with tempfile.TemporaryDirectory(prefix="earlgrey-truncation.") as folder:
        source = os.path.join(folder, "whole.pcap")
        data = flowgen(source, 140)
        ends = packets_of(data)
        whole = sum(n for _, n in ends)

        def at(name):
            return os.path.join(folder, name)

        check("pcap, every byte", every_cut, db, at("le.pcap"), data, ends, 24)
        check("pcap of the other byte order, every byte", every_cut, db, at("be.pcap"), big_endian(data), ends, 24)
        ng, ng_ends = pcapng(data)
        check("pcapng, every byte", every_cut, db, at("ng.pcapng"), ng, ng_ends, 28 + 20)
        check("gzip", every_cut_grows, db, at("le.pcap.gz"), gzip.compress(data, 6), whole, 3)
        check("bzip2", every_cut_grows, db, at("le.pcap.bz2"), bz2.compress(data), whole, 3)
        for program, ending in (("zstd", "zst"), ("xz", "xz"), ("lz4", "lz4")):
            packed = subprocess.run([program, "-c", source], check=True, capture_output=True).stdout
            check(program, every_cut_grows, db, at("le.pcap." + ending), packed, whole, 3)
        tar = tar_of({"a.pcap": data})
        check("tar", every_cut_grows, db, at("le.tar"), tar, whole, 5)
        check("tar.gz", every_cut_grows, db, at("le.tar.gz"), gzip.compress(tar), whole, 5)


main()
finish()
