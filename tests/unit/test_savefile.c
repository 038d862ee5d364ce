/* Savefiles: every complete packet of every kind of capture, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "capture/savefile.h"
#include "capture/savefile_readers.h"

#define CAPTURES "../shared/captures"
#define MICRO 0xa1b2c3d4u
#define NANO 0xa1b23c4du
#define MODIFIED 0xa1b2cd34u

/* ---- making captures ---------------------------------------------------- */

typedef struct bytes {
    uint8_t *p;
    size_t n, cap;
    bool big_endian; /* of put16 and on */
} bytes;

static void put(bytes *b, const void *p, size_t n) {
    if (b->cap - b->n < n) {
        b->cap = 2 * b->cap + n;
        b->p = realloc(b->p, b->cap);
        assert_non_null(b->p);
    }
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void put16(bytes *b, uint16_t v) {
    uint8_t le[2] = {(uint8_t)v, (uint8_t)(v >> 8)}, be[2] = {le[1], le[0]};
    put(b, b->big_endian ? be : le, 2);
}

static void put32(bytes *b, uint32_t v) {
    put16(b, (uint16_t)(b->big_endian ? v >> 16 : v));
    put16(b, (uint16_t)(b->big_endian ? v : v >> 16));
}

static void put64(bytes *b, uint64_t v) {
    put32(b, (uint32_t)(b->big_endian ? v >> 32 : v));
    put32(b, (uint32_t)(b->big_endian ? v : v >> 32));
}

static void put_filler(bytes *b, size_t n, uint8_t seed) {
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)(seed + i * 7);
        put(b, &c, 1);
    }
}

static bool is_filler(const uint8_t *p, size_t n, uint8_t seed) {
    for (size_t i = 0; i < n; i++) {
        if (p[i] != (uint8_t)(seed + i * 7))
            return false;
    }
    return true;
}

static void put_version_header(bytes *b, uint32_t magic, uint16_t major, uint16_t minor,
                               uint32_t snaplen, uint32_t link_type) {
    put32(b, magic);
    put16(b, major);
    put16(b, minor);
    put64(b, 0);
    put32(b, snaplen);
    put32(b, link_type);
}

static void put_header(bytes *b, uint32_t magic, uint32_t snaplen, uint32_t link_type) {
    put_version_header(b, magic, 2, 4, snaplen, link_type);
}

static void put_record(bytes *b, uint32_t seconds, uint32_t fraction, uint32_t cap_bytes,
                       uint32_t wire_bytes, uint8_t seed) {
    put32(b, seconds);
    put32(b, fraction);
    put32(b, cap_bytes);
    put32(b, wire_bytes);
    put_filler(b, cap_bytes, seed);
}

/* A block around body[0..n), padded. */
static void put_block(bytes *b, uint32_t type, const bytes *body) {
    static const uint8_t zeros[4];
    uint32_t total = (uint32_t)(12 + (body->n + 3) / 4 * 4);
    put32(b, type);
    put32(b, total);
    put(b, body->p, body->n);
    put(b, zeros, total - 12 - body->n);
    put32(b, total);
}

static void put_section(bytes *b, bool big_endian, int64_t length) {
    b->big_endian = big_endian;
    bytes body = {.big_endian = big_endian};
    put32(&body, 0x1a2b3c4d);
    put16(&body, 1);
    put16(&body, 0);
    put64(&body, (uint64_t)length);
    put_block(b, 0x0a0d0d0a, &body);
    free(body.p);
}

/* tsresol < 0: without the option; tsoffset too when 0. */
static void put_interface(bytes *b, uint16_t link_type, uint32_t snaplen, int tsresol,
                          int64_t tsoffset) {
    bytes body = {.big_endian = b->big_endian};
    put16(&body, link_type);
    put16(&body, 0);
    put32(&body, snaplen);
    put16(&body, 2); /* if_name, of a length that needs padding */
    put16(&body, 5);
    put(&body, "eth00\0\0", 8);
    if (tsresol >= 0) {
        uint8_t padded[4] = {(uint8_t)tsresol, 0, 0, 0};
        put16(&body, 9);
        put16(&body, 1);
        put(&body, padded, 4);
    }
    if (tsoffset != 0) {
        put16(&body, 14);
        put16(&body, 8);
        put64(&body, (uint64_t)tsoffset);
    }
    if (tsresol >= 0 || tsoffset != 0)
        put32(&body, 0); /* opt_endofopt */
    put_block(b, 1, &body);
    free(body.p);
}

static void put_enhanced(bytes *b, uint32_t number, uint64_t ticks, uint32_t cap_bytes,
                         uint32_t wire_bytes, uint8_t seed) {
    bytes body = {.big_endian = b->big_endian};
    put32(&body, number);
    put32(&body, (uint32_t)(ticks >> 32));
    put32(&body, (uint32_t)ticks);
    put32(&body, cap_bytes);
    put32(&body, wire_bytes);
    put_filler(&body, cap_bytes, seed);
    put_block(b, 6, &body);
    free(body.p);
}

static void put_old_packet(bytes *b, uint16_t number, uint64_t ticks, uint32_t cap_bytes,
                           uint32_t wire_bytes, uint8_t seed) {
    bytes body = {.big_endian = b->big_endian};
    put16(&body, number);
    put16(&body, 3); /* drops */
    put32(&body, (uint32_t)(ticks >> 32));
    put32(&body, (uint32_t)ticks);
    put32(&body, cap_bytes);
    put32(&body, wire_bytes);
    put_filler(&body, cap_bytes, seed);
    put_block(b, 2, &body);
    free(body.p);
}

static void put_simple(bytes *b, uint32_t cap_bytes, uint32_t wire_bytes, uint8_t seed) {
    bytes body = {.big_endian = b->big_endian};
    put32(&body, wire_bytes);
    put_filler(&body, cap_bytes, seed);
    put_block(b, 3, &body);
    free(body.p);
}

static void put_unknown(bytes *b, uint32_t type, size_t n) {
    bytes body = {.big_endian = b->big_endian};
    put_filler(&body, n, 1);
    put_block(b, type, &body);
    free(body.p);
}

static bytes gzip(const uint8_t *p, size_t n) {
    bytes out = {.p = malloc(n + 1000), .cap = n + 1000};
    assert_non_null(out.p);
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)p;
    z.avail_in = (uInt)n;
    z.next_out = out.p;
    z.avail_out = (uInt)out.cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.n = z.total_out;
    deflateEnd(&z);
    return out;
}

/* ---- reading captures --------------------------------------------------- */

typedef struct reading {
    eg_stream *stream;
    eg_savefile *file;
    eg_err err;
} reading;

static eg_status begin(reading *r, const uint8_t *p, size_t n, eg_reader_kind kind) {
    const char *name;
    *r = (reading){0};
    assert_int_equal(eg_stream_open_memory(p, n, "x", &r->stream, &r->err), EG_OK);
    assert_int_equal(eg_stream_next_member(r->stream, &name, &r->err), EG_OK);
    return eg_savefile_open_with(r->stream, name, kind, &r->file, &r->err);
}

static void end(reading *r) {
    eg_savefile_close(r->file);
    eg_stream_close(r->stream);
}

static eg_packet next_packet(reading *r) {
    eg_packet packet;
    eg_status rc = eg_savefile_next(r->file, &packet, &r->err);
    if (rc != EG_OK)
        print_message("status %d: %s\n", rc, rc == EG_DONE ? "" : r->err.msg);
    assert_int_equal(rc, EG_OK);
    return packet;
}

static void assert_packet(reading *r, int64_t number, int64_t time_ms, uint32_t link_type,
                          uint32_t cap_bytes, uint32_t wire_bytes, uint8_t seed) {
    eg_packet packet = next_packet(r);
    assert_int_equal(packet.number, number);
    assert_true(packet.time_ms == time_ms);
    assert_int_equal(packet.link_type, link_type);
    assert_int_equal(packet.cap_bytes, cap_bytes);
    assert_int_equal(packet.wire_bytes, wire_bytes);
    assert_true(is_filler(packet.data, cap_bytes, seed));
}

/* The end, and the same end again. */
static void assert_ends(reading *r, eg_status expected) {
    eg_packet packet;
    for (int i = 0; i < 2; i++) {
        memset(&r->err, 0, sizeof r->err);
        assert_int_equal(eg_savefile_next(r->file, &packet, &r->err), expected);
        if (expected != EG_DONE) {
            assert_int_equal(r->err.code, expected);
            assert_memory_equal(r->err.msg, "x: ", 3);
        }
    }
}

/* Opens b and expects it to be sound and end after no packet but those before. */
static void assert_damage(const bytes *b, size_t n_sound, bool cut, const char *message) {
    reading r;
    assert_int_equal(begin(&r, b->p, b->n, EG_READ_BY_CONTENT), EG_OK);
    for (size_t i = 0; i < n_sound; i++)
        next_packet(&r);
    assert_ends(&r, EG_CORRUPT);
    assert_string_equal(r.err.msg, message);
    assert_int_equal(eg_savefile_is_cut(r.file), cut);
    end(&r);
}

static void assert_refused(const void *p, size_t n, eg_status expected, const char *message) {
    reading r;
    assert_int_equal(begin(&r, p, n, EG_READ_BY_CONTENT), expected);
    assert_null(r.file);
    assert_int_equal(r.err.code, expected);
    assert_string_equal(r.err.msg, message);
    end(&r);
}

/* ---- classic pcap ------------------------------------------------------- */

static void magic_is_known_by_four_bytes(void **state) {
    (void)state;
    assert_int_equal(eg_savefile_magic((const uint8_t *)"\xd4\xc3\xb2\xa1", 4), EG_MAGIC_PCAP);
    assert_int_equal(eg_savefile_magic((const uint8_t *)"\xa1\xb2\x3c\x4d", 4), EG_MAGIC_PCAP);
    assert_int_equal(eg_savefile_magic((const uint8_t *)"\x34\xcd\xb2\xa1", 4), EG_MAGIC_PCAP);
    assert_int_equal(eg_savefile_magic((const uint8_t *)"\x0a\x0d\x0d\x0a", 4), EG_MAGIC_PCAPNG);
    assert_int_equal(eg_savefile_magic((const uint8_t *)"\x0a\x0d\x0d\x0a", 3), EG_MAGIC_NONE);
    assert_int_equal(eg_savefile_magic((const uint8_t *)"snoo", 4), EG_MAGIC_NONE);
    assert_int_equal(eg_savefile_magic(NULL, 0), EG_MAGIC_NONE);
}

static void pcap_of_either_order_and_unit_is_read(void **state) {
    (void)state;
    for (int be = 0; be < 2; be++) {
        for (int nano = 0; nano < 2; nano++) {
            for (eg_reader_kind kind = EG_READ_BY_CONTENT; kind <= EG_READ_LIBPCAP; kind++) {
                bytes b = {.big_endian = be};
                reading r;
                put_header(&b, nano ? NANO : MICRO, 65535, 113);
                put_record(&b, 1500000000, nano ? 999999999 : 999999, 60, 1500, 3);
                put_record(&b, 1500000001, nano ? 1999999 : 1999, 0, 0, 0);
                assert_int_equal(begin(&r, b.p, b.n, kind), EG_OK);
                assert_packet(&r, 1, 1500000000999, 113, 60, 1500, 3);
                assert_packet(&r, 2, 1500000001001, 113, 0, 0, 0);
                assert_ends(&r, EG_DONE);
                end(&r);
                free(b.p);
            }
        }
    }
}

static void modified_pcap_is_read(void **state) {
    (void)state;
    for (int be = 0; be < 2; be++) {
        bytes b = {.big_endian = be};
        reading r;
        put_header(&b, MODIFIED, 65535, 1);
        for (uint32_t i = 1; i <= 3; i++) {
            put32(&b, i);
            put32(&b, 5000);
            put32(&b, 10 * i);
            put32(&b, 100);
            put64(&b, 0xeeeeeeeeeeeeeeee); /* interface, protocol, packet type */
            put_filler(&b, 10 * i, (uint8_t)i);
        }
        assert_int_equal(begin(&r, b.p, b.n, EG_READ_BY_CONTENT), EG_OK);
        for (uint8_t i = 1; i <= 3; i++)
            assert_packet(&r, i, i * 1000 + 5, 1, 10u * i, 100, i);
        assert_ends(&r, EG_DONE);
        end(&r);
        b.n -= 1;
        assert_damage(&b, 2, true,
                      "x: packet 3 at offset 102: truncated dump file; tried to read 30 captured "
                      "bytes, only got 29");
        free(b.p);
    }
}

static void old_versions_have_their_lengths_told_apart(void **state) {
    (void)state;
    bytes b = {0};
    reading r;
    put_version_header(&b, MICRO, 2, 3, 65535, 1);
    put_record(&b, 1, 0, 20, 30, 1);
    put32(&b, 2); /* the other way round */
    put32(&b, 0);
    put32(&b, 30);
    put32(&b, 20);
    put_filler(&b, 20, 2);
    assert_int_equal(begin(&r, b.p, b.n, EG_READ_BY_CONTENT), EG_OK);
    assert_packet(&r, 1, 1000, 1, 20, 30, 1);
    assert_packet(&r, 2, 2000, 1, 20, 30, 2);
    assert_ends(&r, EG_DONE);
    end(&r);
    assert_int_equal(begin(&r, b.p, b.n, EG_READ_PLAIN), EG_MISUSE);
    end(&r);
    free(b.p);
}

static void other_versions_are_refused(void **state) {
    (void)state;
    static const uint16_t versions[][2] = {{2, 5}, {1, 4}, {3, 0}, {543, 1}};
    for (size_t i = 0; i < 4; i++) {
        bytes b = {0};
        char message[128];
        put_version_header(&b, MICRO, versions[i][0], versions[i][1], 65535, 1);
        snprintf(message, sizeof message,
                 "x: a pcap of a version that is not read: found %d.%d, expected 2.0 to 2.4",
                 versions[i][0], versions[i][1]);
        assert_refused(b.p, b.n, EG_UNSUPPORTED, message);
        free(b.p);
    }
}

static void pcap_times_are_unsigned_and_carried(void **state) {
    (void)state;
    for (eg_reader_kind kind = EG_READ_PLAIN; kind <= EG_READ_LIBPCAP; kind++) {
        for (int nano = 0; nano < 2; nano++) {
            bytes b = {0};
            reading r;
            int64_t unit = nano ? 1000000 : 1000;
            put_header(&b, nano ? NANO : MICRO, 65535, 1);
            put_record(&b, 0xffffffff, 0, 4, 4, 0);
            put_record(&b, 10, 2000000000, 4, 4, 0);
            put_record(&b, 0xffffffff, 0xffffffff, 4, 4, 0);
            assert_int_equal(begin(&r, b.p, b.n, kind), EG_OK);
            assert_packet(&r, 1, 4294967295000, 1, 4, 4, 0);
            assert_packet(&r, 2, 10000 + 2000000000 / unit, 1, 4, 4, 0);
            assert_packet(&r, 3, 4294967295000 + 4294967295 / unit, 1, 4, 4, 0);
            assert_ends(&r, EG_DONE);
            end(&r);
            free(b.p);
        }
    }
}

static void pcap_link_type_is_without_the_fcs_bits(void **state) {
    (void)state;
    for (eg_reader_kind kind = EG_READ_PLAIN; kind <= EG_READ_LIBPCAP; kind++) {
        bytes b = {0};
        reading r;
        put_header(&b, MICRO, 65535, 0x54000000 | 276);
        put_record(&b, 1, 1000, 4, 4, 9);
        assert_int_equal(begin(&r, b.p, b.n, kind), EG_OK);
        assert_packet(&r, 1, 1001, 276, 4, 4, 9);
        end(&r);
        free(b.p);
    }
}

static void wrong_snaplen_costs_no_bytes(void **state) {
    (void)state;
    static const uint32_t snaplens[] = {0, 1, 100, 65535, 262144, 400000, 0x7fffffff, 0xffffffff};
    for (eg_reader_kind kind = EG_READ_PLAIN; kind <= EG_READ_LIBPCAP; kind++) {
        for (size_t i = 0; i < sizeof snaplens / sizeof snaplens[0]; i++) {
            bytes b = {0};
            reading r;
            put_header(&b, MICRO, snaplens[i], 1);
            put_record(&b, 1, 0, 200, 300, 9);
            put_record(&b, 2, 0, 262144, 300, 10);
            assert_int_equal(begin(&r, b.p, b.n, kind), EG_OK);
            assert_packet(&r, 1, 1000, 1, 200, 300, 9);
            assert_packet(&r, 2, 2000, 1, 262144, 300, 10);
            assert_ends(&r, EG_DONE);
            end(&r);
            free(b.p);
        }
    }
}

static void captured_length_beyond_all_reason_ends_the_file(void **state) {
    (void)state;
    static const uint32_t lengths[] = {262145, 0x7fffffff, 0x80000000, 0xffffffff};
    static const uint32_t link_types[] = {1, 101, 231 /* of which libpcap takes 128 MiB */};
    for (eg_reader_kind kind = EG_READ_PLAIN; kind <= EG_READ_LIBPCAP; kind++) {
        for (size_t i = 0; i < 12; i++) {
            bytes b = {0};
            reading r;
            char number[32];
            put_header(&b, MICRO, 0x7fffffff, link_types[i % 3]);
            put_record(&b, 1, 0, 20, 20, 9);
            put_record(&b, 1, 0, 0, 300000, 9);
            put_filler(&b, 300000, 9);
            memcpy(b.p + 24 + 36 + 8, &lengths[i / 3], 4);
            assert_int_equal(begin(&r, b.p, b.n, kind), EG_OK);
            assert_packet(&r, 1, 1000, link_types[i % 3], 20, 20, 9);
            assert_ends(&r, EG_CORRUPT);
            assert_false(eg_savefile_is_cut(r.file));
            assert_int_equal(r.err.offset, 60);
            snprintf(number, sizeof number, "captured length %u", lengths[i / 3]);
            assert_non_null(strstr(r.err.msg, "packet 2 at offset 60: "));
            if (kind == EG_READ_PLAIN)
                assert_non_null(strstr(r.err.msg, number));
            assert_non_null(strstr(r.err.msg, "262144"));
            end(&r);
            free(b.p);
        }
    }
    bytes b = {0};
    put_header(&b, MICRO, 65535, 1);
    put32(&b, 1);
    put32(&b, 1);
    put32(&b, 300000);
    put32(&b, 300000);
    assert_damage(&b, 0, false,
                  "x: packet 1 at offset 24: captured length 300000, expected at most 262144");
    free(b.p);
}

/* Packets of all sizes lie across the ends of every buffer on the way. */
static void packets_across_buffer_ends_are_whole(void **state) {
    (void)state;
    bytes b = {0};
    put_header(&b, MICRO, 262144, 1);
    uint32_t x = 7, sizes[3000];
    for (size_t i = 0; i < 3000; i++) {
        x = x * 1664525 + 1013904223;
        sizes[i] = i % 500 == 499 ? 262144 - i : (x >> 8) % 1515;
        put_record(&b, (uint32_t)i, 0, sizes[i], sizes[i], (uint8_t)i);
    }
    bytes z = gzip(b.p, b.n);
    for (int how = 0; how < 3; how++) {
        reading r;
        assert_int_equal(begin(&r, how < 2 ? b.p : z.p, how < 2 ? b.n : z.n,
                               how == 0 ? EG_READ_PLAIN : EG_READ_LIBPCAP),
                         EG_OK);
        for (size_t i = 0; i < 3000; i++)
            assert_packet(&r, (int64_t)i + 1, (int64_t)i * 1000, 1, sizes[i], sizes[i], (uint8_t)i);
        assert_ends(&r, EG_DONE);
        end(&r);
    }
    free(z.p);
    free(b.p);
}

/* ---- no captures -------------------------------------------------------- */

static void other_files_are_refused_with_what_was_found(void **state) {
    (void)state;
#define EXPECTED                                                                                   \
    ", expected a pcap magic (a1b2c3d4, a1b23c4d or a1b2cd34 in either byte order) or pcapng's "   \
    "(0a0d0d0a)"
    assert_refused("snoop\0\0\0", 8, EG_UNSUPPORTED,
                   "x: not a pcap or pcapng capture: found 73 6e 6f 6f (\"snoo\")" EXPECTED);
    assert_refused("\x7f"
                   "ELF",
                   4, EG_UNSUPPORTED,
                   "x: not a pcap or pcapng capture: found 7f 45 4c 46 (\".ELF\")" EXPECTED);
    assert_refused("hi", 2, EG_UNSUPPORTED,
                   "x: not a pcap or pcapng capture: found 68 69 (\"hi\")" EXPECTED);
    assert_refused("", 0, EG_UNSUPPORTED, "x: not a pcap or pcapng capture: the file is empty");
    bytes z = gzip((const uint8_t *)"nothing", 7);
    assert_refused(z.p, z.n, EG_UNSUPPORTED,
                   "x: not a pcap or pcapng capture: found 6e 6f 74 68 (\"noth\")" EXPECTED);
    free(z.p);
    z = gzip((const uint8_t *)"", 0);
    assert_refused(z.p, z.n, EG_UNSUPPORTED, "x: not a pcap or pcapng capture: the file is empty");
    free(z.p);
}

/* ---- cut anywhere ------------------------------------------------------- */

/* Reads part of a capture: how many packets; -1 where it cannot be opened. */
static int read_cut(const uint8_t *p, size_t n, eg_reader_kind kind, eg_status *ended, bool *cut) {
    reading r;
    int n_packets = 0;
    *ended = begin(&r, p, n, kind);
    *cut = true;
    if (*ended != EG_OK) {
        end(&r);
        return -1;
    }
    eg_packet packet;
    while ((*ended = eg_savefile_next(r.file, &packet, &r.err)) == EG_OK)
        assert_int_equal(packet.number, ++n_packets);
    *cut = eg_savefile_is_cut(r.file);
    end(&r);
    return n_packets;
}

/* borders[i] is where packet i + 1 is complete; also a sound end, as are all
** offsets in `sound`. header_bytes: what it takes to open. */
static void assert_cut_everywhere(const bytes *b, size_t header_bytes, const size_t *borders,
                                  int n_borders, const size_t *sound, int n_sound,
                                  eg_reader_kind kind) {
    for (size_t n = 1; n <= b->n; n++) {
        uint8_t *part = malloc(n); /* so that one byte beyond it is noticed */
        assert_non_null(part);
        memcpy(part, b->p, n);
        int expected = n < header_bytes ? -1 : 0;
        bool is_sound = n == header_bytes;
        for (int i = 0; i < n_borders; i++) {
            expected += n >= borders[i];
            is_sound = is_sound || n == borders[i];
        }
        for (int i = 0; i < n_sound; i++)
            is_sound = is_sound || n == sound[i];
        eg_status ended;
        bool cut;
        int got = read_cut(part, n, kind, &ended, &cut);
        assert_int_equal(got, expected);
        assert_int_equal(ended, is_sound ? EG_DONE : EG_CORRUPT);
        assert_int_equal(cut, !is_sound);
        free(part);
    }
    /* The same, packed: what the packing gives back is what counts. */
    bytes z = gzip(b->p, b->n);
    uint8_t *out = malloc(b->n);
    assert_non_null(out);
    for (size_t n = 2; n < z.n; n += 3) {
        z_stream s = {0};
        assert_int_equal(inflateInit2(&s, 15 + 16), Z_OK);
        s.next_in = z.p;
        s.avail_in = (uInt)n;
        s.next_out = out;
        s.avail_out = (uInt)b->n;
        inflate(&s, Z_SYNC_FLUSH);
        size_t there = b->n - s.avail_out;
        inflateEnd(&s);
        int expected = there < header_bytes ? -1 : 0;
        for (int i = 0; i < n_borders; i++)
            expected += there >= borders[i];
        eg_status ended;
        bool cut;
        assert_int_equal(read_cut(z.p, n, EG_READ_BY_CONTENT, &ended, &cut), expected);
        assert_int_equal(ended, EG_CORRUPT); /* also between packets */
        assert_true(cut);
    }
    free(out);
    free(z.p);
}

static void pcap_cut_at_every_byte_gives_all_complete_packets(void **state) {
    (void)state;
    bytes b = {0};
    size_t borders[8];
    put_header(&b, MICRO, 65535, 1);
    for (uint32_t i = 0; i < 8; i++) {
        put_record(&b, i, 0, 33 * i % 97, 200, (uint8_t)(i * 31));
        borders[i] = b.n;
    }
    for (eg_reader_kind kind = EG_READ_PLAIN; kind <= EG_READ_LIBPCAP; kind++)
        assert_cut_everywhere(&b, 24, borders, 8, NULL, 0, kind);
    assert_refused(b.p, 23, EG_CORRUPT,
                   "x: cut in the file header at offset 0: found 23 bytes, expected 24");
    b.n = borders[2] + 17;
    assert_damage(&b, 3, true, "x: cut in packet 4 at offset 171: found 17 bytes, expected 18");
    free(b.p);
}

static void pcapng_cut_at_every_byte_gives_all_complete_packets(void **state) {
    (void)state;
    bytes b = {0};
    size_t borders[6], sound[5];
    int n = 0, k = 0;
    put_section(&b, false, -1);
    size_t header = b.n;
    put_interface(&b, 1, 65535, -1, 0);
    sound[k++] = b.n;
    put_enhanced(&b, 0, 1, 61, 90, 1);
    borders[n++] = b.n;
    put_old_packet(&b, 0, 2, 42, 42, 2);
    borders[n++] = b.n;
    put_unknown(&b, 0x0bad, 33);
    sound[k++] = b.n;
    put_simple(&b, 17, 17, 3);
    borders[n++] = b.n;
    put_section(&b, true, 1234);
    sound[k++] = b.n;
    put_interface(&b, 101, 20, 9, 5);
    sound[k++] = b.n;
    put_simple(&b, 20, 30, 4);
    borders[n++] = b.n;
    put_enhanced(&b, 0, 1, 0, 0, 0);
    borders[n++] = b.n;
    put_unknown(&b, 5, 8);
    sound[k++] = b.n;
    assert_cut_everywhere(&b, header, borders, n, sound, k, EG_READ_BY_CONTENT);
    b.n = borders[1] + 9;
    assert_damage(&b, 2, true, "x: cut in a block at offset 232: found 9 bytes, expected 12");
    free(b.p);
}

static void wrapping_that_breaks_between_packets_is_no_sound_end(void **state) {
    (void)state;
    bytes b = {0};
    put_header(&b, MICRO, 65535, 1);
    put_record(&b, 1, 0, 1000, 1000, 5);
    put_record(&b, 2, 0, 1000, 1000, 6);
    bytes z = gzip(b.p, b.n);
    z.p[z.n - 6] ^= 1; /* the checksum */
    reading r;
    assert_int_equal(begin(&r, z.p, z.n, EG_READ_BY_CONTENT), EG_OK);
    assert_packet(&r, 1, 1000, 1, 1000, 1000, 5);
    assert_packet(&r, 2, 2000, 1, 1000, 1000, 6);
    assert_ends(&r, EG_CORRUPT);
    assert_non_null(strstr(r.err.msg, "incorrect data check"));
    assert_false(eg_savefile_is_cut(r.file));
    end(&r);
    free(z.p);
    free(b.p);
}

/* ---- pcapng ------------------------------------------------------------- */

static void sections_and_interfaces_keep_apart(void **state) {
    (void)state;
    bytes b = {0};
    reading r;
    put_section(&b, false, -1);
    put_interface(&b, 1, 0, -1, 0);
    put_interface(&b, 113, 65535, 3, 0);
    put_unknown(&b, 0x0bad, 10);
    put_enhanced(&b, 1, 1500, 30, 40, 1);
    put_enhanced(&b, 0, 1500999, 31, 31, 2);
    put_interface(&b, 276, 65535, 9, 0); /* interfaces may come late */
    put_old_packet(&b, 2, 1999999999, 32, 50, 3);
    put_section(&b, true, 100);
    put_interface(&b, 101, 16, 0, 0);
    put_enhanced(&b, 0, 7, 33, 33, 4);
    put_simple(&b, 16, 60, 5);
    put_unknown(&b, 4, 100);
    put_simple(&b, 9, 9, 6);
    for (int twice = 0; twice < 2; twice++) {
        bytes z = twice ? gzip(b.p, b.n) : b;
        assert_int_equal(begin(&r, z.p, z.n, EG_READ_BY_CONTENT), EG_OK);
        assert_packet(&r, 1, 1500, 113, 30, 40, 1);
        assert_packet(&r, 2, 1500, 1, 31, 31, 2);
        assert_packet(&r, 3, 1999, 276, 32, 50, 3);
        assert_packet(&r, 4, 7000, 101, 33, 33, 4);
        assert_packet(&r, 5, EG_NO_TIME, 101, 16, 60, 5);
        assert_packet(&r, 6, EG_NO_TIME, 101, 9, 9, 6);
        assert_ends(&r, EG_DONE);
        end(&r);
        if (twice)
            free(z.p);
    }
    free(b.p);
}

__extension__ typedef __int128 wide;

/* floor(ticks * 1000 / unit) + offset * 1000, or EG_NO_TIME beyond 64 bits. */
static int64_t expected_time(uint64_t ticks, int tsresol, int64_t offset_seconds) {
    wide ms;
    int e = tsresol & 0x7f;
    if (tsresol & 0x80) {
        ms = e < 100 ? ((wide)ticks * 1000) >> e : 0;
    } else {
        wide unit = 1;
        for (int i = 0; i < e && i < 30; i++)
            unit *= 10;
        ms = (wide)ticks * 1000 / unit;
    }
    if (ms > INT64_MAX)
        return EG_NO_TIME;
    wide offset_ms = (wide)offset_seconds * 1000;
    if (offset_ms > INT64_MAX || offset_ms < INT64_MIN)
        return EG_NO_TIME;
    ms += offset_ms;
    return ms > EG_TIME_MAX_MS || ms < EG_TIME_MIN_MS ? EG_NO_TIME : (int64_t)ms;
}

static void every_unit_and_offset_of_time_is_exact(void **state) {
    (void)state;
    static const uint64_t ticks[] = {0,
                                     1,
                                     999,
                                     1000,
                                     1501538058862538,
                                     1501538058862538123,
                                     0x7fffffff,
                                     0xffffffff,
                                     0x100000000,
                                     9223372036854775,
                                     9223372036854776,
                                     INT64_MAX,
                                     (uint64_t)1 << 63,
                                     UINT64_MAX};
    static const int64_t offsets[] = {
        0, 1, 1000, -1000, INT64_MAX, INT64_MIN, INT64_MAX / 1000, INT64_MIN / 1000, -1185000000};
    for (int tsresol = 0; tsresol < 256; tsresol++) {
        bytes b = {.big_endian = tsresol % 2};
        put_section(&b, tsresol % 2, -1);
        for (uint32_t k = 0; k < 9; k++) {
            put_interface(&b, 1, 0, tsresol, offsets[k]);
            for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++)
                put_enhanced(&b, k, ticks[i], 0, 0, 0);
        }
        reading r;
        assert_int_equal(begin(&r, b.p, b.n, EG_READ_BY_CONTENT), EG_OK);
        for (size_t k = 0; k < 9; k++) {
            for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
                eg_packet packet = next_packet(&r);
                int64_t expected = expected_time(ticks[i], tsresol, offsets[k]);
                if (packet.time_ms != expected)
                    print_message("tsresol %d ticks %llu\n", tsresol, (unsigned long long)ticks[i]);
                assert_true(packet.time_ms == expected);
            }
        }
        assert_ends(&r, EG_DONE);
        end(&r);
        free(b.p);
    }
}

static void blocks_beyond_every_buffer_are_read_or_passed_over(void **state) {
    (void)state;
    bytes b = {0};
    reading r;
    put_section(&b, false, -1);
    put_unknown(&b, 0x0bad, 17 * 1024 * 1024); /* beyond the bound for packets */
    put_interface(&b, 1, 0, -1, 0);
    put_enhanced(&b, 0, 1000, 3000000, 3000000, 5);
    put_enhanced(&b, 0, 2000, 16 * 1024 * 1024 - 32, 5, 6);
    put_enhanced(&b, 0, 3000, 16 * 1024 * 1024 - 28, 5, 7);
    assert_int_equal(begin(&r, b.p, b.n, EG_READ_BY_CONTENT), EG_OK);
    assert_packet(&r, 1, 1, 1, 3000000, 3000000, 5);
    assert_packet(&r, 2, 2, 1, 16 * 1024 * 1024 - 32, 5, 6);
    assert_ends(&r, EG_CORRUPT);
    assert_non_null(strstr(r.err.msg, "found a length of 16777220, expected at most 16777216"));
    assert_false(eg_savefile_is_cut(r.file));
    end(&r);
    free(b.p);
}

/* A section, an interface, a packet, then `type` with these bytes as body. */
static bytes capture_with(bool big_endian, uint32_t type, const void *body, size_t n) {
    bytes b = {0};
    put_section(&b, big_endian, -1);
    put_interface(&b, 1, 100, -1, 0);
    put_enhanced(&b, 0, 1, 10, 10, 1);
    bytes inner = {.p = malloc(n + 1), .n = n};
    assert_non_null(inner.p);
    memcpy(inner.p, body, n);
    put_block(&b, type, &inner);
    free(inner.p);
    return b;
}

static void damaged_blocks_end_the_file_and_say_why(void **state) {
    (void)state;
    /* The damaged block is at offset 112 behind one packet, in either order. */
    static const struct {
        uint32_t type;
        uint32_t words[10];
        size_t n_words;
        const char *what;
    } cases[] = {
        {6,
         {1, 0, 0, 0, 0},
         5,
         "found a packet of interface 1, expected one that its section has "
         "defined before"},
        {2,
         {0x00010001, 0, 0, 0, 0},
         5,
         "found a packet of interface 1, expected one that its "
         "section has defined before"},
        {6,
         {0, 0, 0, 5, 5, 0},
         6,
         "found a captured length of 5, expected no more than is in the "
         "block"},
        {6,
         {0, 0, 0, 0xffffffff, 5, 0},
         6,
         "found a captured length of 4294967295, expected no "
         "more than is in the block"},
        {6, {0, 0, 0, 0}, 4, "found a length of 28, expected room for its fields"},
        {2, {0, 0, 0, 0}, 4, "found a length of 28, expected room for its fields"},
        {3, {9, 0, 0}, 3, "found a captured length of 9, expected no more than is in the block"},
        {3, {0}, 0, "found a length of 12, expected room for its fields"},
        {1, {1}, 1, "found a length of 16, expected room for its fields"},
        {1, {1, 0, 0x00020009, 0, 0}, 5, "found an if_tsresol of length 2, expected 1"},
        {1, {1, 0, 0x0004000e, 0, 0}, 5, "found an if_tsoffset of length 4, expected 8"},
        {1,
         {1, 0, 0x00090002, 0, 0},
         5,
         "found an option of length 9, expected one inside the "
         "block"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bytes b = capture_with(false, cases[i].type, cases[i].words, 4 * cases[i].n_words);
        char message[300];
        size_t at = b.n - (12 + 4 * cases[i].n_words);
        snprintf(message, sizeof message, "x: block of type 0x%08x at offset %zu: %s",
                 cases[i].type, at, cases[i].what);
        assert_damage(&b, 1, false, message);
        free(b.p);
    }
}

static void wrong_block_lengths_end_the_file(void **state) {
    (void)state;
    static const uint32_t lengths[] = {0, 4, 8, 11, 13, 30, 33, 0xffffffff};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        bytes b = capture_with(false, 0x0bad, "12345678", 8);
        char message[200];
        memcpy(b.p + b.n - 16, &lengths[i], 4);
        snprintf(message, sizeof message,
                 "x: block of type 0x00000bad at offset %zu: found a length of %u, expected 12 or "
                 "more, a multiple of 4",
                 b.n - 20, lengths[i]);
        assert_damage(&b, 1, false, message);
        free(b.p);
    }
    static const uint32_t types[] = {0x0bad, 5, 6};
    for (size_t i = 0; i < 3; i++) {
        bytes b = capture_with(false, types[i], "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
        char message[200];
        b.p[b.n - 4] = 36;
        snprintf(message, sizeof message,
                 "x: block of type 0x%08x at offset %zu: found a length at its end of 36, expected "
                 "32",
                 types[i], b.n - 32);
        assert_damage(&b, 1, false, message);
        free(b.p);
    }
}

static void interfaces_of_a_section_end_with_it(void **state) {
    (void)state;
    bytes b = {0};
    put_section(&b, false, -1);
    put_interface(&b, 1, 100, -1, 0);
    put_enhanced(&b, 0, 1, 10, 10, 1);
    put_section(&b, false, -1);
    put_simple(&b, 4, 4, 1);
    char message[200];
    snprintf(message, sizeof message,
             "x: block of type 0x00000003 at offset %zu: found a packet of interface 0, expected "
             "one that its section has defined before",
             b.n - 20);
    assert_damage(&b, 1, false, message);
    free(b.p);
}

static void too_many_interfaces_end_the_file(void **state) {
    (void)state;
    bytes b = {0};
    reading r;
    put_section(&b, false, -1);
    for (int i = 0; i < 65536; i++)
        put_interface(&b, 1, 100, -1, 0);
    put_enhanced(&b, 65535, 1, 10, 10, 1);
    put_interface(&b, 1, 100, -1, 0);
    assert_int_equal(begin(&r, b.p, b.n, EG_READ_BY_CONTENT), EG_OK);
    assert_packet(&r, 1, 0, 1, 10, 10, 1);
    assert_ends(&r, EG_CORRUPT);
    assert_non_null(strstr(r.err.msg, "found interface number 65537, expected at most 65536"));
    end(&r);
    free(b.p);
}

static void damaged_section_headers_are_told(void **state) {
    (void)state;
    bytes b = {0};
    put_section(&b, false, -1);
    b.p[12] = 2;
    assert_refused(b.p, b.n, EG_UNSUPPORTED,
                   "x: section header at offset 0: found pcapng version 2.0, expected 1");
    b.p[12] = 1;
    b.p[8] = 0;
    assert_refused(b.p, b.n, EG_CORRUPT,
                   "x: section header at offset 0: found byte order 003c2b1a, expected 1a2b3c4d or "
                   "4d3c2b1a");
    b.p[8] = 0x4d;
    b.p[4] = 24;
    assert_refused(b.p, b.n, EG_CORRUPT,
                   "x: block of type 0x0a0d0d0a at offset 0: found a length of 24, expected 28 or "
                   "more");
    b.p[4] = 28;
    assert_refused(b.p, 20, EG_CORRUPT,
                   "x: cut in a section header at offset 0: found 20 bytes, expected 28");
    assert_refused(b.p, 2, EG_CORRUPT,
                   "x: cut in the file header at offset 0: found 2 bytes, expected 24");
    bytes second = {0};
    put(&second, b.p, b.n);
    b.p[12] = 2;
    put(&second, b.p, b.n);
    assert_damage(&second, 0, false,
                  "x: section header at offset 28: found pcapng version 2.0, expected 1");
    free(second.p);
    free(b.p);
}

/* ---- captures from the field -------------------------------------------- */

static eg_status begin_path(reading *r, const char *path, eg_reader_kind kind) {
    const char *name;
    *r = (reading){0};
    assert_int_equal(eg_stream_open(path, &r->stream, &r->err), EG_OK);
    assert_int_equal(eg_stream_next_member(r->stream, &name, &r->err), EG_OK);
    return eg_savefile_open_with(r->stream, name, kind, &r->file, &r->err);
}

/* True when path is a classic pcap of the usual kind: then both readers gave
** the same of it. */
static bool readers_agree(const char *path) {
    reading plain, other;
    eg_status rc = begin_path(&plain, path, EG_READ_PLAIN);
    bool usual =
        rc == EG_OK && eg_stream_is_plain(plain.stream) && plain.file->reader == &eg_reader_plain;
    if (!usual) {
        end(&plain);
        return false;
    }
    assert_int_equal(begin_path(&other, path, EG_READ_LIBPCAP), EG_OK);
    for (;;) {
        eg_packet a, b;
        rc = eg_savefile_next(plain.file, &a, &plain.err);
        assert_int_equal(eg_savefile_next(other.file, &b, &other.err), rc);
        if (rc != EG_OK)
            break;
        assert_int_equal(a.cap_bytes, b.cap_bytes);
        assert_int_equal(a.wire_bytes, b.wire_bytes);
        assert_int_equal(a.time_ms, b.time_ms);
        assert_int_equal(a.link_type, b.link_type);
        assert_int_equal(a.number, b.number);
        assert_memory_equal(a.data, b.data, a.cap_bytes);
    }
    assert_int_equal(eg_savefile_is_cut(plain.file), eg_savefile_is_cut(other.file));
    end(&plain);
    end(&other);
    return true;
}

static int agree_in_folder(const char *folder) {
    DIR *dir = opendir(folder);
    int n = 0;
    if (dir == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (strstr(e->d_name, ".pcap") != NULL)
            n += readers_agree(path);
    }
    closedir(dir);
    return n;
}

static void plain_walker_and_libpcap_agree_on_bundled_captures(void **state) {
    (void)state;
    if (agree_in_folder("tests/data") + agree_in_folder("samples") +
            agree_in_folder("tests/fuzz/corpus/savefile") ==
        0)
        fail_msg("no bundled pcap was found: run from the root of the project");
}

static void plain_walker_and_libpcap_agree_on_captures_from_the_field(void **state) {
    (void)state;
    if (access(CAPTURES, R_OK) != 0)
        skip();
    assert_true(agree_in_folder(CAPTURES "/made") >= 10);
    assert_true(agree_in_folder(CAPTURES "/third-party") >= 20);
    assert_true(agree_in_folder(CAPTURES "/derived") >= 20);
}

static void captures_from_the_field_have_their_packets(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int n_packets;
        eg_status ended;
    } files[] = {
        {"made/fprobe-live-v5.pcapng", 30, EG_DONE},
        {"made/neg-fprobe-v1-file.pcapng", 71, EG_DONE},
        {"made/neg-fprobe-v7-file.pcapng", 63, EG_DONE},
        {"made/softflowd-v5-any-sll2.pcap", 58, EG_DONE},
        {"made/softflowd-v5-ip6frag-mtu1280.pcap", 34, EG_DONE},
        {"made/softflowd-v5-nano.pcap", 58, EG_DONE},
        {"made/softflowd-v5-ndpi-adj.pcap", 261, EG_DONE},
        {"made/softflowd-v5-snap128.pcap", 58, EG_DONE},
        {"third-party/neg-graylog-nprobe-v9.pcap", 72, EG_DONE},
        {"derived/fprobe-live.pcapng.gz", 30, EG_DONE},
        {"derived/fprobe-live.pcapng.zst", 30, EG_DONE},
        {"derived/header-only.pcap", 0, EG_DONE},
        {"derived/merged-ether-mixed-versions.pcap", 2037, EG_DONE},
        {"derived/merged-multi-if-mixed-versions.pcapng", 275, EG_DONE},
        {"derived/ndpi10min-nano.pcapng", 58, EG_DONE},
        {"derived/netgraph-2members.pcap.gz", 4, EG_DONE},
        {"derived/netgraph-bigendian.pcap", 4, EG_DONE},
        {"derived/netgraph-bigendian.pcapng", 4, EG_DONE},
        {"derived/netgraph-cut-midpacket.pcap", 3, EG_CORRUPT},
        {"derived/netgraph-cut-midrecheader.pcap", 3, EG_CORRUPT},
        {"derived/netgraph-cut.pcapng", 3, EG_CORRUPT},
        {"derived/netgraph-modpcap.pcap", 4, EG_DONE},
        {"derived/netgraph-nsec.pcap", 4, EG_DONE},
        {"derived/netgraph-obsolete-pb.pcapng", 4, EG_DONE},
        {"derived/netgraph-simplepackets.pcapng", 4, EG_DONE},
        {"derived/netgraph-tsresol-2pow20.pcapng", 4, EG_DONE},
        {"derived/netgraph-tsresol9-tsoffset.pcapng", 4, EG_DONE},
        {"derived/netgraph-two-sections-mixed-endian.pcapng", 4, EG_DONE},
        {"derived/netgraph.pcap.gz", 4, EG_DONE},
        {"derived/netgraph.pcap.lz4", 4, EG_DONE},
        {"derived/netgraph.pcap.xz", 4, EG_DONE},
        {"derived/netgraph.pcap.zst", 4, EG_DONE},
    };
    if (access(CAPTURES, R_OK) != 0)
        skip();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[300];
        reading r;
        eg_packet packet;
        int n = 0;
        eg_status rc;
        snprintf(path, sizeof path, CAPTURES "/%s", files[i].path);
        assert_int_equal(begin_path(&r, path, EG_READ_BY_CONTENT), EG_OK);
        while ((rc = eg_savefile_next(r.file, &packet, &r.err)) == EG_OK)
            n++;
        if (n != files[i].n_packets || rc != files[i].ended)
            print_message("%s: %d packets\n", path, n);
        assert_int_equal(n, files[i].n_packets);
        assert_int_equal(rc, files[i].ended);
        assert_int_equal(eg_savefile_is_cut(r.file), rc == EG_CORRUPT);
        end(&r);
    }
}

/* The same four packets in many containers: the same bytes and, but for the
** unit, the same times. */
static void containers_do_not_change_packets(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t shift_ms;
    } files[] = {
        {"netgraph.pcap.gz", 0},
        {"netgraph-bigendian.pcap", 0},
        {"netgraph-modpcap.pcap", 0},
        {"netgraph-nsec.pcap", 0},
        {"netgraph-bigendian.pcapng", 0},
        {"netgraph-obsolete-pb.pcapng", 0},
        {"netgraph-tsresol-2pow20.pcapng", 0},
        {"netgraph-tsresol9-tsoffset.pcapng", 0},
    };
    if (access(CAPTURES, R_OK) != 0)
        skip();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[300];
        reading a, b;
        snprintf(path, sizeof path, CAPTURES "/derived/%s", files[i].name);
        assert_int_equal(
            begin_path(&a, CAPTURES "/third-party/graylog-netgraph-v5.pcap", EG_READ_PLAIN), EG_OK);
        assert_int_equal(begin_path(&b, path, EG_READ_BY_CONTENT), EG_OK);
        for (int k = 0; k < 4; k++) {
            eg_packet x = next_packet(&a), y = next_packet(&b);
            assert_int_equal(x.cap_bytes, y.cap_bytes);
            assert_memory_equal(x.data, y.data, x.cap_bytes);
            int64_t difference = y.time_ms - x.time_ms - files[i].shift_ms;
            if (difference < -1 || difference > 0) /* 2^-20 s rounds the us down */
                print_message("%s: %lld ms off\n", files[i].name, (long long)difference);
            assert_true(difference >= -1 && difference <= 0);
        }
        end(&a);
        end(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(magic_is_known_by_four_bytes),
        cmocka_unit_test(pcap_of_either_order_and_unit_is_read),
        cmocka_unit_test(modified_pcap_is_read),
        cmocka_unit_test(old_versions_have_their_lengths_told_apart),
        cmocka_unit_test(other_versions_are_refused),
        cmocka_unit_test(pcap_times_are_unsigned_and_carried),
        cmocka_unit_test(pcap_link_type_is_without_the_fcs_bits),
        cmocka_unit_test(wrong_snaplen_costs_no_bytes),
        cmocka_unit_test(captured_length_beyond_all_reason_ends_the_file),
        cmocka_unit_test(packets_across_buffer_ends_are_whole),
        cmocka_unit_test(other_files_are_refused_with_what_was_found),
        cmocka_unit_test(pcap_cut_at_every_byte_gives_all_complete_packets),
        cmocka_unit_test(pcapng_cut_at_every_byte_gives_all_complete_packets),
        cmocka_unit_test(wrapping_that_breaks_between_packets_is_no_sound_end),
        cmocka_unit_test(sections_and_interfaces_keep_apart),
        cmocka_unit_test(every_unit_and_offset_of_time_is_exact),
        cmocka_unit_test(blocks_beyond_every_buffer_are_read_or_passed_over),
        cmocka_unit_test(damaged_blocks_end_the_file_and_say_why),
        cmocka_unit_test(wrong_block_lengths_end_the_file),
        cmocka_unit_test(interfaces_of_a_section_end_with_it),
        cmocka_unit_test(too_many_interfaces_end_the_file),
        cmocka_unit_test(damaged_section_headers_are_told),
        cmocka_unit_test(plain_walker_and_libpcap_agree_on_bundled_captures),
        cmocka_unit_test(plain_walker_and_libpcap_agree_on_captures_from_the_field),
        cmocka_unit_test(captures_from_the_field_have_their_packets),
        cmocka_unit_test(containers_do_not_change_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
