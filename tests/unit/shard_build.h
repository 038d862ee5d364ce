/*
** Writes small Parquet files of flow columns for the tests, on top of pq_build.h: a
** table of numbers as a batch would have them, each column in a type, encoding and
** with the statistics, index and Bloom filter of the caller's choice.
*/
#ifndef SHARD_BUILD_H
#define SHARD_BUILD_H

#include <stdio.h>

#include "flow/schema.h"
#include "parquet/pq_arena.h"
#include "parquet/pq_bloom.h"
#include "parquet/shard_column.h"
#include "pq_build.h"

typedef enum sb_type {
    SB_I32,
    SB_U32, /* annotated UINT_32 */
    SB_I64,
    SB_U64,
    SB_TRUTH,
    SB_FLOAT,
    SB_DOUBLE,
    SB_DECIMAL, /* FIXED(5), DECIMAL(9, 0) */
    SB_MS,
    SB_US,
    SB_NS,
    SB_INT96,
    SB_IP4,   /* dotted text */
    SB_PROTO, /* lower case keyword or digits, whichever the row's number says */
    SB_TEXT,  /* sb_texts[number] */
    SB_N_TYPES
} sb_type;

static const char *const sb_texts[] = {"10.0.0.1", "2001:db8::1", "", "z", "10.0.0.2"};
#define SB_TEXTS 5

#define SB_NULL INT64_MIN

typedef struct sb_field {
    const char *name;
    sb_type type;
    bool is_optional, is_v2;
    bool has_dictionary;
    uint32_t n_plain_pages; /* last pages of a group that are PLAIN in spite of it */
    uint32_t code_bits;     /* of its codes, where no more are needed; 0: 16 */
    bool has_bounds;        /* statistics, and bounds in the page index */
    bool no_null_counts;    /* in the statistics */
    bool has_bloom;
    int32_t compression;
} sb_field;

typedef struct sb {
    pb file;
    const sb_field *fields; /* [n_fields], at most PB_COLUMNS */
    uint32_t n_fields, page_rows;
    eg_pq_arena arena;
} sb;

static inline void *sb_take(sb *b, size_t n, size_t element_bytes) {
    void *p = NULL;
    if (eg_pq_arena_take(&b->arena, n, element_bytes, &p, NULL) != EG_OK)
        abort();
    return p;
}

static inline eg_pq_type sb_physical(sb_type type) {
    static const eg_pq_type types[SB_N_TYPES] = {
        [SB_I32] = EG_PQ_INT32,      [SB_U32] = EG_PQ_INT32,        [SB_I64] = EG_PQ_INT64,
        [SB_U64] = EG_PQ_INT64,      [SB_TRUTH] = EG_PQ_BOOLEAN,    [SB_FLOAT] = EG_PQ_FLOAT,
        [SB_DOUBLE] = EG_PQ_DOUBLE,  [SB_DECIMAL] = EG_PQ_FIXED,    [SB_MS] = EG_PQ_INT64,
        [SB_US] = EG_PQ_INT64,       [SB_NS] = EG_PQ_INT64,         [SB_INT96] = EG_PQ_INT96,
        [SB_IP4] = EG_PQ_BYTE_ARRAY, [SB_PROTO] = EG_PQ_BYTE_ARRAY, [SB_TEXT] = EG_PQ_BYTE_ARRAY,
    };
    return types[type];
}

static inline void sb_annotate(eg_pq_schema_element *e, sb_type type) {
    eg_pq_logical_type *t = &e->logical;
    switch (type) {
    case SB_U32:
    case SB_U64:
        t->id = EG_PQ_LOGICAL_ID_INTEGER;
        t->bits = type == SB_U32 ? 32 : 64;
        break;
    case SB_DECIMAL:
        t->id = EG_PQ_LOGICAL_ID_DECIMAL;
        t->precision = 9;
        e->converted = EG_PQ_CONVERTED_DECIMAL;
        e->precision = 9;
        break;
    case SB_MS:
    case SB_US:
    case SB_NS:
        t->id = EG_PQ_LOGICAL_ID_TIMESTAMP;
        t->is_utc = true;
        t->unit = (int16_t)(type == SB_MS   ? EG_PQ_MILLIS
                            : type == SB_US ? EG_PQ_MICROS
                                            : EG_PQ_NANOS);
        break;
    case SB_IP4:
    case SB_PROTO:
    case SB_TEXT:
        t->id = EG_PQ_LOGICAL_ID_STRING;
        break;
    default:
        break;
    }
}

static inline void sb_open(sb *b, const sb_field *fields, uint32_t n_fields, uint32_t page_rows) {
    memset(b, 0, sizeof *b);
    b->arena.budget_bytes = SIZE_MAX;
    b->fields = fields;
    b->n_fields = n_fields;
    b->page_rows = page_rows;
    pb_open(&b->file);
    for (uint32_t i = 0; i < n_fields; i++) {
        b->file.no_bounds[i] = !fields[i].has_bounds;
        b->file.has_nulls[i] = !fields[i].no_null_counts;
    }
    for (uint32_t i = 0; i < n_fields; i++)
        sb_annotate(
            pb_column(&b->file, fields[i].name, sb_physical(fields[i].type), fields[i].is_optional),
            fields[i].type);
}

/* The element of the type's array that stands for a number. */
static inline void sb_value(sb *b, sb_type type, int64_t n, void *array, size_t i) {
    eg_pq_bytes *bytes = array;
    uint8_t *raw;
    switch (type) {
    case SB_I32:
    case SB_U32:
        ((int32_t *)array)[i] = (int32_t)n;
        break;
    case SB_I64:
    case SB_U64:
    case SB_MS:
        ((int64_t *)array)[i] = n;
        break;
    case SB_US: /* what is below the millisecond goes */
        ((int64_t *)array)[i] = n * 1000 + (n & 511);
        break;
    case SB_NS:
        ((int64_t *)array)[i] = n * 1000000 + (n & 0x7ffff);
        break;
    case SB_TRUTH:
        ((uint8_t *)array)[i] = n != 0;
        break;
    case SB_FLOAT:
        ((float *)array)[i] = (float)n;
        break;
    case SB_DOUBLE:
        ((double *)array)[i] = (double)n;
        break;
    case SB_DECIMAL:
        raw = sb_take(b, 5, 1);
        for (int k = 0; k < 5; k++)
            raw[k] = (uint8_t)((uint64_t)n >> (8 * (4 - k)));
        bytes[i] = (eg_pq_bytes){raw, 5};
        break;
    case SB_INT96: {
        int64_t day = (n >= 0 ? n : n - 86399999) / 86400000;
        uint64_t nanos = (uint64_t)(n - day * 86400000) * 1000000 + 7;
        uint32_t julian = (uint32_t)(day + 2440588);
        raw = sb_take(b, 12, 1);
        for (int k = 0; k < 8; k++)
            raw[k] = (uint8_t)(nanos >> (8 * k));
        for (int k = 0; k < 4; k++)
            raw[8 + k] = (uint8_t)(julian >> (8 * k));
        bytes[i] = (eg_pq_bytes){raw, 12};
        break;
    }
    case SB_IP4: {
        char *text = sb_take(b, EG_IP4_TEXT_MAX, 1);
        bytes[i] = (eg_pq_bytes){(uint8_t *)text, (uint32_t)eg_ip4_format((uint32_t)n, text)};
        break;
    }
    case SB_PROTO: {
        char *text = sb_take(b, EG_PROTO_TEXT_MAX, 1);
        size_t n_text = eg_proto_format((uint8_t)n, text);
        for (size_t k = 0; n % 2 == 0 && k < n_text; k++)
            text[k] |= text[k] >= 'A' && text[k] <= 'Z' ? 32 : 0;
        if (n % 5 == 0)
            n_text = (size_t)snprintf(text, EG_PROTO_TEXT_MAX, "%u", (unsigned)n & 255);
        bytes[i] = (eg_pq_bytes){(uint8_t *)text, (uint32_t)n_text};
        break;
    }
    case SB_TEXT:
        bytes[i] = pb_text(sb_texts[n]);
        break;
    case SB_N_TYPES:
        break;
    }
}

/* PLAIN bytes of a value, without a length. */
static inline eg_pq_bytes sb_plain(sb *b, sb_type type, int64_t n) {
    void *element = sb_take(b, 1, 16);
    sb_value(b, type, n, element, 0);
    eg_pq_type physical = sb_physical(type);
    if (physical == EG_PQ_BYTE_ARRAY || physical == EG_PQ_FIXED || physical == EG_PQ_INT96)
        return *(eg_pq_bytes *)element;
    return (eg_pq_bytes){element, physical == EG_PQ_INT64 || physical == EG_PQ_DOUBLE ? 8
                                  : physical == EG_PQ_BOOLEAN                         ? 1
                                                                                      : 4};
}

/* Whether a comes before b in the order of the column's type. */
static inline bool sb_before(sb *b, sb_type type, int64_t x, int64_t y) {
    if (sb_physical(type) != EG_PQ_BYTE_ARRAY)
        return x < y;
    eg_pq_bytes p = sb_plain(b, type, x), q = sb_plain(b, type, y);
    uint32_t n = p.n_bytes < q.n_bytes ? p.n_bytes : q.n_bytes;
    int c = n > 0 ? memcmp(p.data, q.data, n) : 0;
    return c != 0 ? c < 0 : p.n_bytes < q.n_bytes;
}

/* Smallest and largest of the values that are there; false where there is none. */
static inline bool sb_bounds(sb *b, sb_type type, const int64_t *v, uint32_t n, int64_t *min,
                             int64_t *max) {
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        if (v[i] == SB_NULL)
            continue;
        if (!any || sb_before(b, type, v[i], *min))
            *min = v[i];
        if (!any || sb_before(b, type, *max, v[i]))
            *max = v[i];
        any = true;
    }
    return any;
}

static inline void sb_put_page(sb *b, const sb_field *f, const int64_t *v, uint32_t n,
                               const int64_t *dictionary, uint32_t n_dictionary) {
    pb_page page = {.is_v2 = f->is_v2, .encoding = EG_PQ_PLAIN, .n_rows = n};
    uint8_t *valid = sb_take(b, n, 1);
    void *values = sb_take(b, n, 16);
    for (uint32_t i = 0; i < n; i++) {
        valid[i] = v[i] != SB_NULL;
        if (!valid[i])
            continue;
        if (n_dictionary > 0) {
            uint32_t code = 0;
            while (dictionary[code] != v[i])
                code++;
            ((uint32_t *)values)[page.n_values++] = code;
        } else {
            sb_value(b, f->type, v[i], values, page.n_values++);
        }
    }
    uint32_t needed = n_dictionary > 0 ? eg_pq_bit_width(n_dictionary - 1) : 0;
    page.bit_width = f->code_bits > 0 ? f->code_bits : 16;
    page.bit_width = page.bit_width > needed ? page.bit_width : needed;
    page.values = values;
    page.valid = f->is_optional ? valid : NULL;
    if (n_dictionary > 0)
        page.encoding = EG_PQ_RLE_DICTIONARY;
    uint32_t g = b->file.n_groups - 1, c = b->file.column, at = b->file.n_pages[g][c];
    int64_t min, max;
    if (f->has_bounds && sb_bounds(b, f->type, v, n, &min, &max)) {
        b->file.min[g][c][at] = sb_plain(b, f->type, min);
        b->file.max[g][c][at] = sb_plain(b, f->type, max);
    }
    pb_data(&b->file, &page);
}

static inline void sb_put_bloom(sb *b, const sb_field *f, const int64_t *v, uint32_t n) {
    uint32_t n_bytes = eg_pq_bloom_bytes(n, 17);
    uint8_t *bits = sb_take(b, n_bytes, 1);
    for (uint32_t i = 0; i < n; i++) {
        if (v[i] == SB_NULL)
            continue;
        eg_pq_bytes plain = sb_plain(b, f->type, v[i]);
        uint64_t hash = eg_pq_bloom_hash(plain.data, plain.n_bytes);
        eg_pq_bloom_set(bits + (size_t)EG_PQ_BLOOM_BLOCK *
                                   eg_pq_bloom_block(hash, n_bytes / EG_PQ_BLOOM_BLOCK),
                        hash);
    }
    eg_pq_bloom_header h = {.n_bytes = (int32_t)n_bytes, .is_split_block = true};
    pb_current(&b->file)->bloom_filter_offset = (int64_t)b->file.out.n_bytes;
    eg_pq_encode_bloom_header(&b->file.out, &h);
    eg_pq_buffer_put(&b->file.out, bits, n_bytes);
}

/* Appends a row group: columns[i][row] is the number of field i in the row. */
static inline void sb_group(sb *b, const int64_t *const *columns, uint32_t n_rows) {
    pb_group(&b->file, n_rows);
    for (uint32_t c = 0; c < b->n_fields; c++) {
        const sb_field *f = &b->fields[c];
        const int64_t *v = columns[c];
        eg_pq_chunk *k = pb_chunk(&b->file, f->compression);
        int64_t *dictionary = sb_take(b, n_rows + 1, sizeof *dictionary);
        uint32_t n_dictionary = 0, n_nulls = 0;
        uint32_t n_pages = (n_rows + b->page_rows - 1) / b->page_rows;
        uint32_t n_coded = f->has_dictionary ? n_pages - f->n_plain_pages : 0;
        for (uint32_t i = 0; i < n_rows; i++) {
            uint32_t code = 0;
            n_nulls += v[i] == SB_NULL;
            if (v[i] == SB_NULL || i / b->page_rows >= n_coded)
                continue;
            while (code < n_dictionary && dictionary[code] != v[i])
                code++;
            if (code == n_dictionary)
                dictionary[n_dictionary++] = v[i];
        }
        if (f->has_dictionary) {
            void *entries = sb_take(b, n_dictionary + 1, 16);
            for (uint32_t i = 0; i < n_dictionary; i++)
                sb_value(b, f->type, dictionary[i], entries, i);
            pb_dictionary(&b->file, entries, n_dictionary);
        }
        for (uint32_t at = 0, p = 0; at < n_rows; at += b->page_rows, p++) {
            uint32_t n = n_rows - at < b->page_rows ? n_rows - at : b->page_rows;
            sb_put_page(b, f, v + at, n, dictionary, p < n_coded ? n_dictionary : 0);
        }
        pb_end(&b->file);
        if (f->has_bloom)
            sb_put_bloom(b, f, v, n_rows);
        eg_pq_encoding_stats *stats = b->file.stats[b->file.n_groups - 1][c];
        if (n_coded > 0 && n_dictionary > 0)
            stats[k->n_encoding_stats++] =
                (eg_pq_encoding_stats){EG_PQ_DATA_PAGE, EG_PQ_RLE_DICTIONARY, (int32_t)n_coded};
        if (n_coded < n_pages)
            stats[k->n_encoding_stats++] =
                (eg_pq_encoding_stats){EG_PQ_DATA_PAGE, EG_PQ_PLAIN, (int32_t)(n_pages - n_coded)};
        k->encoding_stats = stats;
        int64_t min, max;
        if (f->has_bounds && !f->no_null_counts)
            k->statistics.null_count = n_nulls;
        if (f->has_bounds && f->type != SB_INT96 && sb_bounds(b, f->type, v, n_rows, &min, &max)) {
            k->statistics.min_value = sb_plain(b, f->type, min);
            k->statistics.max_value = sb_plain(b, f->type, max);
        }
    }
}

/* Writes the file to path and frees everything. False where that fails. */
static inline bool sb_close(sb *b, const char *path) {
    pb_finish(&b->file);
    FILE *f = fopen(path, "wb");
    bool ok =
        f != NULL && fwrite(b->file.out.data, 1, b->file.out.n_bytes, f) == b->file.out.n_bytes;
    ok = f != NULL && fclose(f) == 0 && ok;
    pb_close(&b->file);
    eg_pq_arena_free(&b->arena);
    return ok;
}

/* A column that is read as a vector, in a form. */
static inline eg_shard_column sb_column_of(eg_vector v, eg_kind kind, eg_shard_form form,
                                           const eg_pq_column *about) {
    eg_shard_column c = {
        .vector = v, .kind = kind, .origin = EG_SHARD_READ, .form = form, .about = about};
    eg_vector_range(v, &c.lo, &c.hi);
    return c;
}

#endif
