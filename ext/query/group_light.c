/* Two bits a bucket of addresses: 16 KiB, which stay in the nearest cache. */
#include "query/group_light.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)EG_WEIGHT_BYTES == EG_MEASURE_BYTES &&
                   (int)EG_WEIGHT_PACKETS == EG_MEASURE_PACKETS &&
                   (int)EG_WEIGHT_FLOWS == EG_MEASURE_FLOWS,
               "a measure is the number of its weight");

void eg_group_light_open(eg_group_light *l, const eg_group_spec *spec) {
    *l = (eg_group_light){.measure = (eg_weight)spec->measure, .is_pair = spec->unordered_pair};
    for (size_t i = 0; i < spec->n_keys; i++) {
        bool is_whole = spec->keys[i].prefix_bits == 32;
        l->by_source |= spec->keys[i].col == EG_COL_SRCADDR && is_whole;
        l->by_destination |= spec->keys[i].col == EG_COL_DSTADDR && is_whole;
    }
    l->is_useless = !l->by_source && !l->by_destination;
}

eg_status eg_group_light_ask(eg_group_light *l, eg_source *source, eg_err *err) {
    if (l->totals != NULL || l->is_useless)
        return EG_OK;
    l->totals = calloc(2 * EG_WEIGHT_BUCKETS, sizeof *l->totals);
    if (l->totals == NULL)
        return eg_fail_nomem(err, "weights of addresses");
    eg_status rc = source->ops->weigh != NULL ? EG_OK : EG_DONE;
    if (rc == EG_OK)
        rc = source->ops->weigh(source, l->measure, l->by_source ? l->totals : NULL,
                                l->by_destination ? l->totals + EG_WEIGHT_BUCKETS : NULL, err);
    l->is_useless = rc != EG_OK;
    return rc == EG_DONE ? EG_OK : rc;
}

void eg_group_light_set(eg_group_light *l, uint64_t least) {
    const uint64_t *sources = l->totals, *destinations = l->totals + EG_WEIGHT_BUCKETS;
    uint64_t needed = l->is_pair ? least / 2 : least;
    for (size_t b = 0; b < EG_WEIGHT_BUCKETS; b++) {
        bool has_source = !l->by_source || sources[b] >= needed;
        bool has_destination = !l->by_destination || destinations[b] >= needed;
        l->enough[b] = (uint8_t)(has_source | has_destination << 1);
    }
    l->is_on = needed > 0;
}

void eg_group_light_give_up(eg_group_light *l) {
    l->is_useless = true;
    l->is_on = false;
}

static inline unsigned enough_of(const eg_group_light *l, uint32_t addr) {
    return l->enough[eg_weight_bucket(addr)];
}

/* The loop of either kind writes every row, and goes on where it is to stay. */
uint32_t eg_group_light_pick(const eg_group_light *l, const eg_batch *b, uint16_t *rows) {
    const uint32_t *sources = b->v.SRCADDR, *destinations = b->v.DSTADDR;
    uint32_t n = 0;
    if (l->is_pair) {
        for (uint32_t i = 0; i < b->n_sel; i++) {
            uint16_t row = b->sel[i];
            unsigned s = enough_of(l, sources[row]), d = enough_of(l, destinations[row]);
            rows[n] = row;
            n += ((s & d >> 1) | (d & s >> 1)) & 1;
        }
        return n;
    }
    sources = l->by_source ? sources : destinations;
    destinations = l->by_destination ? destinations : sources;
    const unsigned first = l->by_source ? 1 : 2, second = l->by_destination ? 2 : 1;
    for (uint32_t i = 0; i < b->n_sel; i++) {
        uint16_t row = b->sel[i];
        rows[n] = row;
        n += (enough_of(l, sources[row]) & first) != 0 &&
             (enough_of(l, destinations[row]) & second) != 0;
    }
    return n;
}

void eg_group_light_close(eg_group_light *l) {
    free(l->totals);
    l->totals = NULL;
}
