/*
** libedit's readline interface, which keeps its state in globals; this file's
** own are beside them. Completion calls back into Lua on the thread that reads.
*/
#include "editor.h"

#include <editline/readline.h>
#include <lauxlib.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interrupt.h"

#define HISTORY_LINES 2000

static bool is_interactive;
static char history_path[PATH_MAX]; /* "": none */
static lua_State *reader;           /* the thread inside read(), else NULL */
static int words_index;             /* on its stack: the words to offer */

/* ---- completion ---- */

static char *next_word(const char *text, int state) {
    static lua_Integer i;
    (void)text;
    if (state == 0) {
        i = 1;
    }
    lua_rawgeti(reader, words_index, i++);
    const char *word = lua_type(reader, -1) == LUA_TSTRING ? lua_tostring(reader, -1) : NULL;
    char *copy = word ? strdup(word) : NULL;
    lua_pop(reader, 1);
    return copy;
}

/* Whether line[0..n) ends inside a quoted string. */
static bool ends_in_quotes(const char *line, int n) {
    char quote = 0;
    for (int i = 0; i < n; i++) {
        if (quote) {
            quote = line[i] == quote ? 0 : quote;
        } else if (line[i] == '\'' || line[i] == '"') {
            quote = line[i];
        }
    }
    return quote != 0;
}

/* What is to be completed: the word, and where it starts in rl_line_buffer. */
typedef struct request {
    const char *word;
    size_t start;
} request;

/* Arguments: the function and a request. Gives the array of words. All that may
** fail happens here, under lua_pcall. */
static int call_complete(lua_State *L) {
    const request *r = lua_touserdata(L, 2);
    lua_settop(L, 1);
    lua_pushstring(L, r->word);
    lua_pushlstring(L, rl_line_buffer, r->start);
    lua_call(L, 2, 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    return 1;
}

static char **complete(const char *text, int start, int end) {
    (void)end;
    lua_State *L = reader;
    rl_completion_append_character = '\0';
    if (!L || ends_in_quotes(rl_line_buffer, start) || !lua_checkstack(L, 8)) {
        rl_attempted_completion_over = 0; /* file names */
        return NULL;
    }
    rl_attempted_completion_over = 1;
    char **matches = NULL;
    lua_pushcfunction(L, call_complete);
    lua_pushvalue(L, 2);
    request r = {text, (size_t)start};
    lua_pushlightuserdata(L, &r);
    if (lua_pcall(L, 2, 1, 0) == LUA_OK) {
        words_index = lua_gettop(L);
        matches = rl_completion_matches(text, next_word);
    }
    lua_pop(L, 1); /* words, or the error: no completion then */
    return matches;
}

/* ---- history ---- */

static void find_history(void) {
    const char *path = getenv("EARLGREY_HISTORY");
    const char *home = getenv("HOME");
    int n = 0;
    if (path) {
        n = snprintf(history_path, sizeof history_path, "%s", path);
    } else if (home && *home) {
        n = snprintf(history_path, sizeof history_path, "%s/.earlgrey_history", home);
    }
    if (n < 0 || (size_t)n >= sizeof history_path) {
        history_path[0] = '\0';
    }
}

void eg_lua_editor_open(void) {
    is_interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!is_interactive) {
        return;
    }
    setlocale(LC_CTYPE, ""); /* here only: Lua's patterns should not depend on it elsewhere */
    static char program[] = "earlgrey";
    rl_readline_name = program;
    rl_initialize();
    rl_attempted_completion_function = complete;
    /* '.' and ':' belong to words: string.format, db:query */
    rl_completer_word_break_characters = " \t\n\"\\'`@$><=;|&{}()[]+-*/%^#~,!?";
    using_history();
    stifle_history(HISTORY_LINES);
    find_history();
    if (*history_path) {
        read_history(history_path);
    }
}

void eg_lua_editor_close(void) {
    if (is_interactive && *history_path) {
        write_history(history_path);
    }
}

int eg_lua_editor_remember(lua_State *L) {
    const char *line = luaL_checkstring(L, 1);
    if (is_interactive && *line) {
        HIST_ENTRY *last =
            history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
        if (!last || strcmp(last->line, line) != 0) {
            add_history(line);
        }
    }
    return 0;
}

/* ---- reading ---- */

int eg_lua_editor_is_interactive(lua_State *L) {
    lua_pushboolean(L, is_interactive);
    return 1;
}

/* Pushes the line, owned by malloc, or nil; frees it. */
static int push_line(lua_State *L, char *line, bool interrupted) {
    if (line) {
        lua_pushstring(L, line);
        free(line);
        return 1;
    }
    lua_pushnil(L);
    if (interrupted) {
        lua_pushliteral(L, "interrupted");
        return 2;
    }
    return 1;
}

static char *read_plain(void) {
    char *line = NULL;
    size_t size = 0;
    ssize_t n = getline(&line, &size, stdin);
    if (n < 0) {
        free(line);
        return NULL;
    }
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) {
        line[--n] = '\0';
    }
    return line;
}

int eg_lua_editor_read(lua_State *L) {
    const char *prompt = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    eg_lua_interrupt_disarm(L);
    eg_lua_interrupt_take();
    char *line;
    if (is_interactive) {
        reader = L;
        line = readline(prompt);
        reader = NULL;
    } else {
        line = read_plain();
    }
    bool interrupted = eg_lua_interrupt_take();
    if (interrupted) {
        free(line);
        line = NULL;
        clearerr(stdin);
    }
    return push_line(L, line, interrupted);
}
