/*
** Values of one column as arrays, and the encodings that have little state:
** PLAIN, BYTE_STREAM_SPLIT, bits. The hybrid is in pq_rle.h, the delta encodings
** of numbers in pq_delta.h; pq_page.c puts them together.
**
** The array of each physical type:
**   BOOLEAN                          uint8_t, 0 or 1
**   INT32, INT64, FLOAT, DOUBLE      int32_t, int64_t, float, double
**   INT96, BYTE_ARRAY, FIXED         eg_pq_bytes, views into the encoded bytes
*/
#ifndef EG_PQ_ENCODING_H
#define EG_PQ_ENCODING_H

#include "parquet/pq_meta.h"

/* Bytes of an array element of a type; 0 for a number that is no type. */
size_t eg_pq_value_bytes(int32_t type);

/* Bytes that a value of the type has in PLAIN: fixed, or 0 (BOOLEAN, BYTE_ARRAY). */
size_t eg_pq_plain_bytes(int32_t type, int32_t type_length);

/* "INT32", "RLE_DICTIONARY"; "unknown" for numbers that are none. */
const char *eg_pq_type_name(int32_t type);
const char *eg_pq_encoding_name(int32_t encoding);

/* Whether values of a type stand in PLAIN as they do in an array, but for alignment. */
bool eg_pq_plain_is_array(int32_t type);

/* Reads n PLAIN values at *pos, which moves behind them; not BOOLEAN. type_length
** is of FIXED. False where the bytes up to `end` are too few. */
bool eg_pq_plain_read(int32_t type, int32_t type_length, const uint8_t **pos, const uint8_t *end,
                      void *out, size_t n);

/* Reads n PLAIN booleans from bit number `bit` of data on. The caller has checked
** that data holds bit + n bits. */
void eg_pq_plain_read_bits_unchecked(const uint8_t *data, uint64_t bit, uint8_t *out, size_t n);

/* Reads values number first to first + n - 1 of a BYTE_STREAM_SPLIT page: byte k
** of value i is data[k * n_total + i]. Numbers go to out; for INT96 and FIXED
** the bytes go to `room` (n * type's bytes) and out views them. The caller has
** checked that data holds n_total values. */
void eg_pq_split_read_unchecked(int32_t type, int32_t type_length, const uint8_t *data,
                                size_t n_total, size_t first, void *out, uint8_t *room, size_t n);

/* True when every code is below n_entries (at most 2^31). */
bool eg_pq_codes_below(const uint32_t *codes, size_t n, uint32_t n_entries);

/* Appends n values in PLAIN, BOOLEAN as bits. FIXED and INT96 values are of their
** type's length. The buffer's status tells failure. */
void eg_pq_plain_encode(eg_pq_buffer *out, int32_t type, const void *values, size_t n);

#endif
