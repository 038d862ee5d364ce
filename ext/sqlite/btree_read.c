/*
** A walk is a stack of interior pages, from the root down. All leaves are equally deep, so the
** way down to the first one says which pages are their parents; parents are read, leaves only
** named. The keys beside a child bound its rows from both sides.
*/
#include "sqlite/btree_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define MAX_DEPTH 20 /* as SQLite's */
#define LEAF_HEADER 8
#define INTERIOR_HEADER 12
#define OVERFLOW_ROOM 35 /* a record of more than a page without these goes on elsewhere */

enum { TABLE_INTERIOR = 5, TABLE_LEAF = 13 };

typedef struct level {
    uint8_t *page; /* [page_bytes] owned */
    uint32_t number;
    uint32_t n_cells, at; /* the next child: n_cells is the right one */
    int64_t last;         /* of its rowids */
} level;

struct eg_leaf_walk {
    const eg_pages *file;
    uint32_t root;
    level levels[MAX_DEPTH];
    int n_levels;     /* 0: the root is the leaf */
    int64_t first;    /* of the next leaf's rowids */
    uint32_t n_given; /* leaves */
    bool is_done;
};

/* Returns the bytes it took, 0 where it does not end before `end`. */
static uint32_t get_varint(const uint8_t *from, const uint8_t *end, uint64_t *n) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 9 && from + i < end; i++) {
        if (i == 8) {
            *n = sum << 8 | from[i];
            return 9;
        }
        sum = sum << 7 | (from[i] & 0x7f);
        if (from[i] < 0x80) {
            *n = sum;
            return i + 1;
        }
    }
    return 0;
}

static eg_status fail_page(const eg_pages *f, uint32_t page, const char *what, eg_err *err) {
    return eg_fail(err, EG_CORRUPT, (int64_t)(page - 1) * f->page_bytes, "%s: page %u: %s", f->path,
                   page, what);
}

bool eg_pages_fit(const uint8_t header[100], uint32_t *page_bytes) {
    uint32_t n = eg_be16(header + 16);
    *page_bytes = n == 1 ? 65536 : n;
    return memcmp(header, "SQLite format 3", 16) == 0 && *page_bytes >= 512 &&
           (*page_bytes & (*page_bytes - 1)) == 0 && header[18] == 1 && header[19] == 1 &&
           header[20] == 0;
}

/* ---- Leaves */

static eg_status load(eg_leaf_walk *w, level *l, uint32_t number, int64_t last, eg_err *err) {
    const eg_pages *f = w->file;
    if (number < 2 || number > f->n_pages)
        return fail_page(f, number, "not in the file, which a page of the table names", err);
    if (l->page == NULL && (l->page = malloc(f->page_bytes)) == NULL)
        return eg_fail_nomem(err, "a page");
    eg_status rc =
        f->read(f->arg, (int64_t)(number - 1) * f->page_bytes, l->page, f->page_bytes, err);
    l->number = number;
    l->last = last;
    l->at = 0;
    l->n_cells = rc == EG_OK ? eg_be16(l->page + 3) : 0;
    return rc;
}

static eg_status check_interior(const eg_leaf_walk *w, const level *l, eg_err *err) {
    if (l->page[0] != TABLE_INTERIOR)
        return fail_page(w->file, l->number, "expected an inner page of a table", err);
    if (INTERIOR_HEADER + 2 * l->n_cells > w->file->page_bytes)
        return fail_page(w->file, l->number, "more cells than a page can have", err);
    return EG_OK;
}

/* The next child of an interior page, and the last rowid it may have. */
static eg_status next_child(const eg_leaf_walk *w, level *l, uint32_t *child, int64_t *last,
                            eg_err *err) {
    if (l->at == l->n_cells) {
        *child = eg_be32(l->page + 8);
        *last = l->last;
    } else {
        uint32_t at = eg_be16(l->page + INTERIOR_HEADER + 2 * l->at);
        uint64_t key;
        if (at < INTERIOR_HEADER || at + 4 >= w->file->page_bytes ||
            get_varint(l->page + at + 4, l->page + w->file->page_bytes, &key) == 0)
            return fail_page(w->file, l->number, "a cell outside of it", err);
        *child = eg_be32(l->page + at);
        *last = (int64_t)key;
    }
    l->at++;
    return *last > l->last || *last < w->first
               ? fail_page(w->file, l->number, "keys that do not ascend", err)
               : EG_OK;
}

/* Loads the first pages from the root down to the parents of leaves. */
static eg_status descend(eg_leaf_walk *w, eg_err *err) {
    uint32_t child = w->root;
    int64_t last = INT64_MAX;
    for (;;) {
        if (w->n_levels == MAX_DEPTH)
            return fail_page(w->file, child, "a table too deep", err);
        level *l = &w->levels[w->n_levels];
        eg_status rc = load(w, l, child, last, err);
        if (rc != EG_OK || l->page[0] == TABLE_LEAF)
            return rc;
        rc = check_interior(w, l, err);
        if (rc == EG_OK)
            rc = next_child(w, l, &child, &last, err);
        if (rc != EG_OK)
            return rc;
        w->n_levels++;
    }
}

eg_status eg_leaf_walk_open(const eg_pages *f, uint32_t root, eg_leaf_walk **out, eg_err *err) {
    *out = NULL;
    eg_leaf_walk *w = calloc(1, sizeof *w);
    if (w == NULL)
        return eg_fail_nomem(err, "a table's pages");
    w->file = f;
    w->root = root;
    w->first = INT64_MIN;
    eg_status rc = descend(w, err);
    if (w->n_levels > 0)
        w->levels[w->n_levels - 1].at = 0; /* it was only looked at */
    if (rc == EG_OK)
        *out = w;
    else
        eg_leaf_walk_close(w);
    return rc;
}

void eg_leaf_walk_close(eg_leaf_walk *w) {
    if (w == NULL)
        return;
    for (int i = 0; i < MAX_DEPTH; i++)
        free(w->levels[i].page);
    free(w);
}

/* Makes the lowest level one that has a child left. EG_DONE where none has. */
static eg_status refill(eg_leaf_walk *w, eg_err *err) {
    int i = w->n_levels - 1;
    while (i >= 0 && w->levels[i].at > w->levels[i].n_cells)
        i--;
    if (i < 0)
        return EG_DONE;
    for (; i < w->n_levels - 1; i++) {
        uint32_t child;
        int64_t last;
        eg_status rc = next_child(w, &w->levels[i], &child, &last, err);
        if (rc == EG_OK)
            rc = load(w, &w->levels[i + 1], child, last, err);
        if (rc == EG_OK)
            rc = check_interior(w, &w->levels[i + 1], err);
        if (rc != EG_OK)
            return rc;
    }
    return EG_OK;
}

static eg_status next_leaf(eg_leaf_walk *w, eg_leaf *leaf, eg_err *err) {
    if (w->is_done)
        return EG_DONE;
    if (w->n_levels == 0) {
        *leaf = (eg_leaf){w->root, INT64_MIN, INT64_MAX};
        w->is_done = true;
        return EG_OK;
    }
    level *parent = &w->levels[w->n_levels - 1];
    eg_status rc = parent->at > parent->n_cells ? refill(w, err) : EG_OK;
    leaf->first = w->first;
    if (rc == EG_OK)
        rc = next_child(w, parent, &leaf->page, &leaf->last, err);
    if (rc != EG_OK)
        return rc;
    if (leaf->page < 2 || leaf->page > w->file->n_pages || ++w->n_given > w->file->n_pages)
        return fail_page(w->file, parent->number, "a child that is no page of the file", err);
    w->is_done = leaf->last == INT64_MAX;
    w->first = w->is_done ? INT64_MAX : leaf->last + 1;
    return EG_OK;
}

eg_status eg_leaf_walk_next(eg_leaf_walk *w, eg_leaf *leaves, uint32_t room, uint32_t *n,
                            eg_err *err) {
    eg_status rc = EG_OK;
    *n = 0;
    while (*n < room && (rc = next_leaf(w, &leaves[*n], err)) == EG_OK)
        ++*n;
    return rc == EG_DONE && *n > 0 ? EG_OK : rc;
}

/* ---- Rows */

eg_status eg_leaf_begin(const eg_pages *f, const eg_leaf *leaf, const uint8_t *page,
                        eg_leaf_rows *rows, eg_err *err) {
    *rows = (eg_leaf_rows){.file = f, .page = page, .leaf = *leaf, .n = eg_be16(page + 3)};
    if (page[0] != TABLE_LEAF)
        return fail_page(f, leaf->page, "expected a leaf of a table", err);
    if (LEAF_HEADER + 2 * rows->n > f->page_bytes)
        return fail_page(f, leaf->page, "more cells than a page can have", err);
    return EG_OK;
}

eg_status eg_leaf_next(eg_leaf_rows *rows, eg_leaf_row *row, eg_err *err) {
    const eg_pages *f = rows->file;
    if (rows->at == rows->n)
        return EG_DONE;
    const uint8_t *end = rows->page + f->page_bytes;
    uint32_t offset = eg_be16(rows->page + LEAF_HEADER + 2 * rows->at++);
    uint64_t n_bytes, rowid;
    if (offset < LEAF_HEADER || offset >= f->page_bytes)
        return fail_page(f, rows->leaf.page, "a cell outside of it", err);
    const uint8_t *at = rows->page + offset;
    uint32_t n = get_varint(at, end, &n_bytes);
    uint32_t m = n > 0 ? get_varint(at + n, end, &rowid) : 0;
    if (m == 0)
        return fail_page(f, rows->leaf.page, "a cell outside of it", err);
    at += n + m;
    if ((int64_t)rowid < rows->leaf.first || (int64_t)rowid > rows->leaf.last)
        return fail_page(f, rows->leaf.page, "rows that do not ascend", err);
    rows->leaf.first = (int64_t)rowid; /* the next one is beyond it: */
    if ((int64_t)rowid == INT64_MAX)
        rows->n = rows->at;
    else
        rows->leaf.first++;
    *row = (eg_leaf_row){.rowid = (int64_t)rowid};
    if (n_bytes > f->page_bytes - OVERFLOW_ROOM)
        return EG_OK;
    if (n_bytes > (uint64_t)(end - at))
        return fail_page(f, rows->leaf.page, "a record outside of it", err);
    row->record = at;
    row->n_bytes = (uint32_t)n_bytes;
    return EG_OK;
}

/* ---- Columns */

void eg_read_plan_begin(eg_read_plan *p) {
    memset(p->place, -1, sizeof p->place);
    p->last = -1;
}

void eg_read_plan_add(eg_read_plan *p, int column, int place) {
    p->place[column] = (int8_t)place;
    p->last = column > p->last ? column : p->last;
}

/* Bytes of a value by its serial type, where that is below 128. */
static uint32_t bytes_of_type(uint8_t type) {
    static const uint8_t of_numbers[12] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
    return type < 12 ? of_numbers[type] : (type - 12u) / 2;
}

bool eg_read_integers(const eg_read_plan *p, const eg_leaf_row *row, int64_t *values,
                      uint64_t *nulls) {
    const uint8_t *record = row->record;
    *nulls = 0;
    if (row->n_bytes == 0 || record[0] >= 128 || record[0] > row->n_bytes)
        return false;
    uint32_t n_types = record[0], body = n_types, end = row->n_bytes;
    if ((uint32_t)(p->last + 2) > n_types)
        return false;
    for (int c = 0; c <= p->last; c++) {
        uint8_t type = record[1 + c];
        uint32_t n = bytes_of_type(type);
        int place = p->place[c];
        if (type >= 128)
            return false;
        body += n;
        if (place < 0)
            continue;
        if (type > 9 || type == 7 || body > end)
            return false;
        /* The eight bytes that end with it: there are as many before it in the page. */
        uint64_t number = eg_be64(record + body - 8);
        values[place] = n > 0 ? (int64_t)(number << (64 - 8 * n)) >> (64 - 8 * n) : type == 9;
        *nulls |= (uint64_t)(type == 0) << place;
    }
    return true;
}
