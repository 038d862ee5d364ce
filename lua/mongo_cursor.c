/*
** Cursors: documents as they come. The first ones are asked for when the cursor
** is made, so that a question that fails does so there and not in the loop. A
** document is valid until the next one is asked for; hence it is made a table at
** once.
*/
#include <lauxlib.h>
#include <string.h>

#include "lua_type.h"
#include "mongo_handles.h"

enum { CLIENT_VALUE = 1 };

eg_mongo_cursor *eg_mongo_cursor_new(lua_State *L, int client_index) {
    client_index = lua_absindex(L, client_index);
    eg_mongo_cursor *self = lua_newuserdatauv(L, sizeof *self, 1);
    memset(self, 0, sizeof *self);
    luaL_setmetatable(L, EG_MONGO_CURSOR_TYPE);
    lua_pushvalue(L, client_index);
    lua_setiuservalue(L, -2, CLIENT_VALUE);
    return self;
}

void eg_mongo_cursor_close(eg_mongo_cursor *self) {
    if (!self->client) {
        return;
    }
    *self->prev = self->next;
    if (self->next) {
        self->next->prev = self->prev;
    }
    self->client = NULL;
    self->ahead = NULL;
    mongoc_cursor_destroy(self->cursor);
    self->cursor = NULL;
}

/* Frees what it holds, but goes on telling that there is no more. */
static void end(eg_mongo_cursor *self) {
    eg_mongo_cursor_close(self);
    self->is_at_end = true;
}

int eg_mongo_cursor_start(lua_State *L, eg_mongo_cursor *self, mongoc_cursor_t *cursor) {
    int index = lua_gettop(L);
    lua_getiuservalue(L, index, CLIENT_VALUE);
    eg_mongo_client *client = lua_touserdata(L, -1);
    lua_pop(L, 1);
    self->cursor = cursor;
    self->client = client;
    self->next = client->cursors;
    self->prev = &client->cursors;
    if (self->next) {
        self->next->prev = &self->next;
    }
    client->cursors = self;

    const bson_t *document;
    bson_error_t error;
    if (mongoc_cursor_next(cursor, &document)) {
        self->ahead = document;
    } else if (mongoc_cursor_error(cursor, &error)) {
        eg_mongo_cursor_close(self);
        return eg_mongo_fail(L, &error);
    } else {
        end(self);
    }
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, index);
    return 4;
}

static eg_mongo_cursor *check_cursor(lua_State *L, int index) {
    eg_mongo_cursor *self = luaL_checkudata(L, index, EG_MONGO_CURSOR_TYPE);
    if (!self->cursor && !self->is_at_end) {
        luaL_error(L, "attempt to use a closed cursor");
    }
    return self;
}

/* Pushes the next document, nil at the end, or the failure; returns how many. */
static int push_next(lua_State *L, eg_mongo_cursor *self) {
    const bson_t *document = self->ahead;
    if (!self->cursor) {
        lua_pushnil(L);
        return 1;
    }
    self->ahead = NULL;
    if (!document && !mongoc_cursor_next(self->cursor, &document)) {
        bson_error_t error;
        bool has_failed = mongoc_cursor_error(self->cursor, &error);
        end(self);
        if (has_failed) {
            return eg_mongo_fail(L, &error);
        }
        lua_pushnil(L);
        return 1;
    }
    if (!eg_bson_push(L, document)) {
        end(self);
        return eg_mongo_fail_text(L, "the server sent a damaged document", "MONGO_PROTOCOL");
    }
    return 1;
}

static int m_next(lua_State *L) {
    return push_next(L, check_cursor(L, 1));
}

/* A step of `for`: there a failure can only be raised. */
static int m__call(lua_State *L) {
    int n = push_next(L, check_cursor(L, 1));
    if (n > 1) {
        lua_settop(L, -n + 1); /* the message */
        return lua_error(L);
    }
    return 1;
}

static int m_close(lua_State *L) {
    eg_mongo_cursor *self = luaL_checkudata(L, 1, EG_MONGO_CURSOR_TYPE);
    eg_mongo_cursor_close(self);
    self->is_at_end = false;
    return 0;
}

static int m__tostring(lua_State *L) {
    eg_mongo_cursor *self = luaL_checkudata(L, 1, EG_MONGO_CURSOR_TYPE);
    lua_pushstring(L, self->cursor      ? "cursor"
                      : self->is_at_end ? "cursor (at its end)"
                                        : "cursor (closed)");
    return 1;
}

void eg_mongo_cursor_setup(lua_State *L) {
    static const luaL_Reg methods[] = {{"next", m_next}, {"close", m_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {
        {"__call", m__call},         {"__gc", m_close}, {"__close", m_close},
        {"__tostring", m__tostring}, {NULL, NULL},
    };
    eg_lua_make_type(L, EG_MONGO_CURSOR_TYPE, meta, methods);
}
