/*
** Keys of groups, packed into 64-bit words, most significant first in key order, so that
** comparing words compares keys.
*/
#ifndef EG_GROUP_KEYS_H
#define EG_GROUP_KEYS_H

#include "flow/batch.h"
#include "query/group_table.h"

#define EG_GROUP_MAX_KEYS 8

typedef struct eg_key {
    eg_column col;       /* any column but packets, bytes and their estimates */
    uint8_t prefix_bits; /* IP4 columns: 0..32 leading bits; 32 otherwise */
} eg_key;

/* Parses 'srcaddr,dstport' or 'srcaddr/24, dst_as' into keys. EG_MISUSE names
** the key, what is wrong and what may stand there. */
eg_status eg_group_parse_keys(const char *text, size_t n_bytes, eg_key keys[EG_GROUP_MAX_KEYS],
                              size_t *n_keys, eg_err *err);

/* The vectors of keys. */
eg_vector_set eg_group_keys_vectors(const eg_key *keys, size_t n_keys);

/* Where a key is in the packed words. A field never straddles two words, and the
** first key is the most significant, so words compare as keys do. */
typedef struct eg_key_field {
    unsigned word, shift, bits;
    uint64_t bias; /* xored: makes signed numbers compare unsigned */
    uint32_t mask; /* of IP4 columns */
} eg_key_field;

typedef struct eg_key_layout {
    size_t n_keys;
    eg_key keys[EG_GROUP_MAX_KEYS];
    eg_key_field fields[EG_GROUP_MAX_KEYS];
    unsigned n_words; /* with those before the keys */
    bool has_text;    /* some key is a TEXT column: compares texts */
} eg_key_layout;

/* Lays keys out from words[first_word] on. Words before are the caller's, and are compared only
** where no key is a text. */
void eg_key_layout_make(eg_key_layout *l, const eg_key *keys, size_t n_keys, unsigned first_word);

/* Sets the keys' bits in words[w][i], zeroed before, for each selected row i of a batch. */
void eg_key_layout_pack(const eg_key_layout *l, const eg_batch *b, uint64_t *const *words);

void eg_key_layout_unpack(const eg_key_layout *l, const uint64_t *words,
                          int64_t keys[EG_GROUP_MAX_KEYS]);

/* Negative, 0 or positive, as the keys compare: numbers, texts bytewise. */
int eg_key_layout_compare(const eg_key_layout *l, const eg_intern *texts, const uint64_t *a,
                          const uint64_t *b);

/* Keys have no NULL: EG_UNSUPPORTED names the first of a batch that would need one. */
eg_status eg_key_layout_refuse_nulls(const eg_key_layout *l, const eg_batch *b, eg_err *err);

#endif
