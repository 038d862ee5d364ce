/*
** How a failed system call reaches Lua.
*/
#ifndef EARLGREY_SYSTEM_FAILURE_H
#define EARLGREY_SYSTEM_FAILURE_H

#include <lua.h>

/* Pushes nil, the formatted text (of lua_pushfstring) and what errno says of
** `number`, and the number's name as "EADDRINUSE"; returns 3. */
int eg_lua_system_failure(lua_State *L, int number, const char *format, ...);

#endif
