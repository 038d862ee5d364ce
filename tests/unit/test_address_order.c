/* Claims of flow/address_order.c: keys compare as dotted texts do, and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "flow/address_order.h"
#include "flow/schema.h"

static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(*seed >> 32);
}

static void keys_compare_as_texts_do(void **state) {
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 1000000; i++) {
        char a_text[EG_IP4_TEXT_MAX], b_text[EG_IP4_TEXT_MAX];
        uint32_t a = next_random(&seed), b = next_random(&seed);
        /* Often the same but for one octet. */
        if (i % 2 == 0)
            b = (a & ~(UINT32_C(0xff) << i / 2 % 4 * 8)) | (b & UINT32_C(0xff) << i / 2 % 4 * 8);
        eg_ip4_format(a, a_text);
        eg_ip4_format(b, b_text);
        int by_text = strcmp(a_text, b_text);
        uint32_t a_key = eg_ip4_text_key(a), b_key = eg_ip4_text_key(b);
        assert_int_equal((a_key > b_key) - (a_key < b_key), (by_text > 0) - (by_text < 0));
        assert_int_equal(eg_ip4_of_text_key(a_key), a);
        uint32_t both[2] = {a, b};
        eg_ip4_text_keys(both, 2);
        assert_true(both[0] == a_key && both[1] == b_key);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_compare_as_texts_do)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
