/* Pieces one after the other, batch by batch, filtered; the host is asked by the clock. */
#include "query/scan.h"

#include <stdlib.h>
#include <time.h>

#include "query/filter.h"

#define POLL_INTERVAL_NS INT64_C(10000000)

struct eg_scan {
    eg_source *source;        /* owned */
    const eg_scan_spec *spec; /* borrowed */
    eg_poll poll;
    eg_piece *piece;     /* open piece or NULL */
    eg_filter *filter;   /* owned; NULL without a predicate */
    eg_batch batch;      /* owned */
    eg_scan_stats stats; /* of closed pieces, and rows_kept */
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

static void select_all(eg_batch *b) {
    for (uint32_t i = 0; i < b->n_rows; i++)
        b->sel[i] = (uint16_t)i;
    b->n_sel = b->n_rows;
}

eg_status eg_scan_check(eg_scan *s, eg_err *err) {
    return host_stops(s) ? eg_fail(err, EG_INTERRUPT, -1, "interrupted") : EG_OK;
}

eg_status eg_scan_next(eg_scan *s, const eg_batch **out, eg_err *err) {
    for (;;) {
        eg_status rc = eg_scan_check(s, err);
        if (rc != EG_OK)
            return rc;
        if (s->piece == NULL) {
            rc = s->source->ops->next_piece(s->source, &s->piece, err);
            if (rc != EG_OK)
                return rc;
        }
        rc = s->piece->ops->next(s->piece, &s->batch, err);
        if (rc == EG_DONE) {
            s->piece->ops->close(s->piece, &s->stats);
            s->piece = NULL;
            continue;
        }
        if (rc == EG_OK && s->filter != NULL)
            rc = eg_filter_run(s->filter, &s->batch, err);
        else if (rc == EG_OK)
            select_all(&s->batch);
        if (rc != EG_OK)
            return rc;
        s->batch.first_row = s->n_rows;
        s->n_rows += s->batch.n_rows;
        s->stats.rows_kept += s->batch.n_sel;
        if (s->batch.n_sel > 0) {
            *out = &s->batch;
            return EG_OK;
        }
    }
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
    s->source->ops->close(s->source, &s->stats);
    if (stats != NULL) {
        int64_t *to = (int64_t *)stats;
        const int64_t *from = (const int64_t *)&s->stats;
        _Static_assert(sizeof *stats % sizeof *to == 0, "stats are int64_t fields only");
        for (size_t i = 0; i < sizeof *stats / sizeof *to; i++)
            to[i] += from[i];
    }
    eg_filter_close(s->filter);
    eg_batch_close(&s->batch);
    free(s);
}
