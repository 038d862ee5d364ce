/* Files one after the other, their row groups as pieces. */
#include "parquet/shard_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "parquet/shard_piece.h"
#include "parquet/shard_weights.h"

typedef struct shard_source {
    eg_source base; /* must be first */
    eg_shard_shared shared;
    eg_shard_list list;  /* owned */
    size_t next_shard;   /* index of the next file */
    eg_shard_file *file; /* that row groups are handed out of; NULL between files */
    uint32_t next_group; /* of file */
    int64_t first_row;   /* of that row group, in the file */
    int64_t next_number; /* of rows: of the next shard's first one */
    int64_t total_bytes; /* of all files */
    eg_scan_stats stats; /* all but what pieces tell */
} shard_source;

/* ---- opening files ------------------------------------------------------ */

#define DAY_MS INT64_C(86400000)

/* Whether rows may pass that start and end within bounds. */
static bool times_may_pass(const shard_source *s, int64_t min_start_ms, int64_t max_start_ms,
                           int64_t min_end_ms, int64_t max_end_ms) {
    for (size_t i = 0; i < s->shared.tests.n_tests; i++) {
        const eg_shard_test *t = &s->shared.tests.tests[i];
        if (t->kind == EG_SHARD_TEST_NEVER)
            return false;
        if (t->kind != EG_SHARD_TEST_NUMBERS)
            continue;
        if (t->vector == EG_VEC_START_MS && !eg_shard_test_span(t, min_start_ms, max_start_ms))
            return false;
        if (t->vector == EG_VEC_END_MS && !eg_shard_test_span(t, min_end_ms, max_end_ms))
            return false;
    }
    return true;
}

/* Whether rows of a file may pass, by what the list knows. */
static bool shard_may_pass(const shard_source *s, const eg_shard *shard) {
    if (!times_may_pass(s, shard->min_start_ms, shard->max_start_ms, shard->min_end_ms,
                        shard->max_end_ms))
        return false;
    return !shard->has_day ||
           times_may_pass(s, shard->day_ms, shard->day_ms + DAY_MS - 1, shard->day_ms, INT64_MAX) ||
           times_may_pass(s, INT64_MIN, -1, INT64_MIN, INT64_MAX);
}

/* A dataset's shard has to be there, and of the size it was made with. */
static eg_status check_shard(const shard_source *s, const eg_shard *shard, eg_err *err) {
    struct stat st;
    if (!s->list.is_dataset)
        return EG_OK;
    if (stat(shard->path, &st) != 0)
        return eg_fail(err, EG_IO, -1,
                       "%s: the dataset has this shard, but it cannot be opened: %s", shard->path,
                       strerror(errno));
    if (shard->size_bytes >= 0 && st.st_size != shard->size_bytes)
        return eg_fail(err, EG_CORRUPT, -1,
                       "%s: found %lld bytes, but the dataset's shard has %lld", shard->path,
                       (long long)st.st_size, (long long)shard->size_bytes);
    return EG_OK;
}

static int64_t known_bytes(const eg_shard *shard) {
    return shard->size_bytes > 0 ? shard->size_bytes : 0;
}

/* How many numbers of rows a shard has to itself, opened or not: one each where the manifest
** says how many they are, else one a bit of the file, for no flow is stored in less. */
static int64_t known_numbers(const eg_shard *shard) {
    return shard->n_rows >= 0 ? shard->n_rows : 8 * known_bytes(shard);
}

static eg_status open_shard(shard_source *s, const eg_shard *shard, eg_err *err) {
    eg_vector_set vectors = s->shared.spec->vectors;
    if (s->shared.spec->where != NULL)
        vectors |= eg_predicate_vectors(s->shared.spec->where);
    eg_status rc = check_shard(s, shard, err);
    if (rc != EG_OK)
        return rc;
    eg_shard_file *f = calloc(1, sizeof *f);
    if (f == NULL)
        return eg_fail_nomem(err, "a Parquet file");
    atomic_init(&f->n_references, 1);
    rc = eg_pq_file_open(shard->path, &f->pq, err);
    if (rc == EG_OK && shard->n_rows >= 0 && shard->n_rows != eg_pq_file_rows(f->pq))
        rc = eg_fail(err, EG_CORRUPT, -1, "%s: found %lld rows, but the dataset's shard has %lld",
                     shard->path, (long long)eg_pq_file_rows(f->pq), (long long)shard->n_rows);
    if (rc == EG_OK)
        rc = eg_shard_bind(f->pq, vectors, f->columns, &f->reads, err);
    if (rc == EG_OK && (vectors & EG_VECTOR_BIT(EG_VEC_FILE)) != 0 &&
        f->columns[EG_VEC_FILE].origin == EG_SHARD_PATH)
        rc = eg_shard_texts_add(&s->shared.texts, shard->path, strlen(shard->path), &f->path_code,
                                err);
    if (rc != EG_OK) {
        eg_shard_file_release(f);
        return rc;
    }
    f->first_number = s->next_number - known_numbers(shard);
    s->file = f;
    s->next_group = 0;
    s->first_row = 0;
    s->stats.files++;
    s->stats.bytes_read += eg_pq_file_opening_bytes(f->pq);
    int64_t other_bytes = known_bytes(shard); /* of no row group: done with now */
    for (uint32_t g = 0; g < eg_pq_file_row_groups(f->pq); g++)
        other_bytes -= eg_shard_group_bytes(f, g);
    atomic_fetch_add(&s->shared.done_bytes, other_bytes);
    return EG_OK;
}

/* ---- the source --------------------------------------------------------- */

/* Opens the next file that may have rows. EG_DONE behind the last. */
static eg_status next_file(shard_source *s, eg_err *err) {
    while (s->file == NULL) {
        if (s->next_shard == s->list.n_shards)
            return EG_DONE;
        const eg_poll *poll = &s->shared.spec->poll;
        if (poll->poll != NULL && poll->poll(poll->arg))
            return eg_fail(err, EG_INTERRUPT, -1, "interrupted");
        const eg_shard *shard = &s->list.shards[s->next_shard++];
        s->next_number += known_numbers(shard);
        if (!shard_may_pass(s, shard)) {
            s->stats.files_skipped++;
            atomic_fetch_add(&s->shared.done_bytes, known_bytes(shard));
            continue;
        }
        eg_status rc = open_shard(s, shard, err);
        if (rc != EG_OK)
            return rc;
    }
    return EG_OK;
}

static eg_status source_next_piece(eg_source *base, eg_piece **out, eg_err *err) {
    shard_source *s = (shard_source *)base;
    *out = NULL;
    for (;;) {
        eg_status rc = next_file(s, err);
        if (rc != EG_OK)
            return rc;
        if (s->next_group == eg_pq_file_row_groups(s->file->pq)) {
            eg_shard_file_release(s->file);
            s->file = NULL;
            continue;
        }
        uint32_t g = s->next_group++;
        int64_t first_row = s->first_row, n_rows = eg_pq_file_row_group(s->file->pq, g)->num_rows;
        s->first_row += n_rows;
        if (n_rows > 0 && eg_shard_group_may_pass(&s->shared, s->file, g))
            return eg_shard_piece_open(&s->shared, s->file, g, first_row, out, err);
        s->stats.row_groups_skipped += n_rows > 0;
        atomic_fetch_add(&s->shared.done_bytes, eg_shard_group_bytes(s->file, g));
    }
}

static void source_progress(const eg_source *base, int64_t *done_bytes, int64_t *total_bytes) {
    const shard_source *s = (const shard_source *)base;
    /* Sizes are those of the listing; a file may be another by now. */
    int64_t done = atomic_load(&s->shared.done_bytes);
    *total_bytes = s->total_bytes;
    *done_bytes = done < 0 ? 0 : done > s->total_bytes ? s->total_bytes : done;
}

static void source_close(eg_source *base, eg_scan_stats *stats) {
    shard_source *s = (shard_source *)base;
    if (stats != NULL) {
        stats->files += s->stats.files;
        stats->files_skipped += s->stats.files_skipped;
        stats->row_groups_skipped += s->stats.row_groups_skipped;
        stats->bytes_read += s->stats.bytes_read;
    }
    eg_shard_readers_close_idle(&s->shared);
    eg_shard_file_release(s->file);
    eg_shard_tests_close(&s->shared.tests);
    eg_shard_list_close(&s->list);
    pthread_mutex_destroy(&s->shared.idle_lock);
    pthread_mutex_destroy(&s->shared.texts.lock);
    free(s);
}

/* ---- weights ------------------------------------------------------------ */

#define MOST_WEIGHED 1000 /* shards that are opened for it */

/* Adds the weights behind a column of a file's row groups. */
static eg_status weigh_column(eg_shard_weights *w, eg_pq_file *f, const char *name,
                              eg_weight measure, uint64_t *totals, eg_err *err) {
    int64_t column = eg_pq_file_find(f, name, strlen(name));
    eg_status rc = column >= 0 ? EG_OK : EG_DONE;
    for (uint32_t g = 0; rc == EG_OK && g < eg_pq_file_row_groups(f); g++) {
        if (eg_pq_file_row_group(f, g)->num_rows == 0)
            continue;
        rc = eg_shard_weights_read(w, f, g, (uint32_t)column, err);
        if (rc == EG_OK)
            eg_shard_weights_add(w, measure, totals);
    }
    return rc;
}

/* Files are opened anew, as the one that rows are handed out of may be any. What is wrong with
** one is for the scan to tell, when its turn comes. */
static eg_status weigh_shard(shard_source *s, const eg_shard *shard, eg_shard_weights *w,
                             eg_weight measure, uint64_t *sources, uint64_t *destinations,
                             eg_err *err) {
    eg_pq_file *f = NULL;
    eg_status rc = check_shard(s, shard, err);
    if (rc == EG_OK)
        rc = eg_pq_file_open(shard->path, &f, err);
    if (rc != EG_OK)
        return rc == EG_NOMEM ? rc : EG_DONE;
    s->stats.bytes_read += eg_pq_file_opening_bytes(f);
    rc = shard->n_rows == eg_pq_file_rows(f) ? EG_OK : EG_DONE;
    if (rc == EG_OK && sources != NULL)
        rc = weigh_column(w, f, "srcaddr", measure, sources, err);
    if (rc == EG_OK && destinations != NULL)
        rc = weigh_column(w, f, "dstaddr", measure, destinations, err);
    eg_pq_file_close(f);
    return rc;
}

static eg_status source_weigh(eg_source *base, eg_weight measure, uint64_t *sources,
                              uint64_t *destinations, eg_err *err) {
    shard_source *s = (shard_source *)base;
    const eg_poll *poll = &s->shared.spec->poll;
    eg_shard_weights w = {0};
    eg_status rc = s->list.is_dataset && s->list.n_shards <= MOST_WEIGHED ? EG_OK : EG_DONE;
    for (size_t i = 0; rc == EG_OK && i < s->list.n_shards; i++)
        if (poll->poll != NULL && poll->poll(poll->arg))
            rc = eg_fail(err, EG_INTERRUPT, -1, "interrupted");
        else
            rc = weigh_shard(s, &s->list.shards[i], &w, measure, sources, destinations, err);
    s->stats.bytes_read += w.bytes_read;
    eg_shard_weights_close(&w);
    return rc;
}

static const eg_source_ops source_ops = {.next_piece = source_next_piece,
                                         .progress = source_progress,
                                         .close = source_close,
                                         .is_independent = true,
                                         .weigh = source_weigh};

eg_status eg_shard_source_open(eg_shard_list *list, const eg_scan_spec *spec, eg_source **out,
                               eg_err *err) {
    eg_shard_list taken = *list;
    *list = (eg_shard_list){0};
    *out = NULL;
    shard_source *s = calloc(1, sizeof *s);
    if (s == NULL) {
        eg_shard_list_close(&taken);
        return eg_fail_nomem(err, "a Parquet source");
    }
    bool has_first = pthread_mutex_init(&s->shared.texts.lock, NULL) == 0;
    if (!has_first || pthread_mutex_init(&s->shared.idle_lock, NULL) != 0) {
        if (has_first)
            pthread_mutex_destroy(&s->shared.texts.lock);
        eg_shard_list_close(&taken);
        free(s);
        return eg_fail_nomem(err, "a lock");
    }
    s->base.ops = &source_ops;
    s->shared.spec = spec;
    s->shared.texts.intern = spec->texts;
    s->list = taken;
    for (size_t i = 0; i < taken.n_shards; i++) {
        eg_shard *shard = &s->list.shards[i];
        struct stat st;
        if (shard->size_bytes < 0 && stat(shard->path, &st) == 0)
            shard->size_bytes = st.st_size;
        s->total_bytes += known_bytes(shard);
    }
    eg_status rc = eg_shard_tests_open(spec->where, &s->shared.tests, err);
    if (rc != EG_OK) {
        source_close(&s->base, NULL);
        return rc;
    }
    *out = &s->base;
    return EG_OK;
}
