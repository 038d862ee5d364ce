/* Claims of capture/capture.c: every packet is accounted for once, damage gives
** what came before it, and archives and directories stand for their captures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/capture.h"

#define SAMPLE "samples/softflowd-v5-ndpi-adj.pcap"
#define SAMPLE_RECORDS 7627
#define SAMPLE_DATAGRAMS 261
#define PCAP_HEADER_BYTES 24

typedef struct totals {
    eg_status status;
    int64_t rows, bytes;
    int64_t audit_datagrams, audit_frames, audit_records;
    eg_scan_stats stats;
    eg_err err;
} totals;

/* Reads a source to its end and sums what rows and ledger say. */
static totals read_all(const char *source) {
    totals t = {0};
    eg_intern *texts = NULL;
    eg_ledger *ledger = NULL;
    eg_source *src = NULL;
    eg_batch b = {0};
    assert_int_equal(eg_intern_open(&texts, NULL), EG_OK);
    assert_int_equal(eg_ledger_open(&ledger, NULL), EG_OK);
    eg_scan_spec spec = {.vectors = EG_VECTOR_BIT(EG_VEC_BYTES) | EG_VECTOR_BIT(EG_VEC_EXPORTER),
                         .texts = texts};
    t.status = eg_capture_open(source, strlen(source), &spec, ledger, &src, &t.err);
    if (t.status == EG_OK) {
        assert_int_equal(eg_batch_open(&b, spec.vectors, texts, NULL), EG_OK);
        eg_piece *piece;
        while ((t.status = src->ops->next_piece(src, &piece, &t.err)) == EG_OK) {
            while ((t.status = piece->ops->next(piece, &b, &t.err)) == EG_OK) {
                t.rows += b.n_rows;
                for (uint32_t i = 0; i < b.n_rows; i++)
                    t.bytes += b.v.BYTES[i];
            }
            piece->ops->close(piece, &t.stats);
            if (t.status != EG_DONE)
                break;
        }
        src->ops->close(src, &t.stats);
    }
    assert_int_equal(eg_ledger_finish(ledger, NULL), EG_OK);
    for (size_t i = 0; i < eg_ledger_n_audit(ledger); i++) {
        const eg_audit_row *row = eg_ledger_audit(ledger, i);
        t.audit_datagrams += row->datagrams;
        t.audit_frames += row->frames;
        t.audit_records += row->records;
    }
    eg_batch_close(&b);
    eg_ledger_close(ledger);
    eg_intern_close(texts);
    return t;
}

/* ---- split sources ------------------------------------------------------ */

#define ALL_VECTORS ((UINT64_C(1) << EG_N_VECTORS) - 1)
#define CAPTURES "../shared/captures"

typedef struct outcome {
    eg_status status;
    uint64_t hash; /* of all values, in order; of audit and loss */
    int64_t n_rows;
    int n_pieces;
    eg_scan_stats stats;
    char words[256];
} outcome;

static void mix(outcome *o, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        o->hash = (o->hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211);
}

static void mix_row(outcome *o, const eg_batch *b, uint32_t i) {
#define EG_VECTOR(ID, ctype) mix(o, &b->v.ID[i], sizeof(ctype));
#include "flow/schema.def"
    o->n_rows++;
}

static void mix_ledger(outcome *o, const eg_ledger *l) {
    for (size_t i = 0; i < eg_ledger_n_audit(l); i++) {
        const eg_audit_row *a = eg_ledger_audit(l, i);
        mix(o, a, offsetof(eg_audit_row, note));
        mix(o, a->note != NULL ? a->note : "", a->note != NULL ? strlen(a->note) : 0);
    }
    for (size_t i = 0; i < eg_ledger_n_loss(l); i++) {
        const eg_loss_row *r = eg_ledger_loss(l, i);
        const int64_t facts[] = {r->file_code, r->exporter_code, r->frame,      r->header_ms,
                                 r->expected,  r->got,           r->flows_lost, r->kind};
        mix(o, facts, sizeof facts);
    }
}

/* Reads a source. Up to eight of its pieces are open at once where it is split. */
static outcome read_in_order(const char *source, bool splits) {
    outcome o = {0};
    eg_intern *texts;
    eg_ledger *ledger;
    eg_source *src;
    eg_batch b;
    eg_err err = {0};
    eg_piece *open[8];
    int n_open = 0;
    assert_int_equal(eg_intern_open(&texts, NULL), EG_OK);
    assert_int_equal(eg_ledger_open(&ledger, NULL), EG_OK);
    assert_int_equal(eg_batch_open(&b, ALL_VECTORS, texts, NULL), EG_OK);
    eg_scan_spec spec = {.vectors = ALL_VECTORS, .texts = texts, .splits = splits};
    o.status = eg_capture_open(source, strlen(source), &spec, ledger, &src, &err);
    assert_int_equal(o.status, EG_OK);
    assert_true(src->ops->is_independent == splits);
    for (bool ended = false; !ended || n_open > 0;) {
        while (!ended && n_open < (splits ? 8 : 1)) {
            o.status = src->ops->next_piece(src, &open[n_open], &err);
            ended = o.status != EG_OK;
            n_open += !ended;
            o.n_pieces += !ended;
        }
        if (n_open == 0)
            break;
        eg_status rc;
        while ((rc = open[0]->ops->next(open[0], &b, &err)) == EG_OK)
            for (uint32_t i = 0; i < b.n_rows; i++)
                mix_row(&o, &b, i);
        open[0]->ops->close(open[0], &o.stats);
        memmove(open, open + 1, (size_t)--n_open * sizeof open[0]);
        ended |= rc != EG_DONE;
        o.status = rc != EG_DONE ? rc : o.status;
    }
    src->ops->close(src, &o.stats);
    assert_int_equal(eg_ledger_finish(ledger, NULL), EG_OK);
    mix_ledger(&o, ledger);
    if (o.status != EG_DONE)
        (void)snprintf(o.words, sizeof o.words, "%.250s", err.msg);
    eg_batch_close(&b);
    eg_ledger_close(ledger);
    eg_intern_close(texts);
    return o;
}

static int compare_split(const char *source) {
    outcome whole = read_in_order(source, false), split = read_in_order(source, true);
    if (split.status != whole.status || strcmp(split.words, whole.words) != 0)
        fail_msg("%s: split %d '%s', whole %d '%s'", source, split.status, split.words,
                 whole.status, whole.words);
    assert_int_equal(split.n_rows, whole.n_rows);
    assert_memory_equal(&split.stats, &whole.stats, sizeof split.stats);
    assert_true(split.hash == whole.hash);
    return split.n_pieces;
}

static uint8_t *load(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*n);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *n, f), *n);
    fclose(f);
    return data;
}

static void store(const char *path, const uint8_t *data, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static char folder[] = "/tmp/test_capture_XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void path_in(char out[128], const char *name) {
    snprintf(out, 128, "%s/%s", folder, name);
}

static void capture_gives_every_record_and_accounts_for_every_packet(void **state) {
    (void)state;
    totals t = read_all(SAMPLE);
    assert_int_equal(t.status, EG_DONE);
    assert_int_equal(t.rows, SAMPLE_RECORDS);
    assert_int_equal(t.bytes, 21117087);
    assert_int_equal(t.audit_datagrams, SAMPLE_DATAGRAMS);
    assert_int_equal(t.audit_frames, SAMPLE_DATAGRAMS);
    assert_int_equal(t.audit_records, SAMPLE_RECORDS);
    assert_int_equal(t.stats.datagrams, SAMPLE_DATAGRAMS);
    assert_int_equal(t.stats.rejected, 0);
    assert_int_equal(t.stats.files, 1);
}

static void cut_capture_gives_the_packets_before_the_cut_and_one_reject(void **state) {
    (void)state;
    size_t n;
    uint8_t *data = load(SAMPLE, &n);
    char path[128];
    path_in(path, "cut.pcap");
    store(path, data, n - 100);
    free(data);
    totals t = read_all(path);
    assert_int_equal(t.status, EG_DONE);
    assert_int_equal(t.stats.datagrams, SAMPLE_DATAGRAMS);
    assert_int_equal(t.stats.rejected, 1);
    assert_int_equal(t.audit_records, t.rows);
    assert_true(t.rows < SAMPLE_RECORDS && t.rows >= SAMPLE_RECORDS - 30);
}

static void capture_cut_in_its_first_header_is_counted(void **state) {
    (void)state;
    size_t n;
    uint8_t *data = load(SAMPLE, &n);
    char path[128];
    path_in(path, "head.pcap");
    store(path, data, 10);
    free(data);
    totals t = read_all(path);
    assert_int_equal(t.status, EG_DONE);
    assert_int_equal(t.rows, 0);
    assert_int_equal(t.stats.rejected, 1);
}

static void named_file_that_is_no_capture_is_an_error_that_says_what_was_found(void **state) {
    (void)state;
    totals t = read_all("README.md");
    assert_int_equal(t.status, EG_UNSUPPORTED);
    assert_non_null(strstr(t.err.msg, "README.md"));
    assert_non_null(strstr(t.err.msg, "# Ea"));
}

static void missing_file_is_an_error_that_names_it(void **state) {
    (void)state;
    totals t = read_all("samples/none.pcap");
    assert_int_equal(t.status, EG_IO);
    assert_non_null(strstr(t.err.msg, "samples/none.pcap"));
}

static void directory_passes_over_other_files_and_counts_those_named_like_captures(void **state) {
    (void)state;
    size_t n;
    uint8_t *data = load(SAMPLE, &n);
    char path[128], dir[128];
    path_in(dir, "mixed");
    assert_int_equal(mkdir(dir, 0700), 0);
    path_in(path, "mixed/a");
    store(path, data, n);
    path_in(path, "mixed/notes.txt");
    store(path, (const uint8_t *)"hello\n", 6);
    path_in(path, "mixed/b.pcap");
    store(path, (const uint8_t *)"hello\n", 6);
    free(data);
    totals t = read_all(dir);
    assert_int_equal(t.status, EG_DONE);
    assert_int_equal(t.rows, SAMPLE_RECORDS);
    assert_int_equal(t.stats.rejected, 1);
    assert_int_equal(t.audit_datagrams, SAMPLE_DATAGRAMS + 1);
}

static void archive_stands_for_its_captures_and_names_them(void **state) {
    (void)state;
    char command[512], path[128];
    path_in(path, "two.tar.gz");
    snprintf(command, sizeof command,
             "cp %s %s/one.pcap && gzip -kf %s/one.pcap && echo x > %s/readme && "
             "tar -czf %s -C %s one.pcap one.pcap.gz readme",
             SAMPLE, folder, folder, folder, path, folder);
    assert_int_equal(system(command), 0);
    totals t = read_all(path);
    assert_int_equal(t.status, EG_DONE);
    assert_int_equal(t.rows, 2 * SAMPLE_RECORDS);
    assert_int_equal(t.stats.files, 2);
    assert_int_equal(t.stats.rejected, 0);
}

static void archive_without_captures_is_an_error(void **state) {
    (void)state;
    char command[256], path[128];
    path_in(path, "none.tar");
    snprintf(command, sizeof command, "tar -cf %s README.md", path);
    assert_int_equal(system(command), 0);
    totals t = read_all(path);
    assert_int_equal(t.status, EG_UNSUPPORTED);
    assert_non_null(strstr(t.err.msg, "holds no capture"));
}

static void fragments_are_joined_and_their_frames_accounted_for(void **state) {
    (void)state;
    totals t = read_all("tests/data/softflowd-v5-ipfrag-mtu576.pcap");
    assert_int_equal(t.status, EG_DONE);
    assert_int_equal(t.rows, 504);
    assert_int_equal(t.audit_datagrams, 17);
    assert_int_equal(t.audit_frames, 51);
}

static void frames_add_up_whereever_a_capture_is_cut(void **state) {
    (void)state;
    size_t n;
    uint8_t *data = load("tests/data/softflowd-v5-ipfrag-mtu576.pcap", &n);
    char path[128];
    path_in(path, "frag.pcap");
    for (size_t cut = PCAP_HEADER_BYTES; cut < n; cut += 97) {
        store(path, data, cut);
        /* whole packets before the cut, and one more where the cut is inside a packet */
        int64_t frames = 0;
        size_t at = PCAP_HEADER_BYTES;
        while (at < cut) {
            frames++;
            if (at + 16 > cut)
                break;
            uint32_t caplen;
            memcpy(&caplen, data + at + 8, 4); /* tests run where files are little-endian too */
            at += 16 + caplen;
        }
        totals t = read_all(path);
        assert_int_equal(t.status, EG_DONE);
        assert_int_equal(t.audit_frames, frames);
        assert_int_equal(t.audit_records, t.rows);
    }
    free(data);
}

static void blocks_have_the_rows_and_the_account_of_whole_files(void **state) {
    (void)state;
    compare_split("samples");
    compare_split("tests/data");
    compare_split("samples\ntests/data/ring.tar.gz\nsamples");
    compare_split("tests/data/softflowd-v5-snap128.pcap");
}

static void blocks_of_every_capture_add_up_too(void **state) {
    (void)state;
    if (access(CAPTURES, R_OK) != 0)
        skip();
    compare_split(CAPTURES "/made");
    compare_split(CAPTURES "/third-party");
    compare_split(CAPTURES "/derived");
}

/* A large capture: the sample's packets many times over, cut at the end. */
static void a_large_file_is_many_blocks(void **state) {
    (void)state;
    char path[128];
    size_t n;
    uint8_t *sample = load(SAMPLE, &n);
    path_in(path, "large.pcap");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(sample, 1, n, f), n);
    for (int i = 0; i < 12; i++)
        assert_int_equal(fwrite(sample + PCAP_HEADER_BYTES, 1, n - PCAP_HEADER_BYTES, f),
                         n - PCAP_HEADER_BYTES);
    assert_int_equal(fwrite(sample + PCAP_HEADER_BYTES, 1, 700, f), 700);
    assert_int_equal(fclose(f), 0);
    free(sample);
    assert_true(compare_split(path) >= 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capture_gives_every_record_and_accounts_for_every_packet),
        cmocka_unit_test(cut_capture_gives_the_packets_before_the_cut_and_one_reject),
        cmocka_unit_test(capture_cut_in_its_first_header_is_counted),
        cmocka_unit_test(named_file_that_is_no_capture_is_an_error_that_says_what_was_found),
        cmocka_unit_test(missing_file_is_an_error_that_names_it),
        cmocka_unit_test(directory_passes_over_other_files_and_counts_those_named_like_captures),
        cmocka_unit_test(archive_stands_for_its_captures_and_names_them),
        cmocka_unit_test(archive_without_captures_is_an_error),
        cmocka_unit_test(fragments_are_joined_and_their_frames_accounted_for),
        cmocka_unit_test(frames_add_up_whereever_a_capture_is_cut),
        cmocka_unit_test(blocks_have_the_rows_and_the_account_of_whole_files),
        cmocka_unit_test(blocks_of_every_capture_add_up_too),
        cmocka_unit_test(a_large_file_is_many_blocks),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
