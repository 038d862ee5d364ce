/*
** The keys that stand behind a column chunk of dotted addresses in our own shards: its
** dictionary once more, as numbers, so that reading the column unpacks and parses no text.
**
** The chunk's key-value metadata says where: EG_DICTIONARY_KEY is "offset length crc32" in
** decimal. There, DELTA_BINARY_PACKED (INT64), are the keys (flow/address_order.h) of all
** entries, ascending. Other readers pass over them.
*/
#ifndef EG_SHARD_KEYS_H
#define EG_SHARD_KEYS_H

#include "parquet/pq_page.h"

#define EG_DICTIONARY_KEY "earlgrey.dictionary"

/* Keys of a dictionary's entries. A zeroed one is empty; its memory is reused. */
typedef struct eg_shard_keys {
    const uint32_t *keys;   /* [n_entries + 1]; the last is 0 */
    int64_t bytes_read;     /* from files, in all */
    eg_pq_block block, raw; /* private */
} eg_shard_keys;

/* Reads the keys of a dictionary of n_entries. EG_DONE where the chunk has no keys (or
** so few bytes of them that they are not worth their memory), EG_CORRUPT where they are
** damaged; EG_IO, EG_NOMEM. */
eg_status eg_shard_keys_read(eg_shard_keys *k, eg_pq_file *f, uint32_t row_group, uint32_t column,
                             uint32_t n_entries, eg_err *err);

void eg_shard_keys_close(eg_shard_keys *k);

#endif
