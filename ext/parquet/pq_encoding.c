#include "parquet/pq_encoding.h"

#include <string.h>

#include "base/bytes.h"

size_t eg_pq_value_bytes(int32_t type) {
    switch (type) {
    case EG_PQ_BOOLEAN:
        return 1;
    case EG_PQ_INT32:
    case EG_PQ_FLOAT:
        return 4;
    case EG_PQ_INT64:
    case EG_PQ_DOUBLE:
        return 8;
    case EG_PQ_INT96:
    case EG_PQ_BYTE_ARRAY:
    case EG_PQ_FIXED:
        return sizeof(eg_pq_bytes);
    default:
        return 0;
    }
}

size_t eg_pq_plain_bytes(int32_t type, int32_t type_length) {
    switch (type) {
    case EG_PQ_INT32:
    case EG_PQ_FLOAT:
        return 4;
    case EG_PQ_INT64:
    case EG_PQ_DOUBLE:
        return 8;
    case EG_PQ_INT96:
        return 12;
    case EG_PQ_FIXED:
        return type_length > 0 ? (size_t)type_length : 0;
    default:
        return 0;
    }
}

const char *eg_pq_type_name(int32_t type) {
    static const char *const names[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                        "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"};
    return type >= 0 && type < EG_PQ_N_TYPES ? names[type] : "unknown";
}

const char *eg_pq_encoding_name(int32_t encoding) {
    static const char *const names[] = {
        "PLAIN",          "GROUP_VAR_INT",       "PLAIN_DICTIONARY",        "RLE",
        "BIT_PACKED",     "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY",
        "RLE_DICTIONARY", "BYTE_STREAM_SPLIT"};
    if (encoding < 0 || (size_t)encoding >= sizeof names / sizeof *names)
        return "unknown";
    return names[encoding];
}

/* Little-endian numbers of 4 or 8 bytes into an array of the host's. */
static void load_numbers(const uint8_t *in, void *out, size_t width, size_t n) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (n > 0)
        memcpy(out, in, n * width);
#else
    for (size_t i = 0; i < n; i++) {
        uint64_t v64 = width == 8 ? eg_le64(in + 8 * i) : 0;
        uint32_t v32 = width == 4 ? eg_le32(in + 4 * i) : 0;
        memcpy((uint8_t *)out + i * width, width == 8 ? (void *)&v64 : (void *)&v32, width);
    }
#endif
}

bool eg_pq_plain_is_array(int32_t type) {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ &&
           (type == EG_PQ_INT32 || type == EG_PQ_INT64 || type == EG_PQ_FLOAT ||
            type == EG_PQ_DOUBLE);
}

bool eg_pq_plain_read(int32_t type, int32_t type_length, const uint8_t **pos, const uint8_t *end,
                      void *out, size_t n) {
    const uint8_t *p = *pos;
    size_t n_bytes = (size_t)(end - p), width = eg_pq_plain_bytes(type, type_length);
    eg_pq_bytes *bytes = out;
    if (type == EG_PQ_BYTE_ARRAY) {
        for (size_t i = 0; i < n; i++) {
            if (end - p < 4)
                return false;
            uint32_t length = eg_le32(p);
            p += 4;
            if (length > (size_t)(end - p))
                return false;
            bytes[i] = (eg_pq_bytes){p, length};
            p += length;
        }
        *pos = p;
        return true;
    }
    if (width == 0 || n > n_bytes / width)
        return false;
    if (type == EG_PQ_FIXED || type == EG_PQ_INT96) {
        for (size_t i = 0; i < n; i++)
            bytes[i] = (eg_pq_bytes){p + i * width, (uint32_t)width};
    } else {
        load_numbers(p, out, width, n);
    }
    *pos = p + n * width;
    return true;
}

void eg_pq_plain_read_bits_unchecked(const uint8_t *data, uint64_t bit, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++, bit++)
        out[i] = data[bit / 8] >> bit % 8 & 1;
}

void eg_pq_split_read_unchecked(int32_t type, int32_t type_length, const uint8_t *data,
                                size_t n_total, size_t first, void *out, uint8_t *room, size_t n) {
    size_t width = eg_pq_plain_bytes(type, type_length);
    const uint8_t *in = data + first;
    if (width == 4 && type != EG_PQ_FIXED) {
        uint32_t *numbers = out;
        for (size_t i = 0; i < n; i++)
            numbers[i] = (uint32_t)in[i] | (uint32_t)in[i + n_total] << 8 |
                         (uint32_t)in[i + 2 * n_total] << 16 | (uint32_t)in[i + 3 * n_total] << 24;
    } else if (width == 8 && type != EG_PQ_FIXED) {
        uint64_t *numbers = out;
        for (size_t i = 0; i < n; i++) {
            uint64_t v = 0;
            for (unsigned k = 0; k < 8; k++)
                v |= (uint64_t)in[i + k * n_total] << (8 * k);
            numbers[i] = v;
        }
    } else {
        eg_pq_bytes *bytes = out;
        for (size_t k = 0; k < width; k++) {
            for (size_t i = 0; i < n; i++)
                room[i * width + k] = in[k * n_total + i];
        }
        for (size_t i = 0; i < n; i++)
            bytes[i] = (eg_pq_bytes){room + i * width, (uint32_t)width};
    }
}

bool eg_pq_codes_below(const uint32_t *codes, size_t n, uint32_t n_entries) {
    /* Without a branch for each code: n_entries - 1 - code goes below zero in
    ** 33 bits for a bad one; codes of 2^31 and more are bad by themselves. */
    uint32_t bad[8] = {0};
    size_t i = 0;
    if (n == 0)
        return true;
    if (n_entries == 0 || n_entries > UINT32_C(1) << 31)
        return false;
    for (; i + 8 <= n; i += 8) {
        for (size_t k = 0; k < 8; k++)
            bad[k] |= (n_entries - 1 - codes[i + k]) | codes[i + k];
    }
    for (; i < n; i++)
        bad[0] |= (n_entries - 1 - codes[i]) | codes[i];
    for (size_t k = 1; k < 8; k++)
        bad[0] |= bad[k];
    return bad[0] >> 31 == 0;
}

void eg_pq_plain_encode(eg_pq_buffer *out, int32_t type, const void *values, size_t n) {
    if (n == 0)
        return;
    if (type == EG_PQ_BOOLEAN) {
        const uint8_t *truths = values;
        if (!eg_pq_buffer_reserve(out, (n + 7) / 8))
            return;
        uint8_t *p = out->data + out->n_bytes;
        memset(p, 0, (n + 7) / 8);
        for (size_t i = 0; i < n; i++)
            p[i / 8] |= (uint8_t)((truths[i] != 0) << i % 8);
        out->n_bytes += (n + 7) / 8;
    } else if (type == EG_PQ_BYTE_ARRAY || type == EG_PQ_FIXED || type == EG_PQ_INT96) {
        const eg_pq_bytes *bytes = values;
        size_t n_head = type == EG_PQ_BYTE_ARRAY ? 4 : 0, n_bytes = 0;
        for (size_t i = 0; i < n; i++)
            n_bytes += n_head + bytes[i].n_bytes;
        if (!eg_pq_buffer_reserve(out, n_bytes))
            return;
        for (size_t i = 0; i < n; i++) {
            if (n_head > 0)
                eg_pq_buffer_put_le32(out, bytes[i].n_bytes);
            eg_pq_buffer_put(out, bytes[i].data, bytes[i].n_bytes);
        }
    } else {
        size_t width = eg_pq_value_bytes(type), n_bytes;
        if (__builtin_mul_overflow(n, width, &n_bytes) || !eg_pq_buffer_reserve(out, n_bytes)) {
            out->status = EG_NOMEM;
            return;
        }
        load_numbers(values, out->data + out->n_bytes, width, n); /* its own inverse */
        out->n_bytes += n_bytes;
    }
}
