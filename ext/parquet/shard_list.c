/*
** From a source text to files: entries in order, what a directory or glob gives
** sorted by itself, then files that are the same by device and inode made one.
*/
#include "parquet/shard_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Identity of a file or directory. */
typedef struct file_id {
    dev_t dev;
    ino_t ino;
} file_id;

/* A file as it is found; becomes a shard when all are known. */
typedef struct found {
    char *path; /* owned */
    file_id id;
    int64_t size_bytes;
    size_t number; /* in the order of the source */
} found;

/* A list under construction. */
typedef struct listing {
    found *files; /* owned */
    size_t n_files, capacity;
    eg_poll poll;
    char **pending; /* [n_pending] owned: directories still to be read */
    size_t n_pending, pending_capacity;
    file_id *seen; /* [n_seen] directories of this entry: links may loop */
    size_t n_seen, seen_capacity;
} listing;

static eg_status fail_errno(eg_err *err, const char *path, const char *what, int error) {
    char text[128];
    if (error == ENOMEM)
        return eg_fail_nomem(err, "a list of files");
    return eg_fail(err, EG_IO, -1, "%s: %s: %s", path, what, strerror_r(error, text, sizeof text));
}

/* Makes room for one more element behind n; NULL where that fails. */
static void *grown(void *array, size_t *capacity, size_t n, size_t element_bytes) {
    if (n < *capacity)
        return array;
    size_t more = *capacity > 0 ? 2 * *capacity : 16, n_bytes;
    if (__builtin_mul_overflow(more, element_bytes, &n_bytes))
        return NULL;
    void *grew = realloc(array, n_bytes);
    if (grew != NULL)
        *capacity = more;
    return grew;
}

/* ---- the list ----------------------------------------------------------- */

eg_status eg_shard_list_add(eg_shard_list *list, const char *path, eg_shard **out, eg_err *err) {
    char *copy = strdup(path);
    eg_shard *shards = grown(list->shards, &list->capacity, list->n_shards, sizeof *shards);
    if (shards != NULL)
        list->shards = shards;
    if (copy == NULL || shards == NULL) {
        free(copy);
        return eg_fail_nomem(err, "a list of files");
    }
    eg_shard *s = &list->shards[list->n_shards++];
    *s = (eg_shard){.path = copy,
                    .size_bytes = -1,
                    .n_rows = -1,
                    .min_start_ms = INT64_MIN,
                    .max_start_ms = INT64_MAX,
                    .min_end_ms = INT64_MIN,
                    .max_end_ms = INT64_MAX};
    if (out != NULL)
        *out = s;
    return EG_OK;
}

void eg_shard_list_close(eg_shard_list *list) {
    for (size_t i = 0; i < list->n_shards; i++)
        free(list->shards[i].path);
    free(list->shards);
    *list = (eg_shard_list){0};
}

bool eg_shard_is_parquet(const char *path) {
    struct stat st;
    char head[4], tail[4];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool is = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 12 &&
              pread(fd, head, 4, 0) == 4 && pread(fd, tail, 4, st.st_size - 4) == 4 &&
              memcmp(head, "PAR1", 4) == 0 && memcmp(tail, "PAR1", 4) == 0;
    close(fd);
    return is;
}

/* ---- files and directories ---------------------------------------------- */

/* Takes over path, also where it fails. */
static eg_status add_file(listing *l, char *path, const struct stat *st, eg_err *err) {
    found *files = grown(l->files, &l->capacity, l->n_files, sizeof *files);
    if (files == NULL) {
        free(path);
        return eg_fail_nomem(err, "a list of files");
    }
    l->files = files;
    files[l->n_files++] = (found){.path = path,
                                  .id = {st->st_dev, st->st_ino},
                                  .size_bytes = S_ISREG(st->st_mode) ? st->st_size : -1};
    return EG_OK;
}

/* Remembers a directory to be read. Takes over path. */
static eg_status add_directory(listing *l, char *path, const struct stat *st, eg_err *err) {
    for (size_t i = 0; i < l->n_seen; i++)
        if (l->seen[i].dev == st->st_dev && l->seen[i].ino == st->st_ino) {
            free(path);
            return EG_OK;
        }
    file_id *seen = grown(l->seen, &l->seen_capacity, l->n_seen, sizeof *seen);
    if (seen != NULL)
        l->seen = seen;
    char **pending = grown(l->pending, &l->pending_capacity, l->n_pending, sizeof *pending);
    if (pending != NULL)
        l->pending = pending;
    if (seen == NULL || pending == NULL) {
        free(path);
        return eg_fail_nomem(err, "a list of directories");
    }
    l->seen[l->n_seen++] = (file_id){st->st_dev, st->st_ino};
    l->pending[l->n_pending++] = path;
    return EG_OK;
}

static bool is_parquet_name(const char *name) {
    static const char ending[] = ".parquet";
    size_t n = strlen(name), m = sizeof ending - 1;
    return n > m && strcasecmp(name + n - m, ending) == 0;
}

/* Looks at one name in a directory. Takes over path. */
static eg_status visit(listing *l, char *path, int64_t *n_others, eg_err *err) {
    struct stat st;
    eg_status rc = EG_OK;
    if (l->poll.poll != NULL && l->poll.poll(l->poll.arg)) {
        rc = eg_fail(err, EG_INTERRUPT, -1, "interrupted");
    } else if (stat(path, &st) != 0) {
        /* Gone since it was listed, or a link to nothing: only one that is meant to be read
        ** must be there. */
        int error = errno;
        bool is_link = lstat(path, &st) == 0;
        if ((error != ENOENT && error != ELOOP) || (is_link && is_parquet_name(path)))
            rc = fail_errno(err, path, "cannot be opened", error);
    } else if (S_ISDIR(st.st_mode)) {
        return add_directory(l, path, &st, err);
    } else if (S_ISREG(st.st_mode) && is_parquet_name(path)) {
        return add_file(l, path, &st, err);
    } else {
        ++*n_others;
    }
    free(path);
    return rc;
}

static eg_status read_directory(listing *l, const char *path, int64_t *n_others, eg_err *err) {
    DIR *dir = opendir(path);
    if (dir == NULL)
        return fail_errno(err, path, "cannot be listed", errno);
    eg_status rc = EG_OK;
    while (rc == EG_OK) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL) {
            if (errno != 0)
                rc = fail_errno(err, path, "cannot be listed", errno);
            break;
        }
        if (e->d_name[0] == '.' || e->d_name[0] == '_')
            continue;
        size_t n = strlen(path), m = strlen(e->d_name);
        bool slash = n > 0 && path[n - 1] != '/';
        char *inner = malloc(n + slash + m + 1);
        if (inner == NULL) {
            rc = eg_fail_nomem(err, "a list of files");
            break;
        }
        memcpy(inner, path, n);
        if (slash)
            inner[n] = '/';
        memcpy(inner + n + slash, e->d_name, m + 1);
        rc = visit(l, inner, n_others, err);
    }
    closedir(dir);
    return rc;
}

static int by_natural_name(const void *a, const void *b) {
    const char *x = ((const found *)a)->path, *y = ((const found *)b)->path;
    int c = strverscmp(x, y);
    return c != 0 ? c : strcmp(x, y);
}

/* Adds the Parquet files below a directory. */
static eg_status add_tree(listing *l, const char *path, const struct stat *st, eg_err *err) {
    size_t first = l->n_files;
    int64_t n_others = 0;
    l->n_seen = 0;
    char *top = strdup(path);
    eg_status rc =
        top != NULL ? add_directory(l, top, st, err) : eg_fail_nomem(err, "a list of directories");
    while (rc == EG_OK && l->n_pending > 0) {
        char *dir = l->pending[--l->n_pending];
        rc = read_directory(l, dir, &n_others, err);
        free(dir);
    }
    if (rc == EG_OK && l->n_files == first)
        rc = eg_fail(err, EG_IO, -1,
                     "%s: a directory without Parquet files: found %lld other files, expected "
                     "some whose names end in .parquet",
                     path, (long long)n_others);
    if (rc == EG_OK)
        qsort(l->files + first, l->n_files - first, sizeof *l->files, by_natural_name);
    return rc;
}

/* ---- entries ------------------------------------------------------------ */

/* Adds what an existing path names. */
static eg_status add_path(listing *l, const char *path, eg_err *err) {
    struct stat st;
    if (stat(path, &st) != 0)
        return fail_errno(err, path, "cannot be opened", errno);
    if (S_ISDIR(st.st_mode))
        return add_tree(l, path, &st, err);
    char *copy = strdup(path);
    return copy != NULL ? add_file(l, copy, &st, err) : eg_fail_nomem(err, "a list of files");
}

static int by_natural_path(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    int c = strverscmp(*x, *y);
    return c != 0 ? c : strcmp(*x, *y);
}

static eg_status add_glob(listing *l, const char *pattern, eg_err *err) {
    glob_t g = {0};
    errno = 0;
    int grc = glob(pattern, GLOB_ERR | GLOB_NOSORT, NULL, &g);
    int error = errno;
    eg_status rc = EG_OK;
    if (grc == GLOB_NOSPACE)
        rc = eg_fail_nomem(err, "a list of files");
    else if (grc == GLOB_ABORTED)
        rc = fail_errno(err, pattern, "cannot be listed", error != 0 ? error : EIO);
    else if (grc != 0)
        rc = eg_fail(err, EG_IO, -1, "%s: no file has such a name", pattern);
    if (rc == EG_OK)
        qsort(g.gl_pathv, g.gl_pathc, sizeof *g.gl_pathv, by_natural_path);
    for (size_t i = 0; rc == EG_OK && i < g.gl_pathc; i++)
        rc = add_path(l, g.gl_pathv[i], err);
    globfree(&g);
    return rc;
}

static eg_status add_entry(listing *l, const char *entry, eg_err *err) {
    struct stat st;
    /* A name that exists is meant as it stands, whatever characters are in it. */
    if (strpbrk(entry, "*?[") != NULL && lstat(entry, &st) != 0)
        return add_glob(l, entry, err);
    return add_path(l, entry, err);
}

/* ---- one of each -------------------------------------------------------- */

static int by_identity(const void *a, const void *b) {
    const found *x = a, *y = b;
    if (x->id.dev != y->id.dev)
        return x->id.dev < y->id.dev ? -1 : 1;
    if (x->id.ino != y->id.ino)
        return x->id.ino < y->id.ino ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static int by_number(const void *a, const void *b) {
    const found *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Keeps the first of files that are the same. */
static void drop_repeated(listing *l) {
    size_t n_kept = 0;
    for (size_t i = 0; i < l->n_files; i++)
        l->files[i].number = i;
    if (l->n_files > 1)
        qsort(l->files, l->n_files, sizeof *l->files, by_identity);
    for (size_t i = 0; i < l->n_files; i++) {
        file_id id = l->files[i].id;
        if (n_kept > 0 && l->files[n_kept - 1].id.dev == id.dev &&
            l->files[n_kept - 1].id.ino == id.ino)
            free(l->files[i].path);
        else
            l->files[n_kept++] = l->files[i];
    }
    l->n_files = n_kept;
    if (n_kept > 1)
        qsort(l->files, n_kept, sizeof *l->files, by_number);
}

static void close_listing(listing *l) {
    for (size_t i = 0; i < l->n_files; i++)
        free(l->files[i].path);
    for (size_t i = 0; i < l->n_pending; i++)
        free(l->pending[i]);
    free(l->files);
    free(l->pending);
    free(l->seen);
}

eg_status eg_shard_list_open(const char *source, size_t n_bytes, eg_poll poll, eg_shard_list *list,
                             eg_err *err) {
    *list = (eg_shard_list){0};
    if (n_bytes > 0 && memchr(source, '\0', n_bytes) != NULL)
        return eg_fail(err, EG_MISUSE, -1, "a source with a NUL byte in it");
    listing l = {.poll = poll};
    eg_status rc = EG_OK;
    bool any = false;
    const char *p = source, *end = source + n_bytes;
    while (rc == EG_OK && p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline != NULL ? newline : end) - p);
        if (n > 0) {
            any = true;
            char *entry = strndup(p, n);
            rc = entry != NULL ? add_entry(&l, entry, err) : eg_fail_nomem(err, "a list of files");
            free(entry);
        }
        p += n + (newline != NULL);
    }
    if (rc == EG_OK && !any)
        rc = eg_fail(err, EG_MISUSE, -1,
                     "an empty source: expected a file, a directory, a glob, or lines of them");
    if (rc == EG_OK)
        drop_repeated(&l);
    for (size_t i = 0; rc == EG_OK && i < l.n_files; i++) {
        eg_shard *s;
        rc = eg_shard_list_add(list, l.files[i].path, &s, err);
        if (rc == EG_OK)
            s->size_bytes = l.files[i].size_bytes;
    }
    close_listing(&l);
    if (rc != EG_OK)
        eg_shard_list_close(list);
    return rc;
}
