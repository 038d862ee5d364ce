/* Claims of parquet/shard_keys.h: the keys that stand behind a chunk are read as written, and
** whatever is wrong with them is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codec_fixture.h"
#include "flow/address_order.h"
#include "parquet/pq_delta.h"
#include "parquet/pq_writer.h"
#include "parquet/shard_keys.h"

#define N_ENTRIES 3

static int made; /* descriptor of the file made last, open as long as the file */

/* A file of one text column, 10.0.0.1, 10.0.0.2, 9.9.9.9, with `extra` behind its chunk and, where
** say is not NULL, the metadata changed to it (no longer than it was). */
static eg_pq_file *make(const char *key, const void *extra, size_t n_extra, const char *say) {
    static const char *const texts[N_ENTRIES] = {"10.0.0.1", "10.0.0.2", "9.9.9.9"};
    static const eg_pq_schema_element schema[2] = {
        {.repetition = -1, .name = {(const uint8_t *)"s", 1}, .n_children = 1, .converted = -1},
        {.has_type = true,
         .type = EG_PQ_BYTE_ARRAY,
         .name = {(const uint8_t *)"srcaddr", 7},
         .converted = EG_PQ_CONVERTED_UTF8,
         .logical = {.id = EG_PQ_LOGICAL_ID_STRING}}};
    eg_pq_bytes values[N_ENTRIES];
    uint32_t codes[N_ENTRIES] = {2, 0, 1}, starts[1] = {0};
    for (int i = 0; i < N_ENTRIES; i++)
        values[i] = (eg_pq_bytes){(const uint8_t *)texts[i], (uint32_t)strlen(texts[i])};
    eg_pq_chunk_input in = {.type = EG_PQ_BYTE_ARRAY,
                            .n_rows = N_ENTRIES,
                            .page_starts = starts,
                            .n_pages = 1,
                            .codes = codes,
                            .dictionary = values,
                            .n_entries = N_ENTRIES,
                            .compression = EG_PQ_UNCOMPRESSED};
    eg_pq_chunk_data data = {0};
    const eg_pq_chunk_data *chunks[1] = {&data};
    eg_pq_writer *w;
    eg_pq_file *f;
    int fd = memfd_create("keys.parquet", MFD_CLOEXEC);
    assert_int_equal(eg_pq_chunk_encode(&in, codec, &data, NULL), EG_OK);
    eg_pq_buffer_put(&data.extra, extra, n_extra);
    data.extra_key = key;
    assert_int_equal(eg_pq_writer_open(fd, "keys.parquet", schema, 2, "test", &w, NULL), EG_OK);
    assert_int_equal(eg_pq_writer_add(w, chunks, NULL, 0, NULL), EG_OK);
    assert_int_equal(eg_pq_writer_finish(w, NULL, 0, NULL), EG_OK);
    eg_pq_writer_close(w);
    if (say != NULL) {
        static char file[1 << 16];
        ssize_t n = pread(fd, file, sizeof file, 0);
        char now[64];
        char *at = memmem(file, (size_t)n, EG_DICTIONARY_KEY, strlen(EG_DICTIONARY_KEY));
        assert_non_null(at);
        /* Behind the key: the value's field header and its length. */
        at += strlen(EG_DICTIONARY_KEY) + 1;
        size_t length = (uint8_t)*at++;
        assert_true(length < sizeof now);
        memset(now, '0', sizeof now); /* in front, where they change nothing */
        assert_true(strlen(say) <= length);
        memcpy(now + length - strlen(say), say, strlen(say));
        assert_int_equal(pwrite(fd, now, length, at - file), length);
    }
    eg_pq_chunk_free(&data);
    made = fd;
    assert_int_equal(eg_pq_file_open_fd(fd, "keys.parquet", &f, NULL), EG_OK);
    return f;
}

static void keys_of(eg_pq_buffer *out, const int64_t *keys, size_t n) {
    *out = (eg_pq_buffer){0};
    eg_pq_delta_encode_int64(out, keys, n);
}

static eg_status read_keys(const char *key, const int64_t *keys, size_t n, const char *say,
                           uint32_t n_entries, eg_shard_keys *k, eg_err *err) {
    eg_pq_buffer extra;
    keys_of(&extra, keys, n);
    eg_pq_file *f = make(key, extra.data, extra.n_bytes, say);
    eg_status rc = eg_shard_keys_read(k, f, 0, 0, n_entries, err);
    eg_pq_file_close(f);
    eg_pq_buffer_free(&extra);
    return rc;
}

static void good_keys(int64_t keys[N_ENTRIES]) {
    keys[0] = eg_ip4_text_key(0x0a000001);
    keys[1] = eg_ip4_text_key(0x0a000002);
    keys[2] = eg_ip4_text_key(0x09090909);
}

static void keys_are_read_as_written(void **state) {
    (void)state;
    int64_t keys[N_ENTRIES];
    eg_shard_keys k = {0};
    good_keys(keys);
    assert_int_equal(read_keys(EG_DICTIONARY_KEY, keys, N_ENTRIES, NULL, N_ENTRIES, &k, NULL),
                     EG_OK);
    for (int i = 0; i < N_ENTRIES; i++)
        assert_int_equal(k.keys[i], keys[i]);
    assert_int_equal(k.keys[N_ENTRIES], 0);
    assert_true(k.bytes_read > 0);
    eg_shard_keys_close(&k);
}

static void a_chunk_without_keys_is_none(void **state) {
    (void)state;
    int64_t keys[N_ENTRIES];
    eg_shard_keys k = {0};
    good_keys(keys);
    assert_int_equal(read_keys("other.key", keys, N_ENTRIES, NULL, N_ENTRIES, &k, NULL), EG_DONE);
    /* More entries than so few bytes can be of: the dictionary is read instead. */
    assert_int_equal(read_keys(EG_DICTIONARY_KEY, keys, N_ENTRIES, NULL, 10000000, &k, NULL),
                     EG_DONE);
    eg_shard_keys_close(&k);
}

static void assert_refused(const int64_t *keys, size_t n, const char *say, uint32_t n_entries,
                           const char *message) {
    eg_shard_keys k = {0};
    eg_err err = {.msg = ""};
    assert_int_equal(read_keys(EG_DICTIONARY_KEY, keys, n, say, n_entries, &k, &err), EG_CORRUPT);
    if (strstr(err.msg, message) == NULL ||
        strstr(err.msg, "keys.parquet: column srcaddr, row group 0: ") != err.msg)
        fail_msg("%s: expected %s", err.msg, message);
    eg_shard_keys_close(&k);
}

static void wrong_keys_are_refused(void **state) {
    (void)state;
    static const char not_those[] = "keys that are not those of the dictionary";
    int64_t keys[N_ENTRIES], swapped[N_ENTRIES], wide[N_ENTRIES], twice[N_ENTRIES];
    good_keys(keys);
    good_keys(swapped);
    swapped[0] = keys[1];
    swapped[1] = keys[0];
    good_keys(wide);
    wide[2] = (int64_t)UINT32_MAX + 1;
    good_keys(twice);
    twice[1] = twice[0];
    assert_refused(swapped, N_ENTRIES, NULL, N_ENTRIES, not_those);
    assert_refused(wide, N_ENTRIES, NULL, N_ENTRIES, not_those);
    assert_refused(twice, N_ENTRIES, NULL, N_ENTRIES, not_those);
    assert_refused(keys, N_ENTRIES, NULL, N_ENTRIES + 1, not_those);
    assert_refused(keys, N_ENTRIES - 1, NULL, N_ENTRIES, not_those);
}

static void a_wrong_place_is_refused(void **state) {
    (void)state;
    static const char place[] = "expected offset, length and CRC in the file";
    int64_t keys[N_ENTRIES];
    good_keys(keys);
    assert_refused(keys, N_ENTRIES, "999999 20 1", N_ENTRIES, place);
    assert_refused(keys, N_ENTRIES, "4 99999 1", N_ENTRIES, place);
    assert_refused(keys, N_ENTRIES, "4 20", N_ENTRIES, place);
    assert_refused(keys, N_ENTRIES, "four 20 1", N_ENTRIES, place);
    assert_refused(keys, N_ENTRIES, "-4 20 1", N_ENTRIES, place);
    assert_refused(keys, N_ENTRIES, "4 8 99999999999", N_ENTRIES, place);
}

static void a_changed_byte_of_the_keys_is_refused(void **state) {
    (void)state;
    int64_t keys[N_ENTRIES];
    eg_pq_buffer extra;
    good_keys(keys);
    keys_of(&extra, keys, N_ENTRIES);
    eg_pq_file *f = make(EG_DICTIONARY_KEY, extra.data, extra.n_bytes, NULL);
    eg_pq_bytes where;
    assert_true(eg_pq_chunk_value(eg_pq_file_chunk(f, 0, 0), EG_DICTIONARY_KEY, &where));
    off_t offset = strtol((const char *)where.data, NULL, 10);
    for (size_t i = 0; i < extra.n_bytes; i++) {
        eg_shard_keys k = {0};
        eg_err err;
        uint8_t changed = extra.data[i] ^ 1;
        assert_int_equal(pwrite(made, &changed, 1, offset + (off_t)i), 1);
        assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, N_ENTRIES, &err), EG_CORRUPT);
        assert_non_null(strstr(err.msg, "CRC of the keys differs"));
        assert_int_equal(pwrite(made, &extra.data[i], 1, offset + (off_t)i), 1);
        assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, N_ENTRIES, &err), EG_OK);
        eg_shard_keys_close(&k);
    }
    eg_pq_file_close(f);
    eg_pq_buffer_free(&extra);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read_as_written),
        cmocka_unit_test(a_chunk_without_keys_is_none),
        cmocka_unit_test(wrong_keys_are_refused),
        cmocka_unit_test(a_wrong_place_is_refused),
        cmocka_unit_test(a_changed_byte_of_the_keys_is_refused),
    };
    return cmocka_run_group_tests(tests, open_codec, close_codec);
}
