"""Load on scripts/server.lua: 100 clients for a minute, with and without 500 connections that send a byte a second.

    python3 tests/bench/service_load.py [SECONDS]

Each client keeps its connection and asks in turn for a job, a page of 100 results, the list and /healthz; every tenth
creates, cancels and deletes jobs. Prints requests a second, latencies at the client, answers by status, and the
server's memory every ten seconds. The clients are 4 processes on the same machine and take most of its time."""

import collections
import http.client
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, "tests/interop")
from service_client import Server, memory_kb  # noqa: E402

N_PROCESSES, N_CLIENTS, N_SLOW = 4, 100, 500


def client(port, paths, is_writer, end, latencies, statuses):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(method, path, body=None):
        began = time.monotonic()
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            text = answer.read()
        except OSError as error:
            statuses[type(error).__name__] += 1
            connection.close()
            return {}
        latencies.append(time.monotonic() - began)
        statuses[answer.status] += 1
        return json.loads(text)

    while time.monotonic() < end:
        if is_writer:
            job = ask("POST", "/Jobs", '{"type": "Test", "running_time": 0}').get("jobId")
            if job:
                ask("PUT", "/Jobs/%s?action=cancel" % job)
                ask("DELETE", "/Jobs/" + job)
        else:
            for path in paths:
                ask("GET", path)


def clients(port, paths, n, end, queue):
    latencies, statuses = [], collections.Counter()
    threads = [threading.Thread(target=client, args=(port, paths, i % 10 == 0, end, latencies, statuses)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    queue.put((latencies, statuses))


def slow_clients(port, end):
    """Connections that send a byte a second, made anew when they are cut off."""
    connections = {}
    while time.monotonic() < end:
        for i in range(N_SLOW):
            try:
                if i not in connections:
                    connections[i] = socket.create_connection(("127.0.0.1", port), timeout=5)
                    connections[i].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
                connections[i].send(b"x")
            except OSError:
                connections.pop(i, None)
        time.sleep(1)


def measure(server, paths, seconds, with_slow):
    end = time.monotonic() + seconds
    queue = multiprocessing.Queue()
    all_processes = [multiprocessing.Process(target=clients, args=(server.port, paths, N_CLIENTS // N_PROCESSES, end, queue))
                     for _ in range(N_PROCESSES)]
    if with_slow:
        all_processes.append(multiprocessing.Process(target=slow_clients, args=(server.port, end)))
    for p in all_processes:
        p.start()
    memory = []
    while time.monotonic() < end:
        memory.append(memory_kb(server.process.pid))
        time.sleep(min(10, seconds / 4))
    latencies, statuses = [], collections.Counter()
    for _ in range(N_PROCESSES):
        some, counts = queue.get()
        latencies += some
        statuses += counts
    for p in all_processes:
        p.join()
    latencies.sort()
    print("%d clients%s, %d s: %.0f requests/s; median %.1f ms, p99 %.1f ms, max %.0f ms; answers %s; memory kB %s" % (
        N_CLIENTS, " and %d slow ones" % N_SLOW if with_slow else "", seconds, len(latencies) / seconds,
        *(1000 * latencies[min(len(latencies) - 1, int(len(latencies) * q))] for q in (0.5, 0.99, 1)), dict(statuses), memory))


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder, Server(folder, os.path.abspath("samples")) as server:
        job = server.start("FlowQuery", src_addr="0.0.0.0/0")
        server.wait(job, "End")
        paths = ["/Jobs/" + job, "/FlowQueries/%s/results?offset=1000" % job, "/Jobs", "/healthz"]
        for with_slow in (False, True):
            measure(server, paths, seconds, with_slow)


main()
