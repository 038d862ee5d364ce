/*
** Watching a source's captures one by one, as those do who store them. A capture is a plain
** or compressed file, or a member of an archive.
**
** A watched source calls begin before the first row of a capture and end after the last; no
** batch has rows of two. What else is found on the way is told by the same two calls:
**   a file that is named like a capture and is none     is_capture is false
**   a damaged archive, after its readable members       n_bytes is -1: no identity
** A scan that is closed within a capture calls nothing more.
*/
#ifndef EG_CAPTURE_WATCH_H
#define EG_CAPTURE_WATCH_H

#include "capture/identity.h"
#include "capture/ledger.h"

/* Where a capture is; valid during the call. */
typedef struct eg_capture_start {
    const char *name;   /* path, or archive:member */
    const char *file;   /* path of the file */
    int64_t file_bytes; /* its size and time of change (ns since 1970) when it was opened */
    int64_t file_time_ns;
} eg_capture_start;

/* What it was; valid during the call. */
typedef struct eg_capture_end {
    bool is_capture;
    eg_capture_id id;              /* of all its bytes, those behind damage included */
    int64_t n_bytes;               /* as unwrapped; -1 where there is no identity */
    const eg_capture_id *prefixes; /* [n_prefixes] ids of the watch's lengths that it reached */
    size_t n_prefixes;
    bool is_cut, is_damaged; /* where the reader stopped */
    const char *growing;     /* why it may not be finished, "" where nothing says so */
} eg_capture_end;

/* How a capture is seen to grow:
**   another process has its file open for writing (where this can be asked: one's own
**   files, local file systems)
**   the file changed while it was read
**   it ends within a packet, or its wrapping does, and changed less than a minute ago */
#define EG_YOUNG_NS (INT64_C(60) * 1000000000)

typedef struct eg_capture_watch {
    void *arg;
    /* Sets *ledger to where its packets are to be entered; NULL for nowhere. Any status but
    ** EG_OK ends the scan with it. */
    eg_status (*begin)(void *arg, const eg_capture_start *start, eg_ledger **ledger, eg_err *err);
    eg_status (*end)(void *arg, const eg_capture_end *end, eg_err *err);
    const int64_t *lengths; /* [n_lengths] ascending: prefixes to tell the ids of */
    size_t n_lengths;
    bool ids_only; /* reads without decoding: there are no rows, and nothing in ledgers */
} eg_capture_watch;

#endif
