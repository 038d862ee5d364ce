/* Claims of parquet/pq_writer.h and pq_chunk.h: what is written is read back, value by value, is
** sound to shard_verify.h (checksums, statistics, page indexes, Bloom filters), and has the hash
** that the writer says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codec_fixture.h"
#include "light.h"
#include "parquet/pq_reader.h"
#include "parquet/pq_writer.h"
#include "parquet/shard_verify.h"

#define MAX_ROWS 3000
#define N_COLUMNS 6
#define N_GROUPS 3

static uint64_t seed = 3;
static uint64_t next_random(void) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return seed >> 20;
}

/* Two columns of each type: one of codes, one of values. */
static const eg_pq_schema_element schema[N_COLUMNS + 1] = {
    {.repetition = -1, .name = {(const uint8_t *)"s", 1}, .n_children = N_COLUMNS, .converted = -1},
    {.has_type = true,
     .type = EG_PQ_INT32,
     .name = {(const uint8_t *)"u32", 3},
     .converted = 13,
     .logical = {.id = EG_PQ_LOGICAL_ID_INTEGER, .bits = 32}},
    {.has_type = true, .type = EG_PQ_INT32, .name = {(const uint8_t *)"i32", 3}, .converted = -1},
    {.has_type = true,
     .type = EG_PQ_INT64,
     .name = {(const uint8_t *)"u64", 3},
     .converted = EG_PQ_CONVERTED_UINT_64,
     .logical = {.id = EG_PQ_LOGICAL_ID_INTEGER, .bits = 64}},
    {.has_type = true, .type = EG_PQ_INT64, .name = {(const uint8_t *)"i64", 3}, .converted = -1},
    {.has_type = true,
     .type = EG_PQ_BYTE_ARRAY,
     .name = {(const uint8_t *)"coded", 5},
     .converted = EG_PQ_CONVERTED_UTF8,
     .logical = {.id = EG_PQ_LOGICAL_ID_STRING}},
    {.has_type = true,
     .type = EG_PQ_BYTE_ARRAY,
     .name = {(const uint8_t *)"text", 4},
     .converted = EG_PQ_CONVERTED_UTF8,
     .logical = {.id = EG_PQ_LOGICAL_ID_STRING}},
};

/* Values of a group, as 64-bit numbers; of texts numbers that stand for one. */
static uint64_t model[N_GROUPS][N_COLUMNS][MAX_ROWS];
static uint32_t n_rows_of[N_GROUPS];

/* Texts ascend with their numbers; every 7th is longer than a bound may be. */
static eg_pq_bytes text_of(uint64_t number, char room[128]) {
    int n = snprintf(
        room, 128, "%08llu%s", (unsigned long long)number,
        number % 7 == 0 ? "-a text that is longer than what statistics keep of one, by far" : "");
    return (eg_pq_bytes){(const uint8_t *)room, (uint32_t)n};
}

static int compare_numbers(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Encodes a column of a group. */
static void encode(uint32_t g, uint32_t c, uint32_t rows_of_page, int32_t compression,
                   eg_pq_chunk_data *out) {
    static uint64_t sorted[MAX_ROWS], v64[MAX_ROWS];
    static uint32_t codes[MAX_ROWS], v32[MAX_ROWS], starts[MAX_ROWS];
    static char room[MAX_ROWS][128];
    static eg_pq_bytes texts[MAX_ROWS];
    const uint64_t *numbers = model[g][c];
    uint32_t n = n_rows_of[g], n_entries = 0, n_pages = 0;
    bool is_coded = c % 2 == 0;
    const uint64_t *source = numbers;
    uint32_t n_source = n;
    if (is_coded) {
        memcpy(sorted, numbers, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare_numbers);
        for (uint32_t i = 0; i < n; i++)
            if (i == 0 || sorted[i] != sorted[n_entries - 1])
                sorted[n_entries++] = sorted[i];
        for (uint32_t i = 0; i < n; i++)
            codes[i] = (uint32_t)((const uint64_t *)bsearch(&numbers[i], sorted, n_entries,
                                                            sizeof *sorted, compare_numbers) -
                                  sorted);
        source = sorted;
        n_source = n_entries;
    }
    for (uint32_t i = 0; i < n_source; i++) {
        v32[i] = (uint32_t)source[i];
        v64[i] = source[i];
        texts[i] = text_of(source[i], room[i]);
    }
    for (uint32_t i = 0; i < n; i += rows_of_page)
        starts[n_pages++] = i;
    const void *array = c < 2 ? (const void *)v32 : c < 4 ? (const void *)v64 : (const void *)texts;
    eg_pq_chunk_input in = {.type = (eg_pq_type)schema[c + 1].type,
                            .is_unsigned = c == 0 || c == 2,
                            .n_rows = n,
                            .page_starts = starts,
                            .n_pages = n_pages,
                            .codes = is_coded && n_entries > 1 ? codes : NULL,
                            .dictionary = is_coded ? array : NULL,
                            .n_entries = n_entries,
                            .values = is_coded ? NULL : array,
                            .compression = compression,
                            .level = compression == EG_PQ_ZSTD ? EG_PQ_LEVEL_CODES : 0,
                            .bloom_value_bits = is_coded ? 10 : 0};
    eg_err err = {.msg = ""};
    if (eg_pq_chunk_encode(&in, codec, out, &err) != EG_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(out->n_pages, n_pages);
    assert_true(out->has_bounds || c >= 4); /* texts can be too long for them */
}

static void assert_value(const eg_pq_vector *v, const eg_pq_dictionary *d, uint32_t c, uint32_t i,
                         uint64_t expected) {
    const void *array = v->has_codes ? d->values.any : v->values.any;
    uint32_t at = v->has_codes ? v->values.codes[i] : i;
    char room[128];
    if (c < 2) {
        assert_int_equal(((const uint32_t *)array)[at], (uint32_t)expected);
    } else if (c < 4) {
        assert_true(((const uint64_t *)array)[at] == expected);
    } else {
        eg_pq_bytes text = text_of(expected, room), found = ((const eg_pq_bytes *)array)[at];
        assert_int_equal(found.n_bytes, text.n_bytes);
        assert_memory_equal(found.data, text.data, text.n_bytes);
    }
}

static void assert_read_back(eg_pq_file *f) {
    for (uint32_t g = 0; g < N_GROUPS; g++)
        for (uint32_t c = 0; c < N_COLUMNS; c++) {
            eg_pq_reader *r;
            eg_pq_vector v;
            const eg_pq_dictionary *d = NULL;
            eg_pq_index index;
            uint32_t row = 0;
            assert_int_equal(eg_pq_reader_open(f, g, c, codec, &r, NULL), EG_OK);
            eg_status rc = eg_pq_reader_dictionary(r, &d, NULL);
            assert_int_equal(rc, c % 2 == 0 ? EG_OK : EG_DONE);
            while ((rc = eg_pq_reader_next(r, 100, &v, NULL)) == EG_OK)
                for (uint32_t i = 0; i < v.n_rows; i++)
                    assert_value(&v, d, c, i, model[g][c][row++]);
            assert_int_equal(rc, EG_DONE);
            assert_int_equal(row, n_rows_of[g]);
            eg_pq_reader_close(r);
            assert_int_equal(eg_pq_index_open(f, g, c, &index, NULL), EG_OK);
            eg_pq_index_close(&index);
            assert_int_equal(eg_pq_file_all_dictionary(f, g, c), c % 2 == 0);
        }
}

static void assert_round_trip(uint32_t n, uint64_t n_values, uint32_t rows_of_page,
                              int32_t compression) {
    eg_pq_writer *w;
    eg_pq_file *f;
    eg_shard_facts facts;
    eg_err err = {.msg = ""};
    char path[64];
    int fd = memfd_create("written.parquet", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    assert_int_equal(eg_pq_writer_open(fd, path, schema, N_COLUMNS + 1, "test", &w, NULL), EG_OK);
    int64_t n_all = 0;
    for (uint32_t g = 0; g < N_GROUPS; g++) {
        eg_pq_chunk_data data[N_COLUMNS] = {0};
        const eg_pq_chunk_data *chunks[N_COLUMNS];
        n_rows_of[g] = g == 1 ? 1 : n;
        n_all += n_rows_of[g];
        for (uint32_t c = 0; c < N_COLUMNS; c++) {
            for (uint32_t i = 0; i < n_rows_of[g]; i++)
                model[g][c][i] = next_random() % n_values + (c < 4 ? next_random() % 2 << 31 : 0);
            encode(g, c, rows_of_page, compression, &data[c]);
            chunks[c] = &data[c];
        }
        assert_int_equal(eg_pq_writer_add(w, chunks, NULL, 0, &err), EG_OK);
        for (uint32_t c = 0; c < N_COLUMNS; c++)
            eg_pq_chunk_free(&data[c]);
    }
    eg_pq_key_value kv = {.key = {(const uint8_t *)"a key", 5},
                          .value = {(const uint8_t *)"its", 3}};
    assert_int_equal(eg_pq_writer_finish(w, &kv, 1, &err), EG_OK);
    if (eg_shard_verify(path, (eg_poll){0}, &facts, &err) != EG_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(facts.n_rows, n_all);
    assert_int_equal(facts.n_bytes, eg_pq_writer_bytes(w));
    assert_true(facts.hash == eg_pq_writer_hash(w));
    eg_pq_writer_close(w);
    assert_int_equal(eg_pq_file_open_fd(fd, "written.parquet", &f, &err), EG_OK);
    eg_pq_bytes value;
    assert_true(eg_pq_file_value(f, "a key", &value) && value.n_bytes == 3 &&
                memcmp(value.data, "its", 3) == 0);
    assert_memory_equal(eg_pq_file_created_by(f).data, "test", 4);
    assert_int_equal(eg_pq_file_rows(f), n_all);
    assert_read_back(f);
    eg_pq_file_close(f);
}

static void what_is_written_is_read_back_and_sound(void **state) {
    (void)state;
    static const int32_t compressions[] = {EG_PQ_UNCOMPRESSED, EG_PQ_GZIP, EG_PQ_ZSTD};
    static const uint32_t counts[] = {1, 2, 77, MAX_ROWS};
    static const uint64_t values[] = {1, 2, 50, 1000000};
    for (int c = 0; c < 3; c++)
        for (int n = 0; n < 4; n++)
            for (int v = is_light() ? (c + n) % 2 : 0; v < 4; v += is_light() ? 2 : 1)
                for (uint32_t rows = 1 + 9 * (uint32_t)n; rows < 10000; rows *= 20)
                    assert_round_trip(counts[n], values[v], rows, compressions[c]);
}

/* Codes that are as good as random stand in as few bits as they need, however a codec is asked
** for: all of the chunk where their dictionary is, too; of texts, which pack well, only they. Codes
** of which a few are frequent are packed. */
static void codes_that_a_codec_hardly_shrinks_are_stored(void **state) {
    enum { n_rows = 20000, n_entries = 5000, bits = 13 };
    static uint32_t codes[2][n_rows], numbers[n_entries];
    static char room[n_entries][16];
    static eg_pq_bytes texts[n_entries];
    static const uint32_t starts[] = {0, 10000};
    uint32_t noise = 1;
    (void)state;
    for (uint32_t i = 0; i < n_entries; i++) {
        noise = noise * 1664525 + 1013904223;
        numbers[i] = i << 19 | noise >> 13;
        texts[i].n_bytes = (uint32_t)snprintf(room[i], sizeof room[i], "192.168.10.%u", i + 1000);
        texts[i].data = (const uint8_t *)room[i];
    }
    for (uint32_t i = 0; i < n_rows; i++) {
        noise = noise * 1664525 + 1013904223;
        codes[0][i] = (noise >> 8) % n_entries;
        codes[1][i] = i % 8 == 0 ? codes[0][i] : 7;
    }
    eg_pq_chunk_input in = {.type = EG_PQ_INT32,
                            .is_unsigned = true,
                            .n_rows = n_rows,
                            .page_starts = starts,
                            .n_pages = 2,
                            .codes = codes[0],
                            .dictionary = numbers,
                            .n_entries = n_entries,
                            .compression = EG_PQ_ZSTD,
                            .level = EG_PQ_LEVEL_CODES};
    eg_pq_chunk_data out = {0};
    assert_int_equal(eg_pq_chunk_encode(&in, codec, &out, NULL), EG_OK);
    assert_int_equal(out.way.bit_width, bits);
    assert_int_equal(out.compression, EG_PQ_UNCOMPRESSED);
    assert_in_range(out.bytes.n_bytes, n_rows * bits / 8 + sizeof numbers,
                    n_rows * bits / 8 + sizeof numbers + 200);

    in.type = EG_PQ_BYTE_ARRAY;
    in.dictionary = texts;
    assert_int_equal(eg_pq_chunk_encode(&in, codec, &out, NULL), EG_OK);
    assert_int_equal(out.way.bit_width, bits);
    assert_int_equal(out.compression, EG_PQ_ZSTD);
    int64_t n_codes = (int64_t)out.bytes.n_bytes - out.dictionary_bytes;
    assert_in_range(n_codes, n_rows * bits / 8, n_rows * bits / 8 + 200);
    assert_in_range(out.dictionary_bytes, 1, n_entries * 8);

    in.codes = codes[1];
    assert_int_equal(eg_pq_chunk_encode(&in, codec, &out, NULL), EG_OK);
    n_codes = (int64_t)out.bytes.n_bytes - out.dictionary_bytes;
    assert_in_range(n_codes, 1, n_rows * bits / 8 / 2);
    eg_pq_chunk_free(&out);
}

/* Codes of rows in order are runs of a few: each is one, where a page from the
** middle says that this is less. */
static void codes_in_order_are_runs(void **state) {
    (void)state;
    enum { N_PAGES = 8, PAGE_ROWS = 4000, N_ROWS = N_PAGES * PAGE_ROWS };
    static uint32_t codes[N_ROWS], numbers[N_ROWS], starts[N_PAGES];
    uint32_t random = 1, code = 0;
    for (uint32_t i = 0; i < N_ROWS; i++)
        numbers[i] = i * 7;
    for (uint32_t p = 0; p < N_PAGES; p++)
        starts[p] = p * PAGE_ROWS;
    for (int has_runs = 0; has_runs < 2; has_runs++) {
        for (uint32_t i = 0; i < N_ROWS; i++) {
            random = random * 1664525 + 1013904223;
            bool is_noise = (i < PAGE_ROWS) == (has_runs == 1);
            if ((random >> 16) % 4 == 0)
                code = (code + (random >> 18) % 60 + 1) % N_ROWS;
            codes[i] = is_noise ? (random >> 8) % N_ROWS : code;
        }
        eg_pq_chunk_input in = {.type = EG_PQ_INT32,
                                .is_unsigned = true,
                                .n_rows = N_ROWS,
                                .page_starts = starts,
                                .n_pages = N_PAGES,
                                .codes = codes,
                                .dictionary = numbers,
                                .n_entries = N_ROWS,
                                .compression = EG_PQ_ZSTD,
                                .level = EG_PQ_LEVEL_CODES};
        eg_pq_chunk_data out = {0};
        assert_int_equal(eg_pq_chunk_encode(&in, codec, &out, NULL), EG_OK);
        assert_int_equal(out.way.is_runs, has_runs);
        eg_pq_chunk_free(&out);
    }
}

/* Two numbers far apart, in turn, are least PLAIN, packed by ZSTD; numbers that grow by few are
** least as differences. Whichever the first page has, the others count. */
static void the_encoding_of_numbers_is_that_of_a_page_in_the_middle(void **state) {
    (void)state;
    enum { N_PAGES = 8, PAGE_ROWS = 1000 };
    static int64_t values[N_PAGES * PAGE_ROWS];
    uint32_t starts[N_PAGES], random = 1;
    for (int grows = 0; grows < 2; grows++) {
        eg_pq_chunk_data out = {0};
        eg_err err = {.msg = ""};
        for (uint32_t i = 0; i < N_PAGES * PAGE_ROWS; i++) {
            random = random * 1664525 + 1013904223;
            bool is_grown = (i < PAGE_ROWS) != (grows == 1);
            values[i] = is_grown ? (int64_t)i * 100 + random % 100 : (int64_t)(i % 2) << 40;
        }
        for (uint32_t p = 0; p < N_PAGES; p++)
            starts[p] = p * PAGE_ROWS;
        eg_pq_chunk_input in = {.type = EG_PQ_INT64,
                                .n_rows = N_PAGES * PAGE_ROWS,
                                .page_starts = starts,
                                .n_pages = N_PAGES,
                                .values = values,
                                .compression = EG_PQ_ZSTD};
        if (eg_pq_chunk_encode(&in, codec, &out, &err) != EG_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(out.way.encoding, grows ? EG_PQ_DELTA_BINARY_PACKED : EG_PQ_PLAIN);
        eg_pq_chunk_free(&out);
    }
}

static void a_descriptor_that_takes_no_more_is_told(void **state) {
    (void)state;
    eg_pq_writer *w;
    eg_err err = {.msg = ""};
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_int_equal(
        eg_pq_writer_open(fileno(full), "x.parquet", schema, N_COLUMNS + 1, "test", &w, &err),
        EG_IO);
    assert_string_equal(err.msg, "x.parquet: write: No space left on device");
    assert_null(w);
    fclose(full);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back_and_sound),
        cmocka_unit_test(codes_that_a_codec_hardly_shrinks_are_stored),
        cmocka_unit_test(codes_in_order_are_runs),
        cmocka_unit_test(the_encoding_of_numbers_is_that_of_a_page_in_the_middle),
        cmocka_unit_test(a_descriptor_that_takes_no_more_is_told),
    };
    return cmocka_run_group_tests(tests, open_codec, close_codec);
}
