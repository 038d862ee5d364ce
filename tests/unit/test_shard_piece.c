/* Claims of parquet/shard_piece.c: whatever is passed over, a scan gives the rows that
** reading everything gives; each way of passing over rows happens, and is counted;
** damage is told where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "light.h"
#include "parquet/pq_file.h"
#include "parquet/shard_source.h"
#include "query/scan.h"
#include "shard_build.h"

#define BIT(v) EG_VECTOR_BIT(EG_VEC_##v)
#define START INT64_C(1185487200000)

static char path[64];

static int set_up(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_shard_piece.%ld.parquet", (long)getpid());
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static uint64_t seed = 88172645463325252u;
static uint64_t rnd(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* A scan of the file; `where` filters, and prunes where `prunes`. */
typedef struct reading {
    eg_intern *texts;
    eg_scan_spec spec, unpruned;
    eg_scan *scan;
    eg_scan_stats stats;
    eg_err err;
} reading;

static eg_status start_reading(reading *r, const eg_predicate *where, bool prunes,
                               eg_vector_set vectors) {
    eg_shard_list list = {0};
    eg_source *source;
    memset(r, 0, sizeof *r);
    assert_int_equal(eg_intern_open(&r->texts, NULL), EG_OK);
    if (where != NULL)
        vectors |= eg_predicate_vectors(where);
    r->spec = (eg_scan_spec){
        .vectors = vectors, .where = where, .texts = r->texts, .wants_numbers = true};
    r->unpruned = (eg_scan_spec){.vectors = vectors, .texts = r->texts, .wants_numbers = true};
    assert_int_equal(eg_shard_list_add(&list, path, NULL, NULL), EG_OK);
    eg_status rc = eg_shard_source_open(&list, prunes ? &r->spec : &r->unpruned, &source, &r->err);
    assert_int_equal(rc, EG_OK);
    assert_int_equal(list.n_shards, 0);
    return eg_scan_open(source, &r->spec, (eg_poll){0}, &r->scan, &r->err);
}

static void end_reading(reading *r) {
    eg_scan_close(r->scan, &r->stats);
    eg_intern_close(r->texts);
}

/* ---- the property ------------------------------------------------------- */

typedef struct choice {
    eg_column col;
    uint32_t types; /* bit for each sb_type */
} choice;

#define T(type) (1u << SB_##type)
#define NUMBERS (T(I32) | T(U32) | T(I64) | T(U64) | T(DOUBLE) | T(DECIMAL))
#define TIMES (T(MS) | T(US) | T(NS) | T(INT96) | T(I64))

static const choice choices[] = {
    {EG_COL_START_TIME, TIMES},
    {EG_COL_END_TIME, TIMES},
    {EG_COL_START_MS, TIMES},
    {EG_COL_DURATION_MS, NUMBERS},
    {EG_COL_SRCADDR, T(IP4) | T(U32) | T(I64)},
    {EG_COL_SRCADDR, T(IP4)},
    {EG_COL_DSTADDR, T(IP4) | T(U64) | T(DOUBLE)},
    {EG_COL_SRCPORT, NUMBERS | T(FLOAT)},
    {EG_COL_DSTPORT, NUMBERS},
    {EG_COL_PROTOCOL, T(PROTO) | T(I32)},
    {EG_COL_PROTO, T(PROTO) | T(U32)},
    {EG_COL_PACKETS, NUMBERS},
    {EG_COL_BYTES, NUMBERS},
    {EG_COL_TOS, NUMBERS | T(TRUTH)},
    {EG_COL_SAMPLING_INTERVAL, T(I32)},
    {EG_COL_EXPORTER, T(TEXT) | T(IP4) | T(U32)},
    {EG_COL_RECEIVED_TIME, TIMES},
    {EG_COL_TIME_FLAG, T(I32)},
    {EG_COL_FILE, T(TEXT)},
    {EG_COL_FRAME, NUMBERS},
};
#define N_CHOICES (sizeof choices / sizeof choices[0])

#define GROUP_ROWS 6000

typedef struct table {
    sb_field fields[PB_COLUMNS];
    eg_column cols[PB_COLUMNS];
    uint32_t n_fields, n_groups, n_rows;
    int64_t values[PB_COLUMNS]
                  [2 * GROUP_ROWS]; /* as a batch has them; SB_NULL; TEXT: of sb_texts */
} table;

/* Numbers in runs that drift, so that pages and groups differ. */
static int64_t some_value(eg_column col, sb_type type, uint32_t row, uint64_t style) {
    eg_vector v = eg_column_about(col)->vector;
    int64_t lo, hi, n;
    eg_vector_range(v, &lo, &hi);
    uint64_t drift = style % 3 == 0 ? row / 100 : style % 3 == 1 ? row / 2000 * 40 : 0;
    n = (int64_t)(drift + rnd(style % 5 == 0 ? 200 : 12));
    if (type == SB_TRUTH)
        return n % 2;
    if (type == SB_TEXT)
        return n % SB_TEXTS;
    if (eg_column_about(col)->kind == EG_KIND_TIME || v == EG_VEC_START_MS)
        return START + n * 1000 + (int64_t)rnd(3);
    if (v == EG_VEC_SRCADDR || v == EG_VEC_DSTADDR || v == EG_VEC_EXPORTER)
        return (int64_t)(10 + n % 3) << 24 | (n * 37 & 0xffff);
    if (v == EG_VEC_BYTES && (type == SB_I64 || type == SB_U64 || type == SB_DOUBLE))
        n = n * 100000000;
    if (v == EG_VEC_BYTES && (type == SB_I64 || type == SB_DOUBLE) && style % 2 == 0)
        n = -n;
    return n > hi ? n % (hi + 1) : n;
}

static void make_table(table *t) {
    static const int32_t codecs[] = {EG_PQ_UNCOMPRESSED, EG_PQ_SNAPPY, EG_PQ_GZIP, EG_PQ_ZSTD,
                                     EG_PQ_LZ4_RAW};
    t->n_fields = 1 + (uint32_t)rnd(PB_COLUMNS - 1);
    t->n_groups = 1 + (uint32_t)rnd(2);
    t->n_rows = t->n_groups * GROUP_ROWS - (uint32_t)rnd(GROUP_ROWS - 1);
    for (uint32_t i = 0; i < t->n_fields; i++) {
        const choice *c = &choices[rnd(N_CHOICES)];
        uint64_t style = rnd(30), type = rnd(SB_N_TYPES);
        if (i == 0) {
            t->cols[0] = EG_COL_FLOW_SEQUENCE;
            t->fields[0] = (sb_field){"flow_sequence", SB_I64, .compression = EG_PQ_ZSTD};
            for (uint32_t row = 0; row < t->n_rows; row++)
                t->values[0][row] = row;
            continue;
        }
        for (uint32_t k = 1; k < i; k++)
            if (eg_column_about(t->cols[k])->vector == eg_column_about(c->col)->vector) {
                k = 0; /* another name of that vector: start over with the next choice */
                c = c + 1 < choices + N_CHOICES ? c + 1 : choices;
            }
        while ((c->types >> type & 1) == 0)
            type = (type + 1) % SB_N_TYPES;
        t->cols[i] = c->col;
        t->fields[i] = (sb_field){.name = eg_column_about(c->col)->name,
                                  .type = (sb_type)type,
                                  .is_optional = rnd(3) == 0,
                                  .is_v2 = rnd(3) == 0,
                                  .has_dictionary = type != SB_TRUTH && rnd(2) == 0,
                                  .n_plain_pages = rnd(4) == 0,
                                  .code_bits = rnd(3) == 0   ? 8
                                               : rnd(2) == 0 ? 16
                                                             : 1,
                                  .has_bounds = type != SB_INT96 && rnd(3) > 0,
                                  .no_null_counts = rnd(4) == 0,
                                  .has_bloom = type != SB_TRUTH && rnd(3) == 0,
                                  .compression = codecs[rnd(5)]};
        uint64_t null_style = rnd(4);
        for (uint32_t row = 0; row < t->n_rows; row++) {
            bool is_null = t->fields[i].is_optional &&
                           (null_style == 0 || (null_style == 1 && row / 500 % 3 != 1) ||
                            (null_style == 2 && rnd(7) == 0));
            t->values[i][row] = is_null ? SB_NULL : some_value(c->col, (sb_type)type, row, style);
        }
    }
}

static void write_table(const table *t, bool has_index) {
    sb b;
    sb_open(&b, t->fields, t->n_fields, 100 + (uint32_t)rnd(900));
    b.file.no_index = !has_index;
    for (uint32_t at = 0; at < t->n_rows; at += GROUP_ROWS) {
        const int64_t *columns[PB_COLUMNS];
        for (uint32_t i = 0; i < t->n_fields; i++)
            columns[i] = t->values[i] + at;
        sb_group(&b, columns, t->n_rows - at < GROUP_ROWS ? t->n_rows - at : GROUP_ROWS);
    }
    assert_true(sb_close(&b, path));
}

static const void *array_of(const eg_batch *b, eg_vector v) {
    switch (v) {
#define EG_VECTOR(ID, ctype)                                                                       \
    case EG_VEC_##ID:                                                                              \
        return b->v.ID;
#include "flow/schema.def"
    default:
        return NULL;
    }
}

/* A row of the batch has what the table says of it. */
static void check_row(const table *t, const reading *r, const eg_batch *b, uint32_t at,
                      eg_vector_set vectors) {
    uint32_t row = (uint32_t)b->v.FLOW_SEQUENCE[at];
    for (uint32_t i = 0; i < t->n_fields; i++) {
        eg_vector v = eg_column_about(t->cols[i])->vector;
        if ((vectors & EG_VECTOR_BIT(v)) == 0)
            continue;
        int64_t want = t->values[i][row];
        bool is_null = b->nulls != NULL && (b->nulls[at] & EG_VECTOR_BIT(v)) != 0;
        if (v == EG_VEC_RECEIVED_MS) {
            assert_true(b->v.RECEIVED_MS[at] == (want == SB_NULL ? EG_NO_TIME : want));
        } else if (want == SB_NULL) {
            assert_true(is_null);
            const uint8_t *array = array_of(b, v);
            for (size_t k = 0; k < eg_vector_width(v); k++)
                assert_int_equal(array[at * eg_vector_width(v) + k], 0);
        } else if (v == EG_VEC_EXPORTER || v == EG_VEC_FILE) {
            char dotted[EG_IP4_TEXT_MAX];
            size_t n;
            const char *text =
                eg_intern_text(r->texts, v == EG_VEC_FILE ? b->v.FILE[at] : b->v.EXPORTER[at], &n);
            if (t->fields[i].type != SB_TEXT)
                eg_ip4_format((uint32_t)want, dotted);
            assert_false(is_null);
            assert_string_equal(text, t->fields[i].type == SB_TEXT ? sb_texts[want] : dotted);
        } else {
            eg_column col = t->cols[i];
            assert_false(is_null);
            if (eg_batch_number(b, col, at) != want)
                fail_msg("row %u of %s, type %d: %lld, expected %lld", row, t->fields[i].name,
                         (int)t->fields[i].type, (long long)eg_batch_number(b, col, at),
                         (long long)want);
        }
    }
}

static void add_term(eg_predicate *p, const table *t) {
    uint32_t i = (uint32_t)rnd(t->n_fields), row = (uint32_t)rnd(t->n_rows);
    eg_column col = t->cols[i];
    if (rnd(6) == 0)
        col = (eg_column)rnd(EG_N_COLUMNS);
    const eg_column_info *c = eg_column_about(col);
    bool negated = rnd(4) == 0;
    int64_t n = t->values[i][row] == SB_NULL ? 3 : t->values[i][row];
    if (rnd(5) == 0)
        n += (int64_t)rnd(2000);
    uint64_t kind = rnd(10);
    if (kind == 0) {
        assert_int_equal(eg_predicate_null(p, col, negated, NULL), EG_OK);
    } else if (c->kind == EG_KIND_TEXT) {
        const char *text = rnd(6) == 0 ? "10.0.3.88" : sb_texts[rnd(SB_TEXTS)];
        eg_text_op op = rnd(2) == 0 ? EG_TEXT_EQ : (eg_text_op)rnd(6);
        assert_int_equal(eg_predicate_text(p, col, op, text, strlen(text), NULL), EG_OK);
    } else if (kind < 4) {
        int64_t hi = n + (int64_t)rnd(3) * (int64_t)rnd(c->kind == EG_KIND_IP4 ? 1 << 20 : 3000);
        assert_int_equal(eg_predicate_range(p, col, rnd(9) == 0 ? INT64_MIN : n,
                                            rnd(9) == 0 ? INT64_MAX : hi, negated, NULL),
                         EG_OK);
    } else if (kind < 7 || !eg_column_is_text(col)) {
        int64_t set[6];
        size_t n_set = rnd(7);
        for (size_t k = 0; k < n_set; k++)
            set[k] = rnd(3) == 0 ? (int64_t)rnd(100) : t->values[i][rnd(t->n_rows)];
        assert_int_equal(eg_predicate_set(p, col, set, n_set, negated, NULL), EG_OK);
    } else {
        char text[EG_TEXT_MAX];
        size_t n_text = c->kind == EG_KIND_IP4    ? eg_ip4_format((uint32_t)n, text)
                        : c->kind == EG_KIND_TIME ? eg_time_format(n, text)
                                                  : eg_proto_format((uint8_t)n, text);
        if (rnd(4) == 0)
            n_text = rnd(n_text);
        eg_text_op op = rnd(2) == 0 ? EG_TEXT_EQ : (eg_text_op)rnd(6);
        assert_int_equal(eg_predicate_text(p, col, op, text, n_text, NULL), EG_OK);
    }
}

/* The rows of a scan, in order. */
static uint32_t scan_rows(const table *t, const eg_predicate *where, bool prunes,
                          eg_vector_set vectors, uint32_t *rows, eg_scan_stats *stats) {
    reading r;
    const eg_batch *b;
    eg_status rc;
    uint32_t n = 0;
    assert_int_equal(start_reading(&r, where, prunes, vectors | BIT(FLOW_SEQUENCE)), EG_OK);
    while ((rc = eg_scan_next(r.scan, &b, &r.err)) == EG_OK) {
        for (uint32_t i = 0; i < b->n_sel; i++) {
            assert_true(n < t->n_rows);
            check_row(t, &r, b, b->sel[i], b->vectors);
            assert_int_equal(eg_batch_row(b, b->sel[i]), b->v.FLOW_SEQUENCE[b->sel[i]]);
            rows[n++] = (uint32_t)b->v.FLOW_SEQUENCE[b->sel[i]];
        }
    }
    if (rc != EG_DONE)
        fail_msg("%s", r.err.msg);
    int64_t n_rows, done, total;
    eg_scan_progress(r.scan, &done, &total, &n_rows);
    assert_true(total > 0 && done == total);
    end_reading(&r);
    *stats = r.stats;
    return n;
}

static void describe(const table *t, const eg_predicate *p, uint32_t n, uint32_t n_expected) {
    for (uint32_t i = 0; i < t->n_fields; i++)
        print_message("%s: type %d%s%s%s%s\n", t->fields[i].name, (int)t->fields[i].type,
                      t->fields[i].is_optional ? ", optional" : "",
                      t->fields[i].has_dictionary ? ", dictionary" : "",
                      t->fields[i].has_bounds ? ", bounds" : "",
                      t->fields[i].has_bloom ? ", Bloom" : "");
    for (size_t i = 0; i < p->n_terms; i++) {
        const eg_term *e = &p->terms[i];
        print_message("%s: kind %d%s, %lld to %lld, %zu in set, op %d '%.*s'\n",
                      eg_column_about(e->col)->name, (int)e->kind, e->negated ? ", negated" : "",
                      (long long)e->lo, (long long)e->hi, e->n_set, (int)e->op, (int)e->text_bytes,
                      e->text != NULL ? e->text : "");
    }
    fail_msg("%u rows instead of %u of %u", n, n_expected, t->n_rows);
}

static void pruned_scans_give_the_rows_of_reading_everything(void **state) {
    (void)state;
    static table t;
    static uint32_t rows[2 * GROUP_ROWS], expected[2 * GROUP_ROWS];
    eg_scan_stats sum = {0}, stats;
    int64_t n_selected = 0, n_cut = 0;
    const int n_rounds = is_light() ? 12 : 60;
    for (int round = 0; round < n_rounds; round++) {
        make_table(&t);
        bool has_index = rnd(4) > 0;
        write_table(&t, has_index);
        eg_vector_set all = 0;
        for (uint32_t i = 0; i < t.n_fields; i++)
            all |= eg_column_about(t.cols[i])->vectors & ~BIT(SAMPLING_INTERVAL);
        assert_int_equal(scan_rows(&t, NULL, true, all, expected, &stats), t.n_rows);
        assert_int_equal(stats.rows_read, t.n_rows);
        assert_int_equal(stats.row_groups, t.n_groups);
        assert_int_equal(stats.row_groups_skipped + stats.pages_skipped, 0);
        int64_t n_pages = stats.pages;
        for (int again = 0; again < 20; again++) {
            eg_predicate p = {0};
            for (uint64_t n = 1 + rnd(2); n > 0; n--)
                add_term(&p, &t);
            eg_vector_set some = rnd(2) == 0 ? all : 0;
            uint32_t n_expected = scan_rows(&t, &p, false, some, expected, &stats);
            uint32_t n = scan_rows(&t, &p, true, some, rows, &stats);
            if (n != n_expected)
                describe(&t, &p, n, n_expected);
            assert_memory_equal(rows, expected, n * sizeof *rows);
            assert_int_equal(stats.rows_kept, n);
            assert_int_equal(stats.files + stats.files_skipped, 1);
            assert_int_equal(stats.row_groups + stats.row_groups_skipped, stats.files * t.n_groups);
            if (some == all && has_index && stats.row_groups == t.n_groups &&
                (eg_predicate_vectors(&p) & ~all) == 0)
                assert_int_equal(stats.pages + stats.pages_skipped, n_pages);
            n_selected += n;
            n_cut += stats.row_groups > 0 && stats.rows_read < t.n_rows;
            sum.row_groups_skipped += stats.row_groups_skipped;
            sum.pages_skipped += stats.pages_skipped;
            eg_predicate_clear(&p);
        }
    }
    assert_true(n_selected > 1600 * n_rounds);
    assert_true(sum.row_groups_skipped > 2 * n_rounds && sum.pages_skipped > 16 * n_rounds &&
                n_cut > 2 * n_rounds);
}

/* ---- each way of passing over rows -------------------------------------- */

#define ROWS 10000
#define PAGE 1000

/* One row group of ROWS rows in pages: start_time climbs a second a row, srcaddr
** is clustered as in a sorted shard, dstaddr is not, srcport repeats. */
static void write_clustered_pages(const sb_field fields[4], bool has_index, uint32_t page_rows) {
    static int64_t values[4][ROWS];
    const int64_t *columns[4] = {values[0], values[1], values[2], values[3]};
    sb b;
    for (int64_t i = 0; i < ROWS; i++) {
        values[0][i] = START + i * 1000;
        values[1][i] = 0x0a000000 + i / 50 * 4; /* 10.0.0.0, .4, … 10.0.3.28 */
        values[2][i] = 0x0a000000 + i * 7919 % 1000 * 2;
        values[3][i] = i % 97 * 2;
    }
    sb_open(&b, fields, 4, page_rows);
    b.file.no_index = !has_index;
    sb_group(&b, columns, ROWS);
    assert_true(sb_close(&b, path));
}

static void write_clustered(const sb_field fields[4], bool has_index) {
    write_clustered_pages(fields, has_index, PAGE);
}

#define CLUSTERED(...)                                                                             \
    {                                                                                              \
        {.name = "start_time", .type = SB_MS, __VA_ARGS__},                                        \
            {.name = "srcaddr", .type = SB_IP4, .has_dictionary = true, __VA_ARGS__},              \
            {.name = "dstaddr", .type = SB_IP4, __VA_ARGS__},                                      \
            {.name = "srcport", .type = SB_I32, .has_dictionary = true, __VA_ARGS__},              \
    }

/* What a scan with one term reads and keeps. */
static eg_scan_stats count(const eg_predicate *where, eg_vector_set vectors) {
    reading r;
    const eg_batch *b;
    eg_status rc;
    assert_int_equal(start_reading(&r, where, true, vectors), EG_OK);
    while ((rc = eg_scan_next(r.scan, &b, &r.err)) == EG_OK)
        ;
    if (rc != EG_DONE)
        fail_msg("%s", r.err.msg);
    end_reading(&r);
    return r.stats;
}

static eg_scan_stats count_range(eg_column col, int64_t lo, int64_t hi, eg_vector_set vectors) {
    eg_predicate p = {0};
    assert_int_equal(eg_predicate_range(&p, col, lo, hi, false, NULL), EG_OK);
    eg_scan_stats s = count(&p, vectors);
    eg_predicate_clear(&p);
    return s;
}

static eg_scan_stats count_text(eg_column col, eg_text_op op, const char *text,
                                eg_vector_set vectors) {
    eg_predicate p = {0};
    assert_int_equal(eg_predicate_text(&p, col, op, text, strlen(text), NULL), EG_OK);
    eg_scan_stats s = count(&p, vectors);
    eg_predicate_clear(&p);
    return s;
}

static void assert_counts(eg_scan_stats s, int64_t groups, int64_t groups_skipped, int64_t pages,
                          int64_t pages_skipped, int64_t rows_read, int64_t rows_kept) {
    if (s.row_groups != groups || s.row_groups_skipped != groups_skipped || s.pages != pages ||
        s.pages_skipped != pages_skipped || s.rows_read != rows_read || s.rows_kept != rows_kept)
        fail_msg("row groups %lld, skipped %lld; pages %lld, skipped %lld; rows %lld, kept %lld",
                 (long long)s.row_groups, (long long)s.row_groups_skipped, (long long)s.pages,
                 (long long)s.pages_skipped, (long long)s.rows_read, (long long)s.rows_kept);
}

static void page_index_of_a_predicate_column_cuts_every_column(void **state) {
    (void)state;
    const sb_field fields[4] = CLUSTERED(.has_bounds = true, .compression = EG_PQ_ZSTD);
    write_clustered(fields, true);
    /* 1,200 rows in 3 pages; the batch is cut to the rows that pass. */
    int64_t lo = START + 3900000, hi = lo + 1199000;
    assert_counts(count_range(EG_COL_START_TIME, lo, hi, BIT(DSTADDR) | BIT(SRCPORT)), 1, 0, 9, 21,
                  1200, 1200);
    assert_counts(count_range(EG_COL_START_TIME, lo, lo, BIT(DSTADDR) | BIT(SRCPORT)), 1, 0, 3, 27,
                  1, 1);
    assert_counts(count_range(EG_COL_START_TIME, START, INT64_MAX, BIT(DSTADDR) | BIT(SRCPORT)), 1,
                  0, 30, 0, ROWS, ROWS);
    /* Pages that no row is left of in two indexes together: one has 3000 to 3999, the other 2000 to
    ** 2999, and the row group's own bounds have both. */
    eg_predicate p = {0};
    assert_int_equal(
        eg_predicate_range(&p, EG_COL_START_TIME, START + 3100000, START + 3200000, false, NULL),
        EG_OK);
    assert_int_equal(eg_predicate_text(&p, EG_COL_SRCADDR, EG_TEXT_EQ, "10.0.0.188", 10, NULL),
                     EG_OK);
    assert_counts(count(&p, 0), 0, 1, 0, 0, 0, 0);
    eg_predicate_clear(&p);
    /* The half of pages that a negated range leaves. */
    assert_int_equal(
        eg_predicate_range(&p, EG_COL_START_TIME, START + 1000000, START + 8999000, true, NULL),
        EG_OK);
    assert_counts(count(&p, BIT(DSTADDR)), 1, 0, 4, 16, 2000, 2000);
    eg_predicate_clear(&p);
}

static void addresses_in_text_are_found_by_page_bounds(void **state) {
    (void)state;
    const sb_field fields[4] = CLUSTERED(.has_bounds = true);
    write_clustered(fields, true);
    assert_counts(count_text(EG_COL_SRCADDR, EG_TEXT_EQ, "10.0.1.44", BIT(DSTADDR)), 1, 0, 4, 16,
                  50, 50);
    /* 10.0.2.0/24 is rows 6400 to 9599: pages 6 to 9, of which others have such texts, too. */
    eg_scan_stats s = count_range(EG_COL_SRCADDR, 0x0a000200, 0x0a0002ff, BIT(DSTADDR));
    assert_int_equal(s.rows_kept, 3200);
    assert_true(s.pages_skipped >= 10);
    /* Between bounds as numbers and as text, and nowhere. */
    assert_counts(count_text(EG_COL_SRCADDR, EG_TEXT_EQ, "10.0.1.45", BIT(DSTADDR)), 0, 1, 0, 0, 0,
                  0);
    assert_counts(count_text(EG_COL_SRCADDR, EG_TEXT_EQ, "11.0.1.44", BIT(DSTADDR)), 0, 1, 0, 0, 0,
                  0);
    assert_counts(count_text(EG_COL_SRCADDR, EG_TEXT_LT, "10", BIT(DSTADDR)), 0, 1, 0, 0, 0, 0);
}

static void dictionary_without_the_value_drops_the_row_group(void **state) {
    (void)state;
    sb_field fields[4] = CLUSTERED(.compression = EG_PQ_SNAPPY);
    write_clustered(fields, false);
    assert_counts(count_range(EG_COL_SRCPORT, 51, 51, BIT(DSTADDR)), 0, 1, 0, 0, 0, 0);
    assert_counts(count_text(EG_COL_SRCADDR, EG_TEXT_EQ, "10.0.1.45", BIT(DSTADDR)), 0, 1, 0, 0, 0,
                  0);
    /* A range of addresses with none of them inside. */
    assert_counts(count_range(EG_COL_SRCADDR, 0x0a000401, 0x0affffff, 0), 0, 1, 0, 0, 0, 0);
    assert_int_equal(count_range(EG_COL_SRCPORT, 50, 50, BIT(DSTADDR)).rows_kept, 103);
    /* One page that is not encoded with it, and it says nothing. */
    fields[3].n_plain_pages = 1;
    write_clustered(fields, false);
    assert_int_equal(count_range(EG_COL_SRCPORT, 51, 51, BIT(DSTADDR)).row_groups, 1);
}

static void bloom_filter_without_the_value_drops_the_row_group(void **state) {
    (void)state;
    const sb_field fields[4] = CLUSTERED(.has_bloom = true);
    write_clustered(fields, false);
    eg_scan_stats s = count_text(EG_COL_DSTADDR, EG_TEXT_EQ, "10.0.1.45", BIT(SRCPORT));
    assert_counts(s, 0, 1, 0, 0, 0, 0);
    assert_true(s.bytes_read < 3000); /* footer and filter */
    assert_int_equal(count_text(EG_COL_DSTADDR, EG_TEXT_EQ, "10.0.1.44", 0).rows_kept, 10);
    assert_counts(count_range(EG_COL_START_TIME, START + 500, START + 510, 0), 0, 1, 0, 0, 0, 0);
}

static void batches_without_rows_that_pass_cost_the_other_columns_nothing(void **state) {
    (void)state;
    /* Nothing but offsets in the index: only the rows themselves tell. */
    const sb_field fields[4] = CLUSTERED(.compression = EG_PQ_GZIP);
    write_clustered(fields, true);
    eg_scan_stats s =
        count_range(EG_COL_START_TIME, START + 8500000, START + 8520000, BIT(DSTADDR));
    assert_counts(s, 1, 0, 11, 9, 21, 21); /* all pages of start_time, one of dstaddr */
    /* The same without an index, where headers of pages are passed over. */
    write_clustered(fields, false);
    s = count_range(EG_COL_START_TIME, START + 8500000, START + 8520000, BIT(DSTADDR));
    assert_counts(s, 1, 0, 11, 8, 21, 21);
}

/* What a lookup reads beside the footer is the same with and without bounds of a column's pages
** that it does not ask about. */
static void bounds_of_pages_are_read_for_predicates_only(void **state) {
    (void)state;
    int64_t n_bytes[2];
    for (int has_bounds = 0; has_bounds < 2; has_bounds++) {
        sb_field fields[4] = CLUSTERED(.has_bounds = true);
        fields[2].has_bounds = has_bounds;
        write_clustered(fields, true);
        eg_scan_stats s = count_range(EG_COL_START_TIME, START + 5000, START + 6000, BIT(DSTADDR));
        assert_counts(s, 1, 0, 2, 18, 2, 2);
        n_bytes[has_bounds] = s.bytes_read;
        s = count_range(EG_COL_START_TIME, 5, 6, BIT(DSTADDR)); /* the footer alone */
        assert_counts(s, 0, 1, 0, 0, 0, 0);
        n_bytes[has_bounds] -= s.bytes_read;
    }
    assert_true(n_bytes[0] > 1000);
    assert_int_equal(n_bytes[0], n_bytes[1]);
}

/* As many as 2 of 5 rows, and in each batch the first and the last, so that there is nothing to
** cut: no others are handed out. */
static void few_rows_that_pass_are_picked(void **state) {
    (void)state;
    const sb_field fields[4] = CLUSTERED(.compression = EG_PQ_GZIP);
    write_clustered(fields, true);
    assert_counts(count_range(EG_COL_SRCPORT, 50, 50, BIT(DSTADDR)), 1, 0, 20, 0, 103, 103);
    eg_scan_stats s = count_range(EG_COL_SRCPORT, 0, 76, BIT(DSTADDR) | BIT(START_MS));
    assert_int_equal(s.rows_kept, 39 * 103 + 9);
    assert_int_equal(s.rows_read, s.rows_kept);
    /* Two of three are not few. */
    s = count_range(EG_COL_SRCPORT, 0, 128, BIT(DSTADDR));
    assert_int_equal(s.rows_read, ROWS);
}

/* A sixteenth of a row group is few; without an index, or by noise, nobody knows. */
static void a_piece_says_that_few_rows_are_left_before_it_reads_them(void **state) {
    (void)state;
    const sb_field fields[4] = CLUSTERED(.has_bounds = true);
    static const struct {
        bool has_index, has_few;
        int64_t n_rows;
    } cases[] = {{true, true, 500}, {true, false, 1000}, {false, false, 500}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reading r;
        eg_predicate p = {0};
        const eg_scan_spec *spec;
        eg_piece *piece;
        eg_batch b;
        write_clustered_pages(fields, cases[i].has_index, 500);
        int64_t lo = START + 2000000, hi = lo + cases[i].n_rows * 1000 - 1;
        assert_int_equal(eg_predicate_range(&p, EG_COL_START_TIME, lo, hi, false, NULL), EG_OK);
        assert_int_equal(start_reading(&r, &p, true, BIT(SRCPORT)), EG_OK);
        eg_source *source = eg_scan_source(r.scan, &spec);
        assert_int_equal(source->ops->next_piece(source, &piece, &r.err), EG_OK);
        assert_int_equal(eg_batch_open(&b, spec->vectors, r.texts, NULL), EG_OK);
        assert_false(piece->has_few);
        assert_int_equal(piece->ops->next(piece, &b, &r.err), EG_OK);
        assert_true(piece->has_few == cases[i].has_few);
        assert_true((b.n_rows == 0) == cases[i].has_few);
        if (cases[i].has_few)
            assert_int_equal(piece->ops->next(piece, &b, &r.err), EG_OK);
        assert_int_equal(b.n_rows, cases[i].n_rows);
        piece->ops->close(piece, NULL);
        eg_batch_close(&b);
        end_reading(&r);
        eg_predicate_clear(&p);
    }
}

/* Between steps of planning, and behind the last: the host can be asked. */
static void a_large_dictionary_is_enough_for_one_call(void **state) {
    (void)state;
    enum { MANY = 40000 };
    static int64_t values[2][MANY];
    const int64_t *columns[2] = {values[0], values[1]};
    const sb_field fields[2] = {{.name = "srcport", .type = SB_I32, .has_dictionary = true},
                                {.name = "dstport", .type = SB_I32}};
    reading r;
    eg_predicate p = {0};
    const eg_scan_spec *spec;
    eg_piece *piece;
    eg_batch b;
    sb s;
    for (int64_t i = 0; i < MANY; i++)
        values[0][i] = values[1][i] = i;
    sb_open(&s, fields, 2, 4000);
    sb_group(&s, columns, MANY);
    assert_true(sb_close(&s, path));
    assert_int_equal(eg_predicate_range(&p, EG_COL_SRCPORT, 1, MANY, false, NULL), EG_OK);
    assert_int_equal(start_reading(&r, &p, true, BIT(DSTPORT)), EG_OK);
    eg_source *source = eg_scan_source(r.scan, &spec);
    assert_int_equal(source->ops->next_piece(source, &piece, &r.err), EG_OK);
    assert_int_equal(eg_batch_open(&b, spec->vectors, r.texts, NULL), EG_OK);
    assert_int_equal(piece->ops->next(piece, &b, &r.err), EG_OK);
    assert_int_equal(b.n_rows, 0);
    assert_false(piece->has_few);
    assert_int_equal(piece->ops->next(piece, &b, &r.err), EG_OK);
    assert_true(b.n_rows > 0);
    piece->ops->close(piece, NULL);
    eg_batch_close(&b);
    end_reading(&r);
    eg_predicate_clear(&p);
}

static void what_a_limit_leaves_unread_is_not_skipped(void **state) {
    (void)state;
    const sb_field fields[4] = CLUSTERED(.has_bounds = true);
    write_clustered(fields, true);
    reading r;
    const eg_batch *b;
    eg_predicate p = {0};
    assert_int_equal(
        eg_predicate_range(&p, EG_COL_START_TIME, START + 2000000, INT64_MAX, false, NULL), EG_OK);
    assert_int_equal(start_reading(&r, &p, true, BIT(SRCPORT)), EG_OK);
    assert_int_equal(eg_scan_next(r.scan, &b, &r.err), EG_OK);
    assert_int_equal(b->n_rows, EG_BATCH_ROWS);
    end_reading(&r);
    /* Rows 2000 to 6095 of two columns, and two pages of each before them. */
    assert_counts(r.stats, 1, 0, 10, 4, EG_BATCH_ROWS, EG_BATCH_ROWS);
    eg_predicate_clear(&p);
}

static void null_tests_prune_by_null_counts(void **state) {
    (void)state;
    static int64_t values[2][ROWS];
    const int64_t *columns[2] = {values[0], values[1]};
    const sb_field fields[2] = {
        {.name = "srcport", .type = SB_I32, .is_optional = true, .has_bounds = true},
        {.name = "bytes", .type = SB_I64, .has_bounds = true}};
    sb b;
    for (int i = 0; i < ROWS; i++) {
        values[0][i] = i / PAGE == 3 || i == 5500 ? SB_NULL : 7;
        values[1][i] = i;
    }
    sb_open(&b, fields, 2, PAGE);
    sb_group(&b, columns, ROWS);
    assert_true(sb_close(&b, path));
    eg_predicate p = {0};
    assert_int_equal(eg_predicate_null(&p, EG_COL_SRCPORT, false, NULL), EG_OK);
    assert_counts(count(&p, BIT(BYTES)), 1, 0, 4, 16, 2 * PAGE, PAGE + 1);
    eg_predicate_clear(&p);
    assert_int_equal(eg_predicate_null(&p, EG_COL_SRCPORT, true, NULL), EG_OK);
    assert_counts(count(&p, BIT(BYTES)), 1, 0, 18, 2, 9 * PAGE, 9 * PAGE - 1);
    eg_predicate_clear(&p);
    assert_int_equal(eg_predicate_null(&p, EG_COL_BYTES, false, NULL), EG_OK);
    assert_counts(count(&p, BIT(BYTES)), 0, 1, 0, 0, 0, 0);
    eg_predicate_clear(&p);
    /* All pages without NULLs, and one that has only them. */
    assert_counts(count_range(EG_COL_SRCPORT, 7, 7, BIT(BYTES)), 1, 0, 18, 2, 9 * PAGE,
                  9 * PAGE - 1);
    assert_counts(count_range(EG_COL_SRCPORT, 8, 8, BIT(BYTES)), 0, 1, 0, 0, 0, 0);
}

/* ---- columns that are not there ----------------------------------------- */

static void derived_times_are_null_where_they_do_not_fit(void **state) {
    (void)state;
    static const sb_field start_end[2] = {{.name = "start_ms", .type = SB_I64},
                                          {.name = "END_TIME", .type = SB_US, .is_optional = true}};
    static const sb_field start_duration[2] = {{.name = "start_time", .type = SB_MS},
                                               {.name = "duration_ms", .type = SB_U32}};
    static const sb_field end_duration[2] = {{.name = "end_time", .type = SB_MS},
                                             {.name = "duration_ms", .type = SB_I64}};
    static const struct {
        const sb_field *fields;
        int64_t a[4], b[4], expected[4];
        eg_column col;
    } cases[] = {
        {start_end,
         {START, START, START, 5},
         {START + 250, START - 1, SB_NULL, 5 + (INT64_C(1) << 32)},
         {250, SB_NULL, SB_NULL, SB_NULL},
         EG_COL_DURATION_MS},
        {start_duration,
         {START, 0, -5, INT64_MAX},
         {250, UINT32_MAX, 5, 1},
         {START + 250, UINT32_MAX, 0, SB_NULL},
         EG_COL_END_TIME},
        {end_duration,
         {START, 0, -5, INT64_MIN + 2},
         {250, UINT32_MAX, 5, 2},
         {START - 250, -(int64_t)UINT32_MAX, -10, SB_NULL},
         EG_COL_START_TIME},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sb b;
        reading r;
        const eg_batch *batch;
        const int64_t *columns[2] = {cases[i].a, cases[i].b};
        eg_vector v = eg_column_about(cases[i].col)->vector;
        sb_open(&b, cases[i].fields, 2, 3);
        sb_group(&b, columns, 4);
        assert_true(sb_close(&b, path));
        for (int with_others = 0; with_others < 2; with_others++) {
            eg_vector_set vectors = EG_VECTOR_BIT(v);
            if (with_others)
                vectors = BIT(START_MS) | BIT(END_MS) | BIT(DURATION_MS);
            assert_int_equal(start_reading(&r, NULL, true, vectors), EG_OK);
            assert_int_equal(eg_scan_next(r.scan, &batch, &r.err), EG_OK);
            assert_int_equal(batch->n_rows, 4);
            for (uint32_t k = 0; k < 4; k++) {
                bool is_null = cases[i].expected[k] == SB_NULL;
                assert_int_equal(eg_batch_is_null(batch, cases[i].col, k), is_null);
                assert_true(eg_batch_number(batch, cases[i].col, k) ==
                            (is_null ? 0 : cases[i].expected[k]));
                assert_true(batch->nulls == NULL || (batch->nulls[k] & ~vectors) == 0);
            }
            assert_int_equal(eg_scan_next(r.scan, &batch, &r.err), EG_DONE);
            end_reading(&r);
        }
    }
}

static void missing_columns_are_null_and_their_terms_prune(void **state) {
    (void)state;
    static const sb_field fields[1] = {{.name = "bytes", .type = SB_I64}};
    int64_t values[3] = {10, 20, 30};
    const int64_t *columns[1] = {values};
    eg_vector_set all = (UINT64_C(1) << EG_N_VECTORS) - 1;
    char scratch[EG_TEXT_MAX];
    const eg_batch *batch;
    size_t n;
    reading r;
    sb b;
    sb_open(&b, fields, 1, 3);
    sb_group(&b, columns, 3);
    assert_true(sb_close(&b, path));
    assert_int_equal(start_reading(&r, NULL, true, all), EG_OK);
    assert_int_equal(eg_scan_next(r.scan, &batch, &r.err), EG_OK);
    for (int c = 0; c < EG_N_COLUMNS; c++) {
        bool is_there = c == EG_COL_BYTES || c == EG_COL_TIME_FLAG || c == EG_COL_FILE;
        assert_int_equal(eg_batch_is_null(batch, (eg_column)c, 1), !is_there);
        if (!is_there && c != EG_COL_RECEIVED_TIME)
            assert_int_equal(eg_batch_number(batch, (eg_column)c, 1), 0);
        if (!is_there && eg_column_is_text((eg_column)c))
            assert_null(eg_batch_text(batch, (eg_column)c, 1, scratch, &n));
    }
    assert_true(batch->v.RECEIVED_MS[2] == EG_NO_TIME);
    assert_true((batch->nulls[2] & BIT(RECEIVED_MS)) == 0);
    assert_int_equal(batch->v.TIME_FLAG[2], 0);
    assert_string_equal(eg_batch_text(batch, EG_COL_FILE, 2, scratch, &n), path);
    end_reading(&r);

    assert_counts(count_range(EG_COL_SRCPORT, INT64_MIN, INT64_MAX, BIT(BYTES)), 0, 1, 0, 0, 0, 0);
    assert_counts(count_range(EG_COL_BYTES_EST, 0, 100, BIT(BYTES)), 0, 1, 0, 0, 0, 0);
    assert_counts(count_range(EG_COL_RECEIVED_TIME, 0, INT64_MAX, BIT(BYTES)), 0, 1, 0, 0, 0, 0);
    assert_counts(count_range(EG_COL_TIME_FLAG, 1, 3, BIT(BYTES)), 0, 1, 0, 0, 0, 0);
    assert_counts(count_range(EG_COL_TIME_FLAG, 0, 0, BIT(BYTES)), 1, 0, 1, 0, 3, 3);
    assert_counts(count_text(EG_COL_FILE, EG_TEXT_EQ, "other", 0), 0, 1, 0, 0, 0, 0);
    assert_counts(count_text(EG_COL_FILE, EG_TEXT_EQ, path, 0), 1, 0, 0, 0, 3, 3);
    eg_predicate p = {0};
    assert_int_equal(eg_predicate_null(&p, EG_COL_BYTES_EST, false, NULL), EG_OK);
    assert_int_equal(eg_predicate_null(&p, EG_COL_RECEIVED_TIME, false, NULL), EG_OK);
    assert_counts(count(&p, 0), 1, 0, 1, 0, 3, 3);
    eg_predicate_clear(&p);
}

/* ---- damage ------------------------------------------------------------- */

static void wrong_value_is_told_with_file_column_row_and_value(void **state) {
    (void)state;
    static const struct {
        sb_field field;
        int64_t value; /* in the row; texts are 0 elsewhere, numbers 1 */
        int row;
        const char *said;
    } cases[] = {
        {{.name = "srcport", .type = SB_I32}, 70000, 7777, "70000, expected 0 to 65535"},
        {{.name = "SrcPort", .type = SB_I64, .has_dictionary = true},
         -1,
         7777,
         "-1, expected 0 to 65535"},
        {{.name = "tos", .type = SB_U32}, 256, 9999, "256, expected 0 to 255"},
        {{.name = "duration_ms", .type = SB_I32}, -2, 6000, "-2, expected 0 to 4294967295"},
        {{.name = "srcaddr", .type = SB_I64},
         INT64_C(1) << 32,
         7777,
         "4294967296, expected 0 to 4294967295"},
        {{.name = "dstaddr", .type = SB_TEXT},
         1,
         7777,
         "'2001:db8::1', expected a dotted IPv4 address"},
        {{.name = "nexthop", .type = SB_TEXT, .has_dictionary = true},
         2,
         7777,
         "'', expected a dotted IPv4 address"},
        {{.name = "protocol", .type = SB_TEXT, .has_dictionary = true},
         3,
         0,
         "'z', expected a protocol's keyword or number"},
        {{.name = "frame", .type = SB_U64},
         INT64_MIN + 1,
         7777,
         "9223372036854775809, expected -9223372036854775807 to"},
        {{.name = "bytes", .type = SB_I64}, INT64_MIN + 1, 7777, NULL},
        {{.name = "exporter", .type = SB_I32}, -1, 7777, "-1, expected 0 to 4294967295"},
    };
    static int64_t values[ROWS];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int64_t *columns[1] = {values};
        eg_status rc;
        reading r;
        const eg_batch *b;
        sb file;
        bool is_text = cases[i].field.type == SB_TEXT;
        for (int row = 0; row < ROWS; row++)
            values[row] = is_text ? 0 : 1;
        values[cases[i].row] = cases[i].value;
        sb_open(&file, &cases[i].field, 1, PAGE);
        sb_group(&file, columns, 6000);
        columns[0] = values + 6000;
        sb_group(&file, columns, 4000);
        assert_true(sb_close(&file, path));
        eg_column col = eg_column_find(cases[i].field.name, strlen(cases[i].field.name));
        assert_int_equal(start_reading(&r, NULL, true, eg_column_about(col)->vectors), EG_OK);
        int64_t n = 0;
        while ((rc = eg_scan_next(r.scan, &b, &r.err)) == EG_OK)
            n += b->n_rows;
        if (cases[i].said == NULL) {
            assert_int_equal(rc, EG_DONE);
        } else {
            char said[512];
            snprintf(said, sizeof said, "%s: column %s, row %d: %s", path, cases[i].field.name,
                     cases[i].row, cases[i].said);
            assert_int_equal(rc, EG_CORRUPT);
            assert_memory_equal(r.err.msg, said, strlen(said));
            assert_int_equal(n, cases[i].row / 6000 * 6000);
        }
        end_reading(&r);
    }
}

static void damaged_page_ends_the_scan_where_it_is(void **state) {
    (void)state;
    const sb_field fields[4] = CLUSTERED(.compression = EG_PQ_ZSTD);
    write_clustered(fields, true);
    eg_pq_file *pq;
    eg_pq_index x;
    eg_err err;
    assert_int_equal(eg_pq_file_open(path, &pq, &err), EG_OK);
    assert_int_equal(eg_pq_index_open(pq, 0, 2, &x, &err), EG_OK);
    int64_t page = x.pages[8].offset, byte = page + x.pages[8].compressed_bytes - 5;
    eg_pq_index_close(&x);
    eg_pq_file_close(pq);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, (long)byte, SEEK_SET);
    int was = fgetc(f);
    fseek(f, (long)byte, SEEK_SET);
    fputc(was ^ 1, f);
    assert_int_equal(fclose(f), 0);

    reading r;
    const eg_batch *b;
    eg_status rc;
    char said[256];
    int64_t n = 0;
    assert_int_equal(start_reading(&r, NULL, true, BIT(DSTADDR) | BIT(SRCPORT)), EG_OK);
    while ((rc = eg_scan_next(r.scan, &b, &r.err)) == EG_OK)
        n += b->n_rows;
    snprintf(said, sizeof said, "%s: column dstaddr, row group 0, page at byte %lld: ", path,
             (long long)page);
    assert_int_equal(rc, EG_CORRUPT);
    assert_memory_equal(r.err.msg, said, strlen(said));
    assert_int_equal(n, EG_BATCH_ROWS); /* the page is in the second batch */
    end_reading(&r);
    /* A scan that does not need the page does not see it. */
    assert_int_equal(count(NULL, BIT(SRCPORT)).rows_read, ROWS);
    assert_int_equal(
        count_range(EG_COL_START_TIME, START + 5000000, START + 5009000, BIT(DSTADDR)).rows_kept,
        10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pruned_scans_give_the_rows_of_reading_everything),
        cmocka_unit_test(page_index_of_a_predicate_column_cuts_every_column),
        cmocka_unit_test(addresses_in_text_are_found_by_page_bounds),
        cmocka_unit_test(dictionary_without_the_value_drops_the_row_group),
        cmocka_unit_test(bloom_filter_without_the_value_drops_the_row_group),
        cmocka_unit_test(batches_without_rows_that_pass_cost_the_other_columns_nothing),
        cmocka_unit_test(bounds_of_pages_are_read_for_predicates_only),
        cmocka_unit_test(few_rows_that_pass_are_picked),
        cmocka_unit_test(a_piece_says_that_few_rows_are_left_before_it_reads_them),
        cmocka_unit_test(a_large_dictionary_is_enough_for_one_call),
        cmocka_unit_test(what_a_limit_leaves_unread_is_not_skipped),
        cmocka_unit_test(null_tests_prune_by_null_counts),
        cmocka_unit_test(derived_times_are_null_where_they_do_not_fit),
        cmocka_unit_test(missing_columns_are_null_and_their_terms_prune),
        cmocka_unit_test(wrong_value_is_told_with_file_column_row_and_value),
        cmocka_unit_test(damaged_page_ends_the_scan_where_it_is),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
