/* Claims of query/group_table.c and group_sum.c that no answer shows: summing uses the memory of
** the rows that it sums, again and again; where groups below a bound may be left out, most are.
** What comes out is right, whatever was kept between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "light.h"
#include "query/group_inside.h"

#define ROWS 4096 /* of a batch */

/* Rows of a batch: keys first, first + 1, …; some counters that a row has no room for. */
typedef struct rows {
    uint64_t words[2][ROWS];
    int64_t bytes[ROWS], packets[ROWS];
    uint16_t sel[ROWS];
} rows;

static int64_t bytes_of(uint64_t key) {
    return key % 1000 == 0 ? INT64_C(1) << 40 : (int64_t)(key % 1500);
}

static int64_t packets_of(uint64_t key) {
    return key % 1001 == 0 ? 100000 : (int64_t)(key % 7);
}

static void fill_keys(rows *r, uint64_t first, int64_t (*bytes)(uint64_t key)) {
    for (uint32_t i = 0; i < ROWS; i++) {
        r->words[0][i] = first + i;
        r->words[1][i] = ~(first + i);
        r->bytes[i] = bytes(first + i);
        r->packets[i] = packets_of(first + i);
        r->sel[i] = (uint16_t)i;
    }
}

static void add_keys(eg_group_table *t, rows *r, int lane, uint64_t first) {
    const uint64_t *words[2] = {r->words[0], r->words[1]};
    fill_keys(r, first, bytes_of);
    assert_int_equal(eg_group_table_add(t, lane, words, r->bytes, r->packets, r->sel, ROWS, NULL),
                     EG_OK);
}

static void sum_all(eg_group_table *t) {
    assert_int_equal(eg_group_table_gather(t, NULL), EG_OK);
    for (size_t i = 0; i < EG_GROUP_PARTITIONS; i++)
        assert_int_equal(eg_group_table_sum(t, (int)(i % 2), i, NULL), EG_OK);
    eg_group_table_empty(t);
}

/* Every key was added n_times. */
static void check_sums(eg_group_table *t, uint64_t n_keys, int64_t n_times) {
    uint64_t n = 0;
    assert_int_equal(eg_group_table_gather(t, NULL), EG_OK);
    for (size_t i = 0; i < EG_GROUP_PARTITIONS; i++) {
        const uint64_t *e;
        uint32_t n_groups;
        assert_int_equal(
            eg_group_table_finish(t, (int)(i % 2), i, (eg_group_bound){0}, &e, &n_groups, NULL),
            EG_OK);
        for (uint32_t g = 0; g < n_groups; g++, e += eg_group_table_width(t)) {
            uint64_t words[EG_GROUP_MAX_WORDS] = {0};
            unsigned at = t->n_words;
            eg_group_table_key(t, e, words);
            assert_true(words[0] < n_keys);
            assert_true(at == 1 || words[1] == ~words[0]);
            assert_int_equal(e[at], n_times * bytes_of(words[0]));
            assert_int_equal(e[at + 1], n_times * packets_of(words[0]));
            assert_int_equal(e[at + 2], n_times);
        }
        n += n_groups;
    }
    assert_int_equal(n, n_keys);
}

static void kept_groups_stand_in_the_memory_of_summed_rows(void **state) {
    (void)state;
    rows *r = malloc(sizeof *r);
    assert_non_null(r);
    const int n_batches = is_light() ? 20 : 200;
    for (unsigned n_words = 1; n_words <= 2; n_words++) {
        const eg_group_plan plan = {.n_words = n_words, .n_lanes = 2, .drops = true};
        eg_group_table *t;
        size_t n_blocks = 0;
        assert_int_equal(eg_group_table_open(&plan, &t, NULL), EG_OK);
        for (int round = 0; round < 5; round++) {
            for (int i = 0; i < n_batches; i++)
                add_keys(t, r, i % 2, (uint64_t)i * ROWS);
            sum_all(t);
            assert_int_equal(t->partitions[0].n_kept > 0, true);
            /* The first round has no groups yet; each further one has as many. Chunks are divided
            ** among lanes by chance: that is worth a block at most, not one a round. */
            n_blocks = round < 2 ? t->n_blocks : n_blocks;
            assert_in_range(t->n_blocks, n_blocks, n_blocks + 1);
        }
        /* Rows and groups of a round, and what lanes have in hand. */
        size_t row = row_bytes(n_words), kept = kept_row_bytes(n_words);
        size_t least = (size_t)n_batches * ROWS * (row + kept) / BLOCK_BYTES;
        assert_in_range(n_blocks, 1, least + 2 * EG_GROUP_PARTITIONS * 2 / BLOCK_CHUNKS + 4);
        check_sums(t, (uint64_t)n_batches * ROWS, 5);
        eg_group_table_close(t);
    }
    free(r);
}

/* A table's rows, and what a group must have to be wanted. */
typedef struct bounded {
    int64_t (*bytes_of)(uint64_t key);
    eg_group_bound bound;
    uint64_t n_often; /* keys from 0 on that have 300 flows, not 3 */
} bounded;

#define KEYS (40 * (uint64_t)ROWS)

static uint64_t flows_of(const bounded *b, uint64_t key) {
    return key < b->n_often ? 300 : 3;
}

static int64_t largest_of_sixteen(uint64_t key) {
    return key % 16 == 5 ? INT64_MAX / 3 : 1;
}

static void add_three_times(eg_group_table *t, const bounded *b, rows *r) {
    const uint64_t *words[3] = {r->words[0], r->words[1], r->words[0]};
    for (int round = 0; round < 3; round++) {
        for (uint64_t first = 0; first < KEYS; first += ROWS) {
            fill_keys(r, first, b->bytes_of);
            for (uint64_t n = first < b->n_often ? 100 : 1; n > 0; n--)
                assert_int_equal(eg_group_table_add(t, (int)(first / ROWS % 2), words, r->bytes,
                                                    r->packets, r->sel,
                                                    n > 1 ? (uint32_t)b->n_often : ROWS, NULL),
                                 EG_OK);
        }
        if (round == 1)
            sum_all(t);
    }
}

static void groups_that_reach_the_bound_come_with_few_others(void **state) {
    (void)state;
    static const bounded cases[] = {
        {bytes_of, {0, UINT64_C(3) << 40}, 0},
        {bytes_of, {1, 300000}, 0},
        {bytes_of, {2, 300}, 100},
        /* Buckets of several do not begin again at 0. */
        {largest_of_sixteen, {0, INT64_MAX / 3 * UINT64_C(3)}, 0},
    };
    rows *r = malloc(sizeof *r);
    assert_non_null(r);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (unsigned n_words = 1; n_words <= 3; n_words++) {
            const bounded *b = &cases[c];
            const eg_group_plan plan = {.n_words = n_words, .n_lanes = 2, .drops = true};
            uint64_t n_wanted = 0, n_found = 0, n_others = 0;
            eg_group_table *t;
            assert_int_equal(eg_group_table_open(&plan, &t, NULL), EG_OK);
            add_three_times(t, b, r);
            assert_int_equal(eg_group_table_gather(t, NULL), EG_OK);
            for (size_t i = 0; i < EG_GROUP_PARTITIONS; i++) {
                const uint64_t *e;
                uint32_t n;
                assert_int_equal(eg_group_table_finish(t, (int)(i % 2), i, b->bound, &e, &n, NULL),
                                 EG_OK);
                for (uint32_t g = 0; g < n; g++, e += eg_group_table_width(t)) {
                    uint64_t words[EG_GROUP_MAX_WORDS] = {0};
                    eg_group_table_key(t, e, words);
                    uint64_t flows = flows_of(b, words[0]);
                    assert_int_equal(e[n_words], (int64_t)flows * b->bytes_of(words[0]));
                    assert_int_equal(e[n_words + 1], (int64_t)flows * packets_of(words[0]));
                    assert_int_equal(e[n_words + 2], flows);
                    bool is_wanted = e[n_words + b->bound.measure] >= b->bound.least;
                    n_found += is_wanted;
                    n_others += !is_wanted;
                }
            }
            for (uint64_t key = 0; key < KEYS; key++) {
                uint64_t flows = flows_of(b, key);
                uint64_t sums[] = {flows * (uint64_t)b->bytes_of(key),
                                   flows * (uint64_t)packets_of(key), flows};
                n_wanted += sums[b->bound.measure] >= b->bound.least;
            }
            assert_int_equal(n_found, n_wanted);
            assert_in_range(n_others, 0, KEYS * 2 / 3);
            eg_group_table_close(t);
        }
    free(r);
}

/* A look at a partition, with kept groups and with rows that wait, gives what finishing it gives,
** and can be had again. */
static void a_look_changes_nothing(void **state) {
    (void)state;
    static const bounded all = {bytes_of, {0, 0}, 0}, some = {bytes_of, {0, UINT64_C(3) << 40}, 0};
    rows *r = malloc(sizeof *r);
    assert_non_null(r);
    for (int is_bounded = 0; is_bounded < 2; is_bounded++) {
        const bounded *b = is_bounded ? &some : &all;
        const eg_group_plan plan = {.n_words = 2, .n_lanes = 2, .drops = true};
        eg_group_table *t;
        assert_int_equal(eg_group_table_open(&plan, &t, NULL), EG_OK);
        add_three_times(t, b, r);
        assert_int_equal(eg_group_table_gather(t, NULL), EG_OK);
        for (size_t i = 0; i < EG_GROUP_PARTITIONS; i++) {
            const uint64_t *e;
            uint32_t n[3];
            uint64_t sums[3] = {0};
            for (int look = 0; look < 3; look++) {
                assert_int_equal(look < 2
                                     ? eg_group_table_peek(t, look, i, b->bound, &e, &n[look], NULL)
                                     : eg_group_table_finish(t, 0, i, b->bound, &e, &n[look], NULL),
                                 EG_OK);
                for (size_t w = 0; w < n[look] * eg_group_table_width(t); w++)
                    sums[look] += e[w];
            }
            assert_int_equal(n[0], n[2]);
            assert_int_equal(n[1], n[2]);
            assert_true(sums[0] == sums[2] && sums[1] == sums[2]);
            assert_true(n[2] > 0 || is_bounded);
        }
        eg_group_table_close(t);
    }
    free(r);
}

/* A row has room for 8 flows, 2^32 - 1 bytes and 8190 packets; more wait in the next, or aside. */
static void neighbours_of_one_key_wait_in_one_row(void **state) {
    (void)state;
    static const struct {
        int64_t bytes, packets;
        uint64_t rows_of_twenty;
    } cases[] = {
        {100, 2, 3},     {INT64_C(1) << 30, 2, 7},  {100, 3000, 10},
        {100, 8191, 20}, {INT64_C(1) << 32, 1, 20},
    };
    const uint64_t n_keys = 10000;
    rows *r = malloc(sizeof *r);
    assert_non_null(r);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (unsigned n_words = 1; n_words <= 3; n_words++) {
            const eg_group_plan plan = {.n_words = n_words, .n_lanes = 1};
            const uint64_t *words[3] = {r->words[0], r->words[1], r->words[0]};
            eg_group_table *t;
            uint64_t n_groups = 0, n_waiting = 0;
            assert_int_equal(eg_group_table_open(&plan, &t, NULL), EG_OK);
            for (uint64_t at = 0; at < 20 * n_keys; at += 4000) {
                for (uint32_t i = 0; i < 4000; i++) {
                    /* Of two words only the second differs, too. */
                    r->words[0][i] = n_words > 1 ? 5 : (at + i) / 20;
                    r->words[1][i] = (at + i) / 20;
                    r->bytes[i] = cases[c].bytes;
                    r->packets[i] = cases[c].packets;
                    r->sel[i] = (uint16_t)i;
                }
                assert_int_equal(
                    eg_group_table_add(t, 0, words, r->bytes, r->packets, r->sel, 4000, NULL),
                    EG_OK);
            }
            for (size_t i = 0; i < EG_GROUP_PARTITIONS; i++)
                n_waiting += rows_waiting(t, i);
            /* What the cache of few keys and its trial take is not here. */
            assert_in_range(n_waiting, n_keys * cases[c].rows_of_twenty * 3 / 4,
                            n_keys * cases[c].rows_of_twenty);
            assert_int_equal(eg_group_table_gather(t, NULL), EG_OK);
            for (size_t i = 0; i < EG_GROUP_PARTITIONS; i++) {
                const uint64_t *e;
                uint32_t n;
                assert_int_equal(eg_group_table_finish(t, 0, i, (eg_group_bound){0}, &e, &n, NULL),
                                 EG_OK);
                for (uint32_t g = 0; g < n; g++, e += eg_group_table_width(t)) {
                    assert_int_equal(e[n_words], 20 * cases[c].bytes);
                    assert_int_equal(e[n_words + 1], 20 * cases[c].packets);
                    assert_int_equal(e[n_words + 2], 20);
                }
                n_groups += n;
            }
            assert_int_equal(n_groups, n_keys);
            eg_group_table_close(t);
        }
    free(r);
}

static void chunks_go_round_between_lanes(void **state) {
    (void)state;
    const eg_group_plan plan = {.n_words = 1, .n_lanes = 2};
    eg_group_table *t;
    assert_int_equal(eg_group_table_open(&plan, &t, NULL), EG_OK);
    for (int round = 0; round < 4; round++) {
        chunk *list = NULL;
        for (int i = 0; i < 3 * BLOCK_CHUNKS; i++) {
            chunk *c = eg_group_take_chunk(t, t->lanes[0]);
            assert_non_null(c);
            c->older = list;
            list = c;
        }
        eg_group_give_chunks(t, t->lanes[1], list);
        assert_int_equal(t->n_blocks, 3);
        assert_int_equal(t->n_lots, 3);
        assert_int_equal(atomic_load(&t->n_used), 0);
    }
    eg_group_table_close(t);
}

/* Of a block behind a lane's first one every page is there before it is written to, where the
** system knows how. */
static void pages_of_a_block_come_at_once(void **state) {
    (void)state;
    enum { PAGE = 4096, N_PAGES = BLOCK_BYTES / PAGE };
    eg_group_plan plan = {.n_words = 1, .n_lanes = 1, .drops = true};
    eg_group_table *t;
    rows r = {0};
    uint8_t is_there[N_PAGES];
    uint64_t n_keys = 0;
    assert_int_equal(eg_group_table_open(&plan, &t, NULL), EG_OK);
    for (; t->n_blocks < 3; n_keys += ROWS)
        add_keys(t, &r, 0, n_keys);
    bool knows_how = madvise(t->blocks[0], BLOCK_BYTES, MADV_POPULATE_WRITE) == 0;
    assert_true(t->lanes[0]->n_block_chunks > 0);
    assert_int_equal(mincore(t->blocks[2], BLOCK_BYTES, is_there), 0);
    for (int i = 0; i < N_PAGES; i++)
        assert_true((is_there[i] & 1) != 0 || !knows_how);
    eg_group_table_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_groups_stand_in_the_memory_of_summed_rows),
        cmocka_unit_test(groups_that_reach_the_bound_come_with_few_others),
        cmocka_unit_test(a_look_changes_nothing),
        cmocka_unit_test(neighbours_of_one_key_wait_in_one_row),
        cmocka_unit_test(pages_of_a_block_come_at_once),
        cmocka_unit_test(chunks_go_round_between_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
