/*
** Reassembly of IPv4 and IPv6 fragments, in any order, bounded in memory: at
** most EG_REASSEMBLY_MAX datagrams are open at a time, each of at most 64 KiB;
** beyond that the oldest is given up. Overlapping fragments: the first
** arrival wins. Never trusts a length it did not check.
**
** Identifications come round again (IPv4 has 65,536), so a datagram that is
** still open takes fragments only within EG_REASSEMBLY_MAX_AGE_MS of its first
** one by the capture clock; a later one gives it up and begins another.
**
** Frames are conserved: each one added is told once, as part of a whole datagram
** or of one given up.
*/
#ifndef EG_REASSEMBLY_H
#define EG_REASSEMBLY_H

#include "capture/frame.h"

#define EG_REASSEMBLY_MAX 64
#define EG_REASSEMBLY_MAX_AGE_MS 30000

typedef struct eg_reassembly eg_reassembly;

eg_status eg_reassembly_open(eg_reassembly **out, eg_err *err);

/* Takes a fragment. out->whole is set to true when it completed its datagram:
** then payload, n_bytes are the whole IP payload, valid until the next call,
** and n_fragments the number of frames that it came from (duplicates included).
** A fragment captured short, beyond 65,535 bytes, or against what the others
** say of the end spoils its datagram (it is never completed). n_given_up counts
** datagrams that were dropped to make room or for their age in this call, and
** given_up_frames the frames they had. EG_NOMEM (the fragment was not taken; what
** was given up is told all the same) or EG_OK. */
typedef struct eg_reassembled {
    bool whole;
    const uint8_t *payload;
    uint32_t n_bytes;
    uint32_t n_fragments;
    uint32_t n_given_up;
    uint32_t given_up_frames;
    int64_t given_up_first_frame; /* number of the first frame of a given-up datagram */
} eg_reassembled;

eg_status eg_reassembly_add(eg_reassembly *r, const eg_fragment *f, int64_t frame_number,
                            eg_reassembled *out, eg_err *err);

/* Gives up all open datagrams (end of a file): how many, of how many frames. */
void eg_reassembly_flush(eg_reassembly *r, eg_reassembled *out);

void eg_reassembly_close(eg_reassembly *r);

#endif
