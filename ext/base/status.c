/* The error buffer. Formatting goes straight into the caller's memory, so that
** telling "out of memory" needs none. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

eg_status eg_fail(eg_err *err, eg_status code, int64_t offset, const char *fmt, ...) {
    if (err != NULL) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        err->offset = offset;
        (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
        va_end(ap);
    }
    return code;
}

eg_status eg_fail_nomem(eg_err *err, const char *what) {
    return eg_fail(err, EG_NOMEM, -1, "out of memory for %s", what);
}

const char *eg_status_name(eg_status code) {
    switch (code) {
    case EG_OK:
        return "EG_OK";
    case EG_DONE:
        return "EG_DONE";
    case EG_NOMEM:
        return "EG_NOMEM";
    case EG_IO:
        return "EG_IO";
    case EG_CORRUPT:
        return "EG_CORRUPT";
    case EG_UNSUPPORTED:
        return "EG_UNSUPPORTED";
    case EG_LIMIT:
        return "EG_LIMIT";
    case EG_MISUSE:
        return "EG_MISUSE";
    case EG_INTERRUPT:
        return "EG_INTERRUPT";
    }
    return "EG_UNKNOWN";
}
