/* Claims of parquet/pq_encoding.c: PLAIN gives back every type, BYTE_STREAM_SPLIT
** is PLAIN with its bytes turned round, and short input is false. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pq_build.h"

static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 32);
}

#define N 1000

typedef struct sample {
    uint8_t room[N * 12]; /* of texts */
    union {
        uint8_t truths[N];
        int32_t i32[N];
        int64_t i64[N];
        float f32[N];
        double f64[N];
        eg_pq_bytes bytes[N];
    } v;
} sample;

static void fill(sample *s, int32_t type, uint64_t *seed) {
    for (size_t i = 0; i < sizeof s->room; i++)
        s->room[i] = (uint8_t)next_random(seed);
    for (size_t i = 0; i < N; i++) {
        uint64_t bits = (uint64_t)next_random(seed) << 32 | next_random(seed);
        switch (type) {
        case EG_PQ_BOOLEAN:
            s->v.truths[i] = bits & 1;
            break;
        case EG_PQ_INT32:
            s->v.i32[i] = (int32_t)(uint32_t)bits;
            break;
        case EG_PQ_INT64:
            s->v.i64[i] = (int64_t)bits;
            break;
        case EG_PQ_FLOAT:
            s->v.f32[i] = (float)next_random(seed) / 3;
            break;
        case EG_PQ_DOUBLE:
            s->v.f64[i] = (double)next_random(seed) / 3;
            break;
        default:
            s->v.bytes[i].data = s->room + i * 12;
            s->v.bytes[i].n_bytes = type == EG_PQ_INT96   ? 12
                                    : type == EG_PQ_FIXED ? 5
                                                          : (uint32_t)bits % 13;
        }
    }
}

static void assert_same(int32_t type, const void *a, const void *b, size_t n) {
    if (type == EG_PQ_BYTE_ARRAY || type == EG_PQ_FIXED || type == EG_PQ_INT96) {
        const eg_pq_bytes *x = a, *y = b;
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(x[i].n_bytes, y[i].n_bytes);
            assert_memory_equal(x[i].data, y[i].data, x[i].n_bytes);
        }
    } else if (n > 0) {
        assert_memory_equal(a, b, n * eg_pq_value_bytes(type));
    }
}

static void plain_gives_back_every_type(void **state) {
    (void)state;
    static sample in, out;
    uint64_t seed = 12;
    for (int32_t type = 0; type < EG_PQ_N_TYPES; type++) {
        static const size_t counts[] = {0, 1, 7, 8, 9, N};
        fill(&in, type, &seed);
        for (size_t k = 0; k < 6; k++) {
            size_t n = counts[k];
            eg_pq_buffer b = {0};
            eg_pq_plain_encode(&b, type, &in.v, n);
            uint8_t *p = malloc(b.n_bytes + 1);
            if (n > 0)
                memcpy(p, b.data, b.n_bytes);
            if (type == EG_PQ_BOOLEAN) {
                assert_int_equal(b.n_bytes, (n + 7) / 8);
                for (size_t at = 0; at <= n; at += 3)
                    eg_pq_plain_read_bits_unchecked(p, at, out.v.truths + at, n - at);
                assert_same(type, &in.v, &out.v, n);
            } else {
                const uint8_t *pos = p;
                assert_true(eg_pq_plain_read(type, 5, &pos, p + b.n_bytes, &out.v, n));
                assert_ptr_equal(pos, p + b.n_bytes);
                assert_same(type, &in.v, &out.v, n);
                for (size_t cut = 0; cut < b.n_bytes; cut += 1 + cut / 9) {
                    uint8_t *q = malloc(cut + 1);
                    memcpy(q, p, cut);
                    pos = q;
                    assert_false(eg_pq_plain_read(type, 5, &pos, q + cut, &out.v, n));
                    free(q);
                }
            }
            free(p);
            eg_pq_buffer_free(&b);
        }
    }
}

static void plain_rejects_text_longer_than_the_page(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 'a', 'b'};
    const uint8_t *pos = bytes;
    eg_pq_bytes out;
    assert_false(eg_pq_plain_read(EG_PQ_BYTE_ARRAY, 0, &pos, bytes + sizeof bytes, &out, 1));
}

static void split_is_plain_turned_round(void **state) {
    (void)state;
    static sample in, out;
    static const int32_t types[] = {EG_PQ_INT32, EG_PQ_INT64, EG_PQ_FLOAT, EG_PQ_DOUBLE,
                                    EG_PQ_FIXED};
    uint64_t seed = 13;
    for (size_t k = 0; k < 5; k++) {
        uint8_t room[N * 5];
        eg_pq_buffer b = {0};
        fill(&in, types[k], &seed);
        pb_split(&b, types[k], &in.v, N);
        assert_int_equal(b.n_bytes, N * eg_pq_plain_bytes(types[k], 5));
        /* the second half, and all */
        eg_pq_split_read_unchecked(types[k], 5, b.data, N, N / 2, &out.v, room, N / 2);
        size_t width = eg_pq_value_bytes(types[k]);
        assert_same(types[k], (const uint8_t *)&in.v + N / 2 * width, &out.v, N / 2);
        eg_pq_split_read_unchecked(types[k], 5, b.data, N, 0, &out.v, room, N);
        assert_same(types[k], &in.v, &out.v, N);
        eg_pq_buffer_free(&b);
    }
}

static void codes_below_finds_any_code_that_is_not(void **state) {
    (void)state;
    static const uint32_t limits[] = {1, 2, 255, 65536, UINT32_C(1) << 30, UINT32_C(1) << 31};
    uint64_t seed = 14;
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        uint32_t codes[37];
        for (size_t n = 0; n <= 37; n++) {
            for (size_t i = 0; i < n; i++)
                codes[i] = next_random(&seed) % limits[k];
            assert_true(eg_pq_codes_below(codes, n, limits[k]));
            for (size_t i = 0; i < n; i++) {
                uint32_t kept = codes[i];
                codes[i] = limits[k] - 1;
                assert_true(eg_pq_codes_below(codes, n, limits[k]));
                codes[i] = limits[k];
                assert_false(eg_pq_codes_below(codes, n, limits[k]));
                codes[i] = UINT32_MAX;
                assert_false(eg_pq_codes_below(codes, n, limits[k]));
                codes[i] = kept;
            }
        }
    }
    uint32_t zero = 0;
    assert_false(eg_pq_codes_below(&zero, 1, 0));
    assert_true(eg_pq_codes_below(&zero, 0, 0));
}

static void names_of_numbers_that_are_none_are_unknown(void **state) {
    (void)state;
    assert_string_equal(eg_pq_type_name(EG_PQ_FIXED), "FIXED_LEN_BYTE_ARRAY");
    assert_string_equal(eg_pq_type_name(-7), "unknown");
    assert_string_equal(eg_pq_type_name(8), "unknown");
    assert_string_equal(eg_pq_encoding_name(9), "BYTE_STREAM_SPLIT");
    assert_string_equal(eg_pq_encoding_name(10), "unknown");
    assert_string_equal(eg_pq_encoding_name(-1), "unknown");
    assert_int_equal(eg_pq_value_bytes(-1), 0);
    assert_int_equal(eg_pq_plain_bytes(EG_PQ_FIXED, -1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_gives_back_every_type),
        cmocka_unit_test(plain_rejects_text_longer_than_the_page),
        cmocka_unit_test(split_is_plain_turned_round),
        cmocka_unit_test(codes_below_finds_any_code_that_is_not),
        cmocka_unit_test(names_of_numbers_that_are_none_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
