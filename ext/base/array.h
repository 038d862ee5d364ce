/* Arrays that grow by doubling. */
#ifndef EG_ARRAY_H
#define EG_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Makes room for one more element behind n in the array that *array_pointer points to, of
** *capacity elements. False without memory: the array stays as it is. */
bool eg_array_grow(void *array_pointer, size_t *capacity, size_t n, size_t element_bytes);

#endif
