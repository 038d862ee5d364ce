/*
** Property: whatever the bytes, a payload is classified without a read beyond
** what was captured, by the rule of count and length, and the rows of one that
** is decoded are its records.
**
** Input: a UDP payload. It is tried as captured whole and as cut from longer ones.
*/
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "capture/nf5.h"
#include "fuzz_check.h"

static void check_decoded(const uint8_t *p, uint32_t n, uint32_t full, eg_reason reason,
                          const eg_nf5_header *h, uint32_t n_records) {
    uint32_t need = 24 + 48u * h->count;
    CHECK(eg_be16(p) == 5 && h->count == eg_be16(p + 2));
    CHECK(h->count >= 1 && h->count <= EG_NF5_MAX_RECORDS);
    CHECK(n_records >= 1 && n_records <= h->count && 24 + 48 * n_records <= n);
    CHECK(n_records == h->count || 24 + 48 * (n_records + 1) > n);
    switch (reason) {
    case EG_REASON_V5:
        CHECK(full == need && n == full);
        break;
    case EG_REASON_V5_LONG:
        CHECK(full > need && n >= need);
        break;
    case EG_REASON_V5_SHORT:
        CHECK(full < need && (full - 24) / 48 == n_records);
        break;
    default:
        CHECK(reason == EG_REASON_V5_CUT && n < full && n < need);
        CHECK((full - 24) / 48 > n_records);
    }
}

static void check_rows(const uint8_t *p, const eg_nf5_header *h, uint32_t n_records, eg_batch *b) {
    eg_nf5_origin origin = {.exporter_code = 1, .file_code = 2, .received_ms = 3, .frame = 4};
    b->n_rows = EG_BATCH_ROWS - EG_NF5_MAX_RECORDS;
    eg_nf5_append_unchecked(p, h, n_records, &origin, b);
    CHECK(b->n_rows == EG_BATCH_ROWS - EG_NF5_MAX_RECORDS + n_records);
    for (uint32_t i = 0; i < n_records; i++) {
        const uint8_t *r = p + 24 + 48 * (size_t)i;
        uint32_t row = EG_BATCH_ROWS - EG_NF5_MAX_RECORDS + i;
        eg_nf5_times t = eg_nf5_time(h, eg_be32(r + 24), eg_be32(r + 28));
        CHECK(b->v.START_MS[row] == t.start_ms && b->v.END_MS[row] == t.end_ms);
        CHECK(t.start_ms + t.duration_ms == t.end_ms && b->v.DURATION_MS[row] == t.duration_ms);
        CHECK(b->v.TIME_FLAG[row] == t.flag && t.flag <= 7);
        CHECK(b->v.SRCADDR[row] == eg_be32(r) && b->v.DSTADDR[row] == eg_be32(r + 4));
        CHECK(b->v.PACKETS[row] == (int64_t)eg_be32(r + 16));
        CHECK(b->v.BYTES[row] == (int64_t)eg_be32(r + 20));
        CHECK(b->v.SRCPORT[row] == eg_be16(r + 32) && b->v.DST_MASK[row] == r[45]);
        CHECK(b->v.FLOW_SEQUENCE[row] == (int64_t)h->flow_sequence + i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static eg_batch batch; /* kept from input to input: opening it costs more than one */
    if (batch.sel == NULL)
        CHECK(eg_batch_open(&batch, (UINT64_C(1) << EG_N_VECTORS) - 1, NULL, NULL) == EG_OK);
    if (size > 65535)
        return 0;
    uint32_t n = (uint32_t)size;
    uint8_t *p = malloc(size + (size == 0)); /* exactly as long: a checker sees a read beyond */
    CHECK(p != NULL);
    if (size > 0)
        memcpy(p, data, size);
    const uint32_t more[] = {0, 1, 48, 52, 24 + 30 * 48};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        eg_nf5_header h;
        uint32_t n_records;
        eg_reason reason = eg_nf5_classify(p, n, n + more[i], &h, &n_records);
        CHECK((unsigned)reason < EG_N_REASONS);
        if (eg_reason_about(reason)->decoded) {
            check_decoded(p, n, n + more[i], reason, &h, n_records);
            check_rows(p, &h, n_records, &batch);
        } else {
            CHECK(n_records == 0);
            CHECK(reason != EG_REASON_V5_COUNT_ZERO || eg_be16(p + 2) == 0);
            CHECK(reason != EG_REASON_V5_COUNT_OVER_30 || eg_be16(p + 2) > 30);
            CHECK(reason != EG_REASON_V5_NO_RECORD || n < 24 + 48);
            CHECK(reason != EG_REASON_NOT_NETFLOW || n < 4 || eg_be16(p) != 5);
        }
    }
    free(p);
    return 0;
}
