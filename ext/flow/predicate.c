/* Building and freeing predicates; evaluating them is query/filter.c's. */
#include "flow/predicate.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"

bool eg_term_takes_text(const eg_term *t, const void *text, size_t n_bytes) {
    int c = eg_bytes_compare(text, n_bytes, t->text, t->text_bytes);
    switch (t->op) {
    case EG_TEXT_EQ:
        return c == 0;
    case EG_TEXT_NE:
        return c != 0;
    case EG_TEXT_LT:
        return c < 0;
    case EG_TEXT_LE:
        return c <= 0;
    case EG_TEXT_GT:
        return c > 0;
    case EG_TEXT_GE:
        return c >= 0;
    }
    return false;
}

static eg_status append(eg_predicate *p, const eg_term *term, eg_err *err) {
    if (!eg_array_grow(&p->terms, &p->capacity, p->n_terms, sizeof *p->terms))
        return eg_fail_nomem(err, "a predicate");
    p->terms[p->n_terms++] = *term;
    return EG_OK;
}

eg_status eg_predicate_none(eg_predicate *p, eg_column col, eg_err *err) {
    return append(p, &(eg_term){.col = col, .kind = EG_TEST_NONE}, err);
}

eg_status eg_predicate_range(eg_predicate *p, eg_column col, int64_t lo, int64_t hi, bool negated,
                             eg_err *err) {
    return append(
        p, &(eg_term){.col = col, .kind = EG_TEST_RANGE, .lo = lo, .hi = hi, .negated = negated},
        err);
}

static int compare_numbers(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

eg_status eg_predicate_set(eg_predicate *p, eg_column col, const int64_t *set, size_t n_set,
                           bool negated, eg_err *err) {
    int64_t *copy = calloc(n_set ? n_set : 1, sizeof *copy);
    if (copy == NULL)
        return eg_fail_nomem(err, "a set of values");
    size_t n = 0;
    if (n_set > 0) {
        memcpy(copy, set, n_set * sizeof *copy);
        qsort(copy, n_set, sizeof *copy, compare_numbers);
        for (size_t i = 0; i < n_set; i++)
            if (n == 0 || copy[n - 1] != copy[i])
                copy[n++] = copy[i];
    }
    eg_status rc = append(
        p, &(eg_term){.col = col, .kind = EG_TEST_SET, .set = copy, .n_set = n, .negated = negated},
        err);
    if (rc != EG_OK)
        free(copy);
    return rc;
}

eg_status eg_predicate_text(eg_predicate *p, eg_column col, eg_text_op op, const char *text,
                            size_t n_bytes, eg_err *err) {
    char *copy = malloc(n_bytes + 1);
    if (copy == NULL)
        return eg_fail_nomem(err, "a text");
    if (n_bytes > 0)
        memcpy(copy, text, n_bytes);
    eg_status rc = append(
        p,
        &(eg_term){.col = col, .kind = EG_TEST_TEXT, .op = op, .text = copy, .text_bytes = n_bytes},
        err);
    if (rc != EG_OK)
        free(copy);
    return rc;
}

eg_status eg_predicate_null(eg_predicate *p, eg_column col, bool negated, eg_err *err) {
    return append(p, &(eg_term){.col = col, .kind = EG_TEST_NULL, .negated = negated}, err);
}

eg_vector_set eg_predicate_vectors(const eg_predicate *p) {
    eg_vector_set set = 0;
    for (size_t i = 0; i < p->n_terms; i++)
        set |= eg_column_about(p->terms[i].col)->vectors;
    return set;
}

void eg_predicate_clear(eg_predicate *p) {
    for (size_t i = 0; i < p->n_terms; i++) {
        free(p->terms[i].set);
        free(p->terms[i].text);
    }
    free(p->terms);
    memset(p, 0, sizeof *p);
}
