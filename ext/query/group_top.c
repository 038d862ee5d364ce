/* A heap of the numbers of copied entries. */
#include "query/group_top.h"

#include <stdlib.h>
#include <string.h>

static int compare_keys(const eg_group_order *o, const uint64_t *a, const uint64_t *b) {
    uint64_t x[EG_GROUP_MAX_WORDS], y[EG_GROUP_MAX_WORDS];
    eg_group_table_key(o->table, a, x);
    eg_group_table_key(o->table, b, y);
    return eg_key_layout_compare(o->layout, o->texts, x, y);
}

int eg_group_compare(const eg_group_order *o, const uint64_t *a, const uint64_t *b) {
    unsigned at = o->layout->n_words + o->measure;
    if (a[at] != b[at])
        return a[at] > b[at] ? -1 : 1;
    return compare_keys(o, a, b);
}

static uint64_t *entry_at(const eg_group_top *top, const eg_group_order *o, uint32_t number) {
    return top->entries + number * eg_group_table_width(o->table);
}

const uint64_t *eg_group_top_entry(const eg_group_top *top, const eg_group_order *o, uint32_t i) {
    return entry_at(top, o, top->heap[i]);
}

static bool is_before(const eg_group_top *top, const eg_group_order *o, uint32_t i, uint32_t j) {
    return eg_group_compare(o, eg_group_top_entry(top, o, i), eg_group_top_entry(top, o, j)) < 0;
}

static void swap(eg_group_top *top, uint32_t i, uint32_t j) {
    uint32_t t = top->heap[i];
    top->heap[i] = top->heap[j];
    top->heap[j] = t;
}

static void sift_down(eg_group_top *top, const eg_group_order *o, uint32_t i) {
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= top->n)
            return;
        if (child + 1 < top->n && is_before(top, o, child, child + 1))
            child++;
        if (!is_before(top, o, i, child))
            return;
        swap(top, i, child);
        i = child;
    }
}

static void sift_up(eg_group_top *top, const eg_group_order *o, uint32_t i) {
    for (; i > 0 && is_before(top, o, (i - 1) / 2, i); i = (i - 1) / 2)
        swap(top, i, (i - 1) / 2);
}

static eg_status grow(eg_group_top *top, size_t width, uint32_t k, eg_err *err) {
    uint64_t wanted = top->capacity ? 2 * (uint64_t)top->capacity : 64;
    uint32_t capacity = wanted < k ? (uint32_t)wanted : k;
    uint64_t *entries = realloc(top->entries, capacity * width * sizeof *entries);
    top->entries = entries != NULL ? entries : top->entries;
    uint32_t *heap = entries != NULL ? realloc(top->heap, capacity * sizeof *heap) : NULL;
    if (heap == NULL)
        return eg_fail_nomem(err, "the first groups");
    top->heap = heap;
    top->capacity = capacity;
    return EG_OK;
}

eg_status eg_group_top_add(eg_group_top *top, const eg_group_order *o, uint32_t k,
                           const uint64_t *entries, uint32_t n, eg_err *err) {
    size_t width = eg_group_table_width(o->table);
    unsigned at = o->layout->n_words + o->measure;
    const uint64_t *e = entries;
    for (uint32_t i = 0; i < n; i++, e += width) {
        if (top->n == k) {
            const uint64_t *last = entry_at(top, o, top->heap[0]);
            if (e[at] < last[at] || eg_group_compare(o, e, last) > 0)
                continue;
            memcpy(entry_at(top, o, top->heap[0]), e, width * sizeof *e);
            sift_down(top, o, 0);
            continue;
        }
        if (top->n == top->capacity) {
            eg_status rc = grow(top, width, k, err);
            if (rc != EG_OK)
                return rc;
        }
        top->heap[top->n] = top->n;
        memcpy(entry_at(top, o, top->n), e, width * sizeof *e);
        sift_up(top, o, top->n++);
    }
    return EG_OK;
}

uint64_t eg_group_top_least(const eg_group_top *top, const eg_group_order *o, uint32_t k) {
    return top->n < k ? 0 : entry_at(top, o, top->heap[0])[o->layout->n_words + o->measure];
}

void eg_group_top_close(eg_group_top *top) {
    free(top->entries);
    free(top->heap);
    *top = (eg_group_top){0};
}
