#include "parquet/shard_keys.h"

#include <libdeflate.h>
#include <stdlib.h>

#include "parquet/pq_delta.h"

#define IN_KEY " (" EG_DICTIONARY_KEY ")"
#define AT_ONCE 512        /* keys decoded at a time */
#define FREE_ENTRIES 16384 /* however few bytes they are of */
#define ENTRIES_OF_BYTE 32 /* most that keys in blocks of ours can be */

/* A number in decimal, up to a space or the end. */
static bool take_number(eg_pq_bytes *text, int64_t max, int64_t *out) {
    int64_t v = 0;
    size_t n = 0;
    while (n < text->n_bytes && n < 19 && text->data[n] >= '0' && text->data[n] <= '9')
        v = v * 10 + (text->data[n++] - '0');
    if (n == 0 || v > max || (n < text->n_bytes && text->data[n] != ' '))
        return false;
    n += n < text->n_bytes;
    text->data += n;
    text->n_bytes -= (uint32_t)n;
    *out = v;
    return true;
}

/* Decodes ascending keys. False where they are none. */
static bool decode(const uint8_t *raw, size_t n_raw, uint32_t n_entries, uint32_t *out) {
    eg_pq_delta d;
    int64_t some[AT_ONCE], last = -1;
    if (!eg_pq_delta_init(&d, raw, n_raw) || d.n_total != n_entries)
        return false;
    for (uint32_t at = 0; at < n_entries;) {
        uint32_t n = n_entries - at < AT_ONCE ? n_entries - at : AT_ONCE;
        if (!eg_pq_delta_read(&d, some, n))
            return false;
        bool is_ascending = some[n - 1] <= UINT32_MAX;
        for (uint32_t i = 0; i < n; i++) {
            is_ascending &= some[i] > last;
            last = some[i];
            out[at + i] = (uint32_t)last;
        }
        if (!is_ascending)
            return false;
        at += n;
    }
    return true;
}

eg_status eg_shard_keys_read(eg_shard_keys *k, eg_pq_file *f, uint32_t row_group, uint32_t column,
                             uint32_t n_entries, eg_err *err) {
    eg_pq_bytes text;
    int64_t offset, n_raw, crc;
    if (!eg_pq_chunk_value(eg_pq_file_chunk(f, row_group, column), EG_DICTIONARY_KEY, &text))
        return EG_DONE;
    int64_t n_file = eg_pq_file_bytes(f);
    if (text.data == NULL || !take_number(&text, n_file, &offset) ||
        !take_number(&text, n_file - offset, &n_raw) || !take_number(&text, UINT32_MAX, &crc) ||
        text.n_bytes > 0)
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, -1,
                                "expected offset, length and CRC in the file" IN_KEY, err);
    if (n_entries > FREE_ENTRIES && n_entries / ENTRIES_OF_BYTE > n_raw)
        return EG_DONE;
    eg_status rc = eg_pq_block_reserve(&k->raw, (size_t)n_raw + 1, err);
    if (rc == EG_OK)
        rc = eg_pq_block_reserve(&k->block, ((size_t)n_entries + 1) * sizeof *k->keys, err);
    if (rc == EG_OK)
        rc = eg_pq_file_read(f, offset, k->raw.data, (size_t)n_raw, err);
    if (rc != EG_OK)
        return rc;
    uint32_t *keys = (uint32_t *)(void *)k->block.data;
    k->keys = keys;
    k->bytes_read += n_raw;
    if (libdeflate_crc32(0, k->raw.data, (size_t)n_raw) != (uint32_t)crc)
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, offset,
                                "CRC of the keys differs" IN_KEY, err);
    if (!decode(k->raw.data, (size_t)n_raw, n_entries, keys))
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, offset,
                                "keys that are not those of the dictionary" IN_KEY, err);
    keys[n_entries] = 0;
    return EG_OK;
}

void eg_shard_keys_close(eg_shard_keys *k) {
    free(k->block.data);
    free(k->raw.data);
    *k = (eg_shard_keys){0};
}
