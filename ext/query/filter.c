/*
** Each test of a predicate becomes one of a few kernels at open: texts turn
** into numbers where the order of the two agrees, sets over narrow vectors into
** bit maps. A kernel compacts the selection in place without branching on the
** data; the cheapest kernels go first, so that later ones see few rows.
*/
#include "query/filter.h"

#include <stdlib.h>
#include <string.h>

/* In the order of their cost a row. */
typedef enum kernel {
    K_NEVER,
    K_NOT_NULL,
    K_NULL,
    K_RANGE,
    K_BITS,   /* vectors of 1 and 2 bytes */
    K_CODE,   /* TEXT columns: one answer a code */
    K_SET,    /* sorted numbers */
    K_EST,    /* EST columns: range or set over the scaled counter */
    K_ADDRESS /* order of dotted text */
} kernel;

typedef struct test {
    kernel kernel;
    const eg_term *term; /* borrowed */
    eg_vector vector;
    int64_t lo, hi; /* K_RANGE, within the vector's range */
    bool negated;   /* K_RANGE, K_SET, K_EST */
    uint64_t *bits; /* K_BITS: owned, one bit a number */
    uint8_t *codes; /* K_CODE: owned, [n_codes] 0 not known yet, 1 fails, 2 passes */
    uint32_t n_codes;
} test;

struct eg_filter {
    size_t n_tests;
    test tests[]; /* in the order they are run */
};

/* ---- preparing ---------------------------------------------------------- */

static bool set_has(const eg_term *t, int64_t n) {
    size_t lo = 0, hi = t->n_set;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t->set[mid] < n)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->n_set && t->set[lo] == n;
}

/* Sets a K_RANGE test, or what it comes to where the vector cannot hold such numbers. */
static void make_range(test *t, int64_t lo, int64_t hi, bool negated) {
    int64_t min, max;
    eg_vector_range(t->vector, &min, &max);
    lo = lo < min ? min : lo;
    hi = hi > max ? max : hi;
    if (lo > hi) {
        t->kernel = negated ? K_NOT_NULL : K_NEVER;
    } else if (lo == min && hi == max) {
        t->kernel = negated ? K_NEVER : K_NOT_NULL;
    } else {
        t->kernel = K_RANGE;
        t->lo = lo;
        t->hi = hi;
        t->negated = negated;
    }
}

/* Times grow with their text, so a text comparison is a range of times. */
static void make_time(test *t) {
    const eg_term *term = t->term;
    bool exact;
    int64_t at = eg_time_lower_bound(term->text, term->text_bytes, &exact);
    int64_t below = at == INT64_MAX ? INT64_MAX : at - 1; /* last time with a smaller text */
    bool none_above = at == INT64_MAX;
    switch (term->op) {
    case EG_TEXT_EQ:
    case EG_TEXT_NE:
        if (exact)
            make_range(t, at, at, term->op == EG_TEXT_NE);
        else
            t->kernel = term->op == EG_TEXT_NE ? K_NOT_NULL : K_NEVER;
        return;
    case EG_TEXT_LT:
        make_range(t, INT64_MIN, below, false);
        return;
    case EG_TEXT_LE:
        make_range(t, INT64_MIN, exact ? at : below, false);
        return;
    case EG_TEXT_GE:
    case EG_TEXT_GT:
        if (none_above)
            t->kernel = K_NEVER;
        else
            make_range(t, exact && term->op == EG_TEXT_GT ? at + 1 : at, INT64_MAX, false);
        return;
    }
}

static eg_status make_bits(test *t, eg_err *err) {
    size_t n_numbers = eg_vector_width(t->vector) == 1 ? 256 : 65536;
    t->bits = calloc(n_numbers / 64, sizeof *t->bits);
    if (t->bits == NULL)
        return eg_fail_nomem(err, "a filter");
    t->kernel = K_BITS;
    for (size_t i = 0; i < n_numbers; i++) {
        bool pass;
        if (t->term->kind == EG_TEST_TEXT) {
            char text[EG_PROTO_TEXT_MAX];
            size_t n = eg_proto_format((uint8_t)i, text);
            pass = eg_term_takes_text(t->term, text, n);
        } else {
            pass = set_has(t->term, (int64_t)i) != t->term->negated;
        }
        t->bits[i / 64] |= (uint64_t)pass << (i % 64);
    }
    return EG_OK;
}

static eg_status make_text(test *t, eg_kind kind, eg_err *err) {
    const eg_term *term = t->term;
    uint32_t addr;
    switch (kind) {
    case EG_KIND_PROTO:
        return make_bits(t, err);
    case EG_KIND_TIME:
        make_time(t);
        return EG_OK;
    case EG_KIND_IP4:
        if (term->op != EG_TEXT_EQ && term->op != EG_TEXT_NE)
            t->kernel = K_ADDRESS;
        else if (eg_ip4_parse(term->text, term->text_bytes, &addr))
            make_range(t, addr, addr, term->op == EG_TEXT_NE);
        else
            t->kernel = term->op == EG_TEXT_NE ? K_NOT_NULL : K_NEVER;
        return EG_OK;
    case EG_KIND_TEXT:
        t->kernel = K_CODE;
        return EG_OK;
    case EG_KIND_INT:
    case EG_KIND_EST:
        break;
    }
    return eg_fail(err, EG_MISUSE, -1, "column %s is a number, not a text",
                   eg_column_about(term->col)->name);
}

static eg_status prepare(test *t, const eg_term *term, eg_err *err) {
    const eg_column_info *c = eg_column_about(term->col);
    t->term = term;
    t->vector = c->vector;
    t->negated = term->negated;
    switch (term->kind) {
    case EG_TEST_NONE:
        t->kernel = K_NEVER;
        return EG_OK;
    case EG_TEST_NULL:
        t->kernel = term->negated ? K_NOT_NULL : K_NULL;
        return EG_OK;
    case EG_TEST_TEXT:
        return make_text(t, c->kind, err);
    case EG_TEST_RANGE:
        if (c->kind == EG_KIND_EST)
            t->kernel = K_EST;
        else
            make_range(t, term->lo, term->hi, term->negated);
        return EG_OK;
    case EG_TEST_SET:
        if (c->kind == EG_KIND_EST)
            t->kernel = K_EST;
        else if (eg_vector_width(t->vector) <= 2)
            return make_bits(t, err);
        else
            t->kernel = K_SET;
        return EG_OK;
    }
    return EG_OK;
}

static int by_cost(const void *a, const void *b) {
    return (int)((const test *)a)->kernel - (int)((const test *)b)->kernel;
}

eg_status eg_filter_open(const eg_predicate *p, eg_filter **out, eg_err *err) {
    *out = NULL;
    eg_filter *f = calloc(1, sizeof *f + p->n_terms * sizeof f->tests[0]);
    if (f == NULL)
        return eg_fail_nomem(err, "a filter");
    for (size_t i = 0; i < p->n_terms; i++) {
        eg_status rc = prepare(&f->tests[f->n_tests++], &p->terms[i], err);
        if (rc != EG_OK) {
            eg_filter_close(f);
            return rc;
        }
    }
    qsort(f->tests, f->n_tests, sizeof f->tests[0], by_cost);
    *out = f;
    return EG_OK;
}

void eg_filter_close(eg_filter *f) {
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n_tests; i++) {
        free(f->tests[i].bits);
        free(f->tests[i].codes);
    }
    free(f);
}

/* ---- running ------------------------------------------------------------ */

/* A range is one unsigned comparison: number - lo <= hi - lo. */
#define RANGE_KERNEL(name, type, wide)                                                             \
    static uint32_t name(const type *v, wide lo, wide span, bool negated, uint16_t *sel,           \
                         uint32_t n_sel) {                                                         \
        uint32_t n = 0;                                                                            \
        for (uint32_t i = 0; i < n_sel; i++) {                                                     \
            uint16_t row = sel[i];                                                                 \
            sel[n] = row;                                                                          \
            n += ((wide)((wide)v[row] - lo) <= span) != negated;                                   \
        }                                                                                          \
        return n;                                                                                  \
    }
RANGE_KERNEL(range_u8, uint8_t, uint32_t)
RANGE_KERNEL(range_u16, uint16_t, uint32_t)
RANGE_KERNEL(range_u32, uint32_t, uint32_t)
RANGE_KERNEL(range_i64, int64_t, uint64_t)

static uint32_t run_range(const test *t, const void *v, uint16_t *sel, uint32_t n_sel) {
    uint64_t lo = (uint64_t)t->lo, span = (uint64_t)t->hi - (uint64_t)t->lo;
    switch (eg_vector_width(t->vector)) {
    case 1:
        return range_u8(v, (uint32_t)lo, (uint32_t)span, t->negated, sel, n_sel);
    case 2:
        return range_u16(v, (uint32_t)lo, (uint32_t)span, t->negated, sel, n_sel);
    case 4:
        return range_u32(v, (uint32_t)lo, (uint32_t)span, t->negated, sel, n_sel);
    default:
        return range_i64(v, lo, span, t->negated, sel, n_sel);
    }
}

static uint32_t run_bits(const test *t, const void *v, uint16_t *sel, uint32_t n_sel) {
    const uint8_t *v8 = eg_vector_width(t->vector) == 1 ? v : NULL;
    const uint16_t *v16 = v;
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_sel; i++) {
        uint16_t row = sel[i];
        unsigned number = v8 != NULL ? v8[row] : v16[row];
        sel[n] = row;
        n += (t->bits[number / 64] >> (number % 64)) & 1;
    }
    return n;
}

/* One answer a code, found when the code is first met. */
static eg_status run_code(test *t, const uint32_t *v, const eg_intern *texts, uint16_t *sel,
                          uint32_t *n_sel, eg_err *err) {
    uint32_t n_texts = eg_intern_count(texts);
    if (t->n_codes < n_texts) {
        uint32_t n_codes = n_texts < 16 ? 16 : n_texts + n_texts / 2;
        uint8_t *codes = realloc(t->codes, n_codes);
        if (codes == NULL)
            return eg_fail_nomem(err, "a filter");
        memset(codes + t->n_codes, 0, n_codes - t->n_codes);
        t->codes = codes;
        t->n_codes = n_codes;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < *n_sel; i++) {
        uint16_t row = sel[i];
        uint8_t *answer = &t->codes[v[row]];
        if (*answer == 0) {
            size_t n_bytes;
            const char *text = eg_intern_text(texts, v[row], &n_bytes);
            *answer = eg_term_takes_text(t->term, text, n_bytes) ? 2 : 1;
        }
        sel[n] = row;
        n += *answer == 2;
    }
    *n_sel = n;
    return EG_OK;
}

/* Keeps the rows whose value is NULL, or is not. RECEIVED_MS says so by EG_NO_TIME. */
static uint32_t run_null(const test *t, const eg_batch *b, bool want_null, uint16_t *sel,
                         uint32_t n_sel) {
    eg_vector_set vectors = eg_column_about(t->term->col)->vectors;
    const int64_t *times = t->vector == EG_VEC_RECEIVED_MS ? b->v.RECEIVED_MS : NULL;
    if (times == NULL && b->nulls == NULL)
        return want_null ? 0 : n_sel;
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_sel; i++) {
        uint16_t row = sel[i];
        bool is_null = times != NULL && times[row] == EG_NO_TIME;
        is_null |= b->nulls != NULL && (b->nulls[row] & vectors) != 0;
        sel[n] = row;
        n += is_null == want_null;
    }
    return n;
}

/* Kernels that look at one number at a time. */
static uint32_t run_each(const test *t, const eg_batch *b, uint16_t *sel, uint32_t n_sel) {
    const eg_term *term = t->term;
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_sel; i++) {
        uint16_t row = sel[i];
        int64_t number = eg_batch_number(b, term->col, row);
        bool pass;
        if (t->kernel == K_ADDRESS) {
            char text[EG_IP4_TEXT_MAX];
            size_t n_bytes = eg_ip4_format((uint32_t)number, text);
            pass = eg_term_takes_text(term, text, n_bytes);
        } else if (term->kind == EG_TEST_SET) {
            pass = set_has(term, number) != term->negated;
        } else {
            pass = (number >= term->lo && number <= term->hi) != term->negated;
        }
        sel[n] = row;
        n += pass;
    }
    return n;
}

eg_status eg_filter_run(eg_filter *f, eg_batch *b, eg_err *err) {
    eg_batch_select_all(b);
    for (size_t i = 0; i < f->n_tests && b->n_sel > 0 && !b->is_passed; i++) {
        test *t = &f->tests[i];
        const void *v = eg_batch_array(b, t->vector);
        /* NULL satisfies no comparison, negated or not. */
        if (t->kernel != K_NULL && t->kernel != K_NOT_NULL)
            b->n_sel = run_null(t, b, false, b->sel, b->n_sel);
        eg_status rc;
        switch (t->kernel) {
        case K_NEVER:
            b->n_sel = 0;
            break;
        case K_NOT_NULL:
        case K_NULL:
            b->n_sel = run_null(t, b, t->kernel == K_NULL, b->sel, b->n_sel);
            break;
        case K_RANGE:
            b->n_sel = run_range(t, v, b->sel, b->n_sel);
            break;
        case K_BITS:
            b->n_sel = run_bits(t, v, b->sel, b->n_sel);
            break;
        case K_CODE:
            rc = run_code(t, v, b->texts, b->sel, &b->n_sel, err);
            if (rc != EG_OK)
                return rc;
            break;
        case K_SET:
        case K_EST:
        case K_ADDRESS:
            b->n_sel = run_each(t, b, b->sel, b->n_sel);
            break;
        }
    }
    return EG_OK;
}
