/*
** Four ways to codes: a table of presence for up to 65,536 possible values, a hash table
** for as many distinct ones, a radix sort for addresses beyond that, and for source addresses
** their order: rows are stored by them, run after run. The entries are in order in the end, as
** bounds and readers' searches want them. A column of one value has no codes at all.
*/
#include "dataset/column_encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/radix.h"
#include "flow/address_order.h"
#include "parquet/shard_keys.h"
#include "parquet/shard_weights.h"

#define MAX_SMALL 65536u          /* values of a column of up to 16 bits */
#define MAX_ENTRIES (1u << 17)    /* of a dictionary that is not of addresses */
#define MAX_HASHED (1u << 18)     /* distinct values found by hash */
#define VALUES_OF_ENTRY 8         /* rows of a number in a dictionary, or it is none */
#define HASH_SLOTS (1u << 19)     /* at most half full */
#define FIRST_SLOTS_BITS 10       /* log2 of those a column begins with: most need few */
#define PREFETCH_ROWS 16          /* between asking for a slot and looking at it */
#define BLOOM_VALUE_BITS 8        /* one absent address in 25 or so gets through */
#define BLOOM_LEAST_ENTRIES 4096u /* of fewer, the dictionary is as quick to look at */
#define KEY_LEAST_ENTRIES 4096u   /* of fewer numbers, the dictionary is as quick to read */

typedef struct slot {
    uint32_t value;
    uint32_t code_plus_1; /* 0: empty */
} slot;

struct eg_encoder {
    eg_pq_codec *codec;
    void *values;     /* [EG_ROWS_MAX] of up to 8 bytes, in stored order */
    uint32_t *codes;  /* [EG_ROWS_MAX] */
    uint32_t *small;  /* [MAX_SMALL] presence, then codes */
    slot *slots;      /* [HASH_SLOTS] */
    uint64_t *sorted; /* [EG_ROWS_MAX] words of a radix sort, and its other half */
    uint64_t *spare;
    int64_t *entries;   /* [EG_ROWS_MAX] distinct values in order */
    eg_pq_bytes *texts; /* [n] of a dictionary, and the room they are in */
    char *text_room;
    size_t n_texts;
};

eg_status eg_encoder_open(eg_encoder **out, eg_err *err) {
    eg_encoder *e = calloc(1, sizeof *e);
    *out = NULL;
    if (e == NULL)
        return eg_fail_nomem(err, "an encoder");
    e->values = malloc(EG_ROWS_MAX * sizeof(int64_t));
    e->codes = malloc(EG_ROWS_MAX * sizeof *e->codes);
    e->small = malloc(MAX_SMALL * sizeof *e->small);
    e->slots = malloc(HASH_SLOTS * sizeof *e->slots);
    e->sorted = malloc(EG_ROWS_MAX * sizeof *e->sorted);
    e->spare = malloc(EG_ROWS_MAX * sizeof *e->spare);
    e->entries = malloc(EG_ROWS_MAX * sizeof *e->entries);
    eg_status rc = eg_pq_codec_open(&e->codec, err);
    if (rc == EG_OK &&
        (e->values == NULL || e->codes == NULL || e->small == NULL || e->slots == NULL ||
         e->sorted == NULL || e->spare == NULL || e->entries == NULL))
        rc = eg_fail_nomem(err, "an encoder");
    if (rc != EG_OK) {
        eg_encoder_close(e);
        return rc;
    }
    *out = e;
    return EG_OK;
}

void eg_encoder_close(eg_encoder *e) {
    if (e == NULL)
        return;
    eg_pq_codec_close(e->codec);
    free(e->values);
    free(e->codes);
    free(e->small);
    free(e->slots);
    free(e->sorted);
    free(e->spare);
    free(e->entries);
    free(e->texts);
    free(e->text_room);
    free(e);
}

/* ---- The schema */

uint32_t eg_stored_columns(eg_column columns[EG_N_COLUMNS]) {
    uint32_t n = 0;
    for (int c = 0; c < EG_N_COLUMNS; c++)
        if (eg_column_about((eg_column)c)->parquet[0] != '\0')
            columns[n++] = (eg_column)c;
    return n;
}

static eg_pq_bytes bytes_of_text(const char *text) {
    return (eg_pq_bytes){.data = (const uint8_t *)text, .n_bytes = (uint32_t)strlen(text)};
}

static bool is_number_address(eg_column column, bool dotted) {
    return eg_column_about(column)->kind == EG_KIND_IP4 && !dotted;
}

/* The Parquet type that schema.def names. */
static eg_pq_schema_element element_of(eg_column column, bool dotted) {
    const eg_column_info *about = eg_column_about(column);
    const char *name = is_number_address(column, dotted) ? "INT32 (UINT_32)" : about->parquet;
    eg_pq_schema_element x = {.has_type = true,
                              .type = EG_PQ_INT32,
                              .repetition = EG_PQ_REQUIRED,
                              .name = bytes_of_text(about->name),
                              .converted = EG_PQ_CONVERTED_NONE};
    if (strcmp(name, "STRING") == 0) {
        x.type = EG_PQ_BYTE_ARRAY;
        x.converted = EG_PQ_CONVERTED_UTF8;
        x.logical.id = EG_PQ_LOGICAL_ID_STRING;
    } else if (strncmp(name, "TIMESTAMP", 9) == 0) {
        x.type = EG_PQ_INT64;
        x.converted = EG_PQ_CONVERTED_TIMESTAMP_MILLIS;
        x.logical = (eg_pq_logical_type){
            .id = EG_PQ_LOGICAL_ID_TIMESTAMP, .is_utc = true, .unit = EG_PQ_MILLIS};
    } else if (strcmp(name, "INT64") == 0) {
        x.type = EG_PQ_INT64;
    } else if (strncmp(name, "INT32 (UINT_", 12) == 0) {
        int bits = (int)strtol(name + 12, NULL, 10);
        x.converted = bits == 8    ? EG_PQ_CONVERTED_UINT_8
                      : bits == 16 ? EG_PQ_CONVERTED_UINT_8 + 1
                                   : EG_PQ_CONVERTED_UINT_8 + 2;
        x.logical = (eg_pq_logical_type){.id = EG_PQ_LOGICAL_ID_INTEGER, .bits = (int8_t)bits};
    }
    return x;
}

uint32_t eg_stored_schema(bool dotted, eg_pq_schema_element schema[EG_N_COLUMNS + 1]) {
    eg_column columns[EG_N_COLUMNS];
    uint32_t n = eg_stored_columns(columns);
    schema[0] = (eg_pq_schema_element){.name = bytes_of_text("flow"),
                                       .repetition = -1,
                                       .n_children = (int32_t)n,
                                       .converted = EG_PQ_CONVERTED_NONE};
    for (uint32_t i = 0; i < n; i++)
        schema[i + 1] = element_of(columns[i], dotted);
    return n + 1;
}

/* ---- Gathering */

/* The rows to encode of a column. */
typedef struct column_rows {
    const void *v; /* the buffer's array */
    size_t width;
    const uint32_t *rows; /* [n] */
    uint32_t n;
    bool is_all; /* they are all rows of the buffer */
} column_rows;

#define GATHER(name, from, to)                                                                     \
    static void name(to *out, const from *v, const uint32_t *rows, uint32_t n) {                   \
        for (uint32_t i = 0; i < n; i++)                                                           \
            out[i] = (to)v[rows[i]];                                                               \
    }
GATHER(gather_32, uint32_t, uint32_t)
GATHER(gather_64, int64_t, int64_t)

/* Values of 32 or 64 bits, to e->values. */
static void gather(eg_encoder *e, const column_rows *c) {
    if (c->width == 4)
        gather_32(e->values, c->v, c->rows, c->n);
    else
        gather_64(e->values, c->v, c->rows, c->n);
}

/* Whether all rows have the same: as ten columns of one exporter do. */
static bool is_constant(const void *v, size_t width, uint32_t n) {
    return memcmp(v, (const uint8_t *)v + width, (n - 1) * width) == 0;
}

/* ---- Dictionaries of numbers. Each returns the entries; codes are in e->codes. */

/* Marks in `small` which values there are: of all rows, or of some; gives rows their codes. */
#define SMALL(bits, ctype)                                                                         \
    static void mark_##bits(uint32_t *small, const ctype *v, uint32_t n) {                         \
        for (uint32_t i = 0; i < n; i++)                                                           \
            small[v[i]] = 1;                                                                       \
    }                                                                                              \
    static void mark_rows_##bits(uint32_t *small, const ctype *v, const uint32_t *rows,            \
                                 uint32_t n) {                                                     \
        for (uint32_t i = 0; i < n; i++)                                                           \
            small[v[rows[i]]] = 1;                                                                 \
    }                                                                                              \
    static void give_##bits(uint32_t *codes, const uint32_t *small, const ctype *v,                \
                            const uint32_t *rows, uint32_t n) {                                    \
        for (uint32_t i = 0; i < n; i++)                                                           \
            codes[i] = small[v[rows[i]]];                                                          \
    }
SMALL(8, uint8_t)
SMALL(16, uint16_t)

/* Of a column of up to 16 bits. The entries are in e->entries, in order. */
static uint32_t code_small(eg_encoder *e, const column_rows *c) {
    uint32_t limit = 1u << 8 * c->width, n_entries = 0;
    memset(e->small, 0, limit * sizeof *e->small);
    if (c->width == 1 && c->is_all)
        mark_8(e->small, c->v, c->n);
    else if (c->width == 1)
        mark_rows_8(e->small, c->v, c->rows, c->n);
    else if (c->is_all)
        mark_16(e->small, c->v, c->n);
    else
        mark_rows_16(e->small, c->v, c->rows, c->n);
    for (uint32_t value = 0; value < limit; value++)
        if (e->small[value] != 0) {
            e->entries[n_entries] = value;
            e->small[value] = n_entries++;
        }
    if (c->width == 1)
        give_8(e->codes, e->small, c->v, c->rows, c->n);
    else
        give_16(e->codes, e->small, c->v, c->rows, c->n);
    return n_entries;
}

static uint32_t hash_of(uint32_t value, unsigned slot_bits) {
    return value * UINT32_C(0x9e3779b1) >> (32 - slot_bits);
}

/* The slot of a value, or an empty one for it, among 2^slot_bits. */
static slot *find_slot(eg_encoder *e, unsigned slot_bits, uint32_t value) {
    uint32_t mask = (1u << slot_bits) - 1;
    for (uint32_t at = hash_of(value, slot_bits);; at = (at + 1) & mask)
        if (e->slots[at].code_plus_1 == 0 || e->slots[at].value == value)
            return &e->slots[at];
}

/* Twice the slots, for entries that are in e->sorted as they arrived. */
static void double_slots(eg_encoder *e, unsigned *slot_bits, uint32_t n_entries) {
    memset(e->slots, 0, sizeof *e->slots << ++*slot_bits);
    for (uint32_t c = 0; c < n_entries; c++) {
        uint32_t value = (uint32_t)(e->sorted[c] >> 32);
        *find_slot(e, *slot_bits, value) = (slot){.value = value, .code_plus_1 = c + 1};
    }
}

/* Codes in order of arrival, and the entries as words [value | code] in e->sorted; 0 where there
** are more than max_entries. */
static uint32_t code_arrivals(eg_encoder *e, const uint32_t *values, uint32_t n,
                              uint32_t max_entries) {
    uint32_t n_entries = 0;
    unsigned slot_bits = FIRST_SLOTS_BITS;
    memset(e->slots, 0, sizeof *e->slots << slot_bits);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t ahead = i + PREFETCH_ROWS < n ? i + PREFETCH_ROWS : i;
        __builtin_prefetch(&e->slots[hash_of(values[ahead], slot_bits)]);
        uint32_t value = values[i];
        slot *s = find_slot(e, slot_bits, value);
        if (s->code_plus_1 != 0) {
            e->codes[i] = s->code_plus_1 - 1;
            continue;
        }
        if (n_entries == max_entries)
            return 0;
        e->codes[i] = n_entries;
        e->sorted[n_entries] = (uint64_t)value << 32 | n_entries;
        *s = (slot){.value = value, .code_plus_1 = ++n_entries};
        if (2 * n_entries > 1u << slot_bits && n_entries < max_entries)
            double_slots(e, &slot_bits, n_entries);
    }
    return n_entries;
}

/* Of numbers of 32 bits in values, which may be e->codes, by hash; 0 where there are more than
** max_entries (up to MAX_HASHED) distinct ones. The entries are in e->entries, in order. */
static uint32_t code_hashed(eg_encoder *e, const uint32_t *values, uint32_t n,
                            uint32_t max_entries) {
    uint32_t n_entries = code_arrivals(e, values, n, max_entries);
    eg_radix_sort(&e->sorted, &e->spare, n_entries, 32);
    uint32_t *place = (uint32_t *)e->spare;
    for (uint32_t c = 0; c < n_entries; c++) {
        e->entries[c] = (int64_t)(e->sorted[c] >> 32);
        place[(uint32_t)e->sorted[c]] = c;
    }
    for (uint32_t i = 0; i < n && n_entries > 0; i++)
        e->codes[i] = place[e->codes[i]];
    return n_entries;
}

/* Of numbers of 32 bits in e->values, however many, by a sort of [value | row]. */
static uint32_t code_sorted(eg_encoder *e, uint32_t n) {
    const uint32_t *values = e->values;
    for (uint32_t i = 0; i < n; i++)
        e->sorted[i] = (uint64_t)values[i] << 32 | i;
    eg_radix_sort(&e->sorted, &e->spare, n, 32);
    uint32_t n_entries = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t value = (int64_t)(e->sorted[i] >> 32);
        if (n_entries == 0 || e->entries[n_entries - 1] != value)
            e->entries[n_entries++] = value;
        e->codes[(uint32_t)e->sorted[i]] = n_entries - 1;
    }
    return n_entries;
}

/* The place of a value among entries that have it. */
static uint32_t find_entry(const int64_t *entries, uint32_t n_entries, int64_t value) {
    uint32_t lo = 0, hi = n_entries;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (entries[mid] <= value)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* The same of numbers that ascend, but for a few places where they start again. */
static uint32_t code_runs(eg_encoder *e, uint32_t n) {
    const uint32_t *values = e->values;
    uint32_t n_words = 0, n_entries = 0, code = 0;
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || values[i] != values[i - 1])
            e->sorted[n_words++] = values[i];
    eg_radix_sort(&e->sorted, &e->spare, n_words, 0);
    for (uint32_t i = 0; i < n_words; i++)
        if (i == 0 || e->sorted[i] != e->sorted[i - 1])
            e->entries[n_entries++] = (int64_t)e->sorted[i];
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || values[i] < values[i - 1])
            code = find_entry(e->entries, n_entries, values[i]);
        while (e->entries[code] != values[i])
            code++;
        e->codes[i] = code;
    }
    return n_entries;
}

/* ---- Dictionaries of texts */

static eg_status need_texts(eg_encoder *e, size_t n, eg_err *err) {
    if (n <= e->n_texts)
        return EG_OK;
    eg_pq_bytes *texts = realloc(e->texts, n * sizeof *texts);
    if (texts != NULL)
        e->texts = texts;
    char *room = realloc(e->text_room, n * EG_PROTO_TEXT_MAX);
    if (room != NULL)
        e->text_room = room;
    if (texts == NULL || room == NULL)
        return eg_fail_nomem(err, "a dictionary");
    e->n_texts = n;
    return EG_OK;
}

/* The texts of address keys in e->entries; their keys once more, behind the chunk. */
static eg_status write_addresses(eg_encoder *e, uint32_t n_entries, eg_err *err) {
    eg_status rc = need_texts(e, n_entries, err);
    char *to = e->text_room;
    for (uint32_t i = 0; i < n_entries && rc == EG_OK; i++) {
        size_t n = eg_ip4_format(eg_ip4_of_text_key((uint32_t)e->entries[i]), to);
        e->texts[i] = (eg_pq_bytes){.data = (const uint8_t *)to, .n_bytes = (uint32_t)n};
        to += n;
    }
    return rc;
}

static int compare_texts(const void *a, const void *b) {
    const eg_pq_bytes *x = a, *y = b;
    return eg_bytes_compare(x->data, x->n_bytes, y->data, y->n_bytes);
}

/* Codes of texts, or protocol numbers, of which few are in use: e->entries has the
** n_entries numbers that e->codes refer to. Brings both into the order of the texts, which
** are distinct. */
static eg_status sort_texts(eg_encoder *e, uint32_t n, uint32_t n_entries, eg_kind kind,
                            eg_code_texts texts, eg_err *err) {
    eg_status rc = need_texts(e, 2 * (size_t)n_entries, err);
    if (rc != EG_OK)
        return rc;
    eg_pq_bytes *unsorted = e->texts + n_entries;
    for (uint32_t c = 0; c < n_entries; c++) {
        char *to = e->text_room + (size_t)c * EG_PROTO_TEXT_MAX;
        if (kind == EG_KIND_PROTO)
            unsorted[c] =
                (eg_pq_bytes){.data = (const uint8_t *)to,
                              .n_bytes = (uint32_t)eg_proto_format((uint8_t)e->entries[c], to)};
        else
            unsorted[c] = texts.texts[e->entries[c]];
        e->texts[c] = unsorted[c];
    }
    qsort(e->texts, n_entries, sizeof *e->texts, compare_texts);
    uint32_t *place = (uint32_t *)e->spare;
    for (uint32_t c = 0; c < n_entries; c++)
        place[c] = (uint32_t)((eg_pq_bytes *)bsearch(&unsorted[c], e->texts, n_entries,
                                                     sizeof *e->texts, compare_texts) -
                              e->texts);
    for (uint32_t i = 0; i < n; i++)
        e->codes[i] = place[e->codes[i]];
    return EG_OK;
}

/* ---- Columns */

/* The entries as a dictionary of 32 bits. */
static const void *narrow_entries(eg_encoder *e, uint32_t n_entries) {
    int32_t *narrow = (int32_t *)e->spare;
    for (uint32_t i = 0; i < n_entries; i++)
        narrow[i] = (int32_t)(uint32_t)e->entries[i];
    return narrow;
}

/* Source addresses are in order within each run of the rows: `order` has their keys, of the
** rows from `first` on. */
static eg_status prepare_address(eg_encoder *e, const column_rows *c, const eg_row_order *order,
                                 uint32_t first, const eg_encode_options *options,
                                 eg_pq_chunk_input *in, eg_err *err) {
    uint32_t n_entries, *values = e->values;
    if (order != NULL) {
        for (uint32_t i = 0; i < c->n; i++)
            values[i] = eg_row_address_key(order, first + i);
        n_entries = code_runs(e, c->n);
    } else {
        gather(e, c);
        if (options->layout.dotted)
            eg_ip4_text_keys(values, c->n);
        n_entries = code_hashed(e, values, c->n, MAX_HASHED);
        if (n_entries == 0)
            n_entries = code_sorted(e, c->n);
    }
    in->codes = e->codes;
    in->n_entries = n_entries;
    in->bloom_value_bits = n_entries >= BLOOM_LEAST_ENTRIES ? BLOOM_VALUE_BITS : 0;
    if (!options->layout.dotted) {
        in->dictionary = narrow_entries(e, n_entries);
        return EG_OK;
    }
    eg_status rc = write_addresses(e, n_entries, err);
    in->dictionary = e->texts;
    return rc;
}

static eg_status prepare_text(eg_encoder *e, const column_rows *c, eg_kind kind,
                              eg_code_texts texts, eg_pq_chunk_input *in, eg_err *err) {
    uint32_t n_entries;
    if (kind == EG_KIND_PROTO) {
        n_entries = code_small(e, c);
    } else {
        gather(e, c);
        n_entries = code_hashed(e, e->values, c->n, MAX_ENTRIES);
    }
    if (n_entries == 0)
        return eg_fail(err, EG_LIMIT, -1,
                       "over %u texts of a column in one row group: exporters or files",
                       MAX_ENTRIES);
    eg_status rc = sort_texts(e, c->n, n_entries, kind, texts, err);
    in->codes = e->codes;
    in->n_entries = n_entries;
    in->dictionary = e->texts;
    return rc;
}

static void prepare_small(eg_encoder *e, const column_rows *c, eg_pq_chunk_input *in) {
    in->n_entries = code_small(e, c);
    in->codes = e->codes;
    in->dictionary = narrow_entries(e, in->n_entries);
}

/* Copies numbers that fit 32 bits; false where one does not. */
static bool copy_narrow(uint32_t *out, const int64_t *values, uint32_t n) {
    uint64_t any = 0;
    for (uint32_t i = 0; i < n; i++) {
        any |= (uint64_t)values[i];
        out[i] = (uint32_t)values[i];
    }
    return any <= UINT32_MAX;
}

/* Numbers of 32 or 64 bits: a dictionary where it is likely to be smaller. Counters of 64 bits
** hold 32 of the exporter's. */
static void prepare_number(eg_encoder *e, const column_rows *c, eg_pq_chunk_input *in) {
    bool wide = c->width == 8;
    uint32_t max_entries = in->n_rows / VALUES_OF_ENTRY;
    max_entries = max_entries < MAX_ENTRIES ? max_entries : MAX_ENTRIES;
    uint32_t n_entries = 0;
    gather(e, c);
    if (!wide)
        n_entries = code_hashed(e, e->values, c->n, max_entries);
    else if (copy_narrow(e->codes, e->values, c->n))
        n_entries = code_hashed(e, e->codes, c->n, max_entries);
    if (n_entries == 0) {
        in->values = e->values;
        return;
    }
    in->codes = e->codes;
    in->n_entries = n_entries;
    in->dictionary = wide ? e->entries : narrow_entries(e, n_entries);
}

/* Puts what finds one entry of many behind the chunk: the entries once more, packed
** (parquet/shard_keys.h), of dotted addresses, and of numbers where there are many; of addresses
** that are numbers where their parts are in the dictionary (parquet/shard_parts.h). */
static eg_status add_keys(eg_encoder *e, const eg_pq_chunk_input *in, eg_kind kind, bool dotted,
                          eg_pq_chunk_data *out, eg_err *err) {
    uint32_t n_entries = in->n_entries;
    bool is_number = kind == EG_KIND_INT && n_entries >= KEY_LEAST_ENTRIES;
    eg_pq_extra *x = &out->extras[out->n_extras];
    if (n_entries == 0 || (!is_number && kind != EG_KIND_IP4))
        return EG_OK;
    if (is_number || dotted) {
        if (eg_shard_parts_write(&x->bytes, out->bytes.n_bytes, e->entries, n_entries, &x->n_head))
            x->key = EG_PARTS_KEY;
    } else if (eg_shard_plain_write(&x->bytes, out->bytes.data, out->bytes.n_bytes, in->dictionary,
                                    n_entries)) {
        x->key = EG_PLAIN_KEY;
        x->n_head = x->bytes.n_bytes;
    }
    out->n_extras += x->key != NULL;
    return x->bytes.status == EG_OK ? EG_OK : eg_fail_nomem(err, "a dictionary");
}

/* Puts behind the chunk of an address what its rows sum up to, by bucket. */
static eg_status add_weights(eg_encoder *e, const eg_rows *rows, const eg_row_order *order,
                             const eg_row_group *group, const uint32_t *addrs,
                             eg_pq_chunk_data *out, eg_err *err) {
    eg_weight_sums *sums = (eg_weight_sums *)e->sorted;
    _Static_assert(sizeof *sums * EG_WEIGHT_BUCKETS <= EG_ROWS_MAX * sizeof *e->sorted, "room");
    unsigned n_bits = eg_shard_weights_bits(group->n_rows);
    bool is_all = group->n_rows == rows->n_rows; /* in any order, then: the cache's */
    memset(sums, 0, sizeof *sums << n_bits);
    eg_shard_weights_sum(sums, n_bits, addrs, rows->v.BYTES, rows->v.PACKETS,
                         is_all ? NULL : order->rows + group->first, group->n_rows);
    eg_pq_extra *x = &out->extras[out->n_extras++];
    x->key = EG_WEIGHTS_KEY;
    eg_status rc = eg_shard_weights_write(&x->bytes, sums, n_bits, e->codec, err);
    x->n_head = x->bytes.n_bytes;
    return rc;
}

/* Columns that are read whole more often than row by row, for rankings, have pages twice as
** long: each costs its codec tables of its own. */
static bool has_long_pages(eg_column column) {
    return column == EG_COL_PACKETS || column == EG_COL_BYTES;
}

/* Takes each second page with the one before it. */
static void pair_pages(eg_encoder *e, eg_pq_chunk_input *in) {
    uint32_t *starts = (uint32_t *)e->sorted, n = 0;
    for (uint32_t p = 0; p < in->n_pages; p += 2)
        starts[n++] = in->page_starts[p];
    in->page_starts = starts;
    in->n_pages = n;
}

eg_status eg_encode_column(eg_encoder *e, const eg_rows *rows, const eg_row_order *order,
                           const eg_row_group *group, eg_column column, eg_code_texts texts,
                           const eg_encode_options *options, eg_pq_chunk_data *out, eg_err *err) {
    const eg_column_info *about = eg_column_about(column);
    eg_pq_schema_element element = element_of(column, options->layout.dotted);
    column_rows c = {.v = eg_rows_array(rows, about->vector),
                     .width = eg_vector_width(about->vector),
                     .rows = order->rows + group->first,
                     .n = group->n_rows,
                     .is_all = group->n_rows == rows->n_rows};
    eg_pq_chunk_input in = {.type = (eg_pq_type)element.type,
                            .is_unsigned = element.logical.id == EG_PQ_LOGICAL_ID_INTEGER,
                            .n_rows = c.n,
                            .page_starts = group->page_starts,
                            .n_pages = group->n_pages,
                            .compression = options->compression,
                            .level = options->level};
    bool is_unique = about->kind == EG_KIND_TIME || column == EG_COL_FLOW_SEQUENCE;
    bool is_one = !is_unique && c.n >= VALUES_OF_ENTRY && is_constant(c.v, c.width, rows->n_rows);
    if (is_one) {
        c.n = 1;
        c.is_all = false;
    }

    eg_status rc = EG_OK;
    if (about->kind == EG_KIND_IP4) {
        bool is_ordered = column == EG_COL_SRCADDR && options->layout.by_address;
        rc = prepare_address(e, &c, is_ordered ? order : NULL, group->first, options, &in, err);
    } else if (about->kind == EG_KIND_PROTO || about->kind == EG_KIND_TEXT) {
        rc = prepare_text(e, &c, about->kind, texts, &in, err);
    } else if (c.width <= 2) {
        prepare_small(e, &c, &in);
    } else if (is_unique) {
        gather(e, &c);
        in.values = e->values;
    } else {
        prepare_number(e, &c, &in);
    }
    if (is_one)
        in.codes = NULL;
    if (has_long_pages(column))
        pair_pages(e, &in);
    if (rc == EG_OK)
        rc = eg_pq_chunk_encode(&in, e->codec, out, err);
    if (rc == EG_OK)
        rc = add_keys(e, &in, about->kind, options->layout.dotted, out, err);
    if (rc == EG_OK && (column == EG_COL_SRCADDR || column == EG_COL_DSTADDR))
        rc = add_weights(e, rows, order, group, eg_rows_array(rows, about->vector), out, err);
    return rc;
}
