/* Claims of base/status.c and base/bytes.h: messages are cut, not overrun; loads follow
** the byte order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/bytes.h"
#include "base/status.h"

static void message_that_does_not_fit_is_cut(void **state) {
    (void)state;
    eg_err err;
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(eg_fail(&err, EG_IO, 7, "%s", text), EG_IO);
    assert_int_equal(err.code, EG_IO);
    assert_int_equal(err.offset, 7);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    assert_int_equal(eg_fail(NULL, EG_CORRUPT, -1, "%s", text), EG_CORRUPT);
}

static void every_status_has_its_own_name(void **state) {
    (void)state;
    for (int a = EG_OK; a <= EG_INTERRUPT; a++) {
        assert_memory_equal(eg_status_name((eg_status)a), "EG_", 3);
        for (int b = EG_OK; b < a; b++)
            assert_string_not_equal(eg_status_name((eg_status)a), eg_status_name((eg_status)b));
    }
}

static void loads_follow_the_byte_order(void **state) {
    (void)state;
    static const uint8_t b[8] = {0xf1, 2, 3, 4, 5, 6, 7, 0xf8};
    assert_int_equal(eg_be16(b), 0xf102);
    assert_int_equal(eg_le16(b), 0x02f1);
    assert_true(eg_be32(b) == UINT32_C(0xf1020304) && eg_le32(b) == UINT32_C(0x040302f1));
    assert_true(eg_le64(b) == UINT64_C(0xf8070605040302f1));
    assert_true(eg_load32(b, true) == eg_be32(b) && eg_load16(b, false) == eg_le16(b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_that_does_not_fit_is_cut),
        cmocka_unit_test(every_status_has_its_own_name),
        cmocka_unit_test(loads_follow_the_byte_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
