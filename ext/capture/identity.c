/* XXH3's streaming state, cut at the lengths that are asked for. */
#include "capture/identity.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct eg_identity {
    XXH3_state_t *state;
    int64_t n_bytes;
    const int64_t *lengths;
    size_t n_lengths, n_reached;
    eg_capture_id *ids; /* [n_lengths] */
};

eg_status eg_identity_open(const int64_t *lengths, size_t n_lengths, eg_identity **out,
                           eg_err *err) {
    *out = NULL;
    eg_identity *h = calloc(1, sizeof *h);
    if (h == NULL)
        return eg_fail_nomem(err, "a hash");
    h->lengths = lengths;
    h->n_lengths = n_lengths;
    h->ids = calloc(n_lengths + 1, sizeof *h->ids);
    h->state = XXH3_createState();
    if (h->ids == NULL || h->state == NULL) {
        eg_identity_close(h);
        return eg_fail_nomem(err, "a hash");
    }
    eg_identity_reset(h);
    *out = h;
    return EG_OK;
}

void eg_identity_close(eg_identity *h) {
    if (h == NULL)
        return;
    (void)XXH3_freeState(h->state);
    free(h->ids);
    free(h);
}

static void digest(const eg_identity *h, eg_capture_id *id) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(h->state));
    memcpy(id->bytes, canonical.digest, sizeof id->bytes);
}

static void keep_prefixes(eg_identity *h) {
    while (h->n_reached < h->n_lengths && h->lengths[h->n_reached] == h->n_bytes)
        digest(h, &h->ids[h->n_reached++]);
}

void eg_identity_reset(eg_identity *h) {
    (void)XXH3_128bits_reset(h->state);
    h->n_bytes = 0;
    h->n_reached = 0;
    keep_prefixes(h);
}

void eg_identity_add(eg_identity *h, const void *bytes, size_t n_bytes) {
    const uint8_t *p = bytes;
    while (n_bytes > 0) {
        size_t n = n_bytes;
        if (h->n_reached < h->n_lengths && (uint64_t)(h->lengths[h->n_reached] - h->n_bytes) < n)
            n = (size_t)(h->lengths[h->n_reached] - h->n_bytes);
        (void)XXH3_128bits_update(h->state, p, n);
        p += n;
        n_bytes -= n;
        h->n_bytes += (int64_t)n;
        keep_prefixes(h);
    }
}

int64_t eg_identity_now(const eg_identity *h, eg_capture_id *id) {
    digest(h, id);
    return h->n_bytes;
}

size_t eg_identity_prefixes(const eg_identity *h, const eg_capture_id **ids) {
    *ids = h->ids;
    return h->n_reached;
}

bool eg_capture_id_equal(const eg_capture_id *a, const eg_capture_id *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
