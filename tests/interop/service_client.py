"""A server of jobs for a test, and requests to it."""

import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import time

PROGRAM = os.path.abspath(os.environ.get("EARLGREY_LUA", "./earlgrey-lua"))
SCRIPT = os.path.abspath("scripts/server.lua")


def until(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("never " + what)
        time.sleep(0.02)


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """scripts/server.lua on a free port; `folder` holds its store and log."""

    def __init__(self, folder, data, *options, store="jobs.db", environment=None):
        self.folder, self.store = folder, store if "://" in store else os.path.join(folder, store)
        self.log = open(os.path.join(folder, "server.log"), "ab")
        self.process = subprocess.Popen(
            [PROGRAM, SCRIPT, "--data", data, "--store", self.store, "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE, stderr=self.log, env={**os.environ, **(environment or {})})
        line = self.process.stdout.readline().decode()
        found = re.match(r"http://127\.0\.0\.1:(\d+)/ serves ", line)
        if not found:
            self.process.wait()
            raise RuntimeError("the server does not start: %r %s" % (line, self.log_text()))
        self.port = int(found.group(1))

    def log_text(self):
        with open(os.path.join(self.folder, "server.log")) as file:
            return file.read()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self.process.stdout.close()
        self.log.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL if self.process.poll() is None and self.is_hung() else signal.SIGTERM)

    def is_hung(self):
        try:
            return self.get("/healthz").status != 200
        except OSError:
            return True

    # ---- requests

    def request(self, method, path, body=None, headers=None, timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = dict(headers or {})
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            if body is not None:
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def create(self, kind, **params):
        answer = self.request("POST", "/Jobs", {"type": kind, **params})
        assert answer.status == 201, answer.body
        return answer.json["jobId"]

    def act(self, job, action):
        return self.request("PUT", "/Jobs/%s?action=%s" % (job, action))

    def start(self, kind, **params):
        job = self.create(kind, **params)
        answer = self.act(job, "start")
        assert answer.status == 200, answer.body
        return job

    def job(self, job):
        answer = self.get("/Jobs/" + job)
        assert answer.status == 200, answer.body
        return answer.json

    def wait(self, job, status, seconds=20):
        """Until the job has a status that is final or the wanted one."""
        end = time.monotonic() + seconds
        while True:
            document = self.job(job)
            if document["status"] == status:
                return document
            if document["status"] in ("End", "Failed", "Canceled") or time.monotonic() > end:
                raise AssertionError("job is %s, expected %s: %s" % (document["status"], status, document))
            time.sleep(0.02)

    # ---- behind its back

    def stored(self, sql, *values):
        db = sqlite3.connect(self.store, timeout=10)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def runner(self, job, seconds=10):
        """The process number of a job, once it has one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.stored("SELECT pid FROM job WHERE id = ? AND pid IS NOT NULL", job)
            if found:
                return found[0][0]
            time.sleep(0.01)
        raise AssertionError("no process for job " + job)


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def memory_kb(pid):
    with open("/proc/%d/status" % pid) as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
