/*
** Locks are those of open file descriptions: they belong to the descriptor, not to the
** process, so that two connections of one process exclude one another, too. Byte 0 is the
** writers', byte 1 the readers'.
*/
#include "dataset/dataset_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dataset/dataset.h"
#include "dataset/shard_output.h"

#define WRITERS_BYTE 0
#define READERS_BYTE 1
#define WAIT_NS 10000000

eg_status eg_files_fail(eg_err *err, const char *dataset, const char *path, const char *what) {
    char text[128];
    return eg_fail(err, EG_IO, -1, "%s/%s: %s: %s", dataset, path, what,
                   strerror_r(errno, text, sizeof text));
}

char *eg_files_join(const char *directory, const char *path) {
    size_t n = strlen(directory), m = strlen(path);
    char *joined = malloc(n + 1 + m + 1);
    if (joined == NULL)
        return NULL;
    memcpy(joined, directory, n);
    joined[n] = '/';
    memcpy(joined + n + 1, path, m + 1);
    return joined;
}

void eg_files_hex(const eg_capture_id *id, char out[2 * sizeof(eg_capture_id) + 1]) {
    for (size_t i = 0; i < sizeof id->bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", id->bytes[i]);
}

/* ---- Directories */

static eg_status sync_directory(int at, const char *dataset, const char *path, eg_err *err) {
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 ? -1 : fsync(fd), reason = errno;
    if (fd >= 0)
        close(fd);
    errno = reason;
    return failed == 0 ? EG_OK : eg_files_fail(err, dataset, path, "fsync");
}

eg_status eg_files_open_directory(const char *path, int *descriptor, eg_err *err) {
    char text[128];
    bool made = mkdir(path, 0777) == 0;
    if (!made && errno != EEXIST)
        return eg_fail(err, EG_IO, -1, "%s: mkdir: %s", path, strerror_r(errno, text, sizeof text));
    *descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*descriptor < 0)
        return eg_fail(err, EG_IO, -1, "%s: %s: expected a directory", path,
                       strerror_r(errno, text, sizeof text));
    return made ? sync_directory(*descriptor, path, "..", err) : EG_OK;
}

eg_status eg_files_make_partition(int directory, const char *dataset, const char *partition,
                                  eg_err *err) {
    char part[EG_PARTITION_MAX];
    for (size_t i = 0; i <= strlen(partition); i++)
        if (partition[i] == '/' || partition[i] == '\0') {
            memcpy(part, partition, i);
            part[i] = '\0';
            if (mkdirat(directory, part, 0777) != 0 && errno != EEXIST)
                return eg_files_fail(err, dataset, part, "mkdir");
        }
    return EG_OK;
}

eg_status eg_files_sync_partition(int directory, const char *dataset, int64_t day, eg_err *err) {
    char path[EG_PARTITION_MAX];
    eg_partition_path(day, path);
    eg_status rc = EG_OK;
    for (char *end = path + strlen(path); rc == EG_OK && end != NULL; end = strrchr(path, '/')) {
        *end = '\0';
        rc = sync_directory(directory, dataset, path, err);
    }
    return rc == EG_OK ? sync_directory(directory, dataset, ".", err) : rc;
}

void eg_files_clear_partition(int directory, int64_t day) {
    char path[EG_PARTITION_MAX];
    eg_partition_path(day, path);
    for (char *end = path + strlen(path); end != NULL; end = strrchr(path, '/')) {
        *end = '\0';
        if (unlinkat(directory, path, AT_REMOVEDIR) != 0)
            break;
    }
}

eg_status eg_files_make_temporary(int directory, const char *dataset, eg_err *err) {
    if (mkdirat(directory, EG_FILES_TEMPORARY, 0777) != 0 && errno != EEXIST)
        return eg_files_fail(err, dataset, EG_FILES_TEMPORARY, "mkdir");
    return EG_OK;
}

eg_status eg_files_clear_temporary(int directory, const char *dataset, eg_err *err) {
    int fd = openat(directory, EG_FILES_TEMPORARY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? EG_OK : eg_files_fail(err, dataset, EG_FILES_TEMPORARY, "open");
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return eg_fail_nomem(err, "a directory");
    }
    eg_status rc = EG_OK;
    for (struct dirent *e = readdir(dir); rc == EG_OK && e != NULL; e = readdir(dir))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            unlinkat(dirfd(dir), e->d_name, 0) != 0 && errno != ENOENT)
            rc = eg_files_fail(err, dataset, EG_FILES_TEMPORARY, "delete a left file");
    closedir(dir);
    return rc;
}

/* ---- Locks */

static bool lock_byte(int fd, short type, off_t byte) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &l) == 0;
}

eg_status eg_files_lock_writers(int directory, const char *dataset, eg_poll poll, int *lock,
                                eg_err *err) {
    int fd = openat(directory, EG_DATASET_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return eg_files_fail(err, dataset, EG_DATASET_LOCK, "open for writing");
    const struct timespec wait = {.tv_nsec = WAIT_NS};
    while (!lock_byte(fd, F_WRLCK, WRITERS_BYTE)) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
            eg_status rc = eg_files_fail(err, dataset, EG_DATASET_LOCK, "lock");
            close(fd);
            return rc;
        }
        if (poll.poll != NULL && poll.poll(poll.arg)) {
            close(fd);
            return eg_fail(err, EG_INTERRUPT, -1, "interrupted");
        }
        nanosleep(&wait, NULL);
    }
    *lock = fd;
    return EG_OK;
}

eg_status eg_files_lock_reader(const char *dataset, int *lock, eg_err *err) {
    *lock = -1;
    char *path = eg_files_join(dataset, EG_DATASET_LOCK);
    if (path == NULL)
        return eg_fail_nomem(err, "a path");
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    free(path);
    if (fd < 0 && errno != ENOENT && errno != EACCES)
        return eg_files_fail(err, dataset, EG_DATASET_LOCK, "open");
    const struct timespec wait = {.tv_nsec = WAIT_NS};
    /* Deleting takes no longer than a moment. */
    for (int i = 0; fd >= 0 && i < 100 && !lock_byte(fd, F_RDLCK, READERS_BYTE); i++)
        nanosleep(&wait, NULL);
    *lock = fd;
    return EG_OK;
}

int eg_files_lock_readers_out(int directory) {
    int fd = openat(directory, EG_DATASET_LOCK, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && !lock_byte(fd, F_WRLCK, READERS_BYTE)) {
        close(fd);
        return -1;
    }
    return fd;
}
