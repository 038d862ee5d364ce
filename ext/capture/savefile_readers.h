/*
** Inside the savefile reader: what its three readers share. A savefile owns a
** window over the member's bytes; a reader is a table of functions on it.
*/
#ifndef EG_SAVEFILE_READERS_H
#define EG_SAVEFILE_READERS_H

#include "capture/savefile.h"
#include "capture/slab.h"

/* Where a reader stops: no packet of a network that carries flow exports is
** longer (libpcap's bound for such link types too), no block of a packet either. */
#define EG_PACKET_MAX_BYTES 262144
#define EG_BLOCK_MAX_BYTES (16 * 1024 * 1024)
#define EG_PCAP_HEADER_BYTES 24 /* of a classic pcap file */

/* Bytes [pos, end) of buf are read from the stream and not yet used. */
typedef struct eg_window {
    eg_slab *slab; /* a hold: buf is its bytes */
    uint8_t *buf;
    size_t cap, pos, end;
    int64_t offset;   /* in the member of buf[pos] */
    bool ended;       /* the stream is at its end, or failed */
    eg_status failed; /* its failure, told where the bytes run out; else EG_OK */
    eg_err why;
} eg_window;

typedef struct eg_reader {
    /* Reads the file header. The window is at the member's start and holds the
    ** magic; for the readers of classic pcap all EG_PCAP_HEADER_BYTES, checked. */
    eg_status (*open)(eg_savefile *f, eg_err *err);
    /* As eg_savefile_next, which keeps the end; number is filled there. */
    eg_status (*next)(eg_savefile *f, eg_packet *packet, eg_err *err);
    void (*close)(eg_savefile *f); /* frees f->state; also after a failed open */
    bool is_in_place;              /* packets are bytes of the window */
} eg_reader;

struct eg_savefile {
    const eg_reader *reader;
    eg_stream *stream; /* borrowed */
    char *name;        /* owned; for messages */
    eg_window window;
    eg_slab_store *slabs; /* borrowed; of the window's further ones */
    int64_t n_packets;    /* delivered so far */
    bool is_cut;          /* set by a reader before it returns EG_CORRUPT */
    eg_status ended;      /* EG_OK while it goes on */
    eg_err why;
    /* Of a classic pcap, for its two readers. */
    bool big_endian;
    bool nanoseconds;
    uint32_t link_type;
    void *state; /* the reader's own; owned by it */
};

extern const eg_reader eg_reader_plain, eg_reader_libpcap, eg_reader_pcapng;

typedef enum eg_reader_kind { EG_READ_BY_CONTENT, EG_READ_PLAIN, EG_READ_LIBPCAP } eg_reader_kind;

/* eg_savefile_open with the reader of a classic pcap prescribed; for tests. */
eg_status eg_savefile_open_with(eg_stream *s, const char *name, eg_reader_kind kind,
                                eg_savefile **out, eg_err *err);

/* Brings n bytes together at buf[pos]. EG_OK; EG_DONE where the member ends
** before (buf[pos..end) is all there is); the stream's failure; EG_NOMEM. Memory
** grows with the bytes that are there, not with n. */
eg_status eg_window_fill(eg_savefile *f, size_t n, eg_err *err);

static inline eg_status eg_window_need(eg_savefile *f, size_t n, eg_err *err) {
    const eg_window *w = &f->window;
    return w->end - w->pos >= n ? EG_OK : eg_window_fill(f, n, err);
}

static inline const uint8_t *eg_window_at(const eg_savefile *f) {
    return f->window.buf + f->window.pos;
}

/* Moves on over n bytes that are in the window. */
static inline void eg_window_use(eg_savefile *f, size_t n) {
    f->window.pos += n;
    f->window.offset += (int64_t)n;
}

/* Moves on over n bytes of the member, in the window or not. As eg_window_fill. */
eg_status eg_window_skip(eg_savefile *f, uint64_t n, eg_err *err);

/* EG_CORRUPT for a member that ends inside `what`, of which `expected` bytes from
** `offset` on should be there; the window is at its last bytes. Marks it as cut. */
eg_status eg_savefile_cut(eg_savefile *f, const char *what, int64_t offset, uint64_t expected,
                          eg_err *err);

#endif
