/*
** A database of ours: the manifest of a dataset, a store. Statements that are prepared when
** they are needed, and failures that say the file.
*/
#ifndef EG_DATABASE_H
#define EG_DATABASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "sqlite/sqlite_api.h"

/* How long to wait for others. */
#define EG_DB_BUSY_MS 30000

/* Zeroed = closed. */
typedef struct eg_database {
    sqlite3 *db;
    char *path;
} eg_database;

/* Opens `path` with more flags than SQLITE_OPEN_READWRITE, where it cannot be written for
** reading; waits for others. To be closed, also on failure. EG_IO, EG_CORRUPT, EG_NOMEM. */
eg_status eg_db_open(eg_database *d, const char *path, int more_flags, eg_err *err);
void eg_db_close(eg_database *d);

/* Fails with what SQLite says of the database. */
eg_status eg_db_fail(const eg_database *d, eg_err *err);

/* Runs statements that give no rows. */
eg_status eg_db_run(const eg_database *d, const char *sql, eg_err *err);

/* Begins to write, ends that with rc as the outcome: rolled back unless EG_OK. */
eg_status eg_db_begin(const eg_database *d, eg_err *err);
eg_status eg_db_end(const eg_database *d, eg_status rc, eg_err *err);

eg_status eg_db_prepare(const eg_database *d, sqlite3_stmt **s, const char *sql, eg_err *err);

/* Runs a statement that gives no rows, or one, and finalizes it: *has_row tells, *number is then
** its first column (either may be NULL). */
eg_status eg_db_finish(const eg_database *d, sqlite3_stmt *s, bool *has_row, int64_t *number,
                       eg_err *err);

/* Runs a statement that gives no rows, for another time. */
eg_status eg_db_step(const eg_database *d, sqlite3_stmt *s, eg_err *err);

/* The one number that a statement gives. */
eg_status eg_db_number(const eg_database *d, const char *sql, int64_t *number, eg_err *err);

/* Whether it has a write-ahead log. */
eg_status eg_db_has_log(const eg_database *d, bool *has_log, eg_err *err);

/* Holds the database's user_version against the one of this program. Where it is 0 the tables
** are made, if `schema` is given. EG_UNSUPPORTED names `what` and both versions. */
eg_status eg_db_settle(const eg_database *d, const char *what, int version, const char *schema,
                       eg_err *err);

#endif
