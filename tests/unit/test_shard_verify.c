/* Claims of parquet/shard_source.h and shard_verify.h on damage: whichever bit of a shard of ours
** before its footer is wrong, reading all of it fails with a message that names the file, or gives
** the same rows; and the hash of shard_verify tells of every one. */
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

#include "light.h"
#include "parquet/shard_source.h"
#include "parquet/shard_verify.h"
#include "parquet/shard_weights.h"

static uint8_t bytes[1 << 16];
static size_t n_bytes;
static int memory = -1;
static char path[64];

static void load(const char *name) {
    FILE *in = fopen(name, "rb");
    assert_non_null(in);
    n_bytes = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    assert_true(n_bytes > 1000 && n_bytes < sizeof bytes);
    memory = memfd_create("shard.parquet", MFD_CLOEXEC);
    assert_true(memory >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    assert_int_equal(pwrite(memory, bytes, n_bytes, 0), n_bytes);
}

static void flip(size_t at, uint8_t bit) {
    uint8_t changed = bytes[at] ^ bit;
    assert_int_equal(pwrite(memory, &changed, 1, (off_t)at), 1);
}

static void repair(size_t at) {
    assert_int_equal(pwrite(memory, &bytes[at], 1, (off_t)at), 1);
}

typedef struct answer {
    uint64_t n_rows, hash;
} answer;

static eg_status read_all(answer *out, eg_err *err) {
    eg_vector_set vectors = ((EG_VECTOR_BIT(EG_N_VECTORS) - 1) & ~EG_VECTOR_BIT(EG_VEC_HEADER_MS));
    eg_shard_list list = {0};
    eg_shard *shard;
    eg_intern *texts;
    eg_source *source = NULL;
    eg_piece *piece;
    eg_batch b = {0};
    *out = (answer){0};
    assert_int_equal(eg_intern_open(&texts, NULL), EG_OK);
    assert_int_equal(eg_shard_list_add(&list, path, &shard, NULL), EG_OK);
    assert_int_equal(eg_batch_open(&b, vectors, texts, NULL), EG_OK);
    eg_scan_spec spec = {.vectors = vectors, .texts = texts};
    eg_status rc = eg_shard_source_open(&list, &spec, &source, err);
    while (rc == EG_OK && (rc = source->ops->next_piece(source, &piece, err)) == EG_OK) {
        while ((rc = piece->ops->next(piece, &b, err)) == EG_OK) {
            for (uint32_t i = 0; i < b.n_rows; i++) {
                uint64_t h = 1469598103934665603u;
                for (int c = 0; c < EG_N_COLUMNS; c++) {
                    char scratch[EG_TEXT_MAX];
                    size_t n;
                    const char *text;
                    if (c == EG_COL_FILE ||
                        (text = eg_batch_text(&b, (eg_column)c, i, scratch, &n)) == NULL)
                        continue;
                    for (size_t k = 0; k < n; k++)
                        h = (h ^ (uint8_t)text[k]) * 1099511628211u;
                }
                out->n_rows++;
                out->hash += h ^ h >> 29;
            }
        }
        piece->ops->close(piece, NULL);
        rc = rc == EG_DONE ? EG_OK : rc;
    }
    if (source != NULL)
        source->ops->close(source, NULL);
    eg_shard_list_close(&list);
    eg_batch_close(&b);
    eg_intern_close(texts);
    return rc == EG_DONE ? EG_OK : rc;
}

static bool same(answer a, answer b) {
    return a.n_rows == b.n_rows && a.hash == b.hash;
}

static void each_bit_that_is_wrong_is_found(const char *name) {
    eg_err err;
    eg_shard_facts facts, wrong;
    answer right, now;
    load(name);
    size_t footer = n_bytes - 8 - (bytes[n_bytes - 8] | (size_t)bytes[n_bytes - 7] << 8);
    assert_int_equal(read_all(&right, &err), EG_OK);
    assert_int_equal(right.n_rows, 48);
    assert_int_equal(eg_shard_verify(path, (eg_poll){0}, &facts, &err), EG_OK);
    size_t n_tried = 0, n_refused = 0, n_unsound = 0;
    for (size_t at = 0; at < n_bytes; at += is_light() ? 47 : is_watched() ? 3 : 1, n_tried++) {
        flip(at, (uint8_t)(1u << at % 8));
        eg_status rc = read_all(&now, &err);
        if (rc != EG_OK) {
            n_refused++;
            if (strstr(err.msg, path) != err.msg)
                fail_msg("byte %zu: %s", at, err.msg);
        } else if (!same(now, right) && at < footer) {
            fail_msg("byte %zu: other rows, and no word", at);
        }
        if (eg_shard_verify(path, (eg_poll){0}, &wrong, &err) != EG_OK)
            n_unsound++;
        else if (wrong.hash == facts.hash)
            fail_msg("byte %zu: not found by its hash", at);
        repair(at);
    }
    close(memory);
    assert_true(n_refused > n_tried / 4);
    assert_true(n_unsound > n_tried / 2);
}

static void each_wrong_bit_of_text_addresses_is_found(void **state) {
    (void)state;
    each_bit_that_is_wrong_is_found("tests/fuzz/corpus/shard/own-1.parquet");
}

static void each_wrong_bit_beside_weights_is_found(void **state) {
    (void)state;
    each_bit_that_is_wrong_is_found("tests/fuzz/corpus/shard/own-7.parquet");
}

/* Where the weights of a column are. */
static size_t find_weights(const char *column, size_t *n) {
    eg_pq_file *f;
    eg_pq_bytes place;
    size_t offset;
    char text[64] = "";
    assert_int_equal(eg_pq_file_open(path, &f, NULL), EG_OK);
    int64_t number = eg_pq_file_find(f, column, strlen(column));
    assert_true(number >= 0);
    assert_true(
        eg_pq_chunk_value(eg_pq_file_chunk(f, 0, (uint32_t)number), EG_WEIGHTS_KEY, &place));
    assert_true(place.n_bytes < sizeof text);
    memcpy(text, place.data, place.n_bytes);
    assert_int_equal(sscanf(text, "%zu %zu", &offset, n), 2);
    eg_pq_file_close(f);
    return offset;
}

static void each_wrong_bit_of_weights_is_named(void **state) {
    (void)state;
    static const char *const columns[] = {"srcaddr", "dstaddr"};
    eg_err err;
    eg_shard_facts facts;
    load("tests/fuzz/corpus/shard/own-7.parquet");
    for (int c = 0; c < 2; c++) {
        size_t n, at = find_weights(columns[c], &n);
        char expected[256];
        snprintf(expected, sizeof expected,
                 "%s: column %s, row group 0: CRC of the weights differs (earlgrey.weights)", path,
                 columns[c]);
        assert_true(n > 3);
        for (size_t i = at; i < at + n; i++) {
            flip(i, (uint8_t)(1u << i % 8));
            assert_int_equal(eg_shard_verify(path, (eg_poll){0}, &facts, &err), EG_CORRUPT);
            assert_string_equal(err.msg, expected);
            repair(i);
        }
    }
    assert_int_equal(eg_shard_verify(path, (eg_poll){0}, &facts, &err), EG_OK);
    close(memory);
}

static void each_wrong_bit_of_numbers_is_found(void **state) {
    (void)state;
    each_bit_that_is_wrong_is_found("tests/fuzz/corpus/shard/own-2.parquet");
}

/* Of shards as they are now, and as they were before their dictionaries had parts. */
static void each_wrong_bit_beside_parts_is_found(void **state) {
    (void)state;
    each_bit_that_is_wrong_is_found("tests/fuzz/corpus/shard/own-4.parquet");
    each_bit_that_is_wrong_is_found("tests/fuzz/corpus/shard/own-5.parquet");
    each_bit_that_is_wrong_is_found("tests/fuzz/corpus/shard/own-6.parquet");
}

static void a_shard_cut_anywhere_is_refused(void **state) {
    (void)state;
    eg_err err;
    answer now;
    load("tests/fuzz/corpus/shard/own-1.parquet");
    for (size_t n = 0; n < n_bytes; n += n < 64 || n + 64 > n_bytes ? 1 : 61) {
        assert_int_equal(ftruncate(memory, (off_t)n), 0);
        assert_int_equal(read_all(&now, &err), EG_CORRUPT);
        assert_int_equal(pwrite(memory, bytes, n_bytes, 0), n_bytes);
    }
    close(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wrong_bit_of_text_addresses_is_found),
        cmocka_unit_test(each_wrong_bit_of_numbers_is_found),
        cmocka_unit_test(each_wrong_bit_beside_parts_is_found),
        cmocka_unit_test(each_wrong_bit_beside_weights_is_found),
        cmocka_unit_test(each_wrong_bit_of_weights_is_named),
        cmocka_unit_test(a_shard_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
