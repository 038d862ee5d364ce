/*
** Runs: groups in order that wait in a temporary file, one run a partition, and their
** merging into one order while they are read.
*/
#ifndef EG_GROUP_RUNS_H
#define EG_GROUP_RUNS_H

#include "query/group_top.h"
#include "query/spill.h"

typedef struct eg_group_runs eg_group_runs;

/* No runs yet, of at most n_runs. order and spill are borrowed. EG_NOMEM, EG_OK. */
eg_status eg_group_runs_open(const eg_group_order *order, eg_spill *spill, size_t n_runs,
                             eg_group_runs **out, eg_err *err);

/* Puts n entries in order and writes them as a run. Any thread, a run once. */
eg_status eg_group_runs_write(eg_group_runs *r, size_t run, const uint64_t *entries, uint32_t n,
                              eg_err *err);

/* Groups of all runs. */
uint64_t eg_group_runs_count(const eg_group_runs *r);

/* The next one in order, valid until the next call. EG_DONE behind the last. */
eg_status eg_group_runs_next(eg_group_runs *r, const uint64_t **entry, eg_err *err);

/* NULL is allowed. */
void eg_group_runs_close(eg_group_runs *r);

#endif
