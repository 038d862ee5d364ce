/*
** The module `mongo` and its clients.
**
** One connection a client, no threads: what runs is what was asked for, and a
** signal finds the thread that waits. A client without threads asks a server
** that was away again only after half a second, or five; a new one asks at once.
** So after a lost connection, and while a server is looked for, the library's
** client is made anew, unless cursors of the old one are open.
*/
#include "mod_mongo.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "interrupt.h"
#include "lua_type.h"
#include "mongo_handles.h"

enum {
    SELECTION_MS = 5000,
    CONNECT_MS = 5000,
    SOCKET_MS = 30000,
    AGAIN_MS = 200 /* between two looks for a server */
};

static eg_mongo_client *open_clients;

/* What the library warned of since this was last emptied: options of a URI that
** it would ignore are told nowhere else. */
static char last_warning[256];

/* The library would print, also to standard output. */
static void on_log(mongoc_log_level_t level, const char *domain, const char *message, void *arg) {
    (void)domain;
    (void)arg;
    if (level <= MONGOC_LOG_LEVEL_WARNING) {
        snprintf(last_warning, sizeof last_warning, "%s", message);
    }
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- failures ---- */

/* Numbers with which a server says that another one, or the same one later, will do. */
static bool is_stepping_down(uint32_t code) {
    static const uint32_t codes[] = {91, 189, 10058, 10107, 11600, 11602, 13435, 13436};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

static const char *server_code(uint32_t code) {
    if (code == MONGOC_ERROR_DUPLICATE_KEY) {
        return "MONGO_DUPLICATE_KEY";
    }
    return is_stepping_down(code) ? "MONGO_NO_SERVER" : "MONGO_SERVER";
}

/* A connection that was not made, so that nothing was sent: the library tells it
** in two ways, here with the codes of streams in the domain of clients. */
static bool is_unreached(const bson_error_t *error) {
    return error->domain == MONGOC_ERROR_SERVER_SELECTION ||
           (error->domain == MONGOC_ERROR_CLIENT &&
            error->code >= MONGOC_ERROR_STREAM_NAME_RESOLUTION &&
            error->code <= MONGOC_ERROR_STREAM_NOT_ESTABLISHED);
}

static const char *code_of(const bson_error_t *error) {
    if (eg_lua_interrupt_pending()) {
        return "MONGO_INTERRUPTED";
    }
    if (is_unreached(error)) {
        return "MONGO_NO_SERVER";
    }
    switch (error->domain) {
    case MONGOC_ERROR_STREAM:
        return "MONGO_NETWORK";
    case MONGOC_ERROR_PROTOCOL:
        return error->code == MONGOC_ERROR_PROTOCOL_BAD_WIRE_VERSION ? "MONGO_WIRE_VERSION"
                                                                     : "MONGO_PROTOCOL";
    case MONGOC_ERROR_SASL:
    case MONGOC_ERROR_SCRAM:
        return "MONGO_AUTH";
    case MONGOC_ERROR_CLIENT:
        return error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE ? "MONGO_AUTH" : "MONGO_INVALID";
    case MONGOC_ERROR_SERVER:
        return server_code(error->code);
    case MONGOC_ERROR_WRITE_CONCERN:
        return "MONGO_WRITE_CONCERN";
    default:
        return "MONGO_INVALID";
    }
}

int eg_mongo_fail_text(lua_State *L, const char *message, const char *code) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    lua_pushstring(L, code);
    return 3;
}

int eg_mongo_fail(lua_State *L, const bson_error_t *error) {
    const char *code = code_of(error);
    /* Of a server that was looked for in vain, only what was found is of use. */
    const char *found = strchr(error->message, '[');
    lua_pushnil(L);
    if (strcmp(code, "MONGO_INTERRUPTED") == 0) {
        lua_pushliteral(L, "interrupted");
    } else if (is_unreached(error)) {
        lua_pushfstring(L, "no server answers%s%s", found ? ": " : "", found ? found : "");
    } else {
        lua_pushstring(L, error->message);
    }
    lua_pushstring(L, code);
    if (error->domain != MONGOC_ERROR_SERVER) {
        return 3;
    }
    lua_pushinteger(L, error->code);
    return 4;
}

/* ---- reaching a server ---- */

/* Makes the library's client; the old one, if there is one, goes. */
static bool renew(eg_mongo_client *self, bson_error_t *error) {
    mongoc_client_t *client = mongoc_client_new_from_uri_with_error(self->uri, error);
    if (!client) {
        return false;
    }
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    mongoc_client_set_stream_initiator(client, eg_mongo_connect, self);
    mongoc_client_t *old = self->client;
    self->client = client;
    self->is_broken = false;
    if (old) {
        mongoc_client_destroy(old);
    }
    return true;
}

/* Waiting for another server does not help against these. */
static bool is_final(const bson_error_t *error) {
    return !is_unreached(error) && error->domain != MONGOC_ERROR_STREAM;
}

bool eg_mongo_reach(eg_mongo_client *self, bool for_writes, bson_error_t *error) {
    int64_t give_up_ms = now_ms() + self->selection_ms;
    if (self->is_broken && !self->cursors && !renew(self, error)) {
        return false;
    }
    for (;;) {
        memset(error, 0, sizeof *error);
        mongoc_server_description_t *server =
            mongoc_client_select_server(self->client, for_writes, NULL, error);
        if (server) {
            mongoc_server_description_destroy(server);
            return true;
        }
        if (is_final(error) || eg_lua_interrupt_pending() || now_ms() >= give_up_ms) {
            return false;
        }
        eg_lua_interrupt_poll(NULL, 0, AGAIN_MS);
        if (!self->cursors && !renew(self, error)) {
            return false;
        }
    }
}

/* ---- clients ---- */

eg_mongo_client *eg_mongo_check_client(lua_State *L, int index) {
    eg_mongo_client *self = luaL_checkudata(L, index, EG_MONGO_CLIENT_TYPE);
    if (!self->client) {
        luaL_error(L, "attempt to use a closed client");
    }
    return self;
}

static void close_client(eg_mongo_client *self) {
    self->is_closing = true;
    while (self->cursors) {
        eg_mongo_cursor_close(self->cursors);
    }
    if (self->client) {
        *self->prev = self->next;
        if (self->next) {
            self->next->prev = self->prev;
        }
        mongoc_client_destroy(self->client);
        self->client = NULL;
    }
    if (self->uri) {
        mongoc_uri_destroy(self->uri);
        self->uri = NULL;
    }
}

static int m_close(lua_State *L) {
    close_client(luaL_checkudata(L, 1, EG_MONGO_CLIENT_TYPE));
    return 0;
}

static int m__tostring(lua_State *L) {
    const eg_mongo_client *self = luaL_checkudata(L, 1, EG_MONGO_CLIENT_TYPE);
    const mongoc_host_list_t *host = self->client ? mongoc_uri_get_hosts(self->uri) : NULL;
    lua_pushfstring(L, "client (%s)",
                    !self->client ? "closed"
                    : host        ? host->host_and_port
                                  : "SRV");
    return 1;
}

/* The database that the URI names; nil where it names none. */
static int m_database(lua_State *L) {
    lua_pushstring(L, mongoc_uri_get_database(eg_mongo_check_client(L, 1)->uri));
    return 1;
}

/* A name without what servers refuse in it, so that it means what it says. */
static const char *check_name(lua_State *L, int index, const char *refused) {
    size_t n;
    const char *name = luaL_checklstring(L, index, &n);
    luaL_argcheck(L, n > 0 && n < 200 && strcspn(name, refused) == n && strlen(name) == n, index,
                  "this cannot be a name");
    return name;
}

static const char *check_db(lua_State *L, int index) {
    return check_name(L, index, "/\\. \"$*<>:|?");
}

static int m_collection(lua_State *L) {
    eg_mongo_check_client(L, 1);
    const char *db = check_db(L, 2), *name = check_name(L, 3, "$");
    eg_mongo_collection_push(L, 1, db, name);
    return 1;
}

/* Runs a command; its reply is pushed as a document of the library. Returns how
** many values tell of the failure, 0 where there is none. */
static int run(lua_State *L, eg_mongo_client *self, const char *db, const bson_t *command,
               bson_t **reply) {
    bson_error_t error;
    *reply = eg_mongo_reply_new(L);
    if (!eg_mongo_reach(self, true, &error)) {
        return eg_mongo_fail(L, &error);
    }
    bool ok =
        mongoc_client_command_with_opts(self->client, db, command, NULL, NULL, *reply, &error);
    return ok ? 0 : eg_mongo_fail(L, &error);
}

static int m_command(lua_State *L) {
    eg_mongo_client *self = eg_mongo_check_client(L, 1);
    const char *db = check_db(L, 2);
    eg_bson *b = eg_bson_new(L);
    size_t at = eg_bson_put_ordered(L, b, 3);
    bson_t command, *reply;
    eg_bson_view(b, at, &command);
    int n = run(L, self, db, &command, &reply);
    if (n > 0) {
        return n;
    }
    return eg_bson_push(L, reply)
               ? 1
               : eg_mongo_fail_text(L, "the server sent a damaged document", "MONGO_PROTOCOL");
}

static int m_ping(lua_State *L) {
    eg_mongo_client *self = eg_mongo_check_client(L, 1);
    eg_bson *b = eg_bson_new(L);
    size_t at = eg_bson_begin(L, b);
    lua_pushinteger(L, 1);
    eg_bson_field(L, b, "ping", -1, false);
    eg_bson_end(L, b, at);
    bson_t command, *reply;
    eg_bson_view(b, at, &command);
    int n = run(L, self, "admin", &command, &reply);
    if (n > 0) {
        return n;
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int m_collections(lua_State *L) {
    eg_mongo_client *self = eg_mongo_check_client(L, 1);
    const char *db = check_db(L, 2);
    eg_mongo_cursor *cursor = eg_mongo_cursor_new(L, 1);
    bson_error_t error;
    if (!eg_mongo_reach(self, false, &error)) {
        return eg_mongo_fail(L, &error);
    }
    mongoc_database_t *database = mongoc_client_get_database(self->client, db);
    mongoc_cursor_t *found = mongoc_database_find_collections_with_opts(database, NULL);
    mongoc_database_destroy(database);
    int n = eg_mongo_cursor_start(L, cursor, found);
    if (n != 4) {
        return n;
    }
    lua_newtable(L);
    const bson_t *document = cursor->ahead;
    for (lua_Integer i = 1; document;) {
        bson_iter_t name;
        if (bson_iter_init_find(&name, document, "name") && BSON_ITER_HOLDS_UTF8(&name)) {
            lua_pushstring(L, bson_iter_utf8(&name, NULL));
            lua_rawseti(L, -2, i++);
        }
        if (!mongoc_cursor_next(cursor->cursor, &document)) {
            document = NULL;
        }
    }
    bool has_failed = cursor->cursor && mongoc_cursor_error(cursor->cursor, &error);
    eg_mongo_cursor_close(cursor);
    return has_failed ? eg_mongo_fail(L, &error) : 1;
}

/* ---- opening ---- */

static void set_default(mongoc_uri_t *uri, const char *option, int32_t value) {
    if (!mongoc_uri_has_option(uri, option)) {
        mongoc_uri_set_option_as_int32(uri, option, value);
    }
}

/* The URI with what is ours where it says nothing. NULL where it is wrong, or
** has an option that the library would ignore. */
static mongoc_uri_t *parse_uri(const char *text, bson_error_t *error) {
    last_warning[0] = '\0';
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, error);
    if (!uri) {
        return NULL;
    }
    if (last_warning[0]) {
        bson_set_error(error, MONGOC_ERROR_COMMAND, MONGOC_ERROR_COMMAND_INVALID_ARG, "%s",
                       last_warning);
        mongoc_uri_destroy(uri);
        return NULL;
    }
    set_default(uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
    set_default(uri, MONGOC_URI_SOCKETTIMEOUTMS, SOCKET_MS);
    set_default(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, SELECTION_MS);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, true);
    if (!mongoc_uri_get_appname(uri)) {
        mongoc_uri_set_appname(uri, "earlgrey");
    }
    return uri;
}

/* Whether the options at `index` leave connecting to the first operation. */
static bool connects_later(lua_State *L, int index) {
    if (lua_isnoneornil(L, index)) {
        return false;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        bool is_known =
            lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "connect") == 0;
        luaL_argcheck(L, is_known && lua_isboolean(L, -1), index,
                      "the only option is connect, a boolean");
        lua_pop(L, 1);
    }
    lua_getfield(L, index, "connect");
    bool later = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    lua_pop(L, 1);
    return later;
}

static int f_open(lua_State *L) {
    size_t n_bytes;
    const char *text = luaL_checklstring(L, 1, &n_bytes);
    luaL_argcheck(L, strlen(text) == n_bytes, 1, "URI contains a zero byte");
    bool later = connects_later(L, 2);
    eg_mongo_client *self = lua_newuserdatauv(L, sizeof *self, 0);
    memset(self, 0, sizeof *self);
    luaL_setmetatable(L, EG_MONGO_CLIENT_TYPE);

    bson_error_t error = {0};
    self->uri = parse_uri(text, &error);
    if (!self->uri || !renew(self, &error)) {
        return eg_mongo_fail_text(L, error.message, "MONGO_URI");
    }
    self->selection_ms = mongoc_uri_get_option_as_int32(
        self->uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, SELECTION_MS);
    self->next = open_clients;
    self->prev = &open_clients;
    if (self->next) {
        self->next->prev = &self->next;
    }
    open_clients = self;
    if (!later && !eg_mongo_reach(self, false, &error)) {
        close_client(self);
        return eg_mongo_fail(L, &error);
    }
    return 1;
}

/* ---- the module ---- */

static int f_encode(lua_State *L) {
    eg_bson *b = eg_bson_new(L);
    size_t at = eg_bson_put(L, b, 1);
    lua_pushlstring(L, (const char *)b->data + at, b->n_bytes - at);
    return 1;
}

static int f_decode(lua_State *L) {
    size_t n;
    const char *bytes = luaL_checklstring(L, 1, &n);
    bson_t document;
    if (!bson_init_static(&document, (const uint8_t *)bytes, n) || !eg_bson_push(L, &document)) {
        return eg_mongo_fail_text(L, "the bytes are no BSON document", "MONGO_BSON");
    }
    return 1;
}

static int f_sleep(lua_State *L) {
    lua_Integer ms = luaL_checkinteger(L, 1);
    luaL_argcheck(L, ms >= 0 && ms <= 3600000, 1, "milliseconds from 0 to 3600000 expected");
    int64_t until_ms = now_ms() + ms;
    for (int64_t left_ms = ms; left_ms > 0 && !eg_lua_interrupt_pending();
         left_ms = until_ms - now_ms()) {
        eg_lua_interrupt_poll(NULL, 0, (int)left_ms);
    }
    return 0;
}

static int f_handles(lua_State *L) {
    lua_Integer n_clients = 0, n_cursors = 0;
    for (const eg_mongo_client *client = open_clients; client; client = client->next) {
        n_clients++;
        for (const eg_mongo_cursor *c = client->cursors; c; c = c->next) {
            n_cursors++;
        }
    }
    lua_pushinteger(L, n_clients);
    lua_pushinteger(L, n_cursors);
    return 2;
}

static void setup_client(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"collection", m_collection}, {"collections", m_collections},
        {"database", m_database},     {"database", m_database},
        {"command", m_command},       {"ping", m_ping},
        {"close", m_close},           {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", m_close}, {"__close", m_close}, {"__tostring", m__tostring}, {NULL, NULL}};
    eg_lua_make_type(L, EG_MONGO_CLIENT_TYPE, meta, methods);
}

static int end_library(lua_State *L) {
    (void)L;
    mongoc_cleanup();
    return 0;
}

/* Starts the library, once. It is ended when the state is closed: what was made
** first is collected last, after all that uses it. */
static void start_library(lua_State *L) {
    mongoc_log_set_handler(on_log, NULL);
    mongoc_init();
    lua_newuserdatauv(L, 0, 0);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, end_library);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    luaL_ref(L, LUA_REGISTRYINDEX);
}

int luaopen_mongo(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"open", f_open},
        {"objectid", eg_bson_objectid},
        {"date", eg_bson_date},
        {"binary", eg_bson_binary},
        {"ordered", eg_bson_ordered},
        {"encode", f_encode},
        {"decode", f_decode},
        {"sleep", f_sleep},
        {"handles", f_handles},
        {NULL, NULL},
    };
    lua_settop(L, 0);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "earlgrey.json");
    lua_call(L, 1, 1);
    lua_getfield(L, 1, "array");
    lua_call(L, 0, 1);
    lua_getfield(L, 1, "null");
    start_library(L);
    eg_bson_setup(L, 2, 3);
    setup_client(L);
    eg_mongo_collection_setup(L);
    eg_mongo_cursor_setup(L);
    luaL_newlib(L, functions);
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "null");
    lua_pushliteral(L, MONGOC_VERSION_S);
    lua_setfield(L, -2, "driver_version");
    return 1;
}
