/*
** The pages of a store, read through the file that a connection has open: no descriptor of our
** own, since closing one would drop the locks that this process has on the database. A
** connection's file is for one thread at a time.
*/
#ifndef EG_STORE_PAGES_H
#define EG_STORE_PAGES_H

#include "sqlite/btree_read.h"
#include "sqlite/database.h"

/* Makes *f the pages of d, which is borrowed. *fits tells whether they can be read so: a file
** without a write-ahead log whose table `flow` is as eg_store_make() left it, of which *root is
** the root page. d is in a transaction that has read, and stays so: then nobody writes. */
eg_status eg_store_pages_open(const eg_database *d, eg_pages *f, uint32_t *root, bool *fits,
                              eg_err *err);

#endif
