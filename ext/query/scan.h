/*
** A scan: batches of a source's rows that pass a predicate, in one order. Where the source
** allows and spec->n_threads is given, pieces behind the first, or, where that has few
** rows, all of them, are read ahead by workers (scan_ahead.h). Asks the host at least every
** 10 ms of work whether to go on.
*/
#ifndef EG_SCAN_H
#define EG_SCAN_H

#include "flow/source.h"

typedef struct eg_scan eg_scan;

/* Takes over src (closed with the scan, also when this fails). spec and poll
** are borrowed. spec->vectors must include those of the predicate. */
eg_status eg_scan_open(eg_source *src, const eg_scan_spec *spec, eg_poll poll, eg_scan **out,
                       eg_err *err);

/* *out has n_sel >= 1 selected rows, valid until the next call. EG_DONE at the
** end, EG_INTERRUPT when the host asked to stop, else what the source said. */
eg_status eg_scan_next(eg_scan *s, const eg_batch **out, eg_err *err);

/* Asks the host whether to stop, if it was not asked just before: for work between
** and after batches. EG_OK or EG_INTERRUPT. */
eg_status eg_scan_check(eg_scan *s, eg_err *err);

/* For those who read its source themselves, instead of eg_scan_next: what it would read, ... */
eg_source *eg_scan_source(eg_scan *s, const eg_scan_spec **spec);

/* ... and what they read of it. */
void eg_scan_count(eg_scan *s, int64_t n_rows, const eg_scan_stats *stats);

/* How far it is: bytes consumed and in all, rows read. */
void eg_scan_progress(const eg_scan *s, int64_t *done_bytes, int64_t *total_bytes, int64_t *n_rows);

/* Closes source and scan; adds what was read to *stats (may be NULL). */
void eg_scan_close(eg_scan *s, eg_scan_stats *stats);

#endif
