/*
** Compaction: many captures leave many small shards. Those of a day, except of partial
** captures, are merged into few, in one exchange that readers see whole or not at all.
*/
#ifndef EG_COMPACT_H
#define EG_COMPACT_H

#include "dataset/dataset.h"

typedef struct eg_compact_result {
    int64_t n_days;           /* with something to merge */
    int64_t n_merged, n_made; /* shards before and after, of what was merged */
    int64_t bytes_before, bytes_after;
} eg_compact_result;

/* Compacts a dataset that was opened for writing; locks and unlocks it. A failure leaves the
** days before it compacted and everything readable. */
eg_status eg_compact(eg_store *dataset, eg_poll poll, eg_compact_result *result, eg_err *err);

#endif
