/* Texts are bound where they stand: a copy that fails would leave a NULL behind. */
#include "sqlite/capture_tables.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "dataset/dataset_files.h"

/* ---- Asking */

eg_status eg_captures_find(const eg_database *d, const eg_capture_id *id, bool *found,
                           eg_err *err) {
    sqlite3_stmt *s;
    char hex[2 * sizeof *id + 1];
    eg_files_hex(id, hex);
    eg_status rc = eg_db_prepare(d, &s, "SELECT 1 FROM capture WHERE hash = ?1", err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, hex, -1, SQLITE_STATIC);
    return eg_db_finish(d, s, found, NULL, err);
}

eg_status eg_captures_has_file(const eg_database *d, const char *file, int64_t n_bytes,
                               int64_t time_ns, bool *found, eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = eg_db_prepare(d, &s,
                                 "SELECT 1 FROM capture WHERE file = ?1 AND file_bytes = ?2 AND "
                                 "file_time_ns = ?3 LIMIT 1",
                                 err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(s, 1, file, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, 2, n_bytes);
    sqlite3_bind_int64(s, 3, time_ns);
    return eg_db_finish(d, s, found, NULL, err);
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

eg_status eg_captures_partial(const eg_database *d, eg_stored_capture **list, size_t *n,
                              eg_err *err) {
    sqlite3_stmt *s;
    size_t capacity = 0;
    *list = NULL;
    *n = 0;
    eg_status rc = eg_db_prepare(d, &s,
                                 "SELECT hash, n_bytes, flows FROM capture WHERE partial AND "
                                 "state = 'stored' ORDER BY n_bytes",
                                 err);
    if (rc != EG_OK)
        return rc;
    int found;
    while (rc == EG_OK && (found = sqlite3_step(s)) != SQLITE_DONE) {
        if (found != SQLITE_ROW) {
            rc = eg_db_fail(d, err);
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

/* ---- Adding */

static eg_status add_audit(const eg_database *d, int64_t capture, const eg_capture_record *r,
                           eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc =
        eg_db_prepare(d, &s, "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", err);
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
        rc = eg_db_step(d, s, err);
    }
    sqlite3_finalize(s);
    return rc;
}

static eg_status add_loss(const eg_database *d, int64_t capture, const eg_capture_record *r,
                          eg_err *err) {
    sqlite3_stmt *s;
    eg_status rc = eg_db_prepare(
        d, &s, "INSERT INTO loss VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", err);
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
        rc = eg_db_step(d, s, err);
    }
    sqlite3_finalize(s);
    return rc;
}

static eg_status add_capture(const eg_database *d, const eg_capture_record *r, int64_t n_flows,
                             int64_t *id, eg_err *err) {
    sqlite3_stmt *s;
    char hex[2 * sizeof r->id + 1];
    eg_files_hex(&r->id, hex);
    eg_status rc = eg_db_prepare(
        d, &s,
        "INSERT INTO capture(hash, state, name, n_bytes, partial, flows, datagrams, rejected, "
        "flows_lost, file, file_bytes, file_time_ns, stored_at) VALUES (?1, 'stored', ?2, ?3, ?4, "
        "?11, ?5, ?6, ?7, ?8, ?9, ?10, strftime('%Y-%m-%d %H:%M:%f', 'now'))",
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
    sqlite3_bind_int64(s, 11, n_flows);
    rc = eg_db_finish(d, s, NULL, NULL, err);
    *id = sqlite3_last_insert_rowid(d->db);
    return rc;
}

eg_status eg_captures_drop(const eg_database *d, const eg_capture_id *id, eg_err *err) {
#define OF_CAPTURE " WHERE capture = (SELECT id FROM capture WHERE hash = ?1)"
    static const char *const changes[] = {
        ("DELETE FROM audit" OF_CAPTURE),
        ("DELETE FROM loss" OF_CAPTURE),
        "UPDATE capture SET state = 'continued', flows = 0 WHERE hash = ?1",
    };
    char hex[2 * sizeof *id + 1];
    eg_status rc = EG_OK;
    eg_files_hex(id, hex);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0] && rc == EG_OK; i++) {
        sqlite3_stmt *s;
        rc = eg_db_prepare(d, &s, changes[i], err);
        if (rc != EG_OK)
            return rc;
        sqlite3_bind_text(s, 1, hex, -1, SQLITE_STATIC);
        rc = eg_db_finish(d, s, NULL, NULL, err);
    }
    return rc;
}

eg_status eg_captures_add(const eg_database *d, const eg_capture_record *r, int64_t n_flows,
                          int64_t *id, eg_err *err) {
    eg_status rc = add_capture(d, r, n_flows, id, err);
    if (rc == EG_OK)
        rc = add_audit(d, *id, r, err);
    if (rc == EG_OK)
        rc = add_loss(d, *id, r, err);
    return rc;
}
