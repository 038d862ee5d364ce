/*
** The table of groups: sums of bytes, packets and flows by packed key.
**
** Rows are scattered by hash into 256 partitions and wait there; then each partition's rows are
** summed in one go, while its groups and a scratch index over them stay in the cache. A row waits
** in 13 bytes (a pair of addresses), a group until the next summing in 15, in the result it has
** its key words and three sums: 32 bytes.
**
** Where a few keys have most of the rows, these are summed at once in a small cache; where most
** rows have the key of the one before, they wait in its row. Where only
** the first groups are wanted, rows that cannot belong to one are never summed by key: see
** group_sum.c.
**
** Several threads work on it, each with a lane of its own: lanes add at once, to waiting rows of
** their own; partitions are summed at once, each with all lanes' rows. The two do not overlap.
**
** The first key word is stored as a bijective hash of it and the others, so
** that the hash needs neither memory nor work of its own.
*/
#ifndef EG_GROUP_TABLE_H
#define EG_GROUP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "query/spill.h"

#define EG_GROUP_MAX_WORDS 8
#define EG_GROUP_PARTITIONS 256

typedef struct eg_group_table eg_group_table;

/* What a table is to be. */
typedef struct eg_group_plan {
    unsigned n_words; /* of keys: 1..EG_GROUP_MAX_WORDS 64-bit words */
    int n_lanes;
    bool drops;           /* groups are looked at once, when all is summed, and not kept */
    uint64_t limit_bytes; /* of memory, a few MiB for each lane at least; 0 without */
    eg_spill *spill;      /* where groups go that exceed it; borrowed, until the table is closed */
} eg_group_plan;

/* An empty table. EG_NOMEM, EG_OK. */
eg_status eg_group_table_open(const eg_group_plan *plan, eg_group_table **out, eg_err *err);

/* Adds n_rows rows, at most 4,096: words[w][i] is word w of row i's key; its counters are
** bytes[sel[i]] and packets[sel[i]]. After a failure the table can only be closed. */
eg_status eg_group_table_add(eg_group_table *t, int lane, const uint64_t *const *words,
                             const int64_t *bytes, const int64_t *packets, const uint16_t *sel,
                             uint32_t n_rows, eg_err *err);

/* Whether enough rows wait: then all partitions are to be summed before more is added. For any
** lane, at any time. */
bool eg_group_table_is_full(const eg_group_table *t);

/* Has all lanes' rows wait where they are summed: before partitions are, on one thread, while
** nothing is added. */
eg_status eg_group_table_gather(eg_group_table *t, eg_err *err);

/* Sums what waits in a partition. Entries are n_words stored key words, then bytes, packets,
** flows. Nothing may be added meanwhile, and not before eg_group_table_empty. */
eg_status eg_group_table_sum(eg_group_table *t, int lane, size_t partition, eg_err *err);

/* After a table became full, and was gathered: finds out, by one partition, whether sums take
** less memory than the rows that wait. *is_worth is false where they hardly do: then more may
** wait instead, the table is not full any more. */
eg_status eg_group_table_try(eg_group_table *t, int lane, bool *is_worth, eg_err *err);

/* Tells that all partitions were summed: nothing waits. */
void eg_group_table_empty(eg_group_table *t);

/* Whether groups were spilled, or all of them may not fit into memory: then finishing drops
** them, whatever the plan says. To be asked before the first partition is finished. */
bool eg_group_table_spills(eg_group_table *t);

/* Groups whose sum of a measure (0: bytes, 1: packets, 2: flows) is below `least` may be left
** out; 0: none. */
typedef struct eg_group_bound {
    unsigned measure;
    uint64_t least;
} eg_group_bound;

/* The groups of a partition so far, as eg_group_table_finish gives them; all of it is as before.
** What was spilled is not in them: sums are no more than they will be. Between summings. */
eg_status eg_group_table_peek(eg_group_table *t, int lane, size_t partition, eg_group_bound bound,
                              const uint64_t **groups, uint32_t *n_groups, eg_err *err);

/* Lets twice as much wait as now, without a look at what sums would take. False where that is too
** much: then the table is as full as before. */
bool eg_group_table_wait(eg_group_table *t);

/* Sums what waits in a partition, for the last time. *groups are its entries, *n_groups of
** them: where the plan drops them, or some were spilled, valid until the lane's next call,
** and no longer the table's. */
eg_status eg_group_table_finish(eg_group_table *t, int lane, size_t partition, eg_group_bound bound,
                                const uint64_t **groups, uint32_t *n_groups, eg_err *err);

/* Gives back what only adding and summing need, once all partitions are finished: parts [0, *n) of
** it, each once, on any threads at once, before the table is used again. */
size_t eg_group_table_spare(const eg_group_table *t);
void eg_group_table_trim(eg_group_table *t, size_t part);

/* Groups of finished partitions that are kept. */
uint64_t eg_group_table_count(const eg_group_table *t);

/* Words of an entry. */
size_t eg_group_table_width(const eg_group_table *t);

/* Walks over the kept groups in no particular order: NULL at the end. *at begins as 0. */
typedef struct eg_group_walk {
    size_t partition, group;
} eg_group_walk;
const uint64_t *eg_group_table_next(const eg_group_table *t, eg_group_walk *at);

/* The key words of an entry as they were added. */
void eg_group_table_key(const eg_group_table *t, const uint64_t *entry, uint64_t *words);

/* NULL is allowed. */
void eg_group_table_close(eg_group_table *t);

#endif
