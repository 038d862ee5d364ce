"""_search in the hands of Elasticsearch's and OpenSearch's own clients for Python, from PyPI, and of curl, as the original's
README has it: what they find is what SQL finds in the same store, what is not answered reaches them as their own errors."""

import http.client
import json
import os
import shutil
import subprocess
import tempfile

from environment import python_with
from report import check, connect, equal, finish, quote, skip
from service_client import Server

# The last that takes any server for Elasticsearch; the newest of today, which do not; OpenSearch's, which does.
PACKAGES = ("elasticsearch==7.13.4", "elasticsearch8", "elasticsearch9", "opensearch-py")
OLD, NEW = ("elasticsearch", "opensearchpy"), ("elasticsearch8", "elasticsearch9")

ADDRESS = "172.16.42.216"
ORIGINAL = '{"query":{"term":{"srcAddress":"122.166.26.132"}}}'
FIELDS = {"srcAddress": "srcaddr", "dstAddress": "dstaddr", "srcPort": "srcport", "dstPort": "dstport", "protocol": "protocol",
          "time": "replace(substr(start_time, 1, 19), ' ', '-')", "duration": "duration_ms", "bytes": "bytes",
          "packets": "packets", "tcpFlags": "tcp_flags", "tos": "tos"}

# Calls on a client, read as JSON: each with its answer, or the class, status and kind of its error.
DRIVER = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
module = importlib.import_module(sys.argv[1])
client = (getattr(module, "OpenSearch", None) or module.Elasticsearch)([sys.argv[2]])
def call(method, arguments):
    try:
        answer = getattr(client, method)(**arguments)
        return {"answer": getattr(answer, "body", answer)}
    except Exception as e:
        kind = getattr(e, "error", None)
        return {"error": type(e).__name__, "status": getattr(e, "status_code", None), "type": kind, "text": str(e)}
print(json.dumps([call(*c) for c in json.load(sys.stdin)]))
"""


class Client:
    def __init__(self, python, module, port):
        self.command = [python, "-c", DRIVER, module, "http://127.0.0.1:%d" % port]

    def calls(self, *calls):
        done = subprocess.run(self.command, input=json.dumps(calls), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    def search(self, body=None, **more):
        """An answer to one search; whatever else is an error here."""
        arguments = {"index": "flows", **({} if body is None else {"body": body}), **more}
        result, = self.calls(["search", arguments])
        assert "answer" in result, result
        return result["answer"]


class Flows:
    """SQL over the store that the server searches."""

    def __init__(self, store):
        self.db, self.table = connect(), "netflow(%s)" % quote(store)

    def rows(self, where, order=""):
        return self.db.execute("SELECT %s FROM %s WHERE %s %s" % (", ".join(FIELDS.values()), self.table, where, order)).fetchall()

    def count(self, where):
        return self.db.execute("SELECT count(*) FROM %s WHERE %s" % (self.table, where)).fetchone()[0]


def documents(answer):
    return [tuple(hit["_source"][name] for name in FIELDS) for hit in answer["hits"]["hits"]]


def finds(client, flows, query, where):
    """All hits of a query are the rows of SQL."""
    answer = client.search({"query": query, "size": 10000})
    expected = flows.rows(where)
    assert 0 < len(expected) < 8985, (len(expected), where)
    equal(answer["hits"]["total"], {"value": len(expected), "relation": "eq"}, where)
    equal(sorted(documents(answer)), sorted(expected), where)


# ---- the clients that take us


def asks_as_the_original(client, flows):
    answer = client.search(json.loads(ORIGINAL.replace("122.166.26.132", ADDRESS)))
    equal(answer["hits"]["total"]["value"], flows.count("srcaddr = '%s'" % ADDRESS))
    assert answer["hits"]["total"]["value"] > 100, answer
    equal(len(answer["hits"]["hits"]), 10)
    assert set(documents(answer)) <= set(flows.rows("srcaddr = '%s'" % ADDRESS)), answer
    equal((answer["timed_out"], answer["_shards"]["failed"], answer["hits"]["hits"][0]["_index"]), (False, 0, "flows"))
    answer = client.search(json.loads(ORIGINAL))
    equal(answer["hits"]["total"]["value"], flows.count("srcaddr = '122.166.26.132'"))


def finds_what_sql_finds(client, flows):
    finds(client, flows, {"term": {"srcAddress": {"value": ADDRESS}}}, "srcaddr = '%s'" % ADDRESS)
    finds(client, flows, {"term": {"dstAddress": "172.16.0.0/12"}}, "ip4_in(dstaddr, '172.16.0.0/12')")
    finds(client, flows, {"terms": {"dstPort": [53, 443, "5060"]}}, "dstport IN (53, 443, 5060)")
    finds(client, flows, {"terms": {"protocol": ["UDP", 1]}}, "proto IN (17, 1)")
    finds(client, flows, {"range": {"time": {"gte": "2023-11-14-22:16:00", "lt": "2023-11-14T22:30:00Z"}}},
          "start_time >= '2023-11-14 22:16:00' AND start_time < '2023-11-14 22:30:00'")
    finds(client, flows, {"range": {"bytes": {"gt": 1000, "lte": 5000}}}, "bytes > 1000 AND bytes <= 5000")
    finds(client, flows, {"bool": {"must": [{"term": {"protocol": "TCP"}}], "filter": {"range": {"packets": {"gte": 5}}},
                                   "should": [{"term": {"dstPort": 443}}, {"term": {"srcPort": 443}}], "minimum_should_match": 1,
                                   "must_not": [{"term": {"srcAddress": ADDRESS}}]}},
          "protocol = 'TCP' AND packets >= 5 AND 443 IN (srcport, dstport) AND srcaddr <> '%s'" % ADDRESS)


def sorts_and_pages(client, flows):
    expected = flows.rows("protocol = 'UDP'", "ORDER BY bytes DESC, start_time, srcport")
    body = {"query": {"term": {"protocol": "UDP"}}, "sort": [{"bytes": {"order": "desc"}}, "time", {"srcPort": "asc"}]}
    as_parameters = {"sort": "bytes:desc,time,srcPort:asc"}
    pages = client.calls(*[["search", {"index": "flows", "body": {**body, "from": n, "size": 400}}] for n in range(0, 2000, 400)],
                         *[["search", {"index": "flows", "body": {"query": body["query"]}, "from_": n, "size": 400, **as_parameters}]
                           for n in range(0, 2000, 400)])
    # Bytes by which they are sorted: ties of all three are in no order.
    found = [p["answer"]["hits"]["hits"] for p in pages]
    for hits in (sum(found[:5], []), sum(found[5:], [])):
        equal([h["_source"]["bytes"] for h in hits], [r[7] for r in expected[:2000]])
        equal([h["sort"][0] for h in hits], [r[7] for r in expected[:2000]])
        equal(len({h["_id"] for h in hits}), 2000, "hits")
        equal([h["_source"]["time"] for h in hits], [r[5] for r in expected[:2000]])


def counts_as_told(client, flows):
    n = flows.count("dstport = 53")
    query = {"query": {"term": {"dstPort": 53}}, "size": 0}
    equal(client.search({**query, "track_total_hits": True})["hits"]["total"], {"value": n, "relation": "eq"})
    equal(client.search({**query, "track_total_hits": 10})["hits"]["total"], {"value": 10, "relation": "gte"})
    equal(client.search(query, track_total_hits=10)["hits"]["total"], {"value": 10, "relation": "gte"})
    assert "total" not in client.search(query, track_total_hits=False)["hits"]
    equal(client.search(query, rest_total_hits_as_int=True)["hits"]["total"], n)
    hit, = client.search(size=1, _source="bytes,dst*")["hits"]["hits"]
    equal(sorted(hit["_source"]), ["bytes", "dstAddress", "dstPort"])


def errors_are_its_own(client, flows):
    for kind, arguments in (
            ("parsing_exception", {"body": {"aggs": {"a": {"terms": {"field": "srcAddress"}}}}}),
            ("parsing_exception", {"body": {"query": {"fuzzy": {"srcAddress": "1"}}}}),
            ("query_shard_exception", {"body": {"query": {"term": {"colour": "red"}}}}),
            ("illegal_argument_exception", {"body": {"from": 10000}}),
            ("illegal_argument_exception", {"sort": "bytes:up"}),
            ("parsing_exception", {"scroll": "1m"})):
        result, = client.calls(["search", {"index": "flows", **arguments}])
        equal((result.get("error"), result.get("status"), result.get("type")), ("RequestError", 400, kind), str(arguments))
    result, = client.calls(["info", {}])
    equal((result.get("error"), result.get("status")), ("NotFoundError", 404), "what only Elasticsearch has")


# ---- the clients that do not


def refuses_us_itself(client, flows):
    """An answer of 200 is refused, for the header that names another product; an error passes."""
    fine, wrong = client.calls(["search", {"index": "flows", "query": {"term": {"srcAddress": ADDRESS}}}],
                               ["search", {"index": "flows", "query": {"fuzzy": {"srcAddress": "1"}}}])
    equal(fine.get("error"), "UnsupportedProductError", str(fine)[:500])
    assert "not Elasticsearch" in fine["text"], fine
    equal((wrong.get("error"), wrong.get("status")), ("BadRequestError", 400))


# ---- curl


def posted(url, body):
    """As `curl -XPOST URL -d BODY` does, by curl where it is there."""
    if shutil.which("curl"):
        done = subprocess.run(["curl", "-sS", "-XPOST", url, "-d", body], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout
    host, _, path = url.partition("://")[2].partition("/")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("POST", "/" + path, body, {"Content-Type": "application/x-www-form-urlencoded"})
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def curl_finds(port, flows):
    url = "http://127.0.0.1:%d/flows/_search?pretty" % port
    equal(json.loads(posted(url, ORIGINAL))["hits"]["total"]["value"], flows.count("srcaddr = '122.166.26.132'"))
    text = posted(url, ORIGINAL.replace("122.166.26.132", ADDRESS))
    assert text.startswith('{\n  "took" : '), text[:100]
    equal(json.loads(text)["hits"]["total"]["value"], flows.count("srcaddr = '%s'" % ADDRESS))
    for body in ("[]", "null", "{", "7"):
        equal(json.loads(posted(url, body))["status"], 400, body)


def main():
    python = python_with("search_clients", *PACKAGES)
    cases = (
        ("asks as the original's README does", asks_as_the_original, OLD),
        ("finds by term, terms, range and bool what SQL finds", finds_what_sql_finds, OLD),
        ("sorts and pages, by body and by parameters", sorts_and_pages, OLD),
        ("gets totals and fields as it asks for them", counts_as_told, OLD),
        ("gets what is not answered as its RequestError with status and type", errors_are_its_own, OLD),
        ("refuses a server that does not call itself Elasticsearch", refuses_us_itself, NEW),
    )
    with tempfile.TemporaryDirectory(prefix="earlgrey-search.") as folder:
        path = os.path.join(folder, "flows.db")
        connect().execute("SELECT count(*) FROM netflow_ingest('samples', ?)", (path,)).fetchone()
        flows = Flows(path)
        with Server(folder, path) as server:
            check("curl, without a content type, is answered", curl_finds, server.port, flows)
            for claim, test, modules in cases:
                for module in modules:
                    if python is None:
                        skip("%s: %s" % (module, claim), "the clients cannot be had from PyPI")
                    else:
                        check("%s: %s" % (module, claim), test, Client(python, module, server.port), flows)
            check("the service has nothing to say of all this", lambda: equal(server.log_text(), ""))


main()
finish()
