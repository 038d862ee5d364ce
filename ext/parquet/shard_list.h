/*
** Lists of Parquet files: what a `source` text means, or what a dataset's manifest
** knows of its shards.
*/
#ifndef EG_SHARD_LIST_H
#define EG_SHARD_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "flow/source.h"

/* A file to read, and what is known of it before it is opened. */
typedef struct eg_shard {
    char *path;                         /* owned by the list */
    int64_t size_bytes;                 /* -1 unknown */
    int64_t n_rows;                     /* -1 unknown; checked against the footer where known */
    int64_t min_start_ms, max_start_ms; /* INT64_MIN and INT64_MAX where unknown */
    int64_t min_end_ms, max_end_ms;     /* likewise */
    bool has_day;                       /* by its path; see eg_shard_day_of() */
    int64_t day_ms;                     /* when that day begins */
} eg_shard;

/* A zeroed one is empty and ready. */
typedef struct eg_shard_list {
    eg_shard *shards; /* owned */
    size_t n_shards, capacity;
    bool is_dataset; /* made by Earlgrey: a file that is missing, or of another size than the
                     ** list says, is an error that names it */
} eg_shard_list;

/* Appends a shard of which nothing but the path (copied) is known. *out stays valid
** until the next one. EG_NOMEM, EG_OK. */
eg_status eg_shard_list_add(eg_shard_list *list, const char *path, eg_shard **out, eg_err *err);

/* Harmless on a zeroed one. */
void eg_shard_list_close(eg_shard_list *list);

/* Makes the list of Parquet files that source[0..n_bytes) names: a file, a
** directory (all *.parquet below it, names that begin with "." or "_" passed over), a
** glob, or a list of them separated by newlines. Files of a directory or glob
** come in natural order (day=9 before day=10) of their paths, entries of a list
** as given; a file named twice comes once. A file named by itself, or matched by
** a glob, may be called anything. `poll` is asked at every file of a directory.
**   EG_IO         an entry does not exist or cannot be listed, a glob matches
**                 nothing, a directory has no such file
**   EG_MISUSE     an empty source
**   EG_INTERRUPT  poll said so
**   EG_NOMEM
** The list is empty on failure. */
eg_status eg_shard_list_open(const char *source, size_t n_bytes, eg_poll poll, eg_shard_list *list,
                             eg_err *err);

/* The UTC day that a path like year=2007/month=7/day=26/<id>-<n>.parquet says, where the name is
** one that a dataset gives its shards: each flow starts on that day, or before 1970 (a broken
** clock; then it is the day of the export). What such keys mean of files with other names is not
** known: false. */
bool eg_shard_day_of(const char *path, int64_t *day_ms);

/* Whether a path ends in .parquet, in any case. */
bool eg_shard_has_name(const char *path);

/* Whether a regular file begins and ends like Parquet ("PAR1"). False where it cannot
** be read. */
bool eg_shard_is_parquet(const char *path);

#endif
