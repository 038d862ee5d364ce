/*
** Frames: from a captured packet to the UDP datagram in it. Handles Ethernet
** with stacked VLAN tags (0x8100, 0x88a8, 0x9100), Linux cooked v1 and v2,
** RAW, NULL and LOOP in either byte order and with any system's AF_INET6,
** IPV4, IPV6, PPP; IPv4 with options, IPv6 with extension headers. The IP
** length, not the frame's, decides the payload. Checksums are not looked at.
*/
#ifndef EG_FRAME_H
#define EG_FRAME_H

#include "base/status.h"
#include "capture/reasons.h"
#include "capture/savefile.h"

typedef struct eg_ip_addr {
    uint8_t bytes[16]; /* network order; IPv4 uses the first 4, the rest 0 */
    uint8_t n_bytes;   /* 4 or 16 */
} eg_ip_addr;

/* A UDP datagram (or as much of it as was captured). */
typedef struct eg_datagram {
    eg_ip_addr src;
    uint16_t srcport, dstport;
    const uint8_t *payload; /* into the packet or the reassembler's memory */
    uint32_t n_bytes;       /* payload bytes that are there */
    uint32_t full_bytes;    /* payload bytes there should be by the UDP and IP length */
} eg_datagram;

/* One IP fragment. */
typedef struct eg_fragment {
    eg_ip_addr src, dst;
    uint32_t id;
    uint8_t protocol;
    uint32_t offset_bytes; /* of data in the IP payload */
    bool more;             /* not the last one */
    const uint8_t *data;   /* into the packet */
    uint32_t n_bytes;      /* captured bytes of data */
    uint32_t full_bytes;   /* bytes by the IP length; > n_bytes when captured short */
    int64_t time_ms;       /* capture clock; EG_NO_TIME without one */
} eg_fragment;

typedef enum eg_frame_kind { EG_FRAME_DATAGRAM, EG_FRAME_FRAGMENT, EG_FRAME_REJECT } eg_frame_kind;

/* Decodes a packet's bytes: untrusted, not modified. Fills *datagram or
** *fragment by the result; on EG_FRAME_REJECT *reason says why (NOT_UDP,
** BAD_IP or LINK_TYPE). An unfragmented datagram of which only the
** first bytes were captured is a datagram as long as the UDP header is there. */
eg_frame_kind eg_frame_decode(const eg_packet *packet, eg_datagram *datagram, eg_fragment *fragment,
                              eg_reason *reason);

/* Decodes a whole IP payload of protocol UDP (a reassembled one). False when
** the UDP header is cut or contradicts itself. src is filled by the caller. */
bool eg_frame_udp(const uint8_t *ip_payload, uint32_t n_bytes, uint32_t full_bytes,
                  eg_datagram *datagram);

#endif
