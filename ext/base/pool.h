/*
** A pool of worker threads that run jobs in order of submission. Jobs must not
** call the host (SQLite, Lua): they work on memory that the submitter handed
** over until it has waited for them.
*/
#ifndef EG_POOL_H
#define EG_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct eg_pool eg_pool;

/* One piece of work; the submitter owns the struct and keeps it until eg_pool_wait
** returned for it. */
typedef struct eg_job {
    void (*run)(struct eg_job *job); /* called once on a worker */
    struct eg_job *next;             /* the pool's own */
    bool done;                       /* the pool's own; read through eg_pool_wait */
    int worker; /* set for run: the number of the thread, eg_pool_threads() of the one that helps */
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

/* Threads that were started. */
int eg_pool_threads(const eg_pool *pool);

/* Runs a job of the queue on the calling thread, which has to be one and the same for a pool.
** False where none is queued. */
bool eg_pool_help(eg_pool *pool);

/* Whether the job has run. */
bool eg_pool_is_done(eg_pool *pool, const eg_job *job);

/* Waits until more jobs have run since the pool was opened than *n_seen, and sets that to
** their number. Look for those that are done after it, so that none is missed. */
void eg_pool_wait_news(eg_pool *pool, uint64_t *n_seen);

/* Runs what is queued, ends the threads. NULL is allowed. */
void eg_pool_close(eg_pool *pool);

#endif
