/* Claims of parquet/shard_prune.c: nothing is excluded that has a value which passes, and what
** can be told from bounds, filters and dictionaries is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parquet/shard_prune.h"
#include "shard_build.h"

static uint64_t seed = 1234567;
static uint64_t rnd(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static const eg_pq_column required = {.name = "x", .type = EG_PQ_INT32};
static const eg_pq_column optional = {.name = "x", .type = EG_PQ_INT32, .is_optional = true};

static eg_shard_column column_of(eg_column col, eg_shard_form form, const eg_pq_column *about) {
    const eg_column_info *info = eg_column_about(col);
    eg_shard_column c = {.vector = info->vector,
                         .kind = info->kind,
                         .origin = EG_SHARD_READ,
                         .form = form,
                         .about = about};
    eg_vector_range(c.vector, &c.lo, &c.hi);
    return c;
}

/* The tests of a predicate, which is emptied with them. */
static eg_predicate p;
static eg_shard_tests tests;

static const eg_shard_test *prepare(void) {
    assert_int_equal(eg_shard_tests_open(&p, &tests, NULL), EG_OK);
    assert_int_equal(tests.n_tests, p.n_terms);
    return tests.tests;
}

static void clear(void) {
    eg_shard_tests_close(&tests);
    eg_predicate_clear(&p);
}

static const eg_shard_test *range(eg_column col, int64_t lo, int64_t hi, bool negated) {
    assert_int_equal(eg_predicate_range(&p, col, lo, hi, negated, NULL), EG_OK);
    return prepare();
}

static const eg_shard_test *text(eg_column col, eg_text_op op, const char *t) {
    assert_int_equal(eg_predicate_text(&p, col, op, t, strlen(t), NULL), EG_OK);
    return prepare();
}

/* ---- numbers ------------------------------------------------------------ */

static bool number_passes(const eg_term *t, int64_t n) {
    bool in = false;
    if (t->kind == EG_TEST_RANGE)
        in = n >= t->lo && n <= t->hi;
    for (size_t i = 0; i < t->n_set; i++)
        in |= t->set[i] == n;
    return in != t->negated;
}

static void spans_hold_what_ranges_and_sets_let_pass(void **state) {
    (void)state;
    static const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -1,       0, 255,
                                   256,       INT64_MAX - 1, INT64_MAX};
    for (int round = 0; round < 20000; round++) {
        bool negated = rnd(2) == 0;
        int64_t lo = rnd(6) == 0 ? ends[rnd(8)] : (int64_t)rnd(300) - 20;
        bool is_small = lo > -1000 && lo < 1000;
        if (rnd(2) == 0) {
            int64_t hi = rnd(6) == 0 ? ends[rnd(8)] : is_small ? lo + (int64_t)rnd(60) - 5 : lo;
            assert_int_equal(eg_predicate_range(&p, EG_COL_TOS, lo, hi, negated, NULL), EG_OK);
        } else {
            int64_t set[9];
            size_t n = rnd(9);
            for (size_t i = 0; i < n; i++)
                set[i] = rnd(6) == 0 ? ends[rnd(8)] : is_small ? lo + (int64_t)rnd(12) : lo;
            assert_int_equal(eg_predicate_set(&p, EG_COL_TOS, set, n, negated, NULL), EG_OK);
        }
        const eg_shard_test *t = prepare();
        bool any = false, passes[256];
        for (int64_t n = 0; n < 256; n++) {
            passes[n] = number_passes(&p.terms[0], n);
            any |= passes[n];
        }
        assert_true((t->kind == EG_SHARD_TEST_NEVER) == !any);
        for (int i = 0; i < 20 && any; i++) {
            int64_t from = (int64_t)rnd(256), to = from + (int64_t)rnd((uint64_t)(256 - from)),
                    n = from;
            while (n <= to && !passes[n])
                n++;
            assert_int_equal(eg_shard_test_span(t, from, to), n <= to);
        }
        uint8_t numbers[256], alive[256];
        for (int n = 0; n < 256; n++) {
            numbers[n] = (uint8_t)n;
            alive[n] = n % 5 > 0;
        }
        if (any && eg_shard_test_rows(t, numbers, 256, alive))
            for (int n = 0; n < 256; n++)
                assert_int_equal(alive[n], n % 5 > 0 && passes[n]);
        clear();
    }
}

static void rows_of_every_width_are_compared(void **state) {
    (void)state;
    static const eg_column cols[] = {EG_COL_TOS, EG_COL_SRCPORT, EG_COL_SRCADDR, EG_COL_BYTES};
    for (size_t i = 0; i < 4; i++) {
        for (int negated = 0; negated < 2; negated++) {
            const eg_shard_test *t = range(cols[i], 10, 20, negated);
            uint8_t alive[40], v8[40];
            uint16_t v16[40];
            uint32_t v32[40];
            int64_t v64[40];
            for (int n = 0; n < 40; n++) {
                v8[n] = (uint8_t)n;
                v16[n] = (uint16_t)n;
                v32[n] = (uint32_t)n;
                v64[n] = n;
                alive[n] = 1;
            }
            const void *arrays[] = {v8, v16, v32, v64};
            assert_true(eg_shard_test_rows(t, arrays[i], 40, alive));
            for (int n = 0; n < 40; n++)
                assert_int_equal(alive[n], (n >= 10 && n <= 20) != negated);
            clear();
        }
    }
    /* Many spans would cost more than they save. */
    static const int64_t set[] = {1, 3, 5, 7, 9};
    uint8_t alive[1] = {1};
    assert_int_equal(eg_predicate_set(&p, EG_COL_TOS, set, 5, false, NULL), EG_OK);
    assert_false(eg_shard_test_rows(prepare(), "\0", 1, alive));
    assert_int_equal(alive[0], 1);
    clear();
}

static void texts_of_times_and_protocols_become_numbers(void **state) {
    (void)state;
    int64_t at = INT64_C(1185488138120); /* 2007-07-26 22:15:38.120 */
    const eg_shard_test *t = text(EG_COL_START_TIME, EG_TEXT_GE, "2007-07-26 22:15:38.12");
    assert_false(eg_shard_test_span(t, 0, at - 1));
    assert_true(eg_shard_test_span(t, at, at));
    clear();
    t = text(EG_COL_START_TIME, EG_TEXT_GT, "2007-07-26 22:15:38.120");
    assert_false(eg_shard_test_span(t, 0, at));
    assert_true(eg_shard_test_span(t, at + 1, at + 1));
    clear();
    t = text(EG_COL_START_TIME, EG_TEXT_LE, "2007-07-26 22:15:38.120");
    assert_true(eg_shard_test_span(t, at, INT64_MAX));
    assert_false(eg_shard_test_span(t, at + 1, INT64_MAX));
    clear();
    t = text(EG_COL_START_TIME, EG_TEXT_LT, "2007-07-26 22:15:38.120");
    assert_false(eg_shard_test_span(t, at, INT64_MAX));
    clear();
    t = text(EG_COL_START_TIME, EG_TEXT_NE, "2007-07-26 22:15:38.120");
    assert_false(eg_shard_test_span(t, at, at));
    assert_true(eg_shard_test_span(t, at, at + 1));
    clear();
    assert_int_equal(text(EG_COL_END_TIME, EG_TEXT_EQ, "2007-07-26")->kind, EG_SHARD_TEST_NEVER);
    clear();
    assert_int_equal(text(EG_COL_END_TIME, EG_TEXT_NE, "2007-07-26")->kind, EG_SHARD_TEST_NOT_NULL);
    clear();
    assert_int_equal(text(EG_COL_END_TIME, EG_TEXT_GE, "z")->kind, EG_SHARD_TEST_NEVER);
    clear();
    t = text(EG_COL_PROTOCOL, EG_TEXT_EQ, "UDP");
    assert_true(eg_shard_test_span(t, 17, 17));
    assert_false(eg_shard_test_span(t, 0, 16) || eg_shard_test_span(t, 18, 255));
    clear();
    assert_int_equal(text(EG_COL_PROTOCOL, EG_TEXT_EQ, "udp")->kind, EG_SHARD_TEST_NEVER);
    clear();
    assert_int_equal(text(EG_COL_SRCADDR, EG_TEXT_EQ, "10.0.0.01")->kind, EG_SHARD_TEST_NEVER);
    clear();
}

/* ---- bounds ------------------------------------------------------------- */

static void address_bounds_in_text_never_exclude_one_that_passes(void **state) {
    (void)state;
    eg_shard_column c = column_of(EG_COL_SRCADDR, EG_SHARD_IP4_TEXT, &required);
    int n_excluded = 0;
    for (int round = 0; round < 30000; round++) {
        /* Addresses of a page, and their bounds. */
        uint32_t addresses[6], base = (uint32_t)rnd(4) << 24 | (uint32_t)rnd(300) << 8;
        uint32_t n = 1 + (uint32_t)rnd(6), spread = 1u << rnd(26);
        char texts[6][EG_IP4_TEXT_MAX];
        eg_pq_bytes min = {0}, max = {0};
        for (uint32_t i = 0; i < n; i++) {
            addresses[i] = base + (uint32_t)rnd(spread);
            eg_ip4_format(addresses[i], texts[i]);
            if (i == 0 || strcmp(texts[i], (const char *)min.data) < 0)
                min = pb_text(texts[i]);
            if (i == 0 || strcmp(texts[i], (const char *)max.data) > 0)
                max = pb_text(texts[i]);
        }
        eg_pq_bounds b = {.null_count = -1,
                          .has_min = rnd(10) > 0,
                          .has_max = rnd(10) > 0,
                          .min = min,
                          .max = max};
        uint32_t lo = base + (uint32_t)rnd(spread * 2) - spread / 2;
        bool expected = false, negated = rnd(5) == 0;
        if (rnd(2) == 0) {
            uint32_t hi = lo | ((1u << rnd(28)) - 1);
            const eg_shard_test *t = range(EG_COL_SRCADDR, lo, hi, negated);
            for (uint32_t i = 0; i < n; i++)
                expected |= (addresses[i] >= lo && addresses[i] <= hi) != negated;
            bool may = eg_shard_test_bounds(t, &c, &b, 100);
            assert_true(may || !expected);
            n_excluded += !may;
        } else {
            int64_t set[5];
            for (int i = 0; i < 5; i++)
                set[i] = rnd(4) == 0 ? addresses[rnd(n)] : lo + (uint32_t)rnd(spread);
            assert_int_equal(eg_predicate_set(&p, EG_COL_SRCADDR, set, 1 + rnd(5), negated, NULL),
                             EG_OK);
            const eg_shard_test *t = prepare();
            for (uint32_t i = 0; i < n; i++)
                expected |= number_passes(&p.terms[0], addresses[i]);
            bool may = eg_shard_test_bounds(t, &c, &b, 100);
            assert_true(may || !expected);
            n_excluded += !may;
        }
        clear();
    }
    assert_true(n_excluded > 3000);
}

static eg_pq_bounds between(const char *min, const char *max) {
    return (eg_pq_bounds){.null_count = 0,
                          .has_min = true,
                          .has_max = true,
                          .min = pb_text(min),
                          .max = pb_text(max)};
}

static void text_bounds_decide_comparisons_of_text(void **state) {
    (void)state;
    static const struct {
        eg_text_op op;
        const char *text;
        bool may;
    } cases[] = {{EG_TEXT_EQ, "b", true},  {EG_TEXT_EQ, "a", false},   {EG_TEXT_EQ, "dd", false},
                 {EG_TEXT_EQ, "d", true},  {EG_TEXT_NE, "b", true},    {EG_TEXT_LT, "b", false},
                 {EG_TEXT_LT, "ba", true}, {EG_TEXT_LE, "b", true},    {EG_TEXT_LE, "azz", false},
                 {EG_TEXT_GT, "d", false}, {EG_TEXT_GT, "czzz", true}, {EG_TEXT_GE, "d", true},
                 {EG_TEXT_GE, "d0", false}};
    eg_shard_column c = column_of(EG_COL_EXPORTER, EG_SHARD_TEXT, &required);
    eg_pq_bounds b = between("b", "d"), one = between("b", "b"), open = {.null_count = -1};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const eg_shard_test *t = text(EG_COL_EXPORTER, cases[i].op, cases[i].text);
        assert_int_equal(eg_shard_test_bounds(t, &c, &b, 9), cases[i].may);
        assert_true(eg_shard_test_bounds(t, &c, &open, 9));
        clear();
    }
    assert_false(eg_shard_test_bounds(text(EG_COL_EXPORTER, EG_TEXT_NE, "b"), &c, &one, 9));
    clear();
    /* The same of addresses in text, which compare as text in SQL. */
    c = column_of(EG_COL_SRCADDR, EG_SHARD_IP4_TEXT, &required);
    b = between("100.0.0.1", "11.0.0.1");
    assert_true(eg_shard_test_bounds(text(EG_COL_SRCADDR, EG_TEXT_LT, "101"), &c, &b, 9));
    clear();
    assert_false(eg_shard_test_bounds(text(EG_COL_SRCADDR, EG_TEXT_GT, "12"), &c, &b, 9));
    clear();
    /* Numbers have another order. */
    c.form = EG_SHARD_U32;
    assert_true(eg_shard_test_bounds(text(EG_COL_SRCADDR, EG_TEXT_GT, "12"), &c, &b, 9));
    clear();
}

static void unsigned_and_scaled_bounds_compare_as_numbers(void **state) {
    (void)state;
    static const uint8_t low[8] = {0xe8, 3, 0, 0, 0, 0, 0, 0};           /* 1000 */
    static const uint8_t high[8] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}; /* 2^32 - 1 */
    eg_pq_bounds b = {
        .null_count = 0, .has_min = true, .has_max = true, .min = {low, 4}, .max = {high, 4}};
    eg_shard_column c = column_of(EG_COL_SRCADDR, EG_SHARD_U32, &required);
    assert_true(
        eg_shard_test_bounds(range(EG_COL_SRCADDR, 0xff000000, 0xffffffff, false), &c, &b, 9));
    clear();
    assert_false(eg_shard_test_bounds(range(EG_COL_SRCADDR, 0, 999, false), &c, &b, 9));
    clear();
    c = column_of(EG_COL_START_TIME, EG_SHARD_MICROS, &required);
    b.min.n_bytes = b.max.n_bytes = 8;
    assert_true(eg_shard_test_bounds(range(EG_COL_START_TIME, 1, 1, false), &c, &b, 9));
    clear();
    assert_false(eg_shard_test_bounds(range(EG_COL_START_TIME, 0, 0, false), &c, &b, 9));
    clear();
    assert_false(
        eg_shard_test_bounds(range(EG_COL_START_TIME, 4294968, 9999999, false), &c, &b, 9));
    clear();
    /* A bound that is no port is none: rows that are wrong are to be told, not passed over. */
    c = column_of(EG_COL_SRCPORT, EG_SHARD_U32, &required);
    b.min.n_bytes = b.max.n_bytes = 4;
    assert_true(eg_shard_test_bounds(range(EG_COL_SRCPORT, 65535, 65535, false), &c, &b, 9));
    clear();
    assert_false(eg_shard_test_bounds(range(EG_COL_SRCPORT, 0, 999, false), &c, &b, 9));
    clear();
}

static void nulls_pass_only_where_they_are_asked_for(void **state) {
    (void)state;
    eg_shard_column c = column_of(EG_COL_SRCPORT, EG_SHARD_I32, &optional);
    eg_pq_bounds unknown = {.null_count = -1}, none = {.null_count = 0}, some = {.null_count = 3},
                 all = {.null_count = 9};
    assert_int_equal(eg_predicate_null(&p, EG_COL_SRCPORT, false, NULL), EG_OK);
    const eg_shard_test *t = prepare();
    assert_true(eg_shard_test_bounds(t, &c, &unknown, 9));
    assert_true(eg_shard_test_bounds(t, &c, &some, 9));
    assert_true(eg_shard_test_bounds(t, &c, &all, 9));
    assert_false(eg_shard_test_bounds(t, &c, &none, 9));
    c.about = &required;
    assert_false(eg_shard_test_bounds(t, &c, &unknown, 9));
    clear();
    c.about = &optional;
    assert_int_equal(eg_predicate_null(&p, EG_COL_SRCPORT, true, NULL), EG_OK);
    t = prepare();
    assert_true(eg_shard_test_bounds(t, &c, &some, 9));
    assert_false(eg_shard_test_bounds(t, &c, &all, 9));
    clear();
    t = range(EG_COL_SRCPORT, 0, 65535, false);
    assert_true(eg_shard_test_bounds(t, &c, &some, 9));
    assert_false(eg_shard_test_bounds(t, &c, &all, 9));
    clear();
    assert_int_equal(eg_predicate_none(&p, EG_COL_SRCPORT, NULL), EG_OK);
    assert_false(eg_shard_test_bounds(prepare(), &c, &unknown, 9));
    clear();
    /* Of an estimate nothing is known but that. */
    t = range(EG_COL_BYTES_EST, 1, 2, false);
    assert_int_equal(t->kind, EG_SHARD_TEST_NOT_NULL);
    assert_true(t->vectors ==
                (EG_VECTOR_BIT(EG_VEC_BYTES) | EG_VECTOR_BIT(EG_VEC_SAMPLING_INTERVAL)));
    clear();
}

/* ---- single values ------------------------------------------------------ */

static void bloom_filters_serve_where_a_value_has_one_form(void **state) {
    (void)state;
    static const struct {
        eg_column col;
        eg_shard_form form;
        bool serves;
    } cases[] = {
        {EG_COL_SRCADDR, EG_SHARD_IP4_TEXT, true},   {EG_COL_SRCADDR, EG_SHARD_U32, true},
        {EG_COL_SRCPORT, EG_SHARD_I64, true},        {EG_COL_START_TIME, EG_SHARD_I64, true},
        {EG_COL_START_TIME, EG_SHARD_MICROS, false}, {EG_COL_PROTOCOL, EG_SHARD_PROTO_TEXT, false},
        {EG_COL_BYTES, EG_SHARD_DECIMAL, false},     {EG_COL_BYTES, EG_SHARD_DOUBLE, false},
        {EG_COL_TOS, EG_SHARD_TRUTH, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eg_shard_column c = column_of(cases[i].col, cases[i].form, &required);
        assert_int_equal(eg_shard_test_has_bloom(range(cases[i].col, 5, 6, false), &c),
                         cases[i].serves);
        clear();
        assert_false(
            eg_shard_test_has_bloom(range(cases[i].col, 5, 100, false), &c)); /* too many */
        clear();
        assert_false(eg_shard_test_has_bloom(range(cases[i].col, 5, 5, true), &c));
        clear();
    }
    eg_shard_column c = column_of(EG_COL_EXPORTER, EG_SHARD_TEXT, &required);
    assert_true(eg_shard_test_has_bloom(text(EG_COL_EXPORTER, EG_TEXT_EQ, "::1"), &c));
    clear();
    assert_false(eg_shard_test_has_bloom(text(EG_COL_EXPORTER, EG_TEXT_NE, "::1"), &c));
    clear();
    c.form = EG_SHARD_U32;
    assert_false(eg_shard_test_has_bloom(text(EG_COL_EXPORTER, EG_TEXT_EQ, "10.0.0.1"), &c));
    clear();
}

static void dictionary_entries_are_looked_through(void **state) {
    (void)state;
    eg_pq_bytes entries[3] = {pb_text("10.0.0.1"), pb_text("10.0.0.200"), pb_text("9.9.9.9")};
    eg_pq_dictionary d = {.n_entries = 3, .values.bytes = entries};
    eg_shard_column c = column_of(EG_COL_SRCADDR, EG_SHARD_IP4_TEXT, &required);
    static const struct {
        int64_t lo, hi;
        bool may;
    } cases[] = {{0x0a000001, 0x0a000001, true},  {0x0a000002, 0x0a000002, false},
                 {0x0a000002, 0x0a0000c8, true},  {0x0a000002, 0x0a0000c7, false},
                 {0x0a0000c9, UINT32_MAX, false}, {0, 0x09090909, true},
                 {0, 0x09090908, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const eg_shard_test *t = range(EG_COL_SRCADDR, cases[i].lo, cases[i].hi, false);
        assert_true(eg_shard_test_has_entries(t, &c));
        assert_int_equal(eg_shard_test_entries(t, &c, &d), cases[i].may);
        clear();
    }
    const eg_shard_test *t = text(EG_COL_SRCADDR, EG_TEXT_GT, "10.0.0.1");
    assert_true(eg_shard_test_entries(t, &c, &d));
    clear();
    t = text(EG_COL_SRCADDR, EG_TEXT_GT, "99");
    assert_false(eg_shard_test_entries(t, &c, &d));
    clear();
    /* One that is no address passes nothing. */
    entries[1] = pb_text("wrong");
    assert_false(eg_shard_test_entries(range(EG_COL_SRCADDR, 1, 2, false), &c, &d));
    clear();
    d.n_entries = 0;
    assert_false(eg_shard_test_entries(range(EG_COL_SRCADDR, 1, 2, false), &c, &d));
    clear();
}

static void ranges_of_one_vector_are_one_test(void **state) {
    (void)state;
    int64_t set[2] = {1, 9};
    assert_int_equal(eg_predicate_range(&p, EG_COL_START_MS, 10, INT64_MAX, false, NULL), EG_OK);
    assert_int_equal(eg_predicate_range(&p, EG_COL_SRCPORT, 5, 5, true, NULL), EG_OK);
    assert_int_equal(
        eg_predicate_text(&p, EG_COL_START_TIME, EG_TEXT_LT, "1970-01-01 00:00:00.020", 23, NULL),
        EG_OK);
    assert_int_equal(eg_predicate_range(&p, EG_COL_END_MS, 3, 4, false, NULL), EG_OK);
    assert_int_equal(eg_predicate_set(&p, EG_COL_SRCPORT, set, 2, false, NULL), EG_OK);
    assert_int_equal(eg_shard_tests_open(&p, &tests, NULL), EG_OK);
    assert_int_equal(tests.n_tests, 4); /* all but what is no range, or of another vector */
    assert_int_equal(tests.tests[0].vector, EG_VEC_START_MS);
    assert_int_equal(tests.tests[0].n_spans, 1);
    assert_int_equal(tests.tests[0].spans[0].lo, 10);
    assert_int_equal(tests.tests[0].spans[0].hi, 19);
    clear();
    /* Nothing is in both. */
    assert_int_equal(eg_predicate_range(&p, EG_COL_BYTES, 10, 20, false, NULL), EG_OK);
    assert_int_equal(eg_predicate_range(&p, EG_COL_BYTES, 21, 30, false, NULL), EG_OK);
    assert_int_equal(eg_shard_tests_open(&p, &tests, NULL), EG_OK);
    assert_int_equal(tests.n_tests, 1);
    assert_int_equal(tests.tests[0].kind, EG_SHARD_TEST_NEVER);
    clear();
}

static void empty_predicate_has_no_tests(void **state) {
    (void)state;
    assert_int_equal(eg_shard_tests_open(NULL, &tests, NULL), EG_OK);
    assert_int_equal(tests.n_tests, 0);
    assert_int_equal(eg_shard_tests_open(&p, &tests, NULL), EG_OK);
    assert_int_equal(tests.n_tests, 0);
    clear();
}

int main(void) {
    const struct CMUnitTest all[] = {
        cmocka_unit_test(spans_hold_what_ranges_and_sets_let_pass),
        cmocka_unit_test(rows_of_every_width_are_compared),
        cmocka_unit_test(texts_of_times_and_protocols_become_numbers),
        cmocka_unit_test(address_bounds_in_text_never_exclude_one_that_passes),
        cmocka_unit_test(text_bounds_decide_comparisons_of_text),
        cmocka_unit_test(unsigned_and_scaled_bounds_compare_as_numbers),
        cmocka_unit_test(nulls_pass_only_where_they_are_asked_for),
        cmocka_unit_test(bloom_filters_serve_where_a_value_has_one_form),
        cmocka_unit_test(dictionary_entries_are_looked_through),
        cmocka_unit_test(ranges_of_one_vector_are_one_test),
        cmocka_unit_test(empty_predicate_has_no_tests),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}
