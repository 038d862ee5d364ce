/* Claims of parquet/shard_rows.c: rows are tested by the codes of a dictionary wherever these tell,
** and by their numbers elsewhere; either way the same rows pass and the same values are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "light.h"
#include "parquet/shard_inside.h"
#include "parquet/shard_source.h"
#include "query/filter.h"
#include "shard_build.h"

#define BIT(v) EG_VECTOR_BIT(EG_VEC_##v)
#define ROWS 10000
#define PAGE 1000

static char path[64];

static int set_up(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_shard_rows.%ld.parquet", (long)getpid());
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

/* One row group: the column `tested`, and bytes, which are the rows' numbers. */
static void write_rows(sb_field tested, const int64_t *values) {
    static int64_t numbers[ROWS];
    const sb_field fields[2] = {tested, {.name = "bytes", .type = SB_I32, .has_dictionary = true}};
    const int64_t *columns[2] = {values, numbers};
    sb b;
    for (int i = 0; i < ROWS; i++)
        numbers[i] = i;
    sb_open(&b, fields, 2, PAGE);
    sb_group(&b, columns, ROWS);
    assert_true(sb_close(&b, path));
}

typedef struct result {
    eg_status status;
    eg_err err;
    int64_t code_rows, n_read, n_kept;
    int64_t n_passed; /* rows of batches that need no filter */
    uint8_t is_kept[ROWS];
} result;

/* Reads the row group by its piece, with what passes picked by its filter. */
static void read_rows(const eg_predicate *where, result *out) {
    eg_shard_list list = {0};
    eg_intern *texts;
    eg_source *source;
    eg_piece *piece;
    eg_filter *filter;
    eg_batch b;
    memset(out, 0, sizeof *out);
    assert_int_equal(eg_intern_open(&texts, NULL), EG_OK);
    eg_scan_spec spec = {
        .vectors = BIT(BYTES) | eg_predicate_vectors(where), .where = where, .texts = texts};
    assert_int_equal(eg_shard_list_add(&list, path, NULL, NULL), EG_OK);
    assert_int_equal(eg_shard_source_open(&list, &spec, &source, &out->err), EG_OK);
    assert_int_equal(eg_batch_open(&b, spec.vectors, texts, NULL), EG_OK);
    assert_int_equal(eg_filter_open(where, &filter, NULL), EG_OK);
    assert_int_equal(source->ops->next_piece(source, &piece, &out->err), EG_OK);
    while ((out->status = piece->ops->next(piece, &b, &out->err)) == EG_OK) {
        out->n_read += b.n_rows;
        out->n_passed += b.is_passed ? b.n_rows : 0;
        bool was_passed = b.is_passed;
        b.is_passed = false; /* the filter sees for itself */
        assert_int_equal(eg_filter_run(filter, &b, NULL), EG_OK);
        for (uint32_t i = 0; i < b.n_sel; i++)
            out->is_kept[b.v.BYTES[b.sel[i]]]++;
        out->n_kept += b.n_sel;
        assert_true(was_passed <= (b.n_sel == b.n_rows));
    }
    out->code_rows = ((const shard_piece *)piece)->code_rows;
    piece->ops->close(piece, NULL);
    source->ops->close(source, NULL);
    eg_filter_close(filter);
    eg_batch_close(&b);
    eg_intern_close(texts);
}

static bool takes(const eg_predicate *p, int64_t n) {
    const eg_term *t = &p->terms[0];
    bool is_in = t->kind == EG_TEST_RANGE && n >= t->lo && n <= t->hi;
    for (size_t k = 0; t->kind == EG_TEST_SET && k < t->n_set; k++)
        is_in |= t->set[k] == n;
    return is_in != t->negated;
}

/* Reads the rows that one term takes, and holds them against the values. */
static int64_t code_rows_of(eg_predicate *p, const int64_t *values) {
    static result r;
    read_rows(p, &r);
    if (r.status != EG_DONE)
        fail_msg("%s", r.err.msg);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(r.is_kept[i], values[i] != SB_NULL && takes(p, values[i]));
    eg_predicate_clear(p);
    return r.code_rows;
}

static int64_t code_rows_of_range(eg_column col, int64_t lo, int64_t hi, const int64_t *values) {
    eg_predicate p = {0};
    assert_int_equal(eg_predicate_range(&p, col, lo, hi, false, NULL), EG_OK);
    return code_rows_of(&p, values);
}

static int64_t code_rows_of_set(eg_column col, const int64_t *set, size_t n, bool negated,
                                const int64_t *values) {
    eg_predicate p = {0};
    assert_int_equal(eg_predicate_set(&p, col, set, n, negated, NULL), EG_OK);
    return code_rows_of(&p, values);
}

/* Numbers of which no few neighbours are alike: 0, 2, 4 … 192, in any order. */
static void make_values(int64_t *values) {
    for (int i = 0; i < ROWS; i++)
        values[i] = i * 7919 % 97 * 2;
}

static void codes_tell_which_rows_pass(void **state) {
    (void)state;
    static int64_t values[ROWS];
    static const int64_t six[] = {0, 6, 50, 52, 100, 192}, others[] = {1, 3, 50, 1000};
    static const sb_type types[] = {SB_I32, SB_U32, SB_I64, SB_DOUBLE};
    static const uint32_t widths[] = {7, 8, 11, 16, 20};
    make_values(values);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
            for (int v2 = 0; v2 < 2; v2++) {
                sb_field f = {.name = "dstport",
                              .type = types[i],
                              .has_dictionary = true,
                              .is_v2 = v2,
                              .is_optional = k % 2 == 0,
                              .code_bits = widths[k]};
                write_rows(f, values);
                eg_column col = EG_COL_DSTPORT;
                assert_int_equal(code_rows_of_range(col, 52, 52, values), ROWS);
                assert_int_equal(code_rows_of_range(col, 51, 70, values), ROWS);
                assert_int_equal(code_rows_of_range(col, 190, 5000, values), ROWS);
                assert_int_equal(code_rows_of_set(col, others, 4, false, values), ROWS);
                assert_int_equal(code_rows_of_set(col, six, 6, false, values), ROWS);
                /* Where most rows of a page pass, their numbers are read anyway. */
                assert_int_equal(code_rows_of_set(col, others, 4, true, values), 0);
            }
        }
    }
}

static void other_widths_of_vectors_are_tested_by_codes(void **state) {
    (void)state;
    static int64_t values[ROWS];
    static const int64_t three[] = {6, 40, 41};
    static const struct {
        const char *name;
        sb_type type;
        eg_column col;
    } cases[] = {{"proto", SB_I32, EG_COL_PROTO},     {"protocol", SB_PROTO, EG_COL_PROTO},
                 {"packets", SB_I64, EG_COL_PACKETS}, {"dstaddr", SB_U32, EG_COL_DSTADDR},
                 {"dstaddr", SB_IP4, EG_COL_DSTADDR}, {"duration_ms", SB_I32, EG_COL_DURATION_MS},
                 {"frame", SB_I64, EG_COL_FRAME}};
    make_values(values);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_rows((sb_field){.name = cases[i].name, .type = cases[i].type, .has_dictionary = true},
                   values);
        assert_int_equal(code_rows_of_range(cases[i].col, 40, 40, values), ROWS);
        assert_int_equal(code_rows_of_range(cases[i].col, 35, 60, values), ROWS);
        assert_int_equal(code_rows_of_set(cases[i].col, three, 3, false, values), ROWS);
    }
}

static void rows_without_codes_are_tested_by_numbers(void **state) {
    (void)state;
    static int64_t values[ROWS];
    make_values(values);
    sb_field f = {.name = "dstport", .type = SB_I32};
    write_rows(f, values);
    assert_int_equal(code_rows_of_range(EG_COL_DSTPORT, 50, 60, values), 0);
    f.has_dictionary = true; /* but for the last three pages */
    f.n_plain_pages = 3;
    write_rows(f, values);
    assert_int_equal(code_rows_of_range(EG_COL_DSTPORT, 50, 50, values), ROWS - 3 * PAGE);
    assert_int_equal(code_rows_of_range(EG_COL_DSTPORT, 50, 60, values), ROWS - 3 * PAGE);
    f.n_plain_pages = 0; /* a NULL, where the page's rows before it come with those behind */
    f.is_optional = true;
    values[2 * PAGE + 17] = SB_NULL;
    write_rows(f, values);
    assert_int_equal(code_rows_of_range(EG_COL_DSTPORT, 50, 50, values), ROWS - PAGE);
    assert_int_equal(code_rows_of_range(EG_COL_DSTPORT, 0, 20, values), ROWS - PAGE);
}

/* By codes a wrong entry could be passed over: it is told as without a predicate. */
static void wrong_entries_are_told_all_the_same(void **state) {
    (void)state;
    static int64_t values[ROWS];
    static result r;
    char said[256];
    make_values(values);
    values[4321] = 70000;
    write_rows((sb_field){.name = "dstport", .type = SB_I32, .has_dictionary = true}, values);
    for (int k = 0; k < 2; k++) {
        eg_predicate p = {0};
        assert_int_equal(eg_predicate_range(&p, EG_COL_DSTPORT, 50, 50 + k * 8, false, NULL),
                         EG_OK);
        read_rows(&p, &r);
        eg_predicate_clear(&p);
        snprintf(said, sizeof said, "%s: column dstport, row 4321: 70000, expected 0 to 65535",
                 path);
        assert_int_equal(r.status, EG_CORRUPT);
        assert_string_equal(r.err.msg, said);
        assert_int_equal(r.code_rows, 0);
    }
}

/* Batches of rows that were picked by all that the predicate asks say so, and others do not. */
static void picked_rows_need_no_filter(void **state) {
    (void)state;
    static int64_t values[ROWS];
    static result r;
    static const int64_t six[] = {0, 6, 50, 52, 100, 192};
    make_values(values);
    values[17] = SB_NULL;
    write_rows(
        (sb_field){.name = "dstport", .type = SB_I32, .has_dictionary = true, .is_optional = true},
        values);
    for (int k = 0; k < 6; k++) {
        eg_predicate p = {0};
        if (k == 5) /* more than rows are compared with, where there is a NULL */
            assert_int_equal(eg_predicate_set(&p, EG_COL_DSTPORT, six, 6, false, NULL), EG_OK);
        else
            assert_int_equal(eg_predicate_range(&p, EG_COL_DSTPORT, 50, 50 + k * 4, false, NULL),
                             EG_OK);
        if (k == 2) /* another column, tested too */
            assert_int_equal(eg_predicate_range(&p, EG_COL_BYTES, 5, 9000, false, NULL), EG_OK);
        if (k == 3) /* a second test, of which codes of one number know nothing */
            assert_int_equal(eg_predicate_range(&p, EG_COL_DSTPORT, 54, 54, true, NULL), EG_OK);
        if (k == 4) /* no number */
            assert_int_equal(eg_predicate_null(&p, EG_COL_BYTES, true, NULL), EG_OK);
        read_rows(&p, &r);
        eg_predicate_clear(&p);
        assert_int_equal(r.status, EG_DONE);
        assert_true(r.n_kept > 0);
        assert_int_equal(r.n_passed, k < 3 ? r.n_kept : 0);
    }
    /* Most rows of each batch pass: nothing is picked. */
    eg_predicate p = {0};
    assert_int_equal(eg_predicate_range(&p, EG_COL_DSTPORT, 0, 150, false, NULL), EG_OK);
    read_rows(&p, &r);
    eg_predicate_clear(&p);
    assert_true(r.n_kept > ROWS / 2 && r.n_read == ROWS);
    assert_int_equal(r.n_passed, 0);
}

/* Two columns' tests leave the rows that pass both. */
static void tests_of_two_columns_go_together(void **state) {
    (void)state;
    static int64_t values[ROWS];
    static result r;
    make_values(values);
    write_rows((sb_field){.name = "dstport", .type = SB_I32, .has_dictionary = true}, values);
    for (int k = 0; k < 2; k++) {
        eg_predicate p = {0};
        assert_int_equal(eg_predicate_range(&p, EG_COL_BYTES, 500, 7000, k == 1, NULL), EG_OK);
        assert_int_equal(eg_predicate_range(&p, EG_COL_DSTPORT, 50, 60, false, NULL), EG_OK);
        assert_int_equal(eg_predicate_range(&p, EG_COL_DSTPORT, 54, 54, true, NULL), EG_OK);
        read_rows(&p, &r);
        eg_predicate_clear(&p);
        assert_int_equal(r.status, EG_DONE);
        for (int i = 0; i < ROWS; i++)
            assert_int_equal(r.is_kept[i], values[i] >= 50 && values[i] <= 60 && values[i] != 54 &&
                                               (i >= 500 && i <= 7000) != (k == 1));
        assert_true(r.code_rows >= ROWS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_tell_which_rows_pass),
        cmocka_unit_test(other_widths_of_vectors_are_tested_by_codes),
        cmocka_unit_test(rows_without_codes_are_tested_by_numbers),
        cmocka_unit_test(wrong_entries_are_told_all_the_same),
        cmocka_unit_test(picked_rows_need_no_filter),
        cmocka_unit_test(tests_of_two_columns_go_together),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
