/*
** An append-only table of distinct short texts (exporter addresses, file
** names): each text gets a number, the same text the same number, and the
** pointer to a text stays valid until the table is closed. Any thread may add, at any
** time, and look up the codes that it was given.
*/
#ifndef EG_INTERN_H
#define EG_INTERN_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct eg_intern eg_intern;

/* Makes an empty table. EG_NOMEM or EG_OK. */
eg_status eg_intern_open(eg_intern **out, eg_err *err);

/* Sets *code to the number of text[0..n_bytes), adding it if it is new.
** Numbers count up from 0 in order of arrival. EG_NOMEM, EG_OK. */
eg_status eg_intern_add(eg_intern *t, const char *text, size_t n_bytes, uint32_t *code,
                        eg_err *err);

/* The NUL-terminated text of a code that eg_intern_add gave, and its length. */
const char *eg_intern_text(const eg_intern *t, uint32_t code, size_t *n_bytes);

uint32_t eg_intern_count(const eg_intern *t);

/* NULL is allowed. */
void eg_intern_close(eg_intern *t);

#endif
