/*
** Reading everything of a Parquet file, to find out whether it is sound: the footer and
** what it says of sizes, the CRC and the decoding of every page, that page indexes and
** statistics hold for the values, Bloom filters for the dictionaries, and in our own shards
** the keys and parts (shard_keys.h, shard_parts.h) for their entries and the weights
** (shard_weights.h) for the sums of rows, which are read once more for it. What only makes files
** smaller or reading quicker has no CRC of its own; damage there would leave rows out without a
** word.
*/
#ifndef EG_SHARD_VERIFY_H
#define EG_SHARD_VERIFY_H

#include "flow/source.h"

typedef struct eg_shard_facts {
    int64_t n_bytes, n_rows;
    uint64_t hash; /* of all bytes, as eg_pq_writer_hash */
    /* From the statistics, which hold; has_times is false where there are none, or not in
    ** milliseconds. */
    bool has_times;
    int64_t min_start_ms, max_start_ms, min_end_ms, max_end_ms;
} eg_shard_facts;

/* EG_OK for a sound file; EG_CORRUPT, EG_UNSUPPORTED, EG_IO say what is wrong with it.
** EG_INTERRUPT (poll is asked at every column chunk), EG_NOMEM. */
eg_status eg_shard_verify(const char *path, eg_poll poll, eg_shard_facts *facts, eg_err *err);

#endif
