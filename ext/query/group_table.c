/* Partitioned summing; see the header for the idea. */
#include "query/group_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define N_PARTITIONS 256
#define CHUNK_WORDS 512 /* 4 KiB of waiting rows */
#define MAX_CHUNKS 4096 /* 16 MiB: what waits before it is summed */
#define NO_CHUNK UINT32_MAX
#define CHUNKS_BYTES ((size_t)MAX_CHUNKS * CHUNK_WORDS * sizeof(uint64_t))
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* Rows wait in chunks of 4 KiB, a list for each partition. */
typedef struct partition {
    uint64_t *row;     /* where the next row goes, in the newest chunk */
    uint32_t n_free;   /* rows that still fit there */
    uint32_t chunk;    /* newest chunk, NO_CHUNK without one */
    uint32_t n_chunks; /* in the list */
    uint32_t n_groups;
    uint32_t capacity; /* of groups */
    uint64_t *groups;  /* [n_groups] entries, dense */
} partition;

struct eg_group_table {
    unsigned n_words;
    eg_group_check check; /* may be NULL */
    void *check_arg;
    uint32_t chunk_rows;   /* rows in a chunk */
    uint64_t seed;         /* of this table: nobody can choose addresses that collide */
    uint64_t *chunks;      /* [MAX_CHUNKS * CHUNK_WORDS], touched as far as used */
    uint32_t *next_chunk;  /* [MAX_CHUNKS] the next older one of the same partition */
    uint32_t n_chunks;     /* handed out since the last summing */
    uint32_t *slots;       /* scratch index over one partition's groups: number + 1, 0 free */
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

/* Makes room for n_more groups, should all of them be new. */
static eg_status reserve(partition *p, uint64_t n_more, size_t width, eg_err *err) {
    uint64_t need = p->n_groups + n_more;
    if (need <= p->capacity)
        return EG_OK;
    uint64_t *groups = NULL;
    if (need < UINT32_MAX)
        groups = realloc(p->groups, need * width * sizeof *groups);
    if (groups == NULL)
        return eg_fail_nomem(err, "groups");
    p->groups = groups;
    p->capacity = (uint32_t)need;
    return EG_OK;
}

/* Gives back what reserve took too much of. */
static void trim(partition *p, size_t width) {
    if (p->capacity - p->n_groups <= p->n_groups / 16)
        return;
    uint64_t *groups = realloc(p->groups, (p->n_groups ? p->n_groups : 1) * width * sizeof *groups);
    if (groups != NULL) {
        p->groups = groups;
        p->capacity = p->n_groups ? p->n_groups : 1;
    }
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
    const size_t width = entry_words(n_words), row_words = n_words + 2u;
    uint64_t n_rows = (uint64_t)p->n_chunks * t->chunk_rows - p->n_free;
    eg_status rc = reserve(p, n_rows, width, err);
    if (rc != EG_OK)
        return rc;
    size_t mask = clear_slots(t, p->n_groups + n_rows);
    if (mask == 0)
        return eg_fail_nomem(err, "groups");

    for (uint32_t g = 0; g < p->n_groups; g++) {
        size_t i = (size_t)p->groups[g * width] & mask;
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
                    t->slots[i] = p->n_groups + 1;
                    e = p->groups + p->n_groups++ * width;
                    memset(e, 0, width * sizeof *e);
                    memcpy(e, row, n_words * sizeof *e);
                    break;
                }
                e = p->groups + (t->slots[i] - 1) * width;
                if (same_key(e, row, n_words))
                    break;
            }
            e[n_words] += row[n_words];
            e[n_words + 1] += row[n_words + 1];
            e[n_words + 2]++;
        }
        n_in_chunk = t->chunk_rows; /* only the newest is not full */
    }
    p->chunk = NO_CHUNK;
    p->n_chunks = 0;
    p->n_free = 0;
    trim(p, width);
    return EG_OK;
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
    t->chunk_rows = CHUNK_WORDS / (n_words + 2u);
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

static inline __attribute__((always_inline)) eg_status
scatter(eg_group_table *t, unsigned n_words, const uint64_t *const *words, const int64_t *bytes,
        const int64_t *packets, uint32_t n_rows, eg_err *err) {
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
        uint64_t *row = p->row;
        row[0] = hash;
        for (unsigned w = 1; w < n_words; w++)
            row[w] = words[w][i];
        row[n_words] = (uint64_t)bytes[i];
        row[n_words + 1] = (uint64_t)packets[i];
        p->row = row + n_words + 2;
        p->n_free--;
    }
    return EG_OK;
}

eg_status eg_group_table_add(eg_group_table *t, const uint64_t *const *words, const int64_t *bytes,
                             const int64_t *packets, uint32_t n_rows, eg_err *err) {
    switch (t->n_words) {
    case 1:
        return scatter(t, 1, words, bytes, packets, n_rows, err);
    case 2:
        return scatter(t, 2, words, bytes, packets, n_rows, err);
    default:
        return scatter(t, t->n_words, words, bytes, packets, n_rows, err);
    }
}

eg_status eg_group_table_finish(eg_group_table *t, eg_err *err) {
    eg_status rc = sum_all(t, err);
    free(t->chunks); /* what waits is summed: the order of groups may need the memory */
    free(t->slots);
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
        n += (uint64_t)t->partitions[i].capacity * entry_words(t->n_words) * 8;
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
    free(t);
}
