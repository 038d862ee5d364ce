#include "parquet/shard_column.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "flow/address_order.h"
#include "parquet/pq_encoding.h"

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
    return (day - JULIAN_1970) * DAY_MS + eg_floor_divide(nanos, 1000000);
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
        *out = eg_floor_divide(((const int64_t *)values)[i], 1000);
        break;
    case EG_SHARD_NANOS:
        *out = eg_floor_divide(((const int64_t *)values)[i], 1000000);
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

bool eg_shard_column_takes_keys(const eg_shard_column *c, int64_t *lo, int64_t *hi) {
    *lo = c->form == EG_SHARD_IP4_TEXT ? 0 : c->lo;
    *hi = c->form == EG_SHARD_IP4_TEXT ? UINT32_MAX : c->hi;
    return c->form == EG_SHARD_IP4_TEXT
               ? c->kind == EG_KIND_IP4
               : c->kind == EG_KIND_INT && (c->form == EG_SHARD_I32 || c->form == EG_SHARD_U32 ||
                                            c->form == EG_SHARD_I64 || c->form == EG_SHARD_U64);
}

/* ---- texts -------------------------------------------------------------- */

eg_status eg_shard_texts_add(eg_shard_texts *t, const char *text, size_t n_bytes, uint32_t *code,
                             eg_err *err) {
    pthread_mutex_lock(&t->lock);
    eg_status rc = eg_intern_add(t->intern, n_bytes > 0 ? text : "", n_bytes, code, err);
    pthread_mutex_unlock(&t->lock);
    return rc;
}
