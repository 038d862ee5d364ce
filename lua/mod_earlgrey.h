/*
** The Lua module `earlgrey`: SQLite connections with the extension built in.
** Its functions are described in lua/README.md.
*/
#ifndef EARLGREY_MOD_EARLGREY_H
#define EARLGREY_MOD_EARLGREY_H

#include <lua.h>

/* Loader of the module. Expects the embedded Lua parts to be preloaded. */
int luaopen_earlgrey(lua_State *L);

/* Makes the running statements of all open connections stop with
** SQLITE_INTERRUPT. May be called from a signal handler. */
void eg_lua_interrupt_all(void);

#endif
