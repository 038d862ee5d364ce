"""The data that is measured on: a capture of flowgen's, and what each tool keeps of it. Made once, below one folder."""

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from dialects import quote
from questions import Constants

FLOWGEN = "build/bench/flowgen"
EXTENSION = "./earlgrey"
PART_RECORDS = 2000000
QUEUE_BYTES = 128 << 10  # nfcapd's queue at most, when more is sent

# The columns of sqlite3's own table; addresses as numbers, times as milliseconds.
TABLE = (
    "CREATE TABLE flow(start_ms INTEGER, end_ms INTEGER, srcaddr INTEGER, dstaddr INTEGER, srcport INTEGER, dstport INTEGER,"
    " protocol TEXT, packets INTEGER, bytes INTEGER, tcp_flags INTEGER, tos INTEGER, input INTEGER, output INTEGER,"
    " src_as INTEGER, dst_as INTEGER, exporter TEXT)"
)
TABLE_ROWS = (
    "INSERT INTO flow SELECT start_ms, end_ms, ip4_num(srcaddr), ip4_num(dstaddr), srcport, dstport, protocol, packets, bytes,"
    " tcp_flags, tos, input, output, src_as, dst_as, exporter FROM "
)


def sql(statement, database=":memory:", extension=EXTENSION):
    """Rows of a statement, by sqlite3 in a process of its own: this one has to stay small, see measure.py."""
    load = ["-cmd", ".load " + extension] if extension else []
    command = ["sqlite3", "-batch", "-bail", "-init", os.devnull, "-separator", "|", *load, database, statement]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("sqlite3: %s: %s" % (statement[:200], done.stderr.strip()))
    return [tuple(line.split("|")) for line in done.stdout.splitlines()]


def size_of(path):
    """Bytes of a file, or of all files below a folder."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


class Lost(Exception):
    """A collector did not keep every flow it was sent."""


class Data:
    """Paths below `folder`; each property makes what it names where it is missing or older than what it is made of."""

    def __init__(self, folder, records, say):
        self.folder, self.records, self.say = folder, records, say
        os.makedirs(folder, exist_ok=True)
        self._constants = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def _made(self, name, sources, make):
        """`name`, made by make(temporary path) and put in place when whole."""
        path, new = self.path(name), self.path(name + ".new")
        if os.path.exists(path) and os.path.getmtime(path) >= max(os.path.getmtime(s) for s in sources):
            return path
        for old in (path, new):
            shutil.rmtree(old) if os.path.isdir(old) else os.path.exists(old) and os.remove(old)
        begin = time.monotonic()
        make(new)
        os.rename(new, path)
        os.utime(path)
        self.say("made %s: %.0f MB, %.1f s" % (name, size_of(path) / 1e6, time.monotonic() - begin))
        return path

    @property
    def capture(self):
        return self._made("flows.pcap", [FLOWGEN], lambda path: self._make_capture(path, self.records))

    def _make_capture(self, path, records):
        subprocess.run([FLOWGEN, "-n", str(records), path], check=True, capture_output=True)

    @property
    def part(self):
        """The capture, or one of two million records where it has more."""
        if self.records <= PART_RECORDS:
            return self.capture
        return self._made("part.pcap", [FLOWGEN], lambda path: self._make_capture(path, PART_RECORDS))

    def shards(self, kind):
        """A dataset of ours, with addresses of `kind`: uint32 or text."""
        return self._made("shards-" + kind, [self.capture, EXTENSION + ".so"], lambda path: self._ingest(path, "addresses=" + kind))

    def _ingest(self, path, options):
        found = sql("SELECT status, rows FROM netflow_ingest(%s, %s, %s)" % tuple(map(quote, (self.capture, path, options))))
        assert found == [("stored", str(self.records))], found

    @property
    def table(self):
        """A database with sqlite3's own table of the flows, indexed by source address and time."""
        return self._made("table.db", [self.capture], self._make_table)

    def _make_table(self, path):
        pragmas = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
        index = "; COMMIT; CREATE INDEX flow_by_srcaddr ON flow(srcaddr, start_ms)"
        sql(pragmas + TABLE + "; BEGIN; " + TABLE_ROWS + "netflow_pcap(%s)" % quote(self.capture) + index, path)

    @property
    def nfdump(self):
        """nfdump's own files, by nfcapd and loopback: Debian's nfcapd reads no captures."""
        return self._made("nfdump", [self.capture], lambda path: replay(self.capture, path, self.records))

    @property
    def constants(self):
        if self._constants is None:
            # One of some thousandth of all flows: what somebody looks at, not the busiest server.
            few = "SELECT srcaddr FROM netflow_top(%s, 'srcaddr', 'flows') WHERE flows <= %d ORDER BY flows DESC, srcaddr LIMIT 1"
            self._constants = Constants(sql(few % (quote(self.capture), max(1, self.records // 900)))[0][0])
        return self._constants


# ---- From a capture to nfcapd


def datagrams(path):
    """The UDP payloads of a capture of flowgen's: Ethernet, IPv4 without options."""
    with open(path, "rb") as f:
        f.read(24)
        while head := f.read(16):
            yield f.read(struct.unpack("<IIII", head)[2])[42:]


def waiting(port):
    """Bytes in the receive queue of the UDP socket that is bound to `port`, and datagrams it dropped; None without one."""
    with open("/proc/net/udp") as f:
        for line in f:
            fields = line.split()
            if fields[1].endswith(":%04X" % port):
                return int(fields[4].split(":")[1], 16), int(fields[-1])
    return None


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Lost("nfcapd: " + what)
        time.sleep(0.01)


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def replay(capture, folder, records):
    """Sends the datagrams to an nfcapd, never more at once than its socket holds, and checks that every flow was kept."""
    os.makedirs(folder)
    port = free_port()
    command = ["nfcapd", "-w", os.path.abspath(folder), "-b", "127.0.0.1", "-p", str(port), "-t", "86400", "-B", "4194304", "-y"]
    collector = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: waiting(port) is not None, "does not listen")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("127.0.0.1", port))
            for i, datagram in enumerate(datagrams(capture)):
                # A quarter of what Linux grants where it was not told otherwise; 32 datagrams fit in beside that.
                if i % 32 == 0:
                    wait_for(lambda: waiting(port)[0] < QUEUE_BYTES, "stands still")
                s.send(datagram)
        wait_for(lambda: waiting(port)[0] == 0, "stands still")
        dropped = waiting(port)[1]
        time.sleep(1)
    finally:
        collector.terminate()
        collector.wait()
    kept = nfdump_flows(folder)
    if dropped or kept != records:
        raise Lost("nfcapd kept %d of %d flows, the socket dropped %d datagrams" % (kept, records, dropped))


def nfdump_flows(folder):
    text = subprocess.run(["nfdump", "-R", folder, "-I"], capture_output=True, text=True).stdout
    counts = [int(line.split(":")[1]) for line in text.splitlines() if line.startswith("Flows:")]
    return counts[0] if counts else 0


def scratch(folder):
    """A folder of its own below `folder`, for what is written while it is measured."""
    return tempfile.TemporaryDirectory(prefix="scratch.", dir=folder)
