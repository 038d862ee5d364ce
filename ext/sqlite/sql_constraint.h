/*
** WHERE terms on their way into the engine: xBestIndex writes a plan, xFilter
** turns the plan and its values into an eg_predicate.
**
** The plan (idxStr) is the columns SQLite uses (16 hex digits of colUsed), then
** one field of four characters for each xFilter argument, in order:
**
**   op  column as two hex digits  ! for a literal, . for what only running tells
**    e = EQ   n = NE   l = LT   L = LE   g = GT   G = GE   a = IN (sqlite3_vtab_in)
**    i = IS   x = IS NOT   z = IS NULL   Z = IS NOT NULL   c = ip4_in(column, cidr)
**    s = an argument of the function; the column is its number (0 = source)
**    k = LIMIT, o = OFFSET (column 00)
**
** Two strengths. A row table lets SQLite check every row again, so a term that
** cannot be told exactly is left out; only comparisons with a literal of the column's own
** type are not checked again, which for times and addresses would mean making their texts. A
** grouping function takes terms before it groups, where SQLite cannot check: there each
** term is exact, with the meaning it has against a literal, or an error.
*/
#ifndef EG_SQL_CONSTRAINT_H
#define EG_SQL_CONSTRAINT_H

#include "base/intern.h"
#include "flow/predicate.h"
#include "sqlite/sqlite_api.h"

#define EG_SQL_MAX_ARGS 64
#define EG_SQL_PLAN_COLUMNS 16 /* characters of colUsed before the first field */
#define EG_SQL_FIELD 4         /* characters of a field */

typedef enum eg_sql_strength { EG_SQL_RECHECKED, EG_SQL_EXACT } eg_sql_strength;

typedef struct eg_sql_plan {
    char text[EG_SQL_PLAN_COLUMNS + EG_SQL_FIELD * EG_SQL_MAX_ARGS + 1];
    int n_args;
    double selectivity; /* guess: kept rows of all rows */
} eg_sql_plan;

void eg_sql_plan_begin(eg_sql_plan *plan, const sqlite3_index_info *info);

/* Adds a field for constraint i and assigns its argument; omit = SQLite need not check.
** False where the plan is full: the constraint is left to SQLite. */
bool eg_sql_plan_add(eg_sql_plan *plan, sqlite3_index_info *info, int i, char op, int column,
                     bool omit);

/* Adds constraint i on schema column col if its operator can be taken: true if so. */
bool eg_sql_plan_term(eg_sql_plan *plan, sqlite3_index_info *info, int i, eg_column col,
                      eg_sql_strength strength);

/* Hands the plan to SQLite. SQLITE_OK or SQLITE_NOMEM. */
int eg_sql_plan_end(const eg_sql_plan *plan, sqlite3_index_info *info);

/* The columns SQLite uses, as in info->colUsed, from a plan's text. */
uint64_t eg_sql_plan_used(const char *plan);

/* Field i of a plan: its operator, 0 past the end; *column and *is_literal are filled. */
char eg_sql_plan_field(const char *plan, int i, int *column, bool *is_literal);

/* Adds the test of a schema column's field to p. texts is the scan's table. */
eg_status eg_sql_translate(eg_predicate *p, char op, eg_column col, sqlite3_value *value,
                           bool is_literal, eg_sql_strength strength, eg_intern *texts,
                           eg_err *err);

#endif
