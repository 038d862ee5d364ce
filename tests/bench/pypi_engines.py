"""The engines from PyPI, each in a Python of its own environment, on Earlgrey's shards."""

import json
import os
import shutil
import sys

import dialects
from bench_data import scratch
from measure import measure
from tools import Tool, lines_of, stored

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "interop"))
from environment import python_with  # noqa: E402

PEER_QUERY = "tests/bench/peer_query.py"
PACKAGES = ("pytz", "pyarrow", "duckdb", "polars")


class Engine(Tool):
    """An engine from PyPI on our shards, in a Python of its environment. `packages` as the interop tests have them."""

    own_clock = True
    environment, packages, package, dialect = "", (), "", None

    def __init__(self, data, threads):
        super().__init__(data, threads)
        self.python = python_with(self.environment, *self.packages)
        self.absent = None if self.python else "its packages cannot be had: " + " ".join(self.packages)

    def prepare(self, case):
        self.data.shards(case.source)

    def takes(self, case):
        return case.source != "capture"

    def table(self, glob):
        raise NotImplementedError

    def request(self, case, folder):
        texts = case.source == "text"
        sql = self.dialect.sql(case.question, self.table(folder + "/**/*.parquet"), texts, self.data.constants)
        return {"sql": sql, "setup": []}

    def ask(self, case, output):
        folder = os.path.abspath(self.data.shards(case.source))
        return self.send({"folder": folder, **self.request(case, folder)}, output)

    def send(self, request, output):
        request = {"engine": self.name, "threads": self.threads, **request}
        environment = {"POLARS_MAX_THREADS": str(self.threads)}
        run = measure([self.python, PEER_QUERY, json.dumps(request)], output, environment)
        answer = json.loads(lines_of(output)[-1])
        run.query_s = answer["query_s"]
        return run, answer["rows"]

    def shards_glob(self, case):
        return os.path.abspath(self.data.shards(case.source)) + "/**/*.parquet"


class DuckDB(Engine):
    name, label = "duckdb", "DuckDB"
    environment, packages = "engines", PACKAGES
    package, dialect = "duckdb", dialects.DuckDB()

    def table(self, glob):
        return "read_parquet('%s', hive_partitioning = false)" % glob

    def ingest(self, case, output):
        """COPY from a table that it already holds in memory; only that is timed."""
        with scratch(self.data.folder) as folder:
            path = os.path.join(folder, "flows.parquet")
            load = "CREATE TABLE flow AS FROM " + self.table(self.shards_glob(case))
            copy = "COPY flow TO '%s' (FORMAT parquet, COMPRESSION zstd)" % os.path.abspath(path)
            run, _ = self.send({"setup": [load], "sql": copy}, output)
            return stored(run, path)


class ClickHouse(Engine):
    name, label = "chdb", "ClickHouse (chdb)"
    environment, packages = "clickhouse", ("chdb",)
    package, dialect = "chdb", dialects.ClickHouse()

    def table(self, glob):
        return "file('%s', Parquet)" % glob


class Spark(Engine):
    name, label = "spark", "Spark"
    environment, packages = "spark", ("pyspark==3.5.3",)
    package, dialect = "pyspark", dialects.Spark()

    def __init__(self, data, threads):
        super().__init__(data, threads)
        if not shutil.which("java"):
            self.absent = "java is not installed"

    def send(self, request, output):
        """Java is a process that Python does not wait for: what it takes is not told."""
        run, rows = super().send(request, output)
        run.cpu_s = run.peak_bytes = None
        return run, rows

    def table(self, glob):
        return "flow"


class Polars(Engine):
    """No SQL: its own lazy, streaming expressions are made from the question."""

    name, label = "polars", "Polars"
    environment, packages, package = "engines", PACKAGES, "polars"

    def request(self, case, folder):
        q, constants = case.question, self.data.constants
        texts = case.source == "text"
        column, values = {
            "": ("srcaddr", []),
            "dns": ("dstport", [53]),
            "network": ("srcaddr", [dialects.PREFIX] if texts else dialects.network_bounds()),
            "address": ("srcaddr", [constants.address if texts else dialects.number(constants.address)]),
        }.get(q.where) or ("start_time", constants.between_ms(q.where))
        question = {"what": q.what, "keys": q.keys, "sums": q.sums, "where": q.where, "where_column": column, "where_values": values}
        return {"question": {**question, "texts": texts, "columns": dialects.ROW_COLUMNS}}


ENGINES = (DuckDB, Polars, ClickHouse, Spark)
