/*
** A growing byte buffer: what the Parquet writer encodes into. Failure sticks:
** after an allocation failed, everything appended is dropped and `status` says
** EG_NOMEM, so that an encoder checks once at its end.
*/
#ifndef EG_PQ_BUFFER_H
#define EG_PQ_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* A zeroed one is empty and ready. */
typedef struct eg_pq_buffer {
    uint8_t *data;    /* [capacity], owned */
    size_t n_bytes;   /* filled */
    size_t capacity;  /* allocated */
    eg_status status; /* EG_OK or EG_NOMEM */
} eg_pq_buffer;

/* Makes room for `more` bytes behind the filled ones; false (and status) where
** that fails. */
bool eg_pq_buffer_reserve(eg_pq_buffer *b, size_t more);

/* Appends n_bytes bytes; `bytes` may be NULL when there are none. */
void eg_pq_buffer_put(eg_pq_buffer *b, const void *bytes, size_t n_bytes);

/* Appends one byte. */
void eg_pq_buffer_put_byte(eg_pq_buffer *b, uint8_t byte);

/* Appends a number, little endian. */
void eg_pq_buffer_put_le32(eg_pq_buffer *b, uint32_t v);

/* Appends a number as ULEB128: seven bits a byte, lowest first. */
void eg_pq_buffer_put_varint(eg_pq_buffer *b, uint64_t v);

/* Empties it and keeps the memory; a failure is forgotten. */
void eg_pq_buffer_clear(eg_pq_buffer *b);

/* Frees the memory; the buffer may be used again. */
void eg_pq_buffer_free(eg_pq_buffer *b);

/* A signed number as an unsigned one with small magnitudes small, and back. */
static inline uint64_t eg_pq_zigzag(int64_t v) {
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t eg_pq_unzigzag(uint64_t v) {
    return (int64_t)((v >> 1) ^ (UINT64_C(0) - (v & 1)));
}

#endif
