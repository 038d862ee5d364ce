/* Claims of capture/ledger.c: the audit adds up, and lost, late, doubled and restarted
** flows are told exactly, whatever the exporter's numbering. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/frame.h"
#include "capture/ledger.h"
#include "light.h"
#include "plain_pcap.h"

#define CAPTURES "../shared/captures/"
#define BOOT_MS INT64_C(1700000000250)

/* A small seeded generator: the same numbers on every machine. */
static uint32_t next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static eg_ledger *open_ledger(void) {
    eg_ledger *l;
    assert_int_equal(eg_ledger_open(&l, NULL), EG_OK);
    return l;
}

static eg_nf5_header header(uint32_t sequence, uint16_t count, int64_t boot_ms, int64_t uptime_ms) {
    int64_t ms = boot_ms + uptime_ms;
    return (eg_nf5_header){.count = count,
                           .uptime_ms = (uint32_t)uptime_ms,
                           .unix_secs = (uint32_t)(ms / 1000),
                           .unix_nsecs = (uint32_t)(ms % 1000) * 1000000,
                           .flow_sequence = sequence};
}

static void follow(eg_ledger *l, eg_nf5_header h, int64_t frame) {
    eg_nf5_origin o = {.exporter_code = 1, .file_code = 2, .frame = frame};
    assert_int_equal(eg_ledger_sequence(l, &h, &o, NULL), EG_OK);
}

/* One datagram of an exporter that never reboots. */
static void export_at(eg_ledger *l, uint32_t sequence, uint16_t count, int64_t uptime_ms) {
    follow(l, header(sequence, count, BOOT_MS, uptime_ms), uptime_ms);
}

static int64_t finish(eg_ledger *l) {
    int64_t datagrams, rejected, flows_lost;
    assert_int_equal(eg_ledger_finish(l, NULL), EG_OK);
    eg_ledger_totals(l, &datagrams, &rejected, &flows_lost);
    return flows_lost;
}

static int n_of_kind(const eg_ledger *l, eg_loss_kind kind) {
    int n = 0;
    for (size_t i = 0; i < eg_ledger_n_loss(l); i++)
        n += eg_ledger_loss(l, i)->kind == kind;
    return n;
}

static void assert_row(const eg_ledger *l, size_t i, eg_loss_kind kind, uint32_t expected,
                       uint32_t got, int64_t flows_lost) {
    assert_true(i < eg_ledger_n_loss(l));
    const eg_loss_row *row = eg_ledger_loss(l, i);
    assert_string_equal(eg_loss_kind_name(row->kind), eg_loss_kind_name(kind));
    assert_true(row->expected == expected);
    assert_true(row->got == got);
    assert_int_equal(row->flows_lost, flows_lost);
}

/* ---- audit -------------------------------------------------------------- */

static void audit_adds_up(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    uint64_t seed = 1;
    static int64_t want[50][EG_N_REASONS][3];
    memset(want, 0, sizeof want);
    int64_t n_rejected = 0;
    enum { N = 30000 };
    for (int i = 0; i < N; i++) {
        uint32_t file = next_random(&seed) % 50, r = next_random(&seed) % EG_N_REASONS;
        uint32_t frames = 1 + next_random(&seed) % 3, records = next_random(&seed) % 31;
        /* Codes are not dense: file names share their table with exporters. */
        assert_int_equal(
            eg_ledger_packet(l, file * 1000003, (eg_reason)r, i, frames, records, NULL), EG_OK);
        want[file][r][0]++;
        want[file][r][1] += frames;
        want[file][r][2] += records;
        n_rejected += !eg_reason_about((eg_reason)r)->decoded;
    }
    int64_t datagrams, rejected, flows_lost;
    eg_ledger_totals(l, &datagrams, &rejected, &flows_lost); /* so far is allowed */
    assert_int_equal(datagrams, N);
    assert_int_equal(rejected, n_rejected);
    assert_int_equal(finish(l), 0);

    size_t i = 0;
    for (uint32_t file = 0; file < 50; file++) {
        for (int r = 0; r < EG_N_REASONS; r++) {
            if (want[file][r][0] == 0)
                continue;
            assert_true(i < eg_ledger_n_audit(l));
            const eg_audit_row *row = eg_ledger_audit(l, i++);
            assert_int_equal(row->file_code, file * 1000003);
            assert_int_equal(row->reason, r);
            assert_int_equal(row->datagrams, want[file][r][0]);
            assert_int_equal(row->frames, want[file][r][1]);
            assert_int_equal(row->records, want[file][r][2]);
            assert_null(row->note);
        }
    }
    assert_int_equal(eg_ledger_n_audit(l), i);
    eg_ledger_close(l);
}

static void audit_sorts_files_by_code(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    const uint32_t codes[] = {UINT32_MAX, 0, 0x80000000, 1};
    for (int i = 0; i < 4; i++) {
        eg_ledger_packet(l, codes[i], EG_REASON_V9, 5, 1, 0, NULL);
        eg_ledger_packet(l, codes[i], EG_REASON_V5, 6, 1, 30, NULL);
    }
    finish(l);
    const uint32_t sorted[] = {0, 1, 0x80000000, UINT32_MAX};
    assert_int_equal(eg_ledger_n_audit(l), 8);
    for (size_t i = 0; i < 8; i++) {
        assert_true(eg_ledger_audit(l, i)->file_code == sorted[i / 2]);
        assert_int_equal(eg_ledger_audit(l, i)->reason, i % 2 ? EG_REASON_V9 : EG_REASON_V5);
    }
    eg_ledger_close(l);
}

static void audit_keeps_the_first_frame_and_the_first_note(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    eg_ledger_packet(l, 7, EG_REASON_FRAGMENT_MISSING, 90, 2, 0, NULL);
    eg_ledger_packet(l, 7, EG_REASON_FRAGMENT_MISSING, 12, 1, 0, NULL); /* told late */
    eg_ledger_packet(l, 8, EG_REASON_FILE_CUT, 4, 1, 0, NULL);
    char note[] = "ends inside packet 4";
    assert_int_equal(eg_ledger_note(l, 8, EG_REASON_FILE_CUT, note, NULL), EG_OK);
    memset(note, 'x', sizeof note - 1);
    assert_int_equal(eg_ledger_note(l, 8, EG_REASON_FILE_CUT, "later", NULL), EG_OK);
    eg_err err;
    assert_int_equal(eg_ledger_note(l, 8, EG_REASON_FILE_DAMAGED, "none", &err), EG_MISUSE);
    assert_int_equal(eg_ledger_note(l, 9, EG_REASON_FILE_CUT, "none", &err), EG_MISUSE);
    finish(l);
    assert_int_equal(eg_ledger_n_audit(l), 2);
    assert_int_equal(eg_ledger_audit(l, 0)->first_frame, 12);
    assert_int_equal(eg_ledger_audit(l, 0)->datagrams, 2);
    assert_string_equal(eg_ledger_audit(l, 1)->note, "ends inside packet 4");
    eg_ledger_close(l);
}

static void ledger_takes_nothing_after_its_end(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    eg_ledger_packet(l, 0, EG_REASON_V5, 1, 1, 1, NULL);
    finish(l);
    finish(l);
    eg_err err;
    eg_nf5_header h = header(0, 1, BOOT_MS, 0);
    eg_nf5_origin o = {0};
    assert_int_equal(eg_ledger_packet(l, 0, EG_REASON_V5, 1, 1, 1, &err), EG_MISUSE);
    assert_int_equal(eg_ledger_note(l, 0, EG_REASON_V5, "x", &err), EG_MISUSE);
    assert_int_equal(eg_ledger_sequence(l, &h, &o, &err), EG_MISUSE);
    assert_int_equal(eg_ledger_n_audit(l), 1);
    assert_int_equal(eg_ledger_audit(l, 0)->datagrams, 1);
    eg_ledger_close(l);
    eg_ledger_close(NULL);
}

/* ---- single breaks ------------------------------------------------------ */

static void ledger_finds_nothing_in_an_unbroken_sequence(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    uint32_t sequence = UINT32_MAX - 1000; /* goes over the wrap */
    for (int i = 0; i < 500; i++) {
        export_at(l, sequence, (uint16_t)(1 + i % 30), 1000 + i);
        sequence += 1 + (uint32_t)i % 30;
    }
    assert_int_equal(finish(l), 0);
    assert_int_equal(eg_ledger_n_loss(l), 0);
    eg_ledger_close(l);
}

static void ledger_counts_flows_of_a_gap(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    export_at(l, 4294967200u, 30, 1000);
    export_at(l, 4294967230u, 29, 2000);
    export_at(l, 4, 7, 3000); /* 4294967259 .. 4294967295 and 0 .. 3 are missing */
    export_at(l, 11, 7, 4000);
    assert_int_equal(finish(l), 41);
    assert_int_equal(eg_ledger_n_loss(l), 1);
    assert_row(l, 0, EG_LOSS_LOSS, 4294967259u, 4, 41);
    const eg_loss_row *row = eg_ledger_loss(l, 0);
    assert_int_equal(row->exporter_code, 1);
    assert_int_equal(row->file_code, 2);
    assert_int_equal(row->frame, 3000);
    assert_int_equal(row->header_ms, BOOT_MS + 3000);
    eg_ledger_close(l);
}

static void ledger_takes_late_arrivals_off_the_loss(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    export_at(l, 0, 10, 1000);
    export_at(l, 50, 10, 2000); /* 10 to 49 are missing */
    export_at(l, 20, 10, 1500); /* splits the gap */
    export_at(l, 60, 10, 3000);
    export_at(l, 10, 10, 1400); /* fills its first half */
    export_at(l, 40, 10, 1700); /* shrinks its second */
    export_at(l, 20, 10, 1500); /* came before */
    assert_int_equal(finish(l), 10);
    assert_int_equal(eg_ledger_n_loss(l), 5);
    assert_row(l, 0, EG_LOSS_LOSS, 10, 50, 10);
    assert_row(l, 1, EG_LOSS_REORDER, 60, 20, 0);
    assert_row(l, 2, EG_LOSS_REORDER, 70, 10, 0);
    assert_row(l, 3, EG_LOSS_REORDER, 70, 40, 0);
    assert_row(l, 4, EG_LOSS_DUPLICATE, 70, 20, 0);
    eg_ledger_close(l);
}

static void ledger_keeps_no_loss_that_was_filled(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    export_at(l, 0, 10, 1000);
    export_at(l, 20, 10, 1000); /* a swapped pair */
    export_at(l, 10, 10, 1000);
    export_at(l, 30, 10, 1000);
    export_at(l, 60, 10, 1000); /* two gaps, filled by one late datagram each */
    export_at(l, 80, 10, 1000);
    export_at(l, 70, 10, 1000);
    export_at(l, 40, 20, 1000);
    assert_int_equal(finish(l), 0);
    assert_int_equal(n_of_kind(l, EG_LOSS_LOSS), 0);
    assert_int_equal(n_of_kind(l, EG_LOSS_REORDER), 3);
    assert_int_equal(eg_ledger_n_loss(l), 3);
    eg_ledger_close(l);
}

static void ledger_tells_duplicates(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    for (uint32_t i = 0; i < 10; i++)
        export_at(l, i * 30, 30, 1000 + i);
    export_at(l, 270, 30, 1009);
    export_at(l, 0, 30, 1000);
    export_at(l, 300, 30, 1010);
    assert_int_equal(finish(l), 0);
    assert_int_equal(eg_ledger_n_loss(l), 2);
    assert_row(l, 0, EG_LOSS_DUPLICATE, 300, 270, 0);
    assert_row(l, 1, EG_LOSS_DUPLICATE, 300, 0, 0);
    eg_ledger_close(l);
}

static void ledger_draws_the_lines_of_loss_and_late(void **state) {
    (void)state;
    static const struct {
        int64_t step; /* from the expected sequence */
        eg_loss_kind kind;
        int64_t flows_lost;
    } cases[] = {
        {1, EG_LOSS_LOSS, 1},          {3599999, EG_LOSS_LOSS, 3599999},
        {3600000, EG_LOSS_RESTART, 0}, {INT64_C(1) << 31, EG_LOSS_RESTART, 0},
        {-60000, EG_LOSS_RESTART, 0},  {-59999, EG_LOSS_DUPLICATE, 0},
        {-30, EG_LOSS_DUPLICATE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_ledger *l = open_ledger();
        export_at(l, 1000000, 30, 1000);
        export_at(l, 1000030, 30, 2000);
        export_at(l, (uint32_t)(1000060 + cases[i].step), 30, 3000);
        uint32_t next =
            cases[i].kind == EG_LOSS_DUPLICATE ? 1000060 : (uint32_t)(1000090 + cases[i].step);
        export_at(l, next, 30, 4000); /* is expected then */
        assert_int_equal(finish(l), cases[i].flows_lost);
        assert_int_equal(eg_ledger_n_loss(l), 1);
        assert_row(l, 0, cases[i].kind, 1000060, (uint32_t)(1000060 + cases[i].step),
                   cases[i].flows_lost);
        eg_ledger_close(l);
    }
}

static void ledger_takes_what_reaches_beyond_as_new(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    export_at(l, 0, 30, 1000);
    export_at(l, 30, 30, 2000);
    export_at(l, 50, 30, 3000); /* ten of it came before */
    export_at(l, 80, 30, 4000);
    assert_int_equal(finish(l), 0);
    assert_int_equal(eg_ledger_n_loss(l), 1);
    assert_row(l, 0, EG_LOSS_DUPLICATE, 60, 50, 0);
    eg_ledger_close(l);
}

/* ---- restarts ----------------------------------------------------------- */

static void ledger_tells_restarts_by_the_boot_time(void **state) {
    (void)state;
    static const struct {
        const char *what;
        int64_t boot_moved_ms, uptime_ms; /* of the datagram after one at 100,000 ms */
        uint32_t sequence;                /* 3,000 is expected */
        eg_loss_kind kind;
    } cases[] = {
        {"rebooted within a minute", 105000, 5000, 0, EG_LOSS_RESTART},
        {"rebooted at once", 100500, 1500, 0, EG_LOSS_RESTART},
        {"rebooted, counting on", 110000, 2000, 3500, EG_LOSS_RESTART},
        {"boot time forward by more than 60 s", 60001, 100000, 3500, EG_LOSS_RESTART},
        {"boot time back by more than 60 s", -60001, 100000, 3500, EG_LOSS_RESTART},
        {"boot time back by more than 60 s, sequence too", -60001, 100000, 0, EG_LOSS_RESTART},
        {"boot time moved by 60 s", 60000, 101000, 3500, EG_LOSS_LOSS},
        {"clock jitter of 400 ms", -400, 99900, 3500, EG_LOSS_LOSS},
        {"clock jitter and a late datagram", 400, 99000, 2970, EG_LOSS_DUPLICATE},
        {"uptime in whole seconds", 999, 99001, 3500, EG_LOSS_LOSS},
        {"uptime fell by less than 2 s", 2500, 98500, 2970, EG_LOSS_DUPLICATE},
        {"uptime to and fro by 8 s", 10000, 92000, 3500, EG_LOSS_LOSS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eg_ledger *l = open_ledger();
        for (uint32_t k = 0; k < 100; k++)
            export_at(l, k * 30, 30, 1000 * k + 1000);
        int64_t boot_ms = BOOT_MS + cases[i].boot_moved_ms;
        follow(l, header(cases[i].sequence, 30, boot_ms, cases[i].uptime_ms), 1);
        finish(l);
        if (eg_ledger_n_loss(l) != 1 || eg_ledger_loss(l, 0)->kind != cases[i].kind)
            fail_msg("%s", cases[i].what);
        assert_row(l, 0, cases[i].kind, 3000, cases[i].sequence,
                   cases[i].kind == EG_LOSS_LOSS ? cases[i].sequence - 3000 : 0);
        eg_ledger_close(l);
    }
}

static void ledger_takes_no_step_of_a_young_exporters_clock_for_a_restart(void **state) {
    (void)state;
    eg_ledger *l = open_ledger(); /* the clock is set forward by 50 s after 10 s */
    export_at(l, 0, 30, 9000);
    export_at(l, 30, 30, 10000);
    follow(l, header(90, 30, BOOT_MS + 50000, 20000), 1);
    assert_int_equal(finish(l), 30);
    assert_row(l, 0, EG_LOSS_LOSS, 60, 90, 30);
    eg_ledger_close(l);
}

static void ledger_follows_the_sequence_after_a_restart(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    export_at(l, 100, 30, 100000);
    export_at(l, 190, 30, 110000); /* 60 lost before */
    int64_t boot_ms = BOOT_MS + 200000;
    follow(l, header(0, 10, boot_ms, 5000), 1);
    follow(l, header(10, 10, boot_ms, 6000), 2);
    follow(l, header(30, 10, boot_ms, 7000), 3); /* and 10 after */
    follow(l, header(40, 10, boot_ms, 8000), 4);
    assert_int_equal(finish(l), 70);
    assert_int_equal(eg_ledger_n_loss(l), 3);
    assert_row(l, 0, EG_LOSS_LOSS, 130, 190, 60);
    assert_row(l, 1, EG_LOSS_RESTART, 220, 0, 0);
    assert_row(l, 2, EG_LOSS_LOSS, 20, 30, 10);
    eg_ledger_close(l);
}

static void ledger_takes_no_uptime_wrap_for_a_restart(void **state) {
    (void)state;
    /* SysUptime wraps between the datagrams of a loss, of a swap and of a duplicate. */
    const int64_t wrap = INT64_C(1) << 32;
    for (int what = 0; what < 3; what++) {
        eg_ledger *l = open_ledger();
        export_at(l, 0, 30, wrap - 2000);
        export_at(l, 30, 30, wrap - 1000);
        if (what == 0) {
            export_at(l, 90, 30, wrap + 1000);
        } else if (what == 1) {
            export_at(l, 90, 30, wrap + 1000);
            export_at(l, 60, 30, wrap - 500);
        } else {
            export_at(l, 60, 30, wrap + 1000);
            export_at(l, 30, 30, wrap - 1000);
            export_at(l, 90, 30, wrap + 1000);
        }
        export_at(l, 120, 30, wrap + 2000);
        assert_int_equal(finish(l), what == 0 ? 30 : 0);
        assert_int_equal(eg_ledger_n_loss(l), 1);
        assert_int_equal(eg_ledger_loss(l, 0)->kind, what == 0   ? EG_LOSS_LOSS
                                                     : what == 1 ? EG_LOSS_REORDER
                                                                 : EG_LOSS_DUPLICATE);
        eg_ledger_close(l);
    }
}

/* ---- numberings --------------------------------------------------------- */

/* Exports n datagrams of changing size, losing those of which `lost` says so. */
typedef uint32_t sequence_rule(uint32_t n_datagrams, uint32_t n_flows, uint32_t count);

static uint32_t flows_before(uint32_t n_datagrams, uint32_t n_flows, uint32_t count) {
    (void)n_datagrams;
    (void)count;
    return n_flows;
}
static uint32_t flows_upto(uint32_t n_datagrams, uint32_t n_flows, uint32_t count) {
    (void)n_datagrams;
    return n_flows + count;
}
static uint32_t datagrams_before(uint32_t n_datagrams, uint32_t n_flows, uint32_t count) {
    (void)n_flows;
    (void)count;
    return n_datagrams;
}
static uint32_t always_0(uint32_t n_datagrams, uint32_t n_flows, uint32_t count) {
    (void)n_datagrams;
    (void)n_flows;
    (void)count;
    return 0;
}

/* Exports n datagrams of changing size; every lose_each-th is lost (0: none).
** Gives the flows that were lost between others. */
static int64_t export_by(eg_ledger *l, sequence_rule *rule, uint32_t n, uint32_t lose_each) {
    uint32_t n_flows = UINT32_MAX - 100;
    uint64_t seed = n;
    int64_t n_lost = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t count = 1 + next_random(&seed) % 30;
        bool lose = lose_each > 0 && i % lose_each == 1 && i + 1 < n;
        if (!lose)
            export_at(l, rule(i, n_flows, count), (uint16_t)count, 1000 + i);
        else
            n_lost += count;
        n_flows += count;
    }
    return n_lost;
}

static void ledger_reads_every_numbering_as_it_is_meant(void **state) {
    (void)state;
    static const struct {
        sequence_rule *rule;
        bool tells_loss;
    } cases[] = {
        {flows_before, true}, {flows_upto, true}, {datagrams_before, false}, {always_0, false}};
    static const uint32_t lengths[] = {20, 58, 1000, 20000};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {
            for (uint32_t lose_each = 0; lose_each <= 9; lose_each += 3) {
                eg_ledger *l = open_ledger();
                int64_t n_lost = export_by(l, cases[c].rule, lengths[n], lose_each);
                if (!cases[c].tells_loss)
                    n_lost = 0;
                assert_int_equal(finish(l), n_lost);
                assert_int_equal(eg_ledger_n_loss(l), n_of_kind(l, EG_LOSS_LOSS));
                assert_true((n_lost > 0) == (eg_ledger_n_loss(l) > 0));
                eg_ledger_close(l);
            }
        }
    }
}

static void ledger_tells_rows_in_the_exporters_own_numbers(void **state) {
    (void)state;
    eg_ledger *l = open_ledger(); /* Open vSwitch: the number includes the datagram's flows */
    export_at(l, 10, 10, 1000);
    export_at(l, 30, 20, 2000);
    export_at(l, 35, 5, 3000);
    export_at(l, 60, 7, 4000); /* 18 lost: 42 was expected */
    export_at(l, 53, 18, 3500);
    export_at(l, 60, 7, 4000);
    export_at(l, 90, 20, 5000); /* 10 lost: 80 was expected */
    export_at(l, 99, 9, 6000);
    assert_int_equal(finish(l), 10);
    assert_int_equal(eg_ledger_n_loss(l), 3);
    assert_row(l, 0, EG_LOSS_REORDER, 78, 53, 0);
    assert_row(l, 1, EG_LOSS_DUPLICATE, 67, 60, 0);
    assert_row(l, 2, EG_LOSS_LOSS, 80, 90, 10);
    eg_ledger_close(l);
}

static void ledger_takes_copies_for_no_numbering(void **state) {
    (void)state;
    eg_ledger *l = open_ledger(); /* each datagram captured three times */
    for (uint32_t i = 0; i < 1000; i++) {
        for (int copy = 0; copy < 3; copy++)
            export_at(l, i * 7, 7, 1000 + i);
    }
    assert_int_equal(finish(l), 0);
    assert_int_equal(n_of_kind(l, EG_LOSS_DUPLICATE), 2000);
    assert_int_equal(eg_ledger_n_loss(l), 2000);
    eg_ledger_close(l);
}

static void ledger_keeps_engines_and_exporters_apart(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    for (uint32_t i = 0; i < 50; i++) {
        for (uint32_t k = 0; k < 4; k++) { /* two exporters of two engines; one of the four loses */
            if (k == 2 && i == 20)
                continue;
            eg_nf5_header h =
                header(k * 1000000 + i * 30, 30, BOOT_MS + (int64_t)k * 1000000, 1000 + i);
            h.engine_type = k & 1;
            h.engine_id = (uint8_t)(k & 1) ^ 1;
            eg_nf5_origin o = {.exporter_code = k >> 1, .frame = i};
            assert_int_equal(eg_ledger_sequence(l, &h, &o, NULL), EG_OK);
        }
    }
    assert_int_equal(finish(l), 30);
    assert_int_equal(eg_ledger_n_loss(l), 1);
    assert_int_equal(eg_ledger_loss(l, 0)->exporter_code, 1);
    assert_int_equal(eg_ledger_loss(l, 0)->engine_type, 0);
    assert_int_equal(eg_ledger_loss(l, 0)->engine_id, 1);
    eg_ledger_close(l);
}

/* ---- bounds ------------------------------------------------------------- */

static void ledger_settles_the_oldest_of_too_many_gaps(void **state) {
    (void)state;
    /* 1,500 gaps of 1 flow, all near enough to be filled: the last 1,024 can be. */
    for (int split = 0; split < 2; split++) {
        eg_ledger *l = open_ledger();
        uint32_t gap = split ? 3 : 1;
        for (uint32_t i = 0; i < 1500; i++)
            export_at(l, i * (gap + 1), 1, 1000);
        uint32_t expected = 1499 * (gap + 1) + 1;
        for (uint32_t i = 0; i < 1499; i++)
            export_at(l, i * (gap + 1) + (split ? 2 : 1), 1, 1000); /* the middle one, if split */
        int64_t n_reordered = n_of_kind(l, EG_LOSS_REORDER);
        assert_int_equal(n_reordered, 0); /* no rows before the end */
        int64_t n_lost = finish(l);
        n_reordered = n_of_kind(l, EG_LOSS_REORDER);
        assert_int_equal(n_lost + n_reordered, 1499 * gap);
        assert_int_equal(n_reordered + n_of_kind(l, EG_LOSS_DUPLICATE), 1499);
        if (!split)
            assert_int_equal(n_reordered, 1024);
        else /* each one that is split costs an older one */
            assert_true(n_reordered >= 512 && n_reordered <= 1024);
        for (size_t i = 0; i < eg_ledger_n_loss(l); i++)
            assert_true(eg_ledger_loss(l, i)->flows_lost <= gap &&
                        eg_ledger_loss(l, i)->got < expected);
        eg_ledger_close(l);
    }
}

static void ledger_counts_on_without_memory_of_too_many_gaps(void **state) {
    (void)state;
    /* Each stream has 1,024 gaps; those of the last ones find no place. */
    eg_ledger *l = open_ledger();
    enum { N_STREAMS = 520, N = 1025 };
    for (uint32_t i = 0; i < N_STREAMS * N; i++) {
        eg_nf5_header h = header(i % N * 3, 1, BOOT_MS, 1000);
        eg_nf5_origin o = {.exporter_code = i / N, .frame = i};
        assert_int_equal(eg_ledger_sequence(l, &h, &o, NULL), EG_OK);
    }
    for (uint32_t i = 0; i < N_STREAMS; i++) { /* each gets a flow of its first gap */
        eg_nf5_header h = header(2, 1, BOOT_MS, 1000);
        eg_nf5_origin o = {.exporter_code = i, .frame = N_STREAMS * N};
        assert_int_equal(eg_ledger_sequence(l, &h, &o, NULL), EG_OK);
    }
    /* 512 streams by two numberings of 1,024 gaps fill the memory. */
    assert_int_equal(finish(l), INT64_C(2) * (N - 1) * N_STREAMS - 512);
    eg_ledger_close(l);
}

static void ledger_never_fills_gaps_of_long_ago(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    export_at(l, 0, 10, 1000);
    export_at(l, 30, 10, 1000); /* 20 lost for good */
    uint64_t sequence = 40, end = (UINT64_C(1) << 32) + 40;
    while (sequence < end) { /* all numbers once round */
        uint64_t count = end - sequence < 65535 ? end - sequence : 65535;
        export_at(l, (uint32_t)sequence, (uint16_t)count, 1000);
        sequence += count;
    }
    export_at(l, 10, 20, 1000);
    assert_int_equal(finish(l), 20);
    assert_int_equal(eg_ledger_n_loss(l), 2);
    assert_row(l, 0, EG_LOSS_LOSS, 10, 30, 20);
    assert_row(l, 1, EG_LOSS_DUPLICATE, 40, 10, 0);
    eg_ledger_close(l);
}

static void ledger_settles_the_least_recent_of_too_many_streams(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    enum { N = 65536 + 1000 };
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < N; i++) {
            eg_nf5_header h = header(round * 100, 30, BOOT_MS, 1000);
            eg_nf5_origin o = {.exporter_code = i / 8, .frame = 1};
            h.engine_id = i % 8;
            assert_int_equal(eg_ledger_sequence(l, &h, &o, NULL), EG_OK);
            if (i >= 5) { /* the first streams of each round stay in use */
                h = header(round * 1000000 + i * 30, 30, BOOT_MS, 1000);
                o.exporter_code = 99999;
                assert_int_equal(eg_ledger_sequence(l, &h, &o, NULL), EG_OK);
            }
        }
    }
    /* In the second round each had been forgotten when it came again; the busy one
    ** never was: its one gap is told. */
    finish(l);
    assert_int_equal(eg_ledger_n_loss(l), 1);
    assert_int_equal(eg_ledger_loss(l, 0)->exporter_code, 99999);
    eg_ledger_close(l);
}

static void ledger_keeps_the_losses_of_forgotten_streams(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    enum { N = 65536 * 2 };
    for (uint32_t i = 0; i < N; i++) {
        for (uint32_t k = 0; k < 2; k++) { /* each loses 7 flows */
            eg_nf5_header h = header(k * 17, 10, BOOT_MS, 1000);
            eg_nf5_origin o = {.exporter_code = i, .frame = i};
            assert_int_equal(eg_ledger_sequence(l, &h, &o, NULL), EG_OK);
        }
    }
    assert_int_equal(finish(l), INT64_C(7) * N);
    assert_int_equal(eg_ledger_n_loss(l), N);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(eg_ledger_loss(l, i)->frame, i); /* in order of arrival */
    eg_ledger_close(l);
}

static void ledger_counts_on_without_rows_beyond_its_limit(void **state) {
    (void)state;
    eg_ledger *l = open_ledger();
    enum { N = EG_LEDGER_MAX_LOSS + 5000 };
    uint32_t sequence = 0;
    for (uint32_t i = 0; i <= N; i++) {
        /* Sizes change, so that one numbering is left after a while. */
        uint32_t count = 1 + i % 30;
        export_at(l, sequence, (uint16_t)count, 1000);
        sequence += count + (i < 2000 ? 0 : 70000);
    }
    assert_int_equal(finish(l), INT64_C(70000) * (N - 2000));
    assert_int_equal(eg_ledger_n_loss(l), EG_LEDGER_MAX_LOSS);
    assert_int_equal(eg_ledger_n_unlisted(l), N - 2000 - EG_LEDGER_MAX_LOSS);
    eg_ledger_close(l);
}

/* ---- generated streams against what was removed ------------------------- */

typedef struct export_one {
    eg_nf5_header h;
    uint32_t engine, epoch, index; /* index of the datagram in its epoch */
} export_one;

typedef struct truth {
    int64_t lost, loss_rows, reorders, duplicates, restarts;
} truth;

#define MAX_EXPORTS 600

/* One engine's datagrams over a reboot or two, in the order in which they arrive. */
static int generate(uint64_t *seed, uint32_t engine, bool upto, export_one *out) {
    int n = 0;
    int64_t boot_ms = BOOT_MS - next_random(seed) % 100000;
    /* Some begin just before SysUptime wraps, some before the sequence does. */
    int64_t uptime_ms = next_random(seed) % 2 ? 100000 : (INT64_C(1) << 32) - 30000;
    uint32_t sequence = next_random(seed) % 2 ? next_random(seed) : UINT32_MAX - 500;
    bool is_full = !upto && next_random(seed) % 4 == 0;
    uint32_t n_epochs = 1 + next_random(seed) % 3;
    for (uint32_t epoch = 0; epoch < n_epochs; epoch++) {
        uint32_t n_datagrams = 40 + next_random(seed) % 40;
        int from = n;
        for (uint32_t i = 0; i < n_datagrams; i++) {
            uint32_t count = is_full ? 30 : 1 + next_random(seed) % 30;
            uptime_ms += next_random(seed) % 3000;
            int64_t jitter_ms = (int64_t)(next_random(seed) % 800) - 400;
            eg_nf5_header h = header(upto ? sequence + count : sequence, (uint16_t)count,
                                     boot_ms + jitter_ms, uptime_ms - jitter_ms / 2);
            h.engine_id = (uint8_t)engine;
            sequence += count;
            if (i > 0 && next_random(seed) % 100 < 6) /* lost */
                continue;
            out[n++] = (export_one){h, engine, epoch, i};
        }
        /* Neighbours change places, but not the first: it would not be known as late. */
        for (int i = from + 1; i + 1 < n; i++) {
            if (next_random(seed) % 100 < 4) {
                export_one t = out[i];
                out[i] = out[i + 1];
                out[++i] = t;
            }
        }
        /* Copies come up to 20 datagrams later. */
        for (int copies = n - from; copies > 0; copies--) {
            if (next_random(seed) % 100 >= 3)
                continue;
            int i = from + (int)(next_random(seed) % (uint32_t)(n - from));
            int to = i + 1 + (int)(next_random(seed) % 20);
            if (to > n)
                to = n;
            export_one copy = out[i];
            memmove(out + to + 1, out + to, (size_t)(n - to) * sizeof *out);
            out[to] = copy;
            n++;
        }
        /* The reboot: counters begin again. */
        int64_t off_ms = 3000 + next_random(seed) % 100000;
        boot_ms += uptime_ms + off_ms;
        uptime_ms = 1000;
        sequence = next_random(seed) % 2 ? 0 : next_random(seed) % 100;
    }
    assert_true(n <= MAX_EXPORTS);
    return n;
}

/* What became of the datagrams, from their indices alone. */
static void add_truth(const export_one *e, int n, truth *t) {
    static uint32_t counts[200]; /* flows of the gaps that are still open, by gap */
    for (int from = 0, upto; from < n; from = upto) {
        for (upto = from; upto < n && e[upto].epoch == e[from].epoch;)
            upto++;
        bool came[200] = {false};
        int gap_of[200];
        int n_gaps = 0;
        uint32_t newest = e[from].index;
        came[newest] = true;
        t->restarts += from > 0;
        for (int i = from + 1; i < upto; i++) {
            uint32_t k = e[i].index;
            if (came[k]) {
                t->duplicates++;
            } else if (k < newest) {
                t->reorders++;
                counts[gap_of[k]] -= 1;
            } else {
                for (uint32_t m = newest + 1; m < k; m++)
                    gap_of[m] = n_gaps;
                counts[n_gaps] = k - newest - 1;
                n_gaps += counts[n_gaps] > 0;
                newest = k;
            }
            came[k] = true;
        }
        for (int g = 0; g < n_gaps; g++)
            t->loss_rows += counts[g] > 0;
        /* Flows lost: what the sequence spans less what came. Numbers of the first
        ** and the newest datagram are the exporter's own. */
        int64_t flows = 0;
        uint32_t first = 0, last = 0;
        memset(came, 0, sizeof came);
        for (int i = from; i < upto; i++) {
            const export_one *x = &e[i];
            if (!came[x->index])
                flows += x->h.count;
            came[x->index] = true;
            if (i == from)
                first = x->h.flow_sequence;
            if (x->index == newest)
                last = x->h.flow_sequence + x->h.count;
        }
        t->lost += (int64_t)(uint32_t)(last - first) - flows;
    }
}

static void run_generated(bool upto) {
    static export_one e[2][MAX_EXPORTS + 64];
    truth want = {0}, got = {0};
    uint64_t seed = upto ? 1405 : 514;
    const int n_pairs = is_light() ? 800 : 5000;
    for (int i = 0; i < n_pairs; i++) {
        truth here = {0};
        int n[2], at[2] = {0, 0};
        for (uint32_t k = 0; k < 2; k++) {
            n[k] = generate(&seed, k, upto, e[k]);
            add_truth(e[k], n[k], &here);
            if (upto) { /* spans between ends of datagrams: put them back to starts */
                for (int from = 0, to; from < n[k]; from = to) {
                    uint32_t newest = from;
                    for (to = from; to < n[k] && e[k][to].epoch == e[k][from].epoch; to++) {
                        if (e[k][to].index > e[k][newest].index)
                            newest = (uint32_t)to;
                    }
                    here.lost += e[k][from].h.count;
                    here.lost -= e[k][newest].h.count;
                }
            }
        }
        eg_ledger *l = open_ledger();
        while (at[0] < n[0] || at[1] < n[1]) {
            int k = at[0] == n[0] || (at[1] < n[1] && next_random(&seed) % 2);
            follow(l, e[k][at[k]++].h, 1);
        }
        int64_t lost = finish(l);
        truth told = {lost, n_of_kind(l, EG_LOSS_LOSS), n_of_kind(l, EG_LOSS_REORDER),
                      n_of_kind(l, EG_LOSS_DUPLICATE), n_of_kind(l, EG_LOSS_RESTART)};
        if (memcmp(&told, &here, sizeof told) != 0)
            fail_msg("pair %d: lost %lld of %lld, losses %lld of %lld, reorders %lld of %lld, "
                     "duplicates %lld of %lld, restarts %lld of %lld",
                     i, (long long)told.lost, (long long)here.lost, (long long)told.loss_rows,
                     (long long)here.loss_rows, (long long)told.reorders, (long long)here.reorders,
                     (long long)told.duplicates, (long long)here.duplicates,
                     (long long)told.restarts, (long long)here.restarts);
        int64_t in_rows = 0;
        for (size_t r = 0; r < eg_ledger_n_loss(l); r++)
            in_rows += eg_ledger_loss(l, r)->flows_lost;
        assert_int_equal(in_rows, lost);
        want.lost += here.lost;
        got.lost += lost;
        want.reorders += here.reorders;
        eg_ledger_close(l);
    }
    assert_int_equal(got.lost, want.lost);
    assert_true(want.lost > 20 * n_pairs && 5 * want.reorders > n_pairs);
}

static void ledger_equals_the_truth_of_10000_generated_streams(void **state) {
    (void)state;
    run_generated(false);
}

static void ledger_equals_the_truth_of_10000_streams_numbered_upto(void **state) {
    (void)state;
    run_generated(true);
}

/* ---- captures ----------------------------------------------------------- */

/* Follows a capture, leaving out and doubling frames by number. */
static eg_ledger *follow_capture(const char *path, const int *without, int doubled) {
    plain_pcap c;
    if (!plain_pcap_open(&c, path))
        return NULL;
    eg_ledger *l = open_ledger();
    eg_packet p;
    while (plain_pcap_next(&c, &p)) {
        eg_datagram d;
        eg_fragment f;
        eg_reason reason;
        eg_nf5_header h;
        uint32_t n_records;
        bool is_left_out = false;
        for (const int *w = without; w != NULL && *w != 0; w++)
            is_left_out |= *w == p.number;
        if (is_left_out || eg_frame_decode(&p, &d, &f, &reason) != EG_FRAME_DATAGRAM)
            continue;
        reason = eg_nf5_classify(d.payload, d.n_bytes, d.full_bytes, &h, &n_records);
        if (!eg_reason_about(reason)->decoded)
            continue;
        for (int times = 0; times < (p.number == doubled ? 2 : 1); times++)
            follow(l, h, p.number);
    }
    plain_pcap_close(&c);
    return l;
}

static void ledger_counts_117_flows_of_4_datagrams_left_out(void **state) {
    (void)state;
    const int without[] = {11, 12, 51, 201, 0};
    eg_ledger *l = follow_capture("samples/softflowd-v5-ndpi-adj.pcap", without, 0);
    assert_non_null(l);
    assert_int_equal(finish(l), 117);
    assert_int_equal(eg_ledger_n_loss(l), 3);
    assert_int_equal(n_of_kind(l, EG_LOSS_LOSS), 3);
    assert_int_equal(eg_ledger_loss(l, 0)->frame, 13);
    eg_ledger_close(l);

    l = follow_capture("samples/softflowd-v5-ndpi-adj.pcap", NULL, 31);
    assert_int_equal(finish(l), 0);
    assert_int_equal(eg_ledger_n_loss(l), 1);
    assert_int_equal(eg_ledger_loss(l, 0)->kind, EG_LOSS_DUPLICATE);
    eg_ledger_close(l);
}

static void ledger_agrees_with_what_is_known_of_captures(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int64_t flows_lost;
        int n_loss, n_duplicates;
    } cases[] = {
        {"derived/ndpi-lost4datagrams.pcap", 117, 3, 0},
        {"derived/ndpi-dup-30.pcap", 0, 0, 1},
        {"made/softflowd-v5-nano.pcap", 0, 0, 0},
        {"made/softflowd-v5-snap128.pcap", 0, 0, 0},
        {"made/softflowd-v5-sampled-s10.pcap", 0, 0, 0},
        {"made/softflowd-v5-ipv6transport.pcap", 0, 0, 0},
        {"made/fprobe-live-v5.pcapng", 0, 0, 0},
        {"third-party/graylog-netgraph-v5.pcap", 0, 0, 0},
        {"third-party/wrapped-logstash-v5-12datagrams.pcap", 0, 0, 0},
        {"derived/sparknetflow-large-byte-start.pcap", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256];
        snprintf(path, sizeof path, CAPTURES "%s", cases[i].path);
        eg_ledger *l = follow_capture(path, NULL, 0);
        if (l == NULL)
            skip();
        if (finish(l) != cases[i].flows_lost || n_of_kind(l, EG_LOSS_LOSS) != cases[i].n_loss ||
            n_of_kind(l, EG_LOSS_DUPLICATE) != cases[i].n_duplicates ||
            (int)eg_ledger_n_loss(l) != cases[i].n_loss + cases[i].n_duplicates)
            fail_msg("%s: %lld lost, %zu rows", path, (long long)finish(l), eg_ledger_n_loss(l));
        eg_ledger_close(l);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audit_adds_up),
        cmocka_unit_test(audit_sorts_files_by_code),
        cmocka_unit_test(audit_keeps_the_first_frame_and_the_first_note),
        cmocka_unit_test(ledger_takes_nothing_after_its_end),
        cmocka_unit_test(ledger_finds_nothing_in_an_unbroken_sequence),
        cmocka_unit_test(ledger_counts_flows_of_a_gap),
        cmocka_unit_test(ledger_takes_late_arrivals_off_the_loss),
        cmocka_unit_test(ledger_keeps_no_loss_that_was_filled),
        cmocka_unit_test(ledger_tells_duplicates),
        cmocka_unit_test(ledger_draws_the_lines_of_loss_and_late),
        cmocka_unit_test(ledger_takes_what_reaches_beyond_as_new),
        cmocka_unit_test(ledger_tells_restarts_by_the_boot_time),
        cmocka_unit_test(ledger_takes_no_step_of_a_young_exporters_clock_for_a_restart),
        cmocka_unit_test(ledger_follows_the_sequence_after_a_restart),
        cmocka_unit_test(ledger_takes_no_uptime_wrap_for_a_restart),
        cmocka_unit_test(ledger_reads_every_numbering_as_it_is_meant),
        cmocka_unit_test(ledger_tells_rows_in_the_exporters_own_numbers),
        cmocka_unit_test(ledger_takes_copies_for_no_numbering),
        cmocka_unit_test(ledger_keeps_engines_and_exporters_apart),
        cmocka_unit_test(ledger_settles_the_oldest_of_too_many_gaps),
        cmocka_unit_test(ledger_counts_on_without_memory_of_too_many_gaps),
        cmocka_unit_test(ledger_never_fills_gaps_of_long_ago),
        cmocka_unit_test(ledger_settles_the_least_recent_of_too_many_streams),
        cmocka_unit_test(ledger_keeps_the_losses_of_forgotten_streams),
        cmocka_unit_test(ledger_counts_on_without_rows_beyond_its_limit),
        cmocka_unit_test(ledger_equals_the_truth_of_10000_generated_streams),
        cmocka_unit_test(ledger_equals_the_truth_of_10000_streams_numbered_upto),
        cmocka_unit_test(ledger_agrees_with_what_is_known_of_captures),
        cmocka_unit_test(ledger_counts_117_flows_of_4_datagrams_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
