/*
** A step: batches go from the source into the store until the watch says that a capture
** ended; then it is committed, or dropped, as what is known of it by then asks for.
**
** The store is locked while a file is read. Only at a capture's end is its content
** known, so a capture that was stored before is read, encoded and dropped; but files that
** look as they did when they were stored are first read for their ids alone.
*/
#include "dataset/ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "capture/capture.h"
#include "capture/filelist.h"
#include "dataset/row_buffer.h"

#define EG_INGEST_DETAIL 512

struct eg_ingest {
    eg_store *store; /* owned */
    eg_ingest_options options;
    eg_filelist list; /* of all files; sources are opened for one at a time */
    size_t next_file;
    int64_t total_bytes, done_bytes; /* of the files; of those that are done */
    int64_t next_bytes;              /* of the file being read */
    int64_t n_rows;

    /* Of the file being read: */
    eg_intern *texts;
    eg_scan_spec spec;
    eg_capture_watch watch;
    eg_source *source;
    eg_piece *piece;
    eg_batch window;
    eg_stored_capture *partial; /* of the store, by length */
    int64_t *lengths;
    size_t n_partial;

    /* Of the capture being read: */
    char *name;
    char *file;
    int64_t file_bytes, file_time_ns;
    eg_ledger *ledger;
    bool has_begun; /* in the store */
    bool is_done;   /* row is set */
    bool all_known; /* by ids only: no capture was new */
    eg_ingest_row row;
    char detail[EG_INGEST_DETAIL];
};

const char *eg_ingest_status_name(eg_ingest_status s) {
    static const char *const names[] = {
        [EG_INGEST_STORED] = "stored",           [EG_INGEST_ALREADY_THERE] = "already there",
        [EG_INGEST_GROWING] = "growing",         [EG_INGEST_NOT_CAPTURE] = "not a capture",
        [EG_INGEST_DAMAGED] = "damaged archive",
    };
    return names[s];
}

/* ---- The watch */

static eg_status keep_text(char **to, const char *text, eg_err *err) {
    free(*to);
    *to = strdup(text);
    return *to != NULL ? EG_OK : eg_fail_nomem(err, "a name");
}

static eg_status on_begin(void *arg, const eg_capture_start *start, eg_ledger **ledger,
                          eg_err *err) {
    eg_ingest *g = arg;
    eg_ledger_close(g->ledger);
    g->ledger = NULL;
    g->file_bytes = start->file_bytes;
    g->file_time_ns = start->file_time_ns;
    eg_status rc = keep_text(&g->name, start->name, err);
    if (rc == EG_OK)
        rc = keep_text(&g->file, start->file, err);
    if (rc == EG_OK && !g->watch.ids_only)
        rc = eg_ledger_open(&g->ledger, err);
    *ledger = g->ledger;
    return rc;
}

static void finish_row(eg_ingest *g, eg_ingest_status status, const char *detail) {
    g->row = (eg_ingest_row){.capture = g->name, .status = status, .detail = g->detail};
    snprintf(g->detail, sizeof g->detail, "%s", detail);
    g->is_done = true;
}

/* The longest partial capture that this one begins with. */
static const eg_stored_capture *find_continued(const eg_ingest *g, const eg_capture_end *end) {
    const eg_stored_capture *found = NULL;
    for (size_t i = 0; i < end->n_prefixes; i++)
        if (g->partial[i].n_bytes < end->n_bytes &&
            eg_capture_id_equal(&g->partial[i].id, &end->prefixes[i]))
            found = &g->partial[i];
    return found;
}

static eg_status commit(eg_ingest *g, const eg_capture_end *end, eg_err *err) {
    int64_t datagrams, rejected, lost;
    eg_stored_result made;
    eg_status rc = eg_ledger_finish(g->ledger, err);
    if (rc != EG_OK)
        return rc;
    eg_ledger_totals(g->ledger, &datagrams, &rejected, &lost);
    const eg_stored_capture *continued = find_continued(g, end);
    eg_capture_record record = {.id = end->id,
                                .n_bytes = end->n_bytes,
                                .name = g->name,
                                .file = g->file,
                                .file_bytes = g->file_bytes,
                                .file_time_ns = g->file_time_ns,
                                .is_partial = end->growing[0] != '\0',
                                .datagrams = datagrams,
                                .rejected = rejected,
                                .flows_lost = lost,
                                .ledger = g->ledger,
                                .texts = g->texts,
                                .replaces = continued != NULL ? &continued->id : NULL};
    rc = g->store->ops->commit(g->store, &record, &made, err);
    g->has_begun = false;
    if (rc != EG_OK)
        return rc;
    char detail[EG_INGEST_DETAIL] = "";
    if (record.is_partial)
        snprintf(detail, sizeof detail, "partial: %s", end->growing);
    else if (continued != NULL)
        snprintf(detail, sizeof detail, "replaces the part of it that was stored before");
    else if (end->is_cut)
        snprintf(detail, sizeof detail, "it ends within a packet");
    else if (end->is_damaged)
        snprintf(detail, sizeof detail, "damaged: what can be read is stored");
    finish_row(g, EG_INGEST_STORED, detail);
    g->row.n_rows = made.n_rows;
    g->row.n_rejected = rejected;
    g->row.n_lost = lost;
    g->row.n_shards = made.n_shards;
    g->row.n_bytes = made.n_bytes;
    return EG_OK;
}

static eg_status on_end(void *arg, const eg_capture_end *end, eg_err *err) {
    eg_ingest *g = arg;
    bool found = false;
    eg_status rc = EG_OK;
    if (end->is_capture)
        rc = g->store->ops->find(g->store, &end->id, &found, err);
    if (rc != EG_OK)
        return rc;
    if (g->watch.ids_only) {
        g->all_known = g->all_known && found;
        finish_row(g, EG_INGEST_ALREADY_THERE, "");
        return EG_OK;
    }
    if (end->is_capture && !found && (end->growing[0] == '\0' || g->options.partial))
        return commit(g, end, err);
    if (!end->is_capture)
        finish_row(g, end->n_bytes < 0 ? EG_INGEST_DAMAGED : EG_INGEST_NOT_CAPTURE,
                   end->n_bytes < 0 ? "its further members cannot be read" : "");
    else if (found)
        finish_row(g, EG_INGEST_ALREADY_THERE, "");
    else
        finish_row(g, EG_INGEST_GROWING, end->growing);
    g->store->ops->rollback(g->store);
    g->has_begun = false;
    return EG_OK;
}

/* ---- Files */

static void close_file(eg_ingest *g) {
    if (g->piece != NULL)
        g->piece->ops->close(g->piece, NULL);
    if (g->source != NULL)
        g->source->ops->close(g->source, NULL);
    g->piece = NULL;
    g->source = NULL;
    if (g->has_begun)
        g->store->ops->rollback(g->store);
    g->has_begun = false;
    g->store->ops->unlock(g->store);
    eg_rows_close_window(&g->window);
    eg_ledger_close(g->ledger);
    g->ledger = NULL;
    eg_intern_close(g->texts);
    g->texts = NULL;
    free(g->partial);
    g->partial = NULL;
    free(g->lengths);
    g->lengths = NULL;
    g->n_partial = 0;
}

static eg_status open_file(eg_ingest *g, const eg_file *file, bool ids_only, eg_err *err) {
    close_file(g);
    eg_status rc = eg_intern_open(&g->texts, err);
    if (rc == EG_OK)
        rc = g->store->ops->lock(g->store, err);
    if (rc == EG_OK)
        rc = g->store->ops->partial(g->store, &g->partial, &g->n_partial, err);
    if (rc == EG_OK && (g->lengths = calloc(g->n_partial + 1, sizeof *g->lengths)) == NULL)
        rc = eg_fail_nomem(err, "a list of captures");
    for (size_t i = 0; rc == EG_OK && i < g->n_partial; i++)
        g->lengths[i] = g->partial[i].n_bytes;
    g->spec =
        (eg_scan_spec){.vectors = eg_rows_vectors(), .texts = g->texts, .poll = g->options.poll};
    g->watch = (eg_capture_watch){.arg = g,
                                  .begin = on_begin,
                                  .end = on_end,
                                  .lengths = g->lengths,
                                  .n_lengths = g->n_partial,
                                  .ids_only = ids_only};
    g->all_known = true;
    if (rc == EG_OK)
        rc = eg_capture_open_file(file, &g->spec, &g->watch, &g->source, err);
    if (rc == EG_OK)
        rc = g->source->ops->next_piece(g->source, &g->piece, err);
    return rc;
}

/* Reads on until a capture ended. EG_DONE at the end of the file. */
static eg_status read_capture(eg_ingest *g, eg_err *err) {
    g->is_done = false;
    for (;;) {
        eg_status rc = EG_OK;
        if (!g->watch.ids_only && !g->has_begun) {
            rc = g->store->ops->begin(g->store, g->texts, err);
            g->has_begun = rc == EG_OK;
        }
        if (rc == EG_OK && g->has_begun)
            rc = g->store->ops->room(g->store, &g->window, err);
        if (rc == EG_OK)
            rc = g->piece->ops->next(g->piece, &g->window, err);
        if (rc == EG_OK && g->window.n_rows > 0)
            rc = g->store->ops->filled(g->store, g->window.n_rows, err);
        g->n_rows += rc == EG_OK ? g->window.n_rows : 0;
        if (rc != EG_OK || g->is_done)
            return g->is_done && rc == EG_DONE ? EG_OK : rc;
        if (g->options.poll.poll != NULL && g->options.poll.poll(g->options.poll.arg))
            return eg_fail(err, EG_INTERRUPT, -1, "interrupted");
    }
}

/* Whether all captures of a file are in the store, by their ids. */
static eg_status is_known(eg_ingest *g, const eg_file *file, bool *known, eg_err *err) {
    struct stat st;
    *known = false;
    if (stat(file->path, &st) != 0)
        return EG_OK; /* opening it will tell */
    eg_status rc = g->store->ops->has_file(
        g->store, file->path, st.st_size,
        (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, known, err);
    if (rc != EG_OK || !*known)
        return rc;
    rc = open_file(g, file, true, err);
    while (rc == EG_OK && g->all_known)
        rc = read_capture(g, err);
    *known = rc == EG_DONE && g->all_known;
    return rc == EG_DONE ? EG_OK : rc;
}

static int64_t size_of(const eg_file *file) {
    struct stat st;
    return stat(file->path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
}

eg_status eg_ingest_open(const char *source, size_t n_bytes, eg_store *store,
                         const eg_ingest_options *options, eg_ingest **out, eg_err *err) {
    *out = NULL;
    eg_ingest *g = calloc(1, sizeof *g);
    if (g == NULL) {
        store->ops->close(store);
        return eg_fail_nomem(err, "an ingest");
    }
    g->store = store;
    g->options = *options;
    eg_status rc = eg_filelist_open_polled(source, n_bytes, options->poll, &g->list, err);
    if (rc != EG_OK) {
        eg_ingest_close(g);
        return rc;
    }
    for (size_t i = 0; i < g->list.n_files; i++)
        g->total_bytes += size_of(&g->list.files[i]);
    *out = g;
    return EG_OK;
}

eg_status eg_ingest_next(eg_ingest *g, eg_ingest_row *row, eg_err *err) {
    for (;;) {
        if (g->source == NULL) {
            if (g->next_file == g->list.n_files)
                return EG_DONE;
            const eg_file *file = &g->list.files[g->next_file];
            bool known;
            g->next_bytes = size_of(file);
            eg_status rc = is_known(g, file, &known, err);
            if (rc == EG_OK)
                rc = open_file(g, file, known, err);
            if (rc != EG_OK)
                return rc;
            g->next_file++;
        }
        /* The lock is let go of between captures, for whoever gets the row may write, too. */
        eg_status rc = g->store->ops->lock(g->store, err);
        if (rc == EG_OK)
            rc = read_capture(g, err);
        if (rc == EG_OK) {
            *row = g->row;
            g->store->ops->unlock(g->store);
            return EG_OK;
        }
        if (rc != EG_DONE)
            return rc;
        close_file(g);
        g->done_bytes += g->next_bytes;
        g->next_bytes = 0;
    }
}

void eg_ingest_progress(const eg_ingest *g, int64_t *done_bytes, int64_t *total_bytes,
                        int64_t *n_rows) {
    int64_t read_bytes = 0, all = 0;
    if (g->source != NULL)
        g->source->ops->progress(g->source, &read_bytes, &all);
    *done_bytes = g->done_bytes + (read_bytes < g->next_bytes ? read_bytes : g->next_bytes);
    *total_bytes = g->total_bytes;
    *n_rows = g->n_rows;
}

void eg_ingest_close(eg_ingest *g) {
    if (g == NULL)
        return;
    close_file(g);
    g->store->ops->close(g->store);
    eg_filelist_close(&g->list);
    free(g->name);
    free(g->file);
    free(g);
}
