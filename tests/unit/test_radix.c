/* Claims of base/radix.h: words are sorted by their upper bits, and those that agree in these stay
** in order; of however many words, and whichever bits they differ in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/radix.h"

#define MAX_WORDS 200000

static uint64_t seed = 5;
static uint64_t next_random(void) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return seed ^ seed >> 29;
}

/* Words that differ in the bits of `mask`; below low_bit each has its number. */
static void assert_sorts(uint32_t n, unsigned low_bit, uint64_t mask) {
    uint64_t *words = malloc(MAX_WORDS * sizeof *words), *spare = malloc(MAX_WORDS * sizeof *spare);
    uint64_t sum = 0, number_mask = (UINT64_C(1) << low_bit) - 1;
    for (uint32_t i = 0; i < n; i++) {
        words[i] = ((next_random() & mask) << low_bit) | (i & number_mask);
        sum += words[i] * UINT64_C(0x9e3779b97f4a7c15) >> 7;
    }
    eg_radix_sort(&words, &spare, n, low_bit);
    for (uint32_t i = 0; i < n; i++) {
        sum -= words[i] * UINT64_C(0x9e3779b97f4a7c15) >> 7;
        if (i > 0)
            assert_true(words[i - 1] >> low_bit < words[i] >> low_bit ||
                        (words[i - 1] >> low_bit == words[i] >> low_bit &&
                         (low_bit < 20 || words[i - 1] < words[i])));
    }
    assert_true(sum == 0); /* the same words as before */
    free(words);
    free(spare);
}

static void words_are_sorted_and_stay_in_order(void **state) {
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 100, 65535, 65536, MAX_WORDS};
    static const unsigned low_bits[] = {0, 1, 20, 32};
    static const uint64_t masks[] = {0,        1,          UINT64_C(0x80000000), 0xff,
                                     0xff00ff, 0xffffffff, 0x800f0001,           UINT64_MAX};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t b = 0; b < sizeof low_bits / sizeof *low_bits; b++)
            for (size_t m = 0; m < sizeof masks / sizeof *masks; m++)
                assert_sorts(counts[c], low_bits[b], masks[m]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_are_sorted_and_stay_in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
