/*
** Collections. Each method first makes all its documents, which may raise, then
** asks the library with nothing of Lua in between, then tells the answer from a
** reply that a userdata owns.
*/
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lua_type.h"
#include "mongo_handles.h"

#define REPLY_TYPE "mongo.reply"

enum { CLIENT_VALUE = 1 };

/* "db\0name\0" */
typedef struct collection {
    size_t name_at;
    char names[];
} collection;

void eg_mongo_collection_push(lua_State *L, int client_index, const char *db, const char *name) {
    client_index = lua_absindex(L, client_index);
    size_t n_db = strlen(db) + 1, n_name = strlen(name) + 1;
    collection *self = lua_newuserdatauv(L, sizeof *self + n_db + n_name, 1);
    self->name_at = n_db;
    memcpy(self->names, db, n_db);
    memcpy(self->names + n_db, name, n_name);
    luaL_setmetatable(L, EG_MONGO_COLLECTION_TYPE);
    lua_pushvalue(L, client_index);
    lua_setiuservalue(L, -2, CLIENT_VALUE);
}

/* The collection at index 1 and its client, pushed at the top: both usable. */
static collection *check_collection(lua_State *L, eg_mongo_client **client) {
    collection *self = luaL_checkudata(L, 1, EG_MONGO_COLLECTION_TYPE);
    lua_getiuservalue(L, 1, CLIENT_VALUE);
    *client = eg_mongo_check_client(L, -1);
    return self;
}

/* The library's object, to be destroyed by the caller, once a server answers. */
static mongoc_collection_t *acquire(const collection *self, eg_mongo_client *client,
                                    bool for_writes, bson_error_t *error) {
    if (!eg_mongo_reach(client, for_writes, error)) {
        return NULL;
    }
    return mongoc_client_get_collection(client->client, self->names, self->names + self->name_at);
}

/* ---- replies ---- */

static int reply_gc(lua_State *L) {
    bson_destroy(luaL_checkudata(L, 1, REPLY_TYPE));
    return 0;
}

bson_t *eg_mongo_reply_new(lua_State *L) {
    bson_t *reply = lua_newuserdatauv(L, sizeof *reply, 0);
    bson_init(reply);
    luaL_setmetatable(L, REPLY_TYPE);
    return reply;
}

static int64_t count_of(const bson_t *reply, const char *name) {
    bson_iter_t iter;
    return bson_iter_init_find(&iter, reply, name) ? bson_iter_as_int64(&iter) : 0;
}

static void set_count(lua_State *L, const bson_t *reply, const char *from, const char *to) {
    lua_pushinteger(L, count_of(reply, from));
    lua_setfield(L, -2, to);
}

/* ---- options ---- */

typedef enum option_kind { IS_COUNT, IS_BOOLEAN, IS_DOCUMENT, IS_ORDERED, IS_TEXT } option_kind;

typedef struct option {
    const char *name;  /* in Lua */
    const char *field; /* of the library */
    option_kind kind;
} option;

static const option *find_option(lua_State *L, int key_index, const option *known) {
    const char *name = lua_type(L, key_index) == LUA_TSTRING ? lua_tostring(L, key_index) : "";
    while (known->name && strcmp(known->name, name) != 0) {
        known++;
    }
    if (!known->name) {
        lua_pushvalue(L, key_index);
        luaL_error(L, "there is no option '%s'", luaL_tolstring(L, -1, NULL));
    }
    return known;
}

static void check_option(lua_State *L, int index, const option *o) {
    static const char *const expected[] = {"an integer from 0", "a boolean", "a table", "a table",
                                           "a text"};
    bool fits = false;
    switch (o->kind) {
    case IS_COUNT:
        fits = lua_isinteger(L, index) && lua_tointeger(L, index) >= 0;
        break;
    case IS_BOOLEAN:
        fits = lua_isboolean(L, index);
        break;
    case IS_TEXT:
        fits = lua_type(L, index) == LUA_TSTRING;
        break;
    case IS_DOCUMENT:
    case IS_ORDERED:
        fits = lua_istable(L, index) || lua_isuserdata(L, index);
        break;
    }
    if (!fits) {
        luaL_error(L, "option '%s': %s expected, got %s", o->name, expected[o->kind],
                   luaL_typename(L, index));
    }
}

/* Puts the document of the options at `index`, which may be absent. */
static size_t put_options(lua_State *L, eg_bson *b, int index, const option *known) {
    size_t start = eg_bson_begin(L, b);
    if (!lua_isnoneornil(L, index)) {
        luaL_checktype(L, index, LUA_TTABLE);
        lua_pushnil(L);
        while (lua_next(L, index)) {
            const option *o = find_option(L, lua_gettop(L) - 1, known);
            check_option(L, lua_gettop(L), o);
            eg_bson_field(L, b, o->field, -1, o->kind == IS_ORDERED);
            lua_pop(L, 1);
        }
    }
    eg_bson_end(L, b, start);
    return start;
}

/* Looks at the options at `index`, which may be absent. */
static void check_options(lua_State *L, int index, const option *known) {
    if (lua_isnil(L, index)) {
        return;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        check_option(L, lua_gettop(L), find_option(L, lua_gettop(L) - 1, known));
        lua_pop(L, 1);
    }
}

/* The value of a boolean of options that were looked at. */
static bool option_is_set(lua_State *L, int index, const char *name) {
    if (lua_isnil(L, index)) {
        return false;
    }
    lua_getfield(L, index, name);
    bool is_set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_set;
}

/* Copies the fields of the table at `from`, which may be nil, to the one at `to`. */
static void copy_fields(lua_State *L, int from, int to) {
    if (lua_isnil(L, from)) {
        return;
    }
    lua_pushnil(L);
    while (lua_next(L, from)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, to);
    }
}

/* Puts a document of one boolean. */
static size_t put_boolean(lua_State *L, eg_bson *b, const char *name, bool value) {
    size_t start = eg_bson_begin(L, b);
    lua_pushboolean(L, value);
    eg_bson_field(L, b, name, -1, false);
    lua_pop(L, 1);
    eg_bson_end(L, b, start);
    return start;
}

/* Puts the filter at `index`; none is all documents. */
static size_t put_filter(lua_State *L, eg_bson *b, int index) {
    if (!lua_isnoneornil(L, index)) {
        return eg_bson_put(L, b, index);
    }
    size_t start = eg_bson_begin(L, b);
    eg_bson_end(L, b, start);
    return start;
}

/* ---- reading ---- */

static const option FIND_OPTIONS[] = {
    {"sort", "sort", IS_ORDERED},
    {"skip", "skip", IS_COUNT},
    {"limit", "limit", IS_COUNT},
    {"projection", "projection", IS_DOCUMENT},
    {"batch_size", "batchSize", IS_COUNT},
    {"max_time_ms", "maxTimeMS", IS_COUNT},
    {NULL, NULL, IS_COUNT},
};

/* Makes the cursor of a find, on top of the stack; returns as eg_mongo_cursor_start. */
static int find(lua_State *L, const collection *self, eg_mongo_client *client, int client_index) {
    eg_bson *b = eg_bson_new(L);
    size_t filter_at = put_filter(L, b, 2), options_at = put_options(L, b, 3, FIND_OPTIONS);
    eg_mongo_cursor *cursor = eg_mongo_cursor_new(L, client_index);
    bson_t filter, options;
    eg_bson_view(b, filter_at, &filter);
    eg_bson_view(b, options_at, &options);
    bson_error_t error;
    mongoc_collection_t *c = acquire(self, client, false, &error);
    if (!c) {
        return eg_mongo_fail(L, &error);
    }
    mongoc_cursor_t *found = mongoc_collection_find_with_opts(c, &filter, &options, NULL);
    mongoc_collection_destroy(c);
    return eg_mongo_cursor_start(L, cursor, found);
}

static int m_find(lua_State *L) {
    eg_mongo_client *client;
    lua_settop(L, 3);
    const collection *self = check_collection(L, &client);
    return find(L, self, client, 4);
}

static int m_find_one(lua_State *L) {
    eg_mongo_client *client;
    lua_settop(L, 3);
    const collection *self = check_collection(L, &client);
    check_options(L, 3, FIND_OPTIONS);
    lua_newtable(L); /* the options, of which one is ours */
    copy_fields(L, 3, 5);
    lua_pushinteger(L, 1);
    lua_setfield(L, 5, "limit");
    lua_replace(L, 3);
    int n = find(L, self, client, 4);
    if (n != 4) {
        return n;
    }
    eg_mongo_cursor *cursor = lua_touserdata(L, -1);
    bool is_sound = true;
    if (cursor->ahead) {
        is_sound = eg_bson_push(L, cursor->ahead);
    } else {
        lua_pushnil(L);
    }
    eg_mongo_cursor_close(cursor);
    return is_sound ? 1
                    : eg_mongo_fail_text(L, "the server sent a damaged document", "MONGO_PROTOCOL");
}

static int m_aggregate(lua_State *L) {
    static const option known[] = {
        {"batch_size", "batchSize", IS_COUNT},
        {"max_time_ms", "maxTimeMS", IS_COUNT},
        {"allow_disk_use", "allowDiskUse", IS_BOOLEAN},
        {NULL, NULL, IS_COUNT},
    };
    eg_mongo_client *client;
    lua_settop(L, 3);
    const collection *self = check_collection(L, &client);
    eg_bson *b = eg_bson_new(L);
    size_t stages_at = eg_bson_put_array(L, b, 2), options_at = put_options(L, b, 3, known);
    eg_mongo_cursor *cursor = eg_mongo_cursor_new(L, 4);
    bson_t stages, options;
    eg_bson_view(b, stages_at, &stages);
    eg_bson_view(b, options_at, &options);
    bson_error_t error;
    mongoc_collection_t *c = acquire(self, client, false, &error);
    if (!c) {
        return eg_mongo_fail(L, &error);
    }
    mongoc_cursor_t *found =
        mongoc_collection_aggregate(c, MONGOC_QUERY_NONE, &stages, &options, NULL);
    mongoc_collection_destroy(c);
    return eg_mongo_cursor_start(L, cursor, found);
}

/* All documents are counted by what the server knows of the collection, which is
** a thousand times cheaper than looking at them. */
static int m_count(lua_State *L) {
    eg_mongo_client *client;
    lua_settop(L, 2);
    const collection *self = check_collection(L, &client);
    eg_bson *b = eg_bson_new(L);
    size_t filter_at = put_filter(L, b, 2);
    bson_t filter;
    eg_bson_view(b, filter_at, &filter);
    bson_error_t error;
    mongoc_collection_t *c = acquire(self, client, false, &error);
    if (!c) {
        return eg_mongo_fail(L, &error);
    }
    int64_t n = bson_empty(&filter)
                    ? mongoc_collection_estimated_document_count(c, NULL, NULL, NULL, &error)
                    : mongoc_collection_count_documents(c, &filter, NULL, NULL, NULL, &error);
    mongoc_collection_destroy(c);
    if (n < 0) {
        return eg_mongo_fail(L, &error);
    }
    lua_pushinteger(L, n);
    return 1;
}

/* ---- writing ---- */

static int m_insert(lua_State *L) {
    eg_mongo_client *client;
    lua_settop(L, 2);
    const collection *self = check_collection(L, &client);
    eg_bson *b = eg_bson_new(L);
    size_t at = eg_bson_put_with_id(L, b, 2);
    bson_t document;
    eg_bson_view(b, at, &document);
    bson_error_t error;
    mongoc_collection_t *c = acquire(self, client, true, &error);
    if (!c) {
        return eg_mongo_fail(L, &error);
    }
    bool ok = mongoc_collection_insert_one(c, &document, NULL, NULL, &error);
    mongoc_collection_destroy(c);
    return ok ? 1 : eg_mongo_fail(L, &error); /* the id is on top */
}

/* What was not written: pushes an array of {index=, code=, message=} without the
** duplicates, which are counted. */
static lua_Integer push_write_errors(lua_State *L, const bson_t *reply, lua_Integer *n_errors) {
    bson_iter_t list, item;
    lua_Integer n_duplicates = 0, n_others = 0;
    lua_newtable(L);
    if (bson_iter_init_find(&list, reply, "writeErrors") && BSON_ITER_HOLDS_ARRAY(&list) &&
        bson_iter_recurse(&list, &item)) {
        while (bson_iter_next(&item)) {
            uint32_t n_bytes = 0;
            const uint8_t *bytes = NULL;
            bson_t one;
            if (BSON_ITER_HOLDS_DOCUMENT(&item)) {
                bson_iter_document(&item, &n_bytes, &bytes);
            }
            if (!bytes || !bson_init_static(&one, bytes, n_bytes)) {
                continue;
            }
            int64_t code = count_of(&one, "code");
            if (code == MONGOC_ERROR_DUPLICATE_KEY) {
                n_duplicates++;
                continue;
            }
            bson_iter_t message;
            lua_createtable(L, 0, 3);
            lua_pushinteger(L, count_of(&one, "index") + 1);
            lua_setfield(L, -2, "index");
            lua_pushinteger(L, code);
            lua_setfield(L, -2, "code");
            bool has_text =
                bson_iter_init_find(&message, &one, "errmsg") && BSON_ITER_HOLDS_UTF8(&message);
            lua_pushstring(L, has_text ? bson_iter_utf8(&message, NULL) : "no message");
            lua_setfield(L, -2, "message");
            lua_rawseti(L, -2, ++n_others);
        }
    }
    *n_errors = n_duplicates + n_others;
    return n_duplicates;
}

static bool has_items(const bson_t *reply, const char *name) {
    bson_iter_t list, item;
    return bson_iter_init_find(&list, reply, name) && bson_iter_recurse(&list, &item) &&
           bson_iter_next(&item);
}

/* Sends the n documents that stand one behind the other from `at` on. */
static bool insert_all(mongoc_collection_t *c, const eg_bson *b, size_t at, lua_Integer n,
                       const bson_t *options, bson_t *reply, bson_error_t *error) {
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(c, options);
    bool ok = true;
    for (lua_Integer i = 0; i < n && ok; i++) {
        bson_t document;
        eg_bson_view(b, at, &document);
        at += document.len;
        ok = mongoc_bulk_operation_insert_with_opts(bulk, &document, NULL, error);
    }
    if (ok) {
        ok = mongoc_bulk_operation_execute(bulk, reply, error) != 0;
    }
    mongoc_bulk_operation_destroy(bulk);
    return ok;
}

/* Tells what became of the n documents. An answer that does not account for each
** of them is none: a connection was lost on the way. */
static int bulk_result(lua_State *L, lua_Integer n, bool ok, bool is_ordered, const bson_t *reply,
                       const bson_error_t *error) {
    lua_Integer n_errors = 0, n_inserted = count_of(reply, "nInserted");
    lua_Integer n_duplicates = push_write_errors(L, reply, &n_errors);
    bool is_told = is_ordered ? n_errors > 0 : n_inserted + n_errors == n;
    if (!ok && (!is_told || has_items(reply, "writeConcernErrors"))) {
        return eg_mongo_fail(L, error);
    }
    lua_createtable(L, 0, 3);
    lua_insert(L, -2);
    lua_setfield(L, -2, "errors");
    lua_pushinteger(L, n_inserted);
    lua_setfield(L, -2, "inserted");
    lua_pushinteger(L, n_duplicates);
    lua_setfield(L, -2, "duplicates");
    return 1;
}

static int m_bulk(lua_State *L) {
    static const option known[] = {{"ordered", "ordered", IS_BOOLEAN}, {NULL, NULL, IS_COUNT}};
    eg_mongo_client *client;
    lua_settop(L, 3);
    const collection *self = check_collection(L, &client);
    luaL_checktype(L, 2, LUA_TTABLE);
    check_options(L, 3, known);
    bool is_ordered = option_is_set(L, 3, "ordered");
    eg_bson *b = eg_bson_new(L);
    size_t options_at = put_boolean(L, b, "ordered", is_ordered);
    size_t documents_at = b->n_bytes;
    lua_Integer n = luaL_len(L, 2);
    int top = lua_gettop(L);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, 2, i);
        eg_bson_put_with_id(L, b, -1);
        lua_settop(L, top);
    }
    bson_t *reply = eg_mongo_reply_new(L), options;
    eg_bson_view(b, options_at, &options);
    bson_error_t error = {0};
    bool ok = true;
    if (n > 0) {
        mongoc_collection_t *c = acquire(self, client, true, &error);
        if (!c) {
            return eg_mongo_fail(L, &error);
        }
        ok = insert_all(c, b, documents_at, n, &options, reply, &error);
        mongoc_collection_destroy(c);
    }
    return bulk_result(L, n, ok, is_ordered, reply, &error);
}

/* Whether a change is made of operators: its first key begins with $. */
static bool is_operators(const bson_t *change) {
    bson_iter_t iter;
    return bson_iter_init(&iter, change) && bson_iter_next(&iter) && *bson_iter_key(&iter) == '$';
}

static int m_update(lua_State *L) {
    static const option known[] = {
        {"upsert", "upsert", IS_BOOLEAN}, {"many", NULL, IS_BOOLEAN}, {NULL, NULL, IS_COUNT}};
    eg_mongo_client *client;
    lua_settop(L, 4);
    const collection *self = check_collection(L, &client);
    check_options(L, 4, known);
    bool many = option_is_set(L, 4, "many"), upsert = option_is_set(L, 4, "upsert");
    eg_bson *b = eg_bson_new(L);
    size_t filter_at = eg_bson_put(L, b, 2), change_at = eg_bson_put(L, b, 3);
    size_t options_at = put_boolean(L, b, "upsert", upsert);
    bson_t *reply = eg_mongo_reply_new(L), filter, change, options;
    eg_bson_view(b, filter_at, &filter);
    eg_bson_view(b, change_at, &change);
    eg_bson_view(b, options_at, &options);
    bool replaces = !is_operators(&change);
    luaL_argcheck(L, !replaces || !many, 3, "operators such as $set expected: many is given");

    bson_error_t error;
    mongoc_collection_t *c = acquire(self, client, true, &error);
    if (!c) {
        return eg_mongo_fail(L, &error);
    }
    bool ok;
    if (replaces) {
        ok = mongoc_collection_replace_one(c, &filter, &change, &options, reply, &error);
    } else if (many) {
        ok = mongoc_collection_update_many(c, &filter, &change, &options, reply, &error);
    } else {
        ok = mongoc_collection_update_one(c, &filter, &change, &options, reply, &error);
    }
    mongoc_collection_destroy(c);
    if (!ok) {
        return eg_mongo_fail(L, &error);
    }
    lua_createtable(L, 0, 3);
    set_count(L, reply, "matchedCount", "matched");
    set_count(L, reply, "modifiedCount", "modified");
    set_count(L, reply, "upsertedCount", "upserted");
    return 1;
}

static int m_delete(lua_State *L) {
    static const option known[] = {{"many", NULL, IS_BOOLEAN}, {NULL, NULL, IS_COUNT}};
    eg_mongo_client *client;
    lua_settop(L, 3);
    const collection *self = check_collection(L, &client);
    check_options(L, 3, known);
    bool many = option_is_set(L, 3, "many");
    eg_bson *b = eg_bson_new(L);
    size_t filter_at = eg_bson_put(L, b, 2);
    bson_t *reply = eg_mongo_reply_new(L), filter;
    eg_bson_view(b, filter_at, &filter);
    bson_error_t error;
    mongoc_collection_t *c = acquire(self, client, true, &error);
    if (!c) {
        return eg_mongo_fail(L, &error);
    }
    bool ok = many ? mongoc_collection_delete_many(c, &filter, NULL, reply, &error)
                   : mongoc_collection_delete_one(c, &filter, NULL, reply, &error);
    mongoc_collection_destroy(c);
    if (!ok) {
        return eg_mongo_fail(L, &error);
    }
    lua_pushinteger(L, count_of(reply, "deletedCount"));
    return 1;
}

/* ---- the collection itself ---- */

static int m_drop(lua_State *L) {
    eg_mongo_client *client;
    lua_settop(L, 1);
    const collection *self = check_collection(L, &client);
    bson_error_t error;
    mongoc_collection_t *c = acquire(self, client, true, &error);
    if (!c) {
        return eg_mongo_fail(L, &error);
    }
    bool ok = mongoc_collection_drop(c, &error);
    mongoc_collection_destroy(c);
    if (!ok && error.code != MONGOC_ERROR_COLLECTION_DOES_NOT_EXIST) {
        return eg_mongo_fail(L, &error);
    }
    lua_pushboolean(L, ok);
    return 1;
}

/* Pushes the name that servers give an index of these keys. */
static void push_index_name(lua_State *L, const bson_t *keys) {
    char name[256];
    char *made = mongoc_collection_keys_to_index_string(keys);
    snprintf(name, sizeof name, "%s", made ? made : "");
    bson_free(made);
    luaL_argcheck(L, *name, 2, "keys with 1 or -1 expected");
    lua_pushstring(L, name);
}

static int m_create_index(lua_State *L) {
    static const option known[] = {
        {"name", "name", IS_TEXT}, {"unique", "unique", IS_BOOLEAN}, {NULL, NULL, IS_COUNT}};
    eg_mongo_client *client;
    lua_settop(L, 3);
    const collection *self = check_collection(L, &client);
    luaL_checktype(L, 2, LUA_TTABLE);
    check_options(L, 3, known);
    eg_bson *b = eg_bson_new(L);
    size_t keys_at = eg_bson_put_ordered(L, b, 2);
    bson_t keys, command;
    eg_bson_view(b, keys_at, &keys);
    push_index_name(L, &keys);
    lua_newtable(L); /* {key = …, name = …, unique = …} */
    int index = lua_gettop(L);
    lua_pushvalue(L, index - 1);
    lua_setfield(L, index, "name");
    copy_fields(L, 3, index);
    if (luaL_len(L, 2) > 0) {
        lua_pushcfunction(L, eg_bson_ordered);
        lua_pushvalue(L, 2);
        lua_call(L, 1, 1);
    } else {
        lua_pushvalue(L, 2);
    }
    lua_setfield(L, index, "key");

    size_t command_at = eg_bson_begin(L, b);
    lua_pushstring(L, self->names + self->name_at);
    eg_bson_field(L, b, "createIndexes", -1, false);
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, 1);
    eg_bson_field(L, b, "indexes", -1, false);
    eg_bson_end(L, b, command_at);
    eg_bson_view(b, command_at, &command);
    lua_getfield(L, index, "name"); /* what is told */

    bson_error_t error;
    mongoc_collection_t *c = acquire(self, client, true, &error);
    if (!c) {
        return eg_mongo_fail(L, &error);
    }
    bool ok = mongoc_collection_write_command_with_opts(c, &command, NULL, NULL, &error);
    mongoc_collection_destroy(c);
    return ok ? 1 : eg_mongo_fail(L, &error);
}

static int m__tostring(lua_State *L) {
    const collection *self = luaL_checkudata(L, 1, EG_MONGO_COLLECTION_TYPE);
    lua_pushfstring(L, "collection (%s.%s)", self->names, self->names + self->name_at);
    return 1;
}

void eg_mongo_collection_setup(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"find", m_find},
        {"find_one", m_find_one},
        {"aggregate", m_aggregate},
        {"count", m_count},
        {"insert", m_insert},
        {"bulk", m_bulk},
        {"update", m_update},
        {"delete", m_delete},
        {"drop", m_drop},
        {"create_index", m_create_index},
        {NULL, NULL},
    };
    static const luaL_Reg reply_meta[] = {{"__gc", reply_gc}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__tostring", m__tostring}, {NULL, NULL}};
    eg_lua_make_type(L, REPLY_TYPE, reply_meta, NULL);
    eg_lua_make_type(L, EG_MONGO_COLLECTION_TYPE, meta, methods);
}
