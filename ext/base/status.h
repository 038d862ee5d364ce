/*
** Status codes and the caller-owned error buffer: the one way every layer of
** the engine tells failure. The function that knows the cause writes the
** message (file, offset, found, expected); everyone above returns the code
** untouched. sqlite/ maps it once to SQLite, lua/ once to Lua.
*/
#ifndef EG_STATUS_H
#define EG_STATUS_H

#include <stdint.h>

typedef enum eg_status {
    EG_OK = 0,
    EG_DONE,        /* iterator is at its end; not a failure */
    EG_NOMEM,       /* an allocation failed */
    EG_IO,          /* the operating system refused: open, read, write, rename */
    EG_CORRUPT,     /* input is damaged; what was read before stays valid */
    EG_UNSUPPORTED, /* input is sound but of a kind Earlgrey does not read */
    EG_LIMIT,       /* a documented limit was reached */
    EG_MISUSE,      /* the caller's arguments make no sense */
    EG_INTERRUPT    /* the host asked to stop */
} eg_status;

/* Owned by the caller; may be NULL wherever a function takes one. Valid only
** after a call that returned something else than EG_OK or EG_DONE. */
typedef struct eg_err {
    eg_status code;
    int64_t offset; /* byte offset in the file, -1 where there is none */
    char msg[1024]; /* UTF-8 sentence without a final stop, NUL terminated */
} eg_err;

/* Writes code, offset and a printf-formatted message into err (if not NULL)
** and returns code, so that `return eg_fail(…)` is the usual form. Never
** allocates. A message that does not fit is cut. */
eg_status eg_fail(eg_err *err, eg_status code, int64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* eg_fail for an allocation that failed; `what` names the thing. */
eg_status eg_fail_nomem(eg_err *err, const char *what);

/* The name of a status as the enum spells it, "EG_IO"; for Lua's third value. */
const char *eg_status_name(eg_status code);

#endif
