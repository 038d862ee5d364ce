#include "sqlite/store_load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/radix.h"
#include "dataset/dataset_files.h"
#include "dataset/row_buffer.h"
#include "dataset/row_order.h"
#include "flow/address_order.h"
#include "sqlite/capture_tables.h"
#include "sqlite/store_bulk.h"
#include "sqlite/store_schema.h"

#define CACHE_KIB 131072
#define POLL_ROWS 4096

typedef struct sql_store {
    eg_store base; /* must be first */
    eg_database file;
    eg_poll poll;
    bool is_locked; /* a transaction is open */
    bool has_log;   /* a write-ahead log was asked for */

    /* Of the capture being stored: */
    bool has_begun;
    int64_t capture;         /* the number it will have */
    int64_t n_rows, n_bytes; /* stored of it; of the file before */
    const eg_intern *texts;  /* borrowed */
    eg_rows rows;            /* kept from one to the next */
    sqlite3_stmt *insert;
    eg_bulk *bulk;    /* NULL: rows are inserted */
    char *bulk_path;  /* file that it writes */
    uint64_t *sorted; /* [EG_ROWS_MAX] */
    uint64_t *spare;
} sql_store;

/* ---- Which files are stores */

eg_status eg_is_store_target(const char *target, bool *is_store, eg_err *err) {
    static const char *const ends[] = {".db", ".sqlite", ".sqlite3"};
    struct stat st;
    size_t n = strlen(target);
    bool is_there = stat(target, &st) == 0;
    *is_store = false;
    if (is_there && !S_ISREG(st.st_mode))
        return EG_OK;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        *is_store = *is_store ||
                    (n > strlen(ends[i]) && strcmp(target + n - strlen(ends[i]), ends[i]) == 0);
    if (!is_there || *is_store)
        return EG_OK;
    eg_store_kind kind;
    eg_status rc = eg_store_probe(target, &kind, err);
    *is_store = kind != EG_NO_DATABASE;
    return rc;
}

/* ---- Opening */

#define PATIENCE_MS 600000 /* for a writer who is at work */
#define NAP_MS 20

/* SQLite asks whether to wait on for another one's lock. */
static int wait_on(void *arg, int n_waits) {
    sql_store *s = arg;
    if (n_waits > PATIENCE_MS / NAP_MS || (s->poll.poll != NULL && s->poll.poll(s->poll.arg)))
        return 0;
    sqlite3_sleep(NAP_MS);
    return 1;
}

/* Whether another writer has put its own file in place of the one that is open. */
static bool has_moved(const sql_store *s) {
    int yes = 0;
    if (s->file.db != NULL)
        (void)sqlite3_file_control(s->file.db, "main", SQLITE_FCNTL_HAS_MOVED, &yes);
    return yes != 0;
}

static eg_status try_file(sql_store *s, const char *path, eg_err *err) {
    eg_status rc = eg_db_open(&s->file, path, SQLITE_OPEN_CREATE, err);
    if (rc == EG_OK)
        sqlite3_busy_handler(s->file.db, wait_on, s);
    if (rc == EG_OK)
        rc = eg_store_make(&s->file, err);
    if (rc == EG_OK) /* one who died may have left a log */
        rc = eg_db_has_log(&s->file, &s->has_log, err);
    if (rc == EG_OK) {
        char pragmas[96];
        sqlite3_snprintf(sizeof pragmas, pragmas,
                         "PRAGMA cache_size = -%d; PRAGMA synchronous = FULL", CACHE_KIB);
        rc = eg_db_run(&s->file, pragmas, err);
    }
    return rc;
}

/* Of a file that was exchanged meanwhile any statement may fail: SQLite takes the log of the new
** one for its own. */
static eg_status open_file(sql_store *s, const char *path, eg_err *err) {
    eg_status rc = try_file(s, path, err);
    for (int i = 0; i < 10 && rc != EG_OK && rc != EG_NOMEM && has_moved(s); i++) {
        eg_db_close(&s->file);
        rc = try_file(s, path, err);
    }
    return rc;
}

static eg_status reopen_file(sql_store *s, eg_err *err) {
    char *path = sqlite3_mprintf("%s", s->file.path);
    if (path == NULL)
        return eg_fail_nomem(err, "a name");
    eg_db_close(&s->file);
    eg_status rc = open_file(s, path, err);
    sqlite3_free(path);
    return rc;
}

/* ---- Taking and leaving the lock */

/* Deletes what writers that died left: nobody else writes now. */
static void clear_temporary(const sql_store *s) {
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *slash = strrchr(s->file.path, '/');
    const char *name = slash != NULL ? slash + 1 : s->file.path;
    char *directory = slash == NULL ? sqlite3_mprintf(".")
                      : slash == s->file.path
                          ? sqlite3_mprintf("/")
                          : sqlite3_mprintf("%.*s", (int)(slash - s->file.path), s->file.path);
    DIR *d = directory != NULL ? opendir(directory) : NULL;
    sqlite3_free(directory);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        size_t n = strlen(e->d_name), n_name = strlen(name);
        /* NAME-PID.tmp and NAME-RANDOM.tmp: other stores may be called NAME-… */
        if (n > n_name + 5 && memcmp(e->d_name, name, n_name) == 0 && e->d_name[n_name] == '-' &&
            strcmp(e->d_name + n - 4, ".tmp") == 0 &&
            strspn(e->d_name + n_name + 1, letters) == n - n_name - 5)
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d != NULL)
        (void)closedir(d);
}

/* Readers go on beside a write-ahead log. A store that somebody reads just now, or on a disk that
** cannot have one, does without. */
static void ask_for_log(sql_store *s) {
    sqlite3_busy_timeout(s->file.db, 1000);
    (void)eg_db_run(&s->file, "PRAGMA journal_mode = WAL", NULL);
    sqlite3_busy_handler(s->file.db, wait_on, s);
    s->has_log = true;
}

/* The log is asked for outside of the transaction, and before anything is looked up in it: another
** writer may come between. */
static eg_status store_lock(eg_store *base, eg_err *err) {
    sql_store *s = (sql_store *)base;
    while (!s->is_locked) {
        bool is_new = true;
        /* Without memory an earlier one may not have been rolled back. */
        eg_status rc =
            sqlite3_get_autocommit(s->file.db) ? EG_OK : eg_db_run(&s->file, "ROLLBACK", err);
        if (rc == EG_OK)
            rc = eg_db_begin(&s->file, err);
        if (rc != EG_OK && s->poll.poll != NULL && s->poll.poll(s->poll.arg))
            return eg_fail(err, EG_INTERRUPT, -1, "interrupted");
        bool is_others = has_moved(s);
        if (rc == EG_OK && !is_others)
            rc = eg_store_is_new(&s->file, &is_new, err);
        s->is_locked = rc == EG_OK && !is_others && (is_new || s->has_log);
        if (s->is_locked)
            break;
        (void)eg_db_run(&s->file, "ROLLBACK", NULL);
        if (is_others)
            rc = reopen_file(s, err);
        else if (rc == EG_OK)
            ask_for_log(s);
        if (rc != EG_OK)
            return rc;
    }
    clear_temporary(s);
    return EG_OK;
}

static void store_unlock(eg_store *base) {
    sql_store *s = (sql_store *)base;
    if (s->is_locked)
        (void)eg_db_run(&s->file, "ROLLBACK", NULL);
    s->is_locked = false;
}

/* ---- What is known */

static eg_status store_find(eg_store *base, const eg_capture_id *id, bool *found, eg_err *err) {
    return eg_captures_find(&((sql_store *)base)->file, id, found, err);
}

/* Asked without the lock: of a file that was exchanged the answer does not matter. */
static eg_status store_has_file(eg_store *base, const char *file, int64_t n_bytes, int64_t time_ns,
                                bool *found, eg_err *err) {
    const sql_store *s = (sql_store *)base;
    eg_status rc = eg_captures_has_file(&s->file, file, n_bytes, time_ns, found, err);
    if (rc == EG_OK || rc == EG_NOMEM || !has_moved(s))
        return rc;
    *found = false;
    return EG_OK;
}

static eg_status store_partial(eg_store *base, eg_stored_capture **list, size_t *n, eg_err *err) {
    return eg_captures_partial(&((sql_store *)base)->file, list, n, err);
}

/* ---- The first capture */

/* Whether a new file may take the store's name: nothing is in the store, and nothing but its name
** leads to it. A log that stayed behind would be taken for the new file's, another name would
** keep the old one, and another owner would lose it. */
static eg_status may_exchange(const sql_store *s, bool *may, eg_err *err) {
    bool has_log = false;
    struct stat st;
    eg_status rc = eg_store_is_new(&s->file, may, err);
    if (rc == EG_OK)
        rc = eg_db_has_log(&s->file, &has_log, err);
    *may = *may && !has_log && stat(s->file.path, &st) == 0 && st.st_nlink == 1 &&
           st.st_uid == geteuid();
    return rc;
}

static eg_status open_bulk(sql_store *s, eg_err *err) {
    uint32_t roots[EG_STORE_INDEXES + 1];
    eg_database d = {0};
    struct stat st;
    s->bulk_path = sqlite3_mprintf("%s-%ld.tmp", s->file.path, (long)getpid());
    if (s->bulk_path == NULL)
        return eg_fail_nomem(err, "a name");
    (void)unlink(s->bulk_path);
    eg_status rc = eg_db_open(&d, s->bulk_path, SQLITE_OPEN_CREATE, err);
    if (rc == EG_OK)
        rc = eg_db_run(&d,
                       "PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE; PRAGMA encoding = "
                       "'UTF-8'; PRAGMA journal_mode = OFF",
                       err);
    if (rc == EG_OK)
        rc = eg_store_make(&d, err);
    if (rc == EG_OK)
        rc = eg_bulk_roots(&d, roots, err);
    eg_db_close(&d);
    if (rc == EG_OK && stat(s->file.path, &st) == 0)
        (void)chmod(s->bulk_path, st.st_mode & 07777);
    return rc == EG_OK ? eg_bulk_open(s->bulk_path, roots, s->capture, s->poll, &s->bulk, err) : rc;
}

static void drop_bulk(sql_store *s) {
    eg_bulk_close(s->bulk);
    s->bulk = NULL;
    if (s->bulk_path != NULL)
        (void)unlink(s->bulk_path);
    sqlite3_free(s->bulk_path);
    s->bulk_path = NULL;
}

/* Makes what was written to a file, or a directory, last. */
static eg_status sync_path(const char *path, int flags, eg_err *err) {
    char text[128];
    int fd = open(path, flags | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int reason = errno;
    if (fd >= 0)
        (void)close(fd);
    return ok ? EG_OK
              : eg_fail(err, EG_IO, -1, "%s: cannot be synced: %s", path,
                        strerror_r(reason, text, sizeof text));
}

static eg_status sync_directory_of(const char *path, eg_err *err) {
    const char *slash = strrchr(path, '/');
    char *directory = slash == NULL   ? sqlite3_mprintf(".")
                      : slash == path ? sqlite3_mprintf("/")
                                      : sqlite3_mprintf("%.*s", (int)(slash - path), path);
    eg_status rc = directory != NULL ? sync_path(directory, O_RDONLY | O_DIRECTORY, err)
                                     : eg_fail_nomem(err, "a name");
    sqlite3_free(directory);
    return rc;
}

/* Writes down the capture, and gives the file its name. */
static eg_status publish_bulk(sql_store *s, const eg_capture_record *record, eg_err *err) {
    eg_database d = {0};
    int64_t id;
    char text[128];
    eg_status rc = eg_bulk_finish(s->bulk, err);
    eg_bulk_close(s->bulk);
    s->bulk = NULL;
    if (rc == EG_OK)
        rc = eg_db_open(&d, s->bulk_path, 0, err);
    if (rc == EG_OK)
        rc = eg_db_run(&d, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", err);
    if (rc == EG_OK)
        rc = eg_db_begin(&d, err);
    if (rc == EG_OK)
        rc = eg_db_end(&d, eg_captures_add(&d, record, s->n_rows, &id, err), err);
    eg_db_close(&d);
    if (rc == EG_OK)
        rc = sync_path(s->bulk_path, O_RDWR, err);
    if (rc == EG_OK && rename(s->bulk_path, s->file.path) != 0)
        rc = eg_fail(err, EG_IO, -1, "%s: cannot be renamed: %s", s->bulk_path,
                     strerror_r(errno, text, sizeof text));
    if (rc == EG_OK)
        rc = sync_directory_of(s->file.path, err);
    drop_bulk(s);
    store_unlock(&s->base);
    return rc == EG_OK ? reopen_file(s, err) : rc;
}

/* ---- Inserting */

/* The number that the capture's row will have. */
static eg_status number_capture(sql_store *s, eg_err *err) {
    return eg_db_number(&s->file, "SELECT coalesce(max(id), 0) + 1 FROM capture", &s->capture, err);
}

static eg_status prepare_insert(sql_store *s, eg_err *err) {
    sqlite3_str *sql = sqlite3_str_new(s->file.db);
    sqlite3_str_appendall(sql, "INSERT INTO flow(");
    for (int i = 0; i < EG_STORE_COLUMNS; i++)
        sqlite3_str_appendf(sql, "%s%s", i > 0 ? ", " : "", eg_store_columns[i].name);
    sqlite3_str_appendall(sql, ") VALUES (");
    for (int i = 0; i < EG_STORE_COLUMNS; i++)
        sqlite3_str_appendf(sql, "%s?%d", i > 0 ? ", " : "", i + 1);
    sqlite3_str_appendall(sql, ")");
    char *text = sqlite3_str_finish(sql);
    eg_status rc = text != NULL ? eg_db_prepare(&s->file, &s->insert, text, err)
                                : eg_fail_nomem(err, "a statement");
    sqlite3_free(text);
    return rc;
}

static void bind_exporter(sql_store *s, int column, uint32_t code) {
    size_t n;
    uint32_t addr;
    const char *text = eg_intern_text(s->texts, code, &n);
    if (eg_ip4_parse(text, n, &addr))
        sqlite3_bind_int64(s->insert, column, addr);
    else
        sqlite3_bind_text(s->insert, column, text, (int)n, SQLITE_STATIC);
}

static eg_status insert_row(sql_store *s, const int64_t *numbers, eg_err *err) {
    for (int c = 0; c < EG_STORE_CAPTURE; c++)
        if (eg_store_columns[c].vector == EG_VEC_EXPORTER)
            bind_exporter(s, c + 1, (uint32_t)numbers[c]);
        else
            sqlite3_bind_int64(s->insert, c + 1, numbers[c]);
    sqlite3_bind_int64(s->insert, EG_STORE_COLUMNS, s->capture);
    return eg_db_step(&s->file, s->insert, err);
}

/* Inserts rows by source address: so an address's lie together, and two of the indexes are
** written in order. */
static eg_status insert_rows(sql_store *s, eg_err *err) {
    uint32_t n = s->rows.n_rows;
    eg_status rc = s->insert == NULL ? prepare_insert(s, err) : EG_OK;
    if (rc == EG_OK && s->sorted == NULL) {
        s->sorted = malloc(EG_ROWS_MAX * sizeof *s->sorted);
        s->spare = malloc(EG_ROWS_MAX * sizeof *s->spare);
        if (s->sorted == NULL || s->spare == NULL)
            rc = eg_fail_nomem(err, "a buffer of flows");
    }
    for (uint32_t i = 0; i < n && rc == EG_OK; i++)
        s->sorted[i] = (uint64_t)eg_ip4_text_key(s->rows.v.SRCADDR[i]) << 32 | i;
    if (rc == EG_OK)
        eg_radix_sort(&s->sorted, &s->spare, n, 32);
    for (uint32_t i = 0; i < n && rc == EG_OK; i++) {
        int64_t numbers[EG_STORE_CAPTURE];
        uint32_t row = (uint32_t)s->sorted[i];
        for (int c = 0; c < EG_STORE_CAPTURE; c++)
            eg_rows_gather(&s->rows, eg_store_columns[c].vector, &row, 1, &numbers[c]);
        rc = insert_row(s, numbers, err);
        if (rc == EG_OK && i % POLL_ROWS == 0 && s->poll.poll != NULL && s->poll.poll(s->poll.arg))
            rc = eg_fail(err, EG_INTERRUPT, -1, "interrupted");
    }
    return rc;
}

static eg_status flush_rows(sql_store *s, eg_err *err) {
    eg_status rc =
        s->bulk != NULL ? eg_bulk_add(s->bulk, &s->rows, s->texts, err) : insert_rows(s, err);
    s->n_rows += s->rows.n_rows;
    s->rows.n_rows = 0;
    return rc;
}

/* ---- A capture */

static eg_status file_bytes(const sql_store *s, int64_t *n, eg_err *err) {
    return eg_db_number(&s->file,
                        "SELECT page_count * page_size FROM pragma_page_count, "
                        "pragma_page_size",
                        n, err);
}

static void store_rollback(eg_store *base) {
    sql_store *s = (sql_store *)base;
    if (!s->has_begun)
        return;
    s->has_begun = false;
    s->rows.n_rows = 0;
    sqlite3_finalize(s->insert);
    s->insert = NULL;
    drop_bulk(s);
    store_unlock(base);
}

static eg_status store_begin(eg_store *base, const eg_intern *texts, eg_err *err) {
    sql_store *s = (sql_store *)base;
    bool is_new = false;
    eg_status rc = store_lock(base, err);
    if (rc == EG_OK)
        rc = may_exchange(s, &is_new, err);
    if (rc == EG_OK && s->rows.v.START_MS == NULL)
        rc = eg_rows_open(&s->rows, err);
    if (rc == EG_OK)
        rc = number_capture(s, err);
    if (rc == EG_OK)
        rc = file_bytes(s, &s->n_bytes, err);
    s->rows.n_rows = 0;
    s->n_rows = 0;
    s->texts = texts;
    s->has_begun = true;
    if (rc == EG_OK && is_new)
        rc = open_bulk(s, err);
    if (rc != EG_OK)
        store_rollback(base);
    return rc;
}

static eg_status store_room(eg_store *base, eg_batch *b, eg_err *err) {
    sql_store *s = (sql_store *)base;
    eg_status rc = eg_rows_is_full(&s->rows) ? flush_rows(s, err) : EG_OK;
    eg_rows_window(&s->rows, s->texts, b);
    return rc;
}

static eg_status store_filled(eg_store *base, uint32_t n_rows, eg_err *err) {
    (void)err;
    ((sql_store *)base)->rows.n_rows += n_rows;
    return EG_OK;
}

/* The flows of a partial capture that this one continues. */
static eg_status drop_continued(sql_store *s, const eg_capture_id *id, eg_err *err) {
    sqlite3_stmt *stmt;
    char hex[2 * sizeof *id + 1];
    eg_files_hex(id, hex);
    eg_status rc = eg_db_prepare(
        &s->file, &stmt,
        "DELETE FROM flow WHERE capture = (SELECT id FROM capture WHERE hash = ?1)", err);
    if (rc != EG_OK)
        return rc;
    sqlite3_bind_text(stmt, 1, hex, -1, SQLITE_STATIC);
    rc = eg_db_finish(&s->file, stmt, NULL, NULL, err);
    return rc == EG_OK ? eg_captures_drop(&s->file, id, err) : rc;
}

static eg_status commit_inserted(sql_store *s, const eg_capture_record *record, eg_err *err) {
    int64_t id;
    eg_status rc = eg_captures_add(&s->file, record, s->n_rows, &id, err);
    if (rc == EG_OK && record->replaces != NULL)
        rc = drop_continued(s, record->replaces, err);
    sqlite3_finalize(s->insert);
    s->insert = NULL;
    if (rc == EG_OK)
        rc = eg_db_run(&s->file, "COMMIT", err);
    s->is_locked = s->is_locked && rc != EG_OK;
    return rc;
}

static eg_status store_commit(eg_store *base, const eg_capture_record *record,
                              eg_stored_result *result, eg_err *err) {
    sql_store *s = (sql_store *)base;
    int64_t before = s->n_bytes, after = 0;
    eg_status rc = flush_rows(s, err);
    if (rc == EG_OK)
        rc = s->bulk != NULL ? publish_bulk(s, record, err) : commit_inserted(s, record, err);
    if (rc == EG_OK)
        rc = file_bytes(s, &after, err);
    if (rc != EG_OK) {
        store_rollback(base);
        return rc;
    }
    s->has_begun = false;
    *result = (eg_stored_result){.n_rows = s->n_rows, .n_bytes = after - before};
    return EG_OK;
}

/* ---- Expiring */

#define EXPIRE_ROWS 100000               /* deleted in a transaction */
#define VACUUM_PART 4                    /* worth it where one page in four is free */
#define VACUUM_BYTES (INT64_C(64) << 20) /* or where the file is no larger */

/* Gives free pages back to the file system, where they are a large part: others are used by what
** is stored next, and giving them back takes a copy of all that is left. */
static eg_status give_back(sql_store *s, eg_err *err) {
    int64_t n_free = 0, n_pages = 0, n_bytes = 0;
    eg_status rc = eg_db_number(&s->file, "PRAGMA freelist_count", &n_free, err);
    if (rc == EG_OK)
        rc = eg_db_number(&s->file, "PRAGMA page_count", &n_pages, err);
    if (rc == EG_OK)
        rc = file_bytes(s, &n_bytes, err);
    if (rc != EG_OK || n_free == 0 || (n_free < n_pages / VACUUM_PART && n_bytes > VACUUM_BYTES))
        return rc;
    store_unlock(&s->base);
    return eg_db_run(&s->file, "VACUUM", err);
}

/* Deletes some flows that began before end_ms; *n is how many. Where none began later, that is
** all of the table, which SQLite drops page by page. */
static eg_status delete_some(const sql_store *s, int64_t end_ms, int64_t *n, eg_err *err) {
    static const char all[] = "DELETE FROM flow",
                      some[] = "DELETE FROM flow WHERE id IN (SELECT id FROM flow WHERE start_ms < "
                               "?1 LIMIT ?2)";
    sqlite3_stmt *q;
    int64_t newest = 0;
    eg_status rc = eg_db_number(&s->file, "SELECT max(start_ms) FROM flow", &newest, err);
    bool is_all = newest < end_ms;
    if (rc == EG_OK)
        rc = eg_db_prepare(&s->file, &q, is_all ? all : some, err);
    if (rc != EG_OK)
        return rc;
    if (!is_all) {
        sqlite3_bind_int64(q, 1, end_ms);
        sqlite3_bind_int64(q, 2, EXPIRE_ROWS);
    }
    rc = eg_db_finish(&s->file, q, NULL, NULL, err);
    *n = rc == EG_OK ? sqlite3_changes(s->file.db) : 0;
    return rc;
}

static eg_status delete_before(sql_store *s, int64_t end_ms, eg_expired *dropped, eg_err *err) {
    int64_t free_before = 0, free_after = 0, page_bytes = 0, n = 1;
    eg_status rc = eg_db_number(&s->file, "PRAGMA freelist_count", &free_before, err);
    if (rc == EG_OK)
        rc = eg_db_number(&s->file, "PRAGMA page_size", &page_bytes, err);
    while (rc == EG_OK && n > 0) {
        rc = delete_some(s, end_ms, &n, err);
        dropped->n_rows += n;
        if (rc == EG_OK)
            rc = eg_db_number(&s->file, "PRAGMA freelist_count", &free_after, err);
        if (rc == EG_OK)
            rc = eg_db_run(&s->file, "COMMIT", err);
        s->is_locked = s->is_locked && rc != EG_OK;
        if (rc == EG_OK && s->poll.poll != NULL && s->poll.poll(s->poll.arg))
            rc = eg_fail(err, EG_INTERRUPT, -1, "interrupted");
        if (rc == EG_OK)
            rc = store_lock(&s->base, err);
    }
    dropped->n_bytes = (free_after - free_before) * page_bytes;
    return rc;
}

static eg_status store_expire(eg_store *base, int64_t day, eg_expired *dropped, eg_err *err) {
    sql_store *s = (sql_store *)base;
    int64_t oldest = 0, n_flows = 0;
    eg_status rc =
        eg_db_number(&s->file, "SELECT count(*) FROM (SELECT 1 FROM flow LIMIT 1)", &n_flows, err);
    if (rc == EG_OK)
        rc = eg_db_number(&s->file, "SELECT min(start_ms) FROM flow", &oldest, err);
    int64_t oldest_day = oldest / EG_DAY_MS - (oldest % EG_DAY_MS < 0);
    if (rc == EG_OK && n_flows > 0 && oldest_day < day) {
        *dropped = (eg_expired){.day = oldest_day};
        rc = delete_before(s, (oldest_day + 1) * EG_DAY_MS, dropped, err);
    } else if (rc == EG_OK) {
        rc = give_back(s, err);
        rc = rc == EG_OK ? EG_DONE : rc;
    }
    if (rc != EG_OK)
        store_unlock(base);
    return rc;
}

static void store_close(eg_store *base) {
    sql_store *s = (sql_store *)base;
    store_rollback(base);
    store_unlock(base);
    if (s->has_log && s->file.db != NULL) { /* unless somebody reads: then the next one does */
        sqlite3_busy_timeout(s->file.db, 0);
        (void)eg_db_run(&s->file, "PRAGMA journal_mode = DELETE", NULL);
    }
    eg_db_close(&s->file);
    eg_rows_close(&s->rows);
    free(s->sorted);
    free(s->spare);
    free(s);
}

static const eg_store_ops store_ops = {
    .lock = store_lock,
    .unlock = store_unlock,
    .find = store_find,
    .has_file = store_has_file,
    .partial = store_partial,
    .begin = store_begin,
    .room = store_room,
    .filled = store_filled,
    .commit = store_commit,
    .rollback = store_rollback,
    .expire = store_expire,
    .close = store_close,
};

eg_status eg_store_open(const char *path, eg_poll poll, eg_store **out, eg_err *err) {
    *out = NULL;
    sql_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return eg_fail_nomem(err, "a store");
    s->base.ops = &store_ops;
    s->poll = poll;
    char *real = realpath(path, NULL); /* a link stays one when the file is exchanged */
    eg_status rc = open_file(s, real != NULL ? real : path, err);
    free(real);
    if (rc == EG_OK)
        *out = &s->base;
    else
        store_close(&s->base);
    return rc;
}
