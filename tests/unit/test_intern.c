/* Claims of base/intern.c: equal texts get equal codes, and pointers stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/intern.h"

static void equal_texts_get_one_code_and_pointers_stay(void **state) {
    (void)state;
    eg_intern *t;
    uint32_t code;
    size_t n_bytes;
    char text[32];
    assert_int_equal(eg_intern_open(&t, NULL), EG_OK);
    assert_int_equal(eg_intern_add(t, "first", 5, &code, NULL), EG_OK);
    const char *first = eg_intern_text(t, code, &n_bytes);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 5000; i++) {
            int n = snprintf(text, sizeof text, "text %u", i);
            assert_int_equal(eg_intern_add(t, text, (size_t)n, &code, NULL), EG_OK);
            assert_int_equal(code, i + 1);
            assert_string_equal(eg_intern_text(t, code, &n_bytes), text);
            assert_int_equal(n_bytes, n);
        }
    }
    assert_int_equal(eg_intern_count(t), 5001);
    assert_ptr_equal(eg_intern_text(t, 0, &n_bytes), first);
    assert_string_equal(first, "first");
    eg_intern_close(t);
    eg_intern_close(NULL);
}

static void texts_with_zero_bytes_and_empty_ones_differ(void **state) {
    (void)state;
    eg_intern *t;
    uint32_t empty, zero, two;
    size_t n_bytes;
    assert_int_equal(eg_intern_open(&t, NULL), EG_OK);
    assert_int_equal(eg_intern_add(t, "", 0, &empty, NULL), EG_OK);
    assert_int_equal(eg_intern_add(t, "\0", 1, &zero, NULL), EG_OK);
    assert_int_equal(eg_intern_add(t, "\0a", 2, &two, NULL), EG_OK);
    assert_int_equal(eg_intern_count(t), 3);
    assert_memory_equal(eg_intern_text(t, two, &n_bytes), "\0a", 3);
    eg_intern_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_texts_get_one_code_and_pointers_stay),
        cmocka_unit_test(texts_with_zero_bytes_and_empty_ones_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
