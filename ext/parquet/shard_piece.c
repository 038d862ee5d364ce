/*
** A row group is planned, then read.
**
** Planning cuts it into ranges of rows by the page indexes of the predicate's
** columns, and drops it where a Bloom filter or dictionary holds nothing that passes.
** It goes test by test, and gives way to the caller after each large dictionary.
**
** Reading fills a batch column by column, each from as many slices as it takes. The
** predicate's columns come first: a batch of which no row passes costs the others
** nothing, and what is before the first and behind the last row that passes is cut
** off. Where this saves little it is given up for the rest of the row group.
**
** Readers, their buffers and translated dictionaries outlive the piece and serve the
** next one, perhaps of another file.
*/
#include "parquet/shard_piece.h"

#include <stdlib.h>
#include <string.h>

#include "parquet/pq_bloom.h"
#include "parquet/pq_reader.h"
#include "parquet/shard_keys.h"

#define LARGE_ENTRIES 32768 /* entries of dictionaries that are enough work for one call */
#define EMPTY_BATCHES 64    /* batches without rows that are enough work for one call */
#define TRIAL_ROWS (16 * EG_BATCH_ROWS) /* after which reading columns first has to have paid */

/* One vector's way out of the file. */
typedef struct lane {
    eg_pq_reader *reader; /* NULL where the set's file does not have the column */
    eg_pq_index index;
    bool has_index;
    bool has_dictionary;
    uint32_t n_entries;                 /* of the dictionary */
    const eg_pq_dictionary *dictionary; /* of the reader, once it is loaded */
    bool is_opened;                     /* has_dictionary, n_entries, has_keys are known */
    bool has_keys;                      /* keys are the dictionary's, which is not needed then */
    bool is_mapped;                     /* map is the dictionary's */
    bool is_only;                       /* one value counts: only */
    eg_shard_only only;
    eg_shard_keys keys;
    eg_shard_map map;
    uint32_t next_page;         /* of the index: pages before it were counted */
    int64_t n_pages;            /* data pages of the index that were read */
    eg_pq_reader_counts before; /* the reader's counts when the piece began */
    void *scratch;              /* [EG_BATCH_ROWS] of a vector that is not in the batch */
} lane;

struct eg_shard_readers {
    struct eg_shard_readers *next; /* idle */
    eg_shard_file *file;           /* a reference: the readers' */
    eg_pq_codec *codec;
    lane lanes[EG_N_VECTORS];
    uint8_t alive[EG_BATCH_ROWS];
};

/* Rows [first, end) of a row group. */
typedef struct range {
    int64_t first, end;
} range;

typedef struct shard_piece {
    eg_piece base; /* must be first */
    eg_shard_shared *shared;
    eg_shard_file *file; /* a reference */
    eg_shard_readers *set;
    uint32_t group;
    int64_t n_rows, first_row; /* of the group; its first one's number in the file */
    size_t n_planned;          /* steps of planning done: two for each test */
    bool is_pruned, is_done;
    range *ranges; /* [n_ranges] owned: what is left to read */
    size_t n_ranges, at_range;
    int64_t row;                  /* next one of the group */
    eg_vector_set prepared;       /* dictionaries were translated */
    eg_vector_set first;          /* read before the others; 0 when that was given up */
    int64_t tried_rows, cut_rows; /* seen by reading those first; of these, cut off */
    int64_t group_bytes, done_bytes;
    eg_scan_stats stats;
} shard_piece;

/* ---- files and readers -------------------------------------------------- */

void eg_shard_file_release(eg_shard_file *f) {
    if (f == NULL || atomic_fetch_sub(&f->n_references, 1) > 1)
        return;
    eg_pq_file_close(f->pq);
    free(f);
}

static void close_readers(eg_shard_readers *set) {
    if (set == NULL)
        return;
    for (int v = 0; v < EG_N_VECTORS; v++) {
        lane *l = &set->lanes[v];
        eg_pq_reader_close(l->reader);
        eg_pq_index_close(&l->index);
        eg_shard_keys_close(&l->keys);
        eg_shard_map_close(&l->map);
        free(l->scratch);
    }
    eg_pq_codec_close(set->codec);
    eg_shard_file_release(set->file);
    free(set);
}

void eg_shard_readers_close_idle(eg_shard_shared *shared) {
    while (shared->idle != NULL) {
        eg_shard_readers *set = shared->idle;
        shared->idle = set->next;
        close_readers(set);
    }
}

static eg_status open_readers(eg_shard_shared *shared, eg_shard_readers **out, eg_err *err) {
    if ((*out = shared->idle) != NULL) {
        shared->idle = (*out)->next;
        return EG_OK;
    }
    eg_shard_readers *set = calloc(1, sizeof *set);
    if (set == NULL)
        return eg_fail_nomem(err, "readers of Parquet columns");
    eg_status rc = eg_pq_codec_open(&set->codec, err);
    if (rc != EG_OK) {
        free(set);
        return rc;
    }
    *out = set;
    return EG_OK;
}

/* Points the readers at a row group. */
static eg_status start_readers(shard_piece *p, eg_err *err) {
    eg_shard_readers *set = p->set;
    eg_shard_file *f = p->file;
    eg_status rc = EG_OK;
    for (int v = 0; v < EG_N_VECTORS; v++) {
        lane *l = &set->lanes[v];
        bool is_read = (f->reads & EG_VECTOR_BIT(v)) != 0;
        l->n_entries = 0;
        l->dictionary = NULL;
        l->is_opened = l->has_dictionary = l->has_keys = l->is_mapped = l->is_only = false;
        l->keys.bytes_read = 0;
        l->next_page = 0;
        l->n_pages = 0;
        if (!is_read || rc != EG_OK) { /* a reader must not outlive its file */
            eg_pq_reader_close(l->reader);
            l->reader = NULL;
        } else if (l->reader != NULL) {
            l->before = eg_pq_reader_counted(l->reader);
            rc = eg_pq_reader_restart(l->reader, f->pq, p->group, f->columns[v].column, err);
        } else {
            l->before = (eg_pq_reader_counts){0};
            rc = eg_pq_reader_open(f->pq, p->group, f->columns[v].column, set->codec, &l->reader,
                                   err);
        }
    }
    if (set->file != f) {
        eg_shard_file_release(set->file);
        set->file = f;
        atomic_fetch_add(&f->n_references, 1);
    }
    return rc;
}

/* ---- the footer --------------------------------------------------------- */

int64_t eg_shard_group_bytes(const eg_shard_file *f, uint32_t row_group) {
    int64_t n_bytes = 0, limit = eg_pq_file_bytes(f->pq);
    for (uint32_t c = 0; c < eg_pq_file_columns(f->pq); c++) {
        int64_t start, end;
        eg_pq_file_chunk_range(f->pq, row_group, c, &start, &end);
        n_bytes += end - start;
    }
    return n_bytes < limit ? n_bytes : limit;
}

/* Whether a vector of the test has no value in any row of the file. */
static bool is_missing(const eg_shard_test *t, const eg_shard_file *f) {
    for (int v = 0; v < EG_N_VECTORS; v++)
        if ((t->vectors & EG_VECTOR_BIT(v)) != 0 && f->columns[v].origin == EG_SHARD_NULL)
            return true;
    return false;
}

/* Whether the bounds of a chunk leave rows. */
static bool chunk_may_pass(const eg_shard_test *t, const eg_shard_file *f, uint32_t group,
                           eg_vector v) {
    const eg_shard_column *c = &f->columns[v];
    eg_pq_bounds b;
    eg_pq_file_bounds(f->pq, group, c->column, &b);
    return eg_shard_test_bounds(t, c, &b, eg_pq_file_row_group(f->pq, group)->num_rows);
}

static bool test_may_pass(const eg_shard_test *t, const eg_shard_file *f, uint32_t group) {
    if (t->kind == EG_SHARD_TEST_NEVER)
        return false;
    if (is_missing(t, f))
        return t->kind == EG_SHARD_TEST_NULL;
    if (t->kind == EG_SHARD_TEST_NULL) {
        for (int v = 0; v < EG_N_VECTORS; v++) {
            eg_shard_origin origin = f->columns[v].origin;
            if ((t->vectors & EG_VECTOR_BIT(v)) != 0 &&
                (origin == EG_SHARD_DERIVED ||
                 (origin == EG_SHARD_READ && chunk_may_pass(t, f, group, (eg_vector)v))))
                return true;
        }
        return false;
    }
    switch (f->columns[t->vector].origin) {
    case EG_SHARD_READ:
        return chunk_may_pass(t, f, group, t->vector);
    case EG_SHARD_ZERO:
        return t->kind != EG_SHARD_TEST_NUMBERS || eg_shard_test_span(t, 0, 0);
    case EG_SHARD_PATH: {
        const char *path = eg_pq_file_name(f->pq);
        return t->kind != EG_SHARD_TEST_TEXT || eg_term_takes_text(t->term, path, strlen(path));
    }
    case EG_SHARD_NULL:
    case EG_SHARD_DERIVED:
        break;
    }
    return true;
}

bool eg_shard_group_may_pass(const eg_shard_shared *shared, const eg_shard_file *f,
                             uint32_t row_group) {
    for (size_t i = 0; i < shared->tests.n_tests; i++)
        if (!test_may_pass(&shared->tests.tests[i], f, row_group))
            return false;
    return true;
}

/* ---- planning ----------------------------------------------------------- */

/* Reads the page index of a lane, once. */
static eg_status open_index(shard_piece *p, eg_vector v, eg_err *err) {
    lane *l = &p->set->lanes[v];
    uint32_t column = p->file->columns[v].column;
    if (l->has_index)
        return EG_OK;
    eg_status rc = eg_pq_index_open(p->file->pq, p->group, column, &l->index, err);
    if (rc != EG_OK) /* the lengths of one that cannot be read are any numbers */
        return rc == EG_DONE ? EG_OK : rc;
    const eg_pq_chunk *k = eg_pq_file_chunk(p->file->pq, p->group, column);
    p->stats.bytes_read += k->offset_index_length;
    p->stats.bytes_read += k->column_index_offset != 0 ? k->column_index_length : 0;
    l->has_index = true;
    return EG_OK;
}

/* Keeps of the ranges what lies in pages that may pass the test. */
static eg_status cut_by_pages(shard_piece *p, const eg_shard_test *t, eg_err *err) {
    const eg_shard_column *c = &p->file->columns[t->vector];
    bool is_single = (t->vectors & (t->vectors - 1)) == 0;
    if (c->origin != EG_SHARD_READ || (t->kind == EG_SHARD_TEST_NULL && !is_single))
        return EG_OK;
    eg_status rc = open_index(p, t->vector, err);
    const eg_pq_index *x = &p->set->lanes[t->vector].index;
    if (rc != EG_OK || !x->has_bounds)
        return rc;
    /* A range can fall apart at every page, and no more. */
    range *kept = calloc(p->n_ranges + x->n_pages + 1, sizeof *kept);
    if (kept == NULL)
        return eg_fail_nomem(err, "ranges of rows");
    size_t n_kept = 0, at = 0;
    for (uint32_t i = 0; i < x->n_pages; i++) {
        const eg_pq_index_page *page = &x->pages[i];
        bool may = page->is_null_page ? t->kind == EG_SHARD_TEST_NULL
                                      : eg_shard_test_bounds(t, c, &page->bounds, page->n_rows);
        int64_t page_end = page->first_row + page->n_rows;
        while (at < p->n_ranges && p->ranges[at].end <= page->first_row)
            at++;
        for (size_t r = at; may && r < p->n_ranges && p->ranges[r].first < page_end; r++) {
            range part = p->ranges[r];
            part.first = part.first > page->first_row ? part.first : page->first_row;
            part.end = part.end < page_end ? part.end : page_end;
            if (part.first == part.end)
                continue;
            if (n_kept > 0 && kept[n_kept - 1].end == part.first)
                kept[n_kept - 1].end = part.end;
            else
                kept[n_kept++] = part;
        }
    }
    free(p->ranges);
    p->ranges = kept;
    p->n_ranges = n_kept;
    return EG_OK;
}

/* Finds out what a lane's dictionary is and takes its keys where it has some, once. */
static eg_status open_entries(shard_piece *p, eg_vector v, eg_err *err) {
    lane *l = &p->set->lanes[v];
    const eg_shard_column *c = &p->file->columns[v];
    if (l->is_opened)
        return EG_OK;
    eg_status rc = eg_pq_reader_entries(l->reader, &l->n_entries, err);
    l->has_dictionary = rc == EG_OK;
    int64_t lo, hi;
    if (rc == EG_OK && eg_shard_column_takes_keys(c, &lo, &hi)) {
        rc = eg_shard_keys_read(&l->keys, p->file->pq, p->group, c->column, l->n_entries, lo, hi,
                                err);
        l->has_keys = rc == EG_OK;
    }
    l->is_opened = rc == EG_OK || rc == EG_DONE;
    return rc == EG_DONE ? EG_OK : rc;
}

/* Loads a lane's dictionary, once. */
static eg_status open_dictionary(shard_piece *p, eg_vector v, eg_err *err) {
    lane *l = &p->set->lanes[v];
    eg_status rc = open_entries(p, v, err);
    if (rc == EG_OK && l->has_dictionary && l->dictionary == NULL)
        rc = eg_pq_reader_dictionary(l->reader, &l->dictionary, err);
    return rc;
}

/* Whether one of the chunk's dictionary entries may pass. */
static eg_status look_up_entries(shard_piece *p, const eg_shard_test *t, bool *maybe, eg_err *err) {
    const eg_shard_column *c = &p->file->columns[t->vector];
    lane *l = &p->set->lanes[t->vector];
    eg_status rc = open_entries(p, t->vector, err);
    if (rc == EG_OK && l->has_keys && t->kind == EG_SHARD_TEST_NUMBERS) {
        rc = eg_shard_keys_decode(&l->keys, eg_pq_file_name(p->file->pq), err);
        *maybe = rc != EG_OK || eg_shard_test_keys(t, c, &l->keys);
        return rc;
    }
    if (rc == EG_OK)
        rc = open_dictionary(p, t->vector, err);
    if (rc == EG_OK)
        *maybe = l->dictionary == NULL || eg_shard_test_entries(t, c, l->dictionary);
    return rc;
}

/* Looks for the test's values in the chunk: by its Bloom filter, and by its dictionary only
** where there is none. *n_entries is set to the work it was. */
static eg_status look_up(shard_piece *p, const eg_shard_test *t, uint32_t *n_entries, eg_err *err) {
    const eg_shard_column *c = &p->file->columns[t->vector];
    if (c->origin != EG_SHARD_READ)
        return EG_OK;
    bool maybe = true;
    eg_status rc = EG_DONE;
    if (eg_shard_test_has_bloom(t, c)) {
        eg_pq_bloom bloom;
        rc = eg_pq_bloom_find(p->file->pq, p->group, c->column, &bloom, err);
        if (rc == EG_OK) {
            uint32_t n_probes;
            rc = eg_shard_test_bloom(t, c, &bloom, &maybe, &n_probes, err);
            p->stats.bytes_read += EG_PQ_BLOOM_BLOCK * (int64_t)n_probes;
        }
    }
    if (rc == EG_DONE && eg_shard_test_has_entries(t, c) &&
        eg_pq_file_all_dictionary(p->file->pq, p->group, c->column)) {
        rc = look_up_entries(p, t, &maybe, err);
        *n_entries = p->set->lanes[t->vector].n_entries;
    }
    p->is_pruned = !maybe;
    return rc == EG_DONE ? EG_OK : rc;
}

/* The vectors whose numbers tell which rows pass. */
static eg_vector_set vectors_of_rows(const shard_piece *p) {
    const eg_shard_tests *tests = &p->shared->tests;
    eg_vector_set set = 0;
    for (size_t i = 0; i < tests->n_tests; i++) {
        const eg_shard_test *t = &tests->tests[i];
        if (t->kind == EG_SHARD_TEST_NUMBERS &&
            p->file->columns[t->vector].origin == EG_SHARD_READ &&
            eg_shard_test_rows(t, NULL, 0, NULL))
            set |= EG_VECTOR_BIT(t->vector);
    }
    return set == p->file->reads ? 0 : set;
}

/* Goes on planning: first all page indexes, then what is in the chunks. *is_enough is set where
** the caller is to be asked before more. */
static eg_status plan(shard_piece *p, bool *is_enough, eg_err *err) {
    const eg_shard_tests *tests = &p->shared->tests;
    eg_status rc = EG_OK;
    uint32_t n_entries = 0;
    while (rc == EG_OK && p->n_planned < 2 * tests->n_tests && !p->is_pruned && !*is_enough) {
        size_t i = p->n_planned++;
        if (i < tests->n_tests) {
            rc = cut_by_pages(p, &tests->tests[i], err);
            p->is_pruned = p->n_ranges == 0;
        } else {
            rc = look_up(p, &tests->tests[i - tests->n_tests], &n_entries, err);
            *is_enough = n_entries > LARGE_ENTRIES;
        }
    }
    if (rc != EG_OK || p->is_pruned || p->n_planned < 2 * tests->n_tests)
        return rc;
    p->first = vectors_of_rows(p);
    /* Wherever rows are passed over, an index saves looking at what is between. */
    bool is_cut = p->n_ranges != 1 || p->ranges[0].end - p->ranges[0].first != p->n_rows;
    for (int v = 0; rc == EG_OK && (is_cut || p->first != 0) && v < EG_N_VECTORS; v++)
        if ((p->file->reads & EG_VECTOR_BIT(v)) != 0)
            rc = open_index(p, (eg_vector)v, err);
    return rc;
}

/* ---- columns of a batch ------------------------------------------------- */

/* Where a vector is read to: the batch, or scratch where it only serves others. */
static eg_status target_of(shard_piece *p, const eg_batch *b, eg_vector v, void **out,
                           eg_err *err) {
    *out = eg_batch_array(b, v);
    if (*out != NULL)
        return EG_OK;
    lane *l = &p->set->lanes[v];
    if (l->scratch == NULL)
        l->scratch = malloc(EG_BATCH_ROWS * eg_vector_width(v));
    *out = l->scratch;
    return l->scratch != NULL ? EG_OK : eg_fail_nomem(err, "a column");
}

/* Where the predicate takes one number of a vector only, and keys tell its code, rows need no more
** than a look at theirs: those of other codes fail, whatever they are. */
static eg_status find_only(shard_piece *p, eg_vector v, eg_err *err) {
    const eg_shard_tests *tests = &p->shared->tests;
    const eg_shard_column *c = &p->file->columns[v];
    lane *l = &p->set->lanes[v];
    for (size_t i = 0; i < tests->n_tests; i++) {
        const eg_shard_test *t = &tests->tests[i];
        if (t->kind != EG_SHARD_TEST_NUMBERS || t->vector != v || t->n_spans != 1 ||
            t->spans[0].lo != t->spans[0].hi || t->spans[0].lo < 0 || t->spans[0].lo > UINT32_MAX ||
            eg_vector_width(v) != 4)
            continue;
        int64_t number = t->spans[0].lo;
        l->only = (eg_shard_only){.number = (uint32_t)number, .other = (uint32_t)number ^ 1};
        eg_status rc =
            eg_shard_keys_find(&l->keys, eg_shard_key_of_number(c, number), &l->only.code);
        if (rc == EG_DONE)
            l->only.code = UINT32_MAX;
        l->is_only = rc != EG_CORRUPT;
        return l->is_only ? EG_OK
                          : eg_pq_chunk_fail(p->file->pq, p->group, c->column, rc, -1,
                                             "keys that are not those of the dictionary", err);
    }
    return EG_OK;
}

/* Makes what a lane's codes stand for available: by keys or by the dictionary, translated
** where there are rows enough. */
static eg_status map_lane(shard_piece *p, eg_vector v, eg_err *err) {
    lane *l = &p->set->lanes[v];
    eg_status rc = open_entries(p, v, err);
    if (rc == EG_OK && !l->has_keys)
        rc = open_dictionary(p, v, err);
    if (rc != EG_OK || !l->has_dictionary)
        return rc;
    int64_t n_left = 0;
    for (size_t i = p->at_range; i < p->n_ranges; i++)
        n_left += p->ranges[i].end - p->ranges[i].first;
    l->is_mapped = n_left / 2 >= l->n_entries;
    const eg_shard_column *c = &p->file->columns[v];
    if (l->has_keys) {
        rc = find_only(p, v, err);
        if (rc == EG_OK && l->is_mapped && !l->is_only)
            rc = eg_shard_keys_decode(&l->keys, eg_pq_file_name(p->file->pq), err);
        if (rc == EG_OK && l->is_mapped && !l->is_only)
            rc = eg_shard_map_fill_keys(&l->map, c, &l->keys, err);
        l->is_mapped &= !l->is_only;
        return rc;
    }
    return l->is_mapped ? eg_shard_map_fill(&l->map, c, l->dictionary, &p->shared->texts, err)
                        : EG_OK;
}

/* Translates the dictionaries of vectors that have not been yet. *is_enough as in
** plan(); then some can be left. */
static eg_status prepare(shard_piece *p, eg_vector_set vectors, bool *is_enough, eg_err *err) {
    uint32_t n_entries = 0;
    for (int v = 0; v < EG_N_VECTORS; v++) {
        if ((vectors & ~p->prepared & EG_VECTOR_BIT(v)) == 0)
            continue;
        if (n_entries > LARGE_ENTRIES) {
            *is_enough = true;
            return EG_OK;
        }
        eg_status rc = map_lane(p, (eg_vector)v, err);
        if (rc != EG_OK)
            return rc;
        n_entries += p->set->lanes[v].n_entries;
        p->prepared |= EG_VECTOR_BIT(v);
    }
    return EG_OK;
}

/* Counts the pages that rows [row, row + n) are in. */
static void count_pages(lane *l, int64_t row, uint32_t n) {
    const eg_pq_index *x = &l->index;
    for (; l->next_page < x->n_pages && x->pages[l->next_page].first_row < row + n; l->next_page++)
        l->n_pages += x->pages[l->next_page].first_row + x->pages[l->next_page].n_rows > row;
}

/* Reads rows [row, row + n) of a column to the start of its array. */
static eg_status fill(shard_piece *p, eg_batch *b, eg_vector v, int64_t row, uint32_t n,
                      eg_err *err) {
    const eg_shard_column *c = &p->file->columns[v];
    lane *l = &p->set->lanes[v];
    void *to;
    eg_status rc = target_of(p, b, v, &to, err);
    if (rc == EG_OK && eg_pq_reader_row(l->reader) != row)
        rc = eg_pq_reader_seek(l->reader, row, l->has_index ? &l->index : NULL, err);
    if (l->has_index)
        count_pages(l, row, n);
    for (uint32_t at = 0; rc == EG_OK && at < n;) {
        eg_pq_vector rows;
        rc = eg_pq_reader_next(l->reader, n - at, &rows, err);
        if (rc == EG_DONE)
            rc = eg_pq_chunk_fail(p->file->pq, p->group, c->column, EG_CORRUPT, -1,
                                  "fewer rows than it has", err);
        if (rc != EG_OK)
            break;
        eg_shard_slice slice = {.rows = &rows,
                                .dictionary = l->dictionary,
                                .map = l->is_mapped ? &l->map : NULL,
                                .keys = l->has_keys ? &l->keys : NULL,
                                .only = l->is_only ? &l->only : NULL,
                                .file = eg_pq_file_name(p->file->pq),
                                .first_row = p->first_row + row + at};
        rc = eg_shard_convert(c, &slice, &p->shared->texts, (uint8_t *)to + at * eg_vector_width(v),
                              err);
        if (rc == EG_OK && rows.n_nulls > 0) {
            if (v == EG_VEC_RECEIVED_MS) {
                for (uint32_t i = 0; i < rows.n_rows; i++)
                    if (!rows.valid[i])
                        ((int64_t *)to)[at + i] = EG_NO_TIME;
            } else if ((rc = eg_batch_need_nulls(b, err)) == EG_OK) {
                for (uint32_t i = 0; i < rows.n_rows; i++)
                    b->nulls[at + i] |= (eg_vector_set)!rows.valid[i] << v;
            }
        }
        at += rows.n_rows;
    }
    return rc;
}

/* Of two times and the duration between them, the one the file does not have. */
static eg_status derive(shard_piece *p, eg_batch *b, eg_vector v, eg_err *err) {
    static const eg_vector times[3] = {EG_VEC_START_MS, EG_VEC_END_MS, EG_VEC_DURATION_MS};
    void *arrays[3];
    eg_vector_set others = 0;
    for (int i = 0; i < 3; i++) {
        eg_status rc = target_of(p, b, times[i], &arrays[i], err);
        if (rc != EG_OK)
            return rc;
        others |= times[i] == v ? 0 : EG_VECTOR_BIT(times[i]);
    }
    int64_t *start = arrays[0], *end = arrays[1];
    uint32_t *duration = arrays[2];
    for (uint32_t i = 0; i < b->n_rows; i++) {
        bool is_null = b->nulls != NULL && (b->nulls[i] & others) != 0;
        int64_t n = 0;
        if (!is_null && v == EG_VEC_START_MS)
            is_null = __builtin_sub_overflow(end[i], (int64_t)duration[i], &n) || n == INT64_MIN;
        else if (!is_null && v == EG_VEC_END_MS)
            is_null = __builtin_add_overflow(start[i], (int64_t)duration[i], &n);
        else if (!is_null)
            is_null = __builtin_sub_overflow(end[i], start[i], &n) || n < 0 || n > UINT32_MAX;
        n = is_null ? 0 : n;
        if (v == EG_VEC_START_MS)
            start[i] = n;
        else if (v == EG_VEC_END_MS)
            end[i] = n;
        else
            duration[i] = (uint32_t)n;
        if (is_null) {
            eg_status rc = b->nulls != NULL ? EG_OK : eg_batch_need_nulls(b, err);
            if (rc != EG_OK)
                return rc;
            b->nulls[i] |= EG_VECTOR_BIT(v);
        }
    }
    return EG_OK;
}

/* The vectors that are not in the file. */
static eg_status fill_others(shard_piece *p, eg_batch *b, eg_err *err) {
    eg_vector_set missing = 0;
    bool has_derived = false;
    eg_status rc = EG_OK;
    for (int v = 0; rc == EG_OK && v < EG_N_VECTORS; v++) {
        if ((b->vectors & EG_VECTOR_BIT(v)) == 0)
            continue;
        switch (p->file->columns[v].origin) {
        case EG_SHARD_READ:
            break;
        case EG_SHARD_NULL:
            missing |= v == EG_VEC_RECEIVED_MS ? 0 : EG_VECTOR_BIT(v);
            memset(eg_batch_array(b, (eg_vector)v), 0, b->n_rows * eg_vector_width((eg_vector)v));
            for (uint32_t i = 0; v == EG_VEC_RECEIVED_MS && i < b->n_rows; i++)
                b->v.RECEIVED_MS[i] = EG_NO_TIME;
            break;
        case EG_SHARD_ZERO:
            memset(eg_batch_array(b, (eg_vector)v), 0, b->n_rows * eg_vector_width((eg_vector)v));
            break;
        case EG_SHARD_PATH:
            for (uint32_t i = 0; i < b->n_rows; i++)
                b->v.FILE[i] = p->file->path_code;
            break;
        case EG_SHARD_DERIVED:
            has_derived = true;
            rc = derive(p, b, (eg_vector)v, err);
            break;
        }
    }
    if (rc == EG_OK && missing != 0 && (rc = eg_batch_need_nulls(b, err)) == EG_OK)
        for (uint32_t i = 0; i < b->n_rows; i++)
            b->nulls[i] |= missing;
    for (uint32_t i = 0; rc == EG_OK && has_derived && b->nulls != NULL && i < b->n_rows; i++)
        b->nulls[i] &= b->vectors; /* those of scratch columns */
    return rc;
}

/* ---- batches ------------------------------------------------------------ */

/* Finds the first and the last of n rows that pass, by the columns that are read first.
** False where none does. */
static bool find_alive(shard_piece *p, const eg_batch *b, uint32_t n, uint32_t *lo, uint32_t *hi) {
    const eg_shard_tests *tests = &p->shared->tests;
    uint8_t *alive = p->set->alive;
    memset(alive, 1, n);
    for (size_t i = 0; i < tests->n_tests; i++) {
        const eg_shard_test *t = &tests->tests[i];
        if (t->kind != EG_SHARD_TEST_NUMBERS || (p->first & EG_VECTOR_BIT(t->vector)) == 0)
            continue;
        void *numbers = eg_batch_array(b, t->vector);
        eg_shard_test_rows(t, numbers != NULL ? numbers : p->set->lanes[t->vector].scratch, n,
                           alive);
        for (uint32_t k = 0; b->nulls != NULL && k < n; k++)
            alive[k] &= (b->nulls[k] & t->vectors) == 0;
    }
    const uint8_t *first = memchr(alive, 1, n);
    if (first == NULL)
        return false;
    *lo = (uint32_t)(first - alive);
    *hi = (uint32_t)((const uint8_t *)memrchr(alive, 1, n) - alive);
    return true;
}

/* Moves rows [lo, lo + n) of the columns that were read to the front. */
static void shift(shard_piece *p, eg_batch *b, uint32_t lo, uint32_t n) {
    for (int v = 0; v < EG_N_VECTORS; v++) {
        if ((p->first & EG_VECTOR_BIT(v)) == 0)
            continue;
        uint8_t *array = eg_batch_array(b, (eg_vector)v);
        size_t width = eg_vector_width((eg_vector)v);
        array = array != NULL ? array : p->set->lanes[v].scratch;
        memmove(array, array + lo * width, n * width);
    }
    if (b->nulls != NULL) {
        memmove(b->nulls, b->nulls + lo, n * sizeof *b->nulls);
        memset(b->nulls + n, 0, (EG_BATCH_ROWS - n) * sizeof *b->nulls);
    }
}

static eg_status fill_all(shard_piece *p, eg_batch *b, eg_vector_set vectors, int64_t row,
                          uint32_t n, eg_err *err) {
    eg_status rc = EG_OK;
    for (int v = 0; rc == EG_OK && v < EG_N_VECTORS; v++)
        if ((vectors & EG_VECTOR_BIT(v)) != 0)
            rc = fill(p, b, (eg_vector)v, row, n, err);
    return rc;
}

/* Reads the columns that come first of n rows from p->row on, and leaves in *row and *n
** those of them that are to be read; none where *n becomes 0. */
static eg_status try_rows(shard_piece *p, eg_batch *b, int64_t *row, uint32_t *n, eg_err *err) {
    uint32_t lo, hi, n_seen = *n;
    eg_status rc = fill_all(p, b, p->first, p->row, n_seen, err);
    if (rc != EG_OK)
        return rc;
    p->tried_rows += n_seen;
    if (!find_alive(p, b, n_seen, &lo, &hi)) {
        *n = 0;
    } else if (hi - lo < n_seen / 4 * 3) {
        *row = p->row + lo;
        *n = hi - lo + 1;
        shift(p, b, lo, *n);
    }
    p->cut_rows += n_seen - *n;
    return EG_OK;
}

/* Numbers n rows of the group from `row` on, as every scan does, whatever it leaves out. */
static eg_status number_rows(const shard_piece *p, eg_batch *b, int64_t row, uint32_t n,
                             eg_err *err) {
    eg_status rc = eg_batch_need_numbers(b, err);
    for (uint32_t i = 0; rc == EG_OK && i < n; i++)
        b->numbers[i] = p->file->first_number + p->first_row + row + i;
    return rc;
}

/* Fills a batch from the next rows that are left; n_rows stays 0 where the work was
** enough before there was one. EG_DONE behind the last. */
static eg_status read_batch(shard_piece *p, eg_batch *b, eg_err *err) {
    eg_vector_set reads = p->file->reads;
    bool is_enough = false;
    for (int i = 0; i < EMPTY_BATCHES; i++) {
        while (p->at_range < p->n_ranges && p->row >= p->ranges[p->at_range].end)
            p->at_range++;
        if (p->at_range == p->n_ranges)
            return EG_DONE;
        const range *r = &p->ranges[p->at_range];
        p->row = p->row < r->first ? r->first : p->row;
        int64_t n_left = r->end - p->row, row = p->row;
        uint32_t n = n_left < EG_BATCH_ROWS ? (uint32_t)n_left : EG_BATCH_ROWS;
        int64_t next = row + n;
        if (p->tried_rows >= TRIAL_ROWS && p->cut_rows < p->tried_rows / 4)
            p->first = 0;
        eg_status rc = prepare(p, p->first != 0 ? p->first : reads, &is_enough, err);
        if (rc != EG_OK || is_enough)
            return rc;
        b->nulls = NULL;
        if (p->first != 0) {
            rc = try_rows(p, b, &row, &n, err);
            if (rc == EG_OK && n == 0) {
                p->row = next;
                continue;
            }
            if (rc == EG_OK)
                rc = prepare(p, reads, &is_enough, err);
            if (rc != EG_OK || is_enough) {
                p->row = row; /* again from there when the rest is prepared */
                return rc;
            }
        }
        b->n_rows = n;
        rc = fill_all(p, b, reads & ~p->first, row, n, err);
        if (rc == EG_OK)
            rc = fill_others(p, b, err);
        if (rc == EG_OK && p->shared->spec->wants_numbers)
            rc = number_rows(p, b, row, n, err);
        p->row = next;
        p->stats.rows_read += rc == EG_OK ? n : 0;
        return rc;
    }
    return EG_OK;
}

/* ---- the piece ---------------------------------------------------------- */

static void tell_progress(shard_piece *p) {
    double part = p->is_done ? 1 : (double)p->row / (double)p->n_rows;
    int64_t done = (int64_t)((double)p->group_bytes * part);
    done = p->is_done ? p->group_bytes : done;
    atomic_fetch_add(&p->shared->done_bytes, done - p->done_bytes);
    p->done_bytes = done;
}

static eg_status piece_next(eg_piece *base, eg_batch *b, eg_err *err) {
    shard_piece *p = (shard_piece *)base;
    bool is_enough = false;
    b->n_rows = 0;
    b->nulls = NULL;
    if (p->is_done)
        return EG_DONE;
    eg_status rc = EG_OK;
    if (p->n_planned < 2 * p->shared->tests.n_tests)
        rc = plan(p, &is_enough, err);
    if (rc == EG_OK && p->is_pruned)
        rc = EG_DONE;
    else if (rc == EG_OK && !is_enough)
        rc = read_batch(p, b, err);
    if (rc != EG_OK) {
        p->is_done = rc == EG_DONE;
        b->n_rows = 0;
        b->nulls = NULL;
    }
    tell_progress(p);
    return rc;
}

/* What the readers did. Pages of a row group that was pruned are not told: it is one
** skipped row group. */
static void count_reading(shard_piece *p) {
    bool is_read = !p->is_pruned;
    p->stats.row_groups += is_read;
    p->stats.row_groups_skipped += !is_read;
    for (int v = 0; v < EG_N_VECTORS; v++) {
        lane *l = &p->set->lanes[v];
        if (l->reader == NULL)
            continue;
        eg_pq_reader_counts now = eg_pq_reader_counted(l->reader);
        p->stats.bytes_read += now.bytes_read - l->before.bytes_read + l->keys.bytes_read;
        if (!is_read)
            continue;
        if (l->has_index) {
            /* Up to where reading came, which need not be the end. */
            uint32_t n_passed = 0;
            int64_t row = p->is_done ? p->n_rows : p->row;
            while (n_passed < l->index.n_pages && l->index.pages[n_passed].first_row < row)
                n_passed++;
            p->stats.pages += l->n_pages;
            p->stats.pages_skipped += n_passed > l->n_pages ? n_passed - l->n_pages : 0;
        } else {
            p->stats.pages += now.pages - l->before.pages - (l->dictionary != NULL);
            p->stats.pages_skipped += now.pages_skipped - l->before.pages_skipped;
        }
    }
}

static void piece_close(eg_piece *base, eg_scan_stats *stats) {
    shard_piece *p = (shard_piece *)base;
    count_reading(p);
    if (stats != NULL) {
        stats->row_groups += p->stats.row_groups;
        stats->row_groups_skipped += p->stats.row_groups_skipped;
        stats->pages += p->stats.pages;
        stats->pages_skipped += p->stats.pages_skipped;
        stats->rows_read += p->stats.rows_read;
        stats->bytes_read += p->stats.bytes_read;
    }
    for (int v = 0; v < EG_N_VECTORS; v++) {
        lane *l = &p->set->lanes[v];
        eg_pq_index_close(&l->index);
        l->has_index = false;
    }
    p->set->next = p->shared->idle;
    p->shared->idle = p->set;
    eg_shard_file_release(p->file);
    free(p->ranges);
    free(p);
}

static const eg_piece_ops piece_ops = {.next = piece_next, .close = piece_close};

eg_status eg_shard_piece_open(eg_shard_shared *shared, eg_shard_file *f, uint32_t row_group,
                              int64_t first_row, eg_piece **out, eg_err *err) {
    *out = NULL;
    shard_piece *p = calloc(1, sizeof *p);
    range *all = calloc(1, sizeof *all);
    eg_shard_readers *set = NULL;
    eg_status rc = p != NULL && all != NULL ? open_readers(shared, &set, err)
                                            : eg_fail_nomem(err, "a row group");
    if (rc != EG_OK) {
        free(p);
        free(all);
        return rc;
    }
    p->base.ops = &piece_ops;
    p->shared = shared;
    p->file = f;
    p->set = set;
    p->group = row_group;
    p->n_rows = eg_pq_file_row_group(f->pq, row_group)->num_rows;
    p->first_row = first_row;
    all->end = p->n_rows;
    p->ranges = all;
    p->n_ranges = 1;
    p->group_bytes = eg_shard_group_bytes(f, row_group);
    atomic_fetch_add(&f->n_references, 1);
    if ((rc = start_readers(p, err)) != EG_OK) {
        piece_close(&p->base, NULL);
        return rc;
    }
    *out = &p->base;
    return EG_OK;
}
