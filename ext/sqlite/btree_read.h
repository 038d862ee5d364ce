/*
** Reading a table's b-tree from the pages of an SQLite file, for scans of whole tables: SQLite's
** machine costs several times what the rows do. The caller holds a lock under which nobody
** changes the file (btree_read knows of none), and SQLite reads whatever is not plain here.
**
** The file is not trusted. Every number in it is held against its bounds, the rows of a page
** against the keys above it, so that rows come in the order of their rowids and each once.
*/
#ifndef EG_BTREE_READ_H
#define EG_BTREE_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct eg_pages {
    /* Reads all of n_bytes from an offset, or fails. */
    eg_status (*read)(void *arg, int64_t offset, uint8_t *to, uint32_t n_bytes, eg_err *err);
    void *arg;
    const char *path;    /* for messages */
    uint32_t page_bytes; /* without any reserved for others */
    uint32_t n_pages;
} eg_pages;

/* Whether the first 100 bytes of a database say that its pages can be read here: a file without
** a write-ahead log, of pages without reserved bytes. Sets page_bytes. */
bool eg_pages_fit(const uint8_t header[100], uint32_t *page_bytes);

/* ---- Leaves, in order */

typedef struct eg_leaf {
    uint32_t page;
    int64_t first, last; /* what rowids it may have */
} eg_leaf;

typedef struct eg_leaf_walk eg_leaf_walk;

/* f is borrowed. EG_CORRUPT names the file and the page; what read fails with; EG_NOMEM. */
eg_status eg_leaf_walk_open(const eg_pages *f, uint32_t root, eg_leaf_walk **out, eg_err *err);

/* The next leaves, up to `room` of them. EG_DONE behind the last. */
eg_status eg_leaf_walk_next(eg_leaf_walk *w, eg_leaf *leaves, uint32_t room, uint32_t *n,
                            eg_err *err);
void eg_leaf_walk_close(eg_leaf_walk *w); /* NULL is allowed */

/* ---- Rows of a leaf */

/* A zeroed one has none. */
typedef struct eg_leaf_rows {
    const eg_pages *file;
    const uint8_t *page; /* [page_bytes] borrowed */
    eg_leaf leaf;
    uint32_t n, at;
} eg_leaf_rows;

typedef struct eg_leaf_row {
    int64_t rowid;
    const uint8_t *record; /* NULL where it goes on in other pages */
    uint32_t n_bytes;
} eg_leaf_row;

/* EG_CORRUPT where the page is no leaf of a table. */
eg_status eg_leaf_begin(const eg_pages *f, const eg_leaf *leaf, const uint8_t *page,
                        eg_leaf_rows *rows, eg_err *err);
/* EG_DONE behind the last. */
eg_status eg_leaf_next(eg_leaf_rows *rows, eg_leaf_row *row, eg_err *err);

/* ---- Columns of a record */

#define EG_READ_COLUMNS 63

/* Which columns are wanted: place[c] is where column c's value goes, -1 nowhere. */
typedef struct eg_read_plan {
    int8_t place[EG_READ_COLUMNS];
    int last; /* the last column that is wanted, -1 none */
} eg_read_plan;

void eg_read_plan_begin(eg_read_plan *p);
void eg_read_plan_add(eg_read_plan *p, int column, int place);

/* Takes the wanted columns of a record that stands in a page: integers, and a bit of *nulls at
** the place of each NULL. False where one of them is something else, or not in the record. */
bool eg_read_integers(const eg_read_plan *p, const eg_leaf_row *row, int64_t *values,
                      uint64_t *nulls);

#endif
