/*
** A merge by a tree of winners: a leaf a run, in each inner node the run whose next row comes
** first of those below; so a row costs as many comparisons as the tree has levels.
*/
#include "query/sorted_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_RUN UINT32_MAX

/* Where a run is read. */
typedef struct head {
    const uint64_t *words[EG_ROW_MAX_KEYS]; /* of the block at hand */
    const uint8_t *parts[EG_ROW_MAX_PARTS];
    uint32_t at, n;  /* next row of the block */
    uint32_t n_done; /* rows of the run before the block's end */
    void *buffer;    /* owned: a block of the file */
} head;

struct eg_sorted_rows {
    eg_row_runs runs;
    head *heads;    /* [n_runs] owned */
    uint32_t *tree; /* [2 * n_leaves] owned: root at 1, the leaves behind n_leaves */
    uint32_t n_leaves;
    eg_batch batch;                 /* owned */
    uint8_t *out[EG_ROW_MAX_PARTS]; /* the batch's arrays, as parts are */
};

eg_status eg_sorted_rows_open(const eg_row_key *keys, size_t n_keys, eg_vector_set vectors,
                              const eg_intern *texts, int64_t limit_bytes, eg_sorted_rows **out,
                              eg_err *err) {
    *out = NULL;
    eg_sorted_rows *s = calloc(1, sizeof *s);
    if (s == NULL)
        return eg_fail_nomem(err, "sorting rows");
    s->runs.fd = -1;
    eg_status rc = eg_batch_open(&s->batch, vectors, texts, err);
    if (rc == EG_OK)
        rc = eg_row_runs_open(&s->runs, keys, n_keys, vectors, limit_bytes, err);
    if (rc == EG_OK)
        *out = s;
    else
        eg_sorted_rows_close(s);
    return rc;
}

eg_status eg_sorted_rows_add(eg_sorted_rows *s, const eg_batch *b, eg_err *err) {
    return eg_row_runs_add(&s->runs, b, err);
}

/* ---- runs --------------------------------------------------------------- */

static eg_status read_block(const eg_row_runs *r, int64_t offset, void *to, size_t n_bytes,
                            eg_err *err) {
    char text[128];
    for (size_t at = 0; at < n_bytes;) {
        ssize_t n = pread(r->fd, (uint8_t *)to + at, n_bytes - at, offset + (int64_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return eg_fail(err, EG_IO, -1, "a temporary file cannot be read: %s",
                           n == 0 ? "it ends early" : strerror_r(errno, text, sizeof text));
        at += (size_t)n;
    }
    return EG_OK;
}

/* Goes to the next block of run i; its head has n = 0 behind the last one. */
static eg_status next_block(eg_sorted_rows *s, uint32_t i, eg_err *err) {
    const eg_row_runs *r = &s->runs;
    const eg_row_run *run = &r->runs[i];
    head *h = &s->heads[i];
    uint32_t n_left = run->n_rows - h->n_done, block = h->n_done / EG_BATCH_ROWS;
    h->at = 0;
    h->n = n_left < EG_BATCH_ROWS ? n_left : EG_BATCH_ROWS;
    h->n_done += h->n;
    if (h->n == 0)
        return EG_OK;
    const uint8_t *bytes = run->blocks != NULL ? run->blocks[block] : h->buffer;
    if (run->blocks == NULL) {
        size_t full = eg_row_block_bytes(r, run->n_parts, EG_BATCH_ROWS);
        if (h->buffer == NULL && (h->buffer = malloc(full)) == NULL)
            return eg_fail_nomem(err, "sorting rows");
        eg_status rc = read_block(r, run->offset + (int64_t)(full * block), h->buffer,
                                  eg_row_block_bytes(r, run->n_parts, h->n), err);
        if (rc != EG_OK)
            return rc;
        bytes = h->buffer;
    }
    for (size_t k = 0; k < r->n_keys; k++)
        h->words[k] = (const uint64_t *)(const void *)bytes + k * h->n;
    bytes += r->n_keys * h->n * sizeof(uint64_t);
    for (size_t p = 0; p < run->n_parts; p++) {
        h->parts[p] = bytes;
        bytes += (h->n * r->parts[p].width + 7) & ~(size_t)7;
    }
    return EG_OK;
}

/* ---- the tree ----------------------------------------------------------- */

/* Whether a's next row comes before b's, which is a run behind it. */
static bool comes_first(const eg_sorted_rows *s, uint32_t a, uint32_t b) {
    if (a == NO_RUN || b == NO_RUN)
        return b == NO_RUN;
    const head *x = &s->heads[a], *y = &s->heads[b];
    for (size_t k = 0; k < s->runs.n_keys; k++) {
        uint64_t v = x->words[k][x->at], w = y->words[k][y->at];
        if (v != w)
            return v < w;
    }
    return true;
}

/* Finds the winners again above a leaf. */
static void play(eg_sorted_rows *s, uint32_t leaf) {
    for (uint32_t node = leaf / 2; node > 0; node /= 2) {
        uint32_t a = s->tree[2 * node], b = s->tree[2 * node + 1];
        s->tree[node] = comes_first(s, a, b) ? a : b;
    }
}

eg_status eg_sorted_rows_finish(eg_sorted_rows *s, eg_err *err) {
    eg_status rc = eg_row_runs_finish(&s->runs, err);
    size_t n = s->runs.n_runs;
    if (rc != EG_OK || n == 0)
        return rc;
    for (s->n_leaves = 1; s->n_leaves < n;)
        s->n_leaves *= 2;
    s->heads = calloc(n, sizeof *s->heads);
    s->tree = malloc(2 * (size_t)s->n_leaves * sizeof *s->tree);
    if (s->heads == NULL || s->tree == NULL)
        return eg_fail_nomem(err, "sorting rows");
    for (uint32_t i = 0; rc == EG_OK && i < n; i++)
        rc = next_block(s, i, err);
    for (uint32_t i = 0; i < s->n_leaves; i++)
        s->tree[s->n_leaves + i] = i < n ? i : NO_RUN;
    for (uint32_t node = s->n_leaves - 1; rc == EG_OK && node > 0; node--) {
        uint32_t a = s->tree[2 * node], b = s->tree[2 * node + 1];
        s->tree[node] = comes_first(s, a, b) ? a : b;
    }
    return rc;
}

/* ---- rows --------------------------------------------------------------- */

/* The array that a part of rows goes to: of a vector, of numbers, of nulls. */
static void *target_of(const eg_batch *b, eg_vector v) {
    if (v == EG_N_VECTORS)
        return b->numbers;
    return v < EG_N_VECTORS ? eg_batch_array(b, v) : b->nulls;
}

static void copy_row(eg_sorted_rows *s, const head *h, uint32_t to) {
    for (size_t p = 0; p < s->runs.n_parts; p++) {
        const uint8_t *from = h->parts[p];
        uint8_t *out = s->out[p];
        switch (from != NULL ? s->runs.parts[p].width : 0) {
        case 1:
            out[to] = from[h->at];
            break;
        case 2:
            memcpy(out + 2 * (size_t)to, from + 2 * (size_t)h->at, 2);
            break;
        case 4:
            memcpy(out + 4 * (size_t)to, from + 4 * (size_t)h->at, 4);
            break;
        case 8:
            memcpy(out + 8 * (size_t)to, from + 8 * (size_t)h->at, 8);
            break;
        default: /* a run from before the first NULL: the bits are zeroed */
            break;
        }
    }
}

eg_status eg_sorted_rows_next(eg_sorted_rows *s, const eg_batch **out, eg_err *err) {
    eg_batch *b = &s->batch;
    eg_status rc = EG_OK;
    *out = NULL;
    b->n_rows = b->n_sel = 0;
    b->nulls = NULL;
    if (s->tree == NULL)
        return EG_DONE;
    if ((rc = eg_batch_need_numbers(b, err)) == EG_OK && s->runs.has_nulls)
        rc = eg_batch_need_nulls(b, err);
    for (size_t p = 0; p < s->runs.n_parts; p++)
        s->out[p] = target_of(b, s->runs.parts[p].vector);
    while (rc == EG_OK && b->n_rows < EG_BATCH_ROWS) {
        uint32_t run = s->tree[1];
        if (run == NO_RUN)
            break;
        head *h = &s->heads[run];
        copy_row(s, h, b->n_rows++);
        if (++h->at == h->n)
            rc = next_block(s, run, err);
        if (h->n == 0)
            s->tree[s->n_leaves + run] = NO_RUN;
        if (s->n_leaves > 1)
            play(s, s->n_leaves + run);
    }
    if (rc != EG_OK || b->n_rows == 0)
        return rc == EG_OK ? EG_DONE : rc;
    eg_batch_select_all(b);
    *out = b;
    return EG_OK;
}

int64_t eg_sorted_rows_spilled(const eg_sorted_rows *s) {
    return s->runs.file_bytes;
}

void eg_sorted_rows_close(eg_sorted_rows *s) {
    if (s == NULL)
        return;
    for (size_t i = 0; s->heads != NULL && i < s->runs.n_runs; i++)
        free(s->heads[i].buffer);
    free(s->heads);
    free(s->tree);
    eg_row_runs_close(&s->runs);
    eg_batch_close(&s->batch);
    free(s);
}
