/* Claims of capture/reasons.def: names are fit for SQL and tell outcomes apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/reasons.h"

static void reasons_have_distinct_lower_case_names(void **state) {
    (void)state;
    for (int i = 0; i < EG_N_REASONS; i++) {
        const eg_reason_info *a = eg_reason_about((eg_reason)i);
        assert_true(strlen(a->name) > 0);
        assert_int_equal(strspn(a->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(a->name));
        assert_true(strlen(a->meaning) > 0);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(a->name, eg_reason_about((eg_reason)j)->name);
            assert_string_not_equal(a->meaning, eg_reason_about((eg_reason)j)->meaning);
        }
    }
}

static void reasons_keep_rows_of_four_kinds_of_v5_only(void **state) {
    (void)state;
    for (int i = 0; i < EG_N_REASONS; i++) {
        bool kept = i == EG_REASON_V5 || i == EG_REASON_V5_CUT || i == EG_REASON_V5_SHORT ||
                    i == EG_REASON_V5_LONG;
        assert_int_equal(eg_reason_about((eg_reason)i)->decoded, kept);
    }
}

static void reasons_tell_lost_flows_from_foreign_traffic(void **state) {
    (void)state;
    for (int i = 0; i < EG_N_REASONS; i++) {
        bool foreign = i == EG_REASON_V5 || i == EG_REASON_NOT_NETFLOW || i == EG_REASON_NOT_UDP ||
                       i == EG_REASON_BAD_IP;
        assert_int_equal(eg_reason_about((eg_reason)i)->exporting, !foreign);
    }
}

static void reasons_are_found_by_their_own_number(void **state) {
    (void)state;
    assert_string_equal(eg_reason_about(EG_REASON_V5)->name, "v5");
    assert_string_equal(eg_reason_about(EG_REASON_FRAGMENT_MISSING)->name, "fragment_missing");
    assert_string_equal(eg_reason_about(EG_REASON_NOT_CAPTURE)->name, "not_capture");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_have_distinct_lower_case_names),
        cmocka_unit_test(reasons_keep_rows_of_four_kinds_of_v5_only),
        cmocka_unit_test(reasons_tell_lost_flows_from_foreign_traffic),
        cmocka_unit_test(reasons_are_found_by_their_own_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
