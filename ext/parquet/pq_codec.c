#include "parquet/pq_codec.h"

#include <lz4.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "parquet/pq_meta.h"

#define GZIP_WINDOW (15 + 16) /* largest window; +16 asks zlib for RFC 1952 */

struct eg_pq_codec {
    ZSTD_DCtx *zstd_in; /* NULL until used, as the next */
    ZSTD_CCtx *zstd_out;
    z_stream gzip_in, gzip_out;
    bool has_gzip_in, has_gzip_out;
    int gzip_level; /* of gzip_out */
    int zstd_level; /* of zstd_out */
};

eg_status eg_pq_codec_open(eg_pq_codec **out, eg_err *err) {
    *out = calloc(1, sizeof **out);
    return *out != NULL ? EG_OK : eg_fail_nomem(err, "page codecs");
}

void eg_pq_codec_close(eg_pq_codec *c) {
    if (c == NULL)
        return;
    ZSTD_freeDCtx(c->zstd_in);
    ZSTD_freeCCtx(c->zstd_out);
    if (c->has_gzip_in)
        inflateEnd(&c->gzip_in);
    if (c->has_gzip_out)
        deflateEnd(&c->gzip_out);
    free(c);
}

const char *eg_pq_codec_name(int32_t compression) {
    static const char *const names[] = {"UNCOMPRESSED", "SNAPPY", "GZIP", "LZO",
                                        "BROTLI",       "LZ4",    "ZSTD", "LZ4_RAW"};
    if (compression < 0 || (size_t)compression >= sizeof names / sizeof *names)
        return "unknown";
    return names[compression];
}

eg_status eg_pq_codec_check(int32_t compression, eg_err *err) {
    switch (compression) {
    case EG_PQ_UNCOMPRESSED:
    case EG_PQ_SNAPPY:
    case EG_PQ_GZIP:
    case EG_PQ_ZSTD:
    case EG_PQ_LZ4_RAW:
        return EG_OK;
    case EG_PQ_LZ4:
        return eg_fail(err, EG_UNSUPPORTED, -1,
                       "codec LZ4 is deprecated and has two forms that cannot be told apart "
                       "(LZ4_RAW, SNAPPY, GZIP and ZSTD are read)");
    default:
        return eg_fail(err, EG_UNSUPPORTED, -1,
                       "codec %s (%d) is not read (SNAPPY, GZIP, ZSTD and LZ4_RAW are)",
                       eg_pq_codec_name(compression), (int)compression);
    }
}

/* ---- Decompression */

static eg_status wrong_size(eg_err *err, const char *codec, size_t found, size_t expected) {
    return eg_fail(err, EG_CORRUPT, -1, "%s gives %zu bytes where the page header says %zu", codec,
                   found, expected);
}

static eg_status snappy_in(const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out,
                           eg_err *err) {
    size_t n;
    if (snappy_uncompressed_length((const char *)in, n_in, &n) != SNAPPY_OK)
        return eg_fail(err, EG_CORRUPT, -1, "SNAPPY data is damaged");
    if (n != n_out)
        return wrong_size(err, "SNAPPY", n, n_out);
    if (snappy_uncompress((const char *)in, n_in, (char *)out, &n) != SNAPPY_OK)
        return eg_fail(err, EG_CORRUPT, -1, "SNAPPY data is damaged");
    return EG_OK;
}

static eg_status zstd_in(eg_pq_codec *c, const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out,
                         eg_err *err) {
    if (c->zstd_in == NULL && (c->zstd_in = ZSTD_createDCtx()) == NULL)
        return eg_fail_nomem(err, "a ZSTD decompressor");
    size_t n = ZSTD_decompressDCtx(c->zstd_in, out, n_out, in, n_in);
    if (ZSTD_isError(n))
        return eg_fail(err, EG_CORRUPT, -1, "ZSTD data is damaged: %s", ZSTD_getErrorName(n));
    return n == n_out ? EG_OK : wrong_size(err, "ZSTD", n, n_out);
}

static eg_status lz4_in(const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out, eg_err *err) {
    int n = LZ4_decompress_safe((const char *)in, (char *)out, (int)n_in, (int)n_out);
    if (n < 0)
        return eg_fail(err, EG_CORRUPT, -1,
                       "LZ4_RAW data is damaged or longer than the page header says");
    return (size_t)n == n_out ? EG_OK : wrong_size(err, "LZ4_RAW", (size_t)n, n_out);
}

static eg_status gzip_in(eg_pq_codec *c, const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out,
                         eg_err *err) {
    z_stream *z = &c->gzip_in;
    int rc = c->has_gzip_in ? inflateReset(z) : inflateInit2(z, GZIP_WINDOW);
    if (rc == Z_MEM_ERROR)
        return eg_fail_nomem(err, "a GZIP decompressor");
    if (rc != Z_OK)
        return eg_fail(err, EG_UNSUPPORTED, -1, "zlib does not start (%d)", rc);
    c->has_gzip_in = true;
    z->next_in = (Bytef *)(uintptr_t)in; /* zlib does not write to it */
    z->avail_in = (uInt)n_in;
    size_t filled = 0;
    for (;;) {
        /* A member may end in header and trailer with nothing left to give: zlib
        ** wants a byte of room all the same, and using it is a page too long. */
        uint8_t beyond;
        bool is_full = filled == n_out;
        z->next_out = is_full ? &beyond : out + filled;
        z->avail_out = is_full ? 1 : (uInt)(n_out - filled);
        uInt room = z->avail_out;
        rc = inflate(z, Z_FINISH);
        uInt gave = room - z->avail_out;
        if (is_full && gave > 0)
            return eg_fail(err, EG_CORRUPT, -1,
                           "GZIP gives more bytes than the page header says (%zu)", n_out);
        filled += gave;
        if (rc == Z_STREAM_END) {
            if (z->avail_in == 0)
                return filled == n_out ? EG_OK : wrong_size(err, "GZIP", filled, n_out);
            if (inflateReset(z) != Z_OK)
                return eg_fail(err, EG_CORRUPT, -1, "GZIP data is damaged");
        } else if (rc == Z_MEM_ERROR) {
            return eg_fail_nomem(err, "a GZIP decompressor");
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return eg_fail(err, EG_CORRUPT, -1, "GZIP data is damaged: %s",
                           z->msg != NULL ? z->msg : "no reason given");
        } else if (z->avail_in == 0 && z->avail_out != 0) {
            return eg_fail(err, EG_CORRUPT, -1, "GZIP data ends inside a member");
        }
    }
}

eg_status eg_pq_decompress(eg_pq_codec *c, int32_t compression, const uint8_t *in, size_t n_in,
                           uint8_t *out, size_t n_out, eg_err *err) {
    static const uint8_t nothing;
    uint8_t nowhere;
    if (n_in > INT32_MAX || n_out > INT32_MAX)
        return eg_fail(err, EG_LIMIT, -1, "a page of more than 2147483647 bytes");
    if (in == NULL)
        in = &nothing;
    if (out == NULL)
        out = &nowhere;
    switch (compression) {
    case EG_PQ_UNCOMPRESSED:
        if (n_in != n_out)
            return wrong_size(err, "UNCOMPRESSED", n_in, n_out);
        memcpy(out, in, n_out);
        return EG_OK;
    case EG_PQ_SNAPPY:
        return snappy_in(in, n_in, out, n_out, err);
    case EG_PQ_GZIP:
        return gzip_in(c, in, n_in, out, n_out, err);
    case EG_PQ_ZSTD:
        return zstd_in(c, in, n_in, out, n_out, err);
    case EG_PQ_LZ4_RAW:
        return lz4_in(in, n_in, out, n_out, err);
    default:
        return eg_pq_codec_check(compression, err);
    }
}

/* ---- Compression */

#define CODES_MATCH_BYTES 7 /* least length of a repetition, and log2 of the places */
#define CODES_HASH_LOG 6    /* remembered: the smallest that ZSTD has */
#define LITERALS_STEP 4096  /* between places where a repetition is looked for */

/* zstd.h names ZSTD_c_literalCompressionMode for static linking only. A library that refuses it
** packs no literals in such steps: larger pages, which nobody then chooses. */
#define LITERALS_MODE ZSTD_c_experimentalParam5
#define LITERALS_ALWAYS 1
#define LITERALS_NEVER 2

/* A compressor of a level; NULL without memory. */
static ZSTD_CCtx *zstd_of_level(eg_pq_codec *c, int level) {
    bool is_new = c->zstd_out == NULL;
    if (is_new && (c->zstd_out = ZSTD_createCCtx()) == NULL)
        return NULL;
    if (!is_new && c->zstd_level == level)
        return c->zstd_out;
    c->zstd_level = level;
    ZSTD_CCtx *z = c->zstd_out;
    /* None of these fails, but for the mode: all are within bounds, and no frame is under way. */
    (void)ZSTD_CCtx_reset(z, ZSTD_reset_session_and_parameters);
    (void)ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level < 0 ? 1 : level);
    if (level < 0) {
        (void)ZSTD_CCtx_setParameter(z, ZSTD_c_strategy, ZSTD_fast);
        (void)ZSTD_CCtx_setParameter(z, ZSTD_c_minMatch, CODES_MATCH_BYTES);
        (void)ZSTD_CCtx_setParameter(z, ZSTD_c_hashLog, CODES_HASH_LOG);
    }
    if (level <= EG_PQ_LEVEL_LITERALS) {
        bool is_stored = level == EG_PQ_LEVEL_STORED;
        (void)ZSTD_CCtx_setParameter(z, ZSTD_c_targetLength, LITERALS_STEP);
        (void)ZSTD_CCtx_setParameter(z, LITERALS_MODE,
                                     is_stored ? LITERALS_NEVER : LITERALS_ALWAYS);
    }
    return z;
}

static eg_status zstd_out(eg_pq_codec *c, int level, const uint8_t *in, size_t n_in,
                          eg_pq_buffer *out, eg_err *err) {
    size_t bound = ZSTD_compressBound(n_in);
    if (level < EG_PQ_LEVEL_STORED || level > ZSTD_maxCLevel())
        return eg_fail(err, EG_MISUSE, -1, "ZSTD has no level %d", level);
    ZSTD_CCtx *zstd = zstd_of_level(c, level);
    if (zstd == NULL)
        return eg_fail_nomem(err, "a ZSTD compressor");
    if (!eg_pq_buffer_reserve(out, bound))
        return eg_fail_nomem(err, "a compressed page");
    size_t n = ZSTD_compress2(zstd, out->data + out->n_bytes, bound, in, n_in);
    if (ZSTD_isError(n)) /* room and level are right: only memory is left */
        return eg_fail(err, EG_NOMEM, -1, "ZSTD: %s", ZSTD_getErrorName(n));
    out->n_bytes += n;
    return EG_OK;
}

static eg_status gzip_out(eg_pq_codec *c, int level, const uint8_t *in, size_t n_in,
                          eg_pq_buffer *out, eg_err *err) {
    z_stream *z = &c->gzip_out;
    if (level < 0 || level > 9)
        return eg_fail(err, EG_MISUSE, -1, "GZIP has no level %d", level);
    if (c->has_gzip_out && c->gzip_level != level) {
        deflateEnd(z);
        memset(z, 0, sizeof *z);
        c->has_gzip_out = false;
    }
    int rc = c->has_gzip_out ? deflateReset(z)
                             : deflateInit2(z, level != 0 ? level : Z_DEFAULT_COMPRESSION,
                                            Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
    if (rc != Z_OK)
        return eg_fail_nomem(err, "a GZIP compressor");
    c->has_gzip_out = true;
    c->gzip_level = level;
    size_t bound = deflateBound(z, (uLong)n_in);
    if (!eg_pq_buffer_reserve(out, bound))
        return eg_fail_nomem(err, "a compressed page");
    z->next_in = (Bytef *)(uintptr_t)in;
    z->avail_in = (uInt)n_in;
    z->next_out = out->data + out->n_bytes;
    z->avail_out = (uInt)bound;
    if (deflate(z, Z_FINISH) != Z_STREAM_END)
        return eg_fail(err, EG_NOMEM, -1, "GZIP does not end within its bound");
    out->n_bytes += bound - z->avail_out;
    return EG_OK;
}

static eg_status snappy_out(const uint8_t *in, size_t n_in, eg_pq_buffer *out, eg_err *err) {
    size_t n = snappy_max_compressed_length(n_in);
    if (!eg_pq_buffer_reserve(out, n))
        return eg_fail_nomem(err, "a compressed page");
    if (snappy_compress((const char *)in, n_in, (char *)out->data + out->n_bytes, &n) != SNAPPY_OK)
        return eg_fail(err, EG_NOMEM, -1, "SNAPPY does not end within its bound");
    out->n_bytes += n;
    return EG_OK;
}

static eg_status lz4_out(const uint8_t *in, size_t n_in, eg_pq_buffer *out, eg_err *err) {
    int bound = LZ4_compressBound((int)n_in);
    if (bound <= 0)
        return eg_fail(err, EG_LIMIT, -1, "a page of %zu bytes is too long for LZ4", n_in);
    if (!eg_pq_buffer_reserve(out, (size_t)bound))
        return eg_fail_nomem(err, "a compressed page");
    int n =
        LZ4_compress_default((const char *)in, (char *)out->data + out->n_bytes, (int)n_in, bound);
    if (n <= 0)
        return eg_fail(err, EG_NOMEM, -1, "LZ4 does not end within its bound");
    out->n_bytes += (size_t)n;
    return EG_OK;
}

eg_status eg_pq_compress(eg_pq_codec *c, int32_t compression, int level, const uint8_t *in,
                         size_t n_in, eg_pq_buffer *out, eg_err *err) {
    static const uint8_t nothing;
    if (n_in > INT32_MAX)
        return eg_fail(err, EG_LIMIT, -1, "a page of more than 2147483647 bytes");
    if (in == NULL)
        in = &nothing;
    switch (compression) {
    case EG_PQ_UNCOMPRESSED:
        eg_pq_buffer_put(out, in, n_in);
        return out->status == EG_OK ? EG_OK : eg_fail_nomem(err, "a page");
    case EG_PQ_SNAPPY:
        return snappy_out(in, n_in, out, err);
    case EG_PQ_GZIP:
        return gzip_out(c, level, in, n_in, out, err);
    case EG_PQ_ZSTD:
        return zstd_out(c, level, in, n_in, out, err);
    case EG_PQ_LZ4_RAW:
        return lz4_out(in, n_in, out, err);
    default:
        return eg_pq_codec_check(compression, err);
    }
}
