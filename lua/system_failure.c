#include "system_failure.h"

#include <stdarg.h>
#include <string.h>

int eg_lua_system_failure(lua_State *L, int number, const char *format, ...) {
    char text[128];
    const char *name = strerrorname_np(number);
    lua_pushnil(L);
    va_list arguments;
    va_start(arguments, format);
    lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), strerror_r(number, text, sizeof text));
    lua_remove(L, -2); /* the text without its reason */
    lua_pushstring(L, name ? name : "EUNKNOWN");
    return 3;
}
