/*
** Reading ahead: a few pieces of a source are read and filtered by worker threads while
** the host's thread takes their batches, in the order that a serial scan has.
**
** Pieces are opened and closed on the host's thread; only reading goes elsewhere. So it
** fits sources whose pieces are independent and call nobody (is_independent, flow/source.h),
** and vectors without texts, whose table is the host's.
*/
#ifndef EG_SCAN_AHEAD_H
#define EG_SCAN_AHEAD_H

#include "flow/source.h"

typedef struct eg_scan_ahead eg_scan_ahead;

/* Whether a scan can be read ahead, by what it wants of its source. */
bool eg_scan_ahead_fits(const eg_source *src, const eg_scan_spec *spec);

/* Starts spec->n_threads workers on what is left of src; src and spec are borrowed. With has_few
** more pieces are open at once: each is soon read, and its rows wait. EG_LIMIT where the system
** gives no thread: then src is as it was. */
eg_status eg_scan_ahead_open(eg_source *src, const eg_scan_spec *spec, bool has_few,
                             eg_scan_ahead **out, eg_err *err);

/* Sends the workers off before the first batch is asked for. The first piece is one that was begun,
** and becomes theirs, or NULL. */
void eg_scan_ahead_start(eg_scan_ahead *a, eg_piece *first);

/* The next batch that was filtered, n_sel >= 1, valid until the next call; *n_before is set
** to the number of rows that were read before it since the last batch, of which none
** passed. A batch can be of rows gathered from several, numbers and all; with *counts set these
** numbers count from the first row that was read for it, which follows *n_before. *out is NULL
** where a worker is still busy after some 10 ms of work: ask the host, call again. EG_DONE at
** the end (*n_before is set); else what the source said. */
eg_status eg_scan_ahead_next(eg_scan_ahead *a, eg_batch **out, int64_t *n_before, bool *counts,
                             eg_err *err);

/* Stops the workers, waits for them, closes the pieces; adds what they read to *stats. */
void eg_scan_ahead_close(eg_scan_ahead *a, eg_scan_stats *stats);

#endif
