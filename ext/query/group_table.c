/* Waiting rows, the cache of few keys, limits; see the header for the idea. */
#include "query/group_table.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "query/group_inside.h"

/* What waits at least before it is summed. Where groups are dropped and sums would not be much
** smaller, rows wait on up to half of what may, or up to a size that is small anyway: only
** those that may be among the first are summed, if rows can wait so long. */
#define LEAST_BLOCKS 16u  /* 32 MiB */
#define SMALL_BLOCKS 128u /* 256 MiB */

/* Where the next rows of a partition go is fetched so far ahead: a row that waits for its cache
** line would make all behind it wait. */
#define AHEAD_BYTES 128

/* Few keys, and the few that most rows have, are summed as they come: entries of a small cache
** that are taken keep their key until the next summing. Where it absorbs less than half of the
** rows it is left. */
#define CACHE_BITS 11
#define CACHE_ENTRIES (1u << CACHE_BITS)
#define TRIAL_ROWS 8192u

/* Neighbours of one key are joined where at least so many are: shards are in the order of source
** addresses. Of fewer, asking costs more. */
#define JOINED_PART 2

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

/* ---- waiting rows ------------------------------------------------------- */

/* Room in both lists for one more block. Lists never outgrow the blocks they are cut from. */
static bool need_block_room(eg_group_table *t) {
    if (t->n_blocks < t->blocks_capacity)
        return true;
    size_t capacity = t->blocks_capacity ? 2 * t->blocks_capacity : 64;
    chunk **blocks = realloc(t->blocks, capacity * sizeof *blocks);
    t->blocks = blocks != NULL ? blocks : t->blocks;
    chunk **lots = blocks != NULL ? realloc(t->lots, capacity * sizeof *lots) : NULL;
    t->lots = lots != NULL ? lots : t->lots;
    t->blocks_capacity = lots != NULL ? capacity : t->blocks_capacity;
    return lots != NULL;
}

/* Has the system give all pages of a block at once: one by one, where they are first written to,
** costs half as much again. A system that does not know this gives them so. */
static void populate(chunk *block) {
#ifdef MADV_POPULATE_WRITE
    (void)madvise(block, BLOCK_BYTES, MADV_POPULATE_WRITE);
#else
    (void)block;
#endif
}

/* Hands the lane a lot of used chunks, or a new block. */
static bool take_block(eg_group_table *t, member *l) {
    chunk *rest = NULL; /* a block that is not the lane's first: most of it will be used */
    bool has = true;
    pthread_mutex_lock(&t->lock);
    if (t->n_lots > 0) {
        l->free = t->lots[--t->n_lots];
        l->n_free = BLOCK_CHUNKS;
    } else {
        chunk *block = need_block_room(t) ? aligned_alloc(BLOCK_BYTES, BLOCK_BYTES) : NULL;
        has = block != NULL;
        if (has) {
            t->blocks[t->n_blocks++] = block;
            rest = l->block != NULL ? block : NULL;
            l->block = block;
            l->n_block_chunks = BLOCK_CHUNKS;
        }
    }
    pthread_mutex_unlock(&t->lock);
    if (rest != NULL)
        populate(rest);
    atomic_fetch_add(&t->n_used, has);
    return has;
}

chunk *eg_group_take_chunk(eg_group_table *t, member *l) {
    if (l->free == NULL && l->n_block_chunks == 0 && !take_block(t, l))
        return NULL;
    chunk *c = l->free;
    if (c == NULL) {
        l->n_block_chunks--;
        return l->block++;
    }
    l->free = c->older;
    l->n_free--;
    return c;
}

void eg_group_give_chunks(eg_group_table *t, member *l, chunk *list) {
    for (chunk *c = list, *older; c != NULL; c = older) {
        older = c->older;
        c->older = l->free;
        l->free = c;
        if (++l->n_free < BLOCK_CHUNKS)
            continue;
        pthread_mutex_lock(&t->lock);
        t->lots[t->n_lots++] = l->free;
        pthread_mutex_unlock(&t->lock);
        l->free = NULL;
        l->n_free = 0;
        atomic_fetch_sub(&t->n_used, 1);
    }
}

static eg_status add_chunk(eg_group_table *t, member *l, waiting *w, eg_err *err) {
    chunk *c = eg_group_take_chunk(t, l);
    if (c == NULL)
        return eg_fail_nomem(err, "groups");
    c->older = w->newest;
    w->newest = c;
    w->n_chunks++;
    w->row = c->rows;
    w->n_free = t->chunk_rows;
    return EG_OK;
}

/* Puts counters aside that a row has no room for, and sets what it has instead. */
static eg_status put_aside(eg_group_table *t, member *l, wide_counters counters, uint64_t *instead,
                           eg_err *err) {
    if (l->n_wide == l->wide_capacity) {
        uint32_t capacity = l->wide_capacity ? l->wide_capacity * 2 : 64;
        wide_counters *wide = realloc(l->wide, capacity * sizeof *wide);
        if (wide == NULL)
            return eg_fail_nomem(err, "groups");
        l->wide = wide;
        l->wide_capacity = capacity;
    }
    *instead = ROW_WIDE << 32 | l->n_wide;
    l->wide[l->n_wide++] = counters;
    if (l->n_wide >= t->most_wide)
        atomic_store_explicit(&t->is_crowded, true, memory_order_relaxed);
    return EG_OK;
}

/* Room for one more row of a partition. */
static inline eg_status need_row(eg_group_table *t, member *l, waiting *at, eg_err *err) {
    return at->n_free > 0 ? EG_OK : add_chunk(t, l, at, err);
}

/* The hash that a key's first word is stored as. */
static inline __attribute__((always_inline)) uint64_t
hash_of(const eg_group_table *t, unsigned n_words, const uint64_t *const *words, uint32_t i) {
    uint64_t fold = t->seed;
    for (unsigned w = 1; w < n_words; w++)
        fold = fold_word(fold, words[w][i]);
    return mix(words[0][i] ^ fold);
}

/* Rows of a batch: all of them, or those that `left` names. */
typedef struct rows {
    const uint64_t *const *words;
    const int64_t *bytes, *packets;
    const uint16_t *sel;
    const uint16_t *left;
    uint32_t n;
} rows;

static inline bool same_words(const uint64_t *const *words, unsigned n_words, uint32_t i,
                              uint32_t k) {
    for (unsigned w = 0; w < n_words; w++)
        if (words[w][i] != words[w][k])
            return false;
    return true;
}

/* Adds counters of a flow to those of a row, if there is room. */
static inline bool join(uint8_t *row_counters, uint64_t counters) {
    uint64_t had = load64(row_counters);
    uint64_t bytes = (uint64_t)(uint32_t)had + (uint32_t)counters;
    uint64_t packets = row_packets(had) + row_packets(counters), flows = row_flows(had) + 1;
    if ((bytes >> 32) != 0 || packets >= ROW_WIDE || flows > ROW_FLOWS)
        return false;
    store64(row_counters, flows << ROW_FLOWS_SHIFT | packets << 32 | bytes);
    return true;
}

/* Has them wait in their partitions; with `joins`, one of the same key as the one before in its
** row. */
static inline __attribute__((always_inline)) eg_status scatter_rows(eg_group_table *t, member *l,
                                                                    unsigned n_words, bool has_left,
                                                                    bool joins, const rows *r,
                                                                    eg_err *err) {
    const size_t key_bytes = row_bytes(n_words) - COUNTER_BYTES;
    uint8_t *last_row = NULL;
    uint32_t last = 0;
    for (uint32_t k = 0; k < r->n; k++) {
        uint32_t i = has_left ? r->left[k] : k;
        uint64_t bytes = (uint64_t)r->bytes[r->sel[i]], packets = (uint64_t)r->packets[r->sel[i]];
        uint64_t counters = packets << 32 | bytes;
        bool is_wide = (bytes >> 32) != 0 || packets >= ROW_WIDE;
        if (joins && last_row != NULL && same_words(r->words, n_words, i, last) && !is_wide &&
            join(last_row + key_bytes, counters)) {
            l->n_joined++;
            continue;
        }
        uint64_t hash = hash_of(t, n_words, r->words, i);
        waiting *at = &l->waiting[partition_of(hash)];
        eg_status rc = need_row(t, l, at, err);
        if (rc == EG_OK && is_wide)
            rc = put_aside(t, l, (wide_counters){(int64_t)bytes, (int64_t)packets, 1}, &counters,
                           err);
        if (rc != EG_OK)
            return rc;
        uint8_t *row = at->row;
        __builtin_prefetch(row + AHEAD_BYTES, 1);
        store64(row, hash);
        for (unsigned w = 1; w < n_words; w++)
            store64(row + FIRST_BYTES + 8 * (w - 1), r->words[w][i]);
        store64(row + key_bytes, counters);
        at->row = row + row_bytes(n_words);
        at->n_free--;
        last_row = row;
        last = i;
    }
    return EG_OK;
}

static inline __attribute__((always_inline)) eg_status
scatter(eg_group_table *t, member *l, unsigned n_words, bool has_left, const rows *r, eg_err *err) {
    bool joins = l->n_to_join < TRIAL_ROWS || l->n_joined >= l->n_to_join / JOINED_PART;
    if (!joins)
        return scatter_rows(t, l, n_words, has_left, false, r, err);
    l->n_to_join += r->n;
    return scatter_rows(t, l, n_words, has_left, true, r, err);
}

static inline bool is_key(const uint64_t *e, uint64_t hash, unsigned n_words,
                          const uint64_t *const *words, uint32_t i) {
    if (e[0] != hash)
        return false;
    for (unsigned w = 1; w < n_words; w++)
        if (e[w] != words[w][i])
            return false;
    return true;
}

/* Sums the rows whose key has an entry in the cache, or finds a free one; the others are left. */
static inline __attribute__((always_inline)) void absorb(eg_group_table *t, member *l,
                                                         unsigned n_words, rows *r) {
    const size_t width = entry_words(n_words);
    uint32_t n_left = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        uint64_t hash = hash_of(t, n_words, r->words, i);
        size_t at = (size_t)hash & (CACHE_ENTRIES - 1);
        uint64_t *e = l->cache + at * width;
        if (e[n_words + 2] != 0 && !is_key(e, hash, n_words, r->words, i))
            e = l->cache + (at ^ 1) * width;
        bool is_free = e[n_words + 2] == 0;
        l->left[n_left] = (uint16_t)i;
        if (!is_free && !is_key(e, hash, n_words, r->words, i)) {
            n_left++;
            continue;
        }
        if (is_free) {
            e[0] = hash;
            for (unsigned w = 1; w < n_words; w++)
                e[w] = r->words[w][i];
        }
        e[n_words] += (uint64_t)r->bytes[r->sel[i]];
        e[n_words + 1] += (uint64_t)r->packets[r->sel[i]];
        e[n_words + 2]++;
    }
    l->n_tried += r->n;
    l->n_absorbed += r->n - n_left;
    r->left = l->left;
    r->n = n_left;
}

/* Has the cache's entries wait, too. It is empty then. */
static eg_status flush_cache(eg_group_table *t, member *l, eg_err *err) {
    const unsigned n_words = t->n_words;
    for (uint32_t i = 0; l->cache != NULL && i < CACHE_ENTRIES; i++) {
        uint64_t *e = l->cache + i * entry_words(n_words), counters = 0;
        if (e[n_words + 2] == 0)
            continue;
        waiting *at = &l->waiting[partition_of(e[0])];
        wide_counters wide = {(int64_t)e[n_words], (int64_t)e[n_words + 1],
                              (int64_t)e[n_words + 2]};
        eg_status rc = need_row(t, l, at, err);
        if (rc == EG_OK)
            rc = put_aside(t, l, wide, &counters, err);
        if (rc != EG_OK)
            return rc;
        store64(at->row, e[0]);
        for (unsigned w = 1; w < n_words; w++)
            store64(at->row + FIRST_BYTES + 8 * (w - 1), e[w]);
        store64(at->row + row_bytes(n_words) - COUNTER_BYTES, counters);
        at->row += row_bytes(n_words);
        at->n_free--;
        e[n_words] = e[n_words + 1] = e[n_words + 2] = 0;
    }
    return EG_OK;
}

static inline __attribute__((always_inline)) eg_status add(eg_group_table *t, member *l,
                                                           unsigned n_words, rows *r, eg_err *err) {
    bool is_cached = l->n_tried < TRIAL_ROWS || l->n_absorbed >= l->n_tried / 2;
    if (!is_cached)
        return scatter(t, l, n_words, false, r, err);
    absorb(t, l, n_words, r);
    return scatter(t, l, n_words, true, r, err);
}

eg_status eg_group_table_add(eg_group_table *t, int lane, const uint64_t *const *words,
                             const int64_t *bytes, const int64_t *packets, const uint16_t *sel,
                             uint32_t n_rows, eg_err *err) {
    member *l = t->lanes[lane];
    rows r = {.words = words, .bytes = bytes, .packets = packets, .sel = sel, .n = n_rows};
    if (l->cache == NULL) {
        l->cache = calloc(CACHE_ENTRIES, entry_words(t->n_words) * sizeof *l->cache);
        if (l->cache == NULL)
            return eg_fail_nomem(err, "groups");
    }
    switch (t->n_words) {
    case 1:
        return add(t, l, 1, &r, err);
    case 2:
        return add(t, l, 2, &r, err);
    default:
        return add(t, l, t->n_words, &r, err);
    }
}

eg_status eg_group_table_gather(eg_group_table *t, eg_err *err) {
    eg_status rc = EG_OK;
    for (int i = 0; i < t->plan.n_lanes && rc == EG_OK; i++)
        rc = flush_cache(t, t->lanes[i], err);
    return rc;
}

bool eg_group_table_is_full(const eg_group_table *t) {
    return atomic_load_explicit(&t->n_used, memory_order_relaxed) >=
               t->used_blocks + t->waiting_blocks ||
           atomic_load_explicit(&t->is_crowded, memory_order_relaxed);
}

/* ---- the table ---------------------------------------------------------- */

/* How much may wait at the most. */
static size_t most_blocks(const eg_group_table *t) {
    size_t most = t->plan.limit_bytes / 2 / BLOCK_BYTES, fewest = (size_t)t->plan.n_lanes + 1;
    return t->plan.limit_bytes == 0 ? SIZE_MAX / 4 : most > fewest ? most : fewest;
}

/* Up to where rows wait that sums would not make much smaller. */
static size_t large_blocks(const eg_group_table *t) {
    size_t half = t->plan.limit_bytes == 0 ? 0 : most_blocks(t) / 2;
    return half > SMALL_BLOCKS ? half : SMALL_BLOCKS;
}

static void let_wait(eg_group_table *t, size_t n_blocks) {
    size_t wide = n_blocks * (BLOCK_BYTES / sizeof(wide_counters) / 8) / (size_t)t->plan.n_lanes;
    t->waiting_blocks = n_blocks;
    t->most_wide = wide > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)wide;
    t->most_wide = t->most_wide > LEAST_WIDE ? t->most_wide : LEAST_WIDE;
}

/* After a summing: how much may wait, and what then is left for groups. As much as groups take,
** so that each is summed again once or twice, however many there are; blocks that are there are
** used. */
static void set_limits(eg_group_table *t) {
    size_t used = t->used_blocks = atomic_load(&t->n_used), most = most_blocks(t);
    size_t more = used > t->n_blocks - used ? used : t->n_blocks - used;
    more = more > LEAST_BLOCKS ? more : LEAST_BLOCKS;
    let_wait(t, more < most ? more : most);
    if (t->plan.limit_bytes == 0)
        return;
    uint64_t waiting_bytes = t->waiting_blocks * BLOCK_BYTES, limit = t->plan.limit_bytes;
    t->groups_limit = limit > waiting_bytes ? limit - waiting_bytes : 0;
}

eg_status eg_group_table_open(const eg_group_plan *plan, eg_group_table **out, eg_err *err) {
    *out = NULL;
    eg_group_table *t = calloc(1, sizeof *t + (size_t)plan->n_lanes * sizeof t->lanes[0]);
    if (t == NULL || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        return eg_fail_nomem(err, "groups");
    }
    t->plan = *plan;
    t->n_words = plan->n_words;
    t->chunk_rows = (uint32_t)((CHUNK_BYTES - SPILL_OVER) / row_bytes(plan->n_words));
    t->chunk_kept = (uint32_t)((CHUNK_BYTES - SPILL_OVER) / kept_row_bytes(plan->n_words));
    t->groups_limit = UINT64_MAX;
    set_limits(t);
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
    for (int i = 0; i < t->plan.n_lanes; i++) {
        t->lanes[i]->n_wide = 0;
        t->lanes[i]->n_tried = t->lanes[i]->n_absorbed = 0;
        t->lanes[i]->n_to_join = t->lanes[i]->n_joined = 0;
    }
    atomic_store(&t->is_crowded, false);
    set_limits(t);
}

bool eg_group_table_wait(eg_group_table *t) {
    size_t more = 2 * t->waiting_blocks;
    if (atomic_load(&t->is_crowded) || more > large_blocks(t) || more > most_blocks(t))
        return false;
    let_wait(t, more);
    return true;
}

eg_status eg_group_table_try(eg_group_table *t, int lane, bool *is_worth, eg_err *err) {
    size_t at = t->tried_partition++ % N_PARTITIONS, most = most_blocks(t);
    const size_t large = large_blocks(t);
    *is_worth = true;
    if (!t->plan.drops || atomic_load(&t->is_crowded) || t->waiting_blocks >= most)
        return EG_OK;
    uint64_t rows_bytes = rows_waiting(t, at) * row_bytes(t->n_words);
    uint64_t before = kept_bytes(t, &t->partitions[at]);
    eg_status rc = eg_group_table_sum(t, lane, at, err);
    if (rc != EG_OK)
        return rc;
    uint64_t bytes = kept_bytes(t, &t->partitions[at]) - before;
    *is_worth = bytes < (t->waiting_blocks < large ? rows_bytes / 4 : rows_bytes / 10 * 9);
    size_t more = 2 * t->waiting_blocks;
    if (t->waiting_blocks < large && more > large)
        more = large;
    if (!*is_worth)
        let_wait(t, more < most ? more : most);
    return EG_OK;
}

/* The parts are the blocks, then what lanes have. */
size_t eg_group_table_spare(const eg_group_table *t) {
    return t->n_blocks + (size_t)t->plan.n_lanes;
}

void eg_group_table_trim(eg_group_table *t, size_t part) {
    if (part < t->n_blocks) {
        free(t->blocks[part]);
        t->blocks[part] = NULL;
        return;
    }
    member *l = t->lanes[part - t->n_blocks];
    if (l == NULL)
        return;
    free(l->slots);
    free(l->wide);
    free(l->cache);
    free(l->scratch);
    *l = (member){0};
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
    for (size_t i = 0; i < N_PARTITIONS; i++) {
        free(t->partitions[i].wide);
        free(t->partitions[i].groups);
        free(t->partitions[i].extents);
    }
    for (size_t i = 0; i < eg_group_table_spare(t); i++)
        eg_group_table_trim(t, i);
    free(t->blocks);
    free(t->lots);
    for (int i = 0; i < t->plan.n_lanes; i++)
        free(t->lanes[i]);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
