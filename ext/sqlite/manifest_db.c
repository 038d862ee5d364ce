/* Statements are prepared when they are needed: there are a handful for a capture. Texts are bound
** where they stand: a copy that fails would leave a NULL behind. */
#include "sqlite/manifest_db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
#include "dataset/dataset_files.h"

#define BUSY_TIMEOUT_MS 30000

struct eg_manifest {
    sqlite3 *db;
    char *path;
};

#define QUOTED(x) #x
#define TEXT_OF(x) QUOTED(x)

static const char schema[] =
    "CREATE TABLE capture("
    "id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, state TEXT NOT NULL, name TEXT NOT NULL, "
    "n_bytes INTEGER NOT NULL, partial INTEGER NOT NULL, flows INTEGER NOT NULL, "
    "datagrams INTEGER NOT NULL, rejected INTEGER NOT NULL, flows_lost INTEGER NOT NULL, "
    "file TEXT NOT NULL, file_bytes INTEGER NOT NULL, file_time_ns INTEGER NOT NULL, "
    "stored_at TEXT NOT NULL);"
    "CREATE INDEX capture_by_file ON capture(file);"
    "CREATE TABLE shard("
    "id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, "
    "state TEXT NOT NULL CHECK(state IN ('pending', 'stored', 'removed')), "
    "capture INTEGER REFERENCES capture(id), day INTEGER NOT NULL, flows INTEGER NOT NULL, "
    "n_bytes INTEGER NOT NULL, hash INTEGER NOT NULL, min_start_ms INTEGER NOT NULL, max_start_ms "
    "INTEGER NOT NULL, "
    "min_end_ms INTEGER NOT NULL, max_end_ms INTEGER NOT NULL);"
    "CREATE TABLE audit("
    "capture INTEGER NOT NULL REFERENCES capture(id), reason TEXT NOT NULL, "
    "is_decoded INTEGER NOT NULL, datagrams INTEGER NOT NULL, frames INTEGER NOT NULL, "
    "records INTEGER NOT NULL, first_frame INTEGER NOT NULL, note TEXT);"
    "CREATE VIEW reject AS SELECT capture, reason, datagrams, frames, first_frame, note "
    "FROM audit WHERE NOT is_decoded;"
    "CREATE TABLE loss("
    "capture INTEGER NOT NULL REFERENCES capture(id), frame INTEGER NOT NULL, "
    "header_ms INTEGER NOT NULL, exporter TEXT NOT NULL, engine_type INTEGER NOT NULL, "
    "engine_id INTEGER NOT NULL, expected INTEGER NOT NULL, got INTEGER NOT NULL, "
    "flows_lost INTEGER NOT NULL, kind TEXT NOT NULL);"
    "CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL);"
    "PRAGMA user_version = " TEXT_OF(EG_MANIFEST_VERSION) "; PRAGMA application_id = 0x45477279;";

eg_status eg_manifest_fail(sqlite3 *db, const char *path, eg_err *err) {
    int code = sqlite3_errcode(db) & 0xff;
    if (code == SQLITE_NOMEM)
        return eg_fail_nomem(err, "the manifest");
    bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR;
    return eg_fail(err, damaged ? EG_CORRUPT : EG_IO, -1, "%s: %s", path, sqlite3_errmsg(db));
}

static eg_status fail_sql(const eg_manifest *m, eg_err *err) {
    return eg_manifest_fail(m->db, m->path, err);
}

eg_status eg_manifest_connect(const char *path, int more_flags, sqlite3 **db, eg_err *err) {
    /* Readers, too, have to be able to roll back what a killed writer left in the journal.
    ** Where the file cannot be written SQLite opens it for reading. */
    if (sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | more_flags, NULL) != SQLITE_OK)
        return eg_manifest_fail(*db, path, err);
    sqlite3_busy_timeout(*db, BUSY_TIMEOUT_MS);
    return EG_OK;
}

static eg_status run(eg_manifest *m, const char *sql, eg_err *err) {
    return sqlite3_exec(m->db, sql, NULL, NULL, NULL) == SQLITE_OK ? EG_OK : fail_sql(m, err);
}

static eg_status begin(eg_manifest *m, eg_err *err) {
    return run(m, "BEGIN IMMEDIATE", err);
}

/* Ends a transaction in which rc was the outcome. */
static eg_status end(eg_manifest *m, eg_status rc, eg_err *err) {
    if (rc == EG_OK)
        rc = run(m, "COMMIT", err);
    if (rc != EG_OK)
        (void)run(m, "ROLLBACK", NULL);
    return rc;
}

static eg_status prepare(eg_manifest *m, sqlite3_stmt **s, const char *sql, eg_err *err) {
    return sqlite3_prepare_v2(m->db, sql, -1, s, NULL) == SQLITE_OK ? EG_OK : fail_sql(m, err);
}

/* Runs a statement that gives no rows, or one: *number is then its first column. */
static eg_status finish(eg_manifest *m, sqlite3_stmt *s, bool *has_row, int64_t *number,
                        eg_err *err) {
    int rc = sqlite3_step(s);
    if (has_row != NULL)
        *has_row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW && number != NULL)
        *number = sqlite3_column_int64(s, 0);
    eg_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? EG_OK : fail_sql(m, err);
    sqlite3_finalize(s);
    return status;
}

/* Runs a statement that gives no rows, for another time. */
static eg_status step(eg_manifest *m, sqlite3_stmt *s, eg_err *err) {
    eg_status rc = sqlite3_step(s) == SQLITE_DONE ? EG_OK : fail_sql(m, err);
    sqlite3_reset(s);
    return rc;
}

/* ---- Opening */

static void manifest_close(eg_manifest *m) {
    if (m == NULL)
        return;
    sqlite3_close(m->db);
    sqlite3_free(m->path);
    sqlite3_free(m);
}

static eg_status version_of(eg_manifest *m, int64_t *version, eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = prepare(m, &s, "PRAGMA user_version", err);
    return rc == EG_OK ? finish(m, s, NULL, version, err) : rc;
}

static eg_status make_tables(eg_manifest *m, eg_err *err) {
    int64_t version = 0;
    eg_status rc = begin(m, err);
    if (rc == EG_OK)
        rc = version_of(m, &version, err); /* another one may have been quicker */
    if (rc == EG_OK && version == 0)
        rc = run(m, schema, err);
    return end(m, rc, err);
}

static eg_status manifest_open(const char *directory, bool for_writing, eg_poll poll,
                               eg_manifest **out, eg_err *err) {
    (void)poll;
    *out = NULL;
    eg_manifest *m = sqlite3_malloc64(sizeof *m);
    if (m == NULL)
        return eg_fail_nomem(err, "the manifest");
    *m = (eg_manifest){.path = sqlite3_mprintf("%s/" EG_DATASET_MANIFEST, directory)};
    eg_status rc = m->path != NULL ? EG_OK : eg_fail_nomem(err, "the manifest");
    if (rc == EG_OK)
        rc = eg_manifest_connect(m->path, for_writing ? SQLITE_OPEN_CREATE : 0, &m->db, err);
    int64_t version = 0;
    if (rc == EG_OK)
        rc = version_of(m, &version, err);
    if (rc == EG_OK && version == 0 && for_writing)
        rc = make_tables(m, err);
    else if (rc == EG_OK && version != EG_MANIFEST_VERSION)
        rc = eg_fail(err, EG_UNSUPPORTED, -1, "%s: manifest version %lld: expected %d", m->path,
                     (long long)version, EG_MANIFEST_VERSION);
    if (rc == EG_OK && for_writing)
        rc = run(m, "PRAGMA synchronous = FULL", err);
    if (rc != EG_OK) {
        manifest_close(m);
        return rc;
    }
    *out = m;
    return EG_OK;
}

/* ---- Captures */

static eg_status manifest_find(eg_manifest *m, const eg_capture_id *id, bool *found, eg_err *err) {
    sqlite3_stmt *s;
    char hex[2 * sizeof *id + 1];
    eg_files_hex(id, hex);
    eg_status rc = prepare(m, &s, "SELECT 1 FROM capture WHERE hash = ?1", err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, hex, -1, SQLITE_STATIC);
    return finish(m, s, found, NULL, err);
}

static eg_status manifest_has_file(eg_manifest *m, const char *file, int64_t n_bytes,
                                   int64_t time_ns, bool *found, eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = prepare(m, &s,
                           "SELECT 1 FROM capture WHERE file = ?1 AND file_bytes = ?2 AND "
                           "file_time_ns = ?3 LIMIT 1",
                           err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, file, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, n_bytes);
    sqlite3_bind_int64(s, 3, time_ns);
    return finish(m, s, found, NULL, err);
}

static bool parse_id(const char *hex, eg_capture_id *id) {
    static const char digits[] = "0123456789abcdef";
    if (hex == NULL || strlen(hex) != 2 * sizeof id->bytes)
        return false;
    for (size_t i = 0; i < 2 * sizeof id->bytes; i++) {
        const char *digit = strchr(digits, hex[i]);
        if (digit == NULL)
            return false;
        id->bytes[i / 2] = (uint8_t)(id->bytes[i / 2] << 4 | (digit - digits));
    }
    return true;
}

static eg_status manifest_partial(eg_manifest *m, eg_stored_capture **list, size_t *n,
                                  eg_err *err) {
    sqlite3_stmt *s;
    size_t capacity = 0;
    *list = NULL;
    *n = 0;
    eg_status rc = prepare(m, &s,
                           "SELECT hash, n_bytes, flows FROM capture WHERE partial AND "
                           "state = 'stored' ORDER BY n_bytes",
                           err);
    if (rc != EG_OK)
        return rc;
    int found;
    while (rc == EG_OK && (found = sqlite3_step(s)) != SQLITE_DONE) {
        if (found != SQLITE_ROW) {
            rc = fail_sql(m, err);
            break;
        }
        if (!eg_array_grow(list, &capacity, *n, sizeof **list)) {
            rc = eg_fail_nomem(err, "a list of captures");
            break;
        }
        eg_stored_capture *c = &(*list)[*n];
        *c = (eg_stored_capture){.n_bytes = sqlite3_column_int64(s, 1),
                                 .n_rows = sqlite3_column_int64(s, 2),
                                 .is_partial = true};
        if (parse_id((const char *)sqlite3_column_text(s, 0), &c->id))
            ++*n;
    }
    sqlite3_finalize(s);
    return rc;
}

/* ---- Changes */

static eg_status manifest_intend(eg_manifest *m, const eg_manifest_shard *shards, size_t n,
                                 eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = begin(m, err);
    if (rc != EG_OK)
        return rc;
    rc = prepare(m, &s,
                 "INSERT INTO shard(path, state, day, flows, n_bytes, hash, min_start_ms, "
                 "max_start_ms, min_end_ms, max_end_ms) VALUES (?1, 'pending', ?2, ?3, ?4, "
                 "?5, ?6, ?7, ?8, ?9)",
                 err);
    if (rc != EG_OK)
        return end(m, rc, err);
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
        rc = step(m, s, err);
    }
    sqlite3_finalize(s);
    return end(m, rc, err);
}

static eg_status add_audit(eg_manifest *m, int64_t capture, const eg_capture_record *r,
                           eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = prepare(m, &s, "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", err);
    if (rc != EG_OK)
        return rc;
    for (size_t i = 0; i < eg_ledger_n_audit(r->ledger) && rc == EG_OK; i++) {
        const eg_audit_row *a = eg_ledger_audit(r->ledger, i);
        const eg_reason_info *about = eg_reason_about(a->reason);
        sqlite3_bind_int64(s, 1, capture);
        sqlite3_bind_text(s, 2, about->name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 3, about->decoded);
        sqlite3_bind_int64(s, 4, a->datagrams);
        sqlite3_bind_int64(s, 5, a->frames);
        sqlite3_bind_int64(s, 6, a->records);
        sqlite3_bind_int64(s, 7, a->first_frame);
        sqlite3_bind_text(s, 8, a->note, -1, SQLITE_STATIC);
        rc = step(m, s, err);
    }
    sqlite3_finalize(s);
    return rc;
}

static eg_status add_loss(eg_manifest *m, int64_t capture, const eg_capture_record *r,
                          eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc =
        prepare(m, &s, "INSERT INTO loss VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", err);
    if (rc != EG_OK)
        return rc;
    for (size_t i = 0; i < eg_ledger_n_loss(r->ledger) && rc == EG_OK; i++) {
        const eg_loss_row *l = eg_ledger_loss(r->ledger, i);
        size_t n;
        const char *exporter = eg_intern_text(r->texts, l->exporter_code, &n);
        sqlite3_bind_int64(s, 1, capture);
        sqlite3_bind_int64(s, 2, l->frame);
        sqlite3_bind_int64(s, 3, l->header_ms);
        sqlite3_bind_text(s, 4, exporter, (int)n, SQLITE_STATIC);
        sqlite3_bind_int64(s, 5, l->engine_type);
        sqlite3_bind_int64(s, 6, l->engine_id);
        sqlite3_bind_int64(s, 7, l->expected);
        sqlite3_bind_int64(s, 8, l->got);
        sqlite3_bind_int64(s, 9, l->flows_lost);
        sqlite3_bind_text(s, 10, eg_loss_kind_name(l->kind), -1, SQLITE_STATIC);
        rc = step(m, s, err);
    }
    sqlite3_finalize(s);
    return rc;
}

static eg_status add_capture(eg_manifest *m, const eg_capture_record *r, int64_t *id, eg_err *err) {
    sqlite3_stmt *s;
    char hex[2 * sizeof r->id + 1];
    eg_files_hex(&r->id, hex);
    eg_status rc = prepare(
        m, &s,
        "INSERT INTO capture(hash, state, name, n_bytes, partial, flows, datagrams, rejected, "
        "flows_lost, file, file_bytes, file_time_ns, stored_at) VALUES (?1, 'stored', ?2, ?3, ?4, "
        "(SELECT coalesce(sum(flows), 0) FROM shard WHERE state = 'pending'), ?5, ?6, ?7, ?8, ?9, "
        "?10, strftime('%Y-%m-%d %H:%M:%f', 'now'))",
        err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, hex, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, r->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, r->n_bytes);
    sqlite3_bind_int64(s, 4, r->is_partial);
    sqlite3_bind_int64(s, 5, r->datagrams);
    sqlite3_bind_int64(s, 6, r->rejected);
    sqlite3_bind_int64(s, 7, r->flows_lost);
    sqlite3_bind_text(s, 8, r->file, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 9, r->file_bytes);
    sqlite3_bind_int64(s, 10, r->file_time_ns);
    rc = finish(m, s, NULL, NULL, err);
    *id = sqlite3_last_insert_rowid(m->db);
    return rc;
}

/* The capture that another one continues stays known, with nothing in it. */
static eg_status drop_continued(eg_manifest *m, const eg_capture_id *id, eg_err *err) {
#define OF_CAPTURE " WHERE capture = (SELECT id FROM capture WHERE hash = ?1)"
    static const char *const changes[] = {
        ("UPDATE shard SET state = 'removed'" OF_CAPTURE),
        ("DELETE FROM audit" OF_CAPTURE),
        ("DELETE FROM loss" OF_CAPTURE),
        "UPDATE capture SET state = 'continued', flows = 0 WHERE hash = ?1",
    };
    char hex[2 * sizeof *id + 1];
    eg_status rc = EG_OK;
    eg_files_hex(id, hex);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0] && rc == EG_OK; i++) {
        sqlite3_stmt *s;
        rc = prepare(m, &s, changes[i], err);
        if (rc != EG_OK)
            return rc;
        sqlite3_bind_text(s, 1, hex, -1, SQLITE_STATIC);
        rc = finish(m, s, NULL, NULL, err);
    }
    return rc;
}

static eg_status manifest_publish(eg_manifest *m, const eg_capture_record *r, eg_err *err) {
    sqlite3_stmt *s;
    int64_t id = 0;
    eg_status rc = begin(m, err);
    if (rc != EG_OK)
        return rc;
    rc = add_capture(m, r, &id, err);
    if (rc == EG_OK)
        rc = add_audit(m, id, r, err);
    if (rc == EG_OK)
        rc = add_loss(m, id, r, err);
    if (rc == EG_OK && r->replaces != NULL)
        rc = drop_continued(m, r->replaces, err);
    if (rc == EG_OK)
        rc = prepare(
            m, &s, "UPDATE shard SET state = 'stored', capture = ?1 WHERE state = 'pending'", err);
    if (rc == EG_OK) {
        sqlite3_bind_int64(s, 1, id);
        rc = finish(m, s, NULL, NULL, err);
    }
    return end(m, rc, err);
}

static eg_status manifest_exchange(eg_manifest *m, const int64_t *old_ids, size_t n, eg_err *err) {
    eg_status rc = begin(m, err);
    if (rc != EG_OK)
        return rc;
    sqlite3_stmt *s;
    rc = prepare(m, &s, "UPDATE shard SET state = 'removed' WHERE id = ?1", err);
    if (rc != EG_OK)
        return end(m, rc, err);
    for (size_t i = 0; i < n && rc == EG_OK; i++) {
        sqlite3_bind_int64(s, 1, old_ids[i]);
        rc = step(m, s, err);
    }
    sqlite3_finalize(s);
    if (rc == EG_OK)
        rc = run(m, "UPDATE shard SET state = 'stored' WHERE state = 'pending'", err);
    return end(m, rc, err);
}

static const char *const state_names[] = {
    [EG_SHARD_PENDING] = "pending", [EG_SHARD_STORED] = "stored", [EG_SHARD_REMOVED] = "removed"};

static eg_status manifest_forget(eg_manifest *m, eg_shard_state state, eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = prepare(m, &s, "DELETE FROM shard WHERE state = ?1", err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, state_names[state], -1, SQLITE_STATIC);
    return finish(m, s, NULL, NULL, err);
}

static eg_status manifest_each(eg_manifest *m, eg_shard_state state, bool mergeable_only,
                               eg_manifest_each call, void *arg, eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = prepare(m, &s,
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
            rc = fail_sql(m, err);
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
    eg_status rc = prepare(m, &s,
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
        rc = fail_sql(m, err);
    sqlite3_finalize(s);
    return rc;
}

static eg_status manifest_check(eg_manifest *m, int64_t *n_flows, eg_err *err) {
    sqlite3_stmt *s;
    int64_t of_captures = 0;
    *n_flows = 0;
    eg_status rc = prepare(m, &s, "PRAGMA integrity_check(1)", err);
    if (rc != EG_OK)
        return rc;
    if (sqlite3_step(s) != SQLITE_ROW)
        rc = fail_sql(m, err);
    else if (strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0)
        rc = eg_fail(err, EG_CORRUPT, -1, "%s: %s", m->path, sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    if (rc == EG_OK)
        rc =
            prepare(m, &s, "SELECT coalesce(sum(flows), 0) FROM shard WHERE state = 'stored'", err);
    if (rc == EG_OK)
        rc = finish(m, s, NULL, n_flows, err);
    if (rc == EG_OK)
        rc = prepare(m, &s, "SELECT coalesce(sum(flows), 0) FROM capture WHERE state = 'stored'",
                     err);
    if (rc == EG_OK)
        rc = finish(m, s, NULL, &of_captures, err);
    if (rc == EG_OK && *n_flows != of_captures)
        rc = eg_fail(err, EG_CORRUPT, -1, "%s: %lld flows in shards: expected the %lld of captures",
                     m->path, (long long)*n_flows, (long long)of_captures);
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
