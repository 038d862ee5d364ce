/*
** Entries of a stored page are looked for where they should be: behind the bytes of those before,
** but for the few bytes of a header. So nothing here knows how a codec stores.
*/
#include "parquet/shard_parts.h"

#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/shard_keys.h"

#define MOST_HEADER 256 /* bytes before the entries: of a page and of a codec's frame */
#define ENTRY_BYTES 4u
#define MOST_KEY_BYTES 128u /* that a packed key takes, with its part's head if it is alone */

static const char not_those[] = "parts that are not those of the dictionary";

static uint32_t parts_of(uint32_t n_entries) {
    return (n_entries - 1) / EG_PART_ENTRIES + 1;
}

/* ---- the head ----------------------------------------------------------- */

static eg_status fail(const eg_pq_file *f, uint32_t row_group, uint32_t column, int64_t offset,
                      const char *what, const char *key, eg_err *err) {
    char text[128];
    snprintf(text, sizeof text, "%s (%s)", what, key);
    return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, offset, text, err);
}

eg_status eg_shard_parts_fail(const eg_shard_parts *p, const char *what, eg_err *err) {
    return fail(p->file, p->row_group, p->column, p->start, what, p->key, err);
}

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

eg_status eg_shard_place_read(const eg_pq_file *f, uint32_t row_group, uint32_t column,
                              const char *key, eg_shard_place *out, eg_err *err) {
    eg_pq_bytes text;
    int64_t n_file = eg_pq_file_bytes(f), crc;
    if (!eg_pq_chunk_value(eg_pq_file_chunk(f, row_group, column), key, &text))
        return EG_DONE;
    if (text.data == NULL || !take_number(&text, n_file, &out->offset) ||
        !take_number(&text, n_file - out->offset, &out->n_bytes) ||
        !take_number(&text, UINT32_MAX, &crc) || text.n_bytes > 0)
        return fail(f, row_group, column, -1, "expected offset, length and CRC in the file", key,
                    err);
    out->crc32 = (uint32_t)crc;
    return EG_OK;
}

/* Whether the parts are in the file behind the chunk's beginning, and their keys ascend. */
static bool is_sound(const eg_shard_parts *p) {
    int64_t n_room = eg_pq_file_bytes(p->file) - p->start;
    for (uint32_t i = 0; i < p->n_parts; i++)
        if ((int64_t)eg_shard_part_at(p, i) + eg_shard_part_bytes(p, i) > n_room ||
            (i == 0 ? eg_shard_part_first(p, i) != 0
                    : eg_shard_part_first(p, i) <= eg_shard_part_first(p, i - 1)))
            return false;
    return true;
}

eg_status eg_shard_parts_read(eg_shard_parts *p, eg_pq_file *f, uint32_t row_group, uint32_t column,
                              const char *key, uint32_t n_entries, eg_err *err) {
    eg_shard_place place;
    int64_t end;
    p->n_parts = 0;
    p->n_entries = n_entries;
    p->file = f;
    p->row_group = row_group;
    p->column = column;
    p->key = key;
    eg_pq_file_chunk_range(f, row_group, column, &p->start, &end);
    eg_status rc = eg_shard_place_read(f, row_group, column, key, &place, err);
    if (rc != EG_OK)
        return rc;
    uint32_t n_parts = parts_of(n_entries);
    if (place.n_bytes != EG_PARTS_HEAD_BYTES + EG_PART_HEAD_BYTES * (int64_t)n_parts)
        return eg_shard_parts_fail(p, "a head of other parts than the dictionary has", err);
    rc = eg_pq_block_reserve(&p->head, (size_t)place.n_bytes, err);
    if (rc == EG_OK)
        rc = eg_pq_file_read(f, place.offset, p->head.data, (size_t)place.n_bytes, err);
    if (rc != EG_OK)
        return rc;
    p->bytes_read += place.n_bytes;
    if (libdeflate_crc32(0, p->head.data, (size_t)place.n_bytes) != place.crc32)
        return eg_shard_parts_fail(p, "CRC of the head differs", err);
    p->first = (int64_t)eg_le64(p->head.data);
    p->n_parts = n_parts;
    if (!is_sound(p))
        return eg_shard_parts_fail(p, not_those, err);
    return EG_OK;
}

void eg_shard_parts_close(eg_shard_parts *p) {
    free(p->head.data);
    free(p->part.data);
    *p = (eg_shard_parts){0};
}

/* ---- parts -------------------------------------------------------------- */

bool eg_shard_parts_find(const eg_shard_parts *p, int64_t key, uint32_t *part) {
    uint32_t lo = 0, hi = p->n_parts; /* first of lo <= key < first of hi */
    if (key < p->first || (uint64_t)key - (uint64_t)p->first > UINT32_MAX)
        return false;
    uint32_t from_first = (uint32_t)((uint64_t)key - (uint64_t)p->first);
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (eg_shard_part_first(p, mid) <= from_first)
            lo = mid;
        else
            hi = mid;
    }
    *part = lo;
    return true;
}

eg_status eg_shard_parts_load(eg_shard_parts *p, uint32_t first, uint32_t end, uint8_t *to,
                              eg_err *err) {
    uint32_t at = eg_shard_part_at(p, first);
    size_t n_bytes = eg_shard_part_at(p, end - 1) + (size_t)eg_shard_part_bytes(p, end - 1) - at;
    eg_status rc = eg_pq_file_read(p->file, p->start + at, to, n_bytes, err);
    if (rc != EG_OK)
        return rc;
    p->bytes_read += (int64_t)n_bytes;
    for (uint32_t i = first; i < end; i++) {
        const uint8_t *head = p->head.data + EG_PARTS_HEAD_BYTES + EG_PART_HEAD_BYTES * (size_t)i;
        size_t n = eg_shard_part_bytes(p, i);
        if (libdeflate_crc32(0, to, n) != eg_le32(head + 12))
            return eg_shard_parts_fail(p, "CRC of a part differs", err);
        to += n;
    }
    return EG_OK;
}

/* Reads a part of 4 bytes an entry to p->part. */
static eg_status load_plain(eg_shard_parts *p, uint32_t part, eg_err *err) {
    size_t n_bytes = ENTRY_BYTES * (size_t)eg_shard_part_entries(p, part);
    if (eg_shard_part_bytes(p, part) != n_bytes)
        return eg_shard_parts_fail(p, not_those, err);
    eg_status rc = eg_pq_block_reserve(&p->part, n_bytes, err);
    return rc == EG_OK ? eg_shard_parts_load(p, part, part + 1, p->part.data, err) : rc;
}

static uint32_t plain_entry(const eg_shard_parts *p, uint32_t i) {
    return eg_le32(p->part.data + ENTRY_BYTES * (size_t)i);
}

eg_status eg_shard_plain_find(eg_shard_parts *p, int64_t number, uint32_t *entry, eg_err *err) {
    uint32_t part;
    if (!eg_shard_parts_find(p, number, &part))
        return EG_DONE;
    uint32_t lo = 0, hi = eg_shard_part_entries(p, part);
    eg_status rc = load_plain(p, part, err);
    if (rc != EG_OK)
        return rc;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (plain_entry(p, mid) <= number)
            lo = mid;
        else
            hi = mid;
    }
    *entry = part * EG_PART_ENTRIES + lo;
    return plain_entry(p, lo) == number ? EG_OK : EG_DONE;
}

eg_status eg_shard_plain_check(eg_shard_parts *p, const int32_t *entries, eg_err *err) {
    for (uint32_t part = 0; part < p->n_parts; part++) {
        uint32_t first = part * EG_PART_ENTRIES;
        eg_status rc = load_plain(p, part, err);
        if (rc != EG_OK)
            return rc;
        bool is_right =
            (int64_t)(uint32_t)entries[first] == p->first + eg_shard_part_first(p, part);
        for (uint32_t i = 0; i < eg_shard_part_entries(p, part); i++)
            is_right &= plain_entry(p, i) == (uint32_t)entries[first + i] &&
                        (first + i == 0 || (uint32_t)entries[first + i - 1] < plain_entry(p, i));
        if (!is_right)
            return eg_shard_parts_fail(p, not_those, err);
    }
    return EG_OK;
}

/* ---- writing ------------------------------------------------------------ */

static void put_le32(uint8_t *to, uint32_t v) {
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

/* Puts a head without its parts at the start of an empty buffer; gives its bytes, 0 without
** memory. */
static size_t put_head(eg_pq_buffer *out, int64_t first, uint32_t n_parts) {
    size_t n_bytes = EG_PARTS_HEAD_BYTES + EG_PART_HEAD_BYTES * (size_t)n_parts;
    if (!eg_pq_buffer_reserve(out, n_bytes))
        return 0;
    memset(out->data, 0, n_bytes);
    put_le32(out->data, (uint32_t)first);
    put_le32(out->data + 4, (uint32_t)((uint64_t)first >> 32));
    out->n_bytes = n_bytes;
    return n_bytes;
}

static void put_part(eg_pq_buffer *out, uint32_t i, uint32_t first, size_t at, const uint8_t *bytes,
                     size_t n_bytes) {
    uint8_t *head = out->data + EG_PARTS_HEAD_BYTES + EG_PART_HEAD_BYTES * (size_t)i;
    put_le32(head, first);
    put_le32(head + 4, (uint32_t)at);
    put_le32(head + 8, (uint32_t)n_bytes);
    put_le32(head + 12, libdeflate_crc32(0, bytes, n_bytes));
}

bool eg_shard_parts_write(eg_pq_buffer *out, size_t n_chunk, const int64_t *keys, uint32_t n,
                          size_t *n_head) {
    if ((uint64_t)keys[n - 1] - (uint64_t)keys[0] > UINT32_MAX ||
        n_chunk + MOST_KEY_BYTES * (uint64_t)n > UINT32_MAX)
        return false;
    *n_head = put_head(out, keys[0], parts_of(n));
    for (uint32_t i = 0; i < parts_of(n) && *n_head > 0; i++) {
        uint32_t first = i * EG_PART_ENTRIES, n_left = n - first;
        size_t at = out->n_bytes;
        (void)eg_shard_keys_write(
            out, keys + first, n_left < EG_PART_ENTRIES ? n_left : EG_PART_ENTRIES, EG_KEYS_STEP);
        if (out->status == EG_OK)
            put_part(out, i, (uint32_t)((uint64_t)keys[first] - (uint64_t)keys[0]), n_chunk + at,
                     out->data + at, out->n_bytes - at);
    }
    return true;
}

bool eg_shard_plain_write(eg_pq_buffer *out, const uint8_t *chunk, size_t n_chunk,
                          const uint32_t *entries, uint32_t n) {
    n_chunk = n_chunk < UINT32_MAX ? n_chunk : UINT32_MAX;
    if (put_head(out, entries[0], parts_of(n)) == 0)
        return true;
    size_t at = 0;
    for (uint32_t i = 0; i < parts_of(n); i++) {
        uint32_t first = i * EG_PART_ENTRIES, n_left = n - first;
        size_t n_bytes =
            ENTRY_BYTES * (size_t)(n_left < EG_PART_ENTRIES ? n_left : EG_PART_ENTRIES);
        uint8_t raw[ENTRY_BYTES * EG_PART_ENTRIES];
        bool ascends = i == 0 || entries[first] > entries[first - 1];
        for (uint32_t k = 0; k < n_bytes / ENTRY_BYTES; k++) {
            put_le32(raw + ENTRY_BYTES * (size_t)k, entries[first + k]);
            ascends &= k == 0 || entries[first + k] > entries[first + k - 1];
        }
        size_t most = at + MOST_HEADER;
        while (at < most && n_bytes <= n_chunk - at && memcmp(chunk + at, raw, n_bytes) != 0)
            at++;
        if (!ascends || at == most || n_bytes > n_chunk - at) {
            eg_pq_buffer_clear(out);
            return false;
        }
        put_part(out, i, entries[first] - entries[0], at, raw, n_bytes);
        at += n_bytes;
    }
    return true;
}
