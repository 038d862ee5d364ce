/*
** Feeds every file of the given files and folders to a fuzz target, once, as an
** ordinary test: past finds stay fixed. Each input is copied into a block of
** exactly its size, so that a sanitizer sees a read one byte beyond it; then
** each of its prefixes of a few lengths goes through too.
*/
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long n_inputs;

static int feed(const uint8_t *bytes, size_t n) {
    uint8_t *exact = malloc(n > 0 ? n : 1);
    if (exact == NULL) {
        return -1;
    }
    if (n > 0) {
        memcpy(exact, bytes, n);
    }
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 0;
}

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    long end = ftell(f);
    size_t n = end > 0 ? (size_t)end : 0;
    rewind(f);
    uint8_t *bytes = malloc(n > 0 ? n : 1);
    int rc = bytes != NULL && fread(bytes, 1, n, f) == n ? 0 : -1;
    fclose(f);

    if (rc == 0) {
        rc = feed(bytes, n);
    }
    for (size_t cut = n / 2; rc == 0 && cut > 0; cut /= 2) {
        rc = feed(bytes, cut) != 0 ? -1 : feed(bytes, n - cut);
    }
    free(bytes);
    n_inputs++;
    if (rc != 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
    }
    return rc;
}

static int replay(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    if (!S_ISDIR(st.st_mode)) {
        return replay_file(path);
    }
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort), rc = n < 0 ? -1 : 0;
    for (int i = 0; i < n; i++) {
        char *inner = malloc(strlen(path) + strlen(names[i]->d_name) + 2);
        if (inner == NULL) {
            rc = -1;
        } else if (names[i]->d_name[0] != '.') {
            sprintf(inner, "%s/%s", path, names[i]->d_name);
            if (replay(inner) != 0) {
                rc = -1;
            }
        }
        free(inner);
        free(names[i]);
    }
    free(names);
    return rc;
}

int main(int argc, char **argv) {
    int rc = 0;
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i]) != 0) {
            rc = 1;
        }
    }
    if (n_inputs == 0) {
        fputs("no input was replayed\n", stderr);
        rc = 1;
    }
    return rc;
}
