#include "mongo_plugin.h"

#include <lauxlib.h>
#include <unistd.h>

#ifndef EARLGREY_LIB_DIR
#define EARLGREY_LIB_DIR "/usr/local/lib"
#endif

/* Pushes the path of the shared object; nothing where it is in none of its places. */
static const char *push_path(lua_State *L, const char *program_folder) {
    const char *const formats[] = {"%s/earlgrey-mongo.so", "%s/../lib/earlgrey/earlgrey-mongo.so",
                                   "%s/earlgrey/earlgrey-mongo.so"};
    const char *const roots[] = {program_folder, program_folder, EARLGREY_LIB_DIR};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        const char *path = lua_pushfstring(L, formats[i], roots[i]);
        if (access(path, R_OK) == 0) {
            return path;
        }
        lua_pop(L, 1);
    }
    return NULL;
}

/* Loader; upvalue: the folder of the program. */
static int load_mongo(lua_State *L) {
    lua_settop(L, 1);
    if (!push_path(L, lua_tostring(L, lua_upvalueindex(1)))) {
        return luaL_error(L, "this earlgrey-lua was built without MongoDB: install libmongoc-dev "
                             "and build it again");
    }
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loadlib");
    lua_pushvalue(L, 2);
    lua_pushliteral(L, "luaopen_mongo");
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2)) {
        return luaL_error(L, "mongo: %s", lua_tostring(L, -1));
    }
    lua_pop(L, 1);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

void eg_lua_mongo_preload(lua_State *L, const char *program_folder) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushstring(L, program_folder);
    lua_pushcclosure(L, load_mongo, 1);
    lua_setfield(L, -2, "mongo");
    lua_pop(L, 1);
}
