/*
** A slot is an open piece and a job that reads it: to its end, until the taker is full, or
** for some 10 ms. The host's thread opens pieces into free slots, looks after the jobs that
** ended, and runs waiting ones itself while there is nothing else to do.
**
** Which failure is told must not depend on who was faster: behind a piece that failed no
** other is opened, those before it are read on.
*/
#include "query/scan_spread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "query/filter.h"

#define JOB_NS INT64_C(10000000) /* enough work for one job */

typedef struct spread spread;

typedef struct slot {
    eg_job job; /* must be first */
    spread *of;
    eg_piece *piece; /* NULL: the slot is free */
    int64_t number;  /* of the piece in the source */
    bool is_sent;    /* the job is the pool's */
    eg_status rc;    /* of the job */
    eg_err err;
} slot;

/* What each member of the team reads with. */
typedef struct reader {
    eg_batch batch;
    eg_filter *filter; /* owned; NULL without a predicate */
    int64_t n_rows, n_kept;
} reader;

struct spread {
    eg_scan *scan;
    eg_source *source;
    const eg_scan_spec *spec;
    eg_team *team;
    const eg_scan_taker *taker;
    reader *readers; /* [team->n_lanes] owned */
    slot *slots;     /* [n_slots] owned */
    int n_slots, n_open;
    int64_t n_pieces;       /* opened so far */
    atomic_bool is_stopped; /* no job goes on */
    bool is_exhausted;      /* no more pieces are opened */
    int64_t failed;         /* number of the piece that failed, the first one known */
    eg_status rc;           /* how; EG_OK without */
    eg_err err;
    int64_t n_rows_told;
    eg_scan_stats stats; /* of closed pieces */
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- on any thread ------------------------------------------------------ */

static eg_status read_batch(slot *s, reader *r) {
    eg_batch *b = &r->batch;
    b->numbers = NULL;
    eg_status rc = s->piece->ops->next(s->piece, b, &s->err);
    if (rc == EG_OK && r->filter != NULL)
        rc = eg_filter_run(r->filter, b, &s->err);
    else if (rc == EG_OK)
        eg_batch_select_all(b);
    if (rc == EG_OK) {
        r->n_rows += b->n_rows;
        r->n_kept += b->n_sel;
    }
    return rc;
}

static void run_job(eg_job *job) {
    slot *s = (slot *)job;
    spread *x = s->of;
    reader *r = &x->readers[job->worker];
    int64_t end_ns = now_ns() + JOB_NS;
    s->rc = EG_OK;
    while (s->rc == EG_OK && !atomic_load_explicit(&x->is_stopped, memory_order_relaxed) &&
           !x->taker->is_full(x->taker->arg) && now_ns() < end_ns) {
        s->rc = read_batch(s, r);
        if (s->rc == EG_OK && r->batch.n_sel > 0)
            s->rc = x->taker->take(x->taker->arg, job->worker, &r->batch, &s->err);
    }
}

/* ---- on the host's thread ----------------------------------------------- */

static void send_job(spread *x, slot *s) {
    s->is_sent = true;
    eg_pool_submit(x->team->pool, &s->job);
}

static void fail(spread *x, int64_t piece, eg_status rc, const eg_err *err) {
    x->is_exhausted = true;
    if (x->rc != EG_OK && x->failed < piece)
        return;
    x->failed = piece;
    x->rc = rc;
    x->err = *err;
}

/* Whether a piece still counts: none before it failed. */
static bool counts(const spread *x, const slot *s) {
    return x->rc == EG_OK || s->number < x->failed;
}

static void close_piece(spread *x, slot *s) {
    s->piece->ops->close(s->piece, &x->stats);
    s->piece = NULL;
    x->n_open--;
}

/* Opens the next piece where a slot is free. False where none is, or nothing is left. */
static bool open_piece(spread *x) {
    if (x->is_exhausted || x->n_open == x->n_slots)
        return false;
    slot *s = x->slots;
    while (s->piece != NULL)
        s++;
    eg_err err = {.offset = -1};
    eg_status rc = x->source->ops->next_piece(x->source, &s->piece, &err);
    if (rc != EG_OK) {
        s->piece = NULL;
        x->is_exhausted = true;
        if (rc != EG_DONE)
            fail(x, x->n_pieces, rc, &err);
        return false;
    }
    s->number = x->n_pieces++;
    x->n_open++;
    send_job(x, s);
    return true;
}

/* Looks after the jobs that have ended: closes what is read, sends others off again. Jobs that
** ended because the taker is full stay where they are. Returns how many are still with the
** pool. */
static int settle(spread *x) {
    int n_sent = 0;
    bool is_full = x->taker->is_full(x->taker->arg);
    for (int i = 0; i < x->n_slots; i++) {
        slot *s = &x->slots[i];
        if (s->piece == NULL)
            continue;
        if (s->is_sent && eg_pool_is_done(x->team->pool, &s->job)) {
            s->is_sent = false;
            if (s->rc != EG_OK && s->rc != EG_DONE)
                fail(x, s->number, s->rc, &s->err);
            if (s->rc != EG_OK)
                close_piece(x, s);
        }
        if (s->piece != NULL && !s->is_sent && !counts(x, s))
            close_piece(x, s);
        if (s->piece != NULL && !s->is_sent && !is_full)
            send_job(x, s);
        n_sent += s->piece != NULL && s->is_sent;
    }
    return n_sent;
}

static void wait_for_all(spread *x) {
    for (int i = 0; i < x->n_slots; i++)
        if (x->slots[i].is_sent)
            eg_pool_wait(x->team->pool, &x->slots[i].job);
}

/* Tells the scan what was read, for progress and figures. Between jobs only. */
static void count(spread *x) {
    eg_scan_stats kept = x->stats;
    int64_t n_rows = 0;
    x->stats = (eg_scan_stats){0};
    for (int i = 0; i < x->team->n_lanes; i++) {
        n_rows += x->readers[i].n_rows;
        kept.rows_kept += x->readers[i].n_kept;
        x->readers[i].n_rows = x->readers[i].n_kept = 0;
    }
    eg_scan_count(x->scan, n_rows, &kept);
}

static eg_status run(spread *x, eg_err *err) {
    uint64_t n_seen = 0;
    for (;;) {
        eg_status rc = eg_scan_check(x->scan, err);
        if (rc != EG_OK)
            return rc;
        int n_sent = settle(x);
        if (n_sent == 0 && x->taker->is_full(x->taker->arg)) {
            count(x);
            if ((rc = x->taker->make_room(x->taker->arg, err)) != EG_OK)
                return rc;
            continue;
        }
        if (n_sent == 0 && x->n_open == 0 && x->is_exhausted)
            break;
        if (!x->taker->is_full(x->taker->arg) && open_piece(x))
            continue;
        if (n_sent > 0 && !eg_pool_help(x->team->pool))
            eg_pool_wait_news(x->team->pool, &n_seen);
    }
    if (x->rc != EG_OK && err != NULL)
        *err = x->err;
    return x->rc;
}

static eg_status open_readers(spread *x, eg_err *err) {
    x->n_slots = 2 * x->team->n_lanes;
    x->readers = calloc((size_t)x->team->n_lanes, sizeof *x->readers);
    x->slots = calloc((size_t)x->n_slots, sizeof *x->slots);
    if (x->readers == NULL || x->slots == NULL)
        return eg_fail_nomem(err, "spreading a scan");
    for (int i = 0; i < x->n_slots; i++) {
        x->slots[i].job.run = run_job;
        x->slots[i].of = x;
    }
    eg_status rc = EG_OK;
    for (int i = 0; i < x->team->n_lanes && rc == EG_OK; i++) {
        reader *r = &x->readers[i];
        rc = eg_batch_open(&r->batch, x->spec->vectors, x->spec->texts, err);
        if (rc == EG_OK && x->spec->where != NULL && x->spec->where->n_terms > 0)
            rc = eg_filter_open(x->spec->where, &r->filter, err);
    }
    return rc;
}

static eg_status spread_over(spread *x, eg_err *err) {
    eg_status rc = open_readers(x, err);
    if (rc == EG_OK) {
        rc = run(x, err);
        atomic_store(&x->is_stopped, true);
        wait_for_all(x);
        for (int i = 0; i < x->n_slots; i++)
            if (x->slots[i].piece != NULL)
                close_piece(x, &x->slots[i]);
        count(x);
    }
    for (int i = 0; x->readers != NULL && i < x->team->n_lanes; i++) {
        eg_batch_close(&x->readers[i].batch);
        eg_filter_close(x->readers[i].filter);
    }
    free(x->readers);
    free(x->slots);
    return rc;
}

static eg_status take_serially(eg_scan *s, const eg_scan_taker *taker, eg_err *err) {
    const eg_batch *b;
    eg_status rc;
    while ((rc = eg_scan_next(s, &b, err)) == EG_OK) {
        rc = taker->take(taker->arg, 0, b, err);
        if (rc == EG_OK && taker->is_full(taker->arg))
            rc = taker->make_room(taker->arg, err);
        if (rc != EG_OK)
            break;
    }
    return rc == EG_DONE ? EG_OK : rc;
}

eg_status eg_scan_spread(eg_scan *s, eg_team *team, const eg_scan_taker *taker, eg_err *err) {
    spread x = {.scan = s, .team = team, .taker = taker};
    x.source = eg_scan_source(s, &x.spec);
    if (team->n_lanes == 1 || !x.source->ops->is_independent)
        return take_serially(s, taker, err);
    return spread_over(&x, err);
}
