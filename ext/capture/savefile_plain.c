/*
** The walker for plain classic pcap: packets are handed out in place, in a
** window that large reads fill, so that a packet costs one copy (the kernel's).
** Where a record makes no sense the file ends: there is nothing to find the next
** one by.
*/
#include <stdio.h>

#include "base/bytes.h"
#include "capture/savefile_readers.h"

#define RECORD_BYTES 16 /* seconds, fraction, captured and wire length */

static eg_status plain_open(eg_savefile *f, eg_err *err) {
    (void)err;
    eg_window_use(f, EG_PCAP_HEADER_BYTES);
    return EG_OK;
}

static eg_status plain_cut(eg_savefile *f, eg_status rc, uint64_t expected, eg_err *err) {
    if (rc != EG_DONE)
        return rc;
    char what[48];
    snprintf(what, sizeof what, "packet %lld", (long long)f->n_packets + 1);
    return eg_savefile_cut(f, what, f->window.offset, expected, err);
}

static eg_status plain_next(eg_savefile *f, eg_packet *packet, eg_err *err) {
    eg_status rc = eg_window_need(f, RECORD_BYTES, err);
    if (rc != EG_OK) {
        if (rc == EG_DONE && f->window.pos == f->window.end)
            return EG_DONE;
        return plain_cut(f, rc, RECORD_BYTES, err);
    }
    const uint8_t *h = eg_window_at(f);
    uint32_t seconds = eg_load32(h, f->big_endian), fraction = eg_load32(h + 4, f->big_endian);
    uint32_t cap_bytes = eg_load32(h + 8, f->big_endian);
    uint32_t wire_bytes = eg_load32(h + 12, f->big_endian);
    if (cap_bytes > EG_PACKET_MAX_BYTES)
        return eg_fail(err, EG_CORRUPT, f->window.offset,
                       "%s: packet %lld at offset %lld: captured length %u, expected at most %d",
                       f->name, (long long)f->n_packets + 1, (long long)f->window.offset, cap_bytes,
                       EG_PACKET_MAX_BYTES);
    rc = eg_window_need(f, RECORD_BYTES + cap_bytes, err);
    if (rc != EG_OK)
        return plain_cut(f, rc, RECORD_BYTES + (uint64_t)cap_bytes, err);
    packet->data = eg_window_at(f) + RECORD_BYTES;
    packet->cap_bytes = cap_bytes;
    packet->wire_bytes = wire_bytes;
    /* A fraction of a second or more is carried; seconds are unsigned. */
    packet->time_ms = (int64_t)seconds * 1000 + fraction / (f->nanoseconds ? 1000000 : 1000);
    packet->link_type = f->link_type;
    eg_window_use(f, RECORD_BYTES + cap_bytes);
    return EG_OK;
}

static void plain_close(eg_savefile *f) {
    (void)f;
}

const eg_reader eg_reader_plain = {plain_open, plain_next, plain_close, true};
