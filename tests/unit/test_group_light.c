/* Claims of query/group_light.c: where a source knows what addresses weigh, rankings pass over rows
** that cannot be of the first groups, and their answers are the same to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "light.h"
#include "query/group.h"
#include "query/group_light.h"

#define HEAVY_PAIRS 25
#define ALL_VECTORS ((UINT64_C(1) << EG_N_VECTORS) - 1)

static uint64_t mixed(uint64_t n) {
    n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
    return n ^ (n >> 31);
}

/* A source of made rows: one in 64 is between one of a few pairs of addresses, in either direction,
** and has much of everything. Where it is flat all have as much. */
typedef struct made {
    eg_source source; /* must be first */
    uint64_t at, n_rows, piece_rows;
    bool is_flat;
    int n_weighed;
} made;

static void make_row(bool is_flat, eg_batch *b, uint32_t at, uint64_t number) {
    uint64_t r = mixed(number), pair = (r >> 8) % HEAVY_PAIRS;
    bool is_heavy = r % 64 == 0;
    uint32_t from = is_heavy ? (uint32_t)mixed(pair) : (uint32_t)(r >> 20);
    uint32_t to = is_heavy ? (uint32_t)mixed(pair + 1000) : (uint32_t)mixed(r);
    bool is_back = (r >> 40) % 3 == 0;
    b->v.SRCADDR[at] = is_back ? to : from;
    b->v.DSTADDR[at] = is_back ? from : to;
    b->v.SRCPORT[at] = (uint16_t)(r >> 44);
    b->v.DSTPORT[at] = is_heavy ? 53 : (uint16_t)(r >> 24);
    b->v.PROTO[at] = 17;
    b->v.BYTES[at] = is_heavy && !is_flat ? (int64_t)(pair + 1) << 30 : 40 + (int64_t)(r >> 60);
    b->v.PACKETS[at] = is_heavy && !is_flat ? 1000 + (int64_t)pair : 1;
}

typedef struct made_piece {
    eg_piece base; /* must be first */
    const made *of;
    uint64_t at, end;
} made_piece;

static eg_status made_next(eg_piece *piece, eg_batch *b, eg_err *err) {
    (void)err;
    made_piece *p = (made_piece *)piece;
    b->n_rows = 0;
    b->nulls = NULL;
    while (b->n_rows < EG_BATCH_ROWS && p->at < p->end)
        make_row(p->of->is_flat, b, b->n_rows++, p->at++);
    return b->n_rows > 0 ? EG_OK : EG_DONE;
}

static void made_close_piece(eg_piece *piece, eg_scan_stats *stats) {
    (void)stats;
    free(piece);
}

static eg_status made_next_piece(eg_source *source, eg_piece **out, eg_err *err) {
    static const eg_piece_ops ops = {.next = made_next, .close = made_close_piece};
    (void)err;
    made *m = (made *)source;
    if (m->at == m->n_rows)
        return EG_DONE;
    made_piece *p = calloc(1, sizeof *p);
    assert_non_null(p);
    uint64_t n_left = m->n_rows - m->at;
    *p = (made_piece){.base.ops = &ops, .of = m, .at = m->at};
    m->at = p->end = m->at + (n_left < m->piece_rows ? n_left : m->piece_rows);
    *out = &p->base;
    return EG_OK;
}

static void made_progress(const eg_source *source, int64_t *done, int64_t *total) {
    *done = (int64_t)((const made *)source)->at;
    *total = (int64_t)((const made *)source)->n_rows;
}

static void made_close(eg_source *source, eg_scan_stats *stats) {
    (void)source, (void)stats;
}

static eg_status made_weigh(eg_source *source, eg_weight measure, uint64_t *sources,
                            uint64_t *destinations, eg_err *err) {
    (void)err;
    made *m = (made *)source;
    eg_batch b;
    m->n_weighed++;
    assert_int_equal(eg_batch_open(&b, ALL_VECTORS, NULL, NULL), EG_OK);
    for (uint64_t number = 0; number < m->n_rows; number++) {
        make_row(m->is_flat, &b, 0, number);
        uint64_t n = measure == EG_WEIGHT_BYTES     ? (uint64_t)b.v.BYTES[0]
                     : measure == EG_WEIGHT_PACKETS ? (uint64_t)b.v.PACKETS[0]
                                                    : 1;
        if (sources != NULL)
            sources[eg_weight_bucket(b.v.SRCADDR[0])] += n;
        if (destinations != NULL)
            destinations[eg_weight_bucket(b.v.DSTADDR[0])] += n;
    }
    eg_batch_close(&b);
    return EG_OK;
}

/* What only few rows could know. */
static eg_status made_weigh_nothing(eg_source *source, eg_weight measure, uint64_t *sources,
                                    uint64_t *destinations, eg_err *err) {
    (void)measure, (void)destinations, (void)err;
    ((made *)source)->n_weighed++;
    sources[0] = 1;
    return EG_DONE;
}

typedef struct result {
    eg_group_row rows[100];
    size_t n;
    int64_t spilled_bytes;
    int n_weighed;
} result;

typedef eg_status (*weigher)(eg_source *, eg_weight, uint64_t *, uint64_t *, eg_err *);

static void rank(const eg_group_spec *spec, int n_threads, bool is_flat, weigher weigh,
                 result *out) {
    const eg_source_ops ops = {.next_piece = made_next_piece,
                               .progress = made_progress,
                               .close = made_close,
                               .is_independent = true,
                               .weigh = weigh};
    made m = {.source = {&ops},
              .n_rows = is_light() ? 200000 : 1000000,
              .piece_rows = 50000,
              .is_flat = is_flat};
    eg_scan_spec scan_spec = {.vectors = eg_group_vectors(spec), .n_threads = n_threads};
    eg_scan_stats stats = {0};
    eg_scan *scan;
    eg_groups *groups;
    scan_spec.vectors = ALL_VECTORS; /* rows are made as they are */
    assert_int_equal(eg_scan_open(&m.source, &scan_spec, (eg_poll){0}, &scan, NULL), EG_OK);
    assert_int_equal(eg_group_run(scan, NULL, spec, &groups, NULL), EG_OK);
    eg_scan_close(scan, &stats);
    memset(out, 0, sizeof *out);
    while (eg_groups_next(groups, &out->rows[out->n], NULL) == EG_OK)
        out->n++;
    eg_groups_close(groups);
    out->spilled_bytes = stats.bytes_spilled;
    out->n_weighed = m.n_weighed;
}

static void assert_same(const result *a, const result *b) {
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->rows, b->rows, sizeof a->rows);
}

static void light_rows_are_passed_over_and_answers_are_the_same(void **state) {
    (void)state;
    static const struct {
        const char *keys;
        eg_measure measure;
        bool is_pair;
    } cases[] = {{"srcaddr,dstaddr", EG_MEASURE_BYTES, true},
                 {"srcaddr,dstaddr", EG_MEASURE_BYTES, false},
                 {"srcaddr,dstaddr", EG_MEASURE_PACKETS, true},
                 {"srcaddr", EG_MEASURE_FLOWS, false},
                 {"dstaddr,dstport", EG_MEASURE_PACKETS, false},
                 {"protocol,srcaddr,srcport,dstaddr,dstport", EG_MEASURE_BYTES, false}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        int n_threads = c % 2 == 0 && !is_light() ? 2 : 0; /* fewer rows fill one lane */
        eg_key keys[EG_GROUP_MAX_KEYS] = {0};
        /* With so little memory what waits is spilled. */
        eg_group_spec spec = {.keys = keys,
                              .unordered_pair = cases[c].is_pair,
                              .measure = cases[c].measure,
                              .limit = 10,
                              .memory_bytes = 1};
        static result plain, picked;
        assert_int_equal(
            eg_group_parse_keys(cases[c].keys, strlen(cases[c].keys), keys, &spec.n_keys, NULL),
            EG_OK);
        rank(&spec, n_threads, false, NULL, &plain);
        rank(&spec, n_threads, false, made_weigh, &picked);
        assert_int_equal(plain.n, 10);
        assert_same(&plain, &picked);
        assert_int_equal(picked.n_weighed, 1);
        if (is_light()) /* too few rows */
            continue;
        assert_true(plain.spilled_bytes > 1000000);
        assert_true(picked.spilled_bytes < plain.spilled_bytes / 2);
    }
}

static void a_source_that_knows_of_some_rows_only_is_asked_once(void **state) {
    (void)state;
    static result plain, none;
    eg_key keys[EG_GROUP_MAX_KEYS] = {{EG_COL_SRCADDR, 32}, {EG_COL_DSTPORT, 32}};
    eg_group_spec spec = {.keys = keys, .n_keys = 2, .limit = 10, .memory_bytes = 1};
    rank(&spec, 0, false, NULL, &plain);
    rank(&spec, 0, false, made_weigh_nothing, &none);
    assert_same(&plain, &none);
    assert_int_equal(none.n_weighed, 1);
}

/* Where no address has more than others the weights are asked for, and are of no use. */
static void flat_sums_change_nothing(void **state) {
    (void)state;
    eg_key keys[EG_GROUP_MAX_KEYS] = {{EG_COL_SRCADDR, 32}, {EG_COL_DSTADDR, 32}};
    for (int is_pair = 0; is_pair < 2; is_pair++) {
        static result plain, picked;
        eg_group_spec spec = {.keys = keys,
                              .n_keys = 2,
                              .unordered_pair = is_pair,
                              .measure = EG_MEASURE_FLOWS,
                              .limit = 99,
                              .memory_bytes = 1};
        rank(&spec, 2, true, NULL, &plain);
        rank(&spec, 2, true, made_weigh, &picked);
        assert_same(&plain, &picked);
    }
}

/* Keys that are no whole address, and all groups, ask for nothing. */
static void other_rankings_do_not_ask(void **state) {
    (void)state;
    static const struct {
        eg_key key;
        uint64_t limit;
    } cases[] = {{{EG_COL_SRCADDR, 24}, 10}, {{EG_COL_DSTPORT, 32}, 10}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        static result out;
        eg_key keys[EG_GROUP_MAX_KEYS] = {cases[c].key, {EG_COL_SRCPORT, 32}};
        eg_group_spec spec = {
            .keys = keys, .n_keys = 2, .limit = cases[c].limit, .memory_bytes = 1};
        rank(&spec, 2, false, made_weigh, &out);
        assert_int_equal(out.n_weighed, 0);
    }
}

/* Two rows between two addresses, there and back, of 50 each: what their addresses weigh in all. */
static eg_status weigh_two(eg_source *source, eg_weight measure, uint64_t *sources,
                           uint64_t *destinations, eg_err *err) {
    (void)source, (void)measure, (void)err;
    if (sources != NULL)
        sources[eg_weight_bucket(1)] = sources[eg_weight_bucket(2)] = 50;
    if (destinations != NULL)
        destinations[eg_weight_bucket(1)] = destinations[eg_weight_bucket(2)] = 50;
    return EG_OK;
}

static void rows_stay_up_to_the_last_that_counts(void **state) {
    (void)state;
    static const eg_source_ops ops = {.weigh = weigh_two};
    static const struct {
        eg_key keys[2];
        size_t n_keys;
        bool is_pair;
        uint64_t most; /* that such a group can have */
    } cases[] = {{{{EG_COL_SRCADDR, 32}, {EG_COL_DSTADDR, 32}}, 2, true, 101},
                 {{{EG_COL_SRCADDR, 32}, {EG_COL_DSTADDR, 32}}, 2, false, 50},
                 {{{EG_COL_SRCADDR, 32}}, 1, false, 50},
                 {{{EG_COL_DSTPORT, 32}, {EG_COL_DSTADDR, 32}}, 2, false, 50}};
    eg_source source = {&ops};
    eg_batch b;
    uint16_t rows[4];
    assert_int_equal(eg_batch_open(&b, ALL_VECTORS, NULL, NULL), EG_OK);
    b.n_rows = 4;
    memcpy(b.v.SRCADDR, (uint32_t[]){1, 2, 1, 7}, 16); /* 7 is in a bucket of nothing */
    memcpy(b.v.DSTADDR, (uint32_t[]){2, 1, 7, 7}, 16);
    eg_batch_select_all(&b);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        eg_group_spec spec = {
            .keys = cases[c].keys, .n_keys = cases[c].n_keys, .unordered_pair = cases[c].is_pair};
        eg_group_light l;
        eg_group_light_open(&l, &spec);
        assert_int_equal(eg_group_light_ask(&l, &source, NULL), EG_OK);
        eg_group_light_set(&l, cases[c].most);
        assert_true(l.is_on);
        uint32_t n = eg_group_light_pick(&l, &b, rows);
        assert_int_equal(n, l.by_source && !l.by_destination ? 3 : 2);
        assert_memory_equal(rows, ((uint16_t[]){0, 1}), 4);
        eg_group_light_set(&l, cases[c].most + 1);
        assert_int_equal(eg_group_light_pick(&l, &b, rows), 0);
        eg_group_light_set(&l, 0);
        assert_false(l.is_on);
        eg_group_light_close(&l);
    }
    eg_batch_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(light_rows_are_passed_over_and_answers_are_the_same),
        cmocka_unit_test(a_source_that_knows_of_some_rows_only_is_asked_once),
        cmocka_unit_test(rows_stay_up_to_the_last_that_counts),
        cmocka_unit_test(flat_sums_change_nothing),
        cmocka_unit_test(other_rankings_do_not_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
