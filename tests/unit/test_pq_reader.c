/* Claims of parquet/pq_reader.c (and pq_page.c under it): every encoding, codec,
** page version and pattern of nulls gives back its rows in any slicing and from
** any row on; damage is refused, at least wherever a CRC can see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>

#include "codec_fixture.h"
#include "light.h"
#include "parquet/pq_reader.h"
#include "pq_build.h"

static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 32);
}

/* ---- A column as it should come back */

#define ROWS 1500

typedef struct model {
    eg_pq_type type;
    uint32_t n_rows;
    uint8_t valid[ROWS];
    uint8_t room[ROWS * 16]; /* of texts */
    union {                  /* [n_rows], whatever where it is NULL */
        uint8_t truths[ROWS];
        int32_t i32[ROWS];
        int64_t i64[ROWS];
        float f32[ROWS];
        double f64[ROWS];
        eg_pq_bytes bytes[ROWS];
    } v;
} model;

static const void *cell(const void *values, eg_pq_type type, size_t i) {
    return (const uint8_t *)values + i * eg_pq_value_bytes(type);
}

static void assert_cell(eg_pq_type type, const void *found, const void *expected) {
    if (type == EG_PQ_BYTE_ARRAY || type == EG_PQ_FIXED || type == EG_PQ_INT96) {
        const eg_pq_bytes *a = found, *b = expected;
        assert_int_equal(a->n_bytes, b->n_bytes);
        assert_memory_equal(a->data, b->data, b->n_bytes);
    } else {
        assert_memory_equal(found, expected, eg_pq_value_bytes(type));
    }
}

/* Random values from a set of n_distinct, and nulls: none, some, or long stretches. */
static void fill(model *m, eg_pq_type type, uint32_t n_distinct, int nulls, uint64_t *seed) {
    m->type = type;
    for (uint32_t i = 0; i < m->n_rows; i++) {
        uint32_t pick = next_random(seed) % n_distinct, text_bytes = 0;
        uint8_t *text = m->room + i * 16;
        switch (type) {
        case EG_PQ_BOOLEAN:
            m->v.truths[i] = pick & 1;
            break;
        case EG_PQ_INT32:
            m->v.i32[i] = (int32_t)(pick * 2654435761u);
            break;
        case EG_PQ_INT64:
            m->v.i64[i] = (int64_t)(pick * UINT64_C(0x9e3779b97f4a7c15));
            break;
        case EG_PQ_FLOAT:
            m->v.f32[i] = (float)pick / 7;
            break;
        case EG_PQ_DOUBLE:
            m->v.f64[i] = (double)pick / 7;
            break;
        default:
            text_bytes = type == EG_PQ_INT96 ? 12 : type == EG_PQ_FIXED ? 5 : pick % 13;
            for (uint32_t k = 0; k < text_bytes; k++)
                text[k] = (uint8_t)(k < 3 ? 'a' : pick >> (k % 3 * 3));
            m->v.bytes[i] = (eg_pq_bytes){text, text_bytes};
        }
        m->valid[i] = nulls == 0   ? 1
                      : nulls == 1 ? next_random(seed) % 4 != 0
                                   : i / 200 % 2 == 0 && next_random(seed) % 50 != 0;
    }
}

/* Writes rows [from, from + n) as a page in an encoding; codes refer to the rows of
** `dictionary`, the numbers of the rows that are its entries. */
static void write_page(pb *b, const model *m, bool is_v2, int32_t encoding, uint32_t from,
                       uint32_t n, bool is_optional, const uint32_t *dictionary,
                       uint32_t n_dictionary) {
    size_t width = eg_pq_value_bytes(m->type);
    uint8_t *dense = calloc(n + 1, width);
    uint32_t *codes = calloc(n + 1, sizeof *codes), n_values = 0;
    for (uint32_t i = from; i < from + n; i++) {
        if (is_optional && m->valid[i] == 0)
            continue;
        memcpy(dense + n_values * width, cell(&m->v, m->type, i), width);
        for (uint32_t k = 0; k < n_dictionary; k++) {
            const eg_pq_bytes *x = cell(&m->v, m->type, dictionary[k]),
                              *y = cell(&m->v, m->type, i);
            bool is_text = width == sizeof(eg_pq_bytes);
            if (is_text ? x->n_bytes == y->n_bytes && memcmp(x->data, y->data, x->n_bytes) == 0
                        : memcmp(x, y, width) == 0) {
                codes[n_values] = k;
                break;
            }
        }
        n_values++;
    }
    bool has_codes = encoding == EG_PQ_RLE_DICTIONARY || encoding == EG_PQ_PLAIN_DICTIONARY;
    pb_data(b, &(pb_page){.is_v2 = is_v2,
                          .encoding = encoding,
                          .n_rows = n,
                          .valid = is_optional ? m->valid + from : NULL,
                          .values = has_codes ? (void *)codes : (void *)dense,
                          .n_values = n_values,
                          .bit_width = n_dictionary > 1 ? eg_pq_bit_width(n_dictionary - 1) : 1});
    free(dense);
    free(codes);
}

/* The rows whose values are the distinct ones. */
static uint32_t find_distinct(const model *m, uint32_t *rows) {
    uint32_t n = 0;
    size_t width = eg_pq_value_bytes(m->type);
    for (uint32_t i = 0; i < m->n_rows; i++) {
        bool is_new = true;
        for (uint32_t k = 0; k < n && is_new; k++) {
            const eg_pq_bytes *x = cell(&m->v, m->type, rows[k]), *y = cell(&m->v, m->type, i);
            is_new = width == sizeof(eg_pq_bytes)
                         ? x->n_bytes != y->n_bytes || memcmp(x->data, y->data, x->n_bytes) != 0
                         : memcmp(x, y, width) != 0;
        }
        if (is_new)
            rows[n++] = i;
    }
    return n;
}

/* A file of one column and one row group, in pages of several sizes. Codes fall back to
** PLAIN for the last pages. */
static void write_file(pb *b, const model *m, bool is_v2, int32_t encoding, int32_t compression,
                       bool is_optional) {
    static const uint32_t sizes[] = {1, 7, 300, 0, 8, 200, 190, 64, 500, 100};
    static uint32_t rows[ROWS];
    uint32_t n_distinct = 0;
    pb_open(b);
    pb_column(b, "c", m->type, is_optional);
    pb_group(b, m->n_rows);
    pb_chunk(b, compression);
    bool has_codes = encoding == EG_PQ_RLE_DICTIONARY || encoding == EG_PQ_PLAIN_DICTIONARY;
    if (has_codes) {
        size_t width = eg_pq_value_bytes(m->type);
        n_distinct = find_distinct(m, rows);
        uint8_t *values = calloc(n_distinct + 1, width);
        for (uint32_t k = 0; k < n_distinct; k++)
            memcpy(values + k * width, cell(&m->v, m->type, rows[k]), width);
        pb_dictionary(b, values, n_distinct);
        free(values);
    }
    for (uint32_t at = 0, p = 0; at < m->n_rows; p++) {
        uint32_t n = sizes[p % 10];
        n = n < m->n_rows - at ? n : m->n_rows - at;
        write_page(b, m, is_v2, has_codes && p > 7 ? EG_PQ_PLAIN : encoding, at, n, is_optional,
                   rows, n_distinct);
        at += n;
    }
    pb_end(b);
    pb_finish(b);
}

/* ---- Reading it */

static void assert_vector(eg_pq_reader *r, const eg_pq_vector *v, const model *m,
                          bool is_optional) {
    const eg_pq_dictionary *d = NULL;
    uint32_t n_nulls = 0;
    if (v->has_codes)
        assert_int_equal(eg_pq_reader_dictionary(r, &d, NULL), EG_OK);
    for (uint32_t i = 0; i < v->n_rows; i++) {
        size_t row = (size_t)v->first_row + i;
        bool is_valid = v->valid == NULL || v->valid[i] != 0;
        assert_int_equal(is_valid, !is_optional || m->valid[row]);
        n_nulls += !is_valid;
        if (v->has_codes && is_valid)
            assert_true(v->values.codes[i] < d->n_entries);
        if (is_valid)
            assert_cell(m->type,
                        v->has_codes ? cell(d->values.any, m->type, v->values.codes[i])
                                     : cell(v->values.any, m->type, i),
                        cell(&m->v, m->type, row));
    }
    assert_int_equal(v->n_nulls, n_nulls);
}

static void assert_ok(eg_status rc, const eg_err *err) {
    if (rc != EG_OK)
        fail_msg("%s: %s", eg_status_name(rc), err->msg);
}

/* Reads all rows in steps of up to 64, of each step some: few, many, none or all. */
static void assert_picks(eg_pq_reader *r, const model *m, bool is_optional, uint64_t *seed) {
    eg_err err;
    uint32_t row = 0, n_read;
    while (row < m->n_rows) {
        uint16_t picks[64];
        eg_pq_vector v;
        uint32_t n = 1 + next_random(seed) % 64, n_picks = 0, base = next_random(seed) % 100;
        uint32_t part = next_random(seed) % 4, at = 0;
        for (uint32_t i = 0; i < n; i++)
            if (part < 3 && next_random(seed) % (part * part * 4 + 1) == 0)
                picks[n_picks++] = (uint16_t)(base + i);
        assert_ok(eg_pq_reader_pick(r, n, picks, n_picks, base, &n_read, &v, &err), &err);
        assert_true(n_read >= 1 && n_read <= n && v.n_rows <= n_picks);
        assert_int_equal(v.first_row, row);
        assert_int_equal(eg_pq_reader_row(r), row + n_read);
        for (; at < n_picks && picks[at] < base + n_read; at++) {
            eg_pq_vector one = v; /* the pick as if it had come alone */
            size_t width = v.has_codes ? 4 : eg_pq_value_bytes((int32_t)m->type);
            one.n_rows = 1;
            one.first_row = row + picks[at] - base;
            one.values.any = (const uint8_t *)v.values.any + at * width;
            one.valid = v.valid != NULL ? v.valid + at : NULL;
            one.n_nulls = one.valid != NULL && one.valid[0] == 0;
            v.n_nulls -= one.n_nulls;
            assert_vector(r, &one, m, is_optional);
        }
        assert_int_equal(v.n_rows, at);
        assert_int_equal(v.n_nulls, 0);
        row += n_read;
    }
    eg_pq_vector v;
    assert_int_equal(eg_pq_reader_pick(r, 1, NULL, 0, 0, &n_read, &v, &err), EG_DONE);
}

/* Rows are tested by codes where they have such and none is NULL; read again, or read at all, they
** are what they are. */
static void assert_matches(eg_pq_reader *r, const model *m, uint64_t *seed) {
    eg_err err;
    uint32_t row = 0, n_read, n_entries = 0;
    eg_status rc = eg_pq_reader_entries(r, &n_entries, &err);
    assert_true(rc == EG_OK || rc == EG_DONE);
    while (row < m->n_rows) {
        uint8_t alive[64];
        eg_pq_vector v;
        uint32_t n = 1 + next_random(seed) % 64, lo = next_random(seed) % (n_entries + 1);
        eg_pq_code_test t = {.n_entries = n_entries, .lo = lo, .hi = lo + n_entries / 4};
        memset(alive, 1, sizeof alive);
        assert_ok(eg_pq_reader_match(r, n, &t, alive, &n_read, &err), &err);
        assert_true(n_read <= n);
        assert_int_equal(eg_pq_reader_row(r), row + n_read);
        if (n_read > 0)
            eg_pq_reader_back(r);
        assert_int_equal(eg_pq_reader_row(r), row);
        assert_ok(eg_pq_reader_next(r, n_read > 0 ? n_read : n, &v, &err), &err);
        assert_int_equal(v.first_row, row);
        assert_int_equal(n_read > 0, v.has_codes && v.n_nulls == 0);
        for (uint32_t i = 0; i < n_read; i++)
            assert_int_equal(alive[i], v.values.codes[i] >= t.lo && v.values.codes[i] <= t.hi);
        row += v.n_rows;
    }
    assert_int_equal(eg_pq_reader_match(r, 1, &(eg_pq_code_test){0}, NULL, &n_read, &err), EG_DONE);
}

static void assert_reads(const pb *b, const model *m, bool is_optional, uint64_t *seed) {
    static const uint32_t slices[] = {100000, 64, 7};
    eg_err err;
    eg_pq_file *f;
    eg_pq_reader *r;
    eg_pq_index index;
    eg_pq_vector v;
    assert_ok(eg_pq_file_open_fd(pb_file(b->out.data, b->out.n_bytes), "mem", &f, &err), &err);
    assert_ok(eg_pq_reader_open(f, 0, 0, codec, &r, &err), &err);
    for (int s = 0; s < 3; s++) {
        int64_t row = 0;
        eg_status rc;
        if (s > 0)
            assert_ok(eg_pq_reader_restart(r, f, 0, 0, &err), &err);
        while ((rc = eg_pq_reader_next(r, slices[s], &v, &err)) == EG_OK) {
            assert_true(v.n_rows >= 1 && v.n_rows <= slices[s]);
            assert_int_equal(v.first_row, row);
            assert_vector(r, &v, m, is_optional);
            row += v.n_rows;
            assert_int_equal(eg_pq_reader_row(r), row);
        }
        assert_int_equal(rc, EG_DONE);
        assert_int_equal(row, m->n_rows);
        assert_int_equal(eg_pq_reader_next(r, 1, &v, &err), EG_DONE);
    }
    assert_ok(eg_pq_reader_restart(r, f, 0, 0, &err), &err);
    assert_picks(r, m, is_optional, seed);
    assert_ok(eg_pq_reader_restart(r, f, 0, 0, &err), &err);
    assert_matches(r, m, seed);
    bool has_index = !b->no_index;
    assert_int_equal(eg_pq_index_open(f, 0, 0, &index, &err), has_index ? EG_OK : EG_DONE);
    for (int k = 0; k < 60; k++) {
        int64_t row = next_random(seed) % (m->n_rows + 1);
        if (k % 5 == 4 && eg_pq_reader_row(r) + 40 < m->n_rows)
            row = eg_pq_reader_row(r) + next_random(seed) % 40; /* in the same page, often */
        assert_ok(eg_pq_reader_seek(r, row, row + next_random(seed) % 60,
                                    k % 2 == 0 && has_index ? &index : NULL, &err),
                  &err);
        assert_int_equal(eg_pq_reader_row(r), row);
        eg_status rc = eg_pq_reader_next(r, 50, &v, &err);
        if (row == m->n_rows) {
            assert_int_equal(rc, EG_DONE);
        } else {
            assert_ok(rc, &err);
            assert_int_equal(v.first_row, row);
            assert_vector(r, &v, m, is_optional);
        }
    }
    assert_int_equal(eg_pq_reader_seek(r, m->n_rows + 1, m->n_rows + 1, NULL, &err), EG_MISUSE);
    assert_int_equal(eg_pq_reader_seek(r, -1, 0, NULL, &err), EG_MISUSE);
    eg_pq_index_close(&index);
    eg_pq_reader_close(r);
    eg_pq_file_close(f);
}

static bool can_have(eg_pq_type type, int32_t encoding) {
    switch (encoding) {
    case EG_PQ_PLAIN:
        return true;
    case EG_PQ_PLAIN_DICTIONARY:
    case EG_PQ_RLE_DICTIONARY:
        return type != EG_PQ_BOOLEAN;
    case EG_PQ_RLE:
        return type == EG_PQ_BOOLEAN;
    case EG_PQ_DELTA_BINARY_PACKED:
        return type == EG_PQ_INT32 || type == EG_PQ_INT64;
    case EG_PQ_DELTA_LENGTH_BYTE_ARRAY:
        return type == EG_PQ_BYTE_ARRAY;
    case EG_PQ_DELTA_BYTE_ARRAY:
        return type == EG_PQ_BYTE_ARRAY || type == EG_PQ_FIXED;
    case EG_PQ_BYTE_STREAM_SPLIT:
        return type != EG_PQ_BOOLEAN && type != EG_PQ_BYTE_ARRAY && type != EG_PQ_INT96;
    default:
        return false;
    }
}

static void reader_gives_back_every_type_and_encoding(void **state) {
    (void)state;
    static model m;
    static pb b;
    uint64_t seed = 21;
    uint32_t n_files = 0;
    for (int type = 0; type < EG_PQ_N_TYPES; type++) {
        for (int32_t encoding = 0; encoding <= EG_PQ_BYTE_STREAM_SPLIT; encoding++) {
            if (!can_have((eg_pq_type)type, encoding))
                continue;
            for (int k = 0; k < 6; k++) { /* v1 and v2; no, some, long stretches of nulls */
                m.n_rows = k == 0 ? ROWS : 200 + next_random(&seed) % (ROWS - 200);
                fill(&m, (eg_pq_type)type, 60, k % 3, &seed);
                write_file(&b, &m, k >= 3, encoding, EG_PQ_UNCOMPRESSED, k % 3 != 0);
                assert_reads(&b, &m, k % 3 != 0, &seed);
                pb_close(&b);
                n_files++;
            }
        }
    }
    assert_int_equal(n_files, 6 * 33); /* pairs of type and encoding */
}

static void reader_gives_back_every_codec(void **state) {
    (void)state;
    static model m;
    static pb b;
    static const int32_t codecs[] = {EG_PQ_UNCOMPRESSED, EG_PQ_SNAPPY, EG_PQ_GZIP, EG_PQ_ZSTD,
                                     EG_PQ_LZ4_RAW};
    uint64_t seed = 22;
    m.n_rows = ROWS;
    for (int k = 0; k < 5; k++) {
        for (int version = 1; version <= 2; version++) {
            for (int nulls = 0; nulls < 3; nulls++) {
                fill(&m, EG_PQ_BYTE_ARRAY, 700, nulls, &seed);
                write_file(&b, &m, version == 2, EG_PQ_RLE_DICTIONARY, codecs[k], nulls != 0);
                assert_reads(&b, &m, nulls != 0, &seed);
                pb_close(&b);
            }
        }
    }
}

static void reader_reads_a_dictionary_of_one_entry(void **state) {
    (void)state;
    static model m;
    static pb b;
    uint64_t seed = 23;
    m.n_rows = 900;
    fill(&m, EG_PQ_INT64, 1, 2, &seed);
    write_file(&b, &m, false, EG_PQ_RLE_DICTIONARY, EG_PQ_ZSTD, true);
    assert_reads(&b, &m, true, &seed);
    pb_close(&b);
}

static void seek_without_an_index_gives_the_same_rows(void **state) {
    (void)state;
    static model m;
    static pb b;
    uint64_t seed = 24;
    m.n_rows = ROWS;
    fill(&m, EG_PQ_INT32, 50, 1, &seed);
    write_file(&b, &m, false, EG_PQ_RLE_DICTIONARY, EG_PQ_SNAPPY, true);
    eg_pq_chunk *k = &b.chunks[0][0];
    b.no_index = true;
    /* The footer again, without the index */
    size_t keep = (size_t)k->column_index_offset;
    k->column_index_offset = k->offset_index_offset = 0;
    b.out.n_bytes = keep;
    pb_finish(&b);
    assert_reads(&b, &m, true, &seed);
    pb_close(&b);
}

static void seek_with_an_index_reads_one_page(void **state) {
    (void)state;
    static model m;
    static pb b;
    uint64_t seed = 25;
    eg_pq_file *f;
    eg_pq_reader *r;
    eg_pq_index index;
    eg_pq_vector v;
    m.n_rows = ROWS;
    fill(&m, EG_PQ_INT32, 50, 0, &seed);
    write_file(&b, &m, false, EG_PQ_PLAIN, EG_PQ_ZSTD, false);
    assert_int_equal(eg_pq_file_open_fd(pb_file(b.out.data, b.out.n_bytes), "mem", &f, NULL),
                     EG_OK);
    assert_int_equal(eg_pq_index_open(f, 0, 0, &index, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_open(f, 0, 0, codec, &r, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_seek(r, 1400, 1410, &index, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_next(r, 10, &v, NULL), EG_OK);
    assert_int_equal(v.first_row, 1400);
    assert_int_equal(eg_pq_reader_counted(r).pages, 1);
    assert_int_equal(eg_pq_reader_restart(r, f, 0, 0, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_seek(r, 1400, 1410, NULL, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_counted(r).pages, 2);
    assert_true(eg_pq_reader_counted(r).pages_skipped >= 8);
    /* Of the file no more than the pages of the rows that are wanted, and these in one go. */
    for (uint32_t n_pages = 1; n_pages <= 2; n_pages++) {
        const eg_pq_index_page *p =
            index.pages + 2; /* with rows, and longer than a header is sought */
        while (p[0].n_rows == 0 || p[1].n_rows == 0 || p->compressed_bytes < 256)
            p++;
        int64_t n_bytes = p[n_pages - 1].offset + p[n_pages - 1].compressed_bytes - p->offset;
        assert_int_equal(eg_pq_reader_restart(r, f, 0, 0, NULL), EG_OK);
        assert_int_equal(eg_pq_reader_seek(r, ROWS, ROWS, &index, NULL), EG_OK);
        int64_t before = eg_pq_reader_counted(r).bytes_read;
        int64_t end = p[n_pages - 1].first_row + p[n_pages - 1].n_rows;
        assert_int_equal(eg_pq_reader_seek(r, p->first_row, end, &index, NULL), EG_OK);
        assert_int_equal(eg_pq_reader_counted(r).bytes_read - before, n_bytes);
        for (int64_t row = p->first_row; row < end; row += v.n_rows)
            assert_int_equal(eg_pq_reader_next(r, 4096, &v, NULL), EG_OK);
        assert_int_equal(eg_pq_reader_counted(r).bytes_read - before, n_bytes);
    }
    eg_pq_reader_close(r);
    eg_pq_index_close(&index);
    eg_pq_file_close(f);
    pb_close(&b);
}

/* ---- Damage */

/* Opens bytes as a file and reads everything; what it ends with. */
static eg_status read_all(const void *bytes, size_t n, eg_err *err) {
    eg_pq_file *f = NULL;
    eg_status rc = eg_pq_file_open_fd(pb_file(bytes, n), "mem.parquet", &f, err);
    for (uint32_t g = 0; rc == EG_OK && g < eg_pq_file_row_groups(f); g++) {
        for (uint32_t c = 0; rc == EG_OK && c < eg_pq_file_columns(f); c++) {
            eg_pq_reader *r;
            eg_pq_vector v;
            eg_pq_index index;
            rc = eg_pq_index_open(f, g, c, &index, err);
            if (rc == EG_OK)
                eg_pq_index_close(&index);
            if (rc != EG_OK && rc != EG_DONE)
                break;
            rc = eg_pq_reader_open(f, g, c, codec, &r, err);
            const eg_pq_dictionary *d;
            if (rc == EG_OK && (rc = eg_pq_reader_dictionary(r, &d, err)) == EG_DONE)
                rc = EG_OK;
            while (rc == EG_OK)
                rc = eg_pq_reader_next(r, 333, &v, err);
            if (rc == EG_DONE)
                rc = EG_OK;
            eg_pq_reader_close(r);
        }
    }
    eg_pq_file_close(f);
    return rc;
}

static void every_changed_byte_of_a_page_is_refused(void **state) {
    (void)state;
    static model m;
    static pb b;
    uint64_t seed = 31;
    eg_err err;
    m.n_rows = 300;
    fill(&m, EG_PQ_BYTE_ARRAY, 20, 1, &seed);
    write_file(&b, &m, false, EG_PQ_RLE_DICTIONARY, EG_PQ_SNAPPY, true);
    assert_int_equal(read_all(b.out.data, b.out.n_bytes, &err), EG_OK);
    /* Page bodies: everything in the chunk but the headers. */
    size_t n_refused = 0, end = 4 + (size_t)b.chunks[0][0].total_compressed_bytes;
    for (size_t at = 4; at < end;) {
        eg_pq_thrift t;
        eg_pq_page_header h;
        eg_pq_thrift_init(&t, b.out.data + at, end - at, "", "", 0, NULL);
        assert_int_equal(eg_pq_decode_page_header(&t, &h), EG_OK);
        at += t.pos;
        for (int32_t i = 0; i < h.compressed_bytes; i++, at++) {
            b.out.data[at] ^= (uint8_t)(1u << at % 8);
            assert_int_equal(read_all(b.out.data, b.out.n_bytes, &err), EG_CORRUPT);
            assert_non_null(strstr(err.msg, "CRC mismatch"));
            b.out.data[at] ^= (uint8_t)(1u << at % 8);
            n_refused++;
        }
    }
    assert_true(n_refused > 100);
    pb_close(&b);
}

static void a_crc_message_names_everything(void **state) {
    (void)state;
    static model m;
    static pb b;
    uint64_t seed = 32;
    eg_err err;
    m.n_rows = 100;
    fill(&m, EG_PQ_INT32, 20, 0, &seed);
    write_file(&b, &m, false, EG_PQ_PLAIN, EG_PQ_UNCOMPRESSED, false);
    int64_t page = b.pages[0][0][2].offset;
    uint8_t *last = &b.out.data[page + b.pages[0][0][2].compressed_bytes - 1];
    *last ^= 1;
    assert_int_equal(read_all(b.out.data, b.out.n_bytes, &err), EG_CORRUPT);
    char start[100];
    snprintf(start, sizeof start,
             "mem.parquet: column c, row group 0, page at byte %lld: CRC mismatch: the page has ",
             (long long)page);
    assert_ptr_equal(strstr(err.msg, start), err.msg);
    assert_non_null(strstr(err.msg, ", its header says "));
    assert_int_equal(err.offset, page);
    pb_close(&b);
}

static void every_changed_or_cut_byte_is_survived(void **state) {
    (void)state;
    static model m;
    static pb b;
    uint64_t seed = 33;
    static const int32_t encodings[] = {EG_PQ_RLE_DICTIONARY, EG_PQ_PLAIN, EG_PQ_DELTA_BYTE_ARRAY,
                                        EG_PQ_DELTA_LENGTH_BYTE_ARRAY};
    for (int k = 0; k < 8; k++) {
        m.n_rows = 60;
        fill(&m, EG_PQ_BYTE_ARRAY, 20, k % 3, &seed);
        pb_open(&b);
        b.no_crc = true; /* else there is nothing to survive */
        pb_column(&b, "c", m.type, k % 3 != 0);
        pb_group(&b, m.n_rows);
        pb_chunk(&b, EG_PQ_UNCOMPRESSED);
        static uint32_t rows[ROWS];
        uint32_t n_distinct = 0;
        if (encodings[k % 4] == EG_PQ_RLE_DICTIONARY) {
            static eg_pq_bytes values[ROWS];
            n_distinct = find_distinct(&m, rows);
            for (uint32_t i = 0; i < n_distinct; i++)
                values[i] = m.v.bytes[rows[i]];
            pb_dictionary(&b, values, n_distinct);
        }
        write_page(&b, &m, k >= 4, encodings[k % 4], 0, 25, k % 3 != 0, rows, n_distinct);
        write_page(&b, &m, k >= 4, encodings[k % 4], 25, 35, k % 3 != 0, rows, n_distinct);
        pb_end(&b);
        pb_finish(&b);
        assert_int_equal(read_all(b.out.data, b.out.n_bytes, NULL), EG_OK);
        for (size_t i = 0; i < b.out.n_bytes; i++) {
            for (int change = 0; change < 3; change++) {
                uint8_t kept = b.out.data[i];
                b.out.data[i] = change == 0   ? (uint8_t)(kept ^ 1u << i % 8)
                                : change == 1 ? 0xff
                                              : (uint8_t)(kept + 1);
                eg_status rc = read_all(b.out.data, b.out.n_bytes, NULL);
                assert_true(rc == EG_OK || rc == EG_CORRUPT || rc == EG_UNSUPPORTED ||
                            rc == EG_LIMIT);
                b.out.data[i] = kept;
            }
        }
        for (size_t cut = 0; cut < b.out.n_bytes; cut++)
            assert_int_equal(read_all(b.out.data, cut, NULL), EG_CORRUPT);
        pb_close(&b);
    }
}

/* One column, one page, as the test says; the file's bytes in b. */
static void one_page(pb *b, eg_pq_type type, bool is_optional, int64_t n_rows, const pb_page *p,
                     const void *dictionary, uint32_t n_dictionary) {
    pb_open(b);
    pb_column(b, "c", type, is_optional);
    pb_group(b, n_rows);
    pb_chunk(b, EG_PQ_UNCOMPRESSED);
    if (dictionary != NULL)
        pb_dictionary(b, dictionary, n_dictionary);
    pb_data(b, p);
    pb_end(b);
    pb_finish(b);
}

static void assert_refused(const pb *b, const char *words) {
    eg_err err;
    eg_status rc = read_all(b->out.data, b->out.n_bytes, &err);
    if (rc != EG_CORRUPT || strstr(err.msg, words) == NULL)
        fail_msg("status %s, expected EG_CORRUPT and '%s': %s", eg_status_name(rc), words,
                 rc == EG_OK ? "" : err.msg);
}

static void contradictions_are_refused(void **state) {
    (void)state;
    static pb b;
    static const int32_t numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint32_t codes[] = {0, 1, 2, 3, 0, 1, 2, 2};
    static const uint8_t valid[] = {1, 1, 0, 1, 1, 1, 1, 1};
    pb_page plain = {.encoding = EG_PQ_PLAIN, .n_rows = 8, .values = numbers, .n_values = 8};
    pb_page coded = {.encoding = EG_PQ_RLE_DICTIONARY,
                     .n_rows = 8,
                     .values = codes,
                     .n_values = 8,
                     .bit_width = 2};
    pb_page nulls = {
        .encoding = EG_PQ_PLAIN, .n_rows = 8, .valid = valid, .values = numbers, .n_values = 7};

    /* a code that is the number of entries */
    one_page(&b, EG_PQ_INT32, false, 8, &coded, numbers, 3);
    assert_refused(&b, "a code beyond the dictionary's 3 entries");
    pb_close(&b);
    one_page(&b, EG_PQ_INT32, false, 8, &coded, numbers, 4);
    assert_int_equal(read_all(b.out.data, b.out.n_bytes, NULL), EG_OK);
    pb_close(&b);
    /* codes and no dictionary */
    one_page(&b, EG_PQ_INT32, false, 8, &coded, NULL, 0);
    assert_refused(&b, "codes without a dictionary");
    pb_close(&b);
    /* pages with fewer and more values than the chunk */
    one_page(&b, EG_PQ_INT32, false, 9, &plain, NULL, 0);
    assert_refused(&b, "with 8 of 9 values");
    pb_close(&b);
    one_page(&b, EG_PQ_INT32, false, 7, &plain, NULL, 0);
    assert_refused(&b, "8 values at value 0 of a chunk of 7");
    pb_close(&b);
    /* PLAIN with a value fewer or more than it says */
    plain.n_values = 7;
    one_page(&b, EG_PQ_INT32, false, 8, &plain, NULL, 0);
    assert_refused(&b, "28 bytes of PLAIN INT32 values, expected 32 for 8 rows");
    pb_close(&b);
    nulls.n_values = 6;
    one_page(&b, EG_PQ_INT32, true, 8, &nulls, NULL, 0);
    assert_refused(&b, "they end early");
    pb_close(&b);
    nulls.n_values = 8;
    one_page(&b, EG_PQ_INT32, true, 8, &nulls, NULL, 0);
    assert_refused(&b, "bytes behind the last one");
    pb_close(&b);
    /* V2: fewer nulls than the header says */
    nulls.is_v2 = true;
    one_page(&b, EG_PQ_INT32, true, 8, &nulls, NULL, 0);
    assert_refused(&b, "1 nulls, but its header says 0");
    pb_close(&b);
    nulls.n_values = 7;
    one_page(&b, EG_PQ_INT32, true, 8, &nulls, NULL, 0);
    assert_int_equal(read_all(b.out.data, b.out.n_bytes, NULL), EG_OK);
    pb_close(&b);
}

static void negative_counts_are_refused(void **state) {
    (void)state;
    static const int32_t types[] = {EG_PQ_DICTIONARY_PAGE, EG_PQ_DATA_PAGE, EG_PQ_DATA_PAGE_V2};
    for (int k = 0; k < 3; k++) {
        static pb b;
        eg_pq_buffer body = {0};
        eg_pq_buffer_put(&body, "0123456789abcdef", 16);
        pb_open(&b);
        pb_column(&b, "c", EG_PQ_INT32, false);
        b.no_index = true;
        pb_group(&b, 4);
        pb_chunk(&b, EG_PQ_UNCOMPRESSED)->data_page_offset = 4;
        pb_put(&b, &(eg_pq_page_header){.type = types[k], .num_values = -26, .num_rows = -26},
               &body, 0);
        pb_end(&b);
        pb_finish(&b);
        assert_refused(&b, "-26 values");
        eg_pq_buffer_free(&body);
        pb_close(&b);
    }
}

static void all_null_pages_need_no_dictionary_entries(void **state) {
    (void)state;
    static pb b;
    static const uint8_t valid[8];
    static const int32_t none[1];
    pb_page nulls = {.encoding = EG_PQ_RLE_DICTIONARY,
                     .n_rows = 8,
                     .valid = valid,
                     .values = none,
                     .bit_width = 1};
    one_page(&b, EG_PQ_INT32, true, 8, &nulls, none, 0);
    eg_pq_file *f;
    eg_pq_reader *r;
    eg_pq_vector v;
    assert_int_equal(eg_pq_file_open_fd(pb_file(b.out.data, b.out.n_bytes), "mem", &f, NULL),
                     EG_OK);
    assert_int_equal(eg_pq_reader_open(f, 0, 0, codec, &r, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_next(r, 100, &v, NULL), EG_OK);
    assert_int_equal(v.n_rows, 8);
    assert_int_equal(v.n_nulls, 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(v.valid[i], 0);
    assert_int_equal(eg_pq_reader_next(r, 100, &v, NULL), EG_DONE);
    eg_pq_reader_close(r);
    eg_pq_file_close(f);
    pb_close(&b);
}

static void row_groups_of_no_rows_are_done_at_once(void **state) {
    (void)state;
    static pb b;
    eg_pq_file *f;
    eg_pq_reader *r;
    eg_pq_vector v;
    const eg_pq_dictionary *d;
    pb_open(&b);
    pb_column(&b, "c", EG_PQ_INT32, true);
    pb_group(&b, 0);
    pb_chunk(&b, EG_PQ_BROTLI); /* nobody needs to read it */
    b.no_index = true;
    pb_finish(&b);
    assert_int_equal(eg_pq_file_open_fd(pb_file(b.out.data, b.out.n_bytes), "mem", &f, NULL),
                     EG_OK);
    assert_int_equal(eg_pq_reader_open(f, 0, 0, codec, &r, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_seek(r, 0, 1, NULL, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_next(r, 100, &v, NULL), EG_DONE);
    assert_int_equal(eg_pq_reader_dictionary(r, &d, NULL), EG_DONE);
    eg_pq_reader_close(r);
    eg_pq_file_close(f);
    pb_close(&b);
}

/* Four bytes that claim 2^31-1 rows: rows come, in slices, and memory stays small. */
static void rows_beyond_measure_come_in_slices(void **state) {
    (void)state;
    static pb b;
    eg_pq_buffer body = {0};
    eg_pq_file *f;
    eg_pq_reader *r;
    eg_pq_vector v;
    static const int32_t value = 17;
    int64_t n = INT32_MAX;
    pb_open(&b);
    pb_column(&b, "c", EG_PQ_INT32, false);
    pb_group(&b, n);
    pb_chunk(&b, EG_PQ_UNCOMPRESSED);
    pb_dictionary(&b, &value, 1);
    eg_pq_buffer_put_byte(&body, 0);
    eg_pq_buffer_put_varint(&body, (uint64_t)n << 1);
    pb_current(&b)->data_page_offset = (int64_t)b.out.n_bytes;
    pb_put(&b,
           &(eg_pq_page_header){.type = EG_PQ_DATA_PAGE,
                                .num_values = (int32_t)n,
                                .encoding = EG_PQ_RLE_DICTIONARY,
                                .level_encoding = EG_PQ_RLE},
           &body, 0);
    pb_end(&b);
    b.no_index = true;
    pb_finish(&b);
    assert_int_equal(eg_pq_file_open_fd(pb_file(b.out.data, b.out.n_bytes), "mem", &f, NULL),
                     EG_OK);
    assert_int_equal(eg_pq_reader_open(f, 0, 0, codec, &r, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_next(r, 4096, &v, NULL), EG_OK);
    assert_int_equal(v.n_rows, 4096);
    assert_int_equal(v.values.codes[4095], 0);
    assert_int_equal(eg_pq_reader_seek(r, n - 3, n, NULL, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_next(r, 4096, &v, NULL), EG_OK);
    assert_int_equal(v.n_rows, 3);
    assert_int_equal(v.first_row, n - 3);
    eg_pq_reader_close(r);
    eg_pq_file_close(f);
    eg_pq_buffer_free(&body);
    pb_close(&b);
}

/* Each text is the one before and a byte more: 3,000 bytes that stand for 4.5 million;
** and 40,000 copies of one text of 100,000 bytes. */
static void texts_longer_than_their_page_come_in_slices(void **state) {
    (void)state;
    static pb b;
    static uint8_t letters[100000];
    static eg_pq_bytes texts[40000];
    memset(letters, 'x', sizeof letters);
    for (int round = 0; round < 2; round++) {
        uint32_t n = round == 0 ? (is_light() ? 1000 : 3000) : (is_light() ? 2000 : 40000);
        for (uint32_t i = 0; i < n; i++)
            texts[i] = (eg_pq_bytes){letters, round == 0 ? i : (uint32_t)sizeof letters};
        pb_page p = {
            .encoding = EG_PQ_DELTA_BYTE_ARRAY, .n_rows = n, .values = texts, .n_values = n};
        one_page(&b, EG_PQ_BYTE_ARRAY, false, n, &p, NULL, 0);
        eg_pq_file *f;
        eg_pq_reader *r;
        eg_pq_vector v;
        eg_status rc;
        uint32_t row = 0;
        assert_int_equal(eg_pq_file_open_fd(pb_file(b.out.data, b.out.n_bytes), "mem", &f, NULL),
                         EG_OK);
        assert_int_equal(eg_pq_reader_open(f, 0, 0, codec, &r, NULL), EG_OK);
        while ((rc = eg_pq_reader_next(r, 100000, &v, NULL)) == EG_OK) {
            size_t n_text = 0;
            for (uint32_t i = 0; i < v.n_rows; i++, row++) {
                assert_int_equal(v.values.bytes[i].n_bytes, texts[row].n_bytes);
                n_text += v.values.bytes[i].n_bytes;
            }
            assert_true(n_text <= EG_PQ_SLICE_BYTES);
            assert_memory_equal(v.values.bytes[v.n_rows - 1].data, letters, texts[row - 1].n_bytes);
            if (round == 1 && row > 500)
                break;
        }
        if (round == 0)
            assert_int_equal(row, n);
        eg_pq_reader_close(r);
        eg_pq_file_close(f);
        pb_close(&b);
    }
}

static void a_page_that_claims_too_much_memory_is_refused(void **state) {
    (void)state;
    static pb b;
    eg_pq_buffer body = {0};
    eg_err err;
    pb_open(&b);
    pb_column(&b, "c", EG_PQ_INT32, false);
    pb_group(&b, 100000000);
    pb_chunk(&b, EG_PQ_ZSTD);
    /* 400 MB of zeros: 12 kB of ZSTD */
    body.data = calloc(100000000, 4);
    body.n_bytes = body.capacity = 400000000;
    assert_non_null(body.data);
    pb_current(&b)->data_page_offset = 4;
    pb_put(&b,
           &(eg_pq_page_header){.type = EG_PQ_DATA_PAGE,
                                .num_values = 100000000,
                                .encoding = EG_PQ_PLAIN,
                                .level_encoding = EG_PQ_RLE},
           &body, 0);
    pb_end(&b);
    b.no_index = true;
    pb_finish(&b);
    assert_int_equal(read_all(b.out.data, b.out.n_bytes, &err), EG_LIMIT);
    assert_non_null(strstr(err.msg, "16 times the file and 256 MiB"));
    eg_pq_buffer_free(&body);
    pb_close(&b);
}

static void readers_of_one_file_share_its_budget(void **state) {
    (void)state;
    static pb b;
    eg_pq_buffer body = {0};
    eg_err err;
    eg_pq_file *f;
    eg_pq_reader *r[3];
    eg_pq_vector v;
    uint32_t n = 30000000; /* 120 MB: two fit into 256 MiB, three do not */
    pb_open(&b);
    pb_column(&b, "c", EG_PQ_INT32, false);
    pb_group(&b, n);
    pb_chunk(&b, EG_PQ_ZSTD);
    body.data = calloc(n, 4);
    body.n_bytes = body.capacity = (size_t)n * 4;
    assert_non_null(body.data);
    pb_current(&b)->data_page_offset = 4;
    pb_put(&b,
           &(eg_pq_page_header){.type = EG_PQ_DATA_PAGE,
                                .num_values = (int32_t)n,
                                .encoding = EG_PQ_PLAIN,
                                .level_encoding = EG_PQ_RLE},
           &body, 0);
    pb_end(&b);
    b.no_index = true;
    pb_finish(&b);
    assert_int_equal(eg_pq_file_open_fd(pb_file(b.out.data, b.out.n_bytes), "mem", &f, NULL),
                     EG_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(eg_pq_reader_open(f, 0, 0, codec, &r[i], NULL), EG_OK);
        assert_int_equal(eg_pq_reader_next(r[i], 10, &v, &err), i < 2 ? EG_OK : EG_LIMIT);
    }
    assert_int_equal(eg_pq_reader_next(r[2], 10, &v, &err), EG_LIMIT); /* it sticks */
    eg_pq_reader_close(r[0]);
    assert_int_equal(eg_pq_reader_restart(r[2], f, 0, 0, NULL), EG_OK);
    assert_int_equal(eg_pq_reader_next(r[2], 10, &v, NULL), EG_OK);
    eg_pq_reader_close(r[1]);
    eg_pq_reader_close(r[2]);
    eg_pq_file_close(f);
    eg_pq_buffer_free(&body);
    pb_close(&b);
}

static void reader_restarts_on_another_file(void **state) {
    (void)state;
    static model m[2];
    static pb b[2];
    eg_pq_file *f[2];
    eg_pq_reader *r;
    eg_pq_vector v;
    uint64_t seed = 41;
    for (int i = 0; i < 2; i++) {
        m[i].n_rows = 500;
        fill(&m[i], i == 0 ? EG_PQ_INT64 : EG_PQ_BYTE_ARRAY, 30, i, &seed);
        write_file(&b[i], &m[i], false, EG_PQ_RLE_DICTIONARY, EG_PQ_ZSTD, i == 1);
        assert_int_equal(
            eg_pq_file_open_fd(pb_file(b[i].out.data, b[i].out.n_bytes), "mem", &f[i], NULL),
            EG_OK);
    }
    assert_int_equal(eg_pq_reader_open(f[0], 0, 0, codec, &r, NULL), EG_OK);
    for (int i = 0; i < 6; i++) {
        eg_status rc;
        int64_t row = 0;
        assert_int_equal(eg_pq_reader_restart(r, f[i % 2], 0, 0, NULL), EG_OK);
        while ((rc = eg_pq_reader_next(r, 100, &v, NULL)) == EG_OK) {
            assert_vector(r, &v, &m[i % 2], i % 2 == 1);
            row += v.n_rows;
        }
        assert_int_equal(row, 500);
    }
    eg_pq_reader_close(r);
    for (int i = 0; i < 2; i++) {
        eg_pq_file_close(f[i]);
        pb_close(&b[i]);
    }
}

/* ---- Other writers' files. That their rows are right is for
** tests/interop/parquet_testing.py, which knows the expected ones. */

static void files_of_other_writers_are_read_or_refused(void **state) {
    (void)state;
    const char *root = getenv("EG_PARQUET_TESTING");
    if (root == NULL)
        root = "../shared/parquet-testing";
    int n_read = 0, n_refused = 0;
    static const char *const folders[] = {"data", "bad_data"};
    for (int i = 0; i < 2; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        DIR *dir = opendir(path);
        if (dir == NULL)
            skip();
        for (struct dirent *e; (e = readdir(dir)) != NULL;) {
            if (strstr(e->d_name, ".parquet") == NULL)
                continue;
            snprintf(path, sizeof path, "%s/%s/%s", root, folders[i], e->d_name);
            FILE *in = fopen(path, "rb");
            static uint8_t bytes[2 << 20];
            assert_non_null(in);
            size_t n = fread(bytes, 1, sizeof bytes, in);
            fclose(in);
            eg_err err;
            eg_status rc = read_all(bytes, n, &err);
            assert_true(rc == EG_OK || rc == EG_CORRUPT || rc == EG_UNSUPPORTED);
            n_read += rc == EG_OK;
            n_refused += rc != EG_OK;
        }
        closedir(dir);
    }
    assert_int_equal(n_read, 46);
    assert_int_equal(n_refused, 29);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_gives_back_every_type_and_encoding),
        cmocka_unit_test(reader_gives_back_every_codec),
        cmocka_unit_test(reader_reads_a_dictionary_of_one_entry),
        cmocka_unit_test(seek_without_an_index_gives_the_same_rows),
        cmocka_unit_test(seek_with_an_index_reads_one_page),
        cmocka_unit_test(every_changed_byte_of_a_page_is_refused),
        cmocka_unit_test(a_crc_message_names_everything),
        cmocka_unit_test(every_changed_or_cut_byte_is_survived),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(negative_counts_are_refused),
        cmocka_unit_test(all_null_pages_need_no_dictionary_entries),
        cmocka_unit_test(row_groups_of_no_rows_are_done_at_once),
        cmocka_unit_test(rows_beyond_measure_come_in_slices),
        cmocka_unit_test(texts_longer_than_their_page_come_in_slices),
        cmocka_unit_test(a_page_that_claims_too_much_memory_is_refused),
        cmocka_unit_test(readers_of_one_file_share_its_budget),
        cmocka_unit_test(reader_restarts_on_another_file),
        cmocka_unit_test(files_of_other_writers_are_read_or_refused),
    };
    return cmocka_run_group_tests(tests, open_codec, close_codec);
}
