/* See the header. Texts are handed over as SQLITE_TRANSIENT, for SQLite keeps them beyond the
** next row; but for keywords, which are there as long as this code is. */
#include "sqlite/sql_value.h"

#include <string.h>

/* A text of known length SQLite takes for one without a zero at its end: hosts that ask for one
** have it copied into larger memory first, each time. What was made in `scratch` has it; of a
** file's own texts nobody knows what they hold. */
static void result_text(sqlite3_context *ctx, const char *text, size_t n_bytes,
                        const char *scratch) {
    sqlite3_result_text(ctx, text, text == scratch ? -1 : (int)n_bytes, SQLITE_TRANSIENT);
}

void eg_sql_result(sqlite3_context *ctx, const eg_batch *b, eg_column col, uint32_t row) {
    char scratch[EG_TEXT_MAX];
    size_t n_bytes;
    if (b->nulls != NULL && eg_batch_is_null(b, col, row))
        return; /* a result that is not set is NULL */
    if (!eg_column_is_text(col)) {
        sqlite3_result_int64(ctx, eg_batch_number(b, col, row));
        return;
    }
    const char *text = eg_batch_text(b, col, row, scratch, &n_bytes);
    if (text != NULL)
        result_text(ctx, text, n_bytes, scratch);
}

void eg_sql_result_number(sqlite3_context *ctx, eg_column col, int64_t number,
                          const eg_intern *texts) {
    char scratch[EG_TEXT_MAX];
    size_t n_bytes = 0;
    const char *text = scratch;
    switch (eg_column_about(col)->kind) {
    case EG_KIND_INT:
    case EG_KIND_EST:
        sqlite3_result_int64(ctx, number);
        return;
    case EG_KIND_IP4:
        n_bytes = eg_ip4_format((uint32_t)number, scratch);
        break;
    case EG_KIND_TIME:
        if (number == EG_NO_TIME)
            return;
        n_bytes = eg_time_format(number, scratch);
        break;
    case EG_KIND_PROTO:
        if (eg_proto_name((uint8_t)number) != NULL) {
            sqlite3_result_text(ctx, eg_proto_name((uint8_t)number), -1, SQLITE_STATIC);
            return;
        }
        n_bytes = eg_proto_format((uint8_t)number, scratch);
        break;
    case EG_KIND_TEXT:
        text = eg_intern_text(texts, (uint32_t)number, &n_bytes);
        break;
    }
    result_text(ctx, text, n_bytes, scratch);
}

static const char *not_null(eg_column col, bool has_nulls) {
    return has_nulls || col == EG_COL_RECEIVED_TIME ? "" : " NOT NULL";
}

void eg_sql_declare_as_hidden(sqlite3_str *to, eg_column col, bool has_nulls) {
    const eg_column_info *about = eg_column_about(col);
    sqlite3_str_appendf(to, ", %s %s HIDDEN%s", about->name, about->sql_type,
                        not_null(col, has_nulls));
}

void eg_sql_declare_shown(sqlite3_str *to, bool has_nulls) {
    for (int c = 0; c < EG_N_COLUMNS; c++) {
        const eg_column_info *about = eg_column_about((eg_column)c);
        if (!about->hidden)
            sqlite3_str_appendf(to, ", %s %s%s", about->name, about->sql_type,
                                not_null((eg_column)c, has_nulls));
    }
}

void eg_sql_declare_hidden(sqlite3_str *to, bool has_nulls) {
    for (int c = 0; c < EG_N_COLUMNS; c++)
        if (eg_column_about((eg_column)c)->hidden)
            eg_sql_declare_as_hidden(to, (eg_column)c, has_nulls);
}
