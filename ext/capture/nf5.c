/*
** The wire formats. Classification looks at the version word, then asks whether
** the rest is plausible for that version; lengths are those on the wire, loads
** only ever from what was captured.
*/
#include "capture/nf5.h"

#include <string.h>

#include "base/bytes.h"

/* Offsets in the header and in a record; all fields are big-endian. */
enum {
    HEADER_COUNT = 2,
    HEADER_UPTIME = 4,
    HEADER_SECS = 8,
    HEADER_NSECS = 12,
    HEADER_SEQUENCE = 16,
    HEADER_ENGINE_TYPE = 20,
    HEADER_ENGINE_ID = 21,
    HEADER_SAMPLING = 22
};

enum {
    RECORD_SRCADDR = 0,
    RECORD_DSTADDR = 4,
    RECORD_NEXTHOP = 8,
    RECORD_INPUT = 12,
    RECORD_OUTPUT = 14,
    RECORD_PACKETS = 16,
    RECORD_OCTETS = 20,
    RECORD_FIRST = 24,
    RECORD_LAST = 28,
    RECORD_SRCPORT = 32,
    RECORD_DSTPORT = 34,
    RECORD_TCP_FLAGS = 37,
    RECORD_PROT = 38,
    RECORD_TOS = 39,
    RECORD_SRC_AS = 40,
    RECORD_DST_AS = 42,
    RECORD_SRC_MASK = 44,
    RECORD_DST_MASK = 45
};

#define NSECS_PER_SEC 1000000000u

/* ---- what a payload is -------------------------------------------------- */

/* A payload: n_bytes captured of full_bytes. */
typedef struct payload_view {
    const uint8_t *p;
    uint32_t n_bytes;
    uint32_t full_bytes;
} payload_view;

static bool has(const payload_view *v, uint32_t end) {
    return v->n_bytes >= end;
}

/* The nanoseconds that v1, v5, v7 and v8 share; true where they were not captured. */
static bool nsecs_plausible(const payload_view *v) {
    return !has(v, 16) || eg_be32(v->p + HEADER_NSECS) < NSECS_PER_SEC;
}

/* v1: 16 bytes, then up to 24 records of 52 (some exporters: 48) bytes. Its
** count and length may disagree, as they may for v5. */
static bool is_v1(const payload_view *v) {
    uint32_t count = eg_be16(v->p + HEADER_COUNT);
    return count >= 1 && count <= 24 && v->full_bytes >= 16 + 48 && v->full_bytes <= 16 + 24 * 52 &&
           nsecs_plausible(v);
}

/* v7: 24 bytes, then records of 52. */
static bool is_v7(const payload_view *v) {
    uint32_t count = eg_be16(v->p + HEADER_COUNT);
    return count >= 1 && count <= 30 && v->full_bytes >= 24 + 52 && v->full_bytes <= 24 + 30 * 52 &&
           nsecs_plausible(v);
}

/* v8: 28 bytes with the method of aggregation (1-14), then up to 51 records of
** 28 to 44 bytes. */
static bool is_v8(const payload_view *v) {
    uint32_t count = eg_be16(v->p + HEADER_COUNT);
    if (count < 1 || count > 51 || v->full_bytes < 28 + 28 || v->full_bytes > 28 + 51 * 44 ||
        !nsecs_plausible(v))
        return false;
    return !has(v, 23) || (v->p[22] >= 1 && v->p[22] <= 14);
}

/* v9: 20 bytes, then flow sets; ids 2 to 255 are reserved. */
static bool is_v9(const payload_view *v) {
    uint32_t count = eg_be16(v->p + 2);
    if (v->full_bytes < 24 || count == 0 || count > v->full_bytes / 4)
        return false;
    if (!has(v, 24))
        return true;
    uint32_t id = eg_be16(v->p + 20);
    uint32_t set_bytes = eg_be16(v->p + 22);
    return (id <= 1 || id >= 256) && set_bytes >= 4 && set_bytes <= v->full_bytes - 20;
}

/* IPFIX: 16 bytes with the message's length, then sets; ids 2, 3 and from 256. */
static bool is_ipfix(const payload_view *v) {
    uint32_t message_bytes = eg_be16(v->p + 2);
    if (message_bytes < 16 || message_bytes > v->full_bytes)
        return false;
    if (message_bytes == 16)
        return v->full_bytes == 16;
    if (message_bytes < 20)
        return false;
    if (!has(v, 20))
        return true;
    uint32_t id = eg_be16(v->p + 16);
    uint32_t set_bytes = eg_be16(v->p + 18);
    return (id == 2 || id == 3 || id >= 256) && set_bytes >= 4 && set_bytes <= message_bytes - 16;
}

/* sFlow: a 32-bit version, the agent's address with its type, then counters. */
static bool is_sflow(const payload_view *v) {
    if (!has(v, 8))
        return false;
    uint32_t version = eg_be32(v->p);
    uint32_t address_type = eg_be32(v->p + 4);
    if ((version != 2 && version != 4 && version != 5) || address_type < 1 || address_type > 2)
        return false;
    uint32_t header_bytes = 8 + (address_type == 1 ? 4 : 16) + (version == 5 ? 16 : 12);
    return v->full_bytes >= header_bytes;
}

void eg_nf5_load_header(const uint8_t *p, eg_nf5_header *h) {
    uint16_t sampling = eg_be16(p + HEADER_SAMPLING);
    *h = (eg_nf5_header){.count = eg_be16(p + HEADER_COUNT),
                         .uptime_ms = eg_be32(p + HEADER_UPTIME),
                         .unix_secs = eg_be32(p + HEADER_SECS),
                         .unix_nsecs = eg_be32(p + HEADER_NSECS),
                         .flow_sequence = eg_be32(p + HEADER_SEQUENCE),
                         .engine_type = p[HEADER_ENGINE_TYPE],
                         .engine_id = p[HEADER_ENGINE_ID],
                         .sampling_mode = (uint8_t)(sampling >> 14),
                         .sampling_interval = sampling & 0x3fff};
}

static uint32_t whole_records(uint32_t n_bytes) {
    return n_bytes < EG_NF5_HEADER_BYTES ? 0
                                         : (n_bytes - EG_NF5_HEADER_BYTES) / EG_NF5_RECORD_BYTES;
}

static eg_reason classify_v5(const payload_view *v, eg_nf5_header *header, uint32_t *n_records) {
    uint32_t count = eg_be16(v->p + HEADER_COUNT);
    if (count == 0)
        return EG_REASON_V5_COUNT_ZERO;
    if (count > EG_NF5_MAX_RECORDS)
        return EG_REASON_V5_COUNT_OVER_30;
    uint32_t captured = whole_records(v->n_bytes);
    if (captured == 0)
        return EG_REASON_V5_NO_RECORD;
    eg_nf5_load_header(v->p, header);
    *n_records = captured < count ? captured : count;
    if (captured < count) {
        /* Cut if the wire had records that the capture has not. */
        return whole_records(v->full_bytes) > captured ? EG_REASON_V5_CUT : EG_REASON_V5_SHORT;
    }
    uint32_t expected_bytes = EG_NF5_HEADER_BYTES + count * EG_NF5_RECORD_BYTES;
    return v->full_bytes > expected_bytes ? EG_REASON_V5_LONG : EG_REASON_V5;
}

eg_reason eg_nf5_classify(const uint8_t *payload, uint32_t n_bytes, uint32_t full_bytes,
                          eg_nf5_header *header, uint32_t *n_records) {
    payload_view v = {.p = payload,
                      .n_bytes = n_bytes,
                      .full_bytes = full_bytes < n_bytes ? n_bytes : full_bytes};
    *n_records = 0;
    if (!has(&v, 4)) /* too little to tell */
        return EG_REASON_NOT_NETFLOW;
    switch (eg_be16(payload)) {
    case 0:
        return is_sflow(&v) ? EG_REASON_SFLOW : EG_REASON_NOT_NETFLOW;
    case 1:
        return is_v1(&v) ? EG_REASON_V1 : EG_REASON_NOT_NETFLOW;
    case 5:
        return classify_v5(&v, header, n_records);
    case 7:
        return is_v7(&v) ? EG_REASON_V7 : EG_REASON_NOT_NETFLOW;
    case 8:
        return is_v8(&v) ? EG_REASON_V8 : EG_REASON_NOT_NETFLOW;
    case 9:
        return is_v9(&v) ? EG_REASON_V9 : EG_REASON_NOT_NETFLOW;
    case 10:
        return is_ipfix(&v) ? EG_REASON_IPFIX : EG_REASON_NOT_NETFLOW;
    default:
        return EG_REASON_NOT_NETFLOW;
    }
}

/* ---- time --------------------------------------------------------------- */

/* How far Last may lead the header's uptime: exporters stamp the header before
** they fill the datagram (CSCei12353). */
#define LAST_LEAD_MS 600000

int64_t eg_nf5_header_ms(const eg_nf5_header *h, uint8_t *flag) {
    int64_t ms = (int64_t)h->unix_secs * 1000;
    if (h->unix_nsecs >= NSECS_PER_SEC) {
        *flag |= EG_TIME_NSECS;
        return ms;
    }
    return ms + h->unix_nsecs / 1000000;
}

/* Stamps count ms since boot modulo 2^32, so all differences do too: `behind` is
** how long before the header the flow ended, read as a lead if it is nearly 2^32. */
static inline int64_t end_ms(int64_t header_ms, uint32_t uptime_ms, uint32_t last) {
    uint32_t behind = uptime_ms - last;
    int64_t lead = behind >= (uint32_t)(0u - LAST_LEAD_MS) ? INT64_C(1) << 32 : 0;
    return header_ms - (int64_t)behind + lead;
}

/* Last - First; 0 where First lies after Last. */
static inline uint32_t duration_ms(uint32_t first, uint32_t last) {
    uint32_t d = last - first;
    return d < UINT32_C(1) << 31 ? d : 0;
}

static inline bool is_first_after_last(uint32_t first, uint32_t last) {
    return last - first >= UINT32_C(1) << 31;
}

eg_nf5_times eg_nf5_time(const eg_nf5_header *h, uint32_t first, uint32_t last) {
    eg_nf5_times t = {.flag = 0};
    int64_t header_ms = eg_nf5_header_ms(h, &t.flag);
    t.end_ms = end_ms(header_ms, h->uptime_ms, last);
    t.duration_ms = duration_ms(first, last);
    t.start_ms = t.end_ms - t.duration_ms;
    if (is_first_after_last(first, last))
        t.flag |= EG_TIME_FIRST_AFTER_LAST;
    if (t.start_ms < 0)
        t.flag |= EG_TIME_BEFORE_1970;
    return t;
}

static inline int64_t record_start_ms(int64_t header_ms, uint32_t uptime_ms, const uint8_t *r) {
    uint32_t last = eg_be32(r + RECORD_LAST);
    return end_ms(header_ms, uptime_ms, last) - duration_ms(eg_be32(r + RECORD_FIRST), last);
}

/* ---- rows --------------------------------------------------------------- */

/* One loop a column: each is short, without a branch, over a fixed stride. `r`
** is the record, `i` its number. */
#define COLUMN(ID, ctype, value)                                                                   \
    if (b->v.ID != NULL) {                                                                         \
        ctype *column = b->v.ID + b->n_rows;                                                       \
        const uint8_t *r = records;                                                                \
        for (uint32_t i = 0; i < n_records; i++, r += EG_NF5_RECORD_BYTES)                         \
            column[i] = (ctype)(value);                                                            \
    }

/* The same value in all rows of the datagram. */
#define CONSTANT(ID, ctype, value)                                                                 \
    if (b->v.ID != NULL) {                                                                         \
        ctype *column = b->v.ID + b->n_rows;                                                       \
        for (uint32_t i = 0; i < n_records; i++)                                                   \
            column[i] = (ctype)(value);                                                            \
    }

void eg_nf5_append_unchecked(const uint8_t *payload, const eg_nf5_header *h, uint32_t n_records,
                             const eg_nf5_origin *origin, eg_batch *b) {
    const uint8_t *records = payload + EG_NF5_HEADER_BYTES;
    uint8_t header_flag = 0;
    int64_t header_ms = eg_nf5_header_ms(h, &header_flag);
    uint32_t uptime_ms = h->uptime_ms;

    COLUMN(START_MS, int64_t, record_start_ms(header_ms, uptime_ms, r))
    COLUMN(END_MS, int64_t, end_ms(header_ms, uptime_ms, eg_be32(r + RECORD_LAST)))
    COLUMN(DURATION_MS, uint32_t, duration_ms(eg_be32(r + RECORD_FIRST), eg_be32(r + RECORD_LAST)))
    COLUMN(TIME_FLAG, uint8_t,
           header_flag |
               (is_first_after_last(eg_be32(r + RECORD_FIRST), eg_be32(r + RECORD_LAST))
                    ? EG_TIME_FIRST_AFTER_LAST
                    : 0) |
               (record_start_ms(header_ms, uptime_ms, r) < 0 ? EG_TIME_BEFORE_1970 : 0))
    COLUMN(SRCADDR, uint32_t, eg_be32(r + RECORD_SRCADDR))
    COLUMN(DSTADDR, uint32_t, eg_be32(r + RECORD_DSTADDR))
    COLUMN(NEXTHOP, uint32_t, eg_be32(r + RECORD_NEXTHOP))
    COLUMN(SRCPORT, uint16_t, eg_be16(r + RECORD_SRCPORT))
    COLUMN(DSTPORT, uint16_t, eg_be16(r + RECORD_DSTPORT))
    COLUMN(PROTO, uint8_t, r[RECORD_PROT])
    COLUMN(PACKETS, int64_t, eg_be32(r + RECORD_PACKETS))
    COLUMN(BYTES, int64_t, eg_be32(r + RECORD_OCTETS))
    COLUMN(TCP_FLAGS, uint8_t, r[RECORD_TCP_FLAGS])
    COLUMN(TOS, uint8_t, r[RECORD_TOS])
    COLUMN(INPUT, uint16_t, eg_be16(r + RECORD_INPUT))
    COLUMN(OUTPUT, uint16_t, eg_be16(r + RECORD_OUTPUT))
    COLUMN(SRC_AS, uint16_t, eg_be16(r + RECORD_SRC_AS))
    COLUMN(DST_AS, uint16_t, eg_be16(r + RECORD_DST_AS))
    COLUMN(SRC_MASK, uint8_t, r[RECORD_SRC_MASK])
    COLUMN(DST_MASK, uint8_t, r[RECORD_DST_MASK])
    /* Header sequence + index, in 64 bits: the numbers of one datagram always rise. */
    CONSTANT(FLOW_SEQUENCE, int64_t, (int64_t)h->flow_sequence + i)
    CONSTANT(EXPORTER, uint32_t, origin->exporter_code)
    CONSTANT(ENGINE_TYPE, uint8_t, h->engine_type)
    CONSTANT(ENGINE_ID, uint8_t, h->engine_id)
    CONSTANT(SAMPLING_MODE, uint8_t, h->sampling_mode)
    CONSTANT(SAMPLING_INTERVAL, uint16_t, h->sampling_interval)
    CONSTANT(HEADER_MS, int64_t, header_ms)
    CONSTANT(RECEIVED_MS, int64_t, origin->received_ms)
    CONSTANT(FILE, uint32_t, origin->file_code)
    CONSTANT(FRAME, int64_t, origin->frame)
    b->n_rows += n_records;
}
