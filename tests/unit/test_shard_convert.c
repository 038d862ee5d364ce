/* Claims of parquet/shard_convert.c: slices of every form become the numbers of their values, codes
** and all, and what a vector does not hold is told by the row that has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parquet/shard_convert.h"
#include "shard_build.h"

static const eg_pq_column any_column = {.name = "x", .type = EG_PQ_INT32};

#define ROWS 37

/* Each form into each width, plainly, by a dictionary and by its single entries; with and without
** NULLs: as eg_shard_number says, one by one. */
static void slices_become_the_numbers_of_their_values(void **state) {
    (void)state;
    static const struct {
        eg_vector vector;
        eg_kind kind;
    } vectors[] = {{EG_VEC_TOS, EG_KIND_INT},     {EG_VEC_SRCPORT, EG_KIND_INT},
                   {EG_VEC_SRCADDR, EG_KIND_IP4}, {EG_VEC_DURATION_MS, EG_KIND_INT},
                   {EG_VEC_BYTES, EG_KIND_INT},   {EG_VEC_START_MS, EG_KIND_TIME},
                   {EG_VEC_PROTO, EG_KIND_PROTO}};
    static const struct {
        sb_type type;
        eg_shard_form form;
    } forms[] = {
        {SB_I32, EG_SHARD_I32},         {SB_U32, EG_SHARD_U32},         {SB_I64, EG_SHARD_I64},
        {SB_U64, EG_SHARD_U64},         {SB_TRUTH, EG_SHARD_TRUTH},     {SB_FLOAT, EG_SHARD_FLOAT},
        {SB_DOUBLE, EG_SHARD_DOUBLE},   {SB_DECIMAL, EG_SHARD_DECIMAL}, {SB_US, EG_SHARD_MICROS},
        {SB_NS, EG_SHARD_NANOS},        {SB_INT96, EG_SHARD_INT96},     {SB_IP4, EG_SHARD_IP4_TEXT},
        {SB_PROTO, EG_SHARD_PROTO_TEXT}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++) {
            bool is_time = forms[k].type >= SB_US && forms[k].type <= SB_INT96;
            if ((is_time && vectors[i].kind != EG_KIND_TIME) ||
                (forms[k].type == SB_IP4 && vectors[i].kind != EG_KIND_IP4) ||
                (forms[k].type == SB_PROTO && vectors[i].kind != EG_KIND_PROTO))
                continue;
            sb b = {.arena.budget_bytes = SIZE_MAX};
            eg_shard_column c =
                sb_column_of(vectors[i].vector, vectors[i].kind, forms[k].form, &any_column);
            eg_pq_bytes values[ROWS], gaps[ROWS]; /* as large as any element */
            uint8_t valid[ROWS];
            uint32_t codes[ROWS];
            int64_t numbers[ROWS];
            int64_t top_number = c.hi < 100 ? c.hi : forms[k].type == SB_TRUTH ? 1 : c.hi;
            if (forms[k].type == SB_FLOAT || forms[k].type == SB_I32 || forms[k].type == SB_DECIMAL)
                top_number = top_number > (1 << 24) ? 1 << 24 : top_number;
            if (forms[k].type == SB_U32)
                top_number = top_number > UINT32_MAX ? UINT32_MAX : top_number;
            if (is_time || forms[k].type == SB_DOUBLE)
                top_number = top_number > INT64_C(1) << 40 ? INT64_C(1) << 40 : top_number;
            for (int row = 0; row < ROWS; row++) {
                numbers[row] = row == 5 ? top_number : row % (top_number < 40 ? 2 : 40);
                sb_value(&b, forms[k].type, numbers[row], values, (size_t)row);
                valid[row] = row % 3 != 1;
                codes[row] = (uint32_t)(row * 7 % ROWS);
            }
            size_t element = eg_pq_value_bytes((int32_t)sb_physical(forms[k].type));
            memcpy(gaps, values, sizeof gaps);
            for (size_t row = 0; row < ROWS; row++) /* empty where NULL, as readers give them */
                if (!valid[row])
                    memset((uint8_t *)gaps + row * element, 0, element);
            eg_pq_dictionary d = {.n_entries = ROWS, .values.any = values};
            eg_shard_map map = {0};
            assert_int_equal(eg_shard_map_fill(&map, &c, &d, NULL, NULL), EG_OK);
            assert_int_equal(map.n_wrong, 0);
            if (top_number % 2 == 0) { /* else as it was filled */
                eg_shard_map_narrow(&map, &c, ROWS);
                assert_int_equal(map.is_narrow,
                                 eg_vector_width(c.vector) == 8 && top_number <= UINT32_MAX);
            }
            for (int way = 0; way < 6; way++) {
                eg_pq_vector rows = {.n_rows = ROWS, .has_codes = way >= 2};
                eg_shard_slice s = {.rows = &rows, .dictionary = &d, .file = "f"};
                int64_t out[ROWS];
                eg_err err;
                rows.values.any = way >= 2 ? (const void *)codes : way == 1 ? gaps : values;
                rows.valid = way % 2 == 1 ? valid : NULL;
                rows.n_nulls = way % 2 == 1 ? 12 : 0;
                s.map = way < 4 ? &map : NULL;
                if (eg_shard_convert(&c, &s, NULL, out, &err) != EG_OK)
                    fail_msg("%s", err.msg);
                for (int row = 0; row < ROWS; row++) {
                    int64_t want = numbers[way >= 2 ? codes[row] : (uint32_t)row];
                    if (rows.valid != NULL && !valid[row])
                        want = 0;
                    int64_t got = eg_vector_width(c.vector) == 1   ? ((uint8_t *)out)[row]
                                  : eg_vector_width(c.vector) == 2 ? ((uint16_t *)out)[row]
                                  : eg_vector_width(c.vector) == 4 ? ((uint32_t *)out)[row]
                                                                   : out[row];
                    if (got != want)
                        fail_msg("vector %d, form %d, way %d, row %d: %lld, expected %lld",
                                 (int)c.vector, (int)c.form, way, row, (long long)got,
                                 (long long)want);
                }
            }
            eg_shard_map_close(&map);
            eg_pq_arena_free(&b.arena);
        }
    }
}

static void wrong_entry_that_no_row_uses_does_no_harm(void **state) {
    (void)state;
    static const char *const words[] = {"10.0.0.1", "x\n\xff", "10.0.0.2", "also wrong"};
    eg_pq_bytes entries[4];
    uint32_t codes[3] = {2, 0, 1};
    uint8_t valid[3] = {1, 1, 0};
    uint32_t out[3];
    eg_err err;
    for (int i = 0; i < 4; i++)
        entries[i] = pb_text(words[i]);
    eg_shard_column c = sb_column_of(EG_VEC_SRCADDR, EG_KIND_IP4, EG_SHARD_IP4_TEXT, &any_column);
    eg_pq_dictionary d = {.n_entries = 4, .values.bytes = entries};
    eg_shard_map map = {0};
    assert_int_equal(eg_shard_map_fill(&map, &c, &d, NULL, NULL), EG_OK);
    assert_int_equal(map.n_wrong, 2);
    eg_pq_vector rows = {
        .n_rows = 3, .has_codes = true, .values.codes = codes, .valid = valid, .n_nulls = 1};
    eg_shard_slice s = {
        .rows = &rows, .dictionary = &d, .map = &map, .file = "f.parquet", .first_row = 1000};
    for (int way = 0; way < 2; way++) {
        s.map = way == 0 ? &map : NULL;
        rows.valid = valid;
        assert_int_equal(eg_shard_convert(&c, &s, NULL, out, &err), EG_OK);
        assert_true(out[0] == 0x0a000002 && out[1] == 0x0a000001 && out[2] == 0);
        rows.valid = NULL;
        assert_int_equal(eg_shard_convert(&c, &s, NULL, out, &err), EG_CORRUPT);
        assert_string_equal(err.msg, "f.parquet: column x, row 1002: 'x?"
                                     "?', expected a dotted "
                                     "IPv4 address");
    }
    /* A dictionary of good entries after that, and an empty one for rows that are all NULL. */
    d.n_entries = 1;
    assert_int_equal(eg_shard_map_fill(&map, &c, &d, NULL, NULL), EG_OK);
    assert_int_equal(map.n_wrong, 0);
    d.n_entries = 0;
    memset(codes, 0, sizeof codes);
    memset(valid, 0, sizeof valid);
    rows.valid = valid;
    s.map = &map;
    assert_int_equal(eg_shard_map_fill(&map, &c, &d, NULL, NULL), EG_OK);
    assert_int_equal(eg_shard_convert(&c, &s, NULL, out, &err), EG_OK);
    assert_true(out[0] == 0 && out[1] == 0 && out[2] == 0);
    eg_shard_map_close(&map);
}

static void long_texts_are_cut_in_messages(void **state) {
    (void)state;
    uint8_t text[300];
    memset(text, 'a', sizeof text);
    eg_pq_bytes value = {text, sizeof text};
    uint32_t out;
    eg_err err;
    eg_shard_column c = sb_column_of(EG_VEC_SRCADDR, EG_KIND_IP4, EG_SHARD_IP4_TEXT, &any_column);
    eg_pq_vector rows = {.n_rows = 1, .values.bytes = &value};
    eg_shard_slice s = {.rows = &rows, .file = "f"};
    assert_int_equal(eg_shard_convert(&c, &s, NULL, &out, &err), EG_CORRUPT);
    assert_non_null(strstr(err.msg, "aaa...', expected"));
    assert_true(strlen(err.msg) < 200);
}

static void texts_become_codes_of_the_table(void **state) {
    (void)state;
    eg_shard_texts texts = {0};
    eg_pq_bytes values[5];
    uint32_t out[5];
    uint8_t valid[5] = {1, 1, 0, 1, 1};
    size_t n;
    assert_int_equal(eg_intern_open(&texts.intern, NULL), EG_OK);
    assert_int_equal(pthread_mutex_init(&texts.lock, NULL), 0);
    for (int i = 0; i < 5; i++)
        values[i] = pb_text(sb_texts[i % 3]);
    values[2] = (eg_pq_bytes){0};
    eg_shard_column c = sb_column_of(EG_VEC_EXPORTER, EG_KIND_TEXT, EG_SHARD_TEXT, &any_column);
    eg_pq_vector rows = {.n_rows = 5, .values.bytes = values, .valid = valid, .n_nulls = 1};
    eg_shard_slice s = {.rows = &rows, .file = "f"};
    assert_int_equal(eg_shard_convert(&c, &s, &texts, out, NULL), EG_OK);
    assert_int_equal(out[0], out[3]);
    assert_int_equal(out[1], out[4]);
    assert_string_equal(eg_intern_text(texts.intern, out[1], &n), sb_texts[1]);
    assert_int_equal(eg_intern_count(texts.intern), 2); /* the NULL is none */
    rows.valid = NULL;
    assert_int_equal(eg_shard_convert(&c, &s, &texts, out, NULL), EG_OK); /* an empty text is one */
    assert_string_equal(eg_intern_text(texts.intern, out[2], &n), "");
    /* An exporter as a number. */
    int64_t numbers[2] = {0x0a000001, UINT32_MAX};
    c.form = EG_SHARD_I64;
    rows.values.i64 = numbers;
    rows.n_rows = 2;
    assert_int_equal(eg_shard_convert(&c, &s, &texts, out, NULL), EG_OK);
    assert_string_equal(eg_intern_text(texts.intern, out[0], &n), "10.0.0.1");
    assert_string_equal(eg_intern_text(texts.intern, out[1], &n), "255.255.255.255");
    pthread_mutex_destroy(&texts.lock);
    eg_intern_close(texts.intern);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_become_the_numbers_of_their_values),
        cmocka_unit_test(wrong_entry_that_no_row_uses_does_no_harm),
        cmocka_unit_test(long_texts_are_cut_in_messages),
        cmocka_unit_test(texts_become_codes_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
