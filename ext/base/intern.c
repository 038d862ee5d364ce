/* Texts live each in its own allocation, and their entries in segments, each twice the one before,
** so that neither moves while others read; an open-addressing table of codes, at most half full,
** finds them again. */
#include "base/intern.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    char *text;     /* owned, NUL terminated */
    size_t n_bytes; /* without the NUL */
    uint64_t hash;  /* of text */
} entry;

#define FIRST_BITS 4  /* entries of the first segment: 16 */
#define N_SEGMENTS 26 /* 2^30 entries in all */
#define MAX_ENTRIES (UINT32_C(1) << 30)

struct eg_intern {
    pthread_mutex_t lock;        /* of who adds; entries that were handed out stay as they are */
    entry *segments[N_SEGMENTS]; /* entries in order of arrival */
    _Atomic uint32_t n_entries;  /* used */
    uint32_t capacity;           /* allocated entries */
    uint32_t *slots;             /* [n_slots], entry number + 1, 0 = free */
    uint32_t n_slots;            /* a power of two */
};

/* Segment s > 0 begins at entry 2^(FIRST_BITS + s - 1) and has as many. */
static entry *entry_of(const eg_intern *t, uint32_t code) {
    if (code >> FIRST_BITS == 0)
        return &t->segments[0][code];
    unsigned top = 31u - (unsigned)__builtin_clz(code);
    return &t->segments[top - FIRST_BITS + 1][code - (UINT32_C(1) << top)];
}

static uint64_t hash_text(const char *text, size_t n_bytes) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < n_bytes; i++)
        h = (h ^ (uint8_t)text[i]) * 1099511628211u;
    return h ^ (h >> 32);
}

eg_status eg_intern_open(eg_intern **out, eg_err *err) {
    eg_intern *t = calloc(1, sizeof *t);
    *out = NULL;
    if (t == NULL || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        return eg_fail_nomem(err, "a text table");
    }
    *out = t;
    return EG_OK;
}

static uint32_t *find_slot(const eg_intern *t, uint64_t hash, const char *text, size_t n_bytes) {
    uint32_t i = (uint32_t)hash & (t->n_slots - 1);
    for (;; i = (i + 1) & (t->n_slots - 1)) {
        if (t->slots[i] == 0)
            return &t->slots[i];
        const entry *e = entry_of(t, t->slots[i] - 1);
        if (e->hash == hash && e->n_bytes == n_bytes && memcmp(e->text, text, n_bytes) == 0)
            return &t->slots[i];
    }
}

static eg_status grow(eg_intern *t, eg_err *err) {
    uint32_t more = t->capacity ? t->capacity : 1u << FIRST_BITS,
             n_slots = 2 * (t->capacity + more);
    unsigned at = 0;
    while (t->segments[at] != NULL)
        at++;
    entry *segment = malloc((size_t)more * sizeof *segment);
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (segment == NULL || slots == NULL) {
        free(segment);
        free(slots);
        return eg_fail_nomem(err, "a text table");
    }
    free(t->slots);
    t->segments[at] = segment;
    t->slots = slots;
    t->n_slots = n_slots;
    t->capacity += more;
    for (uint32_t i = 0; i < t->n_entries; i++) {
        const entry *e = entry_of(t, i);
        *find_slot(t, e->hash, e->text, e->n_bytes) = i + 1;
    }
    return EG_OK;
}

static eg_status add(eg_intern *t, const char *text, size_t n_bytes, uint32_t *code, eg_err *err) {
    if (t->n_entries == t->capacity) {
        if (t->capacity >= MAX_ENTRIES)
            return eg_fail(err, EG_LIMIT, -1, "more than %u distinct texts", t->capacity);
        eg_status rc = grow(t, err);
        if (rc != EG_OK)
            return rc;
    }
    uint64_t hash = hash_text(text, n_bytes);
    uint32_t *slot = find_slot(t, hash, text, n_bytes);
    if (*slot == 0) {
        char *copy = malloc(n_bytes + 1);
        if (copy == NULL)
            return eg_fail_nomem(err, "a text");
        memcpy(copy, text, n_bytes);
        copy[n_bytes] = '\0';
        *entry_of(t, t->n_entries) = (entry){.text = copy, .n_bytes = n_bytes, .hash = hash};
        *slot = ++t->n_entries;
    }
    *code = *slot - 1;
    return EG_OK;
}

eg_status eg_intern_add(eg_intern *t, const char *text, size_t n_bytes, uint32_t *code,
                        eg_err *err) {
    pthread_mutex_lock(&t->lock);
    eg_status rc = add(t, text, n_bytes, code, err);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

const char *eg_intern_text(const eg_intern *t, uint32_t code, size_t *n_bytes) {
    const entry *e = entry_of(t, code);
    *n_bytes = e->n_bytes;
    return e->text;
}

uint32_t eg_intern_count(const eg_intern *t) {
    return t->n_entries;
}

void eg_intern_close(eg_intern *t) {
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->n_entries; i++)
        free(entry_of(t, i)->text);
    for (int i = 0; i < N_SEGMENTS; i++)
        free(t->segments[i]);
    free(t->slots);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
