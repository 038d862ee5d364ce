/*
** Reading a column chunk: the rows of one column of one row group, in order or
** from any row on.
**
**   eg_pq_reader *r;
**   rc = eg_pq_reader_open(file, group, column, codec, &r, err);
**   while (rc == EG_OK && (rc = eg_pq_reader_next(r, 4096, &v, err)) == EG_OK)
**       use(&v);                                     // rc is EG_DONE at the end
**   eg_pq_reader_close(r);
**
** Codes or values: a vector of a page that is dictionary-encoded has codes, one
** of another page values; a chunk can change from the first to the second. The
** CRC of a page is verified whenever it has one. Readers of one file may be used
** by several threads, each by one at a time.
*/
#ifndef EG_PQ_READER_H
#define EG_PQ_READER_H

#include "parquet/pq_page.h"

typedef struct eg_pq_reader eg_pq_reader;

/* What a reader did since it was opened. */
typedef struct eg_pq_reader_counts {
    int64_t pages;         /* data and dictionary pages decompressed */
    int64_t pages_skipped; /* data pages passed over by seek */
    int64_t bytes_read;    /* from the file */
} eg_pq_reader_counts;

/* Starts reading a chunk. `codec` is borrowed, of the calling thread. Reads
** nothing yet. EG_UNSUPPORTED for a codec that is not read, EG_NOMEM. */
eg_status eg_pq_reader_open(eg_pq_file *file, uint32_t row_group, uint32_t column,
                            eg_pq_codec *codec, eg_pq_reader **out, eg_err *err);

/* The same reader on another chunk, perhaps of another file (both are open still);
** it keeps its buffers. On failure it is as if it had failed in reading. */
eg_status eg_pq_reader_restart(eg_pq_reader *r, eg_pq_file *file, uint32_t row_group,
                               uint32_t column, eg_err *err);

/* NULL is allowed. */
void eg_pq_reader_close(eg_pq_reader *r);

/* The next rows, 1 to max_rows (at least 1) of one page: fewer than asked for do
** not mean the end. EG_DONE behind the last row of the row group. Any other
** status sticks: later calls return it again. */
eg_status eg_pq_reader_next(eg_pq_reader *r, uint32_t max_rows, eg_pq_vector *out, eg_err *err);

/* As eg_pq_page_pick, _match and _back, of the page that the next row is in; statuses as above. */
eg_status eg_pq_reader_pick(eg_pq_reader *r, uint32_t max_rows, const uint16_t *picks,
                            uint32_t n_picks, uint32_t base, uint32_t *n_rows, eg_pq_vector *out,
                            eg_err *err);
eg_status eg_pq_reader_match(eg_pq_reader *r, uint32_t max_rows, const eg_pq_code_test *t,
                             uint8_t *alive, uint32_t *n_rows, eg_err *err);
void eg_pq_reader_back(eg_pq_reader *r);

/* How many entries the chunk's dictionary has: every code is below. Their values are not
** read. EG_DONE where there is none. */
eg_status eg_pq_reader_entries(eg_pq_reader *r, uint32_t *n_entries, eg_err *err);

/* The chunk's dictionary, read at the first call; *out stays valid until the reader is
** restarted or closed. What was damaged in it is found here, not by next. EG_DONE where
** there is none. */
eg_status eg_pq_reader_dictionary(eg_pq_reader *r, const eg_pq_dictionary **out, eg_err *err);

/* Makes row (0 to the row group's rows, which is the end) the next one. With an index of this
** chunk its page is read at once, and no more of the file than rows before `end` are in, but for
** what is asked for behind; else (NULL, or one without pages) the page headers before it are.
** Pages passed over are not decompressed or checked. */
eg_status eg_pq_reader_seek(eg_pq_reader *r, int64_t row, int64_t end, const eg_pq_index *index,
                            eg_err *err);

/* The number of the next row in the row group. */
int64_t eg_pq_reader_row(const eg_pq_reader *r);

eg_pq_reader_counts eg_pq_reader_counted(const eg_pq_reader *r);

#endif
