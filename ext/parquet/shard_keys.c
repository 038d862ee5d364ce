#include "parquet/shard_keys.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "parquet/pq_delta.h"
#include "parquet/pq_rle.h"

#define IN_KEY " (" EG_DICTIONARY_KEY ")"
#define FREE_ENTRIES 16384 /* however few bytes they are of */
#define ENTRIES_OF_BYTE 32 /* most that keys in blocks of ours can be */
#define BLOCK 128u         /* differences in a block, as pq_delta.c writes them */
#define MINI 32u           /* in a miniblock of it */
#define MINIS (BLOCK / MINI)
#define SLACK_BYTES 16 /* behind what was read, for loads */

/* Where a block's differences are. */
typedef struct block {
    uint32_t at; /* its widths in raw, one byte a miniblock; the differences follow */
    uint32_t min_delta;
} block;

static uint32_t blocks_of(uint32_t n_entries) {
    return n_entries > 1 ? (n_entries - 2) / BLOCK + 1 : 0;
}

/* ---- writing ------------------------------------------------------------ */

bool eg_shard_keys_write(eg_pq_buffer *out, const int64_t *keys, uint32_t n) {
    if ((uint64_t)keys[n - 1] - (uint64_t)keys[0] > UINT32_MAX)
        return false;
    for (uint32_t b = 0; b < blocks_of(n); b++) {
        uint32_t end = (b + 1) * BLOCK < n ? (b + 1) * BLOCK : n - 1;
        eg_pq_buffer_put_le32(out, (uint32_t)((uint64_t)keys[end] - (uint64_t)keys[0]));
    }
    eg_pq_delta_encode_int64(out, keys, n);
    return true;
}

/* ---- reading ------------------------------------------------------------ */

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

static uint32_t anchor(const eg_shard_keys *k, uint32_t b) {
    return eg_le32(k->raw.data + 4 * (size_t)b);
}

/* Reads the head of a block at *at, which goes on to the next one. Every difference of ascending
** keys is at least 1. */
static bool take_block(const eg_shard_keys *k, size_t *at, size_t n_raw, uint32_t n, block *out) {
    const uint8_t *raw = k->raw.data;
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (*at == n_raw || shift > 35)
            return false;
        v |= (uint64_t)(raw[*at] & 0x7f) << shift;
        if (raw[(*at)++] < 0x80)
            break;
    }
    int64_t min_delta = eg_pq_unzigzag(v);
    if (min_delta < 1 || min_delta > UINT32_MAX || n_raw - *at < MINIS)
        return false;
    *out = (block){.at = (uint32_t)*at, .min_delta = (uint32_t)min_delta};
    *at += MINIS;
    for (uint32_t m = 0; m < MINIS && m * MINI < n; m++) {
        uint32_t width = raw[out->at + m];
        if (width > 32 || n_raw - *at < MINI / 8 * width)
            return false;
        *at += MINI / 8 * width;
    }
    return true;
}

/* Finds the blocks in raw[0..n_raw), and holds the anchors against one another. */
static eg_status open_blocks(eg_shard_keys *k, size_t n_raw, int64_t lo, int64_t hi, eg_err *err) {
    uint32_t n_blocks = blocks_of(k->n_entries);
    size_t at = 4 * (size_t)n_blocks;
    eg_pq_delta d;
    if (n_raw < at || n_raw > UINT32_MAX || !eg_pq_delta_init(&d, k->raw.data + at, n_raw - at) ||
        d.n_total != k->n_entries || d.n_mini != MINIS || d.n_per_mini != MINI)
        return EG_CORRUPT;
    eg_status rc = eg_pq_block_reserve(&k->blocks, ((size_t)n_blocks + 1) * sizeof(block), err);
    if (rc != EG_OK)
        return rc;
    k->first = (int64_t)d.last;
    at = (size_t)(d.pos - k->raw.data);
    uint32_t last = 0;
    block *blocks = (block *)(void *)k->blocks.data;
    for (uint32_t b = 0; b < n_blocks; b++) {
        uint32_t n_left = k->n_entries - 1 - b * BLOCK, next = anchor(k, b);
        if (next <= last || !take_block(k, &at, n_raw, n_left, &blocks[b]))
            return EG_CORRUPT;
        last = next;
    }
    if (at != n_raw || k->first < lo || k->first > hi || last > (uint64_t)hi - (uint64_t)k->first)
        return EG_CORRUPT;
    k->last = k->first + last;
    return EG_OK;
}

eg_status eg_shard_keys_read(eg_shard_keys *k, eg_pq_file *f, uint32_t row_group, uint32_t column,
                             uint32_t n_entries, int64_t lo, int64_t hi, eg_err *err) {
    eg_pq_bytes text;
    int64_t offset, n_raw, crc;
    k->all = NULL;
    k->n_found = 0;
    k->n_entries = n_entries;
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
    eg_status rc = eg_pq_block_reserve(&k->raw, (size_t)n_raw + SLACK_BYTES, err);
    if (rc == EG_OK)
        rc = eg_pq_file_read(f, offset, k->raw.data, (size_t)n_raw, err);
    if (rc != EG_OK)
        return rc;
    k->n_raw = (size_t)n_raw;
    memset(k->raw.data + n_raw, 0, SLACK_BYTES);
    k->bytes_read += n_raw;
    if (libdeflate_crc32(0, k->raw.data, (size_t)n_raw) != (uint32_t)crc)
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, offset,
                                "CRC of the keys differs" IN_KEY, err);
    rc = open_blocks(k, (size_t)n_raw, lo, hi, err);
    if (rc == EG_CORRUPT)
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, offset,
                                "keys that are not those of the dictionary" IN_KEY, err);
    return rc;
}

/* ---- keys --------------------------------------------------------------- */

/* Where nothing more may be loaded: numbers are, 8 bytes at a time, from inside of raw. */
static const uint8_t *end_of_raw(const eg_shard_keys *k) {
    return k->raw.data + k->n_raw + SLACK_BYTES;
}

/* The first n differences of a block, without min_delta. */
static void unpack(const eg_shard_keys *k, const block *b, uint32_t *deltas, uint32_t n) {
    const uint8_t *widths = k->raw.data + b->at, *p = widths + MINIS;
    for (uint32_t m = 0; m * MINI < n; m++) {
        uint32_t n_here = n - m * MINI < MINI ? n - m * MINI : MINI;
        eg_pq_unpack_unchecked(p, end_of_raw(k), widths[m], deltas + m * MINI, n_here);
        p += MINI / 8 * (size_t)widths[m];
    }
}

/* The sum of numbers [first, end) of a miniblock. */
static uint64_t sum_packed(const uint8_t *p, uint32_t width, uint32_t first, uint32_t end) {
    uint64_t sum = 0, mask = ((uint64_t)1 << width) - 1;
    for (uint32_t bit = first * width; bit < end * width; bit += width)
        sum += eg_le64(p + bit / 8) >> bit % 8 & mask;
    return sum;
}

/* The sum of the differences [first, end) of a block. */
static uint64_t sum_deltas(const eg_shard_keys *k, const block *b, uint32_t first, uint32_t end) {
    const uint8_t *widths = k->raw.data + b->at, *p = widths + MINIS;
    uint64_t sum = (uint64_t)b->min_delta * (end - first);
    for (uint32_t m = 0; m * MINI < end; m++) {
        uint32_t lo = first > m * MINI ? first - m * MINI : 0;
        uint32_t hi = end - m * MINI < MINI ? end - m * MINI : MINI;
        if (lo < hi)
            sum += sum_packed(p, widths[m], lo, hi);
        p += MINI / 8 * (size_t)widths[m];
    }
    return sum;
}

/* Decodes a block's keys, less the first one. False where they do not end at the anchor. */
static bool decode_block(const eg_shard_keys *k, uint32_t b, uint32_t *out, uint32_t n) {
    const block *at = (const block *)(void *)k->blocks.data + b;
    uint32_t deltas[BLOCK];
    uint64_t key = b > 0 ? anchor(k, b - 1) : 0;
    unpack(k, at, deltas, n);
    for (uint32_t i = 0; i < n; i++) {
        key += (uint64_t)at->min_delta + deltas[i];
        out[i] = (uint32_t)key;
    }
    return key == anchor(k, b);
}

eg_status eg_shard_keys_decode(eg_shard_keys *k, const char *name, eg_err *err) {
    if (k->all != NULL)
        return EG_OK;
    eg_status rc = eg_pq_block_reserve(&k->room, ((size_t)k->n_entries + 1) * sizeof *k->all, err);
    if (rc != EG_OK)
        return rc;
    uint32_t *all = (uint32_t *)(void *)k->room.data;
    all[0] = 0;
    for (uint32_t b = 0; b < blocks_of(k->n_entries); b++) {
        uint32_t first = b * BLOCK + 1, n = k->n_entries - first;
        if (!decode_block(k, b, all + first, n < BLOCK ? n : BLOCK))
            return eg_fail(err, EG_CORRUPT, -1,
                           "%s: keys that are not those of the dictionary" IN_KEY, name);
    }
    k->all = all;
    return EG_OK;
}

bool eg_shard_keys_at(const eg_shard_keys *k, uint32_t entry, int64_t *key) {
    *key = k->first;
    if (k->all != NULL) {
        *key += k->all[entry];
        return true;
    }
    if (entry == 0)
        return true;
    /* From the anchor that is nearer, with as many differences. */
    uint32_t b = (entry - 1) / BLOCK, n = (entry - 1) % BLOCK + 1,
             n_left = k->n_entries - 1 - entry;
    const block *at = (const block *)(void *)k->blocks.data + b;
    uint32_t lo = b > 0 ? anchor(k, b - 1) : 0, hi = anchor(k, b);
    uint32_t n_behind = n_left < BLOCK - n ? n_left : BLOCK - n;
    bool is_lower = n <= n_behind;
    uint64_t sum = is_lower ? sum_deltas(k, at, 0, n) : sum_deltas(k, at, n, n + n_behind);
    if (sum > hi - lo)
        return false;
    *key += (int64_t)(is_lower ? lo + sum : hi - sum);
    return true;
}

eg_status eg_shard_keys_find(const eg_shard_keys *k, int64_t key, uint32_t *entry) {
    *entry = 0;
    if (k->n_entries == 0 || key < k->first || key > k->last)
        return EG_DONE;
    uint32_t from_first = (uint32_t)(key - k->first), lo = 0, hi = blocks_of(k->n_entries);
    if (from_first == 0)
        return EG_OK;
    while (lo < hi) { /* the first block whose anchor is not below */
        uint32_t mid = lo + (hi - lo) / 2;
        if (anchor(k, mid) < from_first)
            lo = mid + 1;
        else
            hi = mid;
    }
    uint32_t keys[BLOCK], first = lo * BLOCK + 1;
    uint32_t n = k->n_entries - first < BLOCK ? k->n_entries - first : BLOCK;
    if (!decode_block(k, lo, keys, n))
        return EG_CORRUPT;
    for (uint32_t i = 0; i < n; i++)
        if (keys[i] == from_first) {
            *entry = first + i;
            return EG_OK;
        }
    return EG_DONE;
}

void eg_shard_keys_close(eg_shard_keys *k) {
    free(k->room.data);
    free(k->raw.data);
    free(k->blocks.data);
    *k = (eg_shard_keys){0};
}
