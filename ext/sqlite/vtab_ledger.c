/*
** netflow_audit(source)   what became of the packets: a row a file and reason
** netflow_loss(source)    breaks of flow_sequence
** netflow_scan_stats()    figures of the connection's last scan
**
** The first two read the whole source in xFilter, decoding no column, and show the
** ledger; of a dataset they show what its manifest kept.
*/
#include "dataset/dataset.h"
#include "query/scan.h"
#include "sqlite/sql_tables.h"
#include "sqlite/store_schema.h"
#include "sqlite/stored_ledger.h"

#include <stddef.h>
#include <string.h>

typedef struct ledger_kind {
    const char *name;
    const char *declaration;
    int source_column; /* -1 without one */
} ledger_kind;

enum {
    AUDIT_FILE,
    AUDIT_REASON,
    AUDIT_DECODED,
    AUDIT_REJECTED,
    AUDIT_SEEN,
    AUDIT_FRAMES,
    AUDIT_RECORDS,
    AUDIT_FIRST_FRAME,
    AUDIT_MEANING,
    AUDIT_NOTE,
    AUDIT_SOURCE
};
static const ledger_kind audit_kind = {
    .name = "netflow_audit",
    .declaration = "CREATE TABLE x(file TEXT, reason TEXT, decoded INTEGER, rejected INTEGER, "
                   "seen INTEGER, frames INTEGER, records INTEGER, first_frame INTEGER, "
                   "meaning TEXT, note TEXT, source TEXT HIDDEN" EG_SQL_SURPLUS ")",
    .source_column = AUDIT_SOURCE,
};

enum {
    LOSS_FILE,
    LOSS_FRAME,
    LOSS_TIME,
    LOSS_EXPORTER,
    LOSS_ENGINE_TYPE,
    LOSS_ENGINE_ID,
    LOSS_EXPECTED,
    LOSS_GOT,
    LOSS_FLOWS_LOST,
    LOSS_KIND,
    LOSS_SOURCE
};
static const ledger_kind loss_kind = {
    .name = "netflow_loss",
    .declaration = "CREATE TABLE x(file TEXT, frame INTEGER, time TEXT, exporter TEXT, "
                   "engine_type INTEGER, engine_id INTEGER, expected INTEGER, got INTEGER, "
                   "flows_lost INTEGER, kind TEXT, source TEXT HIDDEN" EG_SQL_SURPLUS ")",
    .source_column = LOSS_SOURCE,
};

/* Columns of netflow_scan_stats in order: the fields of eg_scan_stats. */
/* clang-format off */
#define STATS(F) \
    F(files) F(files_skipped) F(row_groups) F(row_groups_skipped) F(pages) F(pages_skipped) \
    F(datagrams) F(rejected) F(flows_lost) F(rows_read) F(rows_kept) F(bytes_read) \
    F(bytes_spilled)
/* clang-format on */
#define STATS_OFFSET(field) offsetof(eg_scan_stats, field),
#define STATS_DECLARE(field) #field " INTEGER,"
static const size_t stats_offsets[] = {STATS(STATS_OFFSET)};
#define N_STATS (sizeof stats_offsets / sizeof stats_offsets[0])
_Static_assert(sizeof(eg_scan_stats) == N_STATS * sizeof(int64_t), "every figure has a column");
static const ledger_kind stats_kind = {
    .name = "netflow_scan_stats",
    .declaration = "CREATE TABLE x(" STATS(STATS_DECLARE) "_surplus HIDDEN)",
    .source_column = -1,
};

typedef struct ledger_cursor {
    sqlite3_vtab_cursor base; /* must be first */
    eg_run run;
    eg_scan_stats stats;      /* netflow_scan_stats: as they were at xFilter */
    eg_stored_ledger *stored; /* of a dataset, instead of the run's */
    size_t at, n_rows;        /* stored: there is a row while at < n_rows */
    char *source;
} ledger_cursor;

static int ledger_connect(sqlite3 *db, eg_connection *connection, const ledger_kind *kind,
                          sqlite3_vtab **vtab) {
    return eg_sql_connect(db, sqlite3_declare_vtab(db, kind->declaration), connection, kind, vtab);
}

#define LEDGER_CONNECT(name)                                                                       \
    static int name##_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,           \
                              sqlite3_vtab **vtab, char **error) {                                 \
        (void)argc, (void)argv, (void)error;                                                       \
        return ledger_connect(db, aux, &name##_kind, vtab);                                        \
    }
LEDGER_CONNECT(audit)
LEDGER_CONNECT(loss)
LEDGER_CONNECT(stats)

static int surplus_column(const ledger_kind *k) {
    return k->source_column < 0 ? (int)N_STATS : k->source_column + 1;
}

static int ledger_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    const ledger_kind *k = ((const eg_sql_table *)vtab)->kind;
    bool has_source = false;
    info->estimatedRows = 100;
    info->estimatedCost = k->source_column < 0 ? 1 : 1e99; /* as in vtab_flows.c */
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (c->iColumn == surplus_column(k))
            return eg_sql_surplus(vtab, k->name);
        if (k->source_column < 0 || c->iColumn != k->source_column || has_source ||
            c->op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!c->usable)
            return SQLITE_CONSTRAINT;
        info->aConstraintUsage[i].argvIndex = 1;
        info->aConstraintUsage[i].omit = 1;
        info->estimatedCost = 1e6;
        has_source = true;
    }
    return SQLITE_OK;
}

static int ledger_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
    (void)vtab;
    return eg_sql_open(sizeof(ledger_cursor), out);
}

static void reset(ledger_cursor *c) {
    eg_run_close(&c->run);
    eg_stored_ledger_close(c->stored);
    sqlite3_free(c->source);
    c->stored = NULL;
    c->source = NULL;
    c->at = c->n_rows = 0;
}

static int ledger_close(sqlite3_vtab_cursor *cursor) {
    reset((ledger_cursor *)cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

/* Makes the next row of a stored ledger the current one. */
static eg_status next_stored(ledger_cursor *c, eg_err *err) {
    eg_status rc = eg_stored_ledger_next(c->stored, err);
    c->n_rows = c->at + (rc == EG_OK);
    return rc == EG_DONE ? EG_OK : rc;
}

static eg_status open_stored(ledger_cursor *c, const ledger_kind *k, const char *manifest,
                             eg_err *err) {
    char *path = sqlite3_mprintf("%s%s", c->source, manifest);
    eg_status rc =
        path == NULL
            ? eg_fail_nomem(err, "a path")
            : eg_stored_ledger_open(path, k == &audit_kind ? EG_STORED_AUDIT : EG_STORED_LOSS,
                                    &c->stored, err);
    sqlite3_free(path);
    return rc == EG_OK ? next_stored(c, err) : rc;
}

/* Reads a source to its end for what the ledger says of it. */
static eg_status read_through(ledger_cursor *c, const eg_sql_table *t, eg_err *err) {
    eg_status rc = eg_run_begin(&c->run, t->connection, err);
    c->run.kind = EG_SOURCE_CAPTURES;
    if (rc == EG_OK)
        rc = eg_run_open(&c->run, c->source, strlen(c->source), 0, err);
    const eg_batch *batch;
    while (rc == EG_OK)
        rc = eg_scan_next(c->run.scan, &batch, err);
    if (rc == EG_DONE)
        rc = eg_run_finish(&c->run, err);
    if (rc == EG_OK)
        c->n_rows = t->kind == &audit_kind ? eg_ledger_n_audit(c->run.ledger)
                                           : eg_ledger_n_loss(c->run.ledger);
    return rc;
}

static eg_status open_ledger(ledger_cursor *c, const eg_sql_table *t, const char *source,
                             eg_err *err) {
    const ledger_kind *k = t->kind;
    if (source == NULL)
        return eg_fail(err, EG_MISUSE, -1,
                       "%s: the argument source is missing: expected a capture file, a directory, "
                       "a glob, a list of them, a dataset or a store",
                       k->name);
    c->source = sqlite3_mprintf("%s", source);
    if (c->source == NULL)
        return eg_fail_nomem(err, "a source");
    if (eg_is_dataset(source))
        return open_stored(c, k, "/" EG_DATASET_MANIFEST, err);
    eg_store_kind kind;
    eg_status rc = eg_store_probe(source, &kind, err);
    if (rc != EG_OK)
        return rc;
    return kind == EG_STORE ? open_stored(c, k, "", err) : read_through(c, t, err);
}

static int ledger_filter(sqlite3_vtab_cursor *cursor, int index, const char *plan, int argc,
                         sqlite3_value **argv) {
    (void)index, (void)plan;
    ledger_cursor *c = (ledger_cursor *)cursor;
    const eg_sql_table *t = (const eg_sql_table *)cursor->pVtab;
    reset(c);
    if (t->kind == &stats_kind) {
        c->stats = t->connection->last;
        c->n_rows = 1;
        return SQLITE_OK;
    }
    eg_err err;
    const char *source = NULL;
    eg_status rc = argc > 0 ? eg_sql_text(argv[0], &source, &err) : EG_OK;
    if (rc == EG_OK)
        rc = open_ledger(c, t, source, &err);
    return rc == EG_OK ? SQLITE_OK : eg_sql_fail(cursor->pVtab, &err);
}

static int ledger_next(sqlite3_vtab_cursor *cursor) {
    ledger_cursor *c = (ledger_cursor *)cursor;
    eg_err err;
    c->at++;
    if (c->stored != NULL && next_stored(c, &err) != EG_OK)
        return eg_sql_fail(cursor->pVtab, &err);
    return SQLITE_OK;
}

static int ledger_eof(sqlite3_vtab_cursor *cursor) {
    const ledger_cursor *c = (const ledger_cursor *)cursor;
    return c->at >= c->n_rows;
}

static void result_code(sqlite3_context *ctx, const ledger_cursor *c, uint32_t code) {
    size_t n;
    const char *text = eg_intern_text(c->run.texts, code, &n);
    sqlite3_result_text(ctx, text, (int)n, SQLITE_TRANSIENT);
}

static void audit_column(sqlite3_context *ctx, const ledger_cursor *c, int column) {
    const eg_audit_row *row = eg_ledger_audit(c->run.ledger, c->at);
    const eg_reason_info *reason = eg_reason_about(row->reason);
    switch (column) {
    case AUDIT_FILE:
        result_code(ctx, c, row->file_code);
        break;
    case AUDIT_REASON:
        eg_sql_result_text(ctx, reason->name);
        break;
    case AUDIT_DECODED:
        sqlite3_result_int64(ctx, reason->decoded ? row->datagrams : 0);
        break;
    case AUDIT_REJECTED:
        sqlite3_result_int64(ctx, reason->decoded ? 0 : row->datagrams);
        break;
    case AUDIT_SEEN:
        sqlite3_result_int64(ctx, row->datagrams);
        break;
    case AUDIT_FRAMES:
        sqlite3_result_int64(ctx, row->frames);
        break;
    case AUDIT_RECORDS:
        sqlite3_result_int64(ctx, row->records);
        break;
    case AUDIT_FIRST_FRAME:
        sqlite3_result_int64(ctx, row->first_frame);
        break;
    case AUDIT_MEANING:
        eg_sql_result_text(ctx, reason->meaning);
        break;
    case AUDIT_NOTE:
        eg_sql_result_text(ctx, row->note);
        break;
    }
}

static void loss_column(sqlite3_context *ctx, const ledger_cursor *c, int column) {
    const eg_loss_row *row = eg_ledger_loss(c->run.ledger, c->at);
    char time[EG_TIME_TEXT_MAX];
    switch (column) {
    case LOSS_FILE:
        result_code(ctx, c, row->file_code);
        break;
    case LOSS_FRAME:
        sqlite3_result_int64(ctx, row->frame);
        break;
    case LOSS_TIME:
        eg_time_format(row->header_ms, time);
        eg_sql_result_text(ctx, time);
        break;
    case LOSS_EXPORTER:
        result_code(ctx, c, row->exporter_code);
        break;
    case LOSS_ENGINE_TYPE:
        sqlite3_result_int(ctx, row->engine_type);
        break;
    case LOSS_ENGINE_ID:
        sqlite3_result_int(ctx, row->engine_id);
        break;
    case LOSS_EXPECTED:
        sqlite3_result_int64(ctx, row->expected);
        break;
    case LOSS_GOT:
        sqlite3_result_int64(ctx, row->got);
        break;
    case LOSS_FLOWS_LOST:
        sqlite3_result_int64(ctx, row->flows_lost);
        break;
    case LOSS_KIND:
        eg_sql_result_text(ctx, eg_loss_kind_name(row->kind));
        break;
    }
}

static int ledger_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int column) {
    const ledger_cursor *c = (const ledger_cursor *)cursor;
    const ledger_kind *k = ((const eg_sql_table *)cursor->pVtab)->kind;
    if (c->stored != NULL && column < k->source_column) {
        eg_stored_ledger_column(c->stored, column, ctx);
    } else if (column == k->source_column) {
        eg_sql_result_text(ctx, c->source);
    } else if (c->stored != NULL) {
        return SQLITE_OK;
    } else if (k == &audit_kind) {
        audit_column(ctx, c, column);
    } else if (k == &loss_kind) {
        loss_column(ctx, c, column);
    } else if ((size_t)column < N_STATS) {
        int64_t figure;
        memcpy(&figure, (const char *)&c->stats + stats_offsets[column], sizeof figure);
        sqlite3_result_int64(ctx, figure);
    }
    return SQLITE_OK;
}

static int ledger_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    const ledger_cursor *c = (const ledger_cursor *)cursor;
    uint64_t hash = c->source != NULL ? eg_sql_hash(0, c->source, strlen(c->source)) : 0;
    *rowid = eg_sql_rowid(hash, (int64_t)c->at);
    return SQLITE_OK;
}

#define LEDGER_MODULE(connect)                                                                     \
    {                                                                                              \
        .iVersion = 2, .xConnect = (connect), .xBestIndex = ledger_best_index,                     \
        .xDisconnect = eg_sql_disconnect, .xOpen = ledger_open, .xClose = ledger_close,            \
        .xFilter = ledger_filter, .xNext = ledger_next, .xEof = ledger_eof,                        \
        .xColumn = ledger_column, .xRowid = ledger_rowid,                                          \
    }
static const sqlite3_module audit_module = LEDGER_MODULE(audit_connect);
static const sqlite3_module loss_module = LEDGER_MODULE(loss_connect);
static const sqlite3_module stats_module = LEDGER_MODULE(stats_connect);

int eg_register_ledger(eg_connection *c) {
    int rc = eg_sql_module(c, audit_kind.name, &audit_module);
    if (rc == SQLITE_OK)
        rc = eg_sql_module(c, loss_kind.name, &loss_module);
    return rc == SQLITE_OK ? eg_sql_module(c, stats_kind.name, &stats_module) : rc;
}
