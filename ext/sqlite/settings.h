/*
** Settings of a connection: how many threads a scan may use, how much memory a ranking. Each is
** what its function was last given, else what the environment says, else the machine's.
**
**   earlgrey_threads([n])            EARLGREY_THREADS        the cores this process may use
**   earlgrey_memory_limit([bytes])   EARLGREY_MEMORY_LIMIT   half of the machine's memory
*/
#ifndef EG_SETTINGS_H
#define EG_SETTINGS_H

#include "sqlite/connection.h"

#define EG_MAX_THREADS 64

int eg_register_settings(eg_connection *c);

/* What holds now. EG_MISUSE where the environment holds nonsense. */
eg_status eg_settings_threads(const eg_connection *c, int *n_threads, eg_err *err);
eg_status eg_settings_memory(const eg_connection *c, uint64_t *n_bytes, eg_err *err);

/* Reads '512MB': digits, perhaps with a point and more of them, and a unit: B, KB, MB, GB, TB of
 *1000,
 ** KiB, MiB, GiB, TiB of 1024, none for bytes, in any case. False where it is none, or not above 0.
 */
bool eg_settings_parse_bytes(const char *text, uint64_t *n_bytes);

#endif
