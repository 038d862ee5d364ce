/* Claims of query/scan_ahead.c: read ahead or serially, a scan gives the same rows with the
** same numbers in the same order, however they are gathered into batches, fails at the same row
** with the same words, reads not before the second piece or much of the first, or before that says
** that it has few rows, and not past a few pieces, and stops its workers when it is closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "query/scan.h"
#include "query/scan_ahead.h"

/* Pieces of many batches of 0 to 3 rows, each row its number in the source, read at any
** speed on any thread. */
typedef struct numbers {
    eg_source source; /* must be first */
    int n_pieces, n_batches, at_piece;
    int fail_open, fail_piece, fail_batch; /* -1 never */
    bool is_slow;
    bool has_few;                         /* each piece says so before its first batch */
    bool is_wide, has_nulls, has_numbers; /* batches of 4,096 rows; NULLs; numbers of its own */
    int n_open, most_open;                /* pieces */
    atomic_int n_opened, n_read;
    atomic_bool was_elsewhere; /* read on another thread than the test's */
    pthread_t home;
} numbers;

typedef struct number_piece {
    eg_piece base; /* must be first */
    numbers *of;
    int piece, at;
    int64_t n_rows;
} number_piece;

static uint32_t rows_of(const numbers *s, int piece, int batch) {
    return s->is_wide ? EG_BATCH_ROWS : (uint32_t)(piece * 7 + batch * 5) % 4;
}

static int64_t number_of(const numbers *s, int piece, int batch, uint32_t row) {
    return s->is_wide ? row * 1000 + piece * 64 + batch : ((int64_t)piece * 1000 + batch) * 4 + row;
}

static eg_status fill_extras(const numbers *s, int64_t seed, eg_batch *b, eg_err *err) {
    eg_status rc = s->has_numbers ? eg_batch_need_numbers(b, err) : EG_OK;
    for (uint32_t i = 0; rc == EG_OK && s->has_numbers && i < b->n_rows; i++)
        b->numbers[i] = seed * 1000000 + i * 3;
    if (rc == EG_OK && s->has_nulls && seed % 3 != 0)
        rc = eg_batch_need_nulls(b, err);
    for (uint32_t i = 0; rc == EG_OK && b->nulls != NULL && i < b->n_rows; i++)
        b->nulls[i] = i % 7 == 0 ? EG_VECTOR_BIT(EG_VEC_TOS) : 0;
    return rc;
}

static eg_status numbers_next(eg_piece *base, eg_batch *b, eg_err *err) {
    number_piece *p = (number_piece *)base;
    numbers *s = p->of;
    if (!pthread_equal(pthread_self(), s->home))
        atomic_store(&s->was_elsewhere, true);
    if (s->is_slow || (p->piece + p->at) % 13 == 0) {
        const struct timespec wait = {.tv_nsec = s->is_slow ? 3000000 : 100000};
        nanosleep(&wait, NULL);
    }
    if (s->has_few && !p->base.has_few) {
        p->base.has_few = true;
        b->n_rows = 0;
        return EG_OK;
    }
    if (p->at == s->n_batches)
        return EG_DONE;
    if (p->piece == s->fail_piece && p->at == s->fail_batch)
        return eg_fail(err, EG_IO, 17, "piece %d failed", p->piece);
    b->n_rows = rows_of(s, p->piece, p->at);
    b->nulls = NULL;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        int64_t n = number_of(s, p->piece, p->at, i);
        b->v.FLOW_SEQUENCE[i] = (uint32_t)n;
        b->v.TOS[i] = (uint8_t)(n * 7);
        b->v.SRCPORT[i] = (uint16_t)(n * 11);
        b->v.END_MS[i] = n * 13;
    }
    eg_status rc = fill_extras(s, p->piece * 1000 + p->at, b, err);
    p->at++;
    p->n_rows += b->n_rows;
    atomic_fetch_add(&s->n_read, 1);
    return rc;
}

static void numbers_close_piece(eg_piece *base, eg_scan_stats *stats) {
    number_piece *p = (number_piece *)base;
    assert_true(pthread_equal(pthread_self(), p->of->home));
    p->of->n_open--;
    stats->rows_read += p->n_rows;
    stats->row_groups++;
    free(p);
}

static const eg_piece_ops number_piece_ops = {numbers_next, numbers_close_piece};

static eg_status numbers_next_piece(eg_source *source, eg_piece **out, eg_err *err) {
    numbers *s = (numbers *)source;
    assert_true(pthread_equal(pthread_self(), s->home));
    if (s->at_piece == s->n_pieces)
        return EG_DONE;
    if (s->at_piece == s->fail_open)
        return eg_fail(err, EG_CORRUPT, -1, "opening %d failed", s->at_piece);
    number_piece *p = calloc(1, sizeof *p);
    assert_non_null(p);
    *p = (number_piece){.base = {.ops = &number_piece_ops}, .of = s, .piece = s->at_piece++};
    s->n_open++;
    s->most_open = s->n_open > s->most_open ? s->n_open : s->most_open;
    atomic_fetch_add(&s->n_opened, 1);
    *out = &p->base;
    return EG_OK;
}

static void numbers_progress(const eg_source *source, int64_t *done_bytes, int64_t *total_bytes) {
    (void)source;
    *done_bytes = *total_bytes = 0;
}

static void numbers_close(eg_source *source, eg_scan_stats *stats) {
    (void)source;
    (void)stats;
}

static const eg_source_ops number_ops = {.next_piece = numbers_next_piece,
                                         .progress = numbers_progress,
                                         .close = numbers_close,
                                         .is_independent = true};

static numbers make_numbers(int n_pieces, int n_batches) {
    return (numbers){.source = {&number_ops},
                     .n_pieces = n_pieces,
                     .n_batches = n_batches,
                     .fail_open = -1,
                     .fail_piece = -1,
                     .fail_batch = -1,
                     .home = pthread_self()};
}

/* One of each width. */
static const eg_vector_set sequence = EG_VECTOR_BIT(EG_VEC_FLOW_SEQUENCE) |
                                      EG_VECTOR_BIT(EG_VEC_TOS) | EG_VECTOR_BIT(EG_VEC_SRCPORT) |
                                      EG_VECTOR_BIT(EG_VEC_END_MS);

typedef struct seen {
    uint64_t hash; /* of values, NULLs and row numbers, in order */
    int64_t n_rows, n_batches;
    eg_status rc;
    char words[64];
    eg_scan_stats stats;
} seen;

static seen run(numbers *s, const eg_predicate *where, int n_threads) {
    eg_scan_spec spec = {.vectors = sequence, .where = where, .n_threads = n_threads};
    seen out = {0};
    eg_scan *scan;
    const eg_batch *b;
    eg_err err = {0};
    assert_int_equal(eg_scan_open(&s->source, &spec, (eg_poll){0}, &scan, &err), EG_OK);
    while ((out.rc = eg_scan_next(scan, &b, &err)) == EG_OK) {
        assert_true(b->n_sel > 0);
        out.n_batches++;
        for (uint32_t i = 0; i < b->n_sel; i++) {
            uint32_t row = b->sel[i];
            uint64_t values[] = {(uint64_t)b->v.FLOW_SEQUENCE[row],
                                 b->v.TOS[row],
                                 b->v.SRCPORT[row],
                                 (uint64_t)b->v.END_MS[row],
                                 b->nulls != NULL ? b->nulls[row] : 0,
                                 (uint64_t)eg_batch_row(b, row)};
            for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
                out.hash = out.hash * 31 + values[k];
        }
        out.n_rows += b->n_sel;
    }
    if (out.rc != EG_DONE) {
        assert_int_equal(out.rc, err.code);
        (void)snprintf(out.words, sizeof out.words, "%.60s", err.msg);
    }
    int64_t done, total, n_rows;
    eg_scan_progress(scan, &done, &total, &n_rows);
    out.hash = out.hash * 31 + (uint64_t)n_rows;
    eg_scan_close(scan, &out.stats);
    assert_int_equal(s->n_open, 0);
    return out;
}

static void batches_rows_and_numbers_are_those_of_a_serial_scan(void **state) {
    (void)state;
    static const struct {
        int n_pieces, n_batches;
        int64_t low, high;
    } cases[] = {{1, 10, 0, INT64_MAX}, {2, 1, 0, INT64_MAX},     {9, 100, 0, INT64_MAX},
                 {9, 100, 9000, 20200}, {40, 7, 3, 16003},        {40, 0, 0, INT64_MAX},
                 {5, 300, 4000, 4003},  {9, 100, 900000, 900001}, {0, 0, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eg_predicate where = {0};
        eg_err err;
        assert_int_equal(eg_predicate_range(&where, EG_COL_FLOW_SEQUENCE, cases[i].low,
                                            cases[i].high, false, &err),
                         EG_OK);
        numbers serial = make_numbers(cases[i].n_pieces, cases[i].n_batches);
        seen expected = run(&serial, &where, 0);
        assert_int_equal(expected.rc, EG_DONE);
        assert_false(serial.was_elsewhere);
        for (int n_threads = 1; n_threads <= 4; n_threads++) {
            numbers s = make_numbers(cases[i].n_pieces, cases[i].n_batches);
            bool has_few = s.has_few = n_threads % 2 == 0;
            seen found = run(&s, &where, n_threads);
            assert_int_equal(found.rc, EG_DONE);
            assert_true(found.hash == expected.hash);
            assert_int_equal(found.n_rows, expected.n_rows);
            assert_memory_equal(&found.stats, &expected.stats, sizeof found.stats);
            assert_true(s.was_elsewhere == (cases[i].n_pieces > 1 || (has_few && i == 0)));
            assert_true(s.most_open <= 2 * n_threads + 2); /* and the first one */
        }
        eg_predicate_clear(&where);
    }
}

/* Of 4,096 rows of each batch, those with numbers from 1,000 x low on pass. */
static void few_rows_of_many_batches_become_few_batches(void **state) {
    (void)state;
    static const int64_t rows[] = {1, 100, 1023, 1024, 1025, 4000};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (int way = 0; way < 4; way++) {
            eg_predicate where = {0};
            eg_err err;
            assert_int_equal(eg_predicate_range(&where, EG_COL_FLOW_SEQUENCE,
                                                (EG_BATCH_ROWS - rows[r]) * 1000, INT64_MAX, false,
                                                &err),
                             EG_OK);
            numbers serial = make_numbers(4, 40);
            serial.is_wide = true;
            serial.has_nulls = way & 1;
            serial.has_numbers = way & 2;
            numbers s = serial;
            seen expected = run(&serial, &where, 0), found = run(&s, &where, 2);
            assert_int_equal(found.rc, EG_DONE);
            assert_true(found.hash == expected.hash);
            assert_int_equal(expected.n_batches, 160);
            assert_int_equal(found.n_rows, 160 * rows[r]);
            assert_memory_equal(&found.stats, &expected.stats, sizeof found.stats);
            /* The first piece's as they are, one batch each of the others', unless jobs end early.
             */
            for (int k = 0; rows[r] == 100 && k < 10 && found.n_batches > 60; k++) {
                s = serial;
                s.at_piece = 0;
                found = run(&s, &where, 2);
            }
            if (rows[r] == 100)
                assert_true(found.n_batches >= 43 && found.n_batches <= 60);
            if (rows[r] > 1024)
                assert_int_equal(found.n_batches, 160);
            eg_predicate_clear(&where);
        }
}

/* How many pieces are opened when n_batches of the first, which has 40, were taken. */
static int opened_after(int n_batches) {
    eg_scan_spec spec = {.vectors = sequence, .n_threads = 2};
    numbers s = make_numbers(4, 40);
    s.is_wide = true;
    eg_scan *scan;
    const eg_batch *b;
    eg_err err = {0};
    assert_int_equal(eg_scan_open(&s.source, &spec, (eg_poll){0}, &scan, &err), EG_OK);
    for (int i = 0; i < n_batches; i++) {
        assert_int_equal(eg_scan_next(scan, &b, &err), EG_OK);
        assert_int_equal(b->first_row, (int64_t)i * EG_BATCH_ROWS);
    }
    int n = atomic_load(&s.n_opened);
    eg_scan_close(scan, NULL);
    assert_int_equal(s.n_open, 0);
    return n;
}

static void others_are_begun_behind_the_beginning_of_the_first_piece(void **state) {
    (void)state;
    assert_int_equal(opened_after(1), 1);
    assert_int_equal(opened_after(16), 1);
    assert_int_equal(opened_after(17), 4);
    assert_int_equal(opened_after(39), 4);
}

static void failures_come_where_a_serial_scan_has_them(void **state) {
    (void)state;
    for (int piece = 0; piece < 6; piece++)
        for (int way = 0; way < 3; way++) {
            seen found[2];
            for (int n_threads = 0; n_threads <= 3; n_threads += 3) {
                numbers s = make_numbers(6, 50);
                s.fail_open = way == 0 ? piece : -1;
                s.fail_piece = way == 0 ? -1 : piece;
                s.fail_batch = way == 1 ? 0 : 33;
                found[n_threads > 0] = run(&s, NULL, n_threads);
            }
            assert_int_equal(found[0].rc, way == 0 ? EG_CORRUPT : EG_IO);
            assert_int_equal(found[1].rc, found[0].rc);
            assert_string_equal(found[1].words, found[0].words);
            assert_true(found[1].hash == found[0].hash);
        }
}

static void one_piece_that_is_enough_is_the_only_one_opened(void **state) {
    (void)state;
    numbers s = make_numbers(10, 50);
    eg_scan_spec spec = {.vectors = sequence, .n_threads = 3};
    eg_scan *scan;
    const eg_batch *b;
    assert_int_equal(eg_scan_open(&s.source, &spec, (eg_poll){0}, &scan, NULL), EG_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(eg_scan_next(scan, &b, NULL), EG_OK);
    eg_scan_close(scan, NULL);
    assert_int_equal(s.n_opened, 1);
    assert_false(s.was_elsewhere);
    assert_int_equal(s.n_open, 0);
}

/* A LIMIT that the first batch satisfies costs nothing, one that needs more does not wait. */
static void where_a_source_gives_few_rows_others_begin_behind_the_first_batch(void **state) {
    (void)state;
    numbers s = make_numbers(10, 50);
    eg_predicate where = {0};
    eg_scan *scan;
    const eg_batch *b;
    assert_int_equal(eg_predicate_range(&where, EG_COL_FLOW_SEQUENCE, 0, INT64_MAX, false, NULL),
                     EG_OK);
    eg_scan_spec spec = {.vectors = sequence, .n_threads = 3, .where = &where};
    assert_int_equal(eg_scan_open(&s.source, &spec, (eg_poll){0}, &scan, NULL), EG_OK);
    assert_int_equal(eg_scan_next(scan, &b, NULL), EG_OK);
    assert_int_equal(s.n_opened, 1);
    assert_int_equal(eg_scan_next(scan, &b, NULL), EG_OK);
    assert_int_equal(s.n_opened, 8);
    eg_scan_close(scan, NULL);
    assert_int_equal(s.n_open, 0);
    eg_predicate_clear(&where);
}

/* So the first batch is read while the others are. */
static void a_piece_that_says_that_it_has_few_rows_is_left_to_the_workers(void **state) {
    (void)state;
    numbers s = make_numbers(1, 50), serial = s;
    s.has_few = true;
    eg_scan_spec spec = {.vectors = sequence, .n_threads = 3};
    eg_scan *scan;
    const eg_batch *b;
    assert_int_equal(eg_scan_open(&s.source, &spec, (eg_poll){0}, &scan, NULL), EG_OK);
    assert_int_equal(eg_scan_next(scan, &b, NULL), EG_OK);
    assert_true(s.was_elsewhere);
    eg_scan_close(scan, NULL);
    assert_int_equal(s.n_open, 0);
    s.at_piece = 0;
    seen expected = run(&serial, NULL, 0), found = run(&s, NULL, 3);
    assert_true(found.hash == expected.hash);
    assert_int_equal(found.n_rows, expected.n_rows);
}

/* Of pieces of 120 ms, where jobs go on for 10 and five are sent. The thread that closes may be
** kept from it, but not each time. */
static void closing_waits_for_the_batches_that_are_being_read_alone(void **state) {
    (void)state;
    numbers s = make_numbers(10, 40);
    s.is_slow = s.has_few = true;
    eg_predicate where = {0};
    assert_int_equal(eg_predicate_range(&where, EG_COL_FLOW_SEQUENCE, 4, 4, false, NULL), EG_OK);
    eg_scan_spec spec = {.vectors = sequence, .n_threads = 2, .where = &where};
    eg_scan *scan;
    const eg_batch *b;
    int n_least = INT_MAX;
    for (int i = 0; i < 10; i++) {
        s.at_piece = 0;
        atomic_store(&s.n_read, 0);
        assert_int_equal(eg_scan_open(&s.source, &spec, (eg_poll){0}, &scan, NULL), EG_OK);
        assert_int_equal(eg_scan_next(scan, &b, NULL), EG_OK);
        int n_before = s.n_read;
        eg_scan_close(scan, NULL);
        n_least = s.n_read - n_before < n_least ? s.n_read - n_before : n_least;
        assert_int_equal(s.n_open, 0);
    }
    assert_true(n_least <= 4);
    eg_predicate_clear(&where);
}

static void workers_do_not_run_away(void **state) {
    (void)state;
    numbers s = make_numbers(100, 40);
    s.is_wide = true;
    eg_scan_spec spec = {.vectors = sequence, .n_threads = 2};
    eg_scan *scan;
    const eg_batch *b;
    assert_int_equal(eg_scan_open(&s.source, &spec, (eg_poll){0}, &scan, NULL), EG_OK);
    do
        assert_int_equal(eg_scan_next(scan, &b, NULL), EG_OK);
    while (b->v.FLOW_SEQUENCE[b->sel[0]] < (uint32_t)number_of(&s, 1, 0, 0));
    const struct timespec wait = {.tv_nsec = 50000000};
    nanosleep(&wait, NULL);
    assert_in_range(s.n_opened, 2, 4);
    assert_in_range(s.n_read, 40, 40 + 4 * 16); /* lots of eight */
    eg_scan_close(scan, NULL);                  /* in the middle of it */
    assert_int_equal(s.n_open, 0);
}

static bool stop_at_once(void *arg) {
    ++*(int *)arg;
    return *(int *)arg > 2;
}

static void the_host_is_asked_while_workers_read(void **state) {
    (void)state;
    numbers s = make_numbers(100, 100);
    s.is_slow = true;
    int n_asked = 0;
    eg_predicate where = {0};
    assert_int_equal(eg_predicate_range(&where, EG_COL_FLOW_SEQUENCE, 3, 3, false, NULL), EG_OK);
    eg_scan_spec spec = {.vectors = sequence, .where = &where, .n_threads = 2};
    eg_scan *scan;
    const eg_batch *b;
    eg_err err;
    eg_status rc;
    assert_int_equal(eg_scan_open(&s.source, &spec, (eg_poll){stop_at_once, &n_asked}, &scan, &err),
                     EG_OK);
    while ((rc = eg_scan_next(scan, &b, &err)) == EG_OK)
        ;
    assert_int_equal(rc, EG_INTERRUPT);
    assert_in_range(s.n_read, 1, 200); /* of 10,000 */
    eg_scan_close(scan, NULL);
    assert_int_equal(s.n_open, 0);
    eg_predicate_clear(&where);
}

static void texts_and_sources_that_ask_stay_on_one_thread(void **state) {
    (void)state;
    numbers s = make_numbers(1, 1);
    eg_scan_spec spec = {.vectors = sequence, .n_threads = 1};
    assert_true(eg_scan_ahead_fits(&s.source, &spec));
    spec.vectors |= EG_VECTOR_BIT(EG_VEC_FILE);
    assert_false(eg_scan_ahead_fits(&s.source, &spec));
    spec.vectors = EG_VECTOR_BIT(EG_VEC_EXPORTER);
    assert_false(eg_scan_ahead_fits(&s.source, &spec));
    spec.vectors = sequence;
    spec.n_threads = 0;
    assert_false(eg_scan_ahead_fits(&s.source, &spec));
    eg_source_ops others = number_ops;
    others.is_independent = false;
    s.source.ops = &others;
    spec.n_threads = 1;
    assert_false(eg_scan_ahead_fits(&s.source, &spec));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_rows_and_numbers_are_those_of_a_serial_scan),
        cmocka_unit_test(few_rows_of_many_batches_become_few_batches),
        cmocka_unit_test(others_are_begun_behind_the_beginning_of_the_first_piece),
        cmocka_unit_test(failures_come_where_a_serial_scan_has_them),
        cmocka_unit_test(one_piece_that_is_enough_is_the_only_one_opened),
        cmocka_unit_test(where_a_source_gives_few_rows_others_begin_behind_the_first_batch),
        cmocka_unit_test(a_piece_that_says_that_it_has_few_rows_is_left_to_the_workers),
        cmocka_unit_test(closing_waits_for_the_batches_that_are_being_read_alone),
        cmocka_unit_test(workers_do_not_run_away),
        cmocka_unit_test(the_host_is_asked_while_workers_read),
        cmocka_unit_test(texts_and_sources_that_ask_stay_on_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
