/*
** Sorting is by words of which the lower bits are a row's number: a stable sort of them by
** start, then by address, orders by both. Rows are numbered anew once they are in the order
** of the table, so that equal keys come in the order of their rowids.
**
** A worker sorts and writes the runs of some rows while these are written to the table, and
** later merges the entries of an index while pages are made of those before.
*/
#include "sqlite/store_bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/pool.h"
#include "base/radix.h"
#include "flow/address_order.h"
#include "sqlite/btree_write.h"

#define ROW_BITS 20 /* EG_ROWS_MAX rows */
#define START_BITS 44
#define START_BIAS (INT64_C(1) << (START_BITS - 1))
#define MERGE_BYTES (64u << 20) /* for all runs of an index */
#define POLL_ROWS 65536
#define BLOCK_ENTRIES 65536
#define GATHER_ROWS 256

_Static_assert(EG_ROWS_MAX <= 1u << ROW_BITS, "a row's number fits the lower bits");

/* What an index has of a row: compares as the index does. hi is an address (or its text's key) and
** the upper bits of the start, lo its lower bits and the rowid. */
typedef struct entry {
    uint64_t hi, lo;
} entry;
#define LOW_START 16 /* bits of start in lo */
#define ROWID_BITS 48

typedef struct run {
    int64_t first, n; /* entries of the file */
} run;

typedef struct runs {
    int fd;
    run *list; /* owned */
    size_t n, capacity;
    int64_t n_entries;
} runs;

/* What the worker does beside write_rows. */
typedef struct runs_job {
    eg_job job; /* must be first */
    eg_bulk *bulk;
    const eg_rows *rows;
    const uint32_t *src_keys, *dst_keys;
    eg_status rc;
    eg_err err;
} runs_job;

struct eg_bulk {
    char *path;
    eg_pool *pool;
    int fd;
    eg_page_file *file;
    eg_btree *table;
    uint32_t roots[EG_STORE_INDEXES + 1];
    int64_t capture, n_rows;
    eg_poll poll;
    runs indexes[EG_STORE_INDEXES];
    uint64_t *words, *spare; /* [EG_ROWS_MAX] */
    uint32_t *row_of;        /* [EG_ROWS_MAX] row of the buffer, in the order of the table */
    entry *entries;          /* [EG_ROWS_MAX] */
    eg_record record;
    int64_t gathered[EG_STORE_CAPTURE][GATHER_ROWS];
};

static eg_status check_host(const eg_bulk *b, eg_err *err) {
    return b->poll.poll != NULL && b->poll.poll(b->poll.arg)
               ? eg_fail(err, EG_INTERRUPT, -1, "interrupted")
               : EG_OK;
}

static eg_status fail_io(const eg_bulk *b, const char *what, eg_err *err) {
    char text[128];
    return eg_fail(err, EG_IO, -1, "%s: %s: %s", b->path, what,
                   strerror_r(errno, text, sizeof text));
}

/* ---- Opening */

eg_status eg_bulk_roots(const eg_database *d, uint32_t roots[EG_STORE_INDEXES + 1], eg_err *err) {
    eg_status rc = EG_OK;
    for (int i = 0; i <= EG_STORE_INDEXES && rc == EG_OK; i++) {
        sqlite3_stmt *s;
        int64_t root = 0;
        rc = eg_db_prepare(d, &s, "SELECT rootpage FROM sqlite_schema WHERE name = ?1", err);
        if (rc != EG_OK)
            break;
        sqlite3_bind_text(s, 1, i == 0 ? "flow" : eg_store_index_names[i - 1], -1, SQLITE_STATIC);
        rc = eg_db_finish(d, s, NULL, &root, err);
        roots[i] = (uint32_t)root;
    }
    return rc;
}

/* A file without a name beside the store. Until it is deleted, which a kill can prevent, it has one
** by which the next writer knows it: NAME-RANDOM.tmp, where the path is NAME-PID.tmp. */
static eg_status open_unnamed(const eg_bulk *b, int *fd, eg_err *err) {
    int n = (int)strlen(b->path) - (int)strlen(".tmp");
    char *name = sqlite3_mprintf("%.*sXXXXXX.tmp", n > 0 ? n : 0, b->path);
    if (name == NULL)
        return eg_fail_nomem(err, "a name");
    *fd = mkostemps(name, (int)strlen(".tmp"), O_CLOEXEC);
    eg_status rc = *fd >= 0 ? EG_OK : fail_io(b, "a file beside it cannot be made", err);
    if (*fd >= 0)
        (void)unlink(name);
    sqlite3_free(name);
    return rc;
}

eg_status eg_bulk_open(const char *path, const uint32_t roots[EG_STORE_INDEXES + 1],
                       int64_t capture, eg_poll poll, eg_bulk **out, eg_err *err) {
    *out = NULL;
    eg_bulk *b = calloc(1, sizeof *b);
    if (b == NULL)
        return eg_fail_nomem(err, "a store");
    b->fd = -1;
    for (int i = 0; i < EG_STORE_INDEXES; i++)
        b->indexes[i].fd = -1;
    b->capture = capture;
    b->poll = poll;
    memcpy(b->roots, roots, sizeof b->roots);
    b->path = strdup(path);
    b->words = malloc(EG_ROWS_MAX * sizeof *b->words);
    b->spare = malloc(EG_ROWS_MAX * sizeof *b->spare);
    b->row_of = malloc(EG_ROWS_MAX * sizeof *b->row_of);
    b->entries = malloc(EG_ROWS_MAX * sizeof *b->entries);
    eg_status rc = eg_pool_open(1, &b->pool, err);
    bool ok = b->path != NULL && b->words != NULL && b->spare != NULL && b->row_of != NULL &&
              b->entries != NULL;
    if (rc == EG_OK && !ok)
        rc = eg_fail_nomem(err, "a store");
    if (rc == EG_OK && (b->fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
        rc = fail_io(b, "cannot be opened", err);
    for (int i = 0; i < EG_STORE_INDEXES && rc == EG_OK; i++)
        rc = open_unnamed(b, &b->indexes[i].fd, err);
    if (rc == EG_OK)
        rc = eg_page_file_open(b->fd, b->path, &b->file, err);
    if (rc == EG_OK)
        rc = eg_btree_open(b->file, roots[0], false, &b->table, err);
    if (rc == EG_OK)
        *out = b;
    else
        eg_bulk_close(b);
    return rc;
}

void eg_bulk_close(eg_bulk *b) {
    if (b == NULL)
        return;
    eg_pool_close(b->pool);
    eg_btree_close(b->table);
    eg_page_file_close(b->file);
    if (b->fd >= 0)
        (void)close(b->fd);
    for (int i = 0; i < EG_STORE_INDEXES; i++) {
        if (b->indexes[i].fd >= 0)
            (void)close(b->indexes[i].fd);
        free(b->indexes[i].list);
    }
    free(b->words);
    free(b->spare);
    free(b->row_of);
    free(b->entries);
    free(b->path);
    free(b);
}

/* ---- Rows */

static uint32_t row_in(uint64_t word) {
    return (uint32_t)word & (EG_ROWS_MAX - 1);
}

/* Sorts what stands in words, of rows in any order, by the key of each. */
static void sort_by(eg_bulk *b, uint32_t n, const uint32_t *keys, const uint32_t *row_of) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = row_in(b->words[i]);
        b->words[i] = (uint64_t)keys[row_of != NULL ? row_of[at] : at] << 32 | at;
    }
    eg_radix_sort(&b->words, &b->spare, n, 32);
}

static void sort_by_start(eg_bulk *b, uint32_t n, const int64_t *start_ms, const uint32_t *row_of) {
    for (uint32_t i = 0; i < n; i++) {
        int64_t start = start_ms[row_of != NULL ? row_of[i] : i];
        b->words[i] = (uint64_t)(start + START_BIAS) << ROW_BITS | i;
    }
    eg_radix_sort(&b->words, &b->spare, n, ROW_BITS);
}

static eg_status write_run(eg_bulk *b, runs *r, uint32_t n, eg_err *err) {
    const uint8_t *from = (const uint8_t *)b->entries;
    size_t n_left = n * sizeof *b->entries;
    if (!eg_array_grow(&r->list, &r->capacity, r->n, sizeof *r->list))
        return eg_fail_nomem(err, "runs");
    r->list[r->n++] = (run){r->n_entries, n};
    r->n_entries += n;
    while (n_left > 0) {
        ssize_t done = write(r->fd, from, n_left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_io(b, "what its indexes need cannot be written", err);
        from += done;
        n_left -= (size_t)done;
    }
    return EG_OK;
}

/* Writes what an index needs of the rows in the order of words, which hold places in the
** table. keys and starts may be NULL. */
static eg_status add_run(eg_bulk *b, eg_store_index index, uint32_t n, const uint32_t *keys,
                         const int64_t *starts, eg_err *err) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = row_in(b->words[i]), row = b->row_of[at];
        uint64_t start = starts != NULL ? (uint64_t)(starts[row] + START_BIAS) : 0;
        uint64_t key = keys != NULL ? keys[row] : 0;
        b->entries[i].hi = key << 32 | start >> LOW_START;
        b->entries[i].lo = start << ROWID_BITS | (uint64_t)(b->n_rows + 1 + at);
    }
    return write_run(b, &b->indexes[index], n, err);
}

/* Numbers from 0 in the order of the table. */
static void count_up(eg_bulk *b, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        b->words[i] = i;
}

/* The order of the table is that of the first index. */
static void order_rows(eg_bulk *b, const eg_rows *r, const uint32_t *src_keys) {
    uint32_t n = r->n_rows;
    sort_by_start(b, n, r->v.START_MS, NULL);
    sort_by(b, n, src_keys, NULL);
    for (uint32_t i = 0; i < n; i++)
        b->row_of[i] = row_in(b->words[i]);
}

static eg_status add_runs(eg_bulk *b, const eg_rows *r, const uint32_t *src_keys,
                          const uint32_t *dst_keys, eg_err *err) {
    uint32_t n = r->n_rows;
    count_up(b, n);
    eg_status rc = add_run(b, EG_INDEX_SRCADDR, n, src_keys, r->v.START_MS, err);
    if (rc == EG_OK) {
        sort_by(b, n, r->v.SRCADDR, b->row_of);
        rc = add_run(b, EG_INDEX_SRCADDR_NUM, n, r->v.SRCADDR, NULL, err);
    }
    if (rc == EG_OK) {
        count_up(b, n);
        sort_by(b, n, r->v.DSTADDR, b->row_of);
        rc = add_run(b, EG_INDEX_DSTADDR_NUM, n, r->v.DSTADDR, NULL, err);
    }
    if (rc == EG_OK) {
        sort_by_start(b, n, r->v.START_MS, b->row_of);
        rc = add_run(b, EG_INDEX_TIME, n, NULL, r->v.START_MS, err);
    }
    if (rc == EG_OK) {
        sort_by(b, n, dst_keys, b->row_of);
        rc = add_run(b, EG_INDEX_DSTADDR, n, dst_keys, r->v.START_MS, err);
    }
    return rc;
}

static void run_runs(eg_job *job) {
    runs_job *j = (runs_job *)job;
    j->rc = add_runs(j->bulk, j->rows, j->src_keys, j->dst_keys, &j->err);
}

/* An IPv4 exporter is a number, another one a text. */
static void add_exporter(eg_record *to, const eg_intern *texts, uint32_t code) {
    size_t n;
    uint32_t addr;
    const char *text = eg_intern_text(texts, code, &n);
    if (eg_ip4_parse(text, n, &addr))
        eg_record_integer(to, addr);
    else
        eg_record_text(to, text, n);
}

static eg_status write_rows(eg_bulk *b, const eg_rows *r, const eg_intern *texts, eg_err *err) {
    eg_record *to = &b->record;
    eg_status rc = EG_OK;
    for (uint32_t i = 0; i < r->n_rows && rc == EG_OK; i++) {
        uint32_t at = i % GATHER_ROWS, n_left = r->n_rows - i;
        for (int c = 0; at == 0 && c < EG_STORE_CAPTURE; c++)
            eg_rows_gather(r, eg_store_columns[c].vector, b->row_of + i,
                           n_left < GATHER_ROWS ? n_left : GATHER_ROWS, b->gathered[c]);
        eg_record_begin(to);
        eg_record_null(to); /* id: the rowid */
        for (int c = 0; c < EG_STORE_CAPTURE; c++)
            if (eg_store_columns[c].vector == EG_VEC_EXPORTER)
                add_exporter(to, texts, (uint32_t)b->gathered[c][at]);
            else
                eg_record_integer(to, b->gathered[c][at]);
        eg_record_integer(to, b->capture);
        size_t n_bytes = eg_record_join(to);
        rc = eg_btree_add(b->table, b->n_rows + 1 + i, to->bytes, n_bytes, err);
        if (rc == EG_OK && i % POLL_ROWS == 0)
            rc = check_host(b, err);
    }
    return rc;
}

eg_status eg_bulk_add(eg_bulk *b, const eg_rows *rows, const eg_intern *texts, eg_err *err) {
    uint32_t n = rows->n_rows;
    if (n == 0)
        return EG_OK;
    uint32_t *src_keys = malloc(n * sizeof *src_keys), *dst_keys = malloc(n * sizeof *dst_keys);
    eg_status rc =
        src_keys != NULL && dst_keys != NULL ? EG_OK : eg_fail_nomem(err, "keys of addresses");
    for (uint32_t i = 0; i < n && rc == EG_OK; i++) {
        src_keys[i] = eg_ip4_text_key(rows->v.SRCADDR[i]);
        dst_keys[i] = eg_ip4_text_key(rows->v.DSTADDR[i]);
    }
    if (rc == EG_OK) {
        runs_job beside = {.job.run = run_runs,
                           .bulk = b,
                           .rows = rows,
                           .src_keys = src_keys,
                           .dst_keys = dst_keys};
        order_rows(b, rows, src_keys);
        eg_pool_submit(b->pool, &beside.job);
        rc = write_rows(b, rows, texts, err);
        eg_pool_wait(b->pool, &beside.job);
        if (rc == EG_OK && beside.rc != EG_OK) {
            rc = beside.rc;
            if (err != NULL)
                *err = beside.err;
        }
    }
    free(src_keys);
    free(dst_keys);
    b->n_rows += n;
    return rc;
}

/* ---- Indexes */

typedef struct merge_run {
    entry head;   /* the next entry */
    entry *room;  /* what was read */
    size_t at, n; /* of it */
    int64_t next, end;
} merge_run;

typedef struct merge {
    merge_run *runs;
    merge_run **heap; /* [n] least head first */
    size_t n, room;   /* entries of a run that are read at a time */
    entry *entries;
} merge;

static bool is_less(const merge_run *a, const merge_run *b) {
    return a->head.hi != b->head.hi ? a->head.hi < b->head.hi : a->head.lo < b->head.lo;
}

static void sift(merge *m, size_t at) {
    merge_run *moved = m->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= m->n)
            break;
        child += child + 1 < m->n && is_less(m->heap[child + 1], m->heap[child]);
        if (!is_less(m->heap[child], moved))
            break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = moved;
}

/* Makes the next entry of a run its head. EG_DONE behind the last. */
static eg_status advance(const eg_bulk *b, const runs *from, const merge *m, merge_run *r,
                         eg_err *err) {
    if (r->at == r->n) {
        int64_t n_left = r->end - r->next;
        r->n = n_left < (int64_t)m->room ? (size_t)n_left : m->room;
        r->at = 0;
        if (r->n == 0)
            return EG_DONE;
        uint8_t *to = (uint8_t *)r->room;
        size_t n_bytes = r->n * sizeof(entry), done = 0;
        while (done < n_bytes) {
            ssize_t got = pread(from->fd, to + done, n_bytes - done,
                                (off_t)(r->next * (int64_t)sizeof(entry)) + (off_t)done);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return fail_io(b, "what its indexes need cannot be read", err);
            done += (size_t)got;
        }
        r->next += (int64_t)r->n;
    }
    r->head = r->room[r->at++];
    return EG_OK;
}

/* Entries in order, by the worker: one block is merged while another becomes pages. */
typedef struct block {
    eg_job job; /* must be first */
    const eg_bulk *bulk;
    const runs *from;
    merge *merge;
    entry *entries; /* [BLOCK_ENTRIES] owned */
    size_t n;       /* 0: there are no more */
    eg_status rc;
    eg_err err;
} block;

static void fill_block(eg_job *job) {
    block *k = (block *)job;
    merge *m = k->merge;
    k->rc = EG_OK;
    for (k->n = 0; k->n < BLOCK_ENTRIES && m->n > 0 && k->rc == EG_OK;) {
        merge_run *least = m->heap[0];
        k->entries[k->n++] = least->head;
        k->rc = advance(k->bulk, k->from, m, least, &k->err);
        if (k->rc == EG_DONE) {
            m->heap[0] = m->heap[--m->n];
            k->rc = EG_OK;
        }
        if (k->rc == EG_OK && m->n > 0)
            sift(m, 0);
    }
}

static void close_merge(merge *m) {
    free(m->runs);
    free(m->heap);
    free(m->entries);
}

static eg_status open_merge(const eg_bulk *b, const runs *from, merge *m, eg_err *err) {
    eg_status rc = EG_OK;
    size_t n = from->n + 1, most = MERGE_BYTES / sizeof(entry) / n;
    *m = (merge){.room = most > 0 ? most : 1};
    m->runs = calloc(n, sizeof *m->runs);
    m->heap = calloc(n, sizeof(merge_run *));
    m->entries = malloc(n * m->room * sizeof *m->entries);
    if (m->runs == NULL || m->heap == NULL || m->entries == NULL)
        rc = eg_fail_nomem(err, "runs");
    for (size_t i = 0; i < from->n && rc == EG_OK; i++) {
        merge_run *r = &m->runs[i];
        r->room = m->entries + i * m->room;
        r->next = from->list[i].first;
        r->end = r->next + from->list[i].n;
        m->heap[m->n++] = r;
        rc = advance(b, from, m, r, err);
    }
    for (size_t i = m->n; i-- > 0 && rc == EG_OK;)
        sift(m, i);
    return rc;
}

static void make_record(eg_record *to, eg_store_index index, const entry *e) {
    uint32_t key = (uint32_t)(e->hi >> 32);
    int64_t start = (int64_t)((e->hi & UINT32_MAX) << LOW_START | e->lo >> ROWID_BITS) - START_BIAS;
    char text[EG_TEXT_MAX];
    eg_record_begin(to);
    switch (index) {
    case EG_INDEX_SRCADDR:
    case EG_INDEX_DSTADDR:
        eg_record_text(to, text, eg_ip4_format(eg_ip4_of_text_key(key), text));
        eg_record_integer(to, start);
        break;
    case EG_INDEX_TIME:
        eg_record_integer(to, start);
        break;
    case EG_INDEX_SRCADDR_NUM:
    case EG_INDEX_DSTADDR_NUM:
        eg_record_integer(to, key);
        break;
    }
    eg_record_integer(to, (int64_t)(e->lo & ((UINT64_C(1) << ROWID_BITS) - 1)));
}

static eg_status add_block(eg_bulk *b, eg_store_index index, const block *k, eg_btree *tree,
                           eg_err *err) {
    eg_status rc = check_host(b, err);
    for (size_t i = 0; i < k->n && rc == EG_OK; i++) {
        make_record(&b->record, index, &k->entries[i]);
        size_t n_bytes = eg_record_join(&b->record);
        rc = eg_btree_add(tree, 0, b->record.bytes, n_bytes, err);
    }
    return rc;
}

static eg_status merge_blocks(eg_bulk *b, eg_store_index index, merge *m, block blocks[2],
                              eg_btree *tree, eg_err *err) {
    eg_status rc = EG_OK;
    for (int i = 0; i < 2; i++) {
        blocks[i] = (block){.job.run = fill_block,
                            .bulk = b,
                            .from = &b->indexes[index],
                            .merge = m,
                            .entries = malloc(BLOCK_ENTRIES * sizeof(entry))};
        if (blocks[i].entries == NULL)
            rc = eg_fail_nomem(err, "entries of an index");
    }
    if (rc != EG_OK)
        return rc;
    eg_pool_submit(b->pool, &blocks[0].job);
    for (int i = 0;; i ^= 1) {
        block *k = &blocks[i];
        eg_pool_wait(b->pool, &k->job);
        if (rc == EG_OK && k->rc != EG_OK) {
            rc = k->rc;
            if (err != NULL)
                *err = k->err;
        }
        if (rc != EG_OK || k->n == 0)
            return rc;
        eg_pool_submit(b->pool, &blocks[i ^ 1].job);
        rc = add_block(b, index, k, tree, err);
    }
}

static eg_status write_index(eg_bulk *b, eg_store_index index, eg_err *err) {
    merge m;
    block blocks[2] = {0};
    eg_btree *tree = NULL;
    eg_status rc = open_merge(b, &b->indexes[index], &m, err);
    if (rc == EG_OK)
        rc = eg_btree_open(b->file, b->roots[1 + index], true, &tree, err);
    if (rc == EG_OK)
        rc = merge_blocks(b, index, &m, blocks, tree, err);
    if (rc == EG_OK)
        rc = eg_btree_finish(tree, err);
    eg_btree_close(tree);
    for (int i = 0; i < 2; i++)
        free(blocks[i].entries);
    close_merge(&m);
    return rc;
}

eg_status eg_bulk_finish(eg_bulk *b, eg_err *err) {
    eg_status rc = eg_btree_finish(b->table, err);
    for (int i = 0; i < EG_STORE_INDEXES && rc == EG_OK; i++)
        rc = write_index(b, (eg_store_index)i, err);
    return rc == EG_OK ? eg_page_file_finish(b->file, err) : rc;
}
