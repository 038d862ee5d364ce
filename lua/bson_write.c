/*
** Writes documents into one growing piece of memory. libbson's own builder ends
** the process where memory is short and leaves half-made documents behind when
** Lua raises an error in the middle; this one does neither.
*/
#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bson_lua.h"
#include "lua_type.h"

#define BUFFER_TYPE "mongo.bson"
#define ORDERED_TYPE "mongo.ordered"

/* In the registry: the metatable of marked arrays, and json.null. */
static const char ARRAY_KEY, NULL_KEY;

void eg_bson_push_null(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &NULL_KEY);
}

void eg_bson_push_array_mark(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ARRAY_KEY);
}

/* ---- memory ---- */

static int buffer_gc(lua_State *L) {
    eg_bson *b = luaL_checkudata(L, 1, BUFFER_TYPE);
    free(b->data);
    b->data = NULL;
    return 0;
}

eg_bson *eg_bson_new(lua_State *L) {
    eg_bson *b = lua_newuserdatauv(L, sizeof *b, 0);
    memset(b, 0, sizeof *b);
    luaL_setmetatable(L, BUFFER_TYPE);
    return b;
}

/* Room for n more bytes. */
static uint8_t *extend(lua_State *L, eg_bson *b, size_t n) {
    if (n > b->end - b->n_bytes) {
        luaL_error(L, "the document is larger than %d bytes", EG_BSON_MAX_BYTES);
    }
    if (n > b->capacity - b->n_bytes) {
        size_t capacity = b->capacity ? b->capacity : 512;
        while (capacity - b->n_bytes < n) {
            capacity *= 2;
        }
        uint8_t *data = realloc(b->data, capacity);
        if (!data) {
            luaL_error(L, "not enough memory");
        }
        b->data = data;
        b->capacity = capacity;
    }
    uint8_t *at = b->data + b->n_bytes;
    b->n_bytes += n;
    return at;
}

static void put_bytes(lua_State *L, eg_bson *b, const void *bytes, size_t n) {
    if (n > 0) {
        memcpy(extend(L, b, n), bytes, n);
    }
}

static void set_u32(uint8_t *at, uint32_t v) {
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(v >> 8 * i);
    }
}

static void put_u32(lua_State *L, eg_bson *b, uint32_t v) {
    set_u32(extend(L, b, 4), v);
}

static void put_u64(lua_State *L, eg_bson *b, uint64_t v) {
    put_u32(L, b, (uint32_t)v);
    put_u32(L, b, (uint32_t)(v >> 32));
}

static void put_text(lua_State *L, eg_bson *b, const char *text, size_t n) {
    if (n >= EG_BSON_MAX_BYTES) {
        luaL_error(L, "the document is larger than %d bytes", EG_BSON_MAX_BYTES);
    }
    if (!bson_utf8_validate(text, n, true)) {
        luaL_error(L, "a text is no UTF-8 (mongo.binary is for bytes)");
    }
    put_u32(L, b, (uint32_t)n + 1);
    put_bytes(L, b, text, n + 1);
}

/* ---- what begins each field ---- */

typedef struct field_name {
    const char *text;
    size_t n_bytes;
} field_name;

/* Type and name. Names have no zero byte; array indexes are checked already. */
static void put_name(lua_State *L, eg_bson *b, bson_type_t type, field_name name) {
    *extend(L, b, 1) = (uint8_t)type;
    put_bytes(L, b, name.text, name.n_bytes);
    *extend(L, b, 1) = 0;
}

static field_name check_name(lua_State *L, int index) {
    field_name name;
    if (lua_type(L, index) != LUA_TSTRING) {
        luaL_error(L, "a document has a %s as key: expected a text", luaL_typename(L, index));
    }
    name.text = lua_tolstring(L, index, &name.n_bytes);
    if (!bson_utf8_validate(name.text, name.n_bytes, false)) {
        luaL_error(L, "a key of a document is no UTF-8, or has a zero byte");
    }
    return name;
}

/* ---- tables ---- */

static void put_value(lua_State *L, eg_bson *b, field_name name, int index, int depth);

static bool is_marked(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) {
        return false;
    }
    eg_bson_push_array_mark(L);
    bool marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

/* Whether the keys are 1..n and n > 0. */
static bool is_list(lua_State *L, int index) {
    lua_Unsigned n = lua_rawlen(L, index), count = 0;
    if (n == 0) {
        return false;
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        lua_Integer key = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        if (key < 1 || (lua_Unsigned)key > n) {
            lua_pop(L, 1);
            return false;
        }
        count++;
    }
    return count == n;
}

size_t eg_bson_begin(lua_State *L, eg_bson *b) {
    size_t start = b->n_bytes;
    if (start > SIZE_MAX - EG_BSON_MAX_BYTES) {
        luaL_error(L, "not enough memory");
    }
    b->end = start + EG_BSON_MAX_BYTES;
    put_u32(L, b, 0);
    return start;
}

/* Closes a document or array, also one inside another. */
void eg_bson_end(lua_State *L, eg_bson *b, size_t start) {
    *extend(L, b, 1) = 0;
    set_u32(b->data + start, (uint32_t)(b->n_bytes - start));
}

static size_t begin_inner(lua_State *L, eg_bson *b, int depth) {
    if (depth > EG_BSON_MAX_DEPTH) {
        luaL_error(L, "a document is nested deeper than %d (or contains itself)",
                   EG_BSON_MAX_DEPTH);
    }
    luaL_checkstack(L, 8, "a document");
    size_t start = b->n_bytes;
    put_u32(L, b, 0);
    return start;
}

static void put_items(lua_State *L, eg_bson *b, int index, int depth) {
    lua_Unsigned n = lua_rawlen(L, index);
    for (lua_Unsigned i = 0; i < n; i++) {
        char digits[24];
        int n_digits = snprintf(digits, sizeof digits, "%llu", (unsigned long long)i);
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        put_value(L, b, (field_name){digits, (size_t)n_digits}, lua_gettop(L), depth);
        lua_pop(L, 1);
    }
}

/* _id first, then by bytes. */
static int compare_names(const void *a, const void *b) {
    const field_name *x = a, *y = b;
    bool x_is_id = strcmp(x->text, "_id") == 0, y_is_id = strcmp(y->text, "_id") == 0;
    if (x_is_id || y_is_id) {
        return (int)y_is_id - (int)x_is_id;
    }
    return strcmp(x->text, y->text);
}

/* The keys are kept by the table, which nothing changes meanwhile. */
static void put_fields(lua_State *L, eg_bson *b, int index, int depth) {
    field_name few[24], *names = few;
    size_t n = 0, capacity = sizeof few / sizeof *few;
    int top = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (n == capacity) {
            field_name *more = lua_newuserdatauv(L, 2 * capacity * sizeof *more, 0);
            memcpy(more, names, n * sizeof *more);
            names = more;
            capacity *= 2;
            lua_insert(L, top + 1); /* below the key; the older one is garbage */
            if (lua_gettop(L) > top + 2) {
                lua_remove(L, top + 2);
            }
        }
        names[n++] = check_name(L, -1);
    }
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++) {
        lua_pushlstring(L, names[i].text, names[i].n_bytes);
        lua_rawget(L, index);
        put_value(L, b, names[i], lua_gettop(L), depth);
        lua_pop(L, 1);
    }
    lua_settop(L, top);
}

/* A list of {name, value}. */
static void put_pairs(lua_State *L, eg_bson *b, int index, int depth) {
    lua_Unsigned n = lua_rawlen(L, index);
    for (lua_Unsigned i = 1; i <= n; i++) {
        int pair = lua_gettop(L) + 1;
        if (lua_rawgeti(L, index, (lua_Integer)i) != LUA_TTABLE || lua_rawlen(L, pair) != 2) {
            luaL_error(L, "item %d of an ordered document is no {name, value}", (int)i);
        }
        lua_rawgeti(L, pair, 1);
        lua_rawgeti(L, pair, 2);
        put_value(L, b, check_name(L, pair + 1), pair + 2, depth);
        lua_settop(L, pair - 1);
    }
}

static void put_table(lua_State *L, eg_bson *b, field_name name, int index, int depth) {
    eg_bson_push_null(L);
    bool is_null = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
    if (is_null) {
        put_name(L, b, BSON_TYPE_NULL, name);
        return;
    }
    bool is_array = is_marked(L, index) || is_list(L, index);
    put_name(L, b, is_array ? BSON_TYPE_ARRAY : BSON_TYPE_DOCUMENT, name);
    size_t start = begin_inner(L, b, depth);
    if (is_array) {
        put_items(L, b, index, depth + 1);
    } else {
        put_fields(L, b, index, depth + 1);
    }
    eg_bson_end(L, b, start);
}

/* ---- values ---- */

static void put_number(lua_State *L, eg_bson *b, field_name name, int index) {
    if (!lua_isinteger(L, index)) {
        lua_Number number = lua_tonumber(L, index);
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        put_name(L, b, BSON_TYPE_DOUBLE, name);
        put_u64(L, b, bits);
        return;
    }
    lua_Integer integer = lua_tointeger(L, index);
    if (integer >= INT32_MIN && integer <= INT32_MAX) {
        put_name(L, b, BSON_TYPE_INT32, name);
        put_u32(L, b, (uint32_t)integer);
    } else {
        put_name(L, b, BSON_TYPE_INT64, name);
        put_u64(L, b, (uint64_t)integer);
    }
}

static void put_userdata(lua_State *L, eg_bson *b, field_name name, int index, int depth) {
    const eg_bson_value *value = luaL_testudata(L, index, EG_BSON_VALUE_TYPE);
    if (value) {
        put_name(L, b, (bson_type_t)value->type, name);
        put_bytes(L, b, value->bytes, value->n_bytes);
        return;
    }
    if (!luaL_testudata(L, index, ORDERED_TYPE)) {
        luaL_error(L, "a document cannot hold a %s", luaL_typename(L, index));
    }
    put_name(L, b, BSON_TYPE_DOCUMENT, name);
    size_t start = begin_inner(L, b, depth);
    lua_getiuservalue(L, index, 1);
    put_pairs(L, b, lua_gettop(L), depth + 1);
    lua_pop(L, 1);
    eg_bson_end(L, b, start);
}

static void put_value(lua_State *L, eg_bson *b, field_name name, int index, int depth) {
    size_t n;
    const char *text;
    switch (lua_type(L, index)) {
    case LUA_TNIL: /* a hole in a marked array, or a pair without a value */
        put_name(L, b, BSON_TYPE_NULL, name);
        break;
    case LUA_TBOOLEAN:
        put_name(L, b, BSON_TYPE_BOOL, name);
        *extend(L, b, 1) = (uint8_t)lua_toboolean(L, index);
        break;
    case LUA_TNUMBER:
        put_number(L, b, name, index);
        break;
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &n);
        put_name(L, b, BSON_TYPE_UTF8, name);
        put_text(L, b, text, n);
        break;
    case LUA_TTABLE:
        put_table(L, b, name, index, depth);
        break;
    case LUA_TUSERDATA:
        put_userdata(L, b, name, index, depth);
        break;
    default:
        luaL_error(L, "a document cannot hold a %s", luaL_typename(L, index));
    }
}

/* ---- whole documents ---- */

/* Puts the fields of a table or of mongo.ordered at `index`. */
static void put_document(lua_State *L, eg_bson *b, int index) {
    luaL_checkstack(L, 8, "a document");
    if (luaL_testudata(L, index, ORDERED_TYPE)) {
        lua_getiuservalue(L, index, 1);
        put_pairs(L, b, lua_gettop(L), 1);
        lua_pop(L, 1);
        return;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    eg_bson_push_null(L);
    bool is_null = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
    if (is_null || is_marked(L, index)) {
        luaL_error(L, "a document expected, got %s", is_null ? "null" : "an array");
    }
    put_fields(L, b, index, 1);
}

size_t eg_bson_put(lua_State *L, eg_bson *b, int index) {
    index = lua_absindex(L, index);
    size_t start = eg_bson_begin(L, b);
    put_document(L, b, index);
    eg_bson_end(L, b, start);
    return start;
}

static void put_ordered_fields(lua_State *L, eg_bson *b, int index) {
    if (lua_istable(L, index) && is_list(L, index)) {
        put_pairs(L, b, index, 1);
        return;
    }
    if (lua_istable(L, index)) {
        lua_pushnil(L);
        if (lua_next(L, index)) {
            lua_pop(L, 1);
            if (lua_next(L, index)) {
                luaL_error(L, "the order of these keys counts: expected a list of {name, value}");
            }
        }
    }
    put_document(L, b, index);
}

size_t eg_bson_put_ordered(lua_State *L, eg_bson *b, int index) {
    index = lua_absindex(L, index);
    size_t start = eg_bson_begin(L, b);
    put_ordered_fields(L, b, index);
    eg_bson_end(L, b, start);
    return start;
}

/* Pushes the _id of a table or of mongo.ordered; nil where it has none. */
static void push_id(lua_State *L, int index) {
    if (!luaL_testudata(L, index, ORDERED_TYPE)) {
        luaL_checktype(L, index, LUA_TTABLE);
        lua_pushliteral(L, "_id");
        lua_rawget(L, index);
        return;
    }
    lua_getiuservalue(L, index, 1);
    int list = lua_gettop(L);
    for (lua_Unsigned i = 1; i <= lua_rawlen(L, list); i++) {
        if (lua_rawgeti(L, list, (lua_Integer)i) == LUA_TTABLE) {
            lua_rawgeti(L, -1, 1);
            lua_rawgeti(L, -2, 2);
            if (lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "_id") == 0) {
                lua_replace(L, list);
                lua_settop(L, list);
                return;
            }
        }
        lua_settop(L, list);
    }
    lua_pushnil(L);
    lua_replace(L, list);
}

size_t eg_bson_put_with_id(lua_State *L, eg_bson *b, int index) {
    index = lua_absindex(L, index);
    size_t start = eg_bson_begin(L, b);
    push_id(L, index);
    if (lua_isnil(L, -1)) {
        bson_oid_t oid;
        bson_oid_init(&oid, NULL);
        lua_pop(L, 1);
        eg_bson_value_push(L, BSON_TYPE_OID, oid.bytes, sizeof oid.bytes);
        put_value(L, b, (field_name){"_id", 3}, lua_gettop(L), 1);
    }
    put_document(L, b, index);
    eg_bson_end(L, b, start);
    return start;
}

size_t eg_bson_put_array(lua_State *L, eg_bson *b, int index) {
    index = lua_absindex(L, index);
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    if (lua_next(L, index)) {
        lua_pop(L, 2);
        if (!is_list(L, index)) {
            luaL_error(L, "a list expected, got a table with other keys than 1..n");
        }
    }
    luaL_checkstack(L, 8, "a document");
    size_t start = eg_bson_begin(L, b);
    put_items(L, b, index, 1);
    eg_bson_end(L, b, start);
    return start;
}

void eg_bson_field(lua_State *L, eg_bson *b, const char *name, int index, bool is_ordered) {
    field_name field = {name, strlen(name)};
    index = lua_absindex(L, index);
    if (!is_ordered) {
        put_value(L, b, field, index, 1);
        return;
    }
    put_name(L, b, BSON_TYPE_DOCUMENT, field);
    size_t start = begin_inner(L, b, 1);
    put_ordered_fields(L, b, index);
    eg_bson_end(L, b, start);
}

void eg_bson_view(const eg_bson *b, size_t start, bson_t *view) {
    const uint8_t *at = b->data + start;
    uint32_t n = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    bson_init_static(view, at, n); /* cannot fail: begin and end wrote it */
}

/* ---- documents in an order ---- */

int eg_bson_ordered(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_newuserdatauv(L, 0, 1);
    luaL_setmetatable(L, ORDERED_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

void eg_bson_setup(lua_State *L, int array_index, int null_index) {
    lua_pushvalue(L, null_index);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &NULL_KEY);
    lua_getmetatable(L, array_index);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ARRAY_KEY);
    static const luaL_Reg buffer_meta[] = {{"__gc", buffer_gc}, {NULL, NULL}};
    eg_lua_make_type(L, BUFFER_TYPE, buffer_meta, NULL);
    eg_lua_make_type(L, ORDERED_TYPE, NULL, NULL);
    eg_bson_value_setup(L);
}
