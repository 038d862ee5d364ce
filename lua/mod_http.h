/*
** The Lua module `http`: a server for HTTP/1.1. Its functions are described in
** lua/README.md.
*/
#ifndef EARLGREY_MOD_HTTP_H
#define EARLGREY_MOD_HTTP_H

#include <lua.h>

/* Loader of the module. */
int luaopen_http(lua_State *L);

#endif
