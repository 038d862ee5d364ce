/* Sorting words by their upper bits. */
#ifndef EG_RADIX_H
#define EG_RADIX_H

#include <stdint.h>

/* Sorts the n words of *words by their bits from low_bit up; words that agree in these stay
** in order. *spare has as much room; the two arrays may change places. */
void eg_radix_sort(uint64_t **words, uint64_t **spare, uint32_t n, unsigned low_bit);

#endif
