/*
** Weights: what rows of an address sum up to at most, without reading them. A store keeps them for
** buckets of addresses, of the source and of the destination, so that a ranking can pass over rows
** whose group cannot be among the first.
*/
#ifndef EG_WEIGHTS_H
#define EG_WEIGHTS_H

#include <stdint.h>

typedef enum eg_weight {
    EG_WEIGHT_BYTES,
    EG_WEIGHT_PACKETS,
    EG_WEIGHT_FLOWS,
    EG_N_WEIGHTS
} eg_weight;

#define EG_WEIGHT_BITS 14
#define EG_WEIGHT_BUCKETS (1u << EG_WEIGHT_BITS)

/* The bucket of an address. Of fewer buckets, 2^n, it is the one by the n highest bits. */
static inline uint32_t eg_weight_bucket(uint32_t addr) {
    return addr * UINT32_C(2654435769) >> (32 - EG_WEIGHT_BITS);
}

#endif
