/*
** File lists: which captures a `source` text means (see flow/file_walk.h). A directory
** stands for the captures below it: files that begin, once unpacked, like a
** capture or a tar archive, and files whose names end like one's (.pcap
** .pcapng .cap .dmp .dump, with or without .gz .bz2 .zst .xz .lz4; .tar and
** its compressed forms), which are counted as not_capture if they are none. A file
** that is named, or matched by a glob, must be a capture.
*/
#ifndef EG_FILELIST_H
#define EG_FILELIST_H

#include "flow/file_walk.h"

/* Expands source[0..n_bytes), as eg_file_walk does; the size of a pipe is 0. */
eg_status eg_filelist_open(const char *source, size_t n_bytes, eg_filelist *list, eg_err *err);

/* The same, asking `poll` at every file of a directory; EG_INTERRUPT where it says so. */
eg_status eg_filelist_open_polled(const char *source, size_t n_bytes, eg_poll poll,
                                  eg_filelist *list, eg_err *err);

/* True when a name ends like a capture's or an archive's (the list above). */
bool eg_filelist_is_capture_name(const char *name);

#endif
