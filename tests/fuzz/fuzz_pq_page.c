/*
** Property: whatever a page's bytes are, reading it gives rows or an error, no
** byte beyond it is read, codes are below the dictionary's size, and the rows do
** not depend on how they are sliced, picked or tested.
**
** Input: eight bytes, then the page:
**   0  bits 0-2 physical type; 3 optional; 4 version 2; 5 a dictionary page; 6 compressed
**   1  encoding (the low four bits; over 9 are no encodings)
**   2  codec (the low three bits)
**   3  rows, or dictionary entries: 16 bits, little endian
**   5  bytes when decompressed: 16 bits, little endian (without compression the page's)
**   7  NULLs that a header of version 2 says
** For version 2 the first byte of the page says how many bytes of levels follow it.
*/
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz_check.h"
#include "parquet/pq_encoding.h"
#include "parquet/pq_page.h"

#define HEAD 8
#define ENTRIES 20 /* of the dictionary that codes refer to */

static uint64_t mix(uint64_t hash, const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * UINT64_C(1099511628211);
    return hash;
}

/* A digest of row i: whether it is NULL, and its value or code. */
static uint64_t mix_row(uint64_t hash, const eg_pq_vector *v, const eg_pq_column *c, uint32_t i) {
    bool is_valid = v->valid == NULL || v->valid[i] == 1;
    CHECK(is_valid || v->valid[i] == 0);
    hash = mix(hash, &is_valid, 1);
    if (!is_valid)
        return hash;
    if (v->has_codes) {
        CHECK(v->values.codes[i] < ENTRIES);
        return mix(hash, &v->values.codes[i], 4);
    }
    size_t width = eg_pq_value_bytes(c->type);
    if (width != sizeof(eg_pq_bytes))
        return mix(hash, (const uint8_t *)v->values.any + i * width, width);
    const eg_pq_bytes *text = &v->values.bytes[i];
    CHECK(c->type != EG_PQ_FIXED || text->n_bytes == (uint32_t)c->type_length);
    return mix(mix(hash, &text->n_bytes, 4), text->data, text->n_bytes);
}

/* Reads the page in slices of max_rows, or with every second slice passed over.
** *hash is of the rows read (those of even slices of `step` rows when skipping). */
static eg_status read_page(const eg_pq_column *c, const eg_pq_page_header *h, const uint8_t *raw,
                           eg_pq_codec *codec, int32_t compression, uint32_t max_rows,
                           uint32_t step, bool skips, uint64_t *hash, uint64_t *n_nulls) {
    static const eg_pq_place at = {"fuzz.parquet", "c", 0, 4};
    static uint8_t dummy[ENTRIES * 16];
    eg_pq_dictionary dictionary = {.n_entries = ENTRIES, .values = {.any = dummy}};
    eg_pq_page page = {0};
    eg_pq_vector v;
    eg_err err = {.code = EG_OK};
    uint8_t *body = malloc((size_t)h->uncompressed_bytes + 1);
    CHECK(body != NULL);
    eg_status rc = eg_pq_page_check(h, h->compressed_bytes, &at, &err);
    if (rc == EG_OK)
        rc = eg_pq_page_open(&page, c, &dictionary, h, raw, codec, compression, body, &at, &err);
    uint32_t row = 0;
    *hash = 0;
    *n_nulls = 0;
    while (rc == EG_OK && page.n_left > 0) {
        uint32_t to_edge = step - row % step;
        if (skips && row / step % 2 == 1) {
            uint32_t n = to_edge < page.n_left ? to_edge : page.n_left;
            rc = eg_pq_page_skip(&page, n, &err);
            row += n;
            continue;
        }
        rc = eg_pq_page_next(&page, skips && to_edge < max_rows ? to_edge : max_rows, &v, &err);
        if (rc != EG_OK)
            break;
        CHECK(v.n_rows >= 1 && v.n_rows <= max_rows && v.first_row == (int64_t)row);
        uint32_t nulls = 0;
        for (uint32_t i = 0; i < v.n_rows; i++, row++) {
            nulls += v.valid != NULL && v.valid[i] == 0;
            if (row / step % 2 == 0)
                *hash = mix_row(*hash, &v, c, i);
        }
        CHECK(nulls == v.n_nulls);
        *n_nulls += nulls;
    }
    CHECK(rc != EG_DONE && rc != EG_MISUSE && rc != EG_NOMEM);
    if (rc == EG_OK)
        CHECK(row == (uint32_t)h->num_values && *n_nulls <= row);
    else
        CHECK(err.code == rc && strstr(err.msg, "fuzz.parquet: column c") == err.msg);
    eg_pq_page_close(&page);
    free(body);
    return rc;
}

/* The same by picks, of every second slice of `step` rows; slices between them are tested by codes,
** as far as they can be, and passed over. */
static eg_status pick_page(const eg_pq_column *c, const eg_pq_page_header *h, const uint8_t *raw,
                           eg_pq_codec *codec, int32_t compression, uint32_t step, uint64_t *hash) {
    static const eg_pq_place at = {"fuzz.parquet", "c", 0, 4};
    static uint8_t dummy[ENTRIES * 16];
    static const eg_pq_code_test test = {.n_entries = ENTRIES, .lo = 3, .hi = 9};
    eg_pq_dictionary dictionary = {.n_entries = ENTRIES, .values = {.any = dummy}};
    eg_pq_page page = {0};
    eg_pq_vector v;
    eg_err err = {.code = EG_OK};
    uint8_t *body = malloc((size_t)h->uncompressed_bytes + 1), alive[64];
    CHECK(body != NULL && step <= 32);
    eg_status rc = eg_pq_page_check(h, h->compressed_bytes, &at, &err);
    if (rc == EG_OK)
        rc = eg_pq_page_open(&page, c, &dictionary, h, raw, codec, compression, body, &at, &err);
    uint32_t row = 0, n_read;
    *hash = 0;
    while (rc == EG_OK && page.n_left > 0) {
        uint16_t picks[32];
        uint32_t n_picks = 0, to_edge = step - row % step;
        if (row / step % 2 == 1) {
            memset(alive, 1, sizeof alive);
            rc = eg_pq_page_match(&page, to_edge, &test, alive, &n_read, &err);
            if (rc == EG_OK && n_read > 0) {
                eg_pq_page_back(&page);
                rc = eg_pq_page_next(&page, n_read, &v, &err);
                for (uint32_t i = 0; rc == EG_OK && i < n_read; i++)
                    CHECK(alive[i] == (v.values.codes[i] >= 3 && v.values.codes[i] <= 9));
            } else if (rc == EG_OK) {
                n_read = to_edge < page.n_left ? to_edge : page.n_left;
                rc = eg_pq_page_skip(&page, n_read, &err);
            }
            row += rc == EG_OK ? n_read : 0;
            continue;
        }
        for (uint32_t i = 0; i < to_edge; i++)
            picks[n_picks++] = (uint16_t)(i + 5);
        rc = eg_pq_page_pick(&page, to_edge, picks, n_picks, 5, &n_read, &v, &err);
        if (rc != EG_OK)
            break;
        CHECK(n_read >= 1 && n_read <= to_edge && v.n_rows <= n_read && v.n_rows <= n_picks);
        for (uint32_t i = 0; i < v.n_rows; i++)
            *hash = mix_row(*hash, &v, c, i);
        row += n_read;
    }
    CHECK(rc != EG_DONE && rc != EG_MISUSE && rc != EG_NOMEM);
    if (rc == EG_OK)
        CHECK(row == (uint32_t)h->num_values);
    else
        CHECK(err.code == rc && strstr(err.msg, "fuzz.parquet: column c") == err.msg);
    eg_pq_page_close(&page);
    free(body);
    return rc;
}

static void read_dictionary(const eg_pq_column *c, const eg_pq_page_header *h, const uint8_t *raw,
                            size_t n) {
    static const eg_pq_place at = {"fuzz.parquet", "c", 0, 4};
    size_t n_value_bytes;
    if (eg_pq_dictionary_check(c, h, n, &at, &n_value_bytes, NULL) != EG_OK)
        return;
    CHECK(n_value_bytes <= 16 * n);
    eg_pq_dictionary d;
    void *values = malloc(n_value_bytes + 1);
    CHECK(values != NULL);
    if (eg_pq_dictionary_read(c, h, raw, n, values, &at, &d, NULL) == EG_OK) {
        eg_pq_vector v = {.values = {.any = d.values.any}};
        uint64_t hash = 0;
        CHECK(d.n_entries == (uint32_t)h->num_values);
        for (uint32_t i = 0; i < d.n_entries; i++)
            hash = mix_row(hash, &v, c, i);
    }
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static eg_pq_codec *codec; /* kept from input to input */
    if (size < HEAD || size > 65536)
        return 0;
    if (codec == NULL)
        CHECK(eg_pq_codec_open(&codec, NULL) == EG_OK);
    eg_pq_column c = {.name = "c",
                      .name_bytes = 1,
                      .type = (eg_pq_type)(data[0] & 7),
                      .type_length = (data[0] & 7) == EG_PQ_FIXED ? 5 : 0,
                      .is_optional = (data[0] & 8) != 0};
    bool is_v2 = (data[0] & 16) != 0, is_dictionary = (data[0] & 32) != 0;
    size_t n = size - HEAD, n_levels = 0, n_claimed = eg_le16(data + 5);
    int32_t compression = data[2] & 7;
    bool is_compressed = (data[0] & 64) != 0 && compression != EG_PQ_UNCOMPRESSED;
    int32_t encoding = data[1] & 15, n_rows = eg_le16(data + 3), n_nulls_said = data[7];
    if (encoding == EG_PQ_DELTA_BYTE_ARRAY) /* texts can be long: keep a run short */
        n_rows &= 255;
    if (is_v2 && n > 0) {
        n_levels = data[HEAD] < n ? data[HEAD] : n - 1;
        data++;
        n--;
    }
    uint8_t *raw = malloc(n + (n == 0)); /* exactly as long: a checker sees a read beyond */
    CHECK(raw != NULL);
    if (n > 0)
        memcpy(raw, data + HEAD, n);
    eg_pq_page_header h = {.type = is_dictionary ? EG_PQ_DICTIONARY_PAGE
                                   : is_v2       ? EG_PQ_DATA_PAGE_V2
                                                 : EG_PQ_DATA_PAGE,
                           .uncompressed_bytes = (int32_t)(is_compressed ? n_claimed : n),
                           .compressed_bytes = (int32_t)n,
                           .has_body = true,
                           .num_values = n_rows,
                           .num_rows = n_rows,
                           .num_nulls = n_nulls_said,
                           .encoding = encoding,
                           .level_encoding = EG_PQ_RLE,
                           .definition_bytes = (int32_t)n_levels,
                           .is_compressed = true};
    if (is_dictionary) {
        h.encoding = EG_PQ_PLAIN;
        read_dictionary(&c, &h, raw, n);
    } else {
        uint64_t hash[4], n_nulls[3];
        eg_status rc[4];
        if (!is_compressed)
            compression = EG_PQ_UNCOMPRESSED;
        rc[0] = read_page(&c, &h, raw, codec, compression, 65536, 13, false, &hash[0], &n_nulls[0]);
        rc[1] = read_page(&c, &h, raw, codec, compression, 7, 13, false, &hash[1], &n_nulls[1]);
        rc[2] = read_page(&c, &h, raw, codec, compression, 9, 13, true, &hash[2], &n_nulls[2]);
        rc[3] = pick_page(&c, &h, raw, codec, compression, 13, &hash[3]);
        CHECK((rc[0] == EG_OK) == (rc[1] == EG_OK));
        if (rc[0] == EG_OK)
            CHECK(hash[0] == hash[1] && n_nulls[0] == n_nulls[1]);
        /* Passing over rows may not see damage in them, but the others are the same. */
        if (rc[0] == EG_OK)
            CHECK(rc[2] == EG_OK && hash[2] == hash[0] && rc[3] == EG_OK && hash[3] == hash[0]);
    }
    free(raw);
    return 0;
}
