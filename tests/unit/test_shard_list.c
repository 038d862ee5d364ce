/* Claims of parquet/shard_list.c: what a source text means, in which order, and what is said
** where it means nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parquet/shard_list.h"

static char top[] = "/tmp/test_shard_list.XXXXXX";
static char started_in[4096];

static void put(const char *path, const char *content) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, strlen(content), f), strlen(content));
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state) {
    (void)state;
    static const char *const directories[] = {"flows",
                                              "flows/year=2007",
                                              "flows/year=2007/month=7",
                                              "flows/year=2007/month=7/day=9",
                                              "flows/year=2007/month=7/day=10",
                                              "flows/_temporary",
                                              "flows/.git",
                                              "empty",
                                              "empty/inner",
                                              "odd[1]"};
    assert_non_null(getcwd(started_in, sizeof started_in));
    assert_non_null(mkdtemp(top));
    assert_int_equal(chdir(top), 0);
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        assert_int_equal(mkdir(directories[i], 0755), 0);
    put("flows/year=2007/month=7/day=10/b.parquet", "12345");
    put("flows/year=2007/month=7/day=9/a-10.parquet", "");
    put("flows/year=2007/month=7/day=9/a-9.PARQUET", "");
    put("flows/year=2007/month=7/day=9/a-9.parquet.tmp", "");
    put("flows/_temporary/x.parquet", "");
    put("flows/.git/x.parquet", "");
    put("flows/.x.parquet", "");
    put("flows/_earlgrey.db", "");
    put("flows/_SUCCESS", "");
    put("flows/readme.txt", "");
    put("empty/inner/notes", "");
    put("odd[1]/c.parquet", "");
    put("plain", "PAR1xxxxPAR1");
    put("short", "PAR1PAR1");
    put("headless", "PAR2xxxxPAR1");
    put("tailless", "PAR1xxxxPAR2");
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

static int tear_down(void **state) {
    (void)state;
    assert_int_equal(chdir(started_in), 0);
    return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static eg_status open_list(const char *source, eg_shard_list *list, eg_err *err) {
    return eg_shard_list_open(source, strlen(source), (eg_poll){0}, list, err);
}

static void assert_list(const char *source, const char *const *paths) {
    eg_shard_list list;
    eg_err err;
    if (open_list(source, &list, &err) != EG_OK)
        fail_msg("%s: %s", source, err.msg);
    size_t n = 0;
    for (; paths[n] != NULL; n++) {
        assert_true(n < list.n_shards);
        assert_string_equal(list.shards[n].path, paths[n]);
    }
    assert_int_equal(list.n_shards, n);
    assert_false(list.is_dataset);
    eg_shard_list_close(&list);
}

#define LIST(source, ...) assert_list(source, (const char *const[]){__VA_ARGS__, NULL})

static void directory_is_its_parquet_files_in_natural_order(void **state) {
    (void)state;
    LIST("flows", "flows/year=2007/month=7/day=9/a-9.PARQUET",
         "flows/year=2007/month=7/day=9/a-10.parquet", "flows/year=2007/month=7/day=10/b.parquet");
    LIST("flows/year=2007/month=7/day=10/", "flows/year=2007/month=7/day=10/b.parquet");
    LIST("odd[1]", "odd[1]/c.parquet");
}

static void entries_come_as_given_and_once(void **state) {
    (void)state;
    assert_int_equal(symlink("../flows/year=2007/month=7/day=10/b.parquet", "empty/link"), 0);
    LIST("plain\n\nflows/year=2007/month=7/day=10\nplain\n", "plain",
         "flows/year=2007/month=7/day=10/b.parquet");
    LIST("empty/link\nplain\nflows/year=2007/month=7/day=10", "empty/link", "plain");
    assert_int_equal(unlink("empty/link"), 0);
}

static void glob_names_files_and_directories(void **state) {
    (void)state;
    LIST("flows/*/month=*/day=[19]*", "flows/year=2007/month=7/day=9/a-9.PARQUET",
         "flows/year=2007/month=7/day=9/a-10.parquet", "flows/year=2007/month=7/day=10/b.parquet");
    LIST("pl?in", "plain");
}

static void links_that_loop_end(void **state) {
    (void)state;
    assert_int_equal(symlink("..", "flows/year=2007/loop"), 0);
    LIST("flows/year=2007/month=7/day=9\nflows", "flows/year=2007/month=7/day=9/a-9.PARQUET",
         "flows/year=2007/month=7/day=9/a-10.parquet", "flows/year=2007/month=7/day=10/b.parquet");
    assert_int_equal(unlink("flows/year=2007/loop"), 0);
}

static void sizes_are_those_of_the_listing(void **state) {
    (void)state;
    eg_shard_list list;
    assert_int_equal(open_list("flows", &list, NULL), EG_OK);
    assert_int_equal(list.shards[0].size_bytes, 0);
    assert_int_equal(list.shards[2].size_bytes, 5);
    for (size_t i = 0; i < list.n_shards; i++) {
        assert_int_equal(list.shards[i].n_rows, -1);
        assert_true(list.shards[i].min_start_ms == INT64_MIN);
        assert_true(list.shards[i].max_end_ms == INT64_MAX);
    }
    eg_shard_list_close(&list);
    eg_shard_list_close(&list); /* once more is harmless */
}

static void a_source_that_names_nothing_is_told(void **state) {
    (void)state;
    assert_int_equal(symlink("nowhere", "empty/gone.parquet"), 0);
    static const struct {
        const char *source, *said;
        eg_status status;
    } cases[] = {
        {"", "an empty source", EG_MISUSE},
        {"\n\n", "an empty source", EG_MISUSE},
        {"nowhere", "nowhere: cannot be opened: No such file", EG_IO},
        {"plain\nnowhere/x.parquet", "nowhere/x.parquet: cannot be opened", EG_IO},
        {"no*.parquet", "no*.parquet: no file has such a name", EG_IO},
        {"flows/_temporary/.", NULL, EG_OK},
        {"empty/inner",
         "empty/inner: a directory without Parquet files: found 1 other files, expected some whose "
         "names end in .parquet",
         EG_IO},
        {"empty", "empty/gone.parquet: cannot be opened: No such file", EG_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        eg_shard_list list;
        eg_err err;
        assert_int_equal(open_list(cases[i].source, &list, &err), cases[i].status);
        if (cases[i].said != NULL) {
            if (strncmp(err.msg, cases[i].said, strlen(cases[i].said)) != 0)
                fail_msg("%s", err.msg);
            assert_int_equal(list.n_shards, 0);
        }
        eg_shard_list_close(&list);
    }
    eg_shard_list list;
    assert_int_equal(eg_shard_list_open("a\0b", 3, (eg_poll){0}, &list, NULL), EG_MISUSE);
    assert_int_equal(unlink("empty/gone.parquet"), 0);
}

static bool stop_at_third(void *arg) {
    return ++*(int *)arg == 3;
}

static void host_can_stop_a_listing(void **state) {
    (void)state;
    int n = 0;
    eg_shard_list list;
    eg_err err;
    assert_int_equal(eg_shard_list_open("flows", 5, (eg_poll){stop_at_third, &n}, &list, &err),
                     EG_INTERRUPT);
    assert_int_equal(n, 3);
    assert_int_equal(list.n_shards, 0);
}

static void parquet_begins_and_ends_like_it(void **state) {
    (void)state;
    assert_true(eg_shard_is_parquet("plain"));
    assert_false(eg_shard_is_parquet("short"));
    assert_false(eg_shard_is_parquet("headless"));
    assert_false(eg_shard_is_parquet("tailless"));
    assert_false(eg_shard_is_parquet("flows"));
    assert_false(eg_shard_is_parquet("nowhere"));
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_false(eg_shard_is_parquet("pipe"));
    assert_int_equal(unlink("pipe"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory_is_its_parquet_files_in_natural_order),
        cmocka_unit_test(entries_come_as_given_and_once),
        cmocka_unit_test(glob_names_files_and_directories),
        cmocka_unit_test(links_that_loop_end),
        cmocka_unit_test(sizes_are_those_of_the_listing),
        cmocka_unit_test(a_source_that_names_nothing_is_told),
        cmocka_unit_test(host_can_stop_a_listing),
        cmocka_unit_test(parquet_begins_and_ends_like_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
