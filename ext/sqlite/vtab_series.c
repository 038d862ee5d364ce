/*
** netflow_series(source, step [, keys])   time, bytes, packets, flows, key; time_ms
**
** Sums by time and key inside the engine, by time and then by key; key is '' without keys.
** Arguments and filters are as sql_sums.h says: filters choose flows, and time, which is a
** result, chooses rows.
*/
#include "query/series.h"
#include "sqlite/sql_sums.h"

#include <string.h>

enum { COL_TIME, COL_BYTES, COL_PACKETS, COL_FLOWS, COL_KEY, N_RESULTS };

static const eg_sums_kind series_kind = {
    .name = "netflow_series",
    .results = ", time TEXT, bytes INTEGER, packets INTEGER, flows INTEGER, key TEXT",
    .arguments = ", source TEXT HIDDEN, step TEXT HIDDEN, keys TEXT HIDDEN" EG_SQL_SURPLUS,
    .hidden_results = ", time_ms INTEGER HIDDEN",
    .n_results = N_RESULTS,
    .n_arguments = 3,
    .has_keys = true,
    .order = {EG_ARG_SOURCE, EG_ARG_STEP, EG_ARG_KEYS},
};

typedef struct series_cursor {
    sqlite3_vtab_cursor base; /* must be first */
    eg_run run;
    eg_sums_call call;
    eg_series *series; /* NULL before xFilter */
    uint64_t at;
    eg_series_row row; /* row `at` */
} series_cursor;

static int series_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                          sqlite3_vtab **vtab, char **error) {
    (void)argc, (void)argv, (void)error;
    return eg_sums_connect(db, aux, &series_kind, &series_kind, vtab);
}

static int series_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    eg_sql_plan plan;
    bool all_taken;
    int rc = eg_sums_plan(vtab, &series_kind, info, &plan, &all_taken);
    if (rc != SQLITE_OK)
        return rc;
    int by = info->nOrderBy == 1 && !info->aOrderBy[0].desc ? info->aOrderBy[0].iColumn : -1;
    if (by == COL_TIME || by == eg_sums_hidden_result(&series_kind))
        info->orderByConsumed = 1;
    return eg_sql_plan_end(&plan, info);
}

static int series_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
    (void)vtab;
    return eg_sql_open(sizeof(series_cursor), out);
}

static void clear(series_cursor *c) {
    eg_series_close(c->series);
    c->series = NULL;
    eg_run_close(&c->run);
    eg_sums_clear(&c->call);
    c->at = 0;
}

static int series_close(sqlite3_vtab_cursor *cursor) {
    clear((series_cursor *)cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static eg_status make_spec(eg_sums_call *call, eg_series_spec *spec, eg_err *err) {
    memset(spec, 0, sizeof *spec);
    eg_status rc = eg_sums_need_source(call, &series_kind, err);
    if (rc != EG_OK)
        return rc;
    const char *step = eg_sums_text(call, EG_ARG_STEP), *keys = eg_sums_text(call, EG_ARG_KEYS);
    if (step == NULL)
        return eg_fail(err, EG_MISUSE, -1,
                       "netflow_series: the argument step is missing: expected a whole number of "
                       "s, m, h or d, from '1s' to '1d', as in '5m'");
    rc = eg_series_parse_step(step, strlen(step), &spec->step_ms, err);
    if (rc == EG_OK && keys != NULL)
        rc = eg_group_parse_keys(keys, strlen(keys), call->keys, &call->n_keys, err);
    spec->keys = call->keys;
    spec->n_keys = call->n_keys;
    return rc;
}

static void load_row(series_cursor *c) {
    if (c->series != NULL && c->at < eg_series_count(c->series))
        eg_series_get(c->series, c->at, &c->row);
}

static eg_status run(series_cursor *c, const char *plan, int argc, sqlite3_value **argv,
                     eg_err *err) {
    eg_series_spec spec;
    eg_status rc = eg_sums_read(&c->call, &c->run, plan, argc, argv, err);
    if (rc == EG_OK)
        rc = make_spec(&c->call, &spec, err);
    if (rc == EG_OK)
        rc = eg_sums_check_prefixes(&c->call, &series_kind, plan, argc, argv, err);
    if (rc != EG_OK)
        return rc;
    const char *source = eg_sums_text(&c->call, EG_ARG_SOURCE);
    rc = eg_run_open(&c->run, source, strlen(source), eg_series_vectors(&spec), err);
    if (rc == EG_OK)
        rc = eg_series_run(c->run.scan, c->run.texts, &spec, &c->series, err);
    return rc == EG_OK ? eg_run_finish(&c->run, err) : rc;
}

static int series_filter(sqlite3_vtab_cursor *cursor, int index, const char *plan, int argc,
                         sqlite3_value **argv) {
    (void)index;
    series_cursor *c = (series_cursor *)cursor;
    const eg_sql_table *t = (const eg_sql_table *)cursor->pVtab;
    clear(c);
    eg_err err;
    eg_status rc = eg_run_begin(&c->run, t->connection, &err);
    if (rc == EG_OK)
        rc = run(c, plan, argc, argv, &err);
    if (rc != EG_OK)
        return eg_sql_fail(cursor->pVtab, &err);
    load_row(c);
    return SQLITE_OK;
}

static int series_next(sqlite3_vtab_cursor *cursor) {
    series_cursor *c = (series_cursor *)cursor;
    c->at++;
    load_row(c);
    return SQLITE_OK;
}

static int series_eof(sqlite3_vtab_cursor *cursor) {
    const series_cursor *c = (const series_cursor *)cursor;
    return c->series == NULL || c->at >= eg_series_count(c->series);
}

/* Steps are whole seconds, and so is the text: a beginning of the texts that start_time has. */
static void result_time(sqlite3_context *ctx, int64_t ms) {
    char text[EG_TIME_TEXT_MAX];
    size_t n = eg_time_format(ms, text) - strlen(".000");
    sqlite3_result_text(ctx, text, (int)n, SQLITE_TRANSIENT);
}

static int series_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int column) {
    const series_cursor *c = (const series_cursor *)cursor;
    if (eg_sums_result(ctx, &series_kind, &c->call, column, c->row.keys, c->run.texts))
        return SQLITE_OK;
    switch (column) {
    case COL_TIME:
        result_time(ctx, c->row.time_ms);
        break;
    case COL_BYTES:
        sqlite3_result_int64(ctx, c->row.bytes);
        break;
    case COL_PACKETS:
        sqlite3_result_int64(ctx, c->row.packets);
        break;
    case COL_FLOWS:
        sqlite3_result_int64(ctx, c->row.flows);
        break;
    case COL_KEY:
        eg_sums_result_keys(ctx, &c->call, c->row.keys, c->run.texts);
        break;
    default: /* time_ms */
        sqlite3_result_int64(ctx, c->row.time_ms);
        break;
    }
    return SQLITE_OK;
}

static int series_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    const series_cursor *c = (const series_cursor *)cursor;
    uint64_t hash = eg_sql_hash(c->call.hash, &c->row.time_ms, sizeof c->row.time_ms);
    *rowid = eg_sums_rowid(&c->call, hash, c->row.keys, c->run.texts);
    return SQLITE_OK;
}

static const sqlite3_module series_module = {
    .iVersion = 2,
    .xConnect = series_connect,
    .xBestIndex = series_best_index,
    .xDisconnect = eg_sql_disconnect,
    .xOpen = series_open,
    .xClose = series_close,
    .xFilter = series_filter,
    .xNext = series_next,
    .xEof = series_eof,
    .xColumn = series_column,
    .xRowid = series_rowid,
    .xFindFunction = eg_sql_find_function,
};

int eg_register_series(eg_connection *c) {
    return eg_sql_module(c, series_kind.name, &series_module);
}
