/* The pointer is of any type, so it is copied as bytes. */
#include "base/array.h"

#include <stdlib.h>
#include <string.h>

bool eg_array_grow(void *array_pointer, size_t *capacity, size_t n, size_t element_bytes) {
    if (n < *capacity)
        return true;
    size_t more = *capacity > 0 ? 2 * *capacity : 16, n_bytes;
    if (__builtin_mul_overflow(more, element_bytes, &n_bytes))
        return false;
    void *array;
    memcpy(&array, array_pointer, sizeof array);
    array = realloc(array, n_bytes);
    if (array == NULL)
        return false;
    memcpy(array_pointer, &array, sizeof array);
    *capacity = more;
    return true;
}
