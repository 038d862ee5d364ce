/*
** The table of groups: sums of bytes, packets and flows by packed key.
**
** Rows are scattered by hash into 256 partitions and wait there, 32 MiB in all
** at most; then each partition's rows are summed in one go, while its groups and
** a scratch index over them stay in the cache. Groups are kept dense, so that
** one costs its key words and three sums: 32 bytes for a pair of addresses.
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

#define EG_GROUP_MAX_WORDS 8

typedef struct eg_group_table eg_group_table;

/* Asked between two pieces of work whether to go on: EG_OK or EG_INTERRUPT. */
typedef eg_status (*eg_group_check)(void *arg, eg_err *err);

/* An empty table for keys of n_words (1..EG_GROUP_MAX_WORDS) 64-bit words. `check`
** may be NULL. After add or finish failed the table can only be closed. */
eg_status eg_group_table_open(unsigned n_words, eg_group_check check, void *arg,
                              eg_group_table **out, eg_err *err);

/* Adds n_rows rows: words[w][i] is word w of row i's key; its counters are
** bytes[sel[i]] and packets[sel[i]]. */
eg_status eg_group_table_add(eg_group_table *t, const uint64_t *const *words, const int64_t *bytes,
                             const int64_t *packets, const uint16_t *sel, uint32_t n_rows,
                             eg_err *err);

/* Sums what still waits; afterwards groups may be read and nothing added. */
eg_status eg_group_table_finish(eg_group_table *t, eg_err *err);

uint64_t eg_group_table_count(const eg_group_table *t);

/* Bytes of all groups. */
uint64_t eg_group_table_bytes(const eg_group_table *t);

/* Walks over the groups in no particular order: NULL at the end. *at begins as 0. An
** entry is n_words stored key words, then bytes, packets, flows. */
typedef struct eg_group_walk {
    size_t partition, group;
} eg_group_walk;
const uint64_t *eg_group_table_next(const eg_group_table *t, eg_group_walk *at);

/* The key words of an entry as they were added. */
void eg_group_table_key(const eg_group_table *t, const uint64_t *entry, uint64_t *words);

/* NULL is allowed. */
void eg_group_table_close(eg_group_table *t);

#endif
