/* Pieces one after the other, batch by batch, filtered; the host is asked by the clock. */
#include "query/scan.h"

#include <stdlib.h>
#include <time.h>

#include "query/filter.h"
#include "query/scan_ahead.h"

#define POLL_INTERVAL_NS INT64_C(10000000)
#define ALONE_BATCHES 16             /* of the first piece: then others are read meanwhile, ... */
#define FEW_ROWS (EG_BATCH_ROWS / 4) /* ... or after the first batch that has no more */

struct eg_scan {
    eg_source *source;        /* owned */
    const eg_scan_spec *spec; /* borrowed */
    eg_poll poll;
    eg_piece *piece;      /* open piece or NULL */
    bool has_begun;       /* a piece was opened */
    bool is_alone;        /* there is no thread for more */
    int n_batches;        /* of the first piece; ALONE_BATCHES where others may begin */
    bool has_few;         /* rows of the first piece were few */
    eg_scan_ahead *ahead; /* reads all but an open piece; NULL while the scan does itself */
    eg_filter *filter;    /* owned; NULL without a predicate */
    eg_batch batch;       /* owned */
    eg_scan_stats stats;  /* of closed pieces, and rows_kept */
    int64_t last_poll_ns;
    int64_t n_rows; /* of all batches so far */
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool host_stops(eg_scan *s) {
    if (s->poll.poll == NULL)
        return false;
    int64_t now = now_ns();
    if (now - s->last_poll_ns < POLL_INTERVAL_NS)
        return false;
    bool stop = s->poll.poll(s->poll.arg);
    s->last_poll_ns = now_ns();
    return stop;
}

eg_status eg_scan_open(eg_source *src, const eg_scan_spec *spec, eg_poll poll, eg_scan **out,
                       eg_err *err) {
    *out = NULL;
    eg_scan *s = calloc(1, sizeof *s);
    if (s == NULL) {
        src->ops->close(src, NULL);
        return eg_fail_nomem(err, "a scan");
    }
    s->source = src;
    s->spec = spec;
    s->poll = poll;
    s->last_poll_ns = now_ns();
    eg_status rc = eg_batch_open(&s->batch, spec->vectors, spec->texts, err);
    if (rc == EG_OK && spec->where != NULL && spec->where->n_terms > 0)
        rc = eg_filter_open(spec->where, &s->filter, err);
    if (rc != EG_OK) {
        eg_scan_close(s, NULL);
        return rc;
    }
    *out = s;
    return EG_OK;
}

eg_status eg_scan_check(eg_scan *s, eg_err *err) {
    return host_stops(s) ? eg_fail(err, EG_INTERRUPT, -1, "interrupted") : EG_OK;
}

/* Reads on: a batch, filtered. n_rows may be 0. */
static eg_status read_batch(eg_scan *s, eg_err *err) {
    s->batch.numbers = NULL;
    eg_status rc = s->piece->ops->next(s->piece, &s->batch, err);
    if (rc == EG_OK && s->filter != NULL)
        rc = eg_filter_run(s->filter, &s->batch, err);
    else if (rc == EG_OK)
        eg_batch_select_all(&s->batch);
    if (rc != EG_OK || s->n_batches == ALONE_BATCHES)
        return rc;
    /* Few rows of a source that leaves others out: more pieces will be wanted soon. */
    uint32_t n = s->batch.n_rows;
    s->has_few = s->piece->has_few || (s->filter != NULL && n > 0 && n <= FEW_ROWS);
    s->n_batches = s->has_few ? ALONE_BATCHES : s->n_batches + (n > 0);
    return EG_OK;
}

/* Has all pieces but the open one read ahead, where that can be. */
static eg_status go_ahead(eg_scan *s, eg_err *err) {
    if (s->is_alone || !eg_scan_ahead_fits(s->source, s->spec))
        return EG_OK;
    eg_status rc = eg_scan_ahead_open(s->source, s->spec, s->has_few, &s->ahead, err);
    s->is_alone = rc == EG_LIMIT;
    return s->is_alone ? EG_OK : rc;
}

/* Between pieces: opens the next, or has it and all others read ahead. The first one is begun here:
** what its beginning satisfies, such as a LIMIT, shall cost no more. */
static eg_status go_on(eg_scan *s, eg_err *err) {
    if (s->has_begun) {
        eg_status rc = go_ahead(s, err);
        if (rc != EG_OK || s->ahead != NULL)
            return rc;
    }
    s->has_begun = true;
    return s->source->ops->next_piece(s->source, &s->piece, err);
}

/* Has the others begun while the first piece goes on: here, batch by batch; where it has few rows
** it is given to the workers, too. */
static eg_status begin_others(eg_scan *s, eg_err *err) {
    eg_status rc = go_ahead(s, err);
    if (rc != EG_OK || s->ahead == NULL)
        return rc;
    bool has_few = s->piece->has_few;
    eg_scan_ahead_start(s->ahead, has_few ? s->piece : NULL);
    if (has_few)
        s->piece = NULL;
    return EG_OK;
}

eg_status eg_scan_next(eg_scan *s, const eg_batch **out, eg_err *err) {
    for (;;) {
        eg_batch *b = &s->batch;
        int64_t n_before = 0;
        bool counts = false;
        eg_status rc = eg_scan_check(s, err);
        if (rc == EG_OK && s->piece == NULL && s->ahead == NULL)
            rc = go_on(s, err);
        else if (rc == EG_OK && s->ahead == NULL && s->n_batches >= ALONE_BATCHES)
            rc = begin_others(s, err);
        if (rc != EG_OK)
            return rc;
        if (s->piece == NULL) {
            rc = eg_scan_ahead_next(s->ahead, &b, &n_before, &counts, err);
        } else if ((rc = read_batch(s, err)) == EG_DONE) {
            s->piece->ops->close(s->piece, &s->stats);
            s->piece = NULL;
            continue;
        }
        s->n_rows += n_before;
        if (rc != EG_OK)
            return rc;
        if (b == NULL)
            continue;
        b->first_row = s->n_rows;
        for (uint32_t i = 0; counts && i < b->n_rows; i++)
            b->numbers[i] += b->first_row;
        s->n_rows += b->n_rows;
        s->stats.rows_kept += b->n_sel;
        if (b->n_sel > 0) {
            *out = b;
            return EG_OK;
        }
    }
}

eg_source *eg_scan_source(eg_scan *s, const eg_scan_spec **spec) {
    *spec = s->spec;
    return s->source;
}

void eg_scan_count(eg_scan *s, int64_t n_rows, const eg_scan_stats *stats) {
    s->n_rows += n_rows;
    eg_scan_stats_add(&s->stats, stats);
}

void eg_scan_progress(const eg_scan *s, int64_t *done_bytes, int64_t *total_bytes,
                      int64_t *n_rows) {
    *n_rows = s->n_rows;
    s->source->ops->progress(s->source, done_bytes, total_bytes);
}

void eg_scan_close(eg_scan *s, eg_scan_stats *stats) {
    if (s == NULL)
        return;
    if (s->piece != NULL)
        s->piece->ops->close(s->piece, &s->stats);
    eg_scan_ahead_close(s->ahead, &s->stats);
    s->source->ops->close(s->source, &s->stats);
    if (stats != NULL)
        eg_scan_stats_add(stats, &s->stats);
    eg_filter_close(s->filter);
    eg_batch_close(&s->batch);
    free(s);
}
