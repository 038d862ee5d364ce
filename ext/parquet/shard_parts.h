/*
** The parts of a dictionary in our own shards, of 4,096 entries each: one value's entry is
** found by reading one part, and each part has a CRC of its own.
**
** The chunk's key-value metadata says where their head is: "offset length crc32" in decimal, of
** the head alone. There stand, little endian, the key of the dictionary's first entry in 64 bits,
** then of each part in 32 bits each: the key of its first entry less that one; where the part
** begins, counted from the chunk's first byte; how many bytes it has; their CRC32. Keys ascend.
**
**   EG_PARTS_KEY  a part holds packed keys (shard_keys.h); parts follow the head, with no gap
**   EG_PLAIN_KEY  a part is entries of an INT32 dictionary (keys: unsigned) as they stand in its
**                 page, which stores them as they are: 4 bytes each
**
** Other readers pass over them.
*/
#ifndef EG_SHARD_PARTS_H
#define EG_SHARD_PARTS_H

#include "base/bytes.h"
#include "parquet/pq_page.h"

#define EG_PARTS_KEY "earlgrey.parts"
#define EG_PLAIN_KEY "earlgrey.plain"
#define EG_PART_BITS 12
#define EG_PART_ENTRIES (1u << EG_PART_BITS)

/* What a chunk's metadata says under a key: where something is, and its CRC32. */
typedef struct eg_shard_place {
    int64_t offset, n_bytes;
    uint32_t crc32;
} eg_shard_place;

/* EG_DONE where the chunk has no such key, EG_CORRUPT where it names no place in the file. */
eg_status eg_shard_place_read(const eg_pq_file *f, uint32_t row_group, uint32_t column,
                              const char *key, eg_shard_place *out, eg_err *err);

/* The head. A zeroed one is empty; its memory is reused. */
typedef struct eg_shard_parts {
    uint32_t n_entries, n_parts; /* n_parts at least 1 once it is read */
    int64_t first;               /* key of the first entry */
    int64_t bytes_read;          /* from files, in all */
    eg_pq_file *file;            /* private, as the rest: where the chunk is */
    uint32_t row_group, column;
    int64_t start; /* the chunk's first byte */
    const char *key;
    eg_pq_block head, part;
} eg_shard_parts;

/* Reads the head of a dictionary of n_entries > 0 under a key, which is static. EG_DONE where the
** chunk has none, EG_CORRUPT where it is damaged; EG_IO, EG_NOMEM. The file is borrowed. */
eg_status eg_shard_parts_read(eg_shard_parts *p, eg_pq_file *f, uint32_t row_group, uint32_t column,
                              const char *key, uint32_t n_entries, eg_err *err);

/* Fails with "FILE: column C, row group G: what (key)". */
eg_status eg_shard_parts_fail(const eg_shard_parts *p, const char *what, eg_err *err);

#define EG_PARTS_HEAD_BYTES 8u
#define EG_PART_HEAD_BYTES 16u

/* Of part i: the key of its first entry less the first part's, where it begins (from the chunk's
** first byte on), its bytes. */
static inline uint32_t eg_shard_part_first(const eg_shard_parts *p, uint32_t i) {
    return eg_le32(p->head.data + EG_PARTS_HEAD_BYTES + EG_PART_HEAD_BYTES * (size_t)i);
}
static inline uint32_t eg_shard_part_at(const eg_shard_parts *p, uint32_t i) {
    return eg_le32(p->head.data + EG_PARTS_HEAD_BYTES + EG_PART_HEAD_BYTES * (size_t)i + 4);
}
static inline uint32_t eg_shard_part_bytes(const eg_shard_parts *p, uint32_t i) {
    return eg_le32(p->head.data + EG_PARTS_HEAD_BYTES + EG_PART_HEAD_BYTES * (size_t)i + 8);
}

/* How many entries part i has. */
static inline uint32_t eg_shard_part_entries(const eg_shard_parts *p, uint32_t i) {
    return i + 1 < p->n_parts ? EG_PART_ENTRIES : p->n_entries - i * EG_PART_ENTRIES;
}

/* The one part that may hold a key. False where none does. */
bool eg_shard_parts_find(const eg_shard_parts *p, int64_t key, uint32_t *part);

/* Reads parts [first, end), of which each begins where the one before ends, and checks them. */
eg_status eg_shard_parts_load(eg_shard_parts *p, uint32_t first, uint32_t end, uint8_t *to,
                              eg_err *err);

/* The entry of a dictionary under EG_PLAIN_KEY that is a number. EG_DONE where none is. */
eg_status eg_shard_plain_find(eg_shard_parts *p, int64_t number, uint32_t *entry, eg_err *err);

/* Whether the parts under EG_PLAIN_KEY are the dictionary's entries, and these ascend. EG_CORRUPT.
 */
eg_status eg_shard_plain_check(eg_shard_parts *p, const int32_t *entries, eg_err *err);

void eg_shard_parts_close(eg_shard_parts *p);

/* ---- writing ------------------------------------------------------------ */

/* Appends to an empty buffer, which is to stand behind the n_chunk bytes of a chunk, the head and
** the packed keys of n >= 1 entries, ascending; *n_head are the head's bytes. False where keys span
** more than 32 bits, and nothing is appended. The buffer's status tells failure. */
bool eg_shard_parts_write(eg_pq_buffer *out, size_t n_chunk, const int64_t *keys, uint32_t n,
                          size_t *n_head);

/* Appends to an empty buffer the head of an INT32 dictionary of n >= 1 entries, which has its page
** in chunk[0..n_chunk). False where that does not store them as they are, or they do not ascend as
** unsigned numbers. */
bool eg_shard_plain_write(eg_pq_buffer *out, const uint8_t *chunk, size_t n_chunk,
                          const uint32_t *entries, uint32_t n);

#endif
