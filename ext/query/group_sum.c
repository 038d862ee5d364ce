/*
** Summing the rows of one partition; keeping its groups, or spilling them.
**
** Where only the first groups are wanted, most rows need no sum. A partition's rows are first
** added up in a few thousand buckets, by bits of their hash, which stay in the nearest cache: no
** group has more than its bucket. Only rows of buckets that reach what a group must have are
** summed by key.
*/
#include <stdlib.h>

#include "query/group_inside.h"

/* The lane's scratch array with room for n groups: memory that all partitions use in turn stays
** in the cache. NULL without memory. */
static uint64_t *need_scratch(member *l, uint64_t n, size_t width) {
    uint64_t need = n * width;
    if (n >= UINT32_MAX)
        return NULL;
    if (need > l->scratch_words || l->scratch == NULL) {
        free(l->scratch);
        l->scratch = malloc((need + need / 4 + 1) * sizeof *l->scratch);
        l->scratch_words = l->scratch ? need + need / 4 : 0;
    }
    return l->scratch;
}

/* An empty index of at least twice n_groups slots; its mask, 0 without memory. */
static size_t clear_slots(member *l, uint64_t n_groups) {
    size_t n_slots = 64;
    while (n_slots < 2 * n_groups)
        n_slots *= 2;
    if (n_slots > l->slots_capacity) {
        free(l->slots);
        l->slots = malloc(n_slots * sizeof *l->slots);
        l->slots_capacity = l->slots ? n_slots : 0;
        if (l->slots == NULL)
            return 0;
    }
    memset(l->slots, 0, n_slots * sizeof *l->slots);
    return n_slots - 1;
}

static inline bool same_key(const uint64_t *a, const uint64_t *b, unsigned n_words) {
    for (unsigned w = 0; w < n_words; w++)
        if (a[w] != b[w])
            return false;
    return true;
}

/* Groups while they are summed. */
typedef struct sums {
    uint64_t *groups;
    uint32_t *slots;
    size_t mask;
    uint32_t n_groups;
    member *lane; /* whose scratch arrays these are */
} sums;

/* The entry of a key, a new one with sums of 0 where there is none. */
static inline __attribute__((always_inline)) uint64_t *find_entry(sums *s, const uint64_t *key,
                                                                  unsigned n_words, size_t width) {
    for (size_t i = (size_t)key[0] & s->mask;; i = (i + 1) & s->mask) {
        uint64_t *e;
        if (s->slots[i] == 0) {
            s->slots[i] = s->n_groups + 1;
            e = s->groups + s->n_groups++ * width;
            memcpy(e, key, n_words * sizeof *e);
            e[n_words] = e[n_words + 1] = e[n_words + 2] = 0;
            return e;
        }
        e = s->groups + (s->slots[i] - 1) * width;
        if (same_key(e, key, n_words))
            return e;
    }
}

/* Room in the index for n more groups. */
static inline bool need_slots(sums *s, uint32_t n, size_t width) {
    if (2 * ((size_t)s->n_groups + n) <= s->mask + 1)
        return true;
    s->mask = clear_slots(s->lane, 2 * ((uint64_t)s->n_groups + n));
    s->slots = s->lane->slots;
    for (uint32_t g = 0; s->mask != 0 && g < s->n_groups; g++) {
        size_t i = (size_t)s->groups[g * width] & s->mask;
        while (s->slots[i] != 0)
            i = (i + 1) & s->mask;
        s->slots[i] = g + 1;
    }
    return s->mask != 0;
}

#define AHEAD 16u /* rows that are looked up together, so that their cache misses overlap */

/* Rows of a partition in one list of chunks: those a lane has waiting, or the groups that the
** partition kept. */
typedef struct row_list {
    chunk *newest;
    uint32_t n_newest, n_full; /* rows in the first chunk, in each other */
    const wide_counters *aside;
} row_list;

/* Lists of a partition: the kept groups', then the lanes'. */
static inline int count_lists(const eg_group_table *t) {
    return 1 + t->plan.n_lanes;
}

static row_list list_of(const eg_group_table *t, size_t at, int i) {
    const partition *p = &t->partitions[at];
    if (i == 0)
        return (row_list){.newest = p->kept,
                          .n_newest = (p->n_kept - 1) % t->chunk_kept + 1,
                          .n_full = t->chunk_kept,
                          .aside = p->wide};
    const waiting *w = &t->lanes[i - 1]->waiting[at];
    return (row_list){.newest = w->newest,
                      .n_newest = t->chunk_rows - w->n_free,
                      .n_full = t->chunk_rows,
                      .aside = t->lanes[i - 1]->wide};
}

/* The next chunk is somewhere else: its first lines are fetched while this one is read. */
static inline void fetch_chunk(const chunk *c) {
    for (unsigned line = 0; c != NULL && line < 4; line++)
        __builtin_prefetch((const uint8_t *)c + 64 * line);
}

/* Adds n rows, at most AHEAD. */
static inline __attribute__((always_inline)) void sum_some(const row_list *from, size_t at,
                                                           const uint8_t *row, uint32_t n,
                                                           bool is_kept, sums *s,
                                                           unsigned n_words) {
    const size_t width = entry_words(n_words), key_bytes = row_bytes(n_words) - COUNTER_BYTES;
    const size_t step = row_bytes(n_words) + (is_kept ? KEPT_BYTES : 0);
    for (uint32_t r = 0; r < n; r++)
        __builtin_prefetch(&s->slots[(size_t)(load64(row + r * step) & s->mask)]);
    for (uint32_t r = 0; r < n; r++) {
        uint32_t slot = s->slots[(size_t)(load64(row + r * step) & s->mask)];
        __builtin_prefetch(s->groups + (slot > 0 ? slot - 1 : s->n_groups) * width);
    }
    for (uint32_t r = 0; r < n; r++, row += step) {
        uint64_t key[EG_GROUP_MAX_WORDS];
        key[0] = (load64(row) & FIRST_MASK) | (uint64_t)at << FIRST_BITS;
        for (unsigned w = 1; w < n_words; w++)
            key[w] = load64(row + FIRST_BYTES + 8 * (w - 1));
        uint64_t counters = load64(row + key_bytes), bytes = (uint32_t)counters;
        uint64_t packets = is_kept ? counters >> 32 & WIDE : row_packets(counters);
        uint64_t flows = is_kept ? counters >> 48 : row_flows(counters) + 1;
        uint64_t *e = find_entry(s, key, n_words, width);
        if (packets == (is_kept ? WIDE : ROW_WIDE)) {
            const wide_counters *wide = &from->aside[bytes];
            bytes = (uint64_t)wide->bytes;
            packets = (uint64_t)wide->packets;
            flows = (uint64_t)wide->flows;
        }
        e[n_words] += bytes;
        e[n_words + 1] += packets;
        e[n_words + 2] += flows;
    }
}

/* Adds all rows of a list. */
static inline __attribute__((always_inline)) void
sum_list(const row_list *from, size_t at, bool is_kept, sums *s, unsigned n_words) {
    const size_t step = row_bytes(n_words) + (is_kept ? KEPT_BYTES : 0);
    uint32_t n_in_chunk = from->n_newest;
    for (const chunk *c = from->newest; c != NULL; c = c->older, n_in_chunk = from->n_full) {
        fetch_chunk(c->older);
        for (uint32_t r = 0; r < n_in_chunk; r += AHEAD) {
            uint32_t n = n_in_chunk - r < AHEAD ? n_in_chunk - r : AHEAD;
            sum_some(from, at, c->rows + r * step, n, is_kept, s, n_words);
        }
    }
}

/* ---- only what may be among the first ------------------------------------ */

#define ROWS_OF_BUCKET 16u /* on average, where there are not too many rows */
#define LEAST_BUCKETS 16u  /* with fewer rows than these have all are summed at once */

/* The weight of a partition's rows, in units so large that what a group must have is a number of 31
** bits, each row's rounded up. */
typedef struct weights {
    uint32_t *totals; /* [n_buckets] a power of two; UINT32_MAX: or more */
    size_t n_buckets;
    unsigned shift; /* buckets go by the highest bits that rows have of their hash, for slots go by
                       the lowest */
    unsigned measure;
    unsigned unit; /* 2^unit of the measure */
    uint32_t least;
} weights;

static inline uint32_t *total_of(const weights *w, const uint8_t *row) {
    return &w->totals[(size_t)(load64(row) >> w->shift) & (w->n_buckets - 1)];
}

/* Adds n of the measure to a total. */
static inline void add_weight(uint32_t *total, uint64_t n, unsigned unit) {
    uint64_t sum = *total + (n >> unit) + (unit > 0);
    *total = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

static void add_aside(uint32_t *total, const wide_counters *wide, const weights *w) {
    add_weight(total,
               (uint64_t)(w->measure == 0   ? wide->bytes
                          : w->measure == 1 ? wide->packets
                                            : wide->flows),
               w->unit);
}

/* Adds the measure of all rows of a list to their buckets. */
static inline __attribute__((always_inline)) void weigh_list(const row_list *from, bool is_kept,
                                                             const weights *w, unsigned n_words) {
    const size_t key_bytes = row_bytes(n_words) - COUNTER_BYTES;
    const size_t step = row_bytes(n_words) + (is_kept ? KEPT_BYTES : 0);
    const uint64_t wide = is_kept ? WIDE : ROW_WIDE, one = w->measure == 2 && !is_kept;
    const unsigned flows_shift = is_kept ? 48 : ROW_FLOWS_SHIFT;
    const uint64_t flows_mask = is_kept ? UINT16_MAX : ROW_FLOWS;
    const unsigned shift = w->measure == 0 ? 0 : w->measure == 1 ? 32 : flows_shift;
    const uint64_t mask = w->measure == 0 ? UINT32_MAX : w->measure == 1 ? wide : flows_mask;
    uint32_t n_in_chunk = from->n_newest;
    for (const chunk *c = from->newest; c != NULL; c = c->older, n_in_chunk = from->n_full) {
        const uint8_t *row = c->rows;
        fetch_chunk(c->older);
        for (uint32_t r = 0; r < n_in_chunk; r++, row += step) {
            uint64_t counters = load64(row + key_bytes);
            uint32_t *total = total_of(w, row);
            if ((counters >> 32 & wide) == wide)
                add_aside(total, &from->aside[(uint32_t)counters], w);
            else
                add_weight(total, (counters >> shift & mask) + one, w->unit);
        }
    }
}

/* Adds those rows of a list whose bucket has enough. False without memory. */
static inline __attribute__((always_inline)) bool sum_heavy(const row_list *from, size_t at,
                                                            bool is_kept, const weights *w, sums *s,
                                                            unsigned n_words) {
    const size_t step = row_bytes(n_words) + (is_kept ? KEPT_BYTES : 0);
    uint8_t heavy[AHEAD * (EG_GROUP_MAX_WORDS * sizeof(uint64_t) + COUNTER_BYTES + KEPT_BYTES) +
                  sizeof(uint64_t)];
    uint32_t n_heavy = 0, n_in_chunk = from->n_newest;
    for (const chunk *c = from->newest; c != NULL; c = c->older, n_in_chunk = from->n_full) {
        const uint8_t *row = c->rows;
        fetch_chunk(c->older);
        for (uint32_t r = 0; r < n_in_chunk; r++, row += step) {
            if (*total_of(w, row) < w->least)
                continue;
            memcpy(heavy + n_heavy++ * step, row, step);
            if (n_heavy < AHEAD)
                continue;
            if (!need_slots(s, n_heavy, entry_words(n_words)))
                return false;
            sum_some(from, at, heavy, n_heavy, is_kept, s, n_words);
            n_heavy = 0;
        }
    }
    if (!need_slots(s, n_heavy, entry_words(n_words)))
        return false;
    sum_some(from, at, heavy, n_heavy, is_kept, s, n_words);
    return true;
}

/* Weighs a partition's n_rows rows. False where so many buckets have enough that all rows may as
** well be summed. */
static inline __attribute__((always_inline)) bool weigh(eg_group_table *t, member *l, size_t at,
                                                        uint64_t n_rows,
                                                        const eg_group_bound *bound, weights *w,
                                                        unsigned n_words) {
    unsigned bits = 0;
    while (2u << bits <= MOST_BUCKETS && (uint64_t)ROWS_OF_BUCKET * 2 << bits <= n_rows)
        bits++;
    unsigned least_bits = bound->least > 0 ? 64 - (unsigned)__builtin_clzll(bound->least) : 0;
    unsigned unit = least_bits > 31 ? least_bits - 31 : 0;
    *w = (weights){.totals = l->totals,
                   .n_buckets = (size_t)1 << bits,
                   .shift = FIRST_BITS - bits,
                   .measure = bound->measure,
                   .unit = unit,
                   .least = (uint32_t)(bound->least >> unit)};
    if (w->least == 0 || w->n_buckets < LEAST_BUCKETS)
        return false;
    memset(w->totals, 0, w->n_buckets * sizeof *w->totals);
    for (int i = 0; i < count_lists(t); i++) {
        row_list from = list_of(t, at, i);
        if (i == 0)
            weigh_list(&from, true, w, n_words);
        else
            weigh_list(&from, false, w, n_words);
    }
    size_t n_heavy = 0;
    for (size_t b = 0; b < w->n_buckets; b++)
        n_heavy += w->totals[b] >= w->least;
    return n_heavy <= w->n_buckets / 2;
}

#define READ_ENTRIES 2048 /* of an extent at once */

/* Adds the partition's groups that were spilled. */
static eg_status sum_extents(const eg_group_table *t, const partition *p, sums *s, eg_err *err) {
    const size_t width = entry_words(t->n_words);
    uint64_t *piece = malloc(READ_ENTRIES * width * sizeof *piece);
    if (piece == NULL)
        return eg_fail_nomem(err, "groups");
    eg_status rc = EG_OK;
    for (uint32_t i = 0; i < p->n_extents; i++)
        for (uint32_t at = 0; rc == EG_OK && at < p->extents[i].n_groups; at += READ_ENTRIES) {
            uint32_t n = p->extents[i].n_groups - at;
            n = n < READ_ENTRIES ? n : READ_ENTRIES;
            rc = eg_spill_read(t->plan.spill, piece, n * width * sizeof *piece,
                               p->extents[i].offset + (int64_t)(at * width * sizeof *piece), err);
            for (uint32_t g = 0; rc == EG_OK && g < n; g++) {
                const uint64_t *from = piece + g * width;
                uint64_t *e = find_entry(s, from, t->n_words, width);
                for (size_t w = t->n_words; w < width; w++)
                    e[w] += from[w];
            }
        }
    free(piece);
    return rc;
}

/* Adds a list of the partition: where it was weighed, its heavy rows only. */
static inline __attribute__((always_inline)) bool add_list(const row_list *from, size_t at,
                                                           bool is_kept, const weights *w, sums *s,
                                                           unsigned n_words) {
    if (w != NULL)
        return sum_heavy(from, at, is_kept, w, s, n_words);
    sum_list(from, at, is_kept, s, n_words);
    return true;
}

/* Gives the chunks of a list of the partition back, which is empty then. */
static void empty_list(eg_group_table *t, member *l, size_t at, int i) {
    eg_group_give_chunks(t, l, list_of(t, at, i).newest);
    if (i == 0)
        t->partitions[at].kept = NULL;
    else
        t->lanes[i - 1]->waiting[at] = (waiting){0};
}

/* Sums the partition's waiting rows and its groups in the lane's scratch array. With a bound
** without groups that are below it; for the last time with what was spilled; or only to look at
** them. n_words is a constant where this is inlined for the usual widths. */
static inline __attribute__((always_inline)) eg_status sum(eg_group_table *t, member *l, size_t at,
                                                           const eg_group_bound *bound, bool looks,
                                                           unsigned n_words, sums *s, eg_err *err) {
    partition *p = &t->partitions[at];
    const uint32_t n_extents = bound != NULL && !looks ? p->n_extents : 0;
    uint64_t n_more = rows_waiting(t, at) + p->n_kept;
    for (uint32_t i = 0; i < n_extents; i++)
        n_more += p->extents[i].n_groups;
    weights weights_of, *w = &weights_of;
    if (bound == NULL || n_extents > 0 || !weigh(t, l, at, n_more, bound, w, n_words))
        w = NULL;
    *s = (sums){.groups = need_scratch(l, n_more, entry_words(n_words)), .lane = l};
    if (s->groups == NULL || (s->mask = clear_slots(l, w != NULL ? 0 : n_more)) == 0)
        return eg_fail_nomem(err, "groups");
    s->slots = l->slots;
    for (int i = 0; i < count_lists(t); i++) {
        row_list from = list_of(t, at, i);
        bool has_room = i == 0 ? add_list(&from, at, true, w, s, n_words)
                               : add_list(&from, at, false, w, s, n_words);
        if (!has_room)
            return eg_fail_nomem(err, "groups");
        if (!looks)
            empty_list(t, l, at, i);
    }
    return n_extents > 0 ? sum_extents(t, p, s, err) : EG_OK;
}

/* Sums a partition in the lane's scratch array. */
static eg_status sum_partition(eg_group_table *t, int lane, size_t at, const eg_group_bound *bound,
                               bool looks, sums *s, eg_err *err) {
    member *l = t->lanes[lane];
    return t->n_words == 1   ? sum(t, l, at, bound, looks, 1, s, err)
           : t->n_words == 2 ? sum(t, l, at, bound, looks, 2, s, err)
                             : sum(t, l, at, bound, looks, t->n_words, s, err);
}

/* The partition, summed, keeps nothing in memory. */
static void keep_nothing(partition *p) {
    free(p->wide);
    p->wide = NULL;
    p->n_kept = p->n_wide = 0;
}

static bool is_wide(const uint64_t *sums_of) {
    return (sums_of[0] >> 32) != 0 || sums_of[1] >= WIDE || sums_of[2] > UINT16_MAX;
}

/* Keeps groups until the partition is summed again. */
static eg_status keep_groups(eg_group_table *t, member *l, partition *p, const sums *s,
                             eg_err *err) {
    const unsigned n_words = t->n_words;
    const size_t width = entry_words(n_words), step = kept_row_bytes(n_words);
    const size_t key_bytes = row_bytes(n_words) - COUNTER_BYTES;
    uint32_t n_wide = 0;
    for (uint32_t g = 0; g < s->n_groups; g++)
        n_wide += is_wide(s->groups + g * width + n_words);
    wide_counters *wide = realloc(p->wide, (n_wide + 1) * sizeof *wide);
    if (wide == NULL)
        return eg_fail_nomem(err, "groups");
    p->wide = wide;
    p->n_kept = s->n_groups;
    p->n_wide = 0;
    const uint64_t *e = s->groups;
    uint8_t *kept = NULL;
    for (uint32_t g = 0; g < s->n_groups; g++, e += width, kept += step) {
        if (g % t->chunk_kept == 0) {
            chunk *c = eg_group_take_chunk(t, l);
            if (c == NULL)
                return eg_fail_nomem(err, "groups");
            c->older = p->kept;
            p->kept = c;
            kept = c->rows;
        }
        const uint64_t *n = e + n_words;
        uint64_t counters = n[0] | n[1] << 32 | n[2] << 48;
        if (is_wide(n)) {
            counters = (uint64_t)WIDE << 32 | p->n_wide;
            wide[p->n_wide++] = (wide_counters){(int64_t)n[0], (int64_t)n[1], (int64_t)n[2]};
        }
        store64(kept, e[0]); /* its high byte is overwritten */
        for (unsigned w = 1; w < n_words; w++)
            store64(kept + FIRST_BYTES + 8 * (w - 1), e[w]);
        store64(kept + key_bytes, counters);
    }
    return EG_OK;
}

/* Writes groups of a partition to the file instead of keeping them. */
static eg_status spill_groups(eg_group_table *t, partition *p, const sums *s, eg_err *err) {
    if (p->n_extents == p->extents_capacity) {
        uint32_t capacity = p->extents_capacity ? 2 * p->extents_capacity : 4;
        extent *larger = realloc(p->extents, capacity * sizeof *larger);
        if (larger == NULL)
            return eg_fail_nomem(err, "groups");
        p->extents = larger;
        p->extents_capacity = capacity;
    }
    extent *x = &p->extents[p->n_extents];
    x->n_groups = s->n_groups;
    eg_status rc =
        eg_spill_write(t->plan.spill, s->groups,
                       s->n_groups * entry_words(t->n_words) * sizeof *s->groups, &x->offset, err);
    if (rc != EG_OK)
        return rc;
    p->n_extents++;
    keep_nothing(p);
    atomic_store(&t->has_spilled, true);
    return EG_OK;
}

eg_status eg_group_table_sum(eg_group_table *t, int lane, size_t at, eg_err *err) {
    partition *p = &t->partitions[at];
    sums s;
    if (rows_waiting(t, at) == 0)
        return EG_OK;
    uint64_t before = kept_bytes(t, p);
    eg_status rc = sum_partition(t, lane, at, NULL, false, &s, err);
    if (rc != EG_OK)
        return rc;
    uint64_t more = s.n_groups * kept_row_bytes(t->n_words) - before;
    if (atomic_load(&t->kept_bytes) + more > t->groups_limit) {
        atomic_fetch_sub(&t->kept_bytes, before);
        return spill_groups(t, p, &s, err);
    }
    rc = keep_groups(t, t->lanes[lane], p, &s, err);
    atomic_fetch_add(&t->kept_bytes, kept_bytes(t, p) - before);
    return rc;
}

#define ORDER_BYTES 16 /* a group's, while all are put in order */

bool eg_group_table_spills(eg_group_table *t) {
    uint64_t n = 0;
    for (size_t i = 0; i < N_PARTITIONS; i++)
        n += rows_waiting(t, i) + t->partitions[i].n_kept;
    if (t->plan.limit_bytes > 0 &&
        n * (entry_words(t->n_words) * sizeof(uint64_t) + ORDER_BYTES) > t->plan.limit_bytes)
        t->has_spilled = true;
    return t->has_spilled;
}

eg_status eg_group_table_peek(eg_group_table *t, int lane, size_t at, eg_group_bound bound,
                              const uint64_t **groups, uint32_t *n_groups, eg_err *err) {
    sums s;
    eg_status rc = sum_partition(t, lane, at, &bound, true, &s, err);
    *groups = s.groups;
    *n_groups = rc == EG_OK ? s.n_groups : 0;
    return rc;
}

eg_status eg_group_table_finish(eg_group_table *t, int lane, size_t at, eg_group_bound bound,
                                const uint64_t **groups, uint32_t *n_groups, eg_err *err) {
    partition *p = &t->partitions[at];
    sums s;
    eg_status rc = sum_partition(t, lane, at, &bound, false, &s, err);
    if (rc != EG_OK)
        return rc;
    keep_nothing(p);
    *groups = s.groups;
    *n_groups = s.n_groups;
    if (t->plan.drops || t->has_spilled)
        return EG_OK;
    size_t n_bytes = s.n_groups * entry_words(t->n_words) * sizeof *p->groups;
    if ((p->groups = malloc(n_bytes + 1)) == NULL)
        return eg_fail_nomem(err, "groups");
    memcpy(p->groups, s.groups, n_bytes);
    p->n_groups = s.n_groups;
    *groups = p->groups;
    return EG_OK;
}
