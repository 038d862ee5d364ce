/*
** flowgen: writes a large, realistic NetFlow v5 capture for tests and
** measurements.
**
**     flowgen [-n records] [-s seed] [-u uptime_ms] FILE
**
** A classic pcap file (microseconds, little-endian, Ethernet): one exporter,
** three hours from 2007-07-26 20:00 UTC, datagrams of 30 records in order of
** export, sequence numbers and checksums right. Hosts of 122.166.0.0/16 talk to
** about a million others; who talks and how much is heavy-tailed, half of the
** flows are single packets, answers follow their questions.
**
** -u is the exporter's SysUptime when the recording begins; near 4294967295
** the clock wraps during it.
**
** The bytes depend on the options only: integer arithmetic throughout, no
** library function that could differ between machines. A line with the sums
** goes to stderr, so that readers can be checked.
*/
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_PER_DATAGRAM 30
#define RECORD_BYTES 48
#define V5_HEADER_BYTES 24
#define PREFIX_BYTES (16 + 14 + 20 + 8) /* pcap record header, Ethernet, IPv4, UDP */
#define OUT_BYTES (1 << 20)

#define TRACE_START_S UINT64_C(1185480000) /* 2007-07-26 20:00:00 UTC */
#define TRACE_US UINT64_C(10800000000)     /* three hours */

#define INSIDE_HOSTS 30000u       /* of 122.166.0.0/16 */
#define OUTSIDE_BITS 20           /* 2^20 hosts elsewhere */
#define INSIDE_NET 0x7AA60000u    /* 122.166.0.0 */
#define EXPORTER_ADDR 0xC0000201u /* 192.0.2.1 */
#define COLLECTOR_ADDR 0xC0000202u
#define WAITING_MAX 128 /* answers not yet exported */

/* A copy of a large volume now and then, so that a pair passes 2^32 bytes. */
#define BULK_EVERY 4000000u
#define BULK_AT 1234567u
#define BULK_RANK 77u

typedef struct flow {
    uint32_t src, dst;
    uint16_t srcport, dstport;
    uint8_t proto, flags, tos, outbound;
    uint32_t packets, bytes;
    uint64_t start_ms, end_ms; /* since the trace began */
} flow;

typedef struct sums {
    uint64_t records, datagrams, packets, bytes, duration_ms, ports, addresses;
} sums;

typedef struct generator {
    uint64_t rng;
    uint32_t session_client, session_server; /* pair that opens several flows in a row */
    uint8_t session_outbound;
    uint32_t session_left;
    flow waiting[WAITING_MAX];
    uint32_t n_waiting;
    uint64_t serial;    /* records made */
    uint64_t next_bulk; /* serial from which the next large copy is due */
} generator;

/* splitmix64 */
static uint64_t draw(generator *g) {
    uint64_t z = (g->rng += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Uniform in [0, n) by the top 32 bits. */
static uint32_t below(uint64_t r, uint32_t n) {
    return (uint32_t)(((r >> 32) * n) >> 32);
}

/* True in `percent` of cases, judged by 16 bits of r. */
static int chance(uint64_t r, unsigned shift, unsigned per_mille) {
    return (unsigned)((r >> shift) & 0xFFFF) * 1000u < per_mille * 65536u;
}

/* A rank with a density of 1/rank below 2^bits: Zipf's law in integers. */
static uint32_t zipf(generator *g, unsigned bits) {
    uint64_t r = draw(g);
    unsigned k = (unsigned)(((r & 0xFFFFFF) * (bits + 1)) >> 24);
    return k == 0 ? 0 : (1u << (k - 1)) + (uint32_t)((r >> 24) & ((1u << (k - 1)) - 1));
}

static uint32_t inside_host(uint32_t rank) {
    uint32_t x = ((rank % INSIDE_HOSTS) * 40503u + 12345u) & 0xFFFF;
    x ^= x >> 7;
    return INSIDE_NET | ((x * 25173u + 7u) & 0xFFFF);
}

/* A one-to-one shuffle of 24 bits. */
static uint32_t shuffle24(uint32_t x) {
    x = (x * 0x5BD1E9u + 0x3C6EF3u) & 0xFFFFFF;
    x ^= x >> 11;
    x = (x * 0x2C1B3Du) & 0xFFFFFF;
    return x ^ (x >> 13);
}

/* Hosts come in networks of 16 that share a /24. */
static uint32_t outside_host(uint32_t rank) {
    uint32_t x = (rank * 0x9E375u + 0x1234u) & ((1u << OUTSIDE_BITS) - 1);
    uint32_t net = shuffle24(x >> 4);
    for (;;) {
        uint32_t first = net >> 16;
        if (first >= 1 && first < 224 && first != 10 && first != 127 && first != 192 &&
            net >> 8 != INSIDE_NET >> 16) {
            break;
        }
        net = shuffle24(net);
    }
    return (net << 8) | (1 + ((x & 15) * 53 + (net & 31) * 7) % 254);
}

static uint16_t client_port(uint64_t r) {
    return (uint16_t)(r & 1 ? 1024 + below(r, 3977) : 32768 + below(r, 28233));
}

static uint16_t server_port(uint64_t r, uint8_t proto) {
    static const uint16_t tcp[32] = {80,  80,  80,  80,  80,  80,  80,   80,   80,   80,  80,
                                     80,  80,  443, 443, 443, 443, 25,   25,   25,   22,  22,
                                     110, 143, 445, 445, 139, 135, 1433, 3389, 6667, 8080};
    static const uint16_t udp[32] = {53,  53,  53,  53, 53,   53,   53,   53,   53,   53,  53,
                                     53,  53,  53,  53, 53,   123,  123,  123,  137,  137, 161,
                                     500, 514, 520, 69, 1434, 1194, 4500, 5060, 6881, 6881};
    unsigned slot = (unsigned)(r & 31);
    if (((r >> 5) & 63) < 9) {
        return (uint16_t)(6881 + below(r, 58000)); /* peer to peer */
    }
    return proto == 6 ? tcp[slot] : udp[slot];
}

/* Packets of a flow: half of them one, the rest with a tail of 1/size up to 2^21. */
static uint32_t draw_packets(generator *g) {
    uint64_t r = draw(g);
    if (chance(r, 48, 490)) {
        return 1;
    }
    unsigned k = 1;
    while (k < 20 && ((r >> k) & 1)) {
        k++;
    }
    return (1u << k) + (uint32_t)((r >> 24) & ((1u << k) - 1));
}

static uint64_t draw_duration_ms(generator *g, uint32_t packets) {
    uint64_t r = draw(g);
    if (packets == 1) {
        return 0;
    }
    if (chance(r, 0, 40)) {
        return 7 + below(r, 6);
    }
    unsigned k = 3 + (unsigned)(((r & 0xFFFFFF) * 18) >> 24); /* 8 ms and longer */
    uint64_t ms = (UINT64_C(1) << k) + ((r >> 24) & ((UINT64_C(1) << k) - 1));
    return ms > 1800000 ? 1800000 : ms;
}

static uint32_t bytes_of(uint64_t r, uint32_t packets, uint8_t proto, int heavy) {
    uint32_t each;
    if (proto == 1) {
        each = r & 3 ? 84 : 28 + below(r, 36);
    } else if (proto == 17) {
        each = heavy ? 80 + below(r, 420) : 46 + below(r, 60);
    } else if (packets == 1) {
        each = r & 1 ? 40 : 40 + (uint32_t)((r >> 1) & 3) * 4;
    } else {
        each = heavy ? 300 + below(r, 1200) : 40 + below(r, 60);
    }
    return packets * each; /* < 2^21 * 1500, fits */
}

static uint8_t flags_of(uint64_t r, uint32_t packets, uint8_t proto) {
    static const uint8_t one[8] = {0x02, 0x02, 0x02, 0x02, 0x10, 0x11, 0x14, 0x04};
    static const uint8_t many[8] = {0x1B, 0x1B, 0x1B, 0x1B, 0x1A, 0x1A, 0x1E, 0x18};
    if (proto != 6) {
        return 0;
    }
    return packets == 1 ? one[r & 7] : packets == 2 ? 0x12 : many[r & 7];
}

/* Begins a conversation: fills the question, and *answer when there is one. */
static int converse(generator *g, uint64_t now_ms, flow *question, flow *answer) {
    uint64_t r = draw(g);
    if (g->session_left == 0) {
        uint32_t in = inside_host(zipf(g, 15));
        uint32_t out = outside_host(zipf(g, OUTSIDE_BITS));
        if (chance(r, 0, 170)) { /* the long tail of hosts seen hardly more than once */
            out = outside_host(below(draw(g), 1u << OUTSIDE_BITS));
        }
        g->session_outbound = chance(r, 16, 750) ? 1 : 0;
        g->session_client = g->session_outbound ? in : out;
        g->session_server = g->session_outbound ? out : in;
        g->session_left = chance(r, 32, 130) ? 1 + (uint32_t)((r >> 60) & 3) : 1;
    }
    g->session_left--;

    memset(question, 0, sizeof *question);
    r = draw(g);
    unsigned p = below(r, 100);
    question->proto = p < 69 ? 6 : p < 96 ? 17 : 1;
    question->src = g->session_client;
    question->dst = g->session_server;
    question->outbound = g->session_outbound;
    question->tos = (r & 0x1F) == 0 ? 0x10 : (r & 0x3E0) == 0 ? 0xB8 : 0;
    question->packets = draw_packets(g);
    uint64_t lag_ms = below(draw(g), 15000);
    uint64_t duration_ms = draw_duration_ms(g, question->packets);
    question->end_ms = now_ms > lag_ms ? now_ms - lag_ms : 0;
    question->start_ms = question->end_ms > duration_ms ? question->end_ms - duration_ms : 0;

    uint64_t r2 = draw(g);
    int upload = chance(r2, 0, 150);
    if (g->serial >= g->next_bulk) {
        g->next_bulk += BULK_EVERY;
        question->src = inside_host(BULK_RANK);
        question->dst = outside_host(BULK_RANK);
        question->outbound = 1;
        question->proto = 6;
        question->packets = 1990000 + below(r2, 9999);
        question->bytes = question->packets * 1490;
        question->srcport = client_port(r2);
        question->dstport = 22;
        question->flags = 0x18;
        return 0;
    }
    question->bytes = bytes_of(draw(g), question->packets, question->proto, upload);
    question->flags = flags_of(r2 >> 20, question->packets, question->proto);
    if (question->proto == 1) {
        static const uint16_t kinds[4] = {0x0800, 0x0800, 0x0303, 0x0301};
        question->dstport = kinds[r2 & 3];
        if ((r2 & 3) > 1) {
            return 0;
        }
    } else {
        question->srcport = client_port(r2 >> 8);
        question->dstport = server_port(draw(g), question->proto);
    }
    if (chance(r2, 40, 120)) {
        return 0; /* scans, and what nobody answers */
    }

    *answer = *question;
    answer->src = question->dst;
    answer->dst = question->src;
    answer->outbound = !question->outbound;
    answer->srcport = question->dstport;
    answer->dstport = question->srcport;
    if (question->proto == 1) {
        answer->srcport = 0;
        answer->dstport = 0; /* echo reply */
    } else if (question->packets > 3) {
        answer->packets = question->packets - question->packets / 8;
    }
    answer->bytes = bytes_of(draw(g), answer->packets, answer->proto, !upload);
    answer->flags = flags_of(r2 >> 30, answer->packets, answer->proto);
    if (answer->flags == 0x02) {
        answer->flags = 0x14; /* a refused SYN */
    }
    return 1;
}

static void next_flow(generator *g, uint64_t now_ms, flow *out) {
    uint64_t r = draw(g);
    if (g->n_waiting == WAITING_MAX || (g->n_waiting > 0 && below(r, 64) < g->n_waiting)) {
        uint32_t i = (uint32_t)(r & 0xFFFF) % g->n_waiting;
        *out = g->waiting[i];
        g->waiting[i] = g->waiting[--g->n_waiting];
    } else {
        flow answer;
        if (converse(g, now_ms, out, &answer)) {
            g->waiting[g->n_waiting++] = answer;
        }
    }
    g->serial++;
}

static void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v) {
    put16(p, v >> 16);
    put16(p + 2, v & 0xFFFF);
}

static void put32le(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

/* Sum of 16-bit words for the Internet checksum; n is even. */
static uint64_t sum16(const uint8_t *p, uint32_t n) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i += 2) {
        sum += (uint32_t)(p[i] << 8) | p[i + 1];
    }
    return sum;
}

static uint16_t fold(uint64_t sum) {
    while (sum >> 16) {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static uint8_t mask_of(uint32_t addr) {
    return (addr & 0xFFFF0000u) == INSIDE_NET
               ? 16
               : (uint8_t)(11 + ((addr >> 8) * 2654435761u >> 28) % 14);
}

static uint32_t as_of(uint32_t addr) {
    return (addr & 0xFFFF0000u) == INSIDE_NET ? 24560 : 1 + ((addr >> 12) * 2654435761u >> 17);
}

static void put_record(uint8_t *p, const flow *f, uint32_t uptime_ms) {
    memset(p, 0, RECORD_BYTES);
    put32(p, f->src);
    put32(p + 4, f->dst);
    put32(p + 8, f->outbound ? 0xCB007101u : INSIDE_NET | 1); /* 203.0.113.1 or 122.166.0.1 */
    put16(p + 12, f->outbound ? 1 : 2);
    put16(p + 14, f->outbound ? 2 : 1);
    put32(p + 16, f->packets);
    put32(p + 20, f->bytes);
    put32(p + 24, (uint32_t)(uptime_ms + f->start_ms));
    put32(p + 28, (uint32_t)(uptime_ms + f->end_ms));
    put16(p + 32, f->srcport);
    put16(p + 34, f->dstport);
    p[37] = f->flags;
    p[38] = f->proto;
    p[39] = f->tos;
    put16(p + 40, as_of(f->src));
    put16(p + 42, as_of(f->dst));
    p[44] = mask_of(f->src);
    p[45] = mask_of(f->dst);
}

/* Writes headers around `count` records that already stand in place. Returns the frame's size. */
static uint32_t put_headers(uint8_t *p, uint32_t count, uint64_t export_us, uint32_t uptime_ms,
                            uint32_t sequence) {
    uint32_t v5_bytes = V5_HEADER_BYTES + count * RECORD_BYTES;
    uint32_t secs = (uint32_t)(TRACE_START_S + export_us / 1000000);
    uint32_t usecs = (uint32_t)(export_us % 1000000);

    uint8_t *v5 = p + PREFIX_BYTES;
    memset(v5, 0, V5_HEADER_BYTES);
    put16(v5, 5);
    put16(v5 + 2, count);
    put32(v5 + 4, (uint32_t)(uptime_ms + export_us / 1000));
    put32(v5 + 8, secs);
    put32(v5 + 12, usecs * 1000);
    put32(v5 + 16, sequence);

    put32le(p, secs);
    put32le(p + 4, usecs);
    put32le(p + 8, 42 + v5_bytes);
    put32le(p + 12, 42 + v5_bytes);

    static const uint8_t ethernet[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
    memcpy(p + 16, ethernet, sizeof ethernet);

    uint8_t *ip = p + 30;
    memset(ip, 0, 28);
    ip[0] = 0x45;
    put16(ip + 2, 28 + v5_bytes);
    put16(ip + 4, sequence / RECORDS_PER_DATAGRAM);
    ip[8] = 255;
    ip[9] = 17;
    put32(ip + 12, EXPORTER_ADDR);
    put32(ip + 16, COLLECTOR_ADDR);
    put16(ip + 10, fold(sum16(ip, 20)));

    uint8_t *udp = ip + 20;
    put16(udp, 50000);
    put16(udp + 2, 2055);
    put16(udp + 4, 8 + v5_bytes);
    uint16_t check = fold(sum16(ip + 12, 8) + 17 + 8 + v5_bytes + sum16(udp, 8 + v5_bytes));
    put16(udp + 6, check == 0 ? 0xFFFF : check);
    return PREFIX_BYTES + v5_bytes;
}

static int generate(FILE *out, uint64_t n_records, uint64_t seed, uint32_t uptime_ms, sums *total) {
    static uint8_t buf[OUT_BYTES];
    static const uint8_t head[24] = {0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0,
                                     0,    0,    0,    0,    0, 0, 4, 0, 1, 0, 0, 0};
    static generator g;
    uint64_t n_datagrams = (n_records + RECORDS_PER_DATAGRAM - 1) / RECORDS_PER_DATAGRAM;
    uint64_t step_us = n_datagrams == 0 ? 1 : TRACE_US / n_datagrams;
    size_t used = sizeof head;

    g.rng = seed;
    g.next_bulk = BULK_AT;
    memcpy(buf, head, sizeof head);
    for (uint64_t d = 0; d < n_datagrams; d++) {
        uint64_t left = n_records - d * RECORDS_PER_DATAGRAM;
        uint32_t count = left < RECORDS_PER_DATAGRAM ? (uint32_t)left : RECORDS_PER_DATAGRAM;
        uint64_t export_us = d * step_us + (step_us > 1 ? draw(&g) % step_us : 0);

        if (used + 2048 > sizeof buf) {
            if (fwrite(buf, 1, used, out) != used) {
                return -1;
            }
            used = 0;
        }
        uint8_t *frame = buf + used;
        for (uint32_t i = 0; i < count; i++) {
            flow f;
            next_flow(&g, export_us / 1000, &f);
            put_record(frame + PREFIX_BYTES + V5_HEADER_BYTES + i * RECORD_BYTES, &f, uptime_ms);
            total->packets += f.packets;
            total->bytes += f.bytes;
            total->duration_ms += f.end_ms - f.start_ms;
            total->ports += (uint32_t)f.srcport + f.dstport;
            total->addresses += (uint64_t)f.src + f.dst;
        }
        used +=
            put_headers(frame, count, export_us, uptime_ms, (uint32_t)(d * RECORDS_PER_DATAGRAM));
        total->records += count;
        total->datagrams++;
    }
    return fwrite(buf, 1, used, out) == used ? 0 : -1;
}

static int usage(void) {
    fputs("usage: flowgen [-n records] [-s seed] [-u uptime_ms] FILE\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    uint64_t n_records = 2000000, seed = 1;
    uint64_t uptime_ms = UINT64_C(1555200000); /* 18 days */
    const char *path = NULL;

    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            if (path != NULL) {
                return usage();
            }
            path = argv[i];
            continue;
        }
        char *end = NULL;
        if (argv[i][1] == '\0' || argv[i][2] != '\0' || i + 1 >= argc || argv[i + 1][0] == '-') {
            return usage();
        }
        uint64_t value = strtoull(argv[i + 1], &end, 10);
        if (end == argv[i + 1] || *end != '\0') {
            return usage();
        }
        switch (argv[i][1]) {
        case 'n':
            n_records = value;
            break;
        case 's':
            seed = value;
            break;
        case 'u':
            uptime_ms = value;
            break;
        default:
            return usage();
        }
        i++;
    }
    if (path == NULL || n_records > UINT32_MAX || uptime_ms > UINT32_MAX) {
        return usage();
    }

    FILE *out = fopen(path, "wb");
    sums total = {0};
    if (out == NULL) {
        fprintf(stderr, "flowgen: %s: %s\n", path, strerror(errno));
        return 1;
    }
    setvbuf(out, NULL, _IONBF, 0);
    int rc = generate(out, n_records, seed, (uint32_t)uptime_ms, &total);
    if (fclose(out) != 0) {
        rc = -1;
    }
    if (rc != 0) {
        fprintf(stderr, "flowgen: %s: %s\n", path, strerror(errno));
        remove(path);
        return 1;
    }
    fprintf(stderr,
            "records=%" PRIu64 " datagrams=%" PRIu64 " packets=%" PRIu64 " bytes=%" PRIu64
            " duration_ms=%" PRIu64 " ports=%" PRIu64 " addresses=%" PRIu64 "\n",
            total.records, total.datagrams, total.packets, total.bytes, total.duration_ms,
            total.ports, total.addresses);
    return 0;
}
