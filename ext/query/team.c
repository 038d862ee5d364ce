/* A loop is one job for each worker; all take their next item from one counter. */
#include "query/team.h"

#include <stdatomic.h>
#include <stdlib.h>

eg_status eg_team_open(eg_team *team, int n_threads, eg_err *err) {
    *team = (eg_team){.n_lanes = 1};
    if (n_threads <= 1)
        return EG_OK;
    eg_status rc = eg_pool_open(n_threads - 1, &team->pool, err);
    if (rc == EG_OK)
        team->n_lanes = eg_pool_threads(team->pool) + 1;
    return rc == EG_LIMIT ? EG_OK : rc;
}

void eg_team_close(eg_team *team) {
    eg_pool_close(team->pool);
    *team = (eg_team){0};
}

typedef struct loop {
    eg_team_step step;
    void *arg;
    size_t n_items;
    atomic_size_t next;
    atomic_bool is_stopped; /* some step failed, or the host stops */
} loop;

typedef struct share {
    eg_job job; /* must be first */
    loop *of;
    eg_status rc;
    eg_err err;
} share;

/* Does the next item. EG_DONE where there is none. */
static eg_status do_next(loop *l, int lane, eg_err *err) {
    if (atomic_load(&l->is_stopped))
        return EG_DONE;
    size_t item = atomic_fetch_add(&l->next, 1);
    eg_status rc = item < l->n_items ? l->step(l->arg, lane, item, err) : EG_DONE;
    if (rc != EG_OK && rc != EG_DONE)
        atomic_store(&l->is_stopped, true);
    return rc;
}

static void run_share(eg_job *job) {
    share *s = (share *)job;
    do
        s->rc = do_next(s->of, job->worker, &s->err);
    while (s->rc == EG_OK);
}

eg_status eg_team_each(eg_team *team, size_t n_items, eg_team_step step, void *arg,
                       eg_team_check check, void *check_arg, eg_err *err) {
    loop l = {.step = step, .arg = arg, .n_items = n_items};
    int n_shares = team->n_lanes - 1;
    share *shares = calloc((size_t)n_shares + 1, sizeof *shares);
    if (shares == NULL)
        return eg_fail_nomem(err, "a loop");
    for (int i = 0; i < n_shares; i++) {
        shares[i].job.run = run_share;
        shares[i].of = &l;
        eg_pool_submit(team->pool, &shares[i].job);
    }
    eg_status rc = EG_OK;
    while (rc == EG_OK) {
        if (check != NULL)
            rc = check(check_arg, err);
        if (rc == EG_OK)
            rc = do_next(&l, team->n_lanes - 1, err);
    }
    if (rc != EG_DONE)
        atomic_store(&l.is_stopped, true);
    for (int i = 0; i < n_shares; i++) {
        eg_pool_wait(team->pool, &shares[i].job);
        if (rc == EG_DONE && shares[i].rc != EG_DONE) {
            rc = shares[i].rc;
            if (err != NULL)
                *err = shares[i].err;
        }
    }
    free(shares);
    return rc == EG_DONE ? EG_OK : rc;
}
