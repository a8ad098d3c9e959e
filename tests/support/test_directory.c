#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/test_env.h"

bool fst_test_directory_create(char *path, size_t path_bytes) {
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == '\0') {
        parent = "/tmp";
    }
    int length = snprintf(path, path_bytes, "%s/faster-test-XXXXXX", parent);
    return length > 0 && (size_t)length < path_bytes && mkdtemp(path) != NULL;
}

static void remove_content(int directory);

/* Tries to unlink first, so that a link to a directory is never entered. */
static void remove_entry(int directory, const char *name) {
    if (unlinkat(directory, name, 0) == 0 || (errno != EISDIR && errno != EPERM)) {
        return;
    }
    int child = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child >= 0) {
        remove_content(child);
    }
    (void)unlinkat(directory, name, AT_REMOVEDIR);
}

/* Closes `directory`. */
static void remove_content(int directory) {
    DIR *stream = fdopendir(directory);
    if (stream == NULL) {
        (void)close(directory);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            remove_entry(dirfd(stream), entry->d_name);
        }
    }
    (void)closedir(stream);
}

void fst_test_directory_remove(const char *path) {
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory >= 0) {
        remove_content(directory);
        (void)rmdir(path);
    }
}
