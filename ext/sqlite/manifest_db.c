#include "sqlite/manifest_db.h"

#include <string.h>

#include "dataset/dataset_files.h"
#include "sqlite/capture_tables.h"

struct eg_manifest {
    eg_database file;
};

static const char schema[] = EG_CAPTURE_TABLES
    "CREATE TABLE shard("
    "id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, "
    "state TEXT NOT NULL CHECK(state IN ('pending', 'stored', 'removed')), "
    "capture INTEGER REFERENCES capture(id), day INTEGER NOT NULL, flows INTEGER NOT NULL, "
    "n_bytes INTEGER NOT NULL, hash INTEGER NOT NULL, min_start_ms INTEGER NOT NULL, max_start_ms "
    "INTEGER NOT NULL, "
    "min_end_ms INTEGER NOT NULL, max_end_ms INTEGER NOT NULL);"
    "CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL);"
    "PRAGMA application_id = 0x45477279;";

/* ---- Opening */

static void manifest_close(eg_manifest *m) {
    if (m == NULL)
        return;
    eg_db_close(&m->file);
    sqlite3_free(m);
}

static eg_status manifest_open(const char *directory, bool for_writing, eg_poll poll,
                               eg_manifest **out, eg_err *err) {
    (void)poll;
    *out = NULL;
    eg_manifest *m = sqlite3_malloc64(sizeof *m);
    char *path = sqlite3_mprintf("%s/" EG_DATASET_MANIFEST, directory);
    if (m != NULL)
        *m = (eg_manifest){0};
    eg_status rc = m != NULL && path != NULL ? EG_OK : eg_fail_nomem(err, "the manifest");
    if (rc == EG_OK)
        rc = eg_db_open(&m->file, path, for_writing ? SQLITE_OPEN_CREATE : 0, err);
    if (rc == EG_OK)
        rc = eg_db_settle(&m->file, "manifest", EG_MANIFEST_VERSION, for_writing ? schema : NULL,
                          err);
    if (rc == EG_OK && for_writing)
        rc = eg_db_run(&m->file, "PRAGMA synchronous = FULL", err);
    sqlite3_free(path);
    if (rc == EG_OK)
        *out = m;
    else
        manifest_close(m);
    return rc;
}

/* ---- Captures */

static eg_status manifest_find(eg_manifest *m, const eg_capture_id *id, bool *found, eg_err *err) {
    return eg_captures_find(&m->file, id, found, err);
}

static eg_status manifest_has_file(eg_manifest *m, const char *file, int64_t n_bytes,
                                   int64_t time_ns, bool *found, eg_err *err) {
    return eg_captures_has_file(&m->file, file, n_bytes, time_ns, found, err);
}

static eg_status manifest_partial(eg_manifest *m, eg_stored_capture **list, size_t *n,
                                  eg_err *err) {
    return eg_captures_partial(&m->file, list, n, err);
}

/* ---- Changes */

static eg_status manifest_intend(eg_manifest *m, const eg_manifest_shard *shards, size_t n,
                                 eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = eg_db_begin(&m->file, err);
    if (rc != EG_OK)
        return rc;
    rc = eg_db_prepare(&m->file, &s,
                       "INSERT INTO shard(path, state, day, flows, n_bytes, hash, min_start_ms, "
                       "max_start_ms, min_end_ms, max_end_ms) VALUES (?1, 'pending', ?2, ?3, ?4, "
                       "?5, ?6, ?7, ?8, ?9)",
                       err);
    if (rc != EG_OK)
        return eg_db_end(&m->file, rc, err);
    for (size_t i = 0; i < n && rc == EG_OK; i++) {
        const eg_manifest_shard *x = &shards[i];
        sqlite3_bind_text(s, 1, x->path, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 2, x->day);
        sqlite3_bind_int64(s, 3, x->n_rows);
        sqlite3_bind_int64(s, 4, x->n_bytes);
        sqlite3_bind_int64(s, 5, (int64_t)x->hash);
        sqlite3_bind_int64(s, 6, x->times.min_start_ms);
        sqlite3_bind_int64(s, 7, x->times.max_start_ms);
        sqlite3_bind_int64(s, 8, x->times.min_end_ms);
        sqlite3_bind_int64(s, 9, x->times.max_end_ms);
        rc = eg_db_step(&m->file, s, err);
    }
    sqlite3_finalize(s);
    return eg_db_end(&m->file, rc, err);
}

/* Makes the shards of a capture removed. */
static eg_status drop_shards(eg_manifest *m, const eg_capture_id *id, eg_err *err) {
    sqlite3_stmt *s;
    char hex[2 * sizeof *id + 1];
    eg_files_hex(id, hex);
    eg_status rc = eg_db_prepare(&m->file, &s,
                                 "UPDATE shard SET state = 'removed' WHERE capture = (SELECT id "
                                 "FROM capture WHERE hash = ?1)",
                                 err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, hex, -1, SQLITE_STATIC);
    return eg_db_finish(&m->file, s, NULL, NULL, err);
}

static eg_status manifest_publish(eg_manifest *m, const eg_capture_record *r, eg_err *err) {
    sqlite3_stmt *s;
    int64_t id = 0, n_flows = 0;
    eg_status rc = eg_db_begin(&m->file, err);
    if (rc != EG_OK)
        return rc;
    rc = eg_db_number(&m->file, "SELECT coalesce(sum(flows), 0) FROM shard WHERE state = 'pending'",
                      &n_flows, err);
    if (rc == EG_OK)
        rc = eg_captures_add(&m->file, r, n_flows, &id, err);
    if (rc == EG_OK && r->replaces != NULL)
        rc = drop_shards(m, r->replaces, err);
    if (rc == EG_OK && r->replaces != NULL)
        rc = eg_captures_drop(&m->file, r->replaces, err);
    if (rc == EG_OK)
        rc = eg_db_prepare(
            &m->file, &s, "UPDATE shard SET state = 'stored', capture = ?1 WHERE state = 'pending'",
            err);
    if (rc == EG_OK) {
        sqlite3_bind_int64(s, 1, id);
        rc = eg_db_finish(&m->file, s, NULL, NULL, err);
    }
    return eg_db_end(&m->file, rc, err);
}

static eg_status manifest_exchange(eg_manifest *m, const int64_t *old_ids, size_t n, eg_err *err) {
    eg_status rc = eg_db_begin(&m->file, err);
    if (rc != EG_OK)
        return rc;
    sqlite3_stmt *s;
    rc = eg_db_prepare(&m->file, &s, "UPDATE shard SET state = 'removed' WHERE id = ?1", err);
    if (rc != EG_OK)
        return eg_db_end(&m->file, rc, err);
    for (size_t i = 0; i < n && rc == EG_OK; i++) {
        sqlite3_bind_int64(s, 1, old_ids[i]);
        rc = eg_db_step(&m->file, s, err);
    }
    sqlite3_finalize(s);
    if (rc == EG_OK)
        rc = eg_db_run(&m->file, "UPDATE shard SET state = 'stored' WHERE state = 'pending'", err);
    return eg_db_end(&m->file, rc, err);
}

/* Flows that expired leave their capture, or, of merged shards, are counted in all. */
static eg_status manifest_expire(eg_manifest *m, int64_t day, eg_expired *dropped, eg_err *err) {
#define OF_DAY "FROM shard WHERE state = 'stored' AND day = ?1"
    static const char *const changes[] = {
        "UPDATE capture SET flows = flows - (SELECT sum(flows) " OF_DAY
        " AND shard.capture = capture.id) WHERE id IN (SELECT capture " OF_DAY ")",
        "INSERT INTO setting SELECT 'expired_flows', sum(flows) " OF_DAY
        " AND capture IS NULL HAVING sum(flows) > 0 ON CONFLICT(name) DO UPDATE SET value = value "
        "+ excluded.value",
        "UPDATE shard SET state = 'removed' WHERE state = 'stored' AND day = ?1",
    };
    sqlite3_stmt *s;
    *dropped = (eg_expired){.day = day};
    eg_status rc = eg_db_begin(&m->file, err);
    if (rc != EG_OK)
        return rc;
    rc = eg_db_prepare(&m->file, &s, "SELECT sum(flows), sum(n_bytes) " OF_DAY, err);
    if (rc == EG_OK) {
        sqlite3_bind_int64(s, 1, day);
        if (sqlite3_step(s) == SQLITE_ROW) {
            dropped->n_rows = sqlite3_column_int64(s, 0);
            dropped->n_bytes = sqlite3_column_int64(s, 1);
        } else {
            rc = eg_db_fail(&m->file, err);
        }
        sqlite3_finalize(s);
    }
    for (size_t i = 0; i < sizeof changes / sizeof changes[0] && rc == EG_OK; i++) {
        rc = eg_db_prepare(&m->file, &s, changes[i], err);
        if (rc != EG_OK)
            break;
        sqlite3_bind_int64(s, 1, day);
        rc = eg_db_finish(&m->file, s, NULL, NULL, err);
    }
    return eg_db_end(&m->file, rc, err);
}

static const char *const state_names[] = {
    [EG_SHARD_PENDING] = "pending", [EG_SHARD_STORED] = "stored", [EG_SHARD_REMOVED] = "removed"};

static eg_status manifest_forget(eg_manifest *m, eg_shard_state state, eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = eg_db_prepare(&m->file, &s, "DELETE FROM shard WHERE state = ?1", err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, state_names[state], -1, SQLITE_STATIC);
    return eg_db_finish(&m->file, s, NULL, NULL, err);
}

static eg_status manifest_each(eg_manifest *m, eg_shard_state state, bool mergeable_only,
                               eg_manifest_each call, void *arg, eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc =
        eg_db_prepare(&m->file, &s,
                      "SELECT s.id, s.path, s.day, s.flows, s.n_bytes, s.min_start_ms, "
                      "s.max_start_ms, s.min_end_ms, s.max_end_ms, s.hash FROM shard s "
                      "LEFT JOIN capture c ON c.id = s.capture WHERE s.state = ?1 AND "
                      "NOT (?2 AND coalesce(c.partial, 0)) ORDER BY s.day, s.min_start_ms, "
                      "s.path",
                      err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, state_names[state], -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, mergeable_only);
    int found;
    while (rc == EG_OK && (found = sqlite3_step(s)) != SQLITE_DONE) {
        if (found != SQLITE_ROW) {
            rc = eg_db_fail(&m->file, err);
            break;
        }
        eg_manifest_shard shard = {.id = sqlite3_column_int64(s, 0),
                                   .path = (const char *)sqlite3_column_text(s, 1),
                                   .day = sqlite3_column_int64(s, 2),
                                   .n_rows = sqlite3_column_int64(s, 3),
                                   .n_bytes = sqlite3_column_int64(s, 4),
                                   .hash = (uint64_t)sqlite3_column_int64(s, 9),
                                   .times = {.min_start_ms = sqlite3_column_int64(s, 5),
                                             .max_start_ms = sqlite3_column_int64(s, 6),
                                             .min_end_ms = sqlite3_column_int64(s, 7),
                                             .max_end_ms = sqlite3_column_int64(s, 8)}};
        rc = shard.path != NULL ? call(arg, &shard, err) : eg_fail_nomem(err, "the manifest");
    }
    sqlite3_finalize(s);
    return rc;
}

static eg_status manifest_settle(eg_manifest *m, const char *name, char *value, size_t n,
                                 eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc =
        eg_db_prepare(&m->file, &s,
                      "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE SET "
                      "value = iif(EXISTS (SELECT 1 FROM shard), value, excluded.value) "
                      "RETURNING value",
                      err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, value, -1, SQLITE_STATIC);
    if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_bytes(s, 0) < (int)n)
        memmove(value, sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0) + 1);
    else
        rc = eg_db_fail(&m->file, err);
    sqlite3_finalize(s);
    return rc;
}

static eg_status manifest_check(eg_manifest *m, int64_t *n_flows, eg_err *err) {
    sqlite3_stmt *s;
    int64_t of_captures = 0;
    *n_flows = 0;
    eg_status rc = eg_db_prepare(&m->file, &s, "PRAGMA integrity_check(1)", err);
    if (rc != EG_OK)
        return rc;
    if (sqlite3_step(s) != SQLITE_ROW)
        rc = eg_db_fail(&m->file, err);
    else if (strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0)
        rc = eg_fail(err, EG_CORRUPT, -1, "%s: %s", m->file.path, sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    if (rc == EG_OK)
        rc = eg_db_prepare(&m->file, &s,
                           "SELECT coalesce(sum(flows), 0) FROM shard WHERE state = 'stored'", err);
    if (rc == EG_OK)
        rc = eg_db_finish(&m->file, s, NULL, n_flows, err);
    if (rc == EG_OK)
        rc = eg_db_prepare(&m->file, &s,
                           "SELECT coalesce(sum(flows), 0) - coalesce((SELECT value FROM setting "
                           "WHERE name = 'expired_flows'), 0) FROM capture WHERE state = 'stored'",
                           err);
    if (rc == EG_OK)
        rc = eg_db_finish(&m->file, s, NULL, &of_captures, err);
    if (rc == EG_OK && *n_flows != of_captures)
        rc = eg_fail(err, EG_CORRUPT, -1, "%s: %lld flows in shards: expected the %lld of captures",
                     m->file.path, (long long)*n_flows, (long long)of_captures);
    return rc;
}

const eg_manifest_ops eg_sqlite_manifest = {
    .open = manifest_open,
    .close = manifest_close,
    .find = manifest_find,
    .has_file = manifest_has_file,
    .partial = manifest_partial,
    .intend = manifest_intend,
    .publish = manifest_publish,
    .exchange = manifest_exchange,
    .expire = manifest_expire,
    .forget = manifest_forget,
    .each = manifest_each,
    .settle = manifest_settle,
    .check = manifest_check,
};

/* ---- For readers */

typedef struct listing {
    const char *directory;
    eg_shard_list *list;
} listing;

static eg_status list_shard(void *arg, const eg_manifest_shard *shard, eg_err *err) {
    const listing *l = arg;
    eg_shard *to;
    char *path = sqlite3_mprintf("%s/%s", l->directory, shard->path);
    if (path == NULL)
        return eg_fail_nomem(err, "a list of shards");
    eg_status rc = eg_shard_list_add(l->list, path, &to, err);
    sqlite3_free(path);
    if (rc != EG_OK)
        return rc;
    to->size_bytes = shard->n_bytes;
    to->n_rows = shard->n_rows;
    to->min_start_ms = shard->times.min_start_ms;
    to->max_start_ms = shard->times.max_start_ms;
    to->min_end_ms = shard->times.min_end_ms;
    to->max_end_ms = shard->times.max_end_ms;
    return EG_OK;
}

eg_status eg_manifest_list(const char *directory, eg_poll poll, eg_shard_list *list, eg_err *err) {
    eg_manifest *m;
    listing l = {directory, list};
    *list = (eg_shard_list){.is_dataset = true};
    eg_status rc = manifest_open(directory, false, poll, &m, err);
    if (rc != EG_OK)
        return rc;
    rc = manifest_each(m, EG_SHARD_STORED, false, list_shard, &l, err);
    manifest_close(m);
    if (rc != EG_OK)
        eg_shard_list_close(list);
    return rc;
}
