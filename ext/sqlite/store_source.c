/*
** The source's own connection holds a transaction open, so that what it saw of the store stays
** so. Without a write-ahead log no writer can commit meanwhile, and any other connection sees the
** same: then each piece has one, and workers can read them at once.
**
** A scan of the whole table takes its rows from the pages themselves (btree_read.h), a piece some
** leaves. Where a row has anything but integers in the columns that are wanted, or a number out of
** range, SQLite reads on from there to the end of the leaf, and tells what is wrong.
*/
#include "sqlite/store_source.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite/store_pages.h"
#include "sqlite/store_terms.h"

#define PIECE_LEAVES 512  /* likewise */
#define READ_PAGES 16     /* at a time, where they follow one another */
#define PIECE_ROWS 32768  /* what a worker reads at a time (query/scan_ahead.c) */
#define SMALL_PART 16     /* an index is used for less than a 16th of the rows */
#define POLL_STEPS 100000 /* of SQLite's machine */
#define MAX_COLUMNS (EG_N_VECTORS + 2)

typedef struct reader {
    struct reader *next; /* idle */
    eg_database file;
    sqlite3_stmt *rows;
    bool is_shared; /* file is the source's */
    eg_pages pages; /* of file */
    uint8_t *room;  /* [READ_PAGES] of its pages; owned */
} reader;

/* A column of the statement. */
typedef struct picked {
    eg_vector vector;
    int64_t lo, hi;
    size_t width;
} picked;

typedef struct store_source {
    eg_source base; /* must be first */
    eg_scan_spec spec;
    eg_database file;
    eg_store_terms terms;
    char *sql;
    picked columns[MAX_COLUMNS];
    int n_columns;
    eg_vector_set missing; /* asked for, and not in a store */
    bool by_index, is_serial;
    int64_t next_id, max_id, total_bytes;
    atomic_llong n_done;  /* rows' ids that are done with */
    uint32_t *file_codes; /* [n_file_codes] of captures, UINT32_MAX: not asked yet */
    int64_t n_file_codes;
    eg_pages pages;
    eg_leaf_walk *walk; /* NULL: pieces are ranges of rowids */
    eg_read_plan plan;
    int start_place, duration_place; /* of values that end_ms is made of */
    int64_t exporter, exporter_code; /* the last one that was a number */
    reader *idle;
} store_source;

typedef struct store_piece {
    eg_piece base; /* must be first */
    store_source *source;
    reader *from;
    int64_t n_ids, n_rows;
    bool is_done; /* with the statement */
    int64_t n_pages;
    uint32_t n_leaves, at; /* the next leaf */
    uint32_t n_in_room;    /* leaves from `at` on whose pages are in the reader's room */
    uint32_t first_in_room;
    eg_leaf_rows rows; /* of the leaf before `at`; none left: n == at */
    eg_leaf leaves[];  /* [n_leaves] */
} store_piece;

/* ---- Readers */

static int ask_host(void *arg) {
    const eg_poll *poll = arg;
    return poll->poll != NULL && poll->poll(poll->arg);
}

static void close_reader(reader *r) {
    if (r == NULL)
        return;
    sqlite3_finalize(r->rows);
    if (!r->is_shared)
        eg_db_close(&r->file);
    free(r->room);
    free(r);
}

/* Opens the store once more, which must still be the same file. */
static eg_status open_another(const store_source *s, eg_database *file, eg_err *err) {
    int has_moved = 0;
    eg_status rc = eg_db_open(file, s->file.path, SQLITE_OPEN_NOMUTEX, err);
    if (rc != EG_OK)
        return rc;
    (void)sqlite3_file_control(s->file.db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    return has_moved ? eg_fail(err, EG_IO, -1, "%s: another file has its name since it was opened",
                               s->file.path)
                     : EG_OK;
}

static eg_status open_reader(store_source *s, reader **out, eg_err *err) {
    if ((*out = s->idle) != NULL) {
        s->idle = (*out)->next;
        return EG_OK;
    }
    reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        return eg_fail_nomem(err, "a reader");
    eg_status rc = EG_OK;
    r->is_shared = s->is_serial;
    if (s->is_serial)
        r->file = s->file;
    else
        rc = open_another(s, &r->file, err);
    if (rc == EG_OK)
        rc = eg_db_prepare(&r->file, &r->rows, s->sql, err);
    if (rc == EG_OK && s->walk != NULL) {
        r->pages = s->pages;
        r->pages.arg = &r->file;
        if ((r->room = malloc((size_t)READ_PAGES * s->pages.page_bytes)) == NULL)
            rc = eg_fail_nomem(err, "pages");
    }
    if (rc == EG_OK)
        *out = r;
    else
        close_reader(r);
    return rc;
}

/* ---- Rows */

static const char *name_of(const picked *c) {
    for (int i = 0; i < EG_STORE_COLUMNS; i++)
        if (eg_store_columns[i].vector == c->vector)
            return eg_store_columns[i].name;
    return c->vector == EG_VEC_FILE ? "capture" : "end_ms";
}

static eg_status fail_range(const reader *r, const picked *c, int64_t n, eg_err *err) {
    return eg_fail(err, EG_CORRUPT, -1, "%s: flow %lld: %s is %lld: expected %lld to %lld",
                   r->file.path, (long long)sqlite3_column_int64(r->rows, 0), name_of(c),
                   (long long)n, (long long)c->lo, (long long)c->hi);
}

static eg_status fail_type(const reader *r, const picked *c, int column, eg_err *err) {
    const char *text = (const char *)sqlite3_column_text(r->rows, column);
    return eg_fail(err, EG_CORRUPT, -1, "%s: flow %lld: %s is '%.40s': expected an integer",
                   r->file.path, (long long)sqlite3_column_int64(r->rows, 0), name_of(c),
                   text != NULL ? text : "");
}

static eg_status exporter_number_code(store_source *s, int64_t number, int64_t *code, eg_err *err) {
    char text[EG_IP4_TEXT_MAX];
    uint32_t n32 = 0;
    if (number != s->exporter) {
        size_t n = eg_ip4_format((uint32_t)number, text);
        eg_status rc = eg_intern_add(s->spec.texts, text, n, &n32, err);
        if (rc != EG_OK)
            return rc;
        s->exporter_code = n32;
        s->exporter = number;
    }
    *code = s->exporter_code;
    return EG_OK;
}

/* The code of an exporter, which is a number or a text. */
static eg_status exporter_code(store_source *s, const reader *r, const picked *c, int column,
                               int64_t *code, eg_err *err) {
    uint32_t n32 = 0;
    if (sqlite3_column_type(r->rows, column) == SQLITE_INTEGER) {
        int64_t number = sqlite3_column_int64(r->rows, column);
        if (number < 0 || number > UINT32_MAX) {
            picked about = {.vector = c->vector, .lo = 0, .hi = UINT32_MAX};
            return fail_range(r, &about, number, err);
        }
        return exporter_number_code(s, number, code, err);
    }
    const char *text = (const char *)sqlite3_column_text(r->rows, column);
    if (text == NULL)
        return eg_fail_nomem(err, "an exporter");
    eg_status rc = eg_intern_add(s->spec.texts, text, (size_t)sqlite3_column_bytes(r->rows, column),
                                 &n32, err);
    *code = n32;
    return rc;
}

/* The code of a capture's name. EG_DONE where it has no name. */
static eg_status file_code(store_source *s, int64_t capture, int64_t *code, eg_err *err) {
    if (capture < 0 || capture >= s->n_file_codes)
        return EG_DONE;
    uint32_t *known = &s->file_codes[capture];
    if (*known == UINT32_MAX) {
        sqlite3_stmt *q;
        eg_status rc = eg_db_prepare(&s->file, &q, "SELECT name FROM capture WHERE id = ?1", err);
        if (rc != EG_OK)
            return rc;
        sqlite3_bind_int64(q, 1, capture);
        const char *name =
            sqlite3_step(q) == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
        rc = name != NULL ? eg_intern_add(s->spec.texts, name, strlen(name), known, err) : EG_DONE;
        sqlite3_finalize(q);
        if (rc != EG_OK)
            return rc;
    }
    *code = *known;
    return EG_OK;
}

/* Takes a column of the statement's row as that of the batch's next. */
static eg_status take_value(store_source *s, const reader *r, int column, eg_batch *b, void *array,
                            eg_err *err) {
    uint32_t row = b->n_rows;
    const picked *c = &s->columns[column - 1];
    /* Once for both: the connection has no mutex, and one thread at a time. */
    sqlite3_value *value = sqlite3_column_value(r->rows, column);
    int64_t n = sqlite3_value_int64(value);
    int type = sqlite3_value_type(value);
    eg_status rc = EG_OK;
    if (type == SQLITE_NULL)
        rc = EG_DONE;
    else if (type != SQLITE_INTEGER && c->vector != EG_VEC_EXPORTER)
        return fail_type(r, c, column, err);
    else if (c->vector == EG_VEC_EXPORTER)
        rc = exporter_code(s, r, c, column, &n, err);
    else if (c->vector == EG_VEC_FILE)
        rc = file_code(s, n, &n, err);
    else if (n < c->lo || n > c->hi)
        return fail_range(r, c, n, err);
    if (rc == EG_DONE) {
        n = 0;
        rc = b->nulls != NULL ? EG_OK : eg_batch_need_nulls(b, err);
        if (rc == EG_OK)
            b->nulls[row] |= EG_VECTOR_BIT(c->vector);
    }
    eg_array_put(array, c->width, row, n);
    return rc;
}

/* Vectors that no store has. */
static eg_status fill_missing(const store_source *s, eg_batch *b, eg_err *err) {
    eg_vector_set nulls = s->missing & ~EG_VECTOR_BIT(EG_VEC_RECEIVED_MS);
    for (int v = 0; v < EG_N_VECTORS; v++)
        if ((s->missing & EG_VECTOR_BIT(v)) != 0)
            for (uint32_t i = 0; i < b->n_rows; i++)
                eg_array_put(eg_batch_array(b, (eg_vector)v), eg_vector_width((eg_vector)v), i,
                             v == EG_VEC_RECEIVED_MS ? EG_NO_TIME : 0);
    eg_status rc = nulls != 0 && b->nulls == NULL ? eg_batch_need_nulls(b, err) : EG_OK;
    for (uint32_t i = 0; rc == EG_OK && nulls != 0 && i < b->n_rows; i++)
        b->nulls[i] |= nulls;
    return rc;
}

/* Takes the statement's rows, until the batch is full or it has no more. */
static eg_status step_rows(store_piece *p, eg_batch *b, void *const *arrays, eg_err *err) {
    store_source *s = p->source;
    const reader *r = p->from;
    eg_status rc = EG_OK;
    while (rc == EG_OK && !p->is_done && b->n_rows < EG_BATCH_ROWS) {
        int found = sqlite3_step(r->rows);
        p->is_done = found == SQLITE_DONE;
        if (found == SQLITE_INTERRUPT)
            rc = eg_fail(err, EG_INTERRUPT, -1, "interrupted");
        else if (found != SQLITE_ROW && found != SQLITE_DONE)
            rc = eg_db_fail(&r->file, err);
        if (found != SQLITE_ROW)
            break;
        if (s->spec.wants_numbers)
            b->numbers[b->n_rows] = sqlite3_column_int64(r->rows, 0);
        for (int c = 1; c <= s->n_columns && rc == EG_OK; c++)
            rc = take_value(s, r, c, b, arrays[c - 1], err);
        b->n_rows++;
    }
    return rc;
}

/* ---- Rows from pages */

static void ask_for(store_piece *p, int64_t first, int64_t last) {
    sqlite3_reset(p->from->rows);
    sqlite3_bind_int64(p->from->rows, 1, first);
    sqlite3_bind_int64(p->from->rows, 2, last);
    p->is_done = false;
}

/* Goes to the next leaf, reading it with those that follow it in the file. EG_DONE behind the
** last. */
static eg_status next_leaf(store_piece *p, eg_err *err) {
    const reader *r = p->from;
    const eg_pages *f = &r->pages;
    if (p->at == p->n_leaves)
        return EG_DONE;
    const eg_leaf *leaf = &p->leaves[p->at];
    if (p->n_in_room == 0) {
        uint32_t n = 1;
        while (n < READ_PAGES && p->at + n < p->n_leaves && leaf[n].page == leaf->page + n)
            n++;
        eg_status rc = f->read(f->arg, (int64_t)(leaf->page - 1) * f->page_bytes, r->room,
                               n * f->page_bytes, err);
        if (rc != EG_OK)
            return rc;
        p->n_in_room = n;
        p->first_in_room = leaf->page;
        p->n_pages += n;
    }
    p->n_in_room--;
    p->at++;
    return eg_leaf_begin(f, leaf, r->room + (size_t)(leaf->page - p->first_in_room) * f->page_bytes,
                         &p->rows, err);
}

/* Puts the values of a plain row into the batch. EG_DONE for one that SQLite has to see. */
static eg_status put_row(store_source *s, const eg_leaf_row *row, eg_batch *b, void *const *arrays,
                         eg_err *err) {
    int64_t values[MAX_COLUMNS];
    uint64_t nulls;
    uint32_t at = b->n_rows;
    if (row->record == NULL || !eg_read_integers(&s->plan, row, values, &nulls) || nulls != 0)
        return EG_DONE;
    for (int i = 0; i < s->n_columns; i++) {
        const picked *c = &s->columns[i];
        int64_t n = c->vector == EG_VEC_END_MS ? 0 : values[i];
        eg_status rc = EG_OK;
        if (c->vector == EG_VEC_END_MS &&
            __builtin_add_overflow(values[s->start_place], values[s->duration_place], &n))
            return EG_DONE;
        if (c->vector == EG_VEC_EXPORTER)
            rc = n < 0 || n > UINT32_MAX ? EG_DONE : exporter_number_code(s, n, &n, err);
        else if (c->vector == EG_VEC_FILE)
            rc = file_code(s, n, &n, err);
        else if (n < c->lo || n > c->hi)
            return EG_DONE;
        if (rc != EG_OK)
            return rc;
        eg_array_put(arrays[i], c->width, at, n);
    }
    if (s->spec.wants_numbers)
        b->numbers[at] = row->rowid;
    b->n_rows++;
    return EG_OK;
}

static eg_status take_leaves(store_piece *p, eg_batch *b, void *const *arrays, eg_err *err) {
    eg_status rc = EG_OK;
    while (rc == EG_OK && b->n_rows < EG_BATCH_ROWS) {
        eg_leaf_row row;
        if (!p->is_done) {
            rc = step_rows(p, b, arrays, err);
            continue;
        }
        rc = eg_leaf_next(&p->rows, &row, err);
        if (rc == EG_DONE) {
            rc = next_leaf(p, err);
            continue;
        }
        if (rc == EG_OK)
            rc = put_row(p->source, &row, b, arrays, err);
        if (rc == EG_DONE) { /* SQLite reads the rest of the leaf */
            ask_for(p, row.rowid, p->rows.leaf.last);
            p->rows.at = p->rows.n;
            rc = EG_OK;
        }
    }
    return rc == EG_DONE && b->n_rows > 0 ? EG_OK : rc;
}

static eg_status piece_next(eg_piece *base, eg_batch *b, eg_err *err) {
    store_piece *p = (store_piece *)base;
    store_source *s = p->source;
    b->n_rows = 0;
    b->nulls = NULL;
    eg_status rc = s->spec.wants_numbers ? eg_batch_need_numbers(b, err) : EG_OK;
    void *arrays[MAX_COLUMNS];
    for (int c = 0; c < s->n_columns; c++)
        arrays[c] = eg_batch_array(b, s->columns[c].vector);
    if (rc == EG_OK)
        rc = s->walk != NULL ? take_leaves(p, b, arrays, err) : step_rows(p, b, arrays, err);
    if (rc == EG_OK && s->missing != 0)
        rc = fill_missing(s, b, err);
    p->n_rows += rc == EG_OK ? b->n_rows : 0;
    if (rc != EG_OK)
        b->n_rows = 0;
    return rc == EG_OK && b->n_rows == 0 ? EG_DONE : rc;
}

static void piece_close(eg_piece *base, eg_scan_stats *stats) {
    store_piece *p = (store_piece *)base;
    store_source *s = p->source;
    reader *r = p->from;
    int misses = 0, peak;
    sqlite3_db_status(r->file.db, SQLITE_DBSTATUS_CACHE_MISS, &misses, &peak, 1);
    sqlite3_reset(r->rows);
    r->next = s->idle;
    s->idle = r;
    atomic_fetch_add(&s->n_done, p->n_ids);
    if (stats != NULL) {
        stats->rows_read += p->n_rows;
        stats->bytes_read += (int64_t)misses * 4096 + p->n_pages * s->pages.page_bytes;
    }
    free(p);
}

static const eg_piece_ops piece_ops = {.next = piece_next, .close = piece_close};

/* ---- The source */

/* The next range of rowids, from one that is there: between two there may be any distance.
** EG_DONE behind the last. */
static eg_status next_range(store_source *s, int64_t *first, int64_t *last, eg_err *err) {
    bool is_there = s->next_id <= s->max_id;
    eg_status rc = EG_OK;
    *first = s->next_id;
    *last = s->max_id;
    if (is_there && !s->by_index) {
        sqlite3_stmt *q;
        rc =
            eg_db_prepare(&s->file, &q, "SELECT min(id) FROM flow WHERE id BETWEEN ?1 AND ?2", err);
        if (rc != EG_OK)
            return rc;
        sqlite3_bind_int64(q, 1, s->next_id);
        sqlite3_bind_int64(q, 2, s->max_id);
        rc = eg_db_finish(&s->file, q, NULL, first, err);
        if ((uint64_t)s->max_id - (uint64_t)*first >= PIECE_ROWS)
            *last = *first + PIECE_ROWS - 1;
    }
    if (rc != EG_OK || !is_there)
        return rc != EG_OK ? rc : EG_DONE;
    s->next_id = *last == INT64_MAX ? INT64_MAX : *last + 1;
    s->max_id = *last == INT64_MAX ? INT64_MAX - 1 : s->max_id;
    return EG_OK;
}

/* Fills in which leaves or rows a piece has. */
static eg_status choose_rows(store_source *s, store_piece *p, eg_err *err) {
    int64_t first, last;
    if (s->walk != NULL) {
        p->is_done = true;
        eg_status rc = eg_leaf_walk_next(s->walk, p->leaves, PIECE_LEAVES, &p->n_leaves, err);
        if (rc != EG_OK)
            return rc;
        first = s->next_id;
        last = p->leaves[p->n_leaves - 1].last;
        last = last < s->max_id ? last : s->max_id;
        s->next_id = last;
    } else {
        eg_status rc = next_range(s, &first, &last, err);
        if (rc != EG_OK)
            return rc;
        ask_for(p, first, last);
    }
    p->n_ids = (int64_t)((uint64_t)last - (uint64_t)first);
    return EG_OK;
}

static eg_status source_next_piece(eg_source *base, eg_piece **out, eg_err *err) {
    store_source *s = (store_source *)base;
    *out = NULL;
    size_t n_leaves = s->walk != NULL ? PIECE_LEAVES : 0;
    store_piece *p = calloc(1, sizeof *p + n_leaves * sizeof p->leaves[0]);
    if (p == NULL)
        return eg_fail_nomem(err, "a piece of a store");
    p->base.ops = &piece_ops;
    p->source = s;
    eg_status rc = open_reader(s, &p->from, err);
    if (rc == EG_OK)
        rc = choose_rows(s, p, err);
    if (rc == EG_OK) {
        *out = &p->base;
        return EG_OK;
    }
    if (p->from != NULL) {
        p->from->next = s->idle;
        s->idle = p->from;
    }
    free(p);
    return rc;
}

static void source_progress(const eg_source *base, int64_t *done_bytes, int64_t *total_bytes) {
    const store_source *s = (const store_source *)base;
    int64_t n_done = atomic_load(&s->n_done);
    *total_bytes = s->total_bytes;
    *done_bytes = s->max_id <= 0 || n_done < 0
                      ? 0
                      : (int64_t)((double)s->total_bytes * (double)n_done / (double)s->max_id);
    *done_bytes = *done_bytes > s->total_bytes ? s->total_bytes : *done_bytes;
}

static void source_close(eg_source *base, eg_scan_stats *stats) {
    store_source *s = (store_source *)base;
    while (s->idle != NULL) {
        reader *r = s->idle;
        s->idle = r->next;
        close_reader(r);
    }
    eg_leaf_walk_close(s->walk);
    eg_db_close(&s->file);
    eg_store_terms_clear(&s->terms);
    sqlite3_free(s->sql);
    free(s->file_codes);
    if (stats != NULL)
        stats->files++;
    free(s);
}

static const eg_source_ops parallel_ops = {.next_piece = source_next_piece,
                                           .progress = source_progress,
                                           .close = source_close,
                                           .is_independent = true};
static const eg_source_ops serial_ops = {
    .next_piece = source_next_piece, .progress = source_progress, .close = source_close};

/* ---- Opening */

/* The index that leaves the fewest rows, if these are a small part; -1 for none. */
static eg_status choose_index(store_source *s, int *chosen, eg_err *err) {
    int64_t most = s->max_id / SMALL_PART, n;
    eg_status rc = EG_OK;
    *chosen = -1;
    for (int i = 0; i < EG_STORE_INDEXES && rc == EG_OK; i++) {
        sqlite3_stmt *q;
        if (s->terms.indexed[i] == NULL)
            continue;
        char *sql =
            sqlite3_mprintf("SELECT count(*) FROM (SELECT 1 FROM flow INDEXED BY %s WHERE "
                            "%s LIMIT %lld)",
                            eg_store_index_names[i], s->terms.indexed[i], (long long)(most + 1));
        if (sql == NULL)
            return eg_fail_nomem(err, "a statement");
        bool has_index = sqlite3_prepare_v2(s->file.db, sql, -1, &q, NULL) == SQLITE_OK;
        sqlite3_free(sql);
        if (!has_index) /* somebody dropped it */
            continue;
        rc = eg_db_finish(&s->file, q, NULL, &n, err);
        if (rc == EG_OK && n <= most) {
            most = n;
            *chosen = i;
        }
    }
    return rc;
}

static eg_status make_statement(store_source *s, eg_err *err) {
    int chosen;
    eg_status rc = choose_index(s, &chosen, err);
    if (rc != EG_OK)
        return rc;
    s->by_index = chosen >= 0;
    sqlite3_str *sql = sqlite3_str_new(s->file.db);
    sqlite3_str_appendall(sql, "SELECT id");
    for (int v = 0; v < EG_N_VECTORS; v++) {
        const char *name = v == EG_VEC_END_MS ? "start_ms + duration_ms"
                           : v == EG_VEC_FILE ? "capture"
                                              : NULL;
        if ((s->spec.vectors & EG_VECTOR_BIT(v)) == 0)
            continue;
        for (int i = 0; i < EG_STORE_CAPTURE; i++)
            if (eg_store_columns[i].vector == (eg_vector)v)
                name = eg_store_columns[i].name;
        if (name == NULL) {
            s->missing |= EG_VECTOR_BIT(v);
            continue;
        }
        picked *c = &s->columns[s->n_columns++];
        c->vector = (eg_vector)v;
        c->width = eg_vector_width((eg_vector)v);
        eg_vector_range((eg_vector)v, &c->lo, &c->hi);
        sqlite3_str_appendf(sql, ", %s", name);
    }
    if (s->by_index)
        /* of all ids (next_range): to test each costs as much as two columns */
        sqlite3_str_appendf(sql, " FROM flow INDEXED BY %s WHERE 1%s", eg_store_index_names[chosen],
                            s->terms.where);
    else
        sqlite3_str_appendf(sql, " FROM flow NOT INDEXED WHERE id BETWEEN ?1 AND ?2%s",
                            s->terms.where);
    s->sql = sqlite3_str_finish(sql);
    return s->sql != NULL ? EG_OK : eg_fail_nomem(err, "a statement");
}

/* Which columns of a record the picked ones are: behind id, in the order of the store. */
static void make_plan(store_source *s) {
    int n_places = s->n_columns;
    bool wants_end = (s->spec.vectors & EG_VECTOR_BIT(EG_VEC_END_MS)) != 0;
    eg_read_plan_begin(&s->plan);
    for (int c = 0; c < EG_STORE_COLUMNS; c++) {
        eg_vector v = c == EG_STORE_CAPTURE ? EG_VEC_FILE : eg_store_columns[c].vector;
        int place = -1;
        for (int i = 0; i < s->n_columns; i++)
            place = s->columns[i].vector == v ? i : place;
        bool is_start = v == EG_VEC_START_MS, is_duration = v == EG_VEC_DURATION_MS;
        if (place < 0 && wants_end && (is_start || is_duration))
            place = n_places++;
        s->start_place = is_start ? place : s->start_place;
        s->duration_place = is_duration ? place : s->duration_place;
        if (place >= 0)
            eg_read_plan_add(&s->plan, 1 + c, place);
    }
}

/* Has rows taken from the pages, where that can be. */
static eg_status open_walk(store_source *s, eg_err *err) {
    uint32_t root;
    bool fits;
    if (s->by_index)
        return EG_OK;
    make_plan(s);
    eg_status rc = eg_store_pages_open(&s->file, &s->pages, &root, &fits, err);
    return rc == EG_OK && fits ? eg_leaf_walk_open(&s->pages, root, &s->walk, err) : rc;
}

/* Begins to read: what is there from here on is what is read. */
static eg_status begin(store_source *s, eg_err *err) {
    bool has_log = false;
    int64_t min_id = 0;
    eg_status rc = eg_db_run(&s->file, "BEGIN", err);
    if (rc == EG_OK)
        rc = eg_db_number(&s->file, "SELECT min(id) FROM flow", &min_id, err);
    if (rc == EG_OK)
        rc = eg_db_number(&s->file, "SELECT max(id) FROM flow", &s->max_id, err);
    if (rc == EG_OK)
        rc = eg_db_number(&s->file, "SELECT coalesce(max(id), 0) + 1 FROM capture",
                          &s->n_file_codes, err);
    if (rc == EG_OK)
        rc = eg_db_number(&s->file,
                          "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                          &s->total_bytes, err);
    if (rc == EG_OK)
        rc = eg_db_has_log(&s->file, &has_log, err);
    s->next_id = min_id;
    if (rc == EG_OK) /* rows by an index lie here and there */
        rc = eg_db_run(&s->file, "PRAGMA cache_size = -65536", err);
    s->is_serial = has_log || sqlite3_threadsafe() == 0;
    return rc;
}

eg_status eg_store_source_open(const char *path, const eg_scan_spec *spec, eg_source **out,
                               eg_err *err) {
    *out = NULL;
    store_source *s = calloc(1, sizeof *s);
    if (s == NULL)
        return eg_fail_nomem(err, "a store");
    s->spec = *spec;
    s->exporter = -1;
    atomic_init(&s->n_done, 0);
    eg_status rc = eg_db_open(&s->file, path, SQLITE_OPEN_NOMUTEX, err);
    if (rc == EG_OK)
        rc = eg_store_check(&s->file, err);
    if (rc == EG_OK)
        sqlite3_progress_handler(s->file.db, POLL_STEPS, ask_host, &s->spec.poll);
    if (rc == EG_OK)
        rc = begin(s, err);
    if (rc == EG_OK)
        rc = eg_store_terms_make(spec->where, &s->terms, err);
    if (rc == EG_OK)
        rc = make_statement(s, err);
    if (rc == EG_OK)
        rc = open_walk(s, err);
    if (rc == EG_OK) {
        s->is_serial = s->is_serial || s->by_index;
        s->file_codes = malloc((size_t)s->n_file_codes * sizeof *s->file_codes);
        if (s->file_codes == NULL)
            rc = eg_fail_nomem(err, "names of captures");
        else
            memset(s->file_codes, 0xff, (size_t)s->n_file_codes * sizeof *s->file_codes);
    }
    s->base.ops = s->is_serial ? &serial_ops : &parallel_ops;
    if (rc == EG_OK)
        *out = &s->base;
    else
        source_close(&s->base, NULL);
    return rc;
}
