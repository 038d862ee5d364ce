/*
** The assembler reads the files of EARLGREY_LUA_DIR (relative to where the
** compiler runs) as they are into read-only data. A change of one of them must
** rebuild this file: see the Makefile.
*/
#include "embedded.h"

#include <lauxlib.h>
#include <stddef.h>
#include <stdio.h>

#ifndef EARLGREY_LUA_DIR
#define EARLGREY_LUA_DIR "lua/earlgrey"
#endif

/* The modules: every file of lua/earlgrey without its .lua. */
#define MODULES(X)                                                                                 \
    X(args)                                                                                        \
    X(csv)                                                                                         \
    X(flow_filter)                                                                                 \
    X(job)                                                                                         \
    X(jobrun)                                                                                      \
    X(json)                                                                                        \
    X(progress)                                                                                    \
    X(result)                                                                                      \
    X(search)                                                                                      \
    X(service)                                                                                     \
    X(service_guard)                                                                               \
    X(service_jobs)                                                                                \
    X(service_metrics)                                                                             \
    X(service_openapi)                                                                             \
    X(service_params)                                                                              \
    X(service_routes)                                                                              \
    X(service_search)                                                                              \
    X(shell)                                                                                       \
    X(store)                                                                                       \
    X(store_mongo)                                                                                 \
    X(store_sqlite)                                                                                \
    X(table)                                                                                       \
    X(time)

/* clang-format off */
#define EMBED(name)                                                                                \
    __asm__(".pushsection .rodata,\"a\"\n"                                                         \
            ".globl eg_lua_file_" #name "\n.hidden eg_lua_file_" #name "\n"                        \
            ".globl eg_lua_file_end_" #name "\n.hidden eg_lua_file_end_" #name "\n"                \
            "eg_lua_file_" #name ":\n"                                                             \
            ".incbin \"" EARLGREY_LUA_DIR "/" #name ".lua\"\n"                                     \
            "eg_lua_file_end_" #name ":\n"                                                         \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char eg_lua_file_##name[];                                                        \
    extern const char eg_lua_file_end_##name[];
/* clang-format on */

MODULES(EMBED)

static const struct {
    const char *name;
    const char *text;
    const char *end;
} FILES[] = {
#define ROW(name) {#name, eg_lua_file_##name, eg_lua_file_end_##name},
    MODULES(ROW)
#undef ROW
};

/* Loader; upvalue: the index of the file. */
static int load_embedded(lua_State *L) {
    size_t i = (size_t)lua_tointeger(L, lua_upvalueindex(1));
    char chunk[64];
    snprintf(chunk, sizeof chunk, "=earlgrey/%s.lua", FILES[i].name);
    if (luaL_loadbufferx(L, FILES[i].text, (size_t)(FILES[i].end - FILES[i].text), chunk, "t") !=
        LUA_OK) {
        return lua_error(L);
    }
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int load_json(lua_State *L) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "earlgrey.json");
    lua_call(L, 1, 1);
    return 1;
}

void eg_lua_embedded_preload(lua_State *L) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        lua_pushfstring(L, "earlgrey.%s", FILES[i].name);
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, load_embedded, 1);
        lua_rawset(L, -3);
    }
    lua_pushcfunction(L, load_json);
    lua_setfield(L, -2, "json");
    lua_pop(L, 1);
}
