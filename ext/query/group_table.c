/* Partitioned summing; see the header for the idea. */
#include "query/group_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define N_PARTITIONS 256
#define CHUNK_WORDS 512 /* 4 KiB of waiting rows */
#define MAX_CHUNKS 8192 /* 32 MiB: what waits before it is summed */
#define NO_CHUNK UINT32_MAX
#define CHUNKS_BYTES ((size_t)MAX_CHUNKS * CHUNK_WORDS * sizeof(uint64_t))
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* A waiting row is its key words and its counters: packets above, bytes below, 32
** bits each, as NetFlow v5 has them. Counters that need more stand aside, and the
** row has WIDE and their number instead. */
#define WIDE UINT32_MAX
typedef struct wide_counters {
    int64_t bytes, packets;
} wide_counters;

/* Rows wait in chunks of 4 KiB, a list for each partition. */
typedef struct partition {
    uint64_t *row;     /* where the next row goes, in the newest chunk */
    uint32_t n_free;   /* rows that still fit there */
    uint32_t chunk;    /* newest chunk, NO_CHUNK without one */
    uint32_t n_chunks; /* in the list */
    uint32_t n_groups;
    uint64_t *groups; /* [n_groups] entries, dense */
} partition;

struct eg_group_table {
    unsigned n_words;
    eg_group_check check; /* may be NULL */
    void *check_arg;
    uint32_t chunk_rows;  /* rows in a chunk */
    uint64_t seed;        /* of this table: nobody can choose addresses that collide */
    uint64_t *chunks;     /* [MAX_CHUNKS * CHUNK_WORDS], touched as far as used */
    uint32_t *next_chunk; /* [MAX_CHUNKS] the next older one of the same partition */
    uint32_t n_chunks;    /* handed out since the last summing */
    wide_counters *wide;  /* [n_wide] of waiting rows */
    uint32_t n_wide, wide_capacity;
    uint32_t *slots;       /* scratch index over one partition's groups: number + 1, 0 free */
    uint64_t *scratch;     /* one partition's groups while they are summed */
    size_t scratch_words;  /* allocated */
    size_t slots_capacity; /* allocated */
    partition partitions[N_PARTITIONS];
};

/* ---- hashing ------------------------------------------------------------ */

/* A bijection of 64 bits (two rounds of xor-shift and odd multiplication). */
static inline uint64_t mix(uint64_t x) {
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    return x;
}

static inline uint64_t unmix(uint64_t x) {
    const uint64_t inverse = UINT64_C(0xcfee444d8b59a89b); /* of the multiplier, mod 2^64 */
    x ^= x >> 32;
    x *= inverse;
    x ^= x >> 32;
    x *= inverse;
    x ^= x >> 32;
    return x;
}

/* What the words after the first add to the hash. */
static inline uint64_t fold_word(uint64_t h, uint64_t word) {
    return mix(h + word * UINT64_C(0x9e3779b97f4a7c15));
}

static inline size_t partition_of(uint64_t hash) {
    return (size_t)(hash >> 56);
}

/* ---- summing one partition ---------------------------------------------- */

static inline size_t entry_words(unsigned n_words) {
    return n_words + 3u;
}

/* Moves the partition's groups to the scratch array, with room for n_more new ones:
** memory that all partitions use in turn stays in the cache. NULL without memory. */
static uint64_t *take_groups(eg_group_table *t, const partition *p, uint64_t n_more, size_t width) {
    uint64_t need = (p->n_groups + n_more) * width;
    if (p->n_groups + n_more >= UINT32_MAX)
        return NULL;
    if (need > t->scratch_words) {
        free(t->scratch);
        t->scratch = malloc(need * sizeof *t->scratch);
        t->scratch_words = t->scratch ? need : 0;
        if (t->scratch == NULL)
            return NULL;
    }
    if (p->n_groups > 0)
        memcpy(t->scratch, p->groups, p->n_groups * width * sizeof *t->scratch);
    return t->scratch;
}

/* Moves n_groups groups back to an array of just their size. */
static eg_status return_groups(partition *p, const uint64_t *groups, uint32_t n_groups,
                               size_t width, eg_err *err) {
    if (n_groups > p->n_groups) {
        uint64_t *larger = realloc(p->groups, n_groups * width * sizeof *larger);
        if (larger == NULL)
            return eg_fail_nomem(err, "groups");
        p->groups = larger;
    }
    memcpy(p->groups, groups, n_groups * width * sizeof *groups);
    p->n_groups = n_groups;
    return EG_OK;
}

/* An empty index of at least twice n_groups slots; its mask, 0 without memory. */
static size_t clear_slots(eg_group_table *t, uint64_t n_groups) {
    size_t n_slots = 64;
    while (n_slots < 2 * n_groups)
        n_slots *= 2;
    if (n_slots > t->slots_capacity) {
        free(t->slots);
        t->slots = malloc(n_slots * sizeof *t->slots);
        t->slots_capacity = t->slots ? n_slots : 0;
        if (t->slots == NULL)
            return 0;
    }
    memset(t->slots, 0, n_slots * sizeof *t->slots);
    return n_slots - 1;
}

static inline bool same_key(const uint64_t *a, const uint64_t *b, unsigned n_words) {
    for (unsigned w = 0; w < n_words; w++)
        if (a[w] != b[w])
            return false;
    return true;
}

/* Sums the partition's waiting rows. n_words is a constant where this is inlined
** for the usual widths. */
static inline __attribute__((always_inline)) eg_status sum(eg_group_table *t, partition *p,
                                                           unsigned n_words, eg_err *err) {
    if (p->n_chunks == 0)
        return EG_OK;
    const size_t width = entry_words(n_words), row_words = n_words + 1u;
    uint64_t n_rows = (uint64_t)p->n_chunks * t->chunk_rows - p->n_free;
    uint64_t *groups = take_groups(t, p, n_rows, width);
    size_t mask = groups ? clear_slots(t, p->n_groups + n_rows) : 0;
    if (mask == 0)
        return eg_fail_nomem(err, "groups");
    uint32_t n_groups = p->n_groups;

    for (uint32_t g = 0; g < n_groups; g++) {
        size_t i = (size_t)groups[g * width] & mask;
        while (t->slots[i] != 0)
            i = (i + 1) & mask;
        t->slots[i] = g + 1;
    }
    uint32_t n_in_chunk = t->chunk_rows - p->n_free;
    for (uint32_t c = p->chunk; c != NO_CHUNK; c = t->next_chunk[c]) {
        const uint64_t *row = t->chunks + (size_t)c * CHUNK_WORDS;
        for (uint32_t r = 0; r < n_in_chunk; r++, row += row_words) {
            size_t i = (size_t)row[0] & mask;
            uint64_t *e;
            for (;; i = (i + 1) & mask) {
                if (t->slots[i] == 0) {
                    t->slots[i] = n_groups + 1;
                    e = groups + n_groups++ * width;
                    memset(e, 0, width * sizeof *e);
                    memcpy(e, row, n_words * sizeof *e);
                    break;
                }
                e = groups + (t->slots[i] - 1) * width;
                if (same_key(e, row, n_words))
                    break;
            }
            uint64_t bytes = (uint32_t)row[n_words], packets = row[n_words] >> 32;
            if (packets == WIDE) {
                const wide_counters *wide = &t->wide[bytes];
                bytes = (uint64_t)wide->bytes;
                packets = (uint64_t)wide->packets;
            }
            e[n_words] += bytes;
            e[n_words + 1] += packets;
            e[n_words + 2]++;
        }
        n_in_chunk = t->chunk_rows; /* only the newest is not full */
    }
    p->chunk = NO_CHUNK;
    p->n_chunks = 0;
    p->n_free = 0;
    return return_groups(p, groups, n_groups, width, err);
}

static eg_status sum_all(eg_group_table *t, eg_err *err) {
    for (size_t i = 0; i < N_PARTITIONS; i++) {
        partition *p = &t->partitions[i];
        if (t->check != NULL) {
            eg_status go_on = t->check(t->check_arg, err);
            if (go_on != EG_OK)
                return go_on;
        }
        eg_status rc = t->n_words == 1   ? sum(t, p, 1, err)
                       : t->n_words == 2 ? sum(t, p, 2, err)
                                         : sum(t, p, t->n_words, err);
        if (rc != EG_OK)
            return rc;
    }
    t->n_chunks = 0;
    t->n_wide = 0;
    return EG_OK;
}

/* ---- the table ---------------------------------------------------------- */

eg_status eg_group_table_open(unsigned n_words, eg_group_check check, void *arg,
                              eg_group_table **out, eg_err *err) {
    *out = NULL;
    eg_group_table *t = calloc(1, sizeof *t);
    if (t == NULL)
        return eg_fail_nomem(err, "groups");
    t->n_words = n_words;
    t->check = check;
    t->check_arg = arg;
    t->chunk_rows = CHUNK_WORDS / (n_words + 1u);
    if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != (ssize_t)sizeof t->seed)
        t->seed = (uintptr_t)t; /* a poor seed only costs time */
    for (size_t i = 0; i < N_PARTITIONS; i++)
        t->partitions[i].chunk = NO_CHUNK;
    t->chunks = aligned_alloc(HUGE_PAGE_BYTES, CHUNKS_BYTES);
    if (t->chunks != NULL) /* a wish: 4 KiB pages do as well, but cost a fault each */
        (void)madvise(t->chunks, CHUNKS_BYTES, MADV_HUGEPAGE);
    t->next_chunk = malloc(MAX_CHUNKS * sizeof *t->next_chunk);
    if (t->chunks == NULL || t->next_chunk == NULL) {
        eg_group_table_close(t);
        return eg_fail_nomem(err, "groups");
    }
    *out = t;
    return EG_OK;
}

static eg_status add_chunk(eg_group_table *t, partition *p, eg_err *err) {
    if (t->n_chunks == MAX_CHUNKS) {
        eg_status rc = sum_all(t, err);
        if (rc != EG_OK)
            return rc;
    }
    uint32_t c = t->n_chunks++;
    t->next_chunk[c] = p->chunk;
    p->chunk = c;
    p->n_chunks++;
    p->row = t->chunks + (size_t)c * CHUNK_WORDS;
    p->n_free = t->chunk_rows;
    return EG_OK;
}

/* Puts counters of more than 32 bits aside. */
static eg_status put_aside(eg_group_table *t, int64_t bytes, int64_t packets, uint64_t *counters,
                           eg_err *err) {
    if (t->n_wide == t->wide_capacity) {
        uint32_t capacity = t->wide_capacity ? t->wide_capacity * 2 : 64;
        wide_counters *wide = realloc(t->wide, capacity * sizeof *wide);
        if (wide == NULL)
            return eg_fail_nomem(err, "groups");
        t->wide = wide;
        t->wide_capacity = capacity;
    }
    *counters = (uint64_t)WIDE << 32 | t->n_wide;
    t->wide[t->n_wide++] = (wide_counters){.bytes = bytes, .packets = packets};
    return EG_OK;
}

static inline __attribute__((always_inline)) eg_status
scatter(eg_group_table *t, unsigned n_words, const uint64_t *const *words, const int64_t *bytes,
        const int64_t *packets, const uint16_t *sel, uint32_t n_rows, eg_err *err) {
    for (uint32_t i = 0; i < n_rows; i++) {
        uint64_t fold = t->seed;
        for (unsigned w = 1; w < n_words; w++)
            fold = fold_word(fold, words[w][i]);
        uint64_t hash = mix(words[0][i] ^ fold);
        partition *p = &t->partitions[partition_of(hash)];
        if (p->n_free == 0) {
            eg_status rc = add_chunk(t, p, err);
            if (rc != EG_OK)
                return rc;
        }
        uint64_t b = (uint64_t)bytes[sel[i]], k = (uint64_t)packets[sel[i]];
        uint64_t counters = k << 32 | b;
        if ((b >> 32) != 0 || k >= WIDE) {
            eg_status rc = put_aside(t, (int64_t)b, (int64_t)k, &counters, err);
            if (rc != EG_OK)
                return rc;
        }
        uint64_t *row = p->row;
        row[0] = hash;
        for (unsigned w = 1; w < n_words; w++)
            row[w] = words[w][i];
        row[n_words] = counters;
        p->row = row + n_words + 1;
        p->n_free--;
    }
    return EG_OK;
}

eg_status eg_group_table_add(eg_group_table *t, const uint64_t *const *words, const int64_t *bytes,
                             const int64_t *packets, const uint16_t *sel, uint32_t n_rows,
                             eg_err *err) {
    switch (t->n_words) {
    case 1:
        return scatter(t, 1, words, bytes, packets, sel, n_rows, err);
    case 2:
        return scatter(t, 2, words, bytes, packets, sel, n_rows, err);
    default:
        return scatter(t, t->n_words, words, bytes, packets, sel, n_rows, err);
    }
}

eg_status eg_group_table_finish(eg_group_table *t, eg_err *err) {
    eg_status rc = sum_all(t, err);
    free(t->chunks); /* what waits is summed: the order of groups may need the memory */
    free(t->slots);
    free(t->wide);
    free(t->scratch);
    t->scratch = NULL;
    t->scratch_words = 0;
    t->wide = NULL;
    t->wide_capacity = 0;
    t->chunks = NULL;
    t->slots = NULL;
    t->slots_capacity = 0;
    return rc;
}

uint64_t eg_group_table_count(const eg_group_table *t) {
    uint64_t n = 0;
    for (size_t i = 0; i < N_PARTITIONS; i++)
        n += t->partitions[i].n_groups;
    return n;
}

uint64_t eg_group_table_bytes(const eg_group_table *t) {
    uint64_t n = 0;
    for (size_t i = 0; i < N_PARTITIONS; i++)
        n += (uint64_t)t->partitions[i].n_groups * entry_words(t->n_words) * 8;
    return n;
}

const uint64_t *eg_group_table_next(const eg_group_table *t, eg_group_walk *at) {
    for (; at->partition < N_PARTITIONS; at->partition++, at->group = 0) {
        const partition *p = &t->partitions[at->partition];
        if (at->group < p->n_groups)
            return p->groups + at->group++ * entry_words(t->n_words);
    }
    return NULL;
}

void eg_group_table_key(const eg_group_table *t, const uint64_t *entry, uint64_t *words) {
    uint64_t fold = t->seed;
    for (unsigned w = 1; w < t->n_words; w++) {
        words[w] = entry[w];
        fold = fold_word(fold, entry[w]);
    }
    words[0] = unmix(entry[0]) ^ fold;
}

void eg_group_table_close(eg_group_table *t) {
    if (t == NULL)
        return;
    for (size_t i = 0; i < N_PARTITIONS; i++)
        free(t->partitions[i].groups);
    free(t->chunks);
    free(t->next_chunk);
    free(t->slots);
    free(t->scratch);
    free(t->wide);
    free(t);
}
