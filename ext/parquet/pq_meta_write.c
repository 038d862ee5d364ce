/* Encoding of the metadata structs; the counterpart of pq_meta.c. */
#include "parquet/pq_meta.h"

typedef eg_pq_thrift_writer writer;

/* A union member or a struct without fields. */
static void put_empty(writer *w, int16_t id) {
    eg_pq_thrift_put_struct(w, id);
    eg_pq_thrift_end(w);
}

static void put_logical(writer *w, int16_t id, const eg_pq_logical_type *t) {
    eg_pq_thrift_put_struct(w, id);
    eg_pq_thrift_put_struct(w, t->id);
    if (t->id == EG_PQ_LOGICAL_ID_DECIMAL) {
        eg_pq_thrift_put_i32(w, 1, t->scale);
        eg_pq_thrift_put_i32(w, 2, t->precision);
    } else if (t->id == EG_PQ_LOGICAL_ID_TIMESTAMP) {
        eg_pq_thrift_put_bool(w, 1, t->is_utc);
        eg_pq_thrift_put_struct(w, 2);
        put_empty(w, t->unit);
        eg_pq_thrift_end(w);
    } else if (t->id == EG_PQ_LOGICAL_ID_INTEGER) {
        eg_pq_thrift_put_i8(w, 1, t->bits);
        eg_pq_thrift_put_bool(w, 2, t->is_signed);
    }
    eg_pq_thrift_end(w);
    eg_pq_thrift_end(w);
}

static void put_schema_element(writer *w, const eg_pq_schema_element *e) {
    eg_pq_thrift_begin(w);
    if (e->has_type)
        eg_pq_thrift_put_i32(w, 1, e->type);
    if (e->type_length > 0)
        eg_pq_thrift_put_i32(w, 2, e->type_length);
    if (e->repetition >= 0)
        eg_pq_thrift_put_i32(w, 3, e->repetition);
    eg_pq_thrift_put_binary(w, 4, e->name);
    if (e->n_children > 0 || !e->has_type)
        eg_pq_thrift_put_i32(w, 5, e->n_children);
    if (e->converted >= 0)
        eg_pq_thrift_put_i32(w, 6, e->converted);
    if (e->converted == EG_PQ_CONVERTED_DECIMAL) {
        eg_pq_thrift_put_i32(w, 7, e->scale);
        eg_pq_thrift_put_i32(w, 8, e->precision);
    }
    if (e->logical.id != EG_PQ_LOGICAL_ID_NONE)
        put_logical(w, 10, &e->logical);
    eg_pq_thrift_end(w);
}

static void put_key_values(writer *w, int16_t id, const eg_pq_key_value *kv, uint32_t n) {
    if (n == 0)
        return;
    eg_pq_thrift_put_list(w, id, EG_PQ_WIRE_STRUCT, n);
    for (uint32_t i = 0; i < n; i++) {
        eg_pq_thrift_begin(w);
        eg_pq_thrift_put_binary(w, 1, kv[i].key);
        if (kv[i].value.data != NULL)
            eg_pq_thrift_put_binary(w, 2, kv[i].value);
        eg_pq_thrift_end(w);
    }
}

static void put_bound(writer *w, int16_t id, eg_pq_bytes v) {
    if (v.data != NULL)
        eg_pq_thrift_put_binary(w, id, v);
}

static void put_statistics(writer *w, int16_t id, const eg_pq_statistics *s) {
    bool has_bounds = s->max.data != NULL || s->min.data != NULL || s->max_value.data != NULL ||
                      s->min_value.data != NULL;
    if (!has_bounds && s->null_count < 0 && s->distinct_count < 0)
        return;
    eg_pq_thrift_put_struct(w, id);
    put_bound(w, 1, s->max);
    put_bound(w, 2, s->min);
    if (s->null_count >= 0)
        eg_pq_thrift_put_i64(w, 3, s->null_count);
    if (s->distinct_count >= 0)
        eg_pq_thrift_put_i64(w, 4, s->distinct_count);
    put_bound(w, 5, s->max_value);
    put_bound(w, 6, s->min_value);
    if (s->max_exact >= 0)
        eg_pq_thrift_put_bool(w, 7, s->max_exact != 0);
    if (s->min_exact >= 0)
        eg_pq_thrift_put_bool(w, 8, s->min_exact != 0);
    eg_pq_thrift_end(w);
}

static void put_column_meta(writer *w, int16_t id, const eg_pq_chunk *c) {
    eg_pq_thrift_put_struct(w, id);
    eg_pq_thrift_put_i32(w, 1, c->type);
    eg_pq_thrift_put_list(w, 2, EG_PQ_WIRE_I32, c->n_encodings);
    for (uint32_t i = 0; i < c->n_encodings; i++)
        eg_pq_thrift_item_int(w, c->encodings[i]);
    eg_pq_thrift_put_list(w, 3, EG_PQ_WIRE_BINARY, c->n_path);
    for (uint32_t i = 0; i < c->n_path; i++)
        eg_pq_thrift_item_binary(w, c->path[i]);
    eg_pq_thrift_put_i32(w, 4, c->codec);
    eg_pq_thrift_put_i64(w, 5, c->num_values);
    eg_pq_thrift_put_i64(w, 6, c->total_uncompressed_bytes);
    eg_pq_thrift_put_i64(w, 7, c->total_compressed_bytes);
    put_key_values(w, 8, c->key_values, c->n_key_values);
    eg_pq_thrift_put_i64(w, 9, c->data_page_offset);
    if (c->index_page_offset != 0)
        eg_pq_thrift_put_i64(w, 10, c->index_page_offset);
    if (c->dictionary_page_offset != 0)
        eg_pq_thrift_put_i64(w, 11, c->dictionary_page_offset);
    put_statistics(w, 12, &c->statistics);
    if (c->n_encoding_stats > 0) {
        eg_pq_thrift_put_list(w, 13, EG_PQ_WIRE_STRUCT, c->n_encoding_stats);
        for (uint32_t i = 0; i < c->n_encoding_stats; i++) {
            eg_pq_thrift_begin(w);
            eg_pq_thrift_put_i32(w, 1, c->encoding_stats[i].page_type);
            eg_pq_thrift_put_i32(w, 2, c->encoding_stats[i].encoding);
            eg_pq_thrift_put_i32(w, 3, c->encoding_stats[i].n_pages);
            eg_pq_thrift_end(w);
        }
    }
    if (c->bloom_filter_offset != 0)
        eg_pq_thrift_put_i64(w, 14, c->bloom_filter_offset);
    if (c->bloom_filter_length != 0)
        eg_pq_thrift_put_i32(w, 15, c->bloom_filter_length);
    eg_pq_thrift_end(w);
}

static void put_chunk(writer *w, const eg_pq_chunk *c) {
    eg_pq_thrift_begin(w);
    if (c->file_path.data != NULL)
        eg_pq_thrift_put_binary(w, 1, c->file_path);
    eg_pq_thrift_put_i64(w, 2, c->file_offset);
    put_column_meta(w, 3, c);
    if (c->offset_index_offset != 0) {
        eg_pq_thrift_put_i64(w, 4, c->offset_index_offset);
        eg_pq_thrift_put_i32(w, 5, c->offset_index_length);
    }
    if (c->column_index_offset != 0) {
        eg_pq_thrift_put_i64(w, 6, c->column_index_offset);
        eg_pq_thrift_put_i32(w, 7, c->column_index_length);
    }
    eg_pq_thrift_end(w);
}

static void put_row_group(writer *w, const eg_pq_row_group *g) {
    eg_pq_thrift_begin(w);
    eg_pq_thrift_put_list(w, 1, EG_PQ_WIRE_STRUCT, g->n_chunks);
    for (uint32_t i = 0; i < g->n_chunks; i++)
        put_chunk(w, &g->chunks[i]);
    eg_pq_thrift_put_i64(w, 2, g->total_bytes);
    eg_pq_thrift_put_i64(w, 3, g->num_rows);
    if (g->n_sorting > 0) {
        eg_pq_thrift_put_list(w, 4, EG_PQ_WIRE_STRUCT, g->n_sorting);
        for (uint32_t i = 0; i < g->n_sorting; i++) {
            eg_pq_thrift_begin(w);
            eg_pq_thrift_put_i32(w, 1, g->sorting[i].column);
            eg_pq_thrift_put_bool(w, 2, g->sorting[i].is_descending);
            eg_pq_thrift_put_bool(w, 3, g->sorting[i].is_nulls_first);
            eg_pq_thrift_end(w);
        }
    }
    if (g->file_offset != 0)
        eg_pq_thrift_put_i64(w, 5, g->file_offset);
    if (g->total_compressed_bytes >= 0)
        eg_pq_thrift_put_i64(w, 6, g->total_compressed_bytes);
    if (g->ordinal >= 0)
        eg_pq_thrift_put_i16(w, 7, g->ordinal);
    eg_pq_thrift_end(w);
}

void eg_pq_encode_file_meta(eg_pq_buffer *out, const eg_pq_file_meta *m) {
    writer w;
    eg_pq_thrift_writer_init(&w, out);
    eg_pq_thrift_begin(&w);
    eg_pq_thrift_put_i32(&w, 1, m->version);
    eg_pq_thrift_put_list(&w, 2, EG_PQ_WIRE_STRUCT, m->n_schema);
    for (uint32_t i = 0; i < m->n_schema; i++)
        put_schema_element(&w, &m->schema[i]);
    eg_pq_thrift_put_i64(&w, 3, m->num_rows);
    eg_pq_thrift_put_list(&w, 4, EG_PQ_WIRE_STRUCT, m->n_row_groups);
    for (uint32_t i = 0; i < m->n_row_groups; i++)
        put_row_group(&w, &m->row_groups[i]);
    put_key_values(&w, 5, m->key_values, m->n_key_values);
    if (m->created_by.data != NULL)
        eg_pq_thrift_put_binary(&w, 6, m->created_by);
    if (m->n_column_orders > 0) {
        eg_pq_thrift_put_list(&w, 7, EG_PQ_WIRE_STRUCT, m->n_column_orders);
        for (uint32_t i = 0; i < m->n_column_orders; i++) {
            eg_pq_thrift_begin(&w);
            put_empty(&w, 1);
            eg_pq_thrift_end(&w);
        }
    }
    eg_pq_thrift_end(&w);
}

void eg_pq_encode_page_header(eg_pq_buffer *out, const eg_pq_page_header *h) {
    writer w;
    eg_pq_thrift_writer_init(&w, out);
    eg_pq_thrift_begin(&w);
    eg_pq_thrift_put_i32(&w, 1, h->type);
    eg_pq_thrift_put_i32(&w, 2, h->uncompressed_bytes);
    eg_pq_thrift_put_i32(&w, 3, h->compressed_bytes);
    if (h->has_crc)
        eg_pq_thrift_put_i32(&w, 4, (int32_t)h->crc);
    if (h->type == EG_PQ_DATA_PAGE) {
        eg_pq_thrift_put_struct(&w, 5);
        eg_pq_thrift_put_i32(&w, 1, h->num_values);
        eg_pq_thrift_put_i32(&w, 2, h->encoding);
        eg_pq_thrift_put_i32(&w, 3, h->level_encoding);
        eg_pq_thrift_put_i32(&w, 4, EG_PQ_RLE);
        eg_pq_thrift_end(&w);
    } else if (h->type == EG_PQ_DICTIONARY_PAGE) {
        eg_pq_thrift_put_struct(&w, 7);
        eg_pq_thrift_put_i32(&w, 1, h->num_values);
        eg_pq_thrift_put_i32(&w, 2, h->encoding);
        eg_pq_thrift_put_bool(&w, 3, h->is_sorted);
        eg_pq_thrift_end(&w);
    } else if (h->type == EG_PQ_DATA_PAGE_V2) {
        eg_pq_thrift_put_struct(&w, 8);
        eg_pq_thrift_put_i32(&w, 1, h->num_values);
        eg_pq_thrift_put_i32(&w, 2, h->num_nulls);
        eg_pq_thrift_put_i32(&w, 3, h->num_rows);
        eg_pq_thrift_put_i32(&w, 4, h->encoding);
        eg_pq_thrift_put_i32(&w, 5, h->definition_bytes);
        eg_pq_thrift_put_i32(&w, 6, h->repetition_bytes);
        eg_pq_thrift_put_bool(&w, 7, h->is_compressed);
        eg_pq_thrift_end(&w);
    }
    eg_pq_thrift_end(&w);
}

void eg_pq_encode_offset_index(eg_pq_buffer *out, const eg_pq_offset_index *x) {
    writer w;
    eg_pq_thrift_writer_init(&w, out);
    eg_pq_thrift_begin(&w);
    eg_pq_thrift_put_list(&w, 1, EG_PQ_WIRE_STRUCT, x->n_pages);
    for (uint32_t i = 0; i < x->n_pages; i++) {
        eg_pq_thrift_begin(&w);
        eg_pq_thrift_put_i64(&w, 1, x->pages[i].offset);
        eg_pq_thrift_put_i32(&w, 2, x->pages[i].compressed_bytes);
        eg_pq_thrift_put_i64(&w, 3, x->pages[i].first_row);
        eg_pq_thrift_end(&w);
    }
    eg_pq_thrift_end(&w);
}

void eg_pq_encode_column_index(eg_pq_buffer *out, const eg_pq_column_index *x) {
    writer w;
    eg_pq_thrift_writer_init(&w, out);
    eg_pq_thrift_begin(&w);
    eg_pq_thrift_put_list(&w, 1, EG_PQ_WIRE_TRUE, x->n_pages);
    for (uint32_t i = 0; i < x->n_pages; i++)
        eg_pq_thrift_item_bool(&w, x->is_null_page[i]);
    eg_pq_thrift_put_list(&w, 2, EG_PQ_WIRE_BINARY, x->n_pages);
    for (uint32_t i = 0; i < x->n_pages; i++)
        eg_pq_thrift_item_binary(&w, x->min_values[i]);
    eg_pq_thrift_put_list(&w, 3, EG_PQ_WIRE_BINARY, x->n_pages);
    for (uint32_t i = 0; i < x->n_pages; i++)
        eg_pq_thrift_item_binary(&w, x->max_values[i]);
    eg_pq_thrift_put_i32(&w, 4, x->boundary_order);
    if (x->null_counts != NULL) {
        eg_pq_thrift_put_list(&w, 5, EG_PQ_WIRE_I64, x->n_pages);
        for (uint32_t i = 0; i < x->n_pages; i++)
            eg_pq_thrift_item_int(&w, x->null_counts[i]);
    }
    eg_pq_thrift_end(&w);
}

void eg_pq_encode_bloom_header(eg_pq_buffer *out, const eg_pq_bloom_header *h) {
    writer w;
    eg_pq_thrift_writer_init(&w, out);
    eg_pq_thrift_begin(&w);
    eg_pq_thrift_put_i32(&w, 1, h->n_bytes);
    for (int16_t id = 2; id <= 4; id++) { /* BLOCK, XXHASH, UNCOMPRESSED */
        eg_pq_thrift_put_struct(&w, id);
        put_empty(&w, 1);
        eg_pq_thrift_end(&w);
    }
    eg_pq_thrift_end(&w);
}
