/*
** Reading lines: with editing, history and completion where a person types,
** plainly where input is a file or a pipe.
*/
#ifndef EARLGREY_EDITOR_H
#define EARLGREY_EDITOR_H

#include <lua.h>

/* Prepares reading from standard input and loads the history
** ($EARLGREY_HISTORY, else ~/.earlgrey_history; an empty value: none). */
void eg_lua_editor_open(void);

/* Writes the history back. */
void eg_lua_editor_close(void);

/* Lua functions.
**   is_interactive() -> whether lines are edited
**   read(prompt, complete) -> line | nil at the end | nil, "interrupted"
**     complete(word, line_before_word) -> array of words to offer
**   remember(line): adds to the history */
int eg_lua_editor_is_interactive(lua_State *L);
int eg_lua_editor_read(lua_State *L);
int eg_lua_editor_remember(lua_State *L);

#endif
