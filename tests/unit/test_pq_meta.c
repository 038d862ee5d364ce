/* Claims of parquet/pq_meta.c and pq_meta_write.c: each struct is read as it was
** written, absent fields included; required fields are required; no input, cut or
** changed, is read beyond its bytes or takes more memory than the budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "light.h"
#include "pq_build.h"

static void assert_bytes(eg_pq_bytes found, eg_pq_bytes expected) {
    assert_int_equal(found.data == NULL, expected.data == NULL);
    assert_int_equal(found.n_bytes, expected.n_bytes);
    if (expected.n_bytes > 0)
        assert_memory_equal(found.data, expected.data, expected.n_bytes);
}

/* A footer in which everything is there. */
static void make_full(eg_pq_buffer *out) {
    static const int32_t encodings[] = {EG_PQ_PLAIN, EG_PQ_RLE, EG_PQ_RLE_DICTIONARY};
    static const eg_pq_encoding_stats stats[] = {{EG_PQ_DICTIONARY_PAGE, EG_PQ_PLAIN, 1},
                                                 {EG_PQ_DATA_PAGE, EG_PQ_RLE_DICTIONARY, 70000}};
    static const eg_pq_sorting_column sorting[] = {{1, true, false}, {0, false, true}};
    static const bool orders[] = {true, true};
    eg_pq_bytes path[] = {pb_text("time"), pb_text("addr")};
    eg_pq_key_value values[] = {{pb_text("k"), pb_text("v")}, {pb_text("only a key"), {NULL, 0}}};
    eg_pq_schema_element schema[] = {
        {.repetition = -1, .converted = -1, .name = pb_text("root"), .n_children = 2},
        {.has_type = true,
         .type = EG_PQ_INT64,
         .name = pb_text("time"),
         .converted = EG_PQ_CONVERTED_TIMESTAMP_MILLIS,
         .logical = {.id = EG_PQ_LOGICAL_ID_TIMESTAMP, .unit = EG_PQ_MILLIS, .is_utc = true}},
        {.has_type = true,
         .type = EG_PQ_INT32,
         .repetition = EG_PQ_OPTIONAL,
         .name = pb_text("addr"),
         .converted = 13,
         .logical = {.id = EG_PQ_LOGICAL_ID_INTEGER, .bits = 32}},
    };
    eg_pq_chunk chunks[2];
    for (int i = 0; i < 2; i++)
        chunks[i] = (eg_pq_chunk){.file_offset = 4,
                                  .offset_index_offset = 900,
                                  .offset_index_length = 33,
                                  .column_index_offset = 1000,
                                  .column_index_length = 44,
                                  .type = i == 0 ? EG_PQ_INT64 : EG_PQ_INT32,
                                  .codec = EG_PQ_ZSTD,
                                  .encodings = encodings,
                                  .path = &path[i],
                                  .n_encodings = 3,
                                  .n_path = 1,
                                  .num_values = INT64_C(5000000000),
                                  .total_uncompressed_bytes = 7,
                                  .total_compressed_bytes = 8,
                                  .data_page_offset = 9,
                                  .index_page_offset = 10,
                                  .dictionary_page_offset = 4,
                                  .statistics = {.max = pb_text("d"),
                                                 .min = pb_text(""),
                                                 .max_value = pb_text("dddd"),
                                                 .min_value = pb_text("aaaa"),
                                                 .null_count = 0,
                                                 .distinct_count = 12,
                                                 .max_exact = 1,
                                                 .min_exact = 0},
                                  .key_values = values,
                                  .n_key_values = 2,
                                  .encoding_stats = stats,
                                  .n_encoding_stats = 2,
                                  .bloom_filter_offset = 77,
                                  .bloom_filter_length = 1040};
    eg_pq_row_group groups[20];
    for (int i = 0; i < 20; i++)
        groups[i] = (eg_pq_row_group){.chunks = chunks,
                                      .n_chunks = 2,
                                      .n_sorting = 2,
                                      .sorting = sorting,
                                      .total_bytes = 123,
                                      .num_rows = i,
                                      .file_offset = 4,
                                      .total_compressed_bytes = 99,
                                      .ordinal = (int16_t)i};
    eg_pq_file_meta m = {.version = 2,
                         .n_schema = 3,
                         .schema = schema,
                         .num_rows = 190,
                         .row_groups = groups,
                         .n_row_groups = 20,
                         .n_key_values = 2,
                         .key_values = values,
                         .created_by = pb_text("earlgrey version 1"),
                         .has_type_order = orders,
                         .n_column_orders = 2};
    eg_pq_encode_file_meta(out, &m);
}

static eg_status decode(const uint8_t *p, size_t n, size_t budget, eg_pq_arena *arena,
                        eg_pq_file_meta *m, eg_err *err) {
    eg_pq_thrift r;
    *arena = (eg_pq_arena){.budget_bytes = budget};
    eg_pq_thrift_init(&r, p, n, "f", "footer", 0, err);
    return eg_pq_decode_file_meta(&r, arena, m);
}

static void footer_is_read_as_written(void **state) {
    (void)state;
    eg_pq_buffer b = {0}, again = {0};
    eg_pq_arena arena;
    eg_pq_file_meta m;
    make_full(&b);
    assert_int_equal(decode(b.data, b.n_bytes, 1 << 20, &arena, &m, NULL), EG_OK);
    assert_int_equal(m.version, 2);
    assert_int_equal(m.num_rows, 190);
    assert_int_equal(m.n_schema, 3);
    assert_int_equal(m.n_row_groups, 20);
    assert_int_equal(m.n_column_orders, 2);
    assert_true(m.has_type_order[0] && m.has_type_order[1]);
    assert_false(m.is_encrypted);
    assert_bytes(m.created_by, pb_text("earlgrey version 1"));
    assert_bytes(m.key_values[1].key, pb_text("only a key"));
    assert_null(m.key_values[1].value.data);
    assert_int_equal(m.schema[0].n_children, 2);
    assert_int_equal(m.schema[0].repetition, -1);
    assert_false(m.schema[0].has_type);
    assert_int_equal(m.schema[1].logical.id, EG_PQ_LOGICAL_ID_TIMESTAMP);
    assert_int_equal(m.schema[1].logical.unit, EG_PQ_MILLIS);
    assert_true(m.schema[1].logical.is_utc);
    assert_int_equal(m.schema[2].logical.bits, 32);
    assert_false(m.schema[2].logical.is_signed);
    assert_int_equal(m.schema[2].converted, 13);
    const eg_pq_row_group *g = &m.row_groups[19];
    assert_int_equal(g->num_rows, 19);
    assert_int_equal(g->ordinal, 19);
    assert_int_equal(g->total_compressed_bytes, 99);
    assert_true(g->sorting[0].is_descending && !g->sorting[0].is_nulls_first);
    assert_true(!g->sorting[1].is_descending && g->sorting[1].is_nulls_first);
    const eg_pq_chunk *k = &g->chunks[1];
    assert_int_equal(k->num_values, INT64_C(5000000000));
    assert_int_equal(k->dictionary_page_offset, 4);
    assert_int_equal(k->offset_index_length, 33);
    assert_int_equal(k->column_index_offset, 1000);
    assert_int_equal(k->bloom_filter_length, 1040);
    assert_int_equal(k->encodings[2], EG_PQ_RLE_DICTIONARY);
    assert_int_equal(k->encoding_stats[1].n_pages, 70000);
    assert_bytes(k->path[0], pb_text("addr"));
    assert_bytes(k->statistics.min, pb_text(""));
    assert_bytes(k->statistics.max_value, pb_text("dddd"));
    assert_int_equal(k->statistics.max_exact, 1);
    assert_int_equal(k->statistics.min_exact, 0);
    assert_int_equal(k->statistics.distinct_count, 12);
    /* What was read is written to the same bytes. */
    eg_pq_encode_file_meta(&again, &m);
    assert_int_equal(again.n_bytes, b.n_bytes);
    assert_memory_equal(again.data, b.data, b.n_bytes);
    eg_pq_arena_free(&arena);
    eg_pq_buffer_free(&again);
    eg_pq_buffer_free(&b);
}

static void footer_of_absent_things_reads_them_as_absent(void **state) {
    (void)state;
    eg_pq_bytes path = pb_text("x");
    eg_pq_chunk chunk = {
        .path = &path,
        .n_path = 1,
        .statistics = {.null_count = -1, .distinct_count = -1, .max_exact = -1, .min_exact = -1}};
    eg_pq_row_group group = {
        .chunks = &chunk, .n_chunks = 1, .total_compressed_bytes = -1, .ordinal = -1};
    eg_pq_schema_element schema[] = {{.repetition = -1, .converted = -1, .name = pb_text("")}};
    eg_pq_file_meta m = {.schema = schema, .n_schema = 1, .row_groups = &group, .n_row_groups = 1},
                    found;
    eg_pq_buffer b = {0};
    eg_pq_arena arena;
    eg_pq_encode_file_meta(&b, &m);
    assert_int_equal(decode(b.data, b.n_bytes, 1 << 20, &arena, &found, NULL), EG_OK);
    assert_null(found.created_by.data);
    assert_int_equal(found.n_column_orders, 0);
    assert_int_equal(found.row_groups[0].ordinal, -1);
    assert_int_equal(found.row_groups[0].total_compressed_bytes, -1);
    const eg_pq_statistics *s = &found.row_groups[0].chunks[0].statistics;
    assert_int_equal(s->null_count, -1);
    assert_int_equal(s->max_exact, -1);
    assert_null(s->min_value.data);
    assert_int_equal(found.row_groups[0].chunks[0].bloom_filter_offset, 0);
    eg_pq_arena_free(&arena);
    eg_pq_buffer_free(&b);
}

static void footer_cut_anywhere_is_corrupt(void **state) {
    (void)state;
    eg_pq_buffer b = {0};
    make_full(&b);
    for (size_t cut = 0; cut < b.n_bytes; cut += is_light() ? 3 : 1) {
        eg_pq_arena arena;
        eg_pq_file_meta m;
        uint8_t *p = malloc(cut + 1);
        memcpy(p, b.data, cut);
        assert_int_equal(decode(p, cut, 1 << 20, &arena, &m, NULL), EG_CORRUPT);
        eg_pq_arena_free(&arena);
        free(p);
    }
    eg_pq_buffer_free(&b);
}

static void footer_with_any_byte_changed_is_survived(void **state) {
    (void)state;
    eg_pq_buffer b = {0};
    make_full(&b);
    uint8_t *p = malloc(b.n_bytes);
    memcpy(p, b.data, b.n_bytes);
    for (size_t i = 0; i < b.n_bytes; i++) {
        static const uint8_t changes[] = {1, 0x80, 0xff, 0x0f, 0xf0, 4};
        for (size_t k = is_light() ? i % 6 : 0; k < sizeof changes; k += is_light() ? 6 : 1) {
            eg_pq_arena arena;
            eg_pq_file_meta m;
            p[i] ^= changes[k];
            eg_status rc = decode(p, b.n_bytes, 16 * b.n_bytes + (1 << 16), &arena, &m, NULL);
            assert_true(rc == EG_OK || rc == EG_CORRUPT || rc == EG_LIMIT);
            eg_pq_arena_free(&arena);
            p[i] ^= changes[k];
        }
    }
    free(p);
    eg_pq_buffer_free(&b);
}

static void footer_of_hollow_elements_meets_the_budget(void **state) {
    (void)state;
    /* 100,000 columns whose names are empty: 3 bytes each, 80 when decoded. */
    eg_pq_buffer b = {0};
    eg_pq_thrift_writer w;
    eg_err err;
    eg_pq_arena arena;
    eg_pq_file_meta m;
    eg_pq_thrift_writer_init(&w, &b);
    eg_pq_thrift_begin(&w);
    eg_pq_thrift_put_list(&w, 2, EG_PQ_WIRE_STRUCT, 100000);
    for (int i = 0; i < 100000; i++) {
        eg_pq_thrift_begin(&w);
        eg_pq_thrift_put_binary(&w, 4, pb_text(""));
        eg_pq_thrift_end(&w);
    }
    assert_int_equal(decode(b.data, b.n_bytes, 16 * b.n_bytes, &arena, &m, &err), EG_LIMIT);
    assert_non_null(strstr(err.msg, "far more elements"));
    eg_pq_arena_free(&arena);
    eg_pq_buffer_free(&b);
}

static void structs_without_required_fields_are_corrupt(void **state) {
    (void)state;
    static const uint8_t nothing[] = {0};
    eg_pq_arena arena = {.budget_bytes = 10000};
    eg_pq_thrift r;
    eg_pq_file_meta m;
    eg_pq_page_header h;
    eg_pq_offset_index o;
    eg_pq_column_index x;
    eg_pq_bloom_header bloom;
    eg_pq_thrift_init(&r, nothing, 1, "f", "x", 0, NULL);
    assert_int_equal(eg_pq_decode_file_meta(&r, &arena, &m), EG_CORRUPT);
    eg_pq_thrift_init(&r, nothing, 1, "f", "x", 0, NULL);
    assert_int_equal(eg_pq_decode_page_header(&r, &h), EG_CORRUPT);
    eg_pq_thrift_init(&r, nothing, 1, "f", "x", 0, NULL);
    assert_int_equal(eg_pq_decode_offset_index(&r, &arena, &o), EG_CORRUPT);
    eg_pq_thrift_init(&r, nothing, 1, "f", "x", 0, NULL);
    assert_int_equal(eg_pq_decode_column_index(&r, &arena, &x), EG_CORRUPT);
    eg_pq_thrift_init(&r, nothing, 1, "f", "x", 0, NULL);
    assert_int_equal(eg_pq_decode_bloom_header(&r, &bloom), EG_CORRUPT);
    /* a data page that has only a dictionary's part */
    eg_pq_buffer b = {0};
    eg_pq_encode_page_header(&b, &(eg_pq_page_header){.type = EG_PQ_DICTIONARY_PAGE});
    b.data[1] = 0; /* type DATA_PAGE */
    eg_pq_thrift_init(&r, b.data, b.n_bytes, "f", "x", 0, NULL);
    assert_int_equal(eg_pq_decode_page_header(&r, &h), EG_CORRUPT);
    eg_pq_buffer_free(&b);
    eg_pq_arena_free(&arena);
}

static void page_headers_are_read_as_written(void **state) {
    (void)state;
    static const eg_pq_page_header in[] = {
        {.type = EG_PQ_DATA_PAGE,
         .uncompressed_bytes = 10,
         .compressed_bytes = 8,
         .has_crc = true,
         .crc = 0xfedcba98,
         .has_body = true,
         .num_values = 3,
         .encoding = EG_PQ_PLAIN,
         .level_encoding = EG_PQ_RLE,
         .is_compressed = true},
        {.type = EG_PQ_DATA_PAGE_V2,
         .uncompressed_bytes = INT32_MAX,
         .compressed_bytes = 8,
         .has_body = true,
         .num_values = 30,
         .num_nulls = 2,
         .num_rows = 30,
         .encoding = EG_PQ_DELTA_BYTE_ARRAY,
         .definition_bytes = 5,
         .repetition_bytes = 1},
        {.type = EG_PQ_DICTIONARY_PAGE,
         .has_body = true,
         .num_values = 30000,
         .is_sorted = true,
         .is_compressed = true},
    };
    for (size_t i = 0; i < 3; i++) {
        eg_pq_buffer b = {0};
        eg_pq_thrift r;
        eg_pq_page_header out;
        eg_pq_encode_page_header(&b, &in[i]);
        eg_pq_thrift_init(&r, b.data, b.n_bytes, "f", "page header", 0, NULL);
        assert_int_equal(eg_pq_decode_page_header(&r, &out), EG_OK);
        assert_int_equal(r.pos, b.n_bytes);
        assert_int_equal(out.type, in[i].type);
        assert_int_equal(out.uncompressed_bytes, in[i].uncompressed_bytes);
        assert_int_equal(out.compressed_bytes, in[i].compressed_bytes);
        assert_int_equal(out.has_crc, in[i].has_crc);
        assert_int_equal(out.crc, in[i].crc);
        assert_int_equal(out.num_values, in[i].num_values);
        assert_int_equal(out.num_nulls, in[i].num_nulls);
        assert_int_equal(out.num_rows, in[i].num_rows);
        assert_int_equal(out.encoding, in[i].encoding);
        assert_int_equal(out.level_encoding, in[i].level_encoding);
        assert_int_equal(out.definition_bytes, in[i].definition_bytes);
        assert_int_equal(out.repetition_bytes, in[i].repetition_bytes);
        assert_int_equal(out.is_compressed, in[i].is_compressed);
        assert_int_equal(out.is_sorted, in[i].is_sorted);
        eg_pq_buffer_free(&b);
    }
}

/* Read in one go where the rest of the index is long enough, it fails all the same. */
static void a_page_of_more_than_2_gib_is_refused(void **state) {
    (void)state;
    static const uint8_t index[60] = {0x19, 0x1c, 0x16, 2,    0x15, 0x80,
                                      0x80, 0x80, 0x80, 0x20, 0x16};
    eg_pq_arena arena = {.budget_bytes = 10000};
    eg_pq_thrift r;
    eg_pq_offset_index o;
    eg_err err;
    eg_pq_thrift_init(&r, index, sizeof index, "f", "offset index", 0, &err);
    assert_int_equal(eg_pq_decode_offset_index(&r, &arena, &o), EG_CORRUPT);
    assert_non_null(strstr(err.msg, "number 4294967296, expected -2147483648 to 2147483647"));
    eg_pq_arena_free(&arena);
}

static void indexes_are_read_as_written(void **state) {
    (void)state;
    eg_pq_page_location pages[40];
    bool nulls[40];
    eg_pq_bytes mins[40], maxs[40];
    int64_t counts[40];
    for (int i = 0; i < 40; i++) {
        pages[i] = (eg_pq_page_location){INT64_C(1) << (i + 3), 100 + i, i * 1000};
        nulls[i] = i % 3 == 0;
        mins[i] = nulls[i] ? (eg_pq_bytes){NULL, 0} : pb_text("aa");
        maxs[i] = nulls[i] ? (eg_pq_bytes){NULL, 0} : pb_text("zzz");
        counts[i] = i;
    }
    eg_pq_buffer b = {0};
    eg_pq_arena arena = {.budget_bytes = 1 << 16};
    eg_pq_thrift r;
    eg_pq_offset_index o;
    eg_pq_column_index x;
    eg_pq_encode_offset_index(&b, &(eg_pq_offset_index){pages, 40});
    eg_pq_thrift_init(&r, b.data, b.n_bytes, "f", "offset index", 0, NULL);
    assert_int_equal(eg_pq_decode_offset_index(&r, &arena, &o), EG_OK);
    assert_int_equal(o.n_pages, 40);
    for (int i = 0; i < 40; i++) {
        assert_true(o.pages[i].offset == pages[i].offset);
        assert_int_equal(o.pages[i].compressed_bytes, pages[i].compressed_bytes);
        assert_int_equal(o.pages[i].first_row, pages[i].first_row);
    }
    for (int has_counts = 0; has_counts < 2; has_counts++) {
        eg_pq_column_index in = {nulls,           mins, maxs, has_counts ? counts : NULL, 40,
                                 EG_PQ_DESCENDING};
        eg_pq_buffer_clear(&b);
        eg_pq_encode_column_index(&b, &in);
        eg_pq_thrift_init(&r, b.data, b.n_bytes, "f", "column index", 0, NULL);
        assert_int_equal(eg_pq_decode_column_index(&r, &arena, &x), EG_OK);
        assert_int_equal(x.n_pages, 40);
        assert_int_equal(x.boundary_order, EG_PQ_DESCENDING);
        assert_int_equal(x.null_counts != NULL, has_counts);
        for (int i = 0; i < 40; i++) {
            assert_int_equal(x.is_null_page[i], nulls[i]);
            assert_int_equal(x.max_values[i].n_bytes, maxs[i].n_bytes);
            if (has_counts)
                assert_int_equal(x.null_counts[i], i);
        }
    }
    /* Lists of different lengths in one index */
    eg_pq_thrift_writer w;
    eg_pq_buffer_clear(&b);
    eg_pq_thrift_writer_init(&w, &b);
    eg_pq_thrift_begin(&w);
    eg_pq_thrift_put_list(&w, 1, EG_PQ_WIRE_TRUE, 2);
    eg_pq_thrift_item_bool(&w, false);
    eg_pq_thrift_item_bool(&w, false);
    for (int16_t id = 2; id <= 3; id++) {
        eg_pq_thrift_put_list(&w, id, EG_PQ_WIRE_BINARY, 1);
        eg_pq_thrift_item_binary(&w, pb_text("x"));
    }
    eg_pq_thrift_put_i32(&w, 4, 0);
    eg_pq_thrift_end(&w);
    eg_pq_thrift_init(&r, b.data, b.n_bytes, "f", "column index", 0, NULL);
    assert_int_equal(eg_pq_decode_column_index(&r, &arena, &x), EG_CORRUPT);
    eg_pq_buffer_clear(&b);
    eg_pq_bloom_header bloom;
    eg_pq_encode_bloom_header(&b, &(eg_pq_bloom_header){.n_bytes = 1024});
    eg_pq_thrift_init(&r, b.data, b.n_bytes, "f", "Bloom filter", 0, NULL);
    assert_int_equal(eg_pq_decode_bloom_header(&r, &bloom), EG_OK);
    assert_int_equal(bloom.n_bytes, 1024);
    assert_true(bloom.is_split_block);
    eg_pq_arena_free(&arena);
    eg_pq_buffer_free(&b);
}

static void logical_types_of_later_days_are_kept_as_numbers(void **state) {
    (void)state;
    eg_pq_schema_element schema[] = {
        {.repetition = -1, .converted = -1, .name = pb_text("r"), .n_children = 1},
        {.has_type = true,
         .type = EG_PQ_INT64,
         .converted = -1,
         .name = pb_text("t"),
         .logical = {.id = 2555}}};
    eg_pq_file_meta m = {.schema = schema, .n_schema = 2}, found;
    eg_pq_buffer b = {0};
    eg_pq_arena arena;
    eg_pq_encode_file_meta(&b, &m);
    assert_int_equal(decode(b.data, b.n_bytes, 1 << 16, &arena, &found, NULL), EG_OK);
    assert_int_equal(found.schema[1].logical.id, 2555);
    eg_pq_arena_free(&arena);
    eg_pq_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(footer_is_read_as_written),
        cmocka_unit_test(footer_of_absent_things_reads_them_as_absent),
        cmocka_unit_test(footer_cut_anywhere_is_corrupt),
        cmocka_unit_test(footer_with_any_byte_changed_is_survived),
        cmocka_unit_test(footer_of_hollow_elements_meets_the_budget),
        cmocka_unit_test(structs_without_required_fields_are_corrupt),
        cmocka_unit_test(page_headers_are_read_as_written),
        cmocka_unit_test(a_page_of_more_than_2_gib_is_refused),
        cmocka_unit_test(indexes_are_read_as_written),
        cmocka_unit_test(logical_types_of_later_days_are_kept_as_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
