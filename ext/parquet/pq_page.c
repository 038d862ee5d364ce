#include "parquet/pq_page.h"

#include <libdeflate.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "parquet/pq_encoding.h"

#define SKIP_ROWS 4096 /* rows of levels looked at in one go when rows are skipped */

eg_status eg_pq_place_fail(const eg_pq_place *at, eg_status code, eg_err *err, const char *fmt,
                           ...) {
    char reason[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    return eg_fail(err, code, at->offset, "%s: column %s, row group %u, page at byte %lld: %s",
                   at->file, at->column, at->row_group, (long long)at->offset, reason);
}

eg_status eg_pq_block_reserve(eg_pq_block *b, size_t need, eg_err *err) {
    return need <= b->capacity ? EG_OK : eg_pq_block_renew(b, need + need / EG_PQ_SPARE_PART, err);
}

eg_status eg_pq_block_renew(eg_pq_block *b, size_t n_bytes, eg_err *err) {
    free(b->data); /* first: both at once would be more memory than is needed */
    b->data = malloc(n_bytes);
    b->capacity = b->data != NULL ? n_bytes : 0;
    return b->data != NULL ? EG_OK : eg_fail_nomem(err, "a Parquet page");
}

static void free_block(eg_pq_block *b) {
    free(b->data);
    b->data = NULL;
    b->capacity = 0;
}

/* ---- Headers */

eg_status eg_pq_page_check(const eg_pq_page_header *h, int64_t n_room, const eg_pq_place *at,
                           eg_err *err) {
    if (h->compressed_bytes < 0 || h->compressed_bytes > n_room)
        return eg_pq_place_fail(at, EG_CORRUPT, err, "%d bytes, but its chunk has %lld left",
                                (int)h->compressed_bytes, (long long)n_room);
    if (h->uncompressed_bytes < 0)
        return eg_pq_place_fail(at, EG_CORRUPT, err, "%d bytes when decompressed",
                                (int)h->uncompressed_bytes);
    if (h->has_body && h->num_values < 0)
        return eg_pq_place_fail(at, EG_CORRUPT, err, "%d values", (int)h->num_values);
    return EG_OK;
}

eg_status eg_pq_page_check_crc(const eg_pq_page_header *h, const uint8_t *raw,
                               const eg_pq_place *at, eg_err *err) {
    if (!h->has_crc)
        return EG_OK;
    uint32_t found = libdeflate_crc32(0, raw, h->compressed_bytes);
    if (found == h->crc)
        return EG_OK;
    return eg_pq_place_fail(at, EG_CORRUPT, err,
                            "CRC mismatch: the page has %08x, its header says %08x",
                            (unsigned)found, (unsigned)h->crc);
}

/* ---- Opening a data page */

/* Decompresses values and puts the codec's message behind the page's place. */
static eg_status decompress(const eg_pq_page *p, eg_pq_codec *codec, int32_t compression,
                            const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out,
                            eg_err *err) {
    eg_err inner;
    eg_status rc = eg_pq_decompress(codec, compression, in, n_in, out, n_out, &inner);
    return rc == EG_OK ? EG_OK : eg_pq_place_fail(&p->at, rc, err, "%s", inner.msg);
}

/* V1: levels and values are compressed together; the levels have their length
** before them. */
static eg_status open_v1(eg_pq_page *p, const eg_pq_page_header *h, const uint8_t *raw,
                         eg_pq_codec *codec, int32_t compression, uint8_t *body, eg_err *err) {
    size_t n_raw = (size_t)h->compressed_bytes, n = (size_t)h->uncompressed_bytes;
    if (compression == EG_PQ_UNCOMPRESSED) {
        if (n_raw != n)
            return eg_pq_place_fail(&p->at, EG_CORRUPT, err,
                                    "%zu bytes uncompressed, but its header says %zu", n_raw, n);
        p->pos = raw;
    } else {
        eg_status rc = decompress(p, codec, compression, raw, n_raw, body, n, err);
        if (rc != EG_OK)
            return rc;
        p->pos = body;
    }
    p->end = p->pos + n;
    if (!p->has_levels)
        return EG_OK;
    if (h->level_encoding != EG_PQ_RLE)
        return eg_pq_place_fail(&p->at, EG_UNSUPPORTED, err,
                                "definition levels in encoding %s are not read",
                                eg_pq_encoding_name(h->level_encoding));
    uint32_t n_levels = n >= 4 ? eg_le32(p->pos) : 0;
    if (n < 4 || n_levels > n - 4)
        return eg_pq_place_fail(&p->at, EG_CORRUPT, err,
                                "definition levels of %u bytes in a page of %zu", n_levels, n);
    eg_pq_rle_init(&p->levels, p->pos + 4, n_levels, 1);
    p->pos += 4 + (size_t)n_levels;
    return EG_OK;
}

/* V2: levels come first, never compressed, their lengths in the header. */
static eg_status open_v2(eg_pq_page *p, const eg_pq_page_header *h, const uint8_t *raw,
                         eg_pq_codec *codec, int32_t compression, uint8_t *body, eg_err *err) {
    int64_t n_raw = h->compressed_bytes, n = h->uncompressed_bytes, n_levels = h->definition_bytes;
    if (h->num_rows != h->num_values || h->num_nulls < 0 || h->num_nulls > h->num_values ||
        (!p->has_levels && h->num_nulls != 0))
        return eg_pq_place_fail(&p->at, EG_CORRUPT, err,
                                "%d values with %d nulls in %d rows of a flat %s column",
                                (int)h->num_values, (int)h->num_nulls, (int)h->num_rows,
                                p->has_levels ? "optional" : "required");
    /* A flat column has no repetition levels, but some writers put their zeros. */
    int64_t n_repetition = h->repetition_bytes;
    if (n_repetition < 0 || n_levels < 0 || n_repetition + n_levels > n_raw ||
        n_repetition + n_levels > n || (!p->has_levels && n_levels != 0))
        return eg_pq_place_fail(&p->at, EG_CORRUPT, err,
                                "repetition levels of %d and definition levels of %d bytes in a "
                                "page of %d bytes of a flat %s column",
                                (int)h->repetition_bytes, (int)h->definition_bytes,
                                (int)h->compressed_bytes, p->has_levels ? "optional" : "required");
    p->n_nulls_said = h->num_nulls;
    if (p->has_levels)
        eg_pq_rle_init(&p->levels, raw + n_repetition, (size_t)n_levels, 1);
    raw += n_repetition + n_levels;
    n_raw -= n_repetition + n_levels;
    n -= n_repetition + n_levels;
    if (compression == EG_PQ_UNCOMPRESSED || !h->is_compressed) {
        if (n_raw != n)
            return eg_pq_place_fail(&p->at, EG_CORRUPT, err,
                                    "%lld bytes uncompressed, but its header says %lld",
                                    (long long)n_raw, (long long)n);
        p->pos = raw;
    } else {
        /* Nothing may stand for the compressed form of nothing. */
        if (n != 0 || n_raw != 0) {
            eg_status rc =
                decompress(p, codec, compression, raw, (size_t)n_raw, body, (size_t)n, err);
            if (rc != EG_OK)
                return rc;
        }
        p->pos = body;
    }
    p->end = p->pos + n;
    return EG_OK;
}

static eg_status wrong_encoding(const eg_pq_page *p, eg_err *err) {
    return eg_pq_place_fail(&p->at, EG_UNSUPPORTED, err, "encoding %s (%d) of %s is not read",
                            eg_pq_encoding_name(p->encoding), (int)p->encoding,
                            eg_pq_type_name(p->column->type));
}

static eg_status damaged(const eg_pq_page *p, const char *what, eg_err *err) {
    return eg_pq_place_fail(&p->at, EG_CORRUPT, err, "%s values are damaged: %s",
                            eg_pq_encoding_name(p->encoding), what);
}

static eg_status open_plain(eg_pq_page *p, eg_err *err) {
    size_t n = (size_t)(p->end - p->pos), need;
    size_t width = eg_pq_plain_bytes(p->column->type, p->column->type_length);
    if (p->has_levels || p->column->type == EG_PQ_BYTE_ARRAY)
        return EG_OK;
    if (p->column->type == EG_PQ_BOOLEAN)
        need = ((size_t)p->n_rows + 7) / 8;
    else if (__builtin_mul_overflow((size_t)p->n_rows, width, &need))
        need = SIZE_MAX;
    /* More bytes than values, too: they may be the levels of a column that is not
    ** REQUIRED after all, and everything would be read out of step. */
    if (n < need || (n > need && width != 0))
        return eg_pq_place_fail(&p->at, EG_CORRUPT, err,
                                "%zu bytes of PLAIN %s values, expected %zu for %u rows", n,
                                eg_pq_type_name(p->column->type), need, p->n_rows);
    return EG_OK;
}

static eg_status open_codes(eg_pq_page *p, eg_err *err) {
    if (p->dictionary == NULL)
        return eg_pq_place_fail(&p->at, EG_CORRUPT, err, "codes without a dictionary");
    uint32_t width = p->is_empty ? 0 : *p->pos++;
    if (width > EG_PQ_RLE_MAX_WIDTH)
        return damaged(p, "codes of more than 32 bits", err);
    eg_pq_rle_init(&p->codes, p->pos, (size_t)(p->end - p->pos), width);
    return EG_OK;
}

static eg_status open_values(eg_pq_page *p, eg_err *err) {
    eg_pq_type type = p->column->type;
    size_t n = (size_t)(p->end - p->pos);
    p->is_empty = n == 0;
    switch (p->encoding) {
    case EG_PQ_PLAIN:
        return open_plain(p, err);
    case EG_PQ_PLAIN_DICTIONARY:
    case EG_PQ_RLE_DICTIONARY:
        return open_codes(p, err);
    case EG_PQ_RLE:
        if (type != EG_PQ_BOOLEAN)
            return wrong_encoding(p, err);
        if (p->is_empty)
            return EG_OK;
        if (n < 4 || eg_le32(p->pos) > n - 4)
            return damaged(p, "their length is beyond the page", err);
        eg_pq_rle_init(&p->codes, p->pos + 4, eg_le32(p->pos), 1);
        return EG_OK;
    case EG_PQ_DELTA_BINARY_PACKED:
        if (type != EG_PQ_INT32 && type != EG_PQ_INT64)
            return wrong_encoding(p, err);
        if (!p->is_empty && !eg_pq_delta_init(&p->delta, p->pos, n))
            return damaged(p, "their head makes no sense", err);
        return EG_OK;
    case EG_PQ_DELTA_BYTE_ARRAY:
        if (type != EG_PQ_BYTE_ARRAY && type != EG_PQ_FIXED)
            return wrong_encoding(p, err);
        eg_pq_buffer_clear(&p->previous);
        if (p->is_empty)
            return EG_OK;
        if (!eg_pq_delta_init(&p->prefixes, p->pos, n) ||
            (p->pos = eg_pq_delta_end(&p->prefixes)) == NULL)
            return damaged(p, "the lengths of prefixes make no sense", err);
        n = (size_t)(p->end - p->pos);
        if (!eg_pq_delta_init(&p->delta, p->pos, n) ||
            (p->pos = eg_pq_delta_end(&p->delta)) == NULL)
            return damaged(p, "the lengths of suffixes make no sense", err);
        return EG_OK;
    case EG_PQ_DELTA_LENGTH_BYTE_ARRAY:
        if (type != EG_PQ_BYTE_ARRAY)
            return wrong_encoding(p, err);
        if (p->is_empty)
            return EG_OK;
        if (!eg_pq_delta_init(&p->delta, p->pos, n) ||
            (p->pos = eg_pq_delta_end(&p->delta)) == NULL)
            return damaged(p, "their lengths make no sense", err);
        return EG_OK;
    case EG_PQ_BYTE_STREAM_SPLIT: {
        size_t width = eg_pq_plain_bytes(type, p->column->type_length);
        if (width == 0 || type == EG_PQ_INT96)
            return wrong_encoding(p, err);
        if (n % width != 0 || n / width > p->n_rows)
            return damaged(p, "their bytes are no whole number of values", err);
        p->n_split = n / width;
        p->split_at = 0;
        return EG_OK;
    }
    default:
        return wrong_encoding(p, err);
    }
}

eg_status eg_pq_page_open(eg_pq_page *p, const eg_pq_column *column,
                          const eg_pq_dictionary *dictionary, const eg_pq_page_header *h,
                          const uint8_t *raw, eg_pq_codec *codec, int32_t compression,
                          uint8_t *body, const eg_pq_place *at, eg_err *err) {
    p->column = column;
    p->dictionary = dictionary;
    p->at = *at;
    p->encoding = h->encoding;
    p->n_rows = p->n_left = (uint32_t)h->num_values;
    p->n_nulls_said = -1;
    p->n_nulls_seen = 0;
    p->has_levels = column->is_optional;
    p->bit = 0;
    eg_status rc = h->type == EG_PQ_DATA_PAGE_V2
                       ? open_v2(p, h, raw, codec, compression, body, err)
                       : open_v1(p, h, raw, codec, compression, body, err);
    /* A page without rows has no values whose encoding could matter. */
    if (rc == EG_OK && p->n_rows > 0)
        rc = open_values(p, err);
    if (rc != EG_OK)
        p->n_left = 0;
    return rc;
}

/* ---- Reading values */

static bool has_codes(const eg_pq_page *p) {
    return p->encoding == EG_PQ_RLE_DICTIONARY || p->encoding == EG_PQ_PLAIN_DICTIONARY;
}

/* Lengths as they come out of a delta stream, INT32, into numbers that fit. */
static bool read_lengths(eg_pq_delta *d, int64_t *out, size_t n) {
    if (!eg_pq_delta_read(d, out, n))
        return false;
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t v = (uint32_t)(uint64_t)out[i];
        bad |= v;
        out[i] = v;
    }
    return bad >> 31 == 0;
}

static eg_status read_delta_numbers(eg_pq_page *p, size_t n, eg_err *err) {
    bool is_64 = p->column->type == EG_PQ_INT64;
    eg_status rc = is_64 ? EG_OK : eg_pq_block_reserve(&p->numbers, n * 8, err);
    if (rc != EG_OK)
        return rc;
    int64_t *numbers = (int64_t *)(void *)(is_64 ? p->values.data : p->numbers.data);
    if (!eg_pq_delta_read(&p->delta, numbers, n))
        return damaged(p, "they end early", err);
    if (!is_64) {
        int32_t *out = (int32_t *)(void *)p->values.data;
        for (size_t i = 0; i < n; i++)
            out[i] = (int32_t)(uint32_t)(uint64_t)numbers[i];
    }
    return EG_OK;
}

static eg_status read_delta_lengths(eg_pq_page *p, size_t n, eg_err *err) {
    eg_pq_bytes *out = (eg_pq_bytes *)(void *)p->values.data;
    eg_status rc = eg_pq_block_reserve(&p->numbers, n * 8, err);
    if (rc != EG_OK)
        return rc;
    int64_t *lengths = (int64_t *)(void *)p->numbers.data;
    if (!read_lengths(&p->delta, lengths, n))
        return damaged(p, "their lengths end early or are negative", err);
    for (size_t i = 0; i < n; i++) {
        if (lengths[i] > p->end - p->pos)
            return damaged(p, "a text is longer than the page", err);
        out[i] = (eg_pq_bytes){p->pos, (uint32_t)lengths[i]};
        p->pos += lengths[i];
    }
    return EG_OK;
}

/* DELTA_BYTE_ARRAY: how long the next n texts are in all, their lengths left in
** p->numbers: n of prefixes, n of suffixes. */
static eg_status read_front_lengths(eg_pq_page *p, size_t n, size_t *n_text, eg_err *err) {
    eg_status rc = eg_pq_block_reserve(&p->numbers, n * 16, err);
    if (rc != EG_OK)
        return rc;
    int64_t *prefix = (int64_t *)(void *)p->numbers.data, *suffix = prefix + n;
    if (!read_lengths(&p->prefixes, prefix, n) || !read_lengths(&p->delta, suffix, n))
        return damaged(p, "their lengths end early or are negative", err);
    int64_t length = (int64_t)p->previous.n_bytes, left = p->end - p->pos;
    *n_text = 0;
    for (size_t i = 0; i < n; i++) {
        if (prefix[i] > length)
            return damaged(p, "a prefix is longer than the text before", err);
        if (suffix[i] > left)
            return damaged(p, "a text is longer than the page", err);
        left -= suffix[i];
        length = prefix[i] + suffix[i];
        if (length > INT32_MAX)
            return damaged(p, "a text of more than 2147483647 bytes", err);
        if (p->column->type == EG_PQ_FIXED && length != p->column->type_length)
            return damaged(p, "a value is not of the column's length", err);
        *n_text += (size_t)length; /* n is 32 bits, length 31 */
    }
    return EG_OK;
}

static eg_status read_front(eg_pq_page *p, size_t n, size_t n_text, eg_err *err) {
    eg_pq_bytes *out = (eg_pq_bytes *)(void *)p->values.data;
    eg_status rc = eg_pq_block_reserve(&p->text, n_text + 1, err);
    if (rc != EG_OK)
        return rc;
    const int64_t *prefix = (const int64_t *)(void *)p->numbers.data, *suffix = prefix + n;
    const uint8_t *before = p->previous.data;
    uint8_t *text = p->text.data;
    for (size_t i = 0; i < n; i++) {
        if (prefix[i] > 0)
            memcpy(text, before, (size_t)prefix[i]);
        if (suffix[i] > 0)
            memcpy(text + prefix[i], p->pos, (size_t)suffix[i]);
        p->pos += suffix[i];
        out[i] = (eg_pq_bytes){text, (uint32_t)(prefix[i] + suffix[i])};
        before = text;
        text += out[i].n_bytes;
    }
    eg_pq_buffer_clear(&p->previous);
    eg_pq_buffer_put(&p->previous, out[n - 1].data, out[n - 1].n_bytes);
    return p->previous.status == EG_OK ? EG_OK : eg_fail_nomem(err, "a text of a Parquet page");
}

static eg_status fail_codes(const eg_pq_page *p, eg_status rc, eg_err *err) {
    if (rc == EG_DONE)
        return damaged(p, "codes end early", err);
    return eg_pq_place_fail(&p->at, EG_CORRUPT, err, "a code beyond the dictionary's %u entries",
                            p->dictionary->n_entries);
}

/* Reads n values (not NULL, n at least 1) side by side into p->values. */
static eg_status read_values(eg_pq_page *p, size_t n, eg_err *err) {
    const eg_pq_column *c = p->column;
    void *out = p->values.data;
    if (p->is_empty)
        return damaged(p, "there are none", err);
    switch (p->encoding) {
    case EG_PQ_PLAIN:
        if (c->type == EG_PQ_BOOLEAN) {
            if (p->bit + n > (uint64_t)(p->end - p->pos) * 8)
                return damaged(p, "they end early", err);
            eg_pq_plain_read_bits_unchecked(p->pos, p->bit, out, n);
            p->bit += n;
            return EG_OK;
        }
        if (!eg_pq_plain_read(c->type, c->type_length, &p->pos, p->end, out, n))
            return damaged(p, "they end early", err);
        return EG_OK;
    case EG_PQ_PLAIN_DICTIONARY:
    case EG_PQ_RLE_DICTIONARY:
        if (!eg_pq_rle_read(&p->codes, out, n))
            return fail_codes(p, EG_DONE, err);
        if (!eg_pq_codes_below(out, n, p->dictionary->n_entries))
            return fail_codes(p, EG_CORRUPT, err);
        return EG_OK;
    case EG_PQ_RLE: {
        size_t n_ones;
        if (!eg_pq_rle_read_bits(&p->codes, out, n, &n_ones))
            return damaged(p, "they end early", err);
        return EG_OK;
    }
    case EG_PQ_DELTA_BINARY_PACKED:
        return read_delta_numbers(p, n, err);
    case EG_PQ_DELTA_LENGTH_BYTE_ARRAY:
        return read_delta_lengths(p, n, err);
    case EG_PQ_DELTA_BYTE_ARRAY: {
        size_t n_text;
        eg_status rc = read_front_lengths(p, n, &n_text, err);
        return rc == EG_OK ? read_front(p, n, n_text, err) : rc;
    }
    default: { /* BYTE_STREAM_SPLIT: open_values lets no other in */
        size_t width = eg_pq_plain_bytes(c->type, c->type_length);
        if (n > p->n_split - p->split_at)
            return damaged(p, "they end early", err);
        eg_status rc =
            c->type == EG_PQ_FIXED ? eg_pq_block_reserve(&p->text, n * width, err) : EG_OK;
        if (rc != EG_OK)
            return rc;
        eg_pq_split_read_unchecked(c->type, c->type_length, p->pos, p->n_split, p->split_at, out,
                                   p->text.data, n);
        p->split_at += n;
        return EG_OK;
    }
    }
}

/* What can only be known when all values were read. */
static eg_status check_end(const eg_pq_page *p, eg_err *err) {
    if (p->n_nulls_said >= 0 && p->n_nulls_said != p->n_nulls_seen)
        return eg_pq_place_fail(&p->at, EG_CORRUPT, err, "%lld nulls, but its header says %lld",
                                (long long)p->n_nulls_seen, (long long)p->n_nulls_said);
    bool has_rest = p->encoding == EG_PQ_PLAIN && p->column->type != EG_PQ_BOOLEAN
                        ? p->pos != p->end
                        : p->encoding == EG_PQ_BYTE_STREAM_SPLIT && p->split_at != p->n_split;
    return has_rest ? damaged(p, "there are bytes behind the last one", err) : EG_OK;
}

/* ---- Rows */

/* Moves n_values values that stand side by side to the rows that are valid. */
static void spread(void *values, size_t width, const uint8_t *valid, size_t n_rows,
                   size_t n_values) {
    uint8_t *base = values;
    for (size_t i = n_rows; i-- > 0;) {
        if (valid[i] == 0) {
            memset(base + i * width, 0, width);
        } else {
            n_values--;
            if (n_values != i) {
                if (width == 4)
                    memcpy(base + i * 4, base + n_values * 4, 4);
                else if (width == 8)
                    memcpy(base + i * 8, base + n_values * 8, 8);
                else
                    memcpy(base + i * width, base + n_values * width, width);
            }
        }
    }
}

/* Reads the levels of n rows into p->valid. */
static eg_status read_levels(eg_pq_page *p, size_t n, size_t *n_valid, eg_err *err) {
    *n_valid = n;
    if (!p->has_levels)
        return EG_OK;
    eg_status rc = eg_pq_block_reserve(&p->valid, n, err);
    if (rc != EG_OK)
        return rc;
    if (!eg_pq_rle_read_bits(&p->levels, p->valid.data, n, n_valid))
        return eg_pq_place_fail(&p->at, EG_CORRUPT, err,
                                "definition levels are damaged or fewer than the %u rows",
                                p->n_rows);
    return EG_OK;
}

/* DELTA_BYTE_ARRAY texts can be any number of times longer than the page: the
** number of rows whose texts fit a slice, by halving; at least 1. */
static eg_status fit_slice(eg_pq_page *p, uint32_t *n_rows, eg_err *err) {
    for (;; *n_rows /= 2) {
        eg_pq_rle levels = p->levels;
        eg_pq_delta prefixes = p->prefixes, suffixes = p->delta;
        size_t n_valid, n_text = 0;
        eg_status rc = read_levels(p, *n_rows, &n_valid, err);
        if (rc == EG_OK && n_valid > 0 && !p->is_empty)
            rc = read_front_lengths(p, n_valid, &n_text, err);
        p->levels = levels;
        p->prefixes = prefixes;
        p->delta = suffixes;
        if (rc != EG_OK || n_text <= EG_PQ_SLICE_BYTES || *n_rows == 1)
            return rc;
    }
}

/* Counts rows that were read. */
static eg_status pass_rows(eg_pq_page *p, uint32_t n_rows, uint32_t n_nulls, eg_err *err) {
    p->n_left -= n_rows;
    p->n_nulls_seen += n_nulls;
    return p->n_left > 0 ? EG_OK : check_end(p, err);
}

static eg_status next_rows(eg_pq_page *p, uint32_t max_rows, eg_pq_vector *out, eg_err *err) {
    uint32_t n = p->n_left < max_rows ? p->n_left : max_rows;
    size_t n_valid, width = has_codes(p) ? 4 : eg_pq_value_bytes(p->column->type), n_bytes;
    if (__builtin_mul_overflow((size_t)n, width, &n_bytes))
        return eg_fail_nomem(err, "rows of a Parquet page");
    eg_status rc = EG_OK;
    if (p->encoding == EG_PQ_DELTA_BYTE_ARRAY)
        rc = fit_slice(p, &n, err);
    if (rc == EG_OK)
        rc = eg_pq_block_reserve(&p->values, n * width, err);
    if (rc == EG_OK)
        rc = read_levels(p, n, &n_valid, err);
    if (rc == EG_OK && n_valid > 0)
        rc = read_values(p, n_valid, err);
    if (rc != EG_OK)
        return rc;
    if (n_valid == 0)
        memset(p->values.data, 0, n * width);
    else if (n_valid < n)
        spread(p->values.data, width, p->valid.data, n, n_valid);
    *out = (eg_pq_vector){.n_rows = n,
                          .n_nulls = n - (uint32_t)n_valid,
                          .first_row = (int64_t)p->n_rows - p->n_left,
                          .valid = n_valid < n ? p->valid.data : NULL,
                          .has_codes = has_codes(p),
                          .values = {.any = p->values.data}};
    return pass_rows(p, n, out->n_nulls, err);
}

eg_status eg_pq_page_next(eg_pq_page *p, uint32_t max_rows, eg_pq_vector *out, eg_err *err) {
    if (p->n_left == 0)
        return EG_DONE;
    eg_status rc = next_rows(p, max_rows, out, err);
    if (rc != EG_OK)
        p->n_left = 0;
    return rc;
}

/* ---- Some of the rows */

#define PICK(width)                                                                                \
    case width:                                                                                    \
        for (uint32_t i = 0; i < n; i++) {                                                         \
            uint8_t value[width];                                                                  \
            memcpy(value, (const uint8_t *)in + (size_t)(picks[i] - base) * (width), width);       \
            memcpy((uint8_t *)out + (size_t)i * (width), value, width);                            \
        }                                                                                          \
        break;

/* Picks elements of an array; `out` may be the same. */
static void pick(void *out, const void *in, size_t width, const uint16_t *picks, uint32_t n,
                 uint32_t base) {
    switch (width) {
        PICK(1)
        PICK(4)
        PICK(8)
        PICK(16)
    }
}

/* Picks of n rows, all valid, whose codes or numbers can be had one by one. */
static eg_status pick_values(eg_pq_page *p, uint32_t n, const uint16_t *picks, uint32_t n_picks,
                             uint32_t base, eg_err *err) {
    if (p->is_empty)
        return damaged(p, "there are none", err);
    if (has_codes(p)) {
        uint32_t *codes = (uint32_t *)(void *)p->values.data;
        eg_status rc =
            eg_pq_codes_pick(&p->codes, n, picks, n_picks, base, p->dictionary->n_entries, codes);
        return rc == EG_OK ? EG_OK : fail_codes(p, rc, err);
    }
    size_t width = eg_pq_value_bytes(p->column->type);
    if ((size_t)(p->end - p->pos) / width < n)
        return damaged(p, "they end early", err);
    pick(p->values.data, p->pos, width, picks, n_picks, base);
    p->pos += (size_t)n * width;
    return EG_OK;
}

/* The general way: all are read first. */
static eg_status pick_of_all(eg_pq_page *p, uint32_t max_rows, const uint16_t *picks,
                             uint32_t n_picks, uint32_t base, uint32_t *n_rows, eg_pq_vector *out,
                             eg_err *err) {
    eg_status rc = next_rows(p, max_rows, out, err);
    if (rc != EG_OK)
        return rc;
    *n_rows = out->n_rows;
    while (n_picks > 0 && picks[n_picks - 1] - base >= out->n_rows)
        n_picks--;
    size_t width = out->has_codes ? sizeof(uint32_t) : eg_pq_value_bytes(p->column->type);
    pick(p->values.data, p->values.data, width, picks, n_picks, base);
    out->n_rows = n_picks;
    if (out->valid != NULL) {
        pick(p->valid.data, p->valid.data, 1, picks, n_picks, base);
        out->n_nulls = n_picks;
        for (uint32_t i = 0; i < n_picks; i++)
            out->n_nulls -= p->valid.data[i];
        out->valid = out->n_nulls > 0 ? p->valid.data : NULL;
    }
    return EG_OK;
}

eg_status eg_pq_page_pick(eg_pq_page *p, uint32_t max_rows, const uint16_t *picks, uint32_t n_picks,
                          uint32_t base, uint32_t *n_rows, eg_pq_vector *out, eg_err *err) {
    uint32_t n = p->n_left < max_rows ? p->n_left : max_rows;
    *n_rows = 0;
    if (p->n_left == 0)
        return EG_DONE;
    bool is_array = p->encoding == EG_PQ_PLAIN && eg_pq_plain_is_array(p->column->type);
    eg_pq_rle levels = p->levels;
    size_t n_valid = 0;
    eg_status rc = has_codes(p) || is_array ? read_levels(p, n, &n_valid, err) : EG_OK;
    if (rc == EG_OK && n_valid < n) {
        p->levels = levels;
        rc = pick_of_all(p, max_rows, picks, n_picks, base, n_rows, out, err);
    } else if (rc == EG_OK) {
        while (n_picks > 0 && picks[n_picks - 1] - base >= n)
            n_picks--;
        *n_rows = n;
        *out = (eg_pq_vector){.n_rows = n_picks,
                              .first_row = (int64_t)p->n_rows - p->n_left,
                              .has_codes = has_codes(p)};
        rc = eg_pq_block_reserve(&p->values, ((size_t)n_picks + 1) * sizeof(uint64_t), err);
        if (rc == EG_OK)
            rc = pick_values(p, n, picks, n_picks, base, err);
        out->values.any = p->values.data;
        if (rc == EG_OK)
            rc = pass_rows(p, n, 0, err);
    }
    if (rc != EG_OK)
        p->n_left = 0;
    return rc;
}

eg_status eg_pq_page_match(eg_pq_page *p, uint32_t max_rows, const eg_pq_code_test *t,
                           uint8_t *alive, uint32_t *n_rows, eg_err *err) {
    uint32_t n = p->n_left < max_rows ? p->n_left : max_rows;
    size_t n_valid;
    *n_rows = 0;
    if (n == 0 || !has_codes(p) || p->is_empty)
        return n == 0 ? EG_DONE : EG_OK;
    p->levels_before = p->levels;
    p->codes_before = p->codes;
    eg_status rc = read_levels(p, n, &n_valid, err);
    if (rc == EG_OK && n_valid < n) {
        p->levels = p->levels_before;
        return EG_OK;
    }
    if (rc == EG_OK) {
        rc = eg_pq_codes_match(&p->codes, n, t, alive);
        rc = rc == EG_OK ? pass_rows(p, n, 0, err) : fail_codes(p, rc, err);
    }
    *n_rows = p->n_matched = n;
    if (rc != EG_OK)
        p->n_left = 0;
    return rc;
}

void eg_pq_page_back(eg_pq_page *p) {
    p->levels = p->levels_before;
    p->codes = p->codes_before;
    p->n_left += p->n_matched;
    p->n_matched = 0;
}

/* ---- Passing over rows */

/* Passes over n values of an encoding where that is cheaper than reading them. */
static eg_status skip_values(eg_pq_page *p, size_t n, eg_err *err) {
    size_t width = eg_pq_plain_bytes(p->column->type, p->column->type_length);
    bool ok = true;
    if (p->encoding == EG_PQ_PLAIN && p->column->type == EG_PQ_BOOLEAN) {
        p->bit += n; /* checked when bits are read */
    } else if (p->encoding == EG_PQ_PLAIN) {
        ok = n <= (size_t)(p->end - p->pos) / width;
        p->pos += ok ? n * width : 0;
    } else if (p->encoding == EG_PQ_BYTE_STREAM_SPLIT) {
        ok = n <= p->n_split - p->split_at;
        p->split_at += ok ? n : 0;
    } else { /* codes and RLE booleans */
        ok = !p->is_empty && eg_pq_rle_skip(&p->codes, n);
    }
    return ok ? EG_OK : damaged(p, "they end early", err);
}

eg_status eg_pq_page_skip(eg_pq_page *p, uint32_t n_rows, eg_err *err) {
    eg_status rc = EG_OK;
    if (n_rows > p->n_left)
        return eg_fail(err, EG_MISUSE, -1, "more rows to skip than the page has");
    while (rc == EG_OK && n_rows > 0) {
        /* Without levels every row has a value, and all go at once. */
        uint32_t n = !p->has_levels || n_rows < SKIP_ROWS ? n_rows : SKIP_ROWS;
        bool must_read = p->encoding == EG_PQ_DELTA_BYTE_ARRAY ||
                         p->encoding == EG_PQ_DELTA_LENGTH_BYTE_ARRAY ||
                         p->encoding == EG_PQ_DELTA_BINARY_PACKED ||
                         (p->encoding == EG_PQ_PLAIN && p->column->type == EG_PQ_BYTE_ARRAY);
        if (must_read) { /* each value says where the next one is */
            eg_pq_vector unused;
            rc = eg_pq_page_next(p, n < SKIP_ROWS ? n : SKIP_ROWS, &unused, err);
            n_rows -= rc == EG_OK ? unused.n_rows : 0;
            continue;
        }
        size_t n_valid;
        rc = read_levels(p, n, &n_valid, err);
        if (rc == EG_OK && n_valid > 0)
            rc = skip_values(p, n_valid, err);
        p->n_left -= n;
        p->n_nulls_seen += (int64_t)(n - n_valid);
        n_rows -= n;
        if (rc == EG_OK && p->n_left == 0)
            rc = check_end(p, err);
    }
    if (rc != EG_OK)
        p->n_left = 0;
    return rc;
}

void eg_pq_page_close(eg_pq_page *p) {
    free_block(&p->valid);
    free_block(&p->values);
    free_block(&p->numbers);
    free_block(&p->text);
    eg_pq_buffer_free(&p->previous);
    memset(p, 0, sizeof *p);
}

/* ---- Dictionaries */

eg_status eg_pq_dictionary_check(const eg_pq_column *c, const eg_pq_page_header *h, size_t n_bytes,
                                 const eg_pq_place *at, size_t *n_value_bytes, eg_err *err) {
    if (h->encoding != EG_PQ_PLAIN && h->encoding != EG_PQ_PLAIN_DICTIONARY)
        return eg_pq_place_fail(at, EG_UNSUPPORTED, err,
                                "encoding %s (%d) of a dictionary is not read",
                                eg_pq_encoding_name(h->encoding), (int)h->encoding);
    size_t least = c->type == EG_PQ_BYTE_ARRAY ? 4 : eg_pq_plain_bytes(c->type, c->type_length);
    if (least == 0)
        return eg_pq_place_fail(at, EG_UNSUPPORTED, err, "a dictionary of %s is not read",
                                eg_pq_type_name(c->type));
    if ((size_t)h->num_values > n_bytes / least)
        return eg_pq_place_fail(at, EG_CORRUPT, err, "a dictionary of %d values in %zu bytes",
                                (int)h->num_values, n_bytes);
    *n_value_bytes = (size_t)h->num_values * eg_pq_value_bytes(c->type);
    return EG_OK;
}

eg_status eg_pq_dictionary_read(const eg_pq_column *c, const eg_pq_page_header *h,
                                const uint8_t *body, size_t n_bytes, void *values,
                                const eg_pq_place *at, eg_pq_dictionary *out, eg_err *err) {
    const uint8_t *pos = body;
    if (values == NULL) {
        *out = (eg_pq_dictionary){.n_entries = (uint32_t)h->num_values, .values = {.any = body}};
        return EG_OK;
    }
    if (h->num_values > 0 && !eg_pq_plain_read(c->type, c->type_length, &pos, body + n_bytes,
                                               values, (size_t)h->num_values))
        return eg_pq_place_fail(at, EG_CORRUPT, err, "a dictionary of %d values ends early",
                                (int)h->num_values);
    *out = (eg_pq_dictionary){.n_entries = (uint32_t)h->num_values, .values = {.any = values}};
    return EG_OK;
}
