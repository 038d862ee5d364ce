/*
** Least significant digit first. The bits in which words differ are cut into digits of one
** width, so that as few passes as possible move the words; one walk before them counts all
** digits.
*/
#include "base/radix.h"

#include <stdbool.h>
#include <string.h>

#define WIDE_BITS 11 /* of a digit: the ends of so many runs fit the second cache */
#define SLIM_BITS 8  /* where there are too few words to fill more */
#define MANY_WORDS 65536
#define MOST_COUNTS (6u << WIDE_BITS) /* 6 digits of 11 bits; 8 of 8 need fewer */

/* Turns counts of digits into the places where their words start. False where one digit has
** all n words: then a pass would move nothing. */
static bool place_digits(uint32_t *counts, uint32_t n_digits, uint32_t n) {
    uint32_t sum = 0;
    bool is_one = false;
    for (uint32_t d = 0; d < n_digits; d++) {
        uint32_t count = counts[d];
        is_one |= count == n;
        counts[d] = sum;
        sum += count;
    }
    return !is_one;
}

static void move_words(const uint64_t *from, uint64_t *to, uint32_t n, unsigned shift,
                       uint64_t mask, uint32_t *starts) {
    for (uint32_t i = 0; i < n; i++)
        to[starts[from[i] >> shift & mask]++] = from[i];
}

void eg_radix_sort(uint64_t **words, uint64_t **spare, uint32_t n, unsigned low_bit) {
    uint32_t counts[MOST_COUNTS];
    uint64_t differs = 0;
    for (uint32_t i = 1; i < n; i++)
        differs |= (*words)[i] ^ (*words)[0];
    differs = differs >> low_bit << low_bit;
    if (differs == 0)
        return;
    unsigned first_bit = (unsigned)__builtin_ctzll(differs);
    unsigned n_bits = 64 - (unsigned)__builtin_clzll(differs) - first_bit;
    unsigned most_bits = n < MANY_WORDS ? SLIM_BITS : WIDE_BITS;
    unsigned n_passes = (n_bits + most_bits - 1) / most_bits;
    unsigned width = (n_bits + n_passes - 1) / n_passes;
    uint64_t mask = (UINT64_C(1) << width) - 1;
    memset(counts, 0, (n_passes << width) * sizeof counts[0]);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t rest = (*words)[i] >> first_bit;
        for (unsigned pass = 0; pass < n_passes; pass++, rest >>= width)
            counts[pass << width | (rest & mask)]++;
    }
    for (unsigned pass = 0; pass < n_passes; pass++) {
        uint32_t *starts = counts + (pass << width);
        uint64_t *from = *words;
        if (!place_digits(starts, (uint32_t)mask + 1, n))
            continue;
        move_words(from, *spare, n, first_bit + pass * width, mask, starts);
        *words = *spare;
        *spare = from;
    }
}
