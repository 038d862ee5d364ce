/* Claims of base/pool.c: every job runs once, waiting waits for it, and closing
** runs what is queued. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pool.h"

typedef struct square {
    eg_job job; /* must be first */
    int n, result, n_runs;
} square;

static void run_square(eg_job *job) {
    square *s = (square *)job;
    s->result = s->n * s->n;
    s->n_runs++;
}

static void every_job_runs_once(void **state) {
    (void)state;
    static square jobs[1000];
    eg_pool *pool;
    eg_err err;
    assert_int_equal(eg_pool_open(3, &pool, &err), EG_OK);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            jobs[i] = (square){.job.run = run_square, .n = i + round};
            eg_pool_submit(pool, &jobs[i].job);
        }
        for (int i = 999; i >= 0; i--) {
            eg_pool_wait(pool, &jobs[i].job);
            assert_int_equal(jobs[i].result, (i + round) * (i + round));
            assert_int_equal(jobs[i].n_runs, 1);
        }
    }
    eg_pool_close(pool);
}

static void closing_runs_what_is_queued(void **state) {
    (void)state;
    square jobs[50];
    eg_pool *pool;
    assert_int_equal(eg_pool_open(1, &pool, NULL), EG_OK);
    for (int i = 0; i < 50; i++) {
        jobs[i] = (square){.job.run = run_square, .n = i};
        eg_pool_submit(pool, &jobs[i].job);
    }
    eg_pool_close(pool);
    for (int i = 0; i < 50; i++)
        assert_int_equal(jobs[i].n_runs, 1);
}

static void a_pool_has_at_least_one_thread(void **state) {
    (void)state;
    square job = {.job.run = run_square, .n = 7};
    eg_pool *pool;
    assert_true(eg_pool_cores() >= 1);
    assert_int_equal(eg_pool_open(0, &pool, NULL), EG_OK);
    eg_pool_submit(pool, &job.job);
    eg_pool_wait(pool, &job.job);
    assert_int_equal(job.result, 49);
    eg_pool_close(pool);
    eg_pool_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_runs_once),
        cmocka_unit_test(closing_runs_what_is_queued),
        cmocka_unit_test(a_pool_has_at_least_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
