/* Claims of parquet/pq_delta.c: numbers come back whatever their differences are;
** the end of a stream is found without reading it; damaged streams end in false. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/pq_delta.h"

static uint64_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed ^ *seed >> 29;
}

static int64_t pick(int kind, size_t i, uint64_t *seed) {
    switch (kind) {
    case 0:
        return 42; /* no differences */
    case 1:
        return (int64_t)i * 1000 - 5; /* one difference */
    case 2:
        return (int64_t)(next_random(seed) % 100) + (int64_t)i * 50; /* times */
    case 3:
        return (int64_t)next_random(seed); /* 64 bits of difference */
    case 4:
        return i % 2 == 0 ? INT64_MIN : INT64_MAX; /* wraps around */
    default:                                       /* a block of each width */
        return (int64_t)(next_random(seed) >> (63 - i / 128 % 64));
    }
}

static uint8_t *exact(const uint8_t *bytes, size_t n) {
    uint8_t *p = malloc(n + (n == 0));
    if (n > 0)
        memcpy(p, bytes, n);
    return p;
}

static const size_t sizes[] = {0, 1, 2, 31, 32, 33, 34, 127, 128, 129, 130, 257, 1000, 9000};

static void delta_gives_back_int64(void **state) {
    (void)state;
    uint64_t seed = 4;
    for (int kind = 0; kind < 6; kind++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            size_t n = sizes[s];
            int64_t *v = calloc(n + 1, 8), *got = calloc(n + 1, 8);
            for (size_t i = 0; i < n; i++)
                v[i] = pick(kind, i, &seed);
            eg_pq_buffer b = {0};
            eg_pq_delta_encode_int64(&b, v, n);
            assert_int_equal(b.status, EG_OK);
            uint8_t *p = exact(b.data, b.n_bytes);
            eg_pq_delta d;
            assert_true(eg_pq_delta_init(&d, p, b.n_bytes));
            assert_int_equal(d.n_total, n);
            assert_ptr_equal(eg_pq_delta_end(&d), p + b.n_bytes);
            for (size_t at = 0, now; at < n; at += now) {
                now = 1 + next_random(&seed) % 200;
                now = now < n - at ? now : n - at;
                assert_true(eg_pq_delta_read(&d, got + at, now));
                assert_ptr_equal(eg_pq_delta_end(&d), p + b.n_bytes);
            }
            assert_memory_equal(got, v, n * 8 + 8);
            assert_false(eg_pq_delta_read(&d, got, 1));
            free(p);
            free(v);
            free(got);
            eg_pq_buffer_free(&b);
        }
    }
}

static void delta_gives_back_int32_in_at_most_32_bits(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (int kind = 0; kind < 6; kind++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            size_t n = sizes[s];
            int32_t *v = calloc(n + 1, 4);
            int64_t *got = calloc(n + 1, 8);
            for (size_t i = 0; i < n; i++)
                v[i] = kind == 4 ? (i % 2 == 0 ? INT32_MIN : INT32_MAX)
                                 : (int32_t)(uint32_t)(uint64_t)pick(kind, i, &seed);
            eg_pq_buffer b = {0};
            eg_pq_delta_encode_int32(&b, v, n);
            uint8_t *p = exact(b.data, b.n_bytes);
            eg_pq_delta d;
            assert_true(eg_pq_delta_init(&d, p, b.n_bytes));
            assert_true(eg_pq_delta_read(&d, got, n));
            for (size_t i = 0; i < n; i++)
                assert_int_equal((int32_t)(uint32_t)(uint64_t)got[i], v[i]);
            assert_true(b.n_bytes <= 10 + (n / 128 + 1) * (5 + 4 + 128 * 4));
            free(p);
            free(v);
            free(got);
            eg_pq_buffer_free(&b);
        }
    }
}

static void delta_reads_the_known_bytes(void **state) {
    (void)state;
    /* 1 to 5: all differences 1, so a block without bits. */
    static const uint8_t ones[] = {0x80, 0x01, 0x04, 0x05, 0x02, 0x02, 0, 0, 0, 0};
    static const int64_t v[] = {1, 2, 3, 4, 5};
    int64_t got[5];
    eg_pq_delta d;
    assert_true(eg_pq_delta_init(&d, ones, sizeof ones));
    assert_true(eg_pq_delta_read(&d, got, 5));
    assert_memory_equal(got, v, sizeof v);
    eg_pq_buffer b = {0};
    eg_pq_delta_encode_int64(&b, v, 5);
    assert_int_equal(b.n_bytes, sizeof ones);
    assert_memory_equal(b.data, ones, sizeof ones);
    eg_pq_buffer_free(&b);
    /* 7, 5, 3, 1, 2, 3, 4, 5: least difference -2, the others 0 or 3 above it; the
    ** widths of the miniblocks that are not needed are noise. */
    static const uint8_t twos[] = {0x80, 0x01, 0x04, 0x08, 0x0e, 0x03, 2, 99, 77,
                                   65,   0xc0, 0x3f, 0,    0,    0,    0, 0,  0};
    static const int64_t v2[] = {7, 5, 3, 1, 2, 3, 4, 5};
    int64_t got2[8];
    assert_true(eg_pq_delta_init(&d, twos, sizeof twos));
    assert_ptr_equal(eg_pq_delta_end(&d), twos + sizeof twos);
    assert_true(eg_pq_delta_read(&d, got2, 8));
    assert_memory_equal(got2, v2, sizeof v2);
}

static void delta_rejects_heads_without_sense(void **state) {
    (void)state;
    static const uint8_t heads[][8] = {
        {0x80, 0x01, 0x00, 0x05, 0x02}, /* no miniblocks */
        {0x80, 0x01, 0x03, 0x05, 0x02}, /* 128 is no multiple of 3 */
        {0x80, 0x01, 0x40, 0x05, 0x02}, /* 2 numbers a miniblock */
        {0x00, 0x01, 0x05, 0x02},       /* blocks of 0 */
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
    };
    eg_pq_delta d;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        assert_false(eg_pq_delta_init(&d, heads[i], 8));
    assert_false(eg_pq_delta_init(&d, heads[0], 0));
    /* a width of 65 */
    static const uint8_t wide[] = {0x80, 0x01, 0x04, 0x05, 0x02, 0x02, 65, 0, 0, 0, 1, 2, 3};
    int64_t got[5];
    assert_true(eg_pq_delta_init(&d, wide, sizeof wide));
    assert_null(eg_pq_delta_end(&d));
    assert_false(eg_pq_delta_read(&d, got, 5));
}

static void delta_survives_cuts_and_noise(void **state) {
    (void)state;
    uint64_t seed = 8;
    int64_t v[300], got[300];
    for (size_t i = 0; i < 300; i++)
        v[i] = pick(5, i * 40, &seed);
    eg_pq_buffer b = {0};
    eg_pq_delta_encode_int64(&b, v, 300);
    for (size_t cut = 0; cut < b.n_bytes; cut++) {
        uint8_t *p = exact(b.data, cut);
        eg_pq_delta d;
        if (eg_pq_delta_init(&d, p, cut)) {
            assert_null(eg_pq_delta_end(&d));
            assert_false(eg_pq_delta_read(&d, got, 300));
        }
        free(p);
    }
    for (int round = 0; round < 30000; round++) {
        size_t n = b.n_bytes < 200 ? b.n_bytes : 200;
        uint8_t *p = exact(b.data, n);
        for (int flips = 0; flips < 4; flips++)
            p[next_random(&seed) % (flips < 2 ? 12 : n)] = (uint8_t)next_random(&seed);
        eg_pq_delta d;
        if (eg_pq_delta_init(&d, p, n)) {
            const uint8_t *end = eg_pq_delta_end(&d);
            assert_true(end == NULL || (end >= p && end <= p + n));
            while (eg_pq_delta_read(&d, got, 1 + next_random(&seed) % 300) &&
                   next_random(&seed) % 16 != 0)
                ;
        }
        free(p);
    }
    eg_pq_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delta_gives_back_int64),
        cmocka_unit_test(delta_gives_back_int32_in_at_most_32_bits),
        cmocka_unit_test(delta_reads_the_known_bytes),
        cmocka_unit_test(delta_rejects_heads_without_sense),
        cmocka_unit_test(delta_survives_cuts_and_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
