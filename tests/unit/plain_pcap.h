/*
** A capture in memory, for tests of what lies above the savefile reader: little-
** endian classic pcap, and pcapng of one section and interface. Trusts its input.
*/
#ifndef PLAIN_PCAP_H
#define PLAIN_PCAP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "capture/savefile.h"

typedef struct plain_pcap {
    uint8_t *bytes; /* owned */
    size_t n_bytes;
    size_t at; /* next packet or block */
    bool is_ng;
    uint32_t link_type;
    int64_t number;
} plain_pcap;

/* False where the file is absent. */
static inline bool plain_pcap_open(plain_pcap *c, const char *path) {
    memset(c, 0, sizeof *c);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return false;
    fseek(f, 0, SEEK_END);
    c->n_bytes = (size_t)ftell(f);
    rewind(f);
    c->bytes = malloc(c->n_bytes + 1);
    bool ok = c->bytes != NULL && fread(c->bytes, 1, c->n_bytes, f) == c->n_bytes;
    fclose(f);
    if (!ok || c->n_bytes < 24) {
        free(c->bytes);
        return false;
    }
    c->is_ng = eg_le32(c->bytes) == 0x0a0d0d0a;
    c->link_type = eg_le32(c->bytes + 20);
    c->at = c->is_ng ? 0 : 24;
    return true;
}

/* False after the last packet. */
static inline bool plain_pcap_next(plain_pcap *c, eg_packet *packet) {
    while (c->is_ng && c->at < c->n_bytes && eg_le32(c->bytes + c->at) != 6) {
        if (eg_le32(c->bytes + c->at) == 1)
            c->link_type = eg_le16(c->bytes + c->at + 8);
        c->at += eg_le32(c->bytes + c->at + 4);
    }
    if (c->at + 16 > c->n_bytes)
        return false;
    const uint8_t *head = c->bytes + c->at;
    const uint8_t *lengths = head + (c->is_ng ? 20 : 8);
    uint32_t cap_bytes = eg_le32(lengths);
    *packet = (eg_packet){.data = lengths + 8,
                          .cap_bytes = cap_bytes,
                          .wire_bytes = eg_le32(lengths + 4),
                          .time_ms = c->is_ng ? 0 : (int64_t)eg_le32(head) * 1000,
                          .link_type = c->link_type,
                          .number = ++c->number};
    c->at += c->is_ng ? eg_le32(head + 4) : 16 + cap_bytes;
    return c->at <= c->n_bytes;
}

static inline void plain_pcap_close(plain_pcap *c) {
    free(c->bytes);
    memset(c, 0, sizeof *c);
}

#endif
