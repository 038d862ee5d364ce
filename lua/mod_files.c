/*
** The module `files`: real paths, kinds, folders, and locks that end with the
** processes that hold them.
*/
#include "mod_files.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lua_type.h"
#include "system_failure.h"

#define LOCK_TYPE "earlgrey.file_lock"

static const char *check_path(lua_State *L, int index) {
    size_t n_bytes;
    const char *path = luaL_checklstring(L, index, &n_bytes);
    luaL_argcheck(L, strlen(path) == n_bytes, index, "path contains a zero byte");
    return path;
}

static int f_real(lua_State *L) {
    char found[PATH_MAX];
    const char *path = check_path(L, 1);
    if (!realpath(path, found)) {
        return eg_lua_system_failure(L, errno, "%s", path);
    }
    lua_pushstring(L, found);
    return 1;
}

static int f_kind(lua_State *L) {
    struct stat about;
    const char *path = check_path(L, 1);
    if (stat(path, &about) != 0) {
        return eg_lua_system_failure(L, errno, "%s", path);
    }
    lua_pushstring(L, S_ISREG(about.st_mode)   ? "file"
                      : S_ISDIR(about.st_mode) ? "folder"
                                               : "other");
    return 1;
}

static int f_identity(lua_State *L) {
    struct stat about;
    const char *path = check_path(L, 1);
    if (stat(path, &about) != 0) {
        return eg_lua_system_failure(L, errno, "%s", path);
    }
    lua_pushfstring(L, "%I:%I", (lua_Integer)about.st_dev, (lua_Integer)about.st_ino);
    return 1;
}

static int f_make_folder(lua_State *L) {
    const char *path = check_path(L, 1);
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return eg_lua_system_failure(L, errno, "%s: cannot make a folder", path);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- locks ---- */

static int f_lock(lua_State *L) {
    const char *path = check_path(L, 1);
    int *fd = lua_newuserdatauv(L, sizeof *fd, 0);
    *fd = -1;
    luaL_setmetatable(L, LOCK_TYPE);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0 || flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        return eg_lua_system_failure(L, errno, "%s: cannot be locked", path);
    }
    return 1;
}

static int f_is_locked(lua_State *L) {
    const char *path = check_path(L, 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int is_locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        close(fd);
    }
    lua_pushboolean(L, is_locked);
    return 1;
}

static int m_close(lua_State *L) {
    int *fd = luaL_checkudata(L, 1, LOCK_TYPE);
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return 0;
}

int luaopen_files(lua_State *L) {
    static const luaL_Reg methods[] = {{"close", m_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", m_close}, {"__close", m_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"real", f_real}, {"identity", f_identity},
        {"kind", f_kind}, {"make_folder", f_make_folder},
        {"lock", f_lock}, {"is_locked", f_is_locked},
        {NULL, NULL},
    };
    eg_lua_make_type(L, LOCK_TYPE, meta, methods);
    luaL_newlib(L, functions);
    return 1;
}
