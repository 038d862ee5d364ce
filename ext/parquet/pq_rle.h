/*
** The RLE / bit-packed hybrid: definition levels, dictionary codes and booleans.
** A stream is a row of runs; a run is one number repeated, or groups of eight
** numbers of bit_width bits each, lowest bit first.
*/
#ifndef EG_PQ_RLE_H
#define EG_PQ_RLE_H

#include "base/bytes.h"
#include "parquet/pq_buffer.h"

#define EG_PQ_RLE_MAX_WIDTH 32

/* A stream being read. Plain state: may be copied. */
typedef struct eg_pq_rle {
    const uint8_t *pos, *end; /* bytes behind the current run; borrowed, untrusted */
    uint32_t bit_width;       /* 0 to EG_PQ_RLE_MAX_WIDTH */
    uint32_t n_left;          /* numbers left in the current run */
    bool is_packed;           /* the current run is bit-packed */
    uint32_t value;           /* else: the number repeated */
    const uint8_t *packed;    /* bit-packed: first byte of the run, */
    const uint8_t *packed_end;
    uint32_t n_taken; /* and how many of its numbers were read */
} eg_pq_rle;

/* Starts reading data[0..n_bytes). bit_width is checked by the caller. */
void eg_pq_rle_init(eg_pq_rle *r, const uint8_t *data, size_t n_bytes, uint32_t bit_width);

/* Reads n numbers. False where the stream has fewer or is damaged; out is then
** partly filled. */
bool eg_pq_rle_read(eg_pq_rle *r, uint32_t *out, size_t n);

/* Passes over n numbers. */
bool eg_pq_rle_skip(eg_pq_rle *r, size_t n);

/* Goes on to the next run that has numbers where the current one has none left. False where the
** stream ends or is damaged. */
bool eg_pq_rle_run(eg_pq_rle *r);

/* Short runs of a number, which are behind one another where rows are in some order. How many bytes
** one has; 0 where the numbers have none: there are none then. */
static inline size_t eg_pq_rle_short_bytes(const eg_pq_rle *r) {
    return r->bit_width > 0 ? 1 + (r->bit_width + 7) / 8 : 0;
}

#define EG_PQ_SHORT_RUN 64 /* a head of one byte is of fewer numbers */

/* Takes a short run of n_bytes, as above, where the stream goes on with one, and no run is begun.
** Not always: a few bytes before the end of the stream never. */
static inline bool eg_pq_rle_short_run(eg_pq_rle *r, size_t n_bytes, uint32_t *value, size_t *n) {
    if (r->end - r->pos < 8)
        return false;
    uint64_t bytes = eg_le64(r->pos);
    if ((bytes & 0x81) != 0) /* bit-packed, or a longer head */
        return false;
    *value = (uint32_t)(bytes >> 8 & ~UINT64_C(0) >> (72 - 8 * n_bytes));
    *n = bytes >> 1 & 0x3f;
    r->pos += n_bytes;
    return true;
}

/* The number at a place of the current run, a bit-packed one; the place is before
** n_taken + n_left. */
uint32_t eg_pq_rle_at(const eg_pq_rle *r, uint32_t place);

/* Reads n bits of a stream of bit width 1 as bytes 0 and 1, and counts the ones. */
bool eg_pq_rle_read_bits(eg_pq_rle *r, uint8_t *out, size_t n, size_t *n_ones);

/* The bits that numbers 0 to max_value need: 0 for 0. */
uint32_t eg_pq_bit_width(uint32_t max_value);

/* Unpacks n numbers of bit_width bits (0 to 32), the first at data[0]; reads at
** most (n * bit_width + 7) / 8 bytes, which the caller has made sure of. */
void eg_pq_unpack_unchecked(const uint8_t *data, const uint8_t *end, uint32_t bit_width,
                            uint32_t *out, size_t n);

/* Appends n numbers as a hybrid stream; each must be below 2^bit_width, and
** bit_width 1 to 32 (0 is legal only for zeros and trips some readers). The
** buffer's status tells failure. */
void eg_pq_rle_encode(eg_pq_buffer *out, const uint32_t *values, size_t n, uint32_t bit_width);

/* The same with every run as one, however short: where runs of a few numbers follow one another. */
void eg_pq_rle_encode_runs(eg_pq_buffer *out, const uint32_t *values, size_t n, uint32_t bit_width);

/* The same of n times one number. */
void eg_pq_rle_encode_run(eg_pq_buffer *out, uint32_t value, size_t n, uint32_t bit_width);

/* Appends n numbers of bit_width bits (1 to 32) without any run heads, the last
** group of eight filled with zeros. */
void eg_pq_pack(eg_pq_buffer *out, const uint32_t *values, size_t n, uint32_t bit_width);

#endif
