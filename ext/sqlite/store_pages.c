#include "sqlite/store_pages.h"

#include "sqlite/store_schema.h"

static sqlite3_file *file_of(const eg_database *d) {
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(d->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    return rc == SQLITE_OK && file != NULL && file->pMethods != NULL ? file : NULL;
}

static eg_status read_file(void *arg, int64_t offset, uint8_t *to, uint32_t n_bytes, eg_err *err) {
    const eg_database *d = arg;
    sqlite3_file *file = file_of(d);
    int rc = file != NULL ? file->pMethods->xRead(file, to, (int)n_bytes, offset) : SQLITE_IOERR;
    if (rc == SQLITE_OK)
        return EG_OK;
    if (rc == SQLITE_IOERR_SHORT_READ)
        return eg_fail(err, EG_CORRUPT, offset, "%s: ends within a page: expected %lld bytes",
                       d->path, (long long)offset + n_bytes);
    return eg_fail(err, EG_IO, offset, "%s: cannot be read: %s", d->path, sqlite3_errstr(rc));
}

eg_status eg_store_pages_open(const eg_database *d, eg_pages *f, uint32_t *root, bool *fits,
                              eg_err *err) {
    uint8_t header[100];
    bool has_log = false;
    int64_t n_pages = 0;
    eg_status rc = eg_db_has_log(d, &has_log, err);
    *fits = false;
    *f = (eg_pages){.read = read_file, .arg = (void *)d, .path = d->path};
    if (rc == EG_OK)
        rc = eg_db_number(d, "PRAGMA page_count", &n_pages, err);
    if (rc == EG_OK)
        rc = eg_store_table(d, fits, root, err);
    if (rc != EG_OK)
        return rc;
    f->n_pages = n_pages > 0 && n_pages <= UINT32_MAX ? (uint32_t)n_pages : 0;
    /* Something else between SQLite and its file may show other bytes: then SQLite reads. */
    *fits = *fits && !has_log && file_of(d) != NULL &&
            read_file(f->arg, 0, header, sizeof header, NULL) == EG_OK &&
            eg_pages_fit(header, &f->page_bytes);
    return EG_OK;
}
