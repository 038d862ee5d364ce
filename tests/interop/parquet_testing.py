"""Every file of parquet-testing: the flat ones give the expected rows, the others are refused with a message.

Reads with the project's own dumper (PQ_DUMP, or build/release/interop/pq_dump). The folder is EG_PARQUET_TESTING, or
../shared/parquet-testing. Expected rows are in expected/NAME.jsonl; numbers are compared as numbers.
"""

import json
import os
import struct
import subprocess

from report import check, equal, finish, not_ok, skip

FOLDER = os.environ.get("EG_PARQUET_TESTING", "../shared/parquet-testing")
DUMP = os.environ.get("PQ_DUMP", "build/release/interop/pq_dump")

# Files that have no rows for a flat reader: the status, and what the message must say.
REFUSED = {
    "data/datapage_v1-corrupt-checksum.parquet": ("EG_CORRUPT", "CRC mismatch"),
    "data/rle-dict-uncompressed-corrupt-checksum.parquet": ("EG_CORRUPT", "CRC mismatch"),
    "data/datapage_v2.snappy.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/incorrect_map_schema.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/large_string_map.brotli.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/list_columns.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/map_no_value.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/nested_lists.snappy.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/nested_maps.snappy.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/nested_structs.rust.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/nonnullable.impala.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/nullable.impala.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/null_list.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/nulls.snappy.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/old_list_structure.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/repeated_no_annotation.parquet": ("EG_UNSUPPORTED", "nested"),
    "data/repeated_primitive_no_list.parquet": ("EG_UNSUPPORTED", "repeated"),
    "data/encrypt_columns_and_footer.parquet.encrypted": ("EG_UNSUPPORTED", "encrypted"),
    "data/encrypt_columns_plaintext_footer.parquet.encrypted": ("EG_UNSUPPORTED", "repeated"),
    "data/hadoop_lz4_compressed.parquet": ("EG_UNSUPPORTED", "codec LZ4 is deprecated"),
    "data/hadoop_lz4_compressed_larger.parquet": ("EG_UNSUPPORTED", "codec LZ4 is deprecated"),
    "data/non_hadoop_lz4_compressed.parquet": ("EG_UNSUPPORTED", "codec LZ4 is deprecated"),
    "bad_data/PARQUET-1481.parquet": ("EG_CORRUPT", "physical type -7"),
    "bad_data/ARROW-RS-GH-6229-DICTHEADER.parquet": ("EG_CORRUPT", "column name"),
    "bad_data/ARROW-RS-GH-6229-LEVELS.parquet": ("EG_UNSUPPORTED", "nested"),
    "bad_data/ARROW-GH-41317.parquet": ("EG_CORRUPT", "footer damaged"),
    "bad_data/ARROW-GH-41321.parquet": ("EG_UNSUPPORTED", "nested"),
    "bad_data/ARROW-GH-45185.parquet": ("EG_UNSUPPORTED", "nested"),
    "bad_data/ARROW-GH-47662.parquet": ("EG_CORRUPT", "364 bytes of PLAIN FIXED_LEN_BYTE_ARRAY values, expected 400"),
}


def dump(path, *options):
    done = subprocess.run([DUMP, *options, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")


def same(found, expected):
    if type(found) is float or type(expected) is float:
        return isinstance(found, (int, float)) and isinstance(expected, (int, float)) and (
            struct.pack("<d", found) == struct.pack("<d", expected) or found == expected
        )
    return type(found) is type(expected) and found == expected


def rows_equal(path, name):
    with open(os.path.join(FOLDER, "expected", name + ".jsonl"), encoding="utf-8") as f:
        expected = [json.loads(line) for line in f]
    for slice_rows in ("4096", "7"):
        status, out, err = dump(path, "--rows", slice_rows)
        equal(status, 0, "exit status (%s)" % err.strip())
        found = [json.loads(line) for line in out.decode("utf-8").splitlines()]
        equal(len(found), len(expected), "lines in slices of %s rows" % slice_rows)
        for i, (a, b) in enumerate(zip(found, expected)):
            assert len(a) == len(b) and all(map(same, a, b)), "line %d: found %r, expected %r" % (i + 1, a, b)


def refused(path, status, words):
    exit_status, _, err = dump(path)
    equal(exit_status, 1, "exit status (%s)" % err.strip())
    assert err.startswith(status + ": " + path) and words in err, "expected %s and '%s': %s" % (status, words, err)


def main():
    if not os.path.isdir(FOLDER):
        skip("parquet_testing", FOLDER + " is absent")
        return
    for folder in ("data", "bad_data"):
        for name in sorted(os.listdir(os.path.join(FOLDER, folder))):
            if not (name.endswith(".parquet") or name.endswith(".encrypted")):
                continue
            key, path = folder + "/" + name, os.path.join(FOLDER, folder, name)
            if key in REFUSED:
                check("refused: " + key, refused, path, *REFUSED[key])
            elif os.path.exists(os.path.join(FOLDER, "expected", name + ".jsonl")):
                check("equal: " + key, rows_equal, path, name)
            else:
                not_ok(key, "neither expected rows nor a reason to refuse it")


if __name__ == "__main__":
    main()
    finish()
