/*
** A column of a row group as a Parquet column chunk: rows are gathered in stored order, and
** given codes into a sorted dictionary wherever that is smaller than the values.
**
**   column                      Parquet type            as
**   addresses, dotted           STRING                  dictionary; its entries once more as
**                                                       numbers, see parquet/shard_keys.h
**   addresses, numbers          INT32 (UINT_32)         dictionary, its parts told of, see
**                                                       parquet/shard_parts.h
**   protocol, exporter, file    STRING                  dictionary
**   of 8 or 16 bits             INT32 (UINT_8, UINT_16; plain INT32 as schema.def says)
**                                                       dictionary
**   duration, packets, bytes    INT32, INT64            dictionary, of too many values as values
**   times, flow_sequence        TIMESTAMP, INT64        values
**
** Values are PLAIN or DELTA_BINARY_PACKED (pq_chunk.h). Pages are those of the row order; of
** packets and bytes two of them are one. Behind source and destination addresses stand their
** weights (parquet/shard_weights.h).
*/
#ifndef EG_COLUMN_ENCODE_H
#define EG_COLUMN_ENCODE_H

#include "dataset/row_order.h"
#include "parquet/pq_chunk.h"

typedef struct eg_encode_options {
    eg_layout layout;
    int32_t compression; /* eg_pq_compression */
    int level;           /* of the codec */
} eg_encode_options;

/* A text that a code stands for, and how many there are. */
typedef struct eg_code_texts {
    const eg_pq_bytes *texts; /* [n] of codes 0 to n - 1 */
    uint32_t n;
} eg_code_texts;

/* What one thread needs to encode; made once, reused. */
typedef struct eg_encoder eg_encoder;
eg_status eg_encoder_open(eg_encoder **out, eg_err *err);
void eg_encoder_close(eg_encoder *e); /* NULL is allowed */

/* How many columns a shard has, and which they are. */
uint32_t eg_stored_columns(eg_column columns[EG_N_COLUMNS]);

/* The schema of shards: a root and eg_stored_columns elements. */
uint32_t eg_stored_schema(bool dotted, eg_pq_schema_element schema[EG_N_COLUMNS + 1]);

/* Encodes a column of a row group. EG_NOMEM, EG_LIMIT, EG_OK. */
eg_status eg_encode_column(eg_encoder *e, const eg_rows *rows, const eg_row_order *order,
                           const eg_row_group *group, eg_column column, eg_code_texts texts,
                           const eg_encode_options *options, eg_pq_chunk_data *out, eg_err *err);

#endif
