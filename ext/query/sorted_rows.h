/*
** Rows in the order of some of their columns, as ORDER BY would have them: NULL first, texts
** bytewise, equal ones in the order in which they came. However many there are, a limited part of
** them is in memory (row_runs.h).
*/
#ifndef EG_SORTED_ROWS_H
#define EG_SORTED_ROWS_H

#include "query/row_runs.h"

typedef struct eg_sorted_rows eg_sorted_rows;

/* Starts without rows; the arguments are those of eg_row_runs_open. texts is borrowed. */
eg_status eg_sorted_rows_open(const eg_row_key *keys, size_t n_keys, eg_vector_set vectors,
                              const eg_intern *texts, int64_t limit_bytes, eg_sorted_rows **out,
                              eg_err *err);

/* Adds the selected rows of a batch, which has the vectors. */
eg_status eg_sorted_rows_add(eg_sorted_rows *s, const eg_batch *b, eg_err *err);

/* No rows come any more. */
eg_status eg_sorted_rows_finish(eg_sorted_rows *s, eg_err *err);

/* The next rows, all of them selected, valid until the next call. EG_DONE behind the last one. */
eg_status eg_sorted_rows_next(eg_sorted_rows *s, const eg_batch **out, eg_err *err);

/* Bytes that went to a temporary file. */
int64_t eg_sorted_rows_spilled(const eg_sorted_rows *s);

/* NULL is allowed. */
void eg_sorted_rows_close(eg_sorted_rows *s);

#endif
