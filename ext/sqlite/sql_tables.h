/* The virtual tables and functions of the extension; each registers its own. */
#ifndef EG_SQL_TABLES_H
#define EG_SQL_TABLES_H

#include "sqlite/connection.h"

/* Each returns an SQLite result code. */
int eg_register_flows(eg_connection *c);  /* netflow_pcap, netflow_parquet, netflow */
int eg_register_groups(eg_connection *c); /* netflow_active, netflow_top */
int eg_register_series(eg_connection *c); /* netflow_series */
int eg_register_ledger(eg_connection *c); /* netflow_audit, netflow_loss, netflow_scan_stats */
int eg_register_ingest(eg_connection *c); /* netflow_ingest, netflow_compact */
int eg_register_functions(sqlite3 *db);   /* scalars: nothing that opens files */

/* ip4_in(addr, cidr); the tables overload it to see it as a constraint. */
void eg_sql_ip4_in(sqlite3_context *ctx, int argc, sqlite3_value **argv);

/* xFindFunction of every table with schema columns: offers ip4_in to xBestIndex. */
int eg_sql_find_function(sqlite3_vtab *vtab, int argc, const char *name,
                         void (**function)(sqlite3_context *, int, sqlite3_value **), void **arg);

/*
** SQLITE_VTAB_DIRECTONLY: these tables open any file that SQL names, so a view or
** trigger planted in a database file could make its reader's process read files
** for it. Direct SQL, and TEMP views and triggers, are the user's own.
*/
int eg_sql_direct_only(sqlite3 *db);

/* A table of a module that several functions share: kind tells which it is. */
typedef struct eg_sql_table {
    sqlite3_vtab base; /* must be first */
    eg_connection *connection;
    const void *kind; /* the module's own; static */
} eg_sql_table;

/* What is left of xConnect once rc, that of the declaration, is known: direct only, and the
** table. */
int eg_sql_connect(sqlite3 *db, int rc, eg_connection *connection, const void *kind,
                   sqlite3_vtab **vtab);

/* Their xDisconnect. */
int eg_sql_disconnect(sqlite3_vtab *vtab);

/* xOpen of cursors that are ready when zeroed. */
int eg_sql_open(size_t cursor_bytes, sqlite3_vtab_cursor **out);

/* A text, or NULL, as a result. */
void eg_sql_result_text(sqlite3_context *ctx, const char *text);

/* Declares a table of columns given as ", name TYPE …"; frees the list. */
int eg_sql_declare_table(sqlite3 *db, sqlite3_str *columns);

/* A hidden column that stands behind the arguments of a function: one argument too
** many becomes a term on it, and an error, rather than a term on what follows. */
#define EG_SQL_SURPLUS ", _surplus HIDDEN"
int eg_sql_surplus(sqlite3_vtab *vtab, const char *name);

/* A number for row n of a scan over `source` that no scan over another source shares
** but by chance (1 in 4 million): SQLite's OR over two scans tells rows apart by it. */
sqlite3_int64 eg_sql_rowid(uint64_t source_hash, int64_t n);
uint64_t eg_sql_hash(uint64_t seed, const void *bytes, size_t n_bytes);

/* Registers a module that shares the connection. */
int eg_sql_module(eg_connection *c, const char *name, const sqlite3_module *module);

#endif
