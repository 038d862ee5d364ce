/* Claims of parquet/shard_codes.c: what passes is said of an entry's code exactly where all tests
** of the vector take its number, as a range where that is one; numbers are put where they go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "flow/predicate.h"
#include "parquet/shard_codes.h"

#define ENTRIES 3000

static uint64_t seed = 88172645463325252u;
static uint64_t rnd(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static const struct {
    eg_column col;
    uint32_t most; /* numbers are below */
} columns[] = {{EG_COL_PROTO, 256},
               {EG_COL_DSTPORT, 65536},
               {EG_COL_SRC_AS, 65536},
               {EG_COL_PACKETS, 100000},
               {EG_COL_BYTES, 1000000}};
#define N_COLUMNS (sizeof columns / sizeof columns[0])

static void put(eg_vector v, void *numbers, size_t i, uint32_t n) {
    uint16_t place = (uint16_t)i;
    eg_shard_put_at(numbers, eg_vector_width(v), &place, 1, n, NULL);
}

static int64_t get(eg_vector v, const void *numbers, size_t i) {
    switch (eg_vector_width(v)) {
    case 1:
        return ((const uint8_t *)numbers)[i];
    case 2:
        return ((const uint16_t *)numbers)[i];
    case 4:
        return ((const uint32_t *)numbers)[i];
    default:
        return ((const int64_t *)numbers)[i];
    }
}

static bool says(const eg_shard_codes *c, uint32_t code) {
    const eg_pq_code_test *t = &c->test;
    return t->passes != NULL ? t->passes[code] != 0 : code >= t->lo && code <= t->hi;
}

/* Whether terms that are ranges or sets take a number. */
static bool takes(const eg_predicate *p, int64_t n) {
    for (size_t i = 0; i < p->n_terms; i++) {
        const eg_term *t = &p->terms[i];
        bool is_in = t->kind == EG_TEST_RANGE && n >= t->lo && n <= t->hi;
        for (size_t k = 0; t->kind == EG_TEST_SET && k < t->n_set; k++)
            is_in |= t->set[k] == n;
        if (is_in == t->negated)
            return false;
    }
    return true;
}

static void codes_pass_where_their_numbers_do(void **state) {
    (void)state;
    static int64_t numbers[ENTRIES];
    eg_shard_codes c = {0};
    int n_ranges = 0, n_tables = 0, n_ones = 0, n_nones = 0;
    for (int round = 0; round < 3000; round++) {
        eg_column col = columns[round % N_COLUMNS].col;
        uint32_t most = columns[round % N_COLUMNS].most, n = (uint32_t)rnd(ENTRIES), n_in = 0;
        eg_vector v = eg_column_about(col)->vector;
        bool is_sorted = rnd(2) == 0;
        n = n < most ? n : most;
        for (uint32_t i = 0; i < n; i++)
            put(v, numbers, i,
                is_sorted ? (uint32_t)((uint64_t)i * most / n) : (uint32_t)rnd(most));
        eg_predicate p = {0};
        for (uint64_t k = rnd(3) + 1; k > 0; k--) {
            int64_t set[9], lo = (int64_t)rnd(most);
            size_t n_set = 1 + rnd(9);
            for (size_t i = 0; i < n_set; i++)
                set[i] = n > 0 ? get(v, numbers, rnd(n)) : 1;
            if (rnd(2) == 0)
                assert_int_equal(eg_predicate_set(&p, col, set, n_set, rnd(3) == 0, NULL), EG_OK);
            else
                assert_int_equal(
                    eg_predicate_range(&p, col, lo, lo + (int64_t)rnd(most), rnd(4) == 0, NULL),
                    EG_OK);
        }
        eg_shard_tests tests;
        assert_int_equal(eg_shard_tests_open(&p, &tests, NULL), EG_OK);
        bool is_never = false;
        for (size_t i = 0; i < tests.n_tests; i++)
            is_never |= tests.tests[i].kind == EG_SHARD_TEST_NEVER;
        assert_int_equal(eg_shard_codes_fill(&c, &tests, v, numbers, n, NULL), EG_OK);
        assert_true(c.is_known);
        assert_int_equal(c.test.n_entries, n);
        for (uint32_t i = 0; i < n && !is_never; i++) {
            bool is_in = takes(&p, get(v, numbers, i));
            n_in += is_in;
            assert_int_equal(says(&c, i), is_in);
            if (c.is_one && is_in)
                assert_int_equal(get(v, numbers, i), c.number);
        }
        if (n_in < n && !is_never)
            assert_false(takes(&p, c.other));
        n_tables += c.test.passes != NULL;
        n_ones += c.is_one && n_in == 1;
        n_nones += n_in == 0;
        n_ranges += c.test.passes == NULL && n_in > 1;
        if (c.is_one && !is_never)
            assert_true(n_in <= 1);
        eg_shard_tests_close(&tests);
        eg_predicate_clear(&p);
    }
    assert_true(n_tables > 100 && n_ones > 100 && n_nones > 20 && n_ranges > 100);
    eg_shard_codes_close(&c);
}

static void only_one_code_passes(void **state) {
    (void)state;
    eg_shard_codes c = {0};
    eg_shard_only only = {.code = 7, .number = 53, .other = 52};
    eg_shard_codes_only(&c, &only, 10);
    assert_true(c.is_known && c.is_one);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(says(&c, i), i == 7);
    only.code = UINT32_MAX;
    eg_shard_codes_only(&c, &only, 10);
    for (uint32_t i = 0; i < 10; i++)
        assert_false(says(&c, i));
    assert_int_equal(c.other, 52);
}

static void ones_are_counted_and_placed(void **state) {
    (void)state;
    static uint8_t bytes[20000];
    static uint16_t places[20000];
    for (int round = 0; round < 300; round++) {
        uint32_t n = (uint32_t)rnd(round % 10 == 0 ? 20000 : 300), part = 1 + (uint32_t)rnd(20);
        uint8_t *exact = malloc(n + (n == 0)); /* for a checker to see a read beyond */
        uint32_t count = 0;
        for (uint32_t i = 0; i < n; i++)
            count += exact[i] = rnd(part) == 0;
        assert_int_equal(eg_shard_count(exact, n), count);
        assert_int_equal(eg_shard_ones(exact, n, places), count);
        memset(bytes, 0, n);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(i == 0 || places[i] > places[i - 1]);
            bytes[places[i]] = 1;
        }
        assert_memory_equal(bytes, exact, n);
        free(exact);
    }
}

static void numbers_are_put_in_every_width(void **state) {
    (void)state;
    static const eg_vector vectors[] = {EG_VEC_PROTO, EG_VEC_SRCPORT, EG_VEC_SRCADDR, EG_VEC_BYTES};
    for (int round = 0; round < 400; round++) {
        eg_vector v = vectors[round % 4];
        size_t width = eg_vector_width(v);
        uint32_t n = (uint32_t)rnd(200), n_places = 0;
        uint8_t *array = malloc(n * width + 1);
        uint16_t places[200];
        int64_t from[200];
        array[n * width] = 0xa5;
        eg_shard_put_same(array, width, 201, n);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(get(v, array, i), 201);
            if (rnd(3) == 0) {
                put(v, from, n_places, 100 + i % 100);
                places[n_places++] = (uint16_t)i;
            }
        }
        eg_shard_put_at(array, width, places, n_places, 77, round % 2 == 0 ? from : NULL);
        for (uint32_t i = 0, k = 0; i < n; i++) {
            bool is_placed = k < n_places && places[k] == i;
            k += is_placed;
            assert_int_equal(get(v, array, i), !is_placed       ? 201
                                               : round % 2 == 0 ? 100 + i % 100
                                                                : 77);
        }
        assert_int_equal(array[n * width], 0xa5);
        free(array);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_pass_where_their_numbers_do),
        cmocka_unit_test(only_one_code_passes),
        cmocka_unit_test(ones_are_counted_and_placed),
        cmocka_unit_test(numbers_are_put_in_every_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
