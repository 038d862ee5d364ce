/*
** A pool of worker threads that run jobs in order of submission. Jobs must not
** call the host (SQLite, Lua): they work on memory that the submitter handed
** over until it has waited for them.
*/
#ifndef EG_POOL_H
#define EG_POOL_H

#include <stdbool.h>

#include "base/status.h"

typedef struct eg_pool eg_pool;

/* One piece of work; the submitter owns the struct and keeps it until eg_pool_wait
** returned for it. */
typedef struct eg_job {
    void (*run)(struct eg_job *job); /* called once on a worker */
    struct eg_job *next;             /* the pool's own */
    bool done;                       /* the pool's own; read through eg_pool_wait */
} eg_job;

/* Processors this process may use, at least 1. */
int eg_pool_cores(void);

/* Starts n_threads workers (at least 1). Fewer where the system gives fewer;
** EG_LIMIT when it gives none. Signals are blocked in the workers: they are the host's. */
eg_status eg_pool_open(int n_threads, eg_pool **out, eg_err *err);

/* Queues a job. */
void eg_pool_submit(eg_pool *pool, eg_job *job);

/* Waits until the job has run. */
void eg_pool_wait(eg_pool *pool, eg_job *job);

/* Runs what is queued, ends the threads. NULL is allowed. */
void eg_pool_close(eg_pool *pool);

#endif
