/*
** The order in which a buffer's rows are stored: by UTC day, then by coarse time, then by
** source address, then as captured. Each day is a row group; its pages end where the
** coarse time changes.
**
** Coarse time cuts the buffer's start times into a few runs of as many rows each. So a
** window of time touches the pages of some runs, and an address a page or two of each.
*/
#ifndef EG_ROW_ORDER_H
#define EG_ROW_ORDER_H

#include "dataset/row_buffer.h"

#define EG_DAY_MS INT64_C(86400000)
#define EG_ROW_BITS 20 /* of a row's number in a buffer */

typedef struct eg_layout {
    bool dotted;           /* addresses are stored as texts, and ordered like these */
    bool by_address;       /* else rows stay as captured within their run */
    uint32_t n_time_runs;  /* 1 to 64 */
    uint32_t rows_of_page; /* at most */
} eg_layout;

/* What measuring chose; see ext/README.md. */
extern const eg_layout eg_layout_default;

/* The first and last of times. */
typedef struct eg_time_bounds {
    int64_t min_start_ms, max_start_ms, min_end_ms, max_end_ms;
} eg_time_bounds;
#define EG_NO_BOUNDS ((eg_time_bounds){INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN})

/* Makes them include those of b. */
void eg_time_bounds_widen(eg_time_bounds *t, const eg_time_bounds *b);

/* Rows of one day: elements [first, first + n_rows) of the permutation. */
typedef struct eg_row_group {
    int64_t day; /* days since 1970 */
    uint32_t first, n_rows;
    const uint32_t *page_starts; /* [n_pages] from 0 at the group's first row */
    uint32_t n_pages;
    eg_time_bounds times;
} eg_row_group;

/* A zeroed one is ready; its memory is reused. */
typedef struct eg_row_order {
    uint32_t *rows; /* [n_rows of the buffer] the stored order */
    uint64_t *keys; /* [n_rows] in it; see eg_row_address_key */
    eg_row_group *groups;
    uint32_t n_groups;
    uint32_t group_capacity, page_capacity; /* private from here on */
    uint64_t *spare;
    uint32_t *page_starts;
    int32_t *days;
} eg_row_order;

/* The day a row belongs to: that of its start, or of the export where the start lies before
** 1970. */
int64_t eg_row_day(const eg_rows *r, uint32_t row);

/* Orders at least one row. EG_NOMEM, EG_OK. */
eg_status eg_row_order_make(eg_row_order *o, const eg_rows *r, const eg_layout *layout,
                            eg_err *err);

/* Where the layout goes by address, what a row goes by within its run: the text key of its
** source address (flow/address_order.h), or the address. */
static inline uint32_t eg_row_address_key(const eg_row_order *o, uint32_t place) {
    return (uint32_t)(o->keys[place] >> EG_ROW_BITS);
}

void eg_row_order_close(eg_row_order *o);

#endif
