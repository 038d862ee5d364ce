/*
** The manifest of a dataset as an SQLite database, DATASET/_earlgrey.db: the interface of
** dataset/manifest.h, and what readers ask of it.
**
**   capture   a row a capture: id (XXH128, hex) of its unwrapped bytes, name, counts
**   shard     a row a shard: path, state, rows, bytes, bounds of its times
**   audit     what became of the packets of each capture, by reason; `reject` is a view of
**             those that were not decoded
**   loss      breaks of flow_sequence
**   setting   addresses, compression: how its shards are made
**
** user_version is EG_MANIFEST_VERSION. Rollback journal: a dataset may be on a network file
** system, and readers of a read-only one cannot make a -shm file.
*/
#ifndef EG_MANIFEST_DB_H
#define EG_MANIFEST_DB_H

#include "dataset/dataset.h"
#include "dataset/manifest.h"
#include "parquet/shard_list.h"
#include "sqlite/sqlite_api.h"

#define EG_MANIFEST_VERSION 1

extern const eg_manifest_ops eg_sqlite_manifest;

/* Opens the database `path` of a manifest, with more flags than SQLITE_OPEN_READWRITE; waits for
** others. *db is to be closed, also on failure. */
eg_status eg_manifest_connect(const char *path, int more_flags, sqlite3 **db, eg_err *err);

/* Fails with what SQLite says of the database `path`. */
eg_status eg_manifest_fail(sqlite3 *db, const char *path, eg_err *err);

/* The shards of a dataset that are there, as a list to open. EG_IO, EG_CORRUPT,
** EG_UNSUPPORTED, EG_NOMEM. */
eg_status eg_manifest_list(const char *directory, eg_poll poll, eg_shard_list *list, eg_err *err);

#endif
