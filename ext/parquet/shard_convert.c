/*
** Integers are narrowed in loops without branches that gather the bits that do
** not fit and look at them once at the end; everything else goes value by value.
*/
#include "parquet/shard_convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "flow/batch.h"

#define FOUND_PART 16 /* of the entries: so many are found one by one, then all are decoded */

/* The code of a value of a TEXT column. EG_CORRUPT (without a message) for a number
** that is no address. */
static eg_status text_code(const eg_shard_column *c, const void *values, size_t i,
                           eg_shard_texts *texts, uint32_t *code, eg_err *err) {
    if (c->form == EG_SHARD_TEXT) {
        eg_pq_bytes b = ((const eg_pq_bytes *)values)[i];
        return eg_shard_texts_add(texts, (const char *)b.data, b.n_bytes, code, err);
    }
    char text[EG_IP4_TEXT_MAX];
    int64_t addr;
    if (!eg_shard_number(c, values, i, &addr))
        return EG_CORRUPT;
    return eg_shard_texts_add(texts, text, eg_ip4_format((uint32_t)addr, text), code, err);
}

/* ---- what is wrong ------------------------------------------------------ */

/* Appends bytes as they may stand in a message. */
static void put_quoted(eg_pq_bytes b, char *out, size_t room) {
    size_t n = 0;
    out[n++] = '\'';
    for (uint32_t i = 0; i < b.n_bytes && n + 5 < room; i++)
        out[n++] = b.data[i] >= ' ' && b.data[i] < 127 ? (char)b.data[i] : '?';
    if (n - 1 < b.n_bytes) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n++] = '\'';
    out[n] = '\0';
}

/* The number of a row of a slice in its file. */
static long long row_number(const eg_shard_slice *s, uint32_t row) {
    return (long long)(s->first_row + (s->picks != NULL ? s->picks[row] : row));
}

static eg_status fail_value(const eg_shard_column *c, const eg_shard_slice *s, uint32_t row,
                            const void *values, size_t i, eg_err *err) {
    char found[96], expected[80];
    const eg_pq_bytes *bytes = values;
    switch (c->form) {
    case EG_SHARD_I32:
        snprintf(found, sizeof found, "%" PRId32, ((const int32_t *)values)[i]);
        break;
    case EG_SHARD_U32:
        snprintf(found, sizeof found, "%" PRIu32, (uint32_t)((const int32_t *)values)[i]);
        break;
    case EG_SHARD_U64:
        snprintf(found, sizeof found, "%" PRIu64, (uint64_t)((const int64_t *)values)[i]);
        break;
    case EG_SHARD_I64:
    case EG_SHARD_MICROS:
    case EG_SHARD_NANOS:
        snprintf(found, sizeof found, "%" PRId64, ((const int64_t *)values)[i]);
        break;
    case EG_SHARD_TRUTH:
        snprintf(found, sizeof found, "%u", (unsigned)((const uint8_t *)values)[i]);
        break;
    case EG_SHARD_FLOAT:
        snprintf(found, sizeof found, "%.9g", (double)((const float *)values)[i]);
        break;
    case EG_SHARD_DOUBLE:
        snprintf(found, sizeof found, "%.17g", ((const double *)values)[i]);
        break;
    case EG_SHARD_DECIMAL:
        snprintf(found, sizeof found, "a decimal of %u bytes", (unsigned)bytes[i].n_bytes);
        break;
    case EG_SHARD_INT96:
        snprintf(found, sizeof found, "an INT96 of day %" PRId32,
                 (int32_t)eg_le32(bytes[i].data + 8));
        break;
    case EG_SHARD_IP4_TEXT:
    case EG_SHARD_PROTO_TEXT:
    case EG_SHARD_TEXT:
        put_quoted(bytes[i], found, sizeof found);
        break;
    }
    if (c->form == EG_SHARD_IP4_TEXT)
        snprintf(expected, sizeof expected, "a dotted IPv4 address");
    else if (c->form == EG_SHARD_PROTO_TEXT)
        snprintf(expected, sizeof expected, "a protocol's keyword or number");
    else
        snprintf(expected, sizeof expected, "%" PRId64 " to %" PRId64, c->lo, c->hi);
    return eg_fail(err, EG_CORRUPT, -1, "%s: column %s, row %lld: %s, expected %s", s->file,
                   c->about->name, row_number(s, row), found, expected);
}

/* ---- arrays ------------------------------------------------------------- */

/* `lost` are the bits of a number that the narrower one has no room for. */
#define NARROW(name, from, to, shift)                                                              \
    static bool name(const void *values, uint32_t n, void *numbers) {                              \
        const from *restrict in = values;                                                          \
        to *restrict out = numbers;                                                                \
        from lost = 0;                                                                             \
        for (uint32_t i = 0; i < n; i++) {                                                         \
            lost |= in[i];                                                                         \
            out[i] = (to)in[i];                                                                    \
        }                                                                                          \
        return lost >> (shift) == 0;                                                               \
    }
NARROW(narrow_32_8, uint32_t, uint8_t, 8)
NARROW(narrow_32_16, uint32_t, uint16_t, 16)
NARROW(narrow_32_31, uint32_t, uint32_t, 31)
NARROW(narrow_64_8, uint64_t, uint8_t, 8)
NARROW(narrow_64_16, uint64_t, uint16_t, 16)
NARROW(narrow_64_32, uint64_t, uint32_t, 32)
NARROW(narrow_64_63, uint64_t, uint64_t, 63)

/* Signed 64 bits into signed 64 bits: only INT64_MIN, which is EG_NO_TIME, is no number. */
static bool copy_64(const void *values, uint32_t n, void *numbers) {
    const int64_t *restrict in = values;
    int64_t *restrict out = numbers;
    bool is_wrong = false;
    for (uint32_t i = 0; i < n; i++) {
        is_wrong |= in[i] == INT64_MIN;
        out[i] = in[i];
    }
    return !is_wrong;
}

static bool widen_i32(const void *values, uint32_t n, void *numbers) {
    const int32_t *restrict in = values;
    int64_t *restrict out = numbers;
    for (uint32_t i = 0; i < n; i++)
        out[i] = in[i];
    return true;
}

static bool widen_u32(const void *values, uint32_t n, void *numbers) {
    const uint32_t *restrict in = values;
    int64_t *restrict out = numbers;
    for (uint32_t i = 0; i < n; i++)
        out[i] = in[i];
    return true;
}

static bool divide(const void *values, uint32_t n, void *numbers, int64_t by) {
    const int64_t *restrict in = values;
    int64_t *restrict out = numbers;
    for (uint32_t i = 0; i < n; i++)
        out[i] = eg_floor_divide(in[i], by);
    return true;
}

static bool divide_micros(const void *values, uint32_t n, void *numbers) {
    return divide(values, n, numbers, 1000);
}

static bool divide_nanos(const void *values, uint32_t n, void *numbers) {
    return divide(values, n, numbers, 1000000);
}

static bool copy_32(const void *values, uint32_t n, void *numbers) {
    if (n > 0)
        memcpy(numbers, values, (size_t)n * 4);
    return true;
}

static bool copy_8(const void *values, uint32_t n, void *numbers) {
    if (n > 0)
        memcpy(numbers, values, n);
    return true;
}

typedef bool (*kernel)(const void *values, uint32_t n, void *numbers);

/* The loop for a column's values; NULL where they go one by one. A kernel is false where some
** value did not fit: which one, and whether it is NULL, is for the caller to find. */
static kernel kernel_of(const eg_shard_column *c) {
    size_t width = eg_vector_width(c->vector);
    if (c->kind == EG_KIND_TEXT)
        return NULL;
    switch (c->form) {
    case EG_SHARD_I32:
        return width == 1   ? narrow_32_8
               : width == 2 ? narrow_32_16
               : width == 4 ? narrow_32_31
                            : widen_i32;
    case EG_SHARD_U32:
        return width == 1   ? narrow_32_8
               : width == 2 ? narrow_32_16
               : width == 4 ? copy_32
                            : widen_u32;
    case EG_SHARD_I64:
        return width == 1   ? narrow_64_8
               : width == 2 ? narrow_64_16
               : width == 4 ? narrow_64_32
                            : copy_64;
    case EG_SHARD_U64:
        return width == 1   ? narrow_64_8
               : width == 2 ? narrow_64_16
               : width == 4 ? narrow_64_32
                            : narrow_64_63;
    case EG_SHARD_MICROS:
        return divide_micros;
    case EG_SHARD_NANOS:
        return divide_nanos;
    case EG_SHARD_TRUTH:
        return width == 1 ? copy_8 : NULL;
    default:
        return NULL;
    }
}

/* The number of a value, or of its text. EG_CORRUPT (without a message) where the
** vector does not hold it. */
static eg_status translate(const eg_shard_column *c, const void *values, size_t i,
                           eg_shard_texts *texts, int64_t *out, eg_err *err) {
    if (c->kind == EG_KIND_TEXT) {
        uint32_t code = 0;
        eg_status rc = text_code(c, values, i, texts, &code, err);
        *out = code;
        return rc;
    }
    return eg_shard_number(c, values, i, out) ? EG_OK : EG_CORRUPT;
}

/* ---- dictionaries ------------------------------------------------------- */

eg_status eg_shard_map_fill(eg_shard_map *m, const eg_shard_column *c, const eg_pq_dictionary *d,
                            eg_shard_texts *texts, eg_err *err) {
    size_t width = eg_vector_width(c->vector), n = d->n_entries;
    kernel k = kernel_of(c);
    m->n_wrong = 0;
    m->is_narrow = false;
    if (k == copy_32 && n > 0) {
        m->numbers = d->values.any;
        return EG_OK;
    }
    /* One more than there are: the code of a NULL is 0, also into an empty dictionary. */
    eg_status rc = eg_pq_block_reserve(&m->room, (n + 1) * width, err);
    if (rc != EG_OK)
        return rc;
    m->numbers = m->room.data;
    eg_array_put(m->room.data, width, n, 0);
    if (k != NULL && k(d->values.any, d->n_entries, m->room.data))
        return EG_OK;
    for (size_t i = 0; i < n; i++) {
        int64_t number = 0;
        rc = translate(c, d->values.any, i, texts, &number, err);
        if (rc == EG_CORRUPT) {
            rc = m->n_wrong > 0 ? EG_OK : eg_pq_block_reserve(&m->wrong, n, err);
            if (rc != EG_OK)
                return rc;
            if (m->n_wrong++ == 0)
                memset(m->wrong.data, 0, n);
            m->wrong.data[i] = 1;
            number = 0;
        } else if (rc != EG_OK) {
            return rc;
        }
        eg_array_put(m->room.data, width, i, number);
    }
    return EG_OK;
}

eg_status eg_shard_map_fill_keys(eg_shard_map *m, const eg_shard_column *c, const eg_shard_keys *k,
                                 eg_err *err) {
    size_t width = eg_vector_width(c->vector), n = k->n_entries;
    m->n_wrong = 0;
    m->is_narrow = false;
    eg_status rc = eg_pq_block_reserve(&m->room, (n + 1) * width, err);
    if (rc != EG_OK)
        return rc;
    m->numbers = m->room.data;
    eg_array_put(m->room.data, width, n, 0);
    for (size_t i = 0; i < n && c->form != EG_SHARD_IP4_TEXT; i++)
        eg_array_put(m->room.data, width, i, k->first + k->all[i]);
    for (size_t i = 0; i < n && c->form == EG_SHARD_IP4_TEXT; i++)
        ((uint32_t *)(void *)m->room.data)[i] = eg_ip4_of_text_key((uint32_t)k->first + k->all[i]);
    return EG_OK;
}

void eg_shard_map_narrow(eg_shard_map *m, const eg_shard_column *c, uint32_t n_entries) {
    uint8_t *numbers = m->room.data;
    const size_t wide = sizeof(uint64_t), narrow = sizeof(uint32_t), n = (size_t)n_entries + 1;
    uint64_t number, any = 0;
    if (eg_vector_width(c->vector) != wide || m->is_narrow)
        return;
    for (size_t i = 0; i < n; i++) {
        memcpy(&number, numbers + i * wide, wide);
        any |= number;
    }
    if (any > UINT32_MAX)
        return;
    for (size_t i = 0; i < n; i++) {
        memcpy(&number, numbers + i * wide, wide);
        memcpy(numbers + i * narrow, &(uint32_t){(uint32_t)number}, narrow);
    }
    m->is_narrow = true;
}

void eg_shard_map_close(eg_shard_map *m) {
    free(m->room.data);
    free(m->wrong.data);
    *m = (eg_shard_map){0};
}

#define GATHER(name, type, wide)                                                                   \
    static void name(const uint32_t *restrict codes, uint32_t n, const void *map, void *numbers) { \
        const type *restrict from = map;                                                           \
        wide *restrict out = numbers;                                                              \
        for (uint32_t i = 0; i < n; i++)                                                           \
            out[i] = from[codes[i]];                                                               \
    }
GATHER(gather_8, uint8_t, uint8_t)
GATHER(gather_16, uint16_t, uint16_t)
GATHER(gather_32, uint32_t, uint32_t)
GATHER(gather_64, uint64_t, uint64_t)
GATHER(gather_narrow, uint32_t, uint64_t)

static eg_status convert_codes(const eg_shard_column *c, const eg_shard_slice *s, void *out,
                               eg_err *err) {
    const eg_pq_vector *v = s->rows;
    const uint32_t *codes = v->values.codes;
    size_t width = eg_vector_width(c->vector);
    switch (width) {
    case 1:
        gather_8(codes, v->n_rows, s->map->numbers, out);
        break;
    case 2:
        gather_16(codes, v->n_rows, s->map->numbers, out);
        break;
    case 4:
        gather_32(codes, v->n_rows, s->map->numbers, out);
        break;
    default:
        (s->map->is_narrow ? gather_narrow : gather_64)(codes, v->n_rows, s->map->numbers, out);
    }
    for (uint32_t i = 0; v->valid != NULL && i < v->n_rows; i++)
        if (!v->valid[i])
            eg_array_put(out, width, i, 0);
    for (uint32_t i = 0; s->map->n_wrong > 0 && i < v->n_rows; i++)
        if ((v->valid == NULL || v->valid[i]) && s->map->wrong.data[codes[i]])
            return fail_value(c, s, i, s->dictionary->values.any, codes[i], err);
    return EG_OK;
}

/* By keys, of which a run of equal codes asks once. When that was done often enough, all are
** decoded. */
static eg_status convert_keys(const eg_shard_column *c, const eg_shard_slice *s, void *out,
                              eg_err *err) {
    const eg_pq_vector *v = s->rows;
    eg_shard_keys *k = s->keys;
    size_t width = eg_vector_width(c->vector);
    uint64_t last = UINT64_MAX;
    int64_t key, number = 0;
    eg_shard_keys_expect(k, v->n_rows);
    for (uint32_t i = 0; i < v->n_rows; i++) {
        if (v->valid != NULL && !v->valid[i]) {
            eg_array_put(out, width, i, 0);
            continue;
        }
        uint32_t code = v->values.codes[i];
        if (code != last) {
            if (k->all == NULL && k->n_found++ > k->n_entries / FOUND_PART) {
                eg_status rc = eg_shard_keys_decode(k, err);
                if (rc != EG_OK)
                    return rc;
            }
            eg_status rc = eg_shard_keys_need(k, code, err);
            if (rc != EG_OK)
                return rc;
            if (!eg_shard_keys_at(k, code, &key))
                return eg_fail(err, EG_CORRUPT, -1,
                               "%s: column %s, row %lld: a key that is not the dictionary's",
                               s->file, c->about->name, row_number(s, i));
            number = eg_shard_number_of_key(c, key);
            last = code;
        }
        eg_array_put(out, width, i, number);
    }
    return EG_OK;
}

#define ONLY(type)                                                                                 \
    for (uint32_t i = 0; i < v->n_rows; i++)                                                       \
        ((type *)out)[i] = (type)(codes[i] == only->code ? only->number : only->other);

static void convert_only(size_t width, const eg_pq_vector *v, const eg_shard_only *only,
                         void *out) {
    const uint32_t *codes = v->values.codes;
    switch (width) {
    case 1:
        ONLY(uint8_t)
        break;
    case 2:
        ONLY(uint16_t)
        break;
    case 4:
        ONLY(uint32_t)
        break;
    default:
        ONLY(int64_t)
    }
    for (uint32_t i = 0; v->valid != NULL && i < v->n_rows; i++)
        if (!v->valid[i])
            eg_array_put(out, width, i, 0);
}

/* Value by value; one like that before it is not translated again. */
static eg_status convert_each(const eg_shard_column *c, const eg_shard_slice *s,
                              eg_shard_texts *texts, void *out, eg_err *err) {
    const eg_pq_vector *v = s->rows;
    const void *values = v->has_codes ? s->dictionary->values.any : v->values.any;
    size_t width = eg_vector_width(c->vector), last = SIZE_MAX;
    bool is_bytes = !v->has_codes && (c->form == EG_SHARD_IP4_TEXT || c->form == EG_SHARD_TEXT ||
                                      c->form == EG_SHARD_PROTO_TEXT);
    int64_t number = 0;
    for (uint32_t i = 0; i < v->n_rows; i++) {
        if (v->valid != NULL && !v->valid[i]) {
            eg_array_put(out, width, i, 0);
            continue;
        }
        size_t at = v->has_codes ? v->values.codes[i] : i;
        bool is_same = at == last;
        if (is_bytes && last != SIZE_MAX) {
            const eg_pq_bytes *b = values;
            is_same = b[at].n_bytes == b[last].n_bytes &&
                      (b[at].n_bytes == 0 || memcmp(b[at].data, b[last].data, b[at].n_bytes) == 0);
        }
        if (!is_same) {
            eg_status rc = translate(c, values, at, texts, &number, err);
            if (rc == EG_CORRUPT)
                return fail_value(c, s, i, values, at, err);
            if (rc != EG_OK)
                return rc;
            last = at;
        }
        eg_array_put(out, width, i, number);
    }
    return EG_OK;
}

eg_status eg_shard_convert(const eg_shard_column *c, const eg_shard_slice *s, eg_shard_texts *texts,
                           void *out, eg_err *err) {
    if (s->rows->has_codes && s->map != NULL)
        return convert_codes(c, s, out, err);
    if (s->rows->has_codes && s->only != NULL) {
        convert_only(eg_vector_width(c->vector), s->rows, s->only, out);
        return EG_OK;
    }
    if (s->rows->has_codes && s->keys != NULL)
        return convert_keys(c, s, out, err);
    kernel k = kernel_of(c);
    if (!s->rows->has_codes && k != NULL && k(s->rows->values.any, s->rows->n_rows, out))
        return EG_OK;
    return convert_each(c, s, texts, out, err);
}
