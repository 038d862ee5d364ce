/*
** A row group of a Parquet file as a piece of a source: which of its rows the
** predicate leaves, and reading these column by column into batches.
*/
#ifndef EG_SHARD_PIECE_H
#define EG_SHARD_PIECE_H

#include <pthread.h>
#include <stdatomic.h>

#include "flow/source.h"
#include "parquet/shard_prune.h"

/* A file that is open: the source and each of its pieces hold a reference. */
typedef struct eg_shard_file {
    eg_pq_file *pq;                        /* owned */
    eg_shard_column columns[EG_N_VECTORS]; /* of the vectors that are wanted */
    eg_vector_set reads;                   /* vectors read of the file */
    uint32_t path_code;                    /* of the path, where FILE comes from there */
    int64_t first_number;                  /* of the first row (eg_batch.numbers) */
    _Atomic uint32_t n_references;
} eg_shard_file;

typedef struct eg_shard_readers eg_shard_readers;

/* What all pieces of a source share. */
typedef struct eg_shard_shared {
    const eg_scan_spec *spec; /* borrowed */
    eg_shard_tests tests;
    eg_shard_texts texts;
    _Atomic int64_t done_bytes; /* of all files, for progress */
    pthread_mutex_t idle_lock;
    eg_shard_readers *idle; /* owned: readers of pieces that are done, for the next ones */
} eg_shard_shared;

/* Gives a reference back; the last one closes the file. NULL is allowed. */
void eg_shard_file_release(eg_shard_file *f);

/* Closes the readers that no piece uses. */
void eg_shard_readers_close_idle(eg_shard_shared *shared);

/* Whether rows of a row group may pass, by what the footer says. */
bool eg_shard_group_may_pass(const eg_shard_shared *shared, const eg_shard_file *f,
                             uint32_t row_group);

/* Bytes of a row group in its file. */
int64_t eg_shard_group_bytes(const eg_shard_file *f, uint32_t row_group);

/* Opens a row group that has rows; first_row is the number of its first row in the
** file. Nothing is read yet. The piece adds a reference to the file. */
eg_status eg_shard_piece_open(eg_shard_shared *shared, eg_shard_file *f, uint32_t row_group,
                              int64_t first_row, eg_piece **out, eg_err *err);

#endif
