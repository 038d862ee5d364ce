/* Notes of where datagrams are. Payloads are parsed again when they are decoded: that is cheaper
** than to carry their headers. */
#include "capture/datagram_block.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NOTES 512
#define MAX_SLABS 2
#define DATAGRAM_BYTES (EG_NF5_HEADER_BYTES + EG_NF5_MAX_RECORDS * EG_NF5_RECORD_BYTES)
#define COPY_BYTES (128 * DATAGRAM_BYTES)

typedef struct note {
    const uint8_t *payload;
    eg_nf5_origin origin;
    uint32_t n_records;
} note;

struct eg_datagram_block {
    eg_piece base; /* must be first */
    eg_block_store *store;
    eg_datagram_block *next; /* idle */
    note notes[MAX_NOTES];
    uint32_t n_notes, at, n_rows;
    eg_slab *slabs[MAX_SLABS]; /* held */
    int n_slabs;
    uint8_t *copies; /* [COPY_BYTES] owned */
    uint32_t n_copied;
};

static eg_status block_next(eg_piece *base, eg_batch *b, eg_err *err) {
    eg_datagram_block *k = (eg_datagram_block *)base;
    (void)err;
    b->n_rows = 0;
    b->nulls = NULL;
    while (k->at < k->n_notes && b->n_rows + EG_NF5_MAX_RECORDS <= EG_BATCH_ROWS) {
        const note *n = &k->notes[k->at++];
        eg_nf5_header header;
        eg_nf5_load_header(n->payload, &header);
        eg_nf5_append_unchecked(n->payload, &header, n->n_records, &n->origin, b);
    }
    return b->n_rows > 0 ? EG_OK : EG_DONE;
}

static void block_close(eg_piece *base, eg_scan_stats *stats) {
    eg_datagram_block *k = (eg_datagram_block *)base;
    (void)stats;
    for (int i = 0; i < k->n_slabs; i++)
        eg_slab_release(k->slabs[i]);
    k->next = k->store->idle;
    k->store->idle = k;
}

static const eg_piece_ops block_ops = {.next = block_next, .close = block_close};

eg_status eg_datagram_block_open(eg_block_store *store, eg_datagram_block **out, eg_err *err) {
    eg_datagram_block *k = store->idle;
    *out = NULL;
    if (k != NULL) {
        store->idle = k->next;
    } else {
        k = malloc(sizeof *k);
        uint8_t *copies = k != NULL ? malloc(COPY_BYTES) : NULL;
        if (copies == NULL) {
            free(k);
            return eg_fail_nomem(err, "a block of datagrams");
        }
        k->base = (eg_piece){.ops = &block_ops};
        k->store = store;
        k->copies = copies;
    }
    k->next = NULL;
    k->n_notes = k->at = k->n_rows = k->n_copied = 0;
    k->n_slabs = 0;
    *out = k;
    return EG_OK;
}

bool eg_datagram_block_has_room(const eg_datagram_block *k) {
    return k->n_notes < MAX_NOTES && k->n_slabs < MAX_SLABS &&
           k->n_copied + DATAGRAM_BYTES <= COPY_BYTES;
}

uint32_t eg_datagram_block_rows(const eg_datagram_block *k) {
    return k->n_rows;
}

void eg_datagram_block_add(eg_datagram_block *k, const uint8_t *payload, uint32_t n_records,
                           const eg_nf5_origin *origin, eg_slab *slab) {
    if (slab == NULL) {
        uint32_t n_bytes = EG_NF5_HEADER_BYTES + n_records * EG_NF5_RECORD_BYTES;
        memcpy(k->copies + k->n_copied, payload, n_bytes);
        payload = k->copies + k->n_copied;
        k->n_copied += n_bytes;
    } else if (k->n_slabs == 0 || k->slabs[k->n_slabs - 1] != slab) {
        eg_slab_hold(slab);
        k->slabs[k->n_slabs++] = slab;
    }
    k->notes[k->n_notes++] = (note){.payload = payload, .origin = *origin, .n_records = n_records};
    k->n_rows += n_records;
}

eg_piece *eg_datagram_block_piece(eg_datagram_block *k) {
    return &k->base;
}

void eg_block_store_close(eg_block_store *store) {
    while (store->idle != NULL) {
        eg_datagram_block *k = store->idle;
        store->idle = k->next;
        free(k->copies);
        free(k);
    }
}
