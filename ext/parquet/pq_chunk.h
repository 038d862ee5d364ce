/*
** Encoding a column chunk: the rows of one REQUIRED column of one row group as
** V1 data pages, with all that the file's metadata will say of them. Nothing is
** written to a file here, so that chunks can be encoded side by side.
*/
#ifndef EG_PQ_CHUNK_H
#define EG_PQ_CHUNK_H

#include "parquet/pq_codec.h"
#include "parquet/pq_encoding.h"

/* What to encode; everything is borrowed during the call. */
typedef struct eg_pq_chunk_input {
    eg_pq_type type;             /* INT32, INT64 or BYTE_ARRAY */
    bool is_unsigned;            /* numbers compare unsigned */
    uint32_t n_rows;             /* at least 1 */
    const uint32_t *page_starts; /* [n_pages] first row of each page, ascending from 0 */
    uint32_t n_pages;
    /* Either codes into a dictionary, whose values ascend strictly in the column's order… */
    const uint32_t *codes;  /* [n_rows]; NULL where there is one entry only */
    const void *dictionary; /* [n_entries], the array of the type (pq_encoding.h) */
    uint32_t n_entries;
    /* …or, where dictionary is NULL, the values. Numbers are PLAIN or DELTA_BINARY_PACKED,
    ** whichever is smaller once compressed, judged by one page; texts are PLAIN. */
    const void *values;  /* [n_rows], the array of the type */
    int32_t compression; /* eg_pq_compression; none is used where it does not pay */
    int level; /* of the codec, 0 its default; EG_PQ_LEVEL_CODES: or LITERALS, page by page */
    uint32_t bloom_value_bits; /* bits a distinct value in a Bloom filter; 0 none. Of entries. */
} eg_pq_chunk_input;

/* Texts longer than this are no bounds. */
#define EG_PQ_BOUND_BYTES 64

typedef struct eg_pq_span {
    uint32_t offset, n_bytes;
} eg_pq_span;

typedef struct eg_pq_chunk_page {
    int64_t offset;           /* of its header in bytes */
    int32_t compressed_bytes; /* header included */
    uint32_t first_row;       /* in the row group */
    eg_pq_span min, max;      /* in bounds: PLAIN bytes without a length */
} eg_pq_chunk_page;

/* How data pages are made. */
typedef struct eg_pq_way {
    int32_t encoding;
    uint32_t bit_width; /* of codes */
    bool is_runs;       /* of codes: every run is one, however short */
} eg_pq_way;

/* Bytes of the caller that are written behind a chunk's pages; see pq_writer.h. */
typedef struct eg_pq_extra {
    const char *key; /* static */
    eg_pq_buffer bytes;
    size_t n_head; /* of these, that the metadata tells of */
} eg_pq_extra;
#define EG_PQ_EXTRAS 2 /* at most, of a chunk */

/* A chunk as it goes into the file. A zeroed one is ready; the encoder reuses its
** memory. */
typedef struct eg_pq_chunk_data {
    eg_pq_buffer bytes;         /* the dictionary page, then the data pages */
    int64_t dictionary_bytes;   /* of the dictionary page; 0 without one */
    int64_t uncompressed_bytes; /* of all pages, headers included */
    int32_t compression;
    eg_pq_way way; /* how the data pages are made */
    uint32_t n_rows;
    eg_pq_chunk_page *pages; /* [n_pages], owned */
    uint32_t n_pages, page_capacity;
    eg_pq_buffer bounds;              /* what the spans point into */
    eg_pq_span min, max;              /* of the chunk */
    bool has_bounds;                  /* of the chunk and of every page */
    bool ascends, descends;           /* the pages' bounds do, both of them */
    eg_pq_buffer bloom;               /* header and bits; empty without one */
    eg_pq_extra extras[EG_PQ_EXTRAS]; /* the caller's */
    uint32_t n_extras;                /* 0 of a chunk just encoded */
    int level;                        /* of the data pages; private, as are the next two */
    eg_pq_buffer scratch, packed;
} eg_pq_chunk_data;

/* EG_NOMEM, EG_LIMIT (a page of 2^31 bytes), EG_OK. */
eg_status eg_pq_chunk_encode(const eg_pq_chunk_input *in, eg_pq_codec *codec, eg_pq_chunk_data *out,
                             eg_err *err);

/* Frees the memory. */
void eg_pq_chunk_free(eg_pq_chunk_data *c);

#endif
