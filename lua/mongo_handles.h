/*
** What the C side of `require "mongo"` shares: clients, collections, cursors,
** and the one way a failure reaches Lua.
**
** The rules of handles.h: a handle is made closed and opened afterwards; a child
** keeps its client alive (user value 1), and a client closes its cursors before
** itself. A collection is a name: it holds nothing of the library.
*/
#ifndef EARLGREY_MONGO_HANDLES_H
#define EARLGREY_MONGO_HANDLES_H

#include <lua.h>
#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdint.h>

#include "bson_lua.h"

typedef struct eg_mongo_client eg_mongo_client;
typedef struct eg_mongo_cursor eg_mongo_cursor;

struct eg_mongo_client {
    mongoc_client_t *client;       /* NULL: not yet open, or closed */
    mongoc_uri_t *uri;             /* as given, with the defaults */
    eg_mongo_cursor *cursors;      /* open ones, newest first */
    eg_mongo_client *next, **prev; /* list of open clients */
    int32_t selection_ms;          /* how long a server is looked for */
    bool is_broken;                /* a connection was lost since the client was made */
    bool is_closing;               /* nothing is waited for long any more */
};

struct eg_mongo_cursor {
    mongoc_cursor_t *cursor; /* NULL: not yet open, at its end, or closed */
    const bson_t *ahead;     /* the first document until it is asked for */
    bool is_at_end;          /* and tells so whenever it is asked */
    eg_mongo_client *client; /* owner; NULL where cursor is */
    eg_mongo_cursor *next, **prev;
};

#define EG_MONGO_CLIENT_TYPE "mongo.client"
#define EG_MONGO_COLLECTION_TYPE "mongo.collection"
#define EG_MONGO_CURSOR_TYPE "mongo.cursor"

/* ---- failures ---- */

/* Pushes nil, message, code, and the server's own number where it gave one;
** returns how many. */
int eg_mongo_fail(lua_State *L, const bson_error_t *error);

/* The same of a text; returns 3. */
int eg_mongo_fail_text(lua_State *L, const char *message, const char *code);

/* ---- clients (mod_mongo.c) ---- */

/* An open client; raises otherwise. */
eg_mongo_client *eg_mongo_check_client(lua_State *L, int index);

/* Looks for a server that answers, for up to selection_ms. To be called before
** each operation: the library itself gives up at once. */
bool eg_mongo_reach(eg_mongo_client *client, bool for_writes, bson_error_t *error);

/* What connects: a mongoc_stream_initiator_t whose user data is the client. */
mongoc_stream_t *eg_mongo_connect(const mongoc_uri_t *uri, const mongoc_host_list_t *host,
                                  void *user_data, bson_error_t *error);

/* ---- collections, cursors ---- */

void eg_mongo_collection_setup(lua_State *L);

/* Pushes the collection db.name of the client at client_index. */
void eg_mongo_collection_push(lua_State *L, int client_index, const char *db, const char *name);

/* Pushes an empty document for a reply; what the library puts there is freed by Lua. */
bson_t *eg_mongo_reply_new(lua_State *L);

void eg_mongo_cursor_setup(lua_State *L);

/* Pushes a closed cursor of the client at client_index. */
eg_mongo_cursor *eg_mongo_cursor_new(lua_State *L, int client_index);

/* Opens the cursor on top of the stack: takes `cursor` and asks for its first
** documents. Returns what the function that made it returns to Lua: the cursor
** in a form that `for` takes, or the failure. */
int eg_mongo_cursor_start(lua_State *L, eg_mongo_cursor *self, mongoc_cursor_t *cursor);

/* Closes; harmless when it is closed already. A cursor at its end stays there. */
void eg_mongo_cursor_close(eg_mongo_cursor *self);

#endif
