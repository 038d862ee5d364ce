/*
** The weights that stand behind the chunks of addresses in our own shards: what bytes, packets
** and rows of a row group sum up to at most, by bucket of source or of destination addresses
** (flow/weights.h).
**
** The chunk's key-value metadata says where: EG_WEIGHTS_KEY is "offset length crc32" in decimal.
** There stands a byte n, at most EG_WEIGHT_BITS, then a ZSTD frame for each of bytes, packets and
** rows: 2^n codes of a byte. A code c below 4 is the sum c, another one (4 + c % 4) << (c / 4 - 1),
** or UINT64_MAX where that has no 64 bits; such a sum is written as 255. It is the least code that
** is not below the sum, so rounds up by a quarter at most. Other readers pass over them.
*/
#ifndef EG_SHARD_WEIGHTS_H
#define EG_SHARD_WEIGHTS_H

#include "flow/weights.h"
#include "parquet/pq_codec.h"
#include "parquet/pq_page.h"

#define EG_WEIGHTS_KEY "earlgrey.weights"

/* ---- Writing */

/* The sums of a bucket's rows. */
typedef struct eg_weight_sums {
    uint64_t of[EG_N_WEIGHTS];
} eg_weight_sums;

/* The n of a row group: a bucket is of some 64 rows, 2^14 of them are of any number. */
unsigned eg_shard_weights_bits(uint32_t n_rows);

/* Adds to sums[2^n_bits] n rows of the arrays: rows[0..n), or the first n where it is NULL. Sums
 * stay at UINT64_MAX, and numbers below 0 are too large for any other sum. */
void eg_shard_weights_sum(eg_weight_sums *sums, unsigned n_bits, const uint32_t *addrs,
                          const int64_t *bytes, const int64_t *packets, const uint32_t *rows,
                          uint32_t n);

/* Appends the weights. EG_NOMEM, EG_OK. */
eg_status eg_shard_weights_write(eg_pq_buffer *out, const eg_weight_sums *sums, unsigned n_bits,
                                 eg_pq_codec *codec, eg_err *err);

/* ---- Reading */

/* Weights of a row group. A zeroed one is empty; its memory is reused. */
typedef struct eg_shard_weights {
    unsigned n_bits;
    const uint8_t *codes; /* [EG_N_WEIGHTS << n_bits] by measure, then bucket */
    int64_t bytes_read;   /* from files, in all */
    eg_pq_codec *codec;   /* private, as the rest */
    eg_pq_block raw, room;
} eg_shard_weights;

/* Reads the weights behind a chunk. EG_DONE where it has none, EG_CORRUPT where they are damaged;
** EG_IO, EG_NOMEM. */
eg_status eg_shard_weights_read(eg_shard_weights *w, eg_pq_file *f, uint32_t row_group,
                                uint32_t column, eg_err *err);

/* The code of a sum, and what it stands for. */
uint8_t eg_shard_weights_code(uint64_t sum);
uint64_t eg_shard_weights_of_code(uint8_t code);

/* Adds what was read to totals[EG_WEIGHT_BUCKETS]. Of buckets that are coarser than these each one
** gets all, as all may be its own. Totals stay at UINT64_MAX. */
void eg_shard_weights_add(const eg_shard_weights *w, eg_weight measure, uint64_t *totals);

void eg_shard_weights_close(eg_shard_weights *w);

#endif
