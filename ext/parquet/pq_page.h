/*
** One page of a flat column, decoded slice by slice: what pq_reader.c drives with
** pages of a file and the fuzzer with pages of its own.
**
** A page may claim two thousand million rows in four bytes, so nothing is sized
** by that claim: rows come in slices of at most as many as the caller asks for,
** and the buffers are as large as a slice needs. What a slice can hold beyond
** its arrays, the joined texts of DELTA_BYTE_ARRAY, ends at EG_PQ_SLICE_BYTES or
** the one value that is longer.
*/
#ifndef EG_PQ_PAGE_H
#define EG_PQ_PAGE_H

#include "parquet/pq_codec.h"
#include "parquet/pq_codes.h"
#include "parquet/pq_delta.h"
#include "parquet/pq_file.h"
#include "parquet/pq_rle.h"

#define EG_PQ_SLICE_BYTES ((size_t)16 << 20)

/* Where a page is, for messages; all borrowed. */
typedef struct eg_pq_place {
    const char *file, *column;
    uint32_t row_group;
    int64_t offset; /* of the page header in the file */
} eg_pq_place;

/* Fails with "FILE: column C, row group G, page at byte N: …". */
eg_status eg_pq_place_fail(const eg_pq_place *at, eg_status code, eg_err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The values that codes stand for. */
typedef struct eg_pq_dictionary {
    uint32_t n_entries;
    /* [n_entries], the array of the column's type as pq_encoding.h says; of texts
    ** views. Owned by whoever gave them. */
    union {
        const void *any;
        const int32_t *i32;
        const int64_t *i64;
        const float *f32;
        const double *f64;
        const eg_pq_bytes *bytes;
    } values;
} eg_pq_dictionary;

/* Rows of one column. Arrays are valid until the next call on what gave them. */
typedef struct eg_pq_vector {
    uint32_t n_rows;      /* at least 1 */
    uint32_t n_nulls;     /* of these */
    int64_t first_row;    /* number of the first one in its row group */
    const uint8_t *valid; /* [n_rows] 1, or 0 where it is NULL; NULL pointer: none is */
    bool has_codes;       /* values are codes into the chunk's dictionary */
    /* [n_rows], one for each row: zero (empty) where it is NULL, so test `valid`
    ** before a code is looked up: a dictionary can be empty. */
    union {
        const void *any;
        const uint32_t *codes; /* has_codes; each below n_entries */
        const uint8_t *truths; /* BOOLEAN, 0 or 1 */
        const int32_t *i32;
        const int64_t *i64;
        const float *f32;
        const double *f64;
        const eg_pq_bytes *bytes; /* INT96 (12 bytes), BYTE_ARRAY, FIXED */
    } values;
} eg_pq_vector;

/* A block of memory that only grows. */
typedef struct eg_pq_block {
    uint8_t *data;
    size_t capacity;
} eg_pq_block;

/* A page being read. Zeroed it is closed; its buffers stay from page to page. */
typedef struct eg_pq_page {
    const eg_pq_column *column;         /* borrowed */
    const eg_pq_dictionary *dictionary; /* borrowed; NULL where there is none */
    eg_pq_place at;
    int32_t encoding;
    uint32_t n_rows, n_left; /* of the page; not read yet */
    int64_t n_nulls_said;    /* by the header, -1 where it does not say */
    int64_t n_nulls_seen;
    bool has_levels;
    eg_pq_rle levels;
    const uint8_t *pos, *end;                 /* values: what is not read, in raw or in the body */
    uint64_t bit;                             /* PLAIN BOOLEAN: next bit behind pos */
    size_t n_split, split_at;                 /* BYTE_STREAM_SPLIT: values in the page; next one */
    bool is_empty;                            /* no bytes for values: right if all rows are NULL */
    eg_pq_rle codes;                          /* dictionary codes, RLE booleans */
    eg_pq_delta delta;                        /* numbers; lengths (of suffixes) */
    eg_pq_delta prefixes;                     /* DELTA_BYTE_ARRAY */
    eg_pq_buffer previous;                    /* DELTA_BYTE_ARRAY: the value before */
    eg_pq_block valid, values, numbers, text; /* of the current slice */
    uint32_t n_matched;                       /* rows that eg_pq_page_match passed over last, */
    eg_pq_rle levels_before, codes_before;    /* and from where */
} eg_pq_page;

#define EG_PQ_SPARE_PART 8 /* of what a buffer needs, more */

/* Makes sure of `need` bytes; old contents are lost. There are some to spare: what one row group
** needs differs little from the next, and memory that was used before costs no page faults. */
eg_status eg_pq_block_reserve(eg_pq_block *b, size_t need, eg_err *err);

/* Makes it a new one of n_bytes > 0. */
eg_status eg_pq_block_renew(eg_pq_block *b, size_t n_bytes, eg_err *err);

/* Checks the sizes of a page header, of a data or dictionary page, against what is
** there: n_room bytes of file from the header's end to the chunk's. */
eg_status eg_pq_page_check(const eg_pq_page_header *h, int64_t n_room, const eg_pq_place *at,
                           eg_err *err);

/* Checks the CRC of a page, where it has one: raw[0..h->compressed_bytes). */
eg_status eg_pq_page_check_crc(const eg_pq_page_header *h, const uint8_t *raw,
                               const eg_pq_place *at, eg_err *err);

/* Opens a data page (h was checked). raw[0..h->compressed_bytes) is the page as it stands in the
** file, body a block with room for h->uncompressed_bytes (unused when compression is
** UNCOMPRESSED); neither is NULL, and both, like column and dictionary, must stay until the next
** page is opened. EG_CORRUPT, EG_UNSUPPORTED, EG_NOMEM or EG_OK. */
eg_status eg_pq_page_open(eg_pq_page *p, const eg_pq_column *column,
                          const eg_pq_dictionary *dictionary, const eg_pq_page_header *h,
                          const uint8_t *raw, eg_pq_codec *codec, int32_t compression,
                          uint8_t *body, const eg_pq_place *at, eg_err *err);

/* The next rows: 1 to max_rows (at least 1), perhaps fewer than are left. EG_DONE
** at the end. first_row counts from the page's start. */
eg_status eg_pq_page_next(eg_pq_page *p, uint32_t max_rows, eg_pq_vector *out, eg_err *err);

/* The same of picks[0..n_picks) of them only: the rows of these numbers (less `base`, ascending),
** as far as they are among the *n_rows that are passed over. out->n_rows can be 0. Codes and values
** of other rows may not have been looked at. */
eg_status eg_pq_page_pick(eg_pq_page *p, uint32_t max_rows, const uint16_t *picks, uint32_t n_picks,
                          uint32_t base, uint32_t *n_rows, eg_pq_vector *out, eg_err *err);

/* Passes over the next rows and clears alive[i] of those whose code does not pass, where they
** have codes and none is NULL; else *n_rows is 0, and nothing was passed over. EG_DONE at the
** end. */
eg_status eg_pq_page_match(eg_pq_page *p, uint32_t max_rows, const eg_pq_code_test *t,
                           uint8_t *alive, uint32_t *n_rows, eg_err *err);

/* Goes back to where the last eg_pq_page_match began; nothing else was read since. */
void eg_pq_page_back(eg_pq_page *p);

/* Passes over n_rows rows, at most p->n_left. */
eg_status eg_pq_page_skip(eg_pq_page *p, uint32_t n_rows, eg_err *err);

/* Frees the buffers. */
void eg_pq_page_close(eg_pq_page *p);

/* Bytes that the values of a dictionary page take as an array, at most four
** times (sixteen for FIXED(1)) its n_bytes of body; EG_CORRUPT when the body is
** too short for them, EG_UNSUPPORTED for its encoding. */
eg_status eg_pq_dictionary_check(const eg_pq_column *c, const eg_pq_page_header *h, size_t n_bytes,
                                 const eg_pq_place *at, size_t *n_value_bytes, eg_err *err);

/* Decodes a dictionary page's body[0..n_bytes) into values, which has room for what _check said;
** texts view body. Where eg_pq_plain_is_array, values may be NULL: then body, which is aligned
** for them, is the array itself. */
eg_status eg_pq_dictionary_read(const eg_pq_column *c, const eg_pq_page_header *h,
                                const uint8_t *body, size_t n_bytes, void *values,
                                const eg_pq_place *at, eg_pq_dictionary *out, eg_err *err);

#endif
