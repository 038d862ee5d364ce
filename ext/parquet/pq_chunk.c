/*
** One page after the other: encode into scratch, compress behind a header,
** remember where it is and what its bounds are. Codec and encoding are chosen on one page from
** the middle. The others are like it.
*/
#include "parquet/pq_chunk.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "parquet/pq_bloom.h"
#include "parquet/pq_delta.h"
#include "parquet/pq_rle.h"

/* Where the page is that the others are like, in eighths of all: in the middle of runs of rows,
** too. The first page of times has those of flows that began long before, that of addresses the
** many least ones that have a row or two. */
#define JUDGED_EIGHTHS 5

/* A codec must take off a sixteenth, or it only costs every reader time: of pages, of the entries
** of a dictionary. */
static bool pays(size_t n_packed, size_t n_raw) {
    return n_packed + n_raw / 16 < n_raw;
}

/* Of codes a byte that comes out of a codec counts an eighth of one that is read: a frequent byte
** or two is not worth a codec's time, and runs may be a little larger than what all codes make. */
#define UNPACKED_PART 8

/* The row behind a page's last one. */
static uint32_t page_end(const eg_pq_chunk_input *in, uint32_t page) {
    return page + 1 < in->n_pages ? in->page_starts[page + 1] : in->n_rows;
}

static const uint8_t *bytes_of(const void *array, size_t i, size_t width) {
    return (const uint8_t *)array + i * width;
}

/* ---- Pages */

/* A page as it will stand in the file: packed in out->packed, or `raw` itself. Entries that a codec
** hardly shrinks are stored: all of the chunk is, where its codes are. */
static eg_status pack(int level, eg_pq_codec *codec, bool is_dictionary, const eg_pq_buffer *raw,
                      eg_pq_chunk_data *out, const eg_pq_buffer **body, eg_err *err) {
    *body = raw;
    if (out->compression == EG_PQ_UNCOMPRESSED)
        return EG_OK;
    eg_pq_buffer_clear(&out->packed);
    eg_status rc =
        eg_pq_compress(codec, out->compression, level, raw->data, raw->n_bytes, &out->packed, err);
    bool is_stored = rc == EG_OK && is_dictionary && !pays(out->packed.n_bytes, raw->n_bytes);
    if (is_stored && out->level == EG_PQ_LEVEL_STORED) {
        out->compression = EG_PQ_UNCOMPRESSED;
        return EG_OK;
    }
    if (is_stored && out->compression == EG_PQ_ZSTD) {
        eg_pq_buffer_clear(&out->packed);
        rc = eg_pq_compress(codec, EG_PQ_ZSTD, EG_PQ_LEVEL_STORED, raw->data, raw->n_bytes,
                            &out->packed, err);
    }
    *body = &out->packed;
    return rc;
}

/* Appends a page, header and body, to out->bytes; `raw` is uncompressed. */
static eg_status put_page(int level, eg_pq_codec *codec, eg_pq_page_header *h,
                          const eg_pq_buffer *raw, eg_pq_chunk_data *out, eg_err *err) {
    const eg_pq_buffer *body;
    if (raw->status != EG_OK)
        return eg_fail_nomem(err, "a page");
    if (raw->n_bytes > INT32_MAX)
        return eg_fail(err, EG_LIMIT, -1, "a page of %zu bytes: expected at most %d", raw->n_bytes,
                       INT32_MAX);
    eg_status rc = pack(level, codec, h->type == EG_PQ_DICTIONARY_PAGE, raw, out, &body, err);
    if (rc != EG_OK)
        return rc;
    h->uncompressed_bytes = (int32_t)raw->n_bytes;
    h->compressed_bytes = (int32_t)body->n_bytes;
    h->has_crc = true;
    h->crc = libdeflate_crc32(0, body->data, body->n_bytes);
    h->has_body = true;
    size_t start = out->bytes.n_bytes;
    eg_pq_encode_page_header(&out->bytes, h);
    out->uncompressed_bytes += (int64_t)(out->bytes.n_bytes - start) + (int64_t)raw->n_bytes;
    eg_pq_buffer_put(&out->bytes, body->data, body->n_bytes);
    return out->bytes.status == EG_OK ? EG_OK : eg_fail_nomem(err, "a page");
}

static eg_status put_dictionary(const eg_pq_chunk_input *in, eg_pq_codec *codec,
                                eg_pq_chunk_data *out, eg_err *err) {
    eg_pq_page_header h = {.type = EG_PQ_DICTIONARY_PAGE,
                           .num_values = (int32_t)in->n_entries,
                           .encoding = EG_PQ_PLAIN,
                           .is_sorted = true};
    eg_pq_buffer_clear(&out->scratch);
    eg_pq_plain_encode(&out->scratch, (int32_t)in->type, in->dictionary, in->n_entries);
    eg_status rc = put_page(in->level, codec, &h, &out->scratch, out, err);
    out->dictionary_bytes = (int64_t)out->bytes.n_bytes;
    return rc;
}

/* The values of rows [first, end) in an encoding, into scratch. */
static void encode_rows(const eg_pq_chunk_input *in, const eg_pq_way *way, uint32_t first,
                        uint32_t end, eg_pq_buffer *to) {
    size_t n = end - first, width = eg_pq_value_bytes((int32_t)in->type);
    eg_pq_buffer_clear(to);
    if (in->dictionary != NULL) {
        eg_pq_buffer_put_byte(to, (uint8_t)way->bit_width);
        if (in->codes == NULL)
            eg_pq_rle_encode_run(to, 0, n, way->bit_width);
        else if (way->is_runs)
            eg_pq_rle_encode_runs(to, in->codes + first, n, way->bit_width);
        else
            eg_pq_rle_encode(to, in->codes + first, n, way->bit_width);
    } else if (way->encoding == EG_PQ_PLAIN) {
        eg_pq_plain_encode(to, (int32_t)in->type, bytes_of(in->values, first, width), n);
    } else if (in->type == EG_PQ_INT32) {
        eg_pq_delta_encode_int32(to, (const int32_t *)in->values + first, n);
    } else {
        eg_pq_delta_encode_int64(to, (const int64_t *)in->values + first, n);
    }
}

/* Codes of whole bytes take more bits, but leave a codec something to find. */
static uint32_t whole_bytes(uint32_t bit_width) {
    return (bit_width + 7) / 8 * 8;
}

/* Whether codes of rows [first, end) are so few runs that these take fewer bytes than packed codes.
 */
static bool has_runs(const eg_pq_chunk_input *in, uint32_t bit_width, uint32_t first,
                     uint32_t end) {
    uint32_t n_runs = 1;
    for (uint32_t i = first + 1; i < end; i++)
        n_runs += in->codes[i] != in->codes[i - 1];
    return (uint64_t)n_runs * (8 + whole_bytes(bit_width)) <= (uint64_t)(end - first) * bit_width;
}

#define MOST_WAYS 3

/* The ways a column's pages can be made, by rows [first, end). */
static size_t list_ways(const eg_pq_chunk_input *in, uint32_t first, uint32_t end,
                        eg_pq_way out[MOST_WAYS]) {
    size_t n = 0;
    if (in->dictionary == NULL) {
        out[n++] = (eg_pq_way){.encoding = EG_PQ_PLAIN};
        out[n++] = (eg_pq_way){.encoding = EG_PQ_DELTA_BINARY_PACKED};
        return in->type != EG_PQ_BYTE_ARRAY ? n : 1;
    }
    /* Width 0 is legal for one entry only, and a reader's bug is known there. */
    uint32_t least = eg_pq_bit_width(in->n_entries - 1);
    eg_pq_way way = {.encoding = EG_PQ_RLE_DICTIONARY, .bit_width = least == 0 ? 1 : least};
    out[n++] = way;
    if (in->codes != NULL && has_runs(in, way.bit_width, first, end)) {
        out[n] = way;
        out[n++].is_runs = true;
    }
    if (in->compression != EG_PQ_UNCOMPRESSED && least >= 8 && whole_bytes(least) != least) {
        out[n] = way;
        out[n++].bit_width = whole_bytes(least);
    }
    return n;
}

/* Takes a way where the page it is tried on, of n bytes and so many for its reader, is the least so
** far. */
static void take_least(eg_pq_way way, int32_t compression, int level, size_t n, size_t *least,
                       eg_pq_chunk_data *out) {
    if (n >= *least)
        return;
    *least = n;
    out->way = way;
    out->compression = compression;
    out->level = level;
}

/* Weighs a way with a level of the codec; the page is in out->scratch. */
static eg_status weigh(const eg_pq_chunk_input *in, eg_pq_codec *codec, eg_pq_way way, int level,
                       uint32_t n_rows, size_t *least, eg_pq_chunk_data *out, eg_err *err) {
    size_t n_raw = out->scratch.n_bytes, n_packed = n_raw;
    int32_t compression = EG_PQ_UNCOMPRESSED;
    if (in->compression != EG_PQ_UNCOMPRESSED) {
        eg_pq_buffer_clear(&out->packed);
        eg_status rc = eg_pq_compress(codec, in->compression, level, out->scratch.data, n_raw,
                                      &out->packed, err);
        if (rc != EG_OK)
            return rc;
        /* A dictionary page is compressed with its data pages. */
        if (pays(out->packed.n_bytes, n_raw) || in->n_entries > n_rows / 4) {
            n_packed = out->packed.n_bytes + (in->dictionary != NULL ? n_raw / UNPACKED_PART : 0);
            compression = in->compression;
        }
    }
    take_least(way, compression, level, n_packed, least, out);
    return EG_OK;
}

/* Chooses encoding, codec and level by rows [first, end), a page. */
static eg_status choose(const eg_pq_chunk_input *in, eg_pq_codec *codec, uint32_t first,
                        uint32_t end, eg_pq_chunk_data *out, eg_err *err) {
    eg_pq_way ways[MOST_WAYS];
    size_t n = list_ways(in, first, end, ways), least = SIZE_MAX;
    bool has_levels = in->compression == EG_PQ_ZSTD && in->level == EG_PQ_LEVEL_CODES;
    for (size_t i = 0; i < n; i++) {
        encode_rows(in, &ways[i], first, end, &out->scratch);
        eg_status rc = out->scratch.status == EG_OK ? EG_OK : eg_fail_nomem(err, "a page");
        /* The faster one first, as it wins where both are alike. */
        if (rc == EG_OK && has_levels)
            rc = weigh(in, codec, ways[i], EG_PQ_LEVEL_LITERALS, end - first, &least, out, err);
        if (rc == EG_OK)
            rc = weigh(in, codec, ways[i], in->level, end - first, &least, out, err);
        if (rc != EG_OK)
            return rc;
        if (has_levels && in->dictionary != NULL && out->compression == EG_PQ_ZSTD)
            take_least(ways[i], EG_PQ_ZSTD, EG_PQ_LEVEL_STORED, out->scratch.n_bytes, &least, out);
    }
    return EG_OK;
}

/* ---- Bounds */

static eg_pq_span keep_bound(eg_pq_chunk_data *out, const eg_pq_chunk_input *in, const void *array,
                             size_t i) {
    eg_pq_span span = {.offset = (uint32_t)out->bounds.n_bytes};
    if (in->type == EG_PQ_BYTE_ARRAY) {
        const eg_pq_bytes *text = (const eg_pq_bytes *)array + i;
        span.n_bytes = text->n_bytes;
        if (text->n_bytes > EG_PQ_BOUND_BYTES)
            out->has_bounds = false;
        else
            eg_pq_buffer_put(&out->bounds, text->data, text->n_bytes);
    } else {
        eg_pq_plain_encode(&out->bounds, (int32_t)in->type,
                           bytes_of(array, i, eg_pq_value_bytes((int32_t)in->type)), 1);
        span.n_bytes = (uint32_t)(out->bounds.n_bytes - span.offset);
    }
    return span;
}

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* The order of texts number a and b: below 0, 0, above. */
static int text_order(const eg_pq_chunk_input *in, size_t a, size_t b) {
    const eg_pq_bytes *v = in->values;
    return eg_bytes_compare(v[a].data, v[a].n_bytes, v[b].data, v[b].n_bytes);
}

/* Where the least and the largest of v[first..end) are. Their values are found first, without
** a branch. */
#define EXTREMES(name, ctype)                                                                      \
    static void name(const ctype *v, uint32_t first, uint32_t end, size_t *min, size_t *max) {     \
        ctype low = v[first], high = low;                                                          \
        for (uint32_t i = first + 1; i < end; i++) {                                               \
            low = v[i] < low ? v[i] : low;                                                         \
            high = v[i] > high ? v[i] : high;                                                      \
        }                                                                                          \
        for (*min = first; v[*min] != low; ++*min)                                                 \
            ;                                                                                      \
        for (*max = first; v[*max] != high; ++*max)                                                \
            ;                                                                                      \
    }
EXTREMES(extremes_i32, int32_t)
EXTREMES(extremes_u32, uint32_t)
EXTREMES(extremes_i64, int64_t)
EXTREMES(extremes_u64, uint64_t)

/* Four codes at a time. They are below 2^31, so that they compare as signed numbers do. */
typedef int32_t lanes __attribute__((vector_size(16)));

/* The least and the largest of n codes. */
static void extremes_of_codes(const uint32_t *codes, uint32_t n, size_t *min, size_t *max) {
    uint32_t low = codes[0], high = low, at = 0;
    lanes lows = {(int32_t)low, (int32_t)low, (int32_t)low, (int32_t)low}, highs = lows;
    for (; at + 4 <= n; at += 4) {
        lanes v;
        memcpy(&v, codes + at, sizeof v);
        lanes is_less = v<lows, is_more = v> highs;
        lows = (v & is_less) | (lows & ~is_less);
        highs = (v & is_more) | (highs & ~is_more);
    }
    for (int lane = 0; lane < 4; lane++) {
        low = (uint32_t)lows[lane] < low ? (uint32_t)lows[lane] : low;
        high = (uint32_t)highs[lane] > high ? (uint32_t)highs[lane] : high;
    }
    for (; at < n; at++) {
        low = codes[at] < low ? codes[at] : low;
        high = codes[at] > high ? codes[at] : high;
    }
    *min = low;
    *max = high;
}

/* The least and the largest of rows [first, end): numbers of codes or of values. */
static void find_bounds(const eg_pq_chunk_input *in, uint32_t first, uint32_t end, size_t *min,
                        size_t *max) {
    *min = *max = in->dictionary != NULL ? 0 : first;
    if (in->dictionary != NULL && in->codes == NULL)
        return;
    if (in->dictionary != NULL) {
        extremes_of_codes(in->codes + first, end - first, min, max);
    } else if (in->type == EG_PQ_INT32 && in->is_unsigned) {
        extremes_u32(in->values, first, end, min, max);
    } else if (in->type == EG_PQ_INT32) {
        extremes_i32(in->values, first, end, min, max);
    } else if (in->type == EG_PQ_INT64 && in->is_unsigned) {
        extremes_u64(in->values, first, end, min, max);
    } else if (in->type == EG_PQ_INT64) {
        extremes_i64(in->values, first, end, min, max);
    } else {
        for (uint32_t i = first + 1; i < end; i++) {
            *min = text_order(in, i, *min) < 0 ? i : *min;
            *max = text_order(in, i, *max) > 0 ? i : *max;
        }
    }
}

/* The order of bounds a and b, numbers of codes or of values: below 0, 0, above. */
static int bound_order(const eg_pq_chunk_input *in, size_t a, size_t b) {
    if (in->dictionary != NULL)
        return ORDER(a, b);
    if (in->type == EG_PQ_BYTE_ARRAY)
        return text_order(in, a, b);
    if (in->type == EG_PQ_INT32) {
        const int32_t *v = in->values;
        return in->is_unsigned ? ORDER((uint32_t)v[a], (uint32_t)v[b]) : ORDER(v[a], v[b]);
    }
    const int64_t *v = in->values;
    return in->is_unsigned ? ORDER((uint64_t)v[a], (uint64_t)v[b]) : ORDER(v[a], v[b]);
}

/* ---- Bloom filter */

static eg_status make_bloom(const eg_pq_chunk_input *in, eg_pq_chunk_data *out, eg_err *err) {
    uint32_t n_bytes = eg_pq_bloom_bytes(in->n_entries, in->bloom_value_bits);
    eg_pq_bloom_header h = {.n_bytes = (int32_t)n_bytes, .is_split_block = true};
    eg_pq_encode_bloom_header(&out->bloom, &h);
    if (!eg_pq_buffer_reserve(&out->bloom, n_bytes))
        return eg_fail_nomem(err, "a Bloom filter");
    uint8_t *bits = out->bloom.data + out->bloom.n_bytes;
    memset(bits, 0, n_bytes);
    out->bloom.n_bytes += n_bytes;
    size_t width = eg_pq_value_bytes((int32_t)in->type);
    for (uint32_t i = 0; i < in->n_entries; i++) {
        const eg_pq_bytes *text = (const eg_pq_bytes *)in->dictionary + i;
        uint64_t hash = in->type == EG_PQ_BYTE_ARRAY
                            ? eg_pq_bloom_hash(text->data, text->n_bytes)
                            : eg_pq_bloom_hash(bytes_of(in->dictionary, i, width), width);
        uint32_t block = eg_pq_bloom_block(hash, n_bytes / EG_PQ_BLOOM_BLOCK);
        eg_pq_bloom_set(bits + (size_t)block * EG_PQ_BLOOM_BLOCK, hash);
    }
    return EG_OK;
}

/* ---- The chunk */

static void clear(eg_pq_chunk_data *c) {
    eg_pq_buffer_clear(&c->bytes);
    eg_pq_buffer_clear(&c->bounds);
    eg_pq_buffer_clear(&c->bloom);
    for (int i = 0; i < EG_PQ_EXTRAS; i++) {
        eg_pq_buffer_clear(&c->extras[i].bytes);
        c->extras[i].key = NULL;
    }
    c->n_extras = 0;
    c->dictionary_bytes = c->uncompressed_bytes = 0;
    c->n_pages = c->n_rows = 0;
    c->has_bounds = c->ascends = c->descends = true;
}

static eg_status make_room(eg_pq_chunk_data *c, uint32_t n_pages, eg_err *err) {
    if (n_pages <= c->page_capacity)
        return EG_OK;
    eg_pq_chunk_page *pages = realloc(c->pages, n_pages * sizeof *pages);
    if (pages == NULL)
        return eg_fail_nomem(err, "a list of pages");
    c->pages = pages;
    c->page_capacity = n_pages;
    return EG_OK;
}

eg_status eg_pq_chunk_encode(const eg_pq_chunk_input *in, eg_pq_codec *codec, eg_pq_chunk_data *out,
                             eg_err *err) {
    clear(out);
    out->n_rows = in->n_rows;
    eg_status rc = make_room(out, in->n_pages, err);
    if (rc == EG_OK) {
        uint32_t p = in->n_pages * JUDGED_EIGHTHS / 8;
        rc = choose(in, codec, in->page_starts[p], page_end(in, p), out, err);
    }
    if (rc == EG_OK && in->dictionary != NULL)
        rc = put_dictionary(in, codec, out, err);
    const void *array = in->dictionary != NULL ? in->dictionary : in->values;
    size_t chunk_min = 0, chunk_max = 0, last_min = 0, last_max = 0;
    for (uint32_t p = 0; p < in->n_pages && rc == EG_OK; p++) {
        uint32_t first = in->page_starts[p], end = page_end(in, p);
        eg_pq_chunk_page *page = &out->pages[p];
        eg_pq_page_header h = {.type = EG_PQ_DATA_PAGE,
                               .num_values = (int32_t)(end - first),
                               .encoding = out->way.encoding,
                               .level_encoding = EG_PQ_RLE};
        page->offset = (int64_t)out->bytes.n_bytes;
        page->first_row = first;
        encode_rows(in, &out->way, first, end, &out->scratch);
        rc = put_page(out->level, codec, &h, &out->scratch, out, err);
        if (rc != EG_OK)
            break;
        page->compressed_bytes = (int32_t)((int64_t)out->bytes.n_bytes - page->offset);
        out->n_pages++;

        size_t min, max;
        find_bounds(in, first, end, &min, &max);
        page->min = keep_bound(out, in, array, min);
        page->max = keep_bound(out, in, array, max);
        if (p > 0) {
            int low = bound_order(in, last_min, min), high = bound_order(in, last_max, max);
            out->ascends = out->ascends && low <= 0 && high <= 0;
            out->descends = out->descends && low >= 0 && high >= 0;
        }
        if (p == 0 || bound_order(in, min, chunk_min) < 0) {
            chunk_min = min;
            out->min = page->min;
        }
        if (p == 0 || bound_order(in, chunk_max, max) < 0) {
            chunk_max = max;
            out->max = page->max;
        }
        last_min = min;
        last_max = max;
    }
    if (rc == EG_OK && in->dictionary != NULL && in->bloom_value_bits > 0)
        rc = make_bloom(in, out, err);
    if (rc == EG_OK && (out->bounds.status != EG_OK || out->bloom.status != EG_OK))
        rc = eg_fail_nomem(err, "a column chunk");
    return rc;
}

void eg_pq_chunk_free(eg_pq_chunk_data *c) {
    eg_pq_buffer_free(&c->bytes);
    eg_pq_buffer_free(&c->bounds);
    eg_pq_buffer_free(&c->bloom);
    for (int i = 0; i < EG_PQ_EXTRAS; i++)
        eg_pq_buffer_free(&c->extras[i].bytes);
    eg_pq_buffer_free(&c->scratch);
    eg_pq_buffer_free(&c->packed);
    free(c->pages);
    memset(c, 0, sizeof *c);
}
