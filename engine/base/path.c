#include "base/path.h"

#include <string.h>

#include "base/bytes.h"

bool fst_path_is_plain_name(const char *name) {
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strchr(name, '/') == NULL;
}

/* What "directory/name" needs with its terminating zero, or 0 if it cannot be made. */
static size_t joined_bytes(const char *directory, const char *name) {
    size_t directory_bytes = strlen(directory);
    size_t bytes;
    if (directory_bytes == 0 || !fst_path_is_plain_name(name) ||
        !fst_add_fits_size(directory_bytes, strlen(name), &bytes) ||
        !fst_add_fits_size(bytes, 2, &bytes)) {
        return 0;
    }
    return directory[directory_bytes - 1] == '/' ? bytes - 1 : bytes;
}

/* REQUIRES: joined_bytes() bytes at `path`. */
static void write_joined(char *path, const char *directory, const char *name) {
    size_t at = strlen(directory);
    memcpy(path, directory, at);
    if (path[at - 1] != '/') {
        path[at++] = '/';
    }
    memcpy(path + at, name, strlen(name) + 1);
}

enum faster_status fst_path_join(char *path, size_t path_bytes, const char *directory,
                                 const char *name) {
    size_t needed_bytes = joined_bytes(directory, name);
    if (needed_bytes == 0 || needed_bytes > path_bytes) {
        if (path_bytes > 0) {
            path[0] = '\0';
        }
        return FASTER_INVALID;
    }
    write_joined(path, directory, name);
    return FASTER_OK;
}

/* `count` without the slashes at its end, but never less than the root's one slash. */
static size_t without_slashes(const char *path, size_t count) {
    while (count > 1 && path[count - 1] == '/') {
        count--;
    }
    return count;
}

/* Where the parent ends in `path`; 0 if the path is one relative name. */
static size_t parent_end(const char *path) {
    size_t end = without_slashes(path, strlen(path));
    if (end == 1 && path[0] == '/') {
        return 1;
    }
    while (end > 0 && path[end - 1] != '/') {
        end--;
    }
    return without_slashes(path, end);
}

enum faster_status fst_path_parent(char *parent, size_t parent_bytes, const char *path) {
    if (parent_bytes > 0) {
        parent[0] = '\0';
    }
    if (path[0] == '\0') {
        return FASTER_INVALID;
    }
    size_t count = parent_end(path);
    const char *from = count == 0 ? "." : path;
    count = count == 0 ? 1 : count;
    if (count >= parent_bytes) {
        return FASTER_INVALID;
    }
    memcpy(parent, from, count);
    parent[count] = '\0';
    return FASTER_OK;
}
