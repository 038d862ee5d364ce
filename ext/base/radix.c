/* Eleven bits at a time, lowest first; digits in which all words agree are left out. */
#include "base/radix.h"

#define RADIX_BITS 11
#define RADIX (1u << RADIX_BITS)

void eg_radix_sort(uint64_t **words, uint64_t **spare, uint32_t n, unsigned low_bit) {
    uint64_t any = 0, all = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        any |= (*words)[i];
        all &= (*words)[i];
    }
    for (unsigned shift = low_bit; shift < 64; shift += RADIX_BITS) {
        uint32_t starts[RADIX] = {0}, sum = 0;
        const uint64_t *from = *words;
        uint64_t *to = *spare;
        if (((any ^ all) >> shift & (RADIX - 1)) == 0)
            continue;
        for (uint32_t i = 0; i < n; i++)
            starts[from[i] >> shift & (RADIX - 1)]++;
        for (uint32_t d = 0; d < RADIX; d++) {
            uint32_t count = starts[d];
            starts[d] = sum;
            sum += count;
        }
        for (uint32_t i = 0; i < n; i++)
            to[starts[from[i] >> shift & (RADIX - 1)]++] = from[i];
        *spare = *words;
        *words = to;
    }
}
