#include "parquet/pq_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "parquet/pq_bloom.h"
#include "parquet/pq_encoding.h"

#define MAGIC_BYTES 4
#define TAIL_BYTES 8    /* footer length and magic */
#define SHORT_BYTES 100 /* most that a chunk's size may be too small */
#define NEAR_BYTES 8192 /* most between offset indexes that are read at once, or in one behind */

struct eg_pq_file {
    int fd;
    char *name;
    int64_t n_bytes;
    int64_t footer_off; /* where data ends and the footer starts */
    uint8_t *footer;    /* owned; the metadata's texts view it */
    eg_pq_arena arena;  /* of meta and columns */
    eg_pq_file_meta meta;
    eg_pq_column *columns; /* [n_columns] */
    uint32_t n_columns;
    bool is_short_by_header;      /* written by a program whose chunk sizes can be too small */
    _Atomic int64_t budget_bytes; /* what readers may still take */
};

/* ---- Reading */

eg_status eg_pq_file_read(const eg_pq_file *f, int64_t offset, void *out, size_t n, eg_err *err) {
    uint8_t *p = out;
    while (n > 0) {
        ssize_t got = pread(f->fd, p, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return eg_fail(err, EG_IO, offset, "%s: cannot read %zu bytes at byte %lld: %s",
                           f->name, n, (long long)offset, strerror(errno));
        if (got == 0)
            return eg_fail(err, EG_CORRUPT, offset,
                           "%s: the file ends at byte %lld; it had %lld bytes when it was opened",
                           f->name, (long long)offset, (long long)f->n_bytes);
        p += got;
        offset += got;
        n -= (size_t)got;
    }
    return EG_OK;
}

eg_status eg_pq_file_take(eg_pq_file *f, size_t n_bytes, eg_err *err) {
    if (n_bytes > INT64_MAX / 2 ||
        atomic_fetch_sub(&f->budget_bytes, (int64_t)n_bytes) < (int64_t)n_bytes) {
        if (n_bytes <= INT64_MAX / 2)
            atomic_fetch_add(&f->budget_bytes, (int64_t)n_bytes);
        return eg_fail(err, EG_LIMIT, -1,
                       "%s: pages claim more than %lld bytes of memory (16 times the file and "
                       "%lld MiB)",
                       f->name, (long long)(f->n_bytes * 16 + EG_PQ_FREE_BYTES),
                       (long long)(EG_PQ_FREE_BYTES >> 20));
    }
    return EG_OK;
}

void eg_pq_file_give(eg_pq_file *f, size_t n_bytes) {
    atomic_fetch_add(&f->budget_bytes, (int64_t)n_bytes);
}

/* ---- Schema */

static void set_int(eg_pq_column *c, int bits, bool is_signed) {
    /* An annotation that does not go with the physical type says nothing. */
    bool fits = c->type == EG_PQ_INT32   ? bits == 8 || bits == 16 || bits == 32
                : c->type == EG_PQ_INT64 ? bits == 64
                                         : false;
    if (!fits)
        return;
    c->logical = EG_PQ_LOGICAL_INT;
    c->bits = (int8_t)bits;
    c->is_signed = is_signed;
}

static void set_timestamp(eg_pq_column *c, int unit, bool is_utc) {
    c->logical = EG_PQ_LOGICAL_OTHER;
    if (c->type == EG_PQ_INT64 && unit >= EG_PQ_MILLIS && unit <= EG_PQ_NANOS) {
        c->logical = EG_PQ_LOGICAL_TIMESTAMP;
        c->unit = (eg_pq_unit)unit;
        c->is_utc = is_utc;
    }
}

static void set_decimal(eg_pq_column *c, int32_t scale, int32_t precision) {
    c->logical = EG_PQ_LOGICAL_DECIMAL;
    c->scale = scale;
    c->precision = precision;
}

static void set_converted(eg_pq_column *c, const eg_pq_schema_element *e) {
    int32_t v = e->converted;
    if (v == EG_PQ_CONVERTED_NONE)
        return;
    if (v == EG_PQ_CONVERTED_UTF8 && c->type == EG_PQ_BYTE_ARRAY)
        c->logical = EG_PQ_LOGICAL_STRING;
    else if (v == EG_PQ_CONVERTED_DECIMAL)
        set_decimal(c, e->scale, e->precision);
    else if (v == EG_PQ_CONVERTED_TIMESTAMP_MILLIS)
        set_timestamp(c, EG_PQ_MILLIS, true);
    else if (v == EG_PQ_CONVERTED_TIMESTAMP_MICROS)
        set_timestamp(c, EG_PQ_MICROS, true);
    else if (v >= EG_PQ_CONVERTED_UINT_8 && v <= EG_PQ_CONVERTED_UINT_64)
        set_int(c, 8 << (v - EG_PQ_CONVERTED_UINT_8), false);
    else if (v >= EG_PQ_CONVERTED_INT_8 && v <= EG_PQ_CONVERTED_INT_64)
        set_int(c, 8 << (v - EG_PQ_CONVERTED_INT_8), true);
    else
        c->logical = EG_PQ_LOGICAL_OTHER;
}

static void set_logical(eg_pq_column *c, const eg_pq_schema_element *e) {
    const eg_pq_logical_type *t = &e->logical;
    switch (t->id) {
    case EG_PQ_LOGICAL_ID_NONE:
        set_converted(c, e);
        break;
    case EG_PQ_LOGICAL_ID_STRING:
        c->logical = c->type == EG_PQ_BYTE_ARRAY ? EG_PQ_LOGICAL_STRING : EG_PQ_LOGICAL_OTHER;
        break;
    case EG_PQ_LOGICAL_ID_INTEGER:
        set_int(c, t->bits, t->is_signed);
        break;
    case EG_PQ_LOGICAL_ID_TIMESTAMP:
        set_timestamp(c, t->unit, t->is_utc);
        break;
    case EG_PQ_LOGICAL_ID_DECIMAL:
        set_decimal(c, t->scale, t->precision);
        break;
    default:
        c->logical = EG_PQ_LOGICAL_OTHER;
    }
}

static bool is_ordered(const eg_pq_column *c, const eg_pq_schema_element *e) {
    if (c->type == EG_PQ_INT96)
        return false;
    if (c->logical != EG_PQ_LOGICAL_OTHER)
        return true;
    /* Dates and times compare as their numbers; of others nothing is known. */
    int32_t id = e->logical.id;
    bool is_date_time = id == 6 || id == 7 || id == EG_PQ_LOGICAL_ID_TIMESTAMP ||
                        (id == 0 && e->converted >= 6 && e->converted <= 8);
    return (c->type == EG_PQ_INT32 || c->type == EG_PQ_INT64) && is_date_time;
}

static eg_status make_column(eg_pq_file *f, const eg_pq_schema_element *e, eg_pq_column *c,
                             eg_err *err) {
    void *name;
    eg_status rc = eg_pq_arena_take(&f->arena, (size_t)e->name.n_bytes + 1, 1, &name, err);
    if (rc != EG_OK)
        return rc;
    memcpy(name, e->name.data, e->name.n_bytes);
    c->name = name;
    c->name_bytes = e->name.n_bytes;
    if (!e->has_type || e->n_children != 0)
        return eg_fail(err, EG_UNSUPPORTED, f->footer_off,
                       "%s: column %s is nested (only flat files are read)", f->name, c->name);
    if (e->repetition == EG_PQ_REPEATED)
        return eg_fail(err, EG_UNSUPPORTED, f->footer_off,
                       "%s: column %s is repeated (only flat files are read)", f->name, c->name);
    if (e->repetition != EG_PQ_REQUIRED && e->repetition != EG_PQ_OPTIONAL)
        return eg_fail(err, EG_CORRUPT, f->footer_off,
                       "%s: column %s has repetition %d, expected 0 or 1", f->name, c->name,
                       (int)e->repetition);
    if (e->type < 0 || e->type >= EG_PQ_N_TYPES)
        return eg_fail(err, EG_CORRUPT, f->footer_off,
                       "%s: column %s has physical type %d, expected 0 to %d", f->name, c->name,
                       (int)e->type, EG_PQ_N_TYPES - 1);
    if (e->type == EG_PQ_FIXED && e->type_length < 1)
        return eg_fail(err, EG_CORRUPT, f->footer_off,
                       "%s: column %s has values of %d bytes, expected at least 1", f->name,
                       c->name, (int)e->type_length);
    c->type = (eg_pq_type)e->type;
    c->type_length = e->type == EG_PQ_FIXED ? e->type_length : 0;
    c->is_optional = e->repetition == EG_PQ_OPTIONAL;
    set_logical(c, e);
    c->has_order = is_ordered(c, e);
    return EG_OK;
}

static eg_status make_columns(eg_pq_file *f, eg_err *err) {
    const eg_pq_file_meta *m = &f->meta;
    void *columns;
    if (m->n_schema == 0)
        return eg_fail(err, EG_CORRUPT, f->footer_off, "%s: the schema is empty", f->name);
    f->n_columns = m->n_schema - 1;
    eg_status rc = eg_pq_arena_take(&f->arena, f->n_columns, sizeof *f->columns, &columns, err);
    f->columns = columns;
    for (uint32_t i = 0; rc == EG_OK && i < f->n_columns; i++)
        rc = make_column(f, &m->schema[i + 1], &f->columns[i], err);
    if (rc == EG_OK && m->schema[0].n_children != (int64_t)f->n_columns)
        rc = eg_fail(err, EG_CORRUPT, f->footer_off,
                     "%s: the schema's root has %d children, but %u columns follow", f->name,
                     (int)m->schema[0].n_children, f->n_columns);
    return rc;
}

/* ---- Row groups */

static bool is_inside(const eg_pq_file *f, int64_t offset, int64_t n_bytes) {
    return offset >= MAGIC_BYTES && n_bytes >= 0 && offset <= f->footer_off &&
           n_bytes <= f->footer_off - offset;
}

static int64_t chunk_start(const eg_pq_chunk *k) {
    return k->dictionary_page_offset > 0 && k->dictionary_page_offset < k->data_page_offset
               ? k->dictionary_page_offset
               : k->data_page_offset;
}

static eg_status check_chunk(const eg_pq_file *f, uint32_t g, uint32_t i, eg_err *err) {
    const eg_pq_chunk *k = &f->meta.row_groups[g].chunks[i];
    const eg_pq_column *c = &f->columns[i];
    int64_t num_rows = f->meta.row_groups[g].num_rows;
    if (k->is_encrypted)
        return eg_fail(err, EG_UNSUPPORTED, f->footer_off, "%s: column %s is encrypted", f->name,
                       c->name);
    if (k->file_path.data != NULL && k->file_path.n_bytes > 0)
        return eg_fail(err, EG_UNSUPPORTED, f->footer_off,
                       "%s: column %s, row group %u: its data is in another file", f->name, c->name,
                       g);
    if (k->type != (int32_t)c->type)
        return eg_fail(err, EG_CORRUPT, f->footer_off,
                       "%s: column %s, row group %u: type %s, but %s in the schema", f->name,
                       c->name, g, eg_pq_type_name(k->type), eg_pq_type_name(c->type));
    if (k->n_path != 1 || k->path[0].n_bytes != c->name_bytes ||
        memcmp(k->path[0].data, c->name, c->name_bytes) != 0)
        return eg_fail(err, EG_CORRUPT, f->footer_off,
                       "%s: column %s, row group %u: the chunk is of another column", f->name,
                       c->name, g);
    if (k->num_values != num_rows)
        return eg_fail(err, EG_CORRUPT, f->footer_off,
                       "%s: column %s, row group %u: %lld values, but the row group has %lld rows",
                       f->name, c->name, g, (long long)k->num_values, (long long)num_rows);
    if (num_rows > 0 && !is_inside(f, chunk_start(k), k->total_compressed_bytes))
        return eg_fail(err, EG_CORRUPT, f->footer_off,
                       "%s: column %s, row group %u: %lld bytes at byte %lld, but data ends at "
                       "byte %lld",
                       f->name, c->name, g, (long long)k->total_compressed_bytes,
                       (long long)chunk_start(k), (long long)f->footer_off);
    return EG_OK;
}

static eg_status check_row_groups(const eg_pq_file *f, eg_err *err) {
    const eg_pq_file_meta *m = &f->meta;
    int64_t rows = 0;
    for (uint32_t g = 0; g < m->n_row_groups; g++) {
        const eg_pq_row_group *group = &m->row_groups[g];
        if (group->num_rows < 0 || __builtin_add_overflow(rows, group->num_rows, &rows))
            return eg_fail(err, EG_CORRUPT, f->footer_off, "%s: row group %u has %lld rows",
                           f->name, g, (long long)group->num_rows);
        if (group->n_chunks != f->n_columns)
            return eg_fail(err, EG_CORRUPT, f->footer_off,
                           "%s: row group %u has %u column chunks, but there are %u columns",
                           f->name, g, group->n_chunks, f->n_columns);
        for (uint32_t i = 0; i < f->n_columns; i++) {
            eg_status rc = check_chunk(f, g, i, err);
            if (rc != EG_OK)
                return rc;
        }
    }
    if (m->is_encrypted)
        return eg_fail(err, EG_UNSUPPORTED, f->footer_off, "%s: the file is encrypted", f->name);
    if (rows != m->num_rows)
        return eg_fail(err, EG_CORRUPT, f->footer_off,
                       "%s: the row groups have %lld rows, but the footer says %lld", f->name,
                       (long long)rows, (long long)m->num_rows);
    return EG_OK;
}

/* ---- Opening */

static eg_status read_footer(eg_pq_file *f, eg_err *err) {
    uint8_t head[MAGIC_BYTES], tail[TAIL_BYTES];
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return eg_fail(err, EG_IO, -1, "%s: %s", f->name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return eg_fail(err, EG_IO, -1, "%s: not a regular file", f->name);
    f->n_bytes = st.st_size;
    if (f->n_bytes < MAGIC_BYTES + TAIL_BYTES)
        return eg_fail(err, EG_CORRUPT, 0,
                       "%s: not a Parquet file: %lld bytes, the shortest has %d", f->name,
                       (long long)f->n_bytes, MAGIC_BYTES + TAIL_BYTES);
    eg_status rc = eg_pq_file_read(f, 0, head, sizeof head, err);
    if (rc == EG_OK)
        rc = eg_pq_file_read(f, f->n_bytes - TAIL_BYTES, tail, sizeof tail, err);
    if (rc != EG_OK)
        return rc;
    if (memcmp(tail + 4, "PARE", 4) == 0 || memcmp(head, "PARE", 4) == 0)
        return eg_fail(err, EG_UNSUPPORTED, 0, "%s: the file is encrypted", f->name);
    if (memcmp(head, "PAR1", 4) != 0)
        return eg_fail(err, EG_CORRUPT, 0, "%s: not a Parquet file: it does not start with PAR1",
                       f->name);
    if (memcmp(tail + 4, "PAR1", 4) != 0)
        return eg_fail(err, EG_CORRUPT, f->n_bytes - 4,
                       "%s: cut or not a Parquet file: it does not end with PAR1", f->name);
    int64_t n_footer = eg_le32(tail), n_room = f->n_bytes - MAGIC_BYTES - TAIL_BYTES;
    if (n_footer > n_room)
        return eg_fail(err, EG_CORRUPT, f->n_bytes - TAIL_BYTES,
                       "%s: a footer of %lld bytes, but the file has room for %lld", f->name,
                       (long long)n_footer, (long long)n_room);
    f->footer_off = f->n_bytes - TAIL_BYTES - n_footer;
    f->footer = malloc(n_footer > 0 ? (size_t)n_footer : 1);
    if (f->footer == NULL)
        return eg_fail_nomem(err, "a Parquet footer");
    rc = eg_pq_file_read(f, f->footer_off, f->footer, (size_t)n_footer, err);
    if (rc != EG_OK)
        return rc;
    f->arena.budget_bytes = 16 * (size_t)n_footer + ((size_t)1 << 20);
    f->budget_bytes =
        f->n_bytes > INT64_MAX / 32 ? INT64_MAX / 2 : f->n_bytes * 16 + EG_PQ_FREE_BYTES;
    eg_pq_thrift r;
    eg_pq_thrift_init(&r, f->footer, (size_t)n_footer, f->name, "footer", f->footer_off, err);
    rc = eg_pq_decode_file_meta(&r, &f->arena, &f->meta);
    f->is_short_by_header =
        f->meta.created_by.n_bytes >= 10 && memcmp(f->meta.created_by.data, "parquet-mr", 10) == 0;
    return rc;
}

eg_status eg_pq_file_open_fd(int fd, const char *name, eg_pq_file **out, eg_err *err) {
    *out = NULL;
    eg_pq_file *f = calloc(1, sizeof *f);
    char *own_name = strdup(name);
    if (f == NULL || own_name == NULL) {
        free(f);
        free(own_name);
        close(fd);
        return eg_fail_nomem(err, "a Parquet file");
    }
    f->fd = fd;
    f->name = own_name;
    eg_status rc = read_footer(f, err);
    if (rc == EG_OK)
        rc = make_columns(f, err);
    if (rc == EG_OK)
        rc = check_row_groups(f, err);
    if (rc == EG_OK)
        *out = f;
    else
        eg_pq_file_close(f);
    return rc;
}

eg_status eg_pq_file_open(const char *path, eg_pq_file **out, eg_err *err) {
    *out = NULL;
    /* Without O_NONBLOCK opening a pipe would wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return eg_fail(err, EG_IO, -1, "%s: %s", path, strerror(errno));
    return eg_pq_file_open_fd(fd, path, out, err);
}

void eg_pq_file_close(eg_pq_file *f) {
    if (f == NULL)
        return;
    close(f->fd);
    eg_pq_arena_free(&f->arena);
    free(f->footer);
    free(f->name);
    free(f);
}

/* ---- What the footer says */

const char *eg_pq_file_name(const eg_pq_file *f) {
    return f->name;
}

int64_t eg_pq_file_bytes(const eg_pq_file *f) {
    return f->n_bytes;
}

int64_t eg_pq_file_opening_bytes(const eg_pq_file *f) {
    return MAGIC_BYTES + f->n_bytes - f->footer_off;
}

int64_t eg_pq_file_rows(const eg_pq_file *f) {
    return f->meta.num_rows;
}

uint32_t eg_pq_file_columns(const eg_pq_file *f) {
    return f->n_columns;
}

uint32_t eg_pq_file_row_groups(const eg_pq_file *f) {
    return f->meta.n_row_groups;
}

const eg_pq_column *eg_pq_file_column(const eg_pq_file *f, uint32_t column) {
    return &f->columns[column];
}

const eg_pq_row_group *eg_pq_file_row_group(const eg_pq_file *f, uint32_t row_group) {
    return &f->meta.row_groups[row_group];
}

const eg_pq_chunk *eg_pq_file_chunk(const eg_pq_file *f, uint32_t row_group, uint32_t column) {
    return &f->meta.row_groups[row_group].chunks[column];
}

int64_t eg_pq_file_find(const eg_pq_file *f, const char *name, size_t n_bytes) {
    for (uint32_t i = 0; i < f->n_columns; i++) {
        if (f->columns[i].name_bytes == n_bytes && memcmp(f->columns[i].name, name, n_bytes) == 0)
            return i;
    }
    return -1;
}

eg_pq_bytes eg_pq_file_created_by(const eg_pq_file *f) {
    return f->meta.created_by;
}

static bool find_value(const eg_pq_key_value *all, uint32_t n, const char *key, eg_pq_bytes *out) {
    size_t n_bytes = strlen(key);
    for (uint32_t i = 0; i < n; i++)
        if (all[i].key.n_bytes == n_bytes && memcmp(all[i].key.data, key, n_bytes) == 0) {
            *out = all[i].value;
            return true;
        }
    return false;
}

bool eg_pq_file_value(const eg_pq_file *f, const char *key, eg_pq_bytes *out) {
    return find_value(f->meta.key_values, f->meta.n_key_values, key, out);
}

bool eg_pq_chunk_value(const eg_pq_chunk *k, const char *key, eg_pq_bytes *out) {
    return find_value(k->key_values, k->n_key_values, key, out);
}

eg_status eg_pq_chunk_fail(const eg_pq_file *f, uint32_t row_group, uint32_t column, eg_status code,
                           int64_t offset, const char *what, eg_err *err) {
    return eg_fail(err, code, offset, "%s: column %s, row group %u: %s", f->name,
                   f->columns[column].name, row_group, what);
}

void eg_pq_file_chunk_range(const eg_pq_file *f, uint32_t row_group, uint32_t column,
                            int64_t *start, int64_t *end) {
    const eg_pq_chunk *k = eg_pq_file_chunk(f, row_group, column);
    *start = *end = MAGIC_BYTES;
    if (k->num_values > 0) {
        *start = chunk_start(k);
        *end = *start + k->total_compressed_bytes;
        /* Old parquet-mr left the dictionary's page header out of the size. Pages end
        ** with the chunk's number of values, so that a few bytes more do no harm. */
        if (f->is_short_by_header)
            *end = f->footer_off - *end < SHORT_BYTES ? f->footer_off : *end + SHORT_BYTES;
    }
}

/* ---- Bounds */

static int compare_signed_bytes(eg_pq_bytes a, eg_pq_bytes b) {
    /* Two's complement, big endian, of any length: leading sign bytes say nothing. */
    uint8_t fill_a = a.n_bytes > 0 && a.data[0] >= 0x80 ? 0xff : 0;
    uint8_t fill_b = b.n_bytes > 0 && b.data[0] >= 0x80 ? 0xff : 0;
    if (fill_a != fill_b)
        return fill_a != 0 ? -1 : 1;
    uint32_t n = a.n_bytes > b.n_bytes ? a.n_bytes : b.n_bytes;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t x = i + a.n_bytes >= n ? a.data[i + a.n_bytes - n] : fill_a;
        uint8_t y = i + b.n_bytes >= n ? b.data[i + b.n_bytes - n] : fill_b;
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

static double load_real(eg_pq_type type, const uint8_t *p) {
    if (type == EG_PQ_FLOAT) {
        uint32_t bits = eg_le32(p);
        float v;
        memcpy(&v, &bits, sizeof v);
        return (double)v;
    }
    uint64_t bits = eg_le64(p);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

int eg_pq_column_compare(const eg_pq_column *c, eg_pq_bytes a, eg_pq_bytes b) {
    bool is_unsigned = c->logical == EG_PQ_LOGICAL_INT && !c->is_signed;
    switch (c->type) {
    case EG_PQ_BOOLEAN:
        return (a.data[0] & 1) - (b.data[0] & 1);
    case EG_PQ_INT32:
    case EG_PQ_INT64: {
        bool is_64 = c->type == EG_PQ_INT64;
        uint64_t x = is_64 ? eg_le64(a.data) : eg_le32(a.data);
        uint64_t y = is_64 ? eg_le64(b.data) : eg_le32(b.data);
        if (!is_unsigned) { /* the sign bit the other way round sorts as unsigned */
            x ^= UINT64_C(1) << (is_64 ? 63 : 31);
            y ^= UINT64_C(1) << (is_64 ? 63 : 31);
        }
        return (x > y) - (x < y);
    }
    case EG_PQ_FLOAT:
    case EG_PQ_DOUBLE: {
        double x = load_real(c->type, a.data), y = load_real(c->type, b.data);
        return (x > y) - (x < y);
    }
    default:
        return c->logical == EG_PQ_LOGICAL_DECIMAL
                   ? compare_signed_bytes(a, b)
                   : eg_bytes_compare(a.data, a.n_bytes, b.data, b.n_bytes);
    }
}

static bool is_bound(const eg_pq_column *c, eg_pq_bytes v) {
    if (v.data == NULL)
        return false;
    size_t n = c->type == EG_PQ_BOOLEAN ? 1 : eg_pq_plain_bytes(c->type, c->type_length);
    if (n != 0 && v.n_bytes != n)
        return false;
    if (c->type == EG_PQ_FLOAT || c->type == EG_PQ_DOUBLE) {
        double real = load_real(c->type, v.data);
        return real == real;
    }
    return true;
}

static bool has_type_order(const eg_pq_file *f, uint32_t column) {
    return column < f->meta.n_column_orders && f->meta.has_type_order[column];
}

/* Takes over a pair of bounds where they are what the column's order says. */
static void set_bounds(const eg_pq_column *c, eg_pq_bytes min, eg_pq_bytes max, eg_pq_bounds *out) {
    if (!c->has_order)
        return;
    out->has_min = is_bound(c, min);
    out->has_max = is_bound(c, max);
    if (out->has_min && out->has_max && eg_pq_column_compare(c, min, max) > 0)
        out->has_min = out->has_max = false;
    out->min = min;
    out->max = max;
}

void eg_pq_file_bounds(const eg_pq_file *f, uint32_t row_group, uint32_t column,
                       eg_pq_bounds *out) {
    const eg_pq_chunk *k = eg_pq_file_chunk(f, row_group, column);
    const eg_pq_statistics *s = &k->statistics;
    const eg_pq_column *c = &f->columns[column];
    memset(out, 0, sizeof *out);
    out->null_count = s->null_count >= 0 && s->null_count <= k->num_values ? s->null_count : -1;
    if (has_type_order(f, column) && (s->min_value.data != NULL || s->max_value.data != NULL)) {
        set_bounds(c, s->min_value, s->max_value, out);
        out->is_min_exact = s->min_exact == 1;
        out->is_max_exact = s->max_exact == 1;
        return;
    }
    bool is_number = c->type == EG_PQ_INT32 || c->type == EG_PQ_INT64 || c->type == EG_PQ_FLOAT ||
                     c->type == EG_PQ_DOUBLE;
    if (is_number && (c->logical != EG_PQ_LOGICAL_INT || c->is_signed))
        set_bounds(c, s->min, s->max, out);
}

bool eg_pq_file_all_dictionary(const eg_pq_file *f, uint32_t row_group, uint32_t column) {
    const eg_pq_chunk *k = eg_pq_file_chunk(f, row_group, column);
    bool has_data = false;
    for (uint32_t i = 0; i < k->n_encoding_stats; i++) {
        const eg_pq_encoding_stats *s = &k->encoding_stats[i];
        bool is_data = s->page_type == EG_PQ_DATA_PAGE || s->page_type == EG_PQ_DATA_PAGE_V2;
        bool is_dictionary =
            s->encoding == EG_PQ_RLE_DICTIONARY || s->encoding == EG_PQ_PLAIN_DICTIONARY;
        if (is_data && s->n_pages > 0 && !is_dictionary)
            return false;
        has_data = has_data || (is_data && s->n_pages > 0);
    }
    return has_data;
}

/* ---- Page index */

static eg_status bad_index(const eg_pq_file *f, uint32_t g, uint32_t column, const char *what,
                           int64_t found, eg_err *err) {
    return eg_fail(err, EG_CORRUPT, -1, "%s: column %s, row group %u: page index: %s (%lld)",
                   f->name, f->columns[column].name, g, what, (long long)found);
}

/* Reads a piece of the file that the footer points to into a block of its own, NULL on failure. */
static eg_status read_piece(const eg_pq_file *f, uint32_t g, uint32_t column, int64_t offset,
                            int64_t n, uint8_t **out, eg_err *err) {
    *out = NULL;
    if (n <= 0 || !is_inside(f, offset, n))
        return bad_index(f, g, column, "it is not inside the file", offset, err);
    *out = malloc((size_t)n);
    if (*out == NULL)
        return eg_fail_nomem(err, "a page index");
    eg_status rc = eg_pq_file_read(f, offset, *out, (size_t)n, err);
    if (rc != EG_OK) {
        free(*out);
        *out = NULL;
    }
    return rc;
}

static eg_status take_locations(const eg_pq_file *f, uint32_t g, uint32_t column,
                                const eg_pq_offset_index *x, eg_pq_index *out, eg_err *err) {
    int64_t start, end, num_rows = f->meta.row_groups[g].num_rows;
    eg_pq_file_chunk_range(f, g, column, &start, &end);
    if (x->n_pages == 0 && num_rows > 0)
        return bad_index(f, g, column, "it has no pages for the rows", num_rows, err);
    out->pages = malloc(((size_t)x->n_pages + 1) * sizeof *out->pages);
    if (out->pages == NULL)
        return eg_fail_nomem(err, "a page index");
    out->n_pages = x->n_pages;
    for (uint32_t i = 0; i < x->n_pages; i++) {
        const eg_pq_page_location *p = &x->pages[i];
        int64_t next_row = i + 1 < x->n_pages ? x->pages[i + 1].first_row : num_rows;
        if (p->compressed_bytes <= 0 || p->offset < start || p->offset > end ||
            p->compressed_bytes > end - p->offset)
            return bad_index(f, g, column, "a page is not inside its chunk", p->offset, err);
        start = p->offset + p->compressed_bytes;
        if (p->first_row < 0 || p->first_row > next_row || (i == 0 && p->first_row != 0))
            return bad_index(f, g, column, "first rows are not in order", p->first_row, err);
        out->pages[i] = (eg_pq_index_page){.offset = p->offset,
                                           .first_row = p->first_row,
                                           .n_rows = next_row - p->first_row,
                                           .compressed_bytes = p->compressed_bytes};
    }
    return EG_OK;
}

static eg_status take_bounds(const eg_pq_file *f, uint32_t g, uint32_t column,
                             const eg_pq_column_index *x, eg_pq_index *out, eg_err *err) {
    if (x->n_pages != out->n_pages)
        return bad_index(f, g, column, "column and offset index differ in pages", x->n_pages, err);
    out->bounds = calloc((size_t)x->n_pages + 1, sizeof *out->bounds);
    if (out->bounds == NULL)
        return eg_fail_nomem(err, "a page index");
    for (uint32_t i = 0; i < x->n_pages; i++) {
        eg_pq_index_bounds *b = &out->bounds[i];
        int64_t nulls = x->null_counts != NULL ? x->null_counts[i] : -1;
        b->bounds.null_count = nulls >= 0 && nulls <= out->pages[i].n_rows ? nulls : -1;
        b->is_null_page = x->is_null_page[i];
        if (!b->is_null_page && has_type_order(f, column))
            set_bounds(&f->columns[column], x->min_values[i], x->max_values[i], &b->bounds);
    }
    return EG_OK;
}

/* Decodes an offset index. */
static eg_status read_places(const eg_pq_file *f, uint32_t row_group, uint32_t column,
                             const uint8_t *raw, eg_pq_index *out, eg_err *err) {
    const eg_pq_chunk *k = eg_pq_file_chunk(f, row_group, column);
    eg_pq_arena arena = {.budget_bytes = 16 * (size_t)k->offset_index_length + ((size_t)1 << 20)};
    eg_pq_thrift r;
    eg_pq_offset_index offsets;
    eg_pq_thrift_init(&r, raw, (size_t)k->offset_index_length, f->name, "offset index",
                      k->offset_index_offset, err);
    eg_status rc = eg_pq_decode_offset_index(&r, &arena, &offsets);
    if (rc == EG_OK)
        rc = take_locations(f, row_group, column, &offsets, out, err);
    eg_pq_arena_free(&arena);
    return rc;
}

/* The end of what is read at once from the offset index of the first of n columns on: those of the
** others, as far as each stands near behind the one before. */
static int64_t end_of_near(const eg_pq_file *f, uint32_t row_group, const uint32_t *columns,
                           size_t n) {
    const eg_pq_chunk *k = eg_pq_file_chunk(f, row_group, columns[0]);
    int64_t end = k->offset_index_offset + k->offset_index_length;
    for (size_t i = 1; i < n; i++) {
        k = eg_pq_file_chunk(f, row_group, columns[i]);
        int64_t from = k->offset_index_offset, n_bytes = k->offset_index_length;
        if (from >= end && from - end <= NEAR_BYTES && n_bytes > 0 && n_bytes <= NEAR_BYTES &&
            is_inside(f, from, n_bytes))
            end = from + n_bytes;
    }
    return end;
}

eg_status eg_pq_index_places(eg_pq_file *f, uint32_t row_group, const uint32_t *columns,
                             eg_pq_index *const *outs, size_t n, int64_t *bytes_read, eg_err *err) {
    uint8_t *raw = NULL;
    int64_t start = 0, end = 0; /* what is in it */
    eg_status rc = EG_OK;
    *bytes_read = 0;
    for (size_t i = 0; i < n; i++)
        memset(outs[i], 0, sizeof *outs[i]);
    for (size_t i = 0; i < n && rc == EG_OK; i++) {
        const eg_pq_chunk *k = eg_pq_file_chunk(f, row_group, columns[i]);
        int64_t from = k->offset_index_offset;
        if (from == 0)
            continue;
        bool is_there = k->offset_index_length > 0 && is_inside(f, from, k->offset_index_length);
        if (!is_there || from < start || from + k->offset_index_length > end) {
            int64_t n_bytes = is_there ? end_of_near(f, row_group, columns + i, n - i) - from : 0;
            free(raw);
            rc = read_piece(f, row_group, columns[i], from, n_bytes, &raw, err);
            start = from;
            end = from + n_bytes;
            *bytes_read += rc == EG_OK ? n_bytes : 0;
        }
        if (rc == EG_OK)
            rc = read_places(f, row_group, columns[i], raw + (from - start), outs[i], err);
    }
    free(raw);
    for (size_t i = 0; i < n && rc != EG_OK; i++)
        eg_pq_index_close(outs[i]);
    return rc;
}

/* Reads the column index of a chunk whose pages' places were read. */
static eg_status read_bounds(eg_pq_file *f, uint32_t row_group, uint32_t column, eg_pq_index *out,
                             eg_err *err) {
    const eg_pq_chunk *k = eg_pq_file_chunk(f, row_group, column);
    eg_pq_thrift r;
    eg_pq_column_index bounds;
    eg_status rc = read_piece(f, row_group, column, k->column_index_offset, k->column_index_length,
                              &out->raw, err);
    if (rc != EG_OK)
        return rc;
    eg_pq_arena arena = {.budget_bytes = 16 * (size_t)k->column_index_length + ((size_t)1 << 20)};
    eg_pq_thrift_init(&r, out->raw, (size_t)k->column_index_length, f->name, "column index",
                      k->column_index_offset, err);
    rc = eg_pq_decode_column_index(&r, &arena, &bounds);
    if (rc == EG_OK)
        rc = take_bounds(f, row_group, column, &bounds, out, err);
    eg_pq_arena_free(&arena);
    return rc;
}

eg_status eg_pq_index_open(eg_pq_file *f, uint32_t row_group, uint32_t column, eg_pq_index *out,
                           eg_err *err) {
    const eg_pq_chunk *k = eg_pq_file_chunk(f, row_group, column);
    int64_t n_read;
    eg_status rc = eg_pq_index_places(f, row_group, &column, &out, 1, &n_read, err);
    if (rc == EG_OK && k->offset_index_offset == 0)
        return EG_DONE;
    if (rc == EG_OK && k->column_index_offset != 0)
        rc = read_bounds(f, row_group, column, out, err);
    if (rc != EG_OK)
        eg_pq_index_close(out);
    return rc;
}

void eg_pq_index_close(eg_pq_index *x) {
    free(x->pages);
    free(x->bounds);
    free(x->raw);
    memset(x, 0, sizeof *x);
}

/* ---- Bloom filters */

eg_status eg_pq_bloom_find(eg_pq_file *f, uint32_t row_group, uint32_t column, eg_pq_bloom *out,
                           eg_err *err) {
    const eg_pq_chunk *k = eg_pq_file_chunk(f, row_group, column);
    uint8_t head[128]; /* a header is about 16 bytes */
    memset(out, 0, sizeof *out);
    if (k->bloom_filter_offset == 0)
        return EG_DONE;
    if (!is_inside(f, k->bloom_filter_offset, 0))
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, k->bloom_filter_offset,
                                "Bloom filter outside of the file", err);
    int64_t n_room = f->footer_off - k->bloom_filter_offset;
    size_t n_head = n_room < (int64_t)sizeof head ? (size_t)n_room : sizeof head;
    eg_status rc = eg_pq_file_read(f, k->bloom_filter_offset, head, n_head, err);
    if (rc != EG_OK)
        return rc;
    eg_pq_thrift r;
    eg_pq_bloom_header h;
    eg_pq_thrift_init(&r, head, n_head, f->name, "Bloom filter header", k->bloom_filter_offset,
                      err);
    if ((rc = eg_pq_decode_bloom_header(&r, &h)) != EG_OK)
        return rc;
    if (!h.is_split_block)
        return EG_DONE;
    if (h.n_bytes < EG_PQ_BLOOM_BLOCK || h.n_bytes % EG_PQ_BLOOM_BLOCK != 0 ||
        h.n_bytes > n_room - (int64_t)r.pos)
        return eg_fail(err, EG_CORRUPT, k->bloom_filter_offset,
                       "%s: column %s, row group %u: Bloom filter of %d bytes", f->name,
                       f->columns[column].name, row_group, (int)h.n_bytes);
    *out = (eg_pq_bloom){.file = f,
                         .offset = k->bloom_filter_offset + (int64_t)r.pos,
                         .n_blocks = (uint32_t)h.n_bytes / EG_PQ_BLOOM_BLOCK};
    return EG_OK;
}

eg_status eg_pq_bloom_probe(const eg_pq_bloom *b, const void *bytes, size_t n_bytes, bool *maybe,
                            eg_err *err) {
    uint8_t block[EG_PQ_BLOOM_BLOCK];
    uint64_t hash = eg_pq_bloom_hash(bytes, n_bytes);
    int64_t at = (int64_t)eg_pq_bloom_block(hash, b->n_blocks) * EG_PQ_BLOOM_BLOCK;
    eg_status rc = eg_pq_file_read(b->file, b->offset + at, block, sizeof block, err);
    *maybe = rc != EG_OK || eg_pq_bloom_test(block, hash);
    return rc;
}
