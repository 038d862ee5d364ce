#include "sqlite/store_terms.h"

#include <string.h>

#define MAX_LIST 1000 /* values of an IN that are worth a text */

/* The column of a vector; NULL where the store has none. */
static const char *name_of(eg_vector v) {
    for (int i = 0; i < EG_STORE_COLUMNS; i++)
        if (eg_store_columns[i].vector == v)
            return eg_store_columns[i].name;
    return v == EG_VEC_END_MS ? "(start_ms + duration_ms)" : NULL;
}

static void add_range(sqlite3_str *s, const char *name, int64_t lo, int64_t hi) {
    if (lo == INT64_MIN && hi == INT64_MAX)
        sqlite3_str_appendf(s, "%s IS NOT NULL", name);
    else if (lo == INT64_MIN)
        sqlite3_str_appendf(s, "%s <= %lld", name, (long long)hi);
    else if (hi == INT64_MAX)
        sqlite3_str_appendf(s, "%s >= %lld", name, (long long)lo);
    else
        sqlite3_str_appendf(s, "%s BETWEEN %lld AND %lld", name, (long long)lo, (long long)hi);
}

/* The numbers whose texts pass a TEXT term on a time. False where only texts can tell. */
static bool range_of_times(const eg_term *t, int64_t *lo, int64_t *hi) {
    bool exact;
    int64_t at = eg_time_lower_bound(t->text, t->text_bytes, &exact);
    *lo = INT64_MIN;
    *hi = INT64_MAX;
    switch (t->op) {
    case EG_TEXT_EQ:
        *lo = exact ? at : 1;
        *hi = exact ? at : 0;
        return true;
    case EG_TEXT_LT:
    case EG_TEXT_LE:
        *hi = t->op == EG_TEXT_LE && exact ? at : at - 1;
        return at != INT64_MIN;
    case EG_TEXT_GT:
    case EG_TEXT_GE:
        *lo = t->op == EG_TEXT_GT && exact ? at + 1 : at;
        return at != INT64_MAX;
    case EG_TEXT_NE:
        break;
    }
    return false;
}

/* Says a term of an address; *is_one where it is one address. */
static bool say_address(sqlite3_str *s, const eg_term *t, bool *is_one) {
    bool is_src = t->col == EG_COL_SRCADDR;
    const char *text_name = is_src ? "srcaddr" : "dstaddr";
    const char *name = is_src ? "srcaddr_num" : "dstaddr_num";
    char text[EG_IP4_TEXT_MAX];
    uint32_t addr;
    *is_one = false;
    if (t->kind == EG_TEST_TEXT && t->op == EG_TEXT_EQ) {
        bool is_address = eg_ip4_parse(t->text, t->text_bytes, &addr);
        *is_one = is_address;
        if (is_address)
            sqlite3_str_appendf(s, "%s = '%.*s'", text_name, (int)t->text_bytes, t->text);
        else
            sqlite3_str_appendall(s, "0");
        return true;
    }
    if (t->kind == EG_TEST_RANGE && !t->negated && t->lo == t->hi && t->lo >= 0 &&
        t->lo <= UINT32_MAX) {
        *is_one = true;
        size_t n = eg_ip4_format((uint32_t)t->lo, text);
        sqlite3_str_appendf(s, "%s = '%.*s'", text_name, (int)n, text);
        return true;
    }
    if (t->kind == EG_TEST_RANGE && !t->negated) {
        add_range(s, name, t->lo, t->hi);
        return true;
    }
    return false;
}

/* Says a term in SQL; false where SQL cannot, or should not. */
static bool say(sqlite3_str *s, const eg_term *t, bool *is_one) {
    const eg_column_info *about = eg_column_about(t->col);
    const char *name = name_of(about->vector);
    int64_t lo, hi;
    *is_one = false;
    if (name == NULL || about->kind == EG_KIND_EST || about->vector == EG_VEC_EXPORTER)
        return false;
    if ((t->col == EG_COL_SRCADDR || t->col == EG_COL_DSTADDR) && say_address(s, t, is_one))
        return true;
    if (t->kind == EG_TEST_NONE) {
        sqlite3_str_appendall(s, "0");
        return true;
    }
    if (t->kind == EG_TEST_TEXT && about->kind == EG_KIND_TIME && range_of_times(t, &lo, &hi)) {
        add_range(s, name, lo, hi);
        return true;
    }
    if (t->kind == EG_TEST_RANGE && !t->negated) {
        add_range(s, name, t->lo, t->hi);
        return true;
    }
    if (t->kind == EG_TEST_SET && !t->negated && t->n_set > 0 && t->n_set <= MAX_LIST) {
        sqlite3_str_appendf(s, "%s IN (", name);
        for (size_t i = 0; i < t->n_set; i++)
            sqlite3_str_appendf(s, "%s%lld", i > 0 ? ", " : "", (long long)t->set[i]);
        sqlite3_str_appendall(s, ")");
        return true;
    }
    return false;
}

/* Which index a term can use; -1 none. */
static int index_of(const eg_term *t, bool is_one) {
    switch (t->col) {
    case EG_COL_SRCADDR:
        return is_one ? EG_INDEX_SRCADDR : EG_INDEX_SRCADDR_NUM;
    case EG_COL_DSTADDR:
        return is_one ? EG_INDEX_DSTADDR : EG_INDEX_DSTADDR_NUM;
    case EG_COL_START_TIME:
    case EG_COL_START_MS:
        return EG_INDEX_TIME;
    default:
        return -1;
    }
}

eg_status eg_store_terms_make(const eg_predicate *p, eg_store_terms *out, eg_err *err) {
    sqlite3_str *where = sqlite3_str_new(NULL), *of_index[EG_STORE_INDEXES];
    bool ok = true;
    for (int i = 0; i < EG_STORE_INDEXES; i++)
        of_index[i] = sqlite3_str_new(NULL);
    for (size_t i = 0; p != NULL && i < p->n_terms && ok; i++) {
        sqlite3_str *term = sqlite3_str_new(NULL);
        bool is_one;
        if (say(term, &p->terms[i], &is_one)) {
            int index = index_of(&p->terms[i], is_one);
            const char *text = sqlite3_str_value(term);
            ok = text != NULL;
            if (ok)
                sqlite3_str_appendf(where, " AND %s", text);
            if (ok && index >= 0)
                sqlite3_str_appendf(of_index[index], "%s%s",
                                    sqlite3_str_length(of_index[index]) > 0 ? " AND " : "", text);
        }
        sqlite3_free(sqlite3_str_finish(term));
    }
    /* An address's index has its times, too. */
    const char *time = sqlite3_str_value(of_index[EG_INDEX_TIME]);
    static const eg_store_index timed[] = {EG_INDEX_SRCADDR, EG_INDEX_DSTADDR};
    for (int i = 0; i < 2 && time != NULL; i++)
        if (sqlite3_str_length(of_index[timed[i]]) > 0)
            sqlite3_str_appendf(of_index[timed[i]], " AND %s", time);
    ok = ok && sqlite3_str_errcode(where) == SQLITE_OK;
    out->where = sqlite3_str_length(where) > 0 ? NULL : sqlite3_mprintf("");
    char *text = sqlite3_str_finish(where);
    out->where = out->where != NULL ? out->where : text;
    ok = ok && out->where != NULL;
    for (int i = 0; i < EG_STORE_INDEXES; i++) {
        ok = ok && sqlite3_str_errcode(of_index[i]) == SQLITE_OK;
        out->indexed[i] = sqlite3_str_finish(of_index[i]);
    }
    if (ok)
        return EG_OK;
    eg_store_terms_clear(out);
    return eg_fail_nomem(err, "a statement");
}

void eg_store_terms_clear(eg_store_terms *t) {
    sqlite3_free(t->where);
    for (int i = 0; i < EG_STORE_INDEXES; i++)
        sqlite3_free(t->indexed[i]);
    *t = (eg_store_terms){0};
}
