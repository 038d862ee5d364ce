/* Claims of query/scan_spread.c and team.c: every row that passes is taken once, whatever the
** number of threads; pieces are opened and closed on the host's thread; a failure is the one that a
** serial scan tells; room is made while nobody takes; a loop does every step once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "query/scan_spread.h"

/* Pieces of batches of 0 to 3 rows, each row its number. */
typedef struct numbers {
    eg_source source; /* must be first */
    int n_pieces, n_batches, at_piece;
    int fail_open, fail_piece, fail_batch; /* -1 never */
    int n_open, most_open;
    atomic_bool was_elsewhere;
    pthread_t home;
} numbers;

typedef struct number_piece {
    eg_piece base; /* must be first */
    numbers *of;
    int piece, at;
} number_piece;

static uint32_t rows_of(int piece, int batch) {
    return (uint32_t)(piece * 7 + batch * 5) % 4;
}

static eg_status numbers_next(eg_piece *base, eg_batch *b, eg_err *err) {
    number_piece *p = (number_piece *)base;
    numbers *s = p->of;
    if (!pthread_equal(pthread_self(), s->home))
        atomic_store(&s->was_elsewhere, true);
    if ((p->piece * 31 + p->at) % 29 == 0) {
        const struct timespec wait = {.tv_nsec = 300000};
        nanosleep(&wait, NULL);
    }
    b->n_rows = 0;
    b->nulls = NULL;
    if (p->at == s->n_batches)
        return EG_DONE;
    if (p->piece == s->fail_piece && p->at == s->fail_batch)
        return eg_fail(err, EG_IO, 17, "piece %d failed", p->piece);
    b->n_rows = rows_of(p->piece, p->at);
    for (uint32_t i = 0; i < b->n_rows; i++)
        b->v.FLOW_SEQUENCE[i] = (p->piece * 1000 + p->at) * 4 + (int)i;
    p->at++;
    return EG_OK;
}

static void numbers_close_piece(eg_piece *base, eg_scan_stats *stats) {
    number_piece *p = (number_piece *)base;
    assert_true(pthread_equal(pthread_self(), p->of->home));
    p->of->n_open--;
    stats->row_groups++;
    free(p);
}

static const eg_piece_ops number_piece_ops = {numbers_next, numbers_close_piece};

static eg_status numbers_next_piece(eg_source *source, eg_piece **out, eg_err *err) {
    numbers *s = (numbers *)source;
    assert_true(pthread_equal(pthread_self(), s->home));
    if (s->at_piece == s->fail_open)
        return eg_fail(err, EG_CORRUPT, -1, "opening %d failed", s->at_piece);
    if (s->at_piece == s->n_pieces)
        return EG_DONE;
    number_piece *p = calloc(1, sizeof *p);
    assert_non_null(p);
    *p = (number_piece){.base = {.ops = &number_piece_ops}, .of = s, .piece = s->at_piece++};
    s->n_open++;
    s->most_open = s->n_open > s->most_open ? s->n_open : s->most_open;
    *out = &p->base;
    return EG_OK;
}

static void numbers_progress(const eg_source *source, int64_t *done_bytes, int64_t *total_bytes) {
    (void)source;
    *done_bytes = *total_bytes = 0;
}

static void numbers_close(eg_source *source, eg_scan_stats *stats) {
    (void)source, (void)stats;
}

static const eg_source_ops number_ops = {.next_piece = numbers_next_piece,
                                         .progress = numbers_progress,
                                         .close = numbers_close,
                                         .is_independent = true};
static const eg_source_ops dependent_ops = {
    .next_piece = numbers_next_piece, .progress = numbers_progress, .close = numbers_close};

static numbers make_numbers(int n_pieces, int n_batches) {
    return (numbers){.source = {&number_ops},
                     .n_pieces = n_pieces,
                     .n_batches = n_batches,
                     .fail_open = -1,
                     .fail_piece = -1,
                     .fail_batch = -1,
                     .home = pthread_self()};
}

/* Takes rows, and is full after every 50 of them. */
typedef struct sums {
    atomic_llong n_rows, sum, n_takers;
    atomic_int n_waiting;
    int n_rooms;
    eg_status refuses; /* a row of number 20000 or more */
} sums;

static eg_status take(void *arg, int lane, const eg_batch *b, eg_err *err) {
    sums *t = arg;
    assert_in_range(lane, 0, 7);
    for (uint32_t i = 0; i < b->n_sel; i++)
        if (t->refuses != EG_OK && b->v.FLOW_SEQUENCE[b->sel[i]] >= 20000)
            return eg_fail(err, t->refuses, -1, "row %lld",
                           (long long)b->v.FLOW_SEQUENCE[b->sel[i]] / 4000);
    atomic_fetch_add(&t->n_takers, 1);
    for (uint32_t i = 0; i < b->n_sel; i++)
        atomic_fetch_add(&t->sum, b->v.FLOW_SEQUENCE[b->sel[i]]);
    atomic_fetch_add(&t->n_rows, b->n_sel);
    atomic_fetch_add(&t->n_waiting, (int)b->n_sel);
    atomic_fetch_sub(&t->n_takers, 1);
    return EG_OK;
}

static bool is_full(void *arg) {
    return atomic_load(&((sums *)arg)->n_waiting) > 50;
}

static eg_status make_room(void *arg, eg_err *err) {
    sums *t = arg;
    (void)err;
    assert_int_equal(atomic_load(&t->n_takers), 0);
    atomic_store(&t->n_waiting, 0);
    t->n_rooms++;
    return EG_OK;
}

typedef struct seen {
    eg_status rc;
    char words[64];
    eg_scan_stats stats;
    int64_t n_read;
} seen;

static seen run(numbers *s, const eg_predicate *where, int n_threads, sums *t, eg_poll poll) {
    const eg_scan_taker taker = {t, take, is_full, make_room};
    eg_scan_spec spec = {.vectors = EG_VECTOR_BIT(EG_VEC_FLOW_SEQUENCE), .where = where};
    seen out = {0};
    eg_team team;
    eg_scan *scan;
    eg_err err = {0};
    int64_t done, total;
    assert_int_equal(eg_team_open(&team, n_threads, &err), EG_OK);
    assert_int_equal(team.n_lanes, n_threads);
    assert_int_equal(eg_scan_open(&s->source, &spec, poll, &scan, &err), EG_OK);
    out.rc = eg_scan_spread(scan, &team, &taker, &err);
    if (out.rc != EG_OK)
        (void)snprintf(out.words, sizeof out.words, "%.60s", err.msg);
    eg_scan_progress(scan, &done, &total, &out.n_read);
    eg_scan_close(scan, &out.stats);
    eg_team_close(&team);
    assert_int_equal(s->n_open, 0);
    return out;
}

static void every_row_is_taken_once(void **state) {
    (void)state;
    static const int cases[][3] = {{1, 10, 0}, {9, 100, 0}, {9, 100, 9000},
                                   {60, 3, 0}, {40, 0, 0},  {0, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eg_predicate where = {0};
        sums expected = {0};
        assert_int_equal(
            eg_predicate_range(&where, EG_COL_FLOW_SEQUENCE, cases[i][2], 1000000, false, NULL),
            EG_OK);
        numbers serial = make_numbers(cases[i][0], cases[i][1]);
        seen first = run(&serial, &where, 1, &expected, (eg_poll){0});
        assert_int_equal(first.rc, EG_OK);
        assert_false(serial.was_elsewhere);
        for (int n_threads = 2; n_threads <= 8; n_threads += 3) {
            numbers s = make_numbers(cases[i][0], cases[i][1]);
            sums found = {0};
            seen r = run(&s, &where, n_threads, &found, (eg_poll){0});
            assert_int_equal(r.rc, EG_OK);
            assert_true(found.n_rows == expected.n_rows);
            assert_true(found.sum == expected.sum);
            assert_int_equal(r.n_read, first.n_read);
            assert_memory_equal(&r.stats, &first.stats, sizeof r.stats);
            assert_true(s.most_open <= 2 * n_threads);
            assert_true(found.n_rooms > 0 || found.n_rows < 50);
        }
        eg_predicate_clear(&where);
    }
}

/* In one scan the host's thread may be the first everywhere, by chance. */
static void other_threads_take_part(void **state) {
    (void)state;
    bool was_elsewhere = false;
    for (int i = 0; i < 10000 && !was_elsewhere; i++) {
        numbers s = make_numbers(9, 100);
        sums found = {0};
        assert_int_equal(run(&s, NULL, 2, &found, (eg_poll){0}).rc, EG_OK);
        was_elsewhere = s.was_elsewhere;
    }
    assert_true(was_elsewhere);
}

static void a_failure_is_the_one_of_a_serial_scan(void **state) {
    (void)state;
    for (int piece = 0; piece < 6; piece++)
        for (int way = 0; way < 4; way++) {
            seen found[2];
            for (int n_threads = 1; n_threads <= 4; n_threads += 3) {
                sums t = {.refuses = way == 3 ? EG_UNSUPPORTED : EG_OK};
                numbers s = make_numbers(9, 60);
                s.fail_open = way == 0 ? piece : -1;
                s.fail_piece = way == 1 || way == 2 ? piece : way == 3 ? 8 : -1;
                s.fail_batch = way == 1 ? 0 : 33;
                found[n_threads > 1] = run(&s, NULL, n_threads, &t, (eg_poll){0});
            }
            assert_int_equal(found[0].rc, way == 0   ? EG_CORRUPT
                                          : way == 3 ? EG_UNSUPPORTED
                                                     : EG_IO);
            assert_int_equal(found[1].rc, found[0].rc);
            assert_string_equal(found[1].words, found[0].words);
        }
}

static bool stop_later(void *arg) {
    return ++*(int *)arg > 2;
}

static void the_host_can_stop_it(void **state) {
    (void)state;
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        numbers s = make_numbers(1000000, 100);
        sums t = {0};
        int n_asked = 0;
        seen r = run(&s, NULL, n_threads, &t, (eg_poll){stop_later, &n_asked});
        assert_int_equal(r.rc, EG_INTERRUPT);
        assert_int_equal(n_asked, 3);
    }
}

static void sources_that_depend_stay_on_one_thread(void **state) {
    (void)state;
    numbers s = make_numbers(9, 100);
    sums t = {0};
    s.source.ops = &dependent_ops;
    assert_int_equal(run(&s, NULL, 3, &t, (eg_poll){0}).rc, EG_OK);
    assert_true(t.n_rows > 1000);
    assert_false(s.was_elsewhere);
    assert_int_equal(s.most_open, 1);
}

/* ---- loops -------------------------------------------------------------- */

typedef struct steps {
    atomic_int n[1000];
    int fails;
    eg_team *team;
} steps;

static eg_status step(void *arg, int lane, size_t item, eg_err *err) {
    steps *s = arg;
    assert_in_range(lane, 0, s->team->n_lanes - 1);
    atomic_fetch_add(&s->n[item], 1);
    return (int)item == s->fails ? eg_fail(err, EG_LIMIT, -1, "step %zu", item) : EG_OK;
}

static eg_status stops(void *arg, eg_err *err) {
    return ++*(int *)arg > 3 ? eg_fail(err, EG_INTERRUPT, -1, "stopped") : EG_OK;
}

static void a_loop_does_every_step_once(void **state) {
    (void)state;
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        steps s = {.fails = -1};
        eg_team team;
        eg_err err;
        assert_int_equal(eg_team_open(&team, n_threads, NULL), EG_OK);
        s.team = &team;
        assert_int_equal(eg_team_each(&team, 1000, step, &s, NULL, NULL, &err), EG_OK);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(s.n[i], 1);
        assert_int_equal(eg_team_each(&team, 0, step, &s, NULL, NULL, &err), EG_OK);
        s.fails = 700;
        assert_int_equal(eg_team_each(&team, 1000, step, &s, NULL, NULL, &err), EG_LIMIT);
        assert_string_equal(err.msg, "step 700");
        s.fails = -1;
        int n_asked = 0;
        if (n_threads == 1) { /* else the workers may be done with all of it before */
            assert_int_equal(eg_team_each(&team, 1000, step, &s, stops, &n_asked, &err),
                             EG_INTERRUPT);
            assert_int_equal(s.n[2], 3);
            assert_int_equal(s.n[900], 1);
        }
        eg_team_close(&team);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_taken_once),
        cmocka_unit_test(other_threads_take_part),
        cmocka_unit_test(a_failure_is_the_one_of_a_serial_scan),
        cmocka_unit_test(the_host_can_stop_it),
        cmocka_unit_test(sources_that_depend_stay_on_one_thread),
        cmocka_unit_test(a_loop_does_every_step_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
