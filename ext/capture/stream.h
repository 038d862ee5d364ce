/*
** Streams: the bytes of a capture, whatever it is wrapped in. A stream walks
** over the members of one file: a plain or compressed file has one member, a
** tar archive (plain or compressed) one for each regular file in it; members
** that are compressed themselves are unpacked too.
**
** bzip2, zstd, xz, lz4 and tar are unpacked by libarchive (tar and raw formats
** and these filters only, nothing else is ever enabled, no program is ever
** run), gzip (several members, anything after the last is passed over) by zlib:
** libarchive withholds its last block of up to 64 KiB when the data is cut, and
** zlib gives every byte before the cut. For bzip2 and xz such a block is lost,
** zstd and lz4 lose no more than the block that is cut. Memory is bounded;
** nothing is unpacked to disk, nothing is mapped, nothing is sought: pipes do.
**
** A file is unwrapped by its first bytes alone: what begins like a capture is
** plain, whatever else it looks like. Up to four layers of compression.
*/
#ifndef EG_STREAM_H
#define EG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "capture/identity.h"
#include "flow/source.h"

typedef struct eg_stream eg_stream;

/* Opens path. EG_IO with path and the system's reason where it cannot be
** opened or is a directory; EG_NOMEM. */
eg_status eg_stream_open(const char *path, eg_stream **out, eg_err *err);

/* The same over bytes [0, n_bytes) in memory, borrowed until the stream is
** closed, under the name `path`. EG_NOMEM. */
eg_status eg_stream_open_memory(const void *bytes, size_t n_bytes, const char *path,
                                eg_stream **out, eg_err *err);

/* Asks `poll` before every read, also of what is skipped; where it says so, the call
** that reads ends in EG_INTERRUPT. */
void eg_stream_set_poll(eg_stream *s, eg_poll poll);

/* Goes to the next member. *name is the path for a plain or compressed file,
** "path:member" inside an archive; valid until the next call. EG_DONE after the
** last; EG_CORRUPT when the archive is damaged or cut (no further members; only
** archives fail so: damage of one compressed file is told by the first read);
** EG_UNSUPPORTED where this libarchive lacks the compression; EG_IO, EG_NOMEM. */
eg_status eg_stream_next_member(eg_stream *s, const char **name, eg_err *err);

/* Reads up to cap bytes of the current member, as many as are at hand
** (at least 1); *n_bytes = 0 at its end. EG_CORRUPT where the wrapping is
** damaged or cut, EG_IO on read errors. What was read before a cut is good; what
** was read before damage is good up to the block whose checksum was wrong. */
eg_status eg_stream_read(eg_stream *s, void *buf, size_t cap, size_t *n_bytes, eg_err *err);

/* After EG_CORRUPT from reading or going on: true when the wrapping just ends
** too early, false when what is there makes no sense. */
bool eg_stream_is_cut(const eg_stream *s);

/* True when the current member is the file itself, byte for byte. */
bool eg_stream_is_plain(const eg_stream *s);

/* True when the file is an archive of members. */
bool eg_stream_is_archive(const eg_stream *s);

/* Adds to a hash what is read of members from now on; NULL: no more. Borrowed. */
void eg_stream_set_identity(eg_stream *s, eg_identity *identity);

/* The underlying file as it is now. */
typedef struct eg_stream_file {
    int64_t n_bytes; /* -1 of memory, as is time_ns */
    int64_t time_ns; /* of the last change, since 1970 */
    bool has_writer; /* a process has it open for writing; false also where nobody can tell */
} eg_stream_file;
eg_stream_file eg_stream_look(const eg_stream *s);

/* Bytes read from the underlying file so far. */
int64_t eg_stream_consumed_bytes(const eg_stream *s);

/* NULL is allowed. */
void eg_stream_close(eg_stream *s);

#endif
