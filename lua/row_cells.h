/*
** Rows of a statement as the cells of an aligned table, many at a time, past
** Lua's values. What the cells look like is told by earlgrey/table.lua.
*/
#ifndef EARLGREY_ROW_CELLS_H
#define EARLGREY_ROW_CELLS_H

#include <lua.h>

/* stmt:cells(n, cell) of lua/README.md. */
int eg_lua_stmt_cells(lua_State *L);

/* Makes the type of what it returns; once. */
void eg_lua_cells_setup(lua_State *L);

#endif
