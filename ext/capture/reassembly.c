/*
** A fragment begins at a multiple of 8 bytes, so of every unit of 8 bytes what is
** there is always a prefix: one count a unit tells all holes, in any order of
** arrival. A datagram is whole when its end is known and as many bytes are
** there as lie before it.
*/
#include "capture/reassembly.h"

#include <stdlib.h>
#include <string.h>

#include "flow/schema.h"

#define UNIT_BYTES 8
#define MAX_PAYLOAD_BYTES 65535
#define MAX_UNITS ((MAX_PAYLOAD_BYTES + UNIT_BYTES - 1) / UNIT_BYTES)

typedef struct context {
    eg_ip_addr src, dst; /* with id and protocol the key */
    uint32_t id;
    uint8_t protocol;
    bool is_open;
    bool is_spoiled;         /* never to be completed */
    bool has_end;            /* end_bytes is known from the last fragment */
    uint32_t end_bytes;      /* length of the whole payload */
    uint32_t top_bytes;      /* highest end of any fragment so far */
    uint32_t n_have;         /* distinct bytes that are there */
    uint32_t n_frames;       /* fragments taken */
    uint64_t order;          /* when it was opened */
    int64_t first_frame;     /* number of its first frame */
    int64_t first_ms;        /* capture clock of its first frame */
    uint8_t *payload;        /* owned, [capacity_bytes]; kept when the context closes */
    uint8_t *filled;         /* owned, [capacity_bytes / UNIT_BYTES] bytes there of each unit */
    uint32_t capacity_bytes; /* a multiple of UNIT_BYTES */
} context;

struct eg_reassembly {
    context contexts[EG_REASSEMBLY_MAX];
    uint64_t next_order;
};

eg_status eg_reassembly_open(eg_reassembly **out, eg_err *err) {
    *out = calloc(1, sizeof **out);
    return *out ? EG_OK : eg_fail_nomem(err, "the fragment table");
}

static bool is_key(const context *c, const eg_fragment *f) {
    return c->is_open && c->id == f->id && c->protocol == f->protocol &&
           memcmp(&c->src, &f->src, sizeof c->src) == 0 &&
           memcmp(&c->dst, &f->dst, sizeof c->dst) == 0;
}

static bool is_too_old(const context *c, const eg_fragment *f) {
    if (c->first_ms == EG_NO_TIME || f->time_ms == EG_NO_TIME)
        return false;
    uint64_t apart = f->time_ms > c->first_ms ? (uint64_t)f->time_ms - (uint64_t)c->first_ms
                                              : (uint64_t)c->first_ms - (uint64_t)f->time_ms;
    return apart > EG_REASSEMBLY_MAX_AGE_MS;
}

static void give_up(context *c, eg_reassembled *out) {
    if (out->n_given_up == 0 || c->first_frame < out->given_up_first_frame)
        out->given_up_first_frame = c->first_frame;
    out->n_given_up++;
    out->given_up_frames += c->n_frames;
    c->is_open = false;
}

static void begin(eg_reassembly *r, context *c, const eg_fragment *f, int64_t frame_number) {
    uint8_t *payload = c->payload, *filled = c->filled;
    uint32_t capacity_bytes = c->capacity_bytes;
    if (capacity_bytes > 0)
        memset(filled, 0, capacity_bytes / UNIT_BYTES);
    *c = (context){.src = f->src,
                   .dst = f->dst,
                   .id = f->id,
                   .protocol = f->protocol,
                   .is_open = true,
                   .order = r->next_order++,
                   .first_frame = frame_number,
                   .first_ms = f->time_ms,
                   .payload = payload,
                   .filled = filled,
                   .capacity_bytes = capacity_bytes};
}

/* The open context of the fragment's datagram, else a fresh one. */
static context *find(eg_reassembly *r, const eg_fragment *f, int64_t frame_number,
                     eg_reassembled *out) {
    context *free_one = NULL, *oldest = NULL;
    for (int i = 0; i < EG_REASSEMBLY_MAX; i++) {
        context *c = &r->contexts[i];
        if (is_key(c, f)) {
            if (!is_too_old(c, f))
                return c;
            give_up(c, out);
        }
        if (!c->is_open)
            free_one = c;
        else if (oldest == NULL || c->order < oldest->order)
            oldest = c;
    }
    if (free_one == NULL) {
        give_up(oldest, out);
        free_one = oldest;
    }
    begin(r, free_one, f, frame_number);
    return free_one;
}

static eg_status reserve(context *c, uint32_t n_bytes, eg_err *err) {
    if (n_bytes <= c->capacity_bytes)
        return EG_OK;
    uint32_t capacity = c->capacity_bytes ? c->capacity_bytes : 2048;
    while (capacity < n_bytes)
        capacity *= 2; /* ends at 64 KiB: n_bytes <= MAX_PAYLOAD_BYTES */
    uint8_t *payload = realloc(c->payload, capacity);
    if (payload == NULL)
        return eg_fail_nomem(err, "a fragmented datagram");
    c->payload = payload;
    uint8_t *filled = realloc(c->filled, capacity / UNIT_BYTES);
    if (filled == NULL)
        return eg_fail_nomem(err, "a fragmented datagram");
    c->filled = filled;
    memset(filled + c->capacity_bytes / UNIT_BYTES, 0, (capacity - c->capacity_bytes) / UNIT_BYTES);
    c->capacity_bytes = capacity;
    return EG_OK;
}

/* Copies what is not there yet. */
static void fill(context *c, const eg_fragment *f) {
    uint32_t end = f->offset_bytes + f->n_bytes;
    for (uint32_t at = f->offset_bytes; at < end; at += UNIT_BYTES) {
        uint32_t have = c->filled[at / UNIT_BYTES];
        uint32_t upto = end - at < UNIT_BYTES ? end - at : UNIT_BYTES;
        if (upto <= have)
            continue;
        memcpy(c->payload + at + have, f->data + (at - f->offset_bytes) + have, upto - have);
        c->filled[at / UNIT_BYTES] = (uint8_t)upto;
        c->n_have += upto - have;
    }
}

/* Notes where the fragment says the datagram ends; false when that contradicts
** the other fragments, or the fragment itself makes no sense. */
static bool is_sound(context *c, const eg_fragment *f) {
    if (f->n_bytes != f->full_bytes || f->offset_bytes % UNIT_BYTES != 0 ||
        f->offset_bytes > MAX_PAYLOAD_BYTES || f->n_bytes > MAX_PAYLOAD_BYTES - f->offset_bytes)
        return false;
    uint32_t end = f->offset_bytes + f->n_bytes;
    if (!f->more) {
        if (c->has_end && c->end_bytes != end)
            return false;
        c->has_end = true;
        c->end_bytes = end;
    }
    if (c->top_bytes < end)
        c->top_bytes = end;
    return !c->has_end || c->top_bytes <= c->end_bytes;
}

eg_status eg_reassembly_add(eg_reassembly *r, const eg_fragment *f, int64_t frame_number,
                            eg_reassembled *out, eg_err *err) {
    *out = (eg_reassembled){0};
    context *c = find(r, f, frame_number, out);
    if (!c->is_spoiled && !is_sound(c, f))
        c->is_spoiled = true;
    if (!c->is_spoiled) {
        eg_status rc = reserve(c, f->offset_bytes + f->n_bytes, err);
        if (rc != EG_OK) {
            if (c->n_frames == 0)
                c->is_open = false;
            return rc;
        }
        fill(c, f);
    }
    c->n_frames++;
    if (!c->is_spoiled && c->has_end && c->n_have == c->end_bytes) {
        out->whole = true;
        out->payload = c->payload;
        out->n_bytes = c->end_bytes;
        out->n_fragments = c->n_frames;
        c->is_open = false; /* its memory stays as it is until the next call */
    }
    return EG_OK;
}

void eg_reassembly_flush(eg_reassembly *r, eg_reassembled *out) {
    *out = (eg_reassembled){0};
    for (int i = 0; i < EG_REASSEMBLY_MAX; i++) {
        if (r->contexts[i].is_open)
            give_up(&r->contexts[i], out);
    }
}

void eg_reassembly_close(eg_reassembly *r) {
    if (r == NULL)
        return;
    for (int i = 0; i < EG_REASSEMBLY_MAX; i++) {
        free(r->contexts[i].payload);
        free(r->contexts[i].filled);
    }
    free(r);
}
