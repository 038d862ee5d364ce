/* Under valgrind, which is thirty times as slow, some tests look at a part of what they look at
** elsewhere: the same code, fewer repetitions. tests/run.sh says so in the environment. */
#ifndef LIGHT_H
#define LIGHT_H

#include <stdbool.h>
#include <stdlib.h>

static inline bool is_light(void) {
    return getenv("EARLGREY_TEST_LIGHT") != NULL;
}

#endif
