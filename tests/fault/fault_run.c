#include "fault_run.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "earlgrey.h"

static uint64_t mix(uint64_t h, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * UINT64_C(1099511628211);
    }
    return h;
}

sqlite3 *fault_open(void) {
    sqlite3 *db = NULL;
    char *error = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
        sqlite3_earlgrey_init(db, &error, NULL) != SQLITE_OK) {
        fprintf(stderr, "cannot open: %s\n", error != NULL ? error : sqlite3_errmsg(db));
        exit(2);
    }
    return db;
}

static bool add_value(sqlite3_stmt *stmt, int i, outcome *out) {
    int type = sqlite3_column_type(stmt, i);
    out->digest = mix(out->digest, &type, sizeof type);
    if (type == SQLITE_INTEGER) {
        sqlite3_int64 v = sqlite3_column_int64(stmt, i);
        out->digest = mix(out->digest, &v, sizeof v);
    } else if (type == SQLITE_FLOAT) {
        double v = sqlite3_column_double(stmt, i);
        out->digest = mix(out->digest, &v, sizeof v);
    } else if (type != SQLITE_NULL) {
        const void *bytes = sqlite3_column_blob(stmt, i);
        if (bytes == NULL && sqlite3_errcode(sqlite3_db_handle(stmt)) == SQLITE_NOMEM) {
            return false;
        }
        if (bytes != NULL) {
            out->digest = mix(out->digest, bytes, (size_t)sqlite3_column_bytes(stmt, i));
        }
    }
    return true;
}

void fault_run(sqlite3 *db, const char *sql, outcome *out) {
    sqlite3_stmt *stmt = NULL;
    memset(out, 0, sizeof *out);
    out->rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (out->rc == SQLITE_OK) {
        while ((out->rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            out->n_rows++;
            for (int i = 0; i < sqlite3_column_count(stmt); i++) {
                if (!add_value(stmt, i, out)) {
                    out->rc = SQLITE_NOMEM;
                }
            }
            if (out->rc != SQLITE_ROW) {
                break;
            }
        }
    }
    if (out->rc != SQLITE_DONE) {
        snprintf(out->message, sizeof out->message, "%s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(stmt);
}

void fault_store(const char *folder) {
    static const char *const kinds[] = {"text", "uint32"};
    sqlite3 *db = fault_open();
    for (int i = 0; i < 3; i++) {
        outcome out;
        char *sql = i < 2 ? sqlite3_mprintf("SELECT 1 / (rows > 0) FROM netflow_ingest("
                                            "'%q/plain.pcap', '%q-%s', 'addresses=%s')",
                                            folder, folder, kinds[i], kinds[i])
                          : sqlite3_mprintf("SELECT 1 / (rows > 0) FROM netflow_ingest("
                                            "'%q/plain.pcap', '%q.db')",
                                            folder, folder);
        fault_run(db, sql, &out);
        if (out.rc != SQLITE_DONE || out.n_rows != 1) {
            fprintf(stderr, "cannot store: %s\n", out.message);
            exit(2);
        }
        sqlite3_free(sql);
    }
    sqlite3_close(db);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void fault_remove(const char *folder) {
    static const char *const ends[] = {"-new", "-new.db", "-new.db-journal", "-new.db-wal",
                                       "-new.db-shm"};
    char path[4096];
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(path, sizeof path, "%s%s", folder, ends[i]);
        (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
}

bool fault_same(const outcome *a, const outcome *b) {
    return a->rc == b->rc && a->n_rows == b->n_rows && a->digest == b->digest &&
           strcmp(a->message, b->message) == 0;
}

void fault_expand(const char *sql, const char *folder, char *out, size_t cap) {
    size_t n = 0, n_folder = strlen(folder);
    for (; *sql != '\0' && n + n_folder + 2 < cap; sql++) {
        if (*sql == '$') {
            memcpy(out + n, folder, n_folder);
            n += n_folder;
        } else {
            out[n++] = *sql;
        }
    }
    out[n] = '\0';
}

void fault_report(bool ok, const char *what, const char *sql) {
    static char line[65536];
    fault_expand(sql, "DATA", line, sizeof line);
    for (char *end = line; (end = strchr(end, '\n')) != NULL;) {
        *end = ' ';
    }
    printf("%s %s: %s\n", ok ? "ok" : "not ok", what, line);
    fflush(stdout);
}
