/* Claims of parquet/shard_weights.h: sums are rounded up and by little, whatever is wrong with
** weights is refused; of shard_source.c: a dataset knows what its rows sum up to at most, other
** files do not; and of shard_verify.c: rows that sum up to more than the weights say are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "codec_fixture.h"
#include "parquet/pq_writer.h"
#include "parquet/shard_source.h"
#include "parquet/shard_verify.h"
#include "parquet/shard_weights.h"

#define GROUPS 3
#define MOST_ROWS 12000

static uint64_t seed = 3;
static uint64_t next_random(void) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return seed >> 20;
}

/* ---- Codes */

static void every_code_is_the_least_that_is_not_below_its_sums(void **state) {
    (void)state;
    for (unsigned c = 0; c < 252; c++) {
        uint64_t sum = eg_shard_weights_of_code((uint8_t)c);
        assert_int_equal(eg_shard_weights_code(sum), c);
        assert_int_equal(eg_shard_weights_code(sum + 1), c < 251 ? c + 1 : 255);
        if (c > 0)
            assert_true(sum > eg_shard_weights_of_code((uint8_t)(c - 1)));
    }
    for (unsigned c = 252; c < 256; c++)
        assert_true(eg_shard_weights_of_code((uint8_t)c) == UINT64_MAX);
    assert_int_equal(eg_shard_weights_code(UINT64_MAX), 255);
}

static void sums_are_rounded_up_by_a_quarter_at_most(void **state) {
    (void)state;
    assert_int_equal(eg_shard_weights_of_code(7), 7);
    assert_int_equal(eg_shard_weights_of_code(eg_shard_weights_code(9)), 10);
    assert_int_equal(eg_shard_weights_of_code(eg_shard_weights_code(1000001)), 1048576);
    for (int i = 0; i < 100000; i++) {
        uint64_t sum = next_random() * next_random() >> next_random() % 61;
        uint64_t bound = eg_shard_weights_of_code(eg_shard_weights_code(sum));
        assert_true(bound >= sum);
        assert_true(bound == UINT64_MAX || bound - sum <= sum / 4);
    }
}

static void buckets_are_of_some_64_rows(void **state) {
    (void)state;
    static const struct {
        uint32_t n_rows;
        unsigned n_bits;
    } cases[] = {{0, 0},         {1, 0},         {95, 0},         {96, 1},
                 {191, 1},       {192, 2},       {786431, 13},    {786432, 14},
                 {1u << 20, 14}, {1u << 31, 14}, {UINT32_MAX, 14}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(eg_shard_weights_bits(cases[i].n_rows), cases[i].n_bits);
}

/* ---- Files */

/* Columns of a file. */
enum { SRCADDR, DSTADDR, BYTES, PACKETS, N_COLUMNS };

typedef struct rows {
    uint32_t n;
    uint32_t addr[2][MOST_ROWS];
    int64_t bytes[MOST_ROWS], packets[MOST_ROWS];
} rows;

static rows groups[GROUPS];
static const uint32_t group_rows[GROUPS] = {MOST_ROWS, 150, 3};

/* What a file is to be wrong in. */
typedef struct wrong {
    const char *key;                      /* of the weights; NULL: EG_WEIGHTS_KEY */
    const char *say;                      /* instead of "offset length crc" of the first chunk */
    const void *weights;                  /* instead of the weights of sources */
    size_t n_weights;                     /* of these */
    bool lacks_one;                       /* the last row group's sources have none */
    void (*change)(eg_weight_sums *sums); /* called with the first row group's of sources */
} wrong;

static char path[64];
static int made = -1; /* descriptor of the file made last */

static void make_rows(void) {
    for (int g = 0; g < GROUPS; g++) {
        rows *r = &groups[g];
        r->n = group_rows[g];
        for (uint32_t i = 0; i < r->n; i++) {
            r->addr[0][i] = (uint32_t)(next_random() % 500 * next_random() % 500) + 0x0a000000;
            r->addr[1][i] = (uint32_t)next_random();
            r->packets[i] = 1 + (int64_t)(next_random() % 100 >> next_random() % 7);
            r->bytes[i] = r->packets[i] * (int64_t)(next_random() % 1500);
        }
    }
}

static void put_weights(eg_pq_chunk_data *data, const rows *r, int by, const wrong *w, int group) {
    static eg_weight_sums sums[EG_WEIGHT_BUCKETS];
    unsigned n_bits = eg_shard_weights_bits(r->n);
    eg_pq_extra *x = &data->extras[data->n_extras++];
    x->key = w->key != NULL ? w->key : EG_WEIGHTS_KEY;
    if (by == 0 && w->weights != NULL) {
        eg_pq_buffer_put(&x->bytes, w->weights, w->n_weights);
        x->n_head = x->bytes.n_bytes;
        return;
    }
    memset(sums, 0, sizeof sums);
    eg_shard_weights_sum(sums, n_bits, r->addr[by], r->bytes, r->packets, NULL, r->n);
    if (by == 0 && group == 0 && w->change != NULL)
        w->change(sums);
    assert_int_equal(eg_shard_weights_write(&x->bytes, sums, n_bits, codec, NULL), EG_OK);
    x->n_head = x->bytes.n_bytes;
}

/* Changes the place of the first weights in the footer; it is no longer than it was. */
static void rename_place(const char *say) {
    static char file[1 << 20];
    char now[64];
    ssize_t n = pread(made, file, sizeof file, 0);
    char *at = memmem(file, (size_t)n, EG_WEIGHTS_KEY, strlen(EG_WEIGHTS_KEY));
    assert_non_null(at);
    /* Behind the key: the value's field header and its length. */
    at += strlen(EG_WEIGHTS_KEY) + 1;
    size_t length = (uint8_t)*at++;
    assert_true(length < sizeof now && strlen(say) <= length);
    memset(now, '0', sizeof now); /* in front, where they change nothing */
    memcpy(now + length - strlen(say), say, strlen(say));
    assert_int_equal(pwrite(made, now, length, at - file), length);
}

static void make_file(const wrong *w) {
    static eg_pq_schema_element schema[1 + N_COLUMNS];
    static const char *const names[N_COLUMNS] = {"srcaddr", "dstaddr", "bytes", "packets"};
    schema[0] = (eg_pq_schema_element){
        .repetition = -1, .name = {(const uint8_t *)"s", 1}, .n_children = 4, .converted = -1};
    for (int c = 0; c < N_COLUMNS; c++)
        schema[c + 1] = (eg_pq_schema_element){
            .has_type = true,
            .type = c <= DSTADDR ? EG_PQ_INT32 : EG_PQ_INT64,
            .name = {(const uint8_t *)names[c], (uint32_t)strlen(names[c])},
            .converted = c <= DSTADDR ? EG_PQ_CONVERTED_UINT_8 + 2 : EG_PQ_CONVERTED_NONE};
    eg_pq_chunk_data data[N_COLUMNS];
    const eg_pq_chunk_data *chunks[N_COLUMNS] = {&data[0], &data[1], &data[2], &data[3]};
    uint32_t starts[1] = {0};
    eg_pq_writer *out;
    memset(data, 0, sizeof data);
    if (made >= 0)
        close(made);
    made = memfd_create("weights.parquet", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", made);
    assert_int_equal(eg_pq_writer_open(made, path, schema, 1 + N_COLUMNS, "test", &out, NULL),
                     EG_OK);
    for (int g = 0; g < GROUPS; g++) {
        const rows *r = &groups[g];
        const void *values[N_COLUMNS] = {r->addr[0], r->addr[1], r->bytes, r->packets};
        for (int c = 0; c < N_COLUMNS; c++) {
            eg_pq_chunk_input in = {.type = (eg_pq_type)schema[c + 1].type,
                                    .is_unsigned = c <= DSTADDR,
                                    .n_rows = r->n,
                                    .page_starts = starts,
                                    .n_pages = 1,
                                    .values = values[c]};
            assert_int_equal(eg_pq_chunk_encode(&in, codec, &data[c], NULL), EG_OK);
            if (c <= DSTADDR && !(w->lacks_one && c == SRCADDR && g == GROUPS - 1))
                put_weights(&data[c], r, c, w, g);
        }
        assert_int_equal(eg_pq_writer_add(out, chunks, NULL, 0, NULL), EG_OK);
    }
    assert_int_equal(eg_pq_writer_finish(out, NULL, 0, NULL), EG_OK);
    eg_pq_writer_close(out);
    for (int c = 0; c < N_COLUMNS; c++)
        eg_pq_chunk_free(&data[c]);
    if (w->say != NULL)
        rename_place(w->say);
}

static uint64_t measured(const rows *r, eg_weight measure, uint32_t i) {
    return measure == EG_WEIGHT_BYTES     ? (uint64_t)r->bytes[i]
           : measure == EG_WEIGHT_PACKETS ? (uint64_t)r->packets[i]
                                          : 1;
}

/* The totals are no less than the true sums of all row groups, and at most a quarter more than
** those of the buckets that each row group has. */
static void assert_totals(const uint64_t *totals, int by, eg_weight measure) {
    static uint64_t least[EG_WEIGHT_BUCKETS], most[EG_WEIGHT_BUCKETS], coarse[EG_WEIGHT_BUCKETS];
    memset(least, 0, sizeof least);
    memset(most, 0, sizeof most);
    for (int g = 0; g < GROUPS; g++) {
        const rows *r = &groups[g];
        unsigned shift = EG_WEIGHT_BITS - eg_shard_weights_bits(r->n);
        memset(coarse, 0, sizeof coarse);
        for (uint32_t i = 0; i < r->n; i++) {
            uint32_t bucket = eg_weight_bucket(r->addr[by][i]);
            least[bucket] += measured(r, measure, i);
            coarse[bucket >> shift] += measured(r, measure, i);
        }
        for (uint32_t b = 0; b < EG_WEIGHT_BUCKETS; b++)
            most[b] += coarse[b >> shift] + coarse[b >> shift] / 4;
    }
    for (uint32_t b = 0; b < EG_WEIGHT_BUCKETS; b++)
        assert_true(totals[b] >= least[b] && totals[b] <= most[b]);
}

static void totals_are_at_least_the_sums_and_at_most_a_quarter_more(void **state) {
    (void)state;
    static uint64_t totals[EG_WEIGHT_BUCKETS];
    eg_shard_weights w = {0};
    eg_pq_file *f;
    make_file(&(wrong){0});
    assert_int_equal(eg_pq_file_open(path, &f, NULL), EG_OK);
    for (int by = 0; by < 2; by++)
        for (int m = 0; m < EG_N_WEIGHTS; m++) {
            memset(totals, 0, sizeof totals);
            for (uint32_t g = 0; g < GROUPS; g++) {
                assert_int_equal(eg_shard_weights_read(&w, f, g, (uint32_t)by, NULL), EG_OK);
                assert_int_equal(w.n_bits, eg_shard_weights_bits(groups[g].n));
                eg_shard_weights_add(&w, (eg_weight)m, totals);
            }
            assert_totals(totals, by, (eg_weight)m);
        }
    assert_true(w.bytes_read > 0);
    eg_shard_weights_close(&w);
    eg_pq_file_close(f);
}

static void totals_stay_at_the_largest_number(void **state) {
    (void)state;
    static eg_weight_sums sums[1];
    static uint64_t totals[EG_WEIGHT_BUCKETS];
    const uint32_t addrs[2] = {1, 2};
    const int64_t large[2] = {INT64_MAX, INT64_MAX}, negative[2] = {-1, 5};
    eg_shard_weights_sum(sums, 0, addrs, large, negative, NULL, 2);
    assert_true(sums[0].of[EG_WEIGHT_BYTES] == UINT64_MAX - 1);
    assert_true(sums[0].of[EG_WEIGHT_PACKETS] == UINT64_MAX);
    eg_shard_weights_sum(sums, 0, addrs, large, negative, (const uint32_t[]){1}, 1);
    assert_true(sums[0].of[EG_WEIGHT_BYTES] == UINT64_MAX);
    assert_int_equal(sums[0].of[EG_WEIGHT_FLOWS], 3);

    const uint8_t codes[EG_N_WEIGHTS] = {251, 255, 3};
    const eg_shard_weights w = {.codes = codes};
    for (int i = 0; i < 2; i++)
        eg_shard_weights_add(&w, EG_WEIGHT_BYTES, totals);
    assert_true(totals[0] == UINT64_MAX && totals[EG_WEIGHT_BUCKETS - 1] == UINT64_MAX);
    eg_shard_weights_add(&w, EG_WEIGHT_PACKETS, totals);
    eg_shard_weights_add(&w, EG_WEIGHT_FLOWS, totals);
    assert_true(totals[0] == UINT64_MAX);
}

/* ---- Damage */

static eg_status read_first(const wrong *w, eg_err *err) {
    eg_shard_weights weights = {0};
    eg_pq_file *f;
    make_file(w);
    assert_int_equal(eg_pq_file_open(path, &f, NULL), EG_OK);
    eg_status rc = eg_shard_weights_read(&weights, f, 0, 0, err);
    assert_true((rc == EG_OK) == (weights.codes != NULL));
    eg_shard_weights_close(&weights);
    eg_pq_file_close(f);
    return rc;
}

static void a_chunk_without_weights_has_none(void **state) {
    (void)state;
    eg_err err;
    assert_int_equal(read_first(&(wrong){0}, &err), EG_OK);
    assert_int_equal(read_first(&(wrong){.key = "another.key"}, &err), EG_DONE);
}

/* Reading and verifying both say what is wrong. */
static void assert_refused(const wrong *w, const char *what) {
    eg_err err;
    eg_shard_facts facts;
    char expected[256];
    assert_int_equal(read_first(w, &err), EG_CORRUPT);
    snprintf(expected, sizeof expected, "%s: column srcaddr, row group 0: %s (earlgrey.weights)",
             path, what);
    assert_string_equal(err.msg, expected);
    assert_int_equal(eg_shard_verify(path, (eg_poll){0}, &facts, &err), EG_CORRUPT);
    assert_string_equal(err.msg, expected);
}

static void damaged_places_are_refused(void **state) {
    (void)state;
    static const char *const places[] = {"99999999 9 9", "4 9999999 9", "4 9 4294967296",
                                         "4 9",          "4 -9 9",      "4 9 9 9",
                                         "4  9 9",       "9 9x 9",      "4 9 99999999999999"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        assert_refused(&(wrong){.say = places[i]}, "expected offset, length and CRC in the file");
    assert_refused(&(wrong){.say = "4 00000 0"}, "expected weights of 1 to 65536 bytes");
    assert_refused(&(wrong){.say = "4 65537 0"}, "expected weights of 1 to 65536 bytes");
    assert_refused(&(wrong){.say = "4 9 9"}, "CRC of the weights differs");
}

static void damaged_weights_are_refused(void **state) {
    (void)state;
    const char *const not_theirs = "weights that are not those of their buckets";
    eg_pq_buffer one = {0};
    eg_weight_sums sums = {{1, 2, 3}};
    assert_int_equal(eg_shard_weights_write(&one, &sums, 0, codec, NULL), EG_OK);
    wrong w = {.weights = one.data, .n_weights = one.n_bytes};
    eg_err err;
    assert_int_equal(read_first(&w, &err), EG_OK);
    w.n_weights--; /* a frame cut */
    assert_refused(&w, not_theirs);
    w.n_weights = 1;
    assert_refused(&w, not_theirs);
    w.n_weights = one.n_bytes;
    one.data[0] = 1; /* half as many codes */
    assert_refused(&w, not_theirs);
    one.data[0] = 14;
    assert_refused(&w, not_theirs);
    one.data[0] = 15;
    assert_refused(&w, "weights of more than 2^14 buckets");
    one.data[0] = 0;
    eg_pq_buffer_put(&one, one.data + 1, 4); /* something behind them */
    w.weights = one.data;
    w.n_weights = one.n_bytes;
    assert_refused(&w, not_theirs);
    eg_pq_buffer_free(&one);
}

static void too_few_flows(eg_weight_sums *sums) {
    for (size_t b = 0;; b++)
        if (sums[b].of[EG_WEIGHT_FLOWS] > 0) {
            sums[b].of[EG_WEIGHT_FLOWS] = 0;
            return;
        }
}

static void too_few_bytes(eg_weight_sums *sums) {
    for (size_t b = 0;; b++)
        if (sums[b].of[EG_WEIGHT_BYTES] > 0) {
            sums[b].of[EG_WEIGHT_BYTES] /= 2;
            return;
        }
}

static void more(eg_weight_sums *sums) {
    sums[0].of[EG_WEIGHT_PACKETS] += 1000;
}

static void rows_that_sum_up_to_more_are_found(void **state) {
    (void)state;
    eg_err err = {.msg = ""};
    eg_shard_facts facts;
    make_file(&(wrong){0});
    assert_int_equal(eg_shard_verify(path, (eg_poll){0}, &facts, &err), EG_OK);
    make_file(&(wrong){.change = more});
    assert_int_equal(eg_shard_verify(path, (eg_poll){0}, &facts, &err), EG_OK);
    make_file(&(wrong){.lacks_one = true});
    assert_int_equal(eg_shard_verify(path, (eg_poll){0}, &facts, &err), EG_OK);
    make_file(&(wrong){.change = too_few_flows});
    assert_int_equal(eg_shard_verify(path, (eg_poll){0}, &facts, &err), EG_CORRUPT);
    assert_non_null(strstr(err.msg, ": column srcaddr, row group 0: rows sum up to more than the "
                                    "weights say"));
    make_file(&(wrong){.change = too_few_bytes});
    assert_int_equal(eg_shard_verify(path, (eg_poll){0}, &facts, &err), EG_CORRUPT);
}

/* ---- Sources */

/* What a source of the file, n_shards times over, says of the bytes by source address: before its
** rows, and the same between them. *n_rows is how many these are. */
static eg_status weigh(bool is_dataset, int n_shards, int64_t n_rows_known, uint64_t *totals,
                       int64_t *n_rows, eg_scan_stats *stats, eg_err *err) {
    const eg_vector_set vectors = EG_VECTOR_BIT(EG_VEC_SRCADDR);
    eg_shard_list list = {.is_dataset = is_dataset};
    eg_intern *texts;
    eg_source *source;
    eg_piece *piece;
    eg_batch b;
    for (int i = 0; i < n_shards; i++) {
        eg_shard *shard;
        assert_int_equal(eg_shard_list_add(&list, path, &shard, NULL), EG_OK);
        shard->n_rows = n_rows_known;
    }
    assert_int_equal(eg_intern_open(&texts, NULL), EG_OK);
    assert_int_equal(eg_batch_open(&b, vectors, texts, NULL), EG_OK);
    eg_scan_spec spec = {.vectors = vectors, .texts = texts};
    assert_int_equal(eg_shard_source_open(&list, &spec, &source, NULL), EG_OK);
    memset(totals, 0, EG_WEIGHT_BUCKETS * sizeof *totals);
    eg_status first = source->ops->weigh(source, EG_WEIGHT_BYTES, totals, NULL, err), rc;
    *n_rows = 0;
    while ((rc = source->ops->next_piece(source, &piece, NULL)) == EG_OK) {
        static uint64_t again[EG_WEIGHT_BUCKETS];
        while ((rc = piece->ops->next(piece, &b, NULL)) == EG_OK) {
            *n_rows += b.n_rows;
            memset(again, 0, sizeof again);
            assert_int_equal(source->ops->weigh(source, EG_WEIGHT_BYTES, again, NULL, NULL), first);
            if (first == EG_OK)
                assert_memory_equal(again, totals, sizeof again);
        }
        assert_int_equal(rc, EG_DONE);
        piece->ops->close(piece, stats);
    }
    source->ops->close(source, stats);
    eg_batch_close(&b);
    eg_intern_close(texts);
    return first;
}

#define N_ROWS (MOST_ROWS + 150 + 3)

static void a_dataset_knows_what_its_rows_sum_up_to_at_most(void **state) {
    (void)state;
    static uint64_t once[EG_WEIGHT_BUCKETS], twice[EG_WEIGHT_BUCKETS];
    eg_scan_stats stats = {0};
    int64_t n_rows;
    make_file(&(wrong){0});
    assert_int_equal(weigh(true, 1, N_ROWS, once, &n_rows, &stats, NULL), EG_OK);
    assert_int_equal(n_rows, N_ROWS);
    assert_totals(once, 0, EG_WEIGHT_BYTES);
    assert_int_equal(stats.files, 1);
    assert_int_equal(stats.row_groups, GROUPS);
    assert_int_equal(weigh(true, 2, N_ROWS, twice, &n_rows, &stats, NULL), EG_OK);
    assert_int_equal(n_rows, 2 * N_ROWS);
    for (uint32_t b = 0; b < EG_WEIGHT_BUCKETS; b++)
        assert_true(twice[b] == 2 * once[b]);
}

static void what_is_read_to_weigh_is_counted(void **state) {
    (void)state;
    static uint64_t totals[EG_WEIGHT_BUCKETS];
    eg_scan_stats weighed = {0}, not = {0};
    int64_t n_rows;
    make_file(&(wrong){0});
    assert_int_equal(weigh(true, 1, N_ROWS, totals, &n_rows, &weighed, NULL), EG_OK);
    assert_int_equal(weigh(false, 1, N_ROWS, totals, &n_rows, &not, NULL), EG_DONE);
    assert_true(weighed.bytes_read > not .bytes_read);
}

static void others_do_not_know(void **state) {
    (void)state;
    static uint64_t totals[EG_WEIGHT_BUCKETS];
    eg_err err;
    eg_scan_stats stats = {0};
    int64_t n_rows;
    make_file(&(wrong){0});
    assert_int_equal(weigh(false, 1, N_ROWS, totals, &n_rows, &stats, &err), EG_DONE);
    assert_int_equal(n_rows, N_ROWS);
    assert_int_equal(weigh(true, 1, -1, totals, &n_rows, &stats, &err), EG_DONE);
    assert_int_equal(weigh(true, 1, N_ROWS, totals, &n_rows, &stats, &err), EG_OK);
    make_file(&(wrong){.lacks_one = true});
    assert_int_equal(weigh(true, 1, N_ROWS, totals, &n_rows, &stats, &err), EG_DONE);
    make_file(&(wrong){.key = "another.key"});
    assert_int_equal(weigh(true, 1, N_ROWS, totals, &n_rows, &stats, &err), EG_DONE);
    assert_int_equal(n_rows, N_ROWS);
    make_file(&(wrong){.say = "4 9 9"});
    assert_int_equal(weigh(true, 1, N_ROWS, totals, &n_rows, &stats, &err), EG_CORRUPT);
}

/* A shard that is not there, or another one: the scan says so in its turn. */
static void shards_that_cannot_be_opened_are_not_known(void **state) {
    (void)state;
    static uint64_t totals[EG_WEIGHT_BUCKETS];
    eg_intern *texts;
    eg_source *source;
    eg_err err;
    make_file(&(wrong){0});
    assert_int_equal(eg_intern_open(&texts, NULL), EG_OK);
    for (int i = 0; i < 3; i++) {
        eg_shard_list list = {.is_dataset = true};
        eg_shard *shard;
        assert_int_equal(eg_shard_list_add(&list, i == 0 ? "/nowhere.parquet" : path, &shard, NULL),
                         EG_OK);
        shard->n_rows = i == 1 ? N_ROWS + 1 : N_ROWS;
        shard->size_bytes = i == 2 ? 1000 : -1;
        eg_scan_spec spec = {.texts = texts};
        assert_int_equal(eg_shard_source_open(&list, &spec, &source, NULL), EG_OK);
        assert_int_equal(source->ops->weigh(source, EG_WEIGHT_FLOWS, NULL, totals, &err), EG_DONE);
        source->ops->close(source, NULL);
    }
    eg_intern_close(texts);
}

/* So many that opening them would take longer than it saves. */
static void a_thousand_shards_are_weighed_and_no_more(void **state) {
    (void)state;
    static uint64_t totals[EG_WEIGHT_BUCKETS];
    eg_intern *texts;
    eg_source *source;
    make_file(&(wrong){0});
    assert_int_equal(eg_intern_open(&texts, NULL), EG_OK);
    for (int n_shards = 1000; n_shards <= 1001; n_shards++) {
        eg_shard_list list = {.is_dataset = true};
        for (int i = 0; i < n_shards; i++) {
            eg_shard *shard;
            assert_int_equal(eg_shard_list_add(&list, path, &shard, NULL), EG_OK);
            shard->n_rows = N_ROWS;
        }
        eg_scan_spec spec = {.texts = texts};
        assert_int_equal(eg_shard_source_open(&list, &spec, &source, NULL), EG_OK);
        assert_int_equal(source->ops->weigh(source, EG_WEIGHT_FLOWS, NULL, totals, NULL),
                         n_shards == 1000 ? EG_OK : EG_DONE);
        source->ops->close(source, NULL);
    }
    eg_intern_close(texts);
}

static int set_up(void **state) {
    make_rows();
    return open_codec(state);
}

static int tear_down(void **state) {
    if (made >= 0)
        close(made);
    return close_codec(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_is_the_least_that_is_not_below_its_sums),
        cmocka_unit_test(sums_are_rounded_up_by_a_quarter_at_most),
        cmocka_unit_test(buckets_are_of_some_64_rows),
        cmocka_unit_test(totals_are_at_least_the_sums_and_at_most_a_quarter_more),
        cmocka_unit_test(totals_stay_at_the_largest_number),
        cmocka_unit_test(a_chunk_without_weights_has_none),
        cmocka_unit_test(damaged_places_are_refused),
        cmocka_unit_test(damaged_weights_are_refused),
        cmocka_unit_test(rows_that_sum_up_to_more_are_found),
        cmocka_unit_test(a_dataset_knows_what_its_rows_sum_up_to_at_most),
        cmocka_unit_test(what_is_read_to_weigh_is_counted),
        cmocka_unit_test(others_do_not_know),
        cmocka_unit_test(shards_that_cannot_be_opened_are_not_known),
        cmocka_unit_test(a_thousand_shards_are_weighed_and_no_more),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
