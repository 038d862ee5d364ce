/* An SQLite store as a source: flows through connections of its own, by rowid ranges that workers
** can read at once, or by an index where the predicate leaves a small part. */
#ifndef EG_STORE_SOURCE_H
#define EG_STORE_SOURCE_H

#include "flow/source.h"

/* Opens the store `path`. EG_IO, EG_CORRUPT, EG_UNSUPPORTED (another version), EG_NOMEM. */
eg_status eg_store_source_open(const char *path, const eg_scan_spec *spec, eg_source **out,
                               eg_err *err);

#endif
