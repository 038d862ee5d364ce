/*
** Light rows: those whose group cannot be among the first, by what their addresses weigh in the
** whole source (flow/weights.h). They are passed over before they are packed.
**
** A group by source or destination address has no more of the measure than that address, so that
** it has to weigh what the last of the first groups has at least. Of a pair in both directions one
** direction has half of that, and so have its source and its destination.
*/
#ifndef EG_GROUP_LIGHT_H
#define EG_GROUP_LIGHT_H

#include "query/group.h"

typedef struct eg_group_light {
    bool by_source, by_destination; /* addresses that are keys as a whole */
    bool is_pair;                   /* both, in either direction */
    bool is_useless;                /* nothing is known, or too few rows are light */
    bool is_on;                     /* some are passed over */
    eg_weight measure;
    uint64_t *totals; /* owned: [EG_WEIGHT_BUCKETS] of sources, then of destinations */
    /* Bit 0: sources of the bucket have enough, bit 1: destinations. */
    uint8_t enough[EG_WEIGHT_BUCKETS];
} eg_group_light;

/* Ready for a grouping; is_useless where its keys are of no such kind. */
void eg_group_light_open(eg_group_light *l, const eg_group_spec *spec);

/* Asks the source for its weights, at the first call: on the host's thread. */
eg_status eg_group_light_ask(eg_group_light *l, eg_source *source, eg_err *err);

/* From here on groups need `least` of the measure. After asking, while nobody picks rows. */
void eg_group_light_set(eg_group_light *l, uint64_t least);

/* From here on no row is light. */
void eg_group_light_give_up(eg_group_light *l);

/* The selected rows of a batch that are not light: rows[0..n), n is returned. */
uint32_t eg_group_light_pick(const eg_group_light *l, const eg_batch *b, uint16_t *rows);

/* Harmless on a zeroed one. */
void eg_group_light_close(eg_group_light *l);

#endif
