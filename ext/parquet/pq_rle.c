#include "parquet/pq_rle.h"

#include <string.h>

#include "base/bytes.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* One case for each width of 1 to 32, so that shifts and offsets are constants. */
#define WIDTHS_TO_8(M) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8)
#define WIDTHS_TO_16(M) M(9) M(10) M(11) M(12) M(13) M(14) M(15) M(16)
#define WIDTHS_TO_24(M) M(17) M(18) M(19) M(20) M(21) M(22) M(23) M(24)
#define WIDTHS_TO_32(M) M(25) M(26) M(27) M(28) M(29) M(30) M(31) M(32)
#define EACH_WIDTH(M) WIDTHS_TO_8(M) WIDTHS_TO_16(M) WIDTHS_TO_24(M) WIDTHS_TO_32(M)

static ALWAYS_INLINE uint32_t width_mask(unsigned width) {
    return width == 32 ? UINT32_MAX : (UINT32_C(1) << width) - 1;
}

uint32_t eg_pq_bit_width(uint32_t max_value) {
    return max_value == 0 ? 0 : 32 - (uint32_t)__builtin_clz(max_value);
}

/* ---- Unpacking */

/* Written out, for compilers do not unroll loops at -O2 and the offsets are to be
** constants. */
#define EACH_OF_4(M) M(0) M(1) M(2) M(3)
#define EACH_OF_8(M) EACH_OF_4(M) M(4) M(5) M(6) M(7)
#define OF_32_FROM_8(M) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
#define OF_32_FROM_16(M) M(16) M(17) M(18) M(19) M(20) M(21) M(22) M(23)
#define OF_32_FROM_24(M) M(24) M(25) M(26) M(27) M(28) M(29) M(30) M(31)
#define EACH_OF_32(M) EACH_OF_8(M) OF_32_FROM_8(M) OF_32_FROM_16(M) OF_32_FROM_24(M)

/* A group is eight numbers in `width` bytes. Each load takes eight bytes, so up
** to seven beyond the group are read: the caller leaves room for that. */
static ALWAYS_INLINE void unpack_groups_width(const uint8_t *in, uint32_t *out, size_t n_groups,
                                              const unsigned width) {
    const uint64_t mask = width_mask(width);
    for (size_t g = 0; g < n_groups; g++, in += width, out += 8) {
        if (width <= 8) {
            uint64_t bits = eg_le64(in);
#define FROM_ONE_LOAD(I) out[I] = (uint32_t)(bits >> (I)*width & mask);
            EACH_OF_8(FROM_ONE_LOAD)
        } else if (width <= 16) {
            /* Four numbers a load; the second starts up to 4 bits into a byte. */
            uint64_t low = eg_le64(in), high = eg_le64(in + width / 2) >> width % 2 * 4;
#define FROM_TWO_LOADS(I)                                                                          \
    out[I] = (uint32_t)(low >> (I)*width & mask);                                                  \
    out[4 + I] = (uint32_t)(high >> (I)*width & mask);
            EACH_OF_4(FROM_TWO_LOADS)
        } else {
#define FROM_EIGHT_LOADS(I)                                                                        \
    out[I] = (uint32_t)(eg_le64(in + (I)*width / 8) >> (I)*width % 8 & mask);
            EACH_OF_8(FROM_EIGHT_LOADS)
        }
    }
}

static void unpack_groups(const uint8_t *in, uint32_t *out, size_t n_groups, unsigned width) {
    switch (width) {
#define UNPACK_CASE(W)                                                                             \
    case W:                                                                                        \
        unpack_groups_width(in, out, n_groups, W);                                                 \
        break;
        EACH_WIDTH(UNPACK_CASE)
    }
}

void eg_pq_unpack_unchecked(const uint8_t *data, const uint8_t *end, uint32_t bit_width,
                            uint32_t *out, size_t n) {
    if (bit_width == 0) {
        memset(out, 0, n * sizeof *out);
        return;
    }
    /* Groups whose loads stay before `end`. */
    size_t n_groups = n / 8, n_bytes = (size_t)(end - data);
    size_t n_safe = n_bytes >= 8 + (size_t)bit_width ? (n_bytes - 8) / bit_width : 0;
    size_t n_fast = n_groups < n_safe ? n_groups : n_safe;
    unpack_groups(data, out, n_fast, bit_width);
    data += n_fast * bit_width;
    out += n_fast * 8;
    n -= n_fast * 8;
    /* The rest goes through a copy that is long enough. */
    while (n > 0) {
        uint8_t group[EG_PQ_RLE_MAX_WIDTH + 8] = {0};
        uint32_t values[8];
        size_t n_now = n < 8 ? n : 8, n_copy = (n_now * bit_width + 7) / 8;
        memcpy(group, data, n_copy);
        unpack_groups(group, values, 1, bit_width);
        memcpy(out, values, n_now * sizeof *out);
        data += n_copy;
        out += n_now;
        n -= n_now;
    }
}

/* ---- Reading runs */

void eg_pq_rle_init(eg_pq_rle *r, const uint8_t *data, size_t n_bytes, uint32_t bit_width) {
    *r = (eg_pq_rle){.pos = data, .end = data + n_bytes, .bit_width = bit_width};
}

static bool next_run(eg_pq_rle *r) {
    uint64_t head = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (r->pos == r->end || shift > 28)
            return false;
        uint8_t b = *r->pos++;
        head |= (uint64_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0)
            break;
    }
    if (head > UINT32_MAX)
        return false;
    size_t n_bytes = (size_t)(r->end - r->pos);
    r->is_packed = (head & 1) != 0;
    if (r->is_packed) {
        /* The last run may claim more numbers than it has bytes for: what is
        ** there counts, and a reader who needs more finds the end. */
        uint64_t n_groups = head >> 1, n_run_bytes = n_groups * r->bit_width;
        uint64_t n = n_groups * 8;
        if (n_run_bytes > n_bytes) {
            n_run_bytes = n_bytes;
            n = (uint64_t)n_bytes * 8 / r->bit_width;
        }
        r->n_left = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
        r->packed = r->pos;
        r->packed_end = r->pos + n_run_bytes;
        r->n_taken = 0;
        r->pos = r->packed_end;
        return true;
    }
    size_t n_value_bytes = (r->bit_width + 7) / 8;
    if (n_bytes < n_value_bytes)
        return false;
    r->value = 0;
    for (size_t i = 0; i < n_value_bytes; i++)
        r->value |= (uint32_t)r->pos[i] << (8 * i);
    r->pos += n_value_bytes;
    r->n_left = (uint32_t)(head >> 1);
    return true;
}

bool eg_pq_rle_run(eg_pq_rle *r) {
    while (r->n_left == 0)
        if (!next_run(r))
            return false;
    return true;
}

uint32_t eg_pq_rle_at(const eg_pq_rle *r, uint32_t place) {
    uint64_t bit = (uint64_t)place * r->bit_width;
    const uint8_t *p = r->packed + bit / 8;
    unsigned shift = bit % 8;
    uint64_t v = 0;
    for (unsigned got = 0; got < r->bit_width + shift && p < r->packed_end; got += 8)
        v |= (uint64_t)*p++ << got;
    return r->bit_width == 0 ? 0 : (uint32_t)(v >> shift) & width_mask(r->bit_width);
}

static void read_packed(eg_pq_rle *r, uint32_t *out, size_t n) {
    size_t i = 0;
    for (; i < n && r->n_taken % 8 != 0; i++)
        out[i] = eg_pq_rle_at(r, r->n_taken++);
    const uint8_t *p = r->packed + (size_t)(r->n_taken / 8) * r->bit_width;
    if (i < n) {
        eg_pq_unpack_unchecked(p, r->packed_end, r->bit_width, out + i, n - i);
        r->n_taken += (uint32_t)(n - i);
    }
}

#define RUN_STORE 4 /* numbers written at once */

/* Reads short runs. Returns how many numbers these were. */
static size_t read_short_runs(eg_pq_rle *r, uint32_t *out, size_t n) {
    typedef uint32_t four __attribute__((vector_size(16)));
    const size_t n_bytes = eg_pq_rle_short_bytes(r);
    size_t done = 0, n_run;
    uint32_t value;
    while (n_bytes > 0 && n - done >= EG_PQ_SHORT_RUN &&
           eg_pq_rle_short_run(r, n_bytes, &value, &n_run)) {
        four values = {value, value, value, value};
        for (size_t i = 0; i < n_run; i += RUN_STORE)
            memcpy(out + done + i, &values, sizeof values);
        done += n_run;
    }
    return done;
}

bool eg_pq_rle_read(eg_pq_rle *r, uint32_t *out, size_t n) {
    while (n > 0) {
        if (r->n_left == 0) {
            size_t n_done = read_short_runs(r, out, n);
            out += n_done;
            n -= n_done;
            if (n > 0 && !next_run(r))
                return false;
            continue;
        }
        size_t n_now = n < r->n_left ? n : r->n_left;
        if (r->is_packed) {
            read_packed(r, out, n_now);
        } else {
            for (size_t i = 0; i < n_now; i++)
                out[i] = r->value;
        }
        r->n_left -= (uint32_t)n_now;
        out += n_now;
        n -= n_now;
    }
    return true;
}

bool eg_pq_rle_skip(eg_pq_rle *r, size_t n) {
    while (n > 0) {
        if (r->n_left == 0) {
            if (!next_run(r))
                return false;
            continue;
        }
        size_t n_now = n < r->n_left ? n : r->n_left;
        if (r->is_packed)
            r->n_taken += (uint32_t)n_now;
        r->n_left -= (uint32_t)n_now;
        n -= n_now;
    }
    return true;
}

/* Eight bits become eight bytes: copy the byte everywhere, keep bit i in byte i,
** and carry it down to bit 0. */
static void spread_byte(uint8_t bits, uint8_t out[8]) {
    uint64_t v = bits * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
    v = (v + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101);
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

static size_t read_packed_bits(eg_pq_rle *r, uint8_t *out, size_t n) {
    size_t n_ones = 0;
    while (n > 0) {
        uint8_t byte = r->packed[r->n_taken / 8];
        if (n >= 8 && r->n_taken % 8 == 0) {
            spread_byte(byte, out);
            n_ones += (size_t)__builtin_popcount(byte);
            out += 8;
            r->n_taken += 8;
            n -= 8;
        } else {
            *out = byte >> r->n_taken % 8 & 1;
            n_ones += *out++;
            r->n_taken++;
            n--;
        }
    }
    return n_ones;
}

bool eg_pq_rle_read_bits(eg_pq_rle *r, uint8_t *out, size_t n, size_t *n_ones) {
    *n_ones = 0;
    while (n > 0) {
        if (r->n_left == 0) {
            if (!next_run(r) || (!r->is_packed && r->value > 1))
                return false;
            continue;
        }
        size_t n_now = n < r->n_left ? n : r->n_left;
        if (r->is_packed) {
            *n_ones += read_packed_bits(r, out, n_now);
        } else {
            memset(out, (int)r->value, n_now);
            *n_ones += r->value * n_now;
        }
        r->n_left -= (uint32_t)n_now;
        out += n_now;
        n -= n_now;
    }
    return true;
}

/* ---- Packing */

static ALWAYS_INLINE void store32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

/* 32 numbers make `width` words of 32 bits exactly. */
static ALWAYS_INLINE void pack_32s_width(const uint32_t *in, uint8_t *out, size_t n_blocks,
                                         const unsigned width) {
    for (size_t b = 0; b < n_blocks; b++, in += 32, out += 4 * width) {
        uint64_t bits = 0;
#define TO_WORD(I)                                                                                 \
    bits |= (uint64_t)(in[I] & width_mask(width)) << (I)*width % 32;                               \
    if ((I)*width / 32 != ((I) + 1) * width / 32) {                                                \
        store32(out + (I)*width / 32 * 4, (uint32_t)bits);                                         \
        bits >>= 32;                                                                               \
    }
        EACH_OF_32(TO_WORD)
    }
}

static void pack_32s(const uint32_t *in, uint8_t *out, size_t n_blocks, unsigned width) {
    switch (width) {
#define PACK_CASE(W)                                                                               \
    case W:                                                                                        \
        pack_32s_width(in, out, n_blocks, W);                                                      \
        break;
        EACH_WIDTH(PACK_CASE)
    }
}

void eg_pq_pack(eg_pq_buffer *out, const uint32_t *values, size_t n, uint32_t bit_width) {
    size_t n_groups = (n + 7) / 8, n_bytes;
    if (__builtin_mul_overflow(n_groups, (size_t)bit_width, &n_bytes)) {
        out->status = EG_NOMEM;
        return;
    }
    if (!eg_pq_buffer_reserve(out, n_bytes))
        return;
    uint8_t *p = out->data + out->n_bytes;
    size_t n_blocks = n / 32, rest = n % 32;
    pack_32s(values, p, n_blocks, bit_width);
    if (rest > 0) {
        uint32_t padded[32] = {0};
        uint8_t packed[32 * 4];
        memcpy(padded, values + n_blocks * 32, rest * sizeof *padded);
        pack_32s(padded, packed, 1, bit_width);
        memcpy(p + n_blocks * 4 * bit_width, packed, (rest + 7) / 8 * bit_width);
    }
    out->n_bytes += n_bytes;
}

/* A run pays when it is longer than the two groups that its head and the head
** of the packed run behind it cost at most. */
#define LEAST_RUN 16
/* Readers that unpack a run at once need memory for no more than this. */
#define MOST_GROUPS 8192

static void put_packed(eg_pq_buffer *out, const uint32_t *values, size_t n, uint32_t bit_width) {
    while (n > 0) {
        size_t n_now = n < (size_t)MOST_GROUPS * 8 ? n : (size_t)MOST_GROUPS * 8;
        eg_pq_buffer_put_varint(out, (n_now + 7) / 8 << 1 | 1);
        eg_pq_pack(out, values, n_now, bit_width);
        values += n_now;
        n -= n_now;
    }
}

void eg_pq_rle_encode_run(eg_pq_buffer *out, uint32_t value, size_t n, uint32_t bit_width) {
    while (n > 0) {
        size_t n_now = n < INT32_MAX ? n : INT32_MAX;
        eg_pq_buffer_put_varint(out, (uint64_t)n_now << 1);
        for (uint32_t bit = 0; bit < bit_width; bit += 8)
            eg_pq_buffer_put_byte(out, (uint8_t)(value >> bit));
        n -= n_now;
    }
}

/* How many numbers from the first on are equal to it, at most n. */
static size_t run_length(const uint32_t *values, size_t n) {
    size_t i = 1;
    while (i < n && values[i] == values[0])
        i++;
    return i;
}

void eg_pq_rle_encode_runs(eg_pq_buffer *out, const uint32_t *values, size_t n,
                           uint32_t bit_width) {
    for (size_t i = 0, run; i < n; i += run) {
        run = run_length(values + i, n - i);
        eg_pq_rle_encode_run(out, values[i], run, bit_width);
    }
}

void eg_pq_rle_encode(eg_pq_buffer *out, const uint32_t *values, size_t n, uint32_t bit_width) {
    /* Runs start where a group of the pending bit-packed run ends: up to seven
    ** numbers of a run that starts within a group are packed. */
    size_t start = 0, i = 0;
    while (i + 8 <= n) {
        const uint32_t *v = values + i;
        uint32_t differs = (v[1] ^ v[0]) | (v[2] ^ v[0]) | (v[3] ^ v[0]) | (v[4] ^ v[0]) |
                           (v[5] ^ v[0]) | (v[6] ^ v[0]) | (v[7] ^ v[0]);
        if (differs != 0) {
            i += 8;
            continue;
        }
        size_t run = run_length(values + i, n - i);
        if (run < LEAST_RUN && i + run < n) {
            i += 8;
            continue;
        }
        put_packed(out, values + start, i - start, bit_width);
        eg_pq_rle_encode_run(out, values[i], run, bit_width);
        i += run;
        start = i;
    }
    put_packed(out, values + start, n - start, bit_width);
}
