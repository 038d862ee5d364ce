/*
** What the columns of a Parquet file mean as vectors of a batch, and what number a value stands
** for. The rules are those of shard_source.h.
*/
#ifndef EG_SHARD_COLUMN_H
#define EG_SHARD_COLUMN_H

#include <pthread.h>

#include "base/intern.h"
#include "flow/address_order.h"
#include "flow/schema.h"
#include "parquet/pq_file.h"

/* Where a vector comes from. */
typedef enum eg_shard_origin {
    EG_SHARD_READ,    /* a column of the file */
    EG_SHARD_NULL,    /* NULL in every row */
    EG_SHARD_ZERO,    /* 0 in every row: TIME_FLAG where the file has none */
    EG_SHARD_DERIVED, /* START_MS, END_MS or DURATION_MS of the other two */
    EG_SHARD_PATH     /* FILE of a file that has no such column: its own path */
} eg_shard_origin;

/* How a value of a column stands for a number. */
typedef enum eg_shard_form {
    EG_SHARD_I32,
    EG_SHARD_U32,
    EG_SHARD_I64, /* milliseconds, where the vector is a time */
    EG_SHARD_U64,
    EG_SHARD_TRUTH,
    EG_SHARD_FLOAT, /* whole numbers only, as is EG_SHARD_DOUBLE */
    EG_SHARD_DOUBLE,
    EG_SHARD_DECIMAL, /* big-endian two's complement in bytes */
    EG_SHARD_MICROS,
    EG_SHARD_NANOS,
    EG_SHARD_INT96,
    EG_SHARD_IP4_TEXT,
    EG_SHARD_PROTO_TEXT,
    EG_SHARD_TEXT /* no number: a code of the text table */
} eg_shard_form;

typedef struct eg_shard_column {
    eg_vector vector;
    eg_kind kind; /* INT, IP4, TIME, PROTO or TEXT */
    eg_shard_origin origin;
    int64_t lo, hi; /* numbers that the vector holds; of TEXT an address, where form is a number */
    /* Of EG_SHARD_READ: */
    uint32_t column;           /* in the file */
    eg_shard_form form;        /* of its values */
    const eg_pq_column *about; /* of the file */
} eg_shard_column;

/* Finds the columns of `vectors` in a file and fills their elements of columns
** [EG_N_VECTORS]; *reads is set to the vectors that have to be read for them, which
** can be more (the other two times of a derived one); these are filled, too.
** EG_UNSUPPORTED names a column whose type is not read as that vector. */
eg_status eg_shard_bind(const eg_pq_file *f, eg_vector_set vectors, eg_shard_column *columns,
                        eg_vector_set *reads, eg_err *err);

/* The number that element i of an array of the column's values (of the type's
** array, pq_encoding.h) stands for. False where there is none within lo to hi. */
bool eg_shard_number(const eg_shard_column *c, const void *values, size_t i, int64_t *out);

/* The same of a bound: the PLAIN bytes of one value. */
bool eg_shard_bound_number(const eg_shard_column *c, eg_pq_bytes plain, int64_t *out);

/* The scan's text table, to which all pieces add. */
typedef struct eg_shard_texts {
    eg_intern *intern;    /* borrowed */
    pthread_mutex_t lock; /* held while it is changed */
} eg_shard_texts;

/* eg_intern_add, by any thread. */
eg_status eg_shard_texts_add(eg_shard_texts *t, const char *text, size_t n_bytes, uint32_t *code,
                             eg_err *err);

/* Whether keys (shard_keys.h) can stand for the dictionary of a column; these are numbers from
** *lo to *hi then. */
bool eg_shard_column_takes_keys(const eg_shard_column *c, int64_t *lo, int64_t *hi);

/* What a key stands for in a column, and back. */
static inline int64_t eg_shard_number_of_key(const eg_shard_column *c, int64_t key) {
    return c->form == EG_SHARD_IP4_TEXT ? eg_ip4_of_text_key((uint32_t)key) : key;
}
static inline int64_t eg_shard_key_of_number(const eg_shard_column *c, int64_t number) {
    return c->form == EG_SHARD_IP4_TEXT ? eg_ip4_text_key((uint32_t)number) : number;
}

#endif
