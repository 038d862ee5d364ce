/*
** Dictionary codes as they stand in a page: which of them pass a test, and single ones by their
** places. Runs of one code are looked at once, codes of 8 and 16 bits where they are; what nobody
** asks for is not unpacked.
*/
#ifndef EG_PQ_CODES_H
#define EG_PQ_CODES_H

#include "base/status.h"
#include "parquet/pq_rle.h"

/* Which codes of a dictionary pass. */
typedef struct eg_pq_code_test {
    uint32_t n_entries;    /* of the dictionary, at most 2^31: every code is below */
    uint32_t lo, hi;       /* inclusive; lo above hi: none passes */
    const uint8_t *passes; /* [n_entries] 1 or 0, borrowed; NULL: lo to hi do */
} eg_pq_code_test;

/* Reads n codes and clears alive[i] of those that do not pass. EG_DONE where the stream has fewer
** or is damaged, EG_CORRUPT where a code is none of the dictionary; neither has a message. */
eg_status eg_pq_codes_match(eg_pq_rle *r, size_t n, const eg_pq_code_test *t, uint8_t *alive);

/* Passes over n codes and reads those at places[0..n_places) of them (less `base`, ascending) to
** out. Statuses as above; codes that are passed over can be of no entry. */
eg_status eg_pq_codes_pick(eg_pq_rle *r, size_t n, const uint16_t *places, uint32_t n_places,
                           uint32_t base, uint32_t n_entries, uint32_t *out);

#endif
