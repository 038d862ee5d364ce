/*
** The keys that stand behind a column chunk in our own shards: its dictionary once more, as
** packed numbers, so that reading the column unpacks no page of entries and parses no text, and
** a few rows cost no more than their own entries.
**
** The chunk's key-value metadata says where: EG_DICTIONARY_KEY is "offset length crc32" in
** decimal. There stand the keys of all entries, ascending: of dotted addresses those of
** flow/address_order.h, of numbers the numbers. First the anchors, 32 bits each, little
** endian: the key of every 128th entry and of the last one, less the first key. Then all keys,
** DELTA_BINARY_PACKED (INT64), in blocks of 128: block b begins behind entry 128 b. So any key
** is its block's anchor and the differences up to it. Other readers pass over them.
*/
#ifndef EG_SHARD_KEYS_H
#define EG_SHARD_KEYS_H

#include "parquet/pq_page.h"

#define EG_DICTIONARY_KEY "earlgrey.entries"

/* Keys of a dictionary's entries. A zeroed one is empty; its memory is reused. */
typedef struct eg_shard_keys {
    uint32_t n_entries;
    int64_t first, last; /* keys of the first and the last entry */
    const uint32_t *all; /* [n_entries] keys less the first; NULL where not decoded */
    uint32_t n_found;    /* keys found one by one since */
    int64_t bytes_read;  /* from files, in all */
    size_t n_raw;        /* private, as the rest */
    eg_pq_block room, raw, blocks;
} eg_shard_keys;

/* Appends the keys of n >= 1 entries, ascending. False where they span more than 32 bits, and
** nothing is appended. The buffer's status tells failure. */
bool eg_shard_keys_write(eg_pq_buffer *out, const int64_t *keys, uint32_t n);

/* Reads the keys of a dictionary of n_entries, which are numbers from lo to hi. EG_DONE where
** the chunk has no keys (or so few bytes of them that they are not worth their memory),
** EG_CORRUPT where they are damaged; EG_IO, EG_NOMEM. */
eg_status eg_shard_keys_read(eg_shard_keys *k, eg_pq_file *f, uint32_t row_group, uint32_t column,
                             uint32_t n_entries, int64_t lo, int64_t hi, eg_err *err);

/* Decodes all keys, once. EG_CORRUPT where they are not what the anchors say; EG_NOMEM. `name` is
** the file's. */
eg_status eg_shard_keys_decode(eg_shard_keys *k, const char *name, eg_err *err);

/* The key of an entry; false where it is not between the anchors, which are damaged then. */
bool eg_shard_keys_at(const eg_shard_keys *k, uint32_t entry, int64_t *key);

/* The entry that has a key. EG_DONE where none has; EG_CORRUPT without a message. */
eg_status eg_shard_keys_find(const eg_shard_keys *k, int64_t key, uint32_t *entry);

void eg_shard_keys_close(eg_shard_keys *k);

#endif
