/* Entries one by one; directories are walked with a list of those still to be read. */
#include "flow/file_walk.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"

/* Identity of a file or directory. */
typedef struct file_id {
    dev_t dev;
    ino_t ino;
} file_id;

/* A list under construction: ids[i] belongs to list->files[i]. */
typedef struct listing {
    eg_filelist *list;
    file_id *ids;
    size_t cap;
    const eg_file_kind *kind;
    eg_poll poll;
} listing;

/* Directories of one entry: still to be read, and all seen (links may loop). */
typedef struct walk {
    char **pending; /* owned paths */
    size_t n_pending, cap_pending;
    file_id *seen;
    size_t n_seen, cap_seen;
} walk;

static eg_status fail_errno(eg_err *err, const char *path, const char *what, int error) {
    char text[128];
    if (error == ENOMEM)
        return eg_fail_nomem(err, "a list of files");
    return eg_fail(err, EG_IO, -1, "%s: %s: %s", path, what, strerror_r(error, text, sizeof text));
}

/* ---- files -------------------------------------------------------------- */

/* Takes over path, also where it fails. */
static eg_status add_file(listing *l, char *path, const struct stat *st, bool named, eg_err *err) {
    eg_filelist *list = l->list;
    size_t cap = l->cap;
    if (!eg_array_grow(&list->files, &cap, list->n_files, sizeof *list->files) ||
        !eg_array_grow(&l->ids, &l->cap, list->n_files, sizeof *l->ids)) {
        free(path);
        return eg_fail_nomem(err, "a list of files");
    }
    list->files[list->n_files] = (eg_file){
        .path = path, .size_bytes = S_ISREG(st->st_mode) ? st->st_size : -1, .named = named};
    l->ids[list->n_files] = (file_id){st->st_dev, st->st_ino};
    list->n_files++;
    return EG_OK;
}

/* ---- directories -------------------------------------------------------- */

/* Remembers a directory to be read. Takes over path. */
static eg_status add_directory(walk *w, char *path, const struct stat *st, eg_err *err) {
    for (size_t i = 0; i < w->n_seen; i++) {
        if (w->seen[i].dev == st->st_dev && w->seen[i].ino == st->st_ino) {
            free(path);
            return EG_OK;
        }
    }
    if (!eg_array_grow(&w->seen, &w->cap_seen, w->n_seen, sizeof *w->seen) ||
        !eg_array_grow(&w->pending, &w->cap_pending, w->n_pending, sizeof *w->pending)) {
        free(path);
        return eg_fail_nomem(err, "a list of directories");
    }
    w->seen[w->n_seen++] = (file_id){st->st_dev, st->st_ino};
    w->pending[w->n_pending++] = path;
    return EG_OK;
}

/* Looks at one name in a directory. Takes over path. */
static eg_status visit(listing *l, walk *w, char *path, int64_t *n_files, eg_err *err) {
    struct stat st;
    if (l->poll.poll != NULL && l->poll.poll(l->poll.arg)) {
        free(path);
        return eg_fail(err, EG_INTERRUPT, -1, "interrupted");
    }
    if (stat(path, &st) != 0) {
        int error = errno;
        bool is_link = lstat(path, &st) == 0;
        eg_status rc = EG_OK;
        /* Gone since it was listed, or a link to nothing (or to itself) that nobody
        ** would take for one of the kind: passed over. */
        if ((error != ENOENT && error != ELOOP) || (is_link && l->kind->has_name(path)))
            rc = fail_errno(err, path, "cannot be opened", error);
        free(path);
        return rc;
    }
    if (S_ISDIR(st.st_mode))
        return add_directory(w, path, &st, err);
    bool is_one = false;
    eg_status rc = EG_OK;
    if (S_ISREG(st.st_mode)) { /* pipes and devices would block */
        rc = l->kind->is_one(path, &is_one, err);
        (*n_files)++;
    }
    if (rc == EG_OK && is_one)
        return add_file(l, path, &st, false, err);
    free(path);
    return rc;
}

static eg_status read_directory(listing *l, walk *w, const char *path, int64_t *n_files,
                                eg_err *err) {
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
        rc = visit(l, w, inner, n_files, err);
    }
    closedir(dir);
    return rc;
}

/* A file and its id, for sorting both. */
typedef struct sortable {
    eg_file file;
    file_id id;
} sortable;

static int by_natural_name(const void *a, const void *b) {
    const sortable *x = a, *y = b;
    int c = strverscmp(x->file.path, y->file.path);
    return c != 0 ? c : strcmp(x->file.path, y->file.path);
}

/* Sorts the files from `first` on. */
static eg_status sort_files(listing *l, size_t first, eg_err *err) {
    size_t n = l->list->n_files - first, n_bytes;
    if (n < 2)
        return EG_OK;
    sortable *s = __builtin_mul_overflow(n, sizeof *s, &n_bytes) ? NULL : malloc(n_bytes);
    if (s == NULL)
        return eg_fail_nomem(err, "a list of files");
    for (size_t i = 0; i < n; i++)
        s[i] = (sortable){l->list->files[first + i], l->ids[first + i]};
    qsort(s, n, sizeof *s, by_natural_name);
    for (size_t i = 0; i < n; i++) {
        l->list->files[first + i] = s[i].file;
        l->ids[first + i] = s[i].id;
    }
    free(s);
    return EG_OK;
}

/* Adds the files of the kind below a directory. `must_hold`: none there is a failure. */
static eg_status add_tree(listing *l, const char *path, const struct stat *st, bool must_hold,
                          eg_err *err) {
    walk w = {0};
    size_t first = l->list->n_files;
    int64_t n_files = 0;
    char *top = strdup(path);
    eg_status rc =
        top != NULL ? add_directory(&w, top, st, err) : eg_fail_nomem(err, "a list of directories");
    while (rc == EG_OK && w.n_pending > 0) {
        char *dir = w.pending[--w.n_pending];
        rc = read_directory(l, &w, dir, &n_files, err);
        free(dir);
    }
    if (rc == EG_OK && must_hold && l->list->n_files == first)
        rc = eg_fail(err, EG_IO, -1,
                     "%s: a directory without %s: found %lld other files, expected %s", path,
                     l->kind->plural, (long long)n_files, l->kind->expected);
    if (rc == EG_OK)
        rc = sort_files(l, first, err);
    for (size_t i = 0; i < w.n_pending; i++)
        free(w.pending[i]);
    free(w.pending);
    free(w.seen);
    return rc;
}

/* ---- entries ------------------------------------------------------------ */

/* Adds what an existing path names. */
static eg_status add_path(listing *l, const char *path, bool must_hold, eg_err *err) {
    struct stat st;
    if (stat(path, &st) != 0)
        return fail_errno(err, path, "cannot be opened", errno);
    if (S_ISDIR(st.st_mode))
        return add_tree(l, path, &st, must_hold, err);
    char *copy = strdup(path);
    if (copy == NULL)
        return eg_fail_nomem(err, "a list of files");
    return add_file(l, copy, &st, true, err);
}

static int by_natural_path(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    int c = strverscmp(*x, *y);
    return c != 0 ? c : strcmp(*x, *y);
}

/* Adds the paths that a pattern matches; *n_matches counts them. is_tried: it may well name a
** directory that is not there. */
static eg_status add_matches(listing *l, const char *pattern, bool is_tried, size_t *n_matches,
                             eg_err *err) {
    glob_t g = {0};
    errno = 0;
    int grc = glob(pattern, GLOB_ERR | GLOB_NOSORT, NULL, &g);
    int error = errno;
    eg_status rc = EG_OK;
    if (grc == GLOB_NOSPACE)
        rc = eg_fail_nomem(err, "a list of files");
    else if (grc == GLOB_ABORTED && !(is_tried && (error == ENOENT || error == ENOTDIR)))
        rc = fail_errno(err, pattern, "cannot be listed", error != 0 ? error : EIO);
    if (rc == EG_OK && g.gl_pathc > 0)
        qsort(g.gl_pathv, g.gl_pathc, sizeof *g.gl_pathv, by_natural_path);
    for (size_t i = 0; rc == EG_OK && i < g.gl_pathc; i++)
        rc = add_path(l, g.gl_pathv[i], !l->kind->globs_may_be_empty, err);
    *n_matches += g.gl_pathc;
    globfree(&g);
    return rc;
}

/* Whether a pattern matches anything. */
static bool is_matched(const char *pattern) {
    glob_t g = {0};
    bool is = glob(pattern, GLOB_NOSORT, NULL, &g) == 0;
    globfree(&g);
    return is;
}

#define MAX_DEPTH 32 /* of directories that ** stands for */

/* The path component "**" stands for directories of any depth, none included: the pattern is
** tried with 0, 1, 2, ... directories, as long as there are any so deep. */
static eg_status add_deep(listing *l, const char *pattern, bool is_tried, size_t *n_matches,
                          eg_err *err) {
    const char *stars = pattern;
    while ((stars = strstr(stars, "**/")) != NULL && stars > pattern && stars[-1] != '/')
        stars++;
    if (stars == NULL)
        return add_matches(l, pattern, is_tried, n_matches, err);
    size_t n_before = (size_t)(stars - pattern), n_behind = strlen(stars + 3);
    char *tried = malloc(n_before + 2 * MAX_DEPTH + n_behind + 1);
    if (tried == NULL)
        return eg_fail_nomem(err, "a pattern");
    memcpy(tried, pattern, n_before);
    eg_status rc = EG_OK;
    for (size_t depth = 0; depth <= MAX_DEPTH && rc == EG_OK; depth++) {
        char *end = tried + n_before + 2 * depth;
        *end = '\0';
        if (depth > 0 && !is_matched(tried))
            break;
        memcpy(end, stars + 3, n_behind + 1);
        rc = add_deep(l, tried, true, n_matches, err);
        memcpy(end, "*/", 2);
    }
    free(tried);
    return rc;
}

static eg_status add_glob(listing *l, const char *pattern, eg_err *err) {
    size_t first = l->list->n_files, n_matches = 0;
    eg_status rc = add_deep(l, pattern, false, &n_matches, err);
    if (rc == EG_OK && n_matches == 0)
        rc = eg_fail(err, EG_IO, -1, "%s: no file has such a name", pattern);
    if (rc == EG_OK && l->list->n_files == first)
        rc = eg_fail(err, EG_IO, -1, "%s: directories without %s", pattern, l->kind->plural);
    return rc;
}

static eg_status add_entry(listing *l, const char *entry, eg_err *err) {
    struct stat st;
    /* A name that exists is meant as it stands, whatever characters are in it. */
    if (strpbrk(entry, "*?[") != NULL && lstat(entry, &st) != 0)
        return add_glob(l, entry, err);
    return add_path(l, entry, true, err);
}

/* ---- one of each -------------------------------------------------------- */

static size_t id_hash(file_id id) {
    uint64_t h = (uint64_t)id.ino * 0x9e3779b97f4a7c15u ^ (uint64_t)id.dev * 0xc2b2ae3d27d4eb4fu;
    return (size_t)(h ^ h >> 32);
}

/* Keeps the first of files that are the same; named by the user if one was. */
static eg_status drop_repeated(listing *l, eg_err *err) {
    eg_filelist *list = l->list;
    size_t n_slots = 16;
    while (n_slots / 2 < list->n_files)
        n_slots *= 2;
    size_t *slots = calloc(n_slots, sizeof *slots); /* number of a kept file + 1; 0 is free */
    if (slots == NULL)
        return eg_fail_nomem(err, "a list of files");
    size_t n_kept = 0;
    for (size_t i = 0; i < list->n_files; i++) {
        file_id id = l->ids[i];
        size_t slot = id_hash(id) & (n_slots - 1);
        while (slots[slot] != 0 &&
               (l->ids[slots[slot] - 1].dev != id.dev || l->ids[slots[slot] - 1].ino != id.ino))
            slot = (slot + 1) & (n_slots - 1);
        if (slots[slot] != 0) {
            eg_file *kept = &list->files[slots[slot] - 1];
            kept->named = kept->named || list->files[i].named;
            free(list->files[i].path);
            continue;
        }
        list->files[n_kept] = list->files[i];
        l->ids[n_kept] = id;
        slots[slot] = ++n_kept;
    }
    list->n_files = n_kept;
    free(slots);
    return EG_OK;
}

/* ---- the list ----------------------------------------------------------- */

eg_status eg_file_walk(const char *source, size_t n_bytes, const eg_file_kind *kind, eg_poll poll,
                       eg_filelist *list, eg_err *err) {
    *list = (eg_filelist){0};
    if (n_bytes > 0 && memchr(source, '\0', n_bytes) != NULL)
        return eg_fail(err, EG_MISUSE, -1, "a source with a NUL byte in it");
    listing l = {.list = list, .kind = kind, .poll = poll};
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
        rc = drop_repeated(&l, err);
    free(l.ids);
    if (rc != EG_OK)
        eg_filelist_close(list);
    return rc;
}

eg_status eg_filelist_one(const eg_file *file, eg_filelist *list, eg_err *err) {
    *list = (eg_filelist){.files = calloc(1, sizeof *list->files)};
    if (list->files != NULL) {
        list->n_files = 1;
        list->files[0] = *file;
        list->files[0].path = strdup(file->path);
    }
    if (list->files != NULL && list->files[0].path != NULL)
        return EG_OK;
    eg_filelist_close(list);
    return eg_fail_nomem(err, "a list of files");
}

void eg_filelist_close(eg_filelist *list) {
    for (size_t i = 0; i < list->n_files; i++)
        free(list->files[i].path);
    free(list->files);
    *list = (eg_filelist){0};
}
