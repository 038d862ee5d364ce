/*
** Classic pcap through libpcap, which reads our bytes from a stdio cookie.
**
** libpcap's facts that this file relies on (1.10): it reads forward only; it
** scales nothing when asked for the precision of the file; seconds and fraction
** come sign-extended from 32 bits; a cookie's read error looks like a truncated
** file to it, so the cookie keeps the reason.
**
** It gets to see a file header with a snaplen of 0, "the most there can be",
** since it cuts packets at a wrong snaplen even where more was stored, and with
** Ethernet as link type, since it rewrites the bytes of some others and takes
** packets of 128 MiB for them.
*/
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/savefile_readers.h"

#define STDIO_BYTES (64 * 1024)

typedef struct libpcap_state {
    pcap_t *pcap;          /* owns the FILE once open */
    int64_t given_bytes;   /* read by the cookie */
    uint32_t header_bytes; /* of a record */
    int64_t offset;        /* of the next record */
    eg_status failed;      /* of the window, met by the cookie */
    eg_err why;
    char errbuf[PCAP_ERRBUF_SIZE];
    char buffer[STDIO_BYTES]; /* of the FILE */
} libpcap_state;

static ssize_t cookie_read(void *cookie, char *buf, size_t cap) {
    eg_savefile *f = cookie;
    libpcap_state *st = f->state;
    if (st->failed == EG_OK)
        st->failed = eg_window_need(f, 1, &st->why);
    if (st->failed == EG_DONE)
        return 0;
    if (st->failed != EG_OK) {
        errno = EIO;
        return -1;
    }
    size_t n = f->window.end - f->window.pos;
    if (n > cap)
        n = cap;
    memcpy(buf, eg_window_at(f), n);
    eg_window_use(f, n);
    st->given_bytes += (int64_t)n;
    return (ssize_t)n;
}

/* What libpcap's refusal means, `text` being its words. */
static eg_status libpcap_failure(eg_savefile *f, const char *text, int error, eg_err *err) {
    libpcap_state *st = f->state;
    if (st->failed != EG_OK && st->failed != EG_DONE) {
        if (err != NULL)
            *err = st->why;
        return st->failed; /* is_cut was set with it */
    }
    if (error == ENOMEM)
        return eg_fail_nomem(err, "a packet");
    f->is_cut = st->failed == EG_DONE && strncmp(text, "truncated", 9) == 0;
    return eg_fail(err, EG_CORRUPT, st->offset, "%s: packet %lld at offset %lld: %s", f->name,
                   (long long)f->n_packets + 1, (long long)st->offset, text);
}

static eg_status libpcap_open(eg_savefile *f, eg_err *err) {
    libpcap_state *st = calloc(1, sizeof *st);
    if (st == NULL)
        return eg_fail_nomem(err, "a capture reader");
    f->state = st;
    uint8_t *header = f->window.buf + f->window.pos;
    bool modified = header[f->big_endian ? 2 : 1] == 0xcd;
    st->header_bytes = modified ? 24 : 16;
    st->offset = EG_PCAP_HEADER_BYTES;
    memset(header + 16, 0, 8); /* snaplen and link type */
    header[f->big_endian ? 23 : 20] = 1;
    cookie_io_functions_t functions = {.read = cookie_read};
    FILE *file = fopencookie(f, "r", functions);
    if (file == NULL)
        return eg_fail_nomem(err, "a capture reader");
    (void)setvbuf(file, st->buffer, _IOFBF, sizeof st->buffer); /* speed only */
    errno = 0;
    st->pcap = pcap_fopen_offline_with_tstamp_precision(
        file, f->nanoseconds ? PCAP_TSTAMP_PRECISION_NANO : PCAP_TSTAMP_PRECISION_MICRO,
        st->errbuf);
    if (st->pcap == NULL) {
        int error = errno;
        fclose(file);
        return libpcap_failure(f, st->errbuf, error, err);
    }
    return EG_OK;
}

static eg_status libpcap_next(eg_savefile *f, eg_packet *packet, eg_err *err) {
    libpcap_state *st = f->state;
    struct pcap_pkthdr *h;
    errno = 0;
    int rc = pcap_next_ex(st->pcap, &h, &packet->data);
    if (rc == PCAP_ERROR_BREAK) {
        if (st->failed == EG_OK || st->failed == EG_DONE)
            return EG_DONE;
        return libpcap_failure(f, "", 0, err); /* the wrapping broke between two packets */
    }
    if (rc != 1)
        return libpcap_failure(f, pcap_geterr(st->pcap), errno, err);
    packet->cap_bytes = h->caplen;
    packet->wire_bytes = h->len;
    packet->time_ms = (int64_t)(uint32_t)h->ts.tv_sec * 1000 +
                      (uint32_t)h->ts.tv_usec / (f->nanoseconds ? 1000000 : 1000);
    packet->link_type = f->link_type;
    st->offset += (int64_t)st->header_bytes + h->caplen;
    return EG_OK;
}

static void libpcap_close(eg_savefile *f) {
    libpcap_state *st = f->state;
    if (st != NULL && st->pcap != NULL)
        pcap_close(st->pcap); /* closes the FILE, which reads no more */
    free(st);
}

const eg_reader eg_reader_libpcap = {libpcap_open, libpcap_next, libpcap_close, false};
