/* fuzz_main.c - runs a fuzz target over the files of a directory, in builds without libFuzzer:
 * so every compiler and sanitizer, valgrind and the coverage see the corpora.
 *
 *     fuzz_<target> DIRECTORY OR FILE...
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"

static unsigned run_count;

static void run_file(const char *directory, const char *name) {
    size_t count;
    unsigned char *bytes = fuzz_read_file(directory, name, &count);
    void *exact = fuzz_exact(bytes, count);
    free(bytes);
    (void)LLVMFuzzerTestOneInput(exact, count);
    free(exact);
    run_count++;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void run_directory(const char *path) {
    struct dirent **entries;
    const int count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0) {
        run_file(path[0] == '/' ? "/" : ".", path);
        return;
    }
    for (int i = 0; i < count; i++) {
        run_file(path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        run_directory(argv[i]);
    }
    printf("%u inputs\n", run_count);
    return run_count > 0 ? 0 : 1;
}
