/*
** netflow_active(source [, limit])                  addr1, addr2, bytes, packets, flows
** netflow_top(source, keys [, measure [, limit]])   key, bytes, packets, flows
**
** Sums by key inside the engine, busiest first, ties by key. Behind the results
** come the arguments and every schema column but packets and bytes, hidden, as
** filters: WHERE terms on them choose the flows that are summed. They are taken
** exactly and not checked again, so one that cannot be taken (LIKE, OR) is an
** error rather than a wrong answer. A filter that is one of netflow_top's keys is
** also a result: the group's value in that column.
*/
#include "query/group.h"
#include "sqlite/settings.h"
#include "sqlite/sql_constraint.h"
#include "sqlite/sql_tables.h"
#include "sqlite/sql_value.h"

#include <string.h>

/* The arguments, in the order of a call. */
enum { ARG_SOURCE, ARG_KEYS, ARG_MEASURE, ARG_LIMIT, N_ARGS };

typedef struct group_kind {
    const char *name;
    const char *results;         /* column list of the results, as eg_sql_declare_table wants it */
    const char *arguments;       /* and of the arguments */
    int n_results, n_arguments;  /* columns of each */
    int bytes_column;            /* of the results; packets and flows follow */
    int arguments_order[N_ARGS]; /* ARG_ of each argument column */
} group_kind;

static const group_kind active_kind = {
    .name = "netflow_active",
    .results = ", addr1 TEXT, addr2 TEXT, bytes INTEGER, packets INTEGER, flows INTEGER",
    .arguments = ", source TEXT HIDDEN, \"limit\" INTEGER HIDDEN" EG_SQL_SURPLUS,
    .n_results = 5,
    .n_arguments = 2,
    .bytes_column = 2,
    .arguments_order = {ARG_SOURCE, ARG_LIMIT},
};

static const group_kind top_kind = {
    .name = "netflow_top",
    .results = ", key TEXT, bytes INTEGER, packets INTEGER, flows INTEGER",
    .arguments = ", source TEXT HIDDEN, keys TEXT HIDDEN, measure TEXT HIDDEN"
                 ", \"limit\" INTEGER HIDDEN" EG_SQL_SURPLUS,
    .n_results = 4,
    .n_arguments = 4,
    .bytes_column = 1,
    .arguments_order = {ARG_SOURCE, ARG_KEYS, ARG_MEASURE, ARG_LIMIT},
};

/* The schema columns that are filters, in the order they are declared. */
static bool is_filter(eg_column col) {
    return col != EG_COL_PACKETS && col != EG_COL_BYTES;
}

typedef struct group_cursor {
    sqlite3_vtab_cursor base; /* must be first */
    eg_run run;
    eg_groups *groups; /* NULL before xFilter */
    eg_key keys[EG_GROUP_MAX_KEYS];
    size_t n_keys;
    uint64_t at;
    uint64_t hash;                    /* of the arguments, for rowids */
    eg_group_row row;                 /* group `at` */
    sqlite3_value *arguments[N_ARGS]; /* copies, for their columns */
} group_cursor;

/* The schema column of a table column, EG_N_COLUMNS if it is a result or an argument. */
static eg_column schema_column(const group_kind *k, int column) {
    int n = column - k->n_results - k->n_arguments - 1; /* the guard behind the arguments */
    for (int c = 0; n >= 0 && c < EG_N_COLUMNS; c++)
        if (is_filter((eg_column)c) && n-- == 0)
            return (eg_column)c;
    return EG_N_COLUMNS;
}

static int argument_of(const group_kind *k, int column) {
    int n = column - k->n_results;
    return n >= 0 && n < k->n_arguments ? k->arguments_order[n] : -1;
}

static int group_connect(sqlite3 *db, eg_connection *connection, const group_kind *kind,
                         sqlite3_vtab **vtab) {
    sqlite3_str *declare = sqlite3_str_new(db);
    sqlite3_str_appendall(declare, kind->results);
    sqlite3_str_appendall(declare, kind->arguments);
    for (int c = 0; c < EG_N_COLUMNS; c++)
        if (is_filter((eg_column)c))
            eg_sql_declare_as_hidden(declare, (eg_column)c, false);
    return eg_sql_connect(db, eg_sql_declare_table(db, declare), connection, kind, vtab);
}

static int active_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                          sqlite3_vtab **vtab, char **error) {
    (void)argc, (void)argv, (void)error;
    return group_connect(db, aux, &active_kind, vtab);
}

static int top_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                       sqlite3_vtab **vtab, char **error) {
    (void)argc, (void)argv, (void)error;
    return group_connect(db, aux, &top_kind, vtab);
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
    unsigned given = 0; /* arguments, a bit each */
    bool all_taken = true;
    int limit = -1, offset = -1;
    eg_sql_plan_begin(&plan, info);
    /* Arguments first: SQLite honours omit for the first 16 only. */
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        int argument = argument_of(k, c->iColumn);
        if (c->iColumn == k->n_results + k->n_arguments)
            return eg_sql_surplus(vtab, k->name);
        if (argument < 0)
            continue;
        if (c->op != SQLITE_INDEX_CONSTRAINT_EQ || (given & (1u << argument)) != 0) {
            all_taken = false; /* a second term on an argument is SQLite's to check */
            continue;
        }
        if (!c->usable)
            return SQLITE_CONSTRAINT;
        eg_sql_plan_add(&plan, info, i, 's', argument, true);
        given |= 1u << argument;
    }
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        eg_column col = schema_column(k, c->iColumn);
        if (c->op == SQLITE_INDEX_CONSTRAINT_LIMIT) {
            limit = i;
        } else if (c->op == SQLITE_INDEX_CONSTRAINT_OFFSET) {
            offset = i;
        } else if (argument_of(k, c->iColumn) < 0) {
            /* Always a filter, on a key too: were it a join with the result in one order of
            ** the tables and a filter in the other, the planner would choose the answer. */
            if (col != EG_N_COLUMNS && !c->usable)
                return SQLITE_CONSTRAINT;
            if (col == EG_N_COLUMNS || !eg_sql_plan_term(&plan, info, i, col, EG_SQL_EXACT))
                all_taken = false;
        }
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
    info->estimatedRows = 1000;
    info->estimatedCost = 1e6;
    if ((given & (1u << ARG_SOURCE)) == 0)
        info->estimatedCost = 1e99; /* as in vtab_flows.c */
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
    for (int i = 0; i < N_ARGS; i++) {
        sqlite3_value_free(c->arguments[i]);
        c->arguments[i] = NULL;
    }
    c->at = 0;
}

static int group_close(sqlite3_vtab_cursor *cursor) {
    clear((group_cursor *)cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

/* The text of an argument, NULL where it is absent or NULL. */
static const char *argument_text(const group_cursor *c, int argument) {
    return c->arguments[argument] ? (const char *)sqlite3_value_text(c->arguments[argument]) : NULL;
}

/* A positive row count, or 0 for "all": absent, NULL or negative. */
static eg_status read_limit(const group_kind *k, sqlite3_value *value, uint64_t *limit,
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
    if (argument_text(c, ARG_SOURCE) == NULL)
        return eg_fail(err, EG_MISUSE, -1,
                       "%s: the argument source is missing: expected a capture file, a directory, "
                       "a glob, or a list of them",
                       k->name);
    eg_status rc = EG_OK;
    if (k == &active_kind) {
        memcpy(c->keys, pair, sizeof pair);
        c->n_keys = 2;
        spec->unordered_pair = true;
    } else {
        const char *keys = argument_text(c, ARG_KEYS);
        if (keys == NULL)
            return eg_fail(err, EG_MISUSE, -1,
                           "%s: the argument keys is missing: expected column names, as in "
                           "'srcaddr,dstport' or 'srcaddr/24'",
                           k->name);
        rc = eg_group_parse_keys(keys, strlen(keys), c->keys, &c->n_keys, err);
        const char *measure = argument_text(c, ARG_MEASURE);
        if (rc == EG_OK && measure != NULL &&
            !eg_group_parse_measure(measure, strlen(measure), &spec->measure))
            rc = eg_fail(err, EG_MISUSE, -1,
                         "%s: measure '%.40s': expected 'bytes', 'packets' or 'flows'", k->name,
                         measure);
    }
    spec->keys = c->keys;
    spec->n_keys = c->n_keys;
    if (rc == EG_OK)
        rc = read_limit(k, c->arguments[ARG_LIMIT], &spec->limit, err);
    if (rc == EG_OK)
        rc = eg_settings_memory(c->run.connection, &spec->memory_bytes, err);
    return rc;
}

/* A key with a prefix shows networks, but a filter on its column compares addresses. */
static eg_status check_prefix_filters(const group_cursor *c, const char *plan, int argc,
                                      sqlite3_value **argv, eg_err *err) {
    for (int i = 0; i < argc; i++) {
        int column;
        bool is_literal;
        char op = eg_sql_plan_field(plan, i, &column, &is_literal);
        if (strchr("enlLgGix", op) == NULL || sqlite3_value_type(argv[i]) != SQLITE_TEXT)
            continue;
        const char *text = (const char *)sqlite3_value_text(argv[i]);
        for (size_t k = 0; k < c->n_keys && text != NULL; k++)
            if ((int)c->keys[k].col == column && c->keys[k].prefix_bits < 32 &&
                strchr(text, '/') != NULL)
                return eg_fail(err, EG_MISUSE, -1,
                               "netflow_top: %s compares addresses of flows, before they are "
                               "grouped, and '%.40s' is a network: expected ip4_in(%s, '%.40s')",
                               eg_column_about(c->keys[k].col)->name, text,
                               eg_column_about(c->keys[k].col)->name, text);
    }
    return EG_OK;
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

static int group_filter(sqlite3_vtab_cursor *cursor, int index, const char *plan, int argc,
                        sqlite3_value **argv) {
    (void)index;
    group_cursor *c = (group_cursor *)cursor;
    const eg_sql_table *t = (const eg_sql_table *)cursor->pVtab;
    clear(c);

    eg_err err;
    int64_t limit = -1, offset = 0;
    c->hash = 0;
    eg_status rc = eg_run_begin(&c->run, t->connection, &err);
    for (int i = 0; i < argc && rc == EG_OK; i++) {
        int column;
        bool is_literal;
        char op = eg_sql_plan_field(plan, i, &column, &is_literal);
        if (op == 's') {
            const char *text;
            c->arguments[column] = sqlite3_value_dup(argv[i]);
            if (c->arguments[column] == NULL)
                rc = eg_fail_nomem(&err, "an argument");
            else if (column != ARG_LIMIT)
                rc = eg_sql_text(c->arguments[column], &text, &err);
            if (rc == EG_OK && column != ARG_LIMIT && text != NULL)
                c->hash = eg_sql_hash(c->hash, text, strlen(text));
        } else if (op == 'k') {
            limit = sqlite3_value_int64(argv[i]);
        } else if (op == 'o') {
            offset = sqlite3_value_int64(argv[i]);
        } else {
            rc = eg_sql_translate(&c->run.where, op, (eg_column)column, argv[i], is_literal,
                                  EG_SQL_EXACT, c->run.texts, &err);
        }
    }
    eg_group_spec spec;
    if (rc == EG_OK)
        rc = make_spec(c, t->kind, &spec, &err);
    if (rc == EG_OK)
        rc = check_prefix_filters(c, plan, argc, argv, &err);
    if (rc == EG_OK) {
        narrow(&spec, limit, offset);
        c->run.splits = true;
        const char *source = argument_text(c, ARG_SOURCE);
        rc = eg_run_open(&c->run, source, strlen(source), eg_group_vectors(&spec), &err);
        if (rc == EG_OK && spec.limit != UINT64_MAX)
            rc = eg_group_run(c->run.scan, c->run.texts, &spec, &c->groups, &err);
        if (rc == EG_OK)
            rc = eg_run_finish(&c->run, &err);
    }
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

/* Appends a key's value as text; '10.0.0.0/24' for a prefix. */
static void append_key(sqlite3_str *to, const group_cursor *c, size_t i) {
    char scratch[EG_TEXT_MAX];
    size_t n = 0;
    const char *text = scratch;
    int64_t number = c->row.keys[i];
    switch (eg_column_about(c->keys[i].col)->kind) {
    case EG_KIND_INT:
    case EG_KIND_EST:
        sqlite3_str_appendf(to, "%lld", (long long)number);
        return;
    case EG_KIND_IP4:
        n = eg_ip4_format((uint32_t)number, scratch);
        break;
    case EG_KIND_TIME:
        n = number == EG_NO_TIME ? 0 : eg_time_format(number, scratch);
        break;
    case EG_KIND_PROTO:
        n = eg_proto_format((uint8_t)number, scratch);
        break;
    case EG_KIND_TEXT:
        text = eg_intern_text(c->run.texts, (uint32_t)number, &n);
        break;
    }
    sqlite3_str_append(to, text, (int)n);
    if (c->keys[i].prefix_bits < 32)
        sqlite3_str_appendf(to, "/%d", c->keys[i].prefix_bits);
}

static void result_str(sqlite3_context *ctx, sqlite3_str *str) {
    bool is_whole = sqlite3_str_errcode(str) == SQLITE_OK;
    int n = sqlite3_str_length(str);
    char *text = sqlite3_str_finish(str); /* NULL for an empty one, too */
    if (!is_whole) {
        sqlite3_free(text);
        sqlite3_result_error_nomem(ctx);
    } else if (text == NULL) {
        sqlite3_result_text(ctx, "", 0, SQLITE_STATIC);
    } else {
        sqlite3_result_text(ctx, text, n, sqlite3_free);
    }
}

/* All keys, joined with commas. */
static void result_keys(sqlite3_context *ctx, const group_cursor *c) {
    sqlite3_str *str = sqlite3_str_new(sqlite3_context_db_handle(ctx));
    for (size_t i = 0; i < c->n_keys; i++) {
        if (i > 0)
            sqlite3_str_appendchar(str, 1, ',');
        append_key(str, c, i);
    }
    result_str(ctx, str);
}

static void result_filter(sqlite3_context *ctx, const group_cursor *c, const group_kind *k,
                          eg_column col) {
    for (size_t i = 0; k == &top_kind && i < c->n_keys; i++) {
        if (c->keys[i].col != col)
            continue;
        if (c->keys[i].prefix_bits == 32) {
            eg_sql_result_number(ctx, col, c->row.keys[i], c->run.texts);
        } else {
            sqlite3_str *str = sqlite3_str_new(sqlite3_context_db_handle(ctx));
            append_key(str, c, i);
            result_str(ctx, str);
        }
        return;
    }
    char *message = sqlite3_mprintf(
        "%s: %s is a filter here, not a result: compare it with =, <, >, BETWEEN%s%s", k->name,
        eg_column_about(col)->name,
        eg_column_about(col)->kind == EG_KIND_IP4 ? ", IN or ip4_in()" : " or IN",
        k == &top_kind ? ", joined by AND, or add it to the keys" : ", joined by AND");
    if (message == NULL)
        sqlite3_result_error_nomem(ctx);
    else
        sqlite3_result_error(ctx, message, -1);
    sqlite3_free(message);
}

static int group_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int column) {
    const group_cursor *c = (const group_cursor *)cursor;
    const group_kind *k = ((const eg_sql_table *)cursor->pVtab)->kind;
    int argument = argument_of(k, column);
    if (argument >= 0) {
        if (c->arguments[argument] != NULL)
            sqlite3_result_value(ctx, c->arguments[argument]);
    } else if (schema_column(k, column) != EG_N_COLUMNS) {
        result_filter(ctx, c, k, schema_column(k, column));
    } else if (column >= k->n_results) {
        return SQLITE_OK; /* the guard */
    } else if (column < k->bytes_column) {
        if (k == &active_kind)
            eg_sql_result_number(ctx, EG_COL_SRCADDR, c->row.keys[column], c->run.texts);
        else
            result_keys(ctx, c);
    } else {
        const int64_t sums[3] = {c->row.bytes, c->row.packets, c->row.flows};
        sqlite3_result_int64(ctx, sums[column - k->bytes_column]);
    }
    return SQLITE_OK;
}

static int group_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    /* From the keys: the same group has the same number whatever its rank in this scan
    ** (FULL JOIN reads twice), and another in a scan with other arguments. */
    const group_cursor *c = (const group_cursor *)cursor;
    uint64_t hash = c->hash;
    for (size_t i = 0; i < c->n_keys; i++) {
        size_t n = sizeof c->row.keys[i];
        const void *bytes = &c->row.keys[i];
        if (eg_column_about(c->keys[i].col)->kind == EG_KIND_TEXT)
            bytes = eg_intern_text(c->run.texts, (uint32_t)c->row.keys[i], &n);
        hash = eg_sql_hash(hash, bytes, n);
    }
    *rowid = (sqlite3_int64)(hash & INT64_MAX);
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
