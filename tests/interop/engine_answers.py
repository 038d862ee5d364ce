"""What an engine says of a dataset, as JSON. Run in the engines' virtual environment by engines.py:

    engine_answers.py answer ENGINE DATASET     row count, figures of columns, grouped sums
    engine_answers.py rewrite ENGINE DATASET FILE   the flows written by the engine as one Parquet file
"""

import json
import sys

from engine_lists import GROUPS, NUMBERS, TEXTS, TIMES


def plain(rows):
    return sorted([[x if isinstance(x, str) else int(x) for x in row] for row in rows])


def duckdb_answer(glob):
    import duckdb

    flow = "read_parquet('%s')" % glob
    one = lambda sql: list(duckdb.sql(sql).fetchall()[0])
    columns = {c: one("SELECT sum(%s), min(%s), max(%s) FROM %s" % (c, c, c, flow)) for c in NUMBERS}
    columns.update({c: one("SELECT sum(epoch_ms({0})), epoch_ms(min({0})), epoch_ms(max({0})) FROM {1}".format(c, flow)) for c in TIMES})
    texts = {c: one("SELECT count(DISTINCT %s), min(%s), max(%s) FROM %s" % (c, c, c, flow)) for c in TEXTS}
    groups = [
        plain(duckdb.sql("SELECT %s, sum(bytes), sum(packets), count(*) FROM %s GROUP BY ALL" % (", ".join(g), flow)).fetchall())
        for g in GROUPS
    ]
    return {"rows": one("SELECT count(*) FROM " + flow)[0], "columns": columns, "texts": texts, "groups": groups}


def arrow_table(folder):
    import pyarrow.dataset

    return pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive").to_table()


def pyarrow_answer(folder):
    import pyarrow as pa
    import pyarrow.compute as pc

    t = arrow_table(folder)
    figures = lambda c: [pc.sum(c.cast(pa.int64())).as_py(), pc.min(c.cast(pa.int64())).as_py(), pc.max(c.cast(pa.int64())).as_py()]
    columns = {c: figures(t[c]) for c in NUMBERS + list(TIMES)}
    texts = {c: [pc.count_distinct(t[c]).as_py(), pc.min(t[c]).as_py(), pc.max(t[c]).as_py()] for c in TEXTS}
    groups = []
    for g in GROUPS:
        r = t.group_by(list(g)).aggregate([("bytes", "sum"), ("packets", "sum"), ("bytes", "count")])
        groups.append(plain(zip(*[r[n].to_pylist() for n in list(g) + ["bytes_sum", "packets_sum", "bytes_count"]])))
    return {"rows": t.num_rows, "columns": columns, "texts": texts, "groups": groups}


def polars_answer(glob):
    import polars as pl

    t = pl.scan_parquet(glob).collect()
    figures = lambda s: [int(s.sum()), int(s.min()), int(s.max())]
    columns = {c: figures(t[c].cast(pl.Int64)) for c in NUMBERS + list(TIMES)}
    texts = {c: [t[c].n_unique(), t[c].min(), t[c].max()] for c in TEXTS}
    groups = [
        plain(t.group_by(list(g)).agg(pl.col("bytes").sum().alias("b"), pl.col("packets").sum().alias("p"), pl.len().alias("n")).rows())
        for g in GROUPS
    ]
    return {"rows": t.height, "columns": columns, "texts": texts, "groups": groups}


def spark_answer(folder):
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    t = spark.read.parquet(folder)
    ms = lambda c: f.unix_millis(f.col(c)) if c in TIMES else f.col(c)
    of_numbers = [x for c in NUMBERS + list(TIMES) for x in (f.sum(ms(c)), f.min(ms(c)), f.max(ms(c)))]
    of_texts = [x for c in TEXTS for x in (f.countDistinct(c), f.min(c), f.max(c))]
    row = [int(x) if not isinstance(x, str) else x for x in t.agg(f.count("*"), *of_numbers, *of_texts).collect()[0]]
    names = NUMBERS + list(TIMES) + list(TEXTS)
    figures = {c: row[1 + 3 * i : 4 + 3 * i] for i, c in enumerate(names)}
    sums = [f.sum("bytes"), f.sum("packets"), f.count("*")]
    groups = [plain(t.groupBy(*g).agg(*sums).collect()) for g in GROUPS]
    spark.stop()
    return {"rows": row[0], "columns": {c: figures[c] for c in names if c not in TEXTS}, "texts": {c: figures[c] for c in TEXTS}, "groups": groups}


def chdb_answer(glob):
    import chdb

    flow = "file('%s', Parquet)" % glob
    rows = lambda sql: [json.loads(line) for line in str(chdb.query(sql, "JSONCompactEachRow")).splitlines()]
    one = lambda sql: rows(sql)[0]
    ms = lambda c: "toUnixTimestamp64Milli(%s)" % c if c in TIMES else c
    number = lambda c: [int(x) for x in one("SELECT sum({0}), min({0}), max({0}) FROM {1}".format(ms(c), flow))]
    text = lambda c: [int(x) if i == 0 else x for i, x in enumerate(one("SELECT uniqExact({0}), min({0}), max({0}) FROM {1}".format(c, flow)))]
    # Sums of 64 bits come as texts in JSON; so do texts.
    whole = lambda rows_of, n: plain([r[:n] + [int(x) for x in r[n:]] for r in rows_of])
    groups = [
        whole(rows("SELECT {0}, sum(bytes), sum(packets), count() FROM {1} GROUP BY {0}".format(", ".join(g), flow)), len(g)) for g in GROUPS
    ]
    return {
        "rows": int(one("SELECT count() FROM " + flow)[0]),
        "columns": {c: number(c) for c in NUMBERS + list(TIMES)},
        "texts": {c: text(c) for c in TEXTS},
        "groups": groups,
    }


ANSWERS_OF_GLOBS = {"duckdb": duckdb_answer, "polars": polars_answer, "chdb": chdb_answer}
ANSWERS_OF_FOLDERS = {"pyarrow": pyarrow_answer, "pyspark": spark_answer}


def main():
    what, engine, folder = sys.argv[1:4]
    glob = folder + "/**/*.parquet"
    if what == "answer":
        answer = ANSWERS_OF_GLOBS[engine](glob) if engine in ANSWERS_OF_GLOBS else ANSWERS_OF_FOLDERS[engine](folder)
        print(json.dumps(answer, default=int))
    elif engine == "duckdb":
        import duckdb

        duckdb.sql("COPY (FROM read_parquet('%s')) TO '%s' (FORMAT parquet, COMPRESSION zstd)" % (glob, sys.argv[4]))
    else:
        import pyarrow.parquet

        pyarrow.parquet.write_table(arrow_table(folder), sys.argv[4], compression="snappy", data_page_version="2.0")


main()
