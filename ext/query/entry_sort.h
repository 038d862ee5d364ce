/* Sorting pointers to entries, so that the host can stop it at any time. */
#ifndef EG_ENTRY_SORT_H
#define EG_ENTRY_SORT_H

#include "query/scan.h"

/* Entries sorted or merged between two looks at the host; for loops over entries beside it. */
#define EG_ENTRY_RUN UINT64_C(8192)

/* Compares two entries by pointers to their pointers, as qsort_r does. */
typedef int (*eg_entry_order)(const void *a, const void *b, void *arg);

/* Sorts the n pointers of *entries, an allocated array that may be replaced by another. On
** failure (EG_INTERRUPT, EG_NOMEM) they are in no order. */
eg_status eg_entry_sort(const uint64_t ***entries, uint64_t n, eg_entry_order compare, void *arg,
                        eg_scan *scan, eg_err *err);

#endif
