/* Claims of capture/nf5.c: what a payload is, when its flows were, and that rows
** are the bytes of the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/frame.h"
#include "capture/nf5.h"
#include "plain_pcap.h"

#define CAPTURES "../shared/captures/"

/* A small seeded generator: the same numbers on every machine. */
static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 32);
}

static void store16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void store32(uint8_t *p, uint32_t v) {
    store16(p, v >> 16);
    store16(p + 2, v & 0xffff);
}

/* Classifies n bytes in a block of exactly that size. */
static eg_reason classify(const uint8_t *bytes, uint32_t n, uint32_t full, uint32_t *n_records) {
    uint8_t *block = malloc(n + (n == 0));
    assert_non_null(block);
    memcpy(block, bytes, n);
    eg_nf5_header h;
    memset(&h, 0xaa, sizeof h);
    eg_reason reason = eg_nf5_classify(block, n, full, &h, n_records);
    if (eg_reason_about(reason)->decoded) {
        assert_int_equal(h.count, eg_be16(bytes + 2));
        assert_true(*n_records >= 1 && *n_records <= h.count && h.count <= 30);
        assert_true(24 + *n_records * 48 <= n);
    } else {
        assert_int_equal(*n_records, 0);
    }
    free(block);
    return reason;
}

static void assert_is(const uint8_t *bytes, uint32_t n, uint32_t full, eg_reason reason,
                      uint32_t n_records) {
    uint32_t got;
    assert_string_equal(eg_reason_about(classify(bytes, n, full, &got))->name,
                        eg_reason_about(reason)->name);
    assert_int_equal(got, n_records);
}

static uint8_t datagram[4096];

static const uint8_t *v5(uint32_t count) {
    memset(datagram, 0x11, sizeof datagram);
    store16(datagram, 5);
    store16(datagram + 2, count);
    return datagram;
}

/* ---- what a payload is -------------------------------------------------- */

static void nf5_accepts_counts_1_to_30(void **state) {
    (void)state;
    for (uint32_t count = 1; count <= 30; count++)
        assert_is(v5(count), 24 + 48 * count, 24 + 48 * count, EG_REASON_V5, count);
}

static void nf5_rejects_count_0(void **state) {
    (void)state;
    assert_is(v5(0), 24, 24, EG_REASON_V5_COUNT_ZERO, 0);
    assert_is(v5(0), 24 + 48, 24 + 48, EG_REASON_V5_COUNT_ZERO, 0);
    assert_is(v5(0), 4, 4, EG_REASON_V5_COUNT_ZERO, 0);
}

static void nf5_rejects_count_31(void **state) {
    (void)state;
    assert_is(v5(31), 24 + 48 * 31, 24 + 48 * 31, EG_REASON_V5_COUNT_OVER_30, 0);
    assert_is(v5(31), 24 + 48 * 30, 24 + 48 * 30, EG_REASON_V5_COUNT_OVER_30, 0);
    assert_is(v5(65535), 24 + 48 * 30, 24 + 48 * 30, EG_REASON_V5_COUNT_OVER_30, 0);
}

static void nf5_rejects_what_has_no_whole_record(void **state) {
    (void)state;
    for (uint32_t n = 4; n < 24 + 48; n++) {
        assert_is(v5(3), n, n, EG_REASON_V5_NO_RECORD, 0);
        assert_is(v5(3), n, 24 + 3 * 48, EG_REASON_V5_NO_RECORD, 0);
    }
    for (uint32_t n = 0; n < 4; n++)
        assert_is(v5(3), n, 24 + 3 * 48, EG_REASON_NOT_NETFLOW, 0);
}

static void nf5_keeps_whole_records_of_a_short_datagram(void **state) {
    (void)state;
    for (uint32_t n = 24 + 48; n < 24 + 30 * 48; n++)
        assert_is(v5(30), n, n, EG_REASON_V5_SHORT, (n - 24) / 48);
}

static void nf5_keeps_whole_records_of_a_cut_datagram(void **state) {
    (void)state;
    for (uint32_t n = 24 + 48; n < 24 + 30 * 48; n++)
        assert_is(v5(30), n, 24 + 30 * 48, EG_REASON_V5_CUT, (n - 24) / 48);
    /* Short on the wire already, and cut: only what the capture lacks is its fault. */
    assert_is(v5(30), 24 + 2 * 48, 24 + 5 * 48, EG_REASON_V5_CUT, 2);
    assert_is(v5(30), 24 + 5 * 48, 24 + 5 * 48 + 9, EG_REASON_V5_SHORT, 5);
    assert_is(v5(30), 24 + 5 * 48, 4000, EG_REASON_V5_CUT, 5);
}

static void nf5_keeps_count_records_of_a_long_datagram(void **state) {
    (void)state;
    assert_is(v5(30), 24 + 31 * 48, 24 + 31 * 48, EG_REASON_V5_LONG, 30);
    assert_is(v5(2), 24 + 2 * 48 + 1, 24 + 2 * 48 + 1, EG_REASON_V5_LONG, 2);
    assert_is(v5(2), 24 + 2 * 48, 24 + 2 * 48 + 1, EG_REASON_V5_LONG, 2);
    /* Two datagrams in one: the first one's records. */
    assert_is(v5(1), 2 * (24 + 48), 2 * (24 + 48), EG_REASON_V5_LONG, 1);
}

static void nf5_fills_the_header(void **state) {
    (void)state;
    static const uint8_t bytes[24 + 48] = {0,    5,    0,    1,    0x11, 0x22, 0x33, 0x44,
                                           0x55, 0x66, 0x77, 0x88, 0x12, 0x34, 0x56, 0x78,
                                           0x9a, 0xbc, 0xde, 0xf0, 71,   72,   0x7f, 0xff};
    eg_nf5_header h;
    uint32_t n;
    assert_int_equal(eg_nf5_classify(bytes, sizeof bytes, sizeof bytes, &h, &n), EG_REASON_V5);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.uptime_ms, 0x11223344);
    assert_int_equal(h.unix_secs, 0x55667788);
    assert_int_equal(h.unix_nsecs, 0x12345678);
    assert_true(h.flow_sequence == 0x9abcdef0);
    assert_int_equal(h.engine_type, 71);
    assert_int_equal(h.engine_id, 72);
    assert_int_equal(h.sampling_mode, 1);
    assert_int_equal(h.sampling_interval, 0x3fff);
}

static void nf5_tells_other_versions_apart(void **state) {
    (void)state;
    static const struct {
        const char *head; /* the first 24 bytes, hexadecimal */
        uint32_t full_bytes;
        eg_reason reason;
    } cases[] = {
        {"000100183e8000006b03cbe30380f5187f0000017f000001", 16 + 24 * 48, EG_REASON_V1},
        {"000100183e8000006b03cbe30380f5187f0000017f000001", 16 + 24 * 52, EG_REASON_V1},
        {"000100193e8000006b03cbe30380f5187f0000017f000001", 16 + 24 * 52, EG_REASON_NOT_NETFLOW},
        {"000100003e8000006b03cbe30380f5187f0000017f000001", 16 + 24 * 52, EG_REASON_NOT_NETFLOW},
        {"000100023e8000006b03cbe37f80f5187f0000017f000001", 16 + 2 * 52, EG_REASON_NOT_NETFLOW},
        {"000100023e8000006b03cbe30380f5187f0000017f000001", 24, EG_REASON_NOT_NETFLOW},
        {"0007001b3e8000006b03cbec06f73fb80000000000000000", 24 + 27 * 52, EG_REASON_V7},
        {"0007001f3e8000006b03cbec06f73fb80000000000000000", 24 + 28 * 52, EG_REASON_NOT_NETFLOW},
        {"0007001b3e8000006b03cbec06f73fb80000000000000000", 24 + 31 * 52, EG_REASON_NOT_NETFLOW},
        {"0007001b3e8000006b03cbec3b9aca000000000000000000", 24 + 27 * 52, EG_REASON_NOT_NETFLOW},
        {"000800023e8000006b03cbec06f73fb80000000000000302", 28 + 2 * 32, EG_REASON_V8},
        {"000800023e8000006b03cbec06f73fb80000000000000f02", 28 + 2 * 32, EG_REASON_NOT_NETFLOW},
        {"000800023e8000006b03cbec06f73fb80000000000000302", 28, EG_REASON_NOT_NETFLOW},
        {"000900180000baa454a7e91a000000010000000000000048", 1360, EG_REASON_V9},
        {"000900180000baa454a7e91a000000010000000000010048", 1360, EG_REASON_V9},
        {"000900180000baa454a7e91a000000010000000001000048", 1360, EG_REASON_V9},
        {"000900180000baa454a7e91a000000010000000000020048", 1360, EG_REASON_NOT_NETFLOW},
        {"000900180000baa454a7e91a000000010000000000ff0048", 1360, EG_REASON_NOT_NETFLOW},
        {"000900180000baa454a7e91a000000010000000000000003", 1360, EG_REASON_NOT_NETFLOW},
        {"000900180000baa454a7e91a00000001000000000000053d", 1360, EG_REASON_NOT_NETFLOW},
        {"000900000000baa454a7e91a000000010000000000000048", 1360, EG_REASON_NOT_NETFLOW},
        {"000a056054a7e91a00000018000000000002004804000010", 1376, EG_REASON_IPFIX},
        {"000a056054a7e91a00000018000000000003004804000010", 1400, EG_REASON_IPFIX},
        {"000a056054a7e91a00000018000000000100004804000010", 1376, EG_REASON_IPFIX},
        {"000a056054a7e91a00000018000000000004004804000010", 1376, EG_REASON_NOT_NETFLOW},
        {"000a056054a7e91a00000018000000000002055104000010", 1376, EG_REASON_NOT_NETFLOW},
        {"000a056054a7e91a00000018000000000002004804000010", 1375, EG_REASON_NOT_NETFLOW},
        {"000a000f54a7e91a00000018000000000002004804000010", 1376, EG_REASON_NOT_NETFLOW},
        {"000a001054a7e91a0000001800000000", 16, EG_REASON_IPFIX}, /* no sets */
        {"000a001054a7e91a0000001800000000", 17, EG_REASON_NOT_NETFLOW},
        {"000a001354a7e91a0000001800000000", 40, EG_REASON_NOT_NETFLOW},
        {"00000005000000010fb808040000000200031fb09bbecb05", 1288, EG_REASON_SFLOW},
        {"00000004000000020fb808040000000200031fb09bbecb05", 1288, EG_REASON_SFLOW},
        {"00000002000000010fb808040000000200031fb09bbecb05", 24, EG_REASON_SFLOW},
        {"00000003000000010fb808040000000200031fb09bbecb05", 1288, EG_REASON_NOT_NETFLOW},
        {"00000005000000030fb808040000000200031fb09bbecb05", 1288, EG_REASON_NOT_NETFLOW},
        {"00000005000000000fb808040000000200031fb09bbecb05", 1288, EG_REASON_NOT_NETFLOW},
        {"00000005000000010fb808040000000200031fb09bbecb05", 27, EG_REASON_NOT_NETFLOW},
        {"000600183e8000006b03cbe30380f5187f0000017f000001", 1168, EG_REASON_NOT_NETFLOW},
        {"050000183e8000006b03cbe30380f5187f0000017f000001", 1168, EG_REASON_NOT_NETFLOW},
        {"0001010000010000000000000377777707657861", 40, EG_REASON_NOT_NETFLOW}, /* DNS, id 1 */
        {"0009010000010000000000000377777707657861", 40, EG_REASON_NOT_NETFLOW}, /* DNS, id 9 */
        {"00016f63746574000000", 32, EG_REASON_NOT_NETFLOW},                     /* TFTP read */
        {"474554202f20485454502f312e310d0a", 64, EG_REASON_NOT_NETFLOW},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[2048] = {0};
        uint32_t n = (uint32_t)strlen(cases[i].head) / 2;
        for (uint32_t k = 0; k < n; k++) {
            char digits[3] = {cases[i].head[2 * k], cases[i].head[2 * k + 1], 0};
            bytes[k] = (uint8_t)strtoul(digits, NULL, 16);
        }
        assert_is(bytes, cases[i].full_bytes, cases[i].full_bytes, cases[i].reason, 0);
        if (cases[i].full_bytes >= 24 && n == 24) /* the same by its header only */
            assert_is(bytes, 24, cases[i].full_bytes, cases[i].reason, 0);
        if (cases[i].reason != EG_REASON_NOT_NETFLOW && cases[i].full_bytes > 24) {
            /* Cut shorter, less is looked at, down to sFlow's 8 bytes and 4 of the others. */
            uint32_t least = cases[i].reason == EG_REASON_SFLOW ? 8 : 4;
            for (uint32_t k = 0; k < 24; k++)
                assert_is(bytes, k, cases[i].full_bytes,
                          k < least ? EG_REASON_NOT_NETFLOW : cases[i].reason, 0);
        }
    }
}

static void nf5_takes_noise_for_no_netflow(void **state) {
    (void)state;
    uint8_t noise[1500];
    uint64_t seed = 5;
    for (int i = 0; i < 20000; i++) {
        uint32_t n = next_random(&seed) % 1500, got;
        for (uint32_t k = 0; k < n && k < 64; k++)
            noise[k] = (uint8_t)next_random(&seed);
        if (n >= 2 && eg_be16(noise) == 5)
            noise[0] = 0xff;
        assert_int_equal(classify(noise, n, n, &got), EG_REASON_NOT_NETFLOW);
    }
    memset(noise, 0, sizeof noise);
    for (uint32_t n = 0; n <= sizeof noise; n++)
        assert_is(noise, n, n, EG_REASON_NOT_NETFLOW, 0);
}

/* ---- time --------------------------------------------------------------- */

#define H_SECS 1185487999u /* some header time */
#define H_MS (INT64_C(1000) * H_SECS + 123)

static eg_nf5_header at(uint32_t uptime_ms) {
    return (eg_nf5_header){
        .count = 1, .uptime_ms = uptime_ms, .unix_secs = H_SECS, .unix_nsecs = 123999999};
}

static void nf5_times_follow_the_conformance_table(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t uptime_ms, first, last;
        int64_t end_before_header_ms;
        uint32_t duration_ms;
        uint8_t flag;
    } cases[] = {
        {"A normal", 3600000, 3500000, 3590000, 10000, 90000, 0},
        {"B First before the wrap", 20000, UINT32_MAX - 29999, 10000, 10000, 40000, 0},
        {"C First and Last before the wrap", 20000, UINT32_MAX - 59999, UINT32_MAX - 29999, 50000,
         30000, 0},
        {"D Last 50 ms after the header", 3600000, 3590000, 3600050, -50, 10050, 0},
        {"E Last 200 s after the header", 3600000, 3700000, 3800000, -200000, 100000, 0},
        {"F uptime pinned to 0", 0, 100000, 130000, -130000, 30000, 0},
        {"G all before the wrap", UINT32_MAX - 999, UINT32_MAX - 60999, UINT32_MAX - 10999, 10000,
         50000, 0},
        {"H First after Last", 3600000, 3591000, 3590000, 10000, 0, EG_TIME_FIRST_AFTER_LAST},
        {"I Last over the wrap before the header", UINT32_MAX - 49, UINT32_MAX - 1049, 0, -50, 1050,
         0},
        {"Last leads by 600,000 ms", 0, 600000, 600000, -600000, 0, 0},
        {"Last leads by more: it lies behind", 0, 600001, 600001, INT64_C(4294967296) - 600001, 0,
         0},
        {"longest duration", 3600000, 3600000u - 0x7fffffff, 3600000, 0, 0x7fffffff, 0},
        {"one ms longer", 3600000, 3600000u - 0x80000000, 3600000, 0, 0, EG_TIME_FIRST_AFTER_LAST},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_nf5_header h = at(cases[i].uptime_ms);
        eg_nf5_times t = eg_nf5_time(&h, cases[i].first, cases[i].last);
        if (t.end_ms != H_MS - cases[i].end_before_header_ms ||
            t.duration_ms != cases[i].duration_ms || t.flag != cases[i].flag ||
            t.start_ms != t.end_ms - cases[i].duration_ms)
            fail_msg("case %s: end %lld, duration %u, flag %u", cases[i].name,
                     (long long)(H_MS - t.end_ms), t.duration_ms, t.flag);
    }
}

__extension__ typedef __int128 wide;

/* The rule again, in whole numbers without a width: unwrap by search. */
static eg_nf5_times oracle(const eg_nf5_header *h, uint32_t first, uint32_t last) {
    const wide wrap = (wide)1 << 32;
    wide header_ns = (wide)h->unix_secs * 1000000000;
    bool bad_ns = h->unix_nsecs >= 1000000000;
    if (!bad_ns)
        header_ns += h->unix_nsecs;
    wide header_ms = header_ns / 1000000;
    /* Last is somewhere on the axis of uptimes: within ]uptime - wrap + lead, uptime + lead]. */
    wide last_axis = last;
    while (last_axis > (wide)h->uptime_ms + 600000)
        last_axis -= wrap;
    while (last_axis <= (wide)h->uptime_ms + 600000 - wrap)
        last_axis += wrap;
    /* First is the nearest such stamp at or before Last, or it lies after it. */
    wide first_axis = first;
    while (first_axis > last_axis)
        first_axis -= wrap;
    while (first_axis <= last_axis - wrap)
        first_axis += wrap;
    bool after = (last_axis - first_axis) * 2 >= wrap;
    if (after)
        first_axis = last_axis;
    return (eg_nf5_times){
        .start_ms = (int64_t)(header_ms + first_axis - h->uptime_ms),
        .end_ms = (int64_t)(header_ms + last_axis - h->uptime_ms),
        .duration_ms = (uint32_t)(last_axis - first_axis),
        .flag = (uint8_t)((after ? EG_TIME_FIRST_AFTER_LAST : 0) | (bad_ns ? EG_TIME_NSECS : 0) |
                          (header_ms + first_axis < h->uptime_ms ? EG_TIME_BEFORE_1970 : 0))};
}

static void nf5_times_equal_the_oracle_on_a_million_triples(void **state) {
    (void)state;
    static const uint32_t secs[] = {0, 1, H_SECS, 0x7fffffff, 0x80000000, 0xffffffff};
    static const uint32_t nsecs[] = {0, 999999, 1000000, 999999999, 1000000000, 0xffffffff};
    uint64_t seed = 13;
    for (int i = 0; i < 1000000; i++) {
        eg_nf5_header h = {.uptime_ms = next_random(&seed),
                           .unix_secs = secs[next_random(&seed) % 6],
                           .unix_nsecs = nsecs[next_random(&seed) % 6]};
        uint32_t first = next_random(&seed), last = next_random(&seed);
        if (i % 4 == 1) /* near one another, and near the wrap */
            h.uptime_ms = next_random(&seed) % 4000000 - 2000000;
        if (i % 2 == 1) {
            last = h.uptime_ms - 700000 + next_random(&seed) % 1400000;
            first = last - next_random(&seed) % 3000000 + 1000;
        }
        eg_nf5_times a = eg_nf5_time(&h, first, last), b = oracle(&h, first, last);
        if (a.start_ms != b.start_ms || a.end_ms != b.end_ms || a.duration_ms != b.duration_ms ||
            a.flag != b.flag)
            fail_msg("uptime %u, First %u, Last %u, %u s, %u ns", h.uptime_ms, first, last,
                     h.unix_secs, h.unix_nsecs);
    }
}

static void nf5_header_time_holds_for_any_clock(void **state) {
    (void)state;
    static const struct {
        uint32_t secs, nsecs;
        int64_t ms;
        uint8_t flag;
    } cases[] = {
        {0, 0, 0, 0},
        {0x7fffffff, 999999999, INT64_C(2147483647999), 0},
        {0x80000000, 0, INT64_C(2147483648000), 0},
        {0xffffffff, 999999999, INT64_C(4294967295999), 0},
        {7, 805, 7000, 0},
        {7, 1000000000, 7000, EG_TIME_NSECS},
        {7, 0xffffffff, 7000, EG_TIME_NSECS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_nf5_header h = {.unix_secs = cases[i].secs, .unix_nsecs = cases[i].nsecs};
        uint8_t flag = 0;
        assert_true(eg_nf5_header_ms(&h, &flag) == cases[i].ms);
        assert_int_equal(flag, cases[i].flag);
        eg_nf5_times t = eg_nf5_time(&h, 0, 0);
        assert_int_equal(t.flag, cases[i].flag);
        assert_true(t.end_ms == cases[i].ms);
    }
    uint8_t flag = EG_TIME_FIRST_AFTER_LAST; /* flags are added */
    eg_nf5_header h = {.unix_nsecs = 1000000000};
    eg_nf5_header_ms(&h, &flag);
    assert_int_equal(flag, EG_TIME_FIRST_AFTER_LAST | EG_TIME_NSECS);
}

/* ---- rows --------------------------------------------------------------- */

static eg_vector_set all_vectors(void) {
    return (UINT64_C(1) << EG_N_VECTORS) - 1;
}

/* A datagram of n records with every byte told by its place. */
static const uint8_t *numbered_datagram(uint32_t n, eg_nf5_header *h) {
    uint64_t seed = n;
    for (size_t i = 0; i < sizeof datagram; i++)
        datagram[i] = (uint8_t)next_random(&seed);
    store16(datagram, 5);
    store16(datagram + 2, n);
    store32(datagram + 12, 500000000);
    uint32_t n_records;
    assert_int_equal(eg_nf5_classify(datagram, 24 + 48 * n, 24 + 48 * n, h, &n_records),
                     EG_REASON_V5);
    return datagram;
}

static void assert_row(const eg_batch *b, uint32_t row, const uint8_t *r, const eg_nf5_header *h,
                       const eg_nf5_origin *o, uint32_t i) {
    eg_nf5_times t = eg_nf5_time(h, eg_be32(r + 24), eg_be32(r + 28));
    assert_true(b->v.START_MS[row] == t.start_ms);
    assert_true(b->v.END_MS[row] == t.end_ms);
    assert_true(b->v.DURATION_MS[row] == t.duration_ms);
    assert_int_equal(b->v.TIME_FLAG[row], t.flag);
    assert_true(b->v.SRCADDR[row] == eg_be32(r));
    assert_true(b->v.DSTADDR[row] == eg_be32(r + 4));
    assert_true(b->v.NEXTHOP[row] == eg_be32(r + 8));
    assert_int_equal(b->v.INPUT[row], eg_be16(r + 12));
    assert_int_equal(b->v.OUTPUT[row], eg_be16(r + 14));
    assert_true(b->v.PACKETS[row] == (int64_t)eg_be32(r + 16));
    assert_true(b->v.BYTES[row] == (int64_t)eg_be32(r + 20));
    assert_int_equal(b->v.SRCPORT[row], eg_be16(r + 32));
    assert_int_equal(b->v.DSTPORT[row], eg_be16(r + 34));
    assert_int_equal(b->v.TCP_FLAGS[row], r[37]);
    assert_int_equal(b->v.PROTO[row], r[38]);
    assert_int_equal(b->v.TOS[row], r[39]);
    assert_int_equal(b->v.SRC_AS[row], eg_be16(r + 40));
    assert_int_equal(b->v.DST_AS[row], eg_be16(r + 42));
    assert_int_equal(b->v.SRC_MASK[row], r[44]);
    assert_int_equal(b->v.DST_MASK[row], r[45]);
    assert_true(b->v.FLOW_SEQUENCE[row] == (int64_t)h->flow_sequence + i);
    assert_int_equal(b->v.ENGINE_TYPE[row], h->engine_type);
    assert_int_equal(b->v.ENGINE_ID[row], h->engine_id);
    assert_int_equal(b->v.SAMPLING_MODE[row], h->sampling_mode);
    assert_int_equal(b->v.SAMPLING_INTERVAL[row], h->sampling_interval);
    assert_true(b->v.EXPORTER[row] == o->exporter_code);
    assert_true(b->v.FILE[row] == o->file_code);
    assert_true(b->v.RECEIVED_MS[row] == o->received_ms);
    assert_true(b->v.FRAME[row] == o->frame);
}

static void nf5_rows_are_the_bytes_of_the_record(void **state) {
    (void)state;
    eg_batch b;
    assert_int_equal(eg_batch_open(&b, all_vectors(), NULL, NULL), EG_OK);
    for (uint32_t n = 1; n <= 30; n++) {
        eg_nf5_header h;
        const uint8_t *d = numbered_datagram(n, &h);
        eg_nf5_origin o = {.exporter_code = n,
                           .file_code = 1000 + n,
                           .received_ms = n % 2 ? EG_NO_TIME : -7,
                           .frame = INT64_C(1) << 40};
        uint32_t from = b.n_rows;
        eg_nf5_append_unchecked(d, &h, n, &o, &b);
        assert_int_equal(b.n_rows, from + n);
        for (uint32_t i = 0; i < n; i++)
            assert_row(&b, from + i, d + 24 + 48 * i, &h, &o, i);
    }
    eg_batch_close(&b);
}

static void nf5_fills_only_the_vectors_of_the_batch(void **state) {
    (void)state;
    eg_batch all;
    assert_int_equal(eg_batch_open(&all, all_vectors(), NULL, NULL), EG_OK);
    eg_nf5_header h;
    const uint8_t *d = numbered_datagram(30, &h);
    eg_nf5_origin o = {.exporter_code = 3, .file_code = 4, .received_ms = 5, .frame = 6};
    eg_nf5_append_unchecked(d, &h, 30, &o, &all);
    for (int v = 0; v < EG_N_VECTORS; v++) {
        eg_batch b;
        assert_int_equal(eg_batch_open(&b, EG_VECTOR_BIT(v), NULL, NULL), EG_OK);
        eg_nf5_append_unchecked(d, &h, 30, &o, &b);
        assert_int_equal(b.n_rows, 30);
        for (int c = 0; c < EG_N_COLUMNS; c++) {
            const eg_column_info *about = eg_column_about((eg_column)c);
            if (about->vectors != EG_VECTOR_BIT(v))
                continue;
            for (uint32_t row = 0; row < 30; row++)
                assert_true(eg_batch_number(&b, (eg_column)c, row) ==
                            eg_batch_number(&all, (eg_column)c, row));
        }
        eg_batch_close(&b);
    }
    eg_batch none;
    assert_int_equal(eg_batch_open(&none, 0, NULL, NULL), EG_OK);
    eg_nf5_append_unchecked(d, &h, 7, &o, &none);
    assert_int_equal(none.n_rows, 7);
    eg_batch_close(&none);
    eg_batch_close(&all);
}

static void nf5_sequence_numbers_rise_over_the_wrap(void **state) {
    (void)state;
    eg_batch b;
    assert_int_equal(eg_batch_open(&b, EG_VECTOR_BIT(EG_VEC_FLOW_SEQUENCE), NULL, NULL), EG_OK);
    eg_nf5_header h;
    const uint8_t *d = numbered_datagram(3, &h);
    h.flow_sequence = UINT32_MAX - 1;
    eg_nf5_origin o = {0};
    eg_nf5_append_unchecked(d, &h, 3, &o, &b);
    assert_true(b.v.FLOW_SEQUENCE[0] == INT64_C(4294967294));
    assert_true(b.v.FLOW_SEQUENCE[2] == INT64_C(4294967296));
    eg_batch_close(&b);
}

/* ---- captures ----------------------------------------------------------- */

typedef struct sums {
    int64_t n[EG_N_REASONS];
    int64_t records, packets, octets;
} sums;

static bool read_capture(const char *path, sums *s) {
    memset(s, 0, sizeof *s);
    plain_pcap c;
    if (!plain_pcap_open(&c, path))
        return false;
    eg_batch b;
    assert_int_equal(
        eg_batch_open(&b, EG_VECTOR_BIT(EG_VEC_PACKETS) | EG_VECTOR_BIT(EG_VEC_BYTES), NULL, NULL),
        EG_OK);
    eg_packet p;
    while (plain_pcap_next(&c, &p)) {
        eg_datagram d;
        eg_fragment f;
        eg_reason reason;
        eg_nf5_header h;
        uint32_t n_records = 0;
        if (eg_frame_decode(&p, &d, &f, &reason) == EG_FRAME_DATAGRAM)
            reason = eg_nf5_classify(d.payload, d.n_bytes, d.full_bytes, &h, &n_records);
        s->n[reason]++;
        if (n_records == 0)
            continue;
        b.n_rows = 0;
        eg_nf5_origin o = {0};
        eg_nf5_append_unchecked(d.payload, &h, n_records, &o, &b);
        s->records += n_records;
        for (uint32_t i = 0; i < n_records; i++) {
            s->packets += b.v.PACKETS[i];
            s->octets += b.v.BYTES[i];
        }
    }
    eg_batch_close(&b);
    plain_pcap_close(&c);
    return true;
}

static void nf5_sums_of_the_sample_are_tsharks(void **state) {
    (void)state;
    sums s;
    assert_true(read_capture("samples/softflowd-v5-ndpi-adj.pcap", &s));
    assert_int_equal(s.n[EG_REASON_V5], 261);
    assert_int_equal(s.records, 7627);
    assert_int_equal(s.packets, 71674);
    assert_int_equal(s.octets, 21117087);
}

static void nf5_sums_of_real_captures_are_tsharks(void **state) {
    (void)state;
    static const struct {
        const char *path;
        eg_reason reason;
        int64_t datagrams, records, packets, octets;
    } cases[] = {
        {"made/fprobe-live-v5.pcapng", EG_REASON_V5, 30, 870, 10047, 3374659},
        {"made/softflowd-v5-any-sll2.pcap", EG_REASON_V5, 58, 1678, 11461, 3975112},
        {"made/softflowd-v5-snap128.pcap", EG_REASON_V5_CUT, 58, 58, 323, 170783},
        {"made/softflowd-v5-snap600.pcap", EG_REASON_V5_CUT, 57, 637, 5537, 1743489},
        {"third-party/graylog-netgraph-v5.pcap", EG_REASON_V5, 4, 120, 19355, 6765997},
        {"third-party/graylog-nprobe-mixed-v5-v9.pcap", EG_REASON_V9, 4, 150, 11281, 15062820},
        {"third-party/wrapped-dpkt-v5.pcap", EG_REASON_V5, 1, 29, 29, 26460},
        {"third-party/wrapped-logstash-v5-12datagrams.pcap", EG_REASON_V5, 12, 30, 230, 18684},
        {"made/neg-fprobe-v1-file.pcapng", EG_REASON_V1, 71, 0, 0, 0},
        {"made/neg-fprobe-v7-file.pcapng", EG_REASON_V7, 63, 0, 0, 0},
        {"made/neg-softflowd-v9.pcap", EG_REASON_V9, 17, 0, 0, 0},
        {"made/neg-softflowd-v10.pcap", EG_REASON_IPFIX, 17, 0, 0, 0},
        {"third-party/neg-graylog-nprobe-v9.pcap", EG_REASON_V9, 72, 0, 0, 0},
        {"third-party/neg-graylog-pmacctd-v9.pcap", EG_REASON_V9, 2, 0, 0, 0},
        {"third-party/neg-graylog-softflowd-v9.pcap", EG_REASON_V9, 9, 0, 0, 0},
        /* Five real v5 exports to sFlow's port among them: the content decides. */
        {"third-party/neg-tcpdump-sflow-30pdus.pcap", EG_REASON_SFLOW, 25, 7, 12, 1953},
        {"third-party/neg-tcpdump-sflow-30pdus.pcap", EG_REASON_V5, 5, 7, 12, 1953},
        {"third-party/neg-wrapped-bitkeks-v1.pcap", EG_REASON_V1, 1, 0, 0, 0},
        {"third-party/neg-wrapped-dpkt-v1.pcap", EG_REASON_V1, 1, 0, 0, 0},
        {"third-party/neg-wrapped-streamsets-v1-short.pcap", EG_REASON_V1, 1, 0, 0, 0},
        {"third-party/neg-wrapped-streamsets-v9.pcap", EG_REASON_V9, 1, 0, 0, 0},
        {"third-party/neg-wrapped-logstash-v5-invalid01-count55582.pcap",
         EG_REASON_V5_COUNT_OVER_30, 1, 0, 0, 0},
        {"third-party/neg-wrapped-logstash-v5-invalid02-count163.pcap", EG_REASON_V5_COUNT_OVER_30,
         1, 0, 0, 0},
        {"derived/malformed-v5-variants.pcap", EG_REASON_V5_COUNT_OVER_30, 2, 94, -1, -1},
        {"derived/malformed-v5-variants.pcap", EG_REASON_V5, 2, 94, -1, -1},
        {"derived/malformed-v5-variants.pcap", EG_REASON_V5_COUNT_ZERO, 1, 94, -1, -1},
        {"derived/malformed-v5-variants.pcap", EG_REASON_V5_SHORT, 1, 94, -1, -1},
        {"derived/malformed-v5-variants.pcap", EG_REASON_V5_LONG, 1, 94, -1, -1},
        {"derived/malformed-v5-variants.pcap", EG_REASON_V5_NO_RECORD, 1, 94, -1, -1},
        {"derived/malformed-v5-variants.pcap", EG_REASON_NOT_NETFLOW, 1, 94, -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256];
        snprintf(path, sizeof path, CAPTURES "%s", cases[i].path);
        sums s;
        if (!read_capture(path, &s))
            skip();
        if (s.n[cases[i].reason] != cases[i].datagrams || s.records != cases[i].records ||
            (cases[i].packets >= 0 &&
             (s.packets != cases[i].packets || s.octets != cases[i].octets)))
            fail_msg("%s: %lld of %s, %lld records, %lld packets, %lld octets", path,
                     (long long)s.n[cases[i].reason], eg_reason_about(cases[i].reason)->name,
                     (long long)s.records, (long long)s.packets, (long long)s.octets);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nf5_accepts_counts_1_to_30),
        cmocka_unit_test(nf5_rejects_count_0),
        cmocka_unit_test(nf5_rejects_count_31),
        cmocka_unit_test(nf5_rejects_what_has_no_whole_record),
        cmocka_unit_test(nf5_keeps_whole_records_of_a_short_datagram),
        cmocka_unit_test(nf5_keeps_whole_records_of_a_cut_datagram),
        cmocka_unit_test(nf5_keeps_count_records_of_a_long_datagram),
        cmocka_unit_test(nf5_fills_the_header),
        cmocka_unit_test(nf5_tells_other_versions_apart),
        cmocka_unit_test(nf5_takes_noise_for_no_netflow),
        cmocka_unit_test(nf5_times_follow_the_conformance_table),
        cmocka_unit_test(nf5_times_equal_the_oracle_on_a_million_triples),
        cmocka_unit_test(nf5_header_time_holds_for_any_clock),
        cmocka_unit_test(nf5_rows_are_the_bytes_of_the_record),
        cmocka_unit_test(nf5_fills_only_the_vectors_of_the_batch),
        cmocka_unit_test(nf5_sequence_numbers_rise_over_the_wrap),
        cmocka_unit_test(nf5_sums_of_the_sample_are_tsharks),
        cmocka_unit_test(nf5_sums_of_real_captures_are_tsharks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
