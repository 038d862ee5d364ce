/*
** One radix sort of words [time run | address key | row], lowest bits first. Rows of
** several days are then dealt out by day, which keeps their order.
*/
#include "dataset/row_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/radix.h"
#include "flow/address_order.h"

_Static_assert(EG_ROWS_MAX == UINT32_C(1) << EG_ROW_BITS, "a row's number fills the lowest bits");
#define KEY_BITS 32
#define RUN_SHIFT (EG_ROW_BITS + KEY_BITS)

#define MAX_TIME_RUNS 64
#define SAMPLES 4096

const eg_layout eg_layout_default = {
    .dotted = true, .by_address = true, .n_time_runs = 4, .rows_of_page = 4096};

/* Floor, also before 1970. */
static int64_t day_of(int64_t ms) {
    return ms / EG_DAY_MS - (ms % EG_DAY_MS < 0);
}

int64_t eg_row_day(const eg_rows *r, uint32_t row) {
    int64_t start_ms = r->v.START_MS[row];
    return day_of(start_ms < 0 ? r->v.HEADER_MS[row] : start_ms);
}

/* ---- Time runs */

static int compare_times(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The first times of runs 1 to n - 1; fewer where many rows have the same. */
static uint32_t find_borders(const eg_rows *r, uint32_t n_runs, int64_t *borders) {
    static const uint32_t step_seed = 7;
    int64_t samples[SAMPLES];
    uint32_t n = r->n_rows < SAMPLES ? r->n_rows : SAMPLES, n_borders = 0;
    if (n_runs > MAX_TIME_RUNS)
        n_runs = MAX_TIME_RUNS;
    for (uint32_t i = 0; i < n; i++) {
        /* Spread evenly, and not in step with the records of a datagram. */
        uint64_t at = (uint64_t)i * r->n_rows / n + (uint64_t)i * step_seed % (r->n_rows / n);
        samples[i] = r->v.START_MS[at];
    }
    qsort(samples, n, sizeof samples[0], compare_times);
    for (uint32_t k = 1; k < n_runs; k++) {
        int64_t border = samples[(uint64_t)k * n / n_runs];
        if (border > samples[0] && (n_borders == 0 || border > borders[n_borders - 1]))
            borders[n_borders++] = border;
    }
    return n_borders;
}

/* ---- Sorting */

static eg_status need_room(eg_row_order *o, eg_err *err) {
    if (o->rows == NULL)
        o->rows = malloc(EG_ROWS_MAX * sizeof *o->rows);
    if (o->keys == NULL)
        o->keys = malloc(EG_ROWS_MAX * sizeof *o->keys);
    if (o->spare == NULL)
        o->spare = malloc(EG_ROWS_MAX * sizeof *o->spare);
    return o->rows != NULL && o->keys != NULL && o->spare != NULL
               ? EG_OK
               : eg_fail_nomem(err, "the order of flows");
}

#define KEYS_AT_ONCE 1024

static void fill_keys(eg_row_order *o, const eg_rows *r, const eg_layout *layout) {
    int64_t borders[MAX_TIME_RUNS];
    uint32_t n_borders = find_borders(r, layout->n_time_runs, borders);
    for (uint32_t first = 0, n; first < r->n_rows; first += n) {
        uint32_t keys[KEYS_AT_ONCE] = {0};
        n = r->n_rows - first < KEYS_AT_ONCE ? r->n_rows - first : KEYS_AT_ONCE;
        if (layout->by_address)
            memcpy(keys, r->v.SRCADDR + first, n * sizeof *keys);
        if (layout->by_address && layout->dotted)
            eg_ip4_text_keys(keys, n);
        for (uint32_t i = 0; i < n; i++) {
            uint64_t run = 0;
            for (uint32_t k = 0; k < n_borders; k++)
                run += r->v.START_MS[first + i] >= borders[k];
            o->keys[first + i] = run << RUN_SHIFT | (uint64_t)keys[i] << EG_ROW_BITS | (first + i);
        }
    }
}

/* ---- Days */

static int compare_days(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t find_day(const int32_t *days, uint32_t n, int32_t day) {
    uint32_t lo = 0, hi = n;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (days[mid] <= day)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static eg_status need_groups(eg_row_order *o, uint32_t n, eg_err *err) {
    if (n <= o->group_capacity)
        return EG_OK;
    eg_row_group *groups = realloc(o->groups, n * sizeof *groups);
    if (groups == NULL)
        return eg_fail_nomem(err, "the order of flows");
    o->groups = groups;
    o->group_capacity = n;
    return EG_OK;
}

/* Deals the sorted rows out by day: keys to spare. */
static eg_status deal_days(eg_row_order *o, const eg_rows *r, eg_err *err) {
    if (o->days == NULL && (o->days = malloc(2 * EG_ROWS_MAX * sizeof *o->days)) == NULL)
        return eg_fail_nomem(err, "the order of flows");
    int32_t *of_row = o->days, *distinct = o->days + EG_ROWS_MAX;
    uint32_t n_distinct = 0;
    for (uint32_t i = 0; i < r->n_rows; i++) {
        of_row[i] = (int32_t)eg_row_day(r, i);
        if (i == 0 || of_row[i] != of_row[i - 1])
            distinct[n_distinct++] = of_row[i];
    }
    qsort(distinct, n_distinct, sizeof *distinct, compare_days);
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_distinct; i++)
        if (n == 0 || distinct[i] != distinct[n - 1])
            distinct[n++] = distinct[i];
    eg_status rc = need_groups(o, n, err);
    if (rc != EG_OK)
        return rc;
    for (uint32_t g = 0; g < n; g++)
        o->groups[g] = (eg_row_group){.day = distinct[g]};
    for (uint32_t i = 0; i < r->n_rows; i++) {
        of_row[i] = (int32_t)find_day(distinct, n, of_row[i]); /* its group from here on */
        o->groups[of_row[i]].n_rows++;
    }
    uint32_t sum = 0;
    for (uint32_t g = 0; g < n; g++) {
        o->groups[g].first = sum;
        sum += o->groups[g].n_rows;
        o->groups[g].n_rows = 0;
    }
    for (uint32_t i = 0; i < r->n_rows; i++) {
        eg_row_group *g = &o->groups[of_row[o->keys[i] & (EG_ROWS_MAX - 1)]];
        o->spare[g->first + g->n_rows++] = o->keys[i];
    }
    uint64_t *keys = o->keys;
    o->keys = o->spare;
    o->spare = keys;
    o->n_groups = n;
    return EG_OK;
}

/* ---- Groups */

void eg_time_bounds_widen(eg_time_bounds *t, const eg_time_bounds *b) {
    t->min_start_ms = b->min_start_ms < t->min_start_ms ? b->min_start_ms : t->min_start_ms;
    t->max_start_ms = b->max_start_ms > t->max_start_ms ? b->max_start_ms : t->max_start_ms;
    t->min_end_ms = b->min_end_ms < t->min_end_ms ? b->min_end_ms : t->min_end_ms;
    t->max_end_ms = b->max_end_ms > t->max_end_ms ? b->max_end_ms : t->max_end_ms;
}

static inline void widen_by_row(eg_time_bounds *t, const eg_rows *r, uint32_t row) {
    int64_t start_ms = r->v.START_MS[row], end_ms = r->v.END_MS[row];
    eg_time_bounds_widen(t, &(eg_time_bounds){start_ms, start_ms, end_ms, end_ms});
}

static eg_time_bounds bounds_of_all(const eg_rows *r) {
    eg_time_bounds t = EG_NO_BOUNDS;
    for (uint32_t i = 0; i < r->n_rows; i++)
        widen_by_row(&t, r, i);
    return t;
}

static void find_bounds(eg_row_group *g, const eg_row_order *o, const eg_rows *r) {
    g->times = EG_NO_BOUNDS;
    for (uint32_t i = g->first; i < g->first + g->n_rows; i++)
        widen_by_row(&g->times, r, o->rows[i]);
}

/* Cuts each group into pages, of about equal size within a run. */
static eg_status cut_pages(eg_row_order *o, uint32_t n_rows, const eg_layout *layout, eg_err *err) {
    uint64_t most =
        (uint64_t)n_rows / layout->rows_of_page + (uint64_t)o->n_groups * (layout->n_time_runs + 1);
    if (most > o->page_capacity) {
        uint32_t *starts = realloc(o->page_starts, most * sizeof *starts);
        if (starts == NULL)
            return eg_fail_nomem(err, "the order of flows");
        o->page_starts = starts;
        o->page_capacity = (uint32_t)most;
    }
    uint32_t n_pages = 0;
    for (uint32_t i = 0; i < o->n_groups; i++) {
        eg_row_group *g = &o->groups[i];
        uint32_t end = g->first + g->n_rows;
        g->page_starts = o->page_starts + n_pages;
        for (uint32_t first = g->first, next; first < end; first = next) {
            uint64_t run = o->keys[first] >> RUN_SHIFT;
            for (next = first + 1; next < end && o->keys[next] >> RUN_SHIFT == run;)
                next++;
            uint32_t n = next - first;
            uint32_t parts = (n + layout->rows_of_page - 1) / layout->rows_of_page;
            for (uint32_t p = 0; p < parts; p++)
                o->page_starts[n_pages++] = first - g->first + (uint32_t)((uint64_t)n * p / parts);
        }
        g->n_pages = (uint32_t)(o->page_starts + n_pages - g->page_starts);
    }
    return EG_OK;
}

eg_status eg_row_order_make(eg_row_order *o, const eg_rows *r, const eg_layout *layout,
                            eg_err *err) {
    eg_status rc = need_room(o, err);
    if (rc == EG_OK)
        rc = need_groups(o, 1, err);
    if (rc != EG_OK)
        return rc;
    fill_keys(o, r, layout);
    eg_radix_sort(&o->keys, &o->spare, r->n_rows, EG_ROW_BITS);
    eg_time_bounds all = bounds_of_all(r);
    bool is_one_day = all.min_start_ms >= 0 && day_of(all.min_start_ms) == day_of(all.max_start_ms);
    if (is_one_day) {
        o->groups[0] =
            (eg_row_group){.day = day_of(all.min_start_ms), .n_rows = r->n_rows, .times = all};
        o->n_groups = 1;
    } else if ((rc = deal_days(o, r, err)) != EG_OK) {
        return rc;
    }
    rc = cut_pages(o, r->n_rows, layout, err);
    for (uint32_t i = 0; i < r->n_rows; i++)
        o->rows[i] = (uint32_t)(o->keys[i] & (EG_ROWS_MAX - 1));
    for (uint32_t g = 0; !is_one_day && g < o->n_groups; g++)
        find_bounds(&o->groups[g], o, r);
    return rc;
}

void eg_row_order_close(eg_row_order *o) {
    free(o->rows);
    free(o->groups);
    free(o->keys);
    free(o->spare);
    free(o->page_starts);
    free(o->days);
    memset(o, 0, sizeof *o);
}
