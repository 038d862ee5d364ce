/* Claims of parquet/pq_codec.c: every codec gives back what went in, exactly as
** many bytes as were said, and damaged input is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/pq_codec.h"
#include "parquet/pq_meta.h"

static const int32_t codecs[] = {EG_PQ_UNCOMPRESSED, EG_PQ_SNAPPY, EG_PQ_GZIP, EG_PQ_ZSTD,
                                 EG_PQ_LZ4_RAW};
#define N_CODECS (sizeof codecs / sizeof *codecs)

static int open_codec(void **state) {
    return eg_pq_codec_open((eg_pq_codec **)state, NULL) == EG_OK ? 0 : -1;
}

static int close_codec(void **state) {
    eg_pq_codec_close(*state);
    return 0;
}

static uint8_t *sample(size_t n, int kind) {
    uint8_t *p = malloc(n + 1);
    uint64_t seed = 7;
    for (size_t i = 0; i < n; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        p[i] = kind == 0 ? 0 : kind == 1 ? (uint8_t)(i / 7 % 11) : (uint8_t)(seed >> 56);
    }
    return p;
}

static eg_status inflate_exact(eg_pq_codec *c, int32_t codec, const uint8_t *in, size_t n_in,
                               size_t n_out, uint8_t **out, eg_err *err) {
    uint8_t *copy = malloc(n_in + (n_in == 0));
    if (n_in > 0)
        memcpy(copy, in, n_in);
    *out = malloc(n_out + (n_out == 0));
    eg_status rc = eg_pq_decompress(c, codec, copy, n_in, *out, n_out, err);
    free(copy);
    return rc;
}

static void codec_gives_back_what_went_in(void **state) {
    static const size_t sizes[] = {0, 1, 5, 100, 4096, 70000, 300000};
    for (size_t k = 0; k < N_CODECS; k++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for (int kind = 0; kind < 3; kind++) {
                uint8_t *in = sample(sizes[s], kind), *out;
                eg_pq_buffer b = {0};
                eg_err err;
                eg_pq_buffer_put(&b, "head", 4);
                assert_int_equal(eg_pq_compress(*state, codecs[k], 0, in, sizes[s], &b, &err),
                                 EG_OK);
                assert_memory_equal(b.data, "head", 4);
                assert_int_equal(inflate_exact(*state, codecs[k], b.data + 4, b.n_bytes - 4,
                                               sizes[s], &out, &err),
                                 EG_OK);
                if (sizes[s] > 0)
                    assert_memory_equal(in, out, sizes[s]);
                free(out);
                /* One byte more or fewer than there is */
                assert_int_equal(inflate_exact(*state, codecs[k], b.data + 4, b.n_bytes - 4,
                                               sizes[s] + 1, &out, &err),
                                 EG_CORRUPT);
                free(out);
                if (sizes[s] > 0) {
                    assert_int_equal(inflate_exact(*state, codecs[k], b.data + 4, b.n_bytes - 4,
                                                   sizes[s] - 1, &out, &err),
                                     EG_CORRUPT);
                    free(out);
                }
                free(in);
                eg_pq_buffer_free(&b);
            }
        }
    }
}

static void codec_rejects_cut_and_longer_data(void **state) {
    size_t n = 5000;
    uint8_t *in = sample(n, 1), *out;
    for (size_t k = 0; k < N_CODECS; k++) {
        eg_pq_buffer b = {0};
        assert_int_equal(eg_pq_compress(*state, codecs[k], 0, in, n, &b, NULL), EG_OK);
        for (size_t cut = 0; cut < b.n_bytes; cut += 1 + cut / 50) {
            assert_int_equal(inflate_exact(*state, codecs[k], b.data, cut, n, &out, NULL),
                             EG_CORRUPT);
            free(out);
        }
        eg_pq_buffer_put(&b, "?!", 2);
        assert_int_equal(inflate_exact(*state, codecs[k], b.data, b.n_bytes, n, &out, NULL),
                         EG_CORRUPT);
        free(out);
        eg_pq_buffer_free(&b);
    }
    free(in);
}

static void codec_survives_every_flipped_byte(void **state) {
    size_t n = 700;
    uint8_t *in = sample(n, 1), *out;
    for (size_t k = 1; k < N_CODECS; k++) {
        eg_pq_buffer b = {0};
        assert_int_equal(eg_pq_compress(*state, codecs[k], 0, in, n, &b, NULL), EG_OK);
        for (size_t i = 0; i < b.n_bytes; i++) {
            for (int bit = 0; bit < 8; bit++) {
                b.data[i] ^= (uint8_t)(1 << bit);
                eg_status rc = inflate_exact(*state, codecs[k], b.data, b.n_bytes, n, &out, NULL);
                assert_true(rc == EG_OK || rc == EG_CORRUPT);
                free(out);
                b.data[i] ^= (uint8_t)(1 << bit);
            }
        }
        /* and the context is as good as new */
        assert_int_equal(inflate_exact(*state, codecs[k], b.data, b.n_bytes, n, &out, NULL), EG_OK);
        assert_memory_equal(out, in, n);
        free(out);
        eg_pq_buffer_free(&b);
    }
    free(in);
}

static void gzip_reads_several_members_and_writes_one(void **state) {
    eg_pq_buffer b = {0};
    uint8_t *out;
    assert_int_equal(eg_pq_compress(*state, EG_PQ_GZIP, 9, (const uint8_t *)"one ", 4, &b, NULL),
                     EG_OK);
    assert_int_equal(b.data[0] << 8 | b.data[1], 0x1f8b);
    assert_int_equal(eg_pq_compress(*state, EG_PQ_GZIP, 1, (const uint8_t *)"", 0, &b, NULL),
                     EG_OK);
    assert_int_equal(eg_pq_compress(*state, EG_PQ_GZIP, 1, (const uint8_t *)"two", 3, &b, NULL),
                     EG_OK);
    assert_int_equal(eg_pq_compress(*state, EG_PQ_GZIP, 0, (const uint8_t *)"", 0, &b, NULL),
                     EG_OK);
    assert_int_equal(inflate_exact(*state, EG_PQ_GZIP, b.data, b.n_bytes, 7, &out, NULL), EG_OK);
    assert_memory_equal(out, "one two", 7);
    free(out);
    assert_int_equal(inflate_exact(*state, EG_PQ_GZIP, b.data, b.n_bytes, 4, &out, NULL),
                     EG_CORRUPT);
    free(out);
    eg_pq_buffer_free(&b);
}

static void codec_refuses_others_by_name(void **state) {
    static const struct {
        int32_t codec;
        const char *name;
    } others[] = {{EG_PQ_LZO, "LZO"},
                  {EG_PQ_BROTLI, "BROTLI"},
                  {EG_PQ_LZ4, "LZ4 is deprecated"},
                  {8, "(8)"},
                  {-1, "(-1)"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        eg_err err;
        uint8_t byte = 0;
        eg_pq_buffer b = {0};
        assert_int_equal(eg_pq_codec_check(others[i].codec, &err), EG_UNSUPPORTED);
        assert_non_null(strstr(err.msg, others[i].name));
        assert_int_equal(eg_pq_decompress(*state, others[i].codec, &byte, 1, &byte, 1, &err),
                         EG_UNSUPPORTED);
        assert_int_equal(eg_pq_compress(*state, others[i].codec, 0, &byte, 1, &b, &err),
                         EG_UNSUPPORTED);
        eg_pq_buffer_free(&b);
    }
}

/* All levels for codes give back what went in. Codes that repeat nowhere but are of few values
** are packed by LITERALS; texts that begin alike need CODES; STORED packs nothing. */
static void zstd_has_levels_for_codes(void **state) {
    static const int levels[] = {EG_PQ_LEVEL_CODES, EG_PQ_LEVEL_LITERALS, 1, EG_PQ_LEVEL_CODES,
                                 EG_PQ_LEVEL_STORED};
    static uint8_t in[2][16384];
    size_t sizes[2][5];
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof in[0]; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        in[0][i] = i % 2 == 0 ? (uint8_t)(seed >> 60) : 0;
        in[1][i] = "122.166.10."[i % 16 % 11] + (i % 16 > 12 ? (char)(i / 16 % 7) : 0);
    }
    for (int kind = 0; kind < 2; kind++)
        for (int l = 0; l < 5; l++) {
            eg_pq_buffer b = {0};
            uint8_t *out;
            assert_int_equal(
                eg_pq_compress(*state, EG_PQ_ZSTD, levels[l], in[kind], sizeof in[0], &b, NULL),
                EG_OK);
            assert_int_equal(
                inflate_exact(*state, EG_PQ_ZSTD, b.data, b.n_bytes, sizeof in[0], &out, NULL),
                EG_OK);
            assert_memory_equal(in[kind], out, sizeof in[0]);
            sizes[kind][l] = b.n_bytes;
            free(out);
            eg_pq_buffer_free(&b);
        }
    assert_true(sizes[0][1] < sizeof in[0] / 2 && sizes[0][1] < sizes[0][0]);
    assert_true(sizes[1][0] < sizes[1][1] / 4);
    assert_true(sizes[0][0] == sizes[0][3] && sizes[1][0] == sizes[1][3]);
    for (int kind = 0; kind < 2; kind++)
        assert_in_range(sizes[kind][4], sizeof in[0], sizeof in[0] + 32);
}

static void codec_refuses_levels_that_do_not_exist(void **state) {
    eg_pq_buffer b = {0};
    uint8_t byte = 0;
    assert_int_equal(eg_pq_compress(*state, EG_PQ_GZIP, 10, &byte, 1, &b, NULL), EG_MISUSE);
    assert_int_equal(eg_pq_compress(*state, EG_PQ_ZSTD, 100, &byte, 1, &b, NULL), EG_MISUSE);
    assert_int_equal(eg_pq_compress(*state, EG_PQ_ZSTD, -4, &byte, 1, &b, NULL), EG_MISUSE);
    assert_int_equal(b.n_bytes, 0);
    eg_pq_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codec_gives_back_what_went_in),
        cmocka_unit_test(codec_rejects_cut_and_longer_data),
        cmocka_unit_test(codec_survives_every_flipped_byte),
        cmocka_unit_test(gzip_reads_several_members_and_writes_one),
        cmocka_unit_test(codec_refuses_others_by_name),
        cmocka_unit_test(zstd_has_levels_for_codes),
        cmocka_unit_test(codec_refuses_levels_that_do_not_exist),
    };
    return cmocka_run_group_tests(tests, open_codec, close_codec);
}
