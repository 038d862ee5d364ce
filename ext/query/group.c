/*
** Grouping: packs the keys of each batch into words, column at a time, sums
** them in a group_table, and puts the groups in order at the end.
*/
#include "query/group.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "query/entry_sort.h"
#include "query/group_light.h"
#include "query/group_runs.h"
#include "query/group_table.h"
#include "query/group_top.h"
#include "query/scan_spread.h"

struct eg_groups {
    eg_key_layout layout;
    eg_group_order by;
    eg_group_table *table; /* owned */
    eg_group_top *tops;    /* [n_lanes] owned; where only the first groups are kept */
    int n_lanes;
    const uint64_t *
        *order;          /* [n] owned, entries of the table or of tops; NULL where runs has them */
    eg_spill *spill;     /* owned */
    eg_group_runs *runs; /* owned; NULL where nothing was spilled, or only the first are kept */
    uint64_t n, at;      /* in all; handed out */
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

static bool is_summed(const eg_group_spec *spec, eg_measure m) {
    return spec->measure == m || (spec->unused & 1u << m) == 0;
}

eg_vector_set eg_group_vectors(const eg_group_spec *spec) {
    return (is_summed(spec, EG_MEASURE_BYTES) ? EG_VECTOR_BIT(EG_VEC_BYTES) : 0) |
           (is_summed(spec, EG_MEASURE_PACKETS) ? EG_VECTOR_BIT(EG_VEC_PACKETS) : 0) |
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

static int compare_groups(const void *a, const void *b, void *order) {
    return eg_group_compare(order, *(const uint64_t *const *)a, *(const uint64_t *const *)b);
}
_Static_assert(EG_MEASURE_BYTES == 0 && EG_MEASURE_PACKETS == 1 && EG_MEASURE_FLOWS == 2,
               "a measure is the number of its sum in an entry");

/* Lists all groups there are and puts the first `limit` in order, 0: all. */
static eg_status put_in_order(eg_groups *g, uint64_t limit, eg_scan *scan, eg_err *err) {
    g->n = eg_group_table_count(g->table);
    for (int i = 0; i < g->n_lanes; i++)
        g->n += g->tops[i].n;
    if (g->n == 0)
        return EG_OK;
    g->order = calloc(g->n, sizeof *g->order);
    if (g->order == NULL)
        return eg_fail_nomem(err, "the order of groups");
    eg_group_walk at = {0};
    uint64_t n = 0;
    for (const uint64_t *e; (e = eg_group_table_next(g->table, &at)) != NULL;)
        g->order[n++] = e;
    for (int i = 0; i < g->n_lanes; i++)
        for (uint32_t k = 0; k < g->tops[i].n; k++)
            g->order[n++] = eg_group_top_entry(&g->tops[i], &g->by, k);
    eg_status rc = eg_entry_sort(&g->order, g->n, compare_groups, &g->by, scan, err);
    g->n = limit > 0 && limit < g->n ? limit : g->n;
    return rc;
}

/* ---- the run ------------------------------------------------------------ */

#define TRIAL_ROWS 65536 /* after which some of those that may be light have to be */
#define MAX_TOP 65536    /* groups wanted, beyond which all are kept until they are in order */

/* One batch's packed keys, of the rows that count. */
typedef struct packed {
    uint64_t words[EG_GROUP_MAX_WORDS][EG_BATCH_ROWS];
    uint16_t rows[EG_BATCH_ROWS]; /* where not all that are selected do */
    uint64_t n_seen, n_kept;      /* of rows that may be light */
    eg_group_top top;             /* groups of a look at what waits */
} packed;

typedef struct run {
    eg_groups *groups;
    const eg_group_spec *spec;
    eg_scan *scan;
    eg_source *source; /* the scan's */
    eg_team team;
    uint32_t n_top;  /* groups that are kept; 0: all */
    packed **packed; /* [team.n_lanes] each owned */
    eg_group_light light;
    uint64_t least; /* of the measure: the last of the first groups has that, as far as was seen */
} run;

/* What is not summed. */
static const int64_t nothing[EG_BATCH_ROWS];

static eg_status take_batch(void *arg, int lane, const eg_batch *all, eg_err *err) {
    const run *r = arg;
    const eg_key_layout *layout = &r->groups->layout;
    packed *k = r->packed[lane];
    eg_batch of_rows = *all;
    const eg_batch *b = &of_rows;
    eg_status rc = eg_key_layout_refuse_nulls(layout, b, err);
    if (rc != EG_OK)
        return rc;
    if (r->light.is_on) {
        of_rows.n_sel = eg_group_light_pick(&r->light, all, k->rows);
        of_rows.sel = k->rows;
        k->n_seen += all->n_sel;
        k->n_kept += b->n_sel;
    }
    if (r->spec->unordered_pair) {
        pack_pair(b, k->words[0]);
    } else {
        uint64_t *to[EG_GROUP_MAX_WORDS];
        for (unsigned w = 0; w < layout->n_words; w++) {
            memset(k->words[w], 0, b->n_sel * sizeof k->words[w][0]);
            to[w] = k->words[w];
        }
        eg_key_layout_pack(layout, b, to);
    }
    const uint64_t *words[EG_GROUP_MAX_WORDS];
    for (unsigned w = 0; w < layout->n_words; w++)
        words[w] = k->words[w];
    /* A counter that is NULL is 0 in its array, which is what it adds. */
    return eg_group_table_add(
        r->groups->table, lane, words, is_summed(r->spec, EG_MEASURE_BYTES) ? b->v.BYTES : nothing,
        is_summed(r->spec, EG_MEASURE_PACKETS) ? b->v.PACKETS : nothing, b->sel, b->n_sel, err);
}

static bool is_full(void *arg) {
    return eg_group_table_is_full(((const run *)arg)->groups->table);
}

static eg_status check_scan(void *scan, eg_err *err) {
    return eg_scan_check(scan, err);
}

static eg_status sum_partition(void *arg, int lane, size_t partition, eg_err *err) {
    return eg_group_table_sum(((const run *)arg)->groups->table, lane, partition, err);
}

/* What the groups of a partition need to be among the first, of which a lane has found some. */
static eg_group_bound bound_of(const run *r, const eg_group_top *top) {
    const eg_group_order *by = &r->groups->by;
    uint64_t least = r->n_top > 0 ? eg_group_top_least(top, by, r->n_top) : 0;
    return (eg_group_bound){by->measure, least > r->least ? least : r->least};
}

static eg_status peek_partition(void *arg, int lane, size_t partition, eg_err *err) {
    const run *r = arg;
    eg_groups *g = r->groups;
    eg_group_top *top = &r->packed[lane]->top;
    const uint64_t *entries;
    uint32_t n;
    eg_status rc =
        eg_group_table_peek(g->table, lane, partition, bound_of(r, top), &entries, &n, err);
    return rc == EG_OK ? eg_group_top_add(top, &g->by, r->n_top, entries, n, err) : rc;
}

/* Looks at the groups so far: rows that cannot come to what the last of the first ones has are
** passed over from here on. */
static eg_status look_for_light(run *r, eg_err *err) {
    eg_groups *g = r->groups;
    eg_group_top *first = &r->packed[0]->top;
    uint64_t n_seen = 0, n_kept = 0;
    eg_status rc = eg_group_light_ask(&r->light, r->source, err);
    for (int i = 0; i < r->team.n_lanes; i++) {
        n_seen += r->packed[i]->n_seen;
        n_kept += r->packed[i]->n_kept;
    }
    if (n_seen >= TRIAL_ROWS && n_kept > n_seen / 4 * 3)
        eg_group_light_give_up(&r->light);
    if (rc != EG_OK || r->light.is_useless)
        return rc;
    rc = eg_team_each(&r->team, EG_GROUP_PARTITIONS, peek_partition, r, check_scan, r->scan, err);
    for (int i = 1; rc == EG_OK && i < r->team.n_lanes; i++) {
        eg_group_top *top = &r->packed[i]->top;
        rc = eg_group_top_add(first, &g->by, r->n_top, top->entries, top->n, err);
        top->n = 0;
    }
    uint64_t least = eg_group_top_least(first, &g->by, r->n_top);
    first->n = 0;
    r->least = least > r->least ? least : r->least;
    eg_group_light_set(&r->light, r->least);
    return rc;
}

static eg_status make_room(void *arg, eg_err *err) {
    run *r = arg;
    eg_group_table *t = r->groups->table;
    bool is_worth = true;
    eg_status rc = eg_group_table_gather(t, err);
    if (rc == EG_OK && !r->light.is_useless)
        rc = look_for_light(r, err);
    if (rc != EG_OK || (!r->light.is_useless && eg_group_table_wait(t)))
        return rc;
    if (rc == EG_OK)
        rc = eg_group_table_try(t, 0, &is_worth, err);
    if (rc != EG_OK || !is_worth)
        return rc;
    rc = eg_team_each(&r->team, EG_GROUP_PARTITIONS, sum_partition, r, check_scan, r->scan, err);
    if (rc == EG_OK)
        eg_group_table_empty(t);
    return rc;
}

static eg_status finish_partition(void *arg, int lane, size_t partition, eg_err *err) {
    const run *r = arg;
    eg_groups *g = r->groups;
    const uint64_t *entries;
    uint32_t n;
    eg_status rc = eg_group_table_finish(g->table, lane, partition, bound_of(r, &g->tops[lane]),
                                         &entries, &n, err);
    if (rc == EG_OK && g->runs != NULL)
        rc = eg_group_runs_write(g->runs, partition, entries, n, err);
    else if (rc == EG_OK && r->n_top > 0)
        rc = eg_group_top_add(&g->tops[lane], &g->by, r->n_top, entries, n, err);
    return rc;
}

static eg_status trim_part(void *arg, int lane, size_t part, eg_err *err) {
    (void)lane, (void)err;
    eg_group_table_trim(((const run *)arg)->groups->table, part);
    return EG_OK;
}

/* Sums what still waits and puts the groups in order. */
static eg_status finish(run *r, eg_err *err) {
    eg_groups *g = r->groups;
    eg_status rc = eg_group_table_gather(g->table, err);
    if (rc == EG_OK && r->n_top == 0 && eg_group_table_spills(g->table))
        rc = eg_group_runs_open(&g->by, g->spill, EG_GROUP_PARTITIONS, &g->runs, err);
    if (rc == EG_OK)
        rc = eg_team_each(&r->team, EG_GROUP_PARTITIONS, finish_partition, r, check_scan, r->scan,
                          err);
    if (rc != EG_OK)
        return rc;
    const eg_scan_stats spilled = {.bytes_spilled = eg_spill_bytes(g->spill)};
    eg_scan_count(r->scan, 0, &spilled);
    /* The order of groups may need the memory, and giving it back takes a while. */
    rc = eg_team_each(&r->team, eg_group_table_spare(g->table), trim_part, r, check_scan, r->scan,
                      err);
    if (rc != EG_OK)
        return rc;
    if (g->runs == NULL)
        return put_in_order(g, r->spec->limit, r->scan, err);
    g->n = eg_group_runs_count(g->runs);
    g->n = r->spec->limit > 0 && r->spec->limit < g->n ? r->spec->limit : g->n;
    return EG_OK;
}

static eg_status open_run(run *r, const eg_intern *texts, eg_err *err) {
    eg_groups *g = r->groups = calloc(1, sizeof *r->groups);
    const eg_scan_spec *scan_spec;
    r->source = eg_scan_source(r->scan, &scan_spec);
    if (g == NULL)
        return eg_fail_nomem(err, "grouping");
    eg_status rc = eg_team_open(&r->team, scan_spec->n_threads, err);
    if (rc != EG_OK)
        return rc;
    size_t n_lanes = (size_t)r->team.n_lanes;
    r->n_top = r->spec->limit > 0 && r->spec->limit <= MAX_TOP ? (uint32_t)r->spec->limit : 0;
    r->packed = calloc(n_lanes, sizeof(packed *));
    g->tops = calloc(n_lanes, sizeof *g->tops);
    if (r->packed == NULL || g->tops == NULL)
        return eg_fail_nomem(err, "grouping");
    g->n_lanes = r->team.n_lanes;
    for (size_t i = 0; i < n_lanes; i++) {
        if ((r->packed[i] = malloc(sizeof(packed))) == NULL)
            return eg_fail_nomem(err, "grouping");
        r->packed[i]->n_seen = r->packed[i]->n_kept = 0;
        r->packed[i]->top = (eg_group_top){0};
    }
    eg_group_light_open(&r->light, r->spec);
    r->light.is_useless |= r->n_top == 0;
    eg_key_layout_make(&g->layout, r->spec->keys, r->spec->n_keys, 0);
    if ((rc = eg_spill_open(&g->spill, err)) != EG_OK)
        return rc;
    eg_group_plan plan = {.n_words = g->layout.n_words,
                          .n_lanes = r->team.n_lanes,
                          .drops = r->n_top > 0,
                          .limit_bytes = r->spec->memory_bytes,
                          .spill = g->spill};
    rc = eg_group_table_open(&plan, &g->table, err);
    g->by = (eg_group_order){.table = g->table,
                             .layout = &g->layout,
                             .texts = texts,
                             .measure = (unsigned)r->spec->measure};
    return rc;
}

eg_status eg_group_run(eg_scan *scan, const eg_intern *texts, const eg_group_spec *spec,
                       eg_groups **out, eg_err *err) {
    run r = {.spec = spec, .scan = scan};
    const eg_scan_taker taker = {
        .arg = &r, .take = take_batch, .is_full = is_full, .make_room = make_room};
    *out = NULL;
    eg_status rc = open_run(&r, texts, err);
    if (rc == EG_OK)
        rc = eg_scan_spread(scan, &r.team, &taker, err);
    if (rc == EG_OK)
        rc = finish(&r, err);
    for (int i = 0; r.packed != NULL && i < r.team.n_lanes && r.packed[i] != NULL; i++) {
        eg_group_top_close(&r.packed[i]->top);
        free(r.packed[i]);
    }
    free(r.packed);
    eg_group_light_close(&r.light);
    eg_team_close(&r.team);
    if (rc == EG_OK)
        *out = r.groups;
    else
        eg_groups_close(r.groups);
    return rc;
}

uint64_t eg_groups_count(const eg_groups *g) {
    return g->n;
}

eg_status eg_groups_next(eg_groups *g, eg_group_row *row, eg_err *err) {
    const uint64_t *e = NULL;
    if (g->at == g->n)
        return EG_DONE;
    if (g->runs != NULL) {
        eg_status rc = eg_group_runs_next(g->runs, &e, err);
        if (rc != EG_OK)
            return rc;
    } else {
        e = g->order[g->at];
    }
    g->at++;
    uint64_t words[EG_GROUP_MAX_WORDS];
    eg_group_table_key(g->table, e, words);
    eg_key_layout_unpack(&g->layout, words, row->keys);
    row->bytes = (int64_t)e[g->layout.n_words];
    row->packets = (int64_t)e[g->layout.n_words + 1];
    row->flows = (int64_t)e[g->layout.n_words + 2];
    return EG_OK;
}

void eg_groups_close(eg_groups *g) {
    if (g == NULL)
        return;
    for (int i = 0; g->tops != NULL && i < g->n_lanes; i++)
        eg_group_top_close(&g->tops[i]);
    free(g->tops);
    eg_group_runs_close(g->runs);
    eg_spill_close(g->spill);
    eg_group_table_close(g->table);
    free(g->order);
    free(g);
}
