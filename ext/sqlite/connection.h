/*
** What the tables of one connection share: the figures of its last scan, how a
** scan asks whether to go on, how a failure becomes an SQLite error, and the one
** place that decides what a source text is.
*/
#ifndef EG_CONNECTION_H
#define EG_CONNECTION_H

#include "capture/ledger.h"
#include "flow/source.h"
#include "sqlite/sqlite_api.h"

/* Says how far something that runs is. */
typedef void (*eg_measuring)(const void *arg, int64_t *done_bytes, int64_t *total_bytes,
                             int64_t *n_rows);

typedef struct eg_connection {
    sqlite3 *db;                        /* the host's */
    int n_refs;                         /* modules that hold it */
    eg_scan_stats last;                 /* of the last scan that ended or was closed */
    int n_threads;                      /* settings.h; 0: the default */
    uint64_t memory_bytes;              /* settings.h; 0: the default */
    struct earlgrey_progress *progress; /* the host's; NULL where it wants none */
    eg_measuring measure;               /* what runs and is told there; NULL without */
    const void *measured;
} eg_connection;

/* Begins to tell the host of what arg is, until the next one begins or it ends. */
void eg_progress_begin(eg_connection *c, eg_measuring measure, const void *arg);
void eg_progress_end(eg_connection *c, const void *arg);

/* Registers earlgrey_progress(). */
int eg_register_progress(eg_connection *c);

/* NULL without memory. Starts with one reference. */
eg_connection *eg_connection_open(sqlite3 *db);
eg_connection *eg_connection_share(eg_connection *c);
void eg_connection_release(void *c); /* as SQLite's destructors want it */

/*
** The host's wish to stop, seen from inside a long call. SQLite before 3.41 has
** no function that tells; but a statement that starts after an interrupt while
** another one runs is interrupted too, so running a small one tells, and gives the
** host's progress handler its turn. It is prepared and finalized each time (some
** 30 us in 10 ms): a host that closes a connection may finalize every statement it
** finds there.
*/
eg_poll eg_interrupt_poll(eg_connection *c);

/* What a table takes as its source. */
typedef enum eg_source_kind { EG_SOURCE_ANY, EG_SOURCE_CAPTURES, EG_SOURCE_PARQUET } eg_source_kind;

/* Everything a cursor needs to scan a source. Zeroed = closed. */
typedef struct eg_run {
    eg_connection *connection;
    eg_intern *texts;
    eg_ledger *ledger;
    eg_predicate where;
    eg_scan_spec spec;
    int64_t last_poll_ns; /* when the host was asked for spec.poll */
    eg_source_kind kind;  /* what is taken */
    bool wants_numbers;   /* of rows */
    bool splits;          /* see eg_scan_spec */
    int reader_lock;      /* of a dataset: the descriptor + 1; 0 without */
    struct eg_scan *scan; /* open scan or NULL */
} eg_run;

/* Makes texts and ledger; the predicate may then be built (it may need texts). */
eg_status eg_run_begin(eg_run *r, eg_connection *c, eg_err *err);

/* Opens the scan of source[0..n_bytes) with r->where, filling `vectors`. */
eg_status eg_run_open(eg_run *r, const char *source, size_t n_bytes, eg_vector_set vectors,
                      eg_err *err);

/* A poll for long calls that scan nothing; r must have begun. */
eg_poll eg_run_poll(eg_run *r);

/* Ends the scan: settles the ledger (when the source was read to its end the
** losses are final) and makes its figures the connection's last. The ledger and
** the texts stay. */
eg_status eg_run_finish(eg_run *r, eg_err *err);

/* Finishes if needed and frees all. */
void eg_run_close(eg_run *r);

/* The text of a value, NULL for NULL. EG_MISUSE where it holds a zero byte, EG_NOMEM. */
eg_status eg_sql_text(sqlite3_value *value, const char **text, eg_err *err);

/* Makes err the message of vtab and gives the SQLite result code. I/O and damage
** are SQLITE_ERROR: SQLITE_IOERR would roll back the host's transaction. */
int eg_sql_fail(sqlite3_vtab *vtab, const eg_err *err);

#endif
