/* Claims of parquet/shard_column.c: which column of a file a vector is, and that every form of a
** value becomes the number it stands for, or is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "parquet/shard_column.h"
#include "shard_build.h"

#define BIT(v) EG_VECTOR_BIT(EG_VEC_##v)

/* ---- binding ------------------------------------------------------------ */

/* Opens a file without rows of up to four columns. */
static eg_pq_file *file_of(const eg_pq_schema_element *columns, uint32_t n) {
    pb b;
    eg_pq_file *f;
    eg_err err;
    pb_open(&b);
    for (uint32_t i = 0; i < n; i++) {
        eg_pq_schema_element *e = pb_column(&b, "", (eg_pq_type)columns[i].type, false);
        *e = columns[i];
        e->has_type = true;
        e->repetition = EG_PQ_REQUIRED;
    }
    pb_finish(&b);
    if (eg_pq_file_open_fd(pb_file(b.out.data, b.out.n_bytes), "test.parquet", &f, &err) != EG_OK)
        fail_msg("%s", err.msg);
    pb_close(&b);
    return f;
}

static eg_pq_schema_element element(const char *name, eg_pq_type type) {
    return (eg_pq_schema_element){.name = pb_text(name),
                                  .type = (int32_t)type,
                                  .type_length = type == EG_PQ_FIXED ? 4 : 0,
                                  .converted = -1};
}

static void columns_are_found_by_name_whatever_the_case(void **state) {
    (void)state;
    const eg_pq_schema_element columns[4] = {
        element("SRCPORT", EG_PQ_INT32), element("srcport", EG_PQ_INT64),
        element("DstPort", EG_PQ_INT32), element("unknown", EG_PQ_DOUBLE)};
    eg_pq_file *f = file_of(columns, 4);
    eg_shard_column c[EG_N_VECTORS];
    eg_vector_set reads;
    assert_int_equal(eg_shard_bind(f, BIT(SRCPORT) | BIT(DSTPORT) | BIT(TOS), c, &reads, NULL),
                     EG_OK);
    assert_true(reads == (BIT(SRCPORT) | BIT(DSTPORT)));
    assert_int_equal(c[EG_VEC_SRCPORT].column, 1); /* the exact name first */
    assert_int_equal(c[EG_VEC_DSTPORT].column, 2);
    assert_int_equal(c[EG_VEC_TOS].origin, EG_SHARD_NULL);
    eg_pq_file_close(f);
}

static void other_names_stand_in(void **state) {
    (void)state;
    eg_pq_schema_element columns[4] = {
        element("start_ms", EG_PQ_INT64), element("proto", EG_PQ_INT32),
        element("duration_ms", EG_PQ_INT64), element("start_time", EG_PQ_BYTE_ARRAY)};
    eg_pq_file *f = file_of(columns, 3);
    eg_shard_column c[EG_N_VECTORS];
    eg_vector_set reads;
    assert_int_equal(
        eg_shard_bind(f, BIT(END_MS) | BIT(PROTO) | BIT(FILE) | BIT(TIME_FLAG), c, &reads, NULL),
        EG_OK);
    assert_int_equal(c[EG_VEC_END_MS].origin, EG_SHARD_DERIVED);
    assert_true(reads == (BIT(START_MS) | BIT(DURATION_MS) | BIT(PROTO)));
    assert_int_equal(c[EG_VEC_START_MS].column, 0);
    assert_int_equal(c[EG_VEC_PROTO].kind, EG_KIND_PROTO);
    assert_int_equal(c[EG_VEC_FILE].origin, EG_SHARD_PATH);
    assert_int_equal(c[EG_VEC_TIME_FLAG].origin, EG_SHARD_ZERO);
    eg_pq_file_close(f);
    /* start_time as text is not read, start_ms is. */
    f = file_of(columns, 4);
    assert_int_equal(eg_shard_bind(f, BIT(START_MS), c, &reads, NULL), EG_OK);
    assert_int_equal(c[EG_VEC_START_MS].column, 0);
    eg_pq_file_close(f);
}

static void types_that_are_no_such_values_are_refused(void **state) {
    (void)state;
    eg_pq_schema_element stamp = element("srcport", EG_PQ_INT64),
                         text = element("bytes", EG_PQ_BYTE_ARRAY),
                         cents = element("packets", EG_PQ_INT32),
                         date = element("tos", EG_PQ_INT32),
                         json = element("srcaddr", EG_PQ_BYTE_ARRAY);
    stamp.logical = (eg_pq_logical_type){.id = EG_PQ_LOGICAL_ID_TIMESTAMP, .unit = EG_PQ_MILLIS};
    text.logical.id = EG_PQ_LOGICAL_ID_STRING;
    cents.logical =
        (eg_pq_logical_type){.id = EG_PQ_LOGICAL_ID_DECIMAL, .scale = 2, .precision = 9};
    date.logical.id = 6;
    json.logical.id = 12;
    const struct {
        eg_pq_schema_element column;
        eg_vector vector;
        const char *said;
    } cases[] = {
        {stamp, EG_VEC_SRCPORT, "column srcport is a TIMESTAMP, expected whole numbers"},
        {text, EG_VEC_BYTES, "column bytes is text, expected whole numbers"},
        {cents, EG_VEC_PACKETS,
         "column packets is a DECIMAL with 2 digits of fraction, expected whole numbers"},
        {date, EG_VEC_TOS, "column tos is INT32 of a logical type, expected whole numbers"},
        {json, EG_VEC_SRCADDR,
         "column srcaddr is BYTE_ARRAY of a logical type, expected dotted text or whole numbers"},
        {element("srcaddr", EG_PQ_FIXED), EG_VEC_SRCADDR,
         "column srcaddr is FIXED_LEN_BYTE_ARRAY, expected dotted text or whole numbers"},
        {element("end_time", EG_PQ_INT32), EG_VEC_END_MS,
         "column end_time is INT32, expected a TIMESTAMP, INT96, or INT64 in ms"},
        {element("end_ms", EG_PQ_BYTE_ARRAY), EG_VEC_END_MS,
         "column end_ms is BYTE_ARRAY, expected a TIMESTAMP, INT96, or INT64 in ms"},
        {element("protocol", EG_PQ_INT96), EG_VEC_PROTO,
         "column protocol is INT96, expected keywords, or whole numbers"},
        {element("file", EG_PQ_INT32), EG_VEC_FILE, "column file is INT32, expected text"},
        {element("exporter", EG_PQ_INT96), EG_VEC_EXPORTER,
         "column exporter is INT96, expected text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eg_pq_file *f = file_of(&cases[i].column, 1);
        eg_shard_column c[EG_N_VECTORS];
        eg_vector_set reads;
        eg_err err;
        char said[256];
        snprintf(said, sizeof said, "test.parquet: %s", cases[i].said);
        assert_int_equal(eg_shard_bind(f, EG_VECTOR_BIT(cases[i].vector), c, &reads, &err),
                         EG_UNSUPPORTED);
        assert_string_equal(err.msg, said);
        /* Nobody minds where it is not asked for. */
        assert_int_equal(eg_shard_bind(f, BIT(NEXTHOP), c, &reads, &err), EG_OK);
        eg_pq_file_close(f);
    }
}

/* ---- values ------------------------------------------------------------- */

static const eg_pq_column any_column = {.name = "x", .type = EG_PQ_INT32};

static void assert_number(const eg_shard_column *c, const void *value, int64_t expected) {
    int64_t n = 0;
    assert_true(eg_shard_number(c, value, 0, &n));
    if (n != expected)
        fail_msg("%lld, expected %lld", (long long)n, (long long)expected);
}

static void assert_none(const eg_shard_column *c, const void *value) {
    int64_t n;
    assert_false(eg_shard_number(c, value, 0, &n));
}

static void times_of_any_unit_are_rounded_down(void **state) {
    (void)state;
    eg_shard_column us = sb_column_of(EG_VEC_START_MS, EG_KIND_TIME, EG_SHARD_MICROS, &any_column),
                    ns = sb_column_of(EG_VEC_START_MS, EG_KIND_TIME, EG_SHARD_NANOS, &any_column),
                    old = sb_column_of(EG_VEC_START_MS, EG_KIND_TIME, EG_SHARD_INT96, &any_column);
    assert_number(&us, &(int64_t){1185488138120999}, 1185488138120);
    assert_number(&us, &(int64_t){-1}, -1);
    assert_number(&us, &(int64_t){-1000}, -1);
    assert_number(&us, &(int64_t){-1001}, -2);
    assert_number(&us, &(int64_t){INT64_MIN}, INT64_MIN / 1000 - 1);
    assert_number(&ns, &(int64_t){INT64_MAX}, INT64_MAX / 1000000);
    assert_number(&ns, &(int64_t){-999999}, -1);
    /* Julian day 2440588 is 1970-01-01; nanoseconds of the day come first. */
    static const struct {
        uint8_t bytes[12];
        int64_t ms;
    } cases[] = {
        {{0, 0, 0, 0, 0, 0, 0, 0, 0x8c, 0x3d, 0x25, 0}, 0},
        {{0x3f, 0x42, 0x0f, 0, 0, 0, 0, 0, 0x8c, 0x3d, 0x25, 0}, 0},
        {{0x40, 0x42, 0x0f, 0, 0, 0, 0, 0, 0x8c, 0x3d, 0x25, 0}, 1},
        {{0, 0, 0, 0, 0, 0, 0, 0, 0x8b, 0x3d, 0x25, 0}, -86400000},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x8c, 0x3d, 0x25, 0}, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_number(&old, &(eg_pq_bytes){cases[i].bytes, 12}, cases[i].ms);
}

static void reals_count_where_they_are_whole(void **state) {
    (void)state;
    eg_shard_column d = sb_column_of(EG_VEC_BYTES, EG_KIND_INT, EG_SHARD_DOUBLE, &any_column),
                    f = sb_column_of(EG_VEC_SRCPORT, EG_KIND_INT, EG_SHARD_FLOAT, &any_column);
    assert_number(&d, &(double){4503599627370497.0}, 4503599627370497);
    assert_number(&d, &(double){-0.0}, 0);
    assert_number(&d, &(double){-9223372036854774784.0}, -INT64_C(9223372036854774784));
    assert_none(&d, &(double){0.5});
    assert_none(&d, &(double){9223372036854775808.0});
    assert_none(&d, &(double){-9223372036854775808.0}); /* EG_NO_TIME */
    assert_none(&d, &(double){(double)NAN});
    assert_none(&d, &(double){(double)INFINITY});
    assert_number(&f, &(float){65535.0f}, 65535);
    assert_none(&f, &(float){65536.0f});
    assert_none(&f, &(float){-1.0f});
}

static void decimals_of_any_length_count_where_they_fit(void **state) {
    (void)state;
    static const struct {
        uint8_t bytes[12];
        uint32_t n;
        int64_t number; /* INT64_MIN: none */
    } cases[] = {
        {{0}, 0, 0},
        {{0x7f}, 1, 127},
        {{0xff}, 1, -1},
        {{0, 0, 0, 0, 0, 0, 0, 0, 5}, 9, 5},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, 9, -2},
        {{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, INT64_MAX},
        {{0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, INT64_MAX},
        {{0, 0x80, 0, 0, 0, 0, 0, 0, 0}, 9, INT64_MIN},
        {{0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, INT64_MIN},
        {{1, 0, 0, 0, 0, 0, 0, 0, 0}, 9, INT64_MIN},
        {{0x80, 0, 0, 0, 0, 0, 0, 0}, 8, INT64_MIN},
    };
    eg_shard_column c = sb_column_of(EG_VEC_BYTES, EG_KIND_INT, EG_SHARD_DECIMAL, &any_column);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eg_pq_bytes b = {cases[i].bytes, cases[i].n};
        if (cases[i].number == INT64_MIN)
            assert_none(&c, &b);
        else
            assert_number(&c, &b, cases[i].number);
    }
}

static void texts_are_addresses_and_protocols(void **state) {
    (void)state;
    eg_shard_column ip = sb_column_of(EG_VEC_SRCADDR, EG_KIND_IP4, EG_SHARD_IP4_TEXT, &any_column),
                    proto =
                        sb_column_of(EG_VEC_PROTO, EG_KIND_PROTO, EG_SHARD_PROTO_TEXT, &any_column),
                    text = sb_column_of(EG_VEC_EXPORTER, EG_KIND_TEXT, EG_SHARD_TEXT, &any_column);
    eg_pq_bytes b = pb_text("122.166.26.132");
    assert_number(&ip, &b, 0x7aa61a84);
    b = pb_text("122.166.26.0132");
    assert_none(&ip, &b);
    b = pb_text("udp");
    assert_number(&proto, &b, 17);
    b = pb_text("6");
    assert_number(&proto, &b, 6);
    b = pb_text("256");
    assert_none(&proto, &b);
    assert_none(&text, &b);
}

static void bounds_are_numbers_where_their_order_is(void **state) {
    (void)state;
    static const uint8_t ff[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const eg_pq_column fixed = {.name = "x", .type = EG_PQ_FIXED, .type_length = 2};
    static const eg_pq_column bytes = {.name = "x", .type = EG_PQ_BYTE_ARRAY};
    static const struct {
        eg_shard_form form;
        uint32_t n;
        const eg_pq_column *about;
        bool has;
        int64_t number;
    } cases[] = {
        {EG_SHARD_I32, 4, &any_column, true, -1},
        {EG_SHARD_U32, 4, &any_column, true, UINT32_MAX},
        {EG_SHARD_I64, 8, &any_column, true, -1},
        {EG_SHARD_U64, 8, &any_column, false, 0},
        {EG_SHARD_MICROS, 8, &any_column, true, -1},
        {EG_SHARD_NANOS, 8, &any_column, true, -1},
        {EG_SHARD_TRUTH, 1, &any_column, true, 1},
        {EG_SHARD_DECIMAL, 2, &fixed, true, -1},
        {EG_SHARD_DECIMAL, 2, &bytes, false, 0},
        {EG_SHARD_DOUBLE, 8, &any_column, false, 0},
        {EG_SHARD_PROTO_TEXT, 2, &any_column, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eg_shard_column c = sb_column_of(EG_VEC_BYTES, EG_KIND_INT, cases[i].form, cases[i].about);
        int64_t n = 0;
        assert_int_equal(eg_shard_bound_number(&c, (eg_pq_bytes){ff, cases[i].n}, &n),
                         cases[i].has);
        if (cases[i].has)
            assert_true(n == cases[i].number);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_found_by_name_whatever_the_case),
        cmocka_unit_test(other_names_stand_in),
        cmocka_unit_test(types_that_are_no_such_values_are_refused),
        cmocka_unit_test(times_of_any_unit_are_rounded_down),
        cmocka_unit_test(reals_count_where_they_are_whole),
        cmocka_unit_test(decimals_of_any_length_count_where_they_fit),
        cmocka_unit_test(texts_are_addresses_and_protocols),
        cmocka_unit_test(bounds_are_numbers_where_their_order_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
