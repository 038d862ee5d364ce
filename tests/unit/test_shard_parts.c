/* Claims of parquet/shard_parts.h: of a dictionary that its page stores as it is, one entry is
** found by reading one part; nothing is written of any other; whatever is wrong with parts is
** refused. Parts that are packed keys are test_shard_keys.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codec_fixture.h"
#include "parquet/pq_writer.h"
#include "parquet/shard_parts.h"

#define MANY 70000 /* over 128 KiB twice, which are blocks of ZSTD */

static uint32_t entries[MANY];

/* Entries in order that no codec makes smaller, or one that each does. */
static void make_entries(uint32_t n, bool is_random) {
    uint32_t seed = 3;
    for (uint32_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        entries[i] =
            (i > 0 ? entries[i - 1] : 5) + 2 + (is_random ? seed % (UINT32_C(0xf0000000) / n) : 0);
    }
}

/* The chunk of a column that has each entry once. */
static void encode(uint32_t n, int32_t compression, eg_pq_chunk_data *out) {
    static uint32_t codes[MANY];
    static const uint32_t starts[1] = {0};
    for (uint32_t i = 0; i < n; i++)
        codes[i] = (uint32_t)((uint64_t)i * 7919 % n);
    eg_pq_chunk_input in = {.type = EG_PQ_INT32,
                            .is_unsigned = true,
                            .n_rows = n,
                            .page_starts = starts,
                            .n_pages = 1,
                            .codes = codes,
                            .dictionary = entries,
                            .n_entries = n,
                            .compression = compression,
                            .level = compression == EG_PQ_ZSTD ? EG_PQ_LEVEL_CODES : 0};
    *out = (eg_pq_chunk_data){0};
    assert_int_equal(eg_pq_chunk_encode(&in, codec, out, NULL), EG_OK);
}

/* A file of that chunk and what is behind it. */
static eg_pq_file *make(eg_pq_chunk_data *data, int *fd) {
    static const eg_pq_schema_element schema[2] = {
        {.repetition = -1, .name = {(const uint8_t *)"s", 1}, .n_children = 1, .converted = -1},
        {.has_type = true,
         .type = EG_PQ_INT32,
         .name = {(const uint8_t *)"dstaddr", 7},
         .converted = EG_PQ_CONVERTED_UINT_8 + 2,
         .logical = {.id = EG_PQ_LOGICAL_ID_INTEGER, .bits = 32}}};
    const eg_pq_chunk_data *chunks[1] = {data};
    eg_pq_writer *w;
    eg_pq_file *f;
    *fd = memfd_create("parts.parquet", MFD_CLOEXEC);
    data->extras[0].key = EG_PLAIN_KEY;
    data->extras[0].n_head = data->extras[0].bytes.n_bytes;
    data->n_extras = 1;
    assert_int_equal(eg_pq_writer_open(*fd, "parts.parquet", schema, 2, "test", &w, NULL), EG_OK);
    assert_int_equal(eg_pq_writer_add(w, chunks, NULL, 0, NULL), EG_OK);
    assert_int_equal(eg_pq_writer_finish(w, NULL, 0, NULL), EG_OK);
    eg_pq_writer_close(w);
    assert_int_equal(eg_pq_file_open_fd(*fd, "parts.parquet", &f, NULL), EG_OK);
    return f;
}

static eg_status read_head(eg_shard_parts *p, eg_pq_file *f, uint32_t n, eg_err *err) {
    return eg_shard_parts_read(p, f, 0, 0, EG_PLAIN_KEY, n, err);
}

static void entries_are_found_where_the_page_stores_them(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 4095, 4096, 4097, 8192, MANY};
    static const int32_t codecs[] = {EG_PQ_UNCOMPRESSED, EG_PQ_ZSTD};
    for (size_t s = 0; s < 2 * sizeof sizes / sizeof sizes[0]; s++) {
        uint32_t n = sizes[s / 2], entry;
        eg_pq_chunk_data data;
        eg_shard_parts p = {0};
        int fd;
        make_entries(n, true);
        encode(n, codecs[s % 2], &data);
        if (!eg_shard_plain_write(&data.extras[0].bytes, data.bytes.data, data.bytes.n_bytes,
                                  entries, n))
            fail_msg("codec %d: %u entries", codecs[s % 2], n);
        eg_pq_file *f = make(&data, &fd);
        assert_int_equal(read_head(&p, f, n, NULL), EG_OK);
        assert_int_equal(eg_shard_plain_check(&p, (const int32_t *)entries, NULL), EG_OK);
        for (uint32_t i = 0; i < n; i += i < 10 || i > n - 10 ? 1 : 37) {
            assert_int_equal(eg_shard_plain_find(&p, entries[i], &entry, NULL), EG_OK);
            assert_int_equal(entry, i);
            assert_int_equal(eg_shard_plain_find(&p, (int64_t)entries[i] + 1, &entry, NULL),
                             EG_DONE);
        }
        assert_int_equal(eg_shard_plain_find(&p, entries[0] - 1, &entry, NULL), EG_DONE);
        assert_int_equal(eg_shard_plain_find(&p, -1, &entry, NULL), EG_DONE);
        assert_int_equal(eg_shard_plain_find(&p, INT64_MAX, &entry, NULL), EG_DONE);
        int64_t before = p.bytes_read;
        assert_int_equal(eg_shard_plain_find(&p, entries[n / 2], &entry, NULL), EG_OK);
        assert_true(p.bytes_read - before <= 4 * EG_PART_ENTRIES);
        eg_pq_file_close(f);
        eg_pq_chunk_free(&data);
        eg_shard_parts_close(&p);
    }
}

static void nothing_is_written_of_other_pages(void **state) {
    (void)state;
    eg_pq_chunk_data data;
    make_entries(20000, false); /* a codec makes them smaller */
    encode(20000, EG_PQ_ZSTD, &data);
    assert_false(eg_shard_plain_write(&data.extras[0].bytes, data.bytes.data, data.bytes.n_bytes,
                                      entries, 20000));
    assert_int_equal(data.extras[0].bytes.n_bytes, 0);
    eg_pq_chunk_free(&data);

    make_entries(20000, true); /* they do not ascend, within a part or from one to the next */
    static const uint32_t places[] = {100, EG_PART_ENTRIES};
    for (int i = 0; i < 2; i++) {
        uint32_t kept = entries[places[i]];
        entries[places[i]] = entries[places[i] - 1];
        encode(20000, EG_PQ_UNCOMPRESSED, &data);
        assert_false(eg_shard_plain_write(&data.extras[0].bytes, data.bytes.data,
                                          data.bytes.n_bytes, entries, 20000));
        assert_int_equal(data.extras[0].bytes.n_bytes, 0);
        entries[places[i]] = kept;
        eg_pq_chunk_free(&data);
    }
}

/* Reads, finds and checks; what the first failure says. */
static eg_status use(eg_pq_file *f, uint32_t n, eg_err *err) {
    eg_shard_parts p = {0};
    uint32_t entry;
    eg_status rc = read_head(&p, f, n, err);
    for (uint32_t i = 0; i < n && rc == EG_OK; i += EG_PART_ENTRIES)
        rc = eg_shard_plain_find(&p, entries[i], &entry, err);
    if (rc == EG_OK)
        rc = eg_shard_plain_check(&p, (const int32_t *)entries, err);
    eg_shard_parts_close(&p);
    return rc;
}

static void changed_bytes_are_refused(void **state) {
    (void)state;
    const uint32_t n = 9000;
    eg_pq_chunk_data data;
    eg_err err;
    int fd;
    make_entries(n, true);
    encode(n, EG_PQ_UNCOMPRESSED, &data);
    assert_true(eg_shard_plain_write(&data.extras[0].bytes, data.bytes.data, data.bytes.n_bytes,
                                     entries, n));
    eg_pq_file *f = make(&data, &fd);
    off_t head = 4 + (off_t)data.bytes.n_bytes; /* PAR1 before both */
    assert_int_equal(use(f, n, &err), EG_OK);
    for (size_t i = 0; i < data.extras[0].bytes.n_bytes; i++) {
        uint8_t changed = data.extras[0].bytes.data[i] ^ 16;
        assert_int_equal(pwrite(fd, &changed, 1, head + (off_t)i), 1);
        assert_int_equal(use(f, n, &err), EG_CORRUPT);
        assert_string_equal(err.msg, "parts.parquet: column dstaddr, row group 0: CRC of the head "
                                     "differs (earlgrey.plain)");
        assert_int_equal(pwrite(fd, &data.extras[0].bytes.data[i], 1, head + (off_t)i), 1);
    }
    for (off_t i = 100; i < 36000; i += 500) {
        uint8_t right, changed;
        assert_int_equal(pread(fd, &right, 1, i), 1);
        changed = right ^ 16;
        assert_int_equal(pwrite(fd, &changed, 1, i), 1);
        assert_int_equal(use(f, n, &err), EG_CORRUPT);
        assert_string_equal(err.msg, "parts.parquet: column dstaddr, row group 0: CRC of a part "
                                     "differs (earlgrey.plain)");
        assert_int_equal(pwrite(fd, &right, 1, i), 1);
    }
    assert_int_equal(use(f, n, &err), EG_OK);
    eg_pq_file_close(f);
    eg_pq_chunk_free(&data);
}

/* Parts whose CRC is right, of other entries than the dictionary's. */
static void parts_of_other_entries_are_found_out(void **state) {
    (void)state;
    const uint32_t n = 9000;
    eg_pq_chunk_data data;
    eg_shard_parts p = {0};
    eg_err err;
    int fd;
    make_entries(n, true);
    encode(n, EG_PQ_UNCOMPRESSED, &data);
    assert_true(eg_shard_plain_write(&data.extras[0].bytes, data.bytes.data, data.bytes.n_bytes,
                                     entries, n));
    eg_pq_file *f = make(&data, &fd);
    assert_int_equal(read_head(&p, f, n, &err), EG_OK);
    entries[8999]++;
    assert_int_equal(eg_shard_plain_check(&p, (const int32_t *)entries, &err), EG_CORRUPT);
    assert_string_equal(err.msg, "parts.parquet: column dstaddr, row group 0: parts that are not "
                                 "those of the dictionary (earlgrey.plain)");
    eg_shard_parts_close(&p);
    eg_pq_file_close(f);
    eg_pq_chunk_free(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_where_the_page_stores_them),
        cmocka_unit_test(nothing_is_written_of_other_pages),
        cmocka_unit_test(changed_bytes_are_refused),
        cmocka_unit_test(parts_of_other_entries_are_found_out),
    };
    return cmocka_run_group_tests(tests, open_codec, close_codec);
}
