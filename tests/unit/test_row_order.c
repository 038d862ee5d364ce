/* Claims of dataset/row_order.h: rows are stored by day, then run of start times, then source
** address, then as captured; pages end where a run does and where they are full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/row_order.h"
#include "flow/address_order.h"

#define MAX_ROWS 5000

static int64_t start_ms[MAX_ROWS], end_ms[MAX_ROWS], header_ms[MAX_ROWS];
static uint32_t addresses[MAX_ROWS];

static uint64_t seed = 11;
static uint64_t next_random(void) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return seed >> 20;
}

static eg_rows make_rows(uint32_t n, int n_days, uint32_t n_addresses, bool early) {
    for (uint32_t i = 0; i < n; i++) {
        header_ms[i] = (13000 + (int64_t)(next_random() % (unsigned)n_days)) * EG_DAY_MS;
        start_ms[i] = header_ms[i] + (int64_t)(next_random() % EG_DAY_MS);
        if (early && next_random() % 10 == 0)
            start_ms[i] = -(int64_t)(next_random() % 1000) - 1;
        end_ms[i] = start_ms[i] + (int64_t)(next_random() % 1000);
        addresses[i] = (uint32_t)(next_random() % n_addresses) * UINT32_C(2654435761);
    }
    return (eg_rows){
        .n_rows = n,
        .v = {
            .START_MS = start_ms, .END_MS = end_ms, .HEADER_MS = header_ms, .SRCADDR = addresses}};
}

/* What addresses compare by. */
static uint32_t key_of(uint32_t row, const eg_layout *layout) {
    return layout->dotted ? eg_ip4_text_key(addresses[row]) : addresses[row];
}

/* Checks everything that the header promises. */
static void assert_order(uint32_t n, int n_days, uint32_t n_addresses, bool early,
                         const eg_layout *layout) {
    static uint8_t seen[MAX_ROWS];
    eg_rows rows = make_rows(n, n_days, n_addresses, early);
    eg_row_order o = {0};
    assert_int_equal(eg_row_order_make(&o, &rows, layout, NULL), EG_OK);
    memset(seen, 0, sizeof seen);
    uint32_t at = 0;
    for (uint32_t g = 0; g < o.n_groups; g++) {
        const eg_row_group *group = &o.groups[g];
        eg_time_bounds times = EG_NO_BOUNDS;
        assert_true(group->first == at && group->n_rows > 0);
        assert_true(g == 0 || group->day > o.groups[g - 1].day);
        assert_true(group->n_pages > 0 && group->page_starts[0] == 0);
        for (uint32_t p = 0; p < group->n_pages; p++) {
            uint32_t first = group->page_starts[p];
            uint32_t end = p + 1 < group->n_pages ? group->page_starts[p + 1] : group->n_rows;
            assert_true(end > first && end - first <= layout->rows_of_page);
            for (uint32_t i = first; i < end; i++) {
                uint32_t row = o.rows[at + i];
                assert_true(row < n && !seen[row]);
                seen[row] = 1;
                assert_int_equal(eg_row_day(&rows, row), group->day);
                eg_time_bounds own = {start_ms[row], start_ms[row], end_ms[row], end_ms[row]};
                eg_time_bounds_widen(&times, &own);
                if (i == first)
                    continue;
                /* Within a page: one run, by address, then as captured. */
                uint32_t before = o.rows[at + i - 1];
                if (layout->by_address && key_of(before, layout) != key_of(row, layout))
                    assert_true(key_of(before, layout) < key_of(row, layout));
                else
                    assert_true(before < row);
            }
        }
        assert_memory_equal(&times, &group->times, sizeof times);
        at += group->n_rows;
    }
    assert_int_equal(at, n);
    eg_row_order_close(&o);
}

static void every_layout_orders_as_it_says(void **state) {
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 100, 4097, MAX_ROWS};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (int bits = 0; bits < 8; bits++)
            for (uint32_t runs = 1; runs <= 64; runs *= 4) {
                eg_layout layout = {.dotted = bits & 1,
                                    .by_address = bits & 2,
                                    .n_time_runs = runs,
                                    .rows_of_page = bits & 4 ? 100 : 8192};
                assert_order(counts[c], 1, 50, false, &layout);
                assert_order(counts[c], 4, 5, true, &layout);
                assert_order(counts[c], 2, 1, true, &layout);
            }
}

/* Runs hold as many rows each, and one of earlier times comes first. */
static void runs_go_by_time(void **state) {
    (void)state;
    eg_layout layout = {.dotted = true, .by_address = true, .n_time_runs = 4, .rows_of_page = 8192};
    eg_rows rows = make_rows(MAX_ROWS, 1, 100, false);
    eg_row_order o = {0};
    assert_int_equal(eg_row_order_make(&o, &rows, &layout, NULL), EG_OK);
    assert_int_equal(o.n_groups, 1);
    assert_int_equal(o.groups[0].n_pages, 4);
    int64_t last_max = INT64_MIN;
    for (uint32_t p = 0; p < 4; p++) {
        uint32_t first = o.groups[0].page_starts[p];
        uint32_t end = p < 3 ? o.groups[0].page_starts[p + 1] : MAX_ROWS;
        int64_t min = INT64_MAX, max = INT64_MIN;
        for (uint32_t i = first; i < end; i++) {
            int64_t t = start_ms[o.rows[i]];
            min = t < min ? t : min;
            max = t > max ? t : max;
        }
        assert_true(min >= last_max);
        last_max = max;
        /* Coarse: a run is never more than twice its part. */
        assert_true(end - first <= MAX_ROWS / 2 && end - first >= MAX_ROWS / 8);
    }
    eg_row_order_close(&o);
}

static void bounds_that_widen_hold_both(void **state) {
    (void)state;
    eg_time_bounds t = EG_NO_BOUNDS;
    eg_time_bounds_widen(&t, &(eg_time_bounds){5, 9, 6, 12});
    eg_time_bounds_widen(&t, &(eg_time_bounds){-3, 4, 7, 8});
    assert_true(t.min_start_ms == -3 && t.max_start_ms == 9);
    assert_true(t.min_end_ms == 6 && t.max_end_ms == 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_orders_as_it_says),
        cmocka_unit_test(runs_go_by_time),
        cmocka_unit_test(bounds_that_widen_hold_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
