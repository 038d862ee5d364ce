/*
** Stores of captures: a Parquet dataset, an SQLite file. Each capture is stored whole or not
** at all, and known by its content (an id of its bytes as unwrapped), so that storing it
** again adds nothing.
**
** One writer at a time: lock waits for another process's. A capture goes
**     begin, (room, filled)*, commit or rollback
** and is there for readers with commit, however the process ends.
*/
#ifndef EG_STORE_H
#define EG_STORE_H

#include "capture/capture_watch.h"
#include "capture/ledger.h"
#include "flow/batch.h"
#include "flow/source.h"

/* What a store keeps of a capture beside its flows; everything borrowed during the call. */
typedef struct eg_capture_record {
    eg_capture_id id;
    int64_t n_bytes;      /* as unwrapped */
    const char *name;     /* path, or archive:member */
    const char *file;     /* path of the file it is in */
    int64_t file_bytes;   /* its size */
    int64_t file_time_ns; /* and time of change, since 1970 */
    bool is_partial;      /* stored although it may still grow */
    int64_t datagrams, rejected, flows_lost;
    const eg_ledger *ledger;       /* finished */
    const eg_intern *texts;        /* of its codes */
    const eg_capture_id *replaces; /* a partial capture that this one continues; NULL without */
} eg_capture_record;

/* A capture that a store knows. */
typedef struct eg_stored_capture {
    eg_capture_id id;
    int64_t n_bytes, n_rows;
    bool is_partial;
} eg_stored_capture;

/* What storing a capture made. */
typedef struct eg_stored_result {
    int64_t n_rows, n_shards, n_bytes; /* shards and their bytes; of SQLite what the file grew by */
} eg_stored_result;

/* What expiring dropped: the flows of a UTC day. */
typedef struct eg_expired {
    int64_t day; /* since 1970 */
    int64_t n_rows, n_bytes;
} eg_expired;

typedef struct eg_store eg_store;

typedef struct eg_store_ops {
    /* Waits for other writers, then mends what one that died left behind. EG_INTERRUPT
    ** where poll said so, EG_LIMIT after the store's patience. */
    eg_status (*lock)(eg_store *s, eg_err *err);
    void (*unlock)(eg_store *s);

    /* Looks a capture up by its id. */
    eg_status (*find)(eg_store *s, const eg_capture_id *id, bool *found, eg_err *err);
    /* Whether captures of a file of this name, size and time were stored. A hint only. */
    eg_status (*has_file)(eg_store *s, const char *file, int64_t n_bytes, int64_t time_ns,
                          bool *found, eg_err *err);
    /* Partial captures, by ascending n_bytes: *list is the caller's, to be freed. */
    eg_status (*partial)(eg_store *s, eg_stored_capture **list, size_t *n, eg_err *err);

    eg_status (*begin)(eg_store *s, const eg_intern *texts, eg_err *err);
    /* Makes b a batch for the next rows (see eg_rows_window). */
    eg_status (*room)(eg_store *s, eg_batch *b, eg_err *err);
    /* n_rows of the last room are filled. */
    eg_status (*filled)(eg_store *s, uint32_t n_rows, eg_err *err);
    eg_status (*commit)(eg_store *s, const eg_capture_record *record, eg_stored_result *result,
                        eg_err *err);
    void (*rollback)(eg_store *s); /* harmless outside of a capture */

    /* Locked: drops the flows of the oldest UTC day, if it is before `day`. Captures stay known.
    ** EG_DONE where there is none: then, at the latest, their room is given back, as far as
    ** that is worth it. A failure, or a process that ends, leaves whole flows, of which the next
    ** call goes on. */
    eg_status (*expire)(eg_store *s, int64_t day, eg_expired *dropped, eg_err *err);
    void (*close)(eg_store *s); /* rolls back and unlocks where needed */
} eg_store_ops;

struct eg_store {
    const eg_store_ops *ops;
};

#endif
