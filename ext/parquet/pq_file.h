/*
** A Parquet file open for reading: its footer, checked, as a list of flat
** columns and of row groups; its page indexes and Bloom filters on request.
**
** After eg_pq_file_open succeeded, all that the footer says of sizes holds:
** every row group has a chunk for each column, of the column's type, with as many
** values as the group has rows, inside the file and before the footer; the rows
** of the groups add up. The data may still be damaged.
**
** The file is read with pread and never mapped. It does not change once it is
** open and may be read by several threads.
**
** Memory: the footer may claim at most 16 times its own bytes and 1 MiB. The
** buffers of all readers of the file together stay below 16 times the file's
** bytes and EG_PQ_FREE_BYTES: a page that decompresses to more (ZSTD and GZIP
** shrink zeros a thousand times and more) is refused with EG_LIMIT. 256 MiB are
** two pages of a million 8-byte values for each of 16 columns, so that only files
** made to harm reach it; factor 16 lets large files have large pages.
*/
#ifndef EG_PQ_FILE_H
#define EG_PQ_FILE_H

#include "parquet/pq_meta.h"

#define EG_PQ_FREE_BYTES ((int64_t)256 << 20)

typedef struct eg_pq_file eg_pq_file;

typedef enum eg_pq_logical {
    EG_PQ_LOGICAL_NONE, /* the physical type is all there is; numbers are signed */
    EG_PQ_LOGICAL_STRING,
    EG_PQ_LOGICAL_INT,       /* bits, is_signed */
    EG_PQ_LOGICAL_TIMESTAMP, /* unit, is_utc */
    EG_PQ_LOGICAL_DECIMAL,   /* scale, precision */
    EG_PQ_LOGICAL_OTHER      /* a date, a UUID, JSON…, or a type of later days */
} eg_pq_logical;

typedef struct eg_pq_column {
    const char *name;    /* NUL terminated */
    uint32_t name_bytes; /* without the NUL */
    eg_pq_type type;
    int32_t type_length;      /* FIXED: bytes of a value, at least 1; else 0 */
    bool is_optional;         /* may be NULL */
    eg_pq_logical logical;    /* of logicalType, else of converted_type */
    int8_t bits;              /* INT: 8, 16, 32, 64 */
    bool is_signed;           /* INT */
    eg_pq_unit unit;          /* TIMESTAMP */
    bool is_utc;              /* TIMESTAMP: an instant */
    int32_t scale, precision; /* DECIMAL */
    bool has_order;           /* its values have an order that is known here */
} eg_pq_column;

/* Opens a file.
**   EG_IO           it cannot be opened or read
**   EG_CORRUPT      not a Parquet file, cut, or the footer is damaged or contradicts
**                   itself; err->offset is where
**   EG_UNSUPPORTED  encrypted, a nested or repeated column (the message names it),
**                   data in another file
**   EG_LIMIT        the footer claims more memory than its size allows
**   EG_NOMEM */
eg_status eg_pq_file_open(const char *path, eg_pq_file **out, eg_err *err);

/* The same with a descriptor, which the file takes over (and closes, even when
** this fails); `name` is for messages. */
eg_status eg_pq_file_open_fd(int fd, const char *name, eg_pq_file **out, eg_err *err);

/* NULL is allowed. All readers are closed before. */
void eg_pq_file_close(eg_pq_file *f);

const char *eg_pq_file_name(const eg_pq_file *f);
int64_t eg_pq_file_bytes(const eg_pq_file *f);
int64_t eg_pq_file_opening_bytes(const eg_pq_file *f); /* that were read to open it */
int64_t eg_pq_file_rows(const eg_pq_file *f);
uint32_t eg_pq_file_columns(const eg_pq_file *f);
uint32_t eg_pq_file_row_groups(const eg_pq_file *f);

/* A column, row group or chunk by number; they live as long as the file. */
const eg_pq_column *eg_pq_file_column(const eg_pq_file *f, uint32_t column);
const eg_pq_row_group *eg_pq_file_row_group(const eg_pq_file *f, uint32_t row_group);
const eg_pq_chunk *eg_pq_file_chunk(const eg_pq_file *f, uint32_t row_group, uint32_t column);

/* The number of a column by its exact name, -1 where there is none. Of columns
** with the same name the first. */
int64_t eg_pq_file_find(const eg_pq_file *f, const char *name, size_t n_bytes);

/* The writer's name for itself; data is NULL where absent. */
eg_pq_bytes eg_pq_file_created_by(const eg_pq_file *f);

/* Looks a key up in the key-value metadata of the file, or of a chunk. False where it is
** not there. */
bool eg_pq_file_value(const eg_pq_file *f, const char *key, eg_pq_bytes *out);
bool eg_pq_chunk_value(const eg_pq_chunk *k, const char *key, eg_pq_bytes *out);

/* What the statistics of a chunk say that can be relied on. */
typedef struct eg_pq_bounds {
    int64_t null_count; /* -1 unknown */
    bool has_min, has_max;
    bool is_min_exact, is_max_exact; /* a value of the column, not just a bound; unknown is false */
    eg_pq_bytes min, max; /* PLAIN bytes of a value, without a length; of the file's footer */
} eg_pq_bounds;

/* The bounds of a chunk. min_value and max_value count when the file says that the
** column has the order of its type; the deprecated min and max only for numbers
** that compare signed. Bounds of the wrong length, NaN, or of the wrong order are
** dropped. Texts and bytes compare as memcmp does, a FIXED decimal as a signed
** number. A column without has_order has none. */
void eg_pq_file_bounds(const eg_pq_file *f, uint32_t row_group, uint32_t column, eg_pq_bounds *out);

/* Compares two PLAIN values of a column that has_order: <0, 0, >0. The lengths
** are the type's. */
int eg_pq_column_compare(const eg_pq_column *c, eg_pq_bytes a, eg_pq_bytes b);

/* True when the statistics tell that every data page of the chunk is encoded with
** its dictionary, so that a value that is not in it is nowhere in the chunk. */
bool eg_pq_file_all_dictionary(const eg_pq_file *f, uint32_t row_group, uint32_t column);

/* Fails with "FILE: column C, row group G: WHAT". */
eg_status eg_pq_chunk_fail(const eg_pq_file *f, uint32_t row_group, uint32_t column, eg_status code,
                           int64_t offset, const char *what, eg_err *err);

/* ---- Page index */

/* Where a page is. */
typedef struct eg_pq_index_page {
    int64_t offset;            /* of the page header in the file */
    int64_t first_row, n_rows; /* in the row group */
    int32_t compressed_bytes;  /* header included */
} eg_pq_index_page;

/* What its values are. */
typedef struct eg_pq_index_bounds {
    eg_pq_bounds bounds;
    bool is_null_page; /* has only NULLs */
} eg_pq_index_bounds;

typedef struct eg_pq_index {
    eg_pq_index_page *pages;    /* [n_pages], in order of rows */
    eg_pq_index_bounds *bounds; /* [n_pages]; NULL where there is no column index */
    uint32_t n_pages;           /* data pages of the chunk */
    uint8_t *raw;               /* private: what the bounds view */
} eg_pq_index;

/* Reads the page index of a chunk into *out, which the caller closes. EG_DONE
** where the chunk has none, EG_CORRUPT where it contradicts the chunk. */
eg_status eg_pq_index_open(eg_pq_file *f, uint32_t row_group, uint32_t column, eg_pq_index *out,
                           eg_err *err);

/* The same without the bounds, which only a predicate needs, for n columns of a row group at once:
** where these indexes stand close together they are read in one go. Into outs[i] of columns[i]: no
** pages where the chunk has no index; none is open on failure. *bytes_read are the file's. */
eg_status eg_pq_index_places(eg_pq_file *f, uint32_t row_group, const uint32_t *columns,
                             eg_pq_index *const *outs, size_t n, int64_t *bytes_read, eg_err *err);

/* Harmless on a zeroed one. */
void eg_pq_index_close(eg_pq_index *x);

/* ---- Bloom filters */

typedef struct eg_pq_bloom {
    eg_pq_file *file;  /* borrowed */
    int64_t offset;    /* of the first block in the file */
    uint32_t n_blocks; /* at least 1 */
} eg_pq_bloom;

/* Finds the Bloom filter of a chunk. EG_DONE where there is none (or one of a
** kind that is not known). */
eg_status eg_pq_bloom_find(eg_pq_file *f, uint32_t row_group, uint32_t column, eg_pq_bloom *out,
                           eg_err *err);

/* Sets *maybe to false when no value of the chunk has these PLAIN bytes. Reads 32
** bytes of the file. */
eg_status eg_pq_bloom_probe(const eg_pq_bloom *b, const void *bytes, size_t n_bytes, bool *maybe,
                            eg_err *err);

/* ---- For pq_reader.c */

/* Reads exactly n bytes at an offset: EG_IO, or EG_CORRUPT where the file has
** become shorter. */
eg_status eg_pq_file_read(const eg_pq_file *f, int64_t offset, void *out, size_t n, eg_err *err);

/* Takes n bytes from the file's memory budget, EG_LIMIT where it has fewer, or
** gives them back. */
eg_status eg_pq_file_take(eg_pq_file *f, size_t n_bytes, eg_err *err);
void eg_pq_file_give(eg_pq_file *f, size_t n_bytes);

/* The bytes of a chunk's pages: [*start, *end). */
void eg_pq_file_chunk_range(const eg_pq_file *f, uint32_t row_group, uint32_t column,
                            int64_t *start, int64_t *end);

#endif
