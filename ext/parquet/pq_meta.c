/* Decoding of the metadata structs. Field numbers are those of parquet.thrift. */
#include "parquet/pq_meta.h"

#include <string.h>

/* Notes the required fields of a struct as bits, and fails where one is missing. */
#define SEEN(id) (seen |= UINT32_C(1) << (id))

/* The wire type of each field, by number; the fields between and behind are not
** known here. */
#define W_BOOL EG_PQ_WIRE_TRUE
#define W_I16 EG_PQ_WIRE_I16
#define W_I32 EG_PQ_WIRE_I32
#define W_I64 EG_PQ_WIRE_I64
#define W_BINARY EG_PQ_WIRE_BINARY
#define W_LIST EG_PQ_WIRE_LIST
#define W_STRUCT EG_PQ_WIRE_STRUCT

/* The next field of the struct that `fields` is about. */
#define NEXT(fields) eg_pq_thrift_field(r, &id, fields, sizeof fields)

static void require(eg_pq_thrift *r, uint32_t seen, uint32_t required, const char *what) {
    if (r->status == EG_OK && (seen & required) != required)
        eg_pq_thrift_fail(r, EG_CORRUPT, "%s without its required fields (has 0x%x, needs 0x%x)",
                          what, (unsigned)seen, (unsigned)required);
}

/* An array of the arena for the elements of a list; NULL where there are none. */
static void *take_array(eg_pq_thrift *r, eg_pq_arena *arena, uint32_t n, size_t element_bytes) {
    if (r->status != EG_OK || n == 0)
        return NULL;
    void *array;
    eg_err inner;
    eg_status rc = eg_pq_arena_take(arena, n, element_bytes, &array, &inner);
    if (rc != EG_OK)
        eg_pq_thrift_fail(r, rc, "%s", inner.msg);
    return array;
}

static void decode_unit(eg_pq_thrift *r, int16_t *unit) {
    int16_t id = 0;
    eg_pq_wire wire;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = eg_pq_thrift_next(r, &id)) != EG_PQ_WIRE_STOP) {
        *unit = id;
        eg_pq_thrift_skip(r, wire);
    }
    eg_pq_thrift_leave(r);
}

static void decode_logical_body(eg_pq_thrift *r, eg_pq_logical_type *out) {
    int16_t id = 0;
    eg_pq_wire wire;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = eg_pq_thrift_next(r, &id)) != EG_PQ_WIRE_STOP) {
        if (out->id == EG_PQ_LOGICAL_ID_DECIMAL && id == 1)
            out->scale = eg_pq_thrift_i32(r, wire);
        else if (out->id == EG_PQ_LOGICAL_ID_DECIMAL && id == 2)
            out->precision = eg_pq_thrift_i32(r, wire);
        else if (out->id == EG_PQ_LOGICAL_ID_TIMESTAMP && id == 1)
            out->is_utc = eg_pq_thrift_bool(r, wire);
        else if (out->id == EG_PQ_LOGICAL_ID_TIMESTAMP && id == 2 && wire == EG_PQ_WIRE_STRUCT)
            decode_unit(r, &out->unit);
        else if (out->id == EG_PQ_LOGICAL_ID_INTEGER && id == 1)
            out->bits = eg_pq_thrift_i8(r, wire);
        else if (out->id == EG_PQ_LOGICAL_ID_INTEGER && id == 2)
            out->is_signed = eg_pq_thrift_bool(r, wire);
        else
            eg_pq_thrift_skip(r, wire);
    }
    eg_pq_thrift_leave(r);
}

static void decode_logical(eg_pq_thrift *r, eg_pq_wire wire, eg_pq_logical_type *out) {
    int16_t id = 0;
    if (wire != EG_PQ_WIRE_STRUCT) {
        eg_pq_thrift_fail(r, EG_CORRUPT, "logical type is not a struct");
        return;
    }
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = eg_pq_thrift_next(r, &id)) != EG_PQ_WIRE_STOP) {
        *out = (eg_pq_logical_type){.id = id};
        if (wire == EG_PQ_WIRE_STRUCT)
            decode_logical_body(r, out);
        else
            eg_pq_thrift_skip(r, wire);
    }
    eg_pq_thrift_leave(r);
}

static void decode_schema_element(eg_pq_thrift *r, eg_pq_schema_element *out) {
    static const uint8_t fields[] = {
        [1] = W_I32, [2] = W_I32, [3] = W_I32, [4] = W_BINARY, [5] = W_I32,
        [6] = W_I32, [7] = W_I32, [8] = W_I32, [10] = W_STRUCT};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    out->repetition = -1;
    out->converted = EG_PQ_CONVERTED_NONE;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        switch (id) {
        case 1:
            out->type = eg_pq_thrift_i32(r, wire);
            out->has_type = true;
            break;
        case 2:
            out->type_length = eg_pq_thrift_i32(r, wire);
            break;
        case 3:
            out->repetition = eg_pq_thrift_i32(r, wire);
            break;
        case 4:
            out->name = eg_pq_thrift_binary(r, wire);
            SEEN(4);
            break;
        case 5:
            out->n_children = eg_pq_thrift_i32(r, wire);
            break;
        case 6:
            out->converted = eg_pq_thrift_i32(r, wire);
            break;
        case 7:
            out->scale = eg_pq_thrift_i32(r, wire);
            break;
        case 8:
            out->precision = eg_pq_thrift_i32(r, wire);
            break;
        case 10:
            decode_logical(r, wire, &out->logical);
            break;
        }
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 1u << 4, "a schema element");
}

static void decode_key_value(eg_pq_thrift *r, eg_pq_key_value *out) {
    static const uint8_t fields[] = {[1] = W_BINARY, [2] = W_BINARY};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        if (id == 1) {
            out->key = eg_pq_thrift_binary(r, wire);
            SEEN(1);
        } else {
            out->value = eg_pq_thrift_binary(r, wire);
        }
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 1u << 1, "key-value metadata");
}

static const eg_pq_key_value *decode_key_values(eg_pq_thrift *r, eg_pq_wire wire,
                                                eg_pq_arena *arena, uint32_t *n_out) {
    uint32_t n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_STRUCT);
    eg_pq_key_value *kv = take_array(r, arena, n, sizeof *kv);
    for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
        decode_key_value(r, &kv[i]);
    *n_out = n;
    return kv;
}

static void no_statistics(eg_pq_statistics *s) {
    *s = (eg_pq_statistics){
        .null_count = -1, .distinct_count = -1, .max_exact = -1, .min_exact = -1};
}

static void decode_statistics(eg_pq_thrift *r, eg_pq_statistics *out) {
    static const uint8_t fields[] = {[1] = W_BINARY, [2] = W_BINARY, [3] = W_I64,  [4] = W_I64,
                                     [5] = W_BINARY, [6] = W_BINARY, [7] = W_BOOL, [8] = W_BOOL};
    int16_t id = 0;
    eg_pq_wire wire;
    no_statistics(out);
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        switch (id) {
        case 1:
            out->max = eg_pq_thrift_binary(r, wire);
            break;
        case 2:
            out->min = eg_pq_thrift_binary(r, wire);
            break;
        case 3:
            out->null_count = eg_pq_thrift_i64(r, wire);
            break;
        case 4:
            out->distinct_count = eg_pq_thrift_i64(r, wire);
            break;
        case 5:
            out->max_value = eg_pq_thrift_binary(r, wire);
            break;
        case 6:
            out->min_value = eg_pq_thrift_binary(r, wire);
            break;
        case 7:
            out->max_exact = eg_pq_thrift_bool(r, wire) ? 1 : 0;
            break;
        case 8:
            out->min_exact = eg_pq_thrift_bool(r, wire) ? 1 : 0;
            break;
        }
    }
    eg_pq_thrift_leave(r);
}

static void decode_encoding_stats(eg_pq_thrift *r, eg_pq_encoding_stats *out) {
    static const uint8_t fields[] = {[1] = W_I32, [2] = W_I32, [3] = W_I32};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        int32_t v = eg_pq_thrift_i32(r, wire);
        *(id == 1 ? &out->page_type : id == 2 ? &out->encoding : &out->n_pages) = v;
        SEEN(id);
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 0xe, "encoding statistics");
}

static void decode_column_lists(eg_pq_thrift *r, eg_pq_wire wire, int16_t id, eg_pq_arena *arena,
                                eg_pq_chunk *out) {
    if (id == 2) {
        uint32_t n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_I32);
        int32_t *encodings = take_array(r, arena, n, sizeof *encodings);
        for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
            encodings[i] = eg_pq_thrift_i32(r, EG_PQ_WIRE_I32);
        out->encodings = encodings;
        out->n_encodings = n;
    } else if (id == 3) {
        uint32_t n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_BINARY);
        eg_pq_bytes *path = take_array(r, arena, n, sizeof *path);
        for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
            path[i] = eg_pq_thrift_binary(r, EG_PQ_WIRE_BINARY);
        out->path = path;
        out->n_path = n;
    } else {
        uint32_t n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_STRUCT);
        eg_pq_encoding_stats *stats = take_array(r, arena, n, sizeof *stats);
        for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
            decode_encoding_stats(r, &stats[i]);
        out->encoding_stats = stats;
        out->n_encoding_stats = n;
    }
}

static void decode_column_meta(eg_pq_thrift *r, eg_pq_arena *arena, eg_pq_chunk *out) {
    static const uint8_t fields[] = {
        [1] = W_I32,  [2] = W_LIST,    [3] = W_LIST,  [4] = W_I32,  [5] = W_I64,
        [6] = W_I64,  [7] = W_I64,     [8] = W_LIST,  [9] = W_I64,  [10] = W_I64,
        [11] = W_I64, [12] = W_STRUCT, [13] = W_LIST, [14] = W_I64, [15] = W_I32};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        SEEN(id);
        switch (id) {
        case 1:
            out->type = eg_pq_thrift_i32(r, wire);
            break;
        case 2:
        case 3:
        case 13:
            decode_column_lists(r, wire, id, arena, out);
            break;
        case 4:
            out->codec = eg_pq_thrift_i32(r, wire);
            break;
        case 5:
            out->num_values = eg_pq_thrift_i64(r, wire);
            break;
        case 6:
            out->total_uncompressed_bytes = eg_pq_thrift_i64(r, wire);
            break;
        case 7:
            out->total_compressed_bytes = eg_pq_thrift_i64(r, wire);
            break;
        case 8:
            out->key_values = decode_key_values(r, wire, arena, &out->n_key_values);
            break;
        case 9:
            out->data_page_offset = eg_pq_thrift_i64(r, wire);
            break;
        case 10:
            out->index_page_offset = eg_pq_thrift_i64(r, wire);
            break;
        case 11:
            out->dictionary_page_offset = eg_pq_thrift_i64(r, wire);
            break;
        case 12:
            decode_statistics(r, &out->statistics);
            break;
        case 14:
            out->bloom_filter_offset = eg_pq_thrift_i64(r, wire);
            break;
        case 15:
            out->bloom_filter_length = eg_pq_thrift_i32(r, wire);
            break;
        }
    }
    eg_pq_thrift_leave(r);
    /* 1 type, 2 encodings, 3 path, 4 codec, 5 num_values, 6 and 7 sizes, 9 data page offset */
    require(r, seen, 0x2fe, "column metadata");
    out->has_meta = true;
}

static void decode_chunk(eg_pq_thrift *r, eg_pq_arena *arena, eg_pq_chunk *out) {
    static const uint8_t fields[] = {
        [1] = W_BINARY, [2] = W_I64, [3] = W_STRUCT, [4] = W_I64,   [5] = W_I32,
        [6] = W_I64,    [7] = W_I32, [8] = W_STRUCT, [9] = W_BINARY};
    int16_t id = 0;
    eg_pq_wire wire;
    no_statistics(&out->statistics);
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        switch (id) {
        case 1:
            out->file_path = eg_pq_thrift_binary(r, wire);
            break;
        case 2:
            out->file_offset = eg_pq_thrift_i64(r, wire);
            break;
        case 3:
            decode_column_meta(r, arena, out);
            break;
        case 4:
            out->offset_index_offset = eg_pq_thrift_i64(r, wire);
            break;
        case 5:
            out->offset_index_length = eg_pq_thrift_i32(r, wire);
            break;
        case 6:
            out->column_index_offset = eg_pq_thrift_i64(r, wire);
            break;
        case 7:
            out->column_index_length = eg_pq_thrift_i32(r, wire);
            break;
        case 8:
        case 9:
            out->is_encrypted = true;
            eg_pq_thrift_skip(r, wire);
            break;
        }
    }
    eg_pq_thrift_leave(r);
    if (r->status == EG_OK && !out->has_meta && !out->is_encrypted)
        eg_pq_thrift_fail(r, EG_CORRUPT, "a column chunk without metadata");
}

static void decode_sorting_column(eg_pq_thrift *r, eg_pq_sorting_column *out) {
    static const uint8_t fields[] = {[1] = W_I32, [2] = W_BOOL, [3] = W_BOOL};
    int16_t id = 0;
    eg_pq_wire wire;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        if (id == 1)
            out->column = eg_pq_thrift_i32(r, wire);
        else if (id == 2)
            out->is_descending = eg_pq_thrift_bool(r, wire);
        else
            out->is_nulls_first = eg_pq_thrift_bool(r, wire);
    }
    eg_pq_thrift_leave(r);
}

static void decode_row_group(eg_pq_thrift *r, eg_pq_arena *arena, eg_pq_row_group *out) {
    static const uint8_t fields[] = {[1] = W_LIST, [2] = W_I64, [3] = W_I64, [4] = W_LIST,
                                     [5] = W_I64,  [6] = W_I64, [7] = W_I16};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0, n;
    out->total_compressed_bytes = -1;
    out->ordinal = -1;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        SEEN(id);
        switch (id) {
        case 1: {
            n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_STRUCT);
            eg_pq_chunk *chunks = take_array(r, arena, n, sizeof *chunks);
            for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
                decode_chunk(r, arena, &chunks[i]);
            out->chunks = chunks;
            out->n_chunks = n;
            break;
        }
        case 2:
            out->total_bytes = eg_pq_thrift_i64(r, wire);
            break;
        case 3:
            out->num_rows = eg_pq_thrift_i64(r, wire);
            break;
        case 4: {
            n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_STRUCT);
            eg_pq_sorting_column *sorting = take_array(r, arena, n, sizeof *sorting);
            for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
                decode_sorting_column(r, &sorting[i]);
            out->sorting = sorting;
            out->n_sorting = n;
            break;
        }
        case 5:
            out->file_offset = eg_pq_thrift_i64(r, wire);
            break;
        case 6:
            out->total_compressed_bytes = eg_pq_thrift_i64(r, wire);
            break;
        case 7:
            out->ordinal = eg_pq_thrift_i16(r, wire);
            break;
        }
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 0xe, "a row group"); /* columns, total_byte_size, num_rows */
}

/* A union whose member is a struct: the member's field id, 0 where it is empty. */
static int16_t decode_union(eg_pq_thrift *r, eg_pq_wire wire) {
    int16_t id = 0, member = 0;
    if (wire != EG_PQ_WIRE_STRUCT) {
        eg_pq_thrift_fail(r, EG_CORRUPT, "a union is not a struct");
        return 0;
    }
    if (!eg_pq_thrift_enter(r))
        return 0;
    while ((wire = eg_pq_thrift_next(r, &id)) != EG_PQ_WIRE_STOP) {
        member = id;
        eg_pq_thrift_skip(r, wire);
    }
    eg_pq_thrift_leave(r);
    return member;
}

eg_status eg_pq_decode_file_meta(eg_pq_thrift *r, eg_pq_arena *arena, eg_pq_file_meta *out) {
    static const uint8_t fields[] = {[1] = W_I32,  [2] = W_LIST,   [3] = W_I64,  [4] = W_LIST,
                                     [5] = W_LIST, [6] = W_BINARY, [7] = W_LIST, [8] = W_STRUCT};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0, n;
    memset(out, 0, sizeof *out);
    if (!eg_pq_thrift_enter(r))
        return r->status;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        SEEN(id);
        switch (id) {
        case 1:
            out->version = eg_pq_thrift_i32(r, wire);
            break;
        case 2: {
            n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_STRUCT);
            eg_pq_schema_element *schema = take_array(r, arena, n, sizeof *schema);
            for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
                decode_schema_element(r, &schema[i]);
            out->schema = schema;
            out->n_schema = n;
            break;
        }
        case 3:
            out->num_rows = eg_pq_thrift_i64(r, wire);
            break;
        case 4: {
            n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_STRUCT);
            eg_pq_row_group *groups = take_array(r, arena, n, sizeof *groups);
            for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
                decode_row_group(r, arena, &groups[i]);
            out->row_groups = groups;
            out->n_row_groups = n;
            break;
        }
        case 5:
            out->key_values = decode_key_values(r, wire, arena, &out->n_key_values);
            break;
        case 6:
            out->created_by = eg_pq_thrift_binary(r, wire);
            break;
        case 7: {
            n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_STRUCT);
            bool *orders = take_array(r, arena, n, sizeof *orders);
            for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
                orders[i] = decode_union(r, EG_PQ_WIRE_STRUCT) == 1;
            out->has_type_order = orders;
            out->n_column_orders = n;
            break;
        }
        case 8:
            out->is_encrypted = true;
            eg_pq_thrift_skip(r, wire);
            break;
        }
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 0x1e, "file metadata"); /* version, schema, num_rows, row_groups */
    return r->status;
}

static void decode_data_page(eg_pq_thrift *r, bool is_v2, eg_pq_page_header *out) {
    static const uint8_t v1[] = {[1] = W_I32, [2] = W_I32, [3] = W_I32};
    static const uint8_t v2[] = {
        [1] = W_I32, [2] = W_I32, [3] = W_I32, [4] = W_I32, [5] = W_I32, [6] = W_I32, [7] = W_BOOL};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = is_v2 ? NEXT(v2) : NEXT(v1)) != EG_PQ_WIRE_STOP) {
        SEEN(id);
        if (id == 1)
            out->num_values = eg_pq_thrift_i32(r, wire);
        else if (!is_v2 && id == 2)
            out->encoding = eg_pq_thrift_i32(r, wire);
        else if (!is_v2 && id == 3)
            out->level_encoding = eg_pq_thrift_i32(r, wire);
        else if (is_v2 && id == 2)
            out->num_nulls = eg_pq_thrift_i32(r, wire);
        else if (is_v2 && id == 3)
            out->num_rows = eg_pq_thrift_i32(r, wire);
        else if (is_v2 && id == 4)
            out->encoding = eg_pq_thrift_i32(r, wire);
        else if (is_v2 && id == 5)
            out->definition_bytes = eg_pq_thrift_i32(r, wire);
        else if (is_v2 && id == 6)
            out->repetition_bytes = eg_pq_thrift_i32(r, wire);
        else
            out->is_compressed = eg_pq_thrift_bool(r, wire);
    }
    eg_pq_thrift_leave(r);
    require(r, seen, is_v2 ? 0x7e : 0x0e, "a data page header");
    out->has_body = true;
}

static void decode_dictionary_page(eg_pq_thrift *r, eg_pq_page_header *out) {
    static const uint8_t fields[] = {[1] = W_I32, [2] = W_I32, [3] = W_BOOL};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        if (id == 1) {
            out->num_values = eg_pq_thrift_i32(r, wire);
            SEEN(1);
        } else if (id == 2) {
            out->encoding = eg_pq_thrift_i32(r, wire);
            SEEN(2);
        } else {
            out->is_sorted = eg_pq_thrift_bool(r, wire);
        }
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 0x6, "a dictionary page header");
    out->has_body = true;
}

eg_status eg_pq_decode_page_header(eg_pq_thrift *r, eg_pq_page_header *out) {
    static const uint8_t fields[] = {[1] = W_I32,    [2] = W_I32,    [3] = W_I32,   [4] = W_I32,
                                     [5] = W_STRUCT, [7] = W_STRUCT, [8] = W_STRUCT};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    memset(out, 0, sizeof *out);
    out->is_compressed = true;
    if (!eg_pq_thrift_enter(r))
        return r->status;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        SEEN(id);
        /* The type comes first: another type's header says nothing about this page. */
        if (id == 1)
            out->type = eg_pq_thrift_i32(r, wire);
        else if (id == 2)
            out->uncompressed_bytes = eg_pq_thrift_i32(r, wire);
        else if (id == 3)
            out->compressed_bytes = eg_pq_thrift_i32(r, wire);
        else if (id == 4) {
            out->crc = (uint32_t)eg_pq_thrift_i32(r, wire);
            out->has_crc = true;
        } else if (id == 5 && out->type == EG_PQ_DATA_PAGE)
            decode_data_page(r, false, out);
        else if (id == 7 && out->type == EG_PQ_DICTIONARY_PAGE)
            decode_dictionary_page(r, out);
        else if (id == 8 && out->type == EG_PQ_DATA_PAGE_V2)
            decode_data_page(r, true, out);
        else
            eg_pq_thrift_skip(r, wire);
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 0xe, "a page header"); /* type, sizes */
    bool is_known = out->type == EG_PQ_DATA_PAGE || out->type == EG_PQ_DICTIONARY_PAGE ||
                    out->type == EG_PQ_DATA_PAGE_V2;
    if (r->status == EG_OK && is_known && !out->has_body)
        eg_pq_thrift_fail(r, EG_CORRUPT, "a page header of type %d without that type's part",
                          (int)out->type);
    return r->status;
}

static void decode_page_location(eg_pq_thrift *r, eg_pq_page_location *out) {
    static const uint8_t fields[] = {[1] = W_I64, [2] = W_I32, [3] = W_I64};
    static const uint8_t heads[] = {0x10 | W_I64, 0x10 | W_I32, 0x10 | W_I64};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    int64_t numbers[3];
    size_t start = r->pos;
    /* A lookup reads thousands of these, and all writers give all three. */
    if (eg_pq_thrift_ints(r, heads, 3, numbers)) {
        *out = (eg_pq_page_location){
            .offset = numbers[0], .compressed_bytes = (int32_t)numbers[1], .first_row = numbers[2]};
        if (numbers[1] == out->compressed_bytes)
            return;
        r->pos = start; /* for the message */
    }
    if (!eg_pq_thrift_enter(r))
        return;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        SEEN(id);
        if (id == 1)
            out->offset = eg_pq_thrift_i64(r, wire);
        else if (id == 2)
            out->compressed_bytes = eg_pq_thrift_i32(r, wire);
        else
            out->first_row = eg_pq_thrift_i64(r, wire);
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 0xe, "a page location");
}

eg_status eg_pq_decode_offset_index(eg_pq_thrift *r, eg_pq_arena *arena, eg_pq_offset_index *out) {
    static const uint8_t fields[] = {[1] = W_LIST};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    memset(out, 0, sizeof *out);
    if (!eg_pq_thrift_enter(r))
        return r->status;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        uint32_t n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_STRUCT);
        eg_pq_page_location *pages = take_array(r, arena, n, sizeof *pages);
        for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
            decode_page_location(r, &pages[i]);
        out->pages = pages;
        out->n_pages = n;
        SEEN(1);
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 0x2, "an offset index");
    return r->status;
}

static const eg_pq_bytes *decode_bounds(eg_pq_thrift *r, eg_pq_wire wire, eg_pq_arena *arena,
                                        uint32_t *n_out) {
    uint32_t n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_BINARY);
    eg_pq_bytes *bounds = take_array(r, arena, n, sizeof *bounds);
    for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
        bounds[i] = eg_pq_thrift_binary(r, EG_PQ_WIRE_BINARY);
    *n_out = n;
    return bounds;
}

eg_status eg_pq_decode_column_index(eg_pq_thrift *r, eg_pq_arena *arena, eg_pq_column_index *out) {
    static const uint8_t fields[] = {
        [1] = W_LIST, [2] = W_LIST, [3] = W_LIST, [4] = W_I32, [5] = W_LIST};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0, n_min = 0, n_max = 0, n_counts = 0;
    memset(out, 0, sizeof *out);
    if (!eg_pq_thrift_enter(r))
        return r->status;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        SEEN(id);
        switch (id) {
        case 1: {
            uint32_t n = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_TRUE);
            bool *null_pages = take_array(r, arena, n, sizeof *null_pages);
            for (uint32_t i = 0; i < n && r->status == EG_OK; i++)
                null_pages[i] = eg_pq_thrift_list_bool(r);
            out->is_null_page = null_pages;
            out->n_pages = n;
            break;
        }
        case 2:
            out->min_values = decode_bounds(r, wire, arena, &n_min);
            break;
        case 3:
            out->max_values = decode_bounds(r, wire, arena, &n_max);
            break;
        case 4:
            out->boundary_order = eg_pq_thrift_i32(r, wire);
            break;
        case 5: {
            n_counts = eg_pq_thrift_list(r, wire, EG_PQ_WIRE_I64);
            int64_t *counts = take_array(r, arena, n_counts, sizeof *counts);
            for (uint32_t i = 0; i < n_counts && r->status == EG_OK; i++)
                counts[i] = eg_pq_thrift_i64(r, EG_PQ_WIRE_I64);
            out->null_counts = counts;
            break;
        }
        }
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 0x1e, "a column index"); /* null_pages, min, max, boundary_order */
    if (r->status == EG_OK && (n_min != out->n_pages || n_max != out->n_pages ||
                               ((seen & 1u << 5) != 0 && n_counts != out->n_pages)))
        eg_pq_thrift_fail(r, EG_CORRUPT, "lists of %u, %u, %u and %u pages in one column index",
                          out->n_pages, n_min, n_max, n_counts);
    return r->status;
}

eg_status eg_pq_decode_bloom_header(eg_pq_thrift *r, eg_pq_bloom_header *out) {
    static const uint8_t fields[] = {[1] = W_I32, [2] = W_STRUCT, [3] = W_STRUCT, [4] = W_STRUCT};
    int16_t id = 0;
    eg_pq_wire wire;
    uint32_t seen = 0;
    bool is_known = true;
    memset(out, 0, sizeof *out);
    if (!eg_pq_thrift_enter(r))
        return r->status;
    while ((wire = NEXT(fields)) != EG_PQ_WIRE_STOP) {
        SEEN(id);
        if (id == 1)
            out->n_bytes = eg_pq_thrift_i32(r, wire);
        else
            is_known = decode_union(r, wire) == 1 && is_known;
    }
    eg_pq_thrift_leave(r);
    require(r, seen, 0x1e, "a Bloom filter header");
    out->is_split_block = is_known;
    return r->status;
}
