/*
** Prints the rows of a flat Parquet file as JSON lines: the column names, then one
** array per row. Texts that are UTF-8 are strings, other bytes {"hex": …}, INT96
** and FIXED always hex, decimals unscaled, not-a-number and infinities strings.
** For tests/interop/parquet_testing.py.
**
**   pq_dump FILE            exit status 0; or 1 and the error on stderr
**   pq_dump --rows N FILE   the same with slices of N rows (default 4096)
*/
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/pq_reader.h"

typedef struct cursor {
    eg_pq_reader *reader;
    eg_pq_vector v;
    uint32_t at; /* next row of v */
} cursor;

static void print_hex(eg_pq_bytes b) {
    fputs("{\"hex\": \"", stdout);
    for (uint32_t i = 0; i < b.n_bytes; i++)
        printf("%02x", b.data[i]);
    fputs("\"}", stdout);
}

/* Bytes of the UTF-8 character at p, 0 where there is none. */
static uint32_t utf8_length(const uint8_t *p, uint32_t n) {
    uint32_t need = p[0] < 0x80                   ? 1
                    : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                    : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                    : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                  : 0;
    if (need == 0 || need > n)
        return 0;
    for (uint32_t i = 1; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))
        return 0;
    return need;
}

static void print_text(eg_pq_bytes b) {
    for (uint32_t i = 0, n; i < b.n_bytes; i += n) {
        if ((n = utf8_length(b.data + i, b.n_bytes - i)) == 0) {
            print_hex(b);
            return;
        }
    }
    putchar('"');
    for (uint32_t i = 0; i < b.n_bytes; i++) {
        uint8_t c = b.data[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_real(double v) {
    if (isnan(v))
        fputs("\"nan\"", stdout);
    else if (isinf(v))
        fputs(v < 0 ? "\"-inf\"" : "\"inf\"", stdout);
    else
        printf("%.17g", v);
}

/* One value of an array of the column's type. */
static void print_value(const eg_pq_column *c, const void *values, uint32_t i) {
    switch (c->type) {
    case EG_PQ_BOOLEAN:
        fputs(((const uint8_t *)values)[i] != 0 ? "true" : "false", stdout);
        break;
    case EG_PQ_INT32:
        if (c->logical == EG_PQ_LOGICAL_INT && !c->is_signed)
            printf("%" PRIu32, (uint32_t)((const int32_t *)values)[i]);
        else
            printf("%" PRId32, ((const int32_t *)values)[i]);
        break;
    case EG_PQ_INT64:
        printf("%" PRId64, ((const int64_t *)values)[i]);
        break;
    case EG_PQ_FLOAT:
        print_real((double)((const float *)values)[i]);
        break;
    case EG_PQ_DOUBLE:
        print_real(((const double *)values)[i]);
        break;
    case EG_PQ_BYTE_ARRAY:
        print_text(((const eg_pq_bytes *)values)[i]);
        break;
    default:
        print_hex(((const eg_pq_bytes *)values)[i]);
    }
}

static eg_status print_cell(cursor *k, const eg_pq_column *c, uint32_t max_rows, eg_err *err) {
    if (k->at == k->v.n_rows) {
        eg_status rc = eg_pq_reader_next(k->reader, max_rows, &k->v, err);
        if (rc != EG_OK)
            return rc;
        k->at = 0;
    }
    uint32_t i = k->at++;
    if (k->v.valid != NULL && k->v.valid[i] == 0) {
        fputs("null", stdout);
    } else if (k->v.has_codes) {
        const eg_pq_dictionary *d;
        eg_status rc = eg_pq_reader_dictionary(k->reader, &d, err);
        if (rc != EG_OK)
            return rc;
        print_value(c, d->values.any, k->v.values.codes[i]);
    } else {
        print_value(c, k->v.values.any, i);
    }
    return EG_OK;
}

static eg_status print_row_group(eg_pq_file *f, uint32_t group, cursor *cursors, eg_pq_codec *codec,
                                 uint32_t max_rows, eg_err *err) {
    uint32_t n_columns = eg_pq_file_columns(f);
    eg_status rc = EG_OK;
    for (uint32_t i = 0; rc == EG_OK && i < n_columns; i++) {
        rc = cursors[i].reader == NULL
                 ? eg_pq_reader_open(f, group, i, codec, &cursors[i].reader, err)
                 : eg_pq_reader_restart(cursors[i].reader, f, group, i, err);
        cursors[i].at = cursors[i].v.n_rows = 0;
    }
    int64_t n_rows = eg_pq_file_row_group(f, group)->num_rows;
    for (int64_t row = 0; rc == EG_OK && row < n_rows; row++) {
        putchar('[');
        for (uint32_t i = 0; rc == EG_OK && i < n_columns; i++) {
            if (i > 0)
                fputs(", ", stdout);
            rc = print_cell(&cursors[i], eg_pq_file_column(f, i), max_rows, err);
        }
        if (rc == EG_OK)
            puts("]");
    }
    for (uint32_t i = 0; rc == EG_OK && i < n_columns; i++) {
        rc = eg_pq_reader_next(cursors[i].reader, max_rows, &cursors[i].v, err);
        if (rc == EG_OK)
            return eg_fail(err, EG_CORRUPT, -1, "rows behind the last one");
        rc = rc == EG_DONE ? EG_OK : rc;
    }
    return rc;
}

int main(int argc, char **argv) {
    uint32_t max_rows = 4096;
    if (argc == 4 && strcmp(argv[1], "--rows") == 0) {
        max_rows = (uint32_t)strtoul(argv[2], NULL, 10);
        argv += 2;
        argc -= 2;
    }
    if (argc != 2 || max_rows == 0) {
        fputs("usage: pq_dump [--rows N] FILE\n", stderr);
        return 2;
    }
    eg_err err;
    eg_pq_file *f = NULL;
    eg_pq_codec *codec = NULL;
    cursor *cursors = NULL;
    uint32_t n_columns = 0;
    eg_status rc = eg_pq_file_open(argv[1], &f, &err);
    if (rc == EG_OK)
        rc = eg_pq_codec_open(&codec, &err);
    if (rc == EG_OK) {
        n_columns = eg_pq_file_columns(f);
        cursors = calloc(n_columns > 0 ? n_columns : 1, sizeof *cursors);
        if (cursors == NULL)
            rc = eg_fail_nomem(&err, "columns");
    }
    if (rc == EG_OK) {
        putchar('[');
        for (uint32_t i = 0; i < n_columns; i++) {
            const eg_pq_column *c = eg_pq_file_column(f, i);
            fputs(i > 0 ? ", " : "", stdout);
            print_text((eg_pq_bytes){(const uint8_t *)c->name, c->name_bytes});
        }
        puts("]");
        for (uint32_t g = 0; rc == EG_OK && g < eg_pq_file_row_groups(f); g++)
            rc = print_row_group(f, g, cursors, codec, max_rows, &err);
    }
    for (uint32_t i = 0; cursors != NULL && i < n_columns; i++)
        eg_pq_reader_close(cursors[i].reader);
    free(cursors);
    eg_pq_codec_close(codec);
    eg_pq_file_close(f);
    if (rc != EG_OK) {
        fflush(stdout);
        fprintf(stderr, "%s: %s\n", eg_status_name(rc), err.msg);
        return 1;
    }
    return 0;
}
