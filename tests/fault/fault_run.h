/*
** What the fault sweeps share: a connection with Earlgrey linked in, and a
** statement's outcome, so that a disturbed run can be compared with an
** undisturbed one.
*/
#ifndef FAULT_RUN_H
#define FAULT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

typedef struct outcome {
    int rc;          /* SQLITE_DONE, or the error */
    int64_t n_rows;  /* rows before the end */
    uint64_t digest; /* of all values and their types */
    char message[1024];
} outcome;

/* An in-memory database with the extension; ends the program where that fails. */
sqlite3 *fault_open(void);

/* Prepares, steps to the end, finalizes. A value that SQLite could not hand out
** for lack of memory counts as SQLITE_NOMEM. */
void fault_run(sqlite3 *db, const char *sql, outcome *out);

/* Stores FOLDER/plain.pcap in the datasets FOLDER-text and FOLDER-uint32; ends the program
** where that fails. */
void fault_store(const char *folder);

/* Deletes FOLDER-new. */
void fault_remove(const char *folder);

bool fault_same(const outcome *a, const outcome *b);

/* Writes `sql` with every $ replaced by folder, NUL terminated, at most cap bytes. */
void fault_expand(const char *sql, const char *folder, char *out, size_t cap);

/* Prints "ok" or "not ok" and the statement in one line. */
void fault_report(bool ok, const char *what, const char *sql);

#endif
