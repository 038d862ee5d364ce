/*
** Everything is relative to the dataset's descriptor, so that a dataset that is renamed
** meanwhile stays one.
*/
#include "dataset/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "dataset/dataset_files.h"
#include "dataset/group_encode.h"
#include "dataset/shard_output.h"

#define SHARD_GROUPS INT64_C(32) /* full ones: some 700 MB, and 30 MB of footer */

/* Shards that are written at a time; beyond, the one not written to for longest is
** finished. A capture of one clock has two at most. */
#define MAX_OPEN 64

typedef struct dataset {
    eg_store base; /* must be first */
    char *path;
    int directory; /* open descriptor */
    int lock;      /* descriptor of the lock file while it is held, else -1 */
    eg_dataset_options options;
    const eg_manifest_ops *ops;
    eg_manifest *manifest;
    eg_poll poll;
    eg_shard_schema schema;

    /* Of the capture being stored: */
    eg_group_encoder *encoder; /* kept from one to the next */
    eg_rows rows[2];           /* one is filled while the other is encoded */
    unsigned filling;
    const eg_intern *texts;     /* borrowed */
    eg_pq_bytes *code_texts[2]; /* of each buffer's codes; owned */
    eg_shard_output *outputs;   /* [n_outputs] finished ones and open ones */
    size_t n_outputs, capacity, n_open;
    uint64_t n_uses;
    const eg_pq_key_value *key_values; /* for the shards that are finished now */
    uint32_t n_key_values;
} dataset;

/* ---- Taking and leaving the lock */

static eg_status delete_shard(void *arg, const eg_manifest_shard *shard, eg_err *err) {
    const dataset *d = arg;
    if (unlinkat(d->directory, shard->path, 0) != 0 && errno != ENOENT)
        return eg_files_fail(err, d->path, shard->path, "delete");
    eg_files_clear_partition(d->directory, shard->day);
    return EG_OK;
}

/* Deletes what the manifest lists in a state, and forgets it. */
static eg_status delete_state(dataset *d, eg_shard_state state, eg_err *err) {
    eg_status rc = d->ops->each(d->manifest, state, false, delete_shard, d, err);
    return rc == EG_OK ? d->ops->forget(d->manifest, state, err) : rc;
}

/* Deletes replaced shards, unless somebody reads: then the next writer does. */
static eg_status delete_removed(dataset *d, eg_err *err) {
    int readers = eg_files_lock_readers_out(d->directory);
    if (readers < 0)
        return EG_OK;
    eg_status rc = delete_state(d, EG_SHARD_REMOVED, err);
    close(readers);
    return rc;
}

static void make_schema(eg_shard_schema *schema, const eg_dataset_options *options) {
    schema->n_elements = eg_stored_schema(options->encode.layout.dotted, schema->elements);
    snprintf(schema->created_by, sizeof schema->created_by, "earlgrey version %s (build 0)",
             options->version);
    /* Rows that go by time first are not in the order of any one column. */
    const eg_layout *layout = &options->encode.layout;
    eg_column columns[EG_N_COLUMNS];
    uint32_t n = eg_stored_columns(columns);
    for (uint32_t i = 0; layout->by_address && layout->n_time_runs == 1 && i < n; i++)
        if (columns[i] == EG_COL_SRCADDR) {
            schema->sorting = (eg_pq_sorting_column){.column = (int32_t)i};
            schema->n_sorting = 1;
        }
}

/* ---- How shards are made, by name */

static const char *const address_names[] = {"uint32", "text"}; /* by layout.dotted */

static const struct compression {
    const char *name;
    int32_t codec;
    int level;
} compressions[] = {{"zstd", EG_PQ_ZSTD, EG_PQ_LEVEL_CODES},
                    {"gzip", EG_PQ_GZIP, 0},
                    {"none", EG_PQ_UNCOMPRESSED, 0}};
#define N_COMPRESSIONS (sizeof compressions / sizeof compressions[0])

static bool is_name(const char *name, const char *text, size_t n_bytes) {
    return n_bytes == strlen(name) && memcmp(name, text, n_bytes) == 0;
}

static bool set_addresses(eg_encode_options *encode, const char *name, size_t n_bytes) {
    for (int dotted = 0; dotted < 2; dotted++)
        if (is_name(address_names[dotted], name, n_bytes)) {
            encode->layout.dotted = dotted;
            return true;
        }
    return false;
}

static bool set_compression(eg_encode_options *encode, const char *name, size_t n_bytes) {
    for (size_t i = 0; i < N_COMPRESSIONS; i++)
        if (is_name(compressions[i].name, name, n_bytes)) {
            encode->compression = compressions[i].codec;
            encode->level = compressions[i].level;
            return true;
        }
    return false;
}

static const char *compression_name(int32_t codec) {
    for (size_t i = 0; i < N_COMPRESSIONS; i++)
        if (compressions[i].codec == codec)
            return compressions[i].name;
    return "";
}

bool eg_dataset_ask_addresses(eg_dataset_options *options, const char *name, size_t n_bytes) {
    bool is_known = set_addresses(&options->encode, name, n_bytes);
    options->has_addresses |= is_known;
    return is_known;
}

bool eg_dataset_ask_compression(eg_dataset_options *options, const char *name, size_t n_bytes) {
    bool is_known = set_compression(&options->encode, name, n_bytes);
    options->has_compression |= is_known;
    return is_known;
}

/* Decides on addresses and compression: what the dataset has, where nothing else was asked
** for. Addresses of two kinds in one dataset are no table for most engines. */
static eg_status settle(dataset *d, eg_err *err) {
    eg_encode_options *encode = &d->options.encode;
    const char *wanted = address_names[encode->layout.dotted];
    char addresses[16], compression[16];
    snprintf(addresses, sizeof addresses, "%s", wanted);
    snprintf(compression, sizeof compression, "%s", compression_name(encode->compression));
    eg_status rc = d->ops->settle(d->manifest, "addresses", addresses, sizeof addresses, err);
    if (rc == EG_OK)
        rc = d->ops->settle(d->manifest, "compression", compression, sizeof compression, err);
    if (rc != EG_OK)
        return rc;
    if (d->options.has_addresses && strcmp(addresses, wanted) != 0)
        return eg_fail(err, EG_MISUSE, -1, "%s: holds addresses=%s: expected the same", d->path,
                       addresses);
    (void)set_addresses(encode, addresses, strlen(addresses));
    if (!d->options.has_compression)
        (void)set_compression(encode, compression, strlen(compression));
    make_schema(&d->schema, &d->options);
    return EG_OK;
}

/* ---- The lock */

static eg_status dataset_lock(eg_store *base, eg_err *err) {
    dataset *d = (dataset *)base;
    if (d->lock >= 0)
        return EG_OK;
    eg_status rc = eg_files_lock_writers(d->directory, d->path, d->poll, &d->lock, err);
    if (rc == EG_OK)
        rc = eg_files_clear_temporary(d->directory, d->path, err);
    if (rc == EG_OK)
        rc = delete_state(d, EG_SHARD_PENDING, err);
    if (rc == EG_OK)
        rc = delete_removed(d, err);
    if (rc == EG_OK)
        rc = settle(d, err);
    if (rc != EG_OK && d->lock >= 0) {
        close(d->lock);
        d->lock = -1;
    }
    return rc;
}

static void dataset_unlock(eg_store *base) {
    dataset *d = (dataset *)base;
    if (d->lock < 0)
        return;
    (void)unlinkat(d->directory, EG_FILES_TEMPORARY, AT_REMOVEDIR);
    close(d->lock);
    d->lock = -1;
}

/* ---- What is known */

static eg_status dataset_find(eg_store *base, const eg_capture_id *id, bool *found, eg_err *err) {
    dataset *d = (dataset *)base;
    return d->ops->find(d->manifest, id, found, err);
}

static eg_status dataset_has_file(eg_store *base, const char *file, int64_t n_bytes,
                                  int64_t time_ns, bool *found, eg_err *err) {
    dataset *d = (dataset *)base;
    return d->ops->has_file(d->manifest, file, n_bytes, time_ns, found, err);
}

static eg_status dataset_partial(eg_store *base, eg_stored_capture **list, size_t *n, eg_err *err) {
    dataset *d = (dataset *)base;
    return d->ops->partial(d->manifest, list, n, err);
}

/* ---- Writing shards */

/* Lays the outputs of a capture aside; files that are left are deleted. */
static void drop_outputs(dataset *d) {
    for (size_t i = 0; i < d->n_outputs; i++) {
        if (d->outputs[i].temporary != NULL && d->outputs[i].temporary[0] != '\0')
            (void)unlinkat(d->directory, d->outputs[i].temporary, 0);
        eg_shard_output_close(&d->outputs[i]);
    }
    d->n_outputs = d->n_open = 0;
}

static eg_status finish_output(dataset *d, eg_shard_output *o, eg_err *err) {
    d->n_open--;
    return eg_shard_output_finish(o, d->path, d->key_values, d->n_key_values, err);
}

/* The open output of a day, made where there is none. */
static eg_status output_of(dataset *d, int64_t day, eg_shard_output **out, eg_err *err) {
    eg_shard_output *oldest = NULL;
    for (size_t i = 0; i < d->n_outputs; i++) {
        eg_shard_output *o = &d->outputs[i];
        if (o->writer == NULL)
            continue;
        if (o->day == day) {
            o->last_use = ++d->n_uses;
            *out = o;
            return EG_OK;
        }
        if (oldest == NULL || o->last_use < oldest->last_use)
            oldest = o;
    }
    eg_status rc = d->n_open >= MAX_OPEN ? finish_output(d, oldest, err) : EG_OK;
    if (rc != EG_OK)
        return rc;
    if (!eg_array_grow(&d->outputs, &d->capacity, d->n_outputs, sizeof *d->outputs))
        return eg_fail_nomem(err, "a list of shards");
    char name[64];
    snprintf(name, sizeof name, "%ld-%zu.parquet.tmp", (long)getpid(), d->n_outputs);
    char *temporary = eg_files_join(EG_FILES_TEMPORARY, name);
    if (temporary == NULL)
        return eg_fail_nomem(err, "a shard");
    rc = eg_shard_output_open(d->directory, d->path, day, temporary, &d->schema,
                              &d->outputs[d->n_outputs], err);
    if (rc != EG_OK)
        return rc;
    *out = &d->outputs[d->n_outputs++];
    (*out)->last_use = ++d->n_uses;
    d->n_open++;
    return EG_OK;
}

static eg_status take_group(void *arg, const eg_row_group *group,
                            const eg_pq_chunk_data *const *chunks, eg_err *err) {
    dataset *d = arg;
    eg_shard_output *o = NULL;
    eg_status rc = output_of(d, group->day, &o, err);
    if (rc == EG_OK)
        rc = eg_shard_output_add(o, group, chunks, &d->schema, err);
    return rc == EG_OK && o->n_rows >= d->options.rows_of_shard ? finish_output(d, o, err) : rc;
}

static eg_group_sink sink_of(dataset *d) {
    return (eg_group_sink){.arg = d, .take = take_group};
}

/* Hands the filled buffer to the encoder. */
static eg_status push_rows(dataset *d, eg_err *err) {
    eg_rows *rows = &d->rows[d->filling];
    if (rows->n_rows == 0)
        return EG_OK;
    uint32_t n = eg_intern_count(d->texts);
    eg_pq_bytes *texts = realloc(d->code_texts[d->filling], (n + 1) * sizeof *texts);
    if (texts == NULL)
        return eg_fail_nomem(err, "a list of texts");
    d->code_texts[d->filling] = texts;
    for (uint32_t i = 0; i < n; i++) {
        size_t n_bytes;
        texts[i].data = (const uint8_t *)eg_intern_text(d->texts, i, &n_bytes);
        texts[i].n_bytes = (uint32_t)n_bytes;
    }
    eg_status rc =
        eg_group_encoder_push(d->encoder, rows, (eg_code_texts){texts, n}, sink_of(d), err);
    d->filling ^= 1;
    d->rows[d->filling].n_rows = 0;
    return rc;
}

/* ---- A capture */

static eg_status dataset_begin(eg_store *base, const eg_intern *texts, eg_err *err) {
    dataset *d = (dataset *)base;
    eg_status rc = eg_files_make_temporary(d->directory, d->path, err);
    for (int i = 0; i < 2 && rc == EG_OK; i++)
        if (d->rows[i].v.START_MS == NULL)
            rc = eg_rows_open(&d->rows[i], err);
    if (rc == EG_OK && d->encoder == NULL)
        rc = eg_group_encoder_open(d->options.n_threads, &d->options.encode, &d->encoder, err);
    d->rows[0].n_rows = d->rows[1].n_rows = 0;
    d->texts = texts;
    return rc;
}

static eg_status dataset_room(eg_store *base, eg_batch *b, eg_err *err) {
    dataset *d = (dataset *)base;
    eg_status rc = EG_OK;
    if (eg_rows_is_full(&d->rows[d->filling]))
        rc = push_rows(d, err);
    eg_rows_window(&d->rows[d->filling], d->texts, b);
    return rc;
}

static eg_status dataset_filled(eg_store *base, uint32_t n_rows, eg_err *err) {
    dataset *d = (dataset *)base;
    (void)err;
    d->rows[d->filling].n_rows += n_rows;
    return EG_OK;
}

static void dataset_rollback(eg_store *base) {
    dataset *d = (dataset *)base;
    if (d->encoder != NULL)
        eg_group_encoder_drop(d->encoder);
    drop_outputs(d);
    d->rows[0].n_rows = d->rows[1].n_rows = 0;
}

/* ---- Publishing */

#define MAX_KEY_VALUES 12

/* The provenance that stands in each shard. */
typedef struct provenance {
    eg_pq_key_value key_values[MAX_KEY_VALUES];
    char room[MAX_KEY_VALUES][32];
    uint32_t n;
    char id[2 * sizeof(eg_capture_id) + 1];
} provenance;

static eg_pq_bytes bytes_of(const char *text) {
    return (eg_pq_bytes){.data = (const uint8_t *)text, .n_bytes = (uint32_t)strlen(text)};
}

static void say(provenance *p, const char *key, const char *value) {
    p->key_values[p->n++] = (eg_pq_key_value){.key = bytes_of(key), .value = bytes_of(value)};
}

static void say_number(provenance *p, const char *key, int64_t number) {
    snprintf(p->room[p->n], sizeof p->room[p->n], "%lld", (long long)number);
    say(p, key, p->room[p->n]);
}

static void make_provenance(provenance *p, const eg_capture_record *r) {
    p->n = 0;
    eg_files_hex(&r->id, p->id);
    say(p, "earlgrey.schema", "1");
    say(p, "earlgrey.capture", r->name);
    say(p, "earlgrey.capture_id", p->id);
    say_number(p, "earlgrey.capture_bytes", r->n_bytes);
    say(p, "earlgrey.partial", r->is_partial ? "yes" : "no");
    say_number(p, "earlgrey.datagrams", r->datagrams);
    say_number(p, "earlgrey.rejected", r->rejected);
    say_number(p, "earlgrey.flows_lost", r->flows_lost);
}

static eg_status finish_outputs(dataset *d, const provenance *p, eg_err *err) {
    eg_status rc = push_rows(d, err);
    if (rc == EG_OK)
        rc = eg_group_encoder_push(d->encoder, NULL, (eg_code_texts){0}, sink_of(d), err);
    d->key_values = p->key_values;
    d->n_key_values = p->n;
    for (size_t i = 0; i < d->n_outputs && rc == EG_OK; i++)
        if (d->outputs[i].writer != NULL)
            rc = finish_output(d, &d->outputs[i], err);
    d->key_values = NULL;
    d->n_key_values = 0;
    return rc;
}

/* Names the shards, says so to the manifest, and renames them. */
static eg_status place_outputs(dataset *d, const char *name, eg_manifest_shard *shards,
                               eg_err *err) {
    eg_status rc = EG_OK;
    for (size_t i = 0; i < d->n_outputs && rc == EG_OK; i++) {
        const eg_shard_output *o = &d->outputs[i];
        char partition[EG_PARTITION_MAX], file[96];
        eg_partition_path(o->day, partition);
        snprintf(file, sizeof file, "%s-%zu.parquet", name, i);
        char *path = eg_files_join(partition, file);
        if (path == NULL)
            return eg_fail_nomem(err, "a shard's name");
        shards[i] = (eg_manifest_shard){.path = path,
                                        .day = o->day,
                                        .n_rows = o->n_rows,
                                        .n_bytes = o->n_bytes,
                                        .hash = o->hash,
                                        .times = o->times};
        rc = eg_files_make_partition(d->directory, d->path, partition, err);
    }
    if (rc == EG_OK)
        rc = d->ops->intend(d->manifest, shards, d->n_outputs, err);
    for (size_t i = 0; i < d->n_outputs && rc == EG_OK; i++) {
        if (renameat(d->directory, d->outputs[i].temporary, d->directory, shards[i].path) != 0)
            rc = eg_files_fail(err, d->path, shards[i].path, "rename");
        else
            d->outputs[i].temporary[0] = '\0'; /* nothing to delete */
    }
    for (size_t i = 0; i < d->n_outputs && rc == EG_OK; i++)
        rc = eg_files_sync_partition(d->directory, d->path, d->outputs[i].day, err);
    return rc;
}

static eg_status publish(dataset *d, const char *name,
                         eg_status (*record)(dataset *d, const void *arg, eg_err *err),
                         const void *arg, eg_stored_result *result, eg_err *err) {
    eg_manifest_shard *shards = calloc(d->n_outputs + 1, sizeof *shards);
    if (shards == NULL)
        return eg_fail_nomem(err, "a list of shards");
    eg_status rc = place_outputs(d, name, shards, err);
    if (rc == EG_OK)
        rc = record(d, arg, err);
    if (rc != EG_OK) {
        /* Whatever of it happened: what is still pending is none of the dataset's. Where
        ** that fails too, the next writer does it. */
        (void)delete_state(d, EG_SHARD_PENDING, NULL);
    }
    for (size_t i = 0; i < d->n_outputs; i++) {
        result->n_rows += shards[i].n_rows;
        result->n_bytes += shards[i].n_bytes;
        result->n_shards++;
        free((char *)shards[i].path);
    }
    free(shards);
    return rc;
}

static eg_status record_capture(dataset *d, const void *arg, eg_err *err) {
    return d->ops->publish(d->manifest, arg, err);
}

static eg_status dataset_commit(eg_store *base, const eg_capture_record *record,
                                eg_stored_result *result, eg_err *err) {
    dataset *d = (dataset *)base;
    provenance p;
    memset(result, 0, sizeof *result);
    make_provenance(&p, record);
    eg_status rc = finish_outputs(d, &p, err);
    if (rc == EG_OK)
        rc = publish(d, p.id, record_capture, record, result, err);
    dataset_rollback(base);
    if (rc == EG_OK && record->replaces != NULL)
        (void)delete_removed(d, NULL); /* if not now, then by the next writer */
    return rc;
}

/* ---- Expiring */

/* Shards come by day: the first one's is the oldest. */
static eg_status take_day(void *arg, const eg_manifest_shard *shard, eg_err *err) {
    (void)err;
    *(int64_t *)arg = shard->day;
    return EG_DONE;
}

static eg_status dataset_expire(eg_store *base, int64_t day, eg_expired *dropped, eg_err *err) {
    dataset *d = (dataset *)base;
    int64_t oldest;
    eg_status rc = d->ops->each(d->manifest, EG_SHARD_STORED, false, take_day, &oldest, err);
    if (rc == EG_DONE && oldest < day)
        return d->ops->expire(d->manifest, oldest, dropped, err);
    if (rc == EG_OK || rc == EG_DONE)
        rc = delete_removed(d, err);
    return rc == EG_OK ? EG_DONE : rc;
}

/* ---- For compaction */

typedef struct exchange {
    const int64_t *ids;
    size_t n;
} exchange;

static eg_status record_exchange(dataset *d, const void *arg, eg_err *err) {
    const exchange *x = arg;
    return d->ops->exchange(d->manifest, x->ids, x->n, err);
}

eg_status eg_dataset_each(eg_store *base, eg_manifest_each call, void *arg, eg_err *err) {
    dataset *d = (dataset *)base;
    return d->ops->each(d->manifest, EG_SHARD_STORED, true, call, arg, err);
}

eg_status eg_dataset_replace(eg_store *base, const eg_dataset_replacement *with,
                             eg_stored_result *result, eg_err *err) {
    dataset *d = (dataset *)base;
    provenance p = {.n = 0};
    exchange x = {with->ids, with->n_ids};
    memset(result, 0, sizeof *result);
    say(&p, "earlgrey.schema", "1");
    say_number(&p, "earlgrey.merged_shards", (int64_t)with->n_ids);
    eg_status rc = finish_outputs(d, &p, err);
    int64_t n_rows = 0;
    bool is_day = true;
    for (size_t i = 0; rc == EG_OK && i < d->n_outputs; i++) {
        n_rows += d->outputs[i].n_rows;
        is_day = is_day && d->outputs[i].day == with->day;
    }
    if (rc == EG_OK && (n_rows != with->n_rows || !is_day))
        rc = eg_fail(err, EG_CORRUPT, -1,
                     "%s: %lld rows to merge where the manifest has %lld of one day: nothing was "
                     "changed",
                     d->path, (long long)n_rows, (long long)with->n_rows);
    if (rc == EG_OK)
        rc = publish(d, with->name, record_exchange, &x, result, err);
    dataset_rollback(base);
    return rc;
}

eg_status eg_dataset_delete_replaced(eg_store *base, eg_err *err) {
    return delete_removed((dataset *)base, err);
}

const char *eg_dataset_path(const eg_store *base) {
    return ((const dataset *)base)->path;
}

/* ---- Opening */

static void dataset_close(eg_store *base) {
    dataset *d = (dataset *)base;
    dataset_rollback(base);
    dataset_unlock(base);
    eg_group_encoder_close(d->encoder);
    for (int i = 0; i < 2; i++) {
        eg_rows_close(&d->rows[i]);
        free(d->code_texts[i]);
    }
    if (d->manifest != NULL)
        d->ops->close(d->manifest);
    if (d->directory >= 0)
        close(d->directory);
    free(d->outputs);
    free(d->path);
    free(d);
}

static const eg_store_ops store_ops = {
    .lock = dataset_lock,
    .unlock = dataset_unlock,
    .find = dataset_find,
    .has_file = dataset_has_file,
    .partial = dataset_partial,
    .begin = dataset_begin,
    .room = dataset_room,
    .filled = dataset_filled,
    .commit = dataset_commit,
    .rollback = dataset_rollback,
    .expire = dataset_expire,
    .close = dataset_close,
};

void eg_dataset_defaults(eg_dataset_options *options, const char *version) {
    *options = (eg_dataset_options){.encode = {.layout = eg_layout_default,
                                               .compression = compressions[0].codec,
                                               .level = compressions[0].level},
                                    .n_threads = eg_pool_cores(),
                                    .rows_of_shard = SHARD_GROUPS * EG_ROWS_MAX,
                                    .version = version};
}

eg_status eg_dataset_open(const char *path, const eg_dataset_options *options,
                          const eg_manifest_ops *manifest, eg_poll poll, eg_store **out,
                          eg_err *err) {
    *out = NULL;
    dataset *d = calloc(1, sizeof *d);
    if (d == NULL)
        return eg_fail_nomem(err, "a dataset");
    d->base.ops = &store_ops;
    d->directory = d->lock = -1;
    d->options = *options;
    d->ops = manifest;
    d->poll = poll;
    eg_status rc = eg_files_open_directory(path, &d->directory, err);
    if (rc == EG_OK && (d->path = strdup(path)) == NULL)
        rc = eg_fail_nomem(err, "a dataset");
    if (rc == EG_OK)
        rc = manifest->open(path, true, poll, &d->manifest, err);
    if (rc != EG_OK) {
        dataset_close(&d->base);
        return rc;
    }
    *out = &d->base;
    return EG_OK;
}

bool eg_is_dataset(const char *path) {
    struct stat st;
    char manifest[PATH_MAX]; /* on the stack: no memory is no answer */
    int n = snprintf(manifest, sizeof manifest, "%s/" EG_DATASET_MANIFEST, path);
    return n > 0 && (size_t)n < sizeof manifest && stat(manifest, &st) == 0 && S_ISREG(st.st_mode);
}
