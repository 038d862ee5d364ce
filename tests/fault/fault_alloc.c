/*
** Memory failure sweep: for each statement below, allocation N fails, for N = 1,
** 2, ... until the statement gets through untouched; once with that single
** failure, once with every allocation after it failing too. The engine's malloc,
** calloc, realloc and their kin (wrapped by the linker) and SQLite's own allocator
** count together.
**
** Each run must end in "out of memory", or in exactly the answer of the undisturbed
** run; and when the connection is closed nothing may be left allocated.
**
**     fault_alloc FOLDER     small captures: plain.pcap plain.pcap.gz plain.pcapng
**                            cut.pcap fragments.pcap archive.tar.gz
** Datasets are made beside it.
*/
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault_run.h"

/* ---- Statements. $ stands for the folder. A leading ! asks for a fresh connection each time, a +
** for FOLDER-new and FOLDER-new.db to be deleted each time. */

static const char *const STATEMENTS[] = {
    "!SELECT count(*) FROM netflow_pcap('$/plain.pcap')",
    "!SELECT * FROM netflow_active('$/plain.pcap', 3)",
    "!SELECT * FROM netflow_audit('$/plain.pcap')",
    "SELECT * FROM netflow_pcap('$/plain.pcap')",
    "SELECT file, frame, start_ms, received_time, bytes_est, time_flag FROM "
    "netflow_pcap('$/plain.pcapng')",
    "SELECT count(*), sum(bytes) FROM netflow_pcap('$/plain.pcap.gz')",
    "SELECT count(*), sum(packets) FROM netflow_pcap('$/archive.tar.gz')",
    "SELECT count(*), max(end_time) FROM netflow_pcap('$/fragments.pcap')",
    "SELECT count(*) FROM netflow_pcap('$/cut.pcap')",
    "SELECT count(*) FROM netflow_pcap('$')",
    "SELECT count(DISTINCT file) FROM netflow_pcap('$/plain.*')",
    "SELECT count(*) FROM netflow_pcap('$/plain.pcap\n$/cut.pcap\n$/plain.pcap')",
    "SELECT srcaddr FROM netflow_pcap('$/plain.pcap') WHERE protocol = 'UDP' AND dstport = 53",
    "SELECT srcaddr FROM netflow_pcap('$/plain.pcap') WHERE srcaddr IN ('1.2.3.4', '122.166.0.1', "
    "'x', 5) OR dstport IN (80, 443, '25')",
    "SELECT count(*) FROM netflow_pcap('$/plain.pcap') WHERE ip4_in(srcaddr, '122.166.0.0/16')",
    "SELECT count(*) FROM netflow_pcap('$/plain.pcap') WHERE start_time BETWEEN '2007-07-26 20' "
    "AND '2007-07-26 21:30' AND bytes > 100 AND packets <> 1",
    "SELECT count(*) FROM netflow_pcap('$/plain.pcap') WHERE protocol > 'T' AND exporter >= "
    "'192' AND file LIKE '%plain%'",
    "SELECT count(*) FROM netflow_pcap('$/plain.pcap') WHERE dstport IN (SELECT srcport FROM "
    "netflow_pcap('$/plain.pcap') WHERE srcport < 1024)",
    "SELECT dstaddr, sum(bytes) FROM netflow_pcap('$/plain.pcap') GROUP BY 1 ORDER BY 2 DESC, 1 "
    "LIMIT 4",
    "SELECT DISTINCT srcaddr, start_time FROM netflow_pcap('$/plain.pcapng')",
    "SELECT dstaddr, dstport, count(*) FROM netflow('$-text') GROUP BY 1, 2 ORDER BY 1 DESC, 2",
    "SELECT a.frame FROM netflow_pcap('$/plain.pcap') a JOIN netflow_pcap('$/plain.pcap') b ON "
    "a.srcaddr = b.dstaddr AND a.srcport = b.dstport WHERE a.frame = 1",
    "SELECT * FROM netflow_active('$/plain.pcap')",
    "SELECT * FROM netflow_active('$/archive.tar.gz', 5) WHERE dstport = 53",
    "SELECT * FROM netflow_active('$', 5) WHERE start_time >= '2007' AND ip4_in(srcaddr, "
    "'122.166.0.0/16')",
    "SELECT * FROM netflow_top('$/plain.pcap', 'srcaddr', 'bytes', 5)",
    "SELECT * FROM netflow_top('$/plain.pcap', 'srcaddr/24, dstport', 'flows')",
    "SELECT * FROM netflow_top('$/plain.pcap', 'exporter,file,protocol,start_time', 'packets', 7)",
    "SELECT * FROM netflow_top('$/plain.pcap', 'srcaddr,nonsense', 'bytes')",
    "SELECT * FROM netflow_top('$/plain.pcap', 'srcaddr', 'weight')",
    "SELECT * FROM netflow_top('$/plain.pcap', 'srcaddr,dstaddr,srcport', 'bytes') WHERE "
    "earlgrey_memory_limit('1kB') = 1000 AND earlgrey_threads(3) = 3",
    "SELECT * FROM netflow_active('$', 5) WHERE earlgrey_memory_limit(NULL) > 0",
    "SELECT earlgrey_threads(NULL) > 0, earlgrey_memory_limit('2GB'), earlgrey_memory_limit(NULL) "
    "> 0",
    "SELECT * FROM netflow_series('$/plain.pcap', '5m')",
    "SELECT * FROM netflow_series('$/plain.pcap', '1h', 'srcaddr/6')",
    "SELECT time, exporter, bytes FROM netflow_series('$/archive.tar.gz', '1h', "
    "'exporter,dstport') WHERE protocol = 'UDP' ORDER BY time LIMIT 50",
    "SELECT count(*) FROM netflow_series('$-text', '1h', 'srcaddr,dstaddr') WHERE dstport < 100",
    "SELECT count(*) FROM netflow_series('$/plain.pcap', '5x')",
    "SELECT count(*) FROM netflow_series('$', '1s')",
    "SELECT * FROM netflow_audit('$')",
    "SELECT * FROM netflow_loss('$/plain.pcap\n$/cut.pcap')",
    "SELECT * FROM netflow_loss('$')",
    "SELECT files, rows_read FROM netflow_scan_stats()",
    "!SELECT count(*) FROM netflow_parquet('$-text')",
    "SELECT * FROM netflow('$-text')",
    "SELECT * FROM netflow_parquet('$-uint32/year=*/*/*/*.parquet')",
    "SELECT * FROM netflow('$-text') WHERE srcaddr = (SELECT min(srcaddr) FROM "
    "netflow_pcap('$/plain.pcap')) OR dstport = 53",
    "SELECT * FROM netflow('$-uint32') WHERE srcaddr = (SELECT min(srcaddr) FROM "
    "netflow_pcap('$/plain.pcap')) OR dstport = 53",
    "SELECT count(*), sum(bytes) FROM netflow('$-text') WHERE srcaddr IN ('122.166.0.1', "
    "'1.2.3.4') "
    "AND protocol = 'TCP' AND start_time >= '2007-07-26 20:00'",
    "SELECT count(*) FROM netflow('$-text') WHERE ip4_in(dstaddr, '10.0.0.0/8') AND exporter > '1'",
    "SELECT * FROM netflow_top('$-uint32', 'srcaddr/24,protocol', 'bytes', 5) WHERE packets > 1",
    "SELECT * FROM netflow_top('$-uint32', 'srcport', 'bytes', 5) WHERE dstport IN (25, 53, 80, "
    "110, 443, 8080)",
    "SELECT * FROM netflow_active('$-text', 5)",
    "SELECT * FROM netflow_audit('$-text')",
    "SELECT * FROM netflow_loss('$-uint32')",
    "SELECT status, rows FROM netflow_verify('$-text')",
    "SELECT status, rows FROM netflow_ingest('$/plain.pcap', '$-text')",
    "+SELECT status, rows FROM netflow_ingest('$/plain.pcap', '$-new')",
    "!SELECT count(*) FROM netflow('$.db')",
    "SELECT * FROM netflow('$.db')",
    "SELECT srcaddr, bytes FROM netflow('$.db') WHERE srcaddr = (SELECT min(srcaddr) FROM "
    "netflow_pcap('$/plain.pcap')) AND start_time > '2007'",
    "SELECT count(*) FROM netflow('$.db') WHERE ip4_in(dstaddr, '10.0.0.0/8') AND exporter > '1'",
    "SELECT * FROM netflow_active('$.db', 5)",
    "SELECT * FROM netflow_audit('$.db')",
    "SELECT * FROM netflow_expire('$.db', '1990-01-01')",
    "SELECT * FROM netflow_expire('$-text', '1990-01-01')",
    "SELECT status, rows FROM netflow_ingest('$/plain.pcap', '$.db')",
    "+SELECT i.status, i.rows, e.day, e.flows FROM netflow_ingest('$/plain.pcap', '$-new.db') i, "
    "netflow_expire('$-new.db', '2100-01-01') e",
    "+SELECT i.status, i.rows, e.day, e.flows FROM netflow_ingest('$/plain.pcap', '$-new') i, "
    "netflow_expire('$-new', '2100-01-01') e",
    "SELECT ip4_num('1.2.3.4'), ip4_text(16909060), ip4_in('1.2.3.4', '1.0.0.0/8'), "
    "ip4_prefix('1.2.3.4', 24), protocol_name(6), tcp_flags_text(18), earlgrey_version()",
    "SELECT count(*) FROM netflow_pcap('$/missing.pcap')",
    "SELECT count(*) FROM netflow_pcap('$/*.nothing')",
    "SELECT count(*) FROM netflow_pcap(NULL)",
    "CREATE VIRTUAL TABLE temp.made USING netflow_pcap('$/plain.pcap')",
};
#define N_STATEMENTS (sizeof STATEMENTS / sizeof STATEMENTS[0])

/* ---- Failing allocators */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
void __wrap_free(void *p);

/* Encoders allocate on their own threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    bool armed;
    bool forever;
    uint64_t countdown; /* allocations until the first failure */
    uint64_t n_failed;
} fault;

static bool count_down(void) {
    if (!fault.armed) {
        return false;
    }
    if (fault.countdown > 1) {
        fault.countdown--;
        return false;
    }
    if (fault.countdown == 1 || fault.forever) {
        fault.countdown = 0;
        fault.n_failed++;
        return true;
    }
    return false;
}

static bool fails(void) {
    pthread_mutex_lock(&lock);
    bool now = count_down();
    pthread_mutex_unlock(&lock);
    return now;
}

/* Live blocks of the engine, to find leaks: open addressing, 0 is empty. */
#define LIVE_SLOTS (1u << 16)
static uintptr_t live[LIVE_SLOTS];
static uint64_t n_live;

static uint32_t live_slot(uintptr_t p) {
    return (uint32_t)(((p >> 4) * UINT64_C(0x9E3779B97F4A7C15)) >> 48);
}

static void live_add(void *p) {
    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&lock);
    if (n_live >= LIVE_SLOTS / 2) {
        fputs("more blocks than this program can follow\n", stderr);
        exit(2);
    }
    uint32_t i = live_slot((uintptr_t)p);
    while (live[i] != 0) {
        i = (i + 1) % LIVE_SLOTS;
    }
    live[i] = (uintptr_t)p;
    n_live++;
    pthread_mutex_unlock(&lock);
}

/* Blocks that libc handed out are not here, and pass. */
static void remove_slot(void *p) {
    uint32_t i = live_slot((uintptr_t)p);
    while (live[i] != (uintptr_t)p) {
        if (live[i] == 0) {
            return;
        }
        i = (i + 1) % LIVE_SLOTS;
    }
    n_live--;
    live[i] = 0;
    for (uint32_t j = (i + 1) % LIVE_SLOTS; live[j] != 0; j = (j + 1) % LIVE_SLOTS) {
        uint32_t home = live_slot(live[j]);
        if ((j - home) % LIVE_SLOTS >= (j - i) % LIVE_SLOTS) {
            live[i] = live[j];
            live[j] = 0;
            i = j;
        }
    }
}

static void live_remove(void *p) {
    pthread_mutex_lock(&lock);
    remove_slot(p);
    pthread_mutex_unlock(&lock);
}

void *__wrap_malloc(size_t n) {
    void *p = fails() ? NULL : __real_malloc(n);
    live_add(p);
    return p;
}

void *__wrap_calloc(size_t n, size_t size) {
    void *p = fails() ? NULL : __real_calloc(n, size);
    live_add(p);
    return p;
}

void *__wrap_realloc(void *p, size_t n) {
    if (fails()) {
        return NULL;
    }
    if (p != NULL) {
        live_remove(p);
    }
    void *q = __real_realloc(p, n);
    live_add(q);
    return q;
}

char *__wrap_strdup(const char *s) {
    char *p = fails() ? NULL : __real_strdup(s);
    live_add(p);
    return p;
}

char *__wrap_strndup(const char *s, size_t n) {
    char *p = fails() ? NULL : __real_strndup(s, n);
    live_add(p);
    return p;
}

void *__wrap_aligned_alloc(size_t alignment, size_t n) {
    void *p = fails() ? NULL : __real_aligned_alloc(alignment, n);
    live_add(p);
    return p;
}

void __wrap_free(void *p) {
    if (p != NULL) {
        live_remove(p);
    }
    __real_free(p);
}

static sqlite3_mem_methods sqlite_memory; /* the ordinary ones */

static void *failing_malloc(int n) {
    return fails() ? NULL : sqlite_memory.xMalloc(n);
}

static void *failing_realloc(void *p, int n) {
    return fails() ? NULL : sqlite_memory.xRealloc(p, n);
}

/* ---- The sweep */

static bool is_nomem(const outcome *o) {
    return (o->rc & 0xFF) == SQLITE_NOMEM || strstr(o->message, "out of memory") != NULL;
}

/* Statements begin in ways that ask for: */
typedef struct manner {
    bool fresh;         /* a connection each time */
    const char *folder; /* whose -new is deleted each time; NULL without */
} manner;

/* A statement of more allocations than this many runs has its first ones fail one by one, then each
** so-manieth. AddressSanitizer is slow, and there for the memory errors of error paths alone: under
** it each third of these fails, beginning elsewhere in each statement. The ordinary build tries
** all. */
#define MOST_RUNS 500
#define MOST_LONG_RUNS 120 /* where things are made and deleted each time */
#define FIRST_ONES 60
#ifdef __SANITIZE_ADDRESS__
#define FIRST_TAKEN_ONES 20 /* one by one */
#define OF_THESE 3
#else
#define FIRST_TAKEN_ONES FIRST_ONES
#define OF_THESE 1
#endif

static int sweep(const char *sql, manner how, bool forever, uint64_t offset) {
    uint64_t live_before = n_live;
    sqlite3_int64 sqlite_before = sqlite3_memory_used();
    sqlite3 *db = fault_open();
    outcome plain, now;
    uint64_t n = 0, n_taken = 0, most = how.folder != NULL ? MOST_LONG_RUNS : MOST_RUNS;
    int rc = 0;

    fault.forever = false;
    fault.countdown = UINT64_MAX; /* counts, and fails none */
    fault.armed = true;
    fault_run(db, sql, &plain);
    fault.armed = false;
    uint64_t n_all = UINT64_MAX - fault.countdown, step = 1 + n_all / most;
    if (how.folder != NULL) {
        fault_remove(how.folder);
    }
    sqlite3_exec(db, "DROP TABLE IF EXISTS temp.made", NULL, NULL, NULL);
    do {
        if (how.fresh) {
            sqlite3_close(db);
            db = fault_open();
        }
        fault.forever = forever;
        n += n < FIRST_TAKEN_ONES ? 1 : OF_THESE * (n < FIRST_ONES ? 1 : step);
        n += n_taken++ == FIRST_TAKEN_ONES ? offset % OF_THESE : 0;
        fault.countdown = n;
        fault.n_failed = 0;
        fault.armed = true;
        fault_run(db, sql, &now);
        fault.armed = false;
        if (how.folder != NULL) {
            fault_remove(how.folder);
        }
        if (!fault_same(&now, &plain) && !is_nomem(&now)) {
            printf("# allocation %" PRIu64 "%s: rc %d \"%s\", %" PRId64
                   " rows; undisturbed: rc %d \"%s\", %" PRId64 " rows\n",
                   n, forever ? " and all after it" : "", now.rc, now.message, now.n_rows, plain.rc,
                   plain.message, plain.n_rows);
            rc = 1;
        }
        sqlite3_exec(db, "DROP TABLE IF EXISTS temp.made", NULL, NULL, NULL);
    } while (fault.n_failed > 0 && rc == 0);

    if (sqlite3_close(db) != SQLITE_OK) {
        printf("# the connection would not close\n");
        rc = 1;
    }
    if (n_live != live_before || sqlite3_memory_used() != sqlite_before) {
        printf("# left behind: %" PRId64 " blocks of the engine, %" PRId64 " bytes of SQLite\n",
               (int64_t)(n_live - live_before), (int64_t)(sqlite3_memory_used() - sqlite_before));
        rc = 1;
    }
    printf("# %" PRIu64 " allocations\n", n_all);
    return rc;
}

int main(int argc, char **argv) {
    static char sql[65536];
    int failed = 0;

    if (argc != 2) {
        fputs("usage: fault_alloc FOLDER\n", stderr);
        return 2;
    }
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory);
    sqlite3_mem_methods failing = sqlite_memory;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
    sqlite3_initialize();
    sqlite3_close(fault_open()); /* what SQLite keeps for good is there now */

    fault_store(argv[1]);
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        char first = STATEMENTS[i][0];
        bool fresh = first == '!', renews = first == '+';
        const char *statement = STATEMENTS[i] + (fresh || renews);
        manner how = {fresh, renews ? argv[1] : NULL};
        fault_expand(statement, argv[1], sql, sizeof sql);
        int rc = sweep(sql, how, false, i) | sweep(sql, how, true, i + 1);
        fault_report(rc == 0, "out of memory", statement);
        failed |= rc;
    }
    return failed;
}
