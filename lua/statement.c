/*
** Prepared statements: parameters from Lua values, rows to Lua values.
**
** Integers are 64-bit on both sides and pass unchanged; text and blobs become
** strings; NULL is nil. After its last row (or a failure) a statement is reset
** at once, so that it holds no lock, but stays at its end until it is told to
** start over.
*/
#include <lauxlib.h>
#include <string.h>

#include "handles.h"
#include "lua_type.h"
#include "row_cells.h"
#include "row_text.h"

eg_lua_stmt *eg_lua_check_stmt(lua_State *L, int index) {
    eg_lua_stmt *stmt = luaL_checkudata(L, index, EG_LUA_STMT_TYPE);
    if (!stmt->stmt) {
        luaL_error(L, "attempt to use a closed statement");
    }
    if (stmt->conn->in_callback) {
        luaL_error(L, "attempt to use a connection inside its own progress function");
    }
    return stmt;
}

/* ---- preparing and closing ---- */

/* Skips white space, semicolons and comments. */
static const char *skip_blank(const char *sql) {
    for (;;) {
        sql += strspn(sql, " \t\r\n\f;");
        if (sql[0] == '-' && sql[1] == '-') {
            sql += strcspn(sql, "\n");
        } else if (sql[0] == '/' && sql[1] == '*') {
            const char *end = strstr(sql + 2, "*/");
            sql = end ? end + 2 : sql + strlen(sql);
        } else {
            return sql;
        }
    }
}

int eg_lua_stmt_prepare(lua_State *L, int conn_index, const char *sql, size_t n_bytes,
                        eg_lua_stmt **out, const char **tail) {
    conn_index = lua_absindex(L, conn_index);
    eg_lua_conn *conn = eg_lua_check_conn(L, conn_index);
    if (n_bytes >= INT32_MAX) {
        return SQLITE_TOOBIG;
    }
    eg_lua_stmt *stmt = lua_newuserdatauv(L, sizeof *stmt, EG_LUA_STMT_N_VALUES);
    memset(stmt, 0, sizeof *stmt);
    luaL_setmetatable(L, EG_LUA_STMT_TYPE);
    lua_pushvalue(L, conn_index);
    lua_setiuservalue(L, -2, EG_LUA_STMT_CONN);

    const char *rest = NULL;
    eg_lua_enter(L, conn, conn_index);
    int rc = sqlite3_prepare_v2(conn->db, sql, (int)n_bytes + 1, &stmt->stmt, &rest);
    if (stmt->stmt) { /* owned before anything can raise */
        stmt->conn = conn;
        stmt->next = conn->stmts;
        stmt->prev = &conn->stmts;
        if (stmt->next) {
            stmt->next->prev = &stmt->next;
        }
        conn->stmts = stmt;
    }
    eg_lua_leave(L, conn, NULL);
    if (rc != SQLITE_OK) {
        lua_pop(L, 1);
        return rc;
    }
    *out = stmt;
    *tail = skip_blank(rest);
    return SQLITE_OK;
}

void eg_lua_stmt_close(eg_lua_stmt *stmt) {
    if (!stmt->conn) {
        return;
    }
    *stmt->prev = stmt->next;
    if (stmt->next) {
        stmt->next->prev = stmt->prev;
    }
    stmt->conn = NULL;
    sqlite3_finalize(stmt->stmt); /* its result is the failure that step has told */
    stmt->stmt = NULL;
}

void eg_lua_stmt_reset(eg_lua_stmt *stmt) {
    sqlite3_reset(stmt->stmt);
    stmt->state = EG_LUA_READY;
}

/* ---- parameters ---- */

static int bind_value(lua_State *L, eg_lua_stmt *stmt, int param, int index) {
    size_t n;
    const char *bytes;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TNONE:
        return sqlite3_bind_null(stmt->stmt, param);
    case LUA_TBOOLEAN:
        return sqlite3_bind_int(stmt->stmt, param, lua_toboolean(L, index));
    case LUA_TNUMBER:
        return lua_isinteger(L, index)
                   ? sqlite3_bind_int64(stmt->stmt, param, lua_tointeger(L, index))
                   : sqlite3_bind_double(stmt->stmt, param, lua_tonumber(L, index));
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &n);
        return sqlite3_bind_text64(stmt->stmt, param, bytes, n, SQLITE_TRANSIENT, SQLITE_UTF8);
    case LUA_TUSERDATA:
        if (luaL_testudata(L, index, EG_LUA_BLOB_TYPE)) {
            lua_getiuservalue(L, index, 1);
            bytes = lua_tolstring(L, -1, &n);
            int rc = sqlite3_bind_blob64(stmt->stmt, param, bytes, n, SQLITE_TRANSIENT);
            lua_pop(L, 1);
            return rc;
        }
        break;
    default:
        break;
    }
    return luaL_error(L,
                      "cannot bind a %s to parameter %d (nil, boolean, number, string and "
                      "earlgrey.blob can be)",
                      luaL_typename(L, index), param);
}

/* The number of the parameter that a key of a table stands for, 0 if there is none. */
static int param_of_key(lua_State *L, eg_lua_stmt *stmt, int key_index, int n_params) {
    if (lua_isinteger(L, key_index)) {
        lua_Integer i = lua_tointeger(L, key_index);
        return i >= 1 && i <= n_params ? (int)i : 0;
    }
    if (lua_type(L, key_index) != LUA_TSTRING) {
        return 0;
    }
    const char *key = lua_tostring(L, key_index);
    for (int i = 1; i <= n_params; i++) {
        const char *name = sqlite3_bind_parameter_name(stmt->stmt, i);
        if (name && (strcmp(name + 1, key) == 0 || strcmp(name, key) == 0)) {
            return i;
        }
    }
    return 0;
}

static int bind_table(lua_State *L, eg_lua_stmt *stmt, int index) {
    int n_params = sqlite3_bind_parameter_count(stmt->stmt);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int param = param_of_key(L, stmt, lua_gettop(L) - 1, n_params);
        if (!param) {
            lua_pop(L, 1);
            return luaL_error(L, "the statement has no parameter '%s'",
                              luaL_tolstring(L, -1, NULL));
        }
        int rc = bind_value(L, stmt, param, lua_gettop(L));
        lua_pop(L, 1);
        if (rc != SQLITE_OK) {
            lua_pop(L, 1);
            return rc;
        }
    }
    return SQLITE_OK;
}

int eg_lua_stmt_bind(lua_State *L, eg_lua_stmt *stmt, int first, int n) {
    luaL_checkstack(L, 8, "binding");
    eg_lua_stmt_reset(stmt);
    sqlite3_clear_bindings(stmt->stmt);
    if (n == 1 && lua_istable(L, first)) {
        return bind_table(L, stmt, first);
    }
    int n_params = sqlite3_bind_parameter_count(stmt->stmt);
    if (n != n_params) {
        return luaL_error(L, "the statement has %d parameter%s, got %d value%s", n_params,
                          n_params == 1 ? "" : "s", n, n == 1 ? "" : "s");
    }
    for (int i = 0; i < n; i++) {
        int rc = bind_value(L, stmt, i + 1, first + i);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return SQLITE_OK;
}

/* ---- rows ---- */

int eg_lua_stmt_step(lua_State *L, eg_lua_stmt *stmt, int stmt_index) {
    if (stmt->state == EG_LUA_AT_END) {
        return SQLITE_DONE;
    }
    eg_lua_conn *conn = stmt->conn;
    stmt_index = lua_absindex(L, stmt_index);
    bool is_first = stmt->state == EG_LUA_READY;
    lua_getiuservalue(L, stmt_index, EG_LUA_STMT_CONN);
    stmt->state = EG_LUA_AT_END; /* what leave finds, should it raise */
    eg_lua_enter(L, conn, -1);
    int rc = sqlite3_step(stmt->stmt);
    eg_lua_leave(L, conn, stmt->stmt);
    lua_pop(L, 1);
    if (rc != SQLITE_ROW) {
        if (rc == SQLITE_DONE) {
            sqlite3_reset(stmt->stmt);
        }
        return rc; /* a failure is reset by eg_lua_stmt_fail, which needs its message */
    }
    stmt->state = EG_LUA_IN_ROWS;
    if (is_first) {
        /* Only now are the names certain: the first step may prepare anew. */
        lua_pushnil(L);
        lua_setiuservalue(L, stmt_index, EG_LUA_STMT_NAMES);
    }
    return rc;
}

int eg_lua_stmt_fail(lua_State *L, eg_lua_stmt *stmt, int rc) {
    int n = eg_lua_fail(L, stmt->conn->db, rc);
    sqlite3_reset(stmt->stmt);
    return n;
}

void eg_lua_stmt_push_value(lua_State *L, sqlite3_stmt *stmt, int column) {
    const void *bytes;
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        lua_pushinteger(L, sqlite3_column_int64(stmt, column));
        break;
    case SQLITE_FLOAT:
        lua_pushnumber(L, sqlite3_column_double(stmt, column));
        break;
    case SQLITE_TEXT:
        bytes = sqlite3_column_text(stmt, column);
        if (!bytes) {
            luaL_error(L, "not enough memory");
        }
        lua_pushlstring(L, bytes, (size_t)sqlite3_column_bytes(stmt, column));
        break;
    case SQLITE_BLOB:
        bytes = sqlite3_column_blob(stmt, column);
        lua_pushlstring(L, bytes ? bytes : "",
                        bytes ? (size_t)sqlite3_column_bytes(stmt, column) : 0);
        break;
    default:
        lua_pushnil(L);
        break;
    }
}

void eg_lua_stmt_push_array(lua_State *L, eg_lua_stmt *stmt) {
    int n = sqlite3_data_count(stmt->stmt);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        eg_lua_stmt_push_value(L, stmt->stmt, i);
        lua_rawseti(L, -2, i + 1);
    }
}

void eg_lua_stmt_push_names(lua_State *L, eg_lua_stmt *stmt) {
    int n = sqlite3_column_count(stmt->stmt);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        const char *name = sqlite3_column_name(stmt->stmt, i);
        if (!name) {
            luaL_error(L, "not enough memory");
        }
        lua_pushstring(L, name);
        lua_rawseti(L, -2, i + 1);
    }
}

void eg_lua_stmt_push_row(lua_State *L, eg_lua_stmt *stmt, int stmt_index) {
    stmt_index = lua_absindex(L, stmt_index);
    if (lua_getiuservalue(L, stmt_index, EG_LUA_STMT_NAMES) != LUA_TTABLE) {
        lua_pop(L, 1);
        eg_lua_stmt_push_names(L, stmt);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, stmt_index, EG_LUA_STMT_NAMES);
    }
    int n = sqlite3_data_count(stmt->stmt);
    lua_createtable(L, 0, n);
    for (int i = n; i-- > 0;) { /* backwards: of two columns with one name the first stays */
        lua_rawgeti(L, -2, i + 1);
        eg_lua_stmt_push_value(L, stmt->stmt, i);
        lua_rawset(L, -3);
    }
    lua_remove(L, -2); /* names */
}

/* ---- methods ---- */

static int m_bind(lua_State *L) {
    eg_lua_stmt *stmt = eg_lua_check_stmt(L, 1);
    int rc = eg_lua_stmt_bind(L, stmt, 2, lua_gettop(L) - 1);
    if (rc != SQLITE_OK) {
        return eg_lua_fail(L, stmt->conn->db, rc);
    }
    lua_settop(L, 1);
    return 1;
}

static int fetch(lua_State *L, bool by_name) {
    eg_lua_stmt *stmt = eg_lua_check_stmt(L, 1);
    int rc = eg_lua_stmt_step(L, stmt, 1);
    if (rc == SQLITE_DONE) {
        lua_pushnil(L);
        return 1;
    }
    if (rc != SQLITE_ROW) {
        return eg_lua_stmt_fail(L, stmt, rc);
    }
    if (by_name) {
        eg_lua_stmt_push_row(L, stmt, 1);
    } else {
        eg_lua_stmt_push_array(L, stmt);
    }
    return 1;
}

static int m_row(lua_State *L) {
    return fetch(L, true);
}

static int m_values(lua_State *L) {
    return fetch(L, false);
}

/* Upvalues: the statement, and whether to close it at the end. */
static int next_row(lua_State *L) {
    int index = lua_upvalueindex(1);
    eg_lua_stmt *stmt = eg_lua_check_stmt(L, index);
    lua_pushvalue(L, index);
    int at = lua_gettop(L);
    int rc = eg_lua_stmt_step(L, stmt, at);
    if (rc == SQLITE_ROW) {
        eg_lua_stmt_push_row(L, stmt, at);
        return 1;
    }
    if (rc != SQLITE_DONE) {
        eg_lua_stmt_fail(L, stmt, rc);
        lua_pop(L, 1); /* the code's name: an error carries the message alone */
        return lua_error(L);
    }
    if (lua_toboolean(L, lua_upvalueindex(2))) {
        eg_lua_stmt_close(stmt);
    }
    lua_pushnil(L);
    return 1;
}

int eg_lua_stmt_push_iterator(lua_State *L, int stmt_index, bool closing) {
    stmt_index = lua_absindex(L, stmt_index);
    lua_pushvalue(L, stmt_index);
    lua_pushboolean(L, closing);
    lua_pushcclosure(L, next_row, 2);
    if (!closing) {
        return 1;
    }
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, stmt_index);
    return 4;
}

static int m_rows(lua_State *L) {
    eg_lua_stmt_reset(eg_lua_check_stmt(L, 1));
    return eg_lua_stmt_push_iterator(L, 1, false);
}

static int m_columns(lua_State *L) {
    eg_lua_stmt_push_names(L, eg_lua_check_stmt(L, 1));
    return 1;
}

static int m_reset(lua_State *L) {
    eg_lua_stmt_reset(eg_lua_check_stmt(L, 1));
    lua_settop(L, 1);
    return 1;
}

static int m_close(lua_State *L) {
    eg_lua_stmt *stmt = luaL_checkudata(L, 1, EG_LUA_STMT_TYPE);
    if (stmt->conn) {
        eg_lua_stmt_close(eg_lua_check_stmt(L, 1));
    }
    return 0;
}

static int m__gc(lua_State *L) {
    eg_lua_stmt_close(luaL_checkudata(L, 1, EG_LUA_STMT_TYPE));
    return 0;
}

static int m__tostring(lua_State *L) {
    eg_lua_stmt *stmt = luaL_checkudata(L, 1, EG_LUA_STMT_TYPE);
    if (stmt->stmt) {
        lua_pushfstring(L, "statement (%s)", sqlite3_sql(stmt->stmt));
    } else {
        lua_pushliteral(L, "statement (closed)");
    }
    return 1;
}

void eg_lua_stmt_setup(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"bind", m_bind},
        {"row", m_row},
        {"values", m_values},
        {"rows", m_rows},
        {"csv", eg_lua_stmt_csv},
        {"json", eg_lua_stmt_json},
        {"cells", eg_lua_stmt_cells},
        {"columns", m_columns},
        {"reset", m_reset},
        {"close", m_close},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", m__gc},
        {"__close", m_close},
        {"__tostring", m__tostring},
        {NULL, NULL},
    };
    eg_lua_make_type(L, EG_LUA_STMT_TYPE, meta, methods);
    eg_lua_cells_setup(L);
}
