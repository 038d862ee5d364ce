/*
** floor: what ranking the address pairs of a capture costs at the least, to hold Earlgrey against.
**
**     floor [-t threads] [-k groups] FILE
**
** FILE must be of flowgen's making: nothing is checked, nothing is accounted for, packets are
** where arithmetic says. Threads read parts of the file in pieces of 256 KiB, pack each record's
** pair and bytes into 12 bytes and cut them into partitions by hash; then each partition is
** summed once, in a table that fits the cache, and gives its k largest. Prints them as
** netflow_active does: addresses, bytes. Packets and flows are not summed.
*/
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_HEADER_BYTES 24
#define PREFIX_BYTES (16 + 14 + 20 + 8 + 24) /* up to the first record */
#define RECORD_BYTES 48
#define PACKET_BYTES (PREFIX_BYTES + 30 * RECORD_BYTES)
#define PIECE_PACKETS (256 * 1024 / PACKET_BYTES)
#define N_PARTITIONS 256
#define CHUNK_ROWS 340 /* 4 KiB */
#define MAX_THREADS 64
#define MAX_K 1000

typedef struct row {
    uint32_t low, high, bytes;
} row;

typedef struct chunk {
    struct chunk *older;
    uint32_t n;
    row rows[CHUNK_ROWS];
} chunk;

typedef struct group {
    uint64_t pair, bytes;
} group;

typedef struct worker {
    pthread_t thread;
    int64_t first, end; /* packets of the file */
    chunk *newest[N_PARTITIONS];
    chunk *block; /* chunks are cut from */
    uint32_t n_block;
    group top[MAX_K];
    uint32_t n_top;
    uint64_t n_groups;
} worker;

static int file, n_threads = 1, k = 10;
static int64_t file_bytes;
static worker workers[MAX_THREADS];

static void *need(void *p) {
    if (p == NULL) {
        fputs("floor: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static inline uint32_t load(const uint8_t *p) {
    uint32_t n;
    memcpy(&n, p, sizeof n);
    return ntohl(n);
}

static inline uint64_t hash(uint32_t low, uint32_t high) {
    uint64_t h = ((uint64_t)low << 32 | high) * UINT64_C(0x9e3779b97f4a7c15);
    return (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
}

static chunk *new_chunk(worker *w, chunk *older) {
    if (w->n_block == 0) {
        w->block = need(aligned_alloc(4096, 512 * sizeof *w->block));
        w->n_block = 512;
    }
    chunk *c = w->block++;
    w->n_block--;
    c->older = older;
    c->n = 0;
    return c;
}

static inline void scatter(worker *w, const uint8_t *record) {
    uint32_t src = load(record), dst = load(record + 4), bytes = load(record + 20);
    uint32_t low = src < dst ? src : dst, high = src < dst ? dst : src;
    uint32_t part = (uint32_t)(hash(low, high) >> 56);
    chunk *c = w->newest[part];
    if (c == NULL || c->n == CHUNK_ROWS)
        c = w->newest[part] = new_chunk(w, c);
    c->rows[c->n++] = (row){low, high, bytes};
}

static void *read_part(void *arg) {
    worker *w = arg;
    uint8_t *piece = need(malloc((size_t)PIECE_PACKETS * PACKET_BYTES));
    for (int64_t at = w->first; at < w->end; at += PIECE_PACKETS) {
        int64_t n = w->end - at < PIECE_PACKETS ? w->end - at : PIECE_PACKETS;
        ssize_t got =
            pread(file, piece, (size_t)n * PACKET_BYTES, FILE_HEADER_BYTES + at * PACKET_BYTES);
        for (const uint8_t *p = piece; p + PREFIX_BYTES < piece + got; p += PACKET_BYTES) {
            int left = (int)((piece + got - p - PREFIX_BYTES) / RECORD_BYTES);
            for (int r = 0; r < 30 && r < left; r++)
                scatter(w, p + PREFIX_BYTES + r * RECORD_BYTES);
        }
    }
    free(piece);
    return NULL;
}

/* Keeps the k largest in order; ties by pair. */
static void offer(worker *w, const group *g) {
    uint32_t at = w->n_top;
    if (at == (uint32_t)k && g->bytes < w->top[at - 1].bytes)
        return;
    while (at > 0 && (w->top[at - 1].bytes < g->bytes ||
                      (w->top[at - 1].bytes == g->bytes && w->top[at - 1].pair > g->pair)))
        at--;
    if (at == (uint32_t)k)
        return;
    w->n_top += w->n_top < (uint32_t)k;
    memmove(&w->top[at + 1], &w->top[at], (w->n_top - at - 1) * sizeof *g);
    w->top[at] = *g;
}

static void sum_partition(worker *w, int part, group **table, size_t *capacity) {
    size_t n_rows = 0, n_slots = 1024;
    for (int t = 0; t < n_threads; t++)
        for (const chunk *c = workers[t].newest[part]; c != NULL; c = c->older)
            n_rows += c->n;
    while (n_slots < n_rows)
        n_slots *= 2;
    if (n_slots > *capacity) {
        free(*table);
        *table = need(malloc(n_slots * sizeof **table));
        *capacity = n_slots;
    }
    memset(*table, 0, n_slots * sizeof **table);
    for (int t = 0; t < n_threads; t++)
        for (const chunk *c = workers[t].newest[part]; c != NULL; c = c->older)
            for (uint32_t r = 0; r < c->n; r++) {
                const row *at = &c->rows[r];
                uint64_t pair = (uint64_t)at->low << 32 | at->high;
                size_t i = (size_t)hash(at->low, at->high) & (n_slots - 1);
                while ((*table)[i].pair != pair && (*table)[i].pair != 0)
                    i = (i + 1) & (n_slots - 1);
                w->n_groups += (*table)[i].pair == 0;
                (*table)[i].pair = pair;
                (*table)[i].bytes += at->bytes;
            }
    for (size_t i = 0; i < n_slots; i++)
        if ((*table)[i].pair != 0)
            offer(w, &(*table)[i]);
}

static void *sum_part(void *arg) {
    worker *w = arg;
    group *table = NULL;
    size_t capacity = 0;
    for (int part = (int)(w - workers); part < N_PARTITIONS; part += n_threads)
        sum_partition(w, part, &table, &capacity);
    free(table);
    return NULL;
}

static void run(void *(*what)(void *)) {
    for (int t = 1; t < n_threads; t++)
        if (pthread_create(&workers[t].thread, NULL, what, &workers[t]) != 0)
            exit(1);
    what(&workers[0]);
    for (int t = 1; t < n_threads; t++)
        pthread_join(workers[t].thread, NULL);
}

static void print_address(uint32_t a, char end) {
    printf("%u.%u.%u.%u%c", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, end);
}

int main(int argc, char **argv) {
    struct stat st;
    int option;
    while ((option = getopt(argc, argv, "t:k:")) != -1) {
        if (option == 't')
            n_threads = atoi(optarg);
        else if (option == 'k')
            k = atoi(optarg);
        else
            n_threads = 0;
    }
    if (n_threads < 1 || n_threads > MAX_THREADS || k < 1 || k > MAX_K || optind + 1 != argc) {
        fputs("usage: floor [-t threads] [-k groups] FILE\n", stderr);
        return 2;
    }
    file = open(argv[optind], O_RDONLY);
    if (file < 0 || fstat(file, &st) != 0) {
        perror(argv[optind]);
        return 1;
    }
    file_bytes = st.st_size;
    int64_t n_packets = (file_bytes - FILE_HEADER_BYTES + PACKET_BYTES - 1) / PACKET_BYTES;
    for (int t = 0; t < n_threads; t++) {
        workers[t].first = n_packets * t / n_threads;
        workers[t].end = n_packets * (t + 1) / n_threads;
    }
    run(read_part);
    run(sum_part);
    for (int t = 1; t < n_threads; t++) {
        for (uint32_t i = 0; i < workers[t].n_top; i++)
            offer(&workers[0], &workers[t].top[i]);
        workers[0].n_groups += workers[t].n_groups;
    }
    for (uint32_t i = 0; i < workers[0].n_top; i++) {
        print_address((uint32_t)(workers[0].top[i].pair >> 32), '|');
        print_address((uint32_t)workers[0].top[i].pair, '|');
        printf("%" PRIu64 "\n", workers[0].top[i].bytes);
    }
    fprintf(stderr, "%" PRIu64 " pairs\n", workers[0].n_groups);
    return 0;
}
