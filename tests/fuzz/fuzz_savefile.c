/*
** Any bytes as a capture file: plain or wrapped, the readers never touch what
** is not there, number packets without gaps, keep to their bounds, and end once
** and for all. A classic pcap gives the same packets by both of its readers.
*/
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "capture/savefile.h"
#include "capture/savefile_readers.h"
#include "fuzz_check.h"

/* What is looked at of an input: it may unpack to anything. */
#define MAX_MEMBERS 100
#define MAX_PACKETS 20000
#define MAX_BYTES (32 * 1024 * 1024)

static void require(int holds) {
    if (!holds)
        abort();
}

static void require_message(const eg_err *err, eg_status rc) {
    require(err->code == rc && memchr(err->msg, '\0', sizeof err->msg) != NULL &&
            err->msg[0] != '\0');
}

/* Every byte is read, so that a sanitizer sees one that is not there. */
static uint64_t sum(const uint8_t *p, size_t n) {
    uint64_t s = n;
    for (size_t i = 0; i < n; i++)
        s = s * 31 + p[i];
    return s;
}

/* A reader's view of the current member: a sum over all that it gave. */
static uint64_t read_packets(eg_stream *s, const char *name, eg_reader_kind kind,
                             eg_status *ended) {
    eg_savefile *f;
    eg_err err;
    eg_packet packet;
    uint64_t total = 0;
    int64_t n_bytes = 0;
    *ended = eg_savefile_open_with(s, name, kind, &f, &err);
    if (*ended != EG_OK) {
        require(f == NULL);
        require_message(&err, *ended);
        return 0;
    }
    for (int64_t n = 1; n <= MAX_PACKETS && n_bytes < MAX_BYTES; n++) {
        *ended = eg_savefile_next(f, &packet, &err);
        if (*ended != EG_OK)
            break;
        require(packet.number == n && packet.cap_bytes <= EG_BLOCK_MAX_BYTES);
        total = total * 31 + sum(packet.data, packet.cap_bytes);
        total = total * 31 + packet.wire_bytes;
        total = total * 31 + (uint64_t)packet.time_ms;
        total = total * 31 + packet.link_type;
        n_bytes += packet.cap_bytes;
    }
    if (*ended != EG_OK) {
        require(*ended == EG_DONE || *ended == EG_CORRUPT);
        require(eg_savefile_next(f, &packet, &err) == *ended);
        if (*ended == EG_CORRUPT) {
            require_message(&err, *ended);
            total = total * 31 + eg_savefile_is_cut(f);
        }
    }
    eg_savefile_close(f);
    return total;
}

static eg_stream *open_first(const uint8_t *data, size_t size, const char **name, eg_status *rc) {
    eg_stream *s;
    eg_err err;
    require(eg_stream_open_memory(data, size, "fuzz", &s, &err) == EG_OK);
    *rc = eg_stream_next_member(s, name, &err);
    if (*rc != EG_OK && *rc != EG_DONE)
        require_message(&err, *rc);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *name;
    eg_status rc, ended;
    eg_err err;
    eg_stream *s = open_first(data, size, &name, &rc);
    bool archive = eg_stream_is_archive(s), plain = eg_stream_is_plain(s);
    uint64_t total = 0;
    for (int i = 0; rc == EG_OK && i < MAX_MEMBERS; i++) {
        require(name != NULL && strncmp(name, "fuzz", 4) == 0);
        total = read_packets(s, name, EG_READ_BY_CONTENT, &ended);
        rc = eg_stream_next_member(s, &name, &err);
        require(rc != EG_OK || archive);
    }
    require(eg_stream_consumed_bytes(s) <= (int64_t)size);
    eg_stream_close(s);

    if (plain && eg_savefile_magic(data, size) == EG_MAGIC_PCAP) {
        eg_status other;
        s = open_first(data, size, &name, &rc);
        require(rc == EG_OK);
        require(read_packets(s, name, EG_READ_LIBPCAP, &other) == total && other == ended);
        eg_stream_close(s);
    }
    return 0;
}
