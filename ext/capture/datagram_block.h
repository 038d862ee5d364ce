/*
** A block: some hundred datagrams of a capture that were found and accounted for, to be
** decoded elsewhere, as a piece of a source. What has to come in the order of the file is
** done when a block is filled; turning records into rows, which is most of the work, waits
** for the piece's next().
*/
#ifndef EG_DATAGRAM_BLOCK_H
#define EG_DATAGRAM_BLOCK_H

#include "capture/nf5.h"
#include "capture/slab.h"
#include "flow/source.h"

typedef struct eg_datagram_block eg_datagram_block;

/* Blocks that are closed, for the next ones. Zeroed: empty. */
typedef struct eg_block_store {
    eg_datagram_block *idle; /* owned */
} eg_block_store;

/* An empty block; `store` is borrowed until it is closed. EG_NOMEM, EG_OK. */
eg_status eg_datagram_block_open(eg_block_store *store, eg_datagram_block **out, eg_err *err);

/* Whether another datagram fits. */
bool eg_datagram_block_has_room(const eg_datagram_block *b);

uint32_t eg_datagram_block_rows(const eg_datagram_block *b);

/* Adds a datagram of which eg_nf5_classify found n_records. Its bytes are in `slab`, which
** is held; where that is NULL they are copied. */
void eg_datagram_block_add(eg_datagram_block *b, const uint8_t *payload, uint32_t n_records,
                           const eg_nf5_origin *origin, eg_slab *slab);

/* The block as a piece; it counts nothing. */
eg_piece *eg_datagram_block_piece(eg_datagram_block *b);

void eg_block_store_close(eg_block_store *store);

#endif
