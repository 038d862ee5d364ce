/*
** Grouping: sums of bytes, packets and flows by any columns, and the busiest
** groups first. Works on batches: rows are cut into partitions by key hash and
** each partition is summed in a table that fits the cache.
**
** Keys are packed into 64-bit words, most significant first in key order, so
** that comparing words compares keys. A group costs its key words + 3 words: 32
** bytes a pair of addresses.
*/
#ifndef EG_GROUP_H
#define EG_GROUP_H

#include "query/group_keys.h"
#include "query/scan.h"

typedef enum eg_measure { EG_MEASURE_BYTES, EG_MEASURE_PACKETS, EG_MEASURE_FLOWS } eg_measure;

typedef struct eg_group_spec {
    const eg_key *keys; /* borrowed during the run */
    size_t n_keys;      /* 1..EG_GROUP_MAX_KEYS */
    bool
        unordered_pair; /* keys are srcaddr, dstaddr: the smaller address first, both ways summed */
    eg_measure measure; /* order: largest first, ties by key ascending (numbers; texts bytewise) */
    uint64_t limit;     /* most groups wanted, 0 = all */
    unsigned unused; /* sums nobody asks for, a bit 1 << eg_measure each: read for the order only,
                     ** otherwise 0 in the rows; that of flows does nothing */
    uint64_t memory_bytes; /* beyond which groups go to a temporary file; 0: no limit */
} eg_group_spec;

typedef struct eg_groups eg_groups;

typedef struct eg_group_row {
    int64_t
        keys[EG_GROUP_MAX_KEYS]; /* numbers as in a batch; TEXT keys are codes; EG_NO_TIME kept */
    int64_t bytes, packets, flows;
} eg_group_row;

/* The vectors a grouping reads. */
eg_vector_set eg_group_vectors(const eg_group_spec *spec);

/* bytes, packets or flows; false if it is none. */
bool eg_group_parse_measure(const char *text, size_t n_bytes, eg_measure *m);

/* Reads the scan to its end and sums. texts: the scan's table, for the order of TEXT keys. */
eg_status eg_group_run(eg_scan *scan, const eg_intern *texts, const eg_group_spec *spec,
                       eg_groups **out, eg_err *err);

/* Groups there are: all of them, or the first `limit`. */
uint64_t eg_groups_count(const eg_groups *g);

/* The next one in order. EG_DONE behind the last; EG_IO, EG_NOMEM where they come from a file. */
eg_status eg_groups_next(eg_groups *g, eg_group_row *row, eg_err *err);

void eg_groups_close(eg_groups *g);

#endif
