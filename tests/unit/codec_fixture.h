/* One codec for all tests of a program: set-up and tear-down of a group. */
#ifndef CODEC_FIXTURE_H
#define CODEC_FIXTURE_H

#include "parquet/pq_codec.h"

static eg_pq_codec *codec;

static int open_codec(void **state) {
    (void)state;
    return eg_pq_codec_open(&codec, NULL) == EG_OK ? 0 : -1;
}

static int close_codec(void **state) {
    (void)state;
    eg_pq_codec_close(codec);
    return 0;
}

#endif
