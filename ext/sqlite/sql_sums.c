/* See the header. */
#include "sqlite/sql_sums.h"

#include <string.h>

#include "sqlite/sql_value.h"

/* The schema columns that are filters, in the order they are declared. */
static bool is_filter(eg_column col) {
    return col != EG_COL_PACKETS && col != EG_COL_BYTES;
}

#define N_FILTERS (EG_N_COLUMNS - 2)

/* The schema column of a table column, EG_N_COLUMNS where it is none. */
static eg_column filter_of(const eg_sums_kind *k, int column) {
    int n = column - k->n_results - k->n_arguments - 1; /* the guard behind the arguments */
    for (int c = 0; n >= 0 && c < EG_N_COLUMNS; c++)
        if (is_filter((eg_column)c) && n-- == 0)
            return (eg_column)c;
    return EG_N_COLUMNS;
}

/* The argument of a table column, -1 where it is none. */
static int argument_of(const eg_sums_kind *k, int column) {
    int n = column - k->n_results;
    return n >= 0 && n < k->n_arguments ? (int)k->order[n] : -1;
}

int eg_sums_hidden_result(const eg_sums_kind *k) {
    return k->n_results + k->n_arguments + 1 + N_FILTERS;
}

int eg_sums_connect(sqlite3 *db, eg_connection *connection, const eg_sums_kind *k, const void *kind,
                    sqlite3_vtab **vtab) {
    sqlite3_str *declare = sqlite3_str_new(db);
    sqlite3_str_appendall(declare, k->results);
    sqlite3_str_appendall(declare, k->arguments);
    for (int c = 0; c < EG_N_COLUMNS; c++)
        if (is_filter((eg_column)c))
            eg_sql_declare_as_hidden(declare, (eg_column)c, false);
    sqlite3_str_appendall(declare, k->hidden_results);
    return eg_sql_connect(db, eg_sql_declare_table(db, declare), connection, kind, vtab);
}

/* ---- plans -------------------------------------------------------------- */

/* Arguments first: SQLite honours omit for the first 16 only. *given: a bit each. */
static int plan_arguments(sqlite3_vtab *vtab, const eg_sums_kind *k, sqlite3_index_info *info,
                          eg_sql_plan *plan, unsigned *given, bool *all_taken) {
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        int argument = argument_of(k, c->iColumn);
        if (c->iColumn == k->n_results + k->n_arguments)
            return eg_sql_surplus(vtab, k->name);
        if (argument < 0)
            continue;
        if (c->op != SQLITE_INDEX_CONSTRAINT_EQ || (*given & (1u << argument)) != 0) {
            *all_taken = false; /* a second term on an argument is SQLite's to check */
            continue;
        }
        if (!c->usable)
            return SQLITE_CONSTRAINT;
        eg_sql_plan_add(plan, info, i, 's', argument, true);
        *given |= 1u << argument;
    }
    return SQLITE_OK;
}

static bool is_limit(unsigned char op) {
    return op == SQLITE_INDEX_CONSTRAINT_LIMIT || op == SQLITE_INDEX_CONSTRAINT_OFFSET;
}

int eg_sums_plan(sqlite3_vtab *vtab, const eg_sums_kind *k, sqlite3_index_info *info,
                 eg_sql_plan *plan, bool *all_taken) {
    unsigned given = 0;
    *all_taken = true;
    eg_sql_plan_begin(plan, info);
    int rc = plan_arguments(vtab, k, info, plan, &given, all_taken);
    for (int i = 0; rc == SQLITE_OK && i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        eg_column col = filter_of(k, c->iColumn);
        if (is_limit(c->op) || argument_of(k, c->iColumn) >= 0)
            continue;
        /* Always a filter, on a key too: were it a join with the result in one order of
        ** the tables and a filter in the other, the planner would choose the answer. */
        if (col != EG_N_COLUMNS && !c->usable)
            return SQLITE_CONSTRAINT;
        if (col == EG_N_COLUMNS || !eg_sql_plan_term(plan, info, i, col, EG_SQL_EXACT))
            *all_taken = false;
    }
    info->estimatedRows = 1000;
    info->estimatedCost = 1e6;
    if ((given & (1u << EG_ARG_SOURCE)) == 0)
        info->estimatedCost = 1e99; /* as in vtab_flows.c */
    return rc;
}

/* ---- calls -------------------------------------------------------------- */

void eg_sums_clear(eg_sums_call *call) {
    for (int i = 0; i < EG_N_ARGS; i++)
        sqlite3_value_free(call->arguments[i]);
    memset(call, 0, sizeof *call);
}

const char *eg_sums_text(const eg_sums_call *call, eg_sums_argument argument) {
    sqlite3_value *value = call->arguments[argument];
    return value ? (const char *)sqlite3_value_text(value) : NULL;
}

eg_status eg_sums_need_source(const eg_sums_call *call, const eg_sums_kind *k, eg_err *err) {
    if (eg_sums_text(call, EG_ARG_SOURCE) != NULL)
        return EG_OK;
    return eg_fail(err, EG_MISUSE, -1,
                   "%s: the argument source is missing: expected a capture file, a directory, "
                   "a glob, or a list of them",
                   k->name);
}

/* All arguments but the limit are texts. */
static eg_status read_argument(eg_sums_call *call, int argument, sqlite3_value *value,
                               eg_err *err) {
    const char *text = NULL;
    call->arguments[argument] = sqlite3_value_dup(value);
    if (call->arguments[argument] == NULL)
        return eg_fail_nomem(err, "an argument");
    if (argument == EG_ARG_LIMIT)
        return EG_OK;
    eg_status rc = eg_sql_text(call->arguments[argument], &text, err);
    if (rc == EG_OK && text != NULL)
        call->hash = eg_sql_hash(call->hash, text, strlen(text));
    return rc;
}

eg_status eg_sums_read(eg_sums_call *call, eg_run *run, const char *plan, int argc,
                       sqlite3_value **argv, eg_err *err) {
    eg_status rc = EG_OK;
    call->limit = -1;
    for (int i = 0; i < argc && rc == EG_OK; i++) {
        int column;
        bool is_literal;
        char op = eg_sql_plan_field(plan, i, &column, &is_literal);
        if (op == 's')
            rc = read_argument(call, column, argv[i], err);
        else if (op == 'k')
            call->limit = sqlite3_value_int64(argv[i]);
        else if (op == 'o')
            call->offset = sqlite3_value_int64(argv[i]);
        else
            rc = eg_sql_translate(&run->where, op, (eg_column)column, argv[i], is_literal,
                                  EG_SQL_EXACT, run->texts, err);
    }
    return rc;
}

eg_status eg_sums_check_prefixes(const eg_sums_call *call, const eg_sums_kind *k, const char *plan,
                                 int argc, sqlite3_value **argv, eg_err *err) {
    for (int i = 0; i < argc; i++) {
        int column;
        bool is_literal;
        char op = eg_sql_plan_field(plan, i, &column, &is_literal);
        if (strchr("enlLgGix", op) == NULL || sqlite3_value_type(argv[i]) != SQLITE_TEXT)
            continue;
        const char *text = (const char *)sqlite3_value_text(argv[i]);
        for (size_t n = 0; n < call->n_keys && text != NULL; n++)
            if ((int)call->keys[n].col == column && call->keys[n].prefix_bits < 32 &&
                strchr(text, '/') != NULL)
                return eg_fail(err, EG_MISUSE, -1,
                               "%s: %s compares addresses of flows, before they are "
                               "grouped, and '%.40s' is a network: expected ip4_in(%s, '%.40s')",
                               k->name, eg_column_about(call->keys[n].col)->name, text,
                               eg_column_about(call->keys[n].col)->name, text);
    }
    return EG_OK;
}

/* ---- results ------------------------------------------------------------ */

/* Appends a key's value as text; '10.0.0.0/24' for a prefix. */
static void append_key(sqlite3_str *to, const eg_key *key, int64_t number, const eg_intern *texts) {
    char scratch[EG_TEXT_MAX];
    size_t n = 0;
    const char *text = scratch;
    switch (eg_column_about(key->col)->kind) {
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
        text = eg_intern_text(texts, (uint32_t)number, &n);
        break;
    }
    sqlite3_str_append(to, text, (int)n);
    if (key->prefix_bits < 32)
        sqlite3_str_appendf(to, "/%d", key->prefix_bits);
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

void eg_sums_result_keys(sqlite3_context *ctx, const eg_sums_call *call, const int64_t *numbers,
                         const eg_intern *texts) {
    sqlite3_str *str = sqlite3_str_new(sqlite3_context_db_handle(ctx));
    for (size_t i = 0; i < call->n_keys; i++) {
        if (i > 0)
            sqlite3_str_appendchar(str, 1, ',');
        append_key(str, &call->keys[i], numbers[i], texts);
    }
    result_str(ctx, str);
}

static void result_filter(sqlite3_context *ctx, const eg_sums_kind *k, const eg_sums_call *call,
                          eg_column col, const int64_t *numbers, const eg_intern *texts) {
    for (size_t i = 0; k->has_keys && i < call->n_keys; i++) {
        if (call->keys[i].col != col)
            continue;
        if (call->keys[i].prefix_bits == 32) {
            eg_sql_result_number(ctx, col, numbers[i], texts);
        } else {
            sqlite3_str *str = sqlite3_str_new(sqlite3_context_db_handle(ctx));
            append_key(str, &call->keys[i], numbers[i], texts);
            result_str(ctx, str);
        }
        return;
    }
    char *message = sqlite3_mprintf(
        "%s: %s is a filter here, not a result: compare it with =, <, >, BETWEEN%s%s", k->name,
        eg_column_about(col)->name,
        eg_column_about(col)->kind == EG_KIND_IP4 ? ", IN or ip4_in()" : " or IN",
        k->has_keys ? ", joined by AND, or add it to the keys" : ", joined by AND");
    if (message == NULL)
        sqlite3_result_error_nomem(ctx);
    else
        sqlite3_result_error(ctx, message, -1);
    sqlite3_free(message);
}

bool eg_sums_result(sqlite3_context *ctx, const eg_sums_kind *k, const eg_sums_call *call,
                    int column, const int64_t *numbers, const eg_intern *texts) {
    if (column < k->n_results || column >= eg_sums_hidden_result(k))
        return false;
    int argument = argument_of(k, column);
    eg_column filter = filter_of(k, column);
    if (argument >= 0 && call->arguments[argument] != NULL)
        sqlite3_result_value(ctx, call->arguments[argument]);
    else if (filter != EG_N_COLUMNS)
        result_filter(ctx, k, call, filter, numbers, texts);
    return true; /* an absent argument, or the guard: NULL */
}

sqlite3_int64 eg_sums_rowid(const eg_sums_call *call, uint64_t hash, const int64_t *numbers,
                            const eg_intern *texts) {
    for (size_t i = 0; i < call->n_keys; i++) {
        size_t n = sizeof numbers[i];
        const void *bytes = &numbers[i];
        if (eg_column_about(call->keys[i].col)->kind == EG_KIND_TEXT)
            bytes = eg_intern_text(texts, (uint32_t)numbers[i], &n);
        hash = eg_sql_hash(hash, bytes, n);
    }
    return (sqlite3_int64)(hash & INT64_MAX);
}
