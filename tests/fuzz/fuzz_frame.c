/*
** Property: whatever the packets, frames, reassembly, classification and ledger
** stay inside what was captured, and every frame is accounted for exactly once.
**
** Input: byte 0 picks the link type; then packets, each behind 2 bytes (big-endian):
** its length on the wire in the low 15 bits, and in the top bit whether 20 s went
** by. A packet that the input does not hold whole is one captured short.
*/
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "capture/frame.h"
#include "capture/ledger.h"
#include "capture/reassembly.h"
#include "fuzz_check.h"

static const uint32_t link_types[] = {1, 0, 9, 12, 14, 50, 101, 108, 113, 228, 229, 276, 147};

typedef struct chain {
    eg_reassembly *reassembly;
    eg_ledger *ledger;
    eg_batch *batch;
    int64_t n_told; /* frames that found their end */
} chain;

static void tell(chain *c, eg_reason reason, int64_t frame, uint32_t n_frames, uint32_t n_records) {
    c->n_told += n_frames;
    CHECK(eg_ledger_packet(c->ledger, 0, reason, frame, n_frames, n_records, NULL) == EG_OK);
}

static void take_datagram(chain *c, const eg_datagram *d, int64_t frame, uint32_t n_frames) {
    CHECK(d->n_bytes <= d->full_bytes && d->full_bytes <= 65535 - 8);
    CHECK(d->src.n_bytes == 4 || d->src.n_bytes == 16);
    eg_nf5_header h;
    uint32_t n_records;
    eg_reason reason = eg_nf5_classify(d->payload, d->n_bytes, d->full_bytes, &h, &n_records);
    if (eg_reason_about(reason)->decoded) {
        eg_nf5_origin origin = {.exporter_code = d->src.bytes[3], .frame = frame};
        CHECK(eg_ledger_sequence(c->ledger, &h, &origin, NULL) == EG_OK);
        c->batch->n_rows = 0;
        eg_nf5_append_unchecked(d->payload, &h, n_records, &origin, c->batch);
    }
    tell(c, reason, frame, n_frames, n_records);
}

static void take_given_up(chain *c, const eg_reassembled *r) {
    CHECK((r->n_given_up == 0) == (r->given_up_frames == 0));
    CHECK(r->n_given_up <= EG_REASSEMBLY_MAX && r->given_up_frames >= r->n_given_up);
    if (r->n_given_up > 0)
        tell(c, EG_REASON_FRAGMENT_MISSING, r->given_up_first_frame, r->given_up_frames, 0);
}

static void take_fragment(chain *c, const eg_fragment *f, int64_t frame) {
    CHECK(f->n_bytes <= f->full_bytes && f->offset_bytes <= 65528);
    eg_reassembled r;
    CHECK(eg_reassembly_add(c->reassembly, f, frame, &r, NULL) == EG_OK);
    take_given_up(c, &r);
    if (!r.whole)
        return;
    /* The copy tells a length that is too long. */
    uint8_t *whole = malloc(r.n_bytes + (r.n_bytes == 0));
    CHECK(whole != NULL && r.n_bytes <= 65535 && r.n_fragments >= 1);
    memcpy(whole, r.payload, r.n_bytes);
    eg_datagram d = {.src = f->src};
    if (eg_frame_udp(whole, r.n_bytes, r.n_bytes, &d))
        take_datagram(c, &d, frame, r.n_fragments);
    else
        tell(c, EG_REASON_BAD_IP, frame, r.n_fragments, 0);
    free(whole);
}

static void take_packet(chain *c, const eg_packet *p) {
    eg_datagram d;
    eg_fragment f;
    eg_reason reason;
    switch (eg_frame_decode(p, &d, &f, &reason)) {
    case EG_FRAME_DATAGRAM:
        CHECK(d.payload >= p->data && d.payload + d.n_bytes <= p->data + p->cap_bytes);
        take_datagram(c, &d, p->number, 1);
        break;
    case EG_FRAME_FRAGMENT:
        CHECK(f.data >= p->data && f.data + f.n_bytes <= p->data + p->cap_bytes);
        take_fragment(c, &f, p->number);
        break;
    case EG_FRAME_REJECT:
        CHECK(reason == EG_REASON_NOT_UDP || reason == EG_REASON_BAD_IP ||
              reason == EG_REASON_LINK_TYPE);
        tell(c, reason, p->number, 1, 0);
        break;
    }
}

static void check_ledger(eg_ledger *l, int64_t n_frames) {
    int64_t datagrams, rejected, flows_lost, frames = 0, rows_lost = 0, decoded = 0;
    CHECK(eg_ledger_finish(l, NULL) == EG_OK);
    eg_ledger_totals(l, &datagrams, &rejected, &flows_lost);
    for (size_t i = 0; i < eg_ledger_n_audit(l); i++) {
        const eg_audit_row *row = eg_ledger_audit(l, i);
        frames += row->frames;
        decoded += eg_reason_about(row->reason)->decoded ? row->datagrams : 0;
    }
    for (size_t i = 0; i < eg_ledger_n_loss(l); i++) {
        const eg_loss_row *row = eg_ledger_loss(l, i);
        CHECK(row->flows_lost >= 0 && (row->flows_lost > 0) == (row->kind == EG_LOSS_LOSS));
        rows_lost += row->flows_lost;
    }
    CHECK(frames == n_frames && decoded + rejected == datagrams && rows_lost == flows_lost);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static eg_batch batch; /* kept from input to input: opening it costs more than one */
    if (batch.sel == NULL)
        CHECK(eg_batch_open(&batch, (UINT64_C(1) << EG_N_VECTORS) - 1, NULL, NULL) == EG_OK);
    if (size == 0)
        return 0;
    chain c = {.batch = &batch};
    CHECK(eg_reassembly_open(&c.reassembly, NULL) == EG_OK);
    CHECK(eg_ledger_open(&c.ledger, NULL) == EG_OK);
    eg_packet p = {.link_type = link_types[data[0] % (sizeof link_types / sizeof *link_types)]};
    for (size_t at = 1; at + 2 <= size;) {
        uint32_t head = eg_be16(data + at);
        at += 2;
        p.wire_bytes = head & 0x7fff;
        p.cap_bytes = size - at < p.wire_bytes ? (uint32_t)(size - at) : p.wire_bytes;
        p.time_ms += head & 0x8000 ? 20000 : 1;
        p.number++;
        uint8_t *bytes = malloc(p.cap_bytes + (p.cap_bytes == 0)); /* exactly as long */
        CHECK(bytes != NULL);
        memcpy(bytes, data + at, p.cap_bytes);
        p.data = bytes;
        take_packet(&c, &p);
        free(bytes);
        at += p.cap_bytes;
    }
    eg_reassembled r;
    eg_reassembly_flush(c.reassembly, &r);
    take_given_up(&c, &r);
    CHECK(c.n_told == p.number);
    check_ledger(c.ledger, p.number);
    eg_ledger_close(c.ledger);
    eg_reassembly_close(c.reassembly);
    return 0;
}
