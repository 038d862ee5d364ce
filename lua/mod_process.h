/*
** The Lua module `process`: child processes and signals. Its functions are
** described in lua/README.md.
*/
#ifndef EARLGREY_MOD_PROCESS_H
#define EARLGREY_MOD_PROCESS_H

#include <lua.h>

/* Loader of the module. */
int luaopen_process(lua_State *L);

#endif
