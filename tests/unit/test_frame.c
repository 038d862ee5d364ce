/* Claims of capture/frame.c: the UDP datagram is found behind every link layer and
** IP header form, and nothing is read that was not captured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/frame.h"
#include "plain_pcap.h"

#define CAPTURES "../shared/captures/"
#define PAYLOAD "sixteen bytes..."
#define PAYLOAD_BYTES 16

/* A packet under construction. */
typedef struct frame {
    uint8_t bytes[2048];
    uint32_t n;
    uint32_t link_type;
} frame;

static void put(frame *f, const void *bytes, size_t n) {
    assert_true(f->n + n <= sizeof f->bytes);
    memcpy(f->bytes + f->n, bytes, n);
    f->n += (uint32_t)n;
}

static void put8(frame *f, uint32_t v) {
    uint8_t b = (uint8_t)v;
    put(f, &b, 1);
}

static void put16(frame *f, uint32_t v) {
    put8(f, v >> 8);
    put8(f, v & 255);
}

static void put32(frame *f, uint32_t v) {
    put16(f, v >> 16);
    put16(f, v & 0xffff);
}

static void put_udp(frame *f) {
    put16(f, 50000);
    put16(f, 2055);
    put16(f, 8 + PAYLOAD_BYTES);
    put16(f, 0xdead); /* wrong on purpose */
    put(f, PAYLOAD, PAYLOAD_BYTES);
}

/* An IPv4 header before body_bytes of payload. */
static void put_ipv4(frame *f, uint32_t option_words, uint32_t fragmentation, uint32_t protocol,
                     uint32_t body_bytes) {
    put8(f, 0x45 + option_words);
    put8(f, 0);
    put16(f, 20 + option_words * 4 + body_bytes);
    put16(f, 0xbeef);
    put16(f, fragmentation);
    put8(f, 64);
    put8(f, protocol);
    put16(f, 0xdead);
    put32(f, 0xc0000201);
    put32(f, 0xc0000202);
    for (uint32_t i = 0; i < option_words; i++)
        put32(f, 0x01010101);
}

static const uint8_t ip6_src[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
static const uint8_t ip6_dst[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

static void put_ipv6(frame *f, uint32_t next, uint32_t body_bytes) {
    put32(f, 0x60000000);
    put16(f, body_bytes);
    put8(f, next);
    put8(f, 64);
    put(f, ip6_src, 16);
    put(f, ip6_dst, 16);
}

static void put_ip(frame *f, int version) {
    if (version == 4)
        put_ipv4(f, 0, 0x4000, 17, 8 + PAYLOAD_BYTES);
    else
        put_ipv6(f, 17, 8 + PAYLOAD_BYTES);
    put_udp(f);
}

static void put_ethernet(frame *f, uint32_t type) {
    f->link_type = 1;
    put(f, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
    put16(f, type);
}

static eg_datagram got_datagram;
static eg_fragment got_fragment;
static eg_reason got_reason;

/* Decodes from a block of exactly the captured size, so that checkers see more. */
static eg_frame_kind decode_cut(const frame *f, uint32_t cap_bytes, uint32_t wire_bytes) {
    static uint8_t *block;
    free(block);
    block = malloc(cap_bytes + (cap_bytes == 0));
    assert_non_null(block);
    memcpy(block, f->bytes, cap_bytes);
    eg_packet p = {.data = block,
                   .cap_bytes = cap_bytes,
                   .wire_bytes = wire_bytes,
                   .time_ms = 77,
                   .link_type = f->link_type,
                   .number = 1};
    memset(&got_datagram, 0xaa, sizeof got_datagram);
    memset(&got_fragment, 0xaa, sizeof got_fragment);
    got_reason = EG_N_REASONS;
    return eg_frame_decode(&p, &got_datagram, &got_fragment, &got_reason);
}

static eg_frame_kind decode(const frame *f) {
    return decode_cut(f, f->n, f->n);
}

static void assert_rejected(const frame *f, eg_reason reason) {
    assert_int_equal(decode(f), EG_FRAME_REJECT);
    assert_int_equal(got_reason, reason);
}

static void assert_payload(const frame *f, int version) {
    assert_int_equal(decode(f), EG_FRAME_DATAGRAM);
    assert_int_equal(got_datagram.n_bytes, PAYLOAD_BYTES);
    assert_int_equal(got_datagram.full_bytes, PAYLOAD_BYTES);
    assert_memory_equal(got_datagram.payload, PAYLOAD, PAYLOAD_BYTES);
    assert_int_equal(got_datagram.srcport, 50000);
    assert_int_equal(got_datagram.dstport, 2055);
    eg_ip_addr v4 = {.bytes = {192, 0, 2, 1}, .n_bytes = 4};
    eg_ip_addr v6 = {.n_bytes = 16};
    memcpy(v6.bytes, ip6_src, 16);
    assert_memory_equal(&got_datagram.src, version == 4 ? &v4 : &v6, sizeof v4);
}

/* ---- link layers -------------------------------------------------------- */

static void frame_finds_ip_in_every_link_layer(void **state) {
    (void)state;
    static const struct {
        uint32_t link_type;
        int version;
        size_t n;
        const char *header;
    } cases[] = {
        {1, 4, 14, "\2\0\0\0\0\1\2\0\0\0\0\2\x08\x00"},
        {1, 6, 14, "\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd"},
        {12, 4, 0, ""},
        {12, 6, 0, ""},
        {14, 4, 0, ""},
        {14, 6, 0, ""},
        {101, 4, 0, ""},
        {101, 6, 0, ""},
        {228, 4, 0, ""},
        {229, 6, 0, ""},
        {113, 4, 16, "\0\0\3\4\0\6\0\0\0\0\0\0\0\0\x08\x00"},
        {113, 6, 16, "\0\0\3\4\0\6\0\0\0\0\0\0\0\0\x86\xdd"},
        {276, 4, 20, "\x08\x00\0\0\0\0\0\1\3\4\0\6\0\0\0\0\0\0\0\0"},
        {276, 6, 20, "\x86\xdd\0\0\0\0\0\1\3\4\0\6\0\0\0\0\0\0\0\0"},
        {9, 4, 4, "\xff\x03\x00\x21"},
        {9, 6, 4, "\xff\x03\x00\x57"},
        {9, 4, 2, "\x00\x21"},
        {9, 6, 2, "\x00\x57"},
        {9, 4, 1, "\x21"},
        {9, 6, 1, "\x57"},
        {9, 4, 3, "\xff\x03\x21"},
        {50, 4, 4, "\xff\x03\x00\x21"},
        {50, 6, 3, "\xff\x03\x57"},
        {50, 4, 4, "\x0f\x00\x08\x00"},
        {50, 6, 4, "\x8f\x00\x86\xdd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        frame f = {.link_type = cases[i].link_type};
        put(&f, cases[i].header, cases[i].n);
        put_ip(&f, cases[i].version);
        assert_payload(&f, cases[i].version);
        for (uint32_t cap = 0; cap < f.n - PAYLOAD_BYTES; cap++) {
            assert_int_equal(decode_cut(&f, cap, f.n), EG_FRAME_REJECT);
            assert_int_equal(got_reason, EG_REASON_BAD_IP);
        }
    }
}

static void frame_takes_loopback_families_in_either_byte_order(void **state) {
    (void)state;
    static const uint8_t families[] = {2, 10, 24, 28, 30};
    for (size_t i = 0; i < sizeof families; i++) {
        int version = families[i] == 2 ? 4 : 6;
        for (int order = 0; order < 2; order++) {
            for (int loop = 0; loop < 2; loop++) {
                frame f = {.link_type = loop ? 108 : 0};
                put32(&f, order ? families[i] : (uint32_t)families[i] << 24);
                put_ip(&f, version);
                assert_payload(&f, version);
            }
        }
    }
    frame appletalk = {.link_type = 0};
    put32(&appletalk, 16u << 24);
    put_ip(&appletalk, 4);
    assert_rejected(&appletalk, EG_REASON_NOT_UDP);
}

static void frame_steps_over_stacked_vlan_tags(void **state) {
    (void)state;
    static const uint32_t tags[] = {0x8100, 0x88a8, 0x9100};
    for (int link = 0; link < 3; link++) {
        for (uint32_t depth = 1; depth <= 6; depth++) {
            for (uint32_t first = 0; first < 3; first++) {
                frame f = {0};
                if (link == 0) {
                    put_ethernet(&f, tags[first]);
                } else if (link == 1) {
                    f.link_type = 113;
                    put(&f, "\0\0\3\4\0\6\0\0\0\0\0\0\0\0", 14);
                    put16(&f, tags[first]);
                } else {
                    f.link_type = 276;
                    put16(&f, tags[first]);
                    put(&f, "\0\0\0\0\0\1\3\4\0\6\0\0\0\0\0\0\0\0", 18);
                }
                for (uint32_t d = 1; d <= depth; d++) {
                    put16(&f, 0x2000 + d);
                    put16(&f, d < depth ? tags[(first + d) % 3] : 0x0800);
                }
                put_ip(&f, 4);
                assert_payload(&f, 4);
            }
        }
    }
}

static void frame_refuses_tags_without_an_end(void **state) {
    (void)state;
    frame f = {0};
    put_ethernet(&f, 0x8100);
    while (f.n + 4 <= sizeof f.bytes)
        put32(&f, 0x00018100);
    assert_rejected(&f, EG_REASON_BAD_IP);
}

static void frame_tells_link_types_that_are_not_read(void **state) {
    (void)state;
    static const uint32_t others[] = {2, 6, 7, 104, 105, 127, 195, 239, 277, 65535, 0x10001};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        frame f = {.link_type = others[i]};
        put_ip(&f, 4);
        assert_rejected(&f, EG_REASON_LINK_TYPE);
    }
}

static void frame_tells_other_protocols(void **state) {
    (void)state;
    frame arp = {0};
    put_ethernet(&arp, 0x0806);
    put_ip(&arp, 4);
    assert_rejected(&arp, EG_REASON_NOT_UDP);

    frame lcp = {.link_type = 9};
    put32(&lcp, 0xff03c021);
    put_ip(&lcp, 4);
    assert_rejected(&lcp, EG_REASON_NOT_UDP);

    frame tcp = {.link_type = 101};
    put_ipv4(&tcp, 0, 0, 6, 20);
    put(&tcp, "twenty bytes of tcp.", 20);
    assert_rejected(&tcp, EG_REASON_NOT_UDP);

    frame tcp_fragment = {.link_type = 101};
    put_ipv4(&tcp_fragment, 0, 0x2000, 6, 16);
    put(&tcp_fragment, PAYLOAD, 16);
    assert_rejected(&tcp_fragment, EG_REASON_NOT_UDP);

    static const uint8_t nexts[] = {6, 50, 58, 59, 4, 41};
    for (size_t i = 0; i < sizeof nexts; i++) {
        frame f = {.link_type = 101};
        put_ipv6(&f, nexts[i], 8 + PAYLOAD_BYTES);
        put_udp(&f);
        assert_rejected(&f, EG_REASON_NOT_UDP);
    }
}

static void frame_refuses_what_is_cut_in_its_headers(void **state) {
    (void)state;
    static const uint32_t types[] = {0, 1, 9, 12, 14, 50, 101, 108, 113, 228, 229, 276};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        frame f = {.link_type = types[i]};
        assert_rejected(&f, EG_REASON_BAD_IP);
    }
    frame other_version = {.link_type = 101};
    put32(&other_version, 0x55000000);
    assert_rejected(&other_version, EG_REASON_BAD_IP);

    frame four_as_six = {.link_type = 229};
    put_ip(&four_as_six, 4);
    put(&four_as_six, "padding to forty bytes and more", 31);
    assert_rejected(&four_as_six, EG_REASON_BAD_IP);

    frame six_as_four = {.link_type = 228};
    put_ip(&six_as_four, 6);
    assert_rejected(&six_as_four, EG_REASON_BAD_IP);
}

/* ---- IP and UDP --------------------------------------------------------- */

static void frame_steps_over_ipv4_options(void **state) {
    (void)state;
    for (uint32_t words = 0; words <= 10; words++) {
        frame f = {.link_type = 101};
        put_ipv4(&f, words, 0, 17, 8 + PAYLOAD_BYTES);
        put_udp(&f);
        assert_payload(&f, 4);
        for (uint32_t cap = 0; cap < 20 + words * 4 + 8; cap++) {
            assert_int_equal(decode_cut(&f, cap, f.n), EG_FRAME_REJECT);
            assert_int_equal(got_reason, EG_REASON_BAD_IP);
        }
    }
}

static void frame_refuses_ipv4_lengths_that_contradict(void **state) {
    (void)state;
    for (uint8_t words = 0; words < 5; words++) {
        frame f = {.link_type = 228};
        put_ip(&f, 4);
        f.bytes[0] = 0x40 | words;
        assert_rejected(&f, EG_REASON_BAD_IP);
    }
    for (uint8_t total = 1; total < 20; total++) {
        frame f = {.link_type = 228};
        put_ip(&f, 4);
        f.bytes[3] = total;
        assert_rejected(&f, EG_REASON_BAD_IP);
    }
    frame f = {.link_type = 228};
    put_ip(&f, 4);
    f.bytes[0] = 0x4f; /* 60 bytes of header in a packet of 44 */
    assert_rejected(&f, EG_REASON_BAD_IP);
}

static void frame_takes_the_frame_length_where_ip_has_none(void **state) {
    (void)state;
    frame four = {0};
    put_ethernet(&four, 0x0800);
    put_ip(&four, 4);
    four.bytes[14 + 2] = four.bytes[14 + 3] = 0;
    assert_payload(&four, 4);

    frame six = {0};
    put_ethernet(&six, 0x86dd);
    put_ip(&six, 6);
    six.bytes[14 + 4] = six.bytes[14 + 5] = 0;
    assert_payload(&six, 6);
}

static void frame_ignores_ethernet_trailers(void **state) {
    (void)state;
    for (int version = 4; version <= 6; version += 2) {
        frame f = {0};
        put_ethernet(&f, version == 4 ? 0x0800 : 0x86dd);
        put_ip(&f, version);
        put(&f, "padding and an FCS", 18);
        assert_payload(&f, version);
    }
}

static void frame_ignores_ip_bytes_behind_the_udp_length(void **state) {
    (void)state;
    frame f = {.link_type = 101};
    put_ipv4(&f, 0, 0, 17, 8 + PAYLOAD_BYTES + 5);
    put_udp(&f);
    put(&f, "extra", 5);
    assert_payload(&f, 4);
}

static void frame_refuses_udp_lengths_that_contradict(void **state) {
    (void)state;
    static const uint32_t lengths[] = {0, 1, 7, 8 + PAYLOAD_BYTES + 1, 65535};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        frame f = {.link_type = 101};
        put_ip(&f, 4);
        f.bytes[24] = (uint8_t)(lengths[i] >> 8);
        f.bytes[25] = (uint8_t)lengths[i];
        put(&f, "room in the frame is no excuse", 30);
        assert_rejected(&f, EG_REASON_BAD_IP);
    }
}

static void frame_accepts_an_empty_datagram(void **state) {
    (void)state;
    frame f = {.link_type = 101};
    put_ipv4(&f, 0, 0, 17, 8);
    put32(&f, 1);
    put32(&f, 8u << 16);
    assert_int_equal(decode(&f), EG_FRAME_DATAGRAM);
    assert_int_equal(got_datagram.n_bytes, 0);
    assert_int_equal(got_datagram.full_bytes, 0);
}

static void frame_gives_what_was_captured_of_a_datagram(void **state) {
    (void)state;
    for (int version = 4; version <= 6; version += 2) {
        frame f = {0};
        put_ethernet(&f, version == 4 ? 0x0800 : 0x86dd);
        put_ip(&f, version);
        uint32_t headers = f.n - PAYLOAD_BYTES;
        for (uint32_t cap = 0; cap < f.n; cap++) {
            /* A wire length that the capture file lies about changes nothing. */
            for (int honest = 0; honest < 2; honest++) {
                eg_frame_kind kind = decode_cut(&f, cap, honest ? f.n : cap / 2);
                if (cap < headers) {
                    assert_int_equal(kind, EG_FRAME_REJECT);
                    assert_int_equal(got_reason, EG_REASON_BAD_IP);
                } else {
                    assert_int_equal(kind, EG_FRAME_DATAGRAM);
                    assert_int_equal(got_datagram.n_bytes, cap - headers);
                    assert_int_equal(got_datagram.full_bytes, PAYLOAD_BYTES);
                }
            }
        }
    }
}

static void frame_gives_ipv4_fragments(void **state) {
    (void)state;
    static const struct {
        uint32_t field, offset_bytes;
        bool more;
    } cases[] = {
        {0x2000, 0, true}, {0x2003, 24, true}, {0x0003, 24, false}, {0x1fff, 65528, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        frame f = {.link_type = 228};
        put_ipv4(&f, 2, cases[i].field, 17, PAYLOAD_BYTES);
        put(&f, PAYLOAD "trailer", PAYLOAD_BYTES + 7);
        assert_int_equal(decode(&f), EG_FRAME_FRAGMENT);
        assert_int_equal(got_fragment.offset_bytes, cases[i].offset_bytes);
        assert_int_equal(got_fragment.more, cases[i].more);
        assert_int_equal(got_fragment.id, 0xbeef);
        assert_int_equal(got_fragment.protocol, 17);
        assert_int_equal(got_fragment.n_bytes, PAYLOAD_BYTES);
        assert_int_equal(got_fragment.full_bytes, PAYLOAD_BYTES);
        assert_int_equal(got_fragment.time_ms, 77);
        assert_memory_equal(got_fragment.data, PAYLOAD, PAYLOAD_BYTES);
        assert_int_equal(got_fragment.src.bytes[3], 1);
        assert_int_equal(got_fragment.dst.bytes[3], 2);

        assert_int_equal(decode_cut(&f, 28 + 5, f.n), EG_FRAME_FRAGMENT);
        assert_int_equal(got_fragment.n_bytes, 5);
        assert_int_equal(got_fragment.full_bytes, PAYLOAD_BYTES);
    }
}

static void frame_steps_over_ipv6_extension_headers(void **state) {
    (void)state;
    frame f = {.link_type = 229};
    put_ipv6(&f, 0, 8 + 24 + 16 + 8 + 20 + 8 + PAYLOAD_BYTES);
    put(&f, "\x2b\0......", 8);                  /* hop by hop, then routing */
    put(&f, "\x3c\2......................", 24); /* routing, then destination */
    put(&f, "\x2c\1..............", 16);         /* destination, then fragment */
    put(&f, "\x33\0\0\0\1\2\3\4", 8);            /* atomic fragment, then AH */
    put(&f, "\x11\3..................", 20);     /* AH, then UDP */
    put_udp(&f);
    assert_payload(&f, 6);

    static const uint8_t rare[] = {135, 139, 140};
    for (size_t i = 0; i < sizeof rare; i++) {
        frame g = {.link_type = 229};
        put_ipv6(&g, rare[i], 8 + 8 + PAYLOAD_BYTES);
        put(&g, "\x11\0......", 8);
        put_udp(&g);
        assert_payload(&g, 6);
    }
}

static void frame_keeps_ipv6_extension_headers_in_bounds(void **state) {
    (void)state;
    /* A header that says it is longer than the packet, at each place of a chain. */
    for (uint32_t depth = 0; depth < 4; depth++) {
        for (uint32_t ah = 0; ah < 2; ah++) {
            frame f = {.link_type = 229};
            put_ipv6(&f, depth == 0 && ah ? 51 : 60, depth * 8 + 8 + 8 + PAYLOAD_BYTES);
            for (uint32_t d = 0; d < depth; d++) {
                put8(&f, d + 1 == depth && ah ? 51 : 60);
                put(&f, "\0......", 7);
            }
            put(&f, "\x11\xff......", 8);
            put_udp(&f);
            assert_rejected(&f, EG_REASON_BAD_IP);
        }
    }
    /* A chain that has no end. */
    frame f = {.link_type = 229};
    put_ipv6(&f, 60, 1600);
    for (int i = 0; i < 200; i++)
        put(&f, "\x3c\0......", 8);
    assert_rejected(&f, EG_REASON_BAD_IP);
    /* Headers beyond the IP length, though in the frame. */
    frame g = {.link_type = 229};
    put_ipv6(&g, 60, 4);
    put(&g, "\x11\0......", 8);
    put_udp(&g);
    assert_rejected(&g, EG_REASON_BAD_IP);
}

static void frame_gives_ipv6_fragments(void **state) {
    (void)state;
    frame f = {.link_type = 229};
    put_ipv6(&f, 0, 8 + 8 + PAYLOAD_BYTES);
    put(&f, "\x2c\0......", 8);
    put(&f, "\x11\0\x05\xa9\xca\xfe\xba\xbe", 8);
    put(&f, PAYLOAD, PAYLOAD_BYTES);
    assert_int_equal(decode(&f), EG_FRAME_FRAGMENT);
    assert_int_equal(got_fragment.offset_bytes, 0x05a8);
    assert_true(got_fragment.more);
    assert_true(got_fragment.id == 0xcafebabe);
    assert_int_equal(got_fragment.n_bytes, PAYLOAD_BYTES);
    assert_memory_equal(got_fragment.data, PAYLOAD, PAYLOAD_BYTES);
    assert_int_equal(got_fragment.src.n_bytes, 16);
    assert_memory_equal(got_fragment.dst.bytes, ip6_dst, 16);

    f.bytes[48] = 6; /* of a TCP segment */
    assert_rejected(&f, EG_REASON_NOT_UDP);
}

static void frame_udp_checks_a_reassembled_payload(void **state) {
    (void)state;
    frame f = {0};
    put_udp(&f);
    eg_datagram d;
    assert_true(eg_frame_udp(f.bytes, f.n, f.n, &d));
    assert_int_equal(d.n_bytes, PAYLOAD_BYTES);
    assert_false(eg_frame_udp(f.bytes, 7, f.n, &d));
    assert_false(eg_frame_udp(f.bytes, f.n - 1, f.n - 1, &d));
    assert_true(eg_frame_udp(f.bytes, f.n - 1, f.n, &d));
    assert_int_equal(d.n_bytes, PAYLOAD_BYTES - 1);
    assert_int_equal(d.full_bytes, PAYLOAD_BYTES);
}

/* ---- captures ----------------------------------------------------------- */

static void frame_reads_real_captures(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int datagrams, fragments, rejected;
    } cases[] = {
        {"samples/softflowd-v5-ndpi-adj.pcap", 261, 0, 0},
        {"tests/data/softflowd-v5-ipfrag-mtu576.pcap", 0, 51, 0},
        {CAPTURES "made/softflowd-v5-any-sll.pcap", 58, 0, 0},
        {CAPTURES "made/softflowd-v5-any-sll2.pcap", 58, 0, 0},
        {CAPTURES "made/softflowd-v5-ip6frag-mtu1280.pcap", 0, 34, 0},
        {CAPTURES "made/softflowd-v5-ipv6transport.pcap", 17, 0, 0},
        {CAPTURES "made/softflowd-v5-rawip-tun.pcap", 2, 0, 0},
        {CAPTURES "made/softflowd-v5-snap128.pcap", 58, 0, 0},
        {CAPTURES "derived/ipv6transport-ipv6-229.pcap", 17, 0, 0},
        {CAPTURES "derived/ipv6transport-null-af-darwin30.pcap", 3, 0, 0},
        {CAPTURES "derived/ipv6transport-null-af-freebsd28.pcap", 3, 0, 0},
        {CAPTURES "derived/ipv6transport-null-af-openbsd24.pcap", 3, 0, 0},
        {CAPTURES "derived/netgraph-ipv4-228.pcap", 4, 0, 0},
        {CAPTURES "derived/netgraph-loop108.pcap", 4, 0, 0},
        {CAPTURES "derived/netgraph-null-le.pcap", 4, 0, 0},
        {CAPTURES "derived/netgraph-qinq-8100.pcap", 4, 0, 0},
        {CAPTURES "derived/netgraph-qinq-88a8.pcap", 4, 0, 0},
        {CAPTURES "derived/netgraph-raw-dlt12.pcap", 4, 0, 0},
        {CAPTURES "derived/netgraph-raw101.pcap", 4, 0, 0},
        {CAPTURES "derived/netgraph-vlan100.pcap", 4, 0, 0},
        {CAPTURES "derived/pmacctd-vlan300-tcprewrite.pcap", 3, 0, 0},
        {CAPTURES "derived/fluentd-trailer4.pcap", 1, 0, 0},
        {CAPTURES "derived/malformed-v5-variants.pcap", 9, 0, 0},
        {CAPTURES "derived/merged-ether-mixed-versions.pcap", 0, 0, 1985},
    };
    int n_read = 0, n_cases = (int)(sizeof cases / sizeof *cases);
    for (int i = 0; i < n_cases; i++) {
        plain_pcap c;
        if (!plain_pcap_open(&c, cases[i].path))
            continue;
        int n[3] = {0, 0, 0};
        eg_packet p;
        while (plain_pcap_next(&c, &p))
            n[eg_frame_decode(&p, &got_datagram, &got_fragment, &got_reason)]++;
        plain_pcap_close(&c);
        n_read++;
        if (cases[i].rejected == 0) {
            assert_int_equal(n[EG_FRAME_DATAGRAM], cases[i].datagrams);
            assert_int_equal(n[EG_FRAME_FRAGMENT], cases[i].fragments);
        }
        assert_int_equal(n[EG_FRAME_REJECT], cases[i].rejected);
    }
    if (n_read < n_cases)
        skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_finds_ip_in_every_link_layer),
        cmocka_unit_test(frame_takes_loopback_families_in_either_byte_order),
        cmocka_unit_test(frame_steps_over_stacked_vlan_tags),
        cmocka_unit_test(frame_refuses_tags_without_an_end),
        cmocka_unit_test(frame_tells_link_types_that_are_not_read),
        cmocka_unit_test(frame_tells_other_protocols),
        cmocka_unit_test(frame_refuses_what_is_cut_in_its_headers),
        cmocka_unit_test(frame_steps_over_ipv4_options),
        cmocka_unit_test(frame_refuses_ipv4_lengths_that_contradict),
        cmocka_unit_test(frame_takes_the_frame_length_where_ip_has_none),
        cmocka_unit_test(frame_ignores_ethernet_trailers),
        cmocka_unit_test(frame_ignores_ip_bytes_behind_the_udp_length),
        cmocka_unit_test(frame_refuses_udp_lengths_that_contradict),
        cmocka_unit_test(frame_accepts_an_empty_datagram),
        cmocka_unit_test(frame_gives_what_was_captured_of_a_datagram),
        cmocka_unit_test(frame_gives_ipv4_fragments),
        cmocka_unit_test(frame_steps_over_ipv6_extension_headers),
        cmocka_unit_test(frame_keeps_ipv6_extension_headers_in_bounds),
        cmocka_unit_test(frame_gives_ipv6_fragments),
        cmocka_unit_test(frame_udp_checks_a_reassembled_payload),
        cmocka_unit_test(frame_reads_real_captures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
