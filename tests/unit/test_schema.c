/* Claims of flow/schema.c: texts are exact both ways, and the order of time texts
** is the order of times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "flow/schema.h"

static void ip4_texts_round_trip(void **state) {
    (void)state;
    static const uint32_t addrs[] = {0,          1,          255,        256,
                                     0x0a000001, 0x7f000001, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof addrs / sizeof addrs[0]; i++) {
        char text[EG_IP4_TEXT_MAX];
        uint32_t back = ~addrs[i];
        size_t n = eg_ip4_format(addrs[i], text);
        assert_int_equal(n, strlen(text));
        assert_true(eg_ip4_parse(text, n, &back));
        assert_int_equal(back, addrs[i]);
    }
    for (uint32_t v = 0; v < 256; v++) { /* each octet in each place */
        char text[EG_IP4_TEXT_MAX], expected[40];
        uint32_t addr = v << 24 | (255 - v) << 16 | (v ^ 100) << 8 | (v ^ 15);
        snprintf(expected, sizeof expected, "%u.%u.%u.%u", v, 255 - v, v ^ 100, v ^ 15);
        assert_int_equal(eg_ip4_format(addr, text), strlen(expected));
        assert_string_equal(text, expected);
    }
}

static void ip4_parse_takes_the_canonical_form_only(void **state) {
    (void)state;
    static const char *const bad[] = {"",         "1",        "1.2.3",     "1.2.3.4.5", "1.2.3.256",
                                      "01.2.3.4", "1.2.3.4 ", " 1.2.3.4",  "1..3.4",    "1.2.3.",
                                      "a.b.c.d",  "1.2.3.-4", "1.2.3.4/8", "1.2.3.0004"};
    uint32_t addr;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(eg_ip4_parse(bad[i], strlen(bad[i]), &addr));
}

static void cidr_gives_first_and_last_address(void **state) {
    (void)state;
    uint32_t first, last;
    assert_true(eg_cidr_parse("10.1.2.3/8", 10, &first, &last));
    assert_int_equal(first, 0x0a000000);
    assert_int_equal(last, 0x0affffff);
    assert_true(eg_cidr_parse("0.0.0.0/0", 9, &first, &last));
    assert_int_equal(first, 0);
    assert_int_equal(last, 0xffffffff);
    assert_true(eg_cidr_parse("1.2.3.4", 7, &first, &last));
    assert_int_equal(first, last);
    static const char *const bad[] = {"1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/08",
                                      "/8",       "1.2.3.4/8 ", "1.2.3.4/100"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(eg_cidr_parse(bad[i], strlen(bad[i]), &first, &last));
}

static void ip6_texts_follow_rfc_5952(void **state) {
    (void)state;
    static const struct {
        uint8_t addr[16];
        const char *text;
    } cases[] = {
        {{0}, "::"},
        {{[15] = 1}, "::1"},
        {{0xfe, 0x80, [15] = 1}, "fe80::1"},
        {{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, "2001:db8:0:1:1:1:1:1"},
        {{0x20, 0x01, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, "2001:0:0:1::1"},
        {{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1}, "2001:db8::1:0:0:1"},
        {{0, 1}, "1::"},
        {{[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1}, "::ffff:192.0.2.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[EG_IP6_TEXT_MAX];
        assert_int_equal(eg_ip6_format(cases[i].addr, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void time_texts_are_those_of_the_calendar(void **state) {
    (void)state;
    char text[EG_TIME_TEXT_MAX], expected[64];
    eg_time_format(0, text);
    assert_string_equal(text, "1970-01-01 00:00:00.000");
    eg_time_format(-1, text);
    assert_string_equal(text, "1969-12-31 23:59:59.999");
    eg_time_format(INT64_C(-62167219200000), text);
    assert_string_equal(text, "0000-01-01 00:00:00.000");
    eg_time_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31 23:59:59.999");
    /* every day from 1890 to 2210 against the C library's calendar */
    for (int64_t day = -29220; day < 87700; day++) {
        time_t t = (time_t)(day * 86400 + 45296);
        struct tm tm;
        assert_non_null(gmtime_r(&t, &tm));
        strftime(expected, sizeof expected, "%Y-%m-%d %H:%M:%S.007", &tm);
        eg_time_format((int64_t)t * 1000 + 7, text);
        assert_string_equal(text, expected);
    }
}

static int compare(const char *a, size_t n_a, const char *b, size_t n_b) {
    int c = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return c != 0 ? c : (n_a > n_b) - (n_a < n_b);
}

static void time_lower_bound_is_the_border_for_any_text(void **state) {
    (void)state;
    static const char *const texts[] = {"2007-07-26 22:15:38.120",
                                        "2007-07-26",
                                        "2007",
                                        "",
                                        "2007-07-26 22:15:38.12",
                                        "2007-07-26 22:15:38.1200",
                                        "2007-07-26T22:15",
                                        "2007-13-99",
                                        "1969-12-31 23:59:59.9999",
                                        "~",
                                        "2007-07-26 22:15:38:",
                                        "\x01"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t n = strlen(texts[i]);
        bool exact;
        char at[EG_TIME_TEXT_MAX];
        int64_t ms = eg_time_lower_bound(texts[i], n, &exact);
        if (ms != INT64_MAX) {
            size_t n_at = eg_time_format(ms, at);
            assert_true(compare(at, n_at, texts[i], n) >= 0);
            assert_int_equal(exact, compare(at, n_at, texts[i], n) == 0);
        }
        if (ms > INT64_C(-62167219200000)) {
            size_t n_at = eg_time_format(ms == INT64_MAX ? INT64_MAX : ms - 1, at);
            assert_true(compare(at, n_at, texts[i], n) < 0);
        }
    }
    bool exact;
    assert_int_equal(eg_time_lower_bound("1970-01-01 00:00:00.000", 23, &exact), 0);
    assert_true(exact);
}

static void protocols_have_iana_keywords_or_numbers(void **state) {
    (void)state;
    char text[EG_PROTO_TEXT_MAX];
    static const struct {
        uint8_t number;
        const char *text;
    } known[] = {{1, "ICMP"},       {6, "TCP"},     {17, "UDP"},       {41, "IPv6"},
                 {47, "GRE"},       {50, "ESP"},    {58, "IPv6-ICMP"}, {89, "OSPFIGP"},
                 {132, "SCTP"},     {253, "253"},   {136, "UDPLite"},  {138, "manet"},
                 {139, "HIP"},      {140, "Shim6"}, {141, "WESP"},     {142, "ROHC"},
                 {143, "Ethernet"}, {145, "NSH"},   {61, "61"},        {99, "99"},
                 {114, "114"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        eg_proto_format(known[i].number, text);
        assert_string_equal(text, known[i].text);
    }
    for (int p = 0; p < 256; p++) {
        uint8_t back;
        size_t n = eg_proto_format((uint8_t)p, text);
        assert_int_equal(n, strlen(text));
        assert_true(n < EG_PROTO_TEXT_MAX);
        assert_true(eg_proto_parse(text, n, &back));
        assert_int_equal(back, p);
        const char *name = eg_proto_name((uint8_t)p);
        if (name != NULL)
            assert_string_equal(name, text);
        else
            assert_int_equal(strtol(text, NULL, 10), p);
    }
    uint8_t p;
    assert_true(eg_proto_parse("tcp", 3, &p));
    assert_int_equal(p, 6);
    assert_false(eg_proto_parse("256", 3, &p));
    assert_false(eg_proto_parse("", 0, &p));
    assert_false(eg_proto_parse("tcpx", 4, &p));
}

static void columns_are_found_by_name_in_any_case(void **state) {
    (void)state;
    for (int c = 0; c < EG_N_COLUMNS; c++) {
        const char *name = eg_column_about((eg_column)c)->name;
        assert_int_equal(eg_column_find(name, strlen(name)), c);
        assert_true((eg_column_about((eg_column)c)->vectors &
                     EG_VECTOR_BIT(eg_column_about((eg_column)c)->vector)) != 0);
    }
    assert_int_equal(eg_column_find("SrcAddr", 7), EG_COL_SRCADDR);
    assert_int_equal(eg_column_find("srcadd", 6), EG_N_COLUMNS);
}

static void names_match_whole_and_fold_ascii_only(void **state) {
    (void)state;
    assert_true(eg_name_equal("srcaddr", "SRCaddr", 7));
    assert_false(eg_name_equal("srcaddr", "srcadd", 6));
    assert_false(eg_name_equal("srcaddr", "srcaddrs", 8));
    assert_false(eg_name_equal("srcaddr", "srcaddr\0", 8));
    assert_false(eg_name_equal("a[", "a{", 2)); /* differ by the same bit as letters do */
    assert_true(eg_name_equal("", "", 0));
}

static void shown_columns_come_before_hidden_ones(void **state) {
    (void)state; /* the virtual table's argument stands between the two */
    bool hidden = false;
    for (int c = 0; c < EG_N_COLUMNS; c++) {
        assert_true(!hidden || eg_column_about((eg_column)c)->hidden);
        hidden = eg_column_about((eg_column)c)->hidden;
    }
    assert_true(eg_column_about(EG_COL_START_MS)->hidden);
    assert_false(eg_column_about(EG_COL_FLOW_SEQUENCE)->hidden);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ip4_texts_round_trip),
        cmocka_unit_test(ip4_parse_takes_the_canonical_form_only),
        cmocka_unit_test(cidr_gives_first_and_last_address),
        cmocka_unit_test(ip6_texts_follow_rfc_5952),
        cmocka_unit_test(time_texts_are_those_of_the_calendar),
        cmocka_unit_test(time_lower_bound_is_the_border_for_any_text),
        cmocka_unit_test(protocols_have_iana_keywords_or_numbers),
        cmocka_unit_test(columns_are_found_by_name_in_any_case),
        cmocka_unit_test(names_match_whole_and_fold_ascii_only),
        cmocka_unit_test(shown_columns_come_before_hidden_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
