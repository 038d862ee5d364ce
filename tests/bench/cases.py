"""Which work is measured: a name, what it is, and the tools that do it."""

import dataclasses

from questions import WHERE, Question

KEY_SETS = (
    ("srcaddr",),
    ("dstaddr",),
    ("srcport",),
    ("dstport",),
    ("protocol",),
    ("srcaddr", "dstport"),
    ("srcaddr/24",),
    ("src_as", "dst_as"),
    ("exporter", "input"),
    ("srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
)
FILTERS = ("dns", "window", "network")
PLAIN_SQL = (
    ("count", "SELECT count(*) FROM {table}", ("bytes",)),
    ("sum", "SELECT sum(bytes) FROM {table}", ("bytes",)),
    ("where", "SELECT count(*) FROM {table} WHERE srcaddr = '{address}'", ("srcaddr",)),
    ("group", "SELECT srcaddr, sum(bytes) FROM {table} GROUP BY srcaddr", ("srcaddr", "bytes")),
)
# Cases that the plot shows.
PLOTTED = (
    "pairs-capture pairs-uint32 pairs-text top-srcaddr,dstaddr-uint32 top-srcaddr-uint32 top-five-tuple-uint32"
    " address-rows-uint32 ingest-text store"
).split()
ENGINES = ("earlgrey", "duckdb", "polars", "chdb")


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    group: str  # the table it stands in
    title: str
    question: Question | None = None  # None: the job says what is done
    source: str = ""  # capture, uint32 or text
    tools: tuple = ("earlgrey",)
    job: str = "ask"  # the method of the tools that does it
    sql: str = ""  # plain-sql: the statement, with {table} and {address}
    columns: tuple = ()  # and the columns that it names


def key_name(keys):
    return "five-tuple" if len(keys) == 5 else ",".join(keys)


def ranking(keys, where, source, tools):
    """The ten busiest of `keys`, filtered."""
    name = "-".join(["filtered", key_name(keys), where, source] if where else ["top", key_name(keys), source])
    group = ("filtered " if where else "top ") + source
    return Case(name, group, key_name(keys) + (", " + WHERE[where] if where else ""), Question("top", keys, where), source, tools)


def cases():
    found = [
        Case("read-file", "capture", "cat FILE, to compare", job="read-file", source="capture", tools=("cat",)),
        Case("pairs-capture", "capture", "the busiest pairs", Question("pairs"), "capture", ("earlgrey", "floor")),
        Case("five-tuple-capture", "capture", "the busiest five-tuples", Question("top", KEY_SETS[-1]), "capture"),
        Case("address-sum-capture", "capture", "one address, summed", Question("sum", (), "address"), "capture"),
    ]
    for source in ("uint32", "text"):
        group = "pairs " + source
        found.append(Case("pairs-" + source, group, "the busiest pairs", Question("pairs"), source, ENGINES + ("spark", "sqlite")))
        only_bytes = Question("pairs", sums=("bytes",))
        found.append(Case("pairs-bytes-" + source, group, "the same, bytes only", only_bytes, source, ENGINES))
        ordered = ranking(("srcaddr", "dstaddr"), "", source, ENGINES + ("nfdump",))
        found.append(dataclasses.replace(ordered, group=group, title="ordered pairs"))
        for where in FILTERS:
            title = "the busiest pairs, " + WHERE[where]
            filtered = Question("pairs", (), where)
            found.append(Case("pairs-%s-%s" % (where, source), "filtered " + source, title, filtered, source, ENGINES))
    for source in ("uint32", "text"):
        for keys in KEY_SETS:
            with_nfdump = ("nfdump",) if keys in (("srcaddr",), ("dstport",)) and source == "uint32" else ()
            found.append(ranking(keys, "", source, ENGINES + with_nfdump))
            found += [ranking(keys, where, source, ENGINES) for where in FILTERS]
    for source in ("uint32", "text"):
        group = "lookup " + source
        more = ("nfdump", "sqlite") if source == "uint32" else ()
        found += [
            Case("address-sum-" + source, group, "one address, summed", Question("sum", (), "address"), source, ENGINES + more[1:]),
            Case("address-rows-" + source, group, "flows of one address", Question("rows", (), "address"), source, ENGINES + more),
            Case("minute-" + source, group, "one minute, summed", Question("sum", (), "minute"), source, ENGINES),
            Case("sum-" + source, group, "everything, summed", Question("sum"), source, ENGINES + more[1:]),
        ]
    for source in ("uint32", "text"):
        found.append(Case("ingest-" + source, "store", "Parquet, addresses " + source, source=source, tools=("earlgrey", "duckdb"), job="ingest"))
    found.append(Case("store", "store", "indexed SQLite file, up to 2 million", tools=("earlgrey", "sqlite"), job="store"))
    for name, sql, columns in PLAIN_SQL:
        title = sql.format(table="flow", address="A")
        found.append(Case("sql-" + name, "plain SQL", title, None, "uint32", ("earlgrey", "arrays"), "plain-sql", sql, columns))
    return found


def chosen(patterns):
    """The cases that a pattern of BENCH_ONLY names: whole, or with * for any text."""
    import fnmatch

    every = cases()
    if not patterns:
        return every
    unknown = [p for p in patterns if not any(fnmatch.fnmatch(c.name, p) for c in every)]
    if unknown:
        raise ValueError("no case is named %s; there are: %s" % (", ".join(unknown), " ".join(c.name for c in every)))
    return [c for c in every if any(fnmatch.fnmatch(c.name, p) for p in patterns)]
