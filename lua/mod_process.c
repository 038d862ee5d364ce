/*
** The module `process`: children without a shell between, and signals as
** something to read.
**
** A child has a process group of its own, no descriptor of ours but its log,
** and signals as a fresh process has them. Its log is locked (flock) for as
** long as it lives, whoever started it: that is how a process which did not
** start it knows. A child is waited for once; after that its number may be
** somebody else's, and it is no longer signalled.
*/
#include "mod_process.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lua_type.h"
#include "system_failure.h"

#define CHILD_TYPE "earlgrey.child"
#define SIGNALS_TYPE "earlgrey.signals"

extern char **environ;

static const struct {
    const char *name;
    int number;
} SIGNALS[] = {{"TERM", SIGTERM}, {"INT", SIGINT},   {"HUP", SIGHUP},
               {"CHLD", SIGCHLD}, {"PIPE", SIGPIPE}, {"KILL", SIGKILL}};

/* 0 where there is none of that name. */
static int signal_of(const char *name) {
    for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++) {
        if (strcmp(SIGNALS[i].name, name) == 0) {
            return SIGNALS[i].number;
        }
    }
    return 0;
}

static int check_signal(lua_State *L, int index) {
    int number = signal_of(luaL_checkstring(L, index));
    luaL_argcheck(L, number != 0, index, "a signal expected: TERM, INT, HUP, CHLD, PIPE, KILL");
    return number;
}

/* ---- children ---- */

typedef struct child {
    pid_t pid;      /* 0: not started */
    bool is_reaped; /* its number may be another's now */
    int status;     /* of waitpid, once reaped */
} child;

/* A NULL-terminated array of the strings of a table, kept alive by it; in a userdata. */
static char **push_strings(lua_State *L, int table) {
    lua_Integer n = luaL_len(L, table);
    luaL_argcheck(L, n >= 0 && n < 10000, 1, "a list of texts expected");
    char **list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
    for (lua_Integer i = 0; i < n; i++) {
        size_t n_bytes = 0;
        lua_rawgeti(L, table, i + 1);
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n_bytes) : NULL;
        if (!text || strlen(text) != n_bytes) {
            luaL_error(L, "argument %d is no text without zero bytes", (int)i + 1);
        }
        list[i] = (char *)(uintptr_t)text;
        lua_pop(L, 1); /* the table keeps it */
    }
    list[n] = NULL;
    return list;
}

/* The environment with the variables of `table` ("NAME=value" texts) instead of its own. */
static char **push_environment(lua_State *L, int table) {
    char **more = push_strings(L, table);
    size_t n_more = 0, n = 0, n_old = 0;
    while (more[n_more]) {
        n_more++;
    }
    while (environ[n_old]) {
        n_old++;
    }
    char **list = lua_newuserdatauv(L, (n_old + n_more + 1) * sizeof *list, 0);
    for (size_t i = 0; i < n_old; i++) {
        bool is_replaced = false;
        for (size_t k = 0; k < n_more && !is_replaced; k++) {
            size_t n_name = strcspn(more[k], "=") + 1;
            is_replaced = strncmp(environ[i], more[k], n_name) == 0;
        }
        if (!is_replaced) {
            list[n++] = environ[i];
        }
    }
    for (size_t k = 0; k < n_more; k++) {
        list[n++] = more[k];
    }
    list[n] = NULL;
    return list;
}

/* Starts it; 0 or an error number. log_fd -1: its output goes nowhere. */
static int start(child *c, char **argv, char **envp, int log_fd) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return rc;
    }
    if ((rc = posix_spawnattr_init(&attributes)) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return rc;
    }
    rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int fd = 1; fd <= 2 && rc == 0; fd++) {
        rc = log_fd < 0 ? posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0)
                        : posix_spawn_file_actions_adddup2(&actions, log_fd, fd);
    }
    if (rc == 0 && (rc = posix_spawn_file_actions_addclosefrom_np(&actions, 3)) == 0 &&
        (rc = posix_spawnattr_setpgroup(&attributes, 0)) == 0 &&
        (rc = posix_spawnattr_setsigmask(&attributes, &none)) == 0 &&
        (rc = posix_spawnattr_setsigdefault(&attributes, &all)) == 0 &&
        (rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                        POSIX_SPAWN_SETSIGDEF)) == 0) {
        rc = posix_spawn(&c->pid, argv[0], &actions, &attributes, argv, envp);
    }
    if (rc != 0) {
        c->pid = 0;
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* An open, locked log; -1 and errno. */
static int open_log(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        fd = -1;
    }
    return fd;
}

static int f_spawn(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "argv");
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_getfield(L, 1, "log");
    const char *log = luaL_optstring(L, 3, NULL);
    if (lua_getfield(L, 1, "environment") == LUA_TNIL) {
        lua_newtable(L);
        lua_replace(L, 4);
    }
    luaL_checktype(L, 4, LUA_TTABLE);
    char **argv = push_strings(L, 2);
    luaL_argcheck(L, argv[0], 1, "argv is empty");
    char **envp = push_environment(L, 4);
    child *c = lua_newuserdatauv(L, sizeof *c, 0);
    *c = (child){0};
    luaL_setmetatable(L, CHILD_TYPE);
    int log_fd = log ? open_log(log) : -1;
    if (log && log_fd < 0) {
        return eg_lua_system_failure(L, errno, "%s", log);
    }
    int rc = start(c, argv, envp, log_fd);
    if (log_fd >= 0) {
        close(log_fd);
    }
    return rc != 0 ? eg_lua_system_failure(L, rc, "%s: cannot be started", argv[0]) : 1;
}

static void reap(child *c) {
    if (c->pid == 0 || c->is_reaped) {
        return;
    }
    pid_t rc = waitpid(c->pid, &c->status, WNOHANG);
    c->is_reaped = rc == c->pid || (rc < 0 && errno == ECHILD);
}

static child *check_child(lua_State *L) {
    return luaL_checkudata(L, 1, CHILD_TYPE);
}

static int push_end(lua_State *L, const child *c) {
    if (!c->is_reaped) {
        lua_pushnil(L);
        return 1;
    }
    if (WIFSIGNALED(c->status)) {
        lua_pushliteral(L, "signal");
        lua_pushinteger(L, WTERMSIG(c->status));
    } else {
        lua_pushliteral(L, "exit");
        lua_pushinteger(L, WEXITSTATUS(c->status));
    }
    return 2;
}

static int m_poll(lua_State *L) {
    child *c = check_child(L);
    reap(c);
    return push_end(L, c);
}

static void sleep_ms(lua_Integer ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static int m_wait(lua_State *L) {
    child *c = check_child(L);
    lua_Integer left_ms = luaL_optinteger(L, 2, 60000);
    for (reap(c); !c->is_reaped && left_ms > 0; left_ms -= 5) {
        sleep_ms(5);
        reap(c);
    }
    return push_end(L, c);
}

static int m_pid(lua_State *L) {
    lua_pushinteger(L, check_child(L)->pid);
    return 1;
}

/* The whole group; false where it has ended. */
static int m_kill(lua_State *L) {
    child *c = check_child(L);
    int number = check_signal(L, 2);
    reap(c);
    lua_pushboolean(L, !c->is_reaped && c->pid > 0 && kill(-c->pid, number) == 0);
    return 1;
}

/* A child that nobody holds goes on; init waits for it after us. */
static int m__gc(lua_State *L) {
    reap(check_child(L));
    return 0;
}

/* ---- processes of others ---- */

/* When a process began, in clock ticks since the machine did; 0 where there is none, or
** where it has ended and only waits to be waited for. */
static uint64_t start_of(lua_Integer pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    char *at = strrchr(text, ')'); /* the name may have anything in it */
    if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X') {
        return 0;
    }
    for (int field = 2; field < 22 && at; field++) {
        at = strchr(at + 1, ' ');
    }
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

static int f_start_of(lua_State *L) {
    uint64_t ticks = start_of(luaL_checkinteger(L, 1));
    if (ticks) {
        lua_pushinteger(L, (lua_Integer)ticks);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int f_kill(lua_State *L) {
    lua_Integer pid = luaL_checkinteger(L, 1);
    uint64_t began = (uint64_t)luaL_checkinteger(L, 2);
    int number = check_signal(L, 3);
    luaL_argcheck(L, pid > 1 && pid <= INT_MAX, 1, "no process of this number");
    lua_pushboolean(L, start_of(pid) == began && began != 0 && kill(-(pid_t)pid, number) == 0);
    return 1;
}

static int f_id(lua_State *L) {
    lua_pushinteger(L, getpid());
    return 1;
}

static int f_program(lua_State *L) {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    if (n <= 0) {
        return eg_lua_system_failure(L, errno, "/proc/self/exe");
    }
    lua_pushlstring(L, path, (size_t)n);
    return 1;
}

static int f_cores(lua_State *L) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    lua_pushinteger(L, n > 0 ? n : 1);
    return 1;
}

static int f_sleep(lua_State *L) {
    lua_Integer ms = luaL_checkinteger(L, 1);
    luaL_argcheck(L, ms >= 0 && ms <= 3600000, 1, "milliseconds from 0 to 3600000 expected");
    sleep_ms(ms);
    return 0;
}

/* ---- signals ---- */

typedef struct signals {
    int fd; /* -1: not yet open, or closed */
    sigset_t before;
} signals;

static int f_signals(lua_State *L) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 1; i <= lua_gettop(L); i++) {
        sigaddset(&set, check_signal(L, i));
    }
    signals *s = lua_newuserdatauv(L, sizeof *s, 0);
    s->fd = -1;
    luaL_setmetatable(L, SIGNALS_TYPE);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return eg_lua_system_failure(L, errno, "signalfd");
    }
    sigprocmask(SIG_BLOCK, &set, &s->before);
    s->fd = fd;
    return 1;
}

static signals *check_signals(lua_State *L) {
    signals *s = luaL_checkudata(L, 1, SIGNALS_TYPE);
    if (s->fd < 0) {
        luaL_error(L, "attempt to use closed signals");
    }
    return s;
}

static int m_next(lua_State *L) {
    struct signalfd_siginfo info;
    ssize_t n = read(check_signals(L)->fd, &info, sizeof info);
    for (size_t i = 0; n == sizeof info && i < sizeof SIGNALS / sizeof *SIGNALS; i++) {
        if (SIGNALS[i].number == (int)info.ssi_signo) {
            lua_pushstring(L, SIGNALS[i].name);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

static int m_fd(lua_State *L) {
    lua_pushinteger(L, check_signals(L)->fd);
    return 1;
}

static int m_signals_close(lua_State *L) {
    signals *s = luaL_checkudata(L, 1, SIGNALS_TYPE);
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
        sigprocmask(SIG_SETMASK, &s->before, NULL);
    }
    return 0;
}

/* ---- the module ---- */

int luaopen_process(lua_State *L) {
    static const luaL_Reg child_methods[] = {
        {"poll", m_poll}, {"wait", m_wait}, {"pid", m_pid}, {"kill", m_kill}, {NULL, NULL},
    };
    static const luaL_Reg child_meta[] = {{"__gc", m__gc}, {NULL, NULL}};
    static const luaL_Reg signals_methods[] = {
        {"next", m_next}, {"fd", m_fd}, {"close", m_signals_close}, {NULL, NULL}};
    static const luaL_Reg signals_meta[] = {
        {"__gc", m_signals_close}, {"__close", m_signals_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"spawn", f_spawn}, {"start_of", f_start_of}, {"kill", f_kill},
        {"id", f_id},       {"program", f_program},   {"cores", f_cores},
        {"sleep", f_sleep}, {"signals", f_signals},   {NULL, NULL},
    };
    eg_lua_make_type(L, CHILD_TYPE, child_meta, child_methods);
    eg_lua_make_type(L, SIGNALS_TYPE, signals_meta, signals_methods);
    luaL_newlib(L, functions);
    return 1;
}
