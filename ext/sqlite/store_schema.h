/*
** The SQLite store: flows in one file that any SQLite client opens without the extension.
**
**   flow            a row a flow: integers, and generated columns with the readable names of
**                   flow/schema.def, made by SQLite's own functions
**   capture, audit, loss, reject   as capture_tables.h says
**   flow_readable   what SELECT * of netflow() shows, and the file
**   top_talkers, daily
**
** Indexes: source address and time, destination address and time (the dotted texts, so that
** what people write searches them), time, and both addresses as numbers (networks).
**
** user_version is EG_STORE_VERSION, application_id EG_STORE_ID.
*/
#ifndef EG_STORE_SCHEMA_H
#define EG_STORE_SCHEMA_H

#include "flow/schema.h"
#include "sqlite/database.h"

#define EG_STORE_VERSION 1
#define EG_STORE_ID 0x45477366

/* The stored columns of flow behind id, in their order. The last is the capture's number. */
#define EG_STORE_COLUMNS 26
#define EG_STORE_CAPTURE (EG_STORE_COLUMNS - 1)
typedef struct eg_store_column {
    const char *name;
    eg_vector vector; /* EG_N_VECTORS: no vector */
} eg_store_column;
extern const eg_store_column eg_store_columns[EG_STORE_COLUMNS];

typedef enum eg_store_index {
    EG_INDEX_SRCADDR, /* text, start_ms */
    EG_INDEX_DSTADDR,
    EG_INDEX_TIME,
    EG_INDEX_SRCADDR_NUM,
    EG_INDEX_DSTADDR_NUM
} eg_store_index;
#define EG_STORE_INDEXES 5
extern const char *const eg_store_index_names[EG_STORE_INDEXES];

/* Makes tables, indexes and views where there are none, or checks the version of those that are.
** EG_UNSUPPORTED: of another version, or a database of somebody else's. */
eg_status eg_store_make(const eg_database *d, eg_err *err);

/* Checks the version of a store that is to be read. */
eg_status eg_store_check(const eg_database *d, eg_err *err);

/* Whether the store is as eg_store_make() leaves one: nothing stored, nothing added. */
eg_status eg_store_is_new(const eg_database *d, bool *is_new, eg_err *err);

/* Whether the table is still as eg_store_make() makes it, column by column; *root is then its
** root page. */
eg_status eg_store_table(const eg_database *d, bool *is_ours, uint32_t *root, eg_err *err);

typedef enum eg_store_kind { EG_NO_DATABASE, EG_OTHER_DATABASE, EG_STORE } eg_store_kind;

/* What a file is, asked through SQLite: closing a descriptor of our own would drop the locks
** that the host may have on a database. A database that cannot be read is EG_OTHER_DATABASE, of
** which opening it will tell; EG_NOMEM. */
eg_status eg_store_probe(const char *path, eg_store_kind *kind, eg_err *err);

#endif
