"""kill -9 of an ingest: at random moments, and after each of its system calls.

What is there afterwards, by the manifest, is the captures stored before and all or nothing of
the one that was being stored. The next ingest stores it, or finds it there; then the bare
directory holds what the manifest says, and nothing is left over."""

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
N_RANDOM = 200
CALLS = "write,pwrite64,fsync,fdatasync,rename,renameat,mkdir,mkdirat,unlink,unlinkat,openat,ftruncate"

sys.path.insert(0, "tests/interop")
from report import connect, finish, not_ok, ok, skip  # noqa: E402


def case(claim, why=""):
    if why:
        not_ok(claim, why)
    else:
        ok(claim)


def ingest(capture, dataset, wrapper=()):
    return subprocess.run([*wrapper, *PROGRAM, capture, "--to", dataset], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode


def flows(dataset):
    return connect().execute("SELECT count(*) FROM netflow(?)", (dataset,)).fetchone()[0]


def shards_by_manifest(dataset):
    db = sqlite3.connect("file:%s/_earlgrey.db?mode=ro" % dataset, uri=True)
    return sorted(path for path, in db.execute("SELECT path FROM shard WHERE state = 'stored'"))


def shards_by_directory(dataset):
    found = glob.glob(dataset + "/**/*.parquet", recursive=True)
    return sorted(os.path.relpath(path, dataset) for path in found)


def fault_of(dataset, was_stored):
    """What is wrong with a dataset after a kill, or "". Mends it by the next ingest."""
    n = flows(dataset)
    if n not in (N_FIRST, N_FIRST + N_SECOND):
        return "%d flows after the kill" % n
    was_stored[n > N_FIRST] += 1
    if ingest(SECOND, dataset) != 0:
        return "the next ingest fails"
    if flows(dataset) != N_FIRST + N_SECOND:
        return "%d flows after the next ingest" % flows(dataset)
    if shards_by_manifest(dataset) != shards_by_directory(dataset):
        return "the directory holds %s, the manifest %s" % (shards_by_directory(dataset), shards_by_manifest(dataset))
    left = [name for name in os.listdir(dataset) if name not in ("_earlgrey.db", "_earlgrey.lock") and not name.startswith("year=")]
    return "left: %s" % left if left else ""


def main():
    with tempfile.TemporaryDirectory() as folder:
        seed = os.path.join(folder, "seed")
        ingest(FIRST, seed)
        trial = os.path.join(folder, "trial")

        def begin():
            shutil.rmtree(trial, ignore_errors=True)
            shutil.copytree(seed, trial)

        begin()
        started = time.monotonic()
        ingest(SECOND, trial)
        whole_s = time.monotonic() - started
        random.seed(4)
        was_stored, why = [0, 0], ""
        for i in range(N_RANDOM):
            begin()
            process = subprocess.Popen([*PROGRAM, SECOND, "--to", trial], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0, whole_s * 1.1))
            process.kill()
            process.wait()
            why = fault_of(trial, was_stored)
            if why:
                why = "kill %d: %s" % (i, why)
                break
        case("after each of %d kills at random moments a capture is there wholly or not at all" % N_RANDOM, why)
        case("some of these kills came before and some after it was stored",
             "" if why or all(was_stored) else "%d before, %d after" % tuple(was_stored))

        if shutil.which("strace") is None:
            skip("kills at each system call", "strace is not there")
            return
        n, why, was_stored = 0, "", [0, 0]
        for call in CALLS.split(","):
            nth = 0
            while not why:
                begin()
                nth += 1
                # Beyond the last one the ingest ends by itself.
                status = ingest(SECOND, trial, ["strace", "-qq", "-f", "-o", "/dev/null", "-e", "trace=" + call, "-e",
                                                "inject=%s:signal=KILL:when=%d" % (call, nth)])
                if status == 0:
                    break
                n += 1
                why = fault_of(trial, was_stored)
                if why:
                    why = "kill at %s %d: %s" % (call, nth, why)
        case("after a kill at each system call that changes something, too", why)
        case("these are at least 100 calls, before and after it was stored",
             "" if why or (n >= 100 and all(was_stored)) else "%d calls, %s" % (n, was_stored))
        print("# %d system calls" % n)


main()
finish()
