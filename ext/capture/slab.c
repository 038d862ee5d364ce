/* A list of idle ones: fresh memory costs more than what is done with it. */
#include "capture/slab.h"

#include <stdlib.h>

eg_status eg_slab_take(eg_slab_store *store, size_t n_bytes, eg_slab **out, eg_err *err) {
    eg_slab *s = store != NULL ? store->idle : NULL;
    if (s != NULL && s->cap >= n_bytes) {
        store->idle = s->next;
    } else if ((s = malloc(sizeof *s + n_bytes)) == NULL) {
        *out = NULL;
        return eg_fail_nomem(err, "a capture's buffer");
    } else {
        s->cap = n_bytes;
        s->store = store;
    }
    s->next = NULL;
    s->n_holders = 1;
    *out = s;
    return EG_OK;
}

void eg_slab_hold(eg_slab *s) {
    s->n_holders++;
}

void eg_slab_release(eg_slab *s) {
    if (s == NULL || --s->n_holders > 0)
        return;
    if (s->store == NULL) {
        free(s);
        return;
    }
    s->next = s->store->idle;
    s->store->idle = s;
}

void eg_slab_store_close(eg_slab_store *store) {
    while (store->idle != NULL) {
        eg_slab *s = store->idle;
        store->idle = s->next;
        free(s);
    }
}
