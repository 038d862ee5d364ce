/* What the tables have in common. */
#include "sqlite/sql_tables.h"

#include <string.h>

int eg_sql_find_function(sqlite3_vtab *vtab, int argc, const char *name,
                         void (**function)(sqlite3_context *, int, sqlite3_value **), void **arg) {
    (void)vtab;
    if (argc != 2 || sqlite3_stricmp(name, "ip4_in") != 0)
        return 0;
    *function = eg_sql_ip4_in;
    *arg = NULL;
    return SQLITE_INDEX_CONSTRAINT_FUNCTION;
}

int eg_sql_direct_only(sqlite3 *db) {
    return sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
}

int eg_sql_connect(sqlite3 *db, int rc, eg_connection *connection, const void *kind,
                   sqlite3_vtab **vtab) {
    if (rc == SQLITE_OK)
        rc = eg_sql_direct_only(db);
    if (rc != SQLITE_OK)
        return rc;
    eg_sql_table *t = sqlite3_malloc64(sizeof *t);
    if (t == NULL)
        return SQLITE_NOMEM;
    *t = (eg_sql_table){.connection = connection, .kind = kind};
    *vtab = &t->base;
    return SQLITE_OK;
}

int eg_sql_disconnect(sqlite3_vtab *vtab) {
    sqlite3_free(vtab);
    return SQLITE_OK;
}

int eg_sql_open(size_t cursor_bytes, sqlite3_vtab_cursor **out) {
    *out = sqlite3_malloc64(cursor_bytes);
    if (*out == NULL)
        return SQLITE_NOMEM;
    memset(*out, 0, cursor_bytes);
    return SQLITE_OK;
}

void eg_sql_result_text(sqlite3_context *ctx, const char *text) {
    if (text != NULL)
        sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

int eg_sql_declare_table(sqlite3 *db, sqlite3_str *columns) {
    char *list = sqlite3_str_finish(columns);
    char *text = list ? sqlite3_mprintf("CREATE TABLE x(%s)", list + 2) : NULL; /* past ", " */
    int rc = text ? sqlite3_declare_vtab(db, text) : SQLITE_NOMEM;
    sqlite3_free(text);
    sqlite3_free(list);
    return rc;
}

int eg_sql_surplus(sqlite3_vtab *vtab, const char *name) {
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = sqlite3_mprintf(
        "%s: too many arguments (several files are one source: separate them by newlines)", name);
    return vtab->zErrMsg ? SQLITE_ERROR : SQLITE_NOMEM;
}

uint64_t eg_sql_hash(uint64_t seed, const void *bytes, size_t n_bytes) {
    uint64_t h = seed ^ UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < n_bytes; i++)
        h = (h ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211);
    return h ^ h >> 29;
}

sqlite3_int64 eg_sql_rowid(uint64_t source_hash, int64_t n) {
    return (sqlite3_int64)(((source_hash & 0x3fffff) << 40) + ((uint64_t)n & 0xffffffffff));
}

int eg_sql_module(eg_connection *c, const char *name, const sqlite3_module *module) {
    /* On failure SQLite has called the destructor already. */
    return sqlite3_create_module_v2(c->db, name, module, eg_connection_share(c),
                                    eg_connection_release);
}
