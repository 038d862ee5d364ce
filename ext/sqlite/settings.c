/* See the header. */
#include "sqlite/settings.h"

#include "base/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- reading ------------------------------------------------------------ */

bool eg_settings_parse_bytes(const char *text, uint64_t *n_bytes) {
    static const struct {
        const char *name;
        double bytes;
    } units[] = {
        {"", 1},          {"B", 1},    {"KB", 1e3},         {"KiB", 1024}, {"MB", 1e6},
        {"MiB", 1048576}, {"GB", 1e9}, {"GiB", 1073741824}, {"TB", 1e12},  {"TiB", 1099511627776}};
    size_t n = strspn(text, "0123456789.");
    char digits[32], *end;
    if (n == 0 || n >= sizeof digits)
        return false;
    memcpy(digits, text, n);
    digits[n] = '\0';
    double number = strtod(digits, &end);
    if (*end != '\0')
        return false;
    const char *unit = text + n + strspn(text + n, " ");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(unit, units[i].name) == 0) {
            number *= units[i].bytes;
            if (number < 1 || number >= 9e18)
                return false;
            *n_bytes = (uint64_t)number;
            return true;
        }
    return false;
}

static bool parse_threads(const char *text, int *n_threads) {
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    *n_threads = (int)n;
    return errno == 0 && end != text && *end == '\0' && n >= 1 && n <= EG_MAX_THREADS;
}

#define EXPECTED_THREADS "expected a number of threads from 1 to 64"
#define EXPECTED_BYTES "expected a number of bytes above 0, or a text like '512MB' or '2GiB'"

eg_status eg_settings_threads(const eg_connection *c, int *n_threads, eg_err *err) {
    const char *text = getenv("EARLGREY_THREADS");
    *n_threads = c->n_threads;
    if (c->n_threads > 0)
        return EG_OK;
    *n_threads = eg_pool_cores() < EG_MAX_THREADS ? eg_pool_cores() : EG_MAX_THREADS;
    if (text == NULL || *text == '\0' || parse_threads(text, n_threads))
        return EG_OK;
    return eg_fail(err, EG_MISUSE, -1, "EARLGREY_THREADS is '%.40s': " EXPECTED_THREADS, text);
}

eg_status eg_settings_memory(const eg_connection *c, uint64_t *n_bytes, eg_err *err) {
    const char *text = getenv("EARLGREY_MEMORY_LIMIT");
    *n_bytes = c->memory_bytes;
    if (c->memory_bytes > 0)
        return EG_OK;
    long n_pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    *n_bytes = n_pages > 0 && page_bytes > 0 ? (uint64_t)n_pages / 2 * (uint64_t)page_bytes : 0;
    if (text == NULL || *text == '\0' || eg_settings_parse_bytes(text, n_bytes))
        return EG_OK;
    return eg_fail(err, EG_MISUSE, -1, "EARLGREY_MEMORY_LIMIT is '%.40s': " EXPECTED_BYTES, text);
}

/* ---- functions ---------------------------------------------------------- */

static void fail(sqlite3_context *ctx, const char *function, const char *found,
                 const char *expected) {
    char *message = sqlite3_mprintf("%s: '%.40s': %s", function, found ? found : "", expected);
    if (message == NULL)
        sqlite3_result_error_nomem(ctx);
    else
        sqlite3_result_error(ctx, message, -1);
    sqlite3_free(message);
}

static void tell(sqlite3_context *ctx, eg_status rc, sqlite3_int64 number, const eg_err *err) {
    if (rc == EG_OK)
        sqlite3_result_int64(ctx, number);
    else
        sqlite3_result_error(ctx, err->msg, -1);
}

static void threads(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    eg_connection *c = sqlite3_user_data(ctx);
    int n = 0;
    eg_err err;
    if (argc == 1 && sqlite3_value_type(argv[0]) != SQLITE_NULL) {
        const char *text = (const char *)sqlite3_value_text(argv[0]);
        if (text == NULL || !parse_threads(text, &n)) {
            fail(ctx, "earlgrey_threads", text, EXPECTED_THREADS ", or NULL for the default");
            return;
        }
    }
    if (argc == 1)
        c->n_threads = n;
    eg_status rc = eg_settings_threads(c, &n, &err);
    tell(ctx, rc, n, &err);
}

static void memory_limit(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    eg_connection *c = sqlite3_user_data(ctx);
    uint64_t n = 0;
    eg_err err;
    if (argc == 1 && sqlite3_value_type(argv[0]) != SQLITE_NULL) {
        const char *text = (const char *)sqlite3_value_text(argv[0]);
        if (text == NULL || !eg_settings_parse_bytes(text, &n)) {
            fail(ctx, "earlgrey_memory_limit", text, EXPECTED_BYTES ", or NULL for the default");
            return;
        }
    }
    if (argc == 1)
        c->memory_bytes = n;
    eg_status rc = eg_settings_memory(c, &n, &err);
    tell(ctx, rc, (sqlite3_int64)n, &err);
}

int eg_register_settings(eg_connection *c) {
    static const struct {
        const char *name;
        void (*function)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {{"earlgrey_threads", threads}, {"earlgrey_memory_limit", memory_limit}};
    int rc = SQLITE_OK;
    for (int i = 0; i < 4 && rc == SQLITE_OK; i++)
        rc = sqlite3_create_function_v2(
            c->db, functions[i / 2].name, i % 2, SQLITE_UTF8 | SQLITE_DIRECTONLY,
            eg_connection_share(c), functions[i / 2].function, NULL, NULL, eg_connection_release);
    return rc;
}
