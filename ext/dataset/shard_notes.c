#include "dataset/shard_notes.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

eg_status eg_shard_notes_add(void *arg, const eg_manifest_shard *shard, eg_err *err) {
    eg_shard_notes *list = arg;
    if (!eg_array_grow(&list->notes, &list->capacity, list->n, sizeof *list->notes))
        return eg_fail_nomem(err, "a list of shards");
    eg_shard_note *n = &list->notes[list->n];
    *n = (eg_shard_note){.id = shard->id,
                         .day = shard->day,
                         .n_rows = shard->n_rows,
                         .n_bytes = shard->n_bytes,
                         .hash = shard->hash,
                         .times = shard->times,
                         .state = list->state,
                         .path = strdup(shard->path)};
    if (n->path == NULL)
        return eg_fail_nomem(err, "a list of shards");
    list->n++;
    return EG_OK;
}

void eg_shard_notes_close(eg_shard_notes *list) {
    for (size_t i = 0; i < list->n; i++)
        free(list->notes[i].path);
    free(list->notes);
    *list = (eg_shard_notes){0};
}
