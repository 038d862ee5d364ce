/* Runs are short enough to be sorted between two looks at the host. */
#include "query/row_runs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/radix.h"
#include "flow/address_order.h"

#define RUN_ROWS (64u * EG_BATCH_ROWS)
#define MOST_BYTES (INT64_C(1) << 30)
#define SIGN (UINT64_C(1) << 63)

/* ---- keys --------------------------------------------------------------- */

bool eg_row_key_fits(eg_column col) {
    return eg_column_about(col)->kind != EG_KIND_TEXT;
}

eg_vector_set eg_row_keys_vectors(const eg_row_key *keys, size_t n_keys) {
    eg_vector_set set = 0;
    for (size_t k = 0; k < n_keys; k++)
        set |= eg_column_about(keys[k].column)->vectors;
    return set;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

/* The order of protocols by their texts, which all differ. */
static void place_protocols(uint8_t place[256]) {
    char names[256][EG_PROTO_TEXT_MAX], name[EG_PROTO_TEXT_MAX];
    for (int i = 0; i < 256; i++)
        eg_proto_format((uint8_t)i, names[i]);
    qsort(names, 256, sizeof names[0], compare_names);
    for (int i = 0; i < 256; i++) {
        eg_proto_format((uint8_t)i, name);
        const char(*at)[EG_PROTO_TEXT_MAX] =
            bsearch(name, names, 256, sizeof names[0], compare_names);
        place[i] = (uint8_t)(at - (const char(*)[EG_PROTO_TEXT_MAX])names);
    }
}

/* A number's word. No value is INT64_MIN, so that 0 is left for NULL. */
static uint64_t word_of(const eg_row_runs *r, eg_kind kind, int64_t number) {
    switch (kind) {
    case EG_KIND_IP4:
        number = eg_ip4_text_key((uint32_t)number);
        break;
    case EG_KIND_PROTO:
        number = r->place_of_protocol[(uint8_t)number];
        break;
    case EG_KIND_TIME: /* as texts have them */
        number = number < EG_TIME_MIN_MS   ? EG_TIME_MIN_MS
                 : number > EG_TIME_MAX_MS ? EG_TIME_MAX_MS
                                           : number;
        break;
    default:
        break;
    }
    return (uint64_t)number ^ SIGN;
}

static void put_words(eg_row_runs *r, size_t k, const eg_batch *b, uint32_t first, uint32_t n) {
    eg_column col = r->keys[k].column;
    eg_kind kind = eg_column_about(col)->kind;
    uint64_t *out = r->words[k] + r->n_rows, flip = r->keys[k].descends ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = b->sel[first + i];
        uint64_t word =
            eg_batch_is_null(b, col, row) ? 0 : word_of(r, kind, eg_batch_number(b, col, row));
        out[i] = word ^ flip;
    }
}

/* ---- gathering ---------------------------------------------------------- */

#define GATHER(name, type)                                                                         \
    static void name(void *to, const void *from, const uint32_t *rows, uint32_t n) {               \
        type *restrict out = to;                                                                   \
        const type *restrict in = from;                                                            \
        for (uint32_t i = 0; i < n; i++)                                                           \
            out[i] = in[rows[i]];                                                                  \
    }
GATHER(order_8, uint8_t)
GATHER(order_16, uint16_t)
GATHER(order_32, uint32_t)
GATHER(order_64, uint64_t)

static void put_part(eg_row_runs *r, size_t p, const eg_batch *b, uint32_t first, uint32_t n) {
    const eg_row_part *part = &r->parts[p];
    void *to = (uint8_t *)r->arrays[p] + r->n_rows * part->width;
    const uint16_t *rows = b->sel + first;
    if (part->vector == EG_N_VECTORS) {
        for (uint32_t i = 0; i < n; i++)
            ((int64_t *)to)[i] = eg_batch_row(b, rows[i]);
    } else if (part->vector > EG_N_VECTORS) {
        for (uint32_t i = 0; i < n; i++)
            ((eg_vector_set *)to)[i] = b->nulls != NULL ? b->nulls[rows[i]] : 0;
    } else {
        eg_pick_rows(to, eg_batch_array(b, part->vector), part->width, rows, n);
    }
}

/* ---- runs --------------------------------------------------------------- */

static size_t padded(size_t n_bytes) {
    return (n_bytes + 7) & ~(size_t)7;
}

size_t eg_row_block_bytes(const eg_row_runs *r, size_t n_parts, uint32_t n) {
    size_t n_bytes = r->n_keys * n * sizeof(uint64_t);
    for (size_t p = 0; p < n_parts; p++)
        n_bytes += padded(n * r->parts[p].width);
    return n_bytes;
}

/* Leaves in r->order the rows of the open run in order: stable sorts by 32 bits at a time, the
** least significant ones first. */
static void sort_run(eg_row_runs *r) {
    uint32_t n = r->n_rows;
    for (uint32_t i = 0; i < n; i++)
        r->order[i] = i;
    for (size_t k = r->n_keys; k-- > 0;)
        for (unsigned shift = 0; shift < 64; shift += 32) {
            const uint64_t *words = r->words[k];
            uint32_t differs = 0;
            for (uint32_t i = 1; i < n; i++)
                differs |= (uint32_t)(words[i] >> shift) ^ (uint32_t)(words[0] >> shift);
            if (differs == 0)
                continue;
            for (uint32_t i = 0; i < n; i++)
                r->sorted[i] = words[r->order[i]] >> shift << 32 | r->order[i];
            eg_radix_sort(&r->sorted, &r->spare, n, 32);
            for (uint32_t i = 0; i < n; i++)
                r->order[i] = (uint32_t)r->sorted[i];
        }
}

static void fill_block(const eg_row_runs *r, uint8_t *to, const uint32_t *rows, uint32_t n) {
    for (size_t k = 0; k < r->n_keys; k++) {
        order_64(to, r->words[k], rows, n);
        to += n * sizeof(uint64_t);
    }
    for (size_t p = 0; p < r->n_parts; p++) {
        size_t width = r->parts[p].width;
        if (width == 1)
            order_8(to, r->arrays[p], rows, n);
        else if (width == 2)
            order_16(to, r->arrays[p], rows, n);
        else if (width == 4)
            order_32(to, r->arrays[p], rows, n);
        else
            order_64(to, r->arrays[p], rows, n);
        to += padded(n * width);
    }
}

static size_t most_block_bytes(const eg_row_runs *r) {
    size_t n_bytes = eg_row_block_bytes(r, r->n_parts, EG_BATCH_ROWS);
    return n_bytes + (r->has_nulls ? 0 : EG_BATCH_ROWS * sizeof(eg_vector_set));
}

/* A temporary file that has no name. */
static eg_status open_file(eg_row_runs *r, eg_err *err) {
    const char *folders[] = {getenv("SQLITE_TMPDIR"), getenv("TMPDIR"), "/var/tmp", "/tmp"};
    char path[4096], text[128];
    for (size_t i = 0; r->fd < 0 && i < sizeof folders / sizeof folders[0]; i++) {
        if (folders[i] == NULL || folders[i][0] == '\0')
            continue;
        int n = snprintf(path, sizeof path, "%s/earlgrey-XXXXXX", folders[i]);
        if (n < (int)sizeof path && (r->fd = mkostemp(path, O_CLOEXEC)) >= 0)
            (void)unlink(path);
    }
    return r->fd >= 0 ? EG_OK
                      : eg_fail(err, EG_IO, -1, "a temporary file cannot be made: %s",
                                strerror_r(errno, text, sizeof text));
}

static eg_status write_block(eg_row_runs *r, const void *block, size_t n_bytes, eg_err *err) {
    char text[128];
    for (size_t at = 0; at < n_bytes;) {
        ssize_t n = pwrite(r->fd, (const uint8_t *)block + at, n_bytes - at, r->file_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return eg_fail(err, EG_IO, -1, "a temporary file cannot be written: %s",
                           n == 0 ? "no room" : strerror_r(errno, text, sizeof text));
        at += (size_t)n;
        r->file_bytes += n;
    }
    return EG_OK;
}

static eg_status need_run(eg_row_runs *r, eg_err *err) {
    if (r->n_runs < r->capacity)
        return EG_OK;
    size_t capacity = r->capacity > 0 ? 2 * r->capacity : 16;
    eg_row_run *runs = realloc(r->runs, capacity * sizeof *runs);
    if (runs == NULL)
        return eg_fail_nomem(err, "sorting rows");
    r->runs = runs;
    r->capacity = capacity;
    return EG_OK;
}

/* Sorts the open run and makes blocks of it. */
static eg_status close_run(eg_row_runs *r, eg_err *err) {
    uint32_t n_blocks = (r->n_rows + EG_BATCH_ROWS - 1) / EG_BATCH_ROWS;
    if (r->n_rows == 0)
        return EG_OK;
    eg_status rc = need_run(r, err);
    if (rc != EG_OK)
        return rc;
    eg_row_run *run = &r->runs[r->n_runs];
    *run = (eg_row_run){.n_rows = r->n_rows, .n_parts = r->n_parts, .offset = r->file_bytes};
    int64_t n_bytes = (int64_t)(eg_row_block_bytes(r, r->n_parts, EG_BATCH_ROWS) * n_blocks);
    bool is_kept = r->memory_bytes + n_bytes <= r->limit_bytes;
    if (is_kept && (run->blocks = calloc(n_blocks, sizeof *run->blocks)) == NULL)
        return eg_fail_nomem(err, "sorting rows");
    r->n_runs++;
    if (!is_kept && r->fd < 0)
        rc = open_file(r, err);
    if (rc == EG_OK && !is_kept && r->block == NULL &&
        (r->block = malloc(most_block_bytes(r))) == NULL)
        rc = eg_fail_nomem(err, "sorting rows");
    sort_run(r);
    for (uint32_t i = 0; rc == EG_OK && i < n_blocks; i++) {
        uint32_t first = i * EG_BATCH_ROWS, n = r->n_rows - first;
        n = n < EG_BATCH_ROWS ? n : EG_BATCH_ROWS;
        size_t block_bytes = eg_row_block_bytes(r, r->n_parts, n);
        void *block = r->block;
        if (is_kept && (block = run->blocks[i] = malloc(block_bytes)) == NULL)
            return eg_fail_nomem(err, "sorting rows");
        fill_block(r, block, r->order + first, n);
        if (is_kept)
            r->memory_bytes += (int64_t)block_bytes;
        else
            rc = write_block(r, block, block_bytes, err);
    }
    r->n_rows = 0;
    return rc;
}

/* Makes room for the bits of NULLs, of which the open run has had none. */
static eg_status add_nulls(eg_row_runs *r, eg_err *err) {
    eg_vector_set *bits = calloc(RUN_ROWS, sizeof *bits);
    if (bits == NULL)
        return eg_fail_nomem(err, "sorting rows");
    r->arrays[r->n_parts] = bits;
    r->parts[r->n_parts++] = (eg_row_part){(eg_vector)(EG_N_VECTORS + 1), sizeof *bits};
    r->has_nulls = true;
    return EG_OK;
}

eg_status eg_row_runs_add(eg_row_runs *r, const eg_batch *b, eg_err *err) {
    if (b->nulls != NULL && !r->has_nulls) {
        eg_status rc = add_nulls(r, err);
        if (rc != EG_OK)
            return rc;
    }
    for (uint32_t first = 0; first < b->n_sel;) {
        uint32_t n = b->n_sel - first, room = RUN_ROWS - r->n_rows;
        n = n < room ? n : room;
        for (size_t k = 0; k < r->n_keys; k++)
            put_words(r, k, b, first, n);
        for (size_t p = 0; p < r->n_parts; p++)
            put_part(r, p, b, first, n);
        r->n_rows += n;
        first += n;
        eg_status rc = r->n_rows == RUN_ROWS ? close_run(r, err) : EG_OK;
        if (rc != EG_OK)
            return rc;
    }
    return EG_OK;
}

static int64_t usual_limit(void) {
    int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    int64_t quarter = pages > 0 && page_bytes > 0 ? pages / 4 * page_bytes : MOST_BYTES;
    return quarter < MOST_BYTES ? quarter : MOST_BYTES;
}

eg_status eg_row_runs_open(eg_row_runs *r, const eg_row_key *keys, size_t n_keys,
                           eg_vector_set vectors, int64_t limit_bytes, eg_err *err) {
    memset(r, 0, sizeof *r);
    r->fd = -1;
    r->n_keys = n_keys;
    memcpy(r->keys, keys, n_keys * sizeof *keys);
    r->limit_bytes = limit_bytes >= 0 ? limit_bytes : usual_limit();
    place_protocols(r->place_of_protocol);
    for (int v = 0; v < EG_N_VECTORS; v++)
        if ((vectors & EG_VECTOR_BIT(v)) != 0)
            r->parts[r->n_parts++] = (eg_row_part){(eg_vector)v, eg_vector_width((eg_vector)v)};
    r->parts[r->n_parts++] = (eg_row_part){EG_N_VECTORS, sizeof(int64_t)};
    bool ok = (r->sorted = malloc(RUN_ROWS * sizeof *r->sorted)) != NULL &&
              (r->spare = malloc(RUN_ROWS * sizeof *r->spare)) != NULL &&
              (r->order = malloc(RUN_ROWS * sizeof *r->order)) != NULL;
    for (size_t k = 0; ok && k < n_keys; k++)
        ok = (r->words[k] = malloc(RUN_ROWS * sizeof *r->words[k])) != NULL;
    for (size_t p = 0; ok && p < r->n_parts; p++)
        ok = (r->arrays[p] = malloc(RUN_ROWS * r->parts[p].width)) != NULL;
    return ok ? EG_OK : eg_fail_nomem(err, "sorting rows");
}

static void free_open_run(eg_row_runs *r) {
    for (size_t k = 0; k < EG_ROW_MAX_KEYS; k++) {
        free(r->words[k]);
        r->words[k] = NULL;
    }
    for (size_t p = 0; p < EG_ROW_MAX_PARTS; p++) {
        free(r->arrays[p]);
        r->arrays[p] = NULL;
    }
    free(r->sorted);
    free(r->spare);
    free(r->order);
    free(r->block);
    r->sorted = r->spare = NULL;
    r->order = NULL;
    r->block = NULL;
}

eg_status eg_row_runs_finish(eg_row_runs *r, eg_err *err) {
    eg_status rc = close_run(r, err);
    free_open_run(r);
    return rc;
}

void eg_row_runs_close(eg_row_runs *r) {
    free_open_run(r);
    for (size_t i = 0; i < r->n_runs; i++) {
        uint32_t n_blocks = (r->runs[i].n_rows + EG_BATCH_ROWS - 1) / EG_BATCH_ROWS;
        for (uint32_t k = 0; r->runs[i].blocks != NULL && k < n_blocks; k++)
            free(r->runs[i].blocks[k]);
        free(r->runs[i].blocks);
    }
    free(r->runs);
    if (r->fd >= 0)
        close(r->fd);
    memset(r, 0, sizeof *r);
    r->fd = -1;
}
