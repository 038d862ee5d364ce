/*
** Encoding a buffer of rows on worker threads: ordering it, then each column of each row
** group. The host's thread goes on filling another buffer meanwhile.
*/
#ifndef EG_GROUP_ENCODE_H
#define EG_GROUP_ENCODE_H

#include "base/pool.h"
#include "dataset/column_encode.h"

typedef struct eg_group_encoder eg_group_encoder;

/* Takes an encoded row group: chunks in the order of eg_stored_columns, valid during the
** call. */
typedef struct eg_group_sink {
    void *arg;
    eg_status (*take)(void *arg, const eg_row_group *group, const eg_pq_chunk_data *const *chunks,
                      eg_err *err);
} eg_group_sink;

/* n_threads workers, at least 1. options are copied. EG_NOMEM, EG_LIMIT, EG_OK. */
eg_status eg_group_encoder_open(int n_threads, const eg_encode_options *options,
                                eg_group_encoder **out, eg_err *err);

/* Starts on a buffer of at least one row, then waits for the one before it, if any, and
** hands over its row groups by day: what the workers do meanwhile is the new one. A buffer
** and the texts of its codes must stay as they are until it was handed over. rows NULL only
** waits. What encoding the one before, or the sink, said; after a failure both are
** dropped. */
eg_status eg_group_encoder_push(eg_group_encoder *e, const eg_rows *rows, eg_code_texts texts,
                                eg_group_sink sink, eg_err *err);

/* Waits for what is under way, and drops it. */
void eg_group_encoder_drop(eg_group_encoder *e);

/* Waits, ends the threads. NULL is allowed. */
void eg_group_encoder_close(eg_group_encoder *e);

#endif
