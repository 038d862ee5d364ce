#include "parquet/shard_keys.h"

#include <libdeflate.h>
#include <stdio.h>
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
#define WHOLE_BITS 31  /* of a part that has all entries: they are fewer than 2^31 */
#define SLACK_BYTES 16 /* behind what was read, for loads */
#define MOST_ALONE 8   /* parts that are read one by one: then all are */

/* Where a block's differences are. */
typedef struct block {
    uint32_t at; /* its widths in raw, one byte a miniblock; the differences follow */
    uint32_t min_delta;
} block;

static uint32_t anchors_of(uint32_t n_entries, uint32_t step) {
    return n_entries > 1 ? (n_entries - 2) / step + 1 : 0;
}

static uint32_t blocks_of(uint32_t n_entries) {
    return anchors_of(n_entries, BLOCK);
}

/* ---- writing ------------------------------------------------------------ */

bool eg_shard_keys_write(eg_pq_buffer *out, const int64_t *keys, uint32_t n, uint32_t step) {
    if ((uint64_t)keys[n - 1] - (uint64_t)keys[0] > UINT32_MAX)
        return false;
    for (uint32_t a = 0; a < anchors_of(n, step); a++) {
        uint32_t end = n - 1 - a * step > step ? (a + 1) * step : n - 1;
        eg_pq_buffer_put_le32(out, (uint32_t)((uint64_t)keys[end] - (uint64_t)keys[0]));
    }
    eg_pq_delta_encode_int64(out, keys, n);
    return true;
}

/* ---- parts -------------------------------------------------------------- */

/* A part that was read. */
typedef struct part {
    const uint8_t *anchors; /* little endian */
    const block *blocks;
    uint32_t n_entries;
    uint32_t first; /* key of its first entry, less the dictionary's first */
} part;

static size_t raw_of(const eg_shard_keys *k, uint32_t p) {
    return p > 0 ? eg_shard_part_at(&k->parts, p) - eg_shard_part_at(&k->parts, 0) : 0;
}

static size_t raw_bytes_of(const eg_shard_keys *k, uint32_t p) {
    return k->parts.key != NULL ? eg_shard_part_bytes(&k->parts, p) : k->n_raw;
}

static part part_of(const eg_shard_keys *k, uint32_t p) {
    uint32_t n_left = k->n_entries - (p << k->part_bits), n_most = 1u << k->part_bits;
    return (part){.anchors = k->raw.data + raw_of(k, p),
                  .blocks = (const block *)(void *)k->blocks.data + p * (n_most / BLOCK),
                  .n_entries = n_left < n_most ? n_left : n_most,
                  .first = p > 0 ? eg_shard_part_first(&k->parts, p) : 0};
}

static uint32_t anchor(const part *p, uint32_t a) {
    return eg_le32(p->anchors + 4 * (size_t)a);
}

/* The key of the entry before anchor a, less the part's first: where its differences begin. */
static uint32_t anchor_before(const part *p, uint32_t a) {
    return a > 0 ? anchor(p, a - 1) : 0;
}

/* ---- reading ------------------------------------------------------------ */

static eg_status fail(const eg_shard_keys *k, const char *what, eg_err *err) {
    const eg_shard_parts *p = &k->parts;
    if (p->key != NULL)
        return eg_shard_parts_fail(p, what, err);
    char text[96];
    snprintf(text, sizeof text, "%s" IN_KEY, what);
    return eg_pq_chunk_fail(p->file, p->row_group, p->column, EG_CORRUPT, -1, text, err);
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

/* Finds the blocks of a part that was read, and holds its anchors against one another and against
** the keys of the part behind it. */
static bool open_part(eg_shard_keys *k, uint32_t i) {
    part p = part_of(k, i);
    block *blocks = (block *)(void *)k->blocks.data + i * ((1u << k->part_bits) / BLOCK);
    uint32_t n_anchors = anchors_of(p.n_entries, k->step);
    size_t begin = raw_of(k, i), end = begin + raw_bytes_of(k, i);
    size_t at = begin + 4 * (size_t)n_anchors;
    eg_pq_delta d;
    if (end < at || !eg_pq_delta_init(&d, k->raw.data + at, end - at) || d.n_total != p.n_entries ||
        d.n_mini != MINIS || d.n_per_mini != MINI)
        return false;
    int64_t first = (int64_t)d.last;
    if (k->parts.key == NULL)
        k->first = first;
    else if (first != k->first + p.first)
        return false;
    at = (size_t)(d.pos - k->raw.data);
    uint32_t last = 0;
    for (uint32_t a = 0; a < n_anchors; a++) {
        uint32_t next = anchor(&p, a);
        if (next <= last)
            return false;
        last = next;
    }
    for (uint32_t b = 0; b < blocks_of(p.n_entries); b++)
        if (!take_block(k, &at, end, p.n_entries - 1 - b * BLOCK, &blocks[b]))
            return false;
    return at == end && first >= k->lo && first <= k->hi &&
           last <= (uint64_t)k->hi - (uint64_t)first && last <= UINT32_MAX - p.first &&
           (i + 1 >= k->parts.n_parts || p.first + last < eg_shard_part_first(&k->parts, i + 1));
}

/* Reads parts [first, end). */
static eg_status load_parts(eg_shard_keys *k, uint32_t first, uint32_t end, eg_err *err) {
    int64_t before = k->parts.bytes_read;
    eg_status rc = eg_shard_parts_load(&k->parts, first, end, k->raw.data + raw_of(k, first), err);
    k->bytes_read += k->parts.bytes_read - before;
    for (uint32_t i = first; i < end && rc == EG_OK; i++) {
        if (!open_part(k, i))
            return fail(k, "keys that are not those of the dictionary", err);
        k->marks.data[i] = 1;
    }
    return rc;
}

eg_status eg_shard_keys_load(eg_shard_keys *k, uint32_t p, eg_err *err) {
    if (k->n_alone < MOST_ALONE) {
        k->n_alone++;
        return load_parts(k, p, p + 1, err);
    }
    eg_status rc = EG_OK;
    for (uint32_t first = 0, end; first < k->parts.n_parts && rc == EG_OK; first = end) {
        for (end = first + 1; end < k->parts.n_parts && k->is_read[end] == k->is_read[first];)
            end++;
        if (!k->is_read[first])
            rc = load_parts(k, first, end, err);
    }
    return rc;
}

/* Makes room for keys of n_raw bytes in parts, none of which is read. */
static eg_status make_room(eg_shard_keys *k, size_t n_raw, eg_err *err) {
    uint32_t n_parts = k->parts.n_parts;
    size_t n_blocks = blocks_of(k->n_entries) + (size_t)n_parts;
    eg_status rc = eg_pq_block_reserve(&k->raw, n_raw + SLACK_BYTES, err);
    if (rc == EG_OK)
        rc = eg_pq_block_reserve(&k->blocks, n_blocks * sizeof(block), err);
    if (rc == EG_OK)
        rc = eg_pq_block_reserve(&k->marks, n_parts, err);
    if (rc != EG_OK)
        return rc;
    k->n_raw = n_raw;
    memset(k->raw.data + n_raw, 0, SLACK_BYTES);
    memset(k->marks.data, 0, n_parts);
    k->is_read = k->marks.data;
    return EG_OK;
}

/* Whether they are so few bytes that they are not worth the entries' memory. */
static bool are_few(const eg_shard_keys *k, int64_t n_raw) {
    return k->n_entries > FREE_ENTRIES && k->n_entries / ENTRIES_OF_BYTE > n_raw;
}

/* Those of an older shard: one part. */
static eg_status read_whole(eg_shard_keys *k, eg_err *err) {
    eg_shard_parts *p = &k->parts;
    eg_shard_place place;
    eg_status rc =
        eg_shard_place_read(p->file, p->row_group, p->column, EG_DICTIONARY_KEY, &place, err);
    if (rc != EG_OK || are_few(k, place.n_bytes))
        return rc != EG_OK ? rc : EG_DONE;
    p->key = NULL;
    p->n_parts = 1;
    k->part_bits = WHOLE_BITS;
    k->step = EG_KEYS_STEP_OLDER;
    if (place.n_bytes > UINT32_MAX)
        return fail(k, "keys that are not those of the dictionary", err);
    rc = make_room(k, (size_t)place.n_bytes, err);
    if (rc == EG_OK)
        rc = eg_pq_file_read(p->file, place.offset, k->raw.data, k->n_raw, err);
    if (rc != EG_OK)
        return rc;
    k->bytes_read += place.n_bytes;
    if (libdeflate_crc32(0, k->raw.data, k->n_raw) != place.crc32)
        return fail(k, "CRC of the keys differs", err);
    if (!open_part(k, 0))
        return fail(k, "keys that are not those of the dictionary", err);
    k->marks.data[0] = 1;
    return EG_OK;
}

/* Makes room for parts whose head was read: one behind the other. */
static eg_status prepare_parts(eg_shard_keys *k, eg_err *err) {
    const eg_shard_parts *p = &k->parts;
    uint32_t at = eg_shard_part_at(p, 0);
    uint64_t end = at;
    for (uint32_t i = 0; i < p->n_parts; i++) {
        if (eg_shard_part_at(p, i) != end)
            return fail(k, "parts that are not one behind the other", err);
        end += eg_shard_part_bytes(p, i);
    }
    if (are_few(k, (int64_t)(end - at)))
        return EG_DONE;
    k->first = p->first;
    k->part_bits = EG_PART_BITS;
    k->step = EG_KEYS_STEP;
    return make_room(k, (size_t)(end - at), err);
}

eg_status eg_shard_keys_read(eg_shard_keys *k, eg_pq_file *f, uint32_t row_group, uint32_t column,
                             uint32_t n_entries, int64_t lo, int64_t hi, eg_err *err) {
    int64_t before = k->parts.bytes_read;
    k->all = NULL;
    k->n_found = k->n_alone = 0;
    k->n_entries = n_entries;
    k->lo = lo;
    k->hi = hi;
    if (n_entries == 0)
        return EG_DONE;
    eg_status rc =
        eg_shard_parts_read(&k->parts, f, row_group, column, EG_PARTS_KEY, n_entries, err);
    k->bytes_read += k->parts.bytes_read - before;
    if (rc == EG_DONE)
        return read_whole(k, err);
    return rc == EG_OK ? prepare_parts(k, err) : rc;
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

/* The sum of numbers [first, end) of a miniblock, of one or two bits: all at once. */
static uint64_t sum_narrow(const uint8_t *p, uint32_t width, uint32_t first, uint32_t end) {
    uint32_t n_bits = (end - first) * width;
    uint64_t x = eg_le64(p) >> first * width;
    x &= n_bits < 64 ? ((uint64_t)1 << n_bits) - 1 : UINT64_MAX;
    if (width == 1)
        x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    x = (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) + (x >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f));
    return x * UINT64_C(0x0101010101010101) >> 56;
}

/* The sum of numbers [first, end) of a miniblock, of which there is at least one. */
static uint64_t sum_packed(const uint8_t *p, uint32_t width, uint32_t first, uint32_t end) {
    uint64_t sum = 0, mask = ((uint64_t)1 << width) - 1;
    uint32_t bit = first * width, end_bit = end * width;
    if (width <= 2)
        return width > 0 ? sum_narrow(p, width, first, end) : 0;
    for (; width <= 19 && bit + 2 * width < end_bit; bit += 3 * width) {
        uint64_t x = eg_le64(p + bit / 8) >> bit % 8;
        sum += (x & mask) + (x >> width & mask) + (x >> 2 * width & mask);
    }
    for (; bit < end_bit; bit += width)
        sum += eg_le64(p + bit / 8) >> bit % 8 & mask;
    return sum;
}

/* The sum of the differences [first, end) of a block. */
static uint64_t sum_deltas(const eg_shard_keys *k, const block *b, uint32_t first, uint32_t end) {
    const uint8_t *widths = k->raw.data + b->at, *p = widths + MINIS;
    uint64_t sum = (uint64_t)b->min_delta * (end - first);
    for (uint32_t m = 0; m < first / MINI; m++)
        p += MINI / 8 * (size_t)widths[m];
    for (uint32_t m = first / MINI; m * MINI < end; m++) {
        uint32_t lo = first > m * MINI ? first - m * MINI : 0;
        uint32_t hi = end - m * MINI < MINI ? end - m * MINI : MINI;
        if (lo < hi)
            sum += sum_packed(p, widths[m], lo, hi);
        p += MINI / 8 * (size_t)widths[m];
    }
    return sum;
}

/* Decodes the keys of a part's block, less the part's first one. False where they are not what the
** anchors say. */
static bool decode_block(const eg_shard_keys *k, const part *p, uint32_t b, uint32_t *out,
                         uint32_t n) {
    uint32_t deltas[BLOCK], a = b * (BLOCK / k->step);
    uint64_t key = anchor_before(p, a);
    unpack(k, &p->blocks[b], deltas, n);
    for (uint32_t end = 0, i = 0; i < n; a++) {
        end = n - end > k->step ? end + k->step : n;
        for (; i < end; i++) {
            key += (uint64_t)p->blocks[b].min_delta + deltas[i];
            out[i] = (uint32_t)key;
        }
        if (key != anchor(p, a))
            return false;
    }
    return true;
}

/* Decodes the keys of a part, less the dictionary's first one. */
static bool decode_part(const eg_shard_keys *k, const part *p, uint32_t *out) {
    out[0] = 0;
    for (uint32_t b = 0; b < blocks_of(p->n_entries); b++) {
        uint32_t first = b * BLOCK + 1, n = p->n_entries - first;
        if (!decode_block(k, p, b, out + first, n < BLOCK ? n : BLOCK))
            return false;
    }
    for (uint32_t i = 0; i < p->n_entries && p->first > 0; i++)
        out[i] += p->first;
    return true;
}

eg_status eg_shard_keys_decode(eg_shard_keys *k, eg_err *err) {
    if (k->all != NULL)
        return EG_OK;
    eg_status rc = eg_pq_block_reserve(&k->room, ((size_t)k->n_entries + 1) * sizeof *k->all, err);
    uint32_t *all = (uint32_t *)(void *)k->room.data;
    eg_shard_keys_expect(k, k->n_entries);
    for (uint32_t i = 0; i < k->parts.n_parts && rc == EG_OK; i++) {
        if (!k->is_read[i])
            rc = eg_shard_keys_load(k, i, err);
        part p = part_of(k, i);
        if (rc == EG_OK && !decode_part(k, &p, all + ((size_t)i << k->part_bits)))
            rc = fail(k, "keys that are not those of the dictionary", err);
    }
    k->all = rc == EG_OK ? all : NULL;
    return rc;
}

bool eg_shard_keys_at(const eg_shard_keys *k, uint32_t entry, int64_t *key) {
    *key = k->first;
    if (k->all != NULL) {
        *key += k->all[entry];
        return true;
    }
    part p = part_of(k, entry >> k->part_bits);
    entry &= (1u << k->part_bits) - 1;
    *key += p.first;
    if (entry == 0)
        return true;
    /* Differences [from, n) lead to it from the anchor before, [n, to) on to the one behind: the
    ** fewer are summed. */
    uint32_t a = (entry - 1) / k->step, n = (entry - 1) % BLOCK + 1,
             from = (n - 1) & ~(k->step - 1), n_left = p.n_entries - 1 - entry;
    uint32_t to = n_left < from + k->step - n ? n + n_left : from + k->step;
    const block *at = &p.blocks[(entry - 1) / BLOCK];
    uint32_t lo = anchor_before(&p, a), hi = anchor(&p, a);
    bool is_lower = n - from <= to - n;
    uint64_t sum = is_lower ? sum_deltas(k, at, from, n) : sum_deltas(k, at, n, to);
    if (sum > hi - lo)
        return false;
    *key += (int64_t)(is_lower ? lo + sum : hi - sum);
    return true;
}

/* The entry of a part that has a key, less the part's first one; EG_DONE where none has. */
static eg_status find_in_part(const eg_shard_keys *k, const part *p, uint32_t key,
                              uint32_t *entry) {
    uint32_t lo = 0, hi = anchors_of(p->n_entries, k->step), n_anchors = hi;
    *entry = 0;
    if (key == 0)
        return EG_OK;
    while (lo < hi) { /* the first anchor that is not below */
        uint32_t mid = lo + (hi - lo) / 2;
        if (anchor(p, mid) < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == n_anchors)
        return EG_DONE;
    uint32_t keys[BLOCK], b = lo / (BLOCK / k->step), first = b * BLOCK + 1;
    uint32_t n = p->n_entries - first < BLOCK ? p->n_entries - first : BLOCK;
    if (!decode_block(k, p, b, keys, n))
        return EG_CORRUPT;
    for (uint32_t i = 0; i < n; i++)
        if (keys[i] == key) {
            *entry = first + i;
            return EG_OK;
        }
    return EG_DONE;
}

eg_status eg_shard_keys_find(eg_shard_keys *k, int64_t key, uint32_t *entry, eg_err *err) {
    uint32_t i = 0;
    bool has_head = k->parts.key != NULL;
    if (k->n_entries == 0 || key < k->first || (uint64_t)key - (uint64_t)k->first > UINT32_MAX ||
        (has_head && !eg_shard_parts_find(&k->parts, key, &i)))
        return EG_DONE;
    eg_status rc = k->is_read[i] ? EG_OK : eg_shard_keys_load(k, i, err);
    if (rc != EG_OK)
        return rc;
    part p = part_of(k, i);
    rc = find_in_part(k, &p, (uint32_t)(key - k->first) - p.first, entry);
    *entry += i << k->part_bits;
    return rc == EG_CORRUPT ? fail(k, "keys that are not those of the dictionary", err) : rc;
}

void eg_shard_keys_close(eg_shard_keys *k) {
    free(k->room.data);
    free(k->raw.data);
    free(k->blocks.data);
    free(k->marks.data);
    eg_shard_parts_close(&k->parts);
    *k = (eg_shard_keys){0};
}
