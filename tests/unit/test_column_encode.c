/* Claims of dataset/column_encode.h and parquet/shard_parts.h: whichever way a column gets its
** codes (see the table there, and column_encode.c), its rows are read back in stored order, from a
** dictionary in order; a column of one value takes a few bytes a page; an address is found by a
** part of the dictionary. */
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

#include "base/bytes.h"
#include "codec_fixture.h"
#include "dataset/column_encode.h"
#include "light.h"
#include "parquet/pq_reader.h"
#include "parquet/pq_writer.h"
#include "parquet/shard_source.h"
#include "parquet/shard_verify.h"

#define MAX_ROWS 600000
#define LIGHT_ROWS 300000 /* more than are found by hash, too */
#define LINE 64           /* bytes of a text */

static uint64_t seed = 9;
static uint64_t next_random(void) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return seed >> 20;
}

static eg_rows rows;
static eg_row_order order;
static eg_encoder *encoder; /* one for all, as of a store: its tables are of megabytes */
static const eg_pq_bytes files[] = {{(const uint8_t *)"b.pcap", 6}, {(const uint8_t *)"a", 1}};

/* Rows of one day whose numbers of a vector are random, below n_values. */
static void make_rows(uint32_t n, eg_vector vector, uint64_t n_values, bool dotted) {
    eg_layout layout = eg_layout_default;
    layout.dotted = dotted;
    rows.n_rows = n;
    for (uint32_t i = 0; i < n; i++) {
        rows.v.START_MS[i] = 20 * EG_DAY_MS + (int64_t)(next_random() % EG_DAY_MS);
        rows.v.END_MS[i] = rows.v.HEADER_MS[i] = rows.v.START_MS[i];
        rows.v.SRCADDR[i] = (uint32_t)next_random();
    }
    void *array = eg_rows_array(&rows, vector);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t number = next_random() % n_values;
        switch (eg_vector_width(vector)) {
        case 1:
            ((uint8_t *)array)[i] = (uint8_t)number;
            break;
        case 2:
            ((uint16_t *)array)[i] = (uint16_t)number;
            break;
        case 4:
            if (vector == EG_VEC_SRCADDR || vector == EG_VEC_DSTADDR)
                number *= UINT32_C(2654435761); /* all over */
            ((uint32_t *)array)[i] = (uint32_t)number;
            break;
        default:
            ((int64_t *)array)[i] = (int64_t)number;
            break;
        }
    }
    /* The weights of addresses are made of these. */
    if (vector == EG_VEC_SRCADDR || vector == EG_VEC_DSTADDR)
        for (uint32_t i = 0; i < n; i++)
            rows.v.BYTES[i] = rows.v.PACKETS[i] = i % 1000;
    assert_int_equal(eg_row_order_make(&order, &rows, &layout, NULL), EG_OK);
}

/* What a row's number is in a file: a number, or a text. */
static size_t text_of(eg_kind kind, int64_t number, char text[LINE]) {
    if (kind == EG_KIND_IP4)
        return eg_ip4_format((uint32_t)number, text);
    if (kind == EG_KIND_PROTO)
        return eg_proto_format((uint8_t)number, text);
    memcpy(text, files[number].data, files[number].n_bytes);
    return files[number].n_bytes;
}

static void assert_value(const eg_pq_vector *v, const eg_pq_dictionary *d, uint32_t i,
                         const eg_pq_schema_element *element, eg_kind kind, int64_t expected) {
    const void *array = v->has_codes ? d->values.any : v->values.any;
    uint32_t at = v->has_codes ? v->values.codes[i] : i;
    if (element->type == EG_PQ_INT32) {
        assert_int_equal(((const uint32_t *)array)[at], (uint32_t)expected);
    } else if (element->type == EG_PQ_INT64) {
        assert_true(((const int64_t *)array)[at] == expected);
    } else {
        char text[LINE];
        size_t n = text_of(kind, expected, text);
        eg_pq_bytes found = ((const eg_pq_bytes *)array)[at];
        assert_int_equal(found.n_bytes, n);
        assert_memory_equal(found.data, text, n);
    }
}

/* A file of one column, whose schema and path are given back; its descriptor. Verified: checksums,
** bounds, Bloom filter, keys are all as the values are. */
static int make_file(uint32_t n, eg_column column, uint64_t n_values, bool dotted, size_t *n_bytes,
                     eg_pq_schema_element schema[2], char path[LINE]) {
    const eg_column_info *about = eg_column_about(column);
    eg_pq_schema_element all[EG_N_COLUMNS + 1];
    eg_column columns[EG_N_COLUMNS];
    eg_encode_options options = {
        .layout = eg_layout_default, .compression = EG_PQ_ZSTD, .level = EG_PQ_LEVEL_CODES};
    options.layout.dotted = dotted;
    make_rows(n, about->vector, n_values, dotted);
    assert_int_equal(order.n_groups, 1);

    eg_pq_chunk_data data = {0};
    eg_err err = {.msg = ""};
    if (eg_encode_column(encoder, &rows, &order, &order.groups[0], column,
                         (eg_code_texts){files, 2}, &options, &data, &err) != EG_OK)
        fail_msg("%s", err.msg);
    *n_bytes = data.bytes.n_bytes;

    eg_stored_schema(dotted, all);
    uint32_t n_columns = eg_stored_columns(columns), place = 0;
    while (columns[place] != column)
        place++;
    assert_true(place < n_columns);
    schema[0] = all[0];
    schema[0].n_children = 1;
    schema[1] = all[place + 1];

    eg_pq_writer *w;
    eg_shard_facts facts;
    const eg_pq_chunk_data *chunks[] = {&data};
    int fd = memfd_create("column.parquet", MFD_CLOEXEC);
    snprintf(path, LINE, "/proc/self/fd/%d", fd);
    assert_int_equal(eg_pq_writer_open(fd, path, schema, 2, "test", &w, NULL), EG_OK);
    assert_int_equal(eg_pq_writer_add(w, chunks, NULL, 0, &err), EG_OK);
    assert_int_equal(eg_pq_writer_finish(w, NULL, 0, &err), EG_OK);
    eg_pq_writer_close(w);
    eg_pq_chunk_free(&data);
    if (eg_shard_verify(path, (eg_poll){0}, &facts, &err) != EG_OK)
        fail_msg("%s", err.msg);
    return fd;
}

/* Encodes a column, reads it back, and says how many entries its dictionary has; 0 without. */
static uint32_t round_trip(uint32_t n, eg_column column, uint64_t n_values, bool dotted,
                           size_t *n_bytes) {
    const eg_column_info *about = eg_column_about(column);
    eg_pq_schema_element schema[2];
    char path[LINE];
    int fd = make_file(n, column, n_values, dotted, n_bytes, schema, path);
    eg_pq_file *f;
    eg_pq_reader *r;
    eg_pq_vector v;
    eg_err err = {.msg = ""};
    const eg_pq_dictionary *d = NULL;
    uint32_t row = 0, n_entries = 0;
    assert_int_equal(eg_pq_file_open_fd(fd, "column.parquet", &f, &err), EG_OK);
    assert_int_equal(eg_pq_reader_open(f, 0, 0, codec, &r, NULL), EG_OK);
    eg_status rc = eg_pq_reader_dictionary(r, &d, NULL);
    assert_true(rc == EG_OK || rc == EG_DONE);
    if (rc == EG_OK)
        n_entries = d->n_entries;
    while ((rc = eg_pq_reader_next(r, 10000, &v, NULL)) == EG_OK)
        for (uint32_t i = 0; i < v.n_rows; i++) {
            int64_t expected;
            eg_rows_gather(&rows, about->vector, &order.rows[row++], 1, &expected);
            assert_value(&v, d, i, &schema[1], about->kind, expected);
        }
    assert_int_equal(rc, EG_DONE);
    assert_int_equal(row, n);
    eg_pq_reader_close(r);
    eg_pq_file_close(f);
    return n_entries;
}

static const eg_column all_ways[] = {EG_COL_SRCADDR,  EG_COL_DSTADDR,  EG_COL_SRCPORT,
                                     EG_COL_PROTOCOL, EG_COL_TOS,      EG_COL_DURATION_MS,
                                     EG_COL_BYTES,    EG_COL_PACKETS,  EG_COL_END_TIME,
                                     EG_COL_FILE,     EG_COL_EXPORTER, EG_COL_FLOW_SEQUENCE};
#define N_WAYS (sizeof all_ways / sizeof *all_ways)

static uint64_t most_values(eg_column column, uint64_t n_values) {
    const eg_column_info *about = eg_column_about(column);
    uint64_t most = about->kind == EG_KIND_TEXT           ? 2
                    : about->vector == EG_VEC_DURATION_MS ? UINT64_C(1) << 31
                    : eg_vector_width(about->vector) == 8
                        ? UINT64_MAX
                        : UINT64_C(1) << 8 * eg_vector_width(about->vector);
    return n_values < most ? n_values : most;
}

static void columns_come_back_however_many_values_they_have(void **state) {
    (void)state;
    static const uint32_t counts[] = {1, 7, 8, 5000, 40000};
    static const uint64_t values[] = {1, 2, 300, 70000, UINT64_C(1) << 32, UINT64_C(1) << 40};
    size_t n_bytes;
    for (size_t c = 0; c < sizeof counts / sizeof *counts - is_light(); c++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            for (size_t w = 0; w < N_WAYS; w++)
                for (int dotted = 0; dotted < 2; dotted++)
                    round_trip(counts[c], all_ways[w], most_values(all_ways[w], values[v]), dotted,
                               &n_bytes);
}

/* More than are found by hash, in the order of nothing and in that of runs. */
static void addresses_beyond_all_tables_come_back(void **state) {
    (void)state;
    size_t n_bytes;
    const uint32_t n = is_light() ? LIGHT_ROWS : MAX_ROWS, n_most = n / 6 * 5;
    assert_true(round_trip(n, EG_COL_DSTADDR, UINT64_C(1) << 32, false, &n_bytes) > n_most);
    assert_true(round_trip(n, EG_COL_SRCADDR, UINT64_C(1) << 32, true, &n_bytes) > n_most);
    if (!is_light())
        assert_true(round_trip(n, EG_COL_DSTADDR, 100000, true, &n_bytes) > 99000);
}

static void a_column_of_one_value_is_a_few_bytes_a_page(void **state) {
    (void)state;
    for (size_t w = 0; w < N_WAYS; w++) {
        size_t n_bytes;
        if (all_ways[w] == EG_COL_END_TIME || all_ways[w] == EG_COL_FLOW_SEQUENCE)
            continue;
        assert_int_equal(round_trip(40000, all_ways[w], 1, true, &n_bytes), 1);
        assert_true(n_bytes < 50 * order.groups[0].n_pages);
    }
}

/* Counters that are too many for a dictionary, and such as 32 bits do not hold, are values. */
static void numbers_without_a_dictionary_are_values(void **state) {
    (void)state;
    size_t n_bytes;
    assert_int_equal(round_trip(40000, EG_COL_BYTES, 1000, true, &n_bytes), 1000);
    assert_int_equal(round_trip(40000, EG_COL_BYTES, UINT64_C(1) << 32, true, &n_bytes), 0);
    assert_int_equal(round_trip(40000, EG_COL_DURATION_MS, 10000, true, &n_bytes), 0);
    assert_int_equal(round_trip(40000, EG_COL_PACKETS, UINT64_C(1) << 40, true, &n_bytes), 0);
}

/* How many rows of a file have a number in its one column, and what a scan for them reads. */
static uint32_t count_rows(const char *path, eg_column column, int64_t number, int64_t *n_read) {
    const eg_column_info *about = eg_column_about(column);
    eg_predicate where = {0};
    eg_shard_list list = {0};
    eg_shard *shard;
    eg_source *source;
    eg_piece *piece;
    eg_batch b = {0};
    eg_scan_stats stats = {0};
    eg_scan_spec spec = {.vectors = EG_VECTOR_BIT(about->vector), .where = &where};
    uint32_t n_found = 0;
    assert_int_equal(eg_predicate_range(&where, column, number, number, false, NULL), EG_OK);
    assert_int_equal(eg_intern_open(&spec.texts, NULL), EG_OK);
    assert_int_equal(eg_shard_list_add(&list, path, &shard, NULL), EG_OK);
    assert_int_equal(eg_batch_open(&b, spec.vectors, spec.texts, NULL), EG_OK);
    assert_int_equal(eg_shard_source_open(&list, &spec, &source, NULL), EG_OK);
    while (source->ops->next_piece(source, &piece, NULL) == EG_OK) {
        while (piece->ops->next(piece, &b, NULL) == EG_OK)
            for (uint32_t i = 0; i < b.n_rows; i++)
                n_found += eg_batch_number(&b, column, i) == number;
        piece->ops->close(piece, &stats);
    }
    source->ops->close(source, &stats);
    eg_batch_close(&b);
    eg_intern_close(spec.texts);
    eg_predicate_clear(&where);
    *n_read = stats.bytes_read;
    return n_found;
}

/* All rows of one source address, of many, for the bytes of a few pages and a part. */
static void one_address_of_many_is_found_without_the_dictionary(void **state) {
    (void)state;
    for (int dotted = 0; dotted < 2; dotted++) {
        size_t n_bytes;
        eg_pq_schema_element schema[2];
        char path[LINE];
        int64_t n_read;
        int fd = make_file(100000, EG_COL_SRCADDR, 50000, dotted, &n_bytes, schema, path);
        for (uint32_t k = 0; k < 100000; k += 9999) {
            uint32_t addr = rows.v.SRCADDR[k], expected = 0;
            for (uint32_t i = 0; i < 100000; i++)
                expected += rows.v.SRCADDR[i] == addr;
            assert_int_equal(count_rows(path, EG_COL_SRCADDR, addr, &n_read), expected);
            assert_true(n_read < (int64_t)n_bytes / 3); /* most is the dictionary */
        }
        /* None that is absent, whether the Bloom filter says so or the dictionary. */
        for (uint32_t addr = 1; addr < 100; addr++)
            assert_int_equal(count_rows(path, EG_COL_SRCADDR, addr, &n_read), 0);
        close(fd);
    }
}

/* Counters are read whole by rankings: twice as many rows share the cost of a page. */
static void counters_have_pages_of_twice_the_rows(void **state) {
    (void)state;
    static const eg_column columns[] = {EG_COL_SRCADDR, EG_COL_BYTES, EG_COL_PACKETS};
    for (int c = 0; c < 3; c++) {
        size_t n_bytes;
        eg_pq_schema_element schema[2];
        char path[LINE];
        eg_pq_file *f;
        eg_pq_index index;
        int fd = make_file(100000, columns[c], 1000, true, &n_bytes, schema, path);
        assert_int_equal(eg_pq_file_open_fd(fd, path, &f, NULL), EG_OK);
        assert_int_equal(eg_pq_index_open(f, 0, 0, &index, NULL), EG_OK);
        uint32_t n_pages = order.groups[0].n_pages;
        assert_int_equal(index.n_pages, c == 0 ? n_pages : (n_pages + 1) / 2);
        eg_pq_index_close(&index);
        eg_pq_file_close(f);
    }
}

static int open_all(void **state) {
    if (eg_rows_open(&rows, NULL) != EG_OK || eg_encoder_open(&encoder, NULL) != EG_OK)
        return -1;
    return open_codec(state);
}

static int close_all(void **state) {
    eg_encoder_close(encoder);
    eg_rows_close(&rows);
    eg_row_order_close(&order);
    return close_codec(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_come_back_however_many_values_they_have),
        cmocka_unit_test(addresses_beyond_all_tables_come_back),
        cmocka_unit_test(a_column_of_one_value_is_a_few_bytes_a_page),
        cmocka_unit_test(numbers_without_a_dictionary_are_values),
        cmocka_unit_test(one_address_of_many_is_found_without_the_dictionary),
        cmocka_unit_test(counters_have_pages_of_twice_the_rows),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
