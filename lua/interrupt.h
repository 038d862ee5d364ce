/*
** Ctrl-C. The first SIGINT stops the Lua code and the SQLite statement that
** run; a second one, should the first not be heeded, kills the process. No
** call is restarted, so that blocking reads end too.
*/
#ifndef EARLGREY_INTERRUPT_H
#define EARLGREY_INTERRUPT_H

#include <lua.h>
#include <poll.h>
#include <stdbool.h>

/* Prepares a fresh main state whose standard libraries are open. Call once. Does nothing
** where the process was started with SIGINT ignored. */
void eg_lua_interrupt_setup(lua_State *L);

/* From here to disarm SIGINT stops what the state runs. Calls do not nest. */
void eg_lua_interrupt_arm(lua_State *L);

/* From here on SIGINT is only remembered. */
void eg_lua_interrupt_disarm(lua_State *L);

/* Whether SIGINT came since the last arm or the last call of this. */
bool eg_lua_interrupt_take(void);

/* Whether SIGINT has come to what runs now; does not take it. For libraries that wait by
** themselves: what they wait in is to be eg_lua_interrupt_poll. */
__attribute__((visibility("default"))) bool eg_lua_interrupt_pending(void);

/* poll(), but SIGINT ends it whenever it comes, also before: -1 with errno EINTR. timeout_ms
** below 0: no limit. */
__attribute__((visibility("default"))) int eg_lua_interrupt_poll(struct pollfd *fds, nfds_t n_fds,
                                                                 int timeout_ms);

#endif
