/*
** Slots stand in a ring, each with a piece that a job reads from. A job fills one lot of
** batches and ends: at a full lot, at the end of its piece, or after enough work. The host's
** thread takes the lot of the first slot, gives it the empty one it had itself, and sends
** the slot's job off again before it looks at a row.
**
** Where few rows of a batch pass they are moved together with those of the batches before it.
** So a lot holds what passes of a whole row group, and workers of later pieces need not wait
** until their turn has come to go on.
*/
#include "query/scan_ahead.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/pool.h"
#include "query/filter.h"

#define LOT_BATCHES 8
#define FEW_SLOTS 2 /* a thread, of pieces with few rows: none waits for the host to take them */
#define JOB_NS INT64_C(10000000)     /* enough work for one job */
#define FEW_ROWS (EG_BATCH_ROWS / 4) /* that pass: they are gathered */

typedef struct lot {
    eg_batch batches[LOT_BATCHES]; /* opened when first needed */
    int64_t n_before[LOT_BATCHES]; /* rows read before each of which none passed */
    int64_t n_span[LOT_BATCHES];   /* gathered: rows read from its first batch on; 0 as read */
    bool counts[LOT_BATCHES];      /* gathered: numbers count from the first of these */
    int n_opened, n;
    int64_t n_behind; /* rows read behind the last one */
} lot;

typedef struct slot {
    eg_job job; /* must be first */
    const eg_scan_ahead *of;
    eg_piece *piece;   /* NULL: the slot is free */
    eg_filter *filter; /* owned; NULL without a predicate */
    lot *lot;          /* owned */
    bool is_sent;      /* the job is the pool's */
    eg_status rc;      /* of the job */
    eg_err err;
} slot;

struct eg_scan_ahead {
    eg_source *source;
    const eg_scan_spec *spec;
    eg_pool *pool;
    atomic_bool is_closing; /* nobody wants what a job would read */
    lot *lot;               /* the one being handed out */
    int at;                 /* next batch of it */
    int64_t n_before;       /* rows before that */
    eg_status rc;           /* what comes behind the lot: EG_OK, a failure */
    eg_err err;             /* of rc */
    bool is_exhausted;      /* the source has no more pieces, or failed with `end` */
    eg_status end;          /* EG_DONE, or a failure that comes behind all open pieces */
    eg_err end_err;         /* of end */
    eg_scan_stats stats;    /* of closed pieces */
    int n_slots, first;     /* of the ring */
    slot slots[];           /* [n_slots] */
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- on a worker -------------------------------------------------------- */

/* Appends the rows that passed to a batch that has room; to itself, they move to its front. */
static void move_rows(eg_batch *to, uint32_t at, const eg_batch *from) {
    for (int v = 0; v < EG_N_VECTORS; v++) {
        uint8_t *out = eg_batch_array(to, (eg_vector)v);
        size_t width = eg_vector_width((eg_vector)v);
        if (out != NULL)
            eg_pick_rows(out + at * width, eg_batch_array(from, (eg_vector)v), width, from->sel,
                         from->n_sel);
    }
}

/* Gathers the lot's last batch, of which few rows passed, into the one before it, where that is
** such a one and has room; else it becomes the first of a gathered one. Numbers that the source
** gives stay; others count from the first row of the gathered batch. */
static eg_status gather(lot *l, eg_err *err) {
    eg_batch *b = &l->batches[l->n], *to = b;
    int k = l->n;
    bool counts = b->numbers == NULL;
    if (k > 0 && l->n_span[k - 1] > 0 && l->counts[k - 1] == counts &&
        l->batches[k - 1].n_rows + b->n_sel <= EG_BATCH_ROWS)
        to = &l->batches[--k];
    uint32_t at = to != b ? to->n_rows : 0, n = b->n_sel;
    int64_t first = to != b ? l->n_span[k] + l->n_behind : 0; /* of b's rows, in the span */
    eg_status rc = to->numbers != NULL ? EG_OK : eg_batch_need_numbers(to, err);
    if (rc == EG_OK && b->nulls != NULL && to->nulls == NULL)
        rc = eg_batch_need_nulls(to, err);
    if (rc != EG_OK)
        return rc;
    move_rows(to, at, b);
    for (uint32_t i = 0; i < n; i++)
        to->numbers[at + i] = counts ? first + b->sel[i] : b->numbers[b->sel[i]];
    for (uint32_t i = 0; to->nulls != NULL && i < n; i++)
        to->nulls[at + i] = b->nulls != NULL ? b->nulls[b->sel[i]] : 0;
    if (to == b) {
        l->n_before[k] = l->n_behind;
        l->counts[k] = counts;
        l->n++;
    }
    l->n_span[k] = first + b->n_rows;
    l->n_behind = 0;
    for (uint32_t i = at; i < at + n; i++)
        to->sel[i] = (uint16_t)i;
    to->n_rows = to->n_sel = at + n;
    return EG_OK;
}

static eg_status fill_lot(slot *s) {
    lot *l = s->lot;
    int64_t end_ns = now_ns() + JOB_NS;
    while (l->n < LOT_BATCHES && !atomic_load(&s->of->is_closing) && now_ns() < end_ns) {
        eg_batch *b = &l->batches[l->n];
        if (l->n == l->n_opened) {
            eg_status rc = eg_batch_open(b, s->of->spec->vectors, s->of->spec->texts, &s->err);
            if (rc != EG_OK)
                return rc;
            l->n_opened++;
        }
        b->numbers = NULL;
        eg_status rc = s->piece->ops->next(s->piece, b, &s->err);
        if (rc == EG_OK && s->filter != NULL)
            rc = eg_filter_run(s->filter, b, &s->err);
        else if (rc == EG_OK)
            eg_batch_select_all(b);
        if (rc != EG_OK)
            return rc;
        if (b->n_sel == 0) {
            l->n_behind += b->n_rows;
            continue;
        }
        if (b->n_sel <= FEW_ROWS) {
            rc = gather(l, &s->err);
            if (rc != EG_OK)
                return rc;
            continue;
        }
        l->n_span[l->n] = 0;
        l->n_before[l->n++] = l->n_behind;
        l->n_behind = 0;
    }
    return EG_OK;
}

static void run_job(eg_job *job) {
    slot *s = (slot *)job;
    s->rc = fill_lot(s);
}

/* ---- on the host's thread ----------------------------------------------- */

static void send_job(eg_scan_ahead *a, slot *s) {
    s->lot->n = 0;
    s->lot->n_behind = 0;
    s->is_sent = true;
    eg_pool_submit(a->pool, &s->job);
}

/* Gives each free slot a piece, from the first one on. */
static void open_pieces(eg_scan_ahead *a) {
    for (int i = 0; i < a->n_slots && !a->is_exhausted; i++) {
        slot *s = &a->slots[(a->first + i) % a->n_slots];
        if (s->piece != NULL)
            continue;
        a->end = a->source->ops->next_piece(a->source, &s->piece, &a->end_err);
        a->is_exhausted = a->end != EG_OK;
        if (a->end == EG_OK)
            send_job(a, s);
        else
            s->piece = NULL;
    }
}

static void close_piece(eg_scan_ahead *a, slot *s) {
    s->piece->ops->close(s->piece, &a->stats);
    s->piece = NULL;
}

/* Takes the lot of the first slot. EG_DONE where no piece is left. */
static eg_status take_lot(eg_scan_ahead *a, eg_err *err) {
    open_pieces(a);
    slot *s = &a->slots[a->first];
    if (s->piece == NULL) {
        if (err != NULL && a->end != EG_DONE)
            *err = a->end_err;
        return a->end;
    }
    eg_pool_wait(a->pool, &s->job);
    s->is_sent = false;
    lot *taken = s->lot;
    s->lot = a->lot;
    a->lot = taken;
    a->at = 0;
    if (s->rc == EG_OK) {
        send_job(a, s);
    } else if (s->rc == EG_DONE) {
        close_piece(a, s);
        a->first = (a->first + 1) % a->n_slots;
        open_pieces(a);
    } else {
        a->rc = s->rc;
        a->err = s->err;
    }
    return EG_OK;
}

void eg_scan_ahead_start(eg_scan_ahead *a, eg_piece *first) {
    slot *s = &a->slots[a->first];
    s->piece = first;
    if (first != NULL)
        send_job(a, s);
    open_pieces(a);
}

eg_status eg_scan_ahead_next(eg_scan_ahead *a, eg_batch **out, int64_t *n_before, bool *counts,
                             eg_err *err) {
    *out = NULL;
    *n_before = 0;
    *counts = false;
    if (a->at == a->lot->n) {
        a->n_before += a->lot->n_behind;
        a->lot->n = a->at = 0;
        a->lot->n_behind = 0;
        eg_status rc = a->rc;
        if (rc != EG_OK && err != NULL)
            *err = a->err;
        if (rc == EG_OK)
            rc = take_lot(a, err);
        if (rc != EG_OK || a->lot->n == 0) {
            *n_before = rc == EG_DONE ? a->n_before : 0;
            return rc;
        }
    }
    *n_before = a->n_before + a->lot->n_before[a->at];
    *out = &a->lot->batches[a->at];
    int64_t n_span = a->lot->n_span[a->at];
    a->n_before = n_span > 0 ? n_span - (*out)->n_rows : 0; /* before the next one */
    *counts = n_span > 0 && a->lot->counts[a->at];
    a->at++;
    return EG_OK;
}

bool eg_scan_ahead_fits(const eg_source *src, const eg_scan_spec *spec) {
    eg_vector_set texts = EG_VECTOR_BIT(EG_VEC_EXPORTER) | EG_VECTOR_BIT(EG_VEC_FILE);
    return src->ops->is_independent && spec->n_threads > 0 && (spec->vectors & texts) == 0;
}

eg_status eg_scan_ahead_open(eg_source *src, const eg_scan_spec *spec, bool has_few,
                             eg_scan_ahead **out, eg_err *err) {
    int n_slots = (has_few ? FEW_SLOTS : 1) * spec->n_threads + 1;
    *out = NULL;
    eg_scan_ahead *a = calloc(1, sizeof *a + (size_t)n_slots * sizeof a->slots[0]);
    if (a == NULL)
        return eg_fail_nomem(err, "reading ahead");
    a->source = src;
    a->spec = spec;
    a->n_slots = n_slots;
    eg_status rc = eg_pool_open(spec->n_threads, &a->pool, err);
    if (rc == EG_OK && (a->lot = calloc(1, sizeof *a->lot)) == NULL)
        rc = eg_fail_nomem(err, "reading ahead");
    for (int i = 0; i < n_slots && rc == EG_OK; i++) {
        slot *s = &a->slots[i];
        s->job.run = run_job;
        s->of = a;
        if ((s->lot = calloc(1, sizeof *s->lot)) == NULL)
            rc = eg_fail_nomem(err, "reading ahead");
        else if (spec->where != NULL && spec->where->n_terms > 0)
            rc = eg_filter_open(spec->where, &s->filter, err);
    }
    if (rc == EG_OK)
        *out = a;
    else
        eg_scan_ahead_close(a, NULL);
    return rc;
}

static void close_lot(lot *l) {
    for (int i = 0; l != NULL && i < l->n_opened; i++)
        eg_batch_close(&l->batches[i]);
    free(l);
}

void eg_scan_ahead_close(eg_scan_ahead *a, eg_scan_stats *stats) {
    if (a == NULL)
        return;
    atomic_store(&a->is_closing, true);
    for (int i = 0; i < a->n_slots; i++)
        if (a->slots[i].is_sent)
            eg_pool_wait(a->pool, &a->slots[i].job);
    eg_pool_close(a->pool);
    for (int i = 0; i < a->n_slots; i++) {
        slot *s = &a->slots[i];
        if (s->piece != NULL)
            close_piece(a, s);
        eg_filter_close(s->filter);
        close_lot(s->lot);
    }
    close_lot(a->lot);
    if (stats != NULL)
        eg_scan_stats_add(stats, &a->stats);
    free(a);
}
