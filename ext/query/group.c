/*
** Grouping: packs the keys of each batch into words, column at a time, sums
** them in a group_table, and puts the groups in order at the end.
*/
#include "query/group.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "query/group_table.h"

/* Where a key is in the packed words. A field never straddles two words, and the
** first key is the most significant, so words compare as keys do. */
typedef struct field {
    unsigned word, shift, bits;
    uint64_t bias; /* xored: makes signed numbers compare unsigned */
    uint32_t mask; /* of IP4 columns */
} field;

struct eg_groups {
    size_t n_keys;
    eg_key keys[EG_GROUP_MAX_KEYS];
    field fields[EG_GROUP_MAX_KEYS];
    unsigned n_words;
    bool has_text; /* some key is a TEXT column: ties compare texts */
    eg_measure measure;
    const eg_intern *texts; /* borrowed */
    eg_group_table *table;  /* owned */
    const uint64_t **order; /* [n] owned, entries of the table */
    uint64_t n;
};

/* ---- what users write --------------------------------------------------- */

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static eg_status parse_key(const char *text, size_t n, eg_key *key, eg_err *err) {
    const char *slash = memchr(text, '/', n);
    size_t n_name = slash ? (size_t)(slash - text) : n;
    while (n_name > 0 && is_space(text[n_name - 1]))
        n_name--;
    key->col = eg_column_find(text, n_name);
    key->prefix_bits = 32;
    if (key->col == EG_N_COLUMNS)
        return eg_fail(err, EG_MISUSE, -1,
                       "key '%.*s' is no column: expected column names separated by commas, "
                       "as in 'srcaddr,dstport' or 'srcaddr/24'",
                       (int)n, text);
    const eg_column_info *c = eg_column_about(key->col);
    if (c->vector == EG_VEC_PACKETS || c->vector == EG_VEC_BYTES)
        return eg_fail(err, EG_MISUSE, -1,
                       "key '%s' is a counter and is summed: expected any other column", c->name);
    if (slash == NULL)
        return EG_OK;
    const char *d = slash + 1;
    size_t n_digits = n - (size_t)(d - text);
    while (n_digits > 0 && is_space(*d)) {
        d++;
        n_digits--;
    }
    unsigned bits = 0;
    for (size_t i = 0; i < n_digits; i++)
        bits = d[i] >= '0' && d[i] <= '9' && bits <= 32 ? bits * 10 + (unsigned)(d[i] - '0') : 99;
    if (c->kind != EG_KIND_IP4 || n_digits == 0 || bits > 32)
        return eg_fail(err, EG_MISUSE, -1,
                       "key '%.*s': expected a prefix length of 0 to 32 after the '/', and that "
                       "of srcaddr, dstaddr or nexthop only",
                       (int)n, text);
    key->prefix_bits = (uint8_t)bits;
    return EG_OK;
}

eg_status eg_group_parse_keys(const char *text, size_t n_bytes, eg_key keys[EG_GROUP_MAX_KEYS],
                              size_t *n_keys, eg_err *err) {
    *n_keys = 0;
    size_t at = 0;
    for (;;) {
        const char *comma = at < n_bytes ? memchr(text + at, ',', n_bytes - at) : NULL;
        size_t end = comma ? (size_t)(comma - text) : n_bytes, start = at, stop = end;
        while (start < stop && is_space(text[start]))
            start++;
        while (stop > start && is_space(text[stop - 1]))
            stop--;
        if (start == stop)
            return eg_fail(err, EG_MISUSE, -1,
                           "keys '%.*s' has an empty key: expected column names separated by "
                           "commas, as in 'srcaddr,dstport' or 'srcaddr/24'",
                           (int)n_bytes, text);
        if (*n_keys == EG_GROUP_MAX_KEYS)
            return eg_fail(err, EG_MISUSE, -1, "keys '%.*s': expected at most %d", (int)n_bytes,
                           text, EG_GROUP_MAX_KEYS);
        eg_key *key = &keys[*n_keys];
        eg_status rc = parse_key(text + start, stop - start, key, err);
        if (rc != EG_OK)
            return rc;
        for (size_t i = 0; i < *n_keys; i++)
            if (keys[i].col == key->col)
                return eg_fail(err, EG_MISUSE, -1, "key '%s' is given twice",
                               eg_column_about(key->col)->name);
        ++*n_keys;
        if (comma == NULL)
            return EG_OK;
        at = end + 1;
    }
}

bool eg_group_parse_measure(const char *text, size_t n_bytes, eg_measure *m) {
    static const char *const names[] = {[EG_MEASURE_BYTES] = "bytes",
                                        [EG_MEASURE_PACKETS] = "packets",
                                        [EG_MEASURE_FLOWS] = "flows"};
    for (int i = EG_MEASURE_BYTES; i <= EG_MEASURE_FLOWS; i++)
        if (strlen(names[i]) == n_bytes && strncasecmp(names[i], text, n_bytes) == 0) {
            *m = (eg_measure)i;
            return true;
        }
    return false;
}

eg_vector_set eg_group_vectors(const eg_group_spec *spec) {
    eg_vector_set set = EG_VECTOR_BIT(EG_VEC_BYTES) | EG_VECTOR_BIT(EG_VEC_PACKETS);
    for (size_t i = 0; i < spec->n_keys; i++)
        set |= eg_column_about(spec->keys[i].col)->vectors;
    return set;
}

/* ---- packing ------------------------------------------------------------ */

static void lay_out(eg_groups *g) {
    unsigned word = 0, used = 0;
    for (size_t i = 0; i < g->n_keys; i++) {
        const eg_column_info *c = eg_column_about(g->keys[i].col);
        unsigned bits = 8 * (unsigned)eg_vector_width(c->vector);
        if (used + bits > 64) {
            word++;
            used = 0;
        }
        used += bits;
        unsigned prefix = g->keys[i].prefix_bits;
        g->fields[i] = (field){.word = word,
                               .shift = 64 - used,
                               .bits = bits,
                               .bias = bits == 64 ? UINT64_C(1) << 63 : 0,
                               .mask = prefix == 0 ? 0 : ~UINT32_C(0) << (32 - prefix)};
        g->has_text |= c->kind == EG_KIND_TEXT;
    }
    g->n_words = word + 1;
}

/* Copies the selected rows of a vector into a field of the words. */
#define PACK(ID, ctype)                                                                            \
    case EG_VEC_##ID:                                                                              \
        for (uint32_t i = 0; i < b->n_sel; i++)                                                    \
            to[i] |= (((uint64_t)b->v.ID[b->sel[i]] & mask) ^ f->bias) << f->shift;                \
        break;

static void pack(const eg_batch *b, eg_vector v, const field *f, bool is_address, uint64_t *to) {
    uint64_t mask = is_address ? f->mask : ~UINT64_C(0);
    switch (v) {
#define EG_VECTOR(ID, ctype) PACK(ID, ctype)
#include "flow/schema.def"
    case EG_N_VECTORS:
        break;
    }
}

static void pack_pair(const eg_batch *b, uint64_t *to) {
    for (uint32_t i = 0; i < b->n_sel; i++) {
        uint64_t src = b->v.SRCADDR[b->sel[i]], dst = b->v.DSTADDR[b->sel[i]];
        uint64_t low = src < dst ? src : dst, high = src < dst ? dst : src;
        to[i] = low << 32 | high;
    }
}

static void unpack(const eg_groups *g, const uint64_t *entry, int64_t keys[EG_GROUP_MAX_KEYS]) {
    uint64_t words[EG_GROUP_MAX_WORDS];
    eg_group_table_key(g->table, entry, words);
    for (size_t i = 0; i < g->n_keys; i++) {
        const field *f = &g->fields[i];
        uint64_t mask = f->bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << f->bits) - 1;
        keys[i] = (int64_t)(((words[f->word] >> f->shift) & mask) ^ f->bias);
    }
}

/* ---- order -------------------------------------------------------------- */

static int compare_texts(const eg_intern *texts, int64_t a, int64_t b) {
    size_t n_a, n_b;
    const char *x = eg_intern_text(texts, (uint32_t)a, &n_a);
    const char *y = eg_intern_text(texts, (uint32_t)b, &n_b);
    int c = memcmp(x, y, n_a < n_b ? n_a : n_b);
    return c != 0 ? c : (n_a > n_b) - (n_a < n_b);
}

static int compare_keys(const eg_groups *g, const uint64_t *a, const uint64_t *b) {
    if (!g->has_text) {
        uint64_t x[EG_GROUP_MAX_WORDS], y[EG_GROUP_MAX_WORDS];
        eg_group_table_key(g->table, a, x);
        eg_group_table_key(g->table, b, y);
        for (unsigned w = 0; w < g->n_words; w++)
            if (x[w] != y[w])
                return x[w] < y[w] ? -1 : 1;
        return 0;
    }
    int64_t x[EG_GROUP_MAX_KEYS], y[EG_GROUP_MAX_KEYS];
    unpack(g, a, x);
    unpack(g, b, y);
    for (size_t i = 0; i < g->n_keys; i++) {
        if (x[i] == y[i])
            continue;
        if (eg_column_about(g->keys[i].col)->kind != EG_KIND_TEXT)
            return x[i] < y[i] ? -1 : 1;
        int c = compare_texts(g->texts, x[i], y[i]);
        if (c != 0)
            return c;
    }
    return 0;
}

/* Negative where a comes before b: larger measure first, then smaller key. */
static int compare_groups(const void *a, const void *b, void *groups) {
    const eg_groups *g = groups;
    const uint64_t *x = *(const uint64_t *const *)a, *y = *(const uint64_t *const *)b;
    unsigned at = g->n_words + (unsigned)g->measure;
    if (x[at] != y[at])
        return x[at] > y[at] ? -1 : 1;
    return compare_keys(g, x, y);
}
_Static_assert(EG_MEASURE_BYTES == 0 && EG_MEASURE_PACKETS == 1 && EG_MEASURE_FLOWS == 2,
               "a measure is the number of its sum in an entry");

/* Keeps the first n in a heap whose top is the last of them. */
static void sift_down(eg_groups *g, uint64_t i, uint64_t n) {
    for (;;) {
        uint64_t child = 2 * i + 1;
        if (child >= n)
            return;
        if (child + 1 < n && compare_groups(&g->order[child], &g->order[child + 1], g) < 0)
            child++;
        if (compare_groups(&g->order[i], &g->order[child], g) >= 0)
            return;
        const uint64_t *t = g->order[i];
        g->order[i] = g->order[child];
        g->order[child] = t;
        i = child;
    }
}

#define RUN_GROUPS UINT64_C(8192) /* sorted or merged between two looks at the host */

/* Merges the sorted runs [0, middle) and [middle, n) of from into to. */
static eg_status merge(eg_groups *g, const uint64_t **from, const uint64_t **to, uint64_t middle,
                       uint64_t n, eg_scan *scan, eg_err *err) {
    uint64_t a = 0, b = middle;
    for (uint64_t i = 0; i < n; i++) {
        if (i % RUN_GROUPS == 0) {
            eg_status rc = eg_scan_check(scan, err);
            if (rc != EG_OK)
                return rc;
        }
        bool take_a = b == n || (a < middle && compare_groups(&from[a], &from[b], g) <= 0);
        to[i] = from[take_a ? a++ : b++];
    }
    return EG_OK;
}

/* Sorts order[] in runs and merges these, so that the host can stop it at any time. */
static eg_status sort_groups(eg_groups *g, eg_scan *scan, eg_err *err) {
    for (uint64_t at = 0; at < g->n; at += RUN_GROUPS) {
        eg_status rc = eg_scan_check(scan, err);
        if (rc != EG_OK)
            return rc;
        uint64_t n = g->n - at < RUN_GROUPS ? g->n - at : RUN_GROUPS;
        qsort_r(g->order + at, n, sizeof *g->order, compare_groups, g);
    }
    if (g->n <= RUN_GROUPS)
        return EG_OK;
    const uint64_t **other = calloc(g->n, sizeof *other);
    if (other == NULL)
        return eg_fail_nomem(err, "the order of groups");
    eg_status rc = EG_OK;
    for (uint64_t width = RUN_GROUPS; width < g->n && rc == EG_OK; width *= 2) {
        for (uint64_t at = 0; at < g->n && rc == EG_OK; at += 2 * width) {
            uint64_t n = g->n - at < 2 * width ? g->n - at : 2 * width;
            rc = merge(g, g->order + at, other + at, n < width ? n : width, n, scan, err);
        }
        const uint64_t **t = g->order;
        g->order = other;
        other = t;
    }
    free(other);
    return rc;
}

static eg_status put_in_order(eg_groups *g, uint64_t limit, eg_scan *scan, eg_err *err) {
    uint64_t n = eg_group_table_count(g->table);
    g->n = limit > 0 && limit < n ? limit : n;
    if (g->n == 0)
        return EG_OK;
    g->order = calloc(g->n, sizeof *g->order);
    if (g->order == NULL)
        return eg_fail_nomem(err, "the order of groups");
    eg_group_walk at = {0};
    const uint64_t *e;
    uint64_t filled = 0;
    for (uint64_t i = 0; (e = eg_group_table_next(g->table, &at)) != NULL; i++) {
        if (i % RUN_GROUPS == 0) {
            eg_status rc = eg_scan_check(scan, err);
            if (rc != EG_OK)
                return rc;
        }
        if (filled < g->n) {
            g->order[filled++] = e;
            if (filled == g->n && g->n < n) {
                for (uint64_t j = g->n / 2; j-- > 0;) {
                    if (j % RUN_GROUPS == 0 && eg_scan_check(scan, err) != EG_OK)
                        return EG_INTERRUPT;
                    sift_down(g, j, g->n);
                }
            }
        } else if (compare_groups(&e, &g->order[0], g) < 0) {
            g->order[0] = e;
            sift_down(g, 0, g->n);
        }
    }
    return sort_groups(g, scan, err);
}

/* ---- the run ------------------------------------------------------------ */

/* One batch's packed keys, selected rows only. */
typedef struct packed {
    uint64_t words[EG_GROUP_MAX_WORDS][EG_BATCH_ROWS];
} packed;

/* Keys have no NULL; names the first that would need one. */
static eg_status refuse_nulls(const eg_groups *g, const eg_batch *b, eg_err *err) {
    eg_vector_set keys = 0, seen = 0;
    for (size_t i = 0; i < g->n_keys; i++)
        keys |= eg_column_about(g->keys[i].col)->vectors;
    for (uint32_t i = 0; i < b->n_sel; i++)
        seen |= b->nulls[b->sel[i]] & keys;
    for (size_t i = 0; seen != 0 && i < g->n_keys; i++) {
        const eg_column_info *c = eg_column_about(g->keys[i].col);
        if ((seen & c->vectors) != 0)
            return eg_fail(err, EG_UNSUPPORTED, -1,
                           "key '%s' is NULL in some rows, and NULL is no group: expected "
                           "%s IS NOT NULL in WHERE, or other keys",
                           c->name, c->name);
    }
    return EG_OK;
}

static eg_status add_batch(eg_groups *g, const eg_group_spec *spec, const eg_batch *b, packed *k,
                           eg_err *err) {
    eg_status rc = b->nulls != NULL ? refuse_nulls(g, b, err) : EG_OK;
    if (rc != EG_OK)
        return rc;
    if (spec->unordered_pair) {
        pack_pair(b, k->words[0]);
    } else {
        for (unsigned w = 0; w < g->n_words; w++)
            memset(k->words[w], 0, b->n_sel * sizeof k->words[w][0]);
        for (size_t i = 0; i < g->n_keys; i++) {
            const eg_column_info *c = eg_column_about(g->keys[i].col);
            pack(b, c->vector, &g->fields[i], c->kind == EG_KIND_IP4, k->words[g->fields[i].word]);
        }
    }
    const uint64_t *words[EG_GROUP_MAX_WORDS];
    for (unsigned w = 0; w < g->n_words; w++)
        words[w] = k->words[w];
    /* A counter that is NULL is 0 in its array, which is what it adds. */
    return eg_group_table_add(g->table, words, b->v.BYTES, b->v.PACKETS, b->sel, b->n_sel, err);
}

static eg_status check_scan(void *scan, eg_err *err) {
    return eg_scan_check(scan, err);
}

eg_status eg_group_run(eg_scan *scan, const eg_intern *texts, const eg_group_spec *spec,
                       eg_groups **out, eg_err *err) {
    *out = NULL;
    eg_groups *g = calloc(1, sizeof *g);
    packed *k = malloc(sizeof *k);
    eg_status rc = EG_OK;
    if (g == NULL || k == NULL) {
        rc = eg_fail_nomem(err, "grouping");
        goto done;
    }
    g->texts = texts;
    g->measure = spec->measure;
    g->n_keys = spec->n_keys;
    memcpy(g->keys, spec->keys, spec->n_keys * sizeof g->keys[0]);
    lay_out(g);
    rc = eg_group_table_open(g->n_words, check_scan, scan, &g->table, err);
    while (rc == EG_OK) {
        const eg_batch *b;
        rc = eg_scan_next(scan, &b, err);
        if (rc == EG_OK)
            rc = add_batch(g, spec, b, k, err);
    }
    if (rc == EG_DONE)
        rc = eg_group_table_finish(g->table, err);
    if (rc == EG_OK)
        rc = put_in_order(g, spec->limit, scan, err);
done:
    free(k);
    if (rc == EG_OK)
        *out = g;
    else
        eg_groups_close(g);
    return rc;
}

uint64_t eg_groups_count(const eg_groups *g) {
    return g->n;
}

void eg_groups_row(const eg_groups *g, uint64_t i, eg_group_row *row) {
    const uint64_t *e = g->order[i];
    unpack(g, e, row->keys);
    row->bytes = (int64_t)e[g->n_words];
    row->packets = (int64_t)e[g->n_words + 1];
    row->flows = (int64_t)e[g->n_words + 2];
}

void eg_groups_close(eg_groups *g) {
    if (g == NULL)
        return;
    eg_group_table_close(g->table);
    free(g->order);
    free(g);
}
