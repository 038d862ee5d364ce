#include "parquet/shard_codes.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "flow/batch.h"

/* Says what passes as one range, where it is. */
static void find_range(eg_shard_codes *c, eg_vector v, const void *numbers) {
    eg_pq_code_test *t = &c->test;
    const uint8_t *first = memchr(c->passes, 1, t->n_entries);
    const uint8_t *fails = memchr(c->passes, 0, t->n_entries);
    c->other = fails != NULL
                   ? eg_array_number(numbers, eg_vector_width(v), (size_t)(fails - c->passes))
                   : 0;
    t->lo = 1;
    t->hi = 0;
    c->is_one = true;
    if (first == NULL)
        return;
    const uint8_t *last = memrchr(c->passes, 1, t->n_entries);
    t->lo = (uint32_t)(first - c->passes);
    t->hi = (uint32_t)(last - c->passes);
    c->is_one = first == last;
    c->number = eg_array_number(numbers, eg_vector_width(v), t->lo);
    if (memchr(first, 0, (size_t)(last - first)) != NULL)
        t->passes = c->passes;
}

eg_status eg_shard_codes_fill(eg_shard_codes *c, const eg_shard_tests *tests, eg_vector v,
                              const void *numbers, uint32_t n_entries, eg_err *err) {
    size_t need = (size_t)n_entries + 1;
    c->is_known = false;
    if (need > c->capacity) {
        free(c->passes);
        c->capacity = 0;
        c->passes = malloc(need + need / 8);
        if (c->passes == NULL)
            return eg_fail_nomem(err, "tested dictionary entries");
        c->capacity = need + need / 8;
    }
    memset(c->passes, 1, n_entries);
    for (size_t i = 0; i < tests->n_tests; i++) {
        const eg_shard_test *t = &tests->tests[i];
        if (t->kind != EG_SHARD_TEST_NUMBERS || t->vector != v ||
            eg_shard_test_rows(t, numbers, n_entries, c->passes))
            continue;
        for (uint32_t k = 0; k < n_entries; k++) {
            int64_t number = eg_array_number(numbers, eg_vector_width(v), k);
            c->passes[k] &= eg_shard_test_span(t, number, number);
        }
    }
    c->test = (eg_pq_code_test){.n_entries = n_entries};
    c->number = 0;
    find_range(c, v, numbers);
    c->is_known = true;
    return EG_OK;
}

void eg_shard_codes_only(eg_shard_codes *c, const eg_shard_only *only, uint32_t n_entries) {
    bool is_there = only->code < n_entries;
    c->test = (eg_pq_code_test){
        .n_entries = n_entries, .lo = is_there ? only->code : 1, .hi = is_there ? only->code : 0};
    c->is_one = true;
    c->number = only->number;
    c->other = only->other;
    c->is_known = true;
}

uint32_t eg_shard_count(const uint8_t *bytes, uint32_t n) {
    typedef uint8_t lanes __attribute__((vector_size(16)));
    uint32_t count = 0, i = 0;
    while (i + sizeof(lanes) <= n) {
        lanes sums = {0}, here; /* of up to 255 */
        for (uint32_t end = i + 255 * sizeof here; i + sizeof here <= n && i < end;
             i += sizeof here) {
            memcpy(&here, bytes + i, sizeof here);
            sums += here;
        }
        for (size_t k = 0; k < sizeof sums; k++)
            count += sums[k];
    }
    for (; i < n; i++)
        count += bytes[i];
    return count;
}

/* Bit i of eight bytes' answer is bit 0 of byte i: a product moves all of them to the top. */
static uint64_t bits_of(const uint8_t *bytes) {
    return (eg_le64(bytes) * UINT64_C(0x0102040810204080)) >> 56;
}

uint32_t eg_shard_ones(const uint8_t *bytes, uint32_t n, uint16_t *places) {
    uint32_t count = 0, i = 0;
    for (; i + 64 <= n; i += 64) {
        const uint8_t *b = bytes + i;
        uint64_t ones = bits_of(b) | bits_of(b + 8) << 8 | bits_of(b + 16) << 16 |
                        bits_of(b + 24) << 24 | bits_of(b + 32) << 32 | bits_of(b + 40) << 40 |
                        bits_of(b + 48) << 48 | bits_of(b + 56) << 56;
        for (; ones != 0; ones &= ones - 1)
            places[count++] = (uint16_t)(i + (uint32_t)__builtin_ctzll(ones));
    }
    for (; i < n; i++)
        if (bytes[i] != 0)
            places[count++] = (uint16_t)i;
    return count;
}

#define PUT(type)                                                                                  \
    for (uint32_t i = 0; i < n; i++)                                                               \
        ((type *)out)[places[i]] = from != NULL ? ((const type *)from)[i] : (type)number;

void eg_shard_put_same(void *out, size_t width, int64_t number, uint32_t n) {
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        int64_t i64;
    } one = {.i64 = number};
    uint8_t block[64], *to = out;
    size_t i = 0, n_bytes = n * width;
    if (width == 1)
        one.u8 = (uint8_t)number;
    else if (width == 2)
        one.u16 = (uint16_t)number;
    else if (width == 4)
        one.u32 = (uint32_t)number;
    for (; i < sizeof block; i += width)
        memcpy(block + i, &one, width);
    for (i = 0; i + sizeof block <= n_bytes; i += sizeof block)
        memcpy(to + i, block, sizeof block);
    memcpy(to + i, block, n_bytes - i);
}

void eg_shard_put_at(void *out, size_t width, const uint16_t *places, uint32_t n, int64_t number,
                     const void *from) {
    switch (width) {
    case 1:
        PUT(uint8_t)
        break;
    case 2:
        PUT(uint16_t)
        break;
    case 4:
        PUT(uint32_t)
        break;
    default:
        PUT(int64_t)
    }
}

void eg_shard_codes_close(eg_shard_codes *c) {
    free(c->passes);
    *c = (eg_shard_codes){0};
}
