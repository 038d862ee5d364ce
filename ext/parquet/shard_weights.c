#include "parquet/shard_weights.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#include "parquet/shard_parts.h"

#define IN_KEY " (" EG_WEIGHTS_KEY ")"
#define ROWS_OF_BUCKET 64
#define ANY 255
#define FIRST_ANY 252    /* codes from here on have no 64 bits */
#define MOST_BYTES 65536 /* that weights can be: frames of what does not pack, too */

/* ---- codes -------------------------------------------------------------- */

uint8_t eg_shard_weights_code(uint64_t sum) {
    if (sum < 4)
        return (uint8_t)sum;
    unsigned shift = 61 - (unsigned)__builtin_clzll(sum); /* sum >> shift is 4 to 7 */
    bool is_above = (sum & ((UINT64_C(1) << shift) - 1)) != 0;
    uint64_t code = 4 * (uint64_t)shift + (sum >> shift) + is_above;
    return code < FIRST_ANY ? (uint8_t)code : ANY;
}

uint64_t eg_shard_weights_of_code(uint8_t code) {
    if (code < 4)
        return code;
    return code < FIRST_ANY ? (UINT64_C(4) + code % 4) << (code / 4 - 1) : UINT64_MAX;
}

static uint64_t add(uint64_t a, uint64_t b) {
    return a + b < a ? UINT64_MAX : a + b;
}

/* ---- writing ------------------------------------------------------------ */

unsigned eg_shard_weights_bits(uint32_t n_rows) {
    unsigned n_bits = 0;
    /* To the nearest: a full buffer is a few rows short of 64 << 14. */
    while (n_bits < EG_WEIGHT_BITS && n_rows >= (UINT64_C(3) * ROWS_OF_BUCKET / 4) << (n_bits + 1))
        n_bits++;
    return n_bits;
}

void eg_shard_weights_sum(eg_weight_sums *sums, unsigned n_bits, const uint32_t *addrs,
                          const int64_t *bytes, const int64_t *packets, const uint32_t *rows,
                          uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = rows != NULL ? rows[i] : i;
        uint64_t *of = sums[eg_weight_bucket(addrs[row]) >> (EG_WEIGHT_BITS - n_bits)].of;
        of[EG_WEIGHT_BYTES] = add(of[EG_WEIGHT_BYTES], (uint64_t)bytes[row]);
        of[EG_WEIGHT_PACKETS] = add(of[EG_WEIGHT_PACKETS], (uint64_t)packets[row]);
        of[EG_WEIGHT_FLOWS]++;
    }
}

eg_status eg_shard_weights_write(eg_pq_buffer *out, const eg_weight_sums *sums, unsigned n_bits,
                                 eg_pq_codec *codec, eg_err *err) {
    uint8_t codes[EG_WEIGHT_BUCKETS];
    eg_pq_buffer_put_byte(out, (uint8_t)n_bits);
    eg_status rc = out->status == EG_OK ? EG_OK : eg_fail_nomem(err, "weights");
    for (int m = 0; m < EG_N_WEIGHTS && rc == EG_OK; m++) {
        for (uint32_t b = 0; b < 1u << n_bits; b++)
            codes[b] = eg_shard_weights_code(sums[b].of[m]);
        rc = eg_pq_compress(codec, EG_PQ_ZSTD, EG_PQ_LEVEL_LITERALS, codes, (size_t)1 << n_bits,
                            out, err);
    }
    return rc;
}

/* ---- reading ------------------------------------------------------------ */

static eg_status unpack(eg_shard_weights *w, size_t n_raw, eg_err *err) {
    size_t n_codes = (size_t)EG_N_WEIGHTS << w->n_bits;
    eg_status rc = eg_pq_block_reserve(&w->room, n_codes, err);
    if (rc == EG_OK && w->codec == NULL)
        rc = eg_pq_codec_open(&w->codec, err);
    if (rc == EG_OK)
        rc = eg_pq_decompress(w->codec, EG_PQ_ZSTD, w->raw.data + 1, n_raw - 1, w->room.data,
                              n_codes, err);
    return rc;
}

eg_status eg_shard_weights_read(eg_shard_weights *w, eg_pq_file *f, uint32_t row_group,
                                uint32_t column, eg_err *err) {
    eg_shard_place place;
    w->codes = NULL;
    eg_status rc = eg_shard_place_read(f, row_group, column, EG_WEIGHTS_KEY, &place, err);
    if (rc != EG_OK)
        return rc;
    int64_t offset = place.offset, n_raw = place.n_bytes;
    if (n_raw == 0 || n_raw > MOST_BYTES)
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, -1,
                                "expected weights of 1 to 65536 bytes" IN_KEY, err);
    rc = eg_pq_block_reserve(&w->raw, (size_t)n_raw, err);
    if (rc == EG_OK)
        rc = eg_pq_file_read(f, offset, w->raw.data, (size_t)n_raw, err);
    if (rc != EG_OK)
        return rc;
    w->bytes_read += n_raw;
    if (libdeflate_crc32(0, w->raw.data, (size_t)n_raw) != place.crc32)
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, offset,
                                "CRC of the weights differs" IN_KEY, err);
    w->n_bits = w->raw.data[0];
    if (w->n_bits > EG_WEIGHT_BITS)
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, offset,
                                "weights of more than 2^14 buckets" IN_KEY, err);
    rc = unpack(w, (size_t)n_raw, err);
    if (rc == EG_CORRUPT)
        return eg_pq_chunk_fail(f, row_group, column, EG_CORRUPT, offset,
                                "weights that are not those of their buckets" IN_KEY, err);
    w->codes = rc == EG_OK ? w->room.data : NULL;
    return rc;
}

void eg_shard_weights_add(const eg_shard_weights *w, eg_weight measure, uint64_t *totals) {
    const uint8_t *codes = w->codes + ((size_t)measure << w->n_bits);
    for (uint32_t b = 0; b < EG_WEIGHT_BUCKETS; b++)
        totals[b] =
            add(totals[b], eg_shard_weights_of_code(codes[b >> (EG_WEIGHT_BITS - w->n_bits)]));
}

void eg_shard_weights_close(eg_shard_weights *w) {
    eg_pq_codec_close(w->codec);
    free(w->raw.data);
    free(w->room.data);
    *w = (eg_shard_weights){0};
}
