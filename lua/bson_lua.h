/*
** Lua values as BSON and back.
**
**   integer   int32 where it fits, else int64       boolean   bool
**   number    double                                string    text: UTF-8, checked on writing
**   table     array by the rule of json.lua (marked, or the keys 1..n and n > 0), else a document
**   json.null null                                  value     what Lua has no type for, see below
**
** A document is written with its _id first and the other keys in order of their
** bytes; mongo.ordered{{name, value}, …} is written as it stands. Read arrays are
** marked. A value is a userdata that holds the bytes of any other type: object
** ids, dates, binary data, and what is only passed through.
*/
#ifndef EARLGREY_BSON_LUA_H
#define EARLGREY_BSON_LUA_H

#include <bson/bson.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* The largest document that servers take. */
#define EG_BSON_MAX_BYTES (16 * 1024 * 1024)
/* The deepest nesting that they take. */
#define EG_BSON_MAX_DEPTH 100

/* Documents that are being written, one behind the other. A userdata that owns
** its memory, so that an error at any moment leaves nothing to leak. */
typedef struct eg_bson {
    uint8_t *data;
    size_t n_bytes, capacity;
    size_t end; /* n_bytes must not pass this: the largest end of the open document */
} eg_bson;

/* Makes the metatables; `array_index` is an array as json.array marks them, and
** `null_index` is json.null. */
void eg_bson_setup(lua_State *L, int array_index, int null_index);

/* Pushes an empty one. */
eg_bson *eg_bson_new(lua_State *L);

/* Appends the document that is made of the table at `index`, and gives where it
** begins. Raises where the table, or what is in it, can be no document. */
size_t eg_bson_put(lua_State *L, eg_bson *b, int index);

/* The same where the order counts: the table is a list of {name, value}, or has
** one key only. */
size_t eg_bson_put_ordered(lua_State *L, eg_bson *b, int index);

/* The same, with an object id as _id where the table has none. Pushes the _id. */
size_t eg_bson_put_with_id(lua_State *L, eg_bson *b, int index);

/* The same of an array: the table must be one, empty or not. */
size_t eg_bson_put_array(lua_State *L, eg_bson *b, int index);

/* Field by field: begin, fields, end with what begin gave. `is_ordered`: the
** value is a document by the rule of eg_bson_put_ordered. */
size_t eg_bson_begin(lua_State *L, eg_bson *b);
void eg_bson_field(lua_State *L, eg_bson *b, const char *name, int index, bool is_ordered);
void eg_bson_end(lua_State *L, eg_bson *b, size_t start);

/* The document that begins at `start`; valid until the next one is put. */
void eg_bson_view(const eg_bson *b, size_t start, bson_t *view);

/* Pushes a document as a table. False, and nothing pushed, where its bytes are
** no BSON or nested too deeply. */
bool eg_bson_push(lua_State *L, const bson_t *document);

/* Push json.null, and the metatable of marked arrays. */
void eg_bson_push_null(lua_State *L);
void eg_bson_push_array_mark(lua_State *L);

/* ---- values of other types (bson_value.c) ---- */

#define EG_BSON_VALUE_TYPE "mongo.value"

typedef struct eg_bson_value {
    uint8_t type; /* a bson_type_t */
    size_t n_bytes;
    uint8_t bytes[]; /* as they are in a document */
} eg_bson_value;

void eg_bson_value_setup(lua_State *L);
void eg_bson_value_push(lua_State *L, uint8_t type, const void *bytes, size_t n_bytes);

/* mongo.objectid([hex]), mongo.date(ms), mongo.binary(string) */
int eg_bson_objectid(lua_State *L);
int eg_bson_date(lua_State *L);
int eg_bson_binary(lua_State *L);

/* mongo.ordered(pairs) */
int eg_bson_ordered(lua_State *L);

#endif
