/* Partitioned summing; see the header for the idea. */
#include "query/group_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define N_PARTITIONS EG_GROUP_PARTITIONS
#define CHUNK_WORDS 511  /* with its link 4 KiB of waiting rows */
#define BLOCK_CHUNKS 512 /* 2 MiB, a huge page */
#define BLOCK_BYTES (BLOCK_CHUNKS * sizeof(chunk))
#define LEAST_BLOCKS 16u /* 32 MiB: what waits at least before it is summed */

/* A waiting row is its key words and its counters: packets above, bytes below, 32
** bits each, as NetFlow v5 has them. Counters that need more stand aside, and the
** row has WIDE and their number instead. */
#define WIDE UINT32_MAX
typedef struct wide_counters {
    int64_t bytes, packets;
} wide_counters;

typedef struct chunk {
    struct chunk *older; /* of the same partition and member */
    uint64_t rows[CHUNK_WORDS];
} chunk;

/* A lane's rows that wait in a partition. */
typedef struct waiting {
    uint64_t *row;     /* where the next row goes, in the newest chunk */
    chunk *newest;     /* NULL without one */
    uint32_t n_free;   /* rows that still fit there */
    uint32_t n_chunks; /* in the list */
} waiting;

typedef struct member {
    waiting waiting[N_PARTITIONS];
    chunk *block;            /* chunks are handed out of */
    uint32_t n_block_chunks; /* left there */
    uint32_t n_wide, wide_capacity;
    wide_counters *wide;   /* [n_wide] of waiting rows */
    uint32_t *slots;       /* scratch index over one partition's groups: number + 1, 0 free */
    uint64_t *scratch;     /* one partition's groups while they are summed */
    size_t scratch_words;  /* allocated */
    size_t slots_capacity; /* allocated */
} member;

typedef struct partition {
    uint64_t *groups; /* [n_groups] entries, dense */
    uint32_t n_groups;
} partition;

struct eg_group_table {
    eg_group_plan plan;
    unsigned n_words;
    uint32_t chunk_rows;  /* rows in a chunk */
    uint64_t seed;        /* of this table: nobody can choose addresses that collide */
    pthread_mutex_t lock; /* of blocks */
    chunk **blocks;       /* [n_blocks], used ones first */
    size_t n_blocks, blocks_capacity;
    atomic_size_t n_used;   /* blocks that were handed to lanes since the last summing */
    size_t limit_blocks;    /* that may be used before it is time to sum */
    uint64_t summed_groups; /* when it was last summed */
    partition partitions[N_PARTITIONS];
    member *lanes[]; /* [plan.n_lanes], each owned */
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

/* The lane's scratch array with the partition's groups in it and room for n_more new ones:
** memory that all partitions use in turn stays in the cache. NULL without memory. */
static uint64_t *take_groups(member *l, const partition *p, uint64_t n_more, size_t width) {
    uint64_t need = (p->n_groups + n_more) * width;
    if (p->n_groups + n_more >= UINT32_MAX)
        return NULL;
    if (need > l->scratch_words || l->scratch == NULL) {
        free(l->scratch);
        l->scratch = malloc((need + need / 4 + 1) * sizeof *l->scratch);
        l->scratch_words = l->scratch ? need + need / 4 : 0;
        if (l->scratch == NULL)
            return NULL;
    }
    if (p->n_groups > 0)
        memcpy(l->scratch, p->groups, p->n_groups * width * sizeof *l->scratch);
    return l->scratch;
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
    if (n_groups > 0)
        memcpy(p->groups, groups, n_groups * width * sizeof *groups);
    p->n_groups = n_groups;
    return EG_OK;
}

/* An empty index of at least twice n_groups slots; its mask, 0 without memory. */
static size_t clear_slots(member *l, uint64_t n_groups) {
    size_t n_slots = 64;
    while (n_slots < 2 * n_groups)
        n_slots *= 2;
    if (n_slots > l->slots_capacity) {
        free(l->slots);
        l->slots = malloc(n_slots * sizeof *l->slots);
        l->slots_capacity = l->slots ? n_slots : 0;
        if (l->slots == NULL)
            return 0;
    }
    memset(l->slots, 0, n_slots * sizeof *l->slots);
    return n_slots - 1;
}

static inline bool same_key(const uint64_t *a, const uint64_t *b, unsigned n_words) {
    for (unsigned w = 0; w < n_words; w++)
        if (a[w] != b[w])
            return false;
    return true;
}

static uint64_t rows_waiting(const eg_group_table *t, size_t at) {
    uint64_t n = 0;
    for (int i = 0; i < t->plan.n_lanes; i++) {
        const waiting *w = &t->lanes[i]->waiting[at];
        n += (uint64_t)w->n_chunks * t->chunk_rows - w->n_free;
    }
    return n;
}

/* Groups while they are summed. */
typedef struct sums {
    uint64_t *groups;
    uint32_t *slots;
    size_t mask;
    uint32_t n_groups;
} sums;

/* The entry of a key, a new one with sums of 0 where there is none. */
static inline __attribute__((always_inline)) uint64_t *find_entry(sums *s, const uint64_t *key,
                                                                  unsigned n_words, size_t width) {
    for (size_t i = (size_t)key[0] & s->mask;; i = (i + 1) & s->mask) {
        uint64_t *e;
        if (s->slots[i] == 0) {
            s->slots[i] = s->n_groups + 1;
            e = s->groups + s->n_groups++ * width;
            memcpy(e, key, n_words * sizeof *e);
            e[n_words] = e[n_words + 1] = e[n_words + 2] = 0;
            return e;
        }
        e = s->groups + (s->slots[i] - 1) * width;
        if (same_key(e, key, n_words))
            return e;
    }
}

/* Adds the rows of a lane that wait in the partition. */
static inline __attribute__((always_inline)) void sum_rows(const eg_group_table *t,
                                                           const member *from, const waiting *rows,
                                                           sums *s, unsigned n_words) {
    uint32_t n_in_chunk = t->chunk_rows - rows->n_free; /* only the newest is not full */
    for (const chunk *c = rows->newest; c != NULL; c = c->older, n_in_chunk = t->chunk_rows) {
        const uint64_t *row = c->rows;
        for (uint32_t r = 0; r < n_in_chunk; r++, row += n_words + 1u) {
            uint64_t *e = find_entry(s, row, n_words, entry_words(n_words));
            uint64_t bytes = (uint32_t)row[n_words], packets = row[n_words] >> 32;
            if (packets == WIDE) {
                const wide_counters *wide = &from->wide[bytes];
                bytes = (uint64_t)wide->bytes;
                packets = (uint64_t)wide->packets;
            }
            e[n_words] += bytes;
            e[n_words + 1] += packets;
            e[n_words + 2]++;
        }
    }
}

/* Sums the partition's waiting rows and its groups in the lane's scratch array. n_words is a
** constant where this is inlined for the usual widths. */
static inline __attribute__((always_inline)) eg_status sum(eg_group_table *t, member *l, size_t at,
                                                           unsigned n_words, sums *s, eg_err *err) {
    partition *p = &t->partitions[at];
    const size_t width = entry_words(n_words);
    uint64_t n_rows = rows_waiting(t, at);
    s->groups = take_groups(l, p, n_rows, width);
    s->mask = s->groups != NULL ? clear_slots(l, p->n_groups + n_rows) : 0;
    if (s->mask == 0)
        return eg_fail_nomem(err, "groups");
    s->slots = l->slots;
    s->n_groups = p->n_groups;
    for (uint32_t g = 0; g < p->n_groups; g++) {
        size_t i = (size_t)s->groups[g * width] & s->mask;
        while (s->slots[i] != 0)
            i = (i + 1) & s->mask;
        s->slots[i] = g + 1;
    }
    for (int i = 0; i < t->plan.n_lanes; i++) {
        waiting *rows = &t->lanes[i]->waiting[at];
        sum_rows(t, t->lanes[i], rows, s, n_words);
        *rows = (waiting){0};
    }
    return EG_OK;
}

static eg_status sum_partition(eg_group_table *t, int lane, size_t at, sums *s, eg_err *err) {
    member *l = t->lanes[lane];
    return t->n_words == 1   ? sum(t, l, at, 1, s, err)
           : t->n_words == 2 ? sum(t, l, at, 2, s, err)
                             : sum(t, l, at, t->n_words, s, err);
}

eg_status eg_group_table_sum(eg_group_table *t, int lane, size_t at, eg_err *err) {
    sums s;
    if (rows_waiting(t, at) == 0)
        return EG_OK;
    eg_status rc = sum_partition(t, lane, at, &s, err);
    if (rc != EG_OK)
        return rc;
    return return_groups(&t->partitions[at], s.groups, s.n_groups, entry_words(t->n_words), err);
}

eg_status eg_group_table_finish(eg_group_table *t, int lane, size_t at, const uint64_t **groups,
                                uint32_t *n_groups, eg_err *err) {
    partition *p = &t->partitions[at];
    sums s;
    if (!t->plan.drops || rows_waiting(t, at) == 0) {
        eg_status rc = eg_group_table_sum(t, lane, at, err);
        *groups = p->groups;
        *n_groups = p->n_groups;
        return rc;
    }
    eg_status rc = sum_partition(t, lane, at, &s, err);
    if (rc != EG_OK)
        return rc;
    free(p->groups);
    *p = (partition){0};
    *groups = s.groups;
    *n_groups = s.n_groups;
    return EG_OK;
}

/* ---- waiting rows ------------------------------------------------------- */

/* Hands the lane another block of chunks. */
static eg_status take_block(eg_group_table *t, member *l, eg_err *err) {
    eg_status rc = EG_OK;
    pthread_mutex_lock(&t->lock);
    size_t at = atomic_load(&t->n_used);
    if (at == t->n_blocks) {
        chunk *block = NULL;
        if (t->n_blocks == t->blocks_capacity) {
            size_t capacity = t->blocks_capacity ? 2 * t->blocks_capacity : 64;
            chunk **larger = realloc(t->blocks, capacity * sizeof *larger);
            t->blocks = larger != NULL ? larger : t->blocks;
            t->blocks_capacity = larger != NULL ? capacity : t->blocks_capacity;
        }
        if (t->n_blocks < t->blocks_capacity)
            block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
        if (block == NULL)
            rc = eg_fail_nomem(err, "groups");
        else /* a wish: 4 KiB pages do as well, but cost a fault each */
            (void)madvise(block, BLOCK_BYTES, MADV_HUGEPAGE);
        if (block != NULL)
            t->blocks[t->n_blocks++] = block;
    }
    if (rc == EG_OK) {
        l->block = t->blocks[at];
        l->n_block_chunks = BLOCK_CHUNKS;
        atomic_store(&t->n_used, at + 1);
    }
    pthread_mutex_unlock(&t->lock);
    return rc;
}

static eg_status add_chunk(eg_group_table *t, member *l, waiting *w, eg_err *err) {
    if (l->n_block_chunks == 0) {
        eg_status rc = take_block(t, l, err);
        if (rc != EG_OK)
            return rc;
    }
    chunk *c = l->block++;
    l->n_block_chunks--;
    c->older = w->newest;
    w->newest = c;
    w->n_chunks++;
    w->row = c->rows;
    w->n_free = t->chunk_rows;
    return EG_OK;
}

/* Puts counters of more than 32 bits aside. */
static eg_status put_aside(member *l, int64_t bytes, int64_t packets, uint64_t *counters,
                           eg_err *err) {
    if (l->n_wide == l->wide_capacity) {
        uint32_t capacity = l->wide_capacity ? l->wide_capacity * 2 : 64;
        wide_counters *wide = realloc(l->wide, capacity * sizeof *wide);
        if (wide == NULL)
            return eg_fail_nomem(err, "groups");
        l->wide = wide;
        l->wide_capacity = capacity;
    }
    *counters = (uint64_t)WIDE << 32 | l->n_wide;
    l->wide[l->n_wide++] = (wide_counters){.bytes = bytes, .packets = packets};
    return EG_OK;
}

static inline __attribute__((always_inline)) eg_status
scatter(eg_group_table *t, member *l, unsigned n_words, const uint64_t *const *words,
        const int64_t *bytes, const int64_t *packets, const uint16_t *sel, uint32_t n_rows,
        eg_err *err) {
    for (uint32_t i = 0; i < n_rows; i++) {
        uint64_t fold = t->seed;
        for (unsigned w = 1; w < n_words; w++)
            fold = fold_word(fold, words[w][i]);
        uint64_t hash = mix(words[0][i] ^ fold);
        waiting *at = &l->waiting[partition_of(hash)];
        if (at->n_free == 0) {
            eg_status rc = add_chunk(t, l, at, err);
            if (rc != EG_OK)
                return rc;
        }
        uint64_t b = (uint64_t)bytes[sel[i]], k = (uint64_t)packets[sel[i]];
        uint64_t counters = k << 32 | b;
        if ((b >> 32) != 0 || k >= WIDE) {
            eg_status rc = put_aside(l, (int64_t)b, (int64_t)k, &counters, err);
            if (rc != EG_OK)
                return rc;
        }
        uint64_t *row = at->row;
        row[0] = hash;
        for (unsigned w = 1; w < n_words; w++)
            row[w] = words[w][i];
        row[n_words] = counters;
        at->row = row + n_words + 1;
        at->n_free--;
    }
    return EG_OK;
}

eg_status eg_group_table_add(eg_group_table *t, int lane, const uint64_t *const *words,
                             const int64_t *bytes, const int64_t *packets, const uint16_t *sel,
                             uint32_t n_rows, eg_err *err) {
    member *l = t->lanes[lane];
    switch (t->n_words) {
    case 1:
        return scatter(t, l, 1, words, bytes, packets, sel, n_rows, err);
    case 2:
        return scatter(t, l, 2, words, bytes, packets, sel, n_rows, err);
    default:
        return scatter(t, l, t->n_words, words, bytes, packets, sel, n_rows, err);
    }
}

bool eg_group_table_is_full(const eg_group_table *t) {
    return atomic_load_explicit(&t->n_used, memory_order_relaxed) >= t->limit_blocks;
}

/* ---- the table ---------------------------------------------------------- */

eg_status eg_group_table_open(const eg_group_plan *plan, eg_group_table **out, eg_err *err) {
    *out = NULL;
    eg_group_table *t = calloc(1, sizeof *t + (size_t)plan->n_lanes * sizeof t->lanes[0]);
    if (t == NULL || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        return eg_fail_nomem(err, "groups");
    }
    t->plan = *plan;
    t->n_words = plan->n_words;
    t->chunk_rows = CHUNK_WORDS / (plan->n_words + 1u);
    t->limit_blocks = LEAST_BLOCKS;
    if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != (ssize_t)sizeof t->seed)
        t->seed = (uintptr_t)t; /* a poor seed only costs time */
    for (int i = 0; i < plan->n_lanes; i++)
        if ((t->lanes[i] = calloc(1, sizeof *t->lanes[i])) == NULL) {
            eg_group_table_close(t);
            return eg_fail_nomem(err, "groups");
        }
    *out = t;
    return EG_OK;
}

void eg_group_table_empty(eg_group_table *t) {
    uint64_t n_groups = eg_group_table_count(t);
    size_t half = n_groups * entry_words(t->n_words) * sizeof(uint64_t) / 2 / BLOCK_BYTES;
    for (int i = 0; i < t->plan.n_lanes; i++) {
        t->lanes[i]->n_block_chunks = 0;
        t->lanes[i]->n_wide = 0;
    }
    atomic_store(&t->n_used, 0);
    t->summed_groups = n_groups;
    t->limit_blocks = half > LEAST_BLOCKS ? half : LEAST_BLOCKS;
}

static void free_blocks(eg_group_table *t) {
    for (size_t i = 0; i < t->n_blocks; i++)
        free(t->blocks[i]);
    free(t->blocks);
    t->blocks = NULL;
    t->n_blocks = t->blocks_capacity = 0;
}

void eg_group_table_trim(eg_group_table *t) {
    free_blocks(t);
    for (int i = 0; i < t->plan.n_lanes && t->lanes[i] != NULL; i++) {
        member *l = t->lanes[i];
        free(l->slots);
        free(l->wide);
        free(l->scratch);
        *l = (member){0};
    }
}

uint64_t eg_group_table_count(const eg_group_table *t) {
    uint64_t n = 0;
    for (size_t i = 0; i < N_PARTITIONS; i++)
        n += t->partitions[i].n_groups;
    return n;
}

size_t eg_group_table_width(const eg_group_table *t) {
    return entry_words(t->n_words);
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
    eg_group_table_trim(t);
    for (int i = 0; i < t->plan.n_lanes; i++)
        free(t->lanes[i]);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
