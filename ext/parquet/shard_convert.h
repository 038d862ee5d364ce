/*
** Turning decoded slices of a Parquet file's columns into a batch's arrays.
**
** Each value becomes a number at most once: the entries of a dictionary are
** translated once a row group into an array of the vector's type, which the codes
** of the rows then index.
*/
#ifndef EG_SHARD_CONVERT_H
#define EG_SHARD_CONVERT_H

#include "parquet/pq_page.h"
#include "parquet/shard_column.h"
#include "parquet/shard_keys.h"

/* The entries of a dictionary in the vector's type. A zeroed one is empty. */
typedef struct eg_shard_map {
    const void *numbers; /* [n_entries]: in room, or the dictionary's own where they are the same */
    bool is_narrow;      /* numbers are of 32 bits, and those of the vector of 64 */
    eg_pq_block room;
    eg_pq_block wrong; /* [n_entries]: 1 where the entry is none that the vector holds; only where
                       ** n_wrong > 0 */
    uint32_t n_wrong;
} eg_shard_map;

/* Translates all entries, reusing the map's memory: at most twice the dictionary's own
** bytes and what is to spare. The map is good as long as the dictionary is. EG_NOMEM, EG_OK. */
eg_status eg_shard_map_fill(eg_shard_map *m, const eg_shard_column *c, const eg_pq_dictionary *d,
                            eg_shard_texts *texts, eg_err *err);

/* As eg_shard_map_fill, of decoded keys. */
eg_status eg_shard_map_fill_keys(eg_shard_map *m, const eg_shard_column *c, const eg_shard_keys *k,
                                 eg_err *err);

/* Keeps the numbers of a vector of 64 bits as ones of 32, where all are that small: rows look them
** up in any order, and less memory stays nearer. Once it was filled. */
void eg_shard_map_narrow(eg_shard_map *m, const eg_shard_column *c, uint32_t n_entries);

void eg_shard_map_close(eg_shard_map *m);

/* The one value of a column that rows may have to pass. */
typedef struct eg_shard_only {
    uint32_t code; /* UINT32_MAX: no row has it */
    int64_t other; /* a number that does not pass, for all other rows */
    int64_t number;
} eg_shard_only;

/* Where a slice is from. */
typedef struct eg_shard_slice {
    const eg_pq_vector *rows;
    const eg_pq_dictionary *dictionary; /* NULL where rows has no codes */
    const eg_shard_map *map;   /* of the dictionary; NULL: each code is translated as it comes */
    eg_shard_keys *keys;       /* then: of the dictionary; NULL: by the dictionary itself */
    const eg_shard_only *only; /* NULL: every value counts */
    const char *file;          /* for messages */
    int64_t first_row;         /* number of the first row in the file, from 0 */
    const uint16_t *picks;     /* [n_rows] where rows are behind it; NULL: one after the other */
} eg_shard_slice;

/* Writes the numbers of a slice's rows to out[0..n_rows), an array of the vector's
** type; 0 where a row is NULL. EG_CORRUPT names file, column, row and value that the
** vector cannot hold; EG_NOMEM. */
eg_status eg_shard_convert(const eg_shard_column *c, const eg_shard_slice *s, eg_shard_texts *texts,
                           void *out, eg_err *err);

#endif
