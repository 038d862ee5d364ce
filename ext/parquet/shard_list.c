/* Which files are Parquet, by name, and what a list knows of them. */
#include "parquet/shard_list.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "flow/file_walk.h"
#include "flow/schema.h"

/* ---- the list ----------------------------------------------------------- */

eg_status eg_shard_list_add(eg_shard_list *list, const char *path, eg_shard **out, eg_err *err) {
    char *copy = strdup(path);
    if (copy == NULL ||
        !eg_array_grow(&list->shards, &list->capacity, list->n_shards, sizeof *list->shards)) {
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

/* ---- listing ------------------------------------------------------------ */

bool eg_shard_has_name(const char *path) {
    static const char ending[] = ".parquet";
    size_t n = strlen(path), m = sizeof ending - 1;
    return n > m && eg_name_equal(ending, path + n - m, m);
}

static eg_status is_parquet(const char *path, bool *is, eg_err *err) {
    (void)err;
    *is = eg_shard_has_name(path);
    return EG_OK;
}

static const eg_file_kind parquet_kind = {
    .plural = "Parquet files",
    .expected = "some whose names end in .parquet",
    .has_name = eg_shard_has_name,
    .is_one = is_parquet,
};

eg_status eg_shard_list_open(const char *source, size_t n_bytes, eg_poll poll, eg_shard_list *list,
                             eg_err *err) {
    eg_filelist files;
    *list = (eg_shard_list){0};
    eg_status rc = eg_file_walk(source, n_bytes, &parquet_kind, poll, &files, err);
    for (size_t i = 0; rc == EG_OK && i < files.n_files; i++) {
        eg_shard *s;
        rc = eg_shard_list_add(list, files.files[i].path, &s, err);
        if (rc == EG_OK)
            s->size_bytes = files.files[i].size_bytes;
    }
    eg_filelist_close(&files);
    if (rc != EG_OK)
        eg_shard_list_close(list);
    return rc;
}
