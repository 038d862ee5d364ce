/*
** Documents to tables. Whatever the bytes are, libbson's iterator stays inside
** them; what it does not tell apart from the end of a document is asked for
** after each loop.
*/
#include <lauxlib.h>
#include <string.h>

#include "bson_lua.h"

static bool push_fields(lua_State *L, bson_iter_t *iter, int depth);
static bool push_items(lua_State *L, bson_iter_t *iter, int depth);

/* The bytes of the element's value, behind its name. */
static void push_other(lua_State *L, const bson_iter_t *iter) {
    const uint8_t *key = (const uint8_t *)bson_iter_key(iter);
    const uint8_t *at = key + strlen((const char *)key) + 1;
    const uint8_t *end = iter->raw + iter->next_off;
    eg_bson_value_push(L, (uint8_t)bson_iter_type(iter), at, (size_t)(end - at));
}

static bool push_inner(lua_State *L, const bson_iter_t *iter, int depth) {
    bson_iter_t inner;
    if (depth > EG_BSON_MAX_DEPTH || !bson_iter_recurse(iter, &inner)) {
        return false;
    }
    return BSON_ITER_HOLDS_ARRAY(iter) ? push_items(L, &inner, depth)
                                       : push_fields(L, &inner, depth);
}

static bool push_element(lua_State *L, const bson_iter_t *iter, int depth) {
    uint32_t n;
    const char *text;
    switch (bson_iter_type(iter)) {
    case BSON_TYPE_DOUBLE:
        lua_pushnumber(L, bson_iter_double(iter));
        break;
    case BSON_TYPE_UTF8:
        text = bson_iter_utf8(iter, &n);
        lua_pushlstring(L, text, n);
        break;
    case BSON_TYPE_DOCUMENT:
    case BSON_TYPE_ARRAY:
        return push_inner(L, iter, depth + 1);
    case BSON_TYPE_BOOL:
        lua_pushboolean(L, bson_iter_bool(iter));
        break;
    case BSON_TYPE_UNDEFINED:
    case BSON_TYPE_NULL:
        eg_bson_push_null(L);
        break;
    case BSON_TYPE_SYMBOL:
        text = bson_iter_symbol(iter, &n);
        lua_pushlstring(L, text, n);
        break;
    case BSON_TYPE_INT32:
        lua_pushinteger(L, bson_iter_int32(iter));
        break;
    case BSON_TYPE_INT64:
        lua_pushinteger(L, bson_iter_int64(iter));
        break;
    default:
        push_other(L, iter);
        break;
    }
    return true;
}

static bool push_items(lua_State *L, bson_iter_t *iter, int depth) {
    luaL_checkstack(L, 6, "a document");
    lua_newtable(L);
    eg_bson_push_array_mark(L);
    lua_setmetatable(L, -2);
    for (lua_Integer i = 1; bson_iter_next(iter); i++) {
        if (!push_element(L, iter, depth)) {
            return false;
        }
        lua_rawseti(L, -2, i);
    }
    return iter->err_off == 0;
}

static bool push_fields(lua_State *L, bson_iter_t *iter, int depth) {
    luaL_checkstack(L, 6, "a document");
    lua_newtable(L);
    while (bson_iter_next(iter)) {
        lua_pushstring(L, bson_iter_key(iter));
        if (!push_element(L, iter, depth)) {
            return false;
        }
        lua_rawset(L, -3);
    }
    return iter->err_off == 0;
}

bool eg_bson_push(lua_State *L, const bson_t *document) {
    int top = lua_gettop(L);
    bson_iter_t iter;
    if (bson_iter_init(&iter, document) && push_fields(L, &iter, 1)) {
        return true;
    }
    lua_settop(L, top);
    return false;
}
