/* A list of what a manifest says of shards, that outlives the asking. */
#ifndef EG_SHARD_NOTES_H
#define EG_SHARD_NOTES_H

#include "dataset/manifest.h"

typedef struct eg_shard_note {
    int64_t id, day, n_rows, n_bytes;
    uint64_t hash;
    eg_time_bounds times;
    eg_shard_state state;
    char *path; /* relative to the dataset; owned */
} eg_shard_note;

/* A zeroed one is empty and ready. */
typedef struct eg_shard_notes {
    eg_shard_note *notes; /* [n] owned */
    size_t n, capacity;
    eg_shard_state state; /* of what is added next */
} eg_shard_notes;

/* An eg_manifest_each: appends the shard to the list, which arg is. */
eg_status eg_shard_notes_add(void *arg, const eg_manifest_shard *shard, eg_err *err);

void eg_shard_notes_close(eg_shard_notes *list);

#endif
