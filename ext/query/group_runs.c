/* A heap of the runs by their next entries; each reads its file in pieces. */
#include "query/group_runs.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES 16384

typedef struct group_run {
    int64_t offset;  /* of what is not read yet */
    uint64_t n_left; /* entries there */
    uint64_t *piece; /* [n_piece] entries that are read; owned */
    uint32_t n_piece, at;
} group_run;

struct eg_group_runs {
    eg_group_order order;
    eg_spill *spill;
    uint32_t piece_entries;
    size_t n_runs, n_heap;
    bool has_begun;
    uint32_t *heap; /* [n_heap] runs that have entries, the first in order on top */
    group_run runs[];
};

eg_status eg_group_runs_open(const eg_group_order *order, eg_spill *spill, size_t n_runs,
                             eg_group_runs **out, eg_err *err) {
    *out = NULL;
    eg_group_runs *r = calloc(1, sizeof *r + n_runs * sizeof r->runs[0]);
    if (r == NULL || (r->heap = calloc(n_runs, sizeof *r->heap)) == NULL) {
        free(r);
        return eg_fail_nomem(err, "runs of groups");
    }
    r->order = *order;
    r->spill = spill;
    r->n_runs = n_runs;
    r->piece_entries =
        (uint32_t)(PIECE_BYTES / sizeof(uint64_t) / eg_group_table_width(order->table));
    *out = r;
    return EG_OK;
}

static int compare_entries(const void *a, const void *b, void *order) {
    return eg_group_compare(order, *(const uint64_t *const *)a, *(const uint64_t *const *)b);
}

eg_status eg_group_runs_write(eg_group_runs *r, size_t run, const uint64_t *entries, uint32_t n,
                              eg_err *err) {
    size_t width = eg_group_table_width(r->order.table);
    uint64_t *out = malloc(((size_t)n + 1) * width * sizeof *out);
    const uint64_t **order = malloc(((size_t)n + 1) * sizeof *order);
    eg_status rc = out != NULL && order != NULL ? EG_OK : eg_fail_nomem(err, "runs of groups");
    if (rc == EG_OK) {
        for (uint32_t i = 0; i < n; i++)
            order[i] = entries + i * width;
        qsort_r(order, n, sizeof *order, compare_entries, &r->order);
        for (uint32_t i = 0; i < n; i++)
            memcpy(out + i * width, order[i], width * sizeof *out);
        rc = eg_spill_write(r->spill, out, n * width * sizeof *out, &r->runs[run].offset, err);
    }
    r->runs[run].n_left = rc == EG_OK ? n : 0;
    free(out);
    free(order);
    return rc;
}

uint64_t eg_group_runs_count(const eg_group_runs *r) {
    uint64_t n = 0;
    for (size_t i = 0; i < r->n_runs; i++)
        n += r->runs[i].n_left;
    return n;
}

/* Makes run->piece[run->at] an entry; *has is false where the run has no more. */
static eg_status fetch(eg_group_runs *r, group_run *run, bool *has, eg_err *err) {
    size_t width = eg_group_table_width(r->order.table);
    *has = run->at < run->n_piece || run->n_left > 0;
    if (run->at < run->n_piece || run->n_left == 0)
        return EG_OK;
    if (run->piece == NULL &&
        (run->piece = malloc(r->piece_entries * width * sizeof *run->piece)) == NULL)
        return eg_fail_nomem(err, "runs of groups");
    run->at = 0;
    run->n_piece = run->n_left < r->piece_entries ? (uint32_t)run->n_left : r->piece_entries;
    size_t n_bytes = run->n_piece * width * sizeof *run->piece;
    eg_status rc = eg_spill_read(r->spill, run->piece, n_bytes, run->offset, err);
    run->offset += (int64_t)n_bytes;
    run->n_left -= run->n_piece;
    return rc;
}

static const uint64_t *top_of(const eg_group_runs *r, size_t at) {
    const group_run *run = &r->runs[r->heap[at]];
    return run->piece + run->at * eg_group_table_width(r->order.table);
}

static void sift_down(eg_group_runs *r, size_t i) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= r->n_heap)
            return;
        if (child + 1 < r->n_heap &&
            eg_group_compare(&r->order, top_of(r, child + 1), top_of(r, child)) < 0)
            child++;
        if (eg_group_compare(&r->order, top_of(r, i), top_of(r, child)) <= 0)
            return;
        uint32_t t = r->heap[i];
        r->heap[i] = r->heap[child];
        r->heap[child] = t;
        i = child;
    }
}

static eg_status begin(eg_group_runs *r, eg_err *err) {
    for (size_t i = 0; i < r->n_runs; i++) {
        bool has;
        eg_status rc = fetch(r, &r->runs[i], &has, err);
        if (rc != EG_OK)
            return rc;
        if (has)
            r->heap[r->n_heap++] = (uint32_t)i;
    }
    for (size_t i = r->n_heap / 2; i-- > 0;)
        sift_down(r, i);
    r->has_begun = true;
    return EG_OK;
}

eg_status eg_group_runs_next(eg_group_runs *r, const uint64_t **entry, eg_err *err) {
    eg_status rc = EG_OK;
    if (!r->has_begun) {
        rc = begin(r, err);
    } else if (r->n_heap > 0) { /* the one on top was handed out */
        group_run *run = &r->runs[r->heap[0]];
        bool has;
        run->at++;
        rc = fetch(r, run, &has, err);
        if (rc == EG_OK && !has)
            r->heap[0] = r->heap[--r->n_heap];
        if (rc == EG_OK)
            sift_down(r, 0);
    }
    if (rc != EG_OK)
        return rc;
    *entry = r->n_heap > 0 ? top_of(r, 0) : NULL;
    return r->n_heap > 0 ? EG_OK : EG_DONE;
}

void eg_group_runs_close(eg_group_runs *r) {
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->n_runs; i++)
        free(r->runs[i].piece);
    free(r->heap);
    free(r);
}
