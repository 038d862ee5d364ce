#include "dataset/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset/dataset.h"
#include "dataset/dataset_files.h"
#include "dataset/shard_notes.h"
#include "parquet/shard_list.h"
#include "parquet/shard_verify.h"

struct eg_verify {
    char *directory;
    const eg_manifest_ops *ops;
    eg_manifest *manifest;
    eg_poll poll;
    int reader_lock;      /* descriptor, -1 without */
    eg_shard_notes notes; /* stored ones first, then others that the manifest knows */
    eg_shard_list files;  /* below the directory */
    size_t n_done;        /* the manifest, then stored shards, then files */
    size_t n_stored;
    eg_err found; /* what is wrong with the file */
    char detail[256];
};

const char *eg_verify_status_name(eg_verify_status s) {
    static const char *const names[] = {
        [EG_VERIFY_OK] = "ok",
        [EG_VERIFY_MISSING] = "missing",
        [EG_VERIFY_DAMAGED] = "damaged",
        [EG_VERIFY_DIFFERS] = "differs",
        [EG_VERIFY_UNLISTED] = "not listed",
    };
    return names[s];
}

static eg_status take_notes(eg_verify *v, eg_err *err) {
    static const eg_shard_state others[] = {EG_SHARD_PENDING, EG_SHARD_REMOVED};
    v->notes.state = EG_SHARD_STORED;
    eg_status rc =
        v->ops->each(v->manifest, EG_SHARD_STORED, false, eg_shard_notes_add, &v->notes, err);
    v->n_stored = v->notes.n;
    for (size_t i = 0; rc == EG_OK && i < sizeof others / sizeof others[0]; i++) {
        v->notes.state = others[i];
        rc = v->ops->each(v->manifest, others[i], false, eg_shard_notes_add, &v->notes, err);
    }
    return rc;
}

/* The files that readers of the bare directory would take for shards. */
static eg_status list_files(eg_verify *v, eg_err *err) {
    eg_status rc = eg_shard_list_open(v->directory, strlen(v->directory), v->poll, &v->files, err);
    return rc == EG_IO ? EG_OK : rc; /* a dataset without a shard */
}

eg_status eg_verify_open(const char *path, const eg_manifest_ops *manifest, eg_poll poll,
                         eg_verify **out, eg_err *err) {
    *out = NULL;
    if (!eg_is_dataset(path))
        return eg_fail(err, EG_MISUSE, -1, "%s: no dataset there: expected a directory with a %s",
                       path, EG_DATASET_MANIFEST);
    eg_verify *v = calloc(1, sizeof *v);
    if (v == NULL)
        return eg_fail_nomem(err, "a verification");
    v->ops = manifest;
    v->poll = poll;
    v->directory = strdup(path);
    v->reader_lock = -1;
    eg_status rc = v->directory != NULL ? eg_files_lock_reader(path, &v->reader_lock, err)
                                        : eg_fail_nomem(err, "a verification");
    if (rc == EG_OK)
        rc = manifest->open(path, false, poll, &v->manifest, err);
    if (rc == EG_OK)
        rc = take_notes(v, err);
    if (rc == EG_OK)
        rc = list_files(v, err);
    if (rc != EG_OK) {
        eg_verify_close(v);
        return rc;
    }
    *out = v;
    return EG_OK;
}

static eg_status check_manifest(eg_verify *v, eg_verify_row *row, eg_err *err) {
    eg_status rc = v->ops->check(v->manifest, &row->n_rows, &v->found);
    row->path = EG_DATASET_MANIFEST;
    if (rc == EG_NOMEM || rc == EG_INTERRUPT)
        return eg_fail(err, rc, -1, "%s", v->found.msg);
    if (rc != EG_OK) {
        row->status = EG_VERIFY_DAMAGED;
        row->detail = v->found.msg;
    }
    return EG_OK;
}

/* Says where what is there is not what the manifest knows. */
static bool differs(eg_verify *v, const eg_shard_note *n, const eg_shard_facts *f) {
    const eg_time_bounds *t = &n->times;
    static const char counts[] = "%lld %s: the manifest has %lld";
    if (f->n_bytes != n->n_bytes)
        snprintf(v->detail, sizeof v->detail, counts, (long long)f->n_bytes, "bytes",
                 (long long)n->n_bytes);
    else if (f->n_rows != n->n_rows)
        snprintf(v->detail, sizeof v->detail, counts, (long long)f->n_rows, "rows",
                 (long long)n->n_rows);
    else if (f->hash != n->hash)
        snprintf(v->detail, sizeof v->detail,
                 "some byte is another than was written, of what has no checksum of its own");
    else if (!f->has_times || f->min_start_ms != t->min_start_ms ||
             f->max_start_ms != t->max_start_ms || f->min_end_ms != t->min_end_ms ||
             f->max_end_ms != t->max_end_ms)
        snprintf(v->detail, sizeof v->detail,
                 "times from %lld to %lld ms: the manifest has %lld to %lld",
                 (long long)f->min_start_ms, (long long)f->max_end_ms, (long long)t->min_start_ms,
                 (long long)t->max_end_ms);
    else
        return false;
    return true;
}

static eg_status check_shard(eg_verify *v, const eg_shard_note *n, eg_verify_row *row,
                             eg_err *err) {
    eg_shard_facts facts;
    struct stat st;
    row->path = n->path;
    row->n_rows = n->n_rows;
    row->n_bytes = n->n_bytes;
    char *path = eg_files_join(v->directory, n->path);
    if (path == NULL)
        return eg_fail_nomem(err, "a path");
    bool is_missing = stat(path, &st) != 0 && errno == ENOENT;
    eg_status rc = is_missing ? EG_OK : eg_shard_verify(path, v->poll, &facts, &v->found);
    free(path);
    if (rc == EG_NOMEM || rc == EG_INTERRUPT)
        return eg_fail(err, rc, -1, "%s", v->found.msg);
    if (is_missing) {
        row->status = EG_VERIFY_MISSING;
        row->detail = "the manifest lists it";
    } else if (rc != EG_OK) {
        row->status = EG_VERIFY_DAMAGED;
        row->detail = v->found.msg;
    } else if (differs(v, n, &facts)) {
        row->status = EG_VERIFY_DIFFERS;
        row->detail = v->detail;
    }
    return EG_OK;
}

/* False for a stored shard. */
static bool is_unlisted(eg_verify *v, const eg_shard *file, eg_verify_row *row) {
    const char *path = file->path + strlen(v->directory);
    struct stat st;
    while (*path == '/')
        path++;
    row->detail = "not of this dataset, or from before its manifest was lost";
    for (size_t i = 0; i < v->notes.n; i++)
        if (strcmp(v->notes.notes[i].path, path) == 0) {
            if (i < v->n_stored)
                return false;
            row->detail = v->notes.notes[i].state == EG_SHARD_PENDING
                              ? "of an ingest that was not finished: the next one deletes it"
                              : "replaced by other shards: the next ingest deletes it";
        }
    row->path = path;
    row->status = EG_VERIFY_UNLISTED;
    row->n_rows = -1;
    row->n_bytes = stat(file->path, &st) == 0 ? (int64_t)st.st_size : -1;
    return true;
}

eg_status eg_verify_next(eg_verify *v, eg_verify_row *row, eg_err *err) {
    *row = (eg_verify_row){.status = EG_VERIFY_OK, .n_bytes = -1, .detail = ""};
    if (v->n_done == 0) {
        v->n_done++;
        return check_manifest(v, row, err);
    }
    if (v->n_done <= v->n_stored)
        return check_shard(v, &v->notes.notes[v->n_done++ - 1], row, err);
    while (v->n_done - 1 - v->n_stored < v->files.n_shards)
        if (is_unlisted(v, &v->files.shards[v->n_done++ - 1 - v->n_stored], row))
            return EG_OK;
    return EG_DONE;
}

void eg_verify_close(eg_verify *v) {
    if (v == NULL)
        return;
    if (v->manifest != NULL)
        v->ops->close(v->manifest);
    if (v->reader_lock >= 0)
        (void)close(v->reader_lock);
    eg_shard_notes_close(&v->notes);
    eg_shard_list_close(&v->files);
    free(v->directory);
    free(v);
}
