/*
** The tables in which a store keeps what it knows of its captures, in a dataset's manifest and
** in an SQLite store alike:
**
**   capture   a row a capture: id (XXH128, hex) of its unwrapped bytes, name, counts
**   audit     what became of the packets of each capture, by reason; `reject` is a view of
**             those that were not decoded
**   loss      breaks of flow_sequence
*/
#ifndef EG_CAPTURE_TABLES_H
#define EG_CAPTURE_TABLES_H

#include "dataset/store.h"
#include "sqlite/database.h"

/* clang-format off */
#define EG_CAPTURE_TABLES \
    "CREATE TABLE capture(" \
    "id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, state TEXT NOT NULL, name TEXT NOT NULL, " \
    "n_bytes INTEGER NOT NULL, partial INTEGER NOT NULL, flows INTEGER NOT NULL, " \
    "datagrams INTEGER NOT NULL, rejected INTEGER NOT NULL, flows_lost INTEGER NOT NULL, " \
    "file TEXT NOT NULL, file_bytes INTEGER NOT NULL, file_time_ns INTEGER NOT NULL, " \
    "stored_at TEXT NOT NULL);" \
    "CREATE INDEX capture_by_file ON capture(file);" \
    "CREATE TABLE audit(" \
    "capture INTEGER NOT NULL REFERENCES capture(id), reason TEXT NOT NULL, " \
    "is_decoded INTEGER NOT NULL, datagrams INTEGER NOT NULL, frames INTEGER NOT NULL, " \
    "records INTEGER NOT NULL, first_frame INTEGER NOT NULL, note TEXT);" \
    "CREATE VIEW reject AS SELECT capture, reason, datagrams, frames, first_frame, note " \
    "FROM audit WHERE NOT is_decoded;" \
    "CREATE TABLE loss(" \
    "capture INTEGER NOT NULL REFERENCES capture(id), frame INTEGER NOT NULL, " \
    "header_ms INTEGER NOT NULL, exporter TEXT NOT NULL, engine_type INTEGER NOT NULL, " \
    "engine_id INTEGER NOT NULL, expected INTEGER NOT NULL, got INTEGER NOT NULL, " \
    "flows_lost INTEGER NOT NULL, kind TEXT NOT NULL);"
/* clang-format on */

/* As eg_store_ops say. */
eg_status eg_captures_find(const eg_database *d, const eg_capture_id *id, bool *found, eg_err *err);
eg_status eg_captures_has_file(const eg_database *d, const char *file, int64_t n_bytes,
                               int64_t time_ns, bool *found, eg_err *err);
eg_status eg_captures_partial(const eg_database *d, eg_stored_capture **list, size_t *n,
                              eg_err *err);

/* Adds a capture of n_flows flows, its audit and its losses; *id is the number of its row. In a
** transaction of the caller's. */
eg_status eg_captures_add(const eg_database *d, const eg_capture_record *r, int64_t n_flows,
                          int64_t *id, eg_err *err);

/* The capture that another one continues stays known, with nothing in it. */
eg_status eg_captures_drop(const eg_database *d, const eg_capture_id *id, eg_err *err);

#endif
