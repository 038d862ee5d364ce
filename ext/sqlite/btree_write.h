/*
** Writing whole b-trees of an SQLite file, from rows in order: each page is written once, in
** the order of the file, none is read. For a database that nobody else has: SQLite made its
** schema, with every tree empty, and opens it again when the trees are there.
**
** The format is SQLite's documented one (version 4 schema, no reserved bytes, no auto-vacuum).
** Records must fit a page without overflow: EG_RECORD_MAX.
*/
#ifndef EG_BTREE_WRITE_H
#define EG_BTREE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define EG_BTREE_PAGE 4096 /* bytes of a page */
#define EG_RECORD_MAX 900  /* bytes */

/* The file: pages are appended. */
typedef struct eg_page_file eg_page_file;

/* Takes a database file of closed connections; `path` for messages. EG_CORRUPT where its header
** is not of the form above. fd is borrowed. */
eg_status eg_page_file_open(int fd, const char *path, eg_page_file **out, eg_err *err);

/* Writes what is buffered and the file's new size into its header. */
eg_status eg_page_file_finish(eg_page_file *f, eg_err *err);
void eg_page_file_close(eg_page_file *f);

typedef struct eg_btree eg_btree;

/* Begins a tree whose (empty) root page is `root`: a table's, by rowid, or an index's. Trees of
** one file are written one after the other. */
eg_status eg_btree_open(eg_page_file *f, uint32_t root, bool is_index, eg_btree **out, eg_err *err);

/* Appends a row: records of an index in its order; rowid counts for tables only, ascending. */
eg_status eg_btree_add(eg_btree *t, int64_t rowid, const uint8_t *record, size_t n_bytes,
                       eg_err *err);

/* Writes what is left, and the root. */
eg_status eg_btree_finish(eg_btree *t, eg_err *err);
void eg_btree_close(eg_btree *t);

/* ---- Records */

/* A record being made: values are added, then it is joined. */
typedef struct eg_record {
    uint8_t types[64], body[EG_RECORD_MAX];
    uint32_t n_types, n_body;
    uint8_t bytes[EG_RECORD_MAX + 70]; /* joined */
} eg_record;

static inline void eg_record_begin(eg_record *r) {
    r->n_types = r->n_body = 0;
}
void eg_record_null(eg_record *r);
void eg_record_integer(eg_record *r, int64_t n);
void eg_record_text(eg_record *r, const char *text, size_t n_bytes); /* at most 500 bytes */

/* Header and body together, in r->bytes; returns their length. */
size_t eg_record_join(eg_record *r);

#endif
