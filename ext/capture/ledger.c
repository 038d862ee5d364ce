/*
** Two accounts. The audit is a table of counters, one row for each file and
** reason. The loss account follows each exporter's flow_sequence.
**
** Exporters disagree about what flow_sequence counts, and which way one counts is
** known only after a while. So each stream runs two trackers side by side, one
** for each numbering that can tell loss, and counts how many transitions each
** of the numberings explains; the best one's rows are kept when the stream ends.
** A numbering that lies hopelessly behind is dropped early, with its rows.
*/
#include "capture/ledger.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* Bounds: spoofed or broken exports must not fill memory. */
#define MAX_STREAMS 65536     /* followed at a time, the least recently seen one settles */
#define MAX_STREAM_HOLES 1024 /* open at a time in a stream, the oldest is final */
#define MAX_HOLES (1u << 20)  /* open at a time in all streams */
#define HOPELESS_LEAD 256     /* transitions more explained by another numbering */

/* What a step of flow_sequence means; SiLK draws the lines at the same figures. */
#define MAX_LOSS_FLOWS 3600000u /* a step forward of this or more is no loss: restart */
#define MAX_LATE_FLOWS 60000u   /* a step back of this or more is no late datagram: restart */
#define BOOT_MOVED_MS 60000     /* boot time moved so far: restart */
#define BOOT_JITTER_MS 2000     /* as far as it moves without a boot, where uptimes are rounded */

/* ---- hash chains -------------------------------------------------------- */

/* Heads of chains; elements keep their own `next`. Grown by the owner's rehash. */
typedef struct chains {
    uint32_t *heads;    /* owned, element number or NONE */
    uint32_t n_buckets; /* a power of two, or 0 */
} chains;

static uint32_t hash(uint32_t a, uint32_t b) {
    uint64_t h = (((uint64_t)a << 32) | b) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static uint32_t *bucket(const chains *t, uint32_t a, uint32_t b) {
    return &t->heads[hash(a, b) & (t->n_buckets - 1)];
}

/* Replaces the buckets by n empty ones. */
static bool chains_resize(chains *t, uint32_t n) {
    uint32_t *heads = malloc((size_t)n * sizeof *heads);
    if (heads == NULL)
        return false;
    for (uint32_t i = 0; i < n; i++)
        heads[i] = NONE;
    free(t->heads);
    t->heads = heads;
    t->n_buckets = n;
    return true;
}

/* ---- types -------------------------------------------------------------- */

typedef struct audit_slot {
    eg_audit_row row;
    uint32_t next; /* in its chain */
} audit_slot;

typedef struct loss_slot {
    eg_loss_row row;
    uint64_t arrival; /* number of the datagram that showed it */
    uint32_t next;    /* next row of the tracker, or next free slot */
    bool is_kept;     /* its stream settled on this numbering */
} loss_slot;

/* Flows [first, first + n) that have not come yet, modulo 2^32. */
typedef struct hole {
    uint32_t first;
    uint32_t n;
    uint32_t loss; /* slot of the row it belongs to; NONE where that is unlisted */
} hole;

/* Follows one numbering, in numbers of first flows. */
typedef struct tracker {
    bool is_dropped;   /* its numbering is out of the question */
    uint32_t expected; /* first flow of the next datagram */
    hole *holes;       /* owned, oldest first */
    uint32_t n_holes;
    uint32_t holes_capacity;
    uint32_t head, tail;   /* its rows, in order; NONE if there are none */
    int64_t n_unlisted;    /* breaks without a row */
    int64_t unlisted_lost; /* flows missing by these */
} tracker;

/* What flow_sequence counts. The first two have a tracker. */
typedef enum numbering {
    FLOWS_BEFORE, /* flows exported before the datagram: the standard */
    FLOWS_UPTO,   /* flows including the datagram's own: Open vSwitch */
    DATAGRAMS,    /* datagrams: says nothing of flows */
    CONSTANT,     /* nothing */
    N_NUMBERINGS
} numbering;
#define N_TRACKED 2

typedef struct stream {
    uint32_t exporter_code;
    uint8_t engine_type, engine_id;
    uint32_t chain_next;               /* in its hash chain */
    uint32_t older, newer;             /* in the order of use */
    eg_nf5_header last;                /* of the last datagram that arrived */
    int64_t n_explained[N_NUMBERINGS]; /* transitions */
    tracker trackers[N_TRACKED];
} stream;

struct eg_ledger {
    audit_slot *audit; /* owned */
    uint32_t n_audit, audit_capacity;
    chains audit_chains;
    uint32_t recent[EG_N_REASONS]; /* slot of the last row of each reason */
    int64_t datagrams, rejected;

    stream *streams; /* owned */
    uint32_t n_streams, streams_capacity;
    chains stream_chains;
    uint32_t oldest, newest; /* streams by use */
    uint32_t n_holes;        /* open in all streams */

    loss_slot *loss; /* owned */
    uint32_t n_loss, loss_capacity;
    uint32_t n_loss_used; /* slots that are not free */
    uint32_t free_loss;   /* chain of free slots */
    uint64_t n_arrived;   /* datagrams followed */
    int64_t flows_lost;   /* of settled streams */
    int64_t n_unlisted;   /* breaks of settled streams without a row */
    bool is_finished;
};

const char *eg_loss_kind_name(eg_loss_kind k) {
    static const char *const names[] = {
        [EG_LOSS_LOSS] = "loss",
        [EG_LOSS_REORDER] = "reorder",
        [EG_LOSS_DUPLICATE] = "duplicate",
        [EG_LOSS_RESTART] = "restart",
    };
    return names[k];
}

eg_status eg_ledger_open(eg_ledger **out, eg_err *err) {
    eg_ledger *l = calloc(1, sizeof *l);
    *out = l;
    if (l == NULL)
        return eg_fail_nomem(err, "a ledger");
    for (int i = 0; i < EG_N_REASONS; i++)
        l->recent[i] = NONE;
    l->oldest = l->newest = l->free_loss = NONE;
    return EG_OK;
}

/* Makes room for one more element in an array of *capacity; at most 2^31. */
static bool grow(void **array, uint32_t *capacity, uint32_t n, size_t element_bytes) {
    if (n < *capacity)
        return true;
    if (*capacity > UINT32_MAX / 4)
        return false;
    uint32_t more = *capacity ? *capacity * 2 : 16;
    if ((size_t)more > SIZE_MAX / element_bytes)
        return false;
    void *p = realloc(*array, more * element_bytes);
    if (p == NULL)
        return false;
    *array = p;
    *capacity = more;
    return true;
}

static eg_status fail_finished(eg_err *err) {
    return eg_fail(err, EG_MISUSE, -1, "the ledger is closed: nothing can be added to it");
}

/* ---- audit -------------------------------------------------------------- */

static uint32_t find_audit(const eg_ledger *l, uint32_t file_code, eg_reason reason) {
    uint32_t i = l->recent[reason]; /* packets come in file order */
    if (i != NONE && l->audit[i].row.file_code == file_code)
        return i;
    if (l->audit_chains.n_buckets == 0)
        return NONE;
    i = *bucket(&l->audit_chains, file_code, reason);
    while (i != NONE &&
           (l->audit[i].row.file_code != file_code || l->audit[i].row.reason != reason))
        i = l->audit[i].next;
    return i;
}

static eg_status add_audit(eg_ledger *l, uint32_t file_code, eg_reason reason, uint32_t *slot,
                           eg_err *err) {
    if (!grow((void **)&l->audit, &l->audit_capacity, l->n_audit, sizeof *l->audit))
        return eg_fail_nomem(err, "the audit");
    if (l->n_audit >= l->audit_chains.n_buckets) {
        if (!chains_resize(&l->audit_chains, l->audit_capacity))
            return eg_fail_nomem(err, "the audit");
        for (uint32_t i = 0; i < l->n_audit; i++) {
            audit_slot *s = &l->audit[i];
            uint32_t *head = bucket(&l->audit_chains, s->row.file_code, s->row.reason);
            s->next = *head;
            *head = i;
        }
    }
    uint32_t *head = bucket(&l->audit_chains, file_code, reason);
    *slot = l->n_audit++;
    l->audit[*slot] =
        (audit_slot){.row = {.file_code = file_code, .reason = reason}, .next = *head};
    *head = *slot;
    return EG_OK;
}

eg_status eg_ledger_packet(eg_ledger *l, uint32_t file_code, eg_reason reason, int64_t frame,
                           uint32_t n_frames, uint32_t n_records, eg_err *err) {
    if (l->is_finished)
        return fail_finished(err);
    uint32_t i = find_audit(l, file_code, reason);
    if (i == NONE) {
        eg_status rc = add_audit(l, file_code, reason, &i, err);
        if (rc != EG_OK)
            return rc;
        l->audit[i].row.first_frame = frame;
    }
    l->recent[reason] = i;
    eg_audit_row *row = &l->audit[i].row;
    row->datagrams++;
    row->frames += n_frames;
    row->records += n_records;
    if (frame < row->first_frame)
        row->first_frame = frame;
    l->datagrams++;
    if (!eg_reason_about(reason)->decoded)
        l->rejected++;
    return EG_OK;
}

eg_status eg_ledger_note(eg_ledger *l, uint32_t file_code, eg_reason reason, const char *note,
                         eg_err *err) {
    if (l->is_finished)
        return fail_finished(err);
    uint32_t i = find_audit(l, file_code, reason);
    if (i == NONE)
        return eg_fail(err, EG_MISUSE, -1, "a note for '%s', of which no packet was counted",
                       eg_reason_about(reason)->name);
    if (l->audit[i].row.note == NULL) {
        l->audit[i].row.note = strdup(note);
        if (l->audit[i].row.note == NULL)
            return eg_fail_nomem(err, "a note of the audit");
    }
    return EG_OK;
}

/* ---- loss rows ---------------------------------------------------------- */

/* The datagram at hand. */
typedef struct arrival {
    const eg_nf5_header *h;
    const eg_nf5_origin *origin;
    int64_t header_ms;
    bool has_rebooted; /* since the stream's last datagram */
} arrival;

/* Adds a row to the tracker; *slot is NONE where the limit leaves it unlisted. */
static eg_status add_loss(eg_ledger *l, tracker *t, const arrival *a, eg_loss_kind kind,
                          uint32_t expected, uint32_t *slot, eg_err *err) {
    *slot = NONE;
    if (l->n_loss_used == EG_LEDGER_MAX_LOSS) {
        t->n_unlisted++;
        return EG_OK;
    }
    uint32_t i = l->free_loss;
    if (i != NONE) {
        l->free_loss = l->loss[i].next;
    } else {
        if (!grow((void **)&l->loss, &l->loss_capacity, l->n_loss, sizeof *l->loss))
            return eg_fail_nomem(err, "the rows of loss");
        i = l->n_loss++;
    }
    l->n_loss_used++;
    l->loss[i] = (loss_slot){.row = {.file_code = a->origin->file_code,
                                     .exporter_code = a->origin->exporter_code,
                                     .frame = a->origin->frame,
                                     .header_ms = a->header_ms,
                                     .engine_type = a->h->engine_type,
                                     .engine_id = a->h->engine_id,
                                     .expected = expected,
                                     .got = a->h->flow_sequence,
                                     .kind = kind},
                             .arrival = l->n_arrived,
                             .next = NONE};
    if (t->tail == NONE)
        t->head = i;
    else
        l->loss[t->tail].next = i;
    t->tail = i;
    *slot = i;
    return EG_OK;
}

static void add_lost(eg_ledger *l, tracker *t, uint32_t slot, int64_t n) {
    if (slot == NONE)
        t->unlisted_lost += n;
    else
        l->loss[slot].row.flows_lost += n;
}

static void close_holes(eg_ledger *l, tracker *t) {
    l->n_holes -= t->n_holes;
    t->n_holes = 0;
}

static void remove_hole(eg_ledger *l, tracker *t, uint32_t i) {
    memmove(&t->holes[i], &t->holes[i + 1], (t->n_holes - i - 1) * sizeof *t->holes);
    t->n_holes--;
    l->n_holes--;
}

/* Remembers a hole at position `at` of the tracker's. At the limits the oldest
** hole is final instead; where there is no older one, this one is. */
static eg_status insert_hole(eg_ledger *l, tracker *t, uint32_t at, hole h, eg_err *err) {
    if (t->n_holes == MAX_STREAM_HOLES || l->n_holes == MAX_HOLES) {
        if (at == 0)
            return EG_OK;
        remove_hole(l, t, 0);
        at--;
    }
    if (!grow((void **)&t->holes, &t->holes_capacity, t->n_holes, sizeof *t->holes))
        return eg_fail_nomem(err, "the gaps of a sequence");
    memmove(&t->holes[at + 1], &t->holes[at], (t->n_holes - at) * sizeof *t->holes);
    t->holes[at] = h;
    t->n_holes++;
    l->n_holes++;
    return EG_OK;
}

/* Ends the holes that lie too far behind to be filled any more. Holes are in the
** order of the sequence, the first is the furthest behind. */
static void expire_holes(eg_ledger *l, tracker *t) {
    while (t->n_holes > 0 && t->expected - (t->holes[0].first + t->holes[0].n) >= MAX_LATE_FLOWS)
        remove_hole(l, t, 0);
}

/* Takes flows [first, first + n) out of the holes; *n_filled counts those that
** were in one. Holes are compared by their distance to `first`: none is further
** than MAX_LOSS_FLOWS + MAX_LATE_FLOWS away. */
static eg_status fill_holes(eg_ledger *l, tracker *t, uint32_t first, uint32_t n,
                            uint32_t *n_filled, eg_err *err) {
    *n_filled = 0;
    for (uint32_t i = t->n_holes; i-- > 0;) {
        hole *h = &t->holes[i];
        int64_t begin = (int32_t)(h->first - first);
        int64_t end = begin + h->n;
        int64_t from = begin > 0 ? begin : 0;
        int64_t upto = end < (int64_t)n ? end : (int64_t)n;
        if (from >= upto)
            continue;
        *n_filled += (uint32_t)(upto - from);
        add_lost(l, t, h->loss, from - upto);
        hole rest = {.first = first + (uint32_t)upto, .n = (uint32_t)(end - upto), .loss = h->loss};
        h->n = (uint32_t)(from - begin);
        if (h->n == 0 && rest.n == 0) {
            remove_hole(l, t, i);
        } else if (h->n == 0) {
            *h = rest;
        } else if (rest.n > 0) {
            /* At the limit the oldest makes room, and this one and those still to be
            ** looked at move down: the next round meets this one's front again, in
            ** vain, and then the others. */
            eg_status rc = insert_hole(l, t, i + 1, rest, err);
            if (rc != EG_OK)
                return rc;
        }
    }
    return EG_OK;
}

/* ---- trackers ----------------------------------------------------------- */

/* The first flow of a datagram in a numbering. */
static uint32_t first_flow(numbering m, const eg_nf5_header *h) {
    return m == FLOWS_UPTO ? h->flow_sequence - h->count : h->flow_sequence;
}

/* Follows one datagram in one numbering. */
static eg_status track(eg_ledger *l, tracker *t, numbering m, const arrival *a, eg_err *err) {
    uint32_t first = first_flow(m, a->h);
    uint32_t end = first + a->h->count;
    uint32_t ahead = first - t->expected;
    uint32_t behind = t->expected - first;
    if (ahead == 0) {
        t->expected = end;
        expire_holes(l, t);
        return EG_OK;
    }
    /* As the header would have had it. */
    uint32_t expected = m == FLOWS_UPTO ? t->expected + a->h->count : t->expected;
    uint32_t slot;
    bool is_step = ahead < MAX_LOSS_FLOWS || behind < MAX_LATE_FLOWS;
    if (a->has_rebooted || !is_step) {
        close_holes(l, t);
        t->expected = end;
        return add_loss(l, t, a, EG_LOSS_RESTART, expected, &slot, err);
    }
    if (ahead < MAX_LOSS_FLOWS) {
        hole h = {.first = t->expected, .n = ahead};
        t->expected = end;
        expire_holes(l, t);
        eg_status rc = add_loss(l, t, a, EG_LOSS_LOSS, expected, &h.loss, err);
        if (rc != EG_OK)
            return rc;
        add_lost(l, t, h.loss, ahead);
        return insert_hole(l, t, t->n_holes, h, err);
    }
    if (a->h->count > behind) { /* reaches beyond what came so far */
        t->expected = end;
        expire_holes(l, t);
    }
    uint32_t n_filled;
    eg_status rc = fill_holes(l, t, first, a->h->count, &n_filled, err);
    if (rc != EG_OK)
        return rc;
    return add_loss(l, t, a, n_filled > 0 ? EG_LOSS_REORDER : EG_LOSS_DUPLICATE, expected, &slot,
                    err);
}

static void recycle_loss(eg_ledger *l, uint32_t slot) {
    l->loss[slot].next = l->free_loss;
    l->free_loss = slot;
    l->n_loss_used--;
}

/* Forgets a numbering: its rows are given back. */
static void drop_tracker(eg_ledger *l, tracker *t) {
    for (uint32_t i = t->head, next; i != NONE; i = next) {
        next = l->loss[i].next;
        recycle_loss(l, i);
    }
    close_holes(l, t);
    free(t->holes);
    *t = (tracker){.is_dropped = true, .head = NONE, .tail = NONE};
}

/* The numbering that explains most; of equals the first, which is the standard. */
static numbering best_numbering(const stream *s) {
    numbering best = FLOWS_BEFORE;
    for (int m = 1; m < N_NUMBERINGS; m++) {
        if (s->n_explained[m] > s->n_explained[best])
            best = (numbering)m;
    }
    return best;
}

/* Ends a stream: keeps the rows of its numbering, drops the others'. A loss of
** which all came in the end was none. */
static void settle(eg_ledger *l, stream *s) {
    numbering best = best_numbering(s);
    for (int m = 0; m < N_TRACKED; m++) {
        tracker *t = &s->trackers[m];
        if (m == (int)best) {
            for (uint32_t i = t->head, next; i != NONE; i = next) {
                const eg_loss_row *row = &l->loss[i].row;
                next = l->loss[i].next;
                l->loss[i].is_kept = row->kind != EG_LOSS_LOSS || row->flows_lost > 0;
                l->flows_lost += row->flows_lost;
                if (!l->loss[i].is_kept)
                    recycle_loss(l, i);
            }
            l->flows_lost += t->unlisted_lost;
            l->n_unlisted += t->n_unlisted;
            t->head = t->tail = NONE; /* the rows are the ledger's now */
        }
        drop_tracker(l, t);
    }
}

/* ---- streams ------------------------------------------------------------ */

static uint32_t engine_of(uint8_t engine_type, uint8_t engine_id) {
    return (uint32_t)engine_type << 8 | engine_id;
}

static void unlink_use(eg_ledger *l, uint32_t i) {
    stream *s = &l->streams[i];
    if (s->older != NONE)
        l->streams[s->older].newer = s->newer;
    else
        l->oldest = s->newer;
    if (s->newer != NONE)
        l->streams[s->newer].older = s->older;
    else
        l->newest = s->older;
}

static void link_newest(eg_ledger *l, uint32_t i) {
    l->streams[i].older = l->newest;
    l->streams[i].newer = NONE;
    if (l->newest != NONE)
        l->streams[l->newest].newer = i;
    else
        l->oldest = i;
    l->newest = i;
}

static uint32_t *stream_bucket(const eg_ledger *l, const stream *s) {
    return bucket(&l->stream_chains, s->exporter_code, engine_of(s->engine_type, s->engine_id));
}

/* Frees the place of the stream that was not seen for longest. */
static uint32_t evict_stream(eg_ledger *l) {
    uint32_t i = l->oldest;
    settle(l, &l->streams[i]);
    unlink_use(l, i);
    uint32_t *link = stream_bucket(l, &l->streams[i]);
    while (*link != i)
        link = &l->streams[*link].chain_next;
    *link = l->streams[i].chain_next;
    return i;
}

static bool is_same_stream(const stream *a, const stream *b) {
    return a->exporter_code == b->exporter_code && a->engine_type == b->engine_type &&
           a->engine_id == b->engine_id;
}

/* The open stream with the key fields of `key`, or NONE. */
static uint32_t lookup_stream(const eg_ledger *l, const stream *key) {
    if (l->n_streams == 0)
        return NONE;
    if (is_same_stream(&l->streams[l->newest], key)) /* exports come in runs */
        return l->newest;
    uint32_t i = *stream_bucket(l, key);
    while (i != NONE && !is_same_stream(&l->streams[i], key))
        i = l->streams[i].chain_next;
    return i;
}

/* The stream of a datagram, as the newest in use. A fresh one has *is_new. */
static eg_status find_stream(eg_ledger *l, const eg_nf5_header *h, uint32_t exporter_code,
                             stream **out, bool *is_new, eg_err *err) {
    stream key = {
        .exporter_code = exporter_code, .engine_type = h->engine_type, .engine_id = h->engine_id};
    uint32_t i = lookup_stream(l, &key);
    *is_new = i == NONE;
    if (i != NONE) {
        if (i != l->newest) {
            unlink_use(l, i);
            link_newest(l, i);
        }
        *out = &l->streams[i];
        return EG_OK;
    }

    if (l->n_streams == MAX_STREAMS) {
        i = evict_stream(l);
    } else {
        if (!grow((void **)&l->streams, &l->streams_capacity, l->n_streams, sizeof *l->streams))
            return eg_fail_nomem(err, "the table of exporters");
        if (l->n_streams >= l->stream_chains.n_buckets) {
            if (!chains_resize(&l->stream_chains, l->streams_capacity))
                return eg_fail_nomem(err, "the table of exporters");
            for (uint32_t k = 0; k < l->n_streams; k++) {
                uint32_t *head = stream_bucket(l, &l->streams[k]);
                l->streams[k].chain_next = *head;
                *head = k;
            }
        }
        i = l->n_streams++;
    }
    stream *s = &l->streams[i];
    *s = key;
    for (int m = 0; m < N_TRACKED; m++)
        s->trackers[m].head = s->trackers[m].tail = NONE;
    uint32_t *head = stream_bucket(l, s);
    s->chain_next = *head;
    *head = i;
    link_newest(l, i);
    *out = s;
    return EG_OK;
}

/* Whether the exporter booted between the stream's last datagram and this one.
** SysUptime wraps every 49.7 days, which moves the boot time by 2^32 ms: taken
** modulo that, it stays where it was. A small move is a boot only if SysUptime
** fell, to no more than the time that went by (some exporters' uptimes go to
** and fro by seconds). */
static bool has_rebooted(const eg_nf5_header *last, const eg_nf5_header *h) {
    uint8_t flag = 0;
    int64_t went_by_ms = eg_nf5_header_ms(h, &flag) - eg_nf5_header_ms(last, &flag);
    int64_t ran_ms = (int64_t)h->uptime_ms - (int64_t)last->uptime_ms;
    int32_t moved_ms = (int32_t)(uint32_t)(went_by_ms - ran_ms);
    if (moved_ms > BOOT_MOVED_MS || moved_ms < -BOOT_MOVED_MS)
        return true;
    return moved_ms > BOOT_JITTER_MS && ran_ms < -BOOT_JITTER_MS &&
           h->uptime_ms <= went_by_ms + BOOT_JITTER_MS;
}

/* Counts which numberings explain the step from the last datagram to this one.
** An exact copy of the last one says nothing. */
static void weigh(eg_ledger *l, stream *s, const eg_nf5_header *h) {
    const eg_nf5_header *last = &s->last;
    uint32_t step = h->flow_sequence - last->flow_sequence;
    if (step == 0 && h->count == last->count && h->uptime_ms == last->uptime_ms &&
        h->unix_secs == last->unix_secs && h->unix_nsecs == last->unix_nsecs)
        return;
    for (int m = 0; m < N_TRACKED; m++) {
        const tracker *t = &s->trackers[m];
        s->n_explained[m] += !t->is_dropped && first_flow((numbering)m, h) == t->expected;
    }
    s->n_explained[DATAGRAMS] += step == 1;
    s->n_explained[CONSTANT] += step == 0;
    int64_t most = s->n_explained[best_numbering(s)];
    for (int m = 0; m < N_TRACKED; m++) {
        if (!s->trackers[m].is_dropped && most - s->n_explained[m] > HOPELESS_LEAD)
            drop_tracker(l, &s->trackers[m]);
    }
}

eg_status eg_ledger_sequence(eg_ledger *l, const eg_nf5_header *h, const eg_nf5_origin *origin,
                             eg_err *err) {
    if (l->is_finished)
        return fail_finished(err);
    stream *s = NULL;
    bool is_new;
    eg_status rc = find_stream(l, h, origin->exporter_code, &s, &is_new, err);
    if (rc != EG_OK)
        return rc;
    uint8_t flag = 0;
    arrival a = {.h = h, .origin = origin, .header_ms = eg_nf5_header_ms(h, &flag)};
    l->n_arrived++;
    if (is_new) {
        for (int m = 0; m < N_TRACKED; m++)
            s->trackers[m].expected = first_flow((numbering)m, h) + h->count;
    } else {
        weigh(l, s, h);
        a.has_rebooted = has_rebooted(&s->last, h);
        for (int m = 0; m < N_TRACKED; m++) {
            if (s->trackers[m].is_dropped)
                continue;
            rc = track(l, &s->trackers[m], (numbering)m, &a, err);
            if (rc != EG_OK)
                return rc;
        }
    }
    s->last = *h;
    return EG_OK;
}

/* ---- the end ------------------------------------------------------------ */

static int by_file_and_reason(const void *pa, const void *pb) {
    const eg_audit_row *a = &((const audit_slot *)pa)->row, *b = &((const audit_slot *)pb)->row;
    if (a->file_code != b->file_code)
        return a->file_code < b->file_code ? -1 : 1;
    return (a->reason > b->reason) - (a->reason < b->reason);
}

static int by_arrival(const void *pa, const void *pb) {
    const loss_slot *a = pa, *b = pb;
    return (a->arrival > b->arrival) - (a->arrival < b->arrival);
}

eg_status eg_ledger_finish(eg_ledger *l, eg_err *err) {
    (void)err;
    if (l->is_finished)
        return EG_OK;
    l->is_finished = true;
    for (uint32_t i = l->oldest; i != NONE; i = l->streams[i].newer)
        settle(l, &l->streams[i]);
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < l->n_loss; i++) {
        if (l->loss[i].is_kept)
            l->loss[n_kept++] = l->loss[i];
    }
    l->n_loss = n_kept;
    if (l->n_loss > 0)
        qsort(l->loss, l->n_loss, sizeof *l->loss, by_arrival);
    if (l->n_audit > 0)
        qsort(l->audit, l->n_audit, sizeof *l->audit, by_file_and_reason);
    return EG_OK;
}

size_t eg_ledger_n_audit(const eg_ledger *l) {
    return l->n_audit;
}

const eg_audit_row *eg_ledger_audit(const eg_ledger *l, size_t i) {
    return &l->audit[i].row;
}

size_t eg_ledger_n_loss(const eg_ledger *l) {
    return l->is_finished ? l->n_loss : 0;
}

const eg_loss_row *eg_ledger_loss(const eg_ledger *l, size_t i) {
    return &l->loss[i].row;
}

int64_t eg_ledger_n_unlisted(const eg_ledger *l) {
    return l->n_unlisted;
}

void eg_ledger_totals(const eg_ledger *l, int64_t *datagrams, int64_t *rejected,
                      int64_t *flows_lost) {
    *datagrams = l->datagrams;
    *rejected = l->rejected;
    *flows_lost = l->is_finished ? l->flows_lost : 0;
}

void eg_ledger_close(eg_ledger *l) {
    if (l == NULL)
        return;
    for (uint32_t i = 0; i < l->n_audit; i++)
        free(l->audit[i].row.note);
    for (uint32_t i = 0; i < l->n_streams; i++) {
        for (int m = 0; m < N_TRACKED; m++)
            free(l->streams[i].trackers[m].holes);
    }
    free(l->audit);
    free(l->audit_chains.heads);
    free(l->streams);
    free(l->stream_chains.heads);
    free(l->loss);
    free(l);
}
