/* See the header. */
#include "sqlite/connection.h"

#include "capture/capture.h"
#include "query/scan.h"

#include <string.h>
#include <time.h>

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

static bool interrupt_asked(void *arg) {
    /* Some 1,000 steps of SQLite's machine: a progress handler every 1,000 is called. */
    static const char probe[] = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n "
                                "LIMIT 100) SELECT count(*) FROM n";
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(arg, probe, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    sqlite3_finalize(stmt);
    return rc == SQLITE_INTERRUPT;
}

eg_poll eg_interrupt_poll(sqlite3 *db) {
    return (eg_poll){.poll = interrupt_asked, .arg = db};
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
    return interrupt_asked(r->connection->db);
}

/* What a source text is: captures, for now. */
static eg_status open_source(eg_run *r, const char *source, size_t n_bytes, eg_source **out,
                             eg_err *err) {
    return eg_capture_open(source, n_bytes, &r->spec, r->ledger, out, err);
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
    r->spec = (eg_scan_spec){.vectors = vectors | eg_predicate_vectors(&r->where),
                             .where = &r->where,
                             .texts = r->texts,
                             .poll = {.poll = paced_poll, .arg = r}};
    eg_source *src;
    eg_status rc = open_source(r, source, n_bytes, &src, err);
    if (rc == EG_OK)
        rc = eg_scan_open(src, &r->spec, eg_interrupt_poll(r->connection->db), &r->scan, err);
    return rc;
}

eg_status eg_run_finish(eg_run *r, eg_err *err) {
    if (r->scan == NULL)
        return EG_OK;
    eg_scan_stats stats = {0};
    int64_t datagrams, rejected;
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
