/* Claims of parquet/pq_bloom.c: the hash is XXH64, a filter never denies what it
** has, and lets about as much else through as its size promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/pq_bloom.h"

static void hash_is_xxh64(void **state) {
    (void)state;
    assert_true(eg_pq_bloom_hash("", 0) == UINT64_C(0xef46db3751d8e999));
    assert_true(eg_pq_bloom_hash("a", 1) == UINT64_C(0xd24ec4f1a98c6e5b));
    assert_true(eg_pq_bloom_hash("abc", 3) == UINT64_C(0x44bc2cf5ad770999));
    static const char text[] = "Nobody inspects the spammish repetition";
    assert_true(eg_pq_bloom_hash(text, sizeof text - 1) == UINT64_C(0xfbcea83c8a378bf1));
}

static void filter_keeps_its_promise_of_size(void **state) {
    (void)state;
    static const struct {
        uint32_t bits;
        double most;
    } promises[] = {{6, 0.10}, {11, 0.01}, {17, 0.001}};
    for (size_t k = 0; k < 3; k++) {
        /* As many values as fill the power of two. */
        uint32_t n_bytes = 1u << 18, n = n_bytes * 8 / promises[k].bits, n_blocks = n_bytes / 32;
        assert_int_equal(eg_pq_bloom_bytes(n, promises[k].bits), n_bytes);
        uint8_t *bits = calloc(1, n_bytes);
        uint32_t n_wrong = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint64_t hash = eg_pq_bloom_hash(&i, sizeof i);
            eg_pq_bloom_set(bits + 32 * (size_t)eg_pq_bloom_block(hash, n_blocks), hash);
        }
        for (uint32_t i = 0; i < n; i++) {
            uint64_t hash = eg_pq_bloom_hash(&i, sizeof i);
            assert_true(
                eg_pq_bloom_test(bits + 32 * (size_t)eg_pq_bloom_block(hash, n_blocks), hash));
        }
        for (uint32_t i = 0; i < 400000; i++) {
            uint32_t other = n + i;
            uint64_t hash = eg_pq_bloom_hash(&other, sizeof other);
            n_wrong +=
                eg_pq_bloom_test(bits + 32 * (size_t)eg_pq_bloom_block(hash, n_blocks), hash);
        }
        assert_true(n_wrong > 0);
        assert_true((double)n_wrong / 400000 < promises[k].most * 1.15);
        free(bits);
    }
}

static void sizes_are_powers_of_two_within_limits(void **state) {
    (void)state;
    assert_int_equal(eg_pq_bloom_bytes(0, 11), 32);
    assert_int_equal(eg_pq_bloom_bytes(1, 11), 32);
    assert_int_equal(eg_pq_bloom_bytes(100, 11), 256);
    assert_int_equal(eg_pq_bloom_bytes(UINT64_MAX, 11), 128u << 20);
    assert_int_equal(eg_pq_bloom_bytes(UINT64_C(1) << 40, 11), 128u << 20);
    for (uint64_t hash = 1; hash != 0; hash <<= 1)
        assert_int_equal(eg_pq_bloom_block(hash, 1), 0);
    assert_int_equal(eg_pq_bloom_block(UINT64_MAX, 1000), 999);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_is_xxh64),
        cmocka_unit_test(filter_keeps_its_promise_of_size),
        cmocka_unit_test(sizes_are_powers_of_two_within_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
