/*
** Builds small Parquet files in memory for the tests: pages of any encoding, codec
** and version, with or without CRC, index and dictionary. What the caller passes
** is borrowed until pb_close.
*/
#ifndef PQ_BUILD_H
#define PQ_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "parquet/pq_codec.h"
#include "parquet/pq_delta.h"
#include "parquet/pq_encoding.h"
#include "parquet/pq_rle.h"

#define PB_COLUMNS 8
#define PB_GROUPS 4
#define PB_PAGES 64

typedef struct pb {
    eg_pq_buffer out; /* the file */
    eg_pq_codec *codec;
    eg_pq_schema_element schema[1 + PB_COLUMNS];
    uint32_t n_columns, n_groups;
    eg_pq_row_group groups[PB_GROUPS];
    eg_pq_chunk chunks[PB_GROUPS][PB_COLUMNS];
    eg_pq_encoding_stats stats[PB_GROUPS][PB_COLUMNS][2];
    eg_pq_page_location pages[PB_GROUPS][PB_COLUMNS][PB_PAGES];
    bool is_null_page[PB_GROUPS][PB_COLUMNS][PB_PAGES];
    int64_t nulls[PB_GROUPS][PB_COLUMNS][PB_PAGES];
    bool has_nulls[PB_COLUMNS]; /* write nulls[] of a column into its index */
    eg_pq_bytes min[PB_GROUPS][PB_COLUMNS][PB_PAGES], max[PB_GROUPS][PB_COLUMNS][PB_PAGES];
    uint32_t n_pages[PB_GROUPS][PB_COLUMNS];
    uint32_t column;            /* whose chunk is being written */
    int32_t compression;        /* of that chunk */
    bool no_index;              /* leave the page index out */
    bool no_bounds[PB_COLUMNS]; /* leave the column index of a column out */
    bool no_crc;
    bool no_orders; /* leave the column orders out */
    eg_pq_file_meta meta;
} pb;

typedef struct pb_page {
    bool is_v2;
    int32_t encoding;
    uint32_t n_rows;
    const uint8_t *valid; /* [n_rows], NULL: all */
    const void *values;   /* [n_values], the type's array, or uint32_t codes */
    uint32_t n_values;    /* not NULL */
    uint32_t bit_width;   /* of codes */
} pb_page;

static inline eg_pq_bytes pb_text(const char *text) {
    return (eg_pq_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static inline void pb_open(pb *b) {
    memset(b, 0, sizeof *b);
    eg_pq_codec_open(&b->codec, NULL);
    eg_pq_buffer_put(&b->out, "PAR1", 4);
    b->schema[0] =
        (eg_pq_schema_element){.repetition = -1, .converted = -1, .name = pb_text("root")};
    b->meta.version = 1;
    b->meta.created_by = pb_text("earlgrey tests");
}

static inline void pb_close(pb *b) {
    eg_pq_buffer_free(&b->out);
    eg_pq_codec_close(b->codec);
}

static inline eg_pq_schema_element *pb_column(pb *b, const char *name, eg_pq_type type,
                                              bool is_optional) {
    eg_pq_schema_element *e = &b->schema[++b->n_columns];
    *e = (eg_pq_schema_element){.has_type = true,
                                .type = type,
                                .type_length = type == EG_PQ_FIXED ? 5 : 0,
                                .repetition = is_optional ? EG_PQ_OPTIONAL : EG_PQ_REQUIRED,
                                .converted = -1,
                                .name = pb_text(name)};
    return e;
}

static inline void pb_group(pb *b, int64_t n_rows) {
    b->groups[b->n_groups++] = (eg_pq_row_group){
        .num_rows = n_rows, .total_compressed_bytes = -1, .ordinal = (int16_t)(b->n_groups)};
    b->meta.num_rows += n_rows;
    b->column = UINT32_MAX;
}

/* Starts the chunk of the next column. */
static inline eg_pq_chunk *pb_chunk(pb *b, int32_t compression) {
    uint32_t g = b->n_groups - 1;
    eg_pq_chunk *k = &b->chunks[g][++b->column];
    *k = (eg_pq_chunk){
        .has_meta = true,
        .type = b->schema[b->column + 1].type,
        .codec = compression,
        .path = &b->schema[b->column + 1].name,
        .n_path = 1,
        .num_values = b->groups[g].num_rows,
        .statistics = {.null_count = -1, .distinct_count = -1, .max_exact = -1, .min_exact = -1}};
    b->compression = compression;
    return k;
}

static inline eg_pq_chunk *pb_current(pb *b) {
    return &b->chunks[b->n_groups - 1][b->column];
}

/* Appends a page: its header with sizes and CRC, n_levels bytes that stay as they
** are, and the rest compressed. */
static inline void pb_put(pb *b, eg_pq_page_header *h, const eg_pq_buffer *body, size_t n_levels) {
    eg_pq_buffer page = {0};
    eg_pq_buffer_put(&page, body->data, n_levels);
    eg_pq_compress(b->codec, b->compression, 0, body->data == NULL ? NULL : body->data + n_levels,
                   body->n_bytes - n_levels, &page, NULL);
    h->uncompressed_bytes = (int32_t)body->n_bytes;
    h->compressed_bytes = (int32_t)page.n_bytes;
    h->has_crc = !b->no_crc;
    h->crc = page.n_bytes > 0 ? (uint32_t)crc32(0, page.data, (uInt)page.n_bytes) : 0;
    eg_pq_encode_page_header(&b->out, h);
    eg_pq_buffer_put(&b->out, page.data, page.n_bytes);
    eg_pq_buffer_free(&page);
}

static inline void pb_dictionary(pb *b, const void *values, uint32_t n) {
    eg_pq_chunk *k = pb_current(b);
    eg_pq_buffer body = {0};
    eg_pq_page_header h = {.type = EG_PQ_DICTIONARY_PAGE, .num_values = (int32_t)n};
    eg_pq_plain_encode(&body, k->type, values, n);
    k->dictionary_page_offset = (int64_t)b->out.n_bytes;
    pb_put(b, &h, &body, 0);
    eg_pq_buffer_free(&body);
}

/* The encodings that only the tests write, plainly. */
static inline void pb_delta_lengths(eg_pq_buffer *out, const eg_pq_bytes *v, uint32_t n) {
    int32_t *lengths = calloc(n + 1, sizeof *lengths);
    for (uint32_t i = 0; i < n; i++)
        lengths[i] = (int32_t)v[i].n_bytes;
    eg_pq_delta_encode_int32(out, lengths, n);
    for (uint32_t i = 0; i < n; i++)
        eg_pq_buffer_put(out, v[i].data, v[i].n_bytes);
    free(lengths);
}

static inline void pb_delta_texts(eg_pq_buffer *out, const eg_pq_bytes *v, uint32_t n) {
    int32_t *prefix = calloc(n + 1, sizeof *prefix);
    eg_pq_bytes *suffix = calloc(n + 1, sizeof *suffix);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t same = 0;
        if (i > 0 && v[i].data == v[i - 1].data) /* one text at two lengths: nothing to compare */
            same = v[i].n_bytes < v[i - 1].n_bytes ? v[i].n_bytes : v[i - 1].n_bytes;
        while (i > 0 && same < v[i].n_bytes && same < v[i - 1].n_bytes &&
               v[i].data[same] == v[i - 1].data[same])
            same++;
        prefix[i] = (int32_t)same;
        suffix[i] = (eg_pq_bytes){v[i].data + same, v[i].n_bytes - same};
    }
    eg_pq_delta_encode_int32(out, prefix, n);
    pb_delta_lengths(out, suffix, n);
    free(prefix);
    free(suffix);
}

static inline void pb_split(eg_pq_buffer *out, int32_t type, const void *values, uint32_t n) {
    eg_pq_buffer plain = {0};
    eg_pq_plain_encode(&plain, type, values, n);
    size_t width = n > 0 ? plain.n_bytes / n : 0;
    for (size_t k = 0; k < width; k++) {
        for (uint32_t i = 0; i < n; i++)
            eg_pq_buffer_put_byte(out, plain.data[i * width + k]);
    }
    eg_pq_buffer_free(&plain);
}

static inline void pb_values(eg_pq_buffer *out, int32_t type, const pb_page *p) {
    eg_pq_buffer bits = {0};
    switch (p->encoding) {
    case EG_PQ_PLAIN:
        eg_pq_plain_encode(out, type, p->values, p->n_values);
        break;
    case EG_PQ_PLAIN_DICTIONARY:
    case EG_PQ_RLE_DICTIONARY:
        eg_pq_buffer_put_byte(out, (uint8_t)p->bit_width);
        if (p->n_values > 0)
            eg_pq_rle_encode(out, p->values, p->n_values, p->bit_width);
        break;
    case EG_PQ_RLE: {
        uint32_t *wide = calloc(p->n_values + 1, sizeof *wide);
        for (uint32_t i = 0; i < p->n_values; i++)
            wide[i] = ((const uint8_t *)p->values)[i];
        eg_pq_rle_encode(&bits, wide, p->n_values, 1);
        eg_pq_buffer_put_le32(out, (uint32_t)bits.n_bytes);
        eg_pq_buffer_put(out, bits.data, bits.n_bytes);
        free(wide);
        break;
    }
    case EG_PQ_DELTA_BINARY_PACKED:
        if (type == EG_PQ_INT32)
            eg_pq_delta_encode_int32(out, p->values, p->n_values);
        else
            eg_pq_delta_encode_int64(out, p->values, p->n_values);
        break;
    case EG_PQ_DELTA_LENGTH_BYTE_ARRAY:
        pb_delta_lengths(out, p->values, p->n_values);
        break;
    case EG_PQ_DELTA_BYTE_ARRAY:
        pb_delta_texts(out, p->values, p->n_values);
        break;
    case EG_PQ_BYTE_STREAM_SPLIT:
        pb_split(out, type, p->values, p->n_values);
        break;
    }
    eg_pq_buffer_free(&bits);
}

static inline void pb_data(pb *b, const pb_page *p) {
    eg_pq_chunk *k = pb_current(b);
    uint32_t g = b->n_groups - 1, c = b->column;
    bool is_optional = b->schema[c + 1].repetition == EG_PQ_OPTIONAL;
    eg_pq_buffer body = {0}, levels = {0};
    int64_t at = (int64_t)b->out.n_bytes;
    if (is_optional) {
        uint32_t *wide = calloc(p->n_rows + 1, sizeof *wide);
        for (uint32_t i = 0; i < p->n_rows; i++)
            wide[i] = p->valid == NULL || p->valid[i] != 0;
        eg_pq_rle_encode(&levels, wide, p->n_rows, 1);
        free(wide);
    }
    if (is_optional && !p->is_v2)
        eg_pq_buffer_put_le32(&body, (uint32_t)levels.n_bytes);
    eg_pq_buffer_put(&body, levels.data, levels.n_bytes);
    pb_values(&body, k->type, p);
    eg_pq_page_header h = {.type = p->is_v2 ? EG_PQ_DATA_PAGE_V2 : EG_PQ_DATA_PAGE,
                           .num_values = (int32_t)p->n_rows,
                           .num_rows = (int32_t)p->n_rows,
                           .num_nulls = (int32_t)(p->n_rows - p->n_values),
                           .encoding = p->encoding,
                           .level_encoding = EG_PQ_RLE,
                           .definition_bytes = (int32_t)levels.n_bytes,
                           .is_compressed = true};
    if (k->data_page_offset == 0)
        k->data_page_offset = at;
    pb_put(b, &h, &body, p->is_v2 ? levels.n_bytes : 0);
    uint32_t n = b->n_pages[g][c]++;
    int64_t first = n > 0 ? b->pages[g][c][n].first_row : 0;
    b->pages[g][c][n] = (eg_pq_page_location){at, (int32_t)((int64_t)b->out.n_bytes - at), first};
    b->pages[g][c][n + 1].first_row = first + p->n_rows;
    b->is_null_page[g][c][n] = p->n_values == 0;
    b->nulls[g][c][n] = p->n_rows - p->n_values;
    eg_pq_buffer_free(&body);
    eg_pq_buffer_free(&levels);
}

/* Ends the chunk: its size, from its first page on. */
static inline void pb_end(pb *b) {
    eg_pq_chunk *k = pb_current(b);
    int64_t from = k->dictionary_page_offset != 0 ? k->dictionary_page_offset : k->data_page_offset;
    k->total_compressed_bytes = (int64_t)b->out.n_bytes - from;
    k->total_uncompressed_bytes = k->total_compressed_bytes;
}

/* Writes index and footer. */
static inline void pb_finish(pb *b) {
    static const bool orders[PB_COLUMNS] = {true, true, true, true, true, true, true, true};
    for (uint32_t g = 0; g < b->n_groups; g++) {
        for (uint32_t c = 0; c < b->n_columns && !b->no_index; c++) {
            eg_pq_chunk *k = &b->chunks[g][c];
            eg_pq_offset_index o = {b->pages[g][c], b->n_pages[g][c]};
            eg_pq_column_index x = {.is_null_page = b->is_null_page[g][c],
                                    .min_values = b->min[g][c],
                                    .max_values = b->max[g][c],
                                    .null_counts = b->has_nulls[c] ? b->nulls[g][c] : NULL,
                                    .n_pages = b->n_pages[g][c]};
            if (!b->no_bounds[c]) {
                k->column_index_offset = (int64_t)b->out.n_bytes;
                eg_pq_encode_column_index(&b->out, &x);
                k->column_index_length =
                    (int32_t)((int64_t)b->out.n_bytes - k->column_index_offset);
            }
            k->offset_index_offset = (int64_t)b->out.n_bytes;
            eg_pq_encode_offset_index(&b->out, &o);
            k->offset_index_length = (int32_t)((int64_t)b->out.n_bytes - k->offset_index_offset);
        }
        b->groups[g].chunks = b->chunks[g];
        b->groups[g].n_chunks = b->n_columns;
    }
    b->schema[0].n_children = (int32_t)b->n_columns;
    b->meta.schema = b->schema;
    b->meta.n_schema = b->n_columns + 1;
    b->meta.row_groups = b->groups;
    b->meta.n_row_groups = b->n_groups;
    b->meta.has_type_order = orders;
    b->meta.n_column_orders = b->no_orders ? 0 : b->n_columns;
    size_t at = b->out.n_bytes;
    eg_pq_encode_file_meta(&b->out, &b->meta);
    eg_pq_buffer_put_le32(&b->out, (uint32_t)(b->out.n_bytes - at));
    eg_pq_buffer_put(&b->out, "PAR1", 4);
}

/* Bytes as a file without a name; -1 where that fails. */
static inline int pb_file(const void *bytes, size_t n) {
    int fd = memfd_create("test.parquet", MFD_CLOEXEC);
    if (fd >= 0 && n > 0 && pwrite(fd, bytes, n, 0) != (ssize_t)n) {
        close(fd);
        fd = -1;
    }
    return fd;
}

#endif
