#include "parquet/pq_arena.h"

#include <stdlib.h>

#define BLOCK_BYTES ((size_t)4096) /* of a block that several small arrays share */
#define ALIGNMENT (_Alignof(max_align_t))

typedef struct eg_pq_arena_block {
    struct eg_pq_arena_block *next;
    size_t used, size; /* bytes of room */
    max_align_t room[];
} eg_pq_arena_block;

eg_status eg_pq_arena_take(eg_pq_arena *a, size_t n, size_t element_bytes, void **out,
                           eg_err *err) {
    size_t bytes;
    *out = NULL;
    if (__builtin_mul_overflow(n, element_bytes, &bytes) || bytes > SIZE_MAX / 2)
        return eg_fail(err, EG_LIMIT, -1, "metadata does not fit into memory");
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    eg_pq_arena_block *b = a->blocks;
    if (b == NULL || b->size - b->used < bytes) {
        size_t size = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES - sizeof *b;
        if (size + sizeof *b > a->budget_bytes)
            return eg_fail(err, EG_LIMIT, -1,
                           "metadata claims far more elements than its bytes can hold");
        b = calloc(1, sizeof *b + size);
        if (b == NULL)
            return eg_fail_nomem(err, "Parquet metadata");
        a->budget_bytes -= sizeof *b + size;
        b->size = size;
        /* A block that is full at once goes behind the one with room left. */
        if (a->blocks != NULL && size == bytes) {
            b->next = a->blocks->next;
            a->blocks->next = b;
        } else {
            b->next = a->blocks;
            a->blocks = b;
        }
    }
    *out = (char *)b->room + b->used;
    b->used += bytes;
    return EG_OK;
}

void eg_pq_arena_free(eg_pq_arena *a) {
    while (a->blocks != NULL) {
        eg_pq_arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
}
