"""kill -9 of an ingest, or of dropping a day: at random moments, and after each system call.

What is there afterwards, by the manifest or in the store, is the captures stored before and all
or nothing of the one that was being stored, or of the day. The next run does it, or finds it
done; then the bare directory holds what the manifest says, or the store is sound, and nothing is
left over.

The files are in memory where there is a folder for such: a process that is killed loses nothing that it has
written, whatever has reached a disk."""

import glob
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

PROGRAM = ["./earlgrey-lua", "scripts/ingest.lua"]
FIRST, SECOND = "samples/softflowd-v5-sampled-s10.pcap", "samples/softflowd-v5-ndpi-adj.pcap"
N_FIRST, N_SECOND = 488, 7627
LITTLE, N_LITTLE = "samples/fprobe-live-v5.pcapng", 870
OLD_AND_NEW, DAY_TO_KEEP, N_OLD, N_NEW = "samples", "2023-11-15", 8115, 870
N_RANDOM = 200
MANY = 15  # calls of one kind, beyond which some are left out
CALLS = "write,pwrite64,fsync,fdatasync,rename,renameat,mkdir,mkdirat,unlink,unlinkat,openat,ftruncate"

sys.path.insert(0, "tests/interop")
from report import connect, finish, not_ok, ok, skip  # noqa: E402


def case(claim, why=""):
    if why:
        not_ok(claim, why)
    else:
        ok(claim)


def ingest(*arguments, wrapper=()):
    return subprocess.run([*wrapper, *PROGRAM, *arguments], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode


def flows(dataset):
    return connect().execute("SELECT count(*) FROM netflow(?)", (dataset,)).fetchone()[0]


class Dataset:
    """A Parquet dataset that holds the first capture."""

    name, calls_at_least, n_before, n_after, source = "dataset", 100, N_FIRST, N_FIRST + N_SECOND, FIRST

    def __init__(self, folder):
        self.seed, self.path = os.path.join(folder, self.name + " seed"), os.path.join(folder, self.name)
        ingest(self.source, "--to", self.seed)

    def arguments(self):
        return [SECOND, "--to", self.path]

    def begin(self):
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.seed, self.path)

    def flows(self):
        return flows(self.path)

    def by_manifest(self):
        db = sqlite3.connect("file:%s/_earlgrey.db?mode=ro" % self.path, uri=True)
        return sorted(path for path, in db.execute("SELECT path FROM shard WHERE state = 'stored'"))

    def fault(self):
        found = glob.glob(self.path + "/**/*.parquet", recursive=True)
        found = sorted(os.path.relpath(path, self.path) for path in found)
        if found != self.by_manifest():
            return "the directory holds %s, the manifest %s" % (found, self.by_manifest())
        left = [name for name in os.listdir(self.path)
                if name not in ("_earlgrey.db", "_earlgrey.lock") and not name.startswith("year=")]
        return "left: %s" % left if left else ""


class Store:
    """An SQLite store that holds the first capture: a little one is inserted."""

    name, calls_at_least, n_before, n_after, source = "store", 50, N_FIRST, N_FIRST + N_LITTLE, FIRST
    added = LITTLE

    def __init__(self, folder):
        self.folder = os.path.join(folder, self.name)
        self.path, self.seed = os.path.join(self.folder, "flows.db"), os.path.join(folder, self.name + " seed.db")
        if self.n_before > 0:
            ingest(self.source, "--to", self.seed)

    def arguments(self):
        return [self.added, "--to", self.path]

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        if self.n_before > 0:
            shutil.copy(self.seed, self.path)

    def flows(self):
        try:
            return flows(self.path) if os.path.exists(self.path) else 0
        except sqlite3.OperationalError as e:
            if "the file is empty" in str(e):  # not even its tables
                return 0
            raise

    def fault(self):
        sound = sqlite3.connect(self.path).execute("PRAGMA integrity_check").fetchone()[0]
        left = [name for name in os.listdir(self.folder) if name != "flows.db"]
        return sound if sound != "ok" else "left: %s" % left if left else ""


class NewStore(Store):
    """No store: the capture is written as whole b-trees."""

    name, calls_at_least, n_before, n_after = "new store", 40, 0, N_SECOND
    added = SECOND


class OldDataset(Dataset):
    """A Parquet dataset of two days: the older one is dropped."""

    name, calls_at_least, n_before, n_after, source = "expiring dataset", 8, N_OLD + N_NEW, N_NEW, OLD_AND_NEW

    def arguments(self):
        return ["--expire", DAY_TO_KEEP, self.path]


class OldStore(Store):
    """An SQLite store of two days: the older one is dropped."""

    name, calls_at_least, n_before, n_after, source = "expiring store", 30, N_OLD + N_NEW, N_NEW, OLD_AND_NEW

    def arguments(self):
        return ["--expire", DAY_TO_KEEP, self.path]


def fault_of(target, was_stored):
    """What is wrong with a target after a kill, or "". Mends it by the next ingest."""
    n = target.flows()
    if n not in (target.n_before, target.n_after):
        return "%d flows after the kill" % n
    was_stored[n == target.n_after] += 1
    if ingest(*target.arguments()) != 0:
        return "the next one fails"
    if target.flows() != target.n_after:
        return "%d flows after the next one" % target.flows()
    return target.fault()


def kill_at_random(target, n_kills):
    target.begin()
    started = time.monotonic()
    ingest(*target.arguments())
    whole_s = time.monotonic() - started
    random.seed(4)
    was_stored, why = [0, 0], ""
    longest_s = whole_s * 1.1
    while sum(was_stored) < n_kills or (0 in was_stored and sum(was_stored) < 4 * n_kills):
        if sum(was_stored) >= n_kills:  # the machine is slower, or quicker, than when it was timed
            longest_s *= 1.3 if was_stored[1] == 0 else 0.8
        target.begin()
        process = subprocess.Popen([*PROGRAM, *target.arguments()], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, longest_s))
        process.kill()
        process.wait()
        why = fault_of(target, was_stored)
        if why:
            why = "kill %d: %s" % (sum(was_stored), why)
            break
    case("%s: after each of %d kills at random moments it was done wholly or not at all" % (target.name, n_kills),
         why)
    case("%s: some of these kills came before and some after it was done" % target.name,
         "" if why or all(was_stored) else "%d before, %d after" % tuple(was_stored))


def kill_at_calls(target):
    if shutil.which("strace") is None:
        skip("%s: kills at each system call" % target.name, "strace is not there")
        return
    n, why, was_stored = 0, "", [0, 0]
    for call in CALLS.split(","):
        nth = 0
        while not why:
            target.begin()
            nth += 1 + nth // MANY
            # Beyond the last one it ends by itself.
            status = ingest(*target.arguments(), wrapper=["strace", "-qq", "-f", "-o", "/dev/null", "-e", "trace=" + call,
                                                          "-e", "inject=%s:signal=KILL:when=%d" % (call, nth)])
            if status == 0:
                break
            n += 1
            why = fault_of(target, was_stored)
            if why:
                why = "kill at %s %d: %s" % (call, nth, why)
    case("%s: after a kill at each system call that changes something, too" % target.name, why)
    case("%s: these are at least %d calls, before and after it was done" % (target.name, target.calls_at_least),
         "" if why or (n >= target.calls_at_least and all(was_stored)) else "%d calls, %s" % (n, was_stored))
    print("# %s: %d system calls" % (target.name, n))


def main():
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 28 else None
    with tempfile.TemporaryDirectory(prefix="earlgrey-kills.", dir=in_memory) as folder:
        for kind, n_kills in ((Dataset, N_RANDOM), (Store, N_RANDOM // 5), (NewStore, N_RANDOM // 5),
                              (OldDataset, N_RANDOM // 5), (OldStore, N_RANDOM // 5)):
            target = kind(folder)
            kill_at_random(target, n_kills)
            kill_at_calls(target)


main()
finish()
