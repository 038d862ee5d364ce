/*
** Rows on their way into an order: gathered into runs, each sorted by itself and kept as
** blocks, in memory up to a limit and in a temporary file beyond. sorted_rows.h merges them.
**
** A key is a 64-bit word that compares as the column's SQL value does: NULL first, addresses and
** protocols as their texts; inverted where the order descends.
*/
#ifndef EG_ROW_RUNS_H
#define EG_ROW_RUNS_H

#include "flow/batch.h"

#define EG_ROW_MAX_KEYS 16
#define EG_ROW_MAX_PARTS (EG_N_VECTORS + 2) /* with row numbers and NULLs */

typedef struct eg_row_key {
    eg_column column;
    bool descends;
} eg_row_key;

/* One array of a block or of an open run. */
typedef struct eg_row_part {
    eg_vector vector; /* EG_N_VECTORS: row numbers; EG_N_VECTORS + 1: the bits of NULLs */
    size_t width;
} eg_row_part;

/* A sorted run: blocks of EG_BATCH_ROWS rows, the last one shorter. */
typedef struct eg_row_run {
    uint32_t n_rows;
    size_t n_parts; /* of its blocks: the bits of NULLs, which are last, come with the first NULL */
    void **blocks;  /* [n_blocks] owned; NULL where it is in the file */
    int64_t offset; /* there */
} eg_row_run;

typedef struct eg_row_runs {
    eg_row_key keys[EG_ROW_MAX_KEYS];
    size_t n_keys;
    eg_row_part parts[EG_ROW_MAX_PARTS];
    size_t n_parts;
    eg_row_run *runs; /* [n_runs] owned */
    size_t n_runs, capacity;
    int64_t memory_bytes, limit_bytes; /* of blocks */
    int fd;                            /* the file, -1 without */
    int64_t file_bytes;
    bool has_nulls; /* some row had one: the last part is theirs */
    uint8_t place_of_protocol[256];
    /* The open run; arrays of a run's rows, owned. */
    uint32_t n_rows;
    uint64_t *words[EG_ROW_MAX_KEYS];
    void *arrays[EG_ROW_MAX_PARTS];
    uint64_t *sorted, *spare;
    uint32_t *order;
    void *block; /* one for the file */
} eg_row_runs;

/* Whether rows can be sorted by a column: exporters and files are codes until the end. */
bool eg_row_key_fits(eg_column col);

/* The vectors that keys are made of. */
eg_vector_set eg_row_keys_vectors(const eg_row_key *keys, size_t n_keys);

/* Starts with the rows' vectors, which include those of the keys; limit_bytes < 0 for the usual
** limit, a quarter of the machine's memory and at most 1 GiB. EG_NOMEM; close it all the same. */
eg_status eg_row_runs_open(eg_row_runs *r, const eg_row_key *keys, size_t n_keys,
                           eg_vector_set vectors, int64_t limit_bytes, eg_err *err);

/* Adds the selected rows of a batch. EG_NOMEM, EG_IO of the file. */
eg_status eg_row_runs_add(eg_row_runs *r, const eg_batch *b, eg_err *err);

/* Closes the open run, and frees what only adding needs. */
eg_status eg_row_runs_finish(eg_row_runs *r, eg_err *err);

/* Bytes of a block of n rows: the words of each key, then each part; all padded to 8 bytes. */
size_t eg_row_block_bytes(const eg_row_runs *r, size_t n_parts, uint32_t n);

/* Frees all and removes the file. Harmless on a zeroed one with fd -1, or a closed one. */
void eg_row_runs_close(eg_row_runs *r);

#endif
