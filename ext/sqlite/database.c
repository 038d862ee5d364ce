#include "sqlite/database.h"

#include <string.h>

eg_status eg_db_fail(const eg_database *d, eg_err *err) {
    int code = sqlite3_errcode(d->db) & 0xff;
    if (code == SQLITE_NOMEM)
        return eg_fail_nomem(err, "a database");
    bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR;
    return eg_fail(err, damaged ? EG_CORRUPT : EG_IO, -1, "%s: %s", d->path, sqlite3_errmsg(d->db));
}

eg_status eg_db_open(eg_database *d, const char *path, int more_flags, eg_err *err) {
    *d = (eg_database){.path = sqlite3_mprintf("%s", path)};
    if (d->path == NULL)
        return eg_fail_nomem(err, "a database");
    /* Readers, too, have to be able to roll back what a killed writer left in the journal.
    ** Where the file cannot be written SQLite opens it for reading. */
    if (sqlite3_open_v2(path, &d->db, SQLITE_OPEN_READWRITE | more_flags, NULL) != SQLITE_OK)
        return eg_db_fail(d, err);
    sqlite3_busy_timeout(d->db, EG_DB_BUSY_MS);
    return EG_OK;
}

void eg_db_close(eg_database *d) {
    sqlite3_close(d->db);
    sqlite3_free(d->path);
    *d = (eg_database){0};
}

eg_status eg_db_run(const eg_database *d, const char *sql, eg_err *err) {
    return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? EG_OK : eg_db_fail(d, err);
}

eg_status eg_db_begin(const eg_database *d, eg_err *err) {
    return eg_db_run(d, "BEGIN IMMEDIATE", err);
}

eg_status eg_db_end(const eg_database *d, eg_status rc, eg_err *err) {
    if (rc == EG_OK)
        rc = eg_db_run(d, "COMMIT", err);
    if (rc != EG_OK)
        (void)eg_db_run(d, "ROLLBACK", NULL);
    return rc;
}

eg_status eg_db_prepare(const eg_database *d, sqlite3_stmt **s, const char *sql, eg_err *err) {
    return sqlite3_prepare_v2(d->db, sql, -1, s, NULL) == SQLITE_OK ? EG_OK : eg_db_fail(d, err);
}

eg_status eg_db_finish(const eg_database *d, sqlite3_stmt *s, bool *has_row, int64_t *number,
                       eg_err *err) {
    int rc = sqlite3_step(s);
    if (has_row != NULL)
        *has_row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW && number != NULL)
        *number = sqlite3_column_int64(s, 0);
    eg_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? EG_OK : eg_db_fail(d, err);
    sqlite3_finalize(s);
    return status;
}

eg_status eg_db_step(const eg_database *d, sqlite3_stmt *s, eg_err *err) {
    eg_status rc = sqlite3_step(s) == SQLITE_DONE ? EG_OK : eg_db_fail(d, err);
    sqlite3_reset(s);
    return rc;
}

eg_status eg_db_number(const eg_database *d, const char *sql, int64_t *number, eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = eg_db_prepare(d, &s, sql, err);
    return rc == EG_OK ? eg_db_finish(d, s, NULL, number, err) : rc;
}

static eg_status fail_version(const eg_database *d, const char *what, int64_t found, int version,
                              eg_err *err) {
    return eg_fail(err, EG_UNSUPPORTED, -1, "%s: %s version %lld: expected %d", d->path, what,
                   (long long)found, version);
}

static eg_status make_tables(const eg_database *d, const char *what, int version,
                             const char *schema, eg_err *err) {
    int64_t found = 0, n_objects = 0;
    char mark[64];
    sqlite3_snprintf(sizeof mark, mark, "PRAGMA user_version = %d", version);
    eg_status rc = eg_db_begin(d, err);
    if (rc == EG_OK)
        rc = eg_db_number(d, "PRAGMA user_version", &found, err); /* another one may be quicker */
    if (rc == EG_OK && found == 0)
        rc = eg_db_number(d, "SELECT count(*) FROM sqlite_schema", &n_objects, err);
    if (rc == EG_OK && found == 0 && n_objects > 0)
        rc = fail_version(d, what, found, version, err);
    if (rc == EG_OK && found == 0)
        rc = eg_db_run(d, schema, err);
    if (rc == EG_OK && found == 0)
        rc = eg_db_run(d, mark, err);
    return eg_db_end(d, rc, err);
}

eg_status eg_db_settle(const eg_database *d, const char *what, int version, const char *schema,
                       eg_err *err) {
    int64_t found = 0;
    eg_status rc = eg_db_number(d, "PRAGMA user_version", &found, err);
    if (rc == EG_OK && found == 0 && schema != NULL)
        return make_tables(d, what, version, schema, err);
    return rc == EG_OK && found != version ? fail_version(d, what, found, version, err) : rc;
}

eg_status eg_db_has_log(const eg_database *d, bool *has_log, eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = eg_db_prepare(d, &s, "PRAGMA journal_mode", err);
    if (rc != EG_OK)
        return rc;
    const char *mode =
        sqlite3_step(s) == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
    if (mode == NULL)
        rc = eg_db_fail(d, err);
    *has_log = mode != NULL && strcmp(mode, "wal") == 0;
    sqlite3_finalize(s);
    return rc;
}
