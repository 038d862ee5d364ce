/* Places are handed out by an atomic end; the file is made by the first who writes. */
#include "query/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct eg_spill {
    pthread_mutex_t lock; /* of making the file */
    atomic_int fd;        /* -1 before */
    _Atomic int64_t end;
    char folder[]; /* NUL terminated */
};

static eg_status fail(const eg_spill *s, const char *what, int reason, eg_err *err) {
    char text[128];
    return eg_fail(err, EG_IO, -1, "%s: a temporary file for what exceeds the memory limit %s: %s",
                   s->folder, what, strerror_r(reason, text, sizeof text));
}

eg_status eg_spill_open(eg_spill **out, eg_err *err) {
    static const char *const names[] = {"SQLITE_TMPDIR", "TMPDIR"};
    const char *folder = NULL;
    for (int i = 0; i < 2 && (folder == NULL || *folder == '\0'); i++)
        folder = getenv(names[i]);
    if (folder == NULL || *folder == '\0')
        folder = "/tmp";
    eg_spill *s = malloc(sizeof *s + strlen(folder) + 1);
    *out = NULL;
    if (s == NULL || pthread_mutex_init(&s->lock, NULL) != 0) {
        free(s);
        return eg_fail_nomem(err, "a temporary file");
    }
    atomic_init(&s->fd, -1);
    atomic_init(&s->end, 0);
    memcpy(s->folder, folder, strlen(folder) + 1);
    *out = s;
    return EG_OK;
}

/* A file without a name, or with one for a moment where the file system has no such. */
static int make_file(const char *folder) {
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/earlgrey-XXXXXX", folder);
    if (n < 0 || (size_t)n >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

static eg_status need_file(eg_spill *s, eg_err *err) {
    eg_status rc = EG_OK;
    if (atomic_load(&s->fd) >= 0)
        return EG_OK;
    pthread_mutex_lock(&s->lock);
    if (atomic_load(&s->fd) < 0) {
        int fd = make_file(s->folder);
        if (fd >= 0)
            atomic_store(&s->fd, fd);
        else
            rc = fail(s, "cannot be made", errno, err);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

eg_status eg_spill_write(eg_spill *s, const void *bytes, size_t n_bytes, int64_t *offset,
                         eg_err *err) {
    eg_status rc = need_file(s, err);
    if (rc != EG_OK)
        return rc;
    *offset = atomic_fetch_add(&s->end, (int64_t)n_bytes);
    for (size_t at = 0; at < n_bytes;) {
        ssize_t n = pwrite(atomic_load(&s->fd), (const uint8_t *)bytes + at, n_bytes - at,
                           *offset + (int64_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(s, "cannot be written", n < 0 ? errno : ENOSPC, err);
        at += (size_t)n;
    }
    return EG_OK;
}

eg_status eg_spill_read(eg_spill *s, void *bytes, size_t n_bytes, int64_t offset, eg_err *err) {
    for (size_t at = 0; at < n_bytes;) {
        ssize_t n =
            pread(atomic_load(&s->fd), (uint8_t *)bytes + at, n_bytes - at, offset + (int64_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(s, "cannot be read", n < 0 ? errno : EIO, err);
        at += (size_t)n;
    }
    return EG_OK;
}

int64_t eg_spill_bytes(const eg_spill *s) {
    return atomic_load(&s->end);
}

void eg_spill_close(eg_spill *s) {
    if (s == NULL)
        return;
    if (atomic_load(&s->fd) >= 0)
        (void)close(atomic_load(&s->fd));
    pthread_mutex_destroy(&s->lock);
    free(s);
}
