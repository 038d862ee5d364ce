/* Claims of sqlite/btree_read.c: of tables of any size and page size it gives the rows that SQLite
** gives, in order, each once; what is not plain it leaves to SQLite; and of a damaged file it
** gives rows that ascend, or an error with the file's name and the page, and reads nothing
** outside of a page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "light.h"
#include "sqlite/btree_read.h"

static void run(sqlite3 *db, const char *sql) {
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static int64_t number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

/* A database in memory, as the bytes of its file. */
typedef struct image {
    sqlite3 *db;
    uint8_t *bytes;
    sqlite3_int64 n;
    uint32_t root;
    eg_pages pages;
} image;

static eg_status read_image(void *arg, int64_t offset, uint8_t *to, uint32_t n_bytes, eg_err *err) {
    const image *i = arg;
    if (offset < 0 || offset + n_bytes > i->n)
        return eg_fail(err, EG_CORRUPT, offset, "the file ends");
    memcpy(to, i->bytes + offset, n_bytes);
    return EG_OK;
}

static void open_image(image *i, int page_bytes) {
    char sql[160];
    assert_int_equal(sqlite3_open(":memory:", &i->db), SQLITE_OK);
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA page_size = %d; CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, "
                   "b INTEGER, c, d INTEGER DEFAULT 7)",
                   page_bytes);
    run(i->db, sql);
    i->bytes = NULL;
}

static void fill_image(image *i, int64_t n) {
    char sql[320];
    (void)snprintf(sql, sizeof sql,
                   "WITH RECURSIVE n(i) AS (SELECT 1 WHERE %lld > 0 UNION ALL SELECT i + 1 FROM n "
                   "WHERE i < %lld) INSERT INTO t SELECT i * 3 - 50, i * 1000003 * (i %% 3 - 1), "
                   "iif(i %% 7, i, NULL), printf('%%0*d', i %% 57, 0), -i FROM n",
                   (long long)n, (long long)n);
    run(i->db, sql);
}

static void take_image(image *i) {
    uint32_t page_bytes = 0;
    sqlite3_free(i->bytes);
    i->bytes = sqlite3_serialize(i->db, "main", &i->n, 0);
    assert_non_null(i->bytes);
    i->root = (uint32_t)number(i->db, "SELECT rootpage FROM sqlite_schema WHERE name = 't'");
    assert_true(eg_pages_fit(i->bytes, &page_bytes));
    i->pages = (eg_pages){.read = read_image,
                          .arg = i,
                          .path = "image.db",
                          .page_bytes = page_bytes,
                          .n_pages = (uint32_t)(i->n / page_bytes)};
}

static void close_image(image *i) {
    sqlite3_free(i->bytes);
    sqlite3_close(i->db);
}

typedef struct row {
    int64_t rowid, values[3];
    uint64_t nulls;
    bool is_plain;
} row;

/* Reads a table's rows into rows[0..room). The page buffer is of the size of a page exactly. */
static eg_status read_rows(image *i, row *rows, size_t room, size_t *n, eg_err *err) {
    eg_leaf_walk *w;
    eg_leaf leaves[5];
    uint32_t n_leaves;
    eg_read_plan plan;
    eg_read_plan_begin(&plan);
    eg_read_plan_add(&plan, 1, 0);
    eg_read_plan_add(&plan, 2, 1);
    eg_read_plan_add(&plan, 4, 2);
    *n = 0;
    eg_status rc = eg_leaf_walk_open(&i->pages, i->root, &w, err);
    uint8_t *page = malloc(i->pages.page_bytes);
    assert_non_null(page);
    while (rc == EG_OK && (rc = eg_leaf_walk_next(w, leaves, 5, &n_leaves, err)) == EG_OK)
        for (uint32_t l = 0; l < n_leaves && rc == EG_OK; l++) {
            eg_leaf_rows in;
            eg_leaf_row found;
            rc = read_image(i, (int64_t)(leaves[l].page - 1) * i->pages.page_bytes, page,
                            i->pages.page_bytes, err);
            if (rc == EG_OK)
                rc = eg_leaf_begin(&i->pages, &leaves[l], page, &in, err);
            while (rc == EG_OK && (rc = eg_leaf_next(&in, &found, err)) == EG_OK) {
                row *r = &rows[*n % room];
                r->rowid = found.rowid;
                r->is_plain =
                    found.record != NULL && eg_read_integers(&plan, &found, r->values, &r->nulls);
                if (*n > 0)
                    assert_true(found.rowid > rows[(*n - 1) % room].rowid);
                ++*n;
            }
            rc = rc == EG_DONE ? EG_OK : rc;
        }
    free(page);
    eg_leaf_walk_close(w);
    return rc == EG_DONE ? EG_OK : rc;
}

/* Returns how many rows were plain. */
static size_t check_rows(image *i) {
    eg_err err;
    sqlite3_stmt *s;
    size_t n, n_plain = 0, n_rows = (size_t)number(i->db, "SELECT count(*) FROM t");
    row *rows = calloc(n_rows + 1, sizeof *rows);
    assert_non_null(rows);
    take_image(i);
    assert_int_equal(read_rows(i, rows, n_rows + 1, &n, &err), EG_OK);
    assert_int_equal(n, n_rows);
    assert_int_equal(
        sqlite3_prepare_v2(i->db, "SELECT id, a, b, d FROM t ORDER BY id", -1, &s, NULL),
        SQLITE_OK);
    for (size_t r = 0; r < n; r++) {
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        assert_true(rows[r].rowid == sqlite3_column_int64(s, 0));
        n_plain += rows[r].is_plain;
        for (int c = 0; c < 3 && rows[r].is_plain; c++) {
            assert_true(rows[r].values[c] == sqlite3_column_int64(s, 1 + c));
            assert_int_equal(rows[r].nulls >> c & 1, sqlite3_column_type(s, 1 + c) == SQLITE_NULL);
        }
    }
    sqlite3_finalize(s);
    free(rows);
    return n_plain;
}

static void rows_are_those_of_sqlite(void **state) {
    (void)state;
    static const int sizes[] = {512, 1024, 4096, 65536};
    static const int64_t counts[] = {0, 1, 2, 15, 16, 17, 18, 100, 999, 30000};
    for (size_t p = 0; p < sizeof sizes / sizeof sizes[0]; p++)
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            /* Three levels take many rows where pages are large; the small ones do for valgrind. */
            if (is_light() && k + 1 == sizeof counts / sizeof counts[0] && p > 0)
                continue;
            image i;
            open_image(&i, sizes[p]);
            fill_image(&i, counts[k]);
            assert_int_equal(check_rows(&i), counts[k]);
            run(i.db, "DELETE FROM t WHERE id % 5 = 0 OR id BETWEEN 100 AND 700");
            (void)check_rows(&i);
            run(i.db, "INSERT INTO t SELECT id + 1, a, b, c, d FROM t WHERE id % 9 = 1");
            (void)check_rows(&i);
            close_image(&i);
        }
}

static void edges_of_rowids_and_numbers(void **state) {
    (void)state;
    image i;
    open_image(&i, 512);
    run(i.db, "INSERT INTO t VALUES (-9223372036854775808, -9223372036854775808, 0, '', 1), "
              "(9223372036854775807, 9223372036854775807, 1, '', 0), (0, -1, 255, '', 65536), "
              "(4294967296, 140737488355328, -140737488355329, '', 2147483648)");
    assert_int_equal(check_rows(&i), 4);
    close_image(&i);
}

/* Text in a wanted column, a record that goes on elsewhere, and one that ends before a column
** that was added later. */
static void what_is_not_plain_is_told(void **state) {
    (void)state;
    image i;
    open_image(&i, 512);
    fill_image(&i, 40);
    run(i.db, "UPDATE t SET a = 'text' WHERE id = 10; UPDATE t SET a = 1.5 WHERE id = 13;"
              "UPDATE t SET c = zeroblob(3000) WHERE id = 16; UPDATE t SET a = zeroblob(200) "
              "WHERE id = 19");
    assert_int_equal(check_rows(&i), 36);
    close_image(&i);
    eg_leaf_row short_one = {.record = (const uint8_t *)"1234567890\3\0\1x" + 10, .n_bytes = 4};
    eg_read_plan plan;
    int64_t value;
    uint64_t nulls;
    eg_read_plan_begin(&plan);
    eg_read_plan_add(&plan, 1, 0);
    assert_true(eg_read_integers(&plan, &short_one, &value, &nulls));
    assert_int_equal(value, 'x');
    eg_read_plan_add(&plan, 2, 0);
    assert_false(eg_read_integers(&plan, &short_one, &value, &nulls));
}

static uint32_t random32(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void damage_is_an_error_and_never_more(void **state) {
    (void)state;
    image i;
    uint64_t seed = 1;
    size_t n_errors = 0, n, n_trials = is_light() ? 1000 : 4000;
    row rows[2];
    eg_err err;
    open_image(&i, 512);
    fill_image(&i, 3000);
    take_image(&i);
    uint8_t *sound = malloc((size_t)i.n);
    assert_non_null(sound);
    memcpy(sound, i.bytes, (size_t)i.n);
    for (size_t trial = 0; trial < n_trials; trial++) {
        memcpy(i.bytes, sound, (size_t)i.n);
        for (uint32_t k = random32(&seed) % 12 + 1; k > 0; k--) {
            /* The headers of pages more often than the rest. */
            uint32_t page = random32(&seed) % i.pages.n_pages;
            uint32_t at = random32(&seed) % (random32(&seed) % 2 == 0 ? 12 : 512);
            if (page > 0)
                i.bytes[page * 512 + at] = (uint8_t)random32(&seed);
        }
        eg_status rc = read_rows(&i, rows, 2, &n, &err);
        assert_true(rc == EG_OK || rc == EG_CORRUPT);
        n_errors += rc != EG_OK;
        if (rc != EG_OK && strcmp(err.msg, "the file ends") != 0)
            assert_ptr_equal(strstr(err.msg, "image.db: page "), err.msg);
    }
    assert_true(n_errors > n_trials / 4);
    free(sound);
    close_image(&i);
}

static void messages_name_the_page(void **state) {
    (void)state;
    image i;
    size_t n;
    row rows[2];
    eg_err err;
    open_image(&i, 512);
    fill_image(&i, 1000);
    take_image(&i);
    uint8_t *root = i.bytes + (i.root - 1) * 512;
    uint32_t leaf = 0; /* the first one, by way of the first children */
    for (uint8_t *at = root; at[0] == 5; at = i.bytes + (leaf - 1) * 512) {
        uint32_t cell = (uint32_t)at[12] << 8 | at[13];
        leaf = (uint32_t)at[cell + 2] << 8 | at[cell + 3];
    }
    char expected[80];
    uint8_t *page = i.bytes + (leaf - 1) * 512, kind = page[0];
    page[0] = 10;
    assert_int_equal(read_rows(&i, rows, 2, &n, &err), EG_CORRUPT);
    (void)snprintf(expected, sizeof expected,
                   "image.db: page %u: expected an inner page of a table", leaf);
    assert_string_equal(err.msg, expected);
    page[0] = kind;
    page[8] = page[10], page[9] = page[11]; /* the second row twice */
    assert_int_equal(read_rows(&i, rows, 2, &n, &err), EG_CORRUPT);
    (void)snprintf(expected, sizeof expected, "image.db: page %u: rows that do not ascend", leaf);
    assert_string_equal(err.msg, expected);
    root[0] = 0;
    assert_int_equal(read_rows(&i, rows, 2, &n, &err), EG_CORRUPT);
    close_image(&i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_sqlite),
        cmocka_unit_test(edges_of_rowids_and_numbers),
        cmocka_unit_test(what_is_not_plain_is_told),
        cmocka_unit_test(damage_is_an_error_and_never_more),
        cmocka_unit_test(messages_name_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
