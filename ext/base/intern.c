/* Texts live each in its own allocation, so that pointers never move; a small
** open-addressing table of codes, at most half full, finds them again. */
#include "base/intern.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    char *text;     /* owned, NUL terminated */
    size_t n_bytes; /* without the NUL */
    uint64_t hash;  /* of text */
} entry;

struct eg_intern {
    entry *entries;     /* [n_entries], in order of arrival */
    uint32_t n_entries; /* used */
    uint32_t capacity;  /* allocated entries */
    uint32_t *slots;    /* [n_slots], entry number + 1, 0 = free */
    uint32_t n_slots;   /* a power of two */
};

static uint64_t hash_text(const char *text, size_t n_bytes) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < n_bytes; i++)
        h = (h ^ (uint8_t)text[i]) * 1099511628211u;
    return h ^ (h >> 32);
}

eg_status eg_intern_open(eg_intern **out, eg_err *err) {
    eg_intern *t = calloc(1, sizeof *t);
    *out = t;
    return t ? EG_OK : eg_fail_nomem(err, "a text table");
}

static uint32_t *find_slot(const eg_intern *t, uint64_t hash, const char *text, size_t n_bytes) {
    uint32_t i = (uint32_t)hash & (t->n_slots - 1);
    for (;; i = (i + 1) & (t->n_slots - 1)) {
        if (t->slots[i] == 0)
            return &t->slots[i];
        const entry *e = &t->entries[t->slots[i] - 1];
        if (e->hash == hash && e->n_bytes == n_bytes && memcmp(e->text, text, n_bytes) == 0)
            return &t->slots[i];
    }
}

static eg_status grow(eg_intern *t, eg_err *err) {
    uint32_t capacity = t->capacity ? t->capacity * 2 : 16;
    entry *entries = realloc(t->entries, (size_t)capacity * sizeof *entries);
    if (entries == NULL)
        return eg_fail_nomem(err, "a text table");
    t->entries = entries;
    uint32_t *slots = calloc((size_t)capacity * 2, sizeof *slots);
    if (slots == NULL)
        return eg_fail_nomem(err, "a text table");
    free(t->slots);
    t->slots = slots;
    t->capacity = capacity;
    t->n_slots = capacity * 2;
    for (uint32_t i = 0; i < t->n_entries; i++) {
        const entry *e = &t->entries[i];
        *find_slot(t, e->hash, e->text, e->n_bytes) = i + 1;
    }
    return EG_OK;
}

eg_status eg_intern_add(eg_intern *t, const char *text, size_t n_bytes, uint32_t *code,
                        eg_err *err) {
    if (t->n_entries == t->capacity) {
        if (t->capacity >= UINT32_C(1) << 30)
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
        t->entries[t->n_entries] = (entry){.text = copy, .n_bytes = n_bytes, .hash = hash};
        *slot = ++t->n_entries;
    }
    *code = *slot - 1;
    return EG_OK;
}

const char *eg_intern_text(const eg_intern *t, uint32_t code, size_t *n_bytes) {
    *n_bytes = t->entries[code].n_bytes;
    return t->entries[code].text;
}

uint32_t eg_intern_count(const eg_intern *t) {
    return t->n_entries;
}

void eg_intern_close(eg_intern *t) {
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->n_entries; i++)
        free(t->entries[i].text);
    free(t->entries);
    free(t->slots);
    free(t);
}
