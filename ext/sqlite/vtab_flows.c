/*
** netflow_pcap(source), netflow_parquet(source) and netflow(source): flow records as rows.
**
**     SELECT … FROM netflow_pcap('capture.pcap.gz') WHERE …
**     CREATE VIRTUAL TABLE temp.flow USING netflow_pcap('captures/')
**
** Columns: the shown ones of flow/schema.def, the hidden argument source, the hidden
** ones: SQLite takes the first hidden columns for a function's arguments.
** WHERE terms are pushed down as sql_constraint.h says; SQLite checks them again. GROUP BY and
** DISTINCT by columns get their rows sorted by these, so that SQLite need not.
*/
#include "query/scan.h"
#include "query/sorted_rows.h"
#include "sqlite/sql_constraint.h"
#include "sqlite/sql_tables.h"
#include "sqlite/sql_value.h"

#include <string.h>

/* The schema lists its shown columns first, so source stands where its first hidden
** one would be, then the guard, and the hidden ones two further on. */
#define SOURCE_COLUMN EG_COL_START_MS
#define SURPLUS_COLUMN (SOURCE_COLUMN + 1)
#define N_TABLE_COLUMNS (EG_N_COLUMNS + 2)
static eg_column schema_column(int column) {
    return (eg_column)(column < SOURCE_COLUMN ? column : column - 2);
}
static bool is_schema_column(int column) {
    return column >= 0 && column != SOURCE_COLUMN && column != SURPLUS_COLUMN;
}
_Static_assert(EG_N_COLUMNS + 2 <= 63, "colUsed has one bit for all columns from 63 on");

/* Of keys that are no longer, the table of distinct ones that SQLite keeps is small and quick. */
#define FEW_BYTES 2

/* A guess: nothing is known of a source before it is read. */
#define ASSUMED_ROWS 1e6

typedef struct flows_table {
    sqlite3_vtab base; /* must be first */
    eg_connection *connection;
    eg_source_kind kind;
    const char *name; /* of the module */
    char *source;     /* given with CREATE VIRTUAL TABLE, else NULL */
} flows_table;

/* A column of the current batch that is one vector's numbers and has no NULL there. */
typedef struct plain_column {
    const void *numbers; /* NULL: not such a one */
    uint8_t width;       /* of each; 0 where it is not shown as it is */
    uint8_t text_width;  /* of those that are shown as texts */
} plain_column;

typedef struct flows_cursor {
    sqlite3_vtab_cursor base; /* must be first */
    eg_run run;
    eg_sorted_rows *sorted; /* the scan's rows, where they are to be in an order; else NULL */
    const eg_batch *batch;  /* NULL at the end */
    uint32_t at;            /* index in batch->sel */
    uint64_t used;          /* columns that SQLite asks for */
    plain_column plain[EG_N_COLUMNS];
    char *source;         /* of this scan, for the hidden column */
    uint64_t source_hash; /* for rowids */
} flows_cursor;

/* 'a''b' -> a'b; anything else as it stands. NULL without memory. */
static char *dequote(const char *text) {
    size_t n = strlen(text);
    char quote = text[0];
    if (n < 2 || (quote != '\'' && quote != '"') || text[n - 1] != quote)
        return sqlite3_mprintf("%s", text);
    char *out = sqlite3_malloc64(n);
    if (out == NULL)
        return NULL;
    size_t to = 0;
    for (size_t i = 1; i < n - 1; i++) {
        out[to++] = text[i];
        if (text[i] == quote && text[i + 1] == quote)
            i++;
    }
    out[to] = '\0';
    return out;
}

static int flows_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **vtab, char **error) {
    bool created = sqlite3_stricmp(argv[0], argv[2]) != 0 || argc > 3;
    if (created && argc != 4) {
        *error = sqlite3_mprintf("%s: expected one argument, a source, as in CREATE VIRTUAL TABLE "
                                 "temp.%s USING %s('capture.pcap')",
                                 argv[0], argv[2], argv[0]);
        return SQLITE_ERROR;
    }
    if (created && sqlite3_stricmp(argv[1], "temp") != 0) {
        *error = sqlite3_mprintf("%s: a table over files is never stored in a database: expected "
                                 "CREATE VIRTUAL TABLE temp.%s",
                                 argv[0], argv[2]);
        return SQLITE_ERROR;
    }
    eg_source_kind kind = sqlite3_stricmp(argv[0], "netflow_pcap") == 0      ? EG_SOURCE_CAPTURES
                          : sqlite3_stricmp(argv[0], "netflow_parquet") == 0 ? EG_SOURCE_PARQUET
                                                                             : EG_SOURCE_ANY;
    sqlite3_str *declare = sqlite3_str_new(db);
    eg_sql_declare_shown(declare, kind != EG_SOURCE_CAPTURES);
    sqlite3_str_appendall(declare, ", source TEXT HIDDEN" EG_SQL_SURPLUS);
    eg_sql_declare_hidden(declare, kind != EG_SOURCE_CAPTURES);
    int rc = eg_sql_declare_table(db, declare);
    if (rc == SQLITE_OK)
        rc = eg_sql_direct_only(db);
    flows_table *t = rc == SQLITE_OK ? sqlite3_malloc64(sizeof *t) : NULL;
    if (t == NULL)
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    memset(t, 0, sizeof *t);
    t->connection = aux;
    t->kind = kind;
    t->name = kind == EG_SOURCE_CAPTURES  ? "netflow_pcap"
              : kind == EG_SOURCE_PARQUET ? "netflow_parquet"
                                          : "netflow";
    if (created && (t->source = dequote(argv[3])) == NULL) {
        sqlite3_free(t);
        return SQLITE_NOMEM;
    }
    *vtab = &t->base;
    return SQLITE_OK;
}

static int flows_disconnect(sqlite3_vtab *vtab) {
    flows_table *t = (flows_table *)vtab;
    sqlite3_free(t->source);
    sqlite3_free(t);
    return SQLITE_OK;
}

/* Claims that rows come in the order of the statement's GROUP BY or DISTINCT. SQLite says that
** equal rows side by side would do, but (3.40 and 3.51 at least) also where it then takes
** their order for that of an equal ORDER BY. So rows are sorted, which is right for every
** version, and all of them are handed out. For a mere ORDER BY, of which a LIMIT may leave
** little, SQLite sorts. */
static void claim_order(eg_sql_plan *plan, sqlite3_index_info *info) {
    int wanted = sqlite3_vtab_distinct(info);
    size_t n_bytes = 0;
    if (info->nOrderBy < 1 || info->nOrderBy > EG_ROW_MAX_KEYS || wanted == 0)
        return;
    for (int i = 0; i < info->nOrderBy; i++) {
        int column = info->aOrderBy[i].iColumn;
        if (!is_schema_column(column) || !eg_row_key_fits(schema_column(column)))
            return;
        n_bytes += eg_vector_width(eg_column_about(schema_column(column))->vector);
    }
    if (wanted > 1 && n_bytes <= FEW_BYTES)
        return;
    if (plan->n_args + info->nOrderBy > EG_SQL_MAX_ARGS)
        return;
    for (int i = 0; i < info->nOrderBy; i++)
        (void)eg_sql_plan_order(plan, schema_column(info->aOrderBy[i].iColumn),
                                info->aOrderBy[i].desc != 0);
    info->orderByConsumed = 1;
}

static int flows_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    const flows_table *t = (const flows_table *)vtab;
    eg_sql_plan plan;
    bool has_source = t->source != NULL;
    eg_sql_plan_begin(&plan, info);
    /* The source first: a plan has room for so many terms. */
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (c->iColumn == SURPLUS_COLUMN)
            return eg_sql_surplus(vtab, t->name);
        /* A second term on it, and any on a table that has its source, is SQLite's. */
        if (c->iColumn != SOURCE_COLUMN || c->op != SQLITE_INDEX_CONSTRAINT_EQ || has_source)
            continue;
        /* Without its value there is nothing to read: SQLite must find another order. */
        if (!c->usable)
            return SQLITE_CONSTRAINT;
        eg_sql_plan_add(&plan, info, i, 's', 0, true);
        has_source = true;
    }
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (c->usable && is_schema_column(c->iColumn))
            eg_sql_plan_term(&plan, info, i, schema_column(c->iColumn), EG_SQL_RECHECKED);
    }
    double rows = ASSUMED_ROWS * plan.selectivity;
    info->estimatedRows = rows < 1 ? 1 : (sqlite3_int64)rows;
    info->estimatedCost = ASSUMED_ROWS + rows;
    if (!has_source) {
        /* An error here would break every OR: SQLite asks once with each branch's terms
        ** alone. So it is made too dear to choose, and an error in xFilter. */
        info->estimatedCost = 1e99;
        info->estimatedRows = INT32_MAX;
    }
    claim_order(&plan, info);
    return eg_sql_plan_end(&plan, info);
}

static int flows_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
    (void)vtab;
    return eg_sql_open(sizeof(flows_cursor), out);
}

static int flows_close(sqlite3_vtab_cursor *cursor) {
    flows_cursor *c = (flows_cursor *)cursor;
    eg_sorted_rows_close(c->sorted);
    eg_run_close(&c->run);
    sqlite3_free(c->source);
    sqlite3_free(c);
    return SQLITE_OK;
}

/* Finds the columns that are numbers in arrays: xColumn need not ask each time. */
static void find_plain(flows_cursor *c) {
    for (int column = 0; column < N_TABLE_COLUMNS; column++) {
        if (((c->used >> column) & 1) == 0 || !is_schema_column(column))
            continue;
        eg_column col = schema_column(column);
        const eg_column_info *about = eg_column_about(col);
        bool is_plain =
            about->kind != EG_KIND_EST && about->kind != EG_KIND_TEXT && c->batch->nulls == NULL;
        uint8_t width = (uint8_t)eg_vector_width(about->vector);
        bool is_number = is_plain && about->kind == EG_KIND_INT;
        c->plain[col] = (plain_column){is_plain ? eg_batch_array(c->batch, about->vector) : NULL,
                                       is_number ? width : 0, width};
    }
}

/* Goes to the first row of the next batch. */
static int next_batch(flows_cursor *c) {
    eg_err err;
    c->at = 0;
    eg_status rc = c->sorted != NULL ? eg_sorted_rows_next(c->sorted, &c->batch, &err)
                                     : eg_scan_next(c->run.scan, &c->batch, &err);
    if (rc == EG_OK) {
        find_plain(c);
        return SQLITE_OK;
    }
    c->batch = NULL;
    if (rc == EG_DONE)
        rc = eg_run_finish(&c->run, &err);
    return rc == EG_OK ? SQLITE_OK : eg_sql_fail(c->base.pVtab, &err);
}

/* Reads all rows and sorts them by the keys. */
static eg_status sort_all(flows_cursor *c, const eg_row_key *keys, size_t n_keys, eg_err *err) {
    const eg_batch *b;
    eg_status rc =
        eg_sorted_rows_open(keys, n_keys, c->run.spec.vectors, c->run.texts, -1, &c->sorted, err);
    while (rc == EG_OK && (rc = eg_scan_next(c->run.scan, &b, err)) == EG_OK)
        rc = eg_sorted_rows_add(c->sorted, b, err);
    if (rc == EG_DONE && (rc = eg_run_finish(&c->run, err)) == EG_OK)
        rc = eg_sorted_rows_finish(c->sorted, err);
    return rc;
}

/* The columns of a plan that rows are to be in the order of, behind its arguments. */
static size_t order_of(const char *plan, int n_args, eg_row_key keys[EG_ROW_MAX_KEYS]) {
    size_t n = 0;
    int column;
    bool is_literal;
    char op;
    while (n < EG_ROW_MAX_KEYS &&
           (op = eg_sql_plan_field(plan, n_args + (int)n, &column, &is_literal)) != 0)
        keys[n++] = (eg_row_key){.column = (eg_column)column, .descends = op == '-'};
    return n;
}

/* The vectors of the columns SQLite uses. */
static eg_vector_set vectors_used(uint64_t used) {
    eg_vector_set set = 0;
    for (int column = 0; column < N_TABLE_COLUMNS; column++)
        if (((used >> column) & 1) && is_schema_column(column))
            set |= eg_column_about(schema_column(column))->vectors;
    return set;
}

static bool has_word(const char *sql, const char *word) {
    size_t n = strlen(word);
    for (; sql != NULL && *sql != '\0'; sql++)
        if (sqlite3_strnicmp(sql, word, (int)n) == 0)
            return true;
    return false;
}

/* Whether an outer join may be running. SQLite 3.40 offers ip4_in(), <>, IS NOT and IS NOT
** NULL of a LEFT JOIN's ON clause to the table on its left, which they must not
** filter, and nothing tells them from WHERE. So they are taken only where no running
** statement, and no TEMP view or trigger that it may use (others cannot use these
** tables), has such a join. */
static bool may_join_outer(sqlite3 *db) {
    static const char *const words[] = {"left", "right", "full", "outer"};
    for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s != NULL; s = sqlite3_next_stmt(db, s))
        for (size_t i = 0; sqlite3_stmt_busy(s) && i < sizeof words / sizeof words[0]; i++)
            if (has_word(sqlite3_sql(s), words[i]))
                return true;
    sqlite3_stmt *s;
    int rc =
        sqlite3_prepare_v2(db,
                           "SELECT 1 FROM sqlite_temp_schema WHERE type IN ('view', 'trigger') "
                           "AND (sql LIKE '%left%' OR sql LIKE '%right%' OR sql LIKE '%full%')",
                           -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    sqlite3_finalize(s);
    return rc != SQLITE_DONE;
}

static int flows_filter(sqlite3_vtab_cursor *cursor, int index, const char *plan, int argc,
                        sqlite3_value **argv) {
    (void)index;
    flows_cursor *c = (flows_cursor *)cursor;
    const flows_table *t = (const flows_table *)cursor->pVtab;
    eg_sorted_rows_close(c->sorted);
    c->sorted = NULL;
    eg_run_close(&c->run);
    sqlite3_free(c->source);
    c->source = NULL;
    c->batch = NULL;

    eg_err err;
    eg_row_key keys[EG_ROW_MAX_KEYS];
    size_t n_keys = order_of(plan, argc, keys);
    const char *source = t->source;
    eg_status rc = eg_run_begin(&c->run, t->connection, &err);
    c->run.kind = t->kind;
    c->run.wants_numbers = true;
    for (int i = 0; i < argc && rc == EG_OK; i++) {
        int column;
        bool is_literal;
        char op = eg_sql_plan_field(plan, i, &column, &is_literal);
        if (op == 's')
            rc = eg_sql_text(argv[i], &source, &err);
        else if (strchr("cnxZ", op) == NULL || !may_join_outer(t->connection->db))
            rc = eg_sql_translate(&c->run.where, op, (eg_column)column, argv[i], is_literal,
                                  EG_SQL_RECHECKED, c->run.texts, &err);
    }
    if (rc == EG_OK && source == NULL)
        rc = eg_fail(&err, EG_MISUSE, -1,
                     "%s: the argument source is missing: expected a %s file, a "
                     "directory, a glob, or a list of them",
                     t->name, t->kind == EG_SOURCE_PARQUET ? "Parquet" : "capture");
    if (rc == EG_OK && (c->source = sqlite3_mprintf("%s", source)) == NULL)
        rc = eg_fail_nomem(&err, "a source");
    if (rc == EG_OK) {
        c->source_hash = eg_sql_hash(0, c->source, strlen(c->source));
        c->used = eg_sql_plan_used(plan);
        memset(c->plain, 0, sizeof c->plain);
        rc = eg_run_open(&c->run, c->source, strlen(c->source),
                         vectors_used(c->used) | eg_row_keys_vectors(keys, n_keys), &err);
    }
    if (rc == EG_OK && n_keys > 0)
        rc = sort_all(c, keys, n_keys, &err);
    return rc == EG_OK ? next_batch(c) : eg_sql_fail(cursor->pVtab, &err);
}

static int flows_next(sqlite3_vtab_cursor *cursor) {
    flows_cursor *c = (flows_cursor *)cursor;
    return ++c->at < c->batch->n_sel ? SQLITE_OK : next_batch(c);
}

static int flows_eof(sqlite3_vtab_cursor *cursor) {
    return ((flows_cursor *)cursor)->batch == NULL;
}

/* What is no plain number. Apart from these, which need no frame of their own. */
static __attribute__((noinline)) void show_other(sqlite3_context *ctx, const eg_batch *b,
                                                 const plain_column *plain, eg_column col,
                                                 uint32_t row) {
    if (plain->numbers == NULL)
        eg_sql_result(ctx, b, col, row);
    else
        eg_sql_result_number(ctx, col, eg_array_number(plain->numbers, plain->text_width, row),
                             NULL);
}

static int flows_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int column) {
    const flows_cursor *c = (const flows_cursor *)cursor;
    if (is_schema_column(column)) {
        eg_column col = schema_column(column);
        const plain_column *plain = &c->plain[col];
        uint32_t row = c->batch->sel[c->at];
        if (plain->width == 0)
            show_other(ctx, c->batch, plain, col, row);
        else
            sqlite3_result_int64(ctx, eg_array_number(plain->numbers, plain->width, row));
    } else if (column == SOURCE_COLUMN)
        sqlite3_result_text(ctx, c->source, -1, SQLITE_TRANSIENT);
    return SQLITE_OK;
}

static int flows_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    /* The same row has the same number whatever the scan left out: RIGHT and FULL JOIN
    ** read the table twice, with different terms, and match by rowid. */
    const flows_cursor *c = (const flows_cursor *)cursor;
    *rowid = eg_sql_rowid(c->source_hash, eg_batch_row(c->batch, c->batch->sel[c->at]));
    return SQLITE_OK;
}

static const sqlite3_module flows_module = {
    .iVersion = 2,
    .xCreate = flows_connect,
    .xConnect = flows_connect,
    .xBestIndex = flows_best_index,
    .xDisconnect = flows_disconnect,
    .xDestroy = flows_disconnect,
    .xOpen = flows_open,
    .xClose = flows_close,
    .xFilter = flows_filter,
    .xNext = flows_next,
    .xEof = flows_eof,
    .xColumn = flows_column,
    .xRowid = flows_rowid,
    .xFindFunction = eg_sql_find_function,
};

int eg_register_flows(eg_connection *c) {
    static const char *const names[] = {"netflow_pcap", "netflow_parquet", "netflow"};
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && rc == SQLITE_OK; i++)
        rc = eg_sql_module(c, names[i], &flows_module);
    return rc;
}
