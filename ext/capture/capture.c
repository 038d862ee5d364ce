/*
** One source, many files; one piece a file, which may hold several members.
** A packet's way: savefile -> frame -> (reassembly) -> classify -> rows, and at
** every exit of that way exactly one entry in the ledger, so that it adds up.
**
** The ledger follows sequences over file borders, so pieces that share one are
** read one after the other.
**
** A split source does all of that up to the rows when its next piece is asked for; the
** pieces are blocks of datagrams (datagram_block.h), independent of each other.
*/
#include "capture/capture.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "capture/datagram_block.h"
#include "capture/filelist.h"
#include "capture/reassembly.h"

/* Packets looked at in one call that finds no rows: bounds the time between
** two chances to interrupt (well under 1 ms when the data is at hand). */
#define PACKETS_PER_CALL 4096
#define BYTES_PER_CALL                                                                             \
    (UINT32_C(256) << 10) /* without rows: packets may be large, and packed small */

typedef struct capture_source {
    eg_source base;                         /* must be first */
    const eg_scan_spec *spec;               /* borrowed */
    eg_ledger *ledger;                      /* borrowed, may be NULL */
    const eg_capture_watch *watch;          /* borrowed, may be NULL */
    eg_identity *identity;                  /* of the watched capture; owned */
    eg_filelist list;                       /* owned */
    size_t next_file;                       /* index of the file of the next piece */
    int64_t total_bytes;                    /* of all files at listing time */
    int64_t done_bytes;                     /* of closed pieces */
    const struct capture_piece *open_piece; /* for progress; NULL between pieces */
    /* Of a split source. */
    eg_piece *walk;        /* the file that blocks are cut from; NULL between files */
    eg_slab_store slabs;   /* of its reader */
    eg_block_store blocks; /* that are closed */
    eg_scan_stats stats;   /* of closed files */
} capture_source;

typedef struct capture_piece {
    eg_piece base;             /* must be first */
    capture_source *source;    /* outlives the piece */
    const eg_file *file;       /* in source->list */
    eg_stream *stream;         /* owned */
    eg_savefile *savefile;     /* of the current member, NULL between members */
    eg_reassembly *reassembly; /* owned; made with the first fragment */
    uint32_t file_code;        /* of the current member's name */
    int64_t last_frame;        /* number of the last packet delivered */
    int64_t n_captures;        /* members that were captures */
    eg_ip_addr exporter;       /* the last exporter and its code: exports come in runs */
    uint32_t exporter_code;
    bool has_exporter;
    eg_ledger *ledger;         /* the source's or the watch's */
    bool is_watching;          /* between begin and end */
    bool has_ended;            /* the capture's rows are handed out: end is to be called */
    eg_capture_end end;        /* as far as it is known */
    eg_stream_file file_state; /* when it was opened */
    eg_datagram_block *block;  /* takes datagrams instead of a batch; NULL in a whole source */
    eg_scan_stats stats;       /* what this piece read */
} capture_piece;

/* ---- the account -------------------------------------------------------- */

static eg_status account(capture_piece *p, eg_reason reason, int64_t frame, uint32_t n_frames,
                         uint32_t n_records, eg_err *err) {
    p->stats.datagrams++;
    if (!eg_reason_about(reason)->decoded)
        p->stats.rejected++;
    if (p->ledger == NULL)
        return EG_OK;
    return eg_ledger_packet(p->ledger, p->file_code, reason, frame, n_frames, n_records, err);
}

/* Counts datagrams whose fragments never came together. */
static eg_status account_given_up(capture_piece *p, const eg_reassembled *r, eg_err *err) {
    uint32_t frames = r->given_up_frames;
    for (uint32_t i = 0; i < r->n_given_up; i++) {
        /* The frames are known in sum only: the last datagram takes the rest. */
        uint32_t n = i + 1 < r->n_given_up ? 1 : frames;
        frames -= n;
        eg_status rc = account(p, EG_REASON_FRAGMENT_MISSING, r->given_up_first_frame, n, 0, err);
        if (rc != EG_OK)
            return rc;
    }
    return EG_OK;
}

static eg_status exporter_code(capture_piece *p, const eg_ip_addr *addr, uint32_t *code,
                               eg_err *err) {
    if (!p->has_exporter || memcmp(&p->exporter, addr, sizeof *addr) != 0) {
        char text[EG_IP6_TEXT_MAX];
        size_t n = addr->n_bytes == 4 ? eg_ip4_format(eg_be32(addr->bytes), text)
                                      : eg_ip6_format(addr->bytes, text);
        eg_status rc = eg_intern_add(p->source->spec->texts, text, n, &p->exporter_code, err);
        if (rc != EG_OK)
            return rc;
        p->exporter = *addr;
        p->has_exporter = true;
    }
    *code = p->exporter_code;
    return EG_OK;
}

/* ---- packets ------------------------------------------------------------ */

/* Decodes a UDP datagram that came in n_frames frames, the last being `packet`. */
static eg_status take_datagram(capture_piece *p, const eg_packet *packet, const eg_datagram *d,
                               uint32_t n_frames, eg_batch *b, eg_err *err) {
    eg_nf5_header header;
    uint32_t n_records = 0;
    eg_reason reason = eg_nf5_classify(d->payload, d->n_bytes, d->full_bytes, &header, &n_records);
    if (!eg_reason_about(reason)->decoded)
        return account(p, reason, packet->number, n_frames, 0, err);

    eg_nf5_origin origin = {
        .file_code = p->file_code, .received_ms = packet->time_ms, .frame = packet->number};
    eg_status rc = exporter_code(p, &d->src, &origin.exporter_code, err);
    if (rc == EG_OK && p->ledger != NULL)
        rc = eg_ledger_sequence(p->ledger, &header, &origin, err);
    if (rc != EG_OK)
        return rc;
    if (p->block == NULL) /* room: see read_packets() */
        eg_nf5_append_unchecked(d->payload, &header, n_records, &origin, b);
    else
        eg_datagram_block_add(p->block, d->payload, n_records, &origin,
                              n_frames == 1 ? eg_savefile_slab(p->savefile) : NULL);
    return account(p, reason, packet->number, n_frames, n_records, err);
}

static eg_status take_fragment(capture_piece *p, const eg_packet *packet, const eg_fragment *f,
                               eg_batch *b, eg_err *err) {
    if (p->reassembly == NULL) {
        eg_status rc = eg_reassembly_open(&p->reassembly, err);
        if (rc != EG_OK)
            return rc;
    }
    eg_reassembled r;
    eg_status rc = eg_reassembly_add(p->reassembly, f, packet->number, &r, err);
    if (rc == EG_OK)
        rc = account_given_up(p, &r, err);
    if (rc != EG_OK || !r.whole)
        return rc;
    eg_datagram d;
    if (!eg_frame_udp(r.payload, r.n_bytes, r.n_bytes, &d))
        return account(p, EG_REASON_BAD_IP, packet->number, r.n_fragments, 0, err);
    d.src = f->src;
    return take_datagram(p, packet, &d, r.n_fragments, b, err);
}

static eg_status take_packet(capture_piece *p, const eg_packet *packet, eg_batch *b, eg_err *err) {
    eg_datagram datagram;
    eg_fragment fragment;
    eg_reason reason;
    switch (eg_frame_decode(packet, &datagram, &fragment, &reason)) {
    case EG_FRAME_DATAGRAM:
        return take_datagram(p, packet, &datagram, 1, b, err);
    case EG_FRAME_FRAGMENT:
        return take_fragment(p, packet, &fragment, b, err);
    case EG_FRAME_REJECT:
        break;
    }
    return account(p, reason, packet->number, 1, 0, err);
}

/* ---- the watch ---------------------------------------------------------- */

/* What is read from here on is of one capture. */
static void watch_from_here(capture_piece *p) {
    if (p->source->watch == NULL)
        return;
    p->end = (eg_capture_end){.growing = ""};
    eg_identity_reset(p->source->identity);
    eg_stream_set_identity(p->stream, p->source->identity);
}

static eg_status watch_begin(capture_piece *p, const char *name, eg_err *err) {
    const eg_capture_watch *w = p->source->watch;
    if (w == NULL)
        return EG_OK;
    eg_capture_start start = {.name = name,
                              .file = p->file->path,
                              .file_bytes = p->file_state.n_bytes,
                              .file_time_ns = p->file_state.time_ns};
    p->ledger = NULL;
    p->is_watching = true;
    return w->begin(w->arg, &start, &p->ledger, err);
}

/* Reads what the capture's reader left: bytes behind damage, or all of them. */
static eg_status drain(capture_piece *p, eg_err *err) {
    uint8_t scratch[64 * 1024];
    for (size_t n = 1; n > 0;) {
        eg_status rc = eg_stream_read(p->stream, scratch, sizeof scratch, &n, err);
        if (rc == EG_CORRUPT) {
            p->end.is_cut |= eg_stream_is_cut(p->stream);
            p->end.is_damaged |= !eg_stream_is_cut(p->stream);
            return EG_OK;
        }
        if (rc != EG_OK)
            return rc;
    }
    return EG_OK;
}

static const char *why_growing(const capture_piece *p, const eg_stream_file *now) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t now_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    if (now->has_writer)
        return "a process has it open for writing";
    if (now->n_bytes != p->file_state.n_bytes || now->time_ns != p->file_state.time_ns)
        return "it changed while it was read";
    if (p->end.is_cut && now->time_ns >= 0 && now_ns - now->time_ns < EG_YOUNG_NS)
        return "it ends within a packet and changed less than a minute ago";
    return "";
}

static eg_status watch_end(capture_piece *p, bool has_identity, eg_err *err) {
    const eg_capture_watch *w = p->source->watch;
    p->has_ended = false;
    if (!p->is_watching)
        return EG_OK;
    p->is_watching = false;
    p->end.n_bytes = -1;
    if (has_identity) {
        eg_status rc = drain(p, err);
        if (rc != EG_OK)
            return rc;
        p->end.n_bytes = eg_identity_now(p->source->identity, &p->end.id);
        p->end.n_prefixes = eg_identity_prefixes(p->source->identity, &p->end.prefixes);
    }
    eg_stream_file now = eg_stream_look(p->stream);
    p->end.growing = why_growing(p, &now);
    eg_stream_set_identity(p->stream, NULL);
    p->ledger = NULL;
    return w->end(w->arg, &p->end, err);
}

/* ---- members ------------------------------------------------------------ */

/* Ends the current member: datagrams still in pieces are given up. */
static eg_status end_member(capture_piece *p, eg_err *err) {
    eg_savefile_close(p->savefile);
    p->savefile = NULL;
    if (p->reassembly == NULL)
        return EG_OK;
    eg_reassembled r;
    eg_reassembly_flush(p->reassembly, &r);
    return account_given_up(p, &r, err);
}

/* The reader stopped inside the member: one more packet, and why. */
static eg_status account_damage(capture_piece *p, eg_reason reason, const eg_err *why,
                                eg_err *err) {
    eg_status rc = account(p, reason, p->last_frame + 1, 1, 0, err);
    if (rc == EG_OK && p->ledger != NULL)
        rc = eg_ledger_note(p->ledger, p->file_code, reason, why->msg, err);
    return rc;
}

/* Opens the next member that is a capture. EG_DONE after the last. */
static eg_status open_member(capture_piece *p, eg_err *err) {
    for (;;) {
        const char *name;
        eg_err why = {.offset = -1};
        eg_status rc = eg_stream_next_member(p->stream, &name, &why);
        if (rc == EG_CORRUPT && eg_stream_is_archive(p->stream)) {
            /* A damaged archive: what came before counts, the rest is lost. */
            rc = eg_intern_add(p->source->spec->texts, p->file->path, strlen(p->file->path),
                               &p->file_code, err);
            if (rc == EG_OK)
                rc = watch_begin(p, p->file->path, err);
            if (rc == EG_OK)
                rc = account_damage(p, EG_REASON_FILE_DAMAGED, &why, err);
            p->end = (eg_capture_end){.is_cut = eg_stream_is_cut(p->stream),
                                      .is_damaged = !eg_stream_is_cut(p->stream)};
            if (rc == EG_OK)
                rc = watch_end(p, false, err);
            if (rc != EG_OK)
                return rc;
            p->n_captures++;
            return EG_DONE;
        }
        if (rc == EG_DONE && p->n_captures == 0 && p->file->named)
            return eg_fail(err, EG_UNSUPPORTED, -1,
                           "%s: an archive that holds no capture: expected pcap or pcapng files",
                           p->file->path);
        if (rc != EG_OK) {
            if (err != NULL)
                *err = why;
            return rc;
        }
        bool member_named = p->file->named && !eg_stream_is_archive(p->stream);
        rc = eg_intern_add(p->source->spec->texts, name, strlen(name), &p->file_code, err);
        if (rc != EG_OK)
            return rc;
        p->last_frame = 0;
        watch_from_here(p);
        rc = eg_savefile_open(p->stream, name, &p->savefile, &why);
        if (rc == EG_OK) {
            p->stats.files++;
            p->n_captures++;
            p->end.is_capture = true;
            if (p->source->spec->splits)
                eg_savefile_use_slabs(p->savefile, &p->source->slabs);
            return watch_begin(p, name, err);
        }
        if (rc == EG_CORRUPT) { /* a capture, cut or damaged in its first header */
            p->stats.files++;
            p->n_captures++;
            p->end.is_capture = p->end.is_cut = true;
            rc = watch_begin(p, name, err);
            if (rc == EG_OK)
                rc = account_damage(p, EG_REASON_FILE_CUT, &why, err);
            if (rc == EG_OK)
                rc = watch_end(p, true, err);
            if (rc != EG_OK)
                return rc;
        } else if (rc == EG_UNSUPPORTED && !member_named) {
            if (eg_filelist_is_capture_name(name)) {
                rc = watch_begin(p, name, err);
                if (rc == EG_OK)
                    rc = account_damage(p, EG_REASON_NOT_CAPTURE, &why, err);
                if (rc == EG_OK)
                    rc = watch_end(p, true, err);
                if (rc != EG_OK)
                    return rc;
                p->n_captures++;
            }
        } else {
            if (err != NULL)
                *err = why;
            return rc;
        }
    }
}

/* ---- the piece ---------------------------------------------------------- */

/* Rows that the batch or block took in this call. */
static uint32_t rows_taken(const capture_piece *p, const eg_batch *b) {
    return p->block != NULL ? eg_datagram_block_rows(p->block) : b->n_rows;
}

static bool has_room(const capture_piece *p, const eg_batch *b) {
    return p->block != NULL ? eg_datagram_block_has_room(p->block)
                            : b->n_rows + EG_NF5_MAX_RECORDS <= EG_BATCH_ROWS;
}

/* Fills the batch, NULL where there is a block instead, as eg_piece_ops.next does. */
static eg_status read_packets(capture_piece *p, eg_batch *b, eg_err *err) {
    uint64_t n_bytes = 0; /* captured bytes since the last row */
    for (int i = 0; i < PACKETS_PER_CALL && has_room(p, b); i++) {
        if (p->has_ended) {
            if (rows_taken(p, b) > 0)
                break; /* rows of two captures never meet in a batch */
            eg_status rc = watch_end(p, true, err);
            if (rc != EG_OK)
                return rc;
        }
        if (p->savefile == NULL) {
            eg_status rc = open_member(p, err);
            if (rc == EG_DONE && rows_taken(p, b) > 0)
                break; /* the next call finds the end again */
            if (rc != EG_OK)
                return rc;
        }
        eg_packet packet;
        eg_err why = {.offset = -1};
        bool passes = p->source->watch != NULL && p->source->watch->ids_only;
        eg_status rc = passes ? EG_DONE : eg_savefile_next(p->savefile, &packet, &why);
        if (rc == EG_OK) {
            p->last_frame = packet.number;
            uint32_t n_rows = rows_taken(p, b);
            rc = take_packet(p, &packet, b, err);
            n_bytes = rows_taken(p, b) > n_rows ? 0 : n_bytes + packet.cap_bytes;
            if (rc == EG_OK && n_bytes > BYTES_PER_CALL)
                break;
        } else if (rc == EG_DONE) {
            p->has_ended = p->is_watching;
            rc = end_member(p, err);
        } else if (rc == EG_CORRUPT) {
            bool cut = eg_savefile_is_cut(p->savefile);
            p->end.is_cut |= cut;
            p->end.is_damaged |= !cut;
            p->has_ended = p->is_watching;
            rc = end_member(p, err);
            if (rc == EG_OK)
                rc =
                    account_damage(p, cut ? EG_REASON_FILE_CUT : EG_REASON_FILE_DAMAGED, &why, err);
        } else if (err != NULL) {
            *err = why;
        }
        if (rc != EG_OK)
            return rc;
    }
    p->stats.rows_read += rows_taken(p, b);
    return EG_OK;
}

static eg_status piece_next(eg_piece *base, eg_batch *b, eg_err *err) {
    b->n_rows = 0;
    return read_packets((capture_piece *)base, b, err);
}

static void piece_close(eg_piece *base, eg_scan_stats *stats) {
    capture_piece *p = (capture_piece *)base;
    capture_source *s = p->source;
    s->done_bytes += p->file->size_bytes;
    s->open_piece = NULL;
    if (stats != NULL) {
        stats->files += p->stats.files;
        stats->datagrams += p->stats.datagrams;
        stats->rejected += p->stats.rejected;
        stats->rows_read += p->stats.rows_read;
        stats->bytes_read += p->stream ? eg_stream_consumed_bytes(p->stream) : 0;
    }
    eg_savefile_close(p->savefile);
    eg_reassembly_close(p->reassembly);
    eg_stream_close(p->stream);
    free(p);
}

static const eg_piece_ops piece_ops = {.next = piece_next, .close = piece_close};

/* ---- the source --------------------------------------------------------- */

static eg_status source_next_piece(eg_source *base, eg_piece **out, eg_err *err) {
    capture_source *s = (capture_source *)base;
    *out = NULL;
    if (s->next_file == s->list.n_files)
        return EG_DONE;
    capture_piece *p = calloc(1, sizeof *p);
    if (p == NULL)
        return eg_fail_nomem(err, "a capture reader");
    p->base.ops = &piece_ops;
    p->source = s;
    p->ledger = s->ledger;
    p->file = &s->list.files[s->next_file++];
    eg_status rc = eg_stream_open(p->file->path, &p->stream, err);
    if (rc != EG_OK) {
        free(p);
        return rc;
    }
    eg_stream_set_poll(p->stream, s->spec->poll);
    p->file_state = s->watch != NULL ? eg_stream_look(p->stream) : (eg_stream_file){0};
    s->open_piece = p;
    *out = &p->base;
    return EG_OK;
}

/* Cuts the next block from the files; it may be empty. */
static eg_status split_next_piece(eg_source *base, eg_piece **out, eg_err *err) {
    capture_source *s = (capture_source *)base;
    *out = NULL;
    for (;;) {
        eg_status rc = s->walk == NULL ? source_next_piece(base, &s->walk, err) : EG_OK;
        eg_datagram_block *block = NULL;
        if (rc == EG_OK)
            rc = eg_datagram_block_open(&s->blocks, &block, err);
        if (rc != EG_OK)
            return rc;
        capture_piece *p = (capture_piece *)s->walk;
        p->block = block;
        rc = read_packets(p, NULL, err);
        p->block = NULL;
        if (rc == EG_OK) {
            *out = eg_datagram_block_piece(block);
            return EG_OK;
        }
        eg_piece *unused = eg_datagram_block_piece(block);
        unused->ops->close(unused, NULL);
        if (rc != EG_DONE)
            return rc;
        piece_close(s->walk, &s->stats);
        s->walk = NULL;
    }
}

static void source_progress(const eg_source *base, int64_t *done_bytes, int64_t *total_bytes) {
    const capture_source *s = (const capture_source *)base;
    *done_bytes =
        s->done_bytes + (s->open_piece ? eg_stream_consumed_bytes(s->open_piece->stream) : 0);
    *total_bytes = s->total_bytes;
}

static void source_close(eg_source *base, eg_scan_stats *stats) {
    capture_source *s = (capture_source *)base;
    if (s->walk != NULL)
        piece_close(s->walk, &s->stats);
    if (stats != NULL) /* pieces that are files told all */
        eg_scan_stats_add(stats, &s->stats);
    eg_slab_store_close(&s->slabs);
    eg_block_store_close(&s->blocks);
    eg_filelist_close(&s->list);
    eg_identity_close(s->identity);
    free(s);
}

static const eg_source_ops source_ops = {
    .next_piece = source_next_piece, .progress = source_progress, .close = source_close};
static const eg_source_ops split_ops = {.next_piece = split_next_piece,
                                        .progress = source_progress,
                                        .close = source_close,
                                        .is_independent = true};

static eg_status new_source(const eg_scan_spec *spec, capture_source **out, eg_err *err) {
    capture_source *s = calloc(1, sizeof *s);
    *out = s;
    if (s == NULL)
        return eg_fail_nomem(err, "a capture source");
    s->base.ops = spec->splits ? &split_ops : &source_ops;
    s->spec = spec;
    return EG_OK;
}

static eg_status give_source(capture_source *s, eg_status rc, eg_source **out) {
    if (rc != EG_OK) {
        if (s != NULL)
            source_close(&s->base, NULL);
        return rc;
    }
    for (size_t i = 0; i < s->list.n_files; i++)
        s->total_bytes += s->list.files[i].size_bytes;
    *out = &s->base;
    return EG_OK;
}

eg_status eg_capture_open(const char *source, size_t n_bytes, const eg_scan_spec *spec,
                          eg_ledger *ledger, eg_source **out, eg_err *err) {
    capture_source *s;
    *out = NULL;
    eg_status rc = new_source(spec, &s, err);
    if (rc == EG_OK)
        rc = eg_filelist_open_polled(source, n_bytes, spec->poll, &s->list, err);
    if (rc == EG_OK)
        s->ledger = ledger;
    return give_source(s, rc, out);
}

eg_status eg_capture_open_file(const eg_file *file, const eg_scan_spec *spec,
                               const eg_capture_watch *watch, eg_source **out, eg_err *err) {
    capture_source *s;
    *out = NULL;
    eg_status rc = new_source(spec, &s, err);
    if (rc == EG_OK)
        rc = eg_filelist_one(file, &s->list, err);
    if (rc == EG_OK)
        rc = eg_identity_open(watch->lengths, watch->n_lengths, &s->identity, err);
    if (rc == EG_OK)
        s->watch = watch;
    return give_source(s, rc, out);
}
