/*
** The keys that stand behind a column chunk in our own shards: its dictionary once more, as
** packed numbers, so that reading the column unpacks no page of entries and parses no text, and
** a few rows cost no more than their own entries.
**
** They stand in parts of 4,096 entries (shard_parts.h), which are read as they are needed. Older
** shards have them all in one, under EG_DICTIONARY_KEY: "offset length crc32" in decimal.
**
** A part holds keys of entries, ascending: of dotted addresses those of flow/address_order.h, of
** numbers the numbers. First the anchors, 32 bits each, little endian: the key of every 32nd
** entry (128th in older shards) and of the last one, less the part's first key. Then all keys,
** DELTA_BINARY_PACKED (INT64), in blocks of 128: block b begins behind entry 128 b. So any key is
** an anchor and the differences between. Other readers pass over them.
*/
#ifndef EG_SHARD_KEYS_H
#define EG_SHARD_KEYS_H

#include "parquet/shard_parts.h"

#define EG_DICTIONARY_KEY "earlgrey.entries"

#define EG_KEYS_STEP 32u        /* entries from anchor to anchor */
#define EG_KEYS_STEP_OLDER 128u /* in older shards */

/* Keys of a dictionary's entries. A zeroed one is empty; its memory is reused. */
typedef struct eg_shard_keys {
    uint32_t n_entries;
    int64_t first;       /* key of the first entry */
    const uint32_t *all; /* [n_entries] keys less the first; NULL where not decoded */
    uint32_t n_found;    /* keys found one by one since */
    int64_t bytes_read;  /* from files, in all */
    /* Private from here on. */
    int64_t lo, hi;         /* what keys may be */
    unsigned part_bits;     /* log2 of the entries of every part but the last */
    uint32_t step;          /* between anchors */
    uint32_t n_alone;       /* parts that were read one by one; UINT32_MAX: none is any more */
    const uint8_t *is_read; /* [n_parts] in marks */
    eg_shard_parts parts;   /* of an older shard one, without a head */
    size_t n_raw;
    eg_pq_block room, raw, blocks, marks;
} eg_shard_keys;

/* Appends the keys of n >= 1 entries, ascending, as one part with an anchor every `step` entries
** (one of the above). False where they span more than 32 bits, and nothing is appended. The
** buffer's status tells failure. */
bool eg_shard_keys_write(eg_pq_buffer *out, const int64_t *keys, uint32_t n, uint32_t step);

/* Finds the keys of a dictionary of n_entries, which are numbers from lo to hi, in a file, which is
** borrowed. EG_DONE where the chunk has no keys (or so few bytes of them that they are not worth
** their memory), EG_CORRUPT where they are damaged; EG_IO, EG_NOMEM. */
eg_status eg_shard_keys_read(eg_shard_keys *k, eg_pq_file *f, uint32_t row_group, uint32_t column,
                             uint32_t n_entries, int64_t lo, int64_t hi, eg_err *err);

/* Decodes all keys, once. EG_CORRUPT where they are not what the anchors say; EG_IO, EG_NOMEM. */
eg_status eg_shard_keys_decode(eg_shard_keys *k, eg_err *err);

/* Reads a part that was not read; behind a few that were read alone, all that are left. */
eg_status eg_shard_keys_load(eg_shard_keys *k, uint32_t part, eg_err *err);

/* Says that up to this many rows will ask: where these are as many as the parts, the first that is
** not read has all of them read. */
static inline void eg_shard_keys_expect(eg_shard_keys *k, uint32_t n_rows) {
    if (n_rows >= k->parts.n_parts)
        k->n_alone = UINT32_MAX;
}

/* Makes sure that an entry's key can be told. EG_CORRUPT, EG_IO. */
static inline eg_status eg_shard_keys_need(eg_shard_keys *k, uint32_t entry, eg_err *err) {
    uint32_t part = entry >> k->part_bits;
    return k->all != NULL || k->is_read[part] ? EG_OK : eg_shard_keys_load(k, part, err);
}

/* The key of an entry that can be told; false where it is not between the anchors, which are
** damaged then. */
bool eg_shard_keys_at(const eg_shard_keys *k, uint32_t entry, int64_t *key);

/* The entry that has a key. EG_DONE where none has; EG_CORRUPT, EG_IO. */
eg_status eg_shard_keys_find(eg_shard_keys *k, int64_t key, uint32_t *entry, eg_err *err);

void eg_shard_keys_close(eg_shard_keys *k);

#endif
