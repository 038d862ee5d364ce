/* Claims of query/series.c and series_lines.c: the rows are those of a slow exact sum, and the
** parts of a flow add up to its counters; buckets without flows are there; what would be too many
** rows is refused with both ends of the time; steps say what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "query/series.h"
#include "query/series_lines.h"

#define ALL_VECTORS ((UINT64_C(1) << EG_N_VECTORS) - 1)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define T0 INT64_C(1185487200000) /* 2007-07-26 22:00:00.000 */

__extension__ typedef __int128 wide;

typedef struct flow {
    int64_t start, end, bytes, packets;
    uint32_t srcaddr;
    uint8_t proto;
    uint32_t exporter; /* code */
    eg_vector_set nulls;
} flow;

#define N_TEXTS 4
static const char *const texts[N_TEXTS] = {"z", "10.0.0.1", "2001:db8::1", "a"};

static uint64_t random_state = 1;

static uint64_t next_random(void) {
    uint64_t n = random_state += UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
    return n ^ (n >> 31);
}

/* A number below n, of any size class. */
static int64_t up_to(int64_t n) {
    return (int64_t)(next_random() % (uint64_t)n) >> (next_random() % 3 * 12);
}

/* A source of flows in one piece, batches of odd sizes. */
typedef struct made {
    eg_source source; /* must be first */
    eg_piece piece;
    const flow *flows;
    size_t n, at;
    bool handed_out;
} made;

static eg_status made_next(eg_piece *piece, eg_batch *b, eg_err *err) {
    made *m = (made *)((char *)piece - offsetof(made, piece));
    b->n_rows = 0;
    b->nulls = NULL;
    for (; b->n_rows < 333 && m->at < m->n; m->at++) {
        const flow *f = &m->flows[m->at];
        uint32_t i = b->n_rows++;
        if (f->nulls != 0 && b->nulls == NULL && eg_batch_need_nulls(b, err) != EG_OK)
            return EG_NOMEM;
        b->v.START_MS[i] = f->start;
        b->v.END_MS[i] = f->end;
        b->v.BYTES[i] = f->bytes;
        b->v.PACKETS[i] = f->packets;
        b->v.SRCADDR[i] = f->srcaddr;
        b->v.PROTO[i] = f->proto;
        b->v.EXPORTER[i] = f->exporter;
        b->v.FLOW_SEQUENCE[i] = f->srcaddr % 3;
        if (b->nulls != NULL)
            b->nulls[i] = f->nulls;
    }
    return b->n_rows > 0 ? EG_OK : EG_DONE;
}

static void made_close_piece(eg_piece *piece, eg_scan_stats *stats) {
    (void)piece, (void)stats;
}

static const eg_piece_ops made_piece_ops = {.next = made_next, .close = made_close_piece};

static eg_status made_next_piece(eg_source *source, eg_piece **out, eg_err *err) {
    (void)err;
    made *m = (made *)source;
    *out = &m->piece;
    bool is_first = !m->handed_out;
    m->handed_out = true;
    return is_first ? EG_OK : EG_DONE;
}

static void made_progress(const eg_source *source, int64_t *done, int64_t *total) {
    *done = (int64_t)((const made *)source)->at;
    *total = (int64_t)((const made *)source)->n;
}

static void made_close(eg_source *source, eg_scan_stats *stats) {
    (void)source, (void)stats;
}

static const eg_source_ops made_ops = {
    .next_piece = made_next_piece, .progress = made_progress, .close = made_close};

static int set_up(void **state) {
    eg_intern *t;
    uint32_t code;
    assert_int_equal(eg_intern_open(&t, NULL), EG_OK);
    for (size_t i = 0; i < N_TEXTS; i++)
        assert_int_equal(eg_intern_add(t, texts[i], strlen(texts[i]), &code, NULL), EG_OK);
    *state = t;
    return 0;
}

static int tear_down(void **state) {
    eg_intern_close(*state);
    return 0;
}

/* *n_read: flows that were read. */
static eg_status run(eg_intern *t, const eg_series_spec *spec, const flow *flows, size_t n,
                     eg_poll poll, eg_series **out, size_t *n_read, eg_err *err) {
    made m = {.source = {&made_ops}, .piece = {.ops = &made_piece_ops}, .flows = flows, .n = n};
    eg_scan_spec scan_spec = {.vectors = ALL_VECTORS, .texts = t};
    eg_scan *scan;
    assert_int_equal(eg_scan_open(&m.source, &scan_spec, poll, &scan, err), EG_OK);
    eg_status rc = eg_series_run(scan, t, spec, out, err);
    eg_scan_close(scan, NULL);
    *n_read = m.at;
    return rc;
}

static eg_series *run_ok(eg_intern *t, const eg_series_spec *spec, const flow *flows, size_t n) {
    eg_series *s;
    size_t n_read;
    eg_err err;
    if (run(t, spec, flows, n, (eg_poll){0}, &s, &n_read, &err) != EG_OK)
        fail_msg("%s", err.msg);
    return s;
}

/* ---- the oracle --------------------------------------------------------- */

static int64_t floor_of(wide a, wide b) {
    wide q = a / b;
    return (int64_t)(a % b < 0 ? q - 1 : q);
}

/* What a flow has had of a counter by a time. */
static int64_t had_by(const flow *f, int64_t counter, int64_t time) {
    if (f->end <= f->start || (f->nulls & EG_VECTOR_BIT(EG_VEC_END_MS)) != 0)
        return time > f->start ? counter : 0;
    int64_t end = time < f->end ? time : f->end;
    return end <= f->start ? 0
                           : floor_of((wide)counter * (end - f->start), (wide)f->end - f->start);
}

static void add_exact(eg_series_row *row, const flow *f, int64_t step) {
    int64_t from = row->time_ms, to = row->time_ms + step;
    row->bytes += had_by(f, f->bytes, to) - had_by(f, f->bytes, from);
    row->packets += had_by(f, f->packets, to) - had_by(f, f->packets, from);
    row->flows += f->start >= from && f->start < to;
}

static void keys_of(const eg_series_spec *spec, const flow *f, int64_t *keys) {
    for (size_t i = 0; i < spec->n_keys; i++) {
        unsigned bits = spec->keys[i].prefix_bits;
        switch (spec->keys[i].col) {
        case EG_COL_SRCADDR:
            keys[i] = bits == 0 ? 0 : (int64_t)(f->srcaddr >> (32 - bits)) << (32 - bits);
            break;
        case EG_COL_PROTOCOL:
            keys[i] = f->proto;
            break;
        case EG_COL_EXPORTER:
            keys[i] = f->exporter;
            break;
        default:
            keys[i] = f->srcaddr % 3;
        }
    }
}

static const eg_series_spec *order_spec;

static int compare_keys(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    for (size_t i = 0; i < order_spec->n_keys; i++) {
        if (x[i] == y[i])
            continue;
        if (order_spec->keys[i].col == EG_COL_EXPORTER)
            return strcmp(texts[x[i]], texts[y[i]]);
        return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}

/* Holds a series against the exact sums of each of its rows, found one flow after the other. */
static void check(eg_intern *t, eg_series_spec spec, const flow *flows, size_t n) {
    static int64_t keys[1024][EG_GROUP_MAX_KEYS];
    size_t n_keys = 0;
    int64_t first = INT64_MAX, last = INT64_MIN, total_bytes = 0, total_flows = 0;
    for (size_t i = 0; i < n; i++) {
        const flow *f = &flows[i];
        int64_t key[EG_GROUP_MAX_KEYS] = {0}, end = f->end - 1 > f->start ? f->end - 1 : f->start;
        keys_of(&spec, f, key);
        size_t k = 0;
        while (k < n_keys && memcmp(keys[k], key, sizeof key) != 0)
            k++;
        if (k == n_keys) {
            assert_true(n_keys < 1024);
            memcpy(keys[n_keys++], key, sizeof key);
        }
        if (floor_of(f->start, spec.step_ms) < first)
            first = floor_of(f->start, spec.step_ms);
        if (floor_of(end, spec.step_ms) > last)
            last = floor_of(end, spec.step_ms);
    }
    order_spec = &spec;
    qsort(keys, n_keys, sizeof keys[0], compare_keys);
    eg_series *s = run_ok(t, &spec, flows, n);
    assert_int_equal(eg_series_count(s), (uint64_t)(last - first + 1) * n_keys);
    for (uint64_t i = 0; i < eg_series_count(s); i++) {
        eg_series_row row, exact = {.time_ms = (first + (int64_t)(i / n_keys)) * spec.step_ms};
        for (size_t j = 0; j < n; j++) {
            int64_t key[EG_GROUP_MAX_KEYS] = {0};
            keys_of(&spec, &flows[j], key);
            if (memcmp(key, keys[i % n_keys], sizeof key) == 0)
                add_exact(&exact, &flows[j], spec.step_ms);
        }
        memset(&row, 0, sizeof row);
        eg_series_get(s, i, &row);
        assert_int_equal(row.time_ms, exact.time_ms);
        assert_memory_equal(row.keys, keys[i % n_keys], spec.n_keys * sizeof row.keys[0]);
        assert_int_equal(row.bytes, exact.bytes);
        assert_int_equal(row.packets, exact.packets);
        assert_int_equal(row.flows, exact.flows);
        total_bytes += row.bytes;
        total_flows += row.flows;
    }
    for (size_t i = 0; i < n; i++)
        total_bytes -= flows[i].bytes;
    assert_int_equal(total_bytes, 0);
    assert_int_equal(total_flows, n);
    eg_series_close(s);
}

/* A flow somewhere in n_buckets buckets around the time `middle`. */
static flow random_flow(int64_t middle, int64_t step, int64_t n_buckets) {
    flow f = {.start = middle + up_to(n_buckets * step / 2) * (next_random() % 2 ? 1 : -1),
              .srcaddr = 0x0a000000 + (uint32_t)(next_random() % 4) * 0x90,
              .proto = next_random() % 2 ? 6 : 17,
              .exporter = (uint32_t)(next_random() % N_TEXTS)};
    if (next_random() % 4 == 0)
        f.start = floor_of(f.start, step) * step;
    f.end = f.start + up_to(n_buckets * step / 2);
    switch (next_random() % 6) {
    case 0:
        f.end = f.start;
        break;
    case 1:
        f.end = floor_of(f.end, step) * step; /* at a border, or before the start */
        break;
    case 2:
        f.end = floor_of(f.start, step) * step + step;
        break;
    default:
        break;
    }
    f.bytes = up_to(next_random() % 8 == 0 ? INT64_C(1) << 62 : INT64_C(1) << 32) / 64;
    f.packets = up_to(next_random() % 8 == 0 ? INT64_C(1) << 40 : 3000);
    if (next_random() % 50 == 0)
        f.bytes = -f.bytes;
    return f;
}

static void many_series_are_those_of_a_slow_exact_sum(void **state) {
    static const eg_key by_source[] = {{EG_COL_SRCADDR, 32}};
    static const eg_key by_network[] = {{EG_COL_PROTOCOL, 32}, {EG_COL_SRCADDR, 24}};
    static const eg_key by_texts[] = {
        {EG_COL_EXPORTER, 32}, {EG_COL_FLOW_SEQUENCE, 32}, {EG_COL_PROTOCOL, 32}};
    static const eg_key none[] = {{EG_COL_SRCADDR, 0}};
    static const struct {
        const eg_key *keys;
        size_t n;
    } sets[] = {{NULL, 0}, {by_source, 1}, {by_network, 2}, {by_texts, 3}, {none, 1}};
    static const int64_t steps[] = {SECOND, 7 * SECOND, 5 * MINUTE, 7 * HOUR, DAY};
    static const int64_t middles[] = {T0, 0, EG_TIME_MIN_MS + 500 * DAY};
    flow flows[400];
    for (int round = 0; round < 1500; round++) {
        int64_t step = steps[next_random() % 5], middle = middles[next_random() % 3];
        size_t n = 1 + next_random() % (round % 5 == 0 ? 400 : 40);
        int64_t n_buckets = 1 + up_to(200);
        for (size_t i = 0; i < n; i++)
            flows[i] = random_flow(middle, step, n_buckets);
        eg_series_spec spec = {
            .step_ms = step, .keys = sets[round % 5].keys, .n_keys = sets[round % 5].n};
        check(*state, spec, flows, n);
    }
}

static void a_part_is_what_the_time_says(void **state) {
    const flow flows[] = {{.start = T0 + 500, .end = T0 + 3500, .bytes = 100, .packets = 2}};
    static const int64_t bytes[] = {16, 34, 33, 17}, packets[] = {0, 1, 0, 1};
    eg_series *s = run_ok(*state, &(eg_series_spec){.step_ms = SECOND}, flows, 1);
    assert_int_equal(eg_series_count(s), 4);
    for (uint64_t i = 0; i < 4; i++) {
        eg_series_row row;
        eg_series_get(s, i, &row);
        assert_int_equal(row.time_ms, T0 + (int64_t)i * SECOND);
        assert_int_equal(row.bytes, bytes[i]);
        assert_int_equal(row.packets, packets[i]);
        assert_int_equal(row.flows, i == 0);
    }
    eg_series_close(s);
}

static void a_flow_that_ends_at_a_border_has_no_part_behind_it(void **state) {
    const flow flows[] = {{.start = T0, .end = T0 + SECOND, .bytes = 7, .packets = 1},
                          {.start = T0 - SECOND, .end = T0, .bytes = 7, .packets = 1}};
    eg_series *s = run_ok(*state, &(eg_series_spec){.step_ms = SECOND}, flows, 2);
    assert_int_equal(eg_series_count(s), 2);
    eg_series_close(s);
}

static void no_flows_give_no_rows(void **state) {
    static const eg_key key[] = {{EG_COL_SRCADDR, 32}};
    for (size_t n_keys = 0; n_keys < 2; n_keys++) {
        eg_series_spec spec = {.step_ms = SECOND, .keys = key, .n_keys = n_keys};
        eg_series *s = run_ok(*state, &spec, NULL, 0);
        assert_int_equal(eg_series_count(s), 0);
        eg_series_close(s);
    }
}

static void nulls_are_no_time_and_no_counter(void **state) {
    flow flows[] = {
        {.start = -5 * SECOND, .nulls = EG_VECTOR_BIT(EG_VEC_END_MS), .bytes = 8, .packets = 3},
        {.start = -5 * SECOND,
         .end = -3 * SECOND,
         .nulls = EG_VECTOR_BIT(EG_VEC_BYTES),
         .packets = 2}};
    eg_series_spec spec = {.step_ms = SECOND};
    eg_series *s = run_ok(*state, &spec, flows, 2);
    eg_series_row row;
    assert_int_equal(eg_series_count(s), 2);
    eg_series_get(s, 0, &row);
    assert_int_equal(row.time_ms, -5 * SECOND);
    assert_int_equal(row.bytes, 8);
    assert_int_equal(row.packets, 4);
    assert_int_equal(row.flows, 2);
    eg_series_close(s);

    size_t n_read;
    eg_err err;
    flows[1].nulls = EG_VECTOR_BIT(EG_VEC_START_MS);
    assert_int_equal(run(*state, &spec, flows, 2, (eg_poll){0}, &s, &n_read, &err), EG_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "start_time is NULL in some rows"));
    assert_null(s);
}

/* ---- limits ------------------------------------------------------------- */

static void expect_refusal(eg_intern *t, const eg_series_spec *spec, const flow *flows, size_t n,
                           const char *said, size_t at_most_read) {
    eg_series *s;
    size_t n_read;
    eg_err err;
    assert_int_equal(run(t, spec, flows, n, (eg_poll){0}, &s, &n_read, &err), EG_LIMIT);
    assert_string_equal(err.msg, said);
    assert_true(n_read <= at_most_read);
    assert_null(s);
}

static void what_would_be_too_many_rows_is_refused_at_once(void **state) {
    static flow flows[20000];
    static const eg_key key[] = {{EG_COL_SRCADDR, 32}};
    eg_series_spec spec = {.step_ms = SECOND};
    for (size_t i = 0; i < 20000; i++)
        flows[i] = (flow){.start = T0, .end = T0 + 5, .srcaddr = (uint32_t)i};
    flows[10].start = flows[10].end = INT64_C(4294967295999); /* 2106 */
    expect_refusal(*state, &spec, flows, 20000,
                   "3109480096 buckets of 1s, from 2007-07-26 22:00:00.000 to 2106-02-07 "
                   "06:28:15.000: more than 10000000 rows: expected a longer step, or a range of "
                   "start_time in WHERE",
                   333);
    /* the same by the end of one flow alone, and by the number of keys */
    flows[10].start = T0 - DAY;
    spec.step_ms = 2 * SECOND;
    expect_refusal(*state, &spec, flows, 20000,
                   "1554783248 buckets of 2s, from 2007-07-25 22:00:00.000 to 2106-02-07 "
                   "06:28:14.000: more than 10000000 rows: expected a longer step, or a range of "
                   "start_time in WHERE",
                   333);
    flows[10].end = flows[10].start;
    spec = (eg_series_spec){.step_ms = MINUTE, .keys = key, .n_keys = 1};
    expect_refusal(*state, &spec, flows, 20000,
                   "1441 buckets of 1m, from 2007-07-25 22:00:00.000 to 2007-07-26 "
                   "22:00:00.000, for 6940 keys or more: more than 10000000 rows: expected a "
                   "longer step, fewer keys, or a range of start_time in WHERE",
                   6993);
}

static void as_many_rows_as_the_limit_are_given(void **state) {
    flow flows[] = {{.start = T0, .end = T0, .bytes = 1},
                    {.start = T0 + (EG_SERIES_MAX_ROWS - 1) * SECOND, .bytes = 2}};
    eg_series_spec spec = {.step_ms = SECOND};
    eg_series *s = run_ok(*state, &spec, flows, 2);
    eg_series_row row;
    assert_int_equal(eg_series_count(s), EG_SERIES_MAX_ROWS);
    eg_series_get(s, EG_SERIES_MAX_ROWS - 1, &row);
    assert_int_equal(row.bytes, 2);
    eg_series_close(s);
    flows[1].start += SECOND;
    size_t n_read;
    assert_int_equal(run(*state, &spec, flows, 2, (eg_poll){0}, &s, &n_read, NULL), EG_LIMIT);
}

static void times_that_have_no_text_are_refused(void **state) {
    flow flows[] = {{.start = T0, .end = INT64_MAX}, {.start = INT64_MIN, .end = T0}};
    eg_series_spec spec = {.step_ms = SECOND};
    expect_refusal(*state, &spec, flows, 1,
                   "end_ms is 9223372036854775807 in some row, which is no time of the years 0000 "
                   "to 9999: expected a range of end_ms in WHERE",
                   1);
    expect_refusal(*state, &spec, flows + 1, 1,
                   "start_ms is -9223372036854775808 in some row, which is no time of the years "
                   "0000 to 9999: expected a range of start_ms in WHERE",
                   1);
}

static bool stop_at_once(void *arg) {
    ++*(int *)arg;
    return true;
}

/* Flows of a hundred days in seconds are long work within one batch. */
static void host_can_stop_a_series(void **state) {
    static flow flows[300];
    int asked = 0;
    for (size_t i = 0; i < 300; i++)
        flows[i] = (flow){.start = T0, .end = T0 + 100 * DAY, .bytes = 1 << 30, .packets = 99};
    eg_series *s;
    size_t n_read;
    eg_err err;
    assert_int_equal(run(*state, &(eg_series_spec){.step_ms = SECOND}, flows, 300,
                         (eg_poll){stop_at_once, &asked}, &s, &n_read, &err),
                     EG_INTERRUPT);
    assert_int_equal(asked, 1);
    assert_null(s);
}

/* ---- lines -------------------------------------------------------------- */

static void lines_grow_to_both_sides_and_leave_their_blocks_to_others(void **state) {
    made m = {.source = {&made_ops}, .piece = {.ops = &made_piece_ops}};
    eg_scan_spec scan_spec = {.vectors = ALL_VECTORS, .texts = *state};
    eg_scan *scan;
    eg_lines l;
    assert_int_equal(eg_scan_open(&m.source, &scan_spec, (eg_poll){0}, &scan, NULL), EG_OK);
    assert_int_equal(eg_lines_open(&l, 2, NULL), EG_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        const uint64_t key[2] = {i % 7, i};
        uint32_t line;
        assert_int_equal(eg_lines_find(&l, key), EG_NO_LINE);
        assert_int_equal(eg_lines_add(&l, key, scan, &line, NULL), EG_OK);
        assert_int_equal(line, i);
        for (int32_t b = 0; b < 32; b++) {
            int32_t side = b % 2 ? -b - 1 : b;
            assert_int_equal(eg_lines_cover(&l, line, side, side, scan, NULL), EG_OK);
            eg_lines_cell(&l, &l.lines[line], side)->flows = i + (uint32_t)b;
        }
    }
    for (uint32_t i = 0; i < 1000; i++) {
        const uint64_t key[2] = {i % 7, i};
        assert_int_equal(eg_lines_find(&l, key), i);
        assert_int_equal(l.lines[i].lo, -32);
        assert_int_equal(l.lines[i].hi, 30);
        for (int32_t b = -32; b <= 30; b++) {
            const eg_cell *c = eg_lines_cell(&l, &l.lines[i], b);
            bool is_set = b < 0 ? b % 2 == 0 : b % 2 == 0;
            uint64_t expected = i + (uint64_t)(b < 0 ? -b - 1 : b);
            assert_int_equal(c->flows, is_set ? expected : 0);
            assert_int_equal(c->bytes, 0);
        }
    }
    assert_true(l.n_cells < 1000 * 64 + 256);
    eg_lines_close(&l);
    eg_scan_close(scan, NULL);
}

/* ---- steps -------------------------------------------------------------- */

static void steps_are_whole_numbers_of_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1s", SECOND},       {"5m", 5 * MINUTE}, {"2h", 2 * HOUR}, {"1d", DAY},
                {"86400s", DAY},      {"1440m", DAY},     {"24h", DAY},     {"7h", 7 * HOUR},
                {"90m", 90 * MINUTE}, {"05m", 5 * MINUTE}};
    static const char *const bad[] = {"",    "5",    "m",      "0s",    "0d",
                                      "2d",  "25h",  "86401s", "1441m", "-5m",
                                      "+5m", "5 m",  " 5m",    "5m ",   "1.5h",
                                      "5M",  "5min", "5ms",    "1w",    "99999999999999999999s",
                                      "1s1s"};
    int64_t ms;
    eg_err err;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(eg_series_parse_step(good[i].text, strlen(good[i].text), &ms, &err),
                         EG_OK);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (eg_series_parse_step(bad[i], strlen(bad[i]), &ms, &err) != EG_MISUSE)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(
            strstr(err.msg, "expected a whole number of s, m, h or d, from '1s' to '1d'"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_series_are_those_of_a_slow_exact_sum),
        cmocka_unit_test(a_part_is_what_the_time_says),
        cmocka_unit_test(a_flow_that_ends_at_a_border_has_no_part_behind_it),
        cmocka_unit_test(no_flows_give_no_rows),
        cmocka_unit_test(nulls_are_no_time_and_no_counter),
        cmocka_unit_test(what_would_be_too_many_rows_is_refused_at_once),
        cmocka_unit_test(as_many_rows_as_the_limit_are_given),
        cmocka_unit_test(times_that_have_no_text_are_refused),
        cmocka_unit_test(host_can_stop_a_series),
        cmocka_unit_test(lines_grow_to_both_sides_and_leave_their_blocks_to_others),
        cmocka_unit_test(steps_are_whole_numbers_of_units),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
