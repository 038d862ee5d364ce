/*
** Grouping: packs the keys of each batch into words, column at a time, sums
** them in a group_table, and puts the groups in order at the end.
*/
#include "query/group.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "query/entry_sort.h"
#include "query/group_table.h"

struct eg_groups {
    eg_key_layout layout;
    eg_measure measure;
    const eg_intern *texts; /* borrowed */
    eg_group_table *table;  /* owned */
    const uint64_t **order; /* [n] owned, entries of the table */
    uint64_t n;
};

bool eg_group_parse_measure(const char *text, size_t n_bytes, eg_measure *m) {
    static const char *const names[] = {[EG_MEASURE_BYTES] = "bytes",
                                        [EG_MEASURE_PACKETS] = "packets",
                                        [EG_MEASURE_FLOWS] = "flows"};
    for (int i = EG_MEASURE_BYTES; i <= EG_MEASURE_FLOWS; i++)
        if (strlen(names[i]) == n_bytes && strncasecmp(names[i], text, n_bytes) == 0) {
            *m = (eg_measure)i;
            return true;
        }
    return false;
}

eg_vector_set eg_group_vectors(const eg_group_spec *spec) {
    return EG_VECTOR_BIT(EG_VEC_BYTES) | EG_VECTOR_BIT(EG_VEC_PACKETS) |
           eg_group_keys_vectors(spec->keys, spec->n_keys);
}

static void pack_pair(const eg_batch *b, uint64_t *to) {
    for (uint32_t i = 0; i < b->n_sel; i++) {
        uint64_t src = b->v.SRCADDR[b->sel[i]], dst = b->v.DSTADDR[b->sel[i]];
        uint64_t low = src < dst ? src : dst, high = src < dst ? dst : src;
        to[i] = low << 32 | high;
    }
}

/* ---- order -------------------------------------------------------------- */

static int compare_keys(const eg_groups *g, const uint64_t *a, const uint64_t *b) {
    uint64_t x[EG_GROUP_MAX_WORDS], y[EG_GROUP_MAX_WORDS];
    eg_group_table_key(g->table, a, x);
    eg_group_table_key(g->table, b, y);
    return eg_key_layout_compare(&g->layout, g->texts, x, y);
}

/* Negative where a comes before b: larger measure first, then smaller key. */
static int compare_groups(const void *a, const void *b, void *groups) {
    const eg_groups *g = groups;
    const uint64_t *x = *(const uint64_t *const *)a, *y = *(const uint64_t *const *)b;
    unsigned at = g->layout.n_words + (unsigned)g->measure;
    if (x[at] != y[at])
        return x[at] > y[at] ? -1 : 1;
    return compare_keys(g, x, y);
}
_Static_assert(EG_MEASURE_BYTES == 0 && EG_MEASURE_PACKETS == 1 && EG_MEASURE_FLOWS == 2,
               "a measure is the number of its sum in an entry");

/* Keeps the first n in a heap whose top is the last of them. */
static void sift_down(eg_groups *g, uint64_t i, uint64_t n) {
    for (;;) {
        uint64_t child = 2 * i + 1;
        if (child >= n)
            return;
        if (child + 1 < n && compare_groups(&g->order[child], &g->order[child + 1], g) < 0)
            child++;
        if (compare_groups(&g->order[i], &g->order[child], g) >= 0)
            return;
        const uint64_t *t = g->order[i];
        g->order[i] = g->order[child];
        g->order[child] = t;
        i = child;
    }
}

static eg_status put_in_order(eg_groups *g, uint64_t limit, eg_scan *scan, eg_err *err) {
    uint64_t n = eg_group_table_count(g->table);
    g->n = limit > 0 && limit < n ? limit : n;
    if (g->n == 0)
        return EG_OK;
    g->order = calloc(g->n, sizeof *g->order);
    if (g->order == NULL)
        return eg_fail_nomem(err, "the order of groups");
    eg_group_walk at = {0};
    const uint64_t *e;
    uint64_t filled = 0;
    for (uint64_t i = 0; (e = eg_group_table_next(g->table, &at)) != NULL; i++) {
        if (i % EG_ENTRY_RUN == 0) {
            eg_status rc = eg_scan_check(scan, err);
            if (rc != EG_OK)
                return rc;
        }
        if (filled < g->n) {
            g->order[filled++] = e;
            if (filled == g->n && g->n < n) {
                for (uint64_t j = g->n / 2; j-- > 0;) {
                    if (j % EG_ENTRY_RUN == 0 && eg_scan_check(scan, err) != EG_OK)
                        return EG_INTERRUPT;
                    sift_down(g, j, g->n);
                }
            }
        } else if (compare_groups(&e, &g->order[0], g) < 0) {
            g->order[0] = e;
            sift_down(g, 0, g->n);
        }
    }
    return eg_entry_sort(&g->order, g->n, compare_groups, g, scan, err);
}

/* ---- the run ------------------------------------------------------------ */

/* One batch's packed keys, selected rows only. */
typedef struct packed {
    uint64_t words[EG_GROUP_MAX_WORDS][EG_BATCH_ROWS];
} packed;

static eg_status add_batch(eg_groups *g, const eg_group_spec *spec, const eg_batch *b, packed *k,
                           eg_err *err) {
    eg_status rc = eg_key_layout_refuse_nulls(&g->layout, b, err);
    if (rc != EG_OK)
        return rc;
    if (spec->unordered_pair) {
        pack_pair(b, k->words[0]);
    } else {
        for (unsigned w = 0; w < g->layout.n_words; w++)
            memset(k->words[w], 0, b->n_sel * sizeof k->words[w][0]);
        uint64_t *to[EG_GROUP_MAX_WORDS];
        for (unsigned w = 0; w < g->layout.n_words; w++)
            to[w] = k->words[w];
        eg_key_layout_pack(&g->layout, b, to);
    }
    const uint64_t *words[EG_GROUP_MAX_WORDS];
    for (unsigned w = 0; w < g->layout.n_words; w++)
        words[w] = k->words[w];
    /* A counter that is NULL is 0 in its array, which is what it adds. */
    return eg_group_table_add(g->table, words, b->v.BYTES, b->v.PACKETS, b->sel, b->n_sel, err);
}

static eg_status check_scan(void *scan, eg_err *err) {
    return eg_scan_check(scan, err);
}

eg_status eg_group_run(eg_scan *scan, const eg_intern *texts, const eg_group_spec *spec,
                       eg_groups **out, eg_err *err) {
    *out = NULL;
    eg_groups *g = calloc(1, sizeof *g);
    packed *k = malloc(sizeof *k);
    eg_status rc = EG_OK;
    if (g == NULL || k == NULL) {
        rc = eg_fail_nomem(err, "grouping");
        goto done;
    }
    g->texts = texts;
    g->measure = spec->measure;
    eg_key_layout_make(&g->layout, spec->keys, spec->n_keys, 0);
    rc = eg_group_table_open(g->layout.n_words, check_scan, scan, &g->table, err);
    while (rc == EG_OK) {
        const eg_batch *b;
        rc = eg_scan_next(scan, &b, err);
        if (rc == EG_OK)
            rc = add_batch(g, spec, b, k, err);
    }
    if (rc == EG_DONE)
        rc = eg_group_table_finish(g->table, err);
    if (rc == EG_OK)
        rc = put_in_order(g, spec->limit, scan, err);
done:
    free(k);
    if (rc == EG_OK)
        *out = g;
    else
        eg_groups_close(g);
    return rc;
}

uint64_t eg_groups_count(const eg_groups *g) {
    return g->n;
}

void eg_groups_row(const eg_groups *g, uint64_t i, eg_group_row *row) {
    const uint64_t *e = g->order[i];
    uint64_t words[EG_GROUP_MAX_WORDS];
    eg_group_table_key(g->table, e, words);
    eg_key_layout_unpack(&g->layout, words, row->keys);
    row->bytes = (int64_t)e[g->layout.n_words];
    row->packets = (int64_t)e[g->layout.n_words + 1];
    row->flows = (int64_t)e[g->layout.n_words + 2];
}

void eg_groups_close(eg_groups *g) {
    if (g == NULL)
        return;
    eg_group_table_close(g->table);
    free(g->order);
    free(g);
}
