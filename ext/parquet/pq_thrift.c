#include "parquet/pq_thrift.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define VARINT_BYTES 10 /* most that a number of 64 bits takes */

void eg_pq_thrift_init(eg_pq_thrift *r, const uint8_t *data, size_t n_bytes, const char *file,
                       const char *what, int64_t base_off, eg_err *err) {
    *r = (eg_pq_thrift){.data = data,
                        .n_bytes = n_bytes,
                        .file = file,
                        .what = what,
                        .base_off = base_off,
                        .err = err};
}

eg_status eg_pq_thrift_fail(eg_pq_thrift *r, eg_status code, const char *fmt, ...) {
    if (r->status != EG_OK)
        return r->status;
    char reason[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    r->status = code;
    int64_t offset = r->base_off + (int64_t)r->pos;
    return eg_fail(r->err, code, offset, "%s: %s damaged at byte %lld: %s", r->file, r->what,
                   (long long)offset, reason);
}

static bool need(eg_pq_thrift *r, size_t n) {
    if (r->status != EG_OK)
        return false;
    if (n <= r->n_bytes - r->pos)
        return true;
    r->is_cut = true;
    eg_pq_thrift_fail(r, EG_CORRUPT, "it ends inside a value (%zu bytes left, %zu needed)",
                      r->n_bytes - r->pos, n);
    return false;
}

static uint8_t take_byte(eg_pq_thrift *r) {
    return need(r, 1) ? r->data[r->pos++] : 0;
}

/* A varint at p, of which VARINT_BYTES can be looked at. NULL where it is longer than 63 bits,
** else what is behind it. */
static const uint8_t *short_varint(const uint8_t *p, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (*p++ < 0x80) {
            *out = v;
            return p;
        }
    }
    return NULL;
}

static uint64_t take_varint(eg_pq_thrift *r) {
    uint64_t v = 0;
    if (r->status == EG_OK && r->n_bytes - r->pos >= VARINT_BYTES) {
        const uint8_t *end = short_varint(r->data + r->pos, &v);
        if (end != NULL) {
            r->pos = (size_t)(end - r->data);
            return v;
        }
    }
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = take_byte(r);
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0)
            return v;
    }
    eg_pq_thrift_fail(r, EG_CORRUPT, "a number is longer than 64 bits");
    return 0;
}

static int64_t take_int(eg_pq_thrift *r, int64_t lo, int64_t hi) {
    int64_t v = eg_pq_unzigzag(take_varint(r));
    if (v >= lo && v <= hi)
        return v;
    eg_pq_thrift_fail(r, EG_CORRUPT, "number %lld, expected %lld to %lld", (long long)v,
                      (long long)lo, (long long)hi);
    return 0;
}

static bool is_wire(eg_pq_thrift *r, eg_pq_wire found, eg_pq_wire expected) {
    if (r->status != EG_OK)
        return false;
    if (found == expected)
        return true;
    eg_pq_thrift_fail(r, EG_CORRUPT, "thrift type %d, expected %d", (int)found, (int)expected);
    return false;
}

bool eg_pq_thrift_enter(eg_pq_thrift *r) {
    if (r->status != EG_OK)
        return false;
    if (r->depth >= EG_PQ_THRIFT_DEPTH) {
        eg_pq_thrift_fail(r, EG_CORRUPT, "nested deeper than %d", EG_PQ_THRIFT_DEPTH);
        return false;
    }
    r->depth++;
    return true;
}

void eg_pq_thrift_leave(eg_pq_thrift *r) {
    if (r->depth > 0)
        r->depth--;
}

eg_pq_wire eg_pq_thrift_next(eg_pq_thrift *r, int16_t *id) {
    uint8_t head = take_byte(r);
    if (r->status != EG_OK || (head & 0x0f) == EG_PQ_WIRE_STOP) {
        if (head != 0)
            eg_pq_thrift_fail(r, EG_CORRUPT, "field header 0x%02x", head);
        return EG_PQ_WIRE_STOP;
    }
    if (head >> 4 != 0) {
        if (*id > INT16_MAX - 15) {
            eg_pq_thrift_fail(r, EG_CORRUPT, "field number above %d", INT16_MAX);
            return EG_PQ_WIRE_STOP;
        }
        *id = (int16_t)(*id + (head >> 4));
    } else {
        *id = (int16_t)take_int(r, INT16_MIN, INT16_MAX);
    }
    if ((head & 0x0f) > EG_PQ_WIRE_UUID)
        eg_pq_thrift_fail(r, EG_CORRUPT, "thrift type %d does not exist", head & 0x0f);
    return r->status == EG_OK ? (eg_pq_wire)(head & 0x0f) : EG_PQ_WIRE_STOP;
}

eg_pq_wire eg_pq_thrift_field(eg_pq_thrift *r, int16_t *id, const uint8_t *types, size_t n_types) {
    eg_pq_wire wire;
    while ((wire = eg_pq_thrift_next(r, id)) != EG_PQ_WIRE_STOP) {
        eg_pq_wire kind = wire == EG_PQ_WIRE_FALSE ? EG_PQ_WIRE_TRUE : wire;
        if (*id >= 0 && (size_t)*id < n_types && types[*id] == kind)
            return wire;
        eg_pq_thrift_skip(r, wire);
    }
    return wire;
}

bool eg_pq_thrift_ints(eg_pq_thrift *r, const uint8_t *heads, size_t n, int64_t *out) {
    size_t most = n * (1 + VARINT_BYTES) + 1;
    if (r->status != EG_OK || r->n_bytes - r->pos < most)
        return false;
    const uint8_t *p = r->data + r->pos;
    for (size_t i = 0; i < n; i++) {
        uint64_t v;
        if (*p != heads[i] || (p = short_varint(p + 1, &v)) == NULL)
            return false;
        out[i] = eg_pq_unzigzag(v);
    }
    if (*p != EG_PQ_WIRE_STOP)
        return false;
    r->pos = (size_t)(p + 1 - r->data);
    return true;
}

bool eg_pq_thrift_bool(eg_pq_thrift *r, eg_pq_wire wire) {
    if (wire != EG_PQ_WIRE_TRUE)
        is_wire(r, wire, EG_PQ_WIRE_FALSE);
    return wire == EG_PQ_WIRE_TRUE;
}

int8_t eg_pq_thrift_i8(eg_pq_thrift *r, eg_pq_wire wire) {
    if (!is_wire(r, wire, EG_PQ_WIRE_I8))
        return 0;
    uint8_t b = take_byte(r);
    return (int8_t)(b < 128 ? b : b - 256);
}

int16_t eg_pq_thrift_i16(eg_pq_thrift *r, eg_pq_wire wire) {
    return is_wire(r, wire, EG_PQ_WIRE_I16) ? (int16_t)take_int(r, INT16_MIN, INT16_MAX) : 0;
}

int32_t eg_pq_thrift_i32(eg_pq_thrift *r, eg_pq_wire wire) {
    return is_wire(r, wire, EG_PQ_WIRE_I32) ? (int32_t)take_int(r, INT32_MIN, INT32_MAX) : 0;
}

int64_t eg_pq_thrift_i64(eg_pq_thrift *r, eg_pq_wire wire) {
    return is_wire(r, wire, EG_PQ_WIRE_I64) ? take_int(r, INT64_MIN, INT64_MAX) : 0;
}

eg_pq_bytes eg_pq_thrift_binary(eg_pq_thrift *r, eg_pq_wire wire) {
    eg_pq_bytes none = {NULL, 0};
    if (!is_wire(r, wire, EG_PQ_WIRE_BINARY))
        return none;
    uint64_t n = take_varint(r);
    if (n > UINT32_MAX) {
        eg_pq_thrift_fail(r, EG_CORRUPT, "a text of %llu bytes", (unsigned long long)n);
        return none;
    }
    if (!need(r, (size_t)n))
        return none;
    eg_pq_bytes v = {r->data + r->pos, (uint32_t)n};
    r->pos += (size_t)n;
    return v;
}

static uint32_t checked_count(eg_pq_thrift *r, uint64_t n, size_t least_bytes) {
    if (r->status != EG_OK)
        return 0;
    if (n > UINT32_MAX || n > (r->n_bytes - r->pos) / least_bytes) {
        r->is_cut = true;
        eg_pq_thrift_fail(r, EG_CORRUPT, "%llu elements in %zu bytes", (unsigned long long)n,
                          r->n_bytes - r->pos);
        return 0;
    }
    return (uint32_t)n;
}

/* The head of a list or set: the element type, and how many. */
static uint32_t take_list(eg_pq_thrift *r, eg_pq_wire *element) {
    uint8_t head = take_byte(r);
    *element = (eg_pq_wire)(head & 0x0f);
    if (*element == EG_PQ_WIRE_FALSE) /* both bool types stand for bool here */
        *element = EG_PQ_WIRE_TRUE;
    uint64_t n = head >> 4;
    if (n == 15)
        n = take_varint(r);
    return checked_count(r, n, 1);
}

uint32_t eg_pq_thrift_list(eg_pq_thrift *r, eg_pq_wire wire, eg_pq_wire element) {
    if (!is_wire(r, wire, EG_PQ_WIRE_LIST))
        return 0;
    eg_pq_wire found;
    uint32_t n = take_list(r, &found);
    return n > 0 && is_wire(r, found, element) ? n : 0;
}

bool eg_pq_thrift_list_bool(eg_pq_thrift *r) {
    return take_byte(r) == EG_PQ_WIRE_TRUE; /* false is 2, from some writers 0 */
}

static void skip_bytes(eg_pq_thrift *r, size_t n) {
    if (need(r, n))
        r->pos += n;
}

static void skip_element(eg_pq_thrift *r, eg_pq_wire wire) {
    if (wire == EG_PQ_WIRE_TRUE || wire == EG_PQ_WIRE_FALSE)
        skip_bytes(r, 1); /* in containers a bool has a byte of its own */
    else
        eg_pq_thrift_skip(r, wire);
}

void eg_pq_thrift_skip(eg_pq_thrift *r, eg_pq_wire wire) {
    eg_pq_wire key, value;
    int16_t id = 0;
    uint32_t n;
    switch (wire) {
    case EG_PQ_WIRE_TRUE:
    case EG_PQ_WIRE_FALSE:
        return;
    case EG_PQ_WIRE_I8:
        skip_bytes(r, 1);
        return;
    case EG_PQ_WIRE_I16:
    case EG_PQ_WIRE_I32:
    case EG_PQ_WIRE_I64:
        take_varint(r);
        return;
    case EG_PQ_WIRE_DOUBLE:
        skip_bytes(r, 8);
        return;
    case EG_PQ_WIRE_UUID:
        skip_bytes(r, 16);
        return;
    case EG_PQ_WIRE_BINARY:
        eg_pq_thrift_binary(r, wire);
        return;
    case EG_PQ_WIRE_LIST:
    case EG_PQ_WIRE_SET:
        if (!eg_pq_thrift_enter(r))
            return;
        n = take_list(r, &value);
        for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
            skip_element(r, value);
        eg_pq_thrift_leave(r);
        return;
    case EG_PQ_WIRE_MAP:
        if (!eg_pq_thrift_enter(r))
            return;
        n = checked_count(r, take_varint(r), 2);
        if (n > 0) {
            uint8_t types = take_byte(r);
            key = (eg_pq_wire)(types >> 4);
            value = (eg_pq_wire)(types & 0x0f);
            for (uint32_t i = 0; i < n && r->status == EG_OK; i++) {
                skip_element(r, key);
                skip_element(r, value);
            }
        }
        eg_pq_thrift_leave(r);
        return;
    case EG_PQ_WIRE_STRUCT:
        if (!eg_pq_thrift_enter(r))
            return;
        while ((wire = eg_pq_thrift_next(r, &id)) != EG_PQ_WIRE_STOP)
            eg_pq_thrift_skip(r, wire);
        eg_pq_thrift_leave(r);
        return;
    case EG_PQ_WIRE_STOP:
        break;
    }
    eg_pq_thrift_fail(r, EG_CORRUPT, "thrift type %d does not exist", (int)wire);
}

/* ---- Writing */

void eg_pq_thrift_writer_init(eg_pq_thrift_writer *w, eg_pq_buffer *out) {
    memset(w, 0, sizeof *w);
    w->out = out;
}

void eg_pq_thrift_begin(eg_pq_thrift_writer *w) {
    /* The depth is the encoder's own: Parquet's structs nest 6 deep. */
    if (w->depth < EG_PQ_THRIFT_DEPTH)
        w->last[w->depth] = 0;
    w->depth++;
}

void eg_pq_thrift_end(eg_pq_thrift_writer *w) {
    w->depth--;
    eg_pq_buffer_put_byte(w->out, EG_PQ_WIRE_STOP);
}

static void put_field(eg_pq_thrift_writer *w, int16_t id, eg_pq_wire wire) {
    int16_t *last = &w->last[w->depth - 1];
    int delta = id - *last;
    if (delta >= 1 && delta <= 15) {
        eg_pq_buffer_put_byte(w->out, (uint8_t)(delta << 4 | (int)wire));
    } else {
        eg_pq_buffer_put_byte(w->out, (uint8_t)wire);
        eg_pq_buffer_put_varint(w->out, eg_pq_zigzag(id));
    }
    *last = id;
}

void eg_pq_thrift_put_bool(eg_pq_thrift_writer *w, int16_t id, bool v) {
    put_field(w, id, v ? EG_PQ_WIRE_TRUE : EG_PQ_WIRE_FALSE);
}

void eg_pq_thrift_put_i8(eg_pq_thrift_writer *w, int16_t id, int8_t v) {
    put_field(w, id, EG_PQ_WIRE_I8);
    eg_pq_buffer_put_byte(w->out, (uint8_t)v);
}

static void put_int(eg_pq_thrift_writer *w, int16_t id, eg_pq_wire wire, int64_t v) {
    put_field(w, id, wire);
    eg_pq_buffer_put_varint(w->out, eg_pq_zigzag(v));
}

void eg_pq_thrift_put_i16(eg_pq_thrift_writer *w, int16_t id, int16_t v) {
    put_int(w, id, EG_PQ_WIRE_I16, v);
}

void eg_pq_thrift_put_i32(eg_pq_thrift_writer *w, int16_t id, int32_t v) {
    put_int(w, id, EG_PQ_WIRE_I32, v);
}

void eg_pq_thrift_put_i64(eg_pq_thrift_writer *w, int16_t id, int64_t v) {
    put_int(w, id, EG_PQ_WIRE_I64, v);
}

void eg_pq_thrift_put_binary(eg_pq_thrift_writer *w, int16_t id, eg_pq_bytes v) {
    put_field(w, id, EG_PQ_WIRE_BINARY);
    eg_pq_thrift_item_binary(w, v);
}

void eg_pq_thrift_put_struct(eg_pq_thrift_writer *w, int16_t id) {
    put_field(w, id, EG_PQ_WIRE_STRUCT);
    eg_pq_thrift_begin(w);
}

void eg_pq_thrift_put_list(eg_pq_thrift_writer *w, int16_t id, eg_pq_wire element, uint32_t n) {
    put_field(w, id, EG_PQ_WIRE_LIST);
    if (n < 15) {
        eg_pq_buffer_put_byte(w->out, (uint8_t)(n << 4 | (uint32_t)element));
    } else {
        eg_pq_buffer_put_byte(w->out, (uint8_t)(0xf0 | (uint32_t)element));
        eg_pq_buffer_put_varint(w->out, n);
    }
}

void eg_pq_thrift_item_bool(eg_pq_thrift_writer *w, bool v) {
    eg_pq_buffer_put_byte(w->out, v ? EG_PQ_WIRE_TRUE : EG_PQ_WIRE_FALSE);
}

void eg_pq_thrift_item_int(eg_pq_thrift_writer *w, int64_t v) {
    eg_pq_buffer_put_varint(w->out, eg_pq_zigzag(v));
}

void eg_pq_thrift_item_binary(eg_pq_thrift_writer *w, eg_pq_bytes v) {
    eg_pq_buffer_put_varint(w->out, v.n_bytes);
    eg_pq_buffer_put(w->out, v.data, v.n_bytes);
}
