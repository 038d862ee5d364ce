/* Rows of small shards are read like any source's, and stored like a capture's. */
#include "dataset/compact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataset/dataset_files.h"
#include "dataset/row_buffer.h"
#include "dataset/shard_notes.h"
#include "parquet/shard_source.h"

/* Shards below this are merged, day by day, into ones of up to MERGE_ROWS. */
#define SMALL_ROWS (EG_ROWS_MAX / 2)
#define MERGE_ROWS (INT64_C(64) << 20)

/* Reads shards [0, n), all of one day, into the buffers. */
static eg_status read_shards(eg_store *d, eg_poll poll, const eg_shard_note *notes, size_t n,
                             eg_intern *texts, eg_err *err) {
    eg_shard_list list = {.is_dataset = true};
    eg_status rc = EG_OK;
    for (size_t i = 0; i < n && rc == EG_OK; i++) {
        char *full = eg_files_join(eg_dataset_path(d), notes[i].path);
        eg_shard *shard;
        if (full == NULL)
            rc = eg_fail_nomem(err, "a list of shards");
        else if ((rc = eg_shard_list_add(&list, full, &shard, err)) == EG_OK) {
            shard->n_rows = notes[i].n_rows;
            shard->size_bytes = notes[i].n_bytes;
        }
        free(full);
    }
    eg_scan_spec spec = {.vectors = eg_rows_vectors() & ~EG_VECTOR_BIT(EG_VEC_HEADER_MS),
                         .texts = texts,
                         .poll = poll};
    eg_source *source = NULL;
    if (rc == EG_OK)
        rc = eg_shard_source_open(&list, &spec, &source, err);
    eg_shard_list_close(&list);
    eg_piece *piece = NULL;
    eg_batch window = {0};
    while (rc == EG_OK) {
        if (piece == NULL)
            rc = source->ops->next_piece(source, &piece, err);
        if (rc == EG_OK)
            rc = d->ops->room(d, &window, err);
        if (rc != EG_OK)
            break;
        int64_t *header_ms = window.v.HEADER_MS;
        window.v.HEADER_MS = NULL;
        window.vectors = spec.vectors;
        rc = piece->ops->next(piece, &window, err);
        if (rc == EG_DONE) {
            piece->ops->close(piece, NULL);
            piece = NULL;
            rc = EG_OK;
            continue;
        }
        if (rc == EG_OK && window.nulls != NULL)
            rc = eg_fail(err, EG_CORRUPT, -1, "%s: a shard with NULLs: expected none",
                         eg_dataset_path(d));
        /* Shards do not keep it, and their day says what it is needed for. */
        for (uint32_t i = 0; rc == EG_OK && i < window.n_rows; i++)
            header_ms[i] = notes[0].day * EG_DAY_MS;
        if (rc == EG_OK)
            rc = d->ops->filled(d, window.n_rows, err);
        if (rc == EG_OK && poll.poll != NULL && poll.poll(poll.arg))
            rc = eg_fail(err, EG_INTERRUPT, -1, "interrupted");
    }
    if (piece != NULL)
        piece->ops->close(piece, NULL);
    if (source != NULL)
        source->ops->close(source, NULL);
    eg_rows_close_window(&window);
    return rc == EG_DONE ? EG_OK : rc;
}

/* Merges shards [0, n) of a day. */
static eg_status merge(eg_store *d, eg_poll poll, const eg_shard_note *notes, size_t n,
                       eg_compact_result *result, eg_err *err) {
    int64_t *ids = calloc(n, sizeof *ids);
    if (ids == NULL)
        return eg_fail_nomem(err, "a list of shards");
    char name[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(name, sizeof name, "merged-%lld%09ld", (long long)now.tv_sec, now.tv_nsec);
    eg_dataset_replacement with = {.name = name, .day = notes[0].day, .ids = ids, .n_ids = n};
    for (size_t i = 0; i < n; i++) {
        ids[i] = notes[i].id;
        with.n_rows += notes[i].n_rows;
    }
    eg_intern *texts = NULL;
    eg_stored_result made = {0};
    eg_status rc = eg_intern_open(&texts, err);
    if (rc == EG_OK)
        rc = d->ops->begin(d, texts, err);
    if (rc == EG_OK)
        rc = read_shards(d, poll, notes, n, texts, err);
    if (rc == EG_OK)
        rc = eg_dataset_replace(d, &with, &made, err);
    d->ops->rollback(d);
    eg_intern_close(texts);
    free(ids);
    if (rc != EG_OK)
        return rc;
    result->n_merged += (int64_t)n;
    result->n_made += made.n_shards;
    result->bytes_after += made.n_bytes;
    for (size_t i = 0; i < n; i++)
        result->bytes_before += notes[i].n_bytes;
    return EG_OK;
}

eg_status eg_compact(eg_store *d, eg_poll poll, eg_compact_result *result, eg_err *err) {
    eg_shard_notes list = {0};
    memset(result, 0, sizeof *result);
    eg_status rc = d->ops->lock(d, err);
    if (rc == EG_OK)
        rc = eg_dataset_each(d, eg_shard_notes_add, &list, err);
    int64_t last_day = INT64_MIN;
    for (size_t i = 0, end; rc == EG_OK && i < list.n; i = end) {
        /* A run of small shards of a day: others between them do not matter. */
        size_t n = 0;
        int64_t rows = 0, day = list.notes[i].day;
        for (end = i; end < list.n && list.notes[end].day == day && rows < MERGE_ROWS; end++)
            if (list.notes[end].n_rows < SMALL_ROWS) {
                eg_shard_note small = list.notes[end];
                list.notes[end] = list.notes[i + n];
                list.notes[i + n++] = small;
                rows += small.n_rows;
            }
        if (n < 2)
            continue;
        rc = merge(d, poll, &list.notes[i], n, result, err);
        result->n_days += day != last_day;
        last_day = day;
    }
    if (rc == EG_OK && result->n_merged > 0)
        rc = eg_dataset_delete_replaced(d, err);
    eg_shard_notes_close(&list);
    d->ops->unlock(d);
    return rc;
}
