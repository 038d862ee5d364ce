"""The programs that are measured: whether each is there, its command for a case, and the rows it answers with."""

import os
import shutil
import subprocess

import dialects
from bench_data import scratch, size_of, sql
from measure import measure


def lines_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines()


def built(name):
    """Why build/bench/NAME cannot be run; None where it can. It is built where its source is there."""
    if not os.path.exists("tests/bench/%s.c" % name):
        return "tests/bench/%s.c is not there" % name
    done = subprocess.run(["make", "-s", "build/bench/" + name], capture_output=True, text=True)
    return done.stderr[-300:] if done.returncode != 0 else None


def stored(run, path):
    """What was stored, for a run that stored it: read back, not timed."""
    run.made_bytes = size_of(path)
    if path.endswith(".db"):
        return run, sql("SELECT count(*), sum(bytes) FROM flow", path, None)
    return run, sql("SELECT count(*), sum(bytes) FROM netflow_parquet(%s)" % dialects.quote(path))


class Tool:
    """One tool. do() does the job of a case once: it is the method of the job's name, which answers with the Run and rows.

    `absent` says why the tool cannot be asked; None where it can. Tools with a clock of their own leave start-up
    and imports out of query_s."""

    name = label = ""
    absent = None
    own_clock = False

    def __init__(self, data, threads):
        self.data, self.threads = data, threads

    def prepare(self, case):
        """Makes the data that `case` needs, before anything is timed."""

    def takes(self, case):
        """Whether the tool can answer the question of `case`."""
        raise NotImplementedError

    def do(self, case, output):
        return getattr(self, case.job.replace("-", "_"))(case, output)


class Cat(Tool):
    """Reads the capture: the least that anything which reads it can take."""

    name, label = "cat", "cat"

    def prepare(self, case):
        self.data.capture

    def takes(self, case):
        return case.job == "read-file"

    def read_file(self, case, output):
        return measure(["cat", self.data.capture], os.devnull), [(self.data.records,)]


class Sqlite3(Tool):
    """The sqlite3 program with one statement."""

    name, label = "sqlite", "SQLite, own table"
    absent = None if shutil.which("sqlite3") else "sqlite3 is not installed"

    def prepare(self, case):
        if case.job == "store":
            self.data.part
        else:
            self.data.table

    def takes(self, case):
        return True

    def ask(self, case, output):
        statement = dialects.SQLite().sql(case.question, "flow", False, self.data.constants)
        return self.run(["-cmd", "PRAGMA threads = %d" % self.threads, self.data.table, statement], output)

    def store(self, case, output):
        """The same table and indexes by INSERT … SELECT and CREATE INDEX, without journal."""
        with scratch(self.data.folder) as folder:
            path = os.path.join(folder, "plain.db")
            return stored(self.run(["-cmd", ".load ./earlgrey", path, plain_load(folder, self.data.part)], output)[0], path)

    def run(self, arguments, output, environment=None):
        run = measure(["sqlite3", "-batch", "-bail", "-init", os.devnull, "-separator", "|", *arguments], output, environment)
        # The pragma answers with its value, on the first line.
        rows = [line.split("|") for line in lines_of(output)]
        return run, rows[1:] if "-cmd" in arguments and arguments[1].startswith("PRAGMA") else rows


class Earlgrey(Sqlite3):
    """The same program with the extension."""

    name, label = "earlgrey", "Earlgrey"

    def __init__(self, data, threads):
        super().__init__(data, threads)
        self.has_sql_bench = built("sql_bench") is None

    def takes(self, case):
        return case.job != "plain-sql" or self.has_sql_bench

    def source(self, case):
        return self.data.capture if case.source == "capture" else self.data.shards(case.source)

    def prepare(self, case):
        if case.job == "store":
            self.data.part
        else:
            self.source(case)

    def ask(self, case, output):
        return self.statement(dialects.earlgrey(case.question, self.source(case), self.data.constants), output)

    def statement(self, text, output):
        return self.run(["-cmd", ".load ./earlgrey", ":memory:", text], output, {"EARLGREY_THREADS": str(self.threads)})

    def ingest(self, case, output):
        with scratch(self.data.folder) as folder:
            return self.store_into(os.path.join(folder, "flows"), self.data.capture, "addresses=" + case.source, output)

    def store(self, case, output):
        with scratch(self.data.folder) as folder:
            return self.store_into(os.path.join(folder, "flows.db"), self.data.part, "", output)

    def store_into(self, path, capture, options, output):
        arguments = tuple(dialects.quote(a) for a in (capture, path, options))
        run, _ = self.statement("SELECT status FROM netflow_ingest(%s, %s, %s)" % arguments, output)
        return stored(run, path)

    def plain_sql(self, case, output):
        table = "netflow(%s)" % dialects.quote(self.source(case))
        statement = case.sql.format(table=table, address=self.data.constants.address)
        return sql_bench(statement, [], output, self.threads)


class Nfdump(Tool):
    name, label = "nfdump", "nfdump"
    absent = None if shutil.which("nfdump") and shutil.which("nfcapd") else "nfdump is not installed"
    CSV = {"sa": 3, "da": 4, "sp": 5, "dp": 6, "ipkt": 11, "ibyt": 12}

    def prepare(self, case):
        self.data.nfdump

    def takes(self, case):
        return dialects.nfdump(case.question, self.data.constants) is not None

    def ask(self, case, output):
        arguments, columns = dialects.nfdump(case.question, self.data.constants)
        run = measure(["nfdump", "-R", self.data.nfdump, *arguments], output)
        found = [line.split(",") for line in lines_of(output) if line[:2] == "20"]
        return run, [[None if c is None else f[self.CSV[c]] for c in columns] for f in found]


# ---- Floors: the least that the same work can take


class Floor(Tool):
    """The busiest pairs of a capture in the shortest way, for flowgen's captures only: tests/bench/floor.c."""

    name, label = "floor", "floor in C"

    def __init__(self, data, threads):
        super().__init__(data, threads)
        self.absent = built("floor")

    def prepare(self, case):
        self.data.capture

    def takes(self, case):
        return case.name == "pairs-capture"

    def ask(self, case, output):
        run = measure(["build/bench/floor", "-t", str(self.threads), self.data.capture], output)
        # Both addresses and bytes; packets and flows it does not sum.
        return run, [line.replace("|", " ").split()[:3] + [None, None] for line in lines_of(output)]


class Arrays(Tool):
    """SQLite over a virtual table of nothing but arrays in memory: tests/bench/sql_bench.c."""

    name, label, own_clock = "arrays", "arrays in memory", True

    def __init__(self, data, threads):
        super().__init__(data, threads)
        self.absent = built("sql_bench")

    def prepare(self, case):
        self.data.shards(case.source)

    def takes(self, case):
        return case.job == "plain-sql"

    def plain_sql(self, case, output):
        """The columns of the statement, in the order in which it names them, are c0, c1, …"""
        source = dialects.quote(self.data.shards(case.source))
        table = "CREATE VIRTUAL TABLE temp.arrays USING bench_array(SELECT %s FROM netflow(%s))" % (", ".join(case.columns), source)
        statement = case.sql.format(table="temp.arrays", address=self.data.constants.address)
        for i, column in enumerate(case.columns):
            statement = statement.replace(column, "c%d" % i)
        return sql_bench(statement, ["-s", table], output, self.threads)


def sql_bench(statement, setup, output, threads):
    """One statement by sql_bench, whose own clock leaves the making of the arrays out."""
    command = ["build/bench/sql_bench", "-n", "1", *setup, "./earlgrey", statement]
    run = measure(command, output, {"EARLGREY_THREADS": str(threads)})
    wall_ms, _, n_rows = lines_of(output)[1].split()[:3]
    run.query_s = float(wall_ms) / 1000
    return run, [(int(n_rows),)]


def plain_load(folder, capture):
    """SQL that makes a store's table and indexes from a capture, in plain SQLite's way."""
    model = os.path.join(folder, "model.db")
    sql("SELECT count(*) FROM netflow_ingest('samples', %s)" % dialects.quote(model))
    of_flow = "SELECT replace(sql, char(10), ' ') FROM sqlite_master WHERE tbl_name = 'flow' AND type = '%s' ORDER BY name"
    # Nothing of these statements has the separator of columns in it but `||`.
    table, *indexes = ["|".join(row) for kind in ("table", "index") for row in sql(of_flow % kind, model, None)]
    named = "SELECT name FROM pragma_table_xinfo('flow') WHERE hidden = 0 AND name NOT IN ('id', 'capture')"
    stored_columns = [row[0] for row in sql(named, model, None)]
    values = ["ip4_num(%s)" % c[:-4] if c.endswith("_num") else c for c in stored_columns]
    load = "INSERT INTO flow(%s) SELECT %s FROM netflow_pcap(%s)" % (", ".join(stored_columns), ", ".join(values), dialects.quote(capture))
    pragmas = ["PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF"]
    return "; ".join(pragmas + ["BEGIN", table, load] + indexes + ["COMMIT"])


PROGRAMS = (Cat, Floor, Arrays, Nfdump, Sqlite3)
