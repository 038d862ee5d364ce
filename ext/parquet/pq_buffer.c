#include "parquet/pq_buffer.h"

#include <stdlib.h>
#include <string.h>

bool eg_pq_buffer_reserve(eg_pq_buffer *b, size_t more) {
    if (b->status != EG_OK)
        return false;
    if (more <= b->capacity - b->n_bytes)
        return true;
    size_t need, doubled = b->capacity < SIZE_MAX / 2 ? b->capacity * 2 : SIZE_MAX;
    if (__builtin_add_overflow(b->n_bytes, more, &need)) {
        b->status = EG_NOMEM;
        return false;
    }
    if (need < doubled)
        need = doubled;
    if (need < 256)
        need = 256;
    uint8_t *data = realloc(b->data, need);
    if (data == NULL) {
        b->status = EG_NOMEM;
        return false;
    }
    b->data = data;
    b->capacity = need;
    return true;
}

void eg_pq_buffer_put(eg_pq_buffer *b, const void *bytes, size_t n_bytes) {
    if (n_bytes == 0 || !eg_pq_buffer_reserve(b, n_bytes))
        return;
    memcpy(b->data + b->n_bytes, bytes, n_bytes);
    b->n_bytes += n_bytes;
}

void eg_pq_buffer_put_byte(eg_pq_buffer *b, uint8_t byte) {
    if (eg_pq_buffer_reserve(b, 1))
        b->data[b->n_bytes++] = byte;
}

void eg_pq_buffer_put_le32(eg_pq_buffer *b, uint32_t v) {
    uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    eg_pq_buffer_put(b, bytes, sizeof bytes);
}

void eg_pq_buffer_put_varint(eg_pq_buffer *b, uint64_t v) {
    uint8_t bytes[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    eg_pq_buffer_put(b, bytes, n);
}

void eg_pq_buffer_clear(eg_pq_buffer *b) {
    b->n_bytes = 0;
    b->status = EG_OK;
}

void eg_pq_buffer_free(eg_pq_buffer *b) {
    free(b->data);
    memset(b, 0, sizeof *b);
}
