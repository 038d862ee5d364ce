/*
** netflow_ingest(source, target [, options])   stores captures: a row a capture
** netflow_compact(target)                      merges a dataset's small shards: one row
** netflow_expire(target, age)                  drops old days: a row a day
** netflow_verify(target)                       holds a dataset against its manifest: a row a file
**
** An age is a number of days, as 30d, or the day before which all are old, as 2007-07-26.
** Options are words: addresses=text|uint32 compression=zstd|gzip|none partial=yes|no.
**
** Rows come as captures are done, so a statement that is stopped, or has a LIMIT, has stored
** the captures it showed and none after the next. The work is the scan's: a statement that
** scans twice, as some joins do, finds everything already there the second time.
*/
#include "dataset/compact.h"
#include "dataset/ingest.h"
#include "dataset/verify.h"
#include "earlgrey.h"
#include "sqlite/manifest_db.h"
#include "sqlite/sql_tables.h"
#include "sqlite/store_load.h"
#include "sqlite/store_schema.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    INGEST_CAPTURE,
    INGEST_STATUS,
    INGEST_ROWS,
    INGEST_REJECTED,
    INGEST_LOST,
    INGEST_SHARDS,
    INGEST_BYTES,
    INGEST_DETAIL,
    INGEST_SOURCE,
    INGEST_TARGET,
    INGEST_OPTIONS,
    INGEST_SURPLUS
};

enum {
    COMPACT_DAYS,
    COMPACT_MERGED,
    COMPACT_MADE,
    COMPACT_BYTES_BEFORE,
    COMPACT_BYTES_AFTER,
    COMPACT_TARGET,
    COMPACT_SURPLUS
};

enum { EXPIRE_DAY, EXPIRE_FLOWS, EXPIRE_BYTES, EXPIRE_TARGET, EXPIRE_AGE, EXPIRE_SURPLUS };

enum {
    VERIFY_FILE,
    VERIFY_STATUS,
    VERIFY_ROWS,
    VERIFY_BYTES,
    VERIFY_DETAIL,
    VERIFY_TARGET,
    VERIFY_SURPLUS
};

typedef struct store_kind {
    const char *name;
    const char *declaration;
    int first_argument, n_required, n_arguments; /* argument columns follow one another */
} store_kind;

static const store_kind ingest_kind = {
    .name = "netflow_ingest",
    .declaration = "CREATE TABLE x(capture TEXT, status TEXT, rows INTEGER, rejected INTEGER, "
                   "lost INTEGER, shards INTEGER, bytes INTEGER, detail TEXT, source TEXT HIDDEN, "
                   "target TEXT HIDDEN, options TEXT HIDDEN" EG_SQL_SURPLUS ")",
    .first_argument = INGEST_SOURCE,
    .n_required = 2,
    .n_arguments = 3,
};
static const store_kind compact_kind = {
    .name = "netflow_compact",
    .declaration =
        "CREATE TABLE x(days INTEGER, merged INTEGER, made INTEGER, "
        "bytes_before INTEGER, bytes_after INTEGER, target TEXT HIDDEN" EG_SQL_SURPLUS ")",
    .first_argument = COMPACT_TARGET,
    .n_required = 1,
    .n_arguments = 1,
};

static const store_kind verify_kind = {
    .name = "netflow_verify",
    .declaration = "CREATE TABLE x(file TEXT, status TEXT, rows INTEGER, bytes INTEGER, "
                   "detail TEXT, target TEXT HIDDEN" EG_SQL_SURPLUS ")",
    .first_argument = VERIFY_TARGET,
    .n_required = 1,
    .n_arguments = 1,
};

static const store_kind expire_kind = {
    .name = "netflow_expire",
    .declaration = "CREATE TABLE x(day TEXT, flows INTEGER, bytes INTEGER, target TEXT HIDDEN, "
                   "age TEXT HIDDEN" EG_SQL_SURPLUS ")",
    .first_argument = EXPIRE_TARGET,
    .n_required = 2,
    .n_arguments = 2,
};

typedef struct store_cursor {
    sqlite3_vtab_cursor base; /* must be first */
    eg_run run;               /* for its poll */
    eg_ingest *ingest;
    eg_ingest_row row;
    eg_compact_result compacted;
    eg_verify *verify;
    eg_verify_row file;
    eg_store *expiring;
    int64_t before_day;
    eg_expired expired;
    sqlite3_int64 n;
    bool is_at_end;
    char *arguments[3];
} store_cursor;

static int store_connect(sqlite3 *db, eg_connection *connection, const store_kind *kind,
                         sqlite3_vtab **vtab) {
    return eg_sql_connect(db, sqlite3_declare_vtab(db, kind->declaration), connection, kind, vtab);
}

static int ingest_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                          sqlite3_vtab **vtab, char **error) {
    (void)argc, (void)argv, (void)error;
    return store_connect(db, aux, &ingest_kind, vtab);
}

static int compact_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                           sqlite3_vtab **vtab, char **error) {
    (void)argc, (void)argv, (void)error;
    return store_connect(db, aux, &compact_kind, vtab);
}

static int verify_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                          sqlite3_vtab **vtab, char **error) {
    (void)argc, (void)argv, (void)error;
    return store_connect(db, aux, &verify_kind, vtab);
}

static int expire_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                          sqlite3_vtab **vtab, char **error) {
    (void)argc, (void)argv, (void)error;
    return store_connect(db, aux, &expire_kind, vtab);
}

/* The plan is a set of bits: which arguments there are, in order. */
static int store_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    const store_kind *k = ((const eg_sql_table *)vtab)->kind;
    int terms[3] = {-1, -1, -1};
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        int argument = c->iColumn - k->first_argument;
        if (argument == k->n_arguments)
            return eg_sql_surplus(vtab, k->name);
        if (argument < 0 || argument > k->n_arguments || c->op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!c->usable)
            return SQLITE_CONSTRAINT;
        if (terms[argument] < 0)
            terms[argument] = i;
    }
    int n = 0;
    info->idxNum = 0;
    for (int a = 0; a < k->n_arguments; a++)
        if (terms[a] >= 0) {
            info->aConstraintUsage[terms[a]].argvIndex = ++n;
            info->aConstraintUsage[terms[a]].omit = 1;
            info->idxNum |= 1 << a;
        }
    info->estimatedRows = 100;
    info->estimatedCost = (info->idxNum & ((1 << k->n_required) - 1)) + 1 == 1 << k->n_required
                              ? 1e9
                              : 1e99; /* as in vtab_flows.c */
    return SQLITE_OK;
}

static int store_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
    (void)vtab;
    return eg_sql_open(sizeof(store_cursor), out);
}

static void measure_ingest(const void *arg, int64_t *done_bytes, int64_t *total_bytes,
                           int64_t *n_rows) {
    eg_ingest_progress(arg, done_bytes, total_bytes, n_rows);
}

static void reset(store_cursor *c) {
    if (c->ingest != NULL)
        eg_progress_end(c->run.connection, c->ingest);
    eg_ingest_close(c->ingest);
    c->ingest = NULL;
    eg_verify_close(c->verify);
    c->verify = NULL;
    if (c->expiring != NULL)
        c->expiring->ops->close(c->expiring);
    c->expiring = NULL;
    eg_run_close(&c->run);
    for (size_t i = 0; i < sizeof c->arguments / sizeof c->arguments[0]; i++) {
        sqlite3_free(c->arguments[i]);
        c->arguments[i] = NULL;
    }
    c->n = 0;
    c->is_at_end = false;
}

static int store_close(sqlite3_vtab_cursor *cursor) {
    reset((store_cursor *)cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

/* ---- Options */

/* The value of a word that begins with name, which ends in "="; NULL for another word. */
static const char *value_of(const char *word, size_t n, const char *name) {
    size_t n_name = strlen(name);
    return n >= n_name && memcmp(word, name, n_name) == 0 ? word + n_name : NULL;
}

static bool take_option(const char *word, size_t n, eg_dataset_options *store, bool *partial) {
    const char *end = word + n, *value;
    if ((value = value_of(word, n, "addresses=")) != NULL)
        return eg_dataset_ask_addresses(store, value, (size_t)(end - value));
    if ((value = value_of(word, n, "compression=")) != NULL)
        return eg_dataset_ask_compression(store, value, (size_t)(end - value));
    bool yes = n == strlen("partial=yes") && memcmp(word, "partial=yes", n) == 0;
    bool no = n == strlen("partial=no") && memcmp(word, "partial=no", n) == 0;
    *partial = yes || (*partial && !no);
    return yes || no;
}

static eg_status parse_option(const char *word, size_t n, eg_dataset_options *store, bool *partial,
                              eg_err *err) {
    if (take_option(word, n, store, partial))
        return EG_OK;
    return eg_fail(err, EG_MISUSE, -1,
                   "netflow_ingest: option '%.*s': expected addresses=text|uint32, "
                   "compression=zstd|gzip|none or partial=yes|no",
                   n < 80 ? (int)n : 80, word);
}

static eg_status parse_options(const char *text, eg_dataset_options *store, bool *partial,
                               eg_err *err) {
    static const char blanks[] = " ,\t\n";
    eg_status rc = EG_OK;
    eg_dataset_defaults(store, EARLGREY_VERSION);
    for (const char *p = text; p != NULL && rc == EG_OK;) {
        p += strspn(p, blanks);
        size_t n = strcspn(p, blanks);
        if (n == 0)
            break;
        rc = parse_option(p, n, store, partial, err);
        p += n;
    }
    return rc;
}

/* ---- Work */

/* The day before which all are old. */
static eg_status parse_age(const char *text, int64_t *day, eg_err *err) {
    char shown[EG_TIME_TEXT_MAX];
    bool exact;
    size_t n = strlen(text), n_digits = strspn(text, "0123456789");
    if (n_digits > 0 && n_digits <= 6 && n == n_digits + 1 && text[n_digits] == 'd') {
        *day = (int64_t)time(NULL) * 1000 / EG_DAY_MS - strtol(text, NULL, 10);
        return EG_OK;
    }
    if (n == strlen("2007-07-26")) {
        int64_t ms = eg_time_lower_bound(text, n, &exact);
        eg_time_format(ms, shown);
        *day = ms / EG_DAY_MS;
        if (ms % EG_DAY_MS == 0 && memcmp(shown, text, n) == 0)
            return EG_OK;
    }
    return eg_fail(
        err, EG_MISUSE, -1,
        "netflow_expire: age '%.40s': expected days, as 30d, or the first day to keep, as "
        "2007-07-26",
        text);
}

static eg_status fail_no_dataset(const char *target, const char *more, eg_err *err) {
    return eg_fail(err, EG_MISUSE, -1, "%s: no dataset there: expected a directory with a %s%s",
                   target, EG_DATASET_MANIFEST, more);
}

static eg_status open_expire(store_cursor *c, eg_err *err) {
    const char *target = c->arguments[0];
    eg_dataset_options options;
    eg_store_kind kind;
    eg_status rc = parse_age(c->arguments[1], &c->before_day, err);
    if (rc == EG_OK)
        rc = eg_store_probe(target, &kind, err);
    if (rc != EG_OK)
        return rc;
    eg_dataset_defaults(&options, EARLGREY_VERSION);
    if (kind != EG_NO_DATABASE)
        rc = eg_store_open(target, eg_run_poll(&c->run), &c->expiring, err);
    else if (eg_is_dataset(target))
        rc = eg_dataset_open(target, &options, &eg_sqlite_manifest, eg_run_poll(&c->run),
                             &c->expiring, err);
    else
        rc = fail_no_dataset(target, ", or an SQLite store", err);
    return rc == EG_OK ? c->expiring->ops->lock(c->expiring, err) : rc;
}

static eg_status next_expired(store_cursor *c, eg_err *err) {
    eg_status rc = c->expiring->ops->expire(c->expiring, c->before_day, &c->expired, err);
    if (rc != EG_OK) { /* a store becomes one file again */
        c->expiring->ops->close(c->expiring);
        c->expiring = NULL;
    }
    return rc;
}

static eg_status open_ingest(store_cursor *c, eg_err *err) {
    eg_dataset_options options;
    eg_ingest_options how = {.poll = eg_run_poll(&c->run)};
    eg_store *store;
    eg_status rc = parse_options(c->arguments[2], &options, &how.partial, err);
    bool is_store = false;
    if (rc == EG_OK)
        rc = eg_is_store_target(c->arguments[1], &is_store, err);
    if (rc == EG_OK && is_store)
        rc =
            options.has_addresses || options.has_compression
                ? eg_fail(err, EG_MISUSE, -1,
                          "%s: an SQLite store has no addresses= and compression=", c->arguments[1])
                : eg_store_open(c->arguments[1], how.poll, &store, err);
    else if (rc == EG_OK)
        rc = eg_dataset_open(c->arguments[1], &options, &eg_sqlite_manifest, how.poll, &store, err);
    if (rc == EG_OK)
        rc = eg_ingest_open(c->arguments[0], strlen(c->arguments[0]), store, &how, &c->ingest, err);
    if (rc == EG_OK)
        eg_progress_begin(c->run.connection, measure_ingest, c->ingest);
    return rc;
}

/* The next capture or file. */
static eg_status next_row(store_cursor *c, eg_err *err) {
    eg_status rc = c->ingest != NULL     ? eg_ingest_next(c->ingest, &c->row, err)
                   : c->verify != NULL   ? eg_verify_next(c->verify, &c->file, err)
                   : c->expiring != NULL ? next_expired(c, err)
                                         : EG_DONE;
    c->is_at_end = rc != EG_OK;
    c->n++;
    return rc == EG_DONE ? EG_OK : rc;
}

static eg_status compact(store_cursor *c, eg_err *err) {
    eg_dataset_options options;
    eg_store *store;
    if (!eg_is_dataset(c->arguments[0]))
        return fail_no_dataset(c->arguments[0], "", err);
    eg_dataset_defaults(&options, EARLGREY_VERSION);
    eg_status rc = eg_dataset_open(c->arguments[0], &options, &eg_sqlite_manifest,
                                   eg_run_poll(&c->run), &store, err);
    if (rc != EG_OK)
        return rc;
    rc = eg_compact(store, eg_run_poll(&c->run), &c->compacted, err);
    store->ops->close(store);
    return rc;
}

static int store_filter(sqlite3_vtab_cursor *cursor, int index, const char *plan, int argc,
                        sqlite3_value **argv) {
    (void)plan;
    store_cursor *c = (store_cursor *)cursor;
    const eg_sql_table *t = (const eg_sql_table *)cursor->pVtab;
    const store_kind *k = t->kind;
    eg_err err;
    reset(c);
    eg_status rc = eg_run_begin(&c->run, t->connection, &err);
    for (int a = 0, i = 0; a < k->n_arguments && i < argc && rc == EG_OK; a++) {
        const char *text;
        if ((index >> a & 1) == 0)
            continue;
        rc = eg_sql_text(argv[i++], &text, &err);
        if (rc == EG_OK && text != NULL && (c->arguments[a] = sqlite3_mprintf("%s", text)) == NULL)
            rc = eg_fail_nomem(&err, "an argument");
    }
    for (int a = 0; a < k->n_required && rc == EG_OK; a++)
        if (c->arguments[a] == NULL)
            rc = eg_fail(&err, EG_MISUSE, -1, "%s: an argument is missing: expected %s", k->name,
                         k == &ingest_kind   ? "captures and where to store them"
                         : k == &expire_kind ? "what is to be expired, and an age"
                                             : "a dataset's directory");
    if (rc == EG_OK && k == &compact_kind)
        rc = compact(c, &err);
    else if (rc == EG_OK && k == &expire_kind)
        rc = open_expire(c, &err);
    else if (rc == EG_OK && k == &verify_kind)
        rc = eg_verify_open(c->arguments[0], &eg_sqlite_manifest, eg_run_poll(&c->run), &c->verify,
                            &err);
    else if (rc == EG_OK)
        rc = open_ingest(c, &err);
    if (rc == EG_OK && k != &compact_kind)
        rc = next_row(c, &err);
    return rc == EG_OK ? SQLITE_OK : eg_sql_fail(cursor->pVtab, &err);
}

static int store_next(sqlite3_vtab_cursor *cursor) {
    store_cursor *c = (store_cursor *)cursor;
    eg_err err;
    return next_row(c, &err) == EG_OK ? SQLITE_OK : eg_sql_fail(cursor->pVtab, &err);
}

static int store_eof(sqlite3_vtab_cursor *cursor) {
    return ((const store_cursor *)cursor)->is_at_end;
}

static void ingest_column(sqlite3_context *ctx, const store_cursor *c, int column) {
    switch (column) {
    case INGEST_CAPTURE:
        eg_sql_result_text(ctx, c->row.capture);
        break;
    case INGEST_STATUS:
        eg_sql_result_text(ctx, eg_ingest_status_name(c->row.status));
        break;
    case INGEST_ROWS:
        sqlite3_result_int64(ctx, c->row.n_rows);
        break;
    case INGEST_REJECTED:
        sqlite3_result_int64(ctx, c->row.n_rejected);
        break;
    case INGEST_LOST:
        sqlite3_result_int64(ctx, c->row.n_lost);
        break;
    case INGEST_SHARDS:
        sqlite3_result_int64(ctx, c->row.n_shards);
        break;
    case INGEST_BYTES:
        sqlite3_result_int64(ctx, c->row.n_bytes);
        break;
    case INGEST_DETAIL:
        eg_sql_result_text(ctx, c->row.detail);
        break;
    default:
        if (column < INGEST_SURPLUS)
            eg_sql_result_text(ctx, c->arguments[column - INGEST_SOURCE]);
    }
}

static void compact_column(sqlite3_context *ctx, const store_cursor *c, int column) {
    const eg_compact_result *r = &c->compacted;
    const int64_t numbers[] = {r->n_days, r->n_merged, r->n_made, r->bytes_before, r->bytes_after};
    if (column < COMPACT_TARGET)
        sqlite3_result_int64(ctx, numbers[column]);
    else if (column == COMPACT_TARGET)
        eg_sql_result_text(ctx, c->arguments[0]);
}

static void verify_column(sqlite3_context *ctx, const store_cursor *c, int column) {
    const eg_verify_row *r = &c->file;
    switch (column) {
    case VERIFY_FILE:
        eg_sql_result_text(ctx, r->path);
        break;
    case VERIFY_STATUS:
        eg_sql_result_text(ctx, eg_verify_status_name(r->status));
        break;
    case VERIFY_ROWS:
    case VERIFY_BYTES: {
        int64_t n = column == VERIFY_ROWS ? r->n_rows : r->n_bytes;
        if (n >= 0)
            sqlite3_result_int64(ctx, n);
        break;
    }
    case VERIFY_DETAIL:
        eg_sql_result_text(ctx, r->detail);
        break;
    case VERIFY_TARGET:
        eg_sql_result_text(ctx, c->arguments[0]);
        break;
    }
}

static void expire_column(sqlite3_context *ctx, const store_cursor *c, int column) {
    char day[EG_TIME_TEXT_MAX];
    if (column == EXPIRE_DAY) {
        eg_time_format(c->expired.day * EG_DAY_MS, day);
        sqlite3_result_text(ctx, day, (int)strlen("2007-07-26"), SQLITE_TRANSIENT);
    } else if (column == EXPIRE_FLOWS) {
        sqlite3_result_int64(ctx, c->expired.n_rows);
    } else if (column == EXPIRE_BYTES) {
        sqlite3_result_int64(ctx, c->expired.n_bytes);
    } else if (column < EXPIRE_SURPLUS) {
        eg_sql_result_text(ctx, c->arguments[column - EXPIRE_TARGET]);
    }
}

static int store_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int column) {
    const store_cursor *c = (const store_cursor *)cursor;
    const store_kind *kind = ((const eg_sql_table *)cursor->pVtab)->kind;
    if (kind == &ingest_kind)
        ingest_column(ctx, c, column);
    else if (kind == &verify_kind)
        verify_column(ctx, c, column);
    else if (kind == &expire_kind)
        expire_column(ctx, c, column);
    else
        compact_column(ctx, c, column);
    return SQLITE_OK;
}

static int store_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    *rowid = ((const store_cursor *)cursor)->n;
    return SQLITE_OK;
}

#define STORE_MODULE(prefix)                                                                       \
    {                                                                                              \
        .iVersion = 2, .xConnect = prefix##_connect, .xBestIndex = store_best_index,               \
        .xDisconnect = eg_sql_disconnect, .xOpen = store_open, .xClose = store_close,              \
        .xFilter = store_filter, .xNext = store_next, .xEof = store_eof, .xColumn = store_column,  \
        .xRowid = store_rowid,                                                                     \
    }
static const sqlite3_module ingest_module = STORE_MODULE(ingest);
static const sqlite3_module compact_module = STORE_MODULE(compact);
static const sqlite3_module expire_module = STORE_MODULE(expire);
static const sqlite3_module verify_module = STORE_MODULE(verify);

int eg_register_ingest(eg_connection *c) {
    int rc = eg_sql_module(c, "netflow_ingest", &ingest_module);
    if (rc == SQLITE_OK)
        rc = eg_sql_module(c, "netflow_compact", &compact_module);
    if (rc == SQLITE_OK)
        rc = eg_sql_module(c, "netflow_expire", &expire_module);
    return rc == SQLITE_OK ? eg_sql_module(c, "netflow_verify", &verify_module) : rc;
}
