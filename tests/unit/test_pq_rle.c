/* Claims of parquet/pq_rle.c: the hybrid gives back what was encoded at every bit
** width and in every slicing; damaged streams end in false, never beyond a byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/pq_rle.h"

static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 32);
}

/* Numbers of a width: noise, or runs of random lengths among noise. */
static uint32_t *numbers(size_t n, uint32_t width, bool has_runs, uint64_t *seed) {
    uint32_t *v = malloc((n + 1) * sizeof *v);
    size_t run = 0;
    for (size_t i = 0; i < n; i++) {
        if (run > 0 && i > 0) {
            v[i] = v[i - 1];
            run--;
        } else {
            v[i] = width == 0 ? 0 : next_random(seed) >> (32 - width);
            if (has_runs && next_random(seed) % 4 == 0)
                run = next_random(seed) % 60;
        }
    }
    return v;
}

/* A copy that ends with its last byte, for a checker to see a read beyond. */
static uint8_t *exact(const eg_pq_buffer *b, size_t n) {
    uint8_t *p = malloc(n + (n == 0));
    if (n > 0)
        memcpy(p, b->data, n);
    return p;
}

static void rle_gives_back_every_width(void **state) {
    (void)state;
    uint64_t seed = 1;
    static const size_t sizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 1000, 70000};
    for (uint32_t width = 1; width <= 32; width++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for (int runs = 0; runs < 2; runs++) {
                size_t n = sizes[s];
                uint32_t *v = numbers(n, width, runs, &seed), *got = malloc((n + 1) * sizeof *got);
                eg_pq_buffer b = {0};
                eg_pq_rle r;
                eg_pq_rle_encode(&b, v, n, width);
                assert_int_equal(b.status, EG_OK);
                uint8_t *p = exact(&b, b.n_bytes);
                /* at once, in random slices with some skipped */
                eg_pq_rle_init(&r, p, b.n_bytes, width);
                assert_true(eg_pq_rle_read(&r, got, n));
                if (n > 0)
                    assert_memory_equal(got, v, n * sizeof *v);
                eg_pq_rle_init(&r, p, b.n_bytes, width);
                for (size_t at = 0; at < n;) {
                    size_t now = 1 + next_random(&seed) % 300;
                    now = now < n - at ? now : n - at;
                    if (next_random(&seed) % 3 == 0) {
                        assert_true(eg_pq_rle_skip(&r, now));
                    } else {
                        assert_true(eg_pq_rle_read(&r, got, now));
                        assert_memory_equal(got, v + at, now * sizeof *v);
                    }
                    at += now;
                }
                free(p);
                free(got);
                free(v);
                eg_pq_buffer_free(&b);
            }
        }
    }
}

static void rle_compresses_runs(void **state) {
    (void)state;
    static uint32_t v[100000];
    eg_pq_buffer b = {0};
    for (size_t i = 0; i < 100000; i++)
        v[i] = 5;
    eg_pq_rle_encode(&b, v, 100000, 17);
    assert_int_equal(b.n_bytes, 3 + 3);
    eg_pq_rle_encode_run(&b, 5, 100000, 17); /* the same, without the numbers */
    assert_int_equal(b.n_bytes, 2 * (3 + 3));
    assert_memory_equal(b.data, b.data + 6, 6);
    eg_pq_buffer_clear(&b);
    v[50000] = 6; /* one other: its group of eight is packed, and what the run lacks to it */
    eg_pq_rle_encode(&b, v, 100000, 17);
    assert_true(b.n_bytes <= 2 * (3 + 3) + 1 + 2 * 17);
    eg_pq_buffer_free(&b);
}

/* Runs of every length of the short ones, some long, read in slices that end in the middle of them.
 */
static void rle_gives_back_runs_of_any_length(void **state) {
    (void)state;
    enum { N = 40000 };
    static uint32_t v[N], got[N];
    uint64_t seed = 11;
    for (uint32_t width = 1; width <= 32; width++) {
        size_t n_runs = 0;
        for (size_t i = 0, n_run; i < N; i += n_run, n_runs++) {
            n_run = next_random(&seed) % (n_runs % 50 == 0 ? 1000 : n_runs % 3 == 0 ? 70 : 4) + 1;
            n_run = n_run < N - i ? n_run : N - i;
            for (size_t k = 0; k < n_run; k++)
                v[i + k] = (uint32_t)(n_runs * 2654435761u) >> (32 - width);
        }
        eg_pq_buffer b = {0};
        eg_pq_rle_encode_runs(&b, v, N, width);
        assert_int_equal(b.status, EG_OK);
        assert_true(b.n_bytes <= n_runs * (2 + (width + 7) / 8));
        uint8_t *p = exact(&b, b.n_bytes);
        eg_pq_rle r;
        for (size_t most = 1; most <= N; most *= 6) {
            eg_pq_rle_init(&r, p, b.n_bytes, width);
            for (size_t at = 0, now; at < N; at += now) {
                now = 1 + next_random(&seed) % most;
                now = now < N - at ? now : N - at;
                if (next_random(&seed) % 5 == 0) {
                    assert_true(eg_pq_rle_skip(&r, now));
                    continue;
                }
                memset(got, 0, sizeof got);
                assert_true(eg_pq_rle_read(&r, got, now));
                assert_memory_equal(got, v + at, now * sizeof *v);
                for (size_t k = now; k < N && k < now + 64; k++)
                    assert_int_equal(got[k], 0); /* nothing behind them is touched */
            }
            assert_false(eg_pq_rle_read(&r, got, 1));
        }
        free(p);
        eg_pq_buffer_free(&b);
    }
}

static void rle_packed_runs_stay_below_65536_numbers(void **state) {
    (void)state;
    size_t n = 300000;
    uint64_t seed = 3;
    uint32_t *v = numbers(n, 9, false, &seed);
    eg_pq_buffer b = {0};
    eg_pq_rle_encode(&b, v, n, 9);
    size_t pos = 0, n_runs = 0;
    while (pos < b.n_bytes) {
        uint64_t head = 0;
        for (unsigned shift = 0;; shift += 7) {
            head |= (uint64_t)(b.data[pos] & 0x7f) << shift;
            if (b.data[pos++] < 0x80)
                break;
        }
        if ((head & 1) != 0) {
            assert_true(head >> 1 <= 8192);
            pos += (size_t)(head >> 1) * 9;
        } else {
            pos += 2;
        }
        n_runs++;
    }
    assert_int_equal(pos, b.n_bytes);
    assert_true(n_runs >= 5);
    free(v);
    eg_pq_buffer_free(&b);
}

static void rle_reads_the_known_bytes(void **state) {
    (void)state;
    /* 0 to 7 in three bits, the example of the format's documentation. */
    static const uint8_t packed[] = {0x03, 0x88, 0xc6, 0xfa};
    static const uint8_t run[] = {0xc8, 0x01, 0x04}; /* 100 times 4, in one byte */
    uint32_t got[100];
    eg_pq_rle r;
    eg_pq_rle_init(&r, packed, sizeof packed, 3);
    assert_true(eg_pq_rle_read(&r, got, 8));
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(got[i], i);
    assert_false(eg_pq_rle_read(&r, got, 1));
    eg_pq_rle_init(&r, run, sizeof run, 3);
    assert_true(eg_pq_rle_read(&r, got, 100));
    assert_int_equal(got[0], 4);
    assert_int_equal(got[99], 4);
    assert_false(eg_pq_rle_skip(&r, 1));
    uint32_t ascending[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    eg_pq_buffer b = {0};
    eg_pq_rle_encode(&b, ascending, 8, 3);
    assert_int_equal(b.n_bytes, sizeof packed);
    assert_memory_equal(b.data, packed, sizeof packed);
    eg_pq_buffer_free(&b);
}

static void rle_reads_bit_width_0(void **state) {
    (void)state;
    static const uint8_t run[] = {0x84, 0x96, 0x02}; /* 21186 / 2 … as one run, no value bytes */
    static const uint8_t packed[] = {0x05};          /* two groups of nothing */
    uint32_t got[20];
    eg_pq_rle r;
    eg_pq_rle_init(&r, run, sizeof run, 0);
    assert_true(eg_pq_rle_skip(&r, 10));
    assert_true(eg_pq_rle_read(&r, got, 20));
    assert_int_equal(got[19], 0);
    eg_pq_rle_init(&r, packed, sizeof packed, 0);
    assert_true(eg_pq_rle_read(&r, got, 16));
    assert_false(eg_pq_rle_read(&r, got, 1));
}

static void rle_bits_match_numbers(void **state) {
    (void)state;
    uint64_t seed = 9;
    for (int round = 0; round < 200; round++) {
        size_t n = next_random(&seed) % 2000, n_ones;
        uint32_t *v = numbers(n, 1, round % 2, &seed);
        uint8_t *bits = malloc(n + 1);
        eg_pq_buffer b = {0};
        eg_pq_rle r;
        eg_pq_rle_encode(&b, v, n, 1);
        uint8_t *p = exact(&b, b.n_bytes);
        eg_pq_rle_init(&r, p, b.n_bytes, 1);
        for (size_t at = 0, now; at < n; at += now) {
            now = 1 + next_random(&seed) % 100;
            now = now < n - at ? now : n - at;
            size_t ones = 0;
            assert_true(eg_pq_rle_read_bits(&r, bits, now, &n_ones));
            for (size_t i = 0; i < now; i++) {
                assert_int_equal(bits[i], v[at + i]);
                ones += v[at + i];
            }
            assert_int_equal(n_ones, ones);
        }
        free(p);
        free(bits);
        free(v);
        eg_pq_buffer_free(&b);
    }
    static const uint8_t two[] = {0x08, 0x02}; /* four times the bit 2 */
    uint8_t bits[4];
    size_t n_ones;
    eg_pq_rle r;
    eg_pq_rle_init(&r, two, sizeof two, 1);
    assert_false(eg_pq_rle_read_bits(&r, bits, 4, &n_ones));
}

static void rle_every_cut_gives_a_beginning_or_false(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (uint32_t width = 1; width <= 32; width += 5) {
        size_t n = 400;
        uint32_t *v = numbers(n, width, true, &seed), got[400];
        eg_pq_buffer b = {0};
        eg_pq_rle_encode(&b, v, n, width);
        for (size_t cut = 0; cut < b.n_bytes; cut++) {
            uint8_t *p = exact(&b, cut);
            eg_pq_rle r;
            eg_pq_rle_init(&r, p, cut, width);
            size_t have = 0;
            while (have < n && eg_pq_rle_read(&r, got + have, 1))
                have++;
            /* what fills up the last group may be missing */
            assert_true(have < n || b.n_bytes - cut < width);
            assert_memory_equal(got, v, have * sizeof *got);
            free(p);
        }
        free(v);
        eg_pq_buffer_free(&b);
    }
}

static void rle_survives_noise(void **state) {
    (void)state;
    uint64_t seed = 77;
    static uint32_t got[5000];
    static uint8_t bits[5000];
    for (int round = 0; round < 20000; round++) {
        uint8_t noise[40];
        size_t n = next_random(&seed) % sizeof noise, n_ones;
        for (size_t i = 0; i < n; i++)
            noise[i] = (uint8_t)next_random(&seed);
        eg_pq_buffer view = {.data = noise, .n_bytes = n};
        uint8_t *p = exact(&view, n);
        eg_pq_rle r;
        eg_pq_rle_init(&r, p, n, next_random(&seed) % 33);
        while (eg_pq_rle_read(&r, got, 1 + next_random(&seed) % 5000) &&
               next_random(&seed) % 8 != 0)
            eg_pq_rle_skip(&r, next_random(&seed) % 100);
        eg_pq_rle_init(&r, p, n, 1);
        eg_pq_rle_read_bits(&r, bits, next_random(&seed) % 5000, &n_ones);
        free(p);
    }
}

static void bit_width_is_what_the_number_needs(void **state) {
    (void)state;
    assert_int_equal(eg_pq_bit_width(0), 0);
    assert_int_equal(eg_pq_bit_width(1), 1);
    assert_int_equal(eg_pq_bit_width(2), 2);
    assert_int_equal(eg_pq_bit_width(255), 8);
    assert_int_equal(eg_pq_bit_width(256), 9);
    assert_int_equal(eg_pq_bit_width(UINT32_MAX), 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rle_gives_back_every_width),
        cmocka_unit_test(rle_compresses_runs),
        cmocka_unit_test(rle_gives_back_runs_of_any_length),
        cmocka_unit_test(rle_packed_runs_stay_below_65536_numbers),
        cmocka_unit_test(rle_reads_the_known_bytes),
        cmocka_unit_test(rle_reads_bit_width_0),
        cmocka_unit_test(rle_bits_match_numbers),
        cmocka_unit_test(rle_every_cut_gives_a_beginning_or_false),
        cmocka_unit_test(rle_survives_noise),
        cmocka_unit_test(bit_width_is_what_the_number_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
