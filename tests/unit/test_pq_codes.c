/* Claims of parquet/pq_codes.c: tests and picks of packed codes answer as on the codes unpacked, at
** every bit width, in every mix of runs and in every slicing; codes that are no entry's and damaged
** streams are told, and no byte beyond is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/pq_codes.h"

#define ROWS 5000

static uint64_t seed = 5;
static uint32_t next_random(void) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 32);
}

/* A stream, as long as its memory, and what it says. */
typedef struct stream {
    uint32_t n, width, n_entries;
    uint32_t codes[ROWS];
    uint8_t *bytes;
    size_t n_bytes;
} stream;

/* Codes below n_entries: noise, or runs of random lengths among noise, each a run in the stream
** where it is of eight or more, or all are, however short. */
enum { NOISE, LONG_RUNS, ALL_RUNS };
static void make_stream(stream *s, uint32_t width, uint32_t n_entries, int way) {
    eg_pq_buffer b = {0};
    uint32_t run = 0;
    s->n = 1 + next_random() % ROWS;
    s->width = width;
    s->n_entries = n_entries;
    for (uint32_t i = 0; i < s->n; i++) {
        s->codes[i] = run > 0 && i > 0 ? s->codes[i - 1] : next_random() % n_entries;
        run = run > 0                                   ? run - 1
              : way != NOISE && next_random() % 16 == 0 ? next_random() % 300
              : way == ALL_RUNS                         ? next_random() % 6
                                                        : 0;
    }
    if (width > 0 && way == ALL_RUNS)
        eg_pq_rle_encode_runs(&b, s->codes, s->n, width);
    else if (width > 0)
        eg_pq_rle_encode(&b, s->codes, s->n, width);
    else
        eg_pq_buffer_put_varint(&b, (s->n + 7) / 8 << 1 | 1); /* groups of no bits */
    assert_int_equal(b.status, EG_OK);
    s->n_bytes = b.n_bytes;
    s->bytes = malloc(b.n_bytes);
    memcpy(s->bytes, b.data, b.n_bytes);
    eg_pq_buffer_free(&b);
}

static uint32_t entries_of(uint32_t width) {
    uint32_t most = width >= 17 ? 100000 : UINT32_C(1) << width;
    return next_random() % 3 == 0 ? most : 1 + next_random() % most;
}

/* A range that few, many, all or no codes are in, or, where there is a table, noise. */
static eg_pq_code_test make_test(uint32_t n_entries, uint8_t *table) {
    eg_pq_code_test t = {.n_entries = n_entries, .passes = table};
    t.lo = next_random() % n_entries;
    t.hi = next_random() % 2 == 0 ? t.lo : t.lo + next_random() % (n_entries - t.lo);
    if (next_random() % 8 == 0)
        t.lo = 0, t.hi = UINT32_MAX;
    if (next_random() % 8 == 0)
        t.lo = 1, t.hi = 0;
    for (uint32_t i = 0; table != NULL && i < n_entries; i++)
        table[i] = next_random() % 5 == 0;
    return t;
}

static bool passes(const eg_pq_code_test *t, uint32_t code) {
    return t->passes != NULL ? t->passes[code] != 0 : code >= t->lo && code <= t->hi;
}

static void check_match(const stream *s, const eg_pq_code_test *t) {
    static uint8_t alive[ROWS], before[ROWS];
    eg_pq_rle r;
    for (uint32_t i = 0; i < s->n; i++)
        alive[i] = before[i] = next_random() % 8 != 0;
    eg_pq_rle_init(&r, s->bytes, s->n_bytes, s->width);
    for (uint32_t at = 0, n; at < s->n; at += n) {
        n = 1 + next_random() % (next_random() % 2 == 0 ? 20 : 4096);
        n = n < s->n - at ? n : s->n - at;
        assert_int_equal(eg_pq_codes_match(&r, n, t, alive + at), EG_OK);
    }
    for (uint32_t i = 0; i < s->n; i++)
        assert_int_equal(alive[i], before[i] && passes(t, s->codes[i]));
}

static void check_pick(const stream *s, uint32_t part) {
    static uint16_t places[ROWS];
    static uint32_t got[ROWS];
    eg_pq_rle r;
    eg_pq_rle_init(&r, s->bytes, s->n_bytes, s->width);
    for (uint32_t at = 0, n; at < s->n; at += n) {
        uint32_t n_places = 0, base = next_random() % 1000;
        n = 1 + next_random() % (next_random() % 2 == 0 ? 20 : 4096);
        n = n < s->n - at ? n : s->n - at;
        for (uint32_t i = 0; i < n; i++)
            if (next_random() % part == 0)
                places[n_places++] = (uint16_t)(base + i);
        assert_int_equal(eg_pq_codes_pick(&r, n, places, n_places, base, s->n_entries, got), EG_OK);
        for (uint32_t i = 0; i < n_places; i++)
            assert_int_equal(got[i], s->codes[at + places[i] - base]);
    }
}

static void every_width_answers_as_unpacked(void **state) {
    (void)state;
    static stream s;
    static uint8_t table[100000];
    for (uint32_t width = 0; width <= 32; width++) {
        for (int k = 0; k < 24; k++) {
            make_stream(&s, width, entries_of(width), k % 3);
            for (int i = 0; i < 3; i++) {
                eg_pq_code_test t = make_test(s.n_entries, i == 2 ? table : NULL);
                check_match(&s, &t);
                check_pick(&s, i == 0 ? 1 : i == 1 ? 10 : 1000);
            }
            free(s.bytes);
        }
    }
}

/* One code in a thousand is the first that is none: found wherever it is tested or picked, passed
** over elsewhere. */
static void a_code_of_no_entry_is_told(void **state) {
    (void)state;
    static stream s;
    static uint8_t alive[ROWS], table[100000];
    for (uint32_t width = 1; width <= 32; width++) {
        for (int k = 0; k < 30; k++) {
            uint32_t bad = 0, got, n_entries = width >= 17 ? 99999 : (1u << width) - 1;
            make_stream(&s, width, n_entries + 1, k / 3 % 3);
            while (bad < s.n && s.codes[bad] < n_entries)
                bad++;
            eg_pq_code_test t = make_test(n_entries, k % 3 == 0 ? table : NULL);
            eg_pq_rle r;
            eg_pq_rle_init(&r, s.bytes, s.n_bytes, width);
            assert_int_equal(eg_pq_codes_match(&r, s.n, &t, alive), bad < s.n ? EG_CORRUPT : EG_OK);
            for (uint32_t i = 0; i < s.n; i += 1 + next_random() % 500) {
                uint16_t place = (uint16_t)i;
                eg_pq_rle_init(&r, s.bytes, s.n_bytes, width);
                assert_int_equal(eg_pq_codes_pick(&r, s.n, &place, 1, 0, n_entries, &got),
                                 s.codes[i] < n_entries ? EG_OK : EG_CORRUPT);
            }
            t = (eg_pq_code_test){.lo = 0, .hi = 5}; /* no entries at all */
            eg_pq_rle_init(&r, s.bytes, s.n_bytes, width);
            assert_int_equal(eg_pq_codes_match(&r, 1, &t, alive), EG_CORRUPT);
            free(s.bytes);
        }
    }
}

/* Runs of no numbers are none, whatever number they have: written by nobody, refused by no reader.
 */
static void a_run_of_nothing_is_nothing(void **state) {
    (void)state;
    uint8_t bytes[600], alive[140], table[4] = {0, 1, 0, 0};
    eg_pq_code_test tests[] = {{.n_entries = 4, .lo = 1, .hi = 1},
                               {.n_entries = 4, .passes = table}};
    for (size_t i = 0; i < sizeof bytes; i += 2) { /* a run of none of 9, one of one 1 */
        bytes[i] = i % 4 == 0 ? 0 : 2;
        bytes[i + 1] = i % 4 == 0 ? 9 : 1;
    }
    for (int way = 0; way < 2; way++) {
        eg_pq_rle r;
        memset(alive, 1, sizeof alive);
        eg_pq_rle_init(&r, bytes, sizeof bytes, 4);
        assert_int_equal(eg_pq_codes_match(&r, sizeof alive, &tests[way], alive), EG_OK);
        assert_null(memchr(alive, 0, sizeof alive));
    }
}

static void streams_that_end_early_are_told(void **state) {
    (void)state;
    static stream s;
    static uint8_t alive[ROWS];
    static uint32_t got[ROWS];
    int n_cut = 0;
    for (uint32_t width = 1; width <= 32; width++) {
        make_stream(&s, width, entries_of(width), (int)(width % 3));
        eg_pq_code_test t = {.n_entries = s.n_entries, .hi = 3};
        for (size_t cut = 0; cut < s.n_bytes; cut += 1 + next_random() % 200) {
            uint8_t *bytes = malloc(cut + (cut == 0));
            uint16_t last = (uint16_t)(s.n - 1), first = 0;
            eg_pq_rle r;
            memcpy(bytes, s.bytes, cut);
            eg_pq_rle_init(&r, bytes, cut, width); /* what fills the last group can go */
            eg_status said = eg_pq_rle_read(&r, got, s.n) ? EG_OK : EG_DONE;
            n_cut += said == EG_DONE;
            eg_pq_rle_init(&r, bytes, cut, width);
            assert_int_equal(eg_pq_codes_match(&r, s.n, &t, alive), said);
            eg_pq_rle_init(&r, bytes, cut, width);
            assert_int_equal(eg_pq_codes_pick(&r, s.n, &last, 1, 0, s.n_entries, got), said);
            eg_pq_rle_init(&r, bytes, cut, width);
            assert_int_equal(eg_pq_codes_pick(&r, s.n, &first, 1, 0, s.n_entries, got), said);
            free(bytes);
        }
        free(s.bytes);
    }
    assert_true(n_cut > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_answers_as_unpacked),
        cmocka_unit_test(a_code_of_no_entry_is_told),
        cmocka_unit_test(a_run_of_nothing_is_nothing),
        cmocka_unit_test(streams_that_end_early_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
