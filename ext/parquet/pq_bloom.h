/*
** Split-block Bloom filters: blocks of 32 bytes, one of which a value's hash
** chooses, and eight bits in it. The hash is XXH64, seed 0, of the value as it
** stands in PLAIN (numbers little endian, byte arrays without their length).
** This is the arithmetic; eg_pq_file_bloom in pq_file.h probes one in a file.
*/
#ifndef EG_PQ_BLOOM_H
#define EG_PQ_BLOOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EG_PQ_BLOOM_BLOCK 32 /* bytes */

/* XXH64 with seed 0, by libxxhash. */
uint64_t eg_pq_bloom_hash(const void *data, size_t n_bytes);

/* The number of the hash's block among n_blocks (at least 1). */
uint32_t eg_pq_bloom_block(uint64_t hash, uint32_t n_blocks);

/* Whether all bits of the hash are set in its block. */
bool eg_pq_bloom_test(const uint8_t block[EG_PQ_BLOOM_BLOCK], uint64_t hash);

/* Sets the bits of the hash in its block. */
void eg_pq_bloom_set(uint8_t block[EG_PQ_BLOOM_BLOCK], uint64_t hash);

/* Bytes of a filter for n_distinct values with so many bits for each: a power of
** two from 32 to 128 MiB. 6 bits let one absent value in 10 through, 11 one in
** 100, 17 one in 1000. */
uint32_t eg_pq_bloom_bytes(uint64_t n_distinct, uint32_t bits_per_value);

#endif
