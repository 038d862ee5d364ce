/* Claims of parquet/shard_keys.h: the keys that stand behind a chunk are read as written, and
** whatever is wrong with them is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codec_fixture.h"
#include "flow/address_order.h"
#include "parquet/pq_writer.h"
#include "parquet/shard_keys.h"

#define N_ENTRIES 3

static int made; /* descriptor of the file made last, open as long as the file */

/* The chunk of a text column, 10.0.0.1, 10.0.0.2, 9.9.9.9. */
static void encode(eg_pq_chunk_data *data) {
    static const char *const texts[N_ENTRIES] = {"10.0.0.1", "10.0.0.2", "9.9.9.9"};
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
    assert_int_equal(eg_pq_chunk_encode(&in, codec, data, NULL), EG_OK);
}

static size_t chunk_bytes(void) {
    eg_pq_chunk_data data = {0};
    encode(&data);
    size_t n = data.bytes.n_bytes;
    eg_pq_chunk_free(&data);
    return n;
}

/* A file of that column with `extra` behind its chunk, which n_head bytes of it are told of, and,
** where say is not NULL, the metadata changed to it (no longer than it was). */
static eg_pq_file *make_of(const char *key, const void *extra, size_t n_extra, size_t n_head,
                           const char *say) {
    static const eg_pq_schema_element schema[2] = {
        {.repetition = -1, .name = {(const uint8_t *)"s", 1}, .n_children = 1, .converted = -1},
        {.has_type = true,
         .type = EG_PQ_BYTE_ARRAY,
         .name = {(const uint8_t *)"srcaddr", 7},
         .converted = EG_PQ_CONVERTED_UTF8,
         .logical = {.id = EG_PQ_LOGICAL_ID_STRING}}};
    eg_pq_chunk_data data = {0};
    const eg_pq_chunk_data *chunks[1] = {&data};
    eg_pq_writer *w;
    eg_pq_file *f;
    int fd = memfd_create("keys.parquet", MFD_CLOEXEC);
    encode(&data);
    eg_pq_buffer_put(&data.extras[0].bytes, extra, n_extra);
    data.extras[0].key = key;
    data.extras[0].n_head = n_head;
    data.n_extras = key != NULL;
    assert_int_equal(eg_pq_writer_open(fd, "keys.parquet", schema, 2, "test", &w, NULL), EG_OK);
    assert_int_equal(eg_pq_writer_add(w, chunks, NULL, 0, NULL), EG_OK);
    assert_int_equal(eg_pq_writer_finish(w, NULL, 0, NULL), EG_OK);
    eg_pq_writer_close(w);
    if (say != NULL) {
        static char file[1 << 16];
        ssize_t n = pread(fd, file, sizeof file, 0);
        char now[64];
        char *at = memmem(file, (size_t)n, key, strlen(key));
        assert_non_null(at);
        /* Behind the key: the value's field header and its length. */
        at += strlen(key) + 1;
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

static eg_pq_file *make(const char *key, const void *extra, size_t n_extra, const char *say) {
    return make_of(key, extra, n_extra, n_extra, say);
}

/* As older shards have them. */
static void keys_of(eg_pq_buffer *out, const int64_t *keys, size_t n) {
    *out = (eg_pq_buffer){0};
    assert_true(eg_shard_keys_write(out, keys, (uint32_t)n, EG_KEYS_STEP_OLDER));
}

static eg_status read_keys(const char *key, const int64_t *keys, size_t n, const char *say,
                           uint32_t n_entries, eg_shard_keys *k, eg_err *err) {
    eg_pq_buffer extra;
    keys_of(&extra, keys, n);
    eg_pq_file *f = make(key, extra.data, extra.n_bytes, say);
    eg_status rc = eg_shard_keys_read(k, f, 0, 0, n_entries, 0, UINT32_MAX, err);
    eg_pq_file_close(f);
    eg_pq_buffer_free(&extra);
    return rc;
}

static void good_keys(int64_t keys[N_ENTRIES]) {
    keys[0] = eg_ip4_text_key(0x0a000001);
    keys[1] = eg_ip4_text_key(0x0a000002);
    keys[2] = eg_ip4_text_key(0x09090909);
}

/* Every key is found one by one, by its value, and among all of them. */
static void assert_keys(eg_shard_keys *k, const int64_t *keys, uint32_t n) {
    for (int decoded = 0; decoded < 2; decoded++) {
        for (uint32_t i = 0; i < n; i++) {
            int64_t key;
            uint32_t entry;
            assert_int_equal(eg_shard_keys_need(k, i, NULL), EG_OK);
            assert_true(eg_shard_keys_at(k, i, &key));
            assert_int_equal(key, keys[i]);
            assert_int_equal(eg_shard_keys_find(k, keys[i], &entry, NULL), EG_OK);
            assert_int_equal(entry, i);
            bool next_is_one = i + 1 < n && keys[i + 1] == keys[i] + 1;
            assert_int_equal(eg_shard_keys_find(k, keys[i] + 1, &entry, NULL),
                             next_is_one ? EG_OK : EG_DONE);
        }
        assert_int_equal(eg_shard_keys_decode(k, NULL), EG_OK);
    }
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(k->first + k->all[i], keys[i]);
}

static void keys_are_read_as_written(void **state) {
    (void)state;
    int64_t keys[N_ENTRIES];
    eg_shard_keys k = {0};
    good_keys(keys);
    assert_int_equal(read_keys(EG_DICTIONARY_KEY, keys, N_ENTRIES, NULL, N_ENTRIES, &k, NULL),
                     EG_OK);
    assert_int_equal(k.first, keys[0]);
    assert_keys(&k, keys, N_ENTRIES);
    assert_true(k.bytes_read > 0);
    eg_shard_keys_close(&k);
}

/* Of each number of entries around the ends of blocks and miniblocks, with differences of few and
** of many bits, negative ones too. */
static void blocks_of_keys_are_read_as_written(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 32, 33, 34, 128, 129, 130, 257, 1000};
    int64_t keys[1000];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int64_t step = 1; step < 4000000; step *= 47) {
            uint32_t n = sizes[s], seed = 1;
            eg_pq_buffer extra;
            eg_shard_keys k = {0};
            for (uint32_t i = 0; i < n; i++) {
                seed = seed * 1664525 + 1013904223;
                keys[i] = (i > 0 ? keys[i - 1] : -5) + 1 + (i % 7 == 0 ? 0 : seed % step);
            }
            keys_of(&extra, keys, n);
            eg_pq_file *f = make(EG_DICTIONARY_KEY, extra.data, extra.n_bytes, NULL);
            assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, n, -4, INT64_MAX, NULL), EG_OK);
            assert_keys(&k, keys, n);
            assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, n, -3, INT64_MAX, NULL), EG_CORRUPT);
            eg_pq_file_close(f);
            eg_pq_buffer_free(&extra);
            eg_shard_keys_close(&k);
        }
}

static void keys_that_span_more_than_32_bits_are_not_written(void **state) {
    (void)state;
    const int64_t keys[2] = {-1, UINT32_MAX};
    eg_pq_buffer out = {0};
    assert_false(eg_shard_keys_write(&out, keys, 2, EG_KEYS_STEP));
    assert_int_equal(out.n_bytes, 0);
}

/* Anchors that agree with one another, but not with the keys. */
static void a_wrong_anchor_is_found(void **state) {
    (void)state;
    int64_t keys[300], key;
    eg_pq_buffer extra;
    eg_shard_keys k = {0};
    eg_err err = {.msg = ""};
    for (int i = 0; i < 300; i++)
        keys[i] = 100 * i;
    keys_of(&extra, keys, 300);
    extra.data[1] = 1; /* of the first block's end: 256 instead of 12800 */
    eg_pq_file *f = make(EG_DICTIONARY_KEY, extra.data, extra.n_bytes, NULL);
    assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, 300, 0, UINT32_MAX, NULL), EG_OK);
    assert_false(eg_shard_keys_at(&k, 3, &key));
    assert_false(eg_shard_keys_at(&k, 64, &key));
    assert_false(eg_shard_keys_at(&k, 100, &key));
    assert_int_equal(eg_shard_keys_decode(&k, &err), EG_CORRUPT);
    assert_non_null(strstr(err.msg, "keys that are not those of the dictionary"));
    eg_pq_file_close(f);
    eg_pq_buffer_free(&extra);
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
        assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, N_ENTRIES, 0, UINT32_MAX, &err),
                         EG_CORRUPT);
        assert_non_null(strstr(err.msg, "CRC of the keys differs"));
        assert_int_equal(pwrite(made, &extra.data[i], 1, offset + (off_t)i), 1);
        assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, N_ENTRIES, 0, UINT32_MAX, &err), EG_OK);
        eg_shard_keys_close(&k);
    }
    eg_pq_file_close(f);
    eg_pq_buffer_free(&extra);
}

/* ---- in parts ----------------------------------------------------------- */

#define MANY 50000

static int64_t many[MANY];

static void make_many(int64_t step) {
    uint32_t seed = 7;
    for (uint32_t i = 0; i < MANY; i++) {
        seed = seed * 1664525 + 1013904223;
        many[i] = (i > 0 ? many[i - 1] : 1000) + 2 + (seed >> 8) % step;
    }
}

/* A file with the first n of many keys in parts. */
static eg_pq_file *make_parts(uint32_t n, eg_pq_buffer *extra, size_t *n_head) {
    *extra = (eg_pq_buffer){0};
    assert_true(eg_shard_parts_write(extra, chunk_bytes(), many, n, n_head));
    return make_of(EG_PARTS_KEY, extra->data, extra->n_bytes, *n_head, NULL);
}

/* Of each number of entries around the ends of parts, anchors and blocks. */
static void parts_of_keys_are_read_as_written(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1,    2,    32,   33,   34,   65,   128,  129,  130,   1000,
                                     4095, 4096, 4097, 4098, 4129, 4225, 8192, 8193, 12345, MANY};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int64_t step = 1; step < 100000; step *= 40) {
            uint32_t n = sizes[s];
            eg_pq_buffer extra;
            eg_shard_keys k = {0};
            size_t n_head;
            make_many(step);
            eg_pq_file *f = make_parts(n, &extra, &n_head);
            assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, n, 1000, many[n - 1], NULL), EG_OK);
            assert_keys(&k, many, n);
            /* All at once, and a key that is more than it may be. */
            assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, n, 1000, many[n - 1] - 1, NULL),
                             EG_OK);
            assert_int_equal(eg_shard_keys_decode(&k, NULL), EG_CORRUPT);
            eg_pq_file_close(f);
            eg_pq_buffer_free(&extra);
            eg_shard_keys_close(&k);
        }
}

/* What parts are for: one key of many costs the bytes of its part. */
static void one_key_of_many_is_found_by_its_part(void **state) {
    (void)state;
    eg_pq_buffer extra;
    eg_shard_keys k = {0};
    size_t n_head;
    uint32_t entry;
    int64_t key;
    make_many(9000);
    eg_pq_file *f = make_parts(MANY, &extra, &n_head);
    assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, MANY, 0, UINT32_MAX, NULL), EG_OK);
    assert_int_equal(k.bytes_read, n_head);
    assert_int_equal(eg_shard_keys_find(&k, many[0] - 1, &entry, NULL), EG_DONE);
    assert_int_equal(eg_shard_keys_find(&k, UINT32_MAX, &entry, NULL), EG_DONE);
    assert_int_equal(eg_shard_keys_find(&k, many[MANY / 2], &entry, NULL), EG_OK);
    assert_int_equal(entry, MANY / 2);
    assert_true(k.bytes_read < (int64_t)extra.n_bytes / 4);
    /* Where many are asked for, each byte is read once. */
    for (uint32_t i = 0; i < MANY; i += 97) {
        assert_int_equal(eg_shard_keys_need(&k, i, NULL), EG_OK);
        assert_true(eg_shard_keys_at(&k, i, &key));
        assert_int_equal(key, many[i]);
    }
    assert_int_equal(k.bytes_read, extra.n_bytes);
    eg_pq_file_close(f);
    eg_pq_buffer_free(&extra);
    eg_shard_keys_close(&k);
}

/* Rows that are as many as the parts have all of them read at once, fewer have not. */
static void rows_enough_for_all_parts_have_them_read_at_once(void **state) {
    (void)state;
    eg_pq_buffer extra;
    eg_shard_keys k = {0};
    size_t n_head;
    int64_t key;
    make_many(9000);
    eg_pq_file *f = make_parts(MANY, &extra, &n_head);
    assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, MANY, 0, UINT32_MAX, NULL), EG_OK);
    eg_shard_keys_expect(&k, k.parts.n_parts - 1);
    assert_int_equal(eg_shard_keys_need(&k, 0, NULL), EG_OK);
    assert_true(k.bytes_read < (int64_t)extra.n_bytes / 2);
    eg_shard_keys_expect(&k, k.parts.n_parts);
    assert_int_equal(eg_shard_keys_need(&k, MANY - 1, NULL), EG_OK);
    assert_int_equal(k.bytes_read, extra.n_bytes);
    assert_true(eg_shard_keys_at(&k, MANY / 2, &key));
    assert_int_equal(key, many[MANY / 2]);
    eg_pq_file_close(f);
    eg_pq_buffer_free(&extra);
    eg_shard_keys_close(&k);
}

static void a_changed_byte_of_the_parts_is_refused(void **state) {
    (void)state;
    const uint32_t n = 3 * EG_PART_ENTRIES;
    eg_pq_buffer extra;
    size_t n_head, n_chunk = chunk_bytes() + 4; /* PAR1 before it */
    make_many(9000);
    eg_pq_file *f = make_parts(n, &extra, &n_head);
    for (size_t i = 0; i < extra.n_bytes; i += i < n_head ? 1 : 11) {
        eg_shard_keys k = {0};
        eg_err err = {.msg = ""};
        uint8_t changed = extra.data[i] ^ 4;
        assert_int_equal(pwrite(made, &changed, 1, (off_t)(n_chunk + i)), 1);
        eg_status rc = eg_shard_keys_read(&k, f, 0, 0, n, 0, UINT32_MAX, &err);
        if (i < n_head) {
            assert_int_equal(rc, EG_CORRUPT);
            assert_string_equal(err.msg, "keys.parquet: column srcaddr, row group 0: CRC of the "
                                         "head differs (earlgrey.parts)");
        } else {
            uint32_t entry;
            int n_found = 0;
            assert_int_equal(rc, EG_OK);
            for (int part = 0; part < 3; part++) {
                rc = eg_shard_keys_find(&k, many[(uint32_t)part * EG_PART_ENTRIES], &entry, &err);
                assert_true(rc == EG_OK || rc == EG_CORRUPT);
                n_found += rc == EG_OK;
            }
            assert_int_equal(n_found, 2); /* the part that it is in, and no other */
            assert_string_equal(err.msg, "keys.parquet: column srcaddr, row group 0: CRC of a "
                                         "part differs (earlgrey.parts)");
            assert_int_equal(eg_shard_keys_decode(&k, &err), EG_CORRUPT);
        }
        assert_int_equal(pwrite(made, &extra.data[i], 1, (off_t)(n_chunk + i)), 1);
        eg_shard_keys_close(&k);
    }
    eg_pq_file_close(f);
    eg_pq_buffer_free(&extra);
}

static void set_le32(uint8_t *to, uint32_t v) {
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

/* Heads whose CRC is right, and that say what cannot be. */
static void wrong_heads_are_refused(void **state) {
    (void)state;
    static const struct {
        size_t at; /* in the head */
        uint32_t value;
        uint32_t n_entries;
        const char *message;
    } wrong[] = {
        {8, 1, 8192, "parts that are not those of the dictionary"},  /* of the first part */
        {24, 0, 8192, "parts that are not those of the dictionary"}, /* does not ascend */
        {12, UINT32_MAX, 8192, "parts that are not those of the dictionary"}, /* behind the file */
        {16, UINT32_MAX, 8192, "parts that are not those of the dictionary"},
        {28, 0, 8192, "parts that are not one behind the other"},
        {16, 100, 8192, "parts that are not one behind the other"},
        {8, 0, 8193, "a head of other parts than the dictionary has"},
        {8, 0, 4096, "a head of other parts than the dictionary has"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        eg_pq_buffer extra = {0};
        eg_shard_keys k = {0};
        eg_err err = {.msg = ""};
        size_t n_head;
        make_many(9000);
        assert_true(eg_shard_parts_write(&extra, chunk_bytes(), many, 8192, &n_head));
        set_le32(extra.data + wrong[i].at, wrong[i].value);
        eg_pq_file *f = make_of(EG_PARTS_KEY, extra.data, extra.n_bytes, n_head, NULL);
        assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, wrong[i].n_entries, 0, UINT32_MAX, &err),
                         EG_CORRUPT);
        if (strstr(err.msg, wrong[i].message) == NULL)
            fail_msg("%zu: %s", i, err.msg);
        eg_pq_file_close(f);
        eg_pq_buffer_free(&extra);
        eg_shard_keys_close(&k);
    }
}

/* An anchor inside of a block that agrees with its neighbours, but not with the keys. */
static void a_wrong_anchor_of_a_part_is_found(void **state) {
    (void)state;
    eg_pq_buffer extra = {0};
    eg_shard_keys k = {0};
    eg_err err = {.msg = ""};
    size_t n_head;
    uint32_t entry;
    for (int i = 0; i < 300; i++)
        many[i] = 100 * i;
    assert_true(eg_shard_parts_write(&extra, chunk_bytes(), many, 300, &n_head));
    set_le32(extra.data + n_head + 4, 6401); /* of entry 64: 6400 */
    set_le32(extra.data + 20, libdeflate_crc32(0, extra.data + n_head, extra.n_bytes - n_head));
    eg_pq_file *f = make_of(EG_PARTS_KEY, extra.data, extra.n_bytes, n_head, NULL);
    assert_int_equal(eg_shard_keys_read(&k, f, 0, 0, 300, 0, UINT32_MAX, NULL), EG_OK);
    assert_int_equal(eg_shard_keys_find(&k, 200, &entry, &err), EG_CORRUPT);
    assert_string_equal(err.msg, "keys.parquet: column srcaddr, row group 0: keys that are not "
                                 "those of the dictionary (earlgrey.parts)");
    assert_int_equal(eg_shard_keys_find(&k, 20000, &entry, &err), EG_OK); /* another block */
    assert_int_equal(entry, 200);
    assert_int_equal(eg_shard_keys_decode(&k, &err), EG_CORRUPT);
    eg_pq_file_close(f);
    eg_pq_buffer_free(&extra);
    eg_shard_keys_close(&k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read_as_written),
        cmocka_unit_test(blocks_of_keys_are_read_as_written),
        cmocka_unit_test(keys_that_span_more_than_32_bits_are_not_written),
        cmocka_unit_test(a_wrong_anchor_is_found),
        cmocka_unit_test(a_chunk_without_keys_is_none),
        cmocka_unit_test(wrong_keys_are_refused),
        cmocka_unit_test(a_wrong_place_is_refused),
        cmocka_unit_test(a_changed_byte_of_the_keys_is_refused),
        cmocka_unit_test(parts_of_keys_are_read_as_written),
        cmocka_unit_test(one_key_of_many_is_found_by_its_part),
        cmocka_unit_test(rows_enough_for_all_parts_have_them_read_at_once),
        cmocka_unit_test(a_changed_byte_of_the_parts_is_refused),
        cmocka_unit_test(wrong_heads_are_refused),
        cmocka_unit_test(a_wrong_anchor_of_a_part_is_found),
    };
    return cmocka_run_group_tests(tests, open_codec, close_codec);
}
