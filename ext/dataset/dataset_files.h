/* The files of a dataset beside its shards: directories, locks, temporary files. Paths are
** relative to the dataset's open descriptor; `dataset` is its name for messages. */
#ifndef EG_DATASET_FILES_H
#define EG_DATASET_FILES_H

#include "capture/capture_watch.h"
#include "flow/source.h"

#define EG_FILES_TEMPORARY "_earlgrey.tmp" /* directory; no reader looks into it */

/* EG_IO "DATASET/PATH: WHAT: the system's reason", from errno. */
eg_status eg_files_fail(eg_err *err, const char *dataset, const char *path, const char *what);

/* "DIRECTORY/PATH", to be freed; NULL without memory. */
char *eg_files_join(const char *directory, const char *path);

/* Opens a directory, making it where there is none; its parent is made to remember it. */
eg_status eg_files_open_directory(const char *path, int *descriptor, eg_err *err);

/* Makes the directories of a partition. */
eg_status eg_files_make_partition(int directory, const char *dataset, const char *partition,
                                  eg_err *err);

/* Makes the names in a day's directory, and of its directories, last. */
eg_status eg_files_sync_partition(int directory, const char *dataset, int64_t day, eg_err *err);

/* Makes the directory for temporary files; deletes what a dead writer left in it. */
eg_status eg_files_make_temporary(int directory, const char *dataset, eg_err *err);
eg_status eg_files_clear_temporary(int directory, const char *dataset, eg_err *err);

/* Waits for the one lock of writers; *lock is the descriptor that holds it until it is
** closed. Held by the process's descriptor, so it ends with the process. */
eg_status eg_files_lock_writers(int directory, const char *dataset, eg_poll poll, int *lock,
                                eg_err *err);

/* Readers hold a shared lock while they read, so that what they know of is not deleted: *lock
** is a descriptor to close, or -1 where there is no lock file to be had (a dataset that cannot
** be written needs none). Waits a second at most. EG_IO, EG_NOMEM. */
eg_status eg_files_lock_reader(const char *dataset, int *lock, eg_err *err);

/* Keeps readers from beginning; -1 where some are reading. */
int eg_files_lock_readers_out(int directory);

/* The id in hexadecimal digits. */
void eg_files_hex(const eg_capture_id *id, char out[2 * sizeof(eg_capture_id) + 1]);

/* Deletes a day's partition, and those around it, as far as they are empty. */
void eg_files_clear_partition(int directory, int64_t day);

#endif
