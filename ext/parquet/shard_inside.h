/*
** The inside of a piece: what planning (shard_piece.c) and reading rows (shard_rows.c) share.
** Nobody else but their test includes it.
*/
#ifndef EG_SHARD_INSIDE_H
#define EG_SHARD_INSIDE_H

#include "parquet/pq_reader.h"
#include "parquet/shard_codes.h"
#include "parquet/shard_convert.h"
#include "parquet/shard_keys.h"
#include "parquet/shard_piece.h"

#define LARGE_ENTRIES 32768 /* entries of dictionaries that are enough work for one call */

/* One vector's way out of the file. */
typedef struct lane {
    eg_pq_reader *reader; /* NULL where the set's file does not have the column */
    eg_pq_index index;    /* without pages where it is not read, or there is none */
    bool has_dictionary;
    uint32_t n_entries;                 /* of the dictionary */
    const eg_pq_dictionary *dictionary; /* of the reader, once it is loaded */
    bool is_opened;                     /* has_dictionary, n_entries, has_keys are known */
    bool has_keys;                      /* keys are the dictionary's, which is not needed then */
    bool is_mapped;                     /* map is the dictionary's */
    bool is_only;                       /* one value counts: only */
    eg_shard_only only;
    eg_shard_codes codes; /* of a predicate's vector: what passes */
    bool is_late;         /* numbers of the batch are yet to be written, from these */
    eg_shard_keys keys;
    eg_shard_map map;
    uint32_t next_page;         /* of the index: pages before it were counted */
    int64_t n_pages;            /* data pages of the index that were read */
    eg_pq_reader_counts before; /* the reader's counts when the piece began */
    void *scratch;              /* [EG_BATCH_ROWS] of a vector that is not in the batch */
} lane;

struct eg_shard_readers {
    struct eg_shard_readers *next; /* idle */
    eg_shard_file *file;           /* a reference: the readers' */
    eg_pq_codec *codec;
    lane lanes[EG_N_VECTORS];
    uint8_t alive[EG_BATCH_ROWS];   /* 1 or 0 */
    uint32_t n_picked;              /* rows of a batch that are picked; 0: all are read */
    uint16_t picks[EG_BATCH_ROWS];  /* [n_picked] which, from the batch's first row on */
    int64_t numbers[EG_BATCH_ROWS]; /* of rows that pass, in any width, on their way to an array */
};

/* Rows [first, end) of a row group. */
typedef struct range {
    int64_t first, end;
} range;

typedef struct shard_piece {
    eg_piece base; /* must be first */
    eg_shard_shared *shared;
    eg_shard_file *file;   /* a reference */
    eg_shard_readers *set; /* NULL before reading begins and when it is done */
    uint32_t group;
    int64_t n_rows, first_row; /* of the group; its first one's number in the file */
    size_t n_planned;          /* steps of planning done: two for each test */
    bool is_pruned, is_done;
    range *ranges; /* [n_ranges] owned: what is left to read */
    size_t n_ranges, at_range;
    int64_t row;                  /* next one of the group */
    eg_vector_set prepared;       /* dictionaries were translated */
    eg_vector_set first;          /* read before the others; 0 when that was given up */
    bool is_exact;                /* what passes by these passes the predicate */
    int64_t tried_rows, cut_rows; /* seen by reading those first; of these, cut off */
    int64_t code_rows;            /* of a column: tested by their codes */
    int64_t group_bytes, done_bytes;
    eg_scan_stats stats;
} shard_piece;

/* Rows of the ranges from the current one on. */
int64_t eg_shard_rows_left(const shard_piece *p);

/* Finds out what a vector's dictionary is and takes its keys where it has some, once. */
eg_status eg_shard_open_entries(shard_piece *p, eg_vector v, eg_err *err);

/* Loads a vector's dictionary, once. */
eg_status eg_shard_open_dictionary(shard_piece *p, eg_vector v, eg_err *err);

/* Fills a batch from the next rows that are left; n_rows stays 0 where the work was
** enough before there was one. EG_DONE behind the last. */
eg_status eg_shard_read_batch(shard_piece *p, eg_batch *b, eg_err *err);

#endif
