/*
** A batch is filled column by column, each from as many slices as it takes. The predicate's
** columns come first: a batch of which no row passes costs the others nothing, and what is
** before the first and behind the last row that passes is cut off. Where few of those between
** pass, only these are picked: codes of the others are not even unpacked. Where all this saves
** little it is given up for the rest of the row group.
**
** The entries of a dictionary are tested once, and rows by their codes as they stand in the page.
** Numbers are made of the codes that pass.
*/
#include <stdlib.h>
#include <string.h>

#include "parquet/shard_inside.h"

#define PICKED_PART 2                   /* of the rows: where no more pass they are picked */
#define EMPTY_BATCHES 64                /* batches without rows that are enough work for one call */
#define TRIAL_ROWS (16 * EG_BATCH_ROWS) /* after which reading columns first has to have paid */

/* ---- columns of a batch ------------------------------------------------- */

/* Where a vector is read to: the batch, or scratch where it only serves others. NULL before there
** was a need for that. */
static void *array_of(const shard_piece *p, const eg_batch *b, eg_vector v) {
    void *array = eg_batch_array(b, v);
    return array != NULL ? array : p->set->lanes[v].scratch;
}

/* The same, there in any case. */
static eg_status target_of(shard_piece *p, const eg_batch *b, eg_vector v, void **out,
                           eg_err *err) {
    *out = array_of(p, b, v);
    if (*out == NULL)
        *out = p->set->lanes[v].scratch = malloc(EG_BATCH_ROWS * eg_vector_width(v));
    return *out != NULL ? EG_OK : eg_fail_nomem(err, "a column");
}

/* The entry of a dictionary that is a number, by its keys or by its parts. EG_DONE where none is;
** EG_UNSUPPORTED, without a message, where neither can tell. */
static eg_status find_entry(shard_piece *p, eg_vector v, int64_t number, uint32_t *entry,
                            eg_err *err) {
    const eg_shard_column *c = &p->file->columns[v];
    lane *l = &p->set->lanes[v];
    if (l->has_keys)
        return eg_shard_keys_find(&l->keys, eg_shard_key_of_number(c, number), entry, err);
    if (c->form != EG_SHARD_U32 || c->about->type != EG_PQ_INT32 || l->n_entries == 0)
        return EG_UNSUPPORTED;
    eg_shard_parts *parts = &l->keys.parts;
    int64_t before = parts->bytes_read;
    eg_status rc = eg_shard_parts_read(parts, p->file->pq, p->group, c->column, EG_PLAIN_KEY,
                                       l->n_entries, err);
    if (rc == EG_DONE)
        return EG_UNSUPPORTED;
    if (rc == EG_OK)
        rc = eg_shard_plain_find(parts, number, entry, err);
    l->keys.bytes_read += parts->bytes_read - before;
    return rc;
}

/* Where the predicate takes one number of a vector only, and its code can be found, rows need no
** more than a look at theirs: those of other codes fail, whatever they are. */
static eg_status find_only(shard_piece *p, eg_vector v, eg_err *err) {
    const eg_shard_tests *tests = &p->shared->tests;
    lane *l = &p->set->lanes[v];
    for (size_t i = 0; i < tests->n_tests; i++) {
        const eg_shard_test *t = &tests->tests[i];
        if (t->vector != v || !eg_shard_test_is_one(t))
            continue;
        int64_t number = t->spans[0].lo;
        l->only = (eg_shard_only){.number = number, .other = number ^ 1};
        eg_status rc = find_entry(p, v, number, &l->only.code, err);
        if (rc == EG_DONE)
            l->only.code = UINT32_MAX;
        l->is_only = rc == EG_OK || rc == EG_DONE;
        return l->is_only || rc == EG_UNSUPPORTED ? EG_OK : rc;
    }
    return EG_OK;
}

/* Makes what a lane's codes stand for available: by keys or by the dictionary, translated
** where there are rows enough. */
static eg_status map_lane(shard_piece *p, eg_vector v, eg_err *err) {
    lane *l = &p->set->lanes[v];
    const eg_shard_column *c = &p->file->columns[v];
    eg_status rc = eg_shard_open_entries(p, v, err);
    if (rc == EG_OK && l->has_dictionary)
        rc = find_only(p, v, err);
    if (rc != EG_OK || !l->has_dictionary || l->is_only)
        return rc;
    l->is_mapped = eg_shard_rows_left(p) / 2 >= l->n_entries;
    if (l->has_keys) {
        if (l->is_mapped)
            rc = eg_shard_keys_decode(&l->keys, err);
        return rc == EG_OK && l->is_mapped ? eg_shard_map_fill_keys(&l->map, c, &l->keys, err) : rc;
    }
    rc = eg_shard_open_dictionary(p, v, err);
    return rc == EG_OK && l->is_mapped
               ? eg_shard_map_fill(&l->map, c, l->dictionary, &p->shared->texts, err)
               : rc;
}

/* Tests the entries of a lane that is mapped, where its rows are read first. Entries that are wrong
** have to be found in rows. */
static eg_status test_entries(shard_piece *p, eg_vector v, eg_err *err) {
    lane *l = &p->set->lanes[v];
    if ((p->first & EG_VECTOR_BIT(v)) == 0 || (!l->is_only && !l->is_mapped))
        return EG_OK;
    if (l->is_only)
        eg_shard_codes_only(&l->codes, &l->only, l->n_entries);
    else if (l->map.n_wrong == 0)
        return eg_shard_codes_fill(&l->codes, &p->shared->tests, v, l->map.numbers, l->n_entries,
                                   err);
    return EG_OK;
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
        if (rc == EG_OK)
            rc = test_entries(p, (eg_vector)v, err);
        if (rc != EG_OK)
            return rc;
        if (p->set->lanes[v].is_mapped)
            eg_shard_map_narrow(&p->set->lanes[v].map, &p->file->columns[v],
                                p->set->lanes[v].n_entries);
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

/* Marks which of a slice's rows, at `at` of a batch, are NULL. */
static eg_status mark_nulls(eg_batch *b, eg_vector v, const eg_pq_vector *rows, void *numbers,
                            uint32_t at, eg_err *err) {
    if (v == EG_VEC_RECEIVED_MS) {
        for (uint32_t i = 0; i < rows->n_rows; i++)
            if (!rows->valid[i])
                ((int64_t *)numbers)[at + i] = EG_NO_TIME;
        return EG_OK;
    }
    eg_status rc = eg_batch_need_nulls(b, err);
    for (uint32_t i = 0; rc == EG_OK && i < rows->n_rows; i++)
        b->nulls[at + i] |= (eg_vector_set)!rows->valid[i] << v;
    return rc;
}

/* Makes a row the next one of a lane, of whose rows n are read from there on. */
static eg_status go_to(const shard_piece *p, lane *l, int64_t row, uint32_t n, eg_err *err) {
    eg_status rc = EG_OK;
    if (eg_pq_reader_row(l->reader) != row)
        rc = eg_pq_reader_seek(l->reader, row, p->ranges[p->at_range].end, &l->index, err);
    count_pages(l, row, n);
    return rc;
}

static eg_status fail_early(shard_piece *p, eg_vector v, eg_err *err) {
    return eg_pq_chunk_fail(p->file->pq, p->group, p->file->columns[v].column, EG_CORRUPT, -1,
                            "fewer rows than it has", err);
}

/* Turns a slice of a lane into numbers. Its rows are picks of rows from `row` on, or, where picks
** is NULL, these. */
static eg_status convert(shard_piece *p, eg_vector v, const eg_pq_vector *rows, int64_t row,
                         const uint16_t *picks, void *to, eg_err *err) {
    lane *l = &p->set->lanes[v];
    eg_shard_slice slice = {.rows = rows,
                            .dictionary = l->dictionary,
                            .map = l->is_mapped ? &l->map : NULL,
                            .keys = l->has_keys ? &l->keys : NULL,
                            .only = l->is_only ? &l->only : NULL,
                            .file = eg_pq_file_name(p->file->pq),
                            .first_row = p->first_row + row,
                            .picks = picks};
    return eg_shard_convert(&p->file->columns[v], &slice, &p->shared->texts, to, err);
}

/* Reads rows [row, row + n) of a column to the start of its array: those that are picked of
** them, where some are. */
static eg_status fill(shard_piece *p, eg_batch *b, eg_vector v, int64_t row, uint32_t n,
                      eg_err *err) {
    lane *l = &p->set->lanes[v];
    const uint16_t *picks = p->set->n_picked > 0 ? p->set->picks : NULL;
    uint32_t n_filled = 0, n_read;
    void *to;
    eg_status rc = target_of(p, b, v, &to, err);
    if (rc == EG_OK)
        rc = go_to(p, l, row, n, err);
    for (uint32_t at = 0; rc == EG_OK && at < n; at += n_read) {
        eg_pq_vector rows;
        if (picks != NULL)
            rc = eg_pq_reader_pick(l->reader, n - at, picks + n_filled, p->set->n_picked - n_filled,
                                   at, &n_read, &rows, err);
        else if ((rc = eg_pq_reader_next(l->reader, n - at, &rows, err)) == EG_OK)
            n_read = rows.n_rows;
        if (rc == EG_DONE)
            rc = fail_early(p, v, err);
        if (rc == EG_OK)
            rc = convert(p, v, &rows, picks != NULL ? row : row + at,
                         picks != NULL ? picks + n_filled : NULL,
                         (uint8_t *)to + n_filled * eg_vector_width(v), err);
        if (rc == EG_OK && rows.n_nulls > 0)
            rc = mark_nulls(b, v, &rows, to, n_filled, err);
        n_filled += rc == EG_OK ? rows.n_rows : 0;
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

/* ---- rows that pass ----------------------------------------------------- */

/* Tests the next rows of a lane, at most n and `at` of a batch from row on, by their codes. *n_read
** is 0 where they have to be read. Rows that pass become numbers, and all others one that does
** not; where all that pass have the same, and these are all rows of the batch, later. */
static eg_status match_codes(shard_piece *p, eg_vector v, int64_t row, uint32_t at, uint32_t n,
                             void *to, uint32_t *n_read, eg_err *err) {
    eg_shard_readers *set = p->set;
    lane *l = &set->lanes[v];
    uint8_t *alive = set->alive + at;
    size_t width = eg_vector_width(v);
    uint16_t places[EG_BATCH_ROWS];
    eg_status rc = eg_pq_reader_match(l->reader, n, &l->codes.test, alive, n_read, err);
    if (rc != EG_OK || *n_read == 0)
        return rc;
    p->code_rows += *n_read;
    l->is_late = l->codes.is_one && at == 0 && *n_read == n;
    if (l->is_late)
        return EG_OK;
    uint32_t n_alive = eg_shard_ones(alive, *n_read, places);
    const void *from = NULL;
    if (n_alive > 0 && !l->codes.is_one) {
        eg_pq_vector rows;
        eg_pq_reader_back(l->reader);
        if (n_alive > *n_read / PICKED_PART) {
            p->code_rows -= *n_read;
            *n_read = 0;
            return EG_OK;
        }
        rc = eg_pq_reader_pick(l->reader, *n_read, places, n_alive, 0, n_read, &rows, err);
        if (rc == EG_OK)
            rc = convert(p, v, &rows, row + at, places, set->numbers, err);
        from = set->numbers;
    }
    if (rc == EG_OK) {
        eg_shard_put_same((uint8_t *)to + at * width, width, l->codes.other, *n_read);
        eg_shard_put_at((uint8_t *)to + at * width, width, places, n_alive, l->codes.number, from);
    }
    return rc;
}

/* Writes what match_codes() left out, for n rows. */
static void put_late(shard_piece *p, const eg_batch *b, uint32_t n) {
    uint16_t places[EG_BATCH_ROWS];
    uint32_t n_alive = UINT32_MAX;
    for (int v = 0; v < EG_N_VECTORS; v++) {
        lane *l = &p->set->lanes[v];
        if ((p->first & EG_VECTOR_BIT(v)) == 0 || !l->is_late)
            continue;
        if (n_alive == UINT32_MAX)
            n_alive = eg_shard_ones(p->set->alive, n, places);
        void *array = array_of(p, b, (eg_vector)v);
        size_t width = eg_vector_width((eg_vector)v);
        eg_shard_put_same(array, width, l->codes.other, n);
        eg_shard_put_at(array, width, places, n_alive, l->codes.number, NULL);
    }
}

/* Clears alive of rows whose numbers do not pass the tests of a vector. */
static void test_numbers(shard_piece *p, eg_vector v, const void *numbers, uint32_t at,
                         uint32_t n) {
    const eg_shard_tests *tests = &p->shared->tests;
    for (size_t i = 0; i < tests->n_tests; i++)
        if (tests->tests[i].kind == EG_SHARD_TEST_NUMBERS && tests->tests[i].vector == v)
            eg_shard_test_rows(&tests->tests[i], (const uint8_t *)numbers + at * eg_vector_width(v),
                               n, p->set->alive + at);
}

/* Reads all of rows [row, row + n) of a predicate's column to its array, and clears alive of those
** that do not pass: their numbers are any that do not. */
static eg_status fill_tested(shard_piece *p, eg_batch *b, eg_vector v, int64_t row, uint32_t n,
                             eg_err *err) {
    lane *l = &p->set->lanes[v];
    uint32_t n_read;
    void *to;
    eg_status rc = target_of(p, b, v, &to, err);
    l->is_late = false;
    if (rc == EG_OK)
        rc = go_to(p, l, row, n, err);
    for (uint32_t at = 0; rc == EG_OK && at < n; at += n_read) {
        n_read = 0;
        if (l->codes.is_known)
            rc = match_codes(p, v, row, at, n - at, to, &n_read, err);
        if (rc == EG_OK && n_read > 0)
            continue;
        eg_pq_vector rows;
        if (rc == EG_OK)
            rc = eg_pq_reader_next(l->reader, n - at, &rows, err);
        if (rc == EG_DONE)
            rc = fail_early(p, v, err);
        if (rc != EG_OK)
            break;
        n_read = rows.n_rows;
        rc = convert(p, v, &rows, row + at, NULL, (uint8_t *)to + at * eg_vector_width(v), err);
        if (rc == EG_OK && rows.n_nulls > 0)
            rc = mark_nulls(b, v, &rows, to, at, err);
        test_numbers(p, v, to, at, n_read);
    }
    return rc;
}

/* Finds the first and the last of n rows that pass, by the columns that are read first, and
** how many do. False where none does. */
static bool find_alive(shard_piece *p, const eg_batch *b, uint32_t n, uint32_t *lo, uint32_t *hi,
                       uint32_t *n_alive) {
    const eg_shard_tests *tests = &p->shared->tests;
    uint8_t *alive = p->set->alive;
    for (size_t i = 0; b->nulls != NULL && i < tests->n_tests; i++) {
        const eg_shard_test *t = &tests->tests[i];
        if (t->kind != EG_SHARD_TEST_NUMBERS || (p->first & EG_VECTOR_BIT(t->vector)) == 0)
            continue;
        for (uint32_t k = 0; k < n; k++)
            alive[k] &= (b->nulls[k] & t->vectors) == 0;
    }
    const uint8_t *first = memchr(alive, 1, n);
    if (first == NULL)
        return false;
    *lo = (uint32_t)(first - alive);
    *hi = (uint32_t)((const uint8_t *)memrchr(alive, 1, n) - alive);
    *n_alive = eg_shard_count(alive, n);
    return true;
}

/* Picks the rows that are alive of [lo, hi], and moves those of the columns that were read to the
** front. */
static void pick_alive(shard_piece *p, eg_batch *b, uint32_t lo, uint32_t hi) {
    eg_shard_readers *set = p->set;
    uint32_t n = eg_shard_ones(set->alive, hi + 1, set->picks);
    for (int v = 0; v < EG_N_VECTORS; v++) {
        if ((p->first & EG_VECTOR_BIT(v)) == 0)
            continue;
        const lane *l = &set->lanes[v];
        void *array = array_of(p, b, (eg_vector)v);
        size_t width = eg_vector_width((eg_vector)v);
        if (l->is_late)
            eg_shard_put_same(array, width, l->codes.number, n);
        else
            eg_pick_rows(array, array, width, set->picks, n);
    }
    if (b->nulls != NULL) {
        eg_pick_rows(b->nulls, b->nulls, sizeof *b->nulls, set->picks, n);
        memset(b->nulls + n, 0, (EG_BATCH_ROWS - n) * sizeof *b->nulls);
    }
    for (uint32_t i = 0; i < n; i++)
        set->picks[i] = (uint16_t)(set->picks[i] - lo);
    set->n_picked = n;
}

/* Moves rows [lo, lo + n) of the columns that were read to the front. */
static void shift(shard_piece *p, eg_batch *b, uint32_t lo, uint32_t n) {
    for (int v = 0; v < EG_N_VECTORS; v++) {
        if ((p->first & EG_VECTOR_BIT(v)) == 0)
            continue;
        uint8_t *array = array_of(p, b, (eg_vector)v);
        size_t width = eg_vector_width((eg_vector)v);
        memmove(array, array + lo * width, n * width);
    }
    if (b->nulls != NULL) {
        memmove(b->nulls, b->nulls + lo, n * sizeof *b->nulls);
        memset(b->nulls + n, 0, (EG_BATCH_ROWS - n) * sizeof *b->nulls);
    }
}

/* ---- batches ------------------------------------------------------------ */

static eg_status fill_all(shard_piece *p, eg_batch *b, eg_vector_set vectors, int64_t row,
                          uint32_t n, eg_err *err) {
    eg_status rc = EG_OK;
    for (int v = 0; rc == EG_OK && v < EG_N_VECTORS; v++)
        if ((vectors & EG_VECTOR_BIT(v)) != 0)
            rc = fill(p, b, (eg_vector)v, row, n, err);
    return rc;
}

/* Reads the columns that come first of n rows from p->row on, and leaves in *row and *n
** those of them that are to be read, all or those that are picked; none where *n becomes 0. */
static eg_status try_rows(shard_piece *p, eg_batch *b, int64_t *row, uint32_t *n, eg_err *err) {
    uint32_t lo, hi, n_alive = 0, n_seen = *n;
    eg_status rc = EG_OK;
    memset(p->set->alive, 1, n_seen);
    for (int v = 0; rc == EG_OK && v < EG_N_VECTORS; v++)
        if ((p->first & EG_VECTOR_BIT(v)) != 0)
            rc = fill_tested(p, b, (eg_vector)v, p->row, n_seen, err);
    if (rc != EG_OK)
        return rc;
    p->tried_rows += n_seen;
    if (!find_alive(p, b, n_seen, &lo, &hi, &n_alive)) {
        *n = 0;
    } else if (n_alive <= (hi - lo) / PICKED_PART) {
        *row = p->row + lo;
        *n = hi - lo + 1;
        pick_alive(p, b, lo, hi);
    } else {
        put_late(p, b, n_seen);
        if (hi - lo < n_seen / 4 * 3) {
            *row = p->row + lo;
            *n = hi - lo + 1;
            shift(p, b, lo, *n);
        }
    }
    b->is_passed = p->is_exact && (p->set->n_picked > 0 || (*n > 0 && n_alive == *n));
    p->cut_rows += n_seen - (p->set->n_picked > 0 ? p->set->n_picked : *n);
    return EG_OK;
}

/* Writes first, first + 1, … two at a time: every row of a whole scan has one. */
static void count_up(int64_t *out, int64_t first, uint32_t n) {
    typedef int64_t pair __attribute__((vector_size(16)));
    pair next = {first, first + 1};
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8, next += 8) {
        pair here[4] = {next, next + 2, next + 4, next + 6};
        memcpy(out + i, here, sizeof here);
    }
    for (; i < n; i++)
        out[i] = first + i;
}

/* Numbers the rows of a batch that begins at a row of the group, as every scan does, whatever it
** leaves out. */
static eg_status number_rows(const shard_piece *p, eg_batch *b, int64_t row, eg_err *err) {
    const eg_shard_readers *set = p->set;
    int64_t first = p->file->first_number + p->first_row + row;
    eg_status rc = eg_batch_need_numbers(b, err);
    if (rc != EG_OK)
        return rc;
    if (set->n_picked == 0)
        count_up(b->numbers, first, b->n_rows);
    for (uint32_t i = 0; i < set->n_picked; i++)
        b->numbers[i] = first + set->picks[i];
    return EG_OK;
}

eg_status eg_shard_read_batch(shard_piece *p, eg_batch *b, eg_err *err) {
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
        p->set->n_picked = 0;
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
        b->n_rows = p->set->n_picked > 0 ? p->set->n_picked : n;
        rc = fill_all(p, b, reads & ~p->first, row, n, err);
        if (rc == EG_OK)
            rc = fill_others(p, b, err);
        if (rc == EG_OK && p->shared->spec->wants_numbers)
            rc = number_rows(p, b, row, err);
        p->row = next;
        p->stats.rows_read += rc == EG_OK ? b->n_rows : 0;
        return rc;
    }
    return EG_OK;
}
