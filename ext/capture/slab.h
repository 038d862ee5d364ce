/*
** Slabs: buffers of a capture's bytes that outlive the reader's interest in them, as long as
** someone holds them. One thread takes and gives; others may read what is held for them.
*/
#ifndef EG_SLAB_H
#define EG_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Slabs of one size that nobody holds, for the next one who wants one. Zeroed: empty. */
typedef struct eg_slab_store {
    struct eg_slab *idle; /* owned */
} eg_slab_store;

typedef struct eg_slab {
    eg_slab_store *store; /* where it goes when nobody holds it; NULL: it is freed */
    struct eg_slab *next; /* idle */
    uint32_t n_holders;
    size_t cap; /* of bytes */
    uint8_t bytes[];
} eg_slab;

/* A slab of at least n_bytes with one holder. store may be NULL. EG_NOMEM, EG_OK. */
eg_status eg_slab_take(eg_slab_store *store, size_t n_bytes, eg_slab **out, eg_err *err);

void eg_slab_hold(eg_slab *s);

/* NULL is allowed. */
void eg_slab_release(eg_slab *s);

/* Frees what is idle; slabs that are still held must not outlive the store. */
void eg_slab_store_close(eg_slab_store *store);

#endif
