/*
** A tree is a stack of levels, each with the page being filled. A leaf that is full waits
** with the row that did not fit: only when another one follows is it known that the page
** behind will not be empty. In an index that row then goes up as the key between the two; in
** a table the last rowid of the page does.
*/
#include "sqlite/btree_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE EG_BTREE_PAGE
#define BUFFER_PAGES 256
#define MAX_LEVELS 12
#define LOCK_PAGE (0x40000000u / PAGE + 1) /* never used */
#define MAX_CELL (EG_RECORD_MAX + 32)

enum { INDEX_INTERIOR = 2, TABLE_INTERIOR = 5, INDEX_LEAF = 10, TABLE_LEAF = 13 };

struct eg_page_file {
    int fd;
    const char *path;
    uint32_t n_pages;  /* of the file, with those in the buffer */
    uint32_t first;    /* number of the buffer's first page */
    uint32_t n_buffer; /* pages in it */
    uint8_t buffer[BUFFER_PAGES * PAGE];
};

typedef struct cell {
    uint8_t bytes[MAX_CELL];
    uint32_t n;
    int64_t rowid;  /* of a table's leaf cell */
    uint32_t child; /* of an interior cell: the page before its key */
} cell;

typedef struct level {
    uint8_t page[PAGE];
    uint32_t n_cells, content; /* where the cells begin, which fill the page from its end */
    uint32_t header;           /* bytes of the page's header */
    cell last;                 /* the page's last one */
    cell waiting;              /* did not fit */
    bool is_waiting;
} level;

struct eg_btree {
    eg_page_file *file;
    uint32_t root;
    bool is_index;
    uint32_t n_levels; /* from the leaves up */
    level *levels[MAX_LEVELS];
};

/* ---- Bytes */

static void put16(uint8_t *to, uint32_t n) {
    to[0] = (uint8_t)(n >> 8);
    to[1] = (uint8_t)n;
}

static void put32(uint8_t *to, uint32_t n) {
    put16(to, n >> 16);
    put16(to + 2, n);
}

static uint32_t get32(const uint8_t *from) {
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* SQLite's varint: big-endian groups of seven bits, the ninth byte whole. */
static uint32_t put_varint(uint8_t *to, uint64_t n) {
    uint8_t groups[9];
    uint32_t count = 0;
    if (n >> 56 != 0) {
        to[8] = (uint8_t)n;
        n >>= 8;
        for (int i = 7; i >= 0; i--, n >>= 7)
            to[i] = (uint8_t)(n | 0x80);
        return 9;
    }
    do
        groups[count++] = n & 0x7f;
    while ((n >>= 7) != 0);
    for (uint32_t i = 0; i < count; i++)
        to[i] = (uint8_t)(groups[count - 1 - i] | (i + 1 < count ? 0x80 : 0));
    return count;
}

/* ---- Records */

void eg_record_null(eg_record *r) {
    r->types[r->n_types++] = 0;
}

void eg_record_integer(eg_record *r, int64_t n) {
    static const uint8_t type_of_bytes[9] = {0, 1, 2, 3, 4, 5, 5, 6, 6};
    uint32_t n_bytes = 1;
    if (n == 0 || n == 1) {
        r->types[r->n_types++] = (uint8_t)(8 + n);
        return;
    }
    while (n_bytes < 8 && n != (int64_t)((uint64_t)n << (64 - 8 * n_bytes)) >> (64 - 8 * n_bytes))
        n_bytes++;
    n_bytes += n_bytes == 5 || n_bytes == 7;
    r->types[r->n_types++] = type_of_bytes[n_bytes];
    for (uint32_t i = n_bytes; i-- > 0;)
        r->body[r->n_body++] = (uint8_t)((uint64_t)n >> 8 * i);
}

void eg_record_text(eg_record *r, const char *text, size_t n_bytes) {
    r->n_types += put_varint(r->types + r->n_types, 13 + 2 * (uint64_t)n_bytes);
    memcpy(r->body + r->n_body, text, n_bytes);
    r->n_body += (uint32_t)n_bytes;
}

size_t eg_record_join(eg_record *r) {
    r->bytes[0] = (uint8_t)(r->n_types + 1); /* less than 128 */
    memcpy(r->bytes + 1, r->types, r->n_types);
    memcpy(r->bytes + 1 + r->n_types, r->body, r->n_body);
    return 1 + (size_t)r->n_types + r->n_body;
}

/* ---- The file */

static eg_status fail_io(const eg_page_file *f, eg_err *err) {
    char text[128];
    return eg_fail(err, EG_IO, -1, "%s: cannot be written: %s", f->path,
                   strerror_r(errno, text, sizeof text));
}

static eg_status write_at(const eg_page_file *f, const uint8_t *bytes, size_t n, int64_t offset,
                          eg_err *err) {
    while (n > 0) {
        ssize_t done = pwrite(f->fd, bytes, n, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_io(f, err);
        bytes += done;
        offset += done;
        n -= (size_t)done;
    }
    return EG_OK;
}

static eg_status flush(eg_page_file *f, eg_err *err) {
    eg_status rc =
        write_at(f, f->buffer, (size_t)f->n_buffer * PAGE, (int64_t)(f->first - 1) * PAGE, err);
    f->n_buffer = 0;
    return rc;
}

/* Appends a page; *number is its own. */
static eg_status append(eg_page_file *f, const uint8_t *page, uint32_t *number, eg_err *err) {
    eg_status rc = EG_OK;
    if (f->n_buffer == BUFFER_PAGES)
        rc = flush(f, err);
    if (rc == EG_OK && f->n_pages + 1 == LOCK_PAGE) {
        if (f->n_buffer > 0)
            rc = flush(f, err);
        f->n_pages++;
    }
    if (rc != EG_OK)
        return rc;
    if (f->n_pages == UINT32_MAX - 1)
        return eg_fail(err, EG_LIMIT, -1, "%s: more than 16 TB", f->path);
    *number = ++f->n_pages;
    if (f->n_buffer == 0)
        f->first = *number;
    memcpy(f->buffer + (size_t)f->n_buffer++ * PAGE, page, PAGE);
    return EG_OK;
}

eg_status eg_page_file_open(int fd, const char *path, eg_page_file **out, eg_err *err) {
    uint8_t header[100];
    *out = NULL;
    if (pread(fd, header, sizeof header, 0) != (ssize_t)sizeof header ||
        memcmp(header, "SQLite format 3", 16) != 0 || header[16] != PAGE >> 8 ||
        header[17] != (PAGE & 255) || header[20] != 0 || get32(header + 52) != 0 ||
        get32(header + 24) != get32(header + 92))
        return eg_fail(err, EG_CORRUPT, -1, "%s: not a new database with pages of %d bytes", path,
                       PAGE);
    eg_page_file *f = malloc(sizeof *f);
    if (f == NULL)
        return eg_fail_nomem(err, "pages");
    f->fd = fd;
    f->path = path;
    f->n_pages = get32(header + 28);
    f->first = f->n_buffer = 0;
    *out = f;
    return EG_OK;
}

eg_status eg_page_file_finish(eg_page_file *f, eg_err *err) {
    uint8_t n_pages[4];
    eg_status rc = flush(f, err);
    put32(n_pages, f->n_pages);
    return rc == EG_OK ? write_at(f, n_pages, sizeof n_pages, 28, err) : rc;
}

void eg_page_file_close(eg_page_file *f) {
    free(f);
}

/* ---- Pages */

static void clear_page(level *l, bool is_leaf) {
    l->n_cells = 0;
    l->content = PAGE;
    l->header = is_leaf ? 8 : 12;
}

static bool fits(const level *l, uint32_t n_cell) {
    return l->header + 2 * (l->n_cells + 1) + n_cell <= l->content;
}

/* Without the room behind it. */
static void copy_cell(cell *to, const cell *c) {
    memcpy(to->bytes, c->bytes, c->n);
    to->n = c->n;
    to->rowid = c->rowid;
    to->child = c->child;
}

static void put_cell(level *l, const cell *c) {
    l->content -= c->n;
    memcpy(l->page + l->content, c->bytes, c->n);
    put16(l->page + l->header + 2 * l->n_cells++, l->content);
    copy_cell(&l->last, c);
}

/* Takes the last cell back. */
static void take_cell(level *l) {
    l->n_cells--;
    l->content += l->last.n;
}

/* Fills in the header, and zeroes what is free. right is an interior page's last child. */
static void seal(const eg_btree *t, level *l, bool is_leaf, uint32_t right) {
    l->page[0] = is_leaf ? (t->is_index ? INDEX_LEAF : TABLE_LEAF)
                         : (t->is_index ? INDEX_INTERIOR : TABLE_INTERIOR);
    put16(l->page + 1, 0);
    put16(l->page + 3, l->n_cells);
    put16(l->page + 5, l->content);
    l->page[7] = 0;
    if (!is_leaf)
        put32(l->page + 8, right);
    uint32_t end = l->header + 2 * l->n_cells;
    memset(l->page + end, 0, l->content - end);
}

/* ---- Levels */

static eg_status open_level(eg_btree *t, eg_err *err) {
    if (t->n_levels == MAX_LEVELS)
        return eg_fail(err, EG_LIMIT, -1, "%s: a tree too high", t->file->path);
    level *l = calloc(1, sizeof *l);
    if (l == NULL)
        return eg_fail_nomem(err, "pages");
    clear_page(l, t->n_levels == 0);
    t->levels[t->n_levels++] = l;
    return EG_OK;
}

/* The cell that stands above between a page, whose last cell or key is `key`, and the next. */
static void make_interior(const eg_btree *t, const cell *key, uint32_t child, bool from_leaf,
                          cell *out) {
    put32(out->bytes, child);
    out->child = child;
    if (!t->is_index) {
        out->rowid = key->rowid;
        out->n = 4 + put_varint(out->bytes + 4, (uint64_t)key->rowid);
    } else if (from_leaf) {
        memcpy(out->bytes + 4, key->bytes, key->n);
        out->n = 4 + key->n;
    } else {
        memcpy(out->bytes + 4, key->bytes + 4, key->n - 4);
        out->n = key->n;
    }
}

static eg_status add_cell(eg_btree *t, uint32_t at, const cell *c, eg_err *err);

/* Writes the full page of a level, with `key` going up, and begins the next. */
static eg_status close_page(eg_btree *t, uint32_t at, const cell *key, uint32_t right,
                            eg_err *err) {
    level *l = t->levels[at];
    uint32_t number;
    cell above;
    seal(t, l, at == 0, right);
    eg_status rc = append(t->file, l->page, &number, err);
    if (rc == EG_OK && at + 1 == t->n_levels)
        rc = open_level(t, err);
    if (rc != EG_OK)
        return rc;
    make_interior(t, key, number, at == 0, &above);
    clear_page(l, at == 0);
    return add_cell(t, at + 1, &above, err);
}

/* Another row follows the one that waits: what waited begins the next page, or goes up. */
static eg_status let_in(eg_btree *t, uint32_t at, eg_err *err) {
    level *l = t->levels[at];
    cell waited = l->waiting;
    l->is_waiting = false;
    if (at > 0) /* its child ends this page, its key goes up */
        return close_page(t, at, &waited, waited.child, err);
    if (t->is_index)
        return close_page(t, at, &waited, 0, err);
    cell last = l->last;
    eg_status rc = close_page(t, at, &last, 0, err);
    if (rc == EG_OK)
        put_cell(l, &waited);
    return rc;
}

static eg_status add_cell(eg_btree *t, uint32_t at, const cell *c, eg_err *err) {
    level *l = t->levels[at];
    eg_status rc = l->is_waiting ? let_in(t, at, err) : EG_OK;
    if (rc != EG_OK)
        return rc;
    if (fits(l, c->n)) {
        put_cell(l, c);
    } else {
        copy_cell(&l->waiting, c);
        l->is_waiting = true;
    }
    return EG_OK;
}

/* Behind the last row: what waits gets a page of its own, for which, where keys go up, the full
** page gives its last one. */
static eg_status settle_waiting(eg_btree *t, uint32_t at, eg_err *err) {
    level *l = t->levels[at];
    if (!l->is_waiting)
        return EG_OK;
    cell waited = l->waiting, last = l->last;
    l->is_waiting = false;
    if (at > 0 || t->is_index)
        take_cell(l);
    eg_status rc = close_page(t, at, &last, at > 0 ? last.child : 0, err);
    if (rc == EG_OK)
        put_cell(l, &waited);
    return rc;
}

/* ---- The interface */

eg_status eg_btree_open(eg_page_file *f, uint32_t root, bool is_index, eg_btree **out,
                        eg_err *err) {
    *out = NULL;
    eg_btree *t = calloc(1, sizeof *t);
    if (t == NULL)
        return eg_fail_nomem(err, "a tree");
    t->file = f;
    t->root = root;
    t->is_index = is_index;
    eg_status rc = open_level(t, err);
    if (rc == EG_OK)
        *out = t;
    else
        eg_btree_close(t);
    return rc;
}

eg_status eg_btree_add(eg_btree *t, int64_t rowid, const uint8_t *record, size_t n_bytes,
                       eg_err *err) {
    cell c;
    if (n_bytes > EG_RECORD_MAX)
        return eg_fail(err, EG_LIMIT, -1, "%s: a record of %zu bytes", t->file->path, n_bytes);
    c.rowid = rowid;
    c.child = 0;
    c.n = put_varint(c.bytes, n_bytes);
    if (!t->is_index)
        c.n += put_varint(c.bytes + c.n, (uint64_t)rowid);
    memcpy(c.bytes + c.n, record, n_bytes);
    c.n += (uint32_t)n_bytes;
    while (c.n < 4) /* the least that a freed cell takes */
        c.bytes[c.n++] = 0;
    return add_cell(t, 0, &c, err);
}

eg_status eg_btree_finish(eg_btree *t, eg_err *err) {
    uint32_t child = 0;
    eg_status rc = EG_OK;
    for (uint32_t at = 0; rc == EG_OK && at < t->n_levels; at++) {
        level *l = t->levels[at];
        rc = settle_waiting(t, at, err);
        if (rc != EG_OK)
            break;
        seal(t, l, at == 0, child);
        if (at + 1 < t->n_levels)
            rc = append(t->file, l->page, &child, err);
        else
            rc = write_at(t->file, l->page, PAGE, (int64_t)(t->root - 1) * PAGE, err);
    }
    return rc;
}

void eg_btree_close(eg_btree *t) {
    if (t == NULL)
        return;
    for (uint32_t i = 0; i < t->n_levels; i++)
        free(t->levels[i]);
    free(t);
}
