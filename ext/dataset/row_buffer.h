/*
** Rows on their way into a store: the vectors that stores keep, as arrays of up to
** EG_ROWS_MAX rows. Sources fill them in place, through a batch whose arrays are
** windows behind the rows that are there.
*/
#ifndef EG_ROW_BUFFER_H
#define EG_ROW_BUFFER_H

#include "flow/batch.h"

#define EG_ROWS_MAX (UINT32_C(1) << 20)

/* A zeroed one is closed. */
typedef struct eg_rows {
    uint32_t n_rows;
    struct {
#define EG_VECTOR(ID, ctype) ctype *ID;
#include "flow/schema.def"
    } v; /* [EG_ROWS_MAX] of the vectors that are kept, NULL of the others */
} eg_rows;

/* The vectors of all columns that have a Parquet type, and HEADER_MS. */
eg_vector_set eg_rows_vectors(void);

/* EG_NOMEM leaves it closed. */
eg_status eg_rows_open(eg_rows *r, eg_err *err);
void eg_rows_close(eg_rows *r);

/* The array of a vector. */
void *eg_rows_array(const eg_rows *r, eg_vector v);

/* The numbers of a vector in n rows, which can be anywhere: a column at a time the misses of
** the cache overlap. */
void eg_rows_gather(const eg_rows *r, eg_vector v, const uint32_t *rows, uint32_t n, int64_t *out);

/* True when the next batch may not fit. */
bool eg_rows_is_full(const eg_rows *r);

/* Makes b an empty batch of eg_rows_vectors() over the room behind the rows. What
** it had before is forgotten: its arrays are not its own. */
void eg_rows_window(const eg_rows *r, const eg_intern *texts, eg_batch *b);

/* Frees what a source gave the window (nulls). */
void eg_rows_close_window(eg_batch *b);

#endif
