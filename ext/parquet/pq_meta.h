/*
** Parquet's metadata structs (parquet.thrift), decoded from and encoded to the
** thrift compact protocol. What a flat reader and writer need is here; the rest
** (geometry, size histograms, encryption details) is passed over.
**
** Decoding checks form only: required fields are there, numbers are in the
** range of their type. Enums keep the number found, whatever it is; whether it
** means something, and whether offsets lie in the file, is for pq_file.c.
** Texts are views into the decoded bytes, arrays come from the caller's arena.
** The encoders take the same structs, with texts and arrays of the caller.
*/
#ifndef EG_PQ_META_H
#define EG_PQ_META_H

#include "parquet/pq_arena.h"
#include "parquet/pq_thrift.h"

typedef enum eg_pq_type {
    EG_PQ_BOOLEAN = 0,
    EG_PQ_INT32 = 1,
    EG_PQ_INT64 = 2,
    EG_PQ_INT96 = 3,
    EG_PQ_FLOAT = 4,
    EG_PQ_DOUBLE = 5,
    EG_PQ_BYTE_ARRAY = 6,
    EG_PQ_FIXED = 7, /* FIXED_LEN_BYTE_ARRAY */
    EG_PQ_N_TYPES
} eg_pq_type;

typedef enum eg_pq_repetition {
    EG_PQ_REQUIRED = 0,
    EG_PQ_OPTIONAL = 1,
    EG_PQ_REPEATED = 2
} eg_pq_repetition;

typedef enum eg_pq_encoding {
    EG_PQ_PLAIN = 0,
    EG_PQ_PLAIN_DICTIONARY = 2, /* the old name of RLE_DICTIONARY, in dictionary pages of PLAIN */
    EG_PQ_RLE = 3,
    EG_PQ_BIT_PACKED = 4, /* deprecated, levels only */
    EG_PQ_DELTA_BINARY_PACKED = 5,
    EG_PQ_DELTA_LENGTH_BYTE_ARRAY = 6,
    EG_PQ_DELTA_BYTE_ARRAY = 7,
    EG_PQ_RLE_DICTIONARY = 8,
    EG_PQ_BYTE_STREAM_SPLIT = 9
} eg_pq_encoding;

typedef enum eg_pq_compression {
    EG_PQ_UNCOMPRESSED = 0,
    EG_PQ_SNAPPY = 1,
    EG_PQ_GZIP = 2,
    EG_PQ_LZO = 3,
    EG_PQ_BROTLI = 4,
    EG_PQ_LZ4 = 5, /* deprecated: with or without Hadoop's framing, no telling which */
    EG_PQ_ZSTD = 6,
    EG_PQ_LZ4_RAW = 7
} eg_pq_compression;

typedef enum eg_pq_page_type {
    EG_PQ_DATA_PAGE = 0,
    EG_PQ_INDEX_PAGE = 1,
    EG_PQ_DICTIONARY_PAGE = 2,
    EG_PQ_DATA_PAGE_V2 = 3
} eg_pq_page_type;

/* The old annotations. */
typedef enum eg_pq_converted {
    EG_PQ_CONVERTED_NONE = -1, /* absent */
    EG_PQ_CONVERTED_UTF8 = 0,
    EG_PQ_CONVERTED_DECIMAL = 5,
    EG_PQ_CONVERTED_TIMESTAMP_MILLIS = 9,
    EG_PQ_CONVERTED_TIMESTAMP_MICROS = 10,
    EG_PQ_CONVERTED_UINT_8 = 11, /* 16, 32, 64 follow */
    EG_PQ_CONVERTED_UINT_64 = 14,
    EG_PQ_CONVERTED_INT_8 = 15, /* 16, 32, 64 follow */
    EG_PQ_CONVERTED_INT_64 = 18
} eg_pq_converted;

/* The members of the LogicalType union, by field id. */
typedef enum eg_pq_logical_id {
    EG_PQ_LOGICAL_ID_NONE = 0, /* absent, or an empty union */
    EG_PQ_LOGICAL_ID_STRING = 1,
    EG_PQ_LOGICAL_ID_DECIMAL = 5,
    EG_PQ_LOGICAL_ID_TIMESTAMP = 8,
    EG_PQ_LOGICAL_ID_INTEGER = 10
} eg_pq_logical_id;

typedef enum eg_pq_unit {
    EG_PQ_UNIT_NONE = 0,
    EG_PQ_MILLIS = 1,
    EG_PQ_MICROS = 2,
    EG_PQ_NANOS = 3
} eg_pq_unit;

typedef struct eg_pq_logical_type {
    int16_t id;               /* eg_pq_logical_id, or any number: a type of later days */
    int8_t bits;              /* INTEGER: 8, 16, 32, 64 */
    bool is_signed;           /* INTEGER */
    bool is_utc;              /* TIMESTAMP: adjusted to UTC, an instant */
    int16_t unit;             /* TIMESTAMP: eg_pq_unit, or a number of later days */
    int32_t scale, precision; /* DECIMAL */
} eg_pq_logical_type;

typedef struct eg_pq_schema_element {
    bool has_type;       /* a leaf */
    int32_t type;        /* eg_pq_type */
    int32_t type_length; /* FIXED: bytes of a value; 0 where absent */
    int32_t repetition;  /* eg_pq_repetition, -1 where absent (the root) */
    eg_pq_bytes name;
    int32_t n_children;       /* 0 where absent */
    int32_t converted;        /* eg_pq_converted, -1 where absent */
    int32_t scale, precision; /* converted DECIMAL */
    eg_pq_logical_type logical;
} eg_pq_schema_element;

typedef struct eg_pq_key_value {
    eg_pq_bytes key, value; /* value.data NULL where absent */
} eg_pq_key_value;

/* Bounds of the values of a chunk or page. data is NULL where absent. */
typedef struct eg_pq_statistics {
    eg_pq_bytes max, min;             /* deprecated: signed bytewise order, if any */
    eg_pq_bytes max_value, min_value; /* in the column's order */
    int64_t null_count;               /* -1 where absent */
    int64_t distinct_count;           /* -1 where absent */
    int8_t max_exact, min_exact;      /* 1, 0 (a bound only), -1 where absent */
} eg_pq_statistics;

typedef struct eg_pq_encoding_stats {
    int32_t page_type; /* eg_pq_page_type */
    int32_t encoding;  /* eg_pq_encoding */
    int32_t n_pages;
} eg_pq_encoding_stats;

typedef struct eg_pq_chunk {
    /* ColumnChunk */
    eg_pq_bytes file_path; /* the data is in another file; NULL where absent */
    int64_t file_offset;
    int64_t offset_index_offset; /* 0 where absent */
    int32_t offset_index_length;
    int32_t column_index_length;
    int64_t column_index_offset; /* 0 where absent */
    bool is_encrypted;           /* it has crypto metadata */
    bool has_meta;               /* it has the rest */
    /* ColumnMetaData */
    int32_t type;             /* eg_pq_type */
    int32_t codec;            /* eg_pq_compression */
    const int32_t *encodings; /* [n_encodings] */
    const eg_pq_bytes *path;  /* [n_path] names from the root's child to the leaf */
    uint32_t n_encodings, n_path;
    int64_t num_values;                                       /* nulls included */
    int64_t total_uncompressed_bytes, total_compressed_bytes; /* page headers included */
    int64_t data_page_offset;
    int64_t index_page_offset;                  /* 0 where absent */
    int64_t dictionary_page_offset;             /* 0 where absent */
    eg_pq_statistics statistics;                /* all absent where there is none */
    const eg_pq_key_value *key_values;          /* [n_key_values] */
    const eg_pq_encoding_stats *encoding_stats; /* [n_encoding_stats] */
    uint32_t n_key_values, n_encoding_stats;
    int64_t bloom_filter_offset; /* 0 where absent */
    int32_t bloom_filter_length; /* 0 where absent */
} eg_pq_chunk;

typedef struct eg_pq_sorting_column {
    int32_t column;
    bool is_descending, is_nulls_first;
} eg_pq_sorting_column;

typedef struct eg_pq_row_group {
    const eg_pq_chunk *chunks; /* [n_chunks] */
    uint32_t n_chunks;
    uint32_t n_sorting;
    const eg_pq_sorting_column *sorting; /* [n_sorting] */
    int64_t total_bytes;                 /* uncompressed */
    int64_t num_rows;
    int64_t file_offset;            /* 0 where absent */
    int64_t total_compressed_bytes; /* -1 where absent */
    int16_t ordinal;                /* -1 where absent */
} eg_pq_row_group;

typedef struct eg_pq_file_meta {
    int32_t version;
    uint32_t n_schema;
    const eg_pq_schema_element *schema; /* [n_schema] the root, then depth first */
    int64_t num_rows;
    const eg_pq_row_group *row_groups; /* [n_row_groups] */
    uint32_t n_row_groups, n_key_values;
    const eg_pq_key_value *key_values; /* [n_key_values] */
    eg_pq_bytes created_by;            /* NULL where absent */
    const bool *has_type_order;        /* [n_column_orders] that the order is TYPE_ORDER */
    uint32_t n_column_orders;
    bool is_encrypted; /* some columns are, under a plain footer */
} eg_pq_file_meta;

typedef struct eg_pq_page_header {
    int32_t type;                                 /* eg_pq_page_type, or of later days */
    int32_t uncompressed_bytes, compressed_bytes; /* of the page, this header excluded */
    bool has_crc;
    uint32_t crc;           /* CRC-32 of the page as it stands in the file */
    bool has_body;          /* the header of its type is there */
    int32_t num_values;     /* data: rows with nulls, of a flat column; dictionary: entries */
    int32_t encoding;       /* eg_pq_encoding */
    int32_t level_encoding; /* v1: of definition levels */
    int32_t num_nulls;      /* v2 */
    int32_t num_rows;       /* v2 */
    int32_t definition_bytes, repetition_bytes; /* v2: of levels */
    bool is_compressed;                         /* v2: values are; true where absent */
    bool is_sorted;                             /* dictionary */
} eg_pq_page_header;

typedef struct eg_pq_page_location {
    int64_t offset;           /* of the page header in the file */
    int32_t compressed_bytes; /* header included */
    int64_t first_row;        /* in its row group */
} eg_pq_page_location;

typedef struct eg_pq_offset_index {
    const eg_pq_page_location *pages; /* [n_pages] data pages */
    uint32_t n_pages;
} eg_pq_offset_index;

typedef enum eg_pq_boundary_order {
    EG_PQ_UNORDERED = 0,
    EG_PQ_ASCENDING = 1,
    EG_PQ_DESCENDING = 2
} eg_pq_boundary_order;

typedef struct eg_pq_column_index {
    const bool *is_null_page; /* [n_pages] that it has only nulls: its bounds mean nothing */
    const eg_pq_bytes *min_values, *max_values; /* [n_pages] */
    const int64_t *null_counts;                 /* [n_pages], NULL where absent */
    uint32_t n_pages;
    int32_t boundary_order; /* eg_pq_boundary_order */
} eg_pq_column_index;

typedef struct eg_pq_bloom_header {
    int32_t n_bytes;     /* of the bit set */
    bool is_split_block; /* algorithm BLOCK, hash XXHASH, compression UNCOMPRESSED: all known */
} eg_pq_bloom_header;

/* Each reads one struct at r's position and returns r's status: EG_CORRUPT,
** EG_LIMIT (the arena's budget), EG_NOMEM or EG_OK. */
eg_status eg_pq_decode_file_meta(eg_pq_thrift *r, eg_pq_arena *arena, eg_pq_file_meta *out);
eg_status eg_pq_decode_page_header(eg_pq_thrift *r, eg_pq_page_header *out);
eg_status eg_pq_decode_offset_index(eg_pq_thrift *r, eg_pq_arena *arena, eg_pq_offset_index *out);
eg_status eg_pq_decode_column_index(eg_pq_thrift *r, eg_pq_arena *arena, eg_pq_column_index *out);
eg_status eg_pq_decode_bloom_header(eg_pq_thrift *r, eg_pq_bloom_header *out);

/* Each appends one struct; out's sticky status tells failure. What is "absent"
** in the struct is left out. encode_file_meta writes column orders for all
** n_column_orders (TYPE_ORDER for every one). */
void eg_pq_encode_file_meta(eg_pq_buffer *out, const eg_pq_file_meta *m);
void eg_pq_encode_page_header(eg_pq_buffer *out, const eg_pq_page_header *h);
void eg_pq_encode_offset_index(eg_pq_buffer *out, const eg_pq_offset_index *x);
void eg_pq_encode_column_index(eg_pq_buffer *out, const eg_pq_column_index *x);
void eg_pq_encode_bloom_header(eg_pq_buffer *out, const eg_pq_bloom_header *h);

#endif
