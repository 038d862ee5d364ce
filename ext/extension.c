/* The entry points: checks the host's SQLite and registers. */
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#include "earlgrey.h"
#include "sqlite/settings.h"
#include "sqlite/sql_tables.h"

#define EXPORT __attribute__((visibility("default")))

/* sqlite3_vtab_in, _distinct and _rhs_value came with 3.38; an older host's table of
** pointers ends before them. */
#define OLDEST_SQLITE 3038000

static int check_host(char **error) {
    if (sqlite3_libversion_number() >= OLDEST_SQLITE)
        return SQLITE_OK;
    *error = sqlite3_mprintf("earlgrey needs SQLite 3.38 or newer, found %s", sqlite3_libversion());
    return SQLITE_ERROR;
}

/* Neither entry point calls the other: the loader may have bound that name to another
** copy of this library in the same process. */
static int begin(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
    SQLITE_EXTENSION_INIT2(api);
    (void)api;
    int rc = check_host(error);
    return rc == SQLITE_OK ? eg_register_functions(db) : rc;
}

EXPORT int sqlite3_earlgrey_nofs_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
    return begin(db, error, api);
}

EXPORT int sqlite3_earlgrey_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
    int rc = begin(db, error, api);
    if (rc != SQLITE_OK)
        return rc;
    eg_connection *c = eg_connection_open(db);
    if (c == NULL)
        return SQLITE_NOMEM;
    rc = eg_register_flows(c);
    if (rc == SQLITE_OK)
        rc = eg_register_groups(c);
    if (rc == SQLITE_OK)
        rc = eg_register_series(c);
    if (rc == SQLITE_OK)
        rc = eg_register_ledger(c);
    if (rc == SQLITE_OK)
        rc = eg_register_ingest(c);
    if (rc == SQLITE_OK)
        rc = eg_register_progress(c);
    if (rc == SQLITE_OK)
        rc = eg_register_settings(c);
    eg_connection_release(c); /* the modules hold it now */
    return rc;
}
