/*
** A Parquet dataset as a store of captures:
**
**   DATASET/_earlgrey.db                                   the manifest
**   DATASET/_earlgrey.lock                                 held while one writes
**   DATASET/year=2007/month=7/day=26/ID-N.parquet          shards, ID the capture's
**
** Publishing a capture: its shards are written under temporary names and synced; the
** manifest makes them pending; they are renamed and their directories synced; the manifest
** makes them stored. Readers that ask the manifest see all of a capture or nothing; those of
** the bare directories may see some shards between the renames, and, after a crash there,
** until the next writer has mended the dataset, which it does first of all.
*/
#ifndef EG_DATASET_H
#define EG_DATASET_H

#include "dataset/column_encode.h"
#include "dataset/manifest.h"

#define EG_DATASET_MANIFEST "_earlgrey.db"
#define EG_DATASET_LOCK "_earlgrey.lock"

typedef struct eg_dataset_options {
    eg_encode_options encode;
    bool has_addresses;    /* the layout's dotted was asked for: a dataset of others is refused */
    bool has_compression;  /* likewise; else a dataset goes on as it began */
    int n_threads;         /* that encode; at least 1 */
    int64_t rows_of_shard; /* with so many a shard is finished: its footer waits in memory */
    const char *version;   /* of Earlgrey, for created_by */
} eg_dataset_options;

/* Zstandard, dotted addresses, a thread a processor. */
void eg_dataset_defaults(eg_dataset_options *options, const char *version);

/* Ask for addresses ("text", "uint32") or a compression ("zstd", "gzip", "none"), at its usual
** level. False for another name, which is not NUL terminated. */
bool eg_dataset_ask_addresses(eg_dataset_options *options, const char *name, size_t n_bytes);
bool eg_dataset_ask_compression(eg_dataset_options *options, const char *name, size_t n_bytes);

/* Opens a dataset for writing, making the directory where there is none (its parent must
** be). Nothing is locked yet. poll is asked while waiting. EG_IO and what the manifest says. */
eg_status eg_dataset_open(const char *path, const eg_dataset_options *options,
                          const eg_manifest_ops *manifest, eg_poll poll, eg_store **out,
                          eg_err *err);

/* True for a directory with a manifest. */
bool eg_is_dataset(const char *path);

/* For compaction (compact.c). Locked, and after begin, room, filled as for a capture: */

/* Calls for each stored shard that may be merged, by day and path. */
eg_status eg_dataset_each(eg_store *dataset, eg_manifest_each call, void *arg, eg_err *err);

typedef struct eg_dataset_replacement {
    const char *name;   /* of the new shards */
    int64_t day;        /* of all of them */
    int64_t n_rows;     /* there must be, or nothing is done */
    const int64_t *ids; /* [n_ids] shards that the new ones stand for */
    size_t n_ids;
} eg_dataset_replacement;

/* Publishes what was filled in in place of other shards. */
eg_status eg_dataset_replace(eg_store *dataset, const eg_dataset_replacement *with,
                             eg_stored_result *result, eg_err *err);

/* Deletes the files of replaced shards, unless somebody is reading. */
eg_status eg_dataset_delete_replaced(eg_store *dataset, eg_err *err);

const char *eg_dataset_path(const eg_store *dataset);

#endif
