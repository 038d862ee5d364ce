/*
** Earlgrey's public C API: the entry points of the extension and its version.
**
** Loaded with `.load ./earlgrey` or sqlite3_load_extension, or linked into a
** program (compile ext/ with -DSQLITE_CORE and call the entry point with
** pApi = NULL, or hand it to sqlite3_auto_extension).
*/
#ifndef EARLGREY_H
#define EARLGREY_H

#define EARLGREY_VERSION "0.1.0"

struct sqlite3;
struct sqlite3_api_routines;

#ifdef __cplusplus
extern "C" {
#endif

/* Registers everything. Returns an SQLite result code; on failure *error is a
** message from sqlite3_malloc. Needs SQLite 3.38 or newer. */
int sqlite3_earlgrey_init(struct sqlite3 *db, char **error, const struct sqlite3_api_routines *api);

/* The same without anything that opens files: scalar functions only. For
** connections that run untrusted SQL. */
int sqlite3_earlgrey_nofs_init(struct sqlite3 *db, char **error,
                               const struct sqlite3_api_routines *api);

/* How far the running statement's scan or ingest is. A host that wants to show it hands one to
** a connection, by the SQL function earlgrey_progress(pointer) with a pointer bound by
**     sqlite3_bind_pointer(stmt, 1, &progress, EARLGREY_PROGRESS, NULL)
** (NULL takes it away), and looks at it in its progress handler, before whose turn it is
** written. It is the host's, and stays until it is taken away or the connection is closed. */
typedef struct earlgrey_progress {
    long long done_bytes;  /* of files as they are on disk; never falls within a statement */
    long long total_bytes; /* of all files; 0 where nothing runs */
    long long rows;        /* flow records read */
} earlgrey_progress;
#define EARLGREY_PROGRESS "earlgrey_progress"

#ifdef __cplusplus
}
#endif

#endif
