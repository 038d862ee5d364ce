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


def main():
    what, engine, folder = sys.argv[1:4]
    glob = folder + "/**/*.parquet"
    if what == "answer":
        answer = {"duckdb": duckdb_answer, "polars": polars_answer}.get(engine)
        print(json.dumps(answer(glob) if answer else pyarrow_answer(folder), default=int))
    elif engine == "duckdb":
        import duckdb

        duckdb.sql("COPY (FROM read_parquet('%s')) TO '%s' (FORMAT parquet, COMPRESSION zstd)" % (glob, sys.argv[4]))
    else:
        import pyarrow.parquet

        pyarrow.parquet.write_table(arrow_table(folder), sys.argv[4], compression="snappy", data_page_version="2.0")


main()
