/*
** Writing a Parquet file: row groups of encoded chunks, one after the other,
** then page indexes, Bloom filters and the footer.
**
**   PAR1 | row group: chunk, (extras), chunk, (extras) … | … | Bloom filters | column
**   indexes | offset indexes | footer | footer's length | PAR1
**
** A chunk's extras are bytes that belong to nobody in Parquet's terms and are passed over by
** other readers; the chunk's key-value metadata tells where each is: its key =
** "offset length crc32", of the first n_head of them.
**
** The file is written forward only, with write(2). Every byte but the chunks'
** is kept in memory until the end: some 100 bytes a page.
*/
#ifndef EG_PQ_WRITER_H
#define EG_PQ_WRITER_H

#include "parquet/pq_chunk.h"

typedef struct eg_pq_writer eg_pq_writer;

/* Starts a file on an open descriptor, which stays the caller's. schema[0] is the
** root; its elements, created_by and texts are borrowed until the writer is closed. `name` is
** for messages, copied. EG_IO, EG_NOMEM, EG_OK. */
eg_status eg_pq_writer_open(int fd, const char *name, const eg_pq_schema_element *schema,
                            uint32_t n_schema, const char *created_by, eg_pq_writer **out,
                            eg_err *err);

/* Appends a row group of n_schema - 1 chunks, in the schema's order. sorting may be
** NULL. EG_IO ("NAME: write: No space left on device"), EG_NOMEM. After a failure the
** writer can only be closed. */
eg_status eg_pq_writer_add(eg_pq_writer *w, const eg_pq_chunk_data *const *chunks,
                           const eg_pq_sorting_column *sorting, uint32_t n_sorting, eg_err *err);

/* Bytes written so far. */
int64_t eg_pq_writer_bytes(const eg_pq_writer *w);

/* XXH3 (64 bits, seed 0) of these, by which any changed byte is found later. */
uint64_t eg_pq_writer_hash(const eg_pq_writer *w);

/* Writes what comes behind the row groups. Does not sync. */
eg_status eg_pq_writer_finish(eg_pq_writer *w, const eg_pq_key_value *key_values,
                              uint32_t n_key_values, eg_err *err);

/* Frees the writer; NULL is allowed. */
void eg_pq_writer_close(eg_pq_writer *w);

#endif
