/*
** Property: whatever a Parquet file says, scanning it for all flow columns, with and without a
** predicate, and verifying it end with a status; rows are no more than the footer says, and
** what a predicate leaves out by pruning is none of the rows that pass it.
**
** Input: the file. What is verified as sound is held to the last property.
*/
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_check.h"
#include "parquet/pq_file.h"
#include "parquet/shard_source.h"
#include "parquet/shard_verify.h"

#define MAX_ROWS 200000 /* enough of a file whose pages repeat one value for ever */

/* Rows that pass: all columns but the file's name, which follows the path. */
static const eg_vector_set VECTORS =
    ((EG_VECTOR_BIT(EG_N_VECTORS) - 1) & ~EG_VECTOR_BIT(EG_VEC_HEADER_MS));

typedef struct found {
    eg_status rc;
    int64_t n_rows, n_passed;
    uint64_t sum; /* of their addresses, starts and counters */
} found;

static bool passes(const eg_batch *b, uint32_t i, uint32_t addr, int64_t from_ms) {
    bool is_null =
        b->nulls != NULL &&
        (b->nulls[i] & (EG_VECTOR_BIT(EG_VEC_SRCADDR) | EG_VECTOR_BIT(EG_VEC_START_MS))) != 0;
    return !is_null && b->v.SRCADDR[i] == addr && b->v.START_MS[i] >= from_ms;
}

static found scan(const char *path, const eg_predicate *where, uint32_t addr, int64_t from_ms) {
    found f = {.rc = EG_OK};
    eg_shard_list list = {0};
    eg_shard *shard;
    eg_intern *texts;
    eg_source *source = NULL;
    eg_piece *piece = NULL;
    eg_batch b = {0};
    eg_err err = {.code = EG_OK};
    CHECK(eg_intern_open(&texts, NULL) == EG_OK);
    CHECK(eg_shard_list_add(&list, path, &shard, NULL) == EG_OK);
    CHECK(eg_batch_open(&b, VECTORS, texts, NULL) == EG_OK);
    eg_scan_spec spec = {.vectors = VECTORS, .where = where, .texts = texts};
    f.rc = eg_shard_source_open(&list, &spec, &source, &err);
    while (f.rc == EG_OK && (f.rc = source->ops->next_piece(source, &piece, &err)) == EG_OK) {
        while (f.n_rows < MAX_ROWS && (f.rc = piece->ops->next(piece, &b, &err)) == EG_OK) {
            f.n_rows += b.n_rows;
            for (uint32_t i = 0; i < b.n_rows; i++)
                if (passes(&b, i, addr, from_ms)) {
                    f.n_passed++;
                    f.sum += (uint64_t)b.v.BYTES[i] + b.v.DSTADDR[i] + b.v.SRCPORT[i];
                }
        }
        eg_scan_stats stats = {0};
        piece->ops->close(piece, &stats);
        CHECK(stats.rows_read >= 0 && stats.bytes_read >= 0);
        f.rc = f.rc == EG_DONE ? EG_OK : f.rc;
    }
    if (f.rc != EG_OK && f.rc != EG_DONE)
        CHECK(err.code == f.rc && (f.rc == EG_CORRUPT || f.rc == EG_UNSUPPORTED ||
                                   f.rc == EG_LIMIT || f.rc == EG_NOMEM));
    if (source != NULL)
        source->ops->close(source, NULL);
    eg_shard_list_close(&list);
    eg_batch_close(&b);
    eg_intern_close(texts);
    return f;
}

/* Whether the footer claims few rows, so that reading them all takes no time. */
static bool is_short(const char *path) {
    eg_pq_file *f;
    if (eg_pq_file_open(path, &f, NULL) != EG_OK)
        return false;
    bool is = eg_pq_file_rows(f) <= MAX_ROWS;
    eg_pq_file_close(f);
    return is;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int memory = -1; /* one file that every input is written to */
    static char path[64];
    if (size > 1 << 20)
        return 0;
    if (memory < 0) {
        memory = memfd_create("fuzz.parquet", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    }
    CHECK(memory >= 0 && ftruncate(memory, (off_t)size) == 0);
    CHECK(size == 0 || pwrite(memory, data, size, 0) == (ssize_t)size);

    uint32_t addr = 0xac10d254; /* 172.16.210.84, of the corpus */
    int64_t from_ms = 1000000;
    found all = scan(path, NULL, addr, from_ms);
    eg_predicate where = {0};
    CHECK(eg_predicate_range(&where, EG_COL_SRCADDR, addr, addr, false, NULL) == EG_OK);
    CHECK(eg_predicate_range(&where, EG_COL_START_MS, from_ms, INT64_MAX, false, NULL) == EG_OK);
    found some = scan(path, &where, addr, from_ms);
    eg_predicate_clear(&where);
    eg_shard_facts facts;
    eg_err err;
    if (!is_short(path))
        return 0;
    eg_status rc = eg_shard_verify(path, (eg_poll){0}, &facts, &err);
    if (rc == EG_OK && all.rc == EG_DONE && some.rc == EG_DONE) {
        CHECK(all.n_rows == facts.n_rows && some.n_rows <= all.n_rows);
        CHECK(some.n_passed == all.n_passed && some.sum == all.sum);
    }
    return 0;
}
