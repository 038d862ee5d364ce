"""Other programs on the same bytes: tshark decodes what Earlgrey decodes, editcap's formats are read, apsw loads it."""

import os
import shutil
import subprocess
import tempfile

from capture_files import flowgen
from environment import python_with
from report import check, connect, equal, finish, quote, skip

FIELDS = (
    ("frame.number", "frame"),
    ("cflow.srcaddr", "srcaddr"),
    ("cflow.dstaddr", "dstaddr"),
    ("cflow.packets", "packets"),
    ("cflow.octets", "bytes"),
    ("cflow.srcport", "srcport"),
    ("cflow.dstport", "dstport"),
    ("cflow.protocol", "proto"),
    ("cflow.srcas", "src_as"),
    ("cflow.dstas", "dst_as"),
    ("cflow.srcmask", "src_mask"),
    ("cflow.dstmask", "dst_mask"),
    ("cflow.inputint", "input"),
    ("cflow.outputint", "output"),
)

# The formats that editcap writes and libpcap can tell apart.
FORMATS = ("pcap", "nsecpcap", "modpcap", "pcapng")


def tshark_agrees(db, path):
    run = subprocess.run(
        ["tshark", "-n", "-r", path, "-d", "udp.port==2055,cflow", "-T", "fields", "-E", "separator=|", "-E", "occurrence=a"]
        + [x for f, _ in FIELDS for x in ("-e", f)],
        check=True,
        capture_output=True,
        text=True,
    )
    expected = []
    for line in run.stdout.splitlines():
        frame, *lists = [cell.split(",") for cell in line.split("|")]
        for record in zip(*lists):
            expected.append((int(frame[0]),) + tuple(v if "." in v else int(v, 0) for v in record))
    found = db.execute("SELECT %s FROM netflow_pcap(%s)" % (", ".join(c for _, c in FIELDS), quote(path))).fetchall()
    equal(len(found), len(expected), "records")
    for i, (a, b) in enumerate(zip(found, expected)):
        equal(a, b, "record %d" % i)


def editcap_agrees(db, path, folder, form):
    other = os.path.join(folder, "as-" + form)
    subprocess.run(["editcap", "-F", form, path, other], check=True, capture_output=True)
    columns = "frame, flow_sequence, srcaddr, dstaddr, bytes, start_ms, end_ms, received_time"
    query = "SELECT " + columns + " FROM netflow_pcap(%s)"
    equal(db.execute(query % quote(other)).fetchall(), db.execute(query % quote(path)).fetchall(), "rows")


def apsw_python():
    """A Python with apsw: PyPI's, which brings an SQLite of its own, or Debian's. None without either."""
    python = python_with("venv", "apsw")
    if python is None and subprocess.run(["/usr/bin/python3", "-c", "import apsw"], capture_output=True).returncode == 0:
        return "/usr/bin/python3"
    return python


def apsw_loads(python, path):
    program = (
        "import apsw; c = apsw.Connection(':memory:'); c.enableloadextension(True); c.loadextension('./earlgrey');"
        "print(c.cursor().execute('SELECT count(*) FROM netflow_pcap(?)', (%r,)).fetchone()[0])" % path
    )
    run = subprocess.run([python, "-c", program], check=True, capture_output=True, text=True)
    equal(run.stdout, "20000\n", "rows")


def main():
    db = connect()
    with tempfile.TemporaryDirectory(prefix="earlgrey-programs.") as folder:
        path = os.path.join(folder, "flows.pcap")
        flowgen(path, 20000)
        if shutil.which("tshark"):
            check("tshark: 20,000 records, field by field", tshark_agrees, db, path)
        else:
            skip("tshark: 20,000 records, field by field", "tshark is not installed")
        for form in FORMATS:
            if shutil.which("editcap"):
                check("editcap's " + form, editcap_agrees, db, path, folder, form)
            else:
                skip("editcap's " + form, "editcap is not installed")
        python = apsw_python()
        if python is not None:
            check("apsw loads it", apsw_loads, python, path)
        else:
            skip("apsw loads it", "apsw cannot be had")

main()
finish()
