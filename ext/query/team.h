/*
** A team: the host's thread and the workers that share a piece of work with it. Each member
** has a number, its lane, from 0; what a lane owns is used by one thread at a time.
**
** Only the host's thread asks the host whether to go on, so that it takes part in the work
** in small steps.
*/
#ifndef EG_TEAM_H
#define EG_TEAM_H

#include "base/pool.h"
#include "flow/source.h"

typedef struct eg_team {
    eg_pool *pool; /* owned; NULL: the host's thread is alone */
    int n_lanes;
} eg_team;

/* n_threads in all, the host's included; fewer where the system gives fewer. EG_NOMEM, EG_OK. */
eg_status eg_team_open(eg_team *team, int n_threads, eg_err *err);

/* One of the items of a loop, on any thread of the team. */
typedef eg_status (*eg_team_step)(void *arg, int lane, size_t item, eg_err *err);

/* Asked on the host's thread between two steps: EG_OK or EG_INTERRUPT. */
typedef eg_status (*eg_team_check)(void *arg, eg_err *err);

/* Does steps [0, n_items), in no order, each once. The first failure that is seen ends it. */
eg_status eg_team_each(eg_team *team, size_t n_items, eg_team_step step, void *arg,
                       eg_team_check check, void *check_arg, eg_err *err);

/* Harmless on a zeroed one. */
void eg_team_close(eg_team *team);

#endif
