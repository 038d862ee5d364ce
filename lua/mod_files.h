/*
** The Lua module `files`: what io and os lack. Its functions are described in
** lua/README.md.
*/
#ifndef EARLGREY_MOD_FILES_H
#define EARLGREY_MOD_FILES_H

#include <lua.h>

/* Loader of the module. */
int luaopen_files(lua_State *L);

#endif
