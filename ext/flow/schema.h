/*
** The schema as C: identifiers and a descriptor for each column of
** flow/schema.def, and the number-to-text rules that every edge shares.
*/
#ifndef EG_SCHEMA_H
#define EG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum eg_vector {
#define EG_VECTOR(ID, ctype) EG_VEC_##ID,
#include "flow/schema.def"
    EG_N_VECTORS
} eg_vector;

typedef enum eg_column {
#define EG_COLUMN(ID, name, visibility, kind, vector, sql, parquet, doc, unit, source, meaning)    \
    EG_COL_##ID,
#include "flow/schema.def"
    EG_N_COLUMNS
} eg_column;

/* A set of vectors: bit i for eg_vector i. */
typedef uint64_t eg_vector_set;
#define EG_VECTOR_BIT(v) (UINT64_C(1) << (v))

typedef enum eg_kind {
    EG_KIND_INT,
    EG_KIND_IP4,
    EG_KIND_TIME,
    EG_KIND_PROTO,
    EG_KIND_TEXT,
    EG_KIND_EST
} eg_kind;

/* RECEIVED_MS of a packet without a time (pcapng Simple Packet Block): NULL in SQL. */
#define EG_NO_TIME INT64_MIN

typedef struct eg_column_info {
    const char *name;      /* as in SQL */
    bool hidden;           /* not in SELECT * */
    eg_kind kind;          /* how the number becomes a value */
    eg_vector vector;      /* where the number is */
    eg_vector_set vectors; /* all vectors needed to give the value (EST needs two) */
    const char *sql_type;  /* TEXT or INTEGER */
    const char *parquet;   /* Parquet type, "" where it is not stored */
    const char *doc;       /* JSON document name, "" where there is none */
    const char *unit;      /* unit or form */
    const char *source;    /* NetFlow v5 field(s) it comes from */
    const char *meaning;   /* one clause */
} eg_column_info;

/* The descriptor of a column; never NULL for a valid id. */
const eg_column_info *eg_column_about(eg_column col);

/* True where the column's SQL value is TEXT. */
bool eg_column_is_text(eg_column col);

/* Whether text[0..n_bytes) is a NUL-terminated name, but for the case of ASCII letters;
** the same in every locale. */
bool eg_name_equal(const char *name, const char *text, size_t n_bytes);

/* Finds a column by its SQL name, ASCII case-insensitively. EG_N_COLUMNS if there is none. */
eg_column eg_column_find(const char *name, size_t n_bytes);

/* The smallest and the largest number the vector can hold (EG_NO_TIME apart). */
void eg_vector_range(eg_vector v, int64_t *lo, int64_t *hi);

/* Bytes of one element of the vector: 1, 2, 4 or 8. */
size_t eg_vector_width(eg_vector v);

/* The times that have a text: 0000-01-01 00:00:00.000 to 9999-12-31 23:59:59.999. */
#define EG_TIME_MIN_MS INT64_C(-62167219200000)
#define EG_TIME_MAX_MS INT64_C(253402300799999)

/* a / b, b > 0, rounded down: times before 1970 are negative. */
static inline int64_t eg_floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

#define EG_IP4_TEXT_MAX 16   /* 255.255.255.255 and a NUL */
#define EG_TIME_TEXT_MAX 24  /* 2007-07-26 22:15:38.120 and a NUL */
#define EG_PROTO_TEXT_MAX 24 /* longest IANA keyword and a NUL */
#define EG_IP6_TEXT_MAX 46

/* Write the text form of a number, NUL terminated, into a buffer of at least
** the size above; return its length without the NUL. */
size_t eg_ip4_format(uint32_t addr, char *out);
size_t eg_time_format(int64_t ms, char *out); /* years 0000 to 9999; clamped outside */
size_t eg_proto_format(uint8_t proto, char *out);
size_t eg_ip6_format(const uint8_t addr[16], char *out); /* RFC 5952 */

/* The keyword that eg_proto_format writes, which is static; NULL where it writes the number. */
const char *eg_proto_name(uint8_t proto);

/* Parse strictly the canonical form that eg_ip4_format writes (four decimal
** numbers 0-255 without leading zeros, nothing around). False if it is not. */
bool eg_ip4_parse(const char *text, size_t n_bytes, uint32_t *addr);

/* Parse an address with an optional /bits; host bits are cleared. "10.0.0.0/8",
** "10.1.2.3" (= /32). Gives the first and the last address. False if it is neither. */
bool eg_cidr_parse(const char *text, size_t n_bytes, uint32_t *first, uint32_t *last);

/* Protocol number of an IANA keyword (any case) or of decimal digits 0-255. False if neither. */
bool eg_proto_parse(const char *text, size_t n_bytes, uint8_t *proto);

/* The smallest ms whose eg_time_format text is >= text in byte order
** (so `start_time >= 'x'` is ms >= result, `start_time < 'x'` is ms < result).
** INT64_MAX when every text is smaller. *exact is set to whether that ms has
** exactly this text. */
int64_t eg_time_lower_bound(const char *text, size_t n_bytes, bool *exact);

#endif
