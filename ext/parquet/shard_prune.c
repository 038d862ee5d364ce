/*
** All terms over numbers become sets of spans, so that negation, sets, ranges, and
** texts of times and protocols are one case from there on.
*/
#include "parquet/shard_prune.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "flow/address_order.h"
#include "parquet/pq_bloom.h"
#include "parquet/pq_encoding.h"

#define MOST_PROBES 32   /* Bloom filter blocks a test may read: each is a read of the file */
#define MOST_PREFIXES 64 /* spans whose texts are compared with bounds */
#define MOST_ROW_SPANS 4 /* spans that rows are compared with */

/* ---- terms -------------------------------------------------------------- */

/* Adds a span behind the others, cut to what the vector holds. */
static void add_span(eg_shard_test *t, int64_t lo, int64_t hi) {
    int64_t min, max;
    eg_vector_range(t->vector, &min, &max);
    lo = lo < min ? min : lo;
    hi = hi > max ? max : hi;
    if (lo > hi)
        return;
    eg_shard_span *last = t->n_spans > 0 ? &t->spans[t->n_spans - 1] : NULL;
    if (last != NULL && last->hi == lo - 1) /* lo is above min, for last is below it */
        last->hi = hi;
    else
        t->spans[t->n_spans++] = (eg_shard_span){lo, hi};
}

static eg_status reserve_spans(eg_shard_test *t, size_t n, eg_err *err) {
    t->kind = EG_SHARD_TEST_NUMBERS;
    t->spans = calloc(n, sizeof *t->spans);
    return t->spans != NULL ? EG_OK : eg_fail_nomem(err, "a pruning test");
}

static eg_status make_range(eg_shard_test *t, int64_t lo, int64_t hi, bool negated, eg_err *err) {
    eg_status rc = reserve_spans(t, 2, err);
    if (rc != EG_OK)
        return rc;
    if (!negated) {
        add_span(t, lo, hi);
    } else if (lo > hi) {
        add_span(t, INT64_MIN, INT64_MAX);
    } else {
        if (lo > INT64_MIN)
            add_span(t, INT64_MIN, lo - 1);
        if (hi < INT64_MAX)
            add_span(t, hi + 1, INT64_MAX);
    }
    return EG_OK;
}

static eg_status make_set(eg_shard_test *t, const eg_term *term, eg_err *err) {
    eg_status rc = reserve_spans(t, term->n_set + 1, err);
    int64_t next = INT64_MIN; /* negated: first number behind the last gap */
    for (size_t i = 0; rc == EG_OK && i < term->n_set; i++) {
        int64_t n = term->set[i];
        if (!term->negated) {
            add_span(t, n, n);
            continue;
        }
        if (n > next)
            add_span(t, next, n - 1);
        if (n == INT64_MAX)
            return EG_OK;
        next = n + 1;
    }
    if (rc == EG_OK && term->negated)
        add_span(t, next, INT64_MAX);
    return rc;
}

/* Times grow with their text. */
static eg_status make_time(eg_shard_test *t, const eg_term *term, eg_err *err) {
    bool exact;
    int64_t at = eg_time_lower_bound(term->text, term->text_bytes, &exact);
    int64_t below = at == INT64_MAX ? INT64_MAX : at - 1;
    switch (term->op) {
    case EG_TEXT_EQ:
    case EG_TEXT_NE:
        if (exact)
            return make_range(t, at, at, term->op == EG_TEXT_NE, err);
        t->kind = term->op == EG_TEXT_NE ? EG_SHARD_TEST_NOT_NULL : EG_SHARD_TEST_NEVER;
        return EG_OK;
    case EG_TEXT_LT:
        return make_range(t, INT64_MIN, below, false, err);
    case EG_TEXT_LE:
        return make_range(t, INT64_MIN, exact ? at : below, false, err);
    case EG_TEXT_GE:
    case EG_TEXT_GT:
        if (at != INT64_MAX)
            return make_range(t, exact && term->op == EG_TEXT_GT ? at + 1 : at, INT64_MAX, false,
                              err);
        t->kind = EG_SHARD_TEST_NEVER;
        return EG_OK;
    }
    return EG_OK;
}

static eg_status make_protocols(eg_shard_test *t, const eg_term *term, eg_err *err) {
    eg_status rc = reserve_spans(t, 256, err);
    for (int i = 0; rc == EG_OK && i < 256; i++) {
        char text[EG_PROTO_TEXT_MAX];
        size_t n = eg_proto_format((uint8_t)i, text);
        if (eg_term_takes_text(term, text, n))
            add_span(t, i, i);
    }
    return rc;
}

static eg_status make_text(eg_shard_test *t, const eg_term *term, eg_err *err) {
    uint32_t addr;
    switch (eg_column_about(term->col)->kind) {
    case EG_KIND_TIME:
        return make_time(t, term, err);
    case EG_KIND_PROTO:
        return make_protocols(t, term, err);
    case EG_KIND_IP4:
        if (term->op == EG_TEXT_EQ || term->op == EG_TEXT_NE) {
            if (eg_ip4_parse(term->text, term->text_bytes, &addr))
                return make_range(t, addr, addr, term->op == EG_TEXT_NE, err);
            t->kind = term->op == EG_TEXT_NE ? EG_SHARD_TEST_NOT_NULL : EG_SHARD_TEST_NEVER;
            return EG_OK;
        }
        break;
    case EG_KIND_TEXT:
        break;
    case EG_KIND_INT:
    case EG_KIND_EST:
        return EG_OK; /* the filter refuses it */
    }
    t->kind = EG_SHARD_TEST_TEXT;
    return EG_OK;
}

static int by_text(const void *a, const void *b) {
    const eg_shard_ip4_text *x = a, *y = b;
    return eg_bytes_compare(x->text, x->n_bytes, y->text, y->n_bytes);
}

/* The texts of addresses that are tested for one by one. */
static eg_status make_dots(eg_shard_test *t, eg_err *err) {
    for (size_t i = 0; i < t->n_spans; i++)
        if (t->spans[i].lo != t->spans[i].hi)
            return EG_OK;
    if (t->n_spans == 0)
        return EG_OK;
    t->dots = calloc(t->n_spans, sizeof *t->dots);
    if (t->dots == NULL)
        return eg_fail_nomem(err, "a pruning test");
    for (size_t i = 0; i < t->n_spans; i++)
        t->dots[i].n_bytes = (uint8_t)eg_ip4_format((uint32_t)t->spans[i].lo, t->dots[i].text);
    qsort(t->dots, t->n_spans, sizeof *t->dots, by_text);
    return EG_OK;
}

static eg_status prepare(eg_shard_test *t, const eg_term *term, eg_err *err) {
    const eg_column_info *c = eg_column_about(term->col);
    eg_status rc = EG_OK;
    *t = (eg_shard_test){
        .kind = EG_SHARD_TEST_NOT_NULL, .vector = c->vector, .vectors = c->vectors, .term = term};
    switch (term->kind) {
    case EG_TEST_NONE:
        t->kind = EG_SHARD_TEST_NEVER;
        break;
    case EG_TEST_NULL:
        t->kind = term->negated ? EG_SHARD_TEST_NOT_NULL : EG_SHARD_TEST_NULL;
        break;
    case EG_TEST_RANGE:
        if (c->kind != EG_KIND_EST)
            rc = make_range(t, term->lo, term->hi, term->negated, err);
        break;
    case EG_TEST_SET:
        if (c->kind != EG_KIND_EST)
            rc = make_set(t, term, err);
        break;
    case EG_TEST_TEXT:
        rc = make_text(t, term, err);
        break;
    }
    if (t->kind == EG_SHARD_TEST_NUMBERS && t->n_spans == 0)
        t->kind = EG_SHARD_TEST_NEVER;
    if (rc == EG_OK && c->kind == EG_KIND_IP4)
        rc = make_dots(t, err);
    return rc;
}

static bool is_range(const eg_shard_test *t) {
    return t->kind == EG_SHARD_TEST_NUMBERS && t->n_spans == 1 && t->dots == NULL;
}

/* Two bounds of one vector, as of a window of time, are one range. False where the last test is
** no such one. */
static bool join_range(eg_shard_tests *all) {
    const eg_shard_test *last = &all->tests[all->n_tests - 1];
    for (eg_shard_test *t = all->tests; t < last; t++) {
        if (!is_range(t) || !is_range(last) || t->vector != last->vector ||
            t->vectors != last->vectors)
            continue;
        eg_shard_span *a = &t->spans[0], b = last->spans[0];
        a->lo = a->lo > b.lo ? a->lo : b.lo;
        a->hi = a->hi < b.hi ? a->hi : b.hi;
        t->kind = a->lo > a->hi ? EG_SHARD_TEST_NEVER : EG_SHARD_TEST_NUMBERS;
        return true;
    }
    return false;
}

static void close_test(eg_shard_test *t) {
    free(t->spans);
    free(t->dots);
    *t = (eg_shard_test){0};
}

eg_status eg_shard_tests_open(const eg_predicate *where, eg_shard_tests *out, eg_err *err) {
    *out = (eg_shard_tests){0};
    if (where == NULL || where->n_terms == 0)
        return EG_OK;
    out->tests = calloc(where->n_terms, sizeof *out->tests);
    if (out->tests == NULL)
        return eg_fail_nomem(err, "pruning tests");
    for (size_t i = 0; i < where->n_terms; i++) {
        eg_status rc = prepare(&out->tests[out->n_tests++], &where->terms[i], err);
        if (rc != EG_OK) {
            eg_shard_tests_close(out);
            return rc;
        }
        if (join_range(out))
            close_test(&out->tests[--out->n_tests]);
    }
    return EG_OK;
}

void eg_shard_tests_close(eg_shard_tests *t) {
    for (size_t i = 0; i < t->n_tests; i++)
        close_test(&t->tests[i]);
    free(t->tests);
    *t = (eg_shard_tests){0};
}

/* ---- bounds ------------------------------------------------------------- */

bool eg_shard_test_span(const eg_shard_test *t, int64_t lo, int64_t hi) {
    size_t a = 0, b = t->n_spans; /* the first span that ends at lo or behind it */
    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (t->spans[mid].hi < lo)
            a = mid + 1;
        else
            b = mid;
    }
    return a < t->n_spans && t->spans[a].lo <= hi;
}

/* Whether texts that begin with prefix can be between the bounds. */
static bool prefix_within(const char *prefix, size_t n, const eg_pq_bounds *b) {
    if (b->has_max && eg_bytes_compare(b->max.data, b->max.n_bytes, prefix, n) < 0)
        return false;
    size_t n_min = b->min.n_bytes < n ? b->min.n_bytes : n;
    return !b->has_min || eg_bytes_compare(b->min.data, n_min, prefix, n) <= 0;
}

/* Whether one of the addresses has a text between the bounds. */
static bool dots_within(const eg_shard_test *t, const eg_pq_bounds *b) {
    size_t lo = 0, hi = t->n_spans;
    while (b->has_min && lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const eg_shard_ip4_text *d = &t->dots[mid];
        if (eg_bytes_compare(d->text, d->n_bytes, b->min.data, b->min.n_bytes) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == t->n_spans)
        return false;
    return !b->has_max || eg_bytes_compare(t->dots[lo].text, t->dots[lo].n_bytes, b->max.data,
                                           b->max.n_bytes) <= 0;
}

/* Whether an address of the span can have a text between the bounds. */
static bool addresses_within(eg_shard_span s, const eg_pq_bounds *b) {
    char text[EG_IP4_TEXT_MAX];
    uint32_t lo = (uint32_t)s.lo, differ = lo ^ (uint32_t)s.hi;
    size_t n = eg_ip4_format(lo, text), n_same = 0;
    int n_parts = differ == 0 ? 4 : __builtin_clz(differ) / 8; /* that all of them begin with */
    while (n_parts > 0 && n_same < n)
        n_parts -= text[n_same++] == '.';
    return prefix_within(text, n_same, b);
}

static bool text_bounds(const eg_shard_test *t, const eg_shard_column *c, const eg_pq_bounds *b) {
    if (t->kind == EG_SHARD_TEST_TEXT) {
        const eg_term *term = t->term;
        int min = b->has_min
                      ? eg_bytes_compare(b->min.data, b->min.n_bytes, term->text, term->text_bytes)
                      : -1;
        int max = b->has_max
                      ? eg_bytes_compare(b->max.data, b->max.n_bytes, term->text, term->text_bytes)
                      : 1;
        switch (term->op) {
        case EG_TEXT_EQ:
            return min <= 0 && max >= 0;
        case EG_TEXT_NE:
            return min != 0 || max != 0;
        case EG_TEXT_LT:
            return min < 0;
        case EG_TEXT_LE:
            return min <= 0;
        case EG_TEXT_GT:
            return max > 0;
        case EG_TEXT_GE:
            return max >= 0;
        }
        return true;
    }
    if (c->form != EG_SHARD_IP4_TEXT)
        return true;
    if (t->dots != NULL)
        return dots_within(t, b);
    if (t->n_spans > MOST_PREFIXES)
        return true;
    for (size_t i = 0; i < t->n_spans; i++)
        if (addresses_within(t->spans[i], b))
            return true;
    return false;
}

bool eg_shard_test_bounds(const eg_shard_test *t, const eg_shard_column *c, const eg_pq_bounds *b,
                          int64_t n_rows) {
    bool is_text = c->form == EG_SHARD_IP4_TEXT || c->form == EG_SHARD_TEXT;
    if (t->kind == EG_SHARD_TEST_NULL)
        return c->about->is_optional && b->null_count != 0;
    if (t->kind == EG_SHARD_TEST_NEVER || (b->null_count >= 0 && b->null_count == n_rows))
        return false;
    if (t->kind == EG_SHARD_TEST_NOT_NULL)
        return true;
    if (is_text)
        return text_bounds(t, c, b);
    if (t->kind == EG_SHARD_TEST_TEXT)
        return true;
    int64_t lo = c->lo, hi = c->hi, n;
    if (b->has_min && eg_shard_bound_number(c, b->min, &n))
        lo = n;
    if (b->has_max && eg_shard_bound_number(c, b->max, &n))
        hi = n;
    return lo > hi || eg_shard_test_span(t, lo, hi);
}

/* ---- single values ------------------------------------------------------ */

/* A number as the PLAIN bytes of a column's value; 0 bytes where it has more than
** one form, or none. */
static size_t plain_value(const eg_shard_column *c, int64_t n, uint8_t out[EG_IP4_TEXT_MAX]) {
    size_t n_bytes = 0;
    switch (c->form) {
    case EG_SHARD_I32:
    case EG_SHARD_U32:
        n_bytes = 4;
        break;
    case EG_SHARD_I64:
    case EG_SHARD_U64:
        n_bytes = 8;
        break;
    case EG_SHARD_IP4_TEXT:
        return eg_ip4_format((uint32_t)n, (char *)out);
    default:
        return 0;
    }
    for (size_t i = 0; i < n_bytes; i++)
        out[i] = (uint8_t)((uint64_t)n >> (8 * i));
    return n_bytes;
}

bool eg_shard_test_has_bloom(const eg_shard_test *t, const eg_shard_column *c) {
    uint8_t bytes[EG_IP4_TEXT_MAX];
    if (t->kind == EG_SHARD_TEST_TEXT)
        return t->term->op == EG_TEXT_EQ &&
               (c->form == EG_SHARD_TEXT || c->form == EG_SHARD_IP4_TEXT);
    if (t->kind != EG_SHARD_TEST_NUMBERS || c->kind == EG_KIND_TEXT ||
        plain_value(c, 0, bytes) == 0)
        return false;
    uint64_t n = 0;
    for (size_t i = 0; i < t->n_spans && n <= MOST_PROBES; i++) {
        uint64_t more = (uint64_t)t->spans[i].hi - (uint64_t)t->spans[i].lo;
        n = more < MOST_PROBES ? n + more + 1 : MOST_PROBES + 1;
    }
    return n <= MOST_PROBES;
}

eg_status eg_shard_test_bloom(const eg_shard_test *t, const eg_shard_column *c,
                              const eg_pq_bloom *b, bool *maybe, uint32_t *n_probes, eg_err *err) {
    *maybe = false;
    *n_probes = 0;
    if (t->kind == EG_SHARD_TEST_TEXT) {
        *n_probes = 1;
        return eg_pq_bloom_probe(b, t->term->text, t->term->text_bytes, maybe, err);
    }
    for (size_t i = 0; i < t->n_spans; i++) {
        int64_t last = t->spans[i].hi;
        for (int64_t n = t->spans[i].lo;; n++) {
            uint8_t bytes[EG_IP4_TEXT_MAX];
            size_t n_bytes = plain_value(c, n, bytes);
            eg_status rc = eg_pq_bloom_probe(b, bytes, n_bytes, maybe, err);
            ++*n_probes;
            if (rc != EG_OK || *maybe)
                return rc;
            if (n == last)
                break;
        }
    }
    return EG_OK;
}

bool eg_shard_test_has_entries(const eg_shard_test *t, const eg_shard_column *c) {
    if (t->kind == EG_SHARD_TEST_TEXT)
        return c->form == EG_SHARD_TEXT || c->form == EG_SHARD_IP4_TEXT;
    return t->kind == EG_SHARD_TEST_NUMBERS && c->kind != EG_KIND_TEXT;
}

bool eg_shard_test_entries(const eg_shard_test *t, const eg_shard_column *c,
                           const eg_pq_dictionary *d) {
    const eg_pq_bytes *texts = d->values.bytes;
    if (t->kind == EG_SHARD_TEST_TEXT) {
        for (uint32_t i = 0; i < d->n_entries; i++)
            if (eg_term_takes_text(t->term, texts[i].data, texts[i].n_bytes))
                return true;
        return false;
    }
    if (c->form == EG_SHARD_IP4_TEXT && t->dots != NULL && t->n_spans == 1) {
        for (uint32_t i = 0; i < d->n_entries; i++)
            if (texts[i].n_bytes == t->dots[0].n_bytes &&
                memcmp(texts[i].data, t->dots[0].text, texts[i].n_bytes) == 0)
                return true;
        return false;
    }
    for (uint32_t i = 0; i < d->n_entries; i++) {
        int64_t n;
        if (eg_shard_number(c, d->values.any, i, &n) && eg_shard_test_span(t, n, n))
            return true;
    }
    return false;
}

bool eg_shard_test_keys(const eg_shard_test *t, const eg_shard_column *c, const eg_shard_keys *k) {
    for (uint32_t i = 0; i < k->n_entries; i++) {
        int64_t number = eg_shard_number_of_key(c, k->first + k->all[i]);
        if (eg_shard_test_span(t, number, number))
            return true;
    }
    return false;
}

/* ---- rows --------------------------------------------------------------- */

/* A span is one unsigned comparison: number - lo <= hi - lo. */
#define ROWS(name, type, wide)                                                                     \
    static void name(const eg_shard_test *t, const void *numbers, uint32_t n_rows,                 \
                     uint8_t *alive) {                                                             \
        const type *restrict v = numbers;                                                          \
        for (uint32_t i = 0; i < n_rows; i++) {                                                    \
            bool passes = false;                                                                   \
            for (size_t s = 0; s < t->n_spans; s++)                                                \
                passes |= (wide)((wide)v[i] - (wide)t->spans[s].lo) <=                             \
                          (wide)((wide)t->spans[s].hi - (wide)t->spans[s].lo);                     \
            alive[i] &= passes;                                                                    \
        }                                                                                          \
    }                                                                                              \
    static void name##_one(const eg_shard_test *t, const void *numbers, uint32_t n_rows,           \
                           uint8_t *restrict alive) {                                              \
        const type *restrict v = numbers;                                                          \
        wide lo = (wide)t->spans[0].lo, span = (wide)t->spans[0].hi - lo;                          \
        for (uint32_t i = 0; i < n_rows; i++)                                                      \
            alive[i] &= (wide)((wide)v[i] - lo) <= span;                                           \
    }
ROWS(rows_8, uint8_t, uint32_t)
ROWS(rows_16, uint16_t, uint32_t)
ROWS(rows_32, uint32_t, uint32_t)
ROWS(rows_64, int64_t, uint64_t)

bool eg_shard_test_rows(const eg_shard_test *t, const void *numbers, uint32_t n_rows,
                        uint8_t *alive) {
    if (t->kind != EG_SHARD_TEST_NUMBERS || t->n_spans > MOST_ROW_SPANS)
        return false;
    bool is_one = t->n_spans == 1;
    switch (eg_vector_width(t->vector)) {
    case 1:
        (is_one ? rows_8_one : rows_8)(t, numbers, n_rows, alive);
        break;
    case 2:
        (is_one ? rows_16_one : rows_16)(t, numbers, n_rows, alive);
        break;
    case 4:
        (is_one ? rows_32_one : rows_32)(t, numbers, n_rows, alive);
        break;
    default:
        (is_one ? rows_64_one : rows_64)(t, numbers, n_rows, alive);
    }
    return true;
}
