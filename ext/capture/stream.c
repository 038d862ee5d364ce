/*
** A stream is a pile of layers, each pulling bytes from the one below: the file
** (or memory) at the bottom, on it what its first bytes ask for: compressions,
** then perhaps tar, then the compressions of the current member.
**
** Layers never seek. The bytes looked at to tell what they are wait in the
** layer's head and are read first. A layer's failure sticks, and comes only
** after every byte before it was read.
*/
#include "capture/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/bytes.h"
#include "capture/savefile.h"

#define HEAD_BYTES 512            /* enough to tell all kinds: a tar header */
#define INPUT_BYTES (64 * 1024)   /* of compressed data at a time */
#define MAX_COMPRESSIONS 4        /* on top of one another */
#define DRAIN_BYTES (1024 * 1024) /* looked at behind the end of a compressed archive */

typedef struct layer layer;
struct layer {
    /* Reads 1..cap bytes into buf, or 0 at the end. May set `ended` beside
    ** bytes that it gives: a failure that comes after them. */
    eg_status (*pull)(layer *l, uint8_t *buf, size_t cap, size_t *n_bytes, eg_err *err);
    void (*close)(layer *l); /* frees this layer alone */
    layer *below;            /* NULL at the bottom */
    const char *name;        /* for messages; borrowed from the stream */
    uint8_t head[HEAD_BYTES];
    size_t head_pos, head_end; /* head[pos..end) is still to be read */
    eg_status ended;           /* EG_OK while it goes on, EG_DONE, or the failure in why */
    bool cut;                  /* of a failure: the data below just ends too early */
    eg_err why;
    eg_poll poll; /* of the stream */
};

struct eg_stream {
    char *path;            /* owned */
    char *member_name;     /* "path:member", owned; NULL before the first member of an archive */
    layer *file;           /* the bottom */
    layer *tar;            /* NULL if it is no archive */
    layer *top;            /* the current member; owns all layers by the chain below */
    eg_identity *identity; /* borrowed, or NULL */
    bool began;            /* the file was looked at */
    bool in_member;
    eg_status ended; /* of the walk over members: as in layer */
    bool cut;
    eg_err why;
};

/* ---- layers ------------------------------------------------------------- */

static eg_status layer_pull(layer *l, uint8_t *buf, size_t cap, size_t *n_bytes) {
    *n_bytes = 0;
    if (l->ended != EG_OK)
        return l->ended;
    if (l->poll.poll != NULL && l->poll.poll(l->poll.arg))
        return l->ended = eg_fail(&l->why, EG_INTERRUPT, -1, "interrupted");
    eg_status rc = l->pull(l, buf, cap, n_bytes, &l->why);
    if (rc != EG_OK)
        l->ended = rc;
    else if (*n_bytes == 0 && l->ended == EG_OK)
        l->ended = EG_DONE;
    return *n_bytes > 0 ? EG_OK : l->ended;
}

static eg_status layer_read(layer *l, void *buf, size_t cap, size_t *n_bytes, eg_err *err) {
    if (l->head_pos < l->head_end) {
        size_t n = l->head_end - l->head_pos;
        if (n > cap)
            n = cap;
        memcpy(buf, l->head + l->head_pos, n);
        l->head_pos += n;
        *n_bytes = n;
        return EG_OK;
    }
    eg_status rc = layer_pull(l, buf, cap, n_bytes);
    if (rc == EG_DONE)
        return EG_OK;
    if (rc != EG_OK && err != NULL)
        *err = l->why;
    return rc;
}

/* Looks at the next bytes, HEAD_BYTES or all there are: how many are in head
** from head_pos. A failure is kept for whoever reads that far. */
static size_t layer_peek(layer *l) {
    size_t n = l->head_end - l->head_pos;
    memmove(l->head, l->head + l->head_pos, n);
    l->head_pos = 0;
    for (size_t more; n < HEAD_BYTES; n += more) {
        if (layer_pull(l, l->head + n, HEAD_BYTES - n, &more) != EG_OK)
            break;
    }
    l->head_end = n;
    return n;
}

/* Closes the layers from l down to, not including, `last`. */
static void layers_close(layer *l, const layer *last) {
    while (l != NULL && l != last) {
        layer *below = l->below;
        l->close(l);
        l = below;
    }
}

/* ---- the bottom: a file or memory --------------------------------------- */

typedef struct file_layer {
    layer base;          /* must be first */
    int fd;              /* -1 for memory */
    const uint8_t *next; /* memory still to be read, borrowed */
    size_t n_left;
    int64_t consumed_bytes;
} file_layer;

static eg_status fail_errno(eg_err *err, const char *name, const char *what, int error) {
    char text[128];
    return eg_fail(err, error == ENOMEM ? EG_NOMEM : EG_IO, -1, "%s: %s: %s", name, what,
                   strerror_r(error, text, sizeof text));
}

static eg_status file_pull(layer *l, uint8_t *buf, size_t cap, size_t *n_bytes, eg_err *err) {
    file_layer *f = (file_layer *)l;
    if (f->fd < 0) {
        size_t n = f->n_left < cap ? f->n_left : cap;
        if (n > 0) {
            memcpy(buf, f->next, n);
            f->next += n;
            f->n_left -= n;
        }
        *n_bytes = n;
    } else {
        ssize_t n;
        do {
            n = read(f->fd, buf, cap);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
            return fail_errno(err, l->name, "cannot be read", errno);
        *n_bytes = (size_t)n;
    }
    f->consumed_bytes += (int64_t)*n_bytes;
    return EG_OK;
}

static void file_close(layer *l) {
    file_layer *f = (file_layer *)l;
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

/* ---- gzip --------------------------------------------------------------- */

typedef struct gunzip_layer {
    layer base; /* must be first */
    z_stream z;
    bool in_member;
    bool input_ended;
    int64_t taken_bytes; /* from below */
    uint8_t input[INPUT_BYTES];
} gunzip_layer;

/* Gets at least `want` bytes of input together, or all that is left. */
static eg_status gunzip_fill(gunzip_layer *g, size_t want, eg_err *err) {
    if (g->z.avail_in > 0)
        memmove(g->input, g->z.next_in, g->z.avail_in);
    g->z.next_in = g->input;
    while (g->z.avail_in < want && !g->input_ended) {
        size_t n;
        eg_status rc = layer_read(g->base.below, g->input + g->z.avail_in,
                                  INPUT_BYTES - g->z.avail_in, &n, err);
        if (rc != EG_OK) {
            g->base.cut = g->base.below->cut;
            return rc;
        }
        g->z.avail_in += (uInt)n;
        g->taken_bytes += (int64_t)n;
        g->input_ended = n == 0;
    }
    return EG_OK;
}

static eg_status gunzip_cut(gunzip_layer *g, eg_err *err) {
    g->base.cut = true;
    return eg_fail(err, EG_CORRUPT, g->taken_bytes,
                   "%s: gzip data is cut: found its end at offset %lld, expected more of a member",
                   g->base.name, (long long)g->taken_bytes);
}

static eg_status gunzip_damage(gunzip_layer *g, eg_err *err) {
    int64_t offset = g->taken_bytes - g->z.avail_in;
    return eg_fail(err, EG_CORRUPT, offset,
                   "%s: gzip data is damaged at offset %lld: found %s, expected sound deflate data",
                   g->base.name, (long long)offset, g->z.msg ? g->z.msg : "a preset dictionary");
}

static eg_status gunzip_pull(layer *l, uint8_t *buf, size_t cap, size_t *n_bytes, eg_err *err) {
    gunzip_layer *g = (gunzip_layer *)l;
    uInt room = cap > 1u << 30 ? 1u << 30 : (uInt)cap;
    g->z.next_out = buf;
    g->z.avail_out = room;
    while (g->z.avail_out == room) {
        eg_status rc;
        if (!g->in_member) {
            rc = gunzip_fill(g, 2, err);
            if (rc != EG_OK)
                return rc;
            const uint8_t *p = g->z.next_in;
            if (g->z.avail_in == 0 || p[0] != 0x1f || (g->z.avail_in > 1 && p[1] != 0x8b))
                return EG_OK; /* the end, or padding behind the last member */
            inflateReset(&g->z);
            g->in_member = true;
        }
        int zrc = inflate(&g->z, Z_NO_FLUSH);
        bool gave = g->z.avail_out < room;
        switch (zrc) {
        case Z_OK:
        case Z_BUF_ERROR:
            if (gave || g->z.avail_in > 0)
                break;
            rc = gunzip_fill(g, 1, err);
            if (rc == EG_OK && g->z.avail_in == 0)
                rc = gunzip_cut(g, err);
            if (rc != EG_OK)
                return rc;
            break;
        case Z_STREAM_END:
            g->in_member = false;
            break;
        case Z_MEM_ERROR:
            return eg_fail_nomem(err, "a gzip window");
        default:
            rc = gunzip_damage(g, err);
            if (!gave)
                return rc;
            l->ended = rc; /* told after the bytes that came out before */
        }
    }
    *n_bytes = room - g->z.avail_out;
    return EG_OK;
}

static void gunzip_close(layer *l) {
    gunzip_layer *g = (gunzip_layer *)l;
    inflateEnd(&g->z);
    free(g);
}

static eg_status gunzip_push(layer **top, eg_err *err) {
    gunzip_layer *g = calloc(1, sizeof *g);
    if (g == NULL || inflateInit2(&g->z, 15 + 16) != Z_OK) { /* gzip wrapping only */
        free(g);
        return eg_fail_nomem(err, "a gzip reader");
    }
    g->base.pull = gunzip_pull;
    g->base.close = gunzip_close;
    g->base.below = *top;
    g->base.poll = (*top)->poll;
    g->base.name = (*top)->name;
    *top = &g->base;
    return EG_OK;
}

/* ---- libarchive: one compression, or tar -------------------------------- */

#define FILTER_ERRNO (-1) /* libarchive's number for what its filters find wrong in the data */

typedef struct archive_layer {
    layer base; /* must be first */
    struct archive *a;
    const char *kind; /* "bzip2", …, "tar" */
    bool is_open;
    const uint8_t *block; /* of data that libarchive gave: block[0..n_block) are still to be read */
    size_t n_block;
    int64_t block_offset;   /* in the entry, of block[0] */
    int64_t entry_offset;   /* of the next byte to be read; before the block in a hole */
    int64_t taken_bytes;    /* from below */
    bool input_ended;       /* libarchive met the end of the data below */
    eg_status input_failed; /* the layer below failed so */
    eg_err input_why;
    uint8_t input[INPUT_BYTES];
} archive_layer;

static la_ssize_t archive_input(struct archive *a, void *client, const void **out) {
    archive_layer *l = client;
    size_t n;
    l->input_failed = layer_read(l->base.below, l->input, sizeof l->input, &n, &l->input_why);
    if (l->input_failed != EG_OK) {
        archive_set_error(a, EIO, "%s", l->input_why.msg);
        return -1;
    }
    l->input_ended = n == 0;
    l->taken_bytes += (int64_t)n;
    *out = l->input;
    return (la_ssize_t)n;
}

/* Tells why libarchive gave up. */
static eg_status archive_failure(archive_layer *l, eg_err *err) {
    if (l->input_failed != EG_OK) {
        l->base.cut = l->base.below->cut;
        if (err != NULL)
            *err = l->input_why;
        return l->input_failed;
    }
    const char *text = archive_error_string(l->a);
    if (archive_errno(l->a) == ENOMEM)
        return eg_fail(err, EG_NOMEM, -1, "%s: out of memory for a %s reader", l->base.name,
                       l->kind);
    if (l->input_ended) {
        l->base.cut = true;
        return eg_fail(err, EG_CORRUPT, l->taken_bytes,
                       "%s: %s data is cut: found its end at offset %lld, expected more",
                       l->base.name, l->kind, (long long)l->taken_bytes);
    }
    int64_t offset = archive_filter_bytes(l->a, -1); /* may be unknown in a failed open */
    if (offset < 0)
        offset = l->taken_bytes;
    return eg_fail(err, EG_CORRUPT, offset,
                   "%s: %s data is damaged before offset %lld: found %s, expected sound %s data",
                   l->base.name, l->kind, (long long)offset, text ? text : "no reason", l->kind);
}

/* Reads data of the current entry. (archive_read_data would drop the blocks it
** copied before one that fails.) */
static eg_status entry_read(archive_layer *l, uint8_t *buf, size_t cap, size_t *n_bytes,
                            eg_err *err) {
    while (l->n_block == 0) {
        const void *block = NULL;
        la_int64_t offset = 0;
        size_t n = 0;
        int rc = archive_read_data_block(l->a, &block, &n, &offset);
        if (rc == ARCHIVE_EOF)
            return EG_OK;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return archive_failure(l, err);
        l->block = block;
        l->n_block = n;
        l->block_offset = offset;
    }
    size_t n = cap;
    if (l->block_offset > l->entry_offset) { /* a hole of a sparse file */
        if ((uint64_t)(l->block_offset - l->entry_offset) < n)
            n = (size_t)(l->block_offset - l->entry_offset);
        memset(buf, 0, n);
    } else {
        if (l->n_block < n)
            n = l->n_block;
        memcpy(buf, l->block, n);
        l->block += n;
        l->n_block -= n;
        l->block_offset += (int64_t)n;
    }
    l->entry_offset += (int64_t)n;
    *n_bytes = n;
    return EG_OK;
}

/* A compression: the raw format's one entry. */
static eg_status unpack_begin(archive_layer *l, bool *empty, eg_err *err) {
    *empty = false;
    l->is_open = true;
    if (archive_read_open(l->a, l, NULL, archive_input, NULL) != ARCHIVE_OK) {
        /* "No such format": the raw format refuses an empty output, and only that. */
        *empty = l->input_failed == EG_OK && archive_errno(l->a) != FILTER_ERRNO &&
                 archive_filter_count(l->a) > 1;
        return *empty ? EG_OK : archive_failure(l, err);
    }
    struct archive_entry *entry;
    if (archive_filter_count(l->a) < 2) {
        archive_clear_error(l->a);
        archive_set_error(l->a, FILTER_ERRNO, "the magic, but no header");
        return archive_failure(l, err);
    }
    if (archive_read_next_header(l->a, &entry) != ARCHIVE_OK)
        return archive_failure(l, err);
    return EG_OK;
}

static eg_status unpack_pull(layer *base, uint8_t *buf, size_t cap, size_t *n_bytes, eg_err *err) {
    archive_layer *l = (archive_layer *)base;
    if (!l->is_open) {
        bool empty;
        eg_status rc = unpack_begin(l, &empty, err);
        if (rc != EG_OK || empty)
            return rc;
    }
    return entry_read(l, buf, cap, n_bytes, err);
}

static eg_status tar_pull(layer *base, uint8_t *buf, size_t cap, size_t *n_bytes, eg_err *err) {
    return entry_read((archive_layer *)base, buf, cap, n_bytes, err);
}

static void archive_close(layer *base) {
    archive_layer *l = (archive_layer *)base;
    archive_read_free(l->a);
    free(l);
}

/* `filter` enables the compression; NULL for tar. */
static eg_status archive_push(layer **top, const char *kind, int (*filter)(struct archive *),
                              eg_err *err) {
    archive_layer *l = calloc(1, sizeof *l);
    if (l == NULL)
        return eg_fail_nomem(err, "an archive reader");
    eg_status rc = EG_OK;
    l->a = archive_read_new();
    if (l->a == NULL)
        rc = eg_fail_nomem(err, "an archive reader");
    else if (filter == NULL)
        rc = archive_read_support_format_tar(l->a) == ARCHIVE_OK
                 ? EG_OK
                 : eg_fail_nomem(err, "a tar reader");
    else if (archive_read_support_format_raw(l->a) != ARCHIVE_OK)
        rc = eg_fail_nomem(err, "an archive reader");
    else if (filter(l->a) != ARCHIVE_OK) /* a warning: it would run a program */
        rc = eg_fail(err, EG_UNSUPPORTED, -1,
                     "%s: found %s data, which this libarchive was built without", (*top)->name,
                     kind);
    if (rc != EG_OK) {
        archive_read_free(l->a);
        free(l);
        return rc;
    }
    l->kind = kind;
    l->base.pull = filter == NULL ? tar_pull : unpack_pull;
    l->base.close = archive_close;
    l->base.below = *top;
    l->base.poll = (*top)->poll;
    l->base.name = (*top)->name;
    *top = &l->base;
    return EG_OK;
}

/* ---- what the first bytes are ------------------------------------------- */

typedef enum wrapping { PLAIN, GZIP, BZIP2, ZSTD, XZ, LZ4, SKIPPABLE, TAR } wrapping;

/* A tar header: the sum of its bytes, the sum's own field taken as blanks, is
** written in that field. (Some old writers summed signed bytes.) */
static bool is_tar_sum(const uint8_t *h) {
    int64_t unsigned_sum = 0, signed_sum = 0, written = 0;
    for (size_t i = 0; i < 512; i++) {
        uint8_t c = i >= 148 && i < 156 ? ' ' : h[i];
        unsigned_sum += c;
        signed_sum += c < 128 ? c : c - 256;
    }
    size_t i = 148;
    while (i < 156 && h[i] == ' ')
        i++;
    size_t first = i;
    for (; i < 156 && h[i] >= '0' && h[i] <= '7'; i++)
        written = written * 8 + (h[i] - '0');
    return h[0] != 0 && i > first && (written == unsigned_sum || written == signed_sum);
}

static wrapping wrapping_of(const uint8_t *h, size_t n) {
    static const uint8_t xz[6] = {0xfd, '7', 'z', 'X', 'Z', 0};
    if (eg_savefile_magic(h, n) != EG_MAGIC_NONE)
        return PLAIN;
    if (n >= 2 && h[0] == 0x1f && h[1] == 0x8b && (n == 2 || h[2] == 8))
        return GZIP;
    if (n >= 4 && memcmp(h, "BZh", 3) == 0 && h[3] >= '1' && h[3] <= '9' &&
        (n < 10 || memcmp(h + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 ||
         memcmp(h + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0))
        return BZIP2;
    if (n >= 6 && memcmp(h, xz, 6) == 0)
        return XZ;
    if (n >= 4) {
        uint32_t magic = eg_le32(h);
        if (magic == 0xfd2fb528)
            return ZSTD;
        if (magic == 0x184d2204 || magic == 0x184c2102) /* frame format, legacy */
            return LZ4;
        if ((magic & 0xfffffff0) == 0x184d2a50) /* in front of zstd or lz4 frames */
            return n >= 8 ? SKIPPABLE : PLAIN;
    }
    if (n >= 262 && memcmp(h + 257, "ustar", 5) == 0)
        return TAR;
    return n >= 512 && is_tar_sum(h) ? TAR : PLAIN;
}

static eg_status skip_frame(layer *l, eg_err *err) {
    uint64_t left = 8 + (uint64_t)eg_le32(l->head + l->head_pos + 4);
    uint8_t scratch[4096];
    while (left > 0) {
        size_t n;
        eg_status rc =
            layer_read(l, scratch, left < sizeof scratch ? (size_t)left : sizeof scratch, &n, err);
        if (rc != EG_OK || n == 0)
            return rc;
        left -= n;
    }
    return EG_OK;
}

/* Puts on *top the layers that its first bytes ask for; *is_tar says whether
** what is inside is an archive. Damage is left for the reader to meet. */
static eg_status unwrap(layer **top, bool *is_tar, eg_err *err) {
    *is_tar = false;
    for (int depth = 0; depth < MAX_COMPRESSIONS;) {
        eg_status rc = EG_OK;
        size_t n = layer_peek(*top);
        eg_status ended = (*top)->ended;
        if (ended == EG_IO || ended == EG_NOMEM) {
            if (err != NULL)
                *err = (*top)->why;
            return ended;
        }
        switch (wrapping_of((*top)->head, n)) {
        case PLAIN:
            return EG_OK;
        case TAR:
            *is_tar = true;
            return EG_OK;
        case SKIPPABLE:
            rc = skip_frame(*top, err);
            if (rc == EG_CORRUPT)
                return EG_OK;
            if (rc != EG_OK)
                return rc;
            continue;
        case GZIP:
            rc = gunzip_push(top, err);
            break;
        case BZIP2:
            rc = archive_push(top, "bzip2", archive_read_support_filter_bzip2, err);
            break;
        case ZSTD:
            rc = archive_push(top, "zstd", archive_read_support_filter_zstd, err);
            break;
        case XZ:
            rc = archive_push(top, "xz", archive_read_support_filter_xz, err);
            break;
        case LZ4:
            rc = archive_push(top, "lz4", archive_read_support_filter_lz4, err);
            break;
        }
        if (rc != EG_OK)
            return rc;
        depth++;
    }
    return EG_OK;
}

/* ---- members ------------------------------------------------------------ */

/* The archive's last entry was read. What is wrapped around the archive has its
** own check at its end. */
static eg_status tar_finish(archive_layer *tar, eg_err *err) {
    if (tar->input_ended) /* libarchive takes that for an end, but there are two empty blocks */
        return archive_failure(tar, err);
    if (tar->base.below->below == NULL)
        return EG_DONE;
    for (size_t n, seen = 0; seen < DRAIN_BYTES; seen += n) {
        eg_status rc = layer_read(tar->base.below, tar->input, sizeof tar->input, &n, err);
        tar->base.cut = tar->base.below->cut;
        if (rc != EG_OK)
            return rc;
        if (n == 0)
            break;
    }
    return EG_DONE;
}

/* Goes to the next regular file in the archive. */
static eg_status tar_next(archive_layer *tar, struct archive_entry **entry, eg_err *err) {
    for (;;) {
        if (!tar->is_open) {
            tar->is_open = true;
            if (archive_read_open(tar->a, tar, NULL, archive_input, NULL) != ARCHIVE_OK)
                return archive_failure(tar, err);
        }
        int rc = archive_read_next_header(tar->a, entry);
        if (rc == ARCHIVE_EOF)
            return tar_finish(tar, err);
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return archive_failure(tar, err);
        tar->n_block = 0;
        tar->entry_offset = 0;
        bool is_link = archive_entry_hardlink(*entry) != NULL && archive_entry_size(*entry) == 0;
        if (archive_entry_filetype(*entry) == AE_IFREG && !is_link)
            return EG_OK;
    }
}

static eg_status name_member(eg_stream *s, struct archive_entry *entry, eg_err *err) {
    const char *inner = archive_entry_pathname(entry);
    if (inner == NULL)
        inner = archive_entry_pathname_utf8(entry);
    if (inner == NULL)
        inner = "?"; /* in no character set that is known here */
    size_t n_path = strlen(s->path), n_inner = strlen(inner);
    char *name = malloc(n_path + 1 + n_inner + 1);
    if (name == NULL)
        return eg_fail_nomem(err, "a member's name");
    memcpy(name, s->path, n_path);
    name[n_path] = ':';
    memcpy(name + n_path + 1, inner, n_inner + 1);
    free(s->member_name);
    s->member_name = name;
    return EG_OK;
}

static eg_status next_in_archive(eg_stream *s, eg_err *err) {
    archive_layer *tar = (archive_layer *)s->tar;
    struct archive_entry *entry;
    layers_close(s->top, s->tar);
    s->top = s->tar;
    s->tar->name = s->path;
    eg_status damage = s->tar->ended; /* libarchive goes on after none of its failures */
    if (damage != EG_OK && damage != EG_DONE) {
        *err = s->tar->why;
        return damage;
    }
    eg_status rc = tar_next(tar, &entry, err);
    if (rc == EG_OK)
        rc = name_member(s, entry, err);
    if (rc != EG_OK)
        return rc;
    s->tar->ended = EG_OK;
    s->tar->head_pos = s->tar->head_end = 0;
    s->tar->name = s->member_name;
    bool is_tar; /* an archive in an archive is a member like any other */
    return unwrap(&s->top, &is_tar, err);
}

static eg_status first_member(eg_stream *s, eg_err *err) {
    bool is_tar;
    eg_status rc = unwrap(&s->top, &is_tar, err);
    if (rc != EG_OK || !is_tar)
        return rc;
    rc = archive_push(&s->top, "tar", NULL, err);
    if (rc != EG_OK)
        return rc;
    s->tar = s->top;
    return next_in_archive(s, err);
}

/* ---- the stream --------------------------------------------------------- */

static eg_status open_layers(int fd, const void *bytes, size_t n_bytes, const char *path,
                             eg_stream **out, eg_err *err) {
    eg_stream *s = calloc(1, sizeof *s);
    file_layer *f = calloc(1, sizeof *f);
    char *name = strdup(path);
    if (s == NULL || f == NULL || name == NULL) {
        free(s);
        free(f);
        free(name);
        return eg_fail_nomem(err, "a stream");
    }
    f->fd = fd;
    f->next = bytes;
    f->n_left = n_bytes;
    f->base.pull = file_pull;
    f->base.close = file_close;
    f->base.name = name;
    s->path = name;
    s->file = s->top = &f->base;
    *out = s;
    return EG_OK;
}

eg_status eg_stream_open_memory(const void *bytes, size_t n_bytes, const char *path,
                                eg_stream **out, eg_err *err) {
    *out = NULL;
    return open_layers(-1, bytes, n_bytes, path, out, err);
}

eg_status eg_stream_open(const char *path, eg_stream **out, eg_err *err) {
    *out = NULL;
    int fd;
    do {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return fail_errno(err, path, "cannot be opened", errno);
    struct stat st;
    eg_status rc;
    if (fstat(fd, &st) != 0)
        rc = fail_errno(err, path, "cannot be opened", errno);
    else if (S_ISDIR(st.st_mode))
        rc = fail_errno(err, path, "cannot be read", EISDIR);
    else
        rc = open_layers(fd, NULL, 0, path, out, err);
    if (rc != EG_OK)
        close(fd);
    else
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint; pipes refuse it */
    return rc;
}

void eg_stream_set_poll(eg_stream *s, eg_poll poll) {
    for (layer *l = s->top; l != NULL; l = l->below)
        l->poll = poll;
}

eg_status eg_stream_next_member(eg_stream *s, const char **name, eg_err *err) {
    *name = NULL;
    s->in_member = false;
    if (s->ended == EG_OK) {
        if (!s->began)
            s->ended = first_member(s, &s->why);
        else
            s->ended = s->tar != NULL ? next_in_archive(s, &s->why) : EG_DONE;
        s->began = true;
        s->cut = s->tar != NULL && s->tar->cut;
    }
    if (s->ended == EG_OK) {
        s->in_member = true;
        *name = s->tar != NULL ? s->member_name : s->path;
    } else if (s->ended != EG_DONE && err != NULL) {
        *err = s->why;
    }
    return s->ended;
}

eg_status eg_stream_read(eg_stream *s, void *buf, size_t cap, size_t *n_bytes, eg_err *err) {
    *n_bytes = 0;
    if (!s->in_member || cap == 0)
        return eg_fail(err, EG_MISUSE, -1, "%s: read outside a member or without room", s->path);
    eg_status rc = layer_read(s->top, buf, cap, n_bytes, err);
    if (rc == EG_CORRUPT)
        s->cut = s->top->cut;
    if (s->identity != NULL && *n_bytes > 0)
        eg_identity_add(s->identity, buf, *n_bytes);
    return rc;
}

void eg_stream_set_identity(eg_stream *s, eg_identity *identity) {
    s->identity = identity;
}

/* A read lease is given only where nobody writes; it is given back at once. */
static bool has_writer(int fd) {
    if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
        (void)fcntl(fd, F_SETLEASE, F_UNLCK);
        return false;
    }
    return errno == EAGAIN;
}

eg_stream_file eg_stream_look(const eg_stream *s) {
    const file_layer *f = (const file_layer *)s->file;
    eg_stream_file look = {.n_bytes = -1, .time_ns = -1};
    struct stat st;
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return look;
    look.n_bytes = st.st_size;
    look.time_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    look.has_writer = S_ISREG(st.st_mode) && has_writer(f->fd);
    return look;
}

bool eg_stream_is_cut(const eg_stream *s) {
    return s->cut;
}

bool eg_stream_is_plain(const eg_stream *s) {
    return s->in_member && s->top == s->file;
}

bool eg_stream_is_archive(const eg_stream *s) {
    return s->tar != NULL;
}

int64_t eg_stream_consumed_bytes(const eg_stream *s) {
    return ((const file_layer *)s->file)->consumed_bytes;
}

void eg_stream_close(eg_stream *s) {
    if (s == NULL)
        return;
    layers_close(s->top, NULL);
    free(s->member_name);
    free(s->path);
    free(s);
}
