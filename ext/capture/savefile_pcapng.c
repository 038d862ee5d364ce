/*
** pcapng, block by block. A file is a row of sections, each in its own byte
** order with its own interfaces; each interface has its link type, its unit of
** time and an offset to it.
**
** Every block is 4 bytes type, 4 total length, body, 4 total length again. Only
** blocks of packets and interfaces are brought together in memory; all others
** are passed over, however long. A packet counts when its whole block is there.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "capture/savefile_readers.h"

#define BLOCK_SECTION 0x0a0d0d0a /* reads the same in both byte orders */
#define BLOCK_INTERFACE 1
#define BLOCK_PACKET_OLD 2
#define BLOCK_PACKET_SIMPLE 3
#define BLOCK_PACKET 6

#define BLOCK_FRAME_BYTES 12   /* type, length, length */
#define SECTION_MIN_BYTES 28   /* with byte order, version, section length */
#define INTERFACE_MIN_BYTES 20 /* with link type, reserved, snaplen */
#define SIMPLE_MIN_BYTES 16    /* with wire length */
#define PACKET_MIN_BYTES 32    /* with interface, time, both lengths */

#define OPTION_END 0
#define OPTION_TSRESOL 9
#define OPTION_TSOFFSET 14

#define MAX_INTERFACES 65536 /* in a section */

typedef struct interface {
    uint32_t link_type;
    uint32_t snaplen; /* 0: none */
    uint8_t tsresol;  /* as in the option: top bit power of 2, else of 10 */
    int64_t offset_seconds;
} interface;

typedef struct pcapng_state {
    bool big_endian; /* of the section */
    interface *interfaces;
    uint32_t n_interfaces, cap_interfaces;
} pcapng_state;

/* The block at the window's start. */
typedef struct block {
    uint32_t type;
    uint32_t total_bytes;
    int64_t offset;
} block;

/* ---- time --------------------------------------------------------------- */

/* Whole ms in `ticks` of which there are 10^exponent or 2^exponent a second;
** false where that is more than an int64_t holds. */
static bool ticks_to_ms(uint64_t ticks, uint8_t tsresol, int64_t *ms) {
    unsigned exponent = tsresol & 0x7f;
    uint64_t value;
    if (tsresol & 0x80) {
        /* ticks * 1000 as hi * 2^32 + lo, shifted right by the exponent. */
        uint64_t lo = (ticks & 0xffffffff) * 1000;
        uint64_t hi = (ticks >> 32) * 1000 + (lo >> 32);
        lo &= 0xffffffff;
        if (exponent >= 32) {
            value = exponent - 32 < 64 ? hi >> (exponent - 32) : 0;
        } else {
            if (hi >> (exponent + 31) != 0) /* hi << (32 - exponent) must keep below 2^63 */
                return false;
            value = hi << (32 - exponent) | lo >> exponent;
        }
    } else {
        value = ticks;
        for (; exponent < 3; exponent++) {
            if (__builtin_mul_overflow(value, 10u, &value))
                return false;
        }
        for (; exponent > 3 && value > 0; exponent--)
            value /= 10;
    }
    *ms = (int64_t)value;
    return value <= INT64_MAX;
}

static int64_t packet_time_ms(const interface *i, uint32_t high, uint32_t low) {
    int64_t ms, offset_ms;
    if (!ticks_to_ms((uint64_t)high << 32 | low, i->tsresol, &ms) ||
        __builtin_mul_overflow(i->offset_seconds, (int64_t)1000, &offset_ms) ||
        __builtin_add_overflow(ms, offset_ms, &ms) || ms < EG_TIME_MIN_MS || ms > EG_TIME_MAX_MS)
        return EG_NO_TIME; /* a time without a text could not be compared as one */
    return ms;
}

/* ---- blocks ------------------------------------------------------------- */

static eg_status block_damage(const eg_savefile *f, const block *b, const char *what,
                              unsigned long long found, const char *expected, eg_err *err) {
    return eg_fail(err, EG_CORRUPT, b->offset,
                   "%s: block of type 0x%08x at offset %lld: found %s %llu, expected %s", f->name,
                   b->type, (long long)b->offset, what, found, expected);
}

static eg_status block_cut(eg_savefile *f, eg_status rc, const block *b, const char *what,
                           uint64_t expected, eg_err *err) {
    return rc == EG_DONE ? eg_savefile_cut(f, what, b->offset, expected, err) : rc;
}

/* Reads type and length of the next block. EG_DONE at a sound end. */
static eg_status block_begin(eg_savefile *f, block *b, eg_err *err) {
    pcapng_state *st = f->state;
    b->offset = f->window.offset;
    eg_status rc = eg_window_need(f, BLOCK_FRAME_BYTES, err);
    if (rc == EG_DONE && f->window.pos == f->window.end)
        return EG_DONE;
    if (rc != EG_OK)
        return block_cut(f, rc, b, "a block", BLOCK_FRAME_BYTES, err);
    const uint8_t *p = eg_window_at(f);
    if (eg_be32(p) == BLOCK_SECTION) {
        /* Its byte order comes behind its length. */
        uint32_t order = eg_be32(p + 8);
        if (order != 0x1a2b3c4d && order != 0x4d3c2b1a)
            return eg_fail(err, EG_CORRUPT, b->offset + 8,
                           "%s: section header at offset %lld: found byte order %08x, expected "
                           "1a2b3c4d or 4d3c2b1a",
                           f->name, (long long)b->offset, order);
        st->big_endian = order == 0x1a2b3c4d;
    }
    b->type = eg_load32(p, st->big_endian);
    b->total_bytes = eg_load32(p + 4, st->big_endian);
    if (b->total_bytes < BLOCK_FRAME_BYTES || b->total_bytes % 4 != 0)
        return block_damage(f, b, "a length of", b->total_bytes, "12 or more, a multiple of 4",
                            err);
    return EG_OK;
}

static eg_status check_trailer(const eg_savefile *f, const block *b, uint32_t trailer,
                               eg_err *err) {
    char expected[16 + 10];
    if (trailer == b->total_bytes)
        return EG_OK;
    snprintf(expected, sizeof expected, "%u", b->total_bytes);
    return block_damage(f, b, "a length at its end of", trailer, expected, err);
}

/* Brings the whole block together and checks its end. */
static eg_status block_gather(eg_savefile *f, const block *b, uint32_t min_bytes, eg_err *err) {
    const pcapng_state *st = f->state;
    if (b->total_bytes < min_bytes)
        return block_damage(f, b, "a length of", b->total_bytes, "room for its fields", err);
    if (b->total_bytes > EG_BLOCK_MAX_BYTES)
        return block_damage(f, b, "a length of", b->total_bytes, "at most 16777216", err);
    eg_status rc = eg_window_need(f, b->total_bytes, err);
    if (rc != EG_OK)
        return block_cut(f, rc, b, "a block", b->total_bytes, err);
    return check_trailer(f, b, eg_load32(eg_window_at(f) + b->total_bytes - 4, st->big_endian),
                         err);
}

/* Passes over n_left bytes of the block, the last 4 being its length again. */
static eg_status block_skip(eg_savefile *f, const block *b, uint32_t n_left, eg_err *err) {
    const pcapng_state *st = f->state;
    eg_status rc = eg_window_skip(f, n_left - 4, err);
    if (rc == EG_OK)
        rc = eg_window_need(f, 4, err);
    if (rc != EG_OK)
        return block_cut(f, rc, b, "a block", b->total_bytes, err);
    uint32_t trailer = eg_load32(eg_window_at(f), st->big_endian);
    eg_window_use(f, 4);
    return check_trailer(f, b, trailer, err);
}

/* ---- sections and interfaces -------------------------------------------- */

static eg_status take_section(eg_savefile *f, const block *b, eg_err *err) {
    pcapng_state *st = f->state;
    if (b->total_bytes < SECTION_MIN_BYTES)
        return block_damage(f, b, "a length of", b->total_bytes, "28 or more", err);
    eg_status rc = eg_window_need(f, SECTION_MIN_BYTES - 4, err);
    if (rc != EG_OK)
        return block_cut(f, rc, b, "a section header", b->total_bytes, err);
    const uint8_t *p = eg_window_at(f);
    uint16_t major = eg_load16(p + 12, st->big_endian), minor = eg_load16(p + 14, st->big_endian);
    if (major != 1)
        return eg_fail(err, b->offset == 0 ? EG_UNSUPPORTED : EG_CORRUPT, b->offset + 12,
                       "%s: section header at offset %lld: found pcapng version %u.%u, expected 1",
                       f->name, (long long)b->offset, major, minor);
    st->n_interfaces = 0;
    /* Its length tells nothing that the blocks do not tell: sections that are
    ** not finished have none. */
    eg_window_use(f, SECTION_MIN_BYTES - 4);
    return block_skip(f, b, b->total_bytes - (SECTION_MIN_BYTES - 4), err);
}

static eg_status take_options(eg_savefile *f, const block *b, interface *i, eg_err *err) {
    bool be = ((const pcapng_state *)f->state)->big_endian;
    const uint8_t *block_start = eg_window_at(f);
    const uint8_t *p = block_start + 16, *end = block_start + b->total_bytes - 4;
    while (end - p >= 4) {
        uint16_t code = eg_load16(p, be), n = eg_load16(p + 2, be);
        p += 4;
        if (code == OPTION_END)
            break;
        if (n > end - p)
            return block_damage(f, b, "an option of length", n, "one inside the block", err);
        if (code == OPTION_TSRESOL) {
            if (n != 1)
                return block_damage(f, b, "an if_tsresol of length", n, "1", err);
            i->tsresol = p[0];
        } else if (code == OPTION_TSOFFSET) {
            if (n != 8)
                return block_damage(f, b, "an if_tsoffset of length", n, "8", err);
            uint64_t first = eg_load32(p, be), second = eg_load32(p + 4, be);
            i->offset_seconds = (int64_t)(be ? first << 32 | second : second << 32 | first);
        }
        size_t padded = ((size_t)n + 3) & ~(size_t)3; /* the block's end is a multiple of 4 too */
        p += padded;
    }
    return EG_OK;
}

static eg_status take_interface(eg_savefile *f, const block *b, eg_err *err) {
    pcapng_state *st = f->state;
    eg_status rc = block_gather(f, b, INTERFACE_MIN_BYTES, err);
    if (rc != EG_OK)
        return rc;
    if (st->n_interfaces == MAX_INTERFACES)
        return block_damage(f, b, "interface number", st->n_interfaces + 1ull, "at most 65536",
                            err);
    if (st->n_interfaces == st->cap_interfaces) {
        uint32_t cap = st->cap_interfaces > 0 ? 2 * st->cap_interfaces : 8;
        interface *grown = realloc(st->interfaces, cap * sizeof *grown); /* cap is bounded */
        if (grown == NULL)
            return eg_fail_nomem(err, "a capture's interfaces");
        st->interfaces = grown;
        st->cap_interfaces = cap;
    }
    const uint8_t *p = eg_window_at(f);
    interface *i = &st->interfaces[st->n_interfaces];
    *i = (interface){.link_type = eg_load16(p + 8, st->big_endian),
                     .snaplen = eg_load32(p + 12, st->big_endian),
                     .tsresol = 6};
    rc = take_options(f, b, i, err);
    if (rc != EG_OK)
        return rc;
    st->n_interfaces++;
    eg_window_use(f, b->total_bytes);
    return EG_OK;
}

/* ---- packets ------------------------------------------------------------ */

/* The interface of a packet; NULL and the failure told where there is none. */
static const interface *find_interface(const eg_savefile *f, const block *b, uint32_t number,
                                       eg_err *err) {
    const pcapng_state *st = f->state;
    if (number < st->n_interfaces)
        return &st->interfaces[number];
    block_damage(f, b, "a packet of interface", number, "one that its section has defined before",
                 err);
    return NULL;
}

/* Packet data begins `header` bytes into the block. */
static eg_status check_fits(const eg_savefile *f, const block *b, uint32_t header,
                            uint32_t cap_bytes, eg_err *err) {
    if (cap_bytes > b->total_bytes - header - 4)
        return block_damage(f, b, "a captured length of", cap_bytes, "no more than is in the block",
                            err);
    return EG_OK;
}

/* Enhanced and old packet blocks differ in the interface field alone. */
static eg_status take_packet(eg_savefile *f, const block *b, eg_packet *packet, eg_err *err) {
    bool be = ((const pcapng_state *)f->state)->big_endian;
    eg_status rc = block_gather(f, b, PACKET_MIN_BYTES, err);
    if (rc != EG_OK)
        return rc;
    const uint8_t *p = eg_window_at(f);
    uint32_t number = b->type == BLOCK_PACKET ? eg_load32(p + 8, be) : eg_load16(p + 8, be);
    const interface *i = find_interface(f, b, number, err);
    if (i == NULL)
        return EG_CORRUPT;
    packet->cap_bytes = eg_load32(p + 20, be);
    packet->wire_bytes = eg_load32(p + 24, be);
    packet->data = p + 28;
    packet->link_type = i->link_type;
    packet->time_ms = packet_time_ms(i, eg_load32(p + 12, be), eg_load32(p + 16, be));
    rc = check_fits(f, b, 28, packet->cap_bytes, err);
    if (rc == EG_OK)
        eg_window_use(f, b->total_bytes);
    return rc;
}

/* A simple packet is of the first interface, has no time, and its captured
** length follows from the snaplen. */
static eg_status take_simple(eg_savefile *f, const block *b, eg_packet *packet, eg_err *err) {
    bool be = ((const pcapng_state *)f->state)->big_endian;
    eg_status rc = block_gather(f, b, SIMPLE_MIN_BYTES, err);
    if (rc != EG_OK)
        return rc;
    const interface *i = find_interface(f, b, 0, err);
    if (i == NULL)
        return EG_CORRUPT;
    const uint8_t *p = eg_window_at(f);
    packet->wire_bytes = packet->cap_bytes = eg_load32(p + 8, be);
    if (i->snaplen > 0 && packet->cap_bytes > i->snaplen)
        packet->cap_bytes = i->snaplen;
    packet->data = p + 12;
    packet->link_type = i->link_type;
    packet->time_ms = EG_NO_TIME;
    rc = check_fits(f, b, 12, packet->cap_bytes, err);
    if (rc == EG_OK)
        eg_window_use(f, b->total_bytes);
    return rc;
}

/* ---- the reader --------------------------------------------------------- */

static eg_status pcapng_open(eg_savefile *f, eg_err *err) {
    f->state = calloc(1, sizeof(pcapng_state));
    if (f->state == NULL)
        return eg_fail_nomem(err, "a capture reader");
    block b;
    eg_status rc = block_begin(f, &b, err); /* the magic is there: no EG_DONE */
    return rc == EG_OK ? take_section(f, &b, err) : rc;
}

static eg_status pcapng_next(eg_savefile *f, eg_packet *packet, eg_err *err) {
    for (;;) {
        block b;
        eg_status rc = block_begin(f, &b, err);
        if (rc != EG_OK)
            return rc;
        switch (b.type) {
        case BLOCK_PACKET:
        case BLOCK_PACKET_OLD:
            return take_packet(f, &b, packet, err);
        case BLOCK_PACKET_SIMPLE:
            return take_simple(f, &b, packet, err);
        case BLOCK_INTERFACE:
            rc = take_interface(f, &b, err);
            break;
        case BLOCK_SECTION:
            rc = take_section(f, &b, err);
            break;
        default: /* names, statistics, secrets, custom and unknown ones */
            rc = block_skip(f, &b, b.total_bytes, err);
        }
        if (rc != EG_OK)
            return rc;
    }
}

static void pcapng_close(eg_savefile *f) {
    pcapng_state *st = f->state;
    if (st != NULL)
        free(st->interfaces);
    free(st);
}

const eg_reader eg_reader_pcapng = {pcapng_open, pcapng_next, pcapng_close, true};
