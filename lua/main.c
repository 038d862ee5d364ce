/*
** earlgrey-lua: options, scripts, the prompt. The only file of lua/ that prints
** and that decides how the process ends.
**
** The exit code is 0 done, 1 failed, 2 wrong usage, 3 done but with rejected
** input; a script gives its own by returning it from its main chunk.
*/
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "earlgrey.h"
#include "editor.h"
#include "embedded.h"
#include "interrupt.h"
#include "mod_earlgrey.h"
#include "mod_files.h"
#include "mod_http.h"
#include "mod_process.h"
#include "mongo_plugin.h"

#ifndef EARLGREY_SHARE_DIR
#define EARLGREY_SHARE_DIR "/usr/local/share/earlgrey"
#endif

#define PROGRAM "earlgrey-lua"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef struct options {
    bool help, version, interactive;
    int n_chunks; /* -e options */
    int script;   /* index in argv of the script, argc where there is none */
    const char *wrong, *why;
} options;

/* What pmain is told and tells. */
typedef struct job {
    int argc;
    char **argv;
    int status;
    bool interrupted;
} job;

static void report(const char *message) {
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", PROGRAM, message ? message : "(error object is not a string)");
    fflush(stderr);
}

static void print_help(void) {
    fputs("usage: " PROGRAM " [options] [script [args]]\n"
          "\n"
          "Runs a Lua script with Earlgrey built in; without one, a prompt for Lua and SQL.\n"
          "A script is a file, or the name of one that comes with Earlgrey (activeflow,\n"
          "flowquery; --help after the name tells more).\n"
          "\n"
          "  -e CHUNK       run a piece of Lua\n"
          "  -i             show the prompt after everything else\n"
          "  -v, --version  show the version\n"
          "  -h, --help     show this\n"
          "  -              the script is standard input\n"
          "  --             no more options\n"
          "\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but with rejected input.\n",
          stdout);
}

static void print_version(void) {
    printf("%s %s (%s, SQLite %s)\n", PROGRAM, EARLGREY_VERSION, LUA_RELEASE, sqlite3_libversion());
}

/* ---- options ---- */

/* The text of an -e option at argv[*i]; moves *i to the last argument used. */
static const char *chunk_text(int argc, char **argv, int *i) {
    if (argv[*i][2]) {
        return argv[*i] + 2;
    }
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static void parse_options(int argc, char **argv, options *o) {
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--") == 0) {
            i++;
            break;
        } else if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0) {
            o->help = true;
        } else if (strcmp(a, "-v") == 0 || strcmp(a, "--version") == 0) {
            o->version = true;
        } else if (strcmp(a, "-i") == 0) {
            o->interactive = true;
        } else if (a[1] == 'e') {
            if (!chunk_text(argc, argv, &i)) {
                o->wrong = a;
                o->why = "needs a piece of Lua after it";
                return;
            }
            o->n_chunks++;
        } else {
            o->wrong = a;
            o->why = "is no option of " PROGRAM;
            return;
        }
    }
    o->script = i;
}

/* ---- finding scripts ---- */

static bool is_file(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && !S_ISDIR(s.st_mode);
}

/* The folder of the program, "" where the system does not tell. */
static void program_folder(char folder[PATH_MAX]) {
    ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    folder[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
    }
}

/* Pushes the path of a script: as given; else, for a plain name, in the scripts
** folder of an uninstalled build, of the prefix the program lies in, of the
** prefix it was built for; with and without .lua. As given where it is nowhere. */
static const char *push_script_path(lua_State *L, const char *name) {
    lua_pushstring(L, name);
    if (is_file(name) || strchr(name, '/')) {
        return lua_tostring(L, -1);
    }
    char folder[PATH_MAX];
    program_folder(folder);
    const char *const formats[] = {"%s/scripts/%s%s", "%s/../share/earlgrey/scripts/%s%s",
                                   "%s/scripts/%s%s"};
    const char *const roots[] = {folder, folder, EARLGREY_SHARE_DIR};
    const char *const suffixes[] = {"", ".lua"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        for (size_t k = 0; k < sizeof suffixes / sizeof *suffixes; k++) {
            const char *path = lua_pushfstring(L, formats[i], roots[i], name, suffixes[k]);
            if (is_file(path)) {
                lua_remove(L, -2);
                return path;
            }
            lua_pop(L, 1);
        }
    }
    return lua_tostring(L, -1);
}

/* ---- running ---- */

/* Makes the message of an error: its text and where it happened. */
static int add_traceback(lua_State *L) {
    if (lua_type(L, 1) != LUA_TSTRING) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) {
            return 1;
        }
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
        lua_replace(L, 1);
    }
    luaL_traceback(L, L, lua_tostring(L, 1), 1);
    return 1;
}

/* lua_pcall with a traceback, stopped by SIGINT. */
static int call(lua_State *L, int n_args, int n_results) {
    int handler = lua_gettop(L) - n_args;
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, handler);
    eg_lua_interrupt_arm(L);
    int rc = lua_pcall(L, n_args, n_results, handler);
    eg_lua_interrupt_disarm(L);
    lua_remove(L, handler);
    return rc;
}

/* Reports the error on top of the stack, or notes that it was SIGINT. */
static bool fail(lua_State *L, job *j) {
    if (eg_lua_interrupt_take()) {
        j->interrupted = true;
        report("interrupted");
    } else {
        report(lua_tostring(L, -1));
    }
    lua_pop(L, 1);
    j->status = EXIT_FAILED;
    return false;
}

static bool run_chunks(lua_State *L, job *j, int end) {
    for (int i = 1; i < end && i < j->argc; i++) {
        if (j->argv[i][0] != '-' || j->argv[i][1] != 'e') {
            continue;
        }
        const char *text = chunk_text(j->argc, j->argv, &i);
        if (luaL_loadbufferx(L, text, strlen(text), "=-e", "t") != LUA_OK ||
            call(L, 0, 0) != LUA_OK) {
            return fail(L, j);
        }
    }
    return true;
}

/* The table `arg`, as lua has it: the script at 0, its arguments from 1, the
** rest below 0. */
static void set_arg(lua_State *L, int argc, char **argv, int script, const char *path) {
    int zero = script < argc ? script : 0;
    lua_createtable(L, argc, 1);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, i == script ? path : argv[i]);
        lua_rawseti(L, -2, i - zero);
    }
    lua_setglobal(L, "arg");
}

/* A main chunk's first result as an exit code. */
static int status_of(lua_State *L, int index) {
    int is_integer = 0;
    lua_Integer status = lua_tointegerx(L, index, &is_integer);
    if (lua_type(L, index) != LUA_TNUMBER || !is_integer) {
        return EXIT_DONE;
    }
    return status >= 0 && status <= 255 ? (int)status : EXIT_FAILED;
}

static bool run_script(lua_State *L, job *j, int script, const char *path) {
    if (luaL_loadfilex(L, path, "t") != LUA_OK) {
        return fail(L, j);
    }
    int n_args = j->argc - script - 1;
    luaL_checkstack(L, n_args + 2, "too many arguments");
    for (int i = script + 1; i < j->argc; i++) {
        lua_pushstring(L, j->argv[i]);
    }
    if (call(L, n_args, 1) != LUA_OK) {
        return fail(L, j);
    }
    j->status = status_of(L, -1);
    lua_pop(L, 1);
    return true;
}

/* ---- the prompt ---- */

/* protect(f, ...) -> true, results | false, message | false, nil where SIGINT stopped it */
static int host_protect(lua_State *L) {
    luaL_checkany(L, 1);
    int rc = call(L, lua_gettop(L) - 1, LUA_MULTRET);
    bool interrupted = eg_lua_interrupt_take();
    luaL_checkstack(L, 2, "too many results");
    if (rc != LUA_OK) {
        lua_pushboolean(L, 0);
        if (interrupted) {
            return 1;
        }
        lua_insert(L, 1);
        return 2;
    }
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return lua_gettop(L);
}

static int host_write(lua_State *L) {
    size_t n;
    const char *text = luaL_checklstring(L, 1, &n);
    lua_pushboolean(L, fwrite(text, 1, n, stdout) == n);
    return 1;
}

static int host_flush(lua_State *L) {
    (void)L;
    fflush(stdout);
    return 0;
}

static int host_complain(lua_State *L) {
    fflush(stdout);
    fprintf(stderr, "%s\n", luaL_checkstring(L, 1));
    return 0;
}

static bool run_prompt(lua_State *L, job *j) {
    static const luaL_Reg host[] = {
        {"is_interactive", eg_lua_editor_is_interactive},
        {"read", eg_lua_editor_read},
        {"remember", eg_lua_editor_remember},
        {"protect", host_protect},
        {"write", host_write},
        {"flush", host_flush},
        {"complain", host_complain},
        {NULL, NULL},
    };
    eg_lua_editor_open();
    lua_getglobal(L, "require");
    lua_pushliteral(L, "earlgrey.shell");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "run");
    luaL_newlib(L, host);
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, -3);
    int rc = lua_pcall(L, 1, 2, -3); /* not armed: it arms around each command */
    eg_lua_editor_close();
    if (rc != LUA_OK) {
        return fail(L, j);
    }
    j->status = status_of(L, -2);
    j->interrupted = lua_toboolean(L, -1);
    if (j->interrupted) {
        report("interrupted");
    }
    lua_pop(L, 4);
    return true;
}

/* ---- from start to end ---- */

/* Makes require() find the modules in C; `earlgrey` itself is loaded at once. */
static void preload_modules(lua_State *L) {
    static const luaL_Reg modules[] = {
        {"files", luaopen_files},
        {"http", luaopen_http},
        {"process", luaopen_process},
        {NULL, NULL},
    };
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, modules, 0);
    lua_pop(L, 1);
}

static int pmain(lua_State *L) {
    job *j = lua_touserdata(L, 1);
    options o = {.script = j->argc};
    parse_options(j->argc, j->argv, &o);
    if (o.wrong) {
        fprintf(stderr, PROGRAM ": '%s' %s; see " PROGRAM " --help\n", o.wrong, o.why);
        j->status = EXIT_USAGE;
        return 0;
    }
    if (o.help || o.version) {
        if (o.help) {
            print_help();
        } else {
            print_version();
        }
        return 0;
    }
    luaL_checkversion(L);
    luaL_openlibs(L);
    eg_lua_interrupt_setup(L);
    eg_lua_embedded_preload(L);
    preload_modules(L);
    char folder[PATH_MAX];
    program_folder(folder);
    eg_lua_mongo_preload(L, folder);
    luaL_requiref(L, "earlgrey", luaopen_earlgrey, 1);

    bool has_script = o.script < j->argc;
    bool is_stdin = has_script && strcmp(j->argv[o.script], "-") == 0;
    const char *path = has_script && !is_stdin ? push_script_path(L, j->argv[o.script]) : NULL;
    set_arg(L, j->argc, j->argv, o.script, path ? path : "-");
    if (!run_chunks(L, j, o.script)) {
        return 0;
    }
    if (has_script && !run_script(L, j, o.script, path)) {
        return 0;
    }
    if (o.interactive || (!has_script && o.n_chunks == 0)) {
        run_prompt(L, j);
    }
    return 0;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_DFL); /* `… | head` ends us without a word */
    lua_State *L = luaL_newstate();
    if (!L) {
        report("not enough memory");
        return EXIT_FAILED;
    }
    job j = {.argc = argc, .argv = argv, .status = EXIT_DONE};
    lua_pushcfunction(L, pmain);
    lua_pushlightuserdata(L, &j);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        report(lua_tostring(L, -1));
        j.status = EXIT_FAILED;
    }
    lua_close(L);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        report("cannot write to standard output");
        j.status = EXIT_FAILED;
    }
    if (j.interrupted) { /* so that a calling shell sees it and stops too */
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    return j.status;
}
