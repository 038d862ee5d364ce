/*
** The module `earlgrey` and its connections.
**
** Lua is never entered from inside SQLite unprotected: the progress function
** runs under lua_pcall, its error is kept in the connection and raised once
** SQLite has returned.
*/
#include "mod_earlgrey.h"

#include <lauxlib.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "earlgrey.h"
#include "handles.h"
#include "lua_type.h"

/* VDBE instructions between two looks at the clock. So few, because a scan of
** the extension runs nothing but a short statement every few milliseconds. */
#define PROGRESS_INSTRUCTIONS 4

/* Open connections; also read by a signal handler, hence changed with SIGINT blocked. */
static eg_lua_conn *open_conns;

/* Key of the function that makes a result, in the registry. */
static const char RESULT_KEY;

static int64_t read_clock_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Exact to 4 ms, but asked every few instructions of a statement. */
static int64_t coarse_now_ms(void) {
    return read_clock_ms(CLOCK_MONOTONIC_COARSE);
}

/* ---- the list of open connections ---- */

static void block_sigint(sigset_t *before) {
    sigset_t sigint;
    sigemptyset(&sigint);
    sigaddset(&sigint, SIGINT);
    sigprocmask(SIG_BLOCK, &sigint, before);
}

static void link_conn(eg_lua_conn *conn, sqlite3 *db) {
    sigset_t before;
    block_sigint(&before);
    conn->db = db;
    conn->next = open_conns;
    conn->prev = &open_conns;
    if (conn->next) {
        conn->next->prev = &conn->next;
    }
    open_conns = conn;
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static sqlite3 *unlink_conn(eg_lua_conn *conn) {
    sigset_t before;
    block_sigint(&before);
    sqlite3 *db = conn->db;
    *conn->prev = conn->next;
    if (conn->next) {
        conn->next->prev = conn->prev;
    }
    conn->db = NULL;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return db;
}

void eg_lua_interrupt_all(void) {
    for (eg_lua_conn *conn = open_conns; conn; conn = conn->next) {
        sqlite3_interrupt(conn->db);
    }
}

/* ---- connections ---- */

eg_lua_conn *eg_lua_check_conn(lua_State *L, int index) {
    eg_lua_conn *conn = luaL_checkudata(L, index, EG_LUA_CONN_TYPE);
    if (!conn->db) {
        luaL_error(L, "attempt to use a closed connection");
    }
    if (conn->in_callback) {
        luaL_error(L, "attempt to use a connection inside its own progress function");
    }
    return conn;
}

void eg_lua_enter(lua_State *L, eg_lua_conn *conn, int index) {
    conn->running_index = lua_absindex(L, index);
    conn->running = L;
}

void eg_lua_leave(lua_State *L, eg_lua_conn *conn, sqlite3_stmt *stmt) {
    conn->running = NULL;
    if (conn->callback_failed) {
        conn->callback_failed = false;
        sqlite3_reset(stmt);
        lua_getiuservalue(L, conn->running_index, EG_LUA_CONN_ERROR);
        lua_pushnil(L);
        lua_setiuservalue(L, conn->running_index, EG_LUA_CONN_ERROR);
        lua_error(L);
    }
}

/* SQLite's progress handler: true stops the statement. */
static int on_progress(void *arg) {
    eg_lua_conn *conn = arg;
    lua_State *L = conn->running;
    int64_t now_ms = coarse_now_ms();
    if (!L || conn->in_callback || now_ms < conn->due_ms || !lua_checkstack(L, 7)) {
        return 0;
    }
    lua_getiuservalue(L, conn->running_index, EG_LUA_CONN_PROGRESS);
    lua_pushinteger(L, conn->figures.done_bytes);
    lua_pushinteger(L, conn->figures.total_bytes);
    lua_pushinteger(L, conn->figures.rows);
    conn->in_callback = true;
    int rc = lua_pcall(L, 3, 1, 0);
    conn->in_callback = false;
    conn->due_ms = coarse_now_ms() + conn->every_ms;
    int stop = lua_toboolean(L, -1);
    if (rc == LUA_OK) {
        lua_pop(L, 1);
    } else {
        stop = 1;
        conn->callback_failed = true;
        lua_setiuservalue(L, conn->running_index, EG_LUA_CONN_ERROR);
    }
    return stop;
}

/* SQL text of argument 2: one C string without zero bytes. */
static const char *check_sql(lua_State *L, size_t *n_bytes) {
    const char *sql = luaL_checklstring(L, 2, n_bytes);
    luaL_argcheck(L, strlen(sql) == *n_bytes, 2, "SQL text contains a zero byte");
    return sql;
}

/* Pushes the one statement of argument 2, bound to the arguments from 3 on.
** Returns 0, or how many values tell of the failure. */
static int push_bound(lua_State *L, eg_lua_stmt **out) {
    eg_lua_conn *conn = eg_lua_check_conn(L, 1);
    size_t n_bytes;
    const char *tail = NULL, *sql = check_sql(L, &n_bytes);
    int n_values = lua_gettop(L) - 2;
    int rc = eg_lua_stmt_prepare(L, 1, sql, n_bytes, out, &tail);
    if (rc != SQLITE_OK) {
        return eg_lua_fail(L, conn->db, rc);
    }
    if (!(*out)->stmt) {
        return eg_lua_fail_text(L, "the text holds no SQL statement", SQLITE_MISUSE);
    }
    if (*tail) {
        eg_lua_stmt_close(*out);
        return eg_lua_fail_text(L, "the text holds more than one SQL statement", SQLITE_MISUSE);
    }
    rc = eg_lua_stmt_bind(L, *out, 3, n_values);
    if (rc != SQLITE_OK) {
        int n = eg_lua_fail(L, conn->db, rc);
        eg_lua_stmt_close(*out);
        return n;
    }
    return 0;
}

static int m_exec(lua_State *L) {
    eg_lua_conn *conn = eg_lua_check_conn(L, 1);
    size_t n_bytes;
    const char *sql = check_sql(L, &n_bytes);
    const char *end = sql + n_bytes;
    while (sql < end) {
        eg_lua_stmt *stmt = NULL;
        int rc = eg_lua_stmt_prepare(L, 1, sql, (size_t)(end - sql), &stmt, &sql);
        if (rc != SQLITE_OK) {
            return eg_lua_fail(L, conn->db, rc);
        }
        if (stmt->stmt) {
            do {
                rc = eg_lua_stmt_step(L, stmt, -1);
            } while (rc == SQLITE_ROW);
            if (rc != SQLITE_DONE) {
                int n = eg_lua_stmt_fail(L, stmt, rc);
                eg_lua_stmt_close(stmt);
                return n;
            }
            eg_lua_stmt_close(stmt);
        }
        lua_pop(L, 1);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int m_prepare(lua_State *L) {
    eg_lua_conn *conn = eg_lua_check_conn(L, 1);
    size_t n_bytes;
    const char *tail = NULL, *sql = check_sql(L, &n_bytes);
    eg_lua_stmt *stmt = NULL;
    int rc = eg_lua_stmt_prepare(L, 1, sql, n_bytes, &stmt, &tail);
    if (rc != SQLITE_OK) {
        return eg_lua_fail(L, conn->db, rc);
    }
    if (!stmt->stmt) {
        return eg_lua_fail_text(L, "the text holds no SQL statement", SQLITE_MISUSE);
    }
    lua_pushstring(L, tail);
    return 2;
}

static int m_rows(lua_State *L) {
    eg_lua_stmt *stmt = NULL;
    int n = push_bound(L, &stmt);
    return n ? n : eg_lua_stmt_push_iterator(L, -1, true);
}

static int m_row(lua_State *L) {
    eg_lua_stmt *stmt = NULL;
    int n = push_bound(L, &stmt);
    if (n) {
        return n;
    }
    int stmt_index = lua_gettop(L);
    int rc = eg_lua_stmt_step(L, stmt, stmt_index);
    if (rc == SQLITE_ROW) {
        eg_lua_stmt_push_row(L, stmt, stmt_index);
        n = 1;
    } else if (rc == SQLITE_DONE) {
        lua_pushnil(L);
        n = 1;
    } else {
        n = eg_lua_stmt_fail(L, stmt, rc);
    }
    eg_lua_stmt_close(stmt);
    return n;
}

static int m_query(lua_State *L) {
    eg_lua_stmt *stmt = NULL;
    int n = push_bound(L, &stmt);
    if (n) {
        return n;
    }
    int stmt_index = lua_gettop(L);
    lua_newtable(L);
    int rows_index = lua_gettop(L), rc;
    for (lua_Integer i = 1; (rc = eg_lua_stmt_step(L, stmt, stmt_index)) == SQLITE_ROW; i++) {
        eg_lua_stmt_push_array(L, stmt);
        lua_rawseti(L, rows_index, i);
    }
    if (rc != SQLITE_DONE) {
        n = eg_lua_stmt_fail(L, stmt, rc);
        eg_lua_stmt_close(stmt);
        return n;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &RESULT_KEY);
    eg_lua_stmt_push_names(L, stmt);
    lua_pushvalue(L, rows_index);
    eg_lua_stmt_close(stmt);
    lua_call(L, 2, 1);
    return 1;
}

static int m_changes(lua_State *L) {
    lua_pushinteger(L, sqlite3_changes64(eg_lua_check_conn(L, 1)->db));
    return 1;
}

static int m_interrupt(lua_State *L) {
    eg_lua_conn *conn = luaL_checkudata(L, 1, EG_LUA_CONN_TYPE);
    if (!conn->db) {
        return luaL_error(L, "attempt to use a closed connection");
    }
    sqlite3_interrupt(conn->db);
    return 0;
}

static int m_progress(lua_State *L) {
    eg_lua_conn *conn = eg_lua_check_conn(L, 1);
    bool is_set = !lua_isnoneornil(L, 2);
    if (is_set) {
        luaL_checktype(L, 2, LUA_TFUNCTION);
    }
    lua_Integer every_ms = luaL_optinteger(L, 3, 200);
    luaL_argcheck(L, every_ms >= 1 && every_ms <= 3600000, 3,
                  "milliseconds from 1 to 3600000 expected");
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, EG_LUA_CONN_PROGRESS);
    conn->every_ms = every_ms;
    conn->due_ms = coarse_now_ms() + every_ms;
    sqlite3_progress_handler(conn->db, is_set ? PROGRESS_INSTRUCTIONS : 0,
                             is_set ? on_progress : NULL, conn);
    return 0;
}

static void close_conn(eg_lua_conn *conn) {
    if (!conn->db) {
        return;
    }
    while (conn->stmts) {
        eg_lua_stmt_close(conn->stmts);
    }
    sqlite3 *db = unlink_conn(conn);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    sqlite3_close_v2(db);
}

static int m_close(lua_State *L) {
    eg_lua_conn *conn = luaL_checkudata(L, 1, EG_LUA_CONN_TYPE);
    if (conn->db) {
        close_conn(eg_lua_check_conn(L, 1));
    }
    return 0;
}

static int m__gc(lua_State *L) {
    close_conn(luaL_checkudata(L, 1, EG_LUA_CONN_TYPE));
    return 0;
}

static int m__tostring(lua_State *L) {
    eg_lua_conn *conn = luaL_checkudata(L, 1, EG_LUA_CONN_TYPE);
    if (conn->db) {
        const char *path = sqlite3_db_filename(conn->db, "main");
        lua_pushfstring(L, "connection (%s)", path && *path ? path : ":memory:");
    } else {
        lua_pushliteral(L, "connection (closed)");
    }
    return 1;
}

/* ---- the module ---- */

/* A boolean field of the options at `index`, false where it is absent. */
static bool option_is_set(lua_State *L, int index, const char *name) {
    if (!lua_istable(L, index)) {
        return false;
    }
    lua_getfield(L, index, name);
    bool is_set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_set;
}

/* Has the extension write its progress to the connection. */
static int watch_progress(eg_lua_conn *conn) {
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(conn->db, "SELECT earlgrey_progress(?)", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_pointer(stmt, 1, &conn->figures, EARLGREY_PROGRESS, NULL);
        sqlite3_step(stmt);
        rc = sqlite3_finalize(stmt);
    }
    return rc;
}

static int f_open(lua_State *L) {
    size_t n_bytes;
    const char *path = luaL_optlstring(L, 1, ":memory:", &n_bytes);
    luaL_argcheck(L, strlen(path) == n_bytes, 1, "path contains a zero byte");
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
    }
    int flags = option_is_set(L, 2, "readonly") ? SQLITE_OPEN_READONLY
                                                : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    eg_lua_conn *conn = lua_newuserdatauv(L, sizeof *conn, EG_LUA_CONN_N_VALUES);
    memset(conn, 0, sizeof *conn);
    luaL_setmetatable(L, EG_LUA_CONN_TYPE);

    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL); /* one thread */
    if (!db) {
        return eg_lua_fail(L, NULL, rc);
    }
    link_conn(conn, db);
    if (rc != SQLITE_OK) {
        int n = eg_lua_fail(L, db, rc);
        lua_pushfstring(L, "%s: %s", path, lua_tostring(L, -2));
        lua_replace(L, -3);
        close_conn(conn);
        return n;
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, 5000);
    char *error = NULL;
    rc = sqlite3_earlgrey_init(db, &error, NULL);
    if (rc == SQLITE_OK) {
        rc = watch_progress(conn);
    }
    if (rc != SQLITE_OK) {
        close_conn(conn);
        int n = error ? eg_lua_fail_text(L, error, rc) : eg_lua_fail(L, NULL, rc);
        sqlite3_free(error);
        return n;
    }
    return 1;
}

static int f_blob(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_newuserdatauv(L, 0, 1);
    luaL_setmetatable(L, EG_LUA_BLOB_TYPE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

static int f_complete(lua_State *L) {
    lua_pushboolean(L, sqlite3_complete(luaL_checkstring(L, 1)));
    return 1;
}

static int f_handles(lua_State *L) {
    lua_Integer n_conns = 0, n_stmts = 0;
    for (const eg_lua_conn *conn = open_conns; conn; conn = conn->next) {
        n_conns++;
        for (const eg_lua_stmt *stmt = conn->stmts; stmt; stmt = stmt->next) {
            n_stmts++;
        }
    }
    lua_pushinteger(L, n_conns);
    lua_pushinteger(L, n_stmts);
    return 2;
}

static int f_is_terminal(lua_State *L) {
    static const char *const names[] = {"stdin", "stdout", "stderr", NULL};
    lua_pushboolean(L, isatty(luaL_checkoption(L, 1, NULL, names)));
    return 1;
}

static int f_now_ms(lua_State *L) {
    lua_pushinteger(L, read_clock_ms(CLOCK_MONOTONIC));
    return 1;
}

static int f_clock_ms(lua_State *L) {
    lua_pushinteger(L, read_clock_ms(CLOCK_REALTIME));
    return 1;
}

static void setup_conn(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"exec", m_exec},   {"prepare", m_prepare},     {"rows", m_rows},
        {"row", m_row},     {"query", m_query},         {"changes", m_changes},
        {"close", m_close}, {"interrupt", m_interrupt}, {"progress", m_progress},
        {NULL, NULL},
    };
    static const luaL_Reg meta[] = {
        {"__gc", m__gc},
        {"__close", m_close},
        {"__tostring", m__tostring},
        {NULL, NULL},
    };
    eg_lua_make_type(L, EG_LUA_CONN_TYPE, meta, methods);
    eg_lua_make_type(L, EG_LUA_BLOB_TYPE, NULL, NULL);
}

/* Pushes what require(name) gives. */
static void push_required(lua_State *L, const char *name) {
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
}

int luaopen_earlgrey(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"open", f_open},
        {"blob", f_blob},
        {"complete", f_complete},
        {"handles", f_handles},
        {"is_terminal", f_is_terminal},
        {"now_ms", f_now_ms},
        {"clock_ms", f_clock_ms},
        {NULL, NULL},
    };
    setup_conn(L);
    eg_lua_stmt_setup(L);
    push_required(L, "earlgrey.result");
    lua_getfield(L, -1, "new");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &RESULT_KEY);
    lua_pop(L, 1);

    luaL_newlib(L, functions);
    lua_pushliteral(L, EARLGREY_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, sqlite3_libversion());
    lua_setfield(L, -2, "sqlite_version");
    push_required(L, "earlgrey.json");
    lua_setfield(L, -2, "json");
    return 1;
}
