/* The writing end of a shard. */
#include "dataset/shard_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset/dataset_files.h"

void eg_partition_path(int64_t day, char out[EG_PARTITION_MAX]) {
    char text[EG_TIME_TEXT_MAX];
    eg_time_format(day * EG_DAY_MS, text); /* 2007-07-26 … */
    snprintf(out, EG_PARTITION_MAX, "year=%ld/month=%ld/day=%ld", strtol(text, NULL, 10),
             strtol(text + 5, NULL, 10), strtol(text + 8, NULL, 10));
}

eg_status eg_shard_output_open(int directory, const char *dataset, int64_t day, char *temporary,
                               const eg_shard_schema *schema, eg_shard_output *out, eg_err *err) {
    *out = (eg_shard_output){.temporary = temporary, .day = day, .fd = -1, .times = EG_NO_BOUNDS};
    eg_status rc = EG_OK;
    char *full = eg_files_join(dataset, temporary);
    out->fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out->fd < 0)
        rc = eg_files_fail(err, dataset, temporary, "open for writing");
    else if (full == NULL)
        rc = eg_fail_nomem(err, "a shard");
    else
        rc = eg_pq_writer_open(out->fd, full, schema->elements, schema->n_elements,
                               schema->created_by, &out->writer, err);
    free(full);
    if (rc != EG_OK)
        eg_shard_output_close(out);
    return rc;
}

eg_status eg_shard_output_add(eg_shard_output *o, const eg_row_group *group,
                              const eg_pq_chunk_data *const *chunks, const eg_shard_schema *schema,
                              eg_err *err) {
    eg_status rc = eg_pq_writer_add(o->writer, chunks, &schema->sorting, schema->n_sorting, err);
    if (rc != EG_OK)
        return rc;
    eg_time_bounds_widen(&o->times, &group->times);
    o->n_rows += group->n_rows;
    /* What is written goes to the disk from now on: less to wait for in the end. */
    (void)sync_file_range(o->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return EG_OK;
}

eg_status eg_shard_output_finish(eg_shard_output *o, const char *dataset,
                                 const eg_pq_key_value *key_values, uint32_t n_key_values,
                                 eg_err *err) {
    eg_status rc = eg_pq_writer_finish(o->writer, key_values, n_key_values, err);
    if (rc != EG_OK)
        return rc;
    o->n_bytes = eg_pq_writer_bytes(o->writer);
    o->hash = eg_pq_writer_hash(o->writer);
    eg_pq_writer_close(o->writer);
    o->writer = NULL;
    int failed = fsync(o->fd), reason = errno;
    if (close(o->fd) != 0 && failed == 0) {
        failed = -1;
        reason = errno;
    }
    o->fd = -1;
    errno = reason;
    return failed == 0 ? EG_OK : eg_files_fail(err, dataset, o->temporary, "fsync");
}

void eg_shard_output_close(eg_shard_output *o) {
    eg_pq_writer_close(o->writer);
    if (o->temporary != NULL && o->fd >= 0)
        (void)close(o->fd);
    free(o->temporary);
    memset(o, 0, sizeof *o);
    o->fd = -1;
}
