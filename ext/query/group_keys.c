/* Keys of groups: what users write, and words that compare as the keys do. */
#include "query/group_keys.h"

#include <string.h>

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

/* ---- packing ------------------------------------------------------------ */

eg_vector_set eg_group_keys_vectors(const eg_key *keys, size_t n_keys) {
    eg_vector_set set = 0;
    for (size_t i = 0; i < n_keys; i++)
        set |= eg_column_about(keys[i].col)->vectors;
    return set;
}

void eg_key_layout_make(eg_key_layout *l, const eg_key *keys, size_t n_keys, unsigned first_word) {
    unsigned word = first_word, used = 0;
    memset(l, 0, sizeof *l);
    l->n_keys = n_keys;
    for (size_t i = 0; i < n_keys; i++) {
        const eg_column_info *c = eg_column_about(keys[i].col);
        unsigned bits = 8 * (unsigned)eg_vector_width(c->vector);
        if (used + bits > 64) {
            word++;
            used = 0;
        }
        used += bits;
        unsigned prefix = keys[i].prefix_bits;
        l->keys[i] = keys[i];
        l->fields[i] = (eg_key_field){.word = word,
                                      .shift = 64 - used,
                                      .bits = bits,
                                      .bias = bits == 64 ? UINT64_C(1) << 63 : 0,
                                      .mask = prefix == 0 ? 0 : ~UINT32_C(0) << (32 - prefix)};
        l->has_text |= c->kind == EG_KIND_TEXT;
    }
    l->n_words = n_keys > 0 ? word + 1 : first_word;
}

/* Copies the selected rows of a vector into a field of the words. */
#define PACK(ID, ctype)                                                                            \
    case EG_VEC_##ID:                                                                              \
        for (uint32_t i = 0; i < b->n_sel; i++)                                                    \
            to[i] |= (((uint64_t)b->v.ID[b->sel[i]] & mask) ^ f->bias) << f->shift;                \
        break;

static void pack(const eg_batch *b, eg_vector v, const eg_key_field *f, bool is_address,
                 uint64_t *to) {
    uint64_t mask = is_address ? f->mask : ~UINT64_C(0);
    switch (v) {
#define EG_VECTOR(ID, ctype) PACK(ID, ctype)
#include "flow/schema.def"
    case EG_N_VECTORS:
        break;
    }
}

void eg_key_layout_pack(const eg_key_layout *l, const eg_batch *b, uint64_t *const *words) {
    for (size_t i = 0; i < l->n_keys; i++) {
        const eg_column_info *c = eg_column_about(l->keys[i].col);
        pack(b, c->vector, &l->fields[i], c->kind == EG_KIND_IP4, words[l->fields[i].word]);
    }
}

void eg_key_layout_unpack(const eg_key_layout *l, const uint64_t *words,
                          int64_t keys[EG_GROUP_MAX_KEYS]) {
    for (size_t i = 0; i < l->n_keys; i++) {
        const eg_key_field *f = &l->fields[i];
        uint64_t mask = f->bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << f->bits) - 1;
        keys[i] = (int64_t)(((words[f->word] >> f->shift) & mask) ^ f->bias);
    }
}

static int compare_texts(const eg_intern *texts, int64_t a, int64_t b) {
    size_t n_a, n_b;
    const char *x = eg_intern_text(texts, (uint32_t)a, &n_a);
    const char *y = eg_intern_text(texts, (uint32_t)b, &n_b);
    int c = memcmp(x, y, n_a < n_b ? n_a : n_b);
    return c != 0 ? c : (n_a > n_b) - (n_a < n_b);
}

int eg_key_layout_compare(const eg_key_layout *l, const eg_intern *texts, const uint64_t *a,
                          const uint64_t *b) {
    if (!l->has_text) {
        for (unsigned w = 0; w < l->n_words; w++)
            if (a[w] != b[w])
                return a[w] < b[w] ? -1 : 1;
        return 0;
    }
    int64_t x[EG_GROUP_MAX_KEYS], y[EG_GROUP_MAX_KEYS];
    eg_key_layout_unpack(l, a, x);
    eg_key_layout_unpack(l, b, y);
    for (size_t i = 0; i < l->n_keys; i++) {
        if (x[i] == y[i])
            continue;
        if (eg_column_about(l->keys[i].col)->kind != EG_KIND_TEXT)
            return x[i] < y[i] ? -1 : 1;
        int c = compare_texts(texts, x[i], y[i]);
        if (c != 0)
            return c;
    }
    return 0;
}

eg_status eg_key_layout_refuse_nulls(const eg_key_layout *l, const eg_batch *b, eg_err *err) {
    eg_vector_set keys = eg_group_keys_vectors(l->keys, l->n_keys), seen = 0;
    for (uint32_t i = 0; b->nulls != NULL && i < b->n_sel; i++)
        seen |= b->nulls[b->sel[i]] & keys;
    for (size_t i = 0; seen != 0 && i < l->n_keys; i++) {
        const eg_column_info *c = eg_column_about(l->keys[i].col);
        if ((seen & c->vectors) != 0)
            return eg_fail(err, EG_UNSUPPORTED, -1,
                           "key '%s' is NULL in some rows, and NULL is no group: expected "
                           "%s IS NOT NULL in WHERE, or other keys",
                           c->name, c->name);
    }
    return EG_OK;
}
