/*
** What the C side of `require "earlgrey"` shares: connections, statements, and
** the one way each kind of failure reaches Lua.
**
** A handle is a userdata that is created closed and opened afterwards, so that
** an error at any moment leaves nothing to leak. A statement keeps its
** connection alive (user value 1); a connection knows its open statements and
** closes them first. One Lua state a process, used by one thread.
*/
#ifndef EARLGREY_HANDLES_H
#define EARLGREY_HANDLES_H

#include <lua.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "earlgrey.h"

typedef struct eg_lua_conn eg_lua_conn;
typedef struct eg_lua_stmt eg_lua_stmt;

/* User values of a connection: the progress function, and the error it raised
** until that can be raised outside of SQLite. */
enum { EG_LUA_CONN_PROGRESS = 1, EG_LUA_CONN_ERROR = 2, EG_LUA_CONN_N_VALUES = 2 };

struct eg_lua_conn {
    sqlite3 *db;               /* NULL: not yet open, or closed */
    eg_lua_stmt *stmts;        /* open statements, newest first */
    eg_lua_conn *next, **prev; /* list of open connections */
    lua_State *running;        /* thread that is inside SQLite; NULL outside */
    int running_index;         /* this userdata on that thread's stack */
    int64_t every_ms;          /* least time between two calls of the progress function */
    int64_t due_ms;            /* coarse monotonic clock: not before */
    bool in_callback;          /* the progress function runs */
    bool callback_failed;      /* and raised EG_LUA_CONN_ERROR */
    earlgrey_progress figures; /* of the running statement, for the progress function */
};

/* User values of a statement: its connection, and the names of its columns. */
enum { EG_LUA_STMT_CONN = 1, EG_LUA_STMT_NAMES = 2, EG_LUA_STMT_N_VALUES = 2 };

typedef enum eg_lua_stmt_state { EG_LUA_READY, EG_LUA_IN_ROWS, EG_LUA_AT_END } eg_lua_stmt_state;

struct eg_lua_stmt {
    sqlite3_stmt *stmt;        /* NULL: not yet prepared, or closed */
    eg_lua_conn *conn;         /* owner; NULL when closed */
    eg_lua_stmt *next, **prev; /* list of the connection's open statements */
    eg_lua_stmt_state state;
};

/* ---- failures ---- */

/* Pushes nil, the message of `db` (or of rc, where db is NULL or tells of
** something else) and the code's name; returns 3. */
int eg_lua_fail(lua_State *L, sqlite3 *db, int rc);

/* Pushes nil, message, code name; returns 3. */
int eg_lua_fail_text(lua_State *L, const char *message, int rc);

/* "SQLITE_BUSY" for an (extended) result code; the primary code's name where the
** extended one is not known. */
const char *eg_lua_code_name(int rc);

/* ---- connections ---- */

/* An open connection that may be used now; raises otherwise. */
eg_lua_conn *eg_lua_check_conn(lua_State *L, int index);

/* Brackets every call that may run SQL: between them the progress function of
** the connection (on the stack at `index`) can be called. leave raises the
** error that it raised, if it did; `stmt` (may be NULL) is reset first. */
void eg_lua_enter(lua_State *L, eg_lua_conn *conn, int index);
void eg_lua_leave(lua_State *L, eg_lua_conn *conn, sqlite3_stmt *stmt);

/* ---- statements ---- */

/* Makes the metatable of statements. */
void eg_lua_stmt_setup(lua_State *L);

/* An open statement whose connection may be used now; raises otherwise. */
eg_lua_stmt *eg_lua_check_stmt(lua_State *L, int index);

/* Pushes a statement prepared from sql[0..n_bytes) on the connection at
** conn_index. Returns SQLITE_OK, or pushes nothing and returns the failure.
** *tail is what follows the statement, blanks and comments skipped. The
** statement's handle is NULL where the text holds no statement. */
int eg_lua_stmt_prepare(lua_State *L, int conn_index, const char *sql, size_t n_bytes,
                        eg_lua_stmt **out, const char **tail);

/* Binds the values at first .. first + n - 1: one for each parameter, or one
** table of them. Returns SQLITE_OK or the failure; raises where the values do
** not fit the parameters. `stmt` is at stmt_index. */
int eg_lua_stmt_bind(lua_State *L, eg_lua_stmt *stmt, int first, int n);

/* Goes to the next row: SQLITE_ROW, SQLITE_DONE, or the failure. At the end it
** stays until reset. */
int eg_lua_stmt_step(lua_State *L, eg_lua_stmt *stmt, int stmt_index);

/* After a step that failed with rc: pushes nil, message, code; returns 3. */
int eg_lua_stmt_fail(lua_State *L, eg_lua_stmt *stmt, int rc);

/* Pushes a value of the current row. */
void eg_lua_stmt_push_value(lua_State *L, sqlite3_stmt *stmt, int column);

/* Push the current row: an array of the values, or a table by column name. */
void eg_lua_stmt_push_array(lua_State *L, eg_lua_stmt *stmt);
void eg_lua_stmt_push_row(lua_State *L, eg_lua_stmt *stmt, int stmt_index);

/* Pushes an array of the column names. */
void eg_lua_stmt_push_names(lua_State *L, eg_lua_stmt *stmt);

/* Makes the next step start over. */
void eg_lua_stmt_reset(eg_lua_stmt *stmt);

/* Closes; harmless when it is closed already. */
void eg_lua_stmt_close(eg_lua_stmt *stmt);

/* Pushes an iterator over the rows by name (`closing`: and then what the
** generic for needs to close the statement at its end); returns how many values. */
int eg_lua_stmt_push_iterator(lua_State *L, int stmt_index, bool closing);

/* Registry names of the metatables. */
#define EG_LUA_CONN_TYPE "earlgrey.connection"
#define EG_LUA_STMT_TYPE "earlgrey.statement"
#define EG_LUA_BLOB_TYPE "earlgrey.blob"

#endif
