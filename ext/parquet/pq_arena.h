/*
** Memory for decoded metadata: many small zeroed arrays, freed at once, never
** more in total than a budget, so that a few bytes of a damaged footer cannot
** claim gigabytes.
*/
#ifndef EG_PQ_ARENA_H
#define EG_PQ_ARENA_H

#include <stddef.h>

#include "base/status.h"

struct eg_pq_arena_block;

/* A zeroed one with a budget is ready. */
typedef struct eg_pq_arena {
    struct eg_pq_arena_block *blocks; /* owned, newest first */
    size_t budget_bytes;              /* what may still be taken from malloc */
} eg_pq_arena;

/* Gives n zeroed elements of element_bytes each, aligned for any type; n may
** be 0. EG_LIMIT where the budget does not allow it, EG_NOMEM. */
eg_status eg_pq_arena_take(eg_pq_arena *a, size_t n, size_t element_bytes, void **out, eg_err *err);

/* Frees everything that was taken. */
void eg_pq_arena_free(eg_pq_arena *a);

#endif
