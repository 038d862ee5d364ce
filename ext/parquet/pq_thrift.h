/*
** The thrift compact protocol: how Parquet writes its metadata.
**
** Reading is over bytes that are untrusted: nothing is read beyond n_bytes,
** nesting ends at EG_PQ_THRIFT_DEPTH, and a list or text never claims more
** elements than there are bytes left. Failure sticks: the first one is written
** to err with the file's name and byte offset, later calls give zeros, and the
** loops that walk fields and lists end. Texts are views into the input.
*/
#ifndef EG_PQ_THRIFT_H
#define EG_PQ_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "parquet/pq_buffer.h"

#define EG_PQ_THRIFT_DEPTH 16 /* nested structs and containers */

/* A view of bytes; who owns them is said where it is used. */
typedef struct eg_pq_bytes {
    const uint8_t *data; /* NULL where absent */
    uint32_t n_bytes;
} eg_pq_bytes;

/* Types as they stand in field headers. */
typedef enum eg_pq_wire {
    EG_PQ_WIRE_STOP = 0, /* end of the struct, or failure */
    EG_PQ_WIRE_TRUE = 1, /* also the element type of bool lists */
    EG_PQ_WIRE_FALSE = 2,
    EG_PQ_WIRE_I8 = 3,
    EG_PQ_WIRE_I16 = 4,
    EG_PQ_WIRE_I32 = 5,
    EG_PQ_WIRE_I64 = 6,
    EG_PQ_WIRE_DOUBLE = 7,
    EG_PQ_WIRE_BINARY = 8,
    EG_PQ_WIRE_LIST = 9,
    EG_PQ_WIRE_SET = 10,
    EG_PQ_WIRE_MAP = 11,
    EG_PQ_WIRE_STRUCT = 12,
    EG_PQ_WIRE_UUID = 13
} eg_pq_wire;

typedef struct eg_pq_thrift {
    const uint8_t *data; /* borrowed */
    size_t n_bytes;      /* of data */
    size_t pos;          /* next byte */
    int depth;           /* structs and containers entered */
    bool is_cut;         /* the failure was the end of the bytes: more of them could mend it */
    eg_status status;    /* the first failure */
    eg_err *err;         /* caller's, may be NULL */
    const char *file;    /* for messages, borrowed */
    const char *what;    /* for messages: "footer" */
    int64_t base_off;    /* file offset of data[0] */
} eg_pq_thrift;

/* Starts reading data[0..n_bytes). */
void eg_pq_thrift_init(eg_pq_thrift *r, const uint8_t *data, size_t n_bytes, const char *file,
                       const char *what, int64_t base_off, eg_err *err);

/* Fails at the current position; keeps the first failure. Returns status. */
eg_status eg_pq_thrift_fail(eg_pq_thrift *r, eg_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Around the fields of each struct. enter gives false at the depth limit. */
bool eg_pq_thrift_enter(eg_pq_thrift *r);
void eg_pq_thrift_leave(eg_pq_thrift *r);

/* The next field of the struct: its type, and *id (which starts at 0 and
** carries the state between calls). EG_PQ_WIRE_STOP at the end or on failure. */
eg_pq_wire eg_pq_thrift_next(eg_pq_thrift *r, int16_t *id);

/* The same, of the fields that the caller knows: types[id] is the wire type that
** number id has (0 none; EG_PQ_WIRE_TRUE is either bool). Other numbers, and
** known ones of another type (other programs' own fields), are passed over. */
eg_pq_wire eg_pq_thrift_field(eg_pq_thrift *r, int16_t *id, const uint8_t *types, size_t n_types);

/* Reads a whole struct of n whole numbers, as a writer of all of them puts it: heads[i] is the
** byte before number i. False where it is anything else or near the end: nothing was read. */
bool eg_pq_thrift_ints(eg_pq_thrift *r, const uint8_t *heads, size_t n, int64_t *out);

/* The value of a field of the wire type given; another type than the function's
** is EG_CORRUPT. */
bool eg_pq_thrift_bool(eg_pq_thrift *r, eg_pq_wire wire);
int8_t eg_pq_thrift_i8(eg_pq_thrift *r, eg_pq_wire wire);
int16_t eg_pq_thrift_i16(eg_pq_thrift *r, eg_pq_wire wire);
int32_t eg_pq_thrift_i32(eg_pq_thrift *r, eg_pq_wire wire);
int64_t eg_pq_thrift_i64(eg_pq_thrift *r, eg_pq_wire wire);
eg_pq_bytes eg_pq_thrift_binary(eg_pq_thrift *r, eg_pq_wire wire);

/* The head of a list whose elements are of type `element`: how many follow; they
** are read one by one with their functions (a bool with _list_bool). At most as
** many as bytes are left. 0 on failure. */
uint32_t eg_pq_thrift_list(eg_pq_thrift *r, eg_pq_wire wire, eg_pq_wire element);
bool eg_pq_thrift_list_bool(eg_pq_thrift *r);

/* Passes over a value, whatever it is. */
void eg_pq_thrift_skip(eg_pq_thrift *r, eg_pq_wire wire);

/* ---- Writing: into a buffer, whose sticky status tells failure. */

typedef struct eg_pq_thrift_writer {
    eg_pq_buffer *out;                /* borrowed */
    int16_t last[EG_PQ_THRIFT_DEPTH]; /* last field id of each open struct */
    int depth;                        /* open structs */
} eg_pq_thrift_writer;

void eg_pq_thrift_writer_init(eg_pq_thrift_writer *w, eg_pq_buffer *out);

/* Around the fields of the outermost struct and of structs in lists. */
void eg_pq_thrift_begin(eg_pq_thrift_writer *w);
void eg_pq_thrift_end(eg_pq_thrift_writer *w);

/* Fields of the open struct, in any order of ids (ascending is shortest). */
void eg_pq_thrift_put_bool(eg_pq_thrift_writer *w, int16_t id, bool v);
void eg_pq_thrift_put_i8(eg_pq_thrift_writer *w, int16_t id, int8_t v);
void eg_pq_thrift_put_i16(eg_pq_thrift_writer *w, int16_t id, int16_t v);
void eg_pq_thrift_put_i32(eg_pq_thrift_writer *w, int16_t id, int32_t v);
void eg_pq_thrift_put_i64(eg_pq_thrift_writer *w, int16_t id, int64_t v);
void eg_pq_thrift_put_binary(eg_pq_thrift_writer *w, int16_t id, eg_pq_bytes v);
void eg_pq_thrift_put_struct(eg_pq_thrift_writer *w, int16_t id); /* then fields, _end */
void eg_pq_thrift_put_list(eg_pq_thrift_writer *w, int16_t id, eg_pq_wire element, uint32_t n);

/* Elements of a list; a struct is _begin, fields, _end. */
void eg_pq_thrift_item_bool(eg_pq_thrift_writer *w, bool v);
void eg_pq_thrift_item_int(eg_pq_thrift_writer *w, int64_t v); /* i16, i32 and i64 */
void eg_pq_thrift_item_binary(eg_pq_thrift_writer *w, eg_pq_bytes v);

#endif
