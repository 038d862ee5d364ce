/*
** Parquet files with flow columns as an eg_source: our own shards, and any flat
** Parquet whose columns have the names of flow/schema.def.
**
** A piece is a row group. What the predicate excludes is not read, and the scan's
** figures count it:
**   files        by the bounds of their times that the list gives, or by the day that the
**                hive keys (year=, month=, day=) of a shard's path say, before they are opened
**   row groups   by statistics; by Bloom filters; by dictionaries, where the whole
**                chunk is encoded with its own
**   pages        by the page index of every column the predicate tests
**   batches      none of whose rows passes, by the predicate's columns, which are read first
** Rows that fail may have another value, which fails too, where the predicate takes one
** address only.
** Hive keys in paths of others' files are not looked at: whether they are days of the start,
** and in which time zone, is not known; their statistics are.
**
** Columns are found by name, in any order, ASCII case aside; others are passed
** over. Accepted as
**   a number     INT32 or INT64 (signed or not), BOOLEAN, DECIMAL without a fraction,
**                FLOAT or DOUBLE of whole numbers
**   an address   dotted text, or a number from 0 to 2^32-1
**   a protocol   keyword or digits as text, or a number
**   a time       a TIMESTAMP (nanoseconds and microseconds rounded down to ms; one
**                that is not adjusted to UTC is taken for UTC), INT96, or INT64
**                without annotation (ms)
**   exporter     text, or an address as a number
**   file         text
** start_ms and end_ms stand in where start_time and end_time are missing (or of a type
** that is not read), proto where protocol is. Of start_time, end_time and duration_ms
** one that is missing is made of the other two; it is NULL where the result is
** none that the vector holds. `file` is the shard's path and time_flag 0 where they
** are missing. Any other missing column is NULL in every row, an optional column
** where it is NULL: see eg_batch.nulls; received_time is EG_NO_TIME instead. A value
** that the vector cannot hold (port 70000, an address that is no IPv4 address) is
** EG_CORRUPT naming file, column, row (from 0) and value, once its batch is reached;
** what is passed over is not checked.
**
** Pieces may be read by several threads, one each; handing out and closing them is for
** one thread. Codes are added to spec->texts by the reading threads.
*/
#ifndef EG_SHARD_SOURCE_H
#define EG_SHARD_SOURCE_H

#include "flow/source.h"
#include "parquet/shard_list.h"

/* Opens the files of a list, which is taken over (emptied, also on failure). spec is
** borrowed until the source is closed. Files are opened when their turn comes; then
**   EG_IO           one cannot be opened or read
**   EG_CORRUPT      one is damaged, or (datasets) not what the list says
**   EG_UNSUPPORTED  encrypted, nested, a codec or type that is not read
** fail the scan and name the file. EG_NOMEM, EG_OK. */
eg_status eg_shard_source_open(eg_shard_list *list, const eg_scan_spec *spec, eg_source **out,
                               eg_err *err);

#endif
