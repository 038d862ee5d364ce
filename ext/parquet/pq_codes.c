#include "parquet/pq_codes.h"

#include <string.h>

#include "base/bytes.h"
#include "parquet/pq_encoding.h"

#define UNPACKED 256 /* codes that are unpacked in one go */

/* ---- tests -------------------------------------------------------------- */

/* 16 codes at a time. A comparison makes all bits of what passes, of which alive has one. A range
** is one unsigned comparison: code - lo <= hi - lo. Both are of the codes' width. */
typedef uint8_t bytes_16 __attribute__((vector_size(16)));
typedef uint16_t words_8 __attribute__((vector_size(16)));

static bool has_bits(const void *vector) {
    uint64_t halves[2];
    memcpy(halves, vector, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

/* False where a code is above `last`. */
static bool match_8(const uint8_t *in, size_t n, uint8_t lo, uint8_t span, uint8_t last,
                    uint8_t *alive) {
    bytes_16 bad = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        bytes_16 code, live;
        memcpy(&code, in + i, 16);
        memcpy(&live, alive + i, 16);
        live &= (bytes_16)((bytes_16)(code - lo) <= span);
        bad |= (bytes_16)(code > last);
        memcpy(alive + i, &live, 16);
    }
    bool is_bad = has_bits(&bad);
    for (; i < n; i++) {
        alive[i] &= (uint8_t)(in[i] - lo) <= span;
        is_bad |= in[i] > last;
    }
    return !is_bad;
}

static inline words_8 load_words(const uint8_t *in) {
    words_8 w;
    memcpy(&w, in, sizeof w);
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
        w = w << 8 | w >> 8;
    return w;
}

static bool match_16(const uint8_t *in, size_t n, uint16_t lo, uint16_t span, uint16_t last,
                     uint8_t *alive) {
    words_8 bad = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        words_8 a = load_words(in + 2 * i), b = load_words(in + 2 * i + 16);
        bad |= (words_8)(a > last) | (words_8)(b > last);
        bytes_16 live, pass_a = (bytes_16)((words_8)(a - lo) <= span);
        bytes_16 pass_b = (bytes_16)((words_8)(b - lo) <= span);
        memcpy(&live, alive + i, 16);
        live &= __builtin_shufflevector(pass_a, pass_b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22,
                                        24, 26, 28, 30);
        memcpy(alive + i, &live, 16);
    }
    bool is_bad = has_bits(&bad);
    for (; i < n; i++) {
        uint16_t code = eg_le16(in + 2 * i);
        alive[i] &= (uint16_t)(code - lo) <= span;
        is_bad |= code > last;
    }
    return !is_bad;
}

static bool passes(const eg_pq_code_test *t, uint32_t code) {
    return t->passes != NULL ? t->passes[code] != 0 : code >= t->lo && code <= t->hi;
}

/* Codes that were unpacked. */
static void match_each(const uint32_t *codes, size_t n, const eg_pq_code_test *t, uint8_t *alive) {
    if (t->passes != NULL) {
        for (size_t i = 0; i < n; i++)
            alive[i] &= t->passes[codes[i]];
    } else if (t->lo <= t->hi) {
        uint32_t lo = t->lo, span = t->hi - lo;
        for (size_t i = 0; i < n; i++)
            alive[i] &= codes[i] - lo <= span;
    } else {
        memset(alive, 0, n);
    }
}

static bool is_wide(const eg_pq_rle *r) {
    return r->bit_width == 8 || r->bit_width == 16;
}

/* Of a run of whole bytes or 16 bits, with a range that passes. */
static bool match_in_place(const eg_pq_rle *r, size_t n, const eg_pq_code_test *t, uint8_t *alive) {
    uint32_t most = r->bit_width == 8 ? UINT8_MAX : UINT16_MAX;
    uint32_t last = t->n_entries - 1 < most ? t->n_entries - 1 : most;
    uint32_t hi = t->hi < most ? t->hi : most, lo = t->lo;
    const uint8_t *in = r->packed + (size_t)r->n_taken * (r->bit_width / 8);
    bool is_none = lo > hi; /* no code of this width passes */
    if (is_none)
        lo = hi = 0;
    bool is_good = r->bit_width == 8
                       ? match_8(in, n, (uint8_t)lo, (uint8_t)(hi - lo), (uint8_t)last, alive)
                       : match_16(in, n, (uint16_t)lo, (uint16_t)(hi - lo), (uint16_t)last, alive);
    if (is_none)
        memset(alive, 0, n);
    return is_good;
}

/* Of short runs, with a range that passes; what is between two that do is cleared at once. Returns
** of how many codes they were. */
static size_t match_short_runs(eg_pq_rle *r, size_t n, const eg_pq_code_test *t, uint8_t *alive,
                               bool *is_bad) {
    const size_t n_bytes = eg_pq_rle_short_bytes(r);
    const uint32_t lo = t->lo, span = t->hi - lo;
    size_t done = 0, passed = 0, n_run;
    uint32_t code;
    while (n_bytes > 0 && n - done >= EG_PQ_SHORT_RUN &&
           eg_pq_rle_short_run(r, n_bytes, &code, &n_run)) {
        *is_bad |= n_run > 0 && code >= t->n_entries;
        if (code - lo <= span) {
            memset(alive + passed, 0, done - passed);
            passed = done + n_run;
        }
        done += n_run;
    }
    memset(alive + passed, 0, done - passed);
    return done;
}

eg_status eg_pq_codes_match(eg_pq_rle *r, size_t n, const eg_pq_code_test *t, uint8_t *alive) {
    uint32_t codes[UNPACKED];
    size_t n_now;
    bool is_range = t->passes == NULL && t->lo <= t->hi, is_bad = false;
    for (; n > 0; n -= n_now, alive += n_now) {
        n_now = is_range && r->n_left == 0 ? match_short_runs(r, n, t, alive, &is_bad) : 0;
        if (is_bad)
            return EG_CORRUPT;
        if (n_now > 0)
            continue;
        if (!eg_pq_rle_run(r))
            return EG_DONE;
        n_now = n < r->n_left ? n : r->n_left;
        if (!r->is_packed) {
            if (r->value >= t->n_entries)
                return EG_CORRUPT;
            if (!passes(t, r->value))
                memset(alive, 0, n_now);
        } else if (is_wide(r) && t->passes == NULL && t->n_entries > 0) {
            if (!match_in_place(r, n_now, t, alive))
                return EG_CORRUPT;
        } else {
            n_now = n_now < UNPACKED ? n_now : UNPACKED;
            if (!eg_pq_rle_read(r, codes, n_now))
                return EG_DONE;
            if (!eg_pq_codes_below(codes, n_now, t->n_entries))
                return EG_CORRUPT;
            match_each(codes, n_now, t, alive);
            continue;
        }
        eg_pq_rle_skip(r, n_now);
    }
    return EG_OK;
}

/* ---- places ------------------------------------------------------------- */

/* Codes at places of a bit-packed run that begins at place `first`. */
static void pick_packed(const eg_pq_rle *r, const uint16_t *places, uint32_t n, uint32_t first,
                        uint32_t *out) {
    const uint8_t *in = r->packed;
    uint32_t width = r->bit_width, i = 0;
    size_t n_bytes = (size_t)(r->packed_end - in);
    if (width == 8) {
        for (in += r->n_taken; i < n; i++)
            out[i] = in[places[i] - first];
    } else if (width == 16) {
        for (in += 2 * (size_t)r->n_taken; i < n; i++)
            out[i] = eg_le16(in + 2 * (size_t)(places[i] - first));
    } else { /* eight bytes a load, as long as there are as many */
        uint64_t mask = (UINT64_C(1) << width) - 1;
        for (; i < n; i++) {
            uint64_t bit = (uint64_t)(r->n_taken + (places[i] - first)) * width;
            if (bit / 8 + 8 > n_bytes)
                break;
            out[i] = (uint32_t)(eg_le64(in + bit / 8) >> bit % 8 & mask);
        }
        for (; i < n; i++)
            out[i] = eg_pq_rle_at(r, r->n_taken + (places[i] - first));
    }
}

eg_status eg_pq_codes_pick(eg_pq_rle *r, size_t n, const uint16_t *places, uint32_t n_places,
                           uint32_t base, uint32_t n_entries, uint32_t *out) {
    size_t at = 0;
    for (uint32_t k = 0; k < n_places;) {
        if (!eg_pq_rle_run(r))
            return EG_DONE;
        size_t n_now = n - at < r->n_left ? n - at : r->n_left;
        uint32_t end = n_places; /* of those in the run */
        if (places[end - 1] - base >= at + n_now)
            for (end = k; places[end] - base < at + n_now;)
                end++;
        if (r->is_packed)
            pick_packed(r, places + k, end - k, base + (uint32_t)at, out + k);
        for (; k < end && !r->is_packed; k++)
            out[k] = r->value;
        k = end;
        eg_pq_rle_skip(r, n_now);
        at += n_now;
    }
    if (!eg_pq_rle_skip(r, n - at))
        return EG_DONE;
    return eg_pq_codes_below(out, n_places, n_entries) ? EG_OK : EG_CORRUPT;
}
