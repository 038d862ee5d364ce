/* Claims of sqlite/store_terms.c: which WHERE terms a predicate becomes, and what of them each
** index is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "sqlite/store_terms.h"

static eg_err err;

static void expect(eg_predicate *p, const char *where, eg_store_index index, const char *indexed) {
    eg_store_terms t;
    assert_int_equal(eg_store_terms_make(p, &t, &err), EG_OK);
    assert_string_equal(t.where, where);
    if (indexed == NULL)
        assert_null(t.indexed[index]);
    else
        assert_string_equal(t.indexed[index], indexed);
    eg_store_terms_clear(&t);
    eg_predicate_clear(p);
}

static void add_text(eg_predicate *p, eg_column c, eg_text_op op, const char *text) {
    assert_int_equal(eg_predicate_text(p, c, op, text, strlen(text), &err), EG_OK);
}

static void nothing_asks_for_nothing(void **state) {
    (void)state;
    eg_predicate p = {0};
    expect(&p, "", EG_INDEX_TIME, NULL);
}

static void one_address_is_asked_by_its_text_with_the_time(void **state) {
    (void)state;
    eg_predicate p = {0};
    add_text(&p, EG_COL_SRCADDR, EG_TEXT_EQ, "10.0.0.1");
    assert_int_equal(eg_predicate_range(&p, EG_COL_START_MS, 5, 9, false, &err), EG_OK);
    expect(&p, " AND srcaddr = '10.0.0.1' AND start_ms BETWEEN 5 AND 9", EG_INDEX_SRCADDR,
           "srcaddr = '10.0.0.1' AND start_ms BETWEEN 5 AND 9");
    assert_int_equal(eg_predicate_range(&p, EG_COL_DSTADDR, 1, 1, false, &err), EG_OK);
    expect(&p, " AND dstaddr = '0.0.0.1'", EG_INDEX_DSTADDR, "dstaddr = '0.0.0.1'");
    add_text(&p, EG_COL_SRCADDR, EG_TEXT_EQ, "10.0.0.01' OR 1");
    expect(&p, " AND 0", EG_INDEX_SRCADDR, NULL);
}

static void networks_and_lists_are_asked_by_number(void **state) {
    (void)state;
    eg_predicate p = {0};
    const int64_t set[] = {3, 1, 2};
    assert_int_equal(eg_predicate_range(&p, EG_COL_SRCADDR, 16, 31, false, &err), EG_OK);
    expect(&p, " AND srcaddr_num BETWEEN 16 AND 31", EG_INDEX_SRCADDR_NUM,
           "srcaddr_num BETWEEN 16 AND 31");
    assert_int_equal(eg_predicate_set(&p, EG_COL_DSTADDR, set, 3, false, &err), EG_OK);
    expect(&p, " AND dstaddr_num IN (1, 2, 3)", EG_INDEX_DSTADDR_NUM, "dstaddr_num IN (1, 2, 3)");
}

static void times_as_texts_become_numbers(void **state) {
    (void)state;
    static const struct {
        eg_text_op op;
        const char *text, *where;
    } cases[] = {
        {EG_TEXT_GE, "1970-01-01 00:00:01", " AND start_ms >= 1000"},
        {EG_TEXT_GT, "1970-01-01 00:00:01", " AND start_ms >= 1000"}, /* shorter: less than all */
        {EG_TEXT_GT, "1970-01-01 00:00:01.000", " AND start_ms >= 1001"},
        {EG_TEXT_LT, "1970-01-01 00:00:01.000", " AND start_ms <= 999"},
        {EG_TEXT_LE, "1970-01-01 00:00:01.000", " AND start_ms <= 1000"},
        {EG_TEXT_LE, "1970-01-01 00:00:01", " AND start_ms <= 999"},
        {EG_TEXT_EQ, "1970-01-01 00:00:01.000", " AND start_ms BETWEEN 1000 AND 1000"},
        {EG_TEXT_EQ, "1970-01-01 00:00:01", " AND start_ms BETWEEN 1 AND 0"},
        {EG_TEXT_NE, "1970-01-01 00:00:01.000", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eg_predicate p = {0};
        add_text(&p, EG_COL_START_TIME, cases[i].op, cases[i].text);
        expect(&p, cases[i].where, EG_INDEX_TIME,
               cases[i].where[0] != '\0' ? cases[i].where + strlen(" AND ") : NULL);
    }
}

static void what_sql_cannot_say_is_left_to_the_engine(void **state) {
    (void)state;
    eg_predicate p = {0};
    add_text(&p, EG_COL_EXPORTER, EG_TEXT_EQ, "10.0.0.1");
    add_text(&p, EG_COL_PROTOCOL, EG_TEXT_GE, "TCP");
    add_text(&p, EG_COL_FILE, EG_TEXT_EQ, "a");
    assert_int_equal(eg_predicate_range(&p, EG_COL_BYTES_EST, 1, 2, false, &err), EG_OK);
    assert_int_equal(eg_predicate_range(&p, EG_COL_BYTES, 1, 2, true, &err), EG_OK);
    assert_int_equal(eg_predicate_null(&p, EG_COL_SRCPORT, false, &err), EG_OK);
    assert_int_equal(eg_predicate_range(&p, EG_COL_END_MS, 7, INT64_MAX, false, &err), EG_OK);
    expect(&p, " AND (start_ms + duration_ms) >= 7", EG_INDEX_TIME, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asks_for_nothing),
        cmocka_unit_test(one_address_is_asked_by_its_text_with_the_time),
        cmocka_unit_test(networks_and_lists_are_asked_by_number),
        cmocka_unit_test(times_as_texts_become_numbers),
        cmocka_unit_test(what_sql_cannot_say_is_left_to_the_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
