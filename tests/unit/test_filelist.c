/* File lists: which files a source text means, in which order, each once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/filelist.h"

static const char pcap[24] = "\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0";
/* gzip of that header, and a tar header that is known by its magic. */
static const char gzip[] =
    "\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x18\0\xe7\xff\xd4\xc3\xb2\xa1\x02\0\x04"
    "\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0";

static char root[200]; /* of this test's files; the working folder while it runs */
static char home[4096];

static void make(const char *path, const void *p, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static void make_pcap(const char *path) {
    make(path, pcap, sizeof pcap);
}

static void remove_tree(const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0)
        return;
    if (!S_ISDIR(st.st_mode)) {
        unlink(path);
        return;
    }
    chmod(path, 0700);
    DIR *dir = opendir(path);
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char inner[4096];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        remove_tree(inner);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

static int begin(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/test_filelist.XXXXXX", tmp != NULL ? tmp : "/tmp");
    return getcwd(home, sizeof home) != NULL && mkdtemp(root) != NULL && chdir(root) == 0 ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    int rc = chdir(home);
    remove_tree(root);
    return rc;
}

/* The source means these files, separated by '|'; a '!' in front: named. */
static void assert_list(const char *source, const char *expected) {
    eg_filelist list;
    eg_err err = {.code = EG_OK};
    char got[4096] = "";
    eg_status rc = eg_filelist_open(source, strlen(source), &list, &err);
    if (rc != EG_OK)
        print_message("%s\n", err.msg);
    assert_int_equal(rc, EG_OK);
    for (size_t i = 0; i < list.n_files; i++) {
        size_t n = strlen(got);
        snprintf(got + n, sizeof got - n, "%s%s%s", i > 0 ? "|" : "",
                 list.files[i].named ? "!" : "", list.files[i].path);
    }
    assert_string_equal(got, expected);
    eg_filelist_close(&list);
    assert_null(list.files);
}

static void assert_failure(const char *source, size_t n, eg_status status, const char *message) {
    eg_filelist list;
    eg_err err;
    assert_int_equal(eg_filelist_open(source, n, &list, &err), status);
    assert_int_equal(err.code, status);
    assert_string_equal(err.msg, message);
    assert_int_equal(list.n_files, 0);
    assert_null(list.files);
    eg_filelist_close(&list);
}

static void assert_no_list(const char *source, const char *message) {
    assert_failure(source, strlen(source), EG_IO, message);
}

static void file_means_itself_whatever_it_is(void **state) {
    (void)state;
    make("notes.txt", "hello", 5);
    assert_list("notes.txt", "!notes.txt");
    assert_list("./notes.txt", "!./notes.txt");
    eg_filelist list;
    assert_int_equal(eg_filelist_open("notes.txt", 9, &list, NULL), EG_OK);
    assert_int_equal(list.files[0].size_bytes, 5);
    eg_filelist_close(&list);
    assert_int_equal(eg_filelist_open("notes.txtXX", 9, &list, NULL), EG_OK); /* n_bytes counts */
    eg_filelist_close(&list);
}

static void list_is_taken_in_its_order_and_blank_lines_are_ignored(void **state) {
    (void)state;
    make_pcap("b.pcap");
    make_pcap("a.pcap");
    make_pcap(" a b.pcap");
    assert_list("b.pcap\na.pcap", "!b.pcap|!a.pcap");
    assert_list("\n\nb.pcap\n\n a b.pcap\na.pcap\n\n", "!b.pcap|! a b.pcap|!a.pcap");
}

static void odd_bytes_in_names_are_kept(void **state) {
    (void)state;
    make_pcap("\xff\xfe'\"\t\x01;.pcap");
    assert_list("\xff\xfe'\"\t\x01;.pcap", "!\xff\xfe'\"\t\x01;.pcap");
    assert_list("*\xfe*", "!\xff\xfe'\"\t\x01;.pcap");
    assert_list(".", "./\xff\xfe'\"\t\x01;.pcap");
    mkdir("d", 0700);
    make_pcap("d/two\nlines.pcap"); /* reached by its folder, not by a list */
    assert_list("d", "d/two\nlines.pcap");
}

static void empty_source_is_misuse(void **state) {
    (void)state;
    static const char message[] =
        "an empty source: expected a file, a directory, a glob, or lines of them";
    assert_failure("", 0, EG_MISUSE, message);
    assert_failure("\n\n", 2, EG_MISUSE, message);
    assert_failure("a\0b", 3, EG_MISUSE, "a source with a NUL byte in it");
}

static void missing_entries_are_named(void **state) {
    (void)state;
    make_pcap("a.pcap");
    assert_no_list("nothing.pcap", "nothing.pcap: cannot be opened: No such file or directory");
    assert_no_list("a.pcap\nnothing", "nothing: cannot be opened: No such file or directory");
    assert_no_list("a.pcap/b", "a.pcap/b: cannot be opened: Not a directory");
    assert_no_list("b*.pcap", "b*.pcap: no file has such a name");
    assert_no_list("a.pcap\nx?", "x?: no file has such a name");
}

static void directory_means_the_captures_below_it(void **state) {
    (void)state;
    static const char tar[512] = "x";
    char ustar[512];
    memcpy(ustar, tar, sizeof ustar);
    memcpy(ustar + 257, "ustar", 6);
    mkdir("d", 0700);
    mkdir("d/sub", 0700);
    mkdir("d/sub/deep", 0700);
    mkdir("d/_temporary", 0700);
    mkdir("d/.git", 0700);
    make_pcap("d/one"); /* by content */
    make("d/two", gzip, sizeof gzip - 1);
    make("d/three", ustar, sizeof ustar);
    make("d/four", "\x0a\x0d\x0d\x0a", 4);
    make("d/text.pcap", "hello", 5); /* by name */
    make("d/empty.pcapng.zst", "", 0);
    make("d/text.txt", "hello", 5); /* by neither */
    make("d/empty", "", 0);
    make("d/broken.gzip", "\x1f\x8b\x08\xff", 4);
    make_pcap("d/.hidden.pcap");
    make_pcap("d/_part.pcap");
    make_pcap("d/_temporary/x.pcap");
    make_pcap("d/.git/x.pcap");
    make_pcap("d/sub/deep/x");
    assert_int_equal(mkfifo("d/pipe.pcap", 0600), 0); /* would block */
    assert_list("d", "d/empty.pcapng.zst|d/four|d/one|d/sub/deep/x|d/text.pcap|d/three|d/two");
    assert_list("d/", "d/empty.pcapng.zst|d/four|d/one|d/sub/deep/x|d/text.pcap|d/three|d/two");
    assert_list("d/_temporary", "d/_temporary/x.pcap"); /* asked for by name */
    assert_list("d/pipe.pcap", "!d/pipe.pcap");
}

static void files_come_in_natural_order(void **state) {
    (void)state;
    mkdir("d", 0700);
    mkdir("d/day2", 0700);
    mkdir("d/day10", 0700);
    make_pcap("d/cap10.pcap");
    make_pcap("d/cap9.pcap");
    make_pcap("d/cap100.pcap");
    make_pcap("d/cap1.pcap");
    make_pcap("d/day10/a");
    make_pcap("d/day2/b");
    assert_list("d", "d/cap1.pcap|d/cap9.pcap|d/cap10.pcap|d/cap100.pcap|d/day2/b|d/day10/a");
    assert_list("d/cap*", "!d/cap1.pcap|!d/cap9.pcap|!d/cap10.pcap|!d/cap100.pcap");
    assert_list("d/cap?.pcap\nd/cap100.pcap\nd/cap10.pcap",
                "!d/cap1.pcap|!d/cap9.pcap|!d/cap100.pcap|!d/cap10.pcap");
    assert_list("d/day*", "d/day2/b|d/day10/a");
    assert_list("d/[c]ap9*\nd/day[0-9]", "!d/cap9.pcap|d/day2/b");
}

static void name_that_exists_is_no_glob(void **state) {
    (void)state;
    make_pcap("a[1].pcap");
    make_pcap("a1.pcap");
    make_pcap("b*.pcap");
    make_pcap("bc.pcap");
    assert_list("a[1].pcap", "!a[1].pcap");
    assert_list("b*.pcap", "!b*.pcap");
    assert_list("a[12].pcap", "!a1.pcap");
}

static void file_named_twice_comes_once(void **state) {
    (void)state;
    mkdir("d", 0700);
    make_pcap("d/a.pcap");
    make_pcap("d/b.pcap");
    assert_int_equal(symlink("a.pcap", "d/latest.pcap"), 0);
    assert_int_equal(link("d/b.pcap", "d/c.pcap"), 0);
    assert_list("d", "d/a.pcap|d/b.pcap");
    assert_list("d/b.pcap\nd/b.pcap\n./d/b.pcap", "!d/b.pcap");
    assert_list("d/b.pcap\nd", "!d/b.pcap|d/a.pcap");
    assert_list("d\nd/b.pcap", "d/a.pcap|!d/b.pcap"); /* named is kept */
    assert_list("d\nd", "d/a.pcap|d/b.pcap");
    assert_list("d/*", "!d/a.pcap|!d/b.pcap");
}

static void links_that_loop_end(void **state) {
    (void)state;
    mkdir("d", 0700);
    mkdir("d/e", 0700);
    make_pcap("d/e/a.pcap");
    assert_int_equal(symlink("..", "d/e/up"), 0);
    assert_int_equal(symlink(".", "d/here"), 0);
    assert_int_equal(symlink("self", "d/self"), 0);
    assert_int_equal(symlink("nowhere", "d/dangling"), 0);
    assert_list("d", "d/e/a.pcap");
    assert_list("d/e", "d/e/a.pcap");
    assert_list("d/here", "d/here/e/a.pcap");
    assert_int_equal(symlink("nowhere", "d/gone.pcap"), 0);
    assert_no_list("d", "d/gone.pcap: cannot be opened: No such file or directory");
    assert_no_list("d/self", "d/self: cannot be opened: Too many levels of symbolic links");
}

static void directory_without_captures_is_refused(void **state) {
    (void)state;
    mkdir("d", 0700);
    mkdir("d/e", 0700);
    make("d/e/a.txt", "x", 1);
    make("d/b.txt", "x", 1);
    assert_no_list("d", "d: a directory without captures: found 2 other files, expected some that "
                        "begin like a pcap, pcapng or tar file");
    assert_no_list("d/[e]", "d/[e]: directories without captures");
    make_pcap("a.pcap");
    assert_list("[ad]*", "!a.pcap"); /* a glob asks for no capture in each directory */
}

static void what_cannot_be_read_is_named(void **state) {
    (void)state;
    if (geteuid() == 0 && (setegid(65534) != 0 || chmod(root, 0777) != 0 || seteuid(65534) != 0))
        skip();
    mkdir("d", 0700);
    make_pcap("d/a.pcap");
    make_pcap("d/secret");
    chmod("d/secret", 0);
    assert_no_list("d", "d/secret: cannot be opened: Permission denied");
    unlink("d/secret");
    mkdir("d/closed", 0);
    assert_no_list("d", "d/closed: cannot be listed: Permission denied");
    assert_no_list("d/closed/*", "d/closed/*: cannot be listed: Permission denied");
    chmod("d/closed", 0700);
    assert_list("d", "d/a.pcap");
    if (getuid() == 0) {
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(setegid(0), 0);
    }
}

static void many_files_and_deep_folders_are_listed(void **state) {
    (void)state;
    char path[4000] = "deep";
    mkdir(path, 0700);
    for (int i = 0; i < 200; i++) {
        strcat(path, "/d");
        mkdir(path, 0700);
    }
    strcat(path, "/a.pcap");
    make_pcap(path);
    assert_list("deep", path);
    mkdir("wide", 0700);
    for (int i = 999; i >= 0; i--) {
        snprintf(path, sizeof path, "wide/%d.cap", i);
        make_pcap(path);
    }
    eg_filelist list;
    assert_int_equal(eg_filelist_open("wide\nwide/*", 11, &list, NULL), EG_OK);
    assert_int_equal(list.n_files, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof path, "wide/%d.cap", i);
        assert_string_equal(list.files[i].path, path);
        assert_true(list.files[i].named);
        assert_int_equal(list.files[i].size_bytes, 24);
    }
    eg_filelist_close(&list);
}

static void names_of_captures_are_known_by_their_ends(void **state) {
    (void)state;
    static const char *const yes[] = {
        "a.pcap",      "a.pcapng",  "a.cap",     "a.dmp",     "a.dump",         "a.tar",
        "a.pcap.gz",   "a.cap.bz2", "a.dmp.zst", "a.dump.xz", "a.tar.lz4",      "A.PCAP.GZ",
        "netflow.tgz", "n.tar.bz2", "n.tbz2",    "n.txz",     "x.tar:in/a.cap", "/dir.d/a.b.pcap"};
    static const char *const no[] = {"",      "a",        "pcap",      ".pcap",   "a.pcap.txt",
                                     "a.gz",  "a.txt.gz", ".gz",       "a.pcap.", "a.pcap.gz.gz.gz",
                                     "apcap", "a.pcap1",  "a.tar.zip", ".tar.gz"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(eg_filelist_is_capture_name(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(eg_filelist_is_capture_name(no[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
        TEST(file_means_itself_whatever_it_is),
        TEST(list_is_taken_in_its_order_and_blank_lines_are_ignored),
        TEST(odd_bytes_in_names_are_kept),
        TEST(empty_source_is_misuse),
        TEST(missing_entries_are_named),
        TEST(directory_means_the_captures_below_it),
        TEST(files_come_in_natural_order),
        TEST(name_that_exists_is_no_glob),
        TEST(file_named_twice_comes_once),
        TEST(links_that_loop_end),
        TEST(directory_without_captures_is_refused),
        TEST(what_cannot_be_read_is_named),
        TEST(many_files_and_deep_folders_are_listed),
        TEST(names_of_captures_are_known_by_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
