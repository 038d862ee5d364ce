/*
** Times SQL statements against one another, in one process and one connection.
**
**     sql_bench [-m] [-n ROUNDS] [-s SETUP]… EXTENSION STATEMENT…
**
** The connection is one thread's own, as that of earlgrey-lua; -m: with SQLite's lock in each call,
** as sqlite3 and Python have it. Each SETUP is run once, in order. Then the statements are run in
** turn, ROUNDS times: from prepare to finalize, each row stepped, each column read in its own type.
** A line for each: the medians of wall and CPU time in ms, rows, and the statement.
**
** The floor: CREATE VIRTUAL TABLE temp.NAME USING bench_array(SELECT …) keeps the rows of a
** statement in arrays, an int64 or a text a value, and hands them out with as little work as a
** virtual table can do. Its columns are c0, c1, …
*/
#define SQLITE_CORE 1
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_COLUMNS 32
#define MAX_STATEMENTS 32

/* ---- the floor ---------------------------------------------------------- */

typedef struct text {
    const char *bytes; /* owned by nobody: kept to the end */
    int n_bytes;
} text;

typedef struct column {
    int64_t *numbers; /* [n_rows]; NULL where it has texts */
    text *texts;
} column;

typedef struct array_table {
    sqlite3_vtab base; /* must be first */
    int n_columns;
    int64_t n_rows, capacity;
    column columns[MAX_COLUMNS];
} array_table;

typedef struct array_cursor {
    sqlite3_vtab_cursor base; /* must be first */
    int64_t at;
} array_cursor;

static void *grown(void *p, int64_t n, size_t width) {
    p = realloc(p, (size_t)n * width);
    if (p == NULL) {
        fprintf(stderr, "sql_bench: no memory\n");
        exit(1);
    }
    return p;
}

static void keep_row(array_table *t, sqlite3_stmt *s) {
    if (t->n_rows == t->capacity) {
        t->capacity = t->capacity > 0 ? t->capacity * 2 : 65536;
        for (int c = 0; c < t->n_columns; c++) {
            column *k = &t->columns[c];
            if (k->texts != NULL || (t->n_rows == 0 && sqlite3_column_type(s, c) != SQLITE_INTEGER))
                k->texts = grown(k->texts, t->capacity, sizeof *k->texts);
            else
                k->numbers = grown(k->numbers, t->capacity, sizeof *k->numbers);
        }
    }
    for (int c = 0; c < t->n_columns; c++) {
        column *k = &t->columns[c];
        if (k->numbers != NULL) {
            k->numbers[t->n_rows] = sqlite3_column_int64(s, c);
            continue;
        }
        int n = sqlite3_column_bytes(s, c);
        char *bytes = grown(NULL, n + 1, 1);
        memcpy(bytes, sqlite3_column_text(s, c), (size_t)n + 1);
        k->texts[t->n_rows] = (text){bytes, n};
    }
    t->n_rows++;
}

static int array_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **vtab, char **error) {
    (void)aux;
    char sql[4096] = "", declared[4096] = "CREATE TABLE t(";
    for (int i = 3; i < argc; i++) {
        size_t n = strlen(sql);
        snprintf(sql + n, sizeof sql - n, "%s%s", i > 3 ? "," : "", argv[i]);
    }
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
        *error = sqlite3_mprintf("%s", sqlite3_errmsg(db));
        return SQLITE_ERROR;
    }
    array_table *t = calloc(1, sizeof *t);
    if (t == NULL || sqlite3_column_count(s) > MAX_COLUMNS)
        return SQLITE_NOMEM;
    t->n_columns = sqlite3_column_count(s);
    while (sqlite3_step(s) == SQLITE_ROW)
        keep_row(t, s);
    if (sqlite3_finalize(s) != SQLITE_OK) {
        *error = sqlite3_mprintf("%s", sqlite3_errmsg(db));
        return SQLITE_ERROR;
    }
    for (int c = 0; c < t->n_columns; c++) {
        size_t n = strlen(declared);
        snprintf(declared + n, sizeof declared - n, "%sc%d %s", c > 0 ? "," : "", c,
                 t->columns[c].texts != NULL ? "TEXT" : "INTEGER");
    }
    strcat(declared, ")");
    *vtab = &t->base;
    return sqlite3_declare_vtab(db, declared);
}

static int array_disconnect(sqlite3_vtab *vtab) {
    (void)vtab; /* the process ends */
    return SQLITE_OK;
}

static int array_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
    (void)vtab;
    info->estimatedCost = 1e6;
    return SQLITE_OK;
}

static int array_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
    (void)vtab;
    array_cursor *c = calloc(1, sizeof *c);
    *out = c != NULL ? &c->base : NULL;
    return c != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

static int array_close(sqlite3_vtab_cursor *cursor) {
    free(cursor);
    return SQLITE_OK;
}

static int array_filter(sqlite3_vtab_cursor *cursor, int index, const char *plan, int argc,
                        sqlite3_value **argv) {
    (void)index, (void)plan, (void)argc, (void)argv;
    ((array_cursor *)cursor)->at = 0;
    return SQLITE_OK;
}

static int array_next(sqlite3_vtab_cursor *cursor) {
    ((array_cursor *)cursor)->at++;
    return SQLITE_OK;
}

static int array_eof(sqlite3_vtab_cursor *cursor) {
    return ((array_cursor *)cursor)->at == ((array_table *)cursor->pVtab)->n_rows;
}

static int array_column(sqlite3_vtab_cursor *cursor, sqlite3_context *ctx, int i) {
    int64_t at = ((array_cursor *)cursor)->at;
    const column *k = &((array_table *)cursor->pVtab)->columns[i];
    if (k->numbers != NULL)
        sqlite3_result_int64(ctx, k->numbers[at]);
    else
        sqlite3_result_text(ctx, k->texts[at].bytes, k->texts[at].n_bytes, SQLITE_TRANSIENT);
    return SQLITE_OK;
}

static int array_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    *rowid = ((array_cursor *)cursor)->at;
    return SQLITE_OK;
}

static const sqlite3_module array_module = {.xCreate = array_connect,
                                            .xConnect = array_connect,
                                            .xBestIndex = array_best_index,
                                            .xDisconnect = array_disconnect,
                                            .xDestroy = array_disconnect,
                                            .xOpen = array_open,
                                            .xClose = array_close,
                                            .xFilter = array_filter,
                                            .xNext = array_next,
                                            .xEof = array_eof,
                                            .xColumn = array_column,
                                            .xRowid = array_rowid};

/* ---- timing ------------------------------------------------------------- */

static double clock_ms(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(sqlite3 *db, const char *sql) {
    fprintf(stderr, "sql_bench: %s\n%s\n", sqlite3_errmsg(db), sql);
    exit(1);
}

/* Runs a statement to its end; gives its rows. *sum keeps the reading from being left out. */
static int64_t run(sqlite3 *db, const char *sql, int64_t *sum) {
    sqlite3_stmt *s;
    int64_t n_rows = 0;
    int rc;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        fail(db, sql);
    int n_columns = sqlite3_column_count(s);
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        for (int c = 0; c < n_columns; c++) {
            if (sqlite3_column_type(s, c) == SQLITE_INTEGER)
                *sum += sqlite3_column_int64(s, c);
            else if (sqlite3_column_text(s, c) != NULL)
                *sum += sqlite3_column_text(s, c)[0];
        }
        n_rows++;
    }
    if (rc != SQLITE_DONE || sqlite3_finalize(s) != SQLITE_OK)
        fail(db, sql);
    return n_rows;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare);
    return values[n / 2];
}

int main(int argc, char **argv) {
    int n_rounds = 15, n_setups = 0, option, mutex = SQLITE_OPEN_NOMUTEX;
    const char *setups[MAX_STATEMENTS];
    while ((option = getopt(argc, argv, "mn:s:")) != -1) {
        if (option == 'm')
            mutex = SQLITE_OPEN_FULLMUTEX;
        else if (option == 'n')
            n_rounds = atoi(optarg);
        else if (option == 's' && n_setups < MAX_STATEMENTS)
            setups[n_setups++] = optarg;
        else
            return 2;
    }
    int n_statements = argc - optind - 1;
    if (n_statements < 1 || n_statements > MAX_STATEMENTS || n_rounds < 1) {
        fprintf(stderr, "usage: sql_bench [-m] [-n ROUNDS] [-s SETUP]... EXTENSION STATEMENT...\n");
        return 2;
    }
    sqlite3 *db;
    char *error = NULL;
    int64_t sum = 0, n_rows[MAX_STATEMENTS];
    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | mutex,
                        NULL) != SQLITE_OK)
        return 1;
    sqlite3_enable_load_extension(db, 1);
    if (sqlite3_load_extension(db, argv[optind], NULL, &error) != SQLITE_OK) {
        fprintf(stderr, "sql_bench: %s\n", error);
        return 1;
    }
    sqlite3_create_module(db, "bench_array", &array_module, NULL);
    for (int i = 0; i < n_setups; i++)
        (void)run(db, setups[i], &sum);
    double *wall = grown(NULL, (int64_t)n_statements * n_rounds, sizeof *wall);
    double *cpu = grown(NULL, (int64_t)n_statements * n_rounds, sizeof *cpu);
    for (int round = 0; round < n_rounds; round++)
        for (int i = 0; i < n_statements; i++) {
            double w = clock_ms(CLOCK_MONOTONIC), c = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
            n_rows[i] = run(db, argv[optind + 1 + i], &sum);
            wall[i * n_rounds + round] = clock_ms(CLOCK_MONOTONIC) - w;
            cpu[i * n_rounds + round] = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - c;
        }
    printf("%10s %10s %10s\n", "wall ms", "CPU ms", "rows");
    for (int i = 0; i < n_statements; i++)
        printf("%10.2f %10.2f %10lld  %s\n", median(wall + i * n_rounds, n_rounds),
               median(cpu + i * n_rounds, n_rounds), (long long)n_rows[i], argv[optind + 1 + i]);
    sqlite3_close(db);
    return sum == 42; /* it is used */
}
