/*
** Savefiles: packets of a pcap or pcapng capture, in file order, read from the
** current member of a stream.
**
** Three readers behind one interface, chosen by the first bytes:
**   pcap    plain classic pcap (us, ns; either byte order): own walker over
**           large reads, since libpcap's two copies a packet double the time
**   libpcap classic pcap that comes compressed, out of an archive or in the
**           "modified" and other rare variants, through a stdio cookie
**   pcapng  own block reader: several sections in either byte order, interfaces
**           of different link types (libpcap refuses those), any if_tsresol and
**           if_tsoffset, Enhanced, Simple and the obsolete Packet blocks
*/
#ifndef EG_SAVEFILE_H
#define EG_SAVEFILE_H

#include "capture/slab.h"
#include "capture/stream.h"
#include "flow/schema.h" /* EG_NO_TIME */

typedef struct eg_savefile eg_savefile;

typedef struct eg_packet {
    const uint8_t *data; /* captured bytes; valid until the next call */
    uint32_t cap_bytes;  /* captured */
    uint32_t wire_bytes; /* on the wire; >= cap_bytes for sound captures, not checked */
    int64_t time_ms;     /* capture clock, ms since 1970 UTC rounded down; EG_NO_TIME if none */
    uint32_t link_type;  /* LINKTYPE_ or DLT_ number as the file gives it */
    int64_t number;      /* frame number in the member, from 1, as Wireshark counts */
} eg_packet;

/* The capture magic at the start of a member. */
typedef enum eg_magic { EG_MAGIC_NONE, EG_MAGIC_PCAP, EG_MAGIC_PCAPNG } eg_magic;

/* What the first n_bytes (4 are enough) of a member are. */
eg_magic eg_savefile_magic(const uint8_t *head, size_t n_bytes);

/* Reads the file header from the stream's current member, `name` being its
** name for messages (copied). *out must be closed before the stream moves on.
** EG_UNSUPPORTED "name: not a pcap or pcapng capture: found <hex and text of the
** first bytes>, expected …", "…: the file is empty", or a version that nobody
** reads; EG_CORRUPT where the header (in pcapng the whole first block) is cut or
** damaged, or the wrapping is before any of it came out; EG_IO, EG_NOMEM. */
eg_status eg_savefile_open(eg_stream *s, const char *name, eg_savefile **out, eg_err *err);

/* The next packet. EG_DONE at a sound end. EG_CORRUPT where the file is cut or
** damaged: every complete packet before was delivered, none comes after; the
** message says where (offset in the unwrapped file), found and expected.
** Only EG_IO and EG_NOMEM are failures of the reader itself. */
eg_status eg_savefile_next(eg_savefile *f, eg_packet *packet, eg_err *err);

/* After EG_CORRUPT from eg_savefile_next: true when the capture (or its wrapping)
** just ends too early, false when what is there makes no sense. */
bool eg_savefile_is_cut(const eg_savefile *f);

/* Has the reader take its buffers from there; borrowed until it is closed. */
void eg_savefile_use_slabs(eg_savefile *f, eg_slab_store *slabs);

/* The slab that the last packet's bytes are in: they stay as long as it is held. NULL where they
** are elsewhere, and gone with the next call. */
eg_slab *eg_savefile_slab(eg_savefile *f);

/* NULL is allowed. Does not close the stream. */
void eg_savefile_close(eg_savefile *f);

#endif
