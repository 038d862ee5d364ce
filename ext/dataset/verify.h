/*
** Holding a dataset against its manifest: the manifest itself, every shard it lists, and
** Parquet files in the directory that it does not.
*/
#ifndef EG_VERIFY_H
#define EG_VERIFY_H

#include "dataset/manifest.h"

typedef enum eg_verify_status {
    EG_VERIFY_OK,
    EG_VERIFY_MISSING,  /* listed, not there */
    EG_VERIFY_DAMAGED,  /* not sound: see shard_verify.h */
    EG_VERIFY_DIFFERS,  /* sound, not what the manifest says: size, rows, times */
    EG_VERIFY_UNLISTED, /* there, not stored: readers of the bare directory take it for data */
} eg_verify_status;
const char *eg_verify_status_name(eg_verify_status s); /* "ok", "missing", … */

/* What was found of a file; valid until the next step. */
typedef struct eg_verify_row {
    const char *path; /* relative to the dataset; the manifest's comes first */
    eg_verify_status status;
    int64_t n_rows, n_bytes; /* as the manifest says; -1 where it does not */
    const char *detail;      /* "" where there is nothing to say */
} eg_verify_row;

typedef struct eg_verify eg_verify;

/* Changes nothing, and keeps writers from deleting files meanwhile. EG_MISUSE where there is
** no dataset; what opening the manifest says. */
eg_status eg_verify_open(const char *path, const eg_manifest_ops *manifest, eg_poll poll,
                         eg_verify **out, eg_err *err);

/* Looks at the next file. EG_DONE after the last; EG_INTERRUPT, EG_NOMEM. */
eg_status eg_verify_next(eg_verify *v, eg_verify_row *row, eg_err *err);

/* NULL is allowed. */
void eg_verify_close(eg_verify *v);

#endif
