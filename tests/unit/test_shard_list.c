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

static void two_stars_are_directories_of_any_depth(void **state) {
    (void)state;
    LIST("flows/**/*.parquet", "flows/_temporary/x.parquet",
         "flows/year=2007/month=7/day=9/a-10.parquet", "flows/year=2007/month=7/day=10/b.parquet");
    LIST("**/day=10/*.parquet", "flows/year=2007/month=7/day=10/b.parquet");
    LIST("flows/year=2007/month=7/day=10/**/b.*", "flows/year=2007/month=7/day=10/b.parquet");
    LIST("**/year=*/**/b.parquet", "flows/year=2007/month=7/day=10/b.parquet");
    eg_shard_list list;
    eg_err err;
    assert_int_equal(open_list("flows/**/*.csv", &list, &err), EG_IO);
    assert_string_equal(err.msg, "flows/**/*.csv: no file has such a name");
}

static void links_that_loop_end(void **state) {
    (void)state;
    assert_int_equal(symlink("..", "flows/year=2007/loop"), 0);
    LIST("flows/year=2007/month=7/day=9\nflows", "flows/year=2007/month=7/day=9/a-9.PARQUET",
         "flows/year=2007/month=7/day=9/a-10.parquet", "flows/year=2007/month=7/day=10/b.parquet");
    assert_int_equal(unlink("flows/year=2007/loop"), 0);
}

static void days_are_those_of_a_datasets_own_shards(void **state) {
    (void)state;
#define ID "0123456789abcdef0123456789abcdef"
    static const struct {
        const char *path;
        int64_t day; /* since 1970; -1: none */
    } cases[] = {
        {"flows/year=2007/month=7/day=26/" ID "-0.parquet", 13720},
        {"year=1970/month=1/day=1/" ID "-12.parquet", 0},
        {"/a/year=2024/month=2/day=29/" ID "-3.parquet", 19782},
        {"year=2007/month=7/day=26/merged-1796000000123456789-0.parquet", 13720},
        {"year=2007/month=7/day=26/merged--0.parquet", -1},
        {"flows/year=2023/month=2/day=29/" ID "-3.parquet", -1},
        {"flows/year=2007/month=13/day=1/" ID "-0.parquet", -1},
        {"flows/year=2007/month=07/day=26/" ID "-0.parquet", -1},
        {"flows/month=7/year=2007/day=26/" ID "-0.parquet", -1},
        {"flows/year=2007/month=7/" ID "-0.parquet", -1},
        {"month=7/day=26/" ID "-0.parquet", -1},
        {"flows/year=2007/month=7/day=26/data_0.parquet", -1},
        {"flows/year=2007/month=7/day=26/" ID ".parquet", -1},
        {"flows/year=2007/month=7/day=26/" ID "-.parquet", -1},
        {"flows/year=2007/month=7/day=26/" ID "-0x.parquet", -1},
        {"flows/year=2007/month=7/day=26x/" ID "-0.parquet", -1},
        {ID "-0.parquet", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t day_ms = 0;
        bool has_day = eg_shard_day_of(cases[i].path, &day_ms);
        if (has_day != (cases[i].day >= 0) || (has_day && day_ms != cases[i].day * 86400000))
            fail_msg("%s: %d %lld", cases[i].path, has_day, (long long)day_ms);
    }
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
        cmocka_unit_test(two_stars_are_directories_of_any_depth),
        cmocka_unit_test(links_that_loop_end),
        cmocka_unit_test(days_are_those_of_a_datasets_own_shards),
        cmocka_unit_test(sizes_are_those_of_the_listing),
        cmocka_unit_test(a_source_that_names_nothing_is_told),
        cmocka_unit_test(host_can_stop_a_listing),
        cmocka_unit_test(parquet_begins_and_ends_like_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
