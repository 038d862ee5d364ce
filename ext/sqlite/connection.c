/* See the header. */
#include "sqlite/connection.h"

#include "capture/capture.h"
#include "dataset/dataset_files.h"
#include "earlgrey.h"
#include "parquet/shard_source.h"
#include "query/scan.h"
#include "sqlite/manifest_db.h"
#include "sqlite/settings.h"
#include "sqlite/store_schema.h"
#include "sqlite/store_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

eg_connection *eg_connection_open(sqlite3 *db) {
    eg_connection *c = sqlite3_malloc64(sizeof *c);
    if (c != NULL) {
        memset(c, 0, sizeof *c);
        c->db = db;
        c->n_refs = 1;
    }
    return c;
}

eg_connection *eg_connection_share(eg_connection *c) {
    c->n_refs++;
    return c;
}

void eg_connection_release(void *p) {
    eg_connection *c = p;
    if (c != NULL && --c->n_refs == 0)
        sqlite3_free(c);
}

/* ---- interrupt ---------------------------------------------------------- */

/* Writes down how far it is. What comes later of a statement can be smaller: a second scan, or a
** capture that is read again; the figure does not fall then. */
static void tell_progress(const eg_connection *c) {
    int64_t done = 0, total = 0, rows = 0;
    if (c->progress == NULL || c->measure == NULL)
        return;
    c->measure(c->measured, &done, &total, &rows);
    done = done < total ? done : total;
    bool goes_on = c->progress->total_bytes == total && c->progress->done_bytes > done;
    c->progress->done_bytes = goes_on ? c->progress->done_bytes : done;
    c->progress->total_bytes = total;
    c->progress->rows = rows;
}

void eg_progress_begin(eg_connection *c, eg_measuring measure, const void *arg) {
    c->measure = measure;
    c->measured = arg;
    if (c->progress != NULL)
        *c->progress = (earlgrey_progress){0};
}

void eg_progress_end(eg_connection *c, const void *arg) {
    if (c->measured != arg)
        return;
    c->measure = NULL;
    c->measured = NULL;
    if (c->progress != NULL)
        *c->progress = (earlgrey_progress){0};
}

static void set_progress(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    eg_connection *c = sqlite3_user_data(ctx);
    earlgrey_progress *progress = sqlite3_value_pointer(argv[0], EARLGREY_PROGRESS);
    if (progress == NULL && sqlite3_value_type(argv[0]) != SQLITE_NULL) {
        sqlite3_result_error(ctx, "earlgrey_progress: expected a pointer of the host program", -1);
        return;
    }
    c->progress = progress;
    if (progress != NULL)
        *progress = (earlgrey_progress){0};
}

int eg_register_progress(eg_connection *c) {
    return sqlite3_create_function_v2(c->db, "earlgrey_progress", 1,
                                      SQLITE_UTF8 | SQLITE_DIRECTONLY, eg_connection_share(c),
                                      set_progress, NULL, NULL, eg_connection_release);
}

static bool interrupt_asked(void *arg) {
    const eg_connection *c = arg;
    tell_progress(c);
    /* Some 1,000 steps of SQLite's machine: a progress handler every 1,000 is called. */
    static const char probe[] = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n "
                                "LIMIT 100) SELECT count(*) FROM n";
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(c->db, probe, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    sqlite3_finalize(stmt);
    return rc == SQLITE_INTERRUPT;
}

eg_poll eg_interrupt_poll(eg_connection *c) {
    return (eg_poll){.poll = interrupt_asked, .arg = c};
}

/* ---- sources ------------------------------------------------------------ */

#define POLL_INTERVAL_NS INT64_C(10000000)

/* For sources, which ask at every read: most times only looks at the clock. */
static bool paced_poll(void *arg) {
    eg_run *r = arg;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t now_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    if (now_ns - r->last_poll_ns < POLL_INTERVAL_NS)
        return false;
    r->last_poll_ns = now_ns;
    return interrupt_asked(r->connection);
}

eg_poll eg_run_poll(eg_run *r) {
    return (eg_poll){.poll = paced_poll, .arg = r};
}

/* Whether a directory without a manifest holds Parquet files, and no capture where these would be
** taken, too. */
static bool holds_parquet(const char *path, eg_source_kind kind, eg_poll poll) {
    eg_shard_list shards = {0};
    eg_filelist captures = {0};
    bool holds = eg_shard_list_open(path, strlen(path), poll, &shards, NULL) == EG_OK &&
                 (kind == EG_SOURCE_PARQUET ||
                  eg_filelist_open_polled(path, strlen(path), poll, &captures, NULL) != EG_OK);
    eg_shard_list_close(&shards);
    eg_filelist_close(&captures);
    return holds;
}

typedef enum source_form { CAPTURES, PARQUET, DATASET, STORE } source_form;

/* Whether a file begins like Parquet. */
static eg_status begins_parquet(const char *path, bool *begins, eg_err *err) {
    char magic[4], text[128];
    size_t n = 0;
    ssize_t more = 1;
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    while (fd >= 0 && n < sizeof magic && more != 0) {
        more = read(fd, magic + n, sizeof magic - n);
        if (more < 0 && errno != EINTR)
            break;
        n += more > 0 ? (size_t)more : 0;
    }
    int reason = errno;
    *begins = n == sizeof magic && memcmp(magic, "PAR1", sizeof magic) == 0;
    if (fd >= 0)
        close(fd);
    return fd >= 0 && more >= 0 ? EG_OK
                                : eg_fail(err, EG_IO, -1, "%s: %s: %s", path,
                                          fd < 0 ? "cannot be opened" : "cannot be read",
                                          strerror_r(reason, text, sizeof text));
}

/* What the first entry of a source is; entries of one list are of one kind. */
static eg_status form_of(const char *entry, eg_source_kind kind, eg_poll poll, source_form *form,
                         eg_err *err) {
    struct stat st;
    bool is_parquet = false;
    eg_store_kind database = EG_NO_DATABASE;
    eg_status rc = kind == EG_SOURCE_ANY ? eg_store_probe(entry, &database, err) : EG_OK;
    *form = CAPTURES;
    if (rc != EG_OK)
        return rc;
    if (database != EG_NO_DATABASE)
        *form = STORE;              /* or another database, of which opening it will tell */
    else if (stat(entry, &st) != 0) /* a glob, or nothing */
        is_parquet = eg_shard_has_name(entry);
    else if (S_ISREG(st.st_mode))
        rc = begins_parquet(entry, &is_parquet, err);
    else if (S_ISDIR(st.st_mode) && eg_is_dataset(entry))
        *form = DATASET;
    else if (S_ISDIR(st.st_mode))
        is_parquet = holds_parquet(entry, kind, poll);
    if (is_parquet)
        *form = PARQUET;
    return rc;
}

static eg_status open_shards(eg_run *r, source_form form, const char *entry, const char *source,
                             size_t n_bytes, eg_source **out, eg_err *err) {
    eg_shard_list list = {0};
    eg_status rc;
    if (form == DATASET && memchr(source, '\n', n_bytes) != NULL)
        rc = eg_fail(err, EG_UNSUPPORTED, -1,
                     "%s: a dataset in a list of sources: expected it alone", entry);
    else if (form == DATASET) {
        int lock;
        rc = eg_files_lock_reader(entry, &lock, err);
        r->reader_lock = lock + 1;
        if (rc == EG_OK)
            rc = eg_manifest_list(entry, r->spec.poll, &list, err);
    } else {
        rc = eg_shard_list_open(source, n_bytes, r->spec.poll, &list, err);
    }
    if (rc == EG_OK)
        rc = eg_shard_source_open(&list, &r->spec, out, err);
    eg_shard_list_close(&list);
    return rc;
}

/* What a source text is. */
static eg_status open_source(eg_run *r, const char *source, size_t n_bytes, eg_source **out,
                             eg_err *err) {
    const char *end = memchr(source, '\n', n_bytes);
    char *entry = strndup(source, end != NULL ? (size_t)(end - source) : n_bytes);
    if (entry == NULL)
        return eg_fail_nomem(err, "a source");
    source_form form = CAPTURES;
    eg_status rc = EG_OK;
    if (r->kind != EG_SOURCE_CAPTURES)
        rc = form_of(entry, r->kind, r->spec.poll, &form, err);
    else if (eg_is_dataset(entry))
        form = DATASET;
    if (rc != EG_OK) {
        free(entry);
        return rc;
    }
    if (form == CAPTURES && r->kind == EG_SOURCE_PARQUET)
        rc = eg_fail(err, EG_UNSUPPORTED, -1,
                     "%s: no Parquet there: expected a Parquet file, a directory or glob of them, "
                     "or a dataset; netflow_pcap() reads captures",
                     entry);
    else if (form != CAPTURES && r->kind == EG_SOURCE_CAPTURES)
        rc = eg_fail(err, EG_UNSUPPORTED, -1,
                     "%s: Parquet: expected captures; netflow_parquet() and netflow() read it",
                     entry);
    else if (form == STORE && memchr(source, '\n', n_bytes) != NULL)
        rc = eg_fail(err, EG_UNSUPPORTED, -1, "%s: a store in a list of sources: expected it alone",
                     entry);
    else if (form == STORE)
        rc = eg_store_source_open(entry, &r->spec, out, err);
    else if (form == CAPTURES)
        rc = eg_capture_open(source, n_bytes, &r->spec, r->ledger, out, err);
    else
        rc = open_shards(r, form, entry, source, n_bytes, out, err);
    free(entry);
    return rc;
}

static void measure_scan(const void *arg, int64_t *done_bytes, int64_t *total_bytes,
                         int64_t *n_rows) {
    eg_scan_progress(arg, done_bytes, total_bytes, n_rows);
}

eg_status eg_run_begin(eg_run *r, eg_connection *c, eg_err *err) {
    memset(r, 0, sizeof *r);
    r->connection = c;
    eg_status rc = eg_intern_open(&r->texts, err);
    if (rc == EG_OK)
        rc = eg_ledger_open(&r->ledger, err);
    return rc;
}

eg_status eg_run_open(eg_run *r, const char *source, size_t n_bytes, eg_vector_set vectors,
                      eg_err *err) {
    int n_threads;
    eg_status rc = eg_settings_threads(r->connection, &n_threads, err);
    if (rc != EG_OK)
        return rc;
    r->spec = (eg_scan_spec){.vectors = vectors | eg_predicate_vectors(&r->where),
                             .where = &r->where,
                             .texts = r->texts,
                             .wants_numbers = r->wants_numbers,
                             .n_threads = n_threads > 1 ? n_threads : 0,
                             .splits = r->splits && n_threads > 1,
                             .poll = {.poll = paced_poll, .arg = r}};
    eg_source *src;
    rc = open_source(r, source, n_bytes, &src, err);
    if (rc == EG_OK)
        rc = eg_scan_open(src, &r->spec, eg_interrupt_poll(r->connection), &r->scan, err);
    if (rc == EG_OK)
        eg_progress_begin(r->connection, measure_scan, r->scan);
    return rc;
}

eg_status eg_run_finish(eg_run *r, eg_err *err) {
    if (r->scan == NULL)
        return EG_OK;
    eg_scan_stats stats = {0};
    int64_t datagrams, rejected;
    eg_progress_end(r->connection, r->scan);
    eg_scan_close(r->scan, &stats);
    r->scan = NULL;
    eg_status rc = eg_ledger_finish(r->ledger, err);
    if (rc == EG_OK)
        eg_ledger_totals(r->ledger, &datagrams, &rejected, &stats.flows_lost);
    r->connection->last = stats;
    return rc;
}

void eg_run_close(eg_run *r) {
    if (r->connection == NULL)
        return;
    (void)eg_run_finish(r, NULL);
    eg_predicate_clear(&r->where);
    eg_ledger_close(r->ledger);
    eg_intern_close(r->texts);
    if (r->reader_lock > 0)
        (void)close(r->reader_lock - 1);
    memset(r, 0, sizeof *r);
}

eg_status eg_sql_text(sqlite3_value *value, const char **text, eg_err *err) {
    *text = (const char *)sqlite3_value_text(value);
    if (*text == NULL)
        return sqlite3_value_type(value) == SQLITE_NULL ? EG_OK : eg_fail_nomem(err, "a text");
    if (strlen(*text) != (size_t)sqlite3_value_bytes(value))
        return eg_fail(err, EG_MISUSE, -1, "'%.80s': a zero byte follows: expected a text", *text);
    return EG_OK;
}

int eg_sql_fail(sqlite3_vtab *vtab, const eg_err *err) {
    if (err->code == EG_NOMEM)
        return SQLITE_NOMEM;
    if (err->code == EG_INTERRUPT)
        return SQLITE_INTERRUPT;
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = sqlite3_mprintf("%s", err->msg);
    return vtab->zErrMsg ? SQLITE_ERROR : SQLITE_NOMEM;
}
