"""Other engines on our shards: pyarrow, DuckDB, Polars, Spark and ClickHouse (chdb), from PyPI, agree with Earlgrey on a
dataset of every capture at hand; and what DuckDB and pyarrow write of it is read back equal."""

import json
import os
import subprocess
import tempfile

from environment import python_with
from engine_lists import GROUPS, NUMBERS, TEXTS
from report import CAPTURES, check, connect, equal, finish, quote, skip

# Engines and what they need, an environment each line.
ENVIRONMENTS = (
    ("engines", ("pyarrow", "duckdb", "polars"), ("pytz", "pyarrow", "duckdb", "polars")),
    ("spark", ("pyspark",), ("pyspark==3.5.3",)),
    ("clickhouse", ("chdb",), ("chdb",)),
)
ANSWERS = "tests/interop/engine_answers.py"


def our_answer(db, source):
    flow = "netflow(%s)" % quote(source)
    one = lambda sql: list(db.execute(sql).fetchone())
    columns = {c: one("SELECT sum({0}), min({0}), max({0}) FROM {1}".format(c, flow)) for c in NUMBERS}
    for c, ms in (("start_time", "start_ms"), ("end_time", "end_ms")):
        columns[c] = one("SELECT sum({0}), min({0}), max({0}) FROM {1}".format(ms, flow))
    texts = {c: one("SELECT count(DISTINCT {0}), min({0}), max({0}) FROM {1}".format(c, flow)) for c in TEXTS}
    groups = [
        sorted(list(r) for r in db.execute("SELECT {0}, sum(bytes), sum(packets), count(*) FROM {1} GROUP BY {0}".format(", ".join(g), flow)))
        for g in GROUPS
    ]
    return {"rows": one("SELECT count(*) FROM " + flow)[0], "columns": columns, "texts": texts, "groups": groups}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def agrees(python, engine, dataset, expected):
    found = json.loads(run(python, ANSWERS, "answer", engine, dataset))
    equal(found["rows"], expected["rows"], "rows")
    for part in ("columns", "texts"):
        for name, figures in expected[part].items():
            equal(found[part][name], figures, name)
    for i, rows in enumerate(expected["groups"]):
        equal(found["groups"][i], rows, "grouped query %d" % i)


def reads_back(db, python, engine, dataset, folder, expected):
    path = os.path.join(folder, engine + ".parquet")
    run(python, ANSWERS, "rewrite", engine, dataset, path)
    equal(our_answer(db, path), expected, engine)


def store(db, dataset, options):
    sources = ["samples"] + ([os.path.join(CAPTURES, d) for d in ("derived", "made", "third-party")] if os.path.isdir(CAPTURES) else [])
    for source in sources:
        db.execute("SELECT count(*) FROM netflow_ingest(?, ?, ?)", (source, dataset, options)).fetchone()


def check_with(python, claim, test, *args):
    """check(), where the Python that the test needs is to be had."""
    if python is None:
        skip(claim, "its packages cannot be had")
    else:
        check(claim, test, *args)


def main():
    db = connect()
    pythons = {engine: python_with(name, *packages) for name, engines, packages in ENVIRONMENTS for engine in engines}
    with tempfile.TemporaryDirectory(prefix="earlgrey-engines.") as folder:
        for how in ("zstd", "gzip"):
            dataset = os.path.join(folder, how)
            store(db, dataset, "compression=" + how)
            expected = our_answer(db, dataset)
            assert expected["rows"] > 8000
            for engine, python in pythons.items():
                claim = "%s agrees on rows, columns and ten grouped queries (%s)" % (engine, how)
                check_with(python, claim, agrees, python, engine, dataset, expected)
        for engine in ("duckdb", "pyarrow"):
            claim = "what %s writes is read back equal" % engine
            check_with(pythons[engine], claim, reads_back, db, pythons[engine], engine, dataset, folder, expected)


main()
finish()
