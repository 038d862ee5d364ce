/* Claims of dataset/dataset.c, and with it of row_order.c, column_encode.c, group_encode.c
** and shard_output.c: what is stored comes back, each row in the partition of its day, and
** nothing of what is rolled back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset/dataset.h"
#include "light.h"
#include "parquet/shard_source.h"
#include "sqlite/manifest_db.h"

static uint64_t seed = 5;
static uint64_t next_random(void) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return seed >> 20;
}

/* A sum over rows that does not ask for their order. */
typedef struct sum {
    uint64_t rows, hash;
} sum;

static void add_row(sum *s, const eg_batch *b, uint32_t i) {
    static const eg_column columns[] = {
        EG_COL_START_MS,  EG_COL_END_MS,  EG_COL_DURATION_MS,   EG_COL_SRCADDR,  EG_COL_DSTADDR,
        EG_COL_SRCPORT,   EG_COL_DSTPORT, EG_COL_PROTO,         EG_COL_PACKETS,  EG_COL_BYTES,
        EG_COL_TCP_FLAGS, EG_COL_TOS,     EG_COL_NEXTHOP,       EG_COL_SRC_AS,   EG_COL_SRC_MASK,
        EG_COL_ENGINE_ID, EG_COL_INPUT,   EG_COL_FLOW_SEQUENCE, EG_COL_TIME_FLAG};
    uint64_t h = 1469598103934665603u;
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++)
        h = (h ^ (uint64_t)eg_batch_number(b, columns[c], i)) * UINT64_C(0x9e3779b97f4a7c15);
    char scratch[EG_TEXT_MAX];
    size_t n;
    const char *text = eg_batch_text(b, EG_COL_EXPORTER, i, scratch, &n);
    for (size_t k = 0; k < n; k++)
        h = (h ^ (uint8_t)text[k]) * 1099511628211u;
    s->rows++;
    s->hash += h ^ h >> 29;
}

/* Fills a batch: n_days days from `day` on, a few of them before 1970. */
static void fill(eg_batch *b, uint32_t n, int64_t day, int n_days, eg_intern *texts) {
    b->n_rows = n;
    for (uint32_t i = 0; i < n; i++) {
#define EG_VECTOR(ID, ctype)                                                                       \
    if (b->v.ID != NULL)                                                                           \
        b->v.ID[i] = (ctype)(next_random() % 200);
#include "flow/schema.def"
        int64_t start_ms = (day + (int64_t)(next_random() % (uint64_t)n_days)) * EG_DAY_MS +
                           (int64_t)(next_random() % EG_DAY_MS);
        uint32_t length_ms = (uint32_t)(next_random() % 100000);
        bool is_early = n_days > 2 && next_random() % 1000 == 0;
        b->v.HEADER_MS[i] = is_early ? 3 * EG_DAY_MS : start_ms;
        b->v.START_MS[i] = is_early ? -(int64_t)length_ms - 1 : start_ms;
        b->v.END_MS[i] = b->v.START_MS[i] + length_ms;
        b->v.DURATION_MS[i] = length_ms;
        b->v.SRCADDR[i] = (uint32_t)next_random();
        b->v.DSTADDR[i] = (uint32_t)(next_random() % 3000) << 8;
        b->v.BYTES[i] = (int64_t)(next_random() % 7 == 0 ? next_random() : next_random() % 1500);
        b->v.FLOW_SEQUENCE[i] = (int64_t)next_random();
        b->v.DSTPORT[i] = (uint16_t)next_random();
        char exporter[32];
        int n_text = snprintf(exporter, sizeof exporter, "10.0.0.%u", (unsigned)(i % 7 * 37));
        assert_int_equal(eg_intern_add(texts, exporter, (size_t)n_text, &b->v.EXPORTER[i], NULL),
                         EG_OK);
        b->v.FILE[i] = 0;
    }
}

static char directory[64];

static void in_new_directory(void) {
    strcpy(directory, "/tmp/test_dataset.XXXXXX");
    assert_non_null(mkdtemp(directory));
}

static void remove_directory(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

static int64_t rows_of_shard; /* 0: as many as usual */

/* Stores n_rows rows as a capture; *in is what they sum up to. */
static void store(bool dotted, uint32_t n_rows, int64_t day, int n_days, uint8_t id, bool commits,
                  sum *in) {
    eg_dataset_options options;
    eg_intern *texts;
    eg_store *s;
    eg_err err = {.msg = ""};
    eg_dataset_defaults(&options, "test");
    options.encode.layout.dotted = dotted;
    if (rows_of_shard > 0)
        options.rows_of_shard = rows_of_shard;
    if (eg_dataset_open(directory, &options, &eg_sqlite_manifest, (eg_poll){0}, &s, &err) != EG_OK)
        fail_msg("%s", err.msg);
    eg_intern_open(&texts, NULL);
    uint32_t file;
    eg_intern_add(texts, "a.pcap", 6, &file, NULL);
    assert_int_equal(s->ops->lock(s, &err), EG_OK);
    assert_int_equal(s->ops->begin(s, texts, &err), EG_OK);
    eg_batch window = {0};
    for (uint32_t left = n_rows; left > 0;) {
        uint32_t n = left < EG_BATCH_ROWS ? left : EG_BATCH_ROWS;
        assert_int_equal(s->ops->room(s, &window, &err), EG_OK);
        fill(&window, n, day, n_days, texts);
        for (uint32_t i = 0; i < n; i++)
            add_row(in, &window, i);
        assert_int_equal(s->ops->filled(s, n, &err), EG_OK);
        left -= n;
    }
    eg_rows_close_window(&window);
    eg_ledger *ledger;
    eg_ledger_open(&ledger, NULL);
    eg_ledger_finish(ledger, NULL);
    eg_capture_record record = {
        .id = {{id}}, .name = "a.pcap", .file = "a.pcap", .ledger = ledger, .texts = texts};
    eg_stored_result made;
    bool found = true;
    if (commits) {
        if (s->ops->commit(s, &record, &made, &err) != EG_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(made.n_rows, n_rows);
    } else {
        s->ops->rollback(s);
    }
    assert_int_equal(s->ops->find(s, &record.id, &found, &err), EG_OK);
    assert_int_equal(found, commits);
    s->ops->close(s);
    eg_ledger_close(ledger);
    eg_intern_close(texts);
}

/* Reads the rows that have an address, with a predicate or by looking at all, or all; *stats (may
** be NULL) is what that was. The addresses of the first rows are left in some[n_some]. */
static void read_rows(const uint32_t *srcaddr, bool pushed, sum *out, int64_t *n_shards,
                      eg_scan_stats *stats, uint32_t *some, uint32_t n_some) {
    eg_predicate where = {0};
    if (srcaddr != NULL && pushed)
        assert_int_equal(
            eg_predicate_range(&where, EG_COL_SRCADDR, *srcaddr, *srcaddr, false, NULL), EG_OK);
    eg_shard_list list;
    eg_err err = {.msg = ""};
    eg_intern *texts;
    if (eg_manifest_list(directory, (eg_poll){0}, &list, &err) != EG_OK)
        fail_msg("%s", err.msg);
    *n_shards = (int64_t)list.n_shards;
    eg_intern_open(&texts, NULL);
    eg_vector_set vectors = eg_rows_vectors() & ~EG_VECTOR_BIT(EG_VEC_HEADER_MS);
    eg_scan_spec spec = {.vectors = vectors, .texts = texts, .where = &where};
    eg_source *source;
    assert_int_equal(eg_shard_source_open(&list, &spec, &source, &err), EG_OK);
    eg_batch b = {0};
    assert_int_equal(eg_batch_open(&b, vectors, texts, &err), EG_OK);
    eg_piece *piece;
    eg_status rc;
    while ((rc = source->ops->next_piece(source, &piece, &err)) == EG_OK) {
        while ((rc = piece->ops->next(piece, &b, &err)) == EG_OK) {
            assert_null(b.nulls);
            for (uint32_t i = 0; i < b.n_rows; i++)
                if (srcaddr == NULL || b.v.SRCADDR[i] == *srcaddr) {
                    if (out->rows < n_some)
                        some[out->rows] = b.v.SRCADDR[i];
                    add_row(out, &b, i);
                }
        }
        if (rc != EG_DONE)
            fail_msg("%s", err.msg);
        piece->ops->close(piece, stats);
    }
    assert_int_equal(rc, EG_DONE);
    source->ops->close(source, stats);
    eg_batch_close(&b);
    eg_shard_list_close(&list);
    eg_intern_close(texts);
    eg_predicate_clear(&where);
}

/* Reads the dataset back; each shard's rows are of its directory's day. */
static void read_back(sum *out, int64_t *n_shards) {
    read_rows(NULL, false, out, n_shards, NULL, NULL, 0);
}

static void assert_stored(bool dotted, uint32_t n_rows, int64_t day, int n_days,
                          int64_t expected_shards) {
    sum in = {0}, out = {0};
    int64_t n_shards;
    in_new_directory();
    store(dotted, n_rows, day, n_days, 1, true, &in);
    read_back(&out, &n_shards);
    assert_int_equal(out.rows, n_rows);
    assert_true(out.hash == in.hash);
    if (expected_shards >= 0)
        assert_int_equal(n_shards, expected_shards);
    remove_directory();
}

static void rows_come_back(void **state) {
    (void)state;
    assert_stored(true, 1, 13720, 1, 1);
    assert_stored(true, 5000, 13720, 1, 1);
    assert_stored(false, 5000, 13720, 1, 1);
    assert_stored(true, 100000, 13720, 1, 1);
}

/* The rows of one address are looked up by the keys behind the chunks, for a part of the bytes. */
static void rows_of_an_address_are_those_of_reading_everything(void **state) {
    (void)state;
    sum in = {0}, all = {0};
    eg_scan_stats of_all = {0}, of_one;
    uint32_t some[2000];
    int64_t n_shards;
    in_new_directory();
    store(true, 100000, 13720, 1, 1, true, &in);
    read_rows(NULL, false, &all, &n_shards, &of_all, some, 2000);
    assert_true(all.hash == in.hash);
    for (int i = 0; i < 2000; i += is_light() ? 970 : 97) {
        sum one = {0}, picked = {0};
        of_one = (eg_scan_stats){0};
        read_rows(&some[i], true, &one, &n_shards, &of_one, NULL, 0);
        read_rows(&some[i], false, &picked, &n_shards, NULL, NULL, 0);
        assert_true(one.rows >= 1 && one.rows == picked.rows && one.hash == picked.hash);
        assert_true(of_one.bytes_read < of_all.bytes_read / 3);
    }
    remove_directory();
}

/* Sums of all rows by bucket, and what the dataset says they are at most. */
static void sum_and_weigh(eg_vector by, eg_weight measure, uint64_t *sums, uint64_t *totals) {
    const eg_vector_set vectors = EG_VECTOR_BIT(EG_VEC_SRCADDR) | EG_VECTOR_BIT(EG_VEC_DSTADDR) |
                                  EG_VECTOR_BIT(EG_VEC_BYTES) | EG_VECTOR_BIT(EG_VEC_PACKETS);
    eg_shard_list list;
    eg_intern *texts;
    eg_source *source;
    eg_piece *piece;
    eg_batch b;
    eg_status rc;
    assert_int_equal(eg_manifest_list(directory, (eg_poll){0}, &list, NULL), EG_OK);
    assert_int_equal(eg_intern_open(&texts, NULL), EG_OK);
    assert_int_equal(eg_batch_open(&b, vectors, texts, NULL), EG_OK);
    eg_scan_spec spec = {.vectors = vectors, .texts = texts};
    assert_int_equal(eg_shard_source_open(&list, &spec, &source, NULL), EG_OK);
    memset(sums, 0, EG_WEIGHT_BUCKETS * sizeof *sums);
    memset(totals, 0, EG_WEIGHT_BUCKETS * sizeof *totals);
    assert_int_equal(source->ops->weigh(source, measure, by == EG_VEC_SRCADDR ? totals : NULL,
                                        by == EG_VEC_SRCADDR ? NULL : totals, NULL),
                     EG_OK);
    while (source->ops->next_piece(source, &piece, NULL) == EG_OK) {
        while ((rc = piece->ops->next(piece, &b, NULL)) == EG_OK)
            for (uint32_t i = 0; i < b.n_rows; i++)
                sums[eg_weight_bucket(by == EG_VEC_SRCADDR ? b.v.SRCADDR[i] : b.v.DSTADDR[i])] +=
                    measure == EG_WEIGHT_BYTES     ? (uint64_t)b.v.BYTES[i]
                    : measure == EG_WEIGHT_PACKETS ? (uint64_t)b.v.PACKETS[i]
                                                   : 1;
        assert_int_equal(rc, EG_DONE);
        piece->ops->close(piece, NULL);
    }
    source->ops->close(source, NULL);
    eg_batch_close(&b);
    eg_intern_close(texts);
}

/* Of a buffer that is one row group, and of one that is cut into days. */
static void a_dataset_knows_what_its_rows_sum_up_to_at_most(void **state) {
    (void)state;
    static uint64_t sums[EG_WEIGHT_BUCKETS], totals[EG_WEIGHT_BUCKETS];
    for (int n_days = 1; n_days <= 2; n_days++)
        for (int dotted = 0; dotted < 2; dotted++) {
            sum in = {0};
            in_new_directory();
            store(dotted, 20000, 13720, n_days, 1, true, &in);
            for (int m = 0; m < EG_N_WEIGHTS; m++)
                for (int by = 0; by < 2; by++) {
                    uint64_t all = 0, most = 0;
                    sum_and_weigh(by == 0 ? EG_VEC_SRCADDR : EG_VEC_DSTADDR, (eg_weight)m, sums,
                                  totals);
                    for (uint32_t i = 0; i < EG_WEIGHT_BUCKETS; i++) {
                        assert_true(sums[i] <= totals[i]);
                        all += sums[i];
                        most += totals[i];
                    }
                    /* A row group's buckets are 64 of these, of half as many rows 128. */
                    assert_true(most <= (uint64_t)(n_days == 1 ? 64 : 128) * all / 4 * 5);
                }
            remove_directory();
        }
}

static void a_capture_of_two_days_is_two_shards(void **state) {
    (void)state;
    assert_stored(true, 20000, 13720, 2, 2);
}

/* Each row group is a shard then. */
static void a_shard_is_finished_that_has_rows_enough(void **state) {
    (void)state;
    rows_of_shard = 1;
    if (!is_light())
        assert_stored(true, 2 * EG_ROWS_MAX + 5000, 13720, 1, 3);
    assert_stored(true, 20000, 13720, 2, 2);
    rows_of_shard = 0;
}

/* Shards are finished to make room for others, and begun again for a day's next rows. */
static void more_rows_than_a_buffer_of_more_days_than_open_files_come_back(void **state) {
    (void)state;
    /* A buffer is a million rows: too many for valgrind, which sees the days alone. */
    assert_stored(false, is_light() ? 20000 : EG_ROWS_MAX + 5000, 13720, 150, -1);
}

static void what_is_rolled_back_is_not_there(void **state) {
    (void)state;
    sum in = {0}, dropped = {0}, out = {0};
    int64_t n_shards;
    in_new_directory();
    store(true, 3000, 13720, 2, 1, false, &dropped);
    store(true, 3000, 13720, 2, 1, true, &in);
    store(true, 50000, 13720, 1, 2, false, &dropped);
    read_back(&out, &n_shards);
    assert_true(out.rows == 3000 && out.hash == in.hash);
    assert_int_equal(n_shards, 2);
    remove_directory();
}

static void days_before_1970_are_those_of_the_export(void **state) {
    (void)state;
    int64_t start_ms[2] = {-5, EG_DAY_MS}, header_ms[2] = {3 * EG_DAY_MS, 9 * EG_DAY_MS};
    eg_rows rows = {.n_rows = 2, .v = {.START_MS = start_ms, .HEADER_MS = header_ms}};
    assert_int_equal(eg_row_day(&rows, 0), 3);
    assert_int_equal(eg_row_day(&rows, 1), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(rows_of_an_address_are_those_of_reading_everything),
        cmocka_unit_test(a_dataset_knows_what_its_rows_sum_up_to_at_most),
        cmocka_unit_test(a_capture_of_two_days_is_two_shards),
        cmocka_unit_test(a_shard_is_finished_that_has_rows_enough),
        cmocka_unit_test(more_rows_than_a_buffer_of_more_days_than_open_files_come_back),
        cmocka_unit_test(what_is_rolled_back_is_not_there),
        cmocka_unit_test(days_before_1970_are_those_of_the_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
