/* See the header. */
#include "query/series_lines.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/array.h"

#define MIN_SLOTS 64
#define STRIDE 8192          /* keys between two looks at the host */
#define CELL_STRIDE 0x10000u /* cells */

eg_status eg_lines_open(eg_lines *l, unsigned n_words, eg_err *err) {
    memset(l, 0, sizeof *l);
    l->n_words = n_words;
    if (getrandom(&l->seed, sizeof l->seed, GRND_NONBLOCK) != (ssize_t)sizeof l->seed)
        l->seed = (uintptr_t)l; /* a poor seed only costs time */
    l->mask = MIN_SLOTS - 1;
    l->slots = calloc(MIN_SLOTS, sizeof *l->slots);
    return l->slots ? EG_OK : eg_fail_nomem(err, "a series");
}

void eg_lines_close(eg_lines *l) {
    free(l->lines);
    free(l->words);
    free(l->slots);
    free(l->cells);
    memset(l, 0, sizeof *l);
}

/* ---- keys --------------------------------------------------------------- */

#define MULTIPLIER UINT64_C(0x9fb21c651e98df25)

static inline uint64_t mix_word(uint64_t h, uint64_t word) {
    h = (h ^ word) * MULTIPLIER;
    return h ^ h >> 32;
}

/* Slots are the lower bits. */
static inline uint32_t end_hash(uint64_t h) {
    return (uint32_t)(h * MULTIPLIER >> 32);
}

static inline uint32_t hash_of(const eg_lines *l, const uint64_t *key) {
    uint64_t h = l->seed;
    for (unsigned w = 0; w < l->n_words; w++)
        h = mix_word(h, key[w]);
    return end_hash(h);
}

void eg_lines_warm(const eg_lines *l, const uint64_t *const *words, uint32_t n, uint32_t *scratch) {
    for (uint32_t i = 0; i < n; i++) {
        uint64_t h = l->seed;
        for (unsigned w = 0; w < l->n_words; w++)
            h = mix_word(h, words[w][i]);
        scratch[i] = end_hash(h);
        __builtin_prefetch(&l->slots[scratch[i] & l->mask]);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = l->slots[scratch[i] & l->mask];
        if (at == 0)
            continue;
        __builtin_prefetch(l->words + (size_t)(at - 1) * l->n_words);
        __builtin_prefetch(&l->lines[at - 1]);
    }
}

void eg_lines_warm_cells(const eg_lines *l, const uint32_t *lines, uint32_t n, int64_t bucket) {
    for (uint32_t i = 0; i < n; i++) {
        const eg_line *line = &l->lines[lines[i]];
        if (bucket >= line->lo && bucket <= line->hi)
            __builtin_prefetch(eg_lines_cell(l, line, (int32_t)bucket));
    }
}

uint32_t eg_lines_find(const eg_lines *l, const uint64_t *key) {
    for (size_t i = hash_of(l, key);; i++) {
        uint32_t at = l->slots[i & l->mask];
        if (at == 0)
            return EG_NO_LINE;
        const uint64_t *words = l->words + (size_t)(at - 1) * l->n_words;
        unsigned w = 0;
        while (w < l->n_words && words[w] == key[w])
            w++;
        if (w == l->n_words)
            return at - 1;
    }
}

static void put_slot(eg_lines *l, uint32_t line) {
    size_t i = hash_of(l, l->words + (size_t)line * l->n_words);
    while (l->slots[i & l->mask] != 0)
        i++;
    l->slots[i & l->mask] = line + 1;
}

/* Twice as many slots. */
static eg_status grow_slots(eg_lines *l, eg_scan *scan, eg_err *err) {
    size_t n_slots = 2 * (l->mask + 1);
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL)
        return eg_fail_nomem(err, "the keys of a series");
    free(l->slots);
    l->slots = slots;
    l->mask = n_slots - 1;
    for (size_t i = 0; i < l->n; i++) {
        if (i % STRIDE == 0) {
            eg_status rc = eg_scan_check(scan, err);
            if (rc != EG_OK)
                return rc;
        }
        put_slot(l, (uint32_t)i);
    }
    return EG_OK;
}

eg_status eg_lines_add(eg_lines *l, const uint64_t *key, eg_scan *scan, uint32_t *line,
                       eg_err *err) {
    const size_t key_bytes = l->n_words * sizeof *key;
    if (!eg_array_grow(&l->lines, &l->capacity, l->n, sizeof *l->lines) ||
        (key_bytes > 0 && !eg_array_grow(&l->words, &l->words_capacity, l->n, key_bytes)))
        return eg_fail_nomem(err, "the keys of a series");
    if (2 * l->n > l->mask) {
        eg_status rc = grow_slots(l, scan, err);
        if (rc != EG_OK)
            return rc;
    }
    if (key_bytes > 0) {
        memcpy(l->words + l->n * l->n_words, key, key_bytes);
        put_slot(l, (uint32_t)l->n);
    }
    l->lines[l->n] = (eg_line){.lo = 0, .hi = -1};
    *line = (uint32_t)l->n++;
    return EG_OK;
}

/* ---- cells -------------------------------------------------------------- */

/* A block of 2^log2_size cells, with anything in them. */
static eg_status take_block(eg_lines *l, unsigned log2_size, uint32_t *block, eg_err *err) {
    size_t n = (size_t)1 << log2_size;
    if (l->unused[log2_size] != 0) {
        *block = l->unused[log2_size] - 1;
        l->unused[log2_size] = (uint32_t)l->cells[*block].bytes;
        return EG_OK;
    }
    if (l->n_cells + n > l->cells_capacity) {
        size_t capacity = 2 * l->cells_capacity > n ? 2 * l->cells_capacity : n + 64;
        if (capacity < l->n_cells + n)
            capacity = l->n_cells + n;
        eg_cell *larger =
            capacity < UINT32_MAX ? realloc(l->cells, capacity * sizeof *larger) : NULL;
        if (larger == NULL)
            return eg_fail_nomem(err, "the buckets of a series");
        l->cells = larger;
        l->cells_capacity = capacity;
    }
    *block = (uint32_t)l->n_cells;
    l->n_cells += n;
    return EG_OK;
}

/* Keeps a block for the next line that wants one of its size: they are in a list, by number. */
static void leave_block(eg_lines *l, const eg_line *line) {
    l->cells[line->block].bytes = l->unused[line->log2_size];
    l->unused[line->log2_size] = line->block + 1;
}

/* Copies n cells, or zeroes them where from is NULL. */
static eg_status fill(eg_cell *to, const eg_cell *from, size_t n, eg_scan *scan, eg_err *err) {
    for (size_t at = 0; at < n; at += CELL_STRIDE) {
        size_t part = n - at < CELL_STRIDE ? n - at : CELL_STRIDE;
        eg_status rc = n > CELL_STRIDE ? eg_scan_check(scan, err) : EG_OK;
        if (rc != EG_OK)
            return rc;
        if (from != NULL)
            memcpy(to + at, from + at, part * sizeof *to);
        else
            memset(to + at, 0, part * sizeof *to);
    }
    return EG_OK;
}

/* Moves a line to a block of 2^log2_size cells, that of bucket `first` in front. */
static eg_status move_line(eg_lines *l, eg_line *line, unsigned log2_size, int32_t first,
                           eg_scan *scan, eg_err *err) {
    eg_line moved = *line;
    eg_status rc = take_block(l, log2_size, &moved.block, err);
    if (rc != EG_OK)
        return rc;
    moved.log2_size = (uint8_t)log2_size;
    moved.first = first;
    size_t size = (size_t)1 << log2_size, n_old = (size_t)(line->hi - line->lo + 1), n_before = 0;
    eg_cell *cells = l->cells + moved.block;
    if (n_old > 0) {
        n_before = (size_t)(line->lo - first);
        rc = fill(cells + n_before, eg_lines_cell(l, line, line->lo), n_old, scan, err);
        leave_block(l, line);
    }
    if (rc == EG_OK)
        rc = fill(cells, NULL, n_before, scan, err);
    if (rc == EG_OK)
        rc = fill(cells + n_before + n_old, NULL, size - n_before - n_old, scan, err);
    *line = moved;
    return rc;
}

eg_status eg_lines_cover(eg_lines *l, uint32_t number, int32_t lo, int32_t hi, eg_scan *scan,
                         eg_err *err) {
    eg_line *line = &l->lines[number];
    const bool is_new = line->lo > line->hi;
    const int32_t new_lo = is_new || lo < line->lo ? lo : line->lo;
    const int32_t new_hi = is_new || hi > line->hi ? hi : line->hi;
    int64_t size = is_new ? 0 : INT64_C(1) << line->log2_size;
    if (new_lo < line->first || new_hi >= line->first + size) {
        unsigned log2_size = 0;
        while (INT64_C(1) << log2_size < (int64_t)new_hi - new_lo + 1)
            log2_size++;
        size = INT64_C(1) << log2_size;
        /* What is free is kept where it grew. */
        int32_t first = !is_new && lo < line->lo ? (int32_t)(new_hi - size + 1) : new_lo;
        eg_status rc = move_line(l, line, log2_size, first, scan, err);
        if (rc != EG_OK)
            return rc;
    }
    line->lo = new_lo;
    line->hi = new_hi;
    return EG_OK;
}
