/*
** DELTA_BINARY_PACKED: numbers as differences to the one before, in blocks with
** a least difference and bit-packed miniblocks. Also the stream of lengths in
** the DELTA byte array encodings. All arithmetic wraps around.
*/
#ifndef EG_PQ_DELTA_H
#define EG_PQ_DELTA_H

#include "parquet/pq_buffer.h"

/* A stream being read. Plain state: may be copied. */
typedef struct eg_pq_delta {
    const uint8_t *pos, *end; /* unread bytes; borrowed, untrusted */
    uint32_t n_mini;          /* miniblocks in a block */
    uint32_t n_per_mini;      /* numbers in a miniblock, a multiple of 8 */
    uint64_t n_total;         /* numbers in the stream, as its head says */
    uint64_t n_left;          /* numbers not read */
    uint64_t last;            /* the number read last */
    uint64_t min_delta;       /* of the current block */
    const uint8_t *widths;    /* [n_mini] bit widths of the current block */
    uint32_t mini;            /* current miniblock, n_mini where the block is used up */
    uint32_t n_taken;         /* numbers read of the current miniblock */
    const uint8_t *packed;    /* its bytes */
    bool is_first;            /* the first number, which is in the head, was not read */
} eg_pq_delta;

/* Reads the head. False where it is damaged. */
bool eg_pq_delta_init(eg_pq_delta *d, const uint8_t *data, size_t n_bytes);

/* Reads n numbers; of an INT32 column the lower 32 bits count. False where the
** stream has fewer or is damaged. */
bool eg_pq_delta_read(eg_pq_delta *d, int64_t *out, size_t n);

/* Where the stream ends: the byte behind its last miniblock. d stays. NULL where
** it is damaged. */
const uint8_t *eg_pq_delta_end(const eg_pq_delta *d);

/* Append n numbers as a stream of blocks of 128 with 4 miniblocks. The INT32 form
** takes differences in 32 bits, as readers of INT32 columns expect. */
void eg_pq_delta_encode_int32(eg_pq_buffer *out, const int32_t *values, size_t n);
void eg_pq_delta_encode_int64(eg_pq_buffer *out, const int64_t *values, size_t n);

#endif
