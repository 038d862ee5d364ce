/*
** File lists: what a `source` text means. A file, a directory, a glob, or a
** list of them separated by newlines.
**
** A directory stands for the captures below it (recursively; names that begin
** with "." or "_" are passed over): files that begin, once unpacked, like a
** capture or a tar archive, and files whose names end like one's (.pcap
** .pcapng .cap .dmp .dump, with or without .gz .bz2 .zst .xz .lz4; .tar and
** its compressed forms), which are counted as not_capture if they are none.
** Files of a directory or glob come in natural order (cap9 before cap10) of
** their names, entries of a list as given; a file named twice comes once.
*/
#ifndef EG_FILELIST_H
#define EG_FILELIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "flow/source.h"

typedef struct eg_file {
    char *path;         /* owned */
    int64_t size_bytes; /* at listing time */
    bool named;         /* named by the user or matched by a glob: must be a capture */
} eg_file;

typedef struct eg_filelist {
    eg_file *files; /* owned */
    size_t n_files;
} eg_filelist;

/* Expands source[0..n_bytes). EG_IO with the entry's name where it does not
** exist or cannot be listed, a glob matches nothing, or a directory holds no
** capture; EG_MISUSE for an empty source. Leaves *list empty on failure. */
eg_status eg_filelist_open(const char *source, size_t n_bytes, eg_filelist *list, eg_err *err);

/* The same, asking `poll` at every file of a directory; EG_INTERRUPT where it says so. */
eg_status eg_filelist_open_polled(const char *source, size_t n_bytes, eg_poll poll,
                                  eg_filelist *list, eg_err *err);

/* A list of one file, copied. EG_NOMEM, EG_OK. */
eg_status eg_filelist_one(const eg_file *file, eg_filelist *list, eg_err *err);

/* True when a name ends like a capture's or an archive's (the list above). */
bool eg_filelist_is_capture_name(const char *name);

void eg_filelist_close(eg_filelist *list);

#endif
