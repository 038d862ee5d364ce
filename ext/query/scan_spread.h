/*
** Spreading a scan: batches that pass the predicate are taken by whichever thread of a team
** read them, in no order. For what needs no order, such as sums.
**
** Pieces are opened and closed on the host's thread, which also takes part in reading. Where
** a source's pieces are not independent (flow/source.h), or the team is the host's thread
** alone, that thread reads and takes everything.
*/
#ifndef EG_SCAN_SPREAD_H
#define EG_SCAN_SPREAD_H

#include "query/scan.h"
#include "query/team.h"

/* Who takes the batches. */
typedef struct eg_scan_taker {
    void *arg;
    /* Takes a batch with n_sel >= 1, valid during the call; on any thread, those of one lane
    ** one after the other. */
    eg_status (*take)(void *arg, int lane, const eg_batch *b, eg_err *err);
    /* Whether no more is to be taken before make_room was called; on any thread. */
    bool (*is_full)(void *arg);
    /* On the host's thread, while nobody takes anything. */
    eg_status (*make_room)(void *arg, eg_err *err);
} eg_scan_taker;

/* Reads a scan of which nothing was read to its end. EG_OK there; else the first failure in
** the order of the source, the one that a serial scan tells; EG_INTERRUPT where the host
** stops. */
eg_status eg_scan_spread(eg_scan *s, eg_team *team, const eg_scan_taker *taker, eg_err *err);

#endif
