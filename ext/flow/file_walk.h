/*
** From a source text to files: what captures, Parquet shards and others have alike.
**
** A source is a file, a directory (what is of a kind below it; names that begin with "." or
** "_" are passed over), a glob, or a list of them separated by newlines. In a glob a component
** "**" stands for directories of any depth. Entries come in the order given, what a directory or
** glob gives in natural order (cap9 before cap10) of paths; then files that are the same by
** device and inode are made one, so that links and overlapping entries count nothing twice. A
** name that exists means itself, whatever characters are in it.
*/
#ifndef EG_FILE_WALK_H
#define EG_FILE_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "flow/source.h"

typedef struct eg_file {
    char *path;         /* owned */
    int64_t size_bytes; /* at listing time; -1 where it is no regular file */
    bool named;         /* named by the user or matched by a glob */
} eg_file;

typedef struct eg_filelist {
    eg_file *files; /* owned */
    size_t n_files;
} eg_filelist;

/* What a kind of source looks for in directories. */
typedef struct eg_file_kind {
    const char *plural;   /* for messages: "captures" */
    const char *expected; /* "some that begin like …" */
    /* Whether a name says so: then a link of that name must lead somewhere. */
    bool (*has_name)(const char *path);
    /* Whether a regular file is one. EG_IO, EG_NOMEM, EG_OK. */
    eg_status (*is_one)(const char *path, bool *is, eg_err *err);
    bool globs_may_be_empty; /* a directory that a glob matches may hold none, but not all */
} eg_file_kind;

/* Lists source[0..n_bytes); `poll` is asked at every file of a directory.
**   EG_IO         an entry does not exist or cannot be listed, a glob matches nothing, a
**                 directory holds no such file
**   EG_MISUSE     an empty source, or a NUL byte in it
**   EG_INTERRUPT  poll said so
**   EG_NOMEM
** The list is empty on failure. */
eg_status eg_file_walk(const char *source, size_t n_bytes, const eg_file_kind *kind, eg_poll poll,
                       eg_filelist *list, eg_err *err);

/* A list of one file, copied. EG_NOMEM, EG_OK. */
eg_status eg_filelist_one(const eg_file *file, eg_filelist *list, eg_err *err);

/* Harmless on a zeroed one. */
void eg_filelist_close(eg_filelist *list);

#endif
