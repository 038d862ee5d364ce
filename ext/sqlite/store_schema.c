#include "sqlite/store_schema.h"

#include <string.h>
#include <sys/stat.h>

#include "sqlite/capture_tables.h"

const eg_store_column eg_store_columns[EG_STORE_COLUMNS] = {
    {"start_ms", EG_VEC_START_MS},
    {"duration_ms", EG_VEC_DURATION_MS},
    {"srcaddr_num", EG_VEC_SRCADDR},
    {"dstaddr_num", EG_VEC_DSTADDR},
    {"srcport", EG_VEC_SRCPORT},
    {"dstport", EG_VEC_DSTPORT},
    {"proto", EG_VEC_PROTO},
    {"packets", EG_VEC_PACKETS},
    {"bytes", EG_VEC_BYTES},
    {"tcp_flags", EG_VEC_TCP_FLAGS},
    {"tos", EG_VEC_TOS},
    {"input", EG_VEC_INPUT},
    {"output", EG_VEC_OUTPUT},
    {"nexthop_num", EG_VEC_NEXTHOP},
    {"src_as", EG_VEC_SRC_AS},
    {"dst_as", EG_VEC_DST_AS},
    {"src_mask", EG_VEC_SRC_MASK},
    {"dst_mask", EG_VEC_DST_MASK},
    {"exporter_num", EG_VEC_EXPORTER},
    {"engine_type", EG_VEC_ENGINE_TYPE},
    {"engine_id", EG_VEC_ENGINE_ID},
    {"sampling_mode", EG_VEC_SAMPLING_MODE},
    {"sampling_interval", EG_VEC_SAMPLING_INTERVAL},
    {"flow_sequence", EG_VEC_FLOW_SEQUENCE},
    {"time_flag", EG_VEC_TIME_FLAG},
    {"capture", EG_N_VECTORS},
};

const char *const eg_store_index_names[EG_STORE_INDEXES] = {"flow_by_srcaddr", "flow_by_dstaddr",
                                                            "flow_by_time", "flow_by_srcaddr_num",
                                                            "flow_by_dstaddr_num"};

static const char *const index_columns[EG_STORE_INDEXES] = {
    "srcaddr, start_ms", "dstaddr, start_ms", "start_ms", "srcaddr_num", "dstaddr_num"};

/* clang-format off */
#define DOTTED(n) \
    "(" n " >> 24) || '.' || (" n " >> 16 & 255) || '.' || (" n " >> 8 & 255) || '.' || (" n " & 255)"
#define TIME(ms) "strftime('%Y-%m-%d %H:%M:%f', (" ms ") / 1000.0, 'unixepoch')"
#define SCALED(n) n " * max(sampling_interval, 1)"

static const char generated[] =
    ", start_time TEXT AS (" TIME("start_ms") ") VIRTUAL"
    ", end_time TEXT AS (" TIME("start_ms + duration_ms") ") VIRTUAL"
    ", end_ms INTEGER AS (start_ms + duration_ms) VIRTUAL"
    ", srcaddr TEXT AS (" DOTTED("srcaddr_num") ") VIRTUAL"
    ", dstaddr TEXT AS (" DOTTED("dstaddr_num") ") VIRTUAL"
    ", nexthop TEXT AS (" DOTTED("nexthop_num") ") VIRTUAL"
    ", exporter TEXT AS (iif(typeof(exporter_num) = 'integer', " DOTTED("exporter_num")
        ", exporter_num)) VIRTUAL"
    ", packets_est INTEGER AS (" SCALED("packets") ") VIRTUAL"
    ", bytes_est INTEGER AS (" SCALED("bytes") ") VIRTUAL";
/* clang-format on */

static const char views[] =
    "CREATE VIEW top_talkers AS SELECT srcaddr, sum(bytes) AS bytes, sum(packets) AS packets, "
    "count(*) AS flows FROM flow GROUP BY srcaddr_num ORDER BY sum(bytes) DESC;"
    "CREATE VIEW daily AS SELECT date(start_ms / 1000.0, 'unixepoch') AS day, count(*) AS flows, "
    "sum(packets) AS packets, sum(bytes) AS bytes FROM flow GROUP BY 1;";

/* What may be missing when rows are inserted by hand. */
static bool has_default(eg_vector v) {
    return v != EG_VEC_START_MS && v != EG_VEC_SRCADDR && v != EG_VEC_DSTADDR &&
           v != EG_VEC_EXPORTER && v != EG_N_VECTORS;
}

/* The commonest first: a CASE is gone through from its start. */
static void add_protocol(sqlite3_str *s) {
    static const uint8_t first[] = {6, 17, 1};
    sqlite3_str_appendall(s, ", protocol TEXT AS (CASE proto");
    for (int i = -(int)sizeof first; i < 256; i++) {
        uint8_t n = i < 0 ? first[i + (int)sizeof first] : (uint8_t)i;
        char name[EG_PROTO_TEXT_MAX];
        size_t n_bytes = eg_proto_format(n, name);
        if ((i >= 0 && memchr(first, i, sizeof first) != NULL) ||
            (name[0] >= '0' && name[0] <= '9' && n_bytes <= 3 &&
             strspn(name, "0123456789") == n_bytes))
            continue;
        sqlite3_str_appendf(s, " WHEN %d THEN '%.*s'", n, (int)n_bytes, name);
    }
    sqlite3_str_appendall(s, " ELSE CAST(proto AS TEXT) END) VIRTUAL");
}

static void add_view(sqlite3_str *s) {
    sqlite3_str_appendall(s, "CREATE VIEW flow_readable AS SELECT ");
    for (int c = 0; c < EG_N_COLUMNS && c < EG_COL_START_MS; c++)
        sqlite3_str_appendf(s, "%s, ", eg_column_about((eg_column)c)->name);
    sqlite3_str_appendall(
        s, "(SELECT name FROM capture WHERE capture.id = flow.capture) AS file FROM flow;");
}

static void add_table(sqlite3_str *s) {
    sqlite3_str_appendall(s, "CREATE TABLE flow(id INTEGER PRIMARY KEY");
    for (int i = 0; i < EG_STORE_COLUMNS; i++) {
        const eg_store_column *c = &eg_store_columns[i];
        const char *rule = has_default(c->vector)         ? " NOT NULL DEFAULT 0"
                           : c->vector == EG_VEC_EXPORTER ? ""
                           : c->vector == EG_N_VECTORS    ? " REFERENCES capture(id)"
                                                          : " NOT NULL";
        sqlite3_str_appendf(s, ", %s INTEGER%s", c->name, rule);
    }
    sqlite3_str_appendall(s, generated);
    add_protocol(s);
    sqlite3_str_appendall(s, ")");
}

/* NULL without memory. */
static char *make_schema(void) {
    sqlite3_str *s = sqlite3_str_new(NULL);
    sqlite3_str_appendall(s, EG_CAPTURE_TABLES);
    add_table(s);
    sqlite3_str_appendall(s, ";");
    for (int i = 0; i < EG_STORE_INDEXES; i++)
        sqlite3_str_appendf(s, "CREATE INDEX %s ON flow(%s);", eg_store_index_names[i],
                            index_columns[i]);
    add_view(s);
    sqlite3_str_appendf(s, "%s PRAGMA application_id = %d;", views, EG_STORE_ID);
    return sqlite3_str_finish(s);
}

/* Whose the database is, asked by one statement: another writer may just now make it a store. */
static eg_status check_owner(const eg_database *d, bool may_be_empty, eg_err *err) {
    int64_t id = 0, n_objects = 0;
    sqlite3_stmt *s;
    eg_status rc = eg_db_prepare(d, &s,
                                 "SELECT application_id, (SELECT count(*) FROM sqlite_schema) "
                                 "FROM pragma_application_id",
                                 err);
    if (rc != EG_OK)
        return rc;
    if (sqlite3_step(s) == SQLITE_ROW) {
        id = sqlite3_column_int64(s, 0);
        n_objects = sqlite3_column_int64(s, 1);
    } else {
        rc = eg_db_fail(d, err);
    }
    sqlite3_finalize(s);
    if (rc == EG_OK && id != EG_STORE_ID && (n_objects > 0 || !may_be_empty))
        rc = eg_fail(err, EG_UNSUPPORTED, -1,
                     "%s: a database, but no store of flows: expected one that netflow_ingest() "
                     "made%s",
                     d->path, may_be_empty ? ", or a new name" : "");
    return rc;
}

eg_status eg_store_make(const eg_database *d, eg_err *err) {
    eg_status rc = check_owner(d, true, err);
    char *schema = rc == EG_OK ? make_schema() : NULL;
    if (rc == EG_OK && schema == NULL)
        rc = eg_fail_nomem(err, "a store");
    if (rc == EG_OK)
        rc = eg_db_settle(d, "store", EG_STORE_VERSION, schema, err);
    sqlite3_free(schema);
    return rc;
}

eg_status eg_store_check(const eg_database *d, eg_err *err) {
    eg_status rc = check_owner(d, false, err);
    return rc == EG_OK ? eg_db_settle(d, "store", EG_STORE_VERSION, NULL, err) : rc;
}

eg_status eg_store_table(const eg_database *d, bool *is_ours, uint32_t *root, eg_err *err) {
    sqlite3_stmt *s;
    int64_t n = 0;
    sqlite3_str *table = sqlite3_str_new(NULL);
    add_table(table);
    char *text = sqlite3_str_finish(table);
    eg_status rc = text != NULL ? eg_db_prepare(d, &s,
                                                "SELECT rootpage FROM sqlite_schema WHERE type = "
                                                "'table' AND name = 'flow' AND sql = ?1",
                                                err)
                                : eg_fail_nomem(err, "a store");
    *is_ours = false;
    if (rc == EG_OK) {
        sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC);
        rc = eg_db_finish(d, s, is_ours, &n, err);
    }
    sqlite3_free(text);
    *is_ours = *is_ours && n >= 2 && n <= UINT32_MAX;
    *root = *is_ours ? (uint32_t)n : 0;
    return rc;
}

eg_status eg_store_is_new(const eg_database *d, bool *is_new, eg_err *err) {
    /* Tables 4, indexes of ours 6 and of the hash 1, views 4. */
    int64_t yes = 0;
    eg_status rc = eg_db_number(d,
                                "SELECT (SELECT count(*) FROM sqlite_schema) = 15 AND NOT EXISTS "
                                "(SELECT 1 FROM flow) AND NOT EXISTS (SELECT 1 FROM capture)",
                                &yes, err);
    *is_new = yes != 0;
    return rc;
}

eg_status eg_store_probe(const char *path, eg_store_kind *kind, eg_err *err) {
    eg_database d = {.path = (char *)path};
    int64_t n_pages = 0, id = 0;
    struct stat st;
    *kind = EG_NO_DATABASE;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return EG_OK;
    /* For writing where that may be: what a writer that died left has to be rolled back. */
    if (sqlite3_open_v2(path, &d.db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(d.db, EG_DB_BUSY_MS);
        if (eg_db_number(&d, "PRAGMA page_count", &n_pages, NULL) != EG_OK)
            *kind = sqlite3_errcode(d.db) == SQLITE_NOTADB ? EG_NO_DATABASE : EG_OTHER_DATABASE;
        else if (n_pages > 0 && eg_db_number(&d, "PRAGMA application_id", &id, NULL) == EG_OK)
            *kind = id == EG_STORE_ID ? EG_STORE : EG_OTHER_DATABASE;
    }
    bool is_nomem = (sqlite3_errcode(d.db) & 0xff) == SQLITE_NOMEM;
    sqlite3_close(d.db);
    return is_nomem ? eg_fail_nomem(err, "a database") : EG_OK;
}
