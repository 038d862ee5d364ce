/*
** The manifest of a dataset as an SQLite database, DATASET/_earlgrey.db: the interface of
** dataset/manifest.h, and what readers ask of it.
**
**   capture, audit, loss, reject   as capture_tables.h says
**   shard     a row a shard: path, state, rows, bytes, bounds of its times
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

/* The shards of a dataset that are there, as a list to open. EG_IO, EG_CORRUPT,
** EG_UNSUPPORTED, EG_NOMEM. */
eg_status eg_manifest_list(const char *directory, eg_poll poll, eg_shard_list *list, eg_err *err);

#endif
