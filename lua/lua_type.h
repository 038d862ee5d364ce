/*
** A kind of userdata: its metatable, which scripts can neither see nor change. Inline, as the
** modules of earlgrey-mongo.so use it too.
*/
#ifndef EG_LUA_TYPE_H
#define EG_LUA_TYPE_H

#include <lauxlib.h>
#include <lua.h>

/* Makes the metatable that luaL_checkudata knows as `name`. meta: its functions, NULL for none;
** methods: what values have, NULL for none. Leaves the stack as it was. */
static inline void eg_lua_make_type(lua_State *L, const char *name, const luaL_Reg *meta,
                                    const luaL_Reg *methods) {
    luaL_newmetatable(L, name);
    if (meta != NULL)
        luaL_setfuncs(L, meta, 0);
    if (methods != NULL) {
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

#endif
