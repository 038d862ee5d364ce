"""Pushdown changes nothing: generated queries over netflow_pcap(…) and over a plain copy of its rows must agree.

Each query is asked of the table-valued function or of a virtual table made with CREATE VIRTUAL TABLE, and of a
copy with the same columns and declared types (hidden ones included), and the answers are compared: as lists
where ORDER BY is total, as multisets otherwise. The same for netflow_active and netflow_top against GROUP BY.
Queries come from a seed, values from the data, from near it, and from every type.

    differential.py [--queries N] [--seed N] [--verbose]
"""

import argparse
import collections
import os
import random
import sqlite3
import struct
import tempfile

from report import connect, finish, not_ok, ok, quote

INTEGER, TEXT = "INTEGER", "TEXT"


# ---- The rows: few distinct values, so that comparisons hit; everything that a column can be


def datagram(rng, sequence, uptime, secs, nsecs, engine, sampling, n):
    hosts = ["10.0.0.%d" % i for i in range(6)] + ["192.168.1.9", "192.168.1.10", "0.0.0.0", "255.255.255.255", "9.9.9.9", "100.0.0.1"]
    ports = [0, 22, 53, 53, 80, 443, 1024, 6553, 65535]

    def address(text):
        return bytes(int(x) for x in text.split("."))

    out = struct.pack(">HHIIIIBBH", 5, n, uptime, secs, nsecs, sequence, engine[0], engine[1], sampling)
    for _ in range(n):
        last = (uptime - rng.choice([0, 1, 50, 3000, 60000])) % (1 << 32)
        first = (last - rng.choice([0, 0, 1, 8, 900, 60000, -5])) % (1 << 32)
        out += address(rng.choice(hosts)) + address(rng.choice(hosts)) + address(rng.choice(hosts[-5:]))
        out += struct.pack(
            ">HHIIIIHHBBBBHHBBH",
            rng.choice([0, 1, 2, 65535]),
            rng.choice([0, 1, 2, 300]),
            rng.choice([1, 1, 1, 2, 10, 4294967295]),
            rng.choice([40, 40, 52, 100, 1500, 2147483648, 4294967295]),
            first,
            last,
            rng.choice(ports),
            rng.choice(ports),
            0,
            rng.choice([0, 2, 16, 27, 255]),
            rng.choice([1, 6, 6, 6, 17, 17, 0, 47, 61, 99, 255]),
            rng.choice([0, 0, 184, 255]),
            rng.choice([0, 64512, 65535]),
            rng.choice([0, 1, 23456]),
            rng.choice([0, 8, 24, 32]),
            rng.choice([0, 16, 24, 32]),
            0,
        )
    return out


def packet(rng, exporter, payload):
    udp = struct.pack(">HHHH", 50000, 2055, 8 + len(payload), 0) + payload
    if ":" in exporter:
        source = {"::1": bytes(15) + b"\1", "2001:db8::7": bytes.fromhex("20010db8000000000000000000000007")}[exporter]
        return bytes(12) + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(udp), 17, 64) + source + bytes(15) + b"\2" + udp
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes(int(x) for x in exporter.split(".")), b"\xc0\0\2\2")
    return bytes(12) + b"\x08\0" + ip + udp


def write_captures(folder):
    """Two captures: a pcap, and a pcapng whose packets have no time."""
    rng = random.Random(20070726)
    sequence = {}

    def packets(n):
        for i in range(n):
            exporter = rng.choice(["192.0.2.1", "192.0.2.1", "192.0.2.10", "::1", "2001:db8::7"])
            engine = rng.choice([(0, 0), (1, 3)])
            count = rng.choice([30, 30, 17, 1])
            at = sequence.get((exporter, engine), 4294967000 if exporter == "192.0.2.1" else 0)
            sequence[exporter, engine] = (at + count) % (1 << 32)
            secs = 1185487200 + 20 * i + rng.choice([0, 0, -86400, 3600])
            nsecs = rng.choice([0, 120000000, 999999999, 1000000000])
            uptime = rng.choice([0, 1000, 86400000 + i, 4294967295])
            sampling = rng.choice([0, 1, 10, 0x4000 | 100, 0x8000 | 16383])
            yield secs, packet(rng, exporter, datagram(rng, at, uptime, secs, nsecs, engine, sampling, count))

    with open(os.path.join(folder, "a.pcap"), "wb") as f:
        f.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for secs, data in packets(30):
            f.write(struct.pack("<IIII", secs, rng.randrange(10**6), len(data), len(data)) + data)
    with open(os.path.join(folder, "b.pcapng"), "wb") as f:
        f.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
        f.write(struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20))
        for _, data in packets(8):
            padded = data + bytes(-len(data) % 4)
            size = 16 + len(padded)
            f.write(struct.pack("<III", 3, size, len(data)) + padded + struct.pack("<I", size))
    return folder


# ---- Queries


class World:
    """A connection with the rows twice, and values to ask for."""

    def __init__(self, source):
        self.db = connect()
        self.source = source
        shown = [r[1] for r in self.db.execute("PRAGMA table_info(netflow_pcap)")]
        every = [(r[1], r[2].upper() or None, r[6]) for r in self.db.execute("PRAGMA table_xinfo(netflow_pcap)")]
        self.types = {name: kind.split()[0] for name, kind, _ in every if kind and name != "source"}
        self.columns = [n for n, _, _ in every if n in self.types]
        self.shown = [n for n in shown if n in self.types]
        self.hidden = [n for n in self.columns if n not in self.shown]
        assert len(self.shown) == 25 and len(self.hidden) >= 9, every
        self.db.execute("CREATE TABLE copy (%s)" % ", ".join("%s %s" % (n, self.types[n]) for n in self.columns))
        self.db.execute(
            "INSERT INTO copy SELECT %s FROM netflow_pcap(%s)" % (", ".join(self.columns), quote(source))
        )
        self.db.execute("CREATE VIRTUAL TABLE temp.made USING netflow_pcap(%s)" % quote(source))
        self.n_rows = self.db.execute("SELECT count(*) FROM copy").fetchone()[0]
        self.values = {
            c: [r[0] for r in self.db.execute("SELECT DISTINCT %s FROM copy ORDER BY 1" % c)] for c in self.columns
        }
        # Small tables to join with: keys of the right kind, as text, without affinity; and strangers.
        rng = random.Random(7)
        for name, kind in (("j_int", "INTEGER"), ("j_text", "TEXT"), ("j_none", "")):
            self.db.execute("CREATE TABLE %s (k %s, n INTEGER)" % (name, kind))
            rows = []
            for c in ("dstport", "srcport", "proto", "bytes", "srcaddr", "dstaddr", "protocol", "start_time", "frame"):
                for v in rng.sample(self.values[c], min(3, len(self.values[c]))):
                    rows.append(v)
                    rows.append(str(v))
            rows += [None, 6.0, 53.5, "53.0", " 53", b"53", "1e2", -1, 2**63 - 1, "TCP", "tcp", ""]
            self.db.executemany("INSERT INTO %s VALUES (?, ?)" % name, [(v, i) for i, v in enumerate(rows)])


class Query:
    """Makes terms on T; args are the parameters that they bind."""

    def __init__(self, rng, world):
        self.rng, self.w, self.args = rng, world, {}

    def column(self, kind=None):
        names = [c for c in self.w.columns if kind is None or self.w.types[c] == kind]
        return self.rng.choice(names)

    def value(self, column):
        """A value for a comparison with the column, as a Python object."""
        rng = self.rng
        seen = self.w.values[column]
        v = rng.choice(seen)
        pick = rng.random()
        if pick < 0.55:
            return v
        if pick < 0.62:
            return None if rng.random() < 0.3 else rng.choice([0, 1, -1, 2**31, 2**32, 2**63 - 1, -(2**63), 65535, 65536, 255, 256])
        if isinstance(v, str):
            return rng.choice(
                [
                    lambda: v + " ",
                    lambda: " " + v,
                    lambda: v[:-1],
                    lambda: v[: len(v) // 2],
                    lambda: v + "0",
                    lambda: v.lower(),
                    lambda: v.upper(),
                    lambda: v.encode(),
                    lambda: "",
                    lambda: v.replace(".", ":", 1),
                    lambda: "zzz",
                    lambda: "0" + v,
                    lambda: v[:-1] + chr(ord(v[-1]) + 1) if v else "a",
                    lambda: rng.choice([6, 17, 6.0, 1, "6", "17", "tcp", "Udp", "TCP\0", "999.1.1.1", "1.2.3", "2007", "9999"]),
                ]
            )()
        if v is None:
            return ""
        return rng.choice(
            [
                lambda: v + 1,
                lambda: v - 1,
                lambda: float(v),
                lambda: v + 0.5,
                lambda: v - 0.25,
                lambda: str(v),
                lambda: " %d" % v,
                lambda: "%d " % v,
                lambda: "%d.0" % v,
                lambda: "0%d" % v,
                lambda: "+%d" % v,
                lambda: "%de0" % v,
                lambda: "1e2",
                lambda: "0x%x" % v,
                lambda: str(v).encode(),
                lambda: "x",
                lambda: "",
                lambda: float("inf"),
                lambda: float("-inf"),
                lambda: 1e18,
                lambda: 9.3e18,
                lambda: -9.3e18,
            ]
        )()

    def put(self, v):
        """The value as SQL: a literal, or a parameter."""
        if self.rng.random() < 0.35 or (isinstance(v, float) and v in (float("inf"), float("-inf"))) or (isinstance(v, str) and "\0" in v):
            name = "p%d" % len(self.args)
            self.args[name] = v
            return ":" + name
        if v is None:
            return "NULL"
        if isinstance(v, str):
            return quote(v)
        if isinstance(v, bytes):
            return "x'%s'" % v.hex()
        if isinstance(v, float):
            return repr(v)
        return str(v)

    def operand(self, column):
        return self.put(self.value(column))

    def near(self, column):
        """Two values in order, most of the time."""
        a, b = self.value(column), self.value(column)
        try:
            if b < a and self.rng.random() < 0.9:
                a, b = b, a
        except TypeError:
            pass
        return self.put(a), self.put(b)

    # ---- Terms

    def term_compare(self):
        c = self.column()
        op = self.rng.choice(["=", "==", "<", ">", "<=", ">=", "<>", "!=", "IS", "IS NOT"])
        if self.rng.random() < 0.2:
            return "%s %s T.%s" % (self.operand(c), op, c)
        return "T.%s %s %s" % (c, op, self.operand(c))

    def term_in(self):
        c = self.column()
        items = ", ".join(self.operand(c) for _ in range(self.rng.choice([0, 1, 1, 2, 3, 5, 12])))
        return "T.%s %sIN (%s)" % (c, self.rng.choice(["", "", "NOT "]), items)

    def term_in_select(self):
        c = self.column()
        table = self.rng.choice(["j_int", "j_text", "j_none"])
        return "T.%s %sIN (SELECT k FROM %s%s)" % (
            c,
            self.rng.choice(["", "", "NOT "]),
            table,
            self.rng.choice(["", " WHERE k IS NOT NULL", " WHERE n < %d" % self.rng.randrange(40), " WHERE 0"]),
        )

    def term_between(self):
        c = self.column()
        a, b = self.near(c)
        return "T.%s %sBETWEEN %s AND %s" % (c, self.rng.choice(["", "", "NOT "]), a, b)

    def term_like(self):
        c = self.column(TEXT) if self.rng.random() < 0.8 else self.column()
        v = str(self.rng.choice(self.w.values[c]))
        cut = self.rng.randrange(len(v) + 1)
        op = self.rng.choice(["LIKE", "NOT LIKE", "GLOB", "NOT GLOB"])
        many, one = ("%", "_") if "LIKE" in op else ("*", "?")
        pattern = self.rng.choice([v[:cut] + many, many + v[cut:], v[:cut] + one + v[cut + 1 :], v, v.lower(), v.lower()[:cut] + many, many, ""])
        return "T.%s %s %s" % (c, op, self.put(pattern))

    def term_null(self):
        return "T.%s %s" % (self.column(), self.rng.choice(["IS NULL", "IS NOT NULL", "ISNULL", "NOTNULL"]))

    def term_ip4_in(self):
        c = self.rng.choice(["srcaddr", "dstaddr", "nexthop", "exporter", "protocol", "dstport"])
        v = str(self.rng.choice(self.w.values[c]))
        net = self.rng.choice([v, v + "/%d" % self.rng.randrange(33), "10.0.0.0/8", "0.0.0.0/0", "192.168.0.0/16", "127.0.0.1/32", None, "1.2.3.4/33", "x", "::/0", v + "/", "10.0.0.0/08", "10.0.0/8", 167772160])
        return "%sip4_in(T.%s, %s)%s" % (
            self.rng.choice(["", "", "NOT "]),
            c,
            self.put(net),
            self.rng.choice(["", "", "", " = 1", " IS 0", " IS NULL"]),
        )

    def term_collate(self):
        c = self.column(TEXT) if self.rng.random() < 0.8 else self.column()
        v = self.rng.choice(self.w.values[c])
        v = self.rng.choice([v, str(v).lower(), str(v) + "  ", str(v).title()])
        collation = self.rng.choice(["NOCASE", "RTRIM", "BINARY"])
        op = self.rng.choice(["=", "<", ">=", "<>", "IS"])
        form = self.rng.randrange(4)
        if form == 0:
            return "T.%s COLLATE %s IN (%s, %s)" % (c, collation, self.put(v), self.operand(c))
        if form == 1:
            a, b = self.near(c)
            return "T.%s COLLATE %s BETWEEN %s AND %s" % (c, collation, a, b)
        if form == 2:
            return "T.%s COLLATE %s %s %s" % (c, collation, op, self.put(v))
        return "T.%s %s %s COLLATE %s" % (c, op, self.put(v), collation)

    def term_expression(self):
        a, b = self.column(INTEGER), self.column(INTEGER)
        t = self.column(TEXT)
        return self.rng.choice(
            [
                "T.%s + 0 = %s" % (a, self.operand(a)),
                "T.%s / 2 > %s" % (a, self.operand(a)),
                "T.%s > T.%s" % (a, b),
                "T.srcaddr = T.dstaddr",
                "T.srcaddr < T.dstaddr",
                "T.srcport = T.dstport + %d" % self.rng.randrange(3),
                "T.%s = T.%s" % (t, a),
                "+T.%s = %s" % (a, self.operand(a)),
                "CAST(T.%s AS TEXT) = %s" % (a, self.operand(a)),
                "T.%s = CAST(%s AS TEXT)" % (a, self.operand(a)),
                "T.%s = CAST(%s AS INTEGER)" % (t, self.operand(t)),
                "(T.%s, T.%s) = (%s, %s)" % (a, t, self.operand(a), self.operand(t)),
                "(T.%s, T.%s) > (%s, %s)" % (a, b, self.operand(a), self.operand(b)),
                "length(T.%s) > %d" % (t, self.rng.randrange(16)),
                "T.%s = (SELECT max(k) FROM j_int WHERE typeof(k) = 'integer' AND k < 70000)" % a,
                "T.%s BETWEEN T.%s AND %s" % (a, b, self.operand(a)),
                "T.%s = lower(%s)" % (t, self.operand(t)),
                "T.%s" % a,
                "CASE WHEN T.%s > %s THEN 1 ELSE T.%s = %s END" % (a, self.operand(a), b, self.operand(b)),
                "(T.%s & 3) = %d" % (a, self.rng.randrange(4)),
                "coalesce(T.%s, '') >= %s" % (t, self.operand(t)),
            ]
        )

    def term_time(self):
        c = self.rng.choice(["start_time", "end_time", "received_time"])
        v = self.rng.choice(self.w.values[c]) or "2007"
        cut = self.rng.choice([4, 7, 10, 11, 13, 16, 19, 20, 21, 22, 23])
        t = v[:cut]
        t = self.rng.choice([t, t, t + " ", t + "~", t.replace(" ", "T"), t + "Z", t + "0", t + ":", v[:-1] + "\x7f", "1969-12-31", "9999-12-31 23:59:59.999", "2", ""])
        return "T.%s %s %s" % (c, self.rng.choice(["<", "<=", ">", ">=", "=", "<>"]), self.put(t))

    def term(self):
        return self.rng.choices(
            [self.term_compare, self.term_in, self.term_in_select, self.term_between, self.term_like]
            + [self.term_null, self.term_ip4_in, self.term_collate, self.term_expression, self.term_time],
            [30, 10, 5, 10, 6, 4, 8, 6, 8, 8],
        )[0]()

    def where(self, depth=0, make=None):
        make = make or self.term
        shape = self.rng.random()
        if depth >= 3 or shape < 0.40:
            return make()
        if shape < 0.65:
            return "%s AND %s" % (self.where(depth + 1, make), self.where(depth + 1, make))
        if shape < 0.9:
            return "(%s OR %s)" % (self.where(depth + 1, make), self.where(depth + 1, make))
        return "NOT (%s)" % self.where(depth + 1, make)

    def list(self, n=None):
        n = n or self.rng.randrange(1, 6)
        if self.rng.random() < 0.2:
            return ", ".join("T." + c for c in self.w.shown)
        return ", ".join("T." + self.rng.choice(self.w.columns) for _ in range(n))




# ---- Shapes: each gives SQL with {T} for the table, and whether the order is part of the answer

TOTAL = "T.file, T.frame, T.flow_sequence"


def select(q, where):
    return "SELECT %s FROM {T} AS T WHERE %s" % (q.list(), where), False


def only(term):
    def shape(q):
        return select(q, getattr(q, term)())

    return shape


def shape_and(q):
    return select(q, " AND ".join(q.term() for _ in range(q.rng.randrange(2, 6))))


def shape_or(q):
    return select(q, " OR ".join(q.term() for _ in range(q.rng.randrange(2, 5))))


def shape_not(q):
    return select(q, "NOT (%s)" % q.where(2))


def shape_nested(q):
    return select(q, q.where())


def shape_same_column(q):
    """Several terms on one column: ranges that meet, contradict or touch."""
    c = q.column()
    ops = ["=", "<", "<=", ">", ">=", "<>", "IS NOT"]
    terms = ["T.%s %s %s" % (c, q.rng.choice(ops), q.operand(c)) for _ in range(q.rng.randrange(2, 5))]
    return select(q, q.rng.choice([" AND ", " AND ", " OR "]).join(terms))


def shape_or_same_column(q):
    c = q.column()
    return select(q, " OR ".join("T.%s = %s" % (c, q.operand(c)) for _ in range(q.rng.randrange(2, 6))))


def shape_star(q):
    return "SELECT * FROM {T} AS T WHERE " + q.where(), False


def shape_hidden(q):
    return "SELECT %s FROM {T} AS T WHERE %s" % (", ".join("T." + c for c in q.w.hidden), q.where()), False


def shape_count(q):
    return "SELECT count(*) FROM {T} AS T WHERE " + q.where(), False


def shape_order(q):
    by = ", ".join("T.%s %s" % (q.column(), q.rng.choice(["", "DESC"])) for _ in range(q.rng.randrange(1, 3)))
    return "SELECT %s FROM {T} AS T WHERE %s ORDER BY %s, %s" % (q.list(), q.where(), by, TOTAL), True


def shape_order_limit(q):
    sql, _ = shape_order(q)
    sql += " LIMIT " + q.put(q.rng.choice([0, 1, 2, 3, 10, 100, 100000, -1]))
    if q.rng.random() < 0.6:
        sql += " OFFSET " + q.put(q.rng.choice([0, 1, 2, 5, 50, 5000, -3]))
    return sql, True


def shape_limit(q):
    # Both tables give rows in the order of the capture.
    sql = "SELECT %s FROM {T} AS T WHERE %s LIMIT %s" % (q.list(), q.where(), q.put(q.rng.choice([0, 1, 2, 3, 10, 400])))
    if q.rng.random() < 0.6:
        sql += " OFFSET " + q.put(q.rng.choice([0, 1, 2, 5, 50]))
    return sql, "length"


def shape_limit_in(q):
    c = q.column()
    items = ", ".join(q.put(v) for v in q.rng.sample(q.w.values[c], min(4, len(q.w.values[c]))))
    return (
        "SELECT T.%s FROM {T} AS T WHERE T.%s IN (%s) ORDER BY T.%s DESC, %s LIMIT %d OFFSET %d"
        % (c, c, items, c, TOTAL, q.rng.randrange(1, 9), q.rng.randrange(4)),
        True,
    )


def shape_subquery_limit(q):
    return (
        "SELECT count(*), sum(b) FROM (SELECT T.bytes AS b FROM {T} AS T WHERE %s ORDER BY %s LIMIT %d OFFSET %d)"
        % (q.where(), TOTAL, q.rng.randrange(0, 40), q.rng.randrange(3)),
        False,
    )


AGGREGATES = ["count(*)", "sum(T.bytes)", "sum(T.packets)", "min(T.start_time)", "max(T.end_ms)", "max(T.srcaddr)"]
AGGREGATES += ["count(DISTINCT T.dstaddr)", "avg(T.duration_ms)", "total(T.bytes_est)", "count(T.received_time)"]
AGGREGATES += ["min(T.exporter)", "max(T.file)", "sum(T.dstport = 53)"]


def shape_group(q):
    keys = ", ".join("T." + q.column() for _ in range(q.rng.randrange(1, 4)))
    return (
        "SELECT %s, %s FROM {T} AS T WHERE %s GROUP BY %s"
        % (keys, ", ".join(q.rng.sample(AGGREGATES, 3)), q.where(), keys),
        False,
    )


def shape_having(q):
    key = q.column()
    return (
        "SELECT T.%s, count(*) FROM {T} AS T WHERE %s GROUP BY T.%s HAVING %s"
        % (key, q.where(1), key, q.rng.choice(["count(*) > 3", "sum(T.bytes) > 5000", "max(T.srcport) = 53", "T.%s > %s" % (key, q.operand(key))])),
        False,
    )


def shape_group_order(q):
    a, b = q.column(), q.column()
    return (
        "SELECT T.%s, T.%s, sum(T.bytes) AS s FROM {T} AS T WHERE %s GROUP BY 1, 2 ORDER BY s DESC, 1, 2 LIMIT %d"
        % (a, b, q.where(1), q.rng.randrange(1, 12)),
        True,
    )


def directed(q, keys):
    return ", ".join("%s%s" % (k, q.rng.choice(["", "", " ASC", " DESC", " DESC NULLS LAST", " NULLS LAST"])) for k in keys)


def shape_group_in_order(q):
    """GROUP BY and ORDER BY of the same columns, which SQLite takes for one order."""
    keys = ["T." + q.column() for _ in range(q.rng.randrange(1, 4))]
    ordered = q.rng.sample(keys, len(keys)) if q.rng.random() < 0.4 else keys
    tail = q.rng.choice(["", "", " LIMIT %d" % q.rng.randrange(9), " LIMIT %d OFFSET %d" % (q.rng.randrange(9), q.rng.randrange(9))])
    return (
        "SELECT %s, count(*), sum(T.bytes) FROM {T} AS T WHERE %s GROUP BY %s ORDER BY %s%s"
        % (", ".join(keys), q.where(1), ", ".join(keys), directed(q, ordered), tail),
        True,
    )


def shape_group_odd_keys(q):
    """Keys that are not a column in its own order, beside one that is."""
    odd = ["T.protocol COLLATE NOCASE", "T.bytes / 1000", "T.srcaddr || ''", "substr(T.start_time, 1, 13)", "1 + 1", "T.dstport = 53", "'x'", "T.dstaddr COLLATE BINARY"]
    keys = [q.rng.choice(odd), "T." + q.column()]
    q.rng.shuffle(keys)
    return "SELECT count(*), sum(T.packets), min(T.frame) FROM {T} AS T WHERE %s GROUP BY %s" % (q.where(1), ", ".join(keys)), False


def shape_group_rowid(q):
    return "SELECT count(*), T.%s FROM {T} AS T WHERE %s GROUP BY 2, T.rowid" % (q.column(), q.where(1)), False


def shape_group_join(q):
    c, d = q.column(), q.column()
    pair = q.rng.choice(["{T} AS T JOIN %s AS j", "%s AS j JOIN {T} AS T", "{T} AS T CROSS JOIN %s AS j", "%s AS j CROSS JOIN {T} AS T", "{T} AS T LEFT JOIN %s AS j", "%s AS j LEFT JOIN {T} AS T"])
    keys = q.rng.choice(["T.%s" % d, "T.%s, j.n" % d, "j.n, T.%s" % d, "T.%s, T.%s" % (d, c)])
    order = q.rng.choice(["", " ORDER BY " + keys])
    return (
        "SELECT %s, count(*), sum(T.bytes) FROM %s ON T.%s = j.k WHERE %s GROUP BY %s%s"
        % (keys, pair % small(q), c, q.where(2), keys, order),
        bool(order),
    )


def shape_group_of_groups(q):
    a, b = q.column(), q.column()
    return (
        "SELECT a, count(*), sum(n) FROM (SELECT T.%s AS a, T.%s AS b, count(*) AS n FROM {T} AS T WHERE %s GROUP BY 1, 2) WHERE n > 1 GROUP BY a"
        % (a, b, q.where(1)),
        False,
    )


def shape_group_union(q):
    c = q.column()
    return (
        "SELECT T.%s, count(*) FROM {T} AS T WHERE %s GROUP BY 1 UNION SELECT T.%s, count(*) FROM {T} AS T WHERE %s GROUP BY 1 ORDER BY 1 DESC, 2"
        % (c, q.where(1), c, q.where(1)),
        True,
    )


def shape_distinct_limit(q):
    return "SELECT DISTINCT %s FROM {T} AS T WHERE %s LIMIT %d" % (q.list(q.rng.randrange(1, 3)), q.where(1), q.rng.randrange(1, 30)), "length"


def shape_distinct_in_order(q):
    keys = ["T." + q.column() for _ in range(q.rng.randrange(1, 4))]
    return (
        "SELECT DISTINCT %s FROM {T} AS T WHERE %s ORDER BY %s" % (", ".join(keys), q.where(1), directed(q, keys)),
        True,
    )


def shape_distinct_join(q):
    c, d = q.column(), q.column()
    return "SELECT DISTINCT T.%s, %s FROM {T} AS T JOIN %s AS j ON T.%s = j.k WHERE %s" % (d, q.rng.choice(["1", "j.n", "T.rowid IS NULL"]), small(q), c, q.where(2)), False


def shape_aggregate_distinct(q):
    a, b = q.column(), q.column()
    return "SELECT count(DISTINCT T.%s), sum(DISTINCT T.bytes) FROM {T} AS T WHERE %s GROUP BY T.%s" % (a, q.where(1), b), False


def shape_aggregate(q):
    return "SELECT %s FROM {T} AS T WHERE %s" % (", ".join(q.rng.sample(AGGREGATES, 4)), q.where()), False


def shape_min_max(q):
    c = q.column()
    return (
        "SELECT %s FROM {T} AS T WHERE %s" % (q.rng.choice(["min(T.%s)", "max(T.%s)"]) % c, q.where(1)),
        False,
    )


def shape_distinct(q):
    return "SELECT DISTINCT %s FROM {T} AS T WHERE %s" % (q.list(q.rng.randrange(1, 4)), q.where()), False


def shape_distinct_order(q):
    a, b = q.column(), q.column()
    return "SELECT DISTINCT T.%s, T.%s FROM {T} AS T WHERE %s ORDER BY 1, 2 LIMIT 20" % (a, b, q.where()), True


def small(q):
    return q.rng.choice(["j_int", "j_text", "j_none"])


def shape_join(q):
    c = q.column()
    pair = q.rng.choice(["{T} AS T JOIN %s AS j", "%s AS j JOIN {T} AS T", "{T} AS T CROSS JOIN %s AS j", "%s AS j CROSS JOIN {T} AS T"])
    on = q.rng.choice(["T.%s = j.k", "j.k = T.%s", "T.%s IS j.k", "j.k IS T.%s"]) % c
    return "SELECT j.n, T.%s, T.frame FROM %s ON %s WHERE %s" % (c, pair % small(q), on, q.where(2)), False


def shape_left_join(q):
    c = q.column()
    pairs = ["{T} AS T LEFT JOIN %s AS j", "%s AS j LEFT JOIN {T} AS T"]
    if sqlite3.sqlite_version_info >= (3, 39):
        pairs += ["{T} AS T RIGHT JOIN %s AS j", "%s AS j FULL JOIN {T} AS T"]
    pair = q.rng.choice(pairs) % small(q)
    on = "T.%s = j.k" % c
    if q.rng.random() < 0.5:
        on += " AND " + q.where(2)
        rest = "1" if q.rng.random() < 0.5 else "T.frame IS NULL"
    else:
        rest = q.where(2)
    return "SELECT j.n, T.%s, T.frame FROM %s ON %s WHERE %s" % (c, pair, on, rest), False


def shape_left_join_terms(q):
    """Terms on the left table in ON choose partners, not rows: pushing them into the scan would lose rows."""
    c = q.column()
    term = q.rng.choice(
        [
            "T.%s <> %s" % (c, q.operand(c)),
            "T.%s IS NOT %s" % (c, q.operand(c)),
            "T.%s IS NOT NULL" % c,
            "T.%s > %s" % (c, q.operand(c)),
            "ip4_in(T.srcaddr, '10.0.0.0/30')",
            "T.srcaddr LIKE '10.%'",
        ]
    )
    return (
        "SELECT count(*), count(j.n), sum(T.bytes) FROM {T} AS T LEFT JOIN %s AS j ON T.dstport = j.k AND %s WHERE %s"
        % (small(q), term, q.where(2)),
        False,
    )


def shape_range_join(q):
    c = q.column()
    op = q.rng.choice(["<", ">", "<=", ">="])
    return (
        "SELECT j.n, count(*), sum(T.bytes) FROM %s AS j JOIN {T} AS T ON T.%s %s j.k WHERE %s GROUP BY j.n"
        % (small(q), c, op, q.where(2)),
        False,
    )


def shape_two_joins(q):
    a, b = q.column(), q.column()
    return (
        "SELECT count(*), sum(j.n), sum(i.n) FROM %s AS j, {T} AS T, %s AS i WHERE T.%s = j.k AND T.%s = i.k AND %s"
        % (small(q), small(q), a, b, q.where(2)),
        False,
    )


def shape_self_join(q):
    c, d = q.rng.choice([("srcaddr", "dstaddr"), ("srcport", "dstport"), ("frame", "frame"), ("start_ms", "end_ms"), ("flow_sequence", "flow_sequence")])
    return (
        "SELECT count(*), sum(U.bytes) FROM {T} AS T, {T} AS U WHERE T.%s = U.%s AND T.frame < %d AND U.frame %s %d AND %s"
        % (c, d, q.rng.randrange(2, 9), q.rng.choice(["<", "=", ">="]), q.rng.randrange(1, 30), q.where(2)),
        False,
    )


def shape_exists(q):
    c = q.column()
    return (
        "SELECT j.n FROM %s AS j WHERE %sEXISTS (SELECT 1 FROM {T} AS T WHERE T.%s = j.k AND %s)"
        % (small(q), q.rng.choice(["", "NOT "]), c, q.where(2)),
        False,
    )


def shape_scalar_subquery(q):
    c = q.column()
    return (
        "SELECT j.n, (SELECT count(*) FROM {T} AS T WHERE T.%s %s j.k AND %s) FROM %s AS j"
        % (c, q.rng.choice(["=", "<", ">=", "IS"]), q.where(2), small(q)),
        False,
    )


def shape_in_own(q):
    c = q.column()
    return (
        "SELECT j.n FROM %s AS j WHERE j.k %sIN (SELECT T.%s FROM {T} AS T WHERE %s)"
        % (small(q), q.rng.choice(["", "NOT "]), c, q.where(2)),
        False,
    )


def shape_row_value_in(q):
    return (
        "SELECT %s FROM {T} AS T WHERE (T.%s, T.dstport) IN (SELECT k, k FROM j_int UNION SELECT k, %s FROM j_none)"
        % (q.list(2), q.column(INTEGER), q.operand("dstport")),
        False,
    )


def shape_compound(q):
    c = q.column()
    op = q.rng.choice(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])
    return (
        "SELECT T.%s FROM {T} AS T WHERE %s %s SELECT T.%s FROM {T} AS T WHERE %s" % (c, q.where(1), op, c, q.where(1)),
        False,
    )


def shape_cte(q):
    return (
        "WITH w AS %s (SELECT T.srcaddr AS a, T.dstport AS p, T.bytes AS b FROM {T} AS T WHERE %s)"
        " SELECT a, sum(b) FROM w WHERE p > 0 GROUP BY a"
        % (q.rng.choice(["", "MATERIALIZED", "NOT MATERIALIZED"]), q.where(1)),
        False,
    )


def shape_window(q):
    return (
        "SELECT T.frame, T.flow_sequence, sum(T.bytes) OVER (PARTITION BY T.%s ORDER BY %s) FROM {T} AS T WHERE %s"
        % (q.column(), TOTAL, q.where(1)),
        False,
    )


# ---- Grouping inside the engine against GROUP BY over the copy


def group_term(q):
    """A term that the aggregating functions take: they refuse others, as they cannot check them again."""
    c = q.rng.choice([c for c in q.w.columns if c not in ("packets", "bytes", "packets_est", "bytes_est")])
    kind = q.rng.randrange(10)
    if kind < 4:
        op = q.rng.choice(["=", "=", "==", "<", ">", "<=", ">=", "<>", "IS", "IS NOT"])
        if op == "IS NOT" and c == "received_time":
            op = "<>"  # refused too: NULL would pass
        if q.rng.random() < 0.2:
            return "%s %s T.%s" % (q.operand(c), op, c)
        return "T.%s %s %s" % (c, op, q.operand(c))
    if kind < 6:
        return "T.%s IN (%s)" % (c, ", ".join(q.operand(c) for _ in range(q.rng.randrange(1, 5))))
    if kind == 6:
        a, b = q.near(c)
        return "T.%s BETWEEN %s AND %s" % (c, a, b)
    if kind == 7:
        return "T.%s IS NULL" % c  # SQLite checks IS NOT NULL again, whatever the table says: refused
    if kind == 8:
        return "ip4_in(T.%s, %s)" % (q.rng.choice(["srcaddr", "dstaddr", "nexthop"]), q.put(q.rng.choice(["10.0.0.0/8", "10.0.0.4/30", "0.0.0.0/0", "192.168.1.9"])))
    return q.term_time()


def group_where(q):
    return " AND ".join(group_term(q) for _ in range(q.rng.choice([0, 1, 1, 2, 3]))) or "1"


def group_active(q):
    where, limit = group_where(q), q.rng.choice([None, None, 0, 1, 3, 10, 1000])
    table = "netflow_active({S}%s)" % ("" if limit is None else ", %d" % limit)
    having = q.rng.choice(["", "", " AND T.bytes > 3000", " AND T.flows = 1", " AND T.addr1 = '10.0.0.1'"]) if limit is None else ""
    plain = (
        "SELECT ip4_text(x), ip4_text(y), bytes, packets, flows FROM (SELECT min(a, b) AS x, max(a, b) AS y,"
        " sum(bytes) AS bytes, sum(packets) AS packets, count(*) AS flows FROM (SELECT ip4_num(T.srcaddr) AS a,"
        " ip4_num(T.dstaddr) AS b, T.bytes, T.packets FROM copy AS T WHERE %s) GROUP BY 1, 2) AS T"
        " WHERE 1%s ORDER BY bytes DESC, x, y LIMIT %d"
    ) % (where, having.replace("T.addr1", "ip4_text(x)"), -1 if limit is None else limit)
    return "SELECT * FROM %s AS T WHERE %s%s" % (table, where, having), plain


def group_active_limit(q):
    """LIMIT and OFFSET of the statement, other orders than the engine's own."""
    where = group_where(q)
    order = q.rng.choice(["", " ORDER BY bytes DESC, ip4_num(addr1), ip4_num(addr2)", " ORDER BY flows, addr1, addr2", " ORDER BY packets DESC, addr2, addr1"])
    tail = " LIMIT %d OFFSET %d" % (q.rng.randrange(12), q.rng.choice([0, 0, 1, 5]))
    plain = (
        "SELECT addr1, addr2, bytes, packets, flows FROM (SELECT ip4_text(min(a, b)) AS addr1, ip4_text(max(a, b)) AS addr2,"
        " sum(bytes) AS bytes, sum(packets) AS packets, count(*) AS flows FROM (SELECT ip4_num(T.srcaddr) AS a,"
        " ip4_num(T.dstaddr) AS b, T.bytes, T.packets FROM copy AS T WHERE %s) GROUP BY 1, 2)%s%s"
    ) % (where, order or " ORDER BY bytes DESC, ip4_num(addr1), ip4_num(addr2)", tail)
    return "SELECT * FROM netflow_active({S}) AS T WHERE %s%s%s" % (where, order, tail), plain


ADDRESSES = ("srcaddr", "dstaddr", "nexthop")


def group_top_of(q, columns, prefixes):
    """keys, as netflow_top wants them, and as SQL: the value, and what orders it."""
    keys, values, orders, names = [], [], [], []
    for c in columns:
        if c in ADDRESSES:
            bits = q.rng.choice([0, 8, 16, 24, 30, 31, 32]) if prefixes else 32
            number = "(ip4_num(T.%s) >> %d << %d)" % (c, 32 - bits, 32 - bits)
            keys.append("%s/%d" % (c, bits) if prefixes else c)
            values.append("ip4_text(%s)%s" % (number, " || '/%d'" % bits if bits < 32 else ""))
            orders.append(number)
        else:
            keys.append(c)
            values.append("T." + c)
            orders.append("T.proto" if c == "protocol" else "T." + c)
        names.append("T." + c)
    measure = q.rng.choice(["bytes", "packets", "flows"])
    where = group_where(q)
    limit = q.rng.choice([None, 1, 5, 40])
    sql = "SELECT key, %s, bytes, packets, flows FROM netflow_top({S}, '%s', '%s'%s) AS T WHERE %s" % (
        ", ".join(names),
        q.rng.choice([",", ", "]).join(keys),
        measure,
        "" if limit is None else ", %d" % limit,
        where,
    )
    plain = "SELECT %s, %s, sum(T.bytes) AS b, sum(T.packets) AS p, count(*) AS f FROM copy AS T WHERE %s GROUP BY %s ORDER BY %s DESC, %s LIMIT %d" % (
        " || ',' || ".join("CAST(coalesce(%s, '') AS TEXT)" % v for v in values),
        ", ".join(values),
        where,
        ", ".join(orders),
        measure[0],
        ", ".join(orders),
        -1 if limit is None else limit,
    )
    return sql, plain


def group_top(q):
    plain = [c for c in q.w.columns if c not in ("packets", "bytes", "packets_est", "bytes_est")]
    return group_top_of(q, q.rng.sample(plain, 1), False)


def group_top_several(q):
    plain = [c for c in q.w.columns if c not in ("packets", "bytes", "packets_est", "bytes_est")]
    return group_top_of(q, q.rng.sample(plain, q.rng.randrange(2, 6)), False)


def group_top_prefixes(q):
    others = ["dstport", "protocol", "exporter", "start_time"]
    columns = q.rng.sample(ADDRESSES, q.rng.randrange(1, 3)) + q.rng.sample(others, q.rng.randrange(2))
    q.rng.shuffle(columns)
    return group_top_of(q, columns, True)


def group_top_texts(q):
    return group_top_of(q, q.rng.sample(["exporter", "file", "protocol", "received_time", "start_time"], q.rng.randrange(1, 4)), False)


GROUPS = [(n.replace("_", " "), f) for n, f in list(globals().items()) if n.startswith("group_") and n[6:] not in ("term", "where", "top_of")]


SHAPES = collections.OrderedDict(
    [("term: " + t, only("term_" + t.replace(" ", "_"))) for t in ("compare", "in", "in select", "between", "like", "null", "ip4 in", "collate", "expression", "time")]
    + [(n[6:].replace("_", " "), f) for n, f in list(globals().items()) if n.startswith("shape_")]
)


def answer(db, sql, args):
    try:
        return db.execute(sql, args).fetchall(), None
    except sqlite3.Error as e:
        return None, str(e)


def same(found, expected, ordered):
    if ordered is True:
        return found == expected
    if ordered == "length":
        return len(found) == len(expected)
    return collections.Counter(found) == collections.Counter(expected)


def normal(rows):
    """Rows to compare: types matter (1, 1.0 and True are equal to Python)."""
    return [tuple((type(v).__name__, v) for v in row) for row in rows]


def judge(found, error, expected, wrong, ordered):
    """Whether the answers agree, and a line about them."""
    if "is no network" in (wrong or "") + (error or ""):
        return True, ""  # whether a bad argument of ip4_in is met depends on the order of the terms
    if wrong is not None or error is not None:
        return (wrong is None) == (error is None), "copy: %s; table: %s" % (wrong, error)
    return (
        same(normal(found), normal(expected), ordered),
        "copy: %d rows %s; table: %d rows %s" % (len(expected), expected[:3], len(found), found[:3]),
    )


def compare_rows(w, rng, shape, which):
    q = Query(rng, w)
    sql, ordered = shape(q)
    table = "netflow_pcap(%s)" % quote(w.source) if which == 0 else "temp.made"
    plain = sql.replace("SELECT * FROM {T}", "SELECT %s FROM {T}" % ", ".join(w.shown)).replace("{T}", "copy")
    expected, wrong = answer(w.db, plain, q.args)
    found, error = answer(w.db, sql.replace("{T}", table), q.args)
    good, summary = judge(found, error, expected, wrong, ordered)
    return good, summary, sql.replace("{T}", table), q.args


def compare_groups(w, rng, shape, _):
    q = Query(rng, w)
    sql, plain = shape(q)
    sql = sql.replace("{S}", quote(w.source))
    expected, wrong = answer(w.db, plain, q.args)
    found, error = answer(w.db, sql, q.args)
    good, summary = judge(found, error, expected, wrong, True)
    return good, summary, sql, q.args


def compare_class(w, name, shape, n, seed, compare_one):
    bad = []
    for i in range(n):
        rng = random.Random("%s %d %d" % (name, seed, i))
        good, summary, sql, args = compare_one(w, rng, shape, i % 2)
        if not good:
            bad.append("%s\n  %r\n  %s" % (sql, args, summary))
    if bad:
        not_ok("%s: %d queries" % (name, n), "%d differ" % len(bad), *bad[:4])
    else:
        ok("%s: %d queries" % (name, n))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="earlgrey-differential.") as folder:
        w = World(write_captures(folder))
        each = max(1, options.queries // len(SHAPES))
        for name, shape in SHAPES.items():
            compare_class(w, name, shape, each, options.seed, compare_rows)
        for name, shape in GROUPS:
            compare_class(w, name, shape, each, options.seed, compare_groups)


main()
finish()
