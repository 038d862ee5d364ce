/*
** An SQLite store as what ingest writes into (dataset/store.h).
**
** The first capture is written as whole b-trees into a new file that takes the old one's name
** when it is done; the others are inserted, a transaction each. While they are, the store has a
** write-ahead log, so that readers go on; afterwards it is one file again.
*/
#ifndef EG_STORE_LOAD_H
#define EG_STORE_LOAD_H

#include "dataset/store.h"

/* Whether a target means an SQLite store: it ends in .db, .sqlite or .sqlite3, or is a
** database. EG_NOMEM. */
eg_status eg_is_store_target(const char *target, bool *is_store, eg_err *err);

/* Opens the store `path`, made where there is none. poll is asked in long work. EG_IO,
** EG_CORRUPT, EG_UNSUPPORTED (somebody else's database), EG_NOMEM. */
eg_status eg_store_open(const char *path, eg_poll poll, eg_store **out, eg_err *err);

#endif
