/*
** What the tests of a predicate come to on the codes of one dictionary: each entry is tested once
** a row group, and rows are looked at by their codes.
*/
#ifndef EG_SHARD_CODES_H
#define EG_SHARD_CODES_H

#include "parquet/pq_codes.h"
#include "parquet/shard_convert.h"
#include "parquet/shard_prune.h"

/* A zeroed one is empty; its memory is reused. */
typedef struct eg_shard_codes {
    bool is_known;
    eg_pq_code_test test;
    bool is_one;    /* at most one code passes; it is `number` */
    int64_t number; /* then */
    int64_t other;  /* a number that does not pass, where some entry does not */
    uint8_t *passes;
    size_t capacity;
} eg_shard_codes;

/* Tests all entries: `numbers`[n_entries] are theirs in the vector's type. EG_NOMEM, EG_OK. */
eg_status eg_shard_codes_fill(eg_shard_codes *c, const eg_shard_tests *tests, eg_vector v,
                              const void *numbers, uint32_t n_entries, eg_err *err);

/* The same of one entry that is known to be the only one that passes; a code that is none says
** that none does. */
void eg_shard_codes_only(eg_shard_codes *c, const eg_shard_only *only, uint32_t n_entries);

/* How many of n bytes are 1, the others being 0. */
uint32_t eg_shard_count(const uint8_t *bytes, uint32_t n);

/* Writes the places of ones among n bytes, 1 or 0, and returns how many there are. */
uint32_t eg_shard_ones(const uint8_t *bytes, uint32_t n, uint16_t *places);

/* Writes a number of the vector's width n times. */
void eg_shard_put_same(void *out, size_t width, int64_t number, uint32_t n);

/* Writes numbers to places[0..n) of an array: from[i], or, where that is NULL, `number`. */
void eg_shard_put_at(void *out, size_t width, const uint16_t *places, uint32_t n, int64_t number,
                     const void *from);

void eg_shard_codes_close(eg_shard_codes *c);

#endif
