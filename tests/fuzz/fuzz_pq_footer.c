/*
** Property: whatever a footer, page index or Bloom filter says, opening the file
** ends with a status; and metadata that was understood is written to bytes that
** are understood as the same.
**
** Input: two bytes, little endian: how many bytes of data follow; the data (page
** indexes, Bloom filters, pages); the rest is the footer. The file around it is
** sound, so that every input reaches the footer.
*/
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "fuzz_check.h"
#include "parquet/pq_reader.h"

static volatile uint8_t sink; /* so that reads of views are not left out */

static void touch(eg_pq_bytes b) {
    for (uint32_t i = 0; i < b.n_bytes; i++)
        sink = b.data[i];
}

static void touch_bounds(const eg_pq_column *c, const eg_pq_bounds *b) {
    if (b->has_min)
        touch(b->min);
    if (b->has_max)
        touch(b->max);
    if (b->has_min && b->has_max)
        CHECK(eg_pq_column_compare(c, b->min, b->max) <= 0);
}

static void read_chunk(eg_pq_file *f, uint32_t g, uint32_t c, eg_pq_codec *codec) {
    const eg_pq_column *column = eg_pq_file_column(f, c);
    eg_pq_bounds bounds;
    eg_pq_index index;
    eg_pq_bloom bloom;
    eg_pq_reader *r;
    eg_err err;
    eg_pq_file_bounds(f, g, c, &bounds);
    touch_bounds(column, &bounds);
    eg_pq_file_all_dictionary(f, g, c);
    if (eg_pq_bloom_find(f, g, c, &bloom, &err) == EG_OK) {
        bool maybe;
        CHECK(eg_pq_bloom_probe(&bloom, "abc", 3, &maybe, &err) == EG_OK);
    }
    bool has_index = eg_pq_index_open(f, g, c, &index, &err) == EG_OK;
    for (uint32_t i = 0; index.bounds != NULL && i < index.n_pages; i++)
        touch_bounds(column, &index.bounds[i].bounds);
    if (eg_pq_reader_open(f, g, c, codec, &r, &err) == EG_OK) {
        eg_pq_vector v;
        int64_t n_rows = eg_pq_file_row_group(f, g)->num_rows;
        if (has_index && n_rows > 3)
            eg_pq_reader_seek(r, n_rows - 3, n_rows, &index, &err);
        for (int i = 0; i < 4 && eg_pq_reader_next(r, 64, &v, &err) == EG_OK; i++)
            CHECK(v.n_rows >= 1 && v.n_rows <= 64 && v.first_row + v.n_rows <= n_rows);
        eg_pq_reader_close(r);
    }
    eg_pq_index_close(&index);
}

/* Decodes, encodes, and does both again: the bytes do not change any more. */
static void check_same_again(const uint8_t *footer, size_t n) {
    eg_pq_buffer out[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++) {
        eg_pq_arena arena = {.budget_bytes = 16 * n + (1 << 20)};
        eg_pq_file_meta m;
        eg_pq_thrift r;
        const uint8_t *p = i == 0 ? footer : out[0].data;
        eg_pq_thrift_init(&r, p, i == 0 ? n : out[0].n_bytes, "f", "footer", 0, NULL);
        eg_status rc = eg_pq_decode_file_meta(&r, &arena, &m);
        if (i == 1)
            CHECK(rc == EG_OK || rc == EG_LIMIT);
        if (rc == EG_OK) {
            for (uint32_t k = 0; k < m.n_key_values; k++)
                touch(m.key_values[k].value);
            /* What is encrypted has no metadata that could be written. */
            bool is_whole = true;
            for (uint32_t g = 0; g < m.n_row_groups; g++) {
                for (uint32_t c = 0; c < m.row_groups[g].n_chunks; c++)
                    is_whole = is_whole && m.row_groups[g].chunks[c].has_meta;
            }
            if (is_whole)
                eg_pq_encode_file_meta(&out[i], &m);
        }
        eg_pq_arena_free(&arena);
        if (rc != EG_OK || out[i].n_bytes == 0)
            break;
    }
    if (out[1].n_bytes > 0) {
        CHECK(out[0].n_bytes == out[1].n_bytes);
        CHECK(memcmp(out[0].data, out[1].data, out[0].n_bytes) == 0);
    }
    eg_pq_buffer_free(&out[0]);
    eg_pq_buffer_free(&out[1]);
}

static void read_file(const uint8_t *bytes, size_t n, eg_pq_codec *codec) {
    static int memory = -1; /* one file that every input is written to */
    eg_pq_file *f;
    eg_err err;
    if (memory < 0)
        memory = memfd_create("fuzz.parquet", MFD_CLOEXEC);
    CHECK(memory >= 0 && ftruncate(memory, (off_t)n) == 0);
    CHECK(pwrite(memory, bytes, n, 0) == (ssize_t)n);
    eg_status rc = eg_pq_file_open_fd(dup(memory), "fuzz.parquet", &f, &err);
    if (rc != EG_OK) {
        CHECK(rc == EG_CORRUPT || rc == EG_UNSUPPORTED || rc == EG_LIMIT);
        CHECK(err.code == rc && strncmp(err.msg, "fuzz.parquet: ", 14) == 0);
        return;
    }
    for (uint32_t g = 0; g < eg_pq_file_row_groups(f) && g < 8; g++) {
        for (uint32_t c = 0; c < eg_pq_file_columns(f) && c < 8; c++)
            read_chunk(f, g, c, codec);
    }
    eg_pq_file_close(f);
}

/* Index and filter structs by themselves, in blocks of exactly their size. */
static void read_structs(const uint8_t *data, size_t n) {
    eg_pq_arena arena = {.budget_bytes = 16 * n + (1 << 16)};
    eg_pq_thrift r;
    eg_pq_offset_index offsets;
    eg_pq_column_index bounds;
    eg_pq_bloom_header bloom;
    eg_pq_page_header page;
    eg_pq_thrift_init(&r, data, n, "f", "offset index", 0, NULL);
    eg_pq_decode_offset_index(&r, &arena, &offsets);
    eg_pq_thrift_init(&r, data, n, "f", "column index", 0, NULL);
    if (eg_pq_decode_column_index(&r, &arena, &bounds) == EG_OK) {
        for (uint32_t i = 0; i < bounds.n_pages; i++) {
            touch(bounds.min_values[i]);
            touch(bounds.max_values[i]);
            sink = bounds.is_null_page[i];
        }
    }
    eg_pq_thrift_init(&r, data, n, "f", "Bloom filter header", 0, NULL);
    eg_pq_decode_bloom_header(&r, &bloom);
    eg_pq_thrift_init(&r, data, n, "f", "page header", 0, NULL);
    eg_pq_decode_page_header(&r, &page);
    CHECK(r.pos <= n);
    eg_pq_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static eg_pq_codec *codec; /* kept from input to input */
    if (size < 2 || size > 1 << 20)
        return 0;
    if (codec == NULL)
        CHECK(eg_pq_codec_open(&codec, NULL) == EG_OK);
    size_t n_data = eg_le16(data);
    data += 2;
    size -= 2;
    n_data = n_data < size ? n_data : size;
    size_t n_footer = size - n_data;

    uint8_t *file = malloc(size + 12);
    CHECK(file != NULL);
    memcpy(file, "PAR1", 4);
    memcpy(file + 4, data, size);
    for (unsigned i = 0; i < 4; i++)
        file[4 + size + i] = (uint8_t)(n_footer >> (8 * i));
    memcpy(file + 8 + size, "PAR1", 4);
    read_file(file, size + 12, codec);
    free(file);

    uint8_t *exact = malloc(n_data + 1);
    CHECK(exact != NULL);
    memcpy(exact, data, n_data);
    read_structs(exact, n_data);
    free(exact);
    exact = malloc(n_footer + 1);
    CHECK(exact != NULL);
    memcpy(exact, data + n_data, n_footer);
    check_same_again(exact, n_footer);
    free(exact);
    return 0;
}
