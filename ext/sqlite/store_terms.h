/* A predicate as WHERE terms of a store's table, and what of them an index can answer. */
#ifndef EG_STORE_TERMS_H
#define EG_STORE_TERMS_H

#include "flow/predicate.h"
#include "sqlite/store_schema.h"

typedef struct eg_store_terms {
    char *where;                     /* all that SQL can say, as " AND …"; "" without */
    char *indexed[EG_STORE_INDEXES]; /* what each index answers, as "…"; NULL: nothing */
} eg_store_terms;

/* A row that fails them fails the predicate, too; others may. NULL and empty predicates have no
** terms. EG_NOMEM. */
eg_status eg_store_terms_make(const eg_predicate *p, eg_store_terms *out, eg_err *err);
void eg_store_terms_clear(eg_store_terms *t);

#endif
