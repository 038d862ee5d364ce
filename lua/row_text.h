/*
** Rows of a statement as text, many at a time, past Lua's values: CSV and JSON.
*/
#ifndef EARLGREY_ROW_TEXT_H
#define EARLGREY_ROW_TEXT_H

#include <lua.h>
#include <sqlite3.h>
#include <stdint.h>

/* stmt:csv() and stmt:json(encode) of lua/README.md. */
int eg_lua_stmt_csv(lua_State *L);
int eg_lua_stmt_json(lua_State *L);

/* Writes n in decimal, without a NUL; returns how many bytes. */
#define EG_LUA_INTEGER_MAX 20
size_t eg_lua_put_integer(int64_t n, char *out);

/* The bytes of a text or blob; raises without memory. */
const char *eg_lua_value_bytes(lua_State *L, sqlite3_value *value, size_t *n);

/* After the rows of one call: pushes what it returns behind a text of n_rows
** rows that is on top of the stack (nil instead, where there are none), given
** the last step's result. Returns how many values the call has. */
int eg_lua_rows_end(lua_State *L, int stmt_index, size_t n_rows, int rc);

#endif
