/*
** A value is looked at as sqlite3_column_value() gives it: the connection has no
** mutex and one thread, so nothing changes it before the next step. That costs
** half of asking column by column for type, bytes and length.
*/
#include "row_text.h"

#include <lauxlib.h>
#include <string.h>

#include "handles.h"

#define TEXT_BYTES 65536 /* enough for one text */

size_t eg_lua_put_integer(int64_t n, char *out) {
    char text[EG_LUA_INTEGER_MAX];
    size_t at = sizeof text;
    uint64_t rest = n < 0 ? -(uint64_t)n : (uint64_t)n;
    do {
        text[--at] = (char)('0' + rest % 10);
    } while ((rest /= 10) != 0);
    if (n < 0) {
        text[--at] = '-';
    }
    memcpy(out, text + at, sizeof text - at);
    return sizeof text - at;
}

const char *eg_lua_value_bytes(lua_State *L, sqlite3_value *value, size_t *n) {
    bool is_text = sqlite3_value_type(value) == SQLITE_TEXT;
    const char *bytes =
        is_text ? (const char *)sqlite3_value_text(value) : sqlite3_value_blob(value);
    if (!bytes && is_text) {
        luaL_error(L, "not enough memory");
    }
    *n = bytes ? (size_t)sqlite3_value_bytes(value) : 0;
    return bytes ? bytes : "";
}

int eg_lua_rows_end(lua_State *L, int stmt_index, size_t n_rows, int rc) {
    if (n_rows == 0) {
        lua_pushnil(L);
        lua_replace(L, -2);
    }
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        return 1;
    }
    int n_failed = eg_lua_stmt_fail(L, eg_lua_check_stmt(L, stmt_index), rc);
    lua_remove(L, -n_failed); /* its nil: the rows stand there */
    return n_failed;
}

static void add_integer(luaL_Buffer *b, int64_t n) {
    char *to = luaL_prepbuffsize(b, EG_LUA_INTEGER_MAX);
    luaL_addsize(b, eg_lua_put_integer(n, to));
}

/* ---- CSV, as earlgrey/csv.lua writes it ---- */

static void add_quoted(luaL_Buffer *b, const char *text, size_t n) {
    luaL_addchar(b, '"');
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"') {
            luaL_addchar(b, '"');
        }
        luaL_addchar(b, text[i]);
    }
    luaL_addchar(b, '"');
}

static void add_csv_text(luaL_Buffer *b, const char *text, size_t n) {
    char *to = luaL_prepbuffsize(b, n);
    size_t i = 0;
    for (; i < n; i++) {
        char c = to[i] = text[i];
        if (c == '"' || c == ',' || c == '\r' || c == '\n') {
            break;
        }
    }
    if (n > 0 && i == n) {
        luaL_addsize(b, n);
    } else {
        add_quoted(b, text, n);
    }
}

static void add_csv_value(lua_State *L, luaL_Buffer *b, sqlite3_value *value) {
    const char *bytes;
    size_t n;
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        add_integer(b, sqlite3_value_int64(value));
        break;
    case SQLITE_FLOAT:
        lua_pushnumber(L, sqlite3_value_double(value));
        luaL_tolstring(L, -1, NULL);
        lua_remove(L, -2);
        luaL_addvalue(b);
        break;
    case SQLITE_NULL:
        break;
    default:
        bytes = eg_lua_value_bytes(L, value, &n);
        add_csv_text(b, bytes, n);
        break;
    }
}

int eg_lua_stmt_csv(lua_State *L) {
    eg_lua_stmt *stmt = eg_lua_check_stmt(L, 1);
    luaL_Buffer b;
    size_t n_rows = 0;
    int rc = SQLITE_ROW;
    luaL_buffinit(L, &b);
    while (luaL_bufflen(&b) < TEXT_BYTES && (rc = eg_lua_stmt_step(L, stmt, 1)) == SQLITE_ROW) {
        int n = sqlite3_data_count(stmt->stmt);
        for (int i = 0; i < n; i++) {
            if (i > 0) {
                luaL_addchar(&b, ',');
            }
            add_csv_value(L, &b, sqlite3_column_value(stmt->stmt, i));
        }
        luaL_addlstring(&b, "\r\n", 2);
        n_rows++;
    }
    luaL_pushresult(&b);
    return eg_lua_rows_end(L, 1, n_rows, rc);
}

/* ---- JSON ---- */

typedef struct json_name {
    const char *text; /* "name": with the comma before it; NULL: a column that is left out */
    size_t n_bytes;
} json_name;

/* The string on top, which the caller's function made. */
static const char *check_encoded(lua_State *L) {
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "encode gave a %s, expected a string", luaL_typename(L, -1));
    }
    return lua_tostring(L, -1);
}

/* Pushes the texts of the names, made by the function at 2, and an array of them that
** points into these. Of two columns with one name the first stays. */
static const json_name *push_names(lua_State *L, eg_lua_stmt *stmt, int n) {
    eg_lua_stmt_push_names(L, stmt);
    int names = lua_gettop(L);
    json_name *out = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *out, 0);
    lua_newtable(L); /* of the names so far */
    for (int i = 0; i < n; i++) {
        out[i] = (json_name){0};
        lua_rawgeti(L, names, i + 1);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) != LUA_TNIL) {
            lua_pop(L, 2);
            continue;
        }
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushboolean(L, 1);
        lua_rawset(L, -4);
        lua_pushvalue(L, 2);
        lua_insert(L, -2);
        lua_call(L, 1, 1);
        lua_pushfstring(L, "%s%s:", i > 0 ? "," : "", check_encoded(L));
        out[i].text = lua_tolstring(L, -1, &out[i].n_bytes);
        lua_rawseti(L, names, i + 1); /* which keeps it */
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return out;
}

/* Adds text in quotes; false, and nothing added, where it needs more than these. */
static bool add_plain_string(luaL_Buffer *b, const char *text, size_t n) {
    char *to = luaL_prepbuffsize(b, n + 2);
    to[0] = '"';
    for (size_t i = 0; i < n; i++) {
        char c = to[i + 1] = text[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\') {
            return false;
        }
    }
    to[n + 1] = '"';
    luaL_addsize(b, n + 2);
    return true;
}

static void add_json_value(lua_State *L, luaL_Buffer *b, sqlite3_stmt *stmt, int column) {
    sqlite3_value *value = sqlite3_column_value(stmt, column);
    int type = sqlite3_value_type(value);
    if (type == SQLITE_INTEGER) {
        add_integer(b, sqlite3_value_int64(value));
        return;
    }
    if (type == SQLITE_NULL) {
        luaL_addlstring(b, "null", 4);
        return;
    }
    if (type == SQLITE_TEXT) {
        size_t n;
        const char *text = eg_lua_value_bytes(L, value, &n);
        if (add_plain_string(b, text, n)) {
            return;
        }
    }
    lua_pushvalue(L, 2);
    eg_lua_stmt_push_value(L, stmt, column);
    lua_call(L, 1, 1);
    eg_lua_check_stmt(L, 1); /* the function may have closed it */
    (void)check_encoded(L);
    luaL_addvalue(b);
}

int eg_lua_stmt_json(lua_State *L) {
    eg_lua_stmt *stmt = eg_lua_check_stmt(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    luaL_Buffer b;
    size_t n_rows = 0;
    int rc = eg_lua_stmt_step(L, stmt, 1); /* only now are the names certain */
    int n = rc == SQLITE_ROW ? sqlite3_data_count(stmt->stmt) : 0;
    const json_name *names = push_names(L, stmt, n);
    luaL_buffinit(L, &b);
    while (rc == SQLITE_ROW) {
        luaL_addstring(&b, n_rows > 0 ? ",\n{" : "{");
        for (int i = 0; i < n; i++) {
            if (names[i].text) {
                luaL_addlstring(&b, names[i].text, names[i].n_bytes);
                add_json_value(L, &b, stmt->stmt, i);
            }
        }
        luaL_addchar(&b, '}');
        n_rows++;
        if (luaL_bufflen(&b) >= TEXT_BYTES) {
            break;
        }
        rc = eg_lua_stmt_step(L, stmt, 1);
    }
    luaL_pushresult(&b);
    return eg_lua_rows_end(L, 1, n_rows, rc);
}
