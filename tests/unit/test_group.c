/* Claims of query/group.c and group_table.c: sums equal a naive sum, order is by
** measure and then key, a limit gives the head of that order, keys say what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "light.h"
#include "query/group.h"
#include "query/group_table.h"

#define ALL_VECTORS ((UINT64_C(1) << EG_N_VECTORS) - 1)
#define N_TEXTS 5
static const char *const texts[N_TEXTS] = {"z", "10.0.0.1", "2001:db8::1", "a", ""};

static uint64_t mixed(uint64_t n) {
    n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
    return n ^ (n >> 31);
}

/* Rows made from their number, so that the reference can make them again. */
static void make_row(eg_batch *b, uint32_t at, uint64_t number) {
    uint64_t r = mixed(number);
#define EG_VECTOR(ID, ctype) b->v.ID[at] = (ctype)(mixed(r + EG_VEC_##ID) % 7);
#include "flow/schema.def"
    b->v.SRCADDR[at] = UINT32_C(0x0a000000) + (uint32_t)(r % 300) * 77;
    b->v.DSTADDR[at] = UINT32_C(0xfffffff0) - (uint32_t)(r >> 32) % 40;
    if (r % 5 == 0) {
        uint32_t t = b->v.SRCADDR[at];
        b->v.SRCADDR[at] = b->v.DSTADDR[at];
        b->v.DSTADDR[at] = t;
    }
    b->v.EXPORTER[at] = (uint32_t)(r % N_TEXTS);
    b->v.FILE[at] = (uint32_t)((r >> 8) % N_TEXTS);
    b->v.BYTES[at] = (int64_t)(r % 3) * INT64_C(3000000000); /* below and above 32 bits */
    b->v.PACKETS[at] = r % 17 == 0 ? INT64_C(1) << 33 : r % 19 == 0 ? UINT32_MAX : (int64_t)(r % 7);
    b->v.RECEIVED_MS[at] = r % 11 == 0 ? EG_NO_TIME : (int64_t)(r % 3) - 1;
    b->v.START_MS[at] = (int64_t)(r % 13) - 6;
}

/* A source of `n_rows` made rows, in pieces of `piece_rows` that any thread may read. */
typedef struct made {
    eg_source source; /* must be first */
    uint64_t at, n_rows, piece_rows;
} made;

typedef struct made_piece {
    eg_piece base; /* must be first */
    uint64_t at, end;
} made_piece;

static eg_status made_next(eg_piece *piece, eg_batch *b, eg_err *err) {
    (void)err;
    made_piece *p = (made_piece *)piece;
    b->n_rows = 0;
    b->nulls = NULL;
    while (b->n_rows < 1000 && p->at < p->end)
        make_row(b, b->n_rows++, p->at++);
    return b->n_rows > 0 ? EG_OK : EG_DONE;
}

static void made_close_piece(eg_piece *piece, eg_scan_stats *stats) {
    if (stats != NULL)
        stats->files++;
    free(piece);
}

static const eg_piece_ops made_piece_ops = {.next = made_next, .close = made_close_piece};

static eg_status made_next_piece(eg_source *source, eg_piece **out, eg_err *err) {
    (void)err;
    made *m = (made *)source;
    if (m->at == m->n_rows)
        return EG_DONE;
    made_piece *p = calloc(1, sizeof *p);
    assert_non_null(p);
    uint64_t n_left = m->n_rows - m->at;
    p->base.ops = &made_piece_ops;
    p->at = m->at;
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

static const eg_source_ops made_ops = {.next_piece = made_next_piece,
                                       .progress = made_progress,
                                       .close = made_close,
                                       .is_independent = true};

typedef struct fixture {
    eg_intern *texts;
    eg_batch batch; /* of one row, for the reference */
} fixture;

static int set_up(void **state) {
    static fixture f;
    uint32_t code;
    assert_int_equal(eg_intern_open(&f.texts, NULL), EG_OK);
    for (size_t i = 0; i < N_TEXTS; i++)
        assert_int_equal(eg_intern_add(f.texts, texts[i], strlen(texts[i]), &code, NULL), EG_OK);
    assert_int_equal(eg_batch_open(&f.batch, ALL_VECTORS, f.texts, NULL), EG_OK);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    eg_batch_close(&f->batch);
    eg_intern_close(f->texts);
    return 0;
}

/* How a grouping is run. */
typedef struct manner {
    int n_threads;
    uint64_t piece_rows;
} manner;
static int64_t last_spilled; /* bytes, by the last run */
static const manner manners[] = {{0, UINT64_MAX}, {1, 700}, {2, 700}, {5, 90}};
#define N_MANNERS (sizeof manners / sizeof manners[0])

static eg_groups *run(fixture *f, const eg_group_spec *spec, uint64_t n_rows, manner how,
                      eg_poll poll, eg_status expected) {
    made m = {.source = {&made_ops}, .n_rows = n_rows, .piece_rows = how.piece_rows};
    eg_scan_spec scan_spec = {
        .vectors = ALL_VECTORS, .texts = f->texts, .n_threads = how.n_threads};
    eg_scan *scan;
    eg_groups *groups;
    eg_err err;
    assert_int_equal(eg_scan_open(&m.source, &scan_spec, poll, &scan, &err), EG_OK);
    assert_int_equal(eg_group_run(scan, f->texts, spec, &groups, &err), expected);
    int64_t done, total, n_read;
    eg_scan_progress(scan, &done, &total, &n_read);
    eg_scan_stats stats = {0};
    eg_scan_close(scan, &stats);
    last_spilled = stats.bytes_spilled;
    if (expected == EG_OK) {
        assert_int_equal(n_read, n_rows);
        assert_int_equal(stats.rows_kept, n_rows);
        assert_int_equal(stats.files, n_rows / how.piece_rows + (n_rows % how.piece_rows > 0));
    }
    return groups;
}

/* The reference: a list searched from the front. */
typedef struct naive {
    eg_group_row rows[20000];
    size_t n;
} naive;

static void naive_sum(fixture *f, const eg_group_spec *spec, uint64_t n_rows, naive *out) {
    out->n = 0;
    for (uint64_t number = 0; number < n_rows; number++) {
        int64_t keys[EG_GROUP_MAX_KEYS] = {0};
        make_row(&f->batch, 0, number);
        for (size_t i = 0; i < spec->n_keys; i++) {
            keys[i] = eg_batch_number(&f->batch, spec->keys[i].col, 0);
            unsigned bits = spec->keys[i].prefix_bits;
            if (bits < 32)
                keys[i] = bits == 0 ? 0 : keys[i] >> (32 - bits) << (32 - bits);
        }
        if (spec->unordered_pair && keys[0] > keys[1]) {
            int64_t t = keys[0];
            keys[0] = keys[1];
            keys[1] = t;
        }
        size_t i = 0;
        while (i < out->n && memcmp(out->rows[i].keys, keys, sizeof keys) != 0)
            i++;
        if (i == out->n) {
            assert_true(out->n < sizeof out->rows / sizeof out->rows[0]);
            memset(&out->rows[out->n], 0, sizeof out->rows[0]);
            memcpy(out->rows[out->n++].keys, keys, sizeof keys);
        }
        out->rows[i].bytes += f->batch.v.BYTES[0];
        out->rows[i].packets += f->batch.v.PACKETS[0];
        out->rows[i].flows++;
    }
}

static const eg_group_spec *order_spec;

static int by_order(const void *a, const void *b) {
    const eg_group_row *x = a, *y = b;
    int64_t m = order_spec->measure == EG_MEASURE_BYTES     ? x->bytes - y->bytes
                : order_spec->measure == EG_MEASURE_PACKETS ? x->packets - y->packets
                                                            : x->flows - y->flows;
    if (m != 0)
        return m > 0 ? -1 : 1;
    for (size_t i = 0; i < order_spec->n_keys; i++) {
        if (x->keys[i] == y->keys[i])
            continue;
        if (eg_column_about(order_spec->keys[i].col)->kind == EG_KIND_TEXT)
            return strcmp(texts[x->keys[i]], texts[y->keys[i]]);
        return x->keys[i] < y->keys[i] ? -1 : 1;
    }
    return 0;
}

static void check(fixture *f, eg_group_spec spec, uint64_t n_rows) {
    static naive expected;
    naive_sum(f, &spec, n_rows, &expected);
    for (int m = EG_MEASURE_BYTES; m <= EG_MEASURE_FLOWS; m++) {
        spec.measure = (eg_measure)m;
        order_spec = &spec;
        qsort(expected.rows, expected.n, sizeof expected.rows[0], by_order);
        const uint64_t limits[] = {0, 1, 7, expected.n > 1 ? expected.n - 1 : 1, expected.n + 5};
        for (size_t l = 0; l < sizeof limits / sizeof limits[0]; l++) {
            spec.limit = limits[l];
            eg_groups *g = run(f, &spec, n_rows, manners[l % N_MANNERS], (eg_poll){0}, EG_OK);
            uint64_t n = limits[l] > 0 && limits[l] < expected.n ? limits[l] : expected.n;
            assert_int_equal(eg_groups_count(g), n);
            for (uint64_t i = 0; i < n; i++) {
                eg_group_row row = {0};
                assert_int_equal(eg_groups_next(g, &row, NULL), EG_OK);
                assert_memory_equal(row.keys, expected.rows[i].keys,
                                    spec.n_keys * sizeof row.keys[0]);
                assert_int_equal(row.bytes, expected.rows[i].bytes);
                assert_int_equal(row.packets, expected.rows[i].packets);
                assert_int_equal(row.flows, expected.rows[i].flows);
            }
            eg_groups_close(g);
        }
    }
}

static void many_key_sets_sum_and_order_as_a_naive_sum(void **state) {
    static const char *const sets[] = {"srcaddr",
                                       "dstaddr/28",
                                       "srcaddr/24, dstport",
                                       "srcaddr,dstaddr,protocol,srcport,dstport",
                                       "exporter,input",
                                       "file,exporter",
                                       "received_time",
                                       "start_time,protocol",
                                       "start_ms,end_ms,received_time",
                                       "nexthop/0",
                                       "src_as,dst_as",
                                       "tcp_flags,tos,engine_id,sampling_interval,time_flag"};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        eg_key keys[EG_GROUP_MAX_KEYS];
        eg_group_spec spec = {.keys = keys};
        assert_int_equal(eg_group_parse_keys(sets[i], strlen(sets[i]), keys, &spec.n_keys, NULL),
                         EG_OK);
        check(*state, spec, 3000);
    }
}

static void unordered_pairs_sum_both_ways(void **state) {
    const eg_key pair[2] = {{EG_COL_SRCADDR, 32}, {EG_COL_DSTADDR, 32}};
    check(*state, (eg_group_spec){.keys = pair, .n_keys = 2, .unordered_pair = true}, 5000);
}

static void no_rows_give_no_groups(void **state) {
    const eg_key key = {EG_COL_SRCADDR, 32};
    eg_group_spec spec = {.keys = &key, .n_keys = 1};
    eg_groups *g = run(*state, &spec, 0, manners[2], (eg_poll){0}, EG_OK);
    assert_int_equal(eg_groups_count(g), 0);
    eg_groups_close(g);
}

static bool always(void *arg) {
    ++*(int *)arg;
    return true;
}

static void host_can_stop_a_grouping(void **state) {
    const eg_key key = {EG_COL_SRCADDR, 32};
    eg_group_spec spec = {.keys = &key, .n_keys = 1};
    for (size_t i = 0; i < N_MANNERS; i++) {
        int polls = 0;
        assert_null(
            run(*state, &spec, UINT64_MAX, manners[i], (eg_poll){always, &polls}, EG_INTERRUPT));
        assert_int_equal(polls, 1);
    }
}

/* The rows of a run, in order, as one number. */
static uint64_t digest(eg_groups *g, uint64_t *n_rows) {
    eg_group_row row = {0}; /* keys that there are none of are not set */
    eg_status rc;
    uint64_t hash = 0;
    *n_rows = 0;
    while ((rc = eg_groups_next(g, &row, NULL)) == EG_OK) {
        for (int i = 0; i < EG_GROUP_MAX_KEYS; i++)
            hash = mixed(hash + (uint64_t)row.keys[i]);
        hash = mixed(mixed(mixed(hash + (uint64_t)row.bytes) + (uint64_t)row.packets) +
                     (uint64_t)row.flows);
        ++*n_rows;
    }
    assert_int_equal(rc, EG_DONE);
    assert_int_equal(*n_rows, eg_groups_count(g));
    eg_groups_close(g);
    return hash;
}

static void a_tiny_memory_limit_spills_and_changes_nothing(void **state) {
    static const char names[] = "srcaddr,dstaddr,srcport,dstport,protocol,tos,exporter";
    static const uint64_t limits[] = {0, 100, 70000};
    const uint64_t n_rows = 200000;
    eg_key keys[EG_GROUP_MAX_KEYS] = {0};
    eg_group_spec spec = {.keys = keys};
    assert_int_equal(eg_group_parse_keys(names, strlen(names), keys, &spec.n_keys, NULL), EG_OK);
    for (size_t l = is_light() ? 2 : 0; l < sizeof limits / sizeof limits[0]; l++) {
        uint64_t n, n_expected;
        spec.limit = limits[l];
        spec.memory_bytes = 0;
        uint64_t expected =
            digest(run(*state, &spec, n_rows, manners[0], (eg_poll){0}, EG_OK), &n_expected);
        assert_int_equal(last_spilled, 0);
        assert_true(limits[l] > 0 ? n_expected == limits[l] : n_expected > 70000);
        for (size_t i = 0; i < 3; i += is_watched() ? 2 : 1) {
            spec.memory_bytes = 1;
            manner how = manners[i];
            how.piece_rows = how.piece_rows < 5000 ? 5000 : how.piece_rows;
            assert_true(digest(run(*state, &spec, n_rows, how, (eg_poll){0}, EG_OK), &n) ==
                        expected);
            assert_int_equal(n, n_expected);
            assert_true(last_spilled > 1000000);
        }
    }
}

static void a_temporary_folder_that_is_none_is_named(void **state) {
    eg_spill *s;
    eg_err err;
    int64_t offset;
    (void)state;
    assert_int_equal(setenv("SQLITE_TMPDIR", "/nowhere/at/all", 1), 0);
    assert_int_equal(eg_spill_open(&s, &err), EG_OK);
    assert_int_equal(eg_spill_write(s, "x", 1, &offset, &err), EG_IO);
    assert_string_equal(err.msg, "/nowhere/at/all: a temporary file for what exceeds the memory "
                                 "limit cannot be made: No such file or directory");
    eg_spill_close(s);
    assert_int_equal(unsetenv("SQLITE_TMPDIR"), 0);
}

static void a_temporary_file_that_cannot_grow_is_an_error(void **state) {
    (void)state;
    static const uint8_t bytes[100000];
    struct rlimit old, small;
    eg_spill *s;
    eg_err err;
    int64_t offset;
    uint8_t back[100];
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 150000;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(eg_spill_open(&s, &err), EG_OK);
    assert_int_equal(eg_spill_write(s, "0123456789", 10, &offset, &err), EG_OK);
    assert_int_equal(eg_spill_write(s, bytes, sizeof bytes, &offset, &err), EG_OK);
    assert_int_equal(offset, 10);
    assert_int_equal(eg_spill_write(s, bytes, sizeof bytes, &offset, &err), EG_IO);
    assert_non_null(strstr(err.msg, "memory limit cannot be written: File too large"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(eg_spill_read(s, back, 10, 0, &err), EG_OK);
    assert_memory_equal(back, "0123456789", 10);
    eg_spill_close(s);
    eg_spill_close(NULL);
}

/* Adds rows of n_keys distinct one-word keys, from lanes in turn, and sums as a run does. */
static eg_group_table *fill_table(const eg_group_plan *plan, uint64_t n_rows, uint64_t n_keys) {
    static uint64_t words[EG_BATCH_ROWS];
    static int64_t ones[EG_BATCH_ROWS];
    static uint16_t all[EG_BATCH_ROWS];
    const uint64_t *columns[EG_GROUP_MAX_WORDS] = {words};
    eg_group_table *t;
    assert_int_equal(eg_group_table_open(plan, &t, NULL), EG_OK);
    for (uint64_t n = 0; n < n_rows; n += EG_BATCH_ROWS) {
        for (uint64_t i = 0; i < EG_BATCH_ROWS; i++) {
            words[i] = mixed((n + i) % n_keys);
            ones[i] = 1;
            all[i] = (uint16_t)i;
        }
        int lane = (int)(n / EG_BATCH_ROWS) % plan->n_lanes;
        assert_int_equal(eg_group_table_add(t, lane, columns, ones, ones, all, EG_BATCH_ROWS, NULL),
                         EG_OK);
        if (eg_group_table_is_full(t))
            assert_int_equal(eg_group_table_gather(t, NULL), EG_OK);
        for (size_t p = 0; eg_group_table_is_full(t) && p < EG_GROUP_PARTITIONS; p++)
            assert_int_equal(eg_group_table_sum(t, lane, p, NULL), EG_OK);
        if (eg_group_table_is_full(t))
            eg_group_table_empty(t);
    }
    return t;
}

static void what_was_added_comes_back_at_forty_bytes_a_pair_at_most(void **state) {
    (void)state;
    const uint64_t n_pairs = 500000, n_rows = 1500 * EG_BATCH_ROWS;
    for (int drops = 0; drops < 2; drops++) {
        const eg_group_plan plan = {.n_words = 1, .n_lanes = 3, .drops = drops};
        eg_group_table *t = fill_table(&plan, n_rows, n_pairs);
        assert_int_equal(eg_group_table_gather(t, NULL), EG_OK);
        assert_true(8 * eg_group_table_width(t) <= 40);
        uint64_t sum_of_keys = 0, expected = 0, n_groups = 0, n_flows = 0;
        for (size_t p = 0; p < EG_GROUP_PARTITIONS; p++) {
            const uint64_t *e;
            uint64_t key[EG_GROUP_MAX_WORDS];
            uint32_t n;
            assert_int_equal(
                eg_group_table_finish(t, (int)p % 3, p, (eg_group_bound){0}, &e, &n, NULL), EG_OK);
            n_groups += n;
            for (uint32_t i = 0; i < n; i++, e += eg_group_table_width(t)) {
                eg_group_table_key(t, e, key);
                sum_of_keys += key[0];
                assert_int_equal(e[1], e[3]);
                assert_int_equal(e[2], e[3]);
                n_flows += e[3];
            }
        }
        for (uint64_t i = 0; i < n_pairs; i++)
            expected += mixed(i);
        assert_true(sum_of_keys == expected);
        assert_int_equal(n_groups, n_pairs);
        assert_int_equal(n_flows, n_rows);
        assert_int_equal(eg_group_table_count(t), drops ? 0 : n_pairs);
        eg_group_table_close(t);
    }
}

static void few_keys_hardly_wait(void **state) {
    (void)state;
    const eg_group_plan plan = {.n_words = 1, .n_lanes = 2, .drops = true};
    const uint64_t n_rows = 2000 * EG_BATCH_ROWS; /* 100 MB, if they waited */
    static const uint64_t n_keys[] = {1, 6, 700};
    for (size_t k = 0; k < 3; k++) {
        eg_group_table *t;
        static uint64_t words[EG_BATCH_ROWS];
        static int64_t ones[EG_BATCH_ROWS];
        static uint16_t all[EG_BATCH_ROWS];
        const uint64_t *columns[EG_GROUP_MAX_WORDS] = {words};
        assert_int_equal(eg_group_table_open(&plan, &t, NULL), EG_OK);
        for (uint64_t n = 0; n < n_rows; n += EG_BATCH_ROWS) {
            for (uint64_t i = 0; i < EG_BATCH_ROWS; i++) {
                words[i] = mixed((n + i) % n_keys[k]);
                ones[i] = INT64_C(1) << 40;
                all[i] = (uint16_t)i;
            }
            assert_int_equal(eg_group_table_add(t, n / EG_BATCH_ROWS % 2, columns, ones, ones, all,
                                                EG_BATCH_ROWS, NULL),
                             EG_OK);
            assert_false(eg_group_table_is_full(t));
        }
        assert_int_equal(eg_group_table_gather(t, NULL), EG_OK);
        uint64_t n_groups = 0, n_flows = 0;
        for (size_t p = 0; p < EG_GROUP_PARTITIONS; p++) {
            const uint64_t *e;
            uint32_t n;
            assert_int_equal(eg_group_table_finish(t, 0, p, (eg_group_bound){0}, &e, &n, NULL),
                             EG_OK);
            n_groups += n;
            for (uint32_t i = 0; i < n; i++, e += eg_group_table_width(t)) {
                assert_true(e[1] == e[3] << 40);
                n_flows += e[3];
            }
        }
        assert_int_equal(n_groups, n_keys[k]);
        assert_int_equal(n_flows, n_rows);
        eg_group_table_close(t);
    }
}

/* A piece whose second batch has NULLs in srcaddr and in the counters. */
static eg_status null_next(eg_piece *piece, eg_batch *b, eg_err *err) {
    made_piece *m = (made_piece *)piece;
    b->n_rows = 0;
    b->nulls = NULL;
    if (m->at == 20)
        return EG_DONE;
    for (; b->n_rows < 10; m->at++) {
        uint32_t i = b->n_rows++;
        b->v.SRCADDR[i] = b->v.DSTADDR[i] = (uint32_t)m->at / 5;
        b->v.BYTES[i] = b->v.PACKETS[i] = 1;
    }
    if (m->at == 20) {
        eg_status rc = eg_batch_need_nulls(b, err);
        if (rc != EG_OK)
            return rc;
        for (uint32_t i = 5; i < 8; i++) {
            b->nulls[i] = EG_VECTOR_BIT(EG_VEC_SRCADDR) | EG_VECTOR_BIT(EG_VEC_BYTES);
            b->v.SRCADDR[i] = 0;
            b->v.BYTES[i] = 0;
        }
    }
    return EG_OK;
}

static const eg_piece_ops null_piece_ops = {.next = null_next, .close = made_close_piece};

static eg_status null_next_piece(eg_source *source, eg_piece **out, eg_err *err) {
    eg_status rc = made_next_piece(source, out, err);
    if (rc == EG_OK)
        (*out)->ops = &null_piece_ops;
    return rc;
}

static const eg_source_ops null_ops = {.next_piece = null_next_piece,
                                       .progress = made_progress,
                                       .close = made_close,
                                       .is_independent = true};

static void null_counters_add_nothing_and_null_keys_are_refused(void **state) {
    fixture *f = *state;
    static const eg_key by_dst[] = {{EG_COL_DSTADDR, 32}};
    static const eg_key by_both[] = {{EG_COL_DSTADDR, 32}, {EG_COL_SRCADDR, 24}};
    for (int way = 0; way < 8; way++) {
        made m = {.source = {&null_ops}, .n_rows = 1, .piece_rows = 1};
        eg_group_spec spec = {.keys = way % 4 == 1 || way % 4 == 2 ? by_both : by_dst,
                              .n_keys = way % 4 == 1 || way % 4 == 2 ? 2 : 1};
        static const eg_key pair[] = {{EG_COL_SRCADDR, 32}, {EG_COL_DSTADDR, 32}};
        if (way % 4 == 3)
            spec = (eg_group_spec){.keys = pair, .n_keys = 2, .unordered_pair = true};
        eg_predicate where = {0};
        if (way % 4 == 2)
            assert_int_equal(eg_predicate_null(&where, EG_COL_SRCADDR, true, NULL), EG_OK);
        eg_scan_spec scan_spec = {.vectors =
                                      eg_group_vectors(&spec) | EG_VECTOR_BIT(EG_VEC_SRCADDR),
                                  .where = &where,
                                  .texts = f->texts,
                                  .n_threads = way < 4 ? 0 : 2};
        eg_scan *scan;
        eg_groups *g;
        eg_group_row row;
        eg_err err;
        assert_int_equal(eg_scan_open(&m.source, &scan_spec, (eg_poll){0}, &scan, &err), EG_OK);
        eg_status rc = eg_group_run(scan, f->texts, &spec, &g, &err);
        if (way % 4 == 1 || way % 4 == 3) {
            assert_int_equal(rc, EG_UNSUPPORTED);
            assert_non_null(strstr(err.msg, "key 'srcaddr' is NULL in some rows"));
        } else {
            assert_int_equal(rc, EG_OK);
            assert_int_equal(eg_groups_count(g), 4);
            for (int i = 0; i < 4; i++) /* the last: the fewest bytes */
                assert_int_equal(eg_groups_next(g, &row, NULL), EG_OK);
            assert_int_equal(eg_groups_next(g, &row, NULL), EG_DONE);
            assert_int_equal(row.keys[0], 3);
            assert_int_equal(row.bytes, 2);
            assert_int_equal(row.packets, way % 4 == 0 ? 5 : 2);
            assert_int_equal(row.flows, way % 4 == 0 ? 5 : 2);
            eg_groups_close(g);
        }
        eg_scan_close(scan, NULL);
        eg_predicate_clear(&where);
    }
}

static void bad_keys_are_refused_with_their_name(void **state) {
    (void)state;
    static const struct {
        const char *keys, *said;
    } cases[] = {
        {"", "has an empty key"},
        {"srcaddr,", "has an empty key"},
        {"srcadr", "key 'srcadr' is no column"},
        {"bytes", "key 'bytes' is a counter and is summed"},
        {"packets_est", "key 'packets_est' is a counter"},
        {"srcaddr,dstaddr,SRCADDR", "key 'srcaddr' is given twice"},
        {"srcport/8", "key 'srcport/8': expected a prefix length"},
        {"srcaddr/33", "key 'srcaddr/33': expected a prefix length"},
        {"srcaddr/", "expected a prefix length"},
        {"srcaddr/x", "expected a prefix length"},
        {"tos,input,output,src_as,dst_as,src_mask,dst_mask,proto,srcport", "expected at most 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eg_key keys[EG_GROUP_MAX_KEYS];
        size_t n;
        eg_err err;
        assert_int_equal(eg_group_parse_keys(cases[i].keys, strlen(cases[i].keys), keys, &n, &err),
                         EG_MISUSE);
        if (strstr(err.msg, cases[i].said) == NULL)
            fail_msg("'%s' said: %s", cases[i].keys, err.msg);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_key_sets_sum_and_order_as_a_naive_sum),
        cmocka_unit_test(unordered_pairs_sum_both_ways),
        cmocka_unit_test(no_rows_give_no_groups),
        cmocka_unit_test(host_can_stop_a_grouping),
        cmocka_unit_test(a_tiny_memory_limit_spills_and_changes_nothing),
        cmocka_unit_test(a_temporary_folder_that_is_none_is_named),
        cmocka_unit_test(a_temporary_file_that_cannot_grow_is_an_error),
        cmocka_unit_test(what_was_added_comes_back_at_forty_bytes_a_pair_at_most),
        cmocka_unit_test(few_keys_hardly_wait),
        cmocka_unit_test(null_counters_add_nothing_and_null_keys_are_refused),
        cmocka_unit_test(bad_keys_are_refused_with_their_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
