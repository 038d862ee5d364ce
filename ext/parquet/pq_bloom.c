#include "parquet/pq_bloom.h"

#include <xxhash.h>

uint64_t eg_pq_bloom_hash(const void *data, size_t n_bytes) {
    return XXH64(data, n_bytes, 0);
}

uint32_t eg_pq_bloom_block(uint64_t hash, uint32_t n_blocks) {
    return (uint32_t)((hash >> 32) * n_blocks >> 32);
}

/* The bit, 0 to 31, that a hash has in word i of its block. */
static unsigned bit_of(uint64_t hash, unsigned i) {
    static const uint32_t salts[8] = {0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
                                      0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};
    return (uint32_t)hash * salts[i] >> 27;
}

bool eg_pq_bloom_test(const uint8_t block[EG_PQ_BLOOM_BLOCK], uint64_t hash) {
    for (unsigned i = 0; i < 8; i++) {
        unsigned bit = bit_of(hash, i);
        if ((block[4 * i + bit / 8] >> bit % 8 & 1) == 0)
            return false;
    }
    return true;
}

void eg_pq_bloom_set(uint8_t block[EG_PQ_BLOOM_BLOCK], uint64_t hash) {
    for (unsigned i = 0; i < 8; i++) {
        unsigned bit = bit_of(hash, i);
        block[4 * i + bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

uint32_t eg_pq_bloom_bytes(uint64_t n_distinct, uint32_t bits_per_value) {
    const uint64_t most = (uint64_t)128 << 20;
    uint64_t n_bytes = EG_PQ_BLOOM_BLOCK, need;
    if (__builtin_mul_overflow(n_distinct, (uint64_t)bits_per_value, &need))
        return (uint32_t)most;
    while (n_bytes < most && n_bytes * 8 < need)
        n_bytes *= 2;
    return (uint32_t)n_bytes;
}
