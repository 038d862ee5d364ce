/*
** Time series: bytes, packets and flows by buckets of time, and by any columns.
**
** Bucket number b is the time from b * step to (b + 1) * step, in ms since 1970 UTC. A flow
** covers the time from its start up to its end, and each bucket gets what the flow had by the
** end of it less what it had before, rounded down: floor(counter * time / duration). So the
** parts of a flow add up to its counter. A flow without duration is one part. A flow is counted
** where it starts.
**
** Every key has a row in every bucket from the first to the last of all keys, if only of zeros.
** Memory: 24 bytes for each bucket between a key's own first and last, up to twice that while
** they grow, and about 40 bytes and its words for each key.
*/
#ifndef EG_SERIES_H
#define EG_SERIES_H

#include "query/group_keys.h"
#include "query/scan.h"

#define EG_SERIES_MAX_ROWS INT64_C(10000000)

typedef struct eg_series_spec {
    int64_t step_ms;    /* as eg_series_parse_step gives it */
    const eg_key *keys; /* borrowed during the run */
    size_t n_keys;      /* 0..EG_GROUP_MAX_KEYS */
} eg_series_spec;

typedef struct eg_series eg_series;

typedef struct eg_series_row {
    int64_t time_ms;                 /* the bucket's beginning */
    int64_t keys[EG_GROUP_MAX_KEYS]; /* numbers as in a batch; TEXT keys are codes */
    int64_t bytes, packets, flows;
} eg_series_row;

/* A whole number of s, m, h or d, from '1s' to '1d'. EG_MISUSE says so. */
eg_status eg_series_parse_step(const char *text, size_t n_bytes, int64_t *step_ms, eg_err *err);

/* The vectors a series reads. */
eg_vector_set eg_series_vectors(const eg_series_spec *spec);

/* Reads the scan to its end and sums. texts: the scan's table, for the order of TEXT keys.
** EG_LIMIT where there would be more than EG_SERIES_MAX_ROWS rows, as soon as that is known;
** EG_UNSUPPORTED for a start_time or a key that is NULL. */
eg_status eg_series_run(eg_scan *scan, const eg_intern *texts, const eg_series_spec *spec,
                        eg_series **out, eg_err *err);

/* Rows by time, then by key ascending (numbers; texts bytewise). None where no flow was read. */
uint64_t eg_series_count(const eg_series *s);
void eg_series_get(const eg_series *s, uint64_t i, eg_series_row *row);

/* NULL is allowed. */
void eg_series_close(eg_series *s);

#endif
