#include "sqlite/stored_ledger.h"

#include <string.h>

#include "capture/reasons.h"
#include "flow/schema.h"
#include "sqlite/database.h"
#include "sqlite/sql_tables.h"

#define MEANING 8 /* column of netflow_audit: known by the reason's name, in column 1 */
#define TIME 2    /* column of netflow_loss: stored as milliseconds */

struct eg_stored_ledger {
    eg_database file;
    sqlite3_stmt *rows;
    eg_stored_table table;
};

static const char *const queries[] = {
    [EG_STORED_AUDIT] = "SELECT c.name, a.reason, iif(a.is_decoded, a.datagrams, 0), "
                        "iif(a.is_decoded, 0, a.datagrams), a.datagrams, a.frames, a.records, "
                        "a.first_frame, NULL, a.note FROM audit a JOIN capture c ON c.id = "
                        "a.capture ORDER BY c.id, a.rowid",
    [EG_STORED_LOSS] = "SELECT c.name, l.frame, l.header_ms, l.exporter, l.engine_type, "
                       "l.engine_id, l.expected, l.got, l.flows_lost, l.kind FROM loss l JOIN "
                       "capture c ON c.id = l.capture ORDER BY c.id, l.rowid",
};

eg_status eg_stored_ledger_open(const char *path, eg_stored_table table, eg_stored_ledger **out,
                                eg_err *err) {
    *out = NULL;
    eg_stored_ledger *l = sqlite3_malloc64(sizeof *l);
    if (l == NULL)
        return eg_fail_nomem(err, "a stored ledger");
    *l = (eg_stored_ledger){.table = table};
    eg_status rc = eg_db_open(&l->file, path, 0, err);
    if (rc == EG_OK)
        rc = eg_db_prepare(&l->file, &l->rows, queries[table], err);
    if (rc != EG_OK) {
        eg_stored_ledger_close(l);
        return rc;
    }
    *out = l;
    return EG_OK;
}

eg_status eg_stored_ledger_next(eg_stored_ledger *l, eg_err *err) {
    int rc = sqlite3_step(l->rows);
    return rc == SQLITE_ROW ? EG_OK : rc == SQLITE_DONE ? EG_DONE : eg_db_fail(&l->file, err);
}

/* What a reason means; NULL for one of another version. */
static const char *meaning(const char *name) {
    for (int r = 0; name != NULL && r < EG_N_REASONS; r++)
        if (strcmp(eg_reason_about((eg_reason)r)->name, name) == 0)
            return eg_reason_about((eg_reason)r)->meaning;
    return NULL;
}

void eg_stored_ledger_column(const eg_stored_ledger *l, int column, sqlite3_context *ctx) {
    char time[EG_TIME_TEXT_MAX];
    if (l->table == EG_STORED_AUDIT && column == MEANING) {
        eg_sql_result_text(ctx, meaning((const char *)sqlite3_column_text(l->rows, 1)));
    } else if (l->table == EG_STORED_LOSS && column == TIME) {
        eg_time_format(sqlite3_column_int64(l->rows, TIME), time);
        eg_sql_result_text(ctx, time);
    } else {
        sqlite3_result_value(ctx, sqlite3_column_value(l->rows, column));
    }
}

void eg_stored_ledger_close(eg_stored_ledger *l) {
    if (l == NULL)
        return;
    sqlite3_finalize(l->rows);
    eg_db_close(&l->file);
    sqlite3_free(l);
}
