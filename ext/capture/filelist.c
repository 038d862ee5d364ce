/* What makes a file a capture: its beginning, once unpacked, or its name. */
#include "capture/filelist.h"

#include <string.h>
#include <strings.h>

#include "capture/savefile.h"

/* ---- names -------------------------------------------------------------- */

/* The length of `name` without the ending, or 0 if it has another (or no more). */
static size_t without(const char *name, size_t n, const char *ending) {
    size_t m = strlen(ending);
    return n > m && strncasecmp(name + n - m, ending, m) == 0 ? n - m : 0;
}

static bool ends_in(const char *name, size_t n, const char *const *endings) {
    for (; *endings != NULL; endings++) {
        if (without(name, n, *endings) > 0)
            return true;
    }
    return false;
}

bool eg_filelist_is_capture_name(const char *name) {
    static const char *const archives[] = {".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".tlz4", NULL};
    static const char *const captures[] = {".pcap", ".pcapng", ".cap", ".dmp",
                                           ".dump", ".tar",    NULL};
    static const char *const compressions[] = {".gz", ".bz2", ".zst", ".xz", ".lz4", NULL};
    size_t n = strlen(name);
    if (ends_in(name, n, archives))
        return true;
    for (const char *const *c = compressions; *c != NULL; c++) {
        size_t shorter = without(name, n, *c);
        if (shorter > 0) {
            n = shorter;
            break;
        }
    }
    return ends_in(name, n, captures);
}

/* ---- the list ----------------------------------------------------------- */

/* Whether a file of a directory counts by what is in it. */
static eg_status sniff(const char *path, bool *is_capture, eg_err *err) {
    eg_stream *s;
    *is_capture = eg_filelist_is_capture_name(path);
    eg_status rc = eg_stream_open(path, &s, err);
    if (rc != EG_OK || *is_capture) {
        if (rc == EG_OK)
            eg_stream_close(s);
        return rc;
    }
    const char *name;
    uint8_t head[4];
    size_t n_head = 0, n = 1;
    rc = eg_stream_next_member(s, &name, err);
    if (eg_stream_is_archive(s)) {
        *is_capture = rc != EG_IO && rc != EG_NOMEM;
    } else {
        while (rc == EG_OK && n > 0 && n_head < sizeof head) {
            rc = eg_stream_read(s, head + n_head, sizeof head - n_head, &n, err);
            n_head += n;
        }
        *is_capture = eg_savefile_magic(head, n_head) != EG_MAGIC_NONE;
    }
    eg_stream_close(s);
    return rc == EG_IO || rc == EG_NOMEM ? rc : EG_OK; /* damaged or of no kind: not one of ours */
}

static const eg_file_kind captures_kind = {
    .plural = "captures",
    .expected = "some that begin like a pcap, pcapng or tar file",
    .has_name = eg_filelist_is_capture_name,
    .is_one = sniff,
    .globs_may_be_empty = true,
};

eg_status eg_filelist_open(const char *source, size_t n_bytes, eg_filelist *list, eg_err *err) {
    return eg_filelist_open_polled(source, n_bytes, (eg_poll){0}, list, err);
}

eg_status eg_filelist_open_polled(const char *source, size_t n_bytes, eg_poll poll,
                                  eg_filelist *list, eg_err *err) {
    eg_status rc = eg_file_walk(source, n_bytes, &captures_kind, poll, list, err);
    /* A pipe's size counts as none in sums. */
    for (size_t i = 0; i < list->n_files; i++)
        if (list->files[i].size_bytes < 0)
            list->files[i].size_bytes = 0;
    return rc;
}
