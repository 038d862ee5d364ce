/* Under valgrind, which is thirty times as slow, some tests look at a part of what they look at
** elsewhere: the same code, fewer repetitions. tests/run.sh says so in the environment. */
#ifndef LIGHT_H
#define LIGHT_H

#include <stdbool.h>
#include <stdlib.h>

static inline bool is_light(void) {
    return getenv("EARLGREY_TEST_LIGHT") != NULL;
}

/* Under AddressSanitizer, a few times as slow, the same programs run a second time: the longest of
** them look at a part then, too. */
static inline bool is_watched(void) {
#ifdef __SANITIZE_ADDRESS__
    return true;
#else
    return is_light();
#endif
}

#endif
