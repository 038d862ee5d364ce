/*
** What Lua has no type for: object ids, dates, binary data, and all that is only
** passed through. The bytes are those of the document, so that a value that was
** read is written unchanged, of whatever type it is.
*/
#include <lauxlib.h>
#include <string.h>
#include <time.h>

#include "bson_lua.h"
#include "lua_type.h"

enum { OID_BYTES = 12, DATE_BYTES = 8, BINARY_HEAD_BYTES = 5 };

static const char *type_name(uint8_t type) {
    switch (type) {
    case BSON_TYPE_OID:
        return "objectid";
    case BSON_TYPE_DATE_TIME:
        return "date";
    case BSON_TYPE_BINARY:
        return "binary";
    case BSON_TYPE_DECIMAL128:
        return "decimal128";
    case BSON_TYPE_TIMESTAMP:
        return "timestamp";
    case BSON_TYPE_REGEX:
        return "regex";
    case BSON_TYPE_CODE:
    case BSON_TYPE_CODEWSCOPE:
        return "code";
    case BSON_TYPE_DBPOINTER:
        return "dbpointer";
    case BSON_TYPE_MINKEY:
        return "minkey";
    case BSON_TYPE_MAXKEY:
        return "maxkey";
    default:
        return "other";
    }
}

void eg_bson_value_push(lua_State *L, uint8_t type, const void *bytes, size_t n_bytes) {
    eg_bson_value *value = lua_newuserdatauv(L, sizeof *value + n_bytes, 0);
    value->type = type;
    value->n_bytes = n_bytes;
    if (n_bytes > 0) {
        memcpy(value->bytes, bytes, n_bytes);
    }
    luaL_setmetatable(L, EG_BSON_VALUE_TYPE);
}

static uint64_t read_u64(const uint8_t *at) {
    uint64_t v = 0;
    for (int i = 8; i-- > 0;) {
        v = v << 8 | at[i];
    }
    return v;
}

/* ---- making ---- */

int eg_bson_objectid(lua_State *L) {
    bson_oid_t oid;
    if (lua_isnoneornil(L, 1)) {
        bson_oid_init(&oid, NULL);
    } else {
        size_t n;
        const char *hex = luaL_checklstring(L, 1, &n);
        luaL_argcheck(L, bson_oid_is_valid(hex, n) && n == 2 * OID_BYTES, 1,
                      "24 hexadecimal digits expected");
        bson_oid_init_from_string(&oid, hex);
    }
    eg_bson_value_push(L, BSON_TYPE_OID, oid.bytes, OID_BYTES);
    return 1;
}

int eg_bson_date(lua_State *L) {
    uint64_t ms = (uint64_t)luaL_checkinteger(L, 1);
    uint8_t bytes[DATE_BYTES];
    for (int i = 0; i < DATE_BYTES; i++) {
        bytes[i] = (uint8_t)(ms >> 8 * i);
    }
    eg_bson_value_push(L, BSON_TYPE_DATE_TIME, bytes, DATE_BYTES);
    return 1;
}

int eg_bson_binary(lua_State *L) {
    size_t n;
    const char *bytes = luaL_checklstring(L, 1, &n);
    luaL_argcheck(L, n < EG_BSON_MAX_BYTES, 1, "larger than a document can be");
    eg_bson_value *value = lua_newuserdatauv(L, sizeof *value + BINARY_HEAD_BYTES + n, 0);
    value->type = BSON_TYPE_BINARY;
    value->n_bytes = BINARY_HEAD_BYTES + n;
    for (int i = 0; i < 4; i++) {
        value->bytes[i] = (uint8_t)(n >> 8 * i);
    }
    value->bytes[4] = BSON_SUBTYPE_BINARY;
    memcpy(value->bytes + BINARY_HEAD_BYTES, bytes, n);
    luaL_setmetatable(L, EG_BSON_VALUE_TYPE);
    return 1;
}

/* ---- asking ---- */

/* Pushes what .value is: hexadecimal digits, milliseconds, or bytes. */
static void push_content(lua_State *L, const eg_bson_value *value) {
    if (value->type == BSON_TYPE_OID && value->n_bytes == OID_BYTES) {
        bson_oid_t oid;
        char hex[2 * OID_BYTES + 1];
        bson_oid_init_from_data(&oid, value->bytes);
        bson_oid_to_string(&oid, hex);
        lua_pushstring(L, hex);
    } else if (value->type == BSON_TYPE_DATE_TIME && value->n_bytes == DATE_BYTES) {
        lua_pushinteger(L, (lua_Integer)read_u64(value->bytes));
    } else if (value->type == BSON_TYPE_BINARY && value->n_bytes >= BINARY_HEAD_BYTES) {
        lua_pushlstring(L, (const char *)value->bytes + BINARY_HEAD_BYTES,
                        value->n_bytes - BINARY_HEAD_BYTES);
    } else if (value->type == BSON_TYPE_DECIMAL128 && value->n_bytes == 16) {
        bson_decimal128_t decimal = {.low = read_u64(value->bytes),
                                     .high = read_u64(value->bytes + 8)};
        char text[BSON_DECIMAL128_STRING];
        bson_decimal128_to_string(&decimal, text);
        lua_pushstring(L, text);
    } else {
        lua_pushlstring(L, (const char *)value->bytes, value->n_bytes);
    }
}

static int v__index(lua_State *L) {
    const eg_bson_value *value = luaL_checkudata(L, 1, EG_BSON_VALUE_TYPE);
    const char *name = luaL_checkstring(L, 2);
    if (strcmp(name, "type") == 0) {
        lua_pushstring(L, type_name(value->type));
    } else if (strcmp(name, "value") == 0) {
        push_content(L, value);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int v__eq(lua_State *L) {
    const eg_bson_value *a = luaL_testudata(L, 1, EG_BSON_VALUE_TYPE);
    const eg_bson_value *b = luaL_testudata(L, 2, EG_BSON_VALUE_TYPE);
    lua_pushboolean(L, a && b && a->type == b->type && a->n_bytes == b->n_bytes &&
                           memcmp(a->bytes, b->bytes, a->n_bytes) == 0);
    return 1;
}

/* A date as ISO 8601 text; the milliseconds where its year has no four digits. */
static void push_date_text(lua_State *L, int64_t ms) {
    int64_t seconds = ms / 1000 - (ms % 1000 < 0);
    time_t t = (time_t)seconds;
    struct tm parts;
    char text[32];
    if (!gmtime_r(&t, &parts) || parts.tm_year < -1900 || parts.tm_year > 8099 ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        lua_pushfstring(L, "%I ms", (LUAI_UACINT)ms);
        return;
    }
    int rest = (int)(ms - seconds * 1000);
    lua_pushfstring(L, "%s.%d%d%dZ", text, rest / 100, rest / 10 % 10, rest % 10);
}

static int v__tostring(lua_State *L) {
    const eg_bson_value *value = luaL_checkudata(L, 1, EG_BSON_VALUE_TYPE);
    switch (value->type) {
    case BSON_TYPE_OID:
    case BSON_TYPE_DECIMAL128:
        push_content(L, value);
        break;
    case BSON_TYPE_DATE_TIME:
        push_date_text(L, (int64_t)read_u64(value->bytes));
        break;
    default:
        lua_pushfstring(L, "%s (%d bytes)", type_name(value->type), (int)value->n_bytes);
        break;
    }
    return 1;
}

void eg_bson_value_setup(lua_State *L) {
    static const luaL_Reg meta[] = {
        {"__index", v__index},
        {"__eq", v__eq},
        {"__tostring", v__tostring},
        {NULL, NULL},
    };
    eg_lua_make_type(L, EG_BSON_VALUE_TYPE, meta, NULL);
}
