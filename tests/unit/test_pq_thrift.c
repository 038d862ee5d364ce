/* Claims of parquet/pq_thrift.c: what is written is read back; nothing is read
** beyond the bytes; lengths, depth and types are bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/pq_thrift.h"

static eg_pq_thrift reader(const void *bytes, size_t n, eg_err *err) {
    eg_pq_thrift r;
    eg_pq_thrift_init(&r, bytes, n, "f.parquet", "footer", 1000, err);
    return r;
}

static void thrift_reads_what_it_writes(void **state) {
    (void)state;
    static const int64_t numbers[] = {0,   1,         -1,        63,        64,        -64,
                                      -65, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 300};
    eg_pq_buffer b = {0};
    eg_pq_thrift_writer w;
    eg_pq_thrift_writer_init(&w, &b);
    eg_pq_thrift_begin(&w);
    eg_pq_thrift_put_bool(&w, 1, true);
    eg_pq_thrift_put_bool(&w, 2, false);
    eg_pq_thrift_put_i8(&w, 3, -128);
    eg_pq_thrift_put_i16(&w, 4, INT16_MIN);
    eg_pq_thrift_put_i32(&w, 5, INT32_MIN);
    eg_pq_thrift_put_binary(&w, 40, (eg_pq_bytes){(const uint8_t *)"abc", 3});
    eg_pq_thrift_put_list(&w, 41, EG_PQ_WIRE_I64, sizeof numbers / sizeof *numbers);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        eg_pq_thrift_item_int(&w, numbers[i]);
    eg_pq_thrift_put_list(&w, 42, EG_PQ_WIRE_TRUE, 20);
    for (int i = 0; i < 20; i++)
        eg_pq_thrift_item_bool(&w, i % 3 == 0);
    eg_pq_thrift_put_struct(&w, 43);
    eg_pq_thrift_put_i64(&w, 1, -5);
    eg_pq_thrift_end(&w);
    eg_pq_thrift_put_i32(&w, 7, 9); /* an id below the one before */
    eg_pq_thrift_end(&w);
    assert_int_equal(b.status, EG_OK);
    assert_int_equal(w.depth, 0);

    eg_err err;
    eg_pq_thrift r = reader(b.data, b.n_bytes, &err);
    int16_t id = 0;
    eg_pq_wire wire;
    assert_true(eg_pq_thrift_enter(&r));
    assert_true(eg_pq_thrift_bool(&r, eg_pq_thrift_next(&r, &id)));
    assert_false(eg_pq_thrift_bool(&r, eg_pq_thrift_next(&r, &id)));
    assert_int_equal(eg_pq_thrift_i8(&r, eg_pq_thrift_next(&r, &id)), -128);
    assert_int_equal(eg_pq_thrift_i16(&r, eg_pq_thrift_next(&r, &id)), INT16_MIN);
    assert_int_equal(eg_pq_thrift_i32(&r, eg_pq_thrift_next(&r, &id)), INT32_MIN);
    assert_int_equal(id, 5);
    wire = eg_pq_thrift_next(&r, &id);
    eg_pq_bytes text = eg_pq_thrift_binary(&r, wire);
    assert_int_equal(id, 40);
    assert_int_equal(text.n_bytes, 3);
    assert_memory_equal(text.data, "abc", 3);
    wire = eg_pq_thrift_next(&r, &id);
    assert_int_equal(eg_pq_thrift_list(&r, wire, EG_PQ_WIRE_I64), sizeof numbers / sizeof *numbers);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_true(eg_pq_thrift_i64(&r, EG_PQ_WIRE_I64) == numbers[i]);
    wire = eg_pq_thrift_next(&r, &id);
    assert_int_equal(eg_pq_thrift_list(&r, wire, EG_PQ_WIRE_TRUE), 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(eg_pq_thrift_list_bool(&r), i % 3 == 0);
    assert_int_equal(eg_pq_thrift_next(&r, &id), EG_PQ_WIRE_STRUCT);
    eg_pq_thrift_skip(&r, EG_PQ_WIRE_STRUCT);
    assert_int_equal(eg_pq_thrift_i32(&r, eg_pq_thrift_next(&r, &id)), 9);
    assert_int_equal(id, 7);
    assert_int_equal(eg_pq_thrift_next(&r, &id), EG_PQ_WIRE_STOP);
    eg_pq_thrift_leave(&r);
    assert_int_equal(r.status, EG_OK);
    assert_int_equal(r.pos, b.n_bytes);

    /* Every cut of it fails, says so, and is known as a cut. */
    for (size_t cut = 0; cut < b.n_bytes; cut++) {
        uint8_t *exact = malloc(cut + (cut == 0));
        memcpy(exact, b.data, cut);
        r = reader(exact, cut, &err);
        eg_pq_thrift_skip(&r, EG_PQ_WIRE_STRUCT);
        assert_int_equal(r.status, EG_CORRUPT);
        assert_true(r.is_cut);
        assert_non_null(strstr(err.msg, "f.parquet: footer damaged at byte 10"));
        free(exact);
    }
    eg_pq_buffer_free(&b);
}

static void thrift_rejects_nesting_over_16(void **state) {
    (void)state;
    for (int depth = 15; depth <= 40; depth++) {
        /* A struct whose field 1 is a struct whose field 1 is … */
        uint8_t bytes[128];
        memset(bytes, 0x1c, (size_t)depth);
        memset(bytes + depth, 0, (size_t)depth + 1);
        eg_pq_thrift r = reader(bytes, 2 * (size_t)depth + 1, NULL);
        eg_pq_thrift_skip(&r, EG_PQ_WIRE_STRUCT);
        assert_int_equal(r.status, depth + 1 <= EG_PQ_THRIFT_DEPTH ? EG_OK : EG_CORRUPT);
    }
    /* The same with lists of lists: each holds one. */
    uint8_t lists[64];
    memset(lists, 0x19, sizeof lists);
    eg_pq_thrift r = reader(lists, sizeof lists, NULL);
    eg_pq_thrift_skip(&r, EG_PQ_WIRE_LIST);
    assert_int_equal(r.status, EG_CORRUPT);
    assert_false(r.is_cut);
}

static void thrift_rejects_counts_beyond_the_bytes(void **state) {
    (void)state;
    static const uint8_t list[] = {0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f, 2};
    static const uint8_t text[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 'a'};
    static const uint8_t map[] = {0xff, 0xff, 0x03, 0x88, 0, 0};
    eg_pq_thrift r = reader(list, sizeof list, NULL);
    assert_int_equal(eg_pq_thrift_list(&r, EG_PQ_WIRE_LIST, EG_PQ_WIRE_I32), 0);
    assert_int_equal(r.status, EG_CORRUPT);
    r = reader(text, sizeof text, NULL);
    assert_null(eg_pq_thrift_binary(&r, EG_PQ_WIRE_BINARY).data);
    assert_int_equal(r.status, EG_CORRUPT);
    r = reader(map, sizeof map, NULL);
    eg_pq_thrift_skip(&r, EG_PQ_WIRE_MAP);
    assert_int_equal(r.status, EG_CORRUPT);
}

static void thrift_rejects_numbers_out_of_range(void **state) {
    (void)state;
    static const uint8_t over_i32[] = {0x80, 0x80, 0x80, 0x80, 0x20};
    static const uint8_t over_64_bits[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
    static const uint8_t most[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    eg_pq_thrift r = reader(over_i32, sizeof over_i32, NULL);
    eg_pq_thrift_i32(&r, EG_PQ_WIRE_I32);
    assert_int_equal(r.status, EG_CORRUPT);
    r = reader(over_64_bits, sizeof over_64_bits, NULL);
    eg_pq_thrift_i64(&r, EG_PQ_WIRE_I64);
    assert_int_equal(r.status, EG_CORRUPT);
    r = reader(most, sizeof most, NULL);
    assert_true(eg_pq_thrift_i64(&r, EG_PQ_WIRE_I64) == INT64_MIN);
    assert_int_equal(r.status, EG_OK);
}

static void thrift_passes_over_unknown_fields_and_types(void **state) {
    (void)state;
    eg_pq_buffer b = {0};
    eg_pq_thrift_writer w;
    eg_pq_thrift_writer_init(&w, &b);
    eg_pq_thrift_begin(&w);
    eg_pq_thrift_put_list(&w, 1, EG_PQ_WIRE_I32, 1); /* known as an i32 */
    eg_pq_thrift_item_int(&w, 4);
    eg_pq_thrift_put_i32(&w, 2, 77);
    eg_pq_thrift_put_bool(&w, 3, false); /* known as a bool */
    eg_pq_thrift_put_i32(&w, 900, 1);    /* not known */
    eg_pq_thrift_end(&w);
    static const uint8_t types[] = {
        [1] = EG_PQ_WIRE_I32, [2] = EG_PQ_WIRE_I32, [3] = EG_PQ_WIRE_TRUE};
    eg_pq_thrift r = reader(b.data, b.n_bytes, NULL);
    int16_t id = 0;
    assert_int_equal(eg_pq_thrift_field(&r, &id, types, sizeof types), EG_PQ_WIRE_I32);
    assert_int_equal(id, 2);
    assert_int_equal(eg_pq_thrift_i32(&r, EG_PQ_WIRE_I32), 77);
    assert_int_equal(eg_pq_thrift_field(&r, &id, types, sizeof types), EG_PQ_WIRE_FALSE);
    assert_int_equal(eg_pq_thrift_field(&r, &id, types, sizeof types), EG_PQ_WIRE_STOP);
    assert_int_equal(r.status, EG_OK);
    eg_pq_buffer_free(&b);
}

static void thrift_rejects_types_that_do_not_exist(void **state) {
    (void)state;
    static const uint8_t bad[][2] = {{0x1e, 0}, {0x1f, 0}, {0x10, 0}};
    for (size_t i = 0; i < 3; i++) {
        eg_pq_thrift r = reader(bad[i], 2, NULL);
        int16_t id = 0;
        assert_int_equal(eg_pq_thrift_next(&r, &id), EG_PQ_WIRE_STOP);
        assert_int_equal(r.status, EG_CORRUPT);
    }
}

/* Structs of numbers, at each distance from the end, are read in one go or left as they are. */
static void structs_of_numbers_are_read_whole_or_not_at_all(void **state) {
    (void)state;
    static const int64_t numbers[][2] = {{0, -1}, {63, 64}, {INT64_MAX / 2, 300}, {INT64_MIN, 1}};
    static const uint8_t heads[] = {0x10 | EG_PQ_WIRE_I64, 0x10 | EG_PQ_WIRE_I32};
    int n_read = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint8_t bytes[64] = {0};
        eg_pq_buffer b = {0};
        eg_pq_thrift_writer w;
        eg_pq_thrift_writer_init(&w, &b);
        eg_pq_thrift_begin(&w);
        eg_pq_thrift_put_i64(&w, 1, numbers[i][0]);
        eg_pq_thrift_put_i32(&w, 2, (int32_t)numbers[i][1]);
        eg_pq_thrift_end(&w);
        memcpy(bytes, b.data, b.n_bytes);
        for (size_t n = 0; n < sizeof bytes; n++) {
            eg_err err;
            int64_t found[2];
            eg_pq_thrift r = reader(bytes, n, &err);
            if (!eg_pq_thrift_ints(&r, heads, 2, found)) {
                assert_int_equal(r.pos, 0);
                assert_int_equal(r.status, EG_OK);
                continue;
            }
            assert_true(found[0] == numbers[i][0] && found[1] == numbers[i][1]);
            assert_int_equal(r.pos, b.n_bytes);
            n_read++;
        }
        for (size_t at = 0; at < b.n_bytes; at++) { /* another head, or no end */
            int64_t found[2];
            bool is_head = at == 0 || (bytes[at] == heads[1] && bytes[at - 1] < 0x80);
            bytes[at] ^= 0x20;
            eg_pq_thrift r = reader(bytes, sizeof bytes, NULL);
            if (is_head || at + 1 == b.n_bytes)
                assert_false(eg_pq_thrift_ints(&r, heads, 2, found));
            bytes[at] ^= 0x20;
        }
        eg_pq_buffer_free(&b);
    }
    assert_true(n_read > 100);
}

static void thrift_keeps_the_first_failure(void **state) {
    (void)state;
    eg_err err;
    eg_pq_thrift r = reader("", 0, &err);
    eg_pq_thrift_i32(&r, EG_PQ_WIRE_I64);
    char first[sizeof err.msg];
    memcpy(first, err.msg, sizeof first);
    eg_pq_thrift_binary(&r, EG_PQ_WIRE_BINARY);
    eg_pq_thrift_skip(&r, EG_PQ_WIRE_STRUCT);
    assert_string_equal(err.msg, first);
    assert_int_equal(err.offset, 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thrift_reads_what_it_writes),
        cmocka_unit_test(thrift_rejects_nesting_over_16),
        cmocka_unit_test(thrift_rejects_counts_beyond_the_bytes),
        cmocka_unit_test(thrift_rejects_numbers_out_of_range),
        cmocka_unit_test(thrift_passes_over_unknown_fields_and_types),
        cmocka_unit_test(thrift_rejects_types_that_do_not_exist),
        cmocka_unit_test(structs_of_numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(thrift_keeps_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
