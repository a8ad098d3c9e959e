/* sql_files.c - directories, copies and figures of the process for SQL-level tests. */
#include "sql_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void path_format(char path[TEST_PATH_BYTES], const char *format, ...) {
    va_list list;
    va_start(list, format);
    int size = vsnprintf(path, TEST_PATH_BYTES, format, list);
    va_end(list);
    if (size < 0 || size >= TEST_PATH_BYTES) {
        test_fail("path too long");
    }
}

void directory_make(char path[TEST_PATH_BYTES], const char *prefix) {
    const char *parent = getenv("TMPDIR");
    path_format(path, "%s/faster-%s-XXXXXX", parent && *parent ? parent : "/tmp", prefix);
    if (mkdtemp(path) == NULL) {
        test_fail("cannot make %s: %s", path, strerror(errno));
    }
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status;
    (void)kind;
    (void)walk;
    if (remove(path) != 0 && errno != ENOENT) {
        fprintf(stderr, "cannot remove %s: %s\n", path, strerror(errno));
    }
    return 0;
}

void directory_remove(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void copy_range(int from, int to, off_t start, off_t end) {
    char buffer[65536];
    while (start < end) {
        size_t want = (size_t)(end - start) < sizeof buffer ? (size_t)(end - start) : sizeof buffer;
        ssize_t got = pread(from, buffer, want, start);
        if (got <= 0 || pwrite(to, buffer, (size_t)got, start) != got) {
            test_fail("copy failed: %s", strerror(errno));
        }
        start += got;
    }
}

static void copy_file(const char *from, const char *to, const struct stat *status) {
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, status->st_mode & 07777);
    if (source < 0 || target < 0 || ftruncate(target, status->st_size) != 0) {
        test_fail("cannot copy %s to %s: %s", from, to, strerror(errno));
    }
    off_t start = 0;
    while (start < status->st_size && (start = lseek(source, start, SEEK_DATA)) >= 0) {
        off_t end = lseek(source, start, SEEK_HOLE);
        copy_range(source, target, start, end);
        start = end;
    }
    close(source);
    close(target);
}

void tree_copy(const char *from, const char *to) {
    struct stat status;
    if (lstat(from, &status) != 0) {
        test_fail("no %s", from);
    }
    if (S_ISREG(status.st_mode)) {
        copy_file(from, to, &status);
        return;
    }
    mkdir(to, status.st_mode & 07777);
    DIR *directory = opendir(from);
    if (directory == NULL) {
        test_fail("cannot read %s", from);
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char source[TEST_PATH_BYTES];
            char target[TEST_PATH_BYTES];
            path_format(source, "%s/%s", from, entry->d_name);
            path_format(target, "%s/%s", to, entry->d_name);
            tree_copy(source, target);
        }
    }
    closedir(directory);
}

/* nftw() has no context argument; the tests walk on one thread. */
static struct {
    tree_file_fn *each;
    void *context;
    uint64_t disk_bytes;
    unsigned stores;
    char store[TEST_PATH_BYTES];
} walked;

static int walk_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    walked.disk_bytes += (uint64_t)status->st_blocks * 512;
    if (kind == FTW_F && S_ISREG(status->st_mode)) {
        if (strcmp(path + walk->base, "store") == 0) {
            walked.stores++;
            path_format(walked.store, "%.*s", walk->base - 1, path);
        }
        if (walked.each) {
            walked.each(walked.context, path);
        }
    }
    return 0;
}

static void walk_tree(const char *path, tree_file_fn *each, void *context) {
    memset(&walked, 0, sizeof walked);
    walked.each = each;
    walked.context = context;
    nftw(path, walk_one, 16, FTW_PHYS);
}

uint64_t tree_disk_bytes(const char *path) {
    walk_tree(path, NULL, NULL);
    return walked.disk_bytes;
}

void tree_each_file(const char *path, tree_file_fn *each, void *context) {
    walk_tree(path, each, context);
}

unsigned store_directory_count(const char *root) {
    walk_tree(root, NULL, NULL);
    return walked.stores;
}

bool store_directory_find(const char *root, char path[TEST_PATH_BYTES]) {
    walk_tree(root, NULL, NULL);
    if (walked.stores > 1) {
        test_fail("%u stores below %s", walked.stores, root);
    }
    path_format(path, "%s", walked.store);
    return walked.stores == 1;
}

uint64_t process_peak_bytes(void) {
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    unsigned long long kilobytes = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmHWM: %llu kB", &kilobytes) == 1) {
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    return (uint64_t)kilobytes * 1024;
}
