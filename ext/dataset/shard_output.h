/*
** One shard being written: a Parquet file of one UTC day, under a temporary name in
** DATASET/_earlgrey.tmp/ until it is published. No reader looks there.
*/
#ifndef EG_SHARD_OUTPUT_H
#define EG_SHARD_OUTPUT_H

#include "dataset/row_order.h"
#include "parquet/pq_writer.h"

/* "year=2007/month=7/day=26" of a day since 1970. */
#define EG_PARTITION_MAX 64
void eg_partition_path(int64_t day, char out[EG_PARTITION_MAX]);

typedef struct eg_shard_output {
    char *temporary; /* owned; relative to the dataset */
    int64_t day;
    int64_t n_rows, n_bytes; /* n_bytes and hash: after finish */
    uint64_t hash;
    eg_time_bounds times;
    uint64_t last_use;    /* the dataset's own */
    int fd;               /* -1 when finished */
    eg_pq_writer *writer; /* NULL when finished */
} eg_shard_output;

typedef struct eg_shard_schema {
    eg_pq_schema_element elements[EG_N_COLUMNS + 1];
    uint32_t n_elements;
    eg_pq_sorting_column sorting;
    uint32_t n_sorting;
    char created_by[64]; /* "earlgrey version 0.1.0 (build 0)" */
} eg_shard_schema;

/* Creates the file `temporary` (taken over) below `directory`, an open descriptor; `dataset` is
** its name for messages. EG_IO names the file. */
eg_status eg_shard_output_open(int directory, const char *dataset, int64_t day, char *temporary,
                               const eg_shard_schema *schema, eg_shard_output *out, eg_err *err);

/* Appends a row group. */
eg_status eg_shard_output_add(eg_shard_output *o, const eg_row_group *group,
                              const eg_pq_chunk_data *const *chunks, const eg_shard_schema *schema,
                              eg_err *err);

/* Writes the footer, syncs and closes the file. */
eg_status eg_shard_output_finish(eg_shard_output *o, const char *dataset,
                                 const eg_pq_key_value *key_values, uint32_t n_key_values,
                                 eg_err *err);

/* Frees; a file that is still temporary stays where it is. Harmless on a zeroed one. */
void eg_shard_output_close(eg_shard_output *o);

#endif
