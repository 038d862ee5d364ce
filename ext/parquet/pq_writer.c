/* Metadata is copied into an arena as row groups come, and encoded at the end. */
#include "parquet/pq_writer.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/array.h"

#define MAGIC "PAR1"

/* What is written at the end, of one chunk. */
typedef struct late {
    eg_pq_offset_index offsets;
    eg_pq_column_index bounds; /* n_pages 0 without */
    eg_pq_bytes bloom;         /* NULL without */
} late;

typedef struct group {
    eg_pq_row_group meta; /* chunks: the arena's, filled at the end */
    eg_pq_chunk *chunks;
    late *lates;
} group;

struct eg_pq_writer {
    int fd; /* borrowed */
    char *name;
    const eg_pq_schema_element *schema;
    uint32_t n_columns;
    const char *created_by;
    int64_t n_bytes, n_rows;
    XXH3_state_t *hash; /* of all bytes written */
    group *groups;      /* owned */
    uint32_t n_groups;
    size_t capacity;
    eg_pq_arena arena;
};

static eg_status write_all(eg_pq_writer *w, const void *bytes, size_t n, eg_err *err) {
    const uint8_t *p = bytes;
    while (n > 0) {
        ssize_t done = write(w->fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            char text[128];
            return eg_fail(err, EG_IO, w->n_bytes, "%s: write: %s", w->name,
                           done == 0 ? "nothing was written"
                                     : strerror_r(errno, text, sizeof text));
        }
        (void)XXH3_64bits_update(w->hash, p, (size_t)done);
        p += done;
        n -= (size_t)done;
        w->n_bytes += done;
    }
    return EG_OK;
}

eg_status eg_pq_writer_open(int fd, const char *name, const eg_pq_schema_element *schema,
                            uint32_t n_schema, const char *created_by, eg_pq_writer **out,
                            eg_err *err) {
    *out = NULL;
    eg_pq_writer *w = calloc(1, sizeof *w);
    if (w == NULL || (w->name = strdup(name)) == NULL) {
        free(w);
        return eg_fail_nomem(err, "a Parquet writer");
    }
    w->fd = fd;
    w->schema = schema;
    w->n_columns = n_schema - 1;
    w->created_by = created_by;
    w->arena.budget_bytes = SIZE_MAX;
    w->hash = XXH3_createState();
    eg_status rc = w->hash != NULL ? EG_OK : eg_fail_nomem(err, "a Parquet writer");
    if (rc == EG_OK) {
        (void)XXH3_64bits_reset(w->hash);
        rc = write_all(w, MAGIC, 4, err);
    }
    if (rc != EG_OK) {
        eg_pq_writer_close(w);
        return rc;
    }
    *out = w;
    return EG_OK;
}

/* ---- Row groups */

static eg_status take(eg_pq_writer *w, size_t n, size_t element_bytes, void **out, eg_err *err) {
    return eg_pq_arena_take(&w->arena, n, element_bytes, out, err);
}

static eg_status copy(eg_pq_writer *w, const void *bytes, size_t n, eg_pq_bytes *out, eg_err *err) {
    void *to;
    eg_status rc = take(w, n + 1, 1, &to, err);
    if (rc != EG_OK)
        return rc;
    if (n > 0)
        memcpy(to, bytes, n);
    *out = (eg_pq_bytes){.data = to, .n_bytes = (uint32_t)n};
    return EG_OK;
}

static void put_statistics(const eg_pq_chunk_data *c, eg_pq_bytes bounds, eg_pq_chunk *m) {
    m->statistics =
        (eg_pq_statistics){.null_count = 0, .distinct_count = -1, .max_exact = -1, .min_exact = -1};
    if (c->has_bounds) {
        const uint8_t *base = bounds.data;
        m->statistics.min_value =
            (eg_pq_bytes){.data = base + c->min.offset, .n_bytes = c->min.n_bytes};
        m->statistics.max_value =
            (eg_pq_bytes){.data = base + c->max.offset, .n_bytes = c->max.n_bytes};
        m->statistics.min_exact = m->statistics.max_exact = 1;
    }
}

static eg_status keep_pages(eg_pq_writer *w, const eg_pq_chunk_data *c, int64_t start,
                            eg_pq_bytes bounds, late *l, eg_err *err) {
    eg_pq_page_location *places;
    bool *is_null;
    eg_pq_bytes *mins, *maxs;
    int64_t *nulls;
    eg_status rc = take(w, c->n_pages, sizeof *places, (void **)&places, err);
    if (rc != EG_OK)
        return rc;
    for (uint32_t p = 0; p < c->n_pages; p++)
        places[p] = (eg_pq_page_location){.offset = start + c->pages[p].offset,
                                          .compressed_bytes = c->pages[p].compressed_bytes,
                                          .first_row = c->pages[p].first_row};
    l->offsets = (eg_pq_offset_index){.pages = places, .n_pages = c->n_pages};
    if (!c->has_bounds)
        return EG_OK;
    if ((rc = take(w, c->n_pages, sizeof *is_null, (void **)&is_null, err)) != EG_OK ||
        (rc = take(w, c->n_pages, sizeof *mins, (void **)&mins, err)) != EG_OK ||
        (rc = take(w, c->n_pages, sizeof *maxs, (void **)&maxs, err)) != EG_OK ||
        (rc = take(w, c->n_pages, sizeof *nulls, (void **)&nulls, err)) != EG_OK)
        return rc;
    for (uint32_t p = 0; p < c->n_pages; p++) {
        mins[p] = (eg_pq_bytes){.data = bounds.data + c->pages[p].min.offset,
                                .n_bytes = c->pages[p].min.n_bytes};
        maxs[p] = (eg_pq_bytes){.data = bounds.data + c->pages[p].max.offset,
                                .n_bytes = c->pages[p].max.n_bytes};
    }
    l->bounds = (eg_pq_column_index){.is_null_page = is_null,
                                     .min_values = mins,
                                     .max_values = maxs,
                                     .null_counts = nulls,
                                     .n_pages = c->n_pages,
                                     .boundary_order = c->ascends    ? EG_PQ_ASCENDING
                                                       : c->descends ? EG_PQ_DESCENDING
                                                                     : EG_PQ_UNORDERED};
    return EG_OK;
}

static eg_status keep_encodings(eg_pq_writer *w, const eg_pq_chunk_data *c, eg_pq_chunk *m,
                                eg_err *err) {
    bool coded = c->dictionary_bytes > 0;
    int32_t *encodings;
    eg_pq_encoding_stats *stats;
    eg_status rc = take(w, 3, sizeof *encodings, (void **)&encodings, err);
    if (rc == EG_OK)
        rc = take(w, 2, sizeof *stats, (void **)&stats, err);
    if (rc != EG_OK)
        return rc;
    uint32_t n = 0;
    encodings[n++] = c->way.encoding;
    if (coded)
        encodings[n++] = EG_PQ_PLAIN; /* of the dictionary page */
    m->encodings = encodings;
    m->n_encodings = n;
    n = 0;
    if (coded)
        stats[n++] = (eg_pq_encoding_stats){EG_PQ_DICTIONARY_PAGE, EG_PQ_PLAIN, 1};
    stats[n++] = (eg_pq_encoding_stats){EG_PQ_DATA_PAGE, c->way.encoding, (int32_t)c->n_pages};
    m->encoding_stats = stats;
    m->n_encoding_stats = n;
    return EG_OK;
}

static eg_status keep_extra(eg_pq_writer *w, const eg_pq_extra *x, eg_pq_key_value *kv,
                            eg_err *err) {
    char text[64];
    int n = snprintf(text, sizeof text, "%lld %zu %u", (long long)w->n_bytes, x->n_head,
                     libdeflate_crc32(0, x->bytes.data, x->n_head));
    eg_status rc = copy(w, x->key, strlen(x->key), &kv->key, err);
    if (rc == EG_OK)
        rc = copy(w, text, (size_t)n, &kv->value, err);
    return rc == EG_OK ? write_all(w, x->bytes.data, x->bytes.n_bytes, err) : rc;
}

static eg_status keep_extras(eg_pq_writer *w, const eg_pq_chunk_data *c, eg_pq_chunk *m,
                             eg_err *err) {
    eg_pq_key_value *kv;
    if (c->n_extras == 0)
        return EG_OK;
    eg_status rc = take(w, c->n_extras, sizeof *kv, (void **)&kv, err);
    for (uint32_t i = 0; i < c->n_extras && rc == EG_OK; i++)
        rc = keep_extra(w, &c->extras[i], &kv[i], err);
    if (rc != EG_OK)
        return rc;
    m->key_values = kv;
    m->n_key_values = c->n_extras;
    return EG_OK;
}

static eg_status add_chunk(eg_pq_writer *w, const eg_pq_chunk_data *c,
                           const eg_pq_schema_element *element, eg_pq_chunk *m, late *l,
                           eg_err *err) {
    int64_t start = w->n_bytes;
    eg_pq_bytes bounds = {0};
    eg_status rc = write_all(w, c->bytes.data, c->bytes.n_bytes, err);
    if (rc == EG_OK)
        rc = copy(w, c->bounds.data, c->bounds.n_bytes, &bounds, err);
    if (rc == EG_OK && c->bloom.n_bytes > 0)
        rc = copy(w, c->bloom.data, c->bloom.n_bytes, &l->bloom, err);
    if (rc == EG_OK)
        rc = keep_pages(w, c, start, bounds, l, err);
    if (rc != EG_OK)
        return rc;
    m->has_meta = true;
    m->type = element->type;
    m->codec = c->compression;
    m->path = &element->name;
    m->n_path = 1;
    m->num_values = c->n_rows;
    m->total_uncompressed_bytes = c->uncompressed_bytes;
    m->total_compressed_bytes = (int64_t)c->bytes.n_bytes;
    m->data_page_offset = start + c->dictionary_bytes;
    m->dictionary_page_offset = c->dictionary_bytes > 0 ? start : 0;
    put_statistics(c, bounds, m);
    rc = keep_encodings(w, c, m, err);
    return rc == EG_OK ? keep_extras(w, c, m, err) : rc;
}

eg_status eg_pq_writer_add(eg_pq_writer *w, const eg_pq_chunk_data *const *chunks,
                           const eg_pq_sorting_column *sorting, uint32_t n_sorting, eg_err *err) {
    if (!eg_array_grow(&w->groups, &w->capacity, w->n_groups, sizeof *w->groups))
        return eg_fail_nomem(err, "a list of row groups");
    group *g = &w->groups[w->n_groups];
    memset(g, 0, sizeof *g);
    eg_status rc = take(w, w->n_columns, sizeof *g->chunks, (void **)&g->chunks, err);
    if (rc == EG_OK)
        rc = take(w, w->n_columns, sizeof *g->lates, (void **)&g->lates, err);
    g->meta = (eg_pq_row_group){.chunks = g->chunks,
                                .n_chunks = w->n_columns,
                                .n_sorting = n_sorting,
                                .num_rows = chunks[0]->n_rows,
                                .file_offset = w->n_bytes,
                                .total_compressed_bytes = 0,
                                .ordinal = w->n_groups <= INT16_MAX ? (int16_t)w->n_groups : -1};
    if (rc == EG_OK && n_sorting > 0) {
        void *to;
        rc = take(w, n_sorting, sizeof *sorting, &to, err);
        if (rc == EG_OK) {
            memcpy(to, sorting, n_sorting * sizeof *sorting);
            g->meta.sorting = to;
        }
    }
    for (uint32_t i = 0; i < w->n_columns && rc == EG_OK; i++) {
        rc = add_chunk(w, chunks[i], &w->schema[i + 1], &g->chunks[i], &g->lates[i], err);
        g->meta.total_bytes += chunks[i]->uncompressed_bytes;
        g->meta.total_compressed_bytes += (int64_t)chunks[i]->bytes.n_bytes;
    }
    if (rc != EG_OK)
        return rc;
    w->n_groups++;
    w->n_rows += g->meta.num_rows;
    return EG_OK;
}

int64_t eg_pq_writer_bytes(const eg_pq_writer *w) {
    return w->n_bytes;
}

uint64_t eg_pq_writer_hash(const eg_pq_writer *w) {
    return XXH3_64bits_digest(w->hash);
}

/* ---- The end */

/* Calls put for every chunk, and writes what it appended to the buffer. */
static eg_status each_chunk(eg_pq_writer *w, eg_pq_buffer *b,
                            void (*put)(eg_pq_buffer *, eg_pq_chunk *, const late *, int64_t),
                            eg_err *err) {
    eg_pq_buffer_clear(b);
    for (uint32_t g = 0; g < w->n_groups; g++)
        for (uint32_t i = 0; i < w->n_columns; i++)
            put(b, &w->groups[g].chunks[i], &w->groups[g].lates[i], w->n_bytes);
    if (b->status != EG_OK)
        return eg_fail_nomem(err, "a Parquet footer");
    return write_all(w, b->data, b->n_bytes, err);
}

static void put_bloom(eg_pq_buffer *b, eg_pq_chunk *c, const late *l, int64_t start) {
    if (l->bloom.n_bytes == 0)
        return;
    c->bloom_filter_offset = start + (int64_t)b->n_bytes;
    c->bloom_filter_length = (int32_t)l->bloom.n_bytes;
    eg_pq_buffer_put(b, l->bloom.data, l->bloom.n_bytes);
}

static void put_bounds(eg_pq_buffer *b, eg_pq_chunk *c, const late *l, int64_t start) {
    if (l->bounds.n_pages == 0)
        return;
    size_t before = b->n_bytes;
    c->column_index_offset = start + (int64_t)before;
    eg_pq_encode_column_index(b, &l->bounds);
    c->column_index_length = (int32_t)(b->n_bytes - before);
}

static void put_offsets(eg_pq_buffer *b, eg_pq_chunk *c, const late *l, int64_t start) {
    size_t before = b->n_bytes;
    c->offset_index_offset = start + (int64_t)before;
    eg_pq_encode_offset_index(b, &l->offsets);
    c->offset_index_length = (int32_t)(b->n_bytes - before);
}

static eg_status put_footer(eg_pq_writer *w, eg_pq_buffer *b, const eg_pq_key_value *key_values,
                            uint32_t n_key_values, eg_err *err) {
    void *groups;
    eg_status rc = take(w, w->n_groups, sizeof(eg_pq_row_group), &groups, err);
    if (rc != EG_OK)
        return rc;
    for (uint32_t g = 0; g < w->n_groups; g++)
        ((eg_pq_row_group *)groups)[g] = w->groups[g].meta;
    eg_pq_file_meta meta = {.version = 1,
                            .n_schema = w->n_columns + 1,
                            .schema = w->schema,
                            .num_rows = w->n_rows,
                            .row_groups = groups,
                            .n_row_groups = w->n_groups,
                            .key_values = key_values,
                            .n_key_values = n_key_values,
                            .created_by = {.data = (const uint8_t *)w->created_by,
                                           .n_bytes = (uint32_t)strlen(w->created_by)},
                            .n_column_orders = w->n_columns};
    eg_pq_buffer_clear(b);
    eg_pq_encode_file_meta(b, &meta);
    if (b->n_bytes > INT32_MAX)
        return eg_fail(err, EG_LIMIT, -1, "%s: a footer of %zu bytes: expected at most %d", w->name,
                       b->n_bytes, INT32_MAX);
    eg_pq_buffer_put_le32(b, (uint32_t)b->n_bytes);
    eg_pq_buffer_put(b, MAGIC, 4);
    if (b->status != EG_OK)
        return eg_fail_nomem(err, "a Parquet footer");
    return write_all(w, b->data, b->n_bytes, err);
}

eg_status eg_pq_writer_finish(eg_pq_writer *w, const eg_pq_key_value *key_values,
                              uint32_t n_key_values, eg_err *err) {
    eg_pq_buffer b = {0};
    eg_status rc = each_chunk(w, &b, put_bloom, err);
    if (rc == EG_OK)
        rc = each_chunk(w, &b, put_bounds, err);
    if (rc == EG_OK)
        rc = each_chunk(w, &b, put_offsets, err);
    if (rc == EG_OK)
        rc = put_footer(w, &b, key_values, n_key_values, err);
    eg_pq_buffer_free(&b);
    return rc;
}

void eg_pq_writer_close(eg_pq_writer *w) {
    if (w == NULL)
        return;
    eg_pq_arena_free(&w->arena);
    (void)XXH3_freeState(w->hash);
    free(w->groups);
    free(w->name);
    free(w);
}
