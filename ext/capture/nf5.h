/*
** NetFlow v5: from a UDP payload to rows. Wire formats and the time rules are
** here and nowhere else. Input is untrusted; nothing of it is retained.
*/
#ifndef EG_NF5_H
#define EG_NF5_H

#include "capture/reasons.h"
#include "flow/batch.h"

#define EG_NF5_HEADER_BYTES 24
#define EG_NF5_RECORD_BYTES 48
#define EG_NF5_MAX_RECORDS 30

/* The header in host order. */
typedef struct eg_nf5_header {
    uint16_t count;
    uint32_t uptime_ms;
    uint32_t unix_secs, unix_nsecs;
    uint32_t flow_sequence;
    uint8_t engine_type, engine_id;
    uint8_t sampling_mode;      /* top 2 bits of the last field */
    uint16_t sampling_interval; /* its low 14 bits */
} eg_nf5_header;

/* Tells what a UDP payload is by its content. payload[0..n_bytes) is what was
** captured, full_bytes the length it had. For a decoded reason (V5, V5_CUT,
** V5_SHORT, V5_LONG) *header is filled and *n_records is the number of whole
** records to keep (>= 1). Never reads beyond n_bytes. V5_CUT where n_bytes <
** full_bytes and records are missing for it; other versions are told by
** version word and plausible lengths, NOT_NETFLOW where they are not plausible. */
eg_reason eg_nf5_classify(const uint8_t *payload, uint32_t n_bytes, uint32_t full_bytes,
                          eg_nf5_header *header, uint32_t *n_records);

/* The header of a payload that eg_nf5_classify accepted. */
void eg_nf5_load_header(const uint8_t *payload, eg_nf5_header *header);

/* The time rule for one record (design section 3): see DESIGN table E3 in
** tests/unit/test_nf5.c. */
typedef struct eg_nf5_times {
    int64_t start_ms, end_ms; /* since 1970 UTC */
    uint32_t duration_ms;
    uint8_t flag; /* of EG_TIME_FIRST_AFTER_LAST, EG_TIME_NSECS, EG_TIME_BEFORE_1970 */
} eg_nf5_times;
#define EG_TIME_FIRST_AFTER_LAST 1
#define EG_TIME_NSECS 2
#define EG_TIME_BEFORE_1970 4
eg_nf5_times eg_nf5_time(const eg_nf5_header *h, uint32_t first, uint32_t last);

/* Header time in ms since 1970 UTC: unix_secs and whole ms of unix_nsecs
** (left out, and *flag |= EG_TIME_NSECS, where it is a second or more). */
int64_t eg_nf5_header_ms(const eg_nf5_header *h, uint8_t *flag);

/* What a batch row needs beside the datagram. */
typedef struct eg_nf5_origin {
    uint32_t exporter_code, file_code; /* in the scan's text table */
    int64_t received_ms;               /* EG_NO_TIME without one */
    int64_t frame;
} eg_nf5_origin;

/* Appends records [0, n_records) of a payload that eg_nf5_classify accepted
** with at least that many, to the vectors that are in the batch. The caller
** made sure of b->n_rows + n_records <= EG_BATCH_ROWS. */
void eg_nf5_append_unchecked(const uint8_t *payload, const eg_nf5_header *h, uint32_t n_records,
                             const eg_nf5_origin *origin, eg_batch *b);

#endif
