/* Claims of parquet/pq_file.c: what is no Parquet file, contradicts itself or is of
** a kind that is not read is refused with a message that says what; types, bounds,
** page index and Bloom filters are what the footer says, where it can be relied on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "parquet/pq_bloom.h"
#include "parquet/pq_file.h"
#include "pq_build.h"

static eg_status open_bytes(const void *bytes, size_t n, eg_pq_file **f, eg_err *err) {
    int fd = pb_file(bytes, n);
    assert_true(fd >= 0);
    return eg_pq_file_open_fd(fd, "mem.parquet", f, err);
}

static eg_status open_built(const pb *b, eg_pq_file **f, eg_err *err) {
    return open_bytes(b->out.data, b->out.n_bytes, f, err);
}

/* A file of a column "a" INT32 and "b" BYTE_ARRAY with two row groups of two pages. */
static void build(pb *b) {
    static const int32_t numbers[] = {-5, 3, 7, 1000};
    static eg_pq_bytes texts[4];
    pb_open(b);
    pb_column(b, "a", EG_PQ_INT32, false);
    pb_column(b, "b", EG_PQ_BYTE_ARRAY, true);
    for (int i = 0; i < 4; i++)
        texts[i] = pb_text(i % 2 == 0 ? "x" : "yy");
    for (int g = 0; g < 2; g++) {
        pb_group(b, 8);
        for (int c = 0; c < 2; c++) {
            pb_chunk(b, EG_PQ_SNAPPY);
            for (int p = 0; p < 2; p++)
                pb_data(b,
                        &(pb_page){.encoding = EG_PQ_PLAIN,
                                   .n_rows = 4,
                                   .n_values = 4,
                                   .values = c == 0 ? (const void *)numbers : (const void *)texts});
            pb_end(b);
        }
    }
}

static void assert_open(const pb *b, eg_status expected, const char *words) {
    eg_pq_file *f;
    eg_err err;
    eg_status rc = open_built(b, &f, &err);
    if (rc != expected || (rc != EG_OK && (strstr(err.msg, words) == NULL ||
                                           strstr(err.msg, "mem.parquet: ") != err.msg)))
        fail_msg("%s, expected %s and '%s': %s", eg_status_name(rc), eg_status_name(expected),
                 words, rc == EG_OK ? "" : err.msg);
    if (rc == EG_OK)
        eg_pq_file_close(f);
    else
        assert_null(f);
}

static void file_tells_its_columns_and_rows(void **state) {
    (void)state;
    static pb b;
    eg_pq_file *f;
    eg_pq_bytes value;
    eg_pq_key_value kv[] = {{pb_text("made by"), pb_text("a test")}, {pb_text("flag"), {NULL, 0}}};
    build(&b);
    b.meta.key_values = kv;
    b.meta.n_key_values = 2;
    pb_finish(&b);
    assert_int_equal(open_built(&b, &f, NULL), EG_OK);
    assert_int_equal(eg_pq_file_rows(f), 16);
    assert_int_equal(eg_pq_file_columns(f), 2);
    assert_int_equal(eg_pq_file_row_groups(f), 2);
    assert_int_equal(eg_pq_file_bytes(f), b.out.n_bytes);
    assert_string_equal(eg_pq_file_name(f), "mem.parquet");
    assert_int_equal(eg_pq_file_find(f, "b", 1), 1);
    assert_int_equal(eg_pq_file_find(f, "B", 1), -1);
    assert_int_equal(eg_pq_file_find(f, "", 0), -1);
    assert_string_equal(eg_pq_file_column(f, 1)->name, "b");
    assert_true(eg_pq_file_column(f, 1)->is_optional);
    assert_true(eg_pq_file_value(f, "made by", &value));
    assert_int_equal(value.n_bytes, 6);
    assert_true(eg_pq_file_value(f, "flag", &value));
    assert_null(value.data);
    assert_false(eg_pq_file_value(f, "made", &value));
    assert_int_equal(eg_pq_file_created_by(f).n_bytes, strlen("earlgrey tests"));
    assert_int_equal(eg_pq_file_row_group(f, 1)->num_rows, 8);
    assert_int_equal(eg_pq_file_chunk(f, 1, 0)->num_values, 8);
    eg_pq_file_close(f);
    pb_close(&b);
}

static void what_is_no_parquet_file_is_refused(void **state) {
    (void)state;
    static pb b;
    eg_pq_file *f;
    eg_err err;
    build(&b);
    pb_finish(&b);
    uint8_t *p = b.out.data;
    size_t n = b.out.n_bytes;
    assert_open(&b, EG_OK, "");
    p[0] = 'Q';
    assert_open(&b, EG_CORRUPT, "does not start with PAR1");
    p[0] = 'P';
    p[n - 1] = '2';
    assert_open(&b, EG_CORRUPT, "does not end with PAR1");
    p[n - 1] = 'E';
    assert_open(&b, EG_UNSUPPORTED, "encrypted");
    p[n - 1] = '1';
    p[n - 5] = 1; /* 16 MB of footer */
    assert_open(&b, EG_CORRUPT, "but the file has room for");
    p[n - 5] = 0;
    b.out.n_bytes = 11;
    assert_open(&b, EG_CORRUPT, "the shortest has 12");
    b.out.n_bytes = n;
    assert_int_equal(open_bytes("PAR1\0\0\0\0PAR1", 12, &f, &err), EG_CORRUPT);
    assert_int_equal(open_bytes("", 0, &f, &err), EG_CORRUPT);
    assert_int_equal(eg_pq_file_open("/no/such/file", &f, &err), EG_IO);
    assert_non_null(strstr(err.msg, strerror(ENOENT)));
    assert_int_equal(eg_pq_file_open("/", &f, &err), EG_IO);
    assert_int_equal(eg_pq_file_open("/dev/null", &f, &err), EG_IO);
    pb_close(&b);
}

static void a_pipe_is_refused_without_waiting(void **state) {
    (void)state;
    char dir[] = "/tmp/pq_file_XXXXXX", path[64];
    eg_pq_file *f;
    eg_err err;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/pipe", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(eg_pq_file_open(path, &f, &err), EG_IO);
    assert_non_null(strstr(err.msg, "not a regular file"));
    unlink(path);
    rmdir(dir);
}

static void contradictions_in_the_footer_are_refused(void **state) {
    (void)state;
    static pb b;
#define REFUSED(change, status, words)                                                             \
    build(&b);                                                                                     \
    b.no_index = true;                                                                             \
    change;                                                                                        \
    pb_finish(&b);                                                                                 \
    assert_open(&b, status, words);                                                                \
    pb_close(&b);
    REFUSED((void)0, EG_OK, "")
    REFUSED(b.schema[1].type = -7, EG_CORRUPT, "column a has physical type -7")
    REFUSED(b.schema[1].type = 8, EG_CORRUPT, "column a has physical type 8")
    REFUSED(b.schema[2].repetition = EG_PQ_REPEATED, EG_UNSUPPORTED, "column b is repeated")
    REFUSED(b.schema[2].repetition = 3, EG_CORRUPT, "column b has repetition 3")
    REFUSED(b.schema[2].repetition = -1, EG_CORRUPT, "column b has repetition -1")
    REFUSED(b.schema[2].has_type = false, EG_UNSUPPORTED, "column b is nested")
    REFUSED(b.schema[2].n_children = 1, EG_UNSUPPORTED, "column b is nested")
    REFUSED(b.schema[1].type = EG_PQ_FIXED, EG_CORRUPT, "values of 0 bytes")
    REFUSED(b.chunks[1][0].type = EG_PQ_INT64, EG_CORRUPT,
            "column a, row group 1: type INT64, but INT32 in the schema")
    REFUSED(b.chunks[1][0].type = 77, EG_CORRUPT, "type unknown, but INT32")
    REFUSED(b.chunks[1][1].num_values = 9, EG_CORRUPT,
            "column b, row group 1: 9 values, but the row group has 8 rows")
    REFUSED(b.chunks[1][1].num_values = -1, EG_CORRUPT, "-1 values")
    REFUSED(b.chunks[0][1].data_page_offset = 3, EG_CORRUPT, "but data ends at byte")
    REFUSED(b.chunks[0][1].data_page_offset = INT64_MAX, EG_CORRUPT, "but data ends at byte")
    REFUSED(b.chunks[0][1].total_compressed_bytes = -1, EG_CORRUPT, "-1 bytes at byte")
    REFUSED(b.chunks[0][1].total_compressed_bytes = 100000, EG_CORRUPT, "100000 bytes at byte")
    REFUSED(b.chunks[0][1].total_compressed_bytes = INT64_MAX, EG_CORRUPT, "but data ends at byte")
    REFUSED(b.chunks[0][1].path = &b.schema[1].name, EG_CORRUPT, "the chunk is of another column")
    REFUSED(b.chunks[0][1].n_path = 0, EG_CORRUPT, "the chunk is of another column")
    REFUSED(b.chunks[0][1].file_path = pb_text("elsewhere"), EG_UNSUPPORTED, "in another file")
    REFUSED(b.groups[0].num_rows = -8, EG_CORRUPT, "row group 0 has -8 rows")
    REFUSED(b.meta.num_rows = 17, EG_CORRUPT, "have 16 rows, but the footer says 17")
#undef REFUSED
    /* a row group that lacks a chunk, a root that counts wrong, no schema */
    build(&b);
    pb_finish(&b);
    for (int k = 0; k < 3; k++) {
        size_t keep = b.out.n_bytes;
        eg_pq_file_meta m = b.meta;
        eg_pq_row_group groups[2] = {b.groups[0], b.groups[1]};
        eg_pq_schema_element schema[3] = {b.schema[0], b.schema[1], b.schema[2]};
        m.row_groups = groups;
        m.schema = schema;
        if (k == 0)
            groups[1].n_chunks = 1;
        else if (k == 1)
            schema[0].n_children = 3;
        else
            m.n_schema = 0;
        size_t at = b.out.n_bytes;
        eg_pq_encode_file_meta(&b.out, &m);
        eg_pq_buffer_put_le32(&b.out, (uint32_t)(b.out.n_bytes - at));
        eg_pq_buffer_put(&b.out, "PAR1", 4);
        assert_open(&b, EG_CORRUPT,
                    k == 0   ? "row group 1 has 1 column chunks, but there are 2 columns"
                    : k == 1 ? "root has 3 children, but 2 columns follow"
                             : "the schema is empty");
        b.out.n_bytes = keep;
    }
    pb_close(&b);
}

static void footers_cut_and_changed_are_survived(void **state) {
    (void)state;
    static pb b;
    eg_pq_file *f;
    build(&b);
    pb_finish(&b);
    for (size_t cut = 0; cut < b.out.n_bytes; cut++)
        assert_int_equal(open_bytes(b.out.data, cut, &f, NULL), EG_CORRUPT);
    for (size_t i = (size_t)b.chunks[0][0].column_index_offset; i < b.out.n_bytes; i++) {
        for (int bit = 0; bit < 8; bit++) {
            b.out.data[i] ^= (uint8_t)(1 << bit);
            if (open_built(&b, &f, NULL) == EG_OK) {
                for (uint32_t g = 0; g < eg_pq_file_row_groups(f); g++) {
                    for (uint32_t c = 0; c < eg_pq_file_columns(f); c++) {
                        eg_pq_index x;
                        eg_pq_bounds bounds;
                        if (eg_pq_index_open(f, g, c, &x, NULL) == EG_OK)
                            eg_pq_index_close(&x);
                        eg_pq_file_bounds(f, g, c, &bounds);
                    }
                }
                eg_pq_file_close(f);
            }
            b.out.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    pb_close(&b);
}

static void logical_types_come_from_either_annotation(void **state) {
    (void)state;
    static const struct {
        eg_pq_type type;
        int32_t converted;
        eg_pq_logical_type logical;
        eg_pq_logical expected;
        int detail; /* bits, negative where unsigned; unit */
    } cases[] = {
        {EG_PQ_INT32, -1, {0}, EG_PQ_LOGICAL_NONE, 0},
        {EG_PQ_BYTE_ARRAY, 0, {0}, EG_PQ_LOGICAL_STRING, 0},
        {EG_PQ_BYTE_ARRAY, -1, {.id = 1}, EG_PQ_LOGICAL_STRING, 0},
        {EG_PQ_INT32, 11, {0}, EG_PQ_LOGICAL_INT, -8},
        {EG_PQ_INT32, 12, {0}, EG_PQ_LOGICAL_INT, -16},
        {EG_PQ_INT32, 13, {0}, EG_PQ_LOGICAL_INT, -32},
        {EG_PQ_INT64, 14, {0}, EG_PQ_LOGICAL_INT, -64},
        {EG_PQ_INT32, 15, {0}, EG_PQ_LOGICAL_INT, 8},
        {EG_PQ_INT64, 18, {0}, EG_PQ_LOGICAL_INT, 64},
        {EG_PQ_INT64, 13, {0}, EG_PQ_LOGICAL_NONE, 0}, /* UINT_32 on INT64 says nothing */
        {EG_PQ_INT32, -1, {.id = 10, .bits = 16, .is_signed = false}, EG_PQ_LOGICAL_INT, -16},
        {EG_PQ_INT32, 13, {.id = 10, .bits = 32, .is_signed = true}, EG_PQ_LOGICAL_INT, 32},
        {EG_PQ_INT64, 9, {0}, EG_PQ_LOGICAL_TIMESTAMP, EG_PQ_MILLIS},
        {EG_PQ_INT64, 10, {0}, EG_PQ_LOGICAL_TIMESTAMP, EG_PQ_MICROS},
        {EG_PQ_INT64, -1, {.id = 8, .unit = EG_PQ_NANOS}, EG_PQ_LOGICAL_TIMESTAMP, EG_PQ_NANOS},
        {EG_PQ_INT64, -1, {.id = 8, .unit = 4}, EG_PQ_LOGICAL_OTHER, 0},
        {EG_PQ_INT32, 9, {0}, EG_PQ_LOGICAL_OTHER, 0},
        {EG_PQ_INT32, 5, {0}, EG_PQ_LOGICAL_DECIMAL, 0},
        {EG_PQ_INT32, -1, {.id = 5, .scale = 2, .precision = 9}, EG_PQ_LOGICAL_DECIMAL, 0},
        {EG_PQ_INT32, 6, {0}, EG_PQ_LOGICAL_OTHER, 0}, /* DATE */
        {EG_PQ_BYTE_ARRAY, 19, {0}, EG_PQ_LOGICAL_OTHER, 0},
        {EG_PQ_BYTE_ARRAY, -1, {.id = 2555}, EG_PQ_LOGICAL_OTHER, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static pb b;
        eg_pq_file *f;
        pb_open(&b);
        eg_pq_schema_element *e = pb_column(&b, "c", cases[i].type, false);
        e->converted = cases[i].converted;
        e->logical = cases[i].logical;
        pb_finish(&b);
        assert_int_equal(open_built(&b, &f, NULL), EG_OK);
        const eg_pq_column *c = eg_pq_file_column(f, 0);
        assert_int_equal(c->logical, cases[i].expected);
        if (c->logical == EG_PQ_LOGICAL_INT)
            assert_int_equal(c->is_signed ? c->bits : -c->bits, cases[i].detail);
        if (c->logical == EG_PQ_LOGICAL_TIMESTAMP)
            assert_int_equal(c->unit, cases[i].detail);
        if (cases[i].converted == 9 && c->type == EG_PQ_INT64)
            assert_true(c->is_utc);
        eg_pq_file_close(f);
        pb_close(&b);
    }
}

/* A file of one chunk with statistics; its bounds. */
static eg_pq_bounds bounds_of(eg_pq_type type, int32_t converted, bool no_orders,
                              eg_pq_statistics stats) {
    static pb b; /* the bounds view the file's footer: only their flags are used */
    eg_pq_file *f;
    eg_pq_bounds out;
    pb_open(&b);
    pb_column(&b, "c", type, true)->converted = converted;
    b.no_orders = no_orders;
    b.no_index = true;
    pb_group(&b, 0);
    pb_chunk(&b, EG_PQ_UNCOMPRESSED)->statistics = stats;
    pb_finish(&b);
    assert_int_equal(open_built(&b, &f, NULL), EG_OK);
    eg_pq_file_bounds(f, 0, 0, &out);
    eg_pq_file_close(f);
    pb_close(&b);
    return out;
}

#define BYTES(...)                                                                                 \
    {                                                                                              \
        (const uint8_t[]){__VA_ARGS__}, sizeof(uint8_t[]) {                                        \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define NO_COUNTS .null_count = -1, .distinct_count = -1, .max_exact = -1, .min_exact = -1

static void bounds_count_only_where_the_order_is_known(void **state) {
    (void)state;
    eg_pq_statistics both = {.min_value = BYTES(1, 0, 0, 0),
                             .max_value = BYTES(2, 0, 0, 0),
                             .null_count = 0,
                             .distinct_count = -1,
                             .max_exact = 1,
                             .min_exact = 0};
    eg_pq_bounds b = bounds_of(EG_PQ_INT32, -1, false, both);
    assert_true(b.has_min && b.has_max && b.is_max_exact && !b.is_min_exact);
    assert_int_equal(b.null_count, 0);
    b = bounds_of(EG_PQ_INT32, -1, true, both); /* no column orders */
    assert_false(b.has_min || b.has_max);
    b = bounds_of(EG_PQ_INT64, -1, false, both); /* of the wrong length */
    assert_false(b.has_min || b.has_max);
    b = bounds_of(EG_PQ_INT96, -1, false, both);
    assert_false(b.has_min || b.has_max);
    b = bounds_of(EG_PQ_INT32, 6, false, both); /* DATE */
    assert_true(b.has_min && b.has_max);
    b = bounds_of(EG_PQ_BYTE_ARRAY, 0, false, both);
    assert_true(b.has_min && b.has_max);
    b = bounds_of(EG_PQ_BYTE_ARRAY, 19, false, both); /* JSON */
    assert_false(b.has_min || b.has_max);

    /* -1 to 2: in order for signed, out of order for unsigned numbers */
    eg_pq_statistics sign = {
        .min_value = BYTES(0xff, 0xff, 0xff, 0xff), .max_value = BYTES(2, 0, 0, 0), NO_COUNTS};
    b = bounds_of(EG_PQ_INT32, -1, false, sign);
    assert_true(b.has_min && b.has_max);
    b = bounds_of(EG_PQ_INT32, 13, false, sign);
    assert_false(b.has_min || b.has_max);
    assert_int_equal(b.null_count, -1);

    /* the deprecated ones: signed numbers only, orders or not */
    eg_pq_statistics old = {.min = BYTES(1, 0, 0, 0), .max = BYTES(2, 0, 0, 0), NO_COUNTS};
    b = bounds_of(EG_PQ_INT32, -1, true, old);
    assert_true(b.has_min && b.has_max);
    b = bounds_of(EG_PQ_INT32, 17, true, old);
    assert_true(b.has_min && b.has_max);
    b = bounds_of(EG_PQ_INT32, 13, true, old);
    assert_false(b.has_min || b.has_max);
    b = bounds_of(EG_PQ_BYTE_ARRAY, 0, true, old);
    assert_false(b.has_min || b.has_max);

    /* not a number */
    eg_pq_statistics nan = {
        .min_value = BYTES(0, 0, 0xc0, 0x7f), .max_value = BYTES(0, 0, 0x80, 0x3f), NO_COUNTS};
    b = bounds_of(EG_PQ_FLOAT, -1, false, nan);
    assert_true(!b.has_min && b.has_max);
    /* a count that cannot be */
    eg_pq_statistics odd = {
        .null_count = 5, .distinct_count = -1, .max_exact = -1, .min_exact = -1};
    assert_int_equal(bounds_of(EG_PQ_INT32, -1, false, odd).null_count, -1);
}

static void values_compare_in_the_order_of_their_type(void **state) {
    (void)state;
    const struct {
        eg_pq_column column;
        eg_pq_bytes low, high;
    } cases[] = {
        {{.type = EG_PQ_INT32}, BYTES(0xff, 0xff, 0xff, 0xff), BYTES(0, 0, 0, 0)},
        {{.type = EG_PQ_INT32, .logical = EG_PQ_LOGICAL_INT},
         BYTES(0, 1, 0, 0),
         BYTES(0xff, 0xff, 0xff, 0xff)},
        {{.type = EG_PQ_INT64}, BYTES(0, 0, 0, 0, 0, 0, 0, 0x80), BYTES(0, 0, 0, 0, 0, 0, 0, 0x7f)},
        {{.type = EG_PQ_FLOAT}, BYTES(0, 0, 0x80, 0xbf), BYTES(0, 0, 0x80, 0x3f)},
        {{.type = EG_PQ_DOUBLE},
         BYTES(0, 0, 0, 0, 0, 0, 0xf0, 0xbf),
         BYTES(0, 0, 0, 0, 0, 0, 0, 0)},
        {{.type = EG_PQ_BOOLEAN}, BYTES(0), BYTES(1)},
        {{.type = EG_PQ_BYTE_ARRAY}, BYTES('a'), BYTES('a', 'b')},
        {{.type = EG_PQ_BYTE_ARRAY}, BYTES('a', 'b'), BYTES(0xff)},
        {{.type = EG_PQ_FIXED, .logical = EG_PQ_LOGICAL_DECIMAL}, BYTES(0xff, 0xfe), BYTES(0, 1)},
        {{.type = EG_PQ_BYTE_ARRAY, .logical = EG_PQ_LOGICAL_DECIMAL}, BYTES(0x80, 0), BYTES(0x81)},
        {{.type = EG_PQ_BYTE_ARRAY, .logical = EG_PQ_LOGICAL_DECIMAL}, BYTES(0x7f), BYTES(0, 0x80)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const eg_pq_column *c = &cases[i].column;
        assert_true(eg_pq_column_compare(c, cases[i].low, cases[i].high) < 0);
        assert_true(eg_pq_column_compare(c, cases[i].high, cases[i].low) > 0);
        assert_int_equal(eg_pq_column_compare(c, cases[i].low, cases[i].low), 0);
    }
    eg_pq_column decimal = {.type = EG_PQ_BYTE_ARRAY, .logical = EG_PQ_LOGICAL_DECIMAL};
    assert_int_equal(eg_pq_column_compare(&decimal, (eg_pq_bytes)BYTES(0xff, 0xff, 5),
                                          (eg_pq_bytes)BYTES(0xff, 5)),
                     0);
}

static void all_dictionary_needs_proof(void **state) {
    (void)state;
    static pb b;
    static const struct {
        eg_pq_encoding_stats stats[2];
        uint32_t n;
        bool expected;
    } cases[] = {
        {{{0}}, 0, false},
        {{{EG_PQ_DICTIONARY_PAGE, EG_PQ_PLAIN, 1}, {EG_PQ_DATA_PAGE, EG_PQ_RLE_DICTIONARY, 9}},
         2,
         true},
        {{{EG_PQ_DICTIONARY_PAGE, EG_PQ_PLAIN, 1}, {EG_PQ_DATA_PAGE_V2, EG_PQ_PLAIN_DICTIONARY, 9}},
         2,
         true},
        {{{EG_PQ_DATA_PAGE, EG_PQ_PLAIN, 1}, {EG_PQ_DATA_PAGE, EG_PQ_RLE_DICTIONARY, 9}}, 2, false},
        {{{EG_PQ_DATA_PAGE, EG_PQ_PLAIN, 0}, {EG_PQ_DATA_PAGE, EG_PQ_RLE_DICTIONARY, 9}}, 2, true},
        {{{EG_PQ_DICTIONARY_PAGE, EG_PQ_PLAIN, 1}}, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_pq_file *f;
        build(&b);
        b.chunks[0][0].encoding_stats = cases[i].stats;
        b.chunks[0][0].n_encoding_stats = cases[i].n;
        pb_finish(&b);
        assert_int_equal(open_built(&b, &f, NULL), EG_OK);
        assert_int_equal(eg_pq_file_all_dictionary(f, 0, 0), cases[i].expected);
        eg_pq_file_close(f);
        pb_close(&b);
    }
}

static void page_index_tells_rows_and_bounds(void **state) {
    (void)state;
    static pb b;
    static const uint8_t low[] = {0xfb, 0xff, 0xff, 0xff}, high[] = {0xe8, 3, 0, 0};
    eg_pq_file *f;
    eg_pq_index x;
    build(&b);
    b.min[1][0][0] = (eg_pq_bytes){low, 4};
    b.max[1][0][0] = (eg_pq_bytes){high, 4};
    b.is_null_page[1][0][1] = true;
    pb_finish(&b);
    assert_int_equal(open_built(&b, &f, NULL), EG_OK);
    assert_int_equal(eg_pq_index_open(f, 1, 0, &x, NULL), EG_OK);
    assert_int_equal(x.n_pages, 2);
    assert_non_null(x.bounds);
    assert_int_equal(x.pages[0].first_row, 0);
    assert_int_equal(x.pages[0].n_rows, 4);
    assert_int_equal(x.pages[1].first_row, 4);
    assert_int_equal(x.pages[1].n_rows, 4);
    assert_int_equal(x.pages[1].offset, b.pages[1][0][1].offset);
    assert_true(x.bounds[0].bounds.has_min && x.bounds[0].bounds.has_max);
    assert_memory_equal(x.bounds[0].bounds.max.data, high, 4);
    assert_true(x.bounds[1].is_null_page);
    assert_false(x.bounds[1].bounds.has_min || x.bounds[1].bounds.has_max);
    assert_int_equal(x.bounds[0].bounds.null_count, -1);
    eg_pq_index_close(&x);
    eg_pq_index_close(&x);
    eg_pq_file_close(f);
    pb_close(&b);
}

static void places_of_several_columns_are_those_of_each(void **state) {
    (void)state;
    static pb b;
    static const uint32_t columns[3] = {0, 1, 0};
    eg_pq_file *f;
    eg_pq_index places[3], x;
    eg_pq_index *outs[3] = {&places[0], &places[1], &places[2]};
    int64_t n_read, n_all = 0;
    build(&b);
    pb_finish(&b);
    assert_int_equal(open_built(&b, &f, NULL), EG_OK);
    for (size_t n = 1; n <= 3; n++) {
        assert_int_equal(eg_pq_index_places(f, 1, columns, outs, n, &n_read, NULL), EG_OK);
        assert_true(n_read > n_all || n == 3); /* the first one's again are not read again */
        n_all = n_read;
        for (size_t i = 0; i < n; i++) {
            assert_null(places[i].bounds);
            assert_int_equal(eg_pq_index_open(f, 1, columns[i], &x, NULL), EG_OK);
            assert_int_equal(places[i].n_pages, x.n_pages);
            for (uint32_t k = 0; k < x.n_pages; k++) {
                assert_int_equal(places[i].pages[k].offset, x.pages[k].offset);
                assert_int_equal(places[i].pages[k].first_row, x.pages[k].first_row);
                assert_int_equal(places[i].pages[k].n_rows, x.pages[k].n_rows);
            }
            eg_pq_index_close(&x);
            eg_pq_index_close(&places[i]);
        }
    }
    /* In the other order of the file they are read one by one. */
    assert_int_equal(eg_pq_index_places(f, 1, columns + 1, outs, 2, &n_read, NULL), EG_OK);
    assert_int_equal(places[0].pages[1].offset, b.pages[1][1][1].offset);
    assert_int_equal(places[1].pages[1].offset, b.pages[1][0][1].offset);
    eg_pq_index_close(&places[0]);
    eg_pq_index_close(&places[1]);
    eg_pq_file_close(f);
    pb_close(&b);
}

static void places_that_are_damaged_leave_no_index_open(void **state) {
    (void)state;
    static pb b;
    static const uint32_t columns[2] = {0, 1};
    eg_pq_file *f;
    eg_pq_index places[2];
    eg_pq_index *outs[2] = {&places[0], &places[1]};
    eg_err err;
    int64_t n_read;
    build(&b);
    b.pages[0][1][1].first_row = 9;
    pb_finish(&b);
    assert_int_equal(open_built(&b, &f, NULL), EG_OK);
    assert_int_equal(eg_pq_index_places(f, 0, columns, outs, 2, &n_read, &err), EG_CORRUPT);
    assert_non_null(strstr(err.msg, "column b, row group 0: page index: first rows are not in "));
    assert_null(places[0].pages);
    assert_null(places[1].pages);
    eg_pq_file_close(f);
    pb_close(&b);
}

static void page_index_that_contradicts_the_chunk_is_refused(void **state) {
    (void)state;
    static pb b;
#define REFUSED(change)                                                                            \
    {                                                                                              \
        eg_pq_file *f;                                                                             \
        eg_pq_index x;                                                                             \
        eg_err err;                                                                                \
        build(&b);                                                                                 \
        change;                                                                                    \
        pb_finish(&b);                                                                             \
        assert_int_equal(open_built(&b, &f, NULL), EG_OK);                                         \
        assert_int_equal(eg_pq_index_open(f, 0, 0, &x, &err), EG_CORRUPT);                         \
        assert_non_null(strstr(err.msg, "column a, row group 0: page index: "));                   \
        assert_null(x.pages);                                                                      \
        eg_pq_file_close(f);                                                                       \
        pb_close(&b);                                                                              \
    }
    REFUSED(b.pages[0][0][0].first_row = 1)
    REFUSED(b.pages[0][0][1].first_row = 9)
    REFUSED(b.pages[0][0][1].first_row = -1)
    REFUSED(b.pages[0][0][0].offset = 3)
    REFUSED(b.pages[0][0][1].offset = b.pages[0][0][0].offset)
    REFUSED(b.pages[0][0][1].offset = INT64_MAX)
    REFUSED(b.pages[0][0][1].compressed_bytes = 0)
    REFUSED(b.pages[0][0][1].compressed_bytes += 1)
    REFUSED(b.n_pages[0][0] = 0)
#undef REFUSED
}

static void bloom_filter_answers_from_the_file(void **state) {
    (void)state;
    static pb b;
    eg_pq_file *f;
    eg_pq_bloom bloom;
    uint32_t n_bytes = eg_pq_bloom_bytes(500, 11), n_maybe = 0;
    uint8_t *bits = calloc(1, n_bytes);
    for (int32_t i = 0; i < 500; i++) {
        uint64_t hash = eg_pq_bloom_hash(&i, 4);
        eg_pq_bloom_set(bits + 32 * (size_t)eg_pq_bloom_block(hash, n_bytes / 32), hash);
    }
    build(&b);
    b.chunks[1][0].bloom_filter_offset = (int64_t)b.out.n_bytes;
    eg_pq_encode_bloom_header(&b.out, &(eg_pq_bloom_header){.n_bytes = (int32_t)n_bytes});
    eg_pq_buffer_put(&b.out, bits, n_bytes);
    b.chunks[0][1].bloom_filter_offset = INT64_MAX;
    pb_finish(&b);
    assert_int_equal(open_built(&b, &f, NULL), EG_OK);
    assert_int_equal(eg_pq_bloom_find(f, 0, 0, &bloom, NULL), EG_DONE);
    assert_int_equal(eg_pq_bloom_find(f, 0, 1, &bloom, NULL), EG_CORRUPT);
    assert_int_equal(eg_pq_bloom_find(f, 1, 0, &bloom, NULL), EG_OK);
    assert_int_equal(bloom.n_blocks, n_bytes / 32);
    for (int32_t i = 0; i < 20500; i++) {
        bool maybe = false;
        assert_int_equal(eg_pq_bloom_probe(&bloom, &i, 4, &maybe, NULL), EG_OK);
        if (i < 500)
            assert_true(maybe);
        else
            n_maybe += maybe;
    }
    assert_true(n_maybe < 200);
    eg_pq_file_close(f);
    /* A filter longer than the file, or of no whole block */
    static const int32_t wrong[] = {0, 31, 33, -32, 1 << 30};
    for (int k = 0; k < 5; k++) {
        b.out.n_bytes = (size_t)b.chunks[1][0].bloom_filter_offset;
        eg_pq_encode_bloom_header(&b.out, &(eg_pq_bloom_header){.n_bytes = wrong[k]});
        eg_pq_buffer_put(&b.out, bits, 33);
        pb_finish(&b);
        assert_int_equal(open_built(&b, &f, NULL), EG_OK);
        assert_int_equal(eg_pq_bloom_find(f, 1, 0, &bloom, NULL), EG_CORRUPT);
        eg_pq_file_close(f);
    }
    free(bits);
    pb_close(&b);
}

/* The filters that parquet-mr and parquet-rs wrote for one column of texts. */
static void bloom_filters_of_other_writers_are_understood(void **state) {
    (void)state;
    static const char *const names[] = {"data_index_bloom_encoding_stats.parquet",
                                        "data_index_bloom_encoding_with_length.parquet"};
    const char *root = getenv("EG_PARQUET_TESTING");
    if (root == NULL)
        root = "../shared/parquet-testing";
    for (int k = 0; k < 2; k++) {
        char path[1024];
        eg_pq_file *f;
        eg_pq_bloom bloom;
        eg_pq_index x;
        eg_err err;
        bool maybe;
        snprintf(path, sizeof path, "%s/data/%s", root, names[k]);
        if (access(path, R_OK) != 0)
            skip();
        assert_int_equal(eg_pq_file_open(path, &f, &err), EG_OK);
        assert_int_equal(eg_pq_bloom_find(f, 0, 0, &bloom, &err), EG_OK);
        static const char *const present[] = {"Hello", "This is"};
        for (int i = 0; i < 2; i++) {
            assert_int_equal(
                eg_pq_bloom_probe(&bloom, present[i], strlen(present[i]), &maybe, &err), EG_OK);
            assert_true(maybe);
        }
        int n_maybe = 0;
        for (int i = 0; i < 1000; i++) {
            char absent[16];
            int n = snprintf(absent, sizeof absent, "absent %d", i);
            assert_int_equal(eg_pq_bloom_probe(&bloom, absent, (size_t)n, &maybe, &err), EG_OK);
            n_maybe += maybe;
        }
        assert_true(n_maybe < 50);
        assert_int_equal(eg_pq_index_open(f, 0, 0, &x, &err), EG_OK);
        assert_int_equal(x.n_pages, 1);
        assert_int_equal(x.pages[0].n_rows, 14);
        eg_pq_index_close(&x);
        eg_pq_file_close(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_tells_its_columns_and_rows),
        cmocka_unit_test(what_is_no_parquet_file_is_refused),
        cmocka_unit_test(a_pipe_is_refused_without_waiting),
        cmocka_unit_test(contradictions_in_the_footer_are_refused),
        cmocka_unit_test(footers_cut_and_changed_are_survived),
        cmocka_unit_test(logical_types_come_from_either_annotation),
        cmocka_unit_test(bounds_count_only_where_the_order_is_known),
        cmocka_unit_test(values_compare_in_the_order_of_their_type),
        cmocka_unit_test(all_dictionary_needs_proof),
        cmocka_unit_test(page_index_tells_rows_and_bounds),
        cmocka_unit_test(places_of_several_columns_are_those_of_each),
        cmocka_unit_test(places_that_are_damaged_leave_no_index_open),
        cmocka_unit_test(page_index_that_contradicts_the_chunk_is_refused),
        cmocka_unit_test(bloom_filter_answers_from_the_file),
        cmocka_unit_test(bloom_filters_of_other_writers_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
