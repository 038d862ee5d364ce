/*
** Sources: where flow records come from. A capture, a Parquet dataset and a
** SQLite store are each an eg_source; nothing above asks which.
**
** A source hands out pieces (files, later row groups or packet ranges); a piece
** hands out batches. Pieces are independent of one another: each has its own
** state, so that several workers can read one each. Handing out is serial.
*/
#ifndef EG_SOURCE_H
#define EG_SOURCE_H

#include "flow/batch.h"
#include "flow/predicate.h"
#include "flow/weights.h"

/* What a scan skipped and read. Plain sums; a source adds to them. */
typedef struct eg_scan_stats {
    int64_t files;              /* files (archive members) opened */
    int64_t files_skipped;      /* files not opened because the predicate excludes them */
    int64_t row_groups;         /* Parquet row groups read */
    int64_t row_groups_skipped; /* and pruned */
    int64_t pages;              /* Parquet pages decoded */
    int64_t pages_skipped;      /* and pruned */
    int64_t datagrams;          /* packets of captures seen: decoded + rejected */
    int64_t rejected;           /* of these, not decoded */
    int64_t flows_lost;         /* flows missing by flow_sequence */
    int64_t rows_read;          /* flow records decoded */
    int64_t rows_kept;          /* of these, passed the predicate */
    int64_t bytes_read;         /* bytes read from disk */
    int64_t bytes_spilled;      /* written to a temporary file for want of memory */
} eg_scan_stats;

/* Adds what another one counted. */
static inline void eg_scan_stats_add(eg_scan_stats *to, const eg_scan_stats *from) {
    int64_t *sums = (int64_t *)to;
    const int64_t *terms = (const int64_t *)from;
    _Static_assert(sizeof *to % sizeof *sums == 0, "stats are int64_t fields only");
    for (size_t i = 0; i < sizeof *to / sizeof *sums; i++)
        sums[i] += terms[i];
}

/* How the engine asks its host whether to go on: returns true to stop. Called
** on the scan's own thread, at least every 50 ms or so. poll may be NULL. */
typedef struct eg_poll {
    bool (*poll)(void *arg);
    void *arg;
} eg_poll;

/* What a caller wants of a scan. Everything pointed to is borrowed until the
** source is closed. */
typedef struct eg_scan_spec {
    eg_vector_set vectors;     /* vectors to fill; the predicate's are to be included */
    const eg_predicate *where; /* for pruning only: a piece may still give rows that fail it */
    eg_intern *texts;          /* table that EXPORTER and FILE codes refer to */
    eg_poll poll;       /* asked at every read of the source: must be cheap when asked often */
    bool wants_numbers; /* of rows: eg_batch.numbers, where the source has its own */
    int n_threads;      /* that may read ahead; 0: the scan stays on its own thread */
    bool splits;        /* pieces are to be many and independent, where the source can */
} eg_scan_spec;

typedef struct eg_piece eg_piece;
typedef struct eg_source eg_source;

typedef struct eg_piece_ops {
    /* Fills b (n_rows >= 1) and returns EG_OK, or EG_DONE at the end of the
    ** piece; any other status is a failure of the whole scan. Damaged input is
    ** no failure: the source counts it. Returns at least every ~50 ms of work:
    ** n_rows == 0 with EG_OK is allowed and only means "call again". */
    eg_status (*next)(eg_piece *p, eg_batch *b, eg_err *err);
    /* Adds what it read so far to *stats and frees the piece. */
    void (*close)(eg_piece *p, eg_scan_stats *stats);
} eg_piece_ops;

struct eg_piece {
    const eg_piece_ops *ops;
    bool has_few; /* set by next(), with no rows, when few of its rows are left to be read */
};

typedef struct eg_source_ops {
    /* Opens the next piece, EG_DONE when there are none left. */
    eg_status (*next_piece)(eg_source *s, eg_piece **out, eg_err *err);
    /* Bytes of all files and bytes consumed so far; for progress. */
    void (*progress)(const eg_source *s, int64_t *done_bytes, int64_t *total_bytes);
    void (*close)(eg_source *s, eg_scan_stats *stats);
    /* Whether next() of pieces may run on other threads, at once, as long as pieces are opened
    ** and closed on one: it asks no poll. */
    bool is_independent;
    /* Adds to sources[EG_WEIGHT_BUCKETS] (flow/weights.h), for each bucket of source addresses, at
    ** least what all rows of such an address sum up to, and to destinations likewise; either may be
    ** NULL. Sums that would overflow stay at UINT64_MAX. At any time, on the host's thread. EG_DONE
    ** where it does not know of all rows: totals are of no use then. NULL: never knows. */
    eg_status (*weigh)(eg_source *s, eg_weight measure, uint64_t *sources, uint64_t *destinations,
                       eg_err *err);
} eg_source_ops;

struct eg_source {
    const eg_source_ops *ops;
};

#endif
