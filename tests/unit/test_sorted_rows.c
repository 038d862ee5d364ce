/* Claims of query/sorted_rows.c and row_runs.c: rows come in the order that SQL values have, NULL
** first, equal ones as they came, whole; and the same whether runs are in memory or in a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "light.h"
#include "query/sorted_rows.h"

static uint64_t seed = 11;
static uint64_t next_random(void) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return seed >> 33;
}

static const eg_vector_set vectors =
    EG_VECTOR_BIT(EG_VEC_START_MS) | EG_VECTOR_BIT(EG_VEC_SRCADDR) | EG_VECTOR_BIT(EG_VEC_DSTPORT) |
    EG_VECTOR_BIT(EG_VEC_PROTO) | EG_VECTOR_BIT(EG_VEC_BYTES) |
    EG_VECTOR_BIT(EG_VEC_SAMPLING_INTERVAL) | EG_VECTOR_BIT(EG_VEC_FLOW_SEQUENCE);

/* Fills a batch from row `first` on; flow_sequence is the row's number. */
static void fill(eg_batch *b, uint32_t n, int64_t first, bool has_nulls) {
    static const int64_t times[] = {EG_TIME_MIN_MS - 5, EG_TIME_MIN_MS, -1,       0,
                                    1185487200000,      EG_TIME_MAX_MS, INT64_MAX};
    b->n_rows = n;
    b->nulls = NULL;
    b->first_row = first;
    if (has_nulls)
        assert_int_equal(eg_batch_need_nulls(b, NULL), EG_OK);
    b->n_sel = 0;
    for (uint32_t i = 0; i < n; i++) {
        b->v.START_MS[i] = times[next_random() % 7];
        b->v.SRCADDR[i] = (uint32_t)(next_random() % 300) << 20;
        b->v.DSTPORT[i] = (uint16_t)next_random();
        b->v.PROTO[i] = (uint8_t)next_random();
        b->v.BYTES[i] = next_random() % 3 == 0 ? -(int64_t)next_random() : (int64_t)next_random();
        b->v.SAMPLING_INTERVAL[i] = (uint16_t)(next_random() % 3);
        b->v.FLOW_SEQUENCE[i] = first + i;
        if (has_nulls && next_random() % 5 == 0) {
            b->nulls[i] = EG_VECTOR_BIT(EG_VEC_SRCADDR) | EG_VECTOR_BIT(EG_VEC_BYTES);
            b->v.SRCADDR[i] = 0;
            b->v.BYTES[i] = 0;
        }
        if (next_random() % 10 != 0)
            b->sel[b->n_sel++] = (uint16_t)i;
    }
}

/* Compares a column in two rows as SQLite does. */
static int compare(const eg_batch *a, uint32_t i, const eg_batch *b, uint32_t k, eg_column col) {
    char x[EG_TEXT_MAX], y[EG_TEXT_MAX];
    size_t nx, ny;
    bool is_null = eg_batch_is_null(a, col, i);
    if (is_null || eg_batch_is_null(b, col, k))
        return (int)eg_batch_is_null(b, col, k) - (int)is_null;
    if (eg_column_is_text(col))
        return strcmp(eg_batch_text(a, col, i, x, &nx), eg_batch_text(b, col, k, y, &ny));
    int64_t v = eg_batch_number(a, col, i), w = eg_batch_number(b, col, k);
    return (v > w) - (v < w);
}

static uint64_t hash_of(const eg_batch *b, uint32_t i) {
    static const eg_column columns[] = {
        EG_COL_START_MS, EG_COL_SRCADDR,           EG_COL_DSTPORT,      EG_COL_PROTO,
        EG_COL_BYTES,    EG_COL_SAMPLING_INTERVAL, EG_COL_FLOW_SEQUENCE};
    uint64_t h = 5;
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++) {
        h = (h ^ (uint64_t)eg_batch_number(b, columns[c], i)) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= eg_batch_is_null(b, columns[c], i) + (h >> 31);
    }
    return h;
}

/* Sorts n_batches batches, of which those from nulls_from on have NULLs, and checks all of it. */
static void assert_sorted(const eg_row_key *keys, size_t n_keys, int n_batches, int nulls_from,
                          int64_t limit_bytes) {
    eg_sorted_rows *s;
    eg_batch in, last;
    const eg_batch *b;
    uint64_t sum_in = 0, sum_out = 0;
    int64_t n_in = 0, n_out = 0, first = 0;
    eg_status rc;
    assert_int_equal(eg_batch_open(&in, vectors, NULL, NULL), EG_OK);
    assert_int_equal(eg_batch_open(&last, vectors, NULL, NULL), EG_OK);
    assert_int_equal(eg_sorted_rows_open(keys, n_keys, vectors, NULL, limit_bytes, &s, NULL),
                     EG_OK);
    for (int i = 0; i < n_batches; i++) {
        uint32_t n = i % 3 == 0 ? EG_BATCH_ROWS : (uint32_t)(next_random() % EG_BATCH_ROWS);
        fill(&in, n, first, i >= nulls_from);
        for (uint32_t k = 0; k < in.n_sel; k++)
            sum_in += hash_of(&in, in.sel[k]);
        n_in += in.n_sel;
        first += n;
        assert_int_equal(eg_sorted_rows_add(s, &in, NULL), EG_OK);
    }
    assert_int_equal(eg_sorted_rows_finish(s, NULL), EG_OK);
    assert_int_equal(eg_sorted_rows_spilled(s) > 0, limit_bytes >= 0 && n_in > 0);
    while ((rc = eg_sorted_rows_next(s, &b, NULL)) == EG_OK) {
        assert_int_equal(b->n_sel, b->n_rows);
        for (uint32_t i = 0; i < b->n_rows; i++) {
            const eg_batch *before = i > 0 ? b : &last;
            uint32_t at = i > 0 ? i - 1 : 0;
            int c = 0;
            for (size_t k = 0; c == 0 && n_out > 0 && k < n_keys; k++)
                c = compare(before, at, b, i, keys[k].column) * (keys[k].descends ? -1 : 1);
            assert_true(n_out == 0 || c < 0 ||
                        (c == 0 && before->v.FLOW_SEQUENCE[at] < b->v.FLOW_SEQUENCE[i]));
            assert_int_equal(eg_batch_row(b, i), b->v.FLOW_SEQUENCE[i]);
            sum_out += hash_of(b, i);
            n_out++;
        }
        /* The last row, for the next batch. */
        uint32_t end = b->n_rows - 1;
        last.nulls = NULL;
        if (b->nulls != NULL) {
            assert_int_equal(eg_batch_need_nulls(&last, NULL), EG_OK);
            last.nulls[0] = b->nulls[end];
        }
        last.v.START_MS[0] = b->v.START_MS[end];
        last.v.SRCADDR[0] = b->v.SRCADDR[end];
        last.v.DSTPORT[0] = b->v.DSTPORT[end];
        last.v.PROTO[0] = b->v.PROTO[end];
        last.v.BYTES[0] = b->v.BYTES[end];
        last.v.SAMPLING_INTERVAL[0] = b->v.SAMPLING_INTERVAL[end];
        last.v.FLOW_SEQUENCE[0] = b->v.FLOW_SEQUENCE[end];
    }
    assert_int_equal(rc, EG_DONE);
    assert_int_equal(n_out, n_in);
    assert_true(sum_out == sum_in);
    eg_sorted_rows_close(s);
    eg_batch_close(&in);
    eg_batch_close(&last);
}

static void no_rows_are_none(void **state) {
    (void)state;
    const eg_row_key keys[] = {{EG_COL_SRCADDR, false}};
    assert_sorted(keys, 1, 0, 0, -1);
    assert_sorted(keys, 1, 0, 0, 0);
}

/* Of every kind, both ways, in memory and not. */
static void rows_come_in_the_order_of_one_column(void **state) {
    (void)state;
    static const eg_column columns[] = {EG_COL_START_TIME, EG_COL_START_MS, EG_COL_SRCADDR,
                                        EG_COL_DSTPORT,    EG_COL_PROTOCOL, EG_COL_PROTO,
                                        EG_COL_BYTES,      EG_COL_BYTES_EST};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        for (int descends = 0; descends < 2; descends++) {
            const eg_row_key key = {columns[i], descends != 0};
            assert_sorted(&key, 1, 7, 99, -1);
            assert_sorted(&key, 1, 7, 0, 0);
        }
}

/* More than one run, NULLs from the first one on, later on, and never. */
static void runs_are_merged(void **state) {
    (void)state;
    const eg_row_key keys[] = {
        {EG_COL_SRCADDR, true}, {EG_COL_PROTOCOL, false}, {EG_COL_BYTES, true}};
    /* Runs are of 262,144 rows, about half a million make two; those without NULLs come first. */
    const int n = is_light() ? 180 : 220;
    for (int64_t limit = -1; limit <= 0 && !is_light(); limit++) {
        assert_sorted(keys, 1, n, n / 2, limit);
        assert_sorted(keys, 2, n, n / 2, limit);
        assert_sorted(keys, 3, n, 0, limit);
        assert_sorted(keys, 3, n, n, limit);
    }
    assert_sorted(keys, 3, n, n / 2, 0);
    assert_sorted(keys, 2, n, n / 2, 10000000); /* some runs in memory, some not */
}

static void texts_are_no_keys(void **state) {
    (void)state;
    assert_false(eg_row_key_fits(EG_COL_EXPORTER));
    assert_false(eg_row_key_fits(EG_COL_FILE));
    assert_true(eg_row_key_fits(EG_COL_PROTOCOL));
}

static void a_file_that_cannot_be_made_is_told(void **state) {
    (void)state;
    const eg_row_key key = {EG_COL_SRCADDR, false};
    eg_sorted_rows *s;
    eg_batch in;
    eg_err err = {.msg = ""};
    struct rlimit usual, few;
    assert_int_equal(eg_batch_open(&in, vectors, NULL, NULL), EG_OK);
    assert_int_equal(eg_sorted_rows_open(&key, 1, vectors, NULL, 0, &s, NULL), EG_OK);
    fill(&in, 100, 0, false);
    assert_int_equal(eg_sorted_rows_add(s, &in, NULL), EG_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    few = (struct rlimit){.rlim_cur = 0, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    eg_status rc = eg_sorted_rows_finish(s, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    eg_sorted_rows_close(s);
    eg_batch_close(&in);
    assert_int_equal(rc, EG_IO);
    assert_string_equal(err.msg, "a temporary file cannot be made: Too many open files");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rows_are_none),
        cmocka_unit_test(rows_come_in_the_order_of_one_column),
        cmocka_unit_test(runs_are_merged),
        cmocka_unit_test(texts_are_no_keys),
        cmocka_unit_test(a_file_that_cannot_be_made_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
