/* What a store wrote down of its captures' ledgers: rows of netflow_audit and netflow_loss
** without the captures. The manifest of a dataset has the tables. */
#ifndef EG_STORED_LEDGER_H
#define EG_STORED_LEDGER_H

#include "base/status.h"
#include "sqlite/sqlite_api.h"

typedef enum eg_stored_table { EG_STORED_AUDIT, EG_STORED_LOSS } eg_stored_table;

typedef struct eg_stored_ledger eg_stored_ledger;

/* Opens the database `path` for reading, captures in the order in which they were stored.
** EG_IO, EG_CORRUPT, EG_NOMEM. */
eg_status eg_stored_ledger_open(const char *path, eg_stored_table table, eg_stored_ledger **out,
                                eg_err *err);

/* The next row, which is one snapshot's. EG_DONE behind the last. */
eg_status eg_stored_ledger_next(eg_stored_ledger *l, eg_err *err);

/* Gives a column of the row, in the order of the SQL function's. */
void eg_stored_ledger_column(const eg_stored_ledger *l, int column, sqlite3_context *ctx);

/* NULL is allowed. */
void eg_stored_ledger_close(eg_stored_ledger *l);

#endif
