/*
** Page codecs: UNCOMPRESSED, SNAPPY, GZIP (RFC 1952), ZSTD and LZ4_RAW, each by
** its own library. The contexts these need are made at first use and kept: one
** eg_pq_codec serves all columns that one thread reads or writes.
*/
#ifndef EG_PQ_CODEC_H
#define EG_PQ_CODEC_H

#include "parquet/pq_buffer.h"

typedef struct eg_pq_codec eg_pq_codec;

/* EG_NOMEM or EG_OK. */
eg_status eg_pq_codec_open(eg_pq_codec **out, eg_err *err);

/* NULL is allowed. */
void eg_pq_codec_close(eg_pq_codec *c);

/* "SNAPPY"; "unknown" for a number that is none. */
const char *eg_pq_codec_name(int32_t compression);

/* EG_UNSUPPORTED with the codec's name for LZO, BROTLI, the deprecated LZ4 and
** unknown numbers, else EG_OK. */
eg_status eg_pq_codec_check(int32_t compression, eg_err *err);

/* Decompresses in[0..n_in), untrusted, to exactly n_out bytes at out: more or
** fewer, or anything behind the last member or frame, is EG_CORRUPT. GZIP may
** have several members. Messages name the codec, not the file. */
eg_status eg_pq_decompress(eg_pq_codec *c, int32_t compression, const uint8_t *in, size_t n_in,
                           uint8_t *out, size_t n_out, eg_err *err);

/* Levels of ZSTD for pages of codes. LITERALS packs bytes by how frequent they are, without a
** look at repetitions; CODES is level 1 that remembers few places and no short repetition: of
** codes, which repeat nearby and at length or not at all, about as small in half the time.
** STORED packs nothing: what comes out is a frame of the bytes as they are. */
#define EG_PQ_LEVEL_CODES (-1)
#define EG_PQ_LEVEL_LITERALS (-2)
#define EG_PQ_LEVEL_STORED (-3)

/* Appends the compressed form of in[0..n_in). `level` is the library's own (ZSTD
** 1 to 19, or one of these three; GZIP 1 to 9), 0 its default; the others have none. GZIP
** writes one member. EG_UNSUPPORTED, EG_NOMEM, EG_LIMIT (over 2^31-1 bytes), EG_MISUSE (a
** level that does not exist) or EG_OK; on failure out is as before. */
eg_status eg_pq_compress(eg_pq_codec *c, int32_t compression, int level, const uint8_t *in,
                         size_t n_in, eg_pq_buffer *out, eg_err *err);

#endif
