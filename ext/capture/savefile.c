/*
** Which reader a capture gets, and what all readers share: the window over the
** member's bytes, the end that sticks, the frame numbers.
*/
#include "capture/savefile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "capture/savefile_readers.h"

#define WINDOW_BYTES (512 * 1024) /* a longest packet and its header fit twice */

/* ---- magics ------------------------------------------------------------- */

#define MAGIC_MICRO 0xa1b2c3d4
#define MAGIC_NANO 0xa1b23c4d
#define MAGIC_MODIFIED 0xa1b2cd34 /* longer record headers; libpcap knows them */

static const uint8_t magics[][4] = {
    {0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d},
    {0x4d, 0x3c, 0xb2, 0xa1}, {0xa1, 0xb2, 0xcd, 0x34}, {0x34, 0xcd, 0xb2, 0xa1},
    {0x0a, 0x0d, 0x0d, 0x0a},
};
#define N_MAGICS (sizeof magics / sizeof magics[0])
#define PCAPNG_MAGIC (N_MAGICS - 1)

eg_magic eg_savefile_magic(const uint8_t *head, size_t n_bytes) {
    for (size_t i = 0; n_bytes >= 4 && i < N_MAGICS; i++) {
        if (memcmp(head, magics[i], 4) == 0)
            return i == PCAPNG_MAGIC ? EG_MAGIC_PCAPNG : EG_MAGIC_PCAP;
    }
    return EG_MAGIC_NONE;
}

/* True for the first bytes of a magic: a capture that was cut very early. */
static bool begins_magic(const uint8_t *head, size_t n_bytes) {
    for (size_t i = 0; n_bytes > 0 && n_bytes < 4 && i < N_MAGICS; i++) {
        if (memcmp(head, magics[i], n_bytes) == 0)
            return true;
    }
    return false;
}

static eg_status fail_no_capture(const char *name, const uint8_t *head, size_t n_bytes,
                                 eg_err *err) {
    if (n_bytes == 0)
        return eg_fail(err, EG_UNSUPPORTED, 0,
                       "%s: not a pcap or pcapng capture: the file is empty", name);
    char hex[3 * 4 + 1] = "", text[4 + 1] = "";
    size_t n = n_bytes < 4 ? n_bytes : 4;
    for (size_t i = 0; i < n; i++) {
        snprintf(hex + 3 * i, sizeof hex - 3 * i, "%02x ", head[i]);
        text[i] = head[i] >= ' ' && head[i] < 0x7f ? (char)head[i] : '.';
    }
    hex[3 * n - 1] = '\0';
    return eg_fail(err, EG_UNSUPPORTED, 0,
                   "%s: not a pcap or pcapng capture: found %s (\"%s\"), expected a pcap magic "
                   "(a1b2c3d4, a1b23c4d or a1b2cd34 in either byte order) or pcapng's (0a0d0d0a)",
                   name, hex, text);
}

/* ---- the window --------------------------------------------------------- */

/* Moves what is not used yet to the front of a slab of at least cap bytes: of the window's own, if
** it is large enough and nobody else holds it. */
static eg_status window_move(eg_savefile *f, size_t cap, eg_err *err) {
    eg_window *w = &f->window;
    size_t n_here = w->end - w->pos;
    eg_slab *slab = w->slab;
    cap = cap > n_here ? cap : n_here;
    if (slab == NULL || slab->n_holders > 1 || slab->cap < cap) {
        eg_status rc = eg_slab_take(cap > WINDOW_BYTES ? NULL : f->slabs, cap, &slab, err);
        if (rc != EG_OK)
            return rc;
    }
    if (n_here > 0)
        memmove(slab->bytes, w->buf + w->pos, n_here);
    if (slab != w->slab)
        eg_slab_release(w->slab);
    w->slab = slab;
    w->buf = slab->bytes;
    w->cap = slab->cap;
    w->pos = 0;
    w->end = n_here;
    return EG_OK;
}

/* Room for n bytes, or twice what there was on the way to it. */
static eg_status window_grow(eg_savefile *f, size_t n, eg_err *err) {
    const eg_window *w = &f->window;
    size_t cap = w->cap > 0 ? w->cap : WINDOW_BYTES;
    while (w->cap > 0 && cap < n && cap < 2 * w->cap)
        cap *= 2;
    return window_move(f, cap, err);
}

eg_status eg_window_fill(eg_savefile *f, size_t n, eg_err *err) {
    eg_window *w = &f->window;
    if (w->end - w->pos >= n)
        return EG_OK;
    if (w->pos > 0) {
        eg_status rc = window_move(f, w->slab->n_holders > 1 ? WINDOW_BYTES : w->cap, err);
        if (rc != EG_OK)
            return rc;
    }
    while (w->end < n && !w->ended) {
        if (w->end == w->cap) {
            eg_status rc = window_grow(f, n, err);
            if (rc != EG_OK)
                return rc;
        }
        size_t n_read;
        w->failed = eg_stream_read(f->stream, w->buf + w->end, w->cap - w->end, &n_read, &w->why);
        w->ended = w->failed != EG_OK || n_read == 0;
        w->end += n_read;
    }
    if (w->end >= n)
        return EG_OK;
    if (w->failed == EG_OK)
        return EG_DONE;
    f->is_cut = w->failed == EG_CORRUPT && eg_stream_is_cut(f->stream);
    if (err != NULL)
        *err = w->why;
    return w->failed;
}

eg_status eg_window_skip(eg_savefile *f, uint64_t n, eg_err *err) {
    while (n > 0) {
        eg_status rc = eg_window_need(f, 1, err);
        if (rc != EG_OK)
            return rc;
        size_t step = f->window.end - f->window.pos;
        if (step > n)
            step = (size_t)n;
        eg_window_use(f, step);
        n -= step;
    }
    return EG_OK;
}

eg_status eg_savefile_cut(eg_savefile *f, const char *what, int64_t offset, uint64_t expected,
                          eg_err *err) {
    int64_t end = f->window.offset + (int64_t)(f->window.end - f->window.pos);
    f->is_cut = true;
    return eg_fail(err, EG_CORRUPT, offset,
                   "%s: cut in %s at offset %lld: found %lld bytes, expected %llu", f->name, what,
                   (long long)offset, (long long)(end - offset), (unsigned long long)expected);
}

/* ---- opening ------------------------------------------------------------ */

/* The header of a classic pcap: which of the two readers takes it. */
static eg_status choose_classic(eg_savefile *f, eg_reader_kind kind, eg_err *err) {
    eg_status rc = eg_window_need(f, EG_PCAP_HEADER_BYTES, err);
    if (rc == EG_DONE)
        rc = eg_savefile_cut(f, "the file header", 0, EG_PCAP_HEADER_BYTES, err);
    if (rc != EG_OK)
        return rc;
    const uint8_t *h = eg_window_at(f);
    f->big_endian = h[0] == 0xa1;
    uint32_t magic = eg_load32(h, f->big_endian);
    uint16_t major = eg_load16(h + 4, f->big_endian), minor = eg_load16(h + 6, f->big_endian);
    f->nanoseconds = magic == MAGIC_NANO;
    f->link_type = eg_load32(h + 20, f->big_endian) & 0x03ffffff; /* above: length of the FCS */
    /* Version 543.0 is what one system's tcpdump wrote instead of 2.3. */
    if (!(major == 2 && minor <= 4) && !(major == 543 && minor == 0))
        return eg_fail(err, EG_UNSUPPORTED, 4,
                       "%s: a pcap of a version that is not read: found %u.%u, expected 2.0 to 2.4",
                       f->name, major, minor);
    /* Before 2.4 the two lengths of a record may be the other way round. */
    bool usual = magic != MAGIC_MODIFIED && major == 2 && minor == 4;
    if (kind == EG_READ_BY_CONTENT)
        kind = usual && eg_stream_is_plain(f->stream) ? EG_READ_PLAIN : EG_READ_LIBPCAP;
    else if (kind == EG_READ_PLAIN && !usual)
        return eg_fail(err, EG_MISUSE, 0, "%s: not for the plain reader", f->name);
    f->reader = kind == EG_READ_PLAIN ? &eg_reader_plain : &eg_reader_libpcap;
    return EG_OK;
}

static eg_status choose_reader(eg_savefile *f, eg_reader_kind kind, eg_err *err) {
    eg_status rc = eg_window_need(f, 4, err);
    if (rc != EG_OK && rc != EG_DONE)
        return rc;
    const uint8_t *head = eg_window_at(f);
    size_t n = f->window.end - f->window.pos;
    switch (eg_savefile_magic(head, n)) {
    case EG_MAGIC_PCAP:
        return choose_classic(f, kind, err);
    case EG_MAGIC_PCAPNG:
        f->reader = &eg_reader_pcapng;
        return EG_OK;
    case EG_MAGIC_NONE:
        break;
    }
    if (begins_magic(head, n))
        return eg_savefile_cut(f, "the file header", 0, EG_PCAP_HEADER_BYTES, err);
    return fail_no_capture(f->name, head, n, err);
}

eg_status eg_savefile_open_with(eg_stream *s, const char *name, eg_reader_kind kind,
                                eg_savefile **out, eg_err *err) {
    *out = NULL;
    eg_savefile *f = calloc(1, sizeof *f);
    if (f == NULL)
        return eg_fail_nomem(err, "a capture reader");
    f->stream = s;
    f->name = strdup(name);
    eg_status rc =
        f->name != NULL ? window_grow(f, 0, err) : eg_fail_nomem(err, "a capture's name");
    if (rc == EG_OK)
        rc = choose_reader(f, kind, err);
    if (rc == EG_OK)
        rc = f->reader->open(f, err);
    if (rc != EG_OK) {
        eg_savefile_close(f);
        return rc;
    }
    *out = f;
    return EG_OK;
}

eg_status eg_savefile_open(eg_stream *s, const char *name, eg_savefile **out, eg_err *err) {
    return eg_savefile_open_with(s, name, EG_READ_BY_CONTENT, out, err);
}

/* ---- packets ------------------------------------------------------------ */

eg_status eg_savefile_next(eg_savefile *f, eg_packet *packet, eg_err *err) {
    if (f->ended == EG_OK) {
        f->ended = f->reader->next(f, packet, &f->why);
        if (f->ended == EG_OK) {
            packet->number = ++f->n_packets;
            return EG_OK;
        }
    }
    if (f->ended != EG_DONE && err != NULL)
        *err = f->why;
    return f->ended;
}

bool eg_savefile_is_cut(const eg_savefile *f) {
    return f->is_cut;
}

void eg_savefile_use_slabs(eg_savefile *f, eg_slab_store *slabs) {
    f->slabs = slabs;
}

eg_slab *eg_savefile_slab(eg_savefile *f) {
    return f->reader->is_in_place ? f->window.slab : NULL;
}

void eg_savefile_close(eg_savefile *f) {
    if (f == NULL)
        return;
    if (f->reader != NULL)
        f->reader->close(f);
    eg_slab_release(f->window.slab);
    free(f->name);
    free(f);
}
