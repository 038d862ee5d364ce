/*
** Spilling: what does not fit into memory goes to one temporary file, which is unlinked as soon
** as it is made, in SQLITE_TMPDIR, TMPDIR or /tmp, the first that is set. Any thread may write
** and read.
*/
#ifndef EG_SPILL_H
#define EG_SPILL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct eg_spill eg_spill;

/* No file is made before something is written. EG_NOMEM, EG_OK. */
eg_status eg_spill_open(eg_spill **out, eg_err *err);

/* Appends n_bytes; *offset is where they are. EG_IO names folder and reason, as for a disk
** that is full. */
eg_status eg_spill_write(eg_spill *s, const void *bytes, size_t n_bytes, int64_t *offset,
                         eg_err *err);

/* Reads what was written there. EG_IO. */
eg_status eg_spill_read(eg_spill *s, void *bytes, size_t n_bytes, int64_t offset, eg_err *err);

/* Bytes that were written so far. */
int64_t eg_spill_bytes(const eg_spill *s);

/* NULL is allowed. */
void eg_spill_close(eg_spill *s);

#endif
