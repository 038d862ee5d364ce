/*
** The lines of a time series: one for each key, of cells over the buckets between its first
** and its last. Buckets are numbers relative to any origin. A key is n_words packed words
** (group_keys.h); with 0 words there is one key.
**
** Cells of all lines are in one array. A line that grows moves to a block of twice the size,
** and its old block is used by another. Long work asks the host by the scan.
*/
#ifndef EG_SERIES_LINES_H
#define EG_SERIES_LINES_H

#include "query/scan.h"

typedef struct eg_cell {
    uint64_t bytes, packets, flows;
} eg_cell;

typedef struct eg_line {
    int32_t lo, hi;    /* buckets it covers; lo > hi: none yet */
    int32_t first;     /* bucket of its block's first cell */
    uint32_t block;    /* number of that cell */
    uint8_t log2_size; /* of the block */
} eg_line;

#define EG_BLOCK_SIZES 32

typedef struct eg_lines {
    unsigned n_words;
    uint64_t seed; /* of the hash: nobody can choose keys that collide */
    eg_line *lines;
    uint64_t *words; /* [n * n_words] keys of lines */
    uint32_t *slots; /* [mask + 1] number of a line + 1, by hash; 0 free */
    eg_cell *cells;
    size_t n, capacity, words_capacity, mask, n_cells, cells_capacity;
    uint32_t unused[EG_BLOCK_SIZES]; /* first block of each size that was left, + 1 */
} eg_lines;

eg_status eg_lines_open(eg_lines *l, unsigned n_words, eg_err *err);

/* The line of a key; EG_NO_LINE where there is none. */
#define EG_NO_LINE UINT32_MAX
uint32_t eg_lines_find(const eg_lines *l, const uint64_t *key);

/* Fetches into the cache what eg_lines_find will read for n keys, words[w][i] being word w of
** key i: side by side, while each find alone would wait for memory. scratch has n elements. */
void eg_lines_warm(const eg_lines *l, const uint64_t *const *words, uint32_t n, uint32_t *scratch);

/* And the cells of a bucket in n lines. */
void eg_lines_warm_cells(const eg_lines *l, const uint32_t *lines, uint32_t n, int64_t bucket);

/* Adds a line for a key that has none. EG_NOMEM, EG_INTERRUPT. */
eg_status eg_lines_add(eg_lines *l, const uint64_t *key, eg_scan *scan, uint32_t *line,
                       eg_err *err);

/* Makes the line cover the buckets lo to hi, too, with cells of zeros. EG_NOMEM, EG_INTERRUPT. */
eg_status eg_lines_cover(eg_lines *l, uint32_t line, int32_t lo, int32_t hi, eg_scan *scan,
                         eg_err *err);

/* The cell of a bucket that the line covers. */
static inline eg_cell *eg_lines_cell(const eg_lines *l, const eg_line *line, int32_t bucket) {
    return l->cells + line->block + (bucket - line->first);
}

/* Harmless on zeroed lines. */
void eg_lines_close(eg_lines *l);

#endif
