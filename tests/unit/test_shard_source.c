/* Claims of parquet/shard_source.c: files are opened in order and when their turn comes, what the
** list knows passes over them, what the list says of them is checked, and pieces are
** independent of one another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/stat.h>

#include "parquet/shard_source.h"
#include "shard_build.h"

#define BIT(v) EG_VECTOR_BIT(EG_VEC_##v)
#define DAY INT64_C(86400000)
#define N_FILES 3
#define GROUP_ROWS 5000

static char paths[N_FILES][64];
static int64_t sizes[N_FILES];

/* File f has two row groups: start_time on day f, flow_sequence counts through all. */
static int set_up(void **state) {
    (void)state;
    static const sb_field fields[] = {
        {.name = "start_time", .type = SB_MS, .has_bounds = true},
        {.name = "flow_sequence", .type = SB_I64, .compression = EG_PQ_ZSTD},
        {.name = "srcaddr", .type = SB_IP4, .has_dictionary = true, .compression = EG_PQ_SNAPPY},
        {.name = "exporter", .type = SB_TEXT, .has_dictionary = true}};
    static int64_t values[4][GROUP_ROWS];
    const int64_t *columns[4] = {values[0], values[1], values[2], values[3]};
    for (int f = 0; f < N_FILES; f++) {
        sb b;
        struct stat st;
        snprintf(paths[f], sizeof paths[f], "/tmp/test_shard_source.%ld.%d", (long)getpid(), f);
        sb_open(&b, fields, 4, 900);
        for (int g = 0; g < 2; g++) {
            for (int i = 0; i < GROUP_ROWS; i++) {
                int64_t n = (f * 2 + g) * GROUP_ROWS + i;
                values[0][i] = f * DAY + g * DAY / 2 + i;
                values[1][i] = n;
                values[2][i] = n * 7 % 999;
                values[3][i] = n * 3 % SB_TEXTS;
            }
            sb_group(&b, columns, GROUP_ROWS);
        }
        assert_true(sb_close(&b, paths[f]));
        assert_int_equal(stat(paths[f], &st), 0);
        sizes[f] = st.st_size;
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (int f = 0; f < N_FILES; f++)
        unlink(paths[f]);
    return 0;
}

/* The list as a manifest has it. */
static eg_shard_list manifest(void) {
    eg_shard_list list = {.is_dataset = true};
    for (int f = 0; f < N_FILES; f++) {
        eg_shard *s;
        assert_int_equal(eg_shard_list_add(&list, paths[f], &s, NULL), EG_OK);
        s->size_bytes = sizes[f];
        s->n_rows = 2 * GROUP_ROWS;
        s->min_start_ms = f * DAY;
        s->max_start_ms = f * DAY + DAY / 2 + GROUP_ROWS - 1;
    }
    return list;
}

typedef struct reading {
    eg_intern *texts;
    eg_predicate where;
    eg_scan_spec spec;
    eg_source *source;
    eg_scan_stats stats;
    eg_err err;
} reading;

static void start_reading(reading *r, eg_shard_list *list, eg_vector_set vectors) {
    assert_int_equal(eg_intern_open(&r->texts, NULL), EG_OK);
    r->spec = (eg_scan_spec){.vectors = vectors, .where = &r->where, .texts = r->texts};
    assert_int_equal(eg_shard_source_open(list, &r->spec, &r->source, &r->err), EG_OK);
    assert_null(list->shards);
}

static void end_reading(reading *r) {
    r->source->ops->close(r->source, &r->stats);
    eg_intern_close(r->texts);
    eg_predicate_clear(&r->where);
}

/* Reads all pieces one after the other; the rows are numbered from `next` on. */
static eg_status read_all(reading *r, int64_t *next) {
    eg_piece *piece;
    eg_batch b;
    eg_status rc;
    int64_t before = 0, done, total;
    assert_int_equal(eg_batch_open(&b, r->spec.vectors, r->texts, NULL), EG_OK);
    while ((rc = r->source->ops->next_piece(r->source, &piece, &r->err)) == EG_OK) {
        while ((rc = piece->ops->next(piece, &b, &r->err)) == EG_OK) {
            for (uint32_t i = 0; i < b.n_rows; i++)
                assert_int_equal(b.v.FLOW_SEQUENCE[i], (*next)++);
            r->source->ops->progress(r->source, &done, &total);
            assert_true(done >= before && done <= total);
            before = done;
        }
        piece->ops->close(piece, &r->stats);
        if (rc != EG_DONE)
            break;
    }
    eg_batch_close(&b);
    return rc;
}

static void files_are_read_in_order(void **state) {
    (void)state;
    eg_shard_list list = {0};
    reading r = {0};
    int64_t next = 0, done, total;
    for (int f = 0; f < N_FILES; f++)
        assert_int_equal(eg_shard_list_add(&list, paths[f], NULL, NULL), EG_OK);
    start_reading(&r, &list, BIT(FLOW_SEQUENCE) | BIT(SRCADDR));
    assert_int_equal(read_all(&r, &next), EG_DONE);
    assert_int_equal(next, N_FILES * 2 * GROUP_ROWS);
    r.source->ops->progress(r.source, &done, &total);
    assert_int_equal(total, sizes[0] + sizes[1] + sizes[2]);
    assert_int_equal(done, total);
    end_reading(&r);
    assert_int_equal(r.stats.files, N_FILES);
    assert_int_equal(r.stats.row_groups, N_FILES * 2);
    assert_int_equal(r.stats.rows_read, next);
    assert_int_equal(r.stats.pages, N_FILES * 2 * 2 * 6); /* 6 of each column in a group */
    assert_true(r.stats.bytes_read > 0 && r.stats.bytes_read <= total + N_FILES * 12);
}

static void files_outside_of_the_times_are_not_opened(void **state) {
    (void)state;
    eg_shard_list list = manifest();
    reading r = {0};
    int64_t next = 3 * GROUP_ROWS, done, total;
    /* The afternoon of day 1. The others need not even be there. */
    free(list.shards[0].path);
    list.shards[0].path = strdup("/nowhere");
    assert_int_equal(
        eg_predicate_range(&r.where, EG_COL_START_MS, DAY + DAY / 4, 2 * DAY - 1, false, NULL),
        EG_OK);
    start_reading(&r, &list, BIT(FLOW_SEQUENCE) | BIT(START_MS));
    assert_int_equal(read_all(&r, &next), EG_DONE);
    assert_int_equal(next, 4 * GROUP_ROWS);
    r.source->ops->progress(r.source, &done, &total);
    assert_int_equal(done, total);
    end_reading(&r);
    assert_int_equal(r.stats.files, 1);
    assert_int_equal(r.stats.files_skipped, 2);
    assert_int_equal(r.stats.row_groups, 1);
    assert_int_equal(r.stats.row_groups_skipped, 1);
}

static void predicate_that_nothing_passes_opens_nothing(void **state) {
    (void)state;
    eg_shard_list list = manifest();
    reading r = {0};
    int64_t next = 0;
    assert_int_equal(eg_predicate_none(&r.where, EG_COL_BYTES, NULL), EG_OK);
    start_reading(&r, &list, BIT(FLOW_SEQUENCE) | BIT(BYTES));
    assert_int_equal(read_all(&r, &next), EG_DONE);
    end_reading(&r);
    assert_int_equal(next, 0);
    assert_int_equal(r.stats.files, 0);
    assert_int_equal(r.stats.files_skipped, N_FILES);
    assert_int_equal(r.stats.bytes_read, 0);
}

static void shard_that_is_not_what_the_list_says_is_named(void **state) {
    (void)state;
    for (int what = 0; what < 4; what++) {
        eg_shard_list list = manifest();
        eg_shard *second = &list.shards[1];
        reading r = {0};
        char said[256];
        int64_t next = 0;
        eg_status expected = EG_CORRUPT;
        switch (what) {
        case 0:
            second->n_rows++;
            snprintf(said, sizeof said, "%s: found 10000 rows, but the dataset's shard has 10001",
                     paths[1]);
            break;
        case 1:
            second->size_bytes--;
            snprintf(said, sizeof said, "%s: found %lld bytes, but the dataset's shard has %lld",
                     paths[1], (long long)sizes[1], (long long)sizes[1] - 1);
            break;
        case 2:
            free(second->path);
            second->path = strdup("/nowhere/x.parquet");
            snprintf(said, sizeof said,
                     "/nowhere/x.parquet: the dataset has this shard, but it "
                     "cannot be opened: No such file or directory");
            expected = EG_IO;
            break;
        case 3: /* found by listing, gone since */
            list.is_dataset = false;
            free(second->path);
            second->path = strdup("/nowhere/x.parquet");
            snprintf(said, sizeof said, "/nowhere/x.parquet: No such file or directory");
            expected = EG_IO;
            break;
        }
        start_reading(&r, &list, BIT(FLOW_SEQUENCE));
        assert_int_equal(read_all(&r, &next), expected);
        assert_string_equal(r.err.msg, said);
        assert_int_equal(next, 2 * GROUP_ROWS); /* the first file came */
        end_reading(&r);
    }
}

static void file_that_is_no_parquet_is_named(void **state) {
    (void)state;
    eg_shard_list list = {0};
    reading r = {0};
    int64_t next = 0;
    assert_int_equal(eg_shard_list_add(&list, "tests/unit/test_shard_source.c", NULL, NULL), EG_OK);
    start_reading(&r, &list, BIT(FLOW_SEQUENCE));
    assert_int_equal(read_all(&r, &next), EG_CORRUPT);
    assert_non_null(strstr(r.err.msg, "tests/unit/test_shard_source.c: not a Parquet file"));
    end_reading(&r);
    /* No list at all has no rows. */
    r = (reading){0};
    list = (eg_shard_list){0};
    start_reading(&r, &list, BIT(FLOW_SEQUENCE));
    assert_int_equal(read_all(&r, &next), EG_DONE);
    end_reading(&r);
}

static bool stop_at_second(void *arg) {
    return ++*(int *)arg == 2;
}

static void host_can_stop_between_files(void **state) {
    (void)state;
    eg_shard_list list = manifest();
    reading r = {0};
    int asked = 0;
    int64_t next = 0;
    start_reading(&r, &list, BIT(FLOW_SEQUENCE));
    r.spec.poll = (eg_poll){stop_at_second, &asked};
    assert_int_equal(read_all(&r, &next), EG_INTERRUPT);
    assert_int_equal(next, 2 * GROUP_ROWS);
    end_reading(&r);
}

/* ---- pieces side by side ------------------------------------------------ */

typedef struct worker {
    pthread_t thread;
    eg_piece *piece;
    eg_batch batch;
    int64_t sum, n_rows;
    eg_status rc;
    eg_err err;
} worker;

static void *work(void *arg) {
    worker *w = arg;
    while ((w->rc = w->piece->ops->next(w->piece, &w->batch, &w->err)) == EG_OK) {
        for (uint32_t i = 0; i < w->batch.n_rows; i++)
            w->sum += w->batch.v.FLOW_SEQUENCE[i] + w->batch.v.SRCADDR[i];
        w->n_rows += w->batch.n_rows;
    }
    return NULL;
}

static void pieces_are_read_by_threads_of_their_own(void **state) {
    (void)state;
    eg_shard_list list = manifest();
    reading r = {0};
    worker workers[2 * N_FILES] = {0};
    int64_t expected = 0, sum = 0;
    for (int64_t n = 0; n < N_FILES * 2 * GROUP_ROWS; n++)
        expected += n + n * 7 % 999;
    start_reading(&r, &list, BIT(FLOW_SEQUENCE) | BIT(SRCADDR) | BIT(EXPORTER) | BIT(START_MS));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N_FILES; i++) { /* half of the pieces at once; the rest reuse readers */
            worker *w = &workers[round * N_FILES + i];
            assert_int_equal(eg_batch_open(&w->batch, r.spec.vectors, r.texts, NULL), EG_OK);
            assert_int_equal(r.source->ops->next_piece(r.source, &w->piece, &w->err), EG_OK);
        }
        for (int i = 0; i < N_FILES; i++) {
            worker *w = &workers[round * N_FILES + i];
            assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
        }
        for (int i = 0; i < N_FILES; i++) {
            worker *w = &workers[round * N_FILES + i];
            assert_int_equal(pthread_join(w->thread, NULL), 0);
            assert_int_equal(w->rc, EG_DONE);
            assert_int_equal(w->n_rows, GROUP_ROWS);
            sum += w->sum;
            w->piece->ops->close(w->piece, &r.stats);
            eg_batch_close(&w->batch);
        }
    }
    assert_true(sum == expected);
    assert_int_equal(eg_intern_count(r.texts), SB_TEXTS);
    end_reading(&r);
    assert_int_equal(r.stats.rows_read, N_FILES * 2 * GROUP_ROWS);
}

static void pieces_can_be_closed_half_read(void **state) {
    (void)state;
    eg_shard_list list = manifest();
    reading r = {0};
    eg_piece *pieces[3];
    eg_batch b;
    start_reading(&r, &list, BIT(FLOW_SEQUENCE) | BIT(SRCADDR));
    assert_int_equal(eg_batch_open(&b, r.spec.vectors, r.texts, NULL), EG_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(r.source->ops->next_piece(r.source, &pieces[i], NULL), EG_OK);
    for (int i = 2; i >= 0; i--) {
        assert_int_equal(pieces[i]->ops->next(pieces[i], &b, NULL), EG_OK);
        assert_int_equal(b.n_rows, EG_BATCH_ROWS);
        assert_int_equal(b.v.FLOW_SEQUENCE[7], i * GROUP_ROWS + 7);
    }
    pieces[1]->ops->close(pieces[1], NULL);
    assert_int_equal(pieces[0]->ops->next(pieces[0], &b, NULL), EG_OK);
    assert_int_equal(b.v.FLOW_SEQUENCE[0], EG_BATCH_ROWS);
    assert_int_equal(b.n_rows, GROUP_ROWS - EG_BATCH_ROWS);
    pieces[0]->ops->close(pieces[0], &r.stats);
    pieces[2]->ops->close(pieces[2], &r.stats);
    assert_int_equal(r.source->ops->next_piece(r.source, &pieces[1], NULL), EG_OK);
    pieces[1]->ops->close(pieces[1], &r.stats); /* not begun, so not read */
    eg_batch_close(&b);
    end_reading(&r); /* with most files not read */
    assert_int_equal(r.stats.rows_read, GROUP_ROWS + EG_BATCH_ROWS);
    assert_int_equal(r.stats.row_groups, 2);
    assert_int_equal(r.stats.row_groups_skipped, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_in_order),
        cmocka_unit_test(files_outside_of_the_times_are_not_opened),
        cmocka_unit_test(predicate_that_nothing_passes_opens_nothing),
        cmocka_unit_test(shard_that_is_not_what_the_list_says_is_named),
        cmocka_unit_test(file_that_is_no_parquet_is_named),
        cmocka_unit_test(host_can_stop_between_files),
        cmocka_unit_test(pieces_are_read_by_threads_of_their_own),
        cmocka_unit_test(pieces_can_be_closed_half_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
