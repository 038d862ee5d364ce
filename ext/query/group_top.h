/*
** The first groups of many: entries are looked at once and only those are copied that may be
** among the first k by a measure, largest first, ties by key.
*/
#ifndef EG_GROUP_TOP_H
#define EG_GROUP_TOP_H

#include "query/group_keys.h"

/* How groups come before one another. */
typedef struct eg_group_order {
    const eg_group_table *table; /* whose entries they are */
    const eg_key_layout *layout;
    const eg_intern *texts;
    unsigned measure; /* number of its sum in an entry */
} eg_group_order;

/* Negative where a comes before b; never 0 for two groups. */
int eg_group_compare(const eg_group_order *o, const uint64_t *a, const uint64_t *b);

typedef struct eg_group_top {
    uint64_t *entries; /* owned */
    uint32_t *heap;    /* [n] entries, the last in order on top; owned */
    uint32_t n, capacity;
} eg_group_top;

/* Looks at n entries. A zeroed top is empty. EG_NOMEM, EG_OK. */
eg_status eg_group_top_add(eg_group_top *top, const eg_group_order *o, uint32_t k,
                           const uint64_t *entries, uint32_t n, eg_err *err);

/* What an entry must have of the measure to be among the first k; 0 while there are fewer. */
uint64_t eg_group_top_least(const eg_group_top *top, const eg_group_order *o, uint32_t k);

/* The i-th of the top's entries, in no particular order. */
const uint64_t *eg_group_top_entry(const eg_group_top *top, const eg_group_order *o, uint32_t i);

/* Harmless on a zeroed one. */
void eg_group_top_close(eg_group_top *top);

#endif
