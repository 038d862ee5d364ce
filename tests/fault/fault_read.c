/*
** Read failure sweep: for each statement below, the engine's N-th read (or open)
** goes wrong, for N = 1, 2, ... until the statement gets through untouched.
**
**   interrupted   read returns EINTR: the answer must be the undisturbed one
**   short         every read from the N-th on gives few bytes: likewise
**   failing       read returns EIO, once or from then on: the statement must end in an error
**                 that names a file of the folder, never in an answer with rows left out
**   no open       open returns EMFILE: likewise
**
** Under AddressSanitizer, which is after the memory errors of error paths alone, the first reads go
** wrong one by one, then each third, from another one on in each statement.
**
**     fault_read FOLDER     as fault_alloc
*/
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fault_run.h"

static const char *const STATEMENTS[] = {
    "SELECT * FROM netflow_pcap('$/plain.pcap')",
    "SELECT * FROM netflow_pcap('$/plain.pcapng')",
    "SELECT * FROM netflow_pcap('$/plain.pcap.gz')",
    "SELECT * FROM netflow_pcap('$/archive.tar.gz')",
    "SELECT * FROM netflow_pcap('$/fragments.pcap')",
    "SELECT * FROM netflow_pcap('$/cut.pcap')",
    "SELECT * FROM netflow_pcap('$/plain.*')",
    "SELECT * FROM netflow_active('$')",
    "SELECT * FROM netflow_audit('$')",
    "SELECT * FROM netflow_parquet('$-text')",
    "SELECT * FROM netflow('$-uint32') WHERE bytes > 100",
    "SELECT * FROM netflow('$-text') WHERE srcaddr = '122.166.0.1' OR ip4_in(dstaddr, "
    "'122.0.0.0/8')",
    "SELECT * FROM netflow_active('$-text')",
    "SELECT * FROM netflow_parquet('$-text/year=*/*/*/*.parquet') WHERE start_time > '2007'",
};
#define N_STATEMENTS (sizeof STATEMENTS / sizeof STATEMENTS[0])

ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __real_pread(int fd, void *buf, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

#ifdef __SANITIZE_ADDRESS__
#define FIRST_TAKEN_ONES 10
#define STEP 3
#else
#define FIRST_TAKEN_ONES UINT64_MAX
#define STEP 1
#endif

typedef enum disturbance { NOTHING, INTERRUPTED, SHORT, FAILING, FAILING_ON, NO_OPEN } disturbance;

static struct {
    disturbance kind;
    uint64_t countdown; /* calls until it happens */
    uint64_t n_done;    /* times it happened */
    size_t short_bytes;
} fault;

/* True when this call is the one (or one of those after it). */
static bool strikes(bool forever) {
    if (fault.countdown > 1) {
        fault.countdown--;
        return false;
    }
    if (fault.countdown == 0 && !forever) {
        return false;
    }
    fault.countdown = 0;
    fault.n_done++;
    return true;
}

/* Sets *rc and errno and returns true where the read fails; may cut *n down. */
static bool disturb_read(size_t *n) {
    switch (fault.kind) {
    case INTERRUPTED:
        errno = EINTR;
        return strikes(false);
    case SHORT:
        if (*n > fault.short_bytes && strikes(true)) {
            *n = fault.short_bytes;
        }
        return false;
    case FAILING:
    case FAILING_ON:
        errno = EIO;
        return strikes(fault.kind == FAILING_ON);
    default:
        return false;
    }
}

ssize_t __wrap_read(int fd, void *buf, size_t n) {
    return disturb_read(&n) ? -1 : __real_read(fd, buf, n);
}

ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at) {
    return disturb_read(&n) ? -1 : __real_pread(fd, buf, n, at);
}

int __wrap_open(const char *path, int flags, ...) {
    int mode = 0;
    if (flags & O_CREAT) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, int);
        va_end(args);
    }
    if (fault.kind == NO_OPEN && strikes(false)) {
        errno = EMFILE;
        return -1;
    }
    return __real_open(path, flags, mode);
}

/* An error that says which file and why. */
static bool explains(const outcome *o, const char *folder, int error) {
    return o->rc != SQLITE_DONE && strstr(o->message, folder) != NULL &&
           strstr(o->message, strerror(error)) != NULL;
}

static bool sweep(const char *what, const char *sql, const char *folder, disturbance kind,
                  size_t short_bytes, uint64_t offset) {
    sqlite3 *db = fault_open();
    outcome plain, now;
    bool good = true;
    uint64_t n = 0, n_max = kind == SHORT ? 12 : UINT64_MAX;

    fault.kind = NOTHING;
    fault_run(db, sql, &plain);
    if (plain.rc != SQLITE_DONE || plain.n_rows == 0) {
        printf("# undisturbed: rc %d \"%s\"\n", plain.rc, plain.message);
        good = false;
    }
    do {
        fault.kind = kind;
        fault.short_bytes = short_bytes;
        n += n < FIRST_TAKEN_ONES ? 1 : STEP;
        n += n == FIRST_TAKEN_ONES ? offset % STEP : 0;
        fault.countdown = n;
        fault.n_done = 0;
        fault_run(db, sql, &now);
        fault.kind = NOTHING;
        bool expected = fault_same(&now, &plain);
        if (fault.n_done > 0 && kind >= FAILING) {
            expected = explains(&now, folder, kind == NO_OPEN ? EMFILE : EIO);
        }
        if (!expected) {
            printf("# call %" PRIu64 ": rc %d \"%s\", %" PRId64 " rows; undisturbed %" PRId64
                   " rows\n",
                   n, now.rc, now.message, now.n_rows, plain.n_rows);
            good = false;
        }
    } while (good && fault.n_done > 0 && n < n_max);
    if (n == 1) {
        printf("# nothing was disturbed\n");
        good = false;
    }
    if (sqlite3_close(db) != SQLITE_OK) {
        printf("# the connection would not close\n");
        good = false;
    }
    fault_report(good, what, sql);
    return good;
}

int main(int argc, char **argv) {
    static char sql[65536];
    bool good = true;

    if (argc != 2) {
        fputs("usage: fault_read FOLDER\n", stderr);
        return 2;
    }
    fault_store(argv[1]);
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        fault_expand(STATEMENTS[i], argv[1], sql, sizeof sql);
        good &= sweep("interrupted read", sql, argv[1], INTERRUPTED, 0, i);
        good &= sweep("reads of 1 byte", sql, argv[1], SHORT, 1, i);
        good &= sweep("reads of 999 bytes", sql, argv[1], SHORT, 999, i);
        good &= sweep("read error", sql, argv[1], FAILING, 0, i);
        good &= sweep("read errors for good", sql, argv[1], FAILING_ON, 0, i);
        good &= sweep("no file descriptor", sql, argv[1], NO_OPEN, 0, i);
    }
    return good ? 0 : 1;
}
