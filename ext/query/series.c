/* Time series: finds each flow's line and bucket, and spreads what lies in several. */
#include "query/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/entry_sort.h"
#include "query/series_lines.h"

#define PART_STRIDE 4096 /* parts of a flow between two looks at the host */

struct eg_series {
    eg_key_layout layout;
    const eg_intern *texts; /* borrowed */
    int64_t step_ms;
    eg_lines lines;
    int64_t origin;         /* bucket that the lines' numbers count from: the first flow's */
    int64_t lo, hi;         /* buckets of all lines, from there; lo > hi: none */
    const uint64_t **order; /* [lines.n] owned, keys of lines; NULL without keys */
    int64_t bucket;         /* of the last flow's start, from there; and when it begins */
    int64_t bucket_ms;
};

/* One batch's keys: packed by word, then each row's line. */
typedef struct packed {
    uint64_t words[EG_GROUP_MAX_WORDS][EG_BATCH_ROWS];
    uint32_t lines[EG_BATCH_ROWS];
} packed;

/* ---- what users write --------------------------------------------------- */

#define DAY_MS INT64_C(86400000)

eg_status eg_series_parse_step(const char *text, size_t n_bytes, int64_t *step_ms, eg_err *err) {
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', DAY_MS}};
    int64_t n = 0;
    *step_ms = 0;
    for (size_t i = 0; i + 1 < n_bytes; i++)
        n = text[i] >= '0' && text[i] <= '9' && n <= DAY_MS ? n * 10 + (text[i] - '0') : INT32_MAX;
    for (size_t u = 0; n_bytes > 1 && u < sizeof units / sizeof units[0]; u++)
        if (units[u].letter == text[n_bytes - 1] && n <= DAY_MS / units[u].ms)
            *step_ms = n * units[u].ms;
    if (*step_ms > 0)
        return EG_OK;
    return eg_fail(err, EG_MISUSE, -1,
                   "step '%.*s': expected a whole number of s, m, h or d, from '1s' to '1d', as in "
                   "'5m'",
                   n_bytes < 40 ? (int)n_bytes : 40, text);
}

eg_vector_set eg_series_vectors(const eg_series_spec *spec) {
    return EG_VECTOR_BIT(EG_VEC_START_MS) | EG_VECTOR_BIT(EG_VEC_END_MS) |
           EG_VECTOR_BIT(EG_VEC_BYTES) | EG_VECTOR_BIT(EG_VEC_PACKETS) |
           eg_group_keys_vectors(spec->keys, spec->n_keys);
}

/* ---- buckets ------------------------------------------------------------ */

static void step_text(int64_t step_ms, char *out, size_t size) {
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'d', DAY_MS}, {'h', 3600000}, {'m', 60000}, {'s', 1000}};
    size_t u = 0;
    while (step_ms % units[u].ms != 0)
        u++;
    snprintf(out, size, "%d%c", (int)(step_ms / units[u].ms), units[u].letter);
}

/* Refuses n_lines lines over the buckets lo to hi where they are too many rows. */
static eg_status check_size(const eg_series *s, size_t n_lines, int64_t lo, int64_t hi,
                            eg_err *err) {
    int64_t n = hi - lo + 1;
    if (n <= EG_SERIES_MAX_ROWS / (int64_t)n_lines)
        return EG_OK;
    char step[16], first[EG_TIME_TEXT_MAX], last[EG_TIME_TEXT_MAX], keys[40] = "";
    const bool has_keys = s->layout.n_keys > 0;
    step_text(s->step_ms, step, sizeof step);
    eg_time_format((s->origin + lo) * s->step_ms, first);
    eg_time_format((s->origin + hi) * s->step_ms, last);
    if (has_keys)
        snprintf(keys, sizeof keys, ", for %lld keys or more", (long long)n_lines);
    return eg_fail(err, EG_LIMIT, -1,
                   "%lld buckets of %s, from %s to %s%s: more than %lld rows: expected a longer "
                   "step%s, or a range of start_time in WHERE",
                   (long long)n, step, first, last, keys, (long long)EG_SERIES_MAX_ROWS,
                   has_keys ? ", fewer keys" : "");
}

/* Makes a line cover the buckets lo to hi, which are not too far from the others. */
static eg_status cover(eg_series *s, uint32_t line, int64_t lo, int64_t hi, eg_scan *scan,
                       eg_err *err) {
    bool is_first = s->lo > s->hi;
    int64_t new_lo = is_first || lo < s->lo ? lo : s->lo;
    int64_t new_hi = is_first || hi > s->hi ? hi : s->hi;
    eg_status rc = check_size(s, s->lines.n, new_lo, new_hi, err);
    if (rc != EG_OK)
        return rc;
    s->lo = new_lo;
    s->hi = new_hi;
    return eg_lines_cover(&s->lines, line, (int32_t)lo, (int32_t)hi, scan, err);
}

static eg_status check_time(const char *column, int64_t ms, eg_err *err) {
    if (ms >= EG_TIME_MIN_MS && ms <= EG_TIME_MAX_MS)
        return EG_OK;
    return eg_fail(err, EG_LIMIT, -1,
                   "%s is %lld in some row, which is no time of the years 0000 to 9999: expected "
                   "a range of %s in WHERE",
                   column, (long long)ms, column);
}

/* Sets s->bucket to that of a time; the first one is the origin. */
static eg_status find_bucket(eg_series *s, int64_t ms, eg_err *err) {
    eg_status rc = check_time("start_ms", ms, err);
    if (rc != EG_OK)
        return rc;
    int64_t bucket = eg_floor_divide(ms, s->step_ms);
    if (s->lo > s->hi)
        s->origin = bucket;
    s->bucket = bucket - s->origin;
    s->bucket_ms = bucket * s->step_ms;
    return EG_OK;
}

/* ---- adding flows ------------------------------------------------------- */

__extension__ typedef __int128 wide; /* products of counters and times */

/* What a counter has had by the ends of consecutive buckets, floor(counter * time / duration),
** as differences: each is `each`, or one more where the remainders make up a whole. */
typedef struct parts {
    uint64_t first, each, had;
    int64_t remainder, remainder_each, duration;
} parts;

static uint64_t divide(int64_t counter, int64_t time, int64_t duration, int64_t *remainder) {
    if ((((uint64_t)counter | (uint64_t)time) >> 32) == 0) {
        uint64_t product = (uint64_t)counter * (uint64_t)time;
        *remainder = (int64_t)(product % (uint64_t)duration);
        return product / (uint64_t)duration;
    }
    wide product = (wide)counter * time;
    *remainder = (int64_t)(product % duration);
    bool is_below = *remainder < 0;
    *remainder += is_below ? duration : 0;
    return (uint64_t)(product / duration) - is_below;
}

static parts parts_of(int64_t counter, int64_t first_ms, int64_t step_ms, int64_t duration) {
    parts p = {.duration = duration};
    p.first = divide(counter, first_ms, duration, &p.remainder);
    p.each = divide(counter, step_ms, duration, &p.remainder_each);
    p.had = p.first;
    return p;
}

static inline uint64_t next_part(parts *p) {
    p->remainder += p->remainder_each;
    bool makes_one = p->remainder >= p->duration;
    p->remainder -= makes_one ? p->duration : 0;
    uint64_t part = p->each + makes_one;
    p->had += part;
    return part;
}

/* Adds a flow that goes beyond the bucket of its start, s->bucket. */
static eg_status spread(eg_series *s, uint32_t number, int64_t start_ms, int64_t end_ms,
                        int64_t bytes, int64_t packets, eg_scan *scan, eg_err *err) {
    eg_status rc = check_time("end_ms", end_ms, err);
    if (rc != EG_OK)
        return rc;
    const int64_t last = eg_floor_divide(end_ms - 1, s->step_ms) - s->origin;
    rc = cover(s, number, s->bucket, last, scan, err);
    if (rc != EG_OK)
        return rc;
    const int64_t first_ms = s->bucket_ms + s->step_ms - start_ms;
    parts b = parts_of(bytes, first_ms, s->step_ms, end_ms - start_ms);
    parts p = parts_of(packets, first_ms, s->step_ms, end_ms - start_ms);
    eg_cell *cell = eg_lines_cell(&s->lines, &s->lines.lines[number], (int32_t)s->bucket);
    cell->bytes += b.first;
    cell->packets += p.first;
    cell->flows++;
    for (int64_t n = last - s->bucket - 1; n > 0; n--) {
        cell++;
        cell->bytes += next_part(&b);
        cell->packets += next_part(&p);
        if (n % PART_STRIDE == 0 && (rc = eg_scan_check(scan, err)) != EG_OK)
            return rc;
    }
    cell++;
    cell->bytes += (uint64_t)bytes - b.had;
    cell->packets += (uint64_t)packets - p.had;
    return EG_OK;
}

/* A flow without end_time ends where it starts. */
static inline int64_t end_of(const eg_batch *b, uint16_t row) {
    bool is_null = b->nulls != NULL && (b->nulls[row] & EG_VECTOR_BIT(EG_VEC_END_MS)) != 0;
    return is_null ? b->v.START_MS[row] : b->v.END_MS[row];
}

/* Adds the selected rows, row i to line lines[i]; to line 0 where lines is NULL. */
static eg_status add_rows(eg_series *s, const eg_batch *b, const uint32_t *lines, eg_scan *scan,
                          eg_err *err) {
    const uint64_t step = (uint64_t)s->step_ms;
    eg_status rc = EG_OK;
    for (uint32_t i = 0; i < b->n_sel && rc == EG_OK; i++) {
        const uint16_t row = b->sel[i];
        const int64_t start = b->v.START_MS[row], end = end_of(b, row);
        const uint32_t number = lines != NULL ? lines[i] : 0;
        if ((uint64_t)start - (uint64_t)s->bucket_ms >= step || s->lo > s->hi)
            rc = find_bucket(s, start, err);
        if (rc != EG_OK)
            break;
        if (end > start && (uint64_t)end - (uint64_t)s->bucket_ms > step) {
            rc = spread(s, number, start, end, b->v.BYTES[row], b->v.PACKETS[row], scan, err);
            continue;
        }
        const eg_line *line = &s->lines.lines[number];
        if (s->bucket < line->lo || s->bucket > line->hi)
            rc = cover(s, number, s->bucket, s->bucket, scan, err);
        if (rc != EG_OK)
            break;
        eg_cell *cell = eg_lines_cell(&s->lines, line, (int32_t)s->bucket);
        cell->bytes += (uint64_t)b->v.BYTES[row];
        cell->packets += (uint64_t)b->v.PACKETS[row];
        cell->flows++;
    }
    return rc;
}

/* Sets k->lines to the lines of the selected rows; new ones are added. */
static eg_status find_lines(eg_series *s, const eg_batch *b, packed *k, eg_scan *scan,
                            eg_err *err) {
    uint64_t *to[EG_GROUP_MAX_WORDS], key[EG_GROUP_MAX_WORDS];
    const unsigned n_words = s->layout.n_words;
    for (unsigned w = 0; w < n_words; w++) {
        memset(k->words[w], 0, b->n_sel * sizeof k->words[w][0]);
        to[w] = k->words[w];
    }
    eg_key_layout_pack(&s->layout, b, to);
    eg_lines_warm(&s->lines, (const uint64_t *const *)to, b->n_sel, k->lines);
    for (uint32_t i = 0; i < b->n_sel; i++) {
        for (unsigned w = 0; w < n_words; w++)
            key[w] = k->words[w][i];
        k->lines[i] = eg_lines_find(&s->lines, key);
        if (k->lines[i] != EG_NO_LINE)
            continue;
        eg_status rc = s->lo > s->hi ? EG_OK : check_size(s, s->lines.n + 1, s->lo, s->hi, err);
        if (rc == EG_OK)
            rc = eg_lines_add(&s->lines, key, scan, &k->lines[i], err);
        if (rc != EG_OK)
            return rc;
    }
    eg_lines_warm_cells(&s->lines, k->lines, b->n_sel, s->bucket);
    return EG_OK;
}

/* A flow without start_time is nowhere. */
static eg_status refuse_nulls(const eg_series *s, const eg_batch *b, eg_err *err) {
    eg_status rc = eg_key_layout_refuse_nulls(&s->layout, b, err);
    for (uint32_t i = 0; b->nulls != NULL && rc == EG_OK && i < b->n_sel; i++)
        if ((b->nulls[b->sel[i]] & EG_VECTOR_BIT(EG_VEC_START_MS)) != 0)
            rc = eg_fail(err, EG_UNSUPPORTED, -1,
                         "start_time is NULL in some rows, which are in no bucket: expected a "
                         "range of start_time in WHERE");
    return rc;
}

/* ---- the run ------------------------------------------------------------ */

static eg_status add_batch(eg_series *s, const eg_batch *b, packed *k, eg_scan *scan, eg_err *err) {
    eg_status rc = refuse_nulls(s, b, err);
    if (rc == EG_OK && k != NULL)
        rc = find_lines(s, b, k, scan, err);
    if (rc == EG_OK)
        rc = add_rows(s, b, k != NULL ? k->lines : NULL, scan, err);
    return rc;
}

static int compare_lines(const void *a, const void *b, void *series) {
    const eg_series *s = series;
    return eg_key_layout_compare(&s->layout, s->texts, *(const uint64_t *const *)a,
                                 *(const uint64_t *const *)b);
}

static eg_status put_in_order(eg_series *s, eg_scan *scan, eg_err *err) {
    size_t n = s->lines.n;
    s->order = calloc(n > 0 ? n : 1, sizeof *s->order);
    if (s->order == NULL)
        return eg_fail_nomem(err, "the order of keys");
    for (size_t i = 0; i < n; i++)
        s->order[i] = s->lines.words + i * s->layout.n_words;
    return eg_entry_sort(&s->order, n, compare_lines, s, scan, err);
}

eg_status eg_series_run(eg_scan *scan, const eg_intern *texts, const eg_series_spec *spec,
                        eg_series **out, eg_err *err) {
    *out = NULL;
    const bool has_keys = spec->n_keys > 0;
    eg_series *s = calloc(1, sizeof *s);
    packed *k = has_keys ? malloc(sizeof *k) : NULL;
    eg_status rc = s == NULL || (has_keys && k == NULL) ? eg_fail_nomem(err, "a series") : EG_OK;
    if (rc == EG_OK) {
        s->texts = texts;
        s->step_ms = spec->step_ms;
        s->hi = -1;
        eg_key_layout_make(&s->layout, spec->keys, spec->n_keys, 0);
        rc = eg_lines_open(&s->lines, s->layout.n_words, err);
    }
    uint32_t only;
    if (rc == EG_OK && !has_keys)
        rc = eg_lines_add(&s->lines, NULL, scan, &only, err);
    while (rc == EG_OK) {
        const eg_batch *b;
        rc = eg_scan_next(scan, &b, err);
        if (rc == EG_OK)
            rc = add_batch(s, b, k, scan, err);
    }
    if (rc == EG_DONE)
        rc = has_keys ? put_in_order(s, scan, err) : EG_OK;
    free(k);
    if (rc == EG_OK)
        *out = s;
    else
        eg_series_close(s);
    return rc;
}

/* ---- results ------------------------------------------------------------ */

uint64_t eg_series_count(const eg_series *s) {
    return (uint64_t)(s->hi - s->lo + 1) * s->lines.n;
}

void eg_series_get(const eg_series *s, uint64_t i, eg_series_row *row) {
    const int32_t bucket = (int32_t)(s->lo + (int64_t)(i / s->lines.n));
    size_t number = i % s->lines.n;
    if (s->order != NULL) {
        const uint64_t *words = s->order[number];
        number = (size_t)(words - s->lines.words) / s->layout.n_words;
        eg_key_layout_unpack(&s->layout, words, row->keys);
    }
    const eg_line *line = &s->lines.lines[number];
    const bool is_covered = bucket >= line->lo && bucket <= line->hi;
    const eg_cell c = is_covered ? *eg_lines_cell(&s->lines, line, bucket) : (eg_cell){0};
    row->time_ms = (s->origin + bucket) * s->step_ms;
    row->bytes = (int64_t)c.bytes;
    row->packets = (int64_t)c.packets;
    row->flows = (int64_t)c.flows;
}

void eg_series_close(eg_series *s) {
    if (s == NULL)
        return;
    eg_lines_close(&s->lines);
    free(s->order);
    free(s);
}
