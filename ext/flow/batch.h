/*
** A batch: up to EG_BATCH_ROWS flow records as one array per vector. Numbers
** inside, text at the edges: addresses are host-order uint32_t, times int64_t
** milliseconds since 1970 UTC, texts codes into the scan's eg_intern.
**
** A batch is owned by whoever opened it and refilled in place; no row outlives
** the next fill.
**
** Captures have a value in every row (but for EG_NO_TIME); other sources can have
** NULLs, which `nulls` tells. A source sets b->nulls to NULL before it fills a batch.
*/
#ifndef EG_BATCH_H
#define EG_BATCH_H

#include "base/intern.h"
#include "base/status.h"
#include "flow/schema.h"

#define EG_BATCH_ROWS 4096 /* capacity; a multiple of nothing in particular, fits L2 */

typedef struct eg_batch {
    uint32_t n_rows;        /* filled rows */
    eg_vector_set vectors;  /* arrays that are allocated and filled; the others are NULL */
    const eg_intern *texts; /* of EXPORTER and FILE codes; borrowed from the scan */
    uint16_t *sel;          /* [n_sel] numbers of the rows that passed the predicate, ascending */
    uint32_t n_sel;         /* EG_BATCH_ROWS-capacity array; written by the filter */
    bool is_passed;    /* every row passes the predicate, says a source that tests rows itself */
    int64_t first_row; /* number of row 0 among all rows of the source, kept or not, from 0 */
    struct {
#define EG_VECTOR(ID, ctype) ctype *ID;
#include "flow/schema.def"
    } v;
    /* [n_rows] bit v: vector v is NULL in the row, its array has a 0 there (no code of
    ** texts). NULL pointer where no value of the batch is NULL. RECEIVED_MS has
    ** EG_NO_TIME instead. */
    eg_vector_set *nulls;
    eg_vector_set *null_room; /* private: [EG_BATCH_ROWS], what nulls points to; kept */
    /* [n_rows] a number for each row of the source, the same in every scan, where the source has
    ** such; NULL: first_row and those behind it. */
    int64_t *numbers;
    int64_t *number_room; /* private: as null_room */
} eg_batch;

/* Allocates the arrays of `vectors` (and sel). EG_NOMEM leaves an empty batch. */
eg_status eg_batch_open(eg_batch *b, eg_vector_set vectors, const eg_intern *texts, eg_err *err);

/* Makes b->nulls an array, zeroed where it was NULL. EG_NOMEM, EG_OK. */
eg_status eg_batch_need_nulls(eg_batch *b, eg_err *err);

/* Makes b->numbers an array, to be filled. EG_NOMEM, EG_OK. */
eg_status eg_batch_need_numbers(eg_batch *b, eg_err *err);

/* The array of a vector; NULL where the batch has none. */
void *eg_batch_array(const eg_batch *b, eg_vector v);

/* Element i of an array of a vector's width: 1, 2 and 4 bytes are unsigned, 8 are signed. */
static inline int64_t eg_array_number(const void *array, size_t width, size_t i) {
    switch (width) {
    case 8:
        return ((const int64_t *)array)[i];
    case 4:
        return ((const uint32_t *)array)[i];
    case 2:
        return ((const uint16_t *)array)[i];
    default:
        return ((const uint8_t *)array)[i];
    }
}

/* Writes it; what the width has no room for is lost. */
static inline void eg_array_put(void *array, size_t width, size_t i, int64_t number) {
    switch (width) {
    case 8:
        ((int64_t *)array)[i] = number;
        break;
    case 4:
        ((uint32_t *)array)[i] = (uint32_t)number;
        break;
    case 2:
        ((uint16_t *)array)[i] = (uint16_t)number;
        break;
    default:
        ((uint8_t *)array)[i] = (uint8_t)number;
    }
}

/* Writes rows[0..n) of an array of values of `width` bytes, 1, 2, 4, 8 or 16, to out; which may be
** the array itself where the rows ascend. */
void eg_pick_rows(void *out, const void *in, size_t width, const uint16_t *rows, uint32_t n);

/* The number of a row among all rows of the source. */
static inline int64_t eg_batch_row(const eg_batch *b, uint32_t row) {
    return b->numbers != NULL ? b->numbers[row] : b->first_row + row;
}

/* Selects every row. */
static inline void eg_batch_select_all(eg_batch *b) {
    for (uint32_t i = 0; i < b->n_rows; i++)
        b->sel[i] = (uint16_t)i;
    b->n_sel = b->n_rows;
}

/* Frees the arrays; the batch may be opened again. Harmless on a zeroed batch. */
void eg_batch_close(eg_batch *b);

/* Whether a column's value in a row is NULL: one of its vectors is, or its time is
** EG_NO_TIME. The column's vectors must be in the batch. */
bool eg_batch_is_null(const eg_batch *b, eg_column col, uint32_t row);

/* The number behind a column in a row: the vector's value, for EST the scaled
** counter; 0 (EG_NO_TIME for RECEIVED_MS) where it is NULL. The column's vectors must be
** in the batch. */
int64_t eg_batch_number(const eg_batch *b, eg_column col, uint32_t row);

/* The text of a text column in a row: points into scratch (at least
** EG_TEXT_MAX bytes) or into the text table. NULL where the value is NULL. */
#define EG_TEXT_MAX 64
const char *eg_batch_text(const eg_batch *b, eg_column col, uint32_t row, char *scratch,
                          size_t *n_bytes);

#endif
