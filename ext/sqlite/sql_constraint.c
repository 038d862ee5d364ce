/* See the header. Comparison follows SQLite's rules: INTEGER < TEXT < BLOB; NULL
** compares to nothing; a number column makes the other side numeric if it looks
** like a number, a text column makes a literal number text. */
#include "sqlite/sql_constraint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OMIT_ARGS 16 /* SQLite looks at omit for its first 16 arguments only */

/* ---- the plan ----------------------------------------------------------- */

void eg_sql_plan_begin(eg_sql_plan *plan, const sqlite3_index_info *info) {
    memset(plan, 0, sizeof *plan);
    snprintf(plan->text, sizeof plan->text, "%016llx", (unsigned long long)info->colUsed);
    plan->selectivity = 1;
}

bool eg_sql_plan_add(eg_sql_plan *plan, sqlite3_index_info *info, int i, char op, int column,
                     bool omit) {
    if (plan->n_args == EG_SQL_MAX_ARGS)
        return false;
    char *at = plan->text + EG_SQL_PLAN_COLUMNS + EG_SQL_FIELD * plan->n_args;
    sqlite3_value *literal;
    bool is_literal = sqlite3_vtab_rhs_value(info, i, &literal) == SQLITE_OK;
    snprintf(at, EG_SQL_FIELD + 1, "%c%02x%c", op, (unsigned)column & 255u, is_literal ? '!' : '.');
    info->aConstraintUsage[i].argvIndex = ++plan->n_args;
    info->aConstraintUsage[i].omit = omit;
    return true;
}

bool eg_sql_plan_order(eg_sql_plan *plan, int column, bool descends) {
    int n_fields = plan->n_args + plan->n_orders;
    if (n_fields == EG_SQL_MAX_ARGS)
        return false;
    snprintf(plan->text + EG_SQL_PLAN_COLUMNS + EG_SQL_FIELD * n_fields, EG_SQL_FIELD + 1,
             "%c%02x.", descends ? '-' : '+', (unsigned)column & 255u);
    plan->n_orders++;
    return true;
}

int eg_sql_plan_end(const eg_sql_plan *plan, sqlite3_index_info *info) {
    info->idxStr = sqlite3_mprintf("%s", plan->text);
    info->needToFreeIdxStr = 1;
    return info->idxStr ? SQLITE_OK : SQLITE_NOMEM;
}

uint64_t eg_sql_plan_used(const char *plan) {
    char digits[EG_SQL_PLAN_COLUMNS + 1];
    memcpy(digits, plan, EG_SQL_PLAN_COLUMNS);
    digits[EG_SQL_PLAN_COLUMNS] = '\0';
    return strtoull(digits, NULL, 16);
}

char eg_sql_plan_field(const char *plan, int i, int *column, bool *is_literal) {
    const char *at = plan + EG_SQL_PLAN_COLUMNS;
    for (; i > 0 && *at != '\0'; i--)
        at += EG_SQL_FIELD;
    if (*at != '\0') {
        *column = (int)strtol((char[]){at[1], at[2], '\0'}, NULL, 16);
        *is_literal = at[3] == '!';
    }
    return *at;
}

static char op_of(unsigned char op) {
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
        return 'e';
    case SQLITE_INDEX_CONSTRAINT_NE:
        return 'n';
    case SQLITE_INDEX_CONSTRAINT_LT:
        return 'l';
    case SQLITE_INDEX_CONSTRAINT_LE:
        return 'L';
    case SQLITE_INDEX_CONSTRAINT_GT:
        return 'g';
    case SQLITE_INDEX_CONSTRAINT_GE:
        return 'G';
    case SQLITE_INDEX_CONSTRAINT_IS:
        return 'i';
    case SQLITE_INDEX_CONSTRAINT_ISNOT:
        return 'x';
    case SQLITE_INDEX_CONSTRAINT_ISNULL:
        return 'z';
    case SQLITE_INDEX_CONSTRAINT_ISNOTNULL:
        return 'Z';
    case SQLITE_INDEX_CONSTRAINT_FUNCTION: /* ip4_in is the only one offered */
        return 'c';
    default:
        return 0;
    }
}

/* Kept of all rows, as a guess for the planner: only the order of magnitude matters. */
static double guess(char op) {
    switch (op) {
    case 'e':
    case 'i':
        return 0.001;
    case 'a':
        return 0.01;
    case 'c':
        return 0.05;
    case 'l':
    case 'L':
    case 'g':
    case 'G':
        return 0.3;
    case 'z':
        return 0.0001;
    default:
        return 0.95;
    }
}

static bool is_ordering(char op) {
    return op == 'l' || op == 'L' || op == 'g' || op == 'G';
}

/* Whether the engine's answer to a comparison is SQLite's, whatever the rest of the
** statement is: with a literal of the column's own type, and in ASCII. */
static bool is_settled(sqlite3_index_info *info, int i, char op, eg_column col) {
    eg_kind kind = eg_column_about(col)->kind;
    sqlite3_value *literal;
    if ((op != 'e' && !is_ordering(op)) || kind == EG_KIND_TEXT || kind == EG_KIND_PROTO ||
        sqlite3_vtab_rhs_value(info, i, &literal) != SQLITE_OK)
        return false;
    if (!eg_column_is_text(col))
        return sqlite3_value_type(literal) == SQLITE_INTEGER;
    if (sqlite3_value_type(literal) != SQLITE_TEXT)
        return false;
    const unsigned char *text = sqlite3_value_text(literal);
    int n_bytes = sqlite3_value_bytes(literal);
    for (int k = 0; text != NULL && k < n_bytes; k++)
        if (text[k] == 0 || text[k] >= 0x80)
            return false;
    return text != NULL;
}

bool eg_sql_plan_term(eg_sql_plan *plan, sqlite3_index_info *info, int i, eg_column col,
                      eg_sql_strength strength) {
    char op = op_of(info->aConstraint[i].op);
    eg_kind kind = eg_column_about(col)->kind;
    bool exact = strength == EG_SQL_EXACT;
    if (op == 0 || (op == 'c' && kind != EG_KIND_IP4))
        return false;
    if (exact && plan->n_args == OMIT_ARGS)
        return false;
    if (eg_column_is_text(col) && op != 'z' && op != 'Z' && op != 'c') {
        const char *collation = sqlite3_vtab_collation(info, i);
        if (collation != NULL && sqlite3_stricmp(collation, "BINARY") != 0)
            return false;
    }
    if (op == 'x' && col == EG_COL_RECEIVED_TIME)
        return false; /* true for NULL: no test says that */
    if (!exact && kind == EG_KIND_TEXT && is_ordering(op))
        return false; /* a database in UTF-16 orders names otherwise */
    if (!exact && kind == EG_KIND_PROTO && (op == 'l' || op == 'L')) {
        /* A text that reads as a number ('253') compared with a column of numbers in
        ** a join counts as one and is below every text. Only a literal is safe. */
        sqlite3_value *literal;
        if (sqlite3_vtab_rhs_value(info, i, &literal) != SQLITE_OK)
            return false;
    }
    if (op == 'e' && sqlite3_vtab_in(info, i, 1))
        op = 'a';
    plan->selectivity *= guess(op);
    bool omit = exact || (plan->n_args < OMIT_ARGS && is_settled(info, i, op, col));
    return eg_sql_plan_add(plan, info, i, op, (int)col, omit);
}

/* ---- values ------------------------------------------------------------- */

/* Adds a comparison by operator with an integer. */
static eg_status add_integer(eg_predicate *p, char op, eg_column col, int64_t k, eg_err *err) {
    switch (op) {
    case 'e':
    case 'i':
        return eg_predicate_range(p, col, k, k, false, err);
    case 'n':
    case 'x':
        return eg_predicate_range(p, col, k, k, true, err);
    case 'l':
        return k == INT64_MIN ? eg_predicate_none(p, col, err)
                              : eg_predicate_range(p, col, INT64_MIN, k - 1, false, err);
    case 'L':
        return eg_predicate_range(p, col, INT64_MIN, k, false, err);
    case 'g':
        return k == INT64_MAX ? eg_predicate_none(p, col, err)
                              : eg_predicate_range(p, col, k + 1, INT64_MAX, false, err);
    default:
        return eg_predicate_range(p, col, k, INT64_MAX, false, err);
    }
}

/* Every value of the column is less than the other side (sign < 0) or greater. */
static eg_status add_ordered(eg_predicate *p, char op, eg_column col, int sign, eg_err *err) {
    bool passes =
        op == 'n' || op == 'x' || (sign < 0 ? op == 'l' || op == 'L' : op == 'g' || op == 'G');
    return passes ? eg_predicate_null(p, col, true, err) : eg_predicate_none(p, col, err);
}

static bool is_whole(double r, int64_t *k) {
    if (!(r >= -9223372036854775808.0 && r < 9223372036854775808.0))
        return false;
    *k = (int64_t)r;
    return (double)*k == r;
}

static eg_status add_real(eg_predicate *p, char op, eg_column col, double r, eg_err *err) {
    int64_t k;
    if (is_whole(r, &k))
        return add_integer(p, op, col, k, err);
    if (r >= 9223372036854775808.0)
        return add_ordered(p, op, col, -1, err);
    if (r < -9223372036854775808.0)
        return add_ordered(p, op, col, 1, err);
    int64_t below = (int64_t)r - (r < 0); /* r lies between below and below + 1 */
    switch (op) {
    case 'e':
    case 'i':
        return eg_predicate_none(p, col, err);
    case 'n':
    case 'x':
        return eg_predicate_null(p, col, true, err);
    case 'l':
    case 'L':
        return eg_predicate_range(p, col, INT64_MIN, below, false, err);
    default:
        return eg_predicate_range(p, col, below + 1, INT64_MAX, false, err);
    }
}

static eg_status add_text(eg_predicate *p, char op, eg_column col, const char *text, size_t n_bytes,
                          eg_err *err) {
    eg_text_op text_op = op == 'e' || op == 'i'   ? EG_TEXT_EQ
                         : op == 'n' || op == 'x' ? EG_TEXT_NE
                         : op == 'l'              ? EG_TEXT_LT
                         : op == 'L'              ? EG_TEXT_LE
                         : op == 'g'              ? EG_TEXT_GT
                                                  : EG_TEXT_GE;
    return eg_predicate_text(p, col, text_op, text, n_bytes, err);
}

/* A text that only SQLite can compare for sure, when the other side may be a column
** with an affinity of its own: one that reads as a number may count as that number;
** and beyond ASCII the order is that of the database's encoding. */
static bool is_ambiguous(sqlite3_value *value, char op, bool is_literal) {
    const unsigned char *text = sqlite3_value_text(value);
    int n_bytes = sqlite3_value_bytes(value);
    for (int i = 0; text != NULL && is_ordering(op) && i < n_bytes; i++)
        if (text[i] >= 0x80)
            return true;
    if (is_literal)
        return false;                               /* it has no affinity of its own */
    sqlite3_value *copy = sqlite3_value_dup(value); /* asking for the type may convert */
    bool is_number = copy == NULL || sqlite3_value_numeric_type(copy) != SQLITE_TEXT;
    sqlite3_value_free(copy);
    return is_number;
}

/* The number whose text in column col is exactly text; false if there is none. */
static eg_status number_of_text(eg_column col, const char *text, size_t n_bytes, eg_intern *texts,
                                int64_t *number, bool *found, eg_err *err) {
    uint32_t n32;
    switch (eg_column_about(col)->kind) {
    case EG_KIND_IP4:
        *found = eg_ip4_parse(text, n_bytes, &n32);
        *number = n32;
        return EG_OK;
    case EG_KIND_TIME:
        *found = false;
        if (n_bytes == EG_TIME_TEXT_MAX - 1) /* any other length is no time */
            *number = eg_time_lower_bound(text, n_bytes, found);
        return EG_OK;
    case EG_KIND_PROTO:
        *found = false;
        for (int i = 0; i < 256 && !*found; i++) {
            char name[EG_PROTO_TEXT_MAX];
            *found =
                eg_proto_format((uint8_t)i, name) == n_bytes && memcmp(name, text, n_bytes) == 0;
            *number = i;
        }
        return EG_OK;
    case EG_KIND_TEXT: {
        eg_status rc = eg_intern_add(texts, text, n_bytes, &n32, err);
        *found = rc == EG_OK;
        *number = n32;
        return rc;
    }
    case EG_KIND_INT:
    case EG_KIND_EST:
        break;
    }
    *found = false;
    return EG_OK;
}

/* The number a value of an IN list stands for. *known is false where only SQLite can tell. */
static eg_status number_of_value(eg_column col, sqlite3_value *value, eg_sql_strength strength,
                                 eg_intern *texts, int64_t *number, bool *found, bool *known,
                                 eg_err *err) {
    *found = false;
    *known = true;
    int type = sqlite3_value_type(value);
    if (type == SQLITE_NULL || type == SQLITE_BLOB)
        return EG_OK;
    if (!eg_column_is_text(col)) {
        type = sqlite3_value_numeric_type(value);
        if (type == SQLITE_INTEGER) {
            *number = sqlite3_value_int64(value);
            *found = true;
        } else if (type == SQLITE_FLOAT) {
            *found = is_whole(sqlite3_value_double(value), number);
        }
        return EG_OK;
    }
    if (strength == EG_SQL_RECHECKED && (type != SQLITE_TEXT || is_ambiguous(value, 'e', false))) {
        *known = false;
        return EG_OK;
    }
    const char *text = (const char *)sqlite3_value_text(value);
    if (text == NULL)
        return eg_fail_nomem(err, "a value");
    return number_of_text(col, text, (size_t)sqlite3_value_bytes(value), texts, number, found, err);
}

static eg_status add_list(eg_predicate *p, eg_column col, sqlite3_value *list,
                          eg_sql_strength strength, eg_intern *texts, eg_err *err) {
    int64_t *set = NULL;
    size_t n = 0, capacity = 0;
    bool all_known = true;
    eg_status rc = EG_OK;
    sqlite3_value *value;
    int sql_rc = sqlite3_vtab_in_first(list, &value);
    while (sql_rc == SQLITE_OK && rc == EG_OK && all_known) {
        if (n == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            int64_t *larger = realloc(set, capacity * sizeof *set);
            if (larger == NULL) {
                rc = eg_fail_nomem(err, "a list of values");
                break;
            }
            set = larger;
        }
        bool found;
        rc = number_of_value(col, value, strength, texts, &set[n], &found, &all_known, err);
        n += found;
        sql_rc = sqlite3_vtab_in_next(list, &value);
    }
    if (rc == EG_OK && all_known && sql_rc != SQLITE_DONE && sql_rc != SQLITE_OK)
        rc = eg_fail_nomem(err, "a list of values");
    if (rc == EG_OK && all_known)
        rc = eg_predicate_set(p, col, set, n, false, err);
    free(set);
    return rc;
}

static eg_status add_cidr(eg_predicate *p, eg_column col, sqlite3_value *value,
                          eg_sql_strength strength, eg_err *err) {
    uint32_t first, last;
    if (sqlite3_value_type(value) == SQLITE_NULL)
        return eg_predicate_none(p, col, err);
    const char *text = (const char *)sqlite3_value_text(value);
    if (text == NULL)
        return eg_fail_nomem(err, "a value");
    if (eg_cidr_parse(text, (size_t)sqlite3_value_bytes(value), &first, &last))
        return eg_predicate_range(p, col, first, last, false, err);
    if (strength == EG_SQL_RECHECKED)
        return EG_OK; /* the function itself will say what is wrong */
    return eg_fail(err, EG_MISUSE, -1,
                   "ip4_in: '%.80s' is no network: expected a form like 10.0.0.0/8", text);
}

eg_status eg_sql_translate(eg_predicate *p, char op, eg_column col, sqlite3_value *value,
                           bool is_literal, eg_sql_strength strength, eg_intern *texts,
                           eg_err *err) {
    switch (op) {
    case 'z':
        return eg_predicate_null(p, col, false, err);
    case 'Z':
        return eg_predicate_null(p, col, true, err);
    case 'a':
        return add_list(p, col, value, strength, texts, err);
    case 'c':
        return add_cidr(p, col, value, strength, err);
    default:
        break;
    }
    bool is_text = eg_column_is_text(col);
    int type = is_text ? sqlite3_value_type(value) : sqlite3_value_numeric_type(value);
    switch (type) {
    case SQLITE_NULL:
        if (op == 'i' || op == 'x')
            return eg_predicate_null(p, col, op == 'x', err);
        return eg_predicate_none(p, col, err);
    case SQLITE_BLOB:
        return add_ordered(p, op, col, -1, err);
    case SQLITE_TEXT:
        if (!is_text)
            return add_ordered(p, op, col, -1, err);
        break;
    case SQLITE_INTEGER:
        if (!is_text)
            return add_integer(p, op, col, sqlite3_value_int64(value), err);
        break;
    default:
        if (!is_text)
            return add_real(p, op, col, sqlite3_value_double(value), err);
        break;
    }
    /* A literal number would become text, a number of a join would not. */
    if (strength == EG_SQL_RECHECKED &&
        (type != SQLITE_TEXT || is_ambiguous(value, op, is_literal)))
        return EG_OK;
    const char *text = (const char *)sqlite3_value_text(value);
    if (text == NULL)
        return eg_fail_nomem(err, "a value");
    return add_text(p, op, col, text, (size_t)sqlite3_value_bytes(value), err);
}
