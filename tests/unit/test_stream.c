/* Streams: what is wrapped comes out whole, what is cut comes out up to the cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>

#include "capture/stream.h"
#include "light.h"

#define CAPTURES "../shared/captures"

/* ---- bytes and their wrappings ------------------------------------------ */

typedef struct bytes {
    uint8_t *p;
    size_t n;
} bytes;

/* Bytes that compress a little and never begin like anything known. */
static bytes make_bytes(size_t n) {
    bytes b = {malloc(n + 1), n};
    assert_non_null(b.p);
    uint32_t x = 12345;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        b.p[i] = (uint8_t)(i % 5 == 0 ? x >> 24 : 'a' + i % 11);
    }
    if (n > 0)
        b.p[0] = 'E';
    return b;
}

static bytes copy_bytes(const void *p, size_t n) {
    bytes b = {malloc(n + 1), n};
    assert_non_null(b.p);
    memcpy(b.p, p, n);
    return b;
}

typedef int (*add_filter)(struct archive *);
static const struct {
    const char *name;
    add_filter filter;
} compressions[] = {
    {"gzip", archive_write_add_filter_gzip}, {"bzip2", archive_write_add_filter_bzip2},
    {"zstd", archive_write_add_filter_zstd}, {"xz", archive_write_add_filter_xz},
    {"lz4", archive_write_add_filter_lz4},
};
#define N_COMPRESSIONS (sizeof compressions / sizeof compressions[0])

static struct archive *begin_writing(add_filter filter, bool tar, bytes *out, size_t room) {
    *out = (bytes){malloc(room), 0};
    assert_non_null(out->p);
    struct archive *a = archive_write_new();
    assert_non_null(a);
    assert_int_equal(tar ? archive_write_set_format_pax_restricted(a)
                         : archive_write_set_format_raw(a),
                     ARCHIVE_OK);
    if (filter != NULL)
        assert_int_equal(filter(a), ARCHIVE_OK);
    assert_int_equal(archive_write_open_memory(a, out->p, room, &out->n), ARCHIVE_OK);
    return a;
}

static void put_entry(struct archive *a, const char *name, unsigned type, const void *p, size_t n) {
    struct archive_entry *e = archive_entry_new();
    assert_non_null(e);
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, type);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (int64_t)n);
    if (type == AE_IFLNK)
        archive_entry_set_symlink(e, "elsewhere");
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    if (n > 0)
        assert_int_equal(archive_write_data(a, p, n), n);
    archive_entry_free(e);
}

static void end_writing(struct archive *a) {
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

/* Only gzip knows how to write an empty file here, and zlib writes it smaller. */
static bytes gzip(const void *p, size_t n) {
    bytes out = {malloc(n + n / 100 + 200), 0};
    assert_non_null(out.p);
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)p;
    z.avail_in = (uInt)n;
    z.next_out = out.p;
    z.avail_out = (uInt)(n + n / 100 + 200);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.n = z.total_out;
    deflateEnd(&z);
    return out;
}

static bytes compress_with(add_filter filter, bytes b) {
    bytes out;
    struct archive *a = begin_writing(filter, false, &out, b.n + b.n / 8 + 65536);
    put_entry(a, "x", AE_IFREG, b.p, b.n);
    end_writing(a);
    return out;
}

/* ---- reading ------------------------------------------------------------ */

static eg_stream *open_bytes(bytes b) {
    eg_stream *s;
    eg_err err;
    assert_int_equal(eg_stream_open_memory(b.p, b.n, "x", &s, &err), EG_OK);
    return s;
}

/* Reads the member to its end or failure in pieces of at most `step`. */
static bytes read_member(eg_stream *s, size_t step, eg_status *rc, eg_err *err) {
    bytes b = {NULL, 0};
    for (size_t cap = 0;;) {
        if (cap - b.n < step) {
            cap = 2 * cap + step;
            b.p = realloc(b.p, cap);
            assert_non_null(b.p);
        }
        size_t n = 77;
        *rc = eg_stream_read(s, b.p + b.n, step, &n, err);
        if (*rc != EG_OK)
            assert_int_equal(n, 0);
        if (*rc != EG_OK || n == 0)
            return b;
        assert_true(n <= step);
        b.n += n;
    }
}

static void assert_bytes(bytes got, bytes expected) {
    assert_int_equal(got.n, expected.n);
    if (got.n > 0)
        assert_memory_equal(got.p, expected.p, got.n);
}

/* The file has one member of these bytes. */
static void assert_one_member(bytes file, bytes expected, size_t step, bool plain) {
    eg_stream *s = open_bytes(file);
    eg_err err;
    const char *name;
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_OK);
    assert_string_equal(name, "x");
    assert_int_equal(eg_stream_is_plain(s), plain);
    assert_false(eg_stream_is_archive(s));
    eg_status rc;
    bytes got = read_member(s, step, &rc, &err);
    if (rc != EG_OK)
        print_message("%s\n", err.msg);
    assert_int_equal(rc, EG_OK);
    assert_bytes(got, expected);
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_DONE);
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_DONE);
    free(got.p);
    eg_stream_close(s);
}

/* The file has one member that is damaged: how many bytes of `original` come
** out before, and the message. */
static size_t read_damaged(bytes file, bytes original, bool *cut, eg_err *err) {
    eg_stream *s = open_bytes(file);
    const char *name;
    assert_int_equal(eg_stream_next_member(s, &name, err), EG_OK);
    eg_status rc;
    bytes got = read_member(s, 1000, &rc, err);
    assert_int_equal(rc, EG_CORRUPT);
    assert_int_equal(err->code, EG_CORRUPT);
    assert_memory_equal(err->msg, "x: ", 3);
    assert_true(got.n <= original.n);
    if (got.n > 0)
        assert_memory_equal(got.p, original.p, got.n);
    *cut = eg_stream_is_cut(s);
    size_t n;
    uint8_t one;
    assert_int_equal(eg_stream_read(s, &one, 1, &n, err), EG_CORRUPT); /* it sticks */
    assert_int_equal(eg_stream_next_member(s, &name, NULL), EG_DONE);
    free(got.p);
    eg_stream_close(s);
    return got.n;
}

/* ---- files -------------------------------------------------------------- */

static char dir[256];

static int make_dir(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/test_stream.XXXXXX", tmp != NULL ? tmp : "/tmp");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    return rmdir(dir);
}

static void path_in(char *path, size_t cap, const char *name) {
    snprintf(path, cap, "%s/%s", dir, name);
}

static void file_is_read_byte_for_byte(void **state) {
    (void)state;
    char path[300];
    path_in(path, sizeof path, "plain");
    bytes b = make_bytes(1000000);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b.p, 1, b.n, f), b.n);
    fclose(f);

    eg_stream *s;
    eg_err err;
    const char *name;
    assert_int_equal(eg_stream_open(path, &s, &err), EG_OK);
    assert_int_equal(eg_stream_consumed_bytes(s), 0);
    assert_false(eg_stream_is_plain(s));
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_OK);
    assert_string_equal(name, path);
    assert_true(eg_stream_is_plain(s));
    eg_status rc;
    bytes got = read_member(s, 300000, &rc, &err);
    assert_int_equal(rc, EG_OK);
    assert_bytes(got, b);
    assert_int_equal(eg_stream_consumed_bytes(s), 1000000);
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_DONE);
    assert_int_equal(eg_stream_read(s, got.p, 1, &got.n, &err), EG_MISUSE);
    eg_stream_close(s);
    eg_stream_close(NULL);
    unlink(path);
    free(got.p);
    free(b.p);
}

static void missing_file_and_directory_are_refused_by_name(void **state) {
    (void)state;
    eg_stream *s;
    eg_err err;
    char expected[600];
    assert_int_equal(eg_stream_open("/no/such.pcap", &s, &err), EG_IO);
    assert_string_equal(err.msg, "/no/such.pcap: cannot be opened: No such file or directory");
    assert_null(s);
    assert_int_equal(eg_stream_open(dir, &s, &err), EG_IO);
    snprintf(expected, sizeof expected, "%s: cannot be read: Is a directory", dir);
    assert_string_equal(err.msg, expected);
    assert_null(s);
}

static void empty_file_is_one_plain_member_of_no_bytes(void **state) {
    (void)state;
    bytes none = {NULL, 0};
    assert_one_member(none, none, 10, true);
}

static void pipe_stream(bytes b, bool plain, bytes expected) {
    int fd[2];
    char path[64];
    assert_int_equal(pipe(fd), 0);
    assert_true(b.n <= 65536);
    assert_int_equal(write(fd[1], b.p, b.n), b.n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd[0]);
    eg_stream *s;
    eg_err err;
    const char *name;
    assert_int_equal(eg_stream_open(path, &s, &err), EG_OK);
    close(fd[0]);
    close(fd[1]);
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_OK);
    assert_int_equal(eg_stream_is_plain(s), plain);
    eg_status rc;
    bytes got = read_member(s, 5000, &rc, &err);
    assert_int_equal(rc, EG_OK);
    assert_bytes(got, expected);
    free(got.p);
    eg_stream_close(s);
}

static void pipes_are_read_plain_compressed_and_as_archives(void **state) {
    (void)state;
    bytes b = make_bytes(40000), none = {NULL, 0};
    pipe_stream(none, true, none);
    pipe_stream(b, true, b);
    bytes z = gzip(b.p, b.n);
    pipe_stream(z, false, b);
    bytes t;
    struct archive *a = begin_writing(archive_write_add_filter_xz, true, &t, 100000);
    put_entry(a, "m", AE_IFREG, b.p, b.n);
    end_writing(a);
    pipe_stream(t, false, b);
    free(t.p);
    free(z.p);
    free(b.p);
}

static void ignore_signal(int number) {
    (void)number;
}

typedef struct slow_writer {
    int fd;
    bytes b;
    bool failed;
} slow_writer;

static void *write_slowly(void *argument) {
    slow_writer *w = argument;
    for (size_t i = 0; i < w->b.n; i += 200) {
        usleep(20000);
        w->failed = w->failed || write(w->fd, w->b.p + i, 200) != 200;
    }
    close(w->fd);
    return NULL;
}

static void interrupted_reads_go_on(void **state) {
    (void)state;
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd[0]);
    eg_stream *s;
    eg_err err;
    assert_int_equal(eg_stream_open(path, &s, &err), EG_OK);
    close(fd[0]);

    /* The signals are for the reader alone. */
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    slow_writer writer = {fd[1], make_bytes(2000), false};
    pthread_t thread;
    pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
    assert_int_equal(pthread_create(&thread, NULL, write_slowly, &writer), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    /* No SA_RESTART. It stays: an alarm may still be on its way when the timer is off. */
    struct sigaction action = {.sa_handler = ignore_signal};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    const char *name;
    eg_status rc = eg_stream_next_member(s, &name, &err), read_rc = EG_IO;
    bytes got = {NULL, 0};
    if (rc == EG_OK)
        got = read_member(s, 5000, &read_rc, &err);
    setitimer(ITIMER_REAL, &never, NULL);
    pthread_join(thread, NULL);
    assert_false(writer.failed);
    assert_int_equal(rc, EG_OK);
    assert_int_equal(read_rc, EG_OK);
    assert_bytes(got, writer.b);
    eg_stream_close(s);
    free(got.p);
    free(writer.b.p);
}

/* ---- compressions ------------------------------------------------------- */

static void every_compression_gives_its_bytes(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 511, 512, 513, 65536, 70000, 1200000};
    for (size_t i = 0; i < N_COMPRESSIONS; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0] - is_light(); k++) {
            bytes b = make_bytes(sizes[k]), z = compress_with(compressions[i].filter, b);
            assert_one_member(z, b, 1, false);
            assert_one_member(z, b, 262144, false);
            free(z.p);
            free(b.p);
        }
    }
}

static void compressed_nothing_is_one_member_of_no_bytes(void **state) {
    (void)state;
    /* As gzip, bzip2, xz, zstd and lz4 write an empty file. */
    static const struct {
        const char *p;
        size_t n;
    } empty[] = {
        {"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0", 20},
        {"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0", 14},
        {"\xfd"
         "7zXZ\0\0\x04\xe6\xd6\xb4\x46\0\0\0\0\x1c\xdf\x44\x21\x1f\xb6\xf3\x7d\x01\0\0\0\0\x04YZ",
         32},
        {"\x28\xb5\x2f\xfd\x24\0\x01\0\0\x99\xe9\xd8\x51", 13},
        {"\x04\x22\x4d\x18\x64\x40\xa7\0\0\0\0\x05\x5d\xcc\x02", 15},
    };
    bytes none = {NULL, 0};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        bytes b = copy_bytes(empty[i].p, empty[i].n);
        assert_one_member(b, none, 10, false);
        free(b.p);
    }
}

static bytes join(bytes a, bytes b) {
    bytes out = {malloc(a.n + b.n + 1), a.n + b.n};
    assert_non_null(out.p);
    memcpy(out.p, a.p, a.n);
    memcpy(out.p + a.n, b.p, b.n);
    return out;
}

static void gzip_of_many_members_is_read_whole(void **state) {
    (void)state;
    bytes b = make_bytes(300000), all = {calloc(1, 1), 0};
    for (size_t i = 0; i < 300; i++) { /* member borders fall all over the input buffer */
        bytes z = gzip(b.p + i * 1000, 1000), next = join(all, z);
        free(z.p);
        free(all.p);
        all = next;
    }
    assert_one_member(all, b, 7000, false);
    free(all.p);
    free(b.p);
}

static void gzip_with_bytes_behind_it_loses_nothing(void **state) {
    (void)state;
    bytes b = make_bytes(100000), z = gzip(b.p, b.n);
    static const char zeros[100000];
    static const struct {
        const char *p;
        size_t n;
    } behind[] = {
        {"\0", 1}, {zeros, 512}, {zeros, sizeof zeros}, {"garbage", 7}, {"\x1fgarbage", 8}};
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++) {
        bytes tail = copy_bytes(behind[i].p, behind[i].n), all = join(z, tail);
        assert_one_member(all, b, 5000, false);
        free(all.p);
        free(tail.p);
    }
    free(z.p);
    free(b.p);
}

/* What zlib alone makes of the first n bytes. */
static size_t inflated_bytes(const uint8_t *p, size_t n, uint8_t *out, size_t cap) {
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = (Bytef *)p;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    return cap - z.avail_out;
}

static void gzip_cut_anywhere_gives_every_byte_before_the_cut(void **state) {
    (void)state;
    bytes b = make_bytes(3000), z = gzip(b.p, b.n);
    uint8_t *out = malloc(b.n);
    assert_non_null(out);
    for (size_t n = 2; n < z.n; n++) {
        bool cut;
        eg_err err;
        bytes part = copy_bytes(z.p, n);
        size_t got = read_damaged(part, b, &cut, &err);
        assert_true(cut);
        assert_int_equal(got, inflated_bytes(z.p, n, out, b.n));
        assert_int_equal(err.offset, n);
        free(part.p);
    }
    bytes part = copy_bytes(z.p, 1000);
    eg_err err;
    bool cut;
    read_damaged(part, b, &cut, &err);
    assert_string_equal(
        err.msg, "x: gzip data is cut: found its end at offset 1000, expected more of a member");
    free(part.p);
    free(out);
    free(z.p);
    free(b.p);
}

static void gzip_cut_in_its_second_member_keeps_the_first(void **state) {
    (void)state;
    bytes b = make_bytes(5000), first = gzip(b.p, 4000), second = gzip(b.p + 4000, 1000);
    bytes all = join(first, second);
    for (size_t n = 1; n < second.n; n++) {
        bool cut;
        eg_err err;
        bytes part = copy_bytes(all.p, first.n + n);
        size_t got = read_damaged(part, b, &cut, &err);
        assert_true(cut);
        assert_true(got >= 4000);
        free(part.p);
    }
    free(all.p);
    free(first.p);
    free(second.p);
    free(b.p);
}

static void gzip_with_a_wrong_checksum_gives_its_bytes_first(void **state) {
    (void)state;
    bytes b = make_bytes(200000), z = gzip(b.p, b.n);
    z.p[z.n - 6] ^= 1;
    bool cut;
    eg_err err;
    assert_int_equal(read_damaged(z, b, &cut, &err), b.n);
    assert_false(cut);
    assert_non_null(strstr(err.msg, "gzip data is damaged at offset"));
    assert_non_null(strstr(err.msg, "incorrect data check"));
    free(z.p);
    free(b.p);
}

/* A compression of which libarchive gives all but its last block. */
static void every_compression_cut_gives_what_came_before(void **state) {
    (void)state;
    bytes b = make_bytes(is_light() ? 400000 : 2000000);
    for (size_t i = 0; i < N_COMPRESSIONS; i++) {
        bytes z = compress_with(compressions[i].filter, b);
        size_t last = 0;
        for (size_t k = is_light() ? 20 : 2; k <= 20; k += 2) {
            bool cut;
            eg_err err;
            bytes part = copy_bytes(z.p, z.n * k / 20 - 20);
            size_t got = read_damaged(part, b, &cut, &err);
            assert_true(cut);
            assert_true(got >= last);
            assert_non_null(strstr(err.msg, compressions[i].name));
            last = got;
            free(part.p);
        }
        /* The last cut takes the end of the last block. */
        size_t block = strcmp(compressions[i].name, "lz4") == 0     ? 4 << 20
                       : strcmp(compressions[i].name, "bzip2") == 0 ? 965536
                                                                    : 256 << 10;
        assert_true(last + block >= b.n);
        free(z.p);
    }
    free(b.p);
}

static void every_compression_cut_in_its_header_is_cut(void **state) {
    (void)state;
    bytes b = make_bytes(100);
    for (size_t i = 0; i < N_COMPRESSIONS; i++) {
        bytes z = compress_with(compressions[i].filter, b);
        for (size_t n = 6; n <= 10; n++) {
            bool cut;
            eg_err err;
            bytes part = copy_bytes(z.p, n);
            assert_int_equal(read_damaged(part, b, &cut, &err), 0);
            assert_true(cut);
            free(part.p);
        }
        free(z.p);
    }
    free(b.p);
}

static void damaged_compression_is_told_from_a_cut_one(void **state) {
    (void)state;
    bytes b = make_bytes(1500000);
    /* bzip2 and xz are the slow ones. */
    for (size_t i = 0; i < N_COMPRESSIONS; i += is_light() ? 2 : 1) {
        bytes z = compress_with(compressions[i].filter, b);
        memset(z.p + z.n / 2, 0xff, z.n / 8); /* more than a block: some have no checksums */
        eg_err err;
        eg_stream *s = open_bytes(z);
        const char *name;
        assert_int_equal(eg_stream_next_member(s, &name, &err), EG_OK);
        eg_status rc;
        bytes got = read_member(s, 1000, &rc, &err);
        assert_int_equal(rc, EG_CORRUPT);
        assert_false(eg_stream_is_cut(s));
        assert_non_null(strstr(err.msg, " data is damaged "));
        free(got.p);
        eg_stream_close(s);
        free(z.p);
    }
    free(b.p);
}

static void four_layers_are_unpacked_and_a_fifth_is_left(void **state) {
    (void)state;
    bytes b = make_bytes(1000), layers[6];
    layers[0] = b;
    for (size_t i = 1; i <= 5; i++)
        layers[i] = i % 2 ? gzip(layers[i - 1].p, layers[i - 1].n)
                          : compress_with(archive_write_add_filter_xz, layers[i - 1]);
    assert_one_member(layers[4], b, 100, false);
    assert_one_member(layers[5], layers[1], 100, false);
    for (size_t i = 0; i <= 5; i++)
        free(layers[i].p);
}

static void skippable_frames_before_zstd_and_lz4_are_passed_over(void **state) {
    (void)state;
    bytes b = make_bytes(1000);
    static const add_filter both[] = {archive_write_add_filter_zstd, archive_write_add_filter_lz4};
    for (size_t i = 0; i < 2; i++) {
        bytes skip = {calloc(1, 8 + 9000), 8 + 9000}, z = compress_with(both[i], b);
        memcpy(skip.p, "\x53\x2a\x4d\x18\x28\x23\0\0", 8); /* 9000 bytes */
        bytes all = join(skip, z);
        assert_one_member(all, b, 100, false);
        bytes part = copy_bytes(all.p, 3000), none = {NULL, 0};
        assert_one_member(part, none, 100, true);
        free(part.p);
        free(all.p);
        free(skip.p);
        free(z.p);
    }
    free(b.p);
}

static void two_member_gzip_from_the_field(void **state) {
    (void)state;
    eg_stream *s;
    eg_err err;
    const char *name;
    if (access(CAPTURES, R_OK) != 0)
        skip();
    assert_int_equal(eg_stream_open(CAPTURES "/derived/netgraph-2members.pcap.gz", &s, &err),
                     EG_OK);
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_OK);
    eg_status rc;
    bytes got = read_member(s, 100000, &rc, &err);
    assert_int_equal(rc, EG_OK);
    assert_int_equal(got.n, 6112);
    free(got.p);
    eg_stream_close(s);
}

/* ---- archives ----------------------------------------------------------- */

static void assert_member(eg_stream *s, const char *expected_name, bytes expected) {
    eg_err err;
    const char *name;
    eg_status rc = eg_stream_next_member(s, &name, &err);
    if (rc != EG_OK)
        print_message("%s\n", err.msg);
    assert_int_equal(rc, EG_OK);
    assert_string_equal(name, expected_name);
    assert_true(eg_stream_is_archive(s));
    assert_false(eg_stream_is_plain(s));
    bytes got = read_member(s, 3000, &rc, &err);
    assert_int_equal(rc, EG_OK);
    assert_bytes(got, expected);
    free(got.p);
}

static void archive_members_are_unpacked_in_order(void **state) {
    (void)state;
    bytes b = make_bytes(is_light() ? 60000 : 200000), empty = {b.p, 0};
    for (size_t i = is_light() ? 3 : 0; i <= N_COMPRESSIONS; i++) {
        bytes t;
        struct archive *a =
            begin_writing(i < N_COMPRESSIONS ? compressions[i].filter : NULL, true, &t, 4000000);
        put_entry(a, "d", AE_IFDIR, NULL, 0);
        put_entry(a, "d/plain", AE_IFREG, b.p, b.n);
        put_entry(a, "d/link", AE_IFLNK, NULL, 0);
        put_entry(a, "pipe", AE_IFIFO, NULL, 0);
        put_entry(a, "empty", AE_IFREG, NULL, 0);
        for (size_t k = 0; k < N_COMPRESSIONS; k++) {
            bytes z = compress_with(compressions[k].filter, b);
            put_entry(a, compressions[k].name, AE_IFREG, z.p, z.n);
            free(z.p);
        }
        end_writing(a);

        eg_stream *s = open_bytes(t);
        assert_member(s, "x:d/plain", b);
        assert_member(s, "x:empty", empty);
        eg_err err;
        const char *name;
        for (size_t k = 0; k < N_COMPRESSIONS; k++) {
            char expected[32];
            snprintf(expected, sizeof expected, "x:%s", compressions[k].name);
            if (k == 1) { /* a member that nobody reads is passed over */
                assert_int_equal(eg_stream_next_member(s, &name, &err), EG_OK);
                assert_string_equal(name, expected);
            } else {
                assert_member(s, expected, b);
            }
        }
        assert_int_equal(eg_stream_next_member(s, &name, &err), EG_DONE);
        assert_null(name);
        eg_stream_close(s);
        free(t.p);
    }
    free(b.p);
}

static void hard_links_are_passed_over(void **state) {
    (void)state;
    bytes t, b = make_bytes(700);
    struct archive *a = begin_writing(NULL, true, &t, 100000);
    put_entry(a, "one", AE_IFREG, b.p, b.n);
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, "two");
    archive_entry_set_hardlink(e, "one");
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    archive_entry_free(e);
    end_writing(a);
    eg_stream *s = open_bytes(t);
    assert_member(s, "x:one", b);
    const char *name;
    assert_int_equal(eg_stream_next_member(s, &name, NULL), EG_DONE);
    eg_stream_close(s);
    free(t.p);
    free(b.p);
}

/* A header as the oldest tars wrote it: no "ustar". */
static void old_header(uint8_t *h, const char *name, size_t n_bytes) {
    memset(h, 0, 512);
    snprintf((char *)h, 100, "%s", name);
    snprintf((char *)h + 100, 8, "%06o ", 0644u);
    snprintf((char *)h + 108, 8, "%06o ", 0u);
    snprintf((char *)h + 116, 8, "%06o ", 0u);
    snprintf((char *)h + 124, 12, "%010zo ", n_bytes);
    snprintf((char *)h + 136, 12, "%010o ", 0u);
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++)
        sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
    h[155] = ' ';
}

static void archive_without_ustar_is_known_by_its_sum(void **state) {
    (void)state;
    uint8_t t[512 * 4] = {0};
    old_header(t, "old", 5);
    memcpy(t + 512, "hello", 5);
    bytes file = {t, sizeof t}, hello = {t + 512, 5};
    eg_stream *s = open_bytes(file);
    assert_member(s, "x:old", hello);
    const char *name;
    assert_int_equal(eg_stream_next_member(s, &name, NULL), EG_DONE);
    eg_stream_close(s);
    t[10] ^= 1; /* the sum is wrong now: no archive at all */
    assert_one_member(file, file, 100, true);
}

static void captures_that_look_like_archives_are_plain(void **state) {
    (void)state;
    uint8_t t[512 * 4] = {0};
    bytes file = {t, sizeof t};
    static const char *const magics[] = {"\xd4\xc3\xb2\xa1", "\xa1\xb2\xc3\xd4", "\x4d\x3c\xb2\xa1",
                                         "\xa1\xb2\xcd\x34", "\x0a\x0d\x0d\x0a"};
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        old_header(t, magics[i], 5); /* a sound header sum */
        assert_one_member(file, file, 100, true);
        memset(t, 0, sizeof t);
        memcpy(t, magics[i], 4);
        memcpy(t + 257,
               "ustar\0"
               "00",
               8);
        assert_one_member(file, file, 100, true);
    }
}

static void cut_archive_gives_its_members_then_says_so(void **state) {
    (void)state;
    bytes b = make_bytes(3000);
    for (size_t compressed = 0; compressed < 2; compressed++) {
        bytes t;
        struct archive *a = begin_writing(NULL, true, &t, 100000);
        assert_int_equal(archive_write_set_bytes_in_last_block(a, 1), ARCHIVE_OK);
        put_entry(a, "one", AE_IFREG, b.p, b.n);
        put_entry(a, "two", AE_IFREG, b.p, b.n);
        end_writing(a);
        assert_int_equal(t.n, 2 * (512 + 3072) + 1024);
        bytes file = compressed ? gzip(t.p, t.n) : t;
        uint8_t *out = malloc(t.n);
        assert_non_null(out);
        for (size_t n = compressed ? 300 : 512; n < file.n; n += compressed ? 1 : 61) {
            size_t there = compressed ? inflated_bytes(file.p, n, out, t.n) : n;
            if (there < 512)
                continue;
            bytes part = copy_bytes(file.p, n);
            eg_stream *s = open_bytes(part);
            eg_err err;
            const char *name;
            eg_status rc;
            size_t n_bytes = 0, n_members = 0;
            while ((rc = eg_stream_next_member(s, &name, &err)) == EG_OK) {
                bytes got = read_member(s, 1000, &rc, &err);
                assert_true(got.n <= b.n);
                if (got.n > 0)
                    assert_memory_equal(got.p, b.p, got.n);
                n_members += got.n == b.n;
                n_bytes += got.n;
                free(got.p);
            }
            assert_int_equal(rc, EG_CORRUPT);
            assert_true(eg_stream_is_cut(s));
            assert_true(eg_stream_is_archive(s));
            assert_int_equal(eg_stream_next_member(s, &name, &err), EG_CORRUPT);
            size_t first = there - 512 > b.n ? b.n : there - 512;
            size_t start = 2 * 512 + 3072;
            size_t second = there < start ? 0 : there - start > b.n ? b.n : there - start;
            assert_int_equal(n_bytes, first + second);
            assert_int_equal(n_members, (first == b.n) + (second == b.n));
            eg_stream_close(s);
            free(part.p);
        }
        /* With the last byte it is whole. */
        eg_stream *s = open_bytes(file);
        assert_member(s, "x:one", b);
        assert_member(s, "x:two", b);
        const char *name;
        assert_int_equal(eg_stream_next_member(s, &name, NULL), EG_DONE);
        eg_stream_close(s);
        free(out);
        free(t.p);
        if (compressed)
            free(file.p);
    }
    free(b.p);
}

static void checksum_behind_an_archive_is_checked(void **state) {
    (void)state;
    bytes t, b = make_bytes(3000);
    struct archive *a = begin_writing(NULL, true, &t, 100000);
    put_entry(a, "one", AE_IFREG, b.p, b.n);
    end_writing(a);
    bytes z = gzip(t.p, t.n);
    z.p[z.n - 5] ^= 1;
    eg_stream *s = open_bytes(z);
    assert_member(s, "x:one", b);
    const char *name;
    eg_err err;
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_CORRUPT);
    assert_false(eg_stream_is_cut(s));
    assert_non_null(strstr(err.msg, "incorrect data check"));
    eg_stream_close(s);
    free(z.p);
    free(t.p);
    free(b.p);
}

static void damaged_header_ends_the_archive(void **state) {
    (void)state;
    bytes t, b = make_bytes(600);
    struct archive *a = begin_writing(NULL, true, &t, 100000);
    put_entry(a, "one", AE_IFREG, b.p, b.n);
    put_entry(a, "two", AE_IFREG, b.p, b.n);
    end_writing(a);
    t.p[512 + 1024 + 3] ^= 1; /* in the second name */
    eg_stream *s = open_bytes(t);
    assert_member(s, "x:one", b);
    const char *name;
    eg_err err;
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_CORRUPT);
    assert_memory_equal(err.msg, "x: tar data is damaged before offset ", 37);
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_CORRUPT);
    eg_stream_close(s);
    free(t.p);
    free(b.p);
}

static void cut_member_does_not_end_the_archive(void **state) {
    (void)state;
    bytes t, b = make_bytes(50000), z = gzip(b.p, b.n);
    struct archive *a = begin_writing(NULL, true, &t, 200000);
    put_entry(a, "cut.gz", AE_IFREG, z.p, z.n / 2);
    put_entry(a, "whole.gz", AE_IFREG, z.p, z.n);
    end_writing(a);
    eg_stream *s = open_bytes(t);
    const char *name;
    eg_err err;
    eg_status rc;
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_OK);
    bytes got = read_member(s, 1000, &rc, &err);
    assert_int_equal(rc, EG_CORRUPT);
    assert_memory_equal(err.msg, "x:cut.gz: gzip data is cut", 26);
    assert_true(got.n > 20000);
    assert_memory_equal(got.p, b.p, got.n);
    assert_member(s, "x:whole.gz", b);
    assert_int_equal(eg_stream_next_member(s, &name, &err), EG_DONE);
    free(got.p);
    eg_stream_close(s);
    free(t.p);
    free(z.p);
    free(b.p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_is_read_byte_for_byte),
        cmocka_unit_test(missing_file_and_directory_are_refused_by_name),
        cmocka_unit_test(empty_file_is_one_plain_member_of_no_bytes),
        cmocka_unit_test(pipes_are_read_plain_compressed_and_as_archives),
        cmocka_unit_test(interrupted_reads_go_on),
        cmocka_unit_test(every_compression_gives_its_bytes),
        cmocka_unit_test(compressed_nothing_is_one_member_of_no_bytes),
        cmocka_unit_test(gzip_of_many_members_is_read_whole),
        cmocka_unit_test(gzip_with_bytes_behind_it_loses_nothing),
        cmocka_unit_test(gzip_cut_anywhere_gives_every_byte_before_the_cut),
        cmocka_unit_test(gzip_cut_in_its_second_member_keeps_the_first),
        cmocka_unit_test(gzip_with_a_wrong_checksum_gives_its_bytes_first),
        cmocka_unit_test(every_compression_cut_gives_what_came_before),
        cmocka_unit_test(every_compression_cut_in_its_header_is_cut),
        cmocka_unit_test(damaged_compression_is_told_from_a_cut_one),
        cmocka_unit_test(four_layers_are_unpacked_and_a_fifth_is_left),
        cmocka_unit_test(skippable_frames_before_zstd_and_lz4_are_passed_over),
        cmocka_unit_test(two_member_gzip_from_the_field),
        cmocka_unit_test(archive_members_are_unpacked_in_order),
        cmocka_unit_test(hard_links_are_passed_over),
        cmocka_unit_test(archive_without_ustar_is_known_by_its_sum),
        cmocka_unit_test(captures_that_look_like_archives_are_plain),
        cmocka_unit_test(cut_archive_gives_its_members_then_says_so),
        cmocka_unit_test(checksum_behind_an_archive_is_checked),
        cmocka_unit_test(damaged_header_ends_the_archive),
        cmocka_unit_test(cut_member_does_not_end_the_archive),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
