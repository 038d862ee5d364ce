/* Claims of query/scan.c: pieces are read one after the other, only batches with rows
** that pass come out, the host is asked by the clock, and everything is closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "query/scan.h"

/* A source of n_pieces pieces. Piece p gives batches of (p + b) % 4 rows, b = 0.. 9;
** rows are numbered through in flow_sequence. */
typedef struct counted {
    eg_source source; /* must be first */
    eg_piece piece;
    int n_pieces, at_piece, at_batch;
    int64_t n_rows, piece_rows;
    int n_open_pieces, n_open_sources;
    int fail_piece, fail_batch; /* where opening a piece, or reading, fails; -1 never */
    long batch_wait_ns;
} counted;

static counted *counted_of(eg_piece *piece) {
    return (counted *)((char *)piece - offsetof(counted, piece));
}

static eg_status counted_next(eg_piece *piece, eg_batch *b, eg_err *err) {
    counted *c = counted_of(piece);
    const struct timespec wait = {.tv_nsec = c->batch_wait_ns};
    if (c->batch_wait_ns > 0)
        nanosleep(&wait, NULL);
    if (c->at_batch == 10)
        return EG_DONE;
    if (c->at_batch == c->fail_batch)
        return eg_fail(err, EG_IO, 17, "reading failed");
    b->n_rows = (uint32_t)(c->at_piece + c->at_batch++) % 4;
    for (uint32_t i = 0; i < b->n_rows; i++)
        b->v.FLOW_SEQUENCE[i] = c->n_rows++;
    c->piece_rows += b->n_rows;
    return EG_OK;
}

static void counted_close_piece(eg_piece *piece, eg_scan_stats *stats) {
    counted *c = counted_of(piece);
    c->n_open_pieces--;
    stats->files++;
    stats->rows_read += c->piece_rows;
}

static const eg_piece_ops counted_piece_ops = {counted_next, counted_close_piece};

static eg_status counted_next_piece(eg_source *source, eg_piece **out, eg_err *err) {
    counted *c = (counted *)source;
    if (c->at_piece + 1 == c->n_pieces)
        return EG_DONE;
    if (c->at_piece + 1 == c->fail_piece)
        return eg_fail(err, EG_CORRUPT, -1, "opening failed");
    c->at_piece++;
    c->at_batch = 0;
    c->piece_rows = 0;
    c->n_open_pieces++;
    *out = &c->piece;
    return EG_OK;
}

static void counted_progress(const eg_source *source, int64_t *done_bytes, int64_t *total_bytes) {
    *done_bytes = ((const counted *)source)->n_rows;
    *total_bytes = 1000;
}

static void counted_close(eg_source *source, eg_scan_stats *stats) {
    ((counted *)source)->n_open_sources--;
    stats->bytes_read += 5;
}

static const eg_source_ops counted_ops = {
    .next_piece = counted_next_piece, .progress = counted_progress, .close = counted_close};

static counted make_source(int n_pieces) {
    return (counted){.source = {&counted_ops},
                     .piece = {.ops = &counted_piece_ops},
                     .n_pieces = n_pieces,
                     .at_piece = -1,
                     .n_open_sources = 1,
                     .fail_piece = -1,
                     .fail_batch = -1};
}

static const eg_vector_set sequence = EG_VECTOR_BIT(EG_VEC_FLOW_SEQUENCE);

static void pieces_are_read_one_after_the_other(void **state) {
    (void)state;
    counted c = make_source(3);
    eg_scan_spec spec = {.vectors = sequence};
    eg_scan *scan;
    const eg_batch *b;
    eg_err err;
    eg_status rc;
    int64_t next = 0, done, total, n_rows;
    assert_int_equal(eg_scan_open(&c.source, &spec, (eg_poll){0}, &scan, &err), EG_OK);
    while ((rc = eg_scan_next(scan, &b, &err)) == EG_OK) {
        assert_true(b->n_sel > 0 && b->n_sel == b->n_rows); /* empty batches do not come out */
        for (uint32_t i = 0; i < b->n_sel; i++)
            assert_int_equal(b->v.FLOW_SEQUENCE[b->sel[i]], next++);
        assert_true(c.n_open_pieces == 1);
    }
    assert_int_equal(rc, EG_DONE);
    assert_int_equal(eg_scan_next(scan, &b, &err), EG_DONE);
    assert_int_equal(next, c.n_rows);
    eg_scan_progress(scan, &done, &total, &n_rows);
    assert_true(done == c.n_rows && total == 1000);
    eg_scan_stats stats = {.files = 100, .rows_kept = 1};
    eg_scan_close(scan, &stats);
    assert_true(c.n_open_pieces == 0 && c.n_open_sources == 0);
    assert_int_equal(stats.files, 103); /* added to what was there */
    assert_int_equal(stats.rows_read, next);
    assert_int_equal(stats.rows_kept, next + 1);
    assert_int_equal(stats.bytes_read, 5);
}

static void only_batches_with_passing_rows_come_out(void **state) {
    (void)state;
    counted c = make_source(4);
    eg_predicate where = {0};
    assert_int_equal(eg_predicate_range(&where, EG_COL_FLOW_SEQUENCE, 20, 24, false, NULL), EG_OK);
    eg_scan_spec spec = {.vectors = sequence, .where = &where};
    eg_scan *scan;
    const eg_batch *b;
    int64_t next = 20;
    assert_int_equal(eg_scan_open(&c.source, &spec, (eg_poll){0}, &scan, NULL), EG_OK);
    while (eg_scan_next(scan, &b, NULL) == EG_OK) {
        assert_true(b->n_sel > 0);
        for (uint32_t i = 0; i < b->n_sel; i++)
            assert_int_equal(b->v.FLOW_SEQUENCE[b->sel[i]], next++);
    }
    assert_int_equal(next, 25);
    eg_scan_stats stats = {0};
    eg_scan_close(scan, &stats);
    assert_int_equal(stats.rows_kept, 5);
    assert_int_equal(stats.rows_read, c.n_rows);
    eg_predicate_clear(&where);
}

static void failures_come_through_and_everything_is_closed(void **state) {
    (void)state;
    for (int opening = 0; opening < 2; opening++) {
        counted c = make_source(3);
        c.fail_piece = opening ? 1 : -1;
        c.fail_batch = opening ? -1 : 6;
        eg_scan_spec spec = {.vectors = sequence};
        eg_scan *scan;
        const eg_batch *b;
        eg_err err;
        eg_status rc;
        assert_int_equal(eg_scan_open(&c.source, &spec, (eg_poll){0}, &scan, &err), EG_OK);
        while ((rc = eg_scan_next(scan, &b, &err)) == EG_OK) {
        }
        assert_int_equal(rc, opening ? EG_CORRUPT : EG_IO);
        assert_string_equal(err.msg, opening ? "opening failed" : "reading failed");
        eg_scan_stats stats = {0};
        eg_scan_close(scan, &stats);
        assert_true(c.n_open_pieces == 0 && c.n_open_sources == 0);
        assert_int_equal(stats.rows_read, c.n_rows);
    }
}

static void source_is_closed_when_the_scan_cannot_be_opened(void **state) {
    (void)state;
    counted c = make_source(1);
    eg_predicate where = {0};
    eg_scan_spec spec = {.vectors = sequence, .where = &where};
    eg_scan *scan;
    eg_err err;
    assert_int_equal(eg_predicate_text(&where, EG_COL_FLOW_SEQUENCE, EG_TEXT_EQ, "1", 1, NULL),
                     EG_OK);
    assert_int_equal(eg_scan_open(&c.source, &spec, (eg_poll){0}, &scan, &err), EG_MISUSE);
    assert_null(scan);
    assert_int_equal(c.n_open_sources, 0);
    eg_predicate_clear(&where);
    eg_scan_close(NULL, NULL);
}

typedef struct host {
    int n_polls, stop_at; /* stops at this poll, 0 never */
} host;

static bool count_polls(void *arg) {
    host *h = arg;
    return ++h->n_polls == h->stop_at;
}

static void host_is_asked_by_the_clock(void **state) {
    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        counted c = make_source(1);
        c.batch_wait_ns = slow ? 12000000 : 0;
        eg_scan_spec spec = {.vectors = sequence};
        eg_scan *scan;
        const eg_batch *b;
        host h = {0};
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        assert_int_equal(eg_scan_open(&c.source, &spec, (eg_poll){count_polls, &h}, &scan, NULL),
                         EG_OK);
        while (eg_scan_next(scan, &b, NULL) == EG_OK) {
        }
        clock_gettime(CLOCK_MONOTONIC, &to);
        int64_t ms =
            ((int64_t)to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
        if (slow)
            assert_true(h.n_polls >= 10);      /* before every batch but the first */
        assert_true(h.n_polls <= ms / 10 + 1); /* and no more than each 10 ms */
        eg_scan_close(scan, NULL);
    }
}

static void host_stops_a_scan_and_what_comes_after(void **state) {
    (void)state;
    counted c = make_source(1);
    c.batch_wait_ns = 12000000;
    eg_scan_spec spec = {.vectors = sequence};
    eg_scan *scan;
    const eg_batch *b;
    eg_err err;
    eg_status rc;
    host h = {.stop_at = 3};
    assert_int_equal(eg_scan_open(&c.source, &spec, (eg_poll){count_polls, &h}, &scan, &err),
                     EG_OK);
    while ((rc = eg_scan_next(scan, &b, &err)) == EG_OK) {
    }
    assert_int_equal(rc, EG_INTERRUPT);
    assert_int_equal(err.code, EG_INTERRUPT);
    assert_int_equal(h.n_polls, 3);
    assert_int_equal(eg_scan_check(scan, &err), EG_OK); /* asked just now */
    assert_int_equal(h.n_polls, 3);
    h.stop_at = 4;
    const struct timespec wait = {.tv_nsec = 12000000};
    nanosleep(&wait, NULL);
    assert_int_equal(eg_scan_check(scan, &err), EG_INTERRUPT);
    eg_scan_close(scan, NULL);
    assert_true(c.n_open_pieces == 0 && c.n_open_sources == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_read_one_after_the_other),
        cmocka_unit_test(only_batches_with_passing_rows_come_out),
        cmocka_unit_test(failures_come_through_and_everything_is_closed),
        cmocka_unit_test(source_is_closed_when_the_scan_cannot_be_opened),
        cmocka_unit_test(host_is_asked_by_the_clock),
        cmocka_unit_test(host_stops_a_scan_and_what_comes_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
