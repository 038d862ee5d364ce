"""Asks an engine from PyPI once, in a process of its own. bench.py runs it with the Python of the engine's environment:

    peer_query.py REQUEST

REQUEST is JSON: engine, threads, folder (of the shards), sql, setup (statements not timed), and for Polars the question
itself. Prints JSON: query_s (from the statement to its rows in this process, after imports and session), rows.
"""

import json
import sys
import time


def duckdb_rows(request):
    import duckdb

    db = duckdb.connect()
    db.execute("SET threads = %d" % request["threads"])
    db.execute("SET TimeZone = 'UTC'")
    for statement in request["setup"]:
        db.execute(statement)
    return lambda: db.execute(request["sql"]).fetchall()


def chdb_rows(request):
    from chdb import session

    s = session.Session()
    s.query("SELECT 1")
    sql = request["sql"] + " SETTINGS max_threads = %d, use_hive_partitioning = 0" % request["threads"]

    def rows():
        answer = str(s.query(sql, "JSONCompactEachRow"))
        return [json.loads(line) for line in answer.splitlines() if line]

    return rows


def spark_rows(request):
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[%d]" % request["threads"])
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "8g")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", str(request["threads"]))
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    # Files below the folder as they are: no columns from the names of directories.
    flow = spark.read.option("recursiveFileLookup", "true").option("pathGlobFilter", "*.parquet").parquet(request["folder"])
    flow.createOrReplaceTempView("flow")
    return lambda: [list(row) for row in spark.sql(request["sql"]).collect()]


def polars_where(flow, pl, q):
    column = pl.col(q["where_column"])
    if q["where"] in ("dns", "address"):
        return flow.filter(column == q["where_values"][0])
    if q["where"] in ("window", "minute"):
        begin, end = (pl.lit(ms).cast(pl.Datetime("ms", "UTC")) for ms in q["where_values"])
        return flow.filter((column >= begin) & (column < end))
    if q["where"] == "network" and q["texts"]:
        return flow.filter(column.str.starts_with(q["where_values"][0]))
    if q["where"] == "network":
        return flow.filter(column.is_between(*q["where_values"]))
    return flow


def polars_key(pl, key, texts):
    column, _, bits = key.partition("/")
    if not bits:
        return pl.col(column)
    return pl.col(column).str.strip_chars_end("0123456789") if texts else pl.col(column) & 0xFFFFFF00


def polars_rows(request):
    import os

    os.environ["POLARS_MAX_THREADS"] = str(request["threads"])
    import polars as pl

    q = request["question"]
    sums = [{"bytes": pl.col("bytes").sum(), "packets": pl.col("packets").sum(), "flows": pl.len()}[s].alias("s_" + s) for s in q["sums"]]

    def rows():
        flow = polars_where(pl.scan_parquet(request["folder"] + "/**/*.parquet", hive_partitioning=False), pl, q)
        if q["what"] == "rows":
            start_ms = pl.col("start_time").dt.epoch("ms").alias("start_ms")
            flow = flow.select([start_ms if c == "start_ms" else pl.col(c) for c in q["columns"]])
        elif q["what"] == "sum":
            flow = flow.select(sums)
        else:
            if q["what"] == "pairs":
                keys = [pl.min_horizontal("srcaddr", "dstaddr"), pl.max_horizontal("srcaddr", "dstaddr")]
            else:
                keys = [polars_key(pl, k, q["texts"]) for k in q["keys"]]
            flow = flow.group_by([k.alias("k%d" % i) for i, k in enumerate(keys)]).agg(sums).top_k(10, by="s_" + q["sums"][0])
        return flow.collect(engine="streaming").rows()

    return rows


ENGINES = {"duckdb": duckdb_rows, "polars": polars_rows, "chdb": chdb_rows, "spark": spark_rows}


def main():
    request = json.loads(sys.argv[1])
    rows_of = ENGINES[request["engine"]](request)
    begin = time.monotonic()
    rows = rows_of()
    query_s = time.monotonic() - begin
    json.dump({"query_s": query_s, "rows": [list(r) for r in rows]}, sys.stdout, default=int)


main()
