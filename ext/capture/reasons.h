/* What became of a packet, one name each: capture/reasons.def as C. */
#ifndef EG_REASONS_H
#define EG_REASONS_H

#include <stdbool.h>

typedef enum eg_reason {
#define EG_REASON(ID, name, outcome, exporting, meaning) EG_REASON_##ID,
#include "capture/reasons.def"
    EG_N_REASONS
} eg_reason;

typedef struct eg_reason_info {
    const char *name;
    bool decoded;   /* flow records were kept */
    bool exporting; /* a sign of lost flow records */
    const char *meaning;
} eg_reason_info;

const eg_reason_info *eg_reason_about(eg_reason r);

#endif
