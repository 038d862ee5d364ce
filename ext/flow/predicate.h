/*
** Predicates: a conjunction of tests on columns, in the engine's own numbers.
** sqlite/ translates WHERE terms into these; sources may prune with them;
** query/filter.c evaluates them on batches.
**
** A test is always exact for the column's value (a row passes if and only if
** the value satisfies it; NULL satisfies nothing but EG_TEST_NULL).
*/
#ifndef EG_PREDICATE_H
#define EG_PREDICATE_H

#include "base/status.h"
#include "flow/schema.h"

typedef enum eg_test_kind {
    EG_TEST_NONE,  /* no row passes */
    EG_TEST_RANGE, /* lo <= number <= hi (inclusive), or outside of it when negated */
    EG_TEST_SET,   /* number is one of set[], or none of it when negated */
    EG_TEST_TEXT,  /* compare the column's text bytewise (memcmp order) with text */
    EG_TEST_NULL   /* value is NULL (negated: is not) */
} eg_test_kind;

typedef enum eg_text_op {
    EG_TEXT_EQ,
    EG_TEXT_NE,
    EG_TEXT_LT,
    EG_TEXT_LE,
    EG_TEXT_GT,
    EG_TEXT_GE
} eg_text_op;

typedef struct eg_term {
    eg_column col;
    eg_test_kind kind;
    bool negated;      /* RANGE, SET, NULL */
    int64_t lo, hi;    /* RANGE */
    int64_t *set;      /* SET: owned, sorted ascending, distinct */
    size_t n_set;      /* SET */
    eg_text_op op;     /* TEXT */
    char *text;        /* TEXT: owned, not NUL terminated */
    size_t text_bytes; /* TEXT */
} eg_term;

typedef struct eg_predicate {
    eg_term *terms; /* owned; all must hold */
    size_t n_terms;
    size_t capacity;
} eg_predicate;

/* Whether a text passes a TEXT term. */
bool eg_term_takes_text(const eg_term *t, const void *text, size_t n_bytes);

/* A zeroed eg_predicate is the empty one: every row passes. */

/* Appends a test. The SET and TEXT forms copy their argument; a set is sorted
** and made distinct. EG_NOMEM or EG_OK. */
eg_status eg_predicate_none(eg_predicate *p, eg_column col, eg_err *err);
eg_status eg_predicate_range(eg_predicate *p, eg_column col, int64_t lo, int64_t hi, bool negated,
                             eg_err *err);
eg_status eg_predicate_set(eg_predicate *p, eg_column col, const int64_t *set, size_t n_set,
                           bool negated, eg_err *err);
eg_status eg_predicate_text(eg_predicate *p, eg_column col, eg_text_op op, const char *text,
                            size_t n_bytes, eg_err *err);
eg_status eg_predicate_null(eg_predicate *p, eg_column col, bool negated, eg_err *err);

/* The vectors its tests read. */
eg_vector_set eg_predicate_vectors(const eg_predicate *p);

/* Frees the terms; the predicate is empty again. */
void eg_predicate_clear(eg_predicate *p);

#endif
