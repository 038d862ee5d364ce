/*
** Two buffers can be under way: while the columns of one are encoded, the next one is put
** in order, and while one is written, the next one is encoded. So no worker waits for the
** host's thread, which has little to do.
**
** The job that orders the rows queues the columns' jobs itself where there is one row
** group, as nearly always. The groups of a buffer of several days are encoded one after
** the other when they are handed over, as the encoded columns of many would be too much to
** keep.
*/
#include "dataset/group_encode.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct batch_state;

typedef struct column_job {
    eg_job job; /* must be first */
    struct batch_state *of;
    eg_column column;
    eg_pq_chunk_data data;
    eg_status status;
    eg_err err;
} column_job;

/* A buffer that is being encoded. */
typedef struct batch_state {
    eg_job job; /* must be first: puts the rows in order */
    eg_group_encoder *encoder;
    const eg_rows *rows; /* NULL: nothing is under way */
    eg_code_texts texts;
    eg_row_order order;
    const eg_row_group *group; /* whose columns are being encoded */
    column_job columns[EG_N_COLUMNS];
    eg_status status; /* of ordering */
    eg_err err;
} batch_state;

struct eg_group_encoder {
    eg_pool *pool;
    eg_encode_options options;
    pthread_mutex_t lock;
    eg_encoder **idle; /* [n_idle], as many as threads when nothing runs */
    int n_idle;
    uint32_t n_columns;
    batch_state states[2];
    unsigned next; /* state of the next buffer; the other one is before it */
};

static void run_column(eg_job *job) {
    column_job *c = (column_job *)job;
    batch_state *s = c->of;
    eg_group_encoder *e = s->encoder;
    pthread_mutex_lock(&e->lock);
    eg_encoder *encoder = e->idle[--e->n_idle]; /* never more jobs than threads */
    pthread_mutex_unlock(&e->lock);
    c->status = eg_encode_column(encoder, s->rows, &s->order, s->group, c->column, s->texts,
                                 &e->options, &c->data, &c->err);
    pthread_mutex_lock(&e->lock);
    e->idle[e->n_idle++] = encoder;
    pthread_mutex_unlock(&e->lock);
}

static void submit_group(batch_state *s, const eg_row_group *group) {
    s->group = group;
    for (uint32_t i = 0; i < s->encoder->n_columns; i++)
        eg_pool_submit(s->encoder->pool, &s->columns[i].job);
}

static void run_order(eg_job *job) {
    batch_state *s = (batch_state *)job;
    s->status = eg_row_order_make(&s->order, s->rows, &s->encoder->options.layout, &s->err);
    if (s->status == EG_OK && s->order.n_groups == 1)
        submit_group(s, &s->order.groups[0]);
}

static void init_state(batch_state *s, eg_group_encoder *e, const eg_column *columns) {
    s->job.run = run_order;
    s->encoder = e;
    for (uint32_t i = 0; i < e->n_columns; i++) {
        s->columns[i].job.run = run_column;
        s->columns[i].of = s;
        s->columns[i].column = columns[i];
    }
}

eg_status eg_group_encoder_open(int n_threads, const eg_encode_options *options,
                                eg_group_encoder **out, eg_err *err) {
    *out = NULL;
    eg_group_encoder *e = calloc(1, sizeof *e);
    if (e == NULL)
        return eg_fail_nomem(err, "an encoder");
    pthread_mutex_init(&e->lock, NULL);
    e->options = *options;
    eg_column columns[EG_N_COLUMNS];
    n_threads = n_threads < 1 ? 1 : n_threads;
    e->n_columns = eg_stored_columns(columns);
    init_state(&e->states[0], e, columns);
    init_state(&e->states[1], e, columns);
    e->idle = calloc((size_t)n_threads, sizeof *e->idle);
    eg_status rc = e->idle != NULL ? EG_OK : eg_fail_nomem(err, "an encoder");
    for (int i = 0; i < n_threads && rc == EG_OK; i++)
        if ((rc = eg_encoder_open(&e->idle[i], err)) == EG_OK)
            e->n_idle++;
    if (rc == EG_OK)
        rc = eg_pool_open(n_threads, &e->pool, err);
    if (rc != EG_OK) {
        eg_group_encoder_close(e);
        return rc;
    }
    *out = e;
    return EG_OK;
}

/* Waits for a group's columns; the first failure counts. */
static eg_status wait_group(batch_state *s, eg_err *err) {
    eg_status rc = EG_OK;
    for (uint32_t i = 0; i < s->encoder->n_columns; i++) {
        column_job *c = &s->columns[i];
        eg_pool_wait(s->encoder->pool, &c->job);
        if (c->status != EG_OK && rc == EG_OK) {
            rc = c->status;
            if (err != NULL)
                *err = c->err;
        }
    }
    return rc;
}

/* Waits for a buffer and hands it over; with no sink, only waits. */
static eg_status finish(batch_state *s, const eg_group_sink *sink, eg_err *err) {
    if (s->rows == NULL)
        return EG_OK;
    eg_pool_wait(s->encoder->pool, &s->job);
    eg_status rc = s->status;
    if (rc != EG_OK && err != NULL)
        *err = s->err;
    const eg_pq_chunk_data *chunks[EG_N_COLUMNS];
    for (uint32_t i = 0; i < s->encoder->n_columns; i++)
        chunks[i] = &s->columns[i].data;
    uint32_t n_groups = s->order.n_groups;
    for (uint32_t g = 0; rc == EG_OK && g < n_groups && (sink != NULL || n_groups == 1); g++) {
        const eg_row_group *group = &s->order.groups[g];
        if (n_groups > 1)
            submit_group(s, group);
        rc = wait_group(s, err);
        if (rc == EG_OK && sink != NULL)
            rc = sink->take(sink->arg, group, chunks, err);
    }
    s->rows = NULL;
    return rc;
}

eg_status eg_group_encoder_push(eg_group_encoder *e, const eg_rows *rows, eg_code_texts texts,
                                eg_group_sink sink, eg_err *err) {
    batch_state *s = &e->states[e->next];
    if (rows != NULL) {
        s->rows = rows;
        s->texts = texts;
        eg_pool_submit(e->pool, &s->job);
    }
    e->next ^= 1;
    eg_status rc = finish(&e->states[e->next], &sink, err);
    if (rc != EG_OK)
        eg_group_encoder_drop(e);
    return rc;
}

void eg_group_encoder_drop(eg_group_encoder *e) {
    (void)finish(&e->states[0], NULL, NULL);
    (void)finish(&e->states[1], NULL, NULL);
}

void eg_group_encoder_close(eg_group_encoder *e) {
    if (e == NULL)
        return;
    if (e->pool != NULL)
        eg_group_encoder_drop(e);
    eg_pool_close(e->pool);
    for (int i = 0; i < e->n_idle; i++)
        eg_encoder_close(e->idle[i]);
    free(e->idle);
    for (int i = 0; i < 2; i++) {
        for (uint32_t c = 0; c < EG_N_COLUMNS; c++)
            eg_pq_chunk_free(&e->states[i].columns[c].data);
        eg_row_order_close(&e->states[i].order);
    }
    pthread_mutex_destroy(&e->lock);
    free(e);
}
