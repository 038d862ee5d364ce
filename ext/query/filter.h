/*
** Filter kernels: evaluate a predicate on a batch, writing the numbers of the
** rows that pass to b->sel. Column at a time, cheapest tests first.
*/
#ifndef EG_FILTER_H
#define EG_FILTER_H

#include "flow/batch.h"
#include "flow/predicate.h"

typedef struct eg_filter eg_filter;

/* Prepares a predicate (borrowed until close): orders tests, turns sets over
** narrow vectors into bit maps. EG_NOMEM or EG_OK. */
eg_status eg_filter_open(const eg_predicate *p, eg_filter **out, eg_err *err);

/* Sets b->sel and b->n_sel. An empty predicate selects every row, and so does b->is_passed.
** EG_NOMEM or EG_OK (dictionary columns keep one answer a code and may grow). */
eg_status eg_filter_run(eg_filter *f, eg_batch *b, eg_err *err);

void eg_filter_close(eg_filter *f);

#endif
