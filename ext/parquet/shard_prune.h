/*
** What a predicate excludes before any row is decoded: files by what their list
** knows, row groups and pages by bounds, row groups by Bloom filters and
** dictionaries, and runs of rows by the predicate's own columns.
**
** Every answer is one-sided: false means that no row can pass, true that some may.
**
** Bounds of numbers compare as numbers. Those of address columns in text compare as
** text, while most terms are ranges of numbers: a single address has one text, and
** the addresses of a range that agree in their first bytes have texts with the
** same beginning. A protocol has several texts (tcp, TCP, 6), so that its text
** bounds tell nothing.
*/
#ifndef EG_SHARD_PRUNE_H
#define EG_SHARD_PRUNE_H

#include "flow/predicate.h"
#include "parquet/pq_page.h"
#include "parquet/shard_column.h"
#include "parquet/shard_keys.h"

typedef enum eg_shard_test_kind {
    EG_SHARD_TEST_NEVER,
    EG_SHARD_TEST_NUMBERS,  /* the number is in one of spans */
    EG_SHARD_TEST_TEXT,     /* the text compares so */
    EG_SHARD_TEST_NOT_NULL, /* nothing but that is known of what passes */
    EG_SHARD_TEST_NULL
} eg_shard_test_kind;

typedef struct eg_shard_span {
    int64_t lo, hi; /* inclusive */
} eg_shard_span;

/* A dotted address. */
typedef struct eg_shard_ip4_text {
    uint8_t n_bytes;
    char text[EG_IP4_TEXT_MAX];
} eg_shard_ip4_text;

/* A term of a predicate, or several that are ranges of one vector. NULL passes TEST_NULL only. */
typedef struct eg_shard_test {
    eg_shard_test_kind kind;
    eg_vector vector;        /* of NUMBERS and TEXT */
    eg_vector_set vectors;   /* NULL where one of these is */
    eg_shard_span *spans;    /* [n_spans] owned: ascending, apart from one another */
    eg_shard_ip4_text *dots; /* [n_spans] owned, sorted: where all spans are single addresses */
    size_t n_spans;
    const eg_term *term; /* TEXT; borrowed */
} eg_shard_test;

typedef struct eg_shard_tests {
    eg_shard_test *tests; /* owned */
    size_t n_tests;
} eg_shard_tests;

/* Takes a predicate (borrowed until close; NULL for none) apart. EG_NOMEM, EG_OK. */
eg_status eg_shard_tests_open(const eg_predicate *where, eg_shard_tests *out, eg_err *err);

/* Harmless on a zeroed one. */
void eg_shard_tests_close(eg_shard_tests *t);

/* Whether a single number passes, spans[0].lo. */
static inline bool eg_shard_test_is_one(const eg_shard_test *t) {
    return t->kind == EG_SHARD_TEST_NUMBERS && t->n_spans == 1 && t->spans[0].lo == t->spans[0].hi;
}

/* Whether a number from lo to hi passes. */
bool eg_shard_test_span(const eg_shard_test *t, int64_t lo, int64_t hi);

/* Whether one of n_rows values of a column, which READs, passes, by their bounds. The test is
** of the column's vector. */
bool eg_shard_test_bounds(const eg_shard_test *t, const eg_shard_column *c, const eg_pq_bounds *b,
                          int64_t n_rows);

/* Whether the test can use what is known of single values: Bloom filters or
** dictionaries. */
bool eg_shard_test_has_bloom(const eg_shard_test *t, const eg_shard_column *c);
bool eg_shard_test_has_entries(const eg_shard_test *t, const eg_shard_column *c);

/* Whether a value of a chunk may pass by its Bloom filter; *n_probes blocks of it were
** read. */
eg_status eg_shard_test_bloom(const eg_shard_test *t, const eg_shard_column *c,
                              const eg_pq_bloom *b, bool *maybe, uint32_t *n_probes, eg_err *err);

/* Whether one of the entries passes. */
bool eg_shard_test_entries(const eg_shard_test *t, const eg_shard_column *c,
                           const eg_pq_dictionary *d);

/* The same of decoded keys; the test is one of numbers. */
bool eg_shard_test_keys(const eg_shard_test *t, const eg_shard_column *c, const eg_shard_keys *k);

/* Clears alive[i] of rows whose number, in an array of the vector's type, does not pass.
** False where the test is too dear for that and nothing was done. */
bool eg_shard_test_rows(const eg_shard_test *t, const void *numbers, uint32_t n_rows,
                        uint8_t *alive);

#endif
