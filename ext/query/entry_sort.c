/* Runs by qsort_r, which cannot be stopped, merged pairwise. */
#include "query/entry_sort.h"

#include <stdlib.h>

typedef struct sorting {
    eg_entry_order compare;
    void *arg;
    eg_scan *scan;
} sorting;

/* Merges the sorted runs [0, middle) and [middle, n) of from into to. */
static eg_status merge(const sorting *s, const uint64_t **from, const uint64_t **to,
                       uint64_t middle, uint64_t n, eg_err *err) {
    uint64_t a = 0, b = middle;
    for (uint64_t i = 0; i < n; i++) {
        if (i % EG_ENTRY_RUN == 0) {
            eg_status rc = eg_scan_check(s->scan, err);
            if (rc != EG_OK)
                return rc;
        }
        bool take_a = b == n || (a < middle && s->compare(&from[a], &from[b], s->arg) <= 0);
        to[i] = from[take_a ? a++ : b++];
    }
    return EG_OK;
}

static eg_status sort_runs(const sorting *s, const uint64_t **entries, uint64_t n, eg_err *err) {
    for (uint64_t at = 0; at < n; at += EG_ENTRY_RUN) {
        eg_status rc = eg_scan_check(s->scan, err);
        if (rc != EG_OK)
            return rc;
        qsort_r(entries + at, n - at < EG_ENTRY_RUN ? n - at : EG_ENTRY_RUN, sizeof *entries,
                s->compare, s->arg);
    }
    return EG_OK;
}

eg_status eg_entry_sort(const uint64_t ***entries, uint64_t n, eg_entry_order compare, void *arg,
                        eg_scan *scan, eg_err *err) {
    const sorting s = {compare, arg, scan};
    const uint64_t **from = *entries;
    eg_status rc = sort_runs(&s, from, n, err);
    if (rc != EG_OK || n <= EG_ENTRY_RUN)
        return rc;
    const uint64_t **to = calloc(n, sizeof *to);
    if (to == NULL)
        return eg_fail_nomem(err, "the order of groups");
    for (uint64_t width = EG_ENTRY_RUN; width < n && rc == EG_OK; width *= 2) {
        for (uint64_t at = 0; at < n && rc == EG_OK; at += 2 * width) {
            uint64_t n_both = n - at < 2 * width ? n - at : 2 * width;
            rc = merge(&s, from + at, to + at, n_both < width ? n_both : width, n_both, err);
        }
        const uint64_t **t = from;
        from = to;
        to = t;
    }
    free(to);
    *entries = from;
    return rc;
}
