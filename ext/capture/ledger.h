/*
** The ledger: what became of every packet of every file (audit), and what is
** missing by flow_sequence (loss). Decoded + rejected = seen, always.
**
** Packets come in file order; files in the order of the source, so that the
** sequence of an exporter goes on over the captures of one ring buffer.
**
** A stream is an exporter and an engine. flow_sequence is read as each stream
** means it: flows before the datagram (the standard), flows including it (Open
** vSwitch), or datagrams or a constant, which tell no loss: the one that explains
** most transitions, the standard on ties.
**   loss       a step forward, less than 3,600,000 flows; late arrivals taken off
**   reorder    a datagram that fills (part of) an earlier loss
**   duplicate  a step back, less than 60,000 flows, to what already came
**   restart    any other step, or one after a boot of the exporter
** Memory is bounded: beyond 65,536 streams the one not seen for longest is
** settled (and starts anew if it comes back); beyond 1,024 open losses of a stream
** the oldest is final; beyond EG_LEDGER_MAX_LOSS rows a break has no row any more,
** but its flows count in the totals, and it in eg_ledger_n_unlisted.
*/
#ifndef EG_LEDGER_H
#define EG_LEDGER_H

#include "base/intern.h"
#include "capture/nf5.h"

#define EG_LEDGER_MAX_LOSS 1000000

typedef struct eg_ledger eg_ledger;

/* One row of the audit: a file and a reason. */
typedef struct eg_audit_row {
    uint32_t file_code;
    eg_reason reason;
    int64_t datagrams;   /* packets; a datagram in fragments counts once */
    int64_t frames;      /* captured frames they came in */
    int64_t records;     /* flow records kept */
    int64_t first_frame; /* frame number of the first */
    char *note;          /* owned by the ledger: what was found, NULL without one */
} eg_audit_row;

typedef enum eg_loss_kind {
    EG_LOSS_LOSS,
    EG_LOSS_REORDER,
    EG_LOSS_DUPLICATE,
    EG_LOSS_RESTART
} eg_loss_kind;
const char *eg_loss_kind_name(eg_loss_kind k); /* "loss", "reorder", "duplicate", "restart" */

/* One break of a flow_sequence. */
typedef struct eg_loss_row {
    uint32_t file_code, exporter_code;
    int64_t frame;     /* of the datagram that showed it */
    int64_t header_ms; /* its header time */
    uint8_t engine_type, engine_id;
    uint32_t expected, got; /* flow_sequence */
    int64_t flows_lost; /* still missing at the end, late arrivals taken off; 0 for other kinds */
    eg_loss_kind kind;
} eg_loss_row;

eg_status eg_ledger_open(eg_ledger **out, eg_err *err);

/* Counts a packet (of n_frames frames) that ended so, keeping n_records. */
eg_status eg_ledger_packet(eg_ledger *l, uint32_t file_code, eg_reason reason, int64_t frame,
                           uint32_t n_frames, uint32_t n_records, eg_err *err);

/* Adds a sentence to the audit row of a file and reason that was counted
** (EG_MISUSE if not); the first one is kept. `note` is copied. */
eg_status eg_ledger_note(eg_ledger *l, uint32_t file_code, eg_reason reason, const char *note,
                         eg_err *err);

/* Follows the sequence of a decoded datagram. h->count flows were exported in it. */
eg_status eg_ledger_sequence(eg_ledger *l, const eg_nf5_header *h, const eg_nf5_origin *origin,
                             eg_err *err);

/* Ends the account: settles holes and decides each stream's numbering. After
** it the rows may be read; nothing may be added (EG_MISUSE). */
eg_status eg_ledger_finish(eg_ledger *l, eg_err *err);

/* Rows: audit in order of file, then reason; loss in order of arrival. */
size_t eg_ledger_n_audit(const eg_ledger *l);
const eg_audit_row *eg_ledger_audit(const eg_ledger *l, size_t i);
size_t eg_ledger_n_loss(const eg_ledger *l);
const eg_loss_row *eg_ledger_loss(const eg_ledger *l, size_t i);

/* Breaks that have no row for EG_LEDGER_MAX_LOSS. After finish. */
int64_t eg_ledger_n_unlisted(const eg_ledger *l);

/* Totals so far (loss only after finish): packets, rejected, flows lost. */
void eg_ledger_totals(const eg_ledger *l, int64_t *datagrams, int64_t *rejected,
                      int64_t *flows_lost);

/* NULL is allowed. */
void eg_ledger_close(eg_ledger *l);

#endif
