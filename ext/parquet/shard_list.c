/* Which files are Parquet, by name, and what a list knows of them. */
#include "parquet/shard_list.h"

#include <fcntl.h>
#include <stdio.h>
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

/* ---- days of paths ------------------------------------------------------ */

#define ID_DIGITS 32 /* of a capture's id */

/* The parts of a path, from its end. */
static const char *part_before(const char *path, const char *end, size_t *n) {
    const char *start = end;
    while (start > path && start[-1] != '/')
        start--;
    *n = (size_t)(end - start);
    return start;
}

/* Whether a name is <id>-<n>.parquet, or merged-<time>-<n>.parquet, as a compaction's are. */
static bool is_shard_name(const char *name) {
    static const char merged[] = "merged-", digits[] = "0123456789";
    size_t n_merged = strncmp(name, merged, sizeof merged - 1) == 0 ? sizeof merged - 1 : 0;
    const char *id = name + n_merged;
    size_t n_id = strspn(id, n_merged > 0 ? digits : "0123456789abcdef");
    if ((n_merged > 0 ? n_id == 0 : n_id != ID_DIGITS) || id[n_id] != '-')
        return false;
    const char *number = id + n_id + 1;
    size_t n_number = strspn(number, digits);
    return n_number > 0 && strcmp(number + n_number, ".parquet") == 0;
}

/* key=N, without leading zeros. */
static bool key_number(const char *part, size_t n, const char *key, unsigned *number) {
    size_t n_key = strlen(key), n_digits = n - n_key;
    if (n <= n_key || n_digits > 4 || memcmp(part, key, n_key) != 0 ||
        strspn(part + n_key, "0123456789") != n_digits || (part[n_key] == '0' && n_digits > 1))
        return false;
    *number = (unsigned)strtoul(part + n_key, NULL, 10);
    return true;
}

bool eg_shard_day_of(const char *path, int64_t *day_ms) {
    static const char *const keys[] = {"day=", "month=", "year="};
    unsigned numbers[3];
    size_t n;
    const char *part = part_before(path, path + strlen(path), &n);
    if (!is_shard_name(part))
        return false;
    for (int i = 0; i < 3; i++) {
        if (part == path)
            return false;
        part = part_before(path, part - 1, &n);
        if (!key_number(part, n, keys[i], &numbers[i]))
            return false;
    }
    char text[EG_TIME_TEXT_MAX], found[EG_TIME_TEXT_MAX];
    bool exact;
    int n_text = snprintf(text, sizeof text, "%04u-%02u-%02u", numbers[2], numbers[1], numbers[0]);
    *day_ms = eg_time_lower_bound(text, (size_t)n_text, &exact);
    eg_time_format(*day_ms, found);
    return memcmp(text, found, (size_t)n_text) == 0; /* there is such a day */
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
        if (rc == EG_OK) {
            s->size_bytes = files.files[i].size_bytes;
            s->has_day = eg_shard_day_of(s->path, &s->day_ms);
        }
    }
    eg_filelist_close(&files);
    if (rc != EG_OK)
        eg_shard_list_close(list);
    return rc;
}
