/*
** Integers are narrowed in loops without branches that gather the bits that do
** not fit and look at them once at the end; everything else goes value by value.
*/
#include "parquet/shard_column.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "flow/address_order.h"
#include "parquet/pq_encoding.h"

#define FOUND_PART 16 /* of the entries: so many are found one by one, then all are decoded */

#define JULIAN_1970 2440588 /* Julian day number of 1970-01-01 */
#define DAY_MS INT64_C(86400000)

/* ---- columns of a file -------------------------------------------------- */

/* What a number or decimal column is; false where its values are no whole numbers. */
static bool number_form(const eg_pq_column *a, eg_shard_form *form) {
    bool is_signed = a->logical != EG_PQ_LOGICAL_INT || a->is_signed;
    if (a->logical == EG_PQ_LOGICAL_DECIMAL
            ? a->scale != 0
            : a->logical != EG_PQ_LOGICAL_NONE && a->logical != EG_PQ_LOGICAL_INT)
        return false;
    switch (a->type) {
    case EG_PQ_BOOLEAN:
        *form = EG_SHARD_TRUTH;
        return true;
    case EG_PQ_INT32:
        *form = is_signed ? EG_SHARD_I32 : EG_SHARD_U32;
        return true;
    case EG_PQ_INT64:
        *form = is_signed ? EG_SHARD_I64 : EG_SHARD_U64;
        return true;
    case EG_PQ_FLOAT:
        *form = EG_SHARD_FLOAT;
        return true;
    case EG_PQ_DOUBLE:
        *form = EG_SHARD_DOUBLE;
        return true;
    case EG_PQ_BYTE_ARRAY:
    case EG_PQ_FIXED:
        *form = EG_SHARD_DECIMAL;
        return a->logical == EG_PQ_LOGICAL_DECIMAL;
    default:
        return false;
    }
}

static bool time_form(const eg_pq_column *a, eg_shard_form *form) {
    if (a->type == EG_PQ_INT96) {
        *form = EG_SHARD_INT96;
        return true;
    }
    if (a->type != EG_PQ_INT64)
        return false;
    if (a->logical == EG_PQ_LOGICAL_TIMESTAMP) {
        *form = a->unit == EG_PQ_MICROS  ? EG_SHARD_MICROS
                : a->unit == EG_PQ_NANOS ? EG_SHARD_NANOS
                                         : EG_SHARD_I64;
        return true;
    }
    return number_form(a, form) && a->logical != EG_PQ_LOGICAL_DECIMAL;
}

static bool form_of(const eg_pq_column *a, eg_kind kind, eg_shard_form *form) {
    bool is_text = a->type == EG_PQ_BYTE_ARRAY &&
                   (a->logical == EG_PQ_LOGICAL_STRING || a->logical == EG_PQ_LOGICAL_NONE);
    switch (kind) {
    case EG_KIND_TIME:
        return time_form(a, form);
    case EG_KIND_IP4:
        *form = EG_SHARD_IP4_TEXT;
        return is_text || number_form(a, form);
    case EG_KIND_PROTO:
        *form = EG_SHARD_PROTO_TEXT;
        return is_text || number_form(a, form);
    case EG_KIND_TEXT:
        *form = EG_SHARD_TEXT;
        return is_text || number_form(a, form);
    case EG_KIND_INT:
    case EG_KIND_EST:
        break;
    }
    return number_form(a, form);
}

static const char *expected_type(eg_kind kind) {
    switch (kind) {
    case EG_KIND_TIME:
        return "a TIMESTAMP, INT96, or INT64 in ms";
    case EG_KIND_IP4:
        return "dotted text or whole numbers";
    case EG_KIND_PROTO:
        return "keywords, or whole numbers";
    case EG_KIND_TEXT:
        return "text";
    case EG_KIND_INT:
    case EG_KIND_EST:
        break;
    }
    return "whole numbers";
}

/* The number of a column by its name, whatever the case; -1 where there is none. */
static int64_t find_column(const eg_pq_file *f, const char *name) {
    int64_t exact = eg_pq_file_find(f, name, strlen(name));
    for (uint32_t i = 0; exact < 0 && i < eg_pq_file_columns(f); i++) {
        const eg_pq_column *a = eg_pq_file_column(f, i);
        if (eg_name_equal(name, a->name, a->name_bytes))
            exact = i;
    }
    return exact;
}

static eg_status fail_type(const eg_pq_file *f, const eg_pq_column *a, eg_kind kind, eg_err *err) {
    char found[64];
    if (a->logical == EG_PQ_LOGICAL_STRING)
        snprintf(found, sizeof found, "text");
    else if (a->logical == EG_PQ_LOGICAL_TIMESTAMP)
        snprintf(found, sizeof found, "a TIMESTAMP");
    else if (a->logical == EG_PQ_LOGICAL_DECIMAL)
        snprintf(found, sizeof found, "a DECIMAL with %d digits of fraction", (int)a->scale);
    else
        snprintf(found, sizeof found, "%s%s", eg_pq_type_name((int32_t)a->type),
                 a->logical == EG_PQ_LOGICAL_OTHER ? " of a logical type" : "");
    return eg_fail(err, EG_UNSUPPORTED, -1, "%s: column %s is %s, expected %s", eg_pq_file_name(f),
                   a->name, found, expected_type(kind));
}

/* Finds the column of one vector. */
static eg_status bind_vector(const eg_pq_file *f, eg_vector v, eg_shard_column *out, eg_err *err) {
    const eg_pq_column *unusable = NULL;
    *out = (eg_shard_column){.vector = v, .origin = EG_SHARD_NULL};
    eg_vector_range(v, &out->lo, &out->hi);
    bool is_first = true;
    for (int col = 0; col < EG_N_COLUMNS; col++) {
        const eg_column_info *c = eg_column_about((eg_column)col);
        if (c->vector != v || c->kind == EG_KIND_EST)
            continue;
        if (is_first)
            out->kind = c->kind; /* the others are names of the same number */
        is_first = false;
        int64_t at = find_column(f, c->name);
        if (at < 0)
            continue;
        const eg_pq_column *about = eg_pq_file_column(f, (uint32_t)at);
        bool is_number_as_text = out->kind == EG_KIND_TEXT && about->type != EG_PQ_BYTE_ARRAY;
        if (form_of(about, out->kind, &out->form) && (!is_number_as_text || v == EG_VEC_EXPORTER)) {
            out->origin = EG_SHARD_READ;
            out->column = (uint32_t)at;
            out->about = about;
            return EG_OK;
        }
        if (unusable == NULL)
            unusable = about;
    }
    if (unusable != NULL)
        return fail_type(f, unusable, out->kind, err);
    if (v == EG_VEC_TIME_FLAG)
        out->origin = EG_SHARD_ZERO;
    else if (v == EG_VEC_FILE)
        out->origin = EG_SHARD_PATH;
    return EG_OK;
}

#define TIMES                                                                                      \
    (EG_VECTOR_BIT(EG_VEC_START_MS) | EG_VECTOR_BIT(EG_VEC_END_MS) |                               \
     EG_VECTOR_BIT(EG_VEC_DURATION_MS))

eg_status eg_shard_bind(const eg_pq_file *f, eg_vector_set vectors, eg_shard_column *columns,
                        eg_vector_set *reads, eg_err *err) {
    static const eg_vector times[3] = {EG_VEC_START_MS, EG_VEC_END_MS, EG_VEC_DURATION_MS};
    *reads = 0;
    for (int v = 0; v < EG_N_VECTORS; v++) {
        if ((vectors & EG_VECTOR_BIT(v)) == 0)
            continue;
        eg_status rc = bind_vector(f, (eg_vector)v, &columns[v], err);
        if (rc != EG_OK)
            return rc;
        if (columns[v].origin == EG_SHARD_READ)
            *reads |= EG_VECTOR_BIT(v);
    }
    for (int i = 0; i < 3; i++) {
        if ((vectors & EG_VECTOR_BIT(times[i])) == 0 || columns[times[i]].origin != EG_SHARD_NULL)
            continue;
        eg_shard_column other[2];
        for (int k = 0; k < 2; k++) {
            eg_status rc = bind_vector(f, times[(i + 1 + k) % 3], &other[k], err);
            if (rc != EG_OK)
                return rc;
        }
        if (other[0].origin == EG_SHARD_READ && other[1].origin == EG_SHARD_READ) {
            columns[times[i]].origin = EG_SHARD_DERIVED;
            columns[other[0].vector] = other[0];
            columns[other[1].vector] = other[1];
            *reads |= TIMES & ~EG_VECTOR_BIT(times[i]);
        }
    }
    for (int v = 0; v < EG_N_VECTORS; v++)
        if (((vectors | *reads) & EG_VECTOR_BIT(v)) != 0 && columns[v].kind == EG_KIND_TEXT) {
            columns[v].lo = 0;
            columns[v].hi = UINT32_MAX;
        }
    return EG_OK;
}

/* ---- one value ---------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static bool whole_number(double d, int64_t *out) {
    if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0))
        return false;
    *out = (int64_t)d;
    return (double)*out == d;
}

static bool decimal_number(eg_pq_bytes b, int64_t *out) {
    uint64_t n = b.n_bytes > 0 && b.data[0] >= 0x80 ? UINT64_MAX : 0, fill = n & 0xff;
    for (uint32_t i = 0; i < b.n_bytes; i++) {
        if (i + 8 < b.n_bytes && b.data[i] != fill)
            return false;
        n = n << 8 | b.data[i];
    }
    *out = (int64_t)n;
    return b.n_bytes <= 8 || (n >> 63 != 0) == (fill != 0);
}

static int64_t int96_ms(const uint8_t *p) {
    /* Nanoseconds of the day, then its Julian day number. */
    int64_t nanos = (int64_t)eg_le64(p), day = (int32_t)eg_le32(p + 8);
    return (day - JULIAN_1970) * DAY_MS + floor_div(nanos, 1000000);
}

bool eg_shard_number(const eg_shard_column *c, const void *values, size_t i, int64_t *out) {
    eg_pq_bytes text;
    uint32_t addr;
    uint8_t proto;
    switch (c->form) {
    case EG_SHARD_I32:
        *out = ((const int32_t *)values)[i];
        break;
    case EG_SHARD_U32:
        *out = (uint32_t)((const int32_t *)values)[i];
        break;
    case EG_SHARD_I64:
    case EG_SHARD_U64:
        *out = ((const int64_t *)values)[i];
        if (c->form == EG_SHARD_U64 && *out < 0)
            return false;
        break;
    case EG_SHARD_TRUTH:
        *out = ((const uint8_t *)values)[i];
        break;
    case EG_SHARD_FLOAT:
        if (!whole_number((double)((const float *)values)[i], out))
            return false;
        break;
    case EG_SHARD_DOUBLE:
        if (!whole_number(((const double *)values)[i], out))
            return false;
        break;
    case EG_SHARD_DECIMAL:
        if (!decimal_number(((const eg_pq_bytes *)values)[i], out))
            return false;
        break;
    case EG_SHARD_MICROS:
        *out = floor_div(((const int64_t *)values)[i], 1000);
        break;
    case EG_SHARD_NANOS:
        *out = floor_div(((const int64_t *)values)[i], 1000000);
        break;
    case EG_SHARD_INT96:
        *out = int96_ms(((const eg_pq_bytes *)values)[i].data);
        break;
    case EG_SHARD_IP4_TEXT:
        text = ((const eg_pq_bytes *)values)[i];
        if (!eg_ip4_parse((const char *)text.data, text.n_bytes, &addr))
            return false;
        *out = addr;
        return true;
    case EG_SHARD_PROTO_TEXT:
        text = ((const eg_pq_bytes *)values)[i];
        if (!eg_proto_parse((const char *)text.data, text.n_bytes, &proto))
            return false;
        *out = proto;
        return true;
    case EG_SHARD_TEXT:
        return false;
    }
    return *out >= c->lo && *out <= c->hi;
}

bool eg_shard_bound_number(const eg_shard_column *c, eg_pq_bytes plain, int64_t *out) {
    union {
        uint8_t truth;
        int32_t i32;
        int64_t i64;
        eg_pq_bytes bytes;
    } value;
    switch (c->form) {
    case EG_SHARD_TRUTH:
        value.truth = plain.data[0] & 1;
        break;
    case EG_SHARD_I32:
    case EG_SHARD_U32:
        value.i32 = (int32_t)eg_le32(plain.data);
        break;
    case EG_SHARD_I64:
    case EG_SHARD_U64:
    case EG_SHARD_MICROS:
    case EG_SHARD_NANOS:
        value.i64 = (int64_t)eg_le64(plain.data);
        break;
    case EG_SHARD_DECIMAL:
        /* Of other bytes the order of bounds is not the numbers'. */
        if (c->about->type != EG_PQ_FIXED)
            return false;
        value.bytes = plain;
        break;
    default:
        return false;
    }
    return eg_shard_number(c, &value, 0, out);
}

/* ---- texts -------------------------------------------------------------- */

eg_status eg_shard_texts_add(eg_shard_texts *t, const char *text, size_t n_bytes, uint32_t *code,
                             eg_err *err) {
    pthread_mutex_lock(&t->lock);
    eg_status rc = eg_intern_add(t->intern, n_bytes > 0 ? text : "", n_bytes, code, err);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

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
        out[i] = floor_div(in[i], by);
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

static void store(void *numbers, size_t width, size_t i, int64_t n) {
    switch (width) {
    case 1:
        ((uint8_t *)numbers)[i] = (uint8_t)n;
        break;
    case 2:
        ((uint16_t *)numbers)[i] = (uint16_t)n;
        break;
    case 4:
        ((uint32_t *)numbers)[i] = (uint32_t)n;
        break;
    default:
        ((int64_t *)numbers)[i] = n;
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

/* Makes sure of room, with some to spare; old contents are lost. */
static eg_status reserve(void **block, size_t *capacity, size_t need, eg_err *err) {
    if (need <= *capacity)
        return EG_OK;
    need += need / 8;
    free(*block);
    *capacity = 0;
    *block = malloc(need);
    if (*block == NULL)
        return eg_fail_nomem(err, "a translated dictionary");
    *capacity = need;
    return EG_OK;
}

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
    eg_status rc = reserve(&m->room, &m->capacity_bytes, (n + 1) * width, err);
    if (rc != EG_OK)
        return rc;
    m->numbers = m->room;
    store(m->room, width, n, 0);
    if (k != NULL && k(d->values.any, d->n_entries, m->room))
        return EG_OK;
    for (size_t i = 0; i < n; i++) {
        int64_t number = 0;
        rc = translate(c, d->values.any, i, texts, &number, err);
        if (rc == EG_CORRUPT) {
            void *wrong = m->wrong;
            rc = m->n_wrong > 0 ? EG_OK : reserve(&wrong, &m->wrong_capacity, n, err);
            m->wrong = wrong;
            if (rc != EG_OK)
                return rc;
            if (m->n_wrong++ == 0)
                memset(m->wrong, 0, n);
            m->wrong[i] = 1;
            number = 0;
        } else if (rc != EG_OK) {
            return rc;
        }
        store(m->room, width, i, number);
    }
    return EG_OK;
}

bool eg_shard_column_takes_keys(const eg_shard_column *c, int64_t *lo, int64_t *hi) {
    *lo = c->form == EG_SHARD_IP4_TEXT ? 0 : c->lo;
    *hi = c->form == EG_SHARD_IP4_TEXT ? UINT32_MAX : c->hi;
    return c->form == EG_SHARD_IP4_TEXT
               ? c->kind == EG_KIND_IP4
               : c->kind == EG_KIND_INT && (c->form == EG_SHARD_I32 || c->form == EG_SHARD_U32 ||
                                            c->form == EG_SHARD_I64 || c->form == EG_SHARD_U64);
}

eg_status eg_shard_map_fill_keys(eg_shard_map *m, const eg_shard_column *c, const eg_shard_keys *k,
                                 eg_err *err) {
    size_t width = eg_vector_width(c->vector), n = k->n_entries;
    m->n_wrong = 0;
    m->is_narrow = false;
    eg_status rc = reserve(&m->room, &m->capacity_bytes, (n + 1) * width, err);
    if (rc != EG_OK)
        return rc;
    m->numbers = m->room;
    store(m->room, width, n, 0);
    for (size_t i = 0; i < n && c->form != EG_SHARD_IP4_TEXT; i++)
        store(m->room, width, i, k->first + k->all[i]);
    for (size_t i = 0; i < n && c->form == EG_SHARD_IP4_TEXT; i++)
        ((uint32_t *)m->room)[i] = eg_ip4_of_text_key((uint32_t)k->first + k->all[i]);
    return EG_OK;
}

void eg_shard_map_narrow(eg_shard_map *m, const eg_shard_column *c, uint32_t n_entries) {
    uint8_t *numbers = m->room;
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
    free(m->room);
    free(m->wrong);
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
            store(out, width, i, 0);
    for (uint32_t i = 0; s->map->n_wrong > 0 && i < v->n_rows; i++)
        if ((v->valid == NULL || v->valid[i]) && s->map->wrong[codes[i]])
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
            store(out, width, i, 0);
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
        store(out, width, i, number);
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
            store(out, width, i, 0);
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
            store(out, width, i, 0);
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
        store(out, width, i, number);
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
