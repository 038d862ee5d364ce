/*
** The Lua module `mongo`: a client of MongoDB. Its functions are described in
** lua/README.md. It is a shared object of its own, loaded where it is asked for:
** what it links takes as long to load as all the rest of a short script.
*/
#ifndef EARLGREY_MOD_MONGO_H
#define EARLGREY_MOD_MONGO_H

#include <lua.h>

/* Loader of the module. Expects `earlgrey.json`. One Lua state a process. */
__attribute__((visibility("default"))) int luaopen_mongo(lua_State *L);

#endif
