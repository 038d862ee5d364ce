/*
** What a capture is known by: a hash of all its bytes as unwrapped, the same whatever it is
** named, compressed with or packed in. XXH128 (libxxhash, XXH3, seed 0): 128 bits tell
** captures apart by accident, not against somebody who wants two to be taken for one.
*/
#ifndef EG_IDENTITY_H
#define EG_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct eg_capture_id {
    uint8_t bytes[16]; /* big endian, as XXH128 is written */
} eg_capture_id;

typedef struct eg_identity eg_identity;

/* Hashes, and keeps in passing the ids of the first lengths[i] bytes; the lengths ascend
** and are borrowed until it is closed. EG_NOMEM, EG_OK. */
eg_status eg_identity_open(const int64_t *lengths, size_t n_lengths, eg_identity **out,
                           eg_err *err);
void eg_identity_close(eg_identity *h); /* NULL is allowed */

/* Begins anew. */
void eg_identity_reset(eg_identity *h);
void eg_identity_add(eg_identity *h, const void *bytes, size_t n_bytes);

/* The id of what was added so far, and its length. */
int64_t eg_identity_now(const eg_identity *h, eg_capture_id *id);

/* The ids of the prefixes that were reached: how many. */
size_t eg_identity_prefixes(const eg_identity *h, const eg_capture_id **ids);

bool eg_capture_id_equal(const eg_capture_id *a, const eg_capture_id *b);

#endif
