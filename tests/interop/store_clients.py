"""An SQLite store in the hands of others: sqlite-utils and Datasette, from PyPI, open it without the extension; what they
list, count, facet and show is what the extension says of it and of the captures."""

import hashlib
import json
import os
import subprocess
import tempfile
from urllib.parse import urlencode

from environment import python_with
from report import check, connect, equal, finish, quote, skip

SOURCES = ("samples", "tests/data/*.pcap")
ADDRESS = "172.16.42.216"
TABLES = ["audit", "capture", "flow", "loss"]
VIEWS = ["daily", "flow_readable", "reject", "top_talkers"]
INDEXES = ["flow_by_dstaddr", "flow_by_dstaddr_num", "flow_by_srcaddr", "flow_by_srcaddr_num", "flow_by_time"]


class Client:
    """A program of an environment, run on the store in a folder of its own, so that it reads no settings of the user's."""

    def __init__(self, python, store):
        self.bin, self.store = os.path.abspath(os.path.dirname(python)), store

    def run(self, name, *args):
        home = os.path.dirname(self.store)
        done = subprocess.run([os.path.join(self.bin, name), *args], capture_output=True, text=True, cwd=home,
                              env=dict(os.environ, HOME=home))
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def utils(self, command, *args):
        return self.run("sqlite-utils", command, self.store, *args)

    def page(self, path, **query):
        """A JSON page of Datasette, which may take its time on a busy machine."""
        limits = [x for name in ("sql_time_limit_ms", "facet_time_limit_ms") for x in ("--setting", name, "60000")]
        text = self.run("datasette", "serve", self.store, *limits, "--get", path + "?" + urlencode(query))
        page = json.loads(text)
        assert page.get("ok", True) and not page.get("truncated"), text[:500]
        return page


def flow_of(store):
    return "netflow(%s)" % quote(store)


def as_rows(objects):
    return sorted(tuple(o.values()) for o in objects)


def counted(db, sql):
    return db.execute("SELECT count(*) FROM " + sql).fetchone()[0]


# ---- sqlite-utils


def counts_agree(client, db):
    tables = {t["table"]: t["count"] for t in json.loads(client.utils("tables", "--counts"))}
    views = {v["view"]: v["count"] for v in json.loads(client.utils("views", "--counts"))}
    equal(sorted(tables), TABLES, "tables")
    equal(sorted(views), VIEWS, "views")
    flow, audit = flow_of(client.store), "netflow_audit(%s)" % quote(client.store)
    expected = counted(db, "netflow_pcap(%s)" % quote("\n".join(SOURCES)))
    assert expected > 8000
    equal(counted(db, flow), expected, "flows of the captures")
    equal((tables["flow"], views["flow_readable"]), (expected, expected), "flows")
    equal(tables["audit"], counted(db, audit), "audit")
    equal(views["reject"], counted(db, audit + " WHERE rejected > 0"), "reject")
    equal(tables["loss"], counted(db, "netflow_loss(%s)" % quote(client.store)), "loss")
    equal(views["top_talkers"], counted(db, "netflow_top(%s, 'srcaddr')" % quote(client.store)), "top_talkers")


def schema_is_plain(client, db):
    schema = client.utils("schema")
    assert "VIRTUAL TABLE" not in schema.upper(), schema
    for name in TABLES:
        assert "CREATE TABLE %s(" % name in schema, name
    for name in VIEWS:
        assert "CREATE VIEW %s " % name in schema, name
    equal(sorted({i["index_name"] for i in json.loads(client.utils("indexes", "flow"))}), INDEXES, "indexes")


def address_is_searched(client, db):
    plan = client.utils("query", "EXPLAIN QUERY PLAN SELECT * FROM flow WHERE srcaddr = :a AND start_ms > 0", "-p", "a", ADDRESS)
    assert "flow_by_srcaddr (srcaddr=? AND start_ms>?)" in plan, plan


def every_row_agrees(client, db):
    """All columns that SELECT * shows, through the view; and the others, through the table."""
    found = [json.loads(line) for line in client.utils("rows", "flow_readable", "--nl").splitlines()]
    cursor = db.execute("SELECT *, file FROM " + flow_of(client.store))
    equal(list(found[0]), [c[0] for c in cursor.description], "columns")
    equal(as_rows(found), sorted(cursor), "rows")
    hidden = ("start_ms", "end_ms", "proto", "packets_est", "bytes_est", "time_flag")
    columns = [x for c in hidden for x in ("-c", c)]
    found = [json.loads(line) for line in client.utils("rows", "flow", "--nl", *columns).splitlines()]
    equal(as_rows(found), sorted(db.execute("SELECT %s FROM %s" % (", ".join(hidden), flow_of(client.store)))), "hidden columns")


# ---- Datasette


def address_and_facet_agree(client, db):
    columns = ["start_time", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes"]
    page = client.page("/flows/flow.json", srcaddr=ADDRESS, _facet="protocol", _facet_size="max", _size="max", _shape="objects",
                       _sort="start_ms")
    where = "%s WHERE srcaddr = %s" % (flow_of(client.store), quote(ADDRESS))
    expected = sorted(db.execute("SELECT %s FROM %s" % (", ".join(columns), where)))
    assert 100 < len(expected) < 1000
    equal(page["filtered_table_rows_count"], len(expected), "rows")
    equal(sorted(tuple(r[c] for c in columns) for r in page["rows"]), expected, "rows")
    facet = {r["value"]: r["count"] for r in page["facet_results"]["protocol"]["results"]}
    equal(facet, dict(db.execute("SELECT protocol, count(*) FROM %s GROUP BY 1" % where)), "facet")


def facet_of_all_agrees(client, db):
    page = client.page("/flows/flow.json", _facet="protocol", _facet_size="max", _size=1)
    facet = {r["value"]: r["count"] for r in page["facet_results"]["protocol"]["results"]}
    equal(facet, dict(db.execute("SELECT key, flows FROM netflow_top(%s, 'protocol', 'flows')" % quote(client.store))), "facet")


def views_agree(client, db):
    rows = client.page("/flows/top_talkers.json", _size=20)["rows"]
    top = "SELECT srcaddr, bytes, packets, flows FROM netflow_top(%s, 'srcaddr', 'bytes', 20)" % quote(client.store)
    equal([r[1] for r in rows], [r[1] for r in db.execute(top)], "bytes in order")
    ties = rows[-1][1]  # of the last, some may be cut off
    equal({tuple(r) for r in rows if r[1] > ties}, {r for r in db.execute(top) if r[1] > ties}, "top talkers")
    rows = client.page("/flows/daily.json", _size="max")["rows"]
    expected = db.execute("SELECT substr(start_time, 1, 10), count(*), sum(packets), sum(bytes) FROM %s GROUP BY 1"
                          % flow_of(client.store))
    equal(sorted(tuple(r) for r in rows), sorted(expected), "daily")
    rows = client.page("/flows/reject.json", _size="max", _shape="objects")["rows"]
    expected = db.execute("SELECT reason, seen FROM netflow_audit(%s) WHERE rejected > 0" % quote(client.store))
    equal(sorted((r["reason"], r["datagrams"]) for r in rows), sorted(expected), "reject")
    assert rows, "nothing was rejected"


def readable_view_is_filtered(client, db):
    page = client.page("/flows/flow_readable.json", dstport=53, protocol="UDP", _size="max")
    expected = sorted(db.execute("SELECT *, file FROM %s WHERE dstport = 53 AND protocol = 'UDP'" % flow_of(client.store)))
    assert 100 < len(expected) < 1000
    equal(sorted(tuple(r) for r in page["rows"]), expected, "rows")


def main():
    db = connect()
    python = python_with("clients", "datasette", "sqlite_utils")
    cases = (
        ("sqlite-utils lists tables and views, and counts as the extension does", counts_agree),
        ("sqlite-utils shows a plain schema and its indexes", schema_is_plain),
        ("sqlite-utils searches an address by its index", address_is_searched),
        ("sqlite-utils shows every row as the extension does", every_row_agrees),
        ("Datasette shows an address, facetted by protocol, as the extension does", address_and_facet_agree),
        ("Datasette facets all flows as netflow_top ranks them", facet_of_all_agrees),
        ("Datasette shows the views", views_agree),
        ("Datasette filters the readable view", readable_view_is_filtered),
    )
    with tempfile.TemporaryDirectory(prefix="earlgrey-clients.") as folder:
        path = os.path.join(folder, "flows.db")
        for source in SOURCES:
            db.execute("SELECT count(*) FROM netflow_ingest(?, ?)", (source, path)).fetchone()
        before = hashlib.sha256(open(path, "rb").read()).digest()
        for claim, test in cases:
            if python is None:
                skip(claim, "datasette and sqlite-utils cannot be had from PyPI")
            else:
                check(claim, test, Client(python, path), db)
        if python is not None:
            check("reading left the store as it was", lambda: equal(hashlib.sha256(open(path, "rb").read()).digest(), before))


main()
finish()
