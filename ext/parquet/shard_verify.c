#include "parquet/shard_verify.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "flow/address_order.h"
#include "flow/schema.h"
#include "parquet/pq_bloom.h"
#include "parquet/pq_encoding.h"
#include "parquet/pq_reader.h"
#include "parquet/shard_keys.h"
#include "parquet/shard_parts.h"
#include "parquet/shard_source.h"
#include "parquet/shard_weights.h"

#define SLICE_ROWS 8192
#define HASH_BLOCK (1 << 20)

typedef struct verifier {
    eg_pq_file *file;
    eg_pq_codec *codec;
    eg_pq_reader *reader;
    eg_shard_keys keys;
    eg_shard_weights weights[2]; /* of sources and destinations; of a chunk, the first */
    bool has_weights;            /* a chunk of the file does */
    /* The chunk: */
    uint32_t group, number;
    const eg_pq_column *column;
    const eg_pq_dictionary *dictionary; /* NULL where there is none */
    bool ascends;                       /* the dictionary does */
} verifier;

static eg_status fail(const verifier *v, const char *what, eg_err *err) {
    return eg_pq_chunk_fail(v->file, v->group, v->number, EG_CORRUPT, -1, what, err);
}

/* The PLAIN bytes of element i of an array of the column's type. */
static eg_pq_bytes plain(const eg_pq_column *c, const void *array, size_t i) {
    if (c->type == EG_PQ_BYTE_ARRAY || c->type == EG_PQ_FIXED || c->type == EG_PQ_INT96)
        return ((const eg_pq_bytes *)array)[i];
    size_t width = eg_pq_value_bytes((int32_t)c->type);
    return (eg_pq_bytes){(const uint8_t *)array + i * width, (uint32_t)width};
}

/* Whether bounds are checked: those of types whose values all compare. */
static bool has_order(const eg_pq_column *c) {
    return c->has_order &&
           (c->type == EG_PQ_INT32 || c->type == EG_PQ_INT64 || c->type == EG_PQ_BYTE_ARRAY);
}

/* ---- What stands beside the pages ---------------------------------------- */

static eg_status check_bloom(const verifier *v, eg_err *err) {
    eg_pq_bloom bloom;
    eg_status rc = eg_pq_bloom_find(v->file, v->group, v->number, &bloom, err);
    if (rc != EG_OK || v->dictionary == NULL)
        return rc == EG_DONE ? EG_OK : rc;
    size_t n_bytes = (size_t)bloom.n_blocks * EG_PQ_BLOOM_BLOCK;
    uint8_t *blocks = malloc(n_bytes);
    if (blocks == NULL)
        return eg_fail_nomem(err, "a Bloom filter");
    rc = eg_pq_file_read(v->file, bloom.offset, blocks, n_bytes, err);
    for (uint32_t i = 0; rc == EG_OK && i < v->dictionary->n_entries; i++) {
        eg_pq_bytes value = plain(v->column, v->dictionary->values.any, i);
        uint64_t hash = eg_pq_bloom_hash(value.data, value.n_bytes);
        uint32_t block = eg_pq_bloom_block(hash, bloom.n_blocks);
        if (!eg_pq_bloom_test(blocks + (size_t)block * EG_PQ_BLOOM_BLOCK, hash))
            rc = fail(v, "the Bloom filter does not know a value of the dictionary", err);
    }
    free(blocks);
    return rc;
}

/* The key that an entry of the dictionary should have. */
static bool key_of_entry(const verifier *v, uint32_t i, int64_t *key) {
    const eg_pq_column *c = v->column;
    const eg_pq_bytes *text;
    uint32_t addr;
    switch (c->type) {
    case EG_PQ_INT32:
        *key = ((const int32_t *)v->dictionary->values.any)[i];
        if (c->logical == EG_PQ_LOGICAL_INT && !c->is_signed)
            *key = (uint32_t)*key;
        return true;
    case EG_PQ_INT64:
        *key = ((const int64_t *)v->dictionary->values.any)[i];
        return true;
    case EG_PQ_BYTE_ARRAY:
        text = &v->dictionary->values.bytes[i];
        if (!eg_ip4_parse((const char *)text->data, text->n_bytes, &addr))
            return false;
        *key = eg_ip4_text_key(addr);
        return true;
    default:
        return false;
    }
}

static eg_status check_keys(verifier *v, eg_err *err) {
    if (v->dictionary == NULL)
        return EG_OK;
    eg_status rc = eg_shard_keys_read(&v->keys, v->file, v->group, v->number,
                                      v->dictionary->n_entries, INT64_MIN, INT64_MAX, err);
    if (rc == EG_OK)
        rc = eg_shard_keys_decode(&v->keys, err);
    for (uint32_t i = 0; rc == EG_OK && i < v->dictionary->n_entries; i++) {
        int64_t key;
        if (!key_of_entry(v, i, &key) || v->keys.first + v->keys.all[i] != key)
            rc = fail(v, "a key is not that of the dictionary's entry", err);
    }
    return rc == EG_DONE ? EG_OK : rc;
}

/* Holds the parts of a dictionary that are in its own page against the entries. */
static eg_status check_plain(verifier *v, eg_err *err) {
    eg_shard_parts *p = &v->keys.parts;
    if (v->dictionary == NULL || v->dictionary->n_entries == 0)
        return EG_OK;
    eg_status rc = eg_shard_parts_read(p, v->file, v->group, v->number, EG_PLAIN_KEY,
                                       v->dictionary->n_entries, err);
    if (rc != EG_OK)
        return rc == EG_DONE ? EG_OK : rc;
    if (v->column->type != EG_PQ_INT32)
        return fail(v, "parts of a dictionary that is not of INT32", err);
    return eg_shard_plain_check(p, v->dictionary->values.any, err);
}

static eg_status check_weights(verifier *v, eg_err *err) {
    eg_status rc = eg_shard_weights_read(&v->weights[0], v->file, v->group, v->number, err);
    v->has_weights = v->has_weights || rc == EG_OK;
    return rc == EG_DONE ? EG_OK : rc;
}

/* ---- Values and their bounds ---------------------------------------------- */

#define EXTREMES(name, type)                                                                       \
    static void name(const type *values, uint32_t n, size_t *lo, size_t *hi) {                     \
        *lo = *hi = 0;                                                                             \
        for (uint32_t i = 1; i < n; i++) {                                                         \
            *lo = values[i] < values[*lo] ? i : *lo;                                               \
            *hi = values[i] > values[*hi] ? i : *hi;                                               \
        }                                                                                          \
    }
EXTREMES(extremes_u32, uint32_t)
EXTREMES(extremes_i32, int32_t)
EXTREMES(extremes_u64, uint64_t)
EXTREMES(extremes_i64, int64_t)

/* The least and the largest value of rows of which at least one is not NULL. */
static void extremes(const verifier *v, const eg_pq_vector *rows, eg_pq_bytes *lo,
                     eg_pq_bytes *hi) {
    const eg_pq_column *c = v->column;
    const void *array = rows->has_codes ? v->dictionary->values.any : rows->values.any;
    bool is_unsigned = c->logical == EG_PQ_LOGICAL_INT && !c->is_signed;
    size_t a = 0, b = 0;
    if (rows->n_nulls == 0 && rows->has_codes && v->ascends) {
        extremes_u32(rows->values.codes, rows->n_rows, &a, &b);
        a = rows->values.codes[a];
        b = rows->values.codes[b];
    } else if (rows->n_nulls == 0 && !rows->has_codes && c->type == EG_PQ_INT32) {
        if (is_unsigned)
            extremes_u32(array, rows->n_rows, &a, &b);
        else
            extremes_i32(array, rows->n_rows, &a, &b);
    } else if (rows->n_nulls == 0 && !rows->has_codes && c->type == EG_PQ_INT64) {
        if (is_unsigned)
            extremes_u64(array, rows->n_rows, &a, &b);
        else
            extremes_i64(array, rows->n_rows, &a, &b);
    } else {
        bool is_first = true;
        for (uint32_t i = 0; i < rows->n_rows; i++) {
            if (rows->valid != NULL && !rows->valid[i])
                continue;
            size_t at = rows->has_codes ? rows->values.codes[i] : i;
            eg_pq_bytes value = plain(c, array, at);
            if (is_first || eg_pq_column_compare(c, value, plain(c, array, a)) < 0)
                a = at;
            if (is_first || eg_pq_column_compare(c, value, plain(c, array, b)) > 0)
                b = at;
            is_first = false;
        }
    }
    *lo = plain(c, array, a);
    *hi = plain(c, array, b);
}

static bool hold(const eg_pq_column *c, const eg_pq_bounds *b, eg_pq_bytes lo, eg_pq_bytes hi) {
    return (!b->has_min || eg_pq_column_compare(c, b->min, lo) <= 0) &&
           (!b->has_max || eg_pq_column_compare(c, b->max, hi) >= 0);
}

static bool dictionary_ascends(const verifier *v) {
    for (uint32_t i = 1; i < v->dictionary->n_entries; i++)
        if (eg_pq_column_compare(v->column, plain(v->column, v->dictionary->values.any, i - 1),
                                 plain(v->column, v->dictionary->values.any, i)) >= 0)
            return false;
    return true;
}

/* Reads all rows. index is closed where there is none. */
static eg_status check_rows(verifier *v, const eg_pq_index *index, eg_err *err) {
    const eg_pq_index_page *page = index->pages;
    eg_pq_bounds chunk;
    eg_pq_vector rows;
    eg_status rc;
    int64_t n_nulls = 0;
    eg_pq_file_bounds(v->file, v->group, v->number, &chunk);
    while ((rc = eg_pq_reader_next(v->reader, SLICE_ROWS, &rows, err)) == EG_OK) {
        while (page != NULL && page + 1 < index->pages + index->n_pages &&
               page[1].first_row <= rows.first_row)
            page++;
        if (page != NULL && rows.first_row + rows.n_rows > page->first_row + page->n_rows)
            return fail(v, "the page index does not hold for the pages", err);
        n_nulls += rows.n_nulls;
        if (rows.n_nulls == rows.n_rows || !has_order(v->column))
            continue;
        eg_pq_bytes lo, hi;
        extremes(v, &rows, &lo, &hi);
        if (!hold(v->column, &chunk, lo, hi))
            return fail(v, "a value outside of the statistics", err);
        const eg_pq_index_bounds *b =
            index->bounds != NULL ? &index->bounds[page - index->pages] : NULL;
        if (b != NULL && (b->is_null_page || !hold(v->column, &b->bounds, lo, hi)))
            return fail(v, "a value outside of the page index's bounds", err);
    }
    if (rc == EG_DONE && chunk.null_count >= 0 && chunk.null_count != n_nulls)
        return fail(v, "the statistics count other NULLs", err);
    return rc == EG_DONE ? EG_OK : rc;
}

static eg_status check_chunk(verifier *v, eg_err *err) {
    eg_pq_index index = {0};
    v->column = eg_pq_file_column(v->file, v->number);
    v->dictionary = NULL;
    eg_status rc = v->reader == NULL
                       ? eg_pq_reader_open(v->file, v->group, v->number, v->codec, &v->reader, err)
                       : eg_pq_reader_restart(v->reader, v->file, v->group, v->number, err);
    if (rc == EG_OK && (rc = eg_pq_reader_dictionary(v->reader, &v->dictionary, err)) == EG_DONE)
        rc = EG_OK;
    v->ascends = v->dictionary != NULL && has_order(v->column) && dictionary_ascends(v);
    if (rc == EG_OK)
        rc = check_bloom(v, err);
    if (rc == EG_OK)
        rc = check_keys(v, err);
    if (rc == EG_OK)
        rc = check_plain(v, err);
    if (rc == EG_OK)
        rc = check_weights(v, err);
    if (rc == EG_OK &&
        (rc = eg_pq_index_open(v->file, v->group, v->number, &index, err)) == EG_DONE)
        rc = EG_OK;
    if (rc == EG_OK)
        rc = check_rows(v, &index, err);
    eg_pq_index_close(&index);
    return rc;
}

/* ---- Weights and what rows sum up to --------------------------------------- */

static const char *const weighed[2] = {"srcaddr", "dstaddr"};

/* The sums of a row group, by piece, against its weights. */
static eg_status check_group_sums(verifier *v, eg_piece *piece, eg_batch *b, eg_weight_sums *sums,
                                  eg_err *err) {
    eg_status rc;
    for (int k = 0; k < 2; k++) {
        v->number = (uint32_t)eg_pq_file_find(v->file, weighed[k], strlen(weighed[k]));
        rc = eg_shard_weights_read(&v->weights[k], v->file, v->group, v->number, err);
        if (rc != EG_OK && rc != EG_DONE)
            return rc;
    }
    memset(sums, 0, 2 * EG_WEIGHT_BUCKETS * sizeof *sums);
    while ((rc = piece->ops->next(piece, b, err)) == EG_OK) {
        if (b->nulls != NULL)
            return fail(v, "weights of rows with NULLs", err);
        for (int k = 0; k < 2; k++)
            eg_shard_weights_sum(sums + k * EG_WEIGHT_BUCKETS, v->weights[k].n_bits,
                                 k == 0 ? b->v.SRCADDR : b->v.DSTADDR, b->v.BYTES, b->v.PACKETS,
                                 NULL, b->n_rows);
    }
    for (int k = 0; rc == EG_DONE && k < 2; k++) {
        const eg_shard_weights *w = &v->weights[k];
        v->number = (uint32_t)eg_pq_file_find(v->file, weighed[k], strlen(weighed[k]));
        for (size_t i = 0; w->codes != NULL && i < (size_t)EG_N_WEIGHTS << w->n_bits; i++) {
            const eg_weight_sums *sum =
                &sums[k * EG_WEIGHT_BUCKETS + (i & ((1u << w->n_bits) - 1))];
            if (sum->of[i >> w->n_bits] > eg_shard_weights_of_code(w->codes[i]))
                return fail(v, "rows sum up to more than the weights say", err);
        }
    }
    return rc == EG_DONE ? EG_OK : rc;
}

/* Reads the rows of the four columns once more, all columns of a row group at a time. */
static eg_status check_sums(verifier *v, eg_poll poll, eg_err *err) {
    const eg_vector_set vectors = EG_VECTOR_BIT(EG_VEC_SRCADDR) | EG_VECTOR_BIT(EG_VEC_DSTADDR) |
                                  EG_VECTOR_BIT(EG_VEC_BYTES) | EG_VECTOR_BIT(EG_VEC_PACKETS);
    eg_shard_list list = {0};
    eg_intern *texts = NULL;
    eg_source *source = NULL;
    eg_piece *piece;
    eg_batch b = {0};
    eg_weight_sums *sums = malloc(2 * EG_WEIGHT_BUCKETS * sizeof *sums);
    eg_status rc = sums != NULL ? EG_OK : eg_fail_nomem(err, "weights");
    if (rc == EG_OK)
        rc = eg_intern_open(&texts, err);
    if (rc == EG_OK)
        rc = eg_batch_open(&b, vectors, texts, err);
    if (rc == EG_OK)
        rc = eg_shard_list_add(&list, eg_pq_file_name(v->file), NULL, err);
    eg_scan_spec spec = {.vectors = vectors, .texts = texts, .poll = poll};
    if (rc == EG_OK)
        rc = eg_shard_source_open(&list, &spec, &source, err);
    for (v->group = 0; rc == EG_OK && v->group < eg_pq_file_row_groups(v->file); v->group++) {
        if (eg_pq_file_row_group(v->file, v->group)->num_rows == 0)
            continue;
        rc = source->ops->next_piece(source, &piece, err);
        if (rc != EG_OK)
            break;
        if (poll.poll != NULL && poll.poll(poll.arg))
            rc = eg_fail(err, EG_INTERRUPT, -1, "interrupted");
        else
            rc = check_group_sums(v, piece, &b, sums, err);
        piece->ops->close(piece, NULL);
    }
    if (source != NULL)
        source->ops->close(source, NULL);
    eg_shard_list_close(&list);
    eg_batch_close(&b);
    eg_intern_close(texts);
    free(sums);
    return rc == EG_DONE ? EG_OK : rc;
}

/* Whether the file has all columns that weights are about. */
static bool is_weighed(const verifier *v) {
    static const char *const names[] = {"srcaddr", "dstaddr", "bytes", "packets"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (eg_pq_file_find(v->file, names[i], strlen(names[i])) < 0)
            return false;
    return v->has_weights;
}

/* ---- The file -------------------------------------------------------------- */

/* Widens [*min, *max] by the statistics of a column of milliseconds. False where it is none. */
static bool take_times(const eg_pq_file *f, const char *name, int64_t *min, int64_t *max) {
    int64_t column = eg_pq_file_find(f, name, strlen(name));
    if (column < 0)
        return false;
    const eg_pq_column *c = eg_pq_file_column(f, (uint32_t)column);
    if (c->type != EG_PQ_INT64 || c->logical != EG_PQ_LOGICAL_TIMESTAMP || c->unit != EG_PQ_MILLIS)
        return false;
    for (uint32_t g = 0; g < eg_pq_file_row_groups(f); g++) {
        eg_pq_bounds b;
        eg_pq_file_bounds(f, g, (uint32_t)column, &b);
        if (!b.has_min || !b.has_max)
            return false;
        int64_t lo = (int64_t)eg_le64(b.min.data), hi = (int64_t)eg_le64(b.max.data);
        *min = lo < *min ? lo : *min;
        *max = hi > *max ? hi : *max;
    }
    return eg_pq_file_row_groups(f) > 0;
}

static eg_status hash_file(const eg_pq_file *f, uint64_t *hash, eg_err *err) {
    XXH3_state_t *state = XXH3_createState();
    uint8_t *block = malloc(HASH_BLOCK);
    eg_status rc = state != NULL && block != NULL ? EG_OK : eg_fail_nomem(err, "a hash");
    if (rc == EG_OK)
        (void)XXH3_64bits_reset(state);
    int64_t end = eg_pq_file_bytes(f);
    for (int64_t at = 0; rc == EG_OK && at < end; at += HASH_BLOCK) {
        size_t n = end - at < HASH_BLOCK ? (size_t)(end - at) : HASH_BLOCK;
        rc = eg_pq_file_read(f, at, block, n, err);
        if (rc == EG_OK)
            (void)XXH3_64bits_update(state, block, n);
    }
    if (rc == EG_OK)
        *hash = XXH3_64bits_digest(state);
    (void)XXH3_freeState(state);
    free(block);
    return rc;
}

eg_status eg_shard_verify(const char *path, eg_poll poll, eg_shard_facts *facts, eg_err *err) {
    verifier v = {0};
    *facts = (eg_shard_facts){.min_start_ms = INT64_MAX,
                              .max_start_ms = INT64_MIN,
                              .min_end_ms = INT64_MAX,
                              .max_end_ms = INT64_MIN};
    eg_status rc = eg_pq_file_open(path, &v.file, err);
    if (rc == EG_OK)
        rc = eg_pq_codec_open(&v.codec, err);
    for (v.group = 0; rc == EG_OK && v.group < eg_pq_file_row_groups(v.file); v.group++)
        for (v.number = 0; rc == EG_OK && v.number < eg_pq_file_columns(v.file); v.number++)
            if (poll.poll != NULL && poll.poll(poll.arg))
                rc = eg_fail(err, EG_INTERRUPT, -1, "interrupted");
            else
                rc = check_chunk(&v, err);
    if (rc == EG_OK && is_weighed(&v))
        rc = check_sums(&v, poll, err);
    if (rc == EG_OK)
        rc = hash_file(v.file, &facts->hash, err);
    if (rc == EG_OK) {
        facts->n_bytes = eg_pq_file_bytes(v.file);
        facts->n_rows = eg_pq_file_rows(v.file);
        facts->has_times =
            take_times(v.file, "start_time", &facts->min_start_ms, &facts->max_start_ms) &&
            take_times(v.file, "end_time", &facts->min_end_ms, &facts->max_end_ms);
    }
    eg_pq_reader_close(v.reader);
    eg_shard_keys_close(&v.keys);
    eg_shard_weights_close(&v.weights[0]);
    eg_shard_weights_close(&v.weights[1]);
    eg_pq_codec_close(v.codec);
    eg_pq_file_close(v.file);
    return rc;
}
