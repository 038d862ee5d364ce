#include "parquet/pq_reader.h"

#include <stdlib.h>
#include <string.h>

#include "parquet/pq_encoding.h"

#define READ_AHEAD ((size_t)64 << 10)   /* read at once where pages are read one after another */
#define HEADER_BYTES ((size_t)256)      /* as much as most page headers are */
#define HEADER_LIMIT ((size_t)16 << 20) /* longest page header: statistics can be texts */

struct eg_pq_reader {
    eg_pq_file *file;           /* borrowed */
    eg_pq_codec *codec;         /* borrowed */
    const eg_pq_column *column; /* of the file */
    const eg_pq_chunk *chunk;
    uint32_t row_group;
    int64_t start, end;  /* the chunk's bytes in the file, behind its dictionary once started */
    int64_t pos;         /* next page header */
    int64_t n_rows;      /* of the row group */
    int64_t page_row;    /* first row of the current page */
    int64_t next_row;    /* first row of the next page */
    int64_t said_n_rows; /* of the next page, by an index; -1 unknown */
    bool is_started;     /* the dictionary's header, if there is one, was read */
    bool has_dictionary; /* of n_entries; its values are there once it is loaded */
    bool is_loaded;
    eg_pq_dictionary dictionary;
    eg_pq_page_header dictionary_header;
    int64_t dictionary_pos;    /* of the header */
    size_t dictionary_n_head;  /* bytes of it */
    size_t n_dictionary_bytes; /* that its values take as an array */
    eg_pq_page page;
    /* Buffers, charged to the file's budget. */
    eg_pq_block window; /* bytes of the file: [window_off, window_off + n_window) */
    eg_pq_block body, dictionary_raw, dictionary_body, dictionary_values;
    int64_t window_off;
    size_t n_window;
    size_t ahead;  /* bytes to read at once, where there are as many */
    int64_t until; /* of the file, behind the pages that are wanted: no more is read at once */
    eg_pq_reader_counts counts;
    eg_status failed; /* EG_OK, or what sticks */
    eg_err failure;
};

/* ---- Memory and bytes */

static void release(eg_pq_reader *r, eg_pq_block *b) {
    eg_pq_file_give(r->file, b->capacity);
    free(b->data);
    b->data = NULL;
    b->capacity = 0;
}

/* Makes sure of `need` bytes (at least one); old contents are lost. There are some to spare
** (pq_page.h), if the budget allows it. */
static eg_status reserve(eg_pq_reader *r, eg_pq_block *b, size_t need, eg_err *err) {
    need += need == 0;
    if (need <= b->capacity)
        return EG_OK;
    size_t wanted = need + need / EG_PQ_SPARE_PART;
    /* The old block goes first: both at once would count against the budget. */
    release(r, b);
    eg_status rc = eg_pq_file_take(r->file, wanted, err);
    if (rc != EG_OK && wanted > need)
        rc = eg_pq_file_take(r->file, wanted = need, err);
    if (rc != EG_OK)
        return rc;
    rc = eg_pq_block_renew(b, wanted, err);
    if (rc != EG_OK)
        eg_pq_file_give(r->file, wanted);
    return rc;
}

static void release_all(eg_pq_reader *r) {
    release(r, &r->window);
    release(r, &r->body);
    release(r, &r->dictionary_raw);
    release(r, &r->dictionary_body);
    release(r, &r->dictionary_values);
}

/* Gives n bytes of the file at an offset of the chunk, in the window; they stay
** until the next call. */
static eg_status need_bytes(eg_pq_reader *r, int64_t offset, size_t n, const uint8_t **out,
                            eg_err *err) {
    if (offset < r->window_off || offset > r->window_off + (int64_t)r->n_window) {
        r->window_off = offset;
        r->n_window = 0;
    }
    size_t skip = (size_t)(offset - r->window_off), have = r->n_window - skip;
    if (have < n) {
        int64_t until = offset < r->until ? r->until : r->end;
        size_t ahead = (uint64_t)(until - offset) < r->ahead ? (size_t)(until - offset) : r->ahead;
        size_t want = n > ahead ? n : ahead;
        if (want > r->window.capacity) {
            /* Grows by a new block, for what is there is kept. */
            eg_pq_block grown = {NULL, 0};
            eg_status rc = reserve(r, &grown, want, err);
            if (rc != EG_OK)
                return rc;
            if (have > 0)
                memcpy(grown.data, r->window.data + skip, have);
            release(r, &r->window);
            r->window = grown;
        } else if (have > 0) {
            memmove(r->window.data, r->window.data + skip, have);
        }
        r->window_off = offset;
        r->n_window = have;
        skip = 0;
        eg_status rc = eg_pq_file_read(r->file, offset + (int64_t)have, r->window.data + have,
                                       want - have, err);
        if (rc != EG_OK)
            return rc;
        r->counts.bytes_read += (int64_t)(want - have);
        r->n_window = want;
    }
    static const uint8_t nothing[1];
    *out = r->window.data != NULL ? r->window.data + skip : nothing;
    return EG_OK;
}

/* ---- Pages */

static eg_pq_place place(const eg_pq_reader *r) {
    return (eg_pq_place){.file = eg_pq_file_name(r->file),
                         .column = r->column->name,
                         .row_group = r->row_group,
                         .offset = r->pos};
}

/* Reads the page header at r->pos and checks its sizes; *n_head is its length. */
static eg_status read_header(eg_pq_reader *r, eg_pq_page_header *h, size_t *n_head, eg_err *err) {
    eg_pq_place at = place(r);
    size_t n_room = (size_t)(r->end - r->pos);
    size_t n_most = n_room < HEADER_LIMIT ? n_room : HEADER_LIMIT;
    for (size_t n = n_most < HEADER_BYTES ? n_most : HEADER_BYTES;;
         n = n < n_most / 2 ? n * 2 : n_most) {
        const uint8_t *bytes;
        eg_err cause;
        eg_status rc = need_bytes(r, r->pos, n, &bytes, err);
        if (rc != EG_OK)
            return rc;
        eg_pq_thrift t;
        eg_pq_thrift_init(&t, bytes, n, eg_pq_file_name(r->file), "page header", r->pos, &cause);
        rc = eg_pq_decode_page_header(&t, h);
        if (rc == EG_OK) {
            *n_head = t.pos;
            return eg_pq_page_check(h, (int64_t)(n_room - t.pos), &at, err);
        }
        if (!t.is_cut || n == n_most)
            return eg_pq_place_fail(&at, rc, err, "%s", cause.msg);
    }
}

/* Reads the header of the dictionary where the chunk starts with one. Its offset in the
** footer is not asked: some writers leave it out, others put a 0. */
static eg_status start(eg_pq_reader *r, eg_err *err) {
    if (r->is_started)
        return EG_OK;
    r->is_started = true;
    if (r->n_rows == 0)
        return EG_OK;
    eg_pq_page_header *h = &r->dictionary_header;
    eg_pq_place at = place(r);
    eg_status rc = read_header(r, h, &r->dictionary_n_head, err);
    if (rc != EG_OK || h->type != EG_PQ_DICTIONARY_PAGE)
        return rc;
    rc = eg_pq_dictionary_check(r->column, h, (size_t)h->uncompressed_bytes, &at,
                                &r->n_dictionary_bytes, err);
    if (rc != EG_OK)
        return rc;
    r->has_dictionary = true;
    r->dictionary = (eg_pq_dictionary){.n_entries = (uint32_t)h->num_values};
    r->dictionary_pos = r->pos;
    r->pos += (int64_t)r->dictionary_n_head + h->compressed_bytes;
    r->start = r->pos;
    return EG_OK;
}

/* Reads the values of the dictionary. Not by the window: the current page may view it. */
static eg_status load_dictionary(eg_pq_reader *r, eg_err *err) {
    const eg_pq_page_header *h = &r->dictionary_header;
    size_t n_raw = (size_t)h->compressed_bytes, n_body = (size_t)h->uncompressed_bytes;
    bool is_body = r->chunk->codec == EG_PQ_UNCOMPRESSED && n_raw == n_body;
    eg_pq_place at = place(r);
    at.offset = r->dictionary_pos;
    eg_err cause;
    eg_status rc = reserve(r, &r->dictionary_raw, n_raw, err);
    if (rc == EG_OK && !is_body)
        rc = reserve(r, &r->dictionary_body, n_body, err);
    if (rc == EG_OK)
        rc = eg_pq_file_read(r->file, r->dictionary_pos + (int64_t)r->dictionary_n_head,
                             r->dictionary_raw.data, n_raw, err);
    if (rc == EG_OK)
        rc = eg_pq_page_check_crc(h, r->dictionary_raw.data, &at, err);
    if (rc != EG_OK)
        return rc;
    r->counts.bytes_read += (int64_t)n_raw;
    r->counts.pages++;
    const uint8_t *body = is_body ? r->dictionary_raw.data : r->dictionary_body.data;
    if (!is_body)
        rc = eg_pq_decompress(r->codec, r->chunk->codec, r->dictionary_raw.data, n_raw,
                              r->dictionary_body.data, n_body, &cause);
    if (rc != EG_OK)
        return eg_pq_place_fail(&at, rc, err, "%s", cause.msg);
    bool is_array = eg_pq_plain_is_array(r->column->type);
    if (!is_array)
        rc = reserve(r, &r->dictionary_values, r->n_dictionary_bytes, err);
    if (rc == EG_OK)
        rc = eg_pq_dictionary_read(r->column, h, body, n_body,
                                   is_array ? NULL : r->dictionary_values.data, &at, &r->dictionary,
                                   err);
    r->is_loaded = rc == EG_OK;
    return rc;
}

/* Reads headers up to the next data page, which becomes h at r->pos. */
static eg_status find_page(eg_pq_reader *r, eg_pq_page_header *h, size_t *n_head, eg_err *err) {
    for (;;) {
        eg_pq_place at = place(r);
        if (r->pos >= r->end)
            return eg_pq_place_fail(&at, EG_CORRUPT, err, "the chunk ends with %lld of %lld values",
                                    (long long)r->next_row, (long long)r->n_rows);
        eg_status rc = read_header(r, h, n_head, err);
        if (rc != EG_OK)
            return rc;
        if (h->type == EG_PQ_DATA_PAGE || h->type == EG_PQ_DATA_PAGE_V2) {
            if (h->num_values > r->n_rows - r->next_row)
                return eg_pq_place_fail(
                    &at, EG_CORRUPT, err, "%d values at value %lld of a chunk of %lld",
                    (int)h->num_values, (long long)r->next_row, (long long)r->n_rows);
            if (r->said_n_rows >= 0 && r->said_n_rows != h->num_values)
                return eg_pq_place_fail(&at, EG_CORRUPT, err, "%d values, the page index says %lld",
                                        (int)h->num_values, (long long)r->said_n_rows);
            r->said_n_rows = -1;
            return EG_OK;
        }
        if (h->type == EG_PQ_DICTIONARY_PAGE)
            return eg_pq_place_fail(&at, EG_CORRUPT, err, "a dictionary behind the first page");
        if (h->type != EG_PQ_INDEX_PAGE)
            return eg_pq_place_fail(&at, EG_UNSUPPORTED, err, "pages of type %d are not read",
                                    (int)h->type);
        r->pos += (int64_t)*n_head + h->compressed_bytes;
    }
}

/* Opens the data page that find_page found. Its bytes are read with as much ahead as
** r->ahead says; their CRC is verified. */
static eg_status open_page(eg_pq_reader *r, const eg_pq_page_header *h, size_t n_head,
                           eg_err *err) {
    eg_pq_place at = place(r);
    const uint8_t *raw;
    size_t n_body = r->chunk->codec != EG_PQ_UNCOMPRESSED ? (size_t)h->uncompressed_bytes : 0;
    eg_status rc = reserve(r, &r->body, n_body, err);
    if (rc == EG_OK)
        rc = need_bytes(r, r->pos + (int64_t)n_head, (size_t)h->compressed_bytes, &raw, err);
    if (rc == EG_OK)
        rc = eg_pq_page_check_crc(h, raw, &at, err);
    if (rc == EG_OK) {
        r->counts.pages++;
        rc = eg_pq_page_open(&r->page, r->column, r->has_dictionary ? &r->dictionary : NULL, h, raw,
                             r->codec, r->chunk->codec, r->body.data, &at, err);
    }
    r->page_row = r->next_row;
    r->next_row += h->num_values;
    r->pos += (int64_t)n_head + h->compressed_bytes;
    r->ahead = READ_AHEAD;
    return rc;
}

/* ---- The reader */

/* Makes a failure stick. EG_DONE does not. */
static eg_status note(eg_pq_reader *r, eg_status rc, eg_err *err) {
    if (rc == EG_OK || rc == EG_DONE)
        return rc;
    r->failed = rc;
    if (err != &r->failure && err != NULL)
        *err = r->failure;
    return rc;
}

/* What failed before, again. */
static eg_status fail_again(const eg_pq_reader *r, eg_err *err) {
    if (err != NULL)
        *err = r->failure;
    return r->failed;
}

static eg_status begin(eg_pq_reader *r, uint32_t row_group, uint32_t column, eg_err *err) {
    r->column = eg_pq_file_column(r->file, column);
    r->chunk = eg_pq_file_chunk(r->file, row_group, column);
    r->row_group = row_group;
    eg_pq_file_chunk_range(r->file, row_group, column, &r->start, &r->end);
    r->pos = r->start;
    r->n_rows = r->chunk->num_values;
    r->page_row = r->next_row = 0;
    r->said_n_rows = -1;
    r->is_started = r->has_dictionary = r->is_loaded = false;
    r->page.n_left = 0;
    r->n_window = 0;
    r->window_off = 0;
    r->ahead = 0;
    r->until = r->end;
    r->failed = EG_OK;
    eg_err cause;
    eg_status rc = eg_pq_codec_check(r->chunk->codec, &cause);
    if (rc == EG_OK || r->n_rows == 0)
        return EG_OK;
    rc = eg_pq_chunk_fail(r->file, row_group, column, rc, r->start, cause.msg, &r->failure);
    return note(r, rc, err);
}

eg_status eg_pq_reader_open(eg_pq_file *file, uint32_t row_group, uint32_t column,
                            eg_pq_codec *codec, eg_pq_reader **out, eg_err *err) {
    eg_pq_reader *r = calloc(1, sizeof *r);
    *out = NULL;
    if (r == NULL)
        return eg_fail_nomem(err, "a Parquet column reader");
    r->file = file;
    r->codec = codec;
    eg_status rc = begin(r, row_group, column, err);
    if (rc == EG_OK)
        *out = r;
    else
        eg_pq_reader_close(r);
    return rc;
}

eg_status eg_pq_reader_restart(eg_pq_reader *r, eg_pq_file *file, uint32_t row_group,
                               uint32_t column, eg_err *err) {
    if (file != r->file) { /* the buffers count against the new file from here on */
        size_t n = r->window.capacity + r->body.capacity + r->dictionary_raw.capacity +
                   r->dictionary_body.capacity + r->dictionary_values.capacity;
        if (eg_pq_file_take(file, n, NULL) == EG_OK)
            eg_pq_file_give(r->file, n);
        else
            release_all(r);
        r->file = file;
    }
    return begin(r, row_group, column, err);
}

void eg_pq_reader_close(eg_pq_reader *r) {
    if (r == NULL)
        return;
    release_all(r);
    eg_pq_page_close(&r->page);
    free(r);
}

int64_t eg_pq_reader_row(const eg_pq_reader *r) {
    return r->next_row - r->page.n_left;
}

eg_pq_reader_counts eg_pq_reader_counted(const eg_pq_reader *r) {
    return r->counts;
}

/* Opens the page that the next row is in. */
static eg_status need_page(eg_pq_reader *r, eg_err *err) {
    eg_status rc = start(r, err);
    while (rc == EG_OK && r->page.n_left == 0) {
        eg_pq_page_header h;
        size_t n_head;
        if (r->next_row == r->n_rows)
            return EG_DONE;
        rc = find_page(r, &h, &n_head, err);
        if (rc == EG_OK)
            rc = open_page(r, &h, n_head, err);
    }
    return rc;
}

static eg_status next_rows(eg_pq_reader *r, uint32_t max_rows, eg_pq_vector *out, eg_err *err) {
    eg_status rc = need_page(r, err);
    if (rc == EG_OK)
        rc = eg_pq_page_next(&r->page, max_rows, out, err);
    if (rc == EG_OK)
        out->first_row += r->page_row;
    return rc;
}

eg_status eg_pq_reader_next(eg_pq_reader *r, uint32_t max_rows, eg_pq_vector *out, eg_err *err) {
    if (r->failed != EG_OK)
        return fail_again(r, err);
    return note(r, next_rows(r, max_rows, out, &r->failure), err);
}

eg_status eg_pq_reader_pick(eg_pq_reader *r, uint32_t max_rows, const uint16_t *picks,
                            uint32_t n_picks, uint32_t base, uint32_t *n_rows, eg_pq_vector *out,
                            eg_err *err) {
    if (r->failed != EG_OK)
        return fail_again(r, err);
    eg_status rc = need_page(r, &r->failure);
    if (rc == EG_OK)
        rc = eg_pq_page_pick(&r->page, max_rows, picks, n_picks, base, n_rows, out, &r->failure);
    if (rc == EG_OK)
        out->first_row += r->page_row;
    return note(r, rc, err);
}

eg_status eg_pq_reader_match(eg_pq_reader *r, uint32_t max_rows, const eg_pq_code_test *t,
                             uint8_t *alive, uint32_t *n_rows, eg_err *err) {
    if (r->failed != EG_OK)
        return fail_again(r, err);
    eg_status rc = need_page(r, &r->failure);
    if (rc == EG_OK)
        rc = eg_pq_page_match(&r->page, max_rows, t, alive, n_rows, &r->failure);
    return note(r, rc, err);
}

void eg_pq_reader_back(eg_pq_reader *r) {
    eg_pq_page_back(&r->page);
}

eg_status eg_pq_reader_entries(eg_pq_reader *r, uint32_t *n_entries, eg_err *err) {
    if (r->failed != EG_OK)
        return fail_again(r, err);
    eg_status rc = note(r, start(r, &r->failure), err);
    *n_entries = rc == EG_OK && r->has_dictionary ? r->dictionary.n_entries : 0;
    return rc == EG_OK && !r->has_dictionary ? EG_DONE : rc;
}

eg_status eg_pq_reader_dictionary(eg_pq_reader *r, const eg_pq_dictionary **out, eg_err *err) {
    uint32_t n_entries;
    *out = NULL;
    eg_status rc = eg_pq_reader_entries(r, &n_entries, err);
    if (rc == EG_OK && !r->is_loaded)
        rc = note(r, load_dictionary(r, &r->failure), err);
    if (rc == EG_OK)
        *out = &r->dictionary;
    return rc;
}

/* The page of the index that holds a row which is not the end. */
static const eg_pq_index_page *page_of(const eg_pq_index *index, int64_t row) {
    uint32_t lo = 0, hi = index->n_pages; /* pages[lo].first_row <= row < pages[hi].first_row */
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (index->pages[mid].first_row <= row)
            lo = mid;
        else
            hi = mid;
    }
    return &index->pages[lo];
}

static eg_status seek(eg_pq_reader *r, int64_t row, int64_t end, const eg_pq_index *index,
                      eg_err *err) {
    eg_status rc = start(r, err);
    if (rc != EG_OK)
        return rc;
    bool has_index = index != NULL && index->n_pages > 0;
    r->until = r->end;
    if (has_index && end > row) {
        const eg_pq_index_page *last = page_of(index, end - 1);
        r->until = last->offset + last->compressed_bytes;
    }
    if (row >= r->next_row - r->page.n_left && row < r->next_row)
        return eg_pq_page_skip(&r->page, (uint32_t)(row - eg_pq_reader_row(r)), err);
    if (row == r->n_rows) {
        r->page.n_left = 0;
        r->next_row = row;
        return EG_OK;
    }
    if (has_index) {
        const eg_pq_index_page *p = page_of(index, row);
        r->pos = p->offset;
        /* All of the range, or no more than the page: rows that are sought may be far apart. */
        bool is_near = r->until - p->offset <= (int64_t)READ_AHEAD;
        r->ahead = is_near ? READ_AHEAD : (size_t)p->compressed_bytes;
        r->next_row = p->first_row;
        r->said_n_rows = p->n_rows;
    } else if (row < r->next_row) {
        r->pos = r->start;
        r->next_row = 0;
    }
    r->page.n_left = 0;
    for (;;) {
        eg_pq_page_header h;
        size_t n_head;
        if ((rc = find_page(r, &h, &n_head, err)) != EG_OK)
            return rc;
        if (row < r->next_row + h.num_values) {
            if ((rc = open_page(r, &h, n_head, err)) != EG_OK)
                return rc;
            return eg_pq_page_skip(&r->page, (uint32_t)(row - r->page_row), err);
        }
        r->next_row += h.num_values;
        r->pos += (int64_t)n_head + h.compressed_bytes;
        r->counts.pages_skipped++;
    }
}

eg_status eg_pq_reader_seek(eg_pq_reader *r, int64_t row, int64_t end, const eg_pq_index *index,
                            eg_err *err) {
    if (r->failed != EG_OK)
        return fail_again(r, err);
    if (row < 0 || row > r->n_rows)
        return eg_fail(err, EG_MISUSE, -1, "row %lld of a row group of %lld", (long long)row,
                       (long long)r->n_rows);
    return note(r, seek(r, row, end, index, &r->failure), err);
}
