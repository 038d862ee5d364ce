/*
** A hook can be set only on the Lua thread that runs, which a signal handler
** cannot ask for. Hence coroutine.resume and what coroutine.wrap makes are
** wrapped: they note the thread they enter and put the former back.
*/
#include "interrupt.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stddef.h>

#include "mod_earlgrey.h"

static lua_State *volatile main_thread;    /* NULL: disarmed */
static lua_State *volatile running_thread; /* the coroutine that runs, else main_thread */
static volatile sig_atomic_t was_interrupted;
static bool is_enabled;

static void stop(lua_State *L, lua_Debug *ar) {
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    luaL_error(L, "interrupted");
}

static void set_handler(void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

static void on_sigint(int signal_number) {
    (void)signal_number;
    int saved_errno = errno;
    was_interrupted = 1;
    if (main_thread) {
        const int mask = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
        set_handler(SIG_DFL);
        lua_sethook(main_thread, stop, mask, 1);
        lua_sethook(running_thread, stop, mask, 1);
        eg_lua_interrupt_all();
    }
    errno = saved_errno;
}

/* ---- coroutines ---- */

/* Calls the function below its arguments (all of the stack) while `thread` is
** the one that runs. */
static int call_tracked(lua_State *L, lua_State *thread) {
    lua_State *outer = running_thread;
    if (thread && outer) {
        running_thread = thread;
    }
    int rc = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    running_thread = main_thread ? outer : NULL;
    return rc == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* coroutine.resume; upvalue: the original. */
static int tracked_resume(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    return call_tracked(L, lua_tothread(L, 2));
}

/* What coroutine.wrap gives; upvalues: the original function and its thread. */
static int tracked_step(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    return call_tracked(L, lua_tothread(L, lua_upvalueindex(2)));
}

/* coroutine.wrap; upvalue: the original. */
static int tracked_wrap(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    if (!lua_getupvalue(L, 1, 1)) { /* its one upvalue is the thread */
        return 1;
    }
    lua_pushcclosure(L, tracked_step, 2);
    return 1;
}

static void replace(lua_State *L, const char *name, lua_CFunction tracked) {
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, tracked, 1);
    lua_setfield(L, -2, name);
}

/* ---- control ---- */

void eg_lua_interrupt_setup(lua_State *L) {
    struct sigaction inherited;
    if (sigaction(SIGINT, NULL, &inherited) == 0 && inherited.sa_handler == SIG_IGN) {
        return;
    }
    is_enabled = true;
    lua_getglobal(L, "coroutine");
    replace(L, "resume", tracked_resume);
    replace(L, "wrap", tracked_wrap);
    lua_pop(L, 1);
}

void eg_lua_interrupt_arm(lua_State *L) {
    if (is_enabled) {
        was_interrupted = 0;
        running_thread = L;
        main_thread = L;
        set_handler(on_sigint);
    }
}

void eg_lua_interrupt_disarm(lua_State *L) {
    if (is_enabled) {
        main_thread = NULL;
        running_thread = NULL;
        lua_sethook(L, NULL, 0, 0);
        set_handler(on_sigint);
    }
}

bool eg_lua_interrupt_take(void) {
    bool taken = was_interrupted;
    was_interrupted = 0;
    return taken;
}

bool eg_lua_interrupt_pending(void) {
    return main_thread && was_interrupted;
}

/* SIGINT is let in only while the call waits: there is no moment between looking
** and waiting in which it could be missed. */
int eg_lua_interrupt_poll(struct pollfd *fds, nfds_t n_fds, int timeout_ms) {
    sigset_t sigint, before;
    sigemptyset(&sigint);
    sigaddset(&sigint, SIGINT);
    sigprocmask(SIG_BLOCK, &sigint, &before);
    int n = -1;
    if (eg_lua_interrupt_pending()) {
        errno = EINTR;
    } else {
        struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
        n = ppoll(fds, n_fds, timeout_ms < 0 ? NULL : &timeout, &before);
    }
    int saved_errno = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
    return n;
}
