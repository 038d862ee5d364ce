/* The table behind capture/reasons.h. */
#include "capture/reasons.h"

#define DECODED true
#define REJECTED false

static const eg_reason_info reasons[EG_N_REASONS] = {
#define EG_REASON(ID, name_, outcome, exporting_, meaning_)                                        \
    [EG_REASON_##                                                                                  \
        ID] = {.name = name_, .decoded = outcome, .exporting = exporting_, .meaning = meaning_},
#include "capture/reasons.def"
};

const eg_reason_info *eg_reason_about(eg_reason r) {
    return &reasons[r];
}
