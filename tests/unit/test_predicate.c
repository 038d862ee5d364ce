/* Claims of flow/predicate.c: terms are copies, sets come sorted and distinct, and the
** vectors are all that evaluating reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "flow/predicate.h"

static void terms_keep_what_was_given(void **state) {
    (void)state;
    eg_predicate p = {0};
    char text[] = "a\0b";
    assert_int_equal(eg_predicate_none(&p, EG_COL_TOS, NULL), EG_OK);
    assert_int_equal(eg_predicate_range(&p, EG_COL_BYTES, -3, 9, true, NULL), EG_OK);
    assert_int_equal(eg_predicate_text(&p, EG_COL_FILE, EG_TEXT_GE, text, 3, NULL), EG_OK);
    assert_int_equal(eg_predicate_text(&p, EG_COL_FILE, EG_TEXT_NE, NULL, 0, NULL), EG_OK);
    assert_int_equal(eg_predicate_null(&p, EG_COL_RECEIVED_TIME, true, NULL), EG_OK);
    memset(text, 'x', 3);
    assert_int_equal(p.n_terms, 5);
    assert_int_equal(p.terms[0].kind, EG_TEST_NONE);
    assert_int_equal(p.terms[1].kind, EG_TEST_RANGE);
    assert_true(p.terms[1].lo == -3 && p.terms[1].hi == 9 && p.terms[1].negated);
    assert_int_equal(p.terms[2].op, EG_TEXT_GE);
    assert_int_equal(p.terms[2].text_bytes, 3);
    assert_memory_equal(p.terms[2].text, "a\0b", 3);
    assert_int_equal(p.terms[3].text_bytes, 0);
    assert_int_equal(p.terms[4].kind, EG_TEST_NULL);
    assert_true(p.terms[4].negated && p.terms[4].col == EG_COL_RECEIVED_TIME);
    eg_predicate_clear(&p);
    assert_true(p.n_terms == 0 && p.terms == NULL);
    eg_predicate_clear(&p);
}

static void sets_come_sorted_and_distinct(void **state) {
    (void)state;
    static const int64_t given[] = {5, INT64_MIN, 5, -1, INT64_MAX, 0, -1, INT64_MAX};
    static const int64_t sorted[] = {INT64_MIN, -1, 0, 5, INT64_MAX};
    eg_predicate p = {0};
    assert_int_equal(eg_predicate_set(&p, EG_COL_FRAME, given, 8, false, NULL), EG_OK);
    assert_int_equal(eg_predicate_set(&p, EG_COL_FRAME, NULL, 0, true, NULL), EG_OK);
    assert_int_equal(p.terms[0].n_set, 5);
    assert_memory_equal(p.terms[0].set, sorted, sizeof sorted);
    assert_int_equal(p.terms[1].n_set, 0);
    assert_true(p.terms[1].negated);
    eg_predicate_clear(&p);
}

static void vectors_are_those_of_all_terms(void **state) {
    (void)state;
    eg_predicate p = {0};
    assert_true(eg_predicate_vectors(&p) == 0);
    assert_int_equal(eg_predicate_range(&p, EG_COL_PACKETS_EST, 0, 1, false, NULL), EG_OK);
    assert_int_equal(eg_predicate_null(&p, EG_COL_END_TIME, false, NULL), EG_OK);
    assert_true(eg_predicate_vectors(&p) ==
                (EG_VECTOR_BIT(EG_VEC_PACKETS) | EG_VECTOR_BIT(EG_VEC_SAMPLING_INTERVAL) |
                 EG_VECTOR_BIT(EG_VEC_END_MS)));
    eg_predicate_clear(&p);
}

static void any_number_of_terms_fits(void **state) {
    (void)state;
    eg_predicate p = {0};
    for (int64_t i = 0; i < 1000; i++)
        assert_int_equal(eg_predicate_range(&p, EG_COL_TOS, i, i + 1, false, NULL), EG_OK);
    for (int64_t i = 0; i < 1000; i++)
        assert_true(p.terms[i].lo == i && p.terms[i].hi == i + 1);
    eg_predicate_clear(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_keep_what_was_given),
        cmocka_unit_test(sets_come_sorted_and_distinct),
        cmocka_unit_test(vectors_are_those_of_all_terms),
        cmocka_unit_test(any_number_of_terms_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
