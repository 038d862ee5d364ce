/*
** The pure-Lua parts, carried inside the program so that `require` finds them
** wherever it is started.
*/
#ifndef EARLGREY_EMBEDDED_H
#define EARLGREY_EMBEDDED_H

#include <lua.h>

/* Makes require("earlgrey.NAME") load the files of lua/earlgrey, and
** require("json") the same module as require("earlgrey.json"). */
void eg_lua_embedded_preload(lua_State *L);

#endif
