/*
** netflow_active(source [, limit])                  addr1, addr2, bytes, packets, flows
** netflow_top(source, keys [, measure [, limit]])   key, bytes, packets, flows
**
** Sums by key inside the engine, busiest first, ties by key. Arguments and filters are as
** sql_sums.h says.
*/
#include "query/group.h"
#include "sqlite/settings.h"
#include "sqlite/sql_sums.h"
#include "sqlite/sql_value.h"

#include <string.h>

typedef struct group_kind {
    eg_sums_kind sums;
    int bytes_column; /* of the results; packets and flows follow */
} group_kind;

static const group_kind active_kind = {
    .sums =
        {
            .name = "netflow_active",
            .results = ", addr1 TEXT, addr2 TEXT, bytes INTEGER, packets INTEGER, flows INTEGER",
            .arguments = ", source TEXT HIDDEN, \"limit\" INTEGER HIDDEN" EG_SQL_SURPLUS,
            .hidden_results = "",
            .n_results = 5,
            .n_arguments = 2,
            .order = {EG_ARG_SOURCE, EG_ARG_LIMIT},
        },
    .bytes_column = 2,
};

static const group_kind top_kind = {
    .sums =
        {
            .name = "netflow_top",
            .results = ", key TEXT, bytes INTEGER, packets INTEGER, flows INTEGER",
            .arguments = ", source TEXT HIDDEN, keys TEXT HIDDEN, measure TEXT HIDDEN"
                         ", \"limit\" INTEGER HIDDEN" EG_SQL_SURPLUS,
            .hidden_results = "",
            .n_results = 4,
            .n_arguments = 4,
            .has_keys = true,
            .order = {EG_ARG_SOURCE, EG_ARG_KEYS, EG_ARG_MEASURE, EG_ARG_LIMIT},
        },
    .bytes_column = 1,
};

typedef struct group_cursor {
    sqlite3_vtab_cursor base; /* must be first */
    eg_run run;
    eg_sums_call call;
    eg_groups *groups; /* NULL before xFilter */
    uint64_t at;
    eg_group_row row; /* group `at` */
} group_cursor;

static int active_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                          sqlite3_vtab **vtab, char **error) {
    (void)argc, (void)argv, (void)error;
    return eg_sums_connect(db, aux, &active_kind.sums, &active_kind, vtab);
}

static int top_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                       sqlite3_vtab **vtab, char **error) {
    (void)argc, (void)argv, (void)error;
    return eg_sums_connect(db, aux, &top_kind.sums, &top_kind, vtab);
}

/* The results come largest first: does that serve the statement's ORDER BY? The
** measure of netflow_top is known in xFilter only, so just netflow_active says so. */
static bool serves_order(const group_kind *k, const sqlite3_index_info *info) {
    return k == &active_kind && info->nOrderBy == 1 && info->aOrderBy[0].desc &&
           info->aOrderBy[0].iColumn == k->bytes_column;
}

static int group_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    const group_kind *k = ((const eg_sql_table *)vtab)->kind;
    eg_sql_plan plan;
    bool all_taken;
    int limit = -1, offset = -1;
    int rc = eg_sums_plan(vtab, &k->sums, info, &plan, &all_taken);
    if (rc != SQLITE_OK)
        return rc;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_LIMIT)
            limit = i;
        else if (info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_OFFSET)
            offset = i;
    }
    bool in_order = serves_order(k, info);
    if (in_order)
        info->orderByConsumed = 1;
    /* LIMIT bounds the work when nothing between us and it drops or reorders rows; OFFSET
    ** stays SQLite's, so both are read. */
    if (limit >= 0 && all_taken && (info->nOrderBy == 0 || in_order) &&
        info->aConstraint[limit].usable && (offset < 0 || info->aConstraint[offset].usable)) {
        eg_sql_plan_add(&plan, info, limit, 'k', 0, false);
        if (offset >= 0)
            eg_sql_plan_add(&plan, info, offset, 'o', 0, false);
    }
    return eg_sql_plan_end(&plan, info);
}

static int group_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
    (void)vtab;
    return eg_sql_open(sizeof(group_cursor), out);
}

static void clear(group_cursor *c) {
    eg_groups_close(c->groups);
    c->groups = NULL;
    eg_run_close(&c->run);
    eg_sums_clear(&c->call);
    c->at = 0;
}

static int group_close(sqlite3_vtab_cursor *cursor) {
    clear((group_cursor *)cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

/* A positive row count, or 0 for "all": absent, NULL or negative. */
static eg_status read_limit(const eg_sums_kind *k, sqlite3_value *value, uint64_t *limit,
                            eg_err *err) {
    *limit = 0;
    if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL)
        return EG_OK;
    int type = sqlite3_value_numeric_type(value);
    if (type != SQLITE_INTEGER &&
        (type != SQLITE_FLOAT || sqlite3_value_double(value) != (double)sqlite3_value_int64(value)))
        return eg_fail(err, EG_MISUSE, -1, "%s: limit '%.40s' is no row count: expected an integer",
                       k->name, (const char *)sqlite3_value_text(value));
    int64_t n = sqlite3_value_int64(value);
    *limit = n < 0 ? 0 : n == 0 ? UINT64_MAX : (uint64_t)n; /* UINT64_MAX marks "none" */
    return EG_OK;
}

static eg_status make_spec(group_cursor *c, const group_kind *k, eg_group_spec *spec, eg_err *err) {
    static const eg_key pair[2] = {{EG_COL_SRCADDR, 32}, {EG_COL_DSTADDR, 32}};
    memset(spec, 0, sizeof *spec);
    eg_sums_call *call = &c->call;
    eg_status rc = eg_sums_need_source(call, &k->sums, err);
    if (rc != EG_OK)
        return rc;
    if (k == &active_kind) {
        memcpy(call->keys, pair, sizeof pair);
        call->n_keys = 2;
        spec->unordered_pair = true;
    } else {
        const char *keys = eg_sums_text(call, EG_ARG_KEYS);
        if (keys == NULL)
            return eg_fail(err, EG_MISUSE, -1,
                           "%s: the argument keys is missing: expected column names, as in "
                           "'srcaddr,dstport' or 'srcaddr/24'",
                           k->sums.name);
        rc = eg_group_parse_keys(keys, strlen(keys), call->keys, &call->n_keys, err);
        const char *measure = eg_sums_text(call, EG_ARG_MEASURE);
        if (rc == EG_OK && measure != NULL &&
            !eg_group_parse_measure(measure, strlen(measure), &spec->measure))
            rc = eg_fail(err, EG_MISUSE, -1,
                         "%s: measure '%.40s': expected 'bytes', 'packets' or 'flows'",
                         k->sums.name, measure);
    }
    spec->keys = call->keys;
    spec->n_keys = call->n_keys;
    if (rc == EG_OK)
        rc = read_limit(&k->sums, call->arguments[EG_ARG_LIMIT], &spec->limit, err);
    if (rc == EG_OK)
        rc = eg_settings_memory(c->run.connection, &spec->memory_bytes, err);
    return rc;
}

/* Narrows the argument limit by SQL's LIMIT and OFFSET. */
static void narrow(eg_group_spec *spec, int64_t limit, int64_t offset) {
    if (limit < 0 || spec->limit == UINT64_MAX)
        return;
    uint64_t n = (uint64_t)limit + (offset > 0 ? (uint64_t)offset : 0);
    if (n == 0)
        n = 1; /* 0 would mean all */
    if (spec->limit == 0 || n < spec->limit)
        spec->limit = n;
}

/* Fetches the cursor's next row; there may be none. */
static int load_row(group_cursor *c) {
    eg_err err;
    eg_status rc = c->groups != NULL ? eg_groups_next(c->groups, &c->row, &err) : EG_DONE;
    return rc == EG_OK || rc == EG_DONE ? SQLITE_OK : eg_sql_fail(c->base.pVtab, &err);
}

static eg_status run(group_cursor *c, const group_kind *k, const char *plan, int argc,
                     sqlite3_value **argv, eg_err *err) {
    eg_group_spec spec;
    eg_status rc = eg_sums_read(&c->call, &c->run, plan, argc, argv, err);
    if (rc == EG_OK)
        rc = make_spec(c, k, &spec, err);
    if (rc == EG_OK)
        rc = eg_sums_check_prefixes(&c->call, &k->sums, plan, argc, argv, err);
    if (rc != EG_OK)
        return rc;
    narrow(&spec, c->call.limit, c->call.offset);
    spec.unused = ~(unsigned)(eg_sql_plan_used(plan) >> k->bytes_column);
    c->run.splits = true;
    const char *source = eg_sums_text(&c->call, EG_ARG_SOURCE);
    rc = eg_run_open(&c->run, source, strlen(source), eg_group_vectors(&spec), err);
    if (rc == EG_OK && spec.limit != UINT64_MAX)
        rc = eg_group_run(c->run.scan, c->run.texts, &spec, &c->groups, err);
    return rc == EG_OK ? eg_run_finish(&c->run, err) : rc;
}

static int group_filter(sqlite3_vtab_cursor *cursor, int index, const char *plan, int argc,
                        sqlite3_value **argv) {
    (void)index;
    group_cursor *c = (group_cursor *)cursor;
    const eg_sql_table *t = (const eg_sql_table *)cursor->pVtab;
    clear(c);
    eg_err err;
    eg_status rc = eg_run_begin(&c->run, t->connection, &err);
    if (rc == EG_OK)
        rc = run(c, t->kind, plan, argc, argv, &err);
    if (rc != EG_OK)
        return eg_sql_fail(cursor->pVtab, &err);
    return load_row(c);
}

static int group_next(sqlite3_vtab_cursor *cursor) {
    group_cursor *c = (group_cursor *)cursor;
    c->at++;
    return load_row(c);
}

static int group_eof(sqlite3_vtab_cursor *cursor) {
    const group_cursor *c = (const group_cursor *)cursor;
    return c->groups == NULL || c->at >= eg_groups_count(c->groups);
}

static int group_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int column) {
    const group_cursor *c = (const group_cursor *)cursor;
    const group_kind *k = ((const eg_sql_table *)cursor->pVtab)->kind;
    if (eg_sums_result(ctx, &k->sums, &c->call, column, c->row.keys, c->run.texts))
        return SQLITE_OK;
    if (column >= k->bytes_column) {
        const int64_t sums[3] = {c->row.bytes, c->row.packets, c->row.flows};
        sqlite3_result_int64(ctx, sums[column - k->bytes_column]);
    } else if (k == &active_kind) {
        eg_sql_result_number(ctx, EG_COL_SRCADDR, c->row.keys[column], c->run.texts);
    } else {
        eg_sums_result_keys(ctx, &c->call, c->row.keys, c->run.texts);
    }
    return SQLITE_OK;
}

static int group_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    /* From the keys: the same group has the same number whatever its rank in this scan
    ** (FULL JOIN reads twice), and another in a scan with other arguments. */
    const group_cursor *c = (const group_cursor *)cursor;
    *rowid = eg_sums_rowid(&c->call, c->call.hash, c->row.keys, c->run.texts);
    return SQLITE_OK;
}

#define GROUP_MODULE(connect)                                                                      \
    {                                                                                              \
        .iVersion = 2, .xConnect = (connect), .xBestIndex = group_best_index,                      \
        .xDisconnect = eg_sql_disconnect, .xOpen = group_open, .xClose = group_close,              \
        .xFilter = group_filter, .xNext = group_next, .xEof = group_eof, .xColumn = group_column,  \
        .xRowid = group_rowid, .xFindFunction = eg_sql_find_function,                              \
    }
static const sqlite3_module active_module = GROUP_MODULE(active_connect);
static const sqlite3_module top_module = GROUP_MODULE(top_connect);

int eg_register_groups(eg_connection *c) {
    int rc = eg_sql_module(c, "netflow_active", &active_module);
    return rc == SQLITE_OK ? eg_sql_module(c, "netflow_top", &top_module) : rc;
}
