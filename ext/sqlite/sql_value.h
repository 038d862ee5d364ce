/* Values at the edge to SQLite: a column of a row of a batch, or a number of a
** column, as an SQL value; and the schema as a CREATE TABLE column list. */
#ifndef EG_SQL_VALUE_H
#define EG_SQL_VALUE_H

#include "flow/batch.h"
#include "sqlite/sqlite_api.h"

/* The value of a column in a row. */
void eg_sql_result(sqlite3_context *ctx, const eg_batch *b, eg_column col, uint32_t row);

/* The value that a column gives for a number (a code, for TEXT columns; EST gives
** the number itself). */
void eg_sql_result_number(sqlite3_context *ctx, eg_column col, int64_t number,
                          const eg_intern *texts);

/* Appends ", name TYPE" for the columns that SELECT * shows, or ", name TYPE HIDDEN"
** for the others. has_nulls: any of them can be NULL, as in Parquet; else only
** received_time, and SQLite drops IS NOT NULL on the others. */
void eg_sql_declare_shown(sqlite3_str *to, bool has_nulls);
void eg_sql_declare_hidden(sqlite3_str *to, bool has_nulls);

/* Appends ", name TYPE HIDDEN" for a column. */
void eg_sql_declare_as_hidden(sqlite3_str *to, eg_column col, bool has_nulls);

#endif
