"""scripts/server.lua as its clients meet it: the life of jobs, what becomes of them when processes
die, what is refused, and many or slow clients at once."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

from report import check, connect, equal, finish
from service_client import PROGRAM, SCRIPT, Server, is_alive, memory_kb, until

SAMPLES = "samples"
N_FLOWS = 8985


@contextlib.contextmanager
def server(*options, data=SAMPLES, **more):
    with tempfile.TemporaryDirectory() as folder, Server(folder, os.path.abspath(data), *options, **more) as s:
        yield s


def matches(text, pattern, what="text"):
    if not re.search(pattern, text):
        raise AssertionError("%s: %r does not match %r" % (what, text, pattern))


# ---- the original's client tests

def created_started_ended():
    with server() as s:
        job = s.create("FlowQuery", name="queries", dst_port=5060, prot="udp")
        document = s.job(job)
        equal(document["status"], "Created")
        equal(document["progress"], 0)
        equal(document["params"], {"dst_port": 5060, "prot": "udp"})
        equal(s.act(job, "start").status, 200)
        document = s.wait(job, "End")
        equal(document["progress"], 100)
        equal(document["name"], "queries")
        equal(document["rowsScanned"], N_FLOWS)
        matches(document["startedTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        assert document["createdTime"] <= document["startedTime"] <= document["endedTime"], document
        matches(s.get("/Jobs/%s/log" % job).body.decode(), "^35 flows match, 8985 read")


def results_are_those_of_sql():
    expected = connect().execute(
        "SELECT srcaddr, dstaddr, srcport, dstport, protocol, replace(substr(start_time, 1, 19), ' ', '-'), duration_ms,"
        " bytes, packets FROM netflow('samples') WHERE ip4_in(dstaddr, '172.16.0.0/12')").fetchall()
    names = ["srcAddress", "dstAddress", "srcPort", "dstPort", "protocol", "time", "duration", "bytes", "packets"]
    with server() as s:
        job = s.start("FlowQuery", dst_addr="172.16.0.0/12")
        s.wait(job, "End")
        found, offset = [], 0
        while True:
            page = s.get("/FlowQueries/%s/results?offset=%d&limit=700" % (job, offset)).json
            equal(page["total"], len(expected))
            found += page["results"]
            offset += 700
            if len(page["results"]) < 700:
                break
        equal([r["_id"] for r in found], list(range(1, len(expected) + 1)))
        equal([tuple(r[n] for n in names) for r in found], expected)
        matches(found[0]["time"], r"^\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d$")
        equal(s.get("/FlowQueries/%s/results?limit=3&offset=5" % job).json["results"], found[5:8])
        equal(len(s.get("/FlowQueries/%s/results" % job).json["results"]), 100)
        equal(s.get("/ActiveFlows/%s/results" % job).status, 404)


def times_limit_a_query():
    with server() as s:
        counts = []
        for params in ({}, {"start": "2023-11-14T22:16:00Z", "end": "20231114221659"}, {"start": "2023-11-14-22:17:00"}):
            job = s.start("FlowQuery", src_addr="0.0.0.0/0", **params)
            s.wait(job, "End")
            counts.append(s.get("/FlowQueries/%s/results?limit=0" % job).json["total"])
        db = connect()
        equal(counts, [N_FLOWS] + [db.execute("SELECT count(*) FROM netflow('samples') WHERE " + where).fetchone()[0]
                                   for where in ("start_time BETWEEN '2023-11-14 22:16:00' AND '2023-11-14 22:16:59.999'",
                                                 "start_time >= '2023-11-14 22:17:00'")])
        assert 0 < counts[1] < N_FLOWS, counts


def ranking():
    with server() as s:
        job = s.start("ActiveFlow", print=7)
        s.wait(job, "End")
        page = s.get("/ActiveFlows/%s/results" % job).json
        expected = connect().execute("SELECT addr1, addr2, bytes, packets, flows FROM netflow_active('samples', 7)").fetchall()
        equal([(r["srcAddress"], r["dstAddress"], r["bytes"], r["packets"], r["flows"]) for r in page["results"]], expected)
        equal(page["total"], 7)


def canceled():
    with server() as s:
        job = s.start("Test", running_time=60)
        pid = s.runner(job)
        s.wait(job, "Started")
        answer = s.act(job, "cancel")
        equal((answer.status, answer.json["status"]), (200, "Canceled"))
        until(lambda: not is_alive(pid), "ended")
        until(lambda: s.stored("SELECT pid FROM job WHERE id = ?", job) == [(None,)], "settled")
        document = s.job(job)
        equal(document["status"], "Canceled")
        assert document["endedTime"], document
        for action in ("start", "cancel"):
            equal(s.act(job, action).status, 409, action)
        equal(s.act(job, "delete").status, 200)
        equal(s.get("/Jobs/" + job).status, 404)


def canceled_before_its_start():
    with server() as s:
        job = s.create("Test", running_time=1)
        equal(s.act(job, "cancel").json["status"], "Canceled")
        equal(s.act(job, "start").status, 409)


def canceled_results_go():
    """Canceled while it writes, or just after."""
    with server() as s:
        job = s.create("FlowQuery", src_addr="0.0.0.0/0")
        s.act(job, "start")
        number = s.stored("SELECT number FROM job WHERE id = ?", job)[0][0]
        until(lambda: s.stored("SELECT count(*) FROM result WHERE job = ?", number) != [(0,)], "began to write")
        was_quicker = s.act(job, "cancel").status == 409
        until(lambda: s.stored("SELECT pid FROM job WHERE id = ?", job) == [(None,)], "settled")
        if was_quicker:
            equal(s.job(job)["status"], "End")
        else:
            equal(s.job(job)["status"], "Canceled")
            equal(s.get("/FlowQueries/%s/results" % job).json["total"], 0)
            equal(s.stored("SELECT count(*) FROM result WHERE job = ?", number), [(0,)])


def deleted():
    with server() as s:
        job, other = (s.start("FlowQuery", dst_port=5060) for _ in "ab")
        s.wait(job, "End")
        s.wait(other, "End")
        n = s.get("/FlowQueries/%s/results" % other).json["total"]
        assert n > 0
        log = "%s.logs/%s.log" % (s.store, job)
        assert os.path.exists(log), log
        equal(s.request("DELETE", "/Jobs/" + job).json, {"jobId": job, "deleted": True})
        for path in ("/Jobs/%s", "/FlowQueries/%s/results", "/Jobs/%s/log"):
            equal(s.get(path % job).status, 404, path)
        equal(s.request("DELETE", "/Jobs/" + job).status, 404)
        equal(s.stored("SELECT count(*) FROM result"), [(n,)])
        assert not os.path.exists(log), log
        running = s.start("Test", running_time=60)
        answer = s.request("DELETE", "/Jobs/" + running)
        equal((answer.status, answer.json["message"]), (409, "Cannot delete the job"))
        s.act(running, "cancel")


def listed():
    with server("--jobs", "2") as s:
        jobs = [s.create("Test", running_time=0) for _ in range(5)] + [s.create("ActiveFlow")]
        s.act(jobs[1], "start")
        s.wait(jobs[1], "End")
        def ids(query):
            return [j["_id"] for j in s.get("/Jobs?" + query).json["jobs"]]
        equal(ids(""), jobs)
        equal(ids("offset=1&limit=2"), jobs[1:3])
        equal(ids("status=End"), jobs[1:2])
        equal(ids("type=ActiveFlow"), jobs[5:])
        equal(ids("status=Failed"), [])


def ingested():
    with tempfile.TemporaryDirectory() as data:
        os.mkdir(data + "/caps")
        for name in os.listdir(SAMPLES):
            if ".pcap" in name:
                shutil.copy(os.path.join(SAMPLES, name), data + "/caps")
        with server(data=data) as s:
            for to in ("flows", "flows.db"):
                job = s.start("Ingest", captures="caps", to=to)
                matches(s.wait(job, "End")["statusDetail"], r"^3 captures stored; 8985 flows$")
                job = s.start("Ingest", captures=["caps"], to=to)
                matches(s.wait(job, "End")["statusDetail"], r"^3 captures already there; 0 flows$")
                job = s.start("FlowQuery", src_port=53, source=to)
                s.wait(job, "End")
                expected = connect().execute("SELECT count(*) FROM netflow('samples') WHERE srcport = 53").fetchone()[0]
                equal(s.get("/FlowQueries/%s/results" % job).json["total"], expected, to)
            outside = tempfile.mkdtemp()
            os.symlink(outside, data + "/out")
            for field, value in (("captures", "/etc"), ("captures", "../caps"), ("captures", "caps/../../x"), ("captures", "nothing"),
                                 ("captures", "out"), ("captures", "caps/*"), ("captures", ["caps", 7]), ("captures", []),
                                 ("captures", "caps\n/etc"), ("to", "out/flows"), ("to", "../flows"), ("to", "/tmp/x"),
                                 ("to", ""), ("to", "no/such/folder"), ("to", "caps//x"), ("to", "."), ("to", 1)):
                body = {"type": "Ingest", "captures": "caps", "to": "flows2", field: value}
                answer = s.request("POST", "/Jobs", body)
                equal(answer.status, 400, "%s %r" % (field, value))
                matches(answer.json["description"], "^%s: " % field)
            equal(os.listdir(outside), [])
            os.rmdir(outside)
    with server(data=SAMPLES + "/softflowd-v5-sampled-s10.pcap") as s:
        answer = s.request("POST", "/Jobs", {"type": "Ingest", "captures": "x", "to": "y"})
        matches(answer.json["description"], "the data of this server is one file")
        job = s.start("FlowQuery", src_addr="0.0.0.0/0")
        s.wait(job, "End")
        equal(s.get("/FlowQueries/%s/results" % job).json["total"], 488)


# ---- processes that die

def killed_runner():
    with server() as s:
        job = s.start("Test", running_time=60)
        os.kill(s.runner(job), signal.SIGKILL)
        document = s.wait(job, "Failed")
        matches(document["statusDetail"], "^its process was ended by signal 9")
        assert document["endedTime"]
        equal(s.act(job, "start").status, 409)
        equal(s.stored("SELECT pid, pid_start FROM job WHERE id = ?", job), [(None, None)])


def failing_runner():
    with tempfile.TemporaryDirectory() as data:
        with open(data + "/broken.pcap", "wb") as file:
            file.write(b"this is no capture")
        with server(data=data) as s:
            job = s.start("FlowQuery", src_port=1, source="broken.pcap")
            document = s.wait(job, "Failed")
            matches(document["statusDetail"], r"^its process ended with exit code 1: .*broken\.pcap")
            matches(s.get("/Jobs/%s/log" % job).body.decode(), r"broken\.pcap")
            equal(s.get("/FlowQueries/%s/results" % job).json["total"], 0)


def queue_in_order():
    with server("--jobs", "2") as s:
        jobs = [s.start("Test", running_time=0.3) for _ in range(7)]
        waiting = s.job(jobs[6])
        equal((waiting["status"], waiting["startedTime"]), ("Started", None))
        matches(waiting["statusDetail"], r"^pending: waits for a free place, \d before it$")
        s.act(jobs[4], "cancel")
        most = 0
        while s.job(jobs[6])["status"] == "Started":
            most = max(most, s.stored("SELECT count(*) FROM job WHERE status = 'Started' AND pid IS NOT NULL")[0][0])
            time.sleep(0.01)
        equal(most, 2)
        started = [s.wait(job, "End")["startedTime"] for job in jobs if job != jobs[4]]
        equal(started, sorted(started))
        equal(s.job(jobs[4])["startedTime"], None)


def stubborn_runner():
    with server() as s:
        job = s.start("Test", running_time=60)
        pid = s.runner(job)
        while True:
            os.kill(pid, signal.SIGSTOP)  # takes note of SIGTERM, and does nothing
            began = time.monotonic()
            if s.act(job, "cancel").status == 200:
                break
            os.kill(pid, signal.SIGCONT)  # it was stopped while it wrote, and so held up the store
            time.sleep(0.1)
        equal(s.request("DELETE", "/Jobs/" + job).json["description"], "its process is being ended")
        time.sleep(1)
        assert is_alive(pid)
        until(lambda: not is_alive(pid), "ended", 10)
        assert time.monotonic() - began > 4, "killed too early"
        until(lambda: s.request("DELETE", "/Jobs/" + job).status == 200, "deleted")


def restart_in_the_middle():
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.abspath(SAMPLES)
        first = Server(folder, data, "--jobs", "10")
        jobs = [first.start("Test", running_time=2) for _ in range(10)]
        queries = [first.start("FlowQuery", src_addr="0.0.0.0/0") for _ in range(5)]
        pids = [first.runner(job) for job in jobs]
        equal(len(set(pids)), 10)
        first.stop(signal.SIGKILL)
        with Server(folder, data, "--jobs", "3") as s:
            for job in jobs + queries:
                equal(s.wait(job, "End", 40)["progress"], 100)
            equal(s.stored("SELECT count(*), sum(status = 'End') FROM job"), [(15, 15)])
            for job in jobs:
                equal(len(re.findall("ran for", s.get("/Jobs/%s/log" % job).body.decode())), 1, "runs of a job")
            for job in queries:
                equal(s.get("/FlowQueries/%s/results?limit=0" % job).json["total"], N_FLOWS)
                equal(len(re.findall("flows match", s.get("/Jobs/%s/log" % job).body.decode())), 1, "runs of a query")


def server_and_runner_die():
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.abspath(SAMPLES)
        first = Server(folder, data, "--jobs", "1")
        job, waiting, made = first.start("Test", running_time=60), first.start("Test", running_time=0), first.create("Test", running_time=0)
        pid = first.runner(job)
        first.stop(signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid), "ended")
        with Server(folder, data) as s:
            document = s.wait(job, "Failed", 3)
            equal(document["statusDetail"], "its process ended while no server ran")
            s.wait(waiting, "End")
            equal(s.job(made)["status"], "Created")


def canceled_by_a_server_that_dies():
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.abspath(SAMPLES)
        first = Server(folder, data)
        job = first.start("Test", running_time=60)
        pid = first.runner(job)
        first.stop(signal.SIGKILL)
        db = sqlite3.connect(first.store)
        db.execute("UPDATE job SET status = 'Canceled'")
        db.commit()
        db.close()
        assert is_alive(pid)
        with Server(folder, data) as s:
            until(lambda: not is_alive(pid), "ended", 3)
            until(lambda: s.stored("SELECT pid, status FROM job") == [(None, "Canceled")], "settled", 3)


def ended_by_signal():
    for number in (signal.SIGTERM, signal.SIGINT):
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.abspath(SAMPLES)
            first = Server(folder, data)
            job = first.start("Test", running_time=1)
            pid = first.runner(job)
            equal(first.stop(number), 0)
            equal(first.log_text(), "")
            assert is_alive(pid)
            with contextlib.suppress(ConnectionRefusedError):
                first.get("/healthz")
                raise AssertionError("still listens")
            with Server(folder, data) as s:
                s.wait(job, "End")


def log_reader_goes():
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([PROGRAM, SCRIPT, "--data", SAMPLES, "--store", folder + "/jobs.db", "--listen", "127.0.0.1:0"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        s = Server.__new__(Server)
        s.process, s.store, s.folder = process, folder + "/jobs.db", folder
        s.port = int(re.search(rb":(\d+)/ ", process.stdout.readline()).group(1))
        process.stdout.close()
        process.stderr.close()
        job = s.start("Test", running_time=60)
        os.kill(s.runner(job), signal.SIGKILL)
        s.wait(job, "Failed")  # which is logged
        equal(s.get("/healthz").status, 200)
        process.terminate()
        equal(process.wait(10), 0)


def two_servers():
    with server() as s:
        other = tempfile.mkdtemp()
        base = [PROGRAM, SCRIPT, "--data", SAMPLES, "--listen"]
        port = subprocess.run(base + ["127.0.0.1:%d" % s.port, "--store", other + "/jobs.db"], capture_output=True, text=True)
        store = subprocess.run(base + ["127.0.0.1:0", "--store", s.store], capture_output=True, text=True)
        shutil.rmtree(other)
        equal((port.returncode, store.returncode), (1, 1))
        matches(port.stderr, r"^server: 127\.0\.0\.1 port %d: cannot listen: Address already in use\n$" % s.port)
        matches(store.stderr, r"^server: .*another server keeps the logs of its jobs here")
        equal(s.get("/healthz").status, 200)


# ---- what is refused

def raw(s, data, wait=True):
    """Sends bytes, gives what comes back until the connection closes or for a second."""
    with socket.create_connection(("127.0.0.1", s.port), timeout=5) as c:
        c.sendall(data)
        answer = b""
        with contextlib.suppress(socket.timeout, ConnectionResetError):
            c.settimeout(1)
            while wait:
                piece = c.recv(65536)
                if not piece:
                    break
                answer += piece
                head, _, body = answer.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                if length and len(body) >= int(length.group(1)):
                    break
        return answer


def bad_requests():
    good = {"type": "FlowQuery", "dst_port": 53}
    with server() as s:
        def post(body, **more):
            return s.request("POST", "/Jobs", body, **more)
        for body, description in (
                ("{", "JSON: "), ("", "JSON: "), ("[]", "a JSON object expected"), ("7", "a JSON object expected"), ("null", "a JSON object expected"),
                ({}, "type: "), ({"type": "flowquery"}, "type: "), ({"type": 7}, "type: "), ({"type": {"$ne": 1}}, "type: "),
                ({**good, "nonsense": 1}, "nonsense: a FlowQuery has no such field"), ({**good, "$where": "1"}, r"\$where: "),
                ({**good, "_id": "x"}, "_id: "), ({**good, "status": "End"}, "status: "), ({**good, "print": 1}, "print: "),
                ({"type": "FlowQuery"}, "at least one of src_addr, dst_addr, src_port and dst_port is needed"),
                ({"type": "FlowQuery", "prot": "tcp"}, "at least one of "),
                ({**good, "dst_port": 65536}, "dst_port: '65536' is not a whole number from 0 to 65535"),
                ({**good, "dst_port": -1}, "dst_port: "), ({**good, "dst_port": 5.5}, "dst_port: "), ({**good, "dst_port": "53 OR 1=1"}, "dst_port: "),
                ({**good, "dst_port": {"$gt": 0}}, "dst_port: what was given is not"), ({**good, "dst_port": [53]}, "dst_port: "),
                ({**good, "dst_port": True}, "dst_port: "), ({**good, "src_addr": "10.0.0"}, "src_addr: "),
                ({**good, "src_addr": "' OR 1=1 --"}, "src_addr: "), ({**good, "prot": "tcpp"}, "prot: 'tcpp' is not a protocol"),
                ({**good, "prot": 256}, "prot: "), ({**good, "tos": 256}, "tos: "), ({**good, "start": "yesterday"}, "start: 'yesterday' is not a time"),
                ({**good, "start": "2007-02-29"}, "start: "), ({**good, "start": "2008-01-02", "end": "2008-01-01"}, "end is before start"),
                ({**good, "source": "../../etc"}, "source: "), ({**good, "source": "/etc/passwd"}, "source: "), ({**good, "source": "x\0y"}, "source: "),
                ({**good, "name": 7}, "name: "), ({**good, "name": "x" * 201}, "name: "), ({**good, "name": "a\nb"}, "name: "),
                ({"type": "ActiveFlow", "print": 0}, "print: "), ({"type": "ActiveFlow", "print": "many"}, "print: "),
                ({"type": "Test"}, "running_time: missing"), ({"type": "Test", "running_time": 1e9}, "running_time: "),
                ("[" * 100000, "JSON: ")):
            answer = post(body)
            if answer.status == 413:
                continue  # the deep one
            equal(answer.status, 400, str(body)[:100])
            matches(answer.json["description"], "^" + description, str(body)[:100])
            assert answer.json["message"], body
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data; boundary=x", ""):
            equal(post(json.dumps(good), headers={"Content-Type": kind}).status, 415, kind)
        equal(post(json.dumps(good), headers={"Content-Type": "Application/JSON; charset=utf-8"}).status, 201)
        for path in ("/Jobs/../../etc/passwd", "/Jobs/..%2f..%2fetc%2fpasswd/log", "/Jobs/%2e%2e/log", "/Jobs/x/log", "/Jobs/%24ne",
                     "/Jobs/' OR 1=1 --/log".replace(" ", "%20"), "/jobs", "/Jobs/", "//Jobs", "/", "/FlowQueries/x/results",
                     "/Jobs/" + "0" * 24, "/Jobs/" + "0" * 3000):
            answer = s.get(path)
            equal(answer.status, 404, path)
            assert set(answer.json) == {"message", "description"}, path
        for path in ("/Jobs/%00", "/Jobs/%zz", "/Jobs/%", "/Jobs/%ff", "/Jobs?limit=-1", "/Jobs?limit=10001", "/Jobs?limit=a", "/Jobs?offset=1&offset=2",
                     "/Jobs?nonsense=1", "/Jobs?status=Ended", "/Jobs?limit=1%00", "/FlowQueries/x/results?limit=1e3"):
            equal(s.get(path).status, 400, path)
        job = s.create("Test", running_time=0)
        for query in ("", "?action=", "?action=stop", "?action=start&action=start", "?action=start&x=1"):
            equal(s.request("PUT", "/Jobs/%s%s" % (job, query)).status, 400, query)
        equal(s.request("PUT", "/Jobs/%s?action=start" % job, "x", headers={"Content-Type": "text/plain"}).status, 415)
        equal(s.job(job)["status"], "Created")
        equal(s.act("0" * 24, "start").status, 404)
        for method, path, allowed in (("DELETE", "/Jobs", "POST, GET"), ("POST", "/Jobs/" + job, "GET, PUT, DELETE"), ("PATCH", "/healthz", "GET")):
            answer = s.request(method, path)
            equal((answer.status, answer.headers["Allow"]), (405, allowed), method)
        equal(s.request("HEAD", "/healthz").body, b"")
        equal(s.log_text(), "")


def foreign_requests():
    with server("--host", "flows.example,other.example") as s:
        for host in ("evil.example", "evil.example:%d" % s.port, "127.0.0.1:1", "localhost.evil.example:%d" % s.port, "", "flows.example.evil"):
            equal(s.get("/Jobs", headers={"Host": host}).status, 403, host)
            equal(s.get("/healthz", headers={"Host": host}).status, 403, host)
        for host in ("localhost:%d" % s.port, "LOCALHOST:%d" % s.port, "[::1]:%d" % s.port, "flows.example", "Flows.Example:443", "other.example"):
            equal(s.get("/Jobs", headers={"Host": host}).status, 200, host)
        for origin in ("http://evil.example", "null", "https://127.0.0.1", "http://localhost:1", "file://", "http://flows.example.evil"):
            equal(s.get("/Jobs", headers={"Origin": origin}).status, 403, origin)
        for origin in ("http://127.0.0.1:%d" % s.port, "https://flows.example"):
            equal(s.get("/Jobs", headers={"Origin": origin}).status, 200, origin)
        assert "Access-Control-Allow-Origin" not in s.get("/Jobs").headers


def tokens():
    token = "a-token-of-some-length"
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/token"
        with open(path, "w") as file:
            file.write(token + "\nmore\n")
        for options, environment in ((("--token", token), {}), (("--token", "@" + path), {}), ((), {"EARLGREY_TOKEN": token})):
            with server(*options, environment=environment) as s:
                equal(s.get("/healthz").status, 200)
                for given in (None, "Bearer", "Bearer x", "Bearer " + token[:-1], "Bearer %sx" % token, "Basic " + token, token):
                    answer = s.get("/Jobs", headers={"Authorization": given} if given else {})
                    equal((answer.status, answer.headers["WWW-Authenticate"]), (401, "Bearer"), str(given))
                for method, target in (("GET", "/metrics"), ("GET", "/openapi.json"), ("POST", "/Jobs"), ("GET", "/nothing")):
                    equal(s.request(method, target).status, 401, target)
                equal(s.get("/Jobs", headers={"Authorization": "Bearer " + token}).status, 200)
    for options, code, message in ((("--listen", "0.0.0.0:0"), 2, "0.0.0.0 is not the loopback: --token is needed"), (("--token", "short"), 2, "a token of at least 16"),
                                   (("--token", "@/nonexistent"), 2, "a token of at least 16"), (("--listen", "8080"), 2, "is not ADDRESS:PORT"),
                                   (("--data", "/nonexistent"), 1, "No such file"), (("--jobs", "0"), 2, "from 1 to 1000")):
        more = () if "--data" in options else ("--data", SAMPLES)
        ran = subprocess.run([PROGRAM, SCRIPT, *more, *options, "--store", ":memory:"], capture_output=True, text=True, timeout=20)
        equal(ran.returncode, code, " ".join(options))
        matches(ran.stderr, "^server: .*" + message)


def large_and_odd_requests():
    with server() as s:
        for n_bytes, headers in ((70000, {}), (10 << 20, {}), (10 << 20, {"Expect": "100-continue"})):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                answer = s.request("POST", "/Jobs", b"x" * n_bytes, headers=headers)
                equal(answer.status, 413, str(n_bytes))
        chunk = b"%x\r\n" % 60000 + b"x" * 60000 + b"\r\n"
        matches(raw(s, b"POST /Jobs HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" % s.port
                    + chunk * 3 + b"0\r\n\r\n").decode(), "^HTTP/1.1 413 ")
        host = b"Host: localhost:%d\r\n" % s.port
        for data, status in ((b"GET /healthz HTTP/1.1\r\n" + host + b"X: " + b"x" * 40000 + b"\r\n\r\n", "4[13][13]"),
                             (b"GET /healthz HTTP/1.1\r\n" + host + b"X: y\r\n" * 100 + b"\r\n", "431"),
                             (b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n" + host + b"\r\n", "41[34]"),
                             (b"GET /healthz HTTP/1.1\r\n\r\n", "40[03]"), (b"NONSENSE\r\n\r\n", "4.."),
                             (b"GET /healthz HTTP/1.1\r\n" + host + host + b"\r\n", "40[03]"),
                             (b"POST /Jobs HTTP/1.1\r\n" + host + b"Content-Length: -5\r\n\r\n", "4.."),
                             (b"POST /Jobs HTTP/1.1\r\n" + host + b"Content-Length: 99999999999999999999999\r\n\r\n", "4.."),
                             (b"GET http://evil.example/healthz HTTP/1.1\r\n" + host + b"\r\n", "40[04]"),
                             (b"GET /Jobs/\0x HTTP/1.1\r\n" + host + b"\r\n", "4..")):
            answer = raw(s, data)
            if answer:
                matches(answer[:20].decode(), "^HTTP/1.1 %s " % status, repr(data[:60]))
            equal(s.get("/healthz").status, 200, repr(data[:60]))
        equal(s.log_text(), "")


# ---- what it says of itself

def described():
    with server() as s:
        document = s.get("/openapi.json").json
        equal(document["openapi"], "3.0.3")
        described_routes = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
        equal(len({o["operationId"] for item in document["paths"].values() for o in item.values()}), len(described_routes))
        # A route that is there refuses the id; one that is not says so.
        for path in document["paths"]:
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                answer = s.request(method, path.replace("{id}", "0" * 24))
                known = answer.status != 405 and not (answer.status == 404 and answer.json["message"] == "No such route")
                equal(known, (method, path) in described_routes, "%s %s" % (method, path))
                if known:
                    status = str(answer.status)
                    assert status in document["paths"][path][method.lower()]["responses"], (method, path, status)
        schemas = document["components"]["schemas"]
        for reference in re.findall(r'"\$ref": "([^"]*)"', json.dumps(document)):
            assert reference.startswith("#/components/schemas/") and reference.split("/")[-1] in schemas, reference
        for kind in ("FlowQuery", "ActiveFlow", "Ingest", "Test"):
            for field in schemas["New" + kind]["properties"]:
                answer = s.request("POST", "/Jobs", {"type": kind, "name": "x", field: [] if field not in ("type", "name") else kind})
                assert "no such field" not in answer.json.get("description", ""), (kind, field)


def measured():
    with server() as s:
        for params in ({"dst_port": 53}, {"dst_port": 5060}):
            s.wait(s.start("FlowQuery", **params), "End")
        job = s.start("Test", running_time=60)
        s.runner(job)
        s.create("Test", running_time=1)
        until(lambda: 'status="End"} 2\n' in s.get("/metrics").body.decode(), "counted")
        text = s.get("/metrics").body.decode()
        for line in ('earlgrey_jobs{status="Created"} 1', 'earlgrey_jobs{status="Started"} 1', 'earlgrey_jobs{status="End"} 2',
                     "earlgrey_jobs_running 1", "earlgrey_jobs_pending 0", 'earlgrey_jobs_ended_total{type="FlowQuery",status="End"} 2',
                     "earlgrey_rows_scanned_total %d" % (2 * N_FLOWS), 'earlgrey_job_seconds_count{type="FlowQuery"} 2',
                     'earlgrey_http_requests_total{route="/Jobs",method="POST",status="201"} 4'):
            assert line + "\n" in text, (line, text)
        types, values = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                types[line.split()[2]] = line.split()[3]
            elif not line.startswith("#"):
                found = re.fullmatch(r'([a-z_]+)(\{(?:[a-z]+="[^"]*",?)+\})? ([0-9.e+-]+)', line)
                assert found, line
                name = re.sub("_(bucket|sum|count)$", "", found.group(1))
                assert name in types or found.group(1) in types, line
                values[found.group(1) + (found.group(2) or "")] = float(found.group(3))
        buckets = [v for k, v in values.items() if k.startswith('earlgrey_http_request_seconds_bucket{route="/Jobs/{id}"')]
        equal(buckets, sorted(buckets))
        equal(buckets[-1], values['earlgrey_http_request_seconds_count{route="/Jobs/{id}"}'])
        s.act(job, "cancel")


def searched():
    """The original's question, over an indexed store."""
    body = '{"query":{"term":{"srcAddress":"172.16.42.216"}}}'
    with tempfile.TemporaryDirectory() as data:
        path = data + "/flows.db"
        connect().execute("SELECT * FROM netflow_ingest('samples', ?)", (path,)).fetchall()
        with server(data=path) as s:
            plain = {"Content-Type": "application/x-www-form-urlencoded"}
            hits = s.request("POST", "/netflow/_search?pretty", body, headers=plain)
            equal(hits.status, 200, hits.body)
            found = hits.json["hits"]
            n, = connect().execute("SELECT count(*) FROM netflow('samples') WHERE srcaddr = '172.16.42.216'").fetchone()
            equal((found["total"]["value"], len(found["hits"])), (n, 10))
            equal({h["_source"]["srcAddress"] for h in found["hits"]}, {"172.16.42.216"})
            equal(hits.json["_shards"]["failed"], 0)
            equal(len(s.request("POST", "/netflow/_search", '{"size":%d,"query":{"match_all":{}}}' % 10000).json["hits"]["hits"]), N_FLOWS)
            equal(s.get("/netflow/_search?rest_total_hits_as_int=true").json["hits"]["total"], N_FLOWS)
            # What stands in the query goes before the body.
            most = connect().execute("SELECT bytes FROM netflow('samples') ORDER BY bytes DESC LIMIT 5").fetchall()
            for target, asked in (("/netflow/_search?sort=bytes:desc,time&from=2&size=3&_source=bytes", None),
                                  ("/netflow/_search?from=2&size=3&_source=bytes", '{"size":7,"sort":{"bytes":"desc"}}')):
                hits = s.request("POST", target, asked).json["hits"]["hits"]
                equal([h["_source"] for h in hits], [{"bytes": n} for n, in most[2:]], target)
            equal("total" in s.get("/netflow/_search?track_total_hits=false").json["hits"], False)
            for target, wrong in (("/netflow/_search", "{"), ("/netflow/_search", "[]"), ("/netflow/_search?size=3", "[]"),
                                  ("/netflow/_search", "null"), ("/netflow/_search?size=-1", body), ("/netflow/_search?size=10001", body),
                                  ("/netflow/_search?sort=colour", body), ("/netflow/_search?track_total_hits=yes", body), ("/netflow/_search", '{"aggs":{}}'), ("/netflow/_search?scroll=1m", body),
                                  ("/netflow/_search", "7"), ("/net'flow/_search", body), ("/NETFLOW/_search", body)):
                answer = s.request("POST", target, wrong)
                equal((answer.status, answer.json["status"]), (400, 400), target + wrong)
                assert answer.json["error"]["root_cause"][0]["reason"], answer.body
            equal(s.request("POST", "/netflow/_search", body, headers={**plain, "Origin": "http://evil.example"}).status, 403)
            equal(s.request("DELETE", "/netflow/_search").status, 405)
            os.remove(path)  # another store in its place
            connect().execute("SELECT * FROM netflow_ingest('samples/softflowd-v5-sampled-s10.pcap', ?)", (path,)).fetchall()
            equal(s.get("/netflow/_search").json["hits"]["total"]["value"], 488)
            equal(s.log_text(), "")


def searched_by_name():
    with tempfile.TemporaryDirectory() as data:
        db = connect()
        for target, capture in (("small.db", "samples/softflowd-v5-sampled-s10.pcap"), ("flows", "samples/fprobe-live-v5.pcapng")):
            db.execute("SELECT * FROM netflow_ingest(?, ?)", (capture, data + "/" + target)).fetchall()
        with server(data=data) as s:
            def total(index):
                return s.get("/%s/_search" % index).json["hits"]["total"]["value"]

            equal([total(i) for i in ("small", "small.db", "flows", "small")], [488, 488, 870, 488])


# ---- many and slow clients

def slow_clients():
    with server() as s:
        slow = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(150)]
        for c in slow:
            c.sendall(b"POST /Jobs HTTP/1.1\r\nHost: localhost:%d\r\nX-A: " % s.port)
        began, n = time.monotonic(), 0
        while time.monotonic() - began < 12:
            for c in slow:
                with contextlib.suppress(OSError):
                    c.send(b"a")
            one = time.monotonic()
            equal(s.get("/healthz").status, 200)
            assert time.monotonic() - one < 2, "a slow client holds up others"
            n += 1
            time.sleep(0.5)
        until(lambda: "earlgrey_connections 1\n" in s.get("/metrics").body.decode(), "cut off", 5)
        for c in slow:
            c.close()


def more_slow_clients_than_places():
    with server() as s:
        slow = []
        for _ in range(800):
            slow.append(socket.create_connection(("127.0.0.1", s.port), timeout=5))
            slow[-1].sendall(b"GET /he")
        for _ in range(20):
            equal(s.get("/healthz", timeout=5).status, 200)
        for c in slow:
            c.close()
        equal(s.get("/healthz").status, 200)


def many_clients():
    """100 clients at once for some seconds: creating, starting, asking, deleting."""
    with server("--jobs", "2") as s:
        faults, counts, lock = [], [0], threading.Lock()
        query = s.start("FlowQuery", src_addr="0.0.0.0/0")
        s.wait(query, "End")

        def client(number):
            end, n = time.monotonic() + 4, 0
            try:
                while time.monotonic() < end:
                    if number % 10 == 0:
                        job = s.request("POST", "/Jobs", {"type": "Test", "running_time": 0})
                        answers = [job]
                        if job.status == 201:
                            answers.append(s.act(job.json["jobId"], "cancel"))
                            answers.append(s.request("DELETE", "/Jobs/" + job.json["jobId"]))
                    elif number % 3 == 0:
                        answers = [s.get("/FlowQueries/%s/results?offset=%d" % (query, n))]
                    else:
                        answers = [s.get("/Jobs/" + query), s.get("/healthz")]
                    n += len(answers)
                    for answer in answers:
                        if answer.status >= 500 and answer.status != 503:
                            faults.append(answer.body)
            except OSError as error:
                faults.append(str(error))
            with lock:
                counts[0] += n

        after = []  # each round
        for _ in range(2):
            threads = [threading.Thread(target=client, args=(i,)) for i in range(100)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            after.append(memory_kb(s.process.pid))
        equal(faults[:3], [])
        assert counts[0] > 500, counts
        # AddressSanitizer keeps what is freed for a while.
        assert "asan" in PROGRAM or after[1] < after[0] * 1.2 + 2000, "memory grew from %d to %d kB" % tuple(after)
        equal(s.log_text(), "")


check("a job is created, started, and ends", created_started_ended)
check("the results are the rows of the same query in SQL, by offset and limit", results_are_those_of_sql)
check("start and end are times of three forms", times_limit_a_query)
check("a ranking is that of netflow_active", ranking)
check("a job is created, started, canceled, and is Canceled", canceled)
check("a job is canceled before its start", canceled_before_its_start)
check("what a canceled job has written goes away", canceled_results_go)
check("a deleted job takes its results and its log with it", deleted)
check("jobs are listed in pages, by status and type", listed)
check("captures are ingested, inside the data folder only", ingested)
check("kill -9 of a job: Failed, and by what", killed_runner)
check("a job that fails says so with the last lines of its log", failing_runner)
check("jobs wait in order, and no more run at once than may", queue_in_order)
check("a job that does not heed SIGTERM is killed after 5 s", stubborn_runner)
check("kill -9 of the server while ten jobs run: none lost, none doubled", restart_in_the_middle)
check("jobs whose process died with the server are Failed; those that waited run", server_and_runner_die)
check("a cancel outlives the server", canceled_by_a_server_that_dies)
check("SIGTERM and SIGINT end it cleanly, jobs go on", ended_by_signal)
check("the server goes on when nobody reads its log any more", log_reader_goes)
check("a second server on the port or on the store is refused", two_servers)
check("bad requests get 4xx, a message and a description", bad_requests)
check("foreign hosts and origins are refused", foreign_requests)
check("a token is needed where one is set, and off the loopback", tokens)
check("large and odd requests do no harm", large_and_odd_requests)
check("/openapi.json describes exactly the routes that there are", described)
check("/metrics counts jobs, rows and times", measured)
check("_search answers from the indexed store, and refuses in Elasticsearch's shape", searched)
check("an index of _search is what has its name in the data folder", searched_by_name)
check("slow clients do not stop others, and are cut off", slow_clients)
check("more slow clients than places do not stop others", more_slow_clients_than_places)
check("100 clients at once: no 5xx but 503, memory flat", many_clients)
finish()
