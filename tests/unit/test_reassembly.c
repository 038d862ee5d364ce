/* Claims of capture/reassembly.c: any order of arrival gives the same datagram,
** nothing that has a hole or contradicts itself is ever whole, memory is bounded and
** every frame is told exactly once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/reassembly.h"
#include "flow/schema.h"
#include "plain_pcap.h"

#define CAPTURES "../shared/captures/"

static uint8_t pattern[65536];

static eg_reassembly *open_table(void) {
    eg_reassembly *r;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 7 + (i >> 8));
    assert_int_equal(eg_reassembly_open(&r, NULL), EG_OK);
    return r;
}

static eg_fragment piece(uint32_t id, uint32_t offset_bytes, uint32_t n_bytes, bool more) {
    return (eg_fragment){.src = {.bytes = {10, 0, 0, 1}, .n_bytes = 4},
                         .dst = {.bytes = {10, 0, 0, 2}, .n_bytes = 4},
                         .id = id,
                         .protocol = 17,
                         .offset_bytes = offset_bytes,
                         .more = more,
                         .data = pattern + (offset_bytes < sizeof pattern ? offset_bytes : 0),
                         .n_bytes = n_bytes,
                         .full_bytes = n_bytes,
                         .time_ms = 1000};
}

static eg_reassembled add(eg_reassembly *r, eg_fragment f, int64_t frame) {
    eg_reassembled out;
    assert_int_equal(eg_reassembly_add(r, &f, frame, &out, NULL), EG_OK);
    return out;
}

static void assert_waits(eg_reassembly *r, eg_fragment f) {
    eg_reassembled out = add(r, f, 1);
    assert_false(out.whole);
    assert_int_equal(out.n_given_up, 0);
}

static void assert_completes(eg_reassembly *r, eg_fragment f, uint32_t n_bytes,
                             uint32_t n_fragments) {
    eg_reassembled out = add(r, f, 1);
    assert_true(out.whole);
    assert_int_equal(out.n_bytes, n_bytes);
    assert_int_equal(out.n_fragments, n_fragments);
    assert_memory_equal(out.payload, pattern, n_bytes);
    assert_int_equal(out.n_given_up, 0);
}

static void assert_given_up(eg_reassembly *r, uint32_t n, uint32_t frames) {
    eg_reassembled out;
    eg_reassembly_flush(r, &out);
    assert_false(out.whole);
    assert_int_equal(out.n_given_up, n);
    assert_int_equal(out.given_up_frames, frames);
}

/* A small seeded generator: the same numbers on every machine. */
static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static void reassembly_joins_fragments_in_all_orders(void **state) {
    (void)state;
    eg_reassembly *r = open_table();
    const uint32_t at[] = {0, 48, 552, 560, 1112, 1400};
    uint32_t order[5] = {0, 1, 2, 3, 4};
    for (uint32_t n = 0; n < 120; n++) {
        uint32_t left[5] = {0, 1, 2, 3, 4}, code = n;
        for (uint32_t i = 0; i < 5; i++) { /* the n-th permutation */
            uint32_t k = code % (5 - i);
            code /= 5 - i;
            order[i] = left[k];
            memmove(left + k, left + k + 1, (4 - k) * sizeof *left);
        }
        for (uint32_t i = 0; i < 5; i++) {
            uint32_t k = order[i];
            eg_fragment f = piece(n, at[k], at[k + 1] - at[k], k < 4);
            if (i < 4)
                assert_waits(r, f);
            else
                assert_completes(r, f, 1400, 5);
        }
    }
    assert_given_up(r, 0, 0);
    eg_reassembly_close(r);
}

static void reassembly_counts_duplicates_as_frames(void **state) {
    (void)state;
    eg_reassembly *r = open_table();
    assert_waits(r, piece(1, 0, 552, true));
    assert_waits(r, piece(1, 0, 552, true));
    assert_waits(r, piece(1, 1104, 300, false));
    assert_waits(r, piece(1, 1104, 300, false));
    assert_completes(r, piece(1, 552, 552, true), 1404, 5);
    /* One that comes late opens another datagram, which never becomes whole. */
    assert_waits(r, piece(1, 552, 552, true));
    assert_given_up(r, 1, 1);
    eg_reassembly_close(r);
}

static void reassembly_keeps_the_first_of_overlapping_bytes(void **state) {
    (void)state;
    eg_reassembly *r = open_table();
    uint8_t other[2000];
    memset(other, 0xee, sizeof other);
    assert_waits(r, piece(1, 80, 163, true)); /* ends inside of 8 bytes */
    eg_fragment over = piece(1, 0, 400, true);
    over.data = other;
    assert_waits(r, over);
    over.n_bytes = over.full_bytes = 13; /* ends inside of 8 bytes that are there */
    assert_waits(r, over);
    eg_reassembled out = add(r, piece(1, 240, 260, false), 1);
    assert_true(out.whole);
    assert_int_equal(out.n_bytes, 500);
    for (uint32_t i = 0; i < 500; i++)
        assert_int_equal(out.payload[i], i < 80 || (i >= 243 && i < 400) ? 0xee : pattern[i]);
    eg_reassembly_close(r);
}

static void reassembly_waits_for_every_hole(void **state) {
    (void)state;
    /* One unit of 8 bytes is missing, at each place; then it comes. */
    eg_reassembly *r = open_table();
    for (uint32_t hole = 0; hole < 20; hole++) {
        for (uint32_t unit = 0; unit < 20; unit++) {
            if (unit != hole)
                assert_waits(r, piece(hole, unit * 8, unit == 19 ? 3 : 8, unit < 19));
        }
        assert_completes(r, piece(hole, hole * 8, hole == 19 ? 3 : 8, hole < 19), 155, 20);
    }
    /* A middle fragment that ends inside of 8 bytes leaves a hole. */
    assert_waits(r, piece(99, 0, 13, true));
    assert_waits(r, piece(99, 16, 8, false));
    assert_completes(r, piece(99, 8, 8, true), 24, 3);
    eg_reassembly_close(r);
}

static void reassembly_tells_datagrams_apart_by_the_whole_key(void **state) {
    (void)state;
    eg_reassembly *r = open_table();
    assert_waits(r, piece(7, 0, 8, true));
    eg_fragment f[5];
    for (int i = 0; i < 5; i++)
        f[i] = piece(7, 8, 8, false);
    f[0].id = 8;
    f[1].protocol = 6;
    f[2].src.bytes[3] = 9;
    f[3].dst.bytes[3] = 9;
    f[4].src.n_bytes = f[4].dst.n_bytes = 16;
    for (int i = 0; i < 5; i++)
        assert_waits(r, f[i]);
    assert_completes(r, piece(7, 8, 8, false), 16, 2);
    assert_given_up(r, 5, 5);
    eg_reassembly_close(r);
}

static void reassembly_never_completes_a_spoiled_datagram(void **state) {
    (void)state;
    eg_reassembly *r = open_table();
    eg_fragment cut = piece(1, 0, 8, true);
    cut.full_bytes = 16;
    eg_fragment odd = piece(1, 4, 8, true);
    const struct {
        const char *what;
        eg_fragment spoils;
    } cases[] = {
        {"captured short", cut},
        {"not at a multiple of 8", odd},
        {"beyond 65,535", piece(1, 65528, 8, true)},
        {"far beyond 65,535", piece(1, UINT32_MAX - 7, 8, true)},
        {"longer than any datagram", piece(1, 0, UINT32_MAX, true)},
        {"another end", piece(1, 24, 8, false)},
        {"an end before bytes that came", piece(1, 0, 8, false)},
        {"bytes behind the end", piece(1, 24, 8, true)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int last = 0; last < 2; last++) { /* the culprit comes second, or third */
            assert_waits(r, piece(1, 16, 8, false));
            if (last)
                assert_waits(r, piece(1, 8, 8, true));
            assert_waits(r, cases[i].spoils);
            assert_waits(r, piece(1, 0, 8, true));
            assert_waits(r, piece(1, 8, 8, true));
            assert_waits(r, piece(1, 0, 8, true));
            assert_given_up(r, 1, last ? 6 : 5);
        }
    }
    eg_reassembly_close(r);
}

static void reassembly_takes_the_longest_datagram(void **state) {
    (void)state;
    eg_reassembly *r = open_table();
    for (uint32_t at = 65528; at > 0; at -= 8)
        assert_waits(r, piece(1, at, at == 65528 ? 7 : 8, at < 65528));
    assert_completes(r, piece(1, 0, 8, true), 65535, 8192);
    /* Its memory serves the next one, and nothing of it shows there. */
    assert_waits(r, piece(2, 16, 8, false));
    assert_waits(r, piece(2, 8, 8, true));
    assert_completes(r, piece(2, 0, 8, true), 24, 3);
    eg_reassembly_close(r);
}

static void reassembly_gives_up_the_oldest_when_full(void **state) {
    (void)state;
    eg_reassembly *r = open_table();
    for (uint32_t id = 0; id < EG_REASSEMBLY_MAX; id++) {
        assert_false(add(r, piece(id, 0, 8, true), 100 + id).whole);
        assert_int_equal(add(r, piece(id, 0, 8, true), 200 + id).n_given_up, 0);
    }
    for (uint32_t id = 0; id < 3; id++) {
        eg_reassembled out = add(r, piece(1000 + id, 0, 8, true), 300);
        assert_int_equal(out.n_given_up, 1);
        assert_int_equal(out.given_up_frames, 2);
        assert_int_equal(out.given_up_first_frame, 100 + id);
    }
    /* The others are as they were. */
    for (uint32_t id = 3; id < EG_REASSEMBLY_MAX; id++)
        assert_completes(r, piece(id, 8, 8, false), 16, 3);
    assert_given_up(r, 3, 3);
    eg_reassembly_close(r);
}

static void reassembly_keeps_datagrams_of_different_times_apart(void **state) {
    (void)state;
    eg_reassembly *r = open_table();
    const int64_t times[] = {1000 + EG_REASSEMBLY_MAX_AGE_MS + 1,
                             1000 - EG_REASSEMBLY_MAX_AGE_MS - 1, INT64_MAX, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        assert_false(add(r, piece(1, 0, 8, true), 41).whole);
        eg_fragment late = piece(1, 8, 8, false);
        late.time_ms = times[i];
        eg_reassembled out = add(r, late, 42);
        assert_false(out.whole);
        assert_int_equal(out.n_given_up, 1);
        assert_int_equal(out.given_up_frames, 1);
        assert_int_equal(out.given_up_first_frame, 41);
        eg_fragment mate = piece(1, 0, 8, true);
        mate.time_ms = times[i];
        assert_completes(r, mate, 16, 2);
    }
    /* Within the time, or without one, they belong together. */
    const int64_t near[] = {1000 + EG_REASSEMBLY_MAX_AGE_MS, 1000 - EG_REASSEMBLY_MAX_AGE_MS,
                            EG_NO_TIME};
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        assert_waits(r, piece(1, 0, 8, true));
        eg_fragment f = piece(1, 8, 8, false);
        f.time_ms = near[i];
        assert_completes(r, f, 16, 2);
    }
    eg_reassembly_close(r);
}

static void reassembly_tells_every_frame_once(void **state) {
    (void)state;
    eg_reassembly *r = open_table();
    uint64_t seed = 20070726;
    int64_t told = 0, n_whole = 0;
    enum { N = 200000 };
    for (int64_t i = 1; i <= N; i++) {
        uint32_t at = next_random(&seed) % 6 * 8;
        eg_fragment f = piece(next_random(&seed) % 80, at, 8, at < 40);
        f.time_ms = i * 10 + next_random(&seed) % 1000;
        if (next_random(&seed) % 200 == 0)
            f.full_bytes++;
        eg_reassembled out = add(r, f, i);
        told += out.given_up_frames;
        assert_true(out.given_up_frames >= out.n_given_up);
        if (out.whole) {
            told += out.n_fragments;
            n_whole++;
            assert_int_equal(out.n_bytes, 48);
            assert_memory_equal(out.payload, pattern, 48);
        }
    }
    eg_reassembled out;
    eg_reassembly_flush(r, &out);
    told += out.given_up_frames;
    assert_int_equal(told, N);
    assert_true(n_whole > 1000);
    eg_reassembly_flush(r, &out);
    assert_int_equal(out.n_given_up, 0);
    eg_reassembly_close(r);
    eg_reassembly_close(NULL);
}

/* Puts the fragments of a capture together, forwards or backwards. */
static bool join_capture(const char *path, bool backwards, int *n_whole, int64_t *n_bytes,
                         uint32_t *n_given_up) {
    plain_pcap c;
    if (!plain_pcap_open(&c, path))
        return false;
    static eg_packet packets[256];
    int n = 0;
    while (n < 256 && plain_pcap_next(&c, &packets[n]))
        n++;
    eg_reassembly *r = open_table();
    *n_whole = 0;
    *n_bytes = 0;
    for (int i = 0; i < n; i++) {
        const eg_packet *p = &packets[backwards ? n - 1 - i : i];
        eg_datagram d;
        eg_fragment f;
        eg_reason reason;
        assert_int_equal(eg_frame_decode(p, &d, &f, &reason), EG_FRAME_FRAGMENT);
        eg_reassembled out = add(r, f, p->number);
        if (out.whole) {
            ++*n_whole;
            assert_true(eg_frame_udp(out.payload, out.n_bytes, out.n_bytes, &d));
            assert_int_equal(d.dstport, 9995);
            assert_int_equal(eg_be16(d.payload), 5);
            assert_int_equal(d.n_bytes, 24 + 48 * eg_be16(d.payload + 2));
            *n_bytes += d.n_bytes;
        }
    }
    eg_reassembled out;
    eg_reassembly_flush(r, &out);
    *n_given_up = out.n_given_up;
    eg_reassembly_close(r);
    plain_pcap_close(&c);
    return true;
}

static void reassembly_joins_ipv4_exports_in_either_direction(void **state) {
    (void)state;
    for (int backwards = 0; backwards < 2; backwards++) {
        int n_whole;
        int64_t n_bytes;
        uint32_t n_given_up;
        assert_true(join_capture("tests/data/softflowd-v5-ipfrag-mtu576.pcap", backwards, &n_whole,
                                 &n_bytes, &n_given_up));
        assert_int_equal(n_whole, 17);
        assert_int_equal(n_bytes, 17 * 24 + 504 * 48);
        assert_int_equal(n_given_up, 0);
    }
}

static void reassembly_joins_ipv6_exports_and_misses_what_is_missing(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int n_whole, n_records;
        uint32_t n_given_up;
    } cases[] = {
        {CAPTURES "made/softflowd-v5-ip6frag-mtu1280.pcap", 17, 504, 0},
        {CAPTURES "derived/ipfrag-reversed.pcap", 17, 504, 0},
        {CAPTURES "derived/ipfrag-missing-last-of-3rd.pcap", 16, 474, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n_whole;
        int64_t n_bytes;
        uint32_t n_given_up;
        if (!join_capture(cases[i].path, false, &n_whole, &n_bytes, &n_given_up))
            skip();
        assert_int_equal(n_whole, cases[i].n_whole);
        assert_int_equal(n_bytes, n_whole * 24 + cases[i].n_records * 48);
        assert_int_equal(n_given_up, cases[i].n_given_up);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reassembly_joins_fragments_in_all_orders),
        cmocka_unit_test(reassembly_counts_duplicates_as_frames),
        cmocka_unit_test(reassembly_keeps_the_first_of_overlapping_bytes),
        cmocka_unit_test(reassembly_waits_for_every_hole),
        cmocka_unit_test(reassembly_tells_datagrams_apart_by_the_whole_key),
        cmocka_unit_test(reassembly_never_completes_a_spoiled_datagram),
        cmocka_unit_test(reassembly_takes_the_longest_datagram),
        cmocka_unit_test(reassembly_gives_up_the_oldest_when_full),
        cmocka_unit_test(reassembly_keeps_datagrams_of_different_times_apart),
        cmocka_unit_test(reassembly_tells_every_frame_once),
        cmocka_unit_test(reassembly_joins_ipv4_exports_in_either_direction),
        cmocka_unit_test(reassembly_joins_ipv6_exports_and_misses_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
