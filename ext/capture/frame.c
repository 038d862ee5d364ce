/*
** From the link layer inwards, each layer narrows a view of the captured bytes
** and of the bytes there were on the wire. Every load is preceded by a check
** against the captured part; lengths in headers only ever narrow the view.
*/
#include "capture/frame.h"

#include <string.h>

#include "base/bytes.h"

#define LINK_NULL 0
#define LINK_EN10MB 1
#define LINK_PPP 9
#define LINK_RAW_DLT 12 /* DLT_RAW of most systems, written to files by some */
#define LINK_RAW_OPENBSD 14
#define LINK_PPP_HDLC 50
#define LINK_RAW 101
#define LINK_LOOP 108
#define LINK_LINUX_SLL 113
#define LINK_IPV4 228
#define LINK_IPV6 229
#define LINK_LINUX_SLL2 276

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define ETHERTYPE_QINQ_OLD 0x9100

#define PROTOCOL_UDP 17
#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define UDP_HEADER_BYTES 8

/* IPv6 extension headers (RFC 8200 and its registry). */
#define IPV6_HOP_BY_HOP 0
#define IPV6_ROUTING 43
#define IPV6_FRAGMENT 44
#define IPV6_AUTHENTICATION 51
#define IPV6_DESTINATION 60
#define IPV6_MOBILITY 135
#define IPV6_HIP 139
#define IPV6_SHIM6 140

/* What is left of a packet: n_bytes captured of full_bytes, n_bytes <= full_bytes. */
typedef struct view {
    const uint8_t *p;
    uint32_t n_bytes;
    uint32_t full_bytes;
} view;

/* Drops n bytes in front; false where they were not captured. */
static bool skip(view *v, uint32_t n) {
    if (v->n_bytes < n)
        return false;
    v->p += n;
    v->n_bytes -= n;
    v->full_bytes -= n;
    return true;
}

/* Makes `full` the length of the view: bytes behind it belong to no one. */
static void limit(view *v, uint32_t full) {
    v->full_bytes = full;
    if (v->n_bytes > full)
        v->n_bytes = full;
}

static eg_ip_addr address(const uint8_t *p, uint8_t n_bytes) {
    eg_ip_addr a = {.n_bytes = n_bytes}; /* the unused bytes are 0: addresses compare as a whole */
    memcpy(a.bytes, p, n_bytes);
    return a;
}

static eg_frame_kind reject(eg_reason *reason, eg_reason why) {
    *reason = why;
    return EG_FRAME_REJECT;
}

/* ---- UDP and IP --------------------------------------------------------- */

bool eg_frame_udp(const uint8_t *ip_payload, uint32_t n_bytes, uint32_t full_bytes,
                  eg_datagram *datagram) {
    if (n_bytes < UDP_HEADER_BYTES)
        return false;
    uint32_t udp_bytes = eg_be16(ip_payload + 4);
    if (udp_bytes < UDP_HEADER_BYTES || udp_bytes > full_bytes)
        return false;
    datagram->srcport = eg_be16(ip_payload);
    datagram->dstport = eg_be16(ip_payload + 2);
    datagram->payload = ip_payload + UDP_HEADER_BYTES;
    datagram->full_bytes = udp_bytes - UDP_HEADER_BYTES;
    datagram->n_bytes = (n_bytes < udp_bytes ? n_bytes : udp_bytes) - UDP_HEADER_BYTES;
    return true;
}

static eg_frame_kind decode_udp(view v, const eg_ip_addr *src, eg_datagram *datagram,
                                eg_reason *reason) {
    datagram->src = *src;
    if (!eg_frame_udp(v.p, v.n_bytes, v.full_bytes, datagram))
        return reject(reason, EG_REASON_BAD_IP);
    return EG_FRAME_DATAGRAM;
}

static eg_frame_kind take_fragment(view v, const eg_ip_addr *src, const eg_ip_addr *dst,
                                   uint32_t id, uint32_t offset_bytes, bool more, int64_t time_ms,
                                   eg_fragment *fragment) {
    *fragment = (eg_fragment){.src = *src,
                              .dst = *dst,
                              .id = id,
                              .protocol = PROTOCOL_UDP,
                              .offset_bytes = offset_bytes,
                              .more = more,
                              .data = v.p,
                              .n_bytes = v.n_bytes,
                              .full_bytes = v.full_bytes,
                              .time_ms = time_ms};
    return EG_FRAME_FRAGMENT;
}

static eg_frame_kind decode_ipv4(view v, int64_t time_ms, eg_datagram *datagram,
                                 eg_fragment *fragment, eg_reason *reason) {
    if (v.n_bytes < IPV4_HEADER_BYTES || v.p[0] >> 4 != 4)
        return reject(reason, EG_REASON_BAD_IP);
    const uint8_t *ip = v.p;
    uint32_t header_bytes = (ip[0] & 15u) * 4;
    uint32_t total_bytes = eg_be16(ip + 2);
    if (total_bytes == 0) /* segmentation offload leaves it out: then the frame decides */
        total_bytes = v.full_bytes;
    if (header_bytes < IPV4_HEADER_BYTES || total_bytes < header_bytes)
        return reject(reason, EG_REASON_BAD_IP);
    if (ip[9] != PROTOCOL_UDP)
        return reject(reason, EG_REASON_NOT_UDP);
    limit(&v, total_bytes);
    if (!skip(&v, header_bytes))
        return reject(reason, EG_REASON_BAD_IP);

    eg_ip_addr src = address(ip + 12, 4);
    uint32_t fragmentation = eg_be16(ip + 6);
    uint32_t offset_bytes = (fragmentation & 0x1fff) * 8;
    bool more = (fragmentation & 0x2000) != 0;
    if (offset_bytes == 0 && !more)
        return decode_udp(v, &src, datagram, reason);
    eg_ip_addr dst = address(ip + 16, 4);
    return take_fragment(v, &src, &dst, eg_be16(ip + 4), offset_bytes, more, time_ms, fragment);
}

static eg_frame_kind decode_ipv6(view v, int64_t time_ms, eg_datagram *datagram,
                                 eg_fragment *fragment, eg_reason *reason) {
    if (v.n_bytes < IPV6_HEADER_BYTES || v.p[0] >> 4 != 6)
        return reject(reason, EG_REASON_BAD_IP);
    const uint8_t *ip = v.p;
    eg_ip_addr src = address(ip + 8, 16);
    eg_ip_addr dst = address(ip + 24, 16);
    uint32_t payload_bytes = eg_be16(ip + 4);
    uint8_t next = ip[6];
    skip(&v, IPV6_HEADER_BYTES);
    if (payload_bytes != 0) /* 0: left out by offload, or a jumbogram; then the frame decides */
        limit(&v, payload_bytes);

    /* Each round takes a header of 8 bytes or more off the view, so it ends. */
    while (next != PROTOCOL_UDP) {
        const uint8_t *header = v.p;
        uint32_t header_bytes;
        switch (next) {
        case IPV6_HOP_BY_HOP:
        case IPV6_ROUTING:
        case IPV6_DESTINATION:
        case IPV6_MOBILITY:
        case IPV6_HIP:
        case IPV6_SHIM6:
            header_bytes = v.n_bytes < 2 ? 8 : (header[1] + 1u) * 8;
            break;
        case IPV6_AUTHENTICATION: /* counts in 4 bytes, less 2 */
            header_bytes = v.n_bytes < 2 ? 8 : (header[1] + 2u) * 4;
            break;
        case IPV6_FRAGMENT:
            header_bytes = 8;
            break;
        default:
            return reject(reason, EG_REASON_NOT_UDP);
        }
        if (!skip(&v, header_bytes))
            return reject(reason, EG_REASON_BAD_IP);
        if (next == IPV6_FRAGMENT) {
            uint32_t offset_bytes = eg_be16(header + 2) & 0xfff8u;
            bool more = (header[3] & 1) != 0;
            if (offset_bytes != 0 || more) {
                if (header[0] != PROTOCOL_UDP)
                    return reject(reason, EG_REASON_NOT_UDP);
                return take_fragment(v, &src, &dst, eg_be32(header + 4), offset_bytes, more,
                                     time_ms, fragment);
            }
        }
        next = header[0];
    }
    return decode_udp(v, &src, datagram, reason);
}

/* ---- link layers -------------------------------------------------------- */

/* What a link layer carries. CUT where its header was not captured whole. */
typedef enum carried {
    CARRIES_IPV4,
    CARRIES_IPV6,
    CARRIES_ANY_IP,
    CARRIES_OTHER,
    CARRIES_CUT
} carried;

/* Resolves an Ethernet type, stepping over VLAN tags; v is behind the type. */
static carried ethertype(view *v, uint16_t type) {
    while (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD) {
        const uint8_t *tag = v->p;
        if (!skip(v, 4))
            return CARRIES_CUT;
        type = eg_be16(tag + 2);
    }
    if (type == ETHERTYPE_IPV4)
        return CARRIES_IPV4;
    return type == ETHERTYPE_IPV6 ? CARRIES_IPV6 : CARRIES_OTHER;
}

/* A header of header_bytes with an Ethernet type at type_offset. */
static carried typed_link(view *v, uint32_t header_bytes, uint32_t type_offset) {
    const uint8_t *header = v->p;
    if (!skip(v, header_bytes))
        return CARRIES_CUT;
    return ethertype(v, eg_be16(header + type_offset));
}

/* BSD loopback: the address family in the byte order of the capturing host
** (NULL) or of the network (LOOP); files with either under both names exist. */
static carried loopback_link(view *v) {
    const uint8_t *header = v->p;
    if (!skip(v, 4))
        return CARRIES_CUT;
    uint32_t family = eg_be32(header);
    if (family > 0xffff)
        family = eg_le32(header);
    switch (family) {
    case 2:
        return CARRIES_IPV4;
    case 10: /* Linux */
    case 24: /* NetBSD, OpenBSD, Npcap */
    case 28: /* FreeBSD */
    case 30: /* Darwin */
        return CARRIES_IPV6;
    default:
        return CARRIES_OTHER;
    }
}

static carried ppp_link(view *v, bool hdlc) {
    if (v->n_bytes < 2)
        return CARRIES_CUT;
    if (v->p[0] == 0xff && v->p[1] == 0x03)
        skip(v, 2);
    else if (hdlc && (v->p[0] == 0x0f || v->p[0] == 0x8f)) /* Cisco's framing */
        return typed_link(v, 4, 2);
    if (v->n_bytes < 2)
        return CARRIES_CUT;
    /* The last byte of a protocol number is odd: an odd first one is a
    ** number of which the leading 0 was left out (RFC 1661, 6.5). */
    uint16_t protocol = v->p[0];
    if (protocol & 1) {
        skip(v, 1);
    } else {
        protocol = eg_be16(v->p);
        skip(v, 2);
    }
    if (protocol == 0x0021)
        return CARRIES_IPV4;
    return protocol == 0x0057 ? CARRIES_IPV6 : CARRIES_OTHER;
}

eg_frame_kind eg_frame_decode(const eg_packet *packet, eg_datagram *datagram, eg_fragment *fragment,
                              eg_reason *reason) {
    view v = {.p = packet->data, .n_bytes = packet->cap_bytes, .full_bytes = packet->wire_bytes};
    if (v.full_bytes < v.n_bytes)
        v.full_bytes = v.n_bytes;
    carried what;
    switch (packet->link_type) {
    case LINK_EN10MB:
        what = typed_link(&v, 14, 12);
        break;
    case LINK_LINUX_SLL:
        what = typed_link(&v, 16, 14);
        break;
    case LINK_LINUX_SLL2:
        what = typed_link(&v, 20, 0);
        break;
    case LINK_NULL:
    case LINK_LOOP:
        what = loopback_link(&v);
        break;
    case LINK_PPP:
    case LINK_PPP_HDLC:
        what = ppp_link(&v, packet->link_type == LINK_PPP_HDLC);
        break;
    case LINK_RAW:
    case LINK_RAW_DLT:
    case LINK_RAW_OPENBSD:
        what = CARRIES_ANY_IP;
        break;
    case LINK_IPV4:
        what = CARRIES_IPV4;
        break;
    case LINK_IPV6:
        what = CARRIES_IPV6;
        break;
    default:
        return reject(reason, EG_REASON_LINK_TYPE);
    }
    if (what == CARRIES_ANY_IP && v.n_bytes > 0) {
        if (v.p[0] >> 4 == 4)
            what = CARRIES_IPV4;
        else if (v.p[0] >> 4 == 6)
            what = CARRIES_IPV6;
    }
    switch (what) {
    case CARRIES_IPV4:
        return decode_ipv4(v, packet->time_ms, datagram, fragment, reason);
    case CARRIES_IPV6:
        return decode_ipv6(v, packet->time_ms, datagram, fragment, reason);
    case CARRIES_OTHER:
        return reject(reason, EG_REASON_NOT_UDP);
    case CARRIES_ANY_IP: /* neither version's first byte */
    case CARRIES_CUT:
        break;
    }
    return reject(reason, EG_REASON_BAD_IP);
}
