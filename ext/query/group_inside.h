/*
** The inside of a group_table: what adding (group_table.c) and summing (group_sum.c) share. Its
** names have no prefix; nobody else includes it.
*/
#ifndef EG_GROUP_INSIDE_H
#define EG_GROUP_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "query/group_table.h"

#define N_PARTITIONS EG_GROUP_PARTITIONS
#define CHUNK_BYTES 4088 /* with its link 4 KiB of waiting rows */
#define BLOCK_CHUNKS 512 /* 2 MiB: where the system is set so, a huge page */
#define BLOCK_BYTES (BLOCK_CHUNKS * sizeof(chunk))

/* A waiting row is the low 56 bits of its first key word (the high ones are the partition),
** its other key words, 32 bits of bytes, 13 of packets, and 3 of the flows less one: neighbours
** of one key wait as one row. Counters that need more stand aside; the row has ROW_WIDE packets
** and their number instead of bytes. It is written by 8 bytes, so that two more behind it are
** touched. A kept group has 16 bits of packets, WIDE where its sums stand aside, and of flows. */
#define FIRST_BITS 56
#define FIRST_MASK ((UINT64_C(1) << FIRST_BITS) - 1)
#define FIRST_BYTES (FIRST_BITS / 8)
#define COUNTER_BYTES 6
#define ROW_FLOWS_SHIFT 45
#define ROW_FLOWS UINT64_C(7) /* the most that a row has, less one */
#define ROW_WIDE UINT64_C(0x1fff)
#define KEPT_BYTES 2 /* more that a kept group takes */
#define SPILL_OVER 2
#define WIDE UINT16_MAX
typedef struct wide_counters {
    int64_t bytes, packets, flows;
} wide_counters;
/* Of a lane, before it may be time to sum for them: else those of an eighth of what waits. */
#define LEAST_WIDE (1u << 20)

#define MAX_ROWS 4096u /* of a batch */

#define MOST_BUCKETS                                                                               \
    4096u /* that a partition's rows are weighed in: 16 KiB, half of a near cache */

typedef struct chunk {
    struct chunk *older; /* of the same partition and lane */
    uint8_t rows[CHUNK_BYTES];
} chunk;

static inline size_t row_bytes(unsigned n_words) {
    return n_words * 8u - 8 + FIRST_BYTES + COUNTER_BYTES;
}

static inline uint64_t load64(const uint8_t *p) {
    uint64_t n;
    memcpy(&n, p, sizeof n);
    return n;
}

static inline void store64(uint8_t *p, uint64_t n) {
    memcpy(p, &n, sizeof n);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows overlap from the low bytes on");

/* A lane's rows that wait in a partition. */
typedef struct waiting {
    uint8_t *row;      /* where the next row goes, in the newest chunk */
    chunk *newest;     /* NULL without one */
    uint32_t n_free;   /* rows that still fit there */
    uint32_t n_chunks; /* in the list */
} waiting;

typedef struct member {
    waiting waiting[N_PARTITIONS];
    chunk *free;             /* chunks to use again; NULL without */
    uint32_t n_free;         /* of these, fewer than BLOCK_CHUNKS */
    chunk *block;            /* chunks nobody used before are handed out of */
    uint32_t n_block_chunks; /* left there */
    uint32_t n_wide, wide_capacity;
    wide_counters *wide; /* [n_wide] of waiting rows */
    uint64_t *cache;     /* [CACHE_ENTRIES] entries, one with 0 flows is free; NULL before */
    uint64_t n_tried, n_absorbed; /* rows since the last summing */
    uint64_t n_to_join, n_joined; /* rows since then that were held against the one before */
    uint16_t left[MAX_ROWS];      /* rows of a batch that the cache did not absorb */
    uint32_t *slots;       /* scratch index over one partition's groups: number + 1, 0 free */
    uint64_t *scratch;     /* one partition's groups while they are summed */
    size_t scratch_words;  /* allocated */
    size_t slots_capacity; /* allocated */
    uint32_t totals[MOST_BUCKETS]; /* of one partition's rows, where few groups are wanted */
} member;

/* Entries of a partition that were spilled. */
typedef struct extent {
    int64_t offset;
    uint32_t n_groups;
} extent;

typedef struct partition {
    chunk *kept;         /* n_kept groups between two summings, as rows that have flows, too */
    wide_counters *wide; /* [n_wide] of kept groups */
    uint64_t *groups;    /* [n_groups] entries, dense, when it is finished */
    uint32_t n_kept, n_wide, n_groups;
    uint32_t n_extents, extents_capacity;
    extent *extents; /* [n_extents] owned */
} partition;

struct eg_group_table {
    eg_group_plan plan;
    unsigned n_words;
    uint32_t chunk_rows;  /* rows in a chunk */
    uint32_t chunk_kept;  /* kept groups in a chunk */
    uint64_t seed;        /* of this table: nobody can choose addresses that collide */
    pthread_mutex_t lock; /* of blocks and lots */
    chunk **blocks;       /* [n_blocks] owned, all there are */
    chunk **lots;         /* [n_lots] lists of BLOCK_CHUNKS chunks each, to use again */
    size_t n_blocks, n_lots, blocks_capacity;
    atomic_size_t n_used;   /* blocks and lots with lanes, rows and kept groups */
    size_t used_blocks;     /* n_used after the last summing: kept groups */
    size_t waiting_blocks;  /* that may be used beyond before it is time to sum */
    uint32_t most_wide;     /* counters that a lane may put aside, by waiting_blocks */
    atomic_bool is_crowded; /* some lane has that many */
    uint64_t groups_limit;  /* bytes of groups that are kept in memory; UINT64_MAX without */
    atomic_ullong kept_bytes;
    atomic_bool has_spilled;
    size_t tried_partition;
    partition partitions[N_PARTITIONS];
    member *lanes[]; /* [plan.n_lanes], each owned */
};

static inline uint64_t row_packets(uint64_t counters) {
    return counters >> 32 & ROW_WIDE;
}

/* Flows less one. */
static inline uint64_t row_flows(uint64_t counters) {
    return counters >> ROW_FLOWS_SHIFT & ROW_FLOWS;
}

static inline size_t entry_words(unsigned n_words) {
    return n_words + 3u;
}

static inline size_t kept_row_bytes(unsigned n_words) {
    return row_bytes(n_words) + KEPT_BYTES;
}

static inline uint64_t kept_bytes(const eg_group_table *t, const partition *p) {
    return p->n_kept * kept_row_bytes(t->n_words) + p->n_wide * sizeof(wide_counters);
}

static inline uint64_t rows_waiting(const eg_group_table *t, size_t at) {
    uint64_t n = 0;
    for (int i = 0; i < t->plan.n_lanes; i++) {
        const waiting *w = &t->lanes[i]->waiting[at];
        n += (uint64_t)w->n_chunks * t->chunk_rows - w->n_free;
    }
    return n;
}

/* A chunk for the lane to write to; NULL where there is no memory. Chunks are of any content. */
chunk *eg_group_take_chunk(eg_group_table *t, member *l);

/* Gives a list of chunks back, for any lane to use again. */
void eg_group_give_chunks(eg_group_table *t, member *l, chunk *list);

#endif
