"""Jobs whose store is a MongoDB server, FerretDB or the stand-in as in tests/lua/mongo_server.lua: their life, their results
where the original had them, and what becomes of them when that server goes away."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import service_client
from report import check, connect, equal, finish, skip
from service_client import PROGRAM, Server

SAMPLES = os.path.abspath("samples")
N_FLOWS = 8985
NAMES = ["srcAddress", "dstAddress", "srcPort", "dstPort", "protocol", "time", "duration", "bytes", "packets"]
FLOWS = ("SELECT srcaddr, dstaddr, srcport, dstport, protocol, replace(substr(start_time, 1, 19), ' ', '-'), duration_ms, bytes,"
         " packets FROM netflow('samples')")

STANDIN = [sys.executable, os.path.abspath("tests/lua/mongo_standin.py")]

# A command and its answer, object ids and the like as texts.
COMMAND = """
local json, mongo = require "json", require "mongo"
local function plain(value)
  if type(value) == "userdata" then
    return tostring(value)
  elseif type(value) == "table" and value ~= json.null then
    for key, inner in pairs(value) do
      value[key] = plain(inner)
    end
  end
  return value
end
local client <close> = assert(mongo.open(arg[1]))
print(json.encode(plain(assert(client:command(arg[2], json.decode(arg[3]))))))
"""


class Mongo:
    """A server of our own; data stay in its folder."""

    def __init__(self, command):
        self.command, self.folder = command, tempfile.TemporaryDirectory()
        self.start("127.0.0.1:0")

    def start(self, address=None):
        self.process = subprocess.Popen([*self.command, address or self.uri.split("/")[2], self.folder.name],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the MongoDB server does not start: " + self.process.stderr.read())
        self.uri = line.strip()

    def kill(self):
        self.process.kill()
        self.wait()

    def wait(self):
        self.process.wait(20)
        self.process.stdout.close()
        self.process.stderr.close()

    def close(self):
        if self.process.poll() is None:
            self.kill()
        self.folder.cleanup()


class Foreign:
    """The one of EARLGREY_MONGO_URI, which is left running."""

    def __init__(self, uri):
        self.uri = uri

    def close(self):
        pass


def is_foreign():
    return bool(os.environ.get("EARLGREY_MONGO_URI"))


def new_mongo():
    if is_foreign():
        return Foreign(os.environ["EARLGREY_MONGO_URI"])
    return Mongo([os.environ["EARLGREY_FERRETDB"]] if os.environ.get("EARLGREY_FERRETDB") else STANDIN)


class Store:
    """A database of this run."""

    def __init__(self, mongo):
        self.mongo, self.name = mongo, "earlgrey_test_" + os.urandom(4).hex()
        scheme, _, rest = mongo.uri.partition("://")
        hosts, _, options = rest.partition("?")
        self.url = "%s://%s/%s%s" % (scheme, hosts.rstrip("/"), self.name, "?" + options if options else "")

    def command(self, database, command):
        """A command's answer, as another client gets it."""
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
            file.write(COMMAND)
            file.flush()
            done = subprocess.run([PROGRAM, file.name, self.mongo.uri, database, json.dumps(list(command.items()))],
                                  capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def collections(self):
        answer = self.command(self.name, {"listCollections": 1})
        return sorted(c["name"] for c in answer["cursor"]["firstBatch"])

    def count(self, collection):
        return self.command(self.name, {"count": collection})["n"]


@contextlib.contextmanager
def mongo_store(make=new_mongo):
    mongo = make()
    try:
        store = Store(mongo)
        yield store
        if is_foreign():
            store.command(store.name, {"dropDatabase": 1})
    finally:
        mongo.close()


@contextlib.contextmanager
def service(store, *options):
    with tempfile.TemporaryDirectory() as folder:
        with Server(folder, SAMPLES, *options, "--logs", folder + "/logs", store=store.url) as s:
            yield s


until = functools.partial(service_client.until, seconds=20)


def total(s, job):
    return s.get("/FlowQueries/%s/results?limit=0" % job).json["total"]


# ---- the life of a job

def created_started_ended():
    expected = connect().execute(FLOWS + " WHERE protocol = 'UDP'").fetchall()
    assert len(expected) > 2000, "one batch only"
    with mongo_store() as store, service(store) as s:
        job = s.create("FlowQuery", name="queries", src_addr="0.0.0.0/0", prot="udp")
        document = s.job(job)
        equal((document["status"], document["progress"]), ("Created", 0))
        equal(s.act(job, "start").status, 200)
        document = s.wait(job, "End", 60)
        equal((document["progress"], document["rowsScanned"], document["name"]), (100, N_FLOWS, "queries"))
        equal([j["_id"] for j in s.get("/Jobs?status=End").json["jobs"]], [job])
        found = []
        for offset in range(0, len(expected) + 700, 700):
            page = s.get("/FlowQueries/%s/results?offset=%d&limit=700" % (job, offset)).json
            equal(page["total"], len(expected))
            found += page["results"]
        equal([r["_id"] for r in found], list(range(1, len(expected) + 1)))
        equal([tuple(r[n] for n in NAMES) for r in found], expected)
        equal(s.get("/FlowQueries/%s/results?limit=3&offset=5" % job).json["results"], found[5:8])
        collection = "FlowQuery-" + job
        assert collection in store.collections(), store.collections()
        equal(store.count(collection), len(expected))
        equal(s.request("DELETE", "/Jobs/" + job).json, {"jobId": job, "deleted": True})
        assert collection not in store.collections(), store.collections()
        equal(store.count("Jobs"), 0)
        equal((s.get("/Jobs/" + job).status, s.get("/FlowQueries/%s/results" % job).status), (404, 404))
        equal(s.log_text(), "")


def ranking():
    expected = connect().execute("SELECT addr1, addr2, bytes, packets, flows FROM netflow_active('samples', 7)").fetchall()
    with mongo_store() as store, service(store) as s:
        job = s.start("ActiveFlow", print=7)
        s.wait(job, "End", 60)
        page = s.get("/ActiveFlows/%s/results" % job).json
        names = ("srcAddress", "dstAddress", "bytes", "packets", "flows")
        equal([tuple(r[n] for n in names) for r in page["results"]], expected)
        equal(store.count("ActiveFlow-" + job), 7)


def canceled():
    """One that runs, one that waits, and one that may have written already."""
    with mongo_store() as store, service(store, "--jobs", "1") as s:
        running, waiting = s.start("Test", running_time=60), s.start("Test", running_time=0)
        until(lambda: (s.job(running)["statusDetail"] or "").startswith("ran for"), "ran")
        for job in (waiting, running):
            equal(s.act(job, "cancel").json["status"], "Canceled")
            equal(s.act(job, "start").status, 409)
        until(lambda: s.act(running, "delete").status == 200, "settled")
        equal([j["_id"] for j in s.get("/Jobs").json["jobs"]], [waiting])
        query = s.start("FlowQuery", src_addr="0.0.0.0/0")
        until(lambda: total(s, query) > 0, "began to write")
        if s.act(query, "cancel").status == 200:
            until(lambda: total(s, query) == 0, "its results went, which they do after its process")
            until(lambda: s.act(query, "delete").status == 200, "settled")
        else:
            equal(s.job(query)["status"], "End")
            equal(s.act(query, "delete").status, 200)
        assert "FlowQuery-" + query not in store.collections(), store.collections()


def failed():
    with mongo_store() as store, service(store) as s:
        job = s.start("Test", running_time=60)
        until(lambda: (s.job(job)["statusDetail"] or "").startswith("ran for"), "ran")
        os.kill(store.command(store.name, {"find": "Jobs"})["cursor"]["firstBatch"][0]["pid"], signal.SIGKILL)
        assert s.wait(job, "Failed")["statusDetail"].startswith("its process was ended by signal 9")


def restarted():
    with mongo_store() as store, tempfile.TemporaryDirectory() as folder:
        options = ("--jobs", "2", "--logs", folder + "/logs")
        first = Server(folder, SAMPLES, *options, store=store.url)
        jobs = [first.start("Test", running_time=2) for _ in range(4)]
        first.stop(signal.SIGKILL)
        with Server(folder, SAMPLES, *options, store=store.url) as s:
            for job in jobs:
                s.wait(job, "End", 40)
                equal(s.get("/Jobs/%s/log" % job).body.decode().count("ran for"), 1, "runs of a job")


# ---- the MongoDB server goes away

def away_in_the_middle():
    """For longer than the jobs would have needed."""
    with mongo_store() as store, service(store) as s:
        query, job = s.start("FlowQuery", src_addr="0.0.0.0/0"), s.start("Test", running_time=1.5)
        until(lambda: total(s, query) > 0, "began to write")
        until(lambda: (s.job(job)["statusDetail"] or "").startswith("ran for"), "ran")
        store.mongo.kill()
        equal((s.get("/Jobs/" + job).status, s.get("/healthz").status), (503, 503))
        time.sleep(4)
        store.mongo.start()
        until(lambda: s.get("/healthz").status == 200, "found again")
        equal(s.wait(job, "End", 20)["progress"], 100)
        s.wait(query, "End", 60)
        page = s.get("/FlowQueries/%s/results?limit=10000" % query).json
        equal([r["_id"] for r in page["results"]], list(range(1, N_FLOWS + 1)))


def end_is_told_once():
    """The server has written the end of a job and dies before it says so."""
    with mongo_store(lambda: Mongo(STANDIN)) as store:
        store.command("admin", {"standin": 1, "on": "update", "fault": "die", "having": "endedTime"})
        back = threading.Thread(target=lambda: (store.mongo.wait(), time.sleep(2), store.mongo.start()))
        back.start()
        done = subprocess.run([PROGRAM, "scripts/flowquery.lua", "--store", store.url + "?serverSelectionTimeoutMS=200", "--dst_port", "5060", "samples"],
                              capture_output=True, text=True, timeout=60)
        back.join()
        equal((done.returncode, done.stderr), (0, ""))
        document = store.command(store.name, {"find": "Jobs"})["cursor"]["firstBatch"][0]
        equal((document["status"], "pid" in document), ("End", False))
        assert "38 results in mongodb://" in done.stdout, done.stdout


def main():
    ours = [
        ("a server that goes away for seconds in the middle of jobs costs no result and no end", away_in_the_middle),
        ("the end of a job is told once though the server died before its reply", end_is_told_once),
    ]
    cases = [
        ("a job is created, started, ends; its results are those of SQL, by offset and limit; all goes when it is deleted",
         created_started_ended),
        ("a ranking is that of netflow_active", ranking),
        ("jobs that run, wait and write are canceled", canceled),
        ("kill -9 of a job: Failed", failed),
        ("kill -9 of the service: its jobs run and end, each once", restarted),
    ]
    has_standin = subprocess.run(["/usr/bin/python3", "-c", "import bson, mongomock"], capture_output=True).returncode == 0
    why = None
    if subprocess.run([PROGRAM, "-e", "require 'mongo'"], capture_output=True).returncode != 0:
        why = "this build has no module mongo"
    elif not has_standin and not os.environ.get("EARLGREY_FERRETDB") and not is_foreign():
        why = "no server, and no python3-mongomock and python3-pymongo for the stand-in"
    for claim, case in cases + ours:
        if why:
            skip(claim, why)
        elif case is away_in_the_middle and is_foreign():
            skip(claim, "the server of EARLGREY_MONGO_URI is not ours to stop")
        elif case is end_is_told_once and not has_standin:
            skip(claim, "no python3-mongomock and python3-pymongo for the stand-in")
        else:
            check(claim, case)


main()
finish()
