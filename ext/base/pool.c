/* One mutex, one queue, two conditions: work there is, and some job is done. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

typedef struct seat {
    eg_pool *pool;
    pthread_t thread;
} seat;

struct eg_pool {
    pthread_mutex_t lock;
    pthread_cond_t has_work; /* a job was queued, or closing */
    pthread_cond_t has_done; /* a job was finished */
    eg_job *first, *last;    /* queue */
    uint64_t n_done;         /* jobs finished so far */
    bool closing;
    int n_threads;
    seat seats[]; /* [n_threads] */
};

/* Runs the first job of the queue, which has one. The lock is held, but not while it runs. */
static void run_first(eg_pool *pool, int number) {
    eg_job *job = pool->first;
    pool->first = job->next;
    if (pool->first == NULL)
        pool->last = NULL;
    pthread_mutex_unlock(&pool->lock);
    job->worker = number;
    job->run(job);
    pthread_mutex_lock(&pool->lock);
    job->done = true; /* from here on the job is the submitter's again */
    pool->n_done++;
    pthread_cond_broadcast(&pool->has_done);
}

static void *worker(void *arg) {
    const seat *s = arg;
    eg_pool *pool = s->pool;
    int number = (int)(s - pool->seats);
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->first == NULL && !pool->closing)
            pthread_cond_wait(&pool->has_work, &pool->lock);
        if (pool->first == NULL)
            break;
        run_first(pool, number);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

int eg_pool_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

eg_status eg_pool_open(int n_threads, eg_pool **out, eg_err *err) {
    *out = NULL;
    if (n_threads < 1)
        n_threads = 1;
    eg_pool *pool = calloc(1, sizeof *pool + (size_t)n_threads * sizeof pool->seats[0]);
    if (pool == NULL)
        return eg_fail_nomem(err, "a worker pool");
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->has_work, NULL);
    pthread_cond_init(&pool->has_done, NULL);

    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (pool->n_threads < n_threads) {
        seat *s = &pool->seats[pool->n_threads];
        s->pool = pool;
        if (pthread_create(&s->thread, NULL, worker, s) != 0)
            break;
        pool->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (pool->n_threads == 0) {
        eg_pool_close(pool);
        return eg_fail(err, EG_LIMIT, -1, "the system gives no worker thread");
    }
    *out = pool;
    return EG_OK;
}

void eg_pool_submit(eg_pool *pool, eg_job *job) {
    job->next = NULL;
    job->done = false;
    pthread_mutex_lock(&pool->lock);
    if (pool->last != NULL)
        pool->last->next = job;
    else
        pool->first = job;
    pool->last = job;
    pthread_cond_signal(&pool->has_work);
    pthread_mutex_unlock(&pool->lock);
}

void eg_pool_wait(eg_pool *pool, eg_job *job) {
    pthread_mutex_lock(&pool->lock);
    while (!job->done)
        pthread_cond_wait(&pool->has_done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

int eg_pool_threads(const eg_pool *pool) {
    return pool->n_threads;
}

bool eg_pool_help(eg_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    bool has_job = pool->first != NULL;
    if (has_job)
        run_first(pool, pool->n_threads);
    pthread_mutex_unlock(&pool->lock);
    return has_job;
}

bool eg_pool_is_done(eg_pool *pool, const eg_job *job) {
    pthread_mutex_lock(&pool->lock);
    bool done = job->done;
    pthread_mutex_unlock(&pool->lock);
    return done;
}

void eg_pool_wait_news(eg_pool *pool, uint64_t *n_seen) {
    pthread_mutex_lock(&pool->lock);
    while (pool->n_done == *n_seen)
        pthread_cond_wait(&pool->has_done, &pool->lock);
    *n_seen = pool->n_done;
    pthread_mutex_unlock(&pool->lock);
}

void eg_pool_close(eg_pool *pool) {
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->has_work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_threads; i++)
        pthread_join(pool->seats[i].thread, NULL);
    pthread_cond_destroy(&pool->has_done);
    pthread_cond_destroy(&pool->has_work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
