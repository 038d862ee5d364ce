/* Claims of capture/identity.c: the published XXH128, in any pieces, with the ids of prefixes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "capture/identity.h"

static void id_of(const void *bytes, size_t n, eg_capture_id *id) {
    eg_identity *h;
    assert_int_equal(eg_identity_open(NULL, 0, &h, NULL), EG_OK);
    eg_identity_add(h, bytes, n);
    assert_int_equal(eg_identity_now(h, id), (int64_t)n);
    eg_identity_close(h);
}

static void nothing_has_the_published_id(void **state) {
    (void)state;
    static const uint8_t published[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                          0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    eg_capture_id id;
    id_of("", 0, &id);
    assert_memory_equal(id.bytes, published, sizeof published);
}

static void prefixes_have_the_ids_of_their_bytes(void **state) {
    (void)state;
    uint8_t bytes[5000];
    static const int64_t lengths[] = {0, 1, 24, 240, 241, 1024, 4999, 5000, 9000};
    const eg_capture_id *ids;
    eg_identity *h;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(eg_identity_open(lengths, sizeof lengths / sizeof lengths[0], &h, NULL),
                     EG_OK);
    for (int round = 0; round < 2; round++) { /* a reset begins anew */
        eg_identity_reset(h);
        for (size_t at = 0, n = 1; at < sizeof bytes; at += n, n = n * 3 % 997 + 1) {
            n = n < sizeof bytes - at ? n : sizeof bytes - at;
            eg_identity_add(h, bytes + at, n);
        }
        assert_int_equal(eg_identity_prefixes(h, &ids), 8); /* 9000 is not reached */
        for (size_t i = 0; i < 8; i++) {
            eg_capture_id alone;
            id_of(bytes, (size_t)lengths[i], &alone);
            assert_true(eg_capture_id_equal(&alone, &ids[i]));
        }
        assert_false(eg_capture_id_equal(&ids[6], &ids[7]));
    }
    eg_identity_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_the_published_id),
        cmocka_unit_test(prefixes_have_the_ids_of_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
