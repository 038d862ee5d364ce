/*
** Byte loads, and the order of byte strings. Input comes from the wire and from files: it is read
** byte by byte into a value, never through a cast pointer or a packed struct (compilers turn
** these into one load and a swap).
*/
#ifndef EG_BYTES_H
#define EG_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t eg_be16(const uint8_t *p) {
    return (uint16_t)((p[0] << 8) | p[1]);
}

static inline uint32_t eg_be32(const uint8_t *p) {
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}

static inline uint64_t eg_be64(const uint8_t *p) {
    return (uint64_t)eg_be32(p) << 32 | eg_be32(p + 4);
}

static inline uint16_t eg_le16(const uint8_t *p) {
    return (uint16_t)((p[1] << 8) | p[0]);
}

static inline uint32_t eg_le32(const uint8_t *p) {
    return ((uint32_t)p[3] << 24) | ((uint32_t)p[2] << 16) | ((uint32_t)p[1] << 8) | p[0];
}

static inline uint64_t eg_le64(const uint8_t *p) {
    return ((uint64_t)eg_le32(p + 4) << 32) | eg_le32(p);
}

/* Loads in the byte order a file declares in its own header. */
static inline uint16_t eg_load16(const uint8_t *p, bool big_endian) {
    return big_endian ? eg_be16(p) : eg_le16(p);
}

static inline uint32_t eg_load32(const uint8_t *p, bool big_endian) {
    return big_endian ? eg_be32(p) : eg_le32(p);
}

/* The order of memcmp, a beginning before what goes on: below, at or above 0. */
static inline int eg_bytes_compare(const void *a, size_t n_a, const void *b, size_t n_b) {
    size_t n = n_a < n_b ? n_a : n_b;
    int c = n > 0 ? memcmp(a, b, n) : 0;
    return c != 0 ? c : (n_a > n_b) - (n_a < n_b);
}

#endif
