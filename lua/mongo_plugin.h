/*
** Where `require "mongo"` comes from: earlgrey-mongo.so, beside the program or in
** lib/earlgrey of the prefix it is installed in.
*/
#ifndef EARLGREY_MONGO_PLUGIN_H
#define EARLGREY_MONGO_PLUGIN_H

#include <lua.h>

/* Makes require("mongo") load it; where it was not built, that raises and says what
** is missing. */
void eg_lua_mongo_preload(lua_State *L, const char *program_folder);

#endif
