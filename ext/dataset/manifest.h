/*
** The manifest of a dataset: which captures it holds, in which shards, and what became of
** their packets. It decides what is there; files that it does not list are not. The
** interface; SQLite implements it (sqlite/manifest_db.c) in DATASET/_earlgrey.db.
**
** Shards pass through states, each change one durable transaction:
**   pending    about to be renamed to their names: deleted again if the writer dies
**   stored     there
**   removed    replaced: the file is to be deleted, then forgotten
*/
#ifndef EG_MANIFEST_H
#define EG_MANIFEST_H

#include "dataset/row_order.h"
#include "dataset/store.h"

typedef struct eg_manifest_shard {
    int64_t id;       /* 0 before it is added */
    const char *path; /* relative to the dataset */
    int64_t day;      /* since 1970 */
    int64_t n_rows, n_bytes;
    uint64_t hash; /* of all its bytes: eg_pq_writer_hash */
    eg_time_bounds times;
} eg_manifest_shard;

typedef enum eg_shard_state { EG_SHARD_PENDING, EG_SHARD_STORED, EG_SHARD_REMOVED } eg_shard_state;

/* Called for each shard; the strings are valid during the call. */
typedef eg_status (*eg_manifest_each)(void *arg, const eg_manifest_shard *shard, eg_err *err);

typedef struct eg_manifest eg_manifest;

typedef struct eg_manifest_ops {
    /* Opens the manifest of a directory; for_writing makes it where there is none. EG_IO,
    ** EG_CORRUPT (not a manifest), EG_UNSUPPORTED (of a later version), EG_NOMEM. */
    eg_status (*open)(const char *directory, bool for_writing, eg_poll poll, eg_manifest **out,
                      eg_err *err);
    void (*close)(eg_manifest *m);

    eg_status (*find)(eg_manifest *m, const eg_capture_id *id, bool *found, eg_err *err);
    eg_status (*has_file)(eg_manifest *m, const char *file, int64_t n_bytes, int64_t time_ns,
                          bool *found, eg_err *err);
    eg_status (*partial)(eg_manifest *m, eg_stored_capture **list, size_t *n, eg_err *err);

    /* Makes shards pending. */
    eg_status (*intend)(eg_manifest *m, const eg_manifest_shard *shards, size_t n, eg_err *err);
    /* Makes the pending shards stored, with the capture they are of, and those of the capture
    ** that it replaces removed. */
    eg_status (*publish)(eg_manifest *m, const eg_capture_record *record, eg_err *err);
    /* Makes the pending shards stored and others, whose rows they hold, removed. */
    eg_status (*exchange)(eg_manifest *m, const int64_t *old_ids, size_t n, eg_err *err);
    /* Makes the stored shards of a day removed; *dropped is then what they held. */
    eg_status (*expire)(eg_manifest *m, int64_t day, eg_expired *dropped, eg_err *err);
    /* Forgets all shards of a state. */
    eg_status (*forget)(eg_manifest *m, eg_shard_state state, eg_err *err);
    /* Shards of a state, by day and path. mergeable_only leaves out those of partial
    ** captures. */
    eg_status (*each)(eg_manifest *m, eg_shard_state state, bool mergeable_only,
                      eg_manifest_each call, void *arg, eg_err *err);
    /* Settles how shards are made: value[0..n) is what is wanted, and becomes what the dataset
    ** has under `name`, which stays once it has a shard. */
    eg_status (*settle)(eg_manifest *m, const char *name, char *value, size_t n, eg_err *err);
    /* Whether the manifest is sound in itself, and the flows of its captures, less those that
    ** expired, are as many as those of its stored shards, which *n_flows is set to. EG_CORRUPT says
    *what is not. */
    eg_status (*check)(eg_manifest *m, int64_t *n_flows, eg_err *err);
} eg_manifest_ops;

#endif
