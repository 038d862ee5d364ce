/* Arrays of a batch, and a row's values one at a time (the kernels read arrays). */
#include "flow/batch.h"

#include <stdlib.h>
#include <string.h>

eg_status eg_batch_open(eg_batch *b, eg_vector_set vectors, const eg_intern *texts, eg_err *err) {
    memset(b, 0, sizeof *b);
    b->texts = texts;
    b->sel = malloc(EG_BATCH_ROWS * sizeof *b->sel);
    bool ok = b->sel != NULL;
#define EG_VECTOR(ID, ctype)                                                                       \
    if (ok && (vectors & EG_VECTOR_BIT(EG_VEC_##ID)) != 0)                                         \
        ok = (b->v.ID = malloc(EG_BATCH_ROWS * sizeof(ctype))) != NULL;
#include "flow/schema.def"
    if (!ok) {
        eg_batch_close(b);
        return eg_fail_nomem(err, "a batch of flows");
    }
    b->vectors = vectors;
    return EG_OK;
}

void eg_batch_close(eg_batch *b) {
#define EG_VECTOR(ID, ctype) free(b->v.ID);
#include "flow/schema.def"
    free(b->sel);
    free(b->null_room);
    free(b->number_room);
    memset(b, 0, sizeof *b);
}

eg_status eg_batch_need_nulls(eg_batch *b, eg_err *err) {
    if (b->nulls != NULL)
        return EG_OK;
    if (b->null_room == NULL)
        b->null_room = malloc(EG_BATCH_ROWS * sizeof *b->null_room);
    if (b->null_room == NULL)
        return eg_fail_nomem(err, "a batch of flows");
    memset(b->null_room, 0, EG_BATCH_ROWS * sizeof *b->null_room);
    b->nulls = b->null_room;
    return EG_OK;
}

eg_status eg_batch_need_numbers(eg_batch *b, eg_err *err) {
    if (b->number_room == NULL)
        b->number_room = malloc(EG_BATCH_ROWS * sizeof *b->number_room);
    b->numbers = b->number_room;
    return b->numbers != NULL ? EG_OK : eg_fail_nomem(err, "a batch of flows");
}

void *eg_batch_array(const eg_batch *b, eg_vector v) {
    switch (v) {
#define EG_VECTOR(ID, ctype)                                                                       \
    case EG_VEC_##ID:                                                                              \
        return b->v.ID;
#include "flow/schema.def"
    case EG_N_VECTORS:
        break;
    }
    return NULL;
}

/* By way of a value of its own, for the place may be the same. */
#define PICK(width)                                                                                \
    case width:                                                                                    \
        for (uint32_t i = 0; i < n; i++) {                                                         \
            uint8_t value[width];                                                                  \
            memcpy(value, (const uint8_t *)in + (size_t)rows[i] * (width), width);                 \
            memcpy((uint8_t *)out + (size_t)i * (width), value, width);                            \
        }                                                                                          \
        break;

void eg_pick_rows(void *out, const void *in, size_t width, const uint16_t *rows, uint32_t n) {
    switch (width) {
        PICK(1)
        PICK(2)
        PICK(4)
        PICK(8)
        PICK(16)
    }
}

static int64_t vector_number(const eg_batch *b, eg_vector v, uint32_t row) {
    switch (v) {
#define EG_VECTOR(ID, ctype)                                                                       \
    case EG_VEC_##ID:                                                                              \
        return (int64_t)b->v.ID[row];
#include "flow/schema.def"
    case EG_N_VECTORS:
        break;
    }
    return 0;
}

bool eg_batch_is_null(const eg_batch *b, eg_column col, uint32_t row) {
    const eg_column_info *c = eg_column_about(col);
    if (b->nulls != NULL && (b->nulls[row] & c->vectors) != 0)
        return true;
    return c->kind == EG_KIND_TIME && vector_number(b, c->vector, row) == EG_NO_TIME;
}

int64_t eg_batch_number(const eg_batch *b, eg_column col, uint32_t row) {
    const eg_column_info *c = eg_column_about(col);
    int64_t n = vector_number(b, c->vector, row);
    if (b->nulls != NULL && (b->nulls[row] & c->vectors) != 0)
        return c->kind == EG_KIND_EST ? 0 : n;
    if (c->kind == EG_KIND_EST && b->v.SAMPLING_INTERVAL[row] > 1) {
        /* A v5 counter has 32 bits and the interval 14; others' files may hold
        ** more, so saturate. */
        int64_t scaled;
        n = __builtin_mul_overflow(n, (int64_t)b->v.SAMPLING_INTERVAL[row], &scaled) ? INT64_MAX
                                                                                     : scaled;
    }
    return n;
}

const char *eg_batch_text(const eg_batch *b, eg_column col, uint32_t row, char *scratch,
                          size_t *n_bytes) {
    const eg_column_info *c = eg_column_about(col);
    if (eg_batch_is_null(b, col, row))
        return NULL;
    int64_t n = vector_number(b, c->vector, row);
    switch (c->kind) {
    case EG_KIND_IP4:
        *n_bytes = eg_ip4_format((uint32_t)n, scratch);
        return scratch;
    case EG_KIND_TIME:
        *n_bytes = eg_time_format(n, scratch);
        return scratch;
    case EG_KIND_PROTO:
        *n_bytes = eg_proto_format((uint8_t)n, scratch);
        return scratch;
    case EG_KIND_TEXT:
        return eg_intern_text(b->texts, (uint32_t)n, n_bytes);
    case EG_KIND_INT:
    case EG_KIND_EST:
        break;
    }
    return NULL;
}
