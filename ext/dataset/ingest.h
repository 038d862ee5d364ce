/*
** Storing captures: every capture that a source text names, one after the other, each
** exactly once.
*/
#ifndef EG_INGEST_H
#define EG_INGEST_H

#include "dataset/store.h"

typedef enum eg_ingest_status {
    EG_INGEST_STORED,
    EG_INGEST_ALREADY_THERE, /* the same bytes were stored before */
    EG_INGEST_GROWING,       /* refused: it may not be finished */
    EG_INGEST_NOT_CAPTURE,   /* named like one */
    EG_INGEST_DAMAGED        /* an archive whose further members cannot be read */
} eg_ingest_status;
const char *eg_ingest_status_name(eg_ingest_status s); /* "stored", "already there", … */

/* What became of a capture; valid until the next step. */
typedef struct eg_ingest_row {
    const char *capture; /* path, or archive:member */
    eg_ingest_status status;
    int64_t n_rows, n_rejected, n_lost; /* of what was stored now */
    int64_t n_shards, n_bytes;
    const char *detail; /* "" where there is nothing to say */
} eg_ingest_row;

typedef struct eg_ingest eg_ingest;

typedef struct eg_ingest_options {
    bool partial; /* store captures that may still grow; a later one replaces it */
    eg_poll poll;
} eg_ingest_options;

/* Takes the store over (closed with the ingest, also on failure). source as for captures. */
eg_status eg_ingest_open(const char *source, size_t n_bytes, eg_store *store,
                         const eg_ingest_options *options, eg_ingest **out, eg_err *err);

/* Handles the next capture. EG_DONE after the last. A failure ends the ingest; captures
** before it stay stored. */
eg_status eg_ingest_next(eg_ingest *g, eg_ingest_row *row, eg_err *err);

/* Bytes of all files named, as they are on disk, and how many of them were read; flow records
** read. */
void eg_ingest_progress(const eg_ingest *g, int64_t *done_bytes, int64_t *total_bytes,
                        int64_t *n_rows);

/* NULL is allowed. */
void eg_ingest_close(eg_ingest *g);

#endif
