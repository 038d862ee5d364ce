/* Claims of sqlite/btree_write.c: SQLite finds trees written as whole pages sound, of any size
** around the edges of pages and levels, with every row in its place; records are those that
** SQLite reads; and the page with the lock bytes is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "light.h"
#include "sqlite/btree_write.h"

static char path[] = "/tmp/earlgrey-btree-XXXXXX";

static int64_t number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

static void run(sqlite3 *db, const char *sql) {
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static sqlite3 *open_db(void) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    run(db, "PRAGMA synchronous = OFF"); /* a disk has no part in what is claimed */
    return db;
}

static void make_empty(uint32_t roots[2]) {
    (void)unlink(path);
    sqlite3 *db = open_db();
    run(db, "PRAGMA page_size = 4096; CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b TEXT); "
            "CREATE INDEX i ON t(b, a)");
    roots[0] = (uint32_t)number(db, "SELECT rootpage FROM sqlite_schema WHERE name = 't'");
    roots[1] = (uint32_t)number(db, "SELECT rootpage FROM sqlite_schema WHERE name = 'i'");
    sqlite3_close(db);
}

/* The text of row i: ascending, of n_pad bytes more. */
static size_t text_of(int64_t i, size_t n_pad, char *out) {
    size_t n = (size_t)snprintf(out, 32, "%012lld", (long long)i);
    memset(out + n, 'x', n_pad);
    return n + n_pad;
}

/* Writes n rows, every one of which has its rowid times 3. */
static void write_trees(const uint32_t roots[2], int64_t n, size_t n_pad) {
    eg_err err;
    eg_page_file *f;
    eg_btree *table, *index;
    eg_record r;
    char text[512];
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(eg_page_file_open(fd, path, &f, &err), EG_OK);
    assert_int_equal(eg_btree_open(f, roots[0], false, &table, &err), EG_OK);
    for (int64_t i = 1; i <= n; i++) {
        eg_record_begin(&r);
        eg_record_null(&r);
        eg_record_integer(&r, i * 1000003);
        eg_record_text(&r, text, text_of(i, n_pad, text));
        size_t n_bytes = eg_record_join(&r);
        assert_int_equal(eg_btree_add(table, 3 * i, r.bytes, n_bytes, &err), EG_OK);
    }
    assert_int_equal(eg_btree_finish(table, &err), EG_OK);
    assert_int_equal(eg_btree_open(f, roots[1], true, &index, &err), EG_OK);
    for (int64_t i = 1; i <= n; i++) {
        eg_record_begin(&r);
        eg_record_text(&r, text, text_of(i, n_pad, text));
        eg_record_integer(&r, i * 1000003);
        eg_record_integer(&r, 3 * i);
        size_t n_bytes = eg_record_join(&r);
        assert_int_equal(eg_btree_add(index, 0, r.bytes, n_bytes, &err), EG_OK);
    }
    assert_int_equal(eg_btree_finish(index, &err), EG_OK);
    assert_int_equal(eg_page_file_finish(f, &err), EG_OK);
    eg_btree_close(table);
    eg_btree_close(index);
    eg_page_file_close(f);
    close(fd);
}

static void check_trees(int64_t n) {
    char sql[160];
    sqlite3 *db = open_db();
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(s, 0), "ok");
    sqlite3_finalize(s);
    assert_int_equal(number(db, "SELECT count(*) FROM t NOT INDEXED"), n);
    assert_int_equal(number(db, "SELECT count(*) FROM t NOT INDEXED WHERE a <> id / 3 * 1000003"),
                     0);
    for (int64_t i = 1; i <= n; i += 1 + n / 50) {
        (void)snprintf(sql, sizeof sql, "SELECT id FROM t WHERE b >= '%012lld' ORDER BY b LIMIT 1",
                       (long long)i);
        assert_int_equal(number(db, sql), 3 * i);
        (void)snprintf(sql, sizeof sql, "SELECT a FROM t WHERE id = %lld", (long long)(3 * i));
        assert_int_equal(number(db, sql), i * 1000003);
    }
    /* It goes on as any other. */
    run(db,
        "INSERT INTO t(a, b) VALUES (1, 'zz'); DELETE FROM t WHERE id % 2; PRAGMA integrity_check");
    sqlite3_close(db);
}

static void trees_of_every_size_are_sound(void **state) {
    (void)state;
    uint32_t roots[2];
    /* Rows of 25, 190 and 450 bytes: pages of some 150, 20 and 8. */
    static const size_t pads[] = {0, 160, 420};
    for (size_t p = 0; p < 3; p++)
        for (int64_t n = 0; n < 400; n += is_light() ? 37 : n < 60 ? 1 : 7) {
            make_empty(roots);
            write_trees(roots, n, pads[p]);
            check_trees(n);
        }
}

static void trees_of_many_levels_are_sound(void **state) {
    (void)state;
    uint32_t roots[2];
    for (int64_t n = 4000; n <= 4060; n += is_light() ? 30 : 3) {
        make_empty(roots);
        write_trees(roots, n, 430);
        check_trees(n);
    }
    make_empty(roots);
    int64_t n_many = is_light() ? 30000 : 300000;
    write_trees(roots, n_many, 0);
    check_trees(n_many);
}

static void numbers_are_those_that_sqlite_reads(void **state) {
    (void)state;
    static const int64_t edges[] = {0,
                                    1,
                                    2,
                                    -1,
                                    127,
                                    128,
                                    -128,
                                    -129,
                                    32767,
                                    32768,
                                    -32768,
                                    8388607,
                                    8388608,
                                    -8388609,
                                    2147483647,
                                    2147483648,
                                    -2147483649,
                                    INT64_C(140737488355327),
                                    INT64_C(140737488355328),
                                    -INT64_C(140737488355329),
                                    INT64_MAX,
                                    INT64_MIN};
    uint32_t roots[2];
    eg_err err;
    eg_page_file *f;
    eg_btree *t;
    eg_record r;
    make_empty(roots);
    int fd = open(path, O_RDWR);
    assert_int_equal(eg_page_file_open(fd, path, &f, &err), EG_OK);
    assert_int_equal(eg_btree_open(f, roots[0], false, &t, &err), EG_OK);
    size_t n = sizeof edges / sizeof edges[0];
    for (size_t i = 0; i < n; i++) {
        eg_record_begin(&r);
        eg_record_null(&r);
        eg_record_integer(&r, edges[i]);
        eg_record_text(&r, "", 0);
        size_t n_bytes = eg_record_join(&r);
        /* rowids of every length of a varint */
        assert_int_equal(eg_btree_add(t, INT64_C(1) << (i * 2 + 20), r.bytes, n_bytes, &err),
                         EG_OK);
    }
    assert_int_equal(eg_btree_finish(t, &err), EG_OK);
    assert_int_equal(eg_page_file_finish(f, &err), EG_OK);
    eg_btree_close(t);
    eg_page_file_close(f);
    close(fd);
    sqlite3 *db = open_db();
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT id, a, b FROM t ORDER BY id", -1, &s, NULL),
                     SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        assert_true(sqlite3_column_int64(s, 0) == INT64_C(1) << (i * 2 + 20));
        assert_true(sqlite3_column_int64(s, 1) == edges[i]);
        assert_int_equal(sqlite3_column_bytes(s, 2), 0);
    }
    assert_int_equal(sqlite3_step(s), SQLITE_DONE);
    sqlite3_finalize(s);
    sqlite3_close(db);
}

/* Just below 1 GiB the file has a hole, so that only the pages there are written. */
static void the_page_of_the_lock_bytes_is_left_out(void **state) {
    (void)state;
    uint32_t roots[2];
    make_empty(roots);
    uint32_t n_pages = (1u << 30) / EG_BTREE_PAGE - 3;
    uint8_t size[4] = {(uint8_t)(n_pages >> 24), (uint8_t)(n_pages >> 16), (uint8_t)(n_pages >> 8),
                       (uint8_t)n_pages};
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, size, sizeof size, 28), sizeof size);
    assert_int_equal(ftruncate(fd, (off_t)n_pages * EG_BTREE_PAGE), 0);
    close(fd);
    write_trees(roots, 2000, 100);
    sqlite3 *db = open_db();
    assert_int_equal(number(db, "SELECT count(*) FROM t NOT INDEXED WHERE a = id / 3 * 1000003"),
                     2000);
    assert_int_equal(number(db, "SELECT count(*) FROM t INDEXED BY i WHERE b > ''"), 2000);
    assert_true(number(db, "PRAGMA page_count") > n_pages + 100);
    sqlite3_close(db);
    uint8_t page[EG_BTREE_PAGE], zero[EG_BTREE_PAGE] = {0};
    fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, page, sizeof page, 1 << 30), sizeof page);
    assert_memory_equal(page, zero, sizeof page);
    close(fd);
}

static void what_is_no_new_database_is_refused(void **state) {
    (void)state;
    eg_err err;
    eg_page_file *f;
    (void)unlink(path);
    sqlite3 *db = open_db();
    run(db, "PRAGMA page_size = 8192; CREATE TABLE t(a)");
    sqlite3_close(db);
    int fd = open(path, O_RDWR);
    assert_int_equal(eg_page_file_open(fd, path, &f, &err), EG_CORRUPT);
    assert_non_null(strstr(err.msg, "not a new database with pages of 4096 bytes"));
    assert_int_equal(ftruncate(fd, 50), 0);
    assert_int_equal(eg_page_file_open(fd, path, &f, &err), EG_CORRUPT);
    close(fd);
}

static int make_name(void **state) {
    (void)state;
    int fd = mkstemp(path);
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_of_every_size_are_sound),
        cmocka_unit_test(trees_of_many_levels_are_sound),
        cmocka_unit_test(numbers_are_those_that_sqlite_reads),
        cmocka_unit_test(the_page_of_the_lock_bytes_is_left_out),
        cmocka_unit_test(what_is_no_new_database_is_refused),
    };
    return cmocka_run_group_tests(tests, make_name, remove_file);
}
