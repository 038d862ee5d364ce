#include "parquet/pq_delta.h"

#include <string.h>

#include "base/bytes.h"
#include "parquet/pq_rle.h"

#define BLOCK 128 /* numbers in a block we write */
#define MINIS 4   /* miniblocks in it */
#define MINI (BLOCK / MINIS)

static bool take_varint(eg_pq_delta *d, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && d->pos < d->end; shift += 7) {
        uint8_t b = *d->pos++;
        if (shift == 63 && b > 1)
            return false;
        v |= (uint64_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0) {
            *out = v;
            return true;
        }
    }
    return false;
}

bool eg_pq_delta_init(eg_pq_delta *d, const uint8_t *data, size_t n_bytes) {
    uint64_t block, n_mini, first;
    memset(d, 0, sizeof *d);
    d->pos = data;
    d->end = data + n_bytes;
    if (!take_varint(d, &block) || !take_varint(d, &n_mini) || !take_varint(d, &d->n_total) ||
        !take_varint(d, &first))
        return false;
    if (n_mini == 0 || n_mini > UINT16_MAX || block > INT32_MAX || block % n_mini != 0 ||
        block / n_mini % 8 != 0 || block == 0 || d->n_total > INT32_MAX)
        return false;
    d->n_mini = (uint32_t)n_mini;
    d->n_per_mini = (uint32_t)(block / n_mini);
    d->n_left = d->n_total;
    d->last = (uint64_t)eg_pq_unzigzag(first);
    d->is_first = true;
    d->mini = d->n_mini;
    return true;
}

/* Makes the next miniblock the current one. Its bytes are all there: the last
** one of a stream is filled up. */
static bool next_mini(eg_pq_delta *d) {
    if (d->mini + 1 >= d->n_mini) {
        uint64_t min_delta;
        if (!take_varint(d, &min_delta) || (size_t)(d->end - d->pos) < d->n_mini)
            return false;
        d->min_delta = (uint64_t)eg_pq_unzigzag(min_delta);
        d->widths = d->pos;
        d->pos += d->n_mini;
        d->mini = 0;
    } else {
        d->mini++;
    }
    uint32_t width = d->widths[d->mini];
    uint64_t n_bytes = (uint64_t)d->n_per_mini / 8 * width;
    if (width > 64 || n_bytes > (size_t)(d->end - d->pos))
        return false;
    d->packed = d->pos;
    d->pos += n_bytes;
    d->n_taken = 0;
    return true;
}

/* A number of up to 64 bits at a bit position; `end` bounds the loads. */
static uint64_t bits_at(const uint8_t *p, const uint8_t *end, uint64_t bit, uint32_t width) {
    p += bit / 8;
    unsigned shift = bit % 8;
    uint64_t v;
    if (end - p >= 9) {
        v = eg_le64(p) >> shift;
        if (shift != 0)
            v |= (uint64_t)p[8] << (64 - shift);
    } else {
        v = (uint64_t)*p >> shift;
        for (unsigned got = 8 - shift; got < width; got += 8)
            v |= (uint64_t) * ++p << got;
    }
    return width == 64 ? v : v & ((UINT64_C(1) << width) - 1);
}

/* Reads n numbers of the current miniblock. */
static void read_mini(eg_pq_delta *d, int64_t *out, size_t n) {
    uint32_t width = d->widths[d->mini];
    uint64_t last = d->last, min_delta = d->min_delta;
    if (width == 0) {
        for (size_t i = 0; i < n; i++)
            out[i] = (int64_t)(last += min_delta);
    } else if (width <= 32 && d->n_taken % 8 == 0) {
        uint32_t deltas[64];
        const uint8_t *p = d->packed + (uint64_t)d->n_taken / 8 * width;
        for (size_t done = 0; done < n;) {
            size_t n_now = n - done < 64 ? n - done : 64;
            eg_pq_unpack_unchecked(p, d->end, width, deltas, n_now);
            for (size_t i = 0; i < n_now; i++)
                out[done + i] = (int64_t)(last += min_delta + deltas[i]);
            p += 8 * (size_t)width;
            done += n_now;
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            uint64_t bit = ((uint64_t)d->n_taken + i) * width;
            out[i] = (int64_t)(last += min_delta + bits_at(d->packed, d->end, bit, width));
        }
    }
    d->last = last;
    d->n_taken += (uint32_t)n;
}

bool eg_pq_delta_read(eg_pq_delta *d, int64_t *out, size_t n) {
    if (n > d->n_left)
        return false;
    d->n_left -= n;
    if (n > 0 && d->is_first) {
        d->is_first = false;
        *out++ = (int64_t)d->last;
        n--;
        d->n_taken = d->n_per_mini; /* no miniblock yet */
    }
    while (n > 0) {
        if (d->n_taken == d->n_per_mini && !next_mini(d))
            return false;
        size_t n_now = d->n_per_mini - d->n_taken;
        n_now = n < n_now ? n : n_now;
        read_mini(d, out, n_now);
        out += n_now;
        n -= n_now;
    }
    return true;
}

const uint8_t *eg_pq_delta_end(const eg_pq_delta *d) {
    eg_pq_delta walk = *d;
    /* What needs no further miniblock: the first number, or the rest of this one. */
    uint64_t n = walk.n_left, n_here = walk.is_first ? 1 : walk.n_per_mini - walk.n_taken;
    n -= n < n_here ? n : n_here;
    while (n > 0) {
        if (!next_mini(&walk))
            return NULL;
        n -= n < walk.n_per_mini ? n : walk.n_per_mini;
    }
    return walk.pos;
}

/* ---- Encoding */

/* Appends the low `width` bits of 32 numbers. */
static void put_mini(eg_pq_buffer *out, const uint64_t *deltas, unsigned width) {
    uint8_t bytes[MINI * 8];
    size_t n = 0;
    unsigned n_bits = 0;
    uint64_t bits = 0;
    for (unsigned i = 0; i < MINI; i++) {
        bits |= deltas[i] << n_bits;
        if (n_bits + width < 64) {
            n_bits += width;
            continue;
        }
        for (unsigned b = 0; b < 64; b += 8)
            bytes[n++] = (uint8_t)(bits >> b);
        /* What did not fit; a shift by 64 would be undefined. */
        bits = n_bits == 0 ? 0 : deltas[i] >> (64 - n_bits);
        n_bits = n_bits + width - 64;
    }
    for (unsigned b = 0; b < n_bits; b += 8) /* 32 * width is a whole number of bytes */
        bytes[n++] = (uint8_t)(bits >> b);
    eg_pq_buffer_put(out, bytes, n);
}

/* The same where width is 32 at most, as nearly always. */
static void put_narrow_mini(eg_pq_buffer *out, const uint64_t *deltas, unsigned width) {
    uint32_t narrow[MINI];
    for (unsigned i = 0; i < MINI; i++)
        narrow[i] = (uint32_t)deltas[i];
    eg_pq_pack(out, narrow, MINI, width);
}

/* A block: differences of n (1 to BLOCK) numbers, as wide as min_delta. */
static void put_block(eg_pq_buffer *out, uint64_t *deltas, size_t n, int64_t min_delta,
                      uint64_t mask) {
    uint8_t widths[MINIS] = {0};
    for (size_t i = 0; i < BLOCK; i++)
        deltas[i] = i < n ? (deltas[i] - (uint64_t)min_delta) & mask : 0;
    for (size_t m = 0; m < MINIS; m++) {
        uint64_t all = 0;
        for (size_t i = 0; i < MINI; i++)
            all |= deltas[m * MINI + i];
        widths[m] = (uint8_t)(all == 0 ? 0 : 64 - __builtin_clzll(all));
    }
    eg_pq_buffer_put_varint(out, eg_pq_zigzag(min_delta));
    eg_pq_buffer_put(out, widths, sizeof widths);
    for (size_t m = 0; m < MINIS && m * MINI < n; m++) {
        if (widths[m] > 0 && widths[m] <= 32)
            put_narrow_mini(out, deltas + m * MINI, widths[m]);
        else if (widths[m] > 0)
            put_mini(out, deltas + m * MINI, widths[m]);
    }
}

static void put_head(eg_pq_buffer *out, size_t n, int64_t first) {
    eg_pq_buffer_put_varint(out, BLOCK);
    eg_pq_buffer_put_varint(out, MINIS);
    eg_pq_buffer_put_varint(out, n);
    eg_pq_buffer_put_varint(out, eg_pq_zigzag(first));
}

void eg_pq_delta_encode_int32(eg_pq_buffer *out, const int32_t *values, size_t n) {
    put_head(out, n, n > 0 ? values[0] : 0);
    for (size_t at = 1; at < n;) {
        uint64_t deltas[BLOCK];
        size_t n_now = n - at < BLOCK ? n - at : BLOCK;
        int32_t least = INT32_MAX;
        for (size_t i = 0; i < n_now; i++, at++) {
            int32_t delta = (int32_t)((uint32_t)values[at] - (uint32_t)values[at - 1]);
            deltas[i] = (uint32_t)delta;
            least = delta < least ? delta : least;
        }
        put_block(out, deltas, n_now, least, UINT32_MAX);
    }
}

void eg_pq_delta_encode_int64(eg_pq_buffer *out, const int64_t *values, size_t n) {
    put_head(out, n, n > 0 ? values[0] : 0);
    for (size_t at = 1; at < n;) {
        uint64_t deltas[BLOCK];
        size_t n_now = n - at < BLOCK ? n - at : BLOCK;
        int64_t least = INT64_MAX;
        for (size_t i = 0; i < n_now; i++, at++) {
            deltas[i] = (uint64_t)values[at] - (uint64_t)values[at - 1];
            least = (int64_t)deltas[i] < least ? (int64_t)deltas[i] : least;
        }
        put_block(out, deltas, n_now, least, UINT64_MAX);
    }
}
