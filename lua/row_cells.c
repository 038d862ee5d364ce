/*
** The texts of all cells are one string, the userdata's value; the userdata says
** how long and how wide each is.
*/
#include "row_cells.h"

#include <lauxlib.h>
#include <string.h>

#include "handles.h"
#include "lua_type.h"
#include "row_text.h"

#define CELLS_TYPE "earlgrey.cells"
#define MAX_ROWS 100000 /* a call */

typedef struct cell {
    uint32_t n_bytes, width; /* width in characters */
} cell;

typedef struct column {
    uint32_t width; /* of its widest cell */
    bool has_number, has_text;
} column;

typedef struct cells {
    uint32_t n_rows, n_columns;
    cell *cells;      /* [n_rows * n_columns], behind the columns */
    column columns[]; /* [n_columns] */
} cells;

/* ---- taking rows ---- */

static bool is_plain(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return true;
}

/* Adds what the function at 3 makes of the value. */
static cell add_made(lua_State *L, luaL_Buffer *b, sqlite3_stmt *stmt, int i) {
    size_t n;
    lua_pushvalue(L, 3);
    eg_lua_stmt_push_value(L, stmt, i);
    lua_call(L, 1, 2);
    lua_Integer width = luaL_checkinteger(L, -1);
    luaL_checklstring(L, -2, &n);
    eg_lua_check_stmt(L, 1); /* the function may have closed it */
    if (n > INT32_MAX || width < 0 || width > INT32_MAX) {
        luaL_error(L, "a cell is too large");
    }
    lua_pop(L, 1);
    luaL_addvalue(b);
    return (cell){.n_bytes = (uint32_t)n, .width = (uint32_t)width};
}

static cell add_cell(lua_State *L, luaL_Buffer *b, sqlite3_stmt *stmt, int i, column *c) {
    sqlite3_value *value = sqlite3_column_value(stmt, i);
    int type = sqlite3_value_type(value);
    size_t n = 0;
    if (type == SQLITE_NULL) {
        return (cell){0};
    }
    bool is_number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    c->has_number |= is_number;
    c->has_text |= !is_number;
    if (type == SQLITE_INTEGER) {
        n = eg_lua_put_integer(sqlite3_value_int64(value),
                               luaL_prepbuffsize(b, EG_LUA_INTEGER_MAX));
        luaL_addsize(b, n);
        return (cell){.n_bytes = (uint32_t)n, .width = (uint32_t)n};
    }
    const char *text = type == SQLITE_TEXT ? eg_lua_value_bytes(L, value, &n) : NULL;
    if (!text || !is_plain(text, n)) {
        return add_made(L, b, stmt, i);
    }
    luaL_addlstring(b, text, n);
    return (cell){.n_bytes = (uint32_t)n, .width = (uint32_t)n};
}

static cells *push_cells(lua_State *L, uint32_t max_rows, uint32_t n_columns) {
    size_t n_before = (sizeof(cells) + n_columns * sizeof(column) + 7) / 8 * 8;
    cells *c = lua_newuserdatauv(L, n_before + (size_t)max_rows * n_columns * sizeof(cell), 1);
    memset(c, 0, n_before);
    c->n_columns = n_columns;
    c->cells = (cell *)((char *)c + n_before);
    luaL_setmetatable(L, CELLS_TYPE);
    return c;
}

int eg_lua_stmt_cells(lua_State *L) {
    eg_lua_stmt *stmt = eg_lua_check_stmt(L, 1);
    lua_Integer max_rows = luaL_checkinteger(L, 2);
    luaL_argcheck(L, max_rows >= 1 && max_rows <= MAX_ROWS, 2, "expected 1 to 100000 rows");
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    luaL_Buffer b;
    int rc = eg_lua_stmt_step(L, stmt, 1);
    uint32_t n = rc == SQLITE_ROW ? (uint32_t)sqlite3_data_count(stmt->stmt) : 0;
    cells *c = push_cells(L, (uint32_t)max_rows, n);
    luaL_buffinit(L, &b);
    while (rc == SQLITE_ROW) {
        cell *row = c->cells + (size_t)c->n_rows * n;
        for (uint32_t i = 0; i < n; i++) {
            row[i] = add_cell(L, &b, stmt->stmt, (int)i, &c->columns[i]);
            if (row[i].width > c->columns[i].width) {
                c->columns[i].width = row[i].width;
            }
        }
        if (++c->n_rows == max_rows) {
            break;
        }
        rc = eg_lua_stmt_step(L, stmt, 1);
    }
    luaL_pushresult(&b);
    lua_setiuservalue(L, -2, 1);
    return eg_lua_rows_end(L, 1, c->n_rows, rc);
}

/* ---- showing them ---- */

static int m_widths(lua_State *L) {
    const cells *c = luaL_checkudata(L, 1, CELLS_TYPE);
    lua_createtable(L, (int)c->n_columns, 0);
    lua_createtable(L, (int)c->n_columns, 0);
    for (uint32_t i = 0; i < c->n_columns; i++) {
        lua_pushinteger(L, c->columns[i].width);
        lua_rawseti(L, -3, i + 1);
        lua_pushboolean(L, c->columns[i].has_number && !c->columns[i].has_text);
        lua_rawseti(L, -2, i + 1);
    }
    return 2;
}

/* The columns as they are to be shown, from the arrays at 2 and 3. */
static column *push_layout(lua_State *L, uint32_t n) {
    column *layout = lua_newuserdatauv(L, (n + 1) * sizeof *layout, 0);
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(L, 2, i + 1);
        lua_rawgeti(L, 3, i + 1);
        lua_Integer width = luaL_checkinteger(L, -2);
        luaL_argcheck(L, width >= 0 && width <= INT32_MAX, 2, "a width is out of range");
        layout[i] = (column){.width = (uint32_t)width, .has_number = lua_toboolean(L, -1)};
        lua_pop(L, 2);
    }
    return layout;
}

static char *put_blanks(char *to, size_t n) {
    memset(to, ' ', n);
    return to + n;
}

/* Adds a line; returns how many bytes of text it took. */
static size_t add_line(luaL_Buffer *b, const cell *row, const column *layout, uint32_t n,
                       const char *text) {
    size_t at = 0, most = 2 * (size_t)n + 1;
    for (uint32_t i = 0; i < n; i++) {
        most += row[i].n_bytes + (size_t)layout[i].width;
    }
    char *line = luaL_prepbuffsize(b, most), *to = line;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t width = layout[i].width;
        size_t pad = width > row[i].width ? width - row[i].width : 0;
        to = put_blanks(to, (i > 0 ? 2 : 0) + (layout[i].has_number ? pad : 0));
        memcpy(to, text + at, row[i].n_bytes);
        to += row[i].n_bytes;
        at += row[i].n_bytes;
        to = put_blanks(to, layout[i].has_number ? 0 : pad);
    }
    while (to > line && to[-1] == ' ') {
        to--;
    }
    *to++ = '\n';
    luaL_addsize(b, (size_t)(to - line));
    return at;
}

static int m_lines(lua_State *L) {
    const cells *c = luaL_checkudata(L, 1, CELLS_TYPE);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    const column *layout = push_layout(L, c->n_columns);
    lua_getiuservalue(L, 1, 1);
    const char *text = lua_tostring(L, -1);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (uint32_t r = 0; r < c->n_rows; r++) {
        text += add_line(&b, c->cells + (size_t)r * c->n_columns, layout, c->n_columns, text);
    }
    luaL_pushresult(&b);
    return 1;
}

void eg_lua_cells_setup(lua_State *L) {
    static const luaL_Reg methods[] = {{"widths", m_widths}, {"lines", m_lines}, {NULL, NULL}};
    eg_lua_make_type(L, CELLS_TYPE, NULL, methods);
}
