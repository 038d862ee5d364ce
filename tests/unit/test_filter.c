/* Claims of query/filter.c: every kernel gives what comparing values one by one
** gives, NULL satisfies no comparison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "light.h"
#include "query/filter.h"

#define N_ROWS 700
#define ALL_VECTORS ((UINT64_C(1) << EG_N_VECTORS) - 1)

static uint64_t seed = 1;
static uint64_t rnd(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Values that repeat, and the ends of each range. */
static int64_t some_number(eg_vector v) {
    int64_t lo, hi;
    eg_vector_range(v, &lo, &hi);
    bool is_time = v == EG_VEC_START_MS || v == EG_VEC_END_MS || v == EG_VEC_RECEIVED_MS;
    if (is_time)
        return INT64_C(1185487200000) + (int64_t)rnd(50) * 100;
    switch (rnd(6)) {
    case 0:
        return lo > 0 ? lo : 0;
    case 1:
        return hi > UINT32_MAX ? UINT32_MAX : hi;
    default:
        return (int64_t)rnd(hi > 40 ? 40 : (uint64_t)hi + 1);
    }
}

static void fill(eg_batch *b) {
    b->n_rows = N_ROWS;
    b->nulls = NULL;
    bool has_nulls = rnd(2) == 0;
    if (has_nulls)
        assert_int_equal(eg_batch_need_nulls(b, NULL), EG_OK);
    for (uint32_t i = 0; i < N_ROWS; i++) {
#define EG_VECTOR(ID, ctype) b->v.ID[i] = (ctype)some_number(EG_VEC_##ID);
#include "flow/schema.def"
        b->v.EXPORTER[i] = (uint32_t)rnd(4);
        b->v.FILE[i] = (uint32_t)rnd(4);
        if (rnd(5) == 0)
            b->v.RECEIVED_MS[i] = EG_NO_TIME;
        if (!has_nulls || rnd(3) > 0)
            continue;
        b->nulls[i] = (rnd(ALL_VECTORS) & rnd(ALL_VECTORS)) & ~EG_VECTOR_BIT(EG_VEC_RECEIVED_MS);
#define EG_VECTOR(ID, ctype)                                                                       \
    if ((b->nulls[i] & EG_VECTOR_BIT(EG_VEC_##ID)) != 0)                                           \
        b->v.ID[i] = 0;
#include "flow/schema.def"
        if ((b->nulls[i] & EG_VECTOR_BIT(EG_VEC_EXPORTER)) != 0)
            b->v.EXPORTER[i] = UINT32_MAX; /* no code: nobody may look it up */
    }
}

static bool term_passes(const eg_term *t, const eg_batch *b, uint32_t row) {
    char scratch[EG_TEXT_MAX];
    size_t n_bytes = 0;
    int64_t number = eg_batch_number(b, t->col, row);
    bool is_null = eg_column_about(t->col)->kind == EG_KIND_TIME && number == EG_NO_TIME;
    is_null |= b->nulls != NULL && (b->nulls[row] & eg_column_about(t->col)->vectors) != 0;
    if (t->kind == EG_TEST_NULL)
        return is_null != t->negated;
    if (is_null || t->kind == EG_TEST_NONE)
        return false;
    bool in = false;
    if (t->kind == EG_TEST_RANGE)
        return (number >= t->lo && number <= t->hi) != t->negated;
    if (t->kind == EG_TEST_SET) {
        for (size_t i = 0; i < t->n_set; i++)
            in |= t->set[i] == number;
        return in != t->negated;
    }
    const char *text = eg_batch_text(b, t->col, row, scratch, &n_bytes);
    size_t n = n_bytes < t->text_bytes ? n_bytes : t->text_bytes;
    int c = memcmp(text, t->text, n);
    if (c == 0)
        c = (n_bytes > t->text_bytes) - (n_bytes < t->text_bytes);
    switch (t->op) {
    case EG_TEXT_EQ:
        return c == 0;
    case EG_TEXT_NE:
        return c != 0;
    case EG_TEXT_LT:
        return c < 0;
    case EG_TEXT_LE:
        return c <= 0;
    case EG_TEXT_GT:
        return c > 0;
    default:
        return c >= 0;
    }
}

static void add_random_term(eg_predicate *p, const eg_batch *b) {
    eg_column col = (eg_column)rnd(EG_N_COLUMNS);
    eg_vector v = eg_column_about(col)->vector;
    bool negated = rnd(3) == 0;
    uint64_t kind = rnd(20);
    if (kind == 0) {
        assert_int_equal(eg_predicate_null(p, col, negated, NULL), EG_OK);
    } else if (kind == 1) {
        assert_int_equal(eg_predicate_none(p, col, NULL), EG_OK);
    } else if (kind < 8) {
        int64_t lo = some_number(v), hi = lo + (int64_t)rnd(30) - 3;
        if (rnd(8) == 0)
            lo = INT64_MIN;
        if (rnd(8) == 0)
            hi = INT64_MAX;
        assert_int_equal(eg_predicate_range(p, col, lo, hi, negated, NULL), EG_OK);
    } else if (kind < 13 || !eg_column_is_text(col)) {
        int64_t set[8];
        size_t n = rnd(8);
        for (size_t i = 0; i < n; i++)
            set[i] = rnd(5) == 0 ? -1 : some_number(v);
        assert_int_equal(eg_predicate_set(p, col, set, n, negated, NULL), EG_OK);
    } else {
        /* a value that is there, sometimes cut or changed */
        char scratch[EG_TEXT_MAX], text[EG_TEXT_MAX + 8];
        size_t n = 0;
        const char *from = eg_batch_text(b, col, (uint32_t)rnd(N_ROWS), scratch, &n);
        memcpy(text, from ? from : "x", n);
        if (rnd(3) == 0)
            n = rnd(n + 1);
        else if (n > 0 && rnd(3) == 0)
            text[rnd(n)] = (char)(33 + rnd(90));
        else if (rnd(6) == 0)
            text[n++] = '0';
        assert_int_equal(eg_predicate_text(p, col, (eg_text_op)rnd(6), text, n, NULL), EG_OK);
    }
}

static void random_predicates_agree_with_comparing_values(void **state) {
    (void)state;
    static const char *const texts[] = {"192.0.2.1", "::1", "253", "a/b.pcap"};
    eg_intern *interned;
    eg_batch b;
    uint32_t code;
    assert_int_equal(eg_intern_open(&interned, NULL), EG_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(eg_intern_add(interned, texts[i], strlen(texts[i]), &code, NULL), EG_OK);
    assert_int_equal(eg_batch_open(&b, ALL_VECTORS, interned, NULL), EG_OK);
    size_t n_selected = 0, n_rounds = is_light() ? 1000 : 4000;
    for (size_t round = 0; round < n_rounds; round++) {
        if (round % 50 == 0)
            fill(&b);
        eg_predicate p = {0};
        for (uint64_t n = rnd(4); n > 0; n--)
            add_random_term(&p, &b);
        eg_filter *f;
        assert_int_equal(eg_filter_open(&p, &f, NULL), EG_OK);
        for (int again = 0; again < 2; again++) { /* a filter is used for many batches */
            assert_int_equal(eg_filter_run(f, &b, NULL), EG_OK);
            uint32_t at = 0;
            for (uint32_t row = 0; row < N_ROWS; row++) {
                bool pass = true;
                for (size_t t = 0; t < p.n_terms; t++)
                    pass = pass && term_passes(&p.terms[t], &b, row);
                if (pass) {
                    assert_true(at < b.n_sel);
                    assert_int_equal(b.sel[at], row);
                    at++;
                }
            }
            assert_int_equal(at, b.n_sel);
            n_selected += at;
        }
        b.is_passed = true; /* the source knows better: nothing is looked at */
        assert_int_equal(eg_filter_run(f, &b, NULL), EG_OK);
        assert_int_equal(b.n_sel, N_ROWS);
        b.is_passed = false;
        eg_filter_close(f);
        eg_predicate_clear(&p);
    }
    assert_true(n_selected > 25 * n_rounds); /* the predicates do let rows through */
    eg_batch_close(&b);
    eg_intern_close(interned);
}

static void text_test_on_a_number_column_is_refused(void **state) {
    (void)state;
    eg_predicate p = {0};
    eg_filter *f;
    eg_err err;
    assert_int_equal(eg_predicate_text(&p, EG_COL_BYTES, EG_TEXT_EQ, "1", 1, NULL), EG_OK);
    assert_int_equal(eg_filter_open(&p, &f, &err), EG_MISUSE);
    assert_string_equal(err.msg, "column bytes is a number, not a text");
    eg_predicate_clear(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_predicates_agree_with_comparing_values),
        cmocka_unit_test(text_test_on_a_number_column_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
