/* Claims of flow/batch.c: only what is asked for is allocated, and a row's value is
** what the schema says it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "flow/batch.h"

#define ALL_VECTORS ((UINT64_C(1) << EG_N_VECTORS) - 1)

static void only_the_vectors_asked_for_are_there(void **state) {
    (void)state;
    eg_batch b;
    for (int v = 0; v < EG_N_VECTORS; v++) {
        assert_int_equal(eg_batch_open(&b, EG_VECTOR_BIT(v), NULL, NULL), EG_OK);
        assert_non_null(b.sel);
        assert_true(b.vectors == EG_VECTOR_BIT(v));
#define EG_VECTOR(ID, ctype) assert_true((b.v.ID != NULL) == (v == EG_VEC_##ID));
#include "flow/schema.def"
        eg_batch_close(&b);
        assert_null(b.sel);
        assert_int_equal(b.vectors, 0);
    }
    eg_batch_close(&b); /* once more is harmless */
}

static void every_vector_holds_a_full_batch(void **state) {
    (void)state;
    eg_batch b;
    assert_int_equal(eg_batch_open(&b, ALL_VECTORS, NULL, NULL), EG_OK);
    /* ends of each range, in the last row: a short array is seen by the sanitizers */
#define EG_VECTOR(ID, ctype)                                                                       \
    do {                                                                                           \
        int64_t lo, hi;                                                                            \
        eg_vector_range(EG_VEC_##ID, &lo, &hi);                                                    \
        assert_int_equal(eg_vector_width(EG_VEC_##ID), sizeof(ctype));                             \
        b.v.ID[EG_BATCH_ROWS - 1] = (ctype)hi;                                                     \
        assert_true((int64_t)b.v.ID[EG_BATCH_ROWS - 1] == hi);                                     \
        b.v.ID[0] = (ctype)lo;                                                                     \
        assert_true((int64_t)b.v.ID[0] == lo);                                                     \
    } while (0);
#include "flow/schema.def"
    for (int c = 0; c < EG_N_COLUMNS; c++) {
        int64_t lo, hi;
        const eg_column_info *about = eg_column_about((eg_column)c);
        eg_vector_range(about->vector, &lo, &hi);
        if (about->kind == EG_KIND_EST)
            continue;
        assert_true(eg_batch_number(&b, (eg_column)c, 0) == lo);
        assert_true(eg_batch_number(&b, (eg_column)c, EG_BATCH_ROWS - 1) == hi);
    }
    eg_batch_close(&b);
}

static void rows_are_picked_to_another_array_or_to_the_front_of_their_own(void **state) {
    (void)state;
    static const uint16_t rows[] = {0, 1, 5, 6, 250, EG_BATCH_ROWS - 1};
    enum { n = sizeof rows / sizeof rows[0] };
    static uint8_t in[EG_BATCH_ROWS * 16], out[n * 16 + 1];
    for (size_t width = 1; width <= 16; width *= 2) {
        for (size_t i = 0; i < sizeof in; i++)
            in[i] = (uint8_t)(i * 7 + i / 256);
        memset(out, 0xee, sizeof out);
        eg_pick_rows(out, in, width, rows, n);
        for (size_t i = 0; i < n; i++)
            assert_memory_equal(out + i * width, in + rows[i] * width, width);
        assert_int_equal(out[n * width], 0xee);
        eg_pick_rows(in, in, width, rows, n);
        assert_memory_equal(in, out, n * width);
    }
}

static void estimates_scale_by_an_interval_above_one(void **state) {
    (void)state;
    eg_batch b;
    eg_vector_set vectors =
        eg_column_about(EG_COL_BYTES_EST)->vectors | eg_column_about(EG_COL_PACKETS_EST)->vectors;
    assert_int_equal(eg_batch_open(&b, vectors, NULL, NULL), EG_OK);
    static const struct {
        uint16_t interval;
        int64_t counter, scaled;
    } cases[] = {{0, 7, 7},
                 {1, 7, 7},
                 {2, 7, 14},
                 {100, 0, 0},
                 {16383, UINT32_MAX, INT64_C(16383) * UINT32_MAX},
                 {2, INT64_MAX, INT64_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        b.v.SAMPLING_INTERVAL[3] = cases[i].interval;
        b.v.BYTES[3] = cases[i].counter;
        b.v.PACKETS[3] = cases[i].counter;
        assert_true(eg_batch_number(&b, EG_COL_BYTES_EST, 3) == cases[i].scaled);
        assert_true(eg_batch_number(&b, EG_COL_PACKETS_EST, 3) == cases[i].scaled);
        assert_true(eg_batch_number(&b, EG_COL_BYTES, 3) == cases[i].counter); /* raw stays raw */
    }
    eg_batch_close(&b);
}

static void texts_are_those_of_the_schema(void **state) {
    (void)state;
    eg_intern *texts;
    eg_batch b;
    uint32_t code;
    char scratch[EG_TEXT_MAX];
    size_t n;
    assert_int_equal(eg_intern_open(&texts, NULL), EG_OK);
    assert_int_equal(eg_intern_add(texts, "other", 5, &code, NULL), EG_OK);
    assert_int_equal(eg_intern_add(texts, "2001:db8::1", 11, &code, NULL), EG_OK);
    assert_int_equal(eg_batch_open(&b, ALL_VECTORS, texts, NULL), EG_OK);
    b.v.SRCADDR[0] = UINT32_C(0x7aa61a84);
    b.v.START_MS[0] = INT64_C(1185488138120);
    b.v.PROTO[0] = 17;
    b.v.EXPORTER[0] = code;
    b.v.RECEIVED_MS[0] = EG_NO_TIME;
    static const struct {
        eg_column col;
        const char *text;
    } cases[] = {{EG_COL_SRCADDR, "122.166.26.132"},
                 {EG_COL_START_TIME, "2007-07-26 22:15:38.120"},
                 {EG_COL_PROTOCOL, "UDP"},
                 {EG_COL_EXPORTER, "2001:db8::1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = eg_batch_text(&b, cases[i].col, 0, scratch, &n);
        assert_int_equal(n, strlen(cases[i].text));
        assert_memory_equal(text, cases[i].text, n);
        assert_true(eg_column_is_text(cases[i].col));
    }
    assert_null(eg_batch_text(&b, EG_COL_RECEIVED_TIME, 0, scratch, &n));
    eg_batch_close(&b);
    eg_intern_close(texts);
}

static void a_value_is_null_where_one_of_its_vectors_is(void **state) {
    (void)state;
    eg_batch b;
    char scratch[EG_TEXT_MAX];
    size_t n;
    assert_int_equal(eg_batch_open(&b, ALL_VECTORS, NULL, NULL), EG_OK);
    assert_null(b.nulls); /* without NULLs nobody asks */
    memset(b.v.RECEIVED_MS, 0, EG_BATCH_ROWS * sizeof *b.v.RECEIVED_MS);
    for (int c = 0; c < EG_N_COLUMNS; c++) {
        b.v.RECEIVED_MS[4] = b.v.START_MS[4] = b.v.END_MS[4] = 1;
        assert_false(eg_batch_is_null(&b, (eg_column)c, 4));
    }
    assert_int_equal(eg_batch_need_nulls(&b, NULL), EG_OK);
    for (uint32_t i = 0; i < EG_BATCH_ROWS; i++)
        assert_true(b.nulls[i] == 0);
    b.nulls[4] = EG_VECTOR_BIT(EG_VEC_SAMPLING_INTERVAL) | EG_VECTOR_BIT(EG_VEC_SRCADDR) |
                 EG_VECTOR_BIT(EG_VEC_EXPORTER);
    b.v.BYTES[4] = 100;
    b.v.SAMPLING_INTERVAL[4] = 0;
    b.v.SRCADDR[4] = 0;
    b.v.EXPORTER[4] = 0;                                    /* no code of any table */
    assert_int_equal(eg_batch_need_nulls(&b, NULL), EG_OK); /* once more changes nothing */
    assert_true(eg_batch_is_null(&b, EG_COL_BYTES_EST, 4));
    assert_true(eg_batch_is_null(&b, EG_COL_SRCADDR, 4));
    assert_true(eg_batch_is_null(&b, EG_COL_EXPORTER, 4));
    assert_false(eg_batch_is_null(&b, EG_COL_BYTES, 4));
    assert_false(eg_batch_is_null(&b, EG_COL_SRCADDR, 5));
    assert_int_equal(eg_batch_number(&b, EG_COL_BYTES_EST, 4), 0);
    assert_int_equal(eg_batch_number(&b, EG_COL_BYTES, 4), 100);
    assert_null(eg_batch_text(&b, EG_COL_SRCADDR, 4, scratch, &n));
    assert_null(eg_batch_text(&b, EG_COL_EXPORTER, 4, scratch, &n));
    b.v.RECEIVED_MS[4] = EG_NO_TIME;
    assert_true(eg_batch_is_null(&b, EG_COL_RECEIVED_TIME, 4));
    /* The next filling has NULLs again, and finds none of these. */
    b.nulls = NULL;
    assert_false(eg_batch_is_null(&b, EG_COL_SRCADDR, 4));
    assert_int_equal(eg_batch_need_nulls(&b, NULL), EG_OK);
    assert_true(b.nulls[4] == 0);
    eg_batch_close(&b);
    assert_null(b.nulls);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_vectors_asked_for_are_there),
        cmocka_unit_test(every_vector_holds_a_full_batch),
        cmocka_unit_test(rows_are_picked_to_another_array_or_to_the_front_of_their_own),
        cmocka_unit_test(estimates_scale_by_an_interval_above_one),
        cmocka_unit_test(texts_are_those_of_the_schema),
        cmocka_unit_test(a_value_is_null_where_one_of_its_vectors_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
