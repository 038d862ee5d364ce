/* Arrays are allocated one by one: each is some megabytes, and comes zeroed. */
#include "dataset/row_buffer.h"

#include <stdlib.h>
#include <string.h>

eg_vector_set eg_rows_vectors(void) {
    eg_vector_set set = EG_VECTOR_BIT(EG_VEC_HEADER_MS);
    for (int c = 0; c < EG_N_COLUMNS; c++) {
        const eg_column_info *about = eg_column_about((eg_column)c);
        if (about->parquet[0] != '\0')
            set |= about->vectors;
    }
    return set;
}

eg_status eg_rows_open(eg_rows *r, eg_err *err) {
    memset(r, 0, sizeof *r);
    eg_vector_set set = eg_rows_vectors();
    bool ok = true;
#define EG_VECTOR(ID, ctype)                                                                       \
    if (ok && (set & EG_VECTOR_BIT(EG_VEC_##ID)) != 0)                                             \
        ok = (r->v.ID = malloc(EG_ROWS_MAX * sizeof(ctype))) != NULL;
#include "flow/schema.def"
    if (ok)
        return EG_OK;
    eg_rows_close(r);
    return eg_fail_nomem(err, "a buffer of flows");
}

void eg_rows_close(eg_rows *r) {
#define EG_VECTOR(ID, ctype) free(r->v.ID);
#include "flow/schema.def"
    memset(r, 0, sizeof *r);
}

void *eg_rows_array(const eg_rows *r, eg_vector v) {
    switch (v) {
#define EG_VECTOR(ID, ctype)                                                                       \
    case EG_VEC_##ID:                                                                              \
        return r->v.ID;
#include "flow/schema.def"
    case EG_N_VECTORS:
        break;
    }
    return NULL;
}

void eg_rows_gather(const eg_rows *r, eg_vector v, const uint32_t *rows, uint32_t n, int64_t *out) {
    switch (v) {
#define EG_VECTOR(ID, ctype)                                                                       \
    case EG_VEC_##ID:                                                                              \
        for (uint32_t i = 0; i < n; i++)                                                           \
            out[i] = (int64_t)r->v.ID[rows[i]];                                                    \
        break;
#include "flow/schema.def"
    case EG_N_VECTORS:
        break;
    }
}

bool eg_rows_is_full(const eg_rows *r) {
    return r->n_rows + EG_BATCH_ROWS > EG_ROWS_MAX;
}

void eg_rows_window(const eg_rows *r, const eg_intern *texts, eg_batch *b) {
    eg_vector_set *null_room = b->null_room;
    memset(b, 0, sizeof *b);
    b->vectors = eg_rows_vectors();
    b->texts = texts;
    b->null_room = null_room;
#define EG_VECTOR(ID, ctype)                                                                       \
    if (r->v.ID != NULL)                                                                           \
        b->v.ID = r->v.ID + r->n_rows;
#include "flow/schema.def"
}

void eg_rows_close_window(eg_batch *b) {
    free(b->null_room);
    memset(b, 0, sizeof *b);
}
