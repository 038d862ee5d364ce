/*
** A row group is planned, then read.
**
** Planning cuts it into ranges of rows by the page indexes of the predicate's
** columns, and drops it where a Bloom filter or dictionary holds nothing that passes.
** It goes test by test, and gives way to the caller after each large dictionary.
**
** Readers, their buffers and translated dictionaries are taken when reading begins and given back
** when it is done, for the next piece, perhaps of another file. So there are as many as pieces that
** were begun, however many are open.
*/
#include <stdlib.h>
#include <string.h>

#include "parquet/pq_bloom.h"
#include "parquet/shard_inside.h"

#define FEW_PART 16 /* of a row group: so many rows are few */

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
        eg_shard_codes_close(&l->codes);
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

/* Gives readers to the next piece. */
static void leave_readers(eg_shard_shared *shared, eg_shard_readers *set) {
    pthread_mutex_lock(&shared->idle_lock);
    set->next = shared->idle;
    shared->idle = set;
    pthread_mutex_unlock(&shared->idle_lock);
}

/* Takes those that were given back last, which are most likely in a cache, or new ones. */
static eg_status take_readers(eg_shard_shared *shared, eg_shard_readers **out, eg_err *err) {
    pthread_mutex_lock(&shared->idle_lock);
    *out = shared->idle;
    if (*out != NULL)
        shared->idle = (*out)->next;
    pthread_mutex_unlock(&shared->idle_lock);
    if (*out != NULL)
        return EG_OK;
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
        l->codes.is_known = false;
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

/* Reads the page index of a predicate's column, once. */
static eg_status open_index(shard_piece *p, eg_vector v, eg_err *err) {
    lane *l = &p->set->lanes[v];
    uint32_t column = p->file->columns[v].column;
    if (l->index.pages != NULL)
        return EG_OK;
    eg_status rc = eg_pq_index_open(p->file->pq, p->group, column, &l->index, err);
    if (rc != EG_OK) /* the lengths of one that cannot be read are any numbers */
        return rc == EG_DONE ? EG_OK : rc;
    const eg_pq_chunk *k = eg_pq_file_chunk(p->file->pq, p->group, column);
    p->stats.bytes_read += k->offset_index_length;
    p->stats.bytes_read += k->column_index_offset != 0 ? k->column_index_length : 0;
    return EG_OK;
}

/* Reads those of all other columns, without bounds. */
static eg_status open_other_indexes(shard_piece *p, eg_err *err) {
    uint32_t columns[EG_N_VECTORS];
    eg_pq_index *indexes[EG_N_VECTORS];
    size_t n = 0;
    for (int v = 0; v < EG_N_VECTORS; v++) {
        lane *l = &p->set->lanes[v];
        if ((p->file->reads & EG_VECTOR_BIT(v)) == 0 || l->index.pages != NULL)
            continue;
        columns[n] = p->file->columns[v].column;
        indexes[n++] = &l->index;
    }
    int64_t n_bytes;
    eg_status rc = eg_pq_index_places(p->file->pq, p->group, columns, indexes, n, &n_bytes, err);
    p->stats.bytes_read += n_bytes;
    return rc;
}

/* Keeps of the ranges what lies in pages that may pass the test. */
static eg_status cut_by_pages(shard_piece *p, const eg_shard_test *t, eg_err *err) {
    const eg_shard_column *c = &p->file->columns[t->vector];
    bool is_single = (t->vectors & (t->vectors - 1)) == 0;
    if (c->origin != EG_SHARD_READ || (t->kind == EG_SHARD_TEST_NULL && !is_single))
        return EG_OK;
    eg_status rc = open_index(p, t->vector, err);
    const eg_pq_index *x = &p->set->lanes[t->vector].index;
    if (rc != EG_OK || x->bounds == NULL)
        return rc;
    /* A range can fall apart at every page, and no more. */
    range *kept = calloc(p->n_ranges + x->n_pages + 1, sizeof *kept);
    if (kept == NULL)
        return eg_fail_nomem(err, "ranges of rows");
    size_t n_kept = 0, at = 0;
    for (uint32_t i = 0; i < x->n_pages; i++) {
        const eg_pq_index_page *page = &x->pages[i];
        const eg_pq_index_bounds *b = &x->bounds[i];
        bool may = b->is_null_page ? t->kind == EG_SHARD_TEST_NULL
                                   : eg_shard_test_bounds(t, c, &b->bounds, page->n_rows);
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

eg_status eg_shard_open_entries(shard_piece *p, eg_vector v, eg_err *err) {
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

eg_status eg_shard_open_dictionary(shard_piece *p, eg_vector v, eg_err *err) {
    lane *l = &p->set->lanes[v];
    eg_status rc = eg_shard_open_entries(p, v, err);
    if (rc == EG_OK && l->has_dictionary && l->dictionary == NULL)
        rc = eg_pq_reader_dictionary(l->reader, &l->dictionary, err);
    return rc;
}

/* Whether one of the chunk's dictionary entries may pass. */
static eg_status look_up_entries(shard_piece *p, const eg_shard_test *t, bool *maybe, eg_err *err) {
    const eg_shard_column *c = &p->file->columns[t->vector];
    lane *l = &p->set->lanes[t->vector];
    eg_status rc = eg_shard_open_entries(p, t->vector, err);
    if (rc == EG_OK && l->has_keys && eg_shard_test_is_one(t)) {
        uint32_t entry;
        int64_t key = eg_shard_key_of_number(c, t->spans[0].lo);
        /* Damage is told by rows. */
        *maybe = eg_shard_keys_find(&l->keys, key, &entry, err) != EG_DONE;
        return EG_OK;
    }
    if (rc == EG_OK && l->has_keys && t->kind == EG_SHARD_TEST_NUMBERS) {
        rc = eg_shard_keys_decode(&l->keys, err);
        *maybe = rc != EG_OK || eg_shard_test_keys(t, c, &l->keys);
        return rc;
    }
    if (rc == EG_OK)
        rc = eg_shard_open_dictionary(p, t->vector, err);
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

/* The vectors whose numbers tell which rows pass, by themselves or as entries of a dictionary.
** Where these are all that is read it pays for codes only. */
static eg_vector_set vectors_of_rows(const shard_piece *p) {
    const eg_shard_tests *tests = &p->shared->tests;
    eg_vector_set set = 0;
    bool has_codes = false;
    for (size_t i = 0; i < tests->n_tests; i++) {
        const eg_shard_test *t = &tests->tests[i];
        const eg_shard_column *c = &p->file->columns[t->vector];
        if (t->kind != EG_SHARD_TEST_NUMBERS || c->origin != EG_SHARD_READ)
            continue;
        bool is_coded = eg_pq_file_all_dictionary(p->file->pq, p->group, c->column);
        has_codes |= is_coded;
        if (is_coded || eg_shard_test_rows(t, NULL, 0, NULL))
            set |= EG_VECTOR_BIT(t->vector);
    }
    return set == p->file->reads && !has_codes ? 0 : set;
}

/* Whether the rows that pass by the columns of p->first are those that the predicate takes: all its
** terms are of numbers, one a column. */
static bool is_exact(const shard_piece *p) {
    const eg_shard_tests *tests = &p->shared->tests;
    eg_vector_set seen = 0;
    for (size_t i = 0; i < tests->n_tests; i++) {
        const eg_shard_test *t = &tests->tests[i];
        if (t->kind != EG_SHARD_TEST_NUMBERS || t->vectors != EG_VECTOR_BIT(t->vector) ||
            (t->vectors & (p->first & ~seen)) == 0 || !eg_shard_test_rows(t, NULL, 0, NULL))
            return false;
        seen |= t->vectors;
    }
    return seen != 0;
}

int64_t eg_shard_rows_left(const shard_piece *p) {
    int64_t n = 0;
    for (size_t i = p->at_range; i < p->n_ranges; i++)
        n += p->ranges[i].end - p->ranges[i].first;
    return n;
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
    p->is_exact = is_exact(p);
    /* Wherever rows are passed over, an index saves looking at what is between. */
    int64_t n_left = eg_shard_rows_left(p);
    bool is_cut = n_left != p->n_rows;
    p->base.has_few = n_left <= p->n_rows / FEW_PART;
    *is_enough |= p->base.has_few;
    return is_cut || p->first != 0 ? open_other_indexes(p, err) : EG_OK;
}

/* ---- the piece ---------------------------------------------------------- */

static void tell_progress(shard_piece *p) {
    double part = p->is_done ? 1 : (double)p->row / (double)p->n_rows;
    int64_t done = (int64_t)((double)p->group_bytes * part);
    done = p->is_done ? p->group_bytes : done;
    atomic_fetch_add(&p->shared->done_bytes, done - p->done_bytes);
    p->done_bytes = done;
}

/* What the readers did. Pages of a row group that was pruned are not told: it is one
** skipped row group. */
static void count_reading(shard_piece *p) {
    p->stats.row_groups += !p->is_pruned;
    p->stats.row_groups_skipped += p->is_pruned;
    for (int v = 0; v < EG_N_VECTORS; v++) {
        lane *l = &p->set->lanes[v];
        if (l->reader == NULL)
            continue;
        eg_pq_reader_counts now = eg_pq_reader_counted(l->reader);
        p->stats.bytes_read += now.bytes_read - l->before.bytes_read + l->keys.bytes_read;
        if (p->is_pruned)
            continue;
        if (l->index.pages != NULL) {
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

static void end_reading(shard_piece *p) {
    if (p->set == NULL)
        return;
    count_reading(p);
    for (int v = 0; v < EG_N_VECTORS; v++)
        eg_pq_index_close(&p->set->lanes[v].index);
    leave_readers(p->shared, p->set);
    p->set = NULL;
}

static eg_status begin_reading(shard_piece *p, eg_err *err) {
    if (p->set != NULL)
        return EG_OK;
    eg_status rc = take_readers(p->shared, &p->set, err);
    if (rc == EG_OK && (rc = start_readers(p, err)) != EG_OK)
        end_reading(p); /* who asks again is told again */
    return rc;
}

static eg_status piece_next(eg_piece *base, eg_batch *b, eg_err *err) {
    shard_piece *p = (shard_piece *)base;
    bool is_enough = false;
    b->n_rows = 0;
    b->nulls = NULL;
    b->is_passed = false;
    if (p->is_done)
        return EG_DONE;
    eg_status rc = begin_reading(p, err);
    if (rc == EG_OK && p->n_planned < 2 * p->shared->tests.n_tests)
        rc = plan(p, &is_enough, err);
    if (rc == EG_OK && p->is_pruned)
        rc = EG_DONE;
    else if (rc == EG_OK && !is_enough)
        rc = eg_shard_read_batch(p, b, err);
    if (rc != EG_OK) {
        b->n_rows = 0;
        b->nulls = NULL;
    }
    p->is_done = rc == EG_DONE;
    if (p->is_done)
        end_reading(p);
    tell_progress(p);
    return rc;
}

static void piece_close(eg_piece *base, eg_scan_stats *stats) {
    shard_piece *p = (shard_piece *)base;
    end_reading(p);
    if (stats != NULL)
        eg_scan_stats_add(stats, &p->stats);
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
    if (p == NULL || all == NULL) {
        free(p);
        free(all);
        return eg_fail_nomem(err, "a row group");
    }
    p->base.ops = &piece_ops;
    p->shared = shared;
    p->file = f;
    p->group = row_group;
    p->n_rows = eg_pq_file_row_group(f->pq, row_group)->num_rows;
    p->first_row = first_row;
    all->end = p->n_rows;
    p->ranges = all;
    p->n_ranges = 1;
    p->group_bytes = eg_shard_group_bytes(f, row_group);
    atomic_fetch_add(&f->n_references, 1);
    *out = &p->base;
    return EG_OK;
}
