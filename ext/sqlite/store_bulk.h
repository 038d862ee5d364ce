/*
** The first capture of a store, written as whole b-trees: rows are put in the order of source
** address and time, some million at a time, and written; what the indexes need of them is
** sorted meanwhile into runs, in files without names, which are merged at the end. Memory does
** not grow with the capture.
*/
#ifndef EG_STORE_BULK_H
#define EG_STORE_BULK_H

#include "dataset/row_buffer.h"
#include "flow/source.h"
#include "sqlite/store_schema.h"

typedef struct eg_bulk eg_bulk;

/* Takes a store that eg_store_make() just made in the file `path`, of which no connection is
** open. Runs are kept beside it. capture is the number that its rows will have. */
eg_status eg_bulk_open(const char *path, const uint32_t roots[EG_STORE_INDEXES + 1],
                       int64_t capture, eg_poll poll, eg_bulk **out, eg_err *err);

/* Adds rows; texts are those of their codes. */
eg_status eg_bulk_add(eg_bulk *b, const eg_rows *rows, const eg_intern *texts, eg_err *err);

/* Writes the indexes; the file is a database then. */
eg_status eg_bulk_finish(eg_bulk *b, eg_err *err);
void eg_bulk_close(eg_bulk *b);

/* The root pages of an empty store: of flow, and of its indexes. */
eg_status eg_bulk_roots(const eg_database *d, uint32_t roots[EG_STORE_INDEXES + 1], eg_err *err);

#endif
