/*
** What the tables that sum flows have in common (netflow_active, netflow_top, netflow_series):
** results, then the arguments, then every schema column but packets and bytes, hidden, as
** filters: WHERE terms on them choose the flows that are summed. They are taken exactly and not
** checked again, so one that cannot be taken (LIKE, OR) is an error rather than a wrong answer.
** A filter that is a key is also a result: the row's value in that column.
*/
#ifndef EG_SQL_SUMS_H
#define EG_SQL_SUMS_H

#include "query/group_keys.h"
#include "sqlite/sql_constraint.h"
#include "sqlite/sql_tables.h"

/* What an argument is; a table has some of them, in an order of its own. */
typedef enum eg_sums_argument {
    EG_ARG_SOURCE,
    EG_ARG_KEYS,
    EG_ARG_MEASURE,
    EG_ARG_LIMIT,
    EG_ARG_STEP,
    EG_N_ARGS
} eg_sums_argument;

typedef struct eg_sums_kind {
    const char *name;
    const char *results;        /* column list, as eg_sql_declare_table wants it */
    const char *arguments;      /* and of the arguments, EG_SQL_SURPLUS behind them */
    const char *hidden_results; /* and of results behind the filters, as what is hidden and stands
                                ** before would be an argument; "" without */
    int n_results, n_arguments; /* columns of each */
    bool has_keys;              /* it has an argument keys */
    eg_sums_argument order[EG_N_ARGS - 1]; /* of the argument columns */
} eg_sums_kind;

/* The arguments of a call and the keys that they name. Zeroed = none. */
typedef struct eg_sums_call {
    sqlite3_value *arguments[EG_N_ARGS]; /* copies, for their columns; NULL where absent */
    uint64_t hash;                       /* of the texts, for rowids */
    int64_t limit, offset;               /* SQL's, where the plan has them; else -1 and 0 */
    eg_key keys[EG_GROUP_MAX_KEYS];
    size_t n_keys;
} eg_sums_call;

/* The first of the hidden results. */
int eg_sums_hidden_result(const eg_sums_kind *k);

/* xConnect; kind is what eg_sql_table.kind gets. */
int eg_sums_connect(sqlite3 *db, eg_connection *connection, const eg_sums_kind *k, const void *kind,
                    sqlite3_vtab **vtab);

/* xBestIndex as far as arguments and filters go: fills the plan and the costs. *all_taken: no
** constraint is left to SQLite, LIMIT and OFFSET apart. SQLITE_OK, or what xBestIndex returns. */
int eg_sums_plan(sqlite3_vtab *vtab, const eg_sums_kind *k, sqlite3_index_info *info,
                 eg_sql_plan *plan, bool *all_taken);

/* xFilter's arguments: into the call, and filters into run->where. run has begun. */
eg_status eg_sums_read(eg_sums_call *call, eg_run *run, const char *plan, int argc,
                       sqlite3_value **argv, eg_err *err);

/* The text of an argument, NULL where it is absent or NULL. */
const char *eg_sums_text(const eg_sums_call *call, eg_sums_argument argument);

/* EG_MISUSE where there is no source. */
eg_status eg_sums_need_source(const eg_sums_call *call, const eg_sums_kind *k, eg_err *err);

/* A key with a prefix shows networks, but a filter on its column compares addresses: EG_MISUSE
** where one is compared with a network. */
eg_status eg_sums_check_prefixes(const eg_sums_call *call, const eg_sums_kind *k, const char *plan,
                                 int argc, sqlite3_value **argv, eg_err *err);

/* All keys of a row, as one text joined with commas; numbers are the keys'. */
void eg_sums_result_keys(sqlite3_context *ctx, const eg_sums_call *call, const int64_t *numbers,
                         const eg_intern *texts);

/* xColumn of an argument or a filter. True where the column is one. */
bool eg_sums_result(sqlite3_context *ctx, const eg_sums_kind *k, const eg_sums_call *call,
                    int column, const int64_t *numbers, const eg_intern *texts);

/* A number for a row from its keys, and the hash of what else tells rows apart. */
sqlite3_int64 eg_sums_rowid(const eg_sums_call *call, uint64_t hash, const int64_t *numbers,
                            const eg_intern *texts);

/* Frees the arguments; the call is empty again. */
void eg_sums_clear(eg_sums_call *call);

#endif
